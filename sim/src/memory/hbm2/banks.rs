//! The banks of a pseudo-channel: which rows are open, and when they may be opened and closed.

use super::ticks::Ticks;

/// No row.
const CLOSED: u64 = u64::MAX;

/// A bank unit.
#[derive(Debug, Clone)]
struct Bank {
    row: u64,
    /// First tick for a column command.
    col_ok: u64,
    /// First tick for a precharge.
    pre_ok: u64,
    /// First tick for an activate.
    act_ok: u64,
}

/// What opening a row did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// The bank was closed; the activate is issued.
    Activated,
    /// Another row was open; precharge and activate are issued.
    Replaced,
    /// Not before this tick.
    NotBefore(u64),
}

/// All bank units.
#[derive(Debug, Clone)]
pub struct Banks {
    banks: Vec<Bank>,
    /// First tick for the next activate in any bank.
    act_ok: u64,
    /// Activates of the last units, as many as fill the four-activate window, oldest at `oldest`.
    window: [u64; 4],
    oldest: usize,
}

impl Banks {
    /// All closed.
    pub fn new(k: &Ticks) -> Self {
        let closed = Bank { row: CLOSED, col_ok: 0, pre_ok: 0, act_ok: 0 };
        Self { banks: vec![closed; 1 << k.bank_shift], act_ok: 0, window: [0; 4], oldest: 0 }
    }

    /// Whether the row is open, or about to be.
    #[inline]
    pub fn is_open(&self, bank: usize, row: u64) -> bool {
        self.banks[bank].row == row
    }

    /// First tick for a column command in the open row.
    #[inline]
    pub fn column_from(&self, bank: usize) -> u64 {
        self.banks[bank].col_ok
    }

    /// Notes a column command; no precharge before `pre`.
    #[inline]
    pub fn column(&mut self, bank: usize, pre: u64) {
        let bank = &mut self.banks[bank];
        bank.pre_ok = bank.pre_ok.max(pre);
    }

    /// Opens a row that is not open, with a first command at `from` or later but before `until`.
    pub fn open(&mut self, k: &Ticks, bank: usize, row: u64, from: u64, until: u64) -> Open {
        let b = &mut self.banks[bank];
        let any = self.act_ok.max(self.window[self.oldest] + k.faw);
        let on_grid = |t: u64| t.next_multiple_of(k.grid);
        let replaced = b.row != CLOSED;
        let (first, act) = if replaced {
            let pre = on_grid(from.max(b.pre_ok));
            (pre, on_grid((pre + k.pre_to_act).max(b.act_ok).max(any)))
        } else {
            let act = on_grid(from.max(b.act_ok).max(any));
            (act, act)
        };
        if first >= until {
            return Open::NotBefore(first);
        }
        b.row = row;
        b.col_ok = act + k.act_to_col;
        b.pre_ok = act + k.act_to_pre;
        b.act_ok = act + k.act_to_pre + k.pre_to_act;
        self.act_ok = act + k.act_to_act;
        self.window[self.oldest] = act;
        self.oldest = (self.oldest + 1) % (4 / k.accesses as usize).max(1);
        if replaced { Open::Replaced } else { Open::Activated }
    }

    /// Closes every row and refreshes, from `from` on.
    pub fn refresh(&mut self, k: &Ticks, from: u64) {
        let open = self.banks.iter().filter(|b| b.row != CLOSED);
        let precharged = open.map(|b| b.pre_ok.max(from) + k.pre_to_act).max();
        let earlier = self.banks.iter().map(|b| b.act_ok).max().unwrap_or(0);
        let end = precharged.unwrap_or(from).max(earlier).max(from) + k.rfc;
        for bank in &mut self.banks {
            bank.row = CLOSED;
            bank.act_ok = end;
        }
    }
}

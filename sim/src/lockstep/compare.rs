//! The comparator.

use std::collections::BTreeMap;

use accllm_hw::isa::Unit;

use super::difference::{Difference, Instruction, Kind};
use crate::golden::{Executed, Space, Write};

/// A write of the hardware: up to 128 neighbouring elements.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The unit that wrote.
    pub unit: Unit,
    /// Which of its instructions, counted from 0 at the start of the run.
    pub unit_seq: u64,
    /// The memory.
    pub space: Space,
    /// Element address of bit 0 of the mask.
    pub address: u64,
    /// Bit i: element `address + i` is written.
    pub mask: u128,
    /// Value of element `address + i` at index i.
    pub data: &'a [i32],
}

/// What has been compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Instructions with output that ended and were compared.
    pub tensors: u64,
    /// Elements compared.
    pub elements: u64,
    /// Elements that differ: other values, missing, written twice, or not to be written.
    pub different: u64,
    /// The first difference in program order.
    pub difference: Option<Difference>,
}

/// What the executor wrote in one instruction, sorted by address.
struct Expected {
    instruction: Instruction,
    writes: Vec<Write>,
    seen: Vec<bool>,
    /// Where the last element was found; the next one likely follows it.
    last: usize,
}

impl Expected {
    fn new(mut record: Executed) -> Self {
        let instruction = Instruction::from(&record);
        // Where outputs overlap, the last value counts: reversed, it is the first of its address.
        record.writes.reverse();
        record.writes.sort_by_key(|w| (w.space, w.address));
        record.writes.dedup_by_key(|w| (w.space, w.address));
        let seen = vec![false; record.writes.len()];
        Self { instruction, writes: record.writes, seen, last: 0 }
    }

    fn find(&mut self, space: Space, address: u64) -> Option<usize> {
        let key = (space, address);
        let here = |i: usize| self.writes.get(i).is_some_and(|w| (w.space, w.address) == key);
        let found = if here(self.last + 1) {
            Some(self.last + 1)
        } else {
            self.writes.binary_search_by_key(&key, |w| (w.space, w.address)).ok()
        };
        self.last = found.unwrap_or(self.last);
        found
    }
}

/// An instruction that one side or both have begun.
#[derive(Default)]
struct Open {
    expected: Option<Expected>,
    /// Elements written before the executor's record came.
    early: Vec<Write>,
    ended: bool,
}

/// Compares a run of the hardware with a run of the golden executor.
#[derive(Default)]
pub struct Lockstep {
    open: BTreeMap<(bool, u64), Open>,
    report: Report,
}

fn key(unit: Unit, unit_seq: u64) -> (bool, u64) {
    (unit == Unit::Matrix, unit_seq)
}

fn unit(key: (bool, u64)) -> Unit {
    if key.0 { Unit::Matrix } else { Unit::Vector }
}

impl Lockstep {
    /// A comparator for one run.
    pub fn new() -> Self {
        Self::default()
    }

    /// The executor has executed an instruction.
    pub fn expect(&mut self, record: Executed) {
        let at = key(record.unit, record.unit_seq);
        let open = self.open.entry(at).or_default();
        let early = std::mem::take(&mut open.early);
        open.expected = Some(Expected::new(record));
        for w in early {
            self.write(at, w);
        }
        self.close_if_done(at);
    }

    /// The hardware has written.
    pub fn event(&mut self, event: &Event<'_>) {
        let at = key(event.unit, event.unit_seq);
        for (i, &value) in event.data.iter().enumerate().take(128) {
            if event.mask >> i & 1 == 1 {
                let address = event.address.wrapping_add(i as u64);
                self.write(at, Write { space: event.space, address, value });
            }
        }
    }

    /// The hardware says that all effects of an instruction are done.
    pub fn end(&mut self, unit: Unit, unit_seq: u64) {
        let at = key(unit, unit_seq);
        self.open.entry(at).or_default().ended = true;
        self.close_if_done(at);
    }

    /// The run is over on both sides: what is still open is closed, and what was not written is missing.
    pub fn finish(&mut self) -> Report {
        while let Some((at, open)) = self.open.pop_first() {
            match open.expected {
                Some(expected) => self.close(at, &expected),
                None => {
                    for w in open.early {
                        self.differ(at, None, w, Kind::Unexpected { got: w.value });
                    }
                }
            }
        }
        self.report
    }

    /// What has been compared up to now.
    pub fn report(&self) -> Report {
        self.report
    }

    /// The first difference up to now, in program order.
    pub fn difference(&self) -> Option<&Difference> {
        self.report.difference.as_ref()
    }

    fn write(&mut self, at: (bool, u64), w: Write) {
        let open = self.open.entry(at).or_default();
        let Some(expected) = &mut open.expected else {
            open.early.push(w);
            return;
        };
        let instruction = Some(expected.instruction);
        let kind = match expected.find(w.space, w.address) {
            None => Kind::Unexpected { got: w.value },
            Some(i) if std::mem::replace(&mut expected.seen[i], true) => Kind::Again { got: w.value },
            Some(i) => {
                self.report.elements += 1;
                let want = expected.writes[i].value;
                if want == w.value {
                    return;
                }
                Kind::Wrong { expected: want, got: w.value }
            }
        };
        self.differ(at, instruction, w, kind);
    }

    fn close_if_done(&mut self, at: (bool, u64)) {
        let done = self.open.get(&at).is_some_and(|o| o.ended && o.expected.is_some());
        if let (true, Some(Open { expected: Some(expected), .. })) = (done, self.open.get_mut(&at)) {
            // Kept, empty, so that writes after the end are found.
            let rest = Expected {
                instruction: expected.instruction,
                writes: std::mem::take(&mut expected.writes),
                seen: std::mem::take(&mut expected.seen),
                last: 0,
            };
            self.close(at, &rest);
        }
    }

    fn close(&mut self, at: (bool, u64), expected: &Expected) {
        self.report.tensors += u64::from(!expected.writes.is_empty());
        let missing = expected.writes.iter().zip(&expected.seen).filter(|(_, seen)| !**seen);
        for (&w, _) in missing {
            self.differ(at, Some(expected.instruction), w, Kind::Missing { expected: w.value });
        }
    }

    fn differ(&mut self, at: (bool, u64), instruction: Option<Instruction>, w: Write, kind: Kind) {
        self.report.different += 1;
        let (unit, unit_seq) = (unit(at), at.1);
        let new = Difference { unit, unit_seq, instruction, space: w.space, address: w.address, kind };
        if self.report.difference.is_none_or(|old| new.key() < old.key()) {
            self.report.difference = Some(new);
        }
    }
}

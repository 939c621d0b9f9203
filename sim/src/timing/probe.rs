//! Small programs around one operation with random operands, for holding the model against the RTL.

use accllm_hw::config::Config;
use accllm_hw::config::random::Numbers;
use accllm_hw::isa::{FLAG_FINAL, FLAG_I32, FLAG_VMEM, FLAG_WIDE, Instr, OPS, Op, Unit};
use accllm_hw::sizes::{MAX_HEAD_DIM, PADDED_HEADS};

/// Beats of channels' and of auxiliary memory that a probe needs; it writes to the second half.
pub const BEATS: u32 = 1 << 16;
/// Where the writable half begins.
pub const WRITABLE: u32 = BEATS / 2;

/// A program around one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The operation.
    pub op: Op,
    /// The program.
    pub code: Vec<Instr>,
}

/// Operations that a probe can be made of.
pub fn operations() -> impl Iterator<Item = Op> {
    OPS.iter().filter(|i| i.unit != Unit::Control).map(|i| i.op)
}

struct Maker<'a> {
    numbers: Numbers,
    config: &'a Config,
    hdp: usize,
    gqa: usize,
    v_dim: usize,
    score_row: usize,
    sink_pad: usize,
}

/// A random program of `op` on `config`: unit constants, the operation in a loop of up to four rounds, END.
pub fn probe(op: Op, config: &Config, seed: u64) -> Probe {
    let mut numbers = Numbers::new(seed.wrapping_mul(257).wrapping_add(op as u64));
    let hdp = PADDED_HEADS[numbers.below(PADDED_HEADS.len())];
    let most = (config.lane_rows / 2).min(16);
    let gqa = 1 + numbers.below(most);
    let unit = (4 * config.channels).max(config.vec);
    let v_dim = unit * (1 + numbers.below((MAX_HEAD_DIM / unit).max(1)));
    let lines = gqa.div_ceil(config.lanes / 2);
    let banks = config.score_banks().max(64);
    let score_row = (config.sbuf / lines / banks * banks).min(4096).max(banks);
    let sink_pad = 32 * numbers.below(3.min(score_row / 32));
    let mut maker = Maker { numbers, config, hdp, gqa, v_dim, score_row, sink_pad };
    let body = maker.operation(op);
    let mut code = maker.constants();
    let control =
        |op: Op, a: usize, n: usize| Instr { op: op as u8, a: a as u32, n: n as u16, ..Instr::default() };
    let rounds = 1 + maker.numbers.below(4);
    code.push(control(Op::LOOP, code.len() + 3, rounds));
    code.push(body);
    code.push(control(Op::ENDLOOP, 0, 0));
    code.push(control(Op::END, 0, 0));
    Probe { op, code }
}

impl Maker<'_> {
    fn below(&mut self, n: usize) -> usize {
        self.numbers.below(n.max(1))
    }

    /// From 1 to `most`, small numbers as likely as large ones.
    fn some(&mut self, most: usize) -> usize {
        let most = most.max(1);
        let bound = 1 << self.below(most.ilog2() as usize + 2);
        1 + self.below(bound.min(most))
    }

    fn constants(&self) -> Vec<Instr> {
        let ring = self.score_row.max(64);
        let values = [self.hdp, 4, 28, ring, self.sink_pad, self.gqa, self.score_row, 64, self.v_dim];
        let setc = |(x, a): (usize, &usize)| Instr {
            op: Op::SETC as u8,
            a: *a as u32,
            x: x as u8,
            ..Instr::default()
        };
        values.iter().enumerate().map(setc).collect()
    }

    fn operation(&mut self, op: Op) -> Instr {
        let c = self.config;
        let quarter = c.vmem / 4;
        let words = self.some((quarter / c.vec).min(160));
        let heads = self.some((quarter / MAX_HEAD_DIM).min(c.scalars / 16).clamp(1, 40));
        let blank = Instr { op: op as u8, b: quarter as u32, c: (2 * quarter) as u32, ..Instr::default() };
        let elements = |n: usize| Instr { n: n as u16, ..blank };
        let uneven = |m: &mut Self| (words * c.vec - m.below(c.vec)).max(1);
        match op {
            Op::MATW | Op::MATK | Op::MATV => self.matrix(op),
            Op::HADW => elements(words * c.vec),
            Op::HADX => {
                let k = c.vec << self.below(3);
                let flags = [0, FLAG_FINAL][self.below(2)];
                Instr { k: k as u16, flags, ..elements(2 * k * self.some(12)) }
            }
            Op::ROPE => elements(heads),
            Op::STATK => Instr { c: 0, ..elements(heads) },
            Op::STATQ => Instr { c: 0, k: self.gqa as u16, ..elements(heads) },
            Op::QQ => {
                let groups = heads.div_ceil(self.gqa).min(c.act / 16).max(1);
                let n = heads.min(groups * self.gqa);
                Instr { b: 0, c: 0, k: self.gqa as u16, x: self.gqa.div_ceil(c.lanes) as u8, ..elements(n) }
            }
            Op::QK => Instr { b: self.below(64) as u32, c: WRITABLE, k: 128, ..elements(heads) },
            Op::QV => {
                let n = heads.min(quarter / self.v_dim).max(1);
                Instr { b: self.below(64) as u32, c: WRITABLE, k: 512, sh: 3, aux: 8, ..elements(n) }
            }
            Op::LOAD => {
                let flags = [0, FLAG_I32][self.below(2)];
                Instr { a: self.below(1000) as u32, c: 0, flags, ..elements(32 * words.min(quarter / 32)) }
            }
            Op::EMBED => {
                Instr { a: self.below(1000) as u32, aux: u32::MAX, ..elements(32 * words.min(quarter / 32)) }
            }
            Op::STORE => Instr { b: 0, c: WRITABLE, ..elements(32 * words.min(quarter / 32)) },
            Op::SUMSQ => Instr { b: 0, c: 0, aux: 5, ..elements(uneven(self)) },
            Op::NORMQ if self.below(2) == 0 => {
                Instr { sh: 3, aux: 0, flags: FLAG_VMEM, ..elements(uneven(self)) }
            }
            Op::NORMQ | Op::SILU => {
                let n = uneven(self).min(128 * c.act);
                Instr { c: 0, x: 1, sh: 3, aux: 0, ..elements(n) }
            }
            Op::SOFTMAX => self.softmax(),
            Op::ATTQ => {
                let n = self.some(self.v_dim);
                Instr { b: 0, c: 0, k: 1, sh: 3, x: 1, ..elements(n) }
            }
            Op::ARGMAX => Instr { b: 0, c: 0, flags: 1, ..elements(uneven(self)) },
            _ => elements(uneven(self)),
        }
    }

    fn softmax(&mut self) -> Instr {
        let c = self.config;
        let rows = 2 * self.gqa.div_ceil(c.lanes / 2).max(1);
        let room = (self.score_row - self.sink_pad) / 32;
        let blocks = self.some(room.min(c.act / rows * 2).min(40)).max(usize::from(self.sink_pad == 0));
        let flags = [0, FLAG_WIDE][self.below(2)];
        Instr {
            op: Op::SOFTMAX as u8,
            a: self.below(3000) as u32,
            b: self.below(64) as u32,
            n: (32 * blocks) as u16,
            k: 30000,
            sh: 20,
            x: rows as u8,
            flags,
            ..Instr::default()
        }
    }

    fn matrix(&mut self, op: Op) -> Instr {
        let c = self.config;
        let rows = self.some(c.lane_rows);
        let blank = Instr { op: op as u8, a: self.below(500) as u32, m: rows as u16, ..Instr::default() };
        let steps = rows.div_ceil(c.lanes);
        match op {
            Op::MATW => {
                let format = self.below(3);
                let words = (c.act / steps).min(12);
                let k = self.some(if format == 2 { 2 * words } else { words });
                let row = 1 + self.below(60);
                let most = row * c.vec / c.channels.max(1);
                let n = self.some(most.min(300));
                let (x, aux) = (steps as u8, (row * c.vec) as u32);
                Instr { n: n as u16, k: k as u16, x, aux, flags: format as u8, ..blank }
            }
            Op::MATK => {
                let rows = rows.min(c.sbuf / self.score_row * c.lanes).max(1);
                let slots = c.channels * c.tokens_per_beat(self.hdp);
                let n = self.some((self.score_row / slots).min(200));
                Instr { n: n as u16, m: rows as u16, ..blank }
            }
            _ => {
                let flags = [0, FLAG_WIDE][self.below(2)];
                let half = usize::from(flags == FLAG_WIDE);
                let rows = (rows >> half).max(1);
                let steps = (rows << half).div_ceil(c.lanes);
                let blocks = self.some((2 * c.act / steps).min(40));
                let sh = self.v_dim / (4 * c.channels);
                Instr {
                    n: blocks as u16,
                    m: rows as u16,
                    k: blocks as u16,
                    sh: sh as u8,
                    x: steps as u8,
                    aux: self.v_dim.next_multiple_of(c.vec) as u32,
                    flags,
                    ..blank
                }
            }
        }
    }
}

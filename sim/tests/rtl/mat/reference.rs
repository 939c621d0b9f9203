//! What matrix operations write, element by element, straight from `docs/isa.md` and `docs/formats.md`.

use accllm_hw::beat::{Beat, WeightFormat, get_nibble, get_param, get_w2d, unpack_w2s};
use accllm_hw::config::Config;
use accllm_hw::fixed::{requant, sat};
use accllm_hw::isa::{FLAG_WIDE, Op};

/// A matrix operation as the unit receives it.
#[derive(Debug, Clone, Copy)]
pub struct Uop {
    pub op: Op,
    pub seq: u32,
    pub pc: u16,
    pub flags: u8,
    pub a: u32,
    pub b: u32,
    pub c: u32,
    pub n: u32,
    pub m: u32,
    pub k: u16,
    pub sh: u8,
    pub x: u8,
    pub aux: u32,
}

impl Uop {
    /// An operation that does nothing.
    pub fn new(op: Op) -> Self {
        Self { op, seq: 0, pc: 0, flags: 0, a: 0, b: 0, c: 0, n: 0, m: 0, k: 0, sh: 0, x: 0, aux: 0 }
    }

    /// The bits of `uop_t`.
    pub fn words(&self) -> [u32; 9] {
        [
            self.aux,
            u32::from(self.k) << 16 | u32::from(self.sh) << 8 | u32::from(self.x),
            self.m,
            self.n,
            self.c,
            self.b,
            self.a,
            u32::from(self.pc) << 16 | u32::from(self.op as u8) << 8 | u32::from(self.flags),
            self.seq,
        ]
    }

    pub fn wide(&self) -> bool {
        self.op == Op::MATV && self.flags & FLAG_WIDE != 0
    }

    pub fn format(&self) -> WeightFormat {
        WeightFormat::ALL[usize::from(self.flags & 3)]
    }

    /// Lane rows.
    pub fn rows(&self) -> usize {
        (self.m as usize) << u32::from(self.wide())
    }

    fn nothing(&self) -> bool {
        let zero = match self.op {
            Op::MATW => self.k == 0,
            Op::MATV => self.sh == 0,
            _ => false,
        };
        self.n == 0 || self.m == 0 || zero
    }

    /// Beats of a channel from `a` on, gaps included, and without them.
    pub fn beats(&self, hdp: usize) -> (u64, u64) {
        if self.nothing() {
            return (0, 0);
        }
        let (n, k, sh) = (u64::from(self.n), u64::from(self.k), u64::from(self.sh));
        match self.op {
            Op::MATW => {
                let chunk = self.format().scale_chunk() as u64;
                let scales = if chunk == 0 { 0 } else { (n * k).div_ceil(chunk) };
                (n * k + scales + n.div_ceil(16), n * k + scales + n.div_ceil(16))
            }
            Op::MATK => {
                let tokens = n * (128 / hdp).max(1) as u64;
                let t = n * hdp.div_ceil(128) as u64 + tokens.div_ceil(16);
                (t, t)
            }
            _ => ((sh - 1) * k + n, sh * n),
        }
    }
}

/// Where an element goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    Vmem,
    Score(usize),
}

/// One element written: where, address, value.
pub type Write = (Space, u32, i32);

/// What the operations see.
pub struct World<'a> {
    pub cfg: &'a Config,
    pub hdp: usize,
    pub score_row: u32,
    /// Beats by channel.
    pub memory: &'a [Vec<Beat>],
    /// Activation buffer: word, lane, column.
    pub act: &'a [Vec<[i8; 256]>],
    /// Exponents: word, lane.
    pub exponents: &'a [Vec<u8>],
    pub q_sum: &'a [i16],
}

impl World<'_> {
    /// Activation of lane row `row`, column `col` of the word of lane row 0.
    fn x(&self, word: u32, row: usize, col: usize) -> i64 {
        self.act[word as usize + row / self.cfg.lanes][row % self.cfg.lanes][col].into()
    }

    /// Joins the lane rows of a token or row: halves if wide.
    fn join(u: &Uop, token: usize, acc: impl Fn(usize) -> i64) -> i64 {
        if u.wide() { acc(2 * token) * 256 + acc(2 * token + 1) } else { acc(token) }
    }

    /// Everything that `u` writes.
    pub fn run(&self, u: &Uop) -> Vec<Write> {
        if u.nothing() {
            return Vec::new();
        }
        match u.op {
            Op::MATW => self.matw(u),
            Op::MATK => self.matk(u),
            _ => self.matv(u),
        }
    }

    fn matw(&self, u: &Uop) -> Vec<Write> {
        let mut out = Vec::new();
        let (format, k) = (u.format(), u32::from(u.k));
        let (columns, chunk) = (format.columns(), format.scale_chunk());
        for c in 0..self.cfg.channels {
            let mut beats = self.memory[c][u.a as usize..].iter();
            let mut next = || beats.next().expect("the stream is too short");
            let (mut params, mut scales, mut count) = (&[0; 64], &[0; 64], 0);
            for step in 0..u.n {
                if step % 16 == 0 {
                    params = next();
                }
                let mut acc = vec![0i64; u.rows()];
                for v in 0..k {
                    if chunk > 0 && count % chunk == 0 {
                        scales = next();
                    }
                    let beat = next();
                    let word = u.b + v * columns as u32 / 256 * u32::from(u.x);
                    let half = v as usize % (256 / columns) * columns;
                    // Column, and the weight.
                    let at = 8 * (count % 8);
                    let scaled = |level: i8, scale: u8| i64::from(level) * i64::from(scale);
                    let weights: Vec<(usize, i64)> = match format {
                        WeightFormat::W2Sparse => unpack_w2s(beat)
                            .iter()
                            .map(|&(col, l)| (col, scaled(l, beat[56 + col / 32])))
                            .collect(),
                        WeightFormat::W2Dense => {
                            (0..256).map(|i| (i, scaled(get_w2d(beat, i), scales[at + i / 32]))).collect()
                        }
                        WeightFormat::W4 => {
                            let offset = |i: usize| 4 * i64::from(scales[at + 4 + i / 32] as i8);
                            let weight = |i| scaled(get_nibble(beat, i), scales[at + i / 32]) + offset(i);
                            (0..128).map(|i| (i, weight(i))).collect()
                        }
                    };
                    for (row, acc) in acc.iter_mut().enumerate() {
                        let lanes = self.cfg.lanes;
                        let e = self.exponents[word as usize + row / lanes][row % lanes];
                        for &(col, weight) in &weights {
                            *acc += (self.x(word, row, half + col) * weight) << e;
                        }
                    }
                    count += 1;
                }
                let p = get_param(params, step as usize % 16);
                for (t, &acc) in (0..u.m).zip(&acc) {
                    let y = requant(acc, p as u16, p >> 16 & 63);
                    let o = step * self.cfg.channels as u32 + c as u32;
                    out.push((Space::Vmem, u.c + t * u.aux + o, y));
                }
            }
        }
        out
    }

    fn matk(&self, u: &Uop) -> Vec<Write> {
        let (tpb, beats) = ((128 / self.hdp).max(1), self.hdp.div_ceil(128));
        let mut out = Vec::new();
        for c in 0..self.cfg.channels {
            for step in 0..u.n as usize {
                for g in 0..tpb {
                    let result = step * tpb + g;
                    let region = &self.memory[c][u.a as usize..];
                    let p = get_param(&region[result / 16 * (1 + 16 / tpb * beats)], result % 16);
                    let codes = &region[step * beats + step * tpb / 16 + 1..];
                    let slot = (step * self.cfg.channels + c) * tpb + g;
                    for row in 0..u.m as usize {
                        let dot: i64 = (g * self.hdp..(g + 1) * self.hdp)
                            .map(|m| self.x(u.b, row, m) * i64::from(get_nibble(&codes[m / 128], m % 128)))
                            .sum();
                        let q_sum = i64::from(self.q_sum[u.aux as usize + row]);
                        let score = i64::from(p & 0xffff) * dot + i64::from((p >> 16) as i16) * q_sum;
                        let at = (row / self.cfg.lanes) as u32 * self.score_row + u.c + slot as u32;
                        out.push((Space::Score(row % self.cfg.lanes), at, score as i32));
                    }
                }
            }
        }
        out
    }

    fn matv(&self, u: &Uop) -> Vec<Write> {
        let mut out = Vec::new();
        for c in 0..self.cfg.channels {
            for (step, g) in (0..usize::from(u.sh)).flat_map(|j| (0..4).map(move |g| (j, g))) {
                let dim = (step * 4 * self.cfg.channels + 4 * c + g) as u32;
                let acc = |row: usize| -> i64 {
                    (0..u.n)
                        .map(|block| {
                            let beat = &self.memory[c][(u.a + step as u32 * u32::from(u.k) + block) as usize];
                            let word = u.b + block / 2 * u32::from(u.x);
                            let half = block as usize % 2 * 128;
                            let value = |s| i64::from(get_nibble(beat, 32 * g + s));
                            (0..32).map(|s| self.x(word, row, half + 32 * g + s) * value(s)).sum::<i64>()
                        })
                        .sum()
                };
                for row in 0..u.m as usize {
                    let y = sat(Self::join(u, row, acc), 32) as i32;
                    out.push((Space::Vmem, u.c + row as u32 * u.aux + dim, y));
                }
            }
        }
        out
    }
}

//! What an instruction reads and writes.

use super::machine::Visit;
use crate::layout::Layout;
use accllm_hw::beat::{KeyBeats, WeightFormat};
use accllm_hw::config::{COLS, GROUP, PARAMS};
use accllm_hw::isa::{FLAG_I32, FLAG_VMEM, FLAG_WIDE, FORMAT_MASK, Op, Unit};

/// Memories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Space {
    /// Vector memory, elements.
    Vmem,
    /// Activation buffer, words of all lanes.
    Act,
    /// Score buffer, elements of all lanes.
    Score,
    /// Scalar file, entries.
    Scalar,
    /// All channels, beats.
    Channel,
    /// Auxiliary memory, beats.
    Aux,
}

/// Who accesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    Prefetcher,
    Matrix,
    Vector,
}

/// One access: `count` ranges of `len`, `stride` apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access {
    pub actor: Actor,
    pub space: Space,
    pub write: bool,
    pub start: u64,
    pub len: u64,
    pub stride: u64,
    pub count: u64,
}

impl Access {
    /// One past the last address.
    pub fn end(&self) -> u64 {
        match (self.len, self.count) {
            (0, _) | (_, 0) => self.start,
            (len, count) => self.start + (count - 1) * self.stride + len,
        }
    }

    pub fn ranges(&self) -> impl Iterator<Item = std::ops::Range<u64>> + use<> {
        let Self { start, len, stride, count, .. } = *self;
        (0..count).map(move |i| start + i * stride..start + i * stride + len)
    }
}

/// Collects accesses, with the largest values that operands can take.
pub(super) struct Accesses<'a> {
    layout: &'a Layout,
    actor: Actor,
    pub list: Vec<Access>,
}

impl<'a> Accesses<'a> {
    pub fn new(layout: &'a Layout) -> Self {
        Self { layout, actor: Actor::Vector, list: Vec::new() }
    }

    fn add(&mut self, space: Space, write: bool, start: u64, len: u64) {
        self.strided(space, write, start, len, 1, 0);
    }

    fn strided(&mut self, space: Space, write: bool, start: u64, len: u64, count: u64, stride: u64) {
        if len > 0 && count > 0 {
            self.list.push(Access { actor: self.actor, space, write, start, len, stride, count });
        }
    }

    fn read(&mut self, start: u64, len: u64) {
        self.add(Space::Vmem, false, start, len);
    }

    fn write(&mut self, start: u64, len: u64) {
        self.add(Space::Vmem, true, start, len);
    }

    fn scalar(&mut self, write: bool, start: u64, len: u64) {
        self.add(Space::Scalar, write, start, len);
    }

    fn steps(&self, rows: u64) -> u64 {
        self.layout.shape.steps(rows as usize) as u64
    }

    /// Quantized columns `col..col + n` of a lane row.
    fn columns(&mut self, word: u64, x: u64, row: u64, col: u64, n: u64) {
        let lanes = self.layout.shape.lanes as u64;
        let (first, end) =
            (col / COLS as u64, (col + n.next_multiple_of(GROUP as u64)).div_ceil(COLS as u64));
        if n > 0 {
            let start = word + first * x + row / lanes;
            self.strided(Space::Act, true, start, 1, end - first, x);
        }
    }

    /// Accesses of an instruction.
    pub fn of(&mut self, v: &Visit<'_>) {
        self.list.clear();
        match v.op.info().unit {
            Unit::Control => {}
            Unit::Matrix => self.matrix(v),
            Unit::Vector => {
                self.actor = Actor::Vector;
                self.vector(v);
            }
        }
    }

    fn prefetch(&mut self, start: u64, len: u64) {
        self.actor = Actor::Prefetcher;
        self.add(Space::Channel, false, start, len);
        self.actor = Actor::Matrix;
    }

    fn matrix(&mut self, v: &Visit<'_>) {
        let s = &self.layout.shape;
        let i = v.instr;
        let (n, m, k, x) = (v.n.hi, v.m.hi, u64::from(i.k), u64::from(i.x));
        if n == 0 || m == 0 {
            return;
        }
        let wide = if v.op == Op::MATV && i.flags & FLAG_WIDE != 0 { 2 } else { 1 };
        let steps = self.steps(m * wide);
        match v.op {
            Op::MATW => {
                let format = WeightFormat::ALL.get(usize::from(i.flags & FORMAT_MASK)).copied();
                let format = format.unwrap_or(WeightFormat::W4);
                let chunk = format.scale_chunk() as u64;
                let scales = (n * k).checked_div(chunk).map_or(0, |_| (n * k).div_ceil(chunk));
                let outputs = n * s.channels as u64;
                self.prefetch(v.a.hi, n * k + scales + n.div_ceil(PARAMS as u64));
                let words = k.div_ceil((COLS / format.columns()) as u64);
                self.strided(Space::Act, false, v.b.hi, steps, words, x);
                self.strided(Space::Vmem, true, v.c.hi, outputs, m, i.aux.into());
            }
            Op::MATK => {
                let (slots, beats) = (s.k_slots as u64, KeyBeats::of(s.hdp).total(n as usize));
                let row = self.layout.score.row as u64;
                self.prefetch(v.a.hi, beats as u64);
                self.add(Space::Act, false, v.b.hi, steps);
                self.scalar(false, i.aux.into(), m);
                self.strided(Space::Score, true, v.c.hi, n * slots, steps, row);
            }
            _ => {
                let (sh, dims) = (u64::from(i.sh), 4 * s.channels as u64);
                if sh == 0 {
                    return;
                }
                self.prefetch(v.a.hi, (sh - 1) * k + n);
                self.strided(Space::Act, false, v.b.hi, steps, n.div_ceil(2), x);
                self.strided(Space::Vmem, true, v.c.hi, sh * dims, m, i.aux.into());
            }
        }
    }

    fn vector(&mut self, v: &Visit<'_>) {
        let i = v.instr;
        let (a, b, c, n, m) = (v.a.hi, v.b.hi, v.c.hi, v.n.hi, v.m.hi);
        let (k, x, aux) = (u64::from(i.k), u64::from(i.x), u64::from(i.aux));
        match v.op {
            Op::LOAD => {
                let per_beat = if i.flags & FLAG_I32 != 0 { 16 } else { 32 };
                self.add(Space::Aux, false, a, n / per_beat);
                self.write(c, n);
            }
            Op::EMBED => {
                self.read(b, 1);
                self.add(Space::Aux, false, a, aux.saturating_sub(1) * k + n / 32);
                self.write(c, n);
            }
            Op::SUMSQ => {
                self.read(a, n);
                self.scalar(true, c, 1);
            }
            Op::NORMQ => {
                self.read(a, n);
                self.read(b, n);
                self.scalar(false, aux, 1);
                match v.instr.flags & FLAG_VMEM != 0 {
                    true => self.write(c, n),
                    false => self.columns(c, x, m, 0, n),
                }
            }
            Op::HADW | Op::HADX => {
                self.read(a, n);
                self.write(c, n);
            }
            Op::ROPE | Op::STATK | Op::STATQ | Op::QQ | Op::QK | Op::QV | Op::SOFTMAX | Op::ATTQ => {
                self.heads(v)
            }
            Op::SILU => {
                self.read(a, n);
                self.read(b, n);
                self.columns(c, x, m, aux, n);
            }
            Op::RADD => {
                self.read(a, n);
                self.read(b, n);
                self.write(c, n);
            }
            Op::ARGMAX => self.read(a, n),
            Op::STORE => {
                self.read(a, n);
                self.add(Space::Aux, true, c, n / 16);
            }
            _ => {}
        }
    }

    /// Operations on heads: rotation, queries, the cache, softmax.
    fn heads(&mut self, v: &Visit<'_>) {
        let s = &self.layout.shape;
        let (hdp, v_dim, gqa, lanes) = (s.hdp as u64, s.v_dim as u64, s.group as u64, s.lanes as u64);
        let i = v.instr;
        let (a, b, c, n, m) = (v.a.hi, v.b.hi, v.c.hi, v.n.hi, v.m.hi);
        let (k, x, aux) = (u64::from(i.k), u64::from(i.x), u64::from(i.aux));
        match v.op {
            Op::ROPE => {
                self.read(a, n * hdp);
                self.read(b, hdp);
                self.write(c, n * hdp);
            }
            Op::STATK => {
                self.read(a, n * hdp);
                self.scalar(true, c, n);
            }
            Op::STATQ => {
                self.read(a, n * hdp);
                self.strided(Space::Scalar, true, c + m * gqa, gqa, n.div_ceil(gqa), k);
            }
            Op::QQ => {
                self.read(a, n * hdp);
                let heads = n.div_ceil(gqa);
                self.strided(Space::Scalar, false, b + m * gqa, gqa, heads, k);
                self.strided(Space::Scalar, true, b + m * gqa, gqa, heads, k);
                let (first, last) = (m * gqa / lanes, (m * gqa + gqa - 1) / lanes);
                self.strided(Space::Act, true, c + first, last - first + 1, heads, x);
            }
            Op::QK => {
                self.read(a, n * hdp);
                self.scalar(false, aux, n);
                self.strided(Space::Channel, true, c, self.layout.kv.k_head as u64, n, k);
            }
            Op::QV => {
                self.read(a, n * v_dim);
                let steps = v_dim / (4 * s.channels as u64);
                let head = steps.saturating_sub(1) * aux + (s.slots() / GROUP) as u64;
                self.strided(Space::Channel, true, c, head, n, k);
            }
            Op::SOFTMAX => self.softmax(v),
            Op::ATTQ => {
                self.strided(Space::Vmem, false, a, n, gqa, v_dim);
                self.scalar(false, b, gqa);
                self.columns(c, x, m, aux, gqa * n.next_multiple_of(GROUP as u64));
            }
            _ => {}
        }
    }

    fn softmax(&mut self, v: &Visit<'_>) {
        let (s, i) = (&self.layout.shape, v.instr);
        let (gqa, lanes) = (s.group as u64, s.lanes as u64);
        let (c, n, m) = (v.c.hi, v.n.hi, v.m.hi);
        let (x, aux) = (u64::from(i.x), u64::from(i.aux));
        let (slots, row) = (s.sink_pad as u64 + n, self.layout.score.row as u64);
        let steps = |first: u64, rows: u64| (first / lanes, (first + rows - 1) / lanes - first / lanes + 1);
        let (first, count) = steps(m, gqa);
        self.strided(Space::Score, false, first * row, slots, count, row);
        for base in [aux & 0xffff, aux >> 16] {
            self.scalar(false, base + m, gqa);
        }
        self.scalar(true, (aux & 0xffff) + m, gqa);
        let wide = if i.flags & FLAG_WIDE != 0 { 2 } else { 1 };
        let (first, count) = steps(wide * m, wide * gqa);
        self.strided(Space::Act, true, c + first, count, slots.div_ceil(64), x);
    }
}

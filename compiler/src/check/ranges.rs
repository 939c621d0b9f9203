//! Every access inside its area, aligned as the engine needs it.

use super::access::{Access, Accesses, Actor, Space};
use super::machine::{Run, Visit};
use super::{Check, violation};
use crate::layout::Layout;
use crate::program::Program;
use accllm_hw::config::{COLS, Config, GROUP};
use accllm_hw::isa::{FLAG_VMEM, FLAG_WIDE, Op, Unit};

pub(super) struct Ranges<'a> {
    program: &'a Program,
    run: Run,
    layout: &'a Layout,
    config: &'a Config,
    accesses: Accesses<'a>,
}

impl<'a> Ranges<'a> {
    pub fn new(program: &'a Program, config: &'a Config, run: Run) -> Self {
        Self { program, run, layout: &program.layout, config, accesses: Accesses::new(&program.layout) }
    }

    pub fn visit(&mut self, v: &Visit<'_>) -> Check<()> {
        if v.op.info().unit == Unit::Control {
            return Ok(());
        }
        self.accesses.of(v);
        for access in &self.accesses.list {
            self.area(v, access)?;
        }
        self.aligned(v)?;
        self.counts(v)
    }

    fn area(&self, v: &Visit<'_>, access: &Access) -> Check<()> {
        let l = self.layout;
        let kv = self.cache(v.pc);
        let (low, high, name) = match access.space {
            Space::Vmem => (0, l.vmem.end, "the vector memory in use"),
            Space::Act => (0, self.config.act, "the activation buffer"),
            Space::Score => (0, self.config.sbuf, "the score buffer"),
            Space::Scalar => (0, self.config.scalars, "the scalar file"),
            Space::Channel if v.op == Op::MATW => (0, l.weights.end, "the weights"),
            Space::Channel => kv,
            Space::Aux if access.write => (l.aux.logits, l.aux.end, "the logits in auxiliary memory"),
            Space::Aux => (l.aux.norms, l.aux.logits, "the readable auxiliary memory"),
        };
        let (start, end) = (access.start, access.end());
        if start >= low as u64 && end <= high as u64 {
            return Ok(());
        }
        let verb = match (access.write, access.actor) {
            (true, _) => "writes",
            (false, Actor::Prefetcher) => "prefetches",
            (false, _) => "reads",
        };
        violation(v.pc, format!("{verb} {start}..{end} outside of {name} ({low}..{high})"))
    }

    /// The KV cache that an instruction may access: that of its sequence.
    fn cache(&self, pc: usize) -> (usize, usize, &'static str) {
        let kv = &self.layout.kv;
        let sequence = match self.run {
            Run::Step { sequence, .. } => Some(sequence),
            Run::Batch => self.program.labels.get(pc).and_then(|l| l.sequence),
        };
        match sequence {
            Some(s) if self.layout.shape.sequences > 1 => {
                let start = kv.start + s * kv.seq;
                (start, start + kv.seq, "the KV cache of its sequence")
            }
            _ => (kv.start, kv.end, "the KV cache"),
        }
    }

    fn aligned(&self, v: &Visit<'_>) -> Check<()> {
        let multiple = |name: &str, value: u64, unit: usize| {
            if value.is_multiple_of(unit as u64) {
                return Ok(());
            }
            violation(v.pc, format!("{name} = {value} is not a multiple of {unit}"))
        };
        let (vec, aux) = (self.config.vec, u64::from(v.instr.aux));
        let vmem = |names: &[(&str, u64)]| names.iter().try_for_each(|&(name, a)| multiple(name, a, vec));
        let (a, b, c, n) = (v.a.hi, v.b.hi, v.c.hi, v.n.hi);
        match v.op {
            Op::MATW | Op::MATV => vmem(&[("c", c), ("aux", aux)]),
            Op::MATK => multiple("c", c, self.layout.shape.k_slots),
            Op::LOAD => vmem(&[("c", c)]).and(multiple("n", n, GROUP)),
            Op::EMBED => vmem(&[("c", c)]).and(multiple("n", n, GROUP)),
            Op::STORE => vmem(&[("a", a)]).and(multiple("n", n, GROUP)),
            Op::NORMQ if v.instr.flags & FLAG_VMEM != 0 => vmem(&[("a", a), ("b", b), ("c", c)]),
            Op::NORMQ => vmem(&[("a", a), ("b", b)]),
            Op::SILU => vmem(&[("a", a), ("b", b)]).and(multiple("aux", aux, COLS)),
            Op::ATTQ => vmem(&[("a", a)]).and(multiple("aux", aux, GROUP)),
            Op::ROPE | Op::RADD => vmem(&[("a", a), ("b", b), ("c", c)]),
            Op::HADW => vmem(&[("a", a), ("c", c), ("n", n)]),
            Op::HADX => {
                let k = usize::from(v.instr.k);
                if k == 0 {
                    return violation(v.pc, "distance k is 0");
                }
                vmem(&[("a", a), ("c", c), ("k", k as u64)]).and(multiple("n", n, 2 * k))
            }
            Op::SOFTMAX => multiple("n", v.n.lo, GROUP).and(multiple("n", n, GROUP)),
            Op::SUMSQ | Op::STATK | Op::STATQ | Op::QK | Op::QV | Op::QQ | Op::ARGMAX => vmem(&[("a", a)]),
            _ => Ok(()),
        }
    }

    /// Lane rows fit the accumulators; ring pointers need at most one reduction.
    fn counts(&self, v: &Visit<'_>) -> Check<()> {
        if v.op.info().unit == Unit::Matrix {
            let wide = v.op == Op::MATV && v.instr.flags & FLAG_WIDE != 0;
            let rows = v.m.hi * if wide { 2 } else { 1 };
            if rows > self.config.lane_rows as u64 {
                let what = format!("{rows} lane rows, the tiles hold {}", self.config.lane_rows);
                return violation(v.pc, what);
            }
        }
        let ring = self.layout.shape.ring as u64;
        if matches!(v.op, Op::QK | Op::QV | Op::SOFTMAX) && v.b.hi >= 2 * ring {
            return violation(v.pc, format!("ring pointer {} with a ring of {ring}", v.b.hi));
        }
        Ok(())
    }
}

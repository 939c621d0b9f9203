//! What all instructions share: resolved operands, checked addressing, recorded writes.

use std::ops::Range;

use accllm_hw::beat::Beat;
use accllm_hw::config::{COLS, Config, GROUP};
use accllm_hw::isa::Op;
use accllm_hw::sizes::PADDED_HEADS;

use super::fault::{Fault, FaultCode};
use super::limits::Limits;
use super::memory::{Memory, Port};
use super::record::{Field, Space, Write};
use super::state::{Constant, Scalar, State};

/// Operands of an instruction, registers added.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Operands {
    pub a: u32,
    pub b: u32,
    pub c: u32,
    pub n: u32,
    pub m: u32,
    pub k: u32,
    /// Shifts use the low 6 bits.
    pub sh: u32,
    pub x: u32,
    pub aux: u32,
    pub flags: u8,
}

impl Operands {
    pub(super) fn flag(&self, mask: u8) -> bool {
        self.flags & mask != 0
    }

    pub(super) fn shift(&self) -> u32 {
        self.sh & 63
    }
}

/// One instruction in execution.
pub(super) struct Exec<'a, M> {
    pub config: &'a Config,
    pub limits: &'a Limits,
    pub state: &'a mut State,
    pub memory: &'a mut M,
    pub writes: Option<Vec<Write>>,
    pub work: &'a mut u64,
}

/// Sign-extended low 16 bits: how 16-bit operands are read from 32-bit elements.
#[inline]
pub(super) fn low16(x: i32) -> i32 {
    i32::from(x as i16)
}

impl<M: Memory> Exec<'_, M> {
    /// Runs a matrix or vector instruction.
    pub(super) fn execute(&mut self, op: Op, o: &Operands) -> Result<(), Fault> {
        match op {
            Op::MATW => self.matw(o),
            Op::MATK => self.matk(o),
            Op::MATV => self.matv(o),
            Op::LOAD => self.load(o),
            Op::EMBED => self.embed(o),
            Op::STORE => self.store(o),
            Op::SUMSQ => self.sumsq(o),
            Op::NORMQ => self.normq(o),
            Op::SILU => self.silu(o),
            Op::RADD => self.radd(o),
            Op::ARGMAX => self.argmax(o),
            Op::ROPE => self.rope(o),
            Op::HADW => self.hadw(o),
            Op::HADX => self.hadx(o),
            Op::STATK => self.statk(o),
            Op::STATQ => self.statq(o),
            Op::QK => self.qk(o),
            Op::QV => self.qv(o),
            Op::QQ => self.qq(o),
            Op::SOFTMAX => self.softmax(o),
            Op::ATTQ => self.attq(o),
            Op::END | Op::ADD | Op::LOOP | Op::ENDLOOP | Op::SETC | Op::FENCE => Ok(()),
        }
    }

    /// Counts work against the limit.
    pub(super) fn charge(&mut self, units: u64) -> Result<(), Fault> {
        *self.work = self.work.saturating_add(units);
        if *self.work > self.limits.work {
            return Err(Fault::new(
                FaultCode::WorkLimit,
                units,
                format!(
                    "the run needs more than {} units of work; raise the limit or shorten its loops",
                    self.limits.work
                ),
            ));
        }
        Ok(())
    }

    pub(super) fn constant(&self, which: Constant) -> u64 {
        self.state.constant(which).into()
    }

    /// Padded head dimension.
    pub(super) fn hdp(&self) -> Result<usize, Fault> {
        let hdp = self.state.constant(Constant::Hdp) as usize;
        match PADDED_HEADS.contains(&hdp) {
            true => Ok(hdp),
            false => {
                let values = PADDED_HEADS.map(|w| w.to_string()).join(", ");
                Err(Fault::illegal(format!(
                    "constant HDP is {hdp}; set it to one of {values} with SETC first"
                )))
            }
        }
    }

    /// Query heads per KV head.
    pub(super) fn gqa(&self) -> Result<u64, Fault> {
        match self.constant(Constant::Gqa) {
            v @ 1..=16 => Ok(v),
            v => Err(Fault::illegal(format!("constant GQA is {v}; set it to 1..16 with SETC first"))),
        }
    }

    /// Vector memory of `len` elements from an aligned address.
    pub(super) fn vmem(&self, at: u64, len: u64, what: &str) -> Result<Range<usize>, Fault> {
        let size = self.config.vmem as u64;
        if !at.is_multiple_of(self.config.vec as u64) {
            let v = self.config.vec;
            return Err(Fault::onchip(at, format!("{what} at vmem[{at:#x}] is not aligned to {v} elements")));
        }
        match at.checked_add(len) {
            Some(end) if end <= size => Ok(at as usize..end as usize),
            _ => Err(Fault::onchip(
                at,
                format!("{what}: {len} elements at vmem[{at:#x}] pass its end ({size:#x})"),
            )),
        }
    }

    /// `rows` rows of `len` elements, `stride` apart, from an aligned address with an aligned stride.
    pub(super) fn vmem_rows(
        &self,
        at: u32,
        rows: u32,
        stride: u64,
        len: u64,
        what: &str,
    ) -> Result<usize, Fault> {
        if !stride.is_multiple_of(self.config.vec as u64) {
            let v = self.config.vec;
            return Err(Fault::onchip(
                at.into(),
                format!("{what}: stride {stride} is not a multiple of {v} elements"),
            ));
        }
        let span = u64::from(rows.saturating_sub(1)).saturating_mul(stride).saturating_add(len);
        Ok(self.vmem(at.into(), span, what)?.start)
    }

    /// A count that must be a multiple of `unit`.
    pub(super) fn multiple(&self, n: u64, unit: usize, what: &str) -> Result<(), Fault> {
        if n.is_multiple_of(unit as u64) {
            return Ok(());
        }
        Err(Fault::onchip(n, format!("{what} {n} is not a multiple of {unit}")))
    }

    /// Index of a scalar file entry.
    pub(super) fn scalar(&self, index: u64) -> Result<usize, Fault> {
        if index < self.config.scalars as u64 {
            return Ok(index as usize);
        }
        Err(Fault::onchip(index, format!("scalar {index} of {}", self.config.scalars)))
    }

    /// Checks the last activation word of an access.
    pub(super) fn act_word(&self, last: u64) -> Result<(), Fault> {
        if last < self.config.act as u64 {
            return Ok(());
        }
        Err(Fault::onchip(last, format!("activation word {last} of {}", self.config.act)))
    }

    /// Number of lane rows within the accumulators.
    pub(super) fn lane_rows(&self, rows: u64) -> Result<usize, Fault> {
        if rows <= self.config.lane_rows as u64 {
            return Ok(rows as usize);
        }
        Err(Fault::onchip(rows, format!("{rows} lane rows, the tiles hold {}", self.config.lane_rows)))
    }

    /// Word and lane where lane row `row` of an activation matrix starts.
    pub(super) fn lane_row(&self, base: u32, row: u64) -> (u64, usize) {
        let lanes = self.config.lanes as u64;
        (u64::from(base) + row / lanes, (row % lanes) as usize)
    }

    pub(super) fn set_vmem(&mut self, at: usize, values: &[i32]) {
        self.state.vmem[at..at + values.len()].copy_from_slice(values);
        if let Some(w) = &mut self.writes {
            w.extend((at as u64..).zip(values).map(|(address, &value)| Write {
                space: Space::Vmem,
                address,
                value,
            }));
        }
    }

    /// Writes activation columns from `col` on (word `word + (col/256)*x`), checked before; words whose column 0 is
    /// among them take the exponent 0.
    pub(super) fn set_act(&mut self, word: u64, x: u32, lane: usize, col: u64, values: &[i8]) {
        self.set_act_block(word, x, lane, col, 0, values);
    }

    /// The same with another exponent.
    pub(super) fn set_act_block(
        &mut self,
        word: u64,
        x: u32,
        lane: usize,
        col: u64,
        exponent: u8,
        values: &[i8],
    ) {
        for (col, &value) in (col..).zip(values) {
            let word = word + col / COLS as u64 * u64::from(x);
            let within = col as usize % COLS;
            let index = self.state.act_index(word as usize, lane, within);
            self.state.act[index] = value;
            if within == 0 {
                self.state.exponents[index / COLS] = exponent;
                self.note(Space::Exponent(lane as u8), word, exponent.into());
            }
            if let Some(w) = &mut self.writes {
                w.push(Write {
                    space: Space::Act(lane as u8),
                    address: word * COLS as u64 + within as u64,
                    value: value.into(),
                });
            }
        }
    }

    /// Writes quantized columns from `col` (a multiple of 32) on, with zeros up to a whole group.
    pub(super) fn set_act_groups(
        &mut self,
        word: u64,
        x: u32,
        lane: usize,
        col: u32,
        mut values: Vec<i8>,
    ) -> Result<(), Fault> {
        self.multiple(col.into(), GROUP, "activation column")?;
        values.resize(values.len().next_multiple_of(GROUP), 0);
        let last = (u64::from(col) + values.len() as u64 - 1) / COLS as u64;
        self.act_word(word + last * u64::from(x))?;
        self.set_act(word, x, lane, col.into(), &values);
        Ok(())
    }

    pub(super) fn set_score(&mut self, element: usize, lane: usize, value: i32) {
        let index = self.state.score_index(element, lane);
        self.state.score[index] = value;
        self.note(Space::Score(lane as u8), element as u64, value);
    }

    /// Changes fields of a scalar and records those that `fields` lists.
    pub(super) fn set_scalar(&mut self, index: usize, value: Scalar, fields: &[Field]) {
        self.state.scalars[index] = value;
        for &f in fields {
            let v = match f {
                Field::Scale => value.scale.into(),
                Field::Base => value.base.into(),
                Field::R => value.r.into(),
                Field::K => value.k.into(),
                Field::QSum => value.q_sum.into(),
                Field::SumR => value.sum_r.into(),
                Field::SumK => value.sum_k.into(),
            };
            self.note(Space::Scalar(f), index as u64, v);
        }
    }

    pub(super) fn note(&mut self, space: Space, address: u64, value: i32) {
        if let Some(w) = &mut self.writes {
            w.push(Write { space, address, value });
        }
    }

    /// Writes to a memory, recording the strobed bytes.
    pub(super) fn set_beat(&mut self, port: Port, beat: u64, data: &Beat, strobe: u64) -> Result<(), Fault> {
        let (space, code, info) = match port {
            Port::Aux => (Space::Aux, FaultCode::AxiAux, beat),
            Port::Channel(c) => (Space::Channel(c as u8), FaultCode::AxiWrite, c as u64),
        };
        self.memory.write(port, beat, data, strobe).map_err(|e| Fault::new(code, info, e.to_string()))?;
        if self.writes.is_some() {
            for (i, &byte) in data.iter().enumerate().filter(|(i, _)| strobe >> i & 1 == 1) {
                self.note(space, beat * data.len() as u64 + i as u64, byte.into());
            }
        }
        Ok(())
    }

    /// Checks that `count` beats from `beat` of every channel may be read.
    pub(super) fn read_range(&self, beat: u64, count: u64, what: &str) -> Result<(), Fault> {
        let limit = u64::from(self.limits.channel_limit);
        match beat.checked_add(count) {
            Some(end) if end <= limit => Ok(()),
            _ => Err(Fault::new(
                FaultCode::ReadRange,
                beat,
                format!("{what}: {count} beats from {beat}, {limit} may be read"),
            )),
        }
    }

    /// Checks that a beat of a channel may be written.
    pub(super) fn write_range(&self, beat: u64, what: &str) -> Result<(), Fault> {
        let (low, high) = (self.limits.write_low, self.limits.write_high);
        if beat >= low.into() && beat < high.into() {
            return Ok(());
        }
        Err(Fault::new(
            FaultCode::WriteRange,
            beat,
            format!("{what}: beat {beat} is outside the writable beats {low}..{high}"),
        ))
    }
}

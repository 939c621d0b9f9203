//! The trace outputs of `accllm_core`, decoded into the comparator's events.

use super::activity::Activity;
use super::axi::Axi;
use super::event::Observer;
use super::units::Units;
use crate::golden::{Field, Space};
use crate::lockstep::Event;
use crate::verilate::{Model, Port, SimError};
use accllm_hw::config::{COLS, Config};
use accllm_hw::isa::Unit;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Bits of `trace_valid`.
mod bit {
    pub const MV: u64 = 1;
    pub const MS: u64 = 2;
    pub const VV: u64 = 4;
    pub const VA: u64 = 8;
    pub const VS: u64 = 16;
    pub const VR: u64 = 32;
    pub const MDONE: u64 = 64;
    pub const VDONE: u64 = 128;
    pub const MDISPATCH: u64 = 256;
    pub const VDISPATCH: u64 = 512;
}

/// Operations of a unit that were dispatched and have not ended.
#[derive(Default)]
struct Open {
    ended: u64,
    seqs: VecDeque<u32>,
}

impl Open {
    /// Index among the unit's operations of the one with that dispatch number.
    #[inline]
    fn unit_seq(&self, seq: u32) -> u64 {
        // An operation that is not open is no operation of the program: a number that the comparator reports.
        self.seqs.iter().position(|&s| s == seq).map_or(u64::MAX, |i| self.ended + i as u64)
    }
}

/// Ports of writes to vector memory by one unit.
struct Vmem {
    seq: Port,
    addr: Port,
    mask: Port,
    data: Port,
}

/// All trace ports, and the numbering of operations.
pub(super) struct Trace {
    vec: usize,
    banks: usize,
    valid: Port,
    mv: Vmem,
    vv: Vmem,
    ms: [Port; 5],
    va: [Port; 7],
    vs: [Port; 3],
    vs_f: [Port; 4],
    vr: [Port; 3],
    mdone_seq: Port,
    vdone_seq: Port,
    state: Port,
    units: Units,
    dispatched: u32,
    open: [Open; 2],
}

/// Index into `open`.
const MAT: usize = 0;
const VEC: usize = 1;

#[inline]
fn signed(word: u32) -> i32 {
    word as i32
}

impl Trace {
    pub(super) fn resolve(m: &Model, c: &Config) -> Result<Self, SimError> {
        let p = |name: &str| m.port(&format!("trace_{name}"));
        let vmem = |unit: &str| -> Result<Vmem, SimError> {
            let q = |name: &str| p(&format!("{unit}_{name}"));
            let data = m.port_shaped(&format!("trace_{unit}_data"), 32 * c.vec as u32, 1)?;
            Ok(Vmem { seq: q("seq")?, addr: q("addr")?, mask: q("mask")?, data })
        };
        let wide = (c.lanes * c.score_banks() * 32) as u32;
        let bytes = 8 * c.vec as u32;
        Ok(Self {
            vec: c.vec,
            banks: c.score_banks(),
            valid: m.port_shaped("trace_valid", 10, 1)?,
            mv: vmem("mv")?,
            vv: vmem("vv")?,
            ms: [
                p("ms_seq")?,
                p("ms_row")?,
                p("ms_lanes")?,
                p("ms_banks")?,
                m.port_shaped("trace_ms_data", wide, 1)?,
            ],
            va: [
                p("va_seq")?,
                p("va_addr")?,
                p("va_lanes")?,
                p("va_banks")?,
                m.port_shaped("trace_va_even", bytes, 1)?,
                m.port_shaped("trace_va_odd", bytes, 1)?,
                m.port_shaped("trace_va_exp", 4, 1)?,
            ],
            vs: [p("vs_seq")?, p("vs_addr")?, m.port_shaped("trace_vs_fields", 5, 1)?],
            vs_f: [p("vs_f0")?, p("vs_f1")?, p("vs_f2")?, p("vs_f3")?],
            vr: [p("vr_seq")?, p("vr_index")?, p("vr_value")?],
            mdone_seq: p("mdone_seq")?,
            vdone_seq: p("vdone_seq")?,
            state: m.port_shaped("trace_state", 32, 1)?,
            units: Units::resolve(m)?,
            dispatched: 0,
            open: Default::default(),
        })
    }

    /// A run begins: operations are counted from 0.
    pub(super) fn begin(&mut self) {
        self.dispatched = 0;
        self.open = Default::default();
    }

    /// Who waits: the bits of a STALL fault's FAULT_INFO in bits 8:0, the oldest instruction in 31:16.
    pub(super) fn state(&self, m: &Model) -> u32 {
        m.get_u64(self.state) as u32
    }

    /// What every unit does in this cycle.
    #[inline]
    pub(super) fn activity(&self, m: &Model, axi: &Axi) -> Activity {
        self.units.sample(m, axi)
    }

    /// The vector operation that runs.
    pub(super) fn vector_op(&self) -> u64 {
        self.open[VEC].ended
    }

    /// Delivers the events of this cycle: writes first, ends last.
    #[inline]
    pub(super) fn events(&mut self, m: &Model, cycle: u64, o: &mut impl Observer) -> ControlFlow<()> {
        match m.get_u64(self.valid) {
            0 => ControlFlow::Continue(()),
            valid => self.decode(m, valid, cycle, o),
        }
    }

    fn decode(&mut self, m: &Model, valid: u64, cycle: u64, o: &mut impl Observer) -> ControlFlow<()> {
        let n = |p: Port| m.get_u64(p) as u32;
        for (bit, at, unit, v) in
            [(bit::MV, MAT, Unit::Matrix, &self.mv), (bit::VV, VEC, Unit::Vector, &self.vv)]
        {
            if valid & bit != 0 {
                let unit_seq = self.open[at].unit_seq(n(v.seq));
                let address = u64::from(n(v.addr)) * self.vec as u64;
                let mut data = [0; 32];
                data.iter_mut().zip(m.words(v.data, 0)).for_each(|(d, &w)| *d = signed(w));
                let data = &data[..self.vec];
                let mask = n(v.mask).into();
                o.event(cycle, &Event { unit, unit_seq, space: Space::Vmem, address, mask, data })?;
            }
        }
        if valid & bit::MS != 0 {
            self.score(m, cycle, o)?;
        }
        if valid & bit::VA != 0 {
            self.act(m, cycle, o)?;
        }
        if valid & bit::VS != 0 {
            self.scalar(m, cycle, o)?;
        }
        if valid & bit::VR != 0 {
            let unit_seq = self.open[VEC].unit_seq(n(self.vr[0]));
            let data = [signed(n(self.vr[1])), signed(n(self.vr[2]))];
            let (unit, space) = (Unit::Vector, Space::Result);
            o.event(cycle, &Event { unit, unit_seq, space, address: 0, mask: 3, data: &data })?;
        }
        for (bit, at, unit, seq) in
            [(bit::MDONE, MAT, Unit::Matrix, self.mdone_seq), (bit::VDONE, VEC, Unit::Vector, self.vdone_seq)]
        {
            if valid & bit != 0 {
                let unit_seq = self.open[at].unit_seq(n(seq));
                o.end(cycle, unit, unit_seq)?;
                self.open[at].seqs.pop_front();
                self.open[at].ended += 1;
            }
        }
        for (bit, at) in [(bit::MDISPATCH, MAT), (bit::VDISPATCH, VEC)] {
            if valid & bit != 0 {
                self.open[at].seqs.push_back(self.dispatched);
                self.dispatched += 1;
            }
        }
        ControlFlow::Continue(())
    }

    fn score(&self, m: &Model, cycle: u64, o: &mut impl Observer) -> ControlFlow<()> {
        let [seq, row, lanes, banks, data] = self.ms;
        let unit_seq = self.open[MAT].unit_seq(m.get_u64(seq) as u32);
        let (address, lanes) = (m.get_u64(row) * self.banks as u64, m.get_u64(lanes));
        let mask = m.get_u64(banks).into();
        for (lane, words) in m.words(data, 0).chunks(self.banks).enumerate() {
            if lanes >> lane & 1 != 0 {
                let mut data = [0; 64];
                data.iter_mut().zip(words).for_each(|(d, &w)| *d = signed(w));
                let (unit, space) = (Unit::Matrix, Space::Score(lane as u8));
                let data = &data[..self.banks];
                o.event(cycle, &Event { unit, unit_seq, space, address, mask, data })?;
            }
        }
        ControlFlow::Continue(())
    }

    fn act(&self, m: &Model, cycle: u64, o: &mut impl Observer) -> ControlFlow<()> {
        let [seq, word, lanes, banks, even, odd, exponent] = self.va;
        let unit_seq = self.open[VEC].unit_seq(m.get_u64(seq) as u32);
        let (word, lanes, banks) = (m.get_u64(word), m.get_u64(lanes), m.get_u64(banks));
        let words = self.vec / 4;
        for lane in (0..64).filter(|l| lanes >> l & 1 != 0) {
            // The exponent is written with column 0.
            if banks & 1 != 0 {
                let (unit, space, data) =
                    (Unit::Vector, Space::Exponent(lane as u8), [m.get_u64(exponent) as i32]);
                o.event(cycle, &Event { unit, unit_seq, space, address: word, mask: 1, data: &data })?;
            }
            let bytes = m.words(if lane % 2 == 0 { even } else { odd }, 0);
            for half in 0..2 {
                let banks = banks >> (32 * half) & 0xffff_ffff;
                if banks == 0 {
                    continue;
                }
                let (mut data, mut mask) = ([0; 128], 0);
                for i in (0..32).filter(|i| banks >> i & 1 != 0) {
                    // A bank takes the word whose index is its own modulo the words of the data; 32 is a multiple.
                    let four = bytes[i % words].to_le_bytes();
                    data[4 * i..4 * i + 4].iter_mut().zip(four).for_each(|(d, b)| *d = (b as i8).into());
                    mask |= 15 << (4 * i);
                }
                let address = word * COLS as u64 + 128 * half;
                let (unit, space) = (Unit::Vector, Space::Act(lane as u8));
                o.event(cycle, &Event { unit, unit_seq, space, address, mask, data: &data })?;
            }
        }
        ControlFlow::Continue(())
    }

    fn scalar(&self, m: &Model, cycle: u64, o: &mut impl Observer) -> ControlFlow<()> {
        let [seq, entry, fields] = self.vs;
        let unit_seq = self.open[VEC].unit_seq(m.get_u64(seq) as u32);
        let (address, fields) = (m.get_u64(entry), m.get_u64(fields));
        let f = self.vs_f.map(|p| m.get_u64(p) as u32);
        for (bit, field, value) in [
            (0, Field::Scale, (f[0] & 0xffff) as i32),
            (4, Field::Base, ((f[0] >> 16) as i16).into()),
            (1, Field::R, (f[1] & 0xffff) as i32),
            (1, Field::K, (f[1] >> 16) as i32),
            (2, Field::QSum, (f[2] as i16).into()),
            (3, Field::SumR, (f[3] & 0xffff) as i32),
            (3, Field::SumK, (f[3] >> 16) as i32),
        ] {
            if fields >> bit & 1 != 0 {
                let (unit, space) = (Unit::Vector, Space::Scalar(field));
                o.event(cycle, &Event { unit, unit_seq, space, address, mask: 1, data: &[value] })?;
            }
        }
        ControlFlow::Continue(())
    }
}

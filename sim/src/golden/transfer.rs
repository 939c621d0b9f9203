//! LOAD, EMBED, STORE: between auxiliary and vector memory.

use accllm_hw::beat::{Beat, set_param};
use accllm_hw::config::{BEAT_BYTES, GROUP};
use accllm_hw::isa::FLAG_I32;
use accllm_hw::numbers::numbers;

use super::exec::{Exec, Operands};
use super::fault::{Fault, FaultCode};
use super::memory::{Memory, Port};

/// 32-bit elements of a beat.
const WORDS: usize = BEAT_BYTES / 4;

fn out_of_aux(beat: u64, message: String) -> Fault {
    Fault::new(FaultCode::AuxRange, beat, message)
}

impl<M: Memory> Exec<'_, M> {
    /// Checked read of `count` beats of auxiliary memory.
    fn aux_beats(&self, at: u64, count: u64, what: &str) -> Result<Vec<Beat>, Fault> {
        let limit = u64::from(self.limits.aux_limit);
        if at.checked_add(count).is_none_or(|end| end > limit) {
            return Err(out_of_aux(at, format!("{what}: {count} beats from {at}, {limit} may be read")));
        }
        (at..at + count)
            .map(|b| self.memory.read_beat(Port::Aux, b))
            .collect::<Result<_, _>>()
            .map_err(|e| Fault::new(FaultCode::AxiAux, e.beat, e.to_string()))
    }

    pub(super) fn load(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        self.multiple(o.n.into(), GROUP, "LOAD: number of elements")?;
        let to = self.vmem(o.c.into(), o.n.into(), "LOAD destination")?;
        let wide = o.flag(FLAG_I32);
        let beats = u64::from(o.n) / if wide { WORDS as u64 } else { 2 * WORDS as u64 };
        self.charge(beats)?;
        let beats = self.aux_beats(o.a.into(), beats, "LOAD")?;
        let values: Vec<i32> = if wide {
            numbers(beats.as_flattened()).collect()
        } else {
            numbers::<i16>(beats.as_flattened()).map(i32::from).collect()
        };
        self.set_vmem(to.start, &values);
        Ok(())
    }

    pub(super) fn embed(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        self.multiple(o.n.into(), GROUP, "EMBED: number of elements")?;
        let to = self.vmem(o.c.into(), o.n.into(), "EMBED destination")?;
        let id = *self.state.vmem.get(o.b as usize).ok_or_else(|| {
            Fault::onchip(o.b.into(), format!("EMBED: token id at vmem[{:#x}], past its end", o.b))
        })? as u32;
        if id >= o.aux {
            return Err(out_of_aux(id.into(), format!("token id {id} is not below {}", o.aux)));
        }
        let at = u64::from(o.a) + u64::from(id) * u64::from(o.k);
        let beats = u64::from(o.n) / (2 * WORDS as u64);
        self.charge(beats)?;
        let beats = self.aux_beats(at, beats, "EMBED")?;
        let values: Vec<i32> =
            numbers::<i16>(beats.as_flattened()).map(|e| (i64::from(e) << o.shift()) as i32).collect();
        self.set_vmem(to.start, &values);
        Ok(())
    }

    pub(super) fn store(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        self.multiple(o.n.into(), GROUP, "STORE: number of elements")?;
        let from = self.vmem(o.a.into(), o.n.into(), "STORE source")?;
        let (low, high) = (self.limits.aux_write_low, self.limits.aux_write_high);
        let end = u64::from(o.c) + u64::from(o.n) / WORDS as u64;
        if o.c < low || end > high.into() {
            let message = format!("STORE to beats {}..{end}, {low}..{high} may be written", o.c);
            return Err(out_of_aux(o.c.into(), message));
        }
        self.charge(u64::from(o.n) / WORDS as u64)?;
        let values = self.state.vmem[from].to_vec();
        for (beat, words) in (u64::from(o.c)..).zip(values.chunks_exact(WORDS)) {
            let mut data = [0; BEAT_BYTES];
            for (i, &w) in words.iter().enumerate() {
                set_param(&mut data, i, w as u32);
            }
            self.set_beat(Port::Aux, beat, &data, u64::MAX)?;
        }
        Ok(())
    }
}

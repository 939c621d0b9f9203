//! STATK, STATQ, QK, QV, QQ: quantization of heads, and appending to the KV cache.

use accllm_hw::beat::{KeyBeats, key_param, nibble_of, set_nibble, set_param};
use accllm_hw::config::{BEAT_BYTES, GROUP, MACS, PARAMS};
use accllm_hw::fixed::{k_code, k_step, q_code, q_step, v_code};
use accllm_hw::tables::{Recip, recip};

use super::exec::{Exec, Operands, low16};
use super::fault::Fault;
use super::memory::{Memory, Port};
use super::record::Field;
use super::state::{Constant, Scalar};

impl<M: Memory> Exec<'_, M> {
    /// Head `h` of `n` heads from `start`, as 16-bit values.
    fn head16(&self, start: usize, h: usize, len: usize) -> Vec<i32> {
        self.state.vmem[start + h * len..][..len].iter().map(|&v| low16(v)).collect()
    }

    /// Scalar of query head `h` of token `m`: `base + (h/G)*k + m*G + h%G`.
    fn query_scalar(&self, base: u32, o: &Operands, gqa: u64, h: u64) -> Result<usize, Fault> {
        let offset = h / gqa * u64::from(o.k) + u64::from(o.m) * gqa + h % gqa;
        self.scalar(u64::from(base) + offset)
    }

    /// Slot of the token at position `m`: `(in the sink region, slot in its region)`.
    fn append_slot(&self, o: &Operands) -> (bool, u64) {
        if o.m < self.state.constant(Constant::NSink) {
            return (true, o.m.into());
        }
        let ring = self.state.constant(Constant::Ring);
        (false, u64::from(if o.b >= ring { o.b - ring } else { o.b }))
    }

    pub(super) fn statk(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        let hdp = self.hdp()?;
        let from = self.vmem_rows(o.a, o.n, hdp as u64, hdp as u64, "STATK source")?;
        self.scalar(u64::from(o.c) + u64::from(o.n) - 1)?;
        self.charge_elements(u64::from(o.n) * hdp as u64)?;
        for h in 0..o.n as usize {
            let (scale, base) = k_step(&self.head16(from, h, hdp));
            let Recip { r, k } = recip(scale.into());
            let at = o.c as usize + h;
            let value = Scalar { scale, base, r, k: k as u8, ..self.state.scalars[at] };
            self.set_scalar(at, value, &[Field::Scale, Field::Base, Field::R, Field::K]);
        }
        Ok(())
    }

    pub(super) fn statq(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        let (hdp, gqa) = (self.hdp()?, self.gqa()?);
        let from = self.vmem_rows(o.a, o.n, hdp as u64, hdp as u64, "STATQ source")?;
        for h in 0..u64::from(o.n) {
            self.query_scalar(o.c, o, gqa, h)?;
        }
        self.charge_elements(u64::from(o.n) * hdp as u64)?;
        for h in 0..o.n as usize {
            let scale = q_step(&self.head16(from, h, hdp));
            let Recip { r, k } = recip(scale.into());
            let at = self.query_scalar(o.c, o, gqa, h as u64)?;
            let value = Scalar { scale, r, k: k as u8, ..self.state.scalars[at] };
            self.set_scalar(at, value, &[Field::Scale, Field::R, Field::K]);
        }
        Ok(())
    }

    pub(super) fn qk(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        let hdp = self.hdp()?;
        let from = self.vmem_rows(o.a, o.n, hdp as u64, hdp as u64, "QK source")?;
        self.scalar(u64::from(o.aux) + u64::from(o.n) - 1)?;
        self.charge_elements(u64::from(o.n) * hdp as u64)?;
        let keys = KeyBeats::of(hdp);
        let channels = self.config.channels;
        let (sink, slot) = self.append_slot(o);
        let (slot, region) = (slot as usize, if sink { 0 } else { self.constant(Constant::KWindow) });
        let (step, channel, half) =
            (slot / (channels * keys.keys), slot / keys.keys % channels, slot % keys.keys);
        let (params, codes) = keys.at(step);
        let beats = |head: u64| {
            let start = u64::from(o.c) + head * u64::from(o.k) + region;
            (start + params as u64, start + codes as u64)
        };
        for h in 0..u64::from(o.n) {
            self.write_range(beats(h).0, "QK parameters")?;
            for beat in 0..keys.beats as u64 {
                self.write_range(beats(h).1 + beat, "QK codes")?;
            }
        }
        let word = (step * keys.keys + half) % PARAMS;
        for h in 0..o.n as usize {
            let (param_beat, code_beat) = beats(h as u64);
            let s = self.state.scalars[o.aux as usize + h];
            let port = Port::Channel(channel);
            let mut data = [0; BEAT_BYTES];
            set_param(&mut data, word, key_param(s.scale, s.base));
            self.set_beat(port, param_beat, &data, 0xf << (4 * word))?;

            for (beat, elements) in (code_beat..).zip(self.head16(from, h, hdp).chunks(MACS)) {
                let (mut data, mut strobe) = ([0; BEAT_BYTES], 0u64);
                for (d, v) in elements.iter().enumerate() {
                    let multiplier = half * hdp + d;
                    set_nibble(&mut data, multiplier, k_code(*v, s.base, s.inverse()));
                    strobe |= 1 << (nibble_of(multiplier) / 2);
                }
                self.set_beat(port, beat, &data, strobe)?;
            }
        }
        Ok(())
    }

    pub(super) fn qv(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        let channels = self.config.channels;
        let dim = self.constant(Constant::VDim);
        if dim == 0 || !dim.is_multiple_of(4 * channels as u64) {
            let unit = 4 * channels;
            return Err(Fault::illegal(format!(
                "constant V_DIM is {dim}; set it to a multiple of {unit} with SETC first"
            )));
        }
        let from = self.vmem_rows(o.a, o.n, dim, dim, "QV source")?;
        self.charge_elements(u64::from(o.n) * dim)?;
        let (sink, slot) = self.append_slot(o);
        let slot = if sink { slot } else { self.constant(Constant::SinkPad) + slot };
        let (block, s) = (slot / GROUP as u64, (slot % GROUP as u64) as usize);
        let steps = dim / (4 * channels as u64);
        let beat = |h: u64, j: u64| u64::from(o.c) + h * u64::from(o.k) + j * u64::from(o.aux) + block;
        for h in 0..u64::from(o.n) {
            for j in 0..steps {
                self.write_range(beat(h, j), "QV codes")?;
            }
        }
        for h in 0..u64::from(o.n) {
            for j in 0..steps {
                for c in 0..channels {
                    let at = from + (h * dim) as usize + (j as usize * channels + c) * 4;
                    let mut data = [0; BEAT_BYTES];
                    for g in 0..4 {
                        set_nibble(&mut data, GROUP * g + s, v_code(self.state.vmem[at + g], o.shift()));
                    }
                    self.set_beat(Port::Channel(c), beat(h, j), &data, 3 << (2 * s))?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn qq(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        let (hdp, gqa) = (self.hdp()?, self.gqa()?);
        let from = self.vmem_rows(o.a, o.n, hdp as u64, hdp as u64, "QQ source")?;
        let target = |h: u64| {
            let (word, lane) = self.lane_row(o.c, u64::from(o.m) * gqa + h % gqa);
            (word + h / gqa * u64::from(o.x), lane)
        };
        let mut targets = Vec::new();
        for h in 0..u64::from(o.n) {
            self.act_word(target(h).0)?;
            targets.push((self.query_scalar(o.b, o, gqa, h)?, target(h)));
        }
        self.charge_elements(u64::from(o.n) * hdp as u64)?;
        for (h, (at, (word, lane))) in targets.into_iter().enumerate() {
            let s = self.state.scalars[at];
            let codes: Vec<i8> =
                self.head16(from, h, hdp).into_iter().map(|v| q_code(v, s.inverse())).collect();
            let q_sum = codes.iter().map(|&c| i16::from(c)).sum();
            self.set_scalar(at, Scalar { q_sum, ..s }, &[Field::QSum]);
            self.set_act(word, 0, lane, 0, &codes.repeat(MACS.div_ceil(hdp)));
        }
        Ok(())
    }
}

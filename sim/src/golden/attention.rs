//! SOFTMAX and ATTQ.

use accllm_hw::config::{COLS, GROUP, MACS};
use accllm_hw::fixed::{attn_code, prob, rs_wide, split};
use accllm_hw::isa::FLAG_WIDE;
use accllm_hw::tables::recip;

use super::exec::{Exec, Operands};
use super::fault::Fault;
use super::memory::Memory;
use super::record::Field;
use super::state::{Constant, Scalar};

/// Which slots the query at `position` sees.
struct Mask {
    position: i64,
    pointer: i64,
    n_sink: i64,
    ring: i64,
    sink_pad: i64,
    /// Window tokens in sight.
    window: i64,
}

impl Mask {
    fn sees(&self, slot: i64) -> bool {
        if slot < self.sink_pad {
            return slot < self.n_sink && slot <= self.position;
        }
        let behind = self.pointer - (slot - self.sink_pad);
        let behind = if behind < 0 { behind + self.ring } else { behind };
        (0..self.window).contains(&behind)
    }
}

impl<M: Memory> Exec<'_, M> {
    fn mask(&self, o: &Operands) -> Mask {
        let get = |c| i64::from(self.state.constant(c));
        let (position, ring, n_sink) = (i64::from(o.a), get(Constant::Ring), get(Constant::NSink));
        let pointer = i64::from(o.b);
        Mask {
            position,
            pointer: if pointer >= ring { pointer - ring } else { pointer },
            n_sink,
            ring,
            sink_pad: get(Constant::SinkPad),
            window: get(Constant::NWindow).min(position + 1 - n_sink),
        }
    }

    pub(super) fn softmax(&mut self, o: &Operands) -> Result<(), Fault> {
        let sink_pad = self.constant(Constant::SinkPad);
        let slots = sink_pad + u64::from(o.n);
        if slots == 0 {
            return Ok(());
        }
        self.multiple(sink_pad, GROUP, "constant SINK_PAD")?;
        self.multiple(o.n.into(), GROUP, "SOFTMAX: number of window slots")?;
        self.score_range(u64::from(o.m) + 1, 0, slots, self.config.vec as u64)?;
        let window = self.scalar(u64::from(o.aux & 0xffff) + u64::from(o.m))?;
        let sink = self.scalar(u64::from(o.aux >> 16) + u64::from(o.m))?;
        let wide = o.flag(FLAG_WIDE);
        let (word, lane) = self.lane_row(o.c, u64::from(o.m) << u32::from(wide));
        self.act_word(word + (slots - 1) / 64 * u64::from(o.x))?;
        self.charge_elements(2 * slots)?;

        let lanes = self.config.lanes;
        let row = o.m as usize / lanes * self.state.constant(Constant::ScoreRow) as usize;
        let scale = |at: usize| i64::from(self.state.scalars[at].scale) * i64::from(o.k);
        let (window_scale, sink_scale) = (scale(window), scale(sink));
        let mask = self.mask(o);
        let z: Vec<Option<i32>> = (0..slots)
            .map(|slot| {
                let factor = if slot < sink_pad { sink_scale } else { window_scale };
                let index = self.state.score_index(row + slot as usize, o.m as usize % lanes);
                let z = i128::from(self.state.score[index]) * i128::from(factor);
                let z = rs_wide(z, o.shift()).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
                mask.sees(slot as i64).then_some(z)
            })
            .collect();
        let max = z.iter().flatten().copied().max().unwrap_or(i32::MIN);
        let p: Vec<i32> = z.iter().map(|z| z.map_or(0, |z| prob(z, max, wide))).collect();
        let sum = p.iter().fold(0u32, |s, &p| s.wrapping_add(p as u32));
        for (block, p) in p.chunks_exact(GROUP).enumerate() {
            let at = word + block as u64 / 2 * u64::from(o.x);
            let col = (block * MACS % COLS) as u64;
            let (high, low): (Vec<i8>, Vec<i8>) = p.iter().map(|&p| split(p)).unzip();
            if wide {
                self.set_act(at, 0, lane, col, &high.repeat(MACS / GROUP));
                self.set_act(at, 0, lane + 1, col, &low.repeat(MACS / GROUP));
            } else {
                self.set_act(at, 0, lane, col, &low.repeat(MACS / GROUP));
            }
        }
        let (sum_r, sum_k) = recip(sum);
        let value = Scalar { sum_r, sum_k: sum_k as u8, ..self.state.scalars[window] };
        self.set_scalar(window, value, &[Field::SumR, Field::SumK]);
        Ok(())
    }

    pub(super) fn attq(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        let from = self.vmem(o.a.into(), o.n.into(), "ATTQ source")?;
        let inverse = self.state.scalars[self.scalar(o.b.into())?].sum_inverse();
        self.charge_elements(o.n.into())?;
        let codes =
            self.state.vmem[from].iter().map(|&acc| attn_code(acc, inverse, o.k as u16, o.shift())).collect();
        let (word, lane) = self.lane_row(o.c, o.m.into());
        self.set_act_groups((word, o.x, lane), o.aux, codes)
    }
}

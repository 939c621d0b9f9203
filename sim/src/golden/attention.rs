//! SOFTMAX and ATTQ.

use accllm_hw::config::{COLS, GROUP, MACS};
use accllm_hw::fixed::{attn_code, prob, rs, split};
use accllm_hw::isa::FLAG_WIDE;
use accllm_hw::tables::{Recip, recip};

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
        let (first, rows) = (u64::from(o.m), self.gqa()?);
        let last = first + rows - 1;
        self.multiple(sink_pad, GROUP, "constant SINK_PAD")?;
        self.multiple(o.n.into(), GROUP, "SOFTMAX: number of window slots")?;
        self.multiple(self.constant(Constant::ScoreRow), self.config.vec, "constant SCORE_ROW")?;
        self.score_range(last + 1, 0, slots, self.config.vec as u64)?;
        self.scalar(u64::from(o.aux & 0xffff) + last)?;
        self.scalar(u64::from(o.aux >> 16) + last)?;
        let (word, _) = self.lane_row(o.c, last << u32::from(o.flag(FLAG_WIDE)));
        self.act_word(word + (slots - 1) / 64 * u64::from(o.x))?;
        self.charge_elements(rows * 2 * slots)?;

        let mask = self.mask(o);
        (first..=last).for_each(|row| self.softmax_row(o, &mask, row, slots));
        Ok(())
    }

    /// One row of a SOFTMAX, ranges checked.
    fn softmax_row(&mut self, o: &Operands, mask: &Mask, row: u64, slots: u64) {
        let (lanes, wide, sink_pad) =
            (self.config.lanes, o.flag(FLAG_WIDE), self.constant(Constant::SinkPad));
        let (word, lane) = self.lane_row(o.c, row << u32::from(wide));
        let row = row as usize;
        let (window, sink) = ((o.aux & 0xffff) as usize + row, (o.aux >> 16) as usize + row);
        let start = row / lanes * self.state.constant(Constant::ScoreRow) as usize;
        let scale = |at: usize| i64::from(self.state.scalars[at].scale) * i64::from(o.k);
        let (window_scale, sink_scale) = (scale(window), scale(sink));
        let z: Vec<Option<i32>> = (0..slots)
            .map(|slot| {
                let factor = if slot < sink_pad { sink_scale } else { window_scale };
                let index = self.state.score_index(start + slot as usize, row % lanes);
                let z = i128::from(self.state.score[index]) * i128::from(factor);
                let z = rs(z, o.shift()).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
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
        let Recip { r: sum_r, k: sum_k } = recip(sum);
        let value = Scalar { sum_r, sum_k: sum_k as u8, ..self.state.scalars[window] };
        self.set_scalar(window, value, &[Field::SumR, Field::SumK]);
    }

    pub(super) fn attq(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        let (heads, n, stride) = (self.gqa()? as usize, o.n as usize, self.constant(Constant::VDim));
        let from = self.vmem_rows(o.a, heads as u32, stride, o.n.into(), "ATTQ source")?;
        self.scalar(u64::from(o.b) + heads as u64 - 1)?;
        self.charge_elements((heads * n) as u64)?;
        let mut codes = Vec::with_capacity(heads * n.next_multiple_of(GROUP));
        for g in 0..heads {
            let inverse = self.state.scalars[o.b as usize + g].sum_inverse();
            let sums = &self.state.vmem[from + g * stride as usize..][..n];
            codes.extend(sums.iter().map(|&acc| attn_code(acc, inverse, o.k as u16, o.shift())));
            codes.resize((g + 1) * n.next_multiple_of(GROUP), 0);
        }
        let (word, lane) = self.lane_row(o.c, o.m.into());
        self.set_act_groups(word, o.x, lane, o.aux, codes)
    }
}

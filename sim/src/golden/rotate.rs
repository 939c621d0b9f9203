//! ROPE, HADW, HADX: rotation of heads.

use accllm_hw::fixed::{rope_pair, rs, sat};
use accllm_hw::isa::FLAG_FINAL;

use super::exec::{Exec, Operands};
use super::fault::Fault;
use super::memory::Memory;

/// Sum and difference of each pair `(i, i + half)` of every `2 * half` elements; 32 bits, wrapping.
fn butterflies(x: &mut [i32], half: usize) {
    for block in x.chunks_exact_mut(2 * half) {
        let (low, high) = block.split_at_mut(half);
        for (a, b) in low.iter_mut().zip(high) {
            (*a, *b) = (a.wrapping_add(*b), a.wrapping_sub(*b));
        }
    }
}

impl<M: Memory> Exec<'_, M> {
    pub(super) fn rope(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        let hdp = self.hdp()?;
        let len = u64::from(o.n) * hdp as u64;
        let from = self.vmem(o.a.into(), len, "ROPE source")?;
        let table = self.vmem(o.b.into(), hdp as u64, "ROPE cos and sin")?;
        let to = self.vmem(o.c.into(), len, "ROPE destination")?;
        self.charge_elements(len)?;
        let half = hdp / 2;
        let mut out = self.state.vmem[from].to_vec();
        let (cos, sin) = self.state.vmem[table].split_at(half);
        for head in out.chunks_exact_mut(hdp) {
            let (low, high) = head.split_at_mut(half);
            for (i, (a, b)) in low.iter_mut().zip(high).enumerate() {
                (*a, *b) = rope_pair(*a, *b, cos[i] as i16, sin[i] as i16);
            }
        }
        self.set_vmem(to.start, &out);
        Ok(())
    }

    pub(super) fn hadw(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        let v = self.config.vec;
        self.multiple(o.n.into(), v, "HADW: number of elements")?;
        let from = self.vmem(o.a.into(), o.n.into(), "HADW source")?;
        let to = self.vmem(o.c.into(), o.n.into(), "HADW destination")?;
        self.charge_elements(o.n.into())?;
        let mut out = self.state.vmem[from].to_vec();
        let mut half = 1;
        while half < v {
            butterflies(&mut out, half);
            half *= 2;
        }
        self.set_vmem(to.start, &out);
        Ok(())
    }

    pub(super) fn hadx(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        let half = o.k as usize;
        self.multiple(o.k.into(), self.config.vec, "HADX: distance")?;
        if half == 0 {
            return Err(Fault::onchip(0, "HADX: distance 0"));
        }
        self.multiple(o.n.into(), 2 * half, "HADX: number of elements")?;
        let from = self.vmem(o.a.into(), o.n.into(), "HADX source")?;
        let to = self.vmem(o.c.into(), o.n.into(), "HADX destination")?;
        self.charge_elements(o.n.into())?;
        let mut out = self.state.vmem[from].to_vec();
        butterflies(&mut out, half);
        if o.flag(FLAG_FINAL) {
            out.iter_mut().for_each(|v| *v = sat(rs((*v).into(), o.shift()), 16) as i32);
        }
        self.set_vmem(to.start, &out);
        Ok(())
    }
}

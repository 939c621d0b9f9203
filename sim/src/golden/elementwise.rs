//! SUMSQ, NORMQ, SILU, RADD, ARGMAX: over rows of vector memory.

use accllm_hw::config::{COLS, GROUP};
use accllm_hw::fixed::{block_code, block_exponent, norm_element, norm_wide, resid_add, silu_mul};
use accllm_hw::isa::{FLAG_FIRST, FLAG_VMEM};
use accllm_hw::tables::{Rsqrt, rsqrt};

use super::exec::{Exec, Operands};
use super::fault::Fault;
use super::memory::Memory;
use super::record::{Field, Space};
use super::state::Scalar;

/// A residual as SUMSQ and NORMQ read it: 26 bits, sign-extended.
#[inline]
fn resid(x: i32) -> i32 {
    (x << 6) >> 6
}

impl<M: Memory> Exec<'_, M> {
    /// Work of a pass over `n` elements.
    pub(super) fn charge_elements(&mut self, n: u64) -> Result<(), Fault> {
        self.charge(n.div_ceil(self.config.vec as u64))
    }

    pub(super) fn sumsq(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        let from = self.vmem(o.a.into(), o.n.into(), "SUMSQ source")?;
        let to = self.scalar(o.c.into())?;
        self.charge_elements(o.n.into())?;
        let squares = self.state.vmem[from].iter().map(|&x| i64::from(resid(x)).pow(2) as u64);
        let Rsqrt { r, e } = rsqrt(squares.fold(o.aux.into(), u64::wrapping_add));
        let value = Scalar { r, k: e as u8, ..self.state.scalars[to] };
        self.set_scalar(to, value, &[Field::R, Field::K]);
        Ok(())
    }

    pub(super) fn normq(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        let x = self.vmem(o.a.into(), o.n.into(), "NORMQ source")?;
        let g = self.vmem(o.b.into(), o.n.into(), "NORMQ constants")?;
        let root = self.state.scalars[self.scalar(o.aux.into())?].root();
        self.charge_elements(o.n.into())?;
        let vmem = &self.state.vmem;
        let pairs = vmem[x].iter().zip(&vmem[g]);
        if o.flag(FLAG_VMEM) {
            let values: Vec<i32> =
                pairs.map(|(&x, &g)| norm_wide(resid(x), root, g as i16, o.shift())).collect();
            let to = self.vmem(o.c.into(), o.n.into(), "NORMQ destination")?;
            self.set_vmem(to.start, &values);
            return Ok(());
        }
        let codes = pairs.map(|(&x, &g)| norm_element(resid(x), root, g as i16, o.shift())).collect();
        let (word, lane) = self.lane_row(o.c, o.m.into());
        self.set_act_groups(word, o.x, lane, 0, codes)
    }

    pub(super) fn silu(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        let gate = self.vmem(o.a.into(), o.n.into(), "SILU gate")?;
        let up = self.vmem(o.b.into(), o.n.into(), "SILU up")?;
        self.charge_elements(o.n.into())?;
        let vmem = &self.state.vmem;
        let products: Vec<i32> =
            vmem[gate].iter().zip(&vmem[up]).map(|(&g, &u)| silu_mul(g, u, o.shift())).collect();
        self.multiple(o.aux.into(), COLS, "SILU: activation column")?;
        let (word, lane) = self.lane_row(o.c, o.m.into());
        let last = (u64::from(o.aux) + u64::from(o.n) - 1) / COLS as u64;
        self.act_word(word + last * u64::from(o.x))?;
        for (col, block) in (u64::from(o.aux)..).step_by(COLS).zip(products.chunks(COLS)) {
            let exponent = block_exponent(block);
            let mut codes: Vec<i8> = block.iter().map(|&h| block_code(h, exponent)).collect();
            codes.resize(codes.len().next_multiple_of(GROUP), 0);
            self.set_act_block(word, o.x, lane, col, exponent, &codes);
        }
        Ok(())
    }

    pub(super) fn radd(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        let a = self.vmem(o.a.into(), o.n.into(), "RADD source a")?;
        let b = self.vmem(o.b.into(), o.n.into(), "RADD source b")?;
        let to = self.vmem(o.c.into(), o.n.into(), "RADD destination")?;
        self.charge_elements(o.n.into())?;
        let vmem = &self.state.vmem;
        let sums: Vec<i32> = vmem[a].iter().zip(&vmem[b]).map(|(&a, &b)| resid_add(a, b)).collect();
        self.set_vmem(to.start, &sums);
        Ok(())
    }

    pub(super) fn argmax(&mut self, o: &Operands) -> Result<(), Fault> {
        if o.n == 0 {
            return Ok(());
        }
        let from = self.vmem(o.a.into(), o.n.into(), "ARGMAX source")?;
        self.charge_elements(o.n.into())?;
        let mut best = (!o.flag(FLAG_FIRST)).then_some(self.state.argmax);
        for (i, &v) in self.state.vmem[from].iter().enumerate() {
            if best.is_none_or(|(_, max)| v > max) {
                best = Some((o.aux.wrapping_add(i as u32), v));
            }
        }
        let (index, value) = best.unwrap_or(self.state.argmax);
        self.state.argmax = (index, value);
        self.note(Space::Result, 0, index as i32);
        self.note(Space::Result, 1, value);
        Ok(())
    }
}

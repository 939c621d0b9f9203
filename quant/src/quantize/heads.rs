//! Norms of query and key heads: the units of what comes before them, and their constants.

use super::constants::vector;
use super::steps::LayerSteps;
use crate::grid::GridLayer;
use accllm_hw::sizes::Linear;
use accllm_llm::Result;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{FloatLayer, Matrix};
use accllm_llm::model::Norm;

/// Largest magnitude of numbers of 26 bits.
const LARGEST: f64 = ((1 << 25) - 1) as f64;
/// Largest code of an input, and one for rounding.
const CODES: f64 = 129.0;
/// Largest shift of the gains.
const MAX_SHIFT: u8 = 47;

/// What q and k are before and after their norms.
pub(super) struct HeadNorms {
    /// Real value of one LSB of q and of k before the norm: so that they fit 26 bits whatever the inputs.
    pub units: [f64; 2],
    /// Shifts of the gains, the same in all layers.
    shifts: [u8; 2],
}

impl HeadNorms {
    /// Of layers whose heads have norms.
    pub fn new(c: &LlamaConfig) -> Self {
        // The eps of the norm is a number of 32 bits.
        let least = (c.sizes.head_dim as f64 * c.norm_eps / f64::from(u32::MAX)).sqrt();
        Self { units: [least; 2], shifts: [MAX_SHIFT; 2] }
    }

    /// Makes room for a layer, with the units of q and k after the norm.
    ///
    /// # Errors
    /// Gains that are too large.
    pub fn cover(
        &mut self,
        c: &LlamaConfig,
        w: &FloatLayer,
        steps: &LayerSteps,
        after: [f64; 2],
    ) -> Result<()> {
        let biases = [Linear::Q, Linear::K].map(|l| &w.biases[l]);
        for (unit, (m, bias)) in self.units.iter_mut().zip([&w.q, &w.k].into_iter().zip(biases)) {
            *unit = unit.max(bound(m, &steps.attn_in, bias) / LARGEST);
        }
        for ((shift, gain), unit) in self.shifts.iter_mut().zip([&w.q_norm, &w.k_norm]).zip(after) {
            *shift = gains(c, gain, unit, *shift)?.1;
        }
        Ok(())
    }

    /// The constants of a layer.
    ///
    /// # Errors
    /// As [`HeadNorms::cover`].
    pub fn norms(&self, c: &LlamaConfig, w: &GridLayer, after: [f64; 2]) -> Result<[Norm; 2]> {
        let one = |i: usize, gain: &[f32]| {
            let (g, gs) = gains(c, gain, after[i], self.shifts[i])?;
            let eps = (c.sizes.head_dim as f64 * c.norm_eps / self.units[i].powi(2)).round();
            Ok(Norm { eps: eps.clamp(1.0, f64::from(u32::MAX)) as u32, gs, g })
        };
        Ok([one(0, &w.q_norm)?, one(1, &w.k_norm)?])
    }
}

/// Integer gains for outputs in units of `unit`.
fn gains(c: &LlamaConfig, gain: &[f32], unit: f64, most: u8) -> Result<(Vec<i16>, u8)> {
    let scale = (c.sizes.head_dim as f64).sqrt() * 2f64.powi(-20) / unit;
    let values: Vec<f64> = gain.iter().map(|g| scale * f64::from(*g)).collect();
    vector(&values, most, "the gain of a norm of heads")
}

/// What no output of `w` passes, with int8 inputs of these steps.
fn bound(w: &Matrix, steps: &[f32], bias: &[f32]) -> f64 {
    let row = |(r, row): (usize, &[f32])| {
        let sum: f64 = row.iter().zip(steps).map(|(w, s)| f64::from(w.abs()) * f64::from(*s) * CODES).sum();
        sum + f64::from(bias.get(r).map_or(0.0, |b| b.abs()))
    };
    w.data.chunks_exact(w.cols).enumerate().map(row).fold(0.0, f64::max)
}

//! Turns grids and steps into the integer constants of `docs/numerics.md`.

use super::Options;
use super::constants::{factor, vector};
use super::heads::HeadNorms;
use super::prefix::prefix;
use super::steps::{LayerSteps, Steps};
use crate::calibrate::{Calibration, LayerStats};
use crate::grid::{GridLayer, GridWeight, Weights};
use accllm_hw::sizes::Linear;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::FloatModel;
use accllm_llm::model::{Arch, Layer, LayerConstants, Norm, QuantModel, UNROTATED, Weight};
use accllm_llm::{Error, Result};

/// Fraction bits of `gate`.
const GATE_FRAC: i32 = 12;
/// Fraction bits of `logits`.
const LOGIT_FRAC: u8 = 16;
/// Fraction bits of `v` in V code units.
const V_SHIFT: u8 = 8;
/// Headroom of the residual stream over the calibrated range.
const RESID_ROOM: f64 = 2.0;
/// Headroom of q and k.
const QK_ROOM: f64 = 1.25;
/// Largest shift of a norm's gain.
const MAX_SHIFT: u8 = 47;
/// Headroom of up.
const UP_ROOM: f64 = 4.0;

/// Builds the integer model from weights on their grids, and the float model that has them.
pub(super) fn assemble(
    weights: &Weights,
    dequantized: &FloatModel,
    steps: &Steps,
    stats: &Calibration,
    options: &Options,
) -> Result<QuantModel> {
    let c = &dequantized.config;
    let frac = resid_frac(c, f64::from(stats.resid))?;
    let (embed, embed_shift) = embedding(&weights.embed.data, frac)?;
    let mut maker = Maker::new(c, weights, frac, steps, stats)?;
    maker.cover_heads(dequantized, steps)?;
    let layers = weights.layers.iter().zip(&steps.layers).enumerate();
    let layers = layers.map(|(l, (w, s))| maker.layer(l, w, s)).collect::<Result<Vec<_>>>()?;
    let head_in = largest(&steps.head_in);
    Ok(QuantModel {
        arch: arch(c),
        resid_frac: frac,
        embed_shift,
        logit_frac: LOGIT_FRAC,
        prob_wide: options.prob_wide,
        lambda: options.lambda(c),
        embed,
        layers,
        final_norm: maker.norm("final_norm", &weights.final_norm, &steps.head_in, MAX_SHIFT)?,
        head: linear("head", &weights.head, |_| head_in / lsb(i32::from(LOGIT_FRAC)))?,
        prefix: prefix(dequantized, &options.prefix, maker.k.0, maker.k.1, steps)?,
    })
}

fn arch(c: &LlamaConfig) -> Arch {
    Arch { sizes: c.sizes, bos: c.bos, eos: c.eos.clone(), max_positions: c.max_positions }
}

/// `2^-bits`.
fn lsb(bits: i32) -> f64 {
    f64::from(-bits).exp2()
}

/// The factor that is left of `steps` when their shape, whose largest entry is 1, is in the weights.
fn largest(steps: &[f32]) -> f64 {
    f64::from(steps.iter().copied().fold(0.0, f32::max))
}

/// Most fraction bits (at most 16) that leave headroom in 26 bits and keep every norm's eps in 32 bits.
fn resid_frac(c: &LlamaConfig, largest: f64) -> Result<u8> {
    let fits = |f: &u8| {
        largest * RESID_ROOM * f64::from(*f).exp2() < f64::from(1 << 25)
            && c.sizes.hidden as f64 * c.norm_eps * f64::from(2 * *f).exp2() < f64::from(u32::MAX)
    };
    (0..=16u8).rev().find(fits).ok_or_else(|| {
        Error::Argument(format!("the residual stream reaches {largest}; 26 bits hold up to {}", 1 << 24))
    })
}

fn embedding(data: &[f32], frac: u8) -> Result<(Vec<i16>, u8)> {
    let largest = data.iter().map(|v| f64::from(v.abs())).fold(0.0, f64::max) * f64::from(frac).exp2();
    let shift = (0..=10u8).find(|s| largest / f64::from(*s).exp2() < 32767.5);
    let shift =
        shift.ok_or_else(|| Error::Argument(format!("embedding entries reach {largest} LSB of 26 bits")))?;
    let unit = (f64::from(frac) - f64::from(shift)).exp2();
    Ok((data.iter().map(|v| (f64::from(*v) * unit).round().clamp(-32768.0, 32767.0) as i16).collect(), shift))
}

/// A linear whose row `r` has the real factor `row_scale[r] * factor_of(r)` from accumulator to output.
fn linear(name: &str, w: &GridWeight, factor_of: impl Fn(usize) -> f64) -> Result<Weight> {
    let pairs = w.row_scale.iter().enumerate().map(|(r, scale)| {
        let value = f64::from(*scale) * factor_of(r);
        // A row so small that it cannot be expressed is zero for every purpose.
        let value = if value < 2f64.powi(-62) { 0.0 } else { value };
        factor(value, 63, &format!("the scale of {name}, row {r},"))
    });
    let (mult, shift) = pairs.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    Ok(Weight { grid: w.grid.clone(), mult, shift, bias: Vec::new() })
}

/// `w` with a bias whose row `r` is in units of `unit(r)`.
///
/// # Errors
/// A bias beyond 26 bits.
fn biased(w: Weight, name: &str, bias: &[f32], unit: impl Fn(usize) -> f64) -> Result<Weight> {
    let integer = |(r, b): (usize, &f32)| {
        let value = (f64::from(*b) / unit(r)).round();
        match value.abs() < f64::from(1 << 25) {
            true => Ok(value as i32),
            false => {
                Err(Error::Argument(format!("the bias of {name}, row {r}, would be {value} of 26 bits")))
            }
        }
    };
    let bias = bias.iter().enumerate().map(integer).collect::<Result<_>>()?;
    Ok(Weight { bias, ..w })
}

/// Constants are the same in all layers, so that one loop of instructions serves them all; what differs is folded
/// into gains and row scales.
struct Maker<'a> {
    c: &'a LlamaConfig,
    /// Fraction bits of the residual stream.
    frac: u8,
    /// Real value of one LSB of q, and the shift after its Hadamard transform.
    q: (f64, u8),
    /// Of k.
    k: (f64, u8),
    /// Shift after `silu(gate) * up`.
    hs: u8,
    /// Shifts of the norm gains before attention and MLP.
    gains: [u8; 2],
    /// Norms of query and key heads, where there are any.
    heads: Option<HeadNorms>,
}

impl<'a> Maker<'a> {
    fn new(
        c: &'a LlamaConfig,
        weights: &Weights,
        frac: u8,
        steps: &Steps,
        stats: &Calibration,
    ) -> Result<Self> {
        let most = |of: &dyn Fn(&LayerStats) -> f32| stats.layers.iter().map(of).fold(0.0, f32::max);
        let both = steps.layers.iter().zip(&stats.layers);
        let hs = both.map(|(s, stats)| up_shift(&s.down_in, &stats.up.max)).min().unwrap_or(0);
        let mut maker = Self {
            c,
            frac,
            q: rotation(most(&|s| s.pair[0]), most(&|s| s.rotated[0])),
            k: rotation(most(&|s| s.pair[1]), most(&|s| s.rotated[1])),
            hs,
            gains: [MAX_SHIFT; 2],
            heads: c.head_norms.then(|| HeadNorms::new(c)),
        };
        let mut gains = maker.gains;
        for (w, s) in weights.layers.iter().zip(&steps.layers) {
            for (gain, (g, s)) in gains.iter_mut().zip([(&w.attn_norm, &s.attn_in), (&w.mlp_norm, &s.mlp_in)])
            {
                *gain = maker.norm("a norm", g, s, *gain)?.gs;
            }
        }
        maker.gains = gains;
        Ok(maker)
    }

    /// Makes room for the norms of heads of all layers.
    fn cover_heads(&mut self, model: &FloatModel, steps: &Steps) -> Result<()> {
        let Some(heads) = &mut self.heads else { return Ok(()) };
        for (w, s) in model.layers.iter().zip(&steps.layers) {
            heads.cover(self.c, &*w?, s, [self.q.0, self.k.0])?;
        }
        Ok(())
    }

    /// With a shift of at most `max_shift`.
    fn norm(&self, name: &str, gamma: &[f32], steps: &[f32], max_shift: u8) -> Result<Norm> {
        let n = self.c.sizes.hidden as f64;
        let scale = n.sqrt() * 2f64.powi(-20);
        let values: Vec<f64> =
            gamma.iter().zip(steps).map(|(g, s)| scale * f64::from(*g) / f64::from(*s)).collect();
        let (g, gs) = vector(&values, max_shift, &format!("the gain of {name}"))?;
        let eps = (n * self.c.norm_eps * f64::from(2 * self.frac).exp2()).round();
        Ok(Norm { eps: eps.clamp(1.0, f64::from(u32::MAX)) as u32, gs, g })
    }

    fn layer(&self, l: usize, w: &GridLayer, s: &LayerSteps) -> Result<Layer> {
        let g = &w.grids;
        let name = |part: &str| format!("layer {l} {part}");
        let resid = lsb(i32::from(self.frac));
        let (attn_in, value) = (largest(&s.attn_in), largest(&s.value));
        let (mlp_in, down_in) = (largest(&s.mlp_in), largest(&s.down_in));
        let ((unit_q, shift_q), (unit_k, shift_k), hs) = (self.q, self.k, self.hs);
        let (zm, zs) = factor(self.score_factor(unit_q * unit_k, shift_q + shift_k), 47, &name("zm"))?;
        let out = f64::from(s.out);
        let (og, os) = factor(1.0 / (4096.0 * out), 47, &name("og"))?;
        let up_unit = |r: usize| f64::from(s.down_in[r]) * lsb(i32::from(hs) - GATE_FRAC);
        let v_unit = |r: usize| f64::from(s.value[r]) * lsb(i32::from(V_SHIFT));
        // Inputs in units of `step`, the output of row `r` in units of `unit(r)`.
        let make = |which: Linear, grid: &GridWeight, step: f64, unit: &dyn Fn(usize) -> f64| {
            let name = name(which.name());
            biased(linear(&name, grid, |r| step / unit(r))?, &name, &w.biases[which], unit)
        };
        // Before their norms, q and k have units of their own.
        let [raw_q, raw_k] = self.heads.as_ref().map_or([unit_q, unit_k], |h| h.units);
        let head_norms = self.heads.as_ref().map(|h| h.norms(self.c, w, [unit_q, unit_k])).transpose()?;
        Ok(Layer {
            attn_norm: self.norm(&name("attn_norm"), &w.attn_norm, &s.attn_in, self.gains[0])?,
            mlp_norm: self.norm(&name("mlp_norm"), &w.mlp_norm, &s.mlp_in, self.gains[1])?,
            constants: LayerConstants {
                rot_shift_q: shift_q,
                rot_shift_k: shift_k,
                v_shift: V_SHIFT,
                zm,
                zs,
                og,
                os,
                hs,
            },
            leads: match self.c.rotates(l) {
                true => self.c.leads.get(l).cloned().unwrap_or_default(),
                false => vec![UNROTATED; self.c.sizes.kv_heads],
            },
            head_norms,
            q: self.led(make(Linear::Q, &g.q, attn_in, &|_| raw_q)?, l, self.c.sizes.group()),
            k: self.led(make(Linear::K, &g.k, attn_in, &|_| raw_k)?, l, 1),
            v: make(Linear::V, &g.v, attn_in, &v_unit)?,
            o: make(Linear::O, &g.o, value * out, &|_| resid)?,
            gate: make(Linear::Gate, &g.gate, mlp_in, &|_| lsb(GATE_FRAC))?,
            up: make(Linear::Up, &g.up, mlp_in, &up_unit)?,
            down: make(Linear::Down, &g.down, down_in, &|_| resid)?,
        })
    }

    /// Rows of q or k with each head's leading RoPE pair in place 0; `group` heads belong to a KV head of layer `l`.
    fn led(&self, mut w: Weight, l: usize, group: usize) -> Weight {
        let (hd, half) = (self.c.sizes.head_dim, self.c.sizes.head_dim / 2);
        for h in 0..w.grid.rows / hd {
            let lead = self.c.lead(l, h / group);
            for first in [h * hd, h * hd + half] {
                w.swap_rows(first, first + lead);
            }
        }
        w
    }

    /// Score to log2 units in Q.12.
    fn score_factor(&self, units: f64, shifts: u8) -> f64 {
        let head = (self.c.sizes.head_dim as f64).sqrt() * self.c.sizes.padded_head() as f64;
        4096.0 * std::f64::consts::LOG2_E / head * units * f64::from(shifts).exp2()
    }
}

/// Real value of one LSB of q or k, and the shift after its Hadamard transform.
fn rotation(pair: f32, rotated: f32) -> (f64, u8) {
    let unit = (f64::from(pair) * QK_ROOM / 32767.0).max(1e-9);
    let over = f64::from(rotated) * QK_ROOM / unit / 32767.0;
    (unit, over.max(1.0).log2().ceil().min(15.0) as u8)
}

/// The largest shift after `silu(gate) * up` that keeps up within 24 bits with headroom: the finest unit.
fn up_shift(down_in: &[f32], up: &[f32]) -> u8 {
    let room = |(step, max): (&f32, &f32)| {
        f64::from(1 << 23) * f64::from(*step) * f64::from(GATE_FRAC).exp2()
            / (UP_ROOM * f64::from(*max).max(1e-9))
    };
    let least = down_in.iter().zip(up).map(room).fold(f64::INFINITY, f64::min);
    least.max(1.0).log2().floor().clamp(0.0, 40.0) as u8
}

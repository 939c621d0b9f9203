//! The quantization steps of the engine, simulated in float on top of a float model.

use super::Steps;
use crate::Result;
use crate::float::{FloatModel, Lambda, Site, Tap};
use crate::perplexity::Scorer;
use accllm_hw::config::COLS;
use accllm_hw::fixed::{block_code, block_exponent};

/// A float model with some of the engine's rounding switched on.
pub struct Simulated<'a> {
    /// Weights.
    pub model: &'a FloatModel,
    /// Steps to round with.
    pub steps: &'a Steps,
    /// Round the inputs of all linears: to their static steps, down_proj's to blocks over its own.
    pub a8: bool,
    /// Round V to 4 bits, K (after RoPE and Hadamard) to 4 and Q to 8.
    pub kv4: bool,
    /// Attention shape; `None` for full causal attention.
    pub lambda: Option<Lambda>,
}

impl Scorer for Simulated<'_> {
    fn nll(&self, window: &[u32]) -> Result<Vec<f64>> {
        self.nll_behind(window, 0)
    }

    fn nll_behind(&self, window: &[u32], skip: usize) -> Result<Vec<f64>> {
        Ok(self.nll_each(&[(window.to_vec(), skip)])?.pop().unwrap_or_default())
    }

    fn nll_each(&self, windows: &[(Vec<u32>, usize)]) -> Result<Vec<Vec<f64>>> {
        self.model.nll_of(windows, self.lambda, || Rounding(self))
    }

    fn together(&self, window: usize) -> usize {
        self.model.windows_together(window)
    }
}

struct Rounding<'a>(&'a Simulated<'a>);

impl Tap for Rounding<'_> {
    fn tensor(&mut self, site: Site, layer: usize, _: usize, data: &mut [f32]) {
        let Simulated { steps, a8, kv4, model, .. } = self.0;
        let c = &model.config;
        if site == Site::FinalNorm {
            if *a8 {
                round(data, &steps.head_in, -128.0, 127.0);
            }
            return;
        }
        let Some(s) = steps.layers.get(layer) else { return };
        match site {
            Site::AttnNorm if *a8 => round(data, &s.attn_in, -128.0, 127.0),
            Site::MlpNorm if *a8 => round(data, &s.mlp_in, -128.0, 127.0),
            Site::DownIn if *a8 => blocks(data, &s.down_in),
            Site::AttnOut if *a8 => {
                let mut steps = super::shapes::per_query(c, &s.value);
                steps.iter_mut().for_each(|v| *v *= s.out);
                round(data, &steps, -128.0, 127.0);
            }
            Site::Value if *kv4 => round(data, &s.value, -8.0, 7.0),
            Site::Key if *kv4 => data.chunks_exact_mut(c.head_dim).for_each(key_head),
            Site::Query if *kv4 => data.chunks_exact_mut(c.head_dim).for_each(query_head),
            _ => {}
        }
    }
}

/// Rounds every row to static steps.
fn round(data: &mut [f32], steps: &[f32], low: f32, high: f32) {
    for row in data.chunks_exact_mut(steps.len()) {
        for (v, s) in row.iter_mut().zip(steps) {
            *v = (*v / s).round().clamp(low, high) * s;
        }
    }
}

/// Rounds every row to int8 with an exponent per block of columns, over static steps of 16-bit codes.
fn blocks(data: &mut [f32], steps: &[f32]) {
    for row in data.chunks_exact_mut(steps.len()) {
        for (block, steps) in row.chunks_mut(COLS).zip(steps.chunks(COLS)) {
            let pairs = block.iter().zip(steps);
            let h: Vec<i32> = pairs.map(|(v, s)| (*v / s).round().clamp(-32768.0, 32639.0) as i32).collect();
            let e = block_exponent(&h);
            for ((v, h), s) in block.iter_mut().zip(&h).zip(steps) {
                *v = f32::from(block_code(*h, e)) * f32::from(e).exp2() * s;
            }
        }
    }
}

/// Rounds a key head to 16 levels between its extremes, in the rotated basis.
pub(crate) fn key_head(head: &mut [f32]) {
    in_rotated_basis(head, |x| {
        let low = x.iter().copied().fold(f32::INFINITY, f32::min);
        let high = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let step = (high - low) / 15.0;
        if step > 0.0 {
            x.iter_mut().for_each(|v| *v = low + ((*v - low) / step).round() * step);
        }
    });
}

/// Rounds a query head to 255 levels, in the rotated basis.
pub(crate) fn query_head(head: &mut [f32]) {
    in_rotated_basis(head, |x| {
        let step = x.iter().map(|v| v.abs()).fold(0.0, f32::max) / 127.0;
        if step > 0.0 {
            x.iter_mut().for_each(|v| *v = (*v / step).round() * step);
        }
    });
}

fn in_rotated_basis(head: &mut [f32], edit: impl Fn(&mut [f32])) {
    let mut x = hadamard(head);
    edit(&mut x);
    let back = transform(x);
    let (half, n) = (head.len() / 2, back.len());
    for i in 0..half {
        head[i] = back[i] / n as f32;
        head[half + i] = back[n / 2 + i] / n as f32;
    }
}

/// Walsh-Hadamard transform (not normalized) of a head in the engine's padded layout: width 64, or 128 for
/// heads wider than 64, the two halves of the head at the starts of the two halves.
pub(super) fn hadamard(head: &[f32]) -> Vec<f32> {
    let half = head.len() / 2;
    let n = if head.len() <= 64 { 64 } else { head.len().next_power_of_two().max(128) };
    let mut x = vec![0.0f32; n];
    x[..half].copy_from_slice(&head[..half]);
    x[n / 2..n / 2 + half].copy_from_slice(&head[half..]);
    transform(x)
}

fn transform(mut x: Vec<f32>) -> Vec<f32> {
    let mut h = 1;
    while h < x.len() {
        for block in x.chunks_exact_mut(2 * h) {
            let (low, high) = block.split_at_mut(h);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        h *= 2;
    }
    x
}

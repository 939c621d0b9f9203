//! The quantization steps of the engine, simulated in float on top of a float model.

use super::Steps;
use super::steps::DOWN_CODES;
use crate::head::{each_head, key_head, query_head, static_key_head};
use crate::transform::per_query;
use accllm_hw::config::COLS;
use accllm_hw::fixed::{H_MAX, H_MIN, block_code, block_exponent};
use accllm_hw::lambda::LambdaShape;
use accllm_llm::Result;
use accllm_llm::float::{Behind, FloatModel, Site, Tap};
use accllm_llm::perplexity::Scorer;

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
    pub lambda: Option<LambdaShape>,
}

/// How down_proj's input is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownInput {
    /// To int8 with static steps.
    Static,
    /// To int8 with one exact scale per token.
    Token,
    /// To int8 with an exponent per token and block of columns, as the engine does.
    Blocks,
}

/// How K is rounded to 4 bits, after RoPE and Hadamard.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyGrid {
    /// With scale and zero point per token and head, as the engine does.
    Token,
    /// With one static step per layer, given in the units of the transform (not normalized).
    Static(Vec<f32>),
}

/// Tensors that are rounded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// Input of q, k, v.
    pub attn_in: bool,
    /// Input of o.
    pub attn_out: bool,
    /// Input of gate and up.
    pub mlp_in: bool,
    /// Input of down.
    pub down_in: Option<DownInput>,
    /// Input of the head.
    pub head_in: bool,
    /// V, to 4 bits.
    pub value: bool,
    /// K, to 4 bits.
    pub key: Option<KeyGrid>,
    /// Q, to 8 bits.
    pub query: bool,
}

impl Parts {
    /// The engine's rounding of the inputs of all linears, and of the KV cache.
    pub fn engine(a8: bool, kv4: bool) -> Self {
        Self {
            attn_in: a8,
            attn_out: a8,
            mlp_in: a8,
            down_in: a8.then_some(DownInput::Blocks),
            head_in: a8,
            value: kv4,
            key: kv4.then_some(KeyGrid::Token),
            query: kv4,
        }
    }
}

/// A float model of which some tensors are rounded.
pub struct Rounded<'a> {
    /// Weights.
    pub model: &'a FloatModel,
    /// Steps to round with.
    pub steps: &'a Steps,
    /// Tensors that are rounded.
    pub parts: Parts,
    /// First tokens of a window of which nothing is rounded, as if they came from elsewhere.
    pub prefix: usize,
    /// Attention shape; `None` for full causal attention.
    pub lambda: Option<LambdaShape>,
}

impl Scorer for Rounded<'_> {
    fn nll(&self, window: &[u32]) -> Result<Vec<f64>> {
        self.nll_behind(window, 0)
    }

    fn nll_behind(&self, window: &[u32], skip: usize) -> Result<Vec<f64>> {
        Ok(self.nll_each(&[(window.to_vec(), skip)])?.pop().unwrap_or_default())
    }

    fn nll_each(&self, windows: &[(Vec<u32>, usize)]) -> Result<Vec<Vec<f64>>> {
        self.model.nll_of(windows, self.lambda, || Behind { tokens: self.prefix, tap: Rounding(self) })
    }

    fn together(&self, window: usize) -> usize {
        self.model.windows_together(window)
    }
}

impl Simulated<'_> {
    fn rounded(&self) -> Rounded<'_> {
        let parts = Parts::engine(self.a8, self.kv4);
        Rounded { model: self.model, steps: self.steps, parts, prefix: 0, lambda: self.lambda }
    }
}

impl Scorer for Simulated<'_> {
    fn nll(&self, window: &[u32]) -> Result<Vec<f64>> {
        self.rounded().nll(window)
    }

    fn nll_behind(&self, window: &[u32], skip: usize) -> Result<Vec<f64>> {
        self.rounded().nll_behind(window, skip)
    }

    fn nll_each(&self, windows: &[(Vec<u32>, usize)]) -> Result<Vec<Vec<f64>>> {
        self.rounded().nll_each(windows)
    }

    fn together(&self, window: usize) -> usize {
        self.model.windows_together(window)
    }
}

struct Rounding<'a>(&'a Rounded<'a>);

impl Tap for Rounding<'_> {
    fn tensor(&mut self, site: Site, layer: usize, _: usize, data: &mut [f32]) {
        let Rounded { steps, parts, model, .. } = self.0;
        let c = &model.config;
        if site == Site::FinalNorm {
            if parts.head_in {
                round(data, &steps.head_in, -128.0, 127.0);
            }
            return;
        }
        let Some(s) = steps.layers.get(layer) else { return };
        match site {
            Site::AttnNorm if parts.attn_in => round(data, &s.attn_in, -128.0, 127.0),
            Site::MlpNorm if parts.mlp_in => round(data, &s.mlp_in, -128.0, 127.0),
            Site::DownIn => match parts.down_in {
                Some(DownInput::Blocks) => round_blocks(data, &s.down_in),
                Some(DownInput::Token) => per_token(data, &s.down_in),
                Some(DownInput::Static) => {
                    let steps: Vec<f32> = s.down_in.iter().map(|s| s * DOWN_CODES / 127.0).collect();
                    round(data, &steps, -128.0, 127.0);
                }
                None => {}
            },
            Site::AttnOut if parts.attn_out => {
                let mut steps = per_query(c, &s.value);
                steps.iter_mut().for_each(|v| *v *= s.out);
                round(data, &steps, -128.0, 127.0);
            }
            Site::Value if parts.value => round(data, &s.value, -8.0, 7.0),
            Site::Key => match &parts.key {
                Some(KeyGrid::Token) => {
                    each_head(data, c.sizes.head_dim, c.sizes.kv_heads, |h, head| {
                        key_head(head, c.lead(layer, h))
                    });
                }
                Some(KeyGrid::Static(steps)) => {
                    let step = steps.get(layer).copied().unwrap_or(1.0);
                    data.chunks_exact_mut(c.sizes.head_dim).for_each(|head| static_key_head(head, step));
                }
                None => {}
            },
            Site::Query if parts.query => {
                let lead = |h| c.lead(layer, h / c.sizes.group());
                each_head(data, c.sizes.head_dim, c.sizes.heads, |h, head| query_head(head, lead(h)));
            }
            _ => {}
        }
    }
}

/// Rounds every row to int8 with one scale, over static steps.
fn per_token(data: &mut [f32], steps: &[f32]) {
    for row in data.chunks_exact_mut(steps.len()) {
        let most = row.iter().zip(steps).map(|(v, s)| (v / s).abs()).fold(0.0, f32::max);
        if most > 0.0 {
            let scale = most / 127.0;
            row.iter_mut().zip(steps).for_each(|(v, s)| *v = (*v / (s * scale)).round() * scale * s);
        }
    }
}

/// Rounds every row to static steps.
pub(crate) fn round(data: &mut [f32], steps: &[f32], low: f32, high: f32) {
    for row in data.chunks_exact_mut(steps.len()) {
        for (v, s) in row.iter_mut().zip(steps) {
            *v = (*v / s).round().clamp(low, high) * s;
        }
    }
}

/// Rounds every row to int8 with an exponent per block of columns, over static steps of 20-bit codes.
pub(crate) fn round_blocks(data: &mut [f32], steps: &[f32]) {
    for row in data.chunks_exact_mut(steps.len()) {
        for (block, steps) in row.chunks_mut(COLS).zip(steps.chunks(COLS)) {
            let pairs = block.iter().zip(steps);
            let h: Vec<i32> =
                pairs.map(|(v, s)| (*v / s).round().clamp(H_MIN as f32, H_MAX as f32) as i32).collect();
            let e = block_exponent(&h);
            for ((v, h), s) in block.iter_mut().zip(&h).zip(steps) {
                *v = f32::from(block_code(*h, e)) * f32::from(e).exp2() * s;
            }
        }
    }
}

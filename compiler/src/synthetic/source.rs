//! A synthetic model as the source of an image: every row is made when it is asked for, from a seed of its own.

use super::rng::Rng;
use super::{Synthetic, Values, log2, row};
use crate::image::{ModelSource, Row, RowSpace};
use crate::spec::{LayerConsts, LayerSpec, ModelSpec, Norm, lead_groups};
use accllm_hw::beat::WeightFormat;
use accllm_hw::config::GROUP;
use accllm_hw::sizes::Linear;
use accllm_llm::model::UNROTATED;
use std::borrow::Cow;

/// First element of the seeds' paths.
pub(super) mod part {
    pub const ROW: u64 = 0;
    pub const NORM: u64 = 1;
    pub const EMBED: u64 = 2;
    pub const CACHE: u64 = 3;
    pub const LEAD: u64 = 4;
    pub const BIAS: u64 = 5;
    pub const HEAD_NORM: u64 = 6;
}

/// Magnitude that outputs are scaled to.
pub(super) fn target(linear: Linear) -> f64 {
    match linear {
        Linear::Q | Linear::K => 3000.0,
        Linear::V => 60.0,
        Linear::O | Linear::Down => 6000.0,
        Linear::Gate => 8000.0,
        Linear::Up => 2000.0,
        Linear::Head => 50_000.0,
    }
}

impl Synthetic {
    pub(super) fn consts(&self, l: usize) -> LayerConsts {
        let vary = |v: u8| if self.uniform { v } else { v - (l % 2) as u8 };
        let zm = if self.uniform { 30_000 } else { 30_000 - 777 * l as u16 };
        let hdp = self.sizes.padded_head() as f64;
        LayerConsts {
            attn_norm: self.norm_consts(),
            mlp_norm: self.norm_consts(),
            rot_shift_q: vary(3),
            rot_shift_k: vary(4),
            v_shift: vary(4),
            zm,
            zs: log2(hdp.sqrt() * 8.0e6 * 3.0e4 / 1.2e4),
            og: zm - 5000,
            os: vary(23),
            hs: 11,
            head_norms: self
                .head_norms
                .then(|| [self.head_norm_consts(vary(1)), self.head_norm_consts(vary(2))]),
        }
    }

    fn norm_consts(&self) -> Norm {
        let n = self.sizes.hidden as f64;
        Norm { eps: 1 + (n * 1e-5 * 4f64.powi(12)) as u32, gs: log2(16000.0 * 1048576.0 / (35.0 * n.sqrt())) }
    }

    /// Heads come out with the magnitude that they came in with.
    fn head_norm_consts(&self, more: u8) -> Norm {
        let n = self.sizes.head_dim as f64;
        let gs = log2(16000.0 * 1048576.0 / (target(Linear::K) * n.sqrt()));
        Norm { eps: 7 + u32::from(more), gs }
    }

    pub(super) fn format(&self, linear: Linear) -> WeightFormat {
        self.formats.get(linear as usize).copied().unwrap_or(self.head)
    }

    /// A row multiplier and the shift that brings outputs to their usual size for inputs of the usual size.
    fn requant(&self, linear: Linear, rng: &mut Rng) -> (u16, u8) {
        let input = if linear == Linear::Down { 5000.0 } else { 35.0 };
        // Root mean square of level * scale.
        let weight = match (self.format(linear), self.values) {
            (WeightFormat::W2Sparse, Values::Uniform) => 195.0,
            (WeightFormat::W2Sparse, Values::Normal) => 225.0,
            (WeightFormat::W2Dense, _) => 390.0,
            (WeightFormat::W4, _) => 740.0,
        };
        let acc = (self.sizes.quantized(linear).1 as f64).sqrt() * input * weight;
        let mult = rng.range(18_000, 60_000);
        (mult as u16, log2(acc * mult as f64 / target(linear)))
    }
}

impl ModelSource for Synthetic {
    fn spec(&self) -> ModelSpec {
        let all: Vec<_> = (0..self.sizes.layers).map(|l| self.leads(l)).collect();
        let (leads, rope_groups) = lead_groups(self.sizes.kv_heads, all.iter().map(|l| &**l));
        ModelSpec {
            sizes: self.sizes,
            embed_shift: 3,
            prob_wide: self.prob_wide,
            layers: (0..self.sizes.layers)
                .map(|l| LayerSpec { consts: self.consts(l), formats: self.formats })
                .collect(),
            final_norm: self.norm_consts(),
            head: self.head,
            leads,
            rope_groups,
            biases: self.biases.clone(),
        }
    }

    fn row<'a>(
        &'a self,
        layer: Option<usize>,
        linear: Linear,
        row: usize,
        space: &'a mut RowSpace,
    ) -> Option<Row<'a>> {
        let (rows, cols) = self.sizes.quantized(linear);
        if row >= rows
            || layer.is_some_and(|l| l >= self.sizes.layers)
            || layer.is_none() != (linear == Linear::Head)
        {
            return None;
        }
        let layer = layer.map_or(u64::MAX, |l| l as u64);
        let mut rng = Rng::of(self.seed, &[part::ROW, layer, linear as u64, row as u64]);
        let (block, used) = self.sizes.used_columns(linear);
        let (mult, shift) = self.requant(linear, &mut rng);
        let padded = cols.next_multiple_of(GROUP);
        let whole = if block == usize::MAX { padded == cols } else { block == used };
        let real = |c: usize| c % block < used;
        row::fill(self.values, self.format(linear), padded, (!whole).then_some(&real), &mut rng, space);
        Some(Row { level: &space.level, scale: &space.scale, offset: &space.offset, mult, shift })
    }

    fn norm(&self, index: usize) -> Option<Cow<'_, [i16]>> {
        if index > 2 * self.sizes.layers {
            return None;
        }
        let mut rng = Rng::of(self.seed, &[part::NORM, index as u64]);
        let gain = |_| {
            let v = rng.range(6000, 26000);
            (if rng.range(0, 7) == 0 { -v } else { v }) as i16
        };
        Some((0..self.sizes.hidden).map(gain).collect())
    }

    fn embed(&self, token: usize) -> Option<Cow<'_, [i16]>> {
        if token >= self.sizes.vocab {
            return None;
        }
        let mut rng = Rng::of(self.seed, &[part::EMBED, token as u64]);
        let mut bits = 0u64;
        let value = |i: usize| {
            bits = if i.is_multiple_of(4) { rng.next() } else { bits >> 16 };
            (((bits & 0xffff) * 6001) >> 16) as i16 - 3000
        };
        Some((0..self.sizes.hidden).map(value).collect())
    }

    fn leads(&self, layer: usize) -> Cow<'_, [u8]> {
        if self.unrotated > 0 && (layer + 1).is_multiple_of(self.unrotated) {
            return Cow::Owned(vec![UNROTATED; self.sizes.kv_heads]);
        }
        if !self.led {
            return Cow::Borrowed(&[]);
        }
        let mut rng = Rng::of(self.seed, &[part::LEAD, layer as u64]);
        (0..self.sizes.kv_heads).map(|_| rng.range(0, self.sizes.head_dim as i64 / 2 - 1) as u8).collect()
    }

    fn head_norm(&self, layer: usize, which: usize) -> Option<Cow<'_, [i16]>> {
        if !self.head_norms || layer >= self.sizes.layers {
            return None;
        }
        let mut rng = Rng::of(self.seed, &[part::HEAD_NORM, layer as u64, which as u64]);
        let gain = |_| (rng.range(6000, 26000) * (1 - 2 * rng.range(0, 1))) as i16;
        Some((0..self.sizes.head_dim).map(gain).collect())
    }

    fn bias(&self, layer: usize, linear: Linear) -> Cow<'_, [i32]> {
        if !self.biases.contains(&linear) {
            return Cow::Borrowed(&[]);
        }
        let mut rng = Rng::of(self.seed, &[part::BIAS, layer as u64, linear as u64]);
        let most = target(linear) as i64;
        (0..self.sizes.linear(linear).0).map(|_| rng.range(-most, most) as i32).collect()
    }
}

//! **Test kit**: seeded random models of any shape, for tests and benchmarks. Values have the magnitudes of real models, so that
//! no tensor is saturated throughout or zero. A [`Synthetic`] is a [`crate::image::ModelSource`]: its image is made
//! row by row, without the model ever being in memory.

mod cache;
mod normal;
mod rng;
mod row;
mod shapes;
mod source;

pub use row::Values;
pub use shapes::shapes;

use crate::image::{ModelSource as _, RowSpace};
use crate::spec::{LayerConsts, Norm};
use accllm_hw::beat::WeightFormat;
use accllm_hw::rope::Rope;
use accllm_hw::sizes::{Linear, Sizes};
use accllm_llm::model::{self as quant, Arch, LambdaShape, Layer, LayerConstants, Prefix, QuantModel};

/// What to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Synthetic {
    /// Sizes.
    pub sizes: Sizes,
    /// Formats of q k v o gate up down.
    pub formats: [WeightFormat; 7],
    /// Format of the head.
    pub head: WeightFormat,
    /// 16-bit probabilities.
    pub prob_wide: bool,
    /// Distribution of the weights.
    pub values: Values,
    /// All layers with the same constants.
    pub uniform: bool,
    /// Each KV head with a leading RoPE pair of its own.
    pub led: bool,
    /// Layers without rotation: every so many-th; 0 for none.
    pub unrotated: usize,
    /// Norms of query and key heads.
    pub head_norms: bool,
    /// Linears that add a bias.
    pub biases: Vec<Linear>,
    /// Default attention shape.
    pub lambda: LambdaShape,
    /// Seed.
    pub seed: u64,
}

impl Default for Synthetic {
    /// [`Self::SIZES`], all layers in W2 2:4.
    fn default() -> Self {
        Self {
            sizes: Self::SIZES,
            formats: [WeightFormat::W2Sparse; 7],
            head: WeightFormat::W4,
            prob_wide: true,
            values: Values::Uniform,
            uniform: true,
            led: false,
            unrotated: 0,
            head_norms: false,
            biases: Vec::new(),
            lambda: LambdaShape { n_sink: 4, n_window: 24 },
            seed: 1,
        }
    }
}

fn log2(x: f64) -> u8 {
    x.log2().round().clamp(0.0, 47.0) as u8
}

impl Synthetic {
    /// The smallest useful ones.
    pub const SIZES: Sizes = Sizes {
        hidden: 64,
        ff: 172,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head_dim: 8,
        vocab: 101,
        rope: Rope::plain(10_000.0),
    };

    /// The whole model in memory.
    pub fn build(&self) -> QuantModel {
        QuantModel {
            arch: Arch { sizes: self.sizes, bos: Some(0), eos: vec![1], max_positions: 2048 },
            resid_frac: 12,
            embed_shift: self.spec().embed_shift,
            logit_frac: 12,
            prob_wide: self.prob_wide,
            lambda: self.lambda,
            embed: (0..self.sizes.vocab).filter_map(|t| self.embed(t)).flat_map(|e| e.into_owned()).collect(),
            layers: self.spec().layers.iter().enumerate().map(|(l, s)| self.layer(l, &s.consts)).collect(),
            final_norm: self.whole_norm(2 * self.sizes.layers, self.spec().final_norm),
            head: self.linear(None, Linear::Head),
            prefix: Prefix::default(),
        }
    }

    fn layer(&self, l: usize, c: &LayerConsts) -> Layer {
        let constants = LayerConstants {
            rot_shift_q: c.rot_shift_q,
            rot_shift_k: c.rot_shift_k,
            v_shift: c.v_shift,
            zm: c.zm,
            zs: c.zs,
            og: c.og,
            os: c.os,
            hs: c.hs,
        };
        let [q, k, v, o, gate, up, down] = Linear::LAYER.map(|linear| self.linear(Some(l), linear));
        let [attn_norm, mlp_norm] =
            [(2 * l, c.attn_norm), (2 * l + 1, c.mlp_norm)].map(|(i, n)| self.whole_norm(i, n));
        Layer {
            attn_norm,
            mlp_norm,
            constants,
            leads: self.leads(l).into_owned(),
            head_norms: c.head_norms.map(|norms| {
                let g = |which| self.head_norm(l, which).map(|g| g.into_owned()).unwrap_or_default();
                let of = |i: usize| quant::Norm { eps: norms[i].eps, gs: norms[i].gs, g: g(i) };
                [of(0), of(1)]
            }),
            q,
            k,
            v,
            o,
            gate,
            up,
            down,
        }
    }

    fn whole_norm(&self, index: usize, consts: Norm) -> quant::Norm {
        let g = self.norm(index).map(|g| g.into_owned()).unwrap_or_default();
        quant::Norm { eps: consts.eps, gs: consts.gs, g }
    }

    fn linear(&self, layer: Option<usize>, linear: Linear) -> quant::Weight {
        let (rows, cols) = self.sizes.quantized(linear);
        let format = self.format(linear);
        let (level, scale, offset, mult, shift) = Default::default();
        let bias = layer.map(|l| self.bias(l, linear).into_owned()).unwrap_or_default();
        let grid = quant::Levels { format, rows, cols, level, scale, offset };
        let mut out = quant::Weight { grid, mult, shift, bias };
        let mut space = RowSpace::default();
        for r in 0..rows {
            let Some(row) = self.row(layer, linear, r, &mut space) else { continue };
            out.grid.level.extend_from_slice(row.level);
            out.grid.scale.extend_from_slice(row.scale);
            out.grid.offset.extend_from_slice(row.offset);
            out.mult.push(row.mult);
            out.shift.push(row.shift);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelSpec;
    use std::path::Path;

    #[test]
    fn synthetic_models_obey_the_contract() {
        for (name, s) in shapes() {
            let m = s.build();
            assert!(m.check(Path::new(name)).is_ok(), "{name}: {:?}", m.check(Path::new(name)));
            assert_eq!(m, s.build());
            assert_eq!(ModelSpec::from(&m), s.spec(), "{name}");
        }
    }
}

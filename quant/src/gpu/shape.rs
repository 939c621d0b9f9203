//! Sizes of a model, where its weights lie on the device, and the text of its kernels.

use crate::config::LlamaConfig;
use crate::float::{FloatLayer, FloatModel, Matrix};
use crate::model::GROUP;
use crate::{Error, Result};
use accllm_hw::beat::OFFSET_SHIFT;
use accllm_hw::fixed::{EXPONENT_MAX, H_MAX, H_MIN};
use accllm_hw::sizes::{Linear, Sizes};

/// Width of a head that the kernels of attention are written for.
const HEAD: usize = 64;

/// What the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct KernelShape {
    pub sizes: Sizes,
    /// Added to the mean square in norms.
    pub eps: f64,
}

/// One of the seven weights of a layer: its first element there, rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub at: usize,
    pub rows: usize,
    pub cols: usize,
}

impl Part {
    pub fn len(&self) -> usize {
        self.rows * self.cols
    }
}

impl KernelShape {
    /// Of a model that can be trained on a device.
    ///
    /// # Errors
    /// Its sizes do not fit the kernels, or its head is not its embedding.
    pub fn of(c: &LlamaConfig) -> Result<Self> {
        let refuse = |what: String| {
            Err(Error::Argument(format!("training on a device: {what}; use --device cpu for this model")))
        };
        if c.sizes.head_dim != HEAD {
            return refuse(format!("heads are {} wide, and the kernels know {HEAD}", c.sizes.head_dim));
        }
        if !c.tied_head {
            return refuse("the head is a weight of its own, and only tied ones are trained".into());
        }
        if c.head_norms || !c.biases.is_empty() || !c.unrotated.is_empty() {
            return refuse("biases, norms of heads and layers without rotation are not trained".into());
        }
        if !c.sizes.hidden.is_multiple_of(GROUP)
            || !c.sizes.ff.is_multiple_of(GROUP)
            || !c.sizes.vocab.is_multiple_of(8)
        {
            return refuse(format!(
                "sizes {}, {} and {} are not multiples of {GROUP}, {GROUP} and 8",
                c.sizes.hidden, c.sizes.ff, c.sizes.vocab
            ));
        }
        Ok(Self { sizes: c.sizes, eps: c.norm_eps })
    }

    /// Width of q, k and v.
    pub fn qkv(&self) -> usize {
        self.sizes.q_width() + 2 * self.sizes.kv_width()
    }

    /// q, k, v, o, gate, up and down within a layer: q, k and v are one matrix, so are gate and up.
    pub fn parts(&self) -> [Part; 7] {
        let mut at = 0;
        Linear::LAYER.map(|linear| {
            let (rows, cols) = self.sizes.linear(linear);
            let part = Part { at, rows, cols };
            at += part.len();
            part
        })
    }

    /// Weights of a layer.
    pub fn layer(&self) -> usize {
        self.parts().iter().map(Part::len).sum()
    }

    /// Norms of the model.
    pub fn norms(&self) -> usize {
        2 * self.sizes.layers + 1
    }

    /// Numbers that a step of rounding or a largest magnitude is kept for: five a layer, and the head's input.
    pub fn steps(&self) -> usize {
        5 * self.sizes.layers + 1
    }

    /// What the kernels are compiled with.
    pub fn defines(&self) -> Vec<String> {
        [
            ("HIDDEN", self.sizes.hidden.to_string()),
            ("FFN", self.sizes.ff.to_string()),
            ("HEADS", self.sizes.heads.to_string()),
            ("KV_HEADS", self.sizes.kv_heads.to_string()),
            ("VOCAB", self.sizes.vocab.to_string()),
            ("NORM_EPS", format!("{:e}f", self.eps)),
            ("H_MIN", H_MIN.to_string()),
            ("H_MAX", H_MAX.to_string()),
            ("EXPONENT_MAX", EXPONENT_MAX.to_string()),
            ("OFFSET", format!("{}.0f", 1 << OFFSET_SHIFT)),
        ]
        .map(|(name, value)| format!("-D{name}={value}"))
        .into()
    }
}

/// The text of all kernels.
pub(super) fn kernels() -> String {
    [
        include_str!("kernels/common.cuh"),
        include_str!("kernels/norm.cu"),
        include_str!("kernels/act.cu"),
        include_str!("kernels/attention.cu"),
        include_str!("kernels/loss.cu"),
        include_str!("kernels/optim.cu"),
        include_str!("kernels/decode.cu"),
    ]
    .concat()
}

/// The weights of all layers, one layer after another.
pub(super) fn flat_layers(model: &FloatModel) -> Result<Vec<f32>> {
    let mut all = Vec::new();
    for layer in model.layers.iter() {
        let w = layer?;
        for m in linears(&w) {
            all.extend_from_slice(&m.data);
        }
    }
    Ok(all)
}

/// The gains of all norms: of attention and feed-forward, layer by layer, then the last.
pub(super) fn flat_gains(model: &FloatModel) -> Result<Vec<f32>> {
    let mut all = Vec::new();
    for layer in model.layers.iter() {
        let w = layer?;
        all.extend_from_slice(&w.attn_norm);
        all.extend_from_slice(&w.mlp_norm);
    }
    all.extend_from_slice(&model.final_norm);
    Ok(all)
}

fn linears(w: &FloatLayer) -> [&Matrix; 7] {
    [&w.q, &w.k, &w.v, &w.o, &w.gate, &w.up, &w.down]
}

/// A model of the weights that [`flat_layers`] and [`flat_gains`] lay out, and an embedding `[vocab, hidden]`.
pub(super) fn model_of(
    config: LlamaConfig,
    weights: &[f32],
    gains: &[f32],
    embed: Vec<f32>,
) -> Result<FloatModel> {
    let shape = KernelShape::of(&config)?;
    let parts = shape.parts();
    let layer = |(w, g): (&[f32], &[f32])| {
        let [q, k, v, o, gate, up, down] =
            parts.map(|p| Matrix { rows: p.rows, cols: p.cols, data: w[p.at..p.at + p.len()].to_vec() });
        let (attn_norm, mlp_norm) = (g[..shape.sizes.hidden].to_vec(), g[shape.sizes.hidden..].to_vec());
        let (biases, q_norm, k_norm) = Default::default();
        FloatLayer { attn_norm, q, k, v, o, mlp_norm, gate, up, down, biases, q_norm, k_norm }
    };
    let layers =
        weights.chunks_exact(shape.layer()).zip(gains.chunks_exact(2 * shape.sizes.hidden)).map(layer);
    Ok(FloatModel {
        embed: Matrix { rows: shape.sizes.vocab, cols: shape.sizes.hidden, data: embed },
        layers: layers.collect::<Vec<_>>().into(),
        final_norm: gains[2 * shape.sizes.layers * shape.sizes.hidden..].to_vec(),
        head: None,
        config,
    })
}

//! Sizes of a model, where its weights lie on the device, and the text of its kernels.

use crate::config::LlamaConfig;
use crate::float::{FloatLayer, FloatModel, Matrix};
use crate::model::GROUP;
use crate::{Error, Result};
use accllm_hw::fixed::{EXPONENT_MAX, H_MAX, H_MIN};

/// Width of a head that the kernels of attention are written for.
const HEAD: usize = 64;

/// Sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    pub hidden: usize,
    pub ffn: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub vocab: usize,
    pub layers: usize,
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

impl Shape {
    /// Of a model that can be trained on a device.
    ///
    /// # Errors
    /// Its sizes do not fit the kernels, or its head is not its embedding.
    pub fn of(c: &LlamaConfig) -> Result<Self> {
        let refuse = |what: String| {
            Err(Error::Argument(format!("training on a device: {what}; use --device cpu for this model")))
        };
        if c.head_dim != HEAD {
            return refuse(format!("heads are {} wide, and the kernels know {HEAD}", c.head_dim));
        }
        if !c.tied_head {
            return refuse("the head is a weight of its own, and only tied ones are trained".into());
        }
        if !c.hidden.is_multiple_of(GROUP) || !c.ffn.is_multiple_of(GROUP) || !c.vocab.is_multiple_of(8) {
            return refuse(format!(
                "sizes {}, {} and {} are not multiples of {GROUP}, {GROUP} and 8",
                c.hidden, c.ffn, c.vocab
            ));
        }
        Ok(Self {
            hidden: c.hidden,
            ffn: c.ffn,
            heads: c.heads,
            kv_heads: c.kv_heads,
            vocab: c.vocab,
            layers: c.layers,
            eps: c.norm_eps,
        })
    }

    /// Width of q.
    pub fn q(&self) -> usize {
        self.heads * HEAD
    }

    /// Width of k, and of v.
    pub fn kv(&self) -> usize {
        self.kv_heads * HEAD
    }

    /// Width of q, k and v.
    pub fn qkv(&self) -> usize {
        self.q() + 2 * self.kv()
    }

    /// q, k, v, o, gate, up and down within a layer: q, k and v are one matrix, so are gate and up.
    pub fn parts(&self) -> [Part; 7] {
        let sizes = [
            (self.q(), self.hidden),
            (self.kv(), self.hidden),
            (self.kv(), self.hidden),
            (self.hidden, self.q()),
            (self.ffn, self.hidden),
            (self.ffn, self.hidden),
            (self.hidden, self.ffn),
        ];
        let mut at = 0;
        sizes.map(|(rows, cols)| {
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
        2 * self.layers + 1
    }

    /// Numbers that a step of rounding or a largest magnitude is kept for: five a layer, and the head's input.
    pub fn steps(&self) -> usize {
        5 * self.layers + 1
    }

    /// What the kernels are compiled with.
    pub fn defines(&self) -> Vec<String> {
        [
            ("HIDDEN", self.hidden.to_string()),
            ("FFN", self.ffn.to_string()),
            ("HEADS", self.heads.to_string()),
            ("KV_HEADS", self.kv_heads.to_string()),
            ("VOCAB", self.vocab.to_string()),
            ("NORM_EPS", format!("{:e}f", self.eps)),
            ("H_MIN", H_MIN.to_string()),
            ("H_MAX", H_MAX.to_string()),
            ("EXPONENT_MAX", EXPONENT_MAX.to_string()),
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
    let shape = Shape::of(&config)?;
    let parts = shape.parts();
    let layer = |(w, g): (&[f32], &[f32])| {
        let [q, k, v, o, gate, up, down] =
            parts.map(|p| Matrix { rows: p.rows, cols: p.cols, data: w[p.at..p.at + p.len()].to_vec() });
        let (attn_norm, mlp_norm) = (g[..shape.hidden].to_vec(), g[shape.hidden..].to_vec());
        FloatLayer { attn_norm, q, k, v, o, mlp_norm, gate, up, down }
    };
    let layers = weights.chunks_exact(shape.layer()).zip(gains.chunks_exact(2 * shape.hidden)).map(layer);
    Ok(FloatModel {
        embed: Matrix { rows: shape.vocab, cols: shape.hidden, data: embed },
        layers: layers.collect::<Vec<_>>().into(),
        final_norm: gains[2 * shape.layers * shape.hidden..].to_vec(),
        head: None,
        config,
    })
}

//! Sizes of a model, where its weights lie on the device, and the text of its kernels.

use accllm_hw::beat::OFFSET_SHIFT;
use accllm_hw::fixed::{EXPONENT_MAX, H_MAX, H_MIN};
use accllm_hw::sizes::{Linear, Sizes};
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{FloatLayer, FloatModel};
use accllm_llm::model::GROUP;
use accllm_llm::{Error, Result};

/// Widths of a head that the kernels are written for.
const HEADS: [usize; 2] = [64, 128];

/// What the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct KernelShape {
    pub sizes: Sizes,
    /// Added to the mean square in norms.
    pub eps: f64,
    /// Whether the head is the embedding.
    pub tied: bool,
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
    /// Its sizes do not fit the kernels, or its layers have what they do not know.
    pub fn of(c: &LlamaConfig) -> Result<Self> {
        let refuse = |what: String| {
            Err(Error::Argument(format!("training on a device: {what}; use --device cpu for this model")))
        };
        if !HEADS.contains(&c.sizes.head_dim) {
            return refuse(format!("heads are {} wide, and the kernels know 64 and 128", c.sizes.head_dim));
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
        Ok(Self { sizes: c.sizes, eps: c.norm_eps, tied: c.tied_head })
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

    /// Weights of the embedding, and of the head.
    pub fn table(&self) -> usize {
        self.sizes.vocab * self.sizes.hidden
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
            ("HEAD", self.sizes.head_dim.to_string()),
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

/// The weights of a layer, as [`KernelShape::parts`] lays them out.
pub(super) fn flat_layer(w: &FloatLayer) -> Vec<f32> {
    [&w.q, &w.k, &w.v, &w.o, &w.gate, &w.up, &w.down].map(|m| m.data.as_slice()).concat()
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

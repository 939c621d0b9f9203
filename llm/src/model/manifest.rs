//! `quant.json`: everything of a quantized model that is not a tensor.

use super::{Arch, LambdaShape, LayerConstants, WeightFormat};
use serde::{Deserialize, Serialize};

/// Value of `format`.
pub(super) const FORMAT: &str = "accllm-quant";
/// Version written.
pub(super) const VERSION: u32 = 5;
/// Version written of a model with biases, norms of heads or layers without rotation, which readers of the one before would leave out.
pub(super) const BIASED: u32 = 6;
/// The version before it, whose tensors are not packed; only [`super::QuantModel::load_unpacked`] reads it.
pub(super) const UNPACKED: u32 = 4;
/// File names in a model folder.
pub(super) const MANIFEST: &str = "quant.json";
pub(super) const TENSORS: &str = "quant.safetensors";

/// The part that is read first, whatever the version.
#[derive(Deserialize)]
pub(super) struct Header {
    #[serde(default)]
    pub format: String,
    #[serde(default)]
    pub version: u32,
}

/// The whole manifest.
#[derive(Serialize, Deserialize)]
pub(super) struct Manifest {
    pub format: String,
    pub version: u32,
    pub arch: Arch,
    pub resid_frac: u8,
    pub embed_shift: u8,
    pub logit_frac: u8,
    pub prob_wide: bool,
    pub lambda: LambdaShape,
    pub layers: Vec<LayerEntry>,
    pub final_norm: NormEntry,
    pub head: HeadEntry,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefix: Vec<u32>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct NormEntry {
    pub eps: u32,
    pub gs: u8,
}

#[derive(Serialize, Deserialize)]
pub(super) struct HeadEntry {
    #[serde(with = "format_name")]
    pub format: WeightFormat,
}

#[derive(Serialize, Deserialize)]
pub(super) struct LayerEntry {
    pub attn_norm: NormEntry,
    pub mlp_norm: NormEntry,
    #[serde(flatten)]
    pub constants: LayerConstants,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leads: Vec<u8>,
    pub format: Formats,
    /// Names of the linears with a bias.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub biases: Vec<String>,
    /// Norms of query and key heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_norms: Option<[NormEntry; 2]>,
}

/// Weight format of each linear.
#[derive(Serialize, Deserialize)]
pub(super) struct Formats {
    #[serde(with = "format_name")]
    pub q: WeightFormat,
    #[serde(with = "format_name")]
    pub k: WeightFormat,
    #[serde(with = "format_name")]
    pub v: WeightFormat,
    #[serde(with = "format_name")]
    pub o: WeightFormat,
    #[serde(with = "format_name")]
    pub gate: WeightFormat,
    #[serde(with = "format_name")]
    pub up: WeightFormat,
    #[serde(with = "format_name")]
    pub down: WeightFormat,
}

/// A weight format by its manifest name.
mod format_name {
    use super::WeightFormat;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(format: &WeightFormat, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(format.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<WeightFormat, D::Error> {
        let name = String::deserialize(d)?;
        WeightFormat::from_name(&name)
            .ok_or_else(|| D::Error::custom(format!("weight format {name:?}; expected w2s, w2d or w4")))
    }
}

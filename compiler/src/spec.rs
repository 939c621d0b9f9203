//! What the compiler needs to know of a quantized model apart from its tensors.

use crate::error::{Result, model};
use accllm_hw::beat::WeightFormat;
use accllm_hw::sizes::{Linear, Sizes};
use accllm_llm::model::{Layer, Norm as QuantNorm, QuantModel, UNROTATED, different_leads};
use serde::{Deserialize, Serialize};

/// Constants of one RMSNorm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Norm {
    /// Added to the sum of squares.
    pub eps: u32,
    /// Shift after the multiplication with g.
    pub gs: u8,
}

/// Constants of one layer (docs/numerics.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // named and explained in docs/numerics.md
pub struct LayerConsts {
    pub attn_norm: Norm,
    pub mlp_norm: Norm,
    pub rot_shift_q: u8,
    pub rot_shift_k: u8,
    pub v_shift: u8,
    pub zm: u16,
    pub zs: u8,
    pub og: u16,
    pub os: u8,
    pub hs: u8,
    /// Norms of query and of key heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_norms: Option<[Norm; 2]>,
}

/// Constants and weight formats of a layer. Equal specs can share one loop body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LayerSpec {
    /// Constants.
    pub consts: LayerConsts,
    /// Format of each of [`Linear::LAYER`].
    #[serde(with = "formats")]
    pub formats: [WeightFormat; 7],
}

impl LayerSpec {
    /// Format of one linear layer of the layer; the head is not one of them.
    pub fn format(&self, linear: Linear) -> Option<WeightFormat> {
        self.formats.get(linear as usize).copied()
    }
}

/// A model without its tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// Sizes.
    #[serde(rename = "dims")] // the name in program files
    pub sizes: Sizes,
    /// Left shift of embedding entries.
    pub embed_shift: u8,
    /// 16-bit probabilities.
    pub prob_wide: bool,
    /// The layers.
    pub layers: Vec<LayerSpec>,
    /// Final norm.
    pub final_norm: Norm,
    /// Format of the head.
    #[serde(with = "format")]
    pub head: WeightFormat,
    /// The different leading RoPE pairs, ascending; [`UNROTATED`] for layers without rotation.
    pub leads: Vec<u8>,
    /// Groups of KV heads, as [`lead_groups`] finds them.
    pub rope_groups: usize,
    /// Linears of each layer that add a bias.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub biases: Vec<Linear>,
}

/// The different leading RoPE pairs of a model, ascending, and the smallest number of equally large groups of consecutive
/// KV heads so that in no layer heads of a group differ. A layer without leads has 0 for all heads.
pub fn lead_groups<'a>(kv_heads: usize, layers: impl Iterator<Item = &'a [u8]> + Clone) -> (Vec<u8>, usize) {
    let lead = |layer: &[u8], kv: usize| layer.get(kv).copied().unwrap_or(0);
    let alike = |size: usize| {
        layers.clone().all(|l| (0..kv_heads).all(|kv| lead(l, kv) == lead(l, kv / size * size)))
    };
    let mut divisors = (1..=kv_heads).filter(|n| kv_heads.is_multiple_of(*n));
    let groups = divisors.find(|n| alike(kv_heads / n)).unwrap_or(1);
    (different_leads(layers), groups)
}

impl From<&QuantNorm> for Norm {
    fn from(n: &QuantNorm) -> Self {
        Self { eps: n.eps, gs: n.gs }
    }
}

impl From<&Layer> for LayerSpec {
    fn from(l: &Layer) -> Self {
        let c = &l.constants;
        let consts = LayerConsts {
            attn_norm: (&l.attn_norm).into(),
            mlp_norm: (&l.mlp_norm).into(),
            rot_shift_q: c.rot_shift_q,
            rot_shift_k: c.rot_shift_k,
            v_shift: c.v_shift,
            zm: c.zm,
            zs: c.zs,
            og: c.og,
            os: c.os,
            hs: c.hs,
            head_norms: l.head_norms.as_ref().map(|norms| norms.each_ref().map(Norm::from)),
        };
        Self { consts, formats: l.weights().map(|w| w.grid.format) }
    }
}

impl From<&QuantModel> for ModelSpec {
    fn from(m: &QuantModel) -> Self {
        let (leads, rope_groups) =
            lead_groups(m.arch.sizes.kv_heads, m.layers.iter().map(|l| l.leads.as_slice()));
        Self {
            sizes: m.arch.sizes,
            embed_shift: m.embed_shift,
            prob_wide: m.prob_wide,
            layers: m.layers.iter().map(LayerSpec::from).collect(),
            final_norm: (&m.final_norm).into(),
            head: m.head.grid.format,
            leads,
            rope_groups,
            biases: m.layers.first().map(|l| l.biased().collect()).unwrap_or_default(),
        }
    }
}

impl ModelSpec {
    /// Refuses what the engine does not support.
    ///
    /// # Errors
    /// The first value outside the limits of docs/numerics.md.
    pub fn check(&self) -> Result<()> {
        let d = &self.sizes;
        d.check().map_err(|(field, why)| model(format!("{field} {why}"), "take another model"))?;
        if self.layers.len() != d.layers {
            return Err(model(
                format!("{} layer descriptions for {} layers", self.layers.len(), d.layers),
                "quantize the model again",
            ));
        }
        self.check_leads()?;
        self.check_constants()
    }

    fn check_leads(&self) -> Result<()> {
        let d = &self.sizes;
        let ascending = self.leads.is_sorted_by(|a, b| a < b);
        let pairs = self.leads.strip_suffix(&[UNROTATED]).unwrap_or(&self.leads);
        let within = !self.leads.is_empty() && pairs.iter().all(|l| usize::from(*l) < d.head_dim / 2);
        if !ascending || !within {
            return Err(model(
                format!("leading RoPE pairs {:?}", self.leads),
                format!(
                    "a head has pairs 0..{}, each is named once, and {UNROTATED} is for no rotation",
                    d.head_dim / 2
                ),
            ));
        }
        let groups = self.rope_groups;
        if groups == 0 || !d.kv_heads.is_multiple_of(groups) || groups > 1 && self.leads.len() == 1 {
            return Err(model(
                format!("{groups} groups of {} KV heads", d.kv_heads),
                "quantize the model again",
            ));
        }
        Ok(())
    }

    fn check_constants(&self) -> Result<()> {
        let bad = |l: usize, name: &str, value: u8, limit: u8| {
            model(format!("layer {l}: {name} is {value}"), format!("docs/numerics.md allows 0..={limit}"))
        };
        for (l, layer) in self.layers.iter().enumerate() {
            let c = &layer.consts;
            let named = [
                ("attn_norm.gs", c.attn_norm.gs, 47),
                ("mlp_norm.gs", c.mlp_norm.gs, 47),
                ("rot_shift_q", c.rot_shift_q, 15),
                ("rot_shift_k", c.rot_shift_k, 15),
                ("v_shift", c.v_shift, 31),
                ("zs", c.zs, 47),
                ("os", c.os, 47),
                ("hs", c.hs, 47),
            ];
            let heads = c.head_norms.iter().flatten().find(|n| n.gs > 47);
            if let Some(norm) = heads {
                return Err(bad(l, "head_norms.gs", norm.gs, 47));
            }
            if let Some(&(name, value, limit)) = named.iter().find(|(_, v, limit)| v > limit) {
                return Err(bad(l, name, value, limit));
            }
        }
        if self.embed_shift > 10 {
            return Err(model(
                format!("embed_shift is {}", self.embed_shift),
                "more than 10 leaves the 26 bits of the residual",
            ));
        }
        Ok(())
    }
}

mod format {
    use accllm_hw::beat::WeightFormat;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(f: &WeightFormat, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(f.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<WeightFormat, D::Error> {
        let name = String::deserialize(d)?;
        WeightFormat::from_name(&name).ok_or_else(|| D::Error::custom(format!("weight format '{name}'")))
    }
}

mod formats {
    use accllm_hw::beat::WeightFormat;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(f: &[WeightFormat; 7], s: S) -> Result<S::Ok, S::Error> {
        f.map(WeightFormat::name).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[WeightFormat; 7], D::Error> {
        let mut out = [WeightFormat::W4; 7];
        for (o, name) in out.iter_mut().zip(<[String; 7]>::deserialize(d)?) {
            *o = WeightFormat::from_name(&name)
                .ok_or_else(|| D::Error::custom(format!("weight format '{name}'")))?;
        }
        Ok(out)
    }
}

//! One decoder layer whose weights are trained on their grids.

use super::attention::{Geometry, attend, rope};
use super::fake::{LatentShape, LatentWeight};
use super::ops::{linear, rms_norm, silu_mul, straight_through};
use crate::file::replace;
use crate::grid::{GridLayer, LayerGrids};
use crate::head::{each_head, key_head, query_head};
use accllm_hw::sizes::Linear;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{Biases, LayerAt, Matrix, Rope};
use accllm_llm::model::WeightFormat;
use candle_core::{Device, Result, Tensor, Var, safetensors};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// A layer in training.
pub(super) struct TrainLayer {
    geometry: Geometry,
    eps: f64,
    attn_norm: Var,
    mlp_norm: Var,
    /// q, k, v, o, gate, up, down.
    linears: [LatentWeight; 7],
    /// What they add, which is not trained.
    biases: Biases,
    /// Gains of the norms of query and key heads, which are not trained.
    head_norms: [Vec<f32>; 2],
    /// Static step of V; none: K, Q and V are not rounded.
    value_step: Option<f32>,
    /// Leading RoPE pair of each KV head.
    leads: Arc<Vec<usize>>,
}

/// The parameters of a layer by what learning rate they take.
pub(super) struct Parameters {
    /// Weights, in levels.
    pub weights: Vec<Var>,
    /// Logarithms of scales.
    pub scales: Vec<Var>,
    /// Norm gains.
    pub gains: Vec<Var>,
}

/// Names of the gains of the norms of heads in a file.
const HEAD_NORMS: [&str; 2] = ["q_norm", "k_norm"];
/// Names of the linears in a file.
const NAMES: [&str; 7] = ["q", "k", "v", "o", "gate", "up", "down"];

/// What is the same for all layers.
struct Frame {
    geometry: Geometry,
    /// Columns of each linear before padding, and where the real ones are.
    columns: [(usize, Arc<Vec<usize>>); 7],
}

impl Frame {
    fn new(c: &LlamaConfig, l: usize, seq: usize) -> Self {
        let table = Rope::new(c.sizes.head_dim, &c.sizes.rope);
        let plain = |cols: usize| (cols, Arc::new((0..cols).collect::<Vec<_>>()));
        let stride = c.sizes.head_stride();
        let heads =
            (0..c.sizes.heads).flat_map(|h| (0..c.sizes.head_dim).map(move |i| h * stride + i)).collect();
        let (wide, heads) = (plain(c.sizes.hidden), (c.sizes.heads * stride, Arc::new(heads)));
        Self {
            geometry: Geometry {
                seq,
                heads: c.sizes.heads,
                kv_heads: c.sizes.kv_heads,
                head_dim: c.sizes.head_dim,
                // All of position 0, which turns nothing, where the layer rotates nothing.
                angles: Arc::new((0..seq).map(|t| table.angles(if c.rotates(l) { t } else { 0 })).collect()),
            },
            columns: [wide.clone(), wide.clone(), wide.clone(), heads, wide.clone(), wide, plain(c.sizes.ff)],
        }
    }
}

fn leads(c: &LlamaConfig, l: usize) -> Arc<Vec<usize>> {
    Arc::new((0..c.sizes.kv_heads).map(|kv| c.lead(l, kv)).collect())
}

impl TrainLayer {
    /// From a layer and its first grids, for sequences of `seq` tokens.
    pub fn new(
        c: &LlamaConfig,
        layer: LayerAt<'_>,
        grids: &LayerGrids,
        seq: usize,
        value_step: Option<f32>,
        device: &Device,
    ) -> Result<Self> {
        let Frame { geometry, columns } = Frame::new(c, layer.l, seq);
        let [q, k, v, o, gate, up, down] = columns.map(|c| c.1);
        let LayerAt { l, weights: w } = layer;
        let latent = |w: &Matrix, g, columns| LatentWeight::new(w, g, columns, device);
        let gain = |g: &[f32]| Var::from_vec(g.to_vec(), g.len(), device);
        Ok(Self {
            geometry,
            eps: c.norm_eps,
            attn_norm: gain(&w.attn_norm)?,
            mlp_norm: gain(&w.mlp_norm)?,
            linears: [
                latent(&w.q, &grids.q, q)?,
                latent(&w.k, &grids.k, k)?,
                latent(&w.v, &grids.v, v)?,
                latent(&w.o, &grids.o, o)?,
                latent(&w.gate, &grids.gate, gate)?,
                latent(&w.up, &grids.up, up)?,
                latent(&w.down, &grids.down, down)?,
            ],
            biases: w.biases.clone(),
            head_norms: [w.q_norm.clone(), w.k_norm.clone()],
            value_step,
            leads: leads(c, l),
        })
    }

    /// A layer that [`TrainLayer::save`] has written.
    pub fn restore(
        c: &LlamaConfig,
        l: usize,
        formats: &[WeightFormat; 7],
        seq: usize,
        path: &Path,
        device: &Device,
    ) -> Result<Self> {
        let Frame { geometry, columns } = Frame::new(c, l, seq);
        let shape =
            |(format, (cols, columns)): (&WeightFormat, _)| LatentShape { format: *format, cols, columns };
        let shapes = formats.iter().zip(columns).map(shape);
        let tensors = safetensors::load(path, device)?;
        let get = |name: &str| get(&tensors, name);
        let each = NAMES.iter().zip(shapes).map(|(name, shape)| {
            let offset = match shape.format {
                WeightFormat::W4 => get(&format!("{name}.offset"))?.flatten_all()?.to_vec1()?,
                _ => Vec::new(),
            };
            let (v, log_scale) = (get(&format!("{name}.v"))?, get(&format!("{name}.log_scale"))?);
            LatentWeight::restore(v, log_scale, offset, shape)
        });
        let linears: Vec<LatentWeight> = each.collect::<Result<_>>()?;
        let few = |_| candle_core::Error::Msg("a layer has seven linears".into());
        let gains = |name: &str| tensors.get(name).map_or(Ok(Vec::new()), |t| t.to_vec1());
        let head_norms = [gains(HEAD_NORMS[0])?, gains(HEAD_NORMS[1])?];
        let mut biases = Biases::default();
        for which in Linear::LAYER {
            if let Some(bias) = tensors.get(&format!("{}.bias", which.name())) {
                biases[which] = bias.to_vec1()?;
            }
        }
        let step = get("value_step")?.to_vec1::<f32>()?.first().copied().filter(|s| *s > 0.0);
        Ok(Self {
            geometry,
            eps: c.norm_eps,
            attn_norm: Var::from_tensor(get("attn_norm")?)?,
            mlp_norm: Var::from_tensor(get("mlp_norm")?)?,
            linears: linears.try_into().map_err(few)?,
            biases,
            head_norms,
            value_step: step,
            leads: leads(c, l),
        })
    }

    /// Takes what [`TrainLayer::tensors`] gave of a layer with the same start.
    pub fn take(&self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        for (name, w) in NAMES.iter().zip(&self.linears) {
            w.v.set(get(tensors, &format!("{name}.v"))?)?;
            w.log_scale.set(get(tensors, &format!("{name}.log_scale"))?)?;
        }
        self.attn_norm.set(get(tensors, "attn_norm")?)?;
        self.mlp_norm.set(get(tensors, "mlp_norm")?)
    }

    /// The layer in training, by names.
    pub fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        let mut tensors: HashMap<String, Tensor> = HashMap::new();
        for (name, w) in NAMES.iter().zip(&self.linears) {
            tensors.insert(format!("{name}.v"), w.v.as_tensor().clone());
            tensors.insert(format!("{name}.log_scale"), w.log_scale.as_tensor().clone());
            if let count @ 1.. = w.offset().len() {
                let offset = Tensor::from_vec(w.offset().to_vec(), count, &Device::Cpu)?;
                tensors.insert(format!("{name}.offset"), offset);
            }
        }
        for (name, gain) in HEAD_NORMS.iter().zip(&self.head_norms).filter(|(_, gain)| !gain.is_empty()) {
            tensors.insert((*name).into(), Tensor::from_slice(gain, gain.len(), &Device::Cpu)?);
        }
        for (which, bias) in self.biases.iter() {
            let bias = Tensor::from_slice(bias, bias.len(), &Device::Cpu)?;
            tensors.insert(format!("{}.bias", which.name()), bias);
        }
        tensors.insert("attn_norm".into(), self.attn_norm.as_tensor().clone());
        tensors.insert("mlp_norm".into(), self.mlp_norm.as_tensor().clone());
        let step = vec![self.value_step.unwrap_or(0.0)];
        tensors.insert("value_step".into(), Tensor::from_vec(step, 1, &Device::Cpu)?);
        Ok(tensors)
    }

    /// What is trained.
    pub fn parameters(&self) -> Parameters {
        Parameters {
            weights: self.linears.iter().map(|l| l.v.clone()).collect(),
            scales: self.linears.iter().map(|l| l.log_scale.clone()).collect(),
            gains: vec![self.attn_norm.clone(), self.mlp_norm.clone()],
        }
    }

    /// The weights on their grids, once for a step.
    pub fn weights(&self) -> Result<[Tensor; 7]> {
        let [q, k, v, o, gate, up, down] = &self.linears;
        Ok([q.weight()?, k.weight()?, v.weight()?, o.weight()?, gate.weight()?, up.weight()?, down.weight()?])
    }

    /// The residual stream after the layer, `[tokens, hidden]`, of whole sequences `x`.
    pub fn forward(&self, x: &Tensor, [wq, wk, wv, wo, wg, wu, wd]: &[Tensor; 7]) -> Result<Tensor> {
        let g = &self.geometry;
        let a = rms_norm(x, &self.attn_norm, self.eps)?;
        let [q_norm, k_norm] = &self.head_norms;
        let mut q = rope(&self.normed(self.affine(&a, wq, Linear::Q)?, q_norm)?, g)?;
        let mut k = rope(&self.normed(self.affine(&a, wk, Linear::K)?, k_norm)?, g)?;
        let mut v = self.affine(&a, wv, Linear::V)?;
        if let Some(step) = self.value_step {
            let (d, heads, kv_heads, group) = (g.head_dim, g.heads, g.kv_heads, g.heads / g.kv_heads);
            let leads = self.leads.clone();
            k = straight_through(&k, move |row| {
                each_head(row, d, kv_heads, |h, head| key_head(head, leads[h]));
            })?;
            let leads = self.leads.clone();
            q = straight_through(&q, move |row| {
                each_head(row, d, heads, |h, head| query_head(head, leads[h / group]));
            })?;
            v = straight_through(&v, move |row| {
                row.iter_mut().for_each(|v| *v = (*v / step).round().clamp(-8.0, 7.0) * step);
            })?;
        }
        let o = attend(&q, &k, &v, g)?;
        let x = (x + self.affine(&o, wo, Linear::O)?)?;
        let m = rms_norm(&x, &self.mlp_norm, self.eps)?;
        let h = silu_mul(&self.affine(&m, wg, Linear::Gate)?, &self.affine(&m, wu, Linear::Up)?)?;
        x + self.affine(&h, wd, Linear::Down)?
    }

    /// The norm of each head, where heads have one.
    fn normed(&self, x: Tensor, gain: &[f32]) -> Result<Tensor> {
        if gain.is_empty() {
            return Ok(x);
        }
        let shape = x.shape().clone();
        let heads = x.reshape(((), gain.len()))?;
        let gain = Tensor::from_slice(gain, gain.len(), heads.device())?;
        rms_norm(&heads, &gain, self.eps)?.reshape(shape)
    }

    /// `x W^T`, and the bias of this linear where it has one.
    fn affine(&self, x: &Tensor, w: &Tensor, which: Linear) -> Result<Tensor> {
        let y = linear(x, w)?;
        match self.biases[which].as_slice() {
            [] => Ok(y),
            bias => y.broadcast_add(&Tensor::from_slice(bias, bias.len(), x.device())?),
        }
    }

    /// Where the training is.
    pub fn result(&self) -> Result<GridLayer> {
        let [q, k, v, o, gate, up, down] = &self.linears;
        let grids = LayerGrids {
            q: q.grid()?,
            k: k.grid()?,
            v: v.grid()?,
            o: o.grid()?,
            gate: gate.grid()?,
            up: up.grid()?,
            down: down.grid()?,
            recovered: 0,
        };
        Ok(GridLayer {
            grids,
            attn_norm: self.attn_norm.to_vec1()?,
            mlp_norm: self.mlp_norm.to_vec1()?,
            biases: self.biases.clone(),
            q_norm: self.head_norms[0].clone(),
            k_norm: self.head_norms[1].clone(),
        })
    }
}

/// The tensor `name`.
pub(super) fn get<'a>(tensors: &'a HashMap<String, Tensor>, name: &str) -> Result<&'a Tensor> {
    tensors.get(name).ok_or_else(|| candle_core::Error::Msg(format!("`{name}` is missing")))
}

/// Writes tensors to `path`, by way of a temporary name.
pub(super) fn save(tensors: HashMap<String, Tensor>, path: &Path) -> Result<()> {
    replace(path, |partial| safetensors::save(&tensors, partial))
}

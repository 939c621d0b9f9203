//! One decoder layer whose weights are trained on their grids.

use super::attention::{Geometry, attend, rope};
use super::fake::LatentWeight;
use super::ops::{rms_norm, silu_mul, straight_through};
use crate::float::{FloatLayer, Matrix, Rope};
use crate::hf::LlamaConfig;
use crate::quantize::simulate::{key_head, query_head};
use crate::quantize::{GridLayer, LayerGrids};
use candle_core::{Device, Result, Tensor, Var};
use std::sync::Arc;

/// A layer in training.
pub(super) struct TrainLayer {
    geometry: Geometry,
    eps: f64,
    attn_norm: Var,
    mlp_norm: Var,
    /// q, k, v, o, gate, up, down.
    linears: [LatentWeight; 7],
    /// Static step of V; none: K, Q and V are not rounded.
    value_step: Option<f32>,
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

impl TrainLayer {
    /// From a layer and its first grids, for sequences of `seq` tokens.
    pub fn new(
        c: &LlamaConfig,
        w: &FloatLayer,
        grids: &LayerGrids,
        seq: usize,
        value_step: Option<f32>,
        device: &Device,
    ) -> Result<Self> {
        let table = Rope::new(c.head_dim, &c.rope);
        let geometry = Geometry {
            seq,
            heads: c.heads,
            kv_heads: c.kv_heads,
            head_dim: c.head_dim,
            angles: Arc::new((0..seq).map(|t| table.angles(t)).collect()),
        };
        let plain = |cols: usize| Arc::new((0..cols).collect::<Vec<_>>());
        let stride = c.head_dim.next_multiple_of(crate::model::GROUP);
        let heads = (0..c.heads).flat_map(|h| (0..c.head_dim).map(move |i| h * stride + i)).collect();
        let heads = Arc::new(heads);
        let latent = |w: &Matrix, g| LatentWeight::new(w, g, plain(w.cols), device);
        let gain = |g: &[f32]| Var::from_vec(g.to_vec(), g.len(), device);
        Ok(Self {
            geometry,
            eps: c.norm_eps,
            attn_norm: gain(&w.attn_norm)?,
            mlp_norm: gain(&w.mlp_norm)?,
            linears: [
                latent(&w.q, &grids.q)?,
                latent(&w.k, &grids.k)?,
                latent(&w.v, &grids.v)?,
                LatentWeight::new(&w.o, &grids.o, heads, device)?,
                latent(&w.gate, &grids.gate)?,
                latent(&w.up, &grids.up)?,
                latent(&w.down, &grids.down)?,
            ],
            value_step,
        })
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

    /// The residual stream behind the layer, `[tokens, hidden]`, of whole sequences `x`.
    pub fn forward(&self, x: &Tensor, [wq, wk, wv, wo, wg, wu, wd]: &[Tensor; 7]) -> Result<Tensor> {
        let g = &self.geometry;
        let a = rms_norm(x, &self.attn_norm, self.eps)?;
        let mut q = rope(&a.matmul(&wq.t()?)?, g)?;
        let mut k = rope(&a.matmul(&wk.t()?)?, g)?;
        let mut v = a.matmul(&wv.t()?)?;
        if let Some(step) = self.value_step {
            let d = g.head_dim;
            k = straight_through(&k, move |row| row.chunks_exact_mut(d).for_each(key_head))?;
            q = straight_through(&q, move |row| row.chunks_exact_mut(d).for_each(query_head))?;
            v = straight_through(&v, move |row| {
                row.iter_mut().for_each(|v| *v = (*v / step).round().clamp(-8.0, 7.0) * step);
            })?;
        }
        let o = attend(&q, &k, &v, g)?;
        let x = (x + o.matmul(&wo.t()?)?)?;
        let m = rms_norm(&x, &self.mlp_norm, self.eps)?;
        let h = silu_mul(&m.matmul(&wg.t()?)?, &m.matmul(&wu.t()?)?)?;
        x + h.matmul(&wd.t()?)?
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
        Ok(GridLayer { grids, attn_norm: self.attn_norm.to_vec1()?, mlp_norm: self.mlp_norm.to_vec1()? })
    }
}

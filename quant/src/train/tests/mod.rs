//! The CPU's own operations against the library's, and layers in training against float layers.

mod layer;
mod operations;
mod weights;

pub(super) use layer::{SEQ, train_layer};

use accllm_hw::rope::Rope;
use accllm_hw::sizes::{Linear, Sizes};
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{Biases, FloatLayer, Matrix};
use candle_core::{Device, Result, Tensor, Var};

/// Values in -1..1 that depend on `seed` alone.
pub(crate) fn random(n: usize, seed: u64) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..n).map(|_| random.f32() * 2.0 - 1.0).collect()
}

pub(super) fn matrix(rows: usize, cols: usize, seed: u64) -> Matrix {
    Matrix { rows, cols, data: random(rows * cols, seed) }
}

fn var(data: Vec<f32>, shape: (usize, usize)) -> Result<Var> {
    Var::from_vec(data, shape, &Device::Cpu)
}

pub(super) fn values(t: &Tensor) -> Result<Vec<f32>> {
    t.flatten_all()?.to_vec1()
}

/// The elements of `y` and their gradients by each of `vars`, for a random gradient of `y`.
fn with_gradients(y: &Tensor, vars: &[&Var]) -> Result<Vec<Vec<f32>>> {
    let dy = Tensor::from_vec(random(y.elem_count(), 99), y.shape(), y.device())?;
    let gradients = (y * dy)?.sum_all()?.backward()?;
    let missing = || candle_core::Error::Msg("no gradient".into());
    let each = vars.iter().map(|v| values(gradients.get(v).ok_or_else(missing)?));
    [values(y)].into_iter().chain(each).collect()
}

/// Equal up to rounding of sums in another order.
fn assert_near(what: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{what}");
    let largest = b.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(largest > 0.0, "{what} is all zero");
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        assert!((x - y).abs() <= 2e-6 + 1e-5 * largest, "{what}[{i}]: {x} and {y}");
    }
}

/// Both forms of an operation have the same value and gradients.
fn assert_same(what: &str, fused: &Tensor, composed: &Tensor, vars: &[&Var]) -> Result<()> {
    assert_eq!(fused.shape(), composed.shape(), "{what}");
    let pairs = with_gradients(fused, vars)?.into_iter().zip(with_gradients(composed, vars)?);
    for (i, (a, b)) in pairs.enumerate() {
        assert_near(&format!("{what}, {}", if i == 0 { "value" } else { "gradient" }), &a, &b);
    }
    Ok(())
}

/// Two KV heads of width 10 for four query heads; no width but that of the whole feed-forward fills its groups.
pub(crate) fn config() -> LlamaConfig {
    LlamaConfig {
        sizes: Sizes {
            hidden: 40,
            ff: 96,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            head_dim: 10,
            vocab: 50,
            rope: Rope::plain(10_000.0),
        },
        sliding_window: None,
        norm_eps: 1e-5,
        tied_head: false,
        max_positions: 64,
        bos: None,
        eos: Vec::new(),
        leads: Vec::new(),
        score_factor: 1.0,
        biases: Linear::LAYER.to_vec(),
        head_norms: true,
        unrotated: Vec::new(),
    }
}

pub(crate) fn float_layer(c: &LlamaConfig) -> FloatLayer {
    let gain = |seed| random(c.sizes.hidden, seed).iter().map(|v| 1.0 + 0.3 * v).collect();
    let head_gain = |seed| random(c.sizes.head_dim, seed).iter().map(|v| 1.0 + 0.3 * v).collect();
    let linear = |rows, cols, seed| {
        let mut m = matrix(rows, cols, seed);
        m.data.iter_mut().for_each(|v| *v /= (cols as f32).sqrt());
        m
    };
    let mut biases = Biases::default();
    for which in Linear::LAYER {
        let rows = c.sizes.linear(which).0;
        biases[which] = random(rows, 40 + which as u64).iter().map(|v| 0.3 * v).collect();
    }
    FloatLayer {
        attn_norm: gain(1),
        q: linear(c.sizes.q_width(), c.sizes.hidden, 2),
        k: linear(c.sizes.kv_width(), c.sizes.hidden, 3),
        v: linear(c.sizes.kv_width(), c.sizes.hidden, 4),
        o: linear(c.sizes.hidden, c.sizes.q_width(), 5),
        mlp_norm: gain(6),
        gate: linear(c.sizes.ff, c.sizes.hidden, 7),
        up: linear(c.sizes.ff, c.sizes.hidden, 8),
        down: linear(c.sizes.hidden, c.sizes.ff, 9),
        biases,
        q_norm: head_gain(10),
        k_norm: head_gain(11),
    }
}

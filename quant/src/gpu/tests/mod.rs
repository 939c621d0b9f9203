//! The kernels against the CPU's arithmetic: with the kernels on the CPU everywhere, and on the card where there is one.

mod attention;
#[cfg(feature = "cuda")]
mod card;
mod decode;
mod gradient;
mod hooked;
mod integers;
mod lesson;
mod muon;
mod norm;
mod rounding;
mod sensitivity;
mod together;

use super::device::{Device, Number, Ptr, fetch, put};
use super::emulated::Emulated;
use super::group::Member;
use super::net::Weights;
use super::recipe::Recipe;
use super::shape::{KernelShape, flat_gains, flat_layer};
use crate::train::tests::random;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{Biases, FloatLayer, FloatModel, Matrix};
use accllm_llm::model::WeightFormat;
use half::bf16;
use std::path::Path;

/// The formats of all linears of these models.
pub(super) const SPARSE: [[WeightFormat; 7]; 2] = [[WeightFormat::W2Sparse; 7]; 2];

/// Two steps, the second one with rounding; without rates nothing moves.
pub(super) fn recipe(rate: f64) -> Recipe {
    Recipe {
        text: 128,
        train: 2 * 128,
        batch: 128,
        rows: [64, 128],
        rounded_from: 0.5,
        warm_up: 1,
        rates: [rate; 3],
        side: 4,
        ..Recipe::default()
    }
}

/// A model of two layers with all that real ones have: groups of query heads, a width of the feed-forward that is no
/// multiple of 256.
pub(super) fn config() -> LlamaConfig {
    sized([64, 320, 4, 2, 64], true)
}

/// Heads of 128, a head that is a weight of its own, and a residual stream of which a warp alone does not keep a row.
pub(super) fn wide() -> LlamaConfig {
    sized([1056, 64, 2, 1, 128], false)
}

/// The same heads, with sizes that cost little.
pub(super) fn small_wide() -> LlamaConfig {
    sized([64, 64, 2, 1, 128], false)
}

/// Of hidden size, feed-forward size, heads, KV heads and head width.
fn sized([hidden, ff, heads, kv_heads, head]: [usize; 5], tied: bool) -> LlamaConfig {
    let text = format!(
        r#"{{"architectures": ["LlamaForCausalLM"], "hidden_size": {hidden}, "intermediate_size": {ff},
        "num_hidden_layers": 2, "num_attention_heads": {heads}, "num_key_value_heads": {kv_heads}, "head_dim": {head},
        "vocab_size": 264, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "tie_word_embeddings": {tied},
        "bos_token_id": 1, "eos_token_id": 2}}"#
    );
    match LlamaConfig::parse(&text, Path::new("config.json")) {
        Ok(config) => config,
        Err(e) => panic!("{e}"),
    }
}

fn matrix(rows: usize, cols: usize, seed: u64, size: f32) -> Matrix {
    let data = random(rows * cols, seed).iter().map(|v| bf16::from_f32(v * size).to_f32()).collect();
    Matrix { rows, cols, data }
}

fn around_one(n: usize, seed: u64) -> Vec<f32> {
    random(n, seed).iter().map(|v| 1.0 + 0.3 * v).collect()
}

/// Weights of bf16.
pub(super) fn model(seed: u64) -> FloatModel {
    model_of(config(), seed)
}

pub(super) fn model_of(c: LlamaConfig, seed: u64) -> FloatModel {
    let (h, q, kv, f) = (c.sizes.hidden, c.sizes.q_width(), c.sizes.kv_width(), c.sizes.ff);
    // What reads the residual stream gives the same sizes whatever its width.
    let part = (64.0 / h as f32).sqrt();
    let layer = |l: u64| {
        let s = seed + 100 * l;
        FloatLayer {
            attn_norm: around_one(h, s),
            q: matrix(q, h, s + 1, 0.3 * part),
            k: matrix(kv, h, s + 2, 0.3 * part),
            v: matrix(kv, h, s + 3, 0.2 * part),
            o: matrix(h, q, s + 4, 0.1),
            mlp_norm: around_one(h, s + 5),
            gate: matrix(f, h, s + 6, 0.2 * part),
            up: matrix(f, h, s + 7, 0.2 * part),
            down: matrix(h, f, s + 8, 0.1),
            biases: Biases::default(),
            q_norm: Vec::new(),
            k_norm: Vec::new(),
        }
    };
    FloatModel {
        embed: matrix(c.sizes.vocab, h, seed + 50, 0.5),
        layers: vec![layer(1), layer(2)].into(),
        final_norm: around_one(h, seed + 51),
        head: (!c.tied_head).then(|| matrix(c.sizes.vocab, h, seed + 52, 0.5 * part)),
        config: c,
    }
}

pub(super) fn tokens(n: usize, seed: u64) -> Vec<u32> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..n).map(|_| random.u32(0..264)).collect()
}

/// Runs `test` with the kernels on the CPU, and on the card where the feature and a card are there.
pub(super) fn on_devices(test: impl Fn(&dyn Device)) {
    on_devices_for(&config(), test);
}

/// The same with the kernels for another model.
pub(super) fn on_devices_for(config: &LlamaConfig, test: impl Fn(&dyn Device)) {
    let shape = KernelShape::of(config).unwrap();
    if let Some(device) = Emulated::new(&shape) {
        test(&device);
    }
    #[cfg(feature = "cuda")]
    match super::cuda::Cuda::open(&shape) {
        Ok(device) => {
            eprintln!("also on {}", device.name());
            test(&device);
        }
        Err(e) => eprintln!("not on a card: {e}"),
    }
}

/// What `test` gives with a group of so many devices with the kernels on the CPU, and of cards where the feature and as many are
/// there.
pub(super) fn on_groups<T>(
    config: &LlamaConfig,
    count: usize,
    test: impl Fn(&mut [Member<'_>]) -> T,
) -> Vec<T> {
    let (shape, mut all) = (KernelShape::of(config).unwrap(), Vec::new());
    if let Some(mut devices) = Emulated::group(&shape, count) {
        all.push(test(&mut devices.iter_mut().map(|d| -> Member<'_> { d }).collect::<Vec<_>>()));
    }
    #[cfg(feature = "cuda")]
    match super::cuda::Cuda::group(&shape, Some(count)) {
        Ok(mut cards) => {
            eprintln!("also on {count} of {}", cards[0].name());
            all.push(test(&mut cards.iter_mut().map(|d| -> Member<'_> { d }).collect::<Vec<_>>()));
        }
        Err(e) => eprintln!("not on {count} cards: {e}"),
    }
    all
}

/// Memory with these numbers in it.
pub(super) fn held<T: Number>(device: &dyn Device, data: &[T]) -> Ptr {
    let at = device.alloc(data.len() * T::SIZE).unwrap();
    put(device, at, data).unwrap();
    at
}

pub(super) fn held_bf16(device: &dyn Device, data: &[f32]) -> Ptr {
    held(device, &data.iter().map(|v| bf16::from_f32(*v)).collect::<Vec<_>>())
}

pub(super) fn got_bf16(device: &dyn Device, at: Ptr, n: usize) -> Vec<f32> {
    fetch::<bf16>(device, at, n).unwrap().iter().map(|v| v.to_f32()).collect()
}

/// Size of the difference against the size of what is wanted.
pub(super) fn distance(got: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(got.len(), wanted.len());
    let square = |x: f32| f64::from(x) * f64::from(x);
    let error: f64 = got.iter().zip(wanted).map(|(a, b)| square(a - b)).sum();
    let all: f64 = wanted.iter().map(|b| square(*b)).sum();
    (error / all).sqrt()
}

/// A model on a device.
pub(super) struct Held {
    shape: KernelShape,
    layers: Ptr,
    gains: Ptr,
    table: Ptr,
    head: Ptr,
}

impl Held {
    pub fn new(device: &dyn Device, model: &FloatModel) -> Self {
        Self {
            shape: KernelShape::of(&model.config).unwrap(),
            layers: held_bf16(device, &flat_layers(model)),
            gains: held(device, &flat_gains(model).unwrap()),
            table: held(device, &model.embed.data),
            head: held_bf16(device, &model.head().data),
        }
    }

    pub fn weights<T>(&self, work: impl FnOnce(Weights<'_>) -> T) -> T {
        let layer = |l: usize| Ok(self.layers.bf16s(l * self.shape.layer()));
        work(Weights { layer: &layer, gains: self.gains, table: self.table, head: self.head })
    }
}

/// All layers one after another.
pub(super) fn flat_layers(model: &FloatModel) -> Vec<f32> {
    model.layers.iter().flat_map(|w| flat_layer(&w.unwrap())).collect()
}

/// The same format for all linears of the test models.
pub(super) fn all_in(format: WeightFormat) -> [[WeightFormat; 7]; 2] {
    [[format; 7]; 2]
}

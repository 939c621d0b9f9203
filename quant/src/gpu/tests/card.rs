//! What needs a card: how fast it is (`make cuda-speed`).

use super::*;
use crate::gpu::cuda::Cuda;
use crate::gpu::device::{Arg, Grid, Product};
use crate::gpu::train::train_on;
use crate::gpu::{Recipe, Report, Stage};
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Random weights of SmolLM2-135M's sizes.
fn smollm2() -> FloatModel {
    let text = r#"{"architectures": ["LlamaForCausalLM"], "hidden_size": 576, "intermediate_size": 1536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64,
        "vocab_size": 49152, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
        "rope_theta": 100000.0, "bos_token_id": 1, "eos_token_id": 2}"#;
    let c = LlamaConfig::parse(text, Path::new("config.json")).unwrap();
    let (h, q, kv, f) = (c.sizes.hidden, c.sizes.q_width(), c.sizes.kv_width(), c.sizes.ff);
    let layer = |l: u64| {
        let m = |rows, cols, i: u64| matrix(rows, cols, 10 * l + i, 0.1);
        FloatLayer {
            attn_norm: vec![1.0; h],
            q: m(q, h, 1),
            k: m(kv, h, 2),
            v: m(kv, h, 3),
            o: m(h, q, 4),
            mlp_norm: vec![1.0; h],
            gate: m(f, h, 5),
            up: m(f, h, 6),
            down: m(h, f, 7),
            biases: Biases::default(),
            q_norm: Vec::new(),
            k_norm: Vec::new(),
        }
    };
    FloatModel {
        embed: matrix(c.sizes.vocab, h, 5, 0.2),
        layers: (0..c.sizes.layers as u64).map(layer).collect::<Vec<_>>().into(),
        final_norm: vec![1.0; h],
        head: None,
        config: c,
    }
}

/// A device that tells how long each kernel and product takes, waiting for each.
struct Timed<'a> {
    inner: &'a Cuda,
    at: Ptr,
    times: RefCell<HashMap<String, (usize, Duration)>>,
}

impl Timed<'_> {
    fn time(&self, name: String, work: impl FnOnce() -> crate::Result<()>) -> crate::Result<()> {
        let mut word = [0u8; 4];
        self.inner.download(self.at, &mut word)?;
        let start = Instant::now();
        work()?;
        self.inner.download(self.at, &mut word)?;
        let mut times = self.times.borrow_mut();
        let entry = times.entry(name).or_default();
        *entry = (entry.0 + 1, entry.1 + start.elapsed());
        Ok(())
    }

    fn print(&self) {
        let mut all: Vec<_> = self.times.borrow().clone().into_iter().collect();
        all.sort_by_key(|(_, (_, time))| std::cmp::Reverse(*time));
        for (name, (count, time)) in all.iter().take(40) {
            eprintln!("  {:8.2} ms {count:5} x {name}", time.as_secs_f64() * 1e3);
        }
        self.times.borrow_mut().clear();
    }
}

impl Device for Timed<'_> {
    fn name(&self) -> String {
        self.inner.name()
    }
    fn free_bytes(&self) -> crate::Result<usize> {
        self.inner.free_bytes()
    }
    fn alloc(&self, bytes: usize) -> crate::Result<Ptr> {
        self.inner.alloc(bytes)
    }
    fn release(&self, at: Ptr) -> crate::Result<()> {
        self.inner.release(at)
    }
    fn zero(&self, at: Ptr, bytes: usize) -> crate::Result<()> {
        self.inner.zero(at, bytes)
    }
    fn upload(&self, to: Ptr, data: &[u8]) -> crate::Result<()> {
        self.inner.upload(to, data)
    }
    fn download(&self, from: Ptr, data: &mut [u8]) -> crate::Result<()> {
        self.inner.download(from, data)
    }
    fn launch(&self, kernel: &'static str, grid: Grid, arguments: &[Arg]) -> crate::Result<()> {
        self.time(kernel.into(), || self.inner.launch(kernel, grid, arguments))
    }
    fn multiply(&self, p: &Product) -> crate::Result<()> {
        let [m, k, n] = p.size;
        let (a, b) = (p.a.transposed, p.b.transposed);
        let name = format!("{} x {m}x{k}x{n} {a} {b} {:?} +{}", p.batch.0, p.kind, p.beta);
        self.time(name, || self.inner.multiply(p))
    }
    fn record(&self) -> crate::Result<()> {
        Ok(())
    }
    fn recorded(&self) -> crate::Result<Option<usize>> {
        Ok(None)
    }
    fn replay(&self, _: usize) -> crate::Result<()> {
        Ok(())
    }
}

/// Prints tokens a second of each stage, from its second report on.
fn watch() -> impl FnMut(Report) {
    let mut from: Option<(Stage, usize, Instant)> = None;
    move |r: Report| {
        let same = from.filter(|(stage, ..)| *stage == r.stage);
        let Some((_, tokens, since)) = same else {
            eprintln!("{:?}: {:?} {:?}", r.stage, r.tokens, r.loss);
            from = Some((r.stage, r.tokens[0], Instant::now()));
            return;
        };
        let seconds = since.elapsed().as_secs_f64();
        let rate = (r.tokens[0] - tokens) as f64 / seconds;
        let left = (r.tokens[1] - r.tokens[0]) as f64 / rate.max(1.0);
        let loss = r.loss.map(|l| format!("{l:.4}")).unwrap_or_default();
        eprintln!(
            "{:?}: {} tokens in {seconds:.1} s, {rate:.0}/s, {left:.0} s left {loss}",
            r.stage, r.tokens[0]
        );
    }
}

#[test]
#[ignore = "measures a card"]
fn speed() {
    let model = smollm2();
    let device = Cuda::open(&KernelShape::of(&model.config).unwrap()).unwrap();
    eprintln!("{}", device.name());
    let beginnings = [vec![5], vec![1000]];
    // One part after the other: their rates are not mixed.
    for rounded_from in [1.0, 0.0] {
        let recipe = Recipe { text: 4 << 20, train: 200 * 32768, rounded_from, ..Recipe::default() };
        let start = Instant::now();
        train_on(&device, &model, &model, &beginnings, &recipe, None, &mut watch()).unwrap();
        eprintln!("rounded from {rounded_from}: {:.1} s in all", start.elapsed().as_secs_f64());
    }
    let timed = Timed { at: device.alloc(16).unwrap(), times: RefCell::default(), inner: &device };
    for rounded_from in [1.0, 0.0] {
        let recipe = Recipe { text: 65536, train: 2 * 32768, side: 2048, rounded_from, ..Recipe::default() };
        train_on(&timed, &model, &model, &beginnings, &recipe, None, &mut |r| {
            if r.stage != Stage::Writing && r.tokens[0] <= 32768 {
                timed.print();
            }
        })
        .unwrap();
        eprintln!("a step, rounded from {rounded_from}:");
        timed.print();
    }
}

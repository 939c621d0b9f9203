//! What needs a card: how fast it is (`make cuda-speed`), and how much larger models take (`make cuda-scale`).

use super::hooked::{Hook, Hooked};
use super::*;
use crate::gpu::cuda::Cuda;
use crate::gpu::device::{Arg, Product};
use crate::gpu::group::together;
use crate::gpu::train::{run_on, write_on, write_together};
use crate::gpu::{Order, Recipe, Report, Stage, Task};
use accllm_llm::Result;
use accllm_llm::float::{LayerStore, Layers};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Layers that all have the same weights.
struct Same(FloatLayer);

impl LayerStore for Same {
    fn layer(&self, _: usize) -> Result<FloatLayer> {
        Ok(self.0.clone())
    }
}

/// Random weights of a model's sizes: hidden, feed-forward, layers, heads, KV heads, width of a head, vocabulary.
fn random_model(sizes: [usize; 7], tied: bool) -> FloatModel {
    let [hidden, ff, layers, heads, kv_heads, head, vocab] = sizes;
    let text = format!(
        r#"{{"architectures": ["LlamaForCausalLM"], "hidden_size": {hidden}, "intermediate_size": {ff},
        "num_hidden_layers": {layers}, "num_attention_heads": {heads}, "num_key_value_heads": {kv_heads}, "head_dim": {head},
        "vocab_size": {vocab}, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "tie_word_embeddings": {tied},
        "bos_token_id": 1, "eos_token_id": 2}}"#
    );
    let c = LlamaConfig::parse(&text, Path::new("config.json")).unwrap();
    let (q, kv) = (c.sizes.q_width(), c.sizes.kv_width());
    let size = 2.0 / (hidden as f32).sqrt();
    let m = |rows, cols, i: u64| matrix(rows, cols, i, size);
    let layer = FloatLayer {
        attn_norm: vec![1.0; hidden],
        q: m(q, hidden, 1),
        k: m(kv, hidden, 2),
        v: m(kv, hidden, 3),
        o: m(hidden, q, 4),
        mlp_norm: vec![1.0; hidden],
        gate: m(ff, hidden, 5),
        up: m(ff, hidden, 6),
        down: m(hidden, ff, 7),
        biases: Biases::default(),
        q_norm: Vec::new(),
        k_norm: Vec::new(),
    };
    FloatModel {
        embed: m(vocab, hidden, 8),
        layers: Layers::Stored { count: layers, store: Arc::new(Same(layer)) },
        final_norm: vec![1.0; hidden],
        head: (!tied).then(|| m(vocab, hidden, 9)),
        config: c,
    }
}

fn smollm2() -> FloatModel {
    random_model([576, 1536, 30, 9, 3, 64, 49152], true)
}

/// How long each kernel and product takes, waiting for each.
struct Timed<'a> {
    device: &'a Cuda,
    at: Ptr,
    times: RefCell<HashMap<String, (usize, Duration)>>,
}

impl Timed<'_> {
    fn time(&self, name: String, work: &dyn Fn() -> Result<()>) -> Result<()> {
        let mut word = [0u8; 4];
        self.device.download(self.at, &mut word)?;
        let start = Instant::now();
        work()?;
        self.device.download(self.at, &mut word)?;
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

impl Hook for Timed<'_> {
    fn launch(&self, kernel: &'static str, _: &[Arg], work: &dyn Fn() -> Result<()>) -> Result<()> {
        self.time(kernel.into(), work)
    }
    fn multiply(&self, p: &Product, work: &dyn Fn() -> Result<()>) -> Result<()> {
        let [m, k, n] = p.size;
        let (a, b) = (p.a.transposed, p.b.transposed);
        let name = format!("{} x {m}x{k}x{n} {a} {b} {:?} +{}", p.batch.0, p.kind, p.beta);
        self.time(name, work)
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

/// Text and training.
fn train(device: &dyn Device, model: &FloatModel, recipe: &Recipe, progress: &mut dyn FnMut(Report)) {
    let order = Order { model, beginnings: &vec![vec![5], vec![1000]].into(), recipe, folder: None };
    let text = write_on(device, &order, progress).unwrap();
    let formats = vec![[WeightFormat::W2Sparse; 7]; model.config.sizes.layers];
    let task =
        Task { model, start: None, text: &text, watched: &[], formats: &formats, recipe, folder: None };
    run_on(device, &task, progress, |_| Ok(())).unwrap();
}

#[test]
#[ignore = "measures a card"]
fn speed() {
    let model = smollm2();
    let device = Cuda::open(&KernelShape::of(&model.config).unwrap()).unwrap();
    eprintln!("{}", device.name());
    // One part after the other: their rates are not mixed.
    for rounded_from in [1.0, 0.0] {
        let recipe = Recipe { text: 4 << 20, train: 200 * 32768, rounded_from, ..Recipe::default() };
        let start = Instant::now();
        train(&device, &model, &recipe, &mut watch());
        eprintln!("rounded from {rounded_from}: {:.1} s in all", start.elapsed().as_secs_f64());
    }
    let hook = Timed { at: device.alloc(16).unwrap(), times: RefCell::default(), device: &device };
    let timed = Hooked { inner: &device, hook };
    for rounded_from in [1.0, 0.0] {
        let recipe = Recipe { text: 65536, train: 2 * 32768, side: 2048, rounded_from, ..Recipe::default() };
        train(&timed, &model, &recipe, &mut |r| {
            if r.stage != Stage::Writing && r.tokens[0] <= 32768 {
                timed.hook.print();
            }
        });
        eprintln!("a step, rounded from {rounded_from}:");
        timed.hook.print();
    }
}

/// A card with so much less memory, when each step began, and the least memory that was free then.
struct Steps<'a> {
    device: &'a Cuda,
    less: usize,
    begun: RefCell<Vec<Instant>>,
    least: Cell<usize>,
}

impl Hook for Steps<'_> {
    fn free(&self, bytes: usize) -> usize {
        bytes.saturating_sub(self.less)
    }

    /// The rows of a step have been put there, which waits for the step before.
    fn launch(&self, kernel: &'static str, _: &[Arg], work: &dyn Fn() -> Result<()>) -> Result<()> {
        if kernel == "gather" {
            self.begun.borrow_mut().push(Instant::now());
            self.least.set(self.least.get().min(self.device.free_bytes()?));
        }
        work()
    }
}

/// The median time of steps of `tokens` tokens.
fn print_times(what: &str, tokens: usize, times: &[f64]) {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (least, median, most) = (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    let rate = tokens as f64 / median;
    eprintln!(
        "{what}: {median:.3} s a step of {tokens} tokens ({least:.3} to {most:.3}, {} steps), {rate:.0} tokens/s",
        sorted.len()
    );
}

/// Steps of random weights of two larger models' sizes: memory, and the median time of a step of each part. The first one is
/// trained in 24 GB.
#[test]
#[ignore = "measures a card"]
fn scale() {
    let llama_1b = ("Llama-3.2-1B", [2048, 8192, 16, 32, 8, 64, 128256], true, Some(24usize << 30), 100);
    let llama_7b = ("LLaMA-2-7B", [4096, 11008, 32, 32, 32, 128, 32000], false, None, 20);
    for (name, sizes, tied, memory, steps) in [llama_1b, llama_7b] {
        let start = Instant::now();
        let model = random_model(sizes, tied);
        let device = Cuda::open(&KernelShape::of(&model.config).unwrap()).unwrap();
        let free = device.free_bytes().unwrap();
        let hook = Steps {
            device: &device,
            less: memory.map_or(0, |memory| free.saturating_sub(memory)),
            begun: RefCell::default(),
            least: Cell::new(free),
        };
        let hooked = Hooked { inner: &device, hook };
        // More text than there is room for what the teacher says to it, as in a real training.
        let vocab = sizes[6] as u32;
        let mut recipe = Recipe { text: 8 << 20, rounded_from: 0.5, ..Recipe::default() };
        let mut random = fastrand::Rng::with_seed(1);
        let text: Vec<u32> = (0..recipe.text).map(|_| random.u32(0..vocab)).collect();
        let formats = vec![[WeightFormat::W2Sparse; 7]; sizes[2]];
        // As many steps of the size that the memory allows.
        let shape = KernelShape::of(&model.config).unwrap();
        let teacher = 2 * (shape.sizes.layers * shape.layer()) + 6 * shape.table();
        recipe.batch =
            crate::gpu::room::plan(&shape, &recipe, 1, free - hooked.hook.less - teacher).unwrap().1;
        recipe.train = steps * recipe.batch;
        let task = Task {
            model: &model,
            start: None,
            text: &text,
            watched: &[],
            formats: &formats,
            recipe: &recipe,
            folder: None,
        };
        let mut losses = Vec::new();
        run_on(&hooked, &task, &mut |r| losses.extend(r.loss), |_| Ok(())).unwrap();
        let begun = hooked.hook.begun.borrow();
        // The choice of the steps of rounding begins as a step does.
        let times: Vec<f64> = begun.windows(2).map(|w| (w[1] - w[0]).as_secs_f64()).collect();
        let (first, last) = times.split_at(times.len() / 2);
        print_times(&format!("{name}, rows of 1,024"), recipe.batch, first);
        print_times(&format!("{name}, rows of 2,048, rounded"), recipe.batch, &last[1..]);
        let gb = (free - hooked.hook.least.get()) as f64 / 1e9;
        eprintln!(
            "{name}: {gb:.1} GB of the card, losses {losses:.3?}, {:.0} s in all, on {}",
            start.elapsed().as_secs_f64(),
            device.name()
        );
    }
}

/// Training of random weights of two models' sizes on one card, on two, and so on: time, and memory of each card.
#[test]
#[ignore = "measures cards"]
fn cards() {
    let smol = ("SmolLM2-135M", [576, 1536, 30, 9, 3, 64, 49152], 4 << 20, 200);
    let llama_1b = ("Llama-3.2-1B", [2048, 8192, 16, 32, 8, 64, 128256], 1 << 17, 16);
    for (name, sizes, text, steps) in [smol, llama_1b] {
        let model = random_model(sizes, true);
        let recipe = Recipe { text, train: steps * 32768, rounded_from: 1.0, ..Recipe::default() };
        let shape = KernelShape::of(&model.config).unwrap();
        for count in [1, 2, 4, 8] {
            match Cuda::group(&shape, Some(count)) {
                Ok(mut cards) => on_cards(&format!("{name} on {count} cards"), &model, &recipe, &mut cards),
                Err(e) => eprintln!("{name} not on {count} cards: {e}"),
            }
        }
    }
}

fn on_cards(what: &str, model: &FloatModel, recipe: &Recipe, cards: &mut [Cuda]) {
    let mut cards: Vec<Member<'_>> = cards.iter_mut().map(|card| -> Member<'_> { card }).collect();
    let order = Order { model, beginnings: &vec![vec![5], vec![1000]].into(), recipe, folder: None };
    let start = Instant::now();
    let text = write_together(&mut cards, &order, &mut |_| {}).unwrap();
    let written = text.len() as f64 / start.elapsed().as_secs_f64();
    let formats = vec![[WeightFormat::W2Sparse; 7]; model.config.sizes.layers];
    let task =
        Task { model, start: None, text: &text, watched: &[], formats: &formats, recipe, folder: None };
    let mut reports = Vec::new();
    let mut progress = |r: Report| {
        if r.stage == Stage::Training {
            reports.push((Instant::now(), r));
        }
    };
    let used = together(&mut cards, &mut progress, |device, progress| {
        let free = device.free_bytes()?;
        run_on(device, &task, progress, |_| Ok(free - device.free_bytes()?))
    });
    let ((begin, first), (end, last)) = (reports[0], reports[reports.len() - 1]);
    let tokens = last.tokens[0] - first.tokens[0];
    let seconds = (end - begin).as_secs_f64();
    let gb: Vec<String> = used.unwrap().iter().map(|used| format!("{:.1}", *used as f64 / 1e9)).collect();
    eprintln!(
        "{what}: {:.4} s a step of {} tokens ({} steps), {:.0} tokens/s; {written:.0} tokens/s written; {} GB; loss {:.4}",
        seconds * recipe.batch as f64 / tokens as f64,
        recipe.batch,
        tokens / recipe.batch,
        tokens as f64 / seconds,
        gb.join(" and "),
        last.loss.unwrap_or(f64::NAN)
    );
}

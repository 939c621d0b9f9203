//! `accllm info`.

use crate::args::Info;
use crate::out::Out;
use crate::prepare;
use accllm_compiler::Program;
use accllm_compiler::image::ModelSource as _;
use accllm_compiler::info::WeightInfo;
use accllm_device::Result;
use accllm_hw::config::{BEAT_BYTES, Config};
use accllm_hw::sizes::Sizes;
use accllm_lab::shapes::{self, Random};
use accllm_text::model::Ready;
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    model: String,
    config: String,
    channels: usize,
    block: usize,
    instructions: usize,
    instruction_bytes: usize,
    weight_bytes: usize,
    kv_bytes: usize,
    aux_bytes: usize,
    layers: Vec<Layer>,
    head: Weight,
    tokens: Vec<Token>,
    /// What a text begins with, where it begins with something.
    begin: Vec<Named>,
    /// What a text ends at.
    end: Vec<Named>,
}

/// A token of the vocabulary.
#[derive(Serialize)]
struct Named {
    id: u32,
    text: String,
}

#[derive(Serialize)]
struct Layer {
    padding: f64,
    weights: Vec<Weight>,
}

#[derive(Serialize)]
struct Weight {
    name: String,
    format: String,
    rows: usize,
    cols: usize,
    /// Of each channel.
    beats: usize,
    padding: f64,
}

/// What a decoded token needs, *estimated* from the layout.
#[derive(Serialize)]
struct Token {
    /// Tokens before it.
    context: u64,
    /// Beats of each channel: a token takes at least so many cycles.
    beats: usize,
    bytes: usize,
    /// At one beat per channel and cycle.
    tokens_per_second_bound: f64,
}

/// A model's program, and what its texts begin and end with where it is more than sizes.
struct Shown {
    name: String,
    program: Program,
    ends: Option<[Vec<Named>; 2]>,
}

impl Shown {
    fn open(args: &Info, out: &Out) -> Result<Self> {
        match shapes::find(&args.model)? {
            Some(sizes) => Self::of_sizes(args, &sizes),
            None => Self::of_model(args, &prepare::model(&args.model, out)?),
        }
    }

    /// With the weight formats of `accllm bench`.
    fn of_sizes(args: &Info, sizes: &Sizes) -> Result<Self> {
        let lambda = prepare::lambda(&args.shape, shapes::LAMBDA);
        let random = Random { layers: None, lambda, prob_wide: true, seed: 1 };
        let program = prepare::of_spec(&args.shape, &random.model(sizes)?.spec(), lambda, 1)?;
        Ok(Self { name: args.model.clone(), program, ends: None })
    }

    fn of_model(args: &Info, ready: &Ready) -> Result<Self> {
        let program = prepare::program(&args.shape, ready)?;
        let ends = [named(ready, &begin(ready)), named(ready, ready.ends())];
        Ok(Self { name: ready.name.clone(), program, ends: Some(ends) })
    }
}

/// Shows sizes of a model on a configuration.
pub fn run(args: &Info, out: &Out) -> Result<()> {
    prepare::check(&args.shape)?;
    let Shown { name, program, ends } = Shown::open(args, out)?;
    let info = program.info();
    let sizes = &program.layout.shape.sizes;
    out.line(&format!(
        "{name}: {} layers, hidden {}, feed-forward {}, {} query heads on {} KV heads of {}, vocabulary {}",
        sizes.layers, sizes.hidden, sizes.ff, sizes.heads, sizes.kv_heads, sizes.head_dim, sizes.vocab
    ))?;
    if let Some([begin, end]) = &ends {
        out.line(&format!("a text begins with {}, and ends at {}", list(begin), list(end)))?;
    }
    let [begin, end] = ends.unwrap_or_default();
    out.line(&info.to_string())?;
    let tokens = tokens(&program, &program.config);
    out.line("a token, estimated:  context  beats/channel     MB  tokens/s at most")?;
    for t in &tokens {
        let (mb, bound) = (t.bytes as f64 / 1e6, t.tokens_per_second_bound);
        out.line(&format!("{:>28} {:>14} {mb:>6.3} {bound:>17.0}", t.context, t.beats))?;
    }
    let bytes = |beats: usize| beats * info.channels * BEAT_BYTES;
    out.report(&Report {
        model: name,
        config: info.config.clone(),
        channels: info.channels,
        block: info.block,
        instructions: info.instructions,
        instruction_bytes: info.instruction_bytes(),
        weight_bytes: bytes(info.weight_beats),
        kv_bytes: bytes(info.kv_beats),
        aux_bytes: info.aux_beats * BEAT_BYTES,
        layers: (0..info.layers.len())
            .map(|l| Layer {
                padding: info.layer_padding(l),
                weights: info.layers.get(l).into_iter().flatten().map(Weight::from).collect(),
            })
            .collect(),
        head: Weight::from(&info.head),
        tokens,
        begin,
        end,
    })
}

/// The token that the tokenizer puts before a text, or the model's prefix in its place.
fn begin(ready: &Ready) -> Vec<u32> {
    let prefix = &ready.model.prefix.tokens;
    if prefix.is_empty() { ready.begin().into_iter().collect() } else { prefix.clone() }
}

fn named(ready: &Ready, ids: &[u32]) -> Vec<Named> {
    ids.iter().map(|id| Named { id: *id, text: ready.tokenizer.name(*id).unwrap_or_default() }).collect()
}

fn list(tokens: &[Named]) -> String {
    let all: Vec<_> = tokens.iter().map(|t| format!("{:?} ({})", t.text, t.id)).collect();
    if all.is_empty() { "no token of its own".into() } else { all.join(", ") }
}

/// An empty context, a short one, and a full window.
fn tokens(program: &Program, config: &Config) -> Vec<Token> {
    let lambda = program.layout.shape.lambda;
    let full = (lambda.n_sink + lambda.n_window) as u64;
    let mut contexts = vec![0, 128.min(full), full];
    contexts.dedup();
    let token = |context| {
        let beats = program.beats_per_token(context);
        Token {
            context,
            beats,
            bytes: program.bytes_per_token(context),
            tokens_per_second_bound: config.mhz as f64 * 1e6 / beats.max(1) as f64,
        }
    };
    contexts.into_iter().map(token).collect()
}

impl From<&WeightInfo> for Weight {
    fn from(w: &WeightInfo) -> Self {
        Self {
            name: w.name.clone(),
            format: w.format.clone(),
            rows: w.size.0,
            cols: w.size.1,
            beats: w.beats,
            padding: w.padding,
        }
    }
}

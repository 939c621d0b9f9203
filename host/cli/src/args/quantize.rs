//! Arguments of `accllm quantize`.

use clap::{Args, ValueEnum};
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// `accllm quantize`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm quantize ./my-llama ./my-llama-w2 --calib text-like-its-training.txt\n  \
        accllm quantize model.gguf out --preset best --self-text\n  \
        accllm quantize model.gguf out --bits 3.0 --self-text\n  \
        accllm quantize model.gguf out --preset gpu --device cuda\n\n\
        A training that was interrupted goes on from the last state it kept when the same command is given again."
)]
pub struct Quantize {
    /// Hugging Face folder (config.json, *.safetensors, tokenizer.json), GGUF file, or `bundled`.
    pub model: String,
    /// Folder to create. It must not exist yet.
    pub out: PathBuf,
    /// Text for calibration, blank lines between documents [default: built-in stories].
    #[arg(long, value_name = "FILE")]
    pub calib: Option<PathBuf>,
    /// Calibrate on text that the model writes itself; with --calib on both in turn.
    #[arg(long)]
    pub self_text: bool,
    /// Most tokens of calibration text to use [default: the preset's].
    #[arg(long, value_name = "N")]
    pub calib_tokens: Option<usize>,
    /// Passes over the text of a training of each layer alone, towards what the float layer gives. It helps small models.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub layer_passes: usize,
    /// Tokens of the training of the whole model, passes over the text included; 0 for none [default: the preset's].
    #[arg(long, value_name = "N")]
    pub train_tokens: Option<usize>,
    /// Minutes that the training on a card may take: it ends by then, with rates that have fallen to 0, even before --train-tokens.
    #[arg(long, value_name = "N", value_parser = above_zero)]
    pub train_minutes: Option<f64>,
    /// Rate of the matrices in a training on a card; those of embedding and gains are in proportion [default: by the formats].
    #[arg(long, value_name = "RATE", value_parser = above_zero)]
    pub train_rate: Option<f64>,
    /// Most tokens of a row of text in a training on a card, 64 or more: fewer where the model's own text is poor further on
    /// [default: 2,048, or what the model knows].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(64..))]
    pub train_rows: Option<u32>,
    /// Tokens of each document of the text that the model writes on a card, drawn between the two, before another one begins:
    /// no more than it writes well [default: 32-192].
    #[arg(long, value_name = "LEAST-MOST", value_parser = range)]
    pub documents: Option<[usize; 2]>,
    /// That text is drawn from the tokens whose probability is at least this part of the likeliest one's (0 to 1); 0 for all
    /// [default: 0].
    #[arg(long, value_name = "PART", value_parser = part)]
    pub min_p: Option<f64>,
    /// Show during a training on a card how far the predictions on this text are from the float model's. It is not trained on.
    #[arg(long, value_name = "FILE")]
    pub watch: Option<PathBuf>,
    /// From this part of a training on a card on (0 to 1), 2:4 keeps the columns that it has; 1 for never [default: 0.7].
    #[arg(long, value_name = "PART", value_parser = part)]
    pub freeze_from: Option<f64>,
    /// Start the training on a card from this model, trained before from the same checkpoint: a Hugging Face folder of the
    /// same sizes. The checkpoint itself stays the teacher.
    #[arg(long, value_name = "FOLDER")]
    pub start: Option<PathBuf>,
    /// How much work to put in.
    #[arg(long, value_enum, default_value_t = PresetArg::Fast)]
    pub preset: PresetArg,
    /// Where to train. `cuda` is NVIDIA cards, for the preset gpu; the program must be built with it (`make cuda`).
    #[arg(long, value_enum, default_value_t = TrainerArg::Cpu)]
    pub device: TrainerArg,
    /// Cards that train together, the first N that CUDA_VISIBLE_DEVICES shows; several need NCCL [default: all that it shows].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub gpus: Option<u32>,
    /// Format of the layers' weights (the head is W4).
    #[arg(long, value_enum, default_value_t = FormatArg::W2s, conflicts_with_all = ["bits", "tokens_per_second"])]
    pub format: FormatArg,
    /// Mix formats: the best assignment with at most so many bits a weight, scales included (2.0 to 4.5).
    #[arg(long, value_name = "BITS")]
    pub bits: Option<f64>,
    /// Mix formats: the best assignment that decodes so many tokens a second, as far as memory decides (head and a full
    /// window of keys and values included).
    #[arg(long, value_name = "RATE", conflicts_with = "bits")]
    pub tokens_per_second: Option<f64>,
    /// Engine configuration that --tokens-per-second is about: tiny, edge, u280, or a file (docs/configurations.md).
    #[arg(long, value_name = "NAME|FILE", default_value = "u280", requires = "tokens_per_second")]
    pub config: String,
    /// Which two columns of four 2:4 keeps.
    #[arg(long, value_enum, default_value_t = PruningArg::Sparsegpt)]
    pub pruning: PruningArg,
    /// Another choice for some layers, as in 0-3=wanda or 29=magnitude; may be given several times.
    #[arg(long, value_name = "LAYERS=HOW", value_parser = layer_pruning)]
    pub layer_pruning: Vec<(RangeInclusive<usize>, PruningArg)>,
    /// What is done to q and k against the rounding of K to 4 bits.
    #[arg(long, value_enum, default_value_t = KeysArg::Plain)]
    pub keys: KeysArg,
    /// Rotate the residual stream first, by the random matrix of this seed (no cost at run time).
    #[arg(long, value_name = "SEED")]
    pub rotate: Option<u64>,
    /// Split up to so many strong channels of the values and of the input of down in each layer, and drop as many weak ones.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub split: usize,
    /// Put this text in front of all texts for good (special tokens by name): no more tokens than the 4 sinks. Their keys
    /// and values come with the model, and no engine computes them.
    #[arg(long, value_name = "TEXT")]
    pub prefix: Option<String>,
    /// Folder for the finished parts: own text, sensitivities, layers, state of the training [default: OUT.work, removed at the end].
    #[arg(long, value_name = "FOLDER")]
    pub work: Option<PathBuf>,
    /// Measure the result's perplexity on so many windows of 320 tokens, as `accllm eval` does, for its model card.
    #[arg(long, value_name = "WINDOWS", value_parser = clap::value_parser!(u32).range(1..))]
    pub measure: Option<u32>,
    /// Text to measure it on [default: built-in stories, others than those of the calibration].
    #[arg(long, value_name = "FILE", requires = "measure")]
    pub measure_text: Option<PathBuf>,
    /// Of everything random; the same seed gives the same model.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// A number above 0 that is no slip.
fn above_zero(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if n > 0.0 && n < 1e6 => Ok(n),
        _ => Err("give a number above 0 and below 1,000,000".into()),
    }
}

/// Two numbers, the first one no larger.
fn range(text: &str) -> Result<[usize; 2], String> {
    let numbers = text.split_once('-').and_then(|(a, b)| Some([a.parse().ok()?, b.parse().ok()?]));
    match numbers {
        Some([least, most]) if 0 < least && least <= most && most < 1_000_000 => Ok([least, most]),
        _ => Err("give two numbers, as 64-384".into()),
    }
}

/// A part of a whole.
fn part(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if (0.0..=1.0).contains(&n) => Ok(n),
        _ => Err("give a number from 0 to 1".into()),
    }
}

/// How much work goes into a quantization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PresetArg {
    /// Closed forms on 16,384 tokens, no training: minutes for a small model.
    Fast,
    /// Closed forms on 131,072 tokens, then a training of the whole model on two passes over them: hours. Models of less
    /// than a hundred million weights get up to four times the tokens.
    Best,
    /// On a graphics card (--device cuda): the model writes 46 million tokens and trains all weights in their formats on 373
    /// million, eight passes over them: half an hour on an H200 for 135 million weights. --calib-tokens and --train-tokens change
    /// these numbers; texts begin as those of --calib do, where it is given.
    Gpu,
}

/// Where a training runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TrainerArg {
    /// The processor.
    Cpu,
    /// An NVIDIA card.
    Cuda,
}

/// Choice of the columns that 2:4 keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PruningArg {
    /// The largest weights.
    Magnitude,
    /// The largest products of weight and norm of the input channel.
    Wanda,
    /// The least error after the compensation by the columns that follow.
    Sparsegpt,
}

/// Choice for q and k.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeysArg {
    /// Nothing.
    Plain,
    /// Their RoPE pairs are scaled and turned by search.
    Aligned,
    /// The same, and of each head a pair leads whose mean K's zero point takes away: some instructions more in a layer.
    Led,
}

/// Weight formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// Two of four columns, 2 bits: 2.0 bits a weight with scales.
    W2s,
    /// All columns, 2 bits: 2.25.
    W2d,
    /// All columns, 4 bits: 4.5.
    W4,
}

/// `0-3=wanda` or `29=magnitude`.
fn layer_pruning(text: &str) -> std::result::Result<(RangeInclusive<usize>, PruningArg), String> {
    let (layers, how) = text.split_once('=').ok_or("expected LAYERS=HOW, as in 0-3=wanda")?;
    let number = |s: &str| s.parse::<usize>().map_err(|_| format!("'{s}' is no layer; expected 3 or 0-3"));
    let (from, to) = layers.split_once('-').unwrap_or((layers, layers));
    Ok((number(from)?..=number(to)?, PruningArg::from_str(how, true)?))
}

//! `accllm quantize`.

use super::out::{Bars, Out};
use accllm::mixture::Budget;
use accllm::model::{Calibration, Source};
use accllm::recipe::{self, Formats, Preset, Recipe, Text};
use accllm::{Error, Result, output};
use accllm_hw::config::open;
use accllm_quant::model::{QuantModel, WeightFormat};
use accllm_quant::quantize::Pruning;
use accllm_quant::transform::Keys;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// `accllm quantize`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  accllm quantize ./my-llama ./my-llama-w2 --calib text-like-its-training.txt\n  \
        accllm quantize model.gguf out --preset best --self-text\n  \
        accllm quantize model.gguf out --bits 3.0 --self-text\n\n\
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
    /// How much work to put in.
    #[arg(long, value_enum, default_value_t = PresetArg::Fast)]
    pub preset: PresetArg,
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
    /// Of everything random; the same seed gives the same model.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// How much work goes into a quantization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PresetArg {
    /// Closed forms on 16,384 tokens, no training: minutes for a small model.
    Fast,
    /// Closed forms on 131,072 tokens, then a training of the whole model on two passes over them: hours. Models of less
    /// than a hundred million weights get up to four times the tokens.
    Best,
}

/// Choice of the columns that 2:4 keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PruningArg {
    /// The largest weights.
    Magnitude,
    /// The largest products of weight and norm of the input channel.
    Wanda,
    /// The least error behind the compensation by the columns that follow.
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

#[derive(Serialize)]
struct Report {
    model: String,
    out: PathBuf,
    layers: usize,
    linears: usize,
    /// Linears whose stored weights already lay on the W2 grid, and are kept exactly.
    recovered: usize,
    calibration_tokens: usize,
    /// Bits per weight of the layers' linears, scales included.
    bits: f64,
    seconds: f64,
}

/// Quantizes a checkpoint into a folder.
pub fn run(args: &Quantize, out: &Out) -> Result<()> {
    let start = Instant::now();
    let recipe = recipe(args)?;
    output::check_folder(&args.out)?;
    QuantModel::check_target(&args.out)?;
    let source = Source::find(&args.model)?;
    let calibration = Calibration::open(args.calib.as_deref())?;
    let busy = out.busy("reading the checkpoint");
    let float = source.float()?;
    let tokenizer = source.tokenizer(float.config.vocab)?;
    busy.finish_and_clear();
    let work = args.work.clone().unwrap_or_else(|| beside(&args.out));
    let keeps = recipe.keeps(&float.config);
    let kept = keeps.then_some(work.as_path());
    let quantized = recipe::quantize(float, &tokenizer, &calibration, &recipe, kept, &Bars::default())?;
    quantized.model.save(&args.out, Some(&source.folder().join("tokenizer.json")))?;
    if keeps && args.work.is_none() {
        std::fs::remove_dir_all(&work).map_err(|e| Error::io("remove", &work, e))?;
    }
    let layers = quantized.model.layers.len();
    let report = Report {
        model: source.name.clone(),
        out: args.out.clone(),
        layers,
        linears: 7 * layers,
        recovered: quantized.recovered,
        calibration_tokens: quantized.tokens,
        bits: bits_per_weight(&quantized.model),
        seconds: start.elapsed().as_secs_f64(),
    };
    out.line(&format!(
        "{}: {} layers at {:.2} bits a weight in {:.1} s; {} of {} linears were already on the grid",
        args.out.display(),
        report.layers,
        report.bits,
        report.seconds,
        report.recovered,
        report.linears
    ))?;
    out.line(&format!("next: accllm eval {0}; accllm run {0}", args.out.display()))?;
    out.report(&report)
}

fn recipe(args: &Quantize) -> Result<Recipe> {
    let format = match args.format {
        FormatArg::W2s => WeightFormat::W2Sparse,
        FormatArg::W2d => WeightFormat::W2Dense,
        FormatArg::W4 => WeightFormat::W4,
    };
    let formats = match (args.bits, args.tokens_per_second) {
        (Some(bits), _) => Formats::Mixed(Budget::Bits(bits)),
        (_, Some(rate)) => Formats::Mixed(Budget::Speed(rate, open(&args.config)?)),
        _ => Formats::One(format),
    };
    Ok(Recipe {
        preset: match args.preset {
            PresetArg::Fast => Preset::Fast,
            PresetArg::Best => Preset::Best,
        },
        formats,
        pruning: pruning(args.pruning),
        layer_pruning: args.layer_pruning.iter().map(|(l, how)| (l.clone(), pruning(*how))).collect(),
        keys: match args.keys {
            KeysArg::Plain => Keys::AsTheyAre,
            KeysArg::Aligned => Keys::Aligned,
            KeysArg::Led => Keys::Led,
        },
        rotate: args.rotate,
        dimensions: args.split,
        prefix: args.prefix.clone(),
        text: match (args.self_text, &args.calib) {
            (false, _) => Text::File,
            (true, None) => Text::Model,
            (true, Some(_)) => Text::Both,
        },
        tokens: args.calib_tokens,
        layer_passes: args.layer_passes,
        train: args.train_tokens,
        seed: args.seed,
    })
}

fn pruning(how: PruningArg) -> Pruning {
    match how {
        PruningArg::Magnitude => Pruning::Magnitude,
        PruningArg::Wanda => Pruning::Wanda,
        PruningArg::Sparsegpt => Pruning::SparseGpt,
    }
}

/// `0-3=wanda` or `29=magnitude`.
fn layer_pruning(text: &str) -> std::result::Result<(RangeInclusive<usize>, PruningArg), String> {
    let (layers, how) = text.split_once('=').ok_or("expected LAYERS=HOW, as in 0-3=wanda")?;
    let number = |s: &str| s.parse::<usize>().map_err(|_| format!("'{s}' is no layer; expected 3 or 0-3"));
    let (from, to) = layers.split_once('-').unwrap_or((layers, layers));
    Ok((number(from)?..=number(to)?, PruningArg::from_str(how, true)?))
}

/// The folder `out` with `.work` behind its name.
fn beside(out: &Path) -> PathBuf {
    let name = out.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    out.with_file_name(format!("{name}.work"))
}

/// Mean over the weights of the layers' linears.
fn bits_per_weight(model: &QuantModel) -> f64 {
    let linears = || model.layers.iter().flat_map(|l| l.linears()).map(|(_, w)| w);
    let weights: usize = linears().map(|w| w.rows * w.cols).sum();
    let total: f64 = linears().map(|w| w.format.bits() * (w.rows * w.cols) as f64).sum();
    total / weights.max(1) as f64
}

//! `accllm quantize`.

use crate::args::{FormatArg, KeysArg, PresetArg, PruningArg, Quantize, TrainerArg};
use crate::out::{Bars, Out};
use accllm_device::{Error, Result, output};
use accllm_hw::config::open;
use accllm_llm::config::LlamaConfig;
use accllm_llm::model::{QuantModel, WeightFormat};
use accllm_llm::perplexity::{Protocol, Windowing, perplexity, plain_stream};
use accllm_llm::tokenizer::TextTokenizer;
use accllm_quant::quantize::Pruning;
use accllm_quant::transform::Keys;
use accllm_text::bundled;
use accllm_text::calibration::{self, Calibration};
use accllm_text::card::{Made, card};
use accllm_text::mixture::Budget;
use accllm_text::model::Source;
use accllm_text::recipe::{self, Formats, Preset, Recipe, Text};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

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
    /// Of the integer model, where it was asked for.
    ppl: Option<f64>,
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
    source.check_tokenizer()?;
    let busy = out.busy("reading the checkpoint");
    let float = source.float()?;
    let tokenizer = source.tokenizer(float.config.sizes.vocab)?;
    busy.finish_and_clear();
    let scored = Scored::of(args, &float.config, &tokenizer)?;
    let work = args.work.clone().unwrap_or_else(|| beside(&args.out));
    let keeps = recipe.keeps(&float.config);
    let kept = keeps.then_some(work.as_path());
    let quantized = recipe::quantize(float, &tokenizer, &calibration, &recipe, kept, &Bars::default())?;
    let bits = bits_per_weight(&quantized.model);
    let measured = scored.map(|s| s.measure(&quantized.model, out)).transpose()?;
    let perplexity = measured.as_ref().map(|m| m.1.clone());
    let made = Made { method: method(args, &recipe), bits, tokens: quantized.tokens, perplexity };
    let card = card(&source, &made)?;
    let tokenizer = source.folder().join("tokenizer.json");
    quantized.model.save_with(&args.out, Some(&tokenizer), &[("README.md", &card)])?;
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
        bits,
        ppl: measured.as_ref().map(|m| m.0),
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
    if let Some((_, said)) = &measured {
        out.line(&format!("perplexity {said}"))?;
    }
    out.line(&format!("next: accllm eval {0}; accllm run {0}", args.out.display()))?;
    out.report(&report)
}

/// The text that a result is measured on.
struct Scored {
    name: String,
    stream: Vec<u32>,
    how: Windowing,
}

impl Scored {
    /// What the options say; a text that is too short is refused before the quantizer's work, not after it.
    fn of(args: &Quantize, c: &LlamaConfig, tokenizer: &TextTokenizer) -> Result<Option<Self>> {
        let Some(windows) = args.measure else { return Ok(None) };
        let (name, stream) = match &args.measure_text {
            Some(path) => {
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                (format!("`{name}`"), plain_stream(&calibration::read_text(path)?, tokenizer)?)
            }
            None => {
                let stream = calibration::stream(bundled::VALIDATION, tokenizer, c.bos, &c.eos)?;
                ("built-in stories".into(), stream)
            }
        };
        let how = Windowing::from(Protocol { window: 320, windows: Some(windows as usize) });
        how.windows(stream.len())?;
        Ok(Some(Self { name, stream, how }))
    }

    /// The perplexity of the integer model, and how it is said.
    fn measure(&self, model: &QuantModel, out: &Out) -> Result<(f64, String)> {
        let busy = out.busy("measuring the perplexity");
        let found = perplexity(model, &self.stream, self.how)?;
        busy.finish_and_clear();
        let (p, n) = (found.perplexity, found.windows);
        Ok((p, format!("{p:.4} on {}, {n} windows of 320 tokens (integer model)", self.name)))
    }
}

/// Refuses a device that the preset does not train on, and options that are not for it.
fn check_device(args: &Quantize) -> Result<()> {
    let device = match (args.preset, args.device) {
        (PresetArg::Gpu, TrainerArg::Cpu) => {
            Some("--preset gpu trains on a card: give --device cuda, or --preset best")
        }
        (PresetArg::Fast | PresetArg::Best, TrainerArg::Cuda) => Some("--device cuda is for --preset gpu"),
        _ => None,
    };
    if let Some(wrong) = device {
        return Err(Error::Argument(wrong.into()));
    }
    let numbers = [args.train_minutes, args.train_rate, args.freeze_from, args.min_p];
    let of_card = args.start.is_some()
        || args.watch.is_some()
        || args.documents.is_some()
        || args.gpus.is_some()
        || args.train_rows.is_some()
        || numbers.iter().any(Option::is_some);
    if args.preset != PresetArg::Gpu && of_card {
        return Err(Error::Argument(
            "--start, --gpus, --train-minutes, --train-rate, --train-rows, --freeze-from, --documents, --min-p and --watch are \
             for --preset gpu"
                .into(),
        ));
    }
    Ok(())
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
    check_device(args)?;
    Ok(Recipe {
        preset: match args.preset {
            PresetArg::Fast => Preset::Fast,
            PresetArg::Best => Preset::Best,
            PresetArg::Gpu => Preset::Gpu,
        },
        formats,
        pruning: pruning(args.pruning),
        layer_pruning: args.layer_pruning.iter().map(|(l, how)| (l.clone(), pruning(*how))).collect(),
        keys: match args.keys {
            KeysArg::Plain => Keys::Plain,
            KeysArg::Aligned => Keys::Aligned,
            KeysArg::Led => Keys::Led,
        },
        rotate: args.rotate,
        split: args.split,
        prefix: args.prefix.clone(),
        text: match (args.self_text, &args.calib) {
            (false, _) => Text::File,
            (true, None) => Text::Model,
            (true, Some(_)) => Text::Both,
        },
        tokens: args.calib_tokens,
        layer_passes: args.layer_passes,
        train: args.train_tokens,
        minutes: args.train_minutes,
        rate: args.train_rate,
        cards: args.gpus.map(|n| n as usize),
        rows: args.train_rows.map(|n| n as usize),
        frozen_from: args.freeze_from,
        documents: args.documents,
        min_p: args.min_p,
        watch: args.watch.clone(),
        start: args.start.clone(),
        seed: args.seed,
    })
}

/// How the model was made, for its card.
fn method(args: &Quantize, recipe: &Recipe) -> String {
    let formats = match &recipe.formats {
        Formats::One(WeightFormat::W2Sparse) => "2-bit weights, two of four kept (2:4)".to_string(),
        Formats::One(WeightFormat::W2Dense) => "2-bit weights".to_string(),
        Formats::One(WeightFormat::W4) => "4-bit weights".to_string(),
        Formats::Each(_) => "2- and 4-bit weights".to_string(),
        Formats::Mixed(Budget::Bits(bits)) => format!("2- and 4-bit weights, {bits} bits a weight"),
        Formats::Mixed(Budget::Speed(rate, _)) => format!("2- and 4-bit weights for {rate} tokens a second"),
    };
    let preset = match args.preset {
        PresetArg::Fast => "without training (preset fast)",
        PresetArg::Best => "with training (preset best)",
        PresetArg::Gpu => "trained on a card (preset gpu)",
    };
    let text = match recipe.text {
        _ if args.preset == PresetArg::Gpu => "calibrated on text of the model's own",
        Text::File if args.calib.is_none() => "calibrated on built-in stories",
        Text::File => "calibrated on a text",
        Text::Model => "calibrated on text of the model's own",
        Text::Both => "calibrated on a text and on text of the model's own",
    };
    format!("{formats}, {preset}, {text}")
}

fn pruning(how: PruningArg) -> Pruning {
    match how {
        PruningArg::Magnitude => Pruning::Magnitude,
        PruningArg::Wanda => Pruning::Wanda,
        PruningArg::Sparsegpt => Pruning::SparseGpt,
    }
}

/// The folder `out` with `.work` after its name.
fn beside(out: &Path) -> PathBuf {
    let name = out.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    out.with_file_name(format!("{name}.work"))
}

/// Mean over the weights of the layers' linears.
fn bits_per_weight(model: &QuantModel) -> f64 {
    let linears = || model.layers.iter().flat_map(|l| l.linears()).map(|(_, w)| w);
    let weights: usize = linears().map(|w| w.grid.rows * w.grid.cols).sum();
    let total: f64 = linears().map(|w| w.grid.format.bits() * (w.grid.rows * w.grid.cols) as f64).sum();
    total / weights.max(1) as f64
}

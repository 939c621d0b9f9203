//! Perplexity of a float model with parts of the engine's rounding, after different transforms.
//!
//! `cargo run --release -p accllm-quant --example ablation -- MODEL CALIBRATION EVALUATION WINDOW CAL_WINDOWS
//! EVAL_WINDOWS [CASE...]`: MODEL is a Hugging Face folder, the texts are plain text (or, with `stories` as the
//! first CASE, stories separated by blank lines).

use accllm_quant::float::FloatModel;
use accllm_quant::hf::load_model;
use accllm_quant::model::WeightFormat;
use accllm_quant::perplexity::{Protocol, perplexity, plain_stream, story_stream};
use accllm_quant::quantize::{
    Calibration, Clip, Closed, Pruning, Simulated, calibrate, clipped_value_shape, closed_model, static_steps,
};
use accllm_quant::tokenizer::TextTokenizer;
use accllm_quant::transform::{
    PairPower, balance_qk, choose_head, choose_layer, migrate_head, migrate_layer, rotate_residual,
    rotate_values,
};
use std::path::Path;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The model, its calibration windows and evaluation stream.
struct Case {
    model: FloatModel,
    text: Vec<u32>,
    calibration: Protocol,
    eval: Vec<u32>,
    protocol: Protocol,
}

impl Case {
    fn calibrate(&self, model: &FloatModel) -> Outcome<Calibration> {
        Ok(calibrate(model, &self.text, self.calibration)?)
    }

    fn migrated(&self, model: &FloatModel, exponent: Option<f32>, clip: Clip) -> Outcome<FloatModel> {
        let stats = self.calibrate(model)?;
        let mut out = model.clone();
        let formats = [WeightFormat::W4; 7];
        for (w, s) in out.layers.resident()?.iter_mut().zip(&stats.layers) {
            let mut shapes = choose_layer(&model.config, w, s, &formats, exponent);
            if clip == Clip::Search {
                shapes.value = clipped_value_shape(s);
            }
            migrate_layer(&model.config, w, &shapes);
        }
        migrate_head(&mut out, &choose_head(model, &stats.head_in, WeightFormat::W4, exponent));
        Ok(out)
    }

    fn balanced(&self, model: &FloatModel, exponent: f64) -> Outcome<FloatModel> {
        let mut power = PairPower::new(&model.config);
        for window in self.text.chunks_exact(self.calibration.window).take(2) {
            model.hidden(window, None, &mut power)?;
        }
        let mut out = model.clone();
        for (l, w) in out.layers.resident()?.iter_mut().enumerate() {
            balance_qk(&model.config, w, l, &power, exponent);
        }
        Ok(out)
    }

    /// Prints the perplexity of a migrated model with A8 and KV4.
    fn print(&self, name: &str, model: &FloatModel, clip: Clip, (a8, kv4): (bool, bool)) -> Outcome<()> {
        let steps = static_steps(model, &self.calibrate(model)?, clip)?;
        let simulated = Simulated { model, steps: &steps, a8, kv4, lambda: None };
        let p = perplexity(&simulated, &self.eval, self.protocol)?.perplexity;
        println!("{name:50} a8 {a8:5} kv4 {kv4:5}  {p:.4}");
        Ok(())
    }
}

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, calibration, evaluation, window, cal_windows, eval_windows, wanted @ ..] = args.as_slice()
    else {
        return Err("six arguments are needed; see the top of the source".into());
    };
    let model = load_model(Path::new(folder))?;
    let tokenizer = TextTokenizer::read(&Path::new(folder).join("tokenizer.json"), model.config.vocab)?;
    let (stories, wanted) = match wanted.split_first() {
        Some((first, rest)) if first == "stories" => (true, rest),
        _ => (false, wanted),
    };
    let window = window.parse()?;
    let stream = |path: &str, windows: usize| -> Outcome<Vec<u32>> {
        let mut text = std::fs::read_to_string(path)?;
        // Enough characters for the windows.
        let most = windows * window * 12;
        if text.len() > most {
            let end = (0..=most).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
            text.truncate(end);
        }
        match stories {
            true => Ok(story_stream(&text, &tokenizer, 0, 1)?),
            false => Ok(plain_stream(&text, &tokenizer)?),
        }
    };
    let (cal_windows, eval_windows) = (cal_windows.parse()?, eval_windows.parse()?);
    let case = Case {
        text: stream(calibration, cal_windows)?,
        calibration: Protocol { window, windows: Some(cal_windows) },
        eval: stream(evaluation, eval_windows)?,
        protocol: Protocol { window, windows: Some(eval_windows) },
        model,
    };
    let run = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    let model = &case.model;
    if run("float") {
        println!("float {:.4}", perplexity(model, &case.eval, case.protocol)?.perplexity);
    }
    let kv = (false, true);
    let both = (true, true);
    if run("migration") {
        case.print("no migration", model, Clip::None, both)?;
        for (name, e) in [("by error", None), ("0.5", Some(0.5)), ("1", Some(1.0))] {
            let m = case.migrated(model, e, Clip::None)?;
            case.print(&format!("migration {name}"), &m, Clip::None, both)?;
            case.print(&format!("migration {name}"), &m, Clip::None, (true, false))?;
            case.print(&format!("migration {name}"), &m, Clip::None, kv)?;
        }
    }
    if run("clip") {
        let m = case.migrated(model, None, Clip::Search)?;
        case.print("V clipped per channel", &m, Clip::None, kv)?;
        case.print("V clipped per channel", &m, Clip::None, both)?;
        case.print("and activations clipped", &m, Clip::Search, both)?;
    }
    if run("balance") {
        let m = case.migrated(model, None, Clip::None)?;
        for e in [0.0, 0.5, 0.75, 1.0, 1.25] {
            case.print(&format!("balance {e}"), &case.balanced(&m, e)?, Clip::None, kv)?;
        }
    }
    if run("rotate") {
        let mut m = model.clone();
        m.layers.resident()?.iter_mut().for_each(|w| rotate_values(&model.config, w, 2));
        let values = case.migrated(&m, None, Clip::None)?;
        case.print("values rotated", &values, Clip::None, kv)?;
        case.print("values rotated", &values, Clip::None, both)?;
        let mut m = model.clone();
        rotate_residual(&mut m, 1)?;
        let m = case.migrated(&m, None, Clip::None)?;
        case.print("residual rotated", &m, Clip::None, both)?;
    }
    let closed = |name: &str, m: &FloatModel, how: Closed| -> Outcome<()> {
        let start = std::time::Instant::now();
        let q = closed_model(m, &case.text, case.calibration, &|_| how)?;
        let seconds = start.elapsed().as_secs_f64();
        let p = perplexity(&q, &case.eval, case.protocol)?.perplexity;
        println!("{name:50} weights only  {p:.4}  ({seconds:.0} s)");
        Ok(())
    };
    let base = Closed { correct: false, rounds: 0, ..Closed::default() };
    if run("pruning") {
        for pruning in [Pruning::Magnitude, Pruning::Wanda, Pruning::SparseGpt] {
            for feedback in [false, true] {
                closed(
                    &format!("{pruning:?}, feedback {feedback}"),
                    model,
                    Closed { pruning, feedback, ..base },
                )?;
            }
        }
    }
    if run("closed") {
        closed("2:4 feedback", model, base)?;
        closed("+ refined", model, Closed { rounds: 4, ..base })?;
        closed("+ corrected", model, Closed::default())?;
        closed("corrected, not refined", model, Closed { correct: true, ..base })?;
        let m = case.migrated(model, None, Clip::None)?;
        closed("migrated, corrected, refined", &m, Closed::default())?;
    }
    if run("corrected") {
        closed("2:4 corrected, refined", model, Closed::default())?;
    }
    if run("formats") {
        for format in [WeightFormat::W2Dense, WeightFormat::W4] {
            let formats = [format; 7];
            closed(&format!("{format:?} feedback"), model, Closed { formats, ..base })?;
            closed(&format!("{format:?} all"), model, Closed { formats, ..Closed::default() })?;
        }
    }
    if run("closed-rotated") {
        let mut m = model.clone();
        rotate_residual(&mut m, 1)?;
        closed("2:4, residual rotated, all", &m, Closed::default())?;
        let formats = [WeightFormat::W2Dense; 7];
        closed("W2Dense, residual rotated, all", &m, Closed { formats, ..Closed::default() })?;
    }
    if run("all") {
        let m = case.balanced(&case.migrated(model, None, Clip::Search)?, 1.0)?;
        case.print("balance, V clipped per channel", &m, Clip::None, kv)?;
        case.print("balance, V clipped per channel", &m, Clip::None, both)?;
        case.print("balance, all clipped", &m, Clip::Search, both)?;
    }
    Ok(())
}

//! How a checkpoint is quantized: presets, formats, and the calibration text that goes with them.

use crate::bench::Progress as Bars;
use crate::model::Calibration;
use crate::{Error, Result};
use accllm_quant::float::{FloatModel, SelfText};
use accllm_quant::model::WeightFormat;
use accllm_quant::perplexity::Protocol;
use accllm_quant::quantize::{
    Candidate, FORMATS, Options, Progress, Quantized, assign_formats, bits, quantize_with, sensitivity,
};
use accllm_quant::tokenizer::TextTokenizer;
use accllm_quant::train::Training;
use std::path::Path;

/// How much work goes into a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// No training: seconds for a small model.
    Closed,
    /// Closed forms on more text, and a short training of each layer: minutes.
    Fast,
    /// Long training of each layer, then of the whole model: hours.
    Best,
}

/// Which formats the layers' weights take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Formats {
    /// One for all.
    One(WeightFormat),
    /// The best mixture of at most so many bits a weight, scales included.
    Bits(f64),
}

/// All choices of a quantization.
pub struct Recipe {
    /// Work.
    pub preset: Preset,
    /// Formats of the layers; the head is W4.
    pub formats: Formats,
    /// Calibrate on text that the model writes itself.
    pub self_text: bool,
    /// Calibration tokens; `None` for the preset's number.
    pub tokens: Option<usize>,
    /// Of everything random.
    pub seed: u64,
}

impl Recipe {
    /// No training, one format.
    pub fn closed() -> Self {
        Self {
            preset: Preset::Closed,
            formats: Formats::One(WeightFormat::W2Sparse),
            self_text: false,
            tokens: None,
            seed: 1,
        }
    }

    /// Tokens of a calibration window, and of the layers' calibration; then of the whole model's training.
    fn sizes(&self, positions: usize) -> (usize, usize, usize) {
        let (window, layers, whole) = match self.preset {
            Preset::Closed => (320, 32 * 320, 0),
            Preset::Fast => (512, 16 * 512, 0),
            Preset::Best => (512, 160 * 512, 1200 * 512),
        };
        let window = window.min(positions);
        match self.tokens {
            Some(n) => (window, n.min(layers.max(n.min(256 * window))), if whole > 0 { n } else { 0 }),
            None => (window, layers, whole),
        }
    }

    /// Most tokens that the layers of a model of `positions` positions are fitted on.
    pub fn calibration_tokens(&self, positions: usize) -> usize {
        self.sizes(positions).1
    }

    /// The calibration stream, which may be written by the model, and the options.
    fn prepare(
        &self,
        float: &FloatModel,
        tokenizer: &TextTokenizer,
        calibration: &Calibration,
        bars: &dyn Bars,
    ) -> Result<(Vec<u32>, Options)> {
        let (window, layers, whole) = self.sizes(float.config.max_positions.max(2));
        let wanted = layers.max(whole);
        let text = match self.self_text {
            true => {
                let what = SelfText { sequences: wanted.div_ceil(window), tokens: window, seed: self.seed };
                bars.begin("writing calibration text", (what.sequences * window) as u64);
                let mut before = 0;
                let text = float.write(what, |n| {
                    bars.advance((n - before) as u64);
                    before = n;
                });
                bars.end();
                text?
            }
            false => calibration.stream(float, tokenizer, wanted)?,
        };
        let windows = |tokens: usize| (tokens.min(text.len()) / window).max(1);
        let (reconstruction, end_to_end) = self.training(window, windows(whole));
        let options = Options {
            body: match self.formats {
                Formats::One(format) => format,
                Formats::Bits(_) => WeightFormat::W2Sparse,
            },
            layer_formats: match self.formats {
                Formats::One(_) => Vec::new(),
                Formats::Bits(budget) => mixture(float, text.get(..window).unwrap_or(&text), budget, bars)?,
            },
            reconstruction,
            end_to_end,
            calibration: Protocol { window, windows: Some(windows(layers)) },
            ..Options::default()
        };
        Ok((text, options))
    }

    fn training(&self, window: usize, whole: usize) -> (Option<Training>, Option<(Training, usize)>) {
        let seed = self.seed;
        let layers =
            |epochs| Training { epochs, batch: 4 * window, weights: 0.01, scales: 0.002, gains: 0.002, seed };
        let end =
            Training { epochs: 1, batch: 4 * window, weights: 0.005, scales: 0.001, gains: 0.001, seed };
        match self.preset {
            Preset::Closed => (None, None),
            Preset::Fast => (Some(layers(1)), None),
            Preset::Best => (Some(layers(4)), Some((end, whole))),
        }
    }
}

/// The assignment of formats that does least damage to the predictions on `tokens`, at `budget` bits a weight.
fn mixture(
    float: &FloatModel,
    tokens: &[u32],
    budget: f64,
    bars: &dyn Bars,
) -> Result<Vec<[WeightFormat; 7]>> {
    /// Tokens whose predictions are compared.
    const COMPARED: usize = 256;
    let c = &float.config;
    bars.begin("measuring sensitivity", (c.layers * 7 * FORMATS.len()) as u64);
    let damage = sensitivity(float, tokens.get(..COMPARED).unwrap_or(tokens), &|_, _| bars.advance(1));
    bars.end();
    let (wide, narrow) = (c.hidden * c.q_width(), c.hidden * c.kv_width());
    let weights = [wide, narrow, narrow, wide, c.hidden * c.ffn, c.hidden * c.ffn, c.hidden * c.ffn];
    let all = c.layers * weights.iter().sum::<usize>();
    let items: Vec<Vec<Candidate>> = damage?
        .iter()
        .flat_map(|layer| layer.iter().zip(weights))
        .map(|(damage, weights)| {
            let each = FORMATS.iter().zip(damage);
            each.map(|(f, d)| Candidate { cost: bits(*f) * weights as f64, damage: *d }).collect()
        })
        .collect();
    let found = assign_formats(&items, budget * all as f64)?;
    let format = |i: &usize| FORMATS.get(*i).copied().unwrap_or(WeightFormat::W2Sparse);
    let choices: Vec<WeightFormat> = found.choice.iter().map(format).collect();
    Ok(choices.chunks_exact(7).map(|c| [c[0], c[1], c[2], c[3], c[4], c[5], c[6]]).collect())
}

/// Quantizes a float model by a recipe. Finished parts of a training are kept in `work`.
///
/// # Errors
/// The calibration text is too short or does not fit the tokenizer; a weight cannot be represented; the budget is
/// below the smallest format; `work` cannot be written.
pub fn quantize(
    float: &FloatModel,
    tokenizer: &TextTokenizer,
    calibration: &Calibration,
    recipe: &Recipe,
    work: Option<&Path>,
    bars: &dyn Bars,
) -> Result<Quantized> {
    if let Formats::Bits(b) = recipe.formats
        && !(2.0..=4.25).contains(&b)
    {
        return Err(Error::Argument(format!("{b} bits a weight: the formats have 2.0 to 4.25")));
    }
    let (text, options) = recipe.prepare(float, tokenizer, calibration, bars)?;
    let mut meter = Meter { bars, phase: None, done: 0 };
    let result = quantize_with(float, &text, &options, work, &mut |p| meter.show(p));
    meter.end();
    Ok(result?)
}

/// Units of a layer on the bar.
const UNITS: u64 = 1000;

/// Shows the progress of the quantizer.
struct Meter<'a> {
    bars: &'a dyn Bars,
    /// Whether the layers are done and the whole model is trained.
    phase: Option<bool>,
    done: u64,
}

impl Meter<'_> {
    fn show(&mut self, p: Progress) {
        let whole = p.layer == p.layers && p.steps > 0;
        if self.phase != Some(whole) {
            self.end();
            let (what, total) = match whole {
                true => ("training the model", p.steps as u64),
                false => ("quantizing layers", p.layers as u64 * UNITS),
            };
            self.bars.begin(what, total);
            (self.phase, self.done) = (Some(whole), 0);
        }
        let now = match whole {
            true => p.step as u64,
            false => p.layer as u64 * UNITS + p.step as u64 * UNITS / p.steps.max(1) as u64,
        };
        self.bars.advance(now.saturating_sub(self.done));
        self.done = now.max(self.done);
    }

    fn end(&mut self) {
        if self.phase.take().is_some() {
            self.bars.end();
        }
    }
}

//! How a checkpoint is quantized: presets, formats, and the calibration text that goes with them.

use crate::calibration::{Calibration, read_text};
use crate::mixture::{Budget, Costs, measured, mixture};
use crate::{Error, Result};
use accllm_device::progress::Progress;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{FloatModel, SelfText};
use accllm_llm::import::load_model;
use accllm_llm::model::WeightFormat;
use accllm_llm::perplexity::{Protocol, plain_stream};
use accllm_llm::tokenizer::TextTokenizer;
use accllm_quant::gpu;
use accllm_quant::quantize::{
    Closed, Options, Pruning, Quantized, migrated, quantize_trained, quantize_with, self_text,
};
use accllm_quant::train::{Reached, Training};
use accllm_quant::transform::Keys;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Tokens of a calibration window, where the model has so many positions.
const WINDOW: usize = 512;
/// Tokens of a training step.
const BATCH: usize = 512;
/// Weights of the layers of a model that gets its preset's tokens. A smaller one gets more, up to [`MOST`] times as many.
const WHOLE: f64 = 1e8;
/// See [`WHOLE`].
const MOST: f64 = 4.0;
/// Learning rate of the weights, in levels, times the square root of layers times hidden size: what one step does to the
/// logits grows with both. Larger rates lose what the closed forms gave.
const RATE: f64 = 0.3;

/// Tokens of a window that follows a training on a card, and windows.
const GPU_WINDOW: usize = 1024;
/// See [`GPU_WINDOW`].
const GPU_WINDOWS: usize = 32;
/// Bits a weight above which a training on a card starts with q and k matched, and with the steps of activations moved into
/// the weights; where q and k are to be matched, any training does. Two bits change weights so much that it makes no difference.
const MIGRATED: f64 = 2.25;
/// Windows that both are measured on.
const START_WINDOWS: usize = 8;

/// How much work goes into a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Closed forms only: minutes for a small model.
    Fast,
    /// Closed forms on more text, then a training of the whole model: hours.
    Best,
    /// A training of the whole model on a graphics card, on text that it writes there.
    Gpu,
}

/// Which formats the layers' weights take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Formats {
    /// One for all.
    One(WeightFormat),
    /// One for each linear layer of a decoder layer, the same in all of them.
    Each([WeightFormat; 7]),
    /// The best mixture under a budget.
    Mixed(Budget),
}

/// Where the calibration text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// The file, or the built-in stories.
    File,
    /// The model writes it.
    Model,
    /// Both in turn, a window each.
    Both,
}

/// Tokens of a quantization.
struct Sizes {
    /// Of a window.
    window: usize,
    /// Of the text.
    text: usize,
    /// Of the training.
    train: usize,
}

/// All choices of a quantization.
pub struct Recipe {
    /// Work.
    pub preset: Preset,
    /// Formats of the layers; the head is W4.
    pub formats: Formats,
    /// Which two columns of four 2:4 keeps.
    pub pruning: Pruning,
    /// Another choice for some layers, counted from 0; the last one that has a layer counts.
    pub layer_pruning: Vec<(RangeInclusive<usize>, Pruning)>,
    /// What is done to q and k, where they do not lie on a W2 grid already.
    pub keys: Keys,
    /// Seed of a rotation of the residual stream.
    pub rotate: Option<u64>,
    /// Pairs of channels that are split and dropped, at most, in each of two tensors of a layer.
    pub split: usize,
    /// Text that every text of the model follows, if any: its keys and values come with the model.
    pub prefix: Option<String>,
    /// What the calibration text is.
    pub text: Text,
    /// Most tokens of text; `None` for the preset's number.
    pub tokens: Option<usize>,
    /// Passes over the text of a training of each layer alone, before that of the whole model.
    pub layer_passes: usize,
    /// Tokens of the training of the whole model, passes over the text included; `None` for the preset's number.
    pub train: Option<usize>,
    /// Minutes of a training on a card, at most.
    pub minutes: Option<f64>,
    /// Rate of the matrices in a training on a card; the others are in proportion.
    pub rate: Option<f64>,
    /// Cards that train together; `None` for all that are visible.
    pub cards: Option<usize>,
    /// Most tokens of a row of text in a training on a card, where the model knows so many positions.
    pub rows: Option<usize>,
    /// From where on a training on a card keeps the columns that 2:4 has, as a part of the training.
    pub frozen_from: Option<f64>,
    /// Least and most tokens of a document of the text that the model writes on a card.
    pub documents: Option<[usize; 2]>,
    /// Its tokens are drawn whose probability is at least this part of the likeliest one's.
    pub min_p: Option<f64>,
    /// A text on which the divergence is shown during a training on a card.
    pub watch: Option<PathBuf>,
    /// A trained model that a training on a card starts from.
    pub start: Option<PathBuf>,
    /// Of everything random.
    pub seed: u64,
}

impl Recipe {
    /// The fast one, for all W2 2:4.
    pub fn fast() -> Self {
        Self {
            preset: Preset::Fast,
            formats: Formats::One(WeightFormat::W2Sparse),
            pruning: Pruning::default(),
            layer_pruning: Vec::new(),
            keys: Keys::Plain,
            rotate: None,
            split: 0,
            prefix: None,
            text: Text::File,
            tokens: None,
            layer_passes: 0,
            train: None,
            minutes: None,
            rate: None,
            cards: None,
            rows: None,
            frozen_from: None,
            documents: None,
            min_p: None,
            watch: None,
            start: None,
            seed: 1,
        }
    }

    /// What a training on a card is asked for, before its formats are known.
    fn on_card(&self, c: &LlamaConfig) -> gpu::Recipe {
        let mut how = gpu::Recipe { seed: self.seed, ..gpu::Recipe::default() };
        how = how.for_positions(c.max_positions.min(self.rows.unwrap_or(usize::MAX)));
        how.text = self.tokens.unwrap_or(how.text);
        how.train = self.train.unwrap_or(how.train);
        how.seconds = self.minutes.map(|m| (60.0 * m).ceil() as u64);
        how.frozen_from = self.frozen_from.unwrap_or(how.frozen_from);
        how.documents = self.documents.unwrap_or(how.documents);
        how.min_p = self.min_p.unwrap_or(how.min_p);
        how
    }

    fn sizes(&self, c: &LlamaConfig) -> Sizes {
        let window = WINDOW.min(c.max_positions.max(2));
        let weights = (c.sizes.layers * c.sizes.linear_weights().iter().sum::<usize>()) as f64;
        if self.preset == Preset::Gpu {
            // What the ranges are measured on, and the head is fitted on; all else was done on the card.
            let window = GPU_WINDOW.min(c.max_positions.max(2));
            return Sizes { window, text: GPU_WINDOWS * window, train: 0 };
        }
        let (text, train) = match self.preset {
            Preset::Gpu | Preset::Fast => (32, 0),
            Preset::Best => {
                let more = (WHOLE / weights).sqrt().clamp(1.0, MOST).round() as usize;
                (256 * more, 512 * more)
            }
        };
        let text = self.tokens.unwrap_or(text * WINDOW).max(window);
        let train = match self.train.unwrap_or(train * WINDOW) {
            0 => 0,
            train => train.max(window),
        };
        Sizes { window, text, train }
    }

    /// Whether there are finished parts to keep for another run.
    pub fn keeps(&self, c: &LlamaConfig) -> bool {
        let written = self.text != Text::File || self.preset == Preset::Gpu;
        written
            || matches!(self.formats, Formats::Mixed(_))
            || self.layer_passes > 0
            || self.sizes(c).train > 0
    }

    /// The calibration stream, which may be written by the model, and the options.
    fn prepare(
        &self,
        float: &FloatModel,
        tokenizer: &TextTokenizer,
        calibration: &Calibration,
        work: Option<&Path>,
        bars: &dyn Progress,
    ) -> Result<(Vec<u32>, Options)> {
        let sizes = self.sizes(&float.config);
        let window = sizes.window;
        // What cannot be met is said before text is written.
        let prefix = self.prefix_tokens(tokenizer)?;
        Options { prefix: prefix.clone(), ..Options::default() }.check(&float.config)?;
        let layer_pruning = self.prunings(float.config.sizes.layers)?;
        let costs = match self.formats {
            Formats::One(_) | Formats::Each(_) => None,
            Formats::Mixed(budget) => Some(Costs::new(&float.config, budget)?),
        };
        let text = match self.text {
            Text::File => calibration.stream(float, tokenizer, sizes.text)?,
            Text::Model => self.write(float, sizes.text, window, work, bars)?,
            Text::Both => {
                let half = sizes.text.div_ceil(2);
                let own = self.write(float, half, window, work, bars)?;
                in_turn(&own, &calibration.stream(float, tokenizer, half)?, window)
            }
        };
        let windows = |tokens: usize| (tokens.min(text.len()) / window).max(1);
        let end_to_end = self.training(&float.config, &sizes, windows(sizes.text));
        let options = Options {
            body: match self.formats {
                Formats::One(format) => format,
                Formats::Each(_) | Formats::Mixed(_) => WeightFormat::W2Sparse,
            },
            layer_formats: match (costs, self.formats) {
                (Some(costs), _) => mixture(&measured(float, &text, window, work, bars)?, &costs)?,
                (None, Formats::Each(each)) => vec![each; float.config.sizes.layers],
                (None, _) => Vec::new(),
            },
            closed: Closed { pruning: self.pruning, ..Closed::default() },
            layer_pruning,
            order: true,
            keys: self.keys,
            rotate: self.rotate,
            split: self.split,
            prefix,
            // Without passes over a layer alone: only what the training of the whole model starts at, which is the same
            // for all its rates.
            reconstruction: match self.layer_passes {
                0 => end_to_end.map(|_| Training::default()),
                epochs => Some(Training { epochs, ..self.rates(float.config.sizes.hidden) }),
            },
            end_to_end,
            calibration: Protocol { window, windows: Some(windows(sizes.text)) },
            ..Options::default()
        };
        Ok((text, options))
    }

    fn prefix_tokens(&self, tokenizer: &TextTokenizer) -> Result<Vec<u32>> {
        match &self.prefix {
            None => Ok(Vec::new()),
            Some(text) if text.is_empty() => Err(Error::Argument("the prefix is empty; leave it out".into())),
            Some(text) => Ok(tokenizer.encode(text)?),
        }
    }

    /// Text of the model itself.
    fn write(
        &self,
        float: &FloatModel,
        tokens: usize,
        window: usize,
        work: Option<&Path>,
        bars: &dyn Progress,
    ) -> Result<Vec<u32>> {
        let what = SelfText { sequences: tokens.div_ceil(window), tokens: window, seed: self.seed };
        bars.begin("writing calibration text", (what.sequences * window) as u64);
        let text = self_text(float, what, work, |n| bars.advance(n as u64));
        bars.end();
        Ok(text?)
    }

    /// The training of the whole model, and the windows of text that it has.
    fn training(&self, c: &LlamaConfig, sizes: &Sizes, windows: usize) -> Option<(Training, usize)> {
        let all = sizes.train / sizes.window;
        if all == 0 {
            return None;
        }
        // Whole passes, over no more of the text than the tokens are enough for.
        let epochs = all.div_ceil(windows.min(all));
        let windows = all.div_ceil(epochs);
        let how = Training { epochs, ..self.rates(c.sizes.layers * c.sizes.hidden) };
        Some((how, windows))
    }

    /// Learning rates where `width` channels in all add up (layers times hidden size).
    fn rates(&self, width: usize) -> Training {
        // A level of W4 is a smaller part of a weight.
        let rate = if self.formats == Formats::One(WeightFormat::W4) { RATE / 2.0 } else { RATE };
        let weights = rate / (width as f64).sqrt();
        let others = weights / 5.0;
        Training { epochs: 0, batch: BATCH, weights, scales: others, gains: others, seed: self.seed }
    }

    /// What a training on a card starts from, if not from the model as it is.
    fn begin(
        &self,
        float: &FloatModel,
        text: &[u32],
        bits: f64,
        options: &Options,
        bars: &dyn Progress,
    ) -> Result<Option<FloatModel>> {
        if bits <= MIGRATED && self.keys == Keys::Plain {
            return Ok(None);
        }
        let calibration = Protocol { windows: Some(START_WINDOWS), ..options.calibration };
        let options = Options { keys: self.keys, order: true, calibration, ..options.clone() };
        bars.begin("matching q and k, moving steps", 1);
        let start = migrated(float, text, &options);
        bars.end();
        Ok(Some(start?))
    }

    /// The choice of kept columns in each of `layers` layers; empty where all have the same.
    fn prunings(&self, layers: usize) -> Result<Vec<Pruning>> {
        if self.layer_pruning.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = vec![self.pruning; layers];
        for (range, pruning) in &self.layer_pruning {
            let some = all.get_mut(range.clone()).filter(|some| !some.is_empty()).ok_or_else(|| {
                let (from, to) = (range.start(), range.end());
                Error::Argument(format!(
                    "a pruning is given for layers {from} to {to}, and the model has 0 to {}",
                    layers - 1
                ))
            })?;
            some.fill(*pruning);
        }
        Ok(all)
    }
}

/// Windows of two streams in turn, then what is left of the longer one.
fn in_turn(a: &[u32], b: &[u32], window: usize) -> Vec<u32> {
    let (mut a, mut b) = (a.chunks_exact(window), b.chunks_exact(window));
    let mut text = Vec::new();
    loop {
        let pair = [a.next(), b.next()];
        if pair == [None, None] {
            return text;
        }
        pair.into_iter().flatten().for_each(|w| text.extend_from_slice(w));
    }
}

/// Quantizes a float model by a recipe. Finished parts (own text, sensitivities, layers, the state of a training) are kept
/// in `work`.
///
/// # Errors
/// The calibration text is too short or does not fit the tokenizer; a weight cannot be represented; the budget is
/// below the smallest format; `work` cannot be written.
pub fn quantize(
    float: FloatModel,
    tokenizer: &TextTokenizer,
    calibration: &Calibration,
    recipe: &Recipe,
    work: Option<&Path>,
    bars: &dyn Progress,
) -> Result<Quantized> {
    if recipe.preset == Preset::Gpu {
        return quantize_on_card(float, tokenizer, calibration, recipe, work, bars);
    }
    let (text, options) = recipe.prepare(&float, tokenizer, calibration, work, bars)?;
    let mut meter = Meter { bars, phase: None, done: 0 };
    let result = quantize_with(float, &text, &options, work, &mut |p| meter.show(p));
    meter.end();
    Ok(result?)
}

/// Trains on the card, and makes integers of what comes back, which lies on its grids already.
fn quantize_on_card(
    float: FloatModel,
    tokenizer: &TextTokenizer,
    calibration: &Calibration,
    recipe: &Recipe,
    work: Option<&Path>,
    bars: &dyn Progress,
) -> Result<Quantized> {
    let sizes = recipe.sizes(&float.config);
    let calibrated = Protocol { window: sizes.window, windows: Some(GPU_WINDOWS) };
    Options { calibration: calibrated, ..Options::default() }.check(&float.config)?;
    let wanted = Wanted::of(&recipe.formats, &float.config)?;
    let mut how = recipe.on_card(&float.config);
    let mut start = recipe.start.as_deref().map(load_model).transpose()?;
    let watched = match &recipe.watch {
        Some(path) => plain_stream(&read_text(path)?, tokenizer)?,
        None => Vec::new(),
    };
    let mut cards = gpu::Cards::open(&float.config, recipe.cards)?;
    let beginnings = match calibration.given() {
        true => calibration.beginnings(&float, tokenizer)?.into(),
        false => gpu::beginnings(tokenizer, float.config.sizes.vocab, recipe.seed)?,
    };
    let mut meter = CardMeter { bars, stage: None, done: 0, since: Instant::now(), from: 0, watched: None };
    let order = gpu::Order { model: &float, beginnings: &beginnings, recipe: &how, folder: work };
    let text = cards.write(&order, &mut |report| meter.show(report));
    meter.end();
    let text = text?;
    let formats = match wanted {
        Wanted::These(formats) => formats,
        Wanted::Within(costs) => {
            let damage = cards.sensitivity(&float, &text, &how, work, &mut |report| meter.show(report));
            meter.end();
            mixture(&damage?, &costs)?
        }
    };
    let options = Options { calibration: calibrated, layer_formats: formats.clone(), ..Options::default() };
    let bits = mean_bits(&float.config, &formats);
    how = how.for_bits(bits);
    if start.is_some() {
        how = how.going_on();
    } else {
        start = recipe.begin(&float, &text, bits, &options, bars)?;
    }
    how = recipe.rate.map_or(how.clone(), |rate| how.at_rate(rate));
    let task = gpu::Task {
        model: &float,
        start: start.as_ref(),
        text: &text,
        watched: &watched,
        formats: &formats,
        recipe: &how,
        folder: work,
    };
    let trained = cards.train(&task, &mut |report| meter.show(report));
    meter.end();
    integers(trained?, &text, &options, bars)
}

/// The formats of all layers, or what they may cost.
enum Wanted {
    These(Vec<[WeightFormat; 7]>),
    Within(Costs),
}

impl Wanted {
    fn of(formats: &Formats, config: &LlamaConfig) -> Result<Self> {
        let layers = config.sizes.layers;
        Ok(match formats {
            Formats::One(format) => Self::These(vec![[*format; 7]; layers]),
            Formats::Each(each) => Self::These(vec![*each; layers]),
            Formats::Mixed(budget) => Self::Within(Costs::new(config, *budget)?),
        })
    }
}

/// Integers of a trained model.
fn integers(
    trained: gpu::Trained,
    text: &[u32],
    options: &Options,
    bars: &dyn Progress,
) -> Result<Quantized> {
    let mut meter = Meter { bars, phase: None, done: 0 };
    let result = quantize_trained(trained.model, trained.grids, text, options, &mut |p| meter.show(p));
    meter.end();
    Ok(result?)
}

/// Bits a weight of the layers' linears, scales included, on average.
fn mean_bits(c: &LlamaConfig, formats: &[[WeightFormat; 7]]) -> f64 {
    let sizes = c.sizes.linear_weights();
    let layer = |formats: &[WeightFormat; 7]| -> f64 {
        formats.iter().zip(sizes).map(|(format, n)| format.bits() * n as f64).sum()
    };
    let weights = formats.len() * sizes.iter().sum::<usize>();
    formats.iter().map(layer).sum::<f64>() / weights.max(1) as f64
}

/// Shows the progress of a training on a card: tokens, their rate, the loss.
struct CardMeter<'a> {
    bars: &'a dyn Progress,
    stage: Option<gpu::Stage>,
    done: usize,
    /// When the stage began, and the tokens that were done then.
    since: Instant,
    from: usize,
    /// The last divergence on the watched text.
    watched: Option<f64>,
}

impl CardMeter<'_> {
    fn show(&mut self, report: gpu::Report) {
        let [done, all] = report.tokens;
        let what = match report.stage {
            gpu::Stage::Writing => "writing text",
            gpu::Stage::Reading => "the teacher reads",
            gpu::Stage::Measuring => "measuring sensitivity",
            gpu::Stage::Training => "training",
        };
        if self.stage != Some(report.stage) {
            self.end();
            self.bars.begin(what, all as u64);
            (self.stage, self.done) = (Some(report.stage), 0);
            (self.since, self.from) = (Instant::now(), done);
        }
        self.bars.advance(done.saturating_sub(self.done) as u64);
        self.done = done.max(self.done);
        let rate = (done - self.from.min(done)) as f64 / self.since.elapsed().as_secs_f64().max(1e-3) / 1e3;
        let loss = report.loss.map(|l| format!(", {l:.3} nats")).unwrap_or_default();
        self.watched = report.watched.or(self.watched);
        let watched = self.watched.map(|w| format!(", {w:.4} watched")).unwrap_or_default();
        self.bars.note(&format!("{what}: {rate:.0}k tokens/s{loss}{watched}"));
    }

    fn end(&mut self) {
        if self.stage.take().is_some() {
            self.bars.end();
        }
    }
}

/// Units of a layer on the bar.
const UNITS: u64 = 1000;

/// Shows the progress of the quantizer.
struct Meter<'a> {
    bars: &'a dyn Progress,
    /// Whether the layers are done and the whole model is trained.
    phase: Option<bool>,
    done: u64,
}

impl Meter<'_> {
    fn show(&mut self, p: Reached) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// With `layers` layers of 3.5 million weights each.
    fn config(layers: usize) -> LlamaConfig {
        let text = format!(
            r#"{{"architectures": ["LlamaForCausalLM"], "hidden_size": 576, "intermediate_size": 1536,
                "num_hidden_layers": {layers}, "num_attention_heads": 9, "num_key_value_heads": 3,
                "vocab_size": 49152, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5}}"#
        );
        LlamaConfig::parse(&text, Path::new("config.json")).unwrap()
    }

    #[test]
    fn a_training_is_as_long_as_it_was_asked_for() {
        let c = config(30);
        // Tokens of text and of training; passes, and windows of each.
        let cases = [
            (64 * 512, 96 * 512, 2, 48),
            (64 * 512, 64 * 512, 1, 64),
            (64 * 512, 10 * 512, 1, 10),
            (10 * 512, 25 * 512, 3, 9),
        ];
        for (text, train, epochs, windows) in cases {
            let recipe = Recipe { tokens: Some(text), train: Some(train), ..Recipe::fast() };
            let (how, count) = recipe.training(&c, &recipe.sizes(&c), text / 512).unwrap();
            assert_eq!((how.epochs, count), (epochs, windows), "{text} {train}");
        }
        assert!(Recipe::fast().training(&c, &Recipe::fast().sizes(&c), 32).is_none());
    }

    #[test]
    fn smaller_models_get_more_tokens_and_larger_rates() {
        let best = Recipe { preset: Preset::Best, ..Recipe::fast() };
        for (layers, text, train, rate) in
            [(30, 256, 512, 0.0023), (7, 512, 1024, 0.0047), (1, 1024, 2048, 0.0125)]
        {
            let c = config(layers);
            let sizes = best.sizes(&c);
            assert_eq!((sizes.text, sizes.train), (text * 512, train * 512), "{layers} layers");
            let (how, _) = best.training(&c, &sizes, text).unwrap();
            assert!((how.weights / rate - 1.0).abs() < 0.02, "{layers} layers: {}", how.weights);
        }
    }
}

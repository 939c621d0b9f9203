//! Ablation: the perplexity of a float model with one part of the quantization at a time.
//!
//! Activations and KV cache are rounded in simulation on float weights; weights are fitted in closed form with
//! activations in float. No training.

mod cases;

pub use cases::{Case, Choice, What, cases};

use crate::calibrate::{Calibration, calibrate, calibrate_behind, watch, windows};
use crate::quantize::{
    Closed, Inputs, KeyGrid, Rounded, Steps, clipped_value_shape, closed_model, shaped_steps,
};
use crate::transform::{
    KeySample, Keys, choose_head, choose_layer, match_keys, order_channels, rotate_residual, rotate_values,
    split_model,
};
use accllm_llm::Result;
use accllm_llm::float::{FloatModel, NoTap};
use accllm_llm::model::WeightFormat;
use accllm_llm::perplexity::{Perplexity, Protocol, Scorer, Windowing, perplexity_with};
use serde::Serialize;

/// A model with the texts it is measured on.
pub struct Ablation {
    /// The model as it is.
    pub model: FloatModel,
    /// Calibration text.
    pub calibration: Vec<u32>,
    /// How much of it is used.
    pub protocol: Protocol,
    /// Text that is scored.
    pub stream: Vec<u32>,
    /// How.
    pub how: Windowing,
    stats: Option<Calibration>,
    keys: Option<KeySample>,
    float: Option<f64>,
}

/// A measured case.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Part of the table.
    pub part: &'static str,
    /// What is done.
    pub name: String,
    /// Perplexity.
    pub ppl: f64,
    /// Relative to the float model, as a fraction above it.
    pub change: f64,
    /// Time, preparation included.
    pub seconds: f64,
}

impl Ablation {
    /// Nothing measured yet.
    pub fn new(
        model: FloatModel,
        calibration: Vec<u32>,
        protocol: Protocol,
        stream: Vec<u32>,
        how: Windowing,
    ) -> Self {
        Self { model, calibration, protocol, stream, how, stats: None, keys: None, float: None }
    }

    /// Measures a case; the first one also the float model. `progress` is told of windows done since it was told
    /// before.
    ///
    /// # Errors
    /// A text that is too short, or a model that overflows on it.
    pub fn measure(&mut self, case: &Case, progress: &mut dyn FnMut(usize)) -> Result<Line> {
        let start = std::time::Instant::now();
        let float = match self.float {
            Some(float) => float,
            None => self.score(&self.model, progress)?.perplexity,
        };
        self.float = Some(float);
        let ppl = match &case.what {
            What::Float => float,
            What::Rounded(choice) => self.rounded(choice, progress)?,
            What::Closed { how, rotate, order } => {
                let mut model = self.model.clone();
                if let Some(seed) = rotate {
                    rotate_residual(&mut model, *seed)?;
                }
                if *order {
                    order_channels(&mut model, self.calibrated()?, &|_| how.formats)?;
                }
                let q = closed_model(&model, &self.calibration, self.protocol, &|_| *how)?;
                self.score(&q, progress)?.perplexity
            }
            What::Head { how } => {
                let model = self.with_head(how)?;
                self.score(&model, progress)?.perplexity
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        Ok(Line { part: case.part, name: case.name.clone(), ppl, change: ppl / float - 1.0, seconds })
    }

    fn score(&self, model: &dyn Scorer, progress: &mut dyn FnMut(usize)) -> Result<Perplexity> {
        perplexity_with(model, &self.stream, self.how, progress)
    }

    fn rounded(&mut self, choice: &Choice, progress: &mut dyn FnMut(usize)) -> Result<f64> {
        let mut edited = None;
        if choice.rotate.is_some() || choice.rotate_values.is_some() || choice.split > 0 {
            let mut model = self.model.clone();
            if let Some(seed) = choice.rotate {
                rotate_residual(&mut model, seed)?;
            }
            if let Some(seed) = choice.rotate_values {
                let c = model.config.clone();
                model.layers.resident()?.iter_mut().for_each(|w| rotate_values(&c, w, seed));
            }
            if choice.split > 0 {
                let stats = calibrate(&model, &self.calibration, self.protocol)?;
                split_model(&mut model, &stats, choice.split)?;
            }
            edited = Some(model);
        }
        let stats = match &edited {
            None if choice.prefix == 0 => self.calibrated()?.clone(),
            _ => {
                let model = edited.as_ref().unwrap_or(&self.model);
                calibrate_behind(model, &self.calibration, self.protocol, choice.prefix)?
            }
        };
        // Scores, and with them all other ranges, are the same after balance and alignment.
        if choice.keys != Keys::Plain {
            let mut model = edited.unwrap_or_else(|| self.model.clone());
            self.match_keys(&mut model, choice)?;
            edited = Some(model);
        }
        let model = edited.as_ref().unwrap_or(&self.model);
        let steps = steps(model, &stats, choice)?;
        let mut parts = choice.parts.clone();
        if let Some(KeyGrid::Static(steps)) = &mut parts.key {
            *steps = stats.layers.iter().map(|s| s.rotated[1] / 7.5).collect();
        }
        let rounded = Rounded { model, steps: &steps, parts, prefix: choice.prefix, lambda: None };
        Ok(self.score(&rounded, progress)?.perplexity)
    }

    /// The model with its head as W4.
    fn with_head(&self, how: &Closed) -> Result<FloatModel> {
        let mut inputs = Vec::new();
        for window in windows(&self.calibration, self.protocol)? {
            inputs.extend(self.model.hidden(window, None, &mut NoTap)?);
        }
        let inputs = Inputs::new(&inputs, self.model.config.sizes.hidden);
        let mut model = self.model.clone();
        model.head = Some(inputs.fit(self.model.head(), WeightFormat::W4, how).dequantize());
        Ok(model)
    }

    fn calibrated(&mut self) -> Result<&Calibration> {
        if self.stats.is_none() {
            self.stats = Some(calibrate(&self.model, &self.calibration, self.protocol)?);
        }
        Ok(self.stats.get_or_insert_default())
    }

    /// Changes q and k as the choice says.
    fn match_keys(&mut self, model: &mut FloatModel, choice: &Choice) -> Result<()> {
        if self.keys.is_none() {
            let mut keys = KeySample::new(&self.model.config);
            watch(&self.model, &self.calibration, self.protocol, 0, &mut keys)?;
            self.keys = Some(keys);
        }
        self.keys.as_ref().map_or(Ok(()), |keys| match_keys(model, keys, choice.keys))
    }
}

/// The static steps of a choice, shapes included.
fn steps(model: &FloatModel, stats: &Calibration, choice: &Choice) -> Result<Steps> {
    let c = &model.config;
    let formats = [WeightFormat::W4; 7];
    let mut layers = Vec::with_capacity(c.sizes.layers);
    for (w, s) in model.layers.iter().zip(&stats.layers) {
        let w = w?;
        let mut shapes = choose_layer(c, &w, s, &formats, choice.migration);
        if choice.clip_values {
            shapes.value = clipped_value_shape(s);
        }
        layers.push(shapes);
    }
    let head = choose_head(model, &stats.head_in, WeightFormat::W4, choice.migration);
    shaped_steps(model, layers, head, stats, choice.clip)
}

//! Quantizes every weight of a model, layer by layer, and trains them where that is asked for.

use super::closed::{Streams, closed_layer};
use super::fit::{choose_shapes, find_grids, fit_head};
use super::steps::value_steps;
use super::work::Work;
use super::{Grids, Options};
use crate::calibrate::{Collector, LayerStats, SEEN, windows};
use crate::grid::{GridLayer, GridWeight, LayerGrids, Weights};
use crate::train::{BlockTraining, Goal, Reached, Start, TrainedLayer, Training, train_end_to_end};
use crate::transform::{migrate_layer, split_down, split_values};
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::{Behind, FloatLayer, FloatModel, NoTap, Window, run_layer};
use accllm_llm::perplexity::Protocol;
use accllm_llm::{Error, Result};
use std::path::Path;

/// Quantizes every weight. Two streams run through the model: the float model's own, which the reconstruction aims at, and what
/// the quantized layers so far produce, on which each layer is calibrated. Finished layers are kept in `folder`, where there is
/// one.
pub(super) fn quantize_weights(
    mut model: FloatModel,
    text: &[u32],
    options: &Options,
    folder: Option<&Path>,
    progress: &mut dyn FnMut(Reached),
) -> Result<Weights> {
    let layers = std::mem::replace(&mut model.layers, Vec::new().into());
    let model = &model;
    let c = &model.config;
    // Closed forms alone are not kept.
    let mut work = Work::open(options.reconstruction.as_ref().and(folder))?;
    // The layers are the same whatever comes after them.
    work.depend_on_choice(&(c, Options { end_to_end: None, ..options.clone() }, text));
    work.depend_on_matrix(&model.embed);
    let mut blocks = Blocks::new(model, text, options)?;
    for (l, w) in layers.into_each().enumerate() {
        let w = w?;
        work.depend_on(&w);
        blocks.layer(l, w, &work, progress)?;
        progress(Reached { layer: l + 1, layers: c.sizes.layers, step: 0, steps: 0, loss: None });
    }
    blocks.streams.quantized.iter().for_each(|x| {
        model.last_norm(x, &mut blocks.seen);
    });
    let Blocks { streams, seen, layers, trained, .. } = blocks;
    let head_in = seen.tap.finish()?.head_in;
    let (final_norm, float_head, head) = fit_head(model, &streams.quantized, &head_in, options);
    match &options.end_to_end {
        Some((how, count)) if trained.len() == c.sizes.layers => {
            // The training needs the room.
            drop((streams.quantized, layers));
            work.depend_on_matrix(&float_head);
            work.depend_on_values(&final_norm);
            work.depend_on_choice(&options.end_to_end);
            let windows = windows(text, Protocol { windows: Some(*count), ..options.calibration })?;
            let start = Start { layers: trained, head: &float_head, grid: &head, final_norm: &final_norm };
            let goal = Goal { teacher: model, behind: &streams.float };
            train_end_to_end(goal, start, &windows, how, &|name| work.file(name, "safetensors"), progress)
        }
        _ => Ok(Weights { embed: model.embed.clone(), layers: layers.into(), final_norm, head }),
    }
}

/// The weights of a model on these grids. No text has to run through the model for that.
pub(super) fn kept_weights(
    mut model: FloatModel,
    grids: Grids,
    progress: &mut dyn FnMut(Reached),
) -> Result<Weights> {
    let layers = std::mem::replace(&mut model.layers, Vec::new().into());
    let (mut kept, count) = (Vec::new(), grids.layers.len());
    for (l, (w, grids)) in layers.into_each().zip(grids.layers).enumerate() {
        kept.push(kept_layer(l, w?, grids.map(Some))?);
        progress(Reached { layer: l + 1, layers: count, step: 0, steps: 0, loss: None });
    }
    let FloatModel { embed, final_norm, .. } = model;
    Ok(Weights { embed, layers: kept.into(), final_norm, head: grids.head })
}

/// A layer whose weights all lie on grids, as it is.
fn kept_layer(l: usize, w: FloatLayer, found: [Option<GridWeight>; 7]) -> Result<GridLayer> {
    let grids: Vec<GridWeight> = found.into_iter().flatten().collect();
    let grids: [GridWeight; 7] =
        grids.try_into().map_err(|_| Error::Argument(format!("layer {l} has no seven grids")))?;
    let found = grids.clone().map(Some);
    let grids = LayerGrids::of(grids, found);
    let FloatLayer { attn_norm, mlp_norm, biases, q_norm, k_norm, .. } = w;
    Ok(GridLayer { grids, attn_norm, mlp_norm, biases, q_norm, k_norm })
}

/// The layers so far, and the streams after them.
struct Blocks<'a> {
    c: &'a LlamaConfig,
    options: &'a Options,
    window: Window,
    streams: Streams,
    /// Whether the two streams are still the same: all layers so far keep their weights.
    same: bool,
    /// Ranges, after the prefix.
    seen: Behind<Collector>,
    layers: Vec<GridLayer>,
    /// Those that were trained, where the whole model will be.
    trained: Vec<TrainedLayer>,
}

impl<'a> Blocks<'a> {
    fn new(model: &'a FloatModel, text: &[u32], options: &'a Options) -> Result<Self> {
        let texts = windows(text, options.calibration)?;
        let streams = texts.iter().map(|w| model.embed_tokens(w)).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            c: &model.config,
            options,
            window: Window::new(&model.config, options.calibration.window, None),
            streams: Streams { float: streams.clone(), quantized: streams },
            same: true,
            seen: Behind { tokens: options.prefix.len(), tap: Collector::new(model) },
            layers: Vec::new(),
            trained: Vec::new(),
        })
    }

    /// Quantizes layer `l` and moves the streams past it.
    fn layer(
        &mut self,
        l: usize,
        mut w: FloatLayer,
        work: &Work,
        progress: &mut dyn FnMut(Reached),
    ) -> Result<()> {
        let c = self.c;
        let found = find_grids(c, l, &w, self.options);
        if self.same && found.iter().all(Option::is_some) {
            return self.keep(l, w, found);
        }
        if self.same {
            self.same = false;
            self.streams.float = self.streams.quantized.clone();
        }
        let kept = work.file(&format!("layer-{l}"), "safetensors");
        // What training aims at is made by the weights as they came: the same to the bit in a run that goes on.
        let target = self.options.reconstruction.as_ref().map(|_| self.float_behind(l, &w));
        if let (Some(path), Some(target)) = (kept.as_ref().filter(|p| p.is_file()), &target) {
            self.streams.float.clone_from(target);
            let (formats, window) = (self.options.formats(l), self.options.calibration.window);
            return self.take(TrainedLayer::restore(c, l, &formats, window, path)?);
        }
        let whole = self.split(l, &mut w, &found);
        let stats = self.calibrate(l, &w);
        let (shared, shapes) = choose_shapes(c, l, &w, &stats, &found, self.options).whole_and_single(c);
        migrate_layer(c, &mut w, &shapes);
        let how = self.options.closed(l);
        let inputs = self.options.reconstruction.as_ref().map(|_| self.streams.quantized.clone());
        let (grids, _) = closed_layer(c, w.at(l), &shapes, &self.window, &mut self.streams, &how);
        if let Some(whole) = whole {
            self.streams.float = whole;
        }
        // The streams stay, up to the rounding of scales.
        let mut grids = LayerGrids::of(grids, found);
        grids.migrate(&shared);
        migrate_layer(c, &mut w, &shared);
        let layer = GridLayer::of(grids, &w);
        match (&self.options.reconstruction, inputs.zip(target)) {
            (Some(how), Some((inputs, target))) => {
                self.streams = Streams { float: target, quantized: inputs };
                let step = value_steps(&shapes.value, &stats)[0] / shapes.value[0];
                let training = self.reconstruct(l, &w, &layer, how, step, progress)?;
                if let Some(path) = kept {
                    training.save(&path)?;
                }
                self.take(training)
            }
            _ => {
                self.layers.push(layer);
                Ok(())
            }
        }
    }

    /// Splits strong channels where the weights around them are not on a grid. Where something was dropped for that,
    /// returns what the whole layer makes of the float streams: later layers make up for the difference.
    fn split(
        &mut self,
        l: usize,
        w: &mut FloatLayer,
        found: &[Option<GridWeight>; 7],
    ) -> Option<Vec<Vec<f32>>> {
        let most = self.options.split;
        let [_, _, v, o, gate, up, down] = found.each_ref().map(Option::is_none);
        if most == 0 || !(v && o || gate && up && down) {
            return None;
        }
        let (whole, stats) = (w.clone(), self.calibrate(l, w));
        let mut pairs = 0;
        if gate && up && down {
            pairs += split_down(w, &stats, most).pairs.len();
        }
        if v && o {
            pairs += split_values(self.c, w, &stats, most).pairs.len();
        }
        (pairs > 0).then(|| self.float_behind(l, &whole))
    }

    /// Takes a layer whose weights all lie on grids, as it is.
    fn keep(&mut self, l: usize, w: FloatLayer, found: [Option<GridWeight>; 7]) -> Result<()> {
        let (c, window) = (self.c, &self.window);
        let streams = &mut self.streams.quantized;
        streams.iter_mut().for_each(|x| run_layer(c, w.at(l), window, x, &mut NoTap));
        self.layers.push(kept_layer(l, w, found)?);
        Ok(())
    }

    /// The float model's stream after layer `l`.
    fn float_behind(&self, l: usize, w: &FloatLayer) -> Vec<Vec<f32>> {
        let mut streams = self.streams.float.clone();
        streams.iter_mut().for_each(|x| run_layer(self.c, w.at(l), &self.window, x, &mut NoTap));
        streams
    }

    /// What the float layer sees on the quantized stream of the first windows.
    fn calibrate(&mut self, l: usize, w: &FloatLayer) -> LayerStats {
        for x in self.streams.quantized.iter().take(SEEN) {
            run_layer(self.c, w.at(l), &self.window, &mut x.clone(), &mut self.seen);
        }
        self.seen.tap.take(l)
    }

    fn reconstruct(
        &self,
        l: usize,
        w: &FloatLayer,
        layer: &GridLayer,
        how: &Training,
        value_step: f32,
        progress: &mut dyn FnMut(Reached),
    ) -> Result<TrainedLayer> {
        let window = self.options.calibration.window;
        let block =
            BlockTraining { how, l, layers: self.c.sizes.layers, window, value_step: Some(value_step) };
        let training = TrainedLayer::new(self.c, w, layer, &block)?;
        training.reconstruct(&self.streams.quantized, &self.streams.float, &block, progress)?;
        Ok(training)
    }

    /// Takes a trained layer.
    fn take(&mut self, training: TrainedLayer) -> Result<()> {
        training.advance(&mut self.streams.quantized)?;
        self.layers.push(training.result()?);
        if self.options.end_to_end.is_some() {
            self.trained.push(training);
        }
        Ok(())
    }
}

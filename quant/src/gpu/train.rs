//! The training on a device, from a float model to one whose weights lie on the grids of their formats.

use super::beginnings::Beginnings;
use super::device::{Device, Memory};
use super::formats::round_weights;
use super::group::{Member, together};
use super::lesson::Lesson;
use super::optimizer::Optimizer;
use super::recipe::Recipe;
use super::room::plan;
use super::state::{self, Rest};
use super::teacher::Teacher;
use super::write::{Writing, write};
use crate::grid::GridWeight;
use crate::quantize::{Grids, Work};
use accllm_llm::float::{FloatLayer, FloatModel, Matrix};
use accllm_llm::model::WeightFormat;
use accllm_llm::{Error, Result};
use std::path::{Path, PathBuf};

/// How far the work is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stage {
    /// The model writes text.
    Writing,
    /// The teacher reads it.
    Reading,
    /// What rounding each linear alone does is measured.
    Measuring,
    /// The student learns.
    Training,
}

/// How far the work is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// What is done.
    pub stage: Stage,
    /// Tokens done, and in all.
    pub tokens: [usize; 2],
    /// Mean divergence over the last step, nats a token.
    pub loss: Option<f64>,
    /// The same on the watched text, where there is one and it was its turn.
    pub watched: Option<f64>,
}

/// A trained model.
pub struct Trained {
    /// Its linears have the values of their grids.
    pub model: FloatModel,
    /// The grids.
    pub grids: Grids,
    /// The device that did it.
    pub device: String,
}

/// What is trained, and on what.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// The teacher.
    pub model: &'a FloatModel,
    /// A model of the same sizes that the training starts from; the teacher itself, if `None`.
    pub start: Option<&'a FloatModel>,
    /// The teacher's own text.
    pub text: &'a [u32],
    /// A text that is not trained on: the divergence on its first 65,536 tokens is reported now and then; empty for none.
    pub watched: &'a [u32],
    /// Formats of each layer's q, k, v, o, gate, up and down.
    pub formats: &'a [[WeightFormat; 7]],
    /// How.
    pub recipe: &'a Recipe,
    /// Where the state is kept, and taken from.
    pub folder: Option<&'a Path>,
}

impl Task<'_> {
    fn start(&self) -> &FloatModel {
        self.start.unwrap_or(self.model)
    }

    /// The leading pairs of the student's KV heads, layer by layer.
    pub(super) fn leads(&self) -> Vec<u32> {
        let c = &self.start().config;
        let layer = |l| (0..c.sizes.kv_heads).map(move |head| c.lead(l, head) as u32);
        (0..c.sizes.layers).flat_map(layer).collect()
    }

    fn check(&self) -> Result<()> {
        self.recipe.check()?;
        let (a, b) = (&self.start().config.sizes, &self.model.config.sizes);
        if a != b || self.start().config.tied_head != self.model.config.tied_head {
            return Err(Error::Argument(format!(
                "the training cannot start from a model of other sizes: {a:?}, and the model has {b:?}"
            )));
        }
        let tokens = self.recipe.sequences() * self.recipe.rows[0];
        if self.formats.len() != b.layers || self.text.len() != tokens {
            return Err(Error::Argument(format!(
                "formats of {} layers and {} tokens of text, and {} and {tokens} are trained on",
                self.formats.len(),
                self.text.len(),
                b.layers
            )));
        }
        Ok(())
    }

    /// Where the state is kept; the name depends on all that it comes from.
    fn state(&self) -> Result<Option<PathBuf>> {
        if self.folder.is_none() {
            return Ok(None);
        }
        let mut work = Work::open(self.folder)?;
        depend_on(&mut work, self.model)?;
        depend_on(&mut work, self.start())?;
        work.depend_on_text(self.text);
        work.depend_on_choice(&(self.formats, self.recipe));
        Ok(work.file("device-state", "bin"))
    }
}

/// Trains, alone or with the other devices of the group; the first one returns what came of it.
///
/// # Errors
/// `start` has other sizes, text or formats are not what the recipe wants; the recipe or the model does not fit the device; the
/// device, or another one of the group, fails; the folder cannot be written or what is kept there is damaged.
pub(super) fn train_on(
    device: &dyn Device,
    task: &Task<'_>,
    progress: &mut dyn FnMut(Report),
) -> Result<Option<Trained>> {
    let first = device.seat().rank == 0;
    run_on(device, task, progress, |optimizer| first.then(|| trained(optimizer, task)).transpose())
}

/// The training itself; `finish` gets what came of it.
pub(super) fn run_on<T>(
    device: &dyn Device,
    task: &Task<'_>,
    progress: &mut dyn FnMut(Report),
    finish: impl FnOnce(&Optimizer<'_>) -> Result<T>,
) -> Result<T> {
    task.check()?;
    let mut memory = Memory::new(device);
    let teacher = Teacher::new(device, &mut memory, task.model)?;
    let all = device.seat().gather(vec![device.free_bytes()? as f64])?;
    let free = all.iter().map(|free| free[0]).fold(f64::INFINITY, f64::min);
    let (keeping, batch) = plan(&teacher.shape, task.recipe, all.len(), free as usize)?;
    let recipe = Recipe { batch, ..task.recipe.clone() };
    let task = &Task { recipe: &recipe, ..*task };
    let path = task.state()?;
    let optimizer = Optimizer::new(device, teacher.shape, task.formats, keeping)?;
    state::begin(&optimizer, task.start())?;
    let (done, took) = path.as_deref().map_or(Ok((0, 0.0)), |path| state::take(&optimizer, path))?;
    let mut lesson = Lesson::new(device, task, &teacher, &optimizer, keeping)?;
    lesson.run(done, took, path.as_deref(), progress)?;
    finish(&optimizer)
}

/// The trained weights on their grids.
fn trained(optimizer: &Optimizer<'_>, task: &Task<'_>) -> Result<Trained> {
    let (config, parts) = (&task.start().config, optimizer.shape.parts());
    let hidden = config.sizes.hidden;
    let Rest { gains, embed, own_head } = state::rest(optimizer)?;
    let table = |data| Matrix { rows: config.sizes.vocab, cols: hidden, data };
    let (mut layers, mut grids) = (Vec::new(), Vec::new());
    for (l, formats) in task.formats.iter().enumerate() {
        let all = state::layer(optimizer, l)?;
        let grid: [GridWeight; 7] = std::array::from_fn(|i| {
            let (p, format) = (parts[i], formats[i]);
            let data = all[p.at..p.at + p.len()].to_vec();
            round_weights(&Matrix { rows: p.rows, cols: p.cols, data }, format)
        });
        let [q, k, v, o, gate, up, down] = grid.each_ref().map(GridWeight::dequantize);
        let g = &gains[2 * l * hidden..2 * (l + 1) * hidden];
        let (attn_norm, mlp_norm) = (g[..hidden].to_vec(), g[hidden..].to_vec());
        let (biases, q_norm, k_norm) = Default::default();
        layers.push(FloatLayer { attn_norm, q, k, v, o, mlp_norm, gate, up, down, biases, q_norm, k_norm });
        grids.push(grid);
    }
    let model = FloatModel {
        embed: table(embed),
        layers: layers.into(),
        final_norm: gains[2 * config.sizes.layers * hidden..].to_vec(),
        head: own_head.map(table),
        config: config.clone(),
    };
    let head = round_weights(model.head(), WeightFormat::W4);
    Ok(Trained { model, grids: Grids { layers: grids, head }, device: optimizer.device.name() })
}

fn depend_on(work: &mut Work, model: &FloatModel) -> Result<()> {
    work.depend_on_choice(&model.config);
    for w in model.layers.iter() {
        work.depend_on(&*w?);
    }
    work.depend_on_values(&model.final_norm);
    [&model.embed, model.head()].into_iter().for_each(|m| work.depend_on_matrix(m));
    Ok(())
}

/// What text is wanted.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// Who writes it.
    pub model: &'a FloatModel,
    /// What documents begin with.
    pub beginnings: &'a Beginnings,
    /// How much.
    pub recipe: &'a Recipe,
    /// Where the text is kept, and taken from.
    pub folder: Option<&'a Path>,
}

/// What was kept of a text, or what `write` writes.
///
/// # Errors
/// Those of `write`; the folder cannot be written, or what is kept there is damaged.
pub(super) fn kept_or_written(
    order: &Order<'_>,
    write: impl FnOnce() -> Result<Vec<u32>>,
) -> Result<Vec<u32>> {
    let Order { model, beginnings, recipe, folder } = *order;
    recipe.check()?;
    let (sequences, length) = (recipe.sequences(), recipe.rows[0]);
    let mut path = None;
    if folder.is_some() {
        let mut work = Work::open(folder)?;
        depend_on(&mut work, model)?;
        let how = (recipe.documents, recipe.min_p.to_bits());
        work.depend_on_choice(&(beginnings, sequences, length, how, recipe.side, recipe.seed));
        path = work.file("device-text", "tokens");
    }
    let kept = |p: &Path| state::kept_text(p, sequences * length, model.config.sizes.vocab);
    if let Some(text) = path.as_deref().map_or(Ok(None), kept)? {
        return Ok(text);
    }
    let text = write()?;
    if let Some(path) = path {
        state::keep_text(&path, &text)?;
    }
    Ok(text)
}

/// [`write_on`] for all devices of a group, which write parts of the text, or what was kept of it.
///
/// # Errors
/// As for [`kept_or_written`] and [`write_on`]; there are too many devices for a step.
pub(super) fn write_together(
    devices: &mut [Member<'_>],
    order: &Order<'_>,
    progress: &mut dyn FnMut(Report),
) -> Result<Vec<u32>> {
    let recipe = order.recipe.clone().for_cards(devices.len())?;
    let order = Order { recipe: &recipe, ..*order };
    let write = |device: &dyn Device, progress: &mut dyn FnMut(Report)| write_on(device, &order, progress);
    kept_or_written(&order, || Ok(together(devices, progress, write)?.concat()))
}

/// [`train_on`] for all devices of a group.
///
/// # Errors
/// As there; there are too many devices for a step.
pub(super) fn train_together(
    devices: &mut [Member<'_>],
    task: &Task<'_>,
    progress: &mut dyn FnMut(Report),
) -> Result<Trained> {
    let recipe = task.recipe.clone().for_cards(devices.len())?;
    let task = Task { recipe: &recipe, ..*task };
    let train = |device: &dyn Device, progress: &mut dyn FnMut(Report)| train_on(device, &task, progress);
    let all = together(devices, progress, train)?;
    all.into_iter().flatten().next().ok_or_else(|| Error::Argument("there is no card".into()))
}

/// Writes this device's part of the text.
///
/// # Errors
/// The model does not fit the device; the device fails.
pub(super) fn write_on(
    device: &dyn Device,
    order: &Order<'_>,
    progress: &mut dyn FnMut(Report),
) -> Result<Vec<u32>> {
    let Order { model, beginnings, recipe, .. } = *order;
    let (seat, length) = (device.seat(), recipe.rows[0]);
    let (all, sequences) = (recipe.sequences() * length, recipe.sequences() / seat.count);
    let what = Writing {
        first: seat.rank * sequences,
        sequences,
        length,
        side: recipe.side,
        beginnings,
        documents: recipe.documents,
        min_p: recipe.min_p,
        seed: recipe.seed as u32,
    };
    let mut memory = Memory::new(device);
    Teacher::new(device, &mut memory, model)?.weights(|w| {
        write(device, &model.config, w, &what, &mut |n| {
            let tokens = [(n * seat.count).min(all), all];
            progress(Report { stage: Stage::Writing, tokens, loss: None, watched: None });
        })
    })
}

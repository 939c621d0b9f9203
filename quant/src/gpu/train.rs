//! The training on a device, from a float model to one whose weights lie on the W2 2:4 grid.

use super::device::{Device, Grid, Memory, Ptr, fetch, put};
use super::net::{Net, Rounding, Weights};
use super::optimizer::{Optimizer, Rates};
use super::recipe::Recipe;
use super::shape::{KernelShape, flat_gains, flat_layers, model_of};
use super::w2::round_weights;
use super::w4::round_head;
use super::write::{Writing, write};
use super::{state, steps};
use crate::float::{FloatModel, Matrix};
use crate::grid::GridWeight;
use crate::quantize::Work;
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Steps between two looks at the loss.
const LOOK: usize = 50;
/// Steps between two choices of the steps of rounding.
const RENEW: usize = 250;
/// Time between two states on disk.
const KEEP: Duration = Duration::from_secs(240);

/// How far the work is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stage {
    /// The model writes text.
    Writing,
    /// The teacher reads it.
    Reading,
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
}

/// A trained model.
pub struct Trained {
    /// Its linears lie on the grid of W2 2:4, all 32-bit.
    pub model: FloatModel,
    /// Its head in W4.
    pub head: GridWeight,
    /// The text that it was trained on.
    pub text: Vec<u32>,
    /// The device that did it.
    pub device: String,
}

/// Where finished parts are kept.
struct Files {
    text: Option<PathBuf>,
    state: Option<PathBuf>,
}

/// Trains `model`'s linears in W2 2:4, from `start` where that is given. `beginnings` are how its own text begins. Text and state
/// are kept in `folder`, where there is one, and taken from there.
///
/// # Errors
/// `start` has other sizes; the recipe or the model does not fit the device; the device fails; the folder cannot be written or what is kept there is
/// damaged.
pub(super) fn train_on(
    device: &dyn Device,
    model: &FloatModel,
    start: &FloatModel,
    beginnings: &[Vec<u32>],
    recipe: &Recipe,
    folder: Option<&Path>,
    progress: &mut dyn FnMut(Report),
) -> Result<Trained> {
    recipe.check()?;
    let shape = KernelShape::of(&model.config)?;
    if start.config.sizes != model.config.sizes {
        let (a, b) = (&start.config.sizes, &model.config.sizes);
        return Err(Error::Argument(format!(
            "the training cannot start from a model of other sizes: {a:?}, and the model has {b:?}"
        )));
    }
    let mut memory = Memory::new(device);
    let teacher = teacher(device, &mut memory, model)?;
    let files = files(model, start, beginnings, recipe, folder)?;
    let text = text(device, model, teacher, beginnings, recipe, files.text.as_deref(), progress)?;
    let optimizer = Optimizer::new(device, shape)?;
    state::begin(&optimizer, [&flat_layers(start)?, &flat_gains(start)?, &start.embed.data])?;
    let (done, took) = files.state.as_deref().map_or(Ok((0, 0.0)), |path| state::take(&optimizer, path))?;
    let mut lesson = Lesson::new(device, model, teacher, &optimizer, recipe, &text)?;
    lesson.run(done, took, files.state.as_deref(), progress)?;
    let [mut layers, gains, table] = state::trained(&optimizer)?;
    for layer in layers.chunks_exact_mut(shape.layer()) {
        for p in shape.parts() {
            let w = &mut layer[p.at..p.at + p.len()];
            let grid = round_weights(&Matrix { rows: p.rows, cols: p.cols, data: w.to_vec() });
            w.copy_from_slice(&grid.dequantize().data);
        }
    }
    let model = model_of(model.config.clone(), &layers, &gains, table)?;
    Ok(Trained { head: round_head(&model.embed), model, text, device: device.name() })
}

/// The float model on the device.
fn teacher(device: &dyn Device, memory: &mut Memory<'_>, model: &FloatModel) -> Result<Weights> {
    Ok(Weights {
        layers: bf16(device, memory, &flat_layers(model)?)?,
        gains: f32s(device, memory, &flat_gains(model)?)?,
        table: f32s(device, memory, &model.embed.data)?,
        head: bf16(device, memory, &model.embed.data)?,
    })
}

fn f32s(device: &dyn Device, memory: &mut Memory<'_>, data: &[f32]) -> Result<Ptr> {
    let at = memory.f32s(data.len())?;
    put(device, at, data)?;
    Ok(at)
}

fn bf16(device: &dyn Device, memory: &mut Memory<'_>, data: &[f32]) -> Result<Ptr> {
    let at = memory.bf16s(data.len())?;
    let rounded: Vec<half::bf16> = data.iter().map(|v| half::bf16::from_f32(*v)).collect();
    put(device, at, &rounded)?;
    Ok(at)
}

/// The files' names depend on all that goes into what they hold.
fn files(
    model: &FloatModel,
    start: &FloatModel,
    beginnings: &[Vec<u32>],
    recipe: &Recipe,
    folder: Option<&Path>,
) -> Result<Files> {
    let mut work = Work::open(folder)?;
    depend_on(&mut work, model)?;
    work.depend_on_choice(&(beginnings, recipe.sequences(), recipe.rows[0], recipe.side, recipe.seed));
    let text = work.file("device-text", "tokens");
    work.depend_on_choice(recipe);
    depend_on(&mut work, start)?;
    Ok(Files { text, state: work.file("device-state", "bin") })
}

fn depend_on(work: &mut Work, model: &FloatModel) -> Result<()> {
    work.depend_on_choice(&model.config);
    for w in model.layers.iter() {
        work.depend_on(&*w?);
    }
    work.depend_on_values(&model.final_norm);
    work.depend_on_matrix(&model.embed);
    Ok(())
}

/// The model's own text, or what was kept of it.
fn text(
    device: &dyn Device,
    model: &FloatModel,
    teacher: Weights,
    beginnings: &[Vec<u32>],
    recipe: &Recipe,
    path: Option<&Path>,
    progress: &mut dyn FnMut(Report),
) -> Result<Vec<u32>> {
    let (sequences, length) = (recipe.sequences(), recipe.rows[0]);
    let all = sequences * length;
    if let Some(text) = path.map_or(Ok(None), |p| state::kept_text(p, all, model.config.sizes.vocab))? {
        return Ok(text);
    }
    let what = Writing { sequences, length, side: recipe.side, beginnings, seed: recipe.seed as u32 };
    let text = write(device, &model.config, teacher, &what, &mut |n| {
        progress(Report { stage: Stage::Writing, tokens: [n.min(all), all], loss: None });
    })?;
    if let Some(path) = path {
        state::keep_text(path, &text)?;
    }
    Ok(text)
}

/// A training under way.
struct Lesson<'a> {
    device: &'a dyn Device,
    net: Net<'a>,
    teacher: Weights,
    optimizer: &'a Optimizer<'a>,
    recipe: &'a Recipe,
    order: [Vec<Vec<u32>>; 2],
    /// The text and its length; the rows of a step; what the teacher's head reads at each token, 0 where that finds no room.
    text: (Ptr, usize),
    which: Ptr,
    behind: Ptr,
    rounding: Rounding,
    /// Parts whose first step is done, and graphs of their steps.
    begun: [bool; 2],
    graphs: [Option<usize>; 2],
    _memory: Memory<'a>,
}

impl<'a> Lesson<'a> {
    fn new(
        device: &'a dyn Device,
        model: &FloatModel,
        teacher: Weights,
        optimizer: &'a Optimizer<'a>,
        recipe: &'a Recipe,
        text: &[u32],
    ) -> Result<Self> {
        let shape = optimizer.shape;
        let net = Net::new(device, &model.config, shape, recipe.batch, recipe.rows[1], true)?;
        let mut memory = Memory::new(device);
        let at = memory.f32s(text.len())?;
        put(device, at, text)?;
        let room = 2 * text.len() * shape.sizes.hidden;
        // A tenth of the card's memory stays free for what the driver wants.
        let fits = room + room / 10 < device.free_bytes()?;
        Ok(Self {
            which: memory.f32s(recipe.batch / recipe.rows[0])?,
            behind: if fits { memory.bytes(room)? } else { Ptr(0) },
            rounding: Rounding { steps: memory.f32s(shape.steps())?, most: memory.f32s(shape.steps())? },
            order: recipe.order(),
            text: (at, text.len()),
            begun: [false; 2],
            graphs: [None; 2],
            device,
            net,
            teacher,
            optimizer,
            recipe,
            _memory: memory,
        })
    }

    fn student(&self) -> Weights {
        let o = self.optimizer;
        Weights { layers: o.rounded, gains: o.gains, table: o.table, head: o.head }
    }

    /// What the teacher's head reads in rows of `length`, for the whole text, if there is room.
    fn read(&self, length: usize, progress: &mut dyn FnMut(Report)) -> Result<()> {
        if self.behind == Ptr(0) {
            return Ok(());
        }
        let (net, (text, count), n) = (&self.net, self.text, self.net.tokens);
        // The last part overlaps the one before it where the text is not whole parts.
        for from in (0..count.div_ceil(n)).map(|i| (i * n).min(count - n)) {
            let arguments = [text.f32s(from).into(), net.ids.into(), n.into()];
            self.device.launch("copy_ids", Grid::each(n), &arguments)?;
            net.forward(
                self.teacher,
                length,
                Rounding::default(),
                self.behind.bf16s(from * net.shape.sizes.hidden),
            )?;
            if (from / n).is_multiple_of(64) {
                fetch::<u32>(self.device, net.ids, 1)?;
                progress(Report { stage: Stage::Reading, tokens: [from + n, count], loss: None });
            }
        }
        Ok(())
    }

    /// The rows of a step, and what the teacher says to them; the student's weights on their grids.
    fn prepare(&self, rounded: bool) -> Result<()> {
        let (net, n) = (&self.net, self.net.tokens);
        let length = self.recipe.rows[usize::from(rounded)];
        let from = [self.which.into(), self.text.0.into(), self.behind.into()];
        let to = [net.ids.into(), net.aim.into(), length.into(), n.into()];
        self.device.launch(
            "gather",
            Grid::each(n * net.shape.sizes.hidden / 8),
            &[from.as_slice(), &to].concat(),
        )?;
        if self.behind == Ptr(0) {
            net.forward(self.teacher, length, Rounding::default(), net.aim)?;
        }
        if rounded {
            self.optimizer.round_head()?;
        }
        self.optimizer.round()
    }

    /// One whole step, as it is kept in a graph.
    fn step(&self, rounded: bool) -> Result<()> {
        let length = self.recipe.rows[usize::from(rounded)];
        self.prepare(rounded)?;
        let rounding = if rounded { self.rounding } else { Rounding::default() };
        let student = self.student();
        self.net.forward(student, length, rounding, self.net.head_in)?;
        self.net.backward(student, self.teacher.head, length, rounded, self.optimizer.gradients)?;
        self.optimizer.step()
    }

    /// Chooses the steps of rounding on the rows at hand.
    fn renew(&self) -> Result<()> {
        let length = self.recipe.rows[1];
        self.prepare(true)?;
        let look = Rounding { steps: Ptr(0), most: self.rounding.most };
        self.device.zero(look.most, 4 * self.net.shape.steps())?;
        self.net.forward(self.student(), length, look, self.net.head_in)?;
        steps::renew(&self.net, look.most, self.rounding.steps)
    }

    fn loss(&self) -> Result<f64> {
        let loss: Vec<f32> = fetch(self.device, self.net.loss, self.net.tokens)?;
        Ok(loss.iter().map(|l| f64::from(*l)).sum::<f64>() / loss.len() as f64)
    }

    /// All steps from number `done` on, which took so many seconds.
    fn run(
        &mut self,
        done: usize,
        took: f64,
        path: Option<&Path>,
        progress: &mut dyn FnMut(Report),
    ) -> Result<()> {
        let (start, mut kept) = (Instant::now(), Instant::now());
        let seconds = || took + start.elapsed().as_secs_f64();
        self.optimizer.copy_head()?;
        let (mut step, mut at) = (done, self.recipe.reached(done, took));
        while at < 1.0 {
            let rounded = at >= self.recipe.rounded_from;
            let first = !self.begun[usize::from(rounded)];
            if first {
                self.read(self.recipe.rows[usize::from(rounded)], progress)?;
            }
            put(self.device, self.which, &self.order[usize::from(rounded)][step])?;
            if rounded && (first || step.is_multiple_of(RENEW)) {
                self.renew()?;
            }
            let [muon, embedding, gains] =
                self.recipe.rates.map(|r| (r * self.recipe.factor(step, at)) as f32);
            self.optimizer.set(step, Rates { muon, embedding, gains })?;
            self.advance(rounded)?;
            step += 1;
            at = self.recipe.reached(step, seconds());
            let last = at >= 1.0;
            if step.is_multiple_of(LOOK) || last || first {
                self.look(step, at, progress)?;
                if let Some(path) = path.filter(|_| last || kept.elapsed() > KEEP) {
                    state::keep(self.optimizer, step, seconds(), path)?;
                    kept = Instant::now();
                }
            }
        }
        Ok(())
    }

    /// Tells how far it is.
    fn look(&self, step: usize, at: f64, progress: &mut dyn FnMut(Report)) -> Result<()> {
        let loss = self.loss()?;
        if !loss.is_finite() {
            return Err(Error::Argument(format!("the training diverged in step {step}; use smaller rates")));
        }
        let done = step * self.recipe.batch;
        let tokens = [done, (done as f64 / at) as usize];
        progress(Report { stage: Stage::Training, tokens, loss: Some(loss) });
        Ok(())
    }

    /// The first step of a part as it is, which prepares all that a graph needs; the others from the graph.
    fn advance(&mut self, rounded: bool) -> Result<()> {
        let place = usize::from(rounded);
        match self.graphs[place] {
            Some(graph) => self.device.replay(graph),
            None if !self.begun[place] => {
                self.begun[place] = true;
                self.step(rounded)
            }
            None => {
                self.device.record()?;
                self.step(rounded)?;
                self.graphs[place] = self.device.recorded()?;
                self.graphs[place].map_or(Ok(()), |graph| self.device.replay(graph))
            }
        }
    }
}

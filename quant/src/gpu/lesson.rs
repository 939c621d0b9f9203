//! The steps of a training.

use super::device::{Device, Grid, Memory, Ptr, fetch, put};
use super::net::{Keeping, Net, Rounding, Weights};
use super::optimizer::{Optimizer, Rates};
use super::recipe::Recipe;
use super::teacher::Teacher;
use super::train::{Report, Stage, Task};
use super::{state, steps};
use accllm_llm::{Error, Result};
use std::path::Path;
use std::time::{Duration, Instant};

/// Steps between two looks at the loss.
const LOOK: usize = 50;
/// Steps between two looks at the watched text, and most tokens of it.
const WATCH: usize = 100;
const WATCHED: usize = 65536;
/// Steps between two choices of the steps of rounding.
const RENEW: usize = 250;
/// Time between two states on disk.
const KEEP: Duration = Duration::from_secs(240);

/// A training under way.
pub(super) struct Lesson<'a> {
    device: &'a dyn Device,
    net: Net<'a>,
    teacher: &'a Teacher,
    optimizer: &'a Optimizer<'a>,
    recipe: &'a Recipe,
    order: [Vec<Vec<u32>>; 2],
    /// This device's part of the text and its length; its rows of a step; what the teacher's head reads at each token, 0 where that finds no room.
    text: (Ptr, usize),
    /// The watched text and its length.
    watched: (Ptr, usize),
    which: Ptr,
    behind: Ptr,
    rounding: Rounding,
    /// Whether what 2:4 drops is dropped for good.
    frozen: bool,
    /// Parts whose first step is done, and graphs of their steps.
    begun: [bool; 2],
    graphs: [Option<usize>; 2],
    _memory: Memory<'a>,
}

impl<'a> Lesson<'a> {
    pub fn new(
        device: &'a dyn Device,
        task: &Task<'a>,
        teacher: &'a Teacher,
        optimizer: &'a Optimizer<'a>,
        keeping: Keeping,
    ) -> Result<Self> {
        let (shape, recipe, seat) = (teacher.shape, task.recipe, device.seat());
        let (each, batch) = (task.text.len() / seat.count, recipe.batch / seat.count);
        let text = &task.text[seat.rank * each..][..each];
        let net = Net::new(device, &task.model.config, shape, batch, recipe.rows[1], keeping)?;
        let mut memory = Memory::new(device);
        let at = memory.f32s(text.len())?;
        put(device, at, text)?;
        let seen = &task.watched[..task.watched.len().min(WATCHED) / batch * batch];
        if seen.len() < batch.min(task.watched.len()) {
            return Err(Error::Argument(format!(
                "the watched text has {} tokens; give at least {batch}, what a card reads in a step",
                task.watched.len()
            )));
        }
        let watched = memory.f32s(seen.len())?;
        put(device, watched, seen)?;
        let leads = memory.f32s(shape.sizes.layers * shape.sizes.kv_heads)?;
        put(device, leads, &task.leads())?;
        let room = 2 * text.len() * shape.sizes.hidden;
        // A tenth of the card's memory stays free for what the driver wants.
        let fits = room + room / 10 < device.free_bytes()?;
        Ok(Self {
            which: memory.f32s(batch / recipe.rows[0])?,
            behind: if fits { memory.bytes(room)? } else { Ptr(0) },
            rounding: Rounding {
                steps: memory.f32s(shape.steps())?,
                most: memory.f32s(shape.steps())?,
                leads,
            },
            frozen: false,
            order: recipe.order(seat.rank, seat.count),
            text: (at, text.len()),
            watched: (watched, seen.len()),
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

    /// Does something with the student's weights.
    fn student(&self, work: impl FnOnce(Weights<'_>) -> Result<()>) -> Result<()> {
        let o = self.optimizer;
        let layer = |l: usize| o.layer(l);
        work(Weights { layer: &layer, gains: o.gains, table: o.embed.weights, head: o.head })
    }

    /// What the teacher's head reads in rows of `length`, for this device's text, if there is room.
    fn read(&self, length: usize, progress: &mut dyn FnMut(Report)) -> Result<()> {
        if self.behind == Ptr(0) {
            return Ok(());
        }
        let (net, (text, count), n) = (&self.net, self.text, self.net.tokens);
        // The last part overlaps the one before it where the text is not whole parts.
        for from in (0..count.div_ceil(n)).map(|i| (i * n).min(count - n)) {
            self.teach(text.f32s(from), length, self.behind.bf16s(from * net.shape.sizes.hidden))?;
            if (from / n).is_multiple_of(64) {
                fetch::<u32>(self.device, net.ids, 1)?;
                let tokens = [from + n, count].map(|tokens| tokens * self.device.seat().count);
                progress(Report { stage: Stage::Reading, tokens, loss: None, watched: None });
            }
        }
        Ok(())
    }

    /// The teacher reads what lies at `text`, in rows of `length`; what its head reads goes to `to`.
    fn teach(&self, text: Ptr, length: usize, to: Ptr) -> Result<()> {
        let (net, n) = (&self.net, self.net.tokens);
        self.device.launch("copy_ids", Grid::each(n), &[text.into(), net.ids.into(), n.into()])?;
        self.teacher.weights(|w| net.forward(w, length, Rounding::default(), to))
    }

    /// The mean divergence on the watched text, in the longer rows, with the rounding of the part at hand; each device looks at
    /// all of it.
    fn watch(&self, rounded: bool) -> Result<Option<f64>> {
        let (net, (text, count), length) = (&self.net, self.watched, self.recipe.rows[1]);
        if count == 0 {
            return Ok(None);
        }
        self.round(rounded)?;
        let mut sum = 0.0;
        for from in (0..count).step_by(net.tokens) {
            self.teach(text.f32s(from), length, net.aim)?;
            self.student(|w| {
                net.forward(w, length, self.rounding(rounded), net.head_in)?;
                net.compare(w.head, self.teacher.head)
            })?;
            sum += net.mean_loss()? * net.tokens as f64;
        }
        Ok(Some(sum / count as f64))
    }

    /// What is rounded besides the weights of the layers, in the part at hand.
    fn rounding(&self, rounded: bool) -> Rounding {
        if rounded { self.rounding } else { Rounding::default() }
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
            self.teacher.weights(|w| net.forward(w, length, Rounding::default(), net.aim))?;
        }
        self.round(rounded)
    }

    /// The student's weights on their grids, and its head in the part where that is rounded.
    fn round(&self, rounded: bool) -> Result<()> {
        let o = self.optimizer;
        if rounded {
            o.round_head()?;
        }
        if o.gradients.apart > 0 { o.round(0) } else { Ok(()) }
    }

    /// One whole step, as it is kept in a graph.
    fn step(&self, rounded: bool) -> Result<()> {
        let (net, o, length) = (&self.net, self.optimizer, self.recipe.rows[usize::from(rounded)]);
        self.prepare(rounded)?;
        let rounding = self.rounding(rounded);
        let one_by_one = o.gradients.apart == 0;
        let done = |l: usize| if one_by_one { o.step_layers(l) } else { Ok(()) };
        self.student(|w| {
            net.forward(w, length, rounding, net.head_in)?;
            net.backward(w, self.teacher.head, length, rounding, o.gradients, &done)
        })?;
        if !one_by_one {
            o.step_layers(0)?;
        }
        o.step_tables()
    }

    /// Chooses the steps of rounding on the rows at hand.
    fn renew(&self) -> Result<()> {
        let length = self.recipe.rows[1];
        self.prepare(true)?;
        let look = Rounding { steps: Ptr(0), ..self.rounding };
        self.device.zero(look.most, 4 * self.net.shape.steps())?;
        self.student(|w| self.net.forward(w, length, look, self.net.head_in))?;
        steps::renew(&self.net, look.most, self.rounding.steps)
    }

    /// The mean divergence over the last step, and that all devices have the same weights after it.
    fn loss(&self, step: usize) -> Result<f64> {
        let all =
            self.device.seat().gather(vec![self.net.mean_loss()?, f64::from(self.optimizer.checksum()?)])?;
        if all.iter().any(|device| device[1] != all[0][1]) {
            let sums: Vec<f64> = all.iter().map(|device| device[1]).collect();
            return Err(Error::Argument(format!(
                "the weights of the cards differ after step {step} (checksums {sums:?}): one of them computes or sends what is \
                 wrong; train on others (CUDA_VISIBLE_DEVICES), or on one (--gpus 1)"
            )));
        }
        Ok(all.iter().map(|device| device[0]).sum::<f64>() / all.len() as f64)
    }

    /// Keeps the state, on the first device's behalf.
    fn keep(&self, step: usize, seconds: f64, path: &Path) -> Result<()> {
        self.optimizer.share_moments()?;
        match self.device.seat().rank {
            0 => state::keep(self.optimizer, step, seconds, path),
            _ => Ok(()),
        }
    }

    /// All steps from number `done` on, which took so many seconds.
    pub fn run(
        &mut self,
        done: usize,
        took: f64,
        path: Option<&Path>,
        progress: &mut dyn FnMut(Report),
    ) -> Result<()> {
        let (start, mut kept) = (Instant::now(), Instant::now());
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
            let frozen = at >= self.recipe.frozen_from;
            if frozen && !self.frozen {
                self.optimizer.drop_for_good()?;
                self.frozen = true;
            }
            self.optimizer.set(step, Rates { muon, embedding, gains, frozen })?;
            self.advance(rounded)?;
            step += 1;
            // One clock for all devices.
            let [seconds, keep] = self
                .device
                .seat()
                .first([took + start.elapsed().as_secs_f64(), f64::from(u8::from(kept.elapsed() > KEEP))])?;
            at = self.recipe.reached(step, seconds);
            let last = at >= 1.0;
            if step.is_multiple_of(LOOK) || last || first {
                self.look(step, at, rounded, last || first, progress)?;
                if let Some(path) = path.filter(|_| last || keep > 0.0) {
                    self.keep(step, seconds, path)?;
                    kept = Instant::now();
                }
            }
        }
        Ok(())
    }

    /// Tells how far it is.
    fn look(
        &self,
        step: usize,
        at: f64,
        rounded: bool,
        edge: bool,
        progress: &mut dyn FnMut(Report),
    ) -> Result<()> {
        let loss = self.loss(step)?;
        if !loss.is_finite() {
            return Err(Error::Argument(format!("the training diverged in step {step}; use smaller rates")));
        }
        let done = step * self.recipe.batch;
        let tokens = [done, (done as f64 / at) as usize];
        let watched = if edge || step.is_multiple_of(WATCH) { self.watch(rounded)? } else { None };
        progress(Report { stage: Stage::Training, tokens, loss: Some(loss), watched });
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

//! Benchmarks: decode and prefill of whole models on the RTL, compared with the golden executor on the way.

pub mod cases;
pub mod cpu;
mod model;
mod modelled;
mod page;
#[cfg(test)]
mod plausible;
mod profile;
mod report;
mod work;

pub use model::Model;
pub use page::{PARTS, page};
pub use profile::{Profile, Streamed};
pub use report::{Agreement, Estimate, Published, Report};
pub use work::multiplications;

use crate::{Error, Result};
use accllm_compiler::{MemoryImage, Program, Step};
use accllm_device::perf::{Figures, Work};
use accllm_device::progress::Progress;
use accllm_device::timeline::{Record, Recorder};
use accllm_device::{Device, GoldenDevice, Verilator, VerilatorOptions, pair};
use accllm_hw::beat::WeightFormat;
use accllm_hw::config::{BEAT_BYTES, Config, MACS, open};
use accllm_hw::isa::ARGS;
use accllm_sim::memory::{MemoryKind, sequential};
use accllm_sim::verilate::OptLevel;
use std::time::Instant;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// One of [`crate::shapes::names`], or a `config.json`.
    pub shape: String,
    /// Configuration.
    pub config: String,
    /// Decode with so many tokens before it.
    pub context: Option<u64>,
    /// Decode so many sequences at once, each with `context` tokens before it.
    pub batch: Option<usize>,
    /// Prefill a prompt of so many tokens.
    pub prompt: Option<usize>,
    /// Tokens to decode.
    pub tokens: usize,
    /// Memory behind the engine.
    pub memory: MemoryKind,
    /// Layers to run; all where not given.
    pub layers: Option<usize>,
    /// Formats of q, k, v, o, gate, up and down; W2 2:4 where not given.
    pub formats: Option<[WeightFormat; 7]>,
    /// Attention shape; the model's where not given.
    pub sinks: Option<usize>,
    /// Attention shape; the model's where not given.
    pub window: Option<usize>,
    /// Most tokens of a run.
    pub block: Option<usize>,
    /// 16-bit probabilities; yes where not given.
    pub prob_wide: Option<bool>,
    /// Seed of weights, cache and tokens.
    pub seed: u64,
    /// Compare with the golden executor.
    pub compare: bool,
    /// What is recorded of the runs, of one phase; at least the sums.
    pub timeline: Record,
    /// Cycles of the timing model instead of the RTL's: no weights, no comparison.
    pub estimate: bool,
}

impl Options {
    /// One token of `shape` on `config` behind HBM2, compared; nothing else is asked of it.
    pub fn new(shape: impl Into<String>, config: impl Into<String>) -> Self {
        Self {
            shape: shape.into(),
            config: config.into(),
            context: None,
            batch: None,
            prompt: None,
            tokens: 1,
            memory: MemoryKind::HBM2,
            layers: None,
            formats: None,
            sinks: None,
            window: None,
            block: None,
            prob_wide: None,
            seed: 1,
            compare: true,
            timeline: Record::Off,
            estimate: false,
        }
    }
}

/// A model compiled for a benchmark, with its image.
pub struct Bench<'a> {
    options: &'a Options,
    config: Config,
    model: Model,
    program: Program,
    /// None where cycles are estimated.
    image: Option<MemoryImage>,
    /// Sequential beats per cycle and channel of the memory model.
    rate: f64,
    start: Instant,
    generate_s: f64,
    progress: &'a dyn Progress,
    /// Bytes of the RTL's memory to be damaged: channel, byte.
    damage: Vec<(usize, usize)>,
}

/// A phase to run.
struct Phase {
    name: &'static str,
    /// Sequences of each run.
    sequences: usize,
    context: u64,
    /// Tokens of each run, of each sequence.
    runs: Vec<usize>,
}

impl<'a> Bench<'a> {
    /// Makes the model.
    ///
    /// # Errors
    /// No such shape or configuration, or it does not fit.
    pub fn new(options: &'a Options, progress: &'a dyn Progress) -> Result<Self> {
        let start = Instant::now();
        let config = open(&options.config)?;
        for (option, empty) in [("--tokens", options.tokens == 0), ("--prompt", options.prompt == Some(0))] {
            if empty {
                return Err(Error::Argument(format!("{option} is 0; give 1 or more")));
            }
        }
        if let Record::File(path) = &options.timeline {
            if options.prompt.is_some() && options.context.is_some() {
                let what = "a timeline is of one phase: give --prompt or --context, not both, with --trace";
                return Err(Error::Argument(what.into()));
            }
            accllm_device::output::check_file(path)?;
        }
        match options.batch {
            Some(n) if n < 2 => {
                return Err(Error::Argument(format!("--batch is {n}; give 2 or more sequences")));
            }
            Some(_) if options.prompt.is_some() => {
                return Err(Error::Argument("--batch decodes only; run --prompt without it".into()));
            }
            _ => {}
        }
        let model = Model::open(options)?;
        let program = model.program(options, &config)?;
        // Positions that do not exist, before minutes of work.
        let last = options.context.unwrap_or(0).saturating_add(options.tokens as u64);
        program.layout.check_step(Step { position: last, tokens: 1, head: true })?;
        let generate = Instant::now();
        let image = match options.estimate {
            true => None,
            false => Some(model.image(&program, progress)?),
        };
        let generate_s = generate.elapsed().as_secs_f64();
        let rate = sequential(options.memory, config.mhz)?;
        Ok(Self {
            options,
            config,
            model,
            program,
            image,
            rate,
            start,
            generate_s,
            progress,
            damage: Vec::new(),
        })
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Damages a byte of a channel in front of the RTL only, to see that the comparison finds it.
    pub fn damage(&mut self, channel: usize, byte: usize) {
        self.damage.push((channel, byte));
    }

    /// Runs what the options ask for: the prompt from an empty cache, then decode.
    ///
    /// # Errors
    /// The RTL cannot be built, faults or hangs. A difference is in the report.
    pub fn run(&mut self) -> Result<Report> {
        let s = &self.program.layout.shape;
        let prefill = self.options.prompt.map(|n| Phase {
            name: "prefill",
            sequences: 1,
            context: 0,
            runs: (0..n).step_by(s.block).map(|at| s.block.min(n - at)).collect(),
        });
        let full = (s.lambda.n_sink + s.lambda.n_window) as u64;
        let context = self.options.context.or(self.options.prompt.is_none().then_some(full));
        let (name, sequences) = self.options.batch.map_or(("decode", 1), |n| ("batch", n));
        let runs = vec![1; self.options.tokens];
        let decode = context.map(|context| Phase { name, sequences, context, runs });
        let prefill = prefill.map(|p| self.phase(&p)).transpose()?;
        let Some(decode) = decode.filter(|_| prefill.as_ref().is_none_or(|p| p.difference().is_none()))
        else {
            return prefill.ok_or_else(|| Error::Argument("there is nothing to run".into()));
        };
        let begin = Instant::now();
        if let Some(image) = &mut self.image {
            self.model.fill_cache(&self.program, image, decode.context)?;
        }
        self.generate_s += begin.elapsed().as_secs_f64();
        Ok(Report { prefill: prefill.map(Box::new), ..self.phase(&decode)? })
    }

    fn phase(&self, phase: &Phase) -> Result<Report> {
        match &self.image {
            Some(image) => self.simulated(phase, image),
            None => self.modelled(phase),
        }
    }

    /// The RTL with the image, or a damaged copy of it.
    fn rtl(&self, image: &MemoryImage) -> Result<Verilator> {
        let options = VerilatorOptions {
            memory: self.options.memory,
            trace: true,
            timeline: match &self.options.timeline {
                Record::Off => Record::Sums,
                other => other.clone(),
            },
            wave: None,
            rtl: None,
            opt: OptLevel::Fast,
        };
        self.progress.begin("loading the RTL (builds it at its first use)", 0);
        let mut damaged = image.clone();
        for &(channel, byte) in &self.damage {
            damaged.port_mut(channel)[byte] ^= 1;
        }
        let rtl = Verilator::new(&self.program, &damaged, &options);
        drop(damaged);
        self.progress.end();
        rtl
    }

    /// On the RTL.
    fn simulated(&self, phase: &Phase, image: &MemoryImage) -> Result<Report> {
        let mut rtl = self.rtl(image)?;
        let mut golden = match self.options.compare {
            true => Some(GoldenDevice::new(&self.program, image)?),
            false => None,
        };
        let beats = match phase.sequences {
            1 => self.program.beats_per_token(phase.context),
            _ => self.program.beats_per_batch(phase.context),
        } * phase.runs.len();
        self.progress.begin(phase.name, (beats * self.config.channels) as u64);
        let mut profile = Profile::new(&self.program, &self.config, self.progress);
        let (mut work, mut agreement) = (Work::default(), Agreement::default());
        let (mut position, mut useful) = (phase.context, 0);
        let begin = Instant::now();
        for (i, &n) in phase.runs.iter().enumerate() {
            // Only the prompt's last block needs logits.
            let step =
                Step { position, tokens: n, head: phase.name != "prefill" || i + 1 == phase.runs.len() };
            let layout = &self.program.layout;
            let (args, io) = match phase.sequences {
                1 => (layout.args(step)?, layout.io_block(position, &self.model.tokens(0, n, position)?)?),
                n => self.batch(n, position)?,
            };
            rtl.write_aux(layout.aux.ids, &io)?;
            profile.begin();
            let outcome = match &mut golden {
                Some(golden) => {
                    golden.write_aux(layout.aux.ids, &io)?;
                    let ran = pair::run(&self.program, golden, &mut rtl, args, |_| {}, &mut profile)?;
                    agreement.add(&ran);
                    ran.outcome
                }
                None => Some(rtl.run(args)?),
            };
            let Some(outcome) = outcome else { break };
            work.add(n * phase.sequences, outcome.counters);
            useful += phase.sequences as u64 * multiplications(&self.program, step);
            position += n as u64;
            if agreement.difference.is_some() {
                break;
            }
        }
        self.progress.end();
        let seconds = begin.elapsed().as_secs_f64();
        let operations = rtl.recorder().map(Recorder::operations).unwrap_or_default();
        rtl.finish()?;
        let report = self.report(phase, &work, useful, &profile, agreement, seconds)?;
        Ok(Report { operations, ..report })
    }

    /// Arguments and IO block of a step of `n` sequences.
    fn batch(&self, n: usize, position: u64) -> Result<([u32; ARGS], Vec<u8>)> {
        let mut tokens = Vec::with_capacity(n);
        for s in 0..n {
            tokens.extend(self.model.tokens(s, 1, position)?.into_iter().map(|id| (position, id)));
        }
        let layout = &self.program.layout;
        Ok((layout.batch_args(&vec![position; n])?, layout.batch_io(&tokens)?))
    }

    fn report(
        &self,
        phase: &Phase,
        work: &Work,
        useful: u64,
        profile: &Profile<'_>,
        agreement: Agreement,
        seconds: f64,
    ) -> Result<Report> {
        let (c, shape, o) = (&self.config, &self.program.layout.shape, self.options);
        let figures = Figures::new(work, c).ok_or_else(|| match &agreement {
            Agreement { difference: Some(d), .. } => Error::Mismatch(d.clone()),
            _ => Error::Fault("the RTL counted no cycles".into()),
        })?;
        let cycles = figures.cycles;
        let info = self.program.info();
        Ok(Report {
            shape: o.shape.clone(),
            config: c.name.to_string(),
            memory: o.memory.name(),
            basis: if self.options.estimate { "estimated" } else { "simulated" },
            phase: phase.name,
            context: phase.context,
            batch: (phase.sequences > 1).then_some(phase.sequences),
            prompt: (phase.name == "prefill").then_some(phase.runs.iter().sum()),
            tokens: work.tokens,
            runs: work.runs,
            layers: shape.sizes.layers,
            model_layers: self.model.layers(),
            sinks: shape.lambda.n_sink,
            window: shape.lambda.n_window,
            prob_bits: if shape.prob_wide { 16 } else { 8 },
            block: shape.block,
            channels: c.channels,
            lanes: c.lanes,
            mhz: c.mhz,
            cycles,
            cycles_per_token: figures.cycles_per_token,
            tokens_per_s: figures.tokens_per_second,
            bytes_per_token: figures.hbm_bytes_per_token,
            beats_per_token: figures.hbm_bytes_per_token / (BEAT_BYTES * c.channels) as f64,
            hbm_fraction_of_peak: figures.bandwidth_use,
            hbm_fraction_of_model: figures.bandwidth_use / self.rate,
            model_bytes_per_s: (c.channels * BEAT_BYTES * c.mhz) as f64 * 1e6 * self.rate,
            streaming_fraction_of_model: self.streaming(profile),
            mac_utilisation: useful as f64 / (cycles as f64 * (c.channels * MACS * c.lanes) as f64),
            stalls: figures.shares,
            operations: Vec::new(),
            instructions: info.instructions,
            instruction_bytes: info.instruction_bytes(),
            agreement,
            estimated: self.estimate(work, profile),
            published: self.published(phase),
            sim_cycles_per_s: cycles as f64 / seconds,
            generate_s: self.generate_s,
            wall_s: self.start.elapsed().as_secs_f64(),
            peak_memory_bytes: report::peak_memory(),
            prefill: None,
        })
    }

    /// Figures of papers for a whole model.
    fn published(&self, phase: &Phase) -> &'static [report::Published] {
        match self.program.layout.shape.sizes.layers == self.model.layers() {
            true => report::published(&self.options.shape, &self.config.name, phase.name),
            false => &[],
        }
    }

    /// Beats of weight streams that follow each other, of those that the memory model could deliver.
    fn streaming(&self, profile: &Profile<'_>) -> Option<f64> {
        let streamed = profile.streaming();
        let most = streamed.cycles as f64 * self.config.channels as f64 * self.rate;
        (streamed.cycles > 0).then(|| streamed.beats as f64 / most)
    }

    /// The whole model: the layers that did not run cost as much as those after the first one.
    fn estimate(&self, work: &Work, profile: &Profile<'_>) -> Option<Estimate> {
        let (all, ran) = (self.model.layers(), self.program.layout.shape.sizes.layers);
        let layers = profile.layers();
        // The first layer's cycles hold the beginning of the run.
        let first = usize::from(layers.len() > 1);
        if ran == all || layers.is_empty() {
            return None;
        }
        let counted = (layers.len() - first) as f64 * work.runs as f64;
        let cycles_per_layer = layers.range(first..).map(|(_, c)| *c as f64).sum::<f64>() / counted;
        let more = cycles_per_layer * (all - ran) as f64 * work.runs as f64;
        let cycles_per_token = (work.counters.cycles as f64 + more) / work.tokens as f64;
        let tokens_per_s = self.config.mhz as f64 * 1e6 / cycles_per_token;
        Some(Estimate { layers: all, cycles_per_layer, cycles_per_token, tokens_per_s })
    }
}

impl Agreement {
    fn add(&mut self, ran: &pair::Ran) {
        self.tensors_compared += ran.report.tensors;
        self.elements_compared += ran.report.elements;
        self.elements_different += ran.report.different;
        if self.difference.is_none() {
            self.difference.clone_from(&ran.difference);
        }
    }
}

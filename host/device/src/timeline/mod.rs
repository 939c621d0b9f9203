//! Instruction timelines of runs on the RTL: a trace file for Perfetto or chrome://tracing (docs/timeline.md), and the
//! cycles of every operation.

mod json;
mod operations;

pub use operations::{Operation, operations};

use crate::{Error, Result};
use accllm_compiler::label::{Label, Span};
use accllm_compiler::{Program, Step as Tokens};
use accllm_hw::isa::{ARGS, Instr, Unit};
use accllm_sim::timeline::{Sample, Sink, Slice, Step, Summary, Timeline};
use json::TraceFile;
use std::path::Path;
use std::path::PathBuf;

/// What is recorded of runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Record {
    /// Nothing: the fastest.
    #[default]
    Off,
    /// The cycles of every operation.
    Sums,
    /// The same, and a trace file.
    File(PathBuf),
}

/// A recording of runs of one program.
pub struct Recorder {
    timeline: Timeline<Output>,
    labels: Vec<Label>,
}

impl Recorder {
    /// A recording; `None` when nothing is to be recorded. `memory` names the memory model.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn new(record: &Record, program: &Program, memory: &str) -> Result<Option<Self>> {
        let output = match record {
            Record::Off => return Ok(None),
            Record::Sums => Output::Nothing,
            Record::File(path) => Output::File(Box::new(TraceFile::create(path, program, memory)?)),
        };
        let channels = program.layout.shape.channels;
        let timeline = Timeline::new(&program.code, channels, output);
        Ok(Some(Self { timeline, labels: program.labels.clone() }))
    }

    /// The observer of the run that begins now.
    pub fn begin(&mut self) -> &mut Timeline<impl Sink> {
        self.timeline.begin_run();
        &mut self.timeline
    }

    /// That run, of a step with these arguments, is over.
    pub fn end(&mut self, args: &[u32; ARGS]) {
        let cycles = self.timeline.end_run();
        if let Output::File(file) = self.timeline.sink_mut() {
            file.run(cycles, Tokens::of_args(args));
        }
    }

    /// The cycles of all runs, by instruction.
    pub fn summary(&self) -> &Summary {
        self.timeline.summary()
    }

    /// The cycles of all runs, by operation.
    pub fn operations(&self) -> Vec<Operation> {
        operations(self.timeline.summary(), &self.labels)
    }

    /// Completes the file, which appears under its name.
    ///
    /// # Errors
    /// It could not be written.
    pub fn finish(self) -> Result<()> {
        match self.timeline.into_sink() {
            Output::Nothing => Ok(()),
            Output::File(file) => file.finish(),
        }
    }
}

/// Where slices go.
enum Output {
    Nothing,
    File(Box<TraceFile>),
}

impl Sink for Output {
    fn slice(&mut self, slice: &Slice<'_>) {
        if let Self::File(file) = self {
            file.slice(slice);
        }
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        if let Self::File(file) = self {
            file.sample(sample);
        }
    }
}

/// Names of a program's instructions, ready for JSON.
struct Names {
    labels: Vec<Label>,
    waits: Vec<[u8; 3]>,
}

impl Names {
    fn new(program: &Program) -> Self {
        let waits = |i: &Instr| [i.wait[0], i.wait[1], i.prefetch_wait];
        Self { labels: program.labels.clone(), waits: program.code.iter().map(waits).collect() }
    }

    /// Mnemonic and operation; what else the label says, and the layer.
    fn of(&self, step: &Step) -> (String, String, Option<usize>) {
        let mnemonic = step.op.info().name;
        let Some(label) = self.labels.get(step.pc as usize) else {
            return (mnemonic.into(), String::new(), None);
        };
        let layer = label.layer_at(&step.loops);
        let mut text = layer.map_or(String::new(), |l| format!("layer {l} ")) + &label.op;
        match label.span {
            Span::Step => {}
            Span::First => text += ", first group",
            Span::Second => text += ", second group",
            Span::Batch => {
                text += &label.sequence.map_or(", all sequences".into(), |s| format!(", sequence {s}"))
            }
        }
        if let Some(h) = label.kv_head {
            text += &format!(" head {h}");
        }
        if let Some((first, count)) = label.part {
            text += &format!(" elements {first}..{}", first + count);
        }
        let name = match step.op.info().unit {
            Unit::Control => mnemonic.to_string(),
            _ => format!("{mnemonic} {}", label.op),
        };
        (name, text, layer)
    }

    /// Semaphores that the instruction waits for, in the prefetcher or in its unit.
    fn semaphores(&self, step: &Step, prefetch: bool) -> Vec<u8> {
        let Some([a, b, pf]) = self.waits.get(step.pc as usize) else { return Vec::new() };
        let all = if prefetch { [*pf, 0] } else { [*a, *b] };
        all.into_iter().filter(|s| *s != 0).collect()
    }
}

/// An I/O error of the file.
fn failed(path: &Path, e: std::io::Error) -> Error {
    Error::io("write", path, e)
}

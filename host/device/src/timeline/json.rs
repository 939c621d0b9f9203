//! Trace files in Chrome's trace-event format.

use super::{Names, failed};
use crate::Result;
use crate::output::WholeFile;
use accllm_compiler::{Program, Step as Tokens};
use accllm_hw::config::BEAT_BYTES;
use accllm_sim::timeline::{Cause, Sample, Slice, Track, What};
use serde_json::{Value, json};
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;

/// Processes of the trace: the units, and the memory ports.
const UNITS: u32 = 1;
const MEMORY: u32 = 2;
/// Thread of the runs; those of the tracks follow.
const RUNS: usize = 1;

/// A file that is being written. The first error is kept, and ends the writing.
pub struct TraceFile {
    file: WholeFile,
    error: Option<std::io::Error>,
    names: Names,
    mhz: u64,
    first: bool,
}

impl TraceFile {
    /// Begins the file.
    pub fn create(path: &Path, program: &Program, memory: &str) -> Result<Self> {
        let config = &program.config;
        let mut file = Self {
            file: WholeFile::create(path)?,
            error: None,
            names: Names::new(program),
            mhz: config.mhz as u64,
            first: true,
        };
        let what = format!("accllm {} at {} MHz, {memory} memory (simulated)", config.name, config.mhz);
        file.text(&format!(
            "{{\"displayTimeUnit\":\"ns\",\"otherData\":{{\"engine\":{},\"mhz\":{}}},\"traceEvents\":[\n",
            json!(what),
            config.mhz
        ));
        file.name("process_name", UNITS, 0, &what);
        file.name("process_name", MEMORY, 0, "memory ports");
        file.name("thread_name", UNITS, RUNS, "runs");
        for track in Track::ALL {
            file.name("thread_name", UNITS, thread(track), track.name());
        }
        for thread in RUNS..=RUNS + Track::ALL.len() {
            let args = json!({ "sort_index": thread });
            file.event(
                &json!({"ph": "M", "pid": UNITS, "tid": thread, "name": "thread_sort_index", "args": args}),
            );
        }
        Ok(file)
    }

    /// Completes it.
    pub fn finish(mut self) -> Result<()> {
        self.text("\n]}\n");
        match self.error {
            Some(e) => Err(failed(self.file.path(), e)),
            None => self.file.finish(),
        }
    }

    /// A step of the program.
    pub fn run(&mut self, cycles: Range<u64>, Tokens { position, tokens, .. }: Tokens) {
        let name = match tokens {
            1 => format!("token {position}"),
            _ => format!("tokens {position}..{}", position + tokens as u64),
        };
        self.slice_event(RUNS, &cycles, &name, "run", json!({}));
    }

    /// A slice.
    pub fn slice(&mut self, s: &Slice<'_>) {
        let (name, what, layer) = s.step.map(|step| self.names.of(step)).unwrap_or_default();
        let mut args = json!({});
        if let Some(step) = s.step {
            args["label"] = what.into();
            args["pc"] = step.pc.into();
            args["loops"] = json!(step.loops[..step.depth]);
            if let Some(layer) = layer {
                args["layer"] = layer.into();
            }
        }
        let (name, category) = match s.what {
            What::Instruction => (name, "instruction"),
            What::Results => (name, "results"),
            What::Wait(cause, waited) => {
                args["waited"] = waited.into();
                if let (Cause::Semaphore, Some(step)) = (cause, s.step) {
                    let prefetch = s.track == Track::PrefetchWaits;
                    args["semaphores"] = json!(self.names.semaphores(step, prefetch));
                }
                if !name.is_empty() {
                    args["for"] = name.into();
                }
                (wait(cause, s.track).to_string(), "wait")
            }
        };
        self.slice_event(thread(s.track), &(s.start..s.end), &name, category, args);
    }

    /// Samples of the ports.
    pub fn sample(&mut self, s: &Sample<'_>) {
        let start = self.time(s.start);
        let end = self.time(s.start + s.cycles);
        let series = |values: &[u64]| {
            let values = values.iter().enumerate().map(|(c, v)| (format!("{c:02}"), json!(v)));
            Value::Object(values.collect())
        };
        let rate = |beats: u64| {
            let bytes_per_us = (beats * BEAT_BYTES as u64 * self.mhz) as f64 / s.cycles as f64;
            (bytes_per_us / 100.0).round() / 10.0
        };
        let gigabytes = json!({ "read": rate(s.read.iter().sum()), "written": rate(s.written) });
        let aux = json!({ "read": rate(s.aux_read), "written": rate(s.aux_written) });
        self.counter(&start, "channels GB/s", gigabytes);
        self.counter(&start, "auxiliary memory GB/s", aux);
        self.counter(&start, "beats read", series(s.read));
        self.counter(&end, "beats in FIFO", series(s.level));
    }

    fn counter(&mut self, time: &str, name: &str, args: Value) {
        self.text_event(&format!(
            "{{\"ph\":\"C\",\"pid\":{MEMORY},\"ts\":{time},\"name\":\"{name}\",\"args\":{args}}}"
        ));
    }

    fn slice_event(
        &mut self,
        thread: usize,
        cycles: &Range<u64>,
        name: &str,
        category: &str,
        mut args: Value,
    ) {
        args["cycle"] = cycles.start.into();
        args["cycles"] = (cycles.end - cycles.start).into();
        let (start, duration) = (self.time(cycles.start), self.duration(cycles));
        self.text_event(&format!(
            "{{\"ph\":\"X\",\"pid\":{UNITS},\"tid\":{thread},\"ts\":{start},\"dur\":{duration},\"cat\":\"{category}\",\"name\":{},\"args\":{args}}}",
            json!(name)
        ));
    }

    fn name(&mut self, kind: &str, process: u32, thread: usize, name: &str) {
        let args = json!({ "name": name });
        self.event(&json!({"ph": "M", "pid": process, "tid": thread, "name": kind, "args": args}));
    }

    fn event(&mut self, event: &Value) {
        self.text_event(&event.to_string());
    }

    fn text_event(&mut self, event: &str) {
        if !std::mem::replace(&mut self.first, false) {
            self.text(",\n");
        }
        self.text(event);
    }

    fn text(&mut self, text: &str) {
        if self.error.is_none() {
            self.error = self.file.write_all(text.as_bytes()).err();
        }
    }

    /// Nanoseconds, rounded down: the viewers keep no more, and slices that meet in a cycle meet there too.
    fn nanoseconds(&self, cycle: u64) -> u64 {
        cycle * 1000 / self.mhz
    }

    /// Microseconds, the format's unit.
    fn time(&self, cycle: u64) -> String {
        microseconds(self.nanoseconds(cycle))
    }

    fn duration(&self, cycles: &Range<u64>) -> String {
        microseconds(self.nanoseconds(cycles.end) - self.nanoseconds(cycles.start))
    }
}

fn microseconds(ns: u64) -> String {
    format!("{}.{:03}", ns / 1000, ns % 1000)
}

fn thread(track: Track) -> usize {
    RUNS + 1 + Track::ALL.iter().position(|t| *t == track).unwrap_or(0)
}

fn wait(cause: Cause, track: Track) -> &'static str {
    match cause {
        Cause::Semaphore if track == Track::VectorWaits => "waits for the matrix unit",
        Cause::Semaphore => "waits for the vector unit",
        Cause::Stream => "waits for memory",
        Cause::Output => "waits for output",
        Cause::Queue => "queue is full",
        Cause::Load => "loads the program",
        Cause::Flush => "waits for earlier traffic",
    }
}

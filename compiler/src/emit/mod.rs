//! Emission: one program for decode (one token) and prefill (blocks), for every position.
//!
//! The sequencer dispatches in program order to two units that run concurrently, the matrix unit (with the
//! prefetcher ahead of it) and the vector unit. Each wait comes after its signal in program order, so that queues
//! of any depth cannot deadlock.

mod attention;
mod builder;
mod frame;
mod mlp;
mod project;

pub use builder::sem;

use crate::error::{Error, Result};
use crate::label::{Label, LayerRef};
use crate::lambda::reg;
use crate::layout::{Layout, Stream};
use crate::spec::{LayerConsts, Linear, ModelSpec};
use accllm_hw::config::Config;
use accllm_hw::isa::{Instr, Op};
use builder::{Builder, Draft, Opd};

/// A run of layers with equal constants and formats, emitted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LayerRun {
    first: usize,
    count: usize,
}

fn runs(spec: &ModelSpec) -> Vec<LayerRun> {
    let mut out: Vec<LayerRun> = Vec::new();
    for (l, layer) in spec.layers.iter().enumerate() {
        match out.last_mut() {
            Some(run) if spec.layers[run.first] == *layer => run.count += 1,
            _ => out.push(LayerRun { first: l, count: 1 }),
        }
    }
    out
}

/// Emits the program with its labels.
///
/// # Errors
/// The program does not fit the instruction memory.
pub fn emit(spec: &ModelSpec, layout: &Layout, config: &Config) -> Result<(Vec<Instr>, Vec<Label>)> {
    let runs = runs(spec);
    let mut e =
        Emitter { spec, layout, b: Builder::new(layout.shape.block), run: LayerRun { first: 0, count: 1 } };
    e.start();
    for (i, &run) in runs.iter().enumerate() {
        e.run = run;
        e.layers(i > 0)?;
    }
    e.head();
    e.b.push(e.b.draft(Op::END, "control"));
    let (code, labels) = e.b.finish()?;
    if code.len() > config.imem {
        let mut help = Vec::new();
        if runs.len() > 1 {
            help.push(format!(
                "the {} layers have {} runs of equal constants and formats: quantize with uniform layer constants, \
                 so that one loop serves them all",
                spec.dims.layers,
                runs.len()
            ));
        }
        if layout.shape.block > 1 {
            help.push("use a block of 1, which needs no loops over tokens".into());
        }
        help.push("use a configuration with a larger instruction memory".into());
        return Err(Error::TooSmall {
            config: config.name.to_string(),
            buffer: "the instruction memory",
            needed: code.len(),
            available: config.imem,
            unit: "instructions",
            help: help.join("; or "),
        });
    }
    Ok((code, labels))
}

/// State of an emission.
struct Emitter<'a> {
    spec: &'a ModelSpec,
    layout: &'a Layout,
    b: Builder,
    run: LayerRun,
}

impl<'a> Emitter<'a> {
    fn consts(&self) -> &'a LayerConsts {
        &self.spec.layers[self.run.first].consts
    }

    /// An address that advances from layer to layer with a register, where there is a loop.
    fn by_layer(&self, at: usize, register: u8) -> Opd {
        if self.run.count > 1 { Opd(at, register) } else { Opd(at, 0) }
    }

    /// The layers of the current run. `dirty`: an earlier run may have used the registers.
    fn layers(&mut self, dirty: bool) -> Result<()> {
        let LayerRun { first, count } = self.run;
        let in_loop = (count > 1).then(|| self.b.depth());
        if count > 1 {
            if dirty {
                for r in [reg::W, reg::KV, reg::NORM] {
                    self.b.set(r, 0);
                }
            }
            self.b.open(count);
        }
        self.b.layer = Some(LayerRef { first, in_loop });
        self.attention()?;
        self.mlp()?;
        self.b.layer = None;
        if count > 1 {
            let l = self.layout;
            self.b.add(reg::W, l.weights.layer_start(first + 1) - l.weights.layer_start(first));
            self.b.add(reg::KV, l.kv.layer);
            self.b.add(reg::NORM, l.aux.norm_pair);
            self.b.close();
        }
        Ok(())
    }

    /// The stream of a linear layer of the current layer.
    fn stream(&self, linear: Linear, chunk: usize) -> Result<&'a Stream> {
        self.layout
            .weights
            .of(self.run.first, linear, chunk)
            .ok_or_else(|| Error::Internal(format!("no weight stream for {}", linear.name())))
    }

    /// A MATW over a stream, without its input and output addresses.
    fn matw(&self, s: &Stream, op: &str) -> Draft {
        let at = if s.layer.is_some() { self.by_layer(s.beat, reg::W) } else { Opd(s.beat, 0) };
        self.b.draft(Op::MATW, op).a(at).n(s.steps).k(s.row_beats).flag(s.weight_format().code(), true)
    }
}

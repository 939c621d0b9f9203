//! Emission: one program, whose first part serves decode (one token) and whose second part serves prefill (blocks),
//! for every position. With several sequences a third part serves decode of all of them at once: the linear layers take a
//! token of each from one stream of weights, attention goes through the sequences one after the other.
//!
//! The sequencer dispatches in program order to two units that run concurrently, the matrix unit (with the
//! prefetcher ahead of it) and the vector unit. Each wait comes after its signal in program order, so that queues
//! of any depth cannot deadlock.
//!
//! Prefill splits its tokens into two groups that are half a layer apart: while one is in attention, where the vector
//! unit has much to do, the other is in the MLP, where the tiles have. Their instructions alternate so that each unit
//! always has work of one group while it waits for the other unit's work on the other group.

mod attention;
mod bias;
mod builder;
mod frame;
mod heads;
mod mlp;
mod project;

pub use builder::sem;

use crate::abi::reg;
use crate::error::{Error, Result};
use crate::label::{Label, LayerRef, Span};
use crate::layout::{Layout, Stream};
use crate::spec::{LayerConsts, ModelSpec};
use accllm_hw::config::Config;
use accllm_hw::isa::{Instr, Op};
use accllm_hw::sizes::Linear;
use builder::{At, Builder, Draft, Opd};
use frame::NormOf;

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

/// How prefill is emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefill {
    /// The groups overlap across layers: four copies of attention.
    Fast,
    /// They overlap within a layer: two copies of attention.
    Short,
}

/// Emits the program with its labels.
///
/// # Errors
/// The program does not fit the instruction memory.
pub fn emit(
    spec: &ModelSpec,
    layout: &Layout,
    config: &Config,
    prefill: Prefill,
) -> Result<(Vec<Instr>, Vec<Label>)> {
    let runs = runs(spec);
    let layer = LayerRef { first: 0, in_loop: None };
    let mut e = Emitter { spec, layout, b: Builder::new(layout.shape.sequences), layer, kv: 0 };
    let several = layout.shape.sequences > 1;
    e.constants();
    e.kv = if several { reg::SEQ } else { 0 };
    e.b.open(Opd(0, reg::DECODE));
    e.decode(Span::Step, &runs)?;
    e.b.close();
    if layout.shape.block > 1 {
        e.b.open(Opd(0, reg::PREFILL));
        match prefill {
            Prefill::Fast => e.prefill(&runs)?,
            Prefill::Short => e.short_prefill(&runs)?,
        }
        e.b.close();
    }
    if several {
        e.kv = 0;
        e.b.open(Opd(0, reg::BATCH));
        e.decode(Span::Batch, &runs)?;
        e.head(Span::Batch);
        // The head below is of one token.
        e.b.set(reg::HEAD, 0);
        e.b.close();
    }
    e.head(Span::Step);
    e.b.push(e.b.draft(Op::END, "control"));
    let (code, labels) = e.b.finish()?;
    if code.len() > config.imem {
        return Err(too_long(spec, layout, config, runs.len(), code.len()));
    }
    Ok((code, labels))
}

/// The program has `needed` instructions, and the layers `runs` runs of equal ones: what could be done.
fn too_long(spec: &ModelSpec, layout: &Layout, config: &Config, runs: usize, needed: usize) -> Error {
    let mut help = Vec::new();
    if runs > 1 {
        help.push(format!(
                "the {} layers have {} runs of equal constants and formats: quantize with uniform layer constants, \
                 so that one loop serves them all",
                spec.sizes.layers,
                runs
            ));
    }
    if layout.shape.sequences > 1 {
        help.push("compile for fewer sequences".into());
    } else if layout.shape.block > 1 {
        help.push("use a block of 1, which needs only the part for decode".into());
    }
    help.push("use a configuration with a larger instruction memory".into());
    Error::TooSmall {
        config: config.name.to_string(),
        buffer: "the instruction memory",
        needed,
        available: config.imem,
        unit: "instructions",
        help: help.join("; or "),
    }
}

/// State of an emission.
struct Emitter<'a> {
    spec: &'a ModelSpec,
    layout: &'a Layout,
    b: Builder,
    /// Layer of the instructions that follow.
    layer: LayerRef,
    /// Register with the KV beats of the step's sequence; 0 where that is in the addresses.
    kv: u8,
}

impl<'a> Emitter<'a> {
    /// The instructions that follow are for these tokens and this layer.
    fn enter(&mut self, at: At) {
        self.layer = at.layer;
        self.b.layer = Some(at.layer);
        self.b.span = at.span;
        self.b.sequence = None;
    }

    fn consts(&self) -> &'a LayerConsts {
        &self.spec.layers[self.layer.first].consts
    }

    /// An address that advances from layer to layer with a register, where there is a loop. KV addresses also advance
    /// from sequence to sequence.
    fn by_layer(&self, at: usize, register: u8) -> Opd {
        match (self.layer.in_loop, register) {
            (Some(_), _) => Opd(at, register),
            (None, reg::KV) => Opd(at, self.kv),
            (None, _) => Opd(at, 0),
        }
    }

    /// Row of the group's first token in buffers that hold both groups.
    fn row(&self) -> usize {
        if self.b.span == Span::Second { self.layout.shape.half } else { 0 }
    }

    /// Residual of the group's first token.
    fn resid(&self) -> usize {
        self.layout.vmem.resid + self.row() * self.layout.shape.hidden
    }

    /// Delta of the group's first token.
    fn delta(&self) -> usize {
        self.layout.vmem.delta + self.row() * self.layout.shape.hidden
    }

    /// Activation words of the group's norm.
    fn norm_words(&self) -> usize {
        self.layout.act.norm + self.layout.shape.steps(self.row())
    }

    /// A step of one token, or of one token of each sequence.
    fn decode(&mut self, span: Span, runs: &[LayerRun]) -> Result<()> {
        self.load(if span == Span::Batch { self.layout.shape.sequences } else { 1 });
        self.embed(span);
        for (i, run) in runs.iter().enumerate() {
            self.run(run.first, run.count, i > 0, |e, layer| {
                let at = At { span, layer };
                e.attention_norm(at);
                e.projections(at)?;
                e.prepare(at);
                e.heads(at, None)?;
                e.output(at)?;
                e.after_attention(at);
                e.gate_up(at)?;
                // The vector unit's constants for the next layer (after the last one: of the final norm).
                let next = LayerRef { first: layer.first + 1, ..layer };
                e.load_norms(next, &[NormOf::Attention, NormOf::Mlp]);
                e.activate(at)?;
                e.whole_down(at)?;
                e.after_mlp(at, None);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// A step of several tokens.
    fn prefill(&mut self, runs: &[LayerRun]) -> Result<()> {
        let single = |first: usize| LayerRef { first, in_loop: None };
        let first = |layer| At { span: Span::First, layer };
        let second = |layer| At { span: Span::Second, layer };
        self.load(self.layout.shape.token_rows());
        self.embed(Span::First);
        self.embed(Span::Second);
        self.counts();
        self.attention_norm(first(single(0)));
        self.phase(Some(first(single(0))), None, None)?;
        self.attention_norm(second(single(0)));
        self.load_norms(single(1), &[NormOf::Attention]);
        for (i, run) in runs.iter().enumerate() {
            let last = run.first + run.count - 1;
            self.run(run.first, run.count - 1, true, |e, layer| {
                let next = LayerRef { first: layer.first + 1, ..layer };
                e.phase(Some(second(layer)), Some(first(layer)), Some(next))?;
                e.phase(Some(first(next)), Some(second(layer)), Some(next))
            })?;
            let next = runs.get(i + 1).map(|r| single(r.first));
            self.phase(Some(second(single(last))), Some(first(single(last))), next)?;
            self.phase(next.map(first), Some(second(single(last))), next)?;
        }
        Ok(())
    }

    /// A step of several tokens in fewer instructions: the second group's attention goes beside the first one's MLP, and
    /// nothing reaches into the next layer.
    fn short_prefill(&mut self, runs: &[LayerRun]) -> Result<()> {
        self.load(self.layout.shape.token_rows());
        self.embed(Span::First);
        self.embed(Span::Second);
        self.counts();
        for run in runs {
            self.run(run.first, run.count, true, |e, layer| {
                let (first, second) = (At { span: Span::First, layer }, At { span: Span::Second, layer });
                e.attention_norm(first);
                e.phase(Some(first), None, None)?;
                e.attention_norm(second);
                e.phase(Some(second), Some(first), None)?;
                e.phase(None, Some(second), None)?;
                // After the last layer: of the final norm.
                let next = LayerRef { first: layer.first + 1, ..layer };
                e.load_norms(next, &[NormOf::Attention, NormOf::Mlp]);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Registers that follow from the numbers of tokens, while the units embed.
    fn counts(&mut self) {
        let s = &self.layout.shape;
        (self.b.span, self.b.layer) = (Span::Step, None);
        for group in [reg::FIRST, reg::SECOND] {
            if s.group > 1 {
                self.b.open(Opd(0, group.tokens));
                self.b.add(group.rows, s.group);
                self.b.close();
            }
        }
        self.b.set(reg::LASTROW, (s.half - 1) * s.hidden);
        self.b.open(Opd(0, reg::SECOND.tokens));
        self.b.add(reg::LASTROW, s.hidden);
        self.b.close();
    }

    /// Attention of one group beside the MLP of the other, which then goes on to layer `next`.
    fn phase(&mut self, attention: Option<At>, mlp: Option<At>, next: Option<LayerRef>) -> Result<()> {
        if let Some(at) = attention {
            self.projections(at)?;
        }
        if let Some(at) = mlp {
            self.after_attention(at);
            // The second group is the last to need the layer's constants.
            if let (Span::Second, Some(next)) = (at.span, next) {
                self.load_norms(next, &[NormOf::Mlp]);
            }
            self.gate_up(at)?;
        }
        if let Some(at) = attention {
            self.prepare(at);
        }
        if let Some(at) = mlp {
            self.activate(at)?;
        }
        match (attention, mlp) {
            (Some(at), _) => {
                self.heads(at, mlp)?;
                self.output(at)?;
            }
            (None, Some(at)) => self.whole_down(at)?,
            (None, None) => {}
        }
        if let Some(at) = mlp {
            self.after_mlp(at, next);
            if let (Span::Second, Some(next)) = (at.span, next) {
                self.load_norms(LayerRef { first: next.first + 1, ..next }, &[NormOf::Attention]);
            }
        }
        Ok(())
    }

    /// `body` for `count` layers from `first` on, in a loop where it is more than one. `dirty`: an earlier loop may have
    /// used the registers.
    fn run(
        &mut self,
        first: usize,
        count: usize,
        dirty: bool,
        mut body: impl FnMut(&mut Self, LayerRef) -> Result<()>,
    ) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        if count == 1 {
            return body(self, LayerRef { first, in_loop: None });
        }
        for (r, from) in [(reg::W, 0), (reg::KV, self.kv), (reg::NORM, 0)] {
            if dirty || from != 0 {
                self.b.set(r, Opd(0, from));
            }
        }
        let in_loop = Some(self.b.depth());
        self.b.open(count);
        body(self, LayerRef { first, in_loop })?;
        let l = self.layout;
        (self.b.layer, self.b.span) = (None, Span::Step);
        self.b.add(reg::W, l.weights.layer_start(first + 1) - l.weights.layer_start(first));
        self.b.add(reg::KV, l.kv.layer);
        self.b.add(reg::NORM, l.aux.norm_pair);
        self.b.close();
        Ok(())
    }

    /// The stream of a linear layer of the current layer.
    fn stream(&self, linear: Linear, chunk: usize) -> Result<&'a Stream> {
        self.layout
            .weights
            .of(self.layer.first, linear, chunk)
            .ok_or_else(|| Error::Internal(format!("no weight stream for {}", linear.name())))
    }

    /// A MATW over a stream, without its input and output addresses.
    fn matw(&self, s: &Stream, op: &str) -> Draft {
        let at = if s.layer.is_some() { self.by_layer(s.beat, reg::W) } else { Opd(s.beat, 0) };
        self.b.draft(Op::MATW, op).a(at).n(s.steps).k(s.row_beats).flag(s.weight_format().code(), true)
    }
}

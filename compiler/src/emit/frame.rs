//! Around the linear layers: constants, embedding, residual, norms, head.

use super::Emitter;
use super::bias::Bias;
use super::builder::{At, Builder, Opd, Sync, sem};
use crate::abi::reg;
use crate::label::{LayerRef, Span};
use crate::layout::{AUX_I16, AUX_I32, Chunk, Layout};
use crate::spec::Norm;
use accllm_hw::isa::{FLAG_FIRST, FLAG_I32, Op};
use accllm_hw::sizes::Linear;
use accllm_hw::tensor::Tensor;

/// The two norms of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NormOf {
    Attention,
    Mlp,
}

/// What is added to the residual: a linear's output, after its bias where it has one.
struct Added {
    layer: LayerRef,
    name: &'static str,
    tensor: Tensor,
    /// And the tensor that the bias makes.
    bias: Option<(Bias, Tensor)>,
}

impl Emitter<'_> {
    /// Unit constants.
    pub(super) fn constants(&mut self) {
        for (i, v) in self.layout.constants().into_iter().enumerate() {
            let d = self.b.draft(Op::SETC, "control").a(v).x(i);
            self.b.push(d);
        }
    }

    /// IO block of `rows` tokens (without RoPE rows that each layer gathers), first norm constants.
    pub(super) fn load(&mut self, rows: usize) {
        (self.b.span, self.b.layer) = (Span::Step, None);
        let l = self.layout;
        let s = &l.shape;
        let ids = self.b.draft(Op::LOAD, "load_ids").a(l.aux.ids).c(l.vmem.ids);
        self.b.push(ids.n(rows.next_multiple_of(32)).flag(FLAG_I32, true));
        if !s.led() {
            let rope = self.b.draft(Op::LOAD, "load_rope").a(l.aux.rope).c(l.vmem.rope);
            self.b.push(rope.n(rows * s.rope_row()));
        }
        let g = self.b.draft(Op::LOAD, "load_norm").a(l.aux.norms).c(l.vmem.g);
        let g = g.n(2 * s.hidden + s.after_norms());
        self.b.push(g);
    }

    /// Residual stream of the group's tokens.
    pub(super) fn embed(&mut self, span: Span) {
        self.b.span = span;
        let l = self.layout;
        let s = &l.shape;
        let (ids, resid, shift) = (l.vmem.ids + self.row(), self.resid(), self.spec.embed_shift);
        let [t0, t1, ..] = reg::T;
        self.b.tokens(Sync::default(), &[(t0, 1), (t1, s.hidden)], |b| {
            let d = b.draft(Op::EMBED, "embed").a(l.aux.embed).b(Opd(ids, t0));
            let d = d.c(Opd(resid, t1)).n(s.hidden).k(l.aux.embed_row).aux(s.sizes.vocab);
            b.push(d.sh(shift).makes(&[Tensor::Embed]));
        });
    }

    /// RMSNorm of the group's tokens for the projections of attention.
    pub(super) fn attention_norm(&mut self, at: At) {
        let sync = Sync { wait: 0, signal: sem::V2M };
        self.residual(at.span, sync, None, Some((at.layer, NormOf::Attention)));
    }

    /// Adds o_proj's output to the residual, and normalizes it for the MLP.
    pub(super) fn after_attention(&mut self, at: At) {
        let sync = Sync { wait: sem::M2V, signal: sem::MLP_V2M };
        self.enter(at);
        let bias = self.load_output_bias(Linear::O, Tensor::AttnOut);
        let add = Added { layer: at.layer, name: "attn_residual", tensor: Tensor::ResidAttn, bias };
        self.residual(at.span, sync, Some(add), Some((at.layer, NormOf::Mlp)));
    }

    /// Adds down_proj's output to the residual; with `next` normalizes it for that layer's attention.
    pub(super) fn after_mlp(&mut self, at: At, next: Option<LayerRef>) {
        let sync = Sync { wait: sem::MLP_M2V, signal: if next.is_some() { sem::V2M } else { 0 } };
        self.enter(at);
        let bias = self.load_output_bias(Linear::Down, Tensor::MlpOut);
        let add = Added { layer: at.layer, name: "mlp_residual", tensor: Tensor::Resid, bias };
        self.residual(at.span, sync, Some(add), next.map(|layer| (layer, NormOf::Attention)));
    }

    /// Loads the bias of a linear that writes to delta.
    fn load_output_bias(&mut self, linear: Linear, out: Tensor) -> Option<(Bias, Tensor)> {
        let rows = self.layout.shape.bias_rows(linear);
        self.load_bias(linear, Chunk { first: 0, rows }).map(|bias| (bias, out))
    }

    /// For each token of the group: residual add, RMSNorm, or both.
    fn residual(&mut self, span: Span, sync: Sync, add: Option<Added>, norm: Option<(LayerRef, NormOf)>) {
        self.b.span = span;
        let (spec, l) = (self.spec, self.layout);
        let n = l.shape.hidden;
        let (resid, delta, row) = (self.resid(), self.delta(), self.row());
        let [t0, t1, ..] = reg::T;
        self.b.tokens(sync, &[(t0, n), (t1, 1)], |b| {
            let at = Opd(resid, t0);
            if let Some(Added { layer, name, tensor, bias }) = add {
                b.layer = Some(layer);
                if let Some((bias, out)) = bias {
                    bias.add(b, Opd(delta, t0), Chunk { first: 0, rows: n }, out);
                }
                let d = b.draft(Op::RADD, name).a(at).b(Opd(delta, t0)).c(at).n(n);
                b.push(d.makes(&[tensor]));
            }
            if let Some((layer, which)) = norm {
                b.layer = Some(layer);
                let c = &spec.layers[layer.first].consts;
                let (g, norm, name, tensor) = match which {
                    NormOf::Attention => (l.vmem.g, c.attn_norm, "attn_norm", Tensor::AttnIn),
                    NormOf::Mlp => (l.vmem.g + n, c.mlp_norm, "mlp_norm", Tensor::MlpIn),
                };
                normalize(b, l, &Normalized { name, tensor, norm, at, g, row: Opd(row, t1) });
            }
        });
    }

    /// Loads the constants of a layer's norms, one or both (after the last layer: of the final norm). Those of the MLP
    /// bring the layer's leads with them, whose last use, the second group's attention, comes before that group's MLP.
    pub(super) fn load_norms(&mut self, layer: LayerRef, which: &[NormOf]) {
        self.enter(At { span: Span::Step, layer });
        self.b.layer = None;
        let (l, n) = (self.layout, self.layout.shape.hidden);
        let (skip, to) = if which == [NormOf::Mlp] { (n / AUX_I16, n) } else { (0, 0) };
        let leads = if which.contains(&NormOf::Mlp) { l.shape.after_norms() } else { 0 };
        let from = self.by_layer(l.aux.norms + layer.first * l.aux.norm_pair + skip, reg::NORM);
        let d = self.b.draft(Op::LOAD, "load_norm").a(from).c(l.vmem.g + to);
        self.b.push(d.n(which.len() * n + leads));
    }

    /// Final norm and head of the last token, or in a batch of each sequence; skipped where the host does not want
    /// them. There is one register for the most likely token, so for several the host looks for it in the logits.
    pub(super) fn head(&mut self, span: Span) {
        (self.b.span, self.b.layer) = (span, None);
        let batch = span == Span::Batch;
        let l = self.layout;
        let s = &l.shape;
        self.b.open(Opd(0, reg::HEAD));
        let norm = self.spec.final_norm;
        let [t0, t1, ..] = reg::T;
        let at = Opd(l.vmem.resid, if batch { t0 } else { reg::LASTROW });
        let row = Opd(0, if batch { t1 } else { 0 });
        let signal = Sync { wait: 0, signal: sem::V2M };
        self.b.tokens(signal, &[(t0, s.hidden), (t1, 1)], |b| {
            let (name, tensor) = ("final_norm", Tensor::HeadIn);
            normalize(b, l, &Normalized { name, tensor, norm, at, g: l.vmem.g, row });
        });
        let streams = &l.weights.head;
        let buffers = l.vmem.logits.len();
        for (i, stream) in streams.iter().enumerate() {
            let Chunk { first, rows } = stream.chunk;
            let buffer = l.vmem.logits[i % buffers];
            let d = self.matw(stream, "head").b(l.act.norm).c(buffer).m(self.b.count());
            let d = d.x(l.act.norm_x).aux(rows);
            // The first waits for the norm, later ones for the store that read their buffer.
            let d = d.wait_if(i == 0 || i >= buffers, sem::V2M).signal(sem::M2V);
            self.b.push(d.makes(&[Tensor::Logits]).part(first, rows));
            let again = i + buffers < streams.len();
            let sync = Sync { wait: sem::M2V, signal: if again { sem::V2M } else { 0 } };
            self.b.tokens(sync, &[(t0, rows), (t1, l.aux.logits_row)], |b| {
                if !batch {
                    let best = b.draft(Op::ARGMAX, "argmax").a(buffer).n(rows.min(s.sizes.vocab - first));
                    let last = i + 1 == streams.len();
                    let best = best.aux(first).flag(FLAG_FIRST, i == 0);
                    b.push(best.makes(if last { &[Tensor::Argmax] } else { &[] }));
                }
                let store = b.draft(Op::STORE, "store_logits").a(Opd(buffer, t0)).n(rows);
                b.push(store.c(Opd(l.aux.logits + first / AUX_I32, t1)));
            });
        }
        self.b.close();
    }
}

/// RMSNorm of one token.
struct Normalized<'a> {
    name: &'a str,
    tensor: Tensor,
    norm: Norm,
    /// Where the residual is.
    at: Opd,
    /// Where the constants are.
    g: usize,
    /// The lane row that it goes to.
    row: Opd,
}

fn normalize(b: &mut Builder, l: &Layout, normalized: &Normalized<'_>) {
    let &Normalized { name, tensor, norm, at, g, row } = normalized;
    let n = l.shape.hidden;
    b.push(b.draft(Op::SUMSQ, name).a(at).c(l.scalars.norm).n(n).aux(norm.eps as usize));
    let d = b.draft(Op::NORMQ, name).a(at).b(g).c(l.act.norm).n(n).m(row).sh(norm.gs);
    b.push(d.x(l.act.norm_x).aux(l.scalars.norm).makes(&[tensor]));
}

//! The student and the teacher on the device: forward and backward through all layers.

use super::device::{Arg, Device, Grid, Memory, Out, Product, Ptr, plain, turned};
use super::shape::KernelShape;
use crate::Result;
use crate::config::LlamaConfig;
use crate::float::Rope;

/// Queries or keys of a block of the kernels of attention, and its threads.
const TALL: usize = 64;
const ATTENTION_THREADS: usize = 128;
/// Shared memory of those kernels: two tiles each of two matrices, and two rows of numbers each.
const TILES: usize = 4 * 64 * 64 * 2;
const NUMBERS: usize = 4 * 64 * 4;
/// Blocks of the norm's backward kernel.
const NORM_BLOCKS: usize = 264;
/// Tokens whose logits are in memory at a time.
const LOGITS: usize = 8192;

/// Weights that a pass reads.
#[derive(Clone, Copy)]
pub(super) struct Weights {
    /// Of all layers, bf16.
    pub layers: Ptr,
    /// Of all norms.
    pub gains: Ptr,
    /// Embedding, f32.
    pub table: Ptr,
    /// The same in bf16: the head.
    pub head: Ptr,
}

/// The rounding of activations, keys and values: steps, or 0 for none, and where largest magnitudes are recorded, or 0.
#[derive(Clone, Copy, Default)]
pub(super) struct Rounding {
    pub steps: Ptr,
    pub most: Ptr,
}

/// The tensors of a layer that are rounded, in the order of their steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tensor {
    AttnIn,
    Value,
    Out,
    MlpIn,
    DownIn,
}

impl Rounding {
    fn step(self, l: usize, t: Tensor) -> Ptr {
        if self.steps == Ptr(0) { Ptr(0) } else { self.steps.f32s(5 * l + t as usize) }
    }

    fn most(self, l: usize, t: Tensor) -> Ptr {
        if self.most == Ptr(0) { Ptr(0) } else { self.most.f32s(5 * l + t as usize) }
    }
}

/// Activations of a layer that the way back needs.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    /// Residual stream before the layer, and in its middle.
    x: Ptr,
    middle: Ptr,
    attn_in: Ptr,
    pub qkv: Ptr,
    out: Ptr,
    out_rounded: Ptr,
    lse: Ptr,
    mlp_in: Ptr,
    gate_up: Ptr,
    down_in: Ptr,
}

/// Gradients that a step gives.
#[derive(Clone, Copy)]
pub(super) struct Gradients {
    /// f32, as the weights lie.
    pub layers: Ptr,
    pub gains: Ptr,
    pub table: Ptr,
}

/// Memory for passes over `tokens` tokens.
pub(super) struct Net<'d> {
    pub device: &'d dyn Device,
    pub shape: KernelShape,
    pub tokens: usize,
    _memory: Memory<'d>,
    angles: Ptr,
    pub kept: Vec<Kept>,
    /// Behind the last layer.
    last: Ptr,
    /// What the student's head reads, and the teacher's.
    pub head_in: Ptr,
    pub aim: Ptr,
    /// Token ids.
    pub ids: Ptr,
    logits: [Ptr; 2],
    /// Divergence of each token.
    pub loss: Ptr,
    back: Back,
}

/// Memory of the way back.
#[derive(Clone, Copy)]
struct Back {
    dx: Ptr,
    dxb: Ptr,
    /// Of the width of gate and up, the input of down, q k v, hidden or q.
    wide: Ptr,
    down_in: Ptr,
    qkv: Ptr,
    narrow: Ptr,
    delta: Ptr,
    gain_parts: Ptr,
}

impl<'d> Net<'d> {
    /// Memory for rows of up to `longest` tokens, `tokens` in all; without `train` only for the way forward.
    pub fn new(
        device: &'d dyn Device,
        config: &LlamaConfig,
        shape: KernelShape,
        tokens: usize,
        longest: usize,
        train: bool,
    ) -> Result<Self> {
        let mut m = Memory::new(device);
        let (s, n) = (&shape, tokens);
        let kept = |m: &mut Memory| {
            let out = m.bf16s(n * s.sizes.q_width())?;
            Ok(Kept {
                x: m.f32s(n * s.sizes.hidden)?,
                middle: m.f32s(n * s.sizes.hidden)?,
                attn_in: m.bf16s(n * s.sizes.hidden)?,
                qkv: m.bf16s(n * s.qkv())?,
                out,
                out_rounded: m.bf16s(n * s.sizes.q_width())?,
                lse: m.f32s(n * s.sizes.heads)?,
                mlp_in: m.bf16s(n * s.sizes.hidden)?,
                gate_up: m.bf16s(n * 2 * s.sizes.ff)?,
                down_in: m.bf16s(n * s.sizes.ff)?,
            })
        };
        // The way forward alone needs no more than one layer's at a time.
        let count = if train { s.sizes.layers } else { 1 };
        let kept: Vec<Kept> = (0..count).map(|_| kept(&mut m)).collect::<Result<_>>()?;
        let part = if train { LOGITS.min(n) } else { 0 };
        let back = if train { n } else { 0 };
        let net = Self {
            angles: angles(&mut m, device, config, longest)?,
            kept,
            last: m.f32s(n * s.sizes.hidden)?,
            head_in: m.bf16s(n * s.sizes.hidden)?,
            aim: m.bf16s(n * s.sizes.hidden)?,
            ids: m.f32s(n)?,
            logits: [m.bf16s(part * s.sizes.vocab + 8)?, m.bf16s(part * s.sizes.vocab + 8)?],
            loss: m.f32s(n)?,
            back: Back {
                dx: m.f32s(back * s.sizes.hidden + 4)?,
                dxb: m.bf16s(back * s.sizes.hidden + 8)?,
                wide: m.bf16s(back * 2 * s.sizes.ff + 8)?,
                down_in: m.bf16s(back * s.sizes.ff + 8)?,
                qkv: m.bf16s(back * s.qkv() + 8)?,
                narrow: m.bf16s(back * s.sizes.hidden.max(s.sizes.q_width()) + 8)?,
                delta: m.f32s(back * s.sizes.heads + 4)?,
                gain_parts: m.f32s(if train { s.norms() * NORM_BLOCKS * s.sizes.hidden } else { 4 })?,
            },
            device,
            shape,
            tokens,
            _memory: m,
        };
        Ok(net)
    }

    fn run(&self, kernel: &'static str, grid: Grid, arguments: &[Arg]) -> Result<()> {
        self.device.launch(kernel, grid, arguments)
    }

    /// `out = x w^T`, tokens by `rows`.
    fn linear(&self, x: Ptr, w: Ptr, [rows, cols]: [usize; 2], out: Ptr) -> Result<()> {
        let size = [self.tokens, cols, rows];
        self.device.multiply(&Product::new(size, plain(x, cols), turned(w, cols), out, Out::Bf16))
    }

    /// The same added to a residual stream.
    fn linear_onto(&self, x: Ptr, w: Ptr, [rows, cols]: [usize; 2], with: Ptr, out: Ptr) -> Result<()> {
        let size = [self.tokens, cols, rows];
        self.device.multiply(&Product::new(size, plain(x, cols), turned(w, cols), out, Out::F32).onto(with))
    }

    /// The derivatives of a linear: of its weight (f32) and of its input.
    fn linear_back(&self, dy: Ptr, x: Ptr, w: Ptr, size: [usize; 2], dw: Ptr, dx: Ptr) -> Result<()> {
        let ([rows, cols], n) = (size, self.tokens);
        self.device.multiply(&Product::new(
            [rows, n, cols],
            turned(dy, rows),
            plain(x, cols),
            dw,
            Out::F32,
        ))?;
        self.device.multiply(&Product::new([n, rows, cols], plain(dy, rows), plain(w, cols), dx, Out::Bf16))
    }

    fn norm(&self, x: Ptr, gain: Ptr, y: Ptr, step: Ptr, most: Ptr) -> Result<()> {
        let grid = Grid::warps(self.tokens);
        self.run(
            "rmsnorm",
            grid,
            &[x.into(), gain.into(), y.into(), self.tokens.into(), step.into(), most.into()],
        )
    }

    /// From the tokens in `ids`, rows of `length`, to what the head reads, in `out`.
    pub fn forward(&self, w: Weights, length: usize, rounding: Rounding, out: Ptr) -> Result<()> {
        let (s, n) = (self.shape, self.tokens);
        let [q, _, _, o, gate, _, down] = s.parts();
        let grid = Grid::each(n * s.sizes.hidden / 4);
        self.run("embed", grid, &[self.ids.into(), w.table.into(), self.kept[0].x.into(), n.into()])?;
        for l in 0..s.sizes.layers {
            let k = self.kept[l % self.kept.len()];
            let next =
                if l + 1 == s.sizes.layers { self.last } else { self.kept[(l + 1) % self.kept.len()].x };
            let at = |p: usize| w.layers.bf16s(l * s.layer() + p);
            let gain = |i: usize| w.gains.f32s((2 * l + i) * s.sizes.hidden);
            let step = |t| rounding.step(l, t);
            let most = |t| rounding.most(l, t);
            self.norm(k.x, gain(0), k.attn_in, step(Tensor::AttnIn), most(Tensor::AttnIn))?;
            self.linear(k.attn_in, at(q.at), [s.qkv(), s.sizes.hidden], k.qkv)?;
            let warps = Grid::warps(n * (s.sizes.heads + 2 * s.sizes.kv_heads));
            let value = step(Tensor::Value);
            self.run(
                "rope",
                warps,
                &[k.qkv.into(), self.angles.into(), length.into(), n.into(), value.into()],
            )?;
            let blocks = [length / TALL, s.sizes.heads, n / length];
            let grid = Grid { blocks, threads: ATTENTION_THREADS, shared: TILES };
            self.run(
                "attention",
                grid,
                &[k.qkv.into(), k.out.into(), k.lse.into(), length.into(), n.into()],
            )?;
            let mut out = k.out;
            if rounding.most != Ptr(0) {
                let count = n * s.sizes.q_width();
                let to = [k.out.into(), k.out_rounded.into(), (count as u64).into()];
                let how = [step(Tensor::Out).into(), most(Tensor::Out).into()];
                self.run("round_rows", Grid::each(count / 8), &[to.as_slice(), &how].concat())?;
                if rounding.steps != Ptr(0) {
                    out = k.out_rounded;
                }
            }
            self.linear_onto(out, at(o.at), [s.sizes.hidden, s.sizes.q_width()], k.x, k.middle)?;
            self.norm(k.middle, gain(1), k.mlp_in, step(Tensor::MlpIn), most(Tensor::MlpIn))?;
            self.linear(k.mlp_in, at(gate.at), [2 * s.sizes.ff, s.sizes.hidden], k.gate_up)?;
            let warps = Grid::warps(n * s.sizes.ff.div_ceil(256));
            let how = [step(Tensor::DownIn).into(), most(Tensor::DownIn).into()];
            self.run("swiglu", warps, &[k.gate_up.into(), k.down_in.into(), n.into(), how[0], how[1]])?;
            self.linear_onto(k.down_in, at(down.at), [s.sizes.hidden, s.sizes.ff], k.middle, next)?;
        }
        let end = 2 * s.sizes.layers;
        self.norm(
            self.last,
            w.gains.f32s(end * s.sizes.hidden),
            out,
            rounding.step(s.sizes.layers, Tensor::AttnIn),
            rounding.most(s.sizes.layers, Tensor::AttnIn),
        )
    }

    /// The divergence of the student's predictions (from `head_in`) from those of `teacher`'s head on `aim`, and all
    /// gradients, after [`Net::forward`].
    pub fn backward(
        &self,
        w: Weights,
        teacher: Ptr,
        length: usize,
        rounded: bool,
        to: Gradients,
    ) -> Result<()> {
        let (s, n, b) = (self.shape, self.tokens, self.back);
        self.head_back(w, teacher, to.table)?;
        let end = 2 * s.sizes.layers;
        self.norm_back(b.narrow, self.last, w.gains, end, true)?;
        for l in (0..s.sizes.layers).rev() {
            self.layer_back(w, l, length, rounded, to)?;
        }
        let blocks = Grid { blocks: [s.sizes.hidden.div_ceil(64), s.norms(), 1], threads: 64, shared: 0 };
        self.run("sum_rows", blocks, &[b.gain_parts.into(), to.gains.into(), NORM_BLOCKS.into()])?;
        let grid = Grid::each(n * s.sizes.hidden);
        self.run("embed_back", grid, &[self.ids.into(), b.dx.into(), to.table.into(), n.into()])
    }

    /// Logits, divergence, and the derivatives of the head and its input, some tokens at a time.
    pub fn head_back(&self, w: Weights, teacher: Ptr, d_table: Ptr) -> Result<()> {
        let s = self.shape;
        for from in (0..self.tokens).step_by(LOGITS) {
            let n = LOGITS.min(self.tokens - from);
            let [mine, theirs] = self.logits;
            let x = self.head_in.bf16s(from * s.sizes.hidden);
            let aim = self.aim.bf16s(from * s.sizes.hidden);
            for (x, head, out) in [(x, w.head, mine), (aim, teacher, theirs)] {
                let size = [n, s.sizes.hidden, s.sizes.vocab];
                let (x, head) = (plain(x, s.sizes.hidden), turned(head, s.sizes.hidden));
                self.device.multiply(&Product::new(size, x, head, out, Out::Bf16))?;
            }
            let grid = Grid { blocks: [n, 1, 1], threads: 512, shared: 0 };
            self.run("divergence", grid, &[mine.into(), theirs.into(), self.loss.f32s(from).into()])?;
            let size = [s.sizes.vocab, n, s.sizes.hidden];
            let dw =
                Product::new(size, turned(mine, s.sizes.vocab), plain(x, s.sizes.hidden), d_table, Out::F32);
            self.device.multiply(&if from > 0 { dw.onto(d_table) } else { dw })?;
            let size = [n, s.sizes.vocab, s.sizes.hidden];
            let dx = self.back.narrow.bf16s(from * s.sizes.hidden);
            let (dy, head) = (plain(mine, s.sizes.vocab), plain(w.head, s.sizes.hidden));
            self.device.multiply(&Product::new(size, dy, head, dx, Out::Bf16))?;
        }
        Ok(())
    }

    /// Through norm number `i`: from `dy` to the residual stream's derivative.
    fn norm_back(&self, dy: Ptr, x: Ptr, gains: Ptr, i: usize, begin: bool) -> Result<()> {
        let (s, b) = (self.shape, self.back);
        let grid = Grid { blocks: [NORM_BLOCKS, 1, 1], threads: 256, shared: 0 };
        let parts = b.gain_parts.f32s(i * NORM_BLOCKS * s.sizes.hidden);
        let gain = gains.f32s(i * s.sizes.hidden);
        let from = [dy.into(), x.into(), gain.into(), b.dx.into(), b.dxb.into()];
        let how = [parts.into(), self.tokens.into(), usize::from(begin).into()];
        self.run("rmsnorm_back", grid, &[from.as_slice(), &how].concat())
    }

    fn layer_back(&self, w: Weights, l: usize, length: usize, rounded: bool, to: Gradients) -> Result<()> {
        let (s, n, b, k) = (self.shape, self.tokens, self.back, self.kept[l]);
        let [q, _, _, o, gate, _, down] = s.parts();
        let at = |p: usize| w.layers.bf16s(l * s.layer() + p);
        let d = |p: usize| to.layers.f32s(l * s.layer() + p);
        self.linear_back(b.dxb, k.down_in, at(down.at), [s.sizes.hidden, s.sizes.ff], d(down.at), b.down_in)?;
        let grid = Grid::each(n * s.sizes.ff / 8);
        self.run("swiglu_back", grid, &[b.down_in.into(), k.gate_up.into(), b.wide.into(), n.into()])?;
        self.linear_back(
            b.wide,
            k.mlp_in,
            at(gate.at),
            [2 * s.sizes.ff, s.sizes.hidden],
            d(gate.at),
            b.narrow,
        )?;
        self.norm_back(b.narrow, k.middle, w.gains, 2 * l + 1, false)?;
        let out = if rounded { k.out_rounded } else { k.out };
        self.linear_back(b.dxb, out, at(o.at), [s.sizes.hidden, s.sizes.q_width()], d(o.at), b.narrow)?;
        self.attention_back(k, length)?;
        self.linear_back(b.qkv, k.attn_in, at(q.at), [s.qkv(), s.sizes.hidden], d(q.at), b.narrow)?;
        self.norm_back(b.narrow, k.x, w.gains, 2 * l, false)
    }

    /// From the derivative of attention's output (in `narrow`) to that of q, k and v before RoPE.
    fn attention_back(&self, k: Kept, length: usize) -> Result<()> {
        let (s, n, b) = (self.shape, self.tokens, self.back);
        let delta = [k.out.into(), b.narrow.into(), b.delta.into(), n.into()];
        self.run("attention_delta", Grid::warps(n * s.sizes.heads), &delta)?;
        let arguments = [
            k.qkv.into(),
            b.narrow.into(),
            k.lse.into(),
            b.delta.into(),
            b.qkv.into(),
            length.into(),
            n.into(),
        ];
        let grid = |heads, shared| Grid {
            blocks: [length / TALL, heads, n / length],
            threads: ATTENTION_THREADS,
            shared,
        };
        self.run("attention_back_q", grid(s.sizes.heads, TILES), &arguments)?;
        self.run("attention_back_kv", grid(s.sizes.kv_heads, TILES + NUMBERS), &arguments)?;
        let warps = Grid::warps(n * (s.sizes.heads + s.sizes.kv_heads));
        self.run("rope_back", warps, &[b.qkv.into(), self.angles.into(), length.into(), n.into()])
    }
}

/// Cosine and sine of each pair at positions up to `longest`.
pub(super) fn angles(
    m: &mut Memory,
    device: &dyn Device,
    config: &LlamaConfig,
    longest: usize,
) -> Result<Ptr> {
    let rope = Rope::new(config.sizes.head_dim, &config.sizes.rope);
    let all: Vec<f32> = (0..longest).flat_map(|p| rope.angles(p)).flat_map(|(cos, sin)| [cos, sin]).collect();
    let at = m.f32s(all.len())?;
    super::device::put(device, at, &all)?;
    Ok(at)
}

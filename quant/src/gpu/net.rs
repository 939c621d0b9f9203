//! The student and the teacher on the device: forward and backward through all layers.

use super::device::{Arg, Device, Grid, Memory, Out, Product, Ptr, fetch, plain, turned};
use super::shape::KernelShape;
use accllm_llm::Result;
use accllm_llm::config::LlamaConfig;
use accllm_llm::float::Rope;

/// Queries or keys of a block of the kernels of attention, and its threads.
const TALL: usize = 64;
const ATTENTION_THREADS: usize = 128;
/// Shared memory of those kernels: two tiles each of two matrices, and two rows of numbers each (fewer for wide heads).
const TILES: usize = 4 * 8192;
const NUMBERS: usize = 4 * 64 * 4;
/// Blocks of the norm's backward kernel.
pub(super) const NORM_BLOCKS: usize = 264;
/// Rows of values that are kept for the choice of their steps.
pub(super) const VALUE_ROWS: usize = 512;

/// What a net keeps of each layer on the way forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    /// Nothing: there is no way back.
    Nothing,
    /// Its input: all else is computed again on the way back.
    Inputs,
    /// All that the way back needs.
    All,
}

impl Keeping {
    /// Tokens whose logits are in memory at a time.
    pub fn logits(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Inputs => 2048,
            Self::All => 8192,
        }
    }
}

/// Weights that a pass reads.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    /// Where a layer's are, bf16; they stay there until the next one's are asked for.
    pub layer: &'a dyn Fn(usize) -> Result<Ptr>,
    /// Of all norms.
    pub gains: Ptr,
    /// Embedding, f32.
    pub table: Ptr,
    /// Head, bf16.
    pub head: Ptr,
}

/// The rounding of activations, keys and values: steps, or 0 for none; where largest magnitudes are recorded, or 0; and the
/// leading pair of each KV head of each layer.
#[derive(Clone, Copy, Default)]
pub(super) struct Rounding {
    pub steps: Ptr,
    pub most: Ptr,
    pub leads: Ptr,
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

/// A layer on the way forward or back: its number and weights, the gains of all norms, the length of rows, the rounding.
#[derive(Clone, Copy)]
struct Passing {
    l: usize,
    weights: Ptr,
    gains: Ptr,
    length: usize,
    rounding: Rounding,
}

impl Passing {
    fn step(&self, t: Tensor) -> Ptr {
        self.rounding.step(self.l, t)
    }

    fn most(&self, t: Tensor) -> Ptr {
        self.rounding.most(self.l, t)
    }
}

/// Activations of a layer that the way back needs, besides its input.
#[derive(Clone, Copy)]
struct Kept {
    /// Residual stream in the layer's middle.
    middle: Ptr,
    attn_in: Ptr,
    qkv: Ptr,
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
    /// f32, as the weights lie; elements from one layer's to the next, 0 where there is room for one layer's.
    pub layers: Ptr,
    pub apart: usize,
    pub gains: Ptr,
    /// Of the embedding, and of the head, which is the same where they are tied.
    pub table: Ptr,
    pub head: Ptr,
}

/// Memory for passes over `tokens` tokens.
pub(super) struct Net<'d> {
    pub device: &'d dyn Device,
    pub shape: KernelShape,
    pub tokens: usize,
    _memory: Memory<'d>,
    angles: Ptr,
    keeping: Keeping,
    /// Residual stream before each layer, or one for all.
    inputs: Vec<Ptr>,
    /// Of each layer, or of the one at hand.
    kept: Vec<Kept>,
    /// After the last layer.
    last: Ptr,
    /// Values of each layer's first rows, where steps are to be chosen.
    pub values: Ptr,
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
    /// Memory for rows of up to `longest` tokens, `tokens` in all.
    pub fn new(
        device: &'d dyn Device,
        config: &LlamaConfig,
        shape: KernelShape,
        tokens: usize,
        longest: usize,
        keeping: Keeping,
    ) -> Result<Self> {
        let mut m = Memory::new(device);
        let (s, n) = (&shape, tokens);
        let kept = |m: &mut Memory| {
            let out = m.bf16s(n * s.sizes.q_width())?;
            Ok(Kept {
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
        let count = |all| if all { s.sizes.layers } else { 1 };
        let train = keeping != Keeping::Nothing;
        let inputs = (0..count(train)).map(|_| m.f32s(n * s.sizes.hidden)).collect::<Result<_>>()?;
        let kept = (0..count(keeping == Keeping::All)).map(|_| kept(&mut m)).collect::<Result<_>>()?;
        let part = keeping.logits().min(n);
        let back = if train { n } else { 0 };
        let net = Self {
            angles: angles(&mut m, device, config, longest)?,
            keeping,
            inputs,
            kept,
            values: m.bf16s(s.sizes.layers * VALUE_ROWS * s.sizes.kv_width())?,
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
    pub fn forward(&self, w: Weights<'_>, length: usize, rounding: Rounding, out: Ptr) -> Result<()> {
        let n = self.tokens;
        let grid = Grid::each(n * self.shape.sizes.hidden / 4);
        self.run("embed", grid, &[self.ids.into(), w.table.into(), self.inputs[0].into(), n.into()])?;
        self.forward_from(0, w, length, rounding, out)
    }

    /// [`Net::forward`] from layer `first` on, whose input is what the last pass left; the inputs of later layers are written
    /// anew.
    pub fn forward_from(
        &self,
        first: usize,
        w: Weights<'_>,
        length: usize,
        rounding: Rounding,
        out: Ptr,
    ) -> Result<()> {
        let s = self.shape;
        for l in first..s.sizes.layers {
            let last = l + 1 == s.sizes.layers;
            let next = if last { self.last } else { self.inputs[(l + 1) % self.inputs.len()] };
            let at = Passing { l, weights: (w.layer)(l)?, gains: w.gains, length, rounding };
            self.layer(at, Some(next))?;
        }
        let (end, of_head) = (2 * s.sizes.layers, (s.sizes.layers, Tensor::AttnIn));
        let (step, most) = (rounding.step(of_head.0, of_head.1), rounding.most(of_head.0, of_head.1));
        self.norm(self.last, w.gains.f32s(end * s.sizes.hidden), out, step, most)
    }

    /// Through a layer, to its output in `next`, where that is wanted.
    fn layer(&self, at: Passing, next: Option<Ptr>) -> Result<()> {
        let (s, n, l, w) = (self.shape, self.tokens, at.l, at.weights);
        let [q, _, _, o, gate, _, down] = s.parts();
        let (x, k) = (self.inputs[l % self.inputs.len()], self.kept[l % self.kept.len()]);
        let gain = |i: usize| at.gains.f32s((2 * l + i) * s.sizes.hidden);
        self.norm(x, gain(0), k.attn_in, at.step(Tensor::AttnIn), at.most(Tensor::AttnIn))?;
        self.linear(k.attn_in, w.bf16s(q.at), [s.qkv(), s.sizes.hidden], k.qkv)?;
        let out = self.attention(k, at)?;
        self.linear_onto(out, w.bf16s(o.at), [s.sizes.hidden, s.sizes.q_width()], x, k.middle)?;
        self.norm(k.middle, gain(1), k.mlp_in, at.step(Tensor::MlpIn), at.most(Tensor::MlpIn))?;
        self.linear(k.mlp_in, w.bf16s(gate.at), [2 * s.sizes.ff, s.sizes.hidden], k.gate_up)?;
        let warps = Grid::warps(n * s.sizes.ff.div_ceil(256));
        let how = [at.step(Tensor::DownIn).into(), at.most(Tensor::DownIn).into()];
        self.run("swiglu", warps, &[k.gate_up.into(), k.down_in.into(), n.into(), how[0], how[1]])?;
        match next {
            None => Ok(()),
            Some(next) => {
                let size = [s.sizes.hidden, s.sizes.ff];
                self.linear_onto(k.down_in, w.bf16s(down.at), size, k.middle, next)
            }
        }
    }

    /// From q, k and v before RoPE to what o reads.
    fn attention(&self, k: Kept, at: Passing) -> Result<Ptr> {
        let (s, n, Passing { l, length, rounding, .. }) = (self.shape, self.tokens, at);
        let warps = Grid::warps(n * (s.sizes.heads + 2 * s.sizes.kv_heads));
        let rows = [k.qkv.into(), self.angles.into(), length.into(), n.into()];
        let how = [at.step(Tensor::Value).into(), rounding.leads.f32s(l * s.sizes.kv_heads).into()];
        self.run("rope", warps, &[rows.as_slice(), &how].concat())?;
        let blocks = [length / TALL, s.sizes.heads, n / length];
        let grid = Grid { blocks, threads: ATTENTION_THREADS, shared: TILES };
        self.run("attention", grid, &[k.qkv.into(), k.out.into(), k.lse.into(), length.into(), n.into()])?;
        if rounding.most == Ptr(0) {
            return Ok(k.out);
        }
        let count = n * s.sizes.q_width();
        let to = [k.out.into(), k.out_rounded.into(), (count as u64).into()];
        let how = [at.step(Tensor::Out).into(), at.most(Tensor::Out).into()];
        self.run("round_rows", Grid::each(count / 8), &[to.as_slice(), &how].concat())?;
        if rounding.steps != Ptr(0) {
            return Ok(k.out_rounded);
        }
        // Steps are to be chosen.
        let (width, rows) = (s.sizes.kv_width(), VALUE_ROWS.min(n));
        let to = self.values.bf16s(l * VALUE_ROWS * width);
        self.run("copy_values", Grid::each(rows * width), &[k.qkv.into(), to.into(), rows.into()])?;
        Ok(k.out)
    }

    /// The divergence of the student's predictions (from `head_in`) from those of `teacher`'s head on `aim`, and all
    /// gradients, after [`Net::forward`] with the same rounding. `done` is told of each layer whose gradient is there: no weight or
    /// gradient of it is read any more.
    pub fn backward(
        &self,
        w: Weights<'_>,
        teacher: Ptr,
        length: usize,
        rounding: Rounding,
        to: Gradients,
        done: &dyn Fn(usize) -> Result<()>,
    ) -> Result<()> {
        let (s, n, b) = (self.shape, self.tokens, self.back);
        self.head_back(w, teacher, to.head)?;
        let end = 2 * s.sizes.layers;
        self.norm_back(b.narrow, self.last, w.gains, end, true)?;
        for l in (0..s.sizes.layers).rev() {
            let at = Passing { l, weights: (w.layer)(l)?, gains: w.gains, length, rounding };
            if self.keeping == Keeping::Inputs {
                self.layer(at, None)?;
            }
            self.layer_back(at, to.layers.f32s(l * to.apart))?;
            done(l)?;
        }
        let blocks = Grid { blocks: [s.sizes.hidden.div_ceil(64), s.norms(), 1], threads: 64, shared: 0 };
        self.run("sum_rows", blocks, &[b.gain_parts.into(), to.gains.into(), NORM_BLOCKS.into()])?;
        if to.table != to.head {
            self.device.zero(to.table, 4 * s.table())?;
        }
        let grid = Grid::each(n * s.sizes.hidden);
        self.run("embed_back", grid, &[self.ids.into(), b.dx.into(), to.table.into(), n.into()])
    }

    /// Logits, divergence, and the derivatives of the head and its input, some tokens at a time.
    pub fn head_back(&self, w: Weights<'_>, teacher: Ptr, d_table: Ptr) -> Result<()> {
        let (s, part) = (self.shape, self.keeping.logits());
        for from in (0..self.tokens).step_by(part) {
            let n = part.min(self.tokens - from);
            let (mine, x) = (self.logits[0], self.head_in.bf16s(from * s.sizes.hidden));
            self.diverge(w.head, teacher, from, n)?;
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

    /// The divergence of the predictions (from `head_in`) from those of `teacher`'s head on `aim`, in `loss`.
    pub fn compare(&self, head: Ptr, teacher: Ptr) -> Result<()> {
        let part = self.keeping.logits();
        let mut parts = (0..self.tokens).step_by(part);
        parts.try_for_each(|from| self.diverge(head, teacher, from, part.min(self.tokens - from)))
    }

    /// The same of `n` tokens; the student's logits become their derivative.
    fn diverge(&self, head: Ptr, teacher: Ptr, from: usize, n: usize) -> Result<()> {
        let (hidden, [mine, theirs]) = (self.shape.sizes.hidden, self.logits);
        let (x, aim) = (self.head_in.bf16s(from * hidden), self.aim.bf16s(from * hidden));
        for (x, head, out) in [(x, head, mine), (aim, teacher, theirs)] {
            let size = [n, hidden, self.shape.sizes.vocab];
            let (x, head) = (plain(x, hidden), turned(head, hidden));
            self.device.multiply(&Product::new(size, x, head, out, Out::Bf16))?;
        }
        let grid = Grid { blocks: [n, 1, 1], threads: 512, shared: 0 };
        self.run("divergence", grid, &[mine.into(), theirs.into(), self.loss.f32s(from).into()])
    }

    /// The mean of the divergence over all tokens, nats.
    pub fn mean_loss(&self) -> Result<f64> {
        let loss: Vec<f32> = fetch(self.device, self.loss, self.tokens)?;
        Ok(loss.iter().map(|l| f64::from(*l)).sum::<f64>() / loss.len() as f64)
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

    fn layer_back(&self, pass: Passing, to: Ptr) -> Result<()> {
        let (s, n, b) = (self.shape, self.tokens, self.back);
        let Passing { l, weights: w, gains, length, rounding } = pass;
        let (x, k) = (self.inputs[l], self.kept[l % self.kept.len()]);
        let [q, _, _, o, gate, _, down] = s.parts();
        let (at, d) = (|p: usize| w.bf16s(p), |p: usize| to.f32s(p));
        self.linear_back(b.dxb, k.down_in, at(down.at), [s.sizes.hidden, s.sizes.ff], d(down.at), b.down_in)?;
        let grid = Grid::each(n * s.sizes.ff / 8);
        self.run("swiglu_back", grid, &[b.down_in.into(), k.gate_up.into(), b.wide.into(), n.into()])?;
        let size = [2 * s.sizes.ff, s.sizes.hidden];
        self.linear_back(b.wide, k.mlp_in, at(gate.at), size, d(gate.at), b.narrow)?;
        self.norm_back(b.narrow, k.middle, gains, 2 * l + 1, false)?;
        let out = if rounding.steps == Ptr(0) { k.out } else { k.out_rounded };
        self.linear_back(b.dxb, out, at(o.at), [s.sizes.hidden, s.sizes.q_width()], d(o.at), b.narrow)?;
        self.attention_back(k, length)?;
        self.linear_back(b.qkv, k.attn_in, at(q.at), [s.qkv(), s.sizes.hidden], d(q.at), b.narrow)?;
        self.norm_back(b.narrow, x, gains, 2 * l, false)
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

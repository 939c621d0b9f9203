//! The teacher's own text, written on the device: many sequences side by side, a token of each at a time.

use super::beginnings::Beginnings;
use super::device::{Device, Grid, Memory, Out, Product, Ptr, fetch, plain, put, turned};
use super::net::{Weights, angles};
use super::shape::KernelShape;
use accllm_llm::config::LlamaConfig;
use accllm_llm::{Error, Result};

/// What is written, and how sequences begin.
pub(super) struct Writing<'a> {
    /// The number of the first sequence, how many there are, and tokens of each.
    pub first: usize,
    pub sequences: usize,
    pub length: usize,
    /// Most sequences side by side.
    pub side: usize,
    /// Beginnings: each sequence takes one at random, and another one after each end of a document, which then reads nothing of what
    /// was before. One of a single token is
    /// followed by the three likeliest tokens; all else is drawn from the model's distribution.
    pub beginnings: &'a Beginnings,
    /// Least and most tokens of a document, its beginning not counted.
    pub documents: [usize; 2],
    /// Tokens are drawn whose probability is at least this part of the likeliest one's.
    pub min_p: f64,
    pub seed: u32,
}

/// Memory for one round of sequences.
struct Round<'d> {
    device: &'d dyn Device,
    shape: KernelShape,
    side: usize,
    room: usize,
    _memory: Memory<'d>,
    angles: Ptr,
    /// `[layers]` of `[sequences, KV heads, room, head]`.
    keys: Vec<Ptr>,
    values: Vec<Ptr>,
    x: Ptr,
    normed: Ptr,
    qkv: Ptr,
    out: Ptr,
    gate_up: Ptr,
    down_in: Ptr,
    logits: Ptr,
    text: Ptr,
    writers: Ptr,
    prompts: Ptr,
    lengths: Ptr,
    then: Ptr,
    /// Of the token that is read, and the number of the first sequence.
    position: Ptr,
}

/// Writes; `progress` is told how many tokens there are. The same seed gives the same text on the same card.
///
/// # Errors
/// Nothing is asked for, a beginning is empty or longer than a sequence, what follows one is not there, or the device fails.
pub(super) fn write(
    device: &dyn Device,
    config: &LlamaConfig,
    w: Weights<'_>,
    what: &Writing<'_>,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<u32>> {
    let longest = what.beginnings.longest()?;
    if what.sequences == 0 || longest >= what.length {
        return Err(Error::Argument("text needs sequences, and beginnings shorter than they are".into()));
    }
    let shape = KernelShape::of(config)?;
    let side = fitting(what.side.min(what.sequences), room_of(&shape, what.length), device.free_bytes()?);
    // As few rounds, of equal size.
    let side = what.sequences.div_ceil(what.sequences.div_ceil(side));
    let round = Round::new(device, config, side, what, longest)?;
    let ends = [config.eos.first(), config.eos.get(1)].map(|e| e.copied().unwrap_or(u32::MAX));
    let (mut text, mut graph) = (Vec::new(), None);
    for first in (0..what.sequences).step_by(side) {
        round.begin(what.first + first, what)?;
        for position in 0..what.length - 1 {
            match graph {
                Some(graph) => device.replay(graph)?,
                // The first time as it is, for the library to find its ways.
                None if first == 0 && position == 0 => round.next(w, what, longest, ends)?,
                None => {
                    device.record()?;
                    round.next(w, what, longest, ends)?;
                    graph = device.recorded()?;
                    if let Some(graph) = graph {
                        device.replay(graph)?;
                    }
                }
            }
            if position % 128 == 127 {
                // Not ahead of the device by more than some tokens.
                fetch::<u32>(device, round.position, 1)?;
                progress(text.len() + side * (position + 2));
            }
        }
        text.extend(fetch::<u32>(device, round.text, side * what.length)?);
        progress(text.len());
    }
    text.truncate(what.sequences * what.length);
    Ok(text)
}

/// Bytes of the device that a sequence takes: keys and values of all layers, and logits.
fn room_of(s: &KernelShape, length: usize) -> usize {
    2 * (2 * s.sizes.layers * s.sizes.kv_width() * length + s.sizes.vocab)
}

/// `side` halved until so many sequences of `each` bytes leave a tenth of the memory free.
fn fitting(side: usize, each: usize, free: usize) -> usize {
    match side > 1 && side * each > free - free / 10 {
        true => fitting(side.div_ceil(2), each, free),
        false => side,
    }
}

impl<'d> Round<'d> {
    fn new(
        device: &'d dyn Device,
        config: &LlamaConfig,
        side: usize,
        what: &Writing<'_>,
        longest: usize,
    ) -> Result<Self> {
        let mut m = Memory::new(device);
        let s = KernelShape::of(config)?;
        let room = what.length;
        let caches = |m: &mut Memory| {
            (0..s.sizes.layers).map(|_| m.bf16s(side * s.sizes.kv_width() * room)).collect::<Result<Vec<_>>>()
        };
        let all = &what.beginnings.all;
        let padded: Vec<u32> = all
            .iter()
            .flat_map(|b| b.iter().copied().chain(std::iter::repeat_n(0, longest - b.len())))
            .collect();
        let lengths: Vec<u32> = all.iter().map(|b| b.len() as u32).collect();
        let then = what.beginnings.then_words();
        let round = Self {
            angles: angles(&mut m, device, config, room)?,
            keys: caches(&mut m)?,
            values: caches(&mut m)?,
            x: m.f32s(side * s.sizes.hidden)?,
            normed: m.bf16s(side * s.sizes.hidden)?,
            qkv: m.bf16s(side * s.qkv())?,
            out: m.bf16s(side * s.sizes.q_width())?,
            gate_up: m.bf16s(side * 2 * s.sizes.ff)?,
            down_in: m.bf16s(side * s.sizes.ff)?,
            logits: m.bf16s(side * s.sizes.vocab)?,
            text: m.f32s(side * room)?,
            writers: m.f32s(4 * side)?,
            prompts: m.f32s(padded.len())?,
            lengths: m.f32s(lengths.len())?,
            then: m.f32s(then.len())?,
            position: m.f32s(4)?,
            device,
            shape: s,
            side,
            room,
            _memory: m,
        };
        put(device, round.prompts, &padded)?;
        put(device, round.lengths, &lengths)?;
        put(device, round.then, &then)?;
        Ok(round)
    }

    /// The first token of each sequence.
    fn begin(&self, first: usize, what: &Writing<'_>) -> Result<()> {
        let mut text = vec![0u32; self.side * self.room];
        let mut writers = Vec::with_capacity(4 * self.side);
        let [shortest, most] = what.documents;
        for (i, row) in text.chunks_exact_mut(self.room).enumerate() {
            let seed = (u64::from(what.seed) << 32) ^ (first + i) as u64;
            let mut random = fastrand::Rng::with_seed(seed);
            let prompt = random.usize(0..what.beginnings.first);
            row[0] = what.beginnings.all[prompt][0];
            writers.extend([prompt as u32, 1, random.usize(shortest..=most) as u32, 0]);
        }
        put(self.device, self.text, &text)?;
        put(self.device, self.writers, &writers)?;
        put(self.device, self.position, &[0u32, first as u32])
    }

    fn multiply(&self, x: Ptr, w: Ptr, [rows, cols]: [usize; 2], out: Ptr) -> Result<()> {
        let size = [self.side, cols, rows];
        self.device.multiply(&Product::new(size, plain(x, cols), turned(w, cols), out, Out::Bf16))
    }

    fn add(&self, x: Ptr, w: Ptr, [rows, cols]: [usize; 2]) -> Result<()> {
        let size = [self.side, cols, rows];
        let product = Product::new(size, plain(x, cols), turned(w, cols), self.x, Out::F32);
        self.device.multiply(&product.onto(self.x))
    }

    fn norm(&self, gain: Ptr) -> Result<()> {
        let none = Ptr(0);
        let arguments =
            [self.x.into(), gain.into(), self.normed.into(), self.side.into(), none.into(), none.into()];
        self.device.launch("rmsnorm", Grid::warps(self.side), &arguments)
    }

    /// One more token of each sequence.
    fn next(&self, w: Weights<'_>, what: &Writing<'_>, longest: usize, ends: [u32; 2]) -> Result<()> {
        let (s, n, room, at) = (self.shape, self.side, self.room, self.position);
        let run = |kernel, grid, arguments: &[_]| self.device.launch(kernel, grid, arguments);
        let from = [self.text.into(), w.table.into(), self.x.into()];
        let how = [n.into(), room.into(), at.into()];
        run("decode_embed", Grid::each(n * s.sizes.hidden / 4), &[from.as_slice(), &how].concat())?;
        let [q, _, _, o, gate, _, down] = s.parts();
        for l in 0..s.sizes.layers {
            let weights = (w.layer)(l)?;
            let part = |p: usize| weights.bf16s(p);
            let (keys, values) = (self.keys[l], self.values[l]);
            self.norm(w.gains.f32s(2 * l * s.sizes.hidden))?;
            self.multiply(self.normed, part(q.at), [s.qkv(), s.sizes.hidden], self.qkv)?;
            let rope = [self.qkv.into(), keys.into(), values.into(), self.angles.into()];
            let how = [n.into(), room.into(), at.into()];
            let warps = Grid::warps(n * (s.sizes.heads + 2 * s.sizes.kv_heads));
            run("decode_rope", warps, &[rope.as_slice(), &how].concat())?;
            let blocks = Grid { blocks: [n * s.sizes.kv_heads, 1, 1], threads: 128, shared: 0 };
            let attention = [self.qkv.into(), keys.into(), values.into(), self.out.into()];
            run(
                "decode_attention",
                blocks,
                &[attention.as_slice(), &[self.writers.into(), room.into(), at.into()]].concat(),
            )?;
            self.add(self.out, part(o.at), [s.sizes.hidden, s.sizes.q_width()])?;
            self.norm(w.gains.f32s((2 * l + 1) * s.sizes.hidden))?;
            self.multiply(self.normed, part(gate.at), [2 * s.sizes.ff, s.sizes.hidden], self.gate_up)?;
            let none = Ptr(0);
            let swiglu = [self.gate_up.into(), self.down_in.into(), n.into(), none.into(), none.into()];
            run("swiglu", Grid::warps(n * s.sizes.ff.div_ceil(256)), &swiglu)?;
            self.add(self.down_in, part(down.at), [s.sizes.hidden, s.sizes.ff])?;
        }
        self.norm(w.gains.f32s(2 * s.sizes.layers * s.sizes.hidden))?;
        self.multiply(self.normed, w.head, [s.sizes.vocab, s.sizes.hidden], self.logits)?;
        let blocks = Grid { blocks: [n, 1, 1], threads: 256, shared: 0 };
        let state = [self.logits.into(), self.text.into(), self.writers.into(), self.prompts.into()];
        let [shortest, most] = what.documents;
        let least = if what.min_p > 0.0 { what.min_p.ln() as f32 } else { f32::MIN };
        let pool = [self.lengths.into(), self.then.into(), what.beginnings.first.into(), longest.into()];
        let how = [least.into(), shortest.into(), (most - shortest).into()];
        let [end, other] = ends.map(|e| (e as usize).into());
        let rest = [end, other, (what.seed as usize).into(), room.into(), at.into()];
        run("sample", blocks, &[state.as_slice(), &pool, &how, &rest].concat())?;
        run("next_position", Grid { blocks: [1, 1, 1], threads: 1, shared: 0 }, &[at.into()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_sequences_as_there_is_room_for() {
        assert_eq!(fitting(4096, 10, 100_000), 4096);
        assert_eq!(fitting(4096, 10, 40_000), 2048);
        assert_eq!(fitting(4096, 10, 10_000), 512);
        assert_eq!(fitting(5, 10, 30), 2);
        assert_eq!(fitting(4096, 10, 0), 1);
    }
}

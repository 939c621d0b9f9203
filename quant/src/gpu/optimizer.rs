//! Muon for the matrices of the layers, Adam for embedding and gains.
//!
//! Muon (Jordan et al., 2024): the momentum of a weight's gradient is made nearly orthogonal by five Newton-Schulz turns,
//! `X <- a X + (b A + c A^2) X` with `A = X X^T` (or `X^T X` from the right, whichever is smaller), and its size is matched to
//! Adam's by 0.2 times the square root of the longer side (arXiv 2502.16982).

use super::device::{Device, Grid, Memory, Operand, Out, Product, Ptr, fetch, put};
use super::formats::code;
use super::group::{Exchange, Piece};
use super::net::{Gradients, Keeping};
use super::shape::{KernelShape, Part};
use accllm_llm::Result;
use accllm_llm::model::{GROUP, WeightFormat};

/// Newton-Schulz turns, and their coefficients.
const TURNS: usize = 5;
const COEFFICIENTS: [f32; 3] = [3.4445, -4.7750, 2.0315];
/// Momentum of Muon.
const MOMENTUM: f32 = 0.95;
const BETAS: [f32; 2] = [0.9, 0.98];

/// Learning rates of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rates {
    pub muon: f32,
    pub embedding: f32,
    pub gains: f32,
    /// Whether 2:4 weights of zero stay zero.
    pub frozen: bool,
}

/// A table of `[vocab, hidden]`, its gradient, and Adam's moments.
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub weights: Ptr,
    pub gradient: Ptr,
    pub moments: [Ptr; 2],
}

impl Table {
    fn new(m: &mut Memory<'_>, count: usize) -> Result<Self> {
        let mut f32s = || m.f32s(count);
        Ok(Self { weights: f32s()?, gradient: f32s()?, moments: [f32s()?, f32s()?] })
    }
}

/// The student's weights in f32, what is read of them, and the moments.
pub(super) struct Optimizer<'d> {
    pub device: &'d dyn Device,
    pub shape: KernelShape,
    /// Layers whose rounded weights and gradients are in memory together: all of them, or one.
    pub together: usize,
    _memory: Memory<'d>,
    /// As `KernelShape::parts` lays them out, all layers.
    pub layers: Ptr,
    pub gains: Ptr,
    pub embed: Table,
    /// Where the head is a weight of its own.
    pub own_head: Option<Table>,
    /// The head in bf16, or in W4.
    pub head: Ptr,
    /// Layers on their grids, bf16.
    rounded: Ptr,
    pub gradients: Gradients,
    pub moment: Ptr,
    /// Adam's moments of the gains.
    pub gain_moments: [Ptr; 2],
    direction: Ptr,
    turn: [Ptr; 3],
    squares: Ptr,
    now: Ptr,
    sum: Ptr,
    /// The format of each linear of each layer, then that of the head.
    formats: Ptr,
}

impl<'d> Optimizer<'d> {
    /// Memory for a training to these formats; `keeping` says whether all layers are rounded and stepped together.
    pub fn new(
        device: &'d dyn Device,
        shape: KernelShape,
        formats: &[[WeightFormat; 7]],
        keeping: Keeping,
    ) -> Result<Self> {
        let mut m = Memory::new(device);
        let (s, all, gains) =
            (&shape, shape.sizes.layers * shape.layer(), shape.norms() * shape.sizes.hidden);
        let together = if keeping == Keeping::All { s.sizes.layers } else { 1 };
        let some = together * s.layer();
        let widest = s.parts().iter().map(Part::len).max().unwrap_or(0) * together;
        let square = s.parts().iter().map(|p| p.rows.min(p.cols).pow(2)).max().unwrap_or(0) * together;
        let embed = Table::new(&mut m, s.table())?;
        let own_head = if s.tied { None } else { Some(Table::new(&mut m, s.table())?) };
        let gradients = Gradients {
            layers: m.f32s(some)?,
            apart: if together > 1 { s.layer() } else { 0 },
            gains: m.f32s(gains)?,
            table: embed.gradient,
            head: own_head.unwrap_or(embed).gradient,
        };
        let codes: Vec<u32> =
            formats.iter().flatten().chain([&WeightFormat::W4]).map(|format| code(*format)).collect();
        let at = m.f32s(codes.len())?;
        put(device, at, &codes)?;
        let optimizer = Self {
            layers: m.f32s(all)?,
            gains: m.f32s(gains)?,
            head: m.bf16s(s.table())?,
            rounded: m.bf16s(some)?,
            moment: m.f32s(all)?,
            gain_moments: [m.f32s(gains)?, m.f32s(gains)?],
            direction: m.bf16s(some)?,
            turn: [m.bf16s(widest)?, m.bf16s(square)?, m.bf16s(square)?],
            squares: m.f32s(7 * together)?,
            now: m.f32s(8)?,
            sum: m.f32s(1)?,
            formats: at,
            embed,
            own_head,
            gradients,
            together,
            device,
            shape,
            _memory: m,
        };
        Ok(optimizer)
    }

    /// What the head is made of.
    pub fn head_table(&self) -> Table {
        self.own_head.unwrap_or(self.embed)
    }

    /// The layers from number `l` on that are in memory together, on their grids.
    pub fn round(&self, l: usize) -> Result<()> {
        let s = self.shape;
        for (i, part) in s.parts().into_iter().enumerate() {
            let (from, to) = (self.layers.f32s(l * s.layer() + part.at), self.rounded.bf16s(part.at));
            let size = [part.rows, part.cols, self.together];
            self.round_matrices(from, to, size, self.formats.f32s(7 * l + i))?;
        }
        Ok(())
    }

    /// The head in W4.
    pub fn round_head(&self) -> Result<()> {
        let size = [self.shape.sizes.vocab, self.shape.sizes.hidden, 1];
        let format = self.formats.f32s(7 * self.shape.sizes.layers);
        self.round_matrices(self.head_table().weights, self.head, size, format)
    }

    /// Rounds so many matrices of rows and columns: `size` is `[rows, cols, count]`.
    fn round_matrices(&self, from: Ptr, to: Ptr, size: [usize; 3], format: Ptr) -> Result<()> {
        let [rows, cols, count] = size;
        let grid =
            Grid { blocks: [rows.div_ceil(4), count, 1], threads: 128, shared: 4 * 4 * 2 * (cols / GROUP) };
        let what = [from.into(), to.into(), rows.into(), cols.into(), (self.shape.layer() as u64).into()];
        self.device.launch(
            "round_weights",
            grid,
            &[what.as_slice(), &[format.into(), 7usize.into()]].concat(),
        )
    }

    /// The weights of a layer on their grids: rounded now, where layers come one by one.
    pub fn layer(&self, l: usize) -> Result<Ptr> {
        match self.gradients.apart {
            0 => self.round(l).map(|()| self.rounded),
            apart => Ok(self.rounded.bf16s(l * apart)),
        }
    }

    /// The head in bf16, once its weights were put there.
    pub fn copy_head(&self) -> Result<()> {
        let count = self.shape.table();
        let arguments = [self.head_table().weights.into(), self.head.into(), (count as u64).into()];
        self.device.launch("to_bf16", Grid::each(count.div_ceil(4)), &arguments)
    }

    /// Says which step is next, counted from 0; before the kernels of [`Optimizer::step_layers`].
    pub fn set(&self, step: usize, rates: Rates) -> Result<()> {
        let full = |beta: f32| 1.0 / (1.0 - f64::from(beta).powf(step as f64 + 1.0)) as f32;
        let [first, second] = BETAS.map(full);
        let frozen = if rates.frozen { 1.0 } else { 0.0 };
        put(
            self.device,
            self.now,
            &[rates.muon, rates.embedding, rates.gains, MOMENTUM, first, second, frozen],
        )
    }

    /// What 2:4 drops becomes zero, in all layers.
    pub fn drop_for_good(&self) -> Result<()> {
        let s = self.shape;
        for (i, part) in s.parts().into_iter().enumerate() {
            let grid =
                Grid { blocks: [part.len().div_ceil(256), s.sizes.layers, 1], threads: 256, shared: 0 };
            let what =
                [self.layers.f32s(part.at).into(), (part.len() as u64).into(), (s.layer() as u64).into()];
            let format = [self.formats.f32s(i).into(), 7usize.into()];
            self.device.launch("drop", grid, &[what.as_slice(), &format].concat())?;
        }
        Ok(())
    }

    /// One step of the layers from number `l` on that are in memory together, down their gradients: of each linear on the device
    /// that owns it.
    pub fn step_layers(&self, l: usize) -> Result<()> {
        let (s, seat) = (&self.shape, self.device.seat());
        let weights = self.layers.f32s(l * s.layer());
        self.device.exchange(Exchange::SumAtOwner, &self.owned(self.gradients.layers, self.together))?;
        self.device.zero(self.squares, 4 * 7 * self.together)?;
        for (i, (part, owner)) in s.parts().into_iter().zip(owners(s, seat.count)).enumerate() {
            if owner == seat.rank {
                self.muon(l, i, part)?;
            }
        }
        self.device.exchange(Exchange::Share, &self.owned(weights, self.together))
    }

    /// Gives the momentum of all layers, which the linears' owners have, to all devices.
    pub fn share_moments(&self) -> Result<()> {
        self.device.exchange(Exchange::Share, &self.owned(self.moment, self.shape.sizes.layers))
    }

    /// A sum of all weights' bits, the same for the same weights.
    pub fn checksum(&self) -> Result<u32> {
        let s = &self.shape;
        let tables = [Some(self.embed), self.own_head].into_iter().flatten();
        let tables = tables.map(|t| (t.weights, s.table()));
        let rest =
            [(self.layers, s.sizes.layers * s.layer()), (self.gains, s.norms() * s.sizes.hidden)].into_iter();
        self.device.zero(self.sum, 4)?;
        for (at, count) in tables.chain(rest) {
            let grid = Grid { blocks: [count.div_ceil(256).min(1024), 1, 1], threads: 256, shared: 0 };
            let arguments = [at.into(), self.sum.into(), (count as u64).into()];
            self.device.launch("checksum", grid, &arguments)?;
        }
        Ok(fetch::<u32>(self.device, self.sum, 1)?[0])
    }

    /// What lies at `at`, of so many layers, with its owners; neighbours of one owner are one piece.
    pub fn owned(&self, at: Ptr, layers: usize) -> Vec<Piece> {
        let s = &self.shape;
        let owners = owners(s, self.device.seat().count);
        let mut pieces: Vec<Piece> = Vec::new();
        for l in 0..layers {
            for (part, owner) in s.parts().into_iter().zip(owners) {
                match pieces.last_mut() {
                    Some(last) if last.owner == owner => last.count += part.len(),
                    _ => {
                        pieces.push(Piece { at: at.f32s(l * s.layer() + part.at), count: part.len(), owner })
                    }
                }
            }
        }
        pieces
    }

    /// One step of embedding, head and gains, on each device.
    pub fn step_tables(&self) -> Result<()> {
        let (s, g) = (self.shape, self.gradients);
        let piece = |at, count| Piece { at, count, owner: 0 };
        let tables = [Some(self.embed), self.own_head].into_iter().flatten();
        let mut pieces: Vec<Piece> = tables.map(|t| piece(t.gradient, s.table())).collect();
        pieces.push(piece(g.gains, s.norms() * s.sizes.hidden));
        self.device.exchange(Exchange::Sum, &pieces)?;
        let table = |t: Table, rounded| (t.weights, t.gradient, t.moments, rounded, s.table(), 0usize);
        let mut all = vec![(self.gains, g.gains, self.gain_moments, Ptr(0), s.norms() * s.sizes.hidden, 1)];
        match self.own_head {
            None => all.push(table(self.embed, self.head)),
            Some(head) => all.extend([table(self.embed, Ptr(0)), table(head, self.head)]),
        }
        for (w, d, [m, v], rounded, count, kind) in all {
            let to = [w.into(), d.into(), m.into(), v.into(), rounded.into()];
            let how = [(count as u64).into(), kind.into(), self.now.into()];
            self.device.launch("adam", Grid::each(count), &[to.as_slice(), &how].concat())?;
        }
        Ok(())
    }

    /// Weight `i` of the layers from number `l` on.
    fn muon(&self, l: usize, i: usize, part: Part) -> Result<()> {
        let s = self.shape;
        let squares = self.squares.f32s(i * self.together);
        let formats = [self.formats.f32s(7 * l + i).into(), 7usize.into()];
        let (count, stride, at) = (part.len() as u64, s.layer() as u64, l * s.layer() + part.at);
        let x = self.direction.bf16s(part.at);
        let blocks = part.len().div_ceil(4 * 256 * 4);
        let grid = Grid { blocks: [blocks, self.together, 1], threads: 256, shared: 0 };
        let (gradient, moment) = (self.gradients.layers.f32s(part.at), self.moment.f32s(at));
        let weights = self.layers.f32s(at);
        let to = [weights.into(), gradient.into(), moment.into(), x.into(), squares.into()];
        let how = [count.into(), stride.into(), self.now.into()];
        self.device.launch("muon_begin", grid, &[to.as_slice(), &how, &formats].concat())?;
        let arguments = [x.into(), squares.into(), count.into(), stride.into()];
        self.device.launch("muon_scale", grid, &arguments)?;
        let (x, x_stride) = self.orthogonal(part, x)?;
        let factor = 0.2 * (part.rows.max(part.cols) as f32).sqrt();
        let how = [count.into(), stride.into(), (x_stride as u64).into(), factor.into(), self.now.into()];
        self.device.launch(
            "muon_end",
            grid,
            &[[weights.into(), x.into()].as_slice(), &how, &formats].concat(),
        )
    }

    /// Newton-Schulz; returns where the result lies, and elements from one layer's to the next.
    fn orthogonal(&self, part: Part, x: Ptr) -> Result<(Ptr, usize)> {
        let s = self.shape;
        let [other, a, b] = self.turn;
        let [c1, c2, c3] = COEFFICIENTS;
        let (rows, cols) = (part.rows, part.cols);
        let side = rows.min(cols);
        let mut from = (x, s.layer());
        let mut to = (other, part.len());
        let square = |at, transposed| Operand { at, row: side, transposed, stride: side * side };
        for _ in 0..TURNS {
            let operand = |transposed| Operand { at: from.0, row: cols, transposed, stride: from.1 };
            let batch = |with: usize, out: usize| (self.together, [with, out]);
            let squares = batch(side * side, side * side);
            let long = rows.max(cols);
            let size = [side, long, side];
            // Whichever side is shorter.
            let tall = rows > cols;
            let gram = Product::new(size, operand(tall), operand(!tall), a, Out::Bf16);
            self.device.multiply(&Product { batch: squares, ..gram })?;
            let size = [side; 3];
            let mixed = Product::new(size, square(a, false), square(a, false), b, Out::Bf16);
            self.device.multiply(&Product { alpha: c3, beta: c2, with: a, batch: squares, ..mixed })?;
            let (left, right) =
                if tall { (operand(false), square(b, false)) } else { (square(b, false), operand(false)) };
            let turned = Product::new([rows, side, cols], left, right, to.0, Out::Bf16);
            let batch = batch(from.1, to.1);
            self.device.multiply(&Product { beta: c1, with: from.0, batch, ..turned })?;
            std::mem::swap(&mut from, &mut to);
        }
        Ok(from)
    }
}

/// The device that makes the steps of each of a layer's linears: neighbours, for about the same time. No more than seven devices
/// have any.
fn owners(s: &KernelShape, devices: usize) -> [usize; 7] {
    // What Newton-Schulz costs.
    let cost = |p: Part| {
        let (side, long) = (p.rows.min(p.cols) as f64, p.rows.max(p.cols) as f64);
        side * side * (2.0 * long + side)
    };
    let all: f64 = s.parts().into_iter().map(cost).sum();
    let mut before = 0.0;
    s.parts().map(|p| {
        let middle = before + cost(p) / 2.0;
        before += cost(p);
        ((middle / all * devices as f64) as usize).min(devices - 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::tests::config;

    #[test]
    fn devices_share_the_linears() {
        let of = |hidden, ff| {
            let mut shape = KernelShape::of(&config()).unwrap();
            (shape.sizes.hidden, shape.sizes.ff) = (hidden, ff);
            (shape.sizes.heads, shape.sizes.kv_heads) = (hidden / 64, hidden / 192);
            shape
        };
        let smol = of(576, 1536);
        assert_eq!(owners(&smol, 1), [0; 7]);
        assert_eq!(owners(&smol, 2), [0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(owners(&smol, 4), [0, 0, 0, 0, 1, 2, 3]);
        assert!(owners(&smol, 16).is_sorted() && owners(&smol, 16)[6] < 16);
    }
}

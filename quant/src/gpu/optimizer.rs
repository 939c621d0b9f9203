//! Muon for the matrices of the layers, Adam for embedding and gains.
//!
//! Muon (Jordan et al., 2024): the momentum of a weight's gradient is made nearly orthogonal by five Newton-Schulz turns,
//! `X <- a X + (b A + c A^2) X` with `A = X X^T` (or `X^T X` from the right, whichever is smaller), and its size is matched to
//! Adam's by 0.2 times the square root of the longer side (arXiv 2502.16982).

use super::device::{Device, Grid, Memory, Operand, Out, Product, Ptr, put};
use super::net::Gradients;
use super::shape::{KernelShape, Part};
use crate::Result;
use crate::model::GROUP;

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
}

/// The student's weights in f32, what is read of them, and the moments.
pub(super) struct Optimizer<'d> {
    pub device: &'d dyn Device,
    pub shape: KernelShape,
    _memory: Memory<'d>,
    /// As `KernelShape::parts` lays them out, all layers.
    pub layers: Ptr,
    pub gains: Ptr,
    pub table: Ptr,
    /// The table in bf16, or in W4.
    pub head: Ptr,
    /// The layers in W2 2:4, bf16.
    pub rounded: Ptr,
    pub gradients: Gradients,
    pub moment: Ptr,
    /// Adam's: first and second of the table, first and second of the gains.
    pub adam: [Ptr; 4],
    direction: Ptr,
    turn: [Ptr; 3],
    squares: Ptr,
    now: Ptr,
}

impl<'d> Optimizer<'d> {
    pub fn new(device: &'d dyn Device, shape: KernelShape) -> Result<Self> {
        let mut m = Memory::new(device);
        let (s, all) = (&shape, shape.sizes.layers * shape.layer());
        let (table, gains) = (s.sizes.vocab * s.sizes.hidden, s.norms() * s.sizes.hidden);
        let widest = s.parts().iter().map(Part::len).max().unwrap_or(0) * s.sizes.layers;
        let square = s.parts().iter().map(|p| p.rows.min(p.cols).pow(2)).max().unwrap_or(0) * s.sizes.layers;
        let optimizer = Self {
            layers: m.f32s(all)?,
            gains: m.f32s(gains)?,
            table: m.f32s(table)?,
            head: m.bf16s(table)?,
            rounded: m.bf16s(all)?,
            gradients: Gradients { layers: m.f32s(all)?, gains: m.f32s(gains)?, table: m.f32s(table)? },
            moment: m.f32s(all)?,
            adam: [m.f32s(table)?, m.f32s(table)?, m.f32s(gains)?, m.f32s(gains)?],
            direction: m.bf16s(all)?,
            turn: [m.bf16s(widest)?, m.bf16s(square)?, m.bf16s(square)?],
            squares: m.f32s(7 * s.sizes.layers)?,
            now: m.f32s(8)?,
            device,
            shape,
            _memory: m,
        };
        Ok(optimizer)
    }

    /// The weights in W2 2:4.
    pub fn round(&self) -> Result<()> {
        let s = self.shape;
        let [q, _, _, o, gate, _, down] = s.parts();
        for (part, rows) in [(q, s.qkv()), (o, o.rows), (gate, 2 * gate.rows), (down, down.rows)] {
            let blocks = [rows.div_ceil(4), s.sizes.layers, 1];
            let grid = Grid { blocks, threads: 128, shared: 4 * 4 * (part.cols / 32) };
            let (from, to) = (self.layers.f32s(part.at), self.rounded.bf16s(part.at));
            let size = [rows.into(), part.cols.into(), (s.layer() as u64).into()];
            self.device.launch(
                "round_weights",
                grid,
                &[from.into(), to.into(), size[0], size[1], size[2]],
            )?;
        }
        Ok(())
    }

    /// The head in W4.
    pub fn round_head(&self) -> Result<()> {
        let (rows, cols) = (self.shape.sizes.vocab, self.shape.sizes.hidden);
        let grid =
            Grid { blocks: [rows.div_ceil(4), 1, 1], threads: 128, shared: 4 * 4 * 2 * (cols / GROUP) };
        let arguments = [self.table.into(), self.head.into(), rows.into(), cols.into()];
        self.device.launch("round_head", grid, &arguments)
    }

    /// The table in bf16, once it was put there.
    pub fn copy_head(&self) -> Result<()> {
        let count = self.shape.sizes.vocab * self.shape.sizes.hidden;
        let arguments = [self.table.into(), self.head.into(), (count as u64).into()];
        self.device.launch("to_bf16", Grid::each(count.div_ceil(4)), &arguments)
    }

    /// Says which step is next, counted from 0; before the kernels of [`Optimizer::step`].
    pub fn set(&self, step: usize, rates: Rates) -> Result<()> {
        let full = |beta: f32| 1.0 / (1.0 - f64::from(beta).powf(step as f64 + 1.0)) as f32;
        let [first, second] = BETAS.map(full);
        put(self.device, self.now, &[rates.muon, rates.embedding, rates.gains, MOMENTUM, first, second])
    }

    /// One step down the gradients.
    pub fn step(&self) -> Result<()> {
        let s = self.shape;
        self.device.zero(self.squares, 4 * 7 * s.sizes.layers)?;
        for (i, part) in s.parts().into_iter().enumerate() {
            self.muon(part, self.squares.f32s(i * s.sizes.layers))?;
        }
        let g = self.gradients;
        let [m, v, gain_m, gain_v] = self.adam;
        let table = (s.sizes.vocab * s.sizes.hidden, 0usize);
        let gains = (s.norms() * s.sizes.hidden, 1usize);
        for (w, d, m, v, rounded, (count, kind)) in [
            (self.table, g.table, m, v, self.head, table),
            (self.gains, g.gains, gain_m, gain_v, Ptr(0), gains),
        ] {
            let arguments = [
                w.into(),
                d.into(),
                m.into(),
                v.into(),
                rounded.into(),
                (count as u64).into(),
                kind.into(),
                self.now.into(),
            ];
            self.device.launch("adam", Grid::each(count), &arguments)?;
        }
        Ok(())
    }

    /// The weights `part` of all layers.
    fn muon(&self, part: Part, squares: Ptr) -> Result<()> {
        let s = self.shape;
        let (count, stride) = (part.len() as u64, s.layer() as u64);
        let x = self.direction.bf16s(part.at);
        let blocks = part.len().div_ceil(4 * 256 * 4);
        let grid = Grid { blocks: [blocks, s.sizes.layers, 1], threads: 256, shared: 0 };
        let gradient = self.gradients.layers.f32s(part.at);
        let moment = self.moment.f32s(part.at);
        let to = [gradient.into(), moment.into(), x.into(), squares.into()];
        let how = [count.into(), stride.into(), self.now.into()];
        self.device.launch("muon_begin", grid, &[to.as_slice(), &how].concat())?;
        let arguments = [x.into(), squares.into(), count.into(), stride.into()];
        self.device.launch("muon_scale", grid, &arguments)?;
        let (x, x_stride) = self.orthogonal(part, x)?;
        let factor = 0.2 * (part.rows.max(part.cols) as f32).sqrt();
        let weights = self.layers.f32s(part.at);
        let how = [count.into(), stride.into(), (x_stride as u64).into(), factor.into(), self.now.into()];
        self.device.launch("muon_end", grid, &[[weights.into(), x.into()].as_slice(), &how].concat())
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
            let batch = |with: usize, out: usize| (s.sizes.layers, [with, out]);
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

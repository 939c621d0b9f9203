//! Quantized weights of one linear layer.

use accllm_hw::beat::{OFFSET_SHIFT, WeightFormat};
use accllm_hw::config::GROUP;

/// Levels of a matrix with the scales and offsets of their groups:
/// `value[r][c] = level[r][c] * scale[r][c / 32] + 4 * offset[r][c / 32]`, an integer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    /// Level set.
    pub format: WeightFormat,
    /// Output features.
    pub rows: usize,
    /// Input features, before padding to a multiple of 32.
    pub cols: usize,
    /// `[rows, cols_padded]`, 0 where pruned or padded.
    pub level: Vec<i8>,
    /// `[rows, cols_padded / 32]`.
    pub scale: Vec<u8>,
    /// `[rows, cols_padded / 32]` for W4, empty for other formats.
    pub offset: Vec<i8>,
}

impl Levels {
    /// Columns rounded up to a multiple of 32.
    pub fn cols_padded(&self) -> usize {
        self.cols.next_multiple_of(GROUP)
    }

    /// Scale groups per row.
    pub fn groups(&self) -> usize {
        self.cols_padded() / GROUP
    }

    /// Exchanges two rows.
    fn swap_rows(&mut self, a: usize, b: usize) {
        let (width, groups) = (self.cols_padded(), self.groups());
        (0..width).for_each(|i| self.level.swap(a * width + i, b * width + i));
        (0..groups).for_each(|i| self.scale.swap(a * groups + i, b * groups + i));
        if !self.offset.is_empty() {
            (0..groups).for_each(|i| self.offset.swap(a * groups + i, b * groups + i));
        }
    }

    /// The values of row `r`: `cols_padded` of them, at most 2552 in magnitude.
    pub fn integer_row(&self, r: usize) -> impl Iterator<Item = i16> + '_ {
        let (width, groups) = (self.cols_padded(), self.groups());
        let levels = &self.level[r * width..(r + 1) * width];
        let scales = &self.scale[r * groups..(r + 1) * groups];
        let groups = levels.chunks_exact(GROUP).zip(scales).enumerate();
        groups.flat_map(move |(g, (level, scale))| {
            let offset = i16::from(self.offset.get(r * self.groups() + g).copied().unwrap_or(0));
            level.iter().map(move |l| i16::from(*l) * i16::from(*scale) + (offset << OFFSET_SHIFT))
        })
    }
}

/// A linear layer: `y[r] = sat32(rs(mult[r] * sum_c x[c]*w[r][c], shift[r]))`, plus a bias where it has one, with `w`
/// the values of `grid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// `w`.
    pub grid: Levels,
    /// `[rows]`.
    pub mult: Vec<u16>,
    /// `[rows]`, 0..=63.
    pub shift: Vec<u8>,
    /// `[rows]`, of 26 bits, in units of the output; empty where there is none.
    pub bias: Vec<i32>,
}

impl Weight {
    /// Exchanges two rows.
    pub fn swap_rows(&mut self, a: usize, b: usize) {
        self.grid.swap_rows(a, b);
        self.mult.swap(a, b);
        self.shift.swap(a, b);
        if !self.bias.is_empty() {
            self.bias.swap(a, b);
        }
    }
}

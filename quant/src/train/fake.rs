//! Weights that are trained on their grid: real numbers behind, levels and 8-bit scales in front.
//!
//! A weight is `level(v) * scale + offset`: `v` is kept in units of levels (so that one learning rate serves all weights)
//! and `scale` as its logarithm; the offset (of W4) stays as it was found. Rounding and 2:4 selection are passed straight
//! through by the gradient (Bengio et al., arXiv 1308.3432); scales get theirs exactly, up to their rounding to 8 bits.

use super::kernel::{slice, with_data};
use crate::grid::{GridRow, GridWeight, OFFSET, Step, best_two, nearest, unit};
use accllm_llm::float::Matrix;
use accllm_llm::model::{GROUP, Levels, WeightFormat};
use accllm_llm::simd::{Simd, versions};
use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor, Var};
use rayon::prelude::*;
use std::sync::Arc;

/// How far beyond the outermost level `v` may be pushed.
const BEYOND: f32 = 0.5;
/// Largest `v` of a column that starts out pruned, relative to the smallest one kept in its four.
const PRUNED: f32 = 0.9;

/// A trained linear weight.
pub(super) struct LatentWeight {
    /// `[rows, cols_padded]`, in levels.
    pub v: Var,
    /// `[rows, groups]`, natural logarithm of the group's step.
    pub log_scale: Var,
    grid: Grid,
}

/// Format of a weight, its columns before padding, and the padded column of each.
pub(super) struct LatentShape {
    pub format: WeightFormat,
    pub cols: usize,
    pub columns: Arc<Vec<usize>>,
}

/// Shape of a grid.
#[derive(Clone)]
pub(super) struct Grid {
    format: WeightFormat,
    rows: usize,
    /// Columns before padding to a whole group.
    cols: usize,
    /// Padded width.
    width: usize,
    /// Padded column of each real one.
    columns: Arc<Vec<usize>>,
    /// The same in pieces of neighbours within a group.
    runs: Arc<Vec<Run>>,
    /// Whether a padded column is a real one.
    used: Arc<Vec<bool>>,
    /// `[rows, groups]`, in real units; empty where all are 0.
    offset: Arc<Vec<f32>>,
}

/// Columns next to each other within a group.
struct Run {
    /// The first of them, and its place in the padded row.
    column: usize,
    padded: usize,
    count: usize,
}

/// Pieces of neighbours among real columns.
fn runs(columns: &[usize]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (column, padded) in columns.iter().copied().enumerate() {
        match runs.last_mut() {
            Some(r) if r.padded + r.count == padded && !padded.is_multiple_of(GROUP) => r.count += 1,
            _ => runs.push(Run { column, padded, count: 1 }),
        }
    }
    runs
}

impl LatentWeight {
    /// Starts at `fitted`, a fit of `w` whose real columns are `columns`; `w` says where in its cell each weight lies.
    pub fn new(w: &Matrix, fitted: &GridWeight, columns: Arc<Vec<usize>>, device: &Device) -> Result<Self> {
        let (width, groups) = (fitted.grid.cols_padded(), fitted.grid.cols_padded() / GROUP);
        let step = |r: usize, g: usize| f32::from(fitted.grid.scale[r * groups + g]) * fitted.row_scale[r];
        let offsets = fitted.grid.offset.iter().enumerate();
        let offset: Vec<f32> =
            offsets.map(|(i, o)| f32::from(*o) * OFFSET * fitted.row_scale[i / groups]).collect();
        let middle = |r: usize, g: usize| offset.get(r * groups + g).copied().unwrap_or(0.0);
        let mut v = vec![0.0f32; fitted.grid.rows * width];
        v.par_chunks_mut(width).enumerate().for_each(|(r, v)| {
            for (c, w) in columns.iter().zip(w.row(r)) {
                let step = step(r, c / GROUP);
                v[*c] = if step > 0.0 { (w - middle(r, c / GROUP)) / step } else { 0.0 };
            }
            let level = &fitted.grid.level[r * width..(r + 1) * width];
            for (v, level) in v.chunks_exact_mut(4).zip(level.chunks_exact(4)) {
                start(v, level, fitted.grid.format);
            }
        });
        let log_scale: Vec<f32> =
            (0..fitted.grid.rows * groups).map(|i| step(i / groups, i % groups).ln()).collect();
        let grid = Grid::new(fitted.grid.format, fitted.grid.rows, fitted.grid.cols, columns, offset);
        Ok(Self {
            v: Var::from_vec(v, (grid.rows, width), device)?,
            log_scale: Var::from_vec(log_scale, (grid.rows, groups), device)?,
            grid,
        })
    }

    /// A weight whose training goes on: `v`, `log_scale` and offsets as they were.
    pub fn restore(v: &Tensor, log_scale: &Tensor, offset: Vec<f32>, shape: LatentShape) -> Result<Self> {
        let LatentShape { format, cols, columns } = shape;
        let (rows, width) = v.dims2()?;
        let offsets = if format == WeightFormat::W4 { log_scale.elem_count() } else { 0 };
        if width != cols.next_multiple_of(GROUP)
            || log_scale.dims2()? != (rows, width / GROUP)
            || offset.len() != offsets
        {
            return Err(candle_core::Error::Msg(format!("a weight of {rows} x {width} has other scales")));
        }
        let grid = Grid::new(format, rows, cols, columns, offset);
        Ok(Self { v: Var::from_tensor(v)?, log_scale: Var::from_tensor(log_scale)?, grid })
    }

    #[cfg(test)]
    pub fn shape(&self) -> LatentShape {
        let Grid { format, cols, columns, .. } = &self.grid;
        LatentShape { format: *format, cols: *cols, columns: columns.clone() }
    }

    /// Offsets in real units, `[rows, groups]`; empty where all are 0.
    pub fn offset(&self) -> &[f32] {
        &self.grid.offset
    }

    /// Output features.
    pub fn rows(&self) -> usize {
        self.grid.rows
    }

    /// Shape of the grid.
    #[cfg(test)]
    pub fn grid_shape(&self) -> &Grid {
        &self.grid
    }

    /// The weight on its grid, `[rows, real columns]`.
    pub fn weight(&self) -> Result<Tensor> {
        self.v.apply_op2(&self.log_scale, FakeWeight(self.grid.clone()))
    }

    /// The grid reached.
    pub fn grid(&self) -> Result<GridWeight> {
        let v = self.v.flatten_all()?.to_vec1::<f32>()?;
        let log_scale = self.log_scale.flatten_all()?.to_vec1::<f32>()?;
        let g = &self.grid;
        let groups = g.width / GROUP;
        let mut out = Levels {
            format: g.format,
            rows: g.rows,
            cols: g.cols,
            level: vec![0; g.rows * g.width],
            scale: vec![0; g.rows * groups],
            offset: vec![0; g.offset.len()],
        };
        let mut row_scale = Vec::with_capacity(g.rows);
        for r in 0..g.rows {
            let Scales { scale, offset, unit } = g.scales(r, &log_scale[r * groups..(r + 1) * groups]);
            out.offset.iter_mut().skip(r * groups).zip(offset).for_each(|(to, o)| *to = o);
            let level = &mut out.level[r * g.width..(r + 1) * g.width];
            g.levels(&v[r * g.width..(r + 1) * g.width], &scale, level);
            out.scale[r * groups..(r + 1) * groups].copy_from_slice(&scale);
            row_scale.push(unit);
        }
        Ok(GridWeight { grid: out, row_scale })
    }
}

/// Moves the four `v` into the cells of their levels; those without a level to where they are not chosen.
fn start(v: &mut [f32], level: &[i8], format: WeightFormat) {
    let cell = |v: f32, l: i8| {
        let (low, high) = match (format, l.abs()) {
            (WeightFormat::W2Sparse, 1) => (0.55, 1.45),
            (WeightFormat::W2Sparse, _) => (1.55, 2.0 + BEYOND),
            (WeightFormat::W2Dense, 1) => (0.05, 1.95),
            (WeightFormat::W2Dense, _) => (2.05, 3.0 + BEYOND),
            (WeightFormat::W4, _) => return v.clamp(f32::from(l) - 0.45, f32::from(l) + 0.45),
        };
        let sign = f32::from(l.signum());
        sign * (v * sign).clamp(low, high)
    };
    let mut least = f32::INFINITY;
    for (v, l) in v.iter_mut().zip(level).filter(|(_, l)| **l != 0 || format == WeightFormat::W4) {
        *v = cell(*v, *l);
        least = least.min(v.abs());
    }
    if format == WeightFormat::W2Sparse && least.is_finite() {
        for (v, _) in v.iter_mut().zip(level).filter(|(_, l)| **l == 0) {
            *v = v.clamp(-PRUNED * least, PRUNED * least);
        }
    }
}

/// 8-bit scales and offsets of a row, and what one of the scales stands for.
struct Scales {
    scale: Vec<u8>,
    offset: Vec<i8>,
    unit: f32,
}

impl Scales {
    /// Offset of group `g`, in units.
    fn offset(&self, g: usize) -> f32 {
        self.offset.get(g).map_or(0.0, |o| OFFSET * f32::from(*o))
    }
}

impl Grid {
    fn new(
        format: WeightFormat,
        rows: usize,
        cols: usize,
        columns: Arc<Vec<usize>>,
        offset: Vec<f32>,
    ) -> Self {
        let width = cols.next_multiple_of(GROUP);
        let mut used = vec![false; width];
        columns.iter().for_each(|c| used[*c] = true);
        let (runs, used, offset) = (Arc::new(runs(&columns)), Arc::new(used), Arc::new(offset));
        Self { format, rows, cols, width, columns, runs, used, offset }
    }

    /// Offsets of row `r`, in real units.
    fn offsets(&self, r: usize) -> &[f32] {
        let groups = self.width / GROUP;
        self.offset.get(r * groups..(r + 1) * groups).unwrap_or(&[])
    }

    /// Scales of row `r` as 8 bits hold them.
    fn scales(&self, r: usize, log_scale: &[f32]) -> Scales {
        let offsets = self.offsets(r);
        let step =
            |(g, l): (usize, &f32)| Step { size: l.exp(), offset: offsets.get(g).copied().unwrap_or(0.0) };
        let steps: Vec<Step> = log_scale.iter().enumerate().map(step).collect();
        let unit = unit(&steps);
        if !(unit > 0.0 && unit.is_finite()) {
            return Scales { scale: vec![0; steps.len()], offset: vec![0; offsets.len()], unit: 0.0 };
        }
        let mut row = GridRow::zero(self.width, self.format, unit);
        for (g, step) in steps.iter().enumerate() {
            row.set(g, *step);
        }
        Scales { scale: row.scale, offset: row.offset, unit }
    }

    /// Levels of one row.
    fn levels(&self, v: &[f32], scale: &[u8], level: &mut [i8]) {
        let simd = Simd::best();
        let groups = v.chunks_exact(GROUP).zip(level.chunks_exact_mut(GROUP)).zip(scale);
        for (g, ((v, level), scale)) in groups.enumerate() {
            let used = &self.used[g * GROUP..(g + 1) * GROUP];
            if *scale == 0 {
                level.fill(0);
                continue;
            }
            match self.format {
                WeightFormat::W2Sparse => sparse(simd, v, used, level),
                format => {
                    for ((l, v), used) in level.iter_mut().zip(v).zip(used) {
                        *l = if *used { nearest(*v, format) as i8 } else { 0 };
                    }
                }
            }
        }
    }

    /// Where a weight lies beyond all levels.
    pub fn outermost(&self) -> f32 {
        let top = match self.format {
            WeightFormat::W2Sparse => 2.0,
            WeightFormat::W2Dense => 3.0,
            WeightFormat::W4 => 7.0,
        };
        top + BEYOND
    }
}

versions! {
    /// W2 2:4 levels of a group.
    fn sparse(v: &[f32], used: &[bool], level: &mut [i8]) {
        let fours = v.as_chunks::<4>().0.iter().zip(used.as_chunks::<4>().0);
        for ((v, used), level) in fours.zip(level.as_chunks_mut::<4>().0) {
            let size: [f32; 4] = std::array::from_fn(|i| if used[i] { v[i].abs() } else { -1.0 });
            let kept = best_two(size);
            *level = std::array::from_fn(|i| {
                let magnitude = 1 + i8::from(size[i] >= 1.5);
                let signed = if v[i] < 0.0 { -magnitude } else { magnitude };
                if kept[i] & used[i] { signed } else { 0 }
            });
        }
    }
}

versions! {
    /// Weights of levels with one step.
    fn weigh(level: &[i8], scale: f32, offset: f32, unit: f32, out: &mut [f32]) {
        for (out, level) in out.iter_mut().zip(level) {
            *out = (f32::from(*level) * scale + offset) * unit;
        }
    }
}

versions! {
    /// Gradients `dv` of weights `w` with one step, from theirs; returns that of the step's logarithm.
    fn weigh_back(v: &[f32], w: &[f32], dw: &[f32], step: f32, offset: f32, top: f32, dv: &mut [f32]) -> f32 {
        let mut lanes = [0.0f32; 16];
        let parts = dv.chunks_mut(16).zip(v.chunks(16)).zip(w.chunks(16)).zip(dw.chunks(16));
        for (((dv, v), w), dw) in parts {
            for ((((lane, dv), v), w), dw) in lanes.iter_mut().zip(dv).zip(v).zip(w).zip(dw) {
                let outward = (v.abs() > top) & ((*v > 0.0) == (*dw < 0.0));
                *dv = if outward { 0.0 } else { dw * step };
                *lane += dw * (w - offset);
            }
        }
        lanes.iter().sum()
    }
}

struct FakeWeight(Grid);

impl CustomOp2 for FakeWeight {
    fn name(&self) -> &'static str {
        "fake-weight"
    }

    fn cpu_fwd(
        &self,
        v: &CpuStorage,
        lv: &Layout,
        s: &CpuStorage,
        ls: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (v, s, g) = (slice(v, lv)?, slice(s, ls)?, &self.0);
        let (groups, cols, simd) = (g.width / GROUP, g.columns.len(), Simd::best());
        let mut out = vec![0.0f32; g.rows * cols];
        let rows = out.par_chunks_mut(cols).zip(v.par_chunks(g.width)).zip(s.par_chunks(groups));
        rows.enumerate().for_each(|(r, ((out, v), s))| {
            let scales = g.scales(r, s);
            let mut level = vec![0i8; g.width];
            g.levels(v, &scales.scale, &mut level);
            for run in g.runs.iter() {
                let i = run.padded / GROUP;
                let (level, out) = (&level[run.padded..][..run.count], &mut out[run.column..][..run.count]);
                weigh(simd, level, f32::from(scales.scale[i]), scales.offset(i), scales.unit, out);
            }
        });
        Ok((CpuStorage::F32(out), Shape::from((g.rows, cols))))
    }

    fn bwd(
        &self,
        v: &Tensor,
        s: &Tensor,
        w: &Tensor,
        dw: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let g = &self.0;
        let (groups, cols, top, simd) = (g.width / GROUP, g.columns.len(), g.outermost(), Simd::best());
        let row = |r: usize, [v, s, w, dw]: [&[f32]; 4], (dv, ds): (&mut [f32], &mut [f32])| {
            let scales = g.scales(r, s);
            for run in g.runs.iter() {
                let i = run.padded / GROUP;
                let [w, dw] = [w, dw].map(|x| &x[run.column..][..run.count]);
                let (v, dv) = (&v[run.padded..][..run.count], &mut dv[run.padded..][..run.count]);
                let (step, offset) =
                    (f32::from(scales.scale[i]) * scales.unit, scales.offset(i) * scales.unit);
                ds[i] += weigh_back(simd, v, w, dw, step, offset, top, dv);
            }
        };
        let (mut dv, mut ds) = (vec![0.0f32; g.rows * g.width], vec![0.0f32; g.rows * groups]);
        with_data([v, s, w, dw], |[v, s, w, dw]| {
            let given = v.par_chunks(g.width).zip(s.par_chunks(groups));
            let given = given.zip(w.par_chunks(cols)).zip(dw.par_chunks(cols));
            let wanted = dv.par_chunks_mut(g.width).zip(ds.par_chunks_mut(groups));
            given.zip(wanted).enumerate().for_each(|(r, ((((v, s), w), dw), wanted))| {
                row(r, [v, s, w, dw], wanted);
            });
        })?;
        let tensor = |data, like: &Tensor| Tensor::from_vec(data, like.shape(), like.device());
        Ok((Some(tensor(dv, v)?), Some(tensor(ds, s)?)))
    }
}

/// The same from the library's operations. Beyond the outermost level it also passes the gradient that leads further
/// out, which changes no level.
#[cfg(test)]
pub(super) mod composed {
    use super::*;
    use candle_core::D;

    pub fn weight(v: &Tensor, log_scale: &Tensor, g: &Grid) -> Result<Tensor> {
        let groups = g.width / GROUP;
        let device = v.device();
        let used: Vec<f32> = g.used.iter().map(|u| f32::from(u8::from(*u))).collect();
        let used = Tensor::from_vec(used, (1, g.width), device)?;
        let level = rounded(&v.detach(), &used, g)?;
        let level = (v + (level - v)?.detach())?.broadcast_mul(&used)?;
        // A group without a scale stays zero; the ones keep zeros from dividing zeros.
        let real = log_scale.exp()?;
        let none = real.le(0.0)?.to_dtype(v.dtype())?;
        let mut unit = (real.max_keepdim(D::Minus1)? / 255.0)?;
        let mut offset = None;
        if !g.offset.is_empty() {
            let real = Tensor::from_vec(g.offset.to_vec(), (g.rows, groups), device)?;
            let most = f64::from(OFFSET) * 127.0;
            unit = unit.maximum(&(real.abs()?.max_keepdim(D::Minus1)? / most)?)?;
            offset = Some(real);
        }
        let unit = (&unit + unit.le(0.0)?.to_dtype(v.dtype())?)?;
        let eight = real.broadcast_div(&unit)?.round()?.clamp(1.0, 255.0)?.broadcast_mul(&unit)?;
        let scale = (&real * (eight / (&real + none)?)?.detach())?;
        let scale = scale.reshape((g.rows, groups, 1))?;
        let mut w = level.reshape((g.rows, groups, GROUP))?.broadcast_mul(&scale)?;
        if let Some(offset) = offset {
            let one = (&unit * f64::from(OFFSET))?.detach();
            let held = offset.broadcast_div(&one)?.round()?.broadcast_mul(&one)?;
            w = w.broadcast_add(&held.reshape((g.rows, groups, 1))?)?;
        }
        let w = w.reshape((g.rows, g.width))?;
        let columns: Vec<u32> = g.columns.iter().map(|c| *c as u32).collect();
        w.index_select(&Tensor::from_vec(columns, g.columns.len(), device)?, 1)
    }

    fn rounded(v: &Tensor, used: &Tensor, g: &Grid) -> Result<Tensor> {
        let sign = ((v.ge(0.0)?.to_dtype(v.dtype())? * 2.0)? - 1.0)?;
        let magnitude = v.abs()?;
        let far = |from: f64| magnitude.ge(from)?.to_dtype(v.dtype());
        match g.format {
            WeightFormat::W4 => v.round()?.clamp(-8.0, 7.0),
            WeightFormat::W2Dense => ((far(2.0)? * 2.0)? + 1.0)? * sign,
            WeightFormat::W2Sparse => {
                let four = (g.rows, g.width / 4, 4, 1);
                let m = ((&magnitude + 1.0)?.broadcast_mul(used)?).reshape(four)?;
                let other = m.transpose(2, 3)?;
                let shape = (g.rows, g.width / 4, 4, 4);
                let (m, other) = (m.broadcast_as(shape)?, other.broadcast_as(shape)?);
                let earlier: Vec<f32> = (0..16).map(|i| if i % 4 < i / 4 { 1.0 } else { 0.0 }).collect();
                let earlier = Tensor::from_vec(earlier, (1, 1, 4, 4), v.device())?;
                let before = other.gt(&m)?.to_dtype(v.dtype())?;
                let equal = other.eq(&m)?.to_dtype(v.dtype())?.broadcast_mul(&earlier)?;
                let kept = (before + equal)?.sum(3)?.lt(2.0)?.to_dtype(v.dtype())?;
                ((far(1.5)? + 1.0)? * sign)? * kept.reshape((g.rows, g.width))?
            }
        }
    }
}

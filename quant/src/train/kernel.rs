//! Matrix products on strided slices, and access to the elements of tensors.

use candle_core::{CpuStorage, Error, Result, Storage, Tensor};
use gemm::Parallelism;

/// A matrix in a slice: element `(r, c)` is at `r * rows + c * cols`.
#[derive(Clone, Copy)]
pub(super) struct Strides {
    /// Distance of two rows.
    pub rows: usize,
    /// Distance of two columns.
    pub cols: usize,
}

impl Strides {
    /// Rows `width` apart, columns next to each other.
    pub fn row_major(width: usize) -> Self {
        Self { rows: width, cols: 1 }
    }

    /// The transpose.
    pub fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows }
    }

    fn fits(self, len: usize, (rows, cols): (usize, usize)) -> bool {
        rows == 0 || cols == 0 || (rows - 1) * self.rows + (cols - 1) * self.cols < len
    }
}

/// `y = alpha * y + beta * a b` on one thread, with `y` of `m x n` and `k` products an element.
pub(super) fn product(
    (m, k, n): (usize, usize, usize),
    (y, ys): (&mut [f32], Strides),
    (a, a_s): (&[f32], Strides),
    (b, bs): (&[f32], Strides),
    (alpha, beta): (f32, f32),
) {
    assert!(ys.fits(y.len(), (m, n)) && a_s.fits(a.len(), (m, k)) && bs.fits(b.len(), (k, n)));
    // SAFETY: every element that the strides reach lies within its slice (asserted above); y is not aliased.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            y.as_mut_ptr(),
            ys.cols as isize,
            ys.rows as isize,
            alpha != 0.0,
            a.as_ptr(),
            a_s.cols as isize,
            a_s.rows as isize,
            b.as_ptr(),
            bs.cols as isize,
            bs.rows as isize,
            alpha,
            beta,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Calls `f` with the elements of a contiguous f32 tensor on the CPU.
pub(super) fn with_data<R>(t: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let t = t.contiguous()?;
    let (storage, layout) = t.storage_and_layout();
    match &*storage {
        Storage::Cpu(cpu) => Ok(f(slice(cpu, layout)?)),
        _ => Err(Error::Msg("this operation runs on the CPU only".into())),
    }
}

/// The elements of an operand.
pub(super) fn slice<'a>(storage: &'a CpuStorage, layout: &candle_core::Layout) -> Result<&'a [f32]> {
    let (from, to) =
        layout.contiguous_offsets().ok_or_else(|| Error::Msg("an operand is not contiguous".into()))?;
    Ok(&storage.as_slice::<f32>()?[from..to])
}

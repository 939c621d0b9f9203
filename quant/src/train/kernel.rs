//! Access to the elements of tensors.

use candle_core::{CpuStorage, Error, Result, Storage, Tensor};

/// Calls `f` with the elements of f32 tensors on the CPU.
pub(super) fn with_data<R, const N: usize>(
    tensors: [&Tensor; N],
    f: impl FnOnce([&[f32]; N]) -> R,
) -> Result<R> {
    let whole: Vec<Tensor> = tensors.into_iter().map(Tensor::contiguous).collect::<Result<_>>()?;
    let held: Vec<_> = whole.iter().map(Tensor::storage_and_layout).collect();
    let mut data: [&[f32]; N] = [&[]; N];
    for (data, (storage, layout)) in data.iter_mut().zip(&held) {
        *data = match &**storage {
            Storage::Cpu(cpu) => slice(cpu, layout)?,
            _ => return Err(Error::Msg("this operation runs on the CPU only".into())),
        };
    }
    Ok(f(data))
}

/// The elements of an operand.
pub(super) fn slice<'a>(storage: &'a CpuStorage, layout: &candle_core::Layout) -> Result<&'a [f32]> {
    let (from, to) =
        layout.contiguous_offsets().ok_or_else(|| Error::Msg("an operand is not contiguous".into()))?;
    Ok(&storage.as_slice::<f32>()?[from..to])
}

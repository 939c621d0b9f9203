//! Access to the elements of tensors.

use candle_core::{CpuStorage, Error, Result, Storage, Tensor};

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

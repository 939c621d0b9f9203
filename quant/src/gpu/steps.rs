//! Steps of the rounding of activations, keys and values during training: those that the quantizer would choose.

use super::device::{Ptr, fetch, put};
use super::net::{Net, Tensor, VALUE_ROWS};
use crate::quantize::{DOWN_CODES, flat_value_step};
use accllm_llm::Result;
use half::bf16;
use rayon::prelude::*;

/// From the largest magnitudes of a pass without rounding on all devices, and the values of the first one, the steps; as they lie
/// on the device.
pub(super) fn choose(net: &Net<'_>, most: Ptr) -> Result<Vec<f32>> {
    let s = net.shape;
    let most: Vec<f32> = fetch(net.device, most, s.steps())?;
    let (room, rows) = (VALUE_ROWS * s.sizes.kv_width(), VALUE_ROWS.min(net.tokens) * s.sizes.kv_width());
    let values: Vec<bf16> = fetch(net.device, net.values, s.sizes.layers * room)?;
    let value_step =
        |values: &[bf16]| flat_value_step(&values[..rows].iter().map(|v| v.to_f32()).collect::<Vec<_>>());
    let values: Vec<f32> = values.par_chunks_exact(room).map(value_step).collect();
    let all = net.device.seat().gather(most.iter().chain(&values).map(|x| f64::from(*x)).collect())?;
    let largest = |i: usize| all.iter().fold(0.0f32, |most, device| most.max(device[i] as f32));
    let most: Vec<f32> = (0..s.steps()).map(largest).collect();
    let values = all[0][s.steps()..].iter().map(|x| *x as f32);
    let of = |l: usize, t: Tensor| most[5 * l + t as usize];
    let mut steps = vec![1.0f32; s.steps()];
    let mut out = 0.0f32;
    for (l, value) in values.enumerate() {
        let mut set = |t: Tensor, step: f32| steps[5 * l + t as usize] = if step > 0.0 { step } else { 1.0 };
        set(Tensor::Value, value);
        set(Tensor::AttnIn, of(l, Tensor::AttnIn) / 127.0);
        set(Tensor::MlpIn, of(l, Tensor::MlpIn) / 127.0);
        set(Tensor::DownIn, of(l, Tensor::DownIn) / DOWN_CODES);
        out = out.max(of(l, Tensor::Out) / value / 127.0);
    }
    // One for all layers, in steps of the values.
    for l in 0..s.sizes.layers {
        steps[5 * l + Tensor::Out as usize] =
            steps[5 * l + Tensor::Value as usize] * if out > 0.0 { out } else { 1.0 };
    }
    let head = most[5 * s.sizes.layers] / 127.0;
    steps[5 * s.sizes.layers] = if head > 0.0 { head } else { 1.0 };
    Ok(steps)
}

/// [`choose`], put into their place, and the largest magnitudes forgotten.
pub(super) fn renew(net: &Net<'_>, most: Ptr, steps: Ptr) -> Result<()> {
    let chosen = choose(net, most)?;
    put(net.device, steps, &chosen)?;
    net.device.zero(most, 4 * chosen.len())
}

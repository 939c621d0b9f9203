//! What the training rounds is what the quantizer and the integer model round: the same to the bit.

use super::*;
use crate::gpu::device::{Arg, Grid, Memory};
use crate::gpu::formats::{code, round_weights};
use crate::gpu::net::angles;
use crate::head::{key_head, query_head};
use crate::quantize::simulate::{round, round_blocks};

/// Each of three matrices to a format of its own.
#[test]
fn weights_are_rounded_as_on_the_cpu() {
    let (rows, cols) = (10, 320);
    let formats = [WeightFormat::W4, WeightFormat::W2Sparse, WeightFormat::W2Dense];
    let mut all = random(3 * rows * cols, 11);
    for w in all.chunks_exact_mut(rows * cols) {
        // Rows of zeros, equal magnitudes, equal weights, groups far from zero, very small ones.
        w[..cols].fill(0.0);
        w[cols..2 * cols].iter_mut().for_each(|v| *v = v.signum() * 0.25);
        w[2 * cols..2 * cols + 64].fill(0.25);
        w[3 * cols..4 * cols].iter_mut().for_each(|v| *v = 3.0 + 0.1 * *v);
        w[4 * cols..4 * cols + 32].iter_mut().for_each(|v| *v *= 1e-6);
    }
    let matrix = |data: &[f32]| Matrix { rows, cols, data: data.to_vec() };
    let wanted: Vec<f32> = all
        .chunks(rows * cols)
        .zip(formats)
        .flat_map(|(data, format)| round_weights(&matrix(data), format).dequantize().data)
        .map(|v| bf16::from_f32(v).to_f32())
        .collect();
    on_devices(|device| {
        let (from, to) = (held(device, &all), held_bf16(device, &vec![7.0; all.len()]));
        // As they lie for the second of two linears.
        let codes: Vec<u32> = formats.iter().flat_map(|format| [9, code(*format)]).collect();
        let codes = held(device, &codes).f32s(1);
        let grid = Grid { blocks: [rows.div_ceil(4), 3, 1], threads: 128, shared: 32 * (cols / 32) };
        let what = [from.into(), to.into(), rows.into(), cols.into(), ((rows * cols) as u64).into()];
        let arguments = [what.as_slice(), &[codes.into(), 2usize.into()]].concat();
        device.launch("round_weights", grid, &arguments).unwrap();
        assert_eq!(got_bf16(device, to, all.len()), wanted);
    });
}

/// Position 0 turns nothing, so that only the rounding is left.
#[test]
fn queries_keys_and_values_are_rounded_as_simulated() {
    // Leading pairs of each KV head: of wide ones also those of which no lane has the first element first.
    for (config, leads) in [(config(), [0, 0]), (config(), [0, 31]), (config(), [7, 1])] {
        heads_are_rounded(&config, &leads);
    }
    for lead in [0, 5, 32, 63] {
        heads_are_rounded(&wide(), &[lead]);
    }
}

fn heads_are_rounded(c: &LlamaConfig, leads: &[u32]) {
    let (rows, width) = (6, c.sizes.q_width() + 2 * c.sizes.kv_width());
    let x: Vec<f32> = random(rows * width, 12).iter().map(|v| bf16::from_f32(v * 3.0).to_f32()).collect();
    let step = 0.11f32;
    let mut wanted = x.clone();
    for row in wanted.chunks_exact_mut(width) {
        let (q, kv) = row.split_at_mut(c.sizes.q_width());
        let (k, v) = kv.split_at_mut(c.sizes.kv_width());
        let lead = |kv: usize| leads[kv] as usize;
        let queries = q.chunks_exact_mut(c.sizes.head_dim).enumerate();
        queries.for_each(|(h, head)| query_head(head, lead(h / c.sizes.group())));
        let keys = k.chunks_exact_mut(c.sizes.head_dim).enumerate();
        keys.for_each(|(h, head)| key_head(head, lead(h)));
        round(v, &vec![step; c.sizes.kv_width()], -8.0, 7.0);
    }
    let wanted: Vec<f32> = wanted.iter().map(|v| bf16::from_f32(*v).to_f32()).collect();
    on_devices_for(c, |device| {
        let mut memory = Memory::new(device);
        let angles = angles(&mut memory, device, c, 1).unwrap();
        let (at, step) = (held_bf16(device, &x), held(device, &[step]));
        let leads = held(device, leads);
        let arguments = [at.into(), angles.into(), 1usize.into(), rows.into(), step.into(), leads.into()];
        device.launch("rope", Grid::warps(rows * width / c.sizes.head_dim), &arguments).unwrap();
        assert_eq!(got_bf16(device, at, x.len()), wanted);
    });
}

/// Gates of 32 let through what comes up, times 32.
#[test]
fn the_input_of_down_is_rounded_as_simulated() {
    let c = config();
    let rows = 5;
    let mut gate_up = random(rows * 2 * c.sizes.ff, 13);
    for (r, row) in gate_up.chunks_exact_mut(2 * c.sizes.ff).enumerate() {
        row[..c.sizes.ff].fill(32.0);
        // Rows of different sizes take different exponents.
        row[c.sizes.ff..]
            .iter_mut()
            .for_each(|v| *v = bf16::from_f32(*v * 10f32.powi(r as i32 - 2)).to_f32());
    }
    let step = 2e-3f32;
    let mut wanted: Vec<f32> = gate_up
        .chunks_exact(2 * c.sizes.ff)
        .flat_map(|row| row[c.sizes.ff..].iter().map(|v| v * 32.0))
        .collect();
    let most = wanted.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    round_blocks(&mut wanted, &vec![step; c.sizes.ff]);
    let wanted: Vec<f32> = wanted.iter().map(|v| bf16::from_f32(*v).to_f32()).collect();
    on_devices(|device| {
        let (from, to) = (held_bf16(device, &gate_up), held_bf16(device, &vec![7.0; rows * c.sizes.ff]));
        let (step, largest) = (held(device, &[step]), held(device, &[0.0f32]));
        let arguments = [from.into(), to.into(), rows.into(), step.into(), largest.into()];
        device.launch("swiglu", Grid::warps(rows * c.sizes.ff.div_ceil(256)), &arguments).unwrap();
        assert_eq!(got_bf16(device, to, wanted.len()), wanted);
        assert_eq!(fetch::<f32>(device, largest, 1).unwrap(), [most]);
    });
}

#[test]
fn the_output_of_attention_is_rounded_as_simulated() {
    let x: Vec<f32> = random(4096, 14).iter().map(|v| bf16::from_f32(*v).to_f32()).collect();
    let most = x.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let mut wanted = x.clone();
    round(&mut wanted, &[0.0061], -128.0, 127.0);
    let wanted: Vec<f32> = wanted.iter().map(|v| bf16::from_f32(*v).to_f32()).collect();
    on_devices(|device| {
        let (from, to) = (held_bf16(device, &x), held_bf16(device, &vec![7.0; x.len()]));
        let (step, largest) = (held(device, &[0.0061f32]), held(device, &[0.0f32]));
        let count = Arg::from(x.len() as u64);
        let arguments = [from.into(), to.into(), count, step.into(), largest.into()];
        device.launch("round_rows", Grid::each(x.len() / 8), &arguments).unwrap();
        assert_eq!(got_bf16(device, to, wanted.len()), wanted);
        assert_eq!(fetch::<f32>(device, largest, 1).unwrap(), [most]);
    });
}

/// Rows whose mean square is a power of two, so that the norm itself is exact.
#[test]
fn the_output_of_a_norm_is_rounded_as_simulated() {
    let c = config();
    let rows = 3;
    let mut x = vec![0.0f32; rows * c.sizes.hidden];
    let mut random = fastrand::Rng::with_seed(15);
    x.iter_mut().for_each(|v| *v = if random.bool() { 64.0 } else { -64.0 });
    let gain = around_one(c.sizes.hidden, 16);
    let mut wanted = accllm_llm::float::rms_norm(&x, &gain, c.norm_eps);
    round(&mut wanted, &vec![0.013; c.sizes.hidden], -128.0, 127.0);
    let wanted: Vec<f32> = wanted.iter().map(|v| bf16::from_f32(*v).to_f32()).collect();
    on_devices(|device| {
        let (x, gain, y) =
            (held(device, &x), held(device, &gain), held_bf16(device, &vec![7.0; wanted.len()]));
        let (step, largest) = (held(device, &[0.013f32]), held(device, &[0.0f32]));
        let arguments = [x.into(), gain.into(), y.into(), rows.into(), step.into(), largest.into()];
        device.launch("rmsnorm", Grid::warps(rows), &arguments).unwrap();
        assert_eq!(got_bf16(device, y, wanted.len()), wanted);
    });
}

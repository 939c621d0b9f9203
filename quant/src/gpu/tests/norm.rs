//! The way back through a norm against sums in 64 bits: a warp a row, and a block a row.

use super::*;
use crate::gpu::device::{Grid, Memory};

const ROWS: usize = 10;
const BLOCKS: usize = 3;

#[test]
fn the_derivatives_of_a_norm_are_those_of_the_sums() {
    for c in [config(), wide()] {
        let h = c.sizes.hidden;
        let (x, gain) = (random(ROWS * h, 41), around_one(h, 42));
        let dy: Vec<f32> = random(ROWS * h, 43).iter().map(|v| bf16::from_f32(*v).to_f32()).collect();
        let before = random(ROWS * h, 44);
        let (mut dx, mut d_gain) = (before.clone(), vec![0.0f64; h]);
        for ((x, dy), dx) in x.chunks(h).zip(dy.chunks(h)).zip(dx.chunks_mut(h)) {
            let wide = |x: &[f32]| x.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
            let (x, dy, g) = (wide(x), wide(dy), wide(&gain));
            let r = 1.0 / (x.iter().map(|v| v * v).sum::<f64>() / h as f64 + c.norm_eps).sqrt();
            let dot: f64 = (0..h).map(|i| dy[i] * g[i] * x[i]).sum();
            for i in 0..h {
                dx[i] += (r * g[i] * dy[i] - dot * r * r * r / h as f64 * x[i]) as f32;
                d_gain[i] += dy[i] * x[i] * r;
            }
        }
        let d_gain: Vec<f32> = d_gain.into_iter().map(|v| v as f32).collect();
        on_devices_for(&c, |device| {
            let mut m = Memory::new(device);
            let (at, gain, dy) = (held(device, &x), held(device, &gain), held_bf16(device, &dy));
            let (got, narrow) = (held(device, &before), m.bf16s(ROWS * h).unwrap());
            let (parts, sums) = (m.f32s(BLOCKS * h).unwrap(), m.f32s(h).unwrap());
            let grid = Grid { blocks: [BLOCKS, 1, 1], threads: 256, shared: 0 };
            let from = [dy.into(), at.into(), gain.into(), got.into(), narrow.into()];
            let how = [parts.into(), ROWS.into(), 0usize.into()];
            device.launch("rmsnorm_back", grid, &[from.as_slice(), &how].concat()).unwrap();
            let grid = Grid { blocks: [h.div_ceil(64), 1, 1], threads: 64, shared: 0 };
            device.launch("sum_rows", grid, &[parts.into(), sums.into(), BLOCKS.into()]).unwrap();
            let far = |at, n, wanted: &[f32]| distance(&fetch::<f32>(device, at, n).unwrap(), wanted);
            assert!(far(got, ROWS * h, &dx) < 1e-5 && far(sums, h, &d_gain) < 1e-5);
            assert!(distance(&got_bf16(device, narrow, ROWS * h), &dx) < 0.01);
        });
    }
}

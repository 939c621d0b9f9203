//! The kernels of attention against sums in 64 bits, forward and back, for both widths of heads.

use super::*;
use crate::gpu::device::{Grid, Memory};

const LENGTH: usize = 128;
const TOKENS: usize = 2 * LENGTH;

/// What attention gives, and the derivatives of q, k and v.
struct Wanted {
    out: Vec<f32>,
    d_qkv: Vec<f32>,
}

/// From rows of q, k and v after RoPE, and the derivative of the output.
fn wanted(c: &LlamaConfig, qkv: &[f32], d_out: &[f32]) -> Wanted {
    let (s, d) = (&c.sizes, c.sizes.head_dim);
    let width = s.q_width() + 2 * s.kv_width();
    let (mut out, mut d_qkv) = (vec![0.0f64; TOKENS * s.q_width()], vec![0.0f64; TOKENS * width]);
    for row in 0..TOKENS {
        for h in 0..s.heads {
            let kv = h / s.group();
            let (q, k, v) = (h * d, s.q_width() + kv * d, s.q_width() + s.kv_width() + kv * d);
            let at = |t: usize, part: usize, i: usize| f64::from(qkv[t * width + part + i]);
            let dy = |i: usize| f64::from(d_out[row * s.q_width() + h * d + i]);
            let scale = 1.0 / (d as f64).sqrt();
            let keys = row / LENGTH * LENGTH..row + 1;
            let score = |t| (0..d).map(|i| at(row, q, i) * at(t, k, i)).sum::<f64>() * scale;
            let scores: Vec<f64> = keys.clone().map(score).collect();
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|s| (s - most).exp()).sum();
            let p: Vec<f64> = scores.iter().map(|s| (s - most).exp() / sum).collect();
            let dp: Vec<f64> = keys.clone().map(|t| (0..d).map(|i| dy(i) * at(t, v, i)).sum()).collect();
            let mean: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
            for ((t, p), dp) in keys.zip(&p).zip(&dp) {
                let ds = p * (dp - mean) * scale;
                for i in 0..d {
                    out[row * s.q_width() + h * d + i] += p * at(t, v, i);
                    d_qkv[row * width + q + i] += ds * at(t, k, i);
                    d_qkv[t * width + k + i] += ds * at(row, q, i);
                    d_qkv[t * width + v + i] += p * dy(i);
                }
            }
        }
    }
    let narrow = |x: Vec<f64>| x.into_iter().map(|v| v as f32).collect();
    Wanted { out: narrow(out), d_qkv: narrow(d_qkv) }
}

#[test]
fn attention_and_its_derivatives_are_those_of_the_sums() {
    for c in [config(), wide()] {
        let s = &c.sizes;
        let width = s.q_width() + 2 * s.kv_width();
        let rounded = |n, seed| -> Vec<f32> {
            random(n, seed).iter().map(|v| bf16::from_f32(2.0 * v).to_f32()).collect()
        };
        let (qkv, d_out) = (rounded(TOKENS * width, 31), rounded(TOKENS * s.q_width(), 32));
        let wanted = wanted(&c, &qkv, &d_out);
        on_devices_for(&c, |device| {
            let mut m = Memory::new(device);
            let (at, dy) = (held_bf16(device, &qkv), held_bf16(device, &d_out));
            let out = m.bf16s(TOKENS * s.q_width()).unwrap();
            let d_qkv = m.bf16s(TOKENS * width).unwrap();
            let (lse, delta) = (m.f32s(TOKENS * s.heads).unwrap(), m.f32s(TOKENS * s.heads).unwrap());
            let grid = |heads, shared| Grid { blocks: [LENGTH / 64, heads, 2], threads: 128, shared };
            let how = [LENGTH.into(), TOKENS.into()];
            let forward = [at.into(), out.into(), lse.into(), how[0], how[1]];
            device.launch("attention", grid(s.heads, 32768), &forward).unwrap();
            let sums = [out.into(), dy.into(), delta.into(), how[1]];
            device.launch("attention_delta", Grid::warps(TOKENS * s.heads), &sums).unwrap();
            let back = [at.into(), dy.into(), lse.into(), delta.into(), d_qkv.into(), how[0], how[1]];
            device.launch("attention_back_q", grid(s.heads, 32768), &back).unwrap();
            device.launch("attention_back_kv", grid(s.kv_heads, 32768 + 1024), &back).unwrap();
            let error = distance(&got_bf16(device, out, TOKENS * s.q_width()), &wanted.out);
            assert!(error < 0.01, "output: {error}");
            let got = got_bf16(device, d_qkv, TOKENS * width);
            for (name, part) in [
                ("q", 0..s.q_width()),
                ("k", s.q_width()..s.q_width() + s.kv_width()),
                ("v", s.q_width() + s.kv_width()..width),
            ] {
                let of = |x: &[f32]| -> Vec<f32> {
                    x.chunks_exact(width).flat_map(|row| row[part.clone()].to_vec()).collect()
                };
                let error = distance(&of(&got), &of(&wanted.d_qkv));
                assert!(error < 0.015, "derivative of {name}: {error}");
            }
        });
    }
}

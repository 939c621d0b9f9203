//! Frequencies and caches of rotary embedding that old checkpoints carry: nothing new, and so checked and not used.

use super::Checkpoint;
use crate::config::LlamaConfig;
use crate::{Error, Result};

/// Positions of a cache that are compared.
const POSITIONS: usize = 64;

/// Whether a tensor is one of these.
pub(super) fn is_one(name: &str, layers: usize) -> bool {
    let of_layer = |rest: &str| {
        let (number, part) = rest.split_once('.')?;
        number.parse::<usize>().ok().filter(|n| *n < layers)?;
        part.strip_prefix("self_attn.rotary_emb.").map(str::to_string)
    };
    let part = name.strip_prefix("model.layers.").and_then(of_layer);
    let part = part.or_else(|| name.strip_prefix("model.rotary_emb.").map(str::to_string));
    part.is_some_and(|p| ["inv_freq", "original_inv_freq", "cos_cached", "sin_cached"].contains(&p.as_str()))
}

/// Refuses a tensor that turns by other angles than the configuration.
pub(super) fn check(files: &Checkpoint, name: &str, c: &LlamaConfig) -> Result<()> {
    let (shape, data) = files.any_tensor(name)?;
    let scaled: Vec<f64> =
        (0..c.sizes.head_dim / 2).map(|i| c.sizes.rope.frequency(i, c.sizes.head_dim)).collect();
    let plain: Vec<f64> = {
        let rope = accllm_hw::rope::Rope::plain(c.sizes.rope.theta);
        (0..c.sizes.head_dim / 2).map(|i| rope.frequency(i, c.sizes.head_dim)).collect()
    };
    let wrong = |element: usize, expected: &'static str| {
        let value = data.get(element).map_or_else(|| "missing".into(), f32::to_string);
        Err(Error::Value {
            path: files.folder().to_path_buf(),
            tensor: name.to_string(),
            element,
            value,
            expected,
        })
    };
    let columns = shape.last().copied().unwrap_or(0);
    if name.ends_with("inv_freq") {
        // Scaling may be in them or not; 16-bit floats have two or three digits.
        let near = |x: f32, f: f64| (f64::from(x) - f).abs() <= 0.01 * f + 1e-7;
        let differs = |all: &[f64]| data.iter().zip(all).position(|(x, f)| !near(*x, *f));
        return match (differs(&scaled), differs(&plain)) {
            _ if data.len() != scaled.len() => {
                wrong(data.len(), "one frequency for each pair of a head's elements")
            }
            (Some(at), Some(_)) => wrong(at, "the frequency that rope_theta and rope_scaling give"),
            _ => Ok(()),
        };
    }
    if columns != c.sizes.head_dim {
        return wrong(0, "a row of the width of a head for each position");
    }
    let of = if name.ends_with("cos_cached") { f64::cos } else { f64::sin };
    let differs = |all: &[f64]| {
        let expected = |i: usize| of((i / columns) as f64 * all[i % columns % all.len()]);
        let compared = data.iter().take(POSITIONS * columns).enumerate();
        compared.into_iter().position(|(i, x)| (f64::from(*x) - expected(i)).abs() > 0.02)
    };
    match (differs(&scaled), differs(&plain)) {
        (Some(at), Some(_)) => wrong(at, "what rope_theta and rope_scaling give at this position"),
        _ => Ok(()),
    }
}

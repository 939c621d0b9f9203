//! Weights on their grids.

use super::super::fake::{LatentWeight, composed};
use super::{assert_near, assert_same, matrix, random, values, with_gradients};
use crate::grid::{GridWeight, fit};
use accllm_llm::float::Matrix;
use accllm_llm::model::WeightFormat;
use candle_core::{Device, Result, Tensor};
use std::sync::Arc;

/// Width of a grid, its real columns, and a name.
fn maps() -> Vec<(usize, Vec<usize>, &'static str)> {
    let heads = |n: usize, d: usize| (0..n).flat_map(|h| (0..d).map(move |i| h * 32 + i)).collect();
    vec![
        (64, (0..64).collect(), "whole groups"),
        (40, (0..40).collect(), "ragged"),
        (96, heads(3, 8), "heads of 8"),
        (128, heads(4, 10), "heads of 10"),
        (32, (0..2).collect(), "two columns"),
    ]
}

/// A float weight of real columns, and its fit. A group of row 1 and all of row 2 are zero.
fn fitted(width: usize, columns: &[usize], format: WeightFormat) -> (Matrix, GridWeight) {
    let mut w = matrix(5, columns.len(), 11);
    for (i, v) in w.data.iter_mut().enumerate() {
        let (r, c) = (i / columns.len(), columns[i % columns.len()]);
        *v = if r == 2 || r == 1 && c >= 32 { 0.0 } else { *v * 0.01 * (1.0 + (c / 32) as f32) };
    }
    let mut spread = Matrix { rows: 5, cols: width, data: vec![0.0; 5 * width] };
    let mut used = vec![false; width];
    for (i, c) in columns.iter().enumerate() {
        used[*c] = true;
        (0..5).for_each(|r| spread.data[r * width + c] = w.data[r * columns.len() + i]);
    }
    let grid = fit(&spread, &vec![1.0; width], &used, format);
    (w, grid)
}

/// Every format with every column map.
fn each(f: impl Fn(&str, &Matrix, &GridWeight, &LatentWeight, &[usize]) -> Result<()>) -> Result<()> {
    for format in WeightFormat::ALL {
        for (width, columns, name) in maps() {
            let (w, start) = fitted(width, &columns, format);
            let latent = LatentWeight::new(&w, &start, Arc::new(columns.clone()), &Device::Cpu)?;
            f(&format!("{format:?}, {name}"), &w, &start, &latent, &columns)?;
        }
    }
    Ok(())
}

/// The real columns of what a grid stands for.
fn real(grid: &GridWeight, columns: &[usize]) -> Vec<f32> {
    let all = grid.dequantize();
    (0..all.rows).flat_map(|r| columns.iter().map(move |c| (r, *c))).map(|(r, c)| all.row(r)[c]).collect()
}

/// Moves weights and scales away from the fit, within the range of levels.
fn wander(w: &LatentWeight, seed: u64) -> Result<()> {
    let add = |v: &candle_core::Var, by: f32, seed| -> Result<()> {
        let noise = random(v.elem_count(), seed).iter().map(|x| x * by).collect();
        v.set(&(v.as_tensor() + Tensor::from_vec(noise, v.shape(), v.device())?)?)
    };
    add(&w.v, 1.7, seed)?;
    add(&w.log_scale, 0.4, seed + 1)
}

#[test]
fn training_starts_at_the_fit() -> Result<()> {
    each(|name, _, start, latent, columns| {
        let back = latent.grid()?;
        assert_eq!((&back.grid.level, &back.grid.scale), (&start.grid.level, &start.grid.scale), "{name}");
        for (r, (a, b)) in back.row_scale.iter().zip(&start.row_scale).enumerate() {
            assert!((a - b).abs() <= b * 1e-5, "{name}, row {r}: {a} and {b}");
        }
        assert_near(name, &values(&latent.weight()?)?, &real(start, columns));
        Ok(())
    })
}

/// Whose largest scale is not the largest of 8 bits: error feedback and refinement leave such grids.
#[test]
fn a_grid_with_small_scales_is_kept() -> Result<()> {
    for format in WeightFormat::ALL {
        let (w, mut start) = fitted(64, &(0..64).collect::<Vec<_>>(), format);
        start.grid.scale.iter_mut().for_each(|s| *s = if *s == 0 { 0 } else { s.div_ceil(3) });
        start.grid.offset.iter_mut().for_each(|o| *o /= 3);
        start.row_scale.iter_mut().for_each(|s| *s *= 3.0);
        let latent = LatentWeight::new(&w, &start, Arc::new((0..64).collect()), &Device::Cpu)?;
        let back = latent.grid()?;
        assert_eq!(back.grid.level, start.grid.level, "{format:?}");
        let steps = |g: &GridWeight| -> Vec<f32> {
            g.grid.scale.iter().enumerate().map(|(i, s)| f32::from(*s) * g.row_scale[i / 2]).collect()
        };
        for (i, (a, b)) in steps(&back).iter().zip(steps(&start)).enumerate() {
            let largest = steps(&start)[i / 2 * 2..][..2].iter().fold(0.0f32, |m, s| m.max(*s));
            assert!((a - b).abs() <= largest * 0.5001 / 255.0, "{format:?}, step {i}: {a} and {b}");
        }
    }
    Ok(())
}

#[test]
fn the_grid_is_what_the_forward_pass_used() -> Result<()> {
    each(|name, _, start, latent, columns| {
        for seed in 0..4 {
            wander(latent, seed)?;
            let reached = latent.grid()?;
            assert_eq!(values(&latent.weight()?)?, real(&reached, columns), "{name}");
            assert_ne!(reached.grid.level, start.grid.level, "{name}");
        }
        Ok(())
    })
}

#[test]
fn values_and_gradients_of_both_forms() -> Result<()> {
    each(|name, _, _, latent, _| {
        wander(latent, 5)?;
        // Beyond the outermost level the gradients differ on purpose; the next test is about that.
        let top = f64::from(latent.grid_shape().outermost());
        latent.v.set(&latent.v.clamp(-top, top)?)?;
        let fused = latent.weight()?;
        let composed = composed::weight(&latent.v, &latent.log_scale, latent.grid_shape())?;
        assert_same(name, &fused, &composed, &[&latent.v, &latent.log_scale])
    })
}

#[test]
fn equal_weights_are_chosen_in_order() -> Result<()> {
    let columns: Vec<usize> = (0..40).collect();
    let (w, start) = fitted(40, &columns, WeightFormat::W2Sparse);
    let latent = LatentWeight::new(&w, &start, Arc::new(columns), &Device::Cpu)?;
    let v: Vec<f32> = (0..5 * 64).map(|i| [0.0, -0.5, 0.5, -2.0, 0.5, 0.0, -0.0][i * i % 7]).collect();
    latent.v.set(&Tensor::from_vec(v, (5, 64), &Device::Cpu)?)?;
    let composed = composed::weight(&latent.v, &latent.log_scale, latent.grid_shape())?;
    assert_same("equal weights", &latent.weight()?, &composed, &[&latent.v, &latent.log_scale])
}

/// Beyond the outermost level only what leads back passes.
#[test]
fn weights_do_not_run_away() -> Result<()> {
    for format in WeightFormat::ALL {
        let columns: Vec<usize> = (0..64).collect();
        let (w, start) = fitted(64, &columns, format);
        let latent = LatentWeight::new(&w, &start, Arc::new(columns), &Device::Cpu)?;
        let v = random(5 * 64, 3).iter().map(|v| v.signum() * 20.0).collect::<Vec<_>>();
        latent.v.set(&Tensor::from_vec(v.clone(), (5, 64), &Device::Cpu)?)?;
        let all = with_gradients(&latent.weight()?, &[&latent.v])?;
        let (mut back, mut out) = (0, 0);
        for (i, ((g, v), dy)) in all[1].iter().zip(&v).zip(random(5 * 64, 99)).enumerate() {
            let live = start.grid.scale[i / 32] != 0;
            match live && v * dy > 0.0 {
                true => back += usize::from(g * dy > 0.0),
                false => out += usize::from(*g == 0.0),
            }
        }
        assert_eq!(back + out, 5 * 64, "{format:?}");
        assert!(back > 50 && out > 50, "{format:?}: {back} and {out}");
    }
    Ok(())
}

#[test]
fn a_state_comes_back() -> Result<()> {
    each(|name, _, _, latent, _| {
        wander(latent, 9)?;
        let again =
            LatentWeight::restore(&latent.v, &latent.log_scale, latent.offset().to_vec(), latent.shape())?;
        assert_eq!(again.grid()?, latent.grid()?, "{name}");
        Ok(())
    })
}

//! Transforms leave the logits of a model as they are.

use super::support;

use accllm_llm::float::{FloatModel, Matrix, NoTap};
use accllm_llm::import::load_model;
use accllm_llm::model::WeightFormat;
use accllm_llm::perplexity::Protocol;
use accllm_quant::calibrate::{Calibration, calibrate};
use accllm_quant::transform::{
    PairPower, balance_qk, choose_head, choose_layer, migrate_head, migrate_layer, order_channels,
    rotate_residual, rotate_values,
};
use support::{Outcome, data, small_float, small_text, stories};

/// A model and a few tokens for it.
type Case = (FloatModel, Vec<u32>);

/// The small random model, and the bundled float checkpoint.
fn cases() -> Result<[Case; 2], Box<dyn std::error::Error>> {
    let story = stories("tinytales_val.txt")?;
    Ok([
        (small_float()?, small_text(48)),
        (load_model(&data().join("tinytales/float"))?, story[..96].to_vec()),
    ])
}

/// Largest difference of logits over the largest logit.
fn difference(a: &FloatModel, b: &FloatModel, text: &[u32]) -> Result<f32, Box<dyn std::error::Error>> {
    let (a, b) = (a.logits(text, None, &mut NoTap)?, b.logits(text, None, &mut NoTap)?);
    let scale = a.iter().map(|v| v.abs()).fold(0.0, f32::max);
    Ok(a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / scale)
}

#[test]
fn migration_keeps_the_logits() -> Outcome {
    for (model, text) in cases()? {
        let c = &model.config;
        let stats = calibrate(&model, &text, Protocol { window: text.len(), windows: None })?;
        for exponent in [None, Some(1.0)] {
            let mut moved = model.clone();
            for (w, s) in moved.layers.resident()?.iter_mut().zip(&stats.layers) {
                let shapes = choose_layer(c, w, s, &[WeightFormat::W2Sparse; 7], exponent);
                let least = shapes.value.iter().copied().fold(1.0, f32::min);
                assert!(exponent.is_none() || least < 0.9, "nothing would move");
                migrate_layer(c, w, &shapes);
            }
            let shape = choose_head(&model, &stats.head_in, WeightFormat::W4, exponent);
            migrate_head(&mut moved, &shape);
            let apart = difference(&model, &moved, &text)?;
            assert!(apart < 2e-5, "logits differ by {apart} of the largest");
            // With exponent 1 every channel of every migrated tensor has the same range.
            if exponent.is_some() {
                let after = calibrate(&moved, &text, Protocol { window: text.len(), windows: None })?;
                for s in &after.layers {
                    for x in [&s.attn_in, &s.value, &s.mlp_in, &s.down_in] {
                        let low = x.max.iter().copied().fold(f32::INFINITY, f32::min);
                        assert!(low > 0.99 * x.largest(), "{low} to {}", x.largest());
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn balance_keeps_the_logits_and_evens_out_the_pairs() -> Outcome {
    for (model, text) in cases()? {
        let c = &model.config;
        let mut power = PairPower::new(c);
        model.hidden(&text, None, &mut power)?;
        let mut moved = model.clone();
        for (l, w) in moved.layers.resident()?.iter_mut().enumerate() {
            balance_qk(c, w, l, &power, 1.0);
        }
        let apart = difference(&model, &moved, &text)?;
        assert!(apart < 2e-5, "logits differ by {apart} of the largest");
        assert_ne!(model.layer(0)?.k, moved.layer(0)?.k);
        // A second round finds nothing left to do.
        let mut after = PairPower::new(c);
        moved.hidden(&text, None, &mut after)?;
        let mut again = moved.clone();
        balance_qk(c, &mut again.layers.resident()?[0], 0, &after, 1.0);
        let (a, b) = (moved.layer(0)?, again.layer(0)?);
        let pairs = a.k.data.iter().zip(&b.k.data);
        assert!(pairs.clone().all(|(a, b)| (a - b).abs() <= a.abs() * 1e-3));
    }
    Ok(())
}

#[test]
fn rotations_keep_the_logits() -> Outcome {
    for (model, text) in cases()? {
        let mut moved = model.clone();
        rotate_residual(&mut moved, 1)?;
        let apart = difference(&model, &moved, &text)?;
        assert!(apart < 2e-5, "residual: logits differ by {apart} of the largest");
        let c = &model.config;
        moved.layers.resident()?.iter_mut().for_each(|w| rotate_values(c, w, 2));
        let apart = difference(&model, &moved, &text)?;
        assert!(apart < 2e-5, "values: logits differ by {apart} of the largest");
        assert_ne!(model.layer(0)?.v, moved.layer(0)?.v);
    }
    Ok(())
}

/// The cases with their channels ordered for weights of `format`, and what they are calibrated as then.
fn ordered(format: WeightFormat) -> Result<Vec<(FloatModel, Calibration)>, Box<dyn std::error::Error>> {
    let mut all = Vec::new();
    for (model, text) in cases()? {
        let how = Protocol { window: text.len(), windows: None };
        let mut moved = model.clone();
        order_channels(&mut moved, &calibrate(&model, &text, how)?, &|_| [format; 7])?;
        let apart = difference(&model, &moved, &text)?;
        assert!(apart < 2e-5, "logits differ by {apart} of the largest");
        // The residual stream is in another order than before: so are the gains of its norms.
        assert_ne!(model.layer(0)?.q, moved.layer(0)?.q);
        assert_ne!(model.layer(0)?.v, moved.layer(0)?.v);
        let after = calibrate(&moved, &text, how)?;
        all.push((moved, after));
    }
    Ok(all)
}

/// Sums of squares of the columns of a matrix.
fn energies(w: &Matrix) -> Vec<f32> {
    (0..w.cols).map(|c| w.data.iter().skip(c).step_by(w.cols).map(|w| w * w).sum()).collect()
}

#[test]
fn order_for_dense_weights_keeps_the_logits_and_sorts_the_channels() -> Outcome {
    for (moved, after) in ordered(WeightFormat::W4)? {
        // What reads the input of down is in ascending order of range times norm.
        let energies = energies(&moved.layer(0)?.down);
        let ranges = &after.layers[0].down_in.max;
        let size: Vec<f32> = energies.iter().zip(ranges).map(|(e, max)| e.sqrt() * max).collect();
        assert!(size.windows(2).all(|w| w[0] <= w[1] * 1.001), "{size:?}");
    }
    Ok(())
}

#[test]
fn order_for_pruned_weights_keeps_the_logits_and_mixes_strong_and_weak_channels() -> Outcome {
    for (moved, after) in ordered(WeightFormat::W2Sparse)? {
        // Of each four channels of the input of down, two are of the stronger half.
        let energies = energies(&moved.layer(0)?.down);
        let power = after.layers[0].down_in.power();
        let size: Vec<f32> = energies.iter().zip(power).map(|(e, p)| p * e).collect();
        let mut sorted = size.clone();
        sorted.sort_by(f32::total_cmp);
        let (low, high) = (sorted[size.len() / 2 - 1] * 1.001, sorted[size.len() / 2] * 0.999);
        for four in size.chunks_exact(4) {
            let (weak, strong) =
                (four.iter().filter(|s| **s <= low).count(), four.iter().filter(|s| **s >= high).count());
            assert!(weak >= 2 && strong >= 2, "{four:?} between {low} and {high}");
        }
    }
    Ok(())
}

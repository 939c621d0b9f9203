//! The closed-form fit: better than error feedback alone, and at home with odd shapes.

use super::support;

use accllm_llm::import::load_model;
use accllm_llm::model::WeightFormat;
use accllm_llm::perplexity::{Protocol, perplexity};
use accllm_quant::quantize::{Closed, Pruning, closed_model};
use support::{Outcome, data, small_float, small_text, stories};

#[test]
fn correction_and_refinement_help() -> Outcome {
    let model = load_model(&data().join("tinytales/float"))?;
    let (text, val) = (stories("tinytales_train_sample.txt")?, stories("tinytales_val.txt")?);
    let plain = Closed { correct: false, rounds: 0, ..Closed::default() };
    let mut results = Vec::new();
    for how in [plain, Closed { rounds: 4, ..plain }, Closed::default()] {
        let q = closed_model(&model, &text, Protocol { window: 320, windows: Some(12) }, &|_| how)?;
        results.push(perplexity(&q, &val, Protocol { window: 320, windows: Some(8) })?.perplexity);
    }
    println!("2:4 with feedback {:.2}, refined {:.2}, corrected {:.2}", results[0], results[1], results[2]);
    assert!(results[1] < results[0] * 0.95 && results[2] < results[1] * 0.8, "{results:?}");
    Ok(())
}

#[test]
fn odd_widths_and_every_choice_keep_two_of_four() -> Outcome {
    let (model, text) = (small_float()?, small_text(256));
    for pruning in [Pruning::Magnitude, Pruning::Wanda, Pruning::SparseGpt] {
        for feedback in [false, true] {
            let how = Closed { pruning, feedback, ..Closed::default() };
            let q = closed_model(&model, &text, Protocol { window: 32, windows: Some(4) }, &|_| how)?;
            for layer in q.layers.iter() {
                let layer = layer?;
                // Heads of o take a multiple of four places, so its quads are those of a head.
                for (w, run) in [(&layer.q, 40), (&layer.gate, 40), (&layer.down, 72), (&layer.o, 10)] {
                    for quad in w.data.chunks_exact(run).flat_map(|row| row.chunks(4)) {
                        let kept = quad.iter().filter(|v| **v != 0.0).count();
                        assert!(kept <= 2, "{pruning:?}, feedback {feedback}: {kept} of four are kept");
                    }
                    assert!(w.data.iter().any(|v| *v != 0.0));
                }
            }
        }
    }
    let dense = Closed { formats: [WeightFormat::W4; 7], ..Closed::default() };
    let q = closed_model(&model, &text, Protocol { window: 32, windows: Some(4) }, &|_| dense)?;
    assert!(q.layers.get(0)?.q.data.iter().filter(|v| **v != 0.0).count() > 1000);
    Ok(())
}

/// Sixteen levels between the extremes of each group, as Q4_1 has them.
fn snap(row: &mut [f32], group: usize) {
    for group in row.chunks_mut(group) {
        let (low, high) = group.iter().fold((f32::MAX, f32::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
        let step = (high - low) / 15.0;
        group.iter_mut().for_each(|v| *v = low + step * ((*v - low) / step).round());
    }
}

#[test]
fn weights_on_a_grid_of_four_bits_stay_there() -> Outcome {
    let (mut model, text) = (small_float()?, small_text(256));
    for l in model.layers.resident()? {
        for (w, group) in [(&mut l.q, 32), (&mut l.v, 32), (&mut l.o, 10), (&mut l.up, 32), (&mut l.down, 32)]
        {
            w.data.chunks_mut(w.cols).for_each(|row| snap(row, group));
        }
    }
    let how = Closed { formats: [WeightFormat::W4; 7], ..Closed::default() };
    let q = closed_model(&model, &text, Protocol { window: 32, windows: Some(4) }, &|_| how)?;
    let error = |a: &[f32], b: &[f32]| {
        let off: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
        (off / a.iter().map(|a| a * a).sum::<f32>()).sqrt()
    };
    for (a, b) in model.layers.iter().zip(q.layers.iter()) {
        let (a, b) = (a?, b?);
        for (a, b) in [(&a.q, &b.q), (&a.v, &b.v), (&a.o, &b.o), (&a.up, &b.up), (&a.down, &b.down)] {
            assert!(error(&a.data, &b.data) < 0.01, "{}", error(&a.data, &b.data));
        }
        // These were not on a grid, and are corrected.
        assert!(error(&a.gate.data, &b.gate.data) > 0.03);
    }
    Ok(())
}

//! The closed-form fit: better than error feedback alone, and at home with odd shapes.

mod support;

use accllm_quant::hf::load_model;
use accllm_quant::model::WeightFormat;
use accllm_quant::perplexity::{Protocol, perplexity};
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

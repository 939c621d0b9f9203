//! The bundled quantization-aware model loses less than 2% in integers; the float one is repaired in part.

use super::support;

use accllm_llm::import::load_model;
use accllm_llm::model::{LambdaShape, WeightFormat};
use accllm_llm::perplexity::{Protocol, perplexity};
use accllm_quant::quantize::{Closed, Options, quantize, step_table};
use support::{Outcome, data, stories};

#[test]
fn integer_w2_is_within_two_percent() -> Outcome {
    let model = load_model(&data().join("tinytales/w2"))?;
    let q = quantize(&model, &stories("tinytales_train_sample.txt")?, &Options::default())?;
    assert_eq!(q.recovered, 28, "every linear of the layers lies on the grid");
    assert!(q.model.layers[0].weights().iter().all(|w| w.grid.format == WeightFormat::W2Sparse));
    for (stored, found) in model.layers.iter().zip(q.dequantized.layers.iter()) {
        let (stored, found) = (stored?, found?);
        for (a, b) in stored.down.data.iter().zip(&found.down.data) {
            assert!((a - b).abs() <= a.abs() * 2f32.powi(-10), "{a} became {b}");
        }
    }
    let p = perplexity(&q.model, &stories("tinytales_val.txt")?, Protocol::TINYTALES)?.perplexity;
    println!("integer model: perplexity {p:.4} (float weights 9.77)");
    assert!(p < 9.77 * 1.02, "perplexity {p}");
    Ok(())
}

#[test]
fn compensation_and_migration_help_an_ordinary_model() -> Outcome {
    let model = load_model(&data().join("tinytales/float"))?;
    let (text, val) = (stories("tinytales_train_sample.txt")?, stories("tinytales_val.txt")?);
    let calibration = Protocol { window: 320, windows: Some(12) };
    let best = Options { calibration, ..Options::default() };
    let plain = Options {
        closed: Closed { feedback: false, correct: false, rounds: 0, ..Closed::default() },
        migration: Some(1.0),
        ..best.clone()
    };
    let protocol = Protocol { window: 320, windows: Some(8) };
    let mut results = Vec::new();
    for options in [plain, best] {
        let q = quantize(&model, &text, &options)?;
        assert_eq!(q.recovered, 0);
        results.push(perplexity(&q.model, &val, protocol)?.perplexity);
    }
    println!("integer model of the float checkpoint: plain {:.1}, compensated {:.1}", results[0], results[1]);
    assert!(results[1] < 120.0 && results[1] < results[0] / 2.0, "{results:?}");
    Ok(())
}

#[test]
fn w4_everywhere_is_close_to_float() -> Outcome {
    let model = load_model(&data().join("tinytales/float"))?;
    let options = Options {
        body: WeightFormat::W4,
        calibration: Protocol { window: 320, windows: Some(12) },
        ..Options::default()
    };
    let q = quantize(&model, &stories("tinytales_train_sample.txt")?, &options)?;
    let protocol = Protocol { window: 320, windows: Some(24) };
    let lambda = LambdaShape { n_sink: 4, n_window: 124 };
    let table = step_table(&model, &q, &stories("tinytales_val.txt")?, protocol, lambda)?;
    for row in &table {
        println!("{:30} {:.5}", row.step, row.result.perplexity);
    }
    let p: Vec<f64> = table.iter().map(|r| r.result.perplexity).collect();
    assert!(p[1] < p[0] * 1.08, "weights: {p:?}");
    assert!(p[5] < p[0] * 1.15, "everything: {p:?}");
    assert!((p[5] / p[4] - 1.0).abs() < 0.01, "the integers follow the simulation: {p:?}");
    Ok(())
}

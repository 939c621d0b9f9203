//! What a format does to one linear of a model.

mod support;

use accllm_quant::float::NoTap;
use accllm_quant::quantize::{FORMATS, divergence, fit, sensitivity};
use support::{Outcome, small_float, small_text};

#[test]
fn it_is_the_divergence_of_the_model_with_that_linear_rounded() -> Outcome {
    let (model, text) = (small_float()?, small_text(40));
    let calls = std::cell::Cell::new(0);
    let all = sensitivity(&model, &text, &|| calls.set(calls.get() + 1))?;
    assert_eq!((all.len(), calls.get()), (model.config.layers, 21 * model.config.layers));
    let reference = model.logits(&text, None, &mut NoTap)?;
    for (l, damage) in all.iter().enumerate() {
        for (format, got) in FORMATS.iter().zip(damage[6]) {
            let mut changed = model.clone();
            let down = &mut changed.layers.resident()?[l].down;
            *down = fit(down, &vec![1.0; down.cols], &vec![true; down.cols], *format).dequantize();
            let logits = changed.logits(&text, None, &mut NoTap)?;
            assert_eq!(got, divergence(&reference, &logits, model.config.vocab), "layer {l}, {format:?}");
        }
        assert!(damage.iter().all(|d| d[2] < d[0]), "4 bits do less: {damage:?}");
    }
    Ok(())
}

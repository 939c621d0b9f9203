//! What a format does to one linear of a model.

use super::support;

use accllm_llm::float::{FloatModel, NoTap, Site};
use accllm_llm::perplexity::Protocol;
use accllm_quant::quantize::{Closed, FORMATS, Inputs, divergence, sensitivity};
use support::{Outcome, small_float, small_text};

#[test]
fn it_is_the_divergence_of_the_model_with_that_linear_quantized() -> Outcome {
    let (model, text) = (small_float()?, small_text(40));
    let protocol = Protocol { window: 20, windows: None };
    let compared = [&text[..15], &text[20..25]];
    let calls = std::cell::Cell::new(0);
    let all = sensitivity(&model, &text, protocol, &compared, None, &|| calls.set(calls.get() + 1))?;
    assert_eq!((all.len(), calls.get()), (model.config.sizes.layers, 21 * model.config.sizes.layers));
    let of = |model: &FloatModel| -> Result<Vec<Vec<f32>>, accllm_llm::Error> {
        compared.map(|w| model.logits(w, None, &mut NoTap)).into_iter().collect()
    };
    let reference = of(&model)?;
    for (l, damage) in all.iter().enumerate() {
        let mut inputs = Vec::new();
        let mut look = |site, layer: usize, _: usize, data: &mut [f32]| {
            if site == Site::AttnNorm && layer == l {
                inputs.extend_from_slice(data);
            }
        };
        for window in text.chunks_exact(20) {
            model.logits(window, None, &mut look)?;
        }
        let inputs = Inputs::new(&inputs, model.config.sizes.hidden);
        for (format, got) in FORMATS.iter().zip(damage[0]) {
            let mut changed = model.clone();
            let q = &mut changed.layers.resident()?[l].q;
            *q = inputs.fit(q, *format, &Closed { rounds: 1, ..Closed::default() }).dequantize();
            let logits = of(&changed)?;
            let each = |i: usize| divergence(&reference[i], &logits[i], model.config.sizes.vocab);
            let mean = (15.0 * each(0) + 5.0 * each(1)) / 20.0;
            assert!((got - mean).abs() < 1e-12 * mean, "layer {l}, {format:?}: {got} for {mean}");
        }
        assert!(damage.iter().all(|d| d[2] < d[0]), "4 bits do less: {damage:?}");
    }
    Ok(())
}

#[test]
fn it_is_kept_and_a_damaged_copy_is_refused() -> Outcome {
    let (model, text) = (small_float()?, small_text(40));
    let folder = tempfile::tempdir()?;
    let protocol = Protocol { window: text.len(), windows: None };
    let measure = || sensitivity(&model, &text, protocol, &[&text], Some(folder.path()), &|| ());
    let first = measure()?;
    let kept: Vec<_> = std::fs::read_dir(folder.path())?.collect::<Result<_, _>>()?;
    assert_eq!(kept.len(), 1);
    let path = kept[0].path();
    let mut other: Vec<[[f64; 3]; 7]> = serde_json::from_slice(&std::fs::read(&path)?)?;
    assert_eq!(other, first);
    other[0][0][0] = 123.0;
    std::fs::write(&path, serde_json::to_string(&other)?)?;
    assert_eq!(measure()?[0][0][0], 123.0, "taken from the file");
    std::fs::write(&path, "[]")?;
    let error = measure().err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("0 layers") && error.contains("delete it"), "{error}");
    Ok(())
}

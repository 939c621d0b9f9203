//! A quantized model as a folder of float weights.

use super::support;

use accllm_llm::export::{float, write, write_within};
use accllm_llm::float::{FloatModel, NoTap};
use accllm_llm::import::load_model;
use accllm_llm::model::{QuantModel, WeightFormat};
use accllm_llm::perplexity::{Protocol, perplexity};
use accllm_quant::quantize::{Options, quantize};
use accllm_quant::transform::Keys;
use std::path::Path;
use std::sync::Arc;
use support::{Outcome, data, small_float, small_options, small_quant, small_text, stories};

fn logits(model: &FloatModel) -> Result<Vec<f32>, Box<dyn std::error::Error>> {
    Ok(model.logits(&small_text(24), None, &mut NoTap)?)
}

/// Written and read again.
fn again(model: &FloatModel, most: usize) -> Result<FloatModel, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let mut told = 0;
    write_within(model, folder.path(), most, |n| told += n)?;
    assert_eq!(told, model.layers.len());
    Ok(load_model(folder.path())?)
}

/// The quantizer knows which weights it chose; the integers say the same. Only their factors of 16 bits, and the entries of
/// embedding and gains, are rounded.
#[test]
fn integers_have_the_values_that_the_quantizer_chose() -> Outcome {
    for body in [WeightFormat::W2Sparse, WeightFormat::W2Dense, WeightFormat::W4] {
        for keys in [Keys::Plain, Keys::Led] {
            let q = quantize(&small_float()?, &small_text(256), &Options { body, keys, ..small_options() })?;
            let found = float(Arc::new(q.model))?;
            let (a, b) = (logits(&q.dequantized)?, logits(&found)?);
            let wide = a.iter().map(|v| v.abs()).fold(0.0, f32::max);
            for (a, b) in a.iter().zip(&b) {
                assert!((a - b).abs() < 5e-4 * wide, "{body:?}, {keys:?}: {a} became {b}, of {wide}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_folder_is_read_as_what_was_written() -> Outcome {
    let model = float(Arc::new(small_quant(&small_options())?))?;
    // One file, and a file for each layer.
    for most in [usize::MAX, 0] {
        let read = again(&model, most)?;
        assert_eq!(logits(&read)?, logits(&model)?);
        assert_eq!(read.config, model.config);
    }
    Ok(())
}

/// The perplexity of the folder is that of the weights, and near the integer model's, which also rounds activations.
#[test]
fn the_bundled_model_in_float() -> Outcome {
    let source = load_model(&data().join("tinytales/w2"))?;
    let q: QuantModel =
        quantize(&source, &stories("tinytales_train_sample.txt")?, &Options::default())?.model;
    let (text, protocol) = (stories("tinytales_val.txt")?, Protocol { window: 320, windows: Some(4) });
    let integer = perplexity(&q, &text, protocol)?.perplexity;
    let weights = float(Arc::new(q))?;
    let ours = perplexity(&weights, &text, protocol)?.perplexity;
    let folder = tempfile::tempdir()?;
    write(&weights, folder.path(), |_| {})?;
    let theirs = perplexity(&load_model(folder.path())?, &text, protocol)?.perplexity;
    assert_eq!(ours.to_bits(), theirs.to_bits());
    assert!((integer / ours - 1.0).abs() < 0.02, "integer {integer}, float {ours}");
    Ok(())
}

#[test]
fn what_a_checkpoint_cannot_hold_is_refused() -> Outcome {
    let mut model = small_quant(&small_options())?;
    model.layers[1].mlp_norm.eps += 1;
    let said = float(Arc::new(model)).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(said.contains("layer 1") && said.contains("eps"), "{said}");
    let mut model = small_quant(&small_options())?;
    model.prefix.tokens = vec![3];
    let said = float(Arc::new(model)).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(said.contains("--prefix"), "{said}");
    let model = float(Arc::new(small_quant(&small_options())?))?;
    assert!(write(&model, Path::new("no/such/folder"), |_| {}).is_err());
    Ok(())
}

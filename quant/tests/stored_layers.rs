//! A model whose layers stay in the file gives the same numbers as one in memory.

use super::support;

use accllm_hw::lambda::LambdaShape;
use accllm_llm::float::{FloatModel, Layers, NoTap};
use accllm_llm::import::{load_model, load_model_within};
use accllm_llm::perplexity::{Protocol, perplexity};
use accllm_quant::quantize::quantize;
use support::{CONFIG, Outcome, small_options, small_text, tensors, write_folder};

#[test]
fn stored_layers_give_the_same_numbers() -> Outcome {
    let folder = tempfile::tempdir()?;
    write_folder(folder.path(), CONFIG, &tensors())?;
    let (here, mut there) = (load_model(folder.path())?, load_model_within(folder.path(), 0)?);
    assert!(matches!(here.layers, Layers::Resident(_)) && matches!(there.layers, Layers::Stored { .. }));
    assert!(there.layer(2).is_err() && here.layer(2).is_err());
    let text = small_text(256);
    let lambda = Some(LambdaShape { n_sink: 2, n_window: 8 });
    assert_eq!(here.logits(&text[..30], lambda, &mut NoTap)?, there.logits(&text[..30], lambda, &mut NoTap)?);
    let protocol = Protocol { window: 40, windows: Some(5) };
    let score = |m: &FloatModel| perplexity(m, &text, protocol);
    assert_eq!(score(&here)?, score(&there)?);
    let (a, b) = (quantize(&here, &text, &small_options())?, quantize(&there, &text, &small_options())?);
    assert_eq!(a.model.fingerprint()?, b.model.fingerprint()?);
    // Changing a layer brings all of them into memory.
    there.layers.resident()?[1].down.data[0] += 1.0;
    assert_ne!(score(&here)?, score(&there)?);
    Ok(())
}

#[test]
fn damage_is_found_when_the_model_is_opened() -> Outcome {
    let folder = tempfile::tempdir()?;
    let mut all = tensors();
    let last = "model.layers.1.mlp.down_proj.weight";
    for t in all.iter_mut().filter(|t| t.name == last) {
        t.bytes[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
    }
    write_folder(folder.path(), CONFIG, &all)?;
    let text = load_model_within(folder.path(), 0).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(text.contains(last) && text.contains("element 2"), "{text}");
    Ok(())
}

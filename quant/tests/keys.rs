//! Leading RoPE pairs: from the float model to the integers.

use super::support;

use accllm_hw::fixed;
use accllm_hw::tensor::Tensor;
use accllm_llm::float::{FloatModel, NoTap};
use accllm_llm::int::{At, Logits, NoIntTap, Sequence};
use accllm_llm::model::{QuantModel, WeightFormat};
use accllm_llm::perplexity::{Protocol, Scorer as _};
use accllm_quant::calibrate::calibrate;
use accllm_quant::quantize::{Clip, KeyGrid, Options, Parts, Rounded, quantize, static_steps};
use accllm_quant::transform::{KeySample, Keys, align_qk, match_keys};
use std::collections::BTreeMap;
use std::path::Path;
use support::{Outcome, small_float, small_text};

/// The small model with a constant in a slow pair of every key, as real models have it: a channel of the residual stream
/// is the same for all tokens, and the pair reads it.
fn with_constants() -> Result<FloatModel, Box<dyn std::error::Error>> {
    let mut model = small_float()?;
    let (hidden, hd) = (model.config.sizes.hidden, model.config.sizes.head_dim);
    model.embed.data.chunks_exact_mut(hidden).for_each(|row| row[0] = 2.0);
    for (l, w) in model.layers.resident()?.iter_mut().enumerate() {
        for row in [&mut w.o, &mut w.down] {
            row.data[..row.cols].fill(0.0);
        }
        for head in 0..w.k.rows / hd {
            let pair = 2 + (head + l) % 3;
            w.k.data[(head * hd + pair) * hidden] += 3.0;
            w.k.data[(head * hd + hd / 2 + pair) * hidden] -= 2.0;
        }
    }
    Ok(model)
}

fn sample(model: &FloatModel) -> Result<KeySample, Box<dyn std::error::Error>> {
    let (text, mut keys) = (small_text(256), KeySample::new(&model.config));
    for window in text.chunks_exact(32) {
        model.hidden(window, None, &mut keys)?;
    }
    Ok(keys)
}

fn apart(a: &[f32], b: &[f32]) -> f32 {
    let scale = a.iter().map(|v| v.abs()).fold(0.0, f32::max);
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / scale
}

#[test]
fn the_pair_with_the_constant_leads_and_the_logits_stay() -> Outcome {
    let model = with_constants()?;
    let (c, keys, text) = (model.config.clone(), sample(&model)?, small_text(32));
    let mut moved = model.clone();
    match_keys(&mut moved, &keys, Keys::Led)?;
    for (l, heads) in moved.config.leads.iter().enumerate() {
        let wanted: Vec<u8> = (0..c.sizes.kv_heads).map(|head| (2 + (head + l) % 3) as u8).collect();
        assert_eq!(*heads, wanted, "layer {l}");
        let error = |lead| {
            Ok::<_, accllm_llm::Error>(align_qk(&c, &mut model.layer(l)?.into_owned(), l, &keys, lead).error)
        };
        let (led, aligned) = (error(true)?, error(false)?);
        println!("layer {l}: {led:.3} of the error is left, {aligned:.3} without a leading pair");
        assert!(led < 0.7 * aligned, "layer {l}: {led}, without a leading pair {aligned}");
    }
    let logits = |m: &FloatModel| m.logits(&text, None, &mut NoTap);
    let change = apart(&logits(&model)?, &logits(&moved)?);
    assert!(change < 2e-5, "logits differ by {change} of the largest");
    Ok(())
}

fn led() -> Result<(FloatModel, QuantModel), Box<dyn std::error::Error>> {
    let model = with_constants()?;
    let calibration = Protocol { window: 32, windows: Some(8) };
    let options = Options { body: WeightFormat::W4, keys: Keys::Led, calibration, ..Options::default() };
    let quant = quantize(&model, &small_text(256), &options)?.model;
    assert!(quant.leads().len() > 1, "{:?}", quant.leads());
    Ok((model, quant))
}

#[test]
fn integers_are_led_too() -> Outcome {
    let (model, quant) = led()?;
    let text = small_text(40);
    let logits = |m: &QuantModel| Sequence::new(m).step(&text, Logits::All, &mut NoIntTap);
    let unit = (-f32::from(quant.logit_frac)).exp2();
    let wanted = model.logits(&text, None, &mut NoTap)?;
    let error = |m: &QuantModel| -> Result<f64, accllm_llm::Error> {
        let pairs = wanted.iter().zip(logits(m)?).map(|(a, b)| (f64::from(*a), f64::from(b as f32 * unit)));
        let (wrong, all) = pairs.fold((0.0, 0.0), |s, (a, b)| (s.0 + (a - b).powi(2), s.1 + a * a));
        Ok(wrong / all)
    };
    let mut unled = quant.clone();
    unled.layers.iter_mut().for_each(|l| l.leads.clear());
    let (with, without) = (error(&quant)?, error(&unled)?);
    println!("relative error of the logits {with:.5}, without the leading pairs {without:.5}");
    assert!(with < 0.02 && without > 2.0 * with, "{with}, without the leading pairs {without}");
    Ok(())
}

#[test]
fn keys_turn_by_the_frequencies_of_their_pairs() -> Outcome {
    let (_, quant) = led()?;
    let mut seen = BTreeMap::new();
    let mut tap = |at: At, data: &[i32]| {
        seen.insert((at.tensor, at.layer, at.token, at.head), data.to_vec());
    };
    Sequence::new(&quant).step(&small_text(12), Logits::Skip, &mut tap)?;
    let (hd, hdp) = (quant.arch.sizes.head_dim, quant.arch.sizes.padded_head());
    for (l, layer) in quant.layers.iter().enumerate() {
        for (token, kv) in (0..12).flat_map(|t| (0..quant.arch.sizes.kv_heads).map(move |kv| (t, kv))) {
            let head = &seen[&(Tensor::K, Some(l), token, None)][kv * hd..][..hd];
            let mut padded = vec![0; hdp];
            padded[..hd / 2].copy_from_slice(&head[..hd / 2]);
            padded[hdp / 2..][..hd / 2].copy_from_slice(&head[hd / 2..]);
            let (mut cos, mut sin) = fixed::rope_row(token, &quant.arch.sizes.rope, hd, hdp);
            let lead = usize::from(layer.leads[kv]);
            (cos[0], cos[lead], sin[0], sin[lead]) = (cos[lead], cos[0], sin[lead], sin[0]);
            let mut expected = vec![0; hdp];
            fixed::rotate_head(&padded, &cos, &sin, u32::from(layer.constants.rot_shift_k), &mut expected);
            assert_eq!(seen[&(Tensor::KRot, Some(l), token, Some(kv))], expected, "{l} {token} {kv}");
        }
    }
    Ok(())
}

#[test]
fn leads_are_kept_with_the_model_and_checked() -> Outcome {
    let (_, quant) = led()?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model");
    quant.save(&path, None)?;
    assert!(QuantModel::load(&path)? == quant);
    let half = (quant.arch.sizes.head_dim / 2) as u8;
    for (leads, why) in
        [(vec![0], "layers[0].leads"), (vec![half; quant.arch.sizes.kv_heads], "layers[0].leads")]
    {
        let mut bad = quant.clone();
        bad.layers[0].leads = leads;
        let said = bad.check(Path::new("model")).err().ok_or("accepted")?.to_string();
        assert!(said.contains(why), "{said}");
    }
    Ok(())
}

#[test]
fn the_simulation_is_led_too() -> Outcome {
    let (model, text) = (with_constants()?, small_text(48));
    let mut moved = model.clone();
    match_keys(&mut moved, &sample(&model)?, Keys::Led)?;
    let window = Protocol { window: 48, windows: None };
    let steps = static_steps(&moved, &calibrate(&moved, &text, window)?, Clip::None)?;
    let error = |model: &FloatModel| -> Result<f64, accllm_llm::Error> {
        let parts = Parts { key: Some(KeyGrid::Token), ..Parts::default() };
        let rounded = Rounded { model, steps: &steps, parts, prefix: 0, lambda: None };
        let pairs = rounded.nll(&text)?.into_iter().zip(model.nll(&text)?);
        Ok(pairs.map(|(a, b)| (a - b).abs()).sum::<f64>())
    };
    let mut unled = moved.clone();
    unled.config.leads.clear();
    let (with, without) = (error(&moved)?, error(&unled)?);
    println!("{with:.5} nats lost to the rounding of K, without leading pairs {without:.5}");
    assert!(with > 0.0 && with < 0.5 * without, "{with}, without leading pairs {without}");
    // Tokens that come from elsewhere are not rounded.
    let parts = Parts::engine(true, true);
    let rounded = Rounded { model: &moved, steps: &steps, parts, prefix: text.len(), lambda: None };
    assert_eq!(rounded.nll(&text)?, moved.nll(&text)?);
    Ok(())
}

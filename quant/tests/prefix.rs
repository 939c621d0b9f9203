//! Prefixes: tokens that all texts of a model follow, whose keys and values come with it.

use super::support;

use accllm_llm::int::{Logits, NoIntTap, Sequence};
use accllm_llm::model::{LambdaShape, Prefix, QuantModel, WeightFormat};
use accllm_llm::perplexity::{Protocol, Scorer as _, nll_of_logits};
use accllm_quant::quantize::{Closed, Options, quantize};
use accllm_quant::transform::Keys;
use std::path::Path;
use support::{Outcome, small_float, small_text};

/// Two tokens, one of which has three thousand times the others' embedding.
const PREFIX: [u32; 2] = [7, 3];

fn options(prefix: &[u32]) -> Options {
    let calibration = Protocol { window: 32, windows: Some(8) };
    let keys = Keys::Led;
    Options { body: WeightFormat::W4, keys, calibration, prefix: prefix.to_vec(), ..Options::default() }
}

/// The small model with an outlier, quantized on `text`.
fn model_of(prefix: &[u32], text: &[u32]) -> Result<QuantModel, Box<dyn std::error::Error>> {
    let mut float = small_float()?;
    let width = float.config.sizes.hidden;
    float.embed.data[7 * width..8 * width].iter_mut().for_each(|v| *v *= 3000.0);
    Ok(quantize(&float, text, &options(prefix))?.model)
}

/// The same on a text that has the outlier only where `prefix` puts it.
fn model(prefix: &[u32]) -> Result<QuantModel, Box<dyn std::error::Error>> {
    model_of(prefix, &small_text(256).into_iter().filter(|t| *t != 7).collect::<Vec<_>>())
}

/// Logits of `text` in a session.
fn logits(session: &mut Sequence<'_>, text: &[u32]) -> Result<Vec<f32>, accllm_llm::Error> {
    Ok(session.step(text, Logits::All, &mut NoIntTap)?.into_iter().map(|v| v as f32).collect())
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
}

#[test]
fn keys_and_values_are_those_of_the_tokens() -> Outcome {
    let (model, a) = (model(&PREFIX)?, small_float()?.config);
    assert_eq!((&model.prefix.tokens[..], model.prefix.heads.len()), (&PREFIX[..], 4));
    // The engine computes them from rounded inputs: codes are next to each other, and most are the same.
    let mut computed = Sequence::new(&model);
    computed.step(&PREFIX, Logits::Skip, &mut NoIntTap)?;
    let (mut same, mut all) = (0, 0);
    for layer in 0..a.sizes.layers {
        for head in 0..a.sizes.kv_heads {
            let own = computed.head_cache(layer, head)?;
            let given = model.prefix_head(layer, head);
            let reals = |c: &accllm_llm::model::HeadCache| -> Vec<f32> {
                let steps = c.k_meta.iter().flat_map(|m| [*m; 64]);
                c.k.iter().zip(steps).map(|(k, (s, b))| f32::from(b) + f32::from(*k) * f32::from(s)).collect()
            };
            let (own_k, given_k) = (reals(&own), reals(&given));
            let size = distance(&own_k, &vec![0.0; own_k.len()]);
            assert!(distance(&own_k, &given_k) < 0.2 * size, "layer {layer}, head {head}");
            all += own.v.len();
            same += own.v.iter().zip(&given.v).filter(|(a, b)| a == b).count();
            assert!(
                own.v.iter().zip(&given.v).all(|(a, b)| a.abs_diff(*b) <= 2),
                "layer {layer}, head {head}"
            );
        }
    }
    assert!(same * 10 > all * 7, "{same} of {all} values");
    Ok(())
}

#[test]
fn a_text_is_behind_them() -> Outcome {
    let (model, text) = (model(&PREFIX)?, &small_text(40)[..20]);
    let mut behind = Sequence::new(&model).behind_prefix()?;
    assert_eq!(behind.position(), 2);
    let behind = logits(&mut behind, text)?;
    // Where the engine computes them: nearly the same. Without them, or in another order: not.
    let mut own = Sequence::new(&model);
    logits(&mut own, &PREFIX)?;
    let own = logits(&mut own, text)?;
    let alone = logits(&mut Sequence::new(&model), text)?;
    let mut turned = Sequence::new(&model);
    logits(&mut turned, &[PREFIX[1], PREFIX[0]])?;
    let turned = logits(&mut turned, text)?;
    let near = distance(&behind, &own);
    println!(
        "{near}, alone {}, in the other order {}",
        distance(&behind, &alone),
        distance(&behind, &turned)
    );
    assert!(2.0 * near < distance(&behind, &alone) && 2.0 * near < distance(&behind, &turned));
    // A score is that of these logits.
    let unit = (-f32::from(model.logit_frac)).exp2();
    let real: Vec<f32> = behind.iter().map(|v| v * unit).collect();
    assert_eq!(model.nll(text)?, nll_of_logits(&real, model.arch.sizes.vocab, text));
    Ok(())
}

#[test]
fn ranges_are_those_behind_them() -> Outcome {
    // The outlier takes a fraction bit where it is part of the text, and none as a prefix.
    let (part, behind) = (model_of(&[], &small_text(256))?, model(&PREFIX)?);
    assert!(behind.resid_frac > part.resid_frac, "{} {}", behind.resid_frac, part.resid_frac);
    assert_eq!(model(&[])?.prefix, Prefix::default());
    Ok(())
}

/// What is moved into the weights for the steps of inputs is measured after the prefix too. Its token is channel 0 and
/// nothing else, which after a norm is more than any other token has there.
#[test]
fn shapes_are_those_behind_them() -> Outcome {
    let mut float = small_float()?;
    let width = float.config.sizes.hidden;
    float.embed.data[7 * width..8 * width].fill(0.0);
    float.embed.data[7 * width] = 400.0;
    let text: Vec<u32> = small_text(256).into_iter().filter(|t| *t != 7).collect();
    let gains = |prefix: &[u32]| -> Result<[f32; 2], accllm_llm::Error> {
        let closed = Closed { feedback: false, correct: false, rounds: 0, ..Closed::default() };
        let options = Options { migration: Some(1.0), keys: Keys::Plain, closed, ..options(prefix) };
        let model = quantize(&float, &text, &options)?.model;
        Ok([&model.layers[1].mlp_norm.g, &model.final_norm.g].map(|g| f32::from(g[0]) / f32::from(g[1])))
    };
    let (behind, without) = (gains(&[7])?, gains(&[])?);
    for (behind, without) in behind.into_iter().zip(without) {
        assert!(0.7 < behind / without && behind / without < 1.4, "{behind} {without}");
    }
    Ok(())
}

#[test]
fn it_is_kept_with_the_model_and_checked() -> Outcome {
    let model = model(&PREFIX)?;
    let parent = tempfile::tempdir()?;
    let folder = parent.path().join("model");
    model.save(&folder, None)?;
    let back = QuantModel::load(&folder)?;
    assert_eq!((&back, back.fingerprint()?), (&model, model.fingerprint()?));
    type Change = (&'static str, fn(&mut Prefix));
    let changes: [Change; 6] = [
        ("names token 50", |p| p.tokens[1] = 50),
        ("3 heads", |p| p.heads.truncate(3)),
        ("4 heads; expected 0", |p| p.tokens.clear()),
        ("layer 1, KV head 0", |p| p.heads[2].k[5] = 8),
        ("layer 0, KV head 1", |p| p.heads[1].k_meta[0].0 = 0),
        ("layer 1, KV head 1", |p| p.heads[3].v.truncate(1)),
    ];
    for (what, change) in changes {
        let mut other = model.clone();
        change(&mut other.prefix);
        let said = other.check(Path::new("m")).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(said.contains(what), "{what}: {said}");
    }
    let mut other = model.clone();
    other.prefix.heads[3].v[0] ^= 1;
    assert_ne!(other.fingerprint()?, model.fingerprint()?);
    let short = LambdaShape { n_sink: 0, n_window: 1 };
    let said = Sequence::with_lambda(&model, short)?.behind_prefix().err().map(|e| e.to_string());
    assert!(said.is_some_and(|s| s.contains("prefix of 2")));
    Ok(())
}

#[test]
fn prefixes_that_cannot_be() -> Outcome {
    let (float, text) = (small_float()?, small_text(256));
    let long = options(&[1, 2, 3, 4, 5]);
    let mut narrow = options(&PREFIX);
    narrow.calibration.window = 3;
    let mut most = options(&[1, 2, 3, 4]);
    most.calibration.window = 6;
    quantize(&float, &text, &most)?;
    for (what, options) in [
        ("4 sinks", long),
        ("leaves 1 of", narrow),
        ("token 50", options(&[50])),
        ("fewer than one", options(&PREFIX)),
    ] {
        let text = if what == "fewer than one" { &text[..29] } else { &text[..] };
        let said = quantize(&float, text, &options).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(said.contains(what), "{what}: {said}");
    }
    Ok(())
}

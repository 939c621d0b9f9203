//! The integer model computes the same with every set of instructions, in whatever parts it reads a text.

use super::support;

use accllm_llm::Result;
use accllm_llm::import::load_model;
use accllm_llm::int::{At, IntTap, Logits, NoIntTap, Prepared, Sequence};
use accllm_llm::model::{LambdaShape, QuantModel};
use accllm_llm::perplexity::{Protocol, nll_of_logits};
use accllm_llm::simd::Simd;
use accllm_quant::quantize::{Options, quantize};
use std::sync::Arc;
use support::{Outcome, data};

/// The bundled model, quantized; grouped queries, a head width of 32.
fn bundled() -> std::result::Result<QuantModel, Box<dyn std::error::Error>> {
    let calibration = Protocol { window: 250, windows: None };
    let options = Options { calibration, ..Options::default() };
    Ok(quantize(&load_model(&data().join("tinytales/w2"))?, &(0..1000).collect::<Vec<u32>>(), &options)?
        .model)
}

#[test]
fn instruction_sets_and_ways_agree() -> Outcome {
    let model = bundled()?;
    let text: Vec<u32> = (0..500u32).map(|i| i.wrapping_mul(2654435761) % 1024).collect();
    for lambda in
        [LambdaShape { n_sink: 3, n_window: 70 }, LambdaShape { n_sink: 0, n_window: 33 }, model.lambda]
    {
        let run = |simd: Simd, parts: &[usize], tapped: bool| -> Result<Vec<i32>> {
            let mut session = Sequence::shared(Arc::new(Prepared::with(&model, simd)), lambda)?;
            let (mut logits, mut at, mut seen) = (Vec::new(), 0, 0usize);
            for n in parts.iter().cycle() {
                let part = &text[at..(at + n).min(text.len())];
                let mut tap = |_: At, data: &[i32]| seen += data.len();
                let tap: &mut dyn IntTap = if tapped { &mut tap } else { &mut NoIntTap };
                logits.extend(session.step(part, Logits::All, tap)?);
                at += part.len();
                if at == text.len() {
                    break;
                }
            }
            Ok(logits)
        };
        let expected = run(Simd::Portable, &[500], true)?;
        assert_eq!(expected.len(), 500 * 1024);
        for simd in Simd::all() {
            assert!(run(simd, &[500], false)? == expected, "{simd:?}");
            assert!(run(simd, &[1, 130, 64, 7], false)? == expected, "{simd:?} in parts");
        }
        // Scores are those of the logits, in whatever parts.
        let unit = (-f32::from(model.logit_frac)).exp2();
        let real: Vec<f32> = expected.iter().map(|v| *v as f32 * unit).collect();
        let nll = nll_of_logits(&real, 1024, &text);
        let prepared = Arc::new(Prepared::new(&model));
        assert!(Sequence::scoring(prepared.clone(), lambda)?.score(&text, 0)? == nll);
        assert!(Sequence::scoring(prepared.clone(), lambda)?.score(&text, 301)? == nll[301..]);
        let mut session = Sequence::scoring(prepared, lambda)?;
        let mut all = session.score(&text[..211], 0)?;
        all.extend(session.score(&text[210..], 0)?);
        assert!(all == nll);
    }
    Ok(())
}

//! Properties of the float reference that perplexity alone would not show.

use super::support;

use accllm_hw::lambda::LambdaShape;
use accllm_llm::float::{NoTap, Site};
use support::{Outcome, small_float, small_text};

#[test]
fn thread_count_does_not_matter() -> Outcome {
    let (model, text) = (small_float()?, small_text(100));
    let run = |threads: usize| -> Result<Vec<f32>, Box<dyn std::error::Error>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        Ok(pool.install(|| model.logits(&text, None, &mut NoTap))?)
    };
    assert_eq!(run(1)?, run(5)?);
    Ok(())
}

#[test]
fn a_wide_lambda_is_full_attention_and_a_narrow_one_is_not() -> Outcome {
    let (model, text) = (small_float()?, small_text(40));
    let full = model.logits(&text, None, &mut NoTap)?;
    let run = |sinks, window| {
        model.logits(&text, Some(LambdaShape { n_sink: sinks, n_window: window }), &mut NoTap)
    };
    assert_eq!(full, run(4, 36)?);
    assert_eq!(full, run(0, 40)?);
    let narrow = run(2, 8)?;
    let seen = 10 * model.config.sizes.vocab;
    // To the rounding of sums: products of sinks and of the window are two where the text is longer.
    let near = full[..seen].iter().zip(&narrow[..seen]).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(near, "ten tokens fit two sinks and a window of eight");
    assert_ne!(full[seen..], narrow[seen..]);
    Ok(())
}

#[test]
fn a_lambda_query_does_not_see_what_has_left_the_window() -> Outcome {
    // One layer, so that nothing is passed on through the tokens between.
    let (mut model, text) = (small_float()?, small_text(30));
    model.layers.resident()?.truncate(1);
    model.config.sizes.layers = 1;
    let last = |text: &[u32]| -> accllm_llm::Result<Vec<f32>> {
        let logits = model.logits(text, Some(LambdaShape { n_sink: 2, n_window: 8 }), &mut NoTap)?;
        Ok(logits[29 * model.config.sizes.vocab..].to_vec())
    };
    let with = |at: usize| {
        let mut text = text.clone();
        text[at] = (text[at] + 1) % 50;
        text
    };
    let reference = last(&text)?;
    for at in 2..22 {
        assert_eq!(last(&with(at))?, reference, "token {at} is outside");
    }
    for at in [0, 1, 22, 29] {
        assert_ne!(last(&with(at))?, reference, "token {at} is inside");
    }
    Ok(())
}

#[test]
fn taps_see_every_site_and_may_edit() -> Outcome {
    let (model, text) = (small_float()?, small_text(12));
    let mut seen = Vec::new();
    let before =
        model.logits(&text, None, &mut |site: Site, layer: usize, width: usize, data: &mut [f32]| {
            assert_eq!(data.len(), 12 * width);
            seen.push((site, layer));
        })?;
    assert_eq!(seen.len(), 2 * 12 + 1);
    assert_eq!((seen[0], seen[24]), ((Site::LayerIn, 0), (Site::FinalNorm, 2)));
    let after = model.logits(&text, None, &mut |site: Site, _: usize, _: usize, data: &mut [f32]| {
        if site == Site::FinalNorm {
            data.iter_mut().for_each(|v| *v *= 2.0);
        }
    })?;
    assert!(before.iter().zip(&after).all(|(a, b)| (2.0 * a - b).abs() < 1e-5));
    Ok(())
}

#[test]
fn tokens_outside_the_vocabulary_are_refused() -> Outcome {
    let text =
        small_float()?.logits(&[1, 50], None, &mut NoTap).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(text.contains("token 50 at position 1"), "{text}");
    Ok(())
}

#[test]
fn a_stream_is_a_window_with_the_same_attention() -> Outcome {
    use accllm_llm::float::FloatStream;
    use accllm_llm::perplexity::{Stream, nll_of_logits};
    let (model, text) = (small_float()?, small_text(900));
    for (sinks, window) in [(0, 1), (3, 9), (0, 40), (5, 300), (2, 5000)] {
        let lambda = LambdaShape { n_sink: sinks, n_window: window };
        let logits = model.logits(&text, Some(lambda), &mut NoTap)?;
        let whole = nll_of_logits(&logits, 50, &text);
        for parts in [vec![900], vec![1, 2, 5, 200, 300, 391]] {
            let (mut stream, mut all, mut at) = (FloatStream::new(&model, lambda)?, Vec::new(), 0);
            for n in parts {
                all.extend(stream.score(&text[at..(at + n + 1).min(900)])?);
                at += n;
            }
            assert_eq!(all.len(), whole.len());
            for (i, (a, b)) in all.iter().zip(&whole).enumerate() {
                assert!((a - b).abs() < 1e-4, "{sinks} + {window}, token {i}: {a} for {b}");
            }
            let rows = (sinks + window - 1).min(899);
            assert_eq!(stream.cache_bytes(), rows * 2 * 2 * 20 * 4, "{sinks} + {window}");
        }
    }
    assert!(FloatStream::new(&model, LambdaShape { n_sink: 4, n_window: 0 }).is_err());
    Ok(())
}

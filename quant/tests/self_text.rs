//! Text that the float model writes itself.

mod support;

use accllm_quant::float::{FloatModel, NoTap, SelfText};
use support::{Outcome, small_float};

/// More sequences than are written side by side.
const WHAT: SelfText = SelfText { sequences: 67, tokens: 24, seed: 5 };

/// One sequence by the windowed model, which runs all tokens anew for each one.
fn slowly(model: &FloatModel, i: u64) -> Result<Vec<u32>, Box<dyn std::error::Error>> {
    let vocab = model.config.vocab;
    let mut random = fastrand::Rng::with_seed(WHAT.seed.wrapping_mul(0x9E37_79B9).wrapping_add(i));
    let mut text = vec![random.u32(0..vocab as u32)];
    while text.len() < WHAT.tokens {
        let logits = model.logits(&text, None, &mut NoTap)?;
        let last = &logits[logits.len() - vocab..];
        let max = last.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f64> = last.iter().map(|x| f64::from((x - max).exp())).collect();
        let next = if text.len() <= 3 {
            last.iter().position(|x| *x == max)
        } else {
            let mut left = random.f64() * weights.iter().sum::<f64>();
            weights.iter().position(|w| {
                left -= w;
                left < 0.0
            })
        };
        text.push(next.ok_or("nothing is drawn")? as u32);
    }
    Ok(text)
}

#[test]
fn it_is_drawn_from_the_windowed_model() -> Outcome {
    let mut model = small_float()?;
    // A sharper distribution than that of random weights.
    model.final_norm.iter_mut().for_each(|g| *g *= 6.0);
    let mut told = Vec::new();
    let text = model.write(WHAT, |n| told.push(n))?;
    assert_eq!(text.len(), WHAT.sequences * WHAT.tokens);
    assert_eq!(told.last(), Some(&text.len()));
    assert!(told.is_sorted(), "{told:?}");
    for i in [0, 1, 31, 63, 64, 66] {
        let got = &text[i * WHAT.tokens..][..WHAT.tokens];
        assert_eq!(got, slowly(&model, i as u64)?, "sequence {i}");
    }
    Ok(())
}

#[test]
fn seed_decides_and_threads_do_not() -> Outcome {
    let model = small_float()?;
    let with = |threads: usize| -> Result<Vec<u32>, Box<dyn std::error::Error>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        Ok(pool.install(|| model.write(WHAT, |_| {}))?)
    };
    let text = with(1)?;
    assert_eq!(text, with(2)?);
    assert_eq!(text, with(3)?);
    assert_ne!(text, model.write(SelfText { seed: 6, ..WHAT }, |_| {})?);
    // A text does not depend on how many others there are.
    assert_eq!(text[..WHAT.tokens * 2], model.write(SelfText { sequences: 2, ..WHAT }, |_| {})?);
    Ok(())
}

#[test]
fn nothing_to_write_is_refused() -> Outcome {
    let model = small_float()?;
    for (sequences, tokens) in [(0, 10), (3, 0), (3, 1)] {
        let error = model.write(SelfText { sequences, tokens, seed: 1 }, |_| {}).err();
        assert!(error.is_some_and(|e| e.to_string().contains("at least")), "{sequences} of {tokens}");
    }
    Ok(())
}

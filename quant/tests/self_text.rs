//! Text that the float model writes itself.

use super::support;

use accllm_llm::float::{FloatModel, NoTap, SelfText};
use accllm_quant::quantize::self_text;
use support::{Outcome, small_float};

/// More sequences than are written side by side.
const WHAT: SelfText = SelfText { sequences: 67, tokens: 24, seed: 5 };

/// One sequence by the windowed model, which runs all tokens anew for each one.
fn slowly(model: &FloatModel, i: u64) -> Result<Vec<u32>, Box<dyn std::error::Error>> {
    let vocab = model.config.sizes.vocab;
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
    assert_eq!(told.iter().sum::<usize>(), text.len(), "{told:?}");
    assert!(told.len() > WHAT.tokens, "{told:?}");
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

#[test]
fn a_kept_text_is_taken_again_and_checked() -> Outcome {
    let (model, folder) = (small_float()?, tempfile::tempdir()?);
    let what = SelfText { sequences: 2, tokens: 9, seed: 3 };
    let write = |what| self_text(&model, what, Some(folder.path()), |_| {});
    let text = write(what)?;
    assert_eq!(text, model.write(what, |_| {})?);
    let files = || -> std::io::Result<Vec<_>> {
        std::fs::read_dir(folder.path())?.map(|f| f.map(|f| f.path())).collect()
    };
    // What is in the file is what is taken.
    let path = files()?.pop().ok_or("no file")?;
    std::fs::write(&path, format!("{:?}", vec![1; 18]))?;
    assert_eq!(write(what)?, vec![1; 18]);
    for bad in ["", "[1, 2]", "[-1]", &format!("{:?}", vec![u32::MAX; 18])] {
        std::fs::write(&path, bad)?;
        let error = write(what).err().ok_or("taken")?.to_string();
        assert!(error.contains("delete it to write the text again"), "{error}");
    }
    write(SelfText { seed: 4, ..what })?;
    assert_eq!(files()?.len(), 2, "another text has another file");
    Ok(())
}

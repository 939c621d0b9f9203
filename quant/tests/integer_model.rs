//! The integer reference model: independence of blocks and threads, the attention oracle, the ring buffer.

use super::support;

use accllm_hw::tensor::Tensor;
use accllm_hw::{fixed, tables};
use accllm_llm::int::{At, Logits, NoIntTap, Sequence};
use accllm_llm::model::{LambdaShape, QuantModel};
use accllm_quant::quantize::Options;
use std::collections::BTreeMap;
use support::{Outcome, small_options, small_quant, small_text};

const SHAPE: LambdaShape = LambdaShape { n_sink: 3, n_window: 9 };

fn model(wide: bool) -> Result<QuantModel, Box<dyn std::error::Error>> {
    small_quant(&Options { prob_wide: wide, ..small_options() })
}

#[test]
fn blocks_and_threads_do_not_matter() -> Outcome {
    for wide in [true, false] {
        let (model, text) = (model(wide)?, small_text(150));
        let run = |threads: usize, block: usize| -> Result<Vec<i32>, Box<dyn std::error::Error>> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            let all: accllm_llm::Result<_> = pool.install(|| {
                let mut session = Sequence::with_lambda(&model, SHAPE)?;
                let mut all = Vec::new();
                for part in text.chunks(block) {
                    all.extend(session.step(part, Logits::All, &mut NoIntTap)?);
                }
                assert_eq!(session.position(), 150);
                Ok(all)
            });
            Ok(all?)
        };
        let one = run(1, 1)?;
        assert_eq!(one.len(), 150 * 50);
        assert_eq!(one, run(4, 150)?);
        assert_eq!(one, run(3, 7)?);
        let mut session = Sequence::with_lambda(&model, SHAPE)?;
        let last = session.step(&text, Logits::Last, &mut NoIntTap)?;
        assert_eq!(last, one[149 * 50..]);
    }
    Ok(())
}

/// All tapped tensors of a run.
type Seen = BTreeMap<(Tensor, Option<usize>, u64, Option<usize>), Vec<i32>>;

fn observe(model: &QuantModel, text: &[u32], shape: LambdaShape) -> Result<Seen, Box<dyn std::error::Error>> {
    let mut seen = Seen::new();
    let mut tap = |at: At, data: &[i32]| {
        let before = seen.insert((at.tensor, at.layer, at.token, at.head), data.to_vec());
        assert!(before.is_none(), "{at:?} came twice");
    };
    Sequence::with_lambda(model, shape)?.step(text, Logits::All, &mut tap)?;
    Ok(seen)
}

#[test]
fn scores_and_outputs_follow_from_the_codes() -> Outcome {
    let (model, text) = (model(true)?, small_text(70));
    let seen = observe(&model, &text, SHAPE)?;
    let get = |point, layer: usize, token: u64, head: usize| &seen[&(point, Some(layer), token, Some(head))];
    for layer in 0..2 {
        let c = &model.layers[layer].constants;
        for p in 0..70u64 {
            for head in 0..4 {
                let kv = head / 2;
                let visible: Vec<u64> = (0..=p).filter(|j| *j < 3 || p - j < 9).collect();
                let (score, prob) = (get(Tensor::Score, layer, p, head), get(Tensor::Prob, layer, p, head));
                assert_eq!(score.len(), visible.len());
                let mut z = Vec::new();
                for (j, sc) in visible.iter().zip(score) {
                    let which = usize::from(*j < 3);
                    let q = get([Tensor::Q8Win, Tensor::Q8Sink][which], layer, p, head);
                    let codes = get(Tensor::KCodes, layer, *j, kv);
                    let dot: i32 = q.iter().zip(codes).map(|(a, b)| a * b).sum();
                    let sum: i32 = q.iter().sum();
                    let (scale, base) =
                        (get(Tensor::KScale, layer, *j, kv)[0], get(Tensor::KBase, layer, *j, kv)[0]);
                    assert_eq!(*sc, dot * scale + base * sum);
                    assert_eq!(get([Tensor::QSumWin, Tensor::QSumSink][which], layer, p, head)[0], sum);
                    let scale = get([Tensor::QScaleWin, Tensor::QScaleSink][which], layer, p, head)[0];
                    z.push(fixed::score_z(*sc, scale as u16, c.zm, u32::from(c.zs)));
                }
                let top = z.iter().copied().max().unwrap_or(0);
                let expected: Vec<i32> = z.iter().map(|z| fixed::prob(*z, top, true)).collect();
                assert_eq!(*prob, expected);
                let sum: i32 = prob.iter().sum();
                assert_eq!(get(Tensor::ProbSum, layer, p, head)[0], sum);
                for d in 0..10 {
                    let v = |j: &u64| get(Tensor::VCodes, layer, *j, kv)[d];
                    let acc: i32 = visible.iter().zip(prob).map(|(j, w)| w * v(j)).sum();
                    assert_eq!(get(Tensor::AttnAcc, layer, p, head)[d], acc);
                    let o8 = fixed::attn_code(acc, tables::recip(sum as u32), c.og, u32::from(c.os));
                    assert_eq!(get(Tensor::AttnO8, layer, p, head)[d], i32::from(o8));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn every_tensor_is_tapped() -> Outcome {
    let (model, text) = (model(true)?, small_text(5));
    let mut points: Vec<Tensor> = observe(&model, &text, SHAPE)?.keys().map(|k| k.0).collect();
    points.dedup();
    assert_eq!(points.len(), 34);
    let names: std::collections::BTreeSet<_> = points.iter().map(|p| p.name()).collect();
    assert_eq!(names.len(), 34);
    Ok(())
}

#[test]
fn sinks_are_scored_at_the_ceiling() -> Outcome {
    let (model, text) = (model(true)?, small_text(40));
    let seen = observe(&model, &text, SHAPE)?;
    let rot = |point, token| &seen[&(point, Some(0), token, Some(0))];
    assert_eq!(rot(Tensor::QSink, 11), rot(Tensor::QWin, 11), "the ceiling is position 11");
    assert_ne!(rot(Tensor::QSink, 12), rot(Tensor::QWin, 12));
    // Element by element: the sink query of token 30 is its q rotated at 11.
    let q = &seen[&(Tensor::Q, Some(0), 30, None)][..10];
    let (cos, sin) = fixed::rope_row(11, &model.arch.sizes.rope, 10, 64);
    let mut padded = vec![0; 64];
    padded[..5].copy_from_slice(&q[..5]);
    padded[32..37].copy_from_slice(&q[5..]);
    let mut expected = vec![0; 64];
    let shift = u32::from(model.layers[0].constants.rot_shift_q);
    fixed::rotate_head(&padded, &cos, &sin, shift, &mut expected);
    assert_eq!(*rot(Tensor::QSink, 30), expected);
    Ok(())
}

#[test]
fn the_ring_forgets_what_left_the_window() -> Outcome {
    let mut model = model(true)?;
    model.layers.truncate(1);
    model.arch.sizes.layers = 1;
    let text = small_text(200);
    let last = |text: &[u32]| -> accllm_llm::Result<Vec<i32>> {
        Sequence::with_lambda(&model, SHAPE)?.step(text, Logits::Last, &mut NoIntTap)
    };
    let with = |at: usize| {
        let mut text = text.clone();
        text[at] = (text[at] + 1) % 50;
        text
    };
    let reference = last(&text)?;
    for at in [3, 100, 189, 190] {
        assert_eq!(last(&with(at))?, reference, "token {at} is outside");
    }
    for at in [0, 2, 191, 199] {
        assert_ne!(last(&with(at))?, reference, "token {at} is inside");
    }
    Ok(())
}

#[test]
fn bad_arguments_are_refused() -> Outcome {
    let model = model(true)?;
    let zero = LambdaShape { n_sink: 0, n_window: 0 };
    assert!(Sequence::with_lambda(&model, zero).is_err());
    assert!(Sequence::with_lambda(&model, LambdaShape { n_sink: 1, n_window: 8192 }).is_err());
    assert!(Sequence::new(&model).step(&[50], Logits::All, &mut NoIntTap).is_err());
    assert!(Sequence::new(&model).step(&[], Logits::All, &mut NoIntTap)?.is_empty());
    Ok(())
}

#[test]
fn integers_stay_close_to_the_simulation() -> Outcome {
    use accllm_llm::perplexity::{Protocol, perplexity};
    use accllm_quant::quantize::{Simulated, quantize};
    let (float, text) = (support::small_float()?, small_text(640));
    let q = quantize(&float, &text, &small_options())?;
    let simulated = Simulated { model: &q.dequantized, steps: &q.steps, a8: true, kv4: true, lambda: None };
    let protocol = Protocol { window: 64, windows: None };
    let (a, b) = (perplexity(&q.model, &text, protocol)?, perplexity(&simulated, &text, protocol)?);
    assert!((a.nll - b.nll).abs() < 0.002, "integer {} simulated {}", a.nll, b.nll);
    Ok(())
}

#[test]
fn hopeless_calibrations_are_refused() -> Outcome {
    use accllm_llm::perplexity::Protocol;
    use accllm_quant::quantize::quantize;
    let float = support::small_float()?;
    let refusal = |text: &[u32], options: Options| {
        quantize(&float, text, &options).err().map(|e| e.to_string()).unwrap_or_default()
    };
    let window = |window| Options { calibration: Protocol { window, windows: None }, ..Options::default() };
    assert!(refusal(&small_text(20), window(32)).contains("fewer than one window"));
    assert!(refusal(&small_text(20), window(0)).contains("too short"));
    assert!(refusal(&[1, 50, 2, 3], window(4)).contains("token 50"));
    let bad = Options { migration: Some(f32::NAN), ..small_options() };
    assert!(refusal(&small_text(256), bad).contains("migration"));
    let bad = Options { layer_formats: vec![[accllm_llm::model::WeightFormat::W4; 7]; 3], ..small_options() };
    assert!(refusal(&small_text(256), bad).contains("3 layers"));
    Ok(())
}

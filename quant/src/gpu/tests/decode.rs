//! Writing: what is forced, what is likeliest, and that draws follow the distribution.

use super::*;
use crate::gpu::write::{Writing, write};
use accllm_llm::float::NoTap;

const LENGTH: usize = 40;

fn text(device: &dyn Device, model: &FloatModel, beginnings: &[Vec<u32>], sequences: usize) -> Vec<u32> {
    let what = Writing { first: 0, sequences, length: LENGTH, side: 4, beginnings, seed: 9 };
    Held::new(device, model).weights(|w| write(device, &model.config, w, &what, &mut |_| {})).unwrap()
}

/// Behind a beginning of one token the three likeliest follow, by the float model's word; longer ones are taken as they are.
#[test]
fn beginnings_are_followed() {
    for config in [config(), wide()] {
        follow(&model_of(config, 3));
    }
}

fn follow(model: &FloatModel) {
    let beginnings: Vec<Vec<u32>> = vec![vec![17], vec![5, 6, 7, 8, 9], vec![100], vec![30, 31]];
    let vocab = model.config.sizes.vocab;
    on_devices_for(&model.config, |device| {
        let text = text(device, model, &beginnings, 6);
        assert_eq!(text.len(), 6 * LENGTH);
        let mut seen = 0;
        for row in text.chunks_exact(LENGTH) {
            let begin = beginnings.iter().find(|b| row.starts_with(b));
            let begin = begin.unwrap_or_else(|| panic!("{row:?} begins with nothing known"));
            assert!(row.iter().all(|t| (*t as usize) < vocab));
            if begin.len() > 1 {
                continue;
            }
            for t in 1..4 {
                if row[..t].contains(&2) {
                    break;
                }
                let logits = model.logits(&row[..t], None, &mut NoTap).unwrap();
                let last = &logits[(t - 1) * vocab..];
                let best = last.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                // Up to the rounding to bf16.
                assert!(
                    last[row[t] as usize] > best - 0.1,
                    "{} at {t}: {} of {best}",
                    row[t],
                    last[row[t] as usize]
                );
                seen += 1;
            }
        }
        assert!(seen > 0);
    });
}

/// The mean surprise of drawn tokens is the entropy of the float model's distributions.
#[test]
#[ignore = "half a minute without a card"]
fn draws_follow_the_distribution() {
    let model = model(3);
    let vocab = model.config.sizes.vocab;
    on_devices(|device| {
        let text = text(device, &model, &[vec![30, 31]], 12);
        let (mut surprise, mut entropy, mut count) = (0.0, 0.0, 0);
        for row in text.chunks_exact(LENGTH) {
            let logits = model.logits(row, None, &mut NoTap).unwrap();
            for t in 2..LENGTH {
                // What comes after an end is forced.
                if row[t - 2..t].contains(&2) || row[t - 1..=t] == [30, 31] {
                    continue;
                }
                let z = &logits[(t - 1) * vocab..t * vocab];
                let most = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let sum: f64 = z.iter().map(|v| f64::from(v - most).exp()).sum();
                let log_p = |v: f32| f64::from(v - most) - sum.ln();
                surprise -= log_p(z[row[t] as usize]);
                entropy -= z.iter().map(|v| log_p(*v).exp() * log_p(*v)).sum::<f64>();
                count += 1;
            }
        }
        let (surprise, entropy) = (surprise / f64::from(count), entropy / f64::from(count));
        eprintln!("{count} draws: surprise {surprise:.3}, entropy {entropy:.3}");
        assert!(count > 300 && (surprise - entropy).abs() < 0.2, "{count}: {surprise} for {entropy}");
    });
}

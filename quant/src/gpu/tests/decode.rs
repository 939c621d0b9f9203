//! Writing: what is forced, what is likeliest, and that draws follow the distribution.

use super::*;
use crate::gpu::write::{Writing, write};
use crate::gpu::{Beginnings, Then};
use accllm_llm::float::NoTap;

const LENGTH: usize = 40;

/// Documents do not end but with an end token, and everything can be drawn.
fn whole(beginnings: &Beginnings, sequences: usize) -> Writing<'_> {
    let documents = [LENGTH; 2];
    Writing { first: 0, sequences, length: LENGTH, side: 4, beginnings, documents, min_p: 0.0, seed: 9 }
}

fn text(device: &dyn Device, model: &FloatModel, what: &Writing<'_>) -> Vec<u32> {
    Held::new(device, model).weights(|w| write(device, &model.config, w, what, &mut |_| {})).unwrap()
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
        let text = text(device, model, &whole(&beginnings.clone().into(), 6));
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

/// The mean surprise of drawn tokens is the entropy of the float model's distributions, of all tokens or of those with a part of
/// the likeliest one's probability.
#[test]
#[ignore = "a minute without a card"]
fn draws_follow_the_distribution() {
    let model = model(3);
    let vocab = model.config.sizes.vocab;
    for (min_p, wanted) in [(0.0, 0.0), (0.1, 0.1)] {
        on_devices(|device| {
            let beginnings = vec![vec![30, 31]].into();
            let what = Writing { min_p, documents: [12, 36], ..whole(&beginnings, 12) };
            let text = text(device, &model, &what);
            let (mut surprise, mut entropy, mut count, mut left_out) = (0.0, 0.0, 0, 0.0);
            let documents = text.chunks_exact(LENGTH).flat_map(|row| parts(row, &[30, 31]));
            for row in documents {
                let logits = model.logits(row, None, &mut NoTap).unwrap();
                for t in 2..row.len() {
                    let z = &logits[(t - 1) * vocab..t * vocab];
                    let most = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    let p = |v: f32| f64::from(v - most).exp();
                    // Up to the rounding of logits to bf16.
                    let drawn = z[row[t] as usize];
                    assert!(p(drawn) > wanted * 0.9, "{} of the likeliest one's probability", p(drawn));
                    let kept = |v: &&f32| p(**v) >= wanted || **v == drawn;
                    let sum: f64 = z.iter().filter(kept).map(|v| p(*v)).sum();
                    left_out += 1.0 - sum / z.iter().map(|v| p(*v)).sum::<f64>();
                    surprise -= (p(drawn) / sum).ln();
                    entropy -= z.iter().filter(kept).map(|v| p(*v) / sum * (p(*v) / sum).ln()).sum::<f64>();
                    count += 1;
                }
            }
            let all = f64::from(count);
            let (surprise, entropy, left_out) = (surprise / all, entropy / all, left_out / all);
            eprintln!("{count} draws: surprise {surprise:.3}, entropy {entropy:.3}, left out {left_out:.3}");
            assert!(count > 300 && (surprise - entropy).abs() < 0.2, "{count}: {surprise} for {entropy}");
            assert!((wanted == 0.0) == (left_out < 0.05), "{left_out} is left out at {min_p}");
        });
    }
}

/// The documents of a row, which all begin so.
fn parts<'a>(row: &'a [u32], begin: &[u32]) -> Vec<&'a [u32]> {
    let mut starts: Vec<usize> = (0..row.len()).filter(|t| row[*t..].starts_with(begin)).collect();
    starts.push(row.len());
    starts.windows(2).map(|w| &row[w[0]..w[1]]).collect()
}

/// A document does not depend on those before it: the likeliest tokens after its first one are the same in all.
#[test]
fn documents_read_nothing_of_others() {
    let mut model = model(3);
    model.config.eos.clear();
    on_devices(|device| {
        let alone: Beginnings = vec![vec![17]].into();
        let rows = text(device, &model, &Writing { documents: [3, 3], ..whole(&alone, 4) });
        assert!(rows.chunks_exact(4).all(|document| document == &rows[..4]), "{rows:?}");
        assert_eq!(rows[0], 17);
    });
}

/// Documents have as many tokens as they should, of all lengths; the next section follows two of three.
#[test]
fn documents_are_cut_and_sections_follow() {
    let mut model = model(3);
    model.config.eos.clear();
    let begin = vec![30, 31, 32, 33];
    on_devices(|device| {
        let alone: Beginnings = vec![begin.clone()].into();
        let rows = text(device, &model, &Writing { documents: [2, 5], ..whole(&alone, 8) });
        let but_last = |row| {
            let mut all = parts(row, &begin);
            all.pop();
            all
        };
        let all = rows.chunks_exact(LENGTH).flat_map(but_last);
        let lengths: Vec<usize> = all.map(|document| document.len() - begin.len()).collect();
        assert!((2..=5).all(|n| lengths.contains(&n)), "{lengths:?}");
        assert!(lengths.iter().all(|n| (2..=5).contains(n)), "{lengths:?}");
        // Then sections do, between documents.
        let section = vec![50, 51, 52];
        let then = vec![Then::AfterLast(1); 2];
        let all = Beginnings::from(vec![begin.clone()]).followed(vec![section.clone()], then);
        let rows = text(device, &model, &Writing { documents: [3, 3], ..whole(&all, 16) });
        let (mut sections, mut documents) = (0, 0);
        for row in rows.chunks_exact(LENGTH) {
            let mut at = begin.len() + 3;
            assert!(row.starts_with(&begin));
            while at + begin.len() <= LENGTH {
                let follows = row[at..].starts_with(&section);
                assert!(follows || row[at..].starts_with(&begin), "{row:?} at {at}");
                (sections, documents) = (sections + usize::from(follows), documents + usize::from(!follows));
                at += 3 + if follows { section.len() } else { begin.len() };
            }
        }
        assert!(sections > documents && documents > 5, "{sections} sections, {documents} documents");
    });
}

/// After an end token that the model wrote comes the next turn, until the document is full; one in a beginning ends nothing.
#[test]
fn turns_follow_until_the_document_is_full() {
    let mut model = model(3);
    model.config.eos.clear();
    on_devices(|device| {
        // What the model writes most often ends its turns.
        let [answer, again] = [vec![60, 61], vec![70, 71, 72]];
        let plain = vec![vec![30, 31], answer.clone(), again.clone()].into();
        let free = text(device, &model, &Writing { documents: [9, 9], min_p: 0.2, ..whole(&plain, 16) });
        let mut count = vec![0; model.config.sizes.vocab];
        let forced = [30, 31, 60, 61, 70, 71, 72];
        free.iter().filter(|t| !forced.contains(*t)).for_each(|t| count[*t as usize] += 1);
        let mut often: Vec<u32> = (0..count.len() as u32).collect();
        often.sort_by_key(|t| std::cmp::Reverse(count[*t as usize]));
        let ends = often[..2].to_vec();
        let config = LlamaConfig { eos: ends.clone(), ..model.config.clone() };
        let ending = FloatModel { config, ..model.clone() };
        let question = vec![30, ends[0], 31];
        let then = vec![Then::AfterEnd(1), Then::AfterEnd(2), Then::AfterEnd(1)];
        let all =
            Beginnings::from(vec![question.clone()]).followed(vec![answer.clone(), again.clone()], then);
        let how = Writing { documents: [12, 12], min_p: 0.2, ..whole(&all, 32) };
        let (mut turns, mut full) = ([0; 2], 0);
        for row in text(device, &ending, &how).chunks_exact(LENGTH) {
            let (mut at, mut left, mut turn) = (question.len(), 12, 0);
            assert!(row.starts_with(&question), "{row:?}");
            while at + 4 < LENGTH {
                (at, left) = (at + 1, left - 1);
                let ended = ends.contains(&row[at - 1]);
                let next = match turn {
                    _ if left == 0 => &question,
                    _ if !ended => continue,
                    0 | 2 => &answer,
                    _ => &again,
                };
                assert!(row[at..].starts_with(&next[..next.len().min(LENGTH - at)]), "{row:?} at {at}");
                at += next.len();
                match left {
                    0 => (left, turn, full) = (12, 0, full + 1),
                    _ => turn = if turn == 1 { 2 } else { 1 },
                }
                turns[usize::from(turn == 2)] += 1;
            }
        }
        assert!(turns.iter().all(|n| *n > 2) && full > 2, "{turns:?} turns, {full} full");
    });
}

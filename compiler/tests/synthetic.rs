//! Synthetic models: the distribution of their weights, and images that do not depend on how they are made.

use accllm_compiler::error::Result;
use accllm_compiler::image::{ImageSink, ModelSource, Port, RowSpace, fill_image, write_image};
use accllm_compiler::synthetic::{Synthetic, Values, shapes};
use accllm_compiler::{MemoryImage, Program, Settings};
use accllm_hw::beat::{KeyBeats, PATTERNS, WeightFormat, get_nibble, get_param};
use accllm_hw::config::{BEAT_BYTES, find};
use accllm_hw::sizes::{Linear, Sizes};
use std::sync::atomic::{AtomicUsize, Ordering};

/// 256 wide, normal weights.
fn normal() -> Synthetic {
    Synthetic {
        sizes: Sizes { hidden: 256, ff: 512, heads: 4, kv_heads: 2, head_dim: 64, ..Synthetic::SIZES },
        values: Values::Normal,
        ..Synthetic::default()
    }
}

fn program(s: &Synthetic, config: &str) -> Program {
    let config = find(config).unwrap_or_else(|e| panic!("{e}"));
    let settings = Settings::new(s.lambda.n_sink, s.lambda.n_window);
    Program::compile(&s.spec(), config, &settings).unwrap_or_else(|e| panic!("{e}"))
}

/// All rows of a linear of layer 0, or of the head: levels, scales.
fn rows(s: &Synthetic, linear: Linear) -> (Vec<i8>, Vec<u8>) {
    let layer = (linear != Linear::Head).then_some(0);
    let (mut level, mut scale, mut space) = (Vec::new(), Vec::new(), RowSpace::default());
    let mut r = 0;
    while let Some(row) = s.row(layer, linear, r, &mut space) {
        level.extend_from_slice(row.level);
        scale.extend_from_slice(row.scale);
        r += 1;
    }
    (level, scale)
}

fn share(values: &[i8], of: impl Fn(i8) -> bool) -> f64 {
    values.iter().filter(|v| of(**v)).count() as f64 / values.len() as f64
}

#[track_caller]
fn near(found: f64, want: f64, by: f64) {
    assert!((found - want).abs() < by, "{found} for {want}");
}

#[test]
fn pruned_normal_weights() {
    let (level, scale) = rows(&normal(), Linear::Gate);
    assert_eq!((level.len(), scale.len()), (512 * 256, 512 * 8));
    let mut patterns = [0; PATTERNS.len()];
    for quad in level.chunks_exact(4) {
        let kept: Vec<usize> = (0..4).filter(|&c| quad[c] != 0).collect();
        assert_eq!(kept.len(), 2);
        patterns[PATTERNS.iter().position(|&(a, b)| kept == [a, b]).unwrap()] += 1;
    }
    for p in patterns {
        near(f64::from(p) / (level.len() / 4) as f64, 1.0 / 6.0, 0.01);
    }
    near(share(&level, |l| l > 0), 0.25, 0.005);
    near(share(&level, |l| l == 0), 0.5, 1e-9);
    // The larger two of four normal values: on a step of least squares 35.7% of them are nearer to 2 steps.
    near(share(&level, |l| l.abs() == 2), 0.5 * 0.357, 0.01);
    // A row's largest step is 255; the other groups' are not far below.
    assert!(scale.chunks_exact(8).all(|row| row.contains(&255)));
    near(scale.iter().map(|s| f64::from(*s)).sum::<f64>() / scale.len() as f64, 220.0, 15.0);
}

#[test]
fn dense_normal_weights() {
    let (level, _) = rows(&normal(), Linear::Head);
    assert!(
        level.chunks_exact(32).all(|g| g.iter().any(|l| l.abs() == 7)),
        "the largest of a group is level 7"
    );
    near(share(&level, |l| l == 0), 0.13, 0.02);
    let dense = Synthetic { formats: [WeightFormat::W2Dense; 7], ..normal() };
    let (level, _) = rows(&dense, Linear::Up);
    assert!(level.iter().all(|l| [1, 3].contains(&l.abs())));
    // With levels 1:3, 32.3% of all normal values.
    near(share(&level, |l| l.abs() == 3), 0.323, 0.01);
}

/// Gathers pieces.
struct Pieces(MemoryImage);

impl ImageSink for Pieces {
    fn write(&mut self, port: Port, beat: usize, bytes: &[u8]) -> Result<()> {
        let port = match port {
            Port::Channel(c) => c,
            Port::Aux => self.0.channels.len(),
        };
        self.0.port_mut(port)[beat * BEAT_BYTES..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

/// In memory on one thread and on three, piece by piece, and by way of the whole model: the same bytes.
#[test]
fn images_do_not_depend_on_how_they_are_made() {
    let mut cases: Vec<Synthetic> = shapes().into_iter().map(|(_, s)| s).collect();
    cases.push(normal());
    for s in cases {
        let p = program(&s, "edge");
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let done = AtomicUsize::new(0);
            let image = pool.install(|| {
                fill_image(&p, &s, &|bytes| {
                    done.fetch_add(bytes, Ordering::Relaxed);
                })
            });
            let l = &p.layout;
            let beats = l.weights.end * l.shape.channels + l.shape.sizes.vocab * l.aux.embed_row;
            assert_eq!(done.into_inner(), beats * BEAT_BYTES);
            image.unwrap()
        };
        let image = with(1);
        assert!(image == with(3));
        assert!(image == MemoryImage::new(&p, &s.build()).unwrap());
        let mut pieces = Pieces(MemoryImage::zeros(&p));
        write_image(&p, &s, &mut pieces).unwrap();
        assert!(image == pieces.0);
        // With another seed it has other leads, of which a program knows some.
        let other = MemoryImage::new(&p, &Synthetic { seed: s.seed + 1, ..s.clone() });
        assert!(if s.led { other.is_err() } else { image != other.unwrap() });
    }
}

/// Every slot that a text of that length fills has a key and a value, every other slot is empty.
#[test]
fn caches_hold_as_many_tokens_as_were_asked_for() {
    for (config, head_dim) in [("tiny", 64), ("u280", 64), ("tiny", 250)] {
        let s = Synthetic { sizes: Sizes { kv_heads: 2, head_dim, ..normal().sizes }, ..normal() };
        let p = program(&s, config);
        let (l, shape) = (&p.layout, &p.layout.shape);
        for context in [0u64, 3, 5, 20, 1000] {
            let mut image = MemoryImage::zeros(&p);
            s.fill_cache(&p, &mut image, context).unwrap();
            let expect = (context.min(4) + context.saturating_sub(4).min(shape.ring as u64)) as usize;
            let (mut keys, mut codes) = (0, 0);
            for channel in &image.channels {
                let beats: Vec<&[u8; BEAT_BYTES]> = channel.as_chunks().0.iter().collect();
                assert!(beats[..l.kv.start].iter().all(|b| b.iter().all(|v| *v == 0)));
                for (layer, head) in [(0, 0), (1, 1)] {
                    // A parameter beat, then 16 results.
                    let k = &beats[l.kv.k_at(layer, head)..][..l.kv.k_head];
                    for chunk in k.chunks(KeyBeats::of(shape.hdp).chunk_beats()) {
                        keys += (0..16).filter(|&i| get_param(chunk[0], i) & 0xffff != 0).count();
                        codes += chunk[1..]
                            .iter()
                            .flat_map(|b| (0..128).map(|m| get_nibble(b, m)))
                            .filter(|c| *c != 0)
                            .count();
                    }
                }
            }
            assert_eq!(keys, 2 * expect, "{config} at {context}");
            // Codes have a standard deviation of 3: 13% are 0.
            let share = codes as f64 / (2 * expect * shape.hdp).max(1) as f64;
            assert!(
                expect == 0 && codes == 0 || (0.8..0.93).contains(&share),
                "{config} at {context}: {share}"
            );
            let slots: Vec<usize> = image
                .channels
                .iter()
                .map(|channel| {
                    let v = &channel.as_chunks::<BEAT_BYTES>().0[l.kv.v_at(1, 0)..][..l.kv.v_blocks];
                    v.iter().flat_map(|b| b.as_chunks::<2>().0).filter(|pair| **pair != [0, 0]).count()
                })
                .collect();
            // Where a token's four codes are all 0, once in 5,000, its slot looks empty. Padding dims are.
            let (real, padding) = slots.split_at((s.sizes.head_dim / 4).min(slots.len()));
            let said = format!("{config} at {context}: {slots:?}");
            assert!(real.iter().all(|&n| n <= expect && n + 2 >= expect), "{said}");
            assert!(padding.iter().all(|&n| n == 0), "{said}");
            let mut again = MemoryImage::zeros(&p);
            s.fill_cache(&p, &mut again, context).unwrap();
            assert!(image == again);
        }
    }
}

#[test]
fn caches_of_other_programs_are_refused() {
    let s = normal();
    let other = program(&Synthetic { sizes: Sizes { layers: 1, ..normal().sizes }, ..normal() }, "tiny");
    let mut image = MemoryImage::zeros(&other);
    assert!(s.fill_cache(&other, &mut image, 3).is_err());
    assert!(s.fill_cache(&program(&s, "tiny"), &mut image, 3).is_err());
}

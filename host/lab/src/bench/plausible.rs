//! Random models must behave like models: no tensor saturated, none mostly zero, far into the layers.

use accllm_compiler::image::{MemoryImage, ModelSource as _, fill_image};
use accllm_compiler::synthetic::{Synthetic, Values};
use accllm_compiler::{Program, Settings, Step};
use accllm_device::{Device as _, GoldenDevice};
use accllm_hw::config::{BEAT_BYTES, find};
use accllm_hw::sizes::Sizes;
use accllm_llm::model::LambdaShape;
use accllm_sim::golden::{Executed, Field, Space};
use std::collections::BTreeMap;

/// Elements, zeros, and int8 values at the end of their range.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    elements: u64,
    zero: u64,
    full: u64,
}

fn model() -> Synthetic {
    Synthetic {
        sizes: Sizes {
            hidden: 512,
            ff: 1376,
            layers: 12,
            heads: 8,
            kv_heads: 4,
            head_dim: 64,
            vocab: 1000,
            ..Synthetic::SIZES
        },
        values: Values::Normal,
        lambda: LambdaShape { n_sink: 4, n_window: 508 },
        ..Synthetic::default()
    }
}

/// Steps of the keys in the parameter beats of head 0.
fn steps_of_keys(program: &Program, image: &MemoryImage) -> Vec<f64> {
    let l = &program.layout;
    let beats =
        image.channels.iter().map(|c| &c[(l.kv.k_at(3, 0) + l.kv.k_window) * BEAT_BYTES..][..BEAT_BYTES]);
    let words = beats.flat_map(|beat| beat.as_chunks::<4>().0);
    words.map(|w| f64::from(u16::from_le_bytes([w[0], w[1]]))).collect()
}

#[test]
fn tensors_are_neither_saturated_nor_zero() {
    let model = model();
    let program = Program::compile(&model.spec(), find("edge").unwrap(), &Settings::new(4, 508)).unwrap();
    let mut image = fill_image(&program, &model, &|_| {}).unwrap();
    model.fill_cache(&program, &mut image, 600).unwrap();
    let mut golden = GoldenDevice::new(&program, &image).unwrap();
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    let mut steps = Vec::new();
    for position in 600..604 {
        let io = program.layout.io_block(position, &[position as u32]).unwrap();
        golden.write_aux(program.layout.aux.ids, &io).unwrap();
        let args = program.layout.args(Step { position, tokens: 1, head: true }).unwrap();
        let mut count = |record: Executed| {
            let label = &program.labels[record.pc as usize];
            for w in &record.writes {
                if w.space == Space::Scalar(Field::Scale) && label.op == "k_scale" {
                    steps.push(f64::from(w.value));
                }
                // The high half of 16-bit values is on even lanes.
                let part = match w.space {
                    Space::Act(lane) if lane % 2 == 0 => "act",
                    Space::Vmem => "vmem",
                    Space::Score(_) => "score",
                    Space::Channel(_) => "cache",
                    _ => continue,
                };
                let c = counts.entry(format!("{} {part}", label.op)).or_default();
                c.elements += 1;
                c.zero += u64::from(w.value == 0);
                c.full += u64::from(part == "act" && !(-126..=126).contains(&w.value));
            }
        };
        golden.run_observed(args, &mut count).unwrap();
    }
    assert!(counts.len() > 25, "{counts:?}");
    for (op, c) in &counts {
        let share = |n: u64| n as f64 / c.elements as f64;
        println!("{op}: {} elements, {:.3} zero, {:.3} full", c.elements, share(c.zero), share(c.full));
        // Token ids are one word of a beat; attention looks at some tokens more than at others; the largest of 256
        // products sets the step of silu's, whose tails are long.
        let zeros = match op.as_str() {
            "load_ids vmem" => 1.0,
            "softmax act" => 0.85,
            "silu act" => 0.3,
            _ => 0.15,
        };
        assert!(share(c.zero) <= zeros && share(c.full) <= 0.05, "{op}: {c:?}");
    }
    // The cache that was made up looks like what the model appends.
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let made = steps_of_keys(&program, &image);
    let ratio = mean(&made) / mean(&steps);
    println!("steps of keys: {:.0} made up, {:.0} computed", mean(&made), mean(&steps));
    assert!((0.7..1.4).contains(&ratio), "{ratio}");
}

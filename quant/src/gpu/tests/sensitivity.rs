//! What each format does to each linear.

use super::*;
use crate::gpu::formats::round_weights;
use crate::gpu::sensitivity::sensitivity_on;
use crate::quantize::{Damage, FORMATS, divergence};
use accllm_llm::float::NoTap;

const LENGTH: usize = 64;

/// As the float model says: only one linear is rounded at a time, whichever came before.
#[test]
#[ignore = "a minute without a card"]
fn damage_is_the_divergence_with_one_linear_rounded() {
    let mut start = model(1);
    // One that 2:4 does nothing to.
    let up = &mut start.layers.resident().unwrap()[1].up;
    *up = round_weights(up, WeightFormat::W2Sparse).dequantize();
    let ids = tokens(2 * LENGTH + 3, 2);
    let wanted = by_the_float_model(&start, &ids[..2 * LENGTH]);
    on_devices(|device| {
        let folder = tempfile::tempdir().unwrap();
        let mut last = 0;
        let mut measure = || {
            let mut show = |r: crate::gpu::Report| last = r.tokens[1] - r.tokens[0];
            sensitivity_on(device, &start, &ids, LENGTH, Some(folder.path()), &mut show).unwrap()
        };
        let damage = measure();
        for (l, (got, wanted)) in damage.iter().zip(&wanted).enumerate() {
            for (i, (got, wanted)) in got.as_flattened().iter().zip(wanted.as_flattened()).enumerate() {
                assert!((got - wanted).abs() < 0.1 * wanted + 1e-4, "layer {l}, {i}: {got} for {wanted}");
            }
        }
        assert!(damage[1][5][0] < 1e-4 && damage[1][5][1] > 1e-3, "{:?}", damage[1][5]);
        // It is kept: what is asked for again is there at once.
        assert_eq!(measure(), damage);
        assert_eq!(last, 0);
    });
}

fn by_the_float_model(start: &FloatModel, ids: &[u32]) -> Vec<Damage> {
    let logits = |model: &FloatModel| -> Vec<f32> {
        ids.chunks(LENGTH).flat_map(|row| model.logits(row, None, &mut NoTap).unwrap()).collect()
    };
    let teacher = logits(start);
    let mut all = vec![Damage::default(); 2];
    for (l, damage) in all.iter_mut().enumerate() {
        for (i, damage) in damage.iter_mut().enumerate() {
            for (format, damage) in FORMATS.into_iter().zip(damage) {
                let mut model = start.clone();
                let w = linear(&mut model.layers.resident().unwrap()[l], i);
                *w = round_weights(w, format).dequantize();
                *damage = divergence(&teacher, &logits(&model), model.config.sizes.vocab);
            }
        }
    }
    all
}

fn linear(w: &mut FloatLayer, i: usize) -> &mut Matrix {
    match i {
        0 => &mut w.q,
        1 => &mut w.k,
        2 => &mut w.v,
        3 => &mut w.o,
        4 => &mut w.gate,
        5 => &mut w.up,
        _ => &mut w.down,
    }
}

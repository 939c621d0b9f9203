//! The whole net: forward against the float model, backward against differences of the loss.

use super::*;
use crate::float::NoTap;
use crate::gpu::device::Memory;
use crate::gpu::net::{Gradients, Net, Rounding, Weights};
use crate::gpu::shape::{flat_gains, flat_layers};
use std::ops::Range;

const TOKENS: usize = 256;
const LENGTH: usize = 128;

fn weights(device: &dyn Device, layers: &[f32], gains: &[f32], table: &[f32]) -> Weights {
    Weights {
        layers: held_bf16(device, layers),
        gains: held(device, gains),
        table: held(device, table),
        head: held_bf16(device, table),
    }
}

#[test]
fn forward_gives_the_float_models_hidden_states() {
    let (model, ids) = (model(1), tokens(TOKENS, 2));
    let wanted: Vec<f32> =
        ids.chunks(LENGTH).flat_map(|row| model.hidden(row, None, &mut NoTap).unwrap()).collect();
    on_devices(|device| {
        let shape = KernelShape::of(&model.config).unwrap();
        for train in [false, true] {
            let net = Net::new(device, &model.config, shape, TOKENS, LENGTH, train).unwrap();
            let (layers, gains) = (flat_layers(&model).unwrap(), flat_gains(&model).unwrap());
            let w = weights(device, &layers, &gains, &model.embed.data);
            put(device, net.ids, &ids).unwrap();
            net.forward(w, LENGTH, Rounding::default(), net.head_in).unwrap();
            let got = got_bf16(device, net.head_in, TOKENS * shape.sizes.hidden);
            let error = distance(&got, &wanted);
            assert!(error < 0.01, "{error}");
        }
    });
}

/// Each kind of weight in layer 0, the norms' gains, and the table: name, which of the three, and where in it.
fn parts(shape: &KernelShape, table: usize) -> Vec<(String, usize, Range<usize>)> {
    let mut parts = Vec::new();
    for (i, p) in shape.parts().into_iter().enumerate() {
        parts.push((format!("linear {i}"), 0, p.at..p.at + p.len()));
    }
    for i in 0..shape.norms() {
        parts.push((format!("norm {i}"), 1, i * shape.sizes.hidden..(i + 1) * shape.sizes.hidden));
    }
    parts.push(("embedding".into(), 2, 0..table));
    parts
}

/// Along each part's gradient the loss falls as the gradient says. What is left is the rounding to bf16 and the curve of the
/// loss.
#[test]
#[ignore = "a minute without a card"]
fn backward_gives_the_slope_of_the_loss() {
    let (student, teacher, ids) = (model(1), model(5), tokens(TOKENS, 2));
    on_devices(|device| {
        let shape = KernelShape::of(&student.config).unwrap();
        let net = Net::new(device, &student.config, shape, TOKENS, LENGTH, true).unwrap();
        let layers_of = |m: &FloatModel| (flat_layers(m).unwrap(), flat_gains(m).unwrap());
        let (layers, gains) = layers_of(&teacher);
        let w = weights(device, &layers, &gains, &teacher.embed.data);
        let teacher_head = w.head;
        put(device, net.ids, &ids).unwrap();
        net.forward(w, LENGTH, Rounding::default(), net.aim).unwrap();

        let (layers, gains) = layers_of(&student);
        let start = [layers, gains, student.embed.data.clone()];
        let mut memory = Memory::new(device);
        let to = Gradients {
            layers: memory.f32s(start[0].len()).unwrap(),
            gains: memory.f32s(start[1].len()).unwrap(),
            table: memory.f32s(start[2].len()).unwrap(),
        };
        let loss = |at: &[Vec<f32>; 3], back: bool| {
            let w = weights(device, &at[0], &at[1], &at[2]);
            net.forward(w, LENGTH, Rounding::default(), net.head_in).unwrap();
            if back {
                net.backward(w, teacher_head, LENGTH, false, to).unwrap();
            } else {
                net.head_back(w, teacher_head, to.table).unwrap();
            }
            let loss: Vec<f32> = fetch(device, net.loss, TOKENS).unwrap();
            loss.iter().map(|l| f64::from(*l)).sum::<f64>()
        };
        let first = loss(&start, true);
        assert!(first / TOKENS as f64 > 0.05, "{first}");
        let sizes = [&to.layers, &to.gains, &to.table].into_iter().zip(&start);
        let gradient: Vec<Vec<f32>> = sizes.map(|(at, x)| fetch(device, *at, x.len()).unwrap()).collect();
        let mut wrong = Vec::new();
        for (name, which, range) in parts(&shape, start[2].len()) {
            let g = &gradient[which][range.clone()];
            let size = |x: &[f32]| x.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
            // A step of a part of the weights' size: bf16 shows it.
            let step = 0.01 * size(&start[which][range.clone()]) / size(g);
            let moved = |sign: f64| {
                let mut at = start.clone();
                at[which][range.clone()].iter_mut().zip(g).for_each(|(w, g)| *w += (sign * step) as f32 * g);
                loss(&at, false)
            };
            let (slope, wanted) = ((moved(1.0) - moved(-1.0)) / (2.0 * step), size(g).powi(2));
            let ratio = slope / wanted;
            eprintln!("{name}: {ratio:.3} of the slope");
            if (ratio - 1.0).abs() > 0.15 {
                wrong.push(format!("{name}: {slope} for {wanted}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    });
}

//! The whole net: forward against the float model, backward against differences of the loss.

use super::*;
use crate::gpu::device::Memory;
use crate::gpu::net::{Gradients, Keeping, Net, Rounding, Weights};
use accllm_llm::float::NoTap;
use std::ops::Range;

const TOKENS: usize = 256;
const LENGTH: usize = 128;

#[test]
fn forward_gives_the_float_models_hidden_states() {
    for config in [config(), wide()] {
        let (model, ids) = (model_of(config, 1), tokens(TOKENS, 2));
        let wanted: Vec<f32> =
            ids.chunks(LENGTH).flat_map(|row| model.hidden(row, None, &mut NoTap).unwrap()).collect();
        on_devices_for(&model.config, |device| {
            let shape = KernelShape::of(&model.config).unwrap();
            for keeping in [Keeping::Nothing, Keeping::Inputs, Keeping::All] {
                let net = Net::new(device, &model.config, shape, TOKENS, LENGTH, keeping).unwrap();
                put(device, net.ids, &ids).unwrap();
                let forward = |w: Weights<'_>| net.forward(w, LENGTH, Rounding::default(), net.head_in);
                Held::new(device, &model).weights(forward).unwrap();
                let got = got_bf16(device, net.head_in, TOKENS * shape.sizes.hidden);
                let error = distance(&got, &wanted);
                assert!(error < 0.01, "{error}");
            }
        });
    }
}

/// Each kind of weight in layer 0, the norms' gains, the embedding, and a head of its own: name, which of the four, and where in
/// it.
fn parts(shape: &KernelShape) -> Vec<(String, usize, Range<usize>)> {
    let mut parts = Vec::new();
    for (i, p) in shape.parts().into_iter().enumerate() {
        parts.push((format!("linear {i}"), 0, p.at..p.at + p.len()));
    }
    for i in 0..shape.norms() {
        parts.push((format!("norm {i}"), 1, i * shape.sizes.hidden..(i + 1) * shape.sizes.hidden));
    }
    parts.push(("embedding".into(), 2, 0..shape.table()));
    if !shape.tied {
        parts.push(("head".into(), 3, 0..shape.table()));
    }
    parts
}

/// The weights of a net, to be moved.
#[derive(Clone)]
struct Point([Vec<f32>; 4]);

impl Point {
    fn of(model: &FloatModel) -> Self {
        let tables = [&model.embed, model.head()].map(|m| m.data.clone());
        let [embed, head] = tables;
        Self([flat_layers(model), flat_gains(model).unwrap(), embed, head])
    }

    fn held(&self, device: &dyn Device, shape: KernelShape) -> Held {
        let [layers, gains, embed, head] = &self.0;
        let head = if shape.tied { embed } else { head };
        Held {
            shape,
            layers: held_bf16(device, layers),
            gains: held(device, gains),
            table: held(device, embed),
            head: held_bf16(device, head),
        }
    }
}

/// Along each part's gradient the loss falls as the gradient says, whether activations are kept or computed again. What is left
/// is the rounding to bf16 and the curve of the loss.
#[test]
#[ignore = "minutes without a card"]
fn backward_gives_the_slope_of_the_loss() {
    for config in [config(), small_wide()] {
        let (student, teacher) = (model_of(config.clone(), 1), model_of(config.clone(), 5));
        on_devices_for(&config, |device| slopes(device, &student, &teacher));
    }
}

fn slopes(device: &dyn Device, student: &FloatModel, teacher: &FloatModel) {
    let (shape, ids) = (KernelShape::of(&student.config).unwrap(), tokens(TOKENS, 2));
    let teacher = Held::new(device, teacher);
    let start = Point::of(student);
    let mut memory = Memory::new(device);
    let table = memory.f32s(shape.table()).unwrap();
    let to = Gradients {
        layers: memory.f32s(start.0[0].len()).unwrap(),
        apart: shape.layer(),
        gains: memory.f32s(start.0[1].len()).unwrap(),
        table,
        head: if shape.tied { table } else { memory.f32s(shape.table()).unwrap() },
    };
    let mut nets = [Keeping::Inputs, Keeping::All].map(|keeping| {
        let net = Net::new(device, &student.config, shape, TOKENS, LENGTH, keeping).unwrap();
        put(device, net.ids, &ids).unwrap();
        teacher.weights(|w| net.forward(w, LENGTH, Rounding::default(), net.aim)).unwrap();
        net
    });
    let loss = |net: &Net<'_>, at: &Point, back: bool| {
        at.held(device, shape).weights(|w| {
            net.forward(w, LENGTH, Rounding::default(), net.head_in).unwrap();
            match back {
                true => net.backward(w, teacher.head, LENGTH, Rounding::default(), to, &|_| Ok(())).unwrap(),
                false => net.head_back(w, teacher.head, to.head).unwrap(),
            }
        });
        let loss: Vec<f32> = fetch(device, net.loss, TOKENS).unwrap();
        loss.iter().map(|l| f64::from(*l)).sum::<f64>()
    };
    let gradients = nets.each_mut().map(|net| {
        let first = loss(net, &start, true);
        assert!(first / TOKENS as f64 > 0.05, "{first}");
        let at = [to.layers, to.gains, to.table, to.head];
        let gradient = |(at, x): (&Ptr, &Vec<f32>)| fetch::<f32>(device, *at, x.len()).unwrap();
        at.iter().zip(&start.0).map(gradient).collect::<Vec<_>>()
    });
    for (a, b) in gradients[0].iter().zip(&gradients[1]) {
        assert!(distance(a, b) < 1e-3, "computed again: {} apart", distance(a, b));
    }
    let mut wrong = Vec::new();
    for (name, which, range) in parts(&shape) {
        let g = &gradients[0][which][range.clone()];
        let size = |x: &[f32]| x.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
        // A step of a part of the weights' size: bf16 shows it, and the loss is nearly straight.
        let step = 0.01 * size(&start.0[which][range.clone()]) / size(g);
        let moved = |sign: f64| {
            let mut at = start.clone();
            at.0[which][range.clone()].iter_mut().zip(g).for_each(|(w, g)| *w += (sign * step) as f32 * g);
            loss(&nets[0], &at, false)
        };
        let (slope, wanted) = ((moved(1.0) - moved(-1.0)) / (2.0 * step), size(g).powi(2));
        let ratio = slope / wanted;
        eprintln!("{name}: {ratio:.3} of the slope");
        if (ratio - 1.0).abs() > 0.15 {
            wrong.push(format!("{name}: {slope} for {wanted}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

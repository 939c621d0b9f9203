//! A whole training of a small model: text, teacher, both parts, and what is kept.

use super::*;
use crate::gpu::shape::{flat_gains, flat_layers};
use crate::gpu::train::train_on;
use crate::gpu::w2::round_weights;
use crate::gpu::w4::round_head;
use crate::gpu::{Recipe, Stage};

/// Two steps, the second one with rounding; without rates nothing moves.
fn recipe(rate: f64) -> Recipe {
    Recipe {
        text: 128,
        train: 2 * 128,
        batch: 128,
        rows: [64, 128],
        rounded_from: 0.5,
        warm_up: 1,
        rates: [rate; 3],
        side: 4,
        ..Recipe::default()
    }
}

fn rounded(model: &FloatModel) -> Vec<f32> {
    let shape = Shape::of(&model.config).unwrap();
    let mut layers = flat_layers(model).unwrap();
    for layer in layers.chunks_exact_mut(shape.layer()) {
        for p in shape.parts() {
            let w = &mut layer[p.at..p.at + p.len()];
            let grid = round_weights(&Matrix { rows: p.rows, cols: p.cols, data: w.to_vec() });
            w.copy_from_slice(&grid.dequantize().data);
        }
    }
    layers
}

#[test]
#[ignore = "a minute without a card"]
fn a_training_goes_from_its_start_through_both_parts() {
    let (teacher, start) = (model(1), model(5));
    let beginnings = [vec![5], vec![30, 31]];
    on_devices(|device| {
        let folder = tempfile::tempdir().unwrap();
        let train = |rate, stages: &mut Vec<Stage>| {
            let mut show = |r: crate::gpu::Report| {
                assert!(r.loss.is_none_or(f64::is_finite));
                stages.push(r.stage);
            };
            let (recipe, folder) = (recipe(rate), Some(folder.path()));
            train_on(device, &teacher, &start, &beginnings, &recipe, folder, &mut show).unwrap()
        };
        let mut stages = Vec::new();
        let still = train(0.0, &mut stages);
        assert_eq!(flat_layers(&still.model).unwrap(), rounded(&start));
        assert_eq!(flat_gains(&still.model).unwrap(), flat_gains(&start).unwrap());
        assert_eq!(still.model.embed, start.embed);
        assert_eq!(still.head, round_head(&start.embed));
        // The teacher reads rows of each length.
        stages.retain(|s| *s != Stage::Writing);
        stages.dedup();
        assert_eq!(stages, [Stage::Reading, Stage::Training, Stage::Reading, Stage::Training]);
        // With rates it moves; text is not written again, and a finished training is not done again.
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let moved = train(1e-3, &mut first);
        assert_eq!(moved.text, still.text);
        assert_ne!(moved.model.embed, start.embed);
        assert!(!first.contains(&Stage::Writing) && first.contains(&Stage::Training));
        let again = train(1e-3, &mut second);
        assert_eq!((second, again.model.embed), (vec![], moved.model.embed));
    });
}

#[test]
fn a_start_of_other_sizes_is_refused() {
    let teacher = model(1);
    let mut start = model(5);
    start.config.sizes.vocab += 8;
    on_devices(|device| {
        let result = train_on(device, &teacher, &start, &[vec![5]], &recipe(0.0), None, &mut |_| {});
        assert!(result.is_err_and(|e| e.to_string().contains("other sizes")));
    });
}

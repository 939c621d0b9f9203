//! A whole training of a small model: text, teacher, both parts, and what is kept.

use super::hooked::{Hook, Hooked};
use super::integers::on_grids;
use super::*;
use crate::gpu::device::Arg;
use crate::gpu::net::Keeping;
use crate::gpu::room::need;
use crate::gpu::train::{kept_or_written, train_on, write_on};
use crate::gpu::{Order, Recipe, Stage, Task, Trained};
use crate::quantize::Grids;
use std::cell::RefCell;
use std::path::Path;

/// Text and training.
fn train(
    device: &dyn Device,
    [teacher, start]: [&FloatModel; 2],
    formats: &[[WeightFormat; 7]],
    recipe: &Recipe,
    folder: Option<&Path>,
    stages: &mut Vec<Stage>,
) -> accllm_llm::Result<(Trained, Vec<u32>)> {
    let mut show = |r: crate::gpu::Report| {
        assert!(r.loss.is_none_or(f64::is_finite));
        stages.push(r.stage);
    };
    let beginnings = vec![vec![5], vec![30, 31]].into();
    let order = Order { model: teacher, beginnings: &beginnings, recipe, folder };
    let text = kept_or_written(&order, || write_on(device, &order, &mut show))?;
    let task =
        Task { model: teacher, start: Some(start), text: &text, watched: &[], formats, recipe, folder };
    Ok((train_on(device, &task, &mut show)?.unwrap(), text))
}

#[test]
#[ignore = "a minute without a card"]
fn a_training_goes_from_its_start_through_both_parts() {
    let (teacher, start) = (model(1), model(5));
    on_devices(|device| {
        let folder = tempfile::tempdir().unwrap();
        let train = |rate, stages: &mut Vec<Stage>| {
            train(device, [&teacher, &start], &SPARSE, &recipe(rate), Some(folder.path()), stages).unwrap()
        };
        let mut stages = Vec::new();
        let (still, text) = train(0.0, &mut stages);
        let (wanted, grids) = on_grids(start.clone(), &SPARSE).unwrap();
        assert_eq!(flat_layers(&still.model), flat_layers(&wanted));
        assert_eq!(flat_gains(&still.model).unwrap(), flat_gains(&start).unwrap());
        assert_eq!(still.model.embed, start.embed);
        assert_eq!(still.grids, grids);
        // The teacher reads rows of each length.
        stages.retain(|s| *s != Stage::Writing);
        stages.dedup();
        assert_eq!(stages, [Stage::Reading, Stage::Training, Stage::Reading, Stage::Training]);
        // With rates it moves; text is not written again, and a finished training is not done again.
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let (moved, again) = train(1e-3, &mut first);
        assert_eq!(again, text);
        assert_ne!(moved.model.embed, start.embed);
        assert!(!first.contains(&Stage::Writing) && first.contains(&Stage::Training));
        let (again, _) = train(1e-3, &mut second);
        assert_eq!((second, again.model.embed), (vec![], moved.model.embed));
    });
}

/// What 2:4 keeps at the start is kept, once masks are frozen; without, some change, and other formats move either way.
#[test]
#[ignore = "a minute without a card"]
fn frozen_masks_stay() {
    let mut start = model(5);
    start.config.leads = vec![vec![3, 1], vec![0, 7]];
    let mut formats = SPARSE;
    formats[1][6] = WeightFormat::W4;
    start.layers.resident().unwrap()[1].down.data[..64].fill(0.0);
    let (_, before) = on_grids(start.clone(), &formats).unwrap();
    on_devices(|device| {
        let [free, frozen] = [1.0, 0.0].map(|frozen_from| {
            let recipe = Recipe { frozen_from, ..recipe(3e-2) };
            train(device, [&model(1), &start], &formats, &recipe, None, &mut Vec::new()).unwrap().0
        });
        let changed = |trained: &Trained| {
            let kept = |grids: &Grids| -> Vec<bool> {
                let sparse =
                    grids.layers.iter().flatten().filter(|g| g.grid.format == WeightFormat::W2Sparse);
                sparse.flat_map(|g| &g.grid.level).map(|level| *level != 0).collect()
            };
            kept(&trained.grids).iter().zip(kept(&before)).filter(|(a, b)| **a != *b).count()
        };
        assert_eq!(changed(&frozen), 0);
        assert!(changed(&free) > 100, "{}", changed(&free));
        let levels = |t: &Trained| t.grids.layers[0][0].grid.level.clone();
        assert_ne!(levels(&frozen), before.layers[0][0].grid.level);
        assert!(frozen.model.layer(1).unwrap().down.data[..64].iter().any(|w| *w != 0.0));
        // What leads is the start's choice.
        assert_eq!(frozen.model.config.leads, start.config.leads);
    });
}

/// What is said of a watched text that is what the last step reads is the loss of that step, where nothing moves; watching changes
/// nothing; and a text that is too short is refused.
#[test]
#[ignore = "a minute without a card"]
fn a_watched_text_is_only_looked_at() {
    let (teacher, start) = (model(1), model(5));
    on_devices(|device| {
        let text = tokens(128, 2);
        let train = |rate, watched: &[u32]| {
            let recipe = recipe(rate);
            let mut seen = Vec::new();
            let task = Task {
                model: &teacher,
                start: Some(&start),
                text: &text,
                watched,
                formats: &SPARSE,
                recipe: &recipe,
                folder: None,
            };
            let trained = train_on(device, &task, &mut |r| seen.extend(r.loss.map(|loss| (loss, r.watched))));
            trained.map(|trained| (trained.unwrap(), seen))
        };
        let (_, seen) = train(0.0, &text).unwrap();
        let last = seen[seen.len() - 1];
        // The first part reads shorter rows, and rounds weights alone.
        assert!(
            seen.len() > 1 && Some(last.0) == last.1 && seen[0].1.is_some_and(|w| w != last.0),
            "{seen:?}"
        );
        let (alone, seen) = train(1e-3, &[]).unwrap();
        assert!(seen.iter().all(|(_, watched)| watched.is_none()));
        let (watched, _) = train(1e-3, &tokens(300, 4)).unwrap();
        if device.name() == Emulated::NAME {
            assert!(alone.grids == watched.grids && alone.model.embed == watched.model.embed);
        }
        assert!(train(0.0, &tokens(127, 4)).is_err_and(|e| e.to_string().contains("at least 128")));
    });
}

#[test]
fn a_start_of_other_sizes_is_refused() {
    let teacher = model(1);
    let mut start = model(5);
    start.config.sizes.vocab += 8;
    on_devices(|device| {
        let (recipe, text) = (recipe(0.0), tokens(128, 2));
        let task = Task {
            model: &teacher,
            start: Some(&start),
            text: &text,
            watched: &[],
            formats: &SPARSE,
            recipe: &recipe,
            folder: None,
        };
        let result = train_on(device, &task, &mut |_| {});
        assert!(result.is_err_and(|e| e.to_string().contains("other sizes")));
    });
}

/// Only so many bytes are said to be free.
struct Small(usize);

impl Hook for Small {
    fn free(&self, _: usize) -> usize {
        self.0
    }
}

/// Layer by layer, with activations computed again, is the same training to the bit, where sums are made in a fixed order.
#[test]
#[ignore = "two minutes without a card"]
fn a_training_in_little_memory_is_the_same() {
    let [a, b, c] = [WeightFormat::W4, WeightFormat::W2Sparse, WeightFormat::W2Dense];
    let formats = [[a, b, c, a, b, c, a], [b, c, a, a, a, b, c]];
    for (config, recipe) in [
        (config(), Recipe { rounded_from: 1.0, ..recipe(3e-3) }),
        (config(), Recipe { rounded_from: 0.0, ..recipe(3e-3) }),
        (small_wide(), recipe(3e-3)),
    ] {
        let teacher = model_of(config.clone(), 1);
        let shape = KernelShape::of(&config).unwrap();
        on_devices_for(&config, |device| {
            let [all, some] = [Keeping::All, Keeping::Inputs].map(|keeping| {
                let hook = Small(need(&shape, recipe.batch, 128, keeping));
                let mut stages = Vec::new();
                let device = Hooked { inner: device, hook };
                train(&device, [&teacher, &teacher], &formats, &recipe, None, &mut stages).unwrap().0
            });
            assert_ne!(all.model.embed, teacher.embed);
            if device.name() == Emulated::NAME {
                assert!(all.model.embed == some.model.embed && all.grids == some.grids);
                assert_eq!(flat_gains(&all.model).unwrap(), flat_gains(&some.model).unwrap());
            } else {
                assert!(distance(&all.model.embed.data, &some.model.embed.data) < 1e-3);
            }
        });
    }
}

/// The kernels that were started, with their arguments.
#[derive(Default)]
struct Noted(RefCell<Vec<(&'static str, Vec<u64>)>>);

impl Noted {
    /// How often a kernel was started with something else than nothing as argument `at`.
    fn count(&self, kernel: &str, at: usize) -> usize {
        self.0.borrow().iter().filter(|(name, arguments)| *name == kernel && arguments[at] != 0).count()
    }
}

impl Hook for Noted {
    fn launch(
        &self,
        kernel: &'static str,
        arguments: &[Arg],
        work: &dyn Fn() -> accllm_llm::Result<()>,
    ) -> accllm_llm::Result<()> {
        self.0.borrow_mut().push((kernel, arguments.iter().map(|a| a.word()).collect()));
        work()
    }
}

/// What the kernels round is tested by itself; this is that a training asks for it, in the part where it should.
#[test]
#[ignore = "a minute without a card"]
fn the_last_part_rounds_what_the_engine_rounds() {
    let teacher = model(1);
    on_devices(|device| {
        for (rounded_from, steps) in [(1.0, 0), (0.5, 1)] {
            let noted = Hooked { inner: device, hook: Noted::default() };
            let recipe = Recipe { rounded_from, ..recipe(0.0) };
            train(&noted, [&teacher, &teacher], &SPARSE, &recipe, None, &mut Vec::new()).unwrap();
            // Leading pairs are those of the layer.
            let leads: Vec<u64> =
                noted.hook.0.borrow().iter().filter(|(name, _)| *name == "rope").map(|(_, a)| a[5]).collect();
            let apart = 4 * teacher.config.sizes.kv_heads as u64;
            assert!(leads.chunks_exact(2).all(|of| of[1] - of[0] == apart), "{leads:?}");
            // Each linear at each of two steps; before the rounded one, also for the choice of its steps, and the head there.
            assert_eq!(noted.hook.count("round_weights", 0), 7 * (2 + steps) + 2 * steps);
            let layers = teacher.config.sizes.layers;
            for (kernel, step, of_all) in [
                ("rmsnorm", 4, 2 * layers + 1),
                ("rope", 4, layers),
                ("round_rows", 3, layers),
                ("swiglu", 3, layers),
            ] {
                assert_eq!(noted.hook.count(kernel, step), steps * of_all, "{kernel}");
            }
        }
    });
}

//! A whole training of a small model: text, teacher, both parts, and what is kept.

use super::*;
use crate::gpu::device::{Arg, Grid, Product};
use crate::gpu::shape::{flat_gains, flat_layers};
use crate::gpu::train::train_on;
use crate::gpu::w2::round_weights;
use crate::gpu::w4::round_head;
use crate::gpu::{Recipe, Stage};
use std::cell::RefCell;

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
    let shape = KernelShape::of(&model.config).unwrap();
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

/// A device that notes the kernels it starts, with their arguments.
struct Noted<'a> {
    inner: &'a dyn Device,
    kernels: RefCell<Vec<(&'static str, Vec<u64>)>>,
}

impl Noted<'_> {
    /// How often a kernel was started with something else than nothing as argument `at`.
    fn count(&self, kernel: &str, at: usize) -> usize {
        self.kernels.borrow().iter().filter(|(name, arguments)| *name == kernel && arguments[at] != 0).count()
    }
}

impl Device for Noted<'_> {
    fn name(&self) -> String {
        self.inner.name()
    }
    fn free_bytes(&self) -> crate::Result<usize> {
        self.inner.free_bytes()
    }
    fn alloc(&self, bytes: usize) -> crate::Result<Ptr> {
        self.inner.alloc(bytes)
    }
    fn release(&self, at: Ptr) -> crate::Result<()> {
        self.inner.release(at)
    }
    fn zero(&self, at: Ptr, bytes: usize) -> crate::Result<()> {
        self.inner.zero(at, bytes)
    }
    fn upload(&self, to: Ptr, data: &[u8]) -> crate::Result<()> {
        self.inner.upload(to, data)
    }
    fn download(&self, from: Ptr, data: &mut [u8]) -> crate::Result<()> {
        self.inner.download(from, data)
    }
    fn launch(&self, kernel: &'static str, grid: Grid, arguments: &[Arg]) -> crate::Result<()> {
        self.kernels.borrow_mut().push((kernel, arguments.iter().map(|a| a.word()).collect()));
        self.inner.launch(kernel, grid, arguments)
    }
    fn multiply(&self, product: &Product) -> crate::Result<()> {
        self.inner.multiply(product)
    }
    fn record(&self) -> crate::Result<()> {
        Ok(())
    }
    fn recorded(&self) -> crate::Result<Option<usize>> {
        Ok(None)
    }
    fn replay(&self, graph: usize) -> crate::Result<()> {
        self.inner.replay(graph)
    }
}

/// What the kernels round is tested by itself; this is that a training asks for it, in the part where it should.
#[test]
#[ignore = "a minute without a card"]
fn the_last_part_rounds_what_the_engine_rounds() {
    let teacher = model(1);
    on_devices(|device| {
        for (rounded_from, steps) in [(1.0, 0), (0.5, 1)] {
            let noted = Noted { inner: device, kernels: RefCell::default() };
            let recipe = Recipe { rounded_from, ..recipe(0.0) };
            train_on(&noted, &teacher, &teacher, &[vec![5]], &recipe, None, &mut |_| {}).unwrap();
            // Weights at each of two steps; before the rounded one also for the choice of its steps.
            assert_eq!(noted.count("round_weights", 0), 4 * (2 + steps));
            assert_eq!(noted.count("round_head", 0), 2 * steps);
            let layers = teacher.config.sizes.layers;
            for (kernel, step, of_all) in [
                ("rmsnorm", 4, 2 * layers + 1),
                ("rope", 4, layers),
                ("round_rows", 3, layers),
                ("swiglu", 3, layers),
            ] {
                assert_eq!(noted.count(kernel, step), steps * of_all, "{kernel}");
            }
        }
    });
}

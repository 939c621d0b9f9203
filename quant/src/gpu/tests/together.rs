//! Several devices: what they exchange, that they train as one does, and that a failure of one ends it for all.

use super::hooked::{Hook, Hooked};
use super::*;
use crate::gpu::device::Arg;
use crate::gpu::group::{Exchange, Piece, together};
use crate::gpu::optimizer::Optimizer;
use crate::gpu::train::{run_on, train_together, write_together};
use crate::gpu::{Order, Recipe, Task};
use accllm_llm::Error;
use std::time::{Duration, Instant};

/// Two steps; a row of each for each of two devices.
fn shared(rate: f64) -> Recipe {
    Recipe { text: 256, rows: [64, 64], rounded_from: 1.0, ..recipe(rate) }
}

fn task<'a>(model: &'a FloatModel, text: &'a [u32], recipe: &'a Recipe) -> Task<'a> {
    Task { model, start: None, text, watched: &[], formats: &SPARSE, recipe, folder: None }
}

#[test]
fn exchanges_give_sums_and_copies() {
    on_groups(&config(), 2, |devices| {
        let got = together(devices, &mut |_| {}, |device, _| {
            let me = device.seat().rank as f32;
            let of = |how| {
                let at = held(device, &[1.0 + me, 10.0 * me, 7.0, 3.0 - me]);
                let piece = |i, count, owner| Piece { at: at.f32s(i), count, owner };
                device.exchange(how, &[piece(0, 2, 0), piece(3, 1, 1)])?;
                fetch::<f32>(device, at, 4)
            };
            let owned = of(Exchange::SumAtOwner)?;
            // What is not the owner's may be anything.
            let owned = if me == 0.0 { owned[..2].to_vec() } else { owned[3..].to_vec() };
            Ok([of(Exchange::Sum)?, of(Exchange::Share)?, owned])
        });
        let (sum, copy) = (vec![3.0, 10.0, 7.0, 5.0], vec![1.0, 0.0, 7.0, 2.0]);
        let wanted = [[sum.clone(), copy.clone(), vec![3.0, 10.0]], [sum, copy, vec![5.0]]];
        assert_eq!(got.unwrap(), wanted);
    });
}

/// The gradients of a training's last step, each linear's from its owner, and the weights after it.
fn trained(device: &dyn Device, task: &Task<'_>) -> accllm_llm::Result<[Vec<f32>; 2]> {
    run_on(device, task, &mut |_| {}, |o: &Optimizer<'_>| {
        let s = o.shape;
        let (layers, gains) = (s.sizes.layers * s.layer(), s.norms() * s.sizes.hidden);
        device.exchange(Exchange::Share, &o.owned(o.gradients.layers, s.sizes.layers))?;
        let gradients =
            [(o.gradients.layers, layers), (o.gradients.gains, gains), (o.gradients.table, s.table())];
        let weights = [(o.layers, layers), (o.gains, gains), (o.embed.weights, s.table())];
        let all = |tensors: [(Ptr, usize); 3]| {
            let each = tensors.map(|(at, count)| fetch::<f32>(device, at, count));
            each.into_iter().collect::<accllm_llm::Result<Vec<_>>>().map(|all| all.concat())
        };
        Ok([all(gradients)?, all(weights)?])
    })
}

/// Two devices sum the same numbers as one in another order, so that gradients are the same but for the last bits of f32. Where
/// weights move, these bits turn some of the roundings of a step to bf16, and of weights to their grids. Cards also choose other
/// ways to multiply matrices of half the rows. With rounding both devices read the same text: the steps of values are those of the
/// first one's rows.
#[test]
#[ignore = "two minutes without a card"]
fn two_devices_train_as_one() {
    let (model, text) = (model(1), tokens(128, 2));
    let twice = [&text[..64], &text[..64]].concat();
    let start = [flat_layers(&model), flat_gains(&model).unwrap(), model.embed.data.clone()].concat();
    let moves = |to: &[f32]| to.iter().zip(&start).map(|(to, from)| to - from).collect::<Vec<_>>();
    let of = |rate, rounded_from| Recipe { rounded_from, text: 128, train: 128, ..shared(rate) };
    for (recipe, text, on_cpu, on_cards) in
        [(of(3e-3, 1.0), &text, [1e-5, 0.01], [0.05, 0.3]), (of(0.0, 0.0), &twice, [1e-5, 0.0], [0.05, 0.0])]
    {
        let (task, rate) = (task(&model, text, &recipe), recipe.rates[0]);
        let on = |count| {
            on_groups(&config(), count, |devices| {
                let bounds = if devices[0].name() == Emulated::NAME { on_cpu } else { on_cards };
                (bounds, together(devices, &mut |_| {}, |device, _| trained(device, &task)).unwrap())
            })
        };
        for ((_, one), (bounds, two)) in on(1).into_iter().zip(on(2)) {
            assert!(two[0] == two[1], "the two differ");
            let apart = distance(&two[0][0], &one[0][0]);
            let [a, b] = [&two, &one].map(|all| moves(&all[0][1]));
            let moved = if rate > 0.0 { distance(&a, &b) } else { 0.0 };
            eprintln!("rate {rate}: gradients {apart:.1e} apart, moves {moved:.1e}");
            assert!(apart <= bounds[0] && moved <= bounds[1], "rate {rate}: {apart}, {moved}");
            assert!(a.iter().chain(&b).any(|m| *m != 0.0) == (rate > 0.0));
        }
    }
}

/// Each of two devices writes half of what one writes: to the bit on the CPU, where a sequence does not depend on its neighbours.
#[test]
#[ignore = "half a minute without a card"]
fn two_devices_write_what_one_writes() {
    let model = model(1);
    let write = |count| {
        on_groups(&config(), count, |devices| {
            let (beginnings, recipe) = (vec![vec![5], vec![30, 31]].into(), shared(0.0));
            let order = Order { model: &model, beginnings: &beginnings, recipe: &recipe, folder: None };
            (devices[0].name(), write_together(devices, &order, &mut |_| {}).unwrap())
        })
    };
    for ((name, one), (_, two)) in write(1).into_iter().zip(write(2)) {
        assert!(two.len() == 256 && two.iter().all(|t| *t < 264));
        assert!(one == two || name != Emulated::NAME);
    }
}

/// Something that goes wrong when a kernel starts: it is told the device and the kernel's first argument.
type Fault<'a> = &'a (dyn Fn(&dyn Device, Ptr) -> accllm_llm::Result<()> + Sync);

struct Faulty<'a>(&'a dyn Device, &'static str, Fault<'a>);

impl Hook for Faulty<'_> {
    fn launch(
        &self,
        kernel: &'static str,
        arguments: &[Arg],
        work: &dyn Fn() -> accllm_llm::Result<()>,
    ) -> accllm_llm::Result<()> {
        if kernel == self.1 {
            (self.2)(self.0, Ptr(arguments[0].word()))?;
        }
        work()
    }
}

/// Trains on two devices, with a fault on the second one, and looks for `words` in what comes of it, at once.
fn a_fault_is_told(kernel: &'static str, fault: Fault<'_>, words: [&str; 2]) {
    let recipe = Recipe { text: 128, train: 128, ..shared(0.0) };
    let (model, text) = (model(1), tokens(128, 2));
    on_groups(&config(), 2, |devices| {
        let start = Instant::now();
        let result = together(devices, &mut |_| {}, |inner, _| {
            let task = task(&model, &text, &recipe);
            match inner.seat().rank {
                0 => trained(inner, &task),
                _ => trained(&Hooked { inner, hook: Faulty(inner, kernel, fault) }, &task),
            }
        });
        let message = result.map(|_| ()).unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        assert!(start.elapsed() < Duration::from_secs(120));
    });
}

/// The other device waits for it in an exchange.
#[test]
#[ignore = "half a minute without a card"]
fn a_failing_device_ends_the_training_of_all() {
    let fault = |_: &dyn Device, _| Err(Error::Argument("it broke".into()));
    a_fault_is_told("adam", &fault, ["card 1", "it broke"]);
}

#[test]
#[ignore = "half a minute without a card"]
fn devices_whose_weights_differ_are_found_out() {
    let fault = |device: &dyn Device, weights| put(device, weights, &[0.125f32]);
    a_fault_is_told("checksum", &fault, ["weights of the cards differ", "after step 1"]);
}

#[test]
fn more_devices_than_rows_of_a_step_are_refused() {
    let (model, text, recipe) = (model(1), tokens(256, 2), shared(0.0));
    on_groups(&config(), 3, |devices| {
        let result = train_together(devices, &task(&model, &text, &recipe), &mut |_| {});
        assert!(result.is_err_and(|e| e.to_string().contains("at most 2 cards")));
    });
}

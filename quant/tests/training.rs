//! Quantization with training: it learns, it is reproducible, and an interrupted run goes on where it was.

use super::support;

use accllm_llm::float::FloatModel;
use accllm_llm::model::{QuantModel, WeightFormat};
use accllm_llm::perplexity::Protocol;
use accllm_quant::quantize::{Closed, Options, quantize_with};
use accllm_quant::train::{Reached, Training};
use accllm_quant::transform::Keys;
use std::path::{Path, PathBuf};
use support::{Outcome, small_float, small_text};

type Run = (QuantModel, Vec<Reached>);

fn options() -> Options {
    let how = Training { epochs: 6, batch: 64, weights: 0.02, scales: 0.005, gains: 0.005, seed: 1 };
    let end = Training { epochs: 6, batch: 64, weights: 0.02, scales: 0.005, gains: 0.005, seed: 2 };
    Options {
        reconstruction: Some(how),
        end_to_end: Some((end, 8)),
        // Layers with formats of their own, so that a state is read with the right ones.
        layer_formats: vec![[WeightFormat::W2Sparse; 7], [WeightFormat::W2Dense; 7]],
        calibration: Protocol { window: 32, windows: Some(8) },
        // The closed form fits so few tokens as well as training does.
        closed: Closed { feedback: false, correct: false, rounds: 0, ..Closed::default() },
        ..Options::default()
    }
}

fn run(
    model: &FloatModel,
    options: &Options,
    folder: Option<&Path>,
) -> Result<Run, Box<dyn std::error::Error>> {
    let mut seen = Vec::new();
    let made = quantize_with(model.clone(), &small_text(300), options, folder, &mut |p| seen.push(p))?;
    Ok((made.model, seen))
}

/// Losses while `layer` was trained; those of the whole model are under the number of layers.
fn losses(seen: &[Reached], layer: usize) -> Vec<f64> {
    seen.iter().filter(|p| p.layer == layer).filter_map(|p| p.loss).collect()
}

/// Files whose names begin with one of `names`.
fn files(folder: &Path, names: &[&str]) -> Result<Vec<PathBuf>, std::io::Error> {
    let all = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let wanted = |name: &str| names.iter().any(|n| name.starts_with(n));
    Ok(all.iter().filter(|e| wanted(&e.file_name().to_string_lossy())).map(|e| e.path()).collect())
}

fn remove(folder: &Path, names: &[&str]) -> Outcome {
    let all = files(folder, names)?;
    assert!(!all.is_empty(), "nothing to remove");
    Ok(all.iter().try_for_each(std::fs::remove_file)?)
}

#[test]
fn training_lowers_the_loss() -> Outcome {
    let model = small_float()?;
    let (made, seen) = run(&model, &options(), None)?;
    for layer in 0..3 {
        let losses = losses(&seen, layer);
        assert_eq!(losses.len(), 6 * 4, "layer {layer}");
        let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
        let (first, last) = (mean(&losses[..4]), mean(&losses[20..]));
        println!("layer {layer}: loss {first:.4} to {last:.4}");
        assert!(last < first * 0.95, "layer {layer}: {losses:?}");
    }
    let folder = tempfile::tempdir()?;
    // Refuses what breaks the engine's contract.
    made.save(&folder.path().join("m"), None)?;
    assert_eq!(made.layers[0].q.grid.format, WeightFormat::W2Sparse);
    assert_eq!(made.layers[1].q.grid.format, WeightFormat::W2Dense);
    Ok(())
}

#[test]
fn a_seed_decides() -> Outcome {
    let model = small_float()?;
    let (first, _) = run(&model, &options(), None)?;
    assert!(first == run(&model, &options(), None)?.0, "the same again");
    let how = options().reconstruction.map(|how| Training { seed: 9, ..how });
    let other = Options { reconstruction: how, ..options() };
    assert!(first != run(&model, &other, None)?.0, "another order of the windows");
    Ok(())
}

const CHILD: &str = "ACCLLM_TEST_THREADS";

/// The library takes its number of threads from the environment, so each number is a process of its own.
#[test]
fn threads_do_not_matter() -> Outcome {
    if std::env::var_os(CHILD).is_some() {
        println!("fingerprint {}", run(&small_float()?, &options(), None)?.0.fingerprint()?);
        return Ok(());
    }
    let mut found = Vec::new();
    for threads in ["1", "2", "3"] {
        let child = std::process::Command::new(std::env::current_exe()?)
            .args(["--exact", "training::threads_do_not_matter", "--nocapture"])
            .env(CHILD, "1")
            .env("RAYON_NUM_THREADS", threads)
            .output()?;
        let text = String::from_utf8_lossy(&child.stdout).into_owned();
        let at = text.find("fingerprint ").ok_or_else(|| format!("{threads} threads: {text}"))?;
        found.push(text[at..].lines().next().unwrap_or_default().to_string());
    }
    assert!(found.iter().all(|f| *f == found[0]), "{found:?}");
    // And in a pool of its own.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let model = small_float()?;
    let here =
        pool.install(|| quantize_with(model.clone(), &small_text(300), &options(), None, &mut |_| {}))?;
    assert_eq!(found[0], format!("fingerprint {}", here.model.fingerprint()?));
    Ok(())
}

#[test]
fn an_interrupted_run_goes_on() -> Outcome {
    let (model, folder) = (small_float()?, tempfile::tempdir()?);
    let folder = folder.path();
    let (expected, _) = run(&model, &options(), None)?;
    let (kept, seen) = run(&model, &options(), Some(folder))?;
    assert!(kept == expected, "keeping parts changes nothing");
    assert_eq!([0, 1, 2].map(|l| losses(&seen, l).len()), [24, 24, 24]);
    // Each layer, and the last two states of the end: the layers, the end and which is the last.
    let count = 2 + 2 * 3 + 1;
    assert_eq!(files(folder, &["layer-", "end-"])?.len(), count);
    assert_eq!(std::fs::read_dir(folder)?.count(), count, "nothing else is left");

    // What is gone, and the steps that are trained again.
    let cases: [(&[&str], [usize; 3]); 4] = [
        (&[], [0, 0, 0]),
        (&["end-"], [0, 0, 24]),
        (&["end-at"], [0, 0, 24]),
        (&["end-", "layer-1"], [0, 24, 24]),
    ];
    for (gone, steps) in cases {
        if !gone.is_empty() {
            remove(folder, gone)?;
        }
        let (again, seen) = run(&model, &options(), Some(folder))?;
        assert_eq!([0, 1, 2].map(|l| losses(&seen, l).len()), steps, "without {gone:?}");
        assert!(again == expected, "without {gone:?} the model differs");
    }

    // Stopped in the middle of the end, it goes on there.
    remove(folder, &["end-"])?;
    let stop = |p: Reached| assert!(p.layer < 2 || p.step < 10, "stopped");
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        quantize_with(model.clone(), &small_text(300), &options(), Some(folder), &mut { stop })
    }));
    assert!(stopped.is_err());
    let (again, seen) = run(&model, &options(), Some(folder))?;
    let steps = losses(&seen, 2).len();
    assert!((14..24).contains(&steps), "{steps} steps");
    assert!(again == expected, "stopped in the middle the model differs");

    // Another end takes the layers, and another model or fit of the layers nothing.
    let end = options().end_to_end.map(|(how, n)| (Training { seed: 5, ..how }, n));
    let (_, seen) = run(&model, &Options { end_to_end: end, ..options() }, Some(folder))?;
    assert_eq!([0, 1, 2].map(|l| losses(&seen, l).len()), [0, 0, 24]);
    let (_, seen) = run(&model, &Options { keys: Keys::Balanced(0.5), ..options() }, Some(folder))?;
    assert_eq!([0, 1, 2].map(|l| losses(&seen, l).len()), [24, 24, 24]);
    let mut other = model.clone();
    other.config.sizes.rope.theta = 5000.0;
    let (_, seen) = run(&other, &options(), Some(folder))?;
    assert_eq!([0, 1, 2].map(|l| losses(&seen, l).len()), [24, 24, 24]);
    Ok(())
}

#[test]
fn a_damaged_state_is_named() -> Outcome {
    let (model, folder) = (small_float()?, tempfile::tempdir()?);
    let folder = folder.path();
    let (expected, _) = run(&model, &options(), Some(folder))?;
    // The state that is the last one is the one that was written last.
    let mut states = files(folder, &["end-a-0", "end-b-0"])?;
    states.sort_by_key(|p| std::fs::metadata(p).and_then(|m| m.modified()).ok());
    let name = states.pop().and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned()));
    let place = name.ok_or("no state")?.split_at(5).0.to_string();
    for name in ["layer-0", "layer-1", &format!("{place}-1"), &format!("{place}-2"), "end-at"] {
        let path = files(folder, &[name])?.pop().ok_or("no file")?;
        let bytes = std::fs::read(&path)?;
        for damaged in [&bytes[..bytes.len() - 1], &bytes[..4], &[0xff; 64]] {
            std::fs::write(&path, damaged)?;
            let error =
                run(&model, &options(), Some(folder)).err().map(|e| e.to_string()).unwrap_or_default();
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            assert!(error.contains(&file) && error.contains("delete it"), "{name}: {error}");
        }
        std::fs::write(&path, bytes)?;
    }
    assert!(run(&model, &options(), Some(folder))?.0 == expected);
    Ok(())
}

#[test]
fn what_cannot_be_written_loses_nothing() -> Outcome {
    let (model, folder) = (small_float()?, tempfile::tempdir()?);
    let folder = folder.path();
    let (expected, _) = run(&model, &options(), Some(folder))?;
    for name in ["layer-1", "end-a-2", "end-at"] {
        let path = files(folder, &[name])?.pop().ok_or("no file")?;
        remove(folder, &["end-at", name])?;
        // In the way of the file under its temporary name.
        let partial = path.with_extension("partial");
        std::fs::create_dir(&partial)?;
        let error = run(&model, &options(), Some(folder)).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains("write") && error.contains(name), "{error}");
        std::fs::remove_dir(&partial)?;
        let (again, seen) = run(&model, &options(), Some(folder))?;
        assert_eq!(losses(&seen, 0).len(), 0, "layer 0 was kept");
        assert!(again == expected);
    }
    let file = folder.join("file");
    std::fs::write(&file, "")?;
    let error = run(&model, &options(), Some(&file)).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("file"), "{error}");
    Ok(())
}

#[test]
fn texts_of_no_use_are_refused() -> Outcome {
    let model = small_float()?;
    let refused = |text: &[u32], options: &Options| {
        let made = quantize_with(model.clone(), text, options, None, &mut |_| {});
        made.err().map(|e| e.to_string()).unwrap_or_default()
    };
    let error = refused(&small_text(31), &options());
    assert!(error.contains("31 tokens") && error.contains("give more text"), "{error}");
    let error = refused(&[], &options());
    assert!(error.contains("0 tokens"), "{error}");
    let mut text = small_text(300);
    text[40] = 50;
    let error = refused(&text, &options());
    assert!(error.contains("50"), "{error}");
    let short = Options { calibration: Protocol { window: 1, windows: None }, ..options() };
    let error = refused(&small_text(300), &short);
    assert!(error.contains("too short"), "{error}");
    Ok(())
}

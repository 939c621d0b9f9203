//! A real model on a machine with a card that is there for a short time: the training there, the rest at home.

use super::*;
use crate::gpu::device::Memory;
use crate::gpu::shape::{flat_gains, flat_layers, model_of};
use crate::gpu::train::{self, train_on};
use crate::gpu::w2::round_weights;
use crate::gpu::w4::round_head;
use crate::gpu::{Recipe, Trained, beginnings};
use crate::grid::GridWeight;
use crate::import::gguf::tokenizer_files;
use crate::import::{load_model, load_model_within};
use crate::model::{Levels, WeightFormat};
use crate::perplexity::{Protocol, perplexity, plain_stream};
use crate::quantize::{Options, quantize_trained, recover};
use crate::tokenizer::TextTokenizer;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn given(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("set {name}"))
}

fn tokens_given(name: &str) -> usize {
    given(name).parse().unwrap()
}

/// A GGUF file's model and tokenizer.
fn model_given() -> (FloatModel, TextTokenizer, tempfile::TempDir) {
    let path = PathBuf::from(given("ACCLLM_GPU_MODEL"));
    let model = load_model_within(&path, usize::MAX).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in tokenizer_files(&path).unwrap() {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let tokenizer =
        TextTokenizer::read(&folder.path().join("tokenizer.json"), model.config.sizes.vocab).unwrap();
    (model, tokenizer, folder)
}

/// What `accllm quantize --preset gpu --device cuda` does up to the integers, for a machine that is there for a short time:
/// `ACCLLM_GPU_MODEL` (a GGUF file), `ACCLLM_GPU_TEXT` and `ACCLLM_GPU_TRAIN` (tokens), `ACCLLM_GPU_WORK` (a folder),
/// `ACCLLM_GPU_START` (a folder with a model of these sizes that the training starts from; it is waited for, once the text is
/// written), `ACCLLM_GPU_END` (a file with the second, since 1970, by which the training ends), `ACCLLM_GPU_OUT` (a file for the trained
/// integers). [`a_trained_model`] takes it from there.
#[test]
#[ignore = "trains a real model on a card"]
fn a_real_model() {
    let (model, tokenizer, _) = model_given();
    let work = PathBuf::from(given("ACCLLM_GPU_WORK"));
    let (text, train) = (tokens_given("ACCLLM_GPU_TEXT"), tokens_given("ACCLLM_GPU_TRAIN"));
    let mut recipe = Recipe { text, train, ..Recipe::default() };
    let begin = beginnings(&tokenizer, model.config.sizes.vocab, 1).unwrap();
    let device = Cuda::open(&Shape::of(&model.config).unwrap()).unwrap();
    let mut show = watch();
    // The text alone first: its file does not depend on the start.
    {
        let files = train::files(&model, &model, &begin, &recipe, Some(&work)).unwrap();
        let mut memory = Memory::new(&device);
        let teacher = train::teacher(&device, &mut memory, &model).unwrap();
        train::text(&device, &model, teacher, &begin, &recipe, files.text.as_deref(), &mut show).unwrap();
    }
    let start = std::env::var("ACCLLM_GPU_START").ok().map(|folder| {
        let ready = PathBuf::from(&folder).join("ready");
        while !ready.exists() {
            std::thread::sleep(Duration::from_millis(200));
        }
        recipe = recipe.clone().going_on();
        load_model(Path::new(&folder)).unwrap()
    });
    if let Ok(path) = std::env::var("ACCLLM_GPU_END") {
        let end = std::fs::read_to_string(path).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        recipe.seconds = Some(end.trim().parse::<u64>().unwrap().saturating_sub(now));
    }
    eprintln!("{recipe:?}");
    let start = start.as_ref().unwrap_or(&model);
    let trained = train_on(&device, &model, start, &begin, &recipe, Some(&work), &mut show).unwrap();
    let out = PathBuf::from(given("ACCLLM_GPU_OUT"));
    std::fs::write(&out, packed(&trained)).unwrap();
    eprintln!("done");
}

/// Magnitude and sign of a level, of W2 2:4 or W4, in four bits.
fn nibble(level: i8) -> u8 {
    (level + 8) as u8
}

/// Levels, scales and row scales of all linears and of the head, gains (f32), the embedding (f16).
fn packed(trained: &Trained) -> Vec<u8> {
    let mut bytes = Vec::new();
    let linears = flat_layers(&trained.model).unwrap();
    let shape = Shape::of(&trained.model.config).unwrap();
    for layer in linears.chunks_exact(shape.layer()) {
        for p in shape.parts() {
            let w = Matrix { rows: p.rows, cols: p.cols, data: layer[p.at..p.at + p.len()].to_vec() };
            pack(&recover(&w).unwrap_or_else(|| round_weights(&w)), &mut bytes);
        }
    }
    pack(&trained.head, &mut bytes);
    bytes.extend(flat_gains(&trained.model).unwrap().iter().flat_map(|g| g.to_le_bytes()));
    bytes.extend(trained.model.embed.data.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()));
    bytes
}

/// Of four levels of W2 2:4 the two places and their levels are a byte.
fn pack(w: &GridWeight, bytes: &mut Vec<u8>) {
    match w.format {
        WeightFormat::W4 => bytes.extend(w.level.chunks(2).map(|l| nibble(l[0]) | nibble(l[1]) << 4)),
        _ => bytes.extend(w.level.chunks(4).map(|four| {
            let mut kept = four.iter().enumerate().filter(|(_, l)| **l != 0);
            let mut one = || kept.next().map_or(0, |(i, l)| i as u8 | code(*l) << 2);
            one() | one() << 4
        })),
    }
    bytes.extend(&w.scale);
    bytes.extend(w.offset.iter().map(|o| o.cast_unsigned()));
    bytes.extend(w.row_scale.iter().flat_map(|s| s.to_le_bytes()));
}

const LEVELS: [i8; 4] = [-2, -1, 1, 2];

fn code(level: i8) -> u8 {
    LEVELS.iter().position(|l| *l == level).unwrap() as u8
}

fn unpack(format: WeightFormat, rows: usize, cols: usize, bytes: &mut &[u8]) -> GridWeight {
    let mut take = |n: usize| {
        let (part, rest) = bytes.split_at(n);
        *bytes = rest;
        part
    };
    let wide = format == WeightFormat::W4;
    let level = match wide {
        true => take(rows * cols / 2).iter().flat_map(|b| [b & 15, b >> 4].map(|n| n as i8 - 8)).collect(),
        false => take(rows * cols / 4)
            .iter()
            .flat_map(|b| {
                let mut four = [0; 4];
                for half in [b & 15, b >> 4] {
                    four[usize::from(half & 3)] = LEVELS[usize::from(half >> 2)];
                }
                four
            })
            .collect(),
    };
    let scale = take(rows * cols / 32).to_vec();
    let offset = if wide { take(rows * cols / 32).iter().map(|o| o.cast_signed()).collect() } else { vec![] };
    let row_scale = take(4 * rows).as_chunks::<4>().0.iter().map(|s| f32::from_le_bytes(*s)).collect();
    GridWeight { grid: Levels { format, rows, cols, level, scale, offset }, row_scale }
}

fn unpacked(config: &LlamaConfig, mut bytes: &[u8]) -> (FloatModel, GridWeight) {
    let shape = Shape::of(config).unwrap();
    let mut layers = Vec::new();
    for _ in 0..shape.sizes.layers {
        for p in shape.parts() {
            let w = unpack(WeightFormat::W2Sparse, p.rows, p.cols, &mut bytes);
            layers.extend(w.dequantize().data);
        }
    }
    let head = unpack(WeightFormat::W4, shape.sizes.vocab, shape.sizes.hidden, &mut bytes);
    let (gains, table) = bytes.split_at(4 * shape.norms() * shape.sizes.hidden);
    let gains: Vec<f32> = gains.as_chunks::<4>().0.iter().map(|g| f32::from_le_bytes(*g)).collect();
    let table: Vec<f32> =
        table.as_chunks::<2>().0.iter().map(|v| half::f16::from_le_bytes(*v).to_f32()).collect();
    assert_eq!(table.len(), shape.sizes.vocab * shape.sizes.hidden);
    (model_of(config.clone(), &layers, &gains, table).unwrap(), head)
}

/// Packing loses nothing but the embedding's last bits.
#[test]
fn trained_integers_are_packed() {
    let random = model(7);
    let head = round_head(&random.embed);
    let mut layers = flat_layers(&random).unwrap();
    let shape = Shape::of(&random.config).unwrap();
    for layer in layers.chunks_exact_mut(shape.layer()) {
        for p in shape.parts() {
            let w = &mut layer[p.at..p.at + p.len()];
            let grid = round_weights(&Matrix { rows: p.rows, cols: p.cols, data: w.to_vec() });
            w.copy_from_slice(&grid.dequantize().data);
        }
    }
    let gains = flat_gains(&random).unwrap();
    let model = model_of(random.config.clone(), &layers, &gains, random.embed.data).unwrap();
    let trained = Trained { model, head, text: vec![], device: String::new() };
    let (model, head) = unpacked(&trained.model.config, &packed(&trained));
    assert_eq!(head, trained.head);
    assert_eq!(flat_gains(&model).unwrap(), gains);
    let [a, b] = [&model, &trained.model].map(|m| flat_layers(m).unwrap());
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= b.abs() * 1e-6));
    assert!(distance(&model.embed.data, &trained.model.embed.data) < 1e-3);
}

/// From the trained integers of [`a_real_model`] to the integer model: `ACCLLM_GPU_MODEL` and `ACCLLM_GPU_OUT` as there,
/// `ACCLLM_GPU_RANGES` (a file of its text, 16-bit tokens), `ACCLLM_GPU_SAVE` (a folder to create), `ACCLLM_GPU_SCORE`
/// (text whose first 32 windows of 2,048 tokens are scored).
#[test]
#[ignore = "needs a model that a card trained"]
fn a_trained_model() {
    let (model, tokenizer, folder) = model_given();
    let bytes = std::fs::read(given("ACCLLM_GPU_OUT")).unwrap();
    let (trained, head) = unpacked(&model.config, &bytes);
    let text = std::fs::read(given("ACCLLM_GPU_RANGES")).unwrap();
    let text: Vec<u32> = text.as_chunks::<2>().0.iter().map(|t| u16::from_le_bytes(*t).into()).collect();
    let calibration = Protocol { window: 1024, windows: Some(32) };
    let options = Options { calibration, ..Options::default() };
    let start = Instant::now();
    let quantized = quantize_trained(trained, head.clone(), &text, &options, &mut |_| {}).unwrap();
    eprintln!("{} linears recovered, {:.1} s", quantized.recovered, start.elapsed().as_secs_f64());
    assert_eq!((&quantized.model.head.level, &quantized.model.head.scale), (&head.level, &head.scale));
    let save = PathBuf::from(given("ACCLLM_GPU_SAVE"));
    quantized.model.save(&save, Some(&folder.path().join("tokenizer.json"))).unwrap();
    eprintln!("saved, {:.1} s", start.elapsed().as_secs_f64());
    let Ok(path) = std::env::var("ACCLLM_GPU_SCORE") else { return };
    let stream = plain_stream(&std::fs::read_to_string(path).unwrap(), &tokenizer).unwrap();
    let protocol = Protocol { window: 2048, windows: Some(32) };
    let integer = perplexity(&quantized.model, &stream, protocol).unwrap();
    eprintln!("integer model: {:.2}, {:.1} s", integer.perplexity, start.elapsed().as_secs_f64());
}

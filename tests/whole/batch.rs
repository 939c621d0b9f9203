//! Several sequences in one run of the program == each of them alone, bit for bit.

use accllm_compiler::synthetic::{Synthetic, shapes};
use accllm_compiler::{MemoryImage, ModelSpec, Program, Settings, Step};
use accllm_device::{Device, GoldenDevice, MemoryKind, PairDevice, Verilator};
use accllm_hw::config::{CONFIGS, Config, find};
use accllm_llm::model::QuantModel;
use accllm_tests::rtl;
use accllm_text::runner::Batch;

/// Tokens fed to each sequence before the first common step: fewer than sinks, some blocks, more than the window, and
/// one.
const PROMPTS: [usize; 4] = [3, 21, 75, 1];

/// A program and its image.
struct Made {
    program: Program,
    image: MemoryImage,
}

fn made(model: &QuantModel, config: &Config, settings: Settings) -> Option<Made> {
    let program = Program::compile(&ModelSpec::from(model), config, &settings).ok()?;
    program.check().unwrap_or_else(|e| panic!("on {}: {e}", config.name));
    let image = MemoryImage::new(&program, model).expect("image");
    Some(Made { program, image })
}

impl Made {
    /// For as many sequences as the configuration has room for.
    fn largest(model: &QuantModel, config: &Config, settings: Settings) -> Option<Self> {
        (2..=4).rev().find_map(|n| made(model, config, settings.with_sequences(n)))
    }

    fn golden(&self) -> GoldenDevice {
        GoldenDevice::new(&self.program, &self.image).expect("program loads")
    }

    fn both(&self, memory: MemoryKind) -> PairDevice {
        let rtl = Verilator::new(&self.program, &self.image, &rtl(memory)).expect("Verilated engine");
        PairDevice::new(&self.program, self.golden(), rtl)
    }

    fn sequences(&self) -> usize {
        self.program.layout.shape.sequences
    }
}

/// A sequence alone, on a program for one.
struct Alone<'m> {
    made: &'m Made,
    device: GoldenDevice,
    position: u64,
}

impl Alone<'_> {
    /// The next token and the logits.
    fn feed(&mut self, tokens: &[u32]) -> (u32, Vec<i32>) {
        let layout = &self.made.program.layout;
        let mut token = 0;
        for block in tokens.chunks(layout.shape.block) {
            let step = Step { position: self.position, tokens: block.len(), head: true };
            let io = layout.io_block(self.position, block).unwrap();
            self.device.write_aux(layout.aux.ids, &io).unwrap();
            token = self.device.run(layout.args(step).unwrap()).unwrap().token;
            self.position += block.len() as u64;
        }
        let mut bytes = vec![0; 4 * layout.shape.sizes.vocab];
        self.device.read_aux(layout.aux.logits, &mut bytes).unwrap();
        (token, bytes.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b)).collect())
    }
}

fn prompt(sequence: usize, tokens: usize, vocab: usize) -> Vec<u32> {
    (0..tokens).map(|i| ((7919 * i + 104_729 * sequence + 13) % vocab) as u32).collect()
}

/// Prompts one after the other, common steps, another prompt for one of them, pauses.
fn compare<D: Device>(what: &str, one: &Made, device: D, all: &Made, steps: usize) -> Batch<D> {
    let (n, vocab) = (all.sequences(), all.program.layout.shape.sizes.vocab);
    let mut batch = Batch::new(&all.program, device).unwrap();
    let mut alone: Vec<_> = (0..n).map(|_| Alone { made: one, device: one.golden(), position: 0 }).collect();
    let mut next = vec![0; n];
    let feed = |batch: &mut Batch<D>, alone: &mut [Alone<'_>], s: usize, tokens: &[u32]| {
        let token = batch.feed(s, tokens).unwrap_or_else(|e| panic!("{what}, sequence {s}: {e}"));
        let (want, logits) = alone[s].feed(tokens);
        assert_eq!(batch.logits(s), logits, "{what}: logits of sequence {s} after its prompt");
        assert_eq!(token, want, "{what}: token of sequence {s} after its prompt");
        token
    };
    // The last sequence first, so that no order helps.
    for s in (0..n).rev() {
        next[s] = feed(&mut batch, &mut alone, s, &prompt(s, PROMPTS[s], vocab));
    }
    for step in 0..steps {
        if step == steps / 2 {
            next[1] = feed(&mut batch, &mut alone, 1, &prompt(9, 11, vocab));
            next[0] = feed(&mut batch, &mut alone, 0, &[next[0]]);
        }
        // Each pauses now and then, not all at once.
        let going = |s: usize| (step + s) % 4 != 3;
        let tokens: Vec<_> = (0..n).map(|s| going(s).then_some(next[s])).collect();
        let got = batch.step(&tokens).unwrap_or_else(|e| panic!("{what}, step {step}: {e}"));
        for s in 0..n {
            assert_eq!(got[s].is_some(), going(s), "{what}");
            let Some(token) = got[s] else { continue };
            let (want, logits) = alone[s].feed(&[next[s]]);
            let first = batch.logits(s).iter().zip(&logits).position(|(a, b)| a != b);
            assert_eq!(first, None, "{what}, step {step}: first different logit of sequence {s}");
            assert_eq!(token, want, "{what}, step {step}: token of sequence {s}");
            next[s] = token;
        }
    }
    batch
}

fn settings(shape: &Synthetic) -> Settings {
    Settings::new(shape.lambda.n_sink, shape.lambda.n_window)
}

fn all_shapes(config: &Config, least: usize) {
    let mut ran = 0;
    for (name, shape) in shapes() {
        let model = shape.build();
        let one = made(&model, config, settings(&shape)).expect("compiles");
        let Some(all) = Made::largest(&model, config, settings(&shape)) else {
            println!("{name} on {}: no room for a second sequence", config.name);
            continue;
        };
        println!("{name} on {}: {} sequences", config.name, all.sequences());
        compare(&format!("{name} on {}", config.name), &one, all.golden(), &all, 12);
        ran += 1;
    }
    assert!(ran >= least, "{ran} shapes on {}", config.name);
}

#[test]
fn batches_of_all_shapes() {
    for config in CONFIGS.iter() {
        all_shapes(config, 4);
    }
}

/// The same with the RTL beside the golden executor, which compares every element that an instruction writes.
#[test]
fn batches_on_the_rtl_of_tiny() {
    let config = find("tiny").unwrap();
    // Rows of each sequence next to each other, rows apart, the short form of prefill, and leads of heads of two beats.
    let named = ["mqa", "gqa3", "dense2", "ragged"];
    for (name, shape) in shapes().into_iter().filter(|(name, _)| named.contains(name)) {
        let model = shape.build();
        let one = made(&model, config, settings(&shape)).expect("compiles");
        let all = Made::largest(&model, config, settings(&shape)).expect("room for two sequences");
        let device = all.both(MemoryKind::Stalling(shape.seed));
        let batch = compare(&format!("{name} on the RTL"), &one, device, &all, 4);
        let compared = batch.device().compared().unwrap();
        println!("{name}, {} sequences: {compared:?}", all.sequences());
        assert!(compared.elements > 100_000, "{compared:?}");
    }
}

#[test]
fn refuses_what_makes_no_sense() {
    let (_, shape) = shapes().remove(0);
    let model = shape.build();
    let config = find("tiny").unwrap();
    let one = made(&model, config, settings(&shape)).unwrap();
    assert!(Batch::new(&one.program, one.golden()).is_err());
    let two = made(&model, config, settings(&shape).with_sequences(2)).unwrap();
    let mut batch = Batch::new(&two.program, two.golden()).unwrap();
    assert!(batch.feed(2, &[1]).is_err() && batch.feed(0, &[]).is_err() && batch.feed(0, &[9999]).is_err());
    for tokens in [&[None, None][..], &[Some(1)], &[Some(1), Some(9999)]] {
        assert!(batch.step(tokens).is_err(), "{tokens:?}");
    }
    // Nothing of that has moved a sequence.
    let mut alone = Alone { made: &one, device: one.golden(), position: 0 };
    assert_eq!(batch.step(&[Some(5), None]).unwrap(), [Some(alone.feed(&[5]).0), None]);
}

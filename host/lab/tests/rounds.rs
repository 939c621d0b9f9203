//! The timing model runs some layers of a model and takes the others to be like them: how far that is from all of them.

use accllm_compiler::image::ModelSource as _;
use accllm_compiler::{Program, Settings, Step};
use accllm_hw::config::find;
use accllm_hw::isa::ARGS;
use accllm_lab::shapes::{self, Random};
use accllm_llm::model::LambdaShape;
use accllm_sim::memory::MemoryKind;
use accllm_sim::timing::{Memories, Report, Timing};

fn program(shape: &str, config: &str, sequences: usize) -> Program {
    let lambda = LambdaShape { n_sink: 4, n_window: 2044 };
    let random = Random { layers: None, lambda, prob_wide: true, seed: 1 };
    let model = random.model(&shapes::open(shape).unwrap()).unwrap();
    let settings = Settings::new(4, 2044).with_sequences(sequences);
    Program::compile(&model.spec(), find(config).unwrap(), &settings).unwrap()
}

/// Some rounds, and every one.
fn both(program: &Program, args: [u32; ARGS]) -> [Report; 2] {
    let memories = Memories::of(MemoryKind::HBM2, &program.config).unwrap();
    let timing = Timing::new(&program.config, &memories);
    [timing.clone(), timing.every_round()].map(|t| {
        let began = std::time::Instant::now();
        let report = t.run(&program.code, args).unwrap();
        println!("{:?}", began.elapsed());
        report
    })
}

/// Everything that does not depend on when is the same; cycles differ by less than `thousandths`.
fn compare(shape: &str, config: &str, sequences: usize, step: Step, thousandths: u64) {
    let program = program(shape, config, sequences);
    let args = match sequences {
        1 => program.layout.args(step).unwrap(),
        n => program.layout.batch_args(&vec![step.position; n]).unwrap(),
    };
    let [some, every] = both(&program, args);
    let (a, b) = (some.cycles(), every.cycles());
    println!("{shape} on {config}, {sequences} sequences, {step:?}: {a} of {b}");
    assert!(a.abs_diff(b) * 1000 <= b * thousandths, "{shape} on {config}, {step:?}: {a} for {b} cycles");
    assert_eq!(some.events, every.events);
    let still = |r: &Report| {
        let c = r.counters;
        let beats = [c.beats_read, c.beats_written, c.aux_beats_read, c.aux_beats_written];
        let executed: Vec<u64> = r.summary.ops.iter().map(|o| o.executed).collect();
        (beats, c.instructions, c.mat_done, c.vec_done, c.mat_busy, executed)
    };
    assert_eq!(still(&some), still(&every));
}

#[test]
fn some_layers_stand_for_the_others() {
    for position in [0, 128, 2048] {
        compare("llama2-7b", "u280", 1, Step { position, tokens: 1, head: true }, 2);
    }
    compare("llama2-7b", "u280", 4, Step { position: 128, tokens: 1, head: true }, 2);
    compare("llama2-7b", "u280", 1, Step { position: 0, tokens: 16, head: true }, 2);
    for config in ["u280", "edge"] {
        compare("smollm2-135m", config, 1, Step { position: 300, tokens: 1, head: true }, 2);
    }
}

//! The timeline of a small layer: its slices against the golden executor's records, its sums against the counters.

use super::whole::{config, engine, layer, limits};
use accllm_hw::isa::{Instr, Op, Unit};
use accllm_sim::engine::RunReport;
use accllm_sim::golden::{Golden, Program};
use accllm_sim::timeline::{Cause, Collect, Step, Summary, Timeline, Track, What};
use std::collections::BTreeMap;
use std::error::Error;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Two runs of the layer with a memory of this seed: the slices, the sums, the reports.
fn runs(seed: u64) -> Outcome<(Vec<Instr>, Timeline<Collect>, Vec<RunReport>)> {
    let config = config()?;
    let (program, image) = layer(config, 5)?;
    let mut engine = engine(config, &image, seed)?;
    let mut timeline = Timeline::new(&program, config.channels, Collect::default());
    engine.load_program(4096, &program)?;
    let mut reports = Vec::new();
    for (position, tokens) in [(0, 1), (1, 3)] {
        let mut args = [0; 15];
        args[..4].copy_from_slice(&[position, position, tokens, 0]);
        timeline.begin_run();
        reports.push(engine.run(args, 1_000_000, &mut timeline)?);
        assert_eq!(reports.last().and_then(RunReport::fault), None);
        let span = timeline.end_run();
        assert_eq!(reports.last().map(|r| r.cycles), Some(span.end - span.start));
    }
    Ok((program, timeline, reports))
}

/// Steps that the golden executor runs, in order.
fn golden(program: &[Instr]) -> Outcome<Vec<(u32, [u32; 4])>> {
    let config = config()?;
    let (_, mut image) = layer(config, 5)?;
    let mut golden = Golden::with_limits(config, limits());
    let mut all = Vec::new();
    for (position, tokens) in [(0, 1), (1, 3)] {
        let mut args = [0; 15];
        args[..4].copy_from_slice(&[position, position, tokens, 0]);
        let mut records = Vec::new();
        golden.run(&Program::from_instrs(program), args, &mut image, &mut records)?;
        all.extend(records.iter().map(|r| (r.pc, r.loop_counters)));
    }
    Ok(all)
}

fn unit(step: &Step) -> Unit {
    step.op.info().unit
}

#[test]
fn slices_cover_what_was_executed_once_and_do_not_overlap() -> Outcome {
    for seed in [0, 3] {
        let (program, timeline, reports) = runs(seed)?;
        let slices = timeline.into_sink().slices;
        let total: u64 = reports.iter().map(|r| r.cycles).sum();
        let mut ends: BTreeMap<Track, u64> = BTreeMap::new();
        for (track, start, end, ..) in &slices {
            let last = ends.insert(*track, *end).unwrap_or(0);
            assert!(
                last <= *start && start <= end && *end <= total,
                "{track:?}: {start}..{end} after {last}"
            );
        }
        // Units of the golden executor's records, in program order, must be the instruction slices, in order.
        let of = |track: Track| -> Vec<Step> {
            let instructions = slices.iter().filter(|s| s.0 == track && s.3 == What::Instruction);
            instructions.filter_map(|s| s.4).collect()
        };
        let want = golden(&program)?;
        for (track, kind) in
            [(Track::Matrix, Unit::Matrix), (Track::Prefetch, Unit::Matrix), (Track::Vector, Unit::Vector)]
        {
            let got: Vec<_> = of(track).iter().map(|s| (s.pc, s.loops)).collect();
            let op = |pc: u32| Op::from_code(program[pc as usize].op).map(|o| o.info().unit);
            let want: Vec<_> = want.iter().copied().filter(|(pc, _)| op(*pc) == Some(kind)).collect();
            assert!(!want.is_empty());
            assert_eq!(got, want, "{track:?}");
        }
        let control = of(Track::Control);
        assert!(control.iter().all(|s| unit(s) == Unit::Control));
        let executed: u64 = reports.iter().map(|r| r.counters.instructions).sum();
        assert_eq!(control.len() + want.len(), executed as usize);
        // A vector slice is not shorter than its words need, and the results of every matrix operation are shown.
        assert!(slices.iter().filter(|s| s.0 == Track::Vector).all(|s| s.2 - s.1 >= 2));
        assert_eq!(slices.iter().filter(|s| s.3 == What::Results).count(), of(Track::Matrix).len());
    }
    Ok(())
}

#[test]
fn sums_are_those_of_the_counters() -> Outcome {
    for seed in [0, 3] {
        let (_, timeline, reports) = runs(seed)?;
        let summary: Summary = timeline.summary().clone();
        let sum = |f: fn(&RunReport) -> u64| reports.iter().map(f).sum::<u64>();
        let total = summary.total();
        let m = total.matrix;
        assert_eq!(summary.cycles, sum(|r| r.cycles));
        assert_eq!(total.executed, sum(|r| r.counters.instructions));
        let got = [m.computing, m.stream, m.output, m.semaphore, summary.matrix_idle];
        let want = [
            sum(|r| r.counters.mat_busy),
            sum(|r| r.counters.mat_stall_stream),
            sum(|r| r.counters.mat_stall_out),
            sum(|r| r.counters.mat_stall_wait),
            sum(|r| r.counters.mat_idle),
        ];
        assert_eq!(got, want);
        assert!([0, 1, 3, 4].iter().all(|&i| got[i] > 0), "{got:?}");
        assert_eq!(m.total() + summary.matrix_idle, summary.cycles);
        assert_eq!(total.vector.busy, sum(|r| r.counters.vec_busy));
        assert_eq!(total.vector.waiting, sum(|r| r.counters.vec_wait));
        assert_eq!(total.prefetch.waiting, sum(|r| r.counters.prefetch_wait));

        // The wait slices say the same, and so do the instruction slices of the vector unit.
        let Collect { slices, sampled } = timeline.into_sink();
        assert_eq!(sampled, (sum(|r| r.counters.beats_read), summary.cycles));
        let waited = |track: Track, cause: Cause| -> u64 {
            let cycles = slices.iter().filter(|s| s.0 == track).map(|s| match s.3 {
                What::Wait(c, cycles) if c == cause => cycles,
                _ => 0,
            });
            cycles.sum()
        };
        assert_eq!(waited(Track::MatrixWaits, Cause::Stream), m.stream);
        assert_eq!(waited(Track::MatrixWaits, Cause::Output), m.output);
        assert_eq!(waited(Track::MatrixWaits, Cause::Semaphore), m.semaphore);
        assert_eq!(waited(Track::VectorWaits, Cause::Semaphore), total.vector.waiting);
        assert_eq!(waited(Track::PrefetchWaits, Cause::Semaphore), total.prefetch.waiting);
        let vector = slices.iter().filter(|s| s.0 == Track::Vector).map(|s| s.2 - s.1).sum::<u64>();
        assert_eq!(vector, total.vector.busy);
        let tiles = slices.iter().filter(|s| s.0 == Track::Matrix).map(|s| s.2 - s.1).sum::<u64>();
        assert_eq!(tiles, m.computing + m.parameters + m.stream + m.output);
    }
    Ok(())
}

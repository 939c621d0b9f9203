//! Random programs: every unit receives the right operations in order, with semaphores obeyed.

use super::bench::{Bench, IMEM, MAT, Outcome, PRE, VEC};
use super::model::{Writer, interpret};
use accllm_hw::isa::{ARGS, Instr, Op};
use accllm_hw::regs;
use std::collections::BTreeMap;

fn compare(b: &Bench, program: &[Instr], args: [u32; ARGS], seed: u64) -> Outcome {
    let e = interpret(program, args);
    // Times at which each semaphore was raised, and at which each unit took it.
    let (mut raised, mut taken): (BTreeMap<u8, Vec<u64>>, BTreeMap<u8, Vec<u64>>) = Default::default();
    for unit in [MAT, VEC] {
        let want: Vec<_> = e.ops.iter().filter(|o| o.0 == unit).collect();
        let u = &b.units[unit];
        assert_eq!(u.log.len(), want.len(), "seed {seed}, unit {unit}");
        for (k, (_, uop, i)) in want.iter().enumerate() {
            assert_eq!(u.log[k], *uop, "seed {seed}, unit {unit}, operation {k}");
            i.wait.iter().filter(|&&s| s > 0).for_each(|&s| taken.entry(s).or_default().push(u.started[k]));
            i.signal.iter().filter(|&&s| s > 0).for_each(|&s| raised.entry(s).or_default().push(u.ended[k]));
        }
    }
    let matrix: Vec<_> = e.ops.iter().filter(|o| o.0 == MAT).collect();
    let pre = &b.units[PRE];
    assert!(
        pre.log.iter().zip(&matrix).all(|(a, b)| *a == b.1) && pre.log.len() == matrix.len(),
        "seed {seed}"
    );
    for (k, (_, _, i)) in matrix.iter().enumerate().filter(|(_, o)| o.2.prefetch_wait > 0) {
        taken.entry(i.prefetch_wait).or_default().push(pre.started[k]);
    }
    for (s, taken) in &mut taken {
        let raised = raised.entry(*s).or_default();
        taken.sort_unstable();
        raised.sort_unstable();
        assert!(taken.len() <= raised.len(), "seed {seed}, semaphore {s}");
        for (t, r) in taken.iter().zip(raised) {
            assert!(*t > *r, "seed {seed}: semaphore {s} was taken in {t}, but raised in {r}");
        }
    }
    Ok(())
}

#[test]
fn random_programs_are_dispatched_as_the_model_says() -> Outcome {
    let (mut operations, mut longest) = (0, 0);
    for seed in 0..60 {
        let mut b = Bench::new(seed)?;
        b.slow = [3, 12, 60][seed as usize % 3];
        for round in 0..4 {
            let mut w = Writer { rng: &mut b.rng, out: Vec::new() };
            let program = loop {
                w.out.clear();
                w.body(12, 0);
                w.out.push(Instr { op: Op::END as u8, ..Default::default() });
                if w.out.len() <= IMEM && interpret(&w.out, [0; ARGS]).ops.len() < 120 {
                    break w.out;
                }
            };
            let args: [u32; ARGS] = std::array::from_fn(|_| b.rng.range(0, u64::from(u32::MAX)) as u32);
            for (i, &a) in args.iter().enumerate() {
                b.write(regs::ARG + 4 * i as u32, a)?;
            }
            b.load(&program)?;
            if round == 3 {
                // The same program again without loading it.
                assert_eq!(b.run(100_000)?, (0, 0, 0));
                b.write(regs::PROGRAM_LEN, 0)?;
            }
            assert_eq!(b.run(100_000)?, (0, 0, 0), "seed {seed}: {program:?}");
            compare(&b, &program, args, seed)?;
            let e = interpret(&program, args);
            assert_eq!(b.read64(regs::INSTRUCTIONS)?, e.instructions, "seed {seed}");
            operations += e.ops.len();
            longest = longest.max(program.len());
        }
    }
    println!("{operations} operations, longest program {longest}");
    Ok(())
}

#[test]
fn constants_are_set_when_all_units_are_idle_and_stay() -> Outcome {
    let mut b = Bench::new(1)?;
    let op = |op: Op| Instr { op: op as u8, ..Default::default() };
    let setc = |x: u8, a: u32| Instr { op: Op::SETC as u8, a, x, ..Default::default() };
    let program =
        [op(Op::MATW), op(Op::LOAD), setc(0, 128), setc(8, 77), op(Op::RADD), op(Op::FENCE), op(Op::END)];
    b.load(&program)?;
    b.slow = 40;
    assert_eq!(b.run(10_000)?.0, 0);
    let consts = b.m.port("consts_out")?;
    let words = b.m.words(consts, 0);
    assert_eq!((words[0], words[8], words[1]), (128, 77, 0));
    let ended = b.units[MAT].ended[0].max(b.units[VEC].ended[0]).max(b.units[PRE].ended[0]);
    assert!(b.units[VEC].started[1] > ended, "SETC did not wait");
    b.load(&[op(Op::END)])?;
    assert_eq!(b.run(10_000)?.0, 0);
    assert_eq!(b.m.words(consts, 0)[0], 128, "constants stay between runs");
    Ok(())
}

//! Every fault of the control part: code, instruction, bounded time, and a good run afterwards.

use super::bench::{AUX_LIMIT, Bench, IMEM, MAT, Outcome, VEC};
use accllm_hw::isa::{Instr, Op};
use accllm_hw::regs;
use accllm_sim::memory::{Channel, Fault};

fn op(op: Op) -> Instr {
    Instr { op: op as u8, ..Default::default() }
}

fn repeat(n: u16, after: u32) -> Instr {
    Instr { op: Op::LOOP as u8, n, a: after, ..Default::default() }
}

fn good(b: &mut Bench) -> Outcome {
    b.load(&[op(Op::LOAD), op(Op::MATW), op(Op::END)])?;
    assert_eq!(b.run(5_000)?, (0, 0, 0));
    assert_eq!((b.units[MAT].log.len(), b.units[VEC].log.len()), (1, 1));
    Ok(())
}

/// Runs a program that must fail, twice, with a good run after each.
fn fails(name: &str, program: &[Instr], code: u32, pc: u32) -> Outcome {
    for seed in 0..4 {
        let mut b = Bench::new(seed)?;
        b.load(program)?;
        let got = b.run(6_000)?;
        assert_eq!((got.0, got.1), (code, pc), "{name}, seed {seed}: {got:?}");
        let text = regs::fault_text(got.0);
        assert!(!text.starts_with("unknown"));
        good(&mut b)?;
    }
    Ok(())
}

#[test]
fn illegal_instructions() -> Outcome {
    fails(
        "opcode",
        &[op(Op::FENCE), op(Op::LOAD), Instr { op: 0x77, ..Default::default() }, op(Op::END)],
        1,
        2,
    )?;
    fails("zero", &[op(Op::FENCE), Instr::default(), op(Op::END)], 1, 1)?;
    fails("register", &[Instr { op: Op::ADD as u8, x: 32, ..Default::default() }, op(Op::END)], 1, 0)?;
    fails("constant", &[Instr { op: Op::SETC as u8, x: 9, ..Default::default() }, op(Op::END)], 1, 0)?;
    fails("end of no loop", &[op(Op::MATW), op(Op::ENDLOOP), op(Op::END)], 1, 1)?;
    let mut deep = vec![repeat(2, 11); 5];
    deep.extend([op(Op::ENDLOOP); 5]);
    deep.push(op(Op::END));
    fails("loops", &deep, 1, 4)
}

#[test]
fn programs_that_do_not_end_or_do_not_fit() -> Outcome {
    fails("no end", &[op(Op::LOAD), op(Op::MATW), op(Op::FENCE)], 2, 3)?;
    fails("skip beyond", &[repeat(0, 40), op(Op::END)], 2, 40)?;
    fails("skip far beyond", &[repeat(0, 0x12_0001), op(Op::END)], 2, 0xffff)?;
    fails("too long", &vec![op(Op::END); IMEM + 1], 2, 0)?;
    let mut b = Bench::new(0)?;
    assert_eq!(b.run(1000)?.0, 2, "nothing was ever loaded");
    b.load(&[op(Op::END); 3])?;
    for (addr, status) in [(AUX_LIMIT - 2, 0), (AUX_LIMIT - 1, 2), (u32::MAX, 2)] {
        b.load(&[op(Op::END); 3])?;
        b.memory
            .store_mut()
            .write(super::bench::AUX_BASE + 64 * u64::from(AUX_LIMIT - 2), &op(Op::END).encode().repeat(4))?;
        b.write(regs::PROGRAM_ADDR, addr)?;
        assert_eq!(b.run(1000)?.0, status, "{addr}");
        b.write(regs::PROGRAM_ADDR, super::bench::PROGRAM_BEAT)?;
    }
    good(&mut b)
}

#[test]
fn semaphores_overflow_and_deadlocks_stall() -> Outcome {
    let signal = Instr { signal: [7, 0], ..op(Op::RADD) };
    fails("overflow", &[op(Op::MATW), repeat(256, 4), signal, op(Op::ENDLOOP), op(Op::END)], 11, 2)?;
    let twice = Instr { signal: [7, 7], ..op(Op::RADD) };
    let wait = Instr { wait: [7, 7], ..op(Op::MATW) };
    let legal = [repeat(127, 3), twice, op(Op::ENDLOOP), repeat(127, 6), wait, op(Op::ENDLOOP), op(Op::END)];
    let mut b = Bench::new(2)?;
    b.slow = 2;
    b.load(&legal)?;
    assert_eq!(b.run(20_000)?, (0, 0, 0));
    fails("nobody signals", &[op(Op::LOAD), Instr { wait: [3, 0], ..op(Op::MATW) }, op(Op::END)], 10, 1)?;
    fails(
        "prefetcher",
        &[Instr { prefetch_wait: 9, ..op(Op::MATW) }, Instr { wait: [1, 0], ..op(Op::LOAD) }, op(Op::END)],
        10,
        1,
    )?;
    fails(
        "once too few",
        &[Instr { signal: [4, 0], ..op(Op::MATW) }, Instr { wait: [4, 4], ..op(Op::LOAD) }, op(Op::END)],
        10,
        1,
    )?;
    fails("a loop for ever", &[repeat(u16::MAX, 2), op(Op::ENDLOOP), op(Op::END)], 10, 1)
}

#[test]
fn a_unit_that_never_ends_stalls_in_bounded_time() -> Outcome {
    for seed in 0..4 {
        let mut b = Bench::new(seed)?;
        b.load(&[op(Op::LOAD), op(Op::LOAD), op(Op::END)])?;
        b.write(regs::WATCHDOG, 500)?;
        b.write(regs::CTRL, 1)?;
        b.units[VEC].hold = true;
        let start = b.cycle;
        let got = b.finish(3_000)?;
        assert_eq!((got.0, got.1, got.2), (10, 0, 8), "{got:?}");
        assert!(b.cycle - start < 1_600, "{}", b.cycle - start);
        b.units[VEC].hold = false;
        good(&mut b)?;
    }
    Ok(())
}

#[test]
fn a_fault_of_a_unit_stops_everything_and_the_first_counts() -> Outcome {
    for seed in 0..8 {
        let mut b = Bench::new(seed)?;
        b.load(&[op(Op::LOAD), op(Op::MATW), op(Op::SUMSQ), op(Op::END)])?;
        b.write(regs::CTRL, 1)?;
        b.units[VEC].hold = true;
        while b.units[VEC].log.is_empty() {
            b.clock()?;
        }
        // Traffic that does not end keeps the run from ending for as long as the watchdog allows.
        b.set("hold_drained", u64::from(seed >= 4))?;
        for (code, pc, info) in [(6, 2, 1234), (4, 1, 9)] {
            b.set("fault_valid", 1)?;
            b.set("fault_code", code)?;
            b.set("fault_pc", pc)?;
            b.set("fault_info", info)?;
            b.clock()?;
            b.set("fault_valid", 0)?;
        }
        let start = b.cycle;
        assert_eq!(b.finish(5_000)?, (6, 2, 1234), "seed {seed}");
        let took = b.cycle - start;
        assert!(if seed < 4 { took < 300 } else { (2_000..2_300).contains(&took) }, "{took}");
        if seed >= 4 {
            // The next run finds the traffic still open: it waits as long, then faults.
            assert_eq!(b.run(6_000)?.0, 10);
            b.set("hold_drained", 0)?;
        }
        good(&mut b)?;
    }
    Ok(())
}

#[test]
fn memory_faults_while_loading() -> Outcome {
    for (fault, code) in [
        (Fault::SlaveError(0x1_0400..0x1_0500), 9),
        (Fault::Hang { channel: Channel::R, from_cycle: 0 }, 10),
        (Fault::Hang { channel: Channel::Ar, from_cycle: 0 }, 10),
    ] {
        for seed in 0..2 {
            let mut b = Bench::new(seed)?;
            b.load(&[op(Op::END); 9])?;
            b.memory.inject(fault.clone());
            let got = b.run(5_000)?;
            assert_eq!((got.0, got.1), (code, 0), "{fault:?} seed {seed}: {got:?}");
        }
    }
    Ok(())
}

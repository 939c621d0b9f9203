//! Sequencer: registers, loops, semaphores, faults of control.

use super::*;

fn run(golden: &mut Golden, program: &[Instr]) -> Result<Summary, Fault> {
    let mut image = Image::new(golden.config().channels);
    golden.run(&Program::from_instrs(program), [7; 15], &mut image, &mut Silent)
}

fn code(program: &[Instr]) -> (FaultCode, u32) {
    let mut golden = Golden::with_limits(tiny(), Limits { work: 100_000, ..Limits::open(64, 64) });
    let fault = run(&mut golden, program).unwrap_err();
    (fault.code, fault.pc)
}

fn radd(c: u32, n: u16) -> Instr {
    Instr { a: 64, b: 128, c, n, ..instr(Op::RADD) }
}

#[test]
fn nested_loops_count_and_registers_step() {
    let mut golden = Golden::with_limits(tiny(), Limits::open(64, 64));
    golden.state.vmem_mut()[64..72].fill(3);
    // R16 += 8 in the inner loop; the destination moves with it.
    let program = [
        Instr { a: 8, n: 3, ..instr(Op::LOOP) },
        Instr { a: 5, n: 2, ..instr(Op::LOOP) },
        Instr { regs: [0, 0, 16, 0, 0], ..radd(1024, 5) },
        Instr { a: 8, regs: [16, 0, 0, 0, 0], x: 16, ..instr(Op::ADD) },
        instr(Op::ENDLOOP),
        Instr { a: 7, n: 0, ..instr(Op::LOOP) },
        Instr { a: 999_999, ..radd(0, 1) },
        instr(Op::ENDLOOP),
        end(),
    ];
    let mut records = Vec::new();
    let mut image = Image::new(2);
    let summary = golden.run(&Program::from_instrs(&program), [0; 15], &mut image, &mut records).unwrap();
    assert_eq!((summary.vector, summary.matrix), (6, 0));
    let counters: Vec<_> = records.iter().map(|r| (r.loop_counters[0], r.loop_counters[1])).collect();
    assert_eq!(counters, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]);
    for (i, r) in records.iter().enumerate() {
        assert_eq!((r.seq, r.unit_seq, r.pc, r.writes.len()), (i as u64, i as u64, 2, 5));
        assert_eq!(r.writes[4], Write { space: Space::Vmem, address: 1028 + 8 * i as u64, value: 3 });
    }
}

#[test]
fn arguments_and_state_between_runs() {
    let mut golden = Golden::with_limits(tiny(), Limits::open(64, 64));
    let set = |regs| Instr { x: 1, regs: [regs, 0, 0, 0, 0], ..instr(Op::SETC) };
    run(&mut golden, &[set(15), end()]).unwrap();
    assert_eq!(golden.state.constant(Constant::NSink), 7);
    run(&mut golden, &[set(16), end()]).unwrap();
    assert_eq!(golden.state.constant(Constant::NSink), 0);
    // Register 0 stays 0.
    let write = Instr { a: 5, x: 0, ..instr(Op::ADD) };
    run(&mut golden, &[write, set(0), end()]).unwrap();
    assert_eq!(golden.state.constant(Constant::NSink), 0);
}

#[test]
fn control_faults() {
    let loops = vec![Instr { a: 0, n: 1, ..instr(Op::LOOP) }; 5];
    assert_eq!(code(&loops), (FaultCode::Illegal, 4));
    assert_eq!(code(&[instr(Op::FENCE), instr(Op::ENDLOOP)]), (FaultCode::Illegal, 1));
    assert_eq!(code(&[Instr::default()]), (FaultCode::Illegal, 0));
    assert_eq!(code(&[Instr { x: 9, ..instr(Op::SETC) }]), (FaultCode::Illegal, 0));
    assert_eq!(code(&[Instr { x: 32, ..instr(Op::ADD) }]), (FaultCode::Illegal, 0));
    assert_eq!(code(&[instr(Op::FENCE)]), (FaultCode::Program, 1));
    assert_eq!(code(&[]), (FaultCode::Program, 0));
    assert_eq!(code(&vec![end(); tiny().imem + 1]), (FaultCode::Program, 0));
    assert_eq!(code(&[Instr { a: 77, ..instr(Op::LOOP) }]), (FaultCode::Program, 77));
    let forever =
        [Instr { a: 2, n: 9, regs: [0, 0, 0, 1, 0], ..instr(Op::LOOP) }, Instr { n: 65535, ..radd(0, 0) }];
    let endless = [
        Instr { a: u32::MAX, x: 16, ..instr(Op::ADD) },
        Instr { regs: [0, 0, 0, 16, 0], ..instr(Op::LOOP) },
        instr(Op::FENCE),
        instr(Op::ENDLOOP),
    ];
    assert_eq!(code(&forever).0, FaultCode::OnchipRange);
    assert_eq!(code(&endless).0, FaultCode::WorkLimit);
}

#[test]
fn semaphores_in_program_order() {
    let sig = Instr { signal: [3, 3], ..radd(0, 1) };
    let wait = Instr { wait: [3, 3], ..radd(0, 1) };
    let mut golden = Golden::with_limits(tiny(), Limits::open(64, 64));
    run(&mut golden, &[sig, wait, end()]).unwrap();
    assert_eq!(code(&[sig, wait, wait, end()]), (FaultCode::Stall, 2));
    let matrix = Instr { prefetch_wait: 3, wait: [3, 0], ..instr(Op::MATW) };
    run(&mut golden, &[sig, matrix, end()]).unwrap();
    assert_eq!(code(&[wait]), (FaultCode::Stall, 0));
    let many = [Instr { a: 3, n: 128, ..instr(Op::LOOP) }, sig, instr(Op::ENDLOOP), instr(Op::FENCE), end()];
    assert_eq!(code(&many), (FaultCode::Semaphore, 1));
}

#[test]
fn programs_load_from_auxiliary_memory() {
    let program = [radd(0, 1), radd(8, 1), end()];
    let bytes: Vec<u8> = program.iter().flat_map(Instr::encode).collect();
    let mut image = Image::new(2);
    image.put_bytes(Port::Aux, 10, &bytes).unwrap();
    let limits = Limits::open(0, 12);
    assert_eq!(Program::load(tiny(), &limits, &image, 10, 3).unwrap(), Program::from_bytes(&bytes));
    for (address, len) in [(10, 5), (u32::MAX, 1), (0, 513)] {
        let fault = Program::load(tiny(), &limits, &image, address, len).unwrap_err();
        assert_eq!(fault.code, FaultCode::Program);
    }
}

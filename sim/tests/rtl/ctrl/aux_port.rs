//! The auxiliary port: random transfers against the memory's contents, ranges, error responses, a dead memory.

use super::bench::{AUX_BASE, AUX_LIMIT, AUX_WRITE_LOW, Bench, Outcome, VEC};
use accllm_hw::isa::{Instr, Op};
use accllm_hw::regs;
use accllm_sim::memory::{Channel, Fault};
use accllm_sim::verilate::Port;
use std::collections::VecDeque;

fn op(op: Op) -> Instr {
    Instr { op: op as u8, ..Default::default() }
}

/// A run in which the vector unit executes instruction 1 until `release`.
fn running(seed: u64) -> Outcome<Bench> {
    let mut b = Bench::new(seed)?;
    let image: Vec<u8> = (0..64 * AUX_LIMIT).map(|i| ((i * 37) >> 4) as u8).collect();
    b.memory.store_mut().write(AUX_BASE, &image)?;
    b.load(&[op(Op::FENCE), op(Op::LOAD), op(Op::END)])?;
    b.write(regs::CTRL, 1)?;
    b.units[VEC].hold = true;
    while b.units[VEC].log.is_empty() {
        b.clock()?;
    }
    Ok(b)
}

fn beat(b: &Bench, beat: u32) -> Outcome<Vec<u32>> {
    let mut bytes = [0; 64];
    b.memory.store().read(AUX_BASE + 64 * u64::from(beat), &mut bytes)?;
    Ok(bytes.chunks(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect())
}

/// Asks for beats from `request.0` on, `request.1` of them.
fn ask(b: &mut Bench, request: Option<(u32, u32)>, ready: bool) -> Outcome {
    b.set("v_rq_valid", request.is_some().into())?;
    b.set("v_rq_beat", request.map_or(0, |r| r.0.into()))?;
    b.set("v_rq_beats", request.map_or(0, |r| r.1.into()))?;
    b.set("v_rd_ready", ready.into())
}

/// Offers a beat of equal words at `write.0`.
fn offer(b: &mut Bench, data: Port, write: Option<(u32, u32)>) -> Outcome {
    b.set("wq_valid", write.is_some().into())?;
    b.set("wq_beat", write.map_or(0, |w| w.0.into()))?;
    b.m.words_mut(data, 0).fill(write.map_or(0, |w| w.1));
    Ok(())
}

#[test]
fn reads_and_writes_move_what_they_should() -> Outcome {
    for seed in 0..10 {
        let mut b = running(seed)?;
        let (data, wdata) = (b.m.port_shaped("v_rd_data", 512, 1)?, b.m.port_shaped("wq_data", 512, 1)?);
        let mut asked: VecDeque<u32> = VecDeque::new();
        let (mut requests, mut writes, mut got) = (60, 120, 0);
        let (mut request, mut write, mut ready) = (None, None, false);
        let mut written = std::collections::BTreeMap::new();
        for _ in 0..60_000 {
            b.m.fall()?;
            if let Some((at, beats)) = request
                && b.get("v_rq_ready")? == 1
            {
                asked.extend(at..at + beats);
                request = None;
                requests -= 1;
            }
            if ready && b.get("v_rd_valid")? == 1 {
                let at = asked.pop_front().ok_or("a beat that was not asked for")?;
                assert_eq!(b.m.words(data, 0), beat(&b, at)?, "seed {seed}, beat {at}");
                got += 1;
            }
            if let Some((at, value)) = write
                && b.get("wq_ready")? == 1
            {
                written.insert(at, value);
                write = None;
                writes -= 1;
            }
            b.clock()?;
            if request.is_none() && requests > 0 && b.rng.percent(20) {
                let beats = b.rng.range(1, 200) as u32;
                let last = u64::from(AUX_WRITE_LOW - beats);
                request = Some((b.rng.range(0, last) as u32, beats));
            }
            if write.is_none() && writes > 0 && b.rng.percent(30) {
                let at = b.rng.range(AUX_WRITE_LOW.into(), u64::from(AUX_LIMIT) - 1) as u32;
                write = Some((at, b.rng.range(0, u64::from(u32::MAX)) as u32));
            }
            ready = b.rng.percent(80);
            ask(&mut b, request, ready)?;
            offer(&mut b, wdata, write)?;
            if requests == 0 && asked.is_empty() && writes == 0 && b.get("w_idle")? == 1 {
                break;
            }
        }
        let all = requests == 0 && asked.is_empty() && writes == 0 && got > 60;
        assert!(all, "seed {seed}: {requests} {writes} {got}");
        b.m.fall()?;
        assert_eq!(b.get("w_idle")?, 1);
        for (&at, &value) in &written {
            assert_eq!(beat(&b, at)?, [value; 16], "seed {seed}, beat {at}");
        }
        b.units[VEC].hold = false;
        assert_eq!(b.finish(1_000)?, (0, 0, 0));
        assert_eq!(b.read64(regs::AUX_BEATS_READ)?, got + 2);
        assert_eq!(b.read64(regs::AUX_BEATS_WRITTEN)?, 120);
    }
    Ok(())
}

/// Requests once and lets the run end by itself.
fn one(
    seed: u64,
    read: Option<(u32, u32)>,
    write: Option<u32>,
    fault: Option<Fault>,
) -> Outcome<(Bench, (u32, u32, u32))> {
    let mut b = running(seed)?;
    if let Some(f) = fault {
        b.memory.inject(f);
    }
    let (at, beats) = read.unwrap_or_default();
    b.set("v_rq_beat", at.into())?;
    b.set("v_rq_beats", beats.into())?;
    b.set("wq_beat", write.unwrap_or(0).into())?;
    b.set("v_rd_ready", 1)?;
    let (mut asking, mut writing) = (read.is_some(), write.is_some());
    while asking || writing {
        b.set("v_rq_valid", asking.into())?;
        b.set("wq_valid", writing.into())?;
        b.m.fall()?;
        asking &= b.get("v_rq_ready")? == 0;
        writing &= b.get("wq_ready")? == 0;
        b.clock()?;
    }
    b.set("v_rq_valid", 0)?;
    b.set("wq_valid", 0)?;
    let end = b.finish(6_000)?;
    Ok((b, end))
}

#[test]
fn ranges_and_errors_fault_with_the_instruction() -> Outcome {
    let error = || Some(Fault::SlaveError(AUX_BASE + 64 * 800..AUX_BASE + 64 * 802));
    let hang = |channel| Some(Fault::Hang { channel, from_cycle: 0 });
    for seed in 0..4 {
        let mut all = vec![
            (Some((AUX_LIMIT - 3, 4)), None, None, (5, AUX_LIMIT - 3)),
            (Some((u32::MAX, 2)), None, None, (5, u32::MAX)),
            (None, Some(AUX_WRITE_LOW - 1), None, (5, AUX_WRITE_LOW - 1)),
            (None, Some(AUX_LIMIT), None, (5, AUX_LIMIT)),
            (Some((790, 30)), None, error(), (9, 1)),
            (None, Some(801), error(), (9, 2)),
        ];
        for channel in [Channel::Ar, Channel::R] {
            all.push((Some((10, 100)), None, hang(channel), (10, 8)));
        }
        for channel in [Channel::Aw, Channel::W, Channel::B] {
            all.push((None, Some(900), hang(channel), (10, 8)));
        }
        for (read, write, fault, (code, info)) in all {
            let dead = matches!(fault, Some(Fault::Hang { .. }));
            let (mut b, got) = one(seed, read, write, fault.clone())?;
            assert_eq!(got, (code, 1, info), "seed {seed}, {read:?} {write:?} {fault:?}");
            let image = |i: u32| ((i * 37) >> 4) as u8;
            if let (Some(at), 5) = (write, code) {
                let mut byte = [0];
                b.memory.store().read(AUX_BASE + 64 * u64::from(at), &mut byte)?;
                assert!(at >= AUX_LIMIT || byte[0] == image(64 * at), "written outside the range");
            }
            b.units[VEC].hold = false;
            let again = b.run(6_000)?;
            assert_eq!(
                again.0,
                if dead { 10 } else { 0 },
                "seed {seed}, {read:?} {write:?} {fault:?}: {again:?}"
            );
        }
    }
    Ok(())
}

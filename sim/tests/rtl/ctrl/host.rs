//! The host side: registers, strobes, ap_ctrl handshake, interrupt, counters.

use super::bench::{Bench, Outcome, VEC};
use accllm_hw::config::find;
use accllm_hw::isa::{Instr, Op};
use accllm_hw::regs::{self, Access, REGS};
use std::collections::BTreeMap;

fn op(op: Op) -> Instr {
    Instr { op: op as u8, ..Default::default() }
}

#[test]
fn registers_keep_what_was_written() -> Outcome {
    let mut b = Bench::new(3)?;
    assert_eq!(b.read(regs::VERSION)?, 0x0202_0000 | regs::CONTRACT_VERSION);
    let fields = find("tiny")?.params().count() as u32;
    for i in 0..32 {
        // The bench's values, where tests/rtl/config.rs sees the engine's.
        assert_eq!(b.read(regs::CONFIG + 4 * i)?, if i < fields { 1000 + i } else { 0 });
    }
    let mut words = Vec::new();
    for r in REGS.iter().filter(|r| r.access == Access::Rw && r.offset >= 0x10) {
        let count = if r.name == "CHANNEL_BASE" { 2 } else { r.count };
        words.extend((0..count * r.bits / 32).map(|w| r.offset + 4 * w));
    }
    let mut shadow = BTreeMap::new();
    for &w in &words {
        shadow.insert(w, b.read(w)?);
    }
    for _ in 0..400 {
        let w = words[b.rng.range(0, words.len() as u64 - 1) as usize];
        if b.rng.percent(50) {
            assert_eq!(b.read(w)?, shadow[&w], "register {w:#x}");
            continue;
        }
        let (value, strobe) = (b.rng.range(0, u64::from(u32::MAX)) as u32, b.rng.range(0, 15) as u8);
        let mask = (0..4).filter(|i| strobe >> i & 1 == 1).fold(0u32, |m, i| m | 0xff << (8 * i));
        let byte = b.rng.range(0, 3) as u32;
        b.write_strobed(w + byte, value, strobe)?;
        let s = shadow.get_mut(&w).ok_or("no such register")?;
        *s = *s & !mask | value & mask;
    }
    for hole in [0x88, 0x170, 0x17c, 0x198, 0x1fc, 0x300, 0xffc] {
        b.write(hole, u32::MAX)?;
        assert_eq!(b.read(hole)?, 0, "{hole:#x}");
    }
    for r in REGS.iter().filter(|r| r.access == Access::Ro) {
        let before = b.read(r.offset)?;
        b.write(r.offset, !before)?;
        assert_eq!(b.read(r.offset)?, before, "{}", r.name);
    }
    for (w, v) in shadow {
        assert_eq!(b.read(w)?, v, "register {w:#x}");
    }
    Ok(())
}

#[test]
fn start_done_continue_and_interrupt() -> Outcome {
    let mut b = Bench::new(4)?;
    let interrupt = b.m.ports().iter().find(|p| p.name.ends_with("interrupt")).map(|p| p.name.clone());
    let interrupt = interrupt.ok_or("no interrupt")?;
    assert_eq!(b.read(regs::CTRL)?, 4, "idle after reset");
    b.load(&[op(Op::LOAD), op(Op::END)])?;
    b.units[VEC].hold = true;
    b.write(regs::CTRL, 1)?;
    for _ in 0..5 {
        assert_eq!(b.read(regs::CTRL)?, 1, "started, neither idle nor done");
    }
    b.write(regs::CTRL, 1)?;
    let watchdog = b.read(regs::WATCHDOG)?;
    b.write(regs::WATCHDOG, 1)?;
    assert_eq!(b.read(regs::WATCHDOG)?, watchdog, "settings are locked during a run");
    b.units[VEC].hold = false;
    for _ in 0..300 {
        b.clock()?;
    }
    assert_eq!((b.units[VEC].log.len(), b.get(&interrupt)?), (1, 0), "a start during a run is no second one");
    assert_eq!(b.read(regs::CTRL)?, 14, "done, idle, ready");
    assert_eq!(b.read(regs::CTRL)?, 4, "cleared by reading");
    // Chain: continue acknowledges too.
    b.write(regs::CTRL, 1)?;
    for _ in 0..300 {
        b.clock()?;
    }
    b.write(regs::CTRL, 16)?;
    assert_eq!(b.read(regs::CTRL)?, 4);
    // Interrupt.
    b.write(regs::IER, 1)?;
    b.write(regs::CTRL, 1)?;
    for _ in 0..300 {
        b.clock()?;
    }
    assert_eq!((b.read(regs::ISR)?, b.get(&interrupt)?), (1, 0));
    b.write(regs::GIER, 1)?;
    b.clock()?;
    assert_eq!(b.get(&interrupt)?, 1);
    b.write(regs::ISR, 1)?;
    b.clock()?;
    assert_eq!((b.read(regs::ISR)?, b.get(&interrupt)?), (0, 0));
    assert_eq!(b.read(regs::CTRL)?, 14);
    // Done with a restart at once.
    for _ in 0..3 {
        b.write(regs::CTRL, 1)?;
        for _ in 0..300 {
            b.clock()?;
        }
    }
    assert_eq!(b.get(&interrupt)?, 1);
    assert_eq!(b.read(regs::STATUS)?, 0);
    Ok(())
}

#[test]
fn counters_and_results() -> Outcome {
    let mut b = Bench::new(0)?;
    b.load(&[
        op(Op::MATW),
        op(Op::LOAD),
        Instr { wait: [2, 0], ..op(Op::ARGMAX) },
        op(Op::FENCE),
        op(Op::END),
    ])?;
    b.write(regs::CTRL, 1)?;
    for _ in 0..400 {
        b.clock()?;
    }
    b.set("result_valid", 1)?;
    b.set("result_index", 77)?;
    b.set("result_value", 0xffff_fff0)?;
    b.clock()?;
    b.set("result_valid", 0)?;
    assert_eq!(b.finish(5_000)?.0, 10);
    assert_eq!((b.read(regs::RESULT_INDEX)?, b.read(regs::RESULT_VALUE)?), (77, 0xffff_fff0));
    let cycles = b.read64(regs::CYCLES)?;
    let waited = b.read64(regs::VEC_WAIT)?;
    assert!(waited > 1900 && waited < cycles && cycles < 2600, "{waited} {cycles}");
    let idle = b.read64(regs::MAT_IDLE)?;
    assert!(idle > 1900 && idle < cycles, "{idle}");
    assert!(b.read64(regs::VEC_BUSY)? > 0);
    assert_eq!((b.read64(regs::AUX_BEATS_READ)?, b.read64(regs::INSTRUCTIONS)?), (3, 3));
    assert_eq!((b.read64(regs::MAT_DONE)?, b.read64(regs::VEC_DONE)?), (1, 1));
    Ok(())
}

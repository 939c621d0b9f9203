//! Whatever the program, a run ends with a result or a fault.

use super::*;
use crate::memory::Rng;
use accllm_hw::isa::OPS;
use proptest::prelude::*;

fn limits() -> Limits {
    Limits { work: 20_000, write_low: 100, aux_write_low: 90, ..Limits::open(300, 100) }
}

/// A machine full of noise.
fn noise(config: &Config, seed: u64) -> (Golden, Image) {
    let mut rng = Rng::new(seed);
    let mut golden = Golden::with_limits(config, limits());
    golden.state.vmem_mut().iter_mut().for_each(|v| *v = rng.next_u64() as i32);
    golden.state.act_mut().iter_mut().for_each(|v| *v = rng.next_u64() as i8);
    golden.state.score_mut().iter_mut().for_each(|v| *v = rng.next_u64() as i32);
    for s in golden.state.scalars_mut() {
        let bits = rng.next_u64();
        *s = Scalar {
            scale: bits as u16,
            base: (bits >> 16) as i16,
            r: (bits >> 32) as u16,
            k: (bits >> 48) as u8,
            q_sum: bits as i16,
            sum_r: bits as u16,
            sum_k: (bits >> 56) as u8,
        };
    }
    for (i, which) in [128, 4, 32, 64, 32, 2, 128, 5, 64].into_iter().enumerate() {
        golden.state.constants[i] = which;
    }
    (golden, Image::with_fill(config.channels, rng.next_u64() as u32))
}

/// An instruction with legal fields and operands from small to absurd.
fn random(rng: &mut Rng) -> Instr {
    let info = &OPS[rng.range(0, OPS.len() as u64 - 1) as usize];
    let mut number = |max: u64| match rng.range(0, 9) {
        0 => rng.range(0, max),
        1 => max,
        2..=5 => 32 * rng.range(0, 8).min(max / 32),
        _ => rng.range(0, max.min(40)),
    };
    let mut field = |letter: char, max: u64| if info.fields.contains(letter) { number(max) } else { 0 };
    let wide = u64::from(u32::MAX);
    Instr {
        op: info.op as u8,
        flags: field('f', 255) as u8,
        a: field('a', wide) as u32,
        b: field('b', wide) as u32,
        c: field('c', wide) as u32,
        n: field('n', 65535) as u16,
        m: field('m', 65535) as u16,
        k: field('k', 65535) as u16,
        sh: field('h', 255) as u8,
        x: field('x', 255) as u8,
        aux: field('u', wide) as u32,
        regs: [field('a', 31) as u8 & 16, 0, 0, 0, 0],
        ..Default::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn random_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200), seed: u64) {
        let (mut golden, mut image) = noise(tiny(), seed);
        prop_assert!(golden.run(&Program::from_bytes(&bytes), [seed as u32; 15], &mut image, &mut Silent).is_err());
    }

    #[test]
    fn random_instructions_end_and_keep_to_their_map(seed: u64) {
        let mut rng = Rng::new(seed);
        let (mut golden, mut image) = noise(&CONFIGS[(seed % 2) as usize], seed);
        for _ in 0..40 {
            let mut program: Vec<Instr> = (0..12).map(|_| random(&mut rng)).collect();
            program.push(end());
            let mut writes = Vec::new();
            let mut see = |e: Executed| writes.extend(e.writes);
            let args = std::array::from_fn(|_| rng.next_u64() as u32);
            let _ = golden.run(&Program::from_instrs(&program), args, &mut image, &mut see);
            let map = limits();
            for w in writes {
                let beat = (w.address / 64) as u32;
                match w.space {
                    Space::Channel(_) => prop_assert!((map.write_low..map.write_high).contains(&beat)),
                    Space::Aux => prop_assert!((map.aux_write_low..map.aux_write_high).contains(&beat)),
                    _ => {}
                }
            }
        }
    }
}

/// Every case, with one operand bent, still runs or faults; and the limits are just wide enough.
#[test]
fn bent_cases() {
    for op in testgen::ops() {
        for seed in 0..60 {
            let good = case(&CONFIGS[(seed % 2) as usize], op, seed).unwrap();
            good.golden().unwrap();
            let mut rng = Rng::new(seed);
            let mut bent = good.clone();
            bent.limits.work = 1_000_000;
            let extreme = [u32::MAX, 1 << 31, 1 << 16, 65535, 255, 33, 7, 1, 0][rng.range(0, 8) as usize];
            match rng.range(0, 8) {
                0 => bent.instr.a = extreme,
                1 => bent.instr.b = extreme,
                2 => bent.instr.c = extreme,
                3 => bent.instr.n = extreme as u16,
                4 => bent.instr.m = extreme as u16,
                5 => bent.instr.k = extreme as u16,
                6 => bent.instr.aux = extreme,
                7 => bent.instr.x = extreme as u8,
                _ => bent.state.constants[rng.range(0, 8) as usize] = extreme,
            }
            let _ = bent.golden();
        }
    }
}

fn fault(case: &Case) -> FaultCode {
    case.golden().map_or_else(|f| f.code, |_| panic!("no fault: {}", case.describe()))
}

#[test]
fn ranges_fault_with_their_codes() {
    for op in testgen::ops() {
        let good = case(tiny(), op, 11).unwrap();
        let with = |limits| Case { limits, ..good.clone() };
        let reads = Limits { channel_limit: good.limits.channel_limit.saturating_sub(1), ..good.limits };
        let writes = Limits { write_high: 0, ..good.limits };
        let aux = Limits {
            aux_limit: good.limits.aux_limit.saturating_sub(1),
            aux_write_high: good.limits.aux_write_high.saturating_sub(1),
            ..good.limits
        };
        match op {
            Op::MATW | Op::MATK | Op::MATV => assert_eq!(fault(&with(reads)), FaultCode::ReadRange),
            Op::QK | Op::QV => assert_eq!(fault(&with(writes)), FaultCode::WriteRange),
            Op::LOAD | Op::STORE => assert_eq!(fault(&with(aux)), FaultCode::AuxRange),
            _ => {}
        }
        let vector_operand = good.clone();
        let mut out = vector_operand.clone();
        match op {
            Op::MATW | Op::MATV | Op::LOAD | Op::EMBED => out.instr.c = 1 << 31,
            Op::MATK => out.instr.c = 1 << 20,
            _ => out.instr.a = !31,
        }
        if op != Op::SOFTMAX {
            assert_eq!(fault(&out), FaultCode::OnchipRange, "{op:?}");
            let mut odd = vector_operand;
            match op {
                Op::MATW | Op::MATV | Op::LOAD | Op::EMBED | Op::MATK => odd.instr.c += 1,
                _ => odd.instr.a += 1,
            }
            assert_eq!(fault(&odd), FaultCode::OnchipRange, "{op:?}");
        }
    }
    let mut token = case(tiny(), Op::EMBED, 3).unwrap();
    token.state.vmem_mut()[token.instr.b as usize] = token.instr.aux as i32;
    assert_eq!(fault(&token), FaultCode::AuxRange);
    token.state.vmem_mut()[token.instr.b as usize] = -1;
    assert_eq!(fault(&token), FaultCode::AuxRange);
    let mut format = case(tiny(), Op::MATW, 3).unwrap();
    format.instr.flags |= 3;
    assert_eq!(fault(&format), FaultCode::Illegal);
}

#[test]
fn messages_say_what_and_where() {
    let mut odd = case(tiny(), Op::RADD, 1).unwrap();
    odd.instr.a += 3;
    let message = odd.golden().unwrap_err().to_string();
    assert!(message.starts_with("ONCHIP_RANGE at instruction 0: RADD source a at vmem[0x"), "{message}");
    assert!(message.ends_with("is not aligned to 8 elements"), "{message}");
}

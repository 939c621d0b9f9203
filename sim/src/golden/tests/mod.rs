mod attention;
mod control;
mod heads;
mod hostile;
mod matrix;
mod rows;

use super::testgen::{Case, case};
use super::*;
use accllm_hw::config::{CONFIGS, Config};
use accllm_hw::isa::{Instr, Op};
use std::collections::BTreeMap;

/// Elements expected or found: address to value.
type Expected = BTreeMap<(Space, u64), i32>;

fn tiny() -> &'static Config {
    &CONFIGS[0]
}

fn instr(op: Op) -> Instr {
    Instr { op: op as u8, ..Default::default() }
}

fn end() -> Instr {
    instr(Op::END)
}

/// `floor(x / 2^s + 1/2)`, by division.
fn round(x: i128, s: u8) -> i128 {
    let d = 1i128 << s;
    (2 * x + d).div_euclid(2 * d)
}

fn clamp(x: i128, low: i64, high: i64) -> i32 {
    x.clamp(low.into(), high.into()) as i32
}

fn found(record: &Executed) -> Expected {
    let map: Expected = record.writes.iter().map(|w| ((w.space, w.address), w.value)).collect();
    assert_eq!(map.len(), record.writes.len(), "an element was written twice");
    map
}

/// Runs cases of `op` on every configuration against `expect`.
fn check(op: Op, seeds: u64, expect: impl Fn(&Case) -> Expected) {
    for config in CONFIGS.iter() {
        let seeds = if &*config.name == "u280" { seeds / 4 } else { seeds };
        for seed in 0..seeds {
            let case = case(config, op, seed).unwrap();
            let (golden, image, record) =
                case.golden().unwrap_or_else(|f| panic!("{f}\n{}", case.describe()));
            let (want, got) = (expect(&case), found(&record));
            for (at, v) in &want {
                assert_eq!(got.get(at), Some(v), "{at:?}, seed {seed}, {}", case.describe());
            }
            assert_eq!(got.len(), want.len(), "seed {seed}, {}", case.describe());
            // The record is the whole change of state.
            let (mut state, mut memory) = (case.state.clone(), case.image.clone());
            record.writes.iter().for_each(|w| apply(&mut state, &mut memory, config, w));
            assert!(state == golden.state && memory == image, "{}", case.describe());
        }
    }
}

fn apply(state: &mut State, image: &mut Image, config: &Config, w: &Write) {
    let at = w.address as usize;
    let byte = |image: &mut Image, port| {
        image.write(port, w.address / 64, &[w.value as u8; 64], 1 << (at % 64)).unwrap();
    };
    match w.space {
        Space::Vmem => state.vmem_mut()[at] = w.value,
        Space::Act(lane) => {
            state.act_mut()[(at / 256 * config.lanes + usize::from(lane)) * 256 + at % 256] = w.value as i8;
        }
        Space::Exponent(lane) => state.exponents_mut()[at * config.lanes + usize::from(lane)] = w.value as u8,
        Space::Score(lane) => state.score_mut()[at * config.lanes + usize::from(lane)] = w.value,
        Space::Scalar(field) => {
            let s = &mut state.scalars_mut()[at];
            match field {
                Field::Scale => s.scale = w.value as u16,
                Field::Base => s.base = w.value as i16,
                Field::R => s.r = w.value as u16,
                Field::K => s.k = w.value as u8,
                Field::QSum => s.q_sum = w.value as i16,
                Field::SumR => s.sum_r = w.value as u16,
                Field::SumK => s.sum_k = w.value as u8,
            }
        }
        Space::Result => {
            let (index, value) = state.result();
            if at == 0 { state.set_result(w.value as u32, value) } else { state.set_result(index, w.value) }
        }
        Space::Channel(c) => byte(image, Port::Channel(c.into())),
        Space::Aux => byte(image, Port::Aux),
    }
}

/// Element of vector memory before the instruction.
fn vmem(case: &Case, base: u32, i: usize) -> i128 {
    case.state.vmem()[base as usize + i].into()
}

/// Where column `col` of lane row `row` of an activation matrix is.
fn act(case: &Case, base: u32, x: u8, row: usize, col: usize) -> (Space, u64) {
    let lanes = case.config.lanes;
    let word = base as usize + col / 256 * usize::from(x) + row / lanes;
    (Space::Act((row % lanes) as u8), (word * 256 + col % 256) as u64)
}

/// Adds an activation, and the exponent with a column 0.
fn put_act(out: &mut Expected, at: (Space, u64), value: i32, exponent: i32) {
    match at {
        (Space::Act(lane), a) if a % 256 == 0 => {
            out.insert((Space::Exponent(lane), a / 256), exponent);
        }
        _ => {}
    }
    out.insert(at, value);
}

/// Adds codes from column `first` on, and zeros up to a multiple of 32; and an exponent with each column 0.
fn put_codes(out: &mut Expected, case: &Case, row: usize, first: usize, codes: &[i32], exponent: i32) {
    let i = case.instr;
    for j in 0..codes.len().div_ceil(32) * 32 {
        put_act(out, act(case, i.c, i.x, row, first + j), codes.get(j).copied().unwrap_or(0), exponent);
    }
}

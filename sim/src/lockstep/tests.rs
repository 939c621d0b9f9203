use super::*;
use crate::golden::testgen::{Case, case, ops};
use crate::golden::{Executed, Field, Image, Memory, Port, Space, Write};
use crate::memory::{POISON, Store};
use accllm_hw::config::CONFIGS;
use accllm_hw::isa::{Op, Unit};

fn record(seq: u64, unit: Unit, unit_seq: u64, op: Op, writes: &[(u64, i32)]) -> Executed {
    let writes =
        writes.iter().map(|&(address, value)| Write { space: Space::Vmem, address, value }).collect();
    Executed { seq, unit, unit_seq, pc: 10 + seq as u32, op, loop_counters: [3, 0, 0, 0], writes }
}

fn write(l: &mut Lockstep, unit: Unit, unit_seq: u64, address: u64, data: &[i32], mask: u128) {
    l.event(&Event { unit, unit_seq, space: Space::Vmem, address, mask, data });
}

/// One vector instruction of elements 8, 9, 10 = 1, 2, 3 against these events.
fn one(events: &[(u64, &[i32], u128)]) -> Report {
    let expect = || record(0, Unit::Vector, 0, Op::RADD, &[(8, 1), (9, 2), (10, 3)]);
    let mut reports = Vec::new();
    for golden_first in [true, false] {
        let mut l = Lockstep::new();
        if golden_first {
            l.expect(expect());
        }
        for &(address, data, mask) in events {
            write(&mut l, Unit::Vector, 0, address, data, mask);
        }
        l.end(Unit::Vector, 0);
        if !golden_first {
            l.expect(expect());
        }
        reports.push(l.finish());
    }
    assert_eq!(reports[0], reports[1]);
    reports[0]
}

#[test]
fn equal_in_any_order() {
    let whole = one(&[(8, &[1, 2, 3, 99], 7)]);
    assert_eq!(whole, Report { tensors: 1, elements: 3, different: 0, difference: None });
    assert_eq!(one(&[(10, &[3], 1), (8, &[1, 2], 3)]), whole);
    assert_eq!(one(&[(6, &[0, 0, 0, 2], 8), (8, &[1, 0, 3], 5)]), whole);
}

#[test]
fn each_kind_of_difference() {
    let kind = |events: &[(u64, &[i32], u128)]| one(events).difference.map(|d| (d.address, d.kind));
    assert_eq!(kind(&[(8, &[1, 5, 3], 7)]), Some((9, Kind::Wrong { expected: 2, got: 5 })));
    assert_eq!(kind(&[(8, &[1, 5, 3], 5)]), Some((9, Kind::Missing { expected: 2 })));
    assert_eq!(kind(&[(8, &[1, 2, 3], 7), (8, &[1], 1)]), Some((8, Kind::Again { got: 1 })));
    assert_eq!(kind(&[(8, &[1, 2, 3, 0], 15)]), Some((11, Kind::Unexpected { got: 0 })));
    assert_eq!(kind(&[]), Some((8, Kind::Missing { expected: 1 })));
}

#[test]
fn the_first_difference_is_by_program_not_by_time() {
    let mut l = Lockstep::new();
    l.expect(record(0, Unit::Vector, 0, Op::RADD, &[(0, 1)]));
    l.expect(record(1, Unit::Matrix, 0, Op::MATW, &[(8, 7), (0x1234, 18)]));
    l.expect(record(2, Unit::Vector, 1, Op::RADD, &[(0, 2)]));
    write(&mut l, Unit::Vector, 0, 0, &[1], 1);
    l.end(Unit::Vector, 0);
    write(&mut l, Unit::Vector, 1, 0, &[-2], 1);
    assert_eq!(l.difference().map(|d| d.unit_seq), Some(1));
    write(&mut l, Unit::Matrix, 0, 0x1234, &[17], 1);
    write(&mut l, Unit::Matrix, 0, 8, &[7], 1);
    let report = l.finish();
    assert_eq!((report.tensors, report.elements), (3, 4));
    let d = report.difference.unwrap();
    let place = |i: &Instruction, space: Space, address: u64| {
        assert_eq!((i.pc, i.loop_counters[0], space), (11, 3, Space::Vmem));
        (address == 0x1234).then(|| Place {
            layer: Some(i.loop_counters[0] - 1),
            tensor: "q".into(),
            token: Some(5),
            row: Some(113),
            element: None,
        })
    };
    assert_eq!(
        d.message(&place),
        "layer 2, q, token 5, row 113: RTL 17, golden 18 (instruction 11 MATW, loops [3, 0, 0, 0], vmem[0x1234])"
    );
    assert!(d.message(&Nowhere).starts_with("element of no known tensor: RTL 17, golden 18"));
}

#[test]
fn instructions_that_only_one_side_ran() {
    let mut l = Lockstep::new();
    write(&mut l, Unit::Matrix, 4, 8, &[5], 1);
    l.end(Unit::Matrix, 4);
    let d = l.finish().difference.unwrap();
    assert_eq!((d.instruction, d.kind), (None, Kind::Unexpected { got: 5 }));
    assert!(d.message(&Nowhere).contains("instruction number 4, which golden never ran"));

    let mut l = Lockstep::new();
    l.expect(record(0, Unit::Vector, 0, Op::RADD, &[(8, 1)]));
    assert_eq!(l.finish().difference.map(|d| d.kind), Some(Kind::Missing { expected: 1 }));
}

#[test]
fn writes_after_the_end_are_found() {
    let mut l = Lockstep::new();
    l.expect(record(0, Unit::Vector, 0, Op::RADD, &[(8, 1)]));
    write(&mut l, Unit::Vector, 0, 8, &[1], 1);
    l.end(Unit::Vector, 0);
    write(&mut l, Unit::Vector, 0, 8, &[1], 1);
    assert_eq!(l.finish().difference.map(|d| d.kind), Some(Kind::Unexpected { got: 1 }));
}

/// Feeds a case's own record as events of single elements, backwards, through `change`.
fn replay(case: &Case, change: impl Fn(&mut Vec<Write>)) -> Report {
    let (_, _, record) = case.golden().unwrap();
    let mut l = Lockstep::new();
    l.expect(record.clone());
    let mut writes = record.writes.clone();
    change(&mut writes);
    for w in writes.iter().rev() {
        l.event(&Event {
            unit: record.unit,
            unit_seq: 0,
            space: w.space,
            address: w.address,
            mask: 1,
            data: &[w.value],
        });
    }
    l.end(record.unit, 0);
    l.finish()
}

#[test]
fn every_instruction_compares_with_itself_and_not_with_a_changed_one() {
    for op in ops() {
        for seed in 0..4 {
            let case = case(&CONFIGS[1], op, seed).unwrap();
            let report = replay(&case, |_| {});
            assert_eq!((report.tensors, report.difference), (1, None), "{}", case.describe());
            let middle = |w: &[Write]| w.len() / 2;
            let wrong = replay(&case, |w| {
                let i = middle(w);
                w[i].value ^= 1;
            });
            assert!(matches!(wrong.difference.map(|d| d.kind), Some(Kind::Wrong { .. })));
            let lost = replay(&case, |w| {
                w.remove(middle(w));
            });
            assert!(matches!(lost.difference.map(|d| d.kind), Some(Kind::Missing { .. })));
        }
    }
}

#[test]
fn memories() {
    let mut golden = Image::with_fill(2, 0xaabb_ccdd);
    golden.put(Port::Channel(1), 300, &[[7; 64]; 9]).unwrap();
    let mut rtl = golden.clone();
    assert_eq!(compare_beats(&golden, &rtl, Port::Channel(1), 0..1000), Ok(None));
    rtl.write(Port::Channel(1), 511, &[1; 64], 0b1100).unwrap();
    assert_eq!(compare_beats(&golden, &rtl, Port::Channel(1), 0..511), Ok(None));
    let d = compare_beats(&golden, &rtl, Port::Channel(1), 0..1000).unwrap().unwrap();
    assert_eq!((d.beat, d.byte, d.expected, d.got, d.bytes), (511, 2, 0xbb, 1, 2));
    assert_eq!(
        d.to_string(),
        "channel 1, beat 511, byte 2: RTL 0x01, golden 0xbb (2 bytes of the beat differ)"
    );
    assert!(compare_beats(&golden, &rtl, Port::Channel(2), 0..1).is_err());
}

#[test]
fn an_image_and_its_store() {
    let mut golden = Image::with_fill(1, POISON);
    golden.put(Port::Channel(0), 300, &[[7; 64]; 2]).unwrap();
    let (port, base) = (Port::Channel(0), 1 << 16);
    let mut store = Store::new(1 << 20).unwrap();
    golden.copy_to(port, &mut store, base).unwrap();
    assert_eq!(compare_store(&golden, &store, base, port, 0..2000), Ok(None));
    store.write(base + 700 * 64 + 9, &[1]).unwrap();
    let d = compare_store(&golden, &store, base, port, 0..2000).unwrap().unwrap();
    assert_eq!((d.beat, d.byte, d.expected, d.got, d.bytes), (700, 9, 0x0f, 1, 1));
    assert!(compare_store(&golden, &store, base, port, 0..20_000).is_ok());
    assert!(compare_store(&golden, &store, 1 << 30, port, 0..1).is_err());
    assert!(golden.copy_to(port, &mut store, 1 << 30).is_err());
}

#[test]
fn addresses_are_given_in_the_units_of_their_memory() {
    for (space, address, text) in [
        (Space::Act(1), 0x1203, "act.lane1[0x12] column 3"),
        (Space::Channel(9), 130, "channel9[beat 2] byte 2"),
        (Space::Scalar(Field::SumR), 12, "scalar.sumr[12]"),
    ] {
        let kind = Kind::Missing { expected: 1 };
        let d = Difference { unit: Unit::Vector, unit_seq: 0, instruction: None, space, address, kind };
        assert!(d.message(&Nowhere).contains(text), "{}", d.message(&Nowhere));
    }
}

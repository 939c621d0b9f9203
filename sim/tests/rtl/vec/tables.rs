//! The function tables of the design against those of the contract, over whole argument ranges.

use super::bench::Outcome;
use accllm_hw::tables::{Recip, Rsqrt, exp2_neg, recip, rsqrt, sigmoid};
use accllm_sim::memory::Rng;
use accllm_sim::verilate::{Model, OptLevel, VerilateSpec};

fn model() -> Outcome<Model> {
    let names = [
        "pkg/accllm_tables_pkg",
        "vec/vec_sigmoid",
        "vec/vec_exp2",
        "vec/vec_leading",
        "vec/vec_recip",
        "vec/vec_rsqrt",
        "tb/tb_tables",
    ];
    let sources = names.iter().map(|n| format!("hw/rtl/{n}.sv"));
    let sources = std::iter::once("hw/rtl/lint.vlt".to_owned()).chain(sources);
    let mut m = VerilateSpec::new("tb_tables", sources).opt(OptLevel::Quick).build()?;
    let (rst, en) = (m.port("rst")?, m.port("en")?);
    m.set_u64(rst, 1);
    m.cycle()?;
    m.set_u64(rst, 0);
    m.set_u64(en, 1);
    Ok(m)
}

#[test]
fn sigmoid_everywhere() -> Outcome {
    let mut m = model()?;
    let (x, y) = (m.port("sigmoid_x")?, m.port("sigmoid_y")?);
    let latency = 4;
    let far = [65_536, 65_537, (1 << 23) - 1, 1 << 23, i32::MAX, i32::MIN, i32::MIN + 1];
    for g in (-66_000..66_000).chain(far) {
        m.set_u64(x, g as u32 as u64);
        m.cycles(latency)?;
        let a = g.unsigned_abs();
        let s = if a >= 65_536 { 32_768 } else { sigmoid(a) };
        assert_eq!(m.get_u64(y), u64::from(if g < 0 { 32_768 - s } else { s }), "{g}");
    }
    Ok(())
}

#[test]
fn exp2_everywhere() -> Outcome {
    let mut m = model()?;
    let (top, x, wide) = (m.port("exp2_top")?, m.port("exp2_x")?, m.port("exp2_wide")?);
    let latency = 3;
    let (visible, p) = (m.port("exp2_visible")?, m.port("exp2_p")?);
    let prob = |d: i64, wide| accllm_hw::fixed::prob(0, d.min(i64::from(i32::MAX)) as i32, wide) as u64;
    for v in (0..70_000i64).chain([1 << 31, (1 << 31) + 5, (1 << 32) - 1]) {
        // The difference of two numbers of 32 bits: at most 2^32 - 1.
        let high = v.min(i64::from(i32::MAX));
        m.set_u64(top, high as u32 as u64);
        m.set_u64(x, (high - v) as u32 as u64);
        for on in [true, false] {
            m.set_u64(wide, on.into());
            m.set_u64(visible, 1);
            m.cycles(latency)?;
            assert_eq!(m.get_u64(p), prob(v, on), "{v}");
        }
        m.set_u64(visible, 0);
        m.cycles(latency)?;
        assert_eq!(m.get_u64(p), 0, "{v}");
    }
    assert_eq!(prob(4095, true), u64::from(exp2_neg(4095)));
    Ok(())
}

#[test]
fn reciprocals_everywhere() -> Outcome {
    let mut m = model()?;
    let (s, q) = (m.port("recip_s")?, m.port("rsqrt_s")?);
    let (valid, r, k) = (m.port("recip_valid")?, m.port("recip_r")?, m.port("recip_k")?);
    let (root_valid, root_r, root_e) = (m.port("rsqrt_valid")?, m.port("rsqrt_r")?, m.port("rsqrt_e")?);
    let mut rng = Rng::new(5);
    // Every mantissa of the tables at several exponents, every small number, and random ones of every length.
    let mut cases: Vec<(u32, u64)> = (0..200_000u32).map(|i| (i, i.into())).collect();
    cases.extend((1u64 << 14..1 << 16).flat_map(|v| {
        let low = (v * 0x9e37_79b9) & 0xffff;
        [(((v << 16) | low) as u32, (v << 47) | low), ((v << 9) as u32, v << 20), (v as u32, v << 33)]
    }));
    cases.extend((0..200_000).map(|i| (rng.next_u64() as u32 >> (i % 32), rng.next_u64() >> (i % 64))));
    cases.extend([(u32::MAX, u64::MAX), (1 << 31, 1 << 63), (0, 0), (1, 1)]);
    // A reciprocal is there five cycles after its argument, a root six.
    for (i, now) in cases.iter().enumerate() {
        m.set_u64(s, now.0.into());
        m.set_u64(q, now.1);
        m.cycle()?;
        if i >= 5 {
            let (old, root) = (cases[i - 4].0, cases[i - 5].1);
            assert_eq!((m.get_u64(valid), m.get_u64(root_valid)), (1, 1));
            let Recip { r: want_r, k: want_k } = recip(old);
            assert_eq!((m.get_u64(r), m.get_u64(k)), (want_r.into(), want_k.into()), "recip {old}");
            let Rsqrt { r: want_r, e: want_e } = rsqrt(root);
            assert_eq!(
                (m.get_u64(root_r), m.get_u64(root_e)),
                (want_r.into(), want_e.into()),
                "rsqrt {root}"
            );
        }
    }
    Ok(())
}

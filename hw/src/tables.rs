//! The four function tables of `docs/numerics.md` §2, computed from f64 once.
//!
//! Each entry is the value at the start of a segment and the magnitude of the step to the next one; evaluation
//! interpolates linearly in integers.

use std::sync::LazyLock;

/// One table: values at segment starts and absolute differences to the next start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Name used in generated files.
    pub name: &'static str,
    /// Value at the start of each segment (16 bits unsigned).
    pub value: Vec<u16>,
    /// |value at the next start - value at this start| (at most 12 bits).
    pub delta: Vec<u16>,
}

impl Table {
    fn build(name: &'static str, segments: usize, f: impl Fn(f64) -> f64) -> Self {
        let at = |i: usize| f(i as f64 / segments as f64).round() as i64;
        let value = (0..segments).map(|i| at(i) as u16).collect();
        let delta = (0..segments).map(|i| (at(i + 1) - at(i)).unsigned_abs() as u16).collect();
        Self { name, value, delta }
    }

    /// Value and, in the upper half, difference of segment `i`.
    pub fn word(&self, i: usize) -> u32 {
        u32::from(self.value[i]) | u32::from(self.delta[i]) << 16
    }
}

/// 2^15 / sqrt(m), m from 1 to 4 over the table.
pub static RSQRT: LazyLock<Table> =
    LazyLock::new(|| Table::build("rsqrt", 384, |t| 32768.0 / (1.0 + 3.0 * t).sqrt()));
/// 2^15 / m, m from 1 to 2.
pub static RECIP: LazyLock<Table> = LazyLock::new(|| Table::build("recip", 128, |t| 32768.0 / (1.0 + t)));
/// 32639 * 2^-f, f from 0 to 1.
pub static EXP2: LazyLock<Table> = LazyLock::new(|| Table::build("exp2", 64, |t| 32639.0 * (-t).exp2()));
/// 2^15 / (1 + e^-a), a from 0 to 16.
pub static SIGMOID: LazyLock<Table> =
    LazyLock::new(|| Table::build("sigmoid", 512, |t| 32768.0 / (1.0 + (-16.0 * t).exp())));

/// All tables, in the order in which generated files list them.
pub fn all() -> [&'static Table; 4] {
    [&RSQRT, &RECIP, &EXP2, &SIGMOID]
}

fn minus(t: &Table, i: usize, low: u32, bits: u32) -> u32 {
    u32::from(t.value[i]) - ((u32::from(t.delta[i]) * low) >> bits)
}

/// A reciprocal square root: `1/sqrt(ss) ≈ r * 2^-15 * 2^-e`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rsqrt {
    /// Mantissa, 16384..=32768.
    pub r: u16,
    /// Exponent, 0..=31.
    pub e: u32,
}

/// A reciprocal: `1/s ≈ r * 2^-15 * 2^-k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recip {
    /// Mantissa, 16384..=32768.
    pub r: u16,
    /// Exponent, 0..=31.
    pub k: u32,
}

/// Reciprocal square root of `ss` (1 ≤ ss < 2^63). `ss` = 0 counts as 1.
pub fn rsqrt(ss: u64) -> Rsqrt {
    let ss = ss.max(1);
    let k = ss.ilog2() & !1;
    let m = if k >= 14 { ss >> (k - 14) } else { ss << (14 - k) } as u32;
    let m = m - (1 << 14);
    Rsqrt { r: minus(&RSQRT, (m >> 7) as usize, m & 127, 7) as u16, e: k / 2 }
}

/// Reciprocal of `s` (1 ≤ s < 2^32). `s` = 0 counts as 1.
pub fn recip(s: u32) -> Recip {
    let s = s.max(1);
    let k = s.ilog2();
    let m = if k >= 15 { s >> (k - 15) } else { s << (15 - k) };
    let m = m - (1 << 15);
    Recip { r: minus(&RECIP, (m >> 8) as usize, m & 255, 8) as u16, k }
}

/// 32639 * 2^(-f/4096) for f in 0..4096.
pub fn exp2_neg(f: u32) -> u32 {
    let f = f & 4095;
    minus(&EXP2, (f >> 6) as usize, f & 63, 6)
}

/// 2^15 * sigmoid(a / 4096) for a in 0..65536.
pub fn sigmoid(a: u32) -> u32 {
    let a = a & 65535;
    let (i, low) = ((a >> 7) as usize, a & 127);
    u32::from(SIGMOID.value[i]) + ((u32::from(SIGMOID.delta[i]) * low) >> 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_error_against_f64_over_the_whole_range() {
        let rsqrt_err = (1u64 << 14..1 << 16)
            .map(|m| {
                let Rsqrt { r, e } = rsqrt(m);
                let exact = 1.0 / (m as f64).sqrt();
                (f64::from(r) * 2f64.powi(-15 - e as i32) / exact - 1.0).abs()
            })
            .fold(0.0, f64::max);
        let recip_err = (1u32 << 15..1 << 16)
            .map(|m| {
                let Recip { r, k } = recip(m);
                (f64::from(r) * 2f64.powi(-15 - k as i32) * f64::from(m) - 1.0).abs()
            })
            .fold(0.0, f64::max);
        let exp_err = (0..4096u32)
            .map(|f| (f64::from(exp2_neg(f)) / 32639.0 - (-f64::from(f) / 4096.0).exp2()).abs())
            .fold(0.0, f64::max);
        let sig_err = (0..65536u32)
            .map(|a| (f64::from(sigmoid(a)) / 32768.0 - 1.0 / (1.0 + (-f64::from(a) / 4096.0).exp())).abs())
            .fold(0.0, f64::max);
        println!(
            "largest error: rsqrt {rsqrt_err:.2e} relative, recip {recip_err:.2e} relative, exp2 {exp_err:.2e} of full scale, sigmoid {sig_err:.2e} absolute"
        );
        assert!(rsqrt_err < 1.0e-4 && recip_err < 1.0e-4 && exp_err < 6e-5 && sig_err < 6e-5);
    }

    #[test]
    fn extreme_arguments() {
        assert_eq!(rsqrt(1), Rsqrt { r: 32768, e: 0 });
        assert_eq!(rsqrt(1 << 62), Rsqrt { r: 32768, e: 31 });
        assert_eq!(recip(1), Recip { r: 32768, k: 0 });
        assert_eq!(recip(u32::MAX).k, 31);
        for s in 1..70_000u32 {
            let Recip { r, .. } = recip(s);
            assert!((16384..=32768).contains(&r));
        }
    }

    #[test]
    fn tables_are_monotonic_at_segment_ends() {
        assert!((1..4096).all(|f| exp2_neg(f) <= exp2_neg(f - 1)));
        assert!((1..65536).all(|a| sigmoid(a) >= sigmoid(a - 1)));
    }
}

//! Real factors as integer multiplier and shift.

use accllm_llm::{Error, Result};

/// `m * 2^-shift` nearest to `value`, with `m` below 2^16 and as large as `max_shift` allows; `what` names
/// the factor in errors. Zero gives (0, 0).
pub(super) fn factor(value: f64, max_shift: u8, what: &str) -> Result<(u16, u8)> {
    if value == 0.0 {
        return Ok((0, 0));
    }
    if !(value.is_finite() && value > 0.0 && value <= 65535.0) {
        return Err(Error::Argument(format!(
            "{what} would be {value}; the engine holds 0 to 65535 (the checkpoint's ranges are extreme)"
        )));
    }
    let mut shift = (15 - value.log2().floor() as i64).clamp(0, i64::from(max_shift));
    let mut m = (value * (shift as f64).exp2()).round();
    if m > 65535.0 {
        shift -= 1;
        m = (value * (shift as f64).exp2()).round();
    }
    if m < 1.0 {
        return Err(Error::Argument(format!(
            "{what} would be {value:e}, too small for a shift of {max_shift}"
        )));
    }
    Ok((m as u16, shift as u8))
}

/// `g[i] * 2^-shift` nearest to `values`, with one shift of at most `max_shift` for all.
pub(super) fn vector(values: &[f64], max_shift: u8, what: &str) -> Result<(Vec<i16>, u8)> {
    let largest = values.iter().map(|v| v.abs()).fold(0.0, f64::max);
    if !largest.is_finite() || largest > 32767.0 {
        return Err(Error::Argument(format!(
            "{what} would reach {largest}; the engine holds up to 32767 (the checkpoint's ranges are extreme)"
        )));
    }
    if largest == 0.0 {
        return Ok((vec![0; values.len()], 0));
    }
    let shift = (32767.0 / largest).log2().floor().clamp(0.0, f64::from(max_shift));
    let g = values.iter().map(|v| (v * shift.exp2()).round().clamp(-32768.0, 32767.0) as i16);
    Ok((g.collect(), shift as u8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn factors_are_exact_to_16_bits(log in -40.0f64..15.9) {
            let value = log.exp2();
            let (m, s) = factor(value, 63, "x").map_err(|e| TestCaseError::fail(e.to_string()))?;
            let back = f64::from(m) / f64::from(s).exp2();
            prop_assert!((back / value - 1.0).abs() <= 2f64.powi(-16), "{value} became {back}");
        }
    }

    #[test]
    fn factors_out_of_range_are_refused() {
        for bad in [f64::NAN, f64::INFINITY, -1.0, 65536.0, 1e-30] {
            assert!(factor(bad, 47, "zm").is_err(), "{bad}");
        }
    }

    #[test]
    fn vectors_keep_their_sign_and_fit() -> Result<()> {
        let (g, s) = vector(&[0.5, -1.0, 0.0], 47, "g")?;
        assert_eq!((g, s), (vec![8192, -16384, 0], 14));
        Ok(())
    }
}

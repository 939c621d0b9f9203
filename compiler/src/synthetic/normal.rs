//! Normal distribution by table.

use super::rng::Rng;
use std::sync::LazyLock;

/// Entries.
const N: usize = 4096;
/// Value of one standard deviation.
pub(super) const SIGMA: u16 = 4096;

/// Magnitudes of a normal variable at the middles of `N` equally likely ranges, ascending.
static MAGNITUDE: LazyLock<[u16; N]> = LazyLock::new(|| {
    const STEPS: usize = 1 << 13;
    let density = |i: usize| {
        let x = (i as f64 + 0.5) / STEPS as f64;
        (-x * x / 2.0).exp() * (2.0 / std::f64::consts::PI).sqrt() / STEPS as f64
    };
    let (mut step, mut below) = (0, 0.0);
    std::array::from_fn(|i| {
        let want = (i as f64 + 0.5) / N as f64;
        while below < want && step < 8 * STEPS {
            below += density(step);
            step += 1;
        }
        (step as f64 / STEPS as f64 * f64::from(SIGMA)).round() as u16
    })
});

/// Four values in units of `SIGMA`.
pub(super) struct Four {
    pub value: [i32; 4],
    /// Order of their magnitudes.
    pub rank: [i32; 4],
}

/// Draws values.
pub(super) struct Normal {
    table: &'static [u16; N],
}

impl Normal {
    pub(super) fn new() -> Self {
        Self { table: &MAGNITUDE }
    }

    /// The middle of the `i`-th of `n` equally likely ranges.
    pub(super) fn quantile(&self, i: usize, n: usize) -> i32 {
        let half = n / 2;
        let magnitude = |i: usize| i32::from(self.table[(2 * i + 1) * N / n]);
        if i < half { -magnitude(half - 1 - i) } else { magnitude(i - half) }
    }

    #[inline]
    pub(super) fn four(&self, rng: &mut Rng) -> Four {
        let bits = rng.next();
        let rank = std::array::from_fn(|i| (bits >> (12 * i)) as i32 & (N as i32 - 1));
        let value = std::array::from_fn(|i| {
            let (magnitude, sign) =
                (i32::from(self.table[rank[i] as usize]), -((bits >> (48 + i)) as i32 & 1));
            (magnitude ^ sign).wrapping_sub(sign)
        });
        Four { value, rank }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_a_normal_distribution() {
        let (normal, mut rng) = (Normal::new(), Rng::of(7, &[]));
        let values: Vec<f64> = (0..250_000)
            .flat_map(|_| normal.four(&mut rng).value)
            .map(|v| f64::from(v) / f64::from(SIGMA))
            .collect();
        let moment = |n: i32| values.iter().map(|v| v.powi(n)).sum::<f64>() / values.len() as f64;
        let found = [moment(1), moment(2), moment(3), moment(4)];
        for (found, want) in found.into_iter().zip([0.0, 1.0, 0.0, 3.0]) {
            assert!((found - want).abs() < 0.02, "{found} for {want}");
        }
    }
}

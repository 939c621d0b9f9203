//! splitmix64, and seeds for parts of a whole.

/// A stream of random numbers.
pub(super) struct Rng(u64);

fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Rng {
    /// The stream of one part, named by `path`: the same whatever other parts are made, and in which order.
    pub(super) fn of(seed: u64, path: &[u64]) -> Self {
        Self(path.iter().fold(mix(seed), |s, &p| mix(s ^ mix(p.wrapping_add(0x9e37_79b9_7f4a_7c15)))))
    }

    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in `low..=high`.
    pub(super) fn range(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }
}

//! Random configurations, for tests: the rules hold for more than the three that are built in.

use super::{CONFIGS, Config, FIELDS, Name};

/// A sequence of pseudo-random numbers (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014).
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `n`, which is at least 1.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(z ^ z >> 31) * n as u128) >> 64) as usize
    }
}

/// Any values, legal or not: most of them close to the rules' edges.
pub fn any(seed: u64) -> Config {
    let mut numbers = Numbers::new(seed);
    // From a legal one, so that a wrong value is seldom hidden by another.
    let mut config = legal(seed);
    for _ in 0..=numbers.below(2) {
        let mut values = config.values();
        let at = numbers.below(FIELDS.len());
        let v = values[at];
        values[at] = match numbers.below(16) {
            0 => 0,
            1 => v + 1,
            2 => v.saturating_sub(1),
            3 => FIELDS[at].rule.most,
            4 => 2 * FIELDS[at].rule.most,
            5 => FIELDS[at].rule.least / 2,
            6..=10 => 2 * v,
            _ => v / 2,
        };
        config = config.with_values(values);
    }
    config
}

/// A legal configuration, of all that there are with the same chance.
pub fn legal(seed: u64) -> Config {
    within(seed, &[])
}

/// A legal configuration that is quickly built and simulated: few multipliers, small memories.
pub fn small(seed: u64) -> Config {
    within(
        seed,
        &[
            ("channels", 2, 8),
            ("lanes", 2, 4),
            ("vec", 8, 16),
            ("fifo", 16, 512),
            ("vmem", 1 << 16, 1 << 17),
            ("act", 1 << 8, 1 << 12),
            ("sbuf", 1 << 11, 1 << 14),
            ("scalars", 128, 1024),
            ("imem", 1024, 4096),
            ("lane_rows", 16, 64),
            ("block", 1, 24),
        ],
    )
}

/// Whether a configuration is one of these, by its name.
pub fn drawn(config: &Config) -> bool {
    config.name.starts_with(PREFIX)
}

/// What the name of a random configuration begins with; the seed follows.
const PREFIX: &str = "random";

/// A legal configuration with these fields no smaller and no larger than given.
fn within(seed: u64, limits: &[(&str, usize, usize)]) -> Config {
    let mut numbers = Numbers::new(seed ^ 0x5eed);
    let choices: [Vec<usize>; FIELDS.len()] = std::array::from_fn(|i| {
        let limit = limits.iter().find(|l| l.0 == FIELDS[i].name);
        let range = limit.map_or(0..=usize::MAX, |l| l.1..=l.2);
        FIELDS[i].rule.values().filter(|v| range.contains(v)).collect()
    });
    let mut config = CONFIGS[0];
    config.name = Name::from(&format!("{PREFIX}{seed}")).unwrap_or_default();
    loop {
        config = config.with_values(std::array::from_fn(|i| choices[i][numbers.below(choices[i].len())]));
        if config.check().is_ok() {
            return config;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn random_configurations_are_legal_and_reach_every_value() {
        let all: Vec<_> = (0..2000).map(legal).collect();
        assert!(all.iter().all(|c| c.check().is_ok()));
        for (i, field) in FIELDS.iter().enumerate().filter(|(_, f)| f.rule.power) {
            let seen: BTreeSet<_> = all.iter().map(|c| c.values()[i]).collect();
            assert_eq!(seen, field.rule.values().collect(), "{}", field.name);
        }
        assert_eq!(legal(7), legal(7));
        assert!((0..200).map(small).all(|c| c.check().is_ok() && c.vec <= 16));
    }

    #[test]
    fn any_values_are_often_wrong_and_often_right() {
        let right = (0..1000).filter(|&seed| any(seed).check().is_ok()).count();
        assert!((200..800).contains(&right), "{right} of 1000 are legal");
    }
}

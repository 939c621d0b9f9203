//! How a model is trained on a device: text, rows, rates and their schedule.

use crate::{Error, Result};

/// All choices of a training on a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Tokens of the model's own text.
    pub text: usize,
    /// Tokens of the training, passes over the text included.
    pub train: usize,
    /// Tokens of a step.
    pub batch: usize,
    /// Tokens of a row, and of a row of the last part, where rounding of activations, keys and values is simulated.
    pub rows: [usize; 2],
    /// Where the last part begins, as a part of all steps.
    pub rounded_from: f64,
    /// Steps until rates are full.
    pub warm_up: usize,
    /// Rate of the matrices (Muon), of the embedding (Adam) and of the norms' gains (Adam).
    pub rates: [f64; 3],
    /// Sequences that are written side by side.
    pub side: usize,
    /// Of everything random.
    pub seed: u64,
}

impl Default for Recipe {
    /// What fits 27 minutes on one H200 for a model of 135 million weights.
    fn default() -> Self {
        Self {
            text: 37 << 20,
            train: 420 << 20,
            batch: 32768,
            rows: [1024, 2048],
            rounded_from: 0.75,
            warm_up: 100,
            rates: [3e-3, 2e-4, 2e-4],
            side: 2048,
            seed: 1,
        }
    }
}

impl Recipe {
    /// Refuses what the kernels or the schedule cannot do.
    ///
    /// # Errors
    /// Rows that do not fill tiles of 64 or steps, or less than a step of text or training.
    pub fn check(&self) -> Result<()> {
        let [first, last] = self.rows;
        let wrong = |what: String| Err(Error::Argument(what));
        if first == 0 || !first.is_multiple_of(64) || !last.is_multiple_of(first) || last == 0 {
            return wrong(format!(
                "rows of {first} and {last} tokens; give multiples of 64, the second one of the first"
            ));
        }
        if !self.batch.is_multiple_of(last) || self.batch == 0 {
            return wrong(format!("a step of {} tokens is not whole rows of {last}", self.batch));
        }
        if self.text < self.batch || self.train < self.batch {
            return wrong(format!(
                "{} tokens of text and {} of training are less than a step of {}",
                self.text, self.train, self.batch
            ));
        }
        if !(0.0..=1.0).contains(&self.rounded_from) {
            return wrong(format!("the last part begins at {}; expected 0 to 1", self.rounded_from));
        }
        Ok(())
    }

    /// Steps of the training.
    pub fn steps(&self) -> usize {
        self.train / self.batch
    }

    /// The first step of the last part.
    pub fn rounded_at(&self) -> usize {
        (self.steps() as f64 * self.rounded_from).round() as usize
    }

    /// Sequences of the text: whole rows of the last part.
    pub fn sequences(&self) -> usize {
        let [first, last] = self.rows;
        self.text.div_ceil(last) * (last / first)
    }

    /// What the rates are multiplied by in step `step`: a warm-up, then half a cosine down to 0.
    pub fn factor(&self, step: usize) -> f64 {
        let steps = self.steps().max(1);
        let warm = self.warm_up.min(steps / 5).max(1);
        let at = (step as f64 + 0.5) / steps as f64;
        let up = (step as f64 + 1.0) / warm as f64;
        up.min(0.5 * (1.0 + (at * std::f64::consts::PI).cos()))
    }

    /// The rows that each step reads: passes over all rows in new orders, first rows of the one length, then of the other.
    pub fn order(&self) -> Vec<Vec<u32>> {
        let [first, last] = self.rows;
        let tokens = self.sequences() * first;
        let part = |length: usize, steps: usize, pass: u64| {
            let (rows, each) = (tokens / length, self.batch / length);
            let mut random = fastrand::Rng::with_seed(self.seed.wrapping_add(pass));
            let mut left: Vec<u32> = Vec::new();
            let mut step = || {
                while left.len() < each {
                    let mut more: Vec<u32> = (0..rows as u32).collect();
                    random.shuffle(&mut more);
                    left.extend(more);
                }
                left.drain(..each).collect::<Vec<_>>()
            };
            (0..steps).map(|_| step()).collect::<Vec<_>>()
        };
        let rounded = self.rounded_at();
        let mut all = part(first, rounded, 0);
        all.extend(part(last, self.steps() - rounded, 1));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Recipe {
        Recipe { text: 10 * 4096, train: 40 * 4096, batch: 4096, rows: [1024, 2048], ..Recipe::default() }
    }

    #[test]
    fn every_pass_reads_every_row_once() {
        let recipe = small();
        let order = recipe.order();
        assert_eq!((order.len(), recipe.rounded_at()), (40, 30));
        for (range, rows, each) in [(0..30, 40u32, 4), (30..40, 20, 2)] {
            let read: Vec<u32> = order[range].iter().flatten().copied().collect();
            assert!(read.len().is_multiple_of(each));
            for pass in read.chunks_exact(rows as usize) {
                let mut pass = pass.to_vec();
                pass.sort_unstable();
                assert_eq!(pass, (0..rows).collect::<Vec<_>>());
            }
        }
        assert_ne!(order[0], order[10]);
        assert_eq!(order, small().order());
    }

    #[test]
    fn rates_rise_and_fall() {
        let recipe = Recipe { train: 1000 * 4096, ..small() };
        assert!(recipe.factor(0) <= 0.011 && recipe.factor(50) < recipe.factor(99));
        assert!((recipe.factor(100) - 1.0).abs() < 0.03);
        assert!((100..999).all(|s| recipe.factor(s + 1) < recipe.factor(s)));
        assert!(recipe.factor(999) < 1e-5);
        // A short one warms up in a fifth of its steps.
        assert!(Recipe { train: 10 * 4096, ..small() }.factor(2) > 0.7);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(small().check().is_ok() && Recipe::default().check().is_ok());
        for wrong in [
            Recipe { rows: [1000, 2000], ..small() },
            Recipe { rows: [2048, 1024], ..small() },
            Recipe { batch: 3072, ..small() },
            Recipe { text: 100, ..small() },
            Recipe { rounded_from: 1.5, ..small() },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}

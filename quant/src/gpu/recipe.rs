//! How a model is trained on a device: text, rows, rates and their schedule.

use accllm_llm::{Error, Result};

/// Rows are whole tiles of so many tokens.
const TILE: usize = 64;

/// All choices of a training on a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Tokens of the model's own text.
    pub text: usize,
    /// Tokens of the training, passes over the text included.
    pub train: usize,
    /// Tokens of a step.
    pub batch: usize,
    /// Seconds that the training may take, the teacher's reading included: it ends by then, with rates that have fallen to 0,
    /// even if `train` is not reached.
    pub seconds: Option<u64>,
    /// Tokens of a row, and of a row of the last part, where rounding of activations, keys, values and the head is simulated.
    pub rows: [usize; 2],
    /// Where the last part begins, as a part of the training.
    pub rounded_from: f64,
    /// From where on 2:4 keeps the columns that it has, as a part of the training; 1 for never.
    pub frozen_from: f64,
    /// Steps until rates are full.
    pub warm_up: usize,
    /// Rate of the matrices (Muon), of the embedding (Adam) and of the norms' gains (Adam).
    pub rates: [f64; 3],
    /// Least and most tokens of a document of the text, its beginning not counted: then comes another one.
    pub documents: [usize; 2],
    /// Tokens of the text are drawn whose probability is at least this part of the likeliest one's.
    pub min_p: f64,
    /// Most sequences that are written side by side; as many as the device has room for.
    pub side: usize,
    /// Of everything random.
    pub seed: u64,
}

impl Default for Recipe {
    /// What fits 27 minutes on one H200 for a model of 135 million weights.
    fn default() -> Self {
        Self {
            text: 44 << 20,
            train: 356 << 20,
            batch: 32768,
            seconds: None,
            rows: [1024, 2048],
            rounded_from: 0.7,
            frozen_from: 0.7,
            warm_up: 100,
            rates: [3e-3, 2e-4, 2e-4],
            documents: [32, 192],
            min_p: 0.0,
            side: 4096,
            seed: 1,
        }
    }
}

impl Recipe {
    /// Refuses what the kernels or the schedule cannot do.
    ///
    /// # Errors
    /// Rows that do not fill tiles of 64 or steps, less than a step of text or training, documents of no tokens, or parts outside
    /// 0 to 1.
    pub fn check(&self) -> Result<()> {
        let [first, last] = self.rows;
        let wrong = |what: String| Err(Error::Argument(what));
        if first == 0 || !first.is_multiple_of(TILE) || !last.is_multiple_of(first) || last == 0 {
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
        let [shortest, longest] = self.documents;
        if shortest == 0 || shortest > longest {
            return wrong(format!(
                "documents of {shortest} to {longest} tokens; give at least 1, and no less for the longest than for the shortest"
            ));
        }
        let parts = [
            ("the last part begins at", self.rounded_from),
            ("masks freeze at", self.frozen_from),
            ("the least probability against the likeliest token's is", self.min_p),
        ];
        for (what, part) in parts {
            if !(0.0..=1.0).contains(&part) {
                return wrong(format!("{what} {part}; expected 0 to 1"));
            }
        }
        Ok(())
    }

    /// The recipe that goes on from a trained model: two thirds of the rates, and all of it with rounding.
    pub fn going_on(self) -> Self {
        Self { rounded_from: 0.0, rates: self.rates.map(|rate| rate * 2.0 / 3.0), ..self }
    }

    /// The recipe for weights of so many bits, on average: the nearer they are to the float model's from the beginning on, the
    /// smaller are the rates, and the sooner all else is rounded.
    pub fn for_bits(self, bits: f64) -> Self {
        let wide = ((bits - 2.25) / 2.25).clamp(0.0, 1.0);
        let rates = self.rates.map(|rate| rate * 0.1f64.powf(wide));
        Self { rates, rounded_from: self.rounded_from * (1.0 - wide), ..self }
    }

    /// The same rates in proportion, with `rate` for the matrices.
    pub fn at_rate(self, rate: f64) -> Self {
        let factor = rate / self.rates[0];
        Self { rates: self.rates.map(|r| r * factor), ..self }
    }

    /// With rows that a model of `positions` positions knows.
    pub fn for_positions(self, positions: usize) -> Self {
        let last = self.rows[1].min(positions / TILE * TILE);
        let first = self.rows[0].min(last);
        let last = last / first.max(1) * first;
        Self { rows: [first, last], ..self }
    }

    /// For so many cards, each of which takes an equal part of a step's rows: with steps that can be divided so.
    ///
    /// # Errors
    /// There are more cards than rows of the last part in a step.
    pub fn for_cards(self, cards: usize) -> Result<Self> {
        let rows = self.batch / self.rows[1].max(1);
        if cards == 0 || rows < cards {
            return Err(Error::Argument(format!(
                "{cards} cards cannot share steps of {} tokens, which are {rows} rows of {}; use at most {rows} cards",
                self.batch, self.rows[1]
            )));
        }
        Ok(Self { batch: rows / cards * cards * self.rows[1], ..self })
    }

    /// Most steps of the training.
    pub fn steps(&self) -> usize {
        self.train / self.batch
    }

    /// Sequences of the text: whole steps.
    pub fn sequences(&self) -> usize {
        self.text.div_ceil(self.batch) * (self.batch / self.rows[0])
    }

    /// How far the training is in step `step`, 0 to 1, after so many seconds.
    pub fn reached(&self, step: usize, seconds: f64) -> f64 {
        let by_steps = step as f64 / self.steps().max(1) as f64;
        let by_time = self.seconds.map_or(0.0, |all| seconds / all.max(1) as f64);
        by_steps.max(by_time).min(1.0)
    }

    /// What the rates are multiplied by in step `step`, `at` of the way: a warm-up, then half a cosine down to 0.
    pub fn factor(&self, step: usize, at: f64) -> f64 {
        let warm = self.warm_up.min(self.steps() / 5).max(1);
        let up = (step as f64 + 1.0) / warm as f64;
        up.min(0.5 * (1.0 + (at * std::f64::consts::PI).cos()))
    }

    /// The rows that each step reads on card `rank` of `cards`, of the one length and of the other: their numbers in this card's
    /// part of the text, which is as long as those of the others.
    ///
    /// The text is in as many pieces as a step has rows of the last part, and each step reads as much of every piece: passes over
    /// all rows of the piece in new orders. So a card needs its pieces alone, and all cards together read in every step what one
    /// card would read.
    pub fn order(&self, rank: usize, cards: usize) -> [Vec<Vec<u32>>; 2] {
        let pieces = self.batch / self.rows[1];
        let tokens = self.sequences() * self.rows[0];
        let mine = rank * pieces / cards..(rank + 1) * pieces / cards;
        let part = |length: usize, pass: u64| {
            let (rows, each) = (tokens / length / pieces, self.rows[1] / length);
            let mut steps = vec![Vec::new(); self.steps()];
            for (i, piece) in mine.clone().enumerate() {
                let seed = self.seed.wrapping_add(pass).wrapping_add((piece as u64) << 32);
                let mut random = fastrand::Rng::with_seed(seed);
                let mut left: Vec<u32> = Vec::new();
                for step in &mut steps {
                    while left.len() < each {
                        let from = (i * rows) as u32;
                        let mut more: Vec<u32> = (from..from + rows as u32).collect();
                        random.shuffle(&mut more);
                        left.extend(more);
                    }
                    step.extend(left.drain(..each));
                }
            }
            steps
        };
        [part(self.rows[0], 0), part(self.rows[1], 1)]
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
        let orders = small().order(0, 1);
        for (order, (rows, each)) in orders.iter().zip([(40u32, 4), (20, 2)]) {
            assert_eq!(order.len(), 40);
            let read: Vec<u32> = order.iter().flatten().copied().collect();
            assert!(read.len().is_multiple_of(each));
            for pass in read.chunks_exact(rows as usize) {
                let mut pass = pass.to_vec();
                pass.sort_unstable();
                assert_eq!(pass, (0..rows).collect::<Vec<_>>());
            }
        }
        assert_ne!(orders[0][0], orders[0][10]);
        assert_eq!(orders, small().order(0, 1));
    }

    #[test]
    fn cards_together_read_what_one_reads() {
        let recipe = Recipe { batch: 8192, text: 6 * 8192, ..small() }.for_cards(2).unwrap();
        let (alone, cards) = (recipe.order(0, 1), [recipe.order(0, 2), recipe.order(1, 2)]);
        for (part, length) in recipe.rows.iter().enumerate() {
            let rows = (6 * 8192 / 2 / length) as u32;
            for (step, wanted) in alone[part].iter().enumerate() {
                let read = |c: usize| cards[c][part][step].iter().map(move |row| row + c as u32 * rows);
                assert_eq!(read(0).chain(read(1)).collect::<Vec<_>>(), *wanted);
                assert!(cards.iter().all(|c| c[part][step].iter().all(|row| *row < rows)));
            }
        }
    }

    #[test]
    fn steps_can_be_divided_among_the_cards() {
        let batch = |cards| Recipe::default().for_cards(cards).map(|r| r.batch);
        assert_eq!([1, 2, 3, 8, 16].map(|cards| batch(cards).unwrap()), [32768, 32768, 30720, 32768, 32768]);
        assert!(batch(17).is_err_and(|e| e.to_string().contains("at most 16 cards")));
        let recipe = Recipe { text: 100_000, ..Recipe::default() }.for_cards(3).unwrap();
        assert_eq!(recipe.sequences() * 1024, 4 * 30720);
    }

    #[test]
    fn rates_rise_and_fall() {
        let recipe = Recipe { train: 1000 * 4096, ..small() };
        let factor = |s: usize| recipe.factor(s, recipe.reached(s, 1e9));
        assert!(factor(0) <= 0.011 && factor(50) < factor(99));
        assert!((factor(100) - 1.0).abs() < 0.03);
        assert!((100..999).all(|s| factor(s + 1) < factor(s)));
        assert!(factor(999) < 1e-5);
        // A short one warms up in a fifth of its steps.
        assert!(Recipe { train: 10 * 4096, ..small() }.factor(2, 0.2) > 0.7);
    }

    #[test]
    fn rows_are_as_long_as_a_model_knows() {
        let rows = |positions| Recipe::default().for_positions(positions).rows;
        assert_eq!(
            (rows(8192), rows(2048), rows(1000), rows(512)),
            ([1024, 2048], [1024, 2048], [960, 960], [512, 512])
        );
        assert!(Recipe::default().for_positions(60).check().is_err());
    }

    #[test]
    fn wider_weights_move_less() {
        let of = |bits| Recipe::default().for_bits(bits);
        assert_eq!(of(2.25), Recipe::default());
        assert!((of(4.5).rates[0] - 3e-4).abs() < 1e-9 && of(4.5).rounded_from == 0.0);
        assert!(of(3.0).rates[0] < 3e-3 && of(3.0).rates[0] > 1e-3);
        assert!((of(4.5).going_on().rates[0] - 2e-4).abs() < 1e-9 && of(2.0).going_on().rounded_from == 0.0);
        let rates = Recipe::default().at_rate(6e-3).rates;
        assert!(rates.iter().zip([6e-3, 4e-4, 4e-4]).all(|(a, b)| (a - b).abs() < 1e-9));
    }

    #[test]
    fn time_ends_it_too() {
        let recipe = Recipe { seconds: Some(100), ..small() };
        assert_eq!(
            (recipe.reached(0, 50.0), recipe.reached(30, 50.0), recipe.reached(1, 200.0)),
            (0.5, 0.75, 1.0)
        );
        assert!(recipe.factor(30, 0.999) < 1e-5);
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
            Recipe { frozen_from: -0.1, ..small() },
            Recipe { documents: [0, 64], ..small() },
            Recipe { documents: [65, 64], ..small() },
            Recipe { min_p: 1.1, ..small() },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}

//! Which points are evaluated, in batches. Every strategy is a function of spec and scores alone, so that the same spec
//! gives the same points whatever was interrupted, and however many processes work.

use super::front::Scores;
use super::nsga2::Nsga2;
use super::point::Choice;
use super::random::Random;
use super::spec::{Spec, Strategy};
use std::collections::HashSet;

/// Points of a batch of grid and random search.
const BATCH: u64 = 1024;

/// A search under way.
pub enum Search {
    /// The grid's points from this one on.
    Grid(u64),
    /// Those of a list from this one on.
    List(Vec<u64>, usize),
    /// Generations.
    Nsga2(Box<Nsga2>),
}

impl Search {
    /// Begins; `first` are points to begin with, for strategies that take some.
    pub fn new(spec: &Spec, first: Vec<Choice>) -> Self {
        match spec.search.strategy {
            Strategy::Grid => Self::Grid(0),
            Strategy::Random => Self::List(hypercube(spec), 0),
            Strategy::Nsga2 => Self::Nsga2(Box::new(Nsga2::new(spec, first))),
        }
    }

    /// How many points there will be, at most.
    pub fn total(&self, spec: &Spec) -> u64 {
        match self {
            Self::Grid(_) => spec.size(),
            Self::List(all, _) => all.len() as u64,
            Self::Nsga2(_) => spec.search.points.min(spec.size()),
        }
    }

    /// The next points, by their number in the grid; none when it is over. `scores` must hold all of the batch before
    /// where the strategy learns from them.
    pub fn next(&mut self, spec: &Spec, scores: &Scores) -> Vec<u64> {
        match self {
            Self::Grid(at) => {
                let batch = *at..(*at + BATCH).min(spec.size());
                *at = batch.end;
                batch.collect()
            }
            Self::List(all, at) => {
                let batch = all[*at..].iter().take(BATCH as usize).copied().collect::<Vec<_>>();
                *at += batch.len();
                batch
            }
            Self::Nsga2(search) => search.next(spec, scores),
        }
    }
}

/// A Latin hypercube: along each axis the points are spread evenly over its values, and the axes are shuffled against each
/// other. What falls on a point that is there already is replaced by a random point, while there are some.
fn hypercube(spec: &Spec) -> Vec<u64> {
    let n = spec.search.points.min(spec.size()) as usize;
    let mut random = Random::new(spec.search.seed);
    let columns: Vec<Vec<u32>> = spec
        .axes
        .iter()
        .map(|axis| {
            let values = axis.values.len();
            let mut column: Vec<u32> = (0..n).map(|i| (i * values / n) as u32).collect();
            for i in (1..n).rev() {
                column.swap(i, random.below(i + 1));
            }
            column
        })
        .collect();
    let (mut seen, mut all) = (HashSet::new(), Vec::with_capacity(n));
    for i in 0..n {
        let mut index = spec.index(&Choice(columns.iter().map(|c| c[i]).collect()));
        while !seen.insert(index) {
            index = ((u128::from(random.next()) * u128::from(spec.size())) >> 64) as u64;
        }
        all.push(index);
    }
    all
}

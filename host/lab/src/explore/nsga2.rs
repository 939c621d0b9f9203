//! NSGA-II (Deb, Pratap, Agarwal, Meyarivan: A fast and elitist multiobjective genetic algorithm, 2002), with its rule for
//! constraints. It is our own because points are choices on a grid whose scores come from records of any age and process: the
//! crates that there are keep real numbers in matrices and call the objective themselves.

use super::front::{Score, Scores, dominates, front};
use super::point::Choice;
use super::random::Random;
use super::spec::Spec;
use std::collections::HashSet;

/// Tries to find a child that was not evaluated before.
const TRIES: usize = 64;

/// A run.
pub struct Nsga2 {
    random: Random,
    /// Points to begin with.
    first: Vec<Choice>,
    /// Points that have been asked for.
    seen: HashSet<u64>,
    /// The last batch.
    batch: Vec<u64>,
    /// Parents with their scores.
    parents: Vec<(u64, Score)>,
}

/// A point with its rank (0 is best) and the room around it in its rank.
struct Ranked {
    index: u64,
    rank: usize,
    room: f64,
}

impl Nsga2 {
    /// Begins.
    pub fn new(spec: &Spec, first: Vec<Choice>) -> Self {
        let random = Random::new(spec.search.seed);
        Self { random, first, seen: HashSet::new(), batch: Vec::new(), parents: Vec::new() }
    }

    /// The next generation.
    pub fn next(&mut self, spec: &Spec, scores: &Scores) -> Vec<u64> {
        let size = spec.search.population;
        let mut all = std::mem::take(&mut self.parents);
        // A point without metrics has no children.
        all.extend(self.batch.iter().filter_map(|&i| Some((i, scores.get(&i)?.clone()?))));
        let ranked = survivors(&all, size);
        let kept: HashSet<u64> = ranked.iter().map(|r| r.index).collect();
        all.retain(|(index, _)| kept.contains(index));
        self.parents = all;
        let left = spec.search.points.min(spec.size()).saturating_sub(self.seen.len() as u64);
        let mut batch = Vec::new();
        while (batch.len() as u64) < left.min(size as u64) {
            let child = (0..TRIES).find_map(|_| {
                let child = self.child(spec, &ranked);
                self.seen.insert(child).then_some(child)
            });
            let Some(child) = child else { break };
            batch.push(child);
        }
        self.batch.clone_from(&batch);
        batch
    }

    /// A point to begin with, a random one where there are no parents, or a child of two of them.
    fn child(&mut self, spec: &Spec, parents: &[Ranked]) -> u64 {
        if let Some(first) = self.first.pop() {
            return spec.index(&first);
        }
        let size = u128::from(spec.size());
        if parents.is_empty() {
            return ((u128::from(self.random.next()) * size) >> 64) as u64;
        }
        let mut pick = || {
            let (a, b) = (self.random.below(parents.len()), self.random.below(parents.len()));
            let (a, b) = (&parents[a], &parents[b]);
            let first = a.rank < b.rank || (a.rank == b.rank && a.room >= b.room);
            spec.choice(if first { a.index } else { b.index })
        };
        let (mother, father) = (pick(), pick());
        let change = 1.0 / spec.axes.len().max(1) as f64;
        let genes = spec.axes.iter().zip(mother.0.iter().zip(&father.0)).map(|(axis, (&m, &f))| {
            let n = axis.values.len();
            let gene = if self.random.unit() < 0.5 { m } else { f };
            if self.random.unit() >= change {
                return gene;
            }
            // Half of the changes are to a neighbour, half to any value.
            let step = self.random.below(3) as i64 - 1;
            match self.random.unit() < 0.5 {
                true => (i64::from(gene) + step).clamp(0, n as i64 - 1) as u32,
                false => self.random.below(n) as u32,
            }
        });
        spec.index(&Choice(genes.collect()))
    }
}

/// The best `size` points: rank by rank, and in the last rank those with the most room.
fn survivors(all: &[(u64, Score)], size: usize) -> Vec<Ranked> {
    let mut left: Vec<usize> = (0..all.len()).collect();
    let mut kept = Vec::new();
    for rank in 0.. {
        if left.is_empty() || kept.len() >= size {
            break;
        }
        let best: Vec<usize> = best(all, &left);
        let mut ranked: Vec<Ranked> = rooms(all, &best)
            .into_iter()
            .zip(&best)
            .map(|(room, &i)| Ranked { index: all[i].0, rank, room })
            .collect();
        if kept.len() + ranked.len() > size {
            ranked.sort_by(|a, b| b.room.total_cmp(&a.room).then(a.index.cmp(&b.index)));
            ranked.truncate(size - kept.len());
        }
        kept.extend(ranked);
        left.retain(|i| !best.contains(i));
    }
    kept
}

/// Those of `left` that none of it beats.
fn best(all: &[(u64, Score)], left: &[usize]) -> Vec<usize> {
    let least = left.iter().map(|&i| all[i].1.missed).fold(f64::INFINITY, f64::min);
    let equal: Vec<usize> = left.iter().copied().filter(|&i| all[i].1.missed <= least).collect();
    if least > 0.0 {
        return equal;
    }
    let points: Vec<Vec<f64>> = equal.iter().map(|&i| all[i].1.objectives.clone()).collect();
    debug_assert!(points.iter().all(|p| !dominates(p, p)));
    front(&points).into_iter().map(|i| equal[i]).collect()
}

/// Crowding distance of each of `members`.
fn rooms(all: &[(u64, Score)], members: &[usize]) -> Vec<f64> {
    let mut rooms = vec![0.0; members.len()];
    let objectives = members.first().map_or(0, |&i| all[i].1.objectives.len());
    for o in 0..objectives {
        let value = |m: usize| all[members[m]].1.objectives[o];
        let mut order: Vec<usize> = (0..members.len()).collect();
        order.sort_by(|&a, &b| value(a).total_cmp(&value(b)).then(a.cmp(&b)));
        let (first, last) = (order[0], order[order.len() - 1]);
        let span = value(last) - value(first);
        (rooms[first], rooms[last]) = (f64::INFINITY, f64::INFINITY);
        for w in order.windows(3).filter(|_| span > 0.0) {
            rooms[w[1]] += (value(w[2]) - value(w[0])) / span;
        }
    }
    rooms
}

//! Mixed formats: which linear gets which weight format, so that the expected damage is least under a budget.

use accllm_llm::model::WeightFormat;
use accllm_llm::{Error, Result};

/// The candidates, cheapest first.
pub const FORMATS: [WeightFormat; 3] = [WeightFormat::W2Sparse, WeightFormat::W2Dense, WeightFormat::W4];

/// One choice of one item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// What it costs (bits, beats, cycles).
    pub cost: f64,
    /// What it does to the model (added loss).
    pub damage: f64,
}

/// A choice for every item.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Index of the candidate, per item.
    pub choice: Vec<usize>,
    /// Sum of costs, at most the budget.
    pub cost: f64,
    /// Sum of damages.
    pub damage: f64,
}

/// States kept at a time; beyond this neighbours of the front are merged, and the result is the best of those kept.
const STATES: usize = 20_000;

/// The choice of one candidate per item with the least total damage whose total cost is within `budget`.
///
/// Exact as long as the front of undominated sums stays below 20,000; with more, sums within a 20,000th of the
/// largest cost are merged (the better damage stays). Deterministic; among equals the cheaper one.
pub fn assign_formats(items: &[Vec<Candidate>], budget: f64) -> Result<Assignment> {
    let cheapest: f64 = items.iter().map(|i| i.iter().map(|c| c.cost).fold(f64::INFINITY, f64::min)).sum();
    let sound = |c: &Candidate| c.cost.is_finite() && c.cost >= 0.0 && !c.damage.is_nan();
    if let Some(i) = items.iter().position(|i| i.is_empty() || !i.iter().all(sound)) {
        return Err(Error::Argument(format!(
            "item {i} of the format assignment has no candidate, or one with a cost or damage that is no number"
        )));
    }
    // Sums of the same numbers in another order may differ in their last bits.
    let budget = budget + budget.abs() * 1e-12;
    if cheapest > budget || budget.is_nan() {
        return Err(Error::Argument(format!(
            "the budget is {budget}, but the cheapest formats cost {cheapest}; give at least that"
        )));
    }
    // What the items after each one cost at least: sums that leave less than this are dropped early.
    let mut after = vec![0.0; items.len() + 1];
    for (i, item) in items.iter().enumerate().rev() {
        after[i] = after[i + 1] + item.iter().map(|c| c.cost).fold(f64::INFINITY, f64::min);
    }
    // Per item the front: (cost, damage, state before, candidate).
    let mut fronts: Vec<Vec<State>> = Vec::with_capacity(items.len());
    let mut front = vec![State { cost: 0.0, damage: 0.0, before: 0, candidate: 0 }];
    for (i, item) in items.iter().enumerate() {
        let room = budget - after[i + 1];
        let mut next: Vec<State> = Vec::with_capacity(front.len() * item.len());
        for (before, s) in front.iter().enumerate() {
            for (candidate, c) in item.iter().enumerate() {
                let (cost, damage) = (s.cost + c.cost, s.damage + c.damage);
                if cost <= room * (1.0 + 1e-12) {
                    next.push(State { cost, damage, before, candidate });
                }
            }
        }
        front = undominated(next, room / STATES as f64);
        fronts.push(front.clone());
    }
    let mut at = front.len().saturating_sub(1);
    let (cost, damage) = front.last().map_or((0.0, 0.0), |s| (s.cost, s.damage));
    let mut choice = vec![0; items.len()];
    for (slot, front) in choice.iter_mut().zip(&fronts).rev() {
        if let Some(s) = front.get(at) {
            (*slot, at) = (s.candidate, s.before);
        }
    }
    Ok(Assignment { choice, cost, damage })
}

#[derive(Clone, Copy)]
struct State {
    cost: f64,
    damage: f64,
    before: usize,
    candidate: usize,
}

/// The states that no cheaper one beats, by rising cost and falling damage; merged to a grid of `step` when there
/// are too many.
fn undominated(mut states: Vec<State>, step: f64) -> Vec<State> {
    states.sort_by(|a, b| {
        let order = a.cost.total_cmp(&b.cost).then(a.damage.total_cmp(&b.damage));
        order.then(a.before.cmp(&b.before)).then(a.candidate.cmp(&b.candidate))
    });
    let mut front: Vec<State> = Vec::new();
    for s in states {
        if front.last().is_none_or(|last| s.damage < last.damage) {
            front.push(s);
        }
    }
    if front.len() <= STATES {
        return front;
    }
    // The cheapest state stays, so that there is always a way to the end.
    let mut merged: Vec<State> = vec![front[0]];
    for s in &front[1..] {
        let same = merged.len() > 1
            && merged.last().is_some_and(|m| (m.cost / step).floor() == (s.cost / step).floor());
        if same {
            merged.pop();
        }
        merged.push(*s);
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Least damage within the budget, by trying everything.
    fn brute(items: &[Vec<Candidate>], budget: f64) -> Option<f64> {
        let Some((first, rest)) = items.split_first() else { return (budget >= -1e-9).then_some(0.0) };
        let each = first.iter().filter_map(|c| brute(rest, budget - c.cost).map(|d| d + c.damage));
        each.min_by(f64::total_cmp)
    }

    fn items() -> impl Strategy<Value = Vec<Vec<Candidate>>> {
        let candidate = (0u32..12, 0u32..100)
            .prop_map(|(c, d)| Candidate { cost: f64::from(c) / 4.0, damage: f64::from(d) });
        proptest::collection::vec(proptest::collection::vec(candidate, 1..4), 0..7)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn it_is_the_best_of_all(items in items(), budget in 0u32..60) {
            let budget = f64::from(budget) / 4.0;
            match (assign_formats(&items, budget), brute(&items, budget)) {
                (Ok(found), Some(best)) => {
                    prop_assert_eq!(found.damage, best);
                    prop_assert!(found.cost <= budget);
                    let chosen = || items.iter().zip(&found.choice).map(|(i, c)| i[*c]);
                    prop_assert_eq!(found.cost, chosen().map(|c| c.cost).sum::<f64>());
                    prop_assert_eq!(found.damage, chosen().map(|c| c.damage).sum::<f64>());
                }
                (Err(_), None) => {}
                (found, best) => prop_assert!(false, "{:?} against {:?}", found.is_ok(), best),
            }
        }
    }

    #[test]
    fn a_large_problem_is_quick_and_keeps_the_budget() -> Result<()> {
        let item = |i: usize| {
            let size = 1000.0 + (i * 7919 % 1013) as f64;
            let cost = FORMATS.map(|f| size * f.bits());
            let weight = 1.0 + (i * 104_729 % 97) as f64;
            let each = cost.iter().zip([1.0, 0.4, 0.01]);
            each.map(|(c, d)| Candidate { cost: *c, damage: d * weight }).collect::<Vec<_>>()
        };
        let items: Vec<_> = (0..210).map(item).collect();
        let weights: f64 = items.iter().map(|i| i[0].cost / 2.0).sum();
        let found = assign_formats(&items, 3.0 * weights)?;
        assert!(found.cost <= 3.0 * weights && found.cost > 2.99 * weights);
        let all = |c: usize| items.iter().map(|i| i[c].damage).sum::<f64>();
        assert!(found.damage < 0.5 * all(1), "{} against {}", found.damage, all(1));
        Ok(())
    }

    #[test]
    fn impossible_budgets_and_bad_numbers_are_refused() {
        let one = |cost, damage| vec![vec![Candidate { cost, damage }]];
        assert!(assign_formats(&one(2.0, 1.0), 1.9).is_err());
        assert!(assign_formats(&one(f64::NAN, 1.0), 5.0).is_err());
        assert!(assign_formats(&one(1.0, f64::NAN), 5.0).is_err());
        assert!(assign_formats(&one(1.0, 0.0), f64::NAN).is_err());
        assert!(assign_formats(&[vec![]], 5.0).is_err());
    }
}

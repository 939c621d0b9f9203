//! Dominance: which points no other point beats.

use std::cmp::Ordering;
use std::collections::HashMap;

/// What counts of a point: objectives, each turned so that less is better, and by how much it misses its constraints.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Objectives, less is better.
    pub objectives: Vec<f64>,
    /// Sum of what constraints are missed by, as shares; 0 where all are kept.
    pub missed: f64,
}

/// Scores of points by their number in the grid; `None` for those without metrics.
pub type Scores = HashMap<u64, Option<Score>>;

impl Score {
    /// Whether it beats `other`: it keeps its constraints better, or is nowhere worse and somewhere better.
    pub fn beats(&self, other: &Self) -> bool {
        match self.missed.total_cmp(&other.missed) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal if self.missed > 0.0 => false,
            Ordering::Equal => dominates(&self.objectives, &other.objectives),
        }
    }
}

/// Whether `a` is nowhere worse than `b`, and somewhere better; less is better.
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b) && a.iter().zip(b).any(|(a, b)| a < b)
}

/// Indices of the points that no other one dominates, in order. Equal points are all in it.
pub fn front(points: &[Vec<f64>]) -> Vec<usize> {
    // In lexical order a point can be dominated by earlier ones only.
    let mut order: Vec<usize> = (0..points.len()).collect();
    let lexical = |a: &usize, b: &usize| {
        let mut each = points[*a].iter().zip(&points[*b]).map(|(a, b)| a.total_cmp(b));
        each.find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    };
    order.sort_by(lexical);
    let mut front: Vec<usize> = Vec::new();
    for i in order {
        if !front.iter().any(|&f| dominates(&points[f], &points[i])) {
            front.push(i);
        }
    }
    front.sort_unstable();
    front
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        let points = [[1.0, 5.0], [2.0, 2.0], [3.0, 3.0], [5.0, 1.0], [2.0, 2.0], [1.0, 6.0]];
        assert_eq!(front(&points.map(|p| p.to_vec())), [0, 1, 3, 4]);
        let score = |objective: f64, missed| Score { objectives: vec![objective], missed };
        assert!(score(9.0, 0.0).beats(&score(1.0, 0.1)));
        assert!(score(9.0, 0.1).beats(&score(1.0, 0.2)));
        assert!(!score(1.0, 0.1).beats(&score(9.0, 0.1)));
        assert!(score(1.0, 0.0).beats(&score(2.0, 0.0)) && !score(1.0, 0.0).beats(&score(1.0, 0.0)));
    }

    proptest! {
        #[test]
        fn it_is_what_no_other_dominates(points in prop::collection::vec(prop::collection::vec(0u8..6, 3), 0..40)) {
            let points: Vec<Vec<f64>> =
                points.into_iter().map(|p| p.into_iter().map(f64::from).collect()).collect();
            let want: Vec<usize> =
                (0..points.len()).filter(|&i| !points.iter().any(|p| dominates(p, &points[i]))).collect();
            prop_assert_eq!(front(&points), want);
        }
    }
}

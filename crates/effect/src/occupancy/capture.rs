//! Cormack-Jolly-Seber: staying and being seen again, told apart by those who come back.
//!
//! Of those released at occasion i, the chance to be seen next at occasion j is
//! `φ_i p_{i+1} Π (φ (1 − p))`, with φ the chance to stay from one occasion to the next
//! and p that to be seen if there (Lebreton et al. 1992). With addresses as animals,
//! staying is the opposite of churn (methods, 3.2).
//!
//! **Invariant:** every release ends in one cell of its row or is never seen again. What
//! is estimated is *apparent* staying: leaving for good and ceasing to be visible for
//! good are one thing here, and no amount of data tells them apart.

use crate::interval::as_f64;
use crate::occupancy::optimum::{Minimum, Objective, logistic, minimise};

/// An m-array: `seen_next[i][d]` of `released[i]` were seen next at occasion `i + 1 + d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recaptures {
    released: Vec<u64>,
    seen_next: Vec<Vec<u64>>,
}

/// Counts that are no m-array, or that nothing can be estimated from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecaptures {
    /// A row is not as long as the occasions that follow it.
    #[error("row {row} has {found} cells, {expected} occasions follow")]
    Shape {
        /// Which row, from 0.
        row: usize,
        /// Its cells.
        found: usize,
        /// Occasions that follow.
        expected: usize,
    },
    /// More were seen again than were released.
    #[error("row {row}: {seen} seen again of {released} released")]
    TooMany {
        /// Which row, from 0.
        row: usize,
        /// Sum of its cells.
        seen: u64,
        /// Released at its occasion.
        released: u64,
    },
    /// Nobody was seen again, or fewer than two occasions follow: staying and being seen
    /// cannot be told apart.
    #[error(
        "nobody was seen again over two occasions or more: nothing tells staying from being seen"
    )]
    NothingSeenAgain,
    /// The likelihood has no top inside: the chance to stay or to be seen is 0 or 1.
    #[error(
        "the likelihood is greatest where the chance to stay or to be seen is 0 or 1"
    )]
    Boundary,
}

/// A probability and its standard error (delta method).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probability {
    /// The estimate.
    pub value: f64,
    /// Its standard error.
    pub se: f64,
}

/// What staying and being seen are, if they do not change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Staying {
    /// Apparent chance to stay from one occasion to the next.
    pub phi: Probability,
    /// Chance to be seen if there.
    pub p: Probability,
    /// Minus twice the log-likelihood, without the multinomial constant.
    pub deviance: f64,
}

impl Recaptures {
    /// Checks that the counts are an m-array.
    pub fn new(
        released: Vec<u64>,
        seen_next: Vec<Vec<u64>>,
    ) -> Result<Self, BadRecaptures> {
        let occasions = released.len();
        if seen_next.len() != occasions {
            return Err(BadRecaptures::Shape {
                row: seen_next.len().min(occasions),
                found: 0,
                expected: occasions,
            });
        }
        for (row, (cells, of)) in seen_next.iter().zip(&released).enumerate() {
            if cells.len() != occasions - row {
                let (found, expected) = (cells.len(), occasions - row);
                return Err(BadRecaptures::Shape { row, found, expected });
            }
            let seen = cells.iter().fold(0u64, |sum, c| sum.saturating_add(*c));
            if seen > *of {
                return Err(BadRecaptures::TooMany { row, seen, released: *of });
            }
        }
        Ok(Self { released, seen_next })
    }

    /// The model φ(.) p(.).
    pub fn staying(&self) -> Result<Staying, BadRecaptures> {
        let again: u64 = self.seen_next.iter().flatten().sum();
        if again == 0 || self.released.len() < 2 {
            return Err(BadRecaptures::NothingSeenAgain);
        }
        let minimum = minimise(self, &[0.0, 0.0], &[1.0, 1.0]);
        let probability = |i| of_logit(&minimum, i);
        match (probability(0), probability(1)) {
            (Some(phi), Some(p)) if minimum.converged => {
                Ok(Staying { phi, p, deviance: 2.0 * minimum.value })
            }
            _ => Err(BadRecaptures::Boundary),
        }
    }
}

/// Closer to 0 or 1 than this, an estimate has no interval of the usual kind.
const BOUNDARY: f64 = 1e-6;

/// The probability whose logit is coordinate `i`, unless it lies at a boundary.
pub(crate) fn of_logit(minimum: &Minimum, i: usize) -> Option<Probability> {
    let value = logistic(minimum.at[i]);
    let se = minimum.se(i)? * value * (1.0 - value);
    (BOUNDARY..=1.0 - BOUNDARY).contains(&value).then_some(Probability { value, se })
}

impl Objective for Recaptures {
    /// Minus the log-likelihood by (logit φ, logit p).
    fn evaluate(&self, at: &[f64]) -> (f64, Vec<f64>) {
        let (phi, p) = (logistic(at[0]), logistic(at[1]));
        let (mut value, mut gradient) = (0.0, vec![0.0, 0.0]);
        for (cells, released) in self.seen_next.iter().zip(&self.released) {
            let (mut never, mut slope) = (1.0, [0.0, 0.0]);
            for (gap, count) in (0i32..).zip(cells) {
                let chance = phi.powi(gap + 1) * (1.0 - p).powi(gap) * p;
                // Derivatives of the logarithm by the two logits.
                let by_phi = f64::from(gap + 1) * (1.0 - phi);
                let by_p = 1.0 - p - f64::from(gap) * p;
                let count = as_f64(*count);
                value -= count * chance.max(f64::MIN_POSITIVE).ln();
                gradient[0] -= count * by_phi;
                gradient[1] -= count * by_p;
                never -= chance;
                slope[0] -= chance * by_phi;
                slope[1] -= chance * by_p;
            }
            let seen: u64 = cells.iter().sum();
            let rest = as_f64(*released - seen);
            if rest > 0.0 {
                let never = never.max(f64::MIN_POSITIVE);
                value -= rest * never.ln();
                gradient[0] -= rest * slope[0] / never;
                gradient[1] -= rest * slope[1] / never;
            }
        }
        (value, gradient)
    }

    fn weight(&self) -> f64 {
        as_f64(self.released.iter().sum::<u64>().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::occupancy::optimum::tests::assert_gradient;

    #[test]
    fn the_gradient_is_that_of_the_likelihood() {
        let recaptures = Recaptures::new(
            vec![22, 60, 9],
            vec![vec![11, 2, 0], vec![24, 1], vec![4]],
        )
        .unwrap();
        assert_gradient(&recaptures, &[0.3, 1.7]);
        assert_gradient(&recaptures, &[-1.0, -0.4]);
    }

    #[test]
    fn counts_that_are_no_m_array_are_refused() {
        let shape = Recaptures::new(vec![3, 3], vec![vec![1], vec![1]]);
        assert_eq!(shape, Err(BadRecaptures::Shape { row: 0, found: 1, expected: 2 }));
        let many = Recaptures::new(vec![3, 3], vec![vec![2, 2], vec![1]]);
        assert!(matches!(many, Err(BadRecaptures::TooMany { row: 0, .. })));
        let none = Recaptures::new(vec![3, 3], vec![vec![0, 0], vec![0]]).unwrap();
        assert_eq!(none.staying(), Err(BadRecaptures::NothingSeenAgain));
        let all = Recaptures::new(vec![9, 9], vec![vec![9, 0], vec![9]]).unwrap();
        assert_eq!(all.staying(), Err(BadRecaptures::Boundary));
    }
}

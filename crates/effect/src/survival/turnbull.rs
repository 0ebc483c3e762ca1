//! Times known to lie between two looks only: the distribution of greatest likelihood
//! (Turnbull 1976; Gentleman and Geyer 1994, Biometrika 81:618).
//!
//! **Invariant:** what is returned satisfies the conditions of a maximum (Kuhn and
//! Tucker): no interval, in or out of the support, would gain likelihood from more mass.
//! Inside an interval of the support nothing is known of where the mass lies.

use std::collections::BTreeMap;

use nalgebra::{DMatrix, DVector};

use super::SurvivalRefused;
use crate::regression::count;

/// A time that lies after `after` and not after `by`: equal where it is known exactly,
/// `by` infinite where it had not come by `after`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Between {
    /// Not up to here.
    pub after: f64,
    /// Here at the latest.
    pub by: f64,
}

/// Probability of an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mass {
    /// Where.
    pub between: Between,
    /// How much.
    pub probability: f64,
}

/// The distribution of greatest likelihood.
#[derive(Clone, Debug, PartialEq)]
pub struct Turnbull {
    /// The support in order of time.
    pub masses: Vec<Mass>,
    /// Logarithm of the likelihood.
    pub log_likelihood: f64,
}

/// Finds the distribution.
pub fn turnbull(subjects: &[Between]) -> Result<Turnbull, SurvivalRefused> {
    if subjects.is_empty() {
        return Err(SurvivalRefused::Nobody);
    }
    let bad = |s: &Between| !s.after.is_finite() || s.by.is_nan() || s.by < s.after;
    if let Some(place) = subjects.iter().position(bad) {
        return Err(SurvivalRefused::Time(place));
    }
    if subjects.iter().all(|s| s.by.is_infinite()) {
        return Err(SurvivalRefused::NoEvent);
    }
    let problem = Problem::new(subjects);
    let probabilities = problem.maximum();
    let masses = problem
        .support
        .iter()
        .zip(&probabilities)
        .filter(|(_, p)| **p > 0.0)
        .map(|((left, right), p)| Mass {
            between: Between { after: left.time(), by: right.time() },
            probability: *p,
        })
        .collect();
    Ok(Turnbull { masses, log_likelihood: problem.log_likelihood(&probabilities) })
}

impl Turnbull {
    /// Least and greatest share without the event after `time`: they differ where the
    /// time lies inside an interval of the support.
    pub fn survival(&self, time: f64) -> (f64, f64) {
        let sum = |later: &dyn Fn(&Mass) -> bool| {
            let later = self.masses.iter().filter(|m| later(m));
            later.map(|m| m.probability).sum::<f64>().clamp(0.0, 1.0)
        };
        let wholly_after = |m: &Mass| m.between.after >= time && m.between.by > time;
        (sum(&wholly_after), sum(&|m: &Mass| m.between.by > time))
    }

    /// The interval inside which the share without the event falls to `share`; `None` if
    /// it does not by the last look.
    pub fn time_to(&self, share: f64) -> Option<Between> {
        let mut left = 1.0;
        let reached = |mass: &&Mass| {
            left -= mass.probability;
            left <= share + ROUNDING
        };
        let mass = self.masses.iter().find(reached)?;
        mass.between.by.is_finite().then_some(mass.between)
    }
}

/// Sums of probabilities are exact to so many digits.
const ROUNDING: f64 = 1e-9;
/// Gains of likelihood per subject below this are none.
const GAIN_NONE: f64 = 1e-10;
/// Steps of expectation between two of Newton's.
const STEPS: usize = 50;
/// Rounds after which the search ends as it stands.
const ROUNDS_MAX: usize = 2_000;
/// Mass below which an interval that would lose by more is taken out.
const MASS_MIN: f64 = 1e-7;

/// An end of an interval; at one time, first the left end of a time known exactly, then
/// right ends, then open left ends.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct End(f64, u8);

const EXACT: u8 = 0;
const RIGHT: u8 = 1;
const OPEN: u8 = 2;

impl End {
    fn time(self) -> f64 {
        self.0
    }
}

struct Problem {
    support: Vec<(End, End)>,
    /// For each kind of subject: places of the support from, to, and how many there are.
    kinds: Vec<(usize, usize, f64)>,
    subjects: f64,
}

impl Problem {
    fn new(subjects: &[Between]) -> Self {
        let ends = |s: &Between| {
            let exact = s.after.total_cmp(&s.by).is_eq();
            let left = End(s.after, if exact { EXACT } else { OPEN });
            (left, End(s.by, RIGHT))
        };
        let order = |a: &End, b: &End| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        let mut all: Vec<End> =
            subjects.iter().map(ends).flat_map(|(left, right)| [left, right]).collect();
        all.sort_by(order);
        all.dedup();
        let support: Vec<(End, End)> = all
            .windows(2)
            .filter(|w| w[0].1 != RIGHT && w[1].1 == RIGHT)
            .map(|w| (w[0], w[1]))
            .collect();
        let mut kinds: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        for (left, right) in subjects.iter().map(ends) {
            let from = support.partition_point(|s| order(&s.0, &left).is_lt());
            let to = support.partition_point(|s| order(&s.1, &right).is_le());
            *kinds.entry((from, to)).or_default() += 1.0;
        }
        let kinds = kinds.into_iter().map(|((from, to), n)| (from, to, n)).collect();
        Self { support, kinds, subjects: count(subjects.len()) }
    }

    fn log_likelihood(&self, p: &[f64]) -> f64 {
        let of = |(from, to, n): &(usize, usize, f64)| {
            n * p[*from..*to].iter().sum::<f64>().ln()
        };
        self.kinds.iter().map(of).sum()
    }

    /// Slopes of the mean log-likelihood: 1 where mass stands, at most 1 elsewhere, at the
    /// maximum.
    fn slopes(&self, p: &[f64]) -> Vec<f64> {
        let mut slopes = vec![0.0; p.len()];
        for (from, to, n) in &self.kinds {
            let by = n / self.subjects / p[*from..*to].iter().sum::<f64>();
            slopes[*from..*to].iter_mut().for_each(|s| *s += by);
        }
        slopes
    }

    fn maximum(&self) -> Vec<f64> {
        let mut p = vec![1.0 / count(self.support.len()); self.support.len()];
        for _ in 0..ROUNDS_MAX {
            for _ in 0..STEPS {
                let slopes = self.slopes(&p);
                p.iter_mut().zip(slopes).for_each(|(p, slope)| *p *= slope);
            }
            self.take_out(&mut p);
            self.newton(&mut p);
            let slopes = self.slopes(&p);
            let done = p.iter().zip(&slopes).all(|(p, slope)| {
                *slope <= 1.0 + GAIN_NONE && (*p <= 0.0 || *slope >= 1.0 - GAIN_NONE)
            });
            if done {
                break;
            }
            // An interval taken out too early comes back.
            for (p, slope) in p.iter_mut().zip(slopes) {
                if *p <= 0.0 && slope > 1.0 + GAIN_NONE {
                    *p = MASS_MIN;
                }
            }
            normalise(&mut p);
        }
        p
    }

    fn take_out(&self, p: &mut [f64]) {
        let slopes = self.slopes(p);
        for (p, slope) in p.iter_mut().zip(slopes) {
            if *p < MASS_MIN && slope < 1.0 - MASS_MIN {
                *p = 0.0;
            }
        }
        normalise(p);
    }

    /// A step of Newton's inside the support, as far as mass stays positive, if it gains.
    fn newton(&self, p: &mut [f64]) {
        let places: Vec<usize> = (0..p.len()).filter(|j| p[*j] > 0.0).collect();
        let size = places.len();
        let slopes = self.slopes(p);
        // Conditions of the maximum with the sum held: curvature bordered by ones.
        let mut matrix = DMatrix::zeros(size + 1, size + 1);
        for (from, to, n) in &self.kinds {
            let sum: f64 = p[*from..*to].iter().sum();
            let by = n / self.subjects / (sum * sum);
            let inside = |j: &usize| (*from..*to).contains(j);
            for (a, _) in places.iter().enumerate().filter(|(_, j)| inside(j)) {
                for (b, _) in places.iter().enumerate().filter(|(_, j)| inside(j)) {
                    matrix[(a, b)] += by;
                }
            }
        }
        for a in 0..size {
            matrix[(a, size)] = 1.0;
            matrix[(size, a)] = 1.0;
        }
        let slope = places.iter().map(|j| slopes[*j]).chain([0.0]);
        let right = DVector::from_iterator(size + 1, slope);
        let Some(step) = matrix.lu().solve(&right) else { return };
        if step.iter().any(|s| !s.is_finite()) {
            return;
        }
        let limit = places
            .iter()
            .zip(step.iter())
            .filter(|(_, s)| **s < 0.0)
            .map(|(j, s)| -0.999 * p[*j] / s)
            .fold(1.0, f64::min);
        let mut moved = p.to_vec();
        places.iter().zip(step.iter()).for_each(|(j, s)| moved[*j] += limit * s);
        normalise(&mut moved);
        if self.log_likelihood(&moved) >= self.log_likelihood(p) - ROUNDING {
            p.copy_from_slice(&moved);
        }
    }
}

fn normalise(p: &mut [f64]) {
    let sum: f64 = p.iter().sum();
    for p in p {
        *p /= sum;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn odd_intervals_are_refused() {
        assert_eq!(turnbull(&[]), Err(SurvivalRefused::Nobody));
        let good = Between { after: 1.0, by: 2.0 };
        for bad in [
            Between { after: f64::NAN, ..good },
            Between { by: f64::NAN, ..good },
            Between { by: 0.0, ..good },
        ] {
            assert_eq!(turnbull(&[good, bad]), Err(SurvivalRefused::Time(1)));
        }
        let never = Between { after: 1.0, by: f64::INFINITY };
        assert_eq!(turnbull(&[never]), Err(SurvivalRefused::NoEvent));
    }

    #[test]
    fn exact_times_have_the_curve_of_kaplan_and_meier() {
        let of = |t: f64| Between { after: t, by: t };
        let censored = Between { after: 2.0, by: f64::INFINITY };
        let found = turnbull(&[of(1.0), of(2.0), censored, of(3.0)]).unwrap();
        let p: Vec<f64> = found.masses.iter().map(|m| m.probability).collect();
        for (p, expected) in p.iter().zip([0.25, 0.25, 0.5]) {
            assert!((p - expected).abs() < 1e-9, "{found:?}");
        }
        assert_eq!(found.time_to(0.5).unwrap(), of(2.0));
        let (low, high) = found.survival(2.0);
        assert!((low - 0.5).abs() < 1e-9 && (high - 0.5).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn no_interval_would_gain_by_more_mass(
            of in prop::collection::vec((0u8..12, 0u8..6, any::<bool>()), 2..60)
        ) {
            let subjects: Vec<Between> = of
                .iter()
                .map(|(after, more, open)| {
                    let after = f64::from(*after);
                    let by = if *open { f64::INFINITY } else { after + f64::from(*more) };
                    Between { after, by }
                })
                .collect();
            let Ok(found) = turnbull(&subjects) else { return Ok(()) };
            let sum: f64 = found.masses.iter().map(|m| m.probability).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9);
            let problem = Problem::new(&subjects);
            let p = problem.maximum();
            for slope in problem.slopes(&p) {
                prop_assert!(slope <= 1.0 + 1e-6, "{slope}");
            }
        }
    }
}

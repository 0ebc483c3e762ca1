//! Whether groups differ in their times: the log-rank test, in strata, and the weighted
//! one of Peto and Peto (Harrington and Fleming 1982, Biometrika 69:553).
//!
//! **Invariant:** a stratum is compared inside itself alone; a group that was never at
//! risk when an event came bears on nothing and has no degree of freedom.

use std::collections::BTreeMap;

use nalgebra::{DMatrix, DVector};
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::{Followed, SurvivalRefused, admit, event_times, same_length};
use crate::regression::count;

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRank {
    /// The statistic.
    pub chi_square: f64,
    /// Groups less one.
    pub degrees: usize,
    /// The chance of a larger one if groups do not differ.
    pub p: f64,
    /// For each group in order: events, and events expected.
    pub events: Vec<(f64, f64)>,
}

/// Compares groups, numbered, inside strata, numbered. `rho` weighs each time by the
/// share left just before it to that power: 0 is the log-rank test, 1 Peto and Peto's.
pub fn log_rank(
    subjects: &[Followed],
    groups: &[usize],
    strata: &[usize],
    rho: f64,
) -> Result<LogRank, SurvivalRefused> {
    admit(subjects)?;
    same_length("groups", groups.len(), subjects.len())?;
    same_length("strata", strata.len(), subjects.len())?;
    let mut names: Vec<usize> = groups.to_vec();
    names.sort_unstable();
    names.dedup();
    if names.len() < 2 {
        return Err(SurvivalRefused::OneGroup(names.len()));
    }
    if !subjects.iter().any(|s| s.event) {
        return Err(SurvivalRefused::NoEvent);
    }
    let mut by_stratum: BTreeMap<usize, Vec<(Followed, usize)>> = BTreeMap::new();
    for ((subject, group), stratum) in subjects.iter().zip(groups).zip(strata) {
        let place = names.partition_point(|name| name < group);
        by_stratum.entry(*stratum).or_default().push((*subject, place));
    }
    let mut sums = Sums::new(names.len());
    for members in by_stratum.values() {
        sums.add(members, rho);
    }
    sums.test()
}

struct Sums {
    observed: Vec<f64>,
    expected: Vec<f64>,
    variance: DMatrix<f64>,
}

impl Sums {
    fn new(groups: usize) -> Self {
        let zero = vec![0.0; groups];
        let variance = DMatrix::zeros(groups, groups);
        Self { observed: zero.clone(), expected: zero, variance }
    }

    fn add(&mut self, members: &[(Followed, usize)], rho: f64) {
        let subjects: Vec<Followed> = members.iter().map(|m| m.0).collect();
        let groups = self.observed.len();
        let mut left = 1.0f64;
        for time in event_times(&subjects) {
            let (mut at_risk, mut events) = (vec![0.0; groups], vec![0.0; groups]);
            for (subject, group) in members.iter().filter(|m| m.0.at_risk(time)) {
                at_risk[*group] += 1.0;
                let here = subject.event && subject.exit.total_cmp(&time).is_eq();
                events[*group] += f64::from(u8::from(here));
            }
            let (n, d): (f64, f64) = (at_risk.iter().sum(), events.iter().sum());
            let weight = left.powf(rho);
            left *= 1.0 - d / n;
            let spread = if n > 1.0 { d * (n - d) / (n - 1.0) } else { 0.0 };
            for g in 0..groups {
                self.observed[g] += weight * events[g];
                self.expected[g] += weight * d * at_risk[g] / n;
                for h in 0..groups {
                    let same = f64::from(u8::from(g == h));
                    self.variance[(g, h)] += weight.powi(2)
                        * spread
                        * (at_risk[g] / n)
                        * (same - at_risk[h] / n);
                }
            }
        }
    }

    fn test(self) -> Result<LogRank, SurvivalRefused> {
        let used: Vec<usize> = (0..self.observed.len())
            .filter(|g| self.variance[(*g, *g)] > 0.0)
            .collect();
        let Some((_, free)) = used.split_last().filter(|(_, free)| !free.is_empty())
        else {
            return Err(SurvivalRefused::OneGroup(used.len()));
        };
        let distance = DVector::from_iterator(
            free.len(),
            free.iter().map(|g| self.observed[*g] - self.expected[*g]),
        );
        let variance = DMatrix::from_fn(free.len(), free.len(), |i, j| {
            self.variance[(free[i], free[j])]
        });
        let factor = variance.cholesky().ok_or(SurvivalRefused::OneGroup(1))?;
        let chi_square = factor.solve(&distance).dot(&distance);
        let events = self.observed.into_iter().zip(self.expected).collect();
        Ok(LogRank {
            chi_square,
            degrees: free.len(),
            p: chi_square_tail(chi_square, free.len()),
            events,
        })
    }
}

/// The chance that a chi-square with these degrees is larger.
pub(crate) fn chi_square_tail(statistic: f64, degrees: usize) -> f64 {
    ChiSquared::new(count(degrees)).map_or(1.0, |of| of.sf(statistic.max(0.0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::survival::tests::any_subjects;

    #[test]
    fn one_group_and_groups_never_at_risk_together_are_refused() {
        let of = |exit: u32, event| Followed::from_start(f64::from(exit), event);
        let all = [of(1, true), of(2, true), of(3, false)];
        let one = log_rank(&all, &[0; 3], &[0; 3], 0.0);
        assert_eq!(one, Err(SurvivalRefused::OneGroup(1)));
        let apart = log_rank(&all, &[0, 1, 2], &[0, 1, 2], 0.0);
        assert!(matches!(apart, Err(SurvivalRefused::OneGroup(_))), "{apart:?}");
        let short = log_rank(&all, &[0, 1], &[0; 3], 0.0);
        assert!(matches!(short, Err(SurvivalRefused::Lengths { .. })));
        let none = log_rank(&[of(1, false); 2], &[0, 1], &[0; 2], 0.0);
        assert_eq!(none, Err(SurvivalRefused::NoEvent));
    }

    proptest! {
        #[test]
        fn expected_events_sum_to_those_observed(subjects in any_subjects()) {
            let groups: Vec<usize> = (0..subjects.len()).map(|i| i % 3).collect();
            let strata: Vec<usize> = (0..subjects.len()).map(|i| i / 20).collect();
            let Ok(found) = log_rank(&subjects, &groups, &strata, 0.0) else {
                return Ok(());
            };
            let (observed, expected) = found
                .events
                .iter()
                .fold((0.0, 0.0), |sum, e| (sum.0 + e.0, sum.1 + e.1));
            prop_assert!((observed - expected).abs() < 1e-9);
            prop_assert!(found.chi_square >= 0.0 && (0.0..=1.0).contains(&found.p));
        }
    }
}

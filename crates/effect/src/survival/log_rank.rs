//! Whether groups differ in their times: the log-rank test, in strata, and the weighted
//! one of Peto and Peto (Harrington and Fleming 1982, Biometrika 69:553).
//!
//! Members of a family leave together, and then the usual variance is too small. With
//! clusters it is that of the sums over clusters of what each subject adds to observed less
//! expected (Lee, Wei and Amato 1992; the robust score test of Lin and Wei 1989, JASA
//! 84:1074): right for many clusters, however their members depend on each other.
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
    tested(subjects, groups, strata, None, rho)
}

/// The same with the variance over clusters, numbered.
pub fn log_rank_clustered(
    subjects: &[Followed],
    groups: &[usize],
    strata: &[usize],
    clusters: &[u64],
    rho: f64,
) -> Result<LogRank, SurvivalRefused> {
    same_length("clusters", clusters.len(), subjects.len())?;
    tested(subjects, groups, strata, Some(clusters), rho)
}

fn tested(
    subjects: &[Followed],
    groups: &[usize],
    strata: &[usize],
    clusters: Option<&[u64]>,
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
    let mut by_stratum: BTreeMap<usize, Vec<Member>> = BTreeMap::new();
    for (i, ((subject, group), stratum)) in
        subjects.iter().zip(groups).zip(strata).enumerate()
    {
        let group = names.partition_point(|name| name < group);
        let cluster = clusters.and_then(|of| of.get(i)).copied();
        let member = Member { subject: *subject, group, cluster: cluster.unwrap_or(0) };
        by_stratum.entry(*stratum).or_default().push(member);
    }
    let mut sums = Sums::new(names.len());
    for members in by_stratum.values() {
        sums.add(members, rho);
    }
    if clusters.is_some() {
        sums.variance = sums.over_clusters();
    }
    sums.test()
}

/// A subject with its group and its cluster.
#[derive(Clone, Copy)]
struct Member {
    subject: Followed,
    group: usize,
    cluster: u64,
}

struct Sums {
    observed: Vec<f64>,
    expected: Vec<f64>,
    variance: DMatrix<f64>,
    /// What each cluster adds to observed less expected, by group.
    clusters: BTreeMap<u64, DVector<f64>>,
}

impl Sums {
    fn new(groups: usize) -> Self {
        let zero = vec![0.0; groups];
        let variance = DMatrix::zeros(groups, groups);
        let clusters = BTreeMap::new();
        Self { observed: zero.clone(), expected: zero, variance, clusters }
    }

    fn over_clusters(&self) -> DMatrix<f64> {
        let size = self.observed.len();
        let squares = self.clusters.values().map(|sum| sum * sum.transpose());
        squares.fold(DMatrix::zeros(size, size), |all, one| all + one)
    }

    fn add(&mut self, members: &[Member], rho: f64) {
        let subjects: Vec<Followed> = members.iter().map(|m| m.subject).collect();
        let groups = self.observed.len();
        let mut left = 1.0f64;
        for time in event_times(&subjects) {
            let (mut at_risk, mut events) = (vec![0.0; groups], vec![0.0; groups]);
            let here = |m: &Member| {
                let now = m.subject.exit.total_cmp(&time).is_eq();
                f64::from(u8::from(m.subject.event && now))
            };
            for member in members.iter().filter(|m| m.subject.at_risk(time)) {
                at_risk[member.group] += 1.0;
                events[member.group] += here(member);
            }
            let (n, d): (f64, f64) = (at_risk.iter().sum(), events.iter().sum());
            let weight = left.powf(rho);
            left *= 1.0 - d / n;
            for member in members.iter().filter(|m| m.subject.at_risk(time)) {
                let moves = weight * (here(member) - d / n);
                let sum = self.clusters.entry(member.cluster);
                let sum = sum.or_insert_with(|| DVector::zeros(groups));
                for (g, sum) in sum.iter_mut().enumerate() {
                    let own = f64::from(u8::from(g == member.group));
                    *sum += moves * (own - at_risk[g] / n);
                }
            }
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

    /// By hand, for four subjects: the parts of observed less expected in group 0.
    #[test]
    fn clusters_of_one_give_the_robust_score_test() {
        let of = |exit: u32, event| Followed::from_start(f64::from(exit), event);
        let all = [of(1, true), of(2, true), of(3, true), of(4, false)];
        let groups = [0, 1, 0, 1];
        // At 1: 2 of 4 are of group 0, hazard 1/4; at 2: 1 of 3, 1/3; at 3: 1 of 2, 1/2.
        let (a, b, c) = (1.0 / 4.0, 1.0 / 3.0, 1.0 / 2.0);
        let first = (1.0 - a) * 0.5;
        let second = -a * -0.5 + (1.0 - b) * (-1.0 / 3.0);
        let third = -a * 0.5 - b * (2.0 / 3.0) + (1.0 - c) * 0.5;
        let fourth = -a * -0.5 - b * (-1.0 / 3.0) - c * -0.5;
        let parts: [f64; 4] = [first, second, third, fourth];
        let sum: f64 = parts.iter().sum();
        let plain = log_rank(&all, &groups, &[0; 4], 0.0).unwrap();
        assert!((plain.events[0].0 - plain.events[0].1 - sum).abs() < 1e-12);
        let variance = |pairs: &[&[usize]]| -> f64 {
            let square =
                |c: &&[usize]| c.iter().map(|i| parts[*i]).sum::<f64>().powi(2);
            pairs.iter().map(square).sum()
        };
        let found = |clusters: [u64; 4]| {
            log_rank_clustered(&all, &groups, &[0; 4], &clusters, 0.0)
                .unwrap()
                .chi_square
        };
        let alone = sum * sum / variance(&[&[0], &[1], &[2], &[3]]);
        assert!((found([7, 3, 1, 9]) - alone).abs() < 1e-12);
        let paired = sum * sum / variance(&[&[0, 2], &[1, 3]]);
        assert!((found([1, 2, 1, 2]) - paired).abs() < 1e-12);
    }

    /// Subjects twice over, each with its double, are no more evidence than once.
    #[test]
    fn doubles_in_a_cluster_add_nothing() {
        let of = |i: u32| {
            Followed::from_start(f64::from(1 + i * 7 % 13), !i.is_multiple_of(3))
        };
        let once: Vec<Followed> = (0..60).map(of).collect();
        let groups: Vec<usize> = (0..60).map(|i| i % 2).collect();
        let clusters: Vec<u64> = (0..60).collect();
        let strata = vec![0; 60];
        let single =
            log_rank_clustered(&once, &groups, &strata, &clusters, 0.0).unwrap();
        let twice = |of: &[usize]| [of, of].concat();
        let double = log_rank_clustered(
            &[&once[..], &once[..]].concat(),
            &twice(&groups),
            &twice(&strata),
            &[&clusters[..], &clusters[..]].concat(),
            0.0,
        );
        let double = double.unwrap();
        assert!((double.chi_square - single.chi_square).abs() < 1e-9);
        let naive =
            log_rank(&[&once[..], &once[..]].concat(), &twice(&groups), &[0; 120], 0.0);
        let plain = log_rank(&once, &groups, &strata, 0.0).unwrap();
        assert!(naive.unwrap().chi_square > 1.5 * plain.chi_square.max(1e-9));
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

//! Where those who left went to: the share that has had each kind of event (Aalen and
//! Johansen 1978).
//!
//! **Invariant:** at every time the shares of all kinds and of those without an event sum
//! to one. One less a curve for one kind alone, with others as censored, overstates it.

use std::collections::BTreeMap;

use super::{Followed, SurvivalRefused, admit, event_times, same_length};
use crate::occupancy::weekly::{Share, on_logits_by};
use crate::regression::count;
use crate::student::quantile;

/// A subject with the kind of its event, numbered from 0; `None` if there was none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Left {
    /// After which time at risk.
    pub entry: f64,
    /// Until which.
    pub exit: f64,
    /// What happened at `exit`.
    pub kind: Option<usize>,
    /// Its family: errors are over these.
    pub cluster: u64,
}

/// Shares by time.
#[derive(Clone, Debug, PartialEq)]
pub struct Destinations {
    /// Times with events, in order.
    pub times: Vec<f64>,
    /// For each time: share without an event, then of each kind.
    pub shares: Vec<Vec<f64>>,
    /// Standard errors of them: infinitesimal jackknife over clusters.
    pub standard_errors: Vec<Vec<f64>>,
}

/// The shares by time of `kinds` kinds of event.
pub fn destinations(
    subjects: &[Left],
    kinds: usize,
) -> Result<Destinations, SurvivalRefused> {
    let followed: Vec<Followed> = subjects
        .iter()
        .map(|s| Followed { entry: s.entry, exit: s.exit, event: s.kind.is_some() })
        .collect();
    admit(&followed)?;
    let most = subjects.iter().filter_map(|s| s.kind).max();
    let Some(most) = most else { return Err(SurvivalRefused::NoEvent) };
    same_length("kinds", kinds, kinds.max(most + 1))?;
    let times = event_times(&followed);
    let mut state = State::new(subjects.len(), kinds);
    let (mut shares, mut standard_errors) = (Vec::new(), Vec::new());
    for time in &times {
        state.step(subjects, &followed, *time);
        shares.push(state.shares.clone());
        standard_errors.push(state.errors(subjects));
    }
    Ok(Destinations { times, shares, standard_errors })
}

impl Destinations {
    /// The share of one kind (0 is without an event) at a time, with its interval on the
    /// logit scale.
    pub fn at(&self, kind: usize, time: f64) -> Option<Share> {
        let place = self.times.partition_point(|t| *t <= time).checked_sub(1);
        let Some(place) = place else {
            let value = f64::from(u8::from(kind == 0));
            return Some(Share { value, low: value, high: value });
        };
        let (value, se) =
            (self.shares[place].get(kind)?, self.standard_errors[place].get(kind)?);
        Some(on_logits_by(*value, *se, quantile(0.975, None)))
    }
}

/// Shares up to a time, and what each subject moves them by, were it counted once more.
struct State {
    shares: Vec<f64>,
    moves: Vec<Vec<f64>>,
}

impl State {
    fn new(subjects: usize, kinds: usize) -> Self {
        let mut shares = vec![0.0; kinds + 1];
        shares[0] = 1.0;
        Self { shares, moves: vec![vec![0.0; kinds + 1]; subjects] }
    }

    fn step(&mut self, subjects: &[Left], followed: &[Followed], time: f64) {
        let at_risk: Vec<bool> = followed.iter().map(|f| f.at_risk(time)).collect();
        let n = count(at_risk.iter().filter(|a| **a).count());
        let here = |i: usize| {
            let s = subjects[i];
            s.kind.filter(|_| s.exit.total_cmp(&time).is_eq())
        };
        let mut hazard = vec![0.0; self.shares.len()];
        for kind in (0..subjects.len()).filter_map(here) {
            hazard[kind + 1] += 1.0 / n;
        }
        let all: f64 = hazard.iter().sum();
        let left = self.shares[0];
        for (i, moves) in self.moves.iter_mut().enumerate() {
            let own = moves[0];
            let mut lost = 0.0;
            for (kind, hazard) in hazard.iter().enumerate().skip(1) {
                let event = f64::from(u8::from(here(i) == Some(kind - 1)));
                let risk = f64::from(u8::from(at_risk[i]));
                let by = (event - risk * hazard) / n;
                moves[kind] += own * hazard + left * by;
                lost += by;
            }
            moves[0] = own * (1.0 - all) - left * lost;
        }
        for (share, hazard) in self.shares.iter_mut().zip(&hazard).skip(1) {
            *share += left * hazard;
        }
        self.shares[0] = (left * (1.0 - all)).max(0.0);
    }

    fn errors(&self, subjects: &[Left]) -> Vec<f64> {
        let mut sums: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for (subject, moves) in subjects.iter().zip(&self.moves) {
            let sum =
                sums.entry(subject.cluster).or_insert_with(|| vec![0.0; moves.len()]);
            sum.iter_mut().zip(moves).for_each(|(sum, by)| *sum += by);
        }
        let of = |kind: usize| {
            sums.values().map(|sum| sum[kind] * sum[kind]).sum::<f64>().sqrt()
        };
        (0..self.shares.len()).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn odd_subjects_are_refused() {
        let good = Left { entry: 0.0, exit: 1.0, kind: Some(1), cluster: 0 };
        assert_eq!(destinations(&[], 2), Err(SurvivalRefused::Nobody));
        let nan = Left { exit: f64::NAN, ..good };
        assert_eq!(destinations(&[good, nan], 2), Err(SurvivalRefused::Time(1)));
        let none = Left { kind: None, ..good };
        assert_eq!(destinations(&[none], 2), Err(SurvivalRefused::NoEvent));
        assert!(destinations(&[good], 1).unwrap_err().to_string().contains("1 kinds"));
    }

    proptest! {
        #[test]
        fn shares_sum_to_one_and_errors_are_finite(
            of in prop::collection::vec((0u8..9, 1u8..9, 0usize..4), 1..50)
        ) {
            let subjects: Vec<Left> = (0u64..)
                .zip(&of)
                .map(|(i, (entry, more, kind))| Left {
                    entry: f64::from(*entry),
                    exit: f64::from(*entry) + f64::from(*more),
                    kind: kind.checked_sub(1),
                    cluster: i / 2,
                })
                .collect();
            let Ok(found) = destinations(&subjects, 3) else { return Ok(()) };
            for (shares, errors) in found.shares.iter().zip(&found.standard_errors) {
                prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                prop_assert!(shares.iter().all(|s| (-1e-12..=1.0 + 1e-12).contains(s)));
                prop_assert!(errors.iter().all(|e| e.is_finite()));
            }
            for kind in 0..4 {
                let share = found.at(kind, 100.0).unwrap();
                prop_assert!(share.low <= share.high);
            }
        }
    }
}

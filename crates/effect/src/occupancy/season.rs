//! Occupancy of sites by repeated visits: one season (`MacKenzie` et al. 2002) and several
//! (`MacKenzie` et al. 2003), the textbook form of a model of organisations.
//!
//! A site is used or not, and stays so within a season; each visit to a used site detects
//! use with chance p. Between seasons use ends with chance ε and begins with chance γ.
//!
//! **Invariant:** a season without a visit says nothing and changes nothing; a site never
//! detected counts as it should, used and missed or not used.

use std::collections::BTreeMap;

use crate::interval::as_f64;
use crate::occupancy::capture::{Probability, of_logit};
use crate::occupancy::optimum::{Objective, logistic, minimise};

/// Visits to a site in one season, and how many of them detected use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Season {
    /// Visits.
    pub visits: u32,
    /// Visits that detected use.
    pub detections: u32,
}

/// Histories of sites; equal histories are kept once, with their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sites {
    seasons: usize,
    histories: BTreeMap<Vec<Season>, u64>,
}

/// Why nothing could be estimated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSites {
    /// Histories differ in length, or there is none.
    #[error("site {site} has {found} seasons, the first has {expected}")]
    Shape {
        /// Which site, from 0.
        site: usize,
        /// Its seasons.
        found: usize,
        /// Those of the first.
        expected: usize,
    },
    /// More detections than visits.
    #[error("site {site}: more detections than visits")]
    TooManyDetections {
        /// Which site, from 0.
        site: usize,
    },
    /// No season of any site has two visits.
    #[error("no site was visited twice in a season: nothing tells use from detection")]
    NoRepeats,
    /// The likelihood has no top inside.
    #[error("the likelihood is greatest where a probability is 0 or 1")]
    Boundary,
}

/// What the histories say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Occupancy {
    /// Chance that a site is used in the first season.
    pub psi: Probability,
    /// Chance of a visit to detect use.
    pub p: Probability,
    /// Between seasons, if there are two or more: chance that use ends, that it begins.
    pub turnover: Option<(Probability, Probability)>,
    /// Akaike's criterion.
    pub aic: f64,
}

impl Sites {
    /// Takes the histories, one a site.
    pub fn new(
        histories: impl IntoIterator<Item = Vec<Season>>,
    ) -> Result<Self, BadSites> {
        let mut counted: BTreeMap<Vec<Season>, u64> = BTreeMap::new();
        let mut seasons = None;
        let mut repeats = false;
        for (site, history) in histories.into_iter().enumerate() {
            let expected = *seasons.get_or_insert(history.len());
            if history.len() != expected || expected == 0 {
                return Err(BadSites::Shape { site, found: history.len(), expected });
            }
            if history.iter().any(|s| s.detections > s.visits) {
                return Err(BadSites::TooManyDetections { site });
            }
            repeats |= history.iter().any(|s| s.visits >= 2);
            *counted.entry(history).or_default() += 1;
        }
        if !repeats {
            return Err(BadSites::NoRepeats);
        }
        Ok(Self { seasons: seasons.unwrap_or(0), histories: counted })
    }

    /// Fits the model with constant probabilities.
    pub fn occupancy(&self) -> Result<Occupancy, BadSites> {
        let parameters = if self.seasons > 1 { 4 } else { 2 };
        let start = [0.0, 0.0, -1.0, -1.0];
        let minimum = minimise(self, &start[..parameters], &[1.0; 4][..parameters]);
        let probability = |i| {
            if minimum.converged { of_logit(&minimum, i) } else { None }
                .ok_or(BadSites::Boundary)
        };
        let turnover = if self.seasons > 1 {
            Some((probability(2)?, probability(3)?))
        } else {
            None
        };
        Ok(Occupancy {
            psi: probability(0)?,
            p: probability(1)?,
            turnover,
            aic: 2.0 * minimum.value
                + 2.0 * f64::from(u8::try_from(parameters).unwrap_or(u8::MAX)),
        })
    }
}

impl Objective for Sites {
    /// Minus the log-likelihood by logits of psi, p, ε, γ. The gradient is the expected
    /// score of the complete data (Fisher's identity), by forward and backward sums.
    fn evaluate(&self, at: &[f64]) -> (f64, Vec<f64>) {
        let (psi, p) = (logistic(at[0]), logistic(at[1]));
        let turnover = |i: usize| at.get(i).map_or(0.0, |x| logistic(*x));
        let (ends, begins) = (turnover(2), turnover(3));
        let (mut value, mut gradient) = (0.0, vec![0.0; at.len()]);
        for (history, count) in &self.histories {
            let count = as_f64(*count);
            let emission = |s: &Season| {
                let missed = s.visits - s.detections;
                let used = p.powi(whole(s.detections)) * (1.0 - p).powi(whole(missed));
                [if s.detections == 0 { 1.0 } else { 0.0 }, used]
            };
            // forward[t] sums to one over [not used, used].
            let mut forward: Vec<[f64; 2]> = Vec::with_capacity(history.len());
            let mut log = 0.0;
            for season in history {
                let prior = forward.last().map_or([1.0 - psi, psi], |last| {
                    let used = last[1] * (1.0 - ends) + last[0] * begins;
                    [1.0 - used, used]
                });
                let e = emission(season);
                let joint = [prior[0] * e[0], prior[1] * e[1]];
                let sum = (joint[0] + joint[1]).max(f64::MIN_POSITIVE);
                log += sum.ln();
                forward.push([joint[0] / sum, joint[1] / sum]);
            }
            value -= count * log;
            let mut later = [1.0, 1.0];
            for (t, season) in history.iter().enumerate().rev() {
                let sum = forward[t][0] * later[0] + forward[t][1] * later[1];
                let used = forward[t][1] * later[1] / sum;
                let missed = f64::from(season.visits - season.detections);
                gradient[1] -= count
                    * used
                    * (f64::from(season.detections) * (1.0 - p) - missed * p);
                if t == 0 {
                    gradient[0] -= count * (used - psi);
                    break;
                }
                let e = emission(season);
                let (off, on) = (e[0] * later[0], e[1] * later[1]);
                let before = forward[t - 1];
                let path = [
                    before[0] * (1.0 - begins) * off,
                    before[0] * begins * on,
                    before[1] * ends * off,
                    before[1] * (1.0 - ends) * on,
                ];
                let all: f64 = path.iter().sum::<f64>().max(f64::MIN_POSITIVE);
                gradient[2] -= count * (path[2] * (1.0 - ends) - path[3] * ends) / all;
                gradient[3] -=
                    count * (path[1] * (1.0 - begins) - path[0] * begins) / all;
                later = [
                    ((1.0 - begins) * off + begins * on) / all,
                    (ends * off + (1.0 - ends) * on) / all,
                ];
            }
        }
        (value, gradient)
    }

    fn weight(&self) -> f64 {
        as_f64(self.histories.values().sum::<u64>().max(1))
    }
}

fn whole(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::occupancy::optimum::tests::assert_gradient;

    fn season(detections: u32, visits: u32) -> Season {
        Season { visits, detections }
    }

    #[test]
    fn the_likelihood_is_the_sum_over_all_paths() {
        let history = vec![season(1, 3), season(0, 2), season(0, 0), season(2, 4)];
        let sites = Sites::new([history.clone()]).unwrap();
        let at = [0.4, -0.3, -1.2, -0.8];
        let [psi, p, ends, begins] = at.map(logistic);
        let mut sum = 0.0;
        for path in 0..16u32 {
            let used = |t: usize| path >> t & 1 == 1;
            let mut chance = if used(0) { psi } else { 1.0 - psi };
            for (t, s) in history.iter().enumerate() {
                chance *= match (used(t), s.detections) {
                    (false, 0) => 1.0,
                    (false, _) => 0.0,
                    (true, d) => p.powi(whole(d)) * (1.0 - p).powi(whole(s.visits - d)),
                };
                if t > 0 {
                    chance *= match (used(t - 1), used(t)) {
                        (true, true) => 1.0 - ends,
                        (true, false) => ends,
                        (false, true) => begins,
                        (false, false) => 1.0 - begins,
                    };
                }
            }
            sum += chance;
        }
        assert!((sites.evaluate(&at).0 + sum.ln()).abs() < 1e-12);
        assert_gradient(&sites, &at);
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        assert_eq!(Sites::new([vec![season(1, 1)]]), Err(BadSites::NoRepeats));
        assert_eq!(Sites::new([]), Err(BadSites::NoRepeats));
        let all = Sites::new(vec![vec![season(3, 3)]; 9]).unwrap();
        assert_eq!(all.occupancy(), Err(BadSites::Boundary));
        let none = Sites::new(vec![vec![season(0, 3)]; 9]).unwrap();
        assert_eq!(none.occupancy(), Err(BadSites::Boundary));
        let uneven = Sites::new([vec![season(0, 3)], vec![]]);
        assert!(matches!(uneven, Err(BadSites::Shape { site: 1, .. })));
    }

    /// 40,000 sites over four seasons, drawn with psi .6, p .4, ε .25, γ .1: each count is
    /// the expected one, so the estimates are the truth but for rounding.
    #[test]
    fn several_seasons_give_back_what_they_were_made_with() {
        let (psi, p, ends, begins) = (0.6, 0.4, 0.25, 0.1);
        let mut histories = Vec::new();
        for code in 0..4u32.pow(4) {
            let history: Vec<Season> =
                (0..4).map(|t| season(code / 4u32.pow(t) % 4, 3)).collect();
            let at = [psi, p, ends, begins].map(crate::occupancy::optimum::logit);
            let one = Sites::new([history.clone()]).unwrap();
            let ways: f64 = history
                .iter()
                .map(|s| [1.0, 3.0, 3.0, 1.0][s.detections as usize])
                .product();
            let chance = (-one.evaluate(&at).0).exp() * ways;
            let expected = (chance * 40_000.0).round();
            let count = (0..40_000usize)
                .take_while(|n| as_f64(u64::try_from(*n).unwrap()) < expected)
                .count();
            histories.extend(std::iter::repeat_n(history, count));
        }
        let found = Sites::new(histories).unwrap().occupancy().unwrap();
        let (e, g) = found.turnover.unwrap();
        for (found, truth) in [(found.psi, psi), (found.p, p), (e, ends), (g, begins)] {
            assert!((found.value - truth).abs() < 0.01, "{found:?} {truth}");
            assert!((found.value - truth).abs() < 3.0 * found.se, "{found:?} {truth}");
        }
    }
}

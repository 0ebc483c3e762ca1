//! Sightings that are no use: scanners, visitors, mistakes.
//!
//! * [`lone_rate`]: how often an organisation that does not use the product is seen on a
//!   lone day, from those that were never seen but so; [`crate::occupancy::weekly`] takes
//!   it as its chance of noise;
//! * [`rogan_gladen`]: a share as observed, freed from known rates of error;
//! * [`calibration`]: whether scores are the probabilities they claim to be;
//! * [`cadence`]: whether days seen come from a schedule or from one visit.
//!
//! **Invariant:** nothing is deleted here; noise is a rate with an interval, and what it
//! does to a figure is a second figure beside the first.

pub mod cadence;
pub mod calibration;

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tidegauge_model::OrgId;
use tidegauge_model::panel::Panel;

use crate::activity::organisations;
use crate::interval::as_f64;
use crate::occupancy::weekly::Share;
use crate::proportion::{Rate, garwood};

/// A rate of noise, or a corrected share, that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoiseRefused {
    /// Rule `panel-needed`.
    #[error(
        "rule panel-needed: {weeks} weeks, {lone} organisations seen once and {never} \
         never; a rate needs a week, and more never seen than once"
    )]
    NoPanel {
        /// Weeks of the panel.
        weeks: usize,
        /// Organisations seen on one day.
        lone: u64,
        /// Organisations looked at and never seen.
        never: u64,
    },
    /// A count out of its total.
    #[error("rule counts-valid: {k} of {n} is no share of {what}")]
    Counts {
        /// What was counted.
        what: &'static str,
        /// Numerator.
        k: u64,
        /// Denominator.
        n: u64,
    },
    /// Rule `test-informative`.
    #[error(
        "rule test-informative: sensitivity and specificity sum to 1 or less, so that what \
         is observed does not depend on the truth"
    )]
    Uninformative,
    /// A score outside 0 to 1.
    #[error("score {0} is not between 0 and 1")]
    Score(usize),
    /// Rule `classes-needed`.
    #[error("rule classes-needed: {positive} of {n} are true; both kinds are needed")]
    OneClass {
        /// True ones.
        positive: usize,
        /// All.
        n: usize,
    },
    /// Rule `sightings-min`.
    #[error("rule sightings-min: {0} days seen; a cadence needs at least {least}", least = cadence::SIGHTINGS_MIN)]
    FewSightings(usize),
    /// A chance outside its range, or days out of order.
    #[error("{0}")]
    Invalid(&'static str),
}

/// Lone sightings a week at an organisation that does not use the product: organisations
/// seen on exactly one day of `panel`, over the weeks of those `looked_at` (in footprint,
/// with contacts or without) that were never seen. For chances that are alike and small
/// that ratio is the rate, whatever the users do (Poisson). Real users seen once are among
/// the lone, so this is an upper bound.
pub fn lone_rate(panel: &Panel, looked_at: u64) -> Result<Rate, NoiseRefused> {
    let weeks = panel.days.weeks().count();
    let mut days: BTreeMap<&OrgId, u32> = BTreeMap::new();
    let united = organisations(panel);
    for history in &united {
        *days.entry(&history.organisation).or_default() +=
            history.seen_days(panel.days, panel.days);
    }
    let number = |of: fn(u32) -> bool| {
        u64::try_from(days.values().filter(|d| of(**d)).count()).unwrap_or(u64::MAX)
    };
    let (lone, seen) = (number(|d| d == 1), number(|d| d > 0));
    let never = looked_at.saturating_sub(seen);
    let refused = NoiseRefused::NoPanel { weeks, lone, never };
    if weeks == 0 || never <= lone {
        return Err(refused);
    }
    let exposure = as_f64(never) * as_f64(u64::try_from(weeks).unwrap_or(1));
    garwood(lone, exposure).map_err(|_| refused)
}

/// A count of successes out of a total, by which a rate was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Successes.
    pub k: u64,
    /// Total.
    pub n: u64,
}

impl Counted {
    fn share(self, what: &'static str) -> Result<f64, NoiseRefused> {
        if self.n == 0 || self.k > self.n {
            return Err(NoiseRefused::Counts { what, k: self.k, n: self.n });
        }
        Ok(as_f64(self.k) / as_f64(self.n))
    }

    fn drawn(self, random: &mut Pcg64Mcg) -> f64 {
        let p = as_f64(self.k) / as_f64(self.n);
        let hits = (0..self.n).filter(|_| random.random::<f64>() < p).count();
        as_f64(u64::try_from(hits).unwrap_or(0)) / as_f64(self.n)
    }
}

/// Draws of the bootstrap; 999 give exact 2.5 % and 97.5 % order statistics.
const REPLICATES: usize = 999;

/// The share that a test with these rates of error found `observed`:
/// `(p + spec - 1) / (sens + spec - 1)` (Rogan and Gladen 1978, Am J Epidemiol 107:71),
/// kept within 0 to 1. The interval is a bootstrap of all three samples from `seed`.
pub fn rogan_gladen(
    observed: Counted,
    sensitivity: Counted,
    specificity: Counted,
    seed: u64,
) -> Result<Share, NoiseRefused> {
    let p = observed.share("what was observed")?;
    let sens = sensitivity.share("the sensitivity")?;
    let spec = specificity.share("the specificity")?;
    let corrected = |p: f64, sens: f64, spec: f64| {
        let informed = sens + spec - 1.0;
        (informed > 0.0).then(|| ((p + spec - 1.0) / informed).clamp(0.0, 1.0))
    };
    let value = corrected(p, sens, spec).ok_or(NoiseRefused::Uninformative)?;
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let mut drawn: Vec<f64> = (0..REPLICATES)
        .filter_map(|_| {
            let p = observed.drawn(&mut random);
            let sens = sensitivity.drawn(&mut random);
            corrected(p, sens, specificity.drawn(&mut random))
        })
        .collect();
    // A test that is uninformative in one draw of twenty has no 95 % interval.
    if drawn.len() * 20 < REPLICATES * 19 {
        return Err(NoiseRefused::Uninformative);
    }
    drawn.sort_by(f64::total_cmp);
    let place = |share: usize| (drawn.len() + 1) * share / 1000;
    let (low, high) = (drawn[place(25).max(1) - 1], drawn[place(975).max(1) - 1]);
    Ok(Share { value, low: low.min(value), high: high.max(value) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::removal::tests::panel;

    /// Rogan and Gladen's formula by hand: (.2 + .95 - 1) / (.9 + .95 - 1) = .17647.
    #[test]
    fn a_share_is_freed_from_known_errors() {
        let of = |k, n| Counted { k, n };
        let found = rogan_gladen(of(200, 1000), of(90, 100), of(190, 200), 1).unwrap();
        assert!((found.value - 0.15 / 0.85).abs() < 1e-12);
        assert!(found.low < 0.15 && found.high > 0.2, "{found:?}");
        assert!(found.low > 0.08 && found.high < 0.26, "{found:?}");
    }

    #[test]
    fn a_test_that_says_nothing_is_refused() {
        let of = |k, n| Counted { k, n };
        let none = rogan_gladen(of(1, 2), of(1, 2), of(1, 2), 1);
        assert_eq!(none, Err(NoiseRefused::Uninformative));
        let empty = rogan_gladen(of(1, 2), of(0, 0), of(1, 2), 1);
        assert!(empty.unwrap_err().to_string().contains("0 of 0"));
    }

    #[test]
    fn lone_days_of_those_who_are_no_users_give_the_rate() {
        let mut of = vec![(1, 0); 30];
        of.extend([(4, 4); 20]);
        let panel = panel(&of, 1);
        let weeks = as_f64(u64::try_from(panel.days.weeks().count()).unwrap());
        let rate = lone_rate(&panel, 1_020).unwrap();
        assert!((rate.value - 30.0 / (970.0 * weeks)).abs() < 1e-12);
        assert!(rate.low < rate.value && rate.value < rate.high);
        assert!(matches!(lone_rate(&panel, 20), Err(NoiseRefused::NoPanel { .. })));
    }
}

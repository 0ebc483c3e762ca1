//! How long the rest will last: curves of leaving, fitted to what was seen period by
//! period and carried on (methods, section 8).
//!
//! Four curves compete: a constant hazard, Weibull's, Gompertz's, and Weibull's with a
//! share that never leaves. They are weighed by how well each, fitted to an earlier part,
//! foretold the later one (stacking; Wolpert 1992).
//!
//! **Invariant:** "not reached" is an answer. It is given where the floor of those who
//! never leave, with its interval, is not below the target; a date is never made from a
//! curve that has no such date.

mod curve;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::comparison::synthetic::simplex_weights;
use crate::interval::as_f64;
use crate::occupancy::weekly::Share;
use crate::regression::count;

pub use curve::{Curve, Kind};

/// Organisations at risk in a period, and of these removed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Using the product when the period began, visibility taken out.
    pub at_risk: u64,
    /// Of these no longer using it when it ended.
    pub removed: u64,
}

/// Periods below which no curve is fitted.
pub const PERIODS_MIN: usize = 6;
/// Periods below which curves cannot be weighed by foretelling: they count alike.
pub const STACKING_MIN: usize = 10;
/// The farthest ahead, in lengths of what was seen, that a curve is carried.
pub const AHEAD_MAX: usize = 10;

/// A forecast that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForecastRefused {
    /// Rule `periods-min`.
    #[error("rule periods-min: {0} periods; a curve needs at least {PERIODS_MIN}")]
    FewPeriods(usize),
    /// Counts that cannot be.
    #[error("period {0} has nobody at risk, or more removed than at risk")]
    Counts(usize),
    /// Rule `removal-needed`.
    #[error("rule removal-needed: nobody left, so there is no curve to carry on")]
    NobodyLeft,
    /// Targets and times outside their range.
    #[error("{0}")]
    Invalid(&'static str),
    /// No curve could be fitted.
    #[error("no curve of leaving could be fitted")]
    NoCurve,
}

/// The weighted curves.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// Each curve with its weight.
    pub curves: Vec<(Curve, f64)>,
    /// Largest distance, in shares, between what the weighted curves foretold from earlier
    /// parts and what came; `None` where there were too few periods to try.
    pub foretold_within: Option<f64>,
    /// Share that never leaves, by the curve that allows it, with its interval.
    pub floor: Option<Share>,
    draws: Vec<Curve>,
    periods: usize,
}

/// When a share will be left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reached {
    /// After so many periods from the start.
    After {
        /// By the weighted curves.
        value: f64,
        /// Lower end of the middle 95 % of draws.
        low: f64,
        /// Upper end; `None` if more than 2.5 % of draws never get there.
        high: Option<f64>,
    },
    /// Not by any date that can be told: the floor may lie above the target, or it lies
    /// farther ahead than [`AHEAD_MAX`] times what was seen.
    NotReached,
}

/// Draws of the curves for intervals.
const DRAWS: usize = 400;
/// Earlier parts from which the later are foretold.
const ORIGINS: usize = 3;
/// Periods ahead that are foretold from each.
const HORIZON: usize = 6;

/// Fits and weighs the curves. `seed` draws the intervals.
pub fn forecast(periods: &[Period], seed: u64) -> Result<Forecast, ForecastRefused> {
    if periods.len() < PERIODS_MIN {
        return Err(ForecastRefused::FewPeriods(periods.len()));
    }
    let bad = |p: &Period| p.at_risk == 0 || p.removed > p.at_risk;
    if let Some(place) = periods.iter().position(bad) {
        return Err(ForecastRefused::Counts(place));
    }
    if periods.iter().all(|p| p.removed == 0) {
        return Err(ForecastRefused::NobodyLeft);
    }
    let fitted: Vec<Curve> =
        Kind::ALL.iter().filter_map(|kind| Curve::fit(*kind, periods)).collect();
    if fitted.is_empty() {
        return Err(ForecastRefused::NoCurve);
    }
    let (weights, foretold_within) = weigh(&fitted, periods);
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let curves: Vec<(Curve, f64)> = fitted.into_iter().zip(weights).collect();
    let draws = (0..DRAWS).map(|_| draw(&curves, &mut random)).collect();
    let floor = curves.iter().find_map(|(curve, _)| curve.floor());
    Ok(Forecast { curves, foretold_within, floor, draws, periods: periods.len() })
}

/// Weights by foretelling, and the largest distance of what they foretold.
fn weigh(fitted: &[Curve], periods: &[Period]) -> (Vec<f64>, Option<f64>) {
    let alike = vec![1.0 / count(fitted.len()); fitted.len()];
    if periods.len() < STACKING_MIN {
        return (alike, None);
    }
    let (mut came, mut told) = (Vec::new(), vec![Vec::new(); fitted.len()]);
    for back in 0..ORIGINS {
        let origin = periods.len() - HORIZON + back;
        let earlier: Option<Vec<Curve>> =
            fitted.iter().map(|c| Curve::fit(c.kind(), &periods[..origin])).collect();
        let Some(earlier) = earlier else { continue };
        let mut left = 1.0;
        for (ahead, period) in periods[origin..].iter().enumerate() {
            left *= 1.0 - as_f64(period.removed) / as_f64(period.at_risk);
            came.push(left);
            for (told, curve) in told.iter_mut().zip(&earlier) {
                let base = curve.left(count(origin)).max(f64::MIN_POSITIVE);
                told.push(curve.left(count(origin + ahead + 1)) / base);
            }
        }
    }
    if came.is_empty() {
        return (alike, None);
    }
    let weights = simplex_weights(&came, &told).unwrap_or(alike);
    let distance = (0..came.len()).map(|place| {
        let sum = weights.iter().zip(&told).map(|(w, told)| w * told[place]);
        (sum.sum::<f64>() - came[place]).abs()
    });
    let distance = distance.fold(0.0, f64::max);
    (weights, Some(distance))
}

/// A curve by weight, with its numbers drawn from their normal approximation.
fn draw(curves: &[(Curve, f64)], random: &mut Pcg64Mcg) -> Curve {
    let mut left = random.random::<f64>();
    let under = |(_, weight): &&(Curve, f64)| {
        left -= weight;
        left < 0.0
    };
    let chosen = curves.iter().find(under).or(curves.last());
    let (curve, _) = chosen.expect("forecast keeps at least one curve");
    curve.drawn(random)
}

impl Forecast {
    /// The share left after so many periods from the start, with the middle 95 % of draws
    /// made wider by what the curves were wrong by when foretelling.
    pub fn left(&self, after: f64) -> Result<Share, ForecastRefused> {
        if !(0.0..=count(self.periods * AHEAD_MAX)).contains(&after) {
            return Err(ForecastRefused::Invalid(
                "a forecast reaches from the start to ten times the length of what was seen",
            ));
        }
        let value: f64 = self.curves.iter().map(|(c, w)| w * c.left(after)).sum();
        let value = value.clamp(0.0, 1.0);
        let drawn = sorted(self.draws.iter().map(|c| c.left(after)));
        let (low, high) = middle(&drawn);
        let ahead = after > count(self.periods);
        let wider = self.foretold_within.filter(|_| ahead).unwrap_or(0.0);
        let low = (low - wider).clamp(0.0, value);
        Ok(Share { value, low, high: (high + wider).clamp(value, 1.0) })
    }

    /// When only `target` of the start will be left.
    pub fn time_to(&self, target: f64) -> Result<Reached, ForecastRefused> {
        if !(target > 0.0 && target < 1.0) {
            return Err(ForecastRefused::Invalid("a target lies between 0 and 1"));
        }
        let most = count(self.periods * AHEAD_MAX);
        let mean = |after: f64| -> f64 {
            self.curves.iter().map(|(c, w)| w * c.left(after)).sum()
        };
        if self.floor.is_some_and(|f| f.high >= target) || mean(most) > target {
            return Ok(Reached::NotReached);
        }
        let value = until(most, |after| mean(after) > target);
        let times = sorted(self.draws.iter().map(|curve| {
            if curve.left(most) > target {
                f64::INFINITY
            } else {
                until(most, |after| curve.left(after) > target)
            }
        }));
        let (low, high) = middle(&times);
        let high = high.is_finite().then_some(high.max(value));
        Ok(Reached::After { value, low: low.min(value), high })
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn middle(sorted: &[f64]) -> (f64, f64) {
    let place = |thousandths: usize| (sorted.len() - 1) * thousandths / 1000;
    (sorted[place(25)], sorted[place(975)])
}

/// The time up to which `before` holds, between 0 and `most`.
fn until(most: f64, before: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, most);
    for _ in 0..80 {
        let time = f64::midpoint(low, high);
        if before(time) { low = time } else { high = time }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Expected counts of a curve, rounded.
    fn periods(n: usize, start: u64, left: impl Fn(f64) -> f64) -> Vec<Period> {
        let at = |t: usize| {
            let exact = as_f64(start) * left(count(t));
            (0..=start).find(|k| as_f64(*k) >= exact.floor()).unwrap()
        };
        (0..n).map(|t| Period { at_risk: at(t), removed: at(t) - at(t + 1) }).collect()
    }

    /// Methods, section 8: with .42 left after 7 months at a constant hazard, .1 is left
    /// after 18.6 months; with a floor of .2, never.
    #[test]
    fn a_constant_hazard_reaches_what_a_floor_never_does() {
        let hazard = (1.0f64 / 0.42).ln() / 7.0;
        let constant = periods(14, 20_000, |t| (-hazard * t).exp());
        let found = forecast(&constant, 1).unwrap();
        let Reached::After { value, low, high } = found.time_to(0.1).unwrap() else {
            panic!("{found:?}")
        };
        assert!((value - 18.6).abs() < 0.6, "{value}");
        assert!(low <= value && high.is_none_or(|h| h >= value));
        let floor = periods(14, 20_000, |t| 0.2 + 0.8 * (-0.3 * t).exp());
        let found = forecast(&floor, 1).unwrap();
        assert_eq!(found.time_to(0.1).unwrap(), Reached::NotReached);
        let share = found.floor.unwrap();
        assert!((share.value - 0.2).abs() < 0.02, "{share:?}");
        assert!(found.foretold_within.unwrap() < 0.03, "{found:?}");
    }

    #[test]
    fn what_cannot_be_carried_on_is_refused() {
        let some = Period { at_risk: 10, removed: 1 };
        let refused = |periods: &[Period]| forecast(periods, 1).unwrap_err();
        assert_eq!(refused(&[]), ForecastRefused::FewPeriods(0));
        assert_eq!(refused(&[some; 5]), ForecastRefused::FewPeriods(5));
        let mut bad = vec![some; 8];
        bad[3].removed = 11;
        assert_eq!(refused(&bad), ForecastRefused::Counts(3));
        bad[3] = Period { at_risk: 0, removed: 0 };
        assert_eq!(refused(&bad), ForecastRefused::Counts(3));
        let quiet = [Period { removed: 0, ..some }; 8];
        assert_eq!(refused(&quiet), ForecastRefused::NobodyLeft);
        let found = forecast(&[some; 8], 1).unwrap();
        for target in [0.0, 1.0, f64::NAN] {
            assert!(matches!(found.time_to(target), Err(ForecastRefused::Invalid(_))));
        }
        assert!(found.left(81.0).is_err() && found.left(f64::NAN).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_is_left_falls_and_stays_a_share(
            of in prop::collection::vec((1u64..500, 0.0f64..=1.0), 6..14), seed in any::<u64>()
        ) {
            let periods: Vec<Period> = of
                .iter()
                .map(|(at_risk, share)| {
                    let removed =
                        (0..=*at_risk).find(|k| as_f64(*k) >= (share * as_f64(*at_risk)).floor());
                    Period { at_risk: *at_risk, removed: removed.unwrap() }
                })
                .collect();
            let Ok(found) = forecast(&periods, seed) else { return Ok(()) };
            let mut last = 1.0 + 1e-9;
            for t in 0..40u32 {
                let share = found.left(f64::from(t)).unwrap();
                prop_assert!(0.0 <= share.low && share.low <= share.value);
                prop_assert!(share.value <= share.high && share.high <= 1.0);
                prop_assert!(share.value <= last);
                last = share.value + 1e-9;
            }
            let weights: f64 = found.curves.iter().map(|c| c.1).sum();
            prop_assert!((weights - 1.0).abs() < 1e-9);
        }
    }
}

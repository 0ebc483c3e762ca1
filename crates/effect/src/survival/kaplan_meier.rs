//! The curve of Kaplan and Meier (1958), with Greenwood's variance.
//!
//! **Invariant:** pointwise intervals are made on the log-log scale and so lie inside 0 to
//! 1; at a step to 0 that scale has no end, and the interval reaches from 0 to the upper
//! end of the step before.

use super::{Followed, SurvivalRefused, admit, event_times};
use crate::occupancy::weekly::Share;
use crate::regression::count;
use crate::student::quantile;

/// The curve: one step for each time with an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// In order of time.
    pub steps: Vec<Step>,
    /// The last time anybody was followed.
    pub last: f64,
}

/// The curve from one time of events on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// When.
    pub time: f64,
    /// Subjects at risk.
    pub at_risk: usize,
    /// Events.
    pub events: usize,
    /// Share without the event after this time.
    pub survival: f64,
    /// Greenwood's standard error of it.
    pub standard_error: f64,
    /// Lower end of the 95 % interval, log-log.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A time with its interval; an end that the curve does not reach is `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeTo {
    /// The first time at which the share is reached.
    pub value: Option<f64>,
    /// The first time at which the lower curve has reached it.
    pub low: Option<f64>,
    /// The first time at which the upper curve has.
    pub high: Option<f64>,
}

/// Mean time without the event up to a horizon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanTime {
    /// Area under the curve.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The curve of `subjects`, who may enter late.
pub fn curve(subjects: &[Followed]) -> Result<Curve, SurvivalRefused> {
    admit(subjects)?;
    let times = event_times(subjects);
    if times.is_empty() {
        return Err(SurvivalRefused::NoEvent);
    }
    let z = quantile(0.975, None);
    let (mut survival, mut sum, mut last_high) = (1.0, 0.0, 1.0);
    let steps = times.into_iter().map(|time| {
        let at_risk = subjects.iter().filter(|s| s.at_risk(time)).count();
        let here = |s: &&Followed| s.event && s.exit.total_cmp(&time).is_eq();
        let events = subjects.iter().filter(here).count();
        survival *= 1.0 - count(events) / count(at_risk);
        sum += count(events) / (count(at_risk) * count(at_risk - events));
        let (standard_error, low, high) = if at_risk == events {
            (survival, sum) = (0.0, f64::INFINITY);
            (0.0, 0.0, last_high)
        } else if survival <= 0.0 {
            (0.0, 0.0, last_high)
        } else {
            let (log, half) = ((-survival.ln()).ln(), z * sum.sqrt() / survival.ln());
            let end = |by: f64| (-(log + by).exp()).exp();
            (survival * sum.sqrt(), end(-half), end(half))
        };
        last_high = high;
        Step { time, at_risk, events, survival, standard_error, low, high }
    });
    let steps = steps.collect();
    let last = subjects.iter().map(|s| s.exit).fold(f64::NEG_INFINITY, f64::max);
    Ok(Curve { steps, last })
}

impl Curve {
    /// The share without the event at a time, with its interval; `None` after the last
    /// time anybody was followed.
    pub fn at(&self, time: f64) -> Option<Share> {
        if time.is_nan() || time > self.last {
            return None;
        }
        let step = self.steps.iter().rev().find(|s| s.time <= time);
        Some(step.map_or(Share { value: 1.0, low: 1.0, high: 1.0 }, |s| Share {
            value: s.survival,
            low: s.low,
            high: s.high,
        }))
    }

    /// Standard error at a time.
    pub fn standard_error(&self, time: f64) -> f64 {
        let step = self.steps.iter().rev().find(|s| s.time <= time);
        step.map_or(0.0, |s| s.standard_error)
    }

    /// When only half is left, with the interval of Brookmeyer and Crowley (1982) on the
    /// log-log scale: the half-life.
    pub fn half_life(&self) -> TimeTo {
        self.time_to(0.5)
    }

    /// When only `share` is left. Where the curve lies on the share for a while, the
    /// middle of that while.
    pub fn time_to(&self, share: f64) -> TimeTo {
        let first = |of: fn(&Step) -> f64| {
            let place = self.steps.iter().position(|s| of(s) <= share + EVEN)?;
            let step = &self.steps[place];
            let flat = (of(step) - share).abs() <= EVEN;
            let next = self.steps.get(place + 1).filter(|_| flat);
            Some(next.map_or(step.time, |next| f64::midpoint(step.time, next.time)))
        };
        TimeTo {
            value: first(|s| s.survival),
            low: first(|s| s.low),
            high: first(|s| s.high),
        }
    }

    /// Mean time without the event from time 0 up to `horizon` (restricted mean): the cost
    /// in organisation-months. Refused beyond the last time followed.
    pub fn mean_time(&self, horizon: f64) -> Result<MeanTime, SurvivalRefused> {
        if !(horizon > 0.0 && horizon <= self.last) {
            return Err(SurvivalRefused::NobodyAtRisk("at that horizon"));
        }
        let within: Vec<&Step> =
            self.steps.iter().take_while(|s| s.time < horizon).collect();
        let ends = within.iter().skip(1).map(|s| s.time).chain([horizon]);
        let areas: Vec<f64> = within
            .iter()
            .zip(ends)
            .map(|(s, end)| s.survival * (end - s.time))
            .collect();
        let first = within.first().map_or(horizon, |s| s.time).max(0.0);
        let value = first + areas.iter().sum::<f64>();
        let (mut after, mut variance) = (0.0, 0.0);
        for (step, area) in within.iter().zip(&areas).rev() {
            after += area;
            let left = count(step.at_risk - step.events);
            if left > 0.0 {
                variance +=
                    after * after * count(step.events) / (count(step.at_risk) * left);
            }
        }
        let standard_error = f64::sqrt(variance);
        let half = quantile(0.975, None) * standard_error;
        let (low, high) = ((value - half).max(0.0), (value + half).min(horizon));
        Ok(MeanTime { value, standard_error, low, high })
    }
}

/// Products of shares are even to so many digits.
const EVEN: f64 = 1e-12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gone_at_once_leaves_nothing_and_no_nan() {
        let found = curve(&[Followed::from_start(2.0, true); 3]).unwrap();
        let step = found.steps[0];
        assert!(step.survival.abs() < 1e-15 && step.low.abs() < 1e-15);
        assert!((step.high - 1.0).abs() < 1e-15);
        assert_eq!(found.half_life().value, Some(2.0));
        assert!(found.mean_time(2.0).unwrap().standard_error.is_finite());
    }

    #[test]
    fn who_enters_late_is_not_at_risk_before() {
        let late = Followed { entry: 5.0, exit: 9.0, event: false };
        let found = curve(&[late, Followed::from_start(3.0, true), late]).unwrap();
        assert_eq!(found.steps[0].at_risk, 1);
    }

    #[test]
    fn a_horizon_that_nobody_reached_is_refused() {
        let found = curve(&[Followed::from_start(3.0, true); 2]).unwrap();
        assert!(found.mean_time(4.0).is_err() && found.mean_time(f64::NAN).is_err());
        assert_eq!(found.at(4.0), None);
    }
}

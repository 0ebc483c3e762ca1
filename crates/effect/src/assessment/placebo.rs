//! What the fits of a series find in countries that the act leaves alone: how much the
//! addressee's stands out, and how wide its interval must be.
//!
//! Who left is missing in every later week, so departures add up, and an error model that
//! lets them die out makes intervals too narrow: that of AR(1) leaves out no change in 10 of
//! 60 worlds in which nothing happens. So ends are not taken from the model but from the
//! same fit in other countries, in which the act did nothing (Conley and Taber 2011, Rev
//! Econ Stat 93:113): each coefficient is divided by its own standard error, and the
//! addressee's interval holds every step that would not stand out among theirs at 5 %.
//!
//! **Invariant:** ends are never nearer than the model's own, and there are none with fewer
//! than [`ENDS_MIN`] other countries: a rank among fewer is never below .05.

use tidegauge_model::Country;

use super::contacts::{
    DIVERGENCE, EFFECT, Event, FORECAST, NEWEY_WEST, RATIO, SLOPES, Weekly,
};
use super::{Reading, Refused};
use crate::regression::{Coefficient, count};
use crate::series::interrupted::{Act, Interrupted, SLOPE, STEP, interrupted};

/// Other countries from which a 95 % interval can be had.
pub(super) const ENDS_MIN: usize = 19;
/// The share of others among which a step may be the farthest.
const TAIL: f64 = 0.05;

/// The fits of one country.
struct Fits {
    plain: Option<Interrupted>,
    without_weeks_between: Option<Interrupted>,
    ahead: Option<Coefficient>,
}

impl Fits {
    fn of(weekly: &Weekly, event: &Event, country: Country) -> Self {
        let left_out = (country != event.country).then_some(event.country);
        let values = weekly.ratio(country, left_out);
        let transition = event.onset..event.effect;
        let between = Act { transition, ..event.act() };
        Self {
            plain: interrupted(&values, &event.act()).ok(),
            without_weeks_between: interrupted(&values, &between).ok(),
            ahead: weekly.ahead(event, country, left_out).ok(),
        }
    }

    /// The coefficient by its standard error, of the reading of this name.
    fn distance(&self, what: &str) -> Option<f64> {
        let named = |fit: &Option<Interrupted>, column: &str| {
            fit.as_ref().and_then(|fit| fit.coefficient(column).cloned())
        };
        let newey_west = || {
            let fit = self.plain.as_ref()?;
            fit.newey_west.iter().find(|c| c.name == STEP).cloned()
        };
        let found = match what {
            RATIO => named(&self.plain, STEP),
            SLOPES => named(&self.plain, SLOPE),
            DIVERGENCE => named(&self.plain, "trend"),
            EFFECT => named(&self.without_weeks_between, STEP),
            NEWEY_WEST => newey_west(),
            FORECAST => self.ahead.clone(),
            _ => None,
        }?;
        let distance = (found.value / found.standard_error).abs();
        Some(distance).filter(|d| d.is_finite())
    }
}

/// The addressee's fits among those of other countries.
pub(super) struct Placebo {
    own: Fits,
    others: Vec<Fits>,
}

impl Placebo {
    pub(super) fn new(weekly: &Weekly, event: &Event) -> Self {
        let others = weekly.others(event.onset, |c| c == event.country);
        let of = |country| Fits::of(weekly, event, country);
        Self { own: of(event.country), others: others.into_iter().map(of).collect() }
    }

    /// The place of the addressee's, the farthest from none first, and how many are ranked.
    pub(super) fn rank(&self, what: &str) -> Result<(usize, usize), Refused> {
        let Some(own) = self.own.distance(what) else {
            return Err(Refused::by("points-min", "the addressee has no fit"));
        };
        let others: Vec<f64> = self.distances(what);
        if others.is_empty() {
            let words = "no other country has enough organisations in each week";
            return Err(Refused::by("donors-min", words));
        }
        Ok((1 + others.iter().filter(|d| **d >= own).count(), others.len() + 1))
    }

    fn distances(&self, what: &str) -> Vec<f64> {
        self.others.iter().filter_map(|fits| fits.distance(what)).collect()
    }

    /// `reading`, a ratio with the model's ends, with ends by other countries, or none.
    pub(super) fn ends(&self, reading: Reading) -> Reading {
        let (Some(value), Some(low), Some(high)) =
            (reading.value, reading.low, reading.high)
        else {
            return reading;
        };
        let mut others = self.distances(&reading.what);
        let n = others.len();
        let own = self.own.distance(&reading.what).filter(|_| n >= ENDS_MIN);
        let Some(own) = own.filter(|d| *d > 0.0) else {
            let method = format!(
                "{}; no interval: {n} other countries to take it from, {ENDS_MIN} are needed",
                reading.method
            );
            return Reading { low: None, high: None, p: None, method, ..reading };
        };
        others.sort_by(f64::total_cmp);
        // The least of them that with at most 5 % of all, the addressee among them, lies
        // farther out.
        let beyond = (1..=n).take_while(|k| count(*k) <= TAIL * count(n + 1)).count();
        let farthest = others[n - beyond];
        let half = farthest * value.ln().abs() / own;
        let (low, high) =
            (low.min((value.ln() - half).exp()), high.max((value.ln() + half).exp()));
        let method = format!(
            "{}; ends by the same fit in {n} other countries (Conley and Taber 2011)",
            reading.method
        );
        Reading { low: Some(low), high: Some(high), p: None, method, ..reading }
    }
}

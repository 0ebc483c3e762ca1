//! Estimates made several times, each on another draw of what is not known for sure, put
//! together: Rubin's rules.
//!
//! With m draws, estimates `q_i` with variances `u_i`: the estimate is their mean `q`, the
//! variance within is the mean of `u`, the variance between is that of the `q_i`, and
//! `total = within + (1 + 1/m) * between` (Rubin 1987, 3.1). Degrees of freedom are
//! `(m - 1) / lambda^2` with `lambda` the share of the variance between in the total, or,
//! where the estimate itself has few, those of Barnard and Rubin 1999.
//!
//! What is drawn here is who held an address. So the variance between draws is the error
//! of attribution, apart from that of sampling, and it has an interval of its own.
//!
//! **Invariant:** with one answer in all draws the total is the variance within.

use statrs::distribution::{ContinuousCDF, Normal};
use tidegauge_model::estimate::{Estimate, Interval, Quantity};

use crate::interval::{LEVEL, as_f64};
use crate::student::quantile;

/// The estimate of one draw, and its variance by sampling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// The estimate.
    pub value: f64,
    /// The square of its standard error; 0 for a count of all there is.
    pub variance: f64,
}

/// Draws, put together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pooled {
    /// Draws.
    pub draws: u32,
    /// The mean of the estimates.
    pub value: f64,
    /// Variance within draws: of sampling.
    pub within: f64,
    /// Variance between draws: of what was drawn.
    pub between: f64,
    /// Both, with the addition for the number of draws.
    pub total: f64,
    /// Degrees of freedom of the total; infinite where the draws agree.
    pub freedom: f64,
}

/// Puts draws together. `freedom` are the degrees of freedom that the estimate would have
/// if nothing had been drawn; without it, they are taken as many. `None` for fewer than two
/// draws, and where a value or a variance is no number.
pub fn pool(draws: &[Drawn], freedom: Option<f64>) -> Option<Pooled> {
    let count = u32::try_from(draws.len()).ok().filter(|m| *m >= 2)?;
    let sound =
        |d: &Drawn| d.value.is_finite() && d.variance.is_finite() && d.variance >= 0.0;
    if !draws.iter().all(sound) {
        return None;
    }
    let m = f64::from(count);
    let value = draws.iter().map(|d| d.value).sum::<f64>() / m;
    let within = draws.iter().map(|d| d.variance).sum::<f64>() / m;
    let between =
        draws.iter().map(|d| (d.value - value).powi(2)).sum::<f64>() / (m - 1.0);
    let total = within + (1.0 + 1.0 / m) * between;
    let lambda = if total > 0.0 { (1.0 + 1.0 / m) * between / total } else { 0.0 };
    let many = (m - 1.0) / lambda.powi(2);
    let freedom = freedom.map_or(many, |complete| {
        let observed = (complete + 1.0) / (complete + 3.0) * complete * (1.0 - lambda);
        if many.is_finite() { many * observed / (many + observed) } else { observed }
    });
    Some(Pooled { draws: count, value, within, between, total, freedom })
}

impl Pooled {
    /// The share of the total that comes from what was drawn.
    pub fn between_share(&self) -> f64 {
        if self.total > 0.0 { (self.total - self.within) / self.total } else { 0.0 }
    }

    /// By sampling alone, as if attribution were certain.
    pub fn sampling(&self) -> Interval {
        self.interval("sampling alone", self.within, f64::INFINITY)
    }

    /// By attribution alone, as if every use had been seen.
    pub fn attribution(&self) -> Interval {
        let m = f64::from(self.draws);
        let name = format!("attribution alone ({} draws)", self.draws);
        self.interval(&name, (1.0 + 1.0 / m) * self.between, m - 1.0)
    }

    /// By both.
    pub fn both(&self) -> Interval {
        let name = format!("sampling and attribution (Rubin, {} draws)", self.draws);
        self.interval(&name, self.total, self.freedom)
    }

    fn interval(&self, method: &str, variance: f64, freedom: f64) -> Interval {
        let upper = f64::midpoint(1.0, LEVEL);
        let half = quantile(upper, Some(freedom)) * variance.sqrt();
        Interval {
            method: method.to_owned(),
            level: LEVEL,
            low: self.value - half,
            high: self.value + half,
        }
    }
}

/// Adds to each of `estimates`, made on the best map, the interval of attribution alone
/// and that of sampling and attribution, as the same estimates of several draws spread. The
/// sampling variance of a draw is that of its first interval, taken as the normal
/// distribution's.
///
/// The intervals stand around the estimate, not around the mean of the draws: a draw may
/// only drop a doubtful organisation, so that its counts are lower. What is not in every
/// draw gets none: in some there is nothing to estimate. A share stays between 0 and 1;
/// net change may be below 0.
pub fn add_attribution(estimates: &mut [Estimate], draws: &[Vec<Estimate>]) {
    for estimate in estimates {
        let of_draw = |draw: &Vec<Estimate>| {
            let same = |e: &&Estimate| {
                e.quantity == estimate.quantity && e.stratum == estimate.stratum
            };
            drawn(draw.iter().find(same)?)
        };
        let all: Option<Vec<_>> = draws.iter().map(of_draw).collect();
        let Some(pooled) = all.and_then(|all| pool(&all, None)) else { continue };
        for interval in [pooled.attribution(), pooled.both()] {
            let half = f64::midpoint(interval.high, -interval.low);
            let least = match estimate.quantity {
                Quantity::NetChange => f64::NEG_INFINITY,
                _ => 0.0,
            };
            estimate.intervals.push(Interval {
                low: (estimate.value - half).max(least),
                high: (estimate.value + half).min(1.0),
                ..interval
            });
        }
    }
}

fn drawn(estimate: &Estimate) -> Option<Drawn> {
    let interval = estimate.intervals.first()?;
    let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, interval.level));
    let error = (interval.high - interval.low) / (2.0 * z);
    Some(Drawn { value: estimate.value, variance: error.powi(2) })
}

/// The mean and the variance between draws of a count that is made anew in each: of all
/// there is, so that nothing is sampled. `None` for fewer than two draws.
pub fn pool_counts(counts: &[u64]) -> Option<Pooled> {
    let drawn = |count: &u64| Drawn { value: as_f64(*count), variance: 0.0 };
    pool(&counts.iter().map(drawn).collect::<Vec<_>>(), None)
}

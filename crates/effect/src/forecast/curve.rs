//! One curve of leaving.
//!
//! **Invariant:** the share left falls from 1 and is never negative; numbers are sought on
//! scales without ends, so that every place of the search is a curve.

use nalgebra::{DMatrix, DVector};
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::Period;
use crate::interval::as_f64;
use crate::occupancy::weekly::{Share, on_logits_by};
use crate::occupancy::{Objective, logistic, minimise};
use crate::student::quantile;

/// The form of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A constant hazard.
    Exponential,
    /// A hazard that is a power of time.
    Weibull,
    /// A hazard that grows or falls exponentially; falling, it leaves a rest.
    Gompertz,
    /// Weibull's for some, none for the others.
    Cure,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 4] =
        [Self::Exponential, Self::Weibull, Self::Gompertz, Self::Cure];

    fn start(self, hazard: f64) -> Vec<f64> {
        let log = hazard.ln();
        match self {
            Self::Exponential => vec![log],
            Self::Weibull => vec![log, 0.0],
            Self::Gompertz => vec![log, -0.01],
            Self::Cure => vec![log, 0.0, -1.5],
        }
    }

    /// Share left after `t` periods: logarithm of the hazard's scale, then the shape
    /// (logarithm of Weibull's power, Gompertz's rate), then the logit of those who stay.
    fn left(self, at: &[f64], t: f64) -> f64 {
        if t <= 0.0 {
            return 1.0;
        }
        let scale = at[0].clamp(-LOG_MAX, LOG_MAX).exp();
        let weibull =
            |shape: f64| (-(scale * t).powf(shape.clamp(-3.0, 3.0).exp())).exp();
        match self {
            Self::Exponential => (-scale * t).exp(),
            Self::Weibull => weibull(at[1]),
            Self::Gompertz => {
                let rate = at[1].clamp(-RATE_MAX, RATE_MAX);
                let grown =
                    if rate.abs() < 1e-9 { t } else { (rate * t).exp_m1() / rate };
                (-scale * grown).exp()
            }
            Self::Cure => {
                let stay = logistic(at[2].clamp(-LOG_MAX, LOG_MAX));
                stay + (1.0 - stay) * weibull(at[1])
            }
        }
    }
}

/// Logarithms and logits beyond this are ends of their range.
const LOG_MAX: f64 = 20.0;
/// Gompertz's rate per period beyond this is a step.
const RATE_MAX: f64 = 3.0;

/// A fitted curve.
#[derive(Clone, Debug)]
pub struct Curve {
    kind: Kind,
    at: Vec<f64>,
    /// Lower triangular root of the covariance.
    root: DMatrix<f64>,
    /// Logarithm of the likelihood.
    log_likelihood: f64,
}

struct Likelihood<'a> {
    kind: Kind,
    periods: &'a [Period],
}

/// Chances in a period are kept off 0 and 1 by this.
const CHANCE_MIN: f64 = 1e-9;
/// Standard deviation of the weak normal prior on each number, around its start: it keeps
/// a number that nothing bears on from running away.
const PRIOR: f64 = 5.0;
/// Step of differences of the value.
const STEP: f64 = 1e-5;

impl Likelihood<'_> {
    fn value(&self, at: &[f64]) -> f64 {
        let mut before = 1.0f64;
        let mut sum = 0.0;
        for (t, period) in (1u32..).zip(self.periods) {
            let after = self.kind.left(at, f64::from(t));
            let chance = 1.0 - after / before.max(f64::MIN_POSITIVE);
            let chance = chance.clamp(CHANCE_MIN, 1.0 - CHANCE_MIN);
            let removed = as_f64(period.removed);
            let stayed = as_f64(period.at_risk - period.removed);
            sum -= removed * chance.ln() + stayed * (-chance).ln_1p();
            before = after;
        }
        sum + at.iter().map(|x| x * x / (2.0 * PRIOR * PRIOR)).sum::<f64>()
    }
}

impl Objective for Likelihood<'_> {
    fn evaluate(&self, at: &[f64]) -> (f64, Vec<f64>) {
        let slope = |j: usize| {
            let moved = |by: f64| {
                let mut moved = at.to_vec();
                moved[j] += by;
                self.value(&moved)
            };
            (moved(STEP) - moved(-STEP)) / (2.0 * STEP)
        };
        (self.value(at), (0..at.len()).map(slope).collect())
    }

    fn weight(&self) -> f64 {
        self.periods.iter().map(|p| as_f64(p.at_risk)).sum()
    }
}

impl Curve {
    /// The curve of greatest likelihood; `None` if it cannot be found.
    pub(super) fn fit(kind: Kind, periods: &[Period]) -> Option<Self> {
        let removed: u64 = periods.iter().map(|p| p.removed).sum();
        let at_risk: u64 = periods.iter().map(|p| p.at_risk).sum();
        let share = (as_f64(removed) + 0.5) / (as_f64(at_risk) + 1.0);
        let start = kind.start(-(-share).ln_1p());
        let likelihood = Likelihood { kind, periods };
        let minimum = minimise(&likelihood, &start, &vec![0.1; start.len()]);
        let finite = minimum.at.iter().all(|x| x.is_finite());
        let better = minimum.value <= likelihood.value(&start) + 1e-9;
        let root = minimum.covariance?.cholesky()?.l();
        (finite && better).then(|| Self {
            kind,
            log_likelihood: -minimum.value,
            at: minimum.at,
            root,
        })
    }

    /// Its form.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Logarithm of its likelihood, with its weak prior.
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// Share left after so many periods from the start.
    pub fn left(&self, periods: f64) -> f64 {
        self.kind.left(&self.at, periods)
    }

    /// Share that never leaves, if the form has one.
    pub(super) fn floor(&self) -> Option<Share> {
        (self.kind == Kind::Cure).then(|| {
            let value = logistic(self.at[2].clamp(-LOG_MAX, LOG_MAX));
            let se = self.root.row(2).norm() * value * (1.0 - value);
            on_logits_by(value, se, quantile(0.975, None))
        })
    }

    /// The same form with numbers drawn.
    pub(super) fn drawn(&self, random: &mut Pcg64Mcg) -> Self {
        // The sum of twelve uniform numbers is normal enough for a 95 % interval.
        let mut normal = || (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        let by = DVector::from_fn(self.at.len(), |_, _| normal());
        let moved = &self.root * by;
        let at = self.at.iter().zip(moved.iter()).map(|(x, by)| x + by).collect();
        Self { at, ..self.clone() }
    }
}

//! Interrupted time series: `y = level + trend·t + step·D + slope·(t - onset)·D + season`.
//!
//! **Invariant:** the default inference is generalised least squares with first-order
//! autoregressive errors, fitted by restricted maximum likelihood, and Student's t with
//! n - k degrees (Turner et al. 2021, BMC Med Res Methodol 21:181); Newey-West stands
//! beside it and is never used alone.

use std::ops::Range;

use nalgebra::{DMatrix, DVector};

use super::{POINTS_AFTER_MIN, POINTS_BEFORE_MIN, SeriesRefused, admit};
use crate::interval::as_f64;
use crate::regression::linear::{LeastSquares, newey_west_lags};
use crate::regression::negative_binomial::{CountFit, negative_binomial};
use crate::regression::{Coefficient, Design, coefficients, count};
use crate::search::least;

/// First-order dependence is sought below this: nearer to 1 the trend and the errors
/// cannot be told apart.
const PHI_MAX: f64 = 0.999;

/// The column of the level change.
pub const STEP: &str = "step";

/// The column of the slope change, per point.
pub const SLOPE: &str = "slope change";

/// When the act falls in a series of equally spaced points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The first point from the act on, counted from 0.
    pub onset: usize,
    /// Points that are neither before nor after (between announcement and effect); each
    /// has an indicator of its own, so that it bears on no other coefficient.
    pub transition: Range<usize>,
    /// Points in a season's round (12 months, 52 weeks), if there is one.
    pub season: Option<usize>,
}

/// An interrupted time series.
#[derive(Clone, Debug)]
pub struct Interrupted {
    /// Coefficients by generalised least squares, REML, AR(1).
    pub coefficients: Vec<Coefficient>,
    /// The same by ordinary least squares with Newey-West errors.
    pub newey_west: Vec<Coefficient>,
    /// Dependence of an error on the one before.
    pub phi: f64,
    /// Standard deviation of the errors, in units of the outcome.
    pub sigma: f64,
    /// Restricted log-likelihood at the maximum.
    pub log_likelihood: f64,
}

impl Interrupted {
    /// The coefficient of the column `name`.
    pub fn coefficient(&self, name: &str) -> Option<&Coefficient> {
        self.coefficients.iter().find(|c| c.name == name)
    }
}

/// Fits `values` (a logarithm of counts, a share) around `act`.
pub fn interrupted(values: &[f64], act: &Act) -> Result<Interrupted, SeriesRefused> {
    act.admit(values)?;
    let design = act.design(values.len());
    let series = Autoregressive {
        matrix: design.matrix(values)?,
        outcome: DVector::from_column_slice(values),
    };
    let phi = series.best_phi().ok_or(SeriesRefused::NoMaximum("error dependence"))?;
    let (log_likelihood, fit) =
        series.at(phi).ok_or(SeriesRefused::NoMaximum("error dependence"))?;
    let degrees = fit.degrees();
    let plain = LeastSquares::fit(&design, values)?;
    let lags = newey_west_lags(values.len());
    Ok(Interrupted {
        coefficients: coefficients(
            design.names(),
            &fit.coefficients,
            &fit.covariance(),
            Some(degrees),
            "AR(1) REML, t",
        ),
        newey_west: coefficients(
            design.names(),
            &plain.coefficients,
            &plain.newey_west(lags),
            Some(degrees),
            &format!("Newey-West, {lags} lags, t"),
        ),
        phi,
        sigma: (fit.residual_sum() / degrees).sqrt(),
        log_likelihood,
    })
}

/// Fits counts around `act` by the negative binomial with log link: `exp(step)` is the
/// ratio after to before. Newey-West errors, lags by Newey and West (1994).
pub fn interrupted_counts(
    counts: &[u64],
    act: &Act,
) -> Result<CountFit, SeriesRefused> {
    let values: Vec<f64> = counts.iter().map(|c| as_f64(*c)).collect();
    act.admit(&values)?;
    let lags = newey_west_lags(counts.len());
    Ok(negative_binomial(&act.design(counts.len()), counts, lags)?)
}

impl Act {
    /// Applies the rules of a series; points in transition are neither before nor after.
    fn admit(&self, values: &[f64]) -> Result<(), SeriesRefused> {
        admit(values, self.onset)?;
        let apart = |point: &usize| self.transition.contains(point);
        let before = (0..self.onset).filter(|p| !apart(p)).count();
        let after = (self.onset..values.len()).filter(|p| !apart(p)).count();
        if before < POINTS_BEFORE_MIN || after < POINTS_AFTER_MIN {
            return Err(SeriesRefused::TooShort { before, after });
        }
        Ok(())
    }

    /// The columns of a series of `points` points. Time is counted from 1.
    pub fn design(&self, points: usize) -> Design {
        let after = |t: usize| if t >= self.onset { 1.0 } else { 0.0 };
        let since = |t: usize| count(t.saturating_sub(self.onset));
        let mut design = Design::default()
            .with("level", vec![1.0; points])
            .with("trend", (0..points).map(|t| count(t + 1)).collect())
            .with(STEP, (0..points).map(after).collect())
            .with(SLOPE, (0..points).map(since).collect());
        for point in self.transition.clone().filter(|p| *p < points) {
            let indicator = (0..points).map(|t| if t == point { 1.0 } else { 0.0 });
            design = design.with(format!("transition {point}"), indicator.collect());
        }
        for phase in 1..self.season.unwrap_or(1) {
            let round = self.season.unwrap_or(1);
            let indicator =
                (0..points).map(|t| if t % round == phase { 1.0 } else { 0.0 });
            design = design.with(format!("season {}", phase + 1), indicator.collect());
        }
        design
    }
}

/// Least squares with errors `e(t) = phi e(t-1) + …`.
struct Autoregressive {
    matrix: DMatrix<f64>,
    outcome: DVector<f64>,
}

impl Autoregressive {
    fn best_phi(&self) -> Option<f64> {
        let bound = PHI_MAX.atanh();
        least(-bound, bound, |angle| Some(-self.at(angle.tanh())?.0)).map(f64::tanh)
    }

    /// The restricted log-likelihood at `phi`, variance profiled out, and the fit.
    fn at(&self, phi: f64) -> Option<(f64, LeastSquares)> {
        let n = self.matrix.nrows();
        let columns: Vec<DVector<f64>> =
            self.matrix.column_iter().map(|c| whiten(phi, &c.into_owned())).collect();
        let fit = LeastSquares::of(
            DMatrix::from_columns(&columns),
            &whiten(phi, &self.outcome),
        )?;
        let degrees = fit.degrees();
        let variance = fit.residual_sum() / degrees;
        let log_correlation = count(n - 1) * (1.0 - phi * phi).ln();
        let likelihood = -0.5
            * (degrees * ((std::f64::consts::TAU * variance).ln() + 1.0)
                + log_correlation
                + fit.log_determinant());
        likelihood.is_finite().then_some((likelihood, fit))
    }
}

/// Makes errors of dependence `phi` independent with variance 1 (Prais and Winsten 1954).
fn whiten(phi: f64, column: &DVector<f64>) -> DVector<f64> {
    let scale = (1.0 - phi * phi).sqrt();
    DVector::from_fn(column.len(), |t, _| {
        if t == 0 { column[0] } else { (column[t] - phi * column[t - 1]) / scale }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act() -> Act {
        Act { onset: 60, transition: 0..0, season: None }
    }

    #[test]
    fn a_point_in_transition_bears_on_nothing() {
        let mut values: Vec<f64> =
            (0..120).map(|t| f64::from(t) * 0.01 + f64::from(t * 7 % 13)).collect();
        let set_apart = Act { transition: 60..62, ..act() };
        let first = interrupted(&values, &set_apart).unwrap();
        values[60] += 1000.0;
        values[61] -= 500.0;
        let second = interrupted(&values, &set_apart).unwrap();
        let step = |fit: &Interrupted| fit.coefficient(STEP).unwrap().value;
        assert!((step(&first) - step(&second)).abs() < 1e-6);
    }

    #[test]
    fn points_in_transition_do_not_count_as_after() {
        let values: Vec<f64> = (0..48).map(|t| f64::from(t * 7 % 13)).collect();
        let act = Act { onset: 24, transition: 24..38, season: None };
        let refused = SeriesRefused::TooShort { before: 24, after: 10 };
        assert_eq!(interrupted(&values, &act).unwrap_err(), refused);
    }

    #[test]
    fn counts_that_halve_have_a_step_of_minus_ln_two() {
        let counts: Vec<u64> =
            (0..120).map(|t| (if t < 60 { 400 } else { 200 }) + t * 7 % 13).collect();
        let fit = interrupted_counts(&counts, &act()).unwrap();
        let step = fit.coefficients.iter().find(|c| c.name == STEP).unwrap();
        assert!((step.value + 2_f64.ln()).abs() < 0.05, "{step:?}");
    }
}

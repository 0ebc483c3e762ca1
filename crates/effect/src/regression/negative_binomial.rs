//! Regression of counts: Poisson, and the negative binomial NB2 with log link
//! (Hilbe 2011), whose variance is `μ + μ²/θ`.
//!
//! **Invariant:** `θ` is the maximum-likelihood value between [`THETA`] bounds; at the
//! upper bound the counts show no overdispersion and the fit is Poisson's, which is said.

use nalgebra::{DMatrix, DVector};
use statrs::function::gamma::ln_gamma;

use super::linear::{LeastSquares, long_run, sandwich};
use crate::search::least;

use super::{Coefficient, Design, RegressionError, coefficients};

/// Bounds of the dispersion: 1e-3 is a variance of 1000 μ², 1e7 is Poisson's variance to
/// seven digits at a mean of one.
const THETA: (f64, f64) = (1e-3, 1e7);

/// Reweighted least squares that has not settled after so many steps will not.
const STEPS_MAX: u32 = 100;

/// Change of a coefficient, on the log scale, below which the iteration has settled.
const SETTLED: f64 = 1e-11;

/// Overdispersion that gains less log-likelihood than this is not there.
const GAIN_MIN: f64 = 1e-6;

/// A regression of counts.
#[derive(Clone, Debug)]
pub struct CountFit {
    /// Coefficients on the log scale, with standard errors that allow for dependence
    /// between points up to the lag asked for.
    pub coefficients: Vec<Coefficient>,
    /// Dispersion, or `None` where the counts are not overdispersed (Poisson).
    pub theta: Option<f64>,
    /// Logarithm of the likelihood at the maximum.
    pub log_likelihood: f64,
    /// Deviance.
    pub deviance: f64,
}

/// Fits counts by the negative binomial; Newey-West standard errors with `lags`.
pub fn negative_binomial(
    design: &Design,
    counts: &[u64],
    lags: usize,
) -> Result<CountFit, RegressionError> {
    let data = Counts::new(design, counts)?;
    let profile =
        |log_theta: f64| Some(-data.fit(log_theta.exp()).ok()?.log_likelihood);
    let best = least(THETA.0.ln(), THETA.1.ln(), profile)
        .ok_or(RegressionError::NotConverged(STEPS_MAX))?;
    let fit = data.fit(best.exp())?;
    let poisson = data.fit(f64::INFINITY)?;
    if poisson.log_likelihood >= fit.log_likelihood - GAIN_MIN {
        return Ok(data.result(design, &poisson, None, lags));
    }
    Ok(data.result(design, &fit, Some(best.exp()), lags))
}

/// Fits counts by Poisson's distribution; Newey-West standard errors with `lags`.
pub fn poisson(
    design: &Design,
    counts: &[u64],
    lags: usize,
) -> Result<CountFit, RegressionError> {
    let data = Counts::new(design, counts)?;
    let fit = data.fit(f64::INFINITY)?;
    Ok(data.result(design, &fit, None, lags))
}

struct Counts {
    matrix: DMatrix<f64>,
    y: DVector<f64>,
}

struct Settled {
    beta: DVector<f64>,
    mean: DVector<f64>,
    theta: f64,
    log_likelihood: f64,
    deviance: f64,
}

impl Counts {
    fn new(design: &Design, counts: &[u64]) -> Result<Self, RegressionError> {
        let y: Vec<f64> = counts.iter().map(|c| crate::interval::as_f64(*c)).collect();
        let matrix = design.matrix(&y)?;
        Ok(Self { matrix, y: DVector::from_vec(y) })
    }

    /// Iteratively reweighted least squares at a given dispersion.
    fn fit(&self, theta: f64) -> Result<Settled, RegressionError> {
        let mut mean = self.y.map(|y| y.max(0.5));
        let mut last = DVector::from_element(self.matrix.ncols(), f64::INFINITY);
        for _ in 0..STEPS_MAX {
            let beta = self.step(&mean, theta)?;
            mean = (&self.matrix * &beta).map(f64::exp);
            if (&beta - &last).amax() <= SETTLED * (1.0 + beta.amax()) {
                let log_likelihood = self.log_likelihood(&mean, theta);
                let deviance = self.deviance(&mean, theta);
                if log_likelihood.is_finite() && deviance.is_finite() {
                    return Ok(Settled { beta, mean, theta, log_likelihood, deviance });
                }
                break;
            }
            last = beta;
        }
        Err(RegressionError::NotConverged(STEPS_MAX))
    }

    /// One step of reweighted least squares from `mean`.
    fn step(
        &self,
        mean: &DVector<f64>,
        theta: f64,
    ) -> Result<DVector<f64>, RegressionError> {
        let root = mean.map(|m| (m / (1.0 + m / theta)).sqrt());
        let working = mean.map(f64::ln) + (&self.y - mean).component_div(mean);
        let mut matrix = self.matrix.clone();
        for (mut row, w) in matrix.row_iter_mut().zip(root.iter()) {
            row *= *w;
        }
        LeastSquares::of(matrix, &working.component_mul(&root))
            .map(|fit| fit.coefficients)
            .ok_or(RegressionError::NotConverged(STEPS_MAX))
    }

    fn deviance(&self, mean: &DVector<f64>, theta: f64) -> f64 {
        let terms = self.y.iter().zip(mean.iter()).map(|(&y, &m)| {
            let own = if y > 0.0 { y * (y / m).ln() } else { 0.0 };
            if theta.is_infinite() {
                return own - (y - m);
            }
            own - (y + theta) * ((y - m) / (m + theta)).ln_1p()
        });
        2.0 * terms.sum::<f64>()
    }

    fn log_likelihood(&self, mean: &DVector<f64>, theta: f64) -> f64 {
        let terms = self.y.iter().zip(mean.iter()).map(|(&y, &m)| {
            let own = y * m.ln() - ln_gamma(y + 1.0);
            if theta.is_infinite() {
                return own - m;
            }
            // Γ(y+θ)/Γ(θ) · θ^θ / (m+θ)^(y+θ), in a form that keeps its digits at large θ.
            own + ln_rising(theta, y)
                - y * (m + theta).ln()
                - theta * (m / theta).ln_1p()
        });
        terms.sum()
    }

    fn result(
        &self,
        design: &Design,
        fit: &Settled,
        theta: Option<f64>,
        lags: usize,
    ) -> CountFit {
        let mut scores = self.matrix.clone();
        let mut weighted = self.matrix.clone();
        for (i, (&y, &m)) in self.y.iter().zip(fit.mean.iter()).enumerate() {
            let damping = 1.0 + m / fit.theta;
            scores.row_mut(i).scale_mut((y - m) / damping);
            weighted.row_mut(i).scale_mut(m / damping);
        }
        let information = self.matrix.transpose() * weighted;
        let size = information.nrows();
        let bread =
            information.try_inverse().unwrap_or_else(|| DMatrix::zeros(size, size));
        let covariance = sandwich(&bread, &long_run(&scores, lags));
        let method = format!("Newey-West, {lags} lags, normal");
        CountFit {
            coefficients: coefficients(
                design.names(),
                &fit.beta,
                &covariance,
                None,
                &method,
            ),
            theta,
            log_likelihood: fit.log_likelihood,
            deviance: fit.deviance,
        }
    }
}

/// `ln Γ(theta + y) - ln Γ(theta)`; by Stirling's leading terms where the difference of
/// two large numbers would lose the digits that matter.
fn ln_rising(theta: f64, y: f64) -> f64 {
    if theta < 1e6 {
        return ln_gamma(theta + y) - ln_gamma(theta);
    }
    y * theta.ln() + (theta + y - 0.5) * (y / theta).ln_1p() - y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_alone_is_the_mean_of_the_counts() {
        let counts = [3, 0, 7, 2, 9, 4, 1, 6];
        let design = Design::default().with("level", vec![1.0; counts.len()]);
        let fit = negative_binomial(&design, &counts, 0).unwrap();
        let mean = 32.0_f64 / 8.0;
        assert!((fit.coefficients[0].value - mean.ln()).abs() < 1e-8);
        assert!(fit.theta.is_some_and(|t| t > 0.5 && t < 50.0), "{fit:?}");
    }

    #[test]
    fn even_counts_are_poisson() {
        let counts = [5; 12];
        let design = Design::default().with("level", vec![1.0; counts.len()]);
        let fit = negative_binomial(&design, &counts, 0).unwrap();
        assert_eq!(fit.theta, None);
    }

    #[test]
    fn rising_factorials_agree_where_the_forms_meet() {
        let near = ln_gamma(1e6 + 7.0) - ln_gamma(1e6);
        assert!((ln_rising(1e6, 7.0) - near).abs() < 1e-6);
    }
}

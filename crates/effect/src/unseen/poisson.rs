//! Poisson regression of a small table of counts, in which a count may be 0 or a real
//! number.
//!
//! **Invariant:** the fit's means are positive; a model whose coefficients run away (a
//! cell that must be empty) gives `None`.

use nalgebra::{DMatrix, DVector};
use statrs::function::gamma::ln_gamma;

/// A fitted table.
pub(super) struct Fit {
    pub(super) coefficients: DVector<f64>,
    pub(super) covariance: DMatrix<f64>,
    pub(super) means: Vec<f64>,
    pub(super) deviance: f64,
    pub(super) aic: f64,
}

/// Newton's method settles in about ten steps.
const STEPS_MAX: usize = 100;
/// Change of a coefficient that is none.
const SETTLED: f64 = 1e-12;
/// A larger coefficient has run away: a mean of exp(30) organisations.
const COEFFICIENT_MAX: f64 = 30.0;

/// Fits `counts` with log link on `rows`.
pub(super) fn fit(rows: &[Vec<f64>], counts: &[f64]) -> Option<Fit> {
    let width = rows.first()?.len();
    let x =
        DMatrix::from_row_iterator(rows.len(), width, rows.iter().flatten().copied());
    let mut eta: DVector<f64> =
        DVector::from_iterator(counts.len(), counts.iter().map(|y| (y + 0.5).ln()));
    let mut last = DVector::from_element(width, f64::INFINITY);
    for _ in 0..STEPS_MAX {
        let means = eta.map(f64::exp);
        let working = DVector::from_iterator(
            counts.len(),
            counts.iter().enumerate().map(|(i, y)| eta[i] + (y - means[i]) / means[i]),
        );
        let mut weighted = x.clone();
        for (i, mean) in means.iter().enumerate() {
            weighted.row_mut(i).scale_mut(*mean);
        }
        let covariance = weighted.tr_mul(&x).cholesky()?.inverse();
        let beta = &covariance * weighted.tr_mul(&working);
        if !beta.iter().all(|b| b.abs() <= COEFFICIENT_MAX) {
            return None;
        }
        eta = &x * &beta;
        if (&beta - &last).amax() < SETTLED {
            return Some(done(beta, covariance, &eta, counts));
        }
        last = beta;
    }
    None
}

fn done(
    coefficients: DVector<f64>,
    covariance: DMatrix<f64>,
    eta: &DVector<f64>,
    counts: &[f64],
) -> Fit {
    let means: Vec<f64> = eta.iter().map(|eta| eta.exp()).collect();
    let own = |y: f64, mean: f64| if y > 0.0 { y * (y / mean).ln() } else { 0.0 };
    let (mut deviance, mut log_likelihood) = (0.0, 0.0);
    for (y, mean) in counts.iter().zip(&means) {
        deviance += 2.0 * (own(*y, *mean) - (y - mean));
        log_likelihood += y * mean.ln() - mean - ln_gamma(y + 1.0);
    }
    let size = f64::from(u32::try_from(coefficients.len()).unwrap_or(u32::MAX));
    let aic = 2.0 * size - 2.0 * log_likelihood;
    Fit { coefficients, covariance, means, deviance, aic }
}

/// Logarithm of the multinomial likelihood of counts whose total is not known: the first
/// is the unseen.
pub(super) fn multinomial(counts: &[f64], means: &[f64]) -> f64 {
    let total: f64 = counts.iter().sum();
    let all: f64 = means.iter().sum();
    let cells = counts.iter().zip(means).map(|(y, mean)| y * (mean / all).ln());
    ln_gamma(total + 1.0) - ln_gamma(counts[0] + 1.0) + cells.sum::<f64>()
}

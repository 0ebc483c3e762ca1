//! A counterfactual from a local level with control series (Brodersen et al. 2015,
//! Annals of Applied Statistics 9:247; filter and diffuse start as Durbin and Koopman
//! 2012, chapters 2 and 5).
//!
//! `y(t) = level(t) + controls(t)·beta + e(t)`, `level(t+1) = level(t) + u(t)`.
//!
//! **Invariant:** it is fitted on points before the act alone. The variance of an average
//! effect comes from the joint covariance of the forecasts, not from the sum of their
//! variances. It holds only if the act left the controls alone; nothing here can test that.
//! The two variances are taken as known once estimated, so intervals are somewhat narrow
//! in short series.

use nalgebra::{DMatrix, DVector};

use super::{SeriesRefused, admit};
use crate::regression::{Coefficient, RegressionError, all_finite, count};
use crate::search::least;

/// Bounds of the logarithm of the signal-to-noise ratio `var(u)/var(e)`.
const LOG_RATIO: (f64, f64) = (-25.0, 25.0);

/// A fitted local level.
#[derive(Clone, Debug)]
pub struct LocalLevel {
    /// Variance of the noise `e`, in squared units of the series.
    pub irregular_variance: f64,
    /// Variance of the level's step `u`.
    pub level_variance: f64,
    /// Coefficients of the controls.
    pub beta: Vec<f64>,
    /// Exact diffuse log-likelihood at the maximum.
    pub log_likelihood: f64,
    /// The level expected for the next point, controls taken out.
    next_level: f64,
    /// What the filter makes of each control at that point.
    next_controls: DVector<f64>,
    /// Variance of the next level's error.
    next_variance: f64,
    /// Covariance of `beta`.
    beta_covariance: DMatrix<f64>,
}

/// What the act did, by the counterfactual.
#[derive(Clone, Debug)]
pub struct LevelEffect {
    /// The series as it would have gone on, per point from the act on.
    pub predicted: Vec<f64>,
    /// Standard error of each prediction of an observed value.
    pub standard_errors: Vec<f64>,
    /// Mean difference observed less predicted, with its interval.
    pub average: Coefficient,
    /// The fit it rests on.
    pub fit: LocalLevel,
}

/// Fits `values` before `onset` with `controls` (each as long as `values`) and lays the
/// forecast beside what was seen from `onset` on.
pub fn level_effect(
    values: &[f64],
    controls: &[Vec<f64>],
    onset: usize,
) -> Result<LevelEffect, SeriesRefused> {
    admit(values, onset)?;
    for (i, control) in controls.iter().enumerate() {
        let column = format!("control {}", i + 1);
        if control.len() != values.len() {
            let (rows, outcomes) = (control.len(), values.len());
            return Err(RegressionError::Length { column, rows, outcomes }.into());
        }
        all_finite(&column, control)?;
    }
    let (before, after) = values.split_at(onset);
    let past: Vec<&[f64]> = controls.iter().map(|c| &c[..onset]).collect();
    let future: Vec<&[f64]> = controls.iter().map(|c| &c[onset..]).collect();
    let fit = LocalLevel::fit(before, &past)?;
    Ok(fit.effect(after, &future))
}

impl LocalLevel {
    /// Fits by maximum likelihood with an exact diffuse start; the ratio of the variances
    /// is sought, everything else is profiled out.
    pub fn fit(values: &[f64], controls: &[&[f64]]) -> Result<Self, SeriesRefused> {
        let columns: Vec<DVector<f64>> = std::iter::once(&values)
            .chain(controls)
            .map(|c| DVector::from_column_slice(c))
            .collect();
        let series = Filtered { columns: DMatrix::from_columns(&columns) };
        let (low, high) = LOG_RATIO;
        least(low, high, |log_ratio| Some(-series.at(log_ratio.exp())?.log_likelihood))
            .and_then(|log_ratio| series.at(log_ratio.exp()))
            .ok_or(SeriesRefused::NoMaximum("local level"))
    }

    fn effect(self, observed: &[f64], controls: &[&[f64]]) -> LevelEffect {
        let points = observed.len();
        let rows: Vec<DVector<f64>> = (0..points)
            .map(|h| DVector::from_fn(controls.len(), |c, _| controls[c][h]))
            .collect();
        let beta = DVector::from_column_slice(&self.beta);
        let predicted: Vec<f64> =
            rows.iter().map(|x| self.next_level + x.dot(&beta)).collect();
        // Of the error of each forecast: what it owes to beta.
        let owed: Vec<DVector<f64>> =
            rows.iter().map(|x| x - &self.next_controls).collect();
        let covariance = |a: usize, b: usize| {
            let noise = if a == b { self.irregular_variance } else { 0.0 };
            let level = self.next_variance + self.level_variance * count(a.min(b));
            level
                + noise
                + (owed[a].transpose() * &self.beta_covariance * &owed[b])[(0, 0)]
        };
        let standard_errors = (0..points).map(|h| covariance(h, h).sqrt()).collect();
        let total: f64 = (0..points)
            .flat_map(|a| (0..points).map(move |b| (a, b)))
            .map(|(a, b)| covariance(a, b))
            .sum();
        let mean = observed.iter().zip(&predicted).map(|(y, p)| y - p).sum::<f64>()
            / count(points);
        let average = Coefficient::new(
            "average effect",
            mean,
            total.sqrt() / count(points),
            None,
            "local level, normal",
        );
        LevelEffect { predicted, standard_errors, average, fit: self }
    }
}

/// The series and its controls, one column each.
struct Filtered {
    columns: DMatrix<f64>,
}

impl Filtered {
    /// The model at a given ratio of variances, noise variance and beta profiled out.
    ///
    /// Each column goes through the same filter; the series' innovations are regressed on
    /// the controls' (de Jong 1991).
    fn at(&self, ratio: f64) -> Option<LocalLevel> {
        let (points, columns) = self.columns.shape();
        // The diffuse start: after one point the level is that point, with its noise.
        let mut level = self.columns.row(0).into_owned();
        let mut variance = 1.0 + ratio;
        let mut log_scale = 0.0;
        let mut innovations = DMatrix::zeros(points - 1, columns);
        for t in 1..points {
            let scale = variance + 1.0;
            let innovation = self.columns.row(t) - &level;
            innovations.set_row(t - 1, &(&innovation / scale.sqrt()));
            log_scale += scale.ln();
            let gain = variance / scale;
            level += innovation * gain;
            variance = variance * (1.0 - gain) + ratio;
        }
        let y = innovations.column(0).into_owned();
        let x = innovations.columns(1, columns - 1).into_owned();
        let inner = (x.transpose() * &x).try_inverse()?;
        let beta = &inner * (x.transpose() * &y);
        let used = count(points - 1);
        let noise = (&y - &x * &beta).norm_squared() / used;
        let tau = std::f64::consts::TAU;
        let log_likelihood =
            -0.5 * (used * ((tau * noise).ln() + 1.0) + log_scale + tau.ln());
        let next_controls = level.columns(1, columns - 1).transpose();
        log_likelihood.is_finite().then(|| LocalLevel {
            irregular_variance: noise,
            level_variance: noise * ratio,
            log_likelihood,
            next_level: level[0] - next_controls.dot(&beta),
            next_controls,
            next_variance: noise * variance,
            beta_covariance: inner * noise,
            beta: beta.as_slice().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_that_repeats_another_has_no_fit() {
        let values: Vec<f64> = (0..60).map(|t| f64::from(t * 7 % 13)).collect();
        let control: Vec<f64> = (0..60).map(|t| f64::from(t * 5 % 11)).collect();
        let controls = [control.clone(), control];
        let error = level_effect(&values, &controls, 40).unwrap_err();
        assert_eq!(error, SeriesRefused::NoMaximum("local level"));
    }
}

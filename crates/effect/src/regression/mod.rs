//! Least squares, count regression, and standard errors that bear dependence.
//!
//! * [`Design`]: named columns; [`linear`]: least squares with heteroscedasticity-robust,
//!   Newey-West and cluster-robust covariances; [`negative_binomial`]: counts.
//!
//! **Invariant:** a design whose columns are not independent, or a number that is not
//! finite, is an error that names it; no result here holds NaN.

pub mod linear;
pub mod negative_binomial;

use nalgebra::{DMatrix, DVector};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use tidegauge_model::estimate::Interval;

use crate::interval::LEVEL;
use crate::student::quantile;

/// A column whose part outside the span of the others is smaller than this share of
/// its length adds nothing that double precision can tell.
const INDEPENDENT_SHARE_MIN: f64 = 1e-9;

/// Power at which a minimum detectable effect is stated.
const POWER: f64 = 0.8;

/// The columns of a regression, by name.
#[derive(Clone, Debug, Default)]
pub struct Design {
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
}

/// A regression that cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegressionError {
    /// The design has no columns.
    #[error("a regression needs at least one column")]
    NoColumns,
    /// A column and the outcome differ in length.
    #[error("column {column} has {rows} rows, the outcome {outcomes}")]
    Length {
        /// The column.
        column: String,
        /// Its rows.
        rows: usize,
        /// Rows of the outcome.
        outcomes: usize,
    },
    /// A column can be written as a sum of those before it.
    #[error("column {0} says nothing that the columns before it do not say")]
    Singular(String),
    /// As many columns as rows, or more.
    #[error("{columns} columns need more than {rows} rows")]
    TooFewRows {
        /// Columns.
        columns: usize,
        /// Rows.
        rows: usize,
    },
    /// A number is missing or infinite.
    #[error("row {row} of {column} is not a finite number")]
    NotFinite {
        /// The column, or `outcome`.
        column: String,
        /// The row, from 0.
        row: usize,
    },
    /// The iteration did not settle.
    #[error("the fit did not converge in {0} steps: an outcome may be separated")]
    NotConverged(u32),
}

/// A regression coefficient with its uncertainty, in units of the outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficient {
    /// The column's name.
    pub name: String,
    /// The estimate.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// 95 % interval, by the method it names.
    pub interval: Interval,
    /// Degrees of freedom of Student's t, or `None` for the normal distribution.
    pub degrees: Option<f64>,
}

impl Design {
    /// Adds a column.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, values: Vec<f64>) -> Self {
        self.names.push(name.into());
        self.columns.push(values);
        self
    }

    /// Names of the columns, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The design as a matrix for `outcome`, once every rule of this module holds.
    pub(crate) fn matrix(
        &self,
        outcome: &[f64],
    ) -> Result<DMatrix<f64>, RegressionError> {
        if self.columns.is_empty() {
            return Err(RegressionError::NoColumns);
        }
        for (name, column) in self.names.iter().zip(&self.columns) {
            if column.len() != outcome.len() {
                let (rows, outcomes) = (column.len(), outcome.len());
                return Err(RegressionError::Length {
                    column: name.clone(),
                    rows,
                    outcomes,
                });
            }
            all_finite(name, column)?;
        }
        all_finite("outcome", outcome)?;
        if self.columns.len() >= outcome.len() {
            let (columns, rows) = (self.columns.len(), outcome.len());
            return Err(RegressionError::TooFewRows { columns, rows });
        }
        let columns: Vec<DVector<f64>> =
            self.columns.iter().map(|c| DVector::from_column_slice(c)).collect();
        self.independent(&columns)?;
        Ok(DMatrix::from_columns(&columns))
    }

    /// Checks each column against those before it (modified Gram-Schmidt).
    fn independent(&self, columns: &[DVector<f64>]) -> Result<(), RegressionError> {
        let mut basis: Vec<DVector<f64>> = Vec::with_capacity(columns.len());
        for (name, column) in self.names.iter().zip(columns) {
            let mut rest = column.clone();
            for direction in &basis {
                let share = direction.dot(&rest);
                rest.axpy(-share, direction, 1.0);
            }
            let left = rest.norm();
            if left <= INDEPENDENT_SHARE_MIN * column.norm() {
                return Err(RegressionError::Singular(name.clone()));
            }
            basis.push(rest / left);
        }
        Ok(())
    }
}

impl Coefficient {
    /// A coefficient with its 95 % interval from Student's t with `degrees`, or from the
    /// normal distribution.
    pub(crate) fn new(
        name: &str,
        value: f64,
        standard_error: f64,
        degrees: Option<f64>,
        method: &str,
    ) -> Self {
        let half = quantile(f64::midpoint(1.0, LEVEL), degrees) * standard_error;
        let interval = Interval {
            method: method.to_owned(),
            level: LEVEL,
            low: value - half,
            high: value + half,
        };
        Self { name: name.to_owned(), value, standard_error, interval, degrees }
    }

    /// The chance of a value as far from none if there is no effect, two-sided; `None`
    /// without a standard error.
    pub fn p_two_sided(&self) -> Option<f64> {
        let statistic = (self.value / self.standard_error).abs();
        if !statistic.is_finite() {
            return None;
        }
        let student = self.degrees.and_then(|d| StudentsT::new(0.0, 1.0, d).ok());
        let tail = student
            .map_or_else(|| Normal::standard().sf(statistic), |t| t.sf(statistic));
        Some((2.0 * tail).min(1.0))
    }

    /// The smallest true effect that a two-sided test at 5 % would find with probability
    /// 0.8 (Bloom 1995, Evaluation Review 19:547).
    pub fn minimum_detectable(&self) -> f64 {
        let both = quantile(f64::midpoint(1.0, LEVEL), self.degrees)
            + quantile(POWER, self.degrees);
        both * self.standard_error
    }
}

/// Coefficients of `names` from estimates and their covariance.
pub(crate) fn coefficients(
    names: &[String],
    values: &DVector<f64>,
    covariance: &DMatrix<f64>,
    degrees: Option<f64>,
    method: &str,
) -> Vec<Coefficient> {
    names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let error = covariance[(i, i)].max(0.0).sqrt();
            Coefficient::new(name, values[i], error, degrees, method)
        })
        .collect()
}

/// An error unless every number of the column is finite.
pub(crate) fn all_finite(column: &str, values: &[f64]) -> Result<(), RegressionError> {
    values.iter().position(|v| !v.is_finite()).map_or(Ok(()), |row| {
        Err(RegressionError::NotFinite { column: column.to_owned(), row })
    })
}

/// Row counts are far below 2^53, where `f64` is exact.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
pub(crate) fn count(rows: usize) -> f64 {
    rows as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: u32) -> Vec<f64> {
        (0..n).map(f64::from).collect()
    }

    #[test]
    fn a_column_that_repeats_others_is_named() {
        let design = Design::default()
            .with("level", vec![1.0; 6])
            .with("trend", line(6))
            .with("twice", line(6).iter().map(|t| 2.0 * t + 1.0).collect());
        let error = design.matrix(&line(6)).unwrap_err();
        assert_eq!(error, RegressionError::Singular("twice".to_owned()));
    }

    #[test]
    fn what_is_not_a_number_is_placed() {
        let design = Design::default().with("level", vec![1.0; 3]);
        let error = design.matrix(&[1.0, f64::NAN, 2.0]).unwrap_err();
        assert_eq!(error.to_string(), "row 1 of outcome is not a finite number");
    }

    #[test]
    fn an_effect_of_2_8_standard_errors_is_found_four_times_in_five() {
        let coefficient = Coefficient::new("step", 0.0, 1.0, None, "normal");
        assert!((coefficient.minimum_detectable() - 2.801_585).abs() < 1e-5);
        let at_two = Coefficient::new("step", -2.0, 1.0, None, "normal");
        assert!((at_two.p_two_sided().unwrap() - 0.045_500_26).abs() < 1e-7);
        let none = Coefficient::new("step", 1.0, 0.0, None, "normal");
        assert_eq!(none.p_two_sided(), None);
    }
}

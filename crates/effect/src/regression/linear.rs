//! Ordinary least squares, and covariances of its coefficients.
//!
//! **Invariant:** every covariance is `bread · meat · bread` of one fit: White (1980,
//! HC0), Newey and West (1987) with Bartlett weights, or clusters (Liang and Zeger 1986).
//! Nothing is added that the named formula does not have.

use std::collections::BTreeMap;

use nalgebra::{DMatrix, DVector};

use super::{Design, RegressionError, count};

/// A least-squares fit.
#[derive(Clone, Debug)]
pub struct LeastSquares {
    pub(crate) coefficients: DVector<f64>,
    pub(crate) residuals: DVector<f64>,
    matrix: DMatrix<f64>,
    bread: DMatrix<f64>,
}

impl LeastSquares {
    /// Fits `outcome` on the columns of `design`.
    pub fn fit(design: &Design, outcome: &[f64]) -> Result<Self, RegressionError> {
        let matrix = design.matrix(outcome)?;
        Self::of(matrix, &DVector::from_column_slice(outcome))
            .ok_or_else(|| RegressionError::Singular("of the design".to_owned()))
    }

    /// Fits `outcome` on `matrix`, or `None` if its columns are not independent.
    pub(crate) fn of(matrix: DMatrix<f64>, outcome: &DVector<f64>) -> Option<Self> {
        let qr = matrix.clone().qr();
        let r = qr.r();
        let coefficients = r.solve_upper_triangular(&(qr.q().transpose() * outcome))?;
        let inverse = r.try_inverse()?;
        let residuals = outcome - &matrix * &coefficients;
        Some(Self {
            coefficients,
            residuals,
            matrix,
            bread: &inverse * inverse.transpose(),
        })
    }

    /// The coefficients, in the order of the design.
    pub fn coefficients(&self) -> &[f64] {
        self.coefficients.as_slice()
    }

    /// Residual sum of squares.
    pub fn residual_sum(&self) -> f64 {
        self.residuals.norm_squared()
    }

    /// Logarithm of the determinant of `X'X`.
    pub(crate) fn log_determinant(&self) -> f64 {
        -self.bread.determinant().ln()
    }

    /// Rows less columns.
    pub fn degrees(&self) -> f64 {
        count(self.matrix.nrows() - self.matrix.ncols())
    }

    /// The covariance if errors are independent and alike.
    pub fn covariance(&self) -> DMatrix<f64> {
        &self.bread * (self.residual_sum() / self.degrees())
    }

    /// White's covariance, HC0.
    pub fn white(&self) -> DMatrix<f64> {
        self.newey_west(0)
    }

    /// Newey and West's covariance with `lags` lags, without small-sample factor.
    pub fn newey_west(&self, lags: usize) -> DMatrix<f64> {
        sandwich(&self.bread, &long_run(&self.scores(), lags))
    }

    /// The covariance with errors that depend on each other inside a cluster: one id per
    /// row. With the factor `G/(G-1) · (n-1)/(n-k)` that goes by HC1.
    pub fn clustered(&self, clusters: &[u64]) -> DMatrix<f64> {
        let (n, k) = (self.matrix.nrows(), self.matrix.ncols());
        let mut sums: BTreeMap<u64, DVector<f64>> = BTreeMap::new();
        for (row, cluster) in self.scores().row_iter().zip(clusters) {
            *sums.entry(*cluster).or_insert_with(|| DVector::zeros(k)) +=
                row.transpose();
        }
        let groups = count(sums.len());
        let meat =
            sums.values().fold(DMatrix::zeros(k, k), |m, s| m + s * s.transpose());
        let factor = groups / (groups - 1.0) * count(n - 1) / count(n - k);
        sandwich(&self.bread, &meat) * factor
    }

    /// One row per observation: its columns times its residual.
    fn scores(&self) -> DMatrix<f64> {
        let mut scores = self.matrix.clone();
        for (mut row, residual) in scores.row_iter_mut().zip(self.residuals.iter()) {
            row *= *residual;
        }
        scores
    }
}

/// Lags that Newey and West (1994) suggest for `n` points: `⌊4 (n/100)^(2/9)⌋`.
pub fn newey_west_lags(n: usize) -> usize {
    let lags = (4.0 * (count(n) / 100.0).powf(2.0 / 9.0)).floor();
    (0..n).take_while(|lag| count(*lag) < lags).count()
}

/// Sum of the scores' autocovariances with Bartlett weights.
pub(crate) fn long_run(scores: &DMatrix<f64>, lags: usize) -> DMatrix<f64> {
    let n = scores.nrows();
    let mut sum = scores.transpose() * scores;
    for lag in 1..=lags.min(n.saturating_sub(1)) {
        let later = scores.rows(lag, n - lag);
        let earlier = scores.rows(0, n - lag);
        let covariance = later.transpose() * earlier;
        let weight = 1.0 - count(lag) / count(lags + 1);
        sum += (&covariance + covariance.transpose()) * weight;
    }
    sum
}

/// `bread · meat · bread`.
pub(crate) fn sandwich(bread: &DMatrix<f64>, meat: &DMatrix<f64>) -> DMatrix<f64> {
    bread * meat * bread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_exactly() {
        let t: Vec<f64> = (0..9).map(f64::from).collect();
        let y: Vec<f64> = t.iter().map(|t| 3.0 - 0.5 * t).collect();
        let design = Design::default().with("level", vec![1.0; 9]).with("trend", t);
        let fit = LeastSquares::fit(&design, &y).unwrap();
        assert!((fit.coefficients()[0] - 3.0).abs() < 1e-12);
        assert!((fit.coefficients()[1] + 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_hundred_points_have_four_lags() {
        assert_eq!(newey_west_lags(100), 4);
        assert_eq!(newey_west_lags(48), 3);
        assert_eq!(newey_west_lags(0), 0);
    }
}

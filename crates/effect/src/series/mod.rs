//! What an act did to a series of points in time.
//!
//! * [`interrupted`]: level and slope before and after, errors that depend on the one
//!   before (REML), Newey-West beside it, counts by the negative binomial;
//! * [`level`]: a local level with control series, fitted before, forecast after.
//!
//! **Invariant:** a series with fewer points than [`POINTS_BEFORE_MIN`] and
//! [`POINTS_AFTER_MIN`] gets no p-value and no interval: it is refused. The nominal 95 %
//! interval of a step covered 86 % at 11 points with first-order dependence of 0.5.

pub mod interrupted;
pub mod level;

use crate::regression::RegressionError;

/// Points before the act below which nothing is estimated.
pub const POINTS_BEFORE_MIN: usize = 24;

/// Points from the act on below which nothing is estimated.
pub const POINTS_AFTER_MIN: usize = 12;

/// A series that says nothing about the act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeriesRefused {
    /// Rule `points-min`.
    #[error(
        "rule points-min: {before} points before the act and {after} from it on; a series \
         needs {POINTS_BEFORE_MIN} and {POINTS_AFTER_MIN}"
    )]
    TooShort {
        /// Points before the act.
        before: usize,
        /// Points from the act on.
        after: usize,
    },
    /// Rule `no-variation`.
    #[error(
        "rule no-variation: the series does not change, so nothing can be told from it"
    )]
    Constant,
    /// The regression itself.
    #[error(transparent)]
    Regression(#[from] RegressionError),
    /// The likelihood has no maximum that was found.
    #[error("the likelihood of the {0} has no maximum that could be found")]
    NoMaximum(&'static str),
}

/// Applies the rules that every series has to pass.
fn admit(values: &[f64], onset: usize) -> Result<(), SeriesRefused> {
    let (before, after) = (onset.min(values.len()), values.len().saturating_sub(onset));
    if before < POINTS_BEFORE_MIN || after < POINTS_AFTER_MIN {
        return Err(SeriesRefused::TooShort { before, after });
    }
    crate::regression::all_finite("outcome", values)?;
    #[expect(clippy::float_cmp, reason = "a constant series repeats its very bits")]
    let constant = values.windows(2).all(|pair| pair[0] == pair[1]);
    if constant { Err(SeriesRefused::Constant) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eleven_months_are_refused_by_name() {
        let error = admit(&[1.0; 11], 6).unwrap_err();
        assert_eq!(
            error.to_string(),
            "rule points-min: 6 points before the act and 5 from it on; a series needs 24 \
             and 12"
        );
    }

    #[test]
    fn a_series_that_never_changes_is_refused() {
        assert_eq!(admit(&[2.0; 60], 30), Err(SeriesRefused::Constant));
    }
}

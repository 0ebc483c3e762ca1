//! Quantiles of Student's t.
//!
//! `statrs` gives the distribution but not, for all degrees of freedom, its inverse: the
//! search of AS 109 for the incomplete beta function goes round for ever where the degrees
//! are in the millions, as they are when draws nearly agree (statrs 0.19.1).
//!
//! **Invariant:** every call ends, after a number of steps that does not depend on the
//! arguments.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// From here on the expansion is exact to more digits than the distribution is.
const MANY: f64 = 1_000.0;

/// The quantile of Student's t with `degrees` of freedom at `probability`; of the standard
/// normal distribution without degrees, or with a number that is none or not above 0.
pub(crate) fn quantile(probability: f64, degrees: Option<f64>) -> f64 {
    let z = Normal::standard().inverse_cdf(probability);
    let student = |d: f64| StudentsT::new(0.0, 1.0, d).ok();
    match degrees.filter(|d| d.is_finite() && z.is_finite()) {
        Some(degrees) if degrees >= MANY => expanded(z, degrees),
        Some(degrees) => student(degrees).map_or(z, |t| {
            let upper = bisected(&t, probability.max(1.0 - probability));
            if probability < 0.5 { -upper } else { upper }
        }),
        None => z,
    }
}

/// Abramowitz and Stegun 1964, 26.7.5.
fn expanded(z: f64, degrees: f64) -> f64 {
    let square = z * z;
    let terms = [
        (square + 1.0) / 4.0,
        ((5.0 * square + 16.0) * square + 3.0) / 96.0,
        (((3.0 * square + 19.0) * square + 17.0) * square - 15.0) / 384.0,
    ];
    let sum = terms.iter().rev().fold(0.0, |sum, term| (sum + term) / degrees);
    z * (1.0 + sum)
}

/// The quantile at a probability of at least one half, between two numbers that close in
/// on it until no number is between them.
fn bisected(t: &StudentsT, probability: f64) -> f64 {
    let (mut low, mut high) = (0.0f64, 1.0f64);
    while high.is_finite() && t.cdf(high) < probability {
        low = high;
        high *= 2.0;
    }
    for _ in 0..f64::MANTISSA_DIGITS + 10 {
        let middle = f64::midpoint(low, high);
        if t.cdf(middle) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of `scipy.stats.t.ppf`, `SciPy` 1.17; without degrees, of the normal distribution.
    #[test]
    fn quantiles_are_those_of_scipy() {
        for (probability, degrees, expected) in [
            (0.975, 1.0, 12.706_204_736_174_694),
            (0.975, 2.0, 4.302_652_729_749_462),
            (0.975, 4.5, 2.658_912_347_204_403_4),
            (0.025, 30.0, -2.042_272_456_301_236_5),
            (0.995, 999.0, 2.580_759_637_267_636_5),
            (0.995, 1_001.0, 2.580_749_768_750_524_5),
            (0.6, 1e6, 0.253_347_170_537_841_84),
            (0.975, 1e12, 1.959_963_984_542_426),
            (0.975, f64::INFINITY, 1.959_963_984_540_054),
            (0.5, 3.0, 0.0),
        ] {
            let found = quantile(probability, Some(degrees));
            assert!(
                (found - expected).abs() <= 1e-9 * expected.abs().max(1e-3),
                "{probability} {degrees}: {found}, not {expected}"
            );
        }
        let [none, no_number] = [None, Some(f64::NAN)].map(|d| quantile(0.975, d));
        assert!((none - no_number).abs() < 1e-15);
    }

    proptest! {
        /// With 2 to the power of -3 to 900 degrees: the search of `statrs` does not end
        /// on many of these.
        #[test]
        fn every_quantile_is_found_and_in_order(
            probability in 0.001..0.999f64,
            power in -3.0..900.0f64,
        ) {
            let degrees = power.exp2();
            let found = quantile(probability, Some(degrees));
            let z = quantile(probability, None);
            prop_assert!(found.is_finite());
            prop_assert!(found.abs() >= z.abs() * (1.0 - 1e-9), "{found} {z}");
            let less = quantile(probability, Some(degrees * 2.0));
            prop_assert!(less.abs() <= found.abs() * (1.0 + 1e-9), "{less} {found}");
        }
    }
}

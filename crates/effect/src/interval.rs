//! Intervals with a closed form.

use statrs::distribution::{ContinuousCDF, Normal};
use tidegauge_model::estimate::Interval;

/// Nominal coverage of every interval here.
pub const LEVEL: f64 = 0.95;

/// Wilson's score interval of the proportion `k / n` (Wilson 1927; Newcombe 1998,
/// method 3), or `None` if `n` is 0 or less than `k`.
pub fn wilson(k: u64, n: u64) -> Option<Interval> {
    if n == 0 || k > n {
        return None;
    }
    let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, LEVEL));
    let (k, n) = (as_f64(k), as_f64(n));
    let p = k / n;
    let denominator = 1.0 + z * z / n;
    let centre = (p + z * z / (2.0 * n)) / denominator;
    let half = z / denominator * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    Some(Interval {
        method: "Wilson".to_owned(),
        level: LEVEL,
        low: (centre - half).max(0.0),
        high: (centre + half).min(1.0),
    })
}

/// Counts of organisations are far below 2^53, where `f64` is exact.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
    #[test]
    fn wilson_gives_the_published_values() {
        for (k, n, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let interval = wilson(k, n).unwrap();
            assert!((interval.low - low).abs() < 5e-5, "{k}/{n}: {interval:?}");
            assert!((interval.high - high).abs() < 5e-5, "{k}/{n}: {interval:?}");
        }
    }

    #[test]
    fn no_interval_without_a_denominator() {
        assert_eq!(wilson(0, 0), None);
        assert_eq!(wilson(2, 1), None);
    }
}

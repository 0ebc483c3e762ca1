//! Intervals of proportions, of their difference, and of rates, beside
//! [`crate::interval::wilson`]; and shares of small groups drawn together.
//!
//! **Invariant:** 0 of n has an upper end above 0, n of n a lower end below 1.

use statrs::distribution::{Beta, ContinuousCDF, Gamma};
use statrs::function::gamma::ln_gamma;
use tidegauge_model::estimate::Interval;

use crate::interval::{LEVEL, as_f64, wilson};
use crate::regression::count;
use crate::search::least;

/// Counts that give no proportion.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProportionRefused {
    /// Rule `counts-valid`.
    #[error("rule counts-valid: {k} of {n} is no proportion")]
    Counts {
        /// Numerator.
        k: u64,
        /// Denominator.
        n: u64,
    },
    /// Nothing was looked at.
    #[error("rule exposure-needed: a rate needs something looked at, more than 0")]
    NoExposure,
    /// Rule `groups-min`.
    #[error("rule groups-min: {0} groups; shrinkage needs at least {GROUPS_MIN}")]
    FewGroups(usize),
}

/// Groups below which their spread cannot be told.
pub const GROUPS_MIN: usize = 3;

/// A rate per unit of exposure, with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Events over exposure.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The exact interval of Clopper and Pearson (1934): never covers less than it says.
pub fn clopper_pearson(k: u64, n: u64) -> Result<Interval, ProportionRefused> {
    let refused = ProportionRefused::Counts { k, n };
    if n == 0 || k > n {
        return Err(refused);
    }
    let tail = (1.0 - LEVEL) / 2.0;
    let (hits, rest) = (as_f64(k), as_f64(n - k));
    let end = |a: f64, b: f64, p: f64| {
        let beta = Beta::new(a, b).ok()?;
        Some(bisect(0.0, 1.0, |x| beta.cdf(x) < p))
    };
    let low = if k == 0 { Some(0.0) } else { end(hits, rest + 1.0, tail) };
    let high = if k == n { Some(1.0) } else { end(hits + 1.0, rest, 1.0 - tail) };
    let (low, high) = low.zip(high).ok_or(refused)?;
    Ok(Interval { method: "Clopper-Pearson".to_owned(), level: LEVEL, low, high })
}

/// The difference of two proportions, `first - second`, with Newcombe's hybrid score
/// interval (1998, Statistics in Medicine 17:873, method 10).
pub fn newcombe(
    first: (u64, u64),
    second: (u64, u64),
) -> Result<(f64, Interval), ProportionRefused> {
    let of = |(k, n): (u64, u64)| {
        let interval = wilson(k, n).ok_or(ProportionRefused::Counts { k, n })?;
        Ok((as_f64(k) / as_f64(n), interval))
    };
    let ((p, a), (q, b)) = (of(first)?, of(second)?);
    let difference = p - q;
    let interval = Interval {
        method: "Newcombe hybrid score".to_owned(),
        level: LEVEL,
        low: difference - (p - a.low).hypot(b.high - q),
        high: difference + (a.high - p).hypot(q - b.low),
    };
    Ok((difference, interval))
}

/// Events per unit of exposure with the exact interval of Garwood (1936).
pub fn garwood(events: u64, exposure: f64) -> Result<Rate, ProportionRefused> {
    if !(exposure.is_finite() && exposure > 0.0) {
        return Err(ProportionRefused::NoExposure);
    }
    let tail = (1.0 - LEVEL) / 2.0;
    let events = as_f64(events);
    let end = |shape: f64, p: f64| {
        let gamma = Gamma::new(shape, 1.0).ok();
        let most = 4.0 * shape + 40.0;
        gamma.map_or(0.0, |gamma| bisect(0.0, most, |x| gamma.cdf(x) < p))
    };
    let low = if events > 0.0 { end(events, tail) } else { 0.0 };
    let high = end(events + 1.0, 1.0 - tail);
    Ok(Rate { value: events / exposure, low: low / exposure, high: high / exposure })
}

/// Where `below` ceases to hold between `low` and `high`, to the last digit.
fn bisect(mut low: f64, mut high: f64, below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..1_100 {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// Ends of the middle 95 % of a beta distribution; the mean twice if there is none.
pub(crate) fn beta_middle(a: f64, b: f64) -> (f64, f64) {
    let tail = (1.0 - LEVEL) / 2.0;
    Beta::new(a, b).map_or((a / (a + b), a / (a + b)), |beta| {
        let end = |p: f64| bisect(0.0, 1.0, |x| beta.cdf(x) < p);
        (end(tail), end(1.0 - tail))
    })
}

/// A group's share drawn towards that of all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shrunken {
    /// Posterior mean.
    pub value: f64,
    /// Lower end of the posterior's middle 95 %.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Shares of several groups as draws of one beta distribution, whose two numbers have
/// their marginal likelihood greatest (empirical Bayes; Carlin and Louis 2000, section
/// 3.3). Small groups are drawn to the mean of all, large ones keep their own share; its
/// own error in the beta distribution is not in the intervals.
pub fn shrink(groups: &[(u64, u64)]) -> Result<Vec<Shrunken>, ProportionRefused> {
    if groups.len() < GROUPS_MIN {
        return Err(ProportionRefused::FewGroups(groups.len()));
    }
    if let Some((k, n)) = groups.iter().find(|(k, n)| *n == 0 || k > n) {
        return Err(ProportionRefused::Counts { k: *k, n: *n });
    }
    let counts: Vec<(f64, f64)> =
        groups.iter().map(|(k, n)| (as_f64(*k), as_f64(*n - *k))).collect();
    let ln_beta = |a: f64, b: f64| ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
    let likelihood = |mean: f64, size: f64| -> f64 {
        let (a, b) = (mean * size, (1.0 - mean) * size);
        let of = counts.iter();
        of.map(|(k, rest)| ln_beta(a + k, b + rest) - ln_beta(a, b)).sum()
    };
    let best_mean = |log_size: f64| {
        least(1e-6, 1.0 - 1e-6, |mean| Some(-likelihood(mean, log_size.exp())))
    };
    let log_size = least(SIZE.0.ln(), SIZE.1.ln(), |log_size| {
        Some(-likelihood(best_mean(log_size)?, log_size.exp()))
    });
    let refused = ProportionRefused::FewGroups(groups.len());
    let log_size = log_size.ok_or(refused.clone())?;
    let (mean, size) = (best_mean(log_size).ok_or(refused)?, log_size.exp());
    let of = |(k, rest): &(f64, f64)| {
        let (a, b) = (mean * size + k, (1.0 - mean) * size + rest);
        let (low, high) = beta_middle(a, b);
        Shrunken { value: a / (a + b), low, high }
    };
    Ok(counts.iter().map(of).collect())
}

/// Sizes of the beta distribution searched: from groups that share nothing to groups that
/// are all alike.
const SIZE: (f64, f64) = (0.1, 1e6);

/// Adjusted p-values, in the order given: rejecting those at most α keeps the expected
/// share of false rejections below α.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjust {
    /// Benjamini and Hochberg (1995): independent or positively dependent tests.
    BenjaminiHochberg,
    /// Benjamini and Yekutieli (2001): whatever the dependence.
    BenjaminiYekutieli,
    /// Holm (1979): the chance of any false rejection.
    Holm,
}

/// Adjusts the p-values of one family; `None` if one of them is no probability.
pub fn adjusted(p: &[f64], by: Adjust) -> Option<Vec<f64>> {
    if p.iter().any(|p| !(0.0..=1.0).contains(p)) {
        return None;
    }
    let m = count(p.len());
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let harmonic: f64 = (1..=p.len()).map(|i| 1.0 / count(i)).sum();
    let mut out = vec![0.0; p.len()];
    if by == Adjust::Holm {
        let mut last = 0.0f64;
        for (rank, place) in order.iter().enumerate() {
            last = last.max((m - count(rank)) * p[*place]).min(1.0);
            out[*place] = last;
        }
        return Some(out);
    }
    let factor = if by == Adjust::BenjaminiYekutieli { m * harmonic } else { m };
    let mut last = 1.0f64;
    for (rank, place) in order.iter().enumerate().rev() {
        last = last.min(factor * p[*place] / count(rank + 1));
        out[*place] = last;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_that_are_none_are_refused() {
        assert!(clopper_pearson(0, 0).is_err() && clopper_pearson(2, 1).is_err());
        assert!(newcombe((1, 2), (0, 0)).is_err() && newcombe((3, 2), (1, 2)).is_err());
        for exposure in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(garwood(1, exposure), Err(ProportionRefused::NoExposure));
        }
        assert_eq!(shrink(&[(1, 2); 2]), Err(ProportionRefused::FewGroups(2)));
        assert!(shrink(&[(1, 2), (0, 0), (1, 2)]).is_err());
        assert_eq!(adjusted(&[0.1, f64::NAN], Adjust::Holm), None);
        assert_eq!(adjusted(&[], Adjust::Holm), Some(vec![]));
    }

    /// Half the quantiles of chi-square, scipy 1.17.1 (`tests/oracle/proportions.py`).
    #[test]
    fn poisson_ends_are_garwoods() {
        let none = garwood(0, 1.0).unwrap();
        assert!(none.low.abs() < 1e-15 && (none.high - 3.688_879_454_1).abs() < 1e-9);
        let ten = garwood(10, 1.0).unwrap();
        assert!((ten.low - 4.795_388_696_132_4).abs() < 1e-8, "{ten:?}");
        assert!((ten.high - 18.390_356_042_017_8).abs() < 1e-8, "{ten:?}");
    }

    #[test]
    fn groups_that_are_alike_are_drawn_together_and_others_not() {
        let alike = shrink(&[(5, 10), (6, 10), (4, 10), (500, 1000)]).unwrap();
        assert!(alike.iter().all(|s| (s.value - 0.5).abs() < 0.02), "{alike:?}");
        let apart = shrink(&[(10, 1000), (500, 1000), (990, 1000), (3, 5)]).unwrap();
        assert!((apart[0].value - 0.01).abs() < 0.003, "{apart:?}");
        assert!(apart[3].low < 0.35 && apart[3].high > 0.75, "{apart:?}");
    }

    proptest! {
        #[test]
        fn intervals_hold_their_estimate(k in 0u64..300, more in 0u64..300, j in 0u64..50) {
            let n = k + more + 1;
            let p = as_f64(k) / as_f64(n);
            let exact = clopper_pearson(k, n).unwrap();
            prop_assert!(0.0 <= exact.low && exact.low <= p && p <= exact.high);
            prop_assert!(exact.high <= 1.0);
            let (difference, interval) = newcombe((k, n), (j, 50)).unwrap();
            prop_assert!(-1.0 - 1e-12 <= interval.low && interval.low <= difference);
            prop_assert!(difference <= interval.high && interval.high <= 1.0 + 1e-12);
            let rate = garwood(k, as_f64(n)).unwrap();
            prop_assert!(rate.low <= rate.value && rate.value < rate.high);
        }

        #[test]
        fn adjusted_values_keep_order_and_are_no_smaller(
            p in prop::collection::vec(0.0f64..=1.0, 0..40)
        ) {
            for by in [Adjust::BenjaminiHochberg, Adjust::BenjaminiYekutieli, Adjust::Holm] {
                let q = adjusted(&p, by).unwrap();
                for (a, b) in p.iter().zip(&q) {
                    prop_assert!(a <= &(b + 1e-12) && *b <= 1.0);
                }
                for i in 0..p.len() {
                    for j in 0..p.len() {
                        prop_assert!(p[i] > p[j] || q[i] <= q[j]);
                    }
                }
            }
        }
    }
}

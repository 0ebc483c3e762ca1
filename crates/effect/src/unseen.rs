//! How many organisations no vantage saw: capture-recapture (methods, 3.6).
//!
//! * [`chapman`]: two vantages; [`chao`]: from those seen once and twice;
//! * [`log_linear`]: up to five vantages, every model of dependence between pairs.
//!
//! **Invariant:** every figure here is a lower bound in practice, and says so by its name:
//! vantages that share an upstream, and organisations that are hard to see everywhere,
//! both make it too low. Vantages that never saw the same organisation are refused: there
//! the method would divide by chance. One month at most is taken as closed.

mod poisson;

use std::collections::BTreeMap;

use tidegauge_model::panel::{History, Panel};
use tidegauge_model::{DayRange, OrgId, VantageId};

use crate::Active;
use crate::interval::as_f64;
use crate::search::least;
use crate::student::quantile;

/// Below so many organisations in common, Chapman's estimate is biased (Robson and Regier
/// 1964).
pub const COMMON_MIN: u64 = 7;
/// Longest time in which nobody is taken to come or go.
pub const DAYS_MAX: u32 = 31;
/// Vantages that are modelled together: pairs of five make 1,024 models.
pub const VANTAGES_MAX: usize = 5;

/// Vantages that say nothing of what they did not see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnseenRefused {
    /// Rule `vantages-needed`.
    #[error("rule vantages-needed: {0} vantages; 2 to {VANTAGES_MAX} can be compared")]
    Vantages(usize),
    /// Rule `overlap-needed`.
    #[error(
        "rule overlap-needed: {first} and {second} saw {common} organisations in common; \
         at least {COMMON_MIN} are needed, or they look at different networks"
    )]
    Overlap {
        /// One vantage.
        first: String,
        /// Another.
        second: String,
        /// Organisations that both saw.
        common: u64,
    },
    /// Rule `closure`.
    #[error(
        "rule closure: {0} days; over more than {DAYS_MAX} organisations come and go"
    )]
    Open(u32),
    /// Counts that cannot be.
    #[error("rule counts-valid: {0}")]
    Counts(&'static str),
    /// No model has an estimate.
    #[error("no model of the vantages has a finite estimate")]
    NoModel,
}

/// A number of organisations, seen and unseen together: at least so many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtLeast {
    /// The estimate.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end; infinite where the likelihood never falls far enough.
    pub high: f64,
}

/// Two vantages that saw `first` and `second` organisations, `both` of them in common
/// (Chapman 1951; variance by Seber 1970); the interval is log-normal in the unseen.
pub fn chapman(first: u64, second: u64, both: u64) -> Result<AtLeast, UnseenRefused> {
    if both > first.min(second) {
        return Err(UnseenRefused::Counts("more in common than one vantage saw"));
    }
    if both < COMMON_MIN {
        let (first, second) = ("the first".to_owned(), "the second".to_owned());
        return Err(UnseenRefused::Overlap { first, second, common: both });
    }
    let [a, b, m] = [first, second, both].map(as_f64);
    let value = (a + 1.0) * (b + 1.0) / (m + 1.0) - 1.0;
    let variance =
        (a + 1.0) * (b + 1.0) * (a - m) * (b - m) / ((m + 1.0).powi(2) * (m + 2.0));
    Ok(around(value, variance, a + b - m))
}

/// From those seen by exactly one vantage and by exactly two, of `seen` in all (Chao 1987,
/// bias-corrected; variance as in vegan's `estimateR`).
pub fn chao(seen: u64, once: u64, twice: u64) -> Result<AtLeast, UnseenRefused> {
    if once.checked_add(twice).is_none_or(|some| some > seen) {
        return Err(UnseenRefused::Counts("more seen once and twice than seen"));
    }
    if seen == 0 {
        return Err(UnseenRefused::Counts("nothing was seen"));
    }
    let [s, f1, f2] = [seen, once, twice].map(as_f64);
    let more = f1 * (f1 - 1.0).max(0.0) / (2.0 * (f2 + 1.0));
    // The delta method with the covariance of multinomial counts; everybody seen counts one.
    let slopes = [
        (1.0 + (2.0 * f1 - 1.0) / (2.0 * (f2 + 1.0)), f1),
        (1.0 - f1 * (f1 - 1.0) / (2.0 * (f2 + 1.0).powi(2)), f2),
        (1.0, s - f1 - f2),
    ];
    let square: f64 = slopes.iter().map(|(g, n)| g * g * n).sum();
    let mean: f64 = slopes.iter().map(|(g, n)| g * n).sum();
    let variance = (square - mean * mean / (s + more)).max(0.0);
    Ok(around(s + more, if f1 > 0.0 { variance } else { 0.0 }, s))
}

/// An interval for which the unseen are log-normal (Chao 1987): never below those seen.
fn around(value: f64, variance: f64, seen: f64) -> AtLeast {
    let (unseen, standard_error) = (value - seen, variance.sqrt());
    if unseen <= 0.0 {
        let high = value + quantile(0.975, None) * standard_error;
        return AtLeast { value, standard_error, low: seen.min(value), high };
    }
    let spread = (variance / unseen.powi(2)).ln_1p().sqrt();
    let factor = (quantile(0.975, None) * spread).exp();
    let (low, high) = (seen + unseen / factor, seen + unseen * factor);
    AtLeast { value, standard_error, low, high }
}

/// Organisations by the set of vantages that saw them: bit j of the key is vantage j.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sets {
    /// Names of the vantages.
    pub vantages: Vec<String>,
    /// How many organisations each set saw; sets that are missing saw none.
    pub counts: BTreeMap<usize, u64>,
}

impl Sets {
    /// Organisations of `panel` active in `days`, by the vantages at which they are.
    pub fn of(
        panel: &Panel,
        days: DayRange,
        active: Active,
    ) -> Result<Self, UnseenRefused> {
        if days.length_days() > DAYS_MAX {
            return Err(UnseenRefused::Open(days.length_days()));
        }
        let mut vantages: Vec<&VantageId> =
            panel.histories.iter().map(|h| &h.vantage).collect();
        vantages.sort();
        vantages.dedup();
        let mut sets: BTreeMap<&OrgId, usize> = BTreeMap::new();
        let holds = |h: &&History| active.holds(h, panel.days, days);
        for history in panel.histories.iter().filter(holds) {
            let bit = vantages.binary_search(&&history.vantage).unwrap_or(0);
            *sets.entry(&history.organisation).or_default() |= 1 << bit.min(63);
        }
        let mut counts = BTreeMap::new();
        for set in sets.into_values() {
            *counts.entry(set).or_default() += 1;
        }
        let vantages = vantages.into_iter().map(ToString::to_string).collect();
        Ok(Self { vantages, counts })
    }

    fn seen_by(&self, all_of: usize) -> u64 {
        let of = |(set, _): &(&usize, &u64)| *set & all_of == all_of;
        self.counts.iter().filter(of).map(|(_, n)| n).sum()
    }

    /// Checks that every pair of vantages saw enough in common.
    fn admit(&self) -> Result<(), UnseenRefused> {
        let size = self.vantages.len();
        if !(2..=VANTAGES_MAX).contains(&size) {
            return Err(UnseenRefused::Vantages(size));
        }
        if self.counts.keys().any(|set| *set == 0 || *set >= 1 << size) {
            return Err(UnseenRefused::Counts("a set of vantages that does not exist"));
        }
        for (a, b) in pairs(size) {
            let common = self.seen_by(1 << a | 1 << b);
            if common < COMMON_MIN {
                return Err(UnseenRefused::Overlap {
                    first: self.vantages[a].clone(),
                    second: self.vantages[b].clone(),
                    common,
                });
            }
        }
        Ok(())
    }
}

fn pairs(size: usize) -> Vec<(usize, usize)> {
    (0..size).flat_map(|a| (a + 1..size).map(move |b| (a, b))).collect()
}

/// One model of dependence between vantages.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Pairs of vantages that depend on each other.
    pub pairs: Vec<(String, String)>,
    /// Seen and unseen, with the interval of profile likelihood (Cormack 1992).
    pub total: AtLeast,
    /// Deviance.
    pub deviance: f64,
    /// Akaike's criterion.
    pub aic: f64,
}

/// All models, and what they say together.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLinear {
    /// Every model with a finite estimate, least criterion first.
    pub models: Vec<Model>,
    /// Least and greatest estimate over all of them: the figure to report, as a lower
    /// bound. A criterion that prefers the model without a degree of freedom left, whose
    /// estimate explodes, is no reason to report that one alone.
    pub range: (f64, f64),
}

/// Fits every model with the vantages and any of their pairs.
pub fn log_linear(sets: &Sets) -> Result<LogLinear, UnseenRefused> {
    sets.admit()?;
    let size = sets.vantages.len();
    let pairs = pairs(size);
    let counts: Vec<f64> = (1..1usize << size)
        .map(|set| as_f64(sets.counts.get(&set).copied().unwrap_or(0)))
        .collect();
    let models = (0..1usize << pairs.len()).filter_map(|chosen| {
        let of: Vec<(usize, usize)> = (0..pairs.len())
            .filter(|j| chosen >> j & 1 == 1)
            .map(|j| pairs[j])
            .collect();
        // A model as large as the table has no degree of freedom, one larger no meaning.
        (1 + size + of.len() <= counts.len()).then(|| model(sets, &counts, &of))?
    });
    let mut models: Vec<Model> = models.collect();
    models.sort_by(|a, b| a.aic.total_cmp(&b.aic));
    if models.is_empty() {
        return Err(UnseenRefused::NoModel);
    }
    let range = models.iter().fold((f64::INFINITY, 0.0f64), |range, model| {
        (range.0.min(model.total.value), range.1.max(model.total.value))
    });
    Ok(LogLinear { models, range })
}

fn model(sets: &Sets, counts: &[f64], of: &[(usize, usize)]) -> Option<Model> {
    let size = sets.vantages.len();
    let row = |set: usize| {
        let seen = move |j: usize| f64::from(u8::from(set >> j & 1 == 1));
        let both = of.iter().map(move |(a, b)| seen(*a) * seen(*b));
        std::iter::once(1.0).chain((0..size).map(seen)).chain(both).collect()
    };
    let rows: Vec<Vec<f64>> = (1..1usize << size).map(row).collect();
    let fit = poisson::fit(&rows, counts)?;
    let unseen = fit.coefficients[0].exp();
    let seen: f64 = counts.iter().sum();
    // The variance of a Poisson total: that of the unseen cell, and of its mean.
    let variance = unseen + unseen.powi(2) * fit.covariance[(0, 0)];
    let (low, high) = profile(&rows, counts, unseen)?;
    let name = |(a, b): &(usize, usize)| {
        (sets.vantages[*a].clone(), sets.vantages[*b].clone())
    };
    let total = AtLeast {
        value: seen + unseen,
        standard_error: variance.sqrt(),
        low: seen + low,
        high: seen + high,
    };
    (total.value.is_finite() && variance.is_finite()).then(|| Model {
        pairs: of.iter().map(name).collect(),
        total,
        deviance: fit.deviance,
        aic: fit.aic,
    })
}

/// Fall of the log-likelihood at the ends of a 95 % interval: half the quantile of
/// chi-square with one degree.
const FALL: f64 = 1.920_729_410_347_062;
/// Unseen organisations beyond so many times those seen are taken for infinitely many.
const UNSEEN_MAX: f64 = 1e4;

/// Ends of the unseen by profile likelihood: the model is fitted with each number of them
/// as if they had been counted.
fn profile(rows: &[Vec<f64>], counts: &[f64], near: f64) -> Option<(f64, f64)> {
    let width = rows.first()?.len();
    let mut full = vec![vec![0.0; width]];
    full[0][0] = 1.0;
    full.extend(rows.iter().cloned());
    let value = |unseen: f64| {
        let mut all = vec![unseen];
        all.extend(counts);
        poisson::fit(&full, &all).map(|fit| poisson::multinomial(&all, &fit.means))
    };
    let most = UNSEEN_MAX * counts.iter().sum::<f64>();
    let top =
        least((near.max(1e-6) / 50.0).ln(), (near.max(1.0) * 50.0).ln(), |log| {
            Some(-value(log.exp())?)
        })?
        .exp();
    let best = value(top)?;
    let inside = |unseen: f64| value(unseen).is_some_and(|v| v >= best - FALL);
    let low = if inside(1e-9) { 0.0 } else { end(1e-9, top, |x| !inside(x)) };
    let mut far = top.max(1.0) * 2.0;
    while inside(far) && far < most {
        far *= 2.0;
    }
    let high = if far >= most { f64::INFINITY } else { end(top, far, inside) };
    Some((low, high))
}

/// Where `holds` ceases to hold between `low` and `high`.
fn end(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if holds(middle) { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::removal::tests::panel;

    fn two(counts: [u64; 3]) -> Sets {
        Sets {
            vantages: vec!["east".to_owned(), "west".to_owned()],
            counts: (1..4).zip(counts).collect(),
        }
    }

    #[test]
    fn vantages_that_share_nothing_are_refused() {
        assert!(matches!(chapman(50, 60, 0), Err(UnseenRefused::Overlap { .. })));
        assert!(matches!(chapman(5, 60, 8), Err(UnseenRefused::Counts(_))));
        let error = log_linear(&two([40, 50, 3])).unwrap_err();
        assert!(error.to_string().contains("east and west saw 3"), "{error}");
        let one = Sets { vantages: vec!["east".to_owned()], ..two([9, 9, 9]) };
        assert_eq!(log_linear(&one), Err(UnseenRefused::Vantages(1)));
        assert!(chao(0, 0, 0).is_err() && chao(3, 2, 2).is_err());
        assert!(chao(u64::MAX, u64::MAX, 2).is_err());
    }

    #[test]
    fn two_independent_vantages_have_lincolns_estimate() {
        let found = log_linear(&two([40, 30, 20])).unwrap();
        assert_eq!(found.models.len(), 1);
        let total = found.models[0].total;
        assert!((total.value - 60.0 * 50.0 / 20.0).abs() < 1e-6, "{total:?}");
        assert!(
            total.low > 90.0 && total.low < total.value && total.value < total.high
        );
    }

    #[test]
    fn a_panel_is_cut_into_sets_and_only_inside_a_month() {
        let mut panel = panel(&[(2, 2); 3], 1);
        let mut other = panel.histories[0].clone();
        other.vantage = "w".into();
        panel.histories.push(other);
        let april = DayRange::month("2024-04".parse().unwrap());
        let sets = Sets::of(&panel, april, Active { days_min: 2 }).unwrap();
        assert_eq!(sets.counts, BTreeMap::from([(1, 2), (3, 1)]));
        let open = Sets::of(&panel, panel.days, Active { days_min: 2 });
        assert!(matches!(open, Err(UnseenRefused::Open(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn totals_are_no_less_than_seen(
            a in 0u64..80, b in 0u64..80, both in 7u64..80, c in 0u64..40,
        ) {
            let found = chapman(a + both, b + both, both).unwrap();
            prop_assert!(found.value >= as_f64(a + b + both) - 1.0);
            prop_assert!(found.low <= found.value && found.value <= found.high);
            let found = chao(a + b + c, a, b).ok();
            if let Some(found) = found {
                prop_assert!(found.value >= as_f64(a + b + c) && found.high.is_finite());
            }
            if let Ok(found) = log_linear(&two([a, b, both])) {
                let text = format!("{found:?}");
                prop_assert!(!text.contains("NaN"), "{text}");
                let total = found.models[0].total;
                prop_assert!(total.value >= as_f64(a + b + both) - 1e-6);
            }
        }
    }
}

//! Resampling whole families of organisations, within countries.
//!
//! **Invariant:** members of a family are drawn together, since a parent decides for its
//! subsidiaries; each country keeps its number of families. The same seed gives the same
//! interval on every machine.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tidegauge_model::Country;
use tidegauge_model::estimate::Interval;

use crate::interval::LEVEL;

/// How often to resample, and from which seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Number of resamples; 999 gives exact 2.5 % and 97.5 % order statistics.
    pub replicates: u32,
    /// Seed of the random numbers.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { replicates: 999, seed: 2024 }
    }
}

/// Sums over the members of one family that a statistic is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Active before.
    pub before: u64,
    /// Active before and after.
    pub both: u64,
    /// Active after.
    pub after: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.before += other.before;
        self.both += other.both;
        self.after += other.after;
    }
}

/// Families of a stratum, by country.
pub(crate) type Families = BTreeMap<Option<Country>, Vec<Tally>>;

impl Bootstrap {
    /// Percentile interval of `statistic` over `families`. `None` if there are fewer than
    /// two families or the statistic is undefined in a resample too often to be ranked.
    pub(crate) fn interval(
        self,
        families: &Families,
        stream: u64,
        statistic: impl Fn(Tally) -> Option<f64>,
    ) -> Option<Interval> {
        if families.values().map(Vec::len).sum::<usize>() < 2 || self.replicates < 39 {
            return None;
        }
        let mut random = Pcg64Mcg::seed_from_u64(self.seed ^ stream.rotate_left(32));
        let mut values: Vec<f64> = (0..self.replicates)
            .filter_map(|_| statistic(resample(families, &mut random)))
            .collect();
        // An undefined resample has no rank; one in twenty would already eat the tails.
        if values.len() * 20 < usize::try_from(self.replicates).ok()? * 19 {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let tail = (1.0 - LEVEL) / 2.0;
        Some(Interval {
            method: format!("cluster bootstrap by family ({})", self.replicates),
            level: LEVEL,
            low: order_statistic(&values, tail)?,
            high: order_statistic(&values, 1.0 - tail)?,
        })
    }
}

fn resample(families: &Families, random: &mut Pcg64Mcg) -> Tally {
    let mut sum = Tally::default();
    for members in families.values() {
        for _ in 0..members.len() {
            sum.add(members[random.random_range(0..members.len())]);
        }
    }
    sum
}

/// The value of rank `(count + 1) * share`, the textbook percentile of a bootstrap.
fn order_statistic(sorted: &[f64], share: f64) -> Option<f64> {
    let count = crate::interval::as_f64(u64::try_from(sorted.len()).ok()?);
    let rank = ((count + 1.0) * share).round().clamp(1.0, count);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number from 1 to the length"
    )]
    let index = rank as usize - 1;
    sorted.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coin_families(n: usize, ones: usize) -> Families {
        let tally = |i| Tally { before: 1, both: u64::from(i < ones), after: 0 };
        BTreeMap::from([(None, (0..n).map(tally).collect())])
    }

    fn share(t: Tally) -> Option<f64> {
        (t.before > 0).then(|| {
            1.0 - crate::interval::as_f64(t.both) / crate::interval::as_f64(t.before)
        })
    }

    #[test]
    fn singletons_give_nearly_the_binomial_interval() {
        let families = coin_families(1_000, 420);
        let interval = Bootstrap::default().interval(&families, 0, share).unwrap();
        let half = 1.96 * (0.42f64 * 0.58 / 1_000.0).sqrt();
        assert!((interval.low - (0.58 - half)).abs() < 0.006, "{interval:?}");
        assert!((interval.high - (0.58 + half)).abs() < 0.006, "{interval:?}");
    }

    #[test]
    fn families_that_act_as_one_widen_the_interval() {
        let single = coin_families(1_000, 420);
        let tally = |i| {
            let both = if i < 42 { 10 } else { 0 };
            Tally { before: 10, both, after: 0 }
        };
        let tens: Families = BTreeMap::from([(None, (0..100).map(tally).collect())]);
        let width = |f: &Families| {
            let i = Bootstrap::default().interval(f, 0, share).unwrap();
            i.high - i.low
        };
        assert!(width(&tens) > 2.5 * width(&single));
    }

    #[test]
    fn the_seed_decides_the_interval() {
        let families = coin_families(50, 20);
        let with = |seed| {
            Bootstrap { replicates: 199, seed }.interval(&families, 0, share).unwrap()
        };
        assert_eq!(with(1), with(1));
        assert_ne!(with(1), with(2));
    }

    #[test]
    fn one_family_alone_has_no_interval() {
        let families = coin_families(1, 1);
        assert_eq!(Bootstrap::default().interval(&families, 0, share), None);
    }
}

//! Counts of organisations under differential privacy, as an option to the disclosure rule.
//!
//! **Invariant:** two panels that differ by one organisation with all that it ever did give
//! any table with chances that differ by at most a factor of `exp(ε)`. Three things hold it:
//! an organisation is in one cell a period at most (it has one country and one sector), so
//! that it moves at most as many cells as there are periods, each by one; every cell of the
//! domain is drawn, the empty ones too, and the domain does not come from the panel; the noise
//! is a discrete Laplace variable of that scale, drawn exactly, with integers alone
//! (Canonne, Kamath and Steinke 2020, algorithms 1 and 2).
//!
//! What is left out of the table is decided by the noisy figures alone. Noise comes from words
//! that the caller makes by a secret key of the cell and its true count: the same question on
//! the same data has one answer, and asking again tells nothing more.

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_model::count::Dimension;
use tidegauge_model::panel::{History, Panel};
use tidegauge_model::{Country, DayRange, SectorId};

/// The share of all noise that lies within the interval of a figure.
const LEVEL: f64 = 0.95;
/// How likely it is that the noise alone puts any figure into a table.
const FALSE_ROWS: f64 = 0.05;

/// A budget of privacy, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epsilon(u32);

/// A budget that is none.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("`{0}` is no ε from 0.001 to 10, in thousandths")]
pub struct BadEpsilon(f64);

impl Epsilon {
    /// From 0.001 to 10; beyond, nobody is protected.
    pub fn new(epsilon: f64) -> Result<Self, BadEpsilon> {
        let thousandths = (epsilon * 1000.0).round();
        let exact = (thousandths - epsilon * 1000.0).abs() < 1e-6;
        if !(exact && (1.0..=10_000.0).contains(&thousandths)) {
            return Err(BadEpsilon(epsilon));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is from 1 to 10,000"
        )]
        Ok(Self(thousandths as u32))
    }
}

/// The cells of a table that are drawn, whatever the panel has.
#[derive(Clone, Debug)]
pub struct Domain<'a> {
    /// Months, countries and sectors at most, each once.
    pub by: &'a [Dimension],
    /// Every country there could be.
    pub countries: &'a [Country],
    /// Every sector there could be.
    pub sectors: &'a [SectorId],
    /// Days in a period from which an organisation counts.
    pub active_days_min: u32,
}

/// Why a table cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPrivate {
    /// An organisation could be in several cells of a period.
    #[error(
        "with ε cells are split by month, country and sector alone, not by {0}: an organisation \
         could be in several"
    )]
    Dimension(Dimension),
}

/// A table that may be published.
#[derive(Clone, Debug, PartialEq)]
pub struct PrivateTable {
    /// In the order of the domain.
    pub cells: Vec<PrivateCell>,
    /// How many cells were drawn whose figure the noise alone could have made.
    pub left_out: usize,
    /// How many cells one organisation may be in.
    pub cells_of_one: u32,
    /// Standard deviation of the noise.
    pub deviation: f64,
    /// Figures are within this of the truth in 95 of a hundred cells.
    pub margin: u64,
}

/// A noisy count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateCell {
    /// One value for each dimension; `None` is "not known".
    pub key: Vec<Option<String>>,
    /// Organisations, with noise.
    pub organisations: u64,
}

/// Draws a table. `words` makes random words from a secret and the bytes it is given, always
/// the same from the same.
pub fn private<W: Iterator<Item = u64>>(
    panel: &Panel,
    domain: &Domain<'_>,
    epsilon: Epsilon,
    words: impl Fn(&[u8]) -> W,
) -> Result<PrivateTable, NotPrivate> {
    let allowed = [Dimension::Month, Dimension::Country, Dimension::Sector];
    if let Some(other) = domain.by.iter().find(|d| !allowed.contains(d)) {
        return Err(NotPrivate::Dimension(*other));
    }
    let periods = periods(panel.days, domain);
    let counts = counted(panel, domain, &periods);
    let cells_of_one = u32::try_from(periods.len()).unwrap_or(u32::MAX);
    let noise = Noise::new(cells_of_one, epsilon);
    let keys = keys(domain, &periods);
    let all = keys.len();
    let least = noise.beyond(FALSE_ROWS / count_of(all));
    let cells: Vec<_> = keys
        .into_iter()
        .filter_map(|key| {
            let count = counts.get(&key).copied().unwrap_or(0);
            let draw = noise.draw(&mut words(format!("{key:?} {count}").as_bytes()));
            let organisations = i64::try_from(count).ok()?.saturating_add(draw);
            let organisations = u64::try_from(organisations).ok()?;
            (organisations > least).then_some(PrivateCell { key, organisations })
        })
        .collect();
    Ok(PrivateTable {
        left_out: all - cells.len(),
        cells,
        cells_of_one,
        deviation: noise.deviation(),
        margin: noise.beyond((1.0 - LEVEL) / 2.0),
    })
}

type Key = Vec<Option<String>>;

/// The stretches of days of which each has its own cells, by their names.
fn periods(days: DayRange, domain: &Domain<'_>) -> Vec<(Option<String>, DayRange)> {
    if !domain.by.contains(&Dimension::Month) {
        return vec![(None, days)];
    }
    let of = |month| {
        let own = DayRange::month(month);
        let (first, last) =
            (own.first().max(days.first()), own.last().min(days.last()));
        Some((Some(month.to_string()), DayRange::new(first, last)?))
    };
    days.months().filter_map(of).collect()
}

/// Organisations by cell, none in two cells of a period.
fn counted(
    panel: &Panel,
    domain: &Domain<'_>,
    periods: &[(Option<String>, DayRange)],
) -> BTreeMap<Key, u64> {
    let mut counts = BTreeMap::new();
    let histories = &panel.histories;
    for of in histories.chunk_by(|a, b| a.organisation == b.organisation) {
        let Some(united) = united(of) else { continue };
        for (period, days) in periods {
            if united.seen_days(panel.days, *days) >= domain.active_days_min.max(1) {
                *counts.entry(key(domain, period.as_ref(), &united)).or_default() += 1;
            }
        }
    }
    counts
}

/// An organisation as seen from all vantages.
fn united(of: &[History]) -> Option<History> {
    let (first, others) = of.split_first()?;
    let mut united = first.clone();
    for other in others {
        for (into, from) in united.weeks.iter_mut().zip(&other.weeks) {
            into.seen |= from.seen;
        }
    }
    Some(united)
}

fn key(domain: &Domain<'_>, period: Option<&String>, of: &History) -> Key {
    let value = |dimension: &Dimension| match dimension {
        Dimension::Month => period.cloned(),
        Dimension::Country => of.country.map(|c| c.to_string()),
        _ => of.sector.as_ref().map(ToString::to_string),
    };
    domain.by.iter().map(value).collect()
}

/// Every cell there could be.
fn keys(domain: &Domain<'_>, periods: &[(Option<String>, DayRange)]) -> BTreeSet<Key> {
    let values = |dimension: &Dimension| -> Vec<Option<String>> {
        match dimension {
            Dimension::Month => {
                periods.iter().map(|(period, _)| period.clone()).collect()
            }
            Dimension::Country => {
                let all = domain.countries.iter().map(|c| Some(c.to_string()));
                all.chain([None]).collect()
            }
            _ => {
                let all = domain.sectors.iter().map(|s| Some(s.to_string()));
                all.chain([None]).collect()
            }
        }
    };
    let mut keys = BTreeSet::from([Vec::new()]);
    for dimension in domain.by {
        let values = values(dimension);
        let longer = keys.iter().flat_map(|key: &Key| {
            values.iter().map(move |value| {
                [key.as_slice(), std::slice::from_ref(value)].concat()
            })
        });
        keys = longer.collect();
    }
    keys
}

#[expect(clippy::cast_precision_loss, reason = "tables have fewer cells than 2^53")]
fn count_of(cells: usize) -> f64 {
    cells.max(1) as f64
}

/// A discrete Laplace variable: `x` has a chance in proportion to `exp(-|x| · rate / scale)`.
#[derive(Clone, Copy, Debug)]
struct Noise {
    scale: u64,
    rate: u64,
}

impl Noise {
    fn new(sensitivity: u32, Epsilon(thousandths): Epsilon) -> Self {
        Self { scale: 1000 * u64::from(sensitivity.max(1)), rate: thousandths.into() }
    }

    /// Algorithm 2 of Canonne, Kamath and Steinke.
    fn draw(self, words: &mut impl Iterator<Item = u64>) -> i64 {
        loop {
            let part = below(self.scale, words);
            if !bernoulli_exp(part, self.scale, words) {
                continue;
            }
            let mut whole = 0u64;
            while bernoulli_exp(1, 1, words) {
                whole += 1;
            }
            let size = (part + self.scale * whole) / self.rate;
            let negative = below(2, words) == 1;
            if negative && size == 0 {
                continue;
            }
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            return if negative { -size } else { size };
        }
    }

    /// `exp(-rate / scale)`.
    #[expect(clippy::cast_precision_loss, reason = "both are far below 2^53")]
    fn decay(self) -> f64 {
        (-(self.rate as f64) / self.scale as f64).exp()
    }

    fn deviation(self) -> f64 {
        let p = self.decay();
        (2.0 * p).sqrt() / (1.0 - p)
    }

    /// The least that the noise exceeds with at most this chance, on one side:
    /// `P(X > k) = p^(k+1) / (1+p)`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is from 0 to some scales"
    )]
    fn beyond(self, chance: f64) -> u64 {
        let p = self.decay();
        let k = (chance * (1.0 + p)).ln() / p.ln() - 1.0;
        k.ceil().max(0.0) as u64
    }
}

/// True with a chance of `exp(-part / of)`, of which `part` is at most `of`: algorithm 1.
fn bernoulli_exp(part: u64, of: u64, words: &mut impl Iterator<Item = u64>) -> bool {
    let mut k = 1;
    while below(of * k, words) < part {
        k += 1;
    }
    k % 2 == 1
}

/// A number from 0 to `bound - 1`, each as likely.
fn below(bound: u64, words: &mut impl Iterator<Item = u64>) -> u64 {
    let fair = u64::MAX - u64::MAX % bound;
    let word = words.find(|word| *word < fair);
    word.map_or(0, |word| word % bound)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegauge_model::panel::WeekCell;

    use super::*;

    /// `SplitMix64` (Steele, Lea and Flood 2014): enough for tests.
    fn words(seed: u64) -> impl Iterator<Item = u64> {
        let mut state = seed;
        std::iter::repeat_with(move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        })
    }

    fn of_bytes(bytes: &[u8]) -> impl Iterator<Item = u64> + use<> {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        words(hasher.finish())
    }

    /// Frequencies of 200,000 draws lie where the law puts them, within five errors.
    #[test]
    fn noise_has_the_chances_of_its_law() {
        for (sensitivity, epsilon) in [(1, 1.0), (3, 0.5), (1, 4.0)] {
            let noise = Noise::new(sensitivity, Epsilon::new(epsilon).unwrap());
            let mut words = words(7);
            let n = 200_000u32;
            let mut seen = BTreeMap::<i64, u32>::new();
            for _ in 0..n {
                *seen.entry(noise.draw(&mut words)).or_default() += 1;
            }
            let p = noise.decay();
            for x in -6i32..=6 {
                let chance = (1.0 - p) / (1.0 + p) * p.powi(x.abs());
                let share =
                    f64::from(seen.get(&x.into()).copied().unwrap_or(0)) / f64::from(n);
                let error = (chance * (1.0 - chance) / f64::from(n)).sqrt();
                assert!((share - chance).abs() < 5.0 * error, "{x}: {share} {chance}");
            }
            let beyond = i64::try_from(noise.beyond(0.025)).unwrap();
            let outside = |k: i64| -> f64 {
                f64::from(
                    seen.iter().filter(|(x, _)| **x > k).map(|(_, n)| n).sum::<u32>(),
                ) / f64::from(n)
            };
            assert!(outside(beyond) < 0.027, "{} beyond {beyond}", outside(beyond));
            assert!(beyond == 0 || outside(beyond - 1) > 0.023);
        }
    }

    fn history(id: u8, country: &str, sector: Option<&str>, weeks: &[u8]) -> History {
        History {
            organisation: tidegauge_model::OrgId::new(id.to_string()),
            family: tidegauge_model::OrgId::new(id.to_string()),
            country: Some(country.parse().unwrap()),
            sector: sector.map(SectorId::new),
            vantage: "v".into(),
            weeks: weeks
                .iter()
                .map(|seen| WeekCell { seen: *seen, ..WeekCell::default() })
                .collect(),
        }
    }

    fn days() -> DayRange {
        // Four months of whole weeks and some days.
        DayRange::new("2024-04-01".parse().unwrap(), "2024-07-28".parse().unwrap())
            .unwrap()
    }

    fn countries() -> [Country; 2] {
        ["DE", "US"].map(|c| c.parse().unwrap())
    }

    fn panel(histories: Vec<History>) -> Panel {
        Panel { product: "red".into(), days: days(), histories }
    }

    const BY: [Dimension; 3] =
        [Dimension::Month, Dimension::Country, Dimension::Sector];

    fn domain<'a>(
        by: &'a [Dimension],
        countries: &'a [Country],
        sectors: &'a [SectorId],
    ) -> Domain<'a> {
        Domain { by, countries, sectors, active_days_min: 2 }
    }

    #[test]
    fn large_counts_are_told_about_right_and_the_same_again() {
        let all = (0..=255).map(|id| history(id, "US", Some("finance"), &[0x7f; 17]));
        let panel = panel(all.collect());
        let (countries, sectors) = (countries(), [SectorId::new("finance")]);
        let domain = domain(&BY[..2], &countries, &sectors);
        let epsilon = Epsilon::new(1.0).unwrap();
        let table = private(&panel, &domain, epsilon, of_bytes).unwrap();
        assert_eq!(table.cells_of_one, 4);
        let keys: Vec<_> =
            table.cells.iter().map(|c| c.key[0].clone().unwrap()).collect();
        assert_eq!(keys, ["2024-04", "2024-05", "2024-06", "2024-07"]);
        assert_eq!(table.left_out, 4 * 3 - 4, "Germany, and nowhere known");
        for cell in &table.cells {
            assert!(cell.organisations.abs_diff(256) < 60, "{cell:?}");
        }
        assert!(
            table.cells.iter().any(|cell| cell.organisations != 256),
            "it has noise"
        );
        assert_eq!(private(&panel, &domain, epsilon, of_bytes).unwrap(), table);
        assert!((table.deviation - 5.64).abs() < 0.01, "{}", table.deviation);
        assert_eq!(table.margin, 12);
    }

    #[test]
    fn what_could_hold_an_organisation_twice_is_refused() {
        let panel = panel(Vec::new());
        let by = [Dimension::Month, Dimension::Vantage];
        let refused = private(&panel, &domain(&by, &[], &[]), Epsilon(1000), of_bytes);
        assert_eq!(refused, Err(NotPrivate::Dimension(Dimension::Vantage)));
        for bad in [0.0, -1.0, 11.0, 0.0005, f64::NAN, f64::INFINITY] {
            assert!(Epsilon::new(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// What the guarantee rests on: one organisation more moves as many cells as is said
        /// at most, each by one, and no cell outside the domain of everybody.
        #[test]
        fn one_organisation_moves_one_cell_a_period(
            of in prop::collection::vec(
                (0u8..6, prop::collection::vec(0u8..128, 17)),
                1..12,
            ),
            by in prop::sample::subsequence(BY.to_vec(), 0..=3),
        ) {
            let (countries, sectors) = (countries(), ["a", "b"].map(SectorId::new));
            let names = [Some("a"), Some("b"), None];
            let mut histories: Vec<_> = of
                .iter()
                .map(|(id, weeks)| {
                    // An organisation is in one country and one sector from wherever seen.
                    let (c, s) = (usize::from(*id) % 2, usize::from(*id) % 3);
                    history(*id, &countries[c].to_string(), names[s], weeks)
                })
                .collect();
            histories.sort_by(|a, b| a.organisation.cmp(&b.organisation));
            let without: Vec<_> =
                histories.iter().filter(|h| h.organisation != "3".into()).cloned().collect();
            let domain = domain(&by, &countries, &sectors);
            let periods = periods(days(), &domain);
            let [all, fewer] = [histories, without]
                .map(|histories| counted(&panel(histories), &domain, &periods));
            let keys = keys(&domain, &periods);
            prop_assert!(all.keys().all(|key| keys.contains(key)));
            let count = |of: &BTreeMap<Key, u64>, key| of.get(key).copied().unwrap_or(0);
            let moved: Vec<u64> =
                keys.iter().map(|key| count(&all, key) - count(&fewer, key)).collect();
            prop_assert!(moved.iter().all(|by| *by <= 1));
            prop_assert!(usize::try_from(moved.iter().sum::<u64>()).unwrap() <= periods.len());
        }
    }
}

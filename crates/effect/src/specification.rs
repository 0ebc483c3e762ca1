//! What choices change: one figure under every set of choices (methods, section 2).
//!
//! **Invariant:** every set of choices counts, whatever it gives; what could not be
//! estimated under a choice is counted as such and not left out in silence.

use std::collections::{BTreeMap, BTreeSet};

use crate::regression::count;

/// The figures under one set of choices.
#[derive(Clone, Debug, PartialEq)]
pub struct Specification {
    /// Name and value of each choice.
    pub choices: Vec<(String, String)>,
    /// Whether this is the set that all other figures were made with.
    pub asked: bool,
    /// The figure of each stratum; `None` where it could not be estimated.
    pub figures: BTreeMap<String, Option<f64>>,
}

/// A curve that cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecificationRefused {
    /// Rule `choices-needed`.
    #[error("rule choices-needed: {0} sets of choices; two or more are compared")]
    Few(usize),
    /// A figure that is none.
    #[error("set of choices {set} has no finite figure for {stratum}")]
    NotFinite {
        /// Which set.
        set: usize,
        /// Which stratum.
        stratum: String,
    },
}

/// One stratum over all sets of choices.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// Least figure.
    pub least: f64,
    /// Middle figure.
    pub median: f64,
    /// Greatest figure.
    pub greatest: f64,
    /// Sets under which it was estimated.
    pub estimated: usize,
    /// All sets.
    pub sets: usize,
}

/// All figures, and how far they rest on choices.
#[derive(Clone, Debug, PartialEq)]
pub struct SpecificationCurve {
    /// Range of each stratum that was ever estimated.
    pub ranges: BTreeMap<String, Range>,
    /// For each pair of strata, the first with the greater figure under more sets: share
    /// of the sets with both under which it is.
    pub orders: BTreeMap<(String, String), f64>,
    /// For each choice, the spread of the mean figure over its values, all strata
    /// together: which choice matters most.
    pub influence: BTreeMap<String, f64>,
}

/// Lays figures under all sets of choices together.
pub fn specification_curve(
    sets: &[Specification],
) -> Result<SpecificationCurve, SpecificationRefused> {
    if sets.len() < 2 {
        return Err(SpecificationRefused::Few(sets.len()));
    }
    for (set, of) in sets.iter().enumerate() {
        let bad = |(_, figure): &(&String, &Option<f64>)| {
            figure.is_some_and(|f| !f.is_finite())
        };
        if let Some((stratum, _)) = of.figures.iter().find(bad) {
            return Err(SpecificationRefused::NotFinite {
                set,
                stratum: stratum.clone(),
            });
        }
    }
    let names: BTreeSet<&String> = sets.iter().flat_map(|s| s.figures.keys()).collect();
    let figures = |name: &String| -> Vec<Option<f64>> {
        sets.iter().map(|s| s.figures.get(name).copied().flatten()).collect()
    };
    let ranges =
        names.iter().filter_map(|name| Some(((*name).clone(), range(&figures(name))?)));
    let mut orders = BTreeMap::new();
    for (i, first) in names.iter().enumerate() {
        for second in names.iter().skip(i + 1) {
            if let Some((first, second, share)) =
                order((first, &figures(first)), (second, &figures(second)))
            {
                orders.insert((first, second), share);
            }
        }
    }
    Ok(SpecificationCurve {
        ranges: ranges.collect(),
        orders,
        influence: influence(sets),
    })
}

fn range(figures: &[Option<f64>]) -> Option<Range> {
    let mut known: Vec<f64> = figures.iter().copied().flatten().collect();
    known.sort_by(f64::total_cmp);
    let (least, greatest) = (*known.first()?, *known.last()?);
    let (low, high) = (known[(known.len() - 1) / 2], known[known.len() / 2]);
    let median = f64::midpoint(low, high);
    Some(Range { least, median, greatest, estimated: known.len(), sets: figures.len() })
}

fn order(
    (first, a): (&str, &[Option<f64>]),
    (second, b): (&str, &[Option<f64>]),
) -> Option<(String, String, f64)> {
    let both: Vec<(f64, f64)> =
        a.iter().zip(b).filter_map(|(a, b)| Some(((*a)?, (*b)?))).collect();
    let greater = both.iter().filter(|(a, b)| a > b).count();
    let share = count(greater) / count(both.len());
    match share {
        _ if both.is_empty() => None,
        share if share >= 0.5 => Some((first.to_owned(), second.to_owned(), share)),
        _ => {
            let other = both.iter().filter(|(a, b)| b > a).count();
            let share = count(other) / count(both.len());
            Some((second.to_owned(), first.to_owned(), share))
        }
    }
}

fn influence(sets: &[Specification]) -> BTreeMap<String, f64> {
    let mut by: BTreeMap<&String, BTreeMap<&String, Vec<f64>>> = BTreeMap::new();
    for set in sets {
        let known: Vec<f64> = set.figures.values().copied().flatten().collect();
        if known.is_empty() {
            continue;
        }
        let mean = known.iter().sum::<f64>() / count(known.len());
        for (name, value) in &set.choices {
            by.entry(name).or_default().entry(value).or_default().push(mean);
        }
    }
    let spread = |values: BTreeMap<&String, Vec<f64>>| {
        let means =
            values.into_values().map(|v| v.iter().sum::<f64>() / count(v.len()));
        let (low, high) = means
            .fold((f64::INFINITY, f64::NEG_INFINITY), |r, m| (r.0.min(m), r.1.max(m)));
        high - low
    };
    by.into_iter().map(|(name, values)| (name.clone(), spread(values))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(days: &str, us: Option<f64>, de: Option<f64>) -> Specification {
        let figures = BTreeMap::from([("US".to_owned(), us), ("DE".to_owned(), de)]);
        let choices = vec![("days".to_owned(), days.to_owned())];
        Specification { choices, asked: false, figures }
    }

    #[test]
    fn ranges_orders_and_the_choice_that_matters() {
        let sets = [
            set("1", Some(0.5), Some(0.6)),
            set("2", Some(0.55), Some(0.7)),
            set("4", Some(0.7), Some(0.65)),
            set("4", None, Some(0.7)),
        ];
        let found = specification_curve(&sets).unwrap();
        let us = &found.ranges["US"];
        assert_eq!((us.least, us.median, us.greatest), (0.5, 0.55, 0.7));
        assert_eq!((us.estimated, us.sets), (3, 4));
        let order = found.orders[&("DE".to_owned(), "US".to_owned())];
        assert!((order - 2.0 / 3.0).abs() < 1e-12);
        assert!(found.influence["days"] > 0.1);
    }

    #[test]
    fn one_set_and_no_number_are_refused() {
        let one = set("1", Some(0.5), None);
        let few = specification_curve(std::slice::from_ref(&one));
        assert_eq!(few, Err(SpecificationRefused::Few(1)));
        let nan = set("2", Some(f64::NAN), None);
        let found = specification_curve(&[one, nan]).unwrap_err();
        assert!(found.to_string().contains("US"));
    }
}

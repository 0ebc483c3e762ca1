//! Estimates of a whole and of its parts, together.
//!
//! **Invariant:** what is shown of the whole and of some parts gives no hidden part away. *The
//! attack:* 29 of 42 organisations left, 20 of 30 in the United States; the two countries are
//! all there are, so that 9 of 12 left Germany, whose row is hidden since three stayed. *The
//! rule:* what the whole has beyond the parts that are shown is nothing, or passes the rule of one
//! part, and is not one hidden part alone; else the smallest part that is shown is hidden
//! too, whatever is asked about it.

use std::collections::BTreeMap;

use tidegauge_model::estimate::{Estimate, EstimateDisclosure, ReleasedEstimate};

use super::BesideTables;

/// The estimates as strangers may see them.
pub fn released(
    rule: &BesideTables,
    estimates: impl IntoIterator<Item = Estimate>,
) -> Vec<ReleasedEstimate> {
    let estimates: Vec<Estimate> = estimates.into_iter().collect();
    let mut shown: Vec<bool> = estimates.iter().map(|e| rule.permits(e)).collect();
    // Each round hides a part more, so it ends.
    while let Some(stratum) = needed(rule, &estimates, &shown) {
        for (shown, estimate) in shown.iter_mut().zip(&estimates) {
            *shown &= estimate.stratum != stratum;
        }
    }
    let statement = rule.statement();
    let each = estimates.into_iter().zip(shown);
    each.map(|(estimate, shown)| {
        let decided = Decided { statement: &statement, shown };
        ReleasedEstimate::by(&decided, estimate)
    })
    .collect()
}

type Stratum = Vec<(String, String)>;

/// What is asked of whom, and when.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    what: String,
    by: Vec<String>,
}

impl Asked {
    fn of(estimate: &Estimate) -> Self {
        let Estimate { quantity, before, after, method, stratum, .. } = estimate;
        let what = format!("{quantity:?} {before} {after} {method}");
        Self { what, by: stratum.iter().map(|(of, _)| of.clone()).collect() }
    }
}

/// A part that must be hidden beside those that are, or that are not told.
fn needed(
    rule: &BesideTables,
    estimates: &[Estimate],
    shown: &[bool],
) -> Option<Stratum> {
    let mut splits: BTreeMap<Asked, Vec<(&Estimate, bool)>> = BTreeMap::new();
    for (estimate, shown) in estimates.iter().zip(shown) {
        splits.entry(Asked::of(estimate)).or_default().push((estimate, *shown));
    }
    let parts = splits.iter().filter(|(asked, _)| !asked.by.is_empty());
    parts.into_iter().find_map(|(Asked { what, .. }, parts)| {
        let whole = splits.get(&Asked { what: what.clone(), by: Vec::new() });
        let (whole, shown) = whole?.first()?;
        shown.then(|| beside(rule, whole, parts)).flatten()
    })
}

/// The part of a split that must be hidden, since the whole less those that are shown would
/// give the rest away.
fn beside(
    rule: &BesideTables,
    whole: &Estimate,
    parts: &[(&Estimate, bool)],
) -> Option<Stratum> {
    let shown: Vec<&Estimate> =
        parts.iter().filter(|(_, shown)| *shown).map(|(e, _)| *e).collect();
    let less = |of: fn(&Estimate) -> u64| {
        of(whole).saturating_sub(shown.iter().map(|e| of(e)).sum::<u64>())
    };
    let rest = Estimate { n: less(|e| e.n), k: less(|e| e.k), ..whole.clone() };
    let alone = parts.len() - shown.len() == 1;
    if rest.n + rest.k == 0 || !alone && rule.permits(&rest) {
        return None;
    }
    Some(shown.into_iter().min_by_key(|e| e.n)?.stratum.clone())
}

/// A decision that was already taken.
struct Decided<'a> {
    statement: &'a str,
    shown: bool,
}

impl EstimateDisclosure for Decided<'_> {
    fn statement(&self) -> String {
        self.statement.to_owned()
    }

    fn permits(&self, _: &Estimate) -> bool {
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegauge_model::DayRange;
    use tidegauge_model::estimate::{Identification, Quantity};

    use super::*;

    fn estimate(country: Option<&str>, n: u64, k: u64) -> Estimate {
        let days = DayRange::month("2024-04".parse().unwrap());
        let stratum = country.map(|c| ("country".to_owned(), c.to_owned()));
        Estimate {
            quantity: Quantity::CohortRemoval,
            stratum: stratum.into_iter().collect(),
            before: days,
            after: days,
            value: 0.5,
            n,
            k,
            intervals: Vec::new(),
            method: String::new(),
            identified: Identification::Identified,
        }
    }

    /// The whole and its parts, and which of them are shown.
    fn shown(parts: &[(u64, u64)]) -> Vec<bool> {
        let names: Vec<String> = (0..parts.len()).map(|i| format!("C{i}")).collect();
        let sum = |of: fn(&(u64, u64)) -> u64| parts.iter().map(of).sum();
        let whole = estimate(None, sum(|p| p.0), sum(|p| p.1));
        let each = names.iter().zip(parts).map(|(c, (n, k))| estimate(Some(c), *n, *k));
        let all = released(&BesideTables::default(), [whole].into_iter().chain(each));
        all.iter().map(|e| e.shown().is_some()).collect()
    }

    #[test]
    fn the_whole_less_its_parts_gives_no_part_away() {
        assert_eq!(shown(&[(30, 20), (12, 9)]), [true, false, false]);
        assert_eq!(shown(&[(30, 20), (25, 12)]), [true; 3]);
        // The smallest that is shown goes with it.
        let four = [(60, 30), (12, 9), (24, 12), (40, 20)];
        assert_eq!(shown(&four), [true, true, false, false, true]);
        // Two that are hidden together are hidden enough, or not.
        assert_eq!(shown(&[(60, 30), (16, 9), (16, 8)]), [true, true, false, false]);
        assert_eq!(shown(&[(60, 30), (12, 11), (12, 11)]), [true, false, false, false]);
    }

    proptest! {
        #[test]
        fn no_remainder_is_small(
            parts in prop::collection::vec((0u64..40, 0u64..40), 1..8),
        ) {
            let parts: Vec<_> = parts.into_iter().map(|(n, k)| (n.max(k), k)).collect();
            let shown = shown(&parts);
            if shown[0] {
                let hidden = parts.iter().zip(&shown[1..]).filter(|(_, shown)| !**shown);
                let (n, k, count) = hidden
                    .fold((0, 0, 0), |(n, k, all), (part, _)| (n + part.0, k + part.1, all + 1));
                let enough = |x: u64| x == 0 || x >= 10;
                let nothing = count == parts.len() || n + k == 0;
                prop_assert!(
                    nothing || count > 1 && n >= 10 && enough(k) && enough(n - k)
                );
            }
        }
    }
}

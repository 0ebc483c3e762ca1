//! Reading releases and estimates: which row is which, and what may be compared.
//!
//! **Invariant:** no count is added to another; a release that has more than one row per
//! value is refused in words.

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_model::count::{Counts, Dating, Dimension, Release};
use tidegauge_model::estimate::{Estimate, Interval, Quantity, ReleasedEstimate};
use tidegauge_model::{DayRange, Month};

use super::{Expansion, Paired, Report};
use crate::number::{counted, day_short, real};
use crate::tables;

/// Why a figure is not drawn: a sentence for the reader.
pub(crate) type Absence = String;

/// A count of one value in one window: `None` if it was not seen, `Some(None)` if it is
/// suppressed.
pub(crate) type Cell = Option<Option<Counts>>;

/// What one dimension says: value (or unattributed) → counts (or suppressed).
pub(crate) type Column = BTreeMap<Option<String>, Option<Counts>>;

/// The rows of a release along `dimension`.
pub(crate) fn column(
    release: &Release,
    dimension: Dimension,
) -> Result<Column, Absence> {
    let by = &release.query().by;
    let Some(at) = by.iter().position(|d| *d == dimension) else {
        return Err(format!("The counts are not split by {}.", dimension.as_str()));
    };
    let mut column = Column::new();
    for row in release.rows() {
        let value = row.key.get(at).cloned().flatten();
        if column.insert(value, row.counts).is_some() {
            return Err(format!(
                "There is more than one count for a {}, and counts of organisations \
                 cannot be added.",
                dimension.as_str()
            ));
        }
    }
    if column.is_empty() {
        return Err("Nothing was counted in these days.".to_owned());
    }
    Ok(column)
}

/// One value counted in two windows, neither suppressed.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) value: String,
    pub(crate) before: Counts,
    pub(crate) after: Counts,
}

/// What could be compared and what could not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs {
    /// By organisations before, most first.
    pub(crate) shown: Vec<Pair>,
    /// Values with a suppressed count in either window.
    pub(crate) suppressed: usize,
    /// Values that were counted in one window only and appear in the table only.
    pub(crate) one_sided: usize,
}

/// Pairs the rows of two windows of equal length.
pub(crate) fn pairs(paired: &Paired, dimension: Dimension) -> Result<Pairs, Absence> {
    equally_long(paired.before.query().days, paired.after.query().days)?;
    let before = column(&paired.before, dimension)?;
    let after = column(&paired.after, dimension)?;
    let mut pairs = Pairs::default();
    let values: BTreeSet<&String> =
        before.keys().chain(after.keys()).flatten().collect();
    for value in values {
        let key = Some(value.clone());
        match (before.get(&key), after.get(&key)) {
            (Some(Some(b)), Some(Some(a))) => {
                pairs.shown.push(Pair { value: value.clone(), before: *b, after: *a });
            }
            (Some(None), _) | (_, Some(None)) => pairs.suppressed += 1,
            _ => pairs.one_sided += 1,
        }
    }
    let size = |p: &Pair| std::cmp::Reverse(p.before.organisations_active);
    pairs.shown.sort_by(|a, b| (size(a), &a.value).cmp(&(size(b), &b.value)));
    Ok(pairs)
}

impl Report {
    /// Whether these lie between the first day covered and the last; what is missing between
    /// is told by the coverage.
    pub(crate) fn covered_whole(&self, days: DayRange) -> bool {
        is_whole(days, self.covered)
    }
}

/// Whether these days lie between the first day covered and the last.
pub(crate) fn is_whole(days: DayRange, covered: DayRange) -> bool {
    covered.contains(days.first()) && covered.contains(days.last())
}

/// Refuses to compare windows of unequal length, and days with themselves.
pub(crate) fn equally_long(before: DayRange, after: DayRange) -> Result<(), Absence> {
    if after.first() <= before.last() {
        return Err("There is one window, and nothing to compare it with.".to_owned());
    }
    let (first, second) = (before.length_days(), after.length_days());
    if first == second {
        return Ok(());
    }
    Err(format!(
        "The windows are not equally long ({} and {}), so they are not compared.",
        counted(first.into(), "day", "days"),
        counted(second.into(), "day", "days")
    ))
}

/// Counts by month, in order, with the days that were counted.
pub(crate) fn months(
    release: &Release,
) -> Result<Vec<(DayRange, Option<Counts>)>, Absence> {
    let column = column(release, Dimension::Month)?;
    let months = column.into_iter().filter_map(|(value, counts)| {
        let month: Month = value?.parse().ok()?;
        Some((DayRange::month(month), counts))
    });
    Ok(months.collect())
}

/// IPv4 addresses of a cell, with simulated eyeballs expanded.
pub(crate) fn addresses(counts: &Counts, expansion: Option<&Expansion>) -> f64 {
    let all = real(counts.addresses_v4);
    match expansion {
        None => all,
        Some(expansion) => {
            let consumer = real(counts.addresses_v4_consumer);
            consumer.mul_add(expansion.factor - 1.0, all)
        }
    }
}

/// How a release dates its map of holders, for a label.
pub(crate) fn dating(release: &Release) -> String {
    match release.query().on {
        Dating::Frozen(day) => format!("map of {}", day_short(day)),
        Dating::EachDay => "daily map".to_owned(),
    }
}

/// The interval that a figure draws: of what was seen, that of sampling; of what visibility
/// was taken out of, that of all errors together, which is the last.
pub fn drawn_interval(e: &Estimate) -> Option<&Interval> {
    match e.quantity {
        Quantity::RemovalCorrected => e.intervals.last(),
        _ => e.intervals.first(),
    }
}

/// The shown estimate of `quantity` for one value of a dimension, or for all.
pub(crate) fn estimate<'a>(
    estimates: &'a [ReleasedEstimate],
    quantity: Quantity,
    stratum: Option<(&str, &str)>,
) -> Option<&'a Estimate> {
    estimates
        .iter()
        .filter(|e| e.quantity() == quantity)
        .find(|e| match (stratum, e.stratum()) {
            (None, []) => true,
            (Some((name, value)), [(n, v)]) => n == name && v == value,
            _ => false,
        })
        .and_then(ReleasedEstimate::shown)
        // A share of an empty cohort is not a number.
        .filter(|e| e.value.is_finite())
}

/// What must stand beside every figure that compares two windows.
pub(crate) fn caveat(report: &Report) -> String {
    let words: BTreeSet<String> = report
        .estimates
        .iter()
        .chain(&report.retention)
        .filter_map(ReleasedEstimate::shown)
        .map(|e| tables::identified(&e.identified))
        .filter(|words| words != "identified")
        .collect();
    if words.is_empty() {
        // Bare counts are never separated from visibility, whatever the estimates say.
        return "Visibility not separated from usage.".to_owned();
    }
    let joined = words.into_iter().collect::<Vec<_>>().join("; ");
    format!("{}.", sentence(&joined))
}

/// The same for words in which figures as seen and corrected ones stand together.
pub(crate) fn caveat_of_all(report: &Report) -> String {
    let corrected = |e: &Estimate| e.quantity == Quantity::RemovalCorrected;
    let mut shown = report.estimates.iter().filter_map(ReleasedEstimate::shown);
    let words = caveat(report);
    if shown.any(corrected) {
        format!("{}, except where it is taken out.", words.trim_end_matches('.'))
    } else {
        words
    }
}

/// With a capital letter at the beginning and no full stop at the end.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

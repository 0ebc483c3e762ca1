//! The estimates as rows: one for each stratum, quantity and interval.

use std::collections::BTreeSet;

use tidegauge_effect::Stratify;
use tidegauge_model::estimate::{Estimate, Identification, Quantity, ReleasedEstimate};

use super::answer::{Answer, not_identified};
use crate::output::{Rows, Value};

const COLUMNS: [&str; 9] = [
    "stratum",
    "quantity",
    "value",
    "low",
    "high",
    "interval",
    "active_before",
    "still_or_after",
    "identified",
];

/// Rows of the whole and of the strata asked for; the words of the answer as notes.
pub(super) fn rows(
    estimates: &[ReleasedEstimate],
    asked: Stratify,
    answer: &Answer<'_>,
) -> Rows {
    let mut rows = Rows::new("assess", COLUMNS);
    let mut seen = BTreeSet::new();
    let of_asked = |released: &&ReleasedEstimate| is_of(released.stratum(), asked);
    for released in estimates.iter().filter(of_asked) {
        let stratum = stratum_name(released.stratum());
        if !seen.insert((stratum.clone(), released.quantity())) {
            continue;
        }
        match released.shown() {
            None => {
                let quantity = Value::text(quantity_name(released.quantity()));
                let mut row = vec![Value::Text(stratum), quantity];
                row.extend((2..COLUMNS.len()).map(|_| Value::Suppressed));
                rows.push(row);
            }
            Some(estimate) => push_intervals(&mut rows, &stratum, estimate),
        }
    }
    for (stratum, reason) in not_identified(answer.corrected, estimates) {
        if is_of(&stratum, asked) {
            let mut row = vec![
                Value::Text(stratum_name(&stratum)),
                Value::text(quantity_name(Quantity::RemovalCorrected)),
            ];
            row.extend((2..COLUMNS.len() - 1).map(|_| Value::Unknown));
            row.push(Value::Text(format!("not identified: {reason}")));
            rows.push(row);
        }
    }
    rows.notes = answer.verdict(estimates);
    rows
}

/// Whether a stratum is the whole, or one of those asked for.
fn is_of(stratum: &[(String, String)], asked: Stratify) -> bool {
    let dimensions: Vec<&str> = stratum.iter().map(|(name, _)| name.as_str()).collect();
    let wanted: &[&str] = match asked {
        Stratify::All => &[],
        Stratify::Country => &["country"],
        Stratify::Sector => &["sector"],
        Stratify::CountrySector => &["country", "sector"],
    };
    dimensions.is_empty() || dimensions == wanted
}

/// One row for each interval, or one without.
fn push_intervals(rows: &mut Rows, stratum: &str, estimate: &Estimate) {
    let identified = match &estimate.identified {
        Identification::Identified => "yes".to_owned(),
        Identification::Mixed(why) => why.clone(),
        Identification::NotIdentified(why) => format!("not identified: {why}"),
    };
    let mut push = |low, high, method| {
        rows.push(vec![
            Value::text(stratum),
            Value::text(quantity_name(estimate.quantity)),
            Value::Float(estimate.value, 4),
            low,
            high,
            method,
            Value::Int(estimate.n),
            Value::Int(estimate.k),
            Value::text(&identified),
        ]);
    };
    if estimate.intervals.is_empty() {
        push(Value::Unknown, Value::Unknown, Value::text("none"));
    }
    for interval in &estimate.intervals {
        let (low, high) =
            (Value::Float(interval.low, 4), Value::Float(interval.high, 4));
        push(low, high, Value::text(&interval.method));
    }
}

fn stratum_name(stratum: &[(String, String)]) -> String {
    if stratum.is_empty() {
        return "all".to_owned();
    }
    let pairs = stratum.iter().map(|(dimension, value)| format!("{dimension}={value}"));
    pairs.collect::<Vec<_>>().join(" ")
}

fn quantity_name(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::CohortRemoval => "cohort removal",
        Quantity::NetChange => "net change",
        Quantity::Retention => "retention",
        Quantity::RemovalCorrected => "removal corrected",
    }
}

//! An assessment for people: what it comes to, then the five questions, then what that rests
//! on, and the figures of each stratum last.
//!
//! **Invariant:** nothing is left out without being counted: what is folded away says how
//! much it is and how it is shown.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Context;
use tidegauge_effect::assessment::Assessment;

use super::evidence;
use crate::args::Format;
use crate::output::{Rows, Value};

/// Column of [`super::rows`] that holds the size of a stratum before.
const BEFORE: &str = "active_before";
/// Column that names the stratum.
const STRATUM: &str = "stratum";

/// Prints all. Of strata and of each kind of evidence `top` are shown; 0 shows all.
pub(super) fn print(
    mut strata: Rows,
    found: &Assessment,
    top: usize,
) -> anyhow::Result<()> {
    let told = "writing to standard output";
    let mut out = std::io::stdout();
    writeln!(out, "verdict").context(told)?;
    for words in std::mem::take(&mut strata.notes) {
        writeln!(out, "  {words}").context(told)?;
    }
    if let Some(sector) = &found.sector {
        let words = "the act addresses it alone, and so the questions and all evidence";
        writeln!(out, "  sector {sector}: {words} are of it").context(told)?;
    }
    writeln!(out, "\nquestions").context(told)?;
    for asked in &found.questions {
        writeln!(out, "  {}\n    {}", asked.question, asked.answer).context(told)?;
    }
    writeln!(out, "\nchecks").context(told)?;
    for check in &found.checks {
        let passed = match check.passed {
            Some(true) => "passed",
            Some(false) => "failed",
            None => "not carried out",
        };
        writeln!(out, "  {}: {passed}: {}", check.name, check.detail).context(told)?;
    }
    for (key, readings) in evidence::sections(found) {
        writeln!(out, "\n{key}").context(told)?;
        let mut rows = evidence::rows(key, readings);
        let folded = fold(&mut rows, top);
        rows.print(Format::Table)?;
        fold_words(folded, "figures", top)?;
        for (rule, (reason, of)) in evidence::refusals(readings) {
            let more =
                if of > 1 { format!(" (and {} more)", of - 1) } else { String::new() };
            writeln!(out, "  {rule}: {reason}{more}").context(told)?;
        }
    }
    writeln!(out, "\nstrata").context(told)?;
    let folded = fold_strata(&mut strata, top);
    strata.print(Format::Table)?;
    fold_words(folded, "strata", top)
}

/// Takes out what is beyond `top` rows; how many those were.
fn fold(rows: &mut Rows, top: usize) -> usize {
    if top == 0 || rows.rows.len() <= top {
        return 0;
    }
    rows.rows.split_off(top).len()
}

/// Sorts strata by size, the whole first and what is suppressed last, and takes out those
/// beyond `top`; how many those were.
fn fold_strata(rows: &mut Rows, top: usize) -> usize {
    let place = |name: &str| rows.columns.iter().position(|c| c == name);
    let (Some(stratum), Some(before)) = (place(STRATUM), place(BEFORE)) else {
        return 0;
    };
    let name = |row: &[Value]| match row.get(stratum) {
        Some(Value::Text(name)) => name.clone(),
        _ => String::new(),
    };
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    for row in &rows.rows {
        let size = match row.get(before) {
            Some(Value::Int(size)) => *size,
            _ => 0,
        };
        let known = sizes.entry(name(row)).or_default();
        *known = size.max(*known);
    }
    let mut order: Vec<(&String, u64)> =
        sizes.iter().map(|(n, size)| (n, *size)).collect();
    order.sort_by_key(|(name, size)| (name.as_str() != "all", u64::MAX - size));
    let shown = if top == 0 { order.len() } else { top.min(order.len()) };
    let folded = order.len() - shown;
    let ranks: BTreeMap<String, usize> = order
        .iter()
        .take(shown)
        .enumerate()
        .map(|(i, (n, _))| ((*n).clone(), i))
        .collect();
    rows.rows.retain(|row| ranks.contains_key(&name(row)));
    // Stable: the quantities of a stratum stay in their order.
    rows.rows.sort_by_key(|row| ranks.get(&name(row)).copied());
    folded
}

fn fold_words(folded: usize, what: &str, top: usize) -> anyhow::Result<()> {
    if folded == 0 {
        return Ok(());
    }
    writeln!(
        std::io::stdout(),
        "  and {folded} more {what} (the first {top} are shown; --top 0 shows all)"
    )
    .context("writing to standard output")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strata() -> Rows {
        let mut rows = Rows::new("assess", [STRATUM, "quantity", BEFORE]);
        for (name, size) in [("all", 90), ("country=DE", 20), ("country=US", 60)] {
            for quantity in ["cohort removal", "net change"] {
                rows.push(vec![
                    Value::text(name),
                    Value::text(quantity),
                    Value::Int(size),
                ]);
            }
        }
        let hidden = [Value::text("country=AT"), Value::text("x"), Value::Suppressed];
        rows.push(hidden.to_vec());
        rows
    }

    #[test]
    fn the_largest_strata_come_first_and_the_others_are_counted() {
        let mut rows = strata();
        assert_eq!(fold_strata(&mut rows, 2), 2);
        let names: Vec<_> = rows.rows.iter().map(|row| row[0].clone()).collect();
        let expected = ["all", "all", "country=US", "country=US"].map(Value::text);
        assert_eq!(names, expected);
        assert_eq!(rows.rows[0][1], Value::text("cohort removal"));
    }

    #[test]
    fn nothing_is_folded_if_all_is_asked_for() {
        let mut rows = strata();
        assert_eq!(fold_strata(&mut rows, 0), 0);
        assert_eq!(rows.rows.len(), 7);
        assert_eq!(
            rows.rows.last().map(|row| row[0].clone()),
            Some(Value::text("country=AT"))
        );
        assert_eq!(fold(&mut rows, 5), 2);
    }
}

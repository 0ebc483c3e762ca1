//! Lists of what has a tag: AS, domains, or ranges of addresses, one a line.
//!
//! **Invariant:** but for scanners, whose operator is kept, only what stands first on a line is read: the quoting of the lists of AS
//! is broken, and what follows a prefix is a comment to us. A line that begins with `#` or
//! `;` says nothing.

use tidegauge_model::Reason;
use tidegauge_model::observation::Field;

use super::columns::Columns;
use super::{Said, block, value};
use crate::atlas::row::Row;

/// What ranges are called from which the internet is scanned.
const SCANNER: &str = "scanner";
/// Columns without which a row of scanners means nothing.
pub(super) const SCANNERS_NEEDED: &[&[&str]] = &[&["prefix", "range", "address"]];

/// What stands first on the line: up to a comma, a blank or a comment sign.
fn first(row: &Row) -> Option<&str> {
    let text = row.first_field().trim();
    let end = |c: char| c.is_whitespace() || c == '#' || c == ';';
    Some(text.split(end).next().unwrap_or_default()).filter(|first| !first.is_empty())
}

/// `AS64496,name`, `64496` or `AS64496  # name`.
pub(super) fn of_as(tag: &str, row: &Row) -> Result<Option<Said>, Reason> {
    let Some(asn) = first(row) else { return Ok(None) };
    Ok(Some(Said::of_as(Field::AsTag, value(asn)?).value(tag)))
}

/// `192.0.2.0/24`, `192.0.2.7` or `192.0.2.0-192.0.2.9`, and perhaps more after it.
pub(super) fn of_range(tag: &str, row: &Row) -> Result<Option<Said>, Reason> {
    let Some(text) = first(row) else { return Ok(None) };
    let (first, last) = block(text)?;
    Ok(Some(Said::of_range(Field::RangeTag, first, last).value(tag)))
}

/// `example.org`, and perhaps more after it.
pub(super) fn of_domain(tag: &str, row: &Row) -> Result<Option<Said>, Reason> {
    let Some(text) = first(row) else { return Ok(None) };
    let domain = super::domains::domain(text).ok_or(Reason::Value)?;
    Ok(Some(Said::of_nothing(Field::Domain).value(&domain).with("tag", tag)))
}

/// A range and who scans from it: `prefix,operator,…` under a header.
pub(super) fn scanner(columns: &Columns, row: &Row) -> Result<[Said; 1], Reason> {
    let fields = columns.fields(row)?;
    let get = |name| columns.get(&fields, name);
    let range = get("prefix").or(get("range")).or(get("address"));
    let (first, last) = block(range.ok_or(Reason::Value)?)?;
    Ok([Said::of_range(Field::RangeTag, first, last)
        .value(SCANNER)
        .with("operator", get("operator").unwrap_or_default())])
}

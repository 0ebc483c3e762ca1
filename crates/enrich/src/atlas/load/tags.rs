//! Lists of what has a tag: AS, or ranges of addresses, one a line.
//!
//! **Invariant:** only what stands first on a line is read: the quoting of the lists of AS
//! is broken, and what follows a prefix is a comment to us. A line that begins with `#` or
//! `;` says nothing.

use tidegauge_model::Reason;
use tidegauge_model::observation::Field;

use super::{Said, block, value};
use crate::atlas::row::Row;

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

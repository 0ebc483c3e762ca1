//! Names of AS: a header with `asn` and `name`, and perhaps `class`, `cc`, `source`.
//!
//! **Invariant:** columns are found by name; a row with more or fewer fields than the
//! header is lost, since its values may stand under wrong names.

use tidegauge_model::observation::Field;
use tidegauge_model::{Country, Reason};

use super::columns::Columns;
use super::{Said, value};
use crate::atlas::row::Row;

/// Columns without which a row means nothing.
pub(super) const NEEDED: &[&[&str]] = &[&["asn"], &["name"]];

/// Reads one row.
pub(super) fn name(columns: &Columns, row: &Row) -> Result<Said, Reason> {
    let fields = columns.fields(row)?;
    let asn = columns.get(&fields, "asn").ok_or(Reason::Value)?;
    let mut said = Said::of_as(Field::AsName, value(asn)?)
        .value(columns.get(&fields, "name").unwrap_or_default());
    let country = columns.get(&fields, "cc").or(columns.get(&fields, "country"));
    if let Some(country) = country {
        said = said.with("country", value::<Country>(country)?.as_str());
    }
    for (column, key) in [("class", "class"), ("source", "basis")] {
        said = said.with(key, columns.get(&fields, column).unwrap_or_default());
    }
    Ok(said)
}

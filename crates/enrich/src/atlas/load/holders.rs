//! The user's own table of holders: `sectors/README.md` lists its columns.
//!
//! **Invariant:** stored are the first and the last day on which a row holds. `until` is
//! the first day on which it no longer holds, so that rows `from`-`until` that follow one
//! another neither overlap nor leave a gap; `to` is the last day on which it does.

use tidegauge_model::observation::Field;
use tidegauge_model::{Country, Day, NetworkKind, Reason, Shared};

use super::columns::Columns;
use super::{Said, block, confidence, value};
use crate::atlas::row::Row;

/// Names of the column that holds the addresses.
const RANGE_COLUMNS: &[&str] = &["range", "prefix", "prefix_or_range"];
/// Columns without which a row means nothing.
pub(super) const NEEDED: &[&[&str]] = &[RANGE_COLUMNS, &["organisation"]];

/// Whether a value is of its column's type.
type Check = fn(&str) -> Result<(), Reason>;

/// Columns of a holder row that become its detail, each with what it must be.
const DETAILS: [(&str, Check); 10] = [
    ("name", |_| Ok(())),
    ("country", |text| value::<Country>(text).map(drop)),
    ("addr_country", |text| value::<Country>(text).map(drop)),
    ("parent", |_| Ok(())),
    ("sector", |_| Ok(())),
    ("kind", |text| value::<NetworkKind>(text).map(drop)),
    ("shared", |text| value::<Shared>(text).map(drop)),
    ("from", |text| value::<Day>(text).map(drop)),
    ("to", |text| value::<Day>(text).map(drop)),
    ("confidence", |text| confidence(text).map(drop)),
];

/// Reads one row.
pub(super) fn holder(columns: &Columns, row: &Row) -> Result<Said, Reason> {
    let fields = columns.fields(row)?;
    let get = |name| columns.get(&fields, name);
    let addresses = RANGE_COLUMNS.iter().find_map(|name| get(name));
    let (first, last) = block(addresses.ok_or(Reason::Value)?)?;
    let organisation = get("organisation").ok_or(Reason::Value)?;
    let mut said = Said::of_range(Field::Holder, first, last).value(organisation);
    for (name, check) in DETAILS {
        if let Some(text) = get(name) {
            check(text)?;
            said = said.with(name, text);
        }
    }
    let from: Option<Day> = get("from").map(value).transpose()?;
    let mut to: Option<Day> = get("to").map(value).transpose()?;
    if let Some(until) = get("until") {
        if to.is_some() {
            return Err(Reason::Value);
        }
        let last = value::<Day>(until)?.plus(-1);
        said = said.with("to", &last.to_string());
        to = Some(last);
    }
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(Reason::Value);
    }
    Ok(match get("asn") {
        Some(asn) => said.by_as(value(asn)?),
        None => said,
    })
}

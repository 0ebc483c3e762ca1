//! Prefixes with their origin AS, as CAIDA makes them of `RouteViews`: `pfx2as`.
//!
//! Address, prefix length, origin, separated by tabs. `_` stands between AS that each
//! announce the prefix, the one seen most first; `,` between the members of an AS set.
//!
//! **Invariant:** of several origins the first is the AS of the observation, and all of
//! them stand in its detail `origins`: where they are of different organisations, the
//! look-up halves its confidence.

use tidegauge_model::observation::Field;
use tidegauge_model::{Asn, Prefix, Reason};

use super::{Said, value};
use crate::atlas::row::Row;

/// Reads one line.
pub(super) fn origin(row: &Row) -> Result<Option<Said>, Reason> {
    if row.text().starts_with('#') {
        return Ok(None);
    }
    let mut fields = row.text().split_ascii_whitespace();
    let mut next = || fields.next().ok_or(Reason::ColumnCount);
    let (base, length, origins) = (next()?, next()?, next()?);
    if fields.next().is_some() {
        return Err(Reason::ColumnCount);
    }
    let prefix: Prefix = value(&format!("{base}/{length}"))?;
    let mut first: Option<Asn> = None;
    let mut several = false;
    for origin in origins.split(['_', ',']) {
        let asn: Asn = value(origin)?;
        several |= first.is_some_and(|first| first != asn);
        first = first.or(Some(asn));
    }
    let said = Said::of_range(Field::Origin, prefix.first(), prefix.last())
        .by_as(first.ok_or(Reason::Value)?);
    Ok(Some(if several { said.with("origins", origins) } else { said }))
}

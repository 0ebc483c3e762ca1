//! Ranges with their origin AS or their country: ip-location-db and iptoasn.com.
//!
//! **Invariant:** AS 0 means that nobody announces the range (RFC 7607): the range is
//! told, without an AS.
//!
//! What is left out: the country of iptoasn.com, which is that of the AS, not of the
//! addresses.

use std::borrow::Cow;

use tidegauge_model::observation::Field;
use tidegauge_model::{Asn, Country, Reason};

use super::{Said, range, value};
use crate::atlas::row::Row;

/// `first,last,asn,name`; the name may be missing.
pub(super) fn origin(row: &Row) -> Result<Said, Reason> {
    let fields = row.fields();
    let (first, last, asn, name) = match fields.as_slice() {
        [first, last, asn] => (first, last, asn, ""),
        [first, last, asn, name] => (first, last, asn, name.trim()),
        _ => return Err(Reason::ColumnCount),
    };
    announced(first, last, asn, name)
}

/// `first`, `last`, AS, country, name, separated by tabs.
pub(super) fn iptoasn(row: &Row) -> Result<Said, Reason> {
    let mut fields = row.text().split('\t');
    let mut next = || fields.next().ok_or(Reason::ColumnCount);
    let (first, last, asn) = (next()?, next()?, next()?);
    let (_country, name) = (next()?, next()?);
    if fields.next().is_some() {
        return Err(Reason::ColumnCount);
    }
    announced(first, last, asn, name.trim())
}

fn announced(first: &str, last: &str, asn: &str, name: &str) -> Result<Said, Reason> {
    let asn: Asn = value(asn)?;
    let (first, last) = range(first, last)?;
    let said = Said::of_range(Field::Origin, first, last);
    let said = if asn.0 == 0 { said } else { said.by_as(asn) };
    // iptoasn.com names the ranges that nobody announces; that is no name.
    Ok(if asn.0 == 0 && name == "Not routed" { said } else { said.value(name) })
}

/// `first,last,country`.
pub(super) fn country(row: &Row) -> Result<Said, Reason> {
    let fields = row.fields();
    let [first, last, country]: &[Cow<'_, str>; 3] =
        fields.as_slice().try_into().map_err(|_| Reason::ColumnCount)?;
    let country: Country = value(country)?;
    let (first, last) = range(first, last)?;
    Ok(Said::of_range(Field::AddressCountry, first, last).value(country.as_str()))
}

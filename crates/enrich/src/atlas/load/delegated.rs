//! Statistics of the regional registries, `delegated-*-extended`: what they gave to whom.
//!
//! `registry|country|type|start|value|date|status[|opaque-id[|…]]`, after a line with the
//! version and one line of summary a type (RIR statistics exchange format, NRO 2.3).
//!
//! **Invariant:** a range is `value` addresses from `start` on (IPv4), which need not be a
//! prefix, or a prefix of length `value` (IPv6), or `value` AS numbers. If fewer records
//! came than the summaries promise, those missing are one loss.
//!
//! What is left out: space that nobody has (`available`, `reserved`). The opaque id tells
//! who has the same holder within one edition; it is not the same in the next, so it is
//! never the id of an organisation.

use std::collections::BTreeMap;

use tidegauge_model::observation::Field;
use tidegauge_model::{Address, Asn, Country, Day, Loss, Prefix, Reason};

use super::{Out, Said, value};
use crate::atlas::row::Row;

/// AS numbers in one record at most. Registries get blocks of 1,024 from IANA; picked by
/// hand above it, so that one line cannot fill the memory.
const ASNS_MAX: u32 = 65_536;
/// Where a country is not known or not one: ISO 3166-1 user-assigned `ZZ`.
const NO_COUNTRY: &str = "ZZ";

/// Records by type: as the summaries count them, and as they came.
#[derive(Default)]
pub(super) struct Delegated {
    promised: BTreeMap<String, u64>,
    came: BTreeMap<String, u64>,
}

impl Delegated {
    /// Reads one line.
    pub(super) fn row(&mut self, row: &Row, out: &mut Out<'_>) -> Result<(), Reason> {
        let text = row.text();
        if text.starts_with('#') || text.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(());
        }
        let fields: Vec<_> = text.split('|').map(str::trim).collect();
        match fields.as_slice() {
            [_, _, kind, _, count, "summary"] => {
                let promised = self.promised.entry((*kind).to_owned()).or_default();
                *promised = promised.saturating_add(value(count)?);
                Ok(())
            }
            [registry, country, kind, start, count, date, status, rest @ ..] => {
                *self.came.entry((*kind).to_owned()).or_default() += 1;
                if !matches!(*status, "allocated" | "assigned") {
                    return known_status(status);
                }
                let mut detail = Said::of_nothing(Field::Delegation)
                    .with("registry", registry)
                    .with("status", status)
                    .with("given", &given(date)?);
                if !country.is_empty() && *country != NO_COUNTRY {
                    detail =
                        detail.with("country", value::<Country>(country)?.as_str());
                }
                if let Some(holder) = rest.first().filter(|id| !id.is_empty()) {
                    detail = detail.value(&format!("{registry}:{holder}"));
                }
                give(kind, start, count, &detail, out)
            }
            _ => Err(Reason::ColumnCount),
        }
    }

    /// Counts the records that were promised and did not come.
    pub(super) fn end(&self, out: &mut Out<'_>) {
        let missing = self.promised.iter().map(|(kind, promised)| {
            promised.saturating_sub(self.came.get(kind).copied().unwrap_or(0))
        });
        let missing = missing.fold(0_u64, u64::saturating_add);
        if missing > 0 {
            out.lose(Loss { count: missing, ..Loss::at(0, Reason::Truncated) });
        }
    }
}

fn known_status(status: &str) -> Result<(), Reason> {
    matches!(status, "available" | "reserved").then_some(()).ok_or(Reason::Value)
}

/// `20100712` as a date; nothing where the date is not known.
fn given(date: &str) -> Result<String, Reason> {
    if date.bytes().all(|digit| digit == b'0') {
        return Ok(String::new());
    }
    let (year, rest) = date.split_at_checked(4).ok_or(Reason::Value)?;
    let (month, day) = rest.split_at_checked(2).ok_or(Reason::Value)?;
    value::<Day>(&format!("{year}-{month}-{day}")).map(|day| day.to_string())
}

fn give(
    kind: &str,
    start: &str,
    count: &str,
    detail: &Said,
    out: &mut Out<'_>,
) -> Result<(), Reason> {
    match kind {
        "ipv4" => {
            let first: Address = value(start)?;
            let more = value::<u32>(count)?.checked_sub(1).ok_or(Reason::Value)?;
            let last = Address::from_bits(first.bits() + u128::from(more));
            if !first.is_v4() || !last.is_v4() {
                return Err(Reason::Value);
            }
            out.say(detail.clone().over(first, last));
        }
        "ipv6" => {
            let prefix: Prefix = value(&format!("{start}/{count}"))?;
            if prefix.first().is_v4() {
                return Err(Reason::Value);
            }
            out.say(detail.clone().over(prefix.first(), prefix.last()));
        }
        "asn" => {
            let (first, count): (u32, u32) = (value(start)?, value(count)?);
            let more = count.checked_sub(1).ok_or(Reason::Value)?;
            let last = first.checked_add(more).ok_or(Reason::Value)?;
            if count > ASNS_MAX {
                return Err(Reason::Limit);
            }
            for asn in first..=last {
                out.say(detail.clone().by_as(Asn(asn)));
            }
        }
        _ => return Err(Reason::Value),
    }
    Ok(())
}

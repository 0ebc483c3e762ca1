//! How much is known besides telemetry, and how old it is.

use std::collections::BTreeMap;

use tidegauge_enrich::catalog::{ALWAYS_FROM, Product};
use tidegauge_model::{Day, DayRange, Endpoint};
use tidegauge_publish::knowledge::{Known, KnownKind};

use crate::opened::Opened;

/// Tables of holders, then the catalog, each by id.
pub(super) fn parts(opened: &Opened, covered: Option<DayRange>) -> Vec<Known> {
    let mut known = holders(opened);
    known.extend(catalog(opened, covered));
    known
}

/// A part for each source and what it states, with its newest snapshot.
fn holders(opened: &Opened) -> Vec<Known> {
    let mut snapshots: BTreeMap<(String, String), BTreeMap<Day, u64>> = BTreeMap::new();
    for table in opened.map.tables() {
        let key = (table.source.to_string(), table.field.as_str().replace('_', " "));
        *snapshots.entry(key).or_default().entry(table.snapshot).or_default() +=
            table.ranges;
    }
    let part = |((id, name), of): ((String, String), BTreeMap<Day, u64>)| Known {
        kind: KnownKind::Holders,
        id,
        name,
        newest: of.keys().next_back().copied(),
        entries: of.values().next_back().copied().unwrap_or_default(),
        older: count(of.len().saturating_sub(1)),
    };
    snapshots.into_iter().map(part).collect()
}

/// A part for each product of the catalog.
fn catalog(opened: &Opened, covered: Option<DayRange>) -> Vec<Known> {
    let last = covered.map(DayRange::last);
    let holds = |e: &&&Endpoint| last.is_none_or(|day| e.valid.contains(day));
    let ended = |e: &&&Endpoint| last.is_some_and(|day| e.valid.last() < day);
    let part = |product: &Product| {
        let of: Vec<&Endpoint> = opened
            .catalog
            .endpoints()
            .iter()
            .filter(|e| e.product == product.id)
            .collect();
        Known {
            kind: KnownKind::Catalog,
            id: product.id.to_string(),
            name: product.name.clone(),
            newest: of.iter().filter(holds).filter_map(|e| begun(e)).max(),
            entries: count(of.iter().filter(holds).count()),
            older: count(of.iter().filter(ended).count()),
        }
    };
    opened.catalog.products().iter().map(part).collect()
}

/// The day on which an entry began to hold, if it is known.
fn begun(endpoint: &Endpoint) -> Option<Day> {
    Some(endpoint.valid.first()).filter(|day| *day > ALWAYS_FROM)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

//! What was looked at, and what can be asked for.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use tidegauge_model::{Country, Coverage, Day, DayRange, VantageId};

use crate::country;
use crate::knowledge::Known;
use crate::serve::answer::{Listing, Problem, either, fields, value};
use crate::serve::asked::Asked;
use crate::serve::param::{COVERAGE, LISTED, WHOLE};
use crate::serve::{Scope, Shared};
use crate::tables::Table;

#[derive(Serialize)]
struct CoverageHead {
    days: DayRange,
}

#[derive(Serialize)]
struct CoverageRow {
    vantage: VantageId,
    day: Day,
    flows: u64,
    contacts: u64,
    losses: BTreeMap<&'static str, u64>,
    /// One packet in so many; null on a day without flows.
    sampling_min: Option<u32>,
    sampling_max: Option<u32>,
    control_sampling: u32,
    /// UTC hours with any flow.
    hours: Vec<u8>,
    footprint_v4_24: u64,
    footprint_v6_48: u64,
}

/// `GET /api/v1/coverage`.
pub(crate) async fn coverage(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(COVERAGE)?;
    let scope = shared.counts.scope().await?;
    let days = asked.days(scope.days)?;
    let vantages = asked.names("vantage")?;
    let coverage = shared.counts.coverage(days).await?;
    let shown: Vec<CoverageRow> = coverage
        .iter()
        .filter(|c| {
            vantages.is_empty() || vantages.iter().any(|v| v == c.vantage.as_str())
        })
        .map(coverage_row)
        .collect();
    let listing = Listing {
        head: fields(CoverageHead { days }),
        key: "rows",
        table: coverage_table(&shown),
        rows: shown.iter().map(value).collect(),
    };
    listing.answer(&asked, "/api/v1/coverage")
}

fn coverage_row(c: &Coverage) -> CoverageRow {
    let seen = c.flows > 0;
    CoverageRow {
        vantage: c.vantage.clone(),
        day: c.day,
        flows: c.flows,
        contacts: c.contacts,
        losses: c.losses.iter().map(|(reason, n)| (reason.as_str(), *n)).collect(),
        sampling_min: seen.then_some(c.sampling_min),
        sampling_max: seen.then_some(c.sampling_max),
        control_sampling: c.control_sampling,
        hours: (0..24).filter(|hour| c.hours >> hour & 1 == 1).collect(),
        footprint_v4_24: c.footprint.v4.len(),
        footprint_v6_48: c.footprint.v6.len(),
    }
}

fn coverage_table(rows: &[CoverageRow]) -> Table {
    let mut table = Table::new([
        "vantage",
        "day",
        "flows",
        "contacts",
        "losses",
        "sampling_min",
        "sampling_max",
        "control_sampling",
        "hours_with_flows",
        "footprint_v4_24",
        "footprint_v6_48",
    ]);
    let or_none =
        |n: Option<u32>| n.map_or_else(|| "none".to_owned(), |n| n.to_string());
    for row in rows {
        let losses: Vec<String> =
            row.losses.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
        table.push([
            row.vantage.to_string(),
            row.day.to_string(),
            row.flows.to_string(),
            row.contacts.to_string(),
            losses.join("; "),
            or_none(row.sampling_min),
            or_none(row.sampling_max),
            row.control_sampling.to_string(),
            row.hours.len().to_string(),
            row.footprint_v4_24.to_string(),
            row.footprint_v6_48.to_string(),
        ]);
    }
    table
}

#[derive(Serialize)]
struct KnownRow {
    #[serde(flatten)]
    known: Known,
    /// Days between `newest` and the newest day covered.
    age_days: Option<i32>,
}

/// `GET /api/v1/knowledge`.
pub(crate) async fn knowledge(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(LISTED)?;
    let days = shared.counts.scope().await?.days;
    let known = shared.counts.knowledge().await?;
    let mut table =
        Table::new(["kind", "id", "name", "newest", "age_days", "entries", "older"]);
    let mut rows = Vec::new();
    for known in known {
        let age_days = known.age(days);
        table.push([
            known.kind.as_str().to_owned(),
            known.id.clone(),
            known.name.clone(),
            known.newest.map(|day| day.to_string()).unwrap_or_default(),
            age_days.map(|age| age.to_string()).unwrap_or_default(),
            known.entries.to_string(),
            known.older.to_string(),
        ]);
        rows.push(value(KnownRow { known, age_days }));
    }
    let head = fields(serde_json::json!({}));
    Listing { head, key: "rows", rows, table }.answer(&asked, "/api/v1/knowledge")
}

#[derive(Serialize)]
struct ScopeAnswer {
    products: BTreeMap<String, String>,
    countries: Vec<Country>,
    sectors: BTreeMap<String, String>,
    days: Option<DayRange>,
}

/// `GET /api/v1/scope`.
pub(crate) async fn scope(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(WHOLE)?;
    let scope = shared.counts.scope().await?;
    let table = scope_table(&scope);
    let Scope { products, countries, sectors, days, .. } = scope;
    let products = products.into_iter().map(|(id, name)| (id.to_string(), name));
    let sectors = sectors.into_iter().map(|(id, name)| (id.to_string(), name));
    let answer = ScopeAnswer {
        products: products.collect(),
        countries,
        sectors: sectors.collect(),
        days,
    };
    either(&asked, fields(answer), &table)
}

fn scope_table(scope: &Scope) -> Table {
    let mut table = Table::new(["kind", "id", "name"]);
    for (id, name) in &scope.products {
        table.push(["product", id.as_str(), name]);
    }
    for code in &scope.countries {
        table.push(["country", code.as_str(), &country::name(code.as_str())]);
    }
    for (id, name) in &scope.sectors {
        table.push(["sector", id.as_str(), name]);
    }
    table
}

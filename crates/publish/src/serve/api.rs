//! The routes under `/api/v1`.
//!
//! **Invariant:** each answer is made of a `Release`, of `ReleasedEstimate`s or of a read
//! model; a suppressed count is `null` beside `"suppressed": true`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use tidegauge_model::count::{Counts as CellCounts, Query, Release};
use tidegauge_model::estimate::{Estimate, Quantity, ReleasedEstimate};
use tidegauge_model::policy::{PolicyEvent, VendorEvent};
use tidegauge_model::{Coverage, Day, DayRange, VantageId};

use super::answer::{Problem, ok};
use super::asked::Asked;
use super::{Comparison, Scope, Shared};

/// Keys of `/api/v1/census`.
pub(super) const CENSUS: &[&str] = &[
    "product",
    "by",
    "from",
    "to",
    "on",
    "known",
    "country",
    "sector",
    "role",
    "weight",
    "kind",
    "active_days",
];
/// Keys of `/api/v1/assess`.
pub(super) const ASSESS: &[&str] =
    &["product", "before", "after", "by", "country", "sector"];
/// Keys of `/api/v1/timeline`.
pub(super) const TIMELINE: &[&str] = &["product", "country", "from", "to"];
/// Keys of `/api/v1/coverage`.
pub(super) const COVERAGE: &[&str] = &["vantage", "from", "to"];

#[derive(Serialize)]
struct CensusAnswer<'a> {
    query: &'a Query,
    rule: &'a str,
    unattributed_share: f64,
    suppressed: usize,
    rows: Vec<CensusRow<'a>>,
}

#[derive(Serialize)]
struct CensusRow<'a> {
    /// Dimension → value; null is "not known".
    key: BTreeMap<&'static str, Option<&'a str>>,
    suppressed: bool,
    counts: Option<CellCounts>,
}

/// `GET /api/v1/census`.
pub(super) async fn census(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(CENSUS)?;
    let scope = shared.counts.scope().await?;
    let query = asked.query(scope.days)?;
    let release = shared.counts.release(&query).await?;
    Ok(ok(census_answer(&release)))
}

fn census_answer(release: &Release) -> CensusAnswer<'_> {
    let names = &release.query().by;
    let rows = release
        .rows()
        .iter()
        .map(|row| CensusRow {
            key: names
                .iter()
                .map(|d| d.as_str())
                .zip(row.key.iter().map(Option::as_deref))
                .collect(),
            suppressed: row.counts.is_none(),
            counts: row.counts,
        })
        .collect();
    CensusAnswer {
        query: release.query(),
        rule: release.rule(),
        unattributed_share: release.unattributed_share(),
        suppressed: release.suppressed(),
        rows,
    }
}

#[derive(Serialize)]
struct AssessAnswer<'a> {
    before: DayRange,
    after: DayRange,
    window_days: u32,
    caveat: &'static str,
    estimates: Vec<EstimateRow<'a>>,
}

#[derive(Serialize)]
struct EstimateRow<'a> {
    quantity: Quantity,
    stratum: BTreeMap<&'a str, &'a str>,
    suppressed: bool,
    estimate: Option<&'a Estimate>,
}

/// `GET /api/v1/assess`.
pub(super) async fn assess(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let comparison = asked.only(ASSESS)?.comparison()?;
    let estimates = shared.counts.estimates(&comparison).await?;
    Ok(ok(assess_answer(&comparison, &estimates)))
}

fn assess_answer<'a>(
    comparison: &Comparison,
    estimates: &'a [ReleasedEstimate],
) -> AssessAnswer<'a> {
    let rows = estimates
        .iter()
        .map(|e| EstimateRow {
            quantity: e.quantity(),
            stratum: e.stratum().iter().map(|(k, v)| (&**k, &**v)).collect(),
            suppressed: e.shown().is_none(),
            estimate: e.shown(),
        })
        .collect();
    AssessAnswer {
        before: comparison.before(),
        after: comparison.after(),
        window_days: comparison.after().length_days(),
        caveat: "each estimate says under `identified` whether visibility was separated \
                 from usage",
        estimates: rows,
    }
}

#[derive(Serialize)]
struct TimelineAnswer<'a> {
    policies: Vec<&'a PolicyEvent>,
    vendor: Vec<&'a VendorEvent>,
}

/// `GET /api/v1/timeline`.
pub(super) async fn timeline(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(TIMELINE)?;
    let products = asked.products()?;
    let countries: Vec<tidegauge_model::Country> = asked.list("country")?;
    let any = asked.text("from").is_some() || asked.text("to").is_some();
    let all_days = DayRange::new(Day(i32::MIN), Day(i32::MAX));
    let days = if any { Some(asked.days(all_days)?) } else { None };
    let within = |day: Option<Day>| match (days, day) {
        (None, _) => true,
        (Some(days), Some(day)) => days.contains(day),
        (Some(_), None) => false,
    };
    let timeline = shared.counts.timeline().await?;
    let product = |p| products.is_empty() || products.contains(p);
    let country = |c| countries.is_empty() || countries.contains(c);
    let policies = timeline.policies.iter().filter(|p| {
        let dates = [p.announced, p.effective, p.deadline, p.ended];
        product(&p.product)
            && country(&p.country)
            && (days.is_none() || dates.iter().any(|d| d.is_some() && within(*d)))
    });
    let vendor = timeline
        .vendor
        .iter()
        .filter(|v| product(&v.product) && country(&v.country) && within(Some(v.date)));
    let answer =
        TimelineAnswer { policies: policies.collect(), vendor: vendor.collect() };
    Ok(ok(answer))
}

#[derive(Serialize)]
struct CoverageAnswer {
    days: DayRange,
    rows: Vec<CoverageRow>,
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
pub(super) async fn coverage(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(COVERAGE)?;
    let scope = shared.counts.scope().await?;
    let days = asked.days(scope.days)?;
    let vantages: Vec<String> = asked.list("vantage")?;
    let coverage = shared.counts.coverage(days).await?;
    let rows = coverage
        .iter()
        .filter(|c| {
            vantages.is_empty() || vantages.iter().any(|v| v == c.vantage.as_str())
        })
        .map(coverage_row)
        .collect();
    Ok(ok(CoverageAnswer { days, rows }))
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

#[derive(Serialize)]
struct ScopeAnswer {
    products: BTreeMap<String, String>,
    countries: Vec<tidegauge_model::Country>,
    sectors: BTreeMap<String, String>,
    days: Option<DayRange>,
}

/// `GET /api/v1/scope`.
pub(super) async fn scope(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.only(&[])?;
    let Scope { products, countries, sectors, days, .. } =
        shared.counts.scope().await?;
    let products = products.into_iter().map(|(id, name)| (id.to_string(), name));
    let sectors = sectors.into_iter().map(|(id, name)| (id.to_string(), name));
    Ok(ok(ScopeAnswer {
        products: products.collect(),
        countries,
        sectors: sectors.collect(),
        days,
    }))
}

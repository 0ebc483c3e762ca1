//! Counts and estimates as they are asked for.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use tidegauge_model::DayRange;
use tidegauge_model::count::{Counts, Query, Release};
use tidegauge_model::estimate::ReleasedEstimate;

use crate::report::EstimateRow;
use crate::serve::answer::{Listing, Problem, fields, value};
use crate::serve::asked::Asked;
use crate::serve::param::{ASSESS, CENSUS};
use crate::serve::{Comparison, Shared};
use crate::tables;

#[derive(Serialize)]
struct CensusHead<'a> {
    query: &'a Query,
    rule: &'a str,
    unattributed_share: f64,
    suppressed: usize,
}

#[derive(Serialize)]
struct CensusRow<'a> {
    /// Dimension → value; null is "not known".
    key: BTreeMap<&'static str, Option<&'a str>>,
    suppressed: bool,
    counts: Option<Counts>,
}

/// `GET /api/v1/census`.
pub(crate) async fn census(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(CENSUS)?;
    let scope = shared.counts.scope().await?;
    let query = asked.query(scope.days)?;
    let release = shared.counts.release(&query).await?;
    census_listing(&release).answer(&asked, "/api/v1/census")
}

fn census_listing(release: &Release) -> Listing {
    let names = &release.query().by;
    let rows = release.rows().iter().map(|row| {
        value(CensusRow {
            key: names
                .iter()
                .map(|d| d.as_str())
                .zip(row.key.iter().map(Option::as_deref))
                .collect(),
            suppressed: row.counts.is_none(),
            counts: row.counts,
        })
    });
    Listing {
        head: fields(CensusHead {
            query: release.query(),
            rule: release.rule(),
            unattributed_share: release.unattributed_share(),
            suppressed: release.suppressed(),
        }),
        key: "rows",
        rows: rows.collect(),
        table: tables::release(release),
    }
}

#[derive(Serialize)]
struct AssessHead {
    before: DayRange,
    after: DayRange,
    window_days: u32,
    caveat: &'static str,
}

/// `GET /api/v1/assess`.
pub(crate) async fn assess(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(ASSESS)?;
    let comparison = asked.comparison()?;
    let estimates = shared.counts.estimates(&comparison).await?;
    assess_listing(&comparison, &estimates).answer(&asked, "/api/v1/assess")
}

fn assess_listing(comparison: &Comparison, estimates: &[ReleasedEstimate]) -> Listing {
    Listing {
        head: fields(AssessHead {
            before: comparison.before(),
            after: comparison.after(),
            window_days: comparison.after().length_days(),
            caveat: "each estimate says under `identified` whether visibility was separated \
                     from usage",
        }),
        key: "estimates",
        rows: estimates.iter().map(estimate_row).collect(),
        table: tables::estimates(estimates),
    }
}

/// An estimate, or that it is suppressed.
pub(super) fn estimate_row(e: &ReleasedEstimate) -> serde_json::Value {
    value(EstimateRow::of(e))
}

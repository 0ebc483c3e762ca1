//! Findings about assets and suppliers, for the operator alone.
//!
//! **Invariant:** the ledger of findings changes without the lake, so none of these answers is
//! kept.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde_json::{Value, json};
use tidegauge_model::finding::FindingState;

use super::{Named, named};
use crate::finding::{Export, Exposure, Findings};
use crate::serve::Shared;
use crate::serve::answer::{Listing, Problem, body, fields, ok, value};
use crate::serve::asked::Asked;
use crate::serve::kept::fleeting;
use crate::serve::param::{FINDINGS, NONE, STATES};
use crate::tables::Table;

/// `GET /api/v1/findings`.
pub(crate) async fn findings(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(FINDINGS)?;
    let state = finding_state(&asked)?;
    let products = asked.products()?;
    let words = asked.text("q").unwrap_or_default();
    let all = shared.counts.findings().await?;
    let shown = all.narrowed(state, &products, words);
    let mut table = Table::new([
        "id",
        "subject",
        "kind",
        "tier",
        "product",
        "state",
        "since",
        "first_seen",
        "last_seen",
        "days",
        "addresses",
        "confidence",
        "why",
    ]);
    for exposure in &shown {
        let (found, about) = (&exposure.finding, &exposure.about);
        let day = |day: Option<tidegauge_model::Day>| {
            day.map(|d| d.to_string()).unwrap_or_default()
        };
        table.push([
            found.id.clone(),
            found.subject.clone(),
            about.kind.clone(),
            about.tier.map(|t| t.to_string()).unwrap_or_default(),
            found.product.to_string(),
            found.state.to_string(),
            exposure.since.to_string(),
            day(found.first_seen),
            day(found.last_seen),
            found.days.to_string(),
            found.addresses.to_string(),
            format!("{:.2}", found.confidence),
            exposure.why.clone(),
        ]);
    }
    let listing = Listing {
        head: fields(json!({
            "as_of": all.as_of,
            "silent": silent(&all),
            "silent_total": all.silent.len(),
        })),
        key: "rows",
        rows: shown.into_iter().map(described).collect(),
        table,
    };
    Ok(fleeting(listing.answer(&asked, "/api/v1/findings")?))
}

fn described(exposure: &Exposure) -> Value {
    let (found, about) = (&exposure.finding, &exposure.about);
    json!({
        "id": found.id,
        "subject": found.subject,
        "kind": about.kind,
        "tier": about.tier,
        "tags": about.tags,
        "product": found.product,
        "state": found.state,
        "since": exposure.since,
        "first_seen": found.first_seen,
        "last_seen": found.last_seen,
        "days": found.days,
        "addresses": found.addresses,
        "confidence": f64::from((found.confidence * 1e4).round()) / 1e4,
        "why": exposure.why,
    })
}

/// Rows without a finding in one answer.
const SILENT_MAX: usize = 1_000;

/// Rows of the portfolio of which nothing was ever seen.
fn silent(all: &Findings) -> Vec<Value> {
    let row = |row: &crate::finding::Silent| json!({ "subject": row.subject, "kind": row.kind, "state": value(row.state) });
    all.silent.iter().take(SILENT_MAX).map(row).collect()
}

/// `GET /api/v1/findings/{id}`.
pub(crate) async fn finding(
    State(shared): State<Shared>,
    name: Named,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.only(NONE)?;
    let id = named(name)?;
    let all = shared.counts.findings().await?;
    let exposure = one_finding(&all, &id, "/api/v1/findings")?;
    Ok(fleeting(ok(fields(json!({ "finding": exposure.document })))))
}

/// The state that is asked for: one that a finding can have.
pub(crate) fn finding_state(asked: &Asked) -> Result<Option<FindingState>, Problem> {
    let state = asked.one::<FindingState>("state")?;
    if let Some(state) = state.filter(|state| !STATES.contains(&state.as_str())) {
        return Err(Problem::asked(
            format!("no finding is `{state}`"),
            format!("known are {}", STATES.join(", ")),
        ));
    }
    Ok(state)
}

/// The finding of an id.
pub(crate) fn one_finding<'a>(
    all: &'a Findings,
    id: &str,
    listed: &str,
) -> Result<&'a Exposure, Problem> {
    all.exposures.iter().find(|e| e.finding.id == id).ok_or_else(|| {
        Problem::absent(
            "there is no finding of this id",
            format!("all are at {listed}"),
        )
    })
}

/// `GET /api/v1/exports/{id}`.
pub(crate) async fn export(
    State(shared): State<Shared>,
    name: Named,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.only(NONE)?;
    let name = named(name)?;
    let form = Export::ALL.into_iter().find(|form| form.as_str() == name);
    let form = form.ok_or_else(|| {
        let known: Vec<&str> = Export::ALL.iter().map(|form| form.as_str()).collect();
        Problem::absent(
            format!("findings are not written as `{name}`"),
            format!("known are {}", known.join(", ")),
        )
    })?;
    let text = shared.counts.findings_as(form).await?;
    let mut answer = body(form.media_type(), text);
    let name = format!("attachment; filename=\"{}\"", form.file_name());
    if let Ok(name) = HeaderValue::try_from(name) {
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(fleeting(answer))
}

//! A population month by month, and what is said of it in numbers.

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};
use tidegauge_model::count::Dimension;

use crate::report;
use crate::serve::Shared;
use crate::serve::answer::{Listing, Problem, either, fields};
use crate::serve::asked::Asked;
use crate::serve::desk::{Desk, Part};
use crate::serve::param::{SERIES, SUMMARY};
use crate::tables::{SUPPRESSED, Table};

/// `GET /api/v1/series`: a row for each month, its first instant in RFC 3339, as programs
/// that draw series want it.
pub(crate) async fn series(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(SERIES)?;
    let desk = Desk::open(&shared).await?;
    let selection = desk.selection(&asked)?;
    let query = selection.query(selection.period(), Dimension::Month);
    let release = shared.counts.release(&query).await?;
    let mut table = Table::new([
        "time",
        "suppressed",
        "organisations_active",
        "organisations",
        "addresses_v4",
        "networks_v6",
    ]);
    let mut rows: Vec<Value> = Vec::new();
    for (month, counts) in report::months(&release).unwrap_or_default() {
        let time = format!("{}T00:00:00Z", month.first());
        let cell = |pick: fn(&tidegauge_model::count::Counts) -> u64| {
            counts.as_ref().map(pick)
        };
        let cells = [
            cell(|c| c.organisations_active),
            cell(|c| c.organisations),
            cell(|c| c.addresses_v4),
            cell(|c| c.networks_v6),
        ];
        rows.push(json!({
            "time": time,
            "suppressed": counts.is_none(),
            "organisations_active": cells[0],
            "organisations": cells[1],
            "addresses_v4": cells[2],
            "networks_v6": cells[3],
        }));
        let words = cells.map(|n| n.map_or(SUPPRESSED.to_owned(), |n| n.to_string()));
        table.push([time, counts.is_none().to_string()].into_iter().chain(words));
    }
    let head = fields(json!({ "query": release.query(), "rule": release.rule() }));
    Listing { head, key: "rows", rows, table }.answer(&asked, "/api/v1/series")
}

/// `GET /api/v1/summary`: the sentences and the key numbers of a page.
pub(crate) async fn summary(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(SUMMARY)?;
    let desk = Desk::open(&shared).await?;
    let selection = desk.selection(&asked)?;
    let made = desk.report(&selection, &[Part::Months, Part::Estimates]).await?;
    let place = selection.place(&desk.scope);
    let report = &made.report;
    let mut table = Table::new(["what", "value", "note"]);
    let keys = report::keys(report);
    for key in &keys {
        table.push([&key.label, &key.figure, &key.note]);
    }
    let keys = keys
        .iter()
        .map(|key| json!({ "what": key.label, "value": key.figure, "note": key.note }));
    let answer = json!({
        "headline": report::headline(report),
        "sentences": report::told(report, &place),
        "caveat": report::caveat(report),
        "keys": keys.collect::<Vec<Value>>(),
        "before": report.before,
        "after": report.after,
    });
    either(&asked, fields(answer), &table)
}

//! `tidegauge census diff`: what changes if the same sightings are counted on another map.
//!
//! **Invariant:** every client of the sightings is counted once, as unchanged or under one
//! cause; so the cells before and the changes give the cells after.

use std::collections::BTreeSet;

use anyhow::bail;
use tidegauge_enrich::atlas::{Place, Reattribution};
use tidegauge_model::{Client, Day};

use crate::opened::Opened;
use crate::output::{Rows, Value};
use crate::settings::Settings;
use crate::{Outcome, args};

/// Counts the clients on the maps of two days and prints why cells differ.
pub(crate) async fn run(
    [a, b]: [Day; 2],
    [from, to]: [Option<Day>; 2],
    evidence: &args::Evidence,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    if !evidence.internal {
        bail!(
            "the changes name organisations and few addresses each, which the disclosure \
             rule cannot pass (hint: --internal, for the operator's eyes)"
        );
    }
    if evidence.on.is_some() {
        bail!("--on has no meaning here: both maps are named (hint: leave it out)");
    }
    let opened = Opened::open(settings, evidence.map).await?;
    let query = opened.query(evidence, opened.days(from, to).await?)?;
    let mut clients: Vec<Client> = Vec::new();
    opened
        .counter
        .each_client(&query, |client, _| clients.push(client.clone()))
        .await?;
    let told = opened.map.reattribution(a, b, clients);
    let mut rows = rows(&told);
    rows.notes.push(format!(
        "of {} clients with sightings on {}, counted on the maps of {a} and {b}: {} are \
         counted alike; {} cells have another number",
        told.clients,
        query.days,
        told.unchanged(),
        told.cells.values().filter(|(before, after)| before != after).count()
    ));
    rows.print(settings.format)?;
    Ok(Outcome::Done)
}

/// One row for each cell before, cell after and cause, with the organisations concerned.
fn rows(told: &Reattribution) -> Rows {
    let mut rows = Rows::new(
        "census_diff",
        [
            "country_before",
            "sector_before",
            "kind_before",
            "country_after",
            "sector_after",
            "kind_after",
            "cause",
            "clients",
            "organisations_before",
            "organisations_after",
        ],
    );
    for ((from, to, cause), change) in &told.changes {
        let mut row: Vec<_> = place(from).into_iter().chain(place(to)).collect();
        let count = |of: &BTreeSet<_>| Value::Int(u64::try_from(of.len()).unwrap_or(0));
        row.push(Value::text(cause));
        row.push(Value::Int(change.clients));
        row.extend([count(&change.before), count(&change.after)]);
        rows.push(row);
    }
    rows
}

fn place(place: &Place) -> [Value; 3] {
    [
        Value::optional(place.country),
        Value::optional(place.sector.as_ref()),
        Value::text(place.kind),
    ]
}

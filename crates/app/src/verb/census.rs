//! `tidegauge census`: distinct addresses and organisations.

use std::collections::BTreeSet;

use anyhow::bail;
use tidegauge_model::count::{Query, Release};

use crate::opened::{Audience, Opened};
use crate::output::{Rows, Value};
use crate::settings::Settings;
use crate::{Outcome, args};

/// Counts and prints.
pub(crate) async fn run(
    verb: &args::Census,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let opened = Opened::open(settings, verb.evidence.known).await?;
    let days = opened.days(verb.from, verb.to)?;
    let query = Query {
        by: verb.by.clone(),
        countries: verb.country.clone(),
        sectors: verb.sector.clone(),
        ..opened.query(&verb.evidence, days)?
    };
    let mut seen = BTreeSet::new();
    if let Some(twice) = query.by.iter().find(|d| !seen.insert(**d)) {
        bail!("--by names {twice} twice");
    }
    let census = opened.counter.census(&query).await?;
    let release = Audience::new(verb.evidence.internal).release(census)?;
    let mut rows = rows(&release);
    rows.notes.extend(opened.doubts(&query).await?);
    rows.print(settings.format)?;
    Ok(Outcome::Done)
}

/// A release as rows.
pub(crate) fn rows(release: &Release) -> Rows {
    let keys = release.query().by.iter().map(ToString::to_string);
    let counts = [
        "addresses_v4",
        "networks_v6",
        "organisations",
        "organisations_active",
        "address_days",
        "contacts",
        "addresses_v4_consumer",
    ];
    let mut rows = Rows::new("census", keys.chain(counts.map(str::to_owned)));
    for row in release.rows() {
        let mut values: Vec<Value> = row
            .key
            .iter()
            .map(|key| key.as_ref().map_or(Value::Unattributed, Value::text))
            .collect();
        match &row.counts {
            None => values.extend(counts.map(|_| Value::Suppressed)),
            Some(c) => values.extend(
                [
                    c.addresses_v4,
                    c.networks_v6,
                    c.organisations,
                    c.organisations_active,
                    c.address_days,
                    c.contacts,
                    c.addresses_v4_consumer,
                ]
                .map(Value::Int),
            ),
        }
        rows.push(values);
    }
    let query = release.query();
    rows.notes.push(format!(
        "{} ({} days), holders as of {}, organisations in {} networks, active from {} days",
        query.days,
        query.days.length_days(),
        query.on,
        query.organisation_kinds.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(", "),
        query.active_days_min,
    ));
    rows.notes.push(format!(
        "{:.1} % of address-days are attributed to nobody",
        100.0 * release.unattributed_share()
    ));
    if release.suppressed() > 0 {
        let rule = release.rule();
        rows.notes
            .push(format!("{} cells are suppressed: {rule}", release.suppressed()));
    }
    rows
}

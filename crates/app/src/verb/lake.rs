//! `tidegauge lake`: what is in it, and whether it is whole.

use futures::TryStreamExt;
use tidegauge_store::{Lake, Table};

use crate::output::{Rows, Value};
use crate::pipeline::count;
use crate::settings::Settings;
use crate::{Outcome, args};

/// States or checks.
pub(crate) async fn run(
    verb: &args::Lake,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let lake = Lake::open(&settings.lake).await?;
    match verb {
        args::Lake::Stat => stat(&lake).await?.print(settings.format)?,
        args::Lake::Check => return check(&lake, settings).await,
    }
    Ok(Outcome::Done)
}

async fn stat(lake: &Lake) -> anyhow::Result<Rows> {
    let mut rows = Rows::new("lake", ["table", "version", "files", "rows", "bytes"]);
    for table in Table::ALL {
        let snapshot = lake.snapshot(table).await?;
        let version = match u64::try_from(snapshot.version) {
            Ok(version) => Value::Int(version),
            Err(_) => Value::Unknown,
        };
        rows.push(vec![
            Value::text(table.name()),
            version,
            Value::Int(count(snapshot.files.len())),
            Value::Int(snapshot.rows()),
            Value::Int(snapshot.files.iter().map(|f| f.size).sum()),
        ]);
    }
    Ok(rows)
}

/// Reads every row of the tables that figures rest on; each damaged table is one message.
async fn check(lake: &Lake, settings: &Settings) -> anyhow::Result<Outcome> {
    let always = tidegauge_model::DayRange::month(tidegauge_model::Day(0).month());
    let all = tidegauge_model::DayRange::new(
        tidegauge_model::Day(i32::MIN / 2),
        tidegauge_model::Day(i32::MAX / 2),
    )
    .unwrap_or(always);
    let mut rows = Rows::new("lake_check", ["table", "rows", "state"]);
    let mut damaged = false;
    let mut push = |table: Table, read: anyhow::Result<u64>| {
        let (count, state) = match read {
            Ok(count) => (Value::Int(count), "whole".to_owned()),
            Err(error) => {
                damaged = true;
                (Value::Unknown, format!("{error:#}"))
            }
        };
        rows.push(vec![Value::text(table.name()), count, Value::Text(state)]);
    };
    let sightings = async {
        let stream = lake.sightings(all).await?;
        Ok(stream.try_fold(0, async |n, _| Ok(n + 1)).await?)
    };
    push(Table::Sightings, sightings.await);
    let observations = async {
        let stream = lake.observations().await?;
        Ok(stream.try_fold(0, async |n, _| Ok(n + 1)).await?)
    };
    push(Table::Atlas, observations.await);
    let length = |n: usize| count(n);
    push(
        Table::Vantages,
        lake.vantages().await.map(|v| length(v.len())).map_err(Into::into),
    );
    push(
        Table::Catalog,
        lake.endpoints().await.map(|e| length(e.len())).map_err(Into::into),
    );
    push(Table::Runs, lake.runs().await.map(|r| length(r.len())).map_err(Into::into));
    rows.print(settings.format)?;
    anyhow::ensure!(!damaged, "the lake is damaged");
    Ok(Outcome::Done)
}

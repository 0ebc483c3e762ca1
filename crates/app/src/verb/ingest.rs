//! `tidegauge ingest`: telemetry into the lake.

use anyhow::Context;
use tidegauge_store::import::Mapping;

use crate::output::{Rows, Value};
use crate::pipeline::{self, Plan, Summary};
use crate::settings::Settings;
use crate::{Outcome, args, knowledge};

/// Reads the inputs and says what came of it.
pub(crate) async fn run(
    verb: &args::Ingest,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let catalog = knowledge::catalog(settings)?;
    let vantage =
        knowledge::vantage(&verb.vantage, verb.vantages.as_deref(), settings)?;
    let mapping = match &verb.mapping {
        Some(path) => Some(read_mapping(path)?),
        None => None,
    };
    let lake = settings.open_lake().await?;
    let plan = Plan {
        paths: &verb.paths,
        vantage: &vantage,
        catalog: &catalog,
        mapping: mapping.as_ref(),
        control_sampling: verb.control_sampling,
        piece: pipeline::PIECE,
    };
    let summary = pipeline::ingest(&lake, &plan).await?;
    rows(&summary).print(settings.format)?;
    let loss_max = verb.loss_max.unwrap_or(settings.loss_max);
    let loss_share = summary.loss_share();
    if loss_share > loss_max {
        tracing::warn!(
            "{:.1} % of the input was lost, more than the {:.1} % of --loss-max",
            100.0 * loss_share,
            100.0 * loss_max
        );
        return Ok(Outcome::Incomplete);
    }
    Ok(Outcome::Done)
}

/// Reads a mapping file.
pub(crate) fn read_mapping(path: &std::path::Path) -> anyhow::Result<Mapping> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading {}", path.display()))?;
    Mapping::read(&text).with_context(|| format!("reading {}", path.display()))
}

fn rows(summary: &Summary) -> Rows {
    let mut rows = Rows::new("ingest", ["what", "count"]);
    let mut push = |what: String, count: u64| {
        rows.push(vec![Value::Text(what), Value::Int(count)]);
    };
    for (kind, inputs) in &summary.inputs {
        push(format!("inputs {kind}"), *inputs);
    }
    push("inputs known already".to_owned(), summary.inputs_known);
    push("inputs unreadable".to_owned(), summary.unreadable);
    push("flows".to_owned(), summary.flows);
    push("contacts".to_owned(), summary.contacts);
    push("sightings".to_owned(), summary.sightings);
    push("vantage-days".to_owned(), summary.days);
    for (reason, lost) in &summary.losses {
        push(format!("lost {reason}"), *lost);
    }
    rows
}

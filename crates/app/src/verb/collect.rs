//! `tidegauge collect`: live telemetry into the lake.

use anyhow::{Context, ensure};
use tidegauge_model::{Vantage, VantageId};
use tidegauge_store::Lake;

use crate::collect::{self, Listen, Plan};
use crate::output::{Rows, Value};
use crate::settings::Settings;
use crate::{Outcome, args, knowledge};

/// Collects until it is told to stop, or only says what it would do.
pub(crate) async fn run(
    verb: &args::Collect,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let (plan, lake) = match ready(verb, settings).await {
        Ok(ready) => ready,
        Err(error) => {
            tracing::error!("{error:#}");
            return Ok(Outcome::Refused);
        }
    };
    if verb.check {
        check(&plan, &lake).print(settings.format)?;
        return Ok(Outcome::Done);
    }
    collect::run(plan, lake).await?;
    Ok(Outcome::Done)
}

/// Everything that can be wrong before the first datagram. A check also opens and closes
/// each socket; it fails beside a collector that runs on the same ones.
async fn ready(
    verb: &args::Collect,
    settings: &Settings,
) -> anyhow::Result<(Plan, Lake)> {
    let plan = plan(verb, settings)?;
    let lake = settings.open_lake().await?;
    if verb.check {
        collect::try_sockets(&plan)?;
    }
    Ok((plan, lake))
}

/// What was typed above what the file says above the defaults.
fn plan(verb: &args::Collect, settings: &Settings) -> anyhow::Result<Plan> {
    let file = &settings.collect;
    let listen = if verb.listen.is_empty() {
        let read = |text: &String| text.parse::<Listen>().map_err(anyhow::Error::msg);
        file.listen.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?
    } else {
        verb.listen.clone()
    };
    ensure!(
        !listen.is_empty(),
        "nowhere to listen (hint: --listen udp://0.0.0.0:2055, or `listen` in [collect])"
    );
    let vantage = match (&verb.vantage, &file.vantage) {
        (Some(vantage), _) => vantage.clone(),
        (None, Some(name)) => VantageId::new(name),
        (None, None) => anyhow::bail!(
            "which vantage is it? (hint: --vantage NAME, or `vantage` in [collect])"
        ),
    };
    let vantage: Vantage =
        knowledge::vantage(&vantage, verb.vantages.as_deref(), settings)?;
    let seconds = verb.commit_every.unwrap_or(file.commit_every_seconds);
    ensure!(seconds > 0, "the time between two commits is at least a second");
    let mib = verb.receive_buffer.unwrap_or(file.receive_buffer_mib);
    let metrics = verb.metrics.clone().or_else(|| file.metrics.clone());
    let metrics = metrics
        .map(|text| {
            text.parse().with_context(|| {
                format!("`{text}` is not ADDRESS:PORT, where metrics are served")
            })
        })
        .transpose()?;
    Ok(Plan {
        listen,
        vantage,
        catalog: knowledge::catalog(settings)?,
        commit_every: std::time::Duration::from_secs(seconds),
        state: verb.state.clone().unwrap_or_else(|| file.state.clone()),
        metrics,
        receive_buffer_bytes: mib * 1024 * 1024,
        control_sampling: verb.control_sampling,
    })
}

/// What it would do.
fn check(plan: &Plan, lake: &Lake) -> Rows {
    let mut rows = Rows::new("collect", ["what", "value"]);
    let mut push = |what: &str, value: String| {
        rows.push(vec![Value::Text(what.to_owned()), Value::Text(value)]);
    };
    for listen in &plan.listen {
        push("listen", listen.to_string());
    }
    push("vantage", plan.vantage.id.to_string());
    for exporter in &plan.vantage.exporters {
        let sampling = exporter
            .sampling
            .map_or("as announced".to_owned(), |rate| format!("one in {rate}"));
        push(
            "exporter",
            format!("{} {}: sampling {sampling}", exporter.prefix, exporter.name),
        );
    }
    push("catalog", format!("{} endpoints", plan.catalog.endpoints().len()));
    push("lake", lake.url().to_string());
    push("commit every", format!("{} s", plan.commit_every.as_secs()));
    push("state", plan.state.display().to_string());
    let metrics =
        plan.metrics.map_or("none".to_owned(), |a| format!("http://{a}/metrics"));
    push("metrics", metrics);
    push("receive buffer", format!("{} MiB", plan.receive_buffer_bytes / 1024 / 1024));
    rows
}

//! `tidegauge watch`: tells what changed of findings.
//!
//! It reads the ledger that `tidegauge exposure` keeps, and never the lake: a change that
//! was told there is a message here, once on each channel, however often this runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use tidegauge_enrich::score;
use tidegauge_exposure::alert::{
    Deliveries, Delivery, Due, Message, Outcome as Sent, Rules, delivery, messages,
};
use tidegauge_exposure::dossier::Audience;
use tidegauge_exposure::{Portfolio, dossiers};

use crate::journal::{self, Journal};
use crate::output::{Rows, Value};
use crate::sending::Senders;
use crate::settings::Settings;
use crate::stopped::stopped;
use crate::verb::exposure;
use crate::{Outcome, args, clock};

/// What is needed for every round.
struct Plan {
    rules: Rules,
    senders: Senders,
    portfolio: Portfolio,
    ledger: PathBuf,
    deliveries: PathBuf,
}

/// Sends what is due, once or at an interval.
pub(crate) async fn run(
    verb: &args::Watch,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let plan = match plan(verb, settings) {
        Ok(plan) => plan,
        Err(error) => {
            tracing::error!("{error:#}");
            return Ok(Outcome::Refused);
        }
    };
    if verb.check {
        check(&plan).print(settings.format)?;
        return Ok(Outcome::Done);
    }
    if verb.dry_run {
        would_send(verb, &plan)?.print(settings.format)?;
        return Ok(Outcome::Done);
    }
    let mut stopped = pin!(stopped()?);
    loop {
        let round = round(verb, &plan).await?;
        let Some(seconds) = verb.every else {
            round.rows().print(settings.format)?;
            return Ok(if round.bad() { Outcome::Incomplete } else { Outcome::Done });
        };
        tracing::info!("{round}");
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(seconds.get())) => {}
            () = &mut stopped => return Ok(Outcome::Done),
        }
    }
}

fn plan(verb: &args::Watch, settings: &Settings) -> anyhow::Result<Plan> {
    let at = || format!("reading {}", verb.rules.display());
    let text = std::fs::read_to_string(&verb.rules).with_context(at)?;
    let rules = Rules::read(&text).with_context(at)?;
    let environment: BTreeMap<String, String> = clock::environment().collect();
    let senders = Senders::new(&rules, &environment)?;
    let portfolio = match &verb.portfolio {
        Some(path) => exposure::portfolio(path)?,
        None => Portfolio::default(),
    };
    let ledger = journal::ledger_path(verb.kept.ledger.as_deref(), settings)?;
    let deliveries = match &verb.deliveries {
        Some(path) => path.clone(),
        None => ledger.with_extension("deliveries.jsonl"),
    };
    Ok(Plan { rules, senders, portfolio, ledger, deliveries })
}

fn check(plan: &Plan) -> Rows {
    let mut rows = Rows::new("watch", ["what", "value"]);
    let mut push = |what: &str, value: String| {
        rows.push(vec![Value::Text(what.to_owned()), Value::Text(value)]);
    };
    for channel in &plan.rules.channels {
        push("channel", channel.name.clone());
    }
    for rule in &plan.rules.rules {
        let on: Vec<&str> = rule.on.iter().map(|on| on.as_str()).collect();
        let (on, channels) = (on.join(", "), rule.channels.join(", "));
        push("rule", format!("{}: {on} to {channels}", rule.name));
    }
    push("ledger", plan.ledger.display().to_string());
    push("deliveries", plan.deliveries.display().to_string());
    rows
}

/// Every message that was not delivered yet.
fn undelivered(
    verb: &args::Watch,
    plan: &Plan,
    deliveries: &Deliveries,
) -> anyhow::Result<Vec<Message>> {
    let ledger = journal::read_ledger(&plan.ledger)?;
    let Some(as_of) = ledger.as_of() else { return Ok(Vec::new()) };
    let combine = |p: &mut dyn Iterator<Item = f64>| score::combine(p);
    let all = dossiers(&plan.portfolio, &ledger, as_of, Audience::House, &combine);
    Ok(messages(&plan.rules, &all, verb.since, deliveries.covered()))
}

fn would_send(verb: &args::Watch, plan: &Plan) -> anyhow::Result<Rows> {
    let deliveries =
        read_deliveries(&plan.deliveries, &journal::read(&plan.deliveries)?);
    let mut rows = Rows::new("watch", ["channel", "key", "due", "title", "body"]);
    for message in undelivered(verb, plan, &deliveries)? {
        let due = match deliveries.due(message.key, clock::now()) {
            Due::Now => "now".to_owned(),
            Due::At(at) => at.to_string(),
            Due::Never(_) => "never".to_owned(),
        };
        rows.push(vec![
            Value::text(&message.channel),
            Value::text(message.key),
            Value::Text(due),
            Value::text(&message.title),
            Value::text(&message.body),
        ]);
    }
    Ok(rows)
}

fn read_deliveries(path: &Path, bytes: &[u8]) -> Deliveries {
    let deliveries = Deliveries::read(bytes);
    journal::tell(path, &deliveries.bad_lines);
    deliveries
}

/// What one round came to.
#[derive(Debug, Default)]
struct Round {
    sent: u64,
    failed: u64,
    refused: u64,
    waiting: u64,
    given_up: u64,
}

impl Round {
    fn bad(&self) -> bool {
        self.failed + self.refused > 0
    }

    fn rows(&self) -> Rows {
        let mut rows = Rows::new("watch", ["what", "count"]);
        for (what, count) in [
            ("sent", self.sent),
            ("failed, to be tried again", self.failed),
            ("refused", self.refused),
            ("waiting", self.waiting),
            ("given up", self.given_up),
        ] {
            rows.push(vec![Value::text(what), Value::Int(count)]);
        }
        rows
    }
}

impl std::fmt::Display for Round {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} sent, {} failed, {} refused, {} waiting, {} given up",
            self.sent, self.failed, self.refused, self.waiting, self.given_up
        )
    }
}

/// Sends what is due. The file of deliveries is locked meanwhile: two programs do not send
/// the same message.
async fn round(verb: &args::Watch, plan: &Plan) -> anyhow::Result<Round> {
    let mut file = Journal::open(&plan.deliveries)?;
    let mut deliveries = read_deliveries(&plan.deliveries, &file.read()?);
    let mut round = Round::default();
    for message in undelivered(verb, plan, &deliveries)? {
        match deliveries.due(message.key, clock::now()) {
            Due::Never(_) => round.given_up += 1,
            Due::At(_) => round.waiting += 1,
            Due::Now => {
                let outcome = plan.senders.send(&message, clock::now()).await;
                match outcome {
                    Sent::Sent => round.sent += 1,
                    Sent::Failed => round.failed += 1,
                    Sent::Refused => round.refused += 1,
                }
                file.append(&deliveries.add(&Delivery {
                    schema_version: delivery::SCHEMA_VERSION,
                    key: message.key,
                    covers: message.covers,
                    channel: message.channel,
                    at: clock::now(),
                    outcome,
                }))?;
            }
        }
    }
    Ok(round)
}

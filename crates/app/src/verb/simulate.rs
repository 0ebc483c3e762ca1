//! `tidegauge simulate`: a synthetic world, written as real telemetry; and its truth laid
//! beside what an assessment said.
//!
//! **Invariant:** flag before file before world: what was typed wins.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::Context;
use serde_json::json;
use tidegauge_simulate::{Line, Params, Score, Story, Summary, Written};

use crate::output::{Rows, Value};
use crate::settings::Settings;
use crate::{Outcome, args, progress};

/// Writes the world, prints its parameters, or judges an assessment of it.
pub(crate) fn run(
    verb: &args::Simulate,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    if let Some(args::Judged::Score { truth, assess }) = &verb.judged {
        return score(truth, assess, settings);
    }
    let params = asked(verb)?;
    let Some(out) = &verb.out else {
        let head = format!("# World {}. Any key may be left out.\n", params.world);
        let text = head + &params.write();
        std::io::stdout()
            .write_all(text.as_bytes())
            .context("writing to standard output")?;
        return Ok(Outcome::Done);
    };
    let written = write(&params, out)?;
    tracing::info!("world {}: {} in {}", params.world, told(&written), out.display());
    Ok(Outcome::Done)
}

fn asked(verb: &args::Simulate) -> anyhow::Result<Params> {
    let mut params = match &verb.params {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("reading {}", path.display()))?;
            Params::read(&text)
                .with_context(|| format!("reading {}", path.display()))?
        }
        None => Params::of(verb.print_params.or(verb.world).map_or(Story::A, story)),
    };
    params.organisations = verb.organisations.unwrap_or(params.organisations);
    params.eyeball = verb.eyeball.unwrap_or(params.eyeball);
    params.seed = verb.seed.unwrap_or(params.seed);
    params.check()?;
    Ok(params)
}

fn story(name: args::WorldName) -> Story {
    match name {
        args::WorldName::A => Story::A,
        args::WorldName::B => Story::B,
        args::WorldName::C => Story::C,
        args::WorldName::D => Story::D,
        args::WorldName::E => Story::E,
        args::WorldName::F => Story::F,
    }
}

/// The calibrated parameters of world A at the scale that was asked for.
pub(crate) fn params(scale: &args::World) -> Params {
    Params {
        organisations: scale.organisations,
        eyeball: scale.eyeball,
        seed: scale.seed,
        ..Params::default()
    }
}

/// Writes a world below `out`, with a bar.
pub(crate) fn write(params: &Params, out: &Path) -> anyhow::Result<Written> {
    let bar = progress::steps("simulating", 12);
    let written = tidegauge_simulate::write(params, out, &mut |progress| {
        bar.set_position(progress.months_done.into());
    });
    bar.finish_and_clear();
    written.with_context(|| format!("simulating into {}", out.display()))
}

/// What was written, in words.
pub(crate) fn told(written: &Written) -> String {
    format!(
        "{} flows in {} tables, {} logs",
        written.flows,
        written.tables.len(),
        written.zeek_logs.len()
    )
}

fn score(truth: &Path, assess: &Path, settings: &Settings) -> anyhow::Result<Outcome> {
    let text = if assess == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("reading standard input")?;
        text
    } else {
        std::fs::read_to_string(assess)
            .with_context(|| format!("reading {}", assess.display()))?
    };
    let score = tidegauge_simulate::score(truth, &text)
        .with_context(|| format!("judging {}", assess.display()))?;
    rows(&score).print(settings.format)?;
    Ok(Outcome::Done)
}

fn rows(score: &Score) -> Rows {
    let columns = [
        "country", "sector", "estimand", "truth", "as_seen", "estimate", "low", "high",
        "error", "verdict", "reason",
    ];
    let mut rows = Rows::new("score", columns);
    for line in &score.lines {
        rows.push(row(line));
    }
    let summaries = score.summaries();
    rows.notes = summaries.iter().map(words).collect();
    rows.notes.push(format!(
        "world {}: {:.0} % of the cohort hidden wholly, {} alarms of visibility",
        score.world,
        100.0 * score.hidden,
        score.alarms.len()
    ));
    let mut put = |key: &str, value| rows.beside.insert(key.to_owned(), value);
    put("world", json!(score.world.letter().to_string()));
    put("before", json!(score.before.to_string()));
    put("after", json!(score.after.to_string()));
    put("hidden", json!(score.hidden));
    put("alarms", json!(score.alarms));
    put("summary", summaries.iter().map(summary).collect());
    rows
}

fn row(line: &Line) -> Vec<Value> {
    let count = line.estimand == tidegauge_simulate::Estimand::Baseline;
    let decimals = if count { 0 } else { 4 };
    let number = |value: Option<f64>| {
        value.map_or(Value::Unknown, |v| Value::Float(v, decimals))
    };
    let all = |name: &Option<String>| Value::text(name.as_deref().unwrap_or("all"));
    vec![
        all(&line.country),
        all(&line.sector),
        Value::text(line.estimand.name()),
        Value::Float(line.truth, decimals),
        number(line.as_seen),
        number(line.estimate),
        number(line.low),
        number(line.high),
        number(line.error()),
        Value::text(line.verdict.words()),
        line.reason.as_deref().map_or(Value::text(""), Value::text),
    ]
}

fn words(summary: &Summary) -> String {
    let error = summary.error_mean.map_or("unknown".to_owned(), |e| format!("{e:.4}"));
    format!(
        "{}: {} groups answered, {} of {} intervals hold the truth, mean error {error}; \
         {} refused rightly, {} needlessly",
        summary.estimand.name(),
        summary.answered,
        summary.covered,
        summary.intervals,
        summary.refused_rightly,
        summary.refused_needlessly
    )
}

fn summary(summary: &Summary) -> serde_json::Value {
    json!({
        "estimand": summary.estimand.name(),
        "answered": summary.answered,
        "intervals": summary.intervals,
        "covered": summary.covered,
        "error_mean": summary.error_mean,
        "refused_rightly": summary.refused_rightly,
        "refused_needlessly": summary.refused_needlessly,
    })
}

//! `tidegauge assess`: what an act did.

use anyhow::{Context, bail};
use tidegauge_effect::removal::removal;
use tidegauge_effect::window::window_from;
use tidegauge_effect::{Active, Bootstrap, Stratify, Windows};
use tidegauge_model::count::{Dimension, Query};
use tidegauge_model::estimate::{Estimate, Identification, Quantity, ReleasedEstimate};
use tidegauge_model::panel::Panel;
use tidegauge_model::policy::PolicyEvent;
use tidegauge_model::{DayRange, Month};

use crate::opened::{Audience, Opened};
use crate::output::{Rows, Value};
use crate::settings::Settings;
use crate::{Outcome, args, knowledge};

/// Estimates and prints.
pub(crate) async fn run(
    verb: &args::Assess,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let timeline = knowledge::timeline(settings)?;
    let policy = timeline.policy(verb.compared.policy.as_str()).with_context(|| {
        let ids: Vec<&str> = timeline.policies.iter().map(|p| p.id.as_str()).collect();
        format!(
            "there is no policy `{}` (hint: {})",
            verb.compared.policy,
            ids.join(", ")
        )
    })?;
    let windows = windows(&verb.compared, policy)?;
    let opened = Opened::open(settings, verb.evidence.known).await?;
    let mut evidence = verb.evidence.clone();
    if evidence.product.is_empty() {
        evidence.product = vec![policy.product.clone()];
    }
    let product = opened.one_product(&evidence.product)?;
    opened.require_covered(windows).await?;
    let days = DayRange::new(windows.before().first(), windows.after().last())
        .context("the window after ends before the one before begins")?;
    let panel = opened.counter.panel(&product, &opened.query(&evidence, days)?).await?;
    let mut audience = Audience::new(evidence.internal);
    let stratify = stratify(&verb.by)?;
    let mut tables = Vec::new();
    for window in [windows.before(), windows.after()] {
        for by in [Dimension::Country, Dimension::Sector] {
            let query = Query { by: vec![by], ..opened.query(&evidence, window)? };
            tables.push(audience.release(opened.counter.census(&query).await?)?);
        }
    }
    let of =
        |stratify| estimates_by(&panel, windows, &evidence, &verb.compared, stratify);
    let estimates = [Stratify::All, stratify].into_iter().flat_map(of);
    let estimates = audience.estimates(estimates, &tables);
    if estimates.is_empty() {
        tracing::warn!("nobody was active in {}", windows.before());
    }
    rows(&estimates, policy, windows).print(settings.format)?;
    Ok(Outcome::Done)
}

/// Removal and net change of a panel, as the flags ask.
pub(crate) fn estimates_by(
    panel: &Panel,
    windows: Windows,
    evidence: &args::Evidence,
    compared: &args::Compared,
    stratify: Stratify,
) -> Vec<Estimate> {
    let active = Active { days_min: evidence.active_days };
    let bootstrap = Bootstrap { replicates: compared.replicates, seed: compared.seed };
    removal(panel, windows, active, stratify, bootstrap)
}

/// The two windows: the months named, or those that the policy's dates choose: before,
/// the second full month ahead of the announcement; after, the second full month past the
/// last date. The months next to the dates are left out, because people move around a
/// date, not on it. Unequal months are cut to the shorter length.
pub(crate) fn windows(
    compared: &args::Compared,
    policy: &PolicyEvent,
) -> anyhow::Result<Windows> {
    let dates = [policy.announced, policy.effective, policy.deadline];
    let first = dates.iter().flatten().min();
    let last = dates.iter().flatten().max();
    let no_dates =
        || format!("policy {} has no dates (hint: --before, --after)", policy.id);
    let before = match compared.before {
        Some(month) => month,
        None => months_before(first.with_context(no_dates)?.month(), 2)?,
    };
    let after = match compared.after {
        Some(month) => month,
        None => last.with_context(no_dates)?.month().next().next(),
    };
    let (before, after) = (DayRange::month(before), DayRange::month(after));
    let length = before.length_days().min(after.length_days());
    let cut = |range: DayRange| window_from(range.first(), length);
    Ok(Windows::new(cut(before), cut(after))?)
}

fn months_before(month: Month, count: i16) -> anyhow::Result<Month> {
    let months = month.year() * 12 + i16::from(month.number()) - 1 - count;
    let number = i8::try_from(months.rem_euclid(12) + 1)?;
    Month::new(months.div_euclid(12), number)
        .context("the policy's dates are out of range")
}

fn stratify(by: &[Dimension]) -> anyhow::Result<Stratify> {
    let has = |dimension| by.contains(&dimension);
    let other =
        by.iter().find(|d| !matches!(d, Dimension::Country | Dimension::Sector));
    if let Some(other) = other {
        bail!("estimates are split by country, sector or both, not by {other}");
    }
    Ok(match (has(Dimension::Country), has(Dimension::Sector)) {
        (true, true) => Stratify::CountrySector,
        (true, false) => Stratify::Country,
        (false, true) => Stratify::Sector,
        (false, false) => Stratify::All,
    })
}

fn rows(
    estimates: &[ReleasedEstimate],
    policy: &PolicyEvent,
    windows: Windows,
) -> Rows {
    let columns = [
        "stratum",
        "quantity",
        "value",
        "low",
        "high",
        "interval",
        "active_before",
        "still_or_after",
        "identified",
    ];
    let mut rows = Rows::new("assess", columns);
    let mut seen = std::collections::BTreeSet::new();
    for released in estimates {
        let stratum = stratum_name(released.stratum());
        if !seen.insert((stratum.clone(), released.quantity())) {
            continue;
        }
        match released.shown() {
            None => {
                let quantity = Value::text(quantity_name(released.quantity()));
                let mut row = vec![Value::Text(stratum), quantity];
                row.extend((2..columns.len()).map(|_| Value::Suppressed));
                rows.push(row);
            }
            Some(estimate) => push_intervals(&mut rows, &stratum, estimate),
        }
    }
    rows.notes.push(format!(
        "{}: {} against {}, {} days each",
        policy.id,
        windows.before(),
        windows.after(),
        windows.length_days()
    ));
    rows.notes.push("visibility not separated from usage".to_owned());
    rows
}

/// One row for each interval, or one without.
fn push_intervals(rows: &mut Rows, stratum: &str, estimate: &Estimate) {
    let identified = match &estimate.identified {
        Identification::Identified => "yes".to_owned(),
        Identification::Mixed(why) => why.clone(),
        Identification::NotIdentified(why) => format!("not identified: {why}"),
    };
    let mut push = |low, high, method| {
        rows.push(vec![
            Value::text(stratum),
            Value::text(quantity_name(estimate.quantity)),
            Value::Float(estimate.value, 4),
            low,
            high,
            method,
            Value::Int(estimate.n),
            Value::Int(estimate.k),
            Value::text(&identified),
        ]);
    };
    if estimate.intervals.is_empty() {
        push(Value::Unknown, Value::Unknown, Value::text("none"));
    }
    for interval in &estimate.intervals {
        let (low, high) =
            (Value::Float(interval.low, 4), Value::Float(interval.high, 4));
        push(low, high, Value::text(&interval.method));
    }
}

fn stratum_name(stratum: &[(String, String)]) -> String {
    if stratum.is_empty() {
        return "all".to_owned();
    }
    let pairs = stratum.iter().map(|(dimension, value)| format!("{dimension}={value}"));
    pairs.collect::<Vec<_>>().join(" ")
}

fn quantity_name(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::CohortRemoval => "cohort removal",
        Quantity::NetChange => "net change",
        Quantity::Retention => "retention",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_chooses_windows_clear_of_its_dates() {
        let timeline = {
            let mut timeline = tidegauge_model::policy::Timeline::default();
            for (_, text) in tidegauge_enrich::built_in::POLICIES {
                timeline.read(text).unwrap();
            }
            timeline
        };
        let policy = timeline.policy("US-BIS-2024-updates").unwrap();
        let compared = args::Compared {
            before: None,
            after: None,
            policy: policy.id.clone(),
            seed: 1,
            replicates: 99,
        };
        let windows = windows(&compared, policy).unwrap();
        assert_eq!(windows.before().to_string(), "2024-04-01 to 2024-04-30");
        assert_eq!(windows.after().to_string(), "2024-11-01 to 2024-11-30");
    }

    #[test]
    fn months_are_counted_across_years() {
        let month = |text: &str| text.parse::<Month>().unwrap();
        assert_eq!(months_before(month("2024-06"), 2).unwrap(), month("2024-04"));
        assert_eq!(months_before(month("2024-01"), 2).unwrap(), month("2023-11"));
    }
}

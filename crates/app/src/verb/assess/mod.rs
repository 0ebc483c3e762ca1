//! `tidegauge assess`: what happened around an act, and what cannot be told.
//!
//! * `inquiry`: what is asked of an act, and everything that is found;
//! * `answer`: the document for programs, and the verdict in words; `told`: for readers of pages;
//! * `evidence`: what every other estimator says; `doubt`, `draws`: the error of attribution;
//! * `rows`: the figures of each stratum; `page`: all of it for people, in order.
//!
//! **Invariant:** the figure with visibility taken out stands beside the one without it;
//! where it is not identified, the rule that forbids it stands in its place.

mod answer;
mod doubt;
mod draws;
mod evidence;
mod inquiry;
mod page;
mod rows;
mod told;

use anyhow::{Context, bail};
use tidegauge_census::Public;
use tidegauge_effect::assessment::told_curves;
use tidegauge_effect::interval::LEVEL;
use tidegauge_effect::occupancy::weekly::{
    self, ActDates, Corrected, Refusal, StratumRemoval, SurvivalCurve,
    removal_corrected,
};
use tidegauge_effect::removal::removal;
use tidegauge_effect::window::window_from;
use tidegauge_effect::{Active, Bootstrap, Stratify, Windows};
use tidegauge_model::count::Dimension;
use tidegauge_model::estimate::{Estimate, Interval, Quantity, ReleasedEstimate};
use tidegauge_model::panel::Panel;
use tidegauge_model::policy::{PolicyEvent, Timeline};
use tidegauge_model::{DayRange, Month};

pub(crate) use self::answer::not_identified;
pub(crate) use self::doubt::doubted_estimates;
pub(crate) use self::inquiry::{Inquiry, of_product};
use crate::opened::{Audience, Opened};
use crate::settings::Settings;
use crate::{Outcome, args, knowledge};

/// Estimates and prints.
pub(crate) async fn run(
    verb: &args::Assess,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let timeline = knowledge::timeline(settings)?;
    let policy = policy(&timeline, &verb.compared)?;
    let windows = windows(&verb.compared, policy)?;
    let opened = Opened::open(settings, verb.evidence.map).await?;
    let asked = stratify(&verb.by)?;
    let inquiry = Inquiry {
        policy,
        timeline: &timeline,
        windows,
        evidence: of_product(&verb.evidence, policy),
        compared: &verb.compared,
        asked,
        draws: verb.draws,
    };
    inquiry.admit(&opened)?;
    opened.require_covered(&[windows.before(), windows.after()]).await?;
    let mut audience = Audience::asked(verb.evidence.internal);
    let mut tables = Vec::new();
    for query in inquiry.tables(&opened)? {
        let census = opened.counter.census(&query).await?;
        tables.push(audience.release(&opened, census).await??);
    }
    let disclose = |estimates| audience.estimates(estimates, &tables);
    let findings = inquiry.find(&opened, disclose).await?;
    if findings.estimates.is_empty() {
        tracing::warn!("nobody was active in {}", windows.before());
    }
    let answer = findings.answer(policy);
    let mut rows = rows::rows(&findings.estimates, asked, &answer);
    rows.beside = answer.document(&findings.estimates);
    evidence::add(&mut rows.beside, &findings);
    if settings.format == args::Format::Table {
        page::print(rows, &findings.found, verb.top)?;
    } else {
        rows.print(settings.format)?;
    }
    Ok(Outcome::Done)
}

/// The act that was named.
fn policy<'a>(
    timeline: &'a Timeline,
    compared: &args::Compared,
) -> anyhow::Result<&'a PolicyEvent> {
    timeline.policy(compared.policy.as_str()).with_context(|| {
        let ids: Vec<&str> = timeline.policies.iter().map(|p| p.id.as_str()).collect();
        format!("there is no policy `{}` (hint: {})", compared.policy, ids.join(", "))
    })
}

/// Removal with visibility taken out, or why no model was made.
pub(crate) fn corrected(
    panel: &Panel,
    windows: Windows,
    policy: &PolicyEvent,
    evidence: &args::Evidence,
    compared: &args::Compared,
    ways: &[Stratify],
) -> Result<Corrected, Refusal> {
    let dates = ActDates {
        announced: policy.announced,
        effective: policy.effective.or(policy.deadline),
    };
    let model = weekly::Settings {
        active: Active { days_min: evidence.active_days },
        seed: compared.seed,
        survival: true,
        ..weekly::Settings::default()
    };
    removal_corrected(panel, windows, dates, ways, &model)
}

/// What the model identified, in the form that the disclosure rule judges.
pub(crate) fn corrected_estimates(
    corrected: &Corrected,
    windows: Windows,
) -> Vec<Estimate> {
    let of = |stratum: &StratumRemoval| {
        let share = stratum.removal?;
        let n = stratum.n_baseline;
        Some(Estimate {
            quantity: Quantity::RemovalCorrected,
            stratum: stratum.stratum.clone(),
            before: windows.before(),
            after: windows.after(),
            value: share.value,
            n,
            k: still(n, share.value),
            intervals: vec![Interval {
                method: "sampling and visibility (weekly occupancy)".to_owned(),
                level: LEVEL,
                low: share.low,
                high: share.high,
            }],
            method: corrected.method.clone(),
            identified: stratum.identified.clone(),
        })
    };
    corrected.strata.iter().filter_map(of).collect()
}

/// The survival curves of strata whose corrected removal is shown, with the weeks that a reader
/// may see.
pub(crate) fn curves(
    corrected: &Result<Corrected, Refusal>,
    estimates: &[ReleasedEstimate],
    internal: bool,
) -> Vec<SurvivalCurve> {
    let shown = |curve: &&SurvivalCurve| {
        estimates.iter().any(|e| {
            e.quantity() == Quantity::RemovalCorrected
                && e.stratum() == curve.stratum
                && e.shown().is_some()
        })
    };
    let curves = corrected.as_ref().map(|c| c.survival.as_slice()).unwrap_or_default();
    told_curves(curves.iter().filter(shown), cell_min(internal))
}

/// Organisations below which a group is not told.
pub(crate) fn cell_min(internal: bool) -> usize {
    let least = if internal { 1 } else { Public::default().organisations_min };
    usize::try_from(least).unwrap_or(usize::MAX)
}

/// Of `n` organisations, those that a removal of `share` leaves.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of organisations, and a share from 0 to 1"
)]
fn still(n: u64, share: f64) -> u64 {
    (n as f64 * (1.0 - share.clamp(0.0, 1.0))).round() as u64
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
    let no_dates = || {
        format!(
            "rule date-needed: policy {} has no dates (hint: --baseline, --window)",
            policy.id
        )
    };
    let month_before = || -> anyhow::Result<Month> {
        let first = first.with_context(no_dates)?.month();
        first.back(2).context("the policy's dates are out of range")
    };
    let month_after =
        || Ok::<_, anyhow::Error>(last.with_context(no_dates)?.month().next().next());
    let whole = |range: DayRange| range == DayRange::month(range.first().month());
    // A window without the other: one of the same kind, that ends, or begins, with the month
    // that was chosen, so that it stays clear of the act.
    let (before, after) = match (compared.before, compared.after) {
        (Some(before), Some(after)) => (before, after),
        (Some(before), None) if whole(before) => {
            (before, DayRange::month(month_after()?))
        }
        (Some(before), None) => {
            let first = month_after()?.first();
            (before, window_from(first, before.length_days()))
        }
        (None, Some(after)) if whole(after) => {
            (DayRange::month(month_before()?), after)
        }
        (None, Some(after)) => {
            let days = i32::try_from(after.length_days()).unwrap_or(i32::MAX);
            let first = month_before()?.last().plus(1 - days);
            (window_from(first, after.length_days()), after)
        }
        (None, None) => {
            (DayRange::month(month_before()?), DayRange::month(month_after()?))
        }
    };
    if whole(before) && whole(after) {
        let length = before.length_days().min(after.length_days());
        let cut = |range: DayRange| window_from(range.first(), length);
        return Ok(Windows::new(cut(before), cut(after))?);
    }
    Ok(Windows::new(before, after)?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_chooses_windows_clear_of_its_dates() {
        let timeline = {
            let mut timeline = Timeline::default();
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
        let chosen = |before: Option<&str>, after: Option<&str>| {
            let read = |text: Option<&str>| text.map(|text| text.parse().unwrap());
            let (before, after) = (read(before), read(after));
            let compared = args::Compared { before, after, ..compared.clone() };
            match windows(&compared, policy) {
                Ok(windows) => format!("{} and {}", windows.before(), windows.after()),
                Err(error) => error.to_string(),
            }
        };
        for (before, after, expected) in [
            (None, None, "2024-04-01 to 2024-04-30 and 2024-11-01 to 2024-11-30"),
            (
                Some("2024-02"),
                None,
                "2024-02-01 to 2024-02-29 and 2024-11-01 to 2024-11-29",
            ),
            (
                Some("2024-04-08..2024-04-21"),
                None,
                "2024-04-08 to 2024-04-21 and 2024-11-01 to 2024-11-14",
            ),
            (
                None,
                Some("2024-12-02..2024-12-08"),
                "2024-04-24 to 2024-04-30 and 2024-12-02 to 2024-12-08",
            ),
            (
                Some("2024-04"),
                Some("2024-11-01..2024-11-14"),
                "rule windows-equal: 2024-04-01 to 2024-04-30 has 30 days and 2024-11-01 to \
                 2024-11-14 has 14: windows must be equally long",
            ),
            (
                Some("2024-11"),
                Some("2024-04"),
                "rule windows-order: 2024-04-01 to 2024-04-30 does not come after 2024-11-01 to \
                 2024-11-30",
            ),
        ] {
            assert_eq!(chosen(before, after), expected);
        }
    }
}

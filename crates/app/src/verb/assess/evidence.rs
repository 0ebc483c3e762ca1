//! What all estimators say of the act: keys of the document, and headings for people.
//!
//! **Invariant:** a country is set apart only where its cohort removal may be shown, and
//! what is refused stands with its rule where the figure would. Histories are those of all
//! covered days, held by the same holders as those of the windows.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde_json::{Map, Value as Json, json};
use tidegauge_effect::assessment::{Asked, Assessment, Reading, Sight, assess};
use tidegauge_effect::occupancy::weekly::{Alarm, Corrected, Refusal, SurvivalCurve};
use tidegauge_effect::specification::Specification;
use tidegauge_effect::{Active, Windows};
use tidegauge_model::count::{Dimension, Query};
use tidegauge_model::estimate::{Identification, Quantity, ReleasedEstimate};
use tidegauge_model::panel::Panel;
use tidegauge_model::policy::{PolicyEvent, Timeline};
use tidegauge_model::{Country, DayRange, ProductId, Role, SectorId};

use super::answer::{of_stratum, share};
use super::cell_min;
use super::inquiry::Findings;
use crate::args;
use crate::opened::Opened;
use crate::output::{Rows, Value};

/// What the estimators are asked beside the lake.
pub(super) struct Brief<'a> {
    pub(super) windows: Windows,
    pub(super) policy: &'a PolicyEvent,
    pub(super) timeline: &'a Timeline,
    pub(super) evidence: &'a args::Evidence,
    pub(super) corrected: &'a Result<Corrected, Refusal>,
    pub(super) estimates: &'a [ReleasedEstimate],
}

/// Asks all estimators of the covered days; `query` is that of the windows.
pub(super) async fn found(
    opened: &Opened,
    (product, query): (&ProductId, &Query),
    brief: &Brief<'_>,
) -> anyhow::Result<Assessment> {
    let covered = opened.covered().await?.unwrap_or(query.days);
    let first = covered.first().min(query.days.first());
    let last = covered.last().max(query.days.last());
    let days = DayRange::new(first, last).context("the covered days have no order")?;
    let wide = Query { days, ..query.clone() };
    let panel = opened.counter.panel(product, &wide).await?;
    let rivals = rivals(opened, product, &wide).await?;
    let looked_at = looked_at(opened, &wide).await?;
    Ok(assess(&Asked {
        panel: &panel,
        windows: brief.windows,
        policy: brief.policy,
        acts: &brief.timeline.policies,
        active: Active { days_min: brief.evidence.active_days },
        sight: sight(brief.corrected),
        corrected: brief
            .estimates
            .iter()
            .filter_map(|e| e.shown())
            .filter(|e| e.quantity == Quantity::RemovalCorrected)
            .cloned()
            .collect(),
        told: told(brief.estimates),
        rivals: &rivals,
        looked_at,
        cell_min: cell_min(brief.evidence.internal),
    }))
}

/// Panels of every other product that is no control and that the lake has a sighting of.
async fn rivals(
    opened: &Opened,
    product: &ProductId,
    query: &Query,
) -> anyhow::Result<Vec<Panel>> {
    let others = opened.catalog.products().iter();
    let others =
        others.filter(|p| !p.control && p.id != *product).map(|p| p.id.clone());
    let by = vec![Dimension::Product];
    let products: Vec<ProductId> = others.collect();
    let asked = Query { by, products: products.clone(), ..query.clone() };
    let census = opened.counter.census(&asked).await?;
    let seen = |product: &&ProductId| {
        let of = census.cells.iter().filter(|cell| cell.counts.organisations > 0);
        of.filter_map(|cell| cell.key.first())
            .flatten()
            .any(|id| id == product.as_str())
    };
    let mut panels = Vec::new();
    for rival in products.iter().filter(seen) {
        panels.push(opened.counter.panel(rival, query).await?);
    }
    Ok(panels)
}

/// Organisations in contact with any product or control: those that could have been seen.
/// Counted by kind of network, of which most have one that stands for them: an organisation
/// with two is counted once, one with the rarer kind alone not at all.
async fn looked_at(opened: &Opened, query: &Query) -> anyhow::Result<Option<u64>> {
    let asked = Query {
        by: vec![Dimension::Kind],
        products: Vec::new(),
        roles: Role::ALL.to_vec(),
        ..query.clone()
    };
    let census = opened.counter.census(&asked).await?;
    Ok(census.cells.iter().map(|cell| cell.counts.organisations).max())
}

/// Countries whose cohort removal is shown.
fn told(estimates: &[ReleasedEstimate]) -> BTreeSet<Country> {
    let shown = estimates
        .iter()
        .filter(|e| e.quantity() == Quantity::CohortRemoval && e.shown().is_some());
    shown
        .filter_map(|e| match e.stratum() {
            [(dimension, value)] if dimension == "country" => value.parse().ok(),
            _ => None,
        })
        .collect()
}

/// What the model of visibility says of it. Days not looked at are no silence to the
/// estimators, so that alarm alone changes nothing.
fn sight(corrected: &Result<Corrected, Refusal>) -> Sight {
    let corrected = match corrected {
        Ok(corrected) => corrected,
        Err(refusal) => return Sight::Unknown(format!("no-model: {refusal}")),
    };
    let changes = |alarm: &&Alarm| !matches!(alarm, Alarm::LookedLess { .. });
    let alarms: Vec<String> =
        corrected.alarms.iter().filter(changes).map(ToString::to_string).collect();
    if !alarms.is_empty() {
        return Sight::Changed(alarms.join("; "));
    }
    let whole = corrected.strata.iter().find(|s| s.stratum.is_empty());
    match whole.map(|s| &s.identified) {
        Some(Identification::Identified) => Sight::Steady,
        Some(Identification::Mixed(why) | Identification::NotIdentified(why)) => {
            Sight::Unknown(why.clone())
        }
        None => Sight::Unknown("no-cohort: nobody was active before".to_owned()),
    }
}

/// Adds the keys of what was found to a document; checks join those that are there.
pub(super) fn add(document: &mut Map<String, Json>, findings: &Findings) {
    let found = &findings.found;
    for (key, readings) in sections(found) {
        let readings = readings.iter().map(reading).collect();
        document.insert(key.to_owned(), readings);
    }
    let checks = found.checks.iter().map(
        |check| json!({ "name": check.name, "passed": check.passed, "detail": check.detail }),
    );
    match document.entry("checks").or_insert_with(|| json!([])) {
        Json::Array(known) => known.extend(checks),
        other => *other = checks.collect(),
    }
    let questions = found
        .questions
        .iter()
        .map(|q| json!({ "question": q.question, "answer": q.answer }));
    document.insert("questions".to_owned(), questions.collect());
    let curves = findings.curves.iter().map(curve);
    document.insert("survival_curves".to_owned(), curves.collect());
    let sets = found.specification_curve.iter().map(specification);
    document.insert("specification_curve".to_owned(), sets.collect());
    let sector = found.sector.as_ref().map(SectorId::as_str);
    document.insert("sector".to_owned(), json!(sector));
}

pub(super) fn sections(found: &Assessment) -> [(&'static str, &[Reading]); 9] {
    [
        ("survival", &found.survival),
        ("hazard", &found.hazard),
        ("series", &found.series),
        ("comparison", &found.comparison),
        ("specifications", &found.specifications),
        ("forecast", &found.forecast),
        ("substitution", &found.substitution),
        ("unseen", &found.unseen),
        ("noise", &found.noise),
    ]
}

fn curve(curve: &SurvivalCurve) -> Json {
    let weeks = curve.weeks.iter().map(|week| {
        json!({
            "first": week.first.to_string(),
            "in_use": share(week.in_use),
            "seen": week.seen,
        })
    });
    json!({
        "country": of_stratum(&curve.stratum, "country"),
        "sector": of_stratum(&curve.stratum, "sector"),
        "n_baseline": curve.n_baseline,
        "weeks": weeks.collect::<Vec<_>>(),
    })
}

fn specification(set: &Specification) -> Json {
    let choices: BTreeMap<_, _> = set.choices.iter().cloned().collect();
    json!({ "choices": choices, "asked": set.asked, "cohort_removal": set.figures })
}

fn reading(reading: &Reading) -> Json {
    let refused = reading.refused.as_ref();
    json!({
        "what": reading.what,
        "of": reading.of,
        "unit": reading.unit,
        "value": reading.value,
        "low": reading.low,
        "high": reading.high,
        "p": reading.p,
        "p_floor": reading.p_floor,
        "n": reading.n,
        "counted": reading.counted,
        "method": reading.method,
        "assumption": reading.assumption,
        "refused": refused.map(|r| json!({ "rule": r.rule, "reason": r.reason })),
    })
}

/// Readings that have a figure.
pub(super) fn rows(name: &'static str, readings: &[Reading]) -> Rows {
    let columns = ["what", "of", "value", "low", "high", "unit", "p", "n", "counted"];
    let mut rows = Rows::new(name, columns);
    let number = |v: Option<f64>| v.map_or(Value::Unknown, |v| Value::Float(v, 3));
    for reading in readings.iter().filter(|r| r.refused.is_none()) {
        rows.push(vec![
            Value::text(&reading.what),
            Value::text(&reading.of),
            number(reading.value),
            number(reading.low),
            number(reading.high),
            Value::text(reading.unit),
            number(reading.p),
            Value::Int(u64::try_from(reading.n).unwrap_or(u64::MAX)),
            Value::text(reading.counted),
        ]);
    }
    rows
}

/// Each rule once, with its first reason and how many figures it forbids.
pub(super) fn refusals(readings: &[Reading]) -> BTreeMap<&str, (String, usize)> {
    let mut rules: BTreeMap<&str, (String, usize)> = BTreeMap::new();
    for reading in readings {
        if let Some(refused) = &reading.refused {
            let first = || {
                (format!("{} of {}: {}", reading.what, reading.of, refused.reason), 0)
            };
            rules.entry(&refused.rule).or_insert_with(first).1 += 1;
        }
    }
    rules
}

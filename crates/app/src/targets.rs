//! The counts of a demo beside the published figures its world is calibrated to.
//!
//! **Invariant:** what is compared is what a reader sees: released counts and estimates,
//! made from telemetry. The world's own truth is not looked at.

use tidegauge_model::count::{Counts, Release};
use tidegauge_model::estimate::Quantity;
use tidegauge_publish::report::{Paired, Report};
use tidegauge_simulate::targets::PUBLISHED;

use crate::output::{Rows, Value};

/// Relative difference beyond which a target is missed.
const TOLERANCE: f64 = 0.03;

/// A comparison, and whether every target was met.
pub(crate) struct Compared {
    pub(crate) rows: Rows,
    pub(crate) missed: usize,
}

/// Compares a report on a world of `organisations` scale with the published figures.
pub(crate) fn compare(report: &Report, organisations: f64) -> Compared {
    let columns =
        ["figure", "published", "counted", "difference", "within 3 %", "source"];
    let mut rows = Rows::new("targets", columns);
    let mut missed = 0;
    for target in PUBLISHED {
        let Some(counted) = counted(report, target.id, organisations) else {
            continue;
        };
        let difference = counted / target.value - 1.0;
        let met = difference.abs() <= TOLERANCE;
        missed += usize::from(!met);
        let decimals = if target.value < 10.0 { 4 } else { 0 };
        rows.push(vec![
            Value::text(target.id),
            Value::Float(target.value, decimals),
            Value::Float(counted, decimals),
            Value::Float(difference, 4),
            Value::text(if met { "yes" } else { "no" }),
            Value::text(target.source),
        ]);
    }
    Compared { rows, missed }
}

/// The report's value of a published figure, at the scale of the full world; `None` if
/// the report does not show it.
fn counted(report: &Report, id: &str, organisations: f64) -> Option<f64> {
    let parts: Vec<&str> = id.split('.').collect();
    let active = |c: Counts| number(c.organisations_active) / organisations;
    match *parts.as_slice() {
        ["organisations", month] => month_of(report, month).map(active),
        ["addresses", month] => {
            let factor = report.expansion.as_ref().map_or(1.0, |e| e.factor);
            let counts = month_of(report, month)?;
            let consumer = number(counts.addresses_v4_consumer);
            let own = number(counts.addresses_v4) - consumer;
            Some((own + consumer * factor) / organisations)
        }
        ["organisations", country, month] => {
            side(report.countries.as_ref()?, month, country).map(active)
        }
        ["organisations", country, "government", month] => {
            side(report.government.as_ref()?, month, country).map(active)
        }
        ["removal", country] => removal(report, country),
        ["sector", "US", sector] => {
            let of = side(report.sectors.as_ref()?, "april", sector).map(active)?;
            let all = side(report.countries.as_ref()?, "april", "US").map(active)?;
            Some(of / all)
        }
        _ => None,
    }
}

fn month_of(report: &Report, month: &str) -> Option<Counts> {
    let window = if month == "april" { report.before } else { report.after };
    row(report.months_frozen.as_ref()?, &window.first().month().to_string())
}

fn side(paired: &Paired, month: &str, key: &str) -> Option<Counts> {
    row(if month == "april" { &paired.before } else { &paired.after }, key)
}

fn row(release: &Release, key: &str) -> Option<Counts> {
    let is_it =
        |k: Option<&Option<String>>| k.is_some_and(|k| k.as_deref() == Some(key));
    release.rows().iter().find(|r| is_it(r.key.first()))?.counts
}

fn removal(report: &Report, country: &str) -> Option<f64> {
    let shown = report.estimates.iter().filter_map(|e| e.shown());
    let mut of_country = shown.filter(|e| {
        e.quantity == Quantity::CohortRemoval
            && e.stratum == [("country".to_owned(), country.to_owned())]
    });
    of_country.next().map(|e| e.value)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

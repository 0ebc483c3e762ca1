//! What each vantage saw: days, flows, losses, sampling, footprint, and whether the two
//! windows looked at the same networks.
//!
//! **Invariant:** a day without coverage is shown as missing, never as a zero count.

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_model::{Coverage, DayRange, Footprint, Reason, VantageId, Week};

use super::Report;
use super::reading::Absence;
use crate::figure::{Chart, Figure, HeatRow, HeatStrip};
use crate::number::{change, counted, days, grouped, percent_fine, place, real, whole};
use crate::tables::Table;

/// Vantages drawn; the table has all.
const ROWS_MAX: usize = 24;
/// Hours of a week.
const WEEK_HOURS: f64 = 168.0;

/// What one vantage read over the period.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) days: BTreeSet<i32>,
    pub(crate) flows: u64,
    pub(crate) contacts: u64,
    pub(crate) losses: BTreeMap<Reason, u64>,
    sampling: Option<(u32, u32)>,
    pub(crate) control_sampling: u32,
    footprint: Footprint,
    hours: BTreeMap<Week, u32>,
}

/// Sums coverage by vantage. Footprints are merged: networks are never added up.
pub(crate) fn summaries(coverage: &[Coverage]) -> BTreeMap<VantageId, Summary> {
    let mut found: BTreeMap<VantageId, Summary> = BTreeMap::new();
    for day in coverage {
        let summary = found.entry(day.vantage.clone()).or_default();
        summary.days.insert(day.day.0);
        summary.flows = summary.flows.saturating_add(day.flows);
        summary.contacts = summary.contacts.saturating_add(day.contacts);
        for (reason, lost) in &day.losses {
            let total = summary.losses.entry(*reason).or_default();
            *total = total.saturating_add(*lost);
        }
        if day.flows > 0 {
            let (low, high) = summary.sampling.unwrap_or((u32::MAX, 1));
            summary.sampling =
                Some((low.min(day.sampling_min), high.max(day.sampling_max)));
        }
        summary.control_sampling = summary.control_sampling.max(day.control_sampling);
        summary.footprint.merge(&day.footprint);
        let hours = summary.hours.entry(day.day.week()).or_default();
        *hours = hours.saturating_add(day.hours.count_ones());
    }
    found
}

impl Summary {
    /// `1:1000`, or the range if it changed.
    pub(crate) fn sampling(&self) -> String {
        match self.sampling {
            None => "no flow".to_owned(),
            Some((low, high)) if low == high => format!("1:{low}"),
            Some((low, high)) => format!("1:{low} to 1:{high}"),
        }
    }

    fn lost(&self) -> u64 {
        self.losses.values().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Losses as `12 value, 3 truncated`.
    pub(crate) fn losses(&self) -> String {
        if self.losses.is_empty() {
            return "none".to_owned();
        }
        let parts: Vec<String> = self
            .losses
            .iter()
            .map(|(reason, n)| {
                format!("{} {}", grouped(*n), reason.as_str().replace('_', " "))
            })
            .collect();
        parts.join(", ")
    }

    /// Networks seen at all: /24s and /48s.
    pub(crate) fn networks(&self) -> (u64, u64) {
        (self.footprint.v4.len(), self.footprint.v6.len())
    }
}

/// One row per vantage.
pub(crate) fn table(coverage: &[Coverage]) -> Table {
    let mut table = Table::new([
        "vantage",
        "days with data",
        "flows",
        "contacts",
        "records lost",
        "losses by reason",
        "packet sampling",
        "control clients kept",
        "IPv4 /24 seen",
        "IPv6 /48 seen",
    ]);
    for (vantage, s) in summaries(coverage) {
        let (v4, v6) = s.networks();
        table.push([
            vantage.to_string(),
            s.days.len().to_string(),
            s.flows.to_string(),
            s.contacts.to_string(),
            s.lost().to_string(),
            s.losses(),
            s.sampling(),
            format!("1 in {}", s.control_sampling.max(1)),
            v4.to_string(),
            v6.to_string(),
        ]);
    }
    table
}

/// The strip of weeks, or why there is none.
pub(crate) fn figure(report: &Report) -> Result<Figure, Absence> {
    let found = summaries(&report.coverage);
    if found.is_empty() {
        return Err("No coverage was recorded, so nothing can be said about what was \
                    looked at."
            .to_owned());
    }
    let weeks: Vec<Week> = report.period.weeks().collect();
    let mut order: Vec<(&VantageId, &Summary)> = found.iter().collect();
    order.sort_by_key(|(id, s)| (std::cmp::Reverse(s.flows), *id));
    let rows: Vec<HeatRow> = order
        .iter()
        .take(ROWS_MAX)
        .map(|(id, s)| HeatRow {
            name: id.to_string(),
            hours: weeks.iter().map(|w| week_share(s, *w, report.period)).collect(),
        })
        .collect();
    let mut notes = vec![footprint_sentence(report)];
    if order.len() > ROWS_MAX {
        notes.push(format!(
            "The {ROWS_MAX} vantages with most flows of {}.",
            order.len()
        ));
    }
    Ok(Figure {
        id: "coverage",
        title: title(&rows),
        subtitle: format!(
            "Share of the hours of each week in which a vantage recorded any flow, {}",
            days(report.period)
        ),
        caveat: String::new(),
        source: None,
        notes,
        description: "A strip of weeks per vantage; the table has the sums.".to_owned(),
        chart: Chart::Heat(HeatStrip { weeks, rows }),
        table: table(&report.coverage),
    })
}

/// Hours with data of the hours of a week that lie in the period.
fn week_share(summary: &Summary, week: Week, period: DayRange) -> Option<f64> {
    let hours = f64::from(*summary.hours.get(&week)?);
    let inside = (0..7).filter(|d| period.contains(week.monday().plus(*d))).count();
    Some(hours / (WEEK_HOURS * place(inside.max(1)) / 7.0))
}

fn title(rows: &[HeatRow]) -> String {
    let all: Vec<Option<f64>> =
        rows.iter().flat_map(|r| r.hours.iter().copied()).collect();
    let missing = all.iter().filter(|h| h.is_none()).count();
    let partial = all.iter().flatten().filter(|h| **h < 0.999).count();
    let vantages =
        counted(u64::try_from(rows.len()).unwrap_or(0), "vantage", "vantages");
    match (missing, partial) {
        (0, 0) => format!("Complete: {vantages} recorded in every hour"),
        (0, n) => format!(
            "No week is missing at {vantages}; {} of {} weeks have gaps",
            n,
            all.len()
        ),
        (n, _) => format!(
            "{} of {} weeks of recording at {vantages} are missing",
            whole(place(n)),
            whole(place(all.len()))
        ),
    }
}

/// Whether the two windows looked at the same networks: the first thing to check before
/// a fall is read as people leaving.
pub(crate) fn footprint_sentence(report: &Report) -> String {
    let seen = |window: DayRange| {
        let mut footprint = Footprint::default();
        for day in report.coverage.iter().filter(|c| window.contains(c.day)) {
            footprint.merge(&day.footprint);
        }
        footprint
    };
    let (before, after) = (seen(report.before), seen(report.after));
    let lost = before.v4.difference_len(&after.v4);
    if before.v4.is_empty() {
        return format!(
            "No footprint was recorded in {}, so it is not known which networks were \
             looked at.",
            days(report.before)
        );
    }
    format!(
        "Footprint: {} IPv4 /24 networks were seen at all in {} and {} in {} ({}); {} of the \
         first were not seen in the second. What was not seen cannot be counted.",
        grouped(before.v4.len()),
        days(report.before),
        grouped(after.v4.len()),
        days(report.after),
        change(real(before.v4.len()), real(after.v4.len())),
        percent_fine(real(lost) / real(before.v4.len())),
    )
}

//! How many of those who used the product go on, week by week.
//!
//! **Invariant:** what goes on with visibility taken out stands beside what is still seen,
//! drawn in one panel; the number of organisations stands below.

use tidegauge_model::visibility::{SurvivalCurve, SurvivalWeek};
use tidegauge_model::{Day, DayRange};

use super::About;
use crate::country;
use crate::figure::{Chart, Figure, LineChart, LinePanel, LineSeries, Under};
use crate::number::{day_long, days, percent, real, whole};
use crate::report::events;
use crate::tables::{self, Table};

/// The figure; `None` if there is no curve.
pub(crate) fn figure(curves: &[SurvivalCurve], about: &About) -> Option<Figure> {
    let of_act = [("country".to_owned(), about.country.to_string())];
    let drawn: Vec<&SurvivalCurve> =
        [&[][..], &of_act].iter().filter_map(|stratum| of(curves, stratum)).collect();
    let first = drawn.first()?;
    let weeks = drawn.iter().flat_map(|curve| &curve.weeks).map(|week| week.first);
    let (from, to) = (weeks.clone().min()?, weeks.max()?);
    let period = DayRange::new(from.month().first(), to.month().last())?;
    let title = title(first, about)?;
    Some(Figure {
        id: "survival",
        description: format!("{title}. Weekly lines; the table has them."),
        title,
        subtitle: format!(
            "Share of the organisations active in {} that use {} in a week or later, with 95% \
             intervals, and that were seen then or later",
            days(about.before),
            about.product
        ),
        caveat: "A curve between two windows is not yet the effect of an act: other causes \
                 fall into the same months."
            .to_owned(),
        source: None,
        notes: vec![
            "In use: with visibility taken out; a pause is no end. Intervals hold what is not \
             known of visibility and of use that was not seen; errors of attribution and of \
             noise are not in them."
                .to_owned(),
            "Seen: on any day then or later, up to the end of the window after; falls too where \
             sensors see less. Weeks between which too few organisations were seen for the last \
             time are passed over."
                .to_owned(),
            "Numbers below a panel: organisations still in use.".to_owned(),
        ],
        chart: Chart::Lines(LineChart {
            period,
            panels: drawn.iter().map(|curve| panel(curve)).collect(),
            events: events(&about.timeline, period),
            bands: std::iter::once((about.after, "after".to_owned()))
                .filter(|(after, _)| period.contains(after.first()) && period.contains(after.last()))
                .collect(),
        }),
        table: table(curves),
    })
}

fn of<'a>(
    curves: &'a [SurvivalCurve],
    stratum: &[(String, String)],
) -> Option<&'a SurvivalCurve> {
    curves.iter().find(|curve| curve.stratum == stratum && !curve.weeks.is_empty())
}

fn title(curve: &SurvivalCurve, about: &About) -> Option<String> {
    let last = curve.weeks.last()?;
    let whom = match curve.stratum.first() {
        None => "organisations".to_owned(),
        Some((_, code)) => format!("organisations in {}", country::in_sentence(code)),
    };
    Some(format!(
        "Of {} {whom} that used {} before, {} had stopped by {}; {} were no longer seen",
        whole(real(curve.n_baseline)),
        about.product,
        percent(1.0 - last.in_use.value),
        day_long(last.first),
        percent(1.0 - seen(curve, last))
    ))
}

fn seen(curve: &SurvivalCurve, week: &SurvivalWeek) -> f64 {
    real(week.seen) / real(curve.n_baseline.max(1))
}

/// Organisations that use the product.
fn in_use(curve: &SurvivalCurve, week: &SurvivalWeek) -> f64 {
    real(curve.n_baseline) * week.in_use.value
}

/// The instant that a point is of.
fn at(day: Day) -> DayRange {
    DayRange::one(day)
}

fn panel(curve: &SurvivalCurve) -> LinePanel {
    let line = |name: &str, tone, value: &dyn Fn(&SurvivalWeek) -> f64| LineSeries {
        name: name.to_owned(),
        tone,
        points: curve.weeks.iter().map(|w| (at(w.first), Some(value(w)))).collect(),
        intervals: Vec::new(),
    };
    let ends = curve.weeks.iter().map(|w| (at(w.first), w.in_use.low, w.in_use.high));
    let using = LineSeries {
        intervals: ends.collect(),
        ..line("in use", 1, &|w| w.in_use.value)
    };
    let mut months: Vec<&SurvivalWeek> = curve.weeks.iter().collect();
    months.dedup_by_key(|week| week.first.month());
    LinePanel {
        name: match curve.stratum.first() {
            None => "All organisations".to_owned(),
            Some((_, code)) => country::name(code),
        },
        share: true,
        series: vec![line("seen", 0, &|w| seen(curve, w)), using],
        under: Some(Under {
            name: "organisations in use".to_owned(),
            numbers: months
                .into_iter()
                .map(|w| (at(w.first), whole(in_use(curve, w))))
                .collect(),
        }),
    }
}

fn table(curves: &[SurvivalCurve]) -> Table {
    let mut table = Table::new([
        "of",
        "organisations before",
        "week from",
        "in use",
        "low",
        "high",
        "organisations in use",
        "seen then or later",
    ]);
    for curve in curves {
        let of = curve.stratum.first().map_or("all", |(_, value)| value.as_str());
        for week in &curve.weeks {
            table.push([
                of.to_owned(),
                curve.n_baseline.to_string(),
                week.first.to_string(),
                tables::share(week.in_use.value),
                tables::share(week.in_use.low),
                tables::share(week.in_use.high),
                format!("{:.0}", in_use(curve, week)),
                tables::share(seen(curve, week)),
            ]);
        }
    }
    table
}

//! Removal with visibility taken out, and the visibility that was taken out.
//!
//! **Invariant:** a value stands beside the one as seen; where there is none, the rule that
//! forbids it is told, and the curve that speaks for or against it is drawn all the same.

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_model::DayRange;
use tidegauge_model::estimate::{Estimate, Quantity};
use tidegauge_model::visibility::{Alarm, Share, SurvivalCurve, VisibilityWeek};

use super::Report;
use super::figures::{
    ROWS_MAX, Section, dot_of, events, missing, removal_countries, section,
    windows_long,
};
use super::reading::{self, Absence, drawn_interval, estimate};
use crate::act::About;
use crate::act::survival::figure;
use crate::country;
use crate::figure::{
    Chart, Column, Figure, ForestChart, ForestRow, LineChart, LinePanel, LineSeries,
};
use crate::number::{counted, percent, percent_fine, percent_span, windows};
use crate::tables::{self, Table};

/// What a stratum is of: pairs of dimension and value; empty for all.
pub type Stratum = Vec<(String, String)>;

/// What the model of visibility found beside its estimates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Correction {
    /// The chance to be seen, by vantage and week.
    pub visibility: Vec<VisibilityWeek>,
    /// What is remarkable about it.
    pub alarms: Vec<Alarm>,
    /// How many go on week by week, with the weeks that may be told.
    pub survival: Vec<SurvivalCurve>,
    /// Strata whose removal is not identified, each with the rule that says so. If no
    /// model was made, the stratum of all has the reason.
    pub refused: Vec<(Stratum, String)>,
    /// The model in words.
    pub method: String,
}

impl Correction {
    /// Why a stratum has no value.
    pub(crate) fn refusal(&self, stratum: &[(String, String)]) -> Option<&str> {
        let of = |wanted: &[(String, String)]| {
            self.refused.iter().find(|(s, _)| s == wanted).map(|(_, why)| why.as_str())
        };
        of(stratum)
    }
}

/// The figures, in the order of the page.
pub(super) fn sections(report: &Report) -> Vec<Section> {
    [
        ("corrected", "Visibility taken out".to_owned(), corrected(report)),
        ("survival", "How many go on".to_owned(), survival(report)),
        ("visibility", "What could have been seen".to_owned(), visibility(report)),
    ]
    .into_iter()
    .map(|(id, title, figure)| section(id, title, figure))
    .collect()
}

/// A sentence on the focus country and on all: how many stopped using the product, or why
/// nobody can tell. Nothing if no model was asked for.
pub(super) fn in_words(report: &Report) -> Option<String> {
    let correction = report.correction.as_ref()?;
    let focus = report.focus.as_str();
    let place = country::in_sentence(focus);
    let all = corrected_of(report, None).map(|e| (e, "all organisations".to_owned()));
    let of_focus = corrected_of(report, Some(focus))
        .map(|e| (e, format!("organisations in {place}")));
    let parts: Vec<String> = of_focus
        .into_iter()
        .chain(all)
        .map(|(e, who)| format!("{} of {who}{}", percent(e.value), in_brackets(e)))
        .collect();
    if !parts.is_empty() {
        return Some(format!(
            "With visibility taken out, {} stopped using {}.",
            parts.join(" and "),
            report.product_name
        ));
    }
    let reason = correction.refusal(&[]);
    Some(format!(
        "How many stopped using {} is not identified{}.",
        report.product_name,
        reason.map_or_else(String::new, |r| format!(": {}", plain(r)))
    ))
}

/// The corrected removal of a country, or of all.
pub(super) fn corrected_of<'a>(
    report: &'a Report,
    code: Option<&str>,
) -> Option<&'a Estimate> {
    let stratum = code.map(|code| ("country", code));
    estimate(&report.estimates, Quantity::RemovalCorrected, stratum)
}

fn in_brackets(e: &Estimate) -> String {
    drawn_interval(e).map_or_else(String::new, |i| {
        format!(" ({}: {})", percent_fine(i.level), percent_span(i.low, i.high))
    })
}

/// A reason without the name of its rule.
fn plain(reason: &str) -> &str {
    let bare = reason.split_once(": ").map_or(reason, |(_, words)| words);
    bare.trim_end_matches('.')
}

fn corrected(report: &Report) -> Result<Figure, Absence> {
    reading::equally_long(report.before, report.after)?;
    let correction = asked(report)?;
    let mut codes = removal_countries(report);
    let total = codes.len();
    codes.truncate(ROWS_MAX);
    let whole = estimate(&report.estimates, Quantity::CohortRemoval, None);
    if whole.is_none() && codes.is_empty() {
        return Err("Every estimate is suppressed: it rests on too few organisations."
            .to_owned());
    }
    let mut rows: Vec<ForestRow> =
        whole.map(|e| row(report, correction, None, e)).into_iter().collect();
    rows.extend(codes.iter().map(|(code, e)| row(report, correction, Some(code), e)));
    let title = corrected_title(report, whole);
    let mut notes = vec![
        format!(
            "As seen: share of the organisations active in {} that were not active in {}. \
             Visibility taken out: share of the same organisations that no longer used the \
             product, given all their weeks and those of control products, which no act \
             addressed.",
            tidy_days(report.before),
            tidy_days(report.after)
        ),
        interval_note(report),
    ];
    notes.extend(refusals(correction));
    if total > codes.len() {
        notes.push(format!("The {} largest of {total} countries.", codes.len()));
    }
    Ok(Figure {
        id: "corrected",
        description: format!("{title}. Estimates as seen and corrected, by country."),
        title,
        subtitle: format!(
            "Share of organisations, {}, with intervals",
            windows_long(report.before, report.after)
        ),
        caveat: "A change between two windows is not yet the effect of an act: other \
                 causes fall into the same months."
            .to_owned(),
        source: None,
        notes,
        chart: Chart::Forest(ForestChart {
            columns: ("As seen".to_owned(), "Visibility taken out".to_owned()),
            rows,
        }),
        table: corrected_table(report, correction),
    })
}

/// What lines on the right hold.
fn interval_note(report: &Report) -> String {
    let doubted = corrected_of(report, None).is_some_and(|e| e.intervals.len() > 1);
    let of_whom = if doubted {
        " and of whose an address was; errors of noise are not in them"
    } else {
        "; errors of attribution and of noise are not in them"
    };
    format!(
        "Lines on the right hold what is not known of the visibility curve{of_whom}."
    )
}

fn asked(report: &Report) -> Result<&Correction, Absence> {
    let hint = "`tidegauge report --corrected` makes them.";
    let absent = || format!("{} {hint}", missing("Estimates of visibility"));
    report.correction.as_ref().ok_or_else(absent)
}

fn tidy_days(window: DayRange) -> String {
    crate::number::days(window)
}

fn row(
    report: &Report,
    correction: &Correction,
    code: Option<&str>,
    seen: &Estimate,
) -> ForestRow {
    let stratum: Stratum =
        code.map(|c| ("country".to_owned(), c.to_owned())).into_iter().collect();
    let right = match corrected_of(report, code) {
        Some(e) => Column::Dot(dot_of(e)),
        None if correction.refusal(&stratum).is_some() => {
            Column::Words("not identified")
        }
        None => Column::Words("not shown"),
    };
    ForestRow {
        name: code.map_or_else(|| "All countries".to_owned(), country::name),
        total: code.is_none(),
        left: Column::Dot(dot_of(seen)),
        right,
    }
}

fn corrected_title(report: &Report, seen: Option<&Estimate>) -> String {
    let between = windows(report.before, report.after);
    match (corrected_of(report, None), seen) {
        (Some(e), Some(seen)) => format!(
            "With visibility taken out, {} of organisations stopped using {} between \
             {between}; {} were no longer seen",
            percent(e.value),
            report.product_name,
            percent(seen.value)
        ),
        (Some(e), None) => format!(
            "With visibility taken out, {} of organisations stopped using {} between \
             {between}",
            percent(e.value),
            report.product_name
        ),
        (None, _) => format!(
            "How many organisations stopped using {} between {between} is not identified",
            report.product_name
        ),
    }
}

/// Each rule that forbade a value, once, with how many strata it concerns.
fn refusals(correction: &Correction) -> Vec<String> {
    let mut rules: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for (_, reason) in &correction.refused {
        let rule = reason.split(':').next().unwrap_or_default();
        rules.entry(rule).or_insert((reason, 0)).1 += 1;
    }
    let words = rules.into_values().map(|(reason, strata)| {
        let strata =
            counted(u64::try_from(strata).unwrap_or(u64::MAX), "group", "groups");
        format!("Not identified in {strata}: {}.", plain(reason))
    });
    words.collect()
}

fn corrected_table(report: &Report, correction: &Correction) -> Table {
    let mut table = Table::new([
        "country",
        "organisations before",
        "as seen",
        "visibility taken out",
        "low",
        "high",
        "not identified because",
    ]);
    let mut strata: Vec<Option<String>> = vec![None];
    strata.extend(removal_countries(report).into_iter().map(|(code, _)| Some(code)));
    for code in strata {
        let code = code.as_deref();
        let by = code.map(|code| ("country", code));
        let Some(seen) = estimate(&report.estimates, Quantity::CohortRemoval, by)
        else {
            continue;
        };
        let stratum: Stratum =
            code.map(|c| ("country".to_owned(), c.to_owned())).into_iter().collect();
        let found = corrected_of(report, code);
        let interval = found.and_then(drawn_interval);
        let cell = |value: Option<f64>| value.map_or_else(String::new, tables::share);
        table.push([
            code.unwrap_or("all").to_owned(),
            seen.n.to_string(),
            tables::share(seen.value),
            cell(found.map(|e| e.value)),
            cell(interval.map(|i| i.low)),
            cell(interval.map(|i| i.high)),
            correction.refusal(&stratum).unwrap_or_default().to_owned(),
        ]);
    }
    table
}

// ---- how many go on ------------------------------------------------------------------

fn survival(report: &Report) -> Result<Figure, Absence> {
    let correction = asked(report)?;
    let about = About {
        product: report.product_name.clone(),
        country: report.focus,
        before: report.before,
        after: report.after,
        timeline: report.timeline.clone(),
    };
    figure(&correction.survival, &about).ok_or_else(|| match correction.refusal(&[]) {
        Some(why) => format!("How many go on is not identified: {}.", plain(why)),
        None => "No week of the curve may be shown.".to_owned(),
    })
}

// ---- the curve ---------------------------------------------------------------------

fn visibility(report: &Report) -> Result<Figure, Absence> {
    let correction = asked(report)?;
    let weeks = &correction.visibility;
    let (Some(first), Some(last)) = (
        weeks.iter().map(|w| w.first).min(),
        weeks.iter().map(|w| w.first.plus(6)).max(),
    ) else {
        return Err(format!(
            "No curve could be fitted: {}.",
            correction.refusal(&[]).map_or("no vantage saw the cohort", plain)
        ));
    };
    let vantages: BTreeSet<&str> = weeks.iter().map(|w| w.vantage.as_str()).collect();
    let panels = vantages.iter().map(|vantage| panel(weeks, vantage)).collect();
    let period = DayRange::new(first.month().first(), last.month().last())
        .unwrap_or(report.period);
    let title = visibility_title(correction);
    let mut notes = vec![
        "Coloured: the chance that an organisation which uses the product (controls: \
         which has them) is seen at the vantage in a week of seven days looked at. Grey: \
         share of the cohort's networks still in sight of it. If people leave, these \
         lines stay where they are; if sensors see less, they fall."
            .to_owned(),
    ];
    notes.extend(
        correction
            .alarms
            .iter()
            .map(|alarm| format!("{}.", reading::sentence(&alarm.to_string()))),
    );
    if !correction.method.is_empty() {
        notes.push(format!("{}.", reading::sentence(&correction.method)));
    }
    Ok(Figure {
        id: "visibility",
        description: format!("{title}. Weekly lines by vantage; the table has them."),
        title,
        subtitle: "Chance to be seen in a week, by vantage, with 95 % intervals"
            .to_owned(),
        caveat: String::new(),
        source: None,
        notes,
        chart: Chart::Lines(LineChart {
            period,
            panels,
            events: events(&report.timeline, period),
            bands: vec![
                (report.before, "before".to_owned()),
                (report.after, "after".to_owned()),
            ],
        }),
        table: visibility_table(weeks),
    })
}

fn visibility_title(correction: &Correction) -> String {
    match correction.alarms.as_slice() {
        [] => "The vantages saw those who stayed as well after as before".to_owned(),
        [alarm] => reading::sentence(&alarm.to_string()),
        [alarm, rest @ ..] => format!(
            "{}; {} more",
            reading::sentence(&alarm.to_string()),
            counted(u64::try_from(rest.len()).unwrap_or(0), "alarm", "alarms")
        ),
    }
}

fn panel(weeks: &[VisibilityWeek], vantage: &str) -> LinePanel {
    let of = || weeks.iter().filter(|w| w.vantage.as_str() == vantage);
    let curve = |name: &str, tone, share: &dyn Fn(&VisibilityWeek) -> Option<Share>| {
        let intervals = of().filter_map(|w| share(w).map(|s| (week(w), s.low, s.high)));
        LineSeries {
            name: name.to_owned(),
            tone,
            points: of().map(|w| (week(w), share(w).map(|s| s.value))).collect(),
            intervals: intervals.collect(),
        }
    };
    let mut series = vec![curve("product", 1, &|w| Some(w.product))];
    if of().any(|w| w.control.is_some()) {
        series.push(curve("controls", 2, &|w| w.control));
    }
    if of().any(|w| w.in_sight.is_some()) {
        series.push(LineSeries {
            name: "in sight".to_owned(),
            tone: 0,
            points: of().map(|w| (week(w), w.in_sight)).collect(),
            intervals: Vec::new(),
        });
    }
    LinePanel { name: format!("Vantage {vantage}"), share: true, series, under: None }
}

fn week(week: &VisibilityWeek) -> DayRange {
    DayRange::new(week.first, week.first.plus(6)).expect("a week is in order")
}

fn visibility_table(weeks: &[VisibilityWeek]) -> Table {
    let mut table = Table::new([
        "vantage",
        "week of",
        "product",
        "product low",
        "product high",
        "controls",
        "controls low",
        "controls high",
        "in sight",
        "looked at",
    ]);
    for week in weeks {
        let share = |share: Option<Share>| match share {
            Some(s) => [s.value, s.low, s.high].map(tables::share),
            None => [(); 3].map(|()| String::new()),
        };
        let place = [week.vantage.to_string(), week.first.to_string()];
        let ends = [
            week.in_sight.map_or_else(String::new, tables::share),
            tables::share(week.looked),
        ];
        table.push(
            place
                .into_iter()
                .chain(share(Some(week.product)))
                .chain(share(week.control))
                .chain(ends),
        );
    }
    table
}

//! The figures of a report, each made from its data or replaced by a sentence.
//!
//! **Invariant:** a title says what the numbers below it say; no direction is assumed.

use std::collections::BTreeMap;

use tidegauge_model::count::{Counts, Dimension, Release};
use tidegauge_model::estimate::{Estimate, Quantity, ReleasedEstimate};
use tidegauge_model::policy::{PolicyEvent, Timeline};
use tidegauge_model::{Country, Day, DayRange, Month};

use super::reading::{
    self, Absence, Pair, Pairs, addresses, drawn_interval, estimate, pairs,
};
use super::{Paired, Report};
use crate::country;
use crate::figure::{
    Chart, Column, Dot, EventMark, Figure, ForestChart, ForestRow, LineChart,
    LinePanel, LineSeries, MapChart, MapPlace, PairChart, PairRow, PairStyle, append,
    is_mapped,
};
use crate::number::{
    change, counted, days, days_short, grouped, month_name, month_short, moved,
    percent, percent_fine, percent_span, real, spoken, windows,
};
use crate::tables::{SUPPRESSED, Table, UNATTRIBUTED};

/// Rows drawn of a long list; the table has all.
pub(super) const ROWS_MAX: usize = 12;
/// Sectors drawn.
const SECTORS_MAX: usize = 10;

/// A figure, or a title and a sentence in its place.
pub(crate) enum Section {
    Drawn(Box<Figure>),
    Absent { id: &'static str, title: String, why: String },
}

impl Section {
    /// Name of the section in the page.
    pub(crate) fn id(&self) -> &'static str {
        match self {
            Self::Drawn(figure) => figure.id,
            Self::Absent { id, .. } => id,
        }
    }
}

/// Names of the figures but that of ranks and that of coverage, in the order of the page.
const IDS: [&str; 7] =
    ["over-time", "countries", "removal", "map", "sectors", "government", "retention"];

/// All of them.
pub(crate) fn all(report: &Report) -> Vec<Section> {
    IDS.into_iter().filter_map(|id| one(report, id)).collect()
}

/// One of them.
pub(crate) fn one(report: &Report, id: &str) -> Option<Section> {
    let place = country::in_sentence(report.focus.as_str());
    let (id, title, figure) = match id {
        "over-time" => (
            "over-time",
            "Addresses and organisations over time".to_owned(),
            over_time(report),
        ),
        "countries" => {
            ("countries", "Organisations by country".to_owned(), countries(report))
        }
        "removal" => {
            let by = removal_split(report).as_str();
            ("removal", format!("Removal by {by}"), removal(report))
        }
        "map" => ("map", "Removal on a map".to_owned(), map(report)),
        "sectors" => ("sectors", format!("Sectors in {place}"), sectors(report)),
        "government" => {
            ("government", "Government organisations".to_owned(), government(report))
        }
        "retention" => {
            ("retention", "Retention of the cohort".to_owned(), retention(report))
        }
        _ => return None,
    };
    Some(section(id, title, figure))
}

/// A figure or what stands in its place.
pub(crate) fn section(
    id: &'static str,
    title: String,
    figure: Result<Figure, Absence>,
) -> Section {
    match figure {
        Ok(figure) => Section::Drawn(Box::new(figure)),
        Err(why) => Section::Absent { id, title, why },
    }
}

/// An act that begins to hold within so many days of its announcement is drawn at the
/// announcement: those it addresses had no other day to wait for. Picked by hand; the
/// Federal Register prints a few days after a rule is made public.
const ANNOUNCED_DAYS_MAX: i32 = 14;

/// The day at which an act is drawn: when it began to hold, or when it was announced if
/// that was hardly earlier or if nothing else is known.
fn drawn_day(act: &PolicyEvent) -> Option<Day> {
    match (act.announced, act.effective) {
        (Some(announced), Some(effective))
            if (0..=ANNOUNCED_DAYS_MAX).contains(&(effective.0 - announced.0)) =>
        {
            Some(announced)
        }
        (announced, effective) => effective.or(announced).or(act.deadline),
    }
}

/// The acts and events of a timeline, each by its label, or by its id where it has none.
pub(crate) fn dated(timeline: &Timeline, within: DayRange) -> Vec<EventMark> {
    marks(timeline, within, |label, id| {
        Some(if label.is_empty() { id } else { label }.to_owned())
    })
}

/// Those that a figure draws: what has a label, each day and label once.
pub(crate) fn events(timeline: &Timeline, within: DayRange) -> Vec<EventMark> {
    marks(timeline, within, |label, _| (!label.is_empty()).then(|| label.to_owned()))
}

fn marks(
    timeline: &Timeline,
    within: DayRange,
    name: fn(&str, &str) -> Option<String>,
) -> Vec<EventMark> {
    let acts = timeline.policies.iter().filter_map(|p| {
        let days = drawn_day(p).map(DayRange::one)?;
        Some(EventMark { days, label: name(p.label.trim(), p.id.as_str())? })
    });
    let vendor = timeline.vendor.iter().filter_map(|v| {
        Some(EventMark { days: v.days(), label: name(v.label.trim(), v.id.as_str())? })
    });
    let mut marks: Vec<EventMark> =
        acts.chain(vendor).filter(|e| within.contains(e.days.first())).collect();
    marks.sort_by(|a, b| (a.days.first(), &a.label).cmp(&(b.days.first(), &b.label)));
    marks.dedup();
    marks
}

/// How many dated events of a period have no line in a figure of it.
fn undrawn(timeline: &Timeline, within: DayRange) -> Option<String> {
    let more = dated(timeline, within).len() - events(timeline, within).len();
    let more = u64::try_from(more).ok().filter(|more| *more > 0)?;
    let events = counted(more, "more dated event lies", "more dated events lie");
    let words =
        format!("{events} in these months without a line: the timeline has all");
    Some(format!("{}.", reading::sentence(&words)))
}

pub(super) fn missing(what: &str) -> Absence {
    format!("{what} were not part of this run.")
}

/// `Apr 2024` for a whole month, `1–30 Mar 2024` for a part of one, else both ends.
pub(crate) fn window_short(window: DayRange) -> String {
    let month = window.first().month();
    if window == DayRange::month(month) {
        format!("{} {}", month_short(month), month.year())
    } else if window.last().month() == month {
        format!("{} {}", days_short(window), month.year())
    } else {
        window.to_string()
    }
}

/// `April 2024 (30 days) and November 2024 (30 days)`.
pub(crate) fn windows_long(before: DayRange, after: DayRange) -> String {
    let one = |w: DayRange| format!("{} ({} days)", days(w), w.length_days());
    format!("{} and {}", one(before), one(after))
}

fn active(counts: &Counts) -> f64 {
    real(counts.organisations_active)
}

// ---- over time ---------------------------------------------------------------------

fn over_time(report: &Report) -> Result<Figure, Absence> {
    let frozen = report.months_frozen.as_ref();
    let each_day = report.months_each_day.as_ref();
    let Some(first) = frozen.or(each_day) else {
        return Err(missing("Counts by month"));
    };
    let rows = drawn_months(report, first)?;
    let expansion = report.expansion.as_ref();
    let ipv4 = line(&rows, "addresses", 1, |c| addresses(c, expansion));
    let mut organisations = vec![line(&rows, &reading::dating(first), 2, active)];
    if let (Some(_), Some(second)) = (frozen, each_day) {
        let rows = drawn_months(report, second)?;
        organisations.push(line(&rows, &reading::dating(second), 0, active));
    }
    if ipv4.points.iter().chain(&organisations[0].points).all(|p| p.1.is_none()) {
        return Err("Every month was suppressed: too few organisations.".to_owned());
    }
    let title = if any_whole(report, &rows) {
        over_time_title(report, &ipv4, &organisations[0])
    } else {
        "No month was covered whole, so none is compared with another".to_owned()
    };
    let days_min = first.query().active_days_min;
    let subtitle = format!(
        "Distinct IPv4 addresses and active organisations{} in contact with {}’s update \
         servers, by calendar month, {}. Active: seen on at least {}.",
        population(report, first),
        report.product_name,
        days(report.period),
        counted(days_min.into(), "day", "days"),
    );
    let chart = LineChart {
        period: report.period,
        panels: vec![
            LinePanel {
                name: address_panel_name(report),
                share: false,
                series: vec![ipv4],
                under: None,
            },
            LinePanel {
                name: "Active organisations".to_owned(),
                share: false,
                series: organisations,
                under: None,
            },
        ],
        events: events(&report.timeline, report.period),
        bands: vec![
            (report.before, "before".to_owned()),
            (report.after, "after".to_owned()),
        ],
    };
    let notes = over_time_notes(report);
    let table = over_time_table(report)?;
    Ok(Figure {
        id: "over-time",
        description: format!(
            "{title}. Two panels over time; the table has the values."
        ),
        title,
        subtitle,
        caveat: reading::caveat(report),
        source: None,
        notes,
        chart: Chart::Lines(chart),
        table,
    })
}

/// Counts by month. Beside months that were covered whole there is none to draw of one that
/// was not: it would look like a fall.
fn drawn_months(
    report: &Report,
    release: &Release,
) -> Result<Vec<(DayRange, Option<Counts>)>, Absence> {
    let mut rows = reading::months(release)?;
    if any_whole(report, &rows) {
        for (month, counts) in &mut rows {
            *counts = counts.filter(|_| report.covered_whole(*month));
        }
    }
    Ok(rows)
}

fn any_whole(report: &Report, rows: &[(DayRange, Option<Counts>)]) -> bool {
    rows.iter().any(|(month, counts)| counts.is_some() && report.covered_whole(*month))
}

/// ` in the United States, retail`: whose organisations are counted, if not all.
fn population(report: &Report, release: &Release) -> String {
    let query = release.query();
    let mut words = String::new();
    for country in &query.countries {
        append(
            &mut words,
            format_args!(" in {}", country::in_sentence(country.as_str())),
        );
    }
    for sector in &query.sectors {
        let name = lower(&name_of(report, Dimension::Sector, sector.as_str()));
        append(&mut words, format_args!(" of the sector {name}"));
    }
    words
}

fn address_panel_name(report: &Report) -> String {
    match &report.expansion {
        None => "IPv4 addresses".to_owned(),
        Some(_) => "IPv4 addresses, eyeballs expanded".to_owned(),
    }
}

fn line(
    rows: &[(DayRange, Option<Counts>)],
    name: &str,
    tone: u8,
    value: impl Fn(&Counts) -> f64,
) -> LineSeries {
    let points = rows.iter().map(|(days, c)| (*days, c.as_ref().map(&value))).collect();
    LineSeries { name: name.to_owned(), tone, points, intervals: Vec::new() }
}

/// The months of the two windows if they are in the series, else its ends.
fn over_time_title(report: &Report, ipv4: &LineSeries, orgs: &LineSeries) -> String {
    let at = |series: &LineSeries, window: DayRange| {
        series.points.iter().find(|p| p.0 == window).and_then(|p| p.1)
    };
    let ends = |series: &LineSeries| {
        let mut shown = series.points.iter().filter_map(|p| Some((p.0, p.1?)));
        let first = shown.next()?;
        Some((first, shown.next_back()?))
    };
    let compared = [report.before, report.after];
    let values = [ipv4, orgs].map(|s| {
        let [before, after] = compared.map(|w| at(s, w));
        Some((before?, after?))
    });
    let between = windows(report.before, report.after);
    let two = reading::equally_long(report.before, report.after).is_ok();
    if let ([Some(a), Some(o)], true) = (values, two) {
        let (organisations, addresses) = (moved(o.0, o.1), moved(a.0, a.1));
        return if organisations == addresses {
            format!("Between {between} organisations and addresses both {addresses}")
        } else {
            format!(
                "Between {between} organisations {organisations}, addresses {addresses}"
            )
        };
    }
    match ends(orgs) {
        Some(((first, before), (last, after))) => format!(
            "Between {} the number of organisations {}",
            windows(first, last),
            moved(before, after)
        ),
        None => "One month of contacts".to_owned(),
    }
}

fn over_time_notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(expansion) = &report.expansion {
        notes.push(format!(
            "Addresses = those outside eyeball and mobile networks + those inside × {}. {}",
            crate::number::trimmed(expansion.factor, 2),
            expansion.note
        ));
    }
    let months = report.period.months().map(DayRange::month);
    let parts: Vec<String> =
        months.filter(|m| !report.covered_whole(*m)).map(days).collect();
    if !parts.is_empty() {
        notes.push(format!(
            "Not every day of {} was covered; the table has what was counted.",
            parts.join(" and of ")
        ));
    }
    notes.extend(undrawn(&report.timeline, report.period));
    if report.months_frozen.is_some() && report.months_each_day.is_some() {
        notes.push(
            "Organisations are shown with one map of address holders for all months, and \
             with the map of each day: where the lines part, addresses changed hands."
                .to_owned(),
        );
    }
    notes
}

fn over_time_table(report: &Report) -> Result<Table, Absence> {
    let mut table = Table::new([
        "month",
        "map of holders",
        "active organisations",
        "organisations",
        "IPv4 addresses",
        "of them eyeball and mobile",
        "IPv4 addresses expanded",
        "IPv6 /64 networks",
    ]);
    for release in
        [&report.months_frozen, &report.months_each_day].into_iter().flatten()
    {
        for (month, counts) in reading::months(release)? {
            let cells = month_cells(counts.as_ref(), report);
            let name =
                [month.first().month().to_string(), release.query().on.to_string()];
            table.push(name.into_iter().chain(cells));
        }
    }
    Ok(table)
}

fn month_cells(counts: Option<&Counts>, report: &Report) -> [String; 6] {
    let Some(c) = counts else { return [(); 6].map(|()| SUPPRESSED.to_owned()) };
    let expanded = match &report.expansion {
        None => "not expanded".to_owned(),
        Some(_) => format!("{:.0}", addresses(c, report.expansion.as_ref())),
    };
    let [active, all, v4, consumer, v6] = [
        c.organisations_active,
        c.organisations,
        c.addresses_v4,
        c.addresses_v4_consumer,
        c.networks_v6,
    ]
    .map(|n| n.to_string());
    [active, all, v4, consumer, expanded, v6]
}

// ---- before and after --------------------------------------------------------------

/// What a figure of pairs needs besides its data.
struct PairWords {
    id: &'static str,
    dimension: Dimension,
    style: PairStyle,
    rows_max: usize,
    what: String,
    one: &'static str,
    many: &'static str,
}

fn countries(report: &Report) -> Result<Figure, Absence> {
    let paired =
        report.countries.as_ref().ok_or_else(|| missing("Counts by country"))?;
    let words = PairWords {
        id: "countries",
        dimension: Dimension::Country,
        style: PairStyle::Dots,
        rows_max: ROWS_MAX,
        what: "Active organisations by country".to_owned(),
        one: "country",
        many: "countries",
    };
    pair_figure(report, paired, &words, |shown, name| {
        countries_title(report, shown, name)
    })
}

fn countries_title(
    report: &Report,
    shown: &[Pair],
    name: &dyn Fn(&str) -> String,
) -> String {
    let fell = shown.iter().filter(|p| after(p) < before(p)).count();
    let (first, second) = (shown.first(), steepest(shown));
    let extreme = second.map_or_else(String::new, |p| {
        format!(
            ", most steeply in {} ({})",
            country::in_sentence(&p.value),
            change(before(p), after(p))
        )
    });
    match (fell, first) {
        (0, Some(p)) => format!(
            "In none of the {} shown did the number of organisations fall between {}; in \
             {} it {}",
            counted(count(shown), "country", "countries"),
            windows(report.before, report.after),
            name(&p.value),
            moved(before(p), after(p))
        ),
        _ => format!(
            "Organisations in contact became fewer in {} of the {} shown{extreme}",
            fell,
            counted(count(shown), "country", "countries"),
        ),
    }
}

fn sectors(report: &Report) -> Result<Figure, Absence> {
    let place = country::in_sentence(report.focus.as_str());
    let paired = report.sectors.as_ref().ok_or_else(|| missing("Counts by sector"))?;
    let words = PairWords {
        id: "sectors",
        dimension: Dimension::Sector,
        style: PairStyle::Bars,
        rows_max: SECTORS_MAX,
        what: format!("Active organisations in {place} by primary sector"),
        one: "sector",
        many: "sectors",
    };
    pair_figure(report, paired, &words, |shown, name| {
        if shown.iter().all(|p| before(p) == 0.0 && after(p) == 0.0) {
            return format!("No organisation in {place} was active in either window");
        }
        let largest = |value: &dyn Fn(&Pair) -> f64| {
            shown
                .iter()
                .max_by(|a, b| {
                    value(a).total_cmp(&value(b)).then(b.value.cmp(&a.value))
                })
                .map(|p| name(&p.value))
                .unwrap_or_default()
        };
        let (first, last) = (largest(&before), largest(&after));
        let lead = if first == last {
            format!("{first} had the most organisations in {place} before and after")
        } else {
            format!(
                "{first} had the most organisations in {place} before, {last} after"
            )
        };
        let steepest = steepest(shown).map(|p| {
            format!(
                "; {} fell most ({})",
                lower(&name(&p.value)),
                change(before(p), after(p))
            )
        });
        format!("{lead}{}", steepest.unwrap_or_default())
    })
}

fn government(report: &Report) -> Result<Figure, Absence> {
    let paired = report
        .government
        .as_ref()
        .ok_or_else(|| missing("Counts of government organisations"))?;
    let words = PairWords {
        id: "government",
        dimension: Dimension::Country,
        style: PairStyle::Bars,
        rows_max: ROWS_MAX,
        what: "Active government organisations by country".to_owned(),
        one: "country",
        many: "countries",
    };
    pair_figure(report, paired, &words, |shown, _| {
        let focus = shown.iter().find(|p| p.value == report.focus.as_str());
        let Some(p) = focus.or_else(|| shown.first()) else { return String::new() };
        government_title(report, p)
    })
}

fn government_title(report: &Report, p: &Pair) -> String {
    let (then, now) = (p.before.organisations_active, p.after.organisations_active);
    let who = match now {
        0 => "No government organisation".to_owned(),
        1 => "One government organisation".to_owned(),
        n => format!("{} government organisations", grouped(n)),
    };
    let direction = match now.cmp(&then) {
        std::cmp::Ordering::Less => "down from",
        std::cmp::Ordering::Equal => "as many as",
        std::cmp::Ordering::Greater => "up from",
    };
    format!(
        "{who} in {} {} in contact in {}, {direction} {} in {}",
        country::in_sentence(&p.value),
        if now <= 1 { "was" } else { "were" },
        days(report.after),
        grouped(then),
        month_or_days(report.before)
    )
}

fn pair_figure(
    report: &Report,
    paired: &Paired,
    words: &PairWords,
    title: impl Fn(&[Pair], &dyn Fn(&str) -> String) -> String,
) -> Result<Figure, Absence> {
    let found = pairs(paired, words.dimension)?;
    let shown: Vec<Pair> = found.shown.iter().take(words.rows_max).cloned().collect();
    if shown.is_empty() {
        return Err(nothing_shown(&found, words));
    }
    let name = |value: &str| name_of(report, words.dimension, value);
    let (first, second) = (paired.before.query().days, paired.after.query().days);
    let chart = PairChart {
        style: words.style,
        windows: (window_short(first), window_short(second)),
        rows: shown
            .iter()
            .map(|p| PairRow {
                name: name(&p.value),
                before: before(p),
                after: after(p),
            })
            .collect(),
    };
    let title = title(&shown, &name);
    let notes = vec![rows_note(&found, shown.len(), words)];
    Ok(Figure {
        id: words.id,
        subtitle: format!(
            "{} in contact with {}’s update servers, {}",
            words.what,
            report.product_name,
            windows_long(first, second)
        ),
        description: pair_description(&shown, &name),
        title,
        caveat: reading::caveat(report),
        source: None,
        notes,
        chart: Chart::Pairs(chart),
        table: pair_table(report, paired, words)?,
    })
}

fn nothing_shown(found: &Pairs, words: &PairWords) -> Absence {
    match found.suppressed {
        0 => format!("No {} was counted in both windows.", words.one),
        _ => format!(
            "Every {} is suppressed: too few organisations to show without pointing at \
             one of them.",
            words.one
        ),
    }
}

fn rows_note(found: &Pairs, shown: usize, words: &PairWords) -> String {
    let total = found.shown.len();
    let mut note = if total > shown {
        format!(
            "The {shown} largest of {total} {} by organisations before; the table has all.",
            words.many
        )
    } else {
        format!("Ordered by organisations before ({total} {}).", words.many)
    };
    if found.suppressed > 0 {
        let unit = if found.suppressed == 1 { words.one } else { words.many };
        append(
            &mut note,
            format_args!(
                " {} {unit} suppressed: too few organisations.",
                found.suppressed
            ),
        );
    }
    if found.one_sided > 0 {
        append(
            &mut note,
            format_args!(
                " {} counted in one window only, in the table.",
                found.one_sided
            ),
        );
    }
    note
}

fn pair_description(shown: &[Pair], name: &dyn Fn(&str) -> String) -> String {
    let rows: Vec<String> = shown
        .iter()
        .map(|p| {
            format!(
                "{}: {} before, {} after",
                name(&p.value),
                grouped(p.before.organisations_active),
                grouped(p.after.organisations_active)
            )
        })
        .collect();
    format!("{}.", rows.join("; "))
}

fn pair_table(
    report: &Report,
    paired: &Paired,
    words: &PairWords,
) -> Result<Table, Absence> {
    let then = reading::column(&paired.before, words.dimension)?;
    let now = reading::column(&paired.after, words.dimension)?;
    let mut table = Table::new([
        words.dimension.as_str(),
        "name",
        "active organisations before",
        "active organisations after",
        "change",
    ]);
    let keys: std::collections::BTreeSet<_> = then.keys().chain(now.keys()).collect();
    let mut rows: Vec<(f64, [String; 5])> = keys
        .into_iter()
        .map(|key| {
            let (b, a) = (then.get(key), now.get(key));
            let name = key.as_deref().map_or_else(
                || UNATTRIBUTED.to_owned(),
                |value| name_of(report, words.dimension, value),
            );
            let code = key.clone().unwrap_or_else(|| UNATTRIBUTED.to_owned());
            let size = b.copied().flatten().map_or(-1.0, |c| active(&c));
            (size, [code, name, active_cell(b), active_cell(a), change_cell(b, a)])
        })
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    for (_, row) in rows {
        table.push(row);
    }
    Ok(table)
}

pub(crate) fn active_cell(counts: Option<&Option<Counts>>) -> String {
    match counts {
        None => "none".to_owned(),
        Some(None) => SUPPRESSED.to_owned(),
        Some(Some(c)) => c.organisations_active.to_string(),
    }
}

pub(crate) fn change_cell(
    then: Option<&Option<Counts>>,
    now: Option<&Option<Counts>>,
) -> String {
    match (then, now) {
        (Some(None), _) | (_, Some(None)) => SUPPRESSED.to_owned(),
        (Some(Some(b)), now) => {
            change(active(b), now.copied().flatten().map_or(0.0, |c| active(&c)))
        }
        (None, _) => "n/a".to_owned(),
    }
}

/// The name of a value for readers.
fn name_of(report: &Report, dimension: Dimension, value: &str) -> String {
    match dimension {
        Dimension::Country => country::name(value),
        Dimension::Sector => report
            .sector_names
            .get(value)
            .cloned()
            .unwrap_or_else(|| reading::sentence(&value.replace('_', " "))),
        _ => value.to_owned(),
    }
}

fn before(pair: &Pair) -> f64 {
    active(&pair.before)
}

fn after(pair: &Pair) -> f64 {
    active(&pair.after)
}

fn count(shown: &[Pair]) -> u64 {
    u64::try_from(shown.len()).unwrap_or(u64::MAX)
}

/// The row that fell most in relation to its size, if any fell.
fn steepest(shown: &[Pair]) -> Option<&Pair> {
    shown
        .iter()
        .filter(|p| after(p) < before(p))
        .min_by(|a, b| (after(a) / before(a)).total_cmp(&(after(b) / before(b))))
}

pub(crate) fn lower(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect())
}

// ---- estimates ---------------------------------------------------------------------

/// What the estimates are split by: countries, unless there are sectors only.
fn removal_split(report: &Report) -> Dimension {
    let has = |dimension: Dimension| {
        let name = dimension.as_str();
        report.estimates.iter().any(|e| e.stratum().iter().any(|(n, _)| n == name))
    };
    if has(Dimension::Sector) && !has(Dimension::Country) {
        Dimension::Sector
    } else {
        Dimension::Country
    }
}

fn removal(report: &Report) -> Result<Figure, Absence> {
    reading::equally_long(report.before, report.after)?;
    let split = removal_split(report);
    let mut codes = removal_by(report, split);
    let total = codes.len();
    let all = estimate(&report.estimates, Quantity::CohortRemoval, None);
    if total == 0 && all.is_none() {
        return Err(no_removal(report));
    }
    codes.truncate(ROWS_MAX);
    let many = if split == Dimension::Sector { "sectors" } else { "countries" };
    let mut rows: Vec<ForestRow> = Vec::new();
    if all.is_some() {
        rows.push(forest_row(report, None, &format!("All {many}")));
    }
    for (code, _) in &codes {
        let name = name_of(report, split, code);
        rows.push(forest_row(report, Some((split.as_str(), code)), &name));
    }
    let chart = ForestChart {
        columns: ("Cohort removal".to_owned(), "Net fall of the count".to_owned()),
        rows,
    };
    let mut notes = vec![
        format!(
            "Cohort removal: share of the organisations active in {} that were not active in \
             {}. Net fall: by how much the count was lower; newcomers make it smaller.",
            days(report.before),
            days(report.after)
        ),
        interval_note(report),
    ];
    if total > codes.len() {
        notes.push(format!("The {} largest of {total} {many}.", codes.len()));
    }
    Ok(Figure {
        id: "removal",
        title: removal_title(report, split, &codes),
        subtitle: format!(
            "Share of organisations, {}, with intervals",
            windows_long(report.before, report.after)
        ),
        caveat: reading::caveat(report),
        source: None,
        notes,
        description: format!(
            "Estimates with intervals by {}; the table has the values.",
            split.as_str()
        ),
        chart: Chart::Forest(chart),
        table: crate::tables::estimates(&report.estimates),
    })
}

/// Why there is no share of removal.
fn no_removal(report: &Report) -> Absence {
    let shown = |e: &ReleasedEstimate| e.shown().is_some_and(|e| e.n == 0);
    match report.estimates.as_slice() {
        [] => missing("Estimates of removal"),
        all if all.iter().any(shown) => {
            "Nobody was active in the window before, so that nobody could leave."
                .to_owned()
        }
        _ => "Every estimate is suppressed: it rests on too few organisations."
            .to_owned(),
    }
}

/// Cohort removal of each country that has one, on a map.
fn map(report: &Report) -> Result<Figure, Absence> {
    reading::equally_long(report.before, report.after)?;
    let found = removal_countries(report);
    if removal_split(report) != Dimension::Country {
        return Err(
            "Removal is split by sector here: a map needs all countries.".to_owned()
        );
    }
    if found.is_empty() {
        return Err(no_removal(report));
    }
    let mut table = Table::new(["country", "cohort_removal", "low", "high", "n"]);
    let mut places = Vec::new();
    for (code, e) in &found {
        let interval = drawn_interval(e);
        let end = |pick: fn(&tidegauge_model::estimate::Interval) -> f64| {
            interval.map_or_else(|| "none".to_owned(), |i| format!("{:.4}", pick(i)))
        };
        table.push([
            code.clone(),
            format!("{:.4}", e.value),
            end(|i| i.low),
            end(|i| i.high),
            e.n.to_string(),
        ]);
        let range = interval.map_or_else(String::new, |i| {
            format!(" ({})", percent_span(i.low, i.high))
        });
        let words = format!(
            "{}: {} of {} gone{range}",
            country::name(code),
            percent(e.value),
            counted(e.n, "organisation", "organisations")
        );
        places.push(MapPlace { code: code.clone(), share: e.value, words });
    }
    let absent = found.iter().filter(|(code, _)| !is_mapped(code)).count();
    let mut notes = vec![
        "Outlines are for orientation: an area says nothing of how many organisations are in \
         it, and a shade nothing of how sure it is; both are in the table. Borders: Natural \
         Earth, public domain; none is a statement about territory."
            .to_owned(),
    ];
    if absent > 0 {
        let many = u64::try_from(absent).unwrap_or(u64::MAX);
        let many = counted(many, "country is", "countries are");
        notes.push(format!("Of these, {many} not on the map; the table has all."));
    }
    Ok(Figure {
        id: "map",
        title: map_title(report, &found),
        subtitle: format!(
            "Share of the organisations active before that were not active after, {}",
            windows_long(report.before, report.after)
        ),
        caveat: reading::caveat(report),
        source: None,
        notes,
        description: format!(
            "A map of {}, shaded by cohort removal; the table has the values.",
            counted(
                u64::try_from(found.len()).unwrap_or(u64::MAX),
                "country",
                "countries"
            )
        ),
        chart: Chart::Map(MapChart { places }),
        table,
    })
}

/// Of the largest alone: the ends of all are those of the smallest, and chance.
fn map_title(report: &Report, found: &[(String, &Estimate)]) -> String {
    let largest = found.get(..ROWS_MAX).unwrap_or(found);
    let title = removal_title(report, Dimension::Country, largest);
    if largest.len() < found.len() {
        format!("{title}, among the {ROWS_MAX} countries with most")
    } else {
        title
    }
}

/// Countries with a shown cohort removal, largest cohort first.
pub(super) fn removal_countries(report: &Report) -> Vec<(String, &Estimate)> {
    removal_by(report, Dimension::Country)
}

/// Values of a dimension with a shown cohort removal, largest cohort first.
fn removal_by(report: &Report, split: Dimension) -> Vec<(String, &Estimate)> {
    let mut found: Vec<(String, &Estimate)> = report
        .estimates
        .iter()
        .filter(|e| e.quantity() == Quantity::CohortRemoval)
        .filter_map(|e| match e.stratum() {
            [(name, value)] if name == split.as_str() => {
                let shown = e.shown().filter(|e| e.value.is_finite())?;
                Some((value.clone(), shown))
            }
            _ => None,
        })
        .collect();
    found.sort_by(|a, b| b.1.n.cmp(&a.1.n).then_with(|| a.0.cmp(&b.0)));
    found
}

fn forest_row(report: &Report, stratum: Option<(&str, &str)>, name: &str) -> ForestRow {
    let dot = |quantity| {
        let found = estimate(&report.estimates, quantity, stratum);
        found.map_or(Column::Words("not shown"), |e| Column::Dot(dot_of(e)))
    };
    ForestRow {
        name: name.to_owned(),
        total: stratum.is_none(),
        left: dot(Quantity::CohortRemoval),
        right: dot(Quantity::NetChange),
    }
}

pub(super) fn dot_of(e: &Estimate) -> Dot {
    Dot { value: e.value, interval: drawn_interval(e).map(|i| (i.low, i.high)) }
}

fn interval_note(report: &Report) -> String {
    let methods: std::collections::BTreeSet<String> = report
        .estimates
        .iter()
        .filter(|e| e.quantity() != Quantity::RemovalCorrected)
        .filter_map(ReleasedEstimate::shown)
        .filter_map(|e| {
            let interval = e.intervals.first()?;
            let what = crate::tables::quantity(e.quantity).replace('_', " ");
            Some(format!(
                "{what} {} ({})",
                percent_fine(interval.level),
                interval.method
            ))
        })
        .collect();
    if methods.is_empty() {
        return "No interval was computed.".to_owned();
    }
    let methods = methods.into_iter().collect::<Vec<_>>().join(", ");
    format!("Lines are intervals for sampling error only: {methods}.")
}

fn removal_title(
    report: &Report,
    split: Dimension,
    codes: &[(String, &Estimate)],
) -> String {
    let by = |a: &&(String, &Estimate), b: &&(String, &Estimate)| {
        a.1.value.total_cmp(&b.1.value).then_with(|| a.0.cmp(&b.0))
    };
    let between = windows(report.before, report.after);
    let (Some(low), Some(high)) = (codes.iter().min_by(by), codes.iter().max_by(by))
    else {
        let all = estimate(&report.estimates, Quantity::CohortRemoval, None);
        let share = all.map(|e| percent(e.value)).unwrap_or_default();
        return format!(
            "{share} of organisations were no longer seen between {between}"
        );
    };
    if low.0 == high.0 {
        return format!(
            "In {}, {} of organisations were no longer seen between {between}",
            in_sentence(report, split, &low.0),
            percent(low.1.value)
        );
    }
    format!(
        "From {} ({}) to {} ({}) of organisations were no longer seen{}",
        percent(low.1.value),
        name_of(report, split, &low.0),
        percent(high.1.value),
        name_of(report, split, &high.0),
        if apart(low.1, high.1) { "" } else { ", a difference within the intervals" }
    )
}

/// Whether the interval of the lower estimate ends below that of the higher one.
pub(crate) fn apart(low: &Estimate, high: &Estimate) -> bool {
    let ends = |e: &Estimate| dot_of(e).interval.unwrap_or((e.value, e.value));
    ends(low).1 < ends(high).0
}

fn in_sentence(report: &Report, dimension: Dimension, value: &str) -> String {
    match dimension {
        Dimension::Country => country::in_sentence(value),
        _ => lower(&name_of(report, dimension, value)),
    }
}

fn retention(report: &Report) -> Result<Figure, Absence> {
    let mut lines: Vec<LineSeries> = Vec::new();
    if let Some(series) = retention_line(report, None) {
        lines.push(series);
    }
    if let Some(series) = retention_line(report, Some(report.focus)) {
        lines.push(series);
    }
    let Some(first) = lines.first() else {
        return Err(if report.retention.is_empty() {
            missing("Monthly estimates of retention")
        } else {
            "Every month is suppressed: the cohort is too small.".to_owned()
        });
    };
    let at_window = first.points.iter().find(|p| p.0 == report.after && p.1.is_some());
    let last = at_window
        .or_else(|| first.points.iter().rev().find(|p| p.1.is_some()))
        .and_then(|p| Some((p.0, p.1?)));
    let title = match last {
        Some((month, value)) => format!(
            "{} of the organisations active in {} were active in {}",
            percent(value),
            days(report.before),
            days(month)
        ),
        None => "Every month is suppressed".to_owned(),
    };
    let notes = vec![
        "An organisation that was not seen in one month may be seen again in a later one: \
         the line can rise. Shaded: interval for sampling error only."
            .to_owned(),
    ];
    Ok(Figure {
        id: "retention",
        description: format!(
            "{title}. A line over the months; the table has the values."
        ),
        title,
        subtitle: format!(
            "Share of the organisations active in {} that were active in each later month",
            days(report.before)
        ),
        caveat: reading::caveat(report),
        source: None,
        notes,
        chart: Chart::Lines(LineChart {
            period: report.period,
            panels: vec![LinePanel {
                name: "Still active, share of the cohort".to_owned(),
                share: true,
                series: lines,
                under: None,
            }],
            events: events(&report.timeline, report.period),
            bands: vec![(report.before, "cohort".to_owned())],
        }),
        table: crate::tables::estimates(&report.retention),
    })
}

fn retention_line(report: &Report, focus: Option<Country>) -> Option<LineSeries> {
    let found: BTreeMap<Month, &Estimate> = report
        .retention
        .iter()
        .filter(|e| e.quantity() == Quantity::Retention)
        .filter(|e| match (focus, e.stratum()) {
            (None, []) => true,
            (Some(c), [(name, value)]) => name == "country" && value == c.as_str(),
            _ => false,
        })
        .filter_map(ReleasedEstimate::shown)
        .filter(|e| e.value.is_finite())
        .map(|e| (e.after.first().month(), e))
        .collect();
    if found.is_empty() {
        return None;
    }
    let cohort = report.before.last().month();
    let later = report.period.months().filter(|m| *m > cohort);
    let points = later.map(|m| (DayRange::month(m), found.get(&m).map(|e| e.value)));
    let intervals =
        found.iter().filter(|(month, _)| **month > cohort).filter_map(|(month, e)| {
            let interval = e.intervals.first()?;
            Some((DayRange::month(*month), interval.low, interval.high))
        });
    Some(LineSeries {
        name: focus
            .map_or_else(|| "all countries".to_owned(), |c| country::name(c.as_str())),
        tone: if focus.is_some() { 1 } else { 2 },
        points: std::iter::once((report.before, Some(1.0))).chain(points).collect(),
        intervals: std::iter::once((report.before, 1.0, 1.0))
            .chain(intervals)
            .collect(),
    })
}

/// A count and its interval in words, for the strip of key numbers.
pub(crate) fn share_in_words(e: &Estimate) -> (String, String) {
    let span = drawn_interval(e).map(|i| {
        format!("{} interval {}", percent_fine(i.level), percent_span(i.low, i.high))
    });
    (percent(e.value), span.unwrap_or_default())
}

/// Two counts as `22,014 → 8,003` with their change.
pub(crate) fn pair_in_words(then: f64, now: f64) -> (String, String) {
    (change(then, now), format!("{} to {}", spoken(then), spoken(now)))
}

/// The months of the windows in a release, if both are shown.
pub(crate) fn window_months(
    release: &Release,
    report: &Report,
) -> Option<(Counts, Counts)> {
    let rows = reading::months(release).ok()?;
    let at = |w: DayRange| rows.iter().find(|r| r.0 == w).and_then(|r| r.1);
    Some((at(report.before)?, at(report.after)?))
}

/// `April`, or the days.
pub(crate) fn month_or_days(window: DayRange) -> String {
    let month = window.first().month();
    if window == DayRange::month(month) {
        month_name(month).to_owned()
    } else {
        days(window)
    }
}

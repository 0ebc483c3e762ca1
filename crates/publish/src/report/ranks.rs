//! The figure of positions in a public list of popular names.
//!
//! **Invariant:** the product's hosts are never shown without hosts of others beside them.

use tidegauge_model::{Day, DayRange};

use super::figures::events;
use super::reading::Absence;
use super::{RankPanel, RankPart, RankSeries, Report};
use crate::figure::{Chart, Figure, RankColumn, RankGrid, RankLine, append};
use crate::number::{counted, days, grouped, place};
use crate::tables::Table;

/// Hosts drawn in a column.
const HOSTS_MAX: usize = 9;
/// Days compared before and after: a year, so that seasons cancel.
const COMPARED_DAYS: i32 = 365;

/// The figure, or why there is none.
pub(crate) fn figure(report: &Report, panel: &RankPanel) -> Result<Figure, Absence> {
    let ends = panel.hosts.iter().flat_map(|h| h.points.iter().map(|p| p.0));
    let range = ends.clone().min().zip(ends.max());
    let Some(range) = range.and_then(|(first, last)| DayRange::new(first, last)) else {
        return Err("The list that was given has no snapshot.".to_owned());
    };
    let ours = |h: &&RankSeries| h.part == RankPart::Subject;
    let (mut subject, mut others): (Vec<&RankSeries>, Vec<&RankSeries>) =
        panel.hosts.iter().partition(ours);
    let never = drop_never_listed(&mut subject) + drop_never_listed(&mut others);
    if subject.is_empty() || others.is_empty() {
        return Err("The list has no listed host of the product, or none of another \
                    product to compare it with."
            .to_owned());
    }
    let pivot = pivot(report);
    let title = title(report, pivot, &subject, &others, &panel.tiers);
    let (left, right) = (subject.len(), others.len());
    subject.truncate(HOSTS_MAX);
    others.truncate(HOSTS_MAX);
    let drawn = (subject.len(), others.len());
    let notes = notes(report, panel, drawn, (left, right), never);
    let chart = RankGrid {
        days: range,
        tiers: tier_names(&panel.tiers),
        columns: [
            RankColumn {
                name: report.product_name.clone(),
                tone: 1,
                hosts: lines(&subject, &panel.tiers),
            },
            RankColumn {
                name: "Not addressed by these acts".to_owned(),
                tone: 0,
                hosts: lines(&others, &panel.tiers),
            },
        ],
        events: shared_days(range, report.period)
            .map(|days| events(&report.timeline, days))
            .unwrap_or_default(),
    };
    Ok(Figure {
        id: "ranks",
        subtitle: format!(
            "Best tier in the {} at each snapshot, {}. This data is real and is not part of \
             the counts above.",
            panel.source,
            days(range)
        ),
        description: format!(
            "{title}. One small panel per host; the table has the tiers."
        ),
        title,
        caveat: String::new(),
        source: Some(format!("Source: {}.", panel.source)),
        notes,
        chart: Chart::Ranks(chart),
        table: table(panel),
    })
}

/// How many hosts are drawn of how many, then the caveats that came with the list.
fn notes(
    report: &Report,
    panel: &RankPanel,
    drawn: (usize, usize),
    listed: (usize, usize),
    never: usize,
) -> Vec<String> {
    let mut note = format!(
        "Drawn: {} of {} listed hosts of {} and {} of {} of others.",
        drawn.0, listed.0, report.product_name, drawn.1, listed.1
    );
    if never > 0 {
        let never = counted(u64::try_from(never).unwrap_or(u64::MAX), "host", "hosts");
        append(
            &mut note,
            format_args!(" Left out, because in no tier at any snapshot: {never}."),
        );
    }
    let alone = "A host that fell beside hosts of products that no act addressed tells nothing of \
                 the act; where they did not fall, other causes still fall into the same year.";
    let caveats = panel.caveats.iter().cloned().chain([alone.to_owned()]);
    std::iter::once(note).chain(caveats).collect()
}

/// The days in both ranges: only the events of the period are drawn.
fn shared_days(a: DayRange, b: DayRange) -> Option<DayRange> {
    DayRange::new(a.first().max(b.first()), a.last().min(b.last()))
}

/// Takes out hosts that were never in a tier, puts update hosts first; says how many
/// went.
fn drop_never_listed(hosts: &mut Vec<&RankSeries>) -> usize {
    let all = hosts.len();
    hosts.retain(|h| h.points.iter().any(|p| p.1.is_some()));
    let listed = |h: &RankSeries| h.points.iter().filter(|p| p.1.is_some()).count();
    hosts.sort_by(|a, b| {
        let key = |h: &RankSeries| (h.role != "update", std::cmp::Reverse(listed(h)));
        (key(a), &a.vendor, &a.host).cmp(&(key(b), &b.vendor, &b.host))
    });
    all - hosts.len()
}

/// The day around which the years are compared: the first drawn event between the two
/// windows, else the last day of the window before.
fn pivot(report: &Report) -> Day {
    let between = DayRange::new(report.before.last(), report.after.first());
    between
        .and_then(|days| events(&report.timeline, days).first().map(|e| e.days.first()))
        .unwrap_or_else(|| report.before.last())
}

fn title(
    report: &Report,
    pivot: Day,
    subject: &[&RankSeries],
    others: &[&RankSeries],
    tiers: &[u32],
) -> String {
    let (ours, our_total) = lower(subject, pivot, tiers);
    let beside = [
        (RankPart::Comparator, "products that no act addressed"),
        (RankPart::Control, "names that nearly every network asks for"),
    ]
    .map(|(part, what)| {
        let of: Vec<&RankSeries> =
            others.iter().copied().filter(|h| h.part == part).collect();
        let (theirs, total) = lower(&of, pivot, tiers);
        (total > 0).then(|| format!("{theirs} of {total} of {what}"))
    });
    let beside: Vec<String> = beside.into_iter().flatten().collect();
    if our_total == 0 || beside.is_empty() {
        return format!(
            "Positions of {}’s hosts beside those of others",
            report.product_name
        );
    }
    format!(
        "{ours} of {our_total} hosts of {} stood lower in the year from {} than in the year \
         before; so did {}",
        report.product_name,
        crate::number::day_long(pivot),
        beside.join(", and ")
    )
}

/// How many hosts stood lower in the year from `pivot` than in the year before, of how many
/// that can be compared.
fn lower(hosts: &[&RankSeries], pivot: Day, tiers: &[u32]) -> (usize, usize) {
    let moves: Vec<f64> = hosts.iter().filter_map(|h| shift(h, pivot, tiers)).collect();
    (moves.iter().filter(|m| **m > 0.1).count(), moves.len())
}

/// By how many tiers the mean position fell from the year before `pivot` to the year
/// from it; `None` without snapshots on both sides.
fn shift(host: &RankSeries, pivot: Day, tiers: &[u32]) -> Option<f64> {
    let mean = |from: Day, to: Day| {
        let levels: Vec<f64> = host
            .points
            .iter()
            .filter(|p| from <= p.0 && p.0 < to)
            .map(|p| f64::from(level(p.1, tiers)))
            .collect();
        (!levels.is_empty()).then(|| levels.iter().sum::<f64>() / place(levels.len()))
    };
    let before = mean(pivot.plus(-COMPARED_DAYS), pivot)?;
    Some(mean(pivot, pivot.plus(COMPARED_DAYS))? - before)
}

/// 0 for the best tier; the number of tiers for "outside".
fn level(tier: Option<u32>, tiers: &[u32]) -> u8 {
    let at = tier.and_then(|t| tiers.iter().position(|known| t <= *known));
    u8::try_from(at.unwrap_or(tiers.len())).unwrap_or(u8::MAX)
}

fn lines(hosts: &[&RankSeries], tiers: &[u32]) -> Vec<RankLine> {
    let line = |h: &&RankSeries| RankLine {
        host: h.host.clone(),
        note: match h.part {
            RankPart::Subject => h.role.replace('_', " "),
            RankPart::Comparator => {
                format!("{}, {}", h.vendor.replace('_', " "), h.role.replace('_', " "))
            }
            RankPart::Control => format!("{}, control", h.vendor.replace('_', " ")),
        },
        levels: {
            let mut levels: Vec<(Day, u8)> =
                h.points.iter().map(|p| (p.0, level(p.1, tiers))).collect();
            levels.sort_unstable();
            levels
        },
    };
    hosts.iter().map(line).collect()
}

fn tier_names(tiers: &[u32]) -> Vec<String> {
    let named = tiers.iter().map(|t| match t % 1000 {
        0 => format!("top {}k", t / 1000),
        _ => format!("top {}", grouped((*t).into())),
    });
    named.chain(["outside".to_owned()]).collect()
}

fn table(panel: &RankPanel) -> Table {
    let mut table =
        Table::new(["host", "vendor", "role", "part", "snapshot", "best tier"]);
    for host in &panel.hosts {
        let part = match host.part {
            RankPart::Subject => "subject",
            RankPart::Comparator => "comparator",
            RankPart::Control => "control",
        };
        for (day, tier) in &host.points {
            let tier = tier.map_or_else(|| "outside".to_owned(), |t| t.to_string());
            table.push([
                host.host.clone(),
                host.vendor.clone(),
                host.role.clone(),
                part.to_owned(),
                day.to_string(),
                tier,
            ]);
        }
    }
    table
}

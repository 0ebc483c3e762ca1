//! `tidegauge census`: distinct addresses and organisations.

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::bail;
use tidegauge_model::DayRange;
use tidegauge_model::count::{Dating, Dimension, Query, Release};

use crate::args::CensusVerb;
use crate::opened::{Audience, Opened};
use crate::output::{Rows, Value};
use crate::settings::Settings;
use crate::verb::{census_diff, private};
use crate::{Outcome, args};

/// Counts and prints.
pub(crate) async fn run(
    verb: &args::Census,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    if let Some(CensusVerb::Diff { a, b, from, to, evidence }) = &verb.verb {
        anyhow::ensure!(
            settings.cluster.is_none(),
            "a diff is not counted on a cluster (hint: leave out --cluster)"
        );
        return census_diff::run([*a, *b], [*from, *to], evidence, settings).await;
    }
    let opened = Opened::open(settings, verb.evidence.map).await?;
    let days = days(verb, &opened).await?;
    opened.require_covered(&verb.window).await?;
    let mut by = verb.by.clone();
    if !verb.window.is_empty() && !by.contains(&Dimension::Windows) {
        by.push(Dimension::Windows);
    }
    let query = Query {
        by,
        windows: verb.window.clone(),
        countries: verb.country.clone(),
        sectors: verb.sector.clone(),
        ..opened.query(&verb.evidence, days)?
    };
    let mut seen = BTreeSet::new();
    if let Some(twice) = query.by.iter().find(|d| !seen.insert(**d)) {
        bail!("--by names {twice} twice");
    }
    if verb.explain {
        return explain(verb, &opened, query).await;
    }
    if let Some((epsilon, key)) = verb.epsilon.zip(verb.key.as_deref()) {
        return private::run((epsilon, key), &opened, query, settings).await;
    }
    let mut audience = Audience::asked(verb.evidence.internal);
    let (census, doubts) = opened.census(&query).await?;
    let mut rows = rows(&audience.release(&opened, census).await??);
    rows.notes.extend(doubts);
    if shows_both_maps(verb) {
        let each_day = Query { on: Dating::EachDay, ..query.clone() };
        let (census, doubts) = opened.census(&each_day).await?;
        let mut followed = self::rows(&audience.release(&opened, census).await??);
        followed.notes.extend(doubts);
        rows = side_by_side([(query.on, rows), (each_day.on, followed)]);
    }
    rows.print(settings.format)?;
    Ok(Outcome::Done)
}

/// The days asked for: from the first window's first to the last one's last, if there are any.
async fn days(verb: &args::Census, opened: &Opened) -> anyhow::Result<DayRange> {
    let first = verb.window.iter().map(|w| w.first()).min();
    let last = verb.window.iter().map(|w| w.last()).max();
    opened.days(first.or(verb.from), last.or(verb.to)).await
}

/// Prints how it would be counted, on each map that it would be counted on.
async fn explain(
    verb: &args::Census,
    opened: &Opened,
    query: Query,
) -> anyhow::Result<Outcome> {
    let each_day = Query { on: Dating::EachDay, ..query.clone() };
    let asked = [Some(query), Some(each_day).filter(|_| shows_both_maps(verb))];
    let mut out = String::new();
    for query in asked.iter().flatten() {
        out += &opened.explain(query).await?;
    }
    std::io::stdout().lock().write_all(out.as_bytes())?;
    Ok(Outcome::Done)
}

/// A trend is shown on the frozen map and on that of each day, unless a map was named.
fn shows_both_maps(verb: &args::Census) -> bool {
    verb.evidence.on.is_none() && verb.by.iter().copied().any(is_time)
}

/// Whether cells of the dimension follow each other in time, so that they make a trend.
fn is_time(dimension: Dimension) -> bool {
    matches!(dimension, Dimension::Month | Dimension::Week | Dimension::Windows)
}

/// The same cells on two maps: a trend on a frozen map says what those did who held the
/// addresses then, on the map of each day what those did who held them that day.
fn side_by_side(maps: [(Dating, Rows); 2]) -> Rows {
    let [(_, first), _] = &maps;
    let columns = ["on"].into_iter().map(str::to_owned).chain(first.columns.clone());
    let mut both = Rows::new("census", columns);
    for (on, rows) in maps {
        for row in rows.rows {
            both.push([Value::text(on)].into_iter().chain(row).collect());
        }
        for note in rows.notes {
            if !both.notes.contains(&note) {
                both.notes.push(note);
            }
        }
    }
    both
}

/// A release as rows.
pub(crate) fn rows(release: &Release) -> Rows {
    let keys = release.query().by.iter().map(ToString::to_string);
    let counts = [
        "addresses_v4",
        "networks_v6",
        "organisations",
        "organisations_active",
        "address_days",
        "contacts",
        "addresses_v4_consumer",
    ];
    let mut rows = Rows::new("census", keys.chain(counts.map(str::to_owned)));
    for row in release.rows() {
        let mut values: Vec<Value> = row
            .key
            .iter()
            .map(|key| key.as_ref().map_or(Value::Unattributed, Value::text))
            .collect();
        match &row.counts {
            None => values.extend(counts.map(|_| Value::Suppressed)),
            Some(c) => values.extend(
                [
                    c.addresses_v4,
                    c.networks_v6,
                    c.organisations,
                    c.organisations_active,
                    c.address_days,
                    c.contacts,
                    c.addresses_v4_consumer,
                ]
                .map(Value::Int),
            ),
        }
        rows.push(values);
    }
    let query = release.query();
    rows.notes.push(format!(
        "{} ({} days), holders as of {}, organisations in {} networks, active from {} days",
        query.days,
        query.days.length_days(),
        query.on,
        query.organisation_kinds.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(", "),
        query.active_days_min,
    ));
    for (number, window) in (1..).zip(&query.windows) {
        rows.notes.push(format!("window {number}: {window}"));
    }
    rows.notes.push(format!(
        "{:.1} % of address-days are attributed to nobody",
        100.0 * release.unattributed_share()
    ));
    if release.suppressed() > 0 {
        let rule = release.rule();
        rows.notes
            .push(format!("{} cells are suppressed: {rule}", release.suppressed()));
    }
    rows
}

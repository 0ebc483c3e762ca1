//! What stands below the figures: what the sensors saw, how was counted, what cannot be told,
//! the words, what is withheld, and how to make it again.
//!
//! **Invariant:** nothing here is markup, so the page and the Markdown say the same.

use std::collections::BTreeSet;

use tidegauge_model::count::Release;

use super::{Provenance, Report, quality, story};
use crate::number::{counted, percent_fine};
use crate::tables::Table;

/// A titled part below the figures.
pub(super) struct Part {
    /// Name of the part in the page.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) blocks: Vec<Block>,
}

/// What a part is made of.
pub(super) enum Block {
    Heading(&'static str),
    Text(String),
    /// Words of a rule, each a paragraph.
    Quote(Vec<String>),
    Numbers {
        caption: &'static str,
        table: Table,
    },
    /// Words and their meanings.
    Words(Vec<(String, String)>),
    /// Names and values.
    Facts(Vec<(String, String)>),
    /// Names of releases, and what was asked for each as JSON.
    Queries(Vec<(String, String)>),
}

/// All of them in order.
pub(super) fn parts(report: &Report) -> Vec<Part> {
    let parts = [method(report), glossary(), withheld(report), provenance(report)];
    sensors(report).into_iter().chain(parts).collect()
}

fn sensors(report: &Report) -> Option<Part> {
    let table = quality::table(&report.coverage);
    if table.rows.is_empty() {
        return None;
    }
    let words = "Each vantage with all it read and all it could not read. Losses are \
                 counted, never filled in.";
    Some(Part {
        id: "quality",
        title: "What the sensors saw",
        blocks: vec![
            Block::Text(words.to_owned()),
            Block::Numbers { caption: "Coverage per vantage", table },
        ],
    })
}

fn method(report: &Report) -> Part {
    let seen = "Sensors see that an address talked to a server. A dated catalog says which \
                servers a product fetches its updates from; a dated atlas says who held the \
                address on that day. Distinct addresses and distinct organisations are then \
                counted exactly; no count is added to another, because one organisation can \
                be in many cells.";
    let limits = "An address is not a device: one relay can stand for ten thousand, and one \
                  device can use thirty addresses in a month. Organisations are the sturdier \
                  unit. “In contact” means exactly that; it does not mean that a rule was \
                  broken.";
    let mut blocks = vec![Block::Text(seen.to_owned())];
    blocks.extend(counted_how(report).map(Block::Text));
    blocks.extend([
        Block::Text(story::windows_sentence(report)),
        Block::Heading("What these numbers cannot tell"),
        Block::Text(story::visibility_example()),
        Block::Text(limits.to_owned()),
    ]);
    Part { id: "method", title: "How this was counted", blocks }
}

/// What the counts by month were asked to count.
fn counted_how(report: &Report) -> Option<String> {
    let months = [&report.months_frozen, &report.months_each_day];
    let query = months.into_iter().flatten().map(Release::query).next()?;
    let roles: Vec<&str> = query.roles.iter().map(|r| r.as_str()).collect();
    let kinds: Vec<&str> =
        query.organisation_kinds.iter().map(|k| k.as_str()).collect();
    Some(format!(
        "Counted here: contacts with servers of role {}, of weight {} or more. An address \
         stands for an organisation only in networks of kind {}. An organisation is active in \
         a window with at least {} of contact in it.",
        roles.join(", "),
        query.weight_min.as_str(),
        kinds.join(", ").replace('_', " "),
        counted(query.active_days_min.into(), "day", "days")
    ))
}

/// The words of the page and what they mean.
pub(crate) const GLOSSARY: [(&str, &str); 11] = [
    ("Active", "An organisation with enough days of contact in a window."),
    (
        "Cohort removal",
        "Share of the organisations active before that are not active after. Newcomers do not count.",
    ),
    (
        "Net change",
        "By how much the number of active organisations changed. Newcomers count, so the fall is never larger than cohort removal.",
    ),
    (
        "Visibility taken out",
        "Cohort removal by a model that follows each organisation from week to week beside control products, and so tells leaving from not being seen.",
    ),
    (
        "Not identified",
        "The data cannot tell. The rule that says so stands beside it; no figure is put in its place.",
    ),
    ("Contact", "An address talked to a server of the product."),
    (
        "Frozen map",
        "All months are attributed with the address holders of one day. The other line follows the holders of each day.",
    ),
    (
        "Eyeball and mobile networks",
        "Networks of people at home or on the move; their addresses never stand for an organisation.",
    ),
    (
        "Footprint",
        "The networks a sensor saw at all, contact or not. Outside it, absence means nothing.",
    ),
    (
        "Interval",
        "Range of values that sampling alone makes plausible. Where visibility is taken out, it also covers what is not known of visibility and of whose an address was.",
    ),
    (
        "Suppressed",
        "Withheld because too few organisations stand behind the number, or because another withheld number could be worked out from it.",
    ),
];

fn glossary() -> Part {
    let words = GLOSSARY.map(|(word, meaning)| (word.to_owned(), meaning.to_owned()));
    let blocks = vec![Block::Words(words.to_vec())];
    Part { id: "glossary", title: "Words", blocks }
}

/// Every release of the report, by name.
pub(super) fn releases(report: &Report) -> Vec<(&'static str, &Release)> {
    let pair = |p: &'static [&'static str; 2], paired: Option<&'_ super::Paired>| {
        paired.map(|_| *p)
    };
    let mut found: Vec<(&'static str, &Release)> = Vec::new();
    let single = [
        ("months, frozen map", report.months_frozen.as_ref()),
        ("months, each day’s map", report.months_each_day.as_ref()),
    ];
    found.extend(single.into_iter().filter_map(|(name, r)| Some((name, r?))));
    let paired = [
        (&["countries before", "countries after"], report.countries.as_ref()),
        (&["sectors before", "sectors after"], report.sectors.as_ref()),
        (&["government before", "government after"], report.government.as_ref()),
    ];
    for (names, releases) in paired {
        if let (Some([b, a]), Some(r)) = (pair(names, releases), releases) {
            found.push((b, &r.before));
            found.push((a, &r.after));
        }
    }
    found
}

fn withheld(report: &Report) -> Part {
    let mut table = Table::new(["counts", "cells", "suppressed", "unattributed"]);
    let mut rules: BTreeSet<String> = BTreeSet::new();
    for (name, release) in releases(report) {
        rules.insert(release.rule().to_owned());
        table.push([
            name.to_owned(),
            release.rows().len().to_string(),
            release.suppressed().to_string(),
            percent_fine(release.unattributed_share()),
        ]);
    }
    let mut blocks = if rules.is_empty() {
        let none = "No counts were released, so none was withheld.";
        vec![Block::Text(none.to_owned())]
    } else {
        let all = "Every count passed this rule before it came here:";
        vec![Block::Text(all.to_owned()), Block::Quote(rules.into_iter().collect())]
    };
    blocks.push(Block::Text(hidden(report)));
    if !table.rows.is_empty() {
        blocks.push(Block::Numbers { caption: "Cells per release", table });
    }
    Part { id: "withheld", title: "What is withheld, and why", blocks }
}

/// How many estimates are suppressed.
fn hidden(report: &Report) -> String {
    let all = report.estimates.iter().chain(&report.retention);
    let hidden = match all.filter(|e| e.shown().is_none()).count() {
        0 => "No estimate is".to_owned(),
        1 => "One estimate is".to_owned(),
        n => format!("{n} estimates are"),
    };
    format!(
        "{hidden} suppressed. Unattributed: share of address-days whose holder is not known."
    )
}

fn provenance(report: &Report) -> Part {
    let Provenance { program, catalog, atlas, run, seed, more } = &report.provenance;
    let fact = |name: &str, value: &str| {
        (name.to_owned(), recorded(value).unwrap_or("not recorded").to_owned())
    };
    let seed = seed.map_or_else(|| "none used".to_owned(), |s| s.to_string());
    let mut facts = vec![
        fact("Program", program),
        fact("Catalog", catalog),
        fact("Atlas", atlas),
        fact("Run", run),
        fact("Seed", &seed),
    ];
    facts.extend(more.iter().cloned());
    let mut blocks = vec![Block::Facts(facts)];
    let queries = releases(report).into_iter().map(|(name, release)| {
        let json =
            serde_json::to_string(release.query()).expect("a query has only text keys");
        (name.to_owned(), json)
    });
    let queries: Vec<(String, String)> = queries.collect();
    if !queries.is_empty() {
        blocks.push(Block::Queries(queries));
    }
    Part { id: "provenance", title: "How to make it again", blocks }
}

/// What was recorded, if it was.
pub(super) fn recorded(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

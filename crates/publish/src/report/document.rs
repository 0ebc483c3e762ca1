//! The report as one JSON document, for programs.
//!
//! **Invariant:** a suppressed estimate is `null`, and a suppressed cell of a table the word
//! that the page shows; what was not recorded is `null`. The schema is that of
//! `tidegauge schema`, under the name `report`.

use std::collections::BTreeMap;

use serde::Serialize;
use tidegauge_model::count::Query;
use tidegauge_model::estimate::{Estimate, Quantity, ReleasedEstimate};
use tidegauge_model::{Country, DayRange, ProductId};

use super::closing::{recorded, releases};
use super::figures::Section;
use super::{Paths, Report, Synthetic, reading, release_path, story};
use crate::figure::Figure;
use crate::tables::Table;

/// Version of the form of the document: raised where a key goes or changes its meaning.
const SCHEMA_VERSION: u32 = 1;

/// The document, a key a line.
pub(super) fn json(report: &Report, sections: &[Section], source: &str) -> String {
    let document = Document::of(report, sections, source);
    let mut json =
        serde_json::to_string_pretty(&document).expect("a report has only text keys");
    json.push('\n');
    json
}

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    name: &'static str,
    program: Option<&'a str>,
    synthetic: Option<&'a Synthetic>,
    product: Product<'a>,
    focus: Country,
    period: DayRange,
    windows: Windows,
    headline: String,
    standfirst: String,
    sentences: Vec<String>,
    caveat: String,
    keys: Vec<story::Key>,
    sections: Vec<Row<'a>>,
    estimates: Vec<EstimateRow<'a>>,
    provenance: Made<'a>,
}

impl<'a> Document<'a> {
    fn of(report: &'a Report, sections: &'a [Section], source: &'a str) -> Self {
        let estimates = report.estimates.iter().chain(&report.retention);
        Self {
            schema_version: SCHEMA_VERSION,
            name: "report",
            program: recorded(&report.provenance.program),
            synthetic: report.synthetic.as_ref(),
            product: Product { id: &report.product, name: &report.product_name },
            focus: report.focus,
            period: report.period,
            windows: Windows { before: report.before, after: report.after },
            headline: story::headline(report),
            standfirst: story::standfirst(report),
            sentences: story::sentences(report),
            caveat: reading::caveat_of_all(report),
            keys: story::keys(report),
            sections: sections.iter().map(|s| Row::of(s, source)).collect(),
            estimates: estimates.map(EstimateRow::of).collect(),
            provenance: Made::of(report),
        }
    }
}

#[derive(Serialize)]
struct Product<'a> {
    id: &'a ProductId,
    name: &'a str,
}

#[derive(Serialize)]
struct Windows {
    before: DayRange,
    after: DayRange,
}

/// A section: a figure in words and numbers, or why there is none.
#[derive(Serialize)]
#[serde(untagged)]
enum Row<'a> {
    Drawn(Drawn<'a>),
    Absent { id: &'a str, title: &'a str, absent: &'a str },
}

impl<'a> Row<'a> {
    fn of(section: &'a Section, source: &'a str) -> Self {
        match section {
            Section::Drawn(figure) => Self::Drawn(Drawn::of(figure, source)),
            Section::Absent { id, title, why } => {
                Self::Absent { id, title, absent: why }
            }
        }
    }
}

#[derive(Serialize)]
struct Drawn<'a> {
    id: &'a str,
    title: &'a str,
    subtitle: &'a str,
    caveat: &'a str,
    notes: &'a [String],
    description: &'a str,
    source: &'a str,
    files: Paths,
    table: &'a Table,
}

impl<'a> Drawn<'a> {
    fn of(figure: &'a Figure, source: &'a str) -> Self {
        Self {
            id: figure.id,
            title: &figure.title,
            subtitle: &figure.subtitle,
            caveat: &figure.caveat,
            notes: &figure.notes,
            description: &figure.description,
            source: figure.source.as_deref().unwrap_or(source),
            files: Paths::of(figure.id),
            table: &figure.table,
        }
    }
}

/// An estimate, or that it is suppressed.
#[derive(Serialize)]
pub(crate) struct EstimateRow<'a> {
    quantity: Quantity,
    stratum: BTreeMap<&'a str, &'a str>,
    suppressed: bool,
    estimate: Option<&'a Estimate>,
}

impl<'a> EstimateRow<'a> {
    /// The row of an estimate.
    pub(crate) fn of(e: &'a ReleasedEstimate) -> Self {
        Self {
            quantity: e.quantity(),
            stratum: e.stratum().iter().map(|(k, v)| (&**k, &**v)).collect(),
            suppressed: e.shown().is_none(),
            estimate: e.shown(),
        }
    }
}

/// What a reader needs to make the figures again.
#[derive(Serialize)]
struct Made<'a> {
    catalog: Option<&'a str>,
    atlas: Option<&'a str>,
    run: Option<&'a str>,
    seed: Option<u64>,
    more: Vec<Fact<'a>>,
    queries: Vec<Asked<'a>>,
}

impl<'a> Made<'a> {
    fn of(report: &'a Report) -> Self {
        let from = &report.provenance;
        let asked = releases(report).into_iter().map(|(name, release)| Asked {
            name,
            file: release_path(name),
            query: release.query(),
        });
        Self {
            catalog: recorded(&from.catalog),
            atlas: recorded(&from.atlas),
            run: recorded(&from.run),
            seed: from.seed,
            more: from.more.iter().map(|(name, value)| Fact { name, value }).collect(),
            queries: asked.collect(),
        }
    }
}

#[derive(Serialize)]
struct Fact<'a> {
    name: &'a str,
    value: &'a str,
}

/// What was asked for a release, and the file that holds the answer.
#[derive(Serialize)]
struct Asked<'a> {
    name: &'static str,
    file: String,
    query: &'a Query,
}

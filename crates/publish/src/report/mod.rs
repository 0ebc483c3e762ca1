//! The report: one self-contained page with its figures and tables, the same as Markdown
//! and as JSON.
//!
//! **Invariant:** every number in them is formatted from a field of [`Report`]; a
//! figure whose data is absent or suppressed is replaced by a sentence that says so.

mod closing;
mod correction;
mod document;
mod figures;
mod markdown;
mod page;
mod quality;
mod ranks;
mod reading;
mod story;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tidegauge_model::count::Release;
use tidegauge_model::estimate::ReleasedEstimate;
use tidegauge_model::policy::Timeline;
use tidegauge_model::{Country, Coverage, Day, DayRange, ProductId, SectorId};

use crate::figure::Painter;
use crate::{Error, tables};
pub(crate) use closing::GLOSSARY;
pub use correction::{Correction, Stratum};
pub(crate) use document::EstimateRow;
pub(crate) use figures::{
    Section, active_cell, change_cell, events, section as section_of, share_in_words,
    window_short, windows_long,
};
pub(crate) use page::{Beside, banner, key_strip, section_html, style_sheet};
pub(crate) use quality::{footprint_sentence, table as coverage_table};
pub use reading::drawn_interval;
pub(crate) use reading::{
    Cell, Column, caveat, column, estimate, is_whole, months, sentence,
};
pub(crate) use story::{headline, keys, told, visibility_example};

/// Everything a report is made of. The app fills it; nothing in it is optional unless it
/// may truly be unknown.
#[derive(Clone, Debug)]
pub struct Report {
    /// The product, as in the catalog.
    pub product: ProductId,
    /// Its name for readers: `Kaspersky`.
    pub product_name: String,
    /// The country of the headline and of the sector figure.
    pub focus: Country,
    /// The days of the series: whole calendar months, January to December.
    pub period: DayRange,
    /// The days that any vantage covered.
    pub covered: DayRange,
    /// The window before.
    pub before: DayRange,
    /// The window after. If it is not as long as `before`, comparisons are refused in
    /// words.
    pub after: DayRange,
    /// Set if the data is simulated: a banner says so.
    pub synthetic: Option<Synthetic>,
    /// Set if eyeball addresses were simulated at a reduced scale: the address figure
    /// shows own + eyeball × factor, and says so.
    pub expansion: Option<Expansion>,
    /// Counts by month over `period`, the map of holders frozen on one day.
    pub months_frozen: Option<Release>,
    /// The same with the map of each day.
    pub months_each_day: Option<Release>,
    /// Counts by country in both windows.
    pub countries: Option<Paired>,
    /// Counts by sector of organisations of `focus` in both windows.
    pub sectors: Option<Paired>,
    /// Counts by country of government organisations in both windows.
    pub government: Option<Paired>,
    /// Cohort removal, net change and, where it is identified, removal with visibility
    /// taken out: one of each for all (empty stratum) and for each country
    /// (`country=US`). Other strata are written to the tables only.
    pub estimates: Vec<ReleasedEstimate>,
    /// What the model of visibility found; `None` if it was not asked.
    pub correction: Option<Correction>,
    /// Retention of the baseline cohort, one estimate per month in `after`. An empty
    /// stratum is everybody; `country=US` is drawn as a further line.
    pub retention: Vec<ReleasedEstimate>,
    /// Coverage of every vantage and day of `period`.
    pub coverage: Vec<Coverage>,
    /// Dated acts and events; those with a label are drawn.
    pub timeline: Timeline,
    /// Names of sectors for readers; the id is used where there is none.
    pub sector_names: BTreeMap<SectorId, String>,
    /// Popularity of host names in a public list, if the reader supplied it.
    pub rank_panel: Option<RankPanel>,
    /// How the figures were made.
    pub provenance: Provenance,
}

/// What is stamped on everything that shows simulated data.
const STAMP: &str = "SYNTHETIC DATA";

/// That the data is simulated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Synthetic {
    /// The world that was simulated: `A`.
    pub world: String,
    /// What it is, in a sentence.
    pub note: String,
}

impl Synthetic {
    /// Which world it is, and what that is.
    fn sentence(&self) -> String {
        format!("World {}. {}", self.world, self.note)
    }
}

/// How simulated eyeball addresses stand for more.
#[derive(Clone, Debug, PartialEq)]
pub struct Expansion {
    /// What the count of eyeball and mobile addresses is multiplied with; above 0.
    pub factor: f64,
    /// Why, in a sentence.
    pub note: String,
}

/// The same question asked of two windows. Both have the same one dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct Paired {
    /// Counts of the window before.
    pub before: Release,
    /// Counts of the window after.
    pub after: Release,
}

/// Positions of host names in a public list of popular names, at dated snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RankPanel {
    /// What the list is and who publishes it: `Cisco Umbrella Popularity List`.
    pub source: String,
    /// The tiers, best first: `[1000, 5000, 10000, 20000]`.
    pub tiers: Vec<u32>,
    /// One series per host.
    pub hosts: Vec<RankSeries>,
    /// What a reader must know before reading it.
    pub caveats: Vec<String>,
}

/// The positions of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankSeries {
    /// Whose host it is: `kaspersky`.
    pub vendor: String,
    /// The host name.
    pub host: String,
    /// What the host does: `update`.
    pub role: String,
    /// What the series is for.
    pub part: RankPart,
    /// Snapshot day and the best tier it was in; `None` is outside all tiers.
    pub points: Vec<(Day, Option<u32>)>,
}

/// What a series of a [`RankPanel`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RankPart {
    /// The product whose use is measured.
    Subject,
    /// A product of another vendor that no act addressed.
    Comparator,
    /// A name nearly every network asks for.
    Control,
}

/// What a reader needs to make the figures again.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Provenance {
    /// Name and version of the program.
    pub program: String,
    /// Version or hash of the catalog.
    pub catalog: String,
    /// Version or hash of the atlas.
    pub atlas: String,
    /// The id of the run.
    pub run: String,
    /// The seed of everything random.
    pub seed: Option<u64>,
    /// Further pairs of name and value, in order.
    pub more: Vec<(String, String)>,
}

/// What [`write()`] wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub html: PathBuf,
    /// How many files, the page included.
    pub files: usize,
}

/// Writes `index.html`, `report.md`, `report.json`, `figures/*.svg`, `figures/*.png` and
/// `tables/*.csv` below `dir`, which is made if absent. The same report gives the same bytes.
pub fn write(report: &Report, dir: &Path) -> Result<Written, Error> {
    let sections = sections(report);
    let source = source_line(report);
    let stamp = report.synthetic.as_ref().map(|_| STAMP);
    let mut files = Files { dir, count: 0 };
    let painter = Painter::new();
    for section in &sections {
        let Section::Drawn(figure) = section else { continue };
        let svg = figure.standalone(&source, stamp);
        let draw = |source| Error::Draw { figure: figure.id, source };
        let png = painter.paint(&svg).map_err(draw)?;
        let paths = Paths::of(figure.id);
        files.write(&paths.svg, svg.as_bytes())?;
        files.write(&paths.png, &png)?;
        files.write(&paths.csv, figure.table.csv().as_bytes())?;
    }
    for (name, release) in closing::releases(report) {
        let csv = tables::release(release).csv();
        files.write(&release_path(name), csv.as_bytes())?;
    }
    let text = markdown::text(report, &sections, &source);
    files.write("report.md", text.as_bytes())?;
    let json = document::json(report, &sections, &source);
    files.write("report.json", json.as_bytes())?;
    let html = page::html(report, &sections, &source);
    let html = files.write("index.html", html.as_bytes())?;
    Ok(Written { html, files: files.count })
}

/// The files of a figure, named from the folder of the report.
#[derive(Serialize)]
struct Paths {
    svg: String,
    png: String,
    csv: String,
}

impl Paths {
    fn of(id: &str) -> Self {
        Self {
            svg: format!("figures/{id}.svg"),
            png: format!("figures/{id}.png"),
            csv: format!("tables/{id}.csv"),
        }
    }
}

/// The file of a release, named from the folder of the report.
fn release_path(name: &str) -> String {
    let name: String = name
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c => c.is_ascii_alphanumeric().then_some(c),
        })
        .collect();
    format!("tables/release-{name}.csv")
}

/// Every section of the page in order.
fn sections(report: &Report) -> Vec<Section> {
    let mut sections = figures::all(report);
    let beside = sections.iter().position(|s| s.id() == "removal");
    let at = beside.map_or(sections.len(), |at| at + 1);
    sections.splice(at..at, correction::sections(report));
    if let Some(panel) = &report.rank_panel {
        let title = "Positions in a public list".to_owned();
        sections.push(figures::section("ranks", title, ranks::figure(report, panel)));
    }
    let title = "Coverage".to_owned();
    sections.push(figures::section("coverage", title, quality::figure(report)));
    sections
}

/// One figure of a report, or what stands in its place; `None` if there is none of this
/// name.
pub(crate) fn section(report: &Report, id: &str) -> Option<Section> {
    let coverage = || {
        let title = "Coverage".to_owned();
        figures::section("coverage", title, quality::figure(report))
    };
    match id {
        "coverage" => Some(coverage()),
        id => figures::one(report, id),
    }
}

/// The last line of every figure.
fn source_line(report: &Report) -> String {
    let kind = match &report.synthetic {
        Some(world) => format!("synthetic data, world {}", world.world),
        None => "network telemetry".to_owned(),
    };
    let program = match report.provenance.program.as_str() {
        "" => "Tidegauge",
        named => named,
    };
    let run = match report.provenance.run.as_str() {
        "" => String::new(),
        run => format!(", run {run}"),
    };
    format!("Source: {program}{run}; {kind}.")
}

struct Files<'a> {
    dir: &'a Path,
    count: usize,
}

impl Files<'_> {
    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<PathBuf, Error> {
        let path = self.dir.join(name);
        let failed = |source| Error::Write { path: path.clone(), source };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::write(&path, bytes).map_err(failed)?;
        self.count += 1;
        Ok(path)
    }
}

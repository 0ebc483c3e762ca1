//! Numbers as rows: CSV files and the tables beside the figures.
//!
//! **Invariant:** a suppressed count is the word `suppressed`, an unknown value of a
//! dimension the word `unattributed`; neither is ever empty or zero.

use serde::Serialize;
use tidegauge_model::count::{Counts, Release};
use tidegauge_model::estimate::{Estimate, Identification, Quantity, ReleasedEstimate};

use crate::figure::escape;
use crate::number::{counted, grouped};

/// What stands in a cell that a disclosure rule withheld.
pub const SUPPRESSED: &str = "suppressed";
/// What stands in place of a value of a dimension that is not known.
pub const UNATTRIBUTED: &str = "unattributed";

/// A header and rows of the same width.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
pub struct Table {
    /// Names of the columns.
    pub header: Vec<String>,
    /// Rows, each as wide as the header.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns and no row yet.
    pub fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn push<S: Into<String>>(&mut self, row: impl IntoIterator<Item = S>) {
        let row: Vec<String> = row.into_iter().map(Into::into).collect();
        debug_assert_eq!(
            row.len(),
            self.header.len(),
            "rows are as wide as the header"
        );
        self.rows.push(row);
    }

    /// The table as CSV (RFC 4180, UTF-8). Text that a spreadsheet would run as a formula
    /// is preceded by an apostrophe.
    pub fn csv(&self) -> String {
        let mut writer =
            csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
        let records = std::iter::once(&self.header).chain(&self.rows);
        for record in records {
            let cells = record.iter().map(|cell| harmless(cell));
            writer.write_record(cells).expect("writing to memory cannot fail");
        }
        let bytes = writer.into_inner().expect("writing to memory cannot fail");
        String::from_utf8(bytes).expect("every cell is UTF-8")
    }

    /// The first rows, and in words that there are more, if there are.
    pub(crate) fn first(&self, most: usize) -> (Self, Option<String>) {
        let mut shown = self.clone();
        shown.rows.truncate(most);
        let all = u64::try_from(self.rows.len()).unwrap_or(u64::MAX);
        let cut = (self.rows.len() > most)
            .then(|| format!("The first {most} of {}", counted(all, "row", "rows")));
        (shown, cut)
    }

    /// The table as HTML; columns of numbers stand to the right.
    pub(crate) fn html(&self, caption: &str) -> String {
        let numeric = self.numeric();
        let head = row_html(&self.header, &numeric, "th scope=\"col\"", "th");
        let body: String =
            self.rows.iter().map(|row| row_html(row, &numeric, "td", "td")).collect();
        format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{0}\"><table>\
             <caption>{0}</caption><thead>{head}</thead><tbody>{body}</tbody></table></div>",
            escape(caption)
        )
    }

    /// Of each column, whether it stands to the right.
    pub(crate) fn numeric(&self) -> Vec<bool> {
        (0..self.header.len()).map(|at| self.is_numeric(at)).collect()
    }

    /// Whether a column holds numbers, or words in the place of numbers.
    fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|r| r.get(column));
        let word = |c: &str| matches!(c, SUPPRESSED | "n/a" | "none" | "not expanded");
        let any = cells.clone().any(|c| is_number(c));
        any && cells.all(|c| is_number(c) || word(c))
    }
}

fn row_html(row: &[String], numeric: &[bool], open: &str, close: &str) -> String {
    let cells: String = row
        .iter()
        .zip(numeric)
        .map(|(cell, numeric)| {
            let class = if *numeric { " class=\"n\"" } else { "" };
            format!("<{open}{class}>{}</{close}>", escape(&readable(cell)))
        })
        .collect::<Vec<_>>()
        .concat();
    format!("<tr>{cells}</tr>")
}

/// Whole numbers with groups of digits; anything else as it is.
pub(crate) fn readable(cell: &str) -> String {
    match cell.parse::<u64>() {
        Ok(count) if cell.len() > 4 => grouped(count),
        _ => cell.to_owned(),
    }
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix(['-', '\u{2212}', '+']).unwrap_or(cell);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '%'))
}

fn harmless(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if formula && !is_number(cell) { format!("'{cell}") } else { cell.to_owned() }
}

/// Every cell of a release: one column per dimension, then the counts.
pub fn release(release: &Release) -> Table {
    let dimensions = release.query().by.iter().map(|d| d.as_str());
    let counts = [
        "addresses_v4",
        "networks_v6",
        "organisations",
        "organisations_active",
        "address_days",
        "contacts",
        "addresses_v4_consumer",
    ];
    let mut table = Table::new(dimensions.chain(counts));
    for row in release.rows() {
        let key = row
            .key
            .iter()
            .map(|v| v.clone().unwrap_or_else(|| UNATTRIBUTED.to_owned()));
        table.push(key.chain(count_cells(row.counts)));
    }
    table
}

fn count_cells(counts: Option<Counts>) -> [String; 7] {
    let Some(c) = counts else { return [(); 7].map(|()| SUPPRESSED.to_owned()) };
    [
        c.addresses_v4,
        c.networks_v6,
        c.organisations,
        c.organisations_active,
        c.address_days,
        c.contacts,
        c.addresses_v4_consumer,
    ]
    .map(|n| n.to_string())
}

/// Every estimate with its first interval, its method and whether it is identified.
pub fn estimates(estimates: &[ReleasedEstimate]) -> Table {
    let mut table = Table::new([
        "quantity",
        "stratum",
        "before",
        "after",
        "window_days",
        "value",
        "low",
        "high",
        "level",
        "interval",
        "n",
        "k",
        "method",
        "identified",
    ]);
    for estimate in estimates {
        let name = quantity(estimate.quantity()).to_owned();
        let stratum = stratum(estimate.stratum());
        let rest = match estimate.shown() {
            Some(shown) => estimate_cells(shown),
            None => [(); 12].map(|()| SUPPRESSED.to_owned()),
        };
        table.push([name, stratum].into_iter().chain(rest));
    }
    table
}

fn estimate_cells(e: &Estimate) -> [String; 12] {
    let interval = e.intervals.first();
    let part = |f: fn(&tidegauge_model::estimate::Interval) -> String| {
        interval.map_or_else(|| "none".to_owned(), f)
    };
    [
        e.before.to_string(),
        e.after.to_string(),
        e.after.length_days().to_string(),
        share(e.value),
        part(|i| share(i.low)),
        part(|i| share(i.high)),
        part(|i| i.level.to_string()),
        part(|i| i.method.clone()),
        e.n.to_string(),
        e.k.to_string(),
        e.method.clone(),
        identified(&e.identified),
    ]
}

/// A share as it stands in files.
pub(crate) fn share(value: f64) -> String {
    format!("{value:.6}")
}

/// The word for a quantity, as in the columns of files.
pub(crate) fn quantity(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::CohortRemoval => "cohort_removal",
        Quantity::NetChange => "net_change",
        Quantity::Retention => "retention",
        Quantity::RemovalCorrected => "removal_corrected",
    }
}

/// A stratum in words: `country=US`; `all` if it is empty.
pub(crate) fn stratum(stratum: &[(String, String)]) -> String {
    if stratum.is_empty() {
        return "all".to_owned();
    }
    let parts: Vec<String> = stratum.iter().map(|(k, v)| format!("{k}={v}")).collect();
    parts.join(" ")
}

/// Whether a figure is identified, in words.
pub(crate) fn identified(identified: &Identification) -> String {
    match identified {
        Identification::Identified => "identified".to_owned(),
        Identification::Mixed(what) => what.clone(),
        Identification::NotIdentified(why) => format!("not identified: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_become_a_formula() {
        let mut table = Table::new(["name", "n"]);
        table.push(["=HYPERLINK(\"x\")", "-5"]);
        assert_eq!(table.csv(), "name,n\n\"'=HYPERLINK(\"\"x\"\")\",-5\n");
    }

    #[test]
    fn a_cell_cannot_become_markup() {
        let mut table = Table::new(["<b>"]);
        table.push(["<script>"]);
        let html = table.html("a & b");
        assert!(!html.contains("<script>") && !html.contains("<b>"));
        assert!(html.contains("a &amp; b"));
    }
}

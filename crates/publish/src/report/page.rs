//! The page: one HTML file that needs nothing but itself.
//!
//! **Invariant:** nothing is loaded from anywhere; a policy in its head forbids it.

use std::collections::BTreeSet;

use tidegauge_model::count::Release;

use super::figures::Section;
use super::{Provenance, Report, reading, story};
use crate::figure::{Figure, append, escape, variables};
use crate::number::{counted, percent_fine};
use crate::tables;

/// Forbids every load but the style and the faces that are in the page itself.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; font-src data:; \
                      img-src data:; base-uri 'none'; form-action 'none'";

/// The style sheet of every page: faces, colours of both schemes, layout.
pub(crate) fn style_sheet() -> String {
    format!(
        "{}{}{}",
        include_str!("../../assets/fonts.css"),
        variables("svg"),
        include_str!("../../assets/page.css")
    )
}

/// The whole page.
pub(super) fn html(report: &Report, sections: &[Section], source: &str) -> String {
    let headline = story::headline(report);
    let mut page = head(&headline, POLICY);
    page.push_str("<body>\n");
    page.push_str(&banner(report.synthetic.as_ref()));
    page.push_str("<main>\n");
    append(
        &mut page,
        format_args!(
            "<header><p class=\"kicker\">Tidegauge <span>{}</span></p></header>\n",
            escape(&report.product_name)
        ),
    );
    page.push_str(&opening(report));
    for section in sections {
        page.push_str(&section_html(section, source, Beside::Files));
    }
    page.push_str(&quality(report));
    page.push_str(&method(report));
    page.push_str(&glossary());
    page.push_str(&withheld(report));
    page.push_str(&provenance(report));
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// The head of a page.
fn head(title: &str, policy: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
         <style>\n{}</style>\n</head>\n",
        escape(title),
        style_sheet()
    )
}

/// The banner of simulated data; empty for real data.
pub(crate) fn banner(synthetic: Option<&super::Synthetic>) -> String {
    synthetic.map_or_else(String::new, |s| {
        format!(
            "<aside class=\"banner\" aria-label=\"What this data is\"><strong>SYNTHETIC \
             DATA</strong> World {}. {}</aside>\n",
            escape(&s.world),
            escape(&s.note)
        )
    })
}

/// The headline and the key numbers.
pub(super) fn opening(report: &Report) -> String {
    let mut html = format!(
        "<h1>{}</h1>\n<p class=\"standfirst\">{}</p>\n",
        escape(&story::headline(report)),
        escape(&story::standfirst(report))
    );
    let keys = story::keys(report);
    html.push_str(&key_strip(&keys));
    if !keys.is_empty() {
        append(
            &mut html,
            format_args!(
                "<p class=\"caveat\">{} {}</p>\n",
                escape(&story::windows_sentence(report)),
                escape(&reading::caveat_of_all(report))
            ),
        );
    }
    html
}

/// Key numbers beside each other.
pub(crate) fn key_strip(keys: &[story::Key]) -> String {
    if keys.is_empty() {
        return String::new();
    }
    let keys: Vec<String> = keys
        .iter()
        .map(|key| {
            format!(
                "<div><dt>{}</dt><dd class=\"figure\">{}</dd><dd>{}</dd></div>\n",
                escape(&key.label),
                escape(&key.figure),
                escape(&key.note)
            )
        })
        .collect();
    format!("<dl class=\"keys\">\n{}</dl>\n", keys.concat())
}

/// What stands beside a figure besides its words and its numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Beside<'a> {
    /// Files in folders next to the page.
    Files,
    /// Nothing: it is not for passing on.
    Nothing,
    /// Addresses of a server.
    Served {
        /// The address of the figure alone.
        permalink: &'a str,
        /// The address of its data, to which `&format=…` is added.
        download: &'a str,
        /// How to cite it.
        cite: &'a str,
    },
}

pub(crate) fn section_html(
    section: &Section,
    source: &str,
    beside: Beside<'_>,
) -> String {
    match section {
        Section::Drawn(figure) => figure_html(figure, source, beside),
        Section::Absent { id, title, why } => format!(
            "<section id=\"{id}\" class=\"absent\"><h2>{}</h2><p>{}</p></section>\n",
            escape(title),
            escape(why)
        ),
    }
}

/// A figure with its words, its files (if it has any) and its numbers.
fn figure_html(figure: &Figure, source: &str, beside: Beside<'_>) -> String {
    let mut notes: String = paragraphs(figure.notes.iter().map(String::as_str));
    if !figure.caveat.is_empty() {
        notes.insert_str(
            0,
            &format!("<p class=\"must\">{}</p>", escape(&figure.caveat)),
        );
    }
    let source = escape(figure.source.as_deref().unwrap_or(source));
    format!(
        "<figure id=\"{}\">\n<figcaption><h2>{}</h2><p class=\"sub\">{}</p></figcaption>\n\
         {}<div class=\"notes\">{notes}<p class=\"source\">{source}{}</p>{}</div>\n{}\
         </figure>\n",
        figure.id,
        escape(&figure.title),
        escape(&figure.subtitle),
        figure.inline(),
        links(figure, beside),
        citation(beside),
        numbers(figure, beside)
    )
}

/// Where the figure can be had as a file, each link named for those who hear it alone.
fn links(figure: &Figure, beside: Beside<'_>) -> String {
    let id = figure.id;
    let link = |at: String, form: &str| {
        format!(" <a href=\"{}\" aria-label=\"{form} of {id}\">{form}</a>", escape(&at))
    };
    match beside {
        Beside::Nothing => String::new(),
        Beside::Files => [
            link(format!("figures/{id}.svg"), "SVG"),
            link(format!("figures/{id}.png"), "PNG"),
            link(format!("tables/{id}.csv"), "CSV"),
        ]
        .concat(),
        Beside::Served { permalink, download, .. } => {
            let files =
                [("svg", "SVG"), ("png", "PNG"), ("csv", "CSV"), ("json", "JSON")];
            let files = files.map(|(key, form)| {
                let join = if download.contains('?') { '&' } else { '?' };
                link(format!("{download}{join}format={key}"), form)
            });
            format!("{}{}", link(permalink.to_owned(), "Permalink"), files.concat())
        }
    }
}

fn citation(beside: Beside<'_>) -> String {
    match beside {
        Beside::Files | Beside::Nothing => String::new(),
        Beside::Served { cite, .. } => {
            format!("<p class=\"cite\">Cite as: {}</p>", escape(cite))
        }
    }
}

/// Rows of a table on the page of a report; the file has all.
const PAGE_ROWS_MAX: usize = 400;
/// The same on a served page, which is to be small.
const SERVED_ROWS_MAX: usize = 60;

fn numbers(figure: &Figure, beside: Beside<'_>) -> String {
    let table = &figure.table;
    let most = match beside {
        Beside::Files | Beside::Nothing => PAGE_ROWS_MAX,
        Beside::Served { .. } => SERVED_ROWS_MAX,
    };
    let mut shown = table.clone();
    shown.rows.truncate(most);
    let rest = if table.rows.len() > shown.rows.len() {
        format!(
            "<p>The first {most} of {}; the CSV file has all.</p>",
            counted(u64::try_from(table.rows.len()).unwrap_or(0), "row", "rows")
        )
    } else {
        String::new()
    };
    format!(
        "<details><summary>The numbers</summary>{}{rest}</details>\n",
        shown.html(&figure.subtitle)
    )
}

fn paragraphs<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.map(|text| format!("<p>{}</p>", escape(text))).collect::<Vec<_>>().concat()
}

fn quality(report: &Report) -> String {
    let table = super::quality::table(&report.coverage);
    if table.rows.is_empty() {
        return String::new();
    }
    format!(
        "<section id=\"quality\"><h2>What the sensors saw</h2>\n<p>Each vantage with all \
         it read and all it could not read. Losses are counted, never filled in.</p>\n{}\
         </section>\n",
        table.html("Coverage per vantage")
    )
}

fn method(report: &Report) -> String {
    let query = [&report.months_frozen, &report.months_each_day]
        .into_iter()
        .flatten()
        .map(Release::query)
        .next();
    let counted_how = query.map_or_else(String::new, |q| {
        let roles: Vec<&str> = q.roles.iter().map(|r| r.as_str()).collect();
        let kinds: Vec<&str> = q.organisation_kinds.iter().map(|k| k.as_str()).collect();
        format!(
            "<p>Counted here: contacts with servers of role {}, of weight {} or more. An \
             address stands for an organisation only in networks of kind {}. An \
             organisation is active in a window with at least {} of contact in it.</p>\n",
            escape(&roles.join(", ")),
            escape(q.weight_min.as_str()),
            escape(&kinds.join(", ").replace('_', " ")),
            counted(q.active_days_min.into(), "day", "days")
        )
    });
    format!(
        "<section id=\"method\"><h2>How this was counted</h2>\n\
         <p>Sensors see that an address talked to a server. A dated catalog says which \
         servers a product fetches its updates from; a dated atlas says who held the \
         address on that day. Distinct addresses and distinct organisations are then \
         counted exactly; no count is added to another, because one organisation can be \
         in many cells.</p>\n{counted_how}\
         <p>{}</p>\n\
         <h3>What these numbers cannot tell</h3>\n<p>{}</p>\n\
         <p>An address is not a device: one relay can stand for ten thousand, and one \
         device can use thirty addresses in a month. Organisations are the sturdier unit. \
         “In contact” means exactly that; it does not mean that a rule was broken.</p>\n\
         </section>\n",
        escape(&story::windows_sentence(report)),
        escape(&story::visibility_example())
    )
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

fn glossary() -> String {
    let items: String = GLOSSARY
        .iter()
        .map(|(word, meaning)| {
            format!("<dt>{}</dt><dd>{}</dd>", escape(word), escape(meaning))
        })
        .collect::<Vec<_>>()
        .concat();
    format!("<section id=\"glossary\"><h2>Words</h2>\n<dl>{items}</dl></section>\n")
}

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

fn withheld(report: &Report) -> String {
    let mut table =
        tables::Table::new(["counts", "cells", "suppressed", "unattributed"]);
    let mut rules: BTreeSet<&str> = BTreeSet::new();
    for (name, release) in releases(report) {
        rules.insert(release.rule());
        table.push([
            name.to_owned(),
            release.rows().len().to_string(),
            release.suppressed().to_string(),
            percent_fine(release.unattributed_share()),
        ]);
    }
    let hidden = report.estimates.iter().chain(&report.retention);
    let hidden = hidden.filter(|e| e.shown().is_none()).count();
    let rules: String = paragraphs(rules.iter().copied());
    let rules = if rules.is_empty() {
        "<p>No counts were released, so none was withheld.</p>".to_owned()
    } else {
        format!(
            "<p>Every count passed this rule before it came here:</p>\
             <blockquote>{rules}</blockquote>"
        )
    };
    format!(
        "<section id=\"withheld\"><h2>What is withheld, and why</h2>\n{rules}\n\
         <p>{} suppressed. Unattributed: share of address-days whose holder is not \
         known.</p>\n{}</section>\n",
        match hidden {
            0 => "No estimate is".to_owned(),
            1 => "One estimate is".to_owned(),
            n => format!("{n} estimates are"),
        },
        if table.rows.is_empty() {
            String::new()
        } else {
            table.html("Cells per release")
        }
    )
}

fn provenance(report: &Report) -> String {
    let Provenance { program, catalog, atlas, run, seed, more } = &report.provenance;
    let unknown = |text: &str| {
        if text.is_empty() { "not recorded".to_owned() } else { text.to_owned() }
    };
    let seed = seed.map_or_else(|| "none used".to_owned(), |s| s.to_string());
    let mut items = vec![
        ("Program".to_owned(), unknown(program)),
        ("Catalog".to_owned(), unknown(catalog)),
        ("Atlas".to_owned(), unknown(atlas)),
        ("Run".to_owned(), unknown(run)),
        ("Seed".to_owned(), seed),
    ];
    items.extend(more.iter().cloned());
    let list: String = items
        .iter()
        .map(|(name, value)| {
            format!("<dt>{}</dt><dd>{}</dd>", escape(name), escape(value))
        })
        .collect::<Vec<_>>()
        .concat();
    let queries: String = releases(report)
        .iter()
        .map(|(name, release)| {
            let json = serde_json::to_string(release.query())
                .expect("a query has only text keys");
            format!("<dt>{}</dt><dd><code>{}</code></dd>", escape(name), escape(&json))
        })
        .collect::<Vec<_>>()
        .concat();
    format!(
        "<section id=\"provenance\"><h2>How to make it again</h2>\n\
         <dl class=\"facts\">{list}</dl>\n<details><summary>The queries</summary>\
         <dl class=\"queries\">{queries}</dl></details></section>\n"
    )
}

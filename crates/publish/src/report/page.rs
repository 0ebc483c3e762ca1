//! The page: one HTML file that needs nothing but itself.
//!
//! **Invariant:** nothing is loaded from anywhere; a policy in its head forbids it.

use super::closing::{self, Block, Part};
use super::figures::Section;
use super::{Paths, Report, STAMP, reading, story};
use crate::figure::{Figure, append, escape, variables};

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
    for part in closing::parts(report) {
        page.push_str(&part_html(&part));
    }
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
            "<aside class=\"banner\" aria-label=\"What this data is\"><strong>{STAMP}\
             </strong> {}</aside>\n",
            escape(&s.sentence())
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
        Beside::Files => {
            let Paths { svg, png, csv } = Paths::of(id);
            [link(svg, "SVG"), link(png, "PNG"), link(csv, "CSV")].concat()
        }
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
    let most = match beside {
        Beside::Files | Beside::Nothing => PAGE_ROWS_MAX,
        Beside::Served { .. } => SERVED_ROWS_MAX,
    };
    let (shown, cut) = figure.table.first(most);
    let rest = cut
        .map(|cut| format!("<p>{cut}; the CSV file has all.</p>"))
        .unwrap_or_default();
    format!(
        "<details><summary>The numbers</summary>{}{rest}</details>\n",
        shown.html(&figure.subtitle)
    )
}

fn paragraphs<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.map(|text| format!("<p>{}</p>", escape(text))).collect::<Vec<_>>().concat()
}

fn part_html(part: &Part) -> String {
    let blocks: Vec<String> = part.blocks.iter().map(block_html).collect();
    format!(
        "<section id=\"{}\"><h2>{}</h2>\n{}\n</section>\n",
        part.id,
        escape(part.title),
        blocks.join("\n")
    )
}

fn block_html(block: &Block) -> String {
    match block {
        Block::Heading(words) => format!("<h3>{}</h3>", escape(words)),
        Block::Text(words) => paragraphs([words.as_str()].into_iter()),
        Block::Quote(rules) => {
            let rules = paragraphs(rules.iter().map(String::as_str));
            format!("<blockquote>{rules}</blockquote>")
        }
        Block::Numbers { caption, table } => table.html(caption),
        Block::Words(pairs) => {
            let pairs = pairs.iter().map(|(word, meaning)| term(word, meaning));
            format!("<dl>{}</dl>", pairs.collect::<Vec<_>>().concat())
        }
        Block::Facts(pairs) => {
            let pairs = pairs.iter().map(|(name, value)| term(name, value));
            format!("<dl class=\"facts\">{}</dl>", pairs.collect::<Vec<_>>().concat())
        }
        Block::Queries(pairs) => {
            let pairs = pairs.iter().map(|(name, json)| {
                let (name, json) = (escape(name), escape(json));
                format!("<dt>{name}</dt><dd><code>{json}</code></dd>")
            });
            format!(
                "<details><summary>The queries</summary><dl class=\"queries\">{}</dl>\
                 </details>",
                pairs.collect::<Vec<_>>().concat()
            )
        }
    }
}

fn term(word: &str, meaning: &str) -> String {
    format!("<dt>{}</dt><dd>{}</dd>", escape(word), escape(meaning))
}

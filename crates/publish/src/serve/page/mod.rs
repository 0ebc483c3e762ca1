//! The pages: one layout, a file for each kind of page.
//!
//! **Invariant:** a page works without a script. Whatever is put into it as text is
//! escaped where it is put in.

mod about;
mod act;
mod explore;
mod exposure;
mod form;
mod front;
mod layout;
mod lists;
mod organisation;
mod quality;
mod releases;
mod single;
mod subject;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Shared;
use super::answer::Problem;
use super::desk::{Desk, NOTHING_READ, Place};
use super::figures::{Made, sections};
use super::kept::fleeting;
use super::selection::Selection;
use crate::figure::escape;
use crate::number::{grouped, short};
use crate::report::{Beside, Section, section_html};
use layout::{Crumb, Page};

/// All pages.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(front::page))
        .route("/products", get(lists::products))
        .route("/products/{id}", get(subject::product))
        .route("/countries", get(lists::countries))
        .route("/countries/{id}", get(subject::country))
        .route("/sectors", get(lists::sectors))
        .route("/sectors/{id}", get(subject::sector))
        .route("/policies", get(lists::policies))
        .route("/policies/{id}", get(act::page))
        .route("/organisations", get(organisation::search))
        .route("/organisations/{id}", get(organisation::page))
        .route("/exposure", get(exposure::list))
        .route("/exposure/{id}", get(exposure::page))
        .route("/compare", get(single::compare))
        .route("/figures/{id}", get(single::figure))
        .route("/explore", get(explore::page))
        .route("/quality", get(quality::page))
        .route("/releases", get(releases::list))
        .route("/releases/{id}", get(releases::page))
        .route("/methods", get(about::methods))
        .route("/about", get(about::about))
}

/// A page, or what went wrong in the same layout.
fn respond(shared: &Shared, made: Result<Page, Problem>) -> Response {
    let (status, page) = match made {
        Ok(page) => (StatusCode::OK, page),
        Err(problem) if problem.error == NOTHING_READ => (StatusCode::OK, empty()),
        Err(problem) => (problem.status, failure(&problem)),
    };
    let html = page.html(&shared.settings);
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let response = (status, [(header::CONTENT_TYPE, kind)], html).into_response();
    if page.passing { fleeting(response) } else { response }
}

/// What stands at an address that is none.
pub(super) async fn nowhere(State(shared): State<Shared>, uri: Uri) -> Response {
    let problem = Problem::absent(
        "there is nothing here",
        "pages are listed above, routes at /api/v1/openapi.json",
    );
    if uri.path().starts_with("/api/") {
        return problem.into_response();
    }
    respond(&shared, Err(problem))
}

fn failure(problem: &Problem) -> Page {
    Page {
        title: "No answer".to_owned(),
        body: format!("<h1>No answer</h1>\n{}", said(problem)),
        ..Page::default()
    }
}

/// What is wrong, for its place on a page.
fn said(problem: &Problem) -> String {
    format!(
        "<p class=\"error\" role=\"alert\">{}. <br>Hint: {}.</p>\n",
        escape(&problem.error),
        escape(&problem.hint)
    )
}

fn empty() -> Page {
    Page {
        title: "Nothing has been read yet".to_owned(),
        body: "<section class=\"absent\"><h1>Nothing has been read yet</h1><p>There is no \
               day of coverage, so there is nothing to count. Ingest telemetry, then load \
               this page again.</p></section>\n"
            .to_owned(),
        ..Page::default()
    }
}

/// Figures of one selection as HTML, and the report behind them.
async fn drawn(
    desk: &Desk<'_>,
    ids: &[&str],
    selection: &Selection,
) -> Result<(Made, String), Problem> {
    let made = sections(desk, ids, selection).await?;
    let html: Vec<String> =
        made.sections.iter().map(|s| placed(desk, s, selection)).collect();
    let html = html.concat();
    Ok((made, html))
}

/// One figure with its addresses.
fn placed(desk: &Desk<'_>, section: &Section, selection: &Selection) -> String {
    served(desk, section, &desk.place(section.id(), selection, section.title()))
}

/// A figure with the addresses of its place.
fn served(desk: &Desk<'_>, section: &Section, place: &Place) -> String {
    let beside = Beside::Served {
        permalink: &place.permalink,
        download: &place.download,
        cite: &place.cite,
    };
    section_html(section, &desk.source(), beside)
}

/// A link.
fn link(address: &str, words: &str) -> String {
    format!("<a href=\"{}\">{}</a>", escape(address), escape(words))
}

/// Sentences as a list.
fn told(sentences: &[String]) -> String {
    if sentences.is_empty() {
        return String::new();
    }
    let items: Vec<String> =
        sentences.iter().map(|s| format!("<li>{}</li>", escape(s))).collect();
    format!("<ul class=\"told\">{}</ul>\n", items.concat())
}

/// A table whose cells are HTML already; columns after the first `text` hold numbers.
fn table(caption: &str, header: &[&str], text: usize, rows: &[Vec<String>]) -> String {
    let class = |at: usize| if at < text { "" } else { " class=\"n\"" };
    let head: Vec<String> = header
        .iter()
        .enumerate()
        .map(|(at, name)| {
            format!("<th scope=\"col\"{}>{}</th>", class(at), escape(name))
        })
        .collect();
    let body: Vec<String> = rows
        .iter()
        .map(|row| {
            let cells: Vec<String> = row
                .iter()
                .enumerate()
                .map(|(at, cell)| format!("<td{}>{cell}</td>", class(at)))
                .collect();
            format!("<tr>{}</tr>", cells.concat())
        })
        .collect();
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table>\
         <caption>{0}</caption><thead><tr>{1}</tr></thead><tbody>{2}</tbody></table></div>\n",
        escape(caption),
        head.concat(),
        body.concat()
    )
}

/// Rows of a long list on a page.
const LISTED_MAX: usize = 500;

/// That a list is longer than what is shown of it, and where all of it is.
fn more(rows: usize, whole: &str) -> String {
    if rows <= LISTED_MAX {
        return String::new();
    }
    format!(
        "<p class=\"caveat\">The first {LISTED_MAX} of {} are shown; take {}.</p>\n",
        grouped(u64::try_from(rows).unwrap_or(u64::MAX)),
        link(whole, "all of it from the interface")
    )
}

/// Names and what stands beside them; what is empty is left out.
fn facts<N: AsRef<str>>(pairs: &[(N, String)]) -> String {
    let items: Vec<String> = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| {
            format!("<dt>{}</dt><dd>{}</dd>", escape(name.as_ref()), escape(value))
        })
        .collect();
    format!("<dl class=\"facts\">{}</dl>\n", items.concat())
}

/// A bar of a length, drawn with text of the same figure beside it for those who do not
/// see it; as an SVG because styles in a page are forbidden.
fn bar(value: f64, most: f64) -> String {
    let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 };
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" \
         aria-hidden=\"true\"><rect class=\"soft\" width=\"100\" height=\"10\"/><rect \
         class=\"f1\" width=\"{:.1}\" height=\"10\"/></svg><span class=\"num\">{}</span>",
        share * 100.0,
        short(value)
    )
}

/// The way to a page from the front.
fn crumbs(steps: &[(&str, &str)]) -> Vec<Crumb> {
    steps.iter().map(|(at, name)| Crumb::new(at, name)).collect()
}

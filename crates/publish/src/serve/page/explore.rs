//! Every choice in one form, with all figures of what was chosen.

use axum::extract::State;
use axum::response::Response;

use super::form::{Field, form};
use super::layout::Page;
use super::{crumbs, drawn, respond, said};
use crate::figure::escape;
use crate::report;
use crate::serve::Shared;
use crate::serve::answer::Problem;
use crate::serve::asked::Asked;
use crate::serve::desk::{Desk, cut_sentence};
use crate::serve::param::SELECTION;
use crate::serve::selection::Selection;

/// Figures of the page.
const FIGURES: [&str; 5] = ["over-time", "countries", "removal", "sectors", "coverage"];
/// All that can be chosen.
const FIELDS: [Field; 5] =
    [Field::Product, Field::Country, Field::Sector, Field::Months, Field::Windows];

/// `GET /explore`. What cannot be answered is told above the form that asked it.
pub(crate) async fn page(
    State(shared): State<Shared>,
    asked: Result<Asked, Problem>,
) -> Response {
    let desk = match Desk::open(&shared).await {
        Ok(desk) => desk,
        Err(problem) => return respond(&shared, Err(problem)),
    };
    let selection = asked
        .and_then(|asked| asked.only(SELECTION))
        .and_then(|asked| desk.selection(&asked));
    let made = match selection {
        Ok(selection) => chosen(&desk, &selection).await,
        Err(problem) => Err(problem),
    };
    let status =
        made.as_ref().map_or_else(|p| p.status, |_| axum::http::StatusCode::OK);
    let page = made.unwrap_or_else(|problem| {
        let form = form("/explore", &desk, &desk.usual(), &FIELDS);
        titled(format!("<h1>Explore</h1>\n{}{form}", said(&problem)))
    });
    let mut response = respond(&shared, Ok(page));
    *response.status_mut() = status;
    response
}

async fn chosen(desk: &Desk<'_>, selection: &Selection) -> Result<Page, Problem> {
    let (made, figures) = drawn(desk, &FIGURES, selection).await?;
    let report = &made.report;
    Ok(titled(format!(
        "{}<h1>{}</h1>\n{}<p class=\"caveat\">{} {}</p>\n{figures}",
        form("/explore", desk, selection, &FIELDS),
        escape(&report::headline(report)),
        report::key_strip(&report::keys(report)),
        escape(&report::caveat(report)),
        escape(&cut_sentence(selection).unwrap_or_default()),
    )))
}

fn titled(body: String) -> Page {
    let crumbs = crumbs(&[("/", "Overview")]);
    Page { title: "Explore".to_owned(), here: "/explore", crumbs, body, passing: false }
}

//! The front page: what is happening, in three sentences and three figures.
//!
//! **Invariant:** each sentence is made of the numbers of the figures below it.

use axum::extract::State;
use axum::response::Response;

use super::layout::Page;
use super::{drawn, link, respond, told};
use crate::country;
use crate::figure::escape;
use crate::number::day_long;
use crate::report;
use crate::serve::Shared;
use crate::serve::answer::Problem;
use crate::serve::asked::Asked;
use crate::serve::desk::Desk;
use crate::serve::param::SELECTION;

/// Figures of the page.
const FIGURES: [&str; 3] = ["over-time", "countries", "removal"];
/// Acts named on the page.
const ACTS_MAX: usize = 5;

/// `GET /`.
pub(crate) async fn page(
    State(shared): State<Shared>,
    asked: Result<Asked, Problem>,
) -> Response {
    let made = front(&shared, asked).await;
    respond(&shared, made)
}

async fn front(
    shared: &Shared,
    asked: Result<Asked, Problem>,
) -> Result<Page, Problem> {
    let asked = asked?.only(SELECTION)?;
    let desk = Desk::open(shared).await?;
    let selection = desk.selection(&asked)?;
    let (made, figures) = drawn(&desk, &FIGURES, &selection).await?;
    let report = &made.report;
    let place = selection.place(&desk.scope);
    let keys = report::keys(report);
    let mut sentences = vec![];
    sentences.extend(report::told(report, &place));
    let body = format!(
        "<h1>{}</h1>\n{}{}<p class=\"caveat\">{}</p>\n{figures}{}",
        escape(&report::headline(report)),
        told(&sentences),
        report::key_strip(&keys),
        escape(&report::caveat(report)),
        latest(report),
    );
    Ok(Page { here: "/", body, ..Page::default() })
}

/// The acts whose dates are the latest.
fn latest(report: &report::Report) -> String {
    let mut acts: Vec<_> = report
        .timeline
        .policies
        .iter()
        .filter_map(|act| {
            let dates = [act.announced, act.effective, act.deadline];
            Some((dates.into_iter().flatten().max()?, act))
        })
        .collect();
    acts.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.id.cmp(&b.1.id)));
    let items: Vec<String> = acts
        .iter()
        .take(ACTS_MAX)
        .map(|(day, act)| {
            let address = format!("/policies/{}", act.id);
            let name = if act.label.is_empty() { act.id.as_str() } else { &act.label };
            format!(
                "<li>{} {}: {}</li>",
                escape(&day_long(*day)),
                link(&address, name),
                escape(&country::name(act.country.as_str()))
            )
        })
        .collect();
    if items.is_empty() {
        return String::new();
    }
    format!(
        "<section id=\"acts\"><h2>The latest acts on {}</h2><ul>{}</ul><p>{}</p></section>\n",
        escape(&report.product_name),
        items.concat(),
        link("/policies", "All acts")
    )
}

//! Releases: what was published, and beside it what the same question says today.
//!
//! **Invariant:** a cell that was suppressed then stays so on this page, whatever is shown of it
//! today: the two together would tell more than either.

use axum::extract::State;
use axum::response::Response;
use tidegauge_model::count::Dimension;

use super::layout::Page;
use super::{LISTED_MAX, crumbs, facts, link, more, respond, table, told};
use crate::country;
use crate::figure::escape;
use crate::number::{change, day_long, days, grouped, real};
use crate::publication::{
    Beside, Publication, Shown, UNITS, Unit, beside, masked, subject,
};
use crate::report;
use crate::serve::answer::Problem;
use crate::serve::api::{Named, named, published, today};
use crate::serve::asked::Asked;
use crate::serve::param::NONE;
use crate::serve::selection::encoded;
use crate::serve::{CountsError, Scope, Shared};
use crate::tables::SUPPRESSED;

const HERE: &str = "/releases";

/// `GET /releases`.
pub(crate) async fn list(
    State(shared): State<Shared>,
    asked: Result<Asked, Problem>,
) -> Response {
    let made = listed(&shared, asked).await;
    respond(&shared, made)
}

async fn listed(
    shared: &Shared,
    asked: Result<Asked, Problem>,
) -> Result<Page, Problem> {
    asked?.only(NONE)?;
    let kept = shared.counts.releases().await?;
    let rows: Vec<Vec<String>> = kept
        .iter()
        .rev()
        .take(LISTED_MAX)
        .map(|one| {
            let query = one.release.query();
            vec![
                link(&address(&one.id), &subject(query)),
                escape(&days(query.days)),
                escape(&query.on.to_string()),
                escape(&published_on(one)),
                one.release.rows().len().to_string(),
                one.release.suppressed().to_string(),
            ]
        })
        .collect();
    let header = ["what", "days", "holders as of", "published", "cells", "suppressed"];
    let found = if rows.is_empty() {
        "<p class=\"absent\">Nothing was published of this lake yet: <code>tidegauge \
         report</code> keeps what it shows.</p>\n"
            .to_owned()
    } else {
        let table = table("Releases, the latest first", &header, 4, &rows);
        format!("{table}{}", more(kept.len(), "/api/v1/releases"))
    };
    let body = format!(
        "<h1>Releases</h1>\n<p class=\"standfirst\">Every count that a report showed is kept \
         as it was shown. Data that came late, a better catalog or a better map of holders \
         change what is said today, never what was said then.</p>\n{found}"
    );
    Ok(Page {
        title: "Releases".to_owned(),
        here: HERE,
        crumbs: crumbs(&[("/", "Overview")]),
        body,
        // The lake can get another release without another sighting.
        passing: true,
    })
}

/// The day of publication, and that of withdrawal.
fn published_on(one: &Publication) -> String {
    let made = day_long(one.made.day());
    match one.withdrawn {
        Some(at) => format!("{made}, withdrawn {}", day_long(at.day())),
        None => made,
    }
}

fn address(id: &str) -> String {
    format!("{HERE}/{}", encoded(id))
}

/// `GET /releases/{id}`.
pub(crate) async fn page(
    State(shared): State<Shared>,
    name: Named,
    asked: Result<Asked, Problem>,
) -> Response {
    let made = one(&shared, name, asked).await;
    respond(&shared, made)
}

async fn one(
    shared: &Shared,
    name: Named,
    asked: Result<Asked, Problem>,
) -> Result<Page, Problem> {
    asked?.only(NONE)?;
    let id = named(name)?;
    let publication = published(shared, &id).await?;
    let scope = shared.counts.scope().await?;
    let (now, why_not) = match today(shared, &publication).await {
        Ok(now) => (Some(now), String::new()),
        Err(CountsError::Refused { asked, hint }) => {
            let words = format!("What it says today is not shown: {asked} ({hint}).");
            (None, format!("<p class=\"caveat\">{}</p>\n", escape(&words)))
        }
        Err(failed) => return Err(failed.into()),
    };
    let causes = if shared.settings.internal {
        causes(shared, &id).await?
    } else {
        String::new()
    };
    let then = &publication.release;
    let cells = beside(then, now.as_ref().unwrap_or(then));
    let cells = masked(cells, now.is_some(), shared.settings.internal);
    let title = report::sentence(&subject(then.query()));
    let counted = if now.is_some() { summed_up(&cells) } else { String::new() };
    let body = format!(
        "<h1>{}</h1>\n<p class=\"standfirst\">As published on {}{}.</p>\n{}{}{counted}{why_not}{}{causes}",
        escape(&title),
        day_long(publication.made.day()),
        if now.is_some() { ", and as known now" } else { "" },
        withdrawal(&publication),
        manifest(&publication, &cells),
        figures(&publication, &scope, &cells, now.is_some()),
    );
    Ok(Page {
        title,
        here: HERE,
        crumbs: crumbs(&[("/", "Overview"), (HERE, "Releases")]),
        body,
        passing: false,
    })
}

/// That nobody should cite it any more.
fn withdrawal(publication: &Publication) -> String {
    publication.withdrawn.map_or_else(String::new, |at| {
        format!(
            "<p class=\"caveat\">Withdrawn on {}: its publisher does not stand by it any more.</p>\n",
            day_long(at.day())
        )
    })
}

fn manifest(publication: &Publication, cells: &[Beside<'_>]) -> String {
    let hidden = cells.iter().filter(|c| c.then == Shown::Suppressed).count();
    let release = &publication.release;
    let query = release.query();
    let mut known = vec![
        ("Published".to_owned(), publication.made.to_string()),
        ("Days".to_owned(), days(query.days)),
        ("Holders as of".to_owned(), query.on.to_string()),
        ("Rule".to_owned(), report::sentence(release.rule())),
        ("Suppressed then".to_owned(), format!("{} cells", release.suppressed())),
    ];
    if hidden > release.suppressed() {
        let more = hidden - release.suppressed();
        known.push(("Suppressed today".to_owned(), format!("{more} more")));
    }
    known.extend(publication.versions.iter().cloned());
    known.push(("Id".to_owned(), publication.id.clone()));
    facts(&known)
}

/// How many figures are other ones today.
fn summed_up(cells: &[Beside<'_>]) -> String {
    let shown = cells.iter().filter_map(|c| Some((c.then.counts()?, c.today)));
    let (mut figures, mut moved) = (0u64, 0u64);
    for (then, today) in shown {
        for unit in &UNITS {
            figures += 1;
            let now = today.counts().map(|counts| (unit.of)(&counts));
            moved += u64::from(now != Some((unit.of)(&then)));
        }
    }
    let words = match moved {
        0 => {
            format!("Each of {} figures shown is today what it was.", grouped(figures))
        }
        moved => format!(
            "{} of {} figures that are shown are other ones today.",
            grouped(moved),
            grouped(figures)
        ),
    };
    told(&[words])
}

/// How many of the units a page has room for; all are in the CSV.
const UNITS_SHOWN: usize = 3;

fn figures(
    publication: &Publication,
    scope: &Scope,
    cells: &[Beside<'_>],
    compared: bool,
) -> String {
    let by = &publication.release.query().by;
    let mut header: Vec<&str> = by.iter().map(|d| d.as_str()).collect();
    let text = header.len();
    let columns: &[&str] = if compared { &["", " today", " change"] } else { &[""] };
    let names: Vec<String> = UNITS
        .iter()
        .take(UNITS_SHOWN)
        .flat_map(|unit| columns.iter().map(|c| format!("{}{c}", unit.name)))
        .collect();
    header.extend(names.iter().map(String::as_str));
    let row = |cell: &Beside<'_>| {
        let mut row: Vec<String> = by
            .iter()
            .zip(cell.key)
            .map(|(dimension, value)| {
                escape(&name_of(scope, *dimension, value.as_deref()))
            })
            .collect();
        for unit in UNITS.iter().take(UNITS_SHOWN) {
            row.push(shown(cell.then, unit));
            if compared {
                row.extend(beside_it(cell, unit));
            }
        }
        row
    };
    let rows: Vec<Vec<String>> = cells.iter().take(LISTED_MAX).map(row).collect();
    format!(
        "<section id=\"figures\"><h2>The figures</h2>\n{}{}<p>{}</p></section>\n",
        table("As published, and today", &header, text, &rows),
        more(cells.len(), &format!("/api/v1/releases/{}", encoded(&publication.id))),
        link(
            &format!("/api/v1/releases/{}?format=csv", encoded(&publication.id)),
            "All of it as CSV"
        )
    )
}

/// The figure of today and how it changed; neither of what was hidden then.
fn beside_it(cell: &Beside<'_>, unit: &Unit) -> [String; 2] {
    if cell.then == Shown::Suppressed {
        return [String::new(), String::new()];
    }
    let value = |shown: Shown| shown.counts().map(|c| (unit.of)(&c));
    let moved = match (value(cell.then), value(cell.today)) {
        (Some(then), Some(now)) if then == now => "same".to_owned(),
        (Some(then), Some(now)) => change(real(then), real(now)),
        _ => String::new(),
    };
    [shown(cell.today, unit), moved]
}

fn shown(shown: Shown, unit: &Unit) -> String {
    match shown {
        Shown::Nothing => "none".to_owned(),
        Shown::Suppressed => SUPPRESSED.to_owned(),
        Shown::Counts(counts) => grouped((unit.of)(&counts)),
    }
}

/// A value of a dimension for readers.
fn name_of(scope: &Scope, dimension: Dimension, value: Option<&str>) -> String {
    let Some(value) = value else { return "not known".to_owned() };
    match dimension {
        Dimension::Country => country::name(value),
        Dimension::Sector => scope.sector_name(&value.into()),
        Dimension::Product => scope.product_name(&value.into()),
        _ => value.to_owned(),
    }
}

/// Why figures are other ones today, for the operator.
async fn causes(shared: &Shared, id: &str) -> Result<String, Problem> {
    let mut causes = shared.counts.causes(id).await?;
    let all = causes.moved.rows.len();
    causes.moved.rows.truncate(LISTED_MAX);
    let moved = if all == 0 {
        String::new()
    } else {
        let whole = format!("/api/v1/releases/{}/causes", encoded(id));
        format!(
            "<details><summary>What moved, step by step</summary>{}{}</details>\n",
            causes.moved.html("Figures that moved, cause by cause"),
            more(all, &whole)
        )
    };
    Ok(format!(
        "<section id=\"causes\"><h2>Why</h2>\n<p>For the operator: the same question asked of \
         the lake as it was, then with one thing after the other as it is today.</p>\n{}{moved}\
         </section>\n",
        told(&causes.told)
    ))
}

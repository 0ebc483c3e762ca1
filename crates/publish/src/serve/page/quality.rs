//! Data quality: what was looked at, what was lost, and whether both windows saw alike.

use axum::extract::State;
use axum::response::Response;
use tidegauge_model::count::Dimension;
use tidegauge_model::{Day, DayRange};

use super::layout::Page;
use super::{crumbs, drawn, facts, respond, table};
use crate::figure::escape;
use crate::knowledge::{Known, KnownKind};
use crate::number::{counted, day_long, days, grouped, percent_fine};
use crate::report;
use crate::serve::answer::Problem;
use crate::serve::asked::Asked;
use crate::serve::desk::Desk;
use crate::serve::param::SELECTION;
use crate::serve::selection::Selection;
use crate::serve::{CountsError, Shared};

/// `GET /quality`.
pub(crate) async fn page(
    State(shared): State<Shared>,
    asked: Result<Asked, Problem>,
) -> Response {
    let made = quality(&shared, asked).await;
    respond(&shared, made)
}

async fn quality(
    shared: &Shared,
    asked: Result<Asked, Problem>,
) -> Result<Page, Problem> {
    let asked = asked?.only(SELECTION)?;
    let desk = Desk::open(shared).await?;
    let selection = desk.selection(&asked)?;
    let (made, figure) = drawn(&desk, &["coverage"], &selection).await?;
    let report = &made.report;
    let coverage = report::coverage_table(&report.coverage);
    let known = known(&desk, &selection, report).await?;
    let body = format!(
        "<h1>Data quality</h1>\n<p class=\"standfirst\">A count can fall because people left, \
         because sensors saw less, or because addresses changed hands. This page is about the \
         second and the third.</p>\n{}{figure}<section \
         id=\"vantages\"><h2>What each vantage read, and what it lost</h2>\n<p>Losses are \
         counted, never filled in.</p>\n{}</section>\n{}",
        facts(&known),
        coverage.html("Coverage by vantage"),
        rests_on(&shared.counts.knowledge().await?, desk.days),
    );
    let crumbs = crumbs(&[("/", "Overview")]);
    let title = "Data quality".to_owned();
    Ok(Page { title, here: "/quality", crumbs, body, passing: false })
}

/// Tables of holders and the catalog, with their age.
fn rests_on(known: &[Known], covered: DayRange) -> String {
    let of = |kind: KnownKind| known.iter().filter(move |known| known.kind == kind);
    let row = |known: &Known, dated: Vec<String>| {
        let named = vec![escape(&known.name), escape(&known.id)];
        let numbers = vec![grouped(known.entries), grouped(known.older)];
        [named, dated, numbers].concat()
    };
    let dated = |known: &Known| {
        let newest = known.newest.map(|day| day.to_string());
        let age = known.age(Some(covered)).map(|age| age.to_string());
        vec![newest.unwrap_or_default(), age.unwrap_or_default()]
    };
    let holders: Vec<Vec<String>> =
        of(KnownKind::Holders).map(|known| row(known, dated(known))).collect();
    // Few entries of a catalog have a day from which they hold.
    let catalog: Vec<Vec<String>> =
        of(KnownKind::Catalog).map(|known| row(known, Vec::new())).collect();
    let head =
        ["what it states", "source", "newest", "days old", "ranges", "older tables"];
    let of_holders = match holders.as_slice() {
        [] => "<p class=\"absent\">No table of holders was read: no address can be \
               attributed.</p>\n"
            .to_owned(),
        rows => table("Tables of holders", &head, 3, rows),
    };
    let head = ["product", "id", "entries in force", "ended"];
    format!(
        "<section id=\"holders\"><h2>Who held the addresses, and how old that is</h2>\n<p>Days \
         old: from the newest snapshot to the newest day covered. What a holder gave away since \
         is still counted as theirs.</p>\n{of_holders}</section>\n<section \
         id=\"catalog\"><h2>The catalog of servers</h2>\n<p>A server that is missing here is a \
         contact that is missed. An entry holds on dated days; one that ended is kept for the \
         days on which it held.</p>\n{}</section>\n",
        table("Entries of the catalog by product", &head, 2, &catalog)
    )
}

async fn known(
    desk: &Desk<'_>,
    selection: &Selection,
    report: &report::Report,
) -> Result<Vec<(String, String)>, Problem> {
    let covered = desk.days;
    let mut seen: Vec<Day> =
        report.coverage.iter().filter(|c| c.flows > 0).map(|c| c.day).collect();
    seen.sort_unstable();
    seen.dedup();
    let period = selection.period();
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let mut facts = vec![
        ("Covered".to_owned(), days(covered)),
        ("The newest day".to_owned(), day_long(covered.last())),
        (
            "Days with data".to_owned(),
            format!(
                "{} of {}",
                seen.len(),
                counted(period.length_days().into(), "day", "days")
            ),
        ),
        ("Both windows".to_owned(), report::footprint_sentence(report)),
    ];
    let query = selection.query(period, Dimension::Month);
    match desk.shared.counts.release(&query).await {
        Ok(release) => {
            facts.push((
                "Holder not known".to_owned(),
                format!(
                    "{} of address-days of {}",
                    percent_fine(release.unattributed_share()),
                    report.product_name
                ),
            ));
            facts.push((
                "Withheld".to_owned(),
                counted(number(release.suppressed()), "month", "months"),
            ));
            facts.push(("Rule".to_owned(), report::sentence(release.rule())));
        }
        Err(CountsError::Refused { .. }) => {}
        Err(failed) => return Err(failed.into()),
    }
    Ok(facts)
}

//! How it is counted, and what the data is.

use axum::extract::State;
use axum::response::Response;
use tidegauge_model::count::Dimension;

use super::layout::Page;
use super::{crumbs, facts, link, respond, table};
use crate::figure::escape;
use crate::number::{counted, days};
use crate::report;
use crate::serve::answer::Problem;
use crate::serve::asked::Asked;
use crate::serve::desk::Desk;
use crate::serve::param::{NONE, VIEW_FORMS};
use crate::serve::views::VIEWS;
use crate::serve::{CountsError, Shared};

/// `GET /methods`.
pub(crate) async fn methods(
    State(shared): State<Shared>,
    asked: Result<Asked, Problem>,
) -> Response {
    let made = async {
        asked?.only(NONE)?;
        let body = format!(
            "<h1>Methods</h1>\n{}{}<section id=\"cannot\"><h2>What these numbers cannot \
             tell</h2>\n<p>{}</p>\n<p>An address is not a device: one relay can stand for ten \
             thousand, and one device can use thirty addresses in a month. Organisations are \
             the sturdier unit. “In contact” means exactly that; it does not mean that a rule \
             was broken.</p></section>\n{}",
            HOW,
            evidence(&shared).await?,
            escape(&report::visibility_example()),
            words(),
        );
        let crumbs = crumbs(&[("/", "Overview")]);
        let title = "Methods".to_owned();
        Ok(Page { title, here: "/methods", crumbs, body, passing: false })
    };
    let made = made.await;
    respond(&shared, made)
}

/// What is the same in every lake.
const HOW: &str = "<p class=\"standfirst\">Sensors see that an address talked to a server. A \
    dated catalog says which servers a product fetches its updates from; a dated atlas says who \
    held the address on that day. Distinct addresses and distinct organisations are then \
    counted exactly.</p>\n\
    <section id=\"counts\"><h2>Counts</h2><p>No count is added to another, because one \
    organisation can be in many cells. Windows that are compared have the same number of days: \
    the longer month is cut. A trend is counted with the holders of one day, so that addresses \
    that change hands do not look like organisations that come or go.</p></section>\n\
    <section id=\"estimates\"><h2>Estimates</h2><p><em>Cohort removal</em> is the share of those \
    active before who are not active after; newcomers do not count. <em>Net change</em> is how \
    much the count itself moved. They stand side by side, with intervals for sampling error: \
    Wilson's for removal, a bootstrap over corporate families for net change. Neither separates \
    people leaving from loss of sight; where a model can do that, its figure says so, and where \
    it cannot, the rule that forbids a figure stands in its place.</p></section>\n";

/// What counts as use here.
async fn evidence(shared: &Shared) -> Result<String, Problem> {
    let Ok(desk) = Desk::open(shared).await else { return Ok(String::new()) };
    let selection = desk.usual();
    let query = selection.query(selection.period(), Dimension::Month);
    let release = match shared.counts.release(&query).await {
        Ok(release) => release,
        Err(CountsError::Refused { .. }) => return Ok(String::new()),
        Err(failed) => return Err(failed.into()),
    };
    let q = release.query();
    let roles: Vec<&str> = q.roles.iter().map(|r| r.as_str()).collect();
    let kinds: Vec<&str> = q.organisation_kinds.iter().map(|k| k.as_str()).collect();
    Ok(format!(
        "<section id=\"evidence\"><h2>Evidence</h2><p>Counted here: contacts with servers of \
         role {}, of weight {} or more. An address stands for an organisation only in networks \
         of kind {}. An organisation is active in a window with at least {} of contact in \
         it.</p></section>\n<section id=\"withheld\"><h2>What is withheld</h2><p>Every count \
         passed this rule before it came here:</p><blockquote><p>{}</p></blockquote></section>\n",
        escape(&roles.join(", ")),
        escape(q.weight_min.as_str()),
        escape(&kinds.join(", ").replace('_', " ")),
        counted(q.active_days_min.into(), "day", "days"),
        escape(&report::sentence(release.rule())),
    ))
}

fn words() -> String {
    let items: Vec<String> = report::GLOSSARY
        .iter()
        .map(|(word, meaning)| {
            format!("<dt>{}</dt><dd>{}</dd>", escape(word), escape(meaning))
        })
        .collect();
    format!(
        "<section id=\"words\"><h2>Words</h2>\n<dl>{}</dl></section>\n",
        items.concat()
    )
}

/// `GET /about`.
pub(crate) async fn about(
    State(shared): State<Shared>,
    asked: Result<Asked, Problem>,
) -> Response {
    let made = async {
        asked?.only(NONE)?;
        let scope = shared.counts.scope().await?;
        let timeline = shared.counts.timeline().await?;
        let settings = &shared.settings;
        let kind = match &settings.synthetic {
            Some(world) => format!("Simulated: world {}. {}", world.world, world.note),
            None => "Network telemetry of this house.".to_owned(),
        };
        let known = [
            ("Program", settings.program.clone()),
            ("Data", kind),
            ("Days", scope.days.map_or("none".to_owned(), days)),
            ("Products", scope.products.len().to_string()),
            ("Countries", scope.countries.len().to_string()),
            ("Sectors", scope.sectors.len().to_string()),
            ("Acts", timeline.policies.len().to_string()),
            ("Events of vendors", timeline.vendor.len().to_string()),
        ];
        let body = format!(
            "<h1>About the data</h1>\n{}{}{}<section \
             id=\"sources\"><h2>Sources of the acts</h2>\n{}</section>\n",
            facts(&known),
            CITING,
            views(),
            sources(&timeline)
        );
        let crumbs = crumbs(&[("/", "Overview")]);
        let title = "About the data".to_owned();
        Ok(Page { title, here: "/about", crumbs, body, passing: false })
    };
    let made = made.await;
    respond(&shared, made)
}

/// How to use what stands here.
const CITING: &str = "<section id=\"use\"><h2>Using it</h2><p>Every figure has a permalink \
    that names every choice behind it, a line to cite it, and its numbers as CSV and JSON, its \
    drawing as SVG and PNG. The same numbers are behind <a href=\"/api/v1/openapi.json\">the \
    API</a>. Addresses and organisations are never shown one by one: what stands here passed a \
    disclosure rule.</p></section>\n";

/// The tables that other programs read, each as a file.
fn views() -> String {
    let rows: Vec<Vec<String>> = VIEWS
        .iter()
        .map(|view| {
            let forms = VIEW_FORMS.iter().map(|form| {
                let address = format!("/api/v1/views/{}?format={form}", view.name);
                link(&address, form)
            });
            vec![
                format!("<code>{}</code>", escape(view.name)),
                escape(view.about),
                format!("<span class=\"forms\">{}</span>", forms.collect::<String>()),
            ]
        })
        .collect();
    format!(
        "<section id=\"views\"><h2>Views</h2>\n<p>The same numbers as tables with columns that \
         stay, for notebooks and other programs.</p>\n{}</section>\n",
        table("Views, and the forms each has", &["view", "what", "forms"], 3, &rows)
    )
}

fn sources(timeline: &tidegauge_model::policy::Timeline) -> String {
    let items: Vec<String> = timeline
        .policies
        .iter()
        .map(|act| {
            let address = format!("/policies/{}", act.id);
            format!(
                "<li>{}: {}</li>",
                link(&address, act.id.as_str()),
                escape(&act.source)
            )
        })
        .collect();
    format!("<ul class=\"sources\">{}</ul>", items.concat())
}

//! Pages of one figure: its permalink, and the comparison of several populations.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;

use super::form::{Field, form, select};
use super::layout::Page;
use super::{crumbs, link, placed, respond, table};
use crate::country;
use crate::figure::{append, escape};
use crate::number::month_year;
use crate::report;
use crate::serve::answer::Problem;
use crate::serve::api::{Named, named};
use crate::serve::asked::Asked;
use crate::serve::compare::Compared;
use crate::serve::desk::{Desk, cut_sentence};
use crate::serve::figures::{self as known, kind, section};
use crate::serve::param::COMPARE as COMPARE_KEYS;
use crate::serve::selection::{COMPARED_MAX, Selection, What, encoded};
use crate::serve::{Comparison, CountsError, Shared};
use tidegauge_model::count::Dimension;
use tidegauge_model::estimate::Quantity;

/// `GET /figures/{id}`.
pub(crate) async fn figure(
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
    let kind = kind(&named(name)?)?;
    let asked = asked?.only(COMPARE_KEYS)?;
    let desk = Desk::open(shared).await?;
    let selection = desk.selection(&asked)?;
    let drawn = section(&desk, kind, &selection).await?;
    let fields =
        [Field::Product, Field::Country, Field::Sector, Field::Months, Field::Windows];
    let others: Vec<String> = known::KINDS
        .iter()
        .filter(|other| other.id != kind.id)
        .map(|other| {
            let address = format!("/figures/{}?{}", other.id, selection.query_string());
            format!("<li>{}</li>", link(&address, other.title))
        })
        .collect();
    let body = format!(
        "<h1 class=\"small\">{}</h1>\n<p class=\"caveat\">{}. {}</p>\n{}{}\
         <section><h2>Other figures of the same selection</h2><ul>{}</ul></section>\n",
        escape(kind.title),
        escape(&selection.in_words(&desk.scope)),
        escape(&cut_sentence(&selection).unwrap_or_default()),
        placed(&desk, &drawn, &selection),
        form(&format!("/figures/{}", kind.id), &desk, &selection, &fields),
        others.concat()
    );
    let crumbs = crumbs(&[("/", "Overview")]);
    Ok(Page { title: kind.title.to_owned(), here: "", crumbs, body, passing: false })
}

/// `GET /compare`.
pub(crate) async fn compare(
    State(shared): State<Shared>,
    asked: Result<Asked, Problem>,
) -> Response {
    let made = several(&shared, asked).await;
    respond(&shared, made)
}

async fn several(
    shared: &Shared,
    asked: Result<Asked, Problem>,
) -> Result<Page, Problem> {
    let asked = asked?.only(COMPARE_KEYS)?;
    let desk = Desk::open(shared).await?;
    let selection = desk.selection(&asked)?;
    let compared = Compared::ask(&desk, &selection).await?;
    let body = format!(
        "<h1>Compare {}</h1>\n<p class=\"caveat\">{} {}</p>\n{}{}{}{}",
        selection.what.as_str(),
        "Each line and each panel is one population, drawn so that large and small ones can \
         be read alike.",
        escape(&cut_sentence(&selection).unwrap_or_default()),
        chooser(&desk, &selection, &compared),
        placed(&desk, &compared.slopes(), &selection),
        placed(&desk, &compared.multiples().await?, &selection),
        acts(&desk).await?,
    );
    let crumbs = crumbs(&[("/", "Overview")]);
    let title = "Compare".to_owned();
    Ok(Page { title, here: "/compare", crumbs, body, passing: false })
}

/// Boxes to tick, and what else decides the comparison.
fn chooser(desk: &Desk<'_>, selection: &Selection, compared: &Compared<'_>) -> String {
    let named: Vec<(String, String)> = match selection.what {
        What::Countries => {
            let name = |c: &tidegauge_model::Country| {
                (c.to_string(), country::name(c.as_str()))
            };
            let mut all: Vec<(String, String)> =
                desk.scope.countries.iter().map(name).collect();
            all.sort_by(|a, b| a.1.cmp(&b.1));
            all
        }
        What::Products => {
            desk.scope.products.iter().map(|p| (p.0.to_string(), p.1.clone())).collect()
        }
    };
    let boxes: Vec<String> = named
        .iter()
        .map(|(id, name)| {
            let ticked = if compared.has(id) { " checked" } else { "" };
            format!(
                "<label class=\"box\"><input type=\"checkbox\" name=\"of\" \
                 value=\"{}\"{ticked}> {}</label>",
                escape(id),
                escape(name)
            )
        })
        .collect();
    let kinds = ["countries", "products"].map(|w| (w.to_owned(), w.to_owned()));
    let what =
        select("what", "Compare", None, kinds.into_iter(), selection.what.as_str());
    let fields: &[Field] = match selection.what {
        What::Countries => &[Field::Product, Field::Months, Field::Windows],
        What::Products => &[Field::Country, Field::Months, Field::Windows],
    };
    let rest = form("/compare", desk, selection, fields);
    let boxes = format!(
        "{what}<fieldset><legend>Which, at most {COMPARED_MAX}</legend>{}</fieldset>",
        boxes.concat()
    );
    format!(
        "<details class=\"choose\"><summary>Choose what is compared</summary>{}</details>\n",
        rest.replacen("<label>", &format!("{boxes}<label>"), 1)
    )
}

/// The acts that were covered, each with what its own country showed.
async fn acts(desk: &Desk<'_>) -> Result<String, Problem> {
    let timeline = desk.shared.counts.timeline().await?;
    let mut rows = Vec::new();
    for (id, before, after) in &desk.scope.acts {
        let Some(act) = timeline.policy(id.as_str()) else { continue };
        let mut selection = desk.usual();
        (selection.before, selection.after) = (*before, *after);
        selection.product = Some(act.product.clone());
        let country = desk.scope.countries.contains(&act.country);
        let (first, second) = selection.windows();
        let shares = match Comparison::new(first, second).filter(|_| country) {
            Some(mut asked) => {
                asked.products = vec![act.product.clone()];
                asked.by = Some(Dimension::Country);
                of_country(desk, &asked, act.country.as_str()).await?
            }
            None => BTreeMap::new(),
        };
        let share = |quantity| {
            shares.get(&quantity).cloned().unwrap_or_else(|| "not shown".to_owned())
        };
        rows.push(vec![
            link(&format!("/policies/{}", encoded(id.as_str())), id.as_str()),
            escape(&country::name(act.country.as_str())),
            windows(*before, *after),
            share(Quantity::CohortRemoval),
            share(Quantity::NetChange),
        ]);
    }
    if rows.is_empty() {
        return Ok(String::new());
    }
    let header = ["act", "country", "months", "cohort removal", "net fall"];
    let caption = "Acts whose months before and after were covered, in the country of each, \
                   with 95% intervals";
    Ok(format!(
        "<section id=\"acts\"><h2>Policies beside each other</h2>\n<p>Different acts, months \
         and countries: a larger share is not a stronger act.</p>\n{}</section>\n",
        table(caption, &header, 3, &rows)
    ))
}

fn windows(before: tidegauge_model::Month, after: tidegauge_model::Month) -> String {
    escape(&format!("{} and {}", month_year(before), month_year(after)))
}

/// What is shown of one country, each with its interval.
async fn of_country(
    desk: &Desk<'_>,
    asked: &Comparison,
    code: &str,
) -> Result<BTreeMap<Quantity, String>, Problem> {
    let estimates = match desk.shared.counts.estimates(asked).await {
        Ok(estimates) => estimates,
        Err(CountsError::Refused { .. }) => return Ok(BTreeMap::new()),
        Err(failed) => return Err(failed.into()),
    };
    let mut found = BTreeMap::new();
    for quantity in [Quantity::CohortRemoval, Quantity::NetChange] {
        let stratum = Some(("country", code));
        if let Some(e) = report::estimate(&estimates, quantity, stratum) {
            let (share, span) = report::share_in_words(e);
            let mut words = escape(&share);
            if !span.is_empty() {
                let span = span.trim_start_matches("95% interval ");
                append(&mut words, format_args!(" <small>({})</small>", escape(span)));
            }
            found.insert(quantity, words);
        }
    }
    Ok(found)
}

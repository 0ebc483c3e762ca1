//! Lists of products, countries, sectors and acts, each with its numbers and its way on.

use axum::extract::State;
use axum::response::Response;
use tidegauge_model::Day;
use tidegauge_model::count::{Counts, Dimension};
use tidegauge_model::policy::PolicyEvent;

use super::layout::Page;
use super::{bar, crumbs, drawn, link, respond, table};
use crate::country;
use crate::figure::escape;
use crate::number::{change, days, real};
use crate::report::Paired;
use crate::serve::answer::Problem;
use crate::serve::asked::Asked;
use crate::serve::desk::{Desk, refused};
use crate::serve::param::{NONE, SELECTION};
use crate::serve::selection::{Selection, encoded, joined};
use crate::serve::{CountsError, Scope, Shared};
use crate::tables::SUPPRESSED;

/// A list of values of a dimension.
struct List {
    address: &'static str,
    name: &'static str,
    one: &'static str,
    dimension: Dimension,
}

/// `GET /products`.
pub(crate) async fn products(
    State(shared): State<Shared>,
    asked: Result<Asked, Problem>,
) -> Response {
    let list = List {
        address: "/products",
        name: "Products",
        one: "product",
        dimension: Dimension::Product,
    };
    let made = page(&shared, asked, &list).await;
    respond(&shared, made)
}

/// `GET /countries`.
pub(crate) async fn countries(
    State(shared): State<Shared>,
    asked: Result<Asked, Problem>,
) -> Response {
    let list = List {
        address: "/countries",
        name: "Countries",
        one: "country",
        dimension: Dimension::Country,
    };
    let made = page(&shared, asked, &list).await;
    respond(&shared, made)
}

/// `GET /sectors`.
pub(crate) async fn sectors(
    State(shared): State<Shared>,
    asked: Result<Asked, Problem>,
) -> Response {
    let list = List {
        address: "/sectors",
        name: "Sectors",
        one: "sector",
        dimension: Dimension::Sector,
    };
    let made = page(&shared, asked, &list).await;
    respond(&shared, made)
}

async fn page(
    shared: &Shared,
    asked: Result<Asked, Problem>,
    list: &List,
) -> Result<Page, Problem> {
    let asked = asked?.only(SELECTION)?;
    let desk = Desk::open(shared).await?;
    let mut selection = desk.selection(&asked)?;
    if list.dimension == Dimension::Product {
        selection.product = None;
    }
    let rows = match desk.paired(&selection, list.dimension).await {
        Ok(paired) => rows(&desk, &selection, list, &paired),
        Err(CountsError::Refused { asked, hint }) => {
            format!(
                "<p class=\"caveat\">{}</p>{}",
                escape(&refused(&asked, &hint)),
                bare(&desk.scope, list)
            )
        }
        Err(failed) => return Err(failed.into()),
    };
    let of = match list.dimension {
        Dimension::Product => String::new(),
        _ => format!(" with contacts to {}", selection.product_name(&desk.scope)),
    };
    let map = match list.dimension {
        Dimension::Country => drawn(&desk, &["map"], &selection).await?.1,
        _ => String::new(),
    };
    let body = format!("<h1>{}{}</h1>\n{map}{rows}", list.name, escape(&of));
    let crumbs = crumbs(&[("/", "Overview")]);
    Ok(Page {
        title: list.name.to_owned(),
        here: list.address,
        crumbs,
        body,
        passing: false,
    })
}

/// Names and identifiers of what was seen.
fn known(scope: &Scope, dimension: Dimension) -> Vec<(String, String)> {
    match dimension {
        Dimension::Product => {
            scope.products.iter().map(|p| (p.0.to_string(), p.1.clone())).collect()
        }
        Dimension::Sector => {
            scope.sectors.iter().map(|s| (s.0.to_string(), s.1.clone())).collect()
        }
        _ => {
            let named = |c: &tidegauge_model::Country| {
                (c.to_string(), country::name(c.as_str()))
            };
            scope.countries.iter().map(named).collect()
        }
    }
}

fn rows(
    desk: &Desk<'_>,
    selection: &Selection,
    list: &List,
    paired: &Paired,
) -> String {
    let find = |release: &tidegauge_model::count::Release, id: &str| {
        let of = |key: &[Option<String>]| {
            key.first().is_some_and(|v| v.as_deref() == Some(id))
        };
        let row = release.rows().iter().find(|row| of(&row.key));
        row.map_or(Told::Nothing, |row| row.counts.map_or(Told::Hidden, Told::Counts))
    };
    let mut found: Vec<(String, String, [Told; 2])> =
        known(&desk.scope, list.dimension)
            .into_iter()
            .map(|(id, name)| {
                let both = [find(&paired.before, &id), find(&paired.after, &id)];
                (id, name, both)
            })
            .collect();
    let size = |both: &[Told; 2]| both[0].active().unwrap_or(0);
    found.sort_by(|a, b| size(&b.2).cmp(&size(&a.2)).then_with(|| a.1.cmp(&b.1)));
    let most = found.iter().map(|f| real(size(&f.2))).fold(0.0, f64::max);
    let query = match list.dimension {
        Dimension::Product => String::new(),
        _ => selection
            .product
            .iter()
            .map(|p| joined(&[("product", p.to_string())]))
            .collect(),
    };
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|(id, name, [before, after])| {
            let address = format!("{}/{}?{query}", list.address, encoded(id));
            let address = address.trim_end_matches('?');
            let moved = match (before.active(), after.active()) {
                (Some(b), Some(a)) => change(real(b), real(a)),
                _ => String::new(),
            };
            vec![link(address, name), cell(*before, most), cell(*after, most), moved]
        })
        .collect();
    let (first, second) = selection.windows();
    let caption = format!(
        "Active organisations by {}, {} and {}. Suppressed: too few to show.",
        list.one,
        days(first),
        days(second)
    );
    table(&caption, &[list.name, "before", "after", "change"], 1, &rows)
}

/// What a release says of a value.
#[derive(Clone, Copy)]
enum Told {
    /// Nobody was seen.
    Nothing,
    /// Too few to show.
    Hidden,
    Counts(Counts),
}

impl Told {
    fn active(self) -> Option<u64> {
        match self {
            Self::Counts(counts) => Some(counts.organisations_active),
            Self::Nothing | Self::Hidden => None,
        }
    }
}

fn cell(told: Told, most: f64) -> String {
    match told {
        Told::Nothing => "none".to_owned(),
        Told::Hidden => SUPPRESSED.to_owned(),
        Told::Counts(counts) => bar(real(counts.organisations_active), most),
    }
}

/// Names alone, where counts may not stand beside each other.
fn bare(scope: &Scope, list: &List) -> String {
    let items: Vec<String> = known(scope, list.dimension)
        .iter()
        .map(|(id, name)| {
            let address = format!("{}/{}", list.address, encoded(id));
            format!("<li>{}</li>", link(&address, name))
        })
        .collect();
    format!("<ul class=\"names\">{}</ul>", items.concat())
}

/// `GET /policies`.
pub(crate) async fn policies(
    State(shared): State<Shared>,
    asked: Result<Asked, Problem>,
) -> Response {
    let made = async {
        asked?.only(NONE)?;
        let scope = shared.counts.scope().await?;
        let timeline = shared.counts.timeline().await?;
        let acts: Vec<&PolicyEvent> = timeline.policies.iter().rev().collect();
        let body = format!(
            "<h1>Acts on products</h1>\n<p class=\"standfirst\">Bans, restrictions, warnings \
             and sanctions, each with its dates and its source. Marked are those whose weeks \
             before and after were covered here, so that they can be assessed.</p>\n{}",
            acts_table(&acts, &scope)
        );
        let crumbs = crumbs(&[("/", "Overview")]);
        let title = "Policies".to_owned();
        Ok(Page { title, here: "/policies", crumbs, body, passing: false })
    };
    let made = made.await;
    respond(&shared, made)
}

/// A row for each act.
pub(super) fn acts_table(acts: &[&PolicyEvent], scope: &Scope) -> String {
    let whole = |html: &str| format!("<span class=\"whole\">{html}</span>");
    let day =
        |day: Option<Day>| day.map_or_else(String::new, |d| whole(&d.to_string()));
    let rows: Vec<Vec<String>> = acts
        .iter()
        .map(|act| {
            let covered = scope.acts.iter().any(|(id, _, _)| *id == act.id);
            vec![
                whole(&link(
                    &format!("/policies/{}", encoded(act.id.as_str())),
                    act.id.as_str(),
                )),
                escape(&country::name(act.country.as_str())),
                escape(&act.kind.as_str().replace('_', " ")),
                day(act.announced),
                day(act.effective),
                escape(&act.scope),
                if covered { "assessed" } else { "" }.to_owned(),
            ]
        })
        .collect();
    let header =
        ["act", "country", "kind", "announced", "effective", "addresses", "covered"];
    table("Acts, the latest first", &header, header.len(), &rows)
}

//! The page of a product, a country or a sector: what is said of it, its figures, the
//! acts that address it.

use axum::extract::State;
use axum::response::Response;

use super::form::{Field, form};
use super::layout::Page;
use super::lists::acts_table;
use super::{crumbs, drawn, link, respond, told};
use crate::country;
use crate::figure::escape;
use crate::report;
use crate::serve::Shared;
use crate::serve::answer::Problem;
use crate::serve::api::{Named, named};
use crate::serve::asked::Asked;
use crate::serve::desk::{Desk, cut_sentence};
use crate::serve::param::SELECTION;
use crate::serve::selection::{Selection, joined};
use tidegauge_model::policy::PolicyEvent;
use tidegauge_model::{Country, ProductId, SectorId};

/// What a page is about.
enum Subject {
    Product(ProductId),
    Country(Country),
    Sector(SectorId),
}

/// `GET /products/{id}`.
pub(crate) async fn product(
    State(shared): State<Shared>,
    name: Named,
    asked: Result<Asked, Problem>,
) -> Response {
    let made = async {
        let desk = Desk::open(&shared).await?;
        let id = named(name)?;
        let known = desk.scope.products.iter().find(|p| p.0.as_str() == id);
        let known = known.ok_or_else(|| absent("product", "/products"))?;
        let subject = Subject::Product(known.0.clone());
        page(&desk, subject, asked?).await
    };
    let made = made.await;
    respond(&shared, made)
}

/// `GET /countries/{id}`.
pub(crate) async fn country(
    State(shared): State<Shared>,
    name: Named,
    asked: Result<Asked, Problem>,
) -> Response {
    let made = async {
        let desk = Desk::open(&shared).await?;
        let id = named(name)?;
        let known = desk.scope.countries.iter().find(|c| c.as_str() == id);
        let known = known.ok_or_else(|| absent("country", "/countries"))?;
        page(&desk, Subject::Country(*known), asked?).await
    };
    let made = made.await;
    respond(&shared, made)
}

/// `GET /sectors/{id}`.
pub(crate) async fn sector(
    State(shared): State<Shared>,
    name: Named,
    asked: Result<Asked, Problem>,
) -> Response {
    let made = async {
        let desk = Desk::open(&shared).await?;
        let id = named(name)?;
        let known = desk.scope.sectors.iter().find(|s| s.0.as_str() == id);
        let known = known.ok_or_else(|| absent("sector", "/sectors"))?;
        let subject = Subject::Sector(known.0.clone());
        page(&desk, subject, asked?).await
    };
    let made = made.await;
    respond(&shared, made)
}

fn absent(what: &str, list: &str) -> Problem {
    Problem::absent(
        format!("no {what} of this name was seen"),
        format!("those that were are listed at {list}"),
    )
}

impl Subject {
    fn fix(&self, selection: &mut Selection) {
        match self {
            Self::Product(id) => selection.product = Some(id.clone()),
            Self::Country(code) => selection.country = Some(*code),
            Self::Sector(id) => selection.sector = Some(id.clone()),
        }
    }

    fn name(&self, desk: &Desk<'_>) -> String {
        match self {
            Self::Product(id) => desk.scope.product_name(id),
            Self::Country(code) => country::name(code.as_str()),
            Self::Sector(id) => desk.scope.sector_name(id),
        }
    }

    /// The list it is in, and the name of that list.
    fn list(&self) -> (&'static str, &'static str) {
        match self {
            Self::Product(_) => ("/products", "Products"),
            Self::Country(_) => ("/countries", "Countries"),
            Self::Sector(_) => ("/sectors", "Sectors"),
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Product(id) => id.as_str(),
            Self::Country(code) => code.as_str(),
            Self::Sector(id) => id.as_str(),
        }
    }

    fn figures(&self) -> &'static [&'static str] {
        match self {
            Self::Product(_) => &["over-time", "countries", "removal", "sectors"],
            Self::Country(_) => &["over-time", "removal", "sectors"],
            Self::Sector(_) => &["over-time", "countries", "removal"],
        }
    }

    fn fields(&self) -> &'static [Field] {
        match self {
            Self::Product(_) => &[Field::Months, Field::Windows],
            _ => &[Field::Product, Field::Months, Field::Windows],
        }
    }

    fn addressed_by(&self, act: &PolicyEvent, selection: &Selection) -> bool {
        match self {
            Self::Product(id) => act.product == *id,
            Self::Country(code) => {
                act.country == *code && selection.product.as_ref() == Some(&act.product)
            }
            Self::Sector(_) => false,
        }
    }

    /// Where this one stands beside others.
    fn beside(&self, selection: &Selection) -> String {
        let (what, words) = match self {
            Self::Product(_) => ("products", "Compare with other products"),
            Self::Country(_) => ("countries", "Compare with other countries"),
            Self::Sector(_) => return String::new(),
        };
        let mut pairs = vec![("what", what.to_owned())];
        if let (Self::Country(_), Some(product)) = (self, &selection.product) {
            pairs.push(("product", product.to_string()));
        }
        format!("<p>{}</p>\n", link(&format!("/compare?{}", joined(&pairs)), words))
    }
}

async fn page(
    desk: &Desk<'_>,
    subject: Subject,
    asked: Asked,
) -> Result<Page, Problem> {
    let asked = asked.only(SELECTION)?;
    let mut selection = desk.selection(&asked)?;
    subject.fix(&mut selection);
    let (made, figures) = drawn(desk, subject.figures(), &selection).await?;
    let report = &made.report;
    let name = subject.name(desk);
    let place = selection.place(&desk.scope);
    let (list, list_name) = subject.list();
    let action = format!("{list}/{}", subject.id());
    let about = match subject {
        Subject::Product(_) => String::new(),
        _ => format!(": {}", report.product_name),
    };
    let acts: Vec<&PolicyEvent> = made
        .report
        .timeline
        .policies
        .iter()
        .rev()
        .filter(|act| subject.addressed_by(act, &selection))
        .collect();
    let acts = match acts.as_slice() {
        [] => String::new(),
        acts => format!(
            "<section id=\"acts\"><h2>Acts</h2>\n{}</section>\n",
            acts_table(acts, &desk.scope)
        ),
    };
    let body = format!(
        "<h1>{}{}</h1>\n{}{}<p class=\"caveat\">{} {}</p>\n{}{figures}{acts}{}",
        escape(&name),
        escape(&about),
        told(&report::told(report, &place)),
        report::key_strip(&report::keys(report)),
        escape(&report::caveat(report)),
        escape(&cut_sentence(&selection).unwrap_or_default()),
        form(&action, desk, &selection, subject.fields()),
        subject.beside(&selection),
    );
    let crumbs = crumbs(&[("/", "Overview"), (list, list_name)]);
    Ok(Page { title: name, here: list, crumbs, body, passing: false })
}

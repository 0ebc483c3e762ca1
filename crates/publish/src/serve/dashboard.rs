//! The live page: a form, the figures of the report for what it asks, and the words
//! beside them. Works without a script.
//!
//! **Invariant:** windows are cut to equal length before they are compared, and say so.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tidegauge_model::count::{Dating, Dimension, Query};
use tidegauge_model::{Country, DayRange, Month, ProductId, SectorId};

use super::answer::Problem;
use super::asked::Asked;
use super::{Comparison, CountsError, Scope, Shared};
use crate::country;
use crate::figure::{append, escape};
use crate::number::{days, month_year};
use crate::report::{self, Paired, Provenance, Report, section_pages};

/// Keys of `/`.
pub(super) const PAGE: &[&str] =
    &["product", "country", "sector", "from", "to", "before", "after"];

/// Figures of the report that a page asks for too often to be made each time.
const SKIPPED: [&str; 4] = ["government", "retention", "corrected", "visibility"];

/// `GET /`.
pub(super) async fn page(
    State(shared): State<Shared>,
    asked: Result<Asked, Problem>,
) -> Response {
    let scope = match shared.counts.scope().await {
        Ok(scope) => scope,
        Err(error) => return failure(&shared, &Problem::from(error)),
    };
    let Some(days) = scope.days else { return empty(&shared) };
    let choice = asked
        .and_then(|asked| asked.only(PAGE))
        .and_then(|asked| Choice::read(&asked, &scope, days));
    let (choice, problem) = match choice {
        Ok(choice) => (choice, None),
        Err(problem) => (Choice::default_of(&scope, days), Some(problem)),
    };
    let form = form(&choice, &scope, days);
    let body = match problem {
        Some(problem) => return html(problem.status, &shared, &[form, said(&problem)]),
        None => answer(&shared, &choice, &scope).await,
    };
    match body {
        Ok(body) => html(StatusCode::OK, &shared, &[form, body]),
        Err(error) => {
            let problem = Problem::from(error);
            html(problem.status, &shared, &[form, said(&problem)])
        }
    }
}

/// What the form says.
#[derive(Clone, Debug)]
struct Choice {
    product: Option<ProductId>,
    country: Option<Country>,
    sector: Option<SectorId>,
    from: Month,
    to: Month,
    before: Month,
    after: Month,
}

impl Choice {
    fn default_of(scope: &Scope, days: DayRange) -> Self {
        let (from, to) = (days.first().month(), days.last().month());
        let (before, after) = scope.compared.unwrap_or((from, to));
        Self {
            product: scope.products.first().map(|p| p.0.clone()),
            country: None,
            sector: None,
            from,
            to,
            before,
            after,
        }
    }

    fn read(asked: &Asked, scope: &Scope, days: DayRange) -> Result<Self, Problem> {
        let known = Self::default_of(scope, days);
        let from = asked.one("from")?.unwrap_or(known.from);
        let to = asked.one("to")?.unwrap_or(known.to);
        let within = |month: Month| from <= month && month <= to;
        let (before, after) = if within(known.before) && within(known.after) {
            (known.before, known.after)
        } else {
            (from, to)
        };
        let choice = Self {
            product: asked
                .one::<String>("product")?
                .map(ProductId::new)
                .or(known.product),
            country: asked.one("country")?,
            sector: asked.one::<String>("sector")?.map(SectorId::new),
            from,
            to,
            before: asked.one("before")?.unwrap_or(before),
            after: asked.one("after")?.unwrap_or(after),
        };
        if choice.from > choice.to {
            return Err(Problem::asked(
                format!("{} is after {}", month_year(from), month_year(to)),
                "exchange the first and the last month",
            ));
        }
        if choice.before >= choice.after {
            return Err(Problem::asked(
                "the window before does not end before the window after",
                "choose an earlier month before, or a later one after",
            ));
        }
        Ok(choice)
    }

    /// Both months, cut to the same number of days from their first.
    fn windows(&self) -> (DayRange, DayRange) {
        let (before, after) =
            (DayRange::month(self.before), DayRange::month(self.after));
        let length = before.length_days().min(after.length_days());
        let cut = |w: DayRange| {
            let extra = i32::try_from(w.length_days() - length).unwrap_or(0);
            DayRange::new(w.first(), w.last().plus(-extra)).unwrap_or(w)
        };
        (cut(before), cut(after))
    }

    fn query(&self, days: DayRange, by: Dimension, on: Dating) -> Query {
        Query {
            products: self.product.iter().cloned().collect(),
            by: vec![by],
            on,
            countries: self.country.into_iter().collect(),
            sectors: self.sector.iter().cloned().collect(),
            ..Query::new(days)
        }
    }
}

/// Asks for everything the page shows and draws it.
async fn answer(
    shared: &Shared,
    choice: &Choice,
    scope: &Scope,
) -> Result<String, CountsError> {
    let (before, after) = choice.windows();
    let period = DayRange::new(choice.from.first(), choice.to.last())
        .unwrap_or(DayRange::month(choice.from));
    let frozen = Dating::Frozen(before.first());
    let counts = &shared.counts;
    let months = choice.query(period, Dimension::Month, frozen);
    let by = |days, dimension| choice.query(days, dimension, frozen);
    let (countries, countries_after) =
        (by(before, Dimension::Country), by(after, Dimension::Country));
    let (sectors, sectors_after) =
        (by(before, Dimension::Sector), by(after, Dimension::Sector));
    let comparison = Comparison::new(before, after).map(|mut c| {
        c.products = choice.product.iter().cloned().collect();
        c.countries = choice.country.into_iter().collect();
        c.sectors = choice.sector.iter().cloned().collect();
        c.by = Some(Dimension::Country);
        c
    });
    let estimates = match &comparison {
        Some(comparison) => counts.estimates(comparison).await?,
        None => Vec::new(),
    };
    let report = Report {
        product: choice.product.clone().unwrap_or_else(|| ProductId::new("all")),
        product_name: product_name(choice, scope),
        focus: choice.country.unwrap_or_else(world),
        period,
        before,
        after,
        synthetic: shared.settings.synthetic.clone(),
        expansion: counts.expansion(),
        months_frozen: Some(counts.release(&months).await?),
        months_each_day: None,
        countries: Some(Paired {
            before: counts.release(&countries).await?,
            after: counts.release(&countries_after).await?,
        }),
        sectors: Some(Paired {
            before: counts.release(&sectors).await?,
            after: counts.release(&sectors_after).await?,
        }),
        government: None,
        estimates,
        correction: None,
        retention: Vec::new(),
        coverage: counts.coverage(period).await?,
        timeline: counts.timeline().await?,
        sector_names: scope.sectors.iter().cloned().collect(),
        rank_panel: None,
        provenance: Provenance {
            program: shared.settings.program.clone(),
            ..Provenance::default()
        },
    };
    Ok(drawn(&report, choice))
}

fn drawn(report: &Report, choice: &Choice) -> String {
    let mut body = section_pages(report, &SKIPPED);
    let whole = [choice.before, choice.after].map(DayRange::month);
    let cut = whole.iter().any(|w| w.length_days() != report.before.length_days());
    if cut {
        append(
            &mut body,
            format_args!(
                "<p class=\"caveat\">The months are not equally long: compared are {} and \
                 {}, {} days each.</p>",
                escape(&days(report.before)),
                escape(&days(report.after)),
                report.before.length_days()
            ),
        );
    }
    body
}

fn world() -> Country {
    "ZZ".parse().expect("two letters")
}

fn product_name(choice: &Choice, scope: &Scope) -> String {
    let Some(product) = &choice.product else { return "all products".to_owned() };
    scope
        .products
        .iter()
        .find(|p| p.0 == *product)
        .map_or_else(|| product.to_string(), |p| p.1.clone())
}

fn form(choice: &Choice, scope: &Scope, days: DayRange) -> String {
    let products =
        scope.products.iter().map(|(id, name)| (id.to_string(), name.clone()));
    let countries =
        scope.countries.iter().map(|c| (c.to_string(), country::name(c.as_str())));
    let mut countries: Vec<(String, String)> = countries.collect();
    countries.sort_by(|a, b| a.1.cmp(&b.1));
    let sectors = scope.sectors.iter().map(|(id, name)| (id.to_string(), name.clone()));
    let months = || days.months().map(|m| (m.to_string(), month_year(m)));
    let (from, to) = (choice.from.to_string(), choice.to.to_string());
    let (before, after) = (choice.before.to_string(), choice.after.to_string());
    let fields = [
        select(
            "product",
            "Product",
            None,
            products,
            choice.product.as_ref().map_or("", ProductId::as_str),
        ),
        select(
            "country",
            "Country",
            Some("All countries"),
            countries.into_iter(),
            choice.country.as_ref().map_or("", Country::as_str),
        ),
        select(
            "sector",
            "Sector",
            Some("All sectors"),
            sectors,
            choice.sector.as_ref().map_or("", SectorId::as_str),
        ),
        select("from", "First month", None, months(), &from),
        select("to", "Last month", None, months(), &to),
        select("before", "Compare", None, months(), &before),
        select("after", "with", None, months(), &after),
    ];
    format!(
        "<form id=\"ask\" method=\"get\" action=\"/\">{}<button>Show</button></form>\n",
        fields.concat()
    )
}

fn select(
    key: &str,
    label: &str,
    all: Option<&str>,
    options: impl Iterator<Item = (String, String)>,
    chosen: &str,
) -> String {
    let all = all.map(|text| (String::new(), text.to_owned()));
    let options = all
        .into_iter()
        .chain(options)
        .map(|(value, text)| {
            let selected = if value == chosen { " selected" } else { "" };
            format!(
                "<option value=\"{}\"{selected}>{}</option>",
                escape(&value),
                escape(&text)
            )
        })
        .collect::<Vec<_>>()
        .concat();
    format!("<label>{}<select name=\"{key}\">{options}</select></label>", escape(label))
}

fn said(problem: &Problem) -> String {
    format!(
        "<p class=\"error\" role=\"alert\">{}. <br>Hint: {}.</p>",
        escape(&problem.error),
        escape(&problem.hint)
    )
}

fn failure(shared: &Shared, problem: &Problem) -> Response {
    html(problem.status, shared, &[said(problem)])
}

fn empty(shared: &Shared) -> Response {
    let words = "<section class=\"absent\"><h2>Nothing has been read yet</h2><p>There is no \
                 day of coverage, so there is nothing to count. Ingest telemetry, then \
                 load this page again.</p></section>";
    html(StatusCode::OK, shared, &[words.to_owned()])
}

fn html(status: StatusCode, shared: &Shared, parts: &[String]) -> Response {
    let text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Tidegauge</title>\n\
         <link rel=\"stylesheet\" href=\"/assets/page.css\">\n\
         <script src=\"/assets/page.js\" defer></script>\n</head>\n<body>\n{}<main>\n\
         <header class=\"slim\"><p class=\"kicker\">Tidegauge <span>{}</span></p></header>\n\
         {}\n<footer><p>Counts as JSON: <a href=\"/api/v1/openapi.json\">the API</a>.</p>\
         </footer>\n</main>\n</body>\n</html>\n",
        report::banner(shared.settings.synthetic.as_ref()),
        escape(&shared.settings.program),
        parts.concat()
    );
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    (status, [(header::CONTENT_TYPE, kind)], text).into_response()
}

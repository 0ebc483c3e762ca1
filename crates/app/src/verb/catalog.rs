//! `tidegauge catalog`: what is looked for.

use std::io::Write;

use tidegauge_enrich::catalog::{Catalog, Subject};
use tidegauge_model::{Day, Endpoint, Pattern, ProductId};

use crate::output::{Rows, Value};
use crate::settings::Settings;
use crate::{Outcome, args, clock, knowledge};

/// Checks, lists or explains.
pub(crate) fn run(
    verb: &args::Catalog,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let catalog = knowledge::catalog(settings)?;
    match verb {
        args::Catalog::Check => check(&catalog, settings),
        args::Catalog::List { product } => {
            if let Some(product) = product {
                anyhow::ensure!(
                    catalog.product(product.as_str()).is_some(),
                    "the catalog has no product `{product}` (hint: `tidegauge catalog list`)"
                );
            }
            list(&catalog, product.as_ref()).print(settings.format)?;
            Ok(Outcome::Done)
        }
        args::Catalog::Explain { subject, on } => {
            let day = on.unwrap_or_else(clock::today);
            explain(&catalog, subject, day, settings)?;
            Ok(Outcome::Done)
        }
    }
}

fn check(catalog: &Catalog, settings: &Settings) -> anyhow::Result<Outcome> {
    let mut rows = Rows::new("catalog_check", ["warning"]);
    for warning in catalog.check() {
        rows.push(vec![Value::text(warning)]);
    }
    tracing::info!(
        "{} products, {} endpoints, {} warnings; version {}",
        catalog.products().len(),
        catalog.endpoints().len(),
        rows.rows.len(),
        catalog.version()
    );
    rows.print(settings.format)?;
    Ok(Outcome::Done)
}

/// The entries as rows; also a page of the reference.
pub(crate) fn list(catalog: &Catalog, product: Option<&ProductId>) -> Rows {
    let columns = [
        "endpoint",
        "product",
        "role",
        "weight",
        "match",
        "pattern",
        "valid",
        "confidence",
    ];
    let mut rows = Rows::new("catalog", columns);
    let wanted = |e: &&Endpoint| product.is_none_or(|product| e.product == *product);
    for endpoint in catalog.endpoints().iter().filter(wanted) {
        let (kind, pattern) = pattern(&endpoint.pattern);
        rows.push(vec![
            Value::text(&endpoint.id),
            Value::text(&endpoint.product),
            Value::text(endpoint.role),
            Value::text(endpoint.weight),
            Value::text(kind),
            Value::text(pattern),
            Value::text(validity(endpoint)),
            Value::text(endpoint.confidence),
        ]);
    }
    rows
}

fn pattern(pattern: &Pattern) -> (&'static str, String) {
    match pattern {
        Pattern::Exact(host) => ("exact", host.clone()),
        Pattern::Suffix(suffix) => ("suffix", suffix.clone()),
        Pattern::Regex(regex) => ("regex", regex.clone()),
        Pattern::Url(regex) => ("url", regex.clone()),
        Pattern::Prefix(prefix) => ("prefix", prefix.to_string()),
    }
}

/// `always`, or the days; an open end is left out.
fn validity(endpoint: &Endpoint) -> String {
    let (first, last) = (endpoint.valid.first(), endpoint.valid.last());
    let open = |year: i16| !(1900..=2200).contains(&year);
    match (open(first.date().year()), open(last.date().year())) {
        (true, true) => "always".to_owned(),
        (false, true) => format!("from {first}"),
        (true, false) => format!("to {last}"),
        (false, false) => format!("{first} to {last}"),
    }
}

/// What was found as rows; people get it as sentences instead.
fn explain(
    catalog: &Catalog,
    subject: &str,
    day: Day,
    settings: &Settings,
) -> anyhow::Result<()> {
    let Ok(subject) = subject.parse::<Subject>();
    let explanation = catalog.explain(subject, day);
    if settings.format == args::Format::Table {
        write!(std::io::stdout().lock(), "{explanation}")?;
        return Ok(());
    }
    let mut rows = Rows::new("catalog_explain", ["endpoint", "outcome", "place"]);
    for exclusion in &explanation.excluded {
        let why = format!("excluded: {}: {}", exclusion.prefix, exclusion.note);
        rows.push(vec![Value::Unknown, Value::Text(why), Value::Unknown]);
    }
    for verdict in &explanation.verdicts {
        rows.push(vec![
            Value::text(&verdict.endpoint.id),
            Value::text(&verdict.outcome),
            Value::text(verdict.place),
        ]);
    }
    rows.print(settings.format)
}

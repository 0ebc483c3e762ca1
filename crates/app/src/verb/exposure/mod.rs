//! `tidegauge exposure`: which of our assets and suppliers are still in contact.
//!
//! Evidence of the lake, matched with a portfolio, becomes facts in the ledger; what is
//! shown and written follows from the ledger alone.

mod chance;
mod looked;
pub(crate) mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, bail};
use futures::TryStreamExt;
use tidegauge_enrich::score;
use tidegauge_exposure::dossier::{Audience, Dossier, without_contacts};
use tidegauge_exposure::id::Id;
use tidegauge_exposure::matching::{Index, Matches};
use tidegauge_exposure::{
    Evidence, Ledger, Portfolio, Settings as UpdateSettings, Subject, Update, dossiers,
    update,
};
use tidegauge_model::finding::Finding;
use tidegauge_model::{DayRange, ProductId};
use tidegauge_publish::finding::Silent;

use crate::journal::{self, Journal};
use crate::opened::Opened;
use crate::output::{Rows, Value};
use crate::settings::Settings;
use crate::{Outcome, args, clock};

use chance::Chances;
use looked::Sights;

/// Matches the portfolio and prints the findings, or notes what somebody says of one.
pub(crate) async fn run(
    verb: &args::Exposure,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    if let Some(said) = &verb.verb {
        return say(said, settings);
    }
    anyhow::ensure!(
        settings.as_of.is_none() || verb.dry_run,
        "findings are kept of the lake as it is (hint: leave --as-of away, or --dry-run)"
    );
    let path = verb.portfolio.as_deref().context("--portfolio FILE is missing")?;
    let portfolio = portfolio(path)?;
    let chances = Chances::read(&verb.detection)?;
    let opened = Opened::open(settings, verb.evidence.map).await?;
    let days = opened.days(verb.from, verb.to).await?;
    let products = products(&opened, verb)?;
    let evidence = evidence(&opened, &portfolio, verb, days).await?;
    let sights = Sights::new(&opened, days).await?;
    let kept = journal::ledger_path(verb.kept.ledger.as_deref(), settings)?;
    let mut file = if verb.dry_run { None } else { Some(Journal::open(&kept)?) };
    let mut ledger = journal::read_ledger(&kept)?;
    let update = update(
        &portfolio,
        evidence,
        &mut ledger,
        &UpdateSettings {
            products: &products,
            days,
            recorded: clock::now(),
            looked: &|subject, product, week| {
                sights.looked(subject, product, week, &chances)
            },
            combine: &combine,
        },
    );
    if let Some(file) = &mut file {
        file.append(&ledger.lines(&update.entries))?;
    }
    drop(file);
    tell(&portfolio, &update);
    let of = |audience| dossiers(&portfolio, &ledger, days.last(), audience, &combine);
    let all = of(Audience::House);
    let found = findings(&portfolio, &products, &all, &sights);
    if !verb.dry_run {
        let run = format!("exposure:{}", clock::now().0);
        opened.lake.append_findings(&run, clock::now(), &found).await?;
    }
    if let Some(out) = &verb.out {
        let catalog = &opened.catalog;
        write::forms(out, &portfolio, (&ledger, &all, days.last()), catalog, verb)?;
    }
    // Of a portfolio and two dozen products most pairs say nothing: unless the products
    // were asked for, a subject that is silent for all of them gets one row.
    let told = if verb.evidence.product.is_empty() { summed_up(found) } else { found };
    rows(&told, &all).print(settings.format)?;
    let whole = portfolio.bad_rows.is_empty() && ledger.bad_lines.is_empty();
    Ok(if whole { Outcome::Done } else { Outcome::Incomplete })
}

/// Probabilities of independent networks, put together.
pub(crate) fn combine(probabilities: &mut dyn Iterator<Item = f64>) -> f64 {
    score::combine(probabilities)
}

/// The portfolio in a file; tells what is wrong with it.
pub(crate) fn portfolio(path: &Path) -> anyhow::Result<Portfolio> {
    let at = || format!("reading {}", path.display());
    let bytes = std::fs::read(path).with_context(at)?;
    let portfolio = Portfolio::read(&bytes).with_context(at)?;
    for bad in &portfolio.bad_rows {
        tracing::warn!("{}: {bad}; the row is left out", path.display());
    }
    for doubt in &portfolio.doubts {
        tracing::warn!("{}: {doubt}", path.display());
    }
    Ok(portfolio)
}

/// Notes what somebody says of a finding that the ledger has.
fn say(said: &args::ExposureVerb, settings: &Settings) -> anyhow::Result<Outcome> {
    let args::ExposureVerb::Say { finding, verdict, who, why, on, kept } = said;
    let path = journal::ledger_path(kept.ledger.as_deref(), settings)?;
    let mut file = Journal::open(&path)?;
    let mut ledger = Ledger::read(&file.read()?);
    journal::tell(&path, &ledger.bad_lines);
    let on = on.or(ledger.as_of()).unwrap_or_else(clock::today);
    let said = ledger.say(*finding, (who, *verdict, why), on, clock::now());
    let Some(entry) = said else {
        bail!("{} has no finding {finding}", path.display());
    };
    file.append(&ledger.lines(std::slice::from_ref(&entry)))?;
    tracing::info!("{} × {}: noted, from {on}", entry.name, entry.product);
    Ok(Outcome::Done)
}

/// The products asked for, or all that are no controls.
fn products(opened: &Opened, verb: &args::Exposure) -> anyhow::Result<Vec<ProductId>> {
    let asked = opened.products(&verb.evidence.product)?;
    if !asked.is_empty() {
        return Ok(asked);
    }
    let watched = opened.catalog.products().iter().filter(|p| !p.control);
    Ok(watched.map(|p| p.id.clone()).collect())
}

/// Every sighting in `days` that counts as use and may be a row's, with who held its
/// address that day.
async fn evidence(
    opened: &Opened,
    portfolio: &Portfolio,
    verb: &args::Exposure,
    days: DayRange,
) -> anyhow::Result<Vec<Evidence>> {
    let index = Index::new(&portfolio.subjects);
    let mut sightings = opened.lake.sightings(days).await?;
    let mut evidence = Vec::new();
    while let Some(sighting) = sightings.try_next().await? {
        let Some(endpoint) = opened.catalog.endpoint(sighting.endpoint.as_str()) else {
            continue;
        };
        let counts = verb.evidence.role.contains(&endpoint.role)
            && endpoint.weight >= verb.evidence.weight_min
            && endpoint.valid.contains(sighting.day);
        if !counts {
            continue;
        }
        let held = opened.map.attribute(&sighting.client, sighting.day);
        // Most of a lake is nobody's of the portfolio; it must not be held in memory.
        if index.matches(&sighting.client, &held) == Matches::default() {
            continue;
        }
        evidence.push(Evidence {
            held,
            client: sighting.client,
            product: endpoint.product.clone(),
            endpoint: sighting.endpoint,
            role: endpoint.role,
            vantage: sighting.vantage,
            day: sighting.day,
            first: sighting.first,
            last: sighting.last,
            grade: sighting.grade,
            signal: sighting.signal,
            contacts: sighting.contacts,
            probability: score::evidence(endpoint.weight, sighting.signal),
        });
    }
    Ok(evidence)
}

/// Each row of a portfolio without a finding, and the state that says why.
pub(crate) async fn silent(
    opened: &Opened,
    portfolio: &Portfolio,
    dossiers: &[Dossier],
) -> anyhow::Result<Vec<Silent>> {
    let sights = match opened.covered().await? {
        Some(days) => Sights::new(opened, days).await?,
        None => Sights::default(),
    };
    let loud: BTreeSet<&str> =
        dossiers.iter().map(|d| d.subject.key.as_str()).collect();
    let rows = portfolio.subjects.iter().filter(|s| !loud.contains(s.key.as_str()));
    let row = |subject: &Subject| {
        let any = ProductId::new(ANY);
        let none = without_contacts(subject, &any, sights.any(subject));
        Silent {
            subject: subject.name.clone(),
            kind: subject.kind.as_str().to_owned(),
            state: none.state,
            placed: !(subject.prefixes.is_empty() && subject.sites.is_empty()),
        }
    };
    Ok(rows.map(row).collect())
}

/// What stands for all products where none was seen.
const ANY: &str = "any";

/// Tells what looks like a row's and was not taken for it.
fn tell(portfolio: &Portfolio, update: &Update) {
    for ((row, why), contacts) in &update.passed {
        if let Some(subject) = portfolio.subjects.get(*row) {
            tracing::warn!("{}: {contacts} contacts passed over: {why}", subject.name);
        }
    }
    tracing::info!("{} facts are new", update.entries.len());
}

/// A row for each subject and product, in file order, and for findings whose subject has
/// left the portfolio.
fn findings(
    portfolio: &Portfolio,
    products: &[ProductId],
    dossiers: &[Dossier],
    sights: &Sights,
) -> Vec<Finding> {
    let mut found: BTreeMap<Id, Finding> =
        dossiers.iter().map(|d| (d.id, d.row())).collect();
    let mut rows = Vec::new();
    for subject in &portfolio.subjects {
        for product in products {
            let id = Id::of_finding(&subject.key, product.as_str());
            let none = || without_contacts(subject, product, sights.any(subject));
            rows.push(found.remove(&id).unwrap_or_else(none));
        }
    }
    rows.extend(found.into_values());
    rows
}

/// Findings with contacts as they are; of a subject without any, the first alone, about
/// every product.
fn summed_up(findings: Vec<Finding>) -> Vec<Finding> {
    let loud: BTreeSet<String> =
        findings.iter().filter(|f| f.days > 0).map(|f| f.subject.clone()).collect();
    let mut told = BTreeSet::new();
    let mut kept = Vec::new();
    for mut finding in findings {
        if finding.days > 0 {
            kept.push(finding);
        } else if !loud.contains(&finding.subject)
            && told.insert(finding.subject.clone())
        {
            finding.product = ProductId::new(ANY);
            kept.push(finding);
        }
    }
    kept
}

fn rows(findings: &[Finding], dossiers: &[Dossier]) -> Rows {
    let columns = [
        "finding",
        "subject",
        "product",
        "state",
        "first_seen",
        "last_seen",
        "days",
        "addresses",
        "confidence",
        "evidence",
        "why",
    ];
    let why: BTreeMap<String, &str> =
        dossiers.iter().map(|d| (d.id.to_string(), d.life.why.as_str())).collect();
    let mut rows = Rows::new("exposure", columns);
    for f in findings {
        rows.push(vec![
            Value::text(&f.id),
            Value::text(&f.subject),
            Value::text(&f.product),
            Value::text(f.state),
            Value::optional(f.first_seen),
            Value::optional(f.last_seen),
            Value::Int(f.days.into()),
            Value::Int(f.addresses),
            Value::Float(f64::from(f.confidence), 2),
            Value::Several(f.evidence.clone()),
            Value::optional(why.get(&f.id)),
        ]);
    }
    rows
}

//! `tidegauge exposure`: which of our assets and suppliers are still in contact.

use std::collections::BTreeSet;

use anyhow::Context;
use futures::TryStreamExt;
use tidegauge_enrich::score;
use tidegauge_exposure::{
    Evidence, Portfolio, Settings as FindingSettings, Subject, findings,
};
use tidegauge_model::ProductId;
use tidegauge_model::finding::{Finding, FindingState};
use tidegauge_model::{Coverage, DayRange, Footprint, Prefix};

use crate::opened::Opened;
use crate::output::{Rows, Value};
use crate::settings::Settings;
use crate::{Outcome, args, clock};

/// Matches the portfolio and prints the findings.
pub(crate) async fn run(
    verb: &args::Exposure,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let file = std::fs::File::open(&verb.portfolio)
        .with_context(|| format!("opening {}", verb.portfolio.display()))?;
    let portfolio = Portfolio::read(file)
        .with_context(|| format!("reading {}", verb.portfolio.display()))?;
    for bad in &portfolio.bad_rows {
        tracing::warn!("{}: {bad}; the row is left out", verb.portfolio.display());
    }
    let opened = Opened::open(settings, verb.evidence.map).await?;
    let days = opened.days(verb.from, verb.to)?;
    let products = opened.products(&verb.evidence.product)?;
    let products = if products.is_empty() {
        let watched = opened.catalog.products().iter().filter(|p| !p.control);
        watched.map(|p| p.id.clone()).collect()
    } else {
        products
    };
    let evidence = evidence(&opened, verb, days).await?;
    let seen = Seen::new(&opened.lake.coverage(days).await?);
    let found = findings(
        &portfolio.subjects,
        evidence,
        &FindingSettings {
            products: &products,
            as_of: days.last(),
            visible: &|subject| seen.covers(subject),
            combine: &|probabilities| score::combine(probabilities),
        },
    );
    let run = format!("exposure:{}", clock::now().0);
    opened.lake.append_findings(&run, clock::now(), &found).await?;
    // Of a portfolio and two dozen products most pairs say nothing: unless the products
    // were asked for, a subject that is silent for all of them gets one row.
    let told = if verb.evidence.product.is_empty() { summed_up(found) } else { found };
    rows(&told).print(settings.format)?;
    if !portfolio.bad_rows.is_empty() {
        tracing::warn!(
            "{} rows of the portfolio were left out",
            portfolio.bad_rows.len()
        );
        return Ok(Outcome::Incomplete);
    }
    Ok(Outcome::Done)
}

/// Every sighting in `days` that counts as use, with its origin AS and probability.
async fn evidence(
    opened: &Opened,
    verb: &args::Exposure,
    days: DayRange,
) -> anyhow::Result<Vec<Evidence>> {
    let mut sightings = opened.lake.sightings(days).await?;
    let mut evidence = Vec::new();
    while let Some(sighting) = sightings.try_next().await? {
        let Some(endpoint) = opened.catalog.endpoint(sighting.endpoint.as_str()) else {
            continue;
        };
        let counts = verb.evidence.role.contains(&endpoint.role)
            && endpoint.weight >= verb.evidence.weight_min
            && endpoint.valid.contains(sighting.day);
        if !counts || sighting.client.site.is_some() {
            continue;
        }
        evidence.push(Evidence {
            address: sighting.client.address,
            asn: opened.atlas.attribute(&sighting.client, sighting.day).asn,
            product: endpoint.product.clone(),
            day: sighting.day,
            grade: sighting.grade,
            signal: sighting.signal,
            probability: score::evidence(endpoint.weight, sighting.signal),
        });
    }
    Ok(evidence)
}

/// Networks that any vantage saw on any day, in order of address, disjoint.
struct Seen(Vec<Prefix>);

impl Seen {
    fn new(coverage: &[Coverage]) -> Self {
        let mut all = Footprint::default();
        for day in coverage {
            all.merge(&day.footprint);
        }
        let mut prefixes: Vec<Prefix> = all.prefixes().collect();
        prefixes.sort_unstable_by_key(|p| p.first());
        Self(prefixes)
    }

    /// Whether any network of a row was seen. A row known by AS number alone cannot be
    /// compared with networks, so it is visible only if it has prefixes.
    fn covers(&self, subject: &Subject) -> bool {
        subject.prefixes.iter().any(|prefix| {
            let at = self.0.partition_point(|seen| seen.last() < prefix.first());
            self.0.get(at).is_some_and(|seen| seen.first() <= prefix.last())
        })
    }
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
            finding.product = ProductId::new("any");
            kept.push(finding);
        }
    }
    kept
}

fn rows(findings: &[Finding]) -> Rows {
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
    ];
    let mut rows = Rows::new("exposure", columns);
    for f in findings {
        rows.push(vec![
            Value::text(&f.id),
            Value::text(&f.subject),
            Value::text(&f.product),
            Value::text(state(f.state)),
            Value::optional(f.first_seen),
            Value::optional(f.last_seen),
            Value::Int(f.days.into()),
            Value::Int(f.addresses),
            Value::Float(f64::from(f.confidence), 2),
            Value::Text(f.evidence.join("; ")),
        ]);
    }
    rows
}

fn state(state: FindingState) -> &'static str {
    match state {
        FindingState::InContact => "in contact",
        FindingState::NoLongerSeen => "no longer seen",
        FindingState::NotSeen => "not seen",
        FindingState::NotVisible => "not visible",
        FindingState::NotCheckable => "not checkable",
    }
}

//! A lake that was opened for counting: catalog, map of holders and engine at hand.
//!
//! **Invariant:** every verb that counts gets the same catalog, the same map and the
//! same memory limit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, bail};
use tidegauge_census::Counter;
use tidegauge_census::disclosure::{
    BesideTables, Internal, Ledger, Public, Withheld, released, same_population,
};
use tidegauge_enrich::atlas::HolderMap;
use tidegauge_enrich::catalog::Catalog;
use tidegauge_model::count::{Census, Dating, Dimension, Disclosure, Query, Release};
use tidegauge_model::estimate::{Estimate, ReleasedEstimate};
use tidegauge_model::{Day, DayRange, Endpoint, Holders, Instant, ProductId, Standing};
use tidegauge_store::{Lake, Published, Table};

use crate::cluster::Cluster;
use crate::pseudonyms::recorded;
use crate::settings::Settings;
use crate::verb::releases::withdrawn;
use crate::{args, clock, holders, knowledge};

/// The lake with everything that counting needs.
pub(crate) struct Opened {
    pub(crate) lake: Lake,
    pub(crate) catalog: Catalog,
    pub(crate) map: Arc<HolderMap>,
    /// How the map was made.
    pub(crate) rules: args::MapRules,
    pub(crate) counter: Counter,
    /// What counts instead of this process.
    cluster: Option<Cluster>,
}

impl Opened {
    /// Opens the lake of the settings, with the map of holders made by `rules`.
    pub(crate) async fn open(
        settings: &Settings,
        rules: args::MapRules,
    ) -> anyhow::Result<Self> {
        let lake = settings.open_lake().await?;
        let catalog = knowledge::catalog(settings)?;
        let cluster = Cluster::of(&lake, settings, rules).await?;
        let holders::Made { map, by } = holders::map(&lake, settings, rules).await?;
        let endpoints = catalog.endpoints();
        let holders = Arc::clone(&map) as Arc<dyn Holders>;
        let mut counter = counter(&lake, &catalog, endpoints, holders, settings)?;
        if let Some(by) = by {
            counter = counter.keeping(&by);
        }
        Ok(Self { lake, catalog, map, rules, counter, cluster })
    }

    /// A counter over the same lake and map with other endpoints.
    pub(crate) fn counter_with(
        &self,
        endpoints: &[Endpoint],
        settings: &Settings,
    ) -> anyhow::Result<Counter> {
        counter(&self.lake, &self.catalog, endpoints, self.holders(), settings)
    }

    /// Who held which address.
    pub(crate) fn holders(&self) -> Arc<dyn Holders> {
        Arc::clone(&self.map) as Arc<dyn Holders>
    }

    /// From the first day with a sighting to the last that any vantage covered by now; `None`
    /// without a sighting. What came before the first may have been forgotten: coverage stays.
    pub(crate) async fn covered(&self) -> anyhow::Result<Option<DayRange>> {
        let Some(seen) = self.counter.days().await? else { return Ok(None) };
        let last = self.lake.covered().await?.map_or(seen.last(), DayRange::last);
        Ok(DayRange::new(seen.first(), seen.last().max(last)))
    }

    /// The days from `from` to `to`, or those the lake covers.
    pub(crate) async fn days(
        &self,
        from: Option<Day>,
        to: Option<Day>,
    ) -> anyhow::Result<DayRange> {
        let covered = self.covered().await?.map(|c| (c.first(), c.last()));
        let Some((first, last)) = from.zip(to).or_else(|| {
            covered.map(|(first, last)| (from.unwrap_or(first), to.unwrap_or(last)))
        }) else {
            bail!("the lake {} is empty (hint: `tidegauge ingest`)", self.lake.url());
        };
        DayRange::new(first, last).with_context(|| format!("{last} is before {first}"))
    }

    /// The products asked for, checked against the catalog.
    pub(crate) fn products(
        &self,
        asked: &[ProductId],
    ) -> anyhow::Result<Vec<ProductId>> {
        for product in asked {
            if self.catalog.product(product.as_str()).is_none() {
                let known: Vec<&str> =
                    self.catalog.products().iter().map(|p| p.id.as_str()).collect();
                bail!(
                    "the catalog has no product `{product}` (hint: {})",
                    known.join(", ")
                );
            }
        }
        Ok(asked.to_vec())
    }

    /// The one product asked for; `kaspersky`-like defaults are not guessed.
    pub(crate) fn one_product(&self, asked: &[ProductId]) -> anyhow::Result<ProductId> {
        match self.products(asked)?.as_slice() {
            [product] => Ok(product.clone()),
            _ => bail!("name one product (hint: --product kaspersky)"),
        }
    }

    /// Fails where a window was not covered at all: what nobody looked at is not gone.
    /// Warns where they were not covered alike.
    pub(crate) async fn require_covered(
        &self,
        windows: &[DayRange],
    ) -> anyhow::Result<()> {
        let mut covered = Vec::new();
        for window in windows {
            let coverage = self.lake.coverage(*window).await?;
            let days: BTreeSet<Day> =
                coverage.iter().filter(|c| c.flows > 0).map(|c| c.day).collect();
            if days.is_empty() {
                bail!(
                    "rule window-covered: no vantage covered {window}, so nothing can be said about \
                     it: not identified (hint: choose other days)"
                );
            }
            covered.push(days.len());
        }
        let whole = |(window, days): (&DayRange, &usize)| {
            u32::try_from(*days) == Ok(window.length_days())
        };
        if !windows.iter().zip(&covered).all(whole) {
            let told: Vec<String> = windows
                .iter()
                .zip(&covered)
                .map(|(window, days)| {
                    format!("{days} of the {} days {window}", window.length_days())
                })
                .collect();
            tracing::warn!("of the windows were covered: {}", told.join("; "));
        }
        Ok(())
    }

    /// The counts of `query`, and what a reader of them must know besides them.
    pub(crate) async fn census(
        &self,
        query: &Query,
    ) -> anyhow::Result<(Census, Vec<String>)> {
        let census = match &self.cluster {
            Some(cluster) => cluster.census(&self.counter, query).await?,
            None => self.counter.census(query).await?,
        };
        let mut doubts = Vec::new();
        let outside = self.covered().await?.is_none_or(|c| {
            query.days.last() < c.first() || c.last() < query.days.first()
        });
        if outside {
            doubts.push(format!("the lake has nothing of {}", query.days));
        }
        doubts.extend(told_standings(&census.standings, self.rules));
        doubts.extend(self.pseudonyms_beside(query).await?);
        let is_control =
            |p: &ProductId| self.catalog.product(p.as_str()).is_some_and(|p| p.control);
        if query.products.is_empty() || query.products.iter().any(is_control) {
            let coverage = self.lake.coverage(query.days).await?;
            let coarsest = coverage.iter().map(|c| c.control_sampling).max();
            if let Some(one_in) = coarsest.filter(|one_in| *one_in > 1) {
                doubts.push(format!(
                    "sightings of control products are kept for one client in {one_in}; \
                     their counts are not expanded"
                ));
            }
        }
        Ok((census, doubts))
    }

    /// That cells have pseudonyms beside addresses, if they do.
    async fn pseudonyms_beside(&self, query: &Query) -> anyhow::Result<Option<String>> {
        let Some(before) = recorded(&self.lake).await?.before else { return Ok(None) };
        let spans = |days: DayRange| days.first() < before && before <= days.last();
        let cells = if query.by.contains(&Dimension::Day) {
            Vec::new()
        } else if query.by.contains(&Dimension::Month) {
            query.days.months().map(DayRange::month).collect()
        } else {
            vec![query.days]
        };
        Ok(cells.into_iter().any(spans).then(|| {
            format!(
                "pseudonyms stand for the addresses of days before {before}: one that was \
                 seen before and after counts twice in cells that span the day, and as two \
                 where windows lie on both sides"
            )
        }))
    }

    /// How [`Self::census`] would count, in words.
    pub(crate) async fn explain(&self, query: &Query) -> anyhow::Result<String> {
        let planned = match &self.cluster {
            Some(cluster) => cluster.plan(&self.counter, query).await?,
            None => self.counter.plan(query, "", 1).await?,
        };
        Ok(planned.explain())
    }

    /// The query that the evidence flags ask over `days`.
    pub(crate) fn query(
        &self,
        evidence: &args::Evidence,
        days: DayRange,
    ) -> anyhow::Result<Query> {
        Ok(Query {
            products: self.products(&evidence.product)?,
            on: evidence.on.unwrap_or(Dating::Frozen(days.first())),
            known: evidence.map.known,
            roles: evidence.role.clone(),
            weight_min: evidence.weight_min,
            organisation_kinds: evidence.kind.clone(),
            active_days_min: evidence.active_days,
            ..Query::new(days)
        })
    }
}

fn counter(
    lake: &Lake,
    catalog: &Catalog,
    endpoints: &[Endpoint],
    holders: Arc<dyn Holders>,
    settings: &Settings,
) -> anyhow::Result<Counter> {
    let controls = catalog.products().iter().filter(|p| p.control);
    let controls: Vec<ProductId> = controls.map(|p| p.id.clone()).collect();
    let limits = tidegauge_census::Settings {
        memory_bytes: settings.memory_mib << 20,
        ..tidegauge_census::Settings::default()
    };
    Ok(Counter::open(lake, endpoints, &controls, holders, limits)?)
}

/// The shares in words; `None` where there is nothing to tell.
fn told_standings(
    standings: &BTreeMap<Standing, u64>,
    map: args::MapRules,
) -> Option<String> {
    let all: u64 = standings.values().sum();
    if all == 0 {
        return None;
    }
    let parts = standings.iter().map(|(standing, count)| {
        let what = match standing {
            Standing::Snapshot => "on the day of a snapshot".to_owned(),
            Standing::Dated => "by rows with dates or a vantage's own file".to_owned(),
            Standing::Agreed => "between snapshots that agree".to_owned(),
            Standing::Disputed => {
                format!("between snapshots that differ, by the rule {}", map.gap)
            }
            Standing::BeforeFirst => {
                format!("before the first snapshot, by the rule {}", map.before_first)
            }
            Standing::AfterLast => "after the last snapshot, carried on".to_owned(),
            Standing::Frozen => "as known when pseudonyms were made".to_owned(),
            Standing::Nobody => "by nobody".to_owned(),
        };
        format!("{} % {what}", percent(*count, all))
    });
    let parts: Vec<_> = parts.collect();
    Some(format!("holders of address-days are told: {}", parts.join("; ")))
}

/// With one decimal, and only that which is nothing as 0.0.
fn percent(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 1_000).div_ceil(u128::from(whole).max(1));
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Who the figures are for.
pub(crate) enum Audience {
    /// Everybody: the disclosure rule holds.
    Public(Box<Readers>),
    /// The operator alone.
    Internal,
}

/// What everybody has seen.
#[derive(Default)]
pub(crate) struct Readers {
    ledger: Ledger,
    /// The lake as it is, though an earlier moment of it be counted.
    newest: Option<Lake>,
    /// The versions of the tables of releases and runs that the ledger knows.
    versions: Option<[i64; 2]>,
    /// What was withdrawn by then.
    withdrawn: BTreeMap<String, Instant>,
    /// The questions of earlier releases that the ledger has no answer to yet.
    earlier: Vec<Query>,
}

impl Audience {
    pub(crate) fn new(internal: bool) -> Self {
        if internal { Self::Internal } else { Self::Public(Box::default()) }
    }

    /// The audience that a flag chose; says so if it hides nothing.
    pub(crate) fn asked(internal: bool) -> Self {
        if internal {
            tracing::warn!(
                "--internal: nothing is hidden; these figures are not for publication"
            );
        }
        Self::new(internal)
    }

    /// The counts as this audience may see them, beside everything it saw before and every
    /// earlier release of the same population.
    pub(crate) async fn release(
        &mut self,
        opened: &Opened,
        census: Census,
    ) -> anyhow::Result<Result<Release, Withheld>> {
        let Self::Public(readers) = self else {
            return Ok(Ok(Release::by(&Internal, census)));
        };
        readers.remember(&opened.lake).await?;
        Box::pin(readers.see_earlier(opened, &census.query)).await?;
        Ok(readers.ledger.publish(census, clock::today()))
    }
    /// The estimates as this audience may see them, beside `tables` over the same windows.
    pub(crate) fn estimates(
        &self,
        estimates: impl IntoIterator<Item = Estimate>,
        tables: &[Release],
    ) -> Vec<ReleasedEstimate> {
        disclosed(matches!(self, Self::Internal), estimates, tables)
    }
}

impl Readers {
    /// Takes in what was released of this lake since it was looked at last, whatever moment of
    /// the lake is counted.
    async fn remember(&mut self, lake: &Lake) -> anyhow::Result<()> {
        let newest = match &self.newest {
            Some(newest) => newest.clone(),
            None => self.newest.insert(Lake::open(lake.url().as_str()).await?).clone(),
        };
        let of =
            async |table| newest.snapshot(table).await.map(|snapshot| snapshot.version);
        let versions = Some([of(Table::Releases).await?, of(Table::Runs).await?]);
        if self.versions == versions {
            return Ok(());
        }
        let withdrawn = withdrawn(&newest.runs().await?);
        if withdrawn != self.withdrawn {
            (self.ledger, self.earlier) = (Ledger::default(), Vec::new());
        }
        for Published { id, made, release } in newest.releases().await? {
            if is_internal(&release) {
                continue;
            }
            let withdrawn = withdrawn.contains_key(&id);
            self.ledger.remember(&release, made.day(), withdrawn);
            if !withdrawn && !self.earlier.contains(release.query()) {
                self.earlier.push(release.query().clone());
            }
        }
        (self.versions, self.withdrawn) = (versions, withdrawn);
        Ok(())
    }

    /// Publishes again what was released earlier of the population of a question, its total
    /// first.
    async fn see_earlier(&mut self, opened: &Opened, of: &Query) -> anyhow::Result<()> {
        let (mut found, rest): (Vec<_>, Vec<_>) =
            self.earlier.iter().cloned().partition(|query| same_population(query, of));
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by_key(|query| query.by.len());
        let total = Query { by: vec![Dimension::Month], ..of.clone() };
        for query in std::iter::once(total).chain(found).filter(|query| query != of) {
            let (again, _) = opened.census(&query).await?;
            // What it showed and hid is remembered even where it is withheld today.
            if let Err(withheld) = self.ledger.publish(again, clock::today()) {
                tracing::debug!(%withheld, "an earlier release");
            }
        }
        self.earlier = rest;
        Ok(())
    }
}

/// Whether a release was for the operator alone.
pub(crate) fn is_internal(release: &Release) -> bool {
    release.rule() == Disclosure::statement(&Internal)
}

/// Estimates for everybody, or for the operator alone if `internal`, beside `tables` over
/// the same windows.
pub(crate) fn disclosed(
    internal: bool,
    estimates: impl IntoIterator<Item = Estimate>,
    tables: &[Release],
) -> Vec<ReleasedEstimate> {
    if internal {
        let estimates = estimates.into_iter();
        return estimates.map(|e| ReleasedEstimate::by(&Internal, e)).collect();
    }
    released(&BesideTables::new(Public::default(), tables), estimates)
}

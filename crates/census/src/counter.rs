//! The counter: questions in, counts and panels out.
//!
//! **Invariant:** every question reads the newest version of the lake as one snapshot;
//! nothing here writes.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use futures::{StreamExt, TryStreamExt};
use tidegauge_model::count::{Census, Dimension, Query};
use tidegauge_model::panel::Panel;
use tidegauge_model::{
    Client, CoverageSummary, Day, DayRange, Endpoint, Holders, ProductId,
};
use tidegauge_store::by_address::{Span, Wanted};
use tidegauge_store::{Lake, Snapshot, Table};
use tokio::task::JoinError;

use crate::clients::{Clients, Group};
use crate::contacts::{self, Contacts};
use crate::counted::{Asked, Counted, InLake};
use crate::evidence::{self, Evidence};
use crate::holding::{Answers, Holding};
use crate::session::{Engine, Settings};
use crate::unique::Part;
use crate::{Error, Result, coverage, panel, sql, unique};

/// Of all clients, without names of vantages and signals.
const BARE: Wanted = Wanted { addresses: Span::ALL, vantages: false, signals: false };

/// Counts what is in a lake.
#[derive(Clone)]
pub struct Counter {
    pub(crate) lake: Lake,
    pub(crate) endpoints: Arc<[Endpoint]>,
    controls: Arc<[ProductId]>,
    pub(crate) holders: Arc<dyn Holders>,
    engine: Engine,
    counted: Counted,
    /// What else decides an answer, if answers are kept in the lake.
    keeping: Option<Arc<str>>,
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counter")
            .field("lake", &self.lake)
            .field("endpoints", &self.endpoints.len())
            .field("controls", &self.controls)
            .finish_non_exhaustive()
    }
}

impl Counter {
    /// A counter over `lake` with the dated catalog, the products that serve as controls,
    /// and who held which address. Fails if the catalog would count a contact twice.
    pub fn open(
        lake: &Lake,
        endpoints: &[Endpoint],
        controls: &[ProductId],
        holders: Arc<dyn Holders>,
        settings: Settings,
    ) -> Result<Self> {
        evidence::check(endpoints)?;
        Ok(Self {
            lake: lake.clone(),
            endpoints: endpoints.into(),
            controls: controls.into(),
            holders,
            engine: Engine::new(settings)?,
            counted: Counted::default(),
            keeping: None,
        })
    }

    /// The same counter, which keeps what it has counted in the lake and finds it again there.
    /// `identity` says all that decides an answer and is not in question, catalog or
    /// sightings: the program, and what the holders were made of.
    #[must_use]
    pub fn keeping(self, identity: &str) -> Self {
        Self { keeping: Some(identity.into()), ..self }
    }

    /// Counts the cells of `query`; what each count means is said at
    /// [`Counts`](tidegauge_model::count::Counts). Cells are sorted by key, what is not
    /// known last; a cell in which nothing was sighted is absent.
    ///
    /// Filters on countries and sectors (primary or further ones) apply to organisations:
    /// an address without one never passes. The share of unattributed address-days is
    /// that of the evidence before these filters, an address-day in two cells counted in
    /// both, and what lies in none of its windows left out. `query.known` is not looked at here: the
    /// `holders` of this counter were made for it.
    pub async fn census(&self, query: &Query) -> Result<Census> {
        evidence::check_windows(query)?;
        let snapshot = Arc::new(self.lake.snapshot(Table::Sightings).await?);
        let answers = Answers::new(query.days);
        let asked = parts(query).into_iter().map(|days| {
            let part = Query { days, ..query.clone() };
            self.part(part, Arc::clone(&snapshot), Arc::clone(&answers))
        });
        let at_once = self.engine.partitions();
        let counted: Vec<Arc<Part>> =
            futures::stream::iter(asked).buffered(at_once).try_collect().await?;
        Ok(unique::whole(query, counted.iter().map(Arc::as_ref)))
    }

    /// Weekly detection histories of `product` on `query.days`. Of `query`, the products,
    /// dimensions and the activity threshold are not looked at.
    ///
    /// A history is there for each organisation and vantage with a sighting of the product
    /// that counts as use. Controls count with every role, if their weight is not `none`.
    pub async fn panel(&self, product: &ProductId, query: &Query) -> Result<Panel> {
        let evidence =
            Evidence::of_panel(&self.endpoints, product, &self.controls, query);
        if !evidence.has_use() {
            return Err(Error::NoEvidence { product: product.clone() });
        }
        // Coverage first: a later append then shows as seen, never as looked at in vain.
        let covered = self.lake.coverage(query.days).await?;
        let snapshot = self.lake.snapshot(Table::Sightings).await?;
        let wanted = Wanted { vantages: true, ..BARE };
        let mut clients = Clients::open(&snapshot, &evidence, query, wanted);
        let mut holding = Holding::new(query, &*self.holders);
        let histories =
            panel::histories(&mut clients, &evidence, &mut holding, query, &covered);
        let histories = histories.await?;
        Ok(Panel { product: product.clone(), days: query.days, histories })
    }

    /// Every client with a sighting that counts in `query`, once, in the order of addresses,
    /// with the days of its sightings in order, each once. Whose the client was is not asked:
    /// of `query`, the filters on organisations are not looked at.
    pub async fn each_client(
        &self,
        query: &Query,
        mut take: impl FnMut(&Client, &[Day]),
    ) -> Result<()> {
        let evidence = Evidence::of_use(&self.endpoints, query);
        let snapshot = self.lake.snapshot(Table::Sightings).await?;
        let mut clients = Clients::open(&snapshot, &evidence, query, BARE);
        let mut holding = Holding::new(query, &*self.holders);
        let first = query.days.first();
        let mut days: Vec<Day> = Vec::new();
        let each = |group: Group<'_>, _: &mut Holding<'_>| {
            days.clear();
            let seen = group.seen.iter().flat_map(|seen| seen.days.each());
            days.extend(seen.map(|day| first.plus(day.first())));
            days.sort_unstable();
            days.dedup();
            take(group.client, &days);
            Ok(())
        };
        clients.each(&mut holding, each).await
    }

    /// The weeks in which each organisation was in contact with each product of `query`. Raw:
    /// for the operator's eyes.
    pub async fn contacts(&self, query: &Query) -> Result<Contacts> {
        let evidence = Evidence::of_use(&self.endpoints, query);
        let snapshot = self.lake.snapshot(Table::Sightings).await?;
        let mut clients = Clients::open(&snapshot, &evidence, query, BARE);
        let mut holding = Holding::new(query, &*self.holders);
        contacts::contacts(&mut clients, &evidence, &mut holding, query).await
    }

    /// What each vantage read in each month of `days`.
    pub async fn coverage(&self, days: DayRange) -> Result<Vec<CoverageSummary>> {
        Ok(coverage::summarise(&self.lake.coverage(days).await?, days))
    }

    /// The products that have an endpoint in the catalog, sorted.
    pub fn products(&self) -> Vec<ProductId> {
        let products: BTreeSet<_> = self.endpoints.iter().map(|e| &e.product).collect();
        products.into_iter().cloned().collect()
    }

    /// The first and last day with any sighting, or `None` in an empty lake.
    pub async fn days(&self) -> Result<Option<DayRange>> {
        let snapshot = self.lake.snapshot(Table::Sightings).await?;
        self.days_of(&snapshot).await
    }

    /// The first and last day with any sighting in a version of the lake.
    pub(crate) async fn days_of(
        &self,
        snapshot: &Snapshot,
    ) -> Result<Option<DayRange>> {
        sql::days(&self.engine, snapshot).await
    }

    /// Runs a read-only query for the operator: one batch or more, so that its columns are
    /// known. The result is raw and must not be published.
    ///
    /// | table | content |
    /// |---|---|
    /// | `sightings`, `atlas`, `organisations`, `vantages`, `runs`, `releases`, `findings` | as in the lake |
    /// | `coverage` | one row for each vantage and day; losses and footprints as counts |
    /// | `resolutions` | look-ups that have no client, by the network that asked if known: never to be counted as addresses |
    /// | `catalog` | the endpoints that this counter counts with |
    /// | `holders` | every client that has a sighting, with who held it on which days |
    /// | `attributed` | sightings, each with who held its client on its day |
    pub async fn sql(&self, text: &str) -> Result<Vec<RecordBatch>> {
        sql::run(self, text).await
    }

    /// The same counter, with addresses held by others.
    #[must_use]
    pub fn with_holders(self, holders: Arc<dyn Holders>) -> Self {
        Self { holders, counted: Counted::default(), keeping: None, ..self }
    }

    /// The same counter with other settings.
    pub fn with_settings(self, settings: Settings) -> Result<Self> {
        Ok(Self { engine: Engine::new(settings)?, ..self })
    }

    pub(crate) fn controls(&self) -> &[ProductId] {
        &self.controls
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A part of a census, on a thread of its own, unless it was counted before on the same
    /// files.
    async fn part(
        &self,
        query: Query,
        snapshot: Arc<Snapshot>,
        answers: Arc<Answers>,
    ) -> Result<Arc<Part>> {
        let key = Asked::of(&query, &snapshot);
        if let Some(known) = self.counted.get(&key) {
            return Ok(known);
        }
        let in_lake = self.in_lake(&key, &query);
        if let Some(in_lake) = &in_lake
            && let Some(part) = in_lake.get(&self.lake).await
        {
            let part = Arc::new(part);
            self.counted.keep(key, Arc::clone(&part));
            return Ok(part);
        }
        let counter = self.clone();
        // Ends with the question, should nobody wait for it any more.
        let counting = SpawnedTask::spawn(async move {
            let evidence = Evidence::of_use(&counter.endpoints, &query);
            let wanted = unique::wanted(&query, Span::ALL);
            let mut clients = Clients::open(&snapshot, &evidence, &query, wanted);
            let mut holding = Holding::of_part(&query, &*counter.holders, answers);
            let (engine, clients, holding) =
                (&counter.engine, &mut clients, &mut holding);
            let all = unique::count(engine, clients, &evidence, holding, &query);
            Ok::<_, Error>(Part::of(&query, vec![all.await?]))
        });
        let stopped = |error: JoinError| {
            self.engine.error("counting")(DataFusionError::External(error.into()))
        };
        let part = Arc::new(counting.await.map_err(stopped)??);
        if let Some(in_lake) = in_lake {
            in_lake.keep(&self.lake, &part).await;
        }
        self.counted.keep(key, Arc::clone(&part));
        Ok(part)
    }

    /// Where a part is kept in the lake, if it is to be.
    fn in_lake(&self, asked: &Asked, query: &Query) -> Option<InLake> {
        let identity = self.keeping.as_ref()?;
        if asked.rows() < self.engine.kept_rows_min() {
            return None;
        }
        let entries = Evidence::of_use(&self.endpoints, query).entries();
        Some(InLake::of(asked, query, &format!("{identity}\n{entries:?}")))
    }
}

/// The parts of the days of a question that have no cell in common: its months, if cells are
/// made of months.
pub(crate) fn parts(query: &Query) -> Vec<DayRange> {
    if !query.by.contains(&Dimension::Month) {
        return vec![query.days];
    }
    let (first, last) = (query.days.first(), query.days.last());
    let month = |month| {
        let days = DayRange::month(month);
        DayRange::new(days.first().max(first), days.last().min(last))
    };
    query.days.months().filter_map(month).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::world::{
        self, Table, World, client, days, endpoints, everything, sighting,
    };

    /// Deletes every file below a folder, but for the logs of tables.
    fn delete_files(folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if !path.is_dir() {
                std::fs::remove_file(path).unwrap();
            } else if !path.ends_with("_delta_log") {
                delete_files(&path);
            }
        }
    }

    #[tokio::test]
    async fn a_day_more_costs_its_own_month_alone() {
        let seen = |address: &str, day: Day| {
            sighting(&client(address, None), "red/update", day, "east")
        };
        let (first, last) = (days().first(), days().last());
        assert!(first.month() < last.month());
        let mut world = World {
            sightings: vec![seen("192.0.2.1", first), seen("192.0.2.2", first)],
            coverage: Vec::new(),
            table: Table::default(),
        };
        let stored = world.store(1).await;
        let (lake, folder) = (&stored.counter.lake, stored.folder.path());
        let settings = Settings { kept_rows_min: 0, ..Settings::default() };
        let open = |identity| {
            let holders = Arc::new(Table::default());
            let opened = Counter::open(lake, &endpoints(), &[], holders, settings);
            opened.unwrap().keeping(identity)
        };
        let query = everything(&[Dimension::Month, Dimension::Product]);
        let counted = open("a map").census(&query).await.unwrap();
        assert_eq!(counted.cells, world.census(&query).0);
        // Whoever looks for sightings now finds none.
        delete_files(&folder.join("sightings"));
        delete_files(&folder.join("state"));
        let again = open("a map").census(&query).await.unwrap();
        assert_eq!((again.cells, again.standings), (counted.cells, counted.standings));
        assert!(open("another map").census(&query).await.is_err());
        let of_weeks = everything(&[Dimension::Week]);
        assert!(open("a map").census(&of_weeks).await.is_err(), "another question");

        let more = seen("192.0.2.1", last);
        world.sightings.push(more.clone());
        world::append(lake, "a day more", vec![more]).await;
        let counted = open("a map").census(&query).await.unwrap();
        assert_eq!(counted.cells, world.census(&query).0);
        world::append(lake, "late", vec![seen("192.0.2.3", first)]).await;
        let of_first = open("a map").census(&query).await;
        assert!(of_first.is_err(), "its month is counted again");
    }

    #[tokio::test]
    async fn an_endpoint_that_holds_twice_on_a_day_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap()).await.unwrap();
        let open = |endpoints: &[Endpoint]| {
            let holders = Arc::new(Table::default());
            Counter::open(&lake, endpoints, &[], holders, Settings::default())
        };
        let one = endpoints().remove(0);
        let on = |first: i32, last: i32| {
            let from = days().first();
            Endpoint {
                valid: DayRange::new(from.plus(first), from.plus(last)).unwrap(),
                ..one.clone()
            }
        };
        let refused = open(&[on(0, 5), on(10, 20), on(5, 7)]);
        assert!(matches!(refused, Err(Error::Catalog { .. })));
        assert!(open(&[on(0, 5), on(6, 20)]).is_ok());
    }
}

//! The operator's tables: as they lie in the lake, and five that are made when they are read.
//!
//! **Invariant:** a table that no query names costs nothing. They are raw, and only for
//! whoever may see what is internal.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::error::{DataFusionError, Result};
use futures::future::ready;
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use tidegauge_model::{
    Address, Client, Coverage, DayRange, Endpoint, Holders, ProductId, ResolvedDay,
    SiteId,
};
use tidegauge_store::schema::column as c;
use tidegauge_store::{Snapshot, Table};

use crate::Counter;
use crate::attributed::{ADDRESS, ATTRIBUTED, Attributed, WHOSE, Whose};
use crate::holding::covering;
use crate::made::{Made, MadeTable};
use crate::read::Columns;

/// Name of the table of holders.
const HOLDERS: &str = "holders";

/// Tables that are shown as they lie in the lake.
pub(crate) const AS_STORED: [Table; 7] = [
    Table::Sightings,
    Table::Atlas,
    Table::Organisations,
    Table::Vantages,
    Table::Runs,
    Table::Releases,
    Table::Findings,
];

/// Which version of the sightings is read.
#[derive(Clone, Debug)]
pub(crate) enum Version {
    /// This one.
    Of(Snapshot),
    /// The newest when a query runs.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "only the door for clients of PostgreSQL lives on")
    )]
    Newest,
}

impl Version {
    pub(crate) async fn snapshot(&self, counter: &Counter) -> Result<Snapshot> {
        match self {
            Self::Of(snapshot) => Ok(snapshot.clone()),
            Self::Newest => {
                counter.lake.snapshot(Table::Sightings).await.map_err(foreign)
            }
        }
    }
}

/// Tables that are made when they are read, beside the sightings of a version.
pub(crate) fn made(
    counter: &Counter,
    version: &Version,
) -> Result<[(&'static str, Arc<dyn TableProvider>); 5]> {
    let catalog = catalog_rows(&counter.endpoints, counter.controls())?;
    let catalog_schema = catalog.schema();
    let beside = || (counter.clone(), version.clone());
    let (covered_by, resolved_by, held_by) = (beside(), beside(), beside());
    let catalog =
        MadeTable::new(catalog_schema, move || once(ready(Ok(catalog.clone()))));
    let coverage = MadeTable::new(coverage_rows(&[])?.schema(), move || {
        once(covered(covered_by.clone()))
    });
    let resolutions =
        MadeTable::new(resolution_rows(Vec::new())?.schema(), move || {
            once(resolved(resolved_by.0.clone()))
        });
    let holders = MadeTable::new(HolderRows::default().finish()?.schema(), move || {
        held(held_by.clone()).try_flatten_stream().boxed()
    });
    let attributed = Attributed::of(counter.clone(), version.clone());
    Ok([
        (Table::Catalog.name(), Arc::new(catalog)),
        (Table::Coverage.name(), Arc::new(coverage)),
        (Table::Resolutions.name(), Arc::new(resolutions)),
        (HOLDERS, Arc::new(holders)),
        (ATTRIBUTED, Arc::new(attributed)),
    ])
}

/// Rows that are made all at once.
fn once(rows: impl Future<Output = Result<RecordBatch>> + Send + 'static) -> Made {
    rows.into_stream().boxed()
}

/// Coverage of the days that have sightings.
async fn covered((counter, version): (Counter, Version)) -> Result<RecordBatch> {
    let snapshot = version.snapshot(&counter).await?;
    let days = counter.days_of(&snapshot).await.map_err(foreign)?;
    match days {
        Some(days) => {
            coverage_rows(&counter.lake.coverage(days).await.map_err(foreign)?)
        }
        None => coverage_rows(&[]),
    }
}

/// Look-ups without a client, of any day: they need no sighting beside them.
async fn resolved(counter: Counter) -> Result<RecordBatch> {
    resolution_rows(counter.lake.resolutions(None).await.map_err(foreign)?)
}

/// Every client that has a sighting, with who held it on which days.
async fn held((counter, version): (Counter, Version)) -> Result<Made> {
    let snapshot = version.snapshot(&counter).await?;
    let Some(days) = counter.days_of(&snapshot).await.map_err(foreign)? else {
        return Ok(futures::stream::empty().boxed());
    };
    let session = counter.engine().session();
    counter.engine().add_lake(&session, &snapshot).map_err(foreign)?;
    let (hi, lo, site) = (c::IP_HI, c::IP_LO, c::SITE);
    let client = format!("{hi}, {lo}, {site}");
    let table = Table::Sightings.name();
    let sql = format!("SELECT {client} FROM {table} GROUP BY {client}");
    let clients = session.sql(&sql).await?.execute_stream().await?;
    let rows = clients.and_then(move |clients| {
        let mut rows = HolderRows::default();
        let added = rows.add(&clients, days, &*counter.holders);
        ready(added.and_then(|()| rows.finish()))
    });
    Ok(rows.boxed())
}

/// As the engine hands on an error that is not its own.
pub(crate) fn foreign(
    error: impl std::error::Error + Send + Sync + 'static,
) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Columns without a null, whatever they hold.
fn rows_of(
    columns: impl IntoIterator<Item = (&'static str, ArrayRef)>,
) -> Result<RecordBatch> {
    let columns = columns.into_iter().map(|(name, array)| (name, array, false));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

fn catalog_rows(endpoints: &[Endpoint], controls: &[ProductId]) -> Result<RecordBatch> {
    let mut texts: [StringBuilder; 6] = Default::default();
    let (mut from, mut to) = (Date32Builder::new(), Date32Builder::new());
    let (mut exclusive, mut control) = (BooleanBuilder::new(), BooleanBuilder::new());
    for endpoint in endpoints {
        let values = [
            endpoint.id.as_str(),
            endpoint.product.as_str(),
            endpoint.role.as_str(),
            endpoint.weight.as_str(),
            &endpoint.source,
            endpoint.confidence.as_str(),
        ];
        for (column, value) in texts.iter_mut().zip(values) {
            column.append_value(value);
        }
        from.append_value(endpoint.valid.first().0);
        to.append_value(endpoint.valid.last().0);
        exclusive.append_value(endpoint.exclusive);
        control.append_value(controls.contains(&endpoint.product));
    }
    let [id, product, role, weight, source, confidence] =
        texts.map(|mut column| Arc::new(column.finish()));
    rows_of([
        (c::ENDPOINT, id as _),
        (c::PRODUCT, product as _),
        (c::ROLE, role as _),
        (c::WEIGHT, weight as _),
        (c::VALID_FROM, Arc::new(from.finish()) as _),
        (c::VALID_TO, Arc::new(to.finish()) as _),
        (c::EXCLUSIVE, Arc::new(exclusive.finish()) as _),
        ("control", Arc::new(control.finish()) as _),
        (c::SOURCE, source as _),
        (c::CONFIDENCE, confidence as _),
    ])
}

fn coverage_rows(coverage: &[Coverage]) -> Result<RecordBatch> {
    let mut vantage = StringBuilder::new();
    let mut day = Date32Builder::new();
    let mut numbers: [Int64Builder; 9] = Default::default();
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    for row in coverage {
        vantage.append_value(row.vantage.as_str());
        day.append_value(row.day.0);
        let values = [
            number(row.flows),
            number(row.contacts),
            number(row.losses.values().sum()),
            row.sampling_min.into(),
            row.sampling_max.into(),
            row.control_sampling.into(),
            row.hours.into(),
            number(row.footprint.v4.len()),
            number(row.footprint.v6.len()),
        ];
        for (column, value) in numbers.iter_mut().zip(values) {
            column.append_value(value);
        }
    }
    let names = [
        c::FLOWS,
        c::CONTACTS,
        c::LOSSES,
        c::SAMPLING_MIN,
        c::SAMPLING_MAX,
        c::CONTROL_SAMPLING,
        c::HOURS,
        c::FOOTPRINT_V4,
        c::FOOTPRINT_V6,
    ];
    let keys = [
        (c::VANTAGE, Arc::new(vantage.finish()) as _),
        (c::DAY, Arc::new(day.finish()) as _),
    ];
    let numbers =
        names.into_iter().zip(numbers.map(|mut column| Arc::new(column.finish()) as _));
    rows_of(keys.into_iter().chain(numbers))
}

fn resolution_rows(resolutions: Vec<ResolvedDay>) -> Result<RecordBatch> {
    let mut texts: [StringBuilder; 3] = Default::default();
    let mut day = Date32Builder::new();
    let mut count = Int64Builder::new();
    let instants = || TimestampMicrosecondBuilder::new().with_timezone("UTC");
    let (mut first, mut last) = (instants(), instants());
    for row in resolutions {
        let [vantage, endpoint, network] = &mut texts;
        vantage.append_value(row.vantage.as_str());
        endpoint.append_value(row.endpoint.as_str());
        network.append_option(row.client.map(|prefix| prefix.to_string()));
        day.append_value(row.day.0);
        count.append_value(i64::try_from(row.count).unwrap_or(i64::MAX));
        first.append_value(row.first.0);
        last.append_value(row.last.0);
    }
    let [vantage, endpoint, network] =
        texts.map(|mut column| Arc::new(column.finish()));
    let columns = [
        (c::VANTAGE, vantage as _, false),
        (c::ENDPOINT, endpoint as _, false),
        ("network", network as _, true),
        (c::DAY, Arc::new(day.finish()) as _, false),
        (c::COUNT, Arc::new(count.finish()) as _, false),
        (c::FIRST, Arc::new(first.finish()) as _, false),
        (c::LAST, Arc::new(last.finish()) as _, false),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// The table of holders in words.
#[derive(Default)]
struct HolderRows {
    hi: Int64Builder,
    lo: Int64Builder,
    from: Date32Builder,
    to: Date32Builder,
    /// Site, address, and the columns of [`WHOSE`].
    texts: [StringBuilder; 8],
}

impl HolderRows {
    fn add(
        &mut self,
        batch: &RecordBatch,
        days: DayRange,
        holders: &dyn Holders,
    ) -> Result<()> {
        let columns = Columns(batch);
        let (hi, lo) = (columns.numbers(c::IP_HI)?, columns.numbers(c::IP_LO)?);
        let sites = columns.texts(c::SITE)?;
        for row in 0..batch.num_rows() {
            let (Some(hi), Some(lo)) = (hi.get(row), lo.get(row)) else { continue };
            let address = Address::from_halves(hi, lo);
            let client = Client { address, site: sites.get(row).map(SiteId::new) };
            self.add_client(&client, days, holders);
        }
        Ok(())
    }

    fn add_client(&mut self, client: &Client, days: DayRange, holders: &dyn Holders) {
        let (hi, lo) = client.address.halves();
        let address = client.address.to_string();
        for held in covering(holders.tenures(client, days), days) {
            let whose = Whose::of(held.attribution, holders);
            self.hi.append_value(hi);
            self.lo.append_value(lo);
            self.from.append_value(held.days.first().0);
            self.to.append_value(held.days.last().0);
            let site = client.site.as_ref().map(SiteId::as_str);
            let values = [site, Some(&address)].into_iter().chain(whose.values());
            for (column, value) in self.texts.iter_mut().zip(values) {
                column.append_option(value);
            }
        }
    }

    fn finish(mut self) -> Result<RecordBatch> {
        let names = [c::SITE, ADDRESS].into_iter().chain(WHOSE);
        let number = |name: &str| Field::new(name, DataType::Int64, false);
        let day = |name: &str| Field::new(name, DataType::Date32, false);
        let keys =
            [number(c::IP_HI), number(c::IP_LO), day(c::VALID_FROM), day(c::VALID_TO)];
        let texts = names.map(|name| Field::new(name, DataType::Utf8, true));
        let fields: Vec<_> = keys.into_iter().chain(texts).collect();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.hi.finish()),
            Arc::new(self.lo.finish()),
            Arc::new(self.from.finish()),
            Arc::new(self.to.finish()),
        ];
        columns.extend(self.texts.map(|mut text| Arc::new(text.finish()) as _));
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }
}

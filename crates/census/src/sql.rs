//! SQL for the operator, read-only.
//!
//! **Invariant:** a statement that would change anything is refused before it runs. The
//! tables are listed at [`Counter::sql`](crate::Counter::sql); `holders` is made only
//! when a query names it.

use std::sync::Arc;

use datafusion::arrow::array::{
    BooleanBuilder, Date32Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::prelude::{SQLOptions, SessionContext};
use futures::TryStreamExt;
use tidegauge_model::{
    Address, Client, Day, DayRange, Endpoint, Holders, ProductId, SiteId,
};
use tidegauge_store::schema::column as c;
use tidegauge_store::{Lake, Table};

use crate::holding::covering;
use crate::read::Columns;
use crate::session::Engine;
use crate::{Error, Result};

/// Name of the table of holders in a session.
const HOLDERS: &str = "holders";

/// Tables that are shown as they lie in the lake.
const AS_STORED: [Table; 7] = [
    Table::Sightings,
    Table::Atlas,
    Table::Organisations,
    Table::Vantages,
    Table::Runs,
    Table::Releases,
    Table::Findings,
];

/// What a query can be about.
pub(crate) struct Tables<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) lake: &'a Lake,
    pub(crate) endpoints: &'a [Endpoint],
    pub(crate) controls: &'a [ProductId],
    pub(crate) holders: &'a dyn Holders,
}

impl Tables<'_> {
    /// Runs one query.
    pub(crate) async fn run(&self, text: &str) -> Result<Vec<RecordBatch>> {
        let wrong = |source| Error::Sql { source: Box::new(source) };
        let session = self.engine.session();
        for table in AS_STORED {
            let snapshot = self.lake.snapshot(table).await?;
            self.engine.add_lake(&session, &snapshot)?;
        }
        let mut memory = vec![self.add_catalog(&session)?];
        let state = session.state();
        let dialect = state.config_options().sql_parser.dialect;
        let statement = state.sql_to_statement(text, &dialect).map_err(wrong)?;
        let named = state.resolve_table_references(&statement).map_err(wrong)?;
        let days = days(self.engine, &session).await?;
        memory.push(self.add_coverage(&session, days).await?);
        memory.push(self.add_resolutions(&session).await?);
        let wants_holders = named.iter().any(|t| t.table() == HOLDERS);
        memory.push(self.add_holders(&session, days.filter(|_| wants_holders)).await?);

        let plan = session.state().statement_to_plan(statement).await.map_err(wrong)?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(|source| Error::ReadOnly { source: Box::new(source) })?;
        let frame = session.execute_logical_plan(plan).await.map_err(wrong)?;
        frame.collect().await.map_err(self.engine.error("running the query"))
    }

    fn add_catalog(&self, session: &SessionContext) -> Result<MemoryReservation> {
        let mut texts: [StringBuilder; 6] = Default::default();
        let (mut from, mut to) = (Date32Builder::new(), Date32Builder::new());
        let (mut exclusive, mut control) =
            (BooleanBuilder::new(), BooleanBuilder::new());
        for endpoint in self.endpoints {
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
            control.append_value(self.controls.contains(&endpoint.product));
        }
        let [id, product, role, weight, source, confidence] =
            texts.map(|mut column| Arc::new(column.finish()));
        let batch = RecordBatch::try_from_iter([
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
        ]);
        self.add(session, Table::Catalog.name(), batch.map_err(Into::into))
    }

    async fn add_coverage(
        &self,
        session: &SessionContext,
        days: Option<DayRange>,
    ) -> Result<MemoryReservation> {
        let coverage = match days {
            Some(days) => self.lake.coverage(days).await?,
            None => Vec::new(),
        };
        let mut vantage = StringBuilder::new();
        let mut day = Date32Builder::new();
        let mut numbers: [Int64Builder; 9] = Default::default();
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        for row in &coverage {
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
        let numbers = names
            .into_iter()
            .zip(numbers.map(|mut column| Arc::new(column.finish()) as _));
        let batch = RecordBatch::try_from_iter(keys.into_iter().chain(numbers));
        self.add(session, Table::Coverage.name(), batch.map_err(Into::into))
    }

    /// Adds look-ups without a client, of any day: they need no sighting beside them.
    async fn add_resolutions(
        &self,
        session: &SessionContext,
    ) -> Result<MemoryReservation> {
        let mut texts: [StringBuilder; 3] = Default::default();
        let mut day = Date32Builder::new();
        let mut count = Int64Builder::new();
        let instants = || TimestampMicrosecondBuilder::new().with_timezone("UTC");
        let (mut first, mut last) = (instants(), instants());
        for row in self.lake.resolutions(None).await? {
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
        let batch = RecordBatch::try_from_iter_with_nullable([
            (c::VANTAGE, vantage as _, false),
            (c::ENDPOINT, endpoint as _, false),
            ("network", network as _, true),
            (c::DAY, Arc::new(day.finish()) as _, false),
            (c::COUNT, Arc::new(count.finish()) as _, false),
            (c::FIRST, Arc::new(first.finish()) as _, false),
            (c::LAST, Arc::new(last.finish()) as _, false),
        ]);
        self.add(session, Table::Resolutions.name(), batch.map_err(Into::into))
    }

    /// Adds the holders on `days`; an empty table without them.
    async fn add_holders(
        &self,
        session: &SessionContext,
        days: Option<DayRange>,
    ) -> Result<MemoryReservation> {
        let doing = "collecting holders";
        let mut rows = HolderRows::default();
        if let Some(days) = days {
            let table = Table::Sightings.name();
            let (hi, lo, site) = (c::IP_HI, c::IP_LO, c::SITE);
            let client = format!("{hi}, {lo}, {site}");
            let sql = format!("SELECT {client} FROM {table} GROUP BY {client}");
            let mut clients = self.engine.run(session, doing, &sql).await?;
            while let Some(batch) =
                clients.try_next().await.map_err(self.engine.error(doing))?
            {
                rows.add(&batch, days, self.holders)
                    .map_err(self.engine.error(doing))?;
            }
        }
        self.add(session, HOLDERS, rows.finish())
    }

    fn add(
        &self,
        session: &SessionContext,
        name: &'static str,
        batch: std::result::Result<RecordBatch, DataFusionError>,
    ) -> Result<MemoryReservation> {
        let batch = batch.map_err(self.engine.error("making a table"))?;
        self.engine.add_rows(session, name, batch.schema(), vec![batch])
    }
}

/// The first and last day with a sighting in a session that has the table.
pub(crate) async fn days(
    engine: &Engine,
    session: &SessionContext,
) -> Result<Option<DayRange>> {
    let doing = "reading the days of the lake";
    let (table, day) = (Table::Sightings.name(), c::DAY);
    let sql = format!("SELECT MIN({day}) AS first, MAX({day}) AS last FROM {table}");
    let mut rows = engine.run(session, doing, &sql).await?;
    let mut found = None;
    while let Some(batch) = rows.try_next().await.map_err(engine.error(doing))? {
        let columns = Columns(&batch);
        let at = |name| -> Result<Option<Day>> {
            let numbers = columns.numbers(name).map_err(engine.error(doing))?;
            Ok(numbers.get(0).and_then(|n| i32::try_from(n).ok()).map(Day))
        };
        if let (Some(first), Some(last)) = (at("first")?, at("last")?) {
            found = DayRange::new(first, last);
        }
    }
    Ok(found)
}

/// The table of holders in words.
#[derive(Default)]
struct HolderRows {
    hi: Int64Builder,
    lo: Int64Builder,
    from: Date32Builder,
    to: Date32Builder,
    /// Site, address, organisation, name, kind, shared, country, sector.
    texts: [StringBuilder; 8],
}

impl HolderRows {
    fn add(
        &mut self,
        batch: &RecordBatch,
        days: DayRange,
        holders: &dyn Holders,
    ) -> std::result::Result<(), DataFusionError> {
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
            let who = held.attribution;
            let organisation =
                who.organisation.as_ref().and_then(|id| holders.organisation(id));
            self.hi.append_value(hi);
            self.lo.append_value(lo);
            self.from.append_value(held.days.first().0);
            self.to.append_value(held.days.last().0);
            let country = who.org_country.or(who.addr_country);
            let sector = organisation.as_ref().and_then(|o| o.sector.as_ref());
            let values = [
                client.site.as_ref().map(SiteId::as_str),
                Some(address.as_str()),
                who.organisation.as_ref().map(tidegauge_model::OrgId::as_str),
                organisation.as_ref().map(|o| o.name.as_str()),
                Some(who.kind.as_str()),
                Some(who.shared.as_str()),
                country.as_ref().map(tidegauge_model::Country::as_str),
                sector.map(tidegauge_model::SectorId::as_str),
            ];
            for (column, value) in self.texts.iter_mut().zip(values) {
                column.append_option(value);
            }
        }
    }

    fn finish(mut self) -> std::result::Result<RecordBatch, DataFusionError> {
        let names = [
            c::SITE,
            "address",
            "organisation",
            c::NAME,
            "kind",
            "shared",
            c::COUNTRY,
            c::SECTOR,
        ];
        let number = |name: &str| Field::new(name, DataType::Int64, false);
        let day = |name: &str| Field::new(name, DataType::Date32, false);
        let keys =
            [number(c::IP_HI), number(c::IP_LO), day(c::VALID_FROM), day(c::VALID_TO)];
        let texts = names.map(|name| Field::new(name, DataType::Utf8, true));
        let fields: Vec<_> = keys.into_iter().chain(texts).collect();
        let mut columns: Vec<datafusion::arrow::array::ArrayRef> = vec![
            Arc::new(self.hi.finish()),
            Arc::new(self.lo.finish()),
            Arc::new(self.from.finish()),
            Arc::new(self.to.finish()),
        ];
        columns.extend(self.texts.map(|mut text| Arc::new(text.finish()) as _));
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{World, client, days, sighting};

    async fn numbers(world: &World, sql: &str) -> Vec<Option<i64>> {
        let stored = world.store(1).await;
        let batches = stored.counter.sql(sql).await.unwrap();
        let mut out = Vec::new();
        for batch in &batches {
            let column = Columns(batch).numbers("n").unwrap();
            out.extend((0..batch.num_rows()).map(|row| column.get(row)));
        }
        out
    }

    fn world() -> World {
        let (a, b) = (client("198.51.100.1", None), client("2001:db8::1", None));
        World::of(vec![
            sighting(&a, "red/update", days().first(), "east"),
            sighting(&b, "clock/time", days().last(), "east"),
        ])
        .held(&a, days(), "first")
    }

    #[tokio::test]
    async fn the_tables_can_be_joined() {
        let sql = "SELECT COUNT(*) AS n FROM sightings s \
                   JOIN catalog c ON c.endpoint = s.endpoint \
                   JOIN holders h ON h.ip_hi = s.ip_hi AND h.ip_lo = s.ip_lo \
                   AND s.day BETWEEN h.valid_from AND h.valid_to \
                   WHERE c.control = false AND h.organisation = 'first' \
                   AND h.address = '198.51.100.1'";
        assert_eq!(numbers(&world(), sql).await, [Some(1)]);
    }

    #[tokio::test]
    async fn a_month_skips_the_files_of_others() {
        let months = days().months().collect::<Vec<_>>();
        assert_eq!(months.len(), 2);
        let sql = format!(
            "SELECT COUNT(*) AS n FROM sightings WHERE month = '{}'",
            months.last().unwrap()
        );
        assert_eq!(numbers(&world(), &sql).await, [Some(1)]);
        let stored = world().store(1).await;
        let plan = stored.counter.sql(&format!("EXPLAIN {sql}")).await.unwrap();
        let text = Columns(plan.first().unwrap()).texts("plan").unwrap();
        let text: String = (0..2).filter_map(|row| text.get(row)).collect();
        assert_eq!(text.matches(".parquet").count(), 1, "{text}");
    }

    #[tokio::test]
    async fn every_table_opens_in_an_empty_lake() {
        let stored = World::of(Vec::new()).store(0).await;
        let tables = AS_STORED.iter().map(|t| t.name());
        for table in tables.chain(["coverage", "resolutions", "catalog", "holders"]) {
            stored.counter.sql(&format!("SELECT * FROM {table}")).await.unwrap();
        }
        let look_ups =
            "SELECT day, network, SUM(count) FROM resolutions GROUP BY day, network";
        stored.counter.sql(look_ups).await.unwrap();
    }

    #[tokio::test]
    async fn whatever_would_change_something_is_refused() {
        let stored = world().store(1).await;
        for sql in [
            "CREATE TABLE t AS SELECT 1",
            "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/'",
            "DROP TABLE sightings",
            "INSERT INTO catalog SELECT * FROM catalog",
            "COPY sightings TO 'out.csv'",
            "SET datafusion.execution.batch_size = 1",
        ] {
            let refused = stored.counter.sql(sql).await.unwrap_err();
            assert!(matches!(refused, Error::ReadOnly { .. }), "{sql}: {refused:?}");
        }
        let wrong =
            stored.counter.sql("SELECT nothing FROM nowhere").await.unwrap_err();
        assert!(matches!(wrong, Error::Sql { .. }), "{wrong:?}");
    }
}

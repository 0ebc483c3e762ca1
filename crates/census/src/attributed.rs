//! The table `attributed`: sightings, and who held their client on their day.
//!
//! ```text
//! DataSourceExec ─► AttributedExec ─► sightings with their holders
//! files, each in        merge with the
//! order of addresses    map of holders
//! ```
//!
//! **Invariant:** a sighting comes once, as it is stored, with the attribution of its own day.
//! In the order of addresses the map is asked once for each run of addresses that are held alike;
//! in any other order the answer is the same.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{
    ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{
    Result, internal_datafusion_err, internal_err, project_schema,
};
use datafusion::datasource::TableType;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties,
};
use futures::StreamExt;
use tidegauge_model::{
    Address, Attribution, Client, Country, Day, DayRange, Holders, NetworkKind, OrgId,
    Organisation, SectorId, Shared, SiteId,
};
use tidegauge_store::schema::column as c;
use tidegauge_store::{Snapshot, Table, state};

use crate::Counter;
use crate::holding::covering;
use crate::provider::LakeTable;
use crate::read::Columns;
use crate::tables::Version;

/// Name of the table.
pub(crate) const ATTRIBUTED: &str = "attributed";
/// The client's address as text.
pub(crate) const ADDRESS: &str = "address";
/// The columns that say whose a client was.
pub(crate) const WHOSE: [&str; 6] =
    ["organisation", c::NAME, "kind", "shared", c::COUNTRY, c::SECTOR];
/// What of a sighting says who held its client.
const KEYS: [&str; 4] = [c::SITE, c::IP_HI, c::IP_LO, c::DAY];

/// Whose a client was, in words.
pub(crate) struct Whose {
    organisation: Option<OrgId>,
    known: Option<Organisation>,
    kind: NetworkKind,
    shared: Shared,
    country: Option<Country>,
}

impl Whose {
    /// What an attribution says, and what is known of the organisation that it names.
    pub(crate) fn of(who: Attribution, holders: &dyn Holders) -> Self {
        let known = who.organisation.as_ref().and_then(|id| holders.organisation(id));
        let known = known.map(Cow::into_owned);
        let country = who.org_country.or(who.addr_country);
        let (kind, shared) = (who.kind, who.shared);
        Self { organisation: who.organisation, known, kind, shared, country }
    }

    /// The columns of [`WHOSE`].
    pub(crate) fn values(&self) -> [Option<&str>; 6] {
        let known = self.known.as_ref();
        [
            self.organisation.as_ref().map(OrgId::as_str),
            known.map(|known| known.name.as_str()),
            Some(self.kind.as_str()),
            Some(self.shared.as_str()),
            self.country.as_ref().map(Country::as_str),
            known.and_then(|known| known.sector.as_ref()).map(SectorId::as_str),
        ]
    }
}

/// The table, in a version of the lake.
pub(crate) struct Attributed {
    counter: Counter,
    version: Version,
    schema: SchemaRef,
}

impl Attributed {
    pub(crate) fn of(counter: Counter, version: Version) -> Self {
        let stored = Table::Sightings.schema();
        let text = |name: &str, null| Arc::new(Field::new(name, DataType::Utf8, null));
        let address = std::iter::once(text(ADDRESS, false));
        let whose = WHOSE.into_iter().map(|name| text(name, true));
        let fields = stored.fields().iter().cloned().chain(address).chain(whose);
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self { counter, version, schema }
    }

    /// The sightings with the columns of `wanted` that are stored, and those that say who held
    /// the client.
    async fn stored(
        &self,
        state: &dyn Session,
        snapshot: Snapshot,
        wanted: &Schema,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let stored = snapshot.schema.fields().iter().enumerate();
        let needed = stored.filter(|(_, field)| {
            let name = field.name().as_str();
            KEYS.contains(&name) || wanted.field_with_name(name).is_ok()
        });
        let needed: Vec<usize> = needed.map(|(at, _)| at).collect();
        LakeTable::new(snapshot).scan(state, Some(&needed), filters, None).await
    }
}

#[async_trait]
impl TableProvider for Attributed {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    /// Every filter is also applied above: here it only skips files.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = project_schema(&self.schema, projection)?;
        let snapshot = self.version.snapshot(&self.counter).await?;
        let Some(days) = months(&snapshot) else {
            return Ok(Arc::new(EmptyExec::new(wanted)));
        };
        self.counter.engine().add_store(&snapshot);
        let input = self.stored(state, snapshot, &wanted, filters).await?;
        let held = Held { holders: Arc::clone(&self.counter.holders), days };
        Ok(Arc::new(AttributedExec::new(input, held, wanted)))
    }
}

impl fmt::Debug for Attributed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attributed")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The months that have files of sightings, from the first to the last, whole.
fn months(snapshot: &Snapshot) -> Option<DayRange> {
    let months = || snapshot.files.iter().filter_map(state::month_of);
    DayRange::new(
        DayRange::month(months().min()?).first(),
        DayRange::month(months().max()?).last(),
    )
}

/// The map that is asked, and about which days.
#[derive(Clone)]
struct Held {
    holders: Arc<dyn Holders>,
    days: DayRange,
}

/// Says of each sighting of its input who held the client.
struct AttributedExec {
    input: Arc<dyn ExecutionPlan>,
    held: Held,
    properties: Arc<PlanProperties>,
}

impl AttributedExec {
    fn new(input: Arc<dyn ExecutionPlan>, held: Held, schema: SchemaRef) -> Self {
        let partitions = input.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { input, held, properties: Arc::new(properties) }
    }

    /// The columns that it makes.
    fn made(&self) -> Vec<String> {
        let input = self.input.schema();
        let schema = self.schema();
        let names = schema.fields().iter().map(|field| field.name());
        names.filter(|name| input.field_with_name(name).is_err()).cloned().collect()
    }
}

impl fmt::Debug for AttributedExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttributedExec")
            .field("days", &self.held.days)
            .finish_non_exhaustive()
    }
}

impl DisplayAs for AttributedExec {
    fn fmt_as(
        &self,
        how: DisplayFormatType,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let separator = match how {
            DisplayFormatType::TreeRender => '\n',
            DisplayFormatType::Default | DisplayFormatType::Verbose => ' ',
        };
        if !matches!(how, DisplayFormatType::TreeRender) {
            write!(f, "AttributedExec: ")?;
        }
        write!(
            f,
            "columns=[{}],{separator}holders=[merge with the map of each day by address]",
            self.made().join(", ")
        )
    }
}

impl ExecutionPlan for AttributedExec {
    fn name(&self) -> &'static str {
        "AttributedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    /// Rows that are dealt out anew would come in no order of addresses.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = children.as_slice() else {
            return internal_err!("AttributedExec has one input");
        };
        Ok(Arc::new(Self::new(Arc::clone(input), self.held.clone(), self.schema())))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let schema = self.schema();
        let mut merge = Merge::of(self.held.clone());
        let rows = input.map(move |batch| merge.attribute(&batch?, &schema));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// Where the merge with the map stands.
struct Merge {
    held: Held,
    /// The last client asked about.
    client: Option<Client>,
    /// The last address of the run that it is the first of, and where that lies.
    last: Address,
    place: usize,
    /// Who held them, up to which day.
    spans: Vec<(Day, Whose)>,
}

impl Merge {
    fn of(held: Held) -> Self {
        let last = Address::from_bits(0);
        Self { held, client: None, last, place: 0, spans: Vec::new() }
    }

    fn attribute(
        &mut self,
        batch: &RecordBatch,
        schema: &SchemaRef,
    ) -> Result<RecordBatch> {
        let stored = Columns(batch);
        let (hi, lo) = (stored.numbers(c::IP_HI)?, stored.numbers(c::IP_LO)?);
        let (days, sites) = (stored.numbers(c::DAY)?, stored.texts(c::SITE)?);
        let mut made = Made::of(schema);
        for row in 0..batch.num_rows() {
            let day = days.get(row).and_then(|day| i32::try_from(day).ok());
            let (Some(hi), Some(lo), Some(day)) = (hi.get(row), lo.get(row), day)
            else {
                return internal_err!("a sighting has an address and a day");
            };
            let address = Address::from_halves(hi, lo);
            self.turn_to(address, sites.get(row));
            made.push(address, self.on(Day(day)));
        }
        made.finish(batch, schema)
    }

    /// Turns to a client.
    fn turn_to(&mut self, address: Address, site: Option<&str>) {
        let known = self.client.as_ref().is_some_and(|client| {
            client.site.as_ref().map(SiteId::as_str) == site
                && client.address <= address
                && address <= self.last
        });
        if known {
            return;
        }
        let client = Client { address, site: site.map(SiteId::new) };
        let Held { holders, days } = &self.held;
        if site.is_none() {
            let run = holders.run(address, self.place);
            (self.last, self.place) = (run.last, run.place);
        } else {
            self.last = address;
        }
        let spans = covering(holders.tenures(&client, *days), *days).into_iter();
        self.spans = spans
            .map(|t| (t.days.last(), Whose::of(t.attribution, &**holders)))
            .collect();
        self.client = Some(client);
    }

    /// Who held the client turned to on a day.
    fn on(&self, day: Day) -> Option<&Whose> {
        let at = self.spans.partition_point(|(last, _)| *last < day);
        self.spans.get(at).map(|(_, whose)| whose)
    }
}

/// The columns that are made of a batch, where they are wanted.
struct Made {
    address: Option<StringBuilder>,
    whose: [Option<StringBuilder>; 6],
}

impl Made {
    fn of(schema: &Schema) -> Self {
        let texts =
            |name: &str| schema.field_with_name(name).is_ok().then(StringBuilder::new);
        Self { address: texts(ADDRESS), whose: WHOSE.map(texts) }
    }

    fn push(&mut self, address: Address, whose: Option<&Whose>) {
        if let Some(texts) = &mut self.address {
            texts.append_value(address.to_string());
        }
        let values = whose.map(Whose::values).unwrap_or_default();
        for (texts, value) in self.whose.iter_mut().zip(values) {
            if let Some(texts) = texts {
                texts.append_option(value);
            }
        }
    }

    /// These columns and the stored ones, as `schema` has them.
    fn finish(self, stored: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
        let names = std::iter::once(ADDRESS).chain(WHOSE);
        let texts = std::iter::once(self.address).chain(self.whose);
        let made = names.zip(texts).filter_map(|(name, texts)| {
            Some((name, Arc::new(texts?.finish()) as ArrayRef))
        });
        let made: Vec<_> = made.collect();
        let column = |field: &Arc<Field>| {
            let made = made.iter().find(|(name, _)| name == field.name());
            made.map(|(_, column)| column)
                .or_else(|| stored.column_by_name(field.name()))
                .cloned()
                .ok_or_else(|| internal_datafusion_err!("no column `{}`", field.name()))
        };
        let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
        // Without any column there are still rows.
        let rows = RecordBatchOptions::new().with_row_count(Some(stored.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows)?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::world::{any_world, block_on};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        /// Against each sighting's holder, asked for by itself.
        #[test]
        fn each_sighting_has_the_holder_of_its_day(world in any_world(), parts in 1usize..3) {
            let sql = "SELECT address, site, day, organisation, kind, contacts FROM attributed";
            let batches = block_on(async {
                let stored = world.store(parts).await;
                stored.counter.sql(sql).await.unwrap()
            });
            // A batch has each grain once: contacts of two are summed.
            let mut found = BTreeMap::new();
            for batch in &batches {
                let columns = Columns(batch);
                let texts = ["address", "site", "organisation", "kind"]
                    .map(|name| columns.texts(name).unwrap());
                let numbers = ["day", "contacts"].map(|name| columns.numbers(name).unwrap());
                for row in 0..batch.num_rows() {
                    let [address, site, organisation, kind] =
                        texts.each_ref().map(|t| t.get(row).unwrap_or("-").to_owned());
                    let [day, contacts] = numbers.each_ref().map(|n| n.get(row).unwrap());
                    let key = (address, site, organisation, kind, day);
                    *found.entry(key).or_default() += contacts;
                }
            }
            let mut expected: BTreeMap<_, i64> = BTreeMap::new();
            for s in &world.sightings {
                let held = world.table.on(&s.client, s.day);
                let site = s.client.site.as_ref().map_or("-", SiteId::as_str);
                let key = (
                    s.client.address.to_string(),
                    site.to_owned(),
                    held.organisation.map_or("-".to_owned(), |o| o.to_string()),
                    held.kind.to_string(),
                    i64::from(s.day.0),
                );
                *expected.entry(key).or_default() += i64::try_from(s.contacts).unwrap();
            }
            prop_assert_eq!(found, expected);
        }
    }
}

//! Counting as an operator of a plan, so that a cluster can do it.
//!
//! ```text
//! DataSourceExec ─► CountExec ─► rows ─► Part, Part, … ─► Census
//! portions, one      merge of the files by address,
//! a partition        merge with the map of holders, counts
//! ```
//!
//! **Invariant:** whatever machine a portion is counted on, and whether it travelled there
//! as a plan or not, it is counted by [`count`], on the files that the plan names and with
//! the map that it names; or not at all.
//!
//! A scheduler cuts a plan at its leaves, and knows only the engine's own; so portions are
//! the rows of such a leaf, one for each partition, and not the partitions of ours.

mod portion;
mod question;
mod rows;
mod words;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties, SendableRecordBatchStream, displayable,
};
use futures::{StreamExt, TryStreamExt};
use tidegauge_model::count::{Census, Dating, Query};
use tidegauge_model::{Address, Holders};
use tidegauge_store::{Lake, Snapshot, Table};

use crate::clients::Clients;
use crate::counter::{self, Counter};
use crate::evidence::{self, Evidence};
use crate::holding::Holding;
use crate::partial::Partial;
use crate::session::Engine;
use crate::unique::{self, Part};
use crate::{Error, Result};
pub use words::said;

use portion::Portion;
use question::Question;
use words::told;

/// A lake and a map of holders, opened on the machine that counts.
#[derive(Clone)]
pub struct Opened {
    /// The lake.
    pub lake: Lake,
    /// The map that was asked for.
    pub holders: Arc<dyn Holders>,
}

/// Opens what a plan names.
#[async_trait]
pub trait Opener: Send + Sync {
    /// The lake at a URL, with the map of holders of that name. Fails if it has another.
    async fn open(
        &self,
        lake: &str,
        holders: &str,
    ) -> std::result::Result<Opened, Box<dyn std::error::Error + Send + Sync>>;
}

/// Where the files and the holders are.
#[derive(Clone)]
enum Source {
    /// At hand.
    Here { snapshot: Arc<Snapshot>, holders: Arc<dyn Holders> },
    /// Opened when they are needed; never, where plans are only passed on.
    There(Option<Arc<dyn Opener>>),
}

/// Counts the portions of a question that its input names.
pub struct CountExec {
    question: Arc<Question>,
    source: Source,
    portions: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl CountExec {
    fn new(
        question: Arc<Question>,
        source: Source,
        portions: Arc<dyn ExecutionPlan>,
    ) -> Self {
        let partitions = portions.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(rows::schema(&question.by)),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { question, source, portions, properties: Arc::new(properties) }
    }

    /// The operator as bytes, without its input.
    pub fn encode(&self) -> Vec<u8> {
        self.question.encode()
    }

    /// The operator from bytes and its input. Without an `opener` it can be sent on, but not
    /// run.
    pub fn decode(
        bytes: &[u8],
        portions: Arc<dyn ExecutionPlan>,
        opener: Option<Arc<dyn Opener>>,
    ) -> Result<Self> {
        let question = Arc::new(Question::decode(bytes)?);
        Ok(Self::new(question, Source::There(opener), portions))
    }
}

impl fmt::Debug for CountExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountExec")
            .field("question", &self.question)
            .finish_non_exhaustive()
    }
}

impl DisplayAs for CountExec {
    fn fmt_as(
        &self,
        how: DisplayFormatType,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let question = &self.question;
        let by: Vec<&str> = question.by.iter().map(|d| d.as_str()).collect();
        let Some(days) = question.days() else { return Ok(()) };
        let holders = match question.query(days).on {
            Dating::EachDay => "the map of each day".to_owned(),
            Dating::Frozen(day) => format!("the map of {day}"),
        };
        let rows: u64 = question.files.iter().map(|file| file.rows).sum();
        let (files, version) = (question.files.len(), question.version);
        let separator = match how {
            DisplayFormatType::TreeRender => '\n',
            DisplayFormatType::Default | DisplayFormatType::Verbose => ' ',
        };
        if !matches!(how, DisplayFormatType::TreeRender) {
            write!(f, "CountExec: ")?;
        }
        write!(
            f,
            "by=[{}],{separator}days=[{days}],{separator}\
             sightings=[merge of {files} files by address, version {version}, {rows} rows],\
             {separator}holders=[merge with {holders} by address]",
            by.join(", ")
        )
    }
}

impl ExecutionPlan for CountExec {
    fn name(&self) -> &'static str {
        "CountExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.portions]
    }

    /// Portions are what they are: cutting their rows again would gain nothing.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let [portions] = children.as_slice() else {
            return Err(DataFusionError::Internal(
                "CountExec has one input".to_owned(),
            ));
        };
        let (question, source) = (Arc::clone(&self.question), self.source.clone());
        Ok(Arc::new(Self::new(question, source, Arc::clone(portions))))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> EngineResult<SendableRecordBatchStream> {
        let runtime = context.runtime_env();
        let portions = self.portions.execute(partition, context)?;
        let task = Task {
            question: Arc::clone(&self.question),
            source: self.source.clone(),
            schema: self.schema(),
            runtime,
        };
        let counted = futures::stream::once(task.run(portions));
        let batches = counted.map_ok(|batches| futures::stream::iter(batches).map(Ok));
        let schema = self.schema();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches.try_flatten())))
    }
}

/// One partition of the operator.
struct Task {
    question: Arc<Question>,
    source: Source,
    schema: SchemaRef,
    runtime: Arc<RuntimeEnv>,
}

impl Task {
    async fn run(
        self,
        mut portions: SendableRecordBatchStream,
    ) -> EngineResult<Vec<RecordBatch>> {
        let (snapshot, holders) = self.open().await.map_err(|error| told(&error))?;
        let engine = Engine::of_task(Arc::clone(&self.runtime));
        let mut batches = Vec::new();
        while let Some(rows) = portions.try_next().await? {
            for portion in portion::portions(&rows).map_err(|error| told(&error))? {
                let (engine, snapshot) = (engine.clone(), Arc::clone(&snapshot));
                let (question, holders) = (Arc::clone(&self.question), holders.clone());
                // Ends with the task, should nobody wait for it any more.
                let counting = SpawnedTask::spawn(async move {
                    count(&engine, &snapshot, &*holders, &question, &portion).await
                });
                let counted =
                    counting.await.map_err(|e| DataFusionError::External(e.into()))?;
                let partial = counted.map_err(|error| told(&error))?;
                let of = (portion.number, portion.part);
                batches.extend(rows::write(&partial, of, &self.schema)?);
            }
        }
        Ok(batches)
    }

    async fn open(&self) -> Result<(Arc<Snapshot>, Arc<dyn Holders>)> {
        let opener = match &self.source {
            Source::Here { snapshot, holders } => {
                return Ok((Arc::clone(snapshot), Arc::clone(holders)));
            }
            Source::There(Some(opener)) => opener,
            Source::There(None) => {
                let reason = "nothing here can open a lake".to_owned();
                return Err(Error::Plan { reason });
            }
        };
        let question = &self.question;
        let opened = opener.open(&question.lake, &question.holders).await;
        let Opened { lake, holders } = opened.map_err(|source| Error::Unopened {
            lake: question.lake.clone(),
            source,
        })?;
        Ok((Arc::new(question.snapshot(&lake)?), holders))
    }
}

/// Counts one portion.
async fn count(
    engine: &Engine,
    snapshot: &Snapshot,
    holders: &dyn Holders,
    question: &Question,
    portion: &Portion,
) -> Result<Partial> {
    let entries = question.entries().unwrap_or_default();
    let evidence = Evidence::of_entries(&entries);
    let query = question.query(portion.days);
    let wanted = unique::wanted(&query, portion.addresses);
    let mut clients = Clients::open(snapshot, &evidence, &query, wanted);
    let mut holding = Holding::new(&query, holders);
    unique::count(engine, &mut clients, &evidence, &mut holding, &query).await
}

/// A census that was planned and not counted.
#[derive(Clone, Debug)]
pub struct Planned {
    query: Query,
    plan: Arc<CountExec>,
    portions: Vec<Portion>,
}

impl Planned {
    /// The plan. Its rows are what [`Self::census`] wants, in any order.
    pub fn plan(&self) -> Arc<dyn ExecutionPlan> {
        Arc::clone(&self.plan) as Arc<dyn ExecutionPlan>
    }

    /// The plan in words: its operators, and the portions.
    pub fn explain(&self) -> String {
        let plan = displayable(&*self.plan).indent(false).to_string();
        let portions = self.portions.iter().map(|portion| {
            let address = |(hi, lo)| Address::from_halves(hi, lo);
            let Portion { number, days, addresses, .. } = portion;
            let (first, last) = (address(addresses.first), address(addresses.last));
            format!("portion {number}: {days}, {first} to {last}\n")
        });
        portions.fold(plan, |all, portion| all + &portion)
    }

    /// The census, from the rows of all partitions of the plan.
    pub fn census(&self, rows: &[RecordBatch]) -> Result<Census> {
        let mut reader = rows::Reader::default();
        for batch in rows {
            reader.add(batch, &self.query.by)?;
        }
        let parts = reader.parts(self.portions.len())?;
        let parts: Vec<_> = parts
            .into_values()
            .map(|partials| Part::of(&self.query, partials))
            .collect();
        Ok(unique::whole(&self.query, &parts))
    }
}

impl Counter {
    /// Plans the census that [`Counter::census`] counts, in about so many `portions`.
    /// `holders` is what other machines know the map of this counter by.
    pub async fn plan(
        &self,
        query: &Query,
        holders: &str,
        portions: usize,
    ) -> Result<Planned> {
        evidence::check_windows(query)?;
        let mut snapshot = self.lake.snapshot(Table::Sightings).await?;
        let months = query.counted().iter().flat_map(|days| days.months());
        let months: Vec<_> = months.map(|m| m.to_string()).collect();
        snapshot.files.retain(|file| {
            file.partition_month.as_ref().is_none_or(|month| months.contains(month))
        });
        let evidence = Evidence::of_use(&self.endpoints, query);
        let lake = self.lake.url().as_str();
        let question = Question::new(query, lake, &snapshot, &evidence, holders);
        let cut = portion::cut(&snapshot, &counter::parts(query), portions).await?;
        self.planned(query, question, snapshot, cut)
    }

    fn planned(
        &self,
        query: &Query,
        question: Question,
        snapshot: Snapshot,
        cut: Vec<Portion>,
    ) -> Result<Planned> {
        let failed = self.engine().error("planning a count");
        let rows = cut.iter().map(|portion| Ok(vec![portion::row(portion)?]));
        let rows: Vec<_> = rows.collect::<EngineResult<_>>().map_err(&failed)?;
        let input = MemorySourceConfig::try_new_exec(&rows, portion::schema(), None);
        let source = Source::Here {
            snapshot: Arc::new(snapshot),
            holders: Arc::clone(&self.holders),
        };
        let input = input.map_err(&failed)?;
        let plan = CountExec::new(Arc::new(question), source, input);
        Ok(Planned { query: query.clone(), plan: Arc::new(plan), portions: cut })
    }
}

#[cfg(test)]
mod tests {
    use datafusion::physical_plan::collect;
    use datafusion::prelude::SessionContext;
    use proptest::prelude::*;
    use tidegauge_store::by_address::Span;

    use super::*;
    use crate::world::{Stored, any_query, any_world, block_on, everything};

    /// Cases of the differential test: each writes a lake and runs several plans.
    const CASES: u32 = 12;

    /// Opens the lake of a world, if the map is called so.
    struct Own(Opened);

    const MAP: &str = "the map";

    #[async_trait]
    impl Opener for Own {
        async fn open(
            &self,
            _: &str,
            holders: &str,
        ) -> std::result::Result<Opened, Box<dyn std::error::Error + Send + Sync>>
        {
            if holders == MAP { Ok(self.0.clone()) } else { Err("another map".into()) }
        }
    }

    fn opener(stored: &Stored) -> Arc<dyn Opener> {
        let (lake, holders) = (stored.counter.lake.clone(), &stored.counter.holders);
        Arc::new(Own(Opened { lake, holders: Arc::clone(holders) }))
    }

    /// The rows of a plan that went to another machine.
    async fn sent(
        planned: &Planned,
        opener: Option<Arc<dyn Opener>>,
    ) -> EngineResult<Vec<RecordBatch>> {
        let bytes = planned.plan.encode();
        let portions = Arc::clone(&planned.plan.portions);
        let there = CountExec::decode(&bytes, portions, opener).unwrap();
        collect(Arc::new(there), SessionContext::new().task_ctx()).await
    }

    /// The same part of the days in ranges that begin at these addresses.
    fn cut_at(part: &Portion, mut firsts: Vec<(i64, i64)>) -> Vec<Portion> {
        firsts.push(part.addresses.first);
        firsts.sort_unstable();
        firsts.dedup();
        let ends = firsts.iter().skip(1).map(|next| portion::before(*next));
        let ends: Vec<_> = ends.chain([part.addresses.last]).collect();
        let ranges = firsts.into_iter().zip(ends);
        let of = |(first, last)| Portion { addresses: Span { first, last }, ..*part };
        ranges.map(of).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(CASES))]

        /// However it is cut, and wherever it is counted.
        #[test]
        fn a_plan_counts_what_a_census_counts(
            world in any_world(),
            queries in prop::collection::vec(any_query(), 3),
            parts in 1usize..4,
            portions in 1usize..9,
            at in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        ) {
            block_on(async {
                let stored = world.store(parts).await;
                for query in queries {
                    let census = stored.counter.census(&query).await.unwrap();
                    let planned =
                        stored.counter.plan(&query, MAP, portions).await.unwrap();
                    let rows = sent(&planned, Some(opener(&stored))).await.unwrap();
                    prop_assert_eq!(&planned.census(&rows).unwrap(), &census);
                    // At the addresses themselves, where a cut is closest.
                    let firsts = at.iter().filter_map(|at| {
                        let sightings = &world.sightings;
                        let of = sightings.get(at.index(sightings.len().max(1)))?;
                        let (hi, lo) = of.client.address.halves();
                        let v4 = of.client.address.is_v4();
                        Some((hi, if v4 { lo } else { i64::MIN }))
                    });
                    let firsts: Vec<_> = firsts.collect();
                    let whole = counter::parts(&query).into_iter().zip(0..);
                    let cut = whole.flat_map(|(days, part)| {
                        let addresses = Span::ALL;
                        let part = Portion { number: 0, part, days, addresses };
                        cut_at(&part, firsts.clone())
                    });
                    let cut = (0..).zip(cut).map(|(number, of)| Portion { number, ..of });
                    let snapshot =
                        stored.counter.lake.snapshot(Table::Sightings).await.unwrap();
                    let question = (*planned.plan.question).clone();
                    let planned = stored
                        .counter
                        .planned(&query, question, snapshot, cut.collect())
                        .unwrap();
                    let rows = sent(&planned, Some(opener(&stored))).await.unwrap();
                    prop_assert_eq!(planned.census(&rows).unwrap(), census);
                }
                Ok(())
            })?;
        }
    }

    #[tokio::test]
    async fn a_plan_without_its_map_or_its_portions_is_refused() {
        let stored = crate::world::World::of(Vec::new()).store(1).await;
        let query = everything(&[tidegauge_model::count::Dimension::Month]);
        let planned = stored.counter.plan(&query, "elsewhere", 4).await.unwrap();
        let refused = sent(&planned, Some(opener(&stored))).await.unwrap_err();
        assert!(refused.to_string().contains("another map"), "{refused}");
        let passed_on = sent(&planned, None).await.unwrap_err();
        assert!(passed_on.to_string().contains("can open a lake"), "{passed_on}");

        let planned = stored.counter.plan(&query, MAP, 4).await.unwrap();
        let rows = sent(&planned, Some(opener(&stored))).await.unwrap();
        assert!(planned.census(&rows).is_ok());
        let lost = planned.census(rows.get(1..).unwrap());
        assert!(matches!(lost, Err(Error::Portions { .. })), "{lost:?}");
        let twice = [rows.as_slice(), &rows].concat();
        let twice = planned.census(&twice);
        assert!(matches!(twice, Err(Error::Portions { .. })), "{twice:?}");

        let mut newer: serde_json::Value =
            serde_json::from_slice(&planned.plan.encode()).unwrap();
        newer["form"] = 2.into();
        let newer = serde_json::to_vec(&newer).unwrap();
        let input = Arc::clone(&planned.plan.portions);
        let newer = CountExec::decode(&newer, input, None);
        assert!(matches!(newer, Err(Error::Plan { .. })));
    }

    #[tokio::test]
    async fn a_plan_reads_nothing_but_the_lake() {
        let stored = crate::world::World::of(Vec::new()).store(1).await;
        let planned = stored.counter.plan(&everything(&[]), MAP, 1).await.unwrap();
        let mut stray: serde_json::Value =
            serde_json::from_slice(&planned.plan.encode()).unwrap();
        let path = "etc/secret.parquet";
        stray["files"] =
            serde_json::json!([{"path": path, "bytes": 1, "rows": 1, "month": null}]);
        let stray = serde_json::to_vec(&stray).unwrap();
        let input = Arc::clone(&planned.plan.portions);
        let stray = CountExec::decode(&stray, input, Some(opener(&stored))).unwrap();
        let refused = collect(Arc::new(stray), SessionContext::new().task_ctx()).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("not sightings of"), "{refused}");
    }
}

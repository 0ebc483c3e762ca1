//! The engine: its settings, and one session for each question.
//!
//! **Invariant:** the memory pool is always bounded and shared by all sessions of a
//! counter; what is over it goes to disk, or the question fails with a hint.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryReservation,
};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use tidegauge_store::Snapshot;

use crate::distinct::TwoLevels;
use crate::provider::LakeTable;
use crate::{Error, Result};

/// Default size of the memory pool: 1 GiB, which a laptop can spare.
pub const MEMORY_BYTES: usize = 1 << 30;

/// About as many as a processor counts in the time that reading a kept count takes.
const KEPT_ROWS_MIN: u64 = 1 << 17;

/// How much of the machine a counter may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Size of the memory pool, in bytes. Accounting is the engine's and approximate: the
    /// process may be larger.
    pub memory_bytes: usize,
    /// How many parts of a query run at once.
    pub partitions: usize,
    /// Counts of files with fewer sightings are not kept in the lake: counting them again is
    /// no slower than reading what was kept.
    pub kept_rows_min: u64,
}

impl Default for Settings {
    /// 1 GiB, and as many partitions as the machine has processors.
    fn default() -> Self {
        let partitions = std::thread::available_parallelism().map_or(1, usize::from);
        Self { memory_bytes: MEMORY_BYTES, partitions, kept_rows_min: KEPT_ROWS_MIN }
    }
}

/// The engine of one counter.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    settings: Settings,
    runtime: Arc<RuntimeEnv>,
}

impl Engine {
    /// Sightings below which counts are not kept in the lake.
    pub(crate) fn kept_rows_min(&self) -> u64 {
        self.settings.kept_rows_min
    }

    /// Sets up the pool.
    pub(crate) fn new(settings: Settings) -> Result<Self> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(settings.memory_bytes)))
            .build_arc()
            .map_err(Error::engine("setting up the engine", settings.memory_bytes))?;
        Ok(Self { settings, runtime })
    }

    /// The engine that a task of a plan runs in, whose memory is what the task was given.
    pub(crate) fn of_task(runtime: Arc<RuntimeEnv>) -> Self {
        let memory_bytes = match runtime.memory_pool.memory_limit() {
            MemoryLimit::Finite(bytes) => bytes,
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        };
        let settings = Settings { memory_bytes, ..Settings::default() };
        Self { settings, runtime }
    }

    /// How many parts of a question are worked on at once.
    pub(crate) fn partitions(&self) -> usize {
        self.settings.partitions.max(1)
    }

    /// A session without tables. Its names are its own; its memory is shared.
    pub(crate) fn session(&self) -> SessionContext {
        self.session_with(self.config())
    }

    /// What every session is set to.
    pub(crate) fn config(&self) -> SessionConfig {
        SessionConfig::new()
            .with_target_partitions(self.settings.partitions)
            .with_information_schema(true)
    }

    /// A session without tables that is set otherwise.
    pub(crate) fn session_with(&self, config: SessionConfig) -> SessionContext {
        let session =
            SessionContext::new_with_config_rt(config, Arc::clone(&self.runtime));
        session.add_optimizer_rule(Arc::new(TwoLevels));
        session
    }

    /// Sorts what the engine said while `doing` something.
    pub(crate) fn error(
        &self,
        doing: &'static str,
    ) -> impl Fn(DataFusionError) -> Error + use<> {
        Error::engine(doing, self.settings.memory_bytes)
    }

    /// Puts a table of the lake into a session.
    pub(crate) fn add_lake(
        &self,
        session: &SessionContext,
        snapshot: &Snapshot,
    ) -> Result<()> {
        self.add_store(snapshot);
        let table = LakeTable::new(snapshot.clone());
        self.add(session, snapshot.table.name(), Arc::new(table))
    }

    /// Lets files of a snapshot be read. All snapshots of a lake lie in one store.
    pub(crate) fn add_store(&self, snapshot: &Snapshot) {
        let store = Arc::clone(&snapshot.store);
        drop(self.runtime.register_object_store(&snapshot.store_url, store));
    }

    /// Takes memory from the pool until the reservation is dropped.
    pub(crate) fn memory(
        &self,
        doing: &'static str,
        bytes: usize,
    ) -> Result<MemoryReservation> {
        let reservation =
            MemoryConsumer::new(doing).register(&self.runtime.memory_pool);
        reservation.try_grow(bytes).map_err(self.error(doing))?;
        Ok(reservation)
    }

    /// Puts a table into a session.
    pub(crate) fn add(
        &self,
        session: &SessionContext,
        name: &'static str,
        table: Arc<dyn TableProvider>,
    ) -> Result<()> {
        let replaced = session
            .register_table(name, table)
            .map_err(self.error("naming a table"))?;
        debug_assert!(replaced.is_none(), "a session is filled once");
        Ok(())
    }

    /// Runs one of our own queries.
    pub(crate) async fn run(
        &self,
        session: &SessionContext,
        doing: &'static str,
        sql: &str,
    ) -> Result<SendableRecordBatchStream> {
        tracing::debug!(sql, "{doing}");
        let plan = session.sql(sql).await.map_err(self.error(doing))?;
        plan.execute_stream().await.map_err(self.error(doing))
    }
}

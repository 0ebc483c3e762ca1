//! An executor: counts the portions that the scheduler gives it, and keeps their rows until
//! they are fetched.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::error::BallistaError;
use ballista_executor::executor_process::{
    ExecutorProcessConfig, start_executor_process,
};
use tidegauge_census::Opener;

use crate::client::Address;
use crate::codec::Codec;
use crate::{Error, Result};

/// Seconds until rows that nobody fetched, or that were fetched, are removed.
const KEEP_SECONDS: u64 = 3_600;
/// Seconds between two looks for them.
const CLEAN_SECONDS: u64 = 300;

/// An executor to start.
#[derive(Clone, Debug)]
pub struct Executor {
    /// Its scheduler.
    pub scheduler: Address,
    /// The address it listens on.
    pub bind: IpAddr,
    /// The host that scheduler and clients reach it by.
    pub advertise: String,
    /// Where rows are fetched from it.
    pub rows_port: u16,
    /// Where the scheduler gives it work.
    pub work_port: u16,
    /// Portions that it counts at once.
    pub cores: usize,
    /// Memory for all of them.
    pub memory_bytes: usize,
    /// Where rows are kept.
    pub folder: PathBuf,
    /// How often it says that it is there: several times within what the scheduler takes for
    /// silence.
    pub heartbeat: Duration,
}

/// How often a new executor looks whether the scheduler knows it.
const LOOK: Duration = Duration::from_millis(50);

/// Runs an executor until it is told to stop. `ready` is called when the scheduler knows it.
pub async fn execute(
    executor: Executor,
    opener: Arc<dyn Opener>,
    ready: impl FnOnce(),
) -> Result<()> {
    let config = ExecutorProcessConfig {
        bind_host: executor.bind.to_string(),
        external_host: Some(executor.advertise.clone()),
        port: executor.rows_port,
        grpc_port: executor.work_port,
        scheduler_host: executor.scheduler.host().to_owned(),
        scheduler_port: executor.scheduler.port(),
        vcores: executor.cores,
        work_dir: Some(executor.folder.display().to_string()),
        job_data_ttl_seconds: KEEP_SECONDS,
        job_data_clean_up_interval_seconds: CLEAN_SECONDS,
        executor_heartbeat_interval_seconds: executor.heartbeat.as_secs().max(1),
        memory_pool_size: Some(
            u64::try_from(executor.memory_bytes).unwrap_or(u64::MAX),
        ),
        override_physical_codec: Some(Arc::new(Codec::new(Some(opener)))),
        ..ExecutorProcessConfig::default()
    };
    executor.scheduler.reach().await?;
    let failed = |error: BallistaError| Error::Start {
        doing: "run an executor",
        address: format!("{}:{}", executor.bind, executor.work_port),
        source: Box::new(error),
    };
    let health = config.health.clone();
    let known = async {
        let mut look = tokio::time::interval(LOOK);
        while !health.is_ready() {
            look.tick().await;
        }
        ready();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = start_executor_process(Arc::new(config)) => ended.map_err(failed),
        () = known => Ok(()),
    }
}

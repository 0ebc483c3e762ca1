//! The scheduler: takes plans, hands out their partitions, tells how they went.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::error::BallistaError;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::{
    create_scheduler, start_grpc_service_with_listener,
};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tokio::net::TcpListener;

use crate::codec::Codec;
use crate::{Error, Result};

/// Seconds between two looks for executors that are silent for too long.
const LOOK_SECONDS: u64 = 1;

/// A scheduler to start.
#[derive(Clone, Debug)]
pub struct Scheduler {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The host that executors reach it by.
    pub advertise: String,
    /// How long an executor may be silent until its work is given to others, and how long
    /// work waits for an executor when there is none.
    pub silence: Duration,
}

/// Runs a scheduler until the process ends. `ready` is told where it listens.
pub async fn schedule(
    scheduler: Scheduler,
    ready: impl FnOnce(SocketAddr),
) -> Result<()> {
    let failed = |error: BallistaError| Error::Start {
        doing: "start a scheduler",
        address: scheduler.listen.to_string(),
        source: Box::new(error),
    };
    let listener = TcpListener::bind(scheduler.listen).await;
    let listener = listener.map_err(|error| failed(error.into()))?;
    let address = listener.local_addr().map_err(|error| failed(error.into()))?;
    let config = SchedulerConfig {
        bind_host: address.ip().to_string(),
        bind_port: address.port(),
        external_host: scheduler.advertise.clone(),
        executor_timeout_seconds: scheduler.silence.as_secs(),
        no_executors_grace_period_seconds: scheduler.silence.as_secs(),
        expire_dead_executor_interval_seconds: LOOK_SECONDS,
        override_physical_codec: Some(Arc::new(Codec::new(None))),
        ..SchedulerConfig::default()
    };
    config.validate().map_err(failed)?;
    let cluster = BallistaCluster::new_from_config(&config).await.map_err(failed)?;
    let server = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(
        cluster,
        Arc::new(config),
    );
    let server = server.await.map_err(failed)?;
    ready(address);
    start_grpc_service_with_listener(listener, server).await.map_err(failed)
}

//! Client, scheduler and executor of a cluster, as verbs and flags.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tidegauge_census::{Counter, Planned};
use tidegauge_cluster::{Address, Executor, Scheduler};
use tidegauge_model::count::{Census, Query};
use tidegauge_store::Lake;

use super::opening::{Counting, Map};
use crate::settings::Settings;
use crate::{Outcome, args};

/// A cluster that counts for this process.
pub(crate) struct Cluster {
    address: Address,
    /// What its executors know the map by.
    map: String,
}

impl Cluster {
    /// The cluster of the settings, for the lake and a map that is made of it like this.
    pub(crate) async fn of(
        lake: &Lake,
        settings: &Settings,
        map: args::MapRules,
    ) -> anyhow::Result<Option<Self>> {
        let Some(address) = &settings.cluster else { return Ok(None) };
        let address = address.parse()?;
        let map = Map::of(lake, settings, map).await?.to_text();
        Ok(Some(Self { address, map }))
    }

    /// How the cluster is to count.
    pub(crate) async fn plan(
        &self,
        counter: &Counter,
        query: &Query,
    ) -> anyhow::Result<Planned> {
        Ok(counter.plan(query, &self.map, tidegauge_cluster::PORTIONS).await?)
    }

    /// Lets the cluster count.
    pub(crate) async fn census(
        &self,
        counter: &Counter,
        query: &Query,
    ) -> anyhow::Result<Census> {
        let planned = self.plan(counter, query).await?;
        Ok(tidegauge_cluster::census(&self.address, &planned).await?)
    }
}

/// Runs one of the processes of a cluster.
pub(crate) async fn run(
    verb: &args::Cluster,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    match verb.clone() {
        args::Cluster::Scheduler { listen, advertise, silence } => {
            let advertise = host(listen.ip(), advertise)?;
            let silence = Duration::from_secs(silence);
            let ready = |address| {
                tracing::info!("scheduler: df://{address}");
            };
            let scheduler = Scheduler { listen, advertise, silence };
            tidegauge_cluster::schedule(scheduler, ready).await?;
        }
        args::Cluster::Executor {
            scheduler,
            bind,
            advertise,
            rows_port,
            work_port,
            cores,
            folder,
            heartbeat,
        } => {
            let lake = Lake::open(&settings.lake).await?;
            let rows = Folder::of(folder)?;
            let executor = Executor {
                scheduler: scheduler.parse()?,
                bind,
                advertise: host(bind, advertise)?,
                rows_port,
                work_port,
                cores: cores.unwrap_or_else(processors),
                memory_bytes: settings.memory_mib << 20,
                folder: rows.path().to_owned(),
                heartbeat: Duration::from_secs(heartbeat),
            };
            let url = lake.url().clone();
            let ready = || tracing::info!("executor: counts in {url} for {scheduler}");
            let opener = Arc::new(Counting::new(lake, settings.clone()));
            tidegauge_cluster::execute(executor, opener, ready).await?;
        }
    }
    Ok(Outcome::Done)
}

/// Where rows are kept.
enum Folder {
    /// As given.
    Given(PathBuf),
    /// As long as the process runs.
    Temporary(tempfile::TempDir),
}

impl Folder {
    fn of(given: Option<PathBuf>) -> anyhow::Result<Self> {
        let Some(folder) = given else {
            let made = tempfile::tempdir().context("making a folder for rows")?;
            return Ok(Self::Temporary(made));
        };
        let made = std::fs::create_dir_all(&folder);
        made.with_context(|| format!("making {}", folder.display()))?;
        Ok(Self::Given(folder))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

/// The host that others reach a process by that listens on `bind`.
fn host(bind: IpAddr, advertise: Option<String>) -> anyhow::Result<String> {
    match advertise {
        Some(host) => Ok(host),
        None if bind.is_unspecified() => anyhow::bail!(
            "{bind} is every address of this machine, and others must know one (hint: \
             --advertise HOST)"
        ),
        None => Ok(bind.to_string()),
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

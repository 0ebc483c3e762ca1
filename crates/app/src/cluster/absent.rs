//! A build without a cluster: says so.

use tidegauge_census::{Counter, Planned};
use tidegauge_model::count::{Census, Query};
use tidegauge_store::Lake;

use crate::settings::Settings;
use crate::{Outcome, args};

const ABSENT: &str = "this program was built without the cluster (hint: build it with `cargo \
                      build --release -p tidegauge-app --features cluster`, the same for \
                      clients, scheduler and executors)";

/// No cluster.
pub(crate) enum Cluster {}

impl Cluster {
    /// None; fails if one was asked for.
    #[expect(clippy::unused_async, reason = "the same call as with a cluster")]
    pub(crate) async fn of(
        _: &Lake,
        settings: &Settings,
        _: args::MapRules,
    ) -> anyhow::Result<Option<Self>> {
        anyhow::ensure!(settings.cluster.is_none(), ABSENT);
        Ok(None)
    }

    #[expect(clippy::unused_async, reason = "the same call as with a cluster")]
    pub(crate) async fn plan(&self, _: &Counter, _: &Query) -> anyhow::Result<Planned> {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "the same call as with a cluster")]
    pub(crate) async fn census(
        &self,
        _: &Counter,
        _: &Query,
    ) -> anyhow::Result<Census> {
        match *self {}
    }
}

/// Fails.
pub(crate) async fn run(_: &args::Cluster, _: &Settings) -> anyhow::Result<Outcome> {
    anyhow::bail!(ABSENT)
}

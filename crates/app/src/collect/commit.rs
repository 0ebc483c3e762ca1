//! From intervals to the lake.
//!
//! **Invariant:** an interval is one append, all of it or none, under a name of its own; it is
//! tried until it is in. Only then is the state that belongs to it kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant as Moment};

use tidegauge_model::Instant;
use tidegauge_store::{Batch, Fingerprint, Lake, RunRecord};
use tokio::sync::mpsc::Receiver;

use super::Plan;
use super::decode::Interval;
use super::metrics::Metrics;
use super::state::Journal;
use crate::clock;
use crate::pipeline::count;

/// Intervals that wait for the lake. Picked by hand; each is bounded by
/// `decode::SIGHTINGS_MAX`.
pub(super) const WAITING_MAX: usize = 4;
/// Pause between two tries to write the lake.
const PAUSE: Duration = Duration::from_secs(5);
/// Tries to write an interval after being told to stop, after which the program ends without
/// it, and without those after it.
const LAST_TRIES_MAX: u32 = 3;

/// Commits one interval after the other.
pub(super) struct Committer {
    plan: Arc<Plan>,
    lake: Lake,
    journal: Journal,
    metrics: Arc<Metrics>,
    stop: Arc<AtomicBool>,
    started: Instant,
}

impl Committer {
    pub(super) fn new(
        plan: &Arc<Plan>,
        lake: Lake,
        journal: Journal,
        metrics: Arc<Metrics>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let plan = Arc::clone(plan);
        Self { plan, lake, journal, metrics, stop, started: clock::now() }
    }

    /// Commits until nothing comes any more.
    pub(super) async fn run(
        mut self,
        mut intervals: Receiver<Interval>,
    ) -> anyhow::Result<()> {
        let mut since = self.started;
        while let Some(interval) = intervals.recv().await {
            self.insist(&interval, since).await?;
            since = interval.until;
        }
        Ok(())
    }

    /// Tries until it is in, or, at the end, a few times.
    async fn insist(
        &mut self,
        interval: &Interval,
        since: Instant,
    ) -> anyhow::Result<()> {
        let mut tries = 0;
        loop {
            let begun = Moment::now();
            match self.commit(interval, since).await {
                Ok(()) => {
                    self.metrics.committed(
                        begun.elapsed(),
                        count(interval.observed.sightings.len()),
                        contacts(interval),
                        interval.until,
                    );
                    return Ok(());
                }
                Err(error) => {
                    tries += 1;
                    self.metrics.commit_failed();
                    let stopping = self.stop.load(Ordering::Relaxed);
                    if stopping && tries >= LAST_TRIES_MAX {
                        return Err(error.context(
                            "what was not committed when told to stop is lost",
                        ));
                    }
                    tracing::error!("cannot commit, trying again: {error:#}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn commit(
        &mut self,
        interval: &Interval,
        since: Instant,
    ) -> anyhow::Result<()> {
        let observed = &interval.observed;
        let nothing = observed.sightings.is_empty()
            && observed.coverage.is_empty()
            && observed.resolutions.is_empty();
        if !nothing {
            let batch = Batch {
                vantage: self.plan.vantage.id.clone(),
                inputs: vec![self.name(interval)],
                sightings: observed.sightings.clone(),
                coverage: observed.coverage.clone(),
                resolutions: observed.resolutions.clone(),
                run: self.run_record(interval, since),
            };
            self.lake.append(batch).await?;
        }
        self.journal.committed(interval.exports.clone(), interval.until, interval.last)
    }

    /// An interval is an input like a file; nobody else can have made the same one.
    fn name(&self, interval: &Interval) -> Fingerprint {
        let name = format!(
            "collect:{}:{}:{}",
            self.plan.vantage.id, self.started.0, interval.until.0
        );
        Fingerprint::of(name.as_bytes())
    }

    fn run_record(&self, interval: &Interval, since: Instant) -> RunRecord {
        let listen: Vec<_> = self.plan.listen.iter().map(ToString::to_string).collect();
        RunRecord {
            id: format!("collect:{}:{}", self.plan.vantage.id, interval.until.0),
            started: since,
            finished: interval.until,
            verb: "collect".to_owned(),
            arguments: serde_json::json!({
                "vantage": self.plan.vantage.id,
                "listen": listen,
                "control_sampling": self.plan.control_sampling,
            }),
            versions: serde_json::json!({
                "program": env!("CARGO_PKG_VERSION"),
                "catalog": self.plan.catalog.version(),
            }),
            inputs: serde_json::json!([]),
            outcome: format!(
                "{} flows, {} contacts, {} sightings",
                interval.flows,
                contacts(interval),
                interval.observed.sightings.len()
            ),
        }
    }
}

fn contacts(interval: &Interval) -> u64 {
    interval.observed.coverage.iter().map(|day| day.contacts).sum()
}

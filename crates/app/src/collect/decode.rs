//! The one thread that decodes: datagrams and records into the observer.
//!
//! **Invariant:** it never waits for the lake. When the committer has no room, the interval
//! grows, up to [`SIGHTINGS_MAX`]; beyond it what was seen is dropped, and counted.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant as Moment};

use tidegauge_enrich::contact::{Observed, Observer, Settings};
use tidegauge_model::{Answer, Flow, Instant, Loss, Reason, Resolution, Volume};
use tidegauge_wire::Sink;
use tidegauge_wire::export::{Exports, State};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::metrics::Metrics;
use super::udp::Batch;
use super::{Message, Plan, dnstap};
use crate::clock;

/// Sightings and waiting flows after which an interval ends early: about 400 MiB. Picked by
/// hand.
const SIGHTINGS_MAX: usize = 1_000_000;
/// Flows without a name that wait for one: some 40 MB. An answer comes before the flow that it
/// leads to, so a second of a busy exporter is enough; beyond it they are matched by what is
/// known so far. Below [`SIGHTINGS_MAX`], so that flows that are no contacts, which are nearly
/// all, never end an interval early. Picked by hand.
const PENDING_MAX: usize = 250_000;
/// How often metrics are brought up to date and sets without a template are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What was seen between two commits.
pub(super) struct Interval {
    pub(super) observed: Observed,
    /// Templates and sampling as they stood at its end.
    pub(super) exports: State,
    /// When it ended.
    pub(super) until: Instant,
    pub(super) flows: u64,
    /// Whether nothing comes after it.
    pub(super) last: bool,
}

/// Decodes until every socket is closed; then hands over the rest.
pub(super) fn run(
    plan: &Plan,
    metrics: &Metrics,
    messages: &Receiver<Message>,
    to_commit: &Sender<Interval>,
    known: State,
) {
    let mut exports = Exports::new();
    exports.restore(known);
    let settings =
        Settings { control_share: plan.control_sampling, pending_max: PENDING_MAX };
    let observer = Observer::new(&plan.vantage, &plan.catalog, settings);
    let mut watch =
        Watch { observer, flows: 0, volume: Volume::default(), now: clock::now() };
    let (mut begun, mut looked) = (Moment::now(), Moment::now());
    loop {
        match messages.recv_timeout(LOOK) {
            Ok(message) => watch.take(message, &mut exports, metrics),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if looked.elapsed() >= LOOK {
            looked = Moment::now();
            watch.now = clock::now();
            exports.expire(watch.now, &mut watch);
            watch.tell(&exports, metrics);
        }
        let full = watch.observer.held() >= SIGHTINGS_MAX;
        if begun.elapsed() >= plan.commit_every || full {
            begun = Moment::now();
            watch.hand_over(&exports, to_commit, metrics, full);
        }
    }
    exports.finish(&mut watch);
    watch.tell(&exports, metrics);
    let last = watch.interval(&exports, true);
    if to_commit.blocking_send(last).is_err() {
        tracing::error!("nobody commits any more: the last interval is lost");
    }
}

/// The sink of everything decoded.
struct Watch<'a> {
    observer: Observer<'a>,
    /// Since the last interval.
    flows: u64,
    /// Of all flows since it was last told.
    volume: Volume,
    now: Instant,
}

impl Watch<'_> {
    fn take(&mut self, message: Message, exports: &mut Exports, metrics: &Metrics) {
        match message {
            Message::Datagrams(batch) => self.datagrams(&batch, exports),
            Message::Records(records) => {
                self.now = clock::now();
                for record in records {
                    match record {
                        dnstap::Record::Flow(flow) => self.flow(flow),
                        dnstap::Record::Answer(answer) => self.answer(answer),
                        dnstap::Record::Resolution(r) => self.resolution(r),
                        dnstap::Record::Loss(loss) => self.loss(loss),
                    }
                }
            }
        }
        metrics.decoded();
    }

    fn datagrams(&mut self, batch: &Batch, exports: &mut Exports) {
        self.now = batch.received;
        for (exporter, count) in &batch.dropped {
            exports.dropped(Some(*exporter), *count, batch.received, self);
        }
        if batch.dropped_by_kernel > 0 {
            exports.dropped(None, batch.dropped_by_kernel, batch.received, self);
        }
        for datagram in &batch.datagrams {
            let bytes = batch.bytes.get(datagram.at.clone()).unwrap_or_default();
            let (exporter, port) = (datagram.exporter, datagram.port);
            exports.datagram(exporter, port, batch.received, bytes, self);
        }
    }

    fn tell(&mut self, exports: &Exports, metrics: &Metrics) {
        metrics.exporters(&exports.statistics());
        metrics.volume(std::mem::take(&mut self.volume));
    }

    fn interval(&mut self, exports: &Exports, last: bool) -> Interval {
        Interval {
            observed: self.observer.drain(self.now),
            exports: exports.state(),
            until: clock::now(),
            flows: std::mem::take(&mut self.flows),
            last,
        }
    }

    /// Ends the interval, if the committer has room; if it has not and nothing more fits,
    /// what was seen is dropped.
    fn hand_over(
        &mut self,
        exports: &Exports,
        to_commit: &Sender<Interval>,
        metrics: &Metrics,
        full: bool,
    ) {
        match to_commit.try_reserve() {
            Ok(room) => room.send(self.interval(exports, false)),
            Err(TrySendError::Full(())) if full => {
                let lost = std::mem::take(&mut self.flows);
                let observed = self.observer.drain(self.now);
                metrics.interval_dropped(lost);
                tracing::error!(
                    "the lake cannot be written and memory is full: {lost} flows, {} \
                     sightings are lost",
                    observed.sightings.len()
                );
                self.loss(Loss { count: lost.max(1), ..Loss::at(0, Reason::Limit) });
            }
            Err(_) => {}
        }
    }
}

impl Sink for Watch<'_> {
    fn flow(&mut self, flow: Flow) {
        self.flows += 1;
        for volume in [flow.sent, flow.received].into_iter().flatten() {
            self.volume.packets += volume.packets;
            self.volume.bytes += volume.bytes;
        }
        self.observer.flow(&flow);
    }

    fn answer(&mut self, answer: Answer) {
        self.observer.answer(&answer);
    }

    fn resolution(&mut self, resolution: Resolution) {
        self.observer.resolution(&resolution);
    }

    fn loss(&mut self, loss: Loss) {
        // What has no time of its own was lost now.
        let day = loss.day.or(Some(self.now.day()));
        self.observer.loss(&Loss { day, ..loss });
    }
}

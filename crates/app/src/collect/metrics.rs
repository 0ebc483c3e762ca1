//! What the collector tells of itself: `/metrics`, `/healthz`, `/readyz`.
//!
//! **Invariant:** every metric is an entry of [`Metric`], from which the reference page is
//! made; there are at most [`EXPORTERS_MAX`] exporters among the labels, whoever sends.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tidegauge_model::{Instant, Volume};
use tidegauge_wire::export::{Statistics, Tally};

/// Exporters with series of their own; the others share the label `other`. Picked by hand.
const EXPORTERS_MAX: usize = 1_000;
/// The media type of the text that is served.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $metric:ident = $kind:ident $name:literal [$($label:literal),*],)*) => {
        /// Every metric.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Metric {
            $($(#[doc = $help])+ $metric,)*
        }

        impl Metric {
            /// All of them, in order of the page.
            pub(crate) const ALL: &[Self] = &[$(Self::$metric),*];

            /// Its name, without the `_total` of a counter.
            fn stem(self) -> &'static str {
                match self { $(Self::$metric => $name,)* }
            }

            /// What it counts.
            pub(crate) fn help(self) -> &'static str {
                match self { $(Self::$metric => concat!($($help),+).trim_ascii(),)* }
            }

            /// Whether it only grows.
            pub(crate) fn is_counter(self) -> bool {
                match self { $(Self::$metric => matches!(Kind::$kind, Kind::Counter),)* }
            }

            /// The labels of its series.
            pub(crate) fn labels(self) -> &'static [&'static str] {
                match self { $(Self::$metric => &[$($label),*],)* }
            }
        }
    };
}

enum Kind {
    Counter,
    Gauge,
}

metrics! {
    /// Datagrams received.
    Datagrams = Counter "tidegauge_datagrams" ["socket"],
    /// Datagrams dropped: by the kernel, whose receive buffer was full, or because the decoder was behind.
    DatagramsDropped = Counter "tidegauge_datagrams_dropped" ["socket", "by"],
    /// Bytes read from connections.
    StreamBytes = Counter "tidegauge_stream_bytes" ["socket"],
    /// Connections closed because there were too many.
    ConnectionsRefused = Counter "tidegauge_connections_refused" ["socket"],
    /// Batches that the decoder took.
    BatchesDecoded = Counter "tidegauge_batches_decoded" [],
    /// Flow records decoded.
    Flows = Counter "tidegauge_flows" ["exporter", "export"],
    /// Packets of the flows decoded, as seen: not scaled by sampling.
    Packets = Counter "tidegauge_flow_packets" [],
    /// Bytes of the flows decoded, as seen: not scaled by sampling.
    Bytes = Counter "tidegauge_flow_bytes" [],
    /// Flow records that could not be used.
    RecordsLost = Counter "tidegauge_records_lost" ["exporter", "export"],
    /// Units that the sequence numbers say were sent and never came: flows (v5, v7), records (IPFIX), datagrams (v9, sFlow).
    SequenceMissed = Counter "tidegauge_sequence_missed" ["exporter", "export"],
    /// Templates known.
    Templates = Gauge "tidegauge_templates" ["exporter", "export"],
    /// Sets of records that wait for their template.
    SetsHeld = Gauge "tidegauge_sets_held" ["exporter", "export"],
    /// Commits to the lake.
    Commits = Counter "tidegauge_commits" [],
    /// Commits that failed and were tried again.
    CommitsFailed = Counter "tidegauge_commits_failed" [],
    /// Microseconds spent on commits that succeeded.
    CommitMicroseconds = Counter "tidegauge_commit_microseconds" [],
    /// End of the last interval committed, in seconds since 1970.
    CommittedUntil = Gauge "tidegauge_committed_until_seconds" [],
    /// Contacts committed.
    Contacts = Counter "tidegauge_contacts" [],
    /// Sightings committed.
    Sightings = Counter "tidegauge_sightings" [],
    /// Flows of intervals that were dropped because the lake could not be written.
    FlowsDropped = Counter "tidegauge_flows_dropped" [],
}

impl Metric {
    /// Its name on the page.
    pub(crate) fn name(self) -> String {
        let ending = if self.is_counter() { "_total" } else { "" };
        format!("{}{ending}", self.stem())
    }
}

/// The counters, and the text they become.
pub(crate) struct Metrics {
    registry: Registry,
    counters: HashMap<Metric, Family<Labels, Counter>>,
    gauges: HashMap<Metric, Family<Labels, Gauge>>,
    /// What was counted of each exporter so far, so that only what is new is added.
    seen: Mutex<HashMap<Labels, Tally>>,
    ready: std::sync::atomic::AtomicBool,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::default();
        let (mut counters, mut gauges) = (HashMap::new(), HashMap::new());
        for &metric in Metric::ALL {
            let help = metric.help().trim_end_matches('.');
            if metric.is_counter() {
                let family = Family::<Labels, Counter>::default();
                registry.register(metric.stem(), help, family.clone());
                if metric.labels().is_empty() {
                    drop(family.get_or_create(&Vec::new()));
                }
                counters.insert(metric, family);
            } else {
                let family = Family::<Labels, Gauge>::default();
                registry.register(metric.stem(), help, family.clone());
                gauges.insert(metric, family);
            }
        }
        Self {
            registry,
            counters,
            gauges,
            seen: Mutex::default(),
            ready: std::sync::atomic::AtomicBool::new(true),
        }
    }

    pub(super) fn received(&self, socket: &str, datagrams: usize, by_kernel: u64) {
        self.add(Metric::Datagrams, &on(socket), crate::pipeline::count(datagrams));
        if by_kernel > 0 {
            self.add(Metric::DatagramsDropped, &dropped(socket, "kernel"), by_kernel);
        }
    }

    pub(super) fn queue_full(&self, socket: &str, datagrams: usize) {
        let count = crate::pipeline::count(datagrams);
        self.add(Metric::DatagramsDropped, &dropped(socket, "queue"), count);
    }

    pub(super) fn stream_bytes(&self, socket: &str, bytes: usize) {
        self.add(Metric::StreamBytes, &on(socket), crate::pipeline::count(bytes));
    }

    pub(super) fn connection_refused(&self, socket: &str) {
        self.add(Metric::ConnectionsRefused, &on(socket), 1);
    }

    pub(super) fn decoded(&self) {
        self.add(Metric::BatchesDecoded, &Vec::new(), 1);
    }

    pub(super) fn volume(&self, seen: Volume) {
        self.add(Metric::Packets, &Vec::new(), seen.packets);
        self.add(Metric::Bytes, &Vec::new(), seen.bytes);
    }

    pub(super) fn interval_dropped(&self, flows: u64) {
        self.add(Metric::FlowsDropped, &Vec::new(), flows);
    }

    pub(super) fn commit_failed(&self) {
        self.ready.store(false, std::sync::atomic::Ordering::Relaxed);
        self.add(Metric::CommitsFailed, &Vec::new(), 1);
    }

    pub(super) fn committed(
        &self,
        took: Duration,
        sightings: u64,
        contacts: u64,
        until: Instant,
    ) {
        self.ready.store(true, std::sync::atomic::Ordering::Relaxed);
        let none = Vec::new();
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.add(Metric::Commits, &none, 1);
        self.add(Metric::CommitMicroseconds, &none, micros);
        self.add(Metric::Sightings, &none, sightings);
        self.add(Metric::Contacts, &none, contacts);
        self.set(Metric::CommittedUntil, &none, until.0 / 1_000_000);
    }

    /// Brings the series of exporters up to date.
    pub(super) fn exporters(&self, all: &[Statistics]) {
        let mut now: HashMap<Labels, (Tally, usize)> = HashMap::new();
        for one in all {
            let mut labels = of(one.exporter.map(|e| e.to_string()), one);
            if now.len() >= EXPORTERS_MAX && !now.contains_key(&labels) {
                labels = of(None, one);
            }
            let (tally, templates) = now.entry(labels).or_default();
            tally.flows += one.tally.flows;
            tally.lost += one.tally.lost;
            tally.missed += one.tally.missed;
            tally.held += one.tally.held;
            *templates += one.templates;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (labels, (tally, templates)) in now {
            let before = seen.insert(labels.clone(), tally).unwrap_or_default();
            let more = |now: u64, before: u64| now.saturating_sub(before);
            self.add(Metric::Flows, &labels, more(tally.flows, before.flows));
            self.add(Metric::RecordsLost, &labels, more(tally.lost, before.lost));
            self.add(
                Metric::SequenceMissed,
                &labels,
                more(tally.missed, before.missed),
            );
            let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
            self.set(Metric::SetsHeld, &labels, signed(tally.held));
            let templates = signed(crate::pipeline::count(templates));
            self.set(Metric::Templates, &labels, templates);
        }
    }

    fn add(&self, metric: Metric, labels: &Labels, count: u64) {
        if let Some(family) = self.counters.get(&metric) {
            family.get_or_create(labels).inc_by(count);
        }
    }

    fn set(&self, metric: Metric, labels: &Labels, value: i64) {
        if let Some(family) = self.gauges.get(&metric) {
            family.get_or_create(labels).set(value);
        }
    }

    pub(super) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn on(socket: &str) -> Labels {
    vec![("socket", socket.to_owned())]
}

fn dropped(socket: &str, by: &str) -> Labels {
    vec![("socket", socket.to_owned()), ("by", by.to_owned())]
}

fn of(exporter: Option<String>, one: &Statistics) -> Labels {
    let exporter = exporter.unwrap_or_else(|| "other".to_owned());
    vec![("exporter", exporter), ("export", one.export.as_str().to_owned())]
}

/// Serves the three pages until the program ends.
pub(super) async fn serve(
    address: SocketAddr,
    metrics: Arc<Metrics>,
) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("serving metrics on {address} (hint: --metrics)"))?;
    tracing::info!("metrics on http://{}/metrics", listener.local_addr()?);
    let pages = Router::new()
        .route("/metrics", get(text))
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .with_state(metrics);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, pages).await {
            tracing::error!("serving metrics: {error}");
        }
    });
    Ok(())
}

async fn text(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn ready(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    if metrics.ready.load(std::sync::atomic::Ordering::Relaxed) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the lake cannot be written\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_every_metric_without_labels_from_the_start() {
        let metrics = Metrics::new();
        metrics.received("udp://[::]:2055", 3, 2);
        let text = metrics.text().unwrap();
        assert!(
            text.contains("tidegauge_datagrams_total{socket=\"udp://[::]:2055\"} 3"),
            "{text}"
        );
        let dropped = "tidegauge_datagrams_dropped_total{socket=\"udp://[::]:2055\",by=\"kernel\"} 2";
        assert!(text.contains(dropped), "{text}");
        for metric in Metric::ALL.iter().filter(|m| m.is_counter()) {
            assert!(metric.name().ends_with("_total"));
            let shown = text.lines().any(|line| {
                line.trim_end_matches(" 0").trim_end_matches("{}") == metric.name()
            });
            assert_eq!(shown, metric.labels().is_empty(), "{}", metric.name());
        }
    }
}

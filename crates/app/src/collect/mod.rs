//! The live collector: sockets in, contacts into the lake at an interval.
//!
//! ```text
//! udp thread ──batches──┐ bounded                           bounded
//! udp thread ──batches──┴──────► decode thread ──observed──────► committer ─► lake, state
//! dnstap connections ──records──┘ (Exports, Observer)             (tokio)
//! ```
//!
//! **Invariant:** what the kernel, a full queue or a lake out of reach made us drop is a loss
//! of its day, counted once: what a dropped datagram held is in the gap of its exporter's
//! sequence, or a `limit` loss, never both; nothing waits without bound. After a kill at most what came since the
//! last commit is lost, and the next start says so.
//!
//! What is left out: a queue on disk. While the lake cannot be written, what was seen waits in
//! memory, up to [`commit::WAITING_MAX`] intervals.

mod commit;
mod decode;
mod dnstap;
mod listen;
pub(crate) mod metrics;
mod state;
mod udp;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::Context;
use tidegauge_enrich::catalog::Catalog;
use tidegauge_model::Vantage;
use tidegauge_store::Lake;

pub(crate) use self::listen::Listen;
use self::metrics::Metrics;
use self::state::Journal;
use crate::stopped::stopped;

/// Batches of datagrams or records that wait for the decoder, of all sockets together. A
/// batch of datagrams of usual size holds little more than [`udp::BATCH_BYTES_MAX`]: 128 MiB
/// in all, twice that if every datagram is of the largest size. Picked by hand: a second at a
/// gigabit.
const QUEUE_BATCHES: usize = 256;
/// How often a thread looks whether it is to stop.
const STOP_LOOK: Duration = Duration::from_millis(200);

/// What to collect, and how: validated.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Sockets, at least one.
    pub(crate) listen: Vec<Listen>,
    /// Where it is seen.
    pub(crate) vantage: Vantage,
    /// What to look for.
    pub(crate) catalog: Catalog,
    /// Time between two commits.
    pub(crate) commit_every: Duration,
    /// Folder of what survives a restart.
    pub(crate) state: std::path::PathBuf,
    /// Where metrics are served, if anywhere.
    pub(crate) metrics: Option<std::net::SocketAddr>,
    /// Bytes asked of the kernel for each UDP socket.
    pub(crate) receive_buffer_bytes: usize,
    /// Control products are kept for one client in so many.
    pub(crate) control_sampling: std::num::NonZeroU32,
}

/// What goes to the decoder.
enum Message {
    /// Datagrams of one socket.
    Datagrams(udp::Batch),
    /// Records that a connection decoded.
    Records(Vec<dnstap::Record>),
}

/// Collects until it is told to stop, then commits the rest.
pub(crate) async fn run(plan: Plan, lake: Lake) -> anyhow::Result<()> {
    let plan = Arc::new(plan);
    let metrics = Arc::new(Metrics::new());
    let journal = Journal::open(&plan.state, &plan.vantage.id)?;
    lake.write_vantage(&plan.vantage).await?;
    lake.write_catalog(plan.catalog.endpoints(), &plan.catalog.version()).await?;
    // Before anybody is told that it runs: a signal now must not end it as it stands.
    let stopped = stopped()?;
    let stop = Arc::new(AtomicBool::new(false));
    if let Some(address) = plan.metrics {
        metrics::serve(address, Arc::clone(&metrics)).await?;
    }
    let (to_decoder, messages) = sync_channel(QUEUE_BATCHES);
    let mut threads = Vec::new();
    for listen in &plan.listen {
        threads.extend(open(listen, &plan, &metrics, &to_decoder, &stop)?);
    }
    drop(to_decoder);
    let (to_commit, observed) = tokio::sync::mpsc::channel(commit::WAITING_MAX);
    let decoder = start_decoder(&plan, &metrics, messages, to_commit, &journal)?;
    let committer = commit::Committer::new(
        &plan,
        lake,
        journal,
        Arc::clone(&metrics),
        Arc::clone(&stop),
    );
    let mut committing = tokio::spawn(committer.run(observed));
    tracing::info!("collecting; a commit every {} s", plan.commit_every.as_secs());
    tokio::select! {
        signal = stopped => signal,
        // Without a signal it ends only if the decoder did.
        ended = &mut committing => {
            ended??;
            anyhow::bail!("the decoder ended by itself; what was not committed is lost");
        }
    }
    tracing::info!("stopping: committing what was seen");
    stop.store(true, Ordering::Relaxed);
    let joined = tokio::task::spawn_blocking(move || {
        threads.into_iter().chain([decoder]).try_for_each(std::thread::JoinHandle::join)
    });
    if joined.await?.is_err() {
        anyhow::bail!("a thread of the collector panicked; the last interval is lost");
    }
    committing.await?
}

/// Opens and closes each socket, to know that it can be.
pub(crate) fn try_sockets(plan: &Plan) -> anyhow::Result<()> {
    for listen in &plan.listen {
        match listen {
            Listen::Udp(address) => {
                drop(udp::Socket::open(*address, plan.receive_buffer_bytes)?);
            }
            Listen::Tcp(_) | Listen::Unix(_) => {
                dnstap::Listener::open(listen)?.close();
            }
        }
    }
    if let Some(address) = plan.metrics {
        drop(std::net::TcpListener::bind(address).with_context(|| {
            format!("serving metrics on {address} (hint: --metrics)")
        })?);
    }
    Ok(())
}

/// Opens a socket and starts its thread.
fn open(
    listen: &Listen,
    plan: &Arc<Plan>,
    metrics: &Arc<Metrics>,
    to_decoder: &SyncSender<Message>,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Vec<std::thread::JoinHandle<()>>> {
    let (to_decoder, stop) = (to_decoder.clone(), Arc::clone(stop));
    let thread = match listen {
        Listen::Udp(address) => {
            let socket = udp::Socket::open(*address, plan.receive_buffer_bytes)?;
            tracing::info!(
                "listening on udp://{}, receive buffer {} KiB",
                socket.address(),
                socket.receive_buffer_bytes() / 1024
            );
            if socket.receive_buffer_bytes() < plan.receive_buffer_bytes {
                tracing::warn!(
                    "the kernel gave less than the {} KiB asked for \
                     (hint: sysctl net.core.rmem_max)",
                    plan.receive_buffer_bytes / 1024
                );
            }
            let metrics = Arc::clone(metrics);
            start("udp", move || socket.receive(&to_decoder, &metrics, &stop))
        }
        Listen::Tcp(_) | Listen::Unix(_) => {
            let listener = dnstap::Listener::open(listen)?;
            tracing::info!("listening on {} for dnstap", listener.name());
            let (plan, metrics) = (Arc::clone(plan), Arc::clone(metrics));
            start("dnstap", move || {
                listener.accept(plan.vantage.clients, &to_decoder, &metrics, &stop);
            })
        }
    };
    Ok(vec![thread?])
}

fn start_decoder(
    plan: &Arc<Plan>,
    metrics: &Arc<Metrics>,
    messages: Receiver<Message>,
    to_commit: tokio::sync::mpsc::Sender<decode::Interval>,
    journal: &Journal,
) -> anyhow::Result<std::thread::JoinHandle<()>> {
    let (plan, metrics) = (Arc::clone(plan), Arc::clone(metrics));
    let known = journal.exports();
    start("decode", move || {
        decode::run(&plan, &metrics, &messages, &to_commit, known);
    })
}

fn start(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> anyhow::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .with_context(|| format!("starting the thread `{name}`"))
}

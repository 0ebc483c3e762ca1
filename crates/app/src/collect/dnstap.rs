//! Connections of DNS servers that send dnstap.
//!
//! **Invariant:** a stream is not dropped from: when the decoder is busy, the server waits.
//! Connections are bounded; one too many is closed at once and counted.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;

use anyhow::Context;
use tidegauge_model::vantage::Clients;
use tidegauge_model::{Address, Answer, Flow, Loss, Resolution};
use tidegauge_wire::Sink;
use tidegauge_wire::dns::dnstap::Stream;

use super::listen::Listen;
use super::metrics::Metrics;
use super::{Message, STOP_LOOK};
use crate::clock;

/// Connections at a time on one socket. Picked by hand: resolvers are few.
const CONNECTIONS_MAX: usize = 64;
/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// One thing decoded.
pub(super) enum Record {
    Flow(Flow),
    Answer(Answer),
    Resolution(Resolution),
    Loss(Loss),
}

/// A socket that is bound.
pub(super) struct Listener {
    name: String,
    socket: Either,
}

enum Either {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection, and who is at its other end.
struct Connection {
    stream: Box<dyn Peer>,
    exporter: Option<Address>,
}

trait Peer: Read + Write + Send {}
impl<T: Read + Write + Send> Peer for T {}

impl Listener {
    pub(super) fn open(listen: &Listen) -> anyhow::Result<Self> {
        let name = listen.to_string();
        let listening = || format!("listening on {name}");
        let socket = match listen {
            Listen::Unix(path) => {
                remove_stale(path)?;
                let socket = UnixListener::bind(path).with_context(listening)?;
                socket.set_nonblocking(true)?;
                Either::Unix(socket)
            }
            Listen::Tcp(address) | Listen::Udp(address) => {
                let socket = TcpListener::bind(address).with_context(listening)?;
                socket.set_nonblocking(true)?;
                Either::Tcp(socket)
            }
        };
        let name = match &socket {
            Either::Tcp(socket) => format!("tcp://{}", socket.local_addr()?),
            Either::Unix(_) => name,
        };
        Ok(Self { name, socket })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Accepts connections until it is told to stop; ends when all of them ended.
    pub(super) fn accept(
        &self,
        clients: Clients,
        to_decoder: &SyncSender<Message>,
        metrics: &Metrics,
        stop: &AtomicBool,
    ) {
        let open = Arc::new(AtomicUsize::new(0));
        std::thread::scope(|scope| {
            while !stop.load(Ordering::Relaxed) {
                let connection = match self.next() {
                    Ok(connection) => connection,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        std::thread::park_timeout(STOP_LOOK);
                        continue;
                    }
                    Err(error) => {
                        tracing::error!("{}: accepting: {error}", self.name);
                        std::thread::park_timeout(STOP_LOOK);
                        continue;
                    }
                };
                if open.load(Ordering::Relaxed) >= CONNECTIONS_MAX {
                    tracing::warn!("{}: too many connections; one closed", self.name);
                    metrics.connection_refused(&self.name);
                    continue;
                }
                open.fetch_add(1, Ordering::Relaxed);
                let open = Arc::clone(&open);
                scope.spawn(move || {
                    self.read(connection, clients, to_decoder, metrics, stop);
                    open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        self.close();
    }

    /// Removes what a Unix socket leaves in its folder.
    pub(super) fn close(&self) {
        if let Either::Unix(socket) = &self.socket
            && let Ok(address) = socket.local_addr()
            && let Some(path) = address.as_pathname()
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::warn!("{}: removing the socket: {error}", self.name);
        }
    }

    fn next(&self) -> std::io::Result<Connection> {
        match &self.socket {
            Either::Tcp(socket) => {
                let (stream, peer) = socket.accept()?;
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(STOP_LOOK))?;
                let exporter = match peer.ip().to_canonical() {
                    std::net::IpAddr::V4(v4) => v4.into(),
                    std::net::IpAddr::V6(v6) => v6.into(),
                };
                Ok(Connection { stream: Box::new(stream), exporter: Some(exporter) })
            }
            Either::Unix(socket) => {
                let (stream, _) = socket.accept()?;
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(STOP_LOOK))?;
                Ok(Connection { stream: Box::new(stream), exporter: None })
            }
        }
    }

    /// Reads one connection to its end.
    fn read(
        &self,
        mut connection: Connection,
        clients: Clients,
        to_decoder: &SyncSender<Message>,
        metrics: &Metrics,
        stop: &AtomicBool,
    ) {
        let mut stream = Stream::new(clients);
        if let Some(exporter) = connection.exporter {
            stream = stream.from_exporter(exporter);
        }
        let mut room = vec![0; READ_BYTES];
        let mut records = Records(Vec::new());
        let mut open = true;
        while open && !stop.load(Ordering::Relaxed) {
            match connection.stream.read(&mut room) {
                Ok(0) => open = false,
                Ok(count) => {
                    metrics.stream_bytes(&self.name, count);
                    let bytes = room.get(..count).unwrap_or_default();
                    open = match stream.push(bytes, clock::now(), &mut records) {
                        Ok(reply) => connection.stream.write_all(&reply).is_ok(),
                        Err(refused) => {
                            tracing::warn!("{}: {refused}; closed", self.name);
                            false
                        }
                    };
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock
                            | ErrorKind::TimedOut
                            | ErrorKind::Interrupted
                    ) => {}
                Err(error) => {
                    tracing::warn!("{}: reading: {error}", self.name);
                    open = false;
                }
            }
            if !records.send(to_decoder) {
                return;
            }
        }
        stream.finish(&mut records);
        records.send(to_decoder);
    }
}

/// A socket that a killed run left behind; anything else at the path is left alone.
fn remove_stale(path: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let Ok(there) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if there.file_type().is_socket() {
        let live = std::os::unix::net::UnixStream::connect(path).is_ok();
        anyhow::ensure!(!live, "{}: another program listens there", path.display());
        std::fs::remove_file(path)
            .with_context(|| format!("removing the stale socket {}", path.display()))?;
    }
    Ok(())
}

/// Records on their way to the decoder.
struct Records(Vec<Record>);

impl Records {
    /// Waits for room. False if nobody decodes any more.
    fn send(&mut self, to_decoder: &SyncSender<Message>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        to_decoder.send(Message::Records(std::mem::take(&mut self.0))).is_ok()
    }
}

impl Sink for Records {
    fn flow(&mut self, flow: Flow) {
        self.0.push(Record::Flow(flow));
    }

    fn answer(&mut self, answer: Answer) {
        self.0.push(Record::Answer(answer));
    }

    fn resolution(&mut self, resolution: Resolution) {
        self.0.push(Record::Resolution(resolution));
    }

    fn loss(&mut self, loss: Loss) {
        self.0.push(Record::Loss(loss));
    }
}

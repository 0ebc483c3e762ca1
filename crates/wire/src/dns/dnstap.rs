//! dnstap (dnstap.proto of dnstap.info): what a DNS server says it was asked and answered,
//! from files and from connections.
//!
//! **Invariant:** how the bytes are cut into pieces changes nothing. Every frame gives flows,
//! resolutions or answers, or exactly one [`Loss`], or is known to tell nothing: the other
//! half of a look-up that was told already, or a message of another kind (stub resolvers and
//! tools ask for themselves, updates and notices ask nothing).
//!
//! A look-up is told by a query, a response or both. The first of the two that is read is
//! the look-up, a second one is not another (`pairs`). A response without its query, which
//! is all that some servers are set to tell, is a look-up at the time of the query it tells,
//! or else at its own; a response to a client also teaches names.
//!
//! Only CLIENT messages have a client. The asker of all others (AUTH, RESOLVER, FORWARDER)
//! is a resolver: they give resolutions.

use std::fmt;
use std::io::{self, BufRead};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use prost::Message as _;
use tidegauge_model::vantage::Clients;
use tidegauge_model::{Address, Answer, Day, Instant, Loss, Protocol, Reason};

use super::fstrm::{self, Frames};
use super::look_up::LookUp;
use super::message::{self, Saying};
use super::pairs::{self, Pairs};
use crate::pass::{AnswersOnly, FlowsAndLosses};
use crate::{Sink, stamp};

pub use super::fstrm::FRAME_BYTES_MAX;
pub use super::pairs::PAIRS_MAX;

/// The content type of a frame stream of dnstap.
pub const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";

/// Reads one stream: a file, or a connection over a Unix socket or TCP.
///
/// ```text
/// loop: bytes = read(socket); reply = stream.push(bytes, now, sink)?; write(socket, reply)
/// the peer closed: stream.finish(sink)
/// ```
#[derive(Debug)]
pub struct Stream {
    frames: Frames,
    records: Records,
}

/// The peer does not speak the protocol, or not about DNS: the connection is to be closed.
/// The loss was told to the sink, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where in the stream.
    pub offset: u64,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a frame stream of dnstap ({}) at byte {}",
            self.reason, self.offset
        )
    }
}

impl std::error::Error for Refused {}

impl Stream {
    /// A new stream of a server that is asked by `clients`.
    pub fn new(clients: Clients) -> Self {
        let records = Records {
            clients,
            exporter: None,
            pairs: Pairs::new(),
            day: None,
            told: false,
        };
        Self { frames: Frames::new(CONTENT_TYPE), records }
    }

    /// The same, with the address of the peer as the exporter of each flow and loss.
    #[must_use]
    pub fn from_exporter(mut self, exporter: Address) -> Self {
        self.records.exporter = Some(exporter);
        self
    }

    /// Reads on, with bytes that came at `received`: records go to `sink`. Returns what is
    /// to be written to the peer, mostly nothing; the reader of a file throws it away.
    pub fn push(
        &mut self,
        bytes: &[u8],
        received: Instant,
        sink: &mut dyn Sink,
    ) -> Result<Vec<u8>, Refused> {
        let records = &mut self.records;
        let reply = self.frames.push(bytes, &mut |offset, frame| {
            if let Err(reason) = records.read(frame, received, sink) {
                records.lose(offset, reason, sink);
            }
        });
        reply.map_err(|(offset, reason)| {
            if !self.records.told {
                self.records.told = true;
                self.records.lose(offset, reason, sink);
            }
            Refused { offset, reason }
        })
    }

    /// After the last byte: a frame that was begun is a loss.
    pub fn finish(&mut self, sink: &mut dyn Sink) {
        if let Some(offset) = self.frames.unfinished() {
            self.records.lose(offset, Reason::Truncated, sink);
        }
    }

    /// Whether the writer said that it stops, and nothing came after that.
    pub fn is_stopped(&self) -> bool {
        self.frames.is_stopped()
    }
}

/// Whether a file begins as a stream of dnstap.
pub(crate) fn recognise(head: &[u8]) -> bool {
    fstrm::begins(head, CONTENT_TYPE)
}

/// Reads a file for the names that clients were told.
pub(crate) fn names(
    input: &mut dyn BufRead,
    clients: Clients,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    decode(input, clients, latest, &mut AnswersOnly(sink))
}

/// Reads a file for flows, resolutions and losses.
pub(crate) fn flows(
    input: &mut dyn BufRead,
    clients: Clients,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    decode(input, clients, latest, &mut FlowsAndLosses(sink))
}

fn decode(
    input: &mut dyn BufRead,
    clients: Clients,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let mut stream = Stream::new(clients);
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            stream.finish(sink);
            return Ok(());
        }
        let length = bytes.len();
        // Nobody waits for a reply; what a breach leaves unread belongs to its one loss.
        stream.push(bytes, latest, sink).unwrap_or_default();
        input.consume(length);
    }
}

/// `Dnstap` (dnstap.proto). Left out: identity = 1, version = 2, extra = 3.
#[derive(Clone, PartialEq, prost::Message)]
struct Dnstap {
    #[prost(message, optional, tag = "14")]
    message: Option<Message>,
    /// MESSAGE = 1 is the only one there is.
    #[prost(int32, optional, tag = "15")]
    kind: Option<i32>,
}

/// `Message` (dnstap.proto). Left out: `socket_family` = 2 (the length of an address tells),
/// `query_zone` = 11, `policy` = 15, `http_protocol` = 16.
#[derive(Clone, PartialEq, prost::Message)]
#[expect(clippy::struct_field_names, reason = "the names of dnstap.proto")]
struct Message {
    #[prost(int32, optional, tag = "1")]
    kind: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    socket_protocol: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    query_address: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    response_address: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "6")]
    query_port: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    response_port: Option<u32>,
    #[prost(uint64, optional, tag = "8")]
    query_time_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "9")]
    query_time_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "10")]
    query_message: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "12")]
    response_time_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "13")]
    response_time_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "14")]
    response_message: Option<Vec<u8>>,
}

/// `Dnstap.Type`.
const MESSAGE: i32 = 1;

/// Between whom a message went: `Message.Type`, without the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Between {
    /// A resolver asks an authoritative server, which tells.
    Auth,
    /// A resolver asks an authoritative server, and tells.
    Resolver,
    /// A client asks a resolver, which tells.
    Client,
    /// A resolver asks another, and tells.
    Forwarder,
}

/// `Message.Type`: between whom, and whether it is the response. `Ok(None)` for stub
/// resolvers (9, 10), tools (11, 12) and updates (13, 14).
fn kind(number: Option<i32>) -> Result<Option<(Between, bool)>, Reason> {
    Ok(Some(match number.ok_or(Reason::ColumnMissing)? {
        1 => (Between::Auth, false),
        2 => (Between::Auth, true),
        3 => (Between::Resolver, false),
        4 => (Between::Resolver, true),
        5 => (Between::Client, false),
        6 => (Between::Client, true),
        7 => (Between::Forwarder, false),
        8 => (Between::Forwarder, true),
        9..=14 => return Ok(None),
        _ => return Err(Reason::Value),
    }))
}

/// What the two halves of a look-up have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    between: Between,
    address: Option<Address>,
    port: u16,
    id: Option<u16>,
    host: Arc<str>,
}

/// From frames to records.
#[derive(Debug)]
struct Records {
    clients: Clients,
    exporter: Option<Address>,
    pairs: Pairs<Key>,
    /// Of the last good record.
    day: Option<Day>,
    /// Whether the breach of the protocol was told.
    told: bool,
}

impl Records {
    fn lose(&self, offset: u64, reason: Reason, sink: &mut dyn Sink) {
        let exporter = self.exporter;
        sink.loss(Loss { day: self.day, exporter, ..Loss::at(offset, reason) });
    }

    fn read(
        &mut self,
        frame: &[u8],
        latest: Instant,
        sink: &mut dyn Sink,
    ) -> Result<(), Reason> {
        let frame = Dnstap::decode(frame).map_err(|_| Reason::Syntax)?;
        if frame.kind != Some(MESSAGE) {
            return Err(Reason::Value);
        }
        let message = frame.message.ok_or(Reason::ColumnMissing)?;
        let Some((between, is_response)) = kind(message.kind)? else { return Ok(()) };
        let at = time(&message, is_response)?;
        stamp::believable(at, latest)?;
        self.tell(&message, between, is_response, at, sink)?;
        self.day = Some(at.day());
        Ok(())
    }

    /// Tells a message of the time `at`.
    fn tell(
        &mut self,
        message: &Message,
        between: Between,
        is_response: bool,
        at: Instant,
        sink: &mut dyn Sink,
    ) -> Result<(), Reason> {
        let asker = address(message.query_address.as_deref())?;
        let is_client = between == Between::Client && self.clients == Clients::Hosts;
        let bytes = said(message, is_response).ok_or(Reason::ColumnMissing)?;
        let look_up = LookUp {
            client: asker.filter(|_| is_client),
            client_port: port(message.query_port)?.unwrap_or(0),
            server: address(message.response_address.as_deref())?,
            server_port: port(message.response_port)?,
            protocol: protocol(message.socket_protocol),
            at: asked_at(message, at),
            network: None,
            addresses: Vec::new(),
            exporter: self.exporter,
        };
        let (names, resolved) = match message::read(bytes) {
            Some(Saying::Questions(names)) => (names, None),
            Some(Saying::Reply { asked, resolution }) => {
                (asked.into_iter().collect(), resolution)
            }
            None => (Vec::new(), None),
        };
        let Some(name) = names.first() else {
            let known = message::asks_for_no_host(bytes);
            return if known { Ok(()) } else { Err(Reason::Value) };
        };
        let key = Key {
            between,
            address: asker,
            port: look_up.client_port,
            id: message::id(bytes),
            host: Arc::clone(&name.host),
        };
        let is_first = self.pairs.is_first(key, is_response, at);
        let mut addresses = Vec::new();
        match (resolved, look_up.client) {
            (Some(resolved), Some(client)) => {
                let message::Resolved { host, addresses, ttl_seconds } = resolved;
                sink.answer(Answer { client, host, addresses, ttl_seconds, at });
            }
            (Some(resolved), None) => addresses = resolved.addresses,
            (None, _) => {}
        }
        if is_first {
            let network = message::client_subnet(bytes);
            LookUp { network, addresses, ..look_up }.tell(names, sink);
        }
        Ok(())
    }
}

/// The DNS message: that of the response, if it is one and has its own.
fn said(message: &Message, is_response: bool) -> Option<&[u8]> {
    let response = message.response_message.as_deref().filter(|_| is_response);
    response.or(message.query_message.as_deref())
}

/// When the message was sent, or where that is not told, when the other half was.
fn time(message: &Message, is_response: bool) -> Result<Instant, Reason> {
    let query = || instant(message.query_time_sec, message.query_time_nsec);
    let response = || instant(message.response_time_sec, message.response_time_nsec);
    let told =
        if is_response { response()?.or(query()?) } else { query()?.or(response()?) };
    told.ok_or(Reason::Time)
}

/// When the query of a message of the time `at` was sent.
fn asked_at(message: &Message, at: Instant) -> Instant {
    let told = instant(message.query_time_sec, message.query_time_nsec).ok().flatten();
    // A clock that was set between the two must not move the look-up to another year.
    let near = |query: &Instant| {
        *query <= at && at.0.abs_diff(query.0) <= pairs::APART_MICROS_MAX
    };
    told.filter(near).unwrap_or(at)
}

/// Seconds since 1970 and nanoseconds.
fn instant(
    seconds: Option<u64>,
    nanos: Option<u32>,
) -> Result<Option<Instant>, Reason> {
    let Some(seconds) = seconds else { return Ok(None) };
    let seconds = i64::try_from(seconds).map_err(|_| Reason::Time)?;
    let nanos = nanos.unwrap_or(0);
    if nanos >= 1_000_000_000 {
        return Err(Reason::Time);
    }
    Ok(Some(Instant::from_unix(seconds, nanos / 1_000)))
}

/// 4 octets or 16, in network order.
fn address(bytes: Option<&[u8]>) -> Result<Option<Address>, Reason> {
    let Some(bytes) = bytes else { return Ok(None) };
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ok(Some(Ipv4Addr::from(v4).into()));
    }
    let v6 = <[u8; 16]>::try_from(bytes).map_err(|_| Reason::Value)?;
    Ok(Some(Ipv6Addr::from(v6).into()))
}

fn port(number: Option<u32>) -> Result<Option<u16>, Reason> {
    number.map(u16::try_from).transpose().map_err(|_| Reason::Value)
}

/// What `SocketProtocol` goes over: UDP = 1, TCP = 2, DOT = 3, DOH = 4, `DNSCryptUDP` = 5,
/// `DNSCryptTCP` = 6, DOQ = 7. UDP where nothing is told, as DNS is by default.
fn protocol(number: Option<i32>) -> Protocol {
    match number {
        Some(2..=4 | 6) => Protocol::TCP,
        _ => Protocol::UDP,
    }
}

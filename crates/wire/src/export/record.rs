//! A record: the values that were read of it, and the flow that they make.
//!
//! **Invariant:** a value that the record does not have is none, never zero; values of the
//! record before are not seen.
//!
//! * **Times**, first that is there: the flow's own, absolute or against the exporter's
//!   uptime; a duration beside one of them; when the event was observed; when the message
//!   was exported. An end up to [`SKEW_MICROS_MAX`] before the start is the start; more is
//!   a [`Reason::Time`].
//! * **Ways**: a record with volumes both ways (RFC 5103, initiator and responder counters,
//!   and NetFlow v9 records with "in" and "out" counters, neither of them zero) names its
//!   originator first, unless it says otherwise (`biflowDirection`, RFC 5103, 6.3). Of any
//!   other record [`is_reply`] tells whose it is.
//! * **Packets** are counted as at least one where bytes were seen and the exporter does
//!   not count packets.
//! * **Events** (Cisco NSEL, NAT logging): the creation of a connection, or its alert,
//!   without bytes, and the deletion of a translation repeat what a deletion, an update or a
//!   creation tells. They make no flow. Those with bytes do, for they are since the last
//!   record. A connection denied is a flow whose volumes are unknown.

use std::num::NonZeroU32;
use std::sync::Arc;

use tidegauge_model::flow::NameOrigin;
use tidegauge_model::{Address, Flow, Instant, Protocol, Reason, ServerName, Volume};

use super::element::{Action, Dialect, Slot};
use crate::stamp::believable;
use crate::way::is_reply;

/// Seconds from the epoch of NTP, 1900, to that of Unix (RFC 5905, figure 4).
const NTP_UNIX_SECONDS: u64 = 2_208_988_800;
/// NTP times before this are none: 1968. Some exporters put microseconds or nanoseconds
/// since 1970 there, which read as NTP are of 1900.
const NTP_SECONDS_MIN: u64 = 1 << 31;
/// How far the end of a flow may be before its start: clocks of unlike precision.
pub(super) const SKEW_MICROS_MAX: i64 = 1_000_000;
/// The longest HTTP request line kept, in bytes: method and target.
const REQUEST_BYTES_MAX: usize = 2_048;

/// What the header of a message says about time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// When it was exported, in microseconds since 1970.
    pub(super) exported: i64,
    /// The exporter's uptime then, in milliseconds; it wraps every 49.7 days.
    pub(super) uptime: Option<u32>,
    /// When the exporter was started, if an options record said it.
    pub(super) init_millis: Option<u64>,
    /// When the message was received: later records are not believed.
    pub(super) received: Instant,
}

impl Clock {
    /// The time of an uptime (RFC 3954, 5.1): before the export up to half the wrap.
    pub(super) fn at_uptime(&self, millis: u32) -> Option<i64> {
        let age = self.uptime?.wrapping_sub(millis).cast_signed();
        Some(self.exported.saturating_sub(i64::from(age) * 1_000))
    }
}

/// The values of one record.
pub(super) struct Values<'a> {
    seen: u64,
    numbers: [u64; Slot::COUNT],
    source_v6: Option<u128>,
    destination_v6: Option<u128>,
    name: Option<(NameOrigin, &'a [u8])>,
    method: Option<&'a [u8]>,
    target: Option<&'a [u8]>,
}

impl<'a> Values<'a> {
    pub(super) fn new() -> Self {
        Self {
            seen: 0,
            numbers: [0; Slot::COUNT],
            source_v6: None,
            destination_v6: None,
            name: None,
            method: None,
            target: None,
        }
    }

    pub(super) fn clear(&mut self) {
        self.seen = 0;
        self.source_v6 = None;
        self.destination_v6 = None;
        self.name = None;
        self.method = None;
        self.target = None;
    }

    pub(super) fn get(&self, slot: Slot) -> Option<u64> {
        let value = self.numbers.get(slot.index()).copied();
        value.filter(|_| self.seen & slot.bit() != 0)
    }

    fn nonzero(&self, slot: Slot) -> Option<u64> {
        self.get(slot).filter(|value| *value != 0)
    }

    pub(super) fn put(&mut self, slot: Slot, value: u64) {
        if let Some(number) = self.numbers.get_mut(slot.index()) {
            *number = value;
            self.seen |= slot.bit();
        }
    }

    /// Reads `bytes`, of a length that the action takes.
    pub(super) fn set(&mut self, action: Action, bytes: &'a [u8], clock: &Clock) {
        match action {
            Action::Skip => {}
            Action::Number(slot) => self.put(slot, unsigned(bytes)),
            Action::Seconds(slot)
            | Action::Millis(slot)
            | Action::Ntp(slot)
            | Action::MicrosBefore(slot)
            | Action::Uptime(slot) => {
                if let Some(micros) = micros(action, unsigned(bytes), clock) {
                    self.put(slot, micros);
                }
            }
            Action::DurationMillis => {
                self.put(Slot::DURATION, unsigned(bytes).saturating_mul(1_000));
            }
            Action::Flags => {
                let united = self.get(Slot::FLAGS).unwrap_or(0) | unsigned(bytes);
                self.put(Slot::FLAGS, united);
            }
            Action::IcmpType => self.put(Slot::ICMP, unsigned(bytes) << 8),
            Action::SourceV6 => self.source_v6 = wide(bytes),
            Action::DestinationV6 => self.destination_v6 = wide(bytes),
            Action::TcpPort(slot) => self.port_of(slot, Protocol::TCP, bytes),
            Action::UdpPort(slot) => self.port_of(slot, Protocol::UDP, bytes),
            Action::Name(origin) => self.name_of(origin, bytes),
            Action::CiscoName => self.cisco_name(bytes),
            Action::HttpMethod => self.method = Some(bytes),
            Action::HttpTarget => self.target = Some(bytes),
        }
    }

    /// A port of a transport that the element names: zero where it is another's.
    fn port_of(&mut self, slot: Slot, protocol: Protocol, bytes: &[u8]) {
        let port = unsigned(bytes);
        if port != 0 {
            self.put(slot, port);
            if self.get(Slot::PROTOCOL).is_none() {
                self.put(Slot::PROTOCOL, u64::from(protocol.0));
            }
        }
    }

    /// The first name that is not empty.
    fn name_of(&mut self, origin: NameOrigin, bytes: &'a [u8]) {
        if self.name.is_none() && bytes.iter().any(|b| *b != 0) {
            self.name = Some((origin, bytes));
        }
    }

    /// Cisco's extracted fields: engine, selector and sub-application say which. Engine 3
    /// is layer 4: selector 80 is HTTP, of which 0x3402 is the host, and 453 is TLS, of
    /// which 0x3401 is the name.
    fn cisco_name(&mut self, bytes: &'a [u8]) {
        match *bytes {
            [3, 0, 0, 80, 0x34, 0x02, ref name @ ..] => {
                self.name_of(NameOrigin::HttpHost, name);
            }
            [3 | 13, 0, 1, 0xc5, 0x34, 0x01, ref name @ ..] => {
                self.name_of(NameOrigin::TlsSni, name);
            }
            _ => {}
        }
    }

    fn source(&self) -> Option<Address> {
        address(self.get(Slot::SOURCE_V4), self.source_v6)
    }

    fn destination(&self) -> Option<Address> {
        address(self.get(Slot::DESTINATION_V4), self.destination_v6)
    }
}

/// An address: where a record has room for both versions, one is zero.
fn address(v4: Option<u64>, v6: Option<u128>) -> Option<Address> {
    let v4 = v4.and_then(|bits| u32::try_from(bits).ok());
    let v4 = v4.filter(|bits| *bits != 0 || v6.is_none_or(|bits| bits == 0));
    match (v4, v6) {
        (Some(bits), _) => Some(std::net::Ipv4Addr::from_bits(bits).into()),
        (None, Some(bits)) => Some(Address::from_bits(bits)),
        (None, None) => None,
    }
}

fn unsigned(bytes: &[u8]) -> u64 {
    if let Ok(&word) = <&[u8; 4]>::try_from(bytes) {
        return u64::from(u32::from_be_bytes(word));
    }
    if let Ok(&word) = <&[u8; 8]>::try_from(bytes) {
        return u64::from_be_bytes(word);
    }
    match *bytes {
        [byte] => u64::from(byte),
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        _ => bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    }
}

fn wide(bytes: &[u8]) -> Option<u128> {
    bytes.try_into().ok().map(u128::from_be_bytes)
}

/// Microseconds since 1970 of a value that is a time; those before 1970 are none.
#[inline]
pub(super) fn micros(action: Action, value: u64, clock: &Clock) -> Option<u64> {
    match action {
        Action::Seconds(_) => Some(value.saturating_mul(1_000_000)),
        Action::Millis(_) => Some(value.saturating_mul(1_000)),
        Action::Ntp(_) => Some(ntp_micros(value)),
        Action::MicrosBefore(_) => {
            let before = i64::try_from(value).unwrap_or(i64::MAX);
            u64::try_from(clock.exported.checked_sub(before)?).ok()
        }
        Action::Uptime(_) => {
            u64::try_from(clock.at_uptime(u32::try_from(value).ok()?)?).ok()
        }
        _ => None,
    }
}

/// Microseconds since 1970 of a time in the format of NTP: seconds since 1900 and a
/// fraction of 32 bits.
fn ntp_micros(value: u64) -> u64 {
    let (seconds, fraction) = (value >> 32, value & 0xffff_ffff);
    if seconds < NTP_SECONDS_MIN {
        return value;
    }
    let micros = (fraction * 1_000_000) >> 32;
    seconds.saturating_sub(NTP_UNIX_SECONDS) * 1_000_000 + micros
}

/// What a record is.
pub(super) enum Outcome {
    Flow(Flow),
    /// An event of a connection that another record tells.
    Event,
    Lost(Reason),
}

/// What is known of a record from outside it.
pub(super) struct Context<'c> {
    pub(super) dialect: Dialect,
    pub(super) clock: &'c Clock,
    pub(super) exporter: Option<Address>,
    /// The sampling rate that the exporter announced for a sampler.
    pub(super) announced: &'c dyn Fn(Option<u64>) -> Option<NonZeroU32>,
}

/// Makes the flow.
pub(super) fn assemble(values: &Values<'_>, context: &Context<'_>) -> Outcome {
    if repeats(values) {
        return Outcome::Event;
    }
    let (Some(source), Some(destination)) = (values.source(), values.destination())
    else {
        return Outcome::Lost(Reason::ColumnMissing);
    };
    let (start, end) = match times(values, context.clock) {
        Ok(times) => times,
        Err(reason) => return Outcome::Lost(reason),
    };
    let protocol = small(values, Slot::PROTOCOL);
    let record = OneWay {
        source,
        destination,
        source_port: port(values, Slot::SOURCE_PORT),
        destination_port: port(values, Slot::DESTINATION_PORT),
        protocol: Protocol(protocol),
        start,
        end,
        tcp_flags: values
            .get(Slot::FLAGS)
            .and_then(|flags| u8::try_from(flags & 0xff).ok())
            .filter(|_| protocol == Protocol::TCP.0),
        icmp: values.get(Slot::ICMP),
        sampling: sampling(values, context),
        exporter: context.exporter,
    };
    let forward = forward(values);
    let mut flow = match backward(values, context.dialect) {
        Some(backward) => record.both(forward, backward, values.get(Slot::BIFLOW)),
        None => record.flow(forward),
    };
    flow.name = name(values);
    Outcome::Flow(flow)
}

/// Whether the record is an event that another record tells with its volumes: Cisco NSEL
/// `firewallEvent` (IANA 233: 1 created, 2 deleted, 3 denied, 4 alert, 5 update) and
/// `natEvent` (IANA 230: 2 and 5 delete a session; 6 to 17 are of the translator).
fn repeats(values: &Values<'_>) -> bool {
    let counters = [Slot::BYTES, Slot::INITIATOR_BYTES, Slot::TOTAL_BYTES];
    if counters.iter().any(|slot| values.nonzero(*slot).is_some()) {
        return false;
    }
    let nat = values.get(Slot::NAT_EVENT).is_some_and(|e| matches!(e, 2 | 5..=17));
    match values.get(Slot::FIREWALL_EVENT) {
        Some(1 | 4) => true,
        None => nat,
        Some(_) => false,
    }
}

fn small(values: &Values<'_>, slot: Slot) -> u8 {
    values.get(slot).and_then(|v| u8::try_from(v).ok()).unwrap_or(0)
}

fn port(values: &Values<'_>, slot: Slot) -> u16 {
    values.get(slot).and_then(|v| u16::try_from(v).ok()).unwrap_or(0)
}

fn times(values: &Values<'_>, clock: &Clock) -> Result<(Instant, Instant), Reason> {
    let micros = |slot| values.nonzero(slot).and_then(|v| i64::try_from(v).ok());
    let init = values.nonzero(Slot::INIT_MILLIS).or(clock.init_millis);
    let since_init = |slot| {
        let millis = values.get(slot)?.checked_add(init?)?;
        i64::try_from(millis.checked_mul(1_000)?).ok()
    };
    let start = micros(Slot::START).or_else(|| since_init(Slot::START_SINCE_INIT));
    let end = micros(Slot::END).or_else(|| since_init(Slot::END_SINCE_INIT));
    let duration = micros(Slot::DURATION);
    let (start, end) = match (start, end, duration) {
        (Some(start), Some(end), _) => (start, end),
        (Some(start), None, Some(length)) => (start, start.saturating_add(length)),
        (None, Some(end), Some(length)) => (end.saturating_sub(length), end),
        (Some(start), None, None) => {
            (start, micros(Slot::OBSERVED).unwrap_or(start).max(start))
        }
        (None, Some(end), None) => (end, end),
        (None, None, _) => {
            let at = micros(Slot::OBSERVED).unwrap_or(clock.exported);
            (at, at)
        }
    };
    if start.saturating_sub(end) > SKEW_MICROS_MAX {
        return Err(Reason::Time);
    }
    let (start, end) = (Instant(start), Instant(end.max(start)));
    believable(start, clock.received)?;
    believable(end, clock.received)?;
    Ok((start, end))
}

/// Bytes and packets, if bytes are known.
fn volume(bytes: Option<u64>, packets: Option<u64>) -> Option<Volume> {
    let bytes = bytes?;
    Some(Volume { bytes, packets: packets.unwrap_or(u64::from(bytes > 0)) })
}

/// What the source sent.
fn forward(values: &Values<'_>) -> Option<Volume> {
    // Where an exporter counts at its way in and at its way out, one of them is zero.
    let first = |slots: &[Slot]| {
        let some = slots.iter().find_map(|slot| values.nonzero(*slot));
        some.or_else(|| slots.iter().find_map(|slot| values.get(*slot)))
    };
    volume(first(&Slot::FORWARD_BYTES), first(&Slot::FORWARD_PACKETS))
}

/// What the destination sent, if the record says it.
fn backward(values: &Values<'_>, dialect: Dialect) -> Option<Volume> {
    let reverse = volume(
        values.get(Slot::REVERSE_BYTES).or(values.get(Slot::RESPONDER_BYTES)),
        values.get(Slot::REVERSE_PACKETS).or(values.get(Slot::RESPONDER_PACKETS)),
    );
    // In IPFIX 23 and 24 count the same packets after a middlebox. In v9 beside 1 and 2
    // they are, by habit of firewalls and probes, those of the way back; zero is unused.
    let both = dialect == Dialect::V9 && values.nonzero(Slot::BYTES).is_some();
    reverse.or_else(|| {
        let bytes = values.nonzero(Slot::OUT_BYTES).filter(|_| both);
        volume(bytes, values.get(Slot::OUT_PACKETS))
    })
}

/// The sampling rate: the record's own, else what the exporter announced.
fn sampling(values: &Values<'_>, context: &Context<'_>) -> NonZeroU32 {
    own_rate(values)
        .or_else(|| (context.announced)(values.get(Slot::SAMPLER)))
        .unwrap_or(NonZeroU32::MIN)
}

/// The rate that a record of flows or of options tells: `samplingInterval` (34),
/// `samplerRandomInterval` (50), packets taken and left out (305 and 306, RFC 5477, 8.2.2),
/// or a sample of a population (309 and 310).
pub(super) fn own_rate(values: &Values<'_>) -> Option<NonZeroU32> {
    let rate = |taken: u64, of: u64| {
        let rate = of.checked_add(taken / 2)? / taken;
        u32::try_from(rate).ok().and_then(NonZeroU32::new)
    };
    let one_in =
        values.nonzero(Slot::SAMPLING).or(values.nonzero(Slot::SAMPLER_INTERVAL));
    if let Some(one_in) = one_in {
        return rate(1, one_in);
    }
    if let Some(taken) = values.nonzero(Slot::PACKET_INTERVAL) {
        return rate(taken, taken.checked_add(values.get(Slot::PACKET_SPACE)?)?);
    }
    rate(values.nonzero(Slot::SIZE)?, values.nonzero(Slot::POPULATION)?)
}

/// The server's name, with the request if it was of HTTP.
fn name(values: &Values<'_>) -> Option<ServerName> {
    let (origin, bytes) = values.name?;
    let text = text_of(bytes)?;
    let mut name = ServerName::new(text, origin)?;
    if origin == NameOrigin::HttpHost
        && let Some(method) = values.method.and_then(text_of)
        && let Some(target) = values.target.and_then(text_of)
        && !method.is_empty()
        && method.len() + target.len() < REQUEST_BYTES_MAX
    {
        name.request = Some(Arc::from(format!("{method} {target}")));
    }
    Some(name)
}

/// Text, padded with zeros where its field is of fixed length.
fn text_of(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    std::str::from_utf8(bytes.get(..end)?).ok()
}

/// What a record of one direction says, as it says it.
pub(crate) struct OneWay {
    pub(crate) source: Address,
    pub(crate) destination: Address,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) protocol: Protocol,
    pub(crate) start: Instant,
    pub(crate) end: Instant,
    pub(crate) tcp_flags: Option<u8>,
    /// Type and code.
    pub(crate) icmp: Option<u64>,
    pub(crate) sampling: NonZeroU32,
    pub(crate) exporter: Option<Address>,
}

/// Whether packets of the protocol begin with ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
fn has_ports(protocol: Protocol) -> bool {
    matches!(protocol.0, 6 | 17 | 33 | 132 | 136)
}

impl OneWay {
    /// The flow of one direction.
    pub(crate) fn flow(self, volume: Option<Volume>) -> Flow {
        let reply = match (self.protocol.0, self.icmp.map(|code| code >> 8)) {
            // Echo replies (RFC 792; RFC 4443, 4.2). Some exporters leave the field zero
            // and write type and code as a port.
            (1, Some(0)) => self.destination_port == 0,
            (58, Some(129)) => true,
            _ => is_reply(
                self.protocol,
                self.source_port,
                self.destination_port,
                self.tcp_flags,
            ),
        };
        if reply {
            self.turned().directed(None, volume)
        } else {
            self.directed(volume, None)
        }
    }

    /// The flow of both directions: `biflow` says who is the initiator (RFC 5103, 6.3).
    pub(crate) fn both(
        self,
        forward: Option<Volume>,
        backward: Volume,
        biflow: Option<u64>,
    ) -> Flow {
        if biflow == Some(2) {
            self.turned().directed(Some(backward), forward)
        } else {
            self.directed(forward, Some(backward))
        }
    }

    fn turned(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            ..self
        }
    }

    fn directed(self, sent: Option<Volume>, received: Option<Volume>) -> Flow {
        let ports = has_ports(self.protocol);
        Flow {
            originator: self.source,
            responder: self.destination,
            originator_port: if ports { self.source_port } else { 0 },
            responder_port: if ports { self.destination_port } else { 0 },
            protocol: self.protocol,
            start: self.start,
            end: self.end,
            sent,
            received,
            tcp_flags: self.tcp_flags,
            sampling: self.sampling,
            name: None,
            exporter: self.exporter,
        }
    }
}

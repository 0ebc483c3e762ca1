//! The network and transport layers: from bytes to a packet with its ends and its size.
//!
//! **Invariant:** a packet has both addresses, its protocol and its ports, or it is a loss.
//! Protocols without ports have port 0. What a snap length cut off beyond that costs at most
//! a name.
//!
//! IP packets are RFC 791 and RFC 8200. A fragment other than the first bears no ports: it
//! goes where its first fragment went, and is [`Reason::Fragment`] if that was not seen and
//! the protocol may have ports.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, Ipv6Addr};

use tidegauge_model::{Address, Instant, Protocol, Reason};

/// First fragments remembered at a time. Picked by hand: fragments follow each other within
/// milliseconds.
const FRAGMENTS_MAX: usize = 4096;
/// How long a first fragment is remembered: the reassembly time-out of RFC 8200, 4.5.
const FRAGMENT_SECONDS: i64 = 60;

const AUTHENTICATION: u8 = 51;
const FRAGMENT: u8 = 44;

/// A packet. Addresses and ports are the sender's view.
pub(super) struct Packet<'a> {
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) protocol: Protocol,
    /// Length at the IP layer, headers included.
    pub(super) bytes: u64,
    /// What the TCP header says, if it was captured.
    pub(super) tcp: Option<Segment>,
    /// What was captured of the payload of TCP or UDP; empty for later fragments.
    pub(super) payload: &'a [u8],
}

/// A TCP header.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    pub(super) flags: u8,
    pub(super) sequence: u32,
    /// Length of the payload on the wire.
    pub(super) length: u32,
}

/// An IP packet before its transport layer is read.
struct Datagram<'a> {
    source: Address,
    destination: Address,
    protocol: u8,
    bytes: usize,
    /// What was captured after the IP headers.
    body: &'a [u8],
    /// How long that was on the wire.
    body_length: usize,
    fragment: Option<Fragment>,
}

#[derive(Clone, Copy)]
struct Fragment {
    identification: u32,
    first: bool,
}

/// Reads a packet. `wire_length` is how long it was on the wire, link layer taken off;
/// `short` is the reason if what is needed was not captured.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    wire_length: usize,
    short: Reason,
    at: Instant,
    fragments: &mut Fragments,
) -> Result<Packet<'a>, Reason> {
    let datagram = match bytes.first().map(|b| b >> 4) {
        Some(4) => ipv4(bytes, wire_length, short)?,
        Some(6) => ipv6(bytes, wire_length, short)?,
        Some(_) => return Err(Reason::Value),
        None => return Err(short),
    };
    match datagram.fragment {
        None => transport(&datagram, short),
        Some(fragment) if fragment.first => {
            let packet = transport(&datagram, short)?;
            fragments.remember(&datagram, fragment, at, &packet);
            Ok(packet)
        }
        Some(fragment) => fragments.later(&datagram, fragment, at),
    }
}

fn ipv4(
    bytes: &[u8],
    wire_length: usize,
    short: Reason,
) -> Result<Datagram<'_>, Reason> {
    let (header, _) = bytes.split_first_chunk::<20>().ok_or(short)?;
    let &[first, _, l0, l1, i0, i1, f0, f1, _, protocol, _, _, ref ends @ ..] = header;
    let header_length = usize::from(first & 0x0f) * 4;
    let total = match usize::from(u16::from_be_bytes([l0, l1])) {
        // Left to the network card (segmentation offload): the frame tells.
        0 => wire_length,
        total => total,
    };
    if header_length < 20 || total < header_length {
        return Err(Reason::Length);
    }
    let (source, destination) = halves::<8, 4>(ends);
    let word = u16::from_be_bytes([f0, f1]);
    let (more, offset) = (word & 0x2000 != 0, word & 0x1fff);
    let identification = u32::from(u16::from_be_bytes([i0, i1]));
    let mut datagram = Datagram {
        source: Ipv4Addr::from(source).into(),
        destination: Ipv4Addr::from(destination).into(),
        protocol,
        bytes: total,
        body: within(bytes, header_length, total, short)?,
        body_length: total - header_length,
        fragment: (more || offset > 0)
            .then_some(Fragment { identification, first: offset == 0 }),
    };
    if protocol == AUTHENTICATION && datagram.fragment.is_none_or(|f| f.first) {
        datagram.extensions(short)?;
    }
    Ok(datagram)
}

fn ipv6(
    bytes: &[u8],
    wire_length: usize,
    short: Reason,
) -> Result<Datagram<'_>, Reason> {
    let (header, _) = bytes.split_first_chunk::<40>().ok_or(short)?;
    let &[_, _, _, _, l0, l1, protocol, _, ref ends @ ..] = header;
    let total = match usize::from(u16::from_be_bytes([l0, l1])) {
        // A jumbogram, or left to the network card: the frame tells.
        0 => wire_length,
        length => 40 + length,
    };
    let (source, destination) = halves::<32, 16>(ends);
    let mut datagram = Datagram {
        source: Ipv6Addr::from(source).into(),
        destination: Ipv6Addr::from(destination).into(),
        protocol,
        bytes: total,
        body: within(bytes, 40, total, short)?,
        body_length: total.saturating_sub(40),
        fragment: None,
    };
    datagram.extensions(short)?;
    Ok(datagram)
}

impl Datagram<'_> {
    /// Walks the extension headers up to the transport layer (RFC 8200, 4; RFC 4302, 2).
    fn extensions(&mut self, short: Reason) -> Result<(), Reason> {
        loop {
            let length = match (self.protocol, self.body) {
                // Hop by hop, routing, destination, host identity, shim.
                (0 | 43 | 60 | 139 | 140, &[_, length, ..]) => {
                    (usize::from(length) + 1) * 8
                }
                (AUTHENTICATION, &[_, length, ..]) => (usize::from(length) + 2) * 4,
                (FRAGMENT, &[_, _, o0, o1, i0, i1, i2, i3, ..]) => {
                    let word = u16::from_be_bytes([o0, o1]);
                    let identification = u32::from_be_bytes([i0, i1, i2, i3]);
                    // One that is both first and last is a whole packet (RFC 6946).
                    if word & 0xfff9 != 0 {
                        let first = word & 0xfff8 == 0;
                        self.fragment = Some(Fragment { identification, first });
                    }
                    8
                }
                (0 | 43 | 60 | 139 | 140 | AUTHENTICATION | FRAGMENT, _) => {
                    return Err(short);
                }
                _ => return Ok(()),
            };
            let &[next, ..] = self.body else { return Err(short) };
            self.body = self.body.get(length..).ok_or(short)?;
            self.body_length = self.body_length.saturating_sub(length);
            self.protocol = next;
            if self.fragment.is_some_and(|f| !f.first) {
                return Ok(());
            }
        }
    }

    fn packet(&self, ports: Ports) -> Packet<'static> {
        Packet {
            source: self.source,
            destination: self.destination,
            source_port: ports.source,
            destination_port: ports.destination,
            protocol: ports.protocol,
            bytes: u64::try_from(self.bytes).unwrap_or(u64::MAX),
            tcp: None,
            payload: &[],
        }
    }
}

/// What a first fragment tells about the later ones.
#[derive(Clone, Copy)]
struct Ports {
    protocol: Protocol,
    source: u16,
    destination: u16,
}

/// Whether the protocol begins with two ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17 | 33 | 132 | 136)
}

/// Whether ports may follow behind it: it has some, or it is an extension header.
fn may_have_ports(protocol: u8) -> bool {
    has_ports(protocol)
        || matches!(protocol, 0 | 43 | 60 | 139 | 140 | AUTHENTICATION | FRAGMENT)
}

fn transport<'a>(datagram: &Datagram<'a>, short: Reason) -> Result<Packet<'a>, Reason> {
    let protocol = Protocol(datagram.protocol);
    if !has_ports(datagram.protocol) {
        return Ok(datagram.packet(Ports { protocol, source: 0, destination: 0 }));
    }
    let body = datagram.body;
    let &[s0, s1, d0, d1, ..] = body else { return Err(short) };
    let source = u16::from_be_bytes([s0, s1]);
    let destination = u16::from_be_bytes([d0, d1]);
    let packet = datagram.packet(Ports { protocol, source, destination });
    Ok(match (protocol, body) {
        (
            Protocol::TCP,
            &[_, _, _, _, q0, q1, q2, q3, _, _, _, _, offset, flags, ..],
        ) => {
            let header = usize::from(offset >> 4) * 4;
            let sequence = u32::from_be_bytes([q0, q1, q2, q3]);
            let length = datagram.body_length.saturating_sub(header);
            let length = u32::try_from(length).unwrap_or(u32::MAX);
            let payload = if header < 20 { None } else { body.get(header..) };
            let tcp = Some(Segment { flags, sequence, length });
            Packet { tcp, payload: payload.unwrap_or_default(), ..packet }
        }
        (Protocol::UDP, &[_, _, _, _, l0, l1, _, _, ref payload @ ..]) => {
            let length = usize::from(u16::from_be_bytes([l0, l1])).saturating_sub(8);
            let payload = match length {
                0 => payload,
                length => payload.get(..length).unwrap_or(payload),
            };
            Packet { payload, ..packet }
        }
        _ => packet,
    })
}

/// Remembers where first fragments went.
pub(super) struct Fragments {
    seen: HashMap<FragmentKey, (Instant, Ports)>,
    /// The keys of `seen`, oldest first; a key seen again may stand twice.
    order: VecDeque<FragmentKey>,
}

/// What the fragments of one packet share. The protocol only for IPv4 (RFC 791, 3.2): in
/// IPv6 it may differ between them.
type FragmentKey = (Address, Address, u32, Option<u8>);

impl Fragments {
    pub(super) fn new() -> Self {
        Self { seen: HashMap::new(), order: VecDeque::new() }
    }

    fn remember(
        &mut self,
        datagram: &Datagram<'_>,
        fragment: Fragment,
        at: Instant,
        packet: &Packet<'_>,
    ) {
        let key = fragment_key(datagram, fragment);
        let ports = Ports {
            protocol: packet.protocol,
            source: packet.source_port,
            destination: packet.destination_port,
        };
        self.seen.insert(key, (at, ports));
        self.order.push_back(key);
        if self.order.len() > FRAGMENTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }

    fn later(
        &self,
        datagram: &Datagram<'_>,
        fragment: Fragment,
        at: Instant,
    ) -> Result<Packet<'static>, Reason> {
        let key = fragment_key(datagram, fragment);
        let near = |&&(first, _): &&(Instant, Ports)| {
            first.plus_seconds(FRAGMENT_SECONDS) >= at
                && at.plus_seconds(FRAGMENT_SECONDS) >= first
        };
        match self.seen.get(&key).filter(near) {
            Some(&(_, ports)) => Ok(datagram.packet(ports)),
            None if may_have_ports(datagram.protocol) => Err(Reason::Fragment),
            None => {
                let protocol = Protocol(datagram.protocol);
                Ok(datagram.packet(Ports { protocol, source: 0, destination: 0 }))
            }
        }
    }
}

fn fragment_key(datagram: &Datagram<'_>, fragment: Fragment) -> FragmentKey {
    let protocol = datagram.source.is_v4().then_some(datagram.protocol);
    (datagram.source, datagram.destination, fragment.identification, protocol)
}

/// The bytes from `from` to `to`, or as far as they were captured.
fn within(
    bytes: &[u8],
    from: usize,
    to: usize,
    short: Reason,
) -> Result<&[u8], Reason> {
    let body = bytes.get(..to).unwrap_or(bytes);
    body.get(from..).ok_or(short)
}

/// Two addresses that follow each other.
fn halves<const BOTH: usize, const ONE: usize>(
    ends: &[u8; BOTH],
) -> ([u8; ONE], [u8; ONE]) {
    const { assert!(BOTH == 2 * ONE, "two halves make the whole") };
    let source = ends.first_chunk::<ONE>().copied();
    let destination = ends.last_chunk::<ONE>().copied();
    (source.unwrap_or([0; ONE]), destination.unwrap_or([0; ONE]))
}

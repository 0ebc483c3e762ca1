//! The network and transport layers: from bytes to a packet with its ends and its size.
//!
//! **Invariant:** a packet has both addresses, its protocol and its ports, or it is a loss.
//! Protocols without ports have port 0. What a snap length cut off beyond that costs at most
//! a name.
//!
//! IP packets are RFC 791 and RFC 8200. Of a packet in a tunnel that `tunnel` opens, the
//! innermost is the packet; its size is its own. What fragments are of is said in `fragments`.

use std::net::{Ipv4Addr, Ipv6Addr};

use tidegauge_model::{Address, Protocol, Reason};

use super::tunnel;

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
#[derive(Clone, Copy)]
pub(super) struct Datagram<'a> {
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) protocol: u8,
    /// Length at the IP layer, headers included.
    pub(super) bytes: usize,
    /// What was captured after the IP headers.
    pub(super) body: &'a [u8],
    /// How long that was on the wire.
    pub(super) body_length: usize,
    pub(super) fragment: Option<Fragment<'a>>,
}

/// What makes a packet a fragment (RFC 791, 3.2; RFC 8200, 4.5).
#[derive(Clone, Copy)]
pub(super) struct Fragment<'a> {
    pub(super) identification: u32,
    /// Where its part begins in the whole, in bytes.
    pub(super) offset: usize,
    /// Whether parts follow it.
    pub(super) more: bool,
    /// What the whole begins with; what it says in later fragments is not believed.
    pub(super) protocol: u8,
    /// What was captured of its part.
    pub(super) part: &'a [u8],
    /// How long that was on the wire.
    pub(super) part_length: usize,
}

/// What a frame bears.
pub(super) enum Read<'a> {
    /// A packet.
    Packet(Packet<'a>),
    /// A fragment of one.
    Fragment(Datagram<'a>),
}

/// Reads a packet, through tunnels. `wire_length` is how long it was on the wire, link layer
/// taken off; `short` is the reason if what is needed was not captured.
pub(super) fn read(
    bytes: &[u8],
    wire_length: usize,
    short: Reason,
) -> Result<Read<'_>, Reason> {
    let innermost = tunnel::innermost(datagram(bytes, wire_length, short)?, short);
    match innermost.fragment {
        Some(_) => Ok(Read::Fragment(innermost)),
        None => transport(&innermost, short).map(Read::Packet),
    }
}

/// Reads the headers of an IP packet.
pub(super) fn datagram(
    bytes: &[u8],
    wire_length: usize,
    short: Reason,
) -> Result<Datagram<'_>, Reason> {
    match bytes.first().map(|b| b >> 4) {
        Some(4) => ipv4(bytes, wire_length, short),
        Some(6) => ipv6(bytes, wire_length, short),
        Some(_) => Err(Reason::Value),
        None => Err(short),
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
    let body = within(bytes, header_length, total, short)?;
    let body_length = total - header_length;
    let mut datagram = Datagram {
        source: Ipv4Addr::from(source).into(),
        destination: Ipv4Addr::from(destination).into(),
        protocol,
        bytes: total,
        body,
        body_length,
        fragment: (more || offset > 0).then_some(Fragment {
            identification,
            // In units of eight bytes.
            offset: usize::from(offset) * 8,
            more,
            protocol,
            part: body,
            part_length: body_length,
        }),
    };
    if protocol == AUTHENTICATION && datagram.fragment.is_none_or(|f| f.offset == 0) {
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
    /// Whether extension headers are to be walked: those of IPv6, and in IPv4 the one that it
    /// shares with it.
    pub(super) fn has_extensions(&self) -> bool {
        !self.source.is_v4() || self.protocol == AUTHENTICATION
    }

    /// Walks the extension headers up to the transport layer (RFC 8200, 4; RFC 4302, 2).
    pub(super) fn extensions(&mut self, short: Reason) -> Result<(), Reason> {
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
                        self.fragment = Some(Fragment {
                            identification,
                            offset: usize::from(word & 0xfff8),
                            more: word & 1 != 0,
                            protocol: self.body.first().copied().unwrap_or_default(),
                            part: self.body.get(8..).unwrap_or_default(),
                            part_length: self.body_length.saturating_sub(8),
                        });
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
            if self.fragment.is_some_and(|f| f.offset > 0) {
                return Ok(());
            }
        }
    }

    /// The packet, as far as it can be told without its payload.
    pub(super) fn packet(&self, ports: Ports) -> Packet<'static> {
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

/// What the transport layer tells of the ends.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub(super) protocol: Protocol,
    pub(super) source: u16,
    pub(super) destination: u16,
}

/// Whether the protocol begins with two ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17 | 33 | 132 | 136)
}

/// Whether ports may follow behind it: it has some, or it is an extension header.
pub(super) fn may_have_ports(protocol: u8) -> bool {
    has_ports(protocol)
        || matches!(protocol, 0 | 43 | 60 | 139 | 140 | AUTHENTICATION | FRAGMENT)
}

/// Reads the transport layer.
pub(super) fn transport<'a>(
    datagram: &Datagram<'a>,
    short: Reason,
) -> Result<Packet<'a>, Reason> {
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

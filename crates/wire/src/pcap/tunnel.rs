//! Packets inside packets.
//!
//! **Invariant:** a tunnel is opened only where what is inside begins with an IP header that
//! fits: its lengths go into what the tunnel carries. Else the outer packet stays what it was:
//! a packet between the ends of the tunnel. At most [`TUNNELS_MAX`] are opened in one another.
//!
//! Read are IP in IP (RFC 2003, 2473, 4213), GRE (RFC 2784, 2890) with IP, Ethernet, MPLS or
//! ERSPAN (draft-foschiano-erspan) in it, its form for PPTP (RFC 2637), GRE in UDP (RFC 8086),
//! VXLAN (RFC 7348; draft-ietf-nvo3-vxlan-gpe), Geneve (RFC 8926), GTP-U (3GPP TS 29.281) and Teredo (RFC 4380). Tunnels
//! of the link layer (MPLS, PPP over Ethernet, VLANs) are taken off in `link`.
//!
//! What is left out: what is encrypted or compressed (ESP, PPTP with MPPE), L2TP, CAPWAP and
//! other ways of bearing 802.11, source routes of GRE (RFC 1701), Teredo between two clients,
//! which may take any port.

use tidegauge_model::{Protocol, Reason};

use super::link;
use super::packet::{self, Datagram};

/// Tunnels in one another that are opened. Picked by hand: captures of others have three.
const TUNNELS_MAX: usize = 8;

const IPV4: u8 = 4;
const IPV6: u8 = 41;
const GRE: u8 = 47;

/// Ports of UDP, as IANA assigned them.
const GTP_U: u16 = 2152;
const TEREDO: u16 = 3544;
const GRE_IN_UDP: u16 = 4754;
const VXLAN: u16 = 4789;
const VXLAN_GPE: u16 = 4790;
const GENEVE: u16 = 6081;

/// Length of a header of UDP (RFC 768).
const UDP_HEADER: usize = 8;
/// Ethernet in a protocol that is told by Ethernet types (RFC 1701).
const BRIDGED: u16 = 0x6558;

/// The innermost packet that can be reached; `short` is the reason if something is missing.
pub(super) fn innermost(outer: Datagram<'_>, short: Reason) -> Datagram<'_> {
    let mut datagram = outer;
    for _ in 0..TUNNELS_MAX {
        match inner(&datagram, short) {
            Some(inner) => datagram = inner,
            None => break,
        }
    }
    datagram
}

/// The packet inside, if there is one and it is well formed.
fn inner<'a>(outer: &Datagram<'a>, short: Reason) -> Option<Datagram<'a>> {
    if outer.fragment.is_some() {
        return None;
    }
    let carried = carried(outer, short)?;
    let behind = outer.body.len().checked_sub(carried.len())?;
    let wire_length = outer.body_length.checked_sub(behind)?;
    let inner = packet::datagram(carried, wire_length, short).ok()?;
    (inner.bytes <= wire_length).then_some(inner)
}

/// What the tunnel carries, from its IP header on; always the end of the body.
fn carried<'a>(outer: &Datagram<'a>, short: Reason) -> Option<&'a [u8]> {
    match outer.protocol {
        IPV4 => version(outer.body, 4),
        IPV6 => version(outer.body, 6),
        GRE => gre(outer.body, short),
        protocol if Protocol(protocol) == Protocol::UDP => udp(outer.body, short),
        _ => None,
    }
}

/// An IP packet of this version.
fn version(packet: &[u8], version: u8) -> Option<&[u8]> {
    (packet.first()? >> 4 == version).then_some(packet)
}

fn udp(body: &[u8], short: Reason) -> Option<&[u8]> {
    let &[s0, s1, d0, d1, ..] = body else { return None };
    let source = u16::from_be_bytes([s0, s1]);
    let destination = u16::from_be_bytes([d0, d1]);
    let payload = body.get(UDP_HEADER..)?;
    match (source, destination) {
        (_, VXLAN) => vxlan(payload, short),
        (_, VXLAN_GPE) => vxlan_gpe(payload, short),
        (_, GENEVE) => geneve(payload, short),
        (_, GRE_IN_UDP) => gre(payload, short),
        (GTP_U, _) | (_, GTP_U) => gtp_u(payload),
        (TEREDO, _) | (_, TEREDO) => teredo(payload),
        _ => None,
    }
}

/// RFC 2784, 2.1, and RFC 2890, 2:
///
///  | flags u16 | type u16 | checksum, reserved | key | sequence | …
fn gre(body: &[u8], short: Reason) -> Option<&[u8]> {
    let (&[f0, f1, k0, k1], mut rest) = body.split_first_chunk::<4>()?;
    let (flags, kind) = (u16::from_be_bytes([f0, f1]), u16::from_be_bytes([k0, k1]));
    let has = |flag| flags & flag != 0;
    let (checksum, routing, key, sequence) =
        (has(0x8000), has(0x4000), has(0x2000), has(0x1000));
    if routing {
        return None;
    }
    // The second word of the key of version 1 is the number that it acknowledges.
    let acknowledges = flags & 0x0007 == 1 && has(0x0080);
    for present in [checksum, key, sequence, acknowledges] {
        rest = if present { rest.get(4..)? } else { rest };
    }
    match (flags & 0x0007, kind) {
        // Type I of ERSPAN has no header of its own and no sequence, type II has both.
        (0, 0x88be) if !sequence => link::of_type(BRIDGED, rest, short).ok(),
        (0, 0x88be) if rest.first()? >> 4 == 1 => {
            link::of_type(BRIDGED, rest.get(8..)?, short).ok()
        }
        (0, 0x22eb) => erspan_3(rest, short),
        (0, kind) => link::of_type(kind, rest, short).ok(),
        (1, 0x880b) => link::ppp(without_address(rest), short).ok(),
        _ => None,
    }
}

/// Type III of ERSPAN: twelve bytes, and eight where the last bit says so.
fn erspan_3(rest: &[u8], short: Reason) -> Option<&[u8]> {
    let (header, frame) = rest.split_first_chunk::<12>()?;
    let &[first, .., last] = header;
    if first >> 4 != 2 {
        return None;
    }
    let frame = if last & 1 == 1 { frame.get(8..)? } else { frame };
    link::of_type(BRIDGED, frame, short).ok()
}

/// A frame of PPP without the bytes of HDLC, which may be left out (RFC 1661, 6.6).
fn without_address(frame: &[u8]) -> &[u8] {
    frame.strip_prefix(&[0xff, 0x03]).unwrap_or(frame)
}

/// RFC 7348, 5: a flag that says that the network is told, and the network; Ethernet.
fn vxlan(payload: &[u8], short: Reason) -> Option<&[u8]> {
    let (&[flags, ..], frame) = payload.split_first_chunk::<8>()?;
    (flags & 0x08 != 0).then(|| link::of_type(BRIDGED, frame, short).ok())?
}

/// The same with a flag that says that the last byte of the first word is what follows
/// (draft-ietf-nvo3-vxlan-gpe-13, 3.1).
fn vxlan_gpe(payload: &[u8], short: Reason) -> Option<&[u8]> {
    let (&[flags, _, _, next, ..], rest) = payload.split_first_chunk::<8>()?;
    match (flags & 0x0c, next) {
        (0x0c, 1) => version(rest, 4),
        (0x0c, 2) => version(rest, 6),
        (0x0c, 3) => link::of_type(BRIDGED, rest, short).ok(),
        _ => None,
    }
}

/// RFC 8926, 3.4:
///
///  | version 2 bits, length of options 6 bits | flags u8 | type u16 | network, reserved | options
fn geneve(payload: &[u8], short: Reason) -> Option<&[u8]> {
    let (&[first, _, k0, k1, ..], rest) = payload.split_first_chunk::<8>()?;
    let options = usize::from(first & 0x3f) * 4;
    let rest = rest.get(options..).filter(|_| first >> 6 == 0)?;
    link::of_type(u16::from_be_bytes([k0, k1]), rest, short).ok()
}

/// TS 29.281, 5.1: version 1 of GTP, a packet of the user.
///
///  | flags u8 | 255 | length u16 | end u32 | sequence u16, number u8, extension u8 | …
fn gtp_u(payload: &[u8]) -> Option<&[u8]> {
    let (&[flags, kind, ..], mut rest) = payload.split_first_chunk::<8>()?;
    if flags & 0xf0 != 0x30 || kind != 255 {
        return None;
    }
    // Extensions, sequence and number: where one is told, room is made for all.
    if flags & 0x07 != 0 {
        let (&[_, _, _, first], behind) = rest.split_first_chunk::<4>()?;
        rest = behind;
        let mut extension = if flags & 0x04 != 0 { first } else { 0 };
        while extension != 0 {
            // Length in units of four bytes, never none (5.2.1); the next type is last.
            let length = usize::from(*rest.first()?).max(1) * 4;
            let (header, behind) = rest.split_at_checked(length)?;
            extension = *header.last()?;
            rest = behind;
        }
    }
    version(rest, 4).or_else(|| version(rest, 6))
}

/// RFC 4380, 5.1.1: an indication of authentication and one of origin may stand before.
fn teredo(payload: &[u8]) -> Option<&[u8]> {
    let mut rest = payload;
    if let &[0, 1, client, value, ..] = rest {
        // Nonce of eight bytes and a confirmation.
        rest = rest.get(4 + usize::from(client) + usize::from(value) + 9..)?;
    }
    if let [0, 0, ..] = rest {
        rest = rest.get(8..)?;
    }
    version(rest, 6)
}

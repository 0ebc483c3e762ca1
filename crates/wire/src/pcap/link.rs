//! The link layer: from a frame to its IP packet.
//!
//! **Invariant:** what is not IP on a link layer read here is [`Reason::LinkType`], once a
//! frame: ARP and spanning tree too.
//!
//! Numbers: <https://www.tcpdump.org/linktypes.html>, and IEEE's registry of Ethernet types.

use tidegauge_model::Reason;

/// BSD loopback: the address family in the byte order of the machine.
const NULL: u32 = 0;
pub(crate) const ETHERNET: u32 = 1;
pub(crate) const PPP: u32 = 9;
/// Raw IP as some systems number it.
const RAW_BSD: u32 = 12;
/// Raw IP as OpenBSD numbers it.
const RAW_OPENBSD: u32 = 14;
pub(crate) const RAW: u32 = 101;
const CISCO_HDLC: u32 = 104;
/// OpenBSD loopback: the address family in network order.
const LOOP: u32 = 108;
const LINUX_SLL: u32 = 113;
const IPV4: u32 = 228;
const IPV6: u32 = 229;
const LINUX_SLL2: u32 = 276;

/// The network layer of a frame of link type `link`; `short` is the reason if it ends early.
pub(super) fn network(link: u32, frame: &[u8], short: Reason) -> Result<&[u8], Reason> {
    match link {
        RAW | RAW_BSD | RAW_OPENBSD | IPV4 | IPV6 => Ok(frame),
        ETHERNET => typed(after(frame, 12, short)?, short),
        CISCO_HDLC => typed(after(frame, 2, short)?, short),
        LINUX_SLL => typed(after(frame, 14, short)?, short),
        // The type comes first, the packet after 20 bytes.
        LINUX_SLL2 => match pair(frame, short)? {
            (0x0800 | 0x86dd, _) => after(frame, 20, short),
            (_, _) => Err(Reason::LinkType),
        },
        NULL | LOOP => match frame.split_first_chunk::<4>() {
            // The family is a small number; IPv6 has another one on every system.
            Some((&([0, 0, 0, family] | [family, 0, 0, 0]), packet))
                if matches!(family, 2 | 10 | 24 | 28 | 30) =>
            {
                Ok(packet)
            }
            Some(_) => Err(Reason::LinkType),
            None => Err(short),
        },
        PPP => match frame {
            [0xff, 0x03, rest @ ..] => ppp(rest, short),
            // libpcap's note on PPP: frames of Cisco HDLC may be among them.
            [0x0f | 0x8f, 0x00, rest @ ..] => typed(rest, short),
            _ => ppp(frame, short),
        },
        _ => Err(Reason::LinkType),
    }
}

/// Reads an Ethernet type and what follows it.
fn typed(rest: &[u8], short: Reason) -> Result<&[u8], Reason> {
    let (kind, packet) = pair(rest, short)?;
    of_type(kind, packet, short)
}

/// The network layer of what an Ethernet type announces, through VLAN tags (802.1Q, 802.1ad),
/// SNAP, sessions of PPP over Ethernet (RFC 2516), MPLS labels (RFC 3032), and Ethernet in
/// Ethernet's own type (RFC 1701: transparent bridging).
pub(super) fn of_type(
    mut kind: u16,
    mut packet: &[u8],
    short: Reason,
) -> Result<&[u8], Reason> {
    loop {
        let rest = match kind {
            0x0800 | 0x86dd => return Ok(packet),
            0x8100 | 0x88a8 | 0x9100 => after(packet, 2, short)?,
            0x6558 => after(packet, 12, short)?,
            0x8864 => return ppp(after(packet, 6, short)?, short),
            0x8847 | 0x8848 => return unlabelled(packet, short),
            // A length and no type: IEEE 802.3. Only SNAP (RFC 1042) bears IP.
            0..0x0600 => match packet.split_first_chunk::<6>() {
                Some((&[0xaa, 0xaa, 0x03, 0, 0, 0], behind)) => behind,
                Some(_) => return Err(Reason::LinkType),
                None => return Err(short),
            },
            _ => return Err(Reason::LinkType),
        };
        (kind, packet) = pair(rest, short)?;
    }
}

/// Reads a PPP protocol number (RFC 1661, 2) and what follows it.
pub(super) fn ppp(rest: &[u8], short: Reason) -> Result<&[u8], Reason> {
    match pair(rest, short)? {
        (0x0021 | 0x0057, packet) => Ok(packet),
        _ => Err(Reason::LinkType),
    }
}

/// Takes MPLS labels off. What is below is not said: it is IP if it looks like it.
fn unlabelled(mut rest: &[u8], short: Reason) -> Result<&[u8], Reason> {
    loop {
        let (label, packet) = rest.split_first_chunk::<4>().ok_or(short)?;
        rest = packet;
        if label[2] & 1 == 1 {
            break;
        }
    }
    match rest.first().map(|b| b >> 4) {
        Some(4 | 6) => Ok(rest),
        Some(_) => Err(Reason::LinkType),
        None => Err(short),
    }
}

fn after(bytes: &[u8], count: usize, short: Reason) -> Result<&[u8], Reason> {
    bytes.get(count..).ok_or(short)
}

fn pair(bytes: &[u8], short: Reason) -> Result<(u16, &[u8]), Reason> {
    let (&number, rest) = bytes.split_first_chunk::<2>().ok_or(short)?;
    Ok((u16::from_be_bytes(number), rest))
}

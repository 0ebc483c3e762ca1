//! sFlow version 5 (sflow.org, "sFlow Version 5", July 2004; XDR, RFC 4506).
//!
//! **Invariant:** the books close. Every flow sample of a datagram is one flow or one loss;
//! samples of counters and of discarded packets, and samples of vendors, are passed over by
//! their length.
//!
//! A flow sample is one packet that was sampled. It has no time of its own: it was sampled
//! when it was received. The beginning of the packet is read down to the name that it asks
//! for, by the code that reads captures. The exporter is the agent that the datagram names,
//! as a proxy may have sent it.
//!
//! What is left out: sFlow before version 5, counters, and what extended records tell
//! (routes, users, NAT).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

use tidegauge_model::{Address, Flow, Instant, Protocol, Reason, Volume};

use crate::pcap;
use crate::way::is_reply;

/// Samples of one datagram: with the 8 bytes that each has at least, more do not fit.
const SAMPLES_MAX: u32 = 8_192;

/// The header of a datagram (section 5, `sample_datagram_v5`).
pub(super) struct Header<'a> {
    /// Who sampled; `None` if the datagram does not say.
    pub(super) agent: Option<Address>,
    pub(super) sub_agent: u32,
    /// Counts the datagrams of the sub-agent.
    pub(super) sequence: u32,
    samples: u32,
    rest: &'a [u8],
}

/// One sample.
pub(super) enum Sample {
    /// A packet that was sampled.
    Packet(Box<Flow>),
    /// One that could not be read.
    Lost(Reason),
    /// Something else, passed over.
    Other,
}

/// How long the datagram at the start of `bytes` is, by every length in it; `None` if it is
/// none, holds no sample, or is not all there.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let Header { samples, rest, .. } = header(bytes).ok()?;
    let mut words = Words(rest);
    let mut sample = || words.number().and(words.opaque());
    let whole = samples > 0 && (0..samples).all(|_| sample().is_some());
    whole.then(|| bytes.len() - words.0.len())
}

/// Reads the header: version, address of the agent, sub-agent, sequence, uptime, samples.
pub(super) fn header(bytes: &[u8]) -> Result<Header<'_>, Reason> {
    let mut words = Words(bytes);
    let mut number = || words.number().ok_or(Reason::Truncated);
    if number()? != 5 {
        return Err(Reason::Format);
    }
    let family = number()?;
    let agent = match family {
        0 => None,
        1 => Some(words.v4().ok_or(Reason::Truncated)?),
        2 => Some(words.v6().ok_or(Reason::Truncated)?),
        _ => return Err(Reason::Value),
    };
    let mut number = || words.number().ok_or(Reason::Truncated);
    let (sub_agent, sequence, _uptime, samples) =
        (number()?, number()?, number()?, number()?);
    if samples > SAMPLES_MAX {
        return Err(Reason::Length);
    }
    Ok(Header { agent, sub_agent, sequence, samples, rest: words.0 })
}

impl Header<'_> {
    /// Each sample, and its place in the bytes after the header. A datagram that ends early
    /// ends in one loss, and no more can be known of what it lacks than how many samples
    /// there were to be: the second value.
    pub(super) fn samples(
        &self,
        exporter: Option<Address>,
        received: Instant,
        each: &mut dyn FnMut(Sample),
    ) -> u64 {
        let mut words = Words(self.rest);
        for read in 0..self.samples {
            let (Some(format), Some(body)) = (words.number(), words.opaque()) else {
                return u64::from(self.samples - read);
            };
            each(match format {
                FLOW_SAMPLE => sample(body, false, exporter, received),
                EXPANDED_FLOW_SAMPLE => sample(body, true, exporter, received),
                _ => Sample::Other,
            });
        }
        0
    }
}

/// Data formats of samples: enterprise 0, the number in the lower 12 bits.
const FLOW_SAMPLE: u32 = 1;
const EXPANDED_FLOW_SAMPLE: u32 = 3;
/// Data formats of records of a flow sample.
const SAMPLED_HEADER: u32 = 1;
const SAMPLED_IPV4: u32 = 3;
const SAMPLED_IPV6: u32 = 4;

/// Reads the packet that a record describes.
type Read = fn(&[u8], Instant) -> Result<Flow, Reason>;

/// Reads a flow sample: the first of its records that describes the packet does, the header
/// itself before what the agent made of it.
fn sample(
    body: &[u8],
    expanded: bool,
    exporter: Option<Address>,
    received: Instant,
) -> Sample {
    let mut words = Words(body);
    // Sequence, source (a type and an index if expanded), rate, pool, drops, input and
    // output (two words each if expanded), count of records.
    let (before_rate, after_rate) = if expanded { (3, 6) } else { (2, 4) };
    let head = words.skip(before_rate).and_then(|()| {
        let rate = words.number()?;
        words.skip(after_rate)?;
        Some((rate, words.number()?))
    });
    let Some((rate, records)) = head else { return Sample::Lost(Reason::Truncated) };
    // A rate of 0 says that the agent does not sample in a way it can tell: one in one.
    let sampling = NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN);
    let mut best: Option<(u8, Result<Flow, Reason>)> = None;
    for _ in 0..records {
        let (Some(format), Some(record)) = (words.number(), words.opaque()) else {
            break;
        };
        let (rank, read): (u8, Read) = match format {
            SAMPLED_HEADER => (2, sampled_header),
            SAMPLED_IPV4 => (1, sampled_ipv4),
            SAMPLED_IPV6 => (1, sampled_ipv6),
            _ => continue,
        };
        let flow = read(record, received);
        let rank = if flow.is_ok() { rank } else { 0 };
        if best.as_ref().is_none_or(|(known, _)| rank > *known) {
            best = Some((rank, flow));
        }
    }
    match best {
        Some((_, Ok(flow))) => {
            Sample::Packet(Box::new(Flow { sampling, exporter, ..flow }))
        }
        Some((_, Err(reason))) => Sample::Lost(reason),
        // Nothing in it describes the packet.
        None => Sample::Lost(Reason::ColumnMissing),
    }
}

/// `sampled_header`: protocol, length of the frame, bytes stripped from its end, header.
fn sampled_header(record: &[u8], received: Instant) -> Result<Flow, Reason> {
    let mut words = Words(record);
    let mut number = || words.number().ok_or(Reason::Truncated);
    let (protocol, length, _stripped) = (number()?, number()?, number()?);
    let header = words.opaque().ok_or(Reason::Truncated)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX).max(header.len());
    // `header_protocol` of the specification, as link types of captures.
    let link = match protocol {
        1 => pcap::link_type::ETHERNET,
        7 => pcap::link_type::PPP,
        11 | 12 => pcap::link_type::RAW,
        _ => return Err(Reason::LinkType),
    };
    pcap::of_one_packet(link, header, length, received)
}

/// `sampled_ipv4`: length, protocol, addresses, ports, TCP flags, type of service.
fn sampled_ipv4(record: &[u8], received: Instant) -> Result<Flow, Reason> {
    let mut words = Words(record);
    let head = (words.number(), words.number(), words.v4(), words.v4());
    let (Some(length), Some(protocol), Some(source), Some(destination)) = head else {
        return Err(Reason::Truncated);
    };
    sampled_ip(&mut words, (length, protocol), (source, destination), received)
}

/// `sampled_ipv6`: the same with longer addresses, and a priority at the end.
fn sampled_ipv6(record: &[u8], received: Instant) -> Result<Flow, Reason> {
    let mut words = Words(record);
    let head = (words.number(), words.number(), words.v6(), words.v6());
    let (Some(length), Some(protocol), Some(source), Some(destination)) = head else {
        return Err(Reason::Truncated);
    };
    sampled_ip(&mut words, (length, protocol), (source, destination), received)
}

fn sampled_ip(
    words: &mut Words<'_>,
    (length, protocol): (u32, u32),
    (source, destination): (Address, Address),
    received: Instant,
) -> Result<Flow, Reason> {
    let mut number = || words.number().ok_or(Reason::Truncated);
    let (source_port, destination_port, flags) = (number()?, number()?, number()?);
    let port = |n: u32| u16::try_from(n).map_err(|_| Reason::Value);
    let (source_port, destination_port) = (port(source_port)?, port(destination_port)?);
    let protocol = Protocol(u8::try_from(protocol).map_err(|_| Reason::Value)?);
    let flags = u8::try_from(flags & 0xff).ok().filter(|_| protocol == Protocol::TCP);
    let volume = Volume { bytes: u64::from(length), packets: 1 };
    let reply = is_reply(protocol, source_port, destination_port, flags);
    let (from, to) = ((source, source_port), (destination, destination_port));
    let (opener, other) = if reply { (to, from) } else { (from, to) };
    Ok(Flow {
        originator: opener.0,
        responder: other.0,
        originator_port: opener.1,
        responder_port: other.1,
        protocol,
        start: received,
        end: received,
        sent: (!reply).then_some(volume),
        received: reply.then_some(volume),
        tcp_flags: flags,
        sampling: NonZeroU32::MIN,
        name: None,
        exporter: None,
    })
}

/// Bytes in words of 32 bits, most significant byte first (RFC 4506, 3).
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (&taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn v4(&mut self) -> Option<Address> {
        self.take::<4>().map(|octets| Ipv4Addr::from(octets).into())
    }

    fn v6(&mut self) -> Option<Address> {
        self.take::<16>().map(|octets| Ipv6Addr::from(octets).into())
    }

    /// Passes over so many words.
    fn skip(&mut self, words: usize) -> Option<()> {
        self.0 = self.0.get(words * 4..)?;
        Some(())
    }

    /// Variable-length opaque data (RFC 4506, 4.10): length, bytes, zeros up to a whole
    /// word. Some agents leave the zeros out at the end of a datagram.
    fn opaque(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (data, rest) = self.0.split_at_checked(length)?;
        let padding = length.next_multiple_of(4) - length;
        self.0 = rest.get(padding..).unwrap_or_default();
        Some(data)
    }
}

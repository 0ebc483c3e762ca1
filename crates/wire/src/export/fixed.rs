//! NetFlow v5 and v7: records of one fixed layout.
//!
//! **Invariant:** each record that the header counts is a flow or is lost.
//!
//! Cisco never published a standard; the layouts are those of "NetFlow Export Datagram
//! Format" (Cisco, NetFlow Collection Engine user guide, appendix B).

use std::num::NonZeroU32;

use tidegauge_model::{Address, Flow, Instant, Protocol, Reason, Volume};

use super::record::{Clock, OneWay};
use crate::stamp::believable;

/// The longest payload of UDP over IPv4 (RFC 768, RFC 791).
const DATAGRAM_BYTES_MAX: usize = 65_507;
/// Both versions.
const HEADER_BYTES: usize = 24;

/// How the two versions differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V5,
    V7,
}

impl Version {
    pub(super) fn record_bytes(self) -> usize {
        match self {
            Self::V5 => 48,
            Self::V7 => 52,
        }
    }
}

/// A datagram whose header was read.
pub(super) struct Datagram<'a> {
    version: Version,
    clock: Clock,
    /// The number of the first flow.
    pub(super) sequence: u32,
    pub(super) flows: u32,
    /// Engine type and id: what the sequence is of. Zero in v7.
    pub(super) engine: u32,
    /// 1 where the header says nothing.
    pub(super) sampling: NonZeroU32,
    records: &'a [u8],
}

/// How long the datagram at the start of `bytes` is, by its header.
pub(super) fn length(version: Version, bytes: &[u8]) -> Option<usize> {
    let &[_, _, count_high, count_low, ..] = bytes else { return None };
    let count = usize::from(u16::from_be_bytes([count_high, count_low]));
    Some(HEADER_BYTES + count * version.record_bytes())
}

impl<'a> Datagram<'a> {
    pub(super) fn read(
        version: Version,
        bytes: &'a [u8],
        received: Instant,
    ) -> Result<Self, Reason> {
        let (header, records) =
            bytes.split_first_chunk::<HEADER_BYTES>().ok_or(Reason::Truncated)?;
        // Version, count, uptime, seconds, nanoseconds, sequence, engine, sampling.
        let &[
            _,
            _,
            c0,
            c1,
            u0,
            u1,
            u2,
            u3,
            s0,
            s1,
            s2,
            s3,
            n0,
            n1,
            n2,
            n3,
            f0,
            f1,
            f2,
            f3,
            kind,
            id,
            r0,
            r1,
        ] = header;
        // More than a datagram can bear: the header is not to be believed.
        if length(version, bytes).is_none_or(|length| length > DATAGRAM_BYTES_MAX) {
            return Err(Reason::Value);
        }
        let nanos = u32::from_be_bytes([n0, n1, n2, n3]);
        let seconds = u32::from_be_bytes([s0, s1, s2, s3]);
        // The upper two bits are the mode of sampling; the rate is in the others.
        let rate = u32::from(u16::from_be_bytes([r0, r1]) & 0x3fff);
        let v5 = version == Version::V5;
        Ok(Self {
            version,
            clock: Clock {
                exported: Instant::from_unix(i64::from(seconds), nanos / 1_000).0,
                uptime: Some(u32::from_be_bytes([u0, u1, u2, u3])),
                init_millis: None,
                received,
            },
            sequence: u32::from_be_bytes([f0, f1, f2, f3]),
            flows: u32::from(u16::from_be_bytes([c0, c1])),
            engine: if v5 { u32::from(u16::from_be_bytes([kind, id])) } else { 0 },
            sampling: NonZeroU32::new(rate).filter(|_| v5).unwrap_or(NonZeroU32::MIN),
            records,
        })
    }

    pub(super) fn exported(&self) -> Instant {
        Instant(self.clock.exported)
    }

    /// Every record that the header counts and that is there: its offset and its flow. What
    /// is counted and not there is told by [`Self::missing`].
    pub(super) fn records(
        &self,
        exporter: Option<Address>,
    ) -> impl Iterator<Item = (usize, Result<Flow, Reason>)> {
        let length = self.version.record_bytes();
        let count = usize::try_from(self.flows).unwrap_or(0);
        self.records.chunks_exact(length).take(count).enumerate().map(
            move |(at, record)| {
                (HEADER_BYTES + at * length, self.flow(record, exporter))
            },
        )
    }

    /// How many records the header counts that are not in the datagram.
    pub(super) fn missing(&self) -> u64 {
        let there = self.records.len() / self.version.record_bytes();
        u64::from(self.flows).saturating_sub(u64::try_from(there).unwrap_or(u64::MAX))
    }

    fn flow(&self, record: &[u8], exporter: Option<Address>) -> Result<Flow, Reason> {
        let (record, _) = record.split_first_chunk::<40>().ok_or(Reason::Truncated)?;
        // Source 0, destination 4, next hop 8, interfaces 12, packets 16, bytes 20, first 24,
        // last 28, ports 32, padding or flags 36, TCP flags 37, protocol 38; type of
        // service, AS numbers and masks follow.
        let (words, _) = record.as_chunks::<4>();
        let &[source, destination, _, _, packets, octets, first, last, ports, other] =
            words
        else {
            return Err(Reason::Truncated);
        };
        let ([s0, s1, d0, d1], [_, tcp, protocol, _]) = (ports, other);
        let address = |bytes: [u8; 4]| Address::from(std::net::Ipv4Addr::from(bytes));
        let at = |millis| self.clock.at_uptime(millis).map(Instant).ok_or(Reason::Time);
        let (start, end) =
            (at(u32::from_be_bytes(first))?, at(u32::from_be_bytes(last))?);
        if end < start {
            return Err(Reason::Time);
        }
        believable(start, self.clock.received)?;
        believable(end, self.clock.received)?;
        let destination_port = u16::from_be_bytes([d0, d1]);
        let one_way = OneWay {
            source: address(source),
            destination: address(destination),
            source_port: u16::from_be_bytes([s0, s1]),
            destination_port,
            protocol: Protocol(protocol),
            start,
            end,
            tcp_flags: (protocol == Protocol::TCP.0).then_some(tcp),
            icmp: Some(u64::from(destination_port)),
            sampling: self.sampling,
            exporter,
        };
        let volume = Volume {
            bytes: u64::from(u32::from_be_bytes(octets)),
            packets: u64::from(u32::from_be_bytes(packets)),
        };
        Ok(one_way.flow(Some(volume)))
    }
}

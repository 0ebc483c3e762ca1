//! Records of nfdump 1.7: a header and extensions, each with its type and length.
//!
//! **Invariant:** an extension that is not read is passed over by its length; one whose
//! length contradicts the record is a [`Reason::Length`].

use tidegauge_model::{Address, Reason, Volume};

use super::order::Order;
use super::row::Row;

/// `recordHeaderV3_t` (`nfxV3.h`): type u16, size u16, `numElements` u16, engine type and id
/// u8, `exporterID` u16 at 8, flags u8 at 10, `nfversion` u8 at 11.
const HEADER_BYTES: usize = 12;
/// `elementHeader_t`: type u16, length u16, which counts these.
const ELEMENT_HEADER_BYTES: usize = 4;
/// `V3_FLAG_EVENT`, `V3_FLAG_SAMPLED`.
const EVENT: u8 = 1;
const SAMPLED: u8 = 2;

/// Reads a record of type `V3Record`.
pub(super) fn read<O: Order>(record: &[u8]) -> Result<Row, Reason> {
    let (header, mut rest) =
        record.split_at_checked(HEADER_BYTES).ok_or(Reason::Length)?;
    let flags = O::u8(header, 10).unwrap_or(0);
    let mut row = Row {
        exporter_id: O::u16(header, 8).unwrap_or(0),
        ipfix: O::u8(header, 11) == Some(10),
        event: flags & EVENT != 0,
        sampled: flags & SAMPLED != 0,
        ..Row::default()
    };
    while !rest.is_empty() {
        let kind = O::u16(rest, 0).ok_or(Reason::Length)?;
        let length = usize::from(O::u16(rest, 2).ok_or(Reason::Length)?);
        let (element, after) = rest.split_at_checked(length).ok_or(Reason::Length)?;
        let value = element.get(ELEMENT_HEADER_BYTES..).ok_or(Reason::Length)?;
        set::<O>(&mut row, kind, value).ok_or(Reason::Length)?;
        rest = after;
    }
    Ok(row)
}

/// Reads one extension (`nfxV3.h`, the struct named beside each); `None` if it is too short.
fn set<O: Order>(row: &mut Row, kind: u16, value: &[u8]) -> Option<()> {
    let v4 =
        |at| Some(Address::from(std::net::Ipv4Addr::from_bits(O::u32(value, at)?)));
    let v6 = |at| O::v6(value, at).map(Address::from_bits);
    match kind {
        // EXgenericFlow
        1 => generic::<O>(row, value.first_chunk()?),
        // EXipv4Flow: srcAddr u32, dstAddr u32.
        2 => ends(row, v4(0)?, v4(4)?),
        // EXipv6Flow: srcAddr u64[2], dstAddr u64[2].
        3 => ends(row, v6(0)?, v6(16)?),
        // EXflowMisc: interfaces u32 × 2, masks, dir, dstTos, biFlowDir u8 at 12.
        4 => row.biflow = O::u8(value, 12)?,
        // EXcntFlow: flows u64, outPackets u64, outBytes u64.
        5 => {
            let (packets, bytes) = (O::u64(value, 8)?, O::u64(value, 16)?);
            row.out = Volume { bytes, packets };
        }
        // EXipReceivedV4, EXipReceivedV6: the exporter.
        12 => row.exporter = Some(v4(0)?),
        13 => row.exporter = Some(v6(0)?),
        // EXsamplerInfo: selectorID u64.
        18 => row.sampler = Some(O::u64(value, 0)?),
        // EXnselCommon: msecEvent u64, connID u32, fwXevent u16, fwEvent u8 at 14.
        19 => {
            row.observed = O::u64(value, 0)?;
            row.firewall_event = O::u8(value, 14)?;
        }
        // EXnatCommon: msecEvent u64, natPoolID u32, natEvent u8 at 12. In 1.7.0, as
        // EXnelCommon, two numbers of VRF stood before the pool.
        25 => {
            row.observed = O::u64(value, 0)?;
            row.nat_event = O::u8(value, if value.len() >= 24 { 20 } else { 12 })?;
        }
        _ => {}
    }
    Some(())
}

/// Takes both ends. A record of an exporter that has room for both versions has both
/// extensions, and one of them is zero.
fn ends(row: &mut Row, source: Address, destination: Address) {
    let is_zero = |end: Address| end.ip().is_unspecified();
    if row.source.is_none() || !(is_zero(source) && is_zero(destination)) {
        (row.source, row.destination) = (Some(source), Some(destination));
    }
}

/// `EXgenericFlow_t`: msecFirst, msecLast, msecReceived, inPackets, inBytes u64; srcPort,
/// dstPort u16; proto, tcpFlags, fwdStatus, srcTos u8.
fn generic<O: Order>(row: &mut Row, value: &[u8; 48]) {
    let (words, _) = value.as_chunks::<8>();
    let &[first, last, received, packets, bytes, ports] = words else { return };
    let [s0, s1, d0, d1, protocol, tcp_flags, _, _] = ports;
    row.first = O::long(first);
    row.last = O::long(last);
    row.received = O::long(received);
    row.sent = Volume { bytes: O::long(bytes), packets: O::long(packets) };
    row.source_port = O::short([s0, s1]);
    row.destination_port = O::short([d0, d1]);
    row.protocol = protocol;
    row.tcp_flags = tcp_flags;
}

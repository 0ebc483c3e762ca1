//! Records of nfdump 1.5 and 1.6: a common part, addresses and counters whose width flags
//! tell, and extensions in the order that a map tells.
//!
//! **Invariant:** a record whose map is not known is a [`Reason::Template`]. Where a map
//! names an extension of unknown length, nothing behind it is read.

use std::collections::HashMap;

use tidegauge_model::{Address, Reason, Volume};

use super::order::Order;
use super::row::Row;

/// Flags of `common_record_t` (`nffile.h` of 1.6).
const IPV6_ADDR: u32 = 1;
const PKG_64: u32 = 2;
const BYTES_64: u32 = 4;
const EVENT: u32 = 64;
const SAMPLED: u32 = 128;

/// The three forms of the common part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `common_record_v1_t` of 1.5 (`nffile.h`): flags u32 at 0, size u16 at 4, times as
    /// below, interfaces u16 at 24 and 26, ports at 28 and 30, AS numbers; no extensions.
    V1,
    /// `CommonRecordV0Type` of 1.6: flags u8 at 4, exporter u8 at 5; data at 28.
    V0,
    /// `CommonRecordType` (10): flags u16 at 4, exporter u16 at 28; data at 32. Both: map
    /// u16 at 6, `msec_first` u16 at 8, `msec_last` u16 at 10, first u32 at 12, last u32 at
    /// 16, TCP flags u8 at 21, protocol u8 at 22, ports u16 at 24 and 26.
    V10,
}

/// What is read of the extensions of a map: where each begins, behind the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Map {
    out_packets: Option<(usize, bool)>,
    out_bytes: Option<(usize, bool)>,
    router_v4: Option<usize>,
    router_v6: Option<usize>,
    nsel: Option<usize>,
    nat: Option<usize>,
}

/// The maps of a file, by their number: at most 65,536, each of one size.
#[derive(Debug, Default)]
pub(super) struct Maps {
    known: HashMap<u16, Map>,
    /// The last one used: most records follow one of the same.
    last: Option<(u16, Map)>,
}

impl Maps {
    /// Reads `extension_map_t` (`nffile.h`): type u16, size u16, `map_id` u16,
    /// `extension_size` u16, then ids u16, up to a zero.
    pub(super) fn define<O: Order>(&mut self, record: &[u8]) -> Option<()> {
        let number = O::u16(record, 4)?;
        let mut map = Map::default();
        let mut at = 0;
        for id in record.get(8..)?.chunks_exact(2) {
            let id = O::u16(id, 0)?;
            let Some(length) = length(id).filter(|_| id != 0) else { break };
            match id {
                14 | 15 => map.out_packets = Some((at, id == 15)),
                16 | 17 => map.out_bytes = Some((at, id == 17)),
                23 => map.router_v4 = Some(at),
                24 => map.router_v6 = Some(at),
                37 => map.nsel = Some(at),
                46 => map.nat = Some(at),
                _ => {}
            }
            at += length;
        }
        self.known.insert(number, map);
        self.last = None;
        Some(())
    }

    fn get(&mut self, number: u16) -> Option<Map> {
        if let Some((_, map)) = self.last.filter(|last| last.0 == number) {
            return Some(map);
        }
        let map = *self.known.get(&number)?;
        self.last = Some((number, map));
        Some(map)
    }
}

/// The length of an extension (`nfx.c` of 1.6, `extension_descriptor`).
fn length(id: u16) -> Option<usize> {
    Some(match id {
        4 | 6 | 8 | 9 | 11 | 13 | 14 | 16 | 18 | 23 | 25 | 38 => 4,
        5 | 7 | 15 | 17 | 19 | 26 | 27 | 39 | 48 => 8,
        46 => 12,
        10 | 12 | 20 | 21 | 24 => 16,
        37 => 20,
        41 | 42 | 45 => 24,
        40 => 32,
        22 => 40,
        43 => 72,
        _ => return None,
    })
}

/// Reads a record of any of the three forms.
pub(super) fn read<O: Order>(
    form: Form,
    record: &[u8],
    maps: &mut Maps,
) -> Result<Row, Reason> {
    let (mut row, flags) = common::<O>(form, record).ok_or(Reason::Length)?;
    let data = match form {
        Form::V1 => 36,
        Form::V0 => 28,
        Form::V10 => 32,
    };
    let rest = record.get(data..).ok_or(Reason::Length)?;
    let rest = required::<O>(&mut row, flags, rest).ok_or(Reason::Length)?;
    if form != Form::V1 {
        let number = O::u16(record, 6).ok_or(Reason::Length)?;
        let map = maps.get(number).ok_or(Reason::Template)?;
        optional::<O>(&mut row, &map, rest).ok_or(Reason::Length)?;
    }
    Ok(row)
}

/// The common part, and its flags.
fn common<O: Order>(form: Form, record: &[u8]) -> Option<(Row, u32)> {
    let ports = if form == Form::V1 { 28 } else { 24 };
    let (flags, exporter) = match form {
        Form::V1 => (O::u32(record, 0)?, 0),
        Form::V0 => (u32::from(O::u8(record, 4)?), u16::from(O::u8(record, 5)?)),
        Form::V10 => (u32::from(O::u16(record, 4)?), O::u16(record, 28)?),
    };
    let millis = |seconds: usize, fraction: usize| {
        let seconds = u64::from(O::u32(record, seconds)?) * 1_000;
        Some(seconds + u64::from(O::u16(record, fraction)?))
    };
    let row = Row {
        first: millis(12, 8)?,
        last: millis(16, 10)?,
        tcp_flags: O::u8(record, 21)?,
        protocol: O::u8(record, 22)?,
        source_port: O::u16(record, ports)?,
        destination_port: O::u16(record, ports + 2)?,
        exporter_id: exporter,
        event: flags & EVENT != 0 && form != Form::V1,
        sampled: flags & SAMPLED != 0 && form != Form::V1,
        ..Row::default()
    };
    Some((row, flags))
}

/// Extensions 1 to 3, which every record has: addresses, packets, bytes. Returns what is
/// behind them.
fn required<'a, O: Order>(
    row: &mut Row,
    flags: u32,
    rest: &'a [u8],
) -> Option<&'a [u8]> {
    let mut at = if flags & IPV6_ADDR == 0 {
        let v4 =
            |at| Some(Address::from(std::net::Ipv4Addr::from_bits(O::u32(rest, at)?)));
        (row.source, row.destination) = (Some(v4(0)?), Some(v4(4)?));
        8
    } else {
        let v6 = |at| O::v6(rest, at).map(Address::from_bits);
        (row.source, row.destination) = (Some(v6(0)?), Some(v6(16)?));
        32
    };
    row.sent.packets = counter::<O>(rest, at, flags & PKG_64 != 0)?;
    at += if flags & PKG_64 == 0 { 4 } else { 8 };
    row.sent.bytes = counter::<O>(rest, at, flags & BYTES_64 != 0)?;
    at += if flags & BYTES_64 == 0 { 4 } else { 8 };
    rest.get(at..)
}

/// The extensions of a map that are read (`nffile.h` of 1.6, `tpl_ext_…`).
fn optional<O: Order>(row: &mut Row, map: &Map, rest: &[u8]) -> Option<()> {
    let out = |place: Option<(usize, bool)>| match place {
        Some((at, wide)) => counter::<O>(rest, at, wide),
        None => Some(0),
    };
    row.out = Volume { packets: out(map.out_packets)?, bytes: out(map.out_bytes)? };
    if let Some(at) = map.router_v4 {
        row.exporter = Some(std::net::Ipv4Addr::from_bits(O::u32(rest, at)?).into());
    }
    if let Some(at) = map.router_v6 {
        row.exporter = Some(Address::from_bits(O::v6(rest, at)?));
    }
    // tpl_ext_37_t: event_time u64, conn_id u32, ICMP u16, fw_event u8.
    if let Some(at) = map.nsel {
        row.observed = O::u64(rest, at)?;
        row.firewall_event = O::u8(rest, at + 14)?;
    }
    // tpl_ext_46_t: nat_event u8.
    if let Some(at) = map.nat {
        row.nat_event = O::u8(rest, at)?;
    }
    Some(())
}

fn counter<O: Order>(bytes: &[u8], at: usize, wide: bool) -> Option<u64> {
    if wide { O::u64(bytes, at) } else { O::u32(bytes, at).map(u64::from) }
}

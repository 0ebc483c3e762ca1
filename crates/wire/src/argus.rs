//! Flows of Argus as `ra` prints them with a delimiter (`ra -c ,`), and the `.binetflow`
//! files of the CTU captures, which are that.
//!
//! **Invariant:** every row is a flow, one loss, or known to be no flow of IP: management
//! records, ARP, and records whose ends are no addresses of IP. Columns are found by the
//! names in the header, in any order: those that `ra` prints (`SrcAddr`) or those that its
//! option `-s` takes (`saddr`). A header may come again and then counts from there on.
//!
//! Who opened is told by `Dir` (ra(1), "Dir"): `<-` says that the destination did, a `?`
//! that Argus does not know, and then ports and flags tell as for one-way telemetry.
//! Bytes are of whole frames, as Argus counts. Times without an offset are UTC: `ra` prints
//! those of the zone it runs in. Left out: labels, type of service, and everything else
//! that is not in [`Field`]; services by name instead of number (`ra` without `-n`).

use std::io::{self, BufRead};

use tidegauge_model::flow::tcp_flag::{ACK, FIN, PSH, RST, SYN};
use tidegauge_model::{Flow, Instant, Protocol, Reason, Volume};

use crate::join::Ends;
use crate::lines::behind_remarks;
use crate::stamp::{self, believable};
use crate::{Sink, lines, protocol, way};

/// TCP flag bits that only Argus tells here (RFC 9293, 3.1; RFC 3168, 6.1).
const URG: u8 = 0x20;
const ECE: u8 = 0x40;
const CWR: u8 = 0x80;

/// What stands between columns: what `ra -c` is used with.
const DELIMITERS: [char; 4] = [',', '\t', ';', '|'];

macro_rules! fields {
    ($($field:ident = $printed:literal | $asked:literal;)*) => {
        /// A column that is read.
        #[derive(Clone, Copy)]
        enum Field {
            $($field,)*
        }

        impl Field {
            /// By the name that `ra` prints, or the one that its option `-s` takes.
            fn named(name: &str) -> Option<Self> {
                let is = |other: &str| name.eq_ignore_ascii_case(other);
                $(if is($printed) || is($asked) {
                    return Some(Self::$field);
                })*
                None
            }
        }

        /// The values of one row; empty ones are none.
        #[derive(Default)]
        #[expect(non_snake_case, reason = "named as the fields")]
        struct Row<'a> {
            $($field: Option<&'a str>,)*
        }

        impl<'a> Row<'a> {
            fn set(&mut self, field: Field, value: &'a str) {
                let value = Some(value).filter(|value| !value.is_empty());
                match field {
                    $(Field::$field => self.$field = value,)*
                }
            }
        }
    };
}

fields! {
    Start = "StartTime" | "stime";
    Last = "LastTime" | "ltime";
    Duration = "Dur" | "dur";
    Protocol = "Proto" | "proto";
    Source = "SrcAddr" | "saddr";
    SourcePort = "Sport" | "sport";
    Direction = "Dir" | "dir";
    Destination = "DstAddr" | "daddr";
    DestinationPort = "Dport" | "dport";
    State = "State" | "state";
    Packets = "TotPkts" | "pkts";
    Bytes = "TotBytes" | "bytes";
    SourcePackets = "SrcPkts" | "spkts";
    DestinationPackets = "DstPkts" | "dpkts";
    SourceBytes = "SrcBytes" | "sbytes";
    DestinationBytes = "DstBytes" | "dbytes";
}

/// Which field each column is.
struct Header {
    delimiter: char,
    columns: Vec<Option<Field>>,
}

impl Header {
    /// The header that a line is, if it is one: it names time, protocol and both ends.
    fn read(line: &str) -> Option<Self> {
        let delimiter = line.chars().find(|c| DELIMITERS.contains(c))?;
        let columns: Vec<_> =
            line.split(delimiter).map(|name| Field::named(name.trim_ascii())).collect();
        let (mut start, mut protocol, mut source, mut destination) =
            (false, false, false, false);
        for column in columns.iter().flatten() {
            match column {
                Field::Start => start = true,
                Field::Protocol => protocol = true,
                Field::Source => source = true,
                Field::Destination => destination = true,
                _ => {}
            }
        }
        let all = start && protocol && source && destination;
        all.then_some(Self { delimiter, columns })
    }

    fn row<'a>(&self, line: &'a str) -> Result<Row<'a>, Reason> {
        let mut row = Row::default();
        let mut values = line.split(self.delimiter);
        for column in &self.columns {
            let value = values.next().ok_or(Reason::ColumnCount)?;
            if let Some(field) = column {
                row.set(*field, value.trim_ascii());
            }
        }
        if values.next().is_some() { Err(Reason::ColumnCount) } else { Ok(row) }
    }
}

impl Row<'_> {
    /// The flow of the row; `None` if it is known to be none of IP.
    fn flow(&self) -> Result<Option<Flow>, Reason> {
        let name = self.Protocol.ok_or(Reason::Value)?;
        let ends =
            (self.Source.ok_or(Reason::Value), self.Destination.ok_or(Reason::Value));
        let of_link = |end: &Result<&str, Reason>| end.is_ok_and(is_link_address);
        if matches!(name, "man" | "arp" | "rarp")
            || of_link(&ends.0)
            || of_link(&ends.1)
        {
            return Ok(None);
        }
        let protocol = match name {
            // Argus tells what it takes the payload for.
            "rtp" | "rtcp" | "udt" => Protocol::UDP,
            name => protocol::named(name).unwrap_or(protocol::UNKNOWN),
        };
        let end = |address: &str, port: Option<&str>| {
            let address = address.parse().map_err(|_| Reason::Value)?;
            Ok((address, port.map_or(Ok(0), self::port)?))
        };
        let source = end(ends.0?, self.SourcePort)?;
        let destination = end(ends.1?, self.DestinationPort)?;
        let flags = self.State.filter(|_| protocol == Protocol::TCP);
        let flags = flags.and_then(tcp_flags);
        let turned = self.is_turned(protocol, (source.1, destination.1), flags);
        let (originator, responder) =
            if turned { (destination, source) } else { (source, destination) };
        let start = instant(self.Start.ok_or(Reason::Value)?)?;
        let mut flow = Ends::new(originator, responder, protocol)?.flow(start);
        flow.end = self.end(start)?;
        flow.tcp_flags = flags;
        let (from_source, from_destination) = self.volumes()?;
        (flow.sent, flow.received) = if turned {
            (from_destination, from_source)
        } else {
            (from_source, from_destination)
        };
        Ok(Some(flow))
    }

    /// Whether the destination opened.
    fn is_turned(
        &self,
        protocol: Protocol,
        (source, destination): (u16, u16),
        flags: Option<u8>,
    ) -> bool {
        let direction = self.Direction.unwrap_or("?");
        if direction.contains('?') {
            return way::is_reply(protocol, source, destination, flags);
        }
        direction.starts_with('<') && !direction.ends_with('>')
    }

    fn end(&self, start: Instant) -> Result<Instant, Reason> {
        let end = match (self.Duration, self.Last) {
            (Some(seconds), _) => {
                let micros = stamp::decimal_micros(seconds).ok_or(Reason::Value)?;
                let micros = i64::try_from(micros).map_err(|_| Reason::Value)?;
                Instant(start.0.checked_add(micros).ok_or(Reason::Value)?)
            }
            (None, Some(last)) => instant(last)?,
            (None, None) => start,
        };
        if end < start { Err(Reason::Time) } else { Ok(end) }
    }

    /// What the source and the destination sent, as far as the row tells. Where packets or
    /// bytes of one way are not told, they follow from those of both if one way had all
    /// bytes, or each way one of two packets; else they are unknown.
    fn volumes(&self) -> Result<(Option<Volume>, Option<Volume>), Reason> {
        let bytes = split(self.Bytes, self.SourceBytes, self.DestinationBytes)?;
        let packets = split(self.Packets, self.SourcePackets, self.DestinationPackets)?;
        let packets = match (packets, bytes, count(self.Packets)?) {
            (Some(packets), ..) => Some(packets),
            (None, Some((_, 0)), Some(all)) => Some((all, 0)),
            (None, Some((0, _)), Some(all)) => Some((0, all)),
            (None, Some(_), Some(2)) => Some((1, 1)),
            _ => None,
        };
        let Some((packets, bytes)) = packets.zip(bytes) else {
            return Ok((None, None));
        };
        let volume = |packets, bytes| Some(Volume { bytes, packets });
        Ok((volume(packets.0, bytes.0), volume(packets.1, bytes.1)))
    }
}

/// What each way had, by any two of both ways, the source's and the destination's.
fn split(
    both: Option<&str>,
    source: Option<&str>,
    destination: Option<&str>,
) -> Result<Option<(u64, u64)>, Reason> {
    let rest = |all: u64, one: u64| all.checked_sub(one).ok_or(Reason::Value);
    Ok(match (count(both)?, count(source)?, count(destination)?) {
        (_, Some(source), Some(destination)) => Some((source, destination)),
        (Some(both), Some(source), None) => Some((source, rest(both, source)?)),
        (Some(both), None, Some(destination)) => {
            Some((rest(both, destination)?, destination))
        }
        _ => None,
    })
}

fn count(text: Option<&str>) -> Result<Option<u64>, Reason> {
    text.map(|text| text.parse().map_err(|_| Reason::Value)).transpose()
}

/// A port, decimal or as `0x0303`: so Argus writes those of other protocols.
fn port(text: &str) -> Result<u16, Reason> {
    let port = match text.strip_prefix("0x") {
        Some(hex) => u16::from_str_radix(hex, 16),
        None => text.parse(),
    };
    port.map_err(|_| Reason::Value)
}

/// `2019/04/04 16:24:47.672448`, the same as ISO 8601, or seconds since 1970 (`ra -u`).
fn instant(text: &str) -> Result<Instant, Reason> {
    if let Some(micros) = stamp::decimal_micros(text) {
        return i64::try_from(micros).map(Instant).map_err(|_| Reason::Time);
    }
    let at = stamp::with_slashes(text).or_else(|| stamp::iso_8601_or_utc(text));
    at.ok_or(Reason::Value)
}

/// The flags of both ways, `FSPA_SRPA`; `None` for the words that `State` else is.
fn tcp_flags(state: &str) -> Option<u8> {
    let (there, back) = state.split_once('_')?;
    let mut flags = 0;
    for letter in there.bytes().chain(back.bytes()) {
        flags |= match letter {
            b'F' => FIN,
            b'S' => SYN,
            b'R' => RST,
            b'P' => PSH,
            b'A' => ACK,
            b'U' => URG,
            b'E' => ECE,
            b'C' => CWR,
            _ => return None,
        };
    }
    Some(flags)
}

/// Whether an end is an address of a link, `00:15:17:2c:e5:2d`.
fn is_link_address(text: &str) -> bool {
    let mut parts = text.split(':');
    let hex = |part: &str| {
        part.len() <= 2
            && !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_hexdigit())
    };
    parts.by_ref().take(6).filter(|part| hex(part)).count() == 6
        && parts.next().is_none()
}

/// Whether the first line that is not blank is a header of Argus.
pub(crate) fn recognise(head: &[u8]) -> bool {
    let text = behind_remarks(head);
    let line = text.split(|b| *b == b'\n').next().map(<[u8]>::trim_ascii);
    let line = line.and_then(|line| std::str::from_utf8(line).ok());
    line.is_some_and(|line| Header::read(line).is_some())
}

/// Reads the flows of a file.
pub(crate) fn read(
    input: &mut dyn BufRead,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let mut header: Option<Header> = None;
    lines::records(input, sink, &mut |line, sink| {
        if line.starts_with('#') {
            return Ok(None);
        }
        // No row begins with a letter: each begins with a number, or a time.
        if line.starts_with(|c: char| c.is_ascii_alphabetic())
            && let Some(next) = Header::read(line)
        {
            header = Some(next);
            return Ok(None);
        }
        let header = header.as_ref().ok_or(Reason::ColumnMissing)?;
        let Some(flow) = header.row(line)?.flow()? else { return Ok(None) };
        believable(flow.start, latest)?;
        believable(flow.end, latest)?;
        let at = flow.start;
        sink.flow(flow);
        Ok(Some(at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_decimal_or_hexadecimal() {
        assert_eq!((port("443"), port("0x0303")), (Ok(443), Ok(0x0303)));
        for wrong in ["", "0x", "0x12345", "65536", "http", "-1"] {
            assert_eq!(port(wrong), Err(Reason::Value), "{wrong}");
        }
    }

    #[test]
    fn flags_are_those_of_both_ways() {
        assert_eq!(tcp_flags("FSPA_SRPA"), Some(0x1f));
        assert_eq!(tcp_flags("S_"), Some(SYN));
        assert_eq!(tcp_flags("SEC_SE"), Some(0xc2));
        for word in ["CON", "INT", "S0", "URP", "X_A"] {
            assert_eq!(tcp_flags(word), None, "{word}");
        }
    }

    #[test]
    fn addresses_of_links_are_told_from_those_of_ip() {
        assert!(is_link_address("00:15:17:2c:e5:2d"));
        assert!(is_link_address("0:15:17:2c:e5:2d"));
        for ip in ["fe80::1", "1:2:3:4:5:6:7:8", "::", "10.0.0.1", "1:2:3:4:5:", ""] {
            assert!(!is_link_address(ip), "{ip}");
        }
    }

    #[test]
    fn a_way_that_is_not_told_follows_only_where_it_must() {
        let volumes = |all: (&'static str, &'static str), source: &'static str| {
            let row = Row {
                Packets: Some(all.0),
                Bytes: Some(all.1),
                SourceBytes: Some(source),
                ..Row::default()
            };
            let packets = |v: Option<Volume>| v.map(|v| (v.packets, v.bytes));
            row.volumes().map(|(there, back)| (packets(there), packets(back)))
        };
        assert_eq!(volumes(("7", "900"), "900"), Ok((Some((7, 900)), Some((0, 0)))));
        assert_eq!(volumes(("7", "900"), "0"), Ok((Some((0, 0)), Some((7, 900)))));
        assert_eq!(volumes(("2", "900"), "60"), Ok((Some((1, 60)), Some((1, 840)))));
        assert_eq!(volumes(("3", "900"), "60"), Ok((None, None)));
        assert_eq!(volumes(("3", "900"), "901"), Err(Reason::Value));
    }
}

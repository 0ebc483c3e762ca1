//! Flow logs of AWS as text: VPC flow logs of every version and transit gateway flow logs,
//! with a header line (fields in any order) or without one (the default of version 2); also
//! with the time that `aws logs` puts before each line, and as the JSON of a CloudWatch
//! Logs subscription.
//!
//! **Invariant:** every record is a flow, a loss, or `NODATA`. The fields are those of
//! "Flow log records" in the Amazon VPC User Guide.
//!
//! A record is of one direction. The addresses are those of the packet (`pkt-srcaddr`,
//! `pkt-dstaddr`) where they are told: at a NAT or transit gateway `srcaddr` and `dstaddr`
//! are the gateway's own. What a gateway then sends under its own address is a record like
//! any other. A rejected record has nothing received: nobody was served. What is left out:
//! the identifiers of AWS (account, interface, instance, zone) and why packets were dropped.

use std::io::{self, BufRead};
use std::num::NonZeroU32;

use serde::Deserialize;
use tidegauge_model::flow::tcp_flag::{ACK, SYN};
use tidegauge_model::{Address, Day, Flow, Instant, Loss, Protocol, Reason, Volume};

use crate::Sink;
use crate::lines::{Lines, behind_remarks};
use crate::stamp::{believable, iso_8601};
use crate::way::is_reply;

/// What a flow has whose protocol the record does not tell: reserved by IANA.
const PROTOCOL_UNKNOWN: Protocol = Protocol(255);

/// The default format (version 2), which files without a header have.
const DEFAULT: &str = "version account-id interface-id srcaddr dstaddr srcport dstport \
                       protocol packets bytes start end action log-status";

/// The fields that are read; every other one is passed over.
#[derive(Clone, Copy)]
enum Field {
    Source,
    Destination,
    PacketSource,
    PacketDestination,
    SourcePort,
    DestinationPort,
    Protocol,
    Packets,
    Bytes,
    Start,
    End,
    Action,
    Flags,
    Status,
}

/// How many fields are read.
const FIELDS: usize = 14;

impl Field {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "srcaddr" => Self::Source,
            "dstaddr" => Self::Destination,
            "pkt-srcaddr" => Self::PacketSource,
            "pkt-dstaddr" => Self::PacketDestination,
            "srcport" => Self::SourcePort,
            "dstport" => Self::DestinationPort,
            "protocol" => Self::Protocol,
            "packets" => Self::Packets,
            "bytes" => Self::Bytes,
            "start" => Self::Start,
            "end" => Self::End,
            "action" => Self::Action,
            "tcp-flags" => Self::Flags,
            "log-status" => Self::Status,
            _ => return None,
        })
    }

    fn place(self) -> usize {
        match self {
            Self::Source => 0,
            Self::Destination => 1,
            Self::PacketSource => 2,
            Self::PacketDestination => 3,
            Self::SourcePort => 4,
            Self::DestinationPort => 5,
            Self::Protocol => 6,
            Self::Packets => 7,
            Self::Bytes => 8,
            Self::Start => 9,
            Self::End => 10,
            Self::Action => 11,
            Self::Flags => 12,
            Self::Status => 13,
        }
    }
}

/// Names that only flow logs of AWS have. Each table of one has some of them.
const OF_AWS: [&str; 8] = [
    "account-id",
    "interface-id",
    "log-status",
    "pkt-srcaddr",
    "pkt-dstaddr",
    "vpc-id",
    "flow-direction",
    "tgw-id",
];

/// The columns that are read of a table that holds such a log, each with the name of its
/// field in a header of text; `None` if it holds none. In tables AWS writes `_` for `-`.
pub fn table<'c>(columns: &[&'c str]) -> Option<Vec<(&'c str, String)>> {
    let named: Vec<(&str, String)> =
        columns.iter().map(|column| (*column, column.replace('_', "-"))).collect();
    let has = |names: &[&str]| {
        names.iter().all(|name| named.iter().any(|(_, field)| field == name))
    };
    let ends = has(&["srcaddr", "dstaddr"]) || has(&["pkt-srcaddr", "pkt-dstaddr"]);
    let ours = OF_AWS.iter().any(|name| has(&[name]));
    let read = |(_, name): &(&str, String)| Field::named(name).is_some();
    (ends && ours && has(&["start"])).then(|| named.into_iter().filter(read).collect())
}

/// Which field each column is.
struct Header {
    columns: Vec<Option<Field>>,
    has: [bool; FIELDS],
}

impl Header {
    /// The header that a line is, if it is one: nothing but names of fields, among them
    /// both addresses.
    fn read(line: &str) -> Option<Self> {
        let name = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && text.starts_with(|c: char| c.is_ascii_lowercase())
        };
        if !line.split_ascii_whitespace().all(name) {
            return None;
        }
        let columns: Vec<_> = line.split_ascii_whitespace().map(Field::named).collect();
        let mut has = [false; FIELDS];
        for field in columns.iter().flatten() {
            *has.get_mut(field.place())? = true;
        }
        let header = Self { columns, has };
        let ends = header.has(Field::Source) && header.has(Field::Destination);
        let packet =
            header.has(Field::PacketSource) && header.has(Field::PacketDestination);
        (ends || packet).then_some(header)
    }

    fn has(&self, field: Field) -> bool {
        self.has.get(field.place()).copied().unwrap_or(false)
    }

    fn row<'a>(&self, line: &'a str) -> Result<Row<'a>, Reason> {
        let mut row = Row { values: [None; FIELDS] };
        let mut values = line.split_ascii_whitespace();
        for column in &self.columns {
            let value = values.next().ok_or(Reason::ColumnCount)?;
            if let Some(field) = column
                && value != "-"
                && let Some(cell) = row.values.get_mut(field.place())
            {
                *cell = Some(value);
            }
        }
        if values.next().is_some() { Err(Reason::ColumnCount) } else { Ok(row) }
    }
}

/// The values of one record; `-` is none.
struct Row<'a> {
    values: [Option<&'a str>; FIELDS],
}

impl<'a> Row<'a> {
    fn text(&self, field: Field) -> Option<&'a str> {
        self.values.get(field.place()).copied().flatten()
    }

    fn number<T: std::str::FromStr>(&self, field: Field) -> Result<Option<T>, Reason> {
        let read = |text: &str| text.parse().map_err(|_| Reason::Value);
        self.text(field).map(read).transpose()
    }

    fn address(&self, packet: Field, interface: Field) -> Result<Address, Reason> {
        let text = self.text(packet).or_else(|| self.text(interface));
        text.ok_or(Reason::Value)?.parse().map_err(|_| Reason::Value)
    }

    fn instant(&self, field: Field) -> Result<Option<Instant>, Reason> {
        let Some(seconds) = self.number::<u32>(field)? else { return Ok(None) };
        Ok(Some(Instant::from_unix(i64::from(seconds), 0)))
    }

    fn volume(&self) -> Result<Option<Volume>, Reason> {
        let bytes = self.number(Field::Bytes)?;
        let volume = bytes.zip(self.number(Field::Packets)?);
        Ok(volume.map(|(bytes, packets)| Volume { bytes, packets }))
    }

    fn flow(&self, latest: Instant) -> Result<Flow, Reason> {
        let source = self.address(Field::PacketSource, Field::Source)?;
        let destination = self.address(Field::PacketDestination, Field::Destination)?;
        let ports = (
            self.number(Field::SourcePort)?.unwrap_or(0),
            self.number(Field::DestinationPort)?.unwrap_or(0),
        );
        let protocol = self.number(Field::Protocol)?;
        let protocol = protocol.map_or(PROTOCOL_UNKNOWN, Protocol);
        let start = self.instant(Field::Start)?.ok_or(Reason::Value)?;
        let end = self.instant(Field::End)?.unwrap_or(start);
        believable(start, latest)?;
        believable(end, latest)?;
        if end < start {
            return Err(Reason::Time);
        }
        let flags = self.number::<u8>(Field::Flags)?;
        let flags = flags.filter(|_| protocol == Protocol::TCP);
        // "ACK is reported only when it's accompanied with SYN" (Available fields,
        // tcp-flags), and a record is of one direction: both are the responder's.
        let syn_ack = flags.is_some_and(|flags| flags & (SYN | ACK) == SYN | ACK);
        let back = syn_ack || is_reply(protocol, ports.0, ports.1, flags);
        let volume = self.volume()?;
        let rejected = self.text(Field::Action) == Some("REJECT");
        let ((originator, originator_port), (responder, responder_port)) = if back {
            ((destination, ports.1), (source, ports.0))
        } else {
            ((source, ports.0), (destination, ports.1))
        };
        if !originator.is_unicast() {
            return Err(Reason::Address);
        }
        Ok(Flow {
            originator,
            responder,
            originator_port,
            responder_port,
            protocol,
            start,
            end,
            sent: volume.filter(|_| !back),
            received: volume.filter(|_| back && !rejected),
            tcp_flags: flags,
            sampling: NonZeroU32::MIN,
            name: None,
            exporter: None,
        })
    }
}

/// What CloudWatch Logs sends to a subscriber ("Real-time processing of log data with
/// subscriptions", Amazon CloudWatch Logs User Guide).
#[derive(Deserialize)]
struct Subscription {
    #[serde(rename = "messageType")]
    kind: String,
    #[serde(rename = "logEvents", default)]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    message: String,
}

/// Whether the head of an input is such a log: by its first line that is no remark.
pub(crate) fn recognise(head: &[u8]) -> bool {
    let text = behind_remarks(head);
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line.trim_ascii()) else { return false };
    if line.starts_with('{') {
        return subscriptions(line).next().is_some_and(|first| {
            first.is_ok_and(|subscription| {
                let mut events = subscription.events.iter();
                subscription.kind == "DATA_MESSAGE"
                    && events.any(|event| recognise_line(&event.message))
            })
        });
    }
    recognise_line(line)
}

fn recognise_line(line: &str) -> bool {
    let line = without_stamp(line);
    if Header::read(line).is_some() {
        return true;
    }
    let Some(header) = Header::read(DEFAULT) else { return false };
    let mut values = line.split_ascii_whitespace();
    let version = values.next() == Some("2");
    let interface = values.nth(1).is_some_and(|eni| eni.starts_with("eni-"));
    let status = values.next_back();
    let status = matches!(status, Some("OK" | "NODATA" | "SKIPDATA"));
    version && interface && status && header.row(line).is_ok()
}

/// The line without the time that `aws logs tail` and exports to S3 put before it.
fn without_stamp(line: &str) -> &str {
    let line = line.trim_ascii();
    match line.split_once(' ') {
        Some((stamp, rest)) if iso_8601(stamp).is_some() => rest,
        _ => line,
    }
}

fn subscriptions(
    line: &str,
) -> impl Iterator<Item = serde_json::Result<Subscription>> + use<'_> {
    serde_json::Deserializer::from_str(line).into_iter()
}

/// Reads a log.
pub(crate) fn read(
    input: &mut dyn BufRead,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let mut lines = Lines::new(input);
    let mut reading = Reading { header: Header::read(DEFAULT), latest, day: None };
    while let Some(line) = lines.next()? {
        let mut lost = |reason, day| {
            let at = Loss::at(line.offset, reason);
            sink.loss(Loss { line: Some(line.number), day, ..at });
        };
        let text = match line.bytes.map(std::str::from_utf8) {
            Some(Ok(text)) => text.trim_ascii(),
            Some(Err(_)) => {
                lost(Reason::Syntax, reading.day);
                continue;
            }
            None => {
                lost(Reason::Limit, reading.day);
                continue;
            }
        };
        if !text.starts_with('{') {
            match reading.record(text) {
                Ok(Some(flow)) => sink.flow(flow),
                Ok(None) => {}
                Err(Reason::ColumnCount) if !line.ended => {
                    lost(Reason::Truncated, reading.day);
                }
                Err(reason) => lost(reason, reading.day),
            }
            continue;
        }
        for subscription in subscriptions(text) {
            let Ok(subscription) = subscription else {
                let cut = if line.ended { Reason::Syntax } else { Reason::Truncated };
                sink.loss(Loss {
                    line: Some(line.number),
                    day: reading.day,
                    ..Loss::at(line.offset, cut)
                });
                break;
            };
            // The other kind asks whether the subscriber is there.
            let told = subscription.kind == "DATA_MESSAGE";
            for event in subscription.events.iter().filter(|_| told) {
                match reading.record(&event.message) {
                    Ok(Some(flow)) => sink.flow(flow),
                    Ok(None) => {}
                    Err(reason) => sink.loss(Loss {
                        line: Some(line.number),
                        day: reading.day,
                        ..Loss::at(line.offset, reason)
                    }),
                }
            }
        }
    }
    Ok(())
}

struct Reading {
    header: Option<Header>,
    latest: Instant,
    day: Option<Day>,
}

impl Reading {
    /// The flow of a line; `None` for a header, a blank line, a remark and `NODATA`.
    fn record(&mut self, line: &str) -> Result<Option<Flow>, Reason> {
        let line = without_stamp(line);
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        if line.starts_with(|c: char| c.is_ascii_lowercase())
            && let Some(header) = Header::read(line)
        {
            self.header = Some(header);
            return Ok(None);
        }
        let header = self.header.as_ref().ok_or(Reason::ColumnMissing)?;
        let row = header.row(line)?;
        if !header.has(Field::Start) {
            return Err(Reason::ColumnMissing);
        }
        match row.text(Field::Status) {
            Some("NODATA") => Ok(None),
            // "Some flow log records were skipped": how many, nobody knows.
            Some("SKIPDATA") => {
                let start = row.instant(Field::Start)?;
                let start = start.filter(|at| believable(*at, self.latest).is_ok());
                self.day = start.map(Instant::day).or(self.day);
                Err(Reason::Gap)
            }
            _ => {
                let flow = row.flow(self.latest)?;
                self.day = Some(flow.start.day());
                Ok(Some(flow))
            }
        }
    }
}

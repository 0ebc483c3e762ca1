//! One event: the fields that are read here, and the flow that it tells.
//!
//! **Invariant:** a direction has a [`Volume`] only if the event tells its packets and its
//! bytes.

use serde::Deserialize;
use tidegauge_model::{Flow, Instant, Protocol, Reason, Volume};

use super::dns::Dns;
use crate::cell::Cell;
use crate::join::{self, Ends};
use crate::protocol;
use crate::scan::{Known, Scan};

/// An event of a type that is read. Keys that are not here are passed over. An event has
/// one of the larger parts at most, so they are boxed: events are moved.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Event<'a> {
    #[serde(borrow)]
    pub(super) timestamp: Cell<'a>,
    #[serde(borrow)]
    flow_id: Cell<'a>,
    #[serde(borrow)]
    src_ip: Cell<'a>,
    #[serde(borrow)]
    src_port: Cell<'a>,
    #[serde(borrow)]
    dest_ip: Cell<'a>,
    #[serde(borrow)]
    dest_port: Cell<'a>,
    #[serde(borrow)]
    proto: Cell<'a>,
    #[serde(borrow)]
    flow: Option<Box<BothWays<'a>>>,
    #[serde(borrow)]
    netflow: Option<Box<OneWay<'a>>>,
    #[serde(borrow)]
    tcp: Option<Tcp<'a>>,
    #[serde(borrow)]
    pub(super) dns: Option<Box<Dns<'a>>>,
    #[serde(borrow)]
    pub(super) tls: Option<Tls<'a>>,
    #[serde(borrow)]
    pub(super) quic: Option<Tls<'a>>,
    #[serde(borrow)]
    pub(super) http: Option<Box<Http<'a>>>,
    /// The event itself, where this is the object of who shipped it.
    #[serde(rename = "event", borrow)]
    inside: Option<Box<Self>>,
}

/// Event type Flow. What was bypassed is in the counts already.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct BothWays<'a> {
    #[serde(borrow)]
    pkts_toserver: Cell<'a>,
    #[serde(borrow)]
    pkts_toclient: Cell<'a>,
    #[serde(borrow)]
    bytes_toserver: Cell<'a>,
    #[serde(borrow)]
    bytes_toclient: Cell<'a>,
    #[serde(borrow)]
    start: Cell<'a>,
    #[serde(borrow)]
    end: Cell<'a>,
}

/// Event type Netflow: one way of a flow, with the times of both.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct OneWay<'a> {
    #[serde(borrow)]
    pkts: Cell<'a>,
    #[serde(borrow)]
    bytes: Cell<'a>,
    #[serde(borrow)]
    start: Cell<'a>,
    #[serde(borrow)]
    end: Cell<'a>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Tcp<'a> {
    /// The union of flags, two hexadecimal digits.
    #[serde(borrow)]
    tcp_flags: Cell<'a>,
}

/// Event types TLS and QUIC.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Tls<'a> {
    #[serde(borrow)]
    pub(super) sni: Cell<'a>,
}

/// Event type HTTP. `hostname` has no port; `http_port` has it.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Http<'a> {
    #[serde(borrow)]
    pub(super) hostname: Cell<'a>,
    #[serde(borrow)]
    pub(super) url: Cell<'a>,
    #[serde(rename = "http_method", borrow)]
    pub(super) method: Cell<'a>,
}

impl<'a> Event<'a> {
    /// Reads an event that is written plainly, as Suricata writes nearly all, into a new one;
    /// others are to be parsed. Events are large: they are better not moved.
    pub(super) fn scan(&mut self, line: &'a str) -> Option<()> {
        let mut scan = Scan::new(line);
        let event = self;
        scan.object(|scan, key| match key {
            "timestamp" => scan.keep(&mut event.timestamp),
            "flow_id" => scan.keep(&mut event.flow_id),
            "src_ip" => scan.keep(&mut event.src_ip),
            "src_port" => scan.keep(&mut event.src_port),
            "dest_ip" => scan.keep(&mut event.dest_ip),
            "dest_port" => scan.keep(&mut event.dest_port),
            "proto" => scan.keep(&mut event.proto),
            "flow" => once(&mut event.flow, BothWays::scanned(scan).map(Box::new)),
            "netflow" => once(&mut event.netflow, OneWay::scanned(scan).map(Box::new)),
            "tcp" => once(&mut event.tcp, Tcp::scanned(scan)),
            "dns" => once(&mut event.dns, Dns::scanned(scan).map(Box::new)),
            "tls" => once(&mut event.tls, Tls::scanned(scan)),
            "quic" => once(&mut event.quic, Tls::scanned(scan)),
            "http" => once(&mut event.http, Http::scanned(scan).map(Box::new)),
            // Of who shipped it.
            "event" => None,
            _ => Some(Known::No),
        })?;
        scan.end()
    }
}

/// Keeps a part that was read, of a key that is there once.
fn once<T>(part: &mut Option<T>, read: Option<T>) -> Option<Known> {
    if part.is_some() {
        return None;
    }
    *part = Some(read?);
    Some(Known::Yes)
}

/// Parts that are objects of cells.
macro_rules! scanned {
    ($part:ident: $($key:literal => $field:ident),*) => {
        impl<'a> $part<'a> {
            fn scanned(scan: &mut Scan<'a>) -> Option<Self> {
                let mut part = Self::default();
                scan.object(|scan, key| match key {
                    $($key => scan.keep(&mut part.$field),)*
                    _ => Some(Known::No),
                })?;
                Some(part)
            }
        }
    };
}

scanned! { BothWays:
    "pkts_toserver" => pkts_toserver,
    "pkts_toclient" => pkts_toclient,
    "bytes_toserver" => bytes_toserver,
    "bytes_toclient" => bytes_toclient,
    "start" => start,
    "end" => end
}
scanned! { OneWay: "pkts" => pkts, "bytes" => bytes, "start" => start, "end" => end }
scanned! { Tcp: "tcp_flags" => tcp_flags }
scanned! { Tls: "sni" => sni }
scanned! { Http: "hostname" => hostname, "url" => url, "http_method" => method }

impl Event<'_> {
    /// The event inside the object of who shipped it, which has no `timestamp`.
    pub(super) fn inner(mut self) -> Self {
        let outer = self.timestamp == Cell::Absent;
        match self.inside.take().filter(|_| outer) {
            Some(event) => *event,
            None => self,
        }
    }

    /// Source and destination, as originator and responder.
    pub(super) fn ends(&self) -> Result<Ends, Reason> {
        let port = |cell: &Cell<'_>| {
            // Protocols without ports tell none.
            let port = cell.count()?.unwrap_or(0);
            u16::try_from(port).map_err(|_| Reason::Value)
        };
        let source = (self.src_ip.address()?, port(&self.src_port)?);
        let destination = (self.dest_ip.address()?, port(&self.dest_port)?);
        let told = protocol::named(self.proto.needed_text()?);
        Ends::new(source, destination, told.unwrap_or(protocol::UNKNOWN))
    }

    /// The key of the flow that the event is of. `flow_id` alone would not do: Suricata
    /// up to 3 wrote an address in memory there, and later ones 48 bits made of ports,
    /// addresses and a time. An event without one stands for itself.
    pub(super) fn key(&self, ends: &Ends, at: Instant) -> Result<u64, Reason> {
        let source = (ends.originator, ends.originator_port);
        let destination = (ends.responder, ends.responder_port);
        // Events of the way back may be told from there.
        let both = (source.min(destination), source.max(destination));
        let id = self.flow_id.count()?.ok_or(at);
        Ok(join::key(("flow_id", id, both, ends.protocol)))
    }

    /// The flow of a `flow` event.
    pub(super) fn flow(&self) -> Result<(u64, Flow), Reason> {
        let part = self.flow.as_ref().ok_or(Reason::ColumnMissing)?;
        let (key, mut flow) = self.between(&part.start, &part.end)?;
        flow.sent = volume(&part.pkts_toserver, &part.bytes_toserver)?;
        flow.received = volume(&part.pkts_toclient, &part.bytes_toclient)?;
        Ok((key, flow))
    }

    /// The flow of a `netflow` event: what its source sent.
    pub(super) fn netflow(&self) -> Result<(u64, Flow), Reason> {
        let part = self.netflow.as_ref().ok_or(Reason::ColumnMissing)?;
        let (key, mut flow) = self.between(&part.start, &part.end)?;
        flow.sent = volume(&part.pkts, &part.bytes)?;
        Ok((key, flow))
    }

    fn between(&self, start: &Cell<'_>, end: &Cell<'_>) -> Result<(u64, Flow), Reason> {
        let ends = self.ends()?;
        let at = |cell: &Cell<'_>| match cell {
            Cell::Absent | Cell::Unset => Ok(None),
            cell => cell.instant().map(Some),
        };
        let start = match at(start)? {
            Some(start) => start,
            None => self.timestamp.instant()?,
        };
        let mut flow = ends.flow(start);
        flow.end = at(end)?.unwrap_or(start);
        if flow.end < flow.start {
            return Err(Reason::Time);
        }
        if let Some(tcp) = self.tcp.as_ref().filter(|_| ends.protocol == Protocol::TCP)
        {
            let flags = tcp.tcp_flags.text()?;
            let flags = flags.map(|hex| u8::from_str_radix(hex, 16));
            flow.tcp_flags = flags.transpose().map_err(|_| Reason::Value)?;
        }
        Ok((self.key(&ends, start)?, flow))
    }
}

fn volume(packets: &Cell<'_>, bytes: &Cell<'_>) -> Result<Option<Volume>, Reason> {
    let told = bytes.count()?.zip(packets.count()?);
    Ok(told.map(|(bytes, packets)| Volume { bytes, packets }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: &str = r#""timestamp":"2019-01-01T00:10:00.000000+0000","flow_id":7,
        "src_ip":"10.0.0.1","src_port":4000,"dest_ip":"192.0.2.1","dest_port":443"#;

    fn flow(rest: &str) -> Result<(u64, Flow), Reason> {
        let line = format!("{{{ENDS},{rest}}}");
        serde_json::from_str::<Event<'_>>(&line).map_err(|_| Reason::Syntax)?.flow()
    }

    #[test]
    fn a_flow_has_volumes_times_and_flags() {
        let (_, flow) = flow(
            r#""proto":"TCP","app_proto":"tls","vlan":[10,20],"flow":{"pkts_toserver":3,
            "pkts_toclient":2,"bytes_toserver":300,"bytes_toclient":200,
            "start":"2019-01-01T01:00:00.000000+0100","end":"2019-01-01T00:00:01.500000Z",
            "age":1,"state":"closed"},"tcp":{"tcp_flags":"1b","syn":true}"#,
        )
        .unwrap();
        assert_eq!(flow.sent, Some(Volume { bytes: 300, packets: 3 }));
        assert_eq!(flow.received, Some(Volume { bytes: 200, packets: 2 }));
        assert_eq!(flow.start.day().to_string(), "2019-01-01");
        assert_eq!(flow.end.0 - flow.start.0, 1_500_000);
        assert_eq!(flow.tcp_flags, Some(0x1b));
    }

    #[test]
    fn what_is_not_told_is_unknown() {
        let (_, flow) = flow(r#""proto":"047","flow":{"pkts_toserver":3}"#).unwrap();
        assert_eq!((flow.sent, flow.received, flow.tcp_flags), (None, None, None));
        assert_eq!((flow.start, flow.end), (flow.end, flow.start));
        assert_eq!(flow.start.day().to_string(), "2019-01-01");
        assert_eq!(flow.protocol, Protocol(47));
    }

    #[test]
    fn wrong_values_lose_the_event() {
        assert_eq!(flow(r#""proto":"TCP""#), Err(Reason::ColumnMissing));
        assert_eq!(flow(r#""flow":{}"#), Err(Reason::ColumnMissing));
        let bad = |rest: &str| flow(&format!(r#""proto":"TCP",{rest}"#)).unwrap_err();
        assert_eq!(bad(r#""flow":{"start":"yesterday"}"#), Reason::Value);
        assert_eq!(bad(r#""flow":{"end":"2018-12-31T00:00:00.0+0000"}"#), Reason::Time);
        assert_eq!(
            bad(r#""flow":{"pkts_toserver":-1,"bytes_toserver":0}"#),
            Reason::Value
        );
        assert_eq!(bad(r#""flow":{},"tcp":{"tcp_flags":"xx"}"#), Reason::Value);
    }

    #[test]
    fn a_key_is_of_both_ways_of_one_flow() {
        let key = |line: &str| {
            let event: Event<'_> = serde_json::from_str(line).unwrap();
            event.key(&event.ends().unwrap(), Instant(1)).unwrap()
        };
        let there = format!(r#"{{{ENDS},"proto":"TCP"}}"#);
        let back = r#"{"flow_id":7,"src_ip":"192.0.2.1","src_port":443,
            "dest_ip":"10.0.0.1","dest_port":4000,"proto":"TCP"}"#;
        assert_eq!(key(&there), key(back));
        for other in [
            there.replace("\"flow_id\":7", "\"flow_id\":8"),
            there.replace("\"flow_id\":7", "\"flow\":null"),
            there.replace("4000", "4001"),
            there.replace("TCP", "UDP"),
        ] {
            assert_ne!(key(&there), key(&other), "{other}");
        }
    }
}

//! Suricata's EVE log, JSON lines or an array of events: `flow`, `netflow`, `dns`, `tls`, `quic` and `http`
//! events, joined by `flow_id` ([`crate::join`]).
//!
//! ```text
//! line ─► event ┬─ flow, netflow ───────► a flow with its volumes ──┐
//!               └─ dns, tls, quic, http ► a name, a DNS answer ─────┴─► join, by flow_id
//! ```
//!
//! **Invariant:** every line is parsed in exactly one pass and gives a record, one
//! [`tidegauge_model::Loss`], or is known to tell of nothing that is kept: events of other
//! types (`alert`, `stats`, `fileinfo`, `anomaly` …), if they are whole.
//!
//! Fields are those of "Eve JSON Format" in the Suricata User Guide. Left out: what
//! Suricata thinks of a flow (`app_proto`, `state`, `alerted`), where it was seen (`vlan`,
//! `in_iface`, `host`), `community_id`, and the outer packets of a tunnel (`tunnel`): the
//! addresses of an event are those inside. Bytes are of whole frames, as Suricata counts.
//! AWS Network Firewall writes the same events, each as `event` in an object of its own.

mod dns;
mod event;
mod halves;

use std::io::{self, BufRead};

use serde::Deserialize;
use serde::de::IgnoredAny;
use tidegauge_model::{Instant, Loss, NameOrigin, Reason};

use crate::cell::Cell;
use crate::join::{Answered, Join, Named, requested};
use crate::object::early_text;
use crate::stamp::{believable, iso_8601_or_utc};
use crate::{Sink, objects, way};
use dns::Chains;
use event::Event;
use halves::Halves;

/// What an event tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Flow,
    Netflow,
    Dns,
    Tls,
    Quic,
    Http,
    /// Nothing that is kept.
    Other,
    /// Nobody can tell: the line is damaged, or no event.
    Unknown,
}

/// The key that every event has, for events that have something nested before it, or that
/// are inside an object of who shipped them.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    event_type: Cell<'a>,
    #[serde(borrow, default)]
    event: Option<Box<Head<'a>>>,
}

impl Kind {
    fn of(line: &[u8]) -> Self {
        let object = object(line);
        if let Some(name) = early_text(object, "event_type") {
            return std::str::from_utf8(name).map_or(Self::Unknown, Self::named);
        }
        let head = serde_json::from_slice::<Head<'_>>(object);
        let Ok(head) = head else { return Self::Unknown };
        let inner = head.event.as_deref().filter(|_| head.event_type == Cell::Absent);
        let name = inner.unwrap_or(&head).event_type.needed_text();
        name.map_or(Self::Unknown, Self::named)
    }

    fn named(event_type: &str) -> Self {
        match event_type {
            "flow" => Self::Flow,
            "netflow" => Self::Netflow,
            "dns" => Self::Dns,
            "tls" => Self::Tls,
            "quic" => Self::Quic,
            "http" => Self::Http,
            _ => Self::Other,
        }
    }

    /// Whether the first pass reads such a line; the second reads all others.
    fn names(self) -> bool {
        matches!(self, Self::Dns | Self::Tls | Self::Quic | Self::Http)
    }
}

/// The object of a line. Suricata can put `@cee: ` before each, for syslog.
fn object(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"@cee:").map_or(line, <[u8]>::trim_ascii_start)
}

/// Whether one of the first lines, or elements of an array, is an event of Suricata: it tells its time and type, and
/// what is of that type or between whom it was.
pub(crate) fn recognise(head: &[u8]) -> bool {
    let told = |line: &[u8]| {
        let Ok(line) = std::str::from_utf8(object(line.trim_ascii())) else {
            return false;
        };
        line.starts_with('{') && line.contains("\"event_type\"") && is_event(line)
    };
    head.split(|b| *b == b'\n').any(told) || objects::has_element(head, told)
}

fn is_event(line: &str) -> bool {
    use serde_json::Value;
    let Ok(Value::Object(object)) = serde_json::from_str(line) else { return false };
    let inner = object.get("event").and_then(Value::as_object);
    let inner = inner.filter(|_| !object.contains_key("event_type"));
    let object = inner.unwrap_or(&object);
    let text = |key| object.get(key).and_then(Value::as_str);
    let timed = text("timestamp").is_some_and(|at| iso_8601_or_utc(at).is_some());
    let Some(of_type) = text("event_type") else { return false };
    let of_type = object.get(of_type).is_some_and(Value::is_object);
    let between = ["src_ip", "dest_ip", "proto"].into_iter().all(|k| text(k).is_some());
    timed && (of_type || between)
}

/// The first pass: holds the names of events, and emits the answers of DNS.
pub(crate) fn names(
    join: &mut Join,
    input: &mut dyn BufRead,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let mut chains = Chains::default();
    let mine = |line: &[u8]| Some(Kind::of(line)).filter(|kind| kind.names());
    objects::records_of(input, sink, mine, |kind, line, sink| {
        let event = parse::<Event<'_>>(line)?.inner();
        let at = event.timestamp.instant()?;
        believable(at, latest)?;
        match kind {
            Kind::Dns => hear_dns(&event, at, &mut chains, join, sink)?,
            kind => join.hear(&named(kind, &event, at)?, None, sink)?,
        }
        Ok(Some(at))
    })
}

/// The name of an event of TLS, QUIC or HTTP.
fn named<'a>(
    kind: Kind,
    event: &'a Event<'_>,
    at: Instant,
) -> Result<Named<'a>, Reason> {
    let ends = event.ends()?;
    let key = event.key(&ends, at)?;
    let (host, origin, request) = if kind == Kind::Http {
        let http = event.http.as_ref().ok_or(Reason::ColumnMissing)?;
        let (method, target) = (http.method.text()?, http.url.text()?);
        let (host, origin) = requested(method, target, http.hostname.text()?);
        (host, origin, method.zip(target))
    } else {
        let part = if kind == Kind::Tls { &event.tls } else { &event.quic };
        let part = part.as_ref().ok_or(Reason::ColumnMissing)?;
        (part.sni.text()?, NameOrigin::TlsSni, None)
    };
    Ok(Named { key, ends, at, host, origin, request })
}

fn hear_dns(
    event: &Event<'_>,
    at: Instant,
    chains: &mut Chains,
    join: &mut Join,
    sink: &mut dyn Sink,
) -> Result<(), Reason> {
    let dns = event.dns.as_ref().ok_or(Reason::ColumnMissing)?;
    let mut ends = event.ends()?;
    let key = event.key(&ends, at)?;
    let ports = (ends.originator_port, ends.responder_port);
    if dns.is_answer()? && way::is_reply(ends.protocol, ports.0, ports.1, None) {
        ends = ends.turned()?;
    }
    let told = dns.told(key, chains)?;
    let named = Named {
        key,
        ends,
        at,
        host: told.host.as_deref(),
        origin: NameOrigin::DnsQuestion,
        request: None,
    };
    let answered = told.answered.map(|(addresses, ttl_seconds)| Answered {
        addresses,
        ttl_seconds,
        at,
    });
    join.hear(&named, answered, sink)
}

/// The second pass: emits flows, and the losses of lines that are no events.
pub(crate) fn flows(
    join: &mut Join,
    input: &mut dyn BufRead,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let mut halves = Halves::default();
    let mine = |line: &[u8]| Some(Kind::of(line)).filter(|kind| !kind.names());
    objects::records_of(input, sink, mine, |kind, line, sink| {
        if !matches!(kind, Kind::Flow | Kind::Netflow) {
            parse::<IgnoredAny>(line)?;
            // An object without a type, or what is no object at all.
            let told = kind == Kind::Other;
            return if told { Ok(None) } else { Err(Reason::ColumnMissing) };
        }
        let event = parse::<Event<'_>>(line)?.inner();
        let (key, flow) = match kind {
            Kind::Flow => event.flow()?,
            _ => event.netflow()?,
        };
        believable(flow.start, latest)?;
        believable(flow.end, latest)?;
        let at = flow.start;
        let told = match kind {
            Kind::Flow => halves.flow(key).then_some((key, flow)),
            _ => halves.half(key, flow),
        };
        if let Some((key, flow)) = told {
            join.closed(key, flow, sink)?;
        }
        Ok(Some(at))
    })?;
    for (key, flow) in halves.rest() {
        if let Err(reason) = join.closed(key, flow, sink) {
            // Of the batch, not of a line.
            sink.loss(Loss::at(0, reason));
        }
    }
    Ok(())
}

fn parse<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, Reason> {
    let object = line.strip_prefix("@cee:").map_or(line, str::trim_ascii_start);
    serde_json::from_str(object)
        .map_err(|error| if error.is_data() { Reason::Value } else { Reason::Syntax })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: &str = r#""timestamp":"2021-06-06T15:59:46.457984+0200""#;

    #[test]
    fn events_are_told_by_their_type_wherever_it_stands() {
        let kind = |rest: &str| Kind::of(format!("{{{COMMON},{rest}}}").as_bytes());
        assert_eq!(kind(r#""event_type":"flow""#), Kind::Flow);
        assert_eq!(kind(r#""vlan":[7],"event_type":"dns""#), Kind::Dns);
        assert_eq!(kind(r#""x":{"event_type":"dns"},"event_type":"tls""#), Kind::Tls);
        assert_eq!(kind(r#""event_type":"alert""#), Kind::Other);
        assert_eq!(kind(r#""event":{"event_type":"dns"}"#), Kind::Dns);
        assert_eq!(kind(r#""event":{},"event_type":"tls""#), Kind::Tls);
        assert_eq!(kind(r#""event_type":7"#), Kind::Unknown);
        assert_eq!(Kind::of(br#"@cee: {"event_type":"http"}"#), Kind::Http);
        assert_eq!(Kind::of(br#"{"event":"flow""#), Kind::Unknown);
    }

    #[test]
    fn what_suricata_does_not_write_is_not_recognised() {
        let told = |rest: &str| recognise(format!("{{{COMMON}{rest}}}\n").as_bytes());
        assert!(told(r#","event_type":"stats","stats":{"uptime":8}"#));
        let between = r#","src_ip":"10.0.0.1","dest_ip":"10.0.0.2","proto":"TCP""#;
        assert!(told(&format!(r#","event_type":"drop"{between}"#)));
        assert!(!told(r#","event_type":"page_view","user":"7""#));
        assert!(!told(between));
        assert!(!recognise(br#"{"ts":1,"event_type":"flow","flow":{}}"#));
        assert!(!recognise(b"\"event_type\"\n\xff\n[{\"event_type\":\"flow\"}]"));
        let event = format!(r#"{{{COMMON},"event_type":"flow","flow":{{}}}}"#);
        assert!(recognise(format!("[\n{{}},\n {event}]").as_bytes()));
    }
}

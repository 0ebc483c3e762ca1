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
//! AWS Network Firewall writes the same events, each as `event` in an object of its own;
//! Filebeat and others ship each line as the text `message` of an object.

mod dns;
mod event;
mod halves;
mod split;

use std::io::{self, BufRead};

use serde::Deserialize;
use serde::de::IgnoredAny;
use tidegauge_model::{Instant, Loss, NameOrigin, Reason};

use crate::cell::Cell;
use crate::join::{Answered, Join, Named, requested};
use crate::object::early_text;
use crate::scan::is_json;
use crate::stamp::{believable, iso_8601_or_utc};
use crate::{Sink, objects, way};
use dns::Chains;
use event::Event;
use halves::Halves;
use split::Kinds;
pub(crate) use split::Split;

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
    /// The line as it was read, where Filebeat and others shipped it as a text.
    #[serde(borrow, default)]
    message: Cell<'a>,
}

impl Head<'_> {
    /// The object that was shipped as a text.
    fn shipped(&self) -> Option<&str> {
        let message = self.message.text().ok().flatten();
        let message = message.filter(|text| text.trim_start().starts_with('{'));
        message.filter(|_| self.event_type == Cell::Absent)
    }
}

impl Kind {
    /// Of a line, and whether its type stands early: then it is no line that ships another.
    fn of(line: &[u8]) -> (Self, bool) {
        let object = object(line);
        match early_text(object, "event_type").map(std::str::from_utf8) {
            Some(Ok(name)) => (Self::named(name), true),
            Some(Err(_)) => (Self::Unknown, true),
            None => (Self::parsed(object), false),
        }
    }

    fn parsed(object: &[u8]) -> Self {
        let head = serde_json::from_slice::<Head<'_>>(object);
        let Ok(head) = head else { return Self::Unknown };
        if let Some(line) = head.shipped() {
            let head = serde_json::from_str::<Head<'_>>(line.trim());
            let head = head.ok().filter(|head| head.shipped().is_none());
            let name = head.as_ref().and_then(|head| head.event_type.text().ok()?);
            return name.map_or(Self::Unknown, Self::named);
        }
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

/// The line that another one ships as a text.
fn shipped(line: &str) -> Option<String> {
    let object = object(line.as_bytes());
    if early_text(object, "event_type").is_some() {
        return None;
    }
    let head: Head<'_> = serde_json::from_slice(object).ok()?;
    head.shipped().map(|message| message.trim().to_owned())
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
        line.starts_with('{') && line.contains("event_type") && is_event(line)
    };
    head.split(|b| *b == b'\n').any(told) || objects::has_element(head, told)
}

fn is_event(line: &str) -> bool {
    use serde_json::Value;
    if let Some(message) = shipped(line) {
        return shipped(&message).is_none() && is_event(&message);
    }
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
    split: &mut Split,
    input: &mut dyn BufRead,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let mut chains = Chains::default();
    let kinds = Kinds::default();
    let mine = |line: &[u8]| {
        let of = Kind::of(line);
        kinds.see(of.0);
        Some(of).filter(|(kind, _)| kind.names())
    };
    objects::records_of(input, sink, mine, |(kind, early), line, sink| {
        let message = if early { None } else { shipped(line) };
        let mut event = Event::default();
        read_event(&mut event, message.as_deref().unwrap_or(line))?;
        let at = event.timestamp.instant()?;
        believable(at, latest)?;
        match kind {
            Kind::Dns => hear_dns(&event, at, &mut chains, join, sink)?,
            kind => join.hear(&named(kind, &event, at)?, None, sink)?,
        }
        Ok(Some(at))
    })?;
    split.input(&kinds);
    Ok(())
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
    split: &mut Split,
    input: &mut dyn BufRead,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let mut halves = Halves::default();
    let mine = |line: &[u8]| Some(Kind::of(line)).filter(|(kind, _)| !kind.names());
    objects::records_of(input, sink, mine, |(kind, early), line, sink| {
        if !matches!(kind, Kind::Flow | Kind::Netflow) {
            if !is_json(without_cookie(line)) {
                parse::<IgnoredAny>(line)?;
            }
            // An object without a type, or what is no object at all.
            let told = kind == Kind::Other;
            return if told { Ok(None) } else { Err(Reason::ColumnMissing) };
        }
        let message = if early { None } else { shipped(line) };
        let mut event = Event::default();
        read_event(&mut event, message.as_deref().unwrap_or(line))?;
        let (key, flow) = match kind {
            Kind::Flow => event.flow()?,
            _ => event.netflow()?,
        };
        believable(flow.start, latest)?;
        believable(flow.end, latest)?;
        let at = flow.start;
        let told = if kind == Kind::Flow {
            split.tell(key, &flow);
            halves.flow(key).then_some((key, flow))
        } else {
            let told = halves.half(key, flow);
            told.and_then(|(key, flow)| split.hold(key, flow))
        };
        if let Some((key, flow)) = told {
            join.closed(key, flow, sink)?;
        }
        Ok(Some(at))
    })?;
    let mut result = Ok(());
    let rest = halves.rest().filter_map(|(key, flow)| split.hold(key, flow));
    for (key, flow) in rest {
        result = join.closed(key, flow, sink).and(result);
    }
    if let Err(reason) = join.settle(sink).and(result) {
        // Of the batch, not of a line.
        sink.loss(Loss::at(0, reason));
    }
    Ok(())
}

/// Reads the event of a line into a new one.
fn read_event<'a>(event: &mut Event<'a>, line: &'a str) -> Result<(), Reason> {
    if event.scan(without_cookie(line)).is_none() {
        *event = parse::<Event<'_>>(line)?.inner();
    }
    Ok(())
}

fn without_cookie(line: &str) -> &str {
    line.strip_prefix("@cee:").map_or(line, str::trim_ascii_start)
}

fn parse<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, Reason> {
    serde_json::from_str(without_cookie(line))
        .map_err(|error| if error.is_data() { Reason::Value } else { Reason::Syntax })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEYS: &[&str] = &[
        "timestamp",
        "flow_id",
        "src_ip",
        "src_port",
        "dest_ip",
        "dest_port",
        "proto",
        "flow",
        "netflow",
        "tcp",
        "dns",
        "tls",
        "quic",
        "http",
        "event",
        "pkts_toserver",
        "bytes_toclient",
        "start",
        "end",
        "pkts",
        "bytes",
        "tcp_flags",
        "sni",
        "hostname",
        "url",
        "http_method",
        "type",
        "id",
        "rrname",
        "rrtype",
        "ttl",
        "rdata",
        "queries",
        "answers",
        "other",
    ];

    fn scanned(line: &str) -> Option<Event<'_>> {
        let mut event = Event::default();
        event.scan(line).map(|()| event)
    }

    /// Keys of events and their parts, and values of every type.
    fn objects() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            (0u64..100_000).prop_map(|n| n.to_string()),
            Just("-7".to_owned()),
            Just("1.5e3".to_owned()),
            Just("18446744073709551616".to_owned()),
            "\"[0-9a-z.:]{0,16}\"",
            Just(r#""a\u0062\/""#.to_owned()),
        ];
        let key = prop::sample::select(KEYS);
        scalar.prop_recursive(4, 60, 8, move |inner| {
            let member =
                (key.clone(), inner.clone()).prop_map(|(k, v)| format!("\"{k}\":{v}"));
            prop_oneof![
                1 => prop::collection::vec(inner, 0..4)
                    .prop_map(|all| format!("[{}]", all.join(","))),
                4 => prop::collection::vec(member, 0..8)
                    .prop_map(|all| format!("{{{}}}", all.join(","))),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn what_is_scanned_is_what_a_parser_reads(line in objects()) {
            if let Some(event) = scanned(&line) {
                prop_assert_eq!(Ok(event), parse::<Event<'_>>(&line), "{}", line);
            }
        }
    }

    #[test]
    fn what_suricata_writes_is_scanned() {
        let flow = r#"{"timestamp":"2024-04-01T00:00:00.250000+0000","flow_id":7,
            "event_type":"flow","vlan":[7],"src_ip":"198.18.0.1","src_port":1,
            "dest_ip":"203.0.113.5","dest_port":443,"proto":"TCP","flow":{
            "pkts_toserver":12,"bytes_toserver":1500,"start":"x","age":0.5,"alerted":false},
            "tcp":{"tcp_flags":"1b","syn":true},"metadata":{"a":[{"b":"\"c\""}]}}"#;
        assert_eq!(scanned(flow), parse(flow).ok());
        let dns = r#"{"dns":{"type":"answer","id":1,"rrname":"a","answers":[
            {"rrname":"a","rrtype":"A","ttl":60,"rdata":"192.0.2.1"},{}],"queries":[]}}"#;
        let event = scanned(dns);
        assert!(event.is_some());
        assert_eq!(event, parse(dns).ok());
        for odd in
            [r#"{"flow_id":7,"flow_id":8}"#, r#"{"event":{}}"#, r#"{"proto":["a"]}"#]
        {
            assert_eq!(scanned(odd), None, "{odd}");
        }
    }

    const COMMON: &str = r#""timestamp":"2021-06-06T15:59:46.457984+0200""#;

    #[test]
    fn events_are_told_by_their_type_wherever_it_stands() {
        let kind = |rest: &str| Kind::of(format!("{{{COMMON},{rest}}}").as_bytes()).0;
        assert_eq!(kind(r#""event_type":"flow""#), Kind::Flow);
        assert_eq!(kind(r#""vlan":[7],"event_type":"dns""#), Kind::Dns);
        assert_eq!(kind(r#""x":{"event_type":"dns"},"event_type":"tls""#), Kind::Tls);
        assert_eq!(kind(r#""event_type":"alert""#), Kind::Other);
        assert_eq!(kind(r#""event":{"event_type":"dns"}"#), Kind::Dns);
        assert_eq!(kind(r#""event":{},"event_type":"tls""#), Kind::Tls);
        assert_eq!(kind(r#""event_type":7"#), Kind::Unknown);
        assert_eq!(Kind::of(br#"@cee: {"event_type":"http"}"#).0, Kind::Http);
        assert_eq!(Kind::of(br#"{"event":"flow""#).0, Kind::Unknown);
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

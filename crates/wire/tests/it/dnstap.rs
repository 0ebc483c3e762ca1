//! dnstap: streams that others wrote, streams made here, and any bytes.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::process::Command;

use domain::base::iana::{OptionCode, Rtype};
use domain::base::{MessageBuilder, Name, Ttl};
use domain::dep::octseq::OctetsBuilder;
use domain::rdata::A;
use proptest::prelude::*;
use prost::Message as _;
use tidegauge_model::vantage::Clients;
use tidegauge_model::{Answer, Flow, Instant, Loss, NameOrigin, Reason, Resolution};
use tidegauge_wire::dns::dnstap::{CONTENT_TYPE, FRAME_BYTES_MAX, Stream};
use tidegauge_wire::{Format, Sink};

use crate::batch::{Batch, LATEST};

/// What came out of a stream, in order.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    flows: Vec<Flow>,
    answers: Vec<Answer>,
    resolutions: Vec<Resolution>,
    losses: Vec<Loss>,
    replies: Vec<u8>,
    refused: Option<(u64, Reason)>,
}

impl Sink for Heard {
    fn flow(&mut self, flow: Flow) {
        assert!(flow.start <= flow.end);
        self.flows.push(flow);
    }
    fn answer(&mut self, answer: Answer) {
        assert!(!answer.addresses.is_empty());
        self.answers.push(answer);
    }
    fn resolution(&mut self, resolution: Resolution) {
        assert!(resolution.first <= resolution.last && resolution.count > 0);
        self.resolutions.push(resolution);
    }
    fn loss(&mut self, loss: Loss) {
        self.losses.push(loss);
    }
}

fn hear<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, clients: Clients) -> Heard {
    let mut heard = Heard::default();
    let mut stream = Stream::new(clients);
    for piece in pieces {
        match stream.push(piece, LATEST, &mut heard) {
            Ok(reply) => heard.replies.extend(reply),
            Err(refused) => heard.refused = Some((refused.offset, refused.reason)),
        }
    }
    stream.finish(&mut heard);
    heard
}

/// `Dnstap` and `Message` as dnstap.proto has them, written apart from the decoder's.
#[derive(Clone, PartialEq, prost::Message)]
struct Outer {
    #[prost(bytes = "vec", optional, tag = "1")]
    identity: Option<Vec<u8>>,
    #[prost(message, optional, tag = "14")]
    message: Option<Inner>,
    #[prost(uint32, tag = "15")]
    kind: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Inner {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(uint32, optional, tag = "2")]
    socket_family: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    socket_protocol: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    query_address: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    response_address: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "6")]
    query_port: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    response_port: Option<u32>,
    #[prost(uint64, optional, tag = "8")]
    query_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "9")]
    query_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "10")]
    query: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "12")]
    response_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "13")]
    response_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "14")]
    response: Option<Vec<u8>>,
}

/// Message types of dnstap.proto.
mod kind {
    pub(super) const AUTH_QUERY: u32 = 1;
    pub(super) const RESOLVER_QUERY: u32 = 3;
    pub(super) const RESOLVER_RESPONSE: u32 = 4;
    pub(super) const CLIENT_QUERY: u32 = 5;
    pub(super) const CLIENT_RESPONSE: u32 = 6;
    pub(super) const TOOL_QUERY: u32 = 11;
}

/// 2025-01-01T00:00:00Z.
const SECOND: u64 = 1_735_689_600;

/// A query for an address of `host`, with the client's network if told, and its answer.
fn dialogue(id: u16, host: &str, subnet: Option<[u8; 8]>) -> (Vec<u8>, Vec<u8>) {
    let name: Name<Vec<u8>> = host.parse().unwrap();
    let mut query = MessageBuilder::new_vec().question();
    query.header_mut().set_id(id);
    query.push((name.clone(), Rtype::A)).unwrap();
    let mut query = query.additional();
    if let Some(option) = subnet {
        let code = OptionCode::CLIENT_SUBNET;
        let length = u16::try_from(option.len()).unwrap();
        query
            .opt(|opt| opt.push_raw_option(code, length, |to| to.append_slice(&option)))
            .unwrap();
    }
    let mut answer = MessageBuilder::new_vec().question();
    answer.header_mut().set_id(id);
    answer.header_mut().set_qr(true);
    answer.push((name.clone(), Rtype::A)).unwrap();
    let mut answer = answer.answer();
    answer.push((name, Ttl::from_secs(60), A::from_octets(203, 0, 113, 9))).unwrap();
    (query.finish(), answer.finish())
}

/// A message about `host` from 192.0.2.7:4321, a second for each identifier.
fn message(kind: u32, id: u16, host: &str, subnet: Option<[u8; 8]>) -> Inner {
    let (query, response) = dialogue(id, host, subnet);
    let second = Some(SECOND + u64::from(id));
    let is_response = kind.is_multiple_of(2);
    Inner {
        kind,
        socket_family: Some(1),
        socket_protocol: Some(1),
        query_address: Some(vec![192, 0, 2, 7]),
        response_address: Some(vec![192, 0, 2, 53]),
        query_port: Some(4321),
        response_port: Some(53),
        query_sec: second,
        query_nsec: Some(500_000),
        query: (!is_response).then_some(query),
        response_sec: second.filter(|_| is_response),
        response_nsec: Some(900_000).filter(|_| is_response),
        response: is_response.then_some(response),
    }
}

fn frame(message: &Inner) -> Vec<u8> {
    let outer = Outer { identity: None, message: Some(message.clone()), kind: 1 }
        .encode_to_vec();
    data(&outer)
}

fn data(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn control(kind: u8, content: bool) -> Vec<u8> {
    let mut fields = vec![0, 0, 0, kind];
    if content {
        fields.extend([0, 0, 0, 1]);
        fields.extend(data(CONTENT_TYPE));
    }
    [&[0; 4][..], &data(&fields)].concat()
}

fn file(messages: &[Inner]) -> Vec<u8> {
    let frames: Vec<_> = messages.iter().flat_map(frame).collect();
    [control(2, true), frames, control(3, false)].concat()
}

#[test]
fn a_question_and_its_answer_are_one_contact() {
    use kind::{CLIENT_QUERY, CLIENT_RESPONSE};
    let query = |id| message(CLIENT_QUERY, id, "Upd.Example.COM", None);
    let response = |id| message(CLIENT_RESPONSE, id, "upd.example.com", None);
    let all = [query(1), response(1), response(2), query(2), query(3), response(4)];
    let batch = Batch::decode(&[file(&all)]);
    assert_eq!(batch.formats, [Some(Format::Dnstap)]);
    assert_eq!((batch.losses.len(), batch.resolutions.len()), (0, 0));
    let starts: Vec<_> = batch.flows.iter().map(|f| f.start.0 % 60_000_000).collect();
    assert_eq!(starts, [1_000_500, 2_000_500, 3_000_500, 4_000_500]);
    for flow in &batch.flows {
        let name = flow.name.as_ref().unwrap();
        assert_eq!(name.origin, NameOrigin::DnsQuestion);
        assert_eq!(&*name.host, "upd.example.com");
        let ends = [flow.originator, flow.responder].map(|a| a.to_string());
        assert_eq!(ends, ["192.0.2.7", "192.0.2.53"]);
        assert_eq!((flow.originator_port, flow.responder_port), (4321, 53));
        assert_eq!((flow.sent, flow.received), (None, None), "no volume is told");
    }
    let answers: Vec<_> = batch.answers.iter().map(|a| a.at.0 % 60_000_000).collect();
    assert_eq!(answers, [1_000_900, 2_000_900, 4_000_900]);
    assert_eq!(batch.answers[0].addresses, ["203.0.113.9".parse().unwrap()]);
}

#[test]
fn a_resolver_is_no_client() {
    use kind::{AUTH_QUERY, CLIENT_QUERY, RESOLVER_QUERY, RESOLVER_RESPONSE};
    // Family 1 (IPv4), 24 bits told, scope 0, then the bytes of the network and padding.
    let whole = Some([0, 1, 32, 0, 198, 51, 100, 7]);
    let host = "upd.example.com";
    let all = [
        message(RESOLVER_QUERY, 1, host, None),
        message(RESOLVER_RESPONSE, 1, host, None),
        message(AUTH_QUERY, 2, host, whole),
        message(CLIENT_QUERY, 3, host, whole),
    ];
    let heard = hear([&file(&all)[..]], Clients::Hosts);
    let told = |heard: &Heard| -> Vec<_> {
        let network = |r: &Resolution| r.client.map(|p| p.to_string());
        heard.resolutions.iter().map(network).collect()
    };
    let network = Some("198.51.100.0/24".to_owned());
    assert_eq!(told(&heard), [None, network.clone()], "a network, never an address");
    assert_eq!((heard.flows.len(), heard.losses.len()), (1, 0));
    assert_eq!(
        heard.flows[0].originator.to_string(),
        "192.0.2.7",
        "who asked, not ECS"
    );
    assert!(heard.answers.is_empty());

    let behind = hear([&file(&all)[..]], Clients::Resolvers);
    assert_eq!(told(&behind), [None, network.clone(), network]);
    assert!(behind.flows.is_empty() && behind.answers.is_empty());
}

#[test]
fn what_cannot_be_used_is_one_loss() {
    let good = || message(kind::CLIENT_QUERY, 1, "upd.example.com", None);
    let with = |change: fn(&mut Inner)| {
        let mut message = good();
        change(&mut message);
        frame(&message)
    };
    let broken = [
        (data(&[0xff; 9]), Reason::Syntax),
        (
            data(&Outer { kind: 1, ..Outer::default() }.encode_to_vec()),
            Reason::ColumnMissing,
        ),
        (data(&Outer { kind: 2, ..Outer::default() }.encode_to_vec()), Reason::Value),
        (with(|m| m.kind = 99), Reason::Value),
        (with(|m| m.query_sec = None), Reason::Time),
        (with(|m| m.query_sec = Some(1)), Reason::Time),
        (with(|m| m.query_sec = Some(u64::MAX)), Reason::Time),
        (with(|m| m.query_nsec = Some(1_000_000_000)), Reason::Time),
        (with(|m| m.query = None), Reason::ColumnMissing),
        (with(|m| m.query = Some(vec![0; 11])), Reason::Value),
        (with(|m| m.query.as_mut().unwrap().truncate(20)), Reason::Value),
        (with(|m| m.query_address = Some(vec![1, 2, 3])), Reason::Value),
        (with(|m| m.query_port = Some(65_536)), Reason::Value),
    ];
    let quiet = [
        with(|m| m.kind = kind::TOOL_QUERY),
        // A notice (opcode 4), and a query that asks nothing.
        with(|m| m.query.as_mut().unwrap()[2] = 4 << 3),
        with(|m| m.query.as_mut().unwrap()[5] = 0),
    ];
    let before = control(2, true);
    for (bad, reason) in &broken {
        let stream = [&before[..], bad, &frame(&good()), &control(3, false)].concat();
        let heard = hear([&stream[..]], Clients::Hosts);
        let losses: Vec<_> =
            heard.losses.iter().map(|l| (l.offset, l.reason)).collect();
        assert_eq!(losses, [(42, *reason)]);
        assert_eq!((heard.flows.len(), heard.refused), (1, None), "{reason}");
    }
    let stream = [&before[..], &quiet.concat(), &control(3, false)].concat();
    assert_eq!(hear([&stream[..]], Clients::Hosts), Heard::default());
}

#[test]
fn a_stranger_is_refused_with_one_loss() {
    let long = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_be_bytes();
    let streams = [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), 0, Reason::Limit),
        ([&control(2, true)[..], &long].concat(), 42, Reason::Limit),
    ];
    for (stream, offset, reason) in streams {
        let heard = hear([&stream[..], b"more"], Clients::Hosts);
        assert_eq!(heard.refused, Some((offset, reason)));
        assert_eq!(heard.losses, [Loss::at(offset, reason)]);
    }
    let cut = [&control(2, true)[..], &[0, 0, 0, 9, 1]].concat();
    let heard = hear([&cut[..]], Clients::Hosts);
    assert_eq!(heard.losses, [Loss::at(42, Reason::Truncated)]);
}

/// A connection says READY; it is accepted, and its end is acknowledged.
#[test]
fn a_connection_is_answered() {
    let messages = [message(kind::CLIENT_QUERY, 1, "upd.example.com", None)];
    let stream = [control(4, true), file(&messages)].concat();
    let exporter = "192.0.2.99".parse().unwrap();
    let mut heard = Heard::default();
    let mut tap = Stream::new(Clients::Hosts).from_exporter(exporter);
    for piece in stream.chunks(7) {
        assert!(!tap.is_stopped());
        let reply = tap.push(piece, LATEST, &mut heard).unwrap();
        heard.replies.extend(reply);
    }
    assert!(tap.is_stopped());
    assert_eq!(heard.replies, [control(1, true), control(5, false)].concat());
    assert_eq!(heard.flows[0].exporter, Some(exporter));
}

/// Against `dnstap-ldns` of Debian, which its author wrote as the reference reader.
#[test]
fn a_real_stream_tells_what_the_reference_reader_tells() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/dns/dns-collector/dnstap.fstrm"
    );
    let Ok(bytes) = std::fs::read(path) else {
        println!("SKIPPED a_real_stream_tells…: shared data folder absent");
        return;
    };
    let batch = Batch::decode(&[bytes]);
    assert_eq!((batch.flows.len(), batch.answers.len()), (1, 1));
    assert!(batch.losses.is_empty() && batch.resolutions.is_empty());
    let Ok(output) = Command::new("dnstap-ldns").args(["-q", "-r", path]).output()
    else {
        println!("SKIPPED the comparison: dnstap-ldns is not installed");
        return;
    };
    let told = String::from_utf8(output.stdout).unwrap();
    let query = told.lines().find(|l| l.contains(" CQ ")).unwrap();
    let flow = &batch.flows[0];
    assert!(query.contains(&format!(" {} UDP ", flow.originator)), "{query}");
    assert!(query.contains(&format!("\"{}.\"", flow.name.as_ref().unwrap().host)));
    // dnstap-ldns writes local time; the tests of the house run in UTC.
    let at = |instant: Instant| format!("{} ", instant.day());
    assert!(query.starts_with(&at(flow.start)), "{query}");
    assert!(query.contains(&format!(".{:06} ", flow.start.0 % 1_000_000)), "{query}");
    assert_eq!(batch.answers[0].addresses, ["216.58.213.68".parse().unwrap()]);
    assert_eq!(batch.answers[0].ttl_seconds, 273);
}

/// `fstrm_replay` of the library's authors sends a file over a Unix socket, both ways: it
/// waits to be accepted before it starts, and for the end to be acknowledged.
#[test]
fn the_reference_writer_is_content_with_the_replies() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/dns/unbound.fstrm");
    let latest = Instant(LATEST.0 * 2);
    let folder = std::env::temp_dir().join(format!("tidegauge-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("tap.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let writer = Command::new("fstrm_replay")
        .args(["-t", "protobuf:dnstap.Dnstap", "-r", path, "-u"])
        .arg(&socket)
        .spawn();
    let Ok(mut writer) = writer else {
        println!("SKIPPED the_reference_writer…: fstrm_replay is not installed");
        std::fs::remove_dir_all(&folder).unwrap();
        return;
    };
    let (mut peer, _) = listener.accept().unwrap();
    let (mut heard, mut stream) = (Heard::default(), Stream::new(Clients::Hosts));
    let mut bytes = [0; 1000];
    loop {
        let length = peer.read(&mut bytes).unwrap();
        if length == 0 {
            break;
        }
        let reply = stream.push(&bytes[..length], latest, &mut heard).unwrap();
        peer.write_all(&reply).unwrap();
    }
    stream.finish(&mut heard);
    assert!(stream.is_stopped());
    assert!(writer.wait().unwrap().success());
    std::fs::remove_dir_all(&folder).unwrap();
    let file = std::fs::read(path).unwrap();
    let mut from_file = Heard::default();
    let mut stream = Stream::new(Clients::Hosts);
    stream.push(&file, latest, &mut from_file).unwrap();
    assert_eq!(heard, from_file);
    assert_eq!((heard.flows.len(), heard.losses.len()), (9, 0));
}

fn made() -> impl Strategy<Value = Vec<u8>> {
    let message = (1..16_u32, 0..4_u16, 0..2_usize).prop_map(|(kind, id, host)| {
        frame(&message(kind, id, ["a.example", "b.example"][host], None))
    });
    let noise = proptest::collection::vec(any::<u8>(), 1..40).prop_map(|b| data(&b));
    let frames = prop_oneof![4 => message, 1 => noise];
    (any::<bool>(), proptest::collection::vec(frames, 0..12)).prop_map(
        |(both, frames)| {
            let ready = if both { control(4, true) } else { Vec::new() };
            [ready, control(2, true), frames.concat(), control(3, false)].concat()
        },
    )
}

proptest! {
    #[test]
    fn how_a_stream_is_cut_changes_nothing(
        mut stream in made(),
        cuts in proptest::collection::vec(1..200_usize, 1..20),
        damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        if let Some((at, value)) = damage {
            let at = at.index(stream.len());
            stream[at] = value;
        }
        let whole = hear([&stream[..]], Clients::Hosts);
        let (mut pieces, mut rest) = (Vec::new(), &stream[..]);
        for length in cuts.iter().cycle() {
            let (piece, behind) = rest.split_at((*length).min(rest.len()));
            pieces.push(piece);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        let mut cut = hear(pieces, Clients::Hosts);
        if whole.refused.is_some() {
            // What was said before the breach is said in a piece of its own.
            cut.replies.clear();
        }
        prop_assert_eq!(whole, cut);
    }

    #[test]
    fn any_bytes_close_their_books(
        frames in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 1..60), 0..20),
    ) {
        let bytes: Vec<_> = frames.iter().flat_map(|f| data(f)).collect();
        let stream = [control(2, true), bytes].concat();
        let heard = hear([&stream[..]], Clients::Hosts);
        let told = heard.flows.len() + heard.resolutions.len() + heard.losses.len();
        prop_assert!(told <= frames.len());
        prop_assert_eq!(heard.refused, None);
    }

    #[test]
    fn any_bytes_are_read_without_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let heard = hear([&bytes[..]], Clients::Hosts);
        prop_assert!(heard.losses.len() <= 1);
    }
}

//! Captures made here, one quirk each. The packets are built by `etherparse`, which the
//! decoder does not use.

use std::io::{self, BufRead, Read};

use etherparse::PacketBuilder;
use proptest::prelude::*;
use tidegauge_model::flow::tcp_flag::{ACK, FIN, RST, SYN};
use tidegauge_model::{
    Answer, Flow, Instant, Loss, NameOrigin, Protocol, Reason, Volume,
};
use tidegauge_wire::{Sink, pcap};

/// 2024-06-20T12:00:00Z, in seconds.
const NOON: u32 = 1_718_884_800;
/// A day after it.
const LATEST: Instant = Instant(1_718_971_200_000_000);

const CLIENT: [u8; 4] = [192, 0, 2, 1];
const SERVER: [u8; 4] = [198, 51, 100, 7];
const ETHERNET: u32 = 1;
const RAW: u32 = 101;

#[derive(Default, Debug, PartialEq)]
struct Collected {
    flows: Vec<Flow>,
    answers: Vec<Answer>,
    losses: Vec<Loss>,
}

impl Sink for Collected {
    fn flow(&mut self, flow: Flow) {
        self.flows.push(flow);
    }
    fn answer(&mut self, answer: Answer) {
        self.answers.push(answer);
    }
    fn loss(&mut self, loss: Loss) {
        self.losses.push(loss);
    }
}

impl Collected {
    fn packets(&self) -> usize {
        let volumes = self.flows.iter().flat_map(|f| [f.sent, f.received]);
        volumes.flatten().map(|v| usize::try_from(v.packets).unwrap()).sum()
    }

    fn reasons(&self) -> Vec<Reason> {
        self.losses.iter().map(|l| l.reason).collect()
    }

    fn hosts(&self) -> Vec<&str> {
        self.flows.iter().filter_map(|f| Some(&*f.name.as_ref()?.host)).collect()
    }
}

fn decode(input: &mut dyn BufRead) -> Collected {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).unwrap();
    decode_from(&mut &*bytes, &mut &*bytes)
}

fn decode_from(first: &mut dyn BufRead, second: &mut dyn BufRead) -> Collected {
    let mut collected = Collected::default();
    pcap::names(first, LATEST, &mut collected).unwrap();
    assert!(collected.flows.is_empty() && collected.losses.is_empty());
    let answers = collected.answers.len();
    pcap::flows(second, LATEST, &mut collected).unwrap();
    assert_eq!(collected.answers.len(), answers);
    collected
}

/// A pcap file of frames: seconds after noon, and bytes.
fn file(link: u32, frames: &[(u32, Vec<u8>)]) -> Vec<u8> {
    snapped(link, usize::MAX, frames)
}

/// The same, with frames cut at a snap length.
fn snapped(link: u32, snap: usize, frames: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_c3d4u32.to_le_bytes());
    file.extend([2, 0, 4, 0]);
    file.extend([0; 8]);
    file.extend(65_535u32.to_le_bytes());
    file.extend(link.to_le_bytes());
    for (seconds, frame) in frames {
        let kept = &frame[..frame.len().min(snap)];
        let lengths = [kept.len(), frame.len()].map(|l| u32::try_from(l).unwrap());
        for number in [NOON + seconds, 0, lengths[0], lengths[1]] {
            file.extend(number.to_le_bytes());
        }
        file.extend(kept);
    }
    file
}

fn decoded(link: u32, frames: &[(u32, Vec<u8>)]) -> Collected {
    let collected = decode(&mut &*file(link, frames));
    assert_eq!(collected.packets() + collected.losses.len(), frames.len(), "the books");
    collected
}

/// One side of a TCP connection.
struct Talk {
    up: u32,
    down: u32,
    port: u16,
}

impl Talk {
    fn new() -> Self {
        Self { up: 1000, down: u32::MAX - 3, port: 50_000 }
    }

    fn segment(&self, up: bool, flags: u8, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let (from, to) = if up { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let ports = if up { (self.port, 443) } else { (443, self.port) };
        let mut builder =
            PacketBuilder::ipv4(from, to, 64).tcp(ports.0, ports.1, sequence, 1024);
        builder = if flags & SYN != 0 { builder.syn() } else { builder };
        builder = if flags & FIN != 0 { builder.fin() } else { builder };
        builder = if flags & RST != 0 { builder.rst() } else { builder };
        builder = if flags & ACK != 0 { builder.ack(1) } else { builder };
        let mut packet = Vec::new();
        builder.write(&mut packet, payload).unwrap();
        packet
    }

    fn up(&mut self, flags: u8, payload: &[u8]) -> Vec<u8> {
        let packet = self.segment(true, flags, self.up, payload);
        let syn = u32::from(flags & SYN != 0);
        self.up = self.up.wrapping_add(u32::try_from(payload.len()).unwrap() + syn);
        packet
    }

    fn down(&mut self, flags: u8, payload: &[u8]) -> Vec<u8> {
        let packet = self.segment(false, flags, self.down, payload);
        let syn = u32::from(flags & SYN != 0);
        self.down = self.down.wrapping_add(u32::try_from(payload.len()).unwrap() + syn);
        packet
    }

    fn handshake(&mut self) -> Vec<Vec<u8>> {
        vec![self.up(SYN, &[]), self.down(SYN | ACK, &[]), self.up(ACK, &[])]
    }
}

/// Frames one second apart.
fn seconds(packets: Vec<Vec<u8>>) -> Vec<(u32, Vec<u8>)> {
    (0..).zip(packets).collect()
}

fn udp(from: ([u8; 4], u16), to: ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ipv4(from.0, to.0, 64).udp(from.1, to.1);
    builder.write(&mut packet, payload).unwrap();
    packet
}

/// A `ClientHello` record for `host`, padded to be long (RFC 8446, 4.1.2).
fn client_hello(host: &str, padding: usize) -> Vec<u8> {
    let u16s = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
    let extension = |kind: u16, content: &[u8]| {
        [&kind.to_be_bytes()[..], &u16s(content.len()), content].concat()
    };
    let name = [&[0][..], &u16s(host.len()), host.as_bytes()].concat();
    let names = [&u16s(name.len())[..], &name].concat();
    // Padding first, and an extension nobody knows (RFC 8701).
    let extensions = [
        extension(0x0a0a, &[]),
        extension(21, &vec![0; padding]),
        extension(0, &names),
    ]
    .concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend([0, 2, 0x13, 0x01, 1, 0]);
    body.extend(u16s(extensions.len()));
    body.extend(extensions);
    let message = [&[1, 0][..], &u16s(body.len()), &body].concat();
    [&[22, 3, 1][..], &u16s(message.len()), &message].concat()
}

/// A DNS message with one question, and an address if it is a reply.
fn dns(host: &str, address: Option<[u8; 4]>) -> Vec<u8> {
    let reply = u8::from(address.is_some());
    let mut message = vec![0, 1, reply << 7, 0, 0, 1, 0, reply, 0, 0, 0, 0];
    for label in host.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    if let Some(address) = address {
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4]);
        message.extend(address);
    }
    message
}

#[test]
fn a_connection_is_one_flow_with_its_volumes() {
    let mut talk = Talk::new();
    let mut packets = talk.handshake();
    packets.push(talk.up(ACK, &client_hello("Dnl.Example.COM", 0)));
    packets.push(talk.down(ACK, &[0; 1000]));
    packets.extend([talk.up(FIN | ACK, &[]), talk.down(FIN | ACK, &[])]);
    packets.push(talk.up(ACK, &[]));
    let found = decoded(RAW, &seconds(packets.clone()));
    let [flow] = found.flows.as_slice() else { panic!("{found:#?}") };
    assert_eq!(flow.originator.to_string(), "192.0.2.1");
    assert_eq!((flow.originator_port, flow.responder_port), (50_000, 443));
    assert_eq!(flow.protocol, Protocol::TCP);
    let received = Volume { bytes: 3 * 40 + 1000, packets: 3 };
    assert_eq!(flow.received, Some(received));
    let sent: usize = packets.iter().map(Vec::len).sum::<usize>() - 1120;
    assert_eq!(flow.sent.unwrap().bytes, u64::try_from(sent).unwrap());
    assert_eq!(flow.tcp_flags, Some(SYN | ACK | FIN));
    assert_eq!(flow.start.0 + 7_000_000, flow.end.0);
    assert_eq!(flow.start.0, i64::from(NOON) * 1_000_000);
    let name = flow.name.clone().unwrap();
    assert_eq!((&*name.host, name.origin), ("dnl.example.com", NameOrigin::TlsSni));
}

#[test]
fn every_link_layer_gives_the_same_flow() {
    let packet = udp((CLIENT, 4000), (SERVER, 123), b"time?");
    let expected = decoded(RAW, &[(0, packet.clone())]).flows;
    assert_eq!(expected.len(), 1);
    let macs = [2; 12];
    let headers: [(u32, Vec<u8>); 15] = [
        (ETHERNET, [&macs[..], &[8, 0]].concat()),
        (ETHERNET, [&macs[..], &[0x81, 0, 0, 5, 8, 0]].concat()),
        (ETHERNET, [&macs[..], &[0x88, 0xa8, 0, 9, 0x81, 0, 0, 5, 8, 0]].concat()),
        (ETHERNET, [&macs[..], &[0, 40, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat()),
        (ETHERNET, [&macs[..], &[0x88, 0x64, 0x11, 0, 0, 1, 0, 9, 0, 0x21]].concat()),
        (ETHERNET, [&macs[..], &[0x88, 0x47, 0, 1, 0, 0, 0, 1, 1, 0]].concat()),
        (0, vec![2, 0, 0, 0]),
        (0, vec![0, 0, 0, 2]),
        (108, vec![0, 0, 0, 2]),
        (9, vec![0xff, 3, 0, 0x21]),
        (12, vec![]),
        (14, vec![]),
        (228, vec![]),
        (113, [&[0; 14][..], &[8, 0]].concat()),
        (276, [&[8, 0][..], &[0; 18]].concat()),
    ];
    for (link, header) in headers {
        let frame = [header.clone(), packet.clone()].concat();
        assert_eq!(decoded(link, &[(0, frame)]).flows, expected, "{link} {header:?}");
    }
}

#[test]
fn each_frame_that_is_not_ip_is_a_loss() {
    let arp = [&[2; 12][..], &[8, 6], &[0; 28]].concat();
    let found = decoded(ETHERNET, &[(0, arp.clone()), (1, arp)]);
    assert_eq!(found.reasons(), [Reason::LinkType, Reason::LinkType]);
    let radio = decoded(127, &[(0, vec![0; 60])]);
    assert_eq!(radio.reasons(), [Reason::LinkType]);
    assert_eq!(radio.losses[0].offset, 24);
}

#[test]
fn a_hello_in_pieces_and_out_of_order_gives_its_name() {
    let hello = client_hello("upd.example.com", 1500);
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]] {
        let mut talk = Talk::new();
        let mut packets = talk.handshake();
        let pieces: Vec<_> = hello.chunks(600).map(|c| talk.up(ACK, c)).collect();
        packets.extend(order.map(|i| pieces[i].clone()));
        // One piece twice.
        packets.push(pieces[1].clone());
        assert_eq!(decoded(RAW, &seconds(packets)).hosts(), ["upd.example.com"]);
    }
}

#[test]
fn a_request_in_pieces_gives_host_and_target() {
    let mut talk = Talk::new();
    let mut packets = talk.handshake();
    let text = b"GET /index/u1.xml HTTP/1.1\r\nHost: dnl.example.com\r\n\r\n";
    packets.extend(text.chunks(7).map(|c| talk.up(ACK, c)));
    // The same host again, then another: a proxy, or a connection kept alive.
    packets.push(talk.up(ACK, text));
    packets.push(talk.up(ACK, b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n"));
    let found = decoded(RAW, &seconds(packets));
    let [further, whole] = found.flows.as_slice() else { panic!("{found:#?}") };
    let name = whole.name.clone().unwrap();
    assert_eq!(&*name.host, "dnl.example.com");
    assert_eq!(name.request.as_deref(), Some("GET /index/u1.xml"));
    assert_eq!((further.sent, further.received, further.tcp_flags), (None, None, None));
    assert_eq!(&*further.name.clone().unwrap().host, "b.example");
    assert_eq!(further.start, whole.end);
}

#[test]
fn who_opened_is_told_by_flags_names_and_ports() {
    let originator = |packets| {
        let found = decoded(RAW, &seconds(packets));
        assert_eq!(found.flows.len(), 1);
        found.flows[0].originator.to_string()
    };
    let mut talk = Talk::new();
    assert_eq!(originator(vec![talk.down(SYN | ACK, &[])]), "192.0.2.1");
    assert_eq!(originator(vec![talk.down(ACK, b"data")]), "192.0.2.1");
    talk.port = 900;
    assert_eq!(originator(vec![talk.down(ACK, b"data")]), "198.51.100.7");
    let hello = talk.up(ACK, &client_hello("a.example", 0));
    assert_eq!(originator(vec![talk.down(ACK, b"data"), hello]), "192.0.2.1");
    let reply = udp((SERVER, 53), (CLIENT, 53), &dns("a.example", Some(SERVER)));
    assert_eq!(originator(vec![reply]), "192.0.2.1");
    assert_eq!(
        originator(vec![udp((SERVER, 500), (CLIENT, 4500), b"x")]),
        "198.51.100.7"
    );
}

/// What fuzzing found: an answer of a name server that begins as NetFlow v9 does, of a
/// believable time, and has no set.
#[test]
fn a_payload_that_only_begins_as_a_report_is_a_packet_of_its_network() {
    let payload = [
        0x00, 0x09, 0xa9, 0x66, 0x00, 0x57, 0x56, 0x56, 0x56, 0x56, 0xde, 0xde, 0xde,
        0xde, 0x16, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    ];
    for port in [53, 40_000] {
        let packet = udp(([192, 0, 2, 53], port), ([192, 0, 2, 1], 1025), &payload);
        let found = decoded(101, &[(0, packet)]);
        assert_eq!((found.packets(), found.losses.len()), (1, 0), "from {port}");
    }
}

#[test]
fn a_flow_ends_by_close_or_silence_and_is_parted_by_age() {
    let mut talk = Talk::new();
    let mut packets = talk.handshake();
    packets.extend([talk.up(RST, &[]), talk.up(ACK, &[])]);
    talk.up = 77;
    packets.push(talk.up(SYN, &[]));
    let found = decoded(RAW, &seconds(packets));
    let told: Vec<_> = found.flows.iter().map(|f| f.sent.unwrap().packets).collect();
    assert_eq!(told, [4, 1]);

    let time = udp((CLIENT, 123), (SERVER, 123), b"time?");
    let at = |seconds: &[u32]| {
        let frames: Vec<_> = seconds.iter().map(|s| (*s, time.clone())).collect();
        decoded(RAW, &frames).flows.len()
    };
    assert_eq!((at(&[0, 60]), at(&[0, 61]), at(&[0, 60, 120])), (1, 2, 1));
    let long: Vec<u32> = (0..=62).map(|i| i * 60).collect();
    assert_eq!(at(&long), 3);
}

#[test]
fn a_connection_that_goes_on_after_silence_keeps_originator_and_name() {
    let mut talk = Talk::new();
    let mut frames = seconds(talk.handshake());
    frames.push((5, talk.up(ACK, &client_hello("push.example", 0))));
    let other = udp((CLIENT, 123), (SERVER, 123), b"time?");
    frames.extend([(390, other), (400, talk.down(ACK, b"news"))]);
    frames.push((8000, talk.down(ACK, b"too late")));
    let found = decoded(RAW, &frames);
    assert_eq!(found.hosts(), ["push.example", "push.example"]);
    let packets: Vec<_> =
        found.flows.iter().map(|f| f.received.unwrap().packets).collect();
    // The third is the other packet, which was silent for less long.
    assert_eq!(packets, [1, 1, 0, 1]);
    assert_eq!(found.flows[1].originator.to_string(), "192.0.2.1");
}

#[test]
fn later_fragments_go_where_the_first_went() {
    let whole = udp((CLIENT, 4000), (SERVER, 9000), &[1; 64]);
    let fragment = |identification: u8, offset: u8, more: bool, body: &[u8]| {
        let mut packet = [&whole[..20], body].concat();
        let length = u16::try_from(packet.len()).unwrap();
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        packet[4..8].copy_from_slice(&[0, identification, u8::from(more) << 5, offset]);
        packet
    };
    let frames = seconds(vec![
        fragment(1, 4, false, &[0; 40]),
        fragment(2, 0, true, &whole[20..52]),
        fragment(2, 4, false, &whole[52..]),
    ]);
    let found = decoded(RAW, &frames);
    assert_eq!(found.reasons(), [Reason::Fragment]);
    let [flow] = found.flows.as_slice() else { panic!("{found:#?}") };
    assert_eq!(flow.sent, Some(Volume { bytes: 52 + 60, packets: 2 }));
    assert_eq!(flow.responder_port, 9000);
}

#[test]
fn fragments_of_ipv6_are_followed_behind_extension_headers() {
    let (from, to) = ([0x20; 16], [0x21; 16]);
    let fragment = |offset: u8, more: bool, body: &[u8]| {
        let length = u16::try_from(16 + body.len()).unwrap().to_be_bytes();
        let head = [0x60, 0, 0, 0, length[0], length[1], 60, 64];
        let options = [44, 0, 1, 4, 0, 0, 0, 0];
        let fragment = [17, 0, 0, offset << 3 | u8::from(more), 0, 0, 0, 9];
        [&head[..], &from, &to, &options, &fragment, body].concat()
    };
    let first = [&[0x10, 0, 0x20, 0, 0, 40, 0, 0][..], &[0; 16]].concat();
    let frames = seconds(vec![fragment(0, true, &first), fragment(3, false, &[0; 16])]);
    let found = decoded(RAW, &frames);
    let [flow] = found.flows.as_slice() else { panic!("{found:#?}") };
    assert_eq!((flow.originator_port, flow.responder_port), (0x1000, 0x2000));
    assert_eq!(flow.sent, Some(Volume { bytes: 56 + 24 + 56 + 16, packets: 2 }));
}

#[test]
fn a_snap_length_costs_names_not_bytes() {
    let mut talk = Talk::new();
    let mut packets = talk.handshake();
    packets.push(talk.up(ACK, &client_hello("upd.example.com", 0)));
    packets.push(talk.up(ACK, b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n"));
    let frames = seconds(packets);
    let whole = decoded(RAW, &frames);
    let cut = decode(&mut &*snapped(RAW, 60, &frames));
    let sums = |c: &Collected| c.flows.iter().find_map(|f| f.sent).unwrap();
    assert_eq!(sums(&whole), sums(&cut));
    assert_eq!(cut.hosts(), Vec::<&str>::new());
    // Cut inside the ports, nothing can be said of a packet.
    let lost = decode(&mut &*snapped(RAW, 22, &frames));
    assert_eq!(lost.reasons(), [Reason::Snapped; 5]);
}

#[test]
fn times_outside_the_possible_are_losses() {
    let packet = udp((CLIENT, 4000), (SERVER, 123), b"time?");
    let day = 86_400;
    let far = u32::MAX - NOON;
    let past = 0u32.wrapping_sub(NOON);
    let mut bytes = file(RAW, &[(0, packet.clone()), (2 * day, packet.clone())]);
    bytes.extend(&file(RAW, &[(2 * day + 1, packet.clone())])[24..]);
    bytes.extend(&file(RAW, &[(far, packet.clone())])[24..]);
    let mut record = file(RAW, &[(0, packet)])[24..].to_vec();
    record[..4].copy_from_slice(&NOON.wrapping_add(past).to_le_bytes());
    bytes.extend(record);
    let found = decode(&mut &*bytes);
    assert_eq!(found.reasons(), [Reason::Time; 3]);
    assert_eq!(found.packets(), 2);
}

#[test]
fn further_questions_of_one_flow_are_flows_without_volumes() {
    let asker = (CLIENT, 5353);
    let resolver = (SERVER, 53);
    let frames = seconds(vec![
        udp(asker, resolver, &dns("A.example", None)),
        udp(asker, resolver, &dns("b.example", None)),
        udp(resolver, asker, &dns("a.example", Some([203, 0, 113, 9]))),
        udp(asker, resolver, &dns("a.example", None)),
    ]);
    let found = decoded(RAW, &frames);
    assert_eq!(found.hosts(), ["b.example", "a.example"]);
    assert_eq!(found.flows[0].sent, None);
    assert_eq!(found.flows[1].sent.unwrap().packets, 3);
    let [answer] = found.answers.as_slice() else { panic!("{found:#?}") };
    assert_eq!(answer.client.to_string(), "192.0.2.1");
    assert_eq!((&*answer.host, answer.ttl_seconds), ("a.example", 300));
    assert_eq!(answer.addresses[0].to_string(), "203.0.113.9");
}

#[test]
fn dns_over_tcp_is_read_across_segments() {
    let message = dns("a.example", Some([203, 0, 113, 9]));
    let framed = [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], &message];
    let framed = framed.concat();
    let mut frames = Vec::new();
    for (at, chunk) in (0u32..).zip(framed.chunks(10)) {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ipv4(SERVER, CLIENT, 64).tcp(53, 4000, at * 10, 9);
        builder.ack(1).write(&mut packet, chunk).unwrap();
        frames.push((at, packet));
    }
    let found = decoded(RAW, &frames);
    assert_eq!(found.answers.len(), 1);
    assert_eq!(found.hosts(), ["a.example"]);
    assert_eq!(found.flows[0].originator.to_string(), "192.0.2.1");
}

/// A pcapng block.
fn block(big: bool, kind: u32, body: &[u8]) -> Vec<u8> {
    let u32s = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let padding = vec![0; body.len().wrapping_neg() % 4];
    let length = u32s(u32::try_from(12 + body.len() + padding.len()).unwrap());
    [&u32s(kind)[..], &length, body, &padding, &length].concat()
}

/// A pcapng section: interfaces of several link types and clocks, one packet on each.
fn pcapng(big: bool) -> Vec<u8> {
    let u32s = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let u16s = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let offset = |n: i64| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let head = [&u32s(0x1a2b_3c4d)[..], &u16s(1), &u16s(0), &[0xff; 8]].concat();
    let mut file = block(big, 0x0a0d_0d0a, &head);
    let interface = |link: u16, options: &[u8]| {
        block(big, 1, &[&u16s(link)[..], &[0; 6], options].concat())
    };
    let resolution = |n: u8| [&u16s(9)[..], &u16s(1), &[n, 0, 0, 0]].concat();
    let hour_ago = [&u16s(14)[..], &u16s(8), &offset(-3600)].concat();
    file.extend(interface(101, &[]));
    file.extend(interface(1, &resolution(9)));
    file.extend(interface(101, &resolution(0x80 | 0x0a)));
    file.extend(interface(101, &[resolution(3), hour_ago].concat()));
    // Blocks of other kinds are passed over.
    file.extend(block(big, 5, &[1; 16]));
    let packet = udp((CLIENT, 4000), (SERVER, 123), b"time?");
    let ethernet = [&[2; 12][..], &[8, 0], &packet].concat();
    let noon = u64::from(NOON);
    let ticks =
        [noon * 1_000_000, noon * 1_000_000_000, noon * 1024, (noon + 3600) * 1000];
    for (interface, ticks) in (0u32..).zip(ticks) {
        let frame = if interface == 1 { &ethernet } else { &packet };
        let length = u32s(u32::try_from(frame.len()).unwrap());
        let (high, low) = (ticks >> 32, ticks & 0xffff_ffff);
        let [high, low] = [high, low].map(|n| u32s(u32::try_from(n).unwrap()));
        let body =
            [&u32s(interface)[..], &high, &low, &length, &length, frame].concat();
        file.extend(block(big, 6, &body));
    }
    file
}

#[test]
fn pcapng_has_interfaces_clocks_and_byte_orders() {
    for big in [false, true] {
        // Two sections, the second in the other byte order.
        let found = decode(&mut &*[pcapng(big), pcapng(!big)].concat());
        let [flow] = found.flows.as_slice() else { panic!("{found:#?}") };
        assert_eq!(flow.sent.unwrap().packets, 8);
        assert_eq!(
            (flow.start, flow.end),
            (flow.end, Instant::from_unix(NOON.into(), 0))
        );
        assert_eq!(found.losses, []);
    }
}

#[test]
fn a_packet_without_time_or_interface_is_a_loss() {
    let mut file = pcapng(false);
    file.extend(block(false, 3, &[&[5, 0, 0, 0][..], &[1; 8]].concat()));
    file.extend(block(false, 6, &[&[9, 0, 0, 0][..], &[0; 16]].concat()));
    let found = decode(&mut &*file);
    assert_eq!(found.reasons(), [Reason::Time, Reason::Value]);
    assert_eq!(found.packets(), 4);
}

#[test]
fn pcap_has_byte_orders_and_nanoseconds() {
    let packet = udp((CLIENT, 4000), (SERVER, 123), b"time?");
    let little = file(RAW, &[(0, packet.clone())]);
    let expected = decode(&mut &*little);
    let mut big = little.clone();
    for word in big[..40].chunks_mut(4) {
        word.reverse();
    }
    big[4..8].copy_from_slice(&[0, 2, 0, 4]);
    assert_eq!(decode(&mut &*big), expected);
    let mut nano = little;
    nano[..4].copy_from_slice(&0xa1b2_3c4du32.to_le_bytes());
    nano[28..32].copy_from_slice(&999_999_999u32.to_le_bytes());
    let found = decode(&mut &*nano);
    assert_eq!(found.flows[0].start, Instant::from_unix(NOON.into(), 999_999));
}

/// A pcap file of another kind with one frame: the number that it begins with, its version,
/// what its header and its records have more, and the lengths of the record in their order.
fn variant(
    big: bool,
    magic: u32,
    version: [u16; 2],
    more: [&[u8]; 2],
    lengths: [usize; 2],
    frame: &[u8],
) -> Vec<u8> {
    let u32s = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let u16s = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let [one, other] = lengths.map(|l| u32s(u32::try_from(l).unwrap()));
    let [major, minor] = version.map(u16s);
    let head = [u32s(magic), [0; 4], [0; 4], u32s(65_535), u32s(RAW)];
    let [magic, rest @ ..] = head;
    [
        &[&magic[..], &major, &minor, &rest.concat(), more[0]].concat()[..],
        &[&u32s(NOON)[..], &u32s(5), &one, &other, more[1], frame].concat(),
    ]
    .concat()
}

#[test]
fn pcap_has_variants() {
    let frame = udp((CLIENT, 4000), (SERVER, 123), b"time?");
    let expected = decode(&mut &*file(RAW, &[(0, frame.clone())]));
    let (all, part) = (frame.len(), frame.len() - 3);
    let none: [&[u8]; 2] = [&[], &[]];
    let kuznetzov: [&[u8]; 2] = [&[], &[1, 0, 0, 0, 8, 0, 4, 0]];
    let ixia: [&[u8]; 2] = [&[9, 0, 0, 0], &[]];
    for big in [false, true] {
        let same = |magic, version, more, lengths, kept: usize| {
            let file = variant(big, magic, version, more, lengths, &frame[..kept]);
            let recognised = tidegauge_wire::recognise(&file);
            assert_eq!(recognised, Some(tidegauge_wire::Format::Pcap), "{magic:#x}");
            let mut found = decode(&mut &*file);
            for flow in &mut found.flows {
                let start = Instant::from_unix(NOON.into(), 0);
                assert!(flow.start.0 - start.0 <= 5, "{magic:#x} {version:?}");
                (flow.start, flow.end) = (start, start);
            }
            assert_eq!(found, expected, "{magic:#x} {version:?} {big}");
        };
        same(0xa1b2_c3d4, [2, 4], none, [all, all], all);
        same(0xa1b2_c3d4, [2, 4], none, [part, all], part);
        same(0xa1b2_3c4d, [2, 4], none, [part, all], part);
        same(0xa1b2_cd34, [2, 4], kuznetzov, [part, all], part);
        same(0x1c00_01ab, [2, 4], ixia, [part, all], part);
        same(0x1c00_01ac, [2, 4], ixia, [part, all], part);
        // Old versions tell the length on the wire first, or either first.
        same(0xa1b2_c3d4, [2, 2], none, [all, part], part);
        same(0xa1b2_c3d4, [2, 3], none, [all, part], part);
        same(0xa1b2_c3d4, [2, 3], none, [part, all], part);
        same(0xa1b2_c3d4, [543, 0], none, [all, part], part);
    }
}

#[test]
fn a_file_cut_anywhere_keeps_its_whole_frames() {
    let packet = udp((CLIENT, 4000), (SERVER, 123), b"time?");
    let whole = file(RAW, &seconds(vec![packet; 3]));
    let record = (whole.len() - 24) / 3;
    for end in 0..whole.len() {
        let found = decode(&mut &whole[..end]);
        let frames = end.saturating_sub(24) / record;
        assert_eq!(found.packets(), frames, "{end}");
        let clean = end >= 24 && (end - 24) % record == 0;
        let expected: &[Reason] = if clean { &[] } else { &[Reason::Truncated] };
        assert_eq!(found.reasons(), expected, "{end}");
    }
}

#[test]
fn what_is_no_capture_is_one_loss() {
    let found = decode(&mut &b"#separator \\x09 and more text"[..]);
    assert_eq!(found.reasons(), [Reason::Format]);
    let mut file = file(RAW, &[(0, vec![0x45; 40])]);
    file[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(decode(&mut &*file).reasons(), [Reason::Length]);
}

/// Gives bytes in pieces of given lengths, over and over.
struct Pieces<'a> {
    rest: &'a [u8],
    lengths: &'a [usize],
    turn: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.len().min(into.len());
        into[..length].copy_from_slice(&self.rest[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Pieces<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let length = self.lengths[self.turn % self.lengths.len()];
        Ok(&self.rest[..length.min(self.rest.len())])
    }

    fn consume(&mut self, amount: usize) {
        self.turn += 1;
        self.rest = &self.rest[amount..];
    }
}

/// A capture with something of everything.
fn sample() -> Vec<u8> {
    let mut talk = Talk::new();
    let mut packets = talk.handshake();
    packets.extend(client_hello("a.example", 700).chunks(300).map(|c| talk.up(ACK, c)));
    packets.push(talk.up(ACK, b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n"));
    packets.push(udp((CLIENT, 999), (SERVER, 53), &dns("c.example", None)));
    packets.push(udp((SERVER, 53), (CLIENT, 999), &dns("c.example", Some(SERVER))));
    packets.push(vec![0x45; 30]);
    file(RAW, &seconds(packets))
}

proptest! {
    #[test]
    fn any_bytes_after_a_header_do_no_harm(
        start in prop::sample::select(vec![
            Vec::new(),
            sample()[..24].to_vec(),
            pcapng(false)[..100].to_vec(),
            pcapng(true)[..100].to_vec(),
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        decode(&mut &*[start, rest].concat());
    }

    #[test]
    fn damage_does_no_harm(
        ng: bool,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut bytes = if ng { pcapng(false) } else { sample() };
        for (at, value) in damage {
            *at.get_mut(&mut bytes) = value;
        }
        decode(&mut &*bytes);
    }

    #[test]
    fn the_books_close_over_any_frames(
        link in prop::sample::select(vec![0, 1, 9, 12, 101, 104, 108, 113, 228, 229, 276, 999]),
        frames in prop::collection::vec(
            (0u32..5000, prop::collection::vec(any::<u8>(), 0..120)),
            0..40,
        ),
        snap in 0usize..130,
        looks_like_ip: bool,
    ) {
        let mut frames = frames;
        if looks_like_ip {
            for (_, frame) in &mut frames {
                let head = [0x45, 0, 0, 100, 0, 0, 0, 0, 64, 6, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2];
                frame.splice(0..0, head);
            }
        }
        let found = decode(&mut &*snapped(link, snap, &frames));
        prop_assert_eq!(found.packets() + found.losses.len(), frames.len());
    }

    #[test]
    fn the_lengths_of_reads_change_nothing(
        ng: bool,
        lengths in prop::collection::vec(1usize..50, 1..10),
    ) {
        let bytes = if ng { pcapng(true) } else { sample() };
        let pieces = || Pieces { rest: &bytes, lengths: &lengths, turn: 0 };
        let found = decode_from(&mut pieces(), &mut pieces());
        prop_assert_eq!(found, decode(&mut &*bytes));
    }
}

/// A packet of IPv4 in fragments of `size` bytes of payload, a multiple of eight.
fn in_fragments(packet: &[u8], identification: u8, size: usize) -> Vec<Vec<u8>> {
    let parts: Vec<&[u8]> = packet[20..].chunks(size).collect();
    let last = parts.len() - 1;
    (0..)
        .zip(parts)
        .map(|(n, part)| {
            let offset = u16::try_from(n * size / 8).unwrap();
            let more = u16::from(n < last) << 13;
            let length = u16::try_from(20 + part.len()).unwrap().to_be_bytes();
            let mut fragment = [&packet[..20], part].concat();
            fragment[2..4].copy_from_slice(&length);
            fragment[4..6].copy_from_slice(&[0, identification]);
            fragment[6..8].copy_from_slice(&(more | offset).to_be_bytes());
            fragment
        })
        .collect()
}

#[test]
fn fragments_in_any_order_say_what_the_whole_says() {
    let mut talk = Talk::new();
    let start = talk.handshake();
    let hello = talk.up(ACK, &client_hello("upd.example.com", 1500));
    let reply =
        udp((SERVER, 53), (CLIENT, 999), &dns("c.example", Some([203, 0, 113, 9])));
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]] {
        let pieces = in_fragments(&hello, 1, 600);
        let answer = in_fragments(&reply, 2, 24);
        let (pieces, answer) = (order.map(|i| &pieces[i]), order.map(|i| &answer[i]));
        let packets = start.iter().chain(pieces).chain(answer).cloned().collect();
        let found = decoded(RAW, &seconds(packets));
        assert_eq!(found.reasons(), [], "{order:?}");
        assert_eq!(found.hosts(), ["upd.example.com", "c.example"], "{order:?}");
        assert_eq!(found.answers.len(), 1, "{order:?}");
        let sent = found.flows[0].sent.unwrap();
        // Two headers more than the packet in one piece.
        let whole = u64::try_from(hello.len() + 40 + 80).unwrap();
        assert_eq!(sent, Volume { bytes: whole, packets: 5 }, "{order:?}");
        assert_eq!(found.flows[0].start, Instant::from_unix(NOON.into(), 0));
    }
}

#[test]
fn fragments_that_overlap_or_wait_for_too_long_are_losses() {
    let question = udp((CLIENT, 999), (SERVER, 53), &dns("c.example", None));
    let other = udp((CLIENT, 999), (SERVER, 53), &dns("evil.test", None));
    let (good, bad) = (in_fragments(&question, 1, 16), in_fragments(&other, 1, 16));
    let frames = [&good[0], &good[0], &bad[1], &good[1], &good[2]].map(Clone::clone);
    let found = decoded(RAW, &seconds(frames.to_vec()));
    // The first wins: the piece that contradicts it is the loss.
    assert_eq!(found.reasons(), [Reason::Fragment]);
    assert_eq!((found.packets(), found.hosts()), (4, vec!["evil.test"]));
    let frames =
        seconds([&good[0], &good[0], &good[1], &good[2]].map(Clone::clone).into());
    assert_eq!(decoded(RAW, &frames).hosts(), ["c.example"]);

    let late = [(0, good[1].clone()), (61, good[0].clone()), (62, good[2].clone())];
    let found = decoded(RAW, &late);
    assert_eq!((found.packets(), found.reasons()), (2, vec![Reason::Fragment]));
    assert_eq!(found.losses[0].offset, 24);

    // 5,000 packets whose first fragments never come: what is held is bounded.
    let lost = (0..5000u32).map(|n| {
        let mut fragment = good[1].clone();
        fragment[12..16].copy_from_slice(&n.to_be_bytes());
        (0, fragment)
    });
    let found = decoded(RAW, &lost.collect::<Vec<_>>());
    assert_eq!(found.losses.len(), 5000);
    assert!(found.reasons().iter().all(|r| *r == Reason::Fragment));
}

/// An outer packet of `protocol` with this body.
fn outer(protocol: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
    let head = [0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, protocol, 0, 0];
    [&head[..], &[10, 0, 0, 1, 10, 0, 0, 2], body].concat()
}

fn outer_udp(port: u16, payload: &[u8]) -> Vec<u8> {
    udp(([10, 0, 0, 1], 40_000), ([10, 0, 0, 2], port), payload)
}

/// Every tunnel that is read, around a packet of IPv4, and around nothing that is one.
fn tunnelled(packet: &[u8]) -> Vec<Vec<u8>> {
    let frame = [&[2; 12][..], &[8, 0], packet].concat();
    let with = |head: &[u8], inside: &[u8]| [head, inside].concat();
    let tunnel_6 = {
        let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
        let head = [0x60, 0, 0, 0, length[0], length[1], 4, 64];
        [&head[..], &[0x20; 16], &[0x21; 16], packet].concat()
    };
    vec![
        outer(4, packet),
        tunnel_6.clone(),
        outer(41, &tunnel_6),
        outer(47, &with(&[0, 0, 8, 0], packet)),
        outer(47, &with(&[0xb0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1], packet)),
        outer(47, &with(&[0, 0, 0x65, 0x58], &frame)),
        outer(47, &with(&[0, 0, 0x88, 0x47, 0, 1, 0, 0, 0, 1, 1, 0], packet)),
        outer(47, &with(&[0, 0, 0x88, 0xbe], &frame)),
        outer(
            47,
            &with(
                &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 0, 0, 0, 0, 0],
                &frame,
            ),
        ),
        outer(
            47,
            &with(
                &[
                    0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                    0, 0,
                ],
                &frame,
            ),
        ),
        outer(
            47,
            &with(
                &[
                    0x30, 0x81, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xff,
                    3, 0, 0x21,
                ],
                packet,
            ),
        ),
        outer_udp(4754, &with(&[0, 0, 8, 0], packet)),
        outer_udp(4789, &with(&[8, 0, 0, 0, 0, 0, 7, 0], &frame)),
        outer_udp(4790, &with(&[0x0c, 0, 0, 1, 0, 0, 7, 0], packet)),
        outer_udp(6081, &with(&[1, 0, 0x65, 0x58, 0, 0, 7, 0, 0, 0, 0, 0], &frame)),
        outer_udp(2152, &with(&[0x30, 255, 0, 0, 0, 0, 0, 1], packet)),
        outer_udp(
            2152,
            &with(&[0x34, 255, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 0, 0], packet),
        ),
        outer_udp(3544, &tunnel_6),
        outer_udp(
            3544,
            &with(
                &[0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6],
                &tunnel_6,
            ),
        ),
    ]
}

#[test]
fn the_packet_in_a_tunnel_is_what_counts() {
    let packet = udp((CLIENT, 4000), (SERVER, 53), &dns("c.example", None));
    let expected = decoded(RAW, &[(0, packet.clone())]).flows;
    assert_eq!(expected[0].sent.unwrap().bytes, u64::try_from(packet.len()).unwrap());
    for (n, tunnel) in (0..).zip(tunnelled(&packet)) {
        assert_eq!(decoded(RAW, &[(n, tunnel.clone())]).hosts(), ["c.example"], "{n}");
        assert_eq!(decoded(RAW, &[(0, tunnel)]).flows, expected, "{n}");
    }
}

#[test]
fn what_does_not_fit_into_a_tunnel_leaves_it_closed() {
    let packet = udp((CLIENT, 4000), (SERVER, 53), &dns("c.example", None));
    let (mut long, mut six) = (packet.clone(), packet);
    long[3] += 1;
    six[0] = 0x75;
    for wrong in [long, six] {
        for (n, tunnel) in (0..).zip(tunnelled(&wrong)) {
            let found = decoded(RAW, &[(0, tunnel)]);
            assert_eq!((found.packets(), found.hosts().len()), (1, 0), "{n}");
            let inside = found.flows.iter().any(|f| f.responder_port == 53);
            assert!(!inside, "{n}");
        }
    }
}

#[test]
fn tunnels_in_one_another_are_opened_to_a_depth() {
    let packet = udp((CLIENT, 4000), (SERVER, 53), &dns("c.example", None));
    let nested = |depth: usize| {
        let wrap = |inside: Vec<u8>, _| outer(4, &inside);
        decoded(RAW, &[(0, (0..depth).fold(packet.clone(), wrap))]).flows
    };
    assert_eq!(nested(8)[0].responder_port, 53);
    assert_eq!((nested(9)[0].responder_port, nested(9)[0].protocol), (0, Protocol(4)));
}

#[test]
fn the_last_fragment_of_a_tunnel_bears_the_packet_inside() {
    let packet = udp((CLIENT, 4000), (SERVER, 53), &dns("c.example", None));
    let inside = decoded(RAW, &[(2, packet.clone())]).flows;
    let frames = seconds(in_fragments(&outer(4, &packet), 7, 24));
    assert_eq!(frames.len(), 3);
    let found = decoded(RAW, &frames);
    let [tunnel, flow] = found.flows.as_slice() else { panic!("{found:#?}") };
    assert_eq!((tunnel.protocol, tunnel.sent.unwrap().packets), (Protocol(4), 2));
    assert_eq!(*flow, inside[0]);
}

proptest! {
    #[test]
    fn the_books_close_over_fragments_and_tunnels(
        frames in prop::collection::vec(
            (0u32..200, 0u8..3, 0u16..6, any::<bool>(), 0usize..40, 0usize..20),
            0..60,
        ),
    ) {
        let packet = udp((CLIENT, 4000), (SERVER, 53), &dns("c.example", None));
        let tunnels = tunnelled(&packet);
        let frames: Vec<_> = frames
            .into_iter()
            .map(|(second, identification, offset, more, length, n)| {
                let whole = tunnels.get(n).unwrap_or(&packet);
                let mut frame = whole[..whole.len().min(20 + length)].to_vec();
                if frame[0] == 0x45 {
                    let word = offset | u16::from(more) << 13;
                    let length = u16::try_from(frame.len()).unwrap();
                    frame[2..4].copy_from_slice(&length.to_be_bytes());
                    frame[4..6].copy_from_slice(&[0, identification]);
                    frame[6..8].copy_from_slice(&word.to_be_bytes());
                }
                (second, frame)
            })
            .collect();
        let found = decode(&mut &*file(RAW, &frames));
        prop_assert_eq!(found.packets() + found.losses.len(), frames.len());
    }
}

/// The handshake message of a record, in records of at most `size` bytes (RFC 8446, 5.1).
fn in_records(record: &[u8], size: usize) -> Vec<u8> {
    let part = |part: &[u8]| {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[22, 3, 1][..], &length, part].concat()
    };
    record[5..].chunks(size).flat_map(part).collect()
}

proptest! {
    #[test]
    fn a_hello_over_records_and_segments_in_any_order_gives_its_name(
        record in 1usize..900,
        segment in 200usize..900,
        order in Just((0..40usize).collect::<Vec<_>>()).prop_shuffle(),
        again in prop::collection::vec(0usize..40, 0..5),
    ) {
        // Not more than what is held back behind a missing segment.
        let hello = in_records(&client_hello("upd.example.com", 1200), record.max(4));
        let mut talk = Talk::new();
        let mut packets = talk.handshake();
        let pieces: Vec<_> = hello.chunks(segment).map(|c| talk.up(ACK, c)).collect();
        let order = order.into_iter().chain(again);
        packets.extend(order.filter_map(|n| pieces.get(n).cloned()));
        let found = decoded(RAW, &seconds(packets));
        prop_assert_eq!(found.hosts(), ["upd.example.com"]);
    }
}

//! NetFlow v9 and IPFIX against a second implementation, `netflow_parser`: of messages that
//! are well formed, both find the same records, with the same ends, ports and protocols.
//!
//! The bytes choose layouts and fill records, so that every input is a question about
//! meaning; what is not well formed is for the target `export`.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use netflow_parser::NetflowParser;
use tidegauge_fuzz::LATEST;
use tidegauge_model::{Address, Answer, Flow, Loss, Reason, Resolution};
use tidegauge_wire::Sink;
use tidegauge_wire::export::Exports;

/// Two ends (address and port, the smaller first) and the protocol.
type Ends = ([(IpAddr, u16); 2], u8);

/// Elements that both read, and the lengths that exporters give them. Times are left out:
/// records of unbelievable times are losses here, and records there.
const ELEMENTS: [(u16, &[u16]); 20] = [
    (1, &[4, 8]),
    (2, &[4, 8]),
    (3, &[4]),
    (5, &[1]),
    (6, &[1]),
    (9, &[1]),
    (10, &[2, 4]),
    (13, &[1]),
    (14, &[2, 4]),
    (15, &[4]),
    (16, &[2, 4]),
    (17, &[2, 4]),
    (18, &[4]),
    (31, &[3]),
    (56, &[6]),
    (58, &[2]),
    (60, &[1]),
    (62, &[16]),
    (80, &[6]),
    (89, &[1]),
];
const MESSAGES_MAX: usize = 6;
const RECORDS_MAX: usize = 12;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices(bytes);
    let nine = choices.next().is_multiple_of(2);
    let messages = messages(&mut choices, nine);
    let ours = ours(&messages);
    let theirs = theirs(&messages);
    assert_eq!(ours, theirs, "nine: {nine}, {messages:?}");
});

/// The input as choices; zeros when it is used up.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.next()) % bound
    }

    fn fill(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// A session: each message defines a layout, anew or for the first time, then uses it.
fn messages(choices: &mut Choices, nine: bool) -> Vec<Vec<u8>> {
    let count = 1 + choices.below(MESSAGES_MAX);
    let mut sequence = 0;
    let mut of = |_| {
        let id = 256 + u16::from(choices.next() % 3);
        let fields = layout(choices);
        let size: usize = fields.iter().map(|field| usize::from(field.1)).sum();
        let records = 1 + choices.below(RECORDS_MAX);
        let mut data = choices.fill(records * size);
        // Padding is shorter than a record, and of zeros (RFC 7011, 3.3.1).
        data.extend(vec![0; choices.below(4).min(size - 1)]);
        let define = if nine { 0 } else { 2 };
        let sets = [set(define, &template(id, &fields)), set(id, &data)];
        let message = message(nine, sequence, records, &sets.concat());
        sequence += if nine { 1 } else { u32::try_from(records).unwrap_or(0) };
        message
    };
    (0..count).map(&mut of).collect()
}

/// Both addresses of one family, ports and protocol, in any order among other elements.
fn layout(choices: &mut Choices) -> Vec<(u16, u16)> {
    let six = choices.next().is_multiple_of(4);
    let ends = if six { [(27, 16), (28, 16)] } else { [(8, 4), (12, 4)] };
    let mut fields = [ends.as_slice(), &[(7, 2), (11, 2), (4, 1)]].concat();
    for _ in 0..choices.below(8) {
        let (element, lengths) = ELEMENTS[choices.below(ELEMENTS.len())];
        let length = lengths[choices.below(lengths.len())];
        if fields.iter().all(|field| field.0 != element) {
            let at = choices.below(fields.len() + 1);
            fields.insert(at, (element, length));
        }
    }
    let turn = choices.below(fields.len());
    fields.rotate_left(turn);
    fields
}

fn template(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let count = u16::try_from(fields.len()).unwrap_or(u16::MAX);
    let pairs = fields.iter().flat_map(|(element, length)| [*element, *length]);
    [id, count].into_iter().chain(pairs).flat_map(u16::to_be_bytes).collect()
}

fn set(id: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 4).unwrap_or(u16::MAX);
    [&id.to_be_bytes(), &length.to_be_bytes(), content].concat()
}

fn message(nine: bool, sequence: u32, records: usize, sets: &[u8]) -> Vec<u8> {
    let seconds = u32::try_from(LATEST.0 / 1_000_000 - 60).unwrap_or(0).to_be_bytes();
    let sequence = sequence.to_be_bytes();
    let domain = 1_u32.to_be_bytes();
    let number = |value: usize| u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes();
    let uptime = 60_000_u32.to_be_bytes();
    if nine {
        // A template and the records (RFC 3954, 5.1).
        let count = number(records + 1);
        [&[0, 9], &count[..], &uptime, &seconds, &sequence, &domain, sets].concat()
    } else {
        let length = number(16 + sets.len());
        [&[0, 10], &length[..], &seconds, &sequence, &domain, sets].concat()
    }
}

#[derive(Default)]
struct Found(Vec<Ends>);

impl Sink for Found {
    fn flow(&mut self, flow: Flow) {
        let end = |address: Address, port| (address.ip(), port);
        self.0.push(ends(
            end(flow.originator, flow.originator_port),
            end(flow.responder, flow.responder_port),
            flow.protocol.0,
        ));
    }

    fn answer(&mut self, _: Answer) {}

    fn resolution(&mut self, _: Resolution) {}

    fn loss(&mut self, loss: Loss) {
        assert_ne!(loss.reason, Reason::Template, "{loss:?} of a known template");
    }
}

fn ours(messages: &[Vec<u8>]) -> Vec<Ends> {
    let mut found = Found::default();
    let mut exports = Exports::new();
    for message in messages {
        exports.datagram(Address::from_bits(7), 4_739, LATEST, message, &mut found);
    }
    exports.finish(&mut found);
    found.0
}

fn theirs(messages: &[Vec<u8>]) -> Vec<Ends> {
    let mut parser = NetflowParser::default();
    let mut found = Vec::new();
    for message in messages {
        let parsed = parser.parse_bytes(message);
        assert!(parsed.error.is_none(), "{:?}", parsed.error);
        for flow in parsed.packets.iter().filter_map(|p| p.as_netflow_common().ok()) {
            for set in flow.flowsets {
                let end = |address: Option<IpAddr>, port: Option<u16>| {
                    (address.expect("in the layout"), port.expect("in the layout"))
                };
                found.push(ends(
                    end(set.src_addr, set.src_port),
                    end(set.dst_addr, set.dst_port),
                    set.protocol_number.expect("in the layout"),
                ));
            }
        }
    }
    found
}

/// Ports are those of TCP, UDP, DCCP, SCTP and UDP-Lite: of other protocols the elements hold
/// something else, and are not read as ports here.
fn ends(one: (IpAddr, u16), other: (IpAddr, u16), protocol: u8) -> Ends {
    let has_ports = matches!(protocol, 6 | 17 | 33 | 132 | 136);
    // An IPv4 address inside IPv6 is the same address (RFC 4291, 2.5.5.2).
    let plain = |(address, port): (IpAddr, u16)| {
        (address.to_canonical(), if has_ports { port } else { 0 })
    };
    let mut both = [plain(one), plain(other)];
    both.sort_unstable();
    (both, protocol)
}

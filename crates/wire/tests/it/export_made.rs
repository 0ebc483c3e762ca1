//! Messages of NetFlow v9 and IPFIX made here: order, limits, hostile bytes, and a second
//! implementation reading the same.

use std::net::Ipv4Addr;

use netflow_parser::{NetflowPacket, NetflowParser};
use proptest::prelude::*;
use tidegauge_model::{
    Address, Answer, Flow, Instant, Loss, NameOrigin, Reason, Volume,
};
use tidegauge_wire::Sink;
use tidegauge_wire::export::{Exports, State};

/// 2024-04-01T00:00:00Z.
pub(crate) const START: u32 = 1_711_929_600;
const NOW: Instant = Instant(1_711_929_660_000_000);

#[derive(Default)]
struct Collected {
    flows: Vec<Flow>,
    losses: Vec<Loss>,
}

impl Sink for Collected {
    fn flow(&mut self, flow: Flow) {
        self.flows.push(flow);
    }
    fn answer(&mut self, _: Answer) {}
    fn loss(&mut self, loss: Loss) {
        self.losses.push(loss);
    }
}

fn exporter() -> Address {
    Address::from(Ipv4Addr::new(192, 0, 2, 7))
}

fn decoded(messages: &[Vec<u8>]) -> Collected {
    let mut collected = Collected::default();
    let mut exports = Exports::new();
    for message in messages {
        exports.datagram(exporter(), 4_000, NOW, message, &mut collected);
    }
    exports.finish(&mut collected);
    collected
}

/// An IPFIX message of domain 1.
pub(crate) fn ipfix(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let length = 16 + sets.iter().map(Vec::len).sum::<usize>();
    let mut bytes = vec![0, 10];
    bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
    bytes.extend(START.to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(1_u32.to_be_bytes());
    bytes.extend(sets.concat());
    bytes
}

/// A NetFlow v9 message of source 1, a minute after its exporter started.
pub(crate) fn v9(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0, 9];
    bytes.extend(u16::try_from(sets.len()).unwrap().to_be_bytes());
    bytes.extend(60_000_u32.to_be_bytes());
    bytes.extend(START.to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(1_u32.to_be_bytes());
    bytes.extend(sets.concat());
    bytes
}

pub(crate) fn set(id: u16, content: &[u8]) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend(u16::try_from(content.len() + 4).unwrap().to_be_bytes());
    bytes.extend(content);
    bytes
}

/// A template record: enterprise (0 for IANA), element, length.
pub(crate) fn template(id: u16, fields: &[(u32, u16, u16)]) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend(u16::try_from(fields.len()).unwrap().to_be_bytes());
    for (enterprise, element, length) in fields {
        let bit = if *enterprise == 0 { 0 } else { 0x8000 };
        bytes.extend((element | bit).to_be_bytes());
        bytes.extend(length.to_be_bytes());
        if *enterprise != 0 {
            bytes.extend(enterprise.to_be_bytes());
        }
    }
    bytes
}

/// Addresses, ports, protocol, bytes, packets, start and end in milliseconds.
pub(crate) const PLAIN: [(u32, u16, u16); 9] = [
    (0, 8, 4),
    (0, 12, 4),
    (0, 7, 2),
    (0, 11, 2),
    (0, 4, 1),
    (0, 1, 8),
    (0, 2, 4),
    (0, 152, 8),
    (0, 153, 8),
];

pub(crate) fn plain(client: u8, bytes: u64) -> Vec<u8> {
    let mut record = vec![198, 51, 100, client, 203, 0, 113, 5];
    record.extend(40_000_u16.to_be_bytes());
    record.extend(443_u16.to_be_bytes());
    record.push(6);
    record.extend(bytes.to_be_bytes());
    record.extend(3_u32.to_be_bytes());
    let millis = u64::from(START) * 1_000;
    record.extend((millis - 5_000).to_be_bytes());
    record.extend((millis - 1_000).to_be_bytes());
    record
}

#[test]
fn a_record_becomes_a_flow_field_by_field() {
    let sets = [set(2, &template(256, &PLAIN)), set(256, &plain(1, 900))];
    let collected = decoded(&[ipfix(0, &sets)]);
    assert_eq!(collected.losses, []);
    let [flow] = &collected.flows[..] else { unreachable!("one record") };
    assert_eq!(flow.originator.to_string(), "198.51.100.1");
    assert_eq!(flow.responder.to_string(), "203.0.113.5");
    assert_eq!((flow.originator_port, flow.responder_port), (40_000, 443));
    assert_eq!(flow.sent, Some(Volume { bytes: 900, packets: 3 }));
    assert_eq!((flow.received, flow.sampling.get()), (None, 1));
    assert_eq!(flow.start, Instant::from_unix(i64::from(START) - 5, 0));
    assert_eq!(flow.end, Instant::from_unix(i64::from(START) - 1, 0));
    assert_eq!(flow.exporter, Some(exporter()));
}

#[test]
fn a_name_of_variable_length_is_read_in_both_forms() {
    let mut fields = vec![(0, 291, 65_535), (8_057, 808, 65_535)];
    fields.extend(PLAIN);
    let name = format!("{}.example.com", "a".repeat(60));
    let mut record = vec![255, 0, 3, 9, 9, 9];
    record.push(u8::try_from(name.len()).unwrap());
    record.extend(name.as_bytes());
    record.extend(plain(1, 900));
    let sets =
        [set(2, &template(300, &fields)), set(300, &[record.clone(), record].concat())];
    let collected = decoded(&[ipfix(0, &sets)]);
    assert_eq!((collected.flows.len(), collected.losses.len()), (2, 0));
    let read = collected.flows[1].name.clone().unwrap();
    assert_eq!((&*read.host, read.origin), (name.as_str(), NameOrigin::TlsSni));
}

#[test]
fn a_port_of_another_transport_is_none() {
    let mut fields = PLAIN.to_vec();
    fields.extend([(0, 182, 2), (0, 181, 2), (0, 183, 2)]);
    let mut record = plain(1, 900);
    record[12] = 17;
    record.extend([0, 0, 1, 0xbb, 0, 0]);
    let sets = [set(2, &template(256, &fields)), set(256, &record)];
    let flow = decoded(&[ipfix(0, &sets)]).flows.remove(0);
    assert_eq!((flow.originator_port, flow.responder_port), (40_000, 443));
}

#[test]
fn a_biflow_is_one_flow_both_ways() {
    let mut fields = PLAIN.to_vec();
    fields.extend([(29_305, 1, 8), (29_305, 2, 8), (0, 239, 1)]);
    for (direction, sent, received) in [(1, 900, 70_000), (2, 70_000, 900)] {
        let mut record = plain(1, 900);
        record.extend(70_000_u64.to_be_bytes());
        record.extend(50_u64.to_be_bytes());
        record.push(direction);
        let sets = [set(2, &template(256, &fields)), set(256, &record)];
        let flow = decoded(&[ipfix(0, &sets)]).flows.remove(0);
        assert_eq!(flow.sent.unwrap().bytes, sent);
        assert_eq!(flow.received.unwrap().bytes, received);
        let originator = if direction == 1 { "198.51.100.1" } else { "203.0.113.5" };
        assert_eq!(flow.originator.to_string(), originator);
    }
}

#[test]
fn uptimes_of_v9_count_back_from_the_export() {
    let fields = [(0, 8, 4), (0, 12, 4), (0, 4, 1), (0, 22, 4), (0, 21, 4)];
    let mut record = vec![198, 51, 100, 1, 203, 0, 113, 5, 17];
    // The uptime of the header is 60 s: the flow began before it wrapped.
    record.extend((u32::MAX - 9_999).to_be_bytes());
    record.extend(50_000_u32.to_be_bytes());
    let sets = [set(0, &template(256, &fields)), set(256, &record)];
    let flow = decoded(&[v9(0, &sets)]).flows.remove(0);
    assert_eq!(flow.start, Instant::from_unix(i64::from(START) - 70, 0));
    assert_eq!(flow.end, Instant::from_unix(i64::from(START) - 10, 0));
    assert_eq!((flow.sent, flow.received), (None, None));
}

#[test]
fn events_of_a_firewall_count_a_connection_once() {
    let mut fields = PLAIN.to_vec();
    fields.push((0, 233, 1));
    let event = |kind: u8, bytes: u64| {
        let mut record = plain(1, bytes);
        record.push(kind);
        record
    };
    let events = [event(1, 0), event(5, 100), event(2, 800), event(3, 0)].concat();
    let sets = [set(2, &template(256, &fields)), set(256, &events)];
    let mut collected = Collected::default();
    let mut exports = Exports::new();
    exports.datagram(exporter(), 1, NOW, &ipfix(0, &sets), &mut collected);
    let bytes: Vec<_> =
        collected.flows.iter().map(|flow| flow.sent.map(|v| v.bytes)).collect();
    assert_eq!(bytes, [Some(100), Some(800), Some(0)]);
    let tally = exports.statistics()[0].tally;
    assert_eq!((tally.records, tally.flows, tally.events, tally.lost), (4, 3, 1, 0));
}

#[test]
fn a_template_withdrawn_or_redefined_is_no_more_used() {
    let other: Vec<_> = PLAIN.iter().copied().rev().collect();
    let mut turned = Vec::new();
    let record = plain(1, 900);
    let mut end = record.len();
    for (_, _, length) in PLAIN.iter().rev() {
        turned.extend(&record[end - usize::from(*length)..end]);
        end -= usize::from(*length);
    }
    let collected = decoded(&[
        ipfix(0, &[set(2, &template(256, &PLAIN)), set(256, &record)]),
        ipfix(1, &[set(2, &template(256, &other)), set(256, &turned)]),
        ipfix(2, &[set(2, &template(256, &[])), set(256, &turned)]),
    ]);
    assert_eq!(collected.flows.len(), 2);
    assert_eq!(collected.flows[0], collected.flows[1]);
    let reasons: Vec<_> = collected.losses.iter().map(|l| l.reason).collect();
    assert_eq!(reasons, [Reason::Template]);
}

#[test]
fn sampling_announced_in_options_is_that_of_the_records() {
    // Scope: observation domain (149). Options: selector (302), interval and space.
    let mut options = 400_u16.to_be_bytes().to_vec();
    options.extend([0, 4, 0, 1]);
    for (element, length) in [(149_u16, 4_u16), (302, 8), (305, 4), (306, 4)] {
        options.extend(element.to_be_bytes());
        options.extend(length.to_be_bytes());
    }
    let mut announced = 1_u32.to_be_bytes().to_vec();
    announced.extend(5_u64.to_be_bytes());
    announced.extend(1_u32.to_be_bytes());
    announced.extend(999_u32.to_be_bytes());
    let mut fields = PLAIN.to_vec();
    fields.push((0, 302, 8));
    let mut record = plain(1, 900);
    record.extend(5_u64.to_be_bytes());
    let sets = [
        set(2, &template(256, &fields)),
        set(3, &options),
        set(400, &announced),
        set(256, &record),
    ];
    let collected = decoded(&[ipfix(0, &sets), ipfix(2, &[set(256, &record)])]);
    assert_eq!(collected.losses, []);
    assert!(collected.flows.iter().all(|flow| flow.sampling.get() == 1_000));
}

#[test]
fn a_gap_in_the_sequence_is_a_loss_of_so_many_records() {
    let record = plain(1, 900);
    let collected = decoded(&[
        ipfix(100, &[set(2, &template(256, &PLAIN)), set(256, &record)]),
        ipfix(101, &[set(256, &record)]),
        ipfix(142, &[set(256, &record)]),
        ipfix(143, &[set(256, &record)]),
    ]);
    let [loss] = &collected.losses[..] else { unreachable!("one gap") };
    assert_eq!((loss.reason, loss.count), (Reason::Gap, 40));
    assert_eq!(loss.exporter, Some(exporter()));
}

/// Reasons and counts, when so many datagrams are said to be dropped between two messages
/// and the rest.
fn dropped(
    of: Option<Address>,
    datagrams: u64,
    messages: &[Vec<u8>],
) -> Vec<(Reason, u64)> {
    let mut collected = Collected::default();
    let mut exports = Exports::new();
    for (at, message) in messages.iter().enumerate() {
        if at == 2 {
            exports.dropped(of, datagrams, NOW, &mut collected);
        }
        exports.datagram(exporter(), 4_000, NOW, message, &mut collected);
    }
    exports.finish(&mut collected);
    let days = collected.losses.iter().filter(|loss| loss.reason == Reason::Limit);
    assert!(
        days.clone().all(|loss| loss.day == Some(NOW.day()) && loss.exporter == of)
    );
    collected.losses.iter().map(|loss| (loss.reason, loss.count)).collect()
}

#[test]
fn what_was_dropped_is_in_the_gap_or_told_but_never_both() {
    let other = Some("192.0.2.99".parse().unwrap());
    let (me, nobody) = (Some(exporter()), None);
    let v9_from = |numbers: &[u32]| -> Vec<Vec<u8>> {
        numbers.iter().map(|number| v9(*number, &[])).collect()
    };
    let (gap, limit) = (Reason::Gap, Reason::Limit);
    let hole_of_five = v9_from(&[7, 8, 14, 15]);
    for (of, datagrams, told) in [
        // The network lost two more.
        (me, 3, vec![(gap, 5)]),
        (me, 5, vec![(gap, 5)]),
        (nobody, 5, vec![(gap, 5)]),
        // What no gap explains is told.
        (me, 6, vec![(gap, 5), (limit, 1)]),
        (nobody, 7, vec![(gap, 5), (limit, 2)]),
        (other, 5, vec![(gap, 5), (limit, 5)]),
    ] {
        assert_eq!(dropped(of, datagrams, &hole_of_five), told, "{of:?} {datagrams}");
    }
    assert_eq!(dropped(me, 2, &v9_from(&[7, 8, 9, 10])), [(limit, 2)]);
}

#[test]
fn a_gap_of_records_explains_as_many_datagrams_as_hold_them() {
    let records =
        |count: u8| -> Vec<u8> { (0..count).flat_map(|c| plain(c, 900)).collect() };
    let message = |sequence| ipfix(sequence, &[set(256, &records(20))]);
    let first = ipfix(0, &[set(2, &template(256, &PLAIN)), set(256, &records(20))]);
    let messages = [first, message(20), message(80), message(100)];
    let (me, gap) = (Some(exporter()), (Reason::Gap, 40));
    assert_eq!(dropped(me, 2, &messages), [gap]);
    assert_eq!(dropped(me, 5, &messages), [gap, (Reason::Limit, 3)]);
}

#[test]
fn of_an_exporter_that_does_not_count_drops_are_told_before_the_end() {
    let mut collected = Collected::default();
    let mut exports = Exports::new();
    exports.dropped(Some(exporter()), 9, NOW, &mut collected);
    exports.dropped(Some(exporter()), 1, NOW, &mut collected);
    for _ in 0..1_023 {
        exports.datagram(exporter(), 4_000, NOW, &v9(0, &[]), &mut collected);
    }
    assert_eq!(collected.losses, []);
    exports.datagram(exporter(), 4_000, NOW, &v9(0, &[]), &mut collected);
    let told: Vec<_> = collected.losses.iter().map(|l| (l.reason, l.count)).collect();
    assert_eq!(told, [(Reason::Limit, 10)]);
    exports.finish(&mut collected);
    assert_eq!(collected.losses.len(), 1);
}

#[test]
fn state_survives_a_restart() {
    let mut before = Exports::new();
    let mut collected = Collected::default();
    let first = ipfix(0, &[set(2, &template(256, &PLAIN)), set(256, &plain(1, 900))]);
    before.datagram(exporter(), 4_000, NOW, &first, &mut collected);
    let text = serde_json::to_string(&before.state()).unwrap();
    let state: State = serde_json::from_str(&text).unwrap();
    let mut after = Exports::new();
    after.restore(state);
    let second = ipfix(11, &[set(256, &plain(2, 900))]);
    after.datagram(exporter(), 4_000, NOW, &second, &mut collected);
    after.finish(&mut collected);
    assert_eq!(collected.flows.len(), 2);
    let losses: Vec<_> = collected.losses.iter().map(|l| (l.reason, l.count)).collect();
    assert_eq!(losses, [(Reason::Gap, 10)]);
}

#[test]
fn what_waits_for_a_template_is_bounded_and_given_up() {
    let mut exports = Exports::new();
    let mut collected = Collected::default();
    let content = vec![1; 60_000];
    for at in 0..1_000 {
        exports.datagram(
            exporter(),
            1,
            NOW,
            &ipfix(at, &[set(999, &content)]),
            &mut collected,
        );
    }
    let refused = collected.losses.len();
    assert!(refused > 700, "{refused} refused: 16 MiB hold 279 of them");
    exports.expire(NOW.plus_seconds(1_799), &mut collected);
    assert_eq!(collected.losses.len(), refused);
    exports.expire(NOW.plus_seconds(1_800), &mut collected);
    assert_eq!(collected.losses.len(), 1_000);
    assert!(collected.losses.iter().all(|loss| loss.reason == Reason::Template));
}

/// Fields that both we and the second implementation know, of lengths that both read.
fn field() -> impl Strategy<Value = (u32, u16, u16)> {
    prop_oneof![
        Just((0, 1, 4)),
        Just((0, 2, 4)),
        Just((0, 4, 1)),
        Just((0, 5, 1)),
        Just((0, 7, 2)),
        Just((0, 10, 4)),
        Just((0, 11, 2)),
        Just((0, 16, 4)),
        Just((0, 31, 3)),
        Just((0, 62, 16)),
    ]
}

/// A layout with both addresses among other fields.
fn layout() -> impl Strategy<Value = Vec<(u32, u16, u16)>> {
    (prop::collection::vec(field(), 0..8), 0usize..9, 0usize..9).prop_map(
        |(mut fields, first, second)| {
            fields.sort_unstable();
            fields.dedup();
            fields.insert(first.min(fields.len()), (0, 8, 4));
            fields.insert(second.min(fields.len()), (0, 12, 4));
            fields
        },
    )
}

/// How many records of flows the second implementation finds.
fn second_opinion(messages: &[Vec<u8>]) -> usize {
    let mut parser = NetflowParser::default();
    let mut records = 0;
    for message in messages {
        for packet in parser.parse_bytes(message).packets {
            records += match packet {
                NetflowPacket::V5(v5) => v5.flowsets.len(),
                NetflowPacket::V9(v9) => {
                    use netflow_parser::variable_versions::v9::FlowSetBody as Body;
                    v9.flowsets
                        .iter()
                        .map(|set| match &set.body {
                            Body::Data(data) => data.fields.len(),
                            _ => 0,
                        })
                        .sum()
                }
                NetflowPacket::IPFix(ipfix) => {
                    use netflow_parser::variable_versions::ipfix::FlowSetBody as Body;
                    ipfix
                        .flowsets
                        .iter()
                        .map(|set| match &set.body {
                            Body::Data(data) => data.fields.len(),
                            _ => 0,
                        })
                        .sum()
                }
                _ => 0,
            };
        }
    }
    records
}

proptest! {
    /// Records before their template, in another order, or in other messages: the same flows.
    #[test]
    fn order_and_splitting_change_nothing(
        clients in prop::collection::vec(any::<u8>(), 1..40),
        cut in 1usize..8,
        at in 0usize..40,
        nine: bool,
    ) {
        let records: Vec<_> = clients.iter().map(|c| plain(*c, u64::from(*c) + 1)).collect();
        let message = |number: usize, set: Vec<u8>| {
            let number = u32::try_from(number).unwrap();
            if nine { v9(number, &[set]) } else { ipfix(number, &[set]) }
        };
        let define = if nine { 0 } else { 2 };
        let whole = [
            message(0, set(define, &template(256, &PLAIN))),
            message(1, set(256, &records.concat())),
        ];
        let mut split: Vec<_> = records
            .chunks(cut)
            .enumerate()
            .map(|(number, records)| message(number, set(256, &records.concat())))
            .collect();
        split.insert(at.min(split.len()), message(0, set(define, &template(256, &PLAIN))));
        let key = |flow: &Flow| (flow.originator, flow.sent.map(|v| v.bytes));
        let mut one: Vec<_> = decoded(&whole).flows.iter().map(key).collect();
        let other = decoded(&split);
        let mut two: Vec<_> = other.flows.iter().map(key).collect();
        one.sort_unstable();
        two.sort_unstable();
        prop_assert_eq!(one, two);
        prop_assert!(other.losses.iter().all(|loss| loss.reason == Reason::Gap));
    }

    /// A second implementation finds as many records in what is well formed.
    #[test]
    fn a_second_implementation_finds_as_many_records(
        fields in layout(),
        bytes in prop::collection::vec(any::<u8>(), 1..600),
        nine: bool,
    ) {
        let size: usize = fields.iter().map(|f| usize::from(f.2)).sum();
        let whole = bytes.len() / size * size;
        prop_assume!(whole > 0);
        let sets = [
            set(if nine { 0 } else { 2 }, &template(256, &fields)),
            set(256, &bytes[..whole]),
        ];
        let message = if nine { v9(0, &sets) } else { ipfix(0, &sets) };
        let ours = decoded(std::slice::from_ref(&message));
        prop_assert_eq!(ours.flows.len(), whole / size);
        prop_assert_eq!(second_opinion(&[message]), ours.flows.len());
    }

    /// No bytes panic, and the books close.
    #[test]
    fn no_bytes_panic_and_the_books_close(
        version in prop::sample::select(vec![5u8, 7, 9, 10, 0]),
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..6),
    ) {
        let messages: Vec<Vec<u8>> = bodies
            .into_iter()
            .map(|body| [vec![0, version], body].concat())
            .collect();
        books_close(&messages);
    }

    /// The same of messages that were good before a few bytes changed.
    #[test]
    fn no_damage_panics_and_the_books_close(
        fields in layout(),
        records in prop::collection::vec(any::<u8>(), 0..300),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        nine: bool,
    ) {
        let sets = [
            set(if nine { 0 } else { 2 }, &template(256, &fields)),
            set(256, &records),
        ];
        let mut message = if nine { v9(0, &sets) } else { ipfix(0, &sets) };
        for (at, value) in damage {
            let at = at.index(message.len());
            message[at] = value;
        }
        books_close(&[message.clone(), message]);
    }
}

/// Every record is a flow, an event, or lost; every loss has a reason and at least a record.
fn books_close(messages: &[Vec<u8>]) {
    let mut collected = Collected::default();
    let mut exports = Exports::new();
    for message in messages {
        exports.datagram(exporter(), 1, NOW, message, &mut collected);
    }
    exports.finish(&mut collected);
    let all = exports.statistics();
    let sum = |value: fn(&tidegauge_wire::export::Tally) -> u64| -> u64 {
        all.iter().map(|one| value(&one.tally)).sum()
    };
    let flows = u64::try_from(collected.flows.len()).unwrap();
    assert_eq!(sum(|tally| tally.flows), flows);
    assert_eq!(sum(|tally| tally.held), 0);
    let lost: u64 = collected.losses.iter().map(|loss| loss.count).sum();
    assert!(sum(|t| t.records) <= flows + sum(|t| t.events) + lost);
    assert!(collected.losses.iter().all(|loss| loss.count > 0));
    assert!(collected.flows.iter().all(|flow| flow.start <= flow.end));
}

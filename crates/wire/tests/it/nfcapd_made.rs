//! Files of nfcapd written here, from nfdump's structs, in either byte order: layouts that
//! no tool on Debian writes any more, and damage.

use proptest::prelude::*;
use tidegauge_model::{Flow, Instant, Loss, Reason, Volume};
use tidegauge_wire::nfcapd::{self, Tally};

use crate::batch::{Batch, LATEST};
use crate::nfdump::{Folder, Printed, Record, printed, written};

/// 2024-04-01T00:00:00Z, in milliseconds.
const START: u64 = 1_711_929_600_000;

/// Writes numbers in one order.
#[derive(Clone, Copy)]
struct Pen {
    big: bool,
}

const LITTLE: Pen = Pen { big: false };
const BIG: Pen = Pen { big: true };

impl Pen {
    fn u16(self, value: u16) -> Vec<u8> {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }.to_vec()
    }

    fn u32(self, value: u32) -> Vec<u8> {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }.to_vec()
    }

    fn u64(self, value: u64) -> Vec<u8> {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }.to_vec()
    }

    fn shorts(self, values: &[u16]) -> Vec<u8> {
        values.iter().flat_map(|value| self.u16(*value)).collect()
    }

    fn words(self, values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|value| self.u32(*value)).collect()
    }

    fn longs(self, values: &[u64]) -> Vec<u8> {
        values.iter().flat_map(|value| self.u64(*value)).collect()
    }

    /// A record: type, size, and the rest.
    fn record(self, kind: u16, rest: &[u8]) -> Vec<u8> {
        let size = u16::try_from(rest.len() + 4).unwrap();
        [self.shorts(&[kind, size]), rest.to_vec()].concat()
    }

    fn block(self, kind: u16, records: &[Vec<u8>], compress: Compress) -> Vec<u8> {
        let body = compress(&records.concat());
        let count = u32::try_from(records.len()).unwrap();
        let size = u32::try_from(body.len()).unwrap();
        [self.words(&[count, size]), self.shorts(&[kind, 0]), body].concat()
    }

    /// A file of layout 1; `flags` tell the compression.
    fn layout_1(self, flags: u32, blocks: &[Vec<u8>]) -> Vec<u8> {
        let count = u32::try_from(blocks.len()).unwrap();
        let mut file =
            [self.shorts(&[0xa50c, 1]), self.words(&[flags, count])].concat();
        let mut ident = b"made".to_vec();
        ident.resize(128 + 136, 0);
        file.extend(ident);
        file.extend(blocks.concat());
        file
    }

    /// A file of layout 2 without an appendix.
    fn layout_2(self, compression: u8, blocks: &[Vec<u8>]) -> Vec<u8> {
        let count = u32::try_from(blocks.len()).unwrap();
        let mut file = [
            self.shorts(&[0xa50c, 2]),
            self.u32(0x0107_0100),
            self.u64(START / 1_000),
            vec![compression, 0],
            self.u16(0),
            self.u32(1),
            self.u64(0),
            self.words(&[0, count]),
        ]
        .concat();
        file.extend(blocks.concat());
        file
    }

    /// `exporter_info_record_t` of 192.0.2.`number`, with that number.
    fn exporter(self, number: u16) -> Vec<u8> {
        let address = 0xc000_0200 + u64::from(number);
        let rest = [
            self.u32(9),
            self.longs(&[0, address]),
            self.shorts(&[2, number]),
            self.u32(0),
        ];
        self.record(7, &rest.concat())
    }

    /// `sampler_record_t`: one packet of `of`.
    fn sampler(self, exporter: u16, id: i64, of: u32) -> Vec<u8> {
        let rest = [
            self.shorts(&[exporter, 1]),
            self.u64(id.cast_unsigned()),
            self.words(&[1, of - 1]),
        ];
        self.record(15, &rest.concat())
    }

    /// `sampler_info_record_t`.
    fn sampler_of_1_6(self, exporter: u16, of: u32) -> Vec<u8> {
        let rest = [self.words(&[1, of]), self.shorts(&[1, exporter])];
        self.record(9, &rest.concat())
    }

    fn element(self, kind: u16, value: &[u8]) -> Vec<u8> {
        self.record(kind, value)
    }

    /// A record of 1.7: flags, exporter, and extensions.
    fn v3(self, flags: u8, exporter: u16, elements: &[Vec<u8>]) -> Vec<u8> {
        let count = u16::try_from(elements.len()).unwrap();
        let rest = [
            self.u16(count),
            vec![0, 0],
            self.u16(exporter),
            vec![flags, 9],
            elements.concat(),
        ];
        self.record(11, &rest.concat())
    }

    /// `EXgenericFlow_t`: TCP from port 40000 to 443, 9 s long.
    fn generic(self, packets: u64, bytes: u64) -> Vec<u8> {
        let value = [
            self.longs(&[START, START + 9_123, START + 60_000, packets, bytes]),
            self.shorts(&[40_000, 443]),
            vec![6, 0x1b, 0, 0],
        ];
        self.element(1, &value.concat())
    }

    /// `EXipv4Flow_t`: from 198.51.100.`client` to 203.0.113.5.
    fn v4(self, client: u32) -> Vec<u8> {
        self.element(2, &self.words(&[0xc633_6400 + client, 0xcb00_7105]))
    }

    /// A record of 1.7 of one client.
    fn plain(self, client: u32) -> Vec<u8> {
        self.v3(0, 1, &[self.generic(12, 1_500), self.v4(client)])
    }

    /// `extension_map_t`.
    fn map(self, id: u16, extensions: &[u16], size: u16) -> Vec<u8> {
        let mut rest = vec![id, size];
        rest.extend(extensions);
        rest.push(0);
        if rest.len() % 2 == 1 {
            rest.push(0);
        }
        self.record(2, &self.shorts(&rest))
    }

    /// `common_record_t`, or its form of before.
    fn common(self, flags: u16, map: u16, tail: &[u8], old: bool) -> Vec<u8> {
        let seconds = u32::try_from(START / 1_000).unwrap();
        let head = if old {
            [vec![u8::try_from(flags).unwrap(), 1], self.u16(map)].concat()
        } else {
            self.shorts(&[flags, map])
        };
        let rest = [
            head,
            self.shorts(&[0, 123]),
            self.words(&[seconds, seconds + 9]),
            vec![0, 0x1b, 6, 0],
            self.shorts(&[40_000, 443]),
            if old { vec![] } else { self.shorts(&[1, 0]) },
            tail.to_vec(),
        ];
        self.record(if old { 1 } else { 10 }, &rest.concat())
    }

    fn v6_ends(self, client: u64) -> Vec<u8> {
        let network = 0x2001_0db8_0000_0000;
        self.longs(&[network, client, network, 0x443])
    }

    /// Records of nfdump 1.6 with every width of counters and extensions before and behind
    /// those that are read.
    fn of_1_6(self) -> Vec<Vec<u8>> {
        let (client, server) = (0xc633_6401, 0xcb00_7105);
        vec![
            self.exporter(1),
            self.map(3, &[5, 7, 8, 9, 13, 15, 17, 27], 4 * 3 + 8 * 5),
            self.map(4, &[4, 14, 16, 22, 23], 4 + 4 + 4 + 40 + 4),
            self.map(5, &[], 0),
            self.common(
                0,
                3,
                &[
                    self.words(&[client, server, 12, 1_500]),
                    self.words(&[1, 2, 64_500, 64_501, 0, 0x0a00_0001, 0]),
                    self.longs(&[7, 900, START]),
                ]
                .concat(),
                false,
            ),
            self.common(
                1 | 2 | 4,
                4,
                &[
                    self.v6_ends(1),
                    self.longs(&[5_000_000_000, 6_000_000_000_000]),
                    self.shorts(&[1, 2]),
                    self.words(&[3, 400]),
                    vec![0; 40],
                    self.u32(0xc000_0209),
                ]
                .concat(),
                false,
            ),
            self.common(
                2,
                5,
                &[self.words(&[client, server]), self.u64(5_000_000_000), self.u32(77)]
                    .concat(),
                false,
            ),
        ]
    }
}

type Compress = fn(&[u8]) -> Vec<u8>;

fn stored(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    lz4_flex::block::compress(bytes)
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::bulk::compress(bytes, 3).unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut out = Vec::new();
    let best = ::bzip2::Compression::best();
    ::bzip2::read::BzEncoder::new(bytes, best).read_to_end(&mut out).unwrap();
    out
}

/// One run of literals, as any compressor of LZO1X may write: its length, then the bytes,
/// then the end of the stream (Linux, `Documentation/staging/lzo.rst`).
fn lzo(bytes: &[u8]) -> Vec<u8> {
    let mut long = bytes.len() - 18;
    let mut out = vec![0];
    while long > 255 {
        out.push(0);
        long -= 255;
    }
    out.push(u8::try_from(long).unwrap());
    out.extend(bytes);
    out.extend([0x11, 0, 0]);
    out
}

/// Flows, losses and tally of a file.
#[derive(Debug, Default)]
struct Read {
    flows: Vec<Flow>,
    losses: Vec<Loss>,
    tally: Tally,
}

impl tidegauge_wire::Sink for Read {
    fn flow(&mut self, flow: Flow) {
        self.flows.push(flow);
    }
    fn answer(&mut self, _: tidegauge_model::Answer) {}
    fn loss(&mut self, loss: Loss) {
        self.losses.push(loss);
    }
}

fn read(file: &[u8]) -> Read {
    let mut read = Read::default();
    let tally = nfcapd::read(&mut &*file, LATEST, &mut read).unwrap();
    read.tally = tally;
    let long = |length: usize| u64::try_from(length).unwrap();
    assert_eq!(tally.bytes, long(file.len()), "all is read");
    assert_eq!(tally.bytes, tally.bytes_opened + tally.bytes_lost);
    assert_eq!(tally.content, tally.content_read + tally.content_lost);
    assert_eq!(tally.flows, long(read.flows.len()));
    let of_sequence = |loss: &&Loss| loss.reason == Reason::Gap;
    let lost: u64 =
        read.losses.iter().filter(|l| !of_sequence(l)).map(|l| l.count).sum();
    assert_eq!(tally.lost, lost);
    read
}

fn reasons(read: &Read) -> Vec<(Reason, u64)> {
    read.losses.iter().map(|loss| (loss.reason, loss.count)).collect()
}

fn records(read: &Read) -> Vec<Record> {
    let mut records: Vec<_> = read.flows.iter().map(written).collect();
    records.sort();
    records
}

#[test]
fn a_record_becomes_a_flow_field_by_field() {
    let records = [LITTLE.exporter(1), LITTLE.plain(1)];
    let file = LITTLE.layout_2(0, &[LITTLE.block(3, &records, stored)]);
    let batch = Batch::decode(&[&file]);
    assert_eq!(batch.reasons(), []);
    let [flow] = &batch.flows[..] else { unreachable!("one record") };
    assert_eq!(flow.originator.to_string(), "198.51.100.1");
    assert_eq!(flow.responder.to_string(), "203.0.113.5");
    assert_eq!((flow.originator_port, flow.responder_port), (40_000, 443));
    assert_eq!(flow.sent, Some(Volume { bytes: 1_500, packets: 12 }));
    assert_eq!((flow.received, flow.sampling.get()), (None, 1));
    assert_eq!(flow.tcp_flags, Some(0x1b));
    let start = i64::try_from(START).unwrap() * 1_000;
    assert_eq!(flow.start, Instant(start));
    assert_eq!(flow.end, Instant(start + 9_123_000));
    assert_eq!(flow.exporter.unwrap().to_string(), "192.0.2.1");
}

#[test]
fn both_byte_orders_and_every_compression_give_the_same() {
    let all = |pen: Pen| -> Vec<Vec<u8>> {
        let mut records = vec![pen.exporter(1), pen.sampler(1, 7, 100)];
        records.extend((1..40).map(|client| pen.plain(client)));
        records.push(pen.v3(2, 1, &[pen.generic(1_200, 150_000), pen.v4(99)]));
        let v6 = pen.element(3, &pen.v6_ends(9));
        let out = pen.element(5, &pen.longs(&[1, 30, 40_000]));
        records.push(pen.v3(0, 1, &[pen.generic(12, 1_500), v6, out]));
        records
    };
    let plain = read(&LITTLE.layout_2(0, &[LITTLE.block(3, &all(LITTLE), stored)]));
    assert_eq!((plain.flows.len(), reasons(&plain)), (41, vec![]));
    let sampled = &plain.flows[39];
    assert_eq!(sampled.sampling.get(), 100);
    assert_eq!(sampled.sent, Some(Volume { bytes: 1_500, packets: 12 }));
    let both_ways = &plain.flows[40];
    assert_eq!(both_ways.received, Some(Volume { bytes: 40_000, packets: 30 }));
    let ways: [(u8, Compress); 5] =
        [(0, stored), (1, lzo), (2, bzip2), (3, lz4), (4, zstd)];
    for pen in [LITTLE, BIG] {
        for (number, compress) in ways {
            let file = pen.layout_2(number, &[pen.block(3, &all(pen), compress)]);
            assert_eq!(read(&file).flows, plain.flows, "{number}");
        }
    }
}

#[test]
fn layout_1_is_read_as_nfdump_reads_it() {
    let ways: [(u32, Compress); 4] = [(0, stored), (1, lzo), (8, bzip2), (0x10, lz4)];
    let expected = [
        ((12, 1_500), (7, 900), "192.0.2.1"),
        ((5_000_000_000, 77), (0, 0), "192.0.2.1"),
        ((5_000_000_000, 6_000_000_000_000), (3, 400), "192.0.2.9"),
    ];
    for pen in [LITTLE, BIG] {
        for (flags, compress) in ways {
            let file = pen.layout_1(flags, &[pen.block(2, &pen.of_1_6(), compress)]);
            let ours = read(&file);
            assert_eq!(reasons(&ours), []);
            let ours = records(&ours);
            let told: Vec<_> = ours
                .iter()
                .map(|record| (record.there, record.back, record.exporter.as_str()))
                .collect();
            assert_eq!(told, expected);
            if pen.big {
                continue;
            }
            let folder = Folder::new();
            let Some(theirs) = printed(&folder.file("made", &file)) else { return };
            let mut theirs: Vec<_> = theirs.iter().map(Printed::record).collect();
            theirs.sort();
            for record in &mut theirs {
                // nfdump 1.7 prints the router only where the record itself has it.
                if record.exporter.is_empty() {
                    record.exporter = "192.0.2.1".to_owned();
                }
            }
            assert_eq!(ours, theirs, "compression {flags}");
        }
    }
}

#[test]
fn records_of_before_have_shorter_common_parts() {
    let tail = LITTLE.words(&[0xc633_6401, 0xcb00_7105, 12, 1_500]);
    let of_1_6_0 =
        [LITTLE.exporter(1), LITTLE.map(5, &[], 0), LITTLE.common(0, 5, &tail, true)];
    let seconds = u32::try_from(START / 1_000).unwrap();
    // common_record_v1_t: flags, size, exporter, times, interfaces, ports, AS numbers.
    let of_1_5 = [
        LITTLE.u32(0),
        LITTLE.shorts(&[52, 0, 0, 123]),
        LITTLE.words(&[seconds, seconds + 9]),
        vec![0, 0x1b, 6, 0],
        LITTLE.shorts(&[1, 2, 40_000, 443, 0, 0]),
        tail,
    ]
    .concat();
    let file = LITTLE.layout_1(
        0,
        &[LITTLE.block(2, &of_1_6_0, stored), LITTLE.block(1, &[of_1_5], stored)],
    );
    let read = read(&file);
    assert_eq!(reasons(&read), []);
    let [first, second] = &read.flows[..] else { unreachable!("{read:?}") };
    assert_eq!(first.exporter.unwrap().to_string(), "192.0.2.1");
    assert_eq!(Flow { exporter: first.exporter, ..second.clone() }, *first);
    assert_eq!(first.end.0 - first.start.0, 9_123_000);
}

#[test]
fn an_exporter_may_be_told_behind_its_records() {
    let sampled = LITTLE.v3(2, 1, &[LITTLE.generic(1_200, 150_000), LITTLE.v4(1)]);
    let blocks = [
        LITTLE.block(3, std::slice::from_ref(&sampled), stored),
        LITTLE.block(3, &[LITTLE.exporter(1), LITTLE.sampler(1, -1, 100)], stored),
    ];
    let read = read(&LITTLE.layout_2(0, &blocks));
    let flow = &read.flows[0];
    assert_eq!(flow.exporter.unwrap().to_string(), "192.0.2.1");
    assert_eq!((flow.sampling.get(), flow.sent.unwrap().packets), (100, 12));
}

#[test]
fn volumes_scaled_by_an_unknown_rate_are_unknown() {
    let named = |id: u64| LITTLE.element(18, &LITTLE.longs(&[id, 0]));
    let sampled = |more: Vec<u8>| {
        LITTLE.v3(2, 1, &[LITTLE.generic(1_200, 150_000), LITTLE.v4(1), more])
    };
    let records = [
        LITTLE.exporter(1),
        LITTLE.sampler(1, 3, 100),
        LITTLE.sampler(1, 4, 10),
        sampled(named(3)),
        sampled(named(4)),
        sampled(vec![]),
    ];
    let read = read(&LITTLE.layout_2(0, &[LITTLE.block(3, &records, stored)]));
    let told: Vec<_> = read
        .flows
        .iter()
        .map(|flow| (flow.sampling.get(), flow.sent.map(|sent| sent.packets)))
        .collect();
    assert_eq!(told, [(100, Some(12)), (10, Some(120)), (1, None)]);
}

#[test]
fn samplers_of_1_6_are_read() {
    let tail = LITTLE.words(&[0xc633_6401, 0xcb00_7105, 1_200, 150_000]);
    let records = [
        LITTLE.exporter(1),
        LITTLE.sampler_of_1_6(1, 100),
        LITTLE.map(5, &[], 0),
        LITTLE.common(128, 5, &tail, false),
    ];
    let read = read(&LITTLE.layout_1(0, &[LITTLE.block(2, &records, stored)]));
    let flow = &read.flows[0];
    assert_eq!((flow.sampling.get(), flow.sent.unwrap().packets), (100, 12));
}

#[test]
fn events_of_a_firewall_count_a_connection_once() {
    let event = |kind: u8, packets: u64, bytes: u64| {
        let nsel = [LITTLE.u64(START), vec![0; 6], vec![kind, 0]].concat();
        let nsel = LITTLE.element(19, &nsel);
        LITTLE.v3(1, 0, &[LITTLE.generic(packets, bytes), LITTLE.v4(1), nsel])
    };
    let records = [event(1, 0, 0), event(2, 3, 800), event(3, 0, 0)];
    let read = read(&LITTLE.layout_2(0, &[LITTLE.block(3, &records, stored)]));
    let sent: Vec<_> = read.flows.iter().map(|f| f.sent.map(|v| v.bytes)).collect();
    assert_eq!((sent, read.tally.events), (vec![Some(800), None], 1));
}

#[test]
fn breaks_of_an_exporters_sequence_are_a_gap() {
    let statistics = [LITTLE.words(&[1, 1, 4]), LITTLE.longs(&[20, 9])].concat();
    let records = [LITTLE.exporter(1), LITTLE.plain(1), LITTLE.record(8, &statistics)];
    let read = read(&LITTLE.layout_2(0, &[LITTLE.block(3, &records, stored)]));
    let [loss] = &read.losses[..] else { unreachable!("{read:?}") };
    assert_eq!((loss.reason, loss.count), (Reason::Gap, 4));
    assert_eq!(loss.exporter.unwrap().to_string(), "192.0.2.1");
    assert_eq!(loss.day.unwrap().to_string(), "2024-04-01");
}

#[test]
fn what_is_not_known_is_passed_over_by_its_length_or_lost() {
    let unknown = LITTLE.element(999, &[1, 2, 3]);
    let good = LITTLE.v3(0, 1, &[unknown, LITTLE.generic(12, 1_500), LITTLE.v4(1)]);
    let too_long = LITTLE.v3(0, 1, &[LITTLE.shorts(&[1, 500]), vec![0; 20]]);
    let too_short = LITTLE.v3(0, 1, &[LITTLE.element(1, &[0; 47])]);
    let nowhere = LITTLE.v3(0, 1, &[LITTLE.generic(12, 1_500)]);
    let no_map = LITTLE.common(0, 77, &[0; 16], false);
    let records =
        [LITTLE.record(77, &[0; 8]), too_long, too_short, nowhere, no_map, good];
    let read = read(&LITTLE.layout_2(0, &[LITTLE.block(3, &records, stored)]));
    let lost = [
        Reason::Format,
        Reason::Length,
        Reason::Length,
        Reason::ColumnMissing,
        Reason::Template,
    ];
    assert_eq!(reasons(&read), lost.map(|reason| (reason, 1)));
    assert_eq!(read.losses[1].offset, 40 + 12 + 12, "where the record begins");
    assert_eq!(read.flows.len(), 1);
}

#[test]
fn a_collector_that_was_killed_counts_no_blocks() {
    let block = LITTLE.block(3, &[LITTLE.plain(1)], stored);
    let mut file = LITTLE.layout_2(0, &[block]);
    file[36..40].fill(0);
    assert_eq!((read(&file).flows.len(), reasons(&read(&file))), (1, vec![]));
    file[36] = 2;
    assert_eq!(reasons(&read(&file)), [(Reason::Truncated, 1)]);
}

#[test]
fn what_cannot_be_read_is_one_loss() {
    let good = LITTLE.layout_2(0, &[LITTLE.block(3, &[LITTLE.plain(1)], stored)]);
    for (at, value) in [(2, 3), (16, 9), (17, 1)] {
        let mut file = good.clone();
        file[at] = value;
        let read = read(&file);
        assert_eq!(reasons(&read), [(Reason::Format, 1)], "byte {at}");
        assert_eq!(read.flows.len(), 0);
    }
}

#[test]
fn a_block_takes_no_more_than_a_block_may() {
    let bomb = [vec![0; 6 << 20]];
    let ways: [(u8, Compress); 4] = [(1, lzo), (2, bzip2), (3, lz4), (4, zstd)];
    for (number, compress) in ways {
        let mut block = LITTLE.block(3, &bomb, compress);
        if number == 1 {
            // Stored, its size alone is over the bound.
            block.truncate(64);
            block[4..8].copy_from_slice(&(6_u32 << 20).to_le_bytes());
        }
        let read = read(&LITTLE.layout_2(number, &[block]));
        let reason = if number == 1 { Reason::Length } else { Reason::Compression };
        assert_eq!(reasons(&read), [(reason, 1)], "{number}");
    }
}

#[test]
fn a_file_cut_anywhere_loses_what_is_behind_and_nothing_else() {
    let records: Vec<_> = (1..4).map(|client| LITTLE.plain(client)).collect();
    for (number, compress) in [(0, stored as Compress), (3, lz4)] {
        let block = LITTLE.block(3, &records, compress);
        let file = LITTLE.layout_2(number, &[block.clone(), block]);
        let whole = read(&file);
        assert_eq!((whole.flows.len(), whole.losses.len()), (6, 0));
        for length in 0..file.len() {
            let cut = read(&file[..length]);
            assert_eq!(cut.flows, whole.flows[..cut.flows.len()]);
            let [loss] = &cut.losses[..] else { unreachable!("{length}: {cut:?}") };
            let reason = if length < 4 { Reason::Format } else { Reason::Truncated };
            assert_eq!(loss.reason, reason, "{length}");
        }
    }
}

proptest! {
    /// No damage panics, and the books close, which `read` checks.
    #[test]
    fn no_damage_panics_and_the_books_close(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        way in 0usize..5,
        old: bool,
        big: bool,
    ) {
        let ways: [(u8, u32, Compress); 5] =
            [(0, 0, stored), (1, 1, lzo), (2, 8, bzip2), (3, 0x10, lz4), (4, 0, stored)];
        let (number, flags, compress) = ways[way];
        let pen = Pen { big };
        let mut file = if old {
            pen.layout_1(flags, &[pen.block(2, &pen.of_1_6(), compress)])
        } else {
            let records = [pen.exporter(1), pen.plain(1), pen.sampler(1, 1, 10)];
            pen.layout_2(number, &[pen.block(3, &records, compress)])
        };
        for (at, value) in damage {
            let at = at.index(file.len());
            file[at] = value;
        }
        read(&file);
    }

    /// The same of any bytes as a block of any kind.
    #[test]
    fn no_block_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        number in 0u8..6,
        kind in 1u16..5,
        old: bool,
    ) {
        let block = LITTLE.block(kind, &[bytes], stored);
        let flags = [0, 1, 8, 0x10, 0, 0x18][usize::from(number)];
        let file = if old {
            LITTLE.layout_1(flags, &[block])
        } else {
            LITTLE.layout_2(number, &[block])
        };
        read(&file);
    }
}

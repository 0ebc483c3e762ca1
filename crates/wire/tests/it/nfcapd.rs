//! Files that nfcapd 1.7.1 wrote, against what nfdump prints of them.

use tidegauge_model::{Address, Reason};
use tidegauge_wire::Format;

use crate::batch::Batch;
use crate::export_made::{PLAIN, START, ipfix, plain, set, template, v9};
use crate::export_shared::tshark;
use crate::nfdump::{Datagram, Folder, Printed, Record, captured, printed, written};

/// NetFlow v5: a header, sampling one in `rate`, and a record for each client.
fn v5(rate: u16, clients: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 5, 0, u8::try_from(clients.len()).unwrap()];
    for word in [600_000, START, 250_000_000, 0] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend([0, 0]);
    bytes.extend((0x4000 | rate).to_be_bytes());
    for client in clients {
        bytes.extend([198, 51, 100, *client, 203, 0, 113, 5, 0, 0, 0, 0, 0, 1, 0, 2]);
        for word in [12, 1_500 + u32::from(*client), 590_000, 599_123] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(40_000_u16.to_be_bytes());
        bytes.extend(443_u16.to_be_bytes());
        bytes.extend([0, 0x1b, 6, 0, 0, 0, 0, 0, 24, 24, 0, 0]);
    }
    bytes
}

/// Datagrams of three exporters: sampled and not, both versions of IP, both ways, ICMP.
fn datagrams() -> Vec<Datagram> {
    let clients: Vec<u8> = (1..=28).collect();
    let mut all: Vec<Datagram> = vec![(1, v5(100, &clients)), (2, v5(0, &clients))];
    let mut both = PLAIN.to_vec();
    both.extend([(0, 23, 8), (0, 24, 4)]);
    let mut way_back = plain(9, 900);
    way_back.extend(70_000_u64.to_be_bytes());
    way_back.extend(50_u32.to_be_bytes());
    all.push((3, v9(0, &[set(0, &template(256, &both)), set(256, &way_back)])));
    let six = [(0, 27, 16), (0, 28, 16), (0, 4, 1), (0, 139, 2), (0, 1, 8), (0, 2, 4)];
    let mut ping: Vec<u8> = vec![0x20, 1, 0x0d, 0xb8];
    ping.resize(15, 0);
    ping.extend([1, 0x20, 1, 0x0d, 0xb8]);
    ping.resize(31, 0);
    ping.extend([2, 58, 128, 0]);
    ping.extend(64_u64.to_be_bytes());
    ping.extend(1_u32.to_be_bytes());
    let mut fields = six.to_vec();
    fields.extend([(0, 152, 8), (0, 153, 8)]);
    let millis = u64::from(START) * 1_000;
    ping.extend((millis - 5_001).to_be_bytes());
    ping.extend((millis - 1_002).to_be_bytes());
    let sets = [set(2, &template(300, &fields)), set(300, &ping)];
    all.push((4, ipfix(0, &sets)));
    all
}

/// What nfdump prints, as the flows that are expected of it: see "nfcapd" in
/// `docs/reference/formats.md`.
fn expected(printed: &[Printed]) -> Vec<Record> {
    let mut records: Vec<_> = printed.iter().map(Printed::record).collect();
    records.sort();
    records
}

fn ours(batch: &Batch) -> Vec<Record> {
    let mut records: Vec<_> = batch.flows.iter().map(written).collect();
    records.sort();
    records
}

#[test]
fn every_compression_of_nfcapd_is_read_as_nfdump_reads_it() {
    for (option, byte) in [("", 0), ("-z", 1), ("-j", 2), ("-y", 3)] {
        let arguments: Vec<_> =
            (!option.is_empty()).then_some(option).into_iter().collect();
        let Some(file) = captured(&datagrams(), &arguments) else { return };
        assert_eq!(file[16], byte, "nfcapd compresses");
        let batch = Batch::decode(&[&file]);
        assert_eq!(batch.formats, [Some(Format::Nfcapd)]);
        assert!(batch.losses.iter().all(|loss| loss.reason == Reason::Gap));
        let folder = Folder::new();
        let theirs = printed(&folder.file("made", &file)).unwrap();
        assert_eq!(ours(&batch).len(), 58);
        assert_eq!(ours(&batch), expected(&theirs), "{option}");
        let sampled =
            batch.flows.iter().filter(|flow| flow.sampling.get() == 100).count();
        assert_eq!(sampled, 28, "{option}");
    }
}

#[test]
fn files_that_nfcapd_wrote_are_read() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/nfcapd");
    for name in ["plain", "lzo", "bzip2", "lz4"] {
        let file = std::fs::read(folder.join(name)).unwrap();
        let batch = Batch::decode(&[&file]);
        assert_eq!(batch.reasons(), [], "{name}");
        assert_eq!(batch.flows.len(), 24, "{name}");
        for (flow, client) in batch.flows.iter().zip(1_u16..) {
            assert_eq!(flow.originator.to_string(), format!("198.51.100.{client}"));
            assert_eq!(flow.responder.to_string(), "203.0.113.5");
            assert_eq!(flow.originator_port, 40_000 + client);
            let sent = flow.sent.unwrap();
            assert_eq!((sent.packets, sent.bytes), (12, 1_500 + u64::from(client)));
            assert_eq!(flow.sampling.get(), 100);
            assert_eq!(flow.exporter.unwrap().to_string(), "127.0.0.1");
            // Exported at START + 0.25 s with an uptime of 600 s.
            let start = i64::from(START) * 1_000_000 - 9_750_000;
            assert_eq!((flow.start.0, flow.end.0 - flow.start.0), (start, 9_123_000));
        }
    }
}

/// NetFlow v7 as Cisco lays it out ("NetFlow Export Datagram Format", table B-6 and B-7): the
/// header of v5 with four reserved bytes at its end, records of 52 bytes that end with flags
/// and the address of the router that was passed by.
fn v7(clients: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 7, 0, u8::try_from(clients.len()).unwrap()];
    for word in [600_000, START, 250_000_000, 17, 0] {
        bytes.extend(word.to_be_bytes());
    }
    for client in clients {
        bytes.extend([198, 51, 100, *client, 203, 0, 113, 5, 10, 0, 0, 1, 0, 1, 0, 2]);
        for word in [12, 1_500 + u32::from(*client), 590_000, 599_123] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(40_000_u16.to_be_bytes());
        bytes.extend(443_u16.to_be_bytes());
        // Flags, TCP flags, protocol, type of service, AS numbers, masks, flags, router.
        bytes.extend([0, 0x1b, 6, 0, 0, 7, 0, 8, 24, 24, 0, 0, 10, 0, 0, 254]);
    }
    bytes
}

#[test]
fn netflow_v7_is_read_as_nfcapd_and_tshark_read_it() {
    let clients: Vec<u8> = (1..=27).collect();
    let datagram = v7(&clients);
    let batch = Batch::decode(&[&datagram]);
    assert_eq!((batch.formats, batch.losses), (vec![Some(Format::Export)], vec![]));
    let mut ours: Vec<_> = batch.flows.iter().map(written).collect();
    assert_eq!(ours.len(), 27);
    let first = &ours[0];
    assert_eq!((first.there, first.tcp_flags), ((12, 1_501), 0x1b));
    assert_eq!(first.last_millis - first.first_millis, 9_123);

    let addresses = ours.iter().flat_map(|r| [r.source.clone(), r.destination.clone()]);
    let mut addresses: Vec<Address> = addresses.map(|a| a.parse().unwrap()).collect();
    addresses.sort_unstable();
    let mut bytes: Vec<u64> = ours.iter().map(|record| record.there.1).collect();
    bytes.sort_unstable();
    if let Some(theirs) = tshark(std::slice::from_ref(&datagram)) {
        assert_eq!(theirs, (addresses, bytes));
    } else {
        println!("SKIPPED: no tshark");
    }

    let Some(file) = captured(&[(9, datagram)], &[]) else { return };
    let folder = Folder::new();
    let theirs = expected(&printed(&folder.file("made", &file)).unwrap());
    // A file of messages does not tell its exporter.
    for record in &mut ours {
        record.exporter = "127.0.0.9".to_owned();
    }
    ours.sort();
    assert_eq!(ours, theirs);
}

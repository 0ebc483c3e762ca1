//! The same datagrams to nfcapd and to us: every record, field by field.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;

use tidegauge_model::{Address, Flow, Instant};
use tidegauge_wire::Decoder;
use tidegauge_wire::export::Exports;

use crate::batch::Batch;
use crate::export_shared::{LOGSTASH, messages, shared};
use crate::nfdump::{
    Datagram, Folder, Printed, Record, captured, printed, sampled, written,
};

/// 2027-01-01: after the latest capture.
const LATEST: Instant = Instant(1_798_761_600_000_000);

/// What we make of the datagrams, as records.
fn ours(datagrams: &[Datagram]) -> Batch {
    let mut batch = Batch::default();
    let mut exports = Exports::new();
    for (number, datagram) in datagrams {
        let from = Address::from(std::net::Ipv4Addr::new(127, 0, 0, *number));
        exports.datagram(from, 4_000, LATEST, datagram, &mut batch);
    }
    exports.finish(&mut batch);
    batch
}

/// What only one side has.
fn apart(
    ours: impl Iterator<Item = Record>,
    theirs: impl Iterator<Item = Record>,
) -> (Vec<Record>, Vec<Record>) {
    let mut counts: BTreeMap<Record, i64> = BTreeMap::new();
    for record in ours {
        *counts.entry(record).or_default() += 1;
    }
    for record in theirs {
        *counts.entry(record).or_default() -= 1;
    }
    let (mut only_ours, mut only_theirs) = (vec![], vec![]);
    for (record, count) in counts {
        for _ in 0..count.unsigned_abs() {
            let side = if count > 0 { &mut only_ours } else { &mut only_theirs };
            side.push(record.clone());
        }
    }
    (only_ours, only_theirs)
}

/// Whether a datagram begins with a version of NetFlow or IPFIX.
fn is_flows(datagram: &[u8]) -> bool {
    matches!(datagram, [0, 5 | 7 | 9 | 10, ..])
}

/// Whether a datagram begins as one of sFlow v5.
fn is_samples(datagram: &[u8]) -> bool {
    datagram.starts_with(&[0, 0, 0, 5])
}

/// The payloads of UDP in a classic capture of Ethernet that are `wanted`, in order; each
/// source is an exporter.
fn payloads(capture: &[u8], wanted: fn(&[u8]) -> bool) -> Vec<Datagram> {
    // With microseconds or nanoseconds; the times are not looked at.
    let little =
        matches!(capture, [0xd4, 0xc3, 0xb2, 0xa1, ..] | [0x4d, 0x3c, 0xb2, 0xa1, ..]);
    assert!(little || capture.starts_with(&[0xa1, 0xb2, 0xc3, 0xd4]));
    let word = |at: usize| {
        let bytes = capture[at..at + 4].try_into().unwrap();
        if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
    };
    let mut sources: Vec<Vec<u8>> = vec![];
    let mut all = vec![];
    let mut at = 24;
    while at + 16 <= capture.len() {
        let length = usize::try_from(word(at + 8)).unwrap();
        let frame = &capture[at + 16..at + 16 + length];
        at += 16 + length;
        let Ok(packet) = etherparse::SlicedPacket::from_ethernet(frame) else {
            continue;
        };
        let Some(etherparse::TransportSlice::Udp(udp)) = &packet.transport else {
            continue;
        };
        let source = match &packet.net {
            Some(etherparse::NetSlice::Ipv4(ip)) => ip.header().source().to_vec(),
            Some(etherparse::NetSlice::Ipv6(ip)) => ip.header().source().to_vec(),
            _ => continue,
        };
        if !wanted(udp.payload()) {
            continue;
        }
        let known = sources.iter().position(|known| *known == source);
        let number = known.unwrap_or_else(|| {
            sources.push(source);
            sources.len() - 1
        });
        all.push((u8::try_from(number + 1).unwrap(), udp.payload().to_vec()));
    }
    all
}

fn datagrams(paths: &[PathBuf]) -> Vec<Datagram> {
    let one = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        let capture = path.extension().is_some_and(|ending| ending == "pcap");
        if capture {
            return payloads(&bytes, is_flows);
        }
        messages(&bytes).into_iter().map(|message| (1, message)).collect()
    };
    paths.iter().flat_map(one).collect()
}

/// Why the two may differ: each is explained under "nfcapd and nfdump 1.7.1" in
/// `docs/reference/formats.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Difference {
    /// Times of IPFIX that count from the exporter's start stand the wrong way round there.
    Swapped,
    /// There, records whose times it does not read have none.
    NoTimes,
    /// It does not take the sampling rate.
    Unscaled,
    /// It keeps so many records without addresses.
    NoAddresses(usize),
    /// Events have no end and no packets there.
    Events,
    /// It does not read the TCP flags of YAF.
    Flags,
    /// It does not read the volumes of the way back.
    NoWayBack,
    /// What was counted at the way out alone stands under "out" there.
    OutAlone,
    /// Where a record has both versions of IP it prints zeros.
    BothVersions,
    /// A flow without volumes does not tell which way its record went.
    Ways,
    /// It drops so many records that come before their template in the same datagram.
    BeforeTemplate(usize),
}

use Difference::{
    BeforeTemplate, BothVersions, Events, Flags, NoAddresses, NoTimes, NoWayBack,
    OutAlone, Swapped, Unscaled, Ways,
};

/// Makes both sides alike in what is known to differ; false if it does not as told.
fn level(
    difference: Difference,
    ours: &mut Vec<Record>,
    theirs: &mut Vec<Record>,
) -> bool {
    match difference {
        Swapped => {
            for record in theirs {
                if record.first_millis > record.last_millis {
                    std::mem::swap(&mut record.first_millis, &mut record.last_millis);
                }
            }
        }
        NoTimes => {
            // Only for the ends that have none there: others must agree.
            let ends = |record: &Record| {
                let ports = (record.source_port, record.destination_port);
                (record.source.clone(), record.destination.clone(), ports)
            };
            let timeless: Vec<_> =
                theirs.iter().filter(|r| r.first_millis == 0).map(ends).collect();
            for record in ours.iter_mut().filter(|r| timeless.contains(&ends(r))) {
                (record.first_millis, record.last_millis) = (0, 0);
            }
        }
        // `records` did.
        Unscaled => {}
        NoAddresses(count) => {
            let before = theirs.len();
            theirs.retain(|record| !record.source.is_empty());
            return before - theirs.len() == count;
        }
        Events => {
            let as_told = theirs.iter().all(|r| (r.last_millis, r.there.0) == (0, 0));
            for record in theirs {
                record.there.0 = u64::from(record.there.1 > 0);
            }
            for record in ours {
                record.last_millis = 0;
            }
            return as_told;
        }
        Flags => ours.iter_mut().chain(theirs).for_each(|record| record.tcp_flags = 0),
        NoWayBack => ours.iter_mut().for_each(|record| record.back = (0, 0)),
        OutAlone => {
            for record in theirs.iter_mut().filter(|record| record.there == (0, 0)) {
                record.there = std::mem::take(&mut record.back);
            }
        }
        BothVersions => without_zeros(ours, theirs),
        Ways => ours.iter_mut().chain(theirs).for_each(either_way),
        BeforeTemplate(count) => {
            let (more, _) = apart(ours.iter().cloned(), theirs.iter().cloned());
            ours.retain(|record| !more.contains(record));
            return more.len() == count;
        }
    }
    true
}

/// Takes the addresses away from what has zeros there. All but the addresses tells which of
/// ours they are.
fn without_zeros(ours: &mut [Record], theirs: &mut [Record]) {
    let rest = |record: &Record| Record {
        source: String::new(),
        destination: String::new(),
        ..record.clone()
    };
    let zero = theirs.iter().filter(|record| record.source == "0.0.0.0");
    let zero: BTreeSet<Record> = zero.map(rest).collect();
    for record in ours.iter_mut().chain(theirs) {
        let rest = rest(record);
        if zero.contains(&rest) {
            *record = rest;
        }
    }
}

/// The same for both directions.
fn either_way(record: &mut Record) {
    if record.source > record.destination {
        std::mem::swap(&mut record.source, &mut record.destination);
        std::mem::swap(&mut record.source_port, &mut record.destination_port);
    }
}

fn records(batch: &Batch, differences: &[Difference]) -> Vec<Record> {
    let one = |flow: &Flow| {
        let mut flow = flow.clone();
        if differences.contains(&Unscaled) {
            flow.sampling = NonZeroU32::MIN;
        }
        written(&flow)
    };
    batch.flows.iter().map(one).collect()
}

/// Whether the records of both are the same when these differences are levelled.
fn alike(batch: &Batch, printed: &[Printed], differences: &[Difference]) -> bool {
    let mut ours = records(batch, differences);
    let mut theirs: Vec<_> = printed.iter().map(Printed::record).collect();
    let as_told = differences.iter().all(|d| level(*d, &mut ours, &mut theirs));
    let (only_ours, only_theirs) = apart(ours.into_iter(), theirs.into_iter());
    for record in &only_ours {
        println!("only ours:   {record:?}");
    }
    for record in &only_theirs {
        println!("only theirs: {record:?}");
    }
    as_told && only_ours.is_empty() && only_theirs.is_empty()
}

/// Sends the same datagrams to nfcapd and to us, and compares; how many flows we have of
/// them. `None` if nfcapd is not there.
fn compare(paths: &[PathBuf], differences: &[Difference]) -> Option<usize> {
    let name = paths[0].file_name().unwrap().display();
    let sent = datagrams(paths);
    let file = captured(&sent, &[])?;
    let folder = Folder::new();
    let theirs = printed(&folder.file("made", &file))?;
    let batch = ours(&sent);
    assert!(alike(&batch, &theirs, differences), "{name}");
    // Each difference that is named is there.
    for at in 0..differences.len() {
        let mut others = differences.to_vec();
        let left_out = others.remove(at);
        assert!(!alike(&batch, &theirs, &others), "{name}: no {left_out:?}");
    }
    // The file that nfcapd wrote, read by us.
    let read = Batch::decode_by(Decoder::new(LATEST), &[&file]);
    let differences: Vec<_> = differences
        .iter()
        .copied()
        .filter(|difference| !matches!(difference, BeforeTemplate(_)))
        .collect();
    assert!(alike(&read, &theirs, &differences), "{name}: the file");
    if differences.contains(&BothVersions) {
        // What nfdump does not print is in its file.
        let ends = |batch: &Batch| -> Vec<(String, String)> {
            let mut all: Vec<_> = records(batch, &[]);
            all.sort();
            all.into_iter().map(|record| (record.source, record.destination)).collect()
        };
        assert_eq!(ends(&read), ends(&batch), "{name}: the file");
    }
    Some(batch.flows.len())
}

/// Those of [`LOGSTASH`] that differ, by their first file.
const LOGSTASH_DIFFERS: [(&str, &[Difference]); 12] = [
    // softflowd 0.9.
    ("ipfix.dat", &[Swapped]),
    // 176 and 177 of Ixia.
    ("ipfix_test_ixia_tpldata271.dat", &[NoWayBack]),
    // 21 and 22 of an exporter that does not tell when it was started.
    ("ipfix_test_mikrotik_tpl.dat", &[NoTimes]),
    // 150 and 151, in seconds.
    ("ipfix_test_viptela_tpl257.dat", &[NoTimes]),
    ("ipfix_test_yaf_tpls_option_tpl.dat", &[Flags]),
    ("netflow9_test_0length_fields_tpl_data.dat", &[OutAlone]),
    // No times at all.
    ("netflow9_test_cisco_1941K9.dat", &[NoTimes]),
    ("netflow9_test_cisco_asa_1_tpl.dat", &[Events]),
    ("netflow9_test_cisco_wlc_tpl.dat", &[NoAddresses(19)]),
    // 34 and 35.
    ("netflow9_test_invalid01.dat", &[Unscaled]),
    // No times, no volumes.
    ("netflow9_test_macaddr_tpl.dat", &[NoTimes, Ways]),
    // 150 and 151.
    ("netflow9_test_unknown_tpl266_292_data.dat", &[NoTimes]),
];

#[test]
fn logstash_samples_are_read_as_nfcapd_reads_them() {
    let Some(folder) = shared("logstash-netflow") else { return };
    let mut flows = 0;
    for group in LOGSTASH {
        let paths: Vec<_> = group.iter().map(|name| folder.join(name)).collect();
        let known = LOGSTASH_DIFFERS.iter().find(|(name, _)| *name == group[0]);
        let Some(count) = compare(&paths, known.map_or(&[], |known| known.1)) else {
            return;
        };
        flows += count;
    }
    assert_eq!(flows, 337);
}

#[test]
fn pmacct_captures_are_read_as_nfcapd_reads_them() {
    for (folder, captures, differences, flows) in [
        ("103-IPFIXv10-CISCO-pretag-JSON_encoding", 1, &[][..], 12),
        ("111-IPFIXv10-NFv9-IPv6-IPv4-mix_sources", 2, &[NoTimes], 24),
        ("402-IPFIXv10-BMP-IPv6-high-availability", 1, &[Swapped, BothVersions], 716),
        (
            "403-IPFIXv10-BMP-IPv6-CISCO-locrib-peerdown-vrf",
            1,
            &[Swapped, BothVersions],
            480,
        ),
        ("500-IPFIXv10-BGP-CISCO-SRv6", 1, &[Swapped], 43),
        ("502-IPFIXv10-BGP-IPv6-CISCO-SRv6-lcomms", 1, &[Swapped, BothVersions], 75),
    ] {
        let Some(folder) = shared(&format!("pmacct/{folder}")) else { return };
        let paths: Vec<_> =
            (0..captures).map(|i| folder.join(format!("traffic-0{i}.pcap"))).collect();
        let Some(count) = compare(&paths, differences) else { return };
        assert_eq!(count, flows, "{}", folder.display());
    }
}

#[test]
fn other_exports_are_read_as_nfcapd_reads_them() {
    let Some(flows) = shared("telegraf").and_then(|f| Some(f.parent()?.to_owned()))
    else {
        return;
    };
    let telegraf = |name: &str, files: &[&str]| -> Vec<PathBuf> {
        let folder = flows.join("telegraf").join(name);
        files.iter().map(|file| folder.join(format!("{file}.bin"))).collect()
    };
    let ipfix: Vec<String> = (0..7).map(|number| format!("ipfix_{number}")).collect();
    let ipfix: Vec<&str> = ipfix.iter().map(String::as_str).collect();
    for (paths, count) in [
        (telegraf("ipfix_example", &ipfix), 29),
        (telegraf("netflow_v5_example", &["netflow_v5"]), 8),
        (telegraf("netflow_v9_example", &["netflow_v9"]), 8),
        (vec![flows.join("scapy/netflowv9.pcap")], 24),
        (vec![flows.join("tcpdump/sflow_multiple_counter_30_pdus.pcap")], 7),
        (vec![flows.join("example_flows.ipfix")], 3_979),
    ] {
        let Some(flows) = compare(&paths, &[]) else { return };
        assert_eq!(flows, count, "{paths:?}");
    }
}

/// Captures of akvorado: those of one exporter, how they differ, and our flows.
const AKVORADO: [(&[&str], &[Difference], usize); 9] = [
    (
        &["options-template.pcap", "options-data.pcap", "template.pcap", "data.pcap"],
        &[],
        4,
    ),
    // 34 and 35; its first set comes before the template.
    (&["data+templates.pcap"], &[Unscaled, BeforeTemplate(11)], 21),
    // A sampled header, 315.
    (&["datalink-template.pcap", "datalink-data.pcap"], &[NoAddresses(1)], 0),
    (&["icmp-template.pcap", "icmp-data.pcap"], &[], 4),
    // 154 and 155, in microseconds.
    (&["ipfixprobe-templates.pcap", "ipfixprobe-data.pcap"], &[NoTimes], 4),
    (&["samplingrate-template.pcap", "samplingrate-data.pcap"], &[Unscaled], 6),
    // 304 to 306 without 302, as the next but one.
    (&["mpls.pcap"], &[Unscaled], 2),
    (&["nfv5.pcap"], &[], 29),
    (&["physicalinterfaces.pcap"], &[Unscaled, BothVersions], 8),
];

#[test]
fn akvorado_captures_are_read_as_nfcapd_reads_them() {
    let Some(folder) = shared("akvorado/flow/decoder/netflow") else { return };
    for (names, differences, flows) in AKVORADO {
        let paths: Vec<_> = names.iter().map(|name| folder.join(name)).collect();
        let Some(count) = compare(&paths, differences) else { return };
        assert_eq!(count, flows, "{names:?}");
    }
}

/// Files with sFlow, below the folder of flows, and their samples of packets.
const SFLOW: [(&str, usize); 13] = [
    ("akvorado/flow/decoder/sflow/data-1140.pcap", 5),
    ("akvorado/flow/decoder/sflow/data-discard-interface.pcap", 1),
    ("akvorado/flow/decoder/sflow/data-icmpv4.pcap", 1),
    ("akvorado/flow/decoder/sflow/data-local-interface.pcap", 1),
    ("akvorado/flow/decoder/sflow/data-multiple-interfaces.pcap", 1),
    ("akvorado/flow/decoder/sflow/data-sflow-ipv4-data.pcap", 1),
    ("akvorado/flow/decoder/sflow/data-sflow-raw-ipv4.pcap", 2),
    ("cistern-sflow/counter_sample.dump", 0),
    ("cistern-sflow/event_discarded_packet.dump", 0),
    ("cistern-sflow/flow_sample.dump", 1),
    ("cistern-sflow/flow_samples_2.dump", 2),
    ("tcpdump/sflow_multiple_counter_30_pdus.pcap", 0),
    ("telegraf/sflow_v5_example/sflow_v5.bin", 0),
];

/// Bytes of a frame of Ethernet without what it bears: header and check sequence, which
/// sfcapd counts; and the shortest frame.
const FRAME_BYTES: u64 = 18;
const FRAME_BYTES_MIN: u64 = 64;

/// A sample without what differs: it has no time; sfcapd takes the sender for the exporter,
/// and counts whole frames.
fn sample(record: Record, rate: u64) -> (Record, u64) {
    let bytes = record.there.1 / rate;
    let record = Record {
        first_millis: 0,
        last_millis: 0,
        exporter: String::new(),
        there: (record.there.0, 0),
        ..record
    };
    (record, bytes)
}

#[test]
fn samples_of_sflow_are_read_as_sfcapd_reads_them() {
    let Some(flows) = shared("akvorado").and_then(|f| Some(f.parent()?.to_owned()))
    else {
        return;
    };
    for (name, samples) in SFLOW {
        let bytes = fs::read(flows.join(name)).unwrap();
        let sent = if is_samples(&bytes) {
            vec![(1, bytes)]
        } else {
            payloads(&bytes, is_samples)
        };
        assert!(!sent.is_empty(), "{name}");
        let Some(file) = sampled(&sent) else { return };
        let folder = Folder::new();
        let theirs = printed(&folder.file("made", &file)).unwrap();
        let batch = ours(&sent);
        assert_eq!(batch.flows.len(), samples, "{name}");
        let mut ours: Vec<_> = batch
            .flows
            .iter()
            .map(|flow| sample(written(flow), u64::from(flow.sampling.get())))
            .collect();
        let mut theirs: Vec<_> = theirs
            .iter()
            .map(|row| sample(row.record(), row.number("in_packets")))
            .collect();
        ours.sort();
        theirs.sort();
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for ((ours, bytes), (theirs, frame)) in ours.into_iter().zip(theirs) {
            assert_eq!(ours, theirs, "{name}");
            let whole = (bytes + FRAME_BYTES).max(FRAME_BYTES_MIN);
            // A sampled IP header has no frame; some agents count before the padding.
            let known = [bytes, whole, bytes + FRAME_BYTES];
            assert!(known.contains(&frame), "{name}: {bytes} and {frame}");
        }
    }
}

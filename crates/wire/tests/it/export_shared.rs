//! Exports that others captured, against what others found in them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tidegauge_model::{Address, Answer, Flow, Instant, Loss, Reason, Volume};
use tidegauge_wire::{Decoder, Sink, recognise};

const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/flows");
/// 2027-01-01: after the latest capture.
const LATEST: Instant = Instant(1_798_761_600_000_000);

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

/// The folder, or none, said aloud, where the data of others is not there.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(SHARED).join(path);
    if !path.exists() {
        println!("SKIPPED: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn decoded(paths: &[PathBuf]) -> Collected {
    let mut collected = Collected::default();
    let mut decoder = Decoder::new(LATEST);
    for path in paths {
        let bytes = fs::read(path).unwrap();
        let format = recognise(&bytes).unwrap_or_else(|| panic!("{}", path.display()));
        decoder.flows(format, &mut &*bytes, &mut collected).unwrap();
    }
    decoder.finish(&mut collected);
    collected
}

/// A record as its exporter wrote it: who sent, to whom, and how much.
type Record = (Address, Address, u16, u16, u8);

fn record(flow: &Flow) -> (Record, Option<Volume>) {
    if flow.sent.is_none() && flow.received.is_some() {
        let (to, from) = (flow.originator, flow.responder);
        let (to_port, from_port) = (flow.originator_port, flow.responder_port);
        return ((from, to, from_port, to_port, flow.protocol.0), flow.received);
    }
    let key = (
        flow.originator,
        flow.responder,
        flow.originator_port,
        flow.responder_port,
        flow.protocol.0,
    );
    (key, flow.sent)
}

fn totals<'a>(
    flows: impl Iterator<Item = &'a Flow>,
) -> BTreeMap<(Option<Address>, Record), (u64, u64)> {
    let mut all = BTreeMap::new();
    for flow in flows {
        let (key, volume) = record(flow);
        let volume = volume.unwrap_or_default();
        let sum: &mut (u64, u64) = all.entry((flow.exporter, key)).or_default();
        sum.0 += volume.bytes;
        sum.1 += volume.packets;
    }
    all
}

fn protocol(name: &str) -> u8 {
    match name {
        "tcp" => 6,
        "udp" => 17,
        "icmp" => 1,
        "ipv6-icmp" | "icmp6" => 58,
        "vrrp" => 112,
        "ospf" => 89,
        "pim" => 103,
        "igmp" => 2,
        "ip" | "hopopt" => 0,
        "esp" => 50,
        "gre" => 47,
        "ipencap" => 4,
        "ipv6" => 41,
        other => other.parse().unwrap_or_else(|_| panic!("protocol {other}")),
    }
}

#[test]
fn pmacct_captures_equal_what_pmacct_wrote() {
    for (folder, captures) in [
        ("103-IPFIXv10-CISCO-pretag-JSON_encoding", 1),
        ("111-IPFIXv10-NFv9-IPv6-IPv4-mix_sources", 2),
        ("402-IPFIXv10-BMP-IPv6-high-availability", 1),
        ("403-IPFIXv10-BMP-IPv6-CISCO-locrib-peerdown-vrf", 1),
        ("500-IPFIXv10-BGP-CISCO-SRv6", 1),
        ("502-IPFIXv10-BGP-IPv6-CISCO-SRv6-lcomms", 1),
    ] {
        let Some(folder) = shared(&format!("pmacct/{folder}")) else { return };
        let paths: Vec<_> =
            (0..captures).map(|i| folder.join(format!("traffic-0{i}.pcap"))).collect();
        let collected = decoded(&paths);
        // What is neither reported nor reporting: BGP and BMP sessions in the capture.
        let ours = totals(collected.flows.iter().filter(|f| f.exporter.is_some()));
        let mut theirs = BTreeMap::new();
        for line in
            fs::read_to_string(folder.join("output-flow-00.json")).unwrap().lines()
        {
            let Ok(row) = serde_json::from_str::<serde_json::Value>(line) else {
                continue;
            };
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            let port = |name: &str| u16::try_from(row[name].as_u64().unwrap()).unwrap();
            let key: Record = (
                text("ip_src").parse().unwrap(),
                text("ip_dst").parse().unwrap(),
                // pmacct writes the type of ICMPv6 as a port; here it has none.
                if text("ip_proto") == "ipv6-icmp" { 0 } else { port("port_src") },
                if text("ip_proto") == "ipv6-icmp" { 0 } else { port("port_dst") },
                protocol(&text("ip_proto")),
            );
            let sum: &mut (u64, u64) = theirs.entry(key).or_default();
            sum.0 += row["bytes"].as_u64().unwrap();
            sum.1 += row["packets"].as_u64().unwrap();
        }
        let mut flat = BTreeMap::new();
        for ((_, key), (bytes, packets)) in ours {
            let sum: &mut (u64, u64) = flat.entry(key).or_default();
            sum.0 += bytes;
            sum.1 += packets;
        }
        assert_eq!(flat, theirs, "{}", folder.display());
        assert_eq!(collected.losses.iter().find(|l| l.reason != Reason::Gap), None);
    }
}

/// The files of one exporter: templates, then records.
pub(crate) const LOGSTASH: [&[&str]; 32] = [
    &["ipfix.dat"],
    &["ipfix_test_ixia_tpldata256.dat"],
    &["ipfix_test_ixia_tpldata271.dat"],
    &[
        "ipfix_test_juniper_mx240_junos151r6s3_opttpl512.dat",
        "ipfix_test_juniper_mx240_junos151r6s3_data512.dat",
    ],
    &[
        "ipfix_test_mikrotik_tpl.dat",
        "ipfix_test_mikrotik_data258.dat",
        "ipfix_test_mikrotik_data259.dat",
    ],
    &["ipfix_test_openbsd_pflow_tpl.dat", "ipfix_test_openbsd_pflow_data.dat"],
    &["ipfix_test_viptela_tpl257.dat", "ipfix_test_viptela_data257.dat"],
    &[
        "ipfix_test_yaf_tpls_option_tpl.dat",
        "ipfix_test_yaf_tpl45841.dat",
        "ipfix_test_yaf_data45841.dat",
        "ipfix_test_yaf_data45873.dat",
        "ipfix_test_yaf_data53248.dat",
    ],
    &["netflow5.dat"],
    &["netflow5_test_juniper_mx80.dat"],
    &["netflow9_cisco_asr1001x_tpl259.dat"],
    &["netflow9_test_0length_fields_tpl_data.dat"],
    &["netflow9_test_cisco_1941K9.dat"],
    &["netflow9_test_cisco_aci_tpl256-258.dat", "netflow9_test_cisco_aci_data256.dat"],
    &["netflow9_test_cisco_asa_1_tpl.dat", "netflow9_test_cisco_asa_1_data.dat"],
    &[
        "netflow9_test_cisco_asr9k_opttpl256.dat",
        "netflow9_test_cisco_asr9k_data256.dat",
    ],
    &["netflow9_test_cisco_asr9k_opttpl257.dat"],
    &["netflow9_test_cisco_asr9k_opttpl334.dat"],
    &["netflow9_test_cisco_asr9k_tpl260.dat", "netflow9_test_cisco_asr9k_data260.dat"],
    &["netflow9_test_cisco_asr9k_tpl266.dat"],
    &[
        "netflow9_test_cisco_nbar_opttpl260.dat",
        "netflow9_test_cisco_nbar_tpl262.dat",
        "netflow9_test_cisco_nbar_data262.dat",
    ],
    &["netflow9_test_cisco_wlc_8510_tpl_262.dat"],
    &["netflow9_test_cisco_wlc_tpl.dat", "netflow9_test_cisco_wlc_data261.dat"],
    &[
        "netflow9_test_fortigate_fortios_521_tpl.dat",
        "netflow9_test_fortigate_fortios_521_data256.dat",
        "netflow9_test_fortigate_fortios_521_data257.dat",
    ],
    &["netflow9_test_h3c_tpl3281.dat", "netflow9_test_h3c_data3281.dat"],
    &["netflow9_test_invalid01.dat"],
    &["netflow9_test_juniper_srx_tplopt.dat"],
    &["netflow9_test_macaddr_tpl.dat", "netflow9_test_macaddr_data.dat"],
    &["netflow9_test_paloalto_panos_tpl.dat", "netflow9_test_paloalto_panos_data.dat"],
    &["netflow9_test_softflowd_tpl_data.dat"],
    &[
        "netflow9_test_ubnt_edgerouter_tpl.dat",
        "netflow9_test_ubnt_edgerouter_data1024.dat",
        "netflow9_test_ubnt_edgerouter_data1025.dat",
    ],
    &["netflow9_test_unknown_tpl266_292_data.dat"],
];

/// What tshark sees in the messages, each in a packet of its own: all addresses, and bytes
/// of element 1, in any order.
pub(crate) fn tshark(messages: &[Vec<u8>]) -> Option<(Vec<Address>, Vec<u64>)> {
    let mut child = Command::new("tshark")
        .args(["-r", "-", "-d", "udp.port==2055,cflow", "-T", "fields"])
        .args(["-e", "cflow.srcaddr", "-e", "cflow.srcaddrv6"])
        .args(["-e", "cflow.dstaddr", "-e", "cflow.dstaddrv6", "-e", "cflow.octets"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take()?;
    let bytes = capture(messages);
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().ok()?;
    writer.join().unwrap().unwrap();
    let (mut addresses, mut bytes) = (vec![], vec![]);
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let values = |at: usize| columns.get(at).copied().unwrap_or("").split(',');
        for at in 0..4 {
            addresses.extend(values(at).filter_map(|t| t.parse::<Address>().ok()));
        }
        bytes.extend(values(4).filter_map(|text| text.parse::<u64>().ok()));
    }
    addresses.sort_unstable();
    bytes.sort_unstable();
    Some((addresses, bytes))
}

/// Cuts a file into its messages, by another rule than the decoder's: version 9 begins where
/// the version stands, and a time of the same day.
pub(crate) fn messages(file: &[u8]) -> Vec<Vec<u8>> {
    let word = |at: usize| u16::from_be_bytes([file[at], file[at + 1]]);
    let mut cuts = vec![];
    let mut at = 0;
    while at + 20 <= file.len() {
        cuts.push(at);
        at = match word(at) {
            5 => at + 24 + usize::from(word(at + 2)) * 48,
            10 => at + usize::from(word(at + 2)),
            _ => (at + 20..file.len().saturating_sub(20))
                .find(|next| {
                    file[*next..].starts_with(&[0, 9])
                        && file[next + 8..next + 10] == file[at + 8..at + 10]
                })
                .unwrap_or(file.len()),
        };
    }
    cuts.push(file.len());
    cuts.windows(2).map(|cut| file[cut[0]..cut[1]].to_vec()).collect()
}

/// A capture of raw IP, each message in a packet of UDP to port 2055.
fn capture(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 101] {
        bytes.extend(word.to_le_bytes());
    }
    for message in messages {
        let packet =
            etherparse::PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
                .udp(50_000, 2055);
        let mut frame = Vec::new();
        packet.write(&mut frame, message).unwrap();
        let length = u32::try_from(frame.len()).unwrap();
        for word in [1_700_000_000_u32, 0, length, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    bytes
}

fn ours(collected: &Collected) -> (Vec<Address>, Vec<u64>) {
    let mut addresses: Vec<_> =
        collected.flows.iter().flat_map(|f| [f.originator, f.responder]).collect();
    let volumes = collected.flows.iter().map(|flow| record(flow).1);
    let mut bytes: Vec<_> = volumes.flatten().map(|v| v.bytes).collect();
    addresses.sort_unstable();
    bytes.sort_unstable();
    (addresses, bytes)
}

/// Where tshark and we differ on purpose: `docs/reference/formats.md` says why.
const BYTES_DIFFER: [&str; 4] = [
    // Volumes in other elements than octetDeltaCount.
    "ipfix_test_yaf_tpls_option_tpl.dat",
    "netflow9_test_cisco_asa_1_tpl.dat",
    // Records with 23 (out) where 1 (in) is zero.
    "netflow9_test_0length_fields_tpl_data.dat",
    // No addresses: lost, 19 records.
    "netflow9_test_cisco_wlc_tpl.dat",
];

/// Files in which tshark stops early.
const TSHARK_STOPS: [&str; 2] = [
    // At a next hop of two bytes, which it calls malformed; the header counts our 16.
    "netflow9_test_h3c_tpl3281.dat",
    // After as many sets as the header counts, which counts fewer.
    "netflow9_test_invalid01.dat",
];

#[test]
fn logstash_samples_equal_what_tshark_sees() {
    let Some(folder) = shared("logstash-netflow") else { return };
    let mut flows = 0;
    for group in LOGSTASH {
        let paths: Vec<_> = group.iter().map(|name| folder.join(name)).collect();
        let files = paths.iter().map(|path| fs::read(path).unwrap());
        let collected = decoded(&paths);
        flows += collected.flows.len();
        let packets: Vec<_> = files.flat_map(|file| messages(&file)).collect();
        let Some(theirs) = tshark(&packets) else {
            println!("SKIPPED: no tshark");
            return;
        };
        let ours = ours(&collected);
        if TSHARK_STOPS.contains(&group[0]) {
            assert!(ours.0.len() > theirs.0.len(), "{group:?}");
            continue;
        }
        assert_eq!(ours.0, theirs.0, "{group:?}");
        if !BYTES_DIFFER.contains(&group[0]) {
            assert_eq!(ours.1, theirs.1, "{group:?}");
        }
        let lost = collected
            .losses
            .iter()
            .find(|l| l.reason != Reason::Gap && l.reason != Reason::ColumnMissing);
        assert_eq!(lost, None, "{group:?}");
    }
    assert_eq!(flows, 337);
}

/// The flows that telegraf wrote as lines of `InfluxDB`.
fn telegraf(path: &Path) -> BTreeMap<(Option<Address>, Record), (u64, u64)> {
    let mut all = BTreeMap::new();
    let text = fs::read_to_string(path).unwrap();
    for line in text.lines().filter(|line| line.starts_with("netflow,")) {
        let (_, fields) = line.split_once(' ').unwrap();
        let fields: BTreeMap<&str, &str> =
            fields.split(',').filter_map(|field| field.split_once('=')).collect();
        // A time may follow the last field.
        let value = |name: &str| {
            fields.get(name).map(|value| match value.strip_prefix('"') {
                Some(text) => text.split('"').next().unwrap(),
                None => value.split('u').next().unwrap(),
            })
        };
        let number = |name: &str| value(name).map_or(0, |v| v.parse::<u64>().unwrap());
        let port = |name: &str| u16::try_from(number(name)).unwrap();
        let Some(source) = value("src") else { continue };
        let key: Record = (
            source.parse().unwrap(),
            value("dst").unwrap().parse().unwrap(),
            port("src_port"),
            port("dst_port"),
            protocol(value("protocol").unwrap()),
        );
        let sum: &mut (u64, u64) = all.entry((None, key)).or_default();
        sum.0 += number("in_total_bytes") + number("in_bytes");
        sum.1 += number("in_total_packets") + number("in_packets");
    }
    all
}

#[test]
fn telegraf_samples_equal_what_telegraf_wrote() {
    let Some(folder) = shared("telegraf") else { return };
    for (name, file, count, records) in [
        ("netflow_v5_example", "netflow_v5", 0, 8),
        ("netflow_v9_example", "netflow_v9", 0, 8),
        ("ipfix_example", "ipfix", 7, 29),
    ] {
        let folder = folder.join(name);
        let paths: Vec<_> = match count {
            0 => vec![folder.join(format!("{file}.bin"))],
            _ => (0..count).map(|i| folder.join(format!("{file}_{i}.bin"))).collect(),
        };
        let collected = decoded(&paths);
        let theirs = telegraf(&folder.join("expected.out"));
        assert_eq!(theirs.len(), records, "{name}");
        assert_eq!(totals(collected.flows.iter()), theirs, "{name}");
        assert_eq!(collected.losses.iter().find(|l| l.reason != Reason::Gap), None);
    }
}

/// Captures of akvorado: the files of one exporter, the flows of them, and the sampling rate
/// that akvorado's own tests expect.
const AKVORADO: [(&[&str], usize, u32); 8] = [
    (&["template.pcap", "data.pcap"], 4, 1),
    (&["data.pcap", "template.pcap"], 4, 1),
    (
        &["options-template.pcap", "options-data.pcap", "template.pcap", "data.pcap"],
        4,
        30_000,
    ),
    (&["samplingrate-template.pcap", "samplingrate-data.pcap"], 6, 2_048),
    (&["icmp-template.pcap", "icmp-data.pcap"], 4, 1),
    (&["ipfixprobe-templates.pcap", "ipfixprobe-data.pcap"], 4, 1),
    (&["nfv5.pcap"], 29, 1),
    (&["mpls.pcap"], 2, 10),
];

#[test]
fn akvorado_captures_make_the_flows_that_akvorado_expects() {
    let Some(folder) = shared("akvorado/flow/decoder/netflow") else { return };
    for (names, flows, sampling) in AKVORADO {
        let paths: Vec<_> = names.iter().map(|name| folder.join(name)).collect();
        let collected = decoded(&paths);
        assert_eq!(collected.flows.len(), flows, "{names:?}");
        assert_eq!(collected.losses, [], "{names:?}");
        for flow in &collected.flows {
            assert_eq!(flow.sampling.get(), sampling, "{names:?}");
            assert!(flow.exporter.is_some(), "{names:?}");
        }
    }
}

#[test]
fn a_file_of_ipfix_equals_what_tshark_sees() {
    let Some(path) = shared("example_flows.ipfix") else { return };
    let collected = decoded(std::slice::from_ref(&path));
    assert_eq!(collected.losses, []);
    let Some(theirs) = tshark(&messages(&fs::read(&path).unwrap())) else {
        println!("SKIPPED: no tshark");
        return;
    };
    assert_eq!(collected.flows.len(), 3_979);
    let ours = ours(&collected);
    assert_eq!(ours.0, theirs.0);
    assert_eq!(ours.1, theirs.1);
}

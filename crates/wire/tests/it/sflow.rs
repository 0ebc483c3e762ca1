//! Datagrams of sFlow that others captured, against what tshark reads in them, and hostile ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use tidegauge_model::{Address, Answer, Flow, Instant, Loss, Reason};
use tidegauge_wire::export::{Export, Exports};
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

fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(SHARED).join(path);
    if !path.exists() {
        println!("SKIPPED: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn decoded(path: &Path) -> Collected {
    let mut collected = Collected::default();
    let bytes = fs::read(path).unwrap();
    let format = recognise(&bytes).unwrap_or_else(|| panic!("{}", path.display()));
    let mut decoder = Decoder::new(LATEST);
    decoder.flows(format, &mut &*bytes, &mut collected).unwrap();
    decoder.finish(&mut collected);
    collected
}

/// How often each pair of sender and receiver was there.
type Ends = BTreeMap<[Address; 2], u64>;
/// How often each rate was there.
type Rates = BTreeMap<u32, u64>;

/// Sender and receiver of each packet that was sampled, and the rates, as tshark reads them:
/// of each datagram, all addresses but the first, which are those of the datagram itself.
fn by_tshark(path: &Path) -> Option<(Ends, Rates)> {
    let mut command = Command::new("tshark");
    command.args(["-d", "udp.port==6343,sflow", "-T", "fields"]);
    let rate = "sflow.flow_sample.sampling_rate";
    for field in ["ip.src", "ip.dst", "ipv6.src", "ipv6.dst", rate] {
        command.args(["-e", field]);
    }
    let Ok(output) = command.arg("-r").arg(path).output() else {
        println!("SKIPPED beside tshark: it is not installed");
        return None;
    };
    let (mut packets, mut rates) = (BTreeMap::new(), BTreeMap::new());
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let list = |column: &str| -> Vec<String> {
            column.split(',').filter(|t| !t.is_empty()).map(str::to_owned).collect()
        };
        let columns: Vec<_> = line.split('\t').map(list).collect();
        let [v4_from, v4_to, v6_from, v6_to, sampled] = columns.as_slice() else {
            panic!("{line}")
        };
        let v4 = v4_from.iter().zip(v4_to).skip(1);
        for (from, to) in v4.chain(v6_from.iter().zip(v6_to)) {
            let ends = [from, to].map(|text| text.parse().unwrap());
            *packets.entry(ends).or_default() += 1;
        }
        for rate in sampled {
            *rates.entry(rate.parse().unwrap()).or_default() += 1;
        }
    }
    Some((packets, rates))
}

fn as_sent(flow: &Flow) -> [Address; 2] {
    if flow.sent.is_some() {
        [flow.originator, flow.responder]
    } else {
        [flow.responder, flow.originator]
    }
}

#[test]
fn sampled_packets_are_those_that_tshark_reads() {
    let folder = "akvorado/flow/decoder/sflow";
    let names = [
        "data-1140",
        "data-icmpv4",
        "data-local-interface",
        "data-discard-interface",
        "data-multiple-interfaces",
        "data-sflow-raw-ipv4",
    ];
    for name in names {
        let Some(path) = shared(&format!("{folder}/{name}.pcap")) else { return };
        let Some((packets, rates)) = by_tshark(&path) else { return };
        let ours = decoded(&path);
        let (mut found, mut found_rates) = (BTreeMap::new(), BTreeMap::new());
        for flow in &ours.flows {
            *found.entry(as_sent(flow)).or_default() += 1;
            *found_rates.entry(flow.sampling.get()).or_default() += 1;
        }
        assert!(!packets.is_empty(), "{name}");
        assert_eq!((found, found_rates), (packets, rates), "{name}");
        assert_eq!(ours.losses, [], "{name}");
    }
}

#[test]
fn what_an_agent_read_itself_is_taken_where_there_is_no_header() {
    let Some(path) = shared("akvorado/flow/decoder/sflow/data-sflow-ipv4-data.pcap")
    else {
        return;
    };
    let ours = decoded(&path);
    // As tshark's sflow_245.ipv4_src and .ipv4_dst say.
    let ends = ["50.50.50.50", "51.51.51.51"].map(|text| text.parse().unwrap());
    assert_eq!(ours.flows.iter().map(as_sent).collect::<Vec<_>>(), [ends]);
    assert_eq!(ours.flows[0].sampling.get(), 256);
}

#[test]
fn counters_and_discards_are_no_flows_and_no_losses() {
    let others = [
        "cistern-sflow/counter_sample.dump",
        "cistern-sflow/event_discarded_packet.dump",
        "telegraf/sflow_v5_example/sflow_v5.bin",
        "telegraf/sflow_issue_15375/sflow_drop_1036.bin",
    ];
    for name in others {
        let Some(path) = shared(name) else { return };
        let Collected { flows, losses } = decoded(&path);
        assert_eq!((flows, losses), (vec![], vec![]), "{name}");
    }
}

#[test]
fn a_raw_datagram_names_its_agent() {
    let Some(path) = shared("cistern-sflow/flow_samples_2.dump") else { return };
    let Collected { flows, losses } = decoded(&path);
    assert_eq!(losses, []);
    // Two samples in its first datagram, one in its second.
    assert_eq!(flows.len(), 3);
    for flow in &flows {
        assert_eq!(flow.exporter, Some("208.85.240.52".parse().unwrap()));
        assert_eq!(flow.sampling.get(), 512);
    }
}

/// A datagram of one flow sample that holds `frame`, from the agent 192.0.2.1.
fn datagram(sequence: u32, frame: &[u8]) -> Vec<u8> {
    let words = |words: &[u32]| -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    };
    let length = u32::try_from(frame.len()).unwrap();
    let padded = length.next_multiple_of(4);
    let mut bytes = words(&[5, 1, 0xc000_0201, 0, sequence, 1_000, 1]);
    bytes.extend(words(&[1, 32 + 8 + 16 + padded]));
    bytes.extend(words(&[sequence, 3, 400, 0, 0, 1, 2, 1]));
    bytes.extend(words(&[1, 16 + padded, 1, length + 4, 4, length]));
    bytes.extend(frame);
    bytes.resize(bytes.len() + usize::try_from(padded - length).unwrap(), 0);
    bytes
}

/// Ethernet, IPv4 and UDP around a question of DNS for `upd.example`.
fn question() -> Vec<u8> {
    let mut dns = vec![0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    dns.extend(b"\x03upd\x07example\x00\x00\x01\x00\x01");
    let udp = u16::try_from(dns.len() + 8).unwrap();
    let mut frame = vec![0; 12];
    frame.extend([8, 0, 0x45, 0]);
    frame.extend((udp + 20).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 198, 51, 100, 7, 192, 0, 2, 53]);
    frame.extend(50_000_u16.to_be_bytes());
    frame.extend(53_u16.to_be_bytes());
    frame.extend(udp.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(dns);
    frame
}

fn collect(exports: &mut Exports, bytes: &[u8]) -> Collected {
    let mut collected = Collected::default();
    let sender = "203.0.113.9".parse().unwrap();
    exports.datagram(sender, 9, LATEST, bytes, &mut collected);
    collected
}

#[test]
fn the_name_in_a_sampled_packet_is_read_and_gaps_are_counted() {
    let mut exports = Exports::new();
    let first = collect(&mut exports, &datagram(1, &question()));
    let name = first.flows[0].name.as_ref().unwrap();
    assert_eq!(&*name.host, "upd.example");
    assert_eq!(first.flows[0].sampling.get(), 400);
    assert_eq!(first.flows[0].start, LATEST);
    let agent = Some("192.0.2.1".parse().unwrap());
    assert_eq!(first.flows[0].exporter, agent);
    collect(&mut exports, &datagram(5, &question()));
    let mut rest = Collected::default();
    exports.finish(&mut rest);
    let gap = &rest.losses[0];
    assert_eq!((gap.reason, gap.count, gap.exporter), (Reason::Gap, 3, agent));
    let statistics = exports.statistics();
    assert_eq!(statistics[0].export, Export::Sflow);
    assert_eq!(statistics[0].tally.flows, 2);
    assert_eq!(statistics[0].tally.missed, 3);
}

#[test]
fn a_datagram_that_ends_early_is_one_lost_sample() {
    let whole = datagram(1, &question());
    for length in 28..whole.len() {
        let mut exports = Exports::new();
        let Collected { flows, losses } = collect(&mut exports, &whole[..length]);
        let lost: u64 = losses.iter().map(|loss| loss.count).sum();
        let flows = u64::try_from(flows.len()).unwrap();
        assert_eq!(flows + lost, 1, "{length} bytes");
        let tally = exports.statistics()[0].tally;
        assert_eq!((tally.records, tally.flows, tally.lost), (1, flows, lost));
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_and_the_books_close(
        bytes: Vec<u8>,
        places in proptest::collection::vec((0_usize..200, any::<u8>()), 0..8),
    ) {
        let mut exports = Exports::new();
        let hostile = [&[0, 0, 0, 5, 0, 0, 0, 1][..], &bytes].concat();
        collect(&mut exports, &hostile);
        let mut changed = datagram(1, &question());
        for (at, value) in places {
            let at = at % changed.len();
            changed[at] = value;
        }
        collect(&mut exports, &changed);
        // A changed version makes it another format, of which a lost set tells no records.
        let all = exports.statistics();
        for one in all.iter().filter(|one| one.export == Export::Sflow) {
            let tally = one.tally;
            prop_assert_eq!(tally.records, tally.flows + tally.events + tally.lost);
        }
    }
}

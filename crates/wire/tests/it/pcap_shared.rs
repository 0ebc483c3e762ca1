//! Captures that others made, against what others found in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use tidegauge_model::flow::canonical_host;
use tidegauge_model::{Answer, Flow, Instant, Loss};
use tidegauge_wire::{Sink, pcap};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

/// 2027-01-01: after the latest capture.
const LATEST: Instant = Instant(1_798_761_600_000_000);

#[derive(Default)]
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
    fn packets(&self) -> u64 {
        let volumes = self.flows.iter().flat_map(|f| [f.sent, f.received]);
        volumes.flatten().map(|v| v.packets).sum()
    }
}

fn bytes_of(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut inflated = Vec::new();
        flate2::read::MultiGzDecoder::new(&*bytes).read_to_end(&mut inflated).unwrap();
        return inflated;
    }
    bytes
}

fn decoded(bytes: &[u8]) -> Collected {
    let mut collected = Collected::default();
    pcap::flows(&mut &*bytes, LATEST, &mut collected).unwrap();
    pcap::names(&mut &*bytes, LATEST, &mut collected).unwrap();
    collected
}

/// One capture of `pcap-hostnames.tsv`.
#[derive(Default)]
struct Listed {
    packets: u64,
    names: BTreeSet<String>,
}

fn listed() -> BTreeMap<String, Listed> {
    let path = Path::new(DATA).join("pcap/pcap-hostnames.tsv");
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let mut all: BTreeMap<String, Listed> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let listed = all.entry(columns[0].to_owned()).or_default();
        listed.packets = columns[1].parse().unwrap();
        if !columns[5].is_empty() {
            listed.names.insert(columns[5].to_owned());
        }
    }
    all
}

#[test]
fn explore() {
    let mut bad = 0;
    for (file, listed) in listed() {
        let path = Path::new(DATA).join(&file);
        let bytes = bytes_of(&path);
        let c = decoded(&bytes);
        let total = c.packets() + c.losses.len() as u64;
        if total != listed.packets {
            println!("PACKETS {file} listed {} ours {} losses {:?}", listed.packets, total, c.losses.last());
            bad += 1;
        }
        let hosts: BTreeSet<_> = c.flows.iter().filter_map(|f| f.name.as_ref()).map(|n| n.host.to_string()).collect();
        for name in &listed.names {
            let (_, host) = name.split_once(':').unwrap();
            match canonical_host(host) {
                Some(host) if hosts.contains(&host) => {}
                _ => println!("NAME {file} {name}"),
            }
        }
        let mut reasons = BTreeMap::new();
        for l in &c.losses { *reasons.entry(l.reason).or_insert(0) += 1; }
        if !reasons.is_empty() { println!("LOSS {file} {} {reasons:?}", listed.packets); }
    }
    println!("bad {bad}");
}

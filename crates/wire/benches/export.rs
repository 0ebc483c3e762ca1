//! Records of NetFlow and IPFIX decoded per second, beside `nfdump` reading the same flows
//! and the crate `netflow_parser` decoding the same bytes.
//!
//! `cargo bench -p tidegauge-wire --bench export` prints a row for each; words after `--`
//! choose among them.
//! nfdump reads a file of its own, which `nfcapd` makes first from the same datagrams, and so
//! do we, in each of its compressions; where it is not installed the row says so.

#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(clippy::disallowed_methods, reason = "a bench waits for what it measures")]

mod turns;

use std::hint::black_box;
use std::io::BufReader;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use netflow_parser::{NetflowPacket, NetflowParser};
use tidegauge_model::{Address, Answer, Flow, Instant, Loss};
use tidegauge_wire::export::{self, Exports};
use tidegauge_wire::{Sink, nfcapd};
use turns::{Reader, Reading, program};

/// As many as let the start of nfdump matter little.
const RECORDS: u32 = 2_000_000;
/// Of one datagram: as many as fit an Ethernet frame.
const RECORDS_PER_DATAGRAM: u32 = 28;
/// 2024-04-01T00:00:00Z.
const START: u32 = 1_711_929_600;
const NOW: Instant = Instant(1_712_000_000_000_000);
/// Where nfcapd listens.
const PORT: u16 = 29_995;

#[derive(Default)]
struct Count {
    flows: u64,
    bytes: u64,
    losses: u64,
}

impl Sink for Count {
    fn flow(&mut self, flow: Flow) {
        self.flows += 1;
        let volumes = [flow.sent, flow.received];
        self.bytes += volumes.iter().flatten().map(|volume| volume.bytes).sum::<u64>();
    }

    fn answer(&mut self, _: Answer) {}

    fn loss(&mut self, _: Loss) {
        self.losses += 1;
    }
}

fn main() {
    turns::heading();
    let folder =
        std::env::temp_dir().join(format!("tidegauge-bench-{}", std::process::id()));
    for (name, messages) in
        [("NetFlow v5", v5()), ("NetFlow v9", templated(9)), ("IPFIX", templated(10))]
    {
        let file = messages.concat();
        let own = folder.join(name.replace(' ', "-"));
        let captured = captured(&messages, &own);
        let readers = [
            Reader::here("ours, file of messages", || file_of(&file)),
            Reader::here("ours, datagrams", || datagrams(&messages)),
            Reader::here("netflow_parser 1.0.6, no flows", || second(&messages)),
            Reader::new("nfdump, its own file", || nfdump(captured.as_deref()?)),
        ];
        turns::rows(name, RECORDS, &readers);
        if let Some(file) = captured.as_deref().filter(|_| name == "NetFlow v9") {
            nfcapd_files(file, &own);
        }
    }
    let _left_behind = std::fs::remove_dir_all(&folder);
}

fn datagrams(messages: &[Vec<u8>]) -> u64 {
    let mut exports = Exports::new();
    let mut count = Count::default();
    let exporter = Address::from(Ipv4Addr::new(192, 0, 2, 7));
    for message in messages {
        exports.datagram(exporter, 4_000, NOW, message, &mut count);
    }
    exports.finish(&mut count);
    assert_eq!(count.losses, 0);
    black_box(count.bytes);
    count.flows
}

fn file_of(bytes: &[u8]) -> u64 {
    let mut exports = Exports::new();
    let mut count = Count::default();
    export::read(&mut exports, &mut &*bytes, NOW, &mut count).expect("memory is read");
    exports.finish(&mut count);
    assert_eq!(count.losses, 0);
    black_box(count.bytes);
    count.flows
}

/// The second implementation: fields are parsed and records counted; no flow is made.
fn second(messages: &[Vec<u8>]) -> u64 {
    let mut parser = NetflowParser::default();
    let mut records = 0;
    for message in messages {
        for packet in black_box(parser.parse_bytes(message)).packets {
            records += match packet {
                NetflowPacket::V5(v5) => v5.flowsets.len(),
                NetflowPacket::V9(v9) => {
                    use netflow_parser::variable_versions::v9::FlowSetBody as Body;
                    let records = v9.flowsets.iter().map(|set| match &set.body {
                        Body::Data(data) => data.fields.len(),
                        _ => 0,
                    });
                    records.sum()
                }
                NetflowPacket::IPFix(ipfix) => {
                    use netflow_parser::variable_versions::ipfix::FlowSetBody as Body;
                    let records = ipfix.flowsets.iter().map(|set| match &set.body {
                        Body::Data(data) => data.fields.len(),
                        _ => 0,
                    });
                    records.sum()
                }
                _ => 0,
            };
        }
    }
    u64::try_from(records).unwrap_or(u64::MAX)
}

/// What it prints costs more than what it reads: it is told to print nothing, and then
/// asked how many flows the file has.
fn nfdump(file: &Path) -> Option<Reading> {
    let read =
        || program(Command::new("nfdump").args(["-q", "-o", "null", "-r"]).arg(file));
    let reading = Reading::of_program(read, |_| 0)?;
    let said = program(Command::new("nfdump").arg("-I").arg("-r").arg(file))?;
    let said = String::from_utf8_lossy(&said);
    let flows = said.lines().find_map(|line| line.strip_prefix("Flows: "));
    let out = flows.and_then(|flows| flows.trim().parse().ok())?;
    Some(Reading { out, ..reading })
}

/// The file that nfcapd wrote, plain and in each compression that nfdump writes.
fn nfcapd_files(plain: &Path, folder: &Path) {
    let names = ["nfcapd, plain", "nfcapd, LZO", "nfcapd, LZ4", "nfcapd, bzip2"];
    for (name, option) in names.into_iter().zip(["", "-z", "-y", "-j"]) {
        let file = if option.is_empty() {
            plain.to_owned()
        } else {
            let to = folder.join(option);
            let mut copy = Command::new("nfdump");
            copy.arg("-r").arg(plain).arg("-w").arg(&to).arg(option);
            program(&mut copy).expect("nfdump wrote the plain file");
            to
        };
        let readers = [
            Reader::here("ours, the same file", || nfcapd_file(&file)),
            Reader::new("nfdump", || nfdump(&file)),
        ];
        turns::rows(name, RECORDS, &readers);
    }
}

fn nfcapd_file(file: &Path) -> u64 {
    let mut count = Count::default();
    let input = std::fs::File::open(file).expect("nfcapd wrote it");
    let mut input = BufReader::with_capacity(64 * 1024, input);
    let tally = nfcapd::read(&mut input, NOW, &mut count).expect("the disk is read");
    assert_eq!(tally.lost, 0);
    black_box(count.bytes);
    count.flows
}

/// Lets nfcapd write the datagrams to a file of its own.
fn captured(messages: &[Vec<u8>], folder: &Path) -> Option<std::path::PathBuf> {
    std::fs::create_dir_all(folder).ok()?;
    let mut nfcapd = Command::new("nfcapd")
        .args([
            "-b",
            "127.0.0.1",
            "-p",
            &PORT.to_string(),
            "-B",
            "8000000",
            "-t",
            "3600",
        ])
        .arg("-w")
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    std::thread::sleep(Duration::from_millis(500));
    let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
    for (at, message) in messages.iter().enumerate() {
        socket.send_to(message, ("127.0.0.1", PORT)).ok()?;
        if at % 32 == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    std::thread::sleep(Duration::from_millis(500));
    let ended = Command::new("kill").arg(nfcapd.id().to_string()).status();
    nfcapd.wait().ok()?;
    ended.ok().filter(std::process::ExitStatus::success)?;
    let entries = std::fs::read_dir(folder).ok()?;
    entries.filter_map(|e| Some(e.ok()?.path())).find(|path| path.is_file())
}

fn address(i: u32) -> [u8; 4] {
    let [_, b, c, d] = i.to_be_bytes();
    [198, 18 + b % 2, c, d]
}

fn v5() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for first in (0..RECORDS).step_by(28) {
        let count = RECORDS_PER_DATAGRAM.min(RECORDS - first);
        let mut bytes = vec![0, 5];
        bytes.extend(u16::try_from(count).expect("28").to_be_bytes());
        for word in [600_000, START, 0, first] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend([0; 4]);
        for i in first..first + count {
            bytes.extend(address(i));
            bytes.extend([203, 0, 113, 5, 0, 0, 0, 0, 0, 1, 0, 2]);
            for word in [12, 1_500 + i % 7, 590_000, 599_000_u32] {
                bytes.extend(word.to_be_bytes());
            }
            bytes.extend(40_000_u16.to_be_bytes());
            bytes.extend(443_u16.to_be_bytes());
            bytes.extend([0, 0x1b, 6, 0, 0, 0, 0, 0, 24, 24, 0, 0]);
        }
        all.push(bytes);
    }
    all
}

/// The fields that routers send: addresses, ports, protocol, flags, interfaces, counters,
/// times, AS numbers, masks.
const FIELDS: [(u16, u16); 18] = [
    (8, 4),
    (12, 4),
    (15, 4),
    (10, 4),
    (14, 4),
    (2, 4),
    (1, 4),
    (22, 4),
    (21, 4),
    (7, 2),
    (11, 2),
    (16, 4),
    (17, 4),
    (4, 1),
    (6, 1),
    (5, 1),
    (9, 1),
    (13, 1),
];

/// The same for IPFIX, whose times are absolute.
fn fields(version: u8) -> Vec<(u16, u16)> {
    let absolute = |(id, length)| match id {
        22 => (152, 8),
        21 => (153, 8),
        id => (id, length),
    };
    let fields = FIELDS.into_iter();
    if version == 9 { fields.collect() } else { fields.map(absolute).collect() }
}

fn templated(version: u8) -> Vec<Vec<u8>> {
    let fields = fields(version);
    let mut template = vec![1, 0, 0, 18];
    for (id, length) in &fields {
        template.extend(id.to_be_bytes());
        template.extend(length.to_be_bytes());
    }
    let define = if version == 9 { 0 } else { 2 };
    let mut all = vec![message(version, 0, define, &template)];
    for (number, first) in (0..RECORDS).step_by(28).enumerate() {
        let count = RECORDS_PER_DATAGRAM.min(RECORDS - first);
        let mut records = Vec::new();
        for i in first..first + count {
            for (id, length) in &fields {
                records.extend(value(*id, *length, i));
            }
        }
        let sequence = match version {
            9 => u32::try_from(number + 1).expect("few"),
            _ => first,
        };
        all.push(message(version, sequence, 256, &records));
    }
    all
}

fn value(id: u16, length: u16, i: u32) -> Vec<u8> {
    let number: u64 = match id {
        8 => return address(i).to_vec(),
        12 => return vec![203, 0, 113, 5],
        2 => 12,
        1 => u64::from(1_500 + i % 7),
        22 => 590_000,
        21 => 599_000,
        152 => u64::from(START) * 1_000 - 10_000,
        153 => u64::from(START) * 1_000 - 1_000,
        7 => 40_000,
        11 => 443,
        4 => 6,
        6 => 0x1b,
        _ => 1,
    };
    let bytes = number.to_be_bytes();
    bytes.into_iter().skip(8 - usize::from(length)).collect()
}

fn message(version: u8, sequence: u32, set: u16, content: &[u8]) -> Vec<u8> {
    let padding = content.len().next_multiple_of(4) - content.len();
    let length = u16::try_from(content.len() + padding + 4).expect("one datagram");
    let mut bytes = vec![0, version];
    if version == 9 {
        bytes.extend([0, 1]);
        bytes.extend(600_000_u32.to_be_bytes());
    } else {
        bytes.extend((length + 16).to_be_bytes());
    }
    for word in [START, sequence, 1] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend(set.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(content);
    bytes.extend(vec![0; padding]);
    bytes
}

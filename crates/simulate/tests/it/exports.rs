//! Programs of the field read what is exported, and find what the tables hold.

use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tidegauge_model::Address;

use crate::files::{Read, WORLD, read};

/// Longest wait for a program to take what it was sent.
const PATIENCE: Duration = Duration::from_mins(1);

fn has(program: &str) -> bool {
    let found = Command::new("which").arg(program).stdout(Stdio::null()).status();
    let there = found.is_ok_and(|s| s.success());
    if !there {
        println!("SKIPPED: no {program}");
    }
    there
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {words}");
    String::from_utf8(output.stdout).unwrap()
}

/// Flows of the exchange's table on the days that are exported.
fn exported_flows(month: &str, days: std::ops::RangeInclusive<&str>) -> Vec<Read> {
    let (_, written) = &*WORLD;
    let is_it = |t: &&std::path::PathBuf| {
        t.ends_with(format!("flows/exchange/2024-{month}.parquet"))
    };
    let table = written.tables.iter().find(is_it).unwrap();
    let flows = read(table);
    let is_in = |f: &Read| days.contains(&&*f.start.day().to_string());
    flows.into_iter().filter(is_in).collect()
}

fn april() -> Vec<Read> {
    exported_flows("04", "2024-04-09"..="2024-04-11")
}

/// Packets and bytes that the table's flows have both ways, and their records.
fn volumes(flows: &[Read]) -> (usize, u64) {
    let ways = flows.iter().flat_map(|f| [f.bytes_sent, f.bytes_received]);
    let seen: Vec<u64> = ways.flatten().collect();
    (seen.len(), seen.iter().sum())
}

#[test]
fn tshark_reads_the_export_as_the_tables_have_it() {
    if !has("tshark") {
        return;
    }
    let (_, written) = &*WORLD;
    for (path, flows) in written
        .exports
        .iter()
        .zip([april(), exported_flows("11", "2024-11-12"..="2024-11-14")])
    {
        let path = path.to_str().unwrap();
        let text = output(
            "tshark",
            &[
                "-r",
                path,
                "-T",
                "fields",
                "-e",
                "cflow.octets",
                "-e",
                "cflow.sampling_interval",
            ],
        );
        let octets: Vec<u64> = text
            .lines()
            .flat_map(|line| line.split('\t').next().unwrap_or("").split(','))
            .filter(|n| !n.is_empty())
            .map(|n| n.parse().unwrap())
            .collect();
        let (records, bytes) = volumes(&flows);
        assert!(records > 100, "{records}");
        assert_eq!(
            (octets.len(), octets.iter().sum::<u64>()),
            (records, bytes),
            "{path}"
        );
    }
    let malformed = output(
        "tshark",
        &["-r", written.exports[0].to_str().unwrap(), "-Y", "_ws.malformed"],
    );
    assert_eq!(malformed, "");
}

/// A program that is ended with its test.
struct Running(Child);

impl Running {
    fn end(mut self) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
    }
}

/// Bytes that wait at a UDP port of this machine; `None` if nobody listens there.
fn waiting(port: u16) -> Option<u64> {
    let table = fs::read_to_string("/proc/net/udp").ok()?;
    let local = format!(":{port:04X}");
    let line = table.lines().find(|l| {
        l.split_whitespace().nth(1).is_some_and(|address| address.ends_with(&local))
    })?;
    let queues = line.split_whitespace().nth(4)?;
    u64::from_str_radix(queues.split_once(':')?.1, 16).ok()
}

fn wait_until(met: impl Fn() -> bool) {
    let since = Instant::now();
    while !met() {
        assert!(since.elapsed() < PATIENCE, "a program did not take what it was sent");
        std::thread::yield_now();
    }
}

/// The messages of a file, by the lengths in their headers.
fn messages(file: &[u8]) -> Vec<&[u8]> {
    let mut rest = file;
    let mut all = Vec::new();
    while let Some(&[_, _, high, low]) = rest.first_chunk() {
        let (message, after) =
            rest.split_at(usize::from(u16::from_be_bytes([high, low])));
        all.push(message);
        rest = after;
    }
    all
}

#[test]
fn nfcapd_collects_the_export_and_nfdump_counts_it() {
    if !has("nfcapd") || !has("nfdump") || !Path::new("/proc/net/udp").exists() {
        return;
    }
    let (_, written) = &*WORLD;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    // A port that was free a moment ago.
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let mut nfcapd = Command::new("nfcapd");
    nfcapd.args(["-v", "-b", "127.0.0.1", "-p", &port.to_string(), "-t", "3600", "-w"]);
    let words = dir.path().join("words");
    let log = || fs::OpenOptions::new().create(true).append(true).open(&words).unwrap();
    let flow_files = dir.path().join("flows");
    fs::create_dir(&flow_files).unwrap();
    let nfcapd = nfcapd.arg(&flow_files).stdout(log()).stderr(log());
    let nfcapd = Running(nfcapd.spawn().unwrap());
    wait_until(|| waiting(port).is_some());
    for message in messages(&fs::read(&written.exports[0]).unwrap()) {
        socket.send_to(message, ("127.0.0.1", port)).unwrap();
        // One by one, so that nothing is dropped on a busy machine.
        wait_until(|| waiting(port) == Some(0));
    }
    nfcapd.end();
    let path = dir.path().to_str().unwrap();
    let text =
        output("nfdump", &["-R", path, "-q", "-N", "-o", "fmt:%sa %da %byt %pkt"]);
    let flows = april();
    let (records, bytes) = volumes(&flows);
    let lines: Vec<Vec<&str>> =
        text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).collect();
    let lines: Vec<_> = lines.into_iter().filter(|l| l.len() == 4).collect();
    assert_eq!(lines.len(), records, "{text}");
    let sum: u64 = lines.iter().map(|l| l[2].parse::<u64>().unwrap()).sum();
    assert_eq!(sum, bytes);
    let mut seen: BTreeMap<Address, u32> = BTreeMap::new();
    for line in &lines {
        for end in &line[..2] {
            // Long addresses are shortened in its tables.
            if let Ok(address) = end.parse::<Address>() {
                *seen.entry(address).or_default() += 1;
            }
        }
    }
    for flow in flows.iter().filter(|f| f.originator.is_v4()) {
        assert!(seen.contains_key(&flow.originator), "{}", flow.originator);
    }
}

#[test]
fn dnstap_read_finds_the_name_of_each_flow_before_it() {
    if !has("dnstap-read") {
        return;
    }
    let (_, written) = &*WORLD;
    let text = output("dnstap-read", &[written.taps[0].to_str().unwrap()]);
    let mut named: Vec<String> = april().into_iter().filter_map(|f| f.name).collect();
    let mut told: Vec<String> = text
        .lines()
        .map(|line| {
            assert!(line.contains(" CR ") && line.contains("UDP"), "{line}");
            let question = line.split_whitespace().last().unwrap();
            question.strip_suffix("/IN/A").expect(line).to_owned()
        })
        .collect();
    named.sort();
    told.sort();
    assert!(named.len() > 100);
    assert_eq!(told, named);
    let packets = output("dnstap-read", &["-p", written.taps[0].to_str().unwrap()]);
    assert!(
        packets.contains("status: NOERROR") && packets.contains("IN\tA\t198.51.100.")
    );
}

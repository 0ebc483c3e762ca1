//! nfdump and nfcapd, where they are installed: the second opinion on exports, and the
//! first on their own files.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant as Clock};

use serde_json::Value;
use tidegauge_model::{Address, Flow, Protocol, Volume};

/// How long nfcapd may take to read what was sent.
const PATIENCE: Duration = Duration::from_mins(1);

/// One record as its exporter wrote it, in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) protocol: u8,
    pub(crate) first_millis: i64,
    pub(crate) last_millis: i64,
    /// Of TCP only.
    pub(crate) tcp_flags: u8,
    /// Packets and bytes, scaled up by the sampling rate.
    pub(crate) there: (u64, u64),
    pub(crate) back: (u64, u64),
    pub(crate) exporter: String,
}

/// The record that a flow was made of.
pub(crate) fn written(flow: &Flow) -> Record {
    let scaled = |volume: Option<Volume>| {
        let (volume, rate) =
            (volume.unwrap_or_default(), u64::from(flow.sampling.get()));
        (volume.packets * rate, volume.bytes * rate)
    };
    let turned = flow.sent.is_none() && flow.received.is_some();
    let ends = [
        (flow.originator, flow.originator_port),
        (flow.responder, flow.responder_port),
    ];
    let [from, to] = if turned { [ends[1], ends[0]] } else { ends };
    Record {
        source: from.0.to_string(),
        destination: to.0.to_string(),
        source_port: from.1,
        destination_port: to.1,
        protocol: flow.protocol.0,
        first_millis: flow.start.0.div_euclid(1_000),
        last_millis: flow.end.0.div_euclid(1_000),
        tcp_flags: flow.tcp_flags.unwrap_or(0),
        there: scaled(if turned { flow.received } else { flow.sent }),
        back: scaled(if turned { None } else { flow.received }),
        exporter: flow.exporter.map_or_else(String::new, |address| address.to_string()),
    }
}

/// A record that nfdump prints as JSON.
pub(crate) struct Printed(pub(crate) Value);

impl Printed {
    pub(crate) fn number(&self, name: &str) -> u64 {
        match &self.0[name] {
            Value::String(text) => text.parse().unwrap_or(0),
            value => value.as_u64().unwrap_or(0),
        }
    }

    /// The first address that is not zero: records with room for both versions have both.
    fn address(&self, names: [&str; 2]) -> String {
        let values = names.iter().filter_map(|name| self.0[*name].as_str());
        let mut all = values.filter_map(|text| text.parse::<Address>().ok());
        let told = all.clone().find(|address| !address.ip().is_unspecified());
        told.or_else(|| all.next()).map_or_else(String::new, |found| found.to_string())
    }

    /// Milliseconds since 1970; the time is printed in the zone that nfdump is run in.
    pub(crate) fn millis(&self, name: &str) -> i64 {
        let Some(text) = self.0[name].as_str() else { return 0 };
        let number = |from: usize, to: usize| {
            text.get(from..to).unwrap().parse::<i64>().unwrap()
        };
        let date = tidegauge_model::Day::from_date(
            i16::try_from(number(0, 4)).unwrap(),
            i8::try_from(number(5, 7)).unwrap(),
            i8::try_from(number(8, 10)).unwrap(),
        );
        let seconds = number(11, 13) * 3_600 + number(14, 16) * 60 + number(17, 19);
        date.unwrap().start().0 / 1_000 + seconds * 1_000 + number(20, 23)
    }

    pub(crate) fn record(&self) -> Record {
        let port = |name| u16::try_from(self.number(name)).unwrap();
        let protocol = u8::try_from(self.number("proto")).unwrap();
        let flags = self.0["tcp_flags"].as_str().unwrap_or("");
        // `..UAPRSF` behind two that nfdump prints for ECE and CWR.
        let bits = flags.bytes().rev().enumerate();
        let flags = bits.filter(|(_, letter)| *letter != b'.').map(|(bit, _)| 1 << bit);
        Record {
            source: self.address(["src4_addr", "src6_addr"]),
            destination: self.address(["dst4_addr", "dst6_addr"]),
            source_port: port("src_port"),
            destination_port: port("dst_port"),
            protocol,
            first_millis: self.millis("first"),
            last_millis: self.millis("last"),
            tcp_flags: if protocol == Protocol::TCP.0 { flags.sum() } else { 0 },
            there: (self.number("in_packets"), self.number("in_bytes")),
            back: (self.number("out_packets"), self.number("out_bytes")),
            exporter: self.address(["ip4_router", "ip6_router"]),
        }
    }
}

/// Whether the tool is there; says so if not.
fn tool(name: &str) -> Option<Command> {
    let there = Command::new(name).arg("-V").output().is_ok();
    if !there {
        println!("SKIPPED: {name} is not installed");
    }
    there.then(|| Command::new(name))
}

/// What nfdump prints of a file.
pub(crate) fn printed(file: &Path) -> Option<Vec<Printed>> {
    let mut nfdump = tool("nfdump")?;
    nfdump.env("TZ", "UTC").args(["-o", "json", "-r"]).arg(file);
    let output = nfdump.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let rows = text.split_once("[\n").map_or("", |(_, rows)| rows);
    if !rows.starts_with('{') {
        // It says that there is none.
        return Some(vec![]);
    }
    let values: Vec<Value> = serde_json::Deserializer::from_str(&format!("[{rows}"))
        .into_iter::<Vec<Value>>()
        .next()
        .unwrap()
        .unwrap_or_else(|error| panic!("{error}: {text}"));
    Some(values.into_iter().map(Printed).collect())
}

/// A folder of one test, removed behind it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidegauge-wire-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The only file of nfcapd in it.
    fn captured(&self) -> Vec<u8> {
        let entries = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<_> = entries.filter(|path| path.is_file()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        fs::read(&files[0]).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

/// A collector of nfdump on loopback.
struct Nfcapd {
    child: Child,
    port: u16,
    folder: Folder,
    /// Kept open: it ends when it cannot speak.
    _said: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Nfcapd {
    fn start(program: &str, arguments: &[&str]) -> Option<Self> {
        let folder = Folder::new();
        // A port that was free a moment ago.
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut nfcapd = tool(program)?;
        // A file for so long that it is the only one.
        nfcapd.args(["-b", "127.0.0.1", "-p", &port.to_string(), "-t", "86400"]);
        nfcapd.arg("-w").arg(&folder.0).args(arguments);
        let mut child =
            nfcapd.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let started = said.any(|line| line.is_ok_and(|line| line.contains("Startup")));
        assert!(started, "nfcapd did not start");
        Some(Self { child, port, folder, _said: said })
    }

    /// Sends, and waits until it is read.
    fn send(&self, from: &UdpSocket, datagram: &[u8]) {
        from.send_to(datagram, ("127.0.0.1", self.port)).unwrap();
        let began = Clock::now();
        while self.queue() > 0 {
            assert!(began.elapsed() < PATIENCE, "nfcapd does not read");
            std::thread::yield_now();
        }
    }

    /// Bytes that it has not read (`/proc/net/udp`: local address, state, queues).
    fn queue(&self) -> u64 {
        let local = format!("0100007F:{:04X}", self.port);
        let text = fs::read_to_string("/proc/net/udp").unwrap();
        let line = text.lines().find(|line| line.contains(&local));
        let line = line.expect("nfcapd listens");
        let queues = line.split_ascii_whitespace().nth(4).unwrap();
        u64::from_str_radix(queues.split_once(':').unwrap().1, 16).unwrap()
    }

    /// Stops it; the file that it wrote.
    fn stop(mut self, from: &UdpSocket) -> Vec<u8> {
        // When this is read, all before it is written.
        self.send(from, b"end");
        let status = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(status.unwrap().success());
        // It looks whether it shall end only between two datagrams.
        let began = Clock::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < PATIENCE, "nfcapd does not end");
            let _refused_at_its_end = from.send_to(b"end", ("127.0.0.1", self.port));
            std::thread::yield_now();
        }
        self.folder.captured()
    }
}

/// One datagram, and the number of the exporter that sends it: the last byte of its address
/// on loopback.
pub(crate) type Datagram = (u8, Vec<u8>);

/// Lets nfcapd write a file of these datagrams; `None`, said aloud, if it is not installed.
pub(crate) fn captured(datagrams: &[Datagram], arguments: &[&str]) -> Option<Vec<u8>> {
    captured_by("nfcapd", datagrams, arguments)
}

/// The same, by the collector for sFlow.
pub(crate) fn sampled(datagrams: &[Datagram]) -> Option<Vec<u8>> {
    captured_by("sfcapd", datagrams, &[])
}

fn captured_by(
    program: &str,
    datagrams: &[Datagram],
    arguments: &[&str],
) -> Option<Vec<u8>> {
    let nfcapd = Nfcapd::start(program, arguments)?;
    let mut sockets = std::collections::BTreeMap::new();
    for (number, datagram) in datagrams {
        let socket = sockets.entry(*number).or_insert_with(|| {
            UdpSocket::bind((Ipv4Addr::new(127, 0, 0, *number), 0)).unwrap()
        });
        nfcapd.send(socket, datagram);
    }
    let any = UdpSocket::bind("127.0.0.1:0").unwrap();
    Some(nfcapd.stop(&any))
}

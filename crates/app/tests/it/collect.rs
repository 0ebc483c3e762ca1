//! The live collector: datagrams on loopback, restarts, kills, and real exporters beside the
//! collector that they were made for.
//!
//! Nothing waits for a time: each wait is for something that the program says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::run::{House, shared};

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_mins(1);
/// In the corporate network of a watched vendor, exclusive: no name is needed.
const SERVER: [u8; 4] = [77, 74, 176, 9];

/// A collector that runs.
struct Collector {
    child: Child,
    words: Receiver<String>,
    heard: Vec<String>,
    metrics: SocketAddr,
    sockets: Vec<SocketAddr>,
}

impl Collector {
    /// Starts one with these flags, and waits until it listens.
    fn start(house: &House, flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
        command
            .current_dir(house.path("."))
            .env_remove("TIDEGAUGE_LAKE")
            .args(["collect", "--vantage", "edge", "--metrics", "127.0.0.1:0"])
            .args(flags)
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (say, words) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let (heard, sockets) = (Vec::new(), Vec::new());
        let mut collector = Self { child, words, heard, metrics: nowhere, sockets };
        collector.hear("collecting");
        for line in &collector.heard {
            if let Some(rest) = line.split("metrics on http://").nth(1) {
                collector.metrics = rest.trim_end_matches("/metrics").parse().unwrap();
            }
            if let Some(rest) = line.split("listening on udp://").nth(1) {
                let address = rest.split(',').next().unwrap();
                collector.sockets.push(address.parse().unwrap());
            }
        }
        collector
    }

    /// Waits until it says a line with this in it.
    fn hear(&mut self, what: &str) {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let Ok(line) = self.words.recv_timeout(PATIENCE) else { break };
            self.heard.push(line);
            if self.heard.last().unwrap().contains(what) {
                return;
            }
        }
        panic!("it never said `{what}` but\n{}", self.heard.join("\n"));
    }

    /// The sum over all series of a metric.
    fn metric(&self, name: &str) -> u64 {
        let page = get(self.metrics, "/metrics");
        let of_metric = page.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        of_metric
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    /// Waits until a metric is at least so large.
    fn reaches(&self, name: &str, count: u64) {
        let until = Instant::now() + PATIENCE;
        while self.metric(name) < count {
            assert!(
                Instant::now() < until,
                "{name} stays below {count}:\n{}",
                get(self.metrics, "/metrics")
            );
            std::thread::yield_now();
        }
    }

    /// Asks it to stop, and waits until it has; what it said.
    fn stop(mut self) -> String {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).unwrap();
        assert!(self.child.wait().unwrap().success(), "{}", self.heard.join("\n"));
        self.heard.extend(self.words.iter());
        self.heard.join("\n")
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn now_seconds() -> u32 {
    #[expect(clippy::disallowed_methods, reason = "the program believes its own clock")]
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    u32::try_from(since.as_secs()).unwrap()
}

/// A datagram of NetFlow v5 (Cisco's published layout): one flow from 192.0.2.`client`.
fn v5(sequence: u32, client: u8) -> Vec<u8> {
    let mut bytes = vec![0, 5, 0, 1];
    bytes.extend(100_000_u32.to_be_bytes());
    bytes.extend(now_seconds().to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(sequence.to_be_bytes());
    // Engine 0, one packet in 100.
    bytes.extend([0, 0, 0x40, 100]);
    bytes.extend([192, 0, 2, client]);
    bytes.extend(SERVER);
    bytes.extend([0; 8]);
    for number in [9_u32, 4_000, 90_000, 95_000] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(50_000_u16.to_be_bytes());
    bytes.extend(443_u16.to_be_bytes());
    // Padding, flags, TCP, and what is not read.
    bytes.extend([0, 0x1b, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// A message of IPFIX (RFC 7011, 3.1) with one set.
fn ipfix(sequence: u32, set: u16, content: &[u8]) -> Vec<u8> {
    let set_length = u16::try_from(content.len() + 4).unwrap();
    let mut bytes = vec![0, 10];
    bytes.extend((set_length + 16).to_be_bytes());
    bytes.extend(now_seconds().to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend([0, 0, 0, 7]);
    bytes.extend(set.to_be_bytes());
    bytes.extend(set_length.to_be_bytes());
    bytes.extend(content);
    bytes
}

/// Template 256: addresses, ports, protocol, bytes, packets, end in seconds.
fn template() -> Vec<u8> {
    let fields = [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (1, 4), (2, 4), (151, 4)];
    let mut bytes = vec![1, 0, 0, 8];
    for (element, width) in fields {
        bytes.extend(u16::to_be_bytes(element));
        bytes.extend(u16::to_be_bytes(width));
    }
    bytes
}

fn record(client: u8) -> Vec<u8> {
    let mut bytes = vec![192, 0, 2, client];
    bytes.extend(SERVER);
    bytes.extend([0xc3, 0x50, 0x01, 0xbb, 6]);
    bytes.extend(4_000_u32.to_be_bytes());
    bytes.extend(9_u32.to_be_bytes());
    bytes.extend(now_seconds().to_be_bytes());
    bytes
}

fn contacts(house: &House) -> i64 {
    let rows = house.rows(&["sql", "SELECT sum(contacts) AS n FROM sightings"]);
    rows[0]["n"].as_i64().unwrap_or(0)
}

#[test]
fn datagrams_on_two_sockets_are_in_the_lake_after_a_stop() {
    let house = House::new();
    let flags = ["--listen", "udp://127.0.0.1:0", "--listen", "udp://127.0.0.1:0"];
    let collector = Collector::start(&house, &flags);
    assert_eq!(collector.sockets.len(), 2);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(&v5(0, 1), collector.sockets[0]).unwrap();
    // Data before its template waits for it.
    sender.send_to(&ipfix(0, 256, &record(2)), collector.sockets[1]).unwrap();
    collector.reaches("tidegauge_sets_held", 1);
    sender.send_to(&ipfix(1, 2, &template()), collector.sockets[1]).unwrap();
    sender.send_to(b"neither", collector.sockets[0]).unwrap();
    // Four flows of v5 are missing between the first and this one.
    sender.send_to(&v5(5, 3), collector.sockets[0]).unwrap();
    collector.reaches("tidegauge_flows_total", 3);
    collector.reaches("tidegauge_datagrams_total", 5);
    assert!(get(collector.metrics, "/healthz").contains("200 OK"));
    assert!(get(collector.metrics, "/readyz").contains("200 OK"));
    let words = collector.stop();
    assert!(!words.contains("ERROR"), "{words}");
    assert_eq!(contacts(&house), 3);
    let rows = house.rows(&[
        "sql",
        "SELECT flows, losses, sampling_min, sampling_max FROM coverage",
    ]);
    assert_eq!(rows[0]["flows"], 3);
    assert_eq!(rows[0]["sampling_max"], 100);
    // Four missing, one datagram that is nothing.
    assert_eq!(rows[0]["losses"], 5, "{rows:?}");
}

#[test]
fn after_a_kill_templates_are_known_and_the_loss_is_told() {
    let house = House::new();
    let flags = ["--listen", "udp://127.0.0.1:0", "--commit-every", "1"];
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let first = Collector::start(&house, &flags);
    sender.send_to(&ipfix(0, 2, &template()), first.sockets[0]).unwrap();
    sender.send_to(&ipfix(0, 256, &record(1)), first.sockets[0]).unwrap();
    first.reaches("tidegauge_contacts_total", 1);
    let commits = first.metric("tidegauge_commits_total");
    first.reaches("tidegauge_commits_total", commits + 1);
    first.kill();
    assert_eq!(contacts(&house), 1);

    let mut second = Collector::start(&house, &flags);
    assert!(
        second.heard.iter().any(|line| line.contains("the last run was killed")),
        "{:?}",
        second.heard
    );
    // Without its template, which the first run had heard.
    sender.send_to(&ipfix(1, 256, &record(2)), second.sockets[0]).unwrap();
    second.reaches("tidegauge_flows_total", 1);
    second.heard.clear();
    second.stop();
    assert_eq!(contacts(&house), 2);

    let third = Collector::start(&house, &flags);
    assert!(
        !third.heard.iter().any(|line| line.contains("killed")),
        "{:?}",
        third.heard
    );
    third.stop();
}

/// A datagram of sFlow v5 (sflow.org, version 5): one sample of one packet in 100, a TCP
/// segment on Ethernet from 192.0.2.`client` to the watched server.
fn sflow(sequence: u32, client: u8) -> Vec<u8> {
    let mut packet = vec![2; 12];
    packet.extend([8, 0]);
    packet.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, client]);
    packet.extend(SERVER);
    packet.extend([0xc3, 0x50, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0, 0]);
    packet.extend([0; 4]);
    // Raw header: Ethernet, length on the wire, bytes stripped, bytes here; padded to four.
    let length = u32::try_from(packet.len()).unwrap();
    let mut header: Vec<u8> =
        [1, length + 4, 4, length].into_iter().flat_map(u32::to_be_bytes).collect();
    header.extend(&packet);
    header.extend(vec![0; header.len().next_multiple_of(4) - header.len()]);
    // Flow sample: sequence, source, rate, pool, drops, in, out, one record.
    let sample = [sequence, 3, 100, 100 * (sequence + 1), 0, 1, 2, 1];
    let mut sample: Vec<u8> = sample.into_iter().flat_map(u32::to_be_bytes).collect();
    sample.extend(1_u32.to_be_bytes());
    sample.extend(u32::try_from(header.len()).unwrap().to_be_bytes());
    sample.extend(header);
    // Version, the agent's address, sub-agent, sequence, uptime, one sample.
    let mut bytes: Vec<u8> = [5_u32, 1, 0x7f00_0001, 0, sequence, 100_000, 1]
        .into_iter()
        .flat_map(u32::to_be_bytes)
        .collect();
    bytes.extend(1_u32.to_be_bytes());
    bytes.extend(u32::try_from(sample.len()).unwrap().to_be_bytes());
    bytes.extend(sample);
    bytes
}

#[test]
fn sampled_packets_reach_the_lake_with_their_rate() {
    let house = House::new();
    let collector = Collector::start(&house, &["--listen", "udp://127.0.0.1:0"]);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(&sflow(0, 1), collector.sockets[0]).unwrap();
    sender.send_to(&sflow(1, 2), collector.sockets[0]).unwrap();
    collector.reaches("tidegauge_flows_total", 2);
    let words = collector.stop();
    assert!(!words.contains("ERROR"), "{words}");
    assert_eq!(contacts(&house), 2);
    let rows = house.rows(&["sql", "SELECT flows, losses, sampling_max FROM coverage"]);
    assert_eq!((&rows[0]["flows"], &rows[0]["losses"]), (&2.into(), &0.into()));
    assert_eq!(rows[0]["sampling_max"], 100);
}

/// A field of a message of Protocol Buffers: a number, or bytes.
fn field(number: u8, content: Result<u64, &[u8]>) -> Vec<u8> {
    let varint = |mut value: u64| {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        bytes.push(u8::try_from(value).unwrap());
        bytes
    };
    match content {
        Ok(value) => [varint(u64::from(number) << 3), varint(value)].concat(),
        Err(bytes) => {
            let length = varint(u64::try_from(bytes.len()).unwrap());
            [&varint(u64::from(number) << 3 | 2), &length, bytes].concat()
        }
    }
}

/// A frame of dnstap: 192.0.2.`client` asks for the update server of a watched vendor.
fn question(client: u8) -> Vec<u8> {
    let mut dns = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["u", "avcdn", "net", ""] {
        dns.push(u8::try_from(label.len()).unwrap());
        dns.extend(label.as_bytes());
    }
    dns.extend([0, 1, 0, 1]);
    // CLIENT_QUERY over IPv4 and UDP, from, when, what was asked.
    let message = [
        field(1, Ok(5)),
        field(2, Ok(1)),
        field(3, Ok(1)),
        field(4, Err(&[192, 0, 2, client])),
        field(6, Ok(40_000)),
        field(8, Ok(now_seconds().into())),
        field(10, Err(&dns)),
    ];
    let frame = [field(15, Ok(1)), field(14, Err(&message.concat()))].concat();
    [&u32::try_from(frame.len()).unwrap().to_be_bytes()[..], &frame].concat()
}

/// A control frame of Frame Streams.
fn control(kind: u32, content_type: bool) -> Vec<u8> {
    let mut frame = kind.to_be_bytes().to_vec();
    if content_type {
        frame.extend(1_u32.to_be_bytes());
        frame.extend(22_u32.to_be_bytes());
        frame.extend(b"protobuf:dnstap.Dnstap");
    }
    let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
    [&[0; 4], &length[..], &frame].concat()
}

/// Sends frames both ways, as a DNS server does: ready, accepted, start, stop, finished.
fn tap(mut stream: impl Read + Write, frames: &[Vec<u8>]) {
    let expect = |stream: &mut dyn Read, frame: &[u8]| {
        let mut reply = vec![0; frame.len()];
        stream.read_exact(&mut reply).unwrap();
        assert_eq!(reply, frame);
    };
    stream.write_all(&control(4, true)).unwrap();
    expect(&mut stream, &control(1, true));
    stream
        .write_all(&[control(2, true), frames.concat(), control(3, false)].concat())
        .unwrap();
    expect(&mut stream, &control(5, false));
}

#[test]
fn dns_servers_are_heard_over_a_path_and_a_port() {
    let house = House::new();
    let path = house.path("dnstap.sock");
    let unix = format!("unix://{}", path.display());
    let tcp = "tcp://127.0.0.1:0";
    let flags = ["--listen", &unix, "--listen", tcp, "--commit-every", "1"];
    let collector = Collector::start(&house, &flags);
    let port = collector
        .heard
        .iter()
        .find_map(|line| line.split("listening on tcp://").nth(1))
        .map(|rest| {
            rest.split_whitespace().next().unwrap().parse::<SocketAddr>().unwrap()
        });
    tap(UnixStream::connect(&path).unwrap(), &[question(1), question(2)]);
    tap(TcpStream::connect(port.unwrap()).unwrap(), &[question(2), question(3)]);
    // A frame that is cut short: the connection ends in it.
    let mut cut = TcpStream::connect(port.unwrap()).unwrap();
    let frame = question(4);
    cut.write_all(&[control(2, true), frame[..frame.len() - 3].to_vec()].concat())
        .unwrap();
    drop(cut);
    // What has no stream in front of it is closed, and bothers nobody else.
    let mut other = TcpStream::connect(port.unwrap()).unwrap();
    other.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut said = Vec::new();
    drop(other.read_to_end(&mut said));
    collector.reaches("tidegauge_contacts_total", 4);
    collector.stop();
    assert!(!path.exists(), "a socket is taken away with the collector");
    assert_eq!(contacts(&house), 4);
    let rows = house.rows(&["sql", "SELECT sum(losses) AS n FROM coverage"]);
    assert!(rows[0]["n"].as_i64().unwrap() >= 1, "{rows:?}");
}

#[test]
fn what_the_kernel_drops_is_counted_and_the_sequence_proves_it() {
    let house = House::new();
    let flags = ["--listen", "udp://127.0.0.1:0", "--receive-buffer", "1"];
    let collector = Collector::start(&house, &flags);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sent = 0;
    let mut send = |count: u32| {
        for sequence in sent..sent + count {
            sender.send_to(&v5(sequence, 1), collector.sockets[0]).unwrap();
        }
        sent += count;
        u64::from(sent)
    };
    send(1);
    collector.reaches("tidegauge_flows_total", 1);
    let process = Pid::from_raw(collector.child.id().cast_signed());
    kill(process, Signal::SIGSTOP).unwrap();
    // More than a buffer of 1 MiB holds, whatever each takes there.
    send(20_000);
    kill(process, Signal::SIGCONT).unwrap();
    // The kernel tells of drops with the next datagram that finds room.
    let until = Instant::now() + PATIENCE;
    let told = || {
        let received = collector.metric("tidegauge_datagrams_total");
        (received, collector.metric("tidegauge_datagrams_dropped_total"))
    };
    let (mut received, mut dropped, mut all) = (0, 0, 1);
    while received + dropped < all {
        assert!(Instant::now() < until, "{received} + {dropped} of {all}");
        all = send(1);
        (received, dropped) = told();
    }
    assert!(dropped > 0, "{received} of {all} received");
    // So many more do not bring what is missing; then it is missed, not late.
    send(100);
    received += 100;
    collector.reaches("tidegauge_flows_total", received);
    assert_eq!(collector.metric("tidegauge_sequence_missed_total"), dropped);
    collector.stop();
    let rows = house.rows(&["sql", "SELECT flows, losses FROM coverage"]);
    assert_eq!(rows[0]["flows"], received);
    // What was dropped is in the gap, and not a loss besides.
    assert_eq!(rows[0]["losses"], dropped, "{rows:?}");
}

#[test]
fn while_the_lake_is_away_it_is_not_ready_and_nothing_is_lost() {
    let house = House::new();
    let flags = ["--listen", "udp://127.0.0.1:0", "--commit-every", "1"];
    let collector = Collector::start(&house, &flags);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(&v5(0, 1), collector.sockets[0]).unwrap();
    collector.reaches("tidegauge_sightings_total", 1);
    // In the lake's place stands a file, as after a disk that was not mounted.
    std::fs::rename(house.path("lake"), house.path("away")).unwrap();
    house.file("lake", "");
    sender.send_to(&v5(1, 2), collector.sockets[0]).unwrap();
    collector.reaches("tidegauge_commits_failed_total", 1);
    assert!(get(collector.metrics, "/readyz").contains("503"), "not ready");
    assert!(get(collector.metrics, "/healthz").contains("200 OK"), "but alive");
    std::fs::remove_file(house.path("lake")).unwrap();
    std::fs::rename(house.path("away"), house.path("lake")).unwrap();
    collector.reaches("tidegauge_sightings_total", 2);
    assert!(get(collector.metrics, "/readyz").contains("200 OK"));
    collector.stop();
    assert_eq!(contacts(&house), 2);
}

#[test]
fn settings_are_checked_without_listening() {
    let house = House::new();
    house.file(
        "tidegauge.toml",
        "[collect]\nlisten = [\"udp://127.0.0.1:2055\"]\nvantage = \"edge\"\n",
    );
    let rows = house.rows(&["collect", "--check", "--commit-every", "5"]);
    let value = |what: &str| {
        rows.iter().find(|row| row["what"] == what).unwrap()["value"].clone()
    };
    assert_eq!(value("listen"), "udp://127.0.0.1:2055");
    assert_eq!(value("commit every"), "5 s");
    assert!(!house.path("collect").exists());

    house.file("tidegauge.toml", "[collect]\nlisten = [\"udp://nowhere\"]\n");
    let ended = house.run(&["collect", "--check", "--vantage", "edge"]);
    assert_eq!(ended.code, 2, "{}", ended.words);
    assert!(ended.words.contains("`nowhere` is not ADDRESS:PORT"), "{}", ended.words);
    house.file("tidegauge.toml", "[collect]\nlistens = []\n");
    assert_eq!(house.run(&["collect", "--check"]).code, 2);
    house.file("tidegauge.toml", "");
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = format!("udp://{}", held.local_addr().unwrap());
    let ended =
        house.run(&["collect", "--check", "--vantage", "edge", "--listen", &taken]);
    assert_eq!(ended.code, 2, "{}", ended.words);
    assert!(ended.words.contains(&taken), "{}", ended.words);
    drop(held);
    let path = format!("unix://{}", house.path("dnstap.sock").display());
    house.done(&["collect", "--check", "--vantage", "edge", "--listen", &path]);
    assert!(!house.path("dnstap.sock").exists(), "a check leaves nothing behind");
}

/// Runs a program of the field, if it is there.
fn tool(name: &str, arguments: &[&str]) -> Option<Command> {
    let known = ["/usr/bin", "/usr/sbin"];
    let path =
        known.iter().map(|folder| Path::new(folder).join(name)).find(|p| p.exists());
    let Some(path) = path else {
        println!("SKIPPED beside {name}: it is not installed");
        return None;
    };
    let mut command = Command::new(path);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(command)
}

/// What nfdump says of all files of a folder: flows, packets, bytes.
fn totals(folder: &Path) -> Option<[u64; 3]> {
    let output = tool("nfdump", &["-I", "-R", folder.to_str()?])?.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        line.split(':').nth(1)?.trim().parse::<u64>().ok()
    };
    Some([number("Flows")?, number("Packets")?, number("Bytes")?])
}

#[test]
fn real_exporters_are_understood_as_nfcapd_understands_them() {
    let Some(data) = shared("real exporters") else { return };
    let house = House::new();
    let folders = ["made", "beside"].map(|name| house.path(name));
    for folder in &folders {
        std::fs::create_dir_all(folder).unwrap();
    }
    let [made, beside] = folders.each_ref().map(|folder| folder.to_str().unwrap());
    let capture = data.join("pcap/ndpi/KakaoTalk_chat.pcap");
    assert!(capture.is_file(), "the capture is gone: {}", capture.display());
    let Some(mut reader) =
        tool("nfpcapd", &["-r", capture.to_str().unwrap(), "-w", made])
    else {
        return;
    };
    assert!(reader.output().unwrap().status.success());

    let collector = Collector::start(&house, &["--listen", "udp://127.0.0.1:0"]);
    let Some(nfcapd) = Nfcapd::start(Path::new(beside)) else { return };
    let port = nfcapd.port.to_string();
    let to_us = collector.sockets[0].port().to_string();
    let file = std::fs::read_dir(made).unwrap().next().unwrap().unwrap().path();
    let file = file.to_str().unwrap();
    for port in [&port, &to_us] {
        let arguments = ["-r", file, "-H", "127.0.0.1", "-p", port, "-v", "9"];
        let output = tool("nfreplay", &arguments).unwrap().output().unwrap();
        // It ends with 0 when it does not know a flag.
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !words.contains("invalid"), "{words}");
    }
    let sent = totals(Path::new(made)).unwrap();
    collector.reaches("tidegauge_flows_total", sent[0]);
    collector.reaches("tidegauge_flow_bytes_total", sent[2]);
    let theirs = nfcapd.totals();
    let ours = ["flows", "flow_packets", "flow_bytes"]
        .map(|name| collector.metric(&format!("tidegauge_{name}_total")));
    assert_eq!(Some(ours), theirs);
    assert_eq!(collector.metric("tidegauge_sequence_missed_total"), 0);
    collector.stop();
}

/// The collector of nfdump, that writes to a folder.
struct Nfcapd {
    child: Child,
    folder: std::path::PathBuf,
    port: u16,
    /// Kept open: it ends when it cannot speak.
    _said: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Nfcapd {
    /// Starts it, and waits until it listens.
    fn start(folder: &Path) -> Option<Self> {
        // A port that was free a moment ago.
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let number = port.to_string();
        let to = folder.to_str().unwrap();
        let arguments = ["-b", "127.0.0.1", "-p", &number, "-w", to];
        let mut child = tool("nfcapd", &arguments)?.spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(
            said.any(|line| line.unwrap_or_default().contains("Startup")),
            "nfcapd did not start"
        );
        Some(Self { child, folder: folder.to_owned(), port, _said: said })
    }

    /// Stops it; what it has taken.
    fn totals(mut self) -> Option<[u64; 3]> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap();
        totals(&self.folder)
    }
}

/// A classic capture with its times moved so that the last packet was just now.
fn fresh(capture: &[u8]) -> Vec<u8> {
    let (header, mut rest) = capture.split_at(24);
    assert_eq!(header[..4], [0xd4, 0xc3, 0xb2, 0xa1], "little-endian microseconds");
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let length = usize::try_from(number(&rest[8..12])).unwrap();
        let (packet, after) = rest.split_at(16 + length);
        packets.push(packet);
        rest = after;
    }
    let last = packets.iter().map(|packet| number(&packet[..4])).max().unwrap();
    let shift = now_seconds() - last - 2;
    let mut moved = header.to_vec();
    for packet in packets {
        moved.extend((number(&packet[..4]) + shift).to_le_bytes());
        moved.extend(&packet[4..]);
    }
    moved
}

/// Has `exporter` export the capture to `port`. softflowd 1.1 is asked for v5 alone: its
/// v9 and IPFIX of a capture are dated 2^32 ms late, and are refused, rightly.
fn export(house: &House, exporter: &str, version: &str, port: u16) -> bool {
    let capture = house.path("fresh.pcap");
    let capture = capture.to_str().unwrap();
    let to = format!("127.0.0.1:{port}");
    let settings = house.file(
        "pmacctd.conf",
        format!(
            "daemonize: false\npcap_savefile: {capture}\nplugins: nfprobe\n\
             nfprobe_receiver: {to}\nnfprobe_version: {version}\n\
             aggregate: src_host,dst_host,src_port,dst_port,proto,tos,tcpflags\n"
        ),
    );
    let arguments: &[&str] = match exporter {
        "softflowd" => &["-r", capture, "-n", &to, "-v", version, "-d"],
        _ => &["-f", &settings],
    };
    let Some(mut command) = tool(exporter, arguments) else { return false };
    let output = command.output().unwrap();
    // pmacctd ends with 1 where its plugin has sent everything and ended before it looks.
    let words = String::from_utf8_lossy(&output.stderr);
    let sent = output.status.success() || words.contains("no more plugins active");
    assert!(sent && !words.contains("ERROR"), "{exporter} {version}: {words}");
    true
}

#[test]
fn softflowd_and_pmacctd_give_the_totals_that_nfcapd_has() {
    let Some(data) = shared("softflowd and pmacctd") else { return };
    let capture = data.join("pcap/ndpi/KakaoTalk_chat.pcap");
    let capture = std::fs::read(capture).unwrap();
    let ways =
        [("softflowd", "5"), ("pmacctd", "5"), ("pmacctd", "9"), ("pmacctd", "10")];
    for (exporter, version) in ways {
        let house = House::new();
        house.file("fresh.pcap", fresh(&capture));
        let beside = house.path("beside");
        std::fs::create_dir_all(&beside).unwrap();
        let Some(nfcapd) = Nfcapd::start(&beside) else { return };
        let collector = Collector::start(&house, &["--listen", "udp://127.0.0.1:0"]);
        if !export(&house, exporter, version, nfcapd.port) {
            continue;
        }
        export(&house, exporter, version, collector.sockets[0].port());
        let [flows, packets, bytes] = nfcapd.totals().unwrap();
        assert_eq!((packets, bytes), (347, 66_384), "{exporter} {version}: all of it");
        collector.reaches("tidegauge_flow_bytes_total", bytes);
        let ours = ["flows", "flow_packets", "flow_bytes"]
            .map(|name| collector.metric(&format!("tidegauge_{name}_total")));
        assert_eq!(ours, [flows, packets, bytes], "{exporter} {version}");
        for name in ["sequence_missed", "records_lost", "datagrams_dropped"] {
            let lost = collector.metric(&format!("tidegauge_{name}_total"));
            assert_eq!(lost, 0, "{exporter} {version}: {name}");
        }
        collector.stop();
    }
}

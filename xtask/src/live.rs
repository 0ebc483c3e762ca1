//! `cargo xtask bench live [BINARY]`: datagrams over loopback to `tidegauge collect`, nfcapd
//! and nfacctd in turns, at rising rates, until each loses some.
//!
//! A row for each rate: flows sent, flows that the program says it has, datagrams that the
//! kernel dropped for want of room, processor time until all was worked off, and flows per
//! second of one core. What is not installed is said to be missing.
//!
//! All three keep what they receive, each in its own way: ours matches every flow against
//! the catalog, keeps the footprint and commits to a lake every two seconds; nfcapd writes
//! its records to a file; nfacctd sums up by addresses, ports and protocol, and writes that
//! when it ends. The sender runs on the same machine. The kernel grants at most
//! `net.core.rmem_max` bytes of receive buffer to those who do not ask with privilege: raise
//! it to [`BUFFER_BYTES`] first, or the rates compare buffers.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::run::{Outcome, output, say};

/// Where all three listen, one after the other, and where ours tells its metrics.
const PORT: u16 = 29_996;
const METRICS_PORT: u16 = 29_997;
/// Of the receive buffer that each asks for.
const BUFFER_BYTES: usize = 16 << 20;
/// How long each rate is sent.
const SECONDS: u64 = 5;
/// Flows a second, as long as none is lost.
const RATES: [u64; 8] =
    [50_000, 100_000, 200_000, 400_000, 800_000, 1_600_000, 3_200_000, 6_400_000];
/// As many records as fit an Ethernet frame.
const RECORDS_PER_DATAGRAM: u64 = 28;
/// Clients seen: what nfacctd sums up by is bounded.
const CLIENTS: u64 = 50_000;
/// Of `/proc/PID/stat` (proc(5)): what `getconf CLK_TCK` says on Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// The longest wait for a program to start, and to work off what came.
const PATIENCE: Duration = Duration::from_mins(2);

/// A program that collects.
#[derive(Clone, Copy)]
enum Peer {
    Tidegauge,
    Nfcapd,
    Nfacctd,
}

/// What a rate came to.
struct Run {
    sent: u64,
    /// How long sending took: longer than [`SECONDS`] if the sender is too slow.
    seconds: f64,
    kept: u64,
    dropped: u64,
    cpu_seconds: f64,
}

/// Measures all three, ours from this binary.
pub(crate) fn live(binary: &Path) -> Outcome {
    let granted = fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap_or_default();
    if granted.trim().parse().is_ok_and(|bytes: usize| bytes < BUFFER_BYTES) {
        say(&format!(
            "net.core.rmem_max is {}, less than the {BUFFER_BYTES} that each asks for: \
             who has no privilege, or does not use it, is at a disadvantage",
            granted.trim()
        ));
    }
    say(
        "| collector | flows/s | sent | kept | datagrams dropped | CPU s | flows/s a core |",
    );
    say("|---|--:|--:|--:|--:|--:|--:|");
    let folder = std::env::temp_dir().join(format!("tidegauge-{}", std::process::id()));
    for peer in [Peer::Tidegauge, Peer::Nfcapd, Peer::Nfacctd] {
        let measured = rates(peer, binary, &folder);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|e| at(&folder, &e))?;
        }
        measured?;
    }
    Ok(())
}

/// What went wrong with a file, in words.
fn at(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// Rising rates, up to the first that loses.
fn rates(peer: Peer, binary: &Path, folder: &Path) -> Outcome {
    for rate in RATES {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(|e| at(folder, &e))?;
        }
        fs::create_dir_all(folder.join("kept")).map_err(|e| at(folder, &e))?;
        let Some(mut child) = peer.start(binary, folder)? else {
            say(&format!(
                "| {} | NOT MEASURED: not installed, or not built | | | | | |",
                peer.name()
            ));
            return Ok(());
        };
        let run = measure(peer, &mut child, rate, folder);
        // Whatever happened, nothing is left running.
        let ended = child.kill().and_then(|()| child.wait());
        let run = run?;
        ended.map_err(|e| format!("{}: {e}", peer.name()))?;
        let number = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        say(&format!(
            "| {} | {:.0} | {} | {} | {} | {:.2} | {:.0} |",
            peer.name(),
            number(run.sent) / run.seconds,
            run.sent,
            run.kept,
            run.dropped,
            run.cpu_seconds,
            number(run.kept) / run.cpu_seconds.max(1.0 / TICKS_PER_SECOND)
        ));
        if run.kept < run.sent || run.dropped > 0 {
            break;
        }
    }
    Ok(())
}

/// Sends at a rate, waits until all was worked off, and ends the program.
fn measure(
    peer: Peer,
    child: &mut Child,
    rate: u64,
    folder: &Path,
) -> Result<Run, String> {
    wait_for(|| socket().is_some())
        .map_err(|()| format!("{} does not listen", peer.name()))?;
    let before = cpu_ticks(child.id());
    let (sent, seconds) = send(rate).map_err(|e| format!("cannot send: {e}"))?;
    settle(child.id());
    let dropped = socket().unwrap_or(0);
    let ticks = cpu_ticks(child.id()).saturating_sub(before);
    // Ours tells while it runs; the others when they have ended.
    let told = match peer {
        Peer::Tidegauge => Some(metric("tidegauge_flows_total")?),
        Peer::Nfcapd | Peer::Nfacctd => None,
    };
    let signal = if matches!(peer, Peer::Nfacctd) { "-INT" } else { "-TERM" };
    output("kill", &[signal, &child.id().to_string()])?;
    wait_for(|| child.try_wait().is_ok_and(|status| status.is_some()))
        .map_err(|()| format!("{} does not end", peer.name()))?;
    let kept = match told {
        Some(flows) => flows,
        None => peer.kept(folder)?,
    };
    let cpu_seconds =
        f64::from(u32::try_from(ticks).unwrap_or(u32::MAX)) / TICKS_PER_SECOND;
    Ok(Run { sent, seconds, kept, dropped, cpu_seconds })
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Self::Tidegauge => "tidegauge collect",
            Self::Nfcapd => "nfcapd",
            Self::Nfacctd => "nfacctd",
        }
    }

    /// Starts it; `None` if it is not installed.
    fn start(self, binary: &Path, folder: &Path) -> Result<Option<Child>, String> {
        let port = PORT.to_string();
        let mut command = match self {
            Self::Tidegauge => {
                // It is started in another folder.
                let Ok(binary) = binary.canonicalize() else { return Ok(None) };
                let mut command = Command::new(binary);
                command.args(["collect", "--lake", "lake", "--vantage", "edge"]);
                command.args(["--state", "state", "--commit-every", "2"]);
                command.args(["--receive-buffer", &(BUFFER_BYTES >> 20).to_string()]);
                command.args(["--listen", &format!("udp://127.0.0.1:{PORT}")]);
                command.args(["--metrics", &format!("127.0.0.1:{METRICS_PORT}")]);
                command
            }
            Self::Nfcapd => {
                let mut command = Command::new("nfcapd");
                command.args([
                    "-b",
                    "127.0.0.1",
                    "-p",
                    &port,
                    "-t",
                    "3600",
                    "-w",
                    "kept",
                ]);
                command.args(["-B", &BUFFER_BYTES.to_string()]);
                command
            }
            Self::Nfacctd => {
                let settings = format!(
                    "daemonize: false\nplugins: print[a]\n\
                     aggregate[a]: src_host, dst_host, src_port, dst_port, proto, flows\n\
                     print_output[a]: csv\nprint_output_file[a]: kept.csv\n\
                     print_refresh_time[a]: 3600\nprint_cache_entries[a]: 1000003\n\
                     plugin_buffer_size: 102400\nplugin_pipe_size: 102400000\n\
                     nfacctd_ip: 127.0.0.1\nnfacctd_port: {PORT}\n\
                     nfacctd_pipe_size: {BUFFER_BYTES}\n"
                );
                let path = folder.join("nfacctd.conf");
                fs::write(&path, settings).map_err(|e| at(&path, &e))?;
                let mut command = Command::new("nfacctd");
                command.args(["-f", "nfacctd.conf"]);
                command
            }
        };
        let log =
            fs::File::create(folder.join("log")).map_err(|e| format!("log: {e}"))?;
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        Ok(command.spawn().ok())
    }

    /// How many flows are in what it wrote.
    fn kept(self, folder: &Path) -> Result<u64, String> {
        match self {
            Self::Tidegauge => metric("tidegauge_flows_total"),
            Self::Nfcapd => {
                let kept = folder.join("kept");
                let kept = kept.to_str().ok_or("the folder's path is not UTF-8")?;
                let said = output("nfdump", &["-q", "-I", "-R", kept])?;
                let flows = said.lines().find_map(|line| line.strip_prefix("Flows: "));
                flows
                    .and_then(|flows| flows.trim().parse().ok())
                    .ok_or_else(|| format!("nfdump tells no flows:\n{said}"))
            }
            Self::Nfacctd => {
                let path = folder.join("kept.csv");
                let text = fs::read_to_string(&path).map_err(|e| at(&path, &e))?;
                let mut lines = text.lines();
                let heading = lines.next().unwrap_or_default();
                let column = heading.split(',').position(|name| name == "FLOWS");
                let column = column.ok_or("nfacctd wrote no column FLOWS")?;
                let flows =
                    lines.filter_map(|l| l.split(',').nth(column)?.parse::<u64>().ok());
                Ok(flows.sum())
            }
        }
    }
}

/// Datagrams that the kernel dropped at the socket, if there is one that listens
/// (`/proc/net/udp`: the address in hexadecimal, second column; drops, last column).
fn socket() -> Option<u64> {
    let text = fs::read_to_string("/proc/net/udp").ok()?;
    let wanted = format!(":{PORT:04X}");
    let line = text.lines().find(|line| {
        line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&wanted))
    })?;
    line.split_whitespace().last()?.parse().ok()
}

/// Processor time of a program and what it started, in ticks.
fn cpu_ticks(process: u32) -> u64 {
    let own = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in brackets, may have spaces; behind it user and system time are the 12th
    // and 13th.
    let rest = own.rsplit_once(')').map_or("", |(_, rest)| rest);
    let words = rest.split_whitespace().skip(11).take(2);
    let own: u64 = words.filter_map(|word| word.parse::<u64>().ok()).sum();
    let path = format!("/proc/{process}/task/{process}/children");
    let children = fs::read_to_string(path).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|id| id.parse().ok());
    own + children.map(cpu_ticks).sum::<u64>()
}

/// Waits until the program has nothing left to do: it uses less than two hundredths of a
/// second in half a second, three times in a row.
fn settle(process: u32) {
    let (mut before, mut quiet) = (cpu_ticks(process), 0);
    let until = Instant::now() + PATIENCE;
    while quiet < 3 && Instant::now() < until {
        pause(Duration::from_millis(500));
        let now = cpu_ticks(process);
        quiet = if now - before < 2 { quiet + 1 } else { 0 };
        before = now;
    }
}

fn wait_for(mut condition: impl FnMut() -> bool) -> Result<(), ()> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if condition() {
            return Ok(());
        }
        pause(Duration::from_millis(20));
    }
    Err(())
}

#[expect(clippy::disallowed_methods, reason = "a bench waits for what it measures")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// The sum over all series of a metric of ours.
fn metric(name: &str) -> Result<u64, String> {
    let page = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, METRICS_PORT))?;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let page = page().map_err(|e| format!("no metrics: {e}"))?;
    let of_metric = page.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    let values =
        of_metric.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    Ok(values.sum())
}

/// Sends flows at a rate, a thousandth of a second's worth at a time; how many, and how long
/// it took.
fn send(rate: u64) -> std::io::Result<(u64, f64)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, PORT))?;
    let mut datagrams = datagrams();
    let (template, data) = datagrams.split_first_mut().expect("a template and data");
    let all = rate * SECONDS / RECORDS_PER_DATAGRAM;
    let begun = Instant::now();
    socket.send(template)?;
    let mut number: u64 = 0;
    while number < all {
        let due = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let due =
            (due.saturating_mul(rate) / 1_000_000 / RECORDS_PER_DATAGRAM).min(all);
        while number < due {
            let place = usize::try_from(number).unwrap_or(0) % data.len();
            let sequence = u32::try_from(number + 1).unwrap_or(u32::MAX);
            if let Some(datagram) = data.get_mut(place) {
                datagram[12..16].copy_from_slice(&sequence.to_be_bytes());
                socket.send(datagram)?;
            }
            number += 1;
        }
        pause(Duration::from_millis(1));
    }
    Ok((all * RECORDS_PER_DATAGRAM, begun.elapsed().as_secs_f64()))
}

/// Addresses, interfaces, counters, times, ports, protocol and flags: element and length
/// (RFC 3954, 8).
const FIELDS: [(u16, u16); 12] = [
    (8, 4),
    (12, 4),
    (10, 4),
    (14, 4),
    (2, 4),
    (1, 4),
    (22, 4),
    (21, 4),
    (7, 2),
    (11, 2),
    (4, 1),
    (6, 1),
];

/// A datagram with the template, and those with the flows of all clients.
fn datagrams() -> Vec<Vec<u8>> {
    let mut template = vec![1, 0, 0, 12];
    for (id, length) in FIELDS {
        template.extend(id.to_be_bytes());
        template.extend(length.to_be_bytes());
    }
    let mut all = vec![message(0, 0, &template)];
    for first in 0..CLIENTS / RECORDS_PER_DATAGRAM {
        let clients = first * RECORDS_PER_DATAGRAM..(first + 1) * RECORDS_PER_DATAGRAM;
        let records: Vec<u8> = clients.flat_map(record).collect();
        all.push(message(0, 256, &records));
    }
    all
}

/// A flow of a client to a server that is in no catalog.
fn record(client: u64) -> Vec<u8> {
    let client = u32::try_from(client).unwrap_or(0);
    let mut bytes = (0xc612_0000 | client).to_be_bytes().to_vec();
    bytes.extend([203, 0, 113, 5]);
    for word in [1, 2, 12, 1_500 + client % 7, 590_000, 599_000_u32] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend([0xc3, 0x50, 1, 0xbb, 6, 0x1b]);
    bytes
}

/// A datagram of NetFlow v9 (RFC 3954, 5) with one set.
fn message(sequence: u32, set: u16, content: &[u8]) -> Vec<u8> {
    #[expect(clippy::disallowed_methods, reason = "collectors believe the clock")]
    let now = std::time::SystemTime::now();
    let now =
        now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let padding = content.len().next_multiple_of(4) - content.len();
    let length = u16::try_from(content.len() + padding + 4).unwrap_or(u16::MAX);
    let mut bytes = vec![0, 9, 0, 1];
    for word in [600_000, u32::try_from(now).unwrap_or(0), sequence, 1] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend(set.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(content);
    bytes.extend(vec![0; padding]);
    bytes
}

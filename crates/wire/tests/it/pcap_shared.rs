//! Captures that others made, against what others found in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use tidegauge_model::flow::canonical_host;
use tidegauge_model::{Address, Answer, Flow, Instant, Loss, Protocol, Reason};
use tidegauge_wire::export::Exports;
use tidegauge_wire::{Format, Sink, pcap, recognise};

const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

/// 2027-01-01: after the latest capture.
const LATEST: Instant = Instant(1_798_761_600_000_000);

/// What is in a capture; what its packets report about another network is left out.
#[derive(Default)]
struct Collected {
    flows: Vec<Flow>,
    answers: Vec<Answer>,
    losses: Vec<Loss>,
    /// Packets that are such reports.
    reports: u64,
}

impl Sink for Collected {
    fn flow(&mut self, flow: Flow) {
        if flow.exporter.is_none() {
            self.flows.push(flow);
        }
    }
    fn answer(&mut self, answer: Answer) {
        self.answers.push(answer);
    }
    fn loss(&mut self, loss: Loss) {
        if loss.exporter.is_none() {
            self.losses.push(loss);
        }
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
    let mut exports = Exports::new();
    let input = &mut &*bytes;
    pcap::flows_and_exports(input, LATEST, &mut exports, &mut collected).unwrap();
    exports.finish(&mut collected);
    collected.reports = exports.datagrams();
    pcap::names(&mut &*bytes, LATEST, &mut collected).unwrap();
    collected
}

/// One capture of `pcap-hostnames.tsv`.
#[derive(Default)]
struct Listed {
    packets: usize,
    names: BTreeSet<String>,
}

fn listed() -> BTreeMap<String, Listed> {
    let path = Path::new(SHARED).join("pcap/pcap-hostnames.tsv");
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

/// Whether the shared captures are there; says so loudly if not.
fn absent(test: &str) -> bool {
    let absent = !Path::new(SHARED).join("pcap").is_dir();
    if absent {
        println!("SKIPPED {test}: shared data folder absent");
    }
    absent
}

/// Captures whose list does not tell the truth, with the frames that `capinfos` counts.
const MISCOUNTED: [(&str, usize); 4] = [
    ("pcap/suricata-verify/http-evader/http-evader-006/input.pcap", 8),
    ("pcap/suricata-verify/http-request-line/input.pcap", 1),
    ("pcap/suricata-verify/prefilter-multibuf-multipkts/input.pcap", 20),
    ("pcap/suricata-verify/uricontent/detect-uricontent-05/input.pcap", 1),
];

#[test]
fn every_frame_of_every_capture_is_a_flow_or_a_loss() {
    if absent("every_frame_of_every_capture_is_a_flow_or_a_loss") {
        return;
    }
    let (mut frames, mut packets, mut flows, mut answers) = (0, 0, 0, 0);
    let mut losses: BTreeMap<Reason, usize> = BTreeMap::new();
    let listed = listed();
    for (file, listed) in &listed {
        let found = decoded(&bytes_of(&Path::new(SHARED).join(file)));
        let expected = MISCOUNTED.iter().find(|(name, _)| name == file);
        let expected = expected.map_or(listed.packets, |&(_, count)| count);
        // A frame that the end of the file cuts is no frame to those who counted.
        let cut = found.losses.iter().filter(|l| l.reason == Reason::Truncated).count();
        let packets_here = usize::try_from(found.packets() + found.reports).unwrap();
        let counted = packets_here + found.losses.len() - cut;
        assert_eq!(counted, expected, "{file}");
        frames += counted;
        packets += packets_here;
        flows += found.flows.len();
        answers += found.answers.len();
        for loss in found.losses {
            *losses.entry(loss.reason).or_default() += 1;
        }
    }
    println!("{} captures: {frames} frames, {packets} in {flows} flows", listed.len());
    println!("{answers} DNS answers; losses {losses:?}");
    assert!(listed.len() > 1000 && flows > 10_000);
}

/// Every file below `folder`.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// What is in a capture file, counted without the decoder.
#[derive(Default, Debug)]
struct Walked {
    frames: usize,
    /// Pieces of the file that are no frame and cannot be read: its end inside a record.
    cut: usize,
}

/// Counts the frames of a file. Only what ends in the middle is damage that is known here.
fn walked(bytes: &[u8]) -> Walked {
    let word = |at: usize, big: bool| {
        let word = bytes.get(at..at + 4)?.try_into().unwrap();
        let word =
            if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) };
        usize::try_from(word).ok()
    };
    let mut walked = Walked::default();
    let ng = bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]);
    let mut big = bytes[0] == 0xa1;
    let mut at = if ng { 0 } else { 24 };
    // Before version 2.3 the length on the wire stood first.
    let minor = bytes.get(if big { 7 } else { 6 }).copied();
    let captured = if minor.is_some_and(|minor| minor < 3) { 12 } else { 8 };
    while at < bytes.len() {
        if ng && word(at, false) == Some(0x0a0d_0d0a) {
            big = bytes.get(at + 8) == Some(&0x1a);
        }
        let frame = !ng || matches!(word(at, big), Some(2 | 3 | 6));
        let length = if ng {
            word(at + 4, big)
        } else {
            word(at + captured, big).map(|l| l + 16)
        };
        let Some(length) = length.filter(|length| at + length <= bytes.len()) else {
            walked.cut += 1;
            break;
        };
        walked.frames += usize::from(frame);
        at += length;
    }
    if !ng && bytes.len() < 24 {
        walked.cut = 1;
    }
    walked
}

/// Every capture of the shared data, by its content.
fn captures() -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    files(Path::new(SHARED), &mut all);
    all.sort();
    all.into_iter()
        .map(|path| {
            let bytes = bytes_of(&path);
            (path, bytes)
        })
        .filter(|(_, bytes)| {
            matches!(recognise(bytes), Some(Format::Pcap | Format::Pcapng))
        })
        .collect()
}

/// Asserts that every frame is a flow, a report or a loss, and returns the packets.
fn assert_books_close(path: &Path, bytes: &[u8]) -> u64 {
    let found = decoded(bytes);
    let counted = usize::try_from(found.packets() + found.reports).unwrap();
    let Walked { frames, cut } = walked(bytes);
    let expected = frames + cut;
    let losses = found.losses.len();
    assert_eq!(counted + losses, expected, "{} {}", path.display(), bytes.len());
    found.packets()
}

#[test]
fn the_books_of_every_capture_close_whole_and_cut() {
    if absent("the_books_of_every_capture_close_whole_and_cut") {
        return;
    }
    let (captures, mut packets, mut cuts) = (captures(), 0, 0);
    for (path, bytes) in &captures {
        packets += assert_books_close(path, bytes);
        // Cut where a copy may end: in the header, in a record's head, in a frame.
        for end in [17, 31, bytes.len() / 2, bytes.len() - 1] {
            if end < bytes.len() && bytes.len() < CUT_BYTES_MAX {
                assert_books_close(path, &bytes[..end]);
                cuts += 1;
            }
        }
    }
    println!("{} captures, {packets} packets in flows, {cuts} cut", captures.len());
    assert!(captures.len() >= listed().len());
}

/// Captures longer than this are not cut or damaged by a test: it would take minutes.
const CUT_BYTES_MAX: usize = 50_000;

#[test]
fn damage_to_any_capture_does_no_harm() {
    if absent("damage_to_any_capture_does_no_harm") {
        return;
    }
    let mut damaged = 0;
    for (_, mut bytes) in captures() {
        if bytes.len() > CUT_BYTES_MAX {
            continue;
        }
        // The same damage every time: one byte in about two hundred, behind the first word.
        let mut state = 1u32;
        for byte in bytes.iter_mut().skip(4) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state >> 24 == 7 {
                *byte ^= state.to_le_bytes()[1];
            }
        }
        decoded(&bytes);
        damaged += 1;
    }
    println!("{damaged} captures damaged");
    assert!(damaged > 1000);
}

/// Takes everything and keeps nothing.
struct Nothing;

impl Sink for Nothing {
    fn flow(&mut self, _: Flow) {}
    fn answer(&mut self, _: Answer) {}
    fn loss(&mut self, _: Loss) {}
}

/// The peak of the memory of this process in KiB, where the system tells.
fn peak_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Reads all captures from their files. Run alone by the test below, which looks at what it
/// prints.
#[test]
fn all_captures_are_read_from_files() {
    if absent("all_captures_are_read_from_files") {
        return;
    }
    let mut all = Vec::new();
    files(&Path::new(SHARED).join("pcap"), &mut all);
    let mut read = 0;
    for path in all {
        let mut input = std::io::BufReader::new(fs::File::open(&path).unwrap());
        let head = std::io::BufRead::fill_buf(&mut input).unwrap();
        if matches!(recognise(head), Some(Format::Pcap | Format::Pcapng)) {
            let mut exports = Exports::new();
            pcap::flows_and_exports(&mut input, LATEST, &mut exports, &mut Nothing)
                .unwrap();
            exports.finish(&mut Nothing);
            read += 1;
        }
    }
    assert!(read > 1000);
    if let Some(peak) = peak_kib() {
        println!("{read} captures read, peak_kib {peak}");
    }
}

/// What a process may take that reads all captures one after another: its program, the
/// largest frame, and what their open flows hold (measured: 20 MiB, debug build).
const PEAK_KIB_MAX: u64 = 64 * 1024;

#[test]
fn memory_does_not_grow_with_what_was_read() {
    if absent("memory_does_not_grow_with_what_was_read") || peak_kib().is_none() {
        return;
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "pcap_shared::all_captures_are_read_from_files"]);
    let output = child.args(["--nocapture", "--test-threads=1"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let (_, peak) = text.split_once("peak_kib ").unwrap();
    let peak: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    println!("peak {peak} KiB");
    assert!(peak < PEAK_KIB_MAX, "{peak} KiB");
}

/// Names that others found and we do not, and why.
const NOT_FOUND: [(&str, &str); 10] = [
    // The other end opened the connection (a reverse SOCKS proxy), and only names that the
    // originator asks for are taken.
    ("pcap/arkime/socks5-reverse.pcap", "www.google.com"),
    // The record of the hello claims more bytes than ever come.
    ("pcap/arkime/arkime_synthetic.pcap", "test.com"),
    // The first half of the hello is not in the capture.
    ("pcap/ndpi/tls_missing_ch_frag.pcap", "r1---sn-5f5nxgvh5o-hjul.googlevideo.com"),
    // Not a query: an unassigned opcode, and a notification between servers.
    ("pcap/suricata-verify/dns/v2/dns-invalid-opcode/input.pcap", "suricata.io"),
    ("pcap/zeek/dns/dns_notify2.pcap", "dhcp.lbnl.us"),
    // A request line without a version, and one without a target.
    ("pcap/suricata-verify/http-missing-protocol/input.pcap", "5.8.88.25"),
    ("pcap/zeek/http/no-uri.pcap", "bro.org"),
    // HTTP from port 53, which is DNS to us.
    (
        "pcap/suricata-verify/uricontent/detect-uricontent-04/input.pcap",
        "www.example.com",
    ),
    // The list was made of another file of that name, see `MISCOUNTED`.
    ("pcap/suricata-verify/http-request-line/input.pcap", "example.com"),
    // Its frames are dated 1970.
    ("pcap/ndpi/discord.pcap", "discord.com"),
];

#[test]
fn the_names_that_others_found_are_found() {
    if absent("the_names_that_others_found_are_found") {
        return;
    }
    let (mut captures, mut names, mut not_found) = (0, 0, BTreeSet::new());
    for (file, listed) in listed() {
        let found = decoded(&bytes_of(&Path::new(SHARED).join(&file)));
        if found.losses.iter().any(|l| l.reason == Reason::Time)
            && found.flows.is_empty()
        {
            continue; // Wholly dated before 1990.
        }
        let hosts: BTreeSet<&str> =
            found.flows.iter().filter_map(|f| Some(&*f.name.as_ref()?.host)).collect();
        captures += usize::from(!listed.names.is_empty());
        for name in listed.names {
            let (_, host) = name.split_once(':').unwrap();
            // What is no host name, `*.teams.microsoft.com` or an empty one, is no name.
            let Some(host) = canonical_host(host) else { continue };
            names += 1;
            if !hosts.contains(&*host) {
                not_found.insert((file.clone(), host));
            }
        }
    }
    println!("{names} names in {captures} captures, {} not found", not_found.len());
    let known = NOT_FOUND.map(|(file, host)| (file.to_owned(), host.to_owned()));
    assert_eq!(not_found, known.into(), "names not found");
    assert!(captures > 300 && names > 1000);
}

/// A conversation as ndpiReader prints it: the two ends and the packets that each sent, the
/// lower end first.
type Conversation = (Protocol, (Address, u16), (Address, u16), u64, u64);

/// Reads a line such as
/// `1  TCP 10.0.0.1:5000 <-> 10.0.0.2:80 [proto: …][6 pkts/385 bytes <-> 4 pkts/366 bytes]`.
fn ndpi_conversation(line: &str) -> Option<Conversation> {
    let (number, rest) = line.strip_prefix('\t')?.split_once('\t')?;
    number.parse::<u32>().ok()?;
    let mut words = rest.split_ascii_whitespace();
    let protocol = match words.next()? {
        "TCP" => Protocol::TCP,
        "UDP" => Protocol::UDP,
        "ICMP" => Protocol(1),
        "ICMPV6" => Protocol(58),
        // Others by a name of nDPI's own.
        _ => Protocol(255),
    };
    let end = |text: &str| {
        let (address, port) = text.rsplit_once(':')?;
        let address = address.trim_matches(['[', ']']);
        Some((address.parse::<Address>().ok()?, port.parse::<u16>().ok()?))
    };
    let from = end(words.next()?)?;
    words.next()?;
    let to = end(words.next()?)?;
    let packets: Vec<u64> = rest
        .match_indices(" pkts/")
        .filter_map(|(at, _)| {
            let before = rest.get(..at)?;
            before.rsplit(['[', ' ']).next()?.parse().ok()
        })
        .collect();
    let &[sent, received, ..] = packets.as_slice() else { return None };
    Some(ordered(protocol, from, to, sent, received))
}

fn ordered(
    protocol: Protocol,
    from: (Address, u16),
    to: (Address, u16),
    sent: u64,
    received: u64,
) -> Conversation {
    if from <= to {
        (protocol, from, to, sent, received)
    } else {
        (protocol, to, from, received, sent)
    }
}

/// Our flows with those of the same ends put together, as nDPI has no time-outs.
fn conversations(flows: &[Flow]) -> BTreeSet<Conversation> {
    let mut sums = BTreeMap::new();
    for flow in flows {
        let (Some(sent), Some(received)) = (flow.sent, flow.received) else { continue };
        let protocol = match flow.protocol {
            named @ (Protocol::TCP | Protocol::UDP | Protocol(1 | 58)) => named,
            _ => Protocol(255),
        };
        let (protocol, low, high, up, down) = ordered(
            protocol,
            (flow.originator, flow.originator_port),
            (flow.responder, flow.responder_port),
            sent.packets,
            received.packets,
        );
        let (all_up, all_down) = sums.entry((protocol, low, high)).or_insert((0, 0));
        *all_up += up;
        *all_down += down;
    }
    sums.into_iter()
        .map(|((p, low, high), (up, down))| (p, low, high, up, down))
        .collect()
}

/// Captures in which nDPI counts otherwise, and why.
const NDPI_DIFFERS: [(&str, &[&str]); 10] = [
    (
        "packets that report flows of another network are not of this one here",
        &["netflowv9.pcap", "sflow.pcap"],
    ),
    (
        "frames dated 1970 are losses here",
        &[
            "bt-dns.pcap",
            "cassandra.pcap",
            "discord.pcap",
            "dlt_ppp.pcap",
            "line.pcap",
            "ookla.pcap",
            "ossfuzz_seed_fake_traces_2.pcapng",
            "quic-mvfst-22.pcap",
            "spotify_tcp.pcap",
            "syslog.pcap",
            "targusdataspeed_false_positives.pcap",
            "teamviewer.pcap",
        ],
    ),
    ("nDPI looks into CAPWAP; here it is a flow", &["capwap_data.pcapng"]),
    ("nDPI does not look into Teredo", &["teredo.pcap"]),
    (
        "the packet in the tunnel says to be longer than the tunnel: it is not opened here",
        &["tls_invalid_reads.pcap"],
    ),
    (
        "nDPI leaves fragments out; here they belong to the flow of the first",
        &[
            "badpackets.pcap",
            "dns_fragmented.pcap",
            "dnscrypt-v1-and-resolver-pings.pcap",
            "ip_fragmented_garbage.pcap",
        ],
    ),
    (
        "nDPI leaves packets with wrong lengths out; here they count where they have ports",
        &[
            "fuzz-2006-09-29-28586.pcap",
            "fuzz-2020-02-16-11740.pcap",
            "ndpi_match_string_subprotocol__error.pcapng",
            "reasm_crash_anon.pcapng",
        ],
    ),
    (
        "here SCTP has its ports, and the protocol behind an authentication header is told",
        &["ah.pcapng", "sctp.cap"],
    ),
    ("the link layer is PPI, which is not read here", &["someip_sd_sample.pcap"]),
    ("ndpiReader misprints an address", &["pinterest.pcap"]),
];

#[test]
fn conversations_and_their_packets_agree_with_ndpi() {
    if absent("conversations_and_their_packets_agree_with_ndpi") {
        return;
    }
    let (mut files, mut agreed, mut flows) = (0, 0, 0);
    let mut differ = BTreeSet::new();
    for entry in fs::read_dir(Path::new(SHARED).join("pcap/ndpi-results")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        let theirs: BTreeSet<_> = text.lines().filter_map(ndpi_conversation).collect();
        let capture = Path::new(SHARED).join("pcap/ndpi").join(&file);
        let found = decoded(&bytes_of(&capture));
        files += 1;
        if conversations(&found.flows) == theirs {
            agreed += theirs.len();
            flows += found.flows.iter().filter(|f| f.sent.is_some()).count();
        } else {
            differ.insert(file);
        }
    }
    println!("{agreed} conversations ({flows} flows) agree with nDPI");
    println!("{} of {files} captures differ", differ.len());
    let known = NDPI_DIFFERS.iter().flat_map(|(_, files)| *files);
    assert_eq!(differ, known.map(|&f| f.to_owned()).collect(), "captures that differ");
    assert!(files > 300);
}

/// Flows as the table parts them, pinned where nDPI, which has no time-outs in a file, sees
/// as many: no conversation in these is silent for long.
const FLOWS: [(&str, usize); 14] = [
    ("1kxun.pcap", 197),
    ("443-curl.pcap", 1),
    ("KakaoTalk_chat.pcap", 38),
    ("android.pcap", 63),
    ("chrome.pcap", 6),
    ("dnscrypt-v2-doh.pcap", 34),
    ("http_ipv6.pcap", 15),
    ("instagram.pcap", 38),
    ("netflix.pcap", 61),
    ("ocs.pcap", 20),
    ("opera-vpn.pcapng", 62),
    ("pinterest.pcap", 37),
    ("whatsapp_login_call.pcap", 57),
    ("weibo.pcap", 44),
];

#[test]
fn flows_per_capture_are_pinned_where_ndpi_agrees() {
    if absent("flows_per_capture_are_pinned_where_ndpi_agrees") {
        return;
    }
    for (file, pinned) in FLOWS {
        let out = format!("pcap/ndpi-results/{file}.out");
        let text = fs::read(Path::new(SHARED).join(out)).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        let theirs = text
            .lines()
            .filter(|l| l.starts_with('\t') && l.contains("> ") && l.contains(" pkts/"))
            .count();
        let capture = Path::new(SHARED).join("pcap/ndpi").join(file);
        let found = decoded(&bytes_of(&capture));
        let ours = found.flows.iter().filter(|f| f.sent.is_some()).count();
        assert_eq!((ours, theirs), (pinned, pinned), "{file}");
    }
}

/// Captures with QUIC in which nDPI tells a name and we do not, and why.
const QUIC_NOT_FOUND: [(&str, &[&str]); 2] = [
    (
        "versions of Google's before the standard: Q024 to Q050, T050, T051",
        &[
            "gquic.pcap",
            "http_ipv6.pcap",
            "quic.pcap",
            "quic046.pcap",
            "quic_q43.pcap",
            "quic_q46_b.pcap",
            "quic_q50.pcap",
            "quic_t50.pcap",
            "quic_t51.pcap",
            "telegram.pcap",
            "wechat.pcap",
            "youtube_quic.pcap",
        ],
    ),
    ("frames dated 1970 are losses here", &["dlt_ppp.pcap", "quic-mvfst-22.pcap"]),
];

#[test]
fn the_names_in_quic_that_ndpi_found_are_found() {
    if absent("the_names_in_quic_that_ndpi_found_are_found") {
        return;
    }
    let (mut captures, mut not_found) = (BTreeSet::new(), BTreeSet::new());
    let (mut names, mut lacking) = (0, 0);
    for entry in fs::read_dir(Path::new(SHARED).join("pcap/ndpi-results")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        let told: Vec<(Conversation, String)> = text
            .lines()
            .filter(|line| line.contains("QUIC"))
            .filter_map(|line| {
                let (_, behind) = line.split_once("[Hostname/SNI: ")?;
                let (host, _) = behind.split_once(']')?;
                Some((ndpi_conversation(line)?, canonical_host(host)?))
            })
            .collect();
        if told.is_empty() {
            continue;
        }
        let capture = Path::new(SHARED).join("pcap/ndpi").join(&file);
        let found = decoded(&bytes_of(&capture));
        let ours: BTreeSet<_> = found
            .flows
            .iter()
            .filter_map(|f| {
                let from = (f.originator, f.originator_port);
                let to = (f.responder, f.responder_port);
                let (_, low, high, ..) = ordered(f.protocol, from, to, 0, 0);
                Some((low, high, &*f.name.as_ref()?.host))
            })
            .collect();
        for ((_, low, high, ..), host) in told {
            names += 1;
            captures.insert(file.clone());
            if !ours.contains(&(low, high, &host)) {
                lacking += 1;
                not_found.insert(file.clone());
            }
        }
    }
    println!("{names} names in QUIC in {} captures", captures.len());
    println!("{lacking} not found, in {} captures", not_found.len());
    let known = QUIC_NOT_FOUND.iter().flat_map(|(_, files)| *files);
    assert_eq!(not_found, known.map(|&f| f.to_owned()).collect(), "names not found");
    assert!(captures.len() > 20 && names > 900);
}

/// Captures with tunnels, and how many of their packets have other ends to tshark.
const TUNNELS: [(&str, usize); 47] = [
    ("flows/akvorado/flow/decoder/gre-v4-key.pcap", 0),
    ("flows/akvorado/flow/decoder/gre-v4-plain.pcap", 0),
    ("flows/akvorado/flow/decoder/ipv4-ipv4.pcap", 0),
    ("flows/akvorado/flow/decoder/ipv4-ipv6.pcap", 0),
    ("flows/akvorado/flow/decoder/mpls-eompls-cw.pcap", 0),
    ("flows/akvorado/flow/decoder/mpls-eompls-invalid-cw.pcap", 0),
    ("flows/akvorado/flow/decoder/mpls-explicit-null-ipv4.pcap", 0),
    ("flows/akvorado/flow/decoder/mpls-explicit-null-ipv6.pcap", 0),
    ("flows/akvorado/flow/decoder/mpls-ipv4.pcap", 0),
    ("flows/akvorado/flow/decoder/mpls-ipv6.pcap", 0),
    ("flows/akvorado/flow/decoder/srv6-end-dt6.pcap", 0),
    ("flows/akvorado/flow/decoder/vlan-ipv6.pcap", 0),
    ("pcap/arkime/gre-erspan-vxlan.pcap", 0),
    ("pcap/arkime/gre-sample.pcap", 0),
    ("pcap/arkime/gtp-iphone.pcap", 0),
    ("pcap/arkime/gtp-u.pcap", 0),
    ("pcap/arkime/mpls-basic.pcap", 0),
    ("pcap/arkime/pppoe.pcap", 0),
    ("pcap/ndpi/4in4tunnel.pcap", 0),
    ("pcap/ndpi/4in6tunnel.pcap", 0),
    ("pcap/ndpi/discord_mid_flow.pcap", 0),
    ("pcap/ndpi/dtls.pcap", 0),
    ("pcap/ndpi/false_positives.pcapng", 0),
    ("pcap/ndpi/pptp.pcap", 0),
    ("pcap/ndpi/reasm_segv_anon.pcapng", 0),
    ("pcap/ndpi/rtmp.pcap", 0),
    ("pcap/ndpi/teredo.pcap", 0),
    ("pcap/ndpi/vxlan.pcap", 0),
    ("pcap/suricata-verify/output-eve-ftp-data/input.pcap", 0),
    ("pcap/zeek/erspan.pcap", 0),
    ("pcap/zeek/erspanI.pcap", 0),
    ("pcap/zeek/erspanII.pcap", 0),
    ("pcap/zeek/erspanIII.pcap", 0),
    ("pcap/zeek/mpls-in-vlan.pcap", 0),
    ("pcap/zeek/pppoe-over-qinq.pcap", 0),
    ("pcap/zeek/pppoe.pcap", 0),
    ("pcap/zeek/tunnels/4in6.pcap", 0),
    ("pcap/zeek/tunnels/6in4.pcap", 0),
    ("pcap/zeek/tunnels/6in6in6.pcap", 0),
    ("pcap/zeek/tunnels/geneve-many-options.pcap", 0),
    ("pcap/zeek/tunnels/geneve-vxlan-dns-truncated.pcap", 0),
    // What is in GRE there is 802.11, which is not read.
    ("pcap/zeek/tunnels/gre-aruba.pcap", 2407),
    ("pcap/zeek/tunnels/gre-erspan3-dot1q.pcap", 0),
    ("pcap/zeek/tunnels/gre-over-udp-4754.pcap", 0),
    ("pcap/zeek/tunnels/gre-within-gre.pcap", 0),
    ("pcap/zeek/tunnels/gtp/gtp8_teredo.pcap", 0),
    ("pcap/zeek/tunnels/vxlan-triple-v2.pcap", 0),
];

/// Packets by their two ends, lower first, as tshark sees them: of the innermost IP header
/// that is not quoted by ICMP. None if tshark is not there.
fn tshark_ends(capture: &Path) -> Option<BTreeMap<(Address, Address), u64>> {
    let mut command = std::process::Command::new("tshark");
    command.args(["-n", "-T", "fields", "-E", "occurrence=a", "-e", "frame.protocols"]);
    command.args(["-e", "ip.src", "-e", "ip.dst", "-e", "ipv6.src", "-e", "ipv6.dst"]);
    let output = command.arg("-r").arg(capture).output().ok()?;
    let mut ends = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let (mut v4, mut v6) = (0, 0);
        let mut last = None;
        for protocol in columns[0].split(':') {
            match protocol {
                "ip" => {
                    last = Some((1, v4));
                    v4 += 1;
                }
                "ipv6" => {
                    last = Some((3, v6));
                    v6 += 1;
                }
                "icmp" | "icmpv6" => break,
                _ => {}
            }
        }
        let Some((column, nth)) = last else { continue };
        let address = |column: usize| -> Address {
            columns[column].split(',').nth(nth).unwrap().parse().unwrap()
        };
        let (from, to) = (address(column), address(column + 1));
        *ends.entry((from.min(to), from.max(to))).or_default() += 1;
    }
    Some(ends)
}

#[test]
fn tunnels_are_opened_as_tshark_opens_them() {
    if absent("tunnels_are_opened_as_tshark_opens_them") {
        return;
    }
    let (mut packets, mut differ) = (0, Vec::new());
    for (file, known) in TUNNELS {
        let capture = Path::new(SHARED).join(file);
        let Some(theirs) = tshark_ends(&capture) else {
            println!("SKIPPED tunnels_are_opened_as_tshark_opens_them: no tshark");
            return;
        };
        let mut ours = BTreeMap::new();
        for flow in decoded(&bytes_of(&capture)).flows {
            let ends = (flow.originator, flow.responder);
            let ends = (ends.0.min(ends.1), ends.0.max(ends.1));
            let volumes = [flow.sent, flow.received].into_iter().flatten();
            let count: u64 = volumes.map(|v| v.packets).sum();
            *ours.entry(ends).or_insert(0) += count;
        }
        packets += ours.values().sum::<u64>();
        // Of each pair, what one has more than the other.
        let more = |a: &BTreeMap<_, u64>, b: &BTreeMap<_, u64>| -> u64 {
            let more = |(k, n): (_, &u64)| n.saturating_sub(*b.get(k).unwrap_or(&0));
            a.iter().map(more).sum()
        };
        let here = more(&theirs, &ours).max(more(&ours, &theirs));
        if here != u64::try_from(known).unwrap() {
            differ.push((file, here));
        }
    }
    println!("{packets} packets in {} captures with tunnels", TUNNELS.len());
    assert_eq!(differ, [], "captures whose packets have other ends");
}

//! What each sample is recognised as: whole, cut short, compressed, behind a byte order mark,
//! blank lines or a comment, with the line ends of another system. No sample is ever taken
//! for another format.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use tidegauge_wire::zeek::Log;
use tidegauge_wire::{Format, Inflate, recognise};

const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

/// How much of the head of an input is looked at, in bytes.
const HEAD: usize = 64 * 1024;

/// The format of an input, compressed or not.
fn told(bytes: &[u8]) -> Option<Format> {
    recognise(Inflate::new(bytes).head().unwrap())
}

/// The decompressed head of a file.
fn head(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let mut input = Inflate::new(bytes.as_slice());
    let head = input.head().unwrap();
    head[..head.len().min(HEAD)].to_vec()
}

/// Whether both are of one kind: which log of Zeek it is may stand further down than a cut
/// head goes.
fn same_kind(one: Format, other: Format) -> bool {
    matches!((one, other), (Format::Zeek(_), Format::Zeek(_))) || one == other
}

fn is_text(format: Format) -> bool {
    use Format as F;
    !matches!(format, F::Pcap | F::Pcapng | F::Export | F::Nfcapd | F::Dnstap)
}

/// Everything that is wrong with how a sample is recognised.
fn faults(name: &str, sample: &[u8], expected: Option<Format>) -> Vec<String> {
    let mut faults = Vec::new();
    let whole = told(sample);
    if whole != expected {
        faults.push(format!("{name}: {whole:?}, not {expected:?}"));
    }
    for length in [1, 4, 16, 64, 200, 512, 4096] {
        let cut = told(&sample[..sample.len().min(length)]);
        if let Some(cut) = cut
            && !expected.is_some_and(|expected| same_kind(cut, expected))
        {
            faults.push(format!("{name}: {cut:?} by {length} bytes"));
        }
    }
    faults
}

/// The same, of the sample as other programs hand it on.
fn faults_of_copies(
    name: &str,
    sample: &[u8],
    expected: Option<Format>,
) -> Vec<String> {
    let mut faults = Vec::new();
    for (how, packed) in
        [("gzip", gzip(sample)), ("zstd", zstd(sample)), ("bzip2", bzip2(sample))]
    {
        let unpacked = told(&packed);
        if unpacked != expected {
            faults.push(format!("{name}: {unpacked:?} as {how}"));
        }
    }
    if expected.is_none_or(is_text) && !sample.contains(&0) {
        for (how, text) in dressed(sample) {
            let changed = told(&text);
            if changed != expected {
                faults.push(format!("{name}: {changed:?} with {how}"));
            }
        }
    }
    faults
}

/// The same text as other programs hand it on.
fn dressed(text: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').collect();
    let crlf = lines.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let crlf = crlf.collect::<Vec<_>>().join(&b"\r\n"[..]);
    vec![
        ("a byte order mark", [b"\xef\xbb\xbf", text].concat()),
        ("CRLF", crlf),
        ("blank lines before it", [b"\n\r\n  \n", text].concat()),
        ("a comment before it", [b"# exported by hand, 2026\n", text].concat()),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip =
        flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut bzip2 =
        bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(bytes).unwrap();
    bzip2.finish().unwrap()
}

fn all_faults(name: &str, sample: &[u8], expected: Option<Format>) -> Vec<String> {
    let mut all = faults(name, sample, expected);
    all.extend(faults_of_copies(name, sample, expected));
    all
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// A small sample of each format of text, and what it is.
const MADE: &[(&str, Format, &str)] = &[
    (
        "AWS, default format",
        Format::AwsFlow,
        "2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 \
         1418530010 1418530070 ACCEPT OK\n\
         2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA\n",
    ),
    (
        "AWS, with a header",
        Format::AwsFlow,
        "version vpc-id srcaddr dstaddr srcport dstport protocol start end log-status\n\
         3 vpc-abcdefab012345678 172.31.16.139 172.31.16.21 20641 22 6 1418530010 1418530070 OK\n",
    ),
    (
        "AWS, subscription",
        Format::AwsFlow,
        "{\"messageType\":\"DATA_MESSAGE\",\"owner\":\"1\",\"logEvents\":[{\"id\":\"1\",\
         \"timestamp\":1418530070000,\"message\":\"2 1 eni-1 10.0.0.1 192.0.2.1 40000 443 6 3 180 \
         1418530010 1418530070 ACCEPT OK\"}]}\n",
    ),
    (
        "Azure, security group",
        Format::AzureFlow,
        "{\"records\":[{\"time\":\"2017-02-16T22:00:32.8950000Z\",\"systemId\":\"55ff55ff\",\
         \"category\":\"NetworkSecurityGroupFlowEvent\",\"resourceId\":\"/SUBSCRIPTIONS/AAAA\",\
         \"operationName\":\"NetworkSecurityGroupFlowEvents\",\"properties\":{\"Version\":1,\
         \"flows\":[{\"rule\":\"Deny\",\"flows\":[{\"mac\":\"000D3AF8801A\",\"flowTuples\":[\
         \"1487282421,192.0.2.95,10.1.0.4,51529,5358,T,I,D\"]}]}]}}]}",
    ),
    (
        "Azure, virtual network, one record a line",
        Format::AzureFlow,
        "{\"time\":\"2022-09-14T09:00:52.5625085Z\",\"flowLogVersion\":4,\"flowLogGUID\":\"abc\",\
         \"macAddress\":\"00224871C205\",\"category\":\"FlowLogFlowEvent\",\
         \"operationName\":\"FlowLogFlowEvent\",\"flowRecords\":{\"flows\":[{\"aclID\":\"1\",\
         \"flowGroups\":[{\"rule\":\"r\",\"flowTuples\":[\
         \"1663146003606,10.0.0.6,192.0.2.180,23956,443,6,O,E,NX,3,767,2,1580\"]}]}]}}\n",
    ),
    (
        "Google",
        Format::GoogleFlow,
        "{\"insertId\":\"ut8\",\"jsonPayload\":{\"bytes_sent\":\"1776\",\"connection\":{\
         \"dest_ip\":\"203.0.113.12\",\"dest_port\":33478,\"protocol\":6,\
         \"src_ip\":\"10.87.40.76\",\"src_port\":5601},\"end_time\":\"2019-06-14T03:45:37.3Z\",\
         \"packets_sent\":\"7\",\"reporter\":\"SRC\",\"start_time\":\"2019-06-14T03:45:37.1Z\"},\
         \"logName\":\"projects/p/logs/compute.googleapis.com%2Fvpc_flows\"}\n",
    ),
    (
        "Google, an array",
        Format::GoogleFlow,
        "[\n  {\n    \"insertId\": \"ut8\",\n    \"jsonPayload\": {\n      \"connection\": {\n        \
         \"dest_ip\": \"203.0.113.12\",\n        \"src_ip\": \"10.87.40.76\",\n        \
         \"protocol\": 6\n      },\n      \"start_time\": \"2019-06-14T03:45:37.1Z\"\n    }\n  }\n]\n",
    ),
    (
        "Suricata",
        Format::Eve,
        "{\"timestamp\":\"2021-06-06T15:59:46.457984+0200\",\"flow_id\":1,\"event_type\":\"flow\",\
         \"src_ip\":\"10.0.0.1\",\"src_port\":1025,\"dest_ip\":\"192.0.2.1\",\"dest_port\":443,\
         \"proto\":\"TCP\",\"flow\":{\"pkts_toserver\":1}}\n",
    ),
    (
        "Zeek, JSON",
        Format::Zeek(Log::Conn),
        "{\"ts\":1517336042.0,\"uid\":\"CAbcdefghij\",\"id.orig_h\":\"10.0.0.1\",\
         \"id.orig_p\":1025,\"id.resp_h\":\"192.0.2.1\",\"id.resp_p\":443,\"proto\":\"tcp\",\
         \"conn_state\":\"SF\"}\n",
    ),
    (
        "Zeek, a table",
        Format::Zeek(Log::Conn),
        "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n\
         #fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\n\
         1517336042.090842\tC1\t10.0.0.1\t1025\t192.0.2.1\t443\ttcp\n",
    ),
    (
        "Argus",
        Format::Argus,
        "StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,TotPkts,TotBytes,SrcBytes\n\
         2011/08/10 09:46:59.607825,1.026539,tcp,94.44.127.113,1577,   ->,147.32.84.59,6881,\
         S_RA,4,276,156\n",
    ),
    (
        "passive DNS",
        Format::PassiveDns,
        "{\"rrname\":\"www.example.com\",\"rrtype\":\"A\",\"rdata\":\"192.0.2.1\",\
         \"time_first\":1500000000,\"time_last\":1500000001,\"count\":2}\n",
    ),
    (
        "BIND",
        Format::QueryLog,
        "24-Nov-2026 07:26:09.906 queries: info: client @0x7f1e4c0 192.0.2.7#40512 \
         (www.example.com): query: www.example.com IN A +E(0)K (192.0.2.53)\n",
    ),
    (
        "dnsmasq",
        Format::QueryLog,
        "Nov 24 07:26:09 dnsmasq[812]: query[A] www.example.com from 192.0.2.7\n",
    ),
];

#[test]
fn a_made_sample_of_each_format_of_text_is_told() {
    let faults: Vec<_> = MADE
        .iter()
        .flat_map(|(name, format, text)| {
            all_faults(name, text.as_bytes(), Some(*format))
        })
        .collect();
    assert_none(&faults);
}

#[test]
fn the_first_lines_of_a_text_tell() {
    // What a tool cut after 4 KiB or what is still being written is told all the same.
    for (name, format, text) in MADE {
        let many = text.repeat(200);
        let cut = told(&many.as_bytes()[..4096]);
        let kind = cut.filter(|cut| same_kind(*cut, *format));
        // An array that has not closed its first element yet would be the exception.
        assert!(kind.is_some(), "{name}: {cut:?}");
    }
}

#[test]
fn what_is_none_of_them_is_told_as_none() {
    for text in [
        "",
        "\n\n",
        "[]",
        "{}",
        "[{}]\n",
        "a,b\n1,2\n",
        "<html>",
        "PAR1....",
        "{\"records\":[]}",
        "{\"category\":\"Administrative\",\"records\":[{\"flowTuples\":7}]}",
        "[{\"jsonPayload\":{\"connection\":null},\"logName\":\"projects/p/logs/syslog\"}]",
        "{\"note\":\"\\\"category\\\":\\\"FlowLogFlowEvent\\\"\"}",
    ] {
        assert_none(&all_faults(text, text.as_bytes(), None));
    }
}

/// What a file of ours is, by its folder and name.
fn ours(folder: &str, name: &str) -> Option<Format> {
    match (folder, name.rsplit_once('.').map(|(_, ending)| ending)) {
        ("dns", Some("log")) => Some(Format::QueryLog),
        ("dns", Some("fstrm")) => Some(Format::Dnstap),
        ("nfcapd", None) => Some(Format::Nfcapd),
        _ => None,
    }
}

#[test]
fn each_sample_of_ours_is_told() {
    let mut all = Vec::new();
    let mut seen = 0;
    for folder in fs::read_dir(OURS).unwrap() {
        let folder = folder.unwrap();
        let of = folder.file_name();
        for file in fs::read_dir(folder.path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            all.extend(all_faults(
                name,
                &head(&path),
                ours(of.to_str().unwrap(), name),
            ));
            seen += 1;
        }
    }
    assert!(seen >= 16, "{seen}");
    assert_none(&all);
}

/// What a file of others is, by where it lies. Captures are told by their first bytes, as the
/// formats define them.
fn others(path: &str, bytes: &[u8]) -> Option<Format> {
    let (folder, rest) = path.split_once('/')?;
    let ending =
        rest.strip_suffix(".gz").unwrap_or(rest).rsplit_once('.').map_or("", |e| e.1);
    match (folder, ending) {
        ("pcap" | "flows" | "dns", "pcap" | "pcapng" | "cap" | "trace") => {
            let pcapng = bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]);
            Some(if pcapng { Format::Pcapng } else { Format::Pcap })
        }
        // Its header counts 55,582 records.
        _ if rest.ends_with("netflow5_test_invalid01.dat") => None,
        ("flows", "dat" | "bin" | "dump" | "ipfix") => Some(Format::Export),
        ("flows", "binetflow") => Some(Format::Argus),
        ("dns", "fstrm") => Some(Format::Dnstap),
        ("pdns", "jsonl") => Some(Format::PassiveDns),
        ("eve", "json") => Some(Format::Eve),
        ("zeek", _) if bytes.is_empty() => None,
        ("zeek", _) => Some(Format::Zeek(zeek(rest, bytes))),
        _ => None,
    }
}

/// Which log, by its name; streams say themselves.
fn zeek(path: &str, bytes: &[u8]) -> Log {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let name = name.split('.').next().unwrap();
    if bytes.starts_with(b"{") && bytes.windows(7).any(|w| w == b"\"_path\"") {
        return Log::Mixed;
    }
    match name {
        "conn" | "conn_json" => Log::Conn,
        "open_conn" => Log::OpenConn,
        "dns" | "ORIGINALdns" => Log::Dns,
        "ssl" | "open_ssl" => Log::Ssl,
        "http" | "open_http" => Log::Http,
        // Rows whose header was cut off.
        "conn_top" => Log::Headless,
        _ => Log::Other,
    }
}

#[test]
fn each_sample_of_others_is_told() {
    let shared = Path::new(SHARED);
    if !shared.is_dir() {
        println!("SKIPPED each_sample_of_others_is_told: shared data folder absent");
        return;
    }
    let manifest = fs::read_to_string(shared.join("MANIFEST.csv")).unwrap();
    let (mut all, mut seen, mut copied) = (Vec::new(), 0, HashMap::new());
    for line in manifest.lines().skip(1) {
        let file = line.split(',').next().unwrap();
        let path = shared.join(file);
        if !path.is_file() {
            continue;
        }
        let head = head(&path);
        seen += 1;
        let expected = others(file, &head);
        all.extend(faults(file, &head, expected));
        // Of a folder of many the first tells as much about copies as all.
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let of_folder = copied.entry((folder.to_owned(), expected)).or_insert(0);
        *of_folder += 1;
        if *of_folder == 1 {
            all.extend(faults_of_copies(file, &head, expected));
        }
    }
    assert!(seen > 2_500, "{seen}");
    assert_none(&all);
}

//! Logs of Suricata and Zeek decoded per second, beside what reads the same bytes: for JSON
//! the parser alone, for tables `wc -l` (as fast as memory gets) and `awk`.
//!
//! `cargo bench -p tidegauge-wire --bench logs` prints a row for each: bytes, seconds,
//! bytes per second, and what came out; words after `--` choose among them. The best of [`RUNS`] runs counts, taken in turns, so
//! that another load on the machine meets all of them.

#![expect(clippy::print_stdout, reason = "a bench says what it measured")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufRead, Cursor};
use std::path::Path;
use std::process::Command;
use std::time::Instant as Clock;

use serde::de::IgnoredAny;
use tidegauge_model::{Answer, Flow, Instant, Loss};
use tidegauge_wire::{Decoder, Format, Inflate, Sink, recognise};

const RECORDS: u32 = 1_000_000;
const RUNS: usize = 5;
/// 2024-04-01T00:00:00Z.
const START: u32 = 1_711_929_600;
const NOW: Instant = Instant(1_712_100_000_000_000);

/// What came out.
#[derive(Default)]
struct Count {
    flows: u64,
    answers: u64,
    losses: u64,
}

impl Sink for Count {
    fn flow(&mut self, flow: Flow) {
        black_box(&flow);
        self.flows += 1;
    }

    fn answer(&mut self, answer: Answer) {
        black_box(&answer);
        self.answers += 1;
    }

    fn loss(&mut self, _: Loss) {
        self.losses += 1;
    }
}

/// One way to read the bytes, and how much came out.
type Reader<'r> = (&'static str, Box<dyn Fn() -> u64 + 'r>);

fn main() -> io::Result<()> {
    println!("| input | read by | s | MB/s | records/s | out |");
    println!("|---|---|--:|--:|--:|--:|");
    let eve = eve();
    rows(
        &format!("EVE, {} MB", eve.len() / 1_000_000),
        eve.len(),
        &[
            ("ours, both passes", Box::new(|| in_memory(&eve))),
            ("serde_json, any value skipped", Box::new(|| parsed::<IgnoredAny>(&eve))),
            ("serde_json, into a tree", Box::new(|| parsed::<serde_json::Value>(&eve))),
        ],
    );
    let folder =
        std::env::temp_dir().join(format!("tidegauge-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let file = folder.join("conn.log");
    let table = conn_tsv();
    fs::write(&file, &table)?;
    let program = |name: &'static str, words: &'static [&'static str]| {
        let file = file.clone();
        Box::new(move || run(name, words, &file))
    };
    rows(
        &format!("Zeek conn, TSV, {} MB", table.len() / 1_000_000),
        table.len(),
        &[
            ("ours, from a file", Box::new(|| from_file(&file))),
            ("`wc -l`", program("wc", &["-l"])),
            (
                "`awk`, four columns",
                program("awk", &["-F\t", "!/^#/{print $1,$3,$5,$18}"]),
            ),
            ("`awk`, one sum", program("awk", &["-F\t", "{n+=$18}END{print n}"])),
        ],
    );
    fs::remove_dir_all(&folder)
}

fn rows(input: &str, bytes: usize, readers: &[Reader<'_>]) {
    let mut best = vec![(f64::INFINITY, 0); readers.len()];
    for _ in 0..RUNS {
        for ((name, read), best) in readers.iter().zip(&mut best) {
            let words: Vec<String> = std::env::args().skip(1).collect();
            let chosen = |word: &String| name.contains(word) || input.contains(word);
            if !words.iter().filter(|word| !word.starts_with("--")).all(chosen) {
                continue;
            }
            let clock = Clock::now();
            let out = read();
            let seconds = clock.elapsed().as_secs_f64();
            if seconds < best.0 {
                *best = (seconds, out);
            }
        }
    }
    let bytes = f64::from(u32::try_from(bytes).expect("an input of less than 4 GB"));
    for ((name, _), (seconds, out)) in readers.iter().zip(best) {
        if seconds.is_infinite() {
            continue;
        }
        println!(
            "| {input} | {name} | {seconds:.2} | {:.0} | {:.0} | {out} |",
            bytes / seconds / 1e6,
            f64::from(RECORDS) / seconds
        );
    }
}

fn decode<R: BufRead>(open: impl Fn() -> R, format: Format) -> u64 {
    let mut count = Count::default();
    let mut decoder = Decoder::new(NOW);
    let read = "bytes of our own";
    if format.has_names() {
        decoder.names(format, &mut open(), &mut count).expect(read);
    }
    decoder.flows(format, &mut open(), &mut count).expect(read);
    decoder.finish(&mut count);
    assert_eq!((count.losses, decoder.repeated()), (0, 0));
    count.flows + count.answers
}

fn in_memory(text: &str) -> u64 {
    let format = recognise(text.get(..65_536).unwrap_or(text).as_bytes());
    decode(|| Cursor::new(text.as_bytes()), format.expect("EVE"))
}

fn from_file(file: &Path) -> u64 {
    let open = || Inflate::new(File::open(file).expect("written before"));
    let format = recognise(open().head().expect("a file of our own"));
    decode(open, format.expect("a log of Zeek"))
}

fn parsed<'a, T: serde::Deserialize<'a>>(text: &'a str) -> u64 {
    let mut lines = 0;
    for line in text.lines() {
        black_box(serde_json::from_str::<T>(line).expect("JSON"));
        lines += 1;
    }
    lines
}

/// Lets a program read the file; how much it wrote.
fn run(name: &str, words: &[&str], file: &Path) -> u64 {
    let output = Command::new(name).args(words).arg(file).output();
    output.map_or(0, |output| u64::try_from(output.stdout.len()).unwrap_or(0))
}

/// The `i`th client.
fn client(i: u32) -> String {
    format!("198.18.{}.{}", i / 251 % 251, i % 251)
}

/// Of 20 events 12 are flows; of these 3 are of questions to a resolver (two of them
/// answered), 2 of handshakes and 1 of a request, which are the other events. With the keys
/// that Suricata 7 writes by default.
fn eve() -> String {
    let mut text = String::new();
    for i in 0..RECORDS {
        // The flow that the event is of, among the 12.
        let flow = match i % 20 {
            slot @ 0..12 => slot,
            slot @ 12..15 => slot - 12,
            slot @ 15..17 => slot - 15,
            slot @ 17..19 => slot - 14,
            _ => 5,
        };
        let id = i / 20 * 12 + flow;
        let (port, proto) = match flow {
            0..3 => (53, "UDP"),
            5 => (80, "TCP"),
            _ => (443, "TCP"),
        };
        let (kind, part) = match i % 20 {
            0..12 => ("flow", flow_part(i)),
            12..15 => ("dns", query_part(id)),
            15..17 => ("dns", answer_part(id)),
            17..19 => ("tls", tls_part(id)),
            _ => ("http", http_part(id)),
        };
        let _infallible = writeln!(
            text,
            r#"{{"timestamp":"{}","flow_id":{},"in_iface":"eth0","event_type":"{kind}","src_ip":"{}","src_port":{},"dest_ip":"203.0.113.5","dest_port":{port},"proto":"{proto}",{part}}}"#,
            at(i, 20),
            1_374_195_536_821_504_u64 + u64::from(id),
            client(id),
            1_024 + id % 60_000,
        );
    }
    text
}

fn at(i: u32, plus: u32) -> String {
    let (hour, minute, second) = (i / 3_600 % 24, i / 60 % 60, i % 60);
    format!("2024-04-01T{hour:02}:{minute:02}:{second:02}.{:06}+0000", 250_000 + plus)
}

fn flow_part(i: u32) -> String {
    format!(
        r#""app_proto":"tls","flow":{{"pkts_toserver":12,"pkts_toclient":70,"bytes_toserver":1500,"bytes_toclient":93000,"start":"{}","end":"{}","age":0,"state":"closed","reason":"timeout","alerted":false}},"tcp":{{"tcp_flags":"1b","tcp_flags_ts":"1b","tcp_flags_tc":"1b","syn":true,"fin":true,"psh":true,"ack":true,"state":"closed","ts_max_regions":1,"tc_max_regions":1}}"#,
        at(i, 0),
        at(i, 9)
    )
}

fn query_part(id: u32) -> String {
    format!(
        r#""dns":{{"type":"query","id":{},"rrname":"s{:02}.upd.example.com","rrtype":"A","tx_id":0,"opcode":0}}"#,
        id % 65_536,
        id % 50
    )
}

fn answer_part(id: u32) -> String {
    format!(
        r#""dns":{{"version":2,"type":"answer","id":{},"flags":"8180","qr":true,"rd":true,"ra":true,"opcode":0,"rrname":"s{1:02}.upd.example.com","rrtype":"A","rcode":"NOERROR","answers":[{{"rrname":"s{1:02}.upd.example.com","rrtype":"CNAME","ttl":300,"rdata":"cdn.example.net"}},{{"rrname":"cdn.example.net","rrtype":"A","ttl":60,"rdata":"203.0.113.5"}}],"grouped":{{"A":["203.0.113.5"],"CNAME":["cdn.example.net"]}}}}"#,
        id % 65_536,
        id % 50
    )
}

fn tls_part(id: u32) -> String {
    format!(
        r#""tls":{{"subject":"CN=*.upd.example.com","issuerdn":"C=US, O=Example, CN=R3","serial":"04:5D:2F:11","fingerprint":"2d:d1:9f:80:99:86:fc:ac:5f:2a:2a:fd:a3:f3:7e:96:7c:dd:24:37","sni":"s{:02}.upd.example.com","version":"TLS 1.2","notbefore":"2024-01-01T00:00:00","notafter":"2024-12-31T00:00:00"}}"#,
        id % 50
    )
}

fn http_part(id: u32) -> String {
    format!(
        r#""tx_id":0,"http":{{"hostname":"dl.example.com","url":"/index/u{id}.xml","http_user_agent":"Updater/1.0","http_content_type":"text/xml","http_method":"GET","protocol":"HTTP/1.1","status":200,"length":1024}}"#
    )
}

/// With the columns that Zeek writes by default.
fn conn_tsv() -> String {
    let mut text = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n\
                    #unset_field\t-\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\t\
                    id.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\t\
                    conn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\t\
                    orig_ip_bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents\n"
        .to_owned();
    for i in 0..RECORDS {
        let _infallible = writeln!(
            text,
            "{}.{:06}\tCi85EB2YjUI9{i:06}\t{}\t{}\t203.0.113.5\t443\ttcp\tssl\t\
             1.02{:04}\t900\t90000\tSF\tT\tF\t0\tShADadFf\t12\t1500\t70\t93000\t-",
            START + i % 86_400,
            i % 1_000_000,
            client(i),
            1_024 + i % 60_000,
            i % 10_000
        );
    }
    text
}

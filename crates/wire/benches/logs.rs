//! Logs of Suricata and Zeek decoded per second, beside what reads the same bytes: parsers
//! of JSON alone, `DuckDB`, `awk`, and `wc -l`, which is as fast as memory gets.
//!
//! `cargo bench -p tidegauge-wire --bench logs` prints a row for each; words after `--`
//! choose among them.

#![expect(clippy::print_stdout, reason = "a bench says what it measured")]

mod turns;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufRead, Cursor};
use std::path::Path;
use std::process::Command;

use serde::de::IgnoredAny;
use tidegauge_model::{Answer, Flow, Instant, Loss};
use tidegauge_wire::{Decoder, Format, Inflate, Sink, recognise};
use turns::{Reader, Reading, duckdb, program};

const RECORDS: u32 = 1_000_000;
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

fn main() -> io::Result<()> {
    let folder =
        std::env::temp_dir().join(format!("tidegauge-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    turns::heading();
    let measured = eve_rows(&folder.join("eve.json"))
        .and_then(|()| table_rows(&folder.join("conn.log")));
    fs::remove_dir_all(&folder)?;
    measured
}

fn eve_rows(file: &Path) -> io::Result<()> {
    let text = eve();
    fs::write(file, &text)?;
    let input = format!("EVE, {} MB", text.len() / 1_000_000);
    let query = duckdb_eve(file);
    let readers = [
        Reader::here("ours, both passes", || in_memory(&text)),
        Reader::here("simd-json, to its tape", || simd_json(&text)),
        Reader::here("serde_json, any value skipped", || parsed::<IgnoredAny>(&text)),
        Reader::here("serde_json, into a tree", || parsed::<serde_json::Value>(&text)),
        Reader::new("DuckDB `read_json`, 1 thread", || duckdb(1, &query)),
        Reader::new("DuckDB `read_json`, 2 threads", || duckdb(2, &query)),
    ];
    turns::rows(&input, RECORDS, &readers);
    fs::remove_file(file)
}

fn table_rows(file: &Path) -> io::Result<()> {
    let table = conn_tsv();
    fs::write(file, &table)?;
    let input = format!("Zeek conn, TSV, {} MB", table.len() / 1_000_000);
    let query = duckdb_conn(file);
    let run = |name: &str, words: &[&str]| {
        let run = || program(Command::new(name).args(words).arg(file));
        Reading::of_program(run, |said| u64::try_from(said.len()).unwrap_or(0))
    };
    let columns = ["-F\t", "!/^#/{print $1,$3,$5,$18}"];
    let readers = [
        Reader::here("ours, from a file", || from_file(file)),
        Reader::new("`wc -l`", || run("wc", &["-l"])),
        Reader::new("`awk`, four columns", || run("awk", &columns)),
        Reader::new("`awk`, one sum", || run("awk", &["-F\t", "{n+=$18}END{print n}"])),
        Reader::new("DuckDB `read_csv`, 1 thread", || duckdb(1, &query)),
        Reader::new("DuckDB `read_csv`, 2 threads", || duckdb(2, &query)),
    ];
    turns::rows(&input, RECORDS, &readers);
    fs::remove_file(file)
}

/// The columns of which our flows are made, each looked at.
fn duckdb_conn(file: &Path) -> String {
    let columns = [
        ("ts", "DOUBLE"),
        ("uid", "VARCHAR"),
        ("orig_h", "VARCHAR"),
        ("orig_p", "USMALLINT"),
        ("resp_h", "VARCHAR"),
        ("resp_p", "USMALLINT"),
        ("proto", "VARCHAR"),
        ("service", "VARCHAR"),
        ("duration", "DOUBLE"),
        ("orig_bytes", "UBIGINT"),
        ("resp_bytes", "UBIGINT"),
        ("conn_state", "VARCHAR"),
        ("local_orig", "VARCHAR"),
        ("local_resp", "VARCHAR"),
        ("missed_bytes", "UBIGINT"),
        ("history", "VARCHAR"),
        ("orig_pkts", "UBIGINT"),
        ("orig_ip_bytes", "UBIGINT"),
        ("resp_pkts", "UBIGINT"),
        ("resp_ip_bytes", "UBIGINT"),
        ("tunnel_parents", "VARCHAR"),
    ];
    let types: Vec<String> =
        columns.iter().map(|(name, kind)| format!("'{name}': '{kind}'")).collect();
    format!(
        "SELECT count(*), max(ts), max(uid), max(orig_h), max(orig_p), max(resp_h), \
         max(resp_p), max(proto), max(duration), max(orig_bytes), max(resp_bytes), \
         max(history), sum(orig_pkts), sum(orig_ip_bytes), sum(resp_pkts), \
         sum(resp_ip_bytes) FROM read_csv('{}', delim='\t', header=false, \
         auto_detect=false, comment='#', nullstr='-', columns={{{}}})",
        file.display(),
        types.join(", ")
    )
}

/// The keys that we read, each looked at.
fn duckdb_eve(file: &Path) -> String {
    format!(
        "SELECT count(*), max(timestamp), max(flow_id), max(src_ip), max(src_port), \
         max(dest_ip), max(dest_port), max(proto), sum(flow.pkts_toserver), \
         sum(flow.pkts_toclient), sum(flow.bytes_toserver), sum(flow.bytes_toclient), \
         max(flow.\"start\"), max(flow.\"end\"), max(tcp.tcp_flags), max(dns.rrname), \
         sum(len(dns.answers)), max(tls.sni), max(http.hostname), max(http.url) \
         FROM read_json('{}', format='newline_delimited', columns={{\
         timestamp: 'VARCHAR', flow_id: 'UBIGINT', event_type: 'VARCHAR', \
         src_ip: 'VARCHAR', src_port: 'USMALLINT', dest_ip: 'VARCHAR', \
         dest_port: 'USMALLINT', proto: 'VARCHAR', flow: 'STRUCT(pkts_toserver UBIGINT, \
         pkts_toclient UBIGINT, bytes_toserver UBIGINT, bytes_toclient UBIGINT, \
         \"start\" VARCHAR, \"end\" VARCHAR)', tcp: 'STRUCT(tcp_flags VARCHAR)', \
         dns: 'STRUCT(\"type\" VARCHAR, id UBIGINT, rrname VARCHAR, answers \
         STRUCT(rrname VARCHAR, rrtype VARCHAR, ttl UBIGINT, rdata VARCHAR)[])', \
         tls: 'STRUCT(sni VARCHAR)', http: 'STRUCT(hostname VARCHAR, url VARCHAR, \
         http_method VARCHAR)'}})",
        file.display()
    )
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

/// It writes over what it reads, so each line is copied first.
fn simd_json(text: &str) -> u64 {
    let mut lines = 0;
    let mut buffers = simd_json::Buffers::default();
    let mut copy = Vec::new();
    for line in text.lines() {
        copy.clear();
        copy.extend_from_slice(line.as_bytes());
        let tape = simd_json::to_tape_with_buffers(&mut copy, &mut buffers);
        black_box(tape.expect("JSON"));
        lines += 1;
    }
    lines
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

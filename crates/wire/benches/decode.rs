//! Records decoded per second, by format, from memory.
//!
//! `cargo bench -p tidegauge-wire` prints a row for each format: records, seconds and
//! records per second, through both passes and the join by uid.

#![expect(clippy::print_stdout, reason = "a bench says what it measured")]

use std::fmt::Write as _;
use std::io::{self, Cursor};
use std::time::Instant as Clock;

use etherparse::PacketBuilder;
use tidegauge_model::{Answer, Flow, Instant, Loss};
use tidegauge_wire::{Decoder, Sink, recognise};

/// What real servers wrote: see the README beside them.
const TAP: &[u8] = include_bytes!("../tests/data/dns/unbound.fstrm");
const LOG: &[u8] = include_bytes!("../tests/data/dns/bind-full.log");

const RECORDS: u32 = 500_000;
/// 2024-04-01T00:00:00Z.
const START: u32 = 1_711_929_600;

#[derive(Default)]
struct Count {
    flows: u64,
    losses: u64,
}

impl Sink for Count {
    fn flow(&mut self, _: Flow) {
        self.flows += 1;
    }

    fn answer(&mut self, _: Answer) {}

    fn loss(&mut self, _: Loss) {
        self.losses += 1;
    }
}

fn main() -> io::Result<()> {
    println!("| input | records | s | records/s | flows | losses |");
    println!("|---|--:|--:|--:|--:|--:|");
    measure("Zeek conn, TSV", &[conn_tsv()])?;
    measure("Zeek conn, JSON", &[conn_json()])?;
    measure("Zeek conn + ssl, TSV, joined", &[conn_tsv(), ssl_tsv()])?;
    measure("dnstap of Unbound", &[repeated(TAP, 42, 12, 31)])?;
    measure("query log of BIND", &[repeated(LOG, 0, 0, 7)])?;
    measure("pcap, TCP packets of 60 bytes", &[pcap()])
}

fn measure(name: &str, inputs: &[Vec<u8>]) -> io::Result<()> {
    let mut decoder = Decoder::new(Instant::from_unix(1_800_000_000, 0));
    let mut count = Count::default();
    let clock = Clock::now();
    for pass in 0..2 {
        for input in inputs {
            let head = input.get(..4096).unwrap_or(input);
            let format = recognise(head).ok_or(io::ErrorKind::InvalidData)?;
            let mut bytes = Cursor::new(input);
            if pass == 0 && format.has_names() {
                decoder.names(format, &mut bytes, &mut count)?;
            } else if pass == 1 && format.has_flows() {
                decoder.flows(format, &mut bytes, &mut count)?;
            }
        }
    }
    decoder.finish(&mut count);
    let seconds = clock.elapsed().as_secs_f64();
    let records = f64::from(RECORDS) * if inputs.len() > 1 { 2.0 } else { 1.0 };
    println!(
        "| {name} | {records} | {seconds:.2} | {:.0} | {} | {} |",
        records / seconds,
        count.flows,
        count.losses
    );
    Ok(())
}

/// The `records` of a file over and over, between its first `head` and last `tail` bytes.
fn repeated(file: &[u8], head: usize, tail: usize, records: u32) -> Vec<u8> {
    let (head, rest) = file.split_at(head);
    let (body, tail) = rest.split_at(rest.len() - tail);
    let times = usize::try_from(RECORDS.div_ceil(records)).expect("32 bits");
    [head, &body.repeat(times), tail].concat()
}

fn conn_tsv() -> Vec<u8> {
    let mut text = "#separator \\x09\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\t\
                    id.resp_h\tid.resp_p\tproto\tduration\torig_bytes\tresp_bytes\thistory\t\
                    orig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\n"
        .to_owned();
    for i in 0..RECORDS {
        let _infallible = writeln!(
            text,
            "{}.5\tC{i}\t198.18.{}.{}\t40000\t203.0.113.5\t443\ttcp\t1.0\t900\t90000\t\
             ShADadFf\t12\t1500\t70\t93000",
            START + i % 86_400,
            i / 251 % 251,
            i % 251
        );
    }
    text.into_bytes()
}

fn conn_json() -> Vec<u8> {
    let mut text = String::new();
    for i in 0..RECORDS {
        let _infallible = writeln!(
            text,
            "{{\"_path\":\"conn\",\"ts\":{}.5,\"uid\":\"C{i}\",\"id.orig_h\":\"198.18.{}.{}\",\
             \"id.orig_p\":40000,\"id.resp_h\":\"203.0.113.5\",\"id.resp_p\":443,\
             \"proto\":\"tcp\",\"duration\":1.0,\"conn_state\":\"SF\",\"history\":\"ShADadFf\",\
             \"orig_pkts\":12,\"orig_ip_bytes\":1500,\"resp_pkts\":70,\"resp_ip_bytes\":93000}}",
            START + i % 86_400,
            i / 251 % 251,
            i % 251
        );
    }
    text.into_bytes()
}

fn ssl_tsv() -> Vec<u8> {
    let mut text =
        "#separator \\x09\n#path\tssl\n#fields\tts\tuid\tid.orig_h\tid.orig_p\t\
                    id.resp_h\tid.resp_p\tserver_name\n"
            .to_owned();
    for i in 0..RECORDS {
        let _infallible = writeln!(
            text,
            "{}.6\tC{i}\t198.18.{}.{}\t40000\t203.0.113.5\t443\ts{:02}.upd.example.com",
            START + i % 86_400,
            i / 251 % 251,
            i % 251,
            i % 20
        );
    }
    text.into_bytes()
}

/// Classic little-endian pcap, microseconds, Ethernet.
fn pcap() -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for i in 0..RECORDS {
        let [_, b, c, d] = i.to_be_bytes();
        let packet = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([198, 18 + b % 2, c, d], [203, 0, 113, 5], 64)
            .tcp(40_000, 443, i, 65_535);
        let mut frame = Vec::new();
        packet.write(&mut frame, b"abcdef").expect("a Vec takes every write");
        let length = u32::try_from(frame.len()).expect("a small frame");
        for word in [START + i / 1_000, i % 1_000 * 1_000, length, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    bytes
}

//! The parts of a connection find each other, whatever the order of the inputs.

use proptest::prelude::*;
use tidegauge_model::{Instant, NameOrigin, Reason};
use tidegauge_wire::Format;
use tidegauge_wire::zeek::Log;

use crate::batch::Batch;

/// Seconds since 1970 at which the stories here begin.
const START: u32 = 1_517_336_000;

/// What one line says; written as JSON or as a table.
#[derive(Clone, Debug)]
struct Record {
    log: &'static str,
    uid: u8,
    second: u32,
    /// Host, or query.
    host: String,
    packets: u8,
    /// `POST` in place of `GET`, or other addresses answered.
    other: bool,
}

impl Record {
    fn at(log: &'static str, uid: u8, second: u32, host: &str) -> Self {
        Self { log, uid, second, host: host.to_owned(), packets: 3, other: false }
    }

    fn columns(&self) -> Vec<(&'static str, String)> {
        let mut columns = vec![
            ("ts", format!("{}.250000", START + self.second)),
            ("uid", format!("C{}", self.uid)),
            ("id.orig_h", format!("10.0.0.{}", self.uid)),
            ("id.orig_p", "1025".to_owned()),
            ("id.resp_h", "192.0.2.1".to_owned()),
            ("id.resp_p", "443".to_owned()),
        ];
        let host = self.host.clone();
        let mut add = |name, value: &str| columns.push((name, value.to_owned()));
        match self.log {
            "dns" => {
                add("proto", "udp");
                add("trans_id", "7");
                add("query", &host);
                let address = if self.other { "192.0.2.8" } else { "192.0.2.7" };
                add("answers", &format!("alias.example,{address}"));
                add("TTLs", "60.000000,30.000000");
            }
            "ssl" => {
                add("version", "TLSv13");
                add("server_name", &host);
            }
            "http" => {
                add("method", if self.other { "POST" } else { "GET" });
                add("host", &host);
                add("uri", "/index");
                add("request_body_len", "0");
            }
            _ => {
                add("proto", "tcp");
                add("conn_state", "SF");
                add("duration", &format!("{}.0", self.packets));
                add("orig_pkts", &self.packets.to_string());
                add("orig_ip_bytes", "180");
                add("history", "ShADadFf");
            }
        }
        columns
    }
}

/// One file of the records of one log.
fn file(records: &[&Record], as_objects: bool) -> String {
    let Some(first) = records.first() else { return String::new() };
    if as_objects {
        return records.iter().map(|record| object(record)).collect();
    }
    let tabs = |values: Vec<String>| values.join("\t");
    let names = first.columns().into_iter().map(|(name, _)| name.to_owned()).collect();
    let mut text =
        format!("#separator \\x09\n#path\t{}\n#fields\t{}\n", first.log, tabs(names));
    for record in records {
        let values = record.columns().into_iter().map(|(_, value)| value).collect();
        text += &tabs(values);
        text.push('\n');
    }
    text
}

fn object(record: &Record) -> String {
    let mut members = vec![format!("\"_path\":\"{}\"", record.log)];
    for (name, value) in record.columns() {
        let value = match name {
            "answers" => format!("[\"{}\"]", value.replace(',', "\",\"")),
            "TTLs" => format!("[{value}]"),
            // Zeek leaves out what is not set.
            _ if value == "-" => continue,
            _ if value.parse::<f64>().is_ok() => value,
            _ => format!("\"{value}\""),
        };
        members.push(format!("\"{name}\":{value}"));
    }
    format!("{{{}}}\n", members.join(","))
}

fn decode(records: &[Record]) -> Batch {
    let files: Vec<_> = records.iter().map(|record| file(&[record], true)).collect();
    let batch = Batch::decode(&files);
    assert_eq!(batch.losses, []);
    batch
}

#[test]
fn a_connection_takes_the_first_name_and_leaves_the_others() {
    let batch = decode(&[
        Record::at("http", 1, 9, "late.example"),
        Record::at("http", 1, 5, "Early.example."),
        Record::at("http", 1, 7, "late.example"),
        Record::at("conn", 1, 4, ""),
    ]);
    assert_eq!(batch.hosts(), ["early.example", "late.example"]);
    let [conn, further] = batch.flows.as_slice() else { panic!("{batch:?}") };
    let name = conn.name.as_ref().unwrap();
    assert_eq!(
        (&*name.host, name.request.as_deref()),
        ("early.example", Some("GET /index"))
    );
    assert_eq!(conn.sent.unwrap().packets, 3);
    assert_eq!((further.sent, further.received), (None, None));
    assert_eq!(further.start.0, i64::from(START + 7) * 1_000_000 + 250_000);
}

#[test]
fn a_name_without_a_connection_is_a_flow_of_unknown_volume() {
    let batch = decode(&[
        Record::at("ssl", 1, 5, "a.example"),
        Record::at("ssl", 2, 6, "not a host"),
    ]);
    assert_eq!(batch.hosts(), ["", "a.example"]);
    assert!(
        batch.flows.iter().all(|flow| flow.sent.is_none() && flow.start == flow.end)
    );
}

#[test]
fn a_closed_connection_supersedes_its_open_reports() {
    let open =
        |second, packets| Record { packets, ..Record::at("open_conn", 1, second, "") };
    let conn = Record { packets: 90, ..Record::at("conn", 1, 4, "") };
    let name = Record::at("ssl", 1, 5, "a.example");
    let batch = decode(&[open(4, 50), conn, open(4, 70), name.clone()]);
    let packets = |batch: &Batch| {
        batch.flows.iter().map(|flow| flow.sent.unwrap().packets).collect::<Vec<_>>()
    };
    assert_eq!((packets(&batch), batch.hosts()), (vec![90], vec!["a.example"]));
    let batch = decode(&[open(4, 50), open(4, 70), open(4, 60), name]);
    assert_eq!((packets(&batch), batch.hosts()), (vec![70], vec!["a.example"]));
}

#[test]
fn a_row_that_is_there_twice_counts_once() {
    let conn = Record::at("conn", 1, 4, "");
    let differs = Record { packets: 9, ..conn.clone() };
    let table = file(&[&conn], false);
    let batch = Batch::decode(&[table, file(&[&conn, &differs], true)]);
    assert_eq!((batch.flows.len(), batch.repeated), (2, 1));
}

#[test]
fn dns_teaches_addresses() {
    let batch = decode(&[Record::at("dns", 1, 4, "Upd.example")]);
    let [answer] = batch.answers.as_slice() else { panic!("{batch:?}") };
    assert_eq!((&*answer.host, answer.ttl_seconds), ("upd.example", 30));
    assert_eq!(answer.client.to_string(), "10.0.0.1");
    assert_eq!(answer.addresses, ["192.0.2.7".parse().unwrap()]);
    assert_eq!(answer.at, Instant(i64::from(START + 4) * 1_000_000 + 250_000));
    let name = batch.flows[0].name.as_ref().unwrap();
    assert_eq!(name.origin, NameOrigin::DnsQuestion);
}

#[test]
fn a_stream_of_several_logs_is_read_line_by_line() {
    let records = [
        Record::at("conn", 1, 4, ""),
        Record::at("ssl", 1, 5, "a.example"),
        Record::at("weird", 1, 5, ""),
        Record::at("dns", 2, 4, "b.example"),
        Record::at("http", 3, 5, "c.example"),
        Record::at("open_conn", 3, 5, ""),
    ];
    let apart = decode(&records);
    assert_eq!(apart.hosts(), ["a.example", "b.example", "c.example"]);
    let lines: String = records.iter().map(object).collect();
    let stream = Batch::decode(&[&lines]);
    assert_eq!(stream.formats, [Some(Format::Zeek(Log::Mixed))]);
    assert_eq!(stream.sorted(), apart.sorted());
    // A line that tells its log last, and lines of which none can be told.
    let late = lines.replace("{\"_path\":\"conn\",", "{").replacen(
        '}',
        ",\"_path\":\"conn\"}",
        1,
    );
    assert_eq!(Batch::decode(&[&(lines.clone() + &late)]).flows, stream.flows);
    let wrong = "{\"_path\":\"dns\",\n{\"_path\":\"files\",\n{\"who\":\"knows\"}\nrubbish\n\
                 {\"_path\":\"conn\"}\n{\"_path\":\"ssl\"}\n";
    let damaged = Batch::decode(&[lines + wrong]);
    assert_eq!(damaged.flows, stream.flows);
    let mut reasons = damaged.reasons();
    reasons.sort_unstable();
    let expected = [
        (Some(7), Reason::Syntax),
        (Some(8), Reason::Syntax),
        (Some(9), Reason::Format),
        (Some(10), Reason::ColumnMissing),
        (Some(11), Reason::ColumnMissing),
        (Some(12), Reason::ColumnMissing),
    ];
    assert_eq!(reasons, expected);
}

fn record() -> impl Strategy<Value = Record> {
    let log = prop::sample::select(vec!["conn", "open_conn", "dns", "ssl", "http"]);
    let host =
        prop::sample::select(vec!["a.example", "B.example.", "-", "c.example:80"]);
    (log, 0u8..6, 0u32..4, host, 1u8..4, any::<bool>()).prop_map(
        |(log, uid, second, host, packets, other)| Record {
            log,
            uid,
            second,
            host: host.to_owned(),
            packets,
            other,
        },
    )
}

/// Records put into files: each record goes to one of three files of its log, each file
/// written in its own form, the files and the lines in them in the order of `records`.
fn files(records: &[(Record, usize)], forms: u16) -> Vec<String> {
    let mut files: Vec<((&str, usize), Vec<&Record>)> = Vec::new();
    for (record, part) in records {
        let key = (record.log, *part);
        match files.iter_mut().find(|(of, _)| *of == key) {
            Some((_, lines)) => lines.push(record),
            None => files.push((key, vec![record])),
        }
    }
    let form =
        |(log, part): (&str, usize)| (forms >> ((log.len() + 5 * part) % 16)) & 1 == 1;
    files.iter().map(|(key, lines)| file(lines, form(*key))).collect()
}

proptest! {
    #[test]
    fn order_split_and_form_of_the_inputs_change_nothing(
        records in prop::collection::vec((record(), 0usize..3), 1..40),
        other in any::<prop::sample::Index>(),
        forms: (u16, u16),
        part: usize,
        order in Just((0..40usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let one = Batch::decode(&files(&records, forms.0));
        let mut moved: Vec<(Record, usize)> = order
            .iter()
            .filter_map(|at| records.get(*at))
            .zip((0usize..).map(|n| n.wrapping_mul(part) % 3))
            .map(|((record, _), part)| (record.clone(), part))
            .collect();
        let at = other.index(moved.len());
        moved.rotate_left(at);
        let two = Batch::decode(&files(&moved, forms.1));
        prop_assert_eq!(one.sorted(), two.sorted());
        prop_assert_eq!(one.repeated, two.repeated);
        let stream: String = moved.iter().map(|(record, _)| object(record)).collect();
        let three = Batch::decode(&[stream]);
        prop_assert_eq!(one.sorted(), three.sorted());
        prop_assert!(one.losses.is_empty());
    }
}

//! The same flows as Parquet and as CSV, in several types.

use std::fs::File;
use std::io::Write;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeBinaryArray, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt16Array, UInt32Array,
};
use parquet::arrow::ArrowWriter;
use tidegauge_model::{
    Address, Flow, Instant, Loss, NameOrigin, Protocol, Reason, ServerName, Volume,
};
use tidegauge_store::Error;
use tidegauge_store::import::{self, Mapping, Other, Sink};

/// 2024-04-01T00:00:00Z.
const START: Instant = Instant(1_711_929_600_000_000);

#[derive(Debug, Default, PartialEq)]
struct Taken {
    flows: Vec<Flow>,
    others: Vec<Other>,
    losses: Vec<Loss>,
    asked: std::cell::Cell<u64>,
}

impl Sink for Taken {
    fn wants_host(&self, host: &str) -> bool {
        self.asked.set(self.asked.get() + 1);
        host.to_ascii_lowercase().ends_with("kaspersky.com")
    }

    fn wants_responder(&self, responder: Address) -> bool {
        self.asked.set(self.asked.get() + 1);
        responder == address("203.0.113.1")
    }

    fn flow(&mut self, flow: Flow) {
        self.flows.push(flow);
    }

    fn other(&mut self, other: Other) {
        self.others.push(other);
    }

    fn loss(&mut self, loss: Loss) {
        self.losses.push(loss);
    }
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn import(path: &Path, mapping: &str) -> (Taken, u64) {
    let mut taken = Taken::default();
    let mapping = Mapping::read(mapping).unwrap();
    let rows = import::flows(path, &mapping, START, &mut taken).unwrap();
    (taken, rows)
}

fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
}

/// What rows 1 and 3 of the tables below say.
fn expected_flows() -> Vec<Flow> {
    let flow = |responder, name: Option<&str>| Flow {
        originator: address("192.0.2.1"),
        responder: address(responder),
        originator_port: 40_000,
        responder_port: 443,
        protocol: Protocol::TCP,
        start: START,
        end: START.plus_seconds(2),
        sent: Some(Volume { bytes: 100, packets: 2 }),
        received: None,
        tcp_flags: Some(0x1b),
        sampling: NonZeroU32::MIN,
        name: name.and_then(|n| ServerName::new(n, NameOrigin::TlsSni)),
        exporter: None,
    };
    vec![flow("198.51.100.1", Some("dnl-01.kaspersky.com")), flow("203.0.113.1", None)]
}

const CSV: &str = "\
src,dst,sp,dp,proto,ts,dur,bytes,packets,flags,sni,unused
192.0.2.1,198.51.100.1,40000,443,tcp,1711929600.0,2,100,2,27,DNL-01.Kaspersky.com,x
192.0.2.2,198.51.100.1,40000,443,tcp,1711929601,2,100,2,27,example.com,x
192.0.2.1,203.0.113.1,40000,443,6,1711929600.000000,2,100,2,27,-,x
not an address,203.0.113.1,40000,443,6,1711929600,2,100,2,27,-,x
192.0.2.1,203.0.113.1,40000,443,6,1711929600,2,100,2,27
192.0.2.1,203.0.113.1,40000,443,6,100,2,100,2,27,-,x
239.0.0.1,203.0.113.1,40000,443,6,1711929600,2,100,2,27,-,x
192.0.2.1,203.0.113.1,99999,443,6,1711929600,2,100,2,27,-,x
192.0.2.1,203.0.113.1,40000,443,6,1711929600,-2,100,2,27,-,x
";

const CSV_MAPPING: &str = r#"
originator = "src"
responder = "dst"
originator_port = "sp"
responder_port = "dp"
protocol = "proto"
start = { column = "ts", unit = "s" }
duration = { column = "dur", unit = "s" }
bytes_sent = "bytes"
packets_sent = "packets"
tcp_flags = "flags"
server_name = { column = "sni", origin = "tls" }
"#;

#[test]
fn csv_becomes_flows_others_and_losses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flows.csv");
    File::create(&path).unwrap().write_all(CSV.as_bytes()).unwrap();
    let (taken, rows) = import(&path, CSV_MAPPING);
    assert_eq!(rows, 9);
    assert_eq!(taken.flows, expected_flows());
    let other = Other {
        originator: address("192.0.2.2"),
        start: START.plus_seconds(1),
        sampling: NonZeroU32::MIN,
    };
    assert_eq!(taken.others, [other]);
    let mut losses: Vec<_> =
        taken.losses.iter().map(|l| (l.line.unwrap(), l.reason)).collect();
    losses.sort_unstable();
    assert_eq!(
        losses,
        [
            (5, Reason::Value),
            (6, Reason::ColumnCount),
            (7, Reason::Time),
            (8, Reason::Address),
            (9, Reason::Value),
            (10, Reason::Time),
        ]
    );
    let fifth = taken.losses.iter().find(|l| l.line == Some(5)).unwrap();
    let line = usize::try_from(fifth.offset).unwrap();
    let at = CSV.get(line..).unwrap();
    assert!(at.starts_with("not an address"), "the offset is that of the line");
    assert_eq!(fifth.day, Some(START.day()));
}

#[test]
fn a_line_that_is_not_text_is_lost_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flows.csv");
    let mut text = CSV.lines().take(2).collect::<Vec<_>>().join("\n").into_bytes();
    text.extend(b"\n\xff,b,c,d,e,f,g,h,i,j,k,l\n");
    text.extend(CSV.lines().nth(2).unwrap().bytes());
    std::fs::write(&path, text).unwrap();
    let (taken, rows) = import(&path, CSV_MAPPING);
    assert_eq!((rows, taken.flows.len(), taken.others.len()), (3, 1, 1));
    let losses: Vec<_> = taken.losses.iter().map(|l| (l.line, l.reason)).collect();
    assert_eq!(losses, [(Some(3), Reason::Syntax)]);
}

#[test]
fn parquet_of_other_types_gives_the_same_flows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flows.whatever");
    let four = |a: [u8; 4]| a.to_vec();
    let responders =
        [four([198, 51, 100, 1]), four([198, 51, 100, 1]), four([203, 0, 113, 1])];
    let micros = [START, START.plus_seconds(1), START].map(|i| i.0);
    write_parquet(
        &path,
        vec![
            (
                "src",
                Arc::new(UInt32Array::from(vec![
                    0xc000_0201,
                    0xc000_0202,
                    0xc000_0201,
                ])),
            ),
            (
                "dst",
                Arc::new(
                    FixedSizeBinaryArray::try_from_iter(responders.iter()).unwrap(),
                ),
            ),
            ("sp", Arc::new(UInt16Array::from(vec![40_000; 3]))),
            ("dp", Arc::new(UInt16Array::from(vec![443; 3]))),
            ("proto", Arc::new(UInt16Array::from(vec![6; 3]))),
            (
                "ts",
                Arc::new(
                    TimestampMicrosecondArray::from(micros.to_vec())
                        .with_timezone("UTC"),
                ),
            ),
            ("dur", Arc::new(Int64Array::from(vec![2_000; 3]))),
            ("bytes", Arc::new(Int64Array::from(vec![100; 3]))),
            ("packets", Arc::new(Int64Array::from(vec![2; 3]))),
            ("flags", Arc::new(UInt16Array::from(vec![27; 3]))),
            (
                "sni",
                Arc::new(StringArray::from(vec![
                    Some("DNL-01.Kaspersky.com"),
                    Some("example.com"),
                    None,
                ])),
            ),
        ],
    );
    let mapping = CSV_MAPPING
        .replace(r#""ts", unit = "s""#, r#""ts""#)
        .replace(r#""dur", unit = "s""#, r#""dur", unit = "ms""#);
    let (taken, rows) = import(&path, &mapping);
    assert_eq!((rows, taken.others.len(), taken.losses.len()), (3, 1, 0));
    assert_eq!(taken.flows, expected_flows());
}

#[test]
fn distinct_texts_are_judged_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flows.parquet");
    let rows = 100_000;
    let text = |value: &str| Arc::new(StringArray::from(vec![value; rows])) as ArrayRef;
    write_parquet(
        &path,
        vec![
            ("a", text("192.0.2.1")),
            ("b", text("198.51.100.1")),
            ("n", text("example.com")),
            ("t", Arc::new(Int64Array::from(vec![START.0; rows]))),
        ],
    );
    let (taken, read) = import(
        &path,
        "originator = 'a'\nresponder = 'b'\nprotocol = 6\nsampling = 100\n\
         start = { column = 't', unit = 'us' }\n\
         server_name = { column = 'n', origin = 'tls' }",
    );
    assert_eq!(usize::try_from(read).unwrap(), rows);
    assert_eq!(taken.others.len(), rows);
    assert_eq!(taken.others[0].sampling.get(), 100);
    assert!(taken.asked.get() < 20, "asked {} times", taken.asked.get());
}

#[test]
fn what_cannot_be_imported_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flows");
    let mapping = Mapping::read(CSV_MAPPING).unwrap();
    let failed = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        import::flows(&path, &mapping, START, &mut Taken::default()).unwrap_err()
    };
    let error = failed(b"PAR1 and then nothing");
    assert!(
        matches!(&error, Error::Import { path: named, .. } if *named == path),
        "{error}"
    );
    let error = failed(b"src,dst\n");
    assert!(error.to_string().contains("has no column `bytes`"), "{error}");
    let error = failed(b"");
    assert!(matches!(error, Error::Mapping { .. }), "{error}");
}

#[test]
fn a_parquet_log_of_aws_is_its_text() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/aws");
    let text = std::fs::read_to_string(folder.join("flow.log")).unwrap();
    let header: Vec<&str> = text.lines().next().unwrap().split(' ').collect();
    // With texts absent and with texts of `-`; gzip in one group, snappy in groups of two.
    for name in ["flow.parquet", "flow.plain.parquet"] {
        let file = File::open(folder.join(name)).unwrap();
        let columns = import::parquet_columns(&file).unwrap();
        let columns: Vec<(&str, &str)> =
            columns.iter().map(String::as_str).zip(header.iter().copied()).collect();
        let mut told = String::new();
        let mut lines = import::ParquetLines::open(file, &columns).unwrap();
        std::io::Read::read_to_string(&mut lines, &mut told).unwrap();
        assert_eq!(told, text, "{name}");
    }
    // Any columns in any order; what is not there is an error, not a gap.
    let open = |columns: &[(&str, &str)]| {
        let file = File::open(folder.join("flow.parquet")).unwrap();
        let mut told = String::new();
        let mut lines = import::ParquetLines::open(file, columns).unwrap();
        std::io::Read::read_to_string(&mut lines, &mut told).map(|_| told)
    };
    let told = open(&[("end", "x"), ("srcaddr", "y")]).unwrap();
    assert_eq!(told.lines().nth(1), Some("1785283260 198.51.100.71"));
    assert!(told.starts_with("x y\n"));
    assert!(open(&[("nothing", "x")]).is_err());
}

#[test]
fn a_value_with_blanks_stays_one_word() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let texts = StringArray::from(vec![Some("a b\tc\nd"), Some(""), None]);
    let numbers = Int64Array::from(vec![Some(-1), None, Some(7)]);
    write_parquet(&path, vec![("t", Arc::new(texts)), ("n", Arc::new(numbers))]);
    let columns = [("t", "t"), ("n", "n")];
    let mut lines =
        import::ParquetLines::open(File::open(&path).unwrap(), &columns).unwrap();
    let mut told = String::new();
    std::io::Read::read_to_string(&mut lines, &mut told).unwrap();
    assert_eq!(told, "t n\na?b?c?d -1\n- -\n- 7\n");
}

//! Input made to be wrong: each piece that cannot be used is one loss at its place, and
//! what stands around it is read.

use proptest::prelude::*;
use tidegauge_model::Reason;
use tidegauge_wire::Format;
use tidegauge_wire::zeek::Log;

use crate::batch::Batch;

const HEADER: &str = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n\
    #unset_field\t-\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\t\
    id.resp_p\tproto\tduration\torig_pkts\torig_ip_bytes\n";
/// Lines of [`HEADER`].
const HEADER_LINES: u64 = 6;

fn row(ts: &str, uid: &str) -> String {
    format!("{ts}\t{uid}\t10.0.0.1\t1025\t192.0.2.1\t443\ttcp\t1.5\t3\t180\n")
}

/// Flows and losses of a `conn` table with these lines.
fn table(lines: &[u8]) -> (usize, Vec<(Option<u64>, Reason)>) {
    let batch = Batch::decode(&[[HEADER.as_bytes(), lines].concat()]);
    assert_eq!(batch.formats, [Some(Format::Zeek(Log::Conn))]);
    (batch.flows.len(), batch.reasons())
}

const GOOD_TIME: &str = "1517336042.090842";

#[test]
fn nothing_is_nothing() {
    assert_eq!(table(b""), (0, vec![]));
    assert_eq!(table(b"\n\r\n#close\t2019-02-28-12-07-01\n"), (0, vec![]));
    let empty = Batch::decode(&[b""]);
    assert_eq!((empty.flows.len(), empty.reasons()), (0, vec![(None, Reason::Format)]));
}

#[test]
fn each_wrong_line_is_one_loss_at_its_place() {
    let good = row(GOOD_TIME, "C1");
    let last = row(GOOD_TIME, "C2");
    let wrong = [
        ("1\t2\t3\n", Reason::ColumnCount),
        (&good.replace('\n', "\tmore\n"), Reason::ColumnCount),
        (&row("yesterday", "C3"), Reason::Value),
        (&row("-", "C3"), Reason::Value),
        (&row("0.000000", "C3"), Reason::Time),
        (&row("22.333203", "C3"), Reason::Time),
        (&row("4102444800.000000", "C3"), Reason::Time),
        (&row("99999999999999999999999", "C3"), Reason::Value),
        (&row(GOOD_TIME, "-"), Reason::Value),
        (&good.replace("10.0.0.1", "10.0.0.256"), Reason::Value),
        (&good.replace("10.0.0.1", "224.0.0.1"), Reason::Address),
        (&good.replace("1025", "65536"), Reason::Value),
        (&good.replace("\t180", "\t18O"), Reason::Value),
        (&good.replace("1.5", "-1.5"), Reason::Value),
        ("\u{7f}ELF\0\0\0\n", Reason::ColumnCount),
        ("{\"ts\":1517336042.0,\n", Reason::Syntax),
        ("{\"ts\":1517336042.0}\n", Reason::ColumnMissing),
        ("{\"_path\":\"dns\",\"ts\":1517336042.0}\n", Reason::Format),
    ];
    for (line, reason) in wrong {
        let line: &str = line;
        let (flows, losses) = table(format!("{good}{line}{last}").as_bytes());
        assert_eq!(losses, [(Some(HEADER_LINES + 2), reason)], "{line}");
        assert_eq!(flows, 2, "{line}");
    }
}

#[test]
fn a_loss_has_its_offset_and_the_day_before_it() {
    let good = row(GOOD_TIME, "C1");
    let text = format!("{HEADER}rubbish\n{good}rubbish\n");
    let batch = Batch::decode(&[&text]);
    let [before, after] = batch.losses.as_slice() else { panic!("{batch:?}") };
    let place = |offset: usize| u64::try_from(offset).unwrap();
    assert_eq!((before.offset, before.day), (place(HEADER.len()), None));
    assert_eq!(after.offset, place(text.len() - "rubbish\n".len()));
    assert_eq!(after.day.unwrap().to_string(), "2018-01-30");
}

#[test]
fn a_line_that_is_not_utf8_is_lost_alone() {
    let (first, last) = (row(GOOD_TIME, "C1"), row(GOOD_TIME, "C2"));
    let lines = [first.as_bytes(), b"\xff\xfe\n", last.as_bytes()];
    assert_eq!(
        table(&lines.concat()),
        (2, vec![(Some(HEADER_LINES + 2), Reason::Syntax)])
    );
}

#[test]
fn a_last_line_without_its_end_is_read_if_it_is_whole() {
    let good = row(GOOD_TIME, "C1");
    assert_eq!(table(good.trim_end().as_bytes()), (1, vec![]));
    let half = &good.as_bytes()[..good.len() / 2];
    assert_eq!(table(half), (0, vec![(Some(HEADER_LINES + 1), Reason::Truncated)]));
    let object = r#"{"ts":1517336042.5,"uid":"C1","conn_state":"SF","id.orig_h":"#;
    let whole = format!("{object}\"x\"}}\n");
    let batch = Batch::decode(&[format!("{whole}{object}")]);
    assert_eq!(
        batch.reasons(),
        [(Some(1), Reason::Value), (Some(2), Reason::Truncated)]
    );
}

#[test]
fn an_endless_line_is_one_loss() {
    let long = [vec![b'x'; 5 << 20], row(GOOD_TIME, "C1").into_bytes()].concat();
    assert_eq!(table(&long), (0, vec![(Some(HEADER_LINES + 1), Reason::Limit)]));
}

#[test]
fn another_form_may_follow_in_the_same_file() {
    // Another day's log behind this one: other columns in another order, then objects.
    let second = "#separator |\n#path|conn\n#fields|uid|ts|proto|id.resp_p|id.resp_h|\
        id.orig_p|id.orig_h\nC2|1517336043.0|udp|53|192.0.2.53|1026|10.0.0.2\n";
    let third = r#"{"ts":"2018-01-30T18:14:04Z","uid":"C3","id.orig_h":"10.0.0.3",
        "id.orig_p":1027,"id.resp_h":"2001:db8::1","id.resp_p":443,"proto":"tcp"}"#
        .replace('\n', " ");
    let text = format!("{HEADER}{}{second}{third}\n", row(GOOD_TIME, "C1"));
    let batch = Batch::decode(&[text]);
    assert_eq!(batch.reasons(), []);
    let originators: Vec<_> =
        batch.flows.iter().map(|flow| flow.originator.to_string()).collect();
    assert_eq!(originators, ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    assert!(batch.flows.is_sorted_by_key(|flow| flow.start));
}

#[test]
fn logs_that_hold_nothing_for_us_are_no_loss() {
    let x509 = "#separator \\x09\n#path\tx509\n#fields\tts\tid\n1.0\tFx\nrubbish\n";
    let batch = Batch::decode(&[x509]);
    assert_eq!(batch.formats, [Some(Format::Zeek(Log::Other))]);
    assert_eq!((batch.flows.len(), batch.reasons()), (0, vec![]));
}

#[test]
fn damaged_compression_is_one_loss_behind_the_good_rows() {
    use std::io::Write;
    let mut text = HEADER.to_owned();
    for second in 0..20_000 {
        text +=
            &row(&format!("{}.000000", 1_517_336_000 + second), &format!("C{second}"));
    }
    let mut gzip =
        flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let whole = gzip.finish().unwrap();
    assert_eq!(Batch::decode(&[&whole]).flows.len(), 20_000);
    let batch = Batch::decode(&[&whole[..whole.len() * 3 / 4]]);
    assert!(batch.flows.len() > 10_000, "{}", batch.flows.len());
    let reasons: Vec<_> = batch.losses.iter().map(|loss| loss.reason).collect();
    assert_eq!(reasons, [Reason::Truncated, Reason::Compression]);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let batch = Batch::decode(&[&bytes]);
        prop_assert!(batch.formats[0].is_some() || batch.losses.len() == 1);
    }

    #[test]
    fn every_line_of_a_table_is_a_flow_or_a_loss(
        lines in prop::collection::vec("[^\n\r]{0,40}|[0-9.\t]{0,60}", 0..20),
    ) {
        let rows = lines.iter().filter(|line| {
            let line = line.trim_ascii_start();
            !line.is_empty() && !line.starts_with('#')
        });
        let batch = Batch::decode(&[format!("{HEADER}{}", lines.join("\n"))]);
        prop_assert_eq!(rows.count(), batch.flows.len() + batch.losses.len());
    }

    #[test]
    fn a_flipped_byte_costs_at_most_its_line(at in 0usize..10_000, byte: u8) {
        let header = HEADER.len();
        let rows: String =
            (0..50).map(|n| row(GOOD_TIME, &format!("C{n}"))).collect();
        let mut text = format!("{HEADER}{rows}").into_bytes();
        let at = header + at % (text.len() - header);
        text[at] = byte;
        let batch = Batch::decode(&[text]);
        // A line end more or less makes two lines of one, or one of two.
        prop_assert!(batch.flows.len() >= 48, "{:?}", batch.losses);
        prop_assert!(batch.losses.len() <= 2);
    }
}

//! Flow logs of clouds: every example of the vendor's documentation, and damage.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tidegauge_model::{Flow, Reason};
use tidegauge_wire::Format;

use crate::batch::Batch;

const SHARED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/data/vpcflow/aws-flow-logs-records-examples.md"
);

fn ends(flow: &Flow) -> String {
    format!(
        "{}:{} {}:{}",
        flow.originator, flow.originator_port, flow.responder, flow.responder_port
    )
}

fn aws(text: &str) -> Batch {
    let batch = Batch::decode(&[text]);
    assert_eq!(batch.formats, [Some(Format::AwsFlow)], "{text}");
    batch
}

#[test]
fn every_example_of_aws_is_read() {
    if !Path::new(SHARED).exists() {
        println!("SKIPPED every_example_of_aws_is_read: shared data folder absent");
        return;
    }
    let page = fs::read_to_string(SHARED).unwrap();
    // The code blocks of the page, one after the other, are a log with four headers.
    let log: String =
        page.split("```").skip(1).step_by(2).map(str::trim_start).collect();
    let batch = aws(&log);
    assert_eq!(batch.flows.len(), 15);
    let mut reasons: Vec<_> = batch.losses.iter().map(|loss| loss.reason).collect();
    reasons.sort();
    // Two formats without a time, 8 rows; two rows with remarks and a row of dots.
    let mut expected = vec![Reason::ColumnCount; 3];
    expected.extend([Reason::ColumnMissing; 8]);
    expected.push(Reason::Gap);
    assert_eq!(reasons, expected);
    // "two connections were started by a client to a server running on port 5001": the
    // page says so in words. Rows of the middle of a connection tell no flags and their
    // ports say nothing, so only rows with SYN are of the client for sure.
    let opened = batch.flows.iter().filter(|f| f.tcp_flags.is_some_and(|f| f & 2 != 0));
    let (mut rows, mut back) = (0, 0);
    for flow in opened.filter(|flow| flow.responder_port != 80) {
        assert_eq!(
            (flow.responder_port, flow.sent.is_some()),
            (5001, flow.received.is_none())
        );
        back += usize::from(flow.received.is_some());
        rows += 1;
    }
    assert_eq!((rows, back), (6, 3));
    // An instance calls S3 on port 80: one record each way, one originator.
    let calls: Vec<_> =
        batch.flows.iter().filter(|flow| flow.responder_port == 80).collect();
    assert!(calls.iter().all(|f| ends(f) == "10.0.0.71:34210 52.95.128.179:80"));
    let received: Vec<_> =
        calls.iter().map(|f| f.received.map(|v| (v.packets, v.bytes))).collect();
    assert_eq!(received, [Some((14, 15_044)), None]);
}

#[test]
fn a_rejected_record_receives_nothing() {
    let row = |source: &str, action: &str| {
        format!("2 1 eni-1 {source} 6 3 180 1418530010 1418530070 {action} OK\n")
    };
    let there = "10.0.0.1 192.0.2.1 40000 443";
    let back = "192.0.2.1 10.0.0.1 443 40000";
    let text =
        [row(there, "REJECT"), row(back, "REJECT"), row(back, "ACCEPT")].concat();
    let batch = aws(&text);
    assert!(batch.flows.iter().all(|f| ends(f) == "10.0.0.1:40000 192.0.2.1:443"));
    let volumes: Vec<_> =
        batch.flows.iter().map(|f| (f.sent.is_some(), f.received.is_some())).collect();
    assert_eq!(volumes, [(true, false), (false, false), (false, true)]);
}

#[test]
fn behind_a_gateway_the_addresses_of_the_packet_count() {
    let text = "srcaddr dstaddr pkt-srcaddr pkt-dstaddr srcport dstport protocol start end\n\
                10.0.1.5 10.0.0.220 10.0.1.5 203.0.113.5 4000 443 6 1418530010 1418530070\n\
                10.0.0.220 10.0.1.5 203.0.113.5 10.0.1.5 443 4000 6 1418530010 1418530070\n\
                10.0.1.6 203.0.113.5 - - 4000 443 6 1418530010 1418530070\n";
    let flows = aws(text).flows;
    let told: Vec<_> = flows.iter().map(ends).collect();
    let client = "10.0.1.5:4000 203.0.113.5:443";
    assert_eq!(told, [client, client, "10.0.1.6:4000 203.0.113.5:443"]);
}

#[test]
fn a_subscription_and_a_tail_hold_the_same_records() {
    let row = "2 1 eni-1 10.0.0.1 192.0.2.1 40000 443 6 3 180 1418530010 1418530070 ACCEPT OK";
    let event = format!(r#"{{"id":"1","timestamp":1418530070000,"message":"{row}"}}"#);
    let message = |kind: &str| {
        format!(
            r#"{{"messageType":"{kind}","owner":"1","logEvents":[{event},{event}]}}"#
        )
    };
    let told = message("DATA_MESSAGE");
    // Firehose writes messages without a line end between them.
    let text = format!("{told}{told}\n{}\n{told}", message("CONTROL_MESSAGE"));
    assert_eq!(aws(&text).flows.len(), 6);
    let tail = format!("2014-12-14T04:07:50.000Z {row}\n");
    assert_eq!(aws(&tail).flows, aws(row).flows);
    let cut = aws(text.get(..text.len() - 9).unwrap());
    assert_eq!(
        (cut.flows.len(), cut.reasons()),
        (4, vec![(Some(3), Reason::Truncated)])
    );
}

const FIELDS: [(&str, &str); 10] = [
    ("version", "5"),
    ("srcaddr", "10.0.0.1"),
    ("dstaddr", "192.0.2.1"),
    ("srcport", "40000"),
    ("dstport", "443"),
    ("protocol", "6"),
    ("start", "1418530010"),
    ("end", "1418530070"),
    ("reject-reason", "-"),
    ("log-status", "OK"),
];

proptest! {
    #[test]
    fn the_order_of_fields_changes_nothing(fields in Just(FIELDS.to_vec()).prop_shuffle()) {
        let text = |fields: &[(&str, &str)]| {
            let (names, values): (Vec<_>, Vec<_>) = fields.iter().copied().unzip();
            format!("{}\n{}\n", names.join(" "), values.join(" "))
        };
        let flows = aws(&text(&FIELDS)).flows;
        prop_assert_eq!(flows.len(), 1);
        prop_assert_eq!(aws(&text(&fields)).flows, flows);
    }

    #[test]
    fn every_row_is_a_flow_or_a_loss(rows in prop::collection::vec("[0-9a-f.: -]{1,60}", 0..20)) {
        let header = "srcaddr dstaddr srcport dstport protocol start end";
        let batch = aws(&format!("{header}\n{}", rows.join("\n")));
        let told = rows.iter().filter(|row| !row.trim().is_empty()).count();
        prop_assert_eq!(batch.flows.len() + batch.losses.len(), told);
    }
}

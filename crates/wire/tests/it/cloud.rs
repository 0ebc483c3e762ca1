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

fn azure(inputs: &[&str]) -> Batch {
    let batch = Batch::decode(inputs);
    assert!(batch.formats.iter().all(|f| *f == Some(Format::AzureFlow)), "{inputs:?}");
    batch
}

/// A record of a virtual network's log.
fn vnet(tuples: &[&str]) -> serde_json::Value {
    serde_json::json!({
        "time": "2022-09-14T09:00:52.5625085Z",
        "flowLogVersion": 4,
        "macAddress": "00224871C205",
        "category": "FlowLogFlowEvent",
        "operationName": "FlowLogFlowEvent",
        "flowRecords": {"flows": [{"aclID": "1", "flowGroups": [
            {"rule": "Internet", "flowTuples": tuples},
        ]}]},
    })
}

/// A record of a network security group's log.
fn nsg(version: u8, tuples: &[&str]) -> serde_json::Value {
    serde_json::json!({
        "time": "2017-02-16T22:00:32.8950000Z",
        "category": "NetworkSecurityGroupFlowEvent",
        "operationName": "NetworkSecurityGroupFlowEvents",
        "properties": {"Version": version, "flows": [
            {"rule": "UserRule", "flows": [{"mac": "000D3AF8801A", "flowTuples": tuples}]},
        ]},
    })
}

/// Ends, seconds between start and end, and packets and bytes each way.
fn told(flow: &Flow) -> String {
    let volume = |v: Option<tidegauge_model::Volume>| {
        v.map_or("-".to_owned(), |v| format!("{}/{}", v.packets, v.bytes))
    };
    let took = (flow.end.0 - flow.start.0) / 1_000;
    format!("{} {took} ms {} {}", ends(flow), volume(flow.sent), volume(flow.received))
}

fn all_told(batch: &Batch) -> Vec<String> {
    batch.flows.iter().map(told).collect()
}

/// The sample of "Virtual network flow logs", cut to one of each kind.
const VNET: [&str; 6] = [
    "1663146003599,10.0.0.6,192.0.2.180,23956,443,6,O,B,NX,0,0,0,0",
    "1663146003606,10.0.0.6,192.0.2.180,23956,443,6,O,E,NX,3,767,2,1580",
    "1663146017343,10.0.0.6,198.51.100.84,36776,443,6,O,B,NX,0,0,0,0",
    "1663146022793,10.0.0.6,198.51.100.84,36776,443,6,O,E,NX,22,2217,33,32466",
    "1663145998065,203.0.113.153,10.0.0.6,55188,22,6,I,D,NX,0,0,0,0",
    "1663146005503,203.0.113.164,10.0.0.6,35276,119,17,I,D,NX_NOT_ACCEPTED,0,0,0,0",
];

#[test]
fn tuples_of_a_virtual_network_make_one_flow_a_connection() {
    let blob = serde_json::json!({ "records": [vnet(&VNET)] });
    let batch = azure(&[&blob.to_string()]);
    assert_eq!(batch.reasons(), []);
    assert_eq!(
        all_told(&batch),
        [
            "10.0.0.6:23956 192.0.2.180:443 7 ms 3/767 2/1580",
            "10.0.0.6:36776 198.51.100.84:443 5450 ms 22/2217 33/32466",
            "203.0.113.153:55188 10.0.0.6:22 0 ms - 0/0",
            "203.0.113.164:35276 10.0.0.6:119 0 ms - 0/0",
        ]
    );
    let first = batch.flows[0].start;
    assert_eq!(first.day().to_string(), "2022-09-14");
    // However it is written down, it is the same.
    let lines = format!("{}\n{}\n", vnet(&VNET[..2]), vnet(&VNET[2..]));
    let array = serde_json::json!([vnet(&VNET[..3]), vnet(&VNET[3..])]);
    for text in
        [format!("{blob:#}"), lines, array.to_string(), format!("\u{feff}{blob}")]
    {
        assert_eq!(azure(&[&text]).flows, batch.flows, "{text}");
    }
}

#[test]
fn parts_of_a_connection_add_up_to_what_azure_says() {
    // The example of the documentation: 9,125 packets in all.
    let example = [
        "1493695538,185.0.2.105,10.2.0.4,35370,23,T,I,A,B,,,,",
        "1493695838,185.0.2.105,10.2.0.4,35370,23,T,I,A,C,1021,588096,8005,4610880",
        "1493696138,185.0.2.105,10.2.0.4,35370,23,T,I,A,E,52,29952,47,27072",
    ];
    let ends = "185.0.2.105:35370 10.2.0.4:23";
    let blob =
        |tuples: &[&str]| serde_json::json!({"records": [nsg(2, tuples)]}).to_string();
    let whole = azure(&[&blob(&example)]);
    assert_eq!(
        all_told(&whole),
        [format!("{ends} 600000 ms 1073/618048 8052/4637952")]
    );
    assert_eq!(1073 + 8052, 9125);
    // Over two blobs it is two flows, and no packet is in both.
    let split = azure(&[&blob(&example[..2]), &blob(&example[2..])]);
    assert_eq!(
        all_told(&split),
        [
            format!("{ends} 300000 ms 1021/588096 8005/4610880"),
            format!("{ends} 0 ms 52/29952 47/27072"),
        ]
    );
    // The same ends once more, before the end of the first was told.
    let again = azure(&[&blob(&[example[0], example[1], example[0]])]);
    assert_eq!(
        all_told(&again),
        [
            format!("{ends} 300000 ms 1021/588096 8005/4610880"),
            format!("{ends} 0 ms - -")
        ]
    );
}

#[test]
fn security_groups_tell_who_was_let_in() {
    let one = [
        "1487282421,192.0.2.95,10.1.0.4,51529,5358,T,I,D",
        "1487282370,192.0.2.17,10.1.0.4,61771,3389,T,I,A",
        "1487282423,10.1.0.4,203.0.113.229,53163,53,U,O,A",
    ];
    let batch = azure(&[&nsg(1, &one).to_string()]);
    assert_eq!(
        all_told(&batch),
        [
            "192.0.2.95:51529 10.1.0.4:5358 0 ms - 0/0",
            "192.0.2.17:61771 10.1.0.4:3389 0 ms - -",
            "10.1.0.4:53163 203.0.113.229:53 0 ms - -",
        ]
    );
    let denied = "1542110377,192.0.2.4,10.5.16.4,28746,443,U,I,D,B,,,,";
    let batch = azure(&[&nsg(2, &[denied]).to_string()]);
    assert_eq!(all_told(&batch), ["192.0.2.4:28746 10.5.16.4:443 0 ms - 0/0"]);
}

#[test]
fn what_both_interfaces_log_counts_once() {
    let there = ["1663146003599,10.0.0.6,10.0.0.7,23956,443,6,O,E,NX,3,767,2,1580"];
    let here = ["1663146003601,10.0.0.6,10.0.0.7,23956,443,6,I,E,NX,3,767,2,1580"];
    let alone = ["1663146003601,10.0.0.6,10.0.0.8,23957,443,6,I,E,NX,3,767,2,1580"];
    let texts = [&there, &here, &alone].map(|t| vnet(t).to_string());
    let [there, here, alone] = texts.each_ref().map(String::as_str);
    for inputs in [[there, here, alone], [alone, here, there]] {
        let batch = azure(&inputs);
        assert_eq!((batch.flows.len(), batch.repeated), (2, 1), "{inputs:?}");
    }
    assert_eq!(azure(&[&format!("{here}{there}")]).flows.len(), 1);
    assert_eq!(azure(&[here]).flows.len(), 1);
}

#[test]
fn each_wrong_tuple_is_one_loss_at_its_place() {
    let good = VNET[1];
    let wrong = [
        ("", Reason::ColumnCount),
        ("1663146003606,10.0.0.6,192.0.2.180,23956,443,6,O", Reason::ColumnCount),
        (
            "1663146003606,10.0.0.6,192.0.2.180,23956,443,6,O,E,NX,3,767,2",
            Reason::ColumnCount,
        ),
        ("1663146003606,10.0.0.6,192.0.2.180,23956,443,T,O,A,E", Reason::ColumnCount),
        (&good.replace("10.0.0.6", "10.0.0.256"), Reason::Value),
        (&good.replace("10.0.0.6", "224.0.0.1"), Reason::Address),
        (&good.replace(",443,", ",65536,"), Reason::Value),
        (&good.replace(",6,O", ",256,O"), Reason::Value),
        (&good.replace(",O,", ",X,"), Reason::Value),
        (&good.replace(",E,", ",F,"), Reason::Value),
        (&good.replace(",767,", ",-1,"), Reason::Value),
        (&good.replace("1663146003606", "soon"), Reason::Value),
        (&good.replace("1663146003606", "1"), Reason::Time),
        (&good.replace("1663146003606", "4102444800"), Reason::Time),
    ];
    for (tuple, reason) in wrong {
        let tuple: &str = tuple;
        let text = format!("{:#}", vnet(&[good, tuple, good]));
        let batch = azure(&[&text]);
        let line =
            text.lines().position(|l| l.trim() == format!("\"{tuple}\",")).unwrap() + 1;
        assert_eq!(batch.reasons(), [(u64::try_from(line).ok(), reason)], "{tuple}");
        assert_eq!(batch.losses[0].day.unwrap().to_string(), "2022-09-14");
        assert_eq!(batch.flows.len(), 2, "{tuple}");
    }
}

#[test]
fn a_large_blob_is_read_tuple_by_tuple_and_a_cut_costs_its_end() {
    let tuple = |n: u32| {
        let [_, a, b, c] = n.to_be_bytes();
        format!("1663146003599,10.{a}.{b}.{c},192.0.2.180,1,443,6,O,E,NX,3,767,2,1580")
    };
    let tuples: Vec<String> = (0..40_000).map(tuple).collect();
    let tuples: Vec<&str> = tuples.iter().map(String::as_str).collect();
    // One record of 3 MB in one line.
    let blob = serde_json::json!({ "records": [vnet(&tuples)] }).to_string();
    let batch = azure(&[&blob]);
    assert_eq!((batch.flows.len(), batch.losses.len()), (40_000, 0));
    let cut = azure(&[blob.get(..blob.len() / 2).unwrap()]);
    assert!((19_000..21_000).contains(&cut.flows.len()), "{}", cut.flows.len());
    assert_eq!(cut.reasons(), [(Some(1), Reason::Truncated)]);
}

fn google(inputs: &[&str]) -> Batch {
    let batch = Batch::decode(inputs);
    assert!(batch.formats.iter().all(|f| *f == Some(Format::GoogleFlow)), "{inputs:?}");
    batch
}

/// An entry with the ends in the order of the record.
fn entry(
    reporter: &str,
    from: (&str, u16),
    to: (&str, u16),
    start: &str,
) -> serde_json::Value {
    serde_json::json!({
        "insertId": "ut8lbrffooxyw",
        "jsonPayload": {
            "bytes_sent": "1776",
            "connection": {
                "dest_ip": to.0, "dest_port": to.1, "protocol": 6,
                "src_ip": from.0, "src_port": from.1,
            },
            "end_time": "2019-06-14T03:49:51.821308944Z",
            "packets_sent": "7",
            "reporter": reporter,
            "rtt_msec": "36",
            "start_time": start,
        },
        "logName": "projects/p/logs/compute.googleapis.com%2Fvpc_flows",
        "resource": {"labels": {"subnetwork_name": "default"}, "type": "gce_subnetwork"},
        "timestamp": "2019-06-14T03:50:10.845445834Z",
    })
}

const START: &str = "2019-06-14T03:45:37.186193305Z";

#[test]
fn google_tells_each_way_by_itself() {
    let (client, server) = (("10.0.0.1", 33_478), ("203.0.113.12", 443));
    let there = entry("SRC", client, server, START);
    let back = entry("DEST", server, client, START);
    let lines = google(&[&format!("{there}\n{back}\n")]);
    assert_eq!(lines.reasons(), []);
    let ends = "10.0.0.1:33478 203.0.113.12:443";
    assert_eq!(
        all_told(&lines),
        [format!("{ends} 254635 ms 7/1776 -"), format!("{ends} 254635 ms - 7/1776")]
    );
    assert!(lines.flows.iter().all(|flow| flow.sampling.get() > 1));
    let array = serde_json::json!([there, back]);
    for text in [
        array.to_string(),
        format!("{array:#}\n"),
        format!("\u{feff}\n{there}\r\n{back}"),
    ] {
        assert_eq!(google(&[&text]).flows, lines.flows, "{text}");
    }
}

#[test]
fn google_reports_of_both_ends_count_once() {
    let (one, two) = (("10.0.0.1", 33_478), ("10.0.0.2", 443));
    let near = "2019-06-14T03:45:39Z";
    let report = |reporter, start| entry(reporter, one, two, start).to_string();
    let all = [
        report("SRC", START),
        report("DEST", near),
        report("SRC_GATEWAY", near),
        report("DEST_GATEWAY", START),
    ];
    let texts: Vec<&str> = all.iter().map(String::as_str).collect();
    for from in 0..4 {
        let mut inputs = texts[from..].to_vec();
        let batch = google(&inputs);
        assert_eq!((batch.flows.len(), batch.repeated), (1, 3 - from as u64));
        let micros = if from == 0 || from == 3 { 37_186_193 } else { 39_000_000 };
        assert_eq!(batch.flows[0].start.0 % 60_000_000, micros, "{batch:?}");
        inputs.reverse();
        assert_eq!(google(&inputs).flows, batch.flows);
    }
    // Later the same ports are another flow.
    let later = report("DEST", "2019-06-14T03:10:00Z");
    assert_eq!(google(&[&all[0], &later]).flows.len(), 2);
}

#[test]
fn each_wrong_entry_is_one_loss_and_other_logs_are_none() {
    let good =
        entry("SRC", ("10.0.0.1", 33_478), ("203.0.113.12", 443), START).to_string();
    let wrong = [
        (good.replace("10.0.0.1", "10.0.0.256"), Reason::Value),
        (good.replace("10.0.0.1", "224.0.0.1"), Reason::Address),
        (good.replace(":33478", ":65536"), Reason::Value),
        (good.replace("\"1776\"", "\"many\""), Reason::Value),
        (good.replace("\"SRC\"", "\"ME\""), Reason::Value),
        (good.replace("\"start_time\"", "\"began\""), Reason::ColumnMissing),
        (good.replace("\"connection\"", "\"between\""), Reason::ColumnMissing),
        (good.replace(START, "2019-06-14T03:50:37Z"), Reason::Time),
        (good.replace(START, "1969-06-14T03:50:37Z"), Reason::Time),
        (good.replace("{\"labels\"", "\"labels\""), Reason::Syntax),
        ("7".to_owned(), Reason::Value),
        ("[]".to_owned(), Reason::ColumnMissing),
    ];
    for (line, reason) in wrong {
        let batch = google(&[&format!("{good}\n{line}\n{good}")]);
        assert_eq!(batch.reasons(), [(Some(2), reason)], "{line}");
        assert_eq!(batch.flows.len(), 2, "{line}");
    }
    let other = good.replace("vpc_flows", "firewall").replace("start_time", "x");
    let batch = google(&[&format!("{good}\n{other}\n")]);
    assert_eq!((batch.flows.len(), batch.losses.len()), (1, 0));
    let cut = google(&[&format!("[{good},{}", good.get(..good.len() / 2).unwrap())]);
    assert_eq!(
        (cut.flows.len(), cut.reasons()),
        (1, vec![(Some(1), Reason::Truncated)])
    );
}

proptest! {
    #[test]
    fn tuples_never_make_more_flows_than_there_are(
        tuples in prop::collection::vec((0u8..3, 0u8..2, 0usize..4, 0u32..1000), 1..40),
        cut in 0usize..40,
    ) {
        // Any order of states: each packet and byte is in one flow.
        let text = |(host, way, state, packets): &(u8, u8, usize, u32)| {
            let (way, state) = (["I", "O"][usize::from(*way)], ["B", "C", "E", "D"][*state]);
            let volumes = match state {
                "B" | "D" => "0,0,0,0".to_owned(),
                _ => format!("{packets},{},{},0", packets * 2, packets + 1),
            };
            format!("1663146003599,10.0.{way_number}.{host},192.0.2.1,1,443,6,{way},{state},NX,{volumes}",
                way_number = usize::from(way == "I"))
        };
        let all: Vec<String> = tuples.iter().map(text).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let (one, two) = all.split_at(cut.min(all.len()));
        let inputs = [vnet(one).to_string(), vnet(two).to_string()];
        let batch = azure(&[&inputs[0], &inputs[1]]);
        prop_assert_eq!(batch.reasons(), []);
        prop_assert!(batch.flows.len() <= all.len());
        let expected: u64 = tuples.iter().filter(|t| matches!(t.2, 1 | 2)).map(|t| u64::from(t.3)).sum();
        let sent: u64 = batch.flows.iter().filter_map(|f| f.sent).map(|v| v.packets).sum();
        prop_assert_eq!(sent, expected);
        let bytes: u64 = batch.flows.iter().filter_map(|f| f.sent).map(|v| v.bytes).sum();
        prop_assert_eq!(bytes, 2 * expected);
    }
}

#[test]
fn a_table_of_aws_is_told_by_its_columns() {
    let table = |columns: &[&str]| {
        let found = tidegauge_wire::cloud::aws::table(columns)?;
        Some(found.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(" "))
    };
    // Version 2 with what Athena shows for partitions of Hive.
    let columns = [
        "version",
        "account_id",
        "interface_id",
        "srcaddr",
        "dstaddr",
        "srcport",
        "dstport",
        "protocol",
        "packets",
        "bytes",
        "start",
        "end",
        "action",
        "log_status",
        "aws-region",
    ];
    let read = "srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
    assert_eq!(table(&columns).as_deref(), Some(read));
    let packets = table(&["pkt_srcaddr", "pkt-dstaddr", "start", "year"]);
    assert_eq!(packets.as_deref(), Some("pkt-srcaddr pkt-dstaddr start"));
    assert_eq!(table(&["srcaddr", "dstaddr", "start"]), None, "others have such names");
    assert_eq!(table(&["srcaddr", "dstaddr", "vpc_id"]), None, "no time");
    assert_eq!(table(&["src_ip", "dst_ip", "start", "vpc_id"]), None);
}

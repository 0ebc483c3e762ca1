//! Flows of Argus: real files with the totals that awk finds, and rows made by hand.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tidegauge_model::{Flow, Reason};
use tidegauge_wire::Format;

use crate::batch::Batch;

const SHARED: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/flows/argus");

/// The header of CTU-13.
const HEADER: &str = "StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,\
                      dTos,TotPkts,TotBytes,SrcBytes";

fn argus(text: &str) -> Batch {
    let batch = Batch::decode(&[text]);
    assert_eq!(batch.formats, [Some(Format::Argus)], "{text}");
    batch
}

/// A flow in words: ends and, for each way, packets and bytes.
fn told(flow: &Flow) -> String {
    let volume = |v: Option<tidegauge_model::Volume>| {
        v.map_or("?".to_owned(), |v| format!("{}/{}", v.packets, v.bytes))
    };
    format!(
        "{} {}:{} {}:{} {} {}",
        flow.protocol.0,
        flow.originator,
        flow.originator_port,
        flow.responder,
        flow.responder_port,
        volume(flow.sent),
        volume(flow.received)
    )
}

#[test]
fn real_files_have_the_totals_that_awk_finds() {
    if !Path::new(SHARED).exists() {
        println!("SKIPPED real_files_have_the_totals_that_awk_finds: no shared data");
        return;
    }
    // awk -F, 'NR>1{n++;p+=$15;b+=$14;q+=$12-$15;c+=$13-$14}END{print n,p,b,q,c}'
    let totals = [
        ("test2-malicious", [6_751, 206_003, 26_271_460, 285_153, 322_434_105]),
        ("test11-portscan", [66, 392, 44_364, 320, 137_540]),
    ];
    for (name, expected) in totals {
        let path = Path::new(SHARED).join(format!("{name}.binetflow"));
        let batch = argus(&fs::read_to_string(path).unwrap());
        assert_eq!(batch.reasons(), []);
        let (mut sent, mut received) = ((0, 0), (0, 0));
        for flow in &batch.flows {
            let (there, back) = (flow.sent.unwrap(), flow.received.unwrap());
            sent = (sent.0 + there.packets, sent.1 + there.bytes);
            received = (received.0 + back.packets, received.1 + back.bytes);
        }
        let flows = u64::try_from(batch.flows.len()).unwrap();
        assert_eq!([flows, sent.0, sent.1, received.0, received.1], expected, "{name}");
        let icmp = batch.flows.iter().filter(|flow| flow.protocol.0 == 1);
        assert!(icmp.clone().all(|f| (f.originator_port, f.responder_port) == (0, 0)));
        // awk -F, '$3=="icmp"' | wc -l
        assert_eq!(icmp.count(), if name == "test2-malicious" { 65 } else { 46 });
    }
}

#[test]
fn the_direction_says_who_opened() {
    let row = |proto: &str, ports: (u16, u16), dir: &str| {
        let (source, destination) = ports;
        format!(
            "2011/08/18 10:19:13.328741,1.002,{proto},10.0.0.1,{source},{dir},192.0.2.1,\
             {destination},S_RA,0,0,2,180,120\n"
        )
    };
    let there = "6 10.0.0.1:4000 192.0.2.1:443 1/120 1/60";
    let cases = [
        ("   ->", (4000, 443), there),
        ("  <->", (4000, 443), there),
        ("   ?>", (4000, 443), there),
        ("  -o>", (443, 4000), "6 10.0.0.1:443 192.0.2.1:4000 1/120 1/60"),
        ("   <-", (443, 4000), "6 192.0.2.1:4000 10.0.0.1:443 1/60 1/120"),
        ("  <|", (4000, 443), "6 192.0.2.1:443 10.0.0.1:4000 1/60 1/120"),
        ("  <?>", (443, 4000), "6 192.0.2.1:4000 10.0.0.1:443 1/60 1/120"),
        ("   <?", (4000, 443), there),
        ("", (443, 4000), "6 192.0.2.1:4000 10.0.0.1:443 1/60 1/120"),
    ];
    for (direction, ports, expected) in cases {
        let batch = argus(&format!("{HEADER}\n{}", row("tcp", ports, direction)));
        let flows: Vec<_> = batch.flows.iter().map(told).collect();
        assert_eq!(flows, [expected], "{direction} {:?}", batch.losses);
        assert_eq!(batch.flows[0].tcp_flags, Some(0x16));
        let flow = &batch.flows[0];
        assert_eq!(flow.start.to_string(), "2011-08-18T10:19:13.328741Z");
        assert_eq!(flow.end.0 - flow.start.0, 1_002_000);
    }
}

#[test]
fn what_is_no_flow_of_ip_is_no_loss() {
    let rows = [
        "2011/08/18 10:19:13.3,0,arp,10.0.0.1,,  who,10.0.0.2,,INT,,,1,60,60",
        "2011/08/18 10:19:13.3,0,llc,00:15:17:2c:e5:2d,0,   ->,01:80:c2:00:00:00,0,INT,0,,1,60,60",
        "2011/08/18 10:19:13.3,0,man,0,0,,0,0,STA,,,1,60,60",
        "2011/08/18 10:19:13.3,0,icmp,10.0.0.1,0x0303,   ->,10.0.0.2,0x9e52,URP,0,,1,60,60",
        "2011/08/18 10:19:13.3,0,rtp,10.0.0.1,4000,  <->,10.0.0.2,4002,CON,0,0,9,900,60",
        "2011/08/18 10:19:13.3,0,unas,fe80::1,,   ->,fe80::2,,INT,0,,1,60,60",
    ];
    let batch = argus(&format!("{HEADER}\n{}\n\n", rows.join("\n")));
    assert_eq!(batch.reasons(), []);
    let flows: Vec<_> = batch.flows.iter().map(told).collect();
    let expected = [
        "1 10.0.0.1:0 10.0.0.2:0 1/60 0/0",
        "17 10.0.0.1:4000 10.0.0.2:4002 ? ?",
        "255 fe80::1:0 fe80::2:0 1/60 0/0",
    ];
    assert_eq!(flows, expected);
}

#[test]
fn columns_are_found_by_name_in_any_order_and_delimiter() {
    let usual = "StartTime,Flgs,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,SrcPkts,DstPkts,\
                 SrcBytes,DstBytes,State,LastTime\n\
                 2011/08/18 10:19:13.5, e d,tcp,10.0.0.1,4000,   ->,192.0.2.1,443,3,2,300,\
                 200,FIN,2011/08/18 10:19:14.5\n";
    let asked = "daddr\tdport\tsaddr\tsport\tproto\tstime\tltime\tpkts\tbytes\tspkts\tsbytes\n\
                 192.0.2.1\t443\t10.0.0.1\t4000\t6\t1313662753.5\t1313662754.5\t5\t500\t3\t300\n";
    let one = argus(usual);
    assert_eq!(told(&one.flows[0]), "6 10.0.0.1:4000 192.0.2.1:443 3/300 2/200");
    assert_eq!(one.flows, argus(asked).flows);
    // One after the other in one file.
    let both = argus(&format!("{usual}{asked}"));
    assert_eq!((both.flows.len(), both.reasons()), (2, vec![]));
}

#[test]
fn each_wrong_row_is_one_loss_at_its_place() {
    let good = "2011/08/18 10:19:13.3,1.5,tcp,10.0.0.1,4000,   ->,192.0.2.1,443,CON,0,0,2,180,60\n";
    let wrong = [
        ("rubbish\n".to_owned(), Reason::ColumnCount),
        (good.replace("180,60", "180"), Reason::ColumnCount),
        (good.replace("180,60", "180,60,7"), Reason::ColumnCount),
        (good.replace("180,60", "60,180"), Reason::Value),
        (good.replace("10.0.0.1", "host"), Reason::Value),
        (good.replace("10.0.0.1", ""), Reason::Value),
        (good.replace("10.0.0.1", "224.0.0.1"), Reason::Address),
        (good.replace(",443,", ",https,"), Reason::Value),
        (good.replace("2011/08/18 ", ""), Reason::Value),
        (good.replace("2011/08/18", "2011/02/30"), Reason::Value),
        (good.replace("2011/08/18", "1970/01/01"), Reason::Time),
        (good.replace("1.5", "-1.5"), Reason::Value),
        (good.replace("tcp", ""), Reason::Value),
    ];
    for (row, reason) in wrong {
        let batch = argus(&format!("{HEADER}\n{good}{row}{good}"));
        assert_eq!(batch.reasons(), [(Some(3), reason)], "{row}");
        assert_eq!(batch.flows.len(), 2, "{row}");
    }
    let cut = argus(&format!("{HEADER}\n{good}{}", good.get(..40).unwrap()));
    assert_eq!(cut.reasons(), [(Some(3), Reason::Truncated)]);
    assert!(Batch::decode(&["StartTime,Proto,SrcAddr\n"]).formats[0].is_none());
}

proptest! {
    #[test]
    fn every_row_is_a_flow_or_a_loss(
        rows in prop::collection::vec(
            ("[0-9/ :.]{0,22}", "tcp|udp|icmp|x", "[0-9.:a-f]{0,9}", "[<>?| -]{0,4}"),
            0..20,
        ),
    ) {
        let row = |(time, proto, end, dir): &(String, String, String, String)| {
            format!("{time},1.0,{proto},{end},1,{dir},10.0.0.1,2,S_A,0,0,2,180,60")
        };
        let text: Vec<String> = rows.iter().map(row).collect();
        // Ends that look like addresses of links are no flows of IP.
        prop_assume!(!rows.iter().any(|row| row.2.split(':').count() == 6));
        let batch = argus(&format!("{HEADER}\n{}", text.join("\n")));
        prop_assert_eq!(batch.flows.len() + batch.losses.len(), rows.len());
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let text = [HEADER.as_bytes(), b"\n", &bytes].concat();
        let batch = Batch::decode(&[text]);
        prop_assert_eq!(batch.formats, [Some(Format::Argus)]);
    }
}

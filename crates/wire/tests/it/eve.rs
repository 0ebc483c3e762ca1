//! Suricata's EVE log: a real one against what jq says of it, and lines made by hand.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tidegauge_model::{Flow, NameOrigin, Reason, Volume};
use tidegauge_wire::Format;

use crate::batch::Batch;

const SHARED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/data/eve/slips-test6-malicious.eve.json"
);

/// The real log, or nothing with a loud word.
fn shared(test: &str) -> Option<String> {
    if !Path::new(SHARED).exists() {
        println!("SKIPPED {test}: shared data folder absent");
        return None;
    }
    Some(fs::read_to_string(SHARED).unwrap())
}

fn eve(text: &str) -> Batch {
    let batch = Batch::decode(&[text]);
    assert_eq!(batch.formats, [Some(Format::Eve)], "{text}");
    batch
}

fn origins(batch: &Batch, origin: NameOrigin) -> usize {
    let names = batch.flows.iter().filter_map(|flow| flow.name.as_ref());
    names.filter(|name| name.origin == origin).count()
}

/// Packets and bytes there and back.
fn totals(flows: &[Flow]) -> [u64; 4] {
    let sum = |way: fn(&Flow) -> Option<Volume>, of: fn(Volume) -> u64| {
        flows.iter().filter_map(way).map(of).sum()
    };
    [
        sum(|f| f.sent, |v| v.packets),
        sum(|f| f.received, |v| v.packets),
        sum(|f| f.sent, |v| v.bytes),
        sum(|f| f.received, |v| v.bytes),
    ]
}

#[test]
fn an_array_of_events_tells_what_its_lines_tell() {
    let Some(text) = shared("an_array_of_events_tells_what_its_lines_tell") else {
        return;
    };
    let lines: Vec<&str> = text.lines().take(1_000).collect();
    let events: Vec<serde_json::Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let whole = eve(&lines.join("\n"));
    assert!(whole.flows.len() > 100 && whole.losses.is_empty(), "{whole:?}");
    let array = serde_json::Value::from(events);
    let flat = format!("[{}]", lines.join(","));
    for text in [flat, format!("{array:#}\n"), format!("[{}]", lines.join("\n, "))] {
        assert_eq!(eve(&text).sorted(), whole.sorted());
    }
}

#[test]
fn a_real_log_has_the_totals_that_jq_finds() {
    let Some(text) = shared("a_real_log_has_the_totals_that_jq_finds") else { return };
    let batch = eve(&text);
    assert_eq!((batch.reasons(), batch.repeated), (vec![], 0));
    // jq -s '[.[]|select(.event_type=="flow").flow]|length,(map(.pkts_toserver)|add),
    //   (map(.pkts_toclient)|add),(map(.bytes_toserver)|add),(map(.bytes_toclient)|add)'
    let counted: Vec<Flow> =
        batch.flows.iter().filter(|flow| flow.sent.is_some()).cloned().collect();
    assert_eq!(counted.len(), 3_512);
    assert_eq!(totals(&counted), [30_191, 8_980, 4_381_935, 648_694]);
    // jq -s '[.[]|select(.event_type=="flow").flow_id]|unique as $f|
    //   [.[]|select(.event_type|IN("dns","http","tls")).flow_id]|unique|length,
    //   (map(select(IN($f[])))|length)': 224 flows are spoken of, 154 of them ended.
    assert_eq!(batch.flows.len(), 3_512 + 224 - 154);
    // jq -s '[.[]|select(.event_type=="http" and .http.hostname!=null)|.flow_id]|unique|length'
    // gives 41; of tls 1; of dns ('select(.event_type=="dns")|[.flow_id,.dns.rrname]') 170.
    assert_eq!(origins(&batch, NameOrigin::DnsQuestion), 170);
    assert_eq!(origins(&batch, NameOrigin::TlsSni), 1);
    assert_eq!(origins(&batch, NameOrigin::HttpHost), 41);
    // jq -s '[.[]|select(.dns.answers).dns.answers|{a:(map(select(.rrtype=="A"))|length),
    //   t:(map(.ttl)|min)}]|length,(map(.a)|add),(map(.t)|add)'
    assert_eq!(batch.answers.len(), 340);
    let addresses: usize = batch.answers.iter().map(|a| a.addresses.len()).sum();
    let seconds: u32 = batch.answers.iter().map(|a| a.ttl_seconds).sum();
    assert_eq!((addresses, seconds), (340, 44_792));
    let clients = batch.answers.iter().map(|a| a.client.to_string());
    assert!(clients.clone().all(|client| client == "192.168.1.129"));
}

#[test]
fn order_and_split_of_a_real_log_change_nothing() {
    let Some(text) = shared("order_and_split_of_a_real_log_change_nothing") else {
        return;
    };
    let lines: Vec<&str> = text.lines().collect();
    let (one, two) = lines.split_at(lines.len() / 3);
    let files =
        [two.join("\n"), one.iter().rev().copied().collect::<Vec<_>>().join("\n")];
    assert_eq!(Batch::decode(&files).sorted(), eve(&text).sorted());
    // The same log again is the same flows, and their names.
    let twice = Batch::decode(&[&text, &text]);
    assert_eq!((twice.flows.len(), twice.repeated), (3_582, 3_512));
}

#[test]
fn damage_to_a_real_log_is_lost_at_its_place() {
    let Some(text) = shared("damage_to_a_real_log_is_lost_at_its_place") else {
        return;
    };
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (mut flows, mut places) = (3_582, Vec::new());
    for (place, line) in (1..).zip(&mut lines).step_by(97) {
        // Halves of lines of every type: names too, which are read in the other pass.
        flows -= usize::from(line.contains(r#""event_type":"flow""#));
        line.truncate(line.len() / 2);
        places.push(place);
    }
    let batch = eve(&lines.join("\n"));
    let mut lost: Vec<_> = batch.reasons();
    lost.sort_unstable();
    let expected: Vec<_> =
        places.into_iter().map(|place| (Some(place), Reason::Syntax)).collect();
    assert_eq!(lost, expected);
    let counted = batch.flows.iter().filter(|flow| flow.sent.is_some()).count();
    assert!(flows >= counted && counted + 52 > 3_512, "{counted}");
}

fn event(kind: &str, id: u64, (from, to): (u16, u16), rest: &str) -> String {
    let address = |port| if port == 443 { "192.0.2.1" } else { "10.0.0.1" };
    format!(
        r#"{{"timestamp":"2019-01-01T01:00:03.250000+0100","flow_id":{id},"event_type":"{kind}","vlan":[7,8],"src_ip":"{}","src_port":{from},"dest_ip":"{}","dest_port":{to},"proto":"TCP",{rest}}}"#,
        address(from),
        address(to),
    ) + "\n"
}

const TIMES: &str =
    r#""start":"2019-01-01T01:00:00.000000+0100","end":"2019-01-01T00:00:02.500000Z""#;

fn flow_event(id: u64) -> String {
    let counts = r#""pkts_toserver":3,"pkts_toclient":2,"bytes_toserver":300,"bytes_toclient":200"#;
    let part = format!(
        r#""flow":{{{counts},{TIMES},"state":"closed"}},"tcp":{{"tcp_flags":"1b"}},"community_id":"1:x""#
    );
    event("flow", id, (4000, 443), &part)
}

fn netflow_event(id: u64, ends: (u16, u16), packets: u64) -> String {
    let bytes = packets * 100;
    let part = format!(
        r#""netflow":{{"pkts":{packets},"bytes":{bytes},{TIMES}}},"tcp":{{"tcp_flags":"1b"}}"#
    );
    event("netflow", id, ends, &part)
}

#[test]
fn both_halves_of_a_netflow_are_the_flow() {
    let sni = event(
        "tls",
        1,
        (4000, 443),
        r#""tls":{"sni":"Upd.example","version":"TLS 1.3"}"#,
    );
    let halves = netflow_event(1, (4000, 443), 3) + &netflow_event(1, (443, 4000), 2);
    let by_halves = eve(&(halves.clone() + &sni));
    let by_flow = eve(&(sni.clone() + &flow_event(1)));
    let [half, flow] =
        [&by_halves, &by_flow].map(|batch| match batch.flows.as_slice() {
            [flow] => flow.clone(),
            _ => panic!("{batch:?}"),
        });
    assert_eq!((&half, half.tcp_flags), (&flow, Some(0x1b)));
    assert_eq!(flow.name.as_ref().map(|name| &*name.host), Some("upd.example"));
    assert_eq!(totals(std::slice::from_ref(&flow)), [3, 2, 300, 200]);
    assert_eq!(flow.end.0 - flow.start.0, 2_500_000);
    // Both types at once: told once, whichever is written first.
    for text in [flow_event(1) + &halves + &sni, halves + &flow_event(1) + &sni] {
        assert_eq!(eve(&text).flows, std::slice::from_ref(&flow));
    }
}

#[test]
fn both_types_in_two_files_count_once_whichever_is_read_first() {
    let halves = netflow_event(1, (4000, 443), 3) + &netflow_event(1, (443, 4000), 2);
    let other = netflow_event(2, (4001, 443), 7);
    let (netflow, flow) = (halves.clone() + &other, flow_event(1));
    let sni = event("tls", 2, (4001, 443), r#""tls":{"sni":"upd.example"}"#);
    let one = Batch::decode(&[&netflow, &flow, &sni]);
    let two = Batch::decode(&[&sni, &flow, &netflow]);
    assert_eq!(one.sorted(), two.sorted());
    assert_eq!((one.flows.len(), one.repeated, one.losses.len()), (2, 1, 0), "{one:?}");
    assert_eq!(totals(&one.flows), [10, 2, 1_000, 200]);
    assert_eq!(one.hosts(), ["", "upd.example"]);
    // One way only, as Suricata writes it where nothing came back: the `flow` event says so.
    let half = Batch::decode(&[netflow_event(1, (4000, 443), 3), flow_event(1)]);
    assert_eq!((half.flows.len(), totals(&half.flows)), (1, [3, 2, 300, 200]));
    // Without `flow` events nothing waits.
    let alone = Batch::decode(&[&netflow, &other]);
    assert_eq!((alone.flows.len(), alone.repeated), (2, 1));
}

#[test]
fn a_line_that_was_shipped_as_a_text_is_that_line() {
    let lines = [
        flow_event(1),
        event("tls", 1, (4000, 443), r#""tls":{"sni":"upd.example"}"#),
        event("alert", 1, (4000, 443), r#""alert":{"signature":"\"x\""}"#),
    ];
    let ship = |line: &String| {
        let line = line.trim_end();
        let shipped = serde_json::json!({
            "@timestamp": "2019-01-01T00:00:03Z",
            "event": {"dataset": "suricata.eve"},
            "log": {"file": {"path": "eve.json"}, "offset": 7},
            "message": line,
        });
        shipped.to_string() + "\n"
    };
    let plain = eve(&lines.concat());
    assert_eq!((plain.flows.len(), plain.losses.len()), (1, 0));
    assert_eq!(eve(&lines.iter().map(ship).collect::<String>()), plain);
    let broken =
        format!("{}{}", ship(&lines[0]), ship(&"{\"event_type\":\"flow\"".to_owned()));
    assert_eq!(eve(&broken).losses.len(), 1);
}

#[test]
fn events_of_aws_network_firewall_are_the_events_inside() {
    let bare = netflow_event(1, (4000, 443), 3)
        + &netflow_event(1, (443, 4000), 2)
        + &event("tls", 1, (4000, 443), r#""tls":{"sni":"a.example"}"#)
        + &event("alert", 1, (4000, 443), r#""alert":{"gid":1}"#);
    let wrapped: Vec<String> = bare
        .lines()
        .map(|line| {
            format!(
                r#"{{"firewall_name":"f","availability_zone":"us-east-1b","event_timestamp":"1546300800","event":{line}}}"#
            )
        })
        .collect();
    let batch = eve(&wrapped.join("\n"));
    assert_eq!((&batch.flows, batch.reasons()), (&eve(&bare).flows, vec![]));
    assert_eq!(batch.hosts(), ["a.example"]);
}

#[test]
fn a_flow_id_used_again_is_another_flow() {
    // Suricata up to 3 wrote addresses in memory.
    let other = |line: String| line.replace("10.0.0.1", "10.0.0.2");
    let sni = event("tls", 1, (4000, 443), r#""tls":{"sni":"a.example"}"#);
    let batch = eve(&(sni + &flow_event(1) + &other(flow_event(1))));
    assert_eq!(batch.hosts(), ["", "a.example"]);
}

#[test]
fn requests_are_of_a_host_or_of_a_proxy() {
    let http = |id, rest: &str| {
        event("http", id, (4000, 443), &format!(r#""tx_id":0,"http":{{{rest}}}"#))
    };
    let batch = eve(&(http(
        1,
        r#""hostname":"a.example","http_port":8080,"url":"/x","http_method":"GET""#,
    ) + &http(
        2,
        r#""hostname":"p","url":"b.example:443","http_method":"CONNECT""#,
    ) + &http(3, r#""url":"/libhtp::request_uri_not_seen""#)));
    assert_eq!(batch.hosts(), ["", "a.example", "b.example"]);
    let told = |host: &str| {
        let names = batch.flows.iter().filter_map(|flow| flow.name.as_ref());
        let name = names.into_iter().find(|name| &*name.host == host).unwrap();
        (name.origin, name.request.as_deref())
    };
    assert_eq!(told("a.example"), (NameOrigin::HttpHost, Some("GET /x")));
    let connect = (NameOrigin::ConnectTarget, Some("CONNECT b.example:443"));
    assert_eq!(told("b.example"), connect);
}

#[test]
fn an_answer_is_the_clients_whichever_way_it_is_told() {
    let answer = r#""dns":{"version":3,"type":"response","queries":[{"rrname":"a.example","rrtype":"A"}],"answers":[{"rrname":"a.example","rrtype":"A","ttl":9,"rdata":"192.0.2.7"}]}"#;
    let there = event("dns", 1, (4000, 443), answer);
    let back = event("dns", 1, (443, 4000), answer);
    let one = eve(&there);
    assert_eq!(one.answers.len(), 1);
    assert_eq!(one.answers[0].client.to_string(), "10.0.0.1");
    assert_eq!(one.answers, eve(&back).answers);
    assert_eq!(one.flows, eve(&back).flows);
}

#[test]
fn each_wrong_line_is_one_loss_at_its_place() {
    let good = flow_event(1);
    let with = |from: &str, to: &str| flow_event(2).replace(from, to);
    let tls = event("tls", 2, (4000, 443), r#""tls":{"sni":"a.example"}"#);
    let wrong = [
        ("rubbish\n".to_owned(), Reason::Syntax),
        ("[1]\n".to_owned(), Reason::ColumnMissing),
        ("{\"event_type\":\"alert\",\n".to_owned(), Reason::Syntax),
        (
            "{\"timestamp\":\"2019-01-01T00:00:00Z\"}\n".to_owned(),
            Reason::ColumnMissing,
        ),
        (with("\"flow\":{", "\"other\":{"), Reason::ColumnMissing),
        (with("10.0.0.1", "10.0.0.256"), Reason::Value),
        (with("10.0.0.1", "224.0.0.1"), Reason::Address),
        (with(":4000", ":65536"), Reason::Value),
        (with(":300,", ":\"x\","), Reason::Value),
        (with(":300,", ":-3,"), Reason::Value),
        (with("2019-01-01T01:00:00.0", "1970-01-01T01:00:00.0"), Reason::Time),
        (with("2019-01-01T00:00:02", "2018-01-01T00:00:02"), Reason::Time),
        (tls.replace("\"sni\":\"a.example\"", "\"sni\":7"), Reason::Value),
        (tls.replace("\"tls\":", "\"ssl\":"), Reason::ColumnMissing),
        (tls.replace("2019-01-01T01", "2031-01-01T01"), Reason::Time),
        (tls.replace("}}", "}"), Reason::Syntax),
    ];
    for (line, reason) in wrong {
        let batch = eve(&(good.clone() + &line + &flow_event(3)));
        assert_eq!(batch.reasons(), [(Some(2), reason)], "{line}");
        assert_eq!((batch.flows.len(), batch.losses[0].count), (2, 1), "{line}");
    }
    let batch = eve(&(good + tls.get(..tls.len() - 9).unwrap()));
    assert_eq!(batch.reasons(), [(Some(2), Reason::Truncated)]);
}

#[test]
fn other_events_tell_of_nothing_that_is_kept() {
    let alert =
        event("alert", 1, (4000, 443), r#""alert":{"gid":1},"flow":{"start":7}"#);
    let stats = "@cee: {\"timestamp\":\"2019-01-01T00:00:00.000000+0000\",\
                 \"event_type\":\"stats\",\"stats\":{\"uptime\":8,\"flow\":{\"tcp\":1}}}\n";
    let batch = eve(&(alert + stats + "\n"));
    assert_eq!((batch.flows.len(), batch.reasons()), (0, vec![]));
}

proptest! {
    #[test]
    fn every_line_is_a_record_or_a_loss(
        lines in prop::collection::vec(
            (0u8..8, 1u64..4, "[^\n\r]{0,30}", any::<prop::sample::Index>()),
            0..12,
        ),
    ) {
        // Good events, and the same with a piece of rubbish somewhere in them.
        let mut text = flow_event(9);
        for (kind, id, rubbish, at) in &lines {
            let mut line = match kind {
                0..3 => flow_event(*id + u64::from(*kind) * 10),
                3 => netflow_event(*id, (4000, 443), 1),
                4 => event("tls", *id, (4000, 443), r#""tls":{"sni":"a.example"}"#),
                5 => event("alert", *id, (4000, 443), r#""alert":{}"#),
                6 => event("dns", *id, (4000, 443), r#""dns":{"type":"query","rrname":"b"}"#),
                _ => "\n".to_owned(),
            };
            let mut at = at.index(line.len());
            while !line.is_char_boundary(at) {
                at -= 1;
            }
            line.insert_str(at, rubbish);
            text += &line;
        }
        let batch = eve(&text);
        prop_assert!(batch.losses.len() <= lines.len());
        let mut places: Vec<_> = batch.losses.iter().map(|loss| loss.offset).collect();
        places.sort_unstable();
        prop_assert!(places.is_sorted_by(|a, b| a < b), "a line is lost once");
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let text = [flow_event(1).as_bytes(), &bytes].concat();
        let batch = Batch::decode(&[text]);
        prop_assert_eq!(batch.flows.len(), 1);
    }
}

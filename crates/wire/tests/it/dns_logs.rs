//! Query logs and passive DNS: what servers wrote, and any bytes.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tidegauge_model::vantage::Clients;
use tidegauge_model::{Flow, Instant, NameOrigin, Reason};
use tidegauge_wire::{Decoder, Format, recognise};

use crate::batch::Batch;

/// 2026-11-24T12:00:00Z: after the servers wrote.
const READ: Instant = Instant(1_795_521_600_000_000);

/// A file of `tests/data/dns`.
fn wrote(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/dns");
    fs::read(Path::new(folder).join(name)).unwrap()
}

fn decode<I: AsRef<[u8]>>(inputs: &[I]) -> Batch {
    Batch::decode_by(Decoder::new(READ), inputs)
}

fn host(flow: &Flow) -> &str {
    let name = flow.name.as_ref().unwrap();
    assert_eq!(name.origin, NameOrigin::DnsQuestion);
    &name.host
}

/// Second and host of each look-up, in the order of time.
fn look_ups(batch: &Batch) -> Vec<(i64, String)> {
    let mut flows: Vec<_> = batch.flows.iter().collect();
    flows.sort_by_key(|flow| flow.start);
    let second = |flow: &Flow| flow.start.0.div_euclid(1_000_000);
    flows.into_iter().map(|f| (second(f), host(f).to_owned())).collect()
}

/// One server told the same look-ups twice, in its log and by dnstap.
#[test]
fn a_log_tells_what_dnstap_tells() {
    for (log, tap, count) in
        [("unbound.log", "unbound.fstrm", 9), ("bind-full.log", "bind.fstrm", 6)]
    {
        let (log, tap) = (decode(&[wrote(log)]), decode(&[wrote(tap)]));
        assert_eq!(log.formats, [Some(Format::QueryLog)]);
        assert_eq!(tap.formats, [Some(Format::Dnstap)]);
        assert_eq!(log.losses, []);
        assert_eq!(tap.losses, []);
        assert_eq!(look_ups(&log), look_ups(&tap));
        assert_eq!(log.flows.len(), count, "as many as were asked for hosts");
    }
}

#[test]
fn bind_writes_times_in_many_ways() {
    let full = decode(&[wrote("bind-full.log")]);
    for name in ["bind-iso.log", "bind-isoutc.log"] {
        let other = decode(&[wrote(name)]);
        assert_eq!((&other.flows, &other.losses), (&full.flows, &full.losses));
    }
    let ends: Vec<_> = full.flows.iter().map(|f| f.responder.to_string()).collect();
    assert_eq!(ends, ["127.0.0.1"; 6]);
    let ports: Vec<_> = full.flows.iter().map(|f| f.originator_port).collect();
    assert_eq!(ports, [59877, 43785, 45347, 38835, 50013, 55938]);
    // Without a time no query can be used, and each says so.
    let untimed = decode(&[wrote("bind-notime.log")]);
    assert_eq!(untimed.formats, [Some(Format::QueryLog)]);
    let lines: Vec<_> = (1..=7).map(|line| (Some(line), Reason::Time)).collect();
    assert_eq!((untimed.flows.len(), untimed.reasons()), (0, lines));
}

#[test]
fn behind_resolvers_only_networks_are_told() {
    let decoder = Decoder::new(READ).asked_by(Clients::Resolvers);
    let batch = Batch::decode_by(decoder, &[wrote("bind-full.log")]);
    assert!(batch.flows.is_empty() && batch.losses.is_empty());
    let network = |r: &tidegauge_model::Resolution| r.client.map(|p| p.to_string());
    let networks: Vec<_> = batch.resolutions.iter().map(network).collect();
    let (v4, v6) = ("198.51.100.0/24".to_owned(), "2001:db8::/56".to_owned());
    assert_eq!(networks, [None, None, None, Some(v4.clone()), Some(v6), Some(v4)]);
    // The resolver itself told the same by dnstap, and asked the root on its own.
    let decoder = Decoder::new(READ).asked_by(Clients::Resolvers);
    let tap = Batch::decode_by(decoder, &[wrote("bind.fstrm")]);
    let told: Vec<_> = tap.resolutions.iter().filter_map(network).collect();
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn unbound_and_dnsmasq_are_read_whatever_they_are_told_to_write() {
    let unbound = decode(&[wrote("unbound-tag.log")]);
    let dnsmasq = decode(&[wrote("dnsmasq.log")]);
    let extra = decode(&[wrote("dnsmasq-extra.log")]);
    let questions = ["example.com", "example.com", "example.net", "example.net"];
    for (batch, count) in [(&unbound, 8), (&dnsmasq, 8), (&extra, 8)] {
        assert_eq!(batch.losses, []);
        let hosts: Vec<_> = batch.flows.iter().map(host).collect();
        assert_eq!(hosts.len(), count, "{hosts:?}");
        for (host, zone) in hosts.iter().zip(questions) {
            assert!(host.ends_with(zone), "{hosts:?}");
        }
        let days = batch.flows.iter().map(|f| f.start.day().to_string());
        assert!(days.clone().all(|day| day == "2026-11-24"), "no year is written");
    }
    let ports: Vec<_> = extra.flows.iter().map(|f| f.originator_port).collect();
    assert_eq!(ports[..3], [41011, 54335, 48687]);
    // Read a year later, the same lines are of that year.
    let later = Decoder::new(READ.plus_seconds(365 * 86_400));
    let later = Batch::decode_by(later, &[wrote("dnsmasq.log")]);
    assert!(later.flows.iter().all(|f| f.start.day().to_string() == "2027-11-24"));
}

#[test]
fn the_logs_of_a_syslog_are_read_together() {
    let text = "\
        Nov 24 07:00:00 gw kernel: eth0: link up\n\
        Nov 24 07:00:01 gw dnsmasq[7]: query[A] dnl-14.geo.kaspersky.com from 10.0.10.128\n\
        Nov 24 07:00:02 gw unbound: [8:0] info: 10.0.10.129 upd.example.com. A IN\n\
        Nov 24 07:00:03 gw unbound[8]: [8:0] info: 10.0.10.129 upd.example.com. A IN \
            NOERROR 0.1 0 45 on udp 10.0.10.1 53\n\
        <30>Nov 24 07:00:04 gw named[9]: client @0x7f 10.0.10.130#5 (a.example): query: \
            a.example IN A + (10.0.10.1)\n\
        Nov 24 07:00:05 gw dnsmasq[7]: query[A] cut.example fro";
    let batch = decode(&[text]);
    let told: Vec<_> =
        batch.flows.iter().map(|f| format!("{} {}", f.originator, host(f))).collect();
    assert_eq!(
        told,
        [
            "10.0.10.128 dnl-14.geo.kaspersky.com",
            "10.0.10.129 upd.example.com",
            "10.0.10.130 a.example"
        ]
    );
    assert_eq!(batch.reasons(), [(Some(6), Reason::Truncated)]);
}

/// Seven records of CIRCL's documentation of its passive DNS.
#[test]
fn passive_dns_has_no_client() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/pdns/circl-qof-sample.jsonl"
    );
    let Ok(bytes) = fs::read(path) else {
        println!("SKIPPED passive_dns_has_no_client: shared data folder absent");
        return;
    };
    let batch = decode(&[bytes]);
    assert_eq!(batch.formats, [Some(Format::PassiveDns)]);
    assert!(batch.flows.is_empty() && batch.losses.is_empty());
    assert!(batch.resolutions.iter().all(|r| r.client.is_none()));
    // Counted with `grep -o` and a calculator.
    let total: u64 = batch.resolutions.iter().map(|r| r.count).sum();
    assert_eq!((batch.resolutions.len(), total), (7, 221_230));
    let microsoft = &batch.resolutions[0];
    assert_eq!(&*microsoft.host, "www.microsoft.com");
    assert!(microsoft.addresses.is_empty(), "a CNAME");
    let span = [microsoft.first, microsoft.last].map(|at| at.day().to_string());
    assert_eq!(span, ["2011-02-22", "2013-12-25"]);
    assert_eq!(batch.resolutions[1].addresses, ["80.169.63.162".parse().unwrap()]);
}

#[test]
fn passive_dns_is_written_in_many_ways() {
    let good = [
        r#"{"rrname":"Upd.Example.com.","rrtype":"A","rdata":["192.0.2.1","192.0.2.2"],"time_first":1700000000,"time_last":1700000001,"count":3,"sensor_id":"x"}"#,
        r#"{"rrname":"upd.example.com","rrtype":28,"rdata":"2001:db8::1","time_first_ms":1700000000000,"time_last_ms":1700000001000}"#,
        r#"{"rrname":"upd.example.com","rrtype":"CNAME","rdata":"a\"b","time_first":"2023-11-14T22:13:20Z","time_last":1700000001.5,"count":"2"}"#,
    ];
    let quiet = [
        r#"{"rrname":"example.com","rrtype":"NS","rdata":["ns.example.com."],"time_first":1700000000,"time_last":1700000001,"count":3}"#,
        r#"{"rrname":"upd.example.com","rrtype":"A","rdata":"192.0.2.1","zone_time_first":1700000000,"zone_time_last":1700000001}"#,
        r#"{"rrname":"*.example.com","rrtype":"A","rdata":"192.0.2.1","time_first":1700000000,"time_last":1700000001}"#,
        "",
    ];
    let bad = [
        (r#"{"rrname":"a.example","rrtype":"A","rdata":"192.0.2.1"}"#, Reason::Time),
        (
            r#"{"rrname":"a.example","rrtype":"A","rdata":"1","time_first":1}"#,
            Reason::Time,
        ),
        (
            r#"{"rrname":"a.example","rrtype":"A","rdata":"1","time_first":1,"time_last":1}"#,
            Reason::Time,
        ),
        (
            r#"{"rrname":"a.example","rrtype":"A","rdata":"1","time_first":1700000002,"time_last":1700000001}"#,
            Reason::Value,
        ),
        (
            r#"{"rrname":"a.example","rrtype":"A","rdata":"1","time_first":1700000000,"time_last":1700000001,"count":0}"#,
            Reason::Value,
        ),
        (
            r#"{"rrname":"a.example","rrtype":"A","rdata":7,"time_first":1700000000,"time_last":1700000001}"#,
            Reason::Value,
        ),
        (r#"{"rrtype":"A","rdata":"1"}"#, Reason::Value),
        (r#"{"rrname":"a.example", rr"#, Reason::Syntax),
    ];
    let lines: Vec<_> =
        good.into_iter().chain(quiet).chain(bad.iter().map(|b| b.0)).collect();
    let batch = decode(&[lines.join("\n") + "\n"]);
    let told: Vec<_> = batch
        .resolutions
        .iter()
        .map(|r| (&*r.host, r.addresses.len(), r.count, r.last.0 - r.first.0))
        .collect();
    let host = "upd.example.com";
    assert_eq!(
        told,
        [(host, 2, 3, 1_000_000), (host, 1, 1, 1_000_000), (host, 0, 2, 1_500_000)]
    );
    let expected: Vec<_> =
        bad.iter().zip(8..).map(|(bad, line)| (Some(line), bad.1)).collect();
    assert_eq!(batch.reasons(), expected);
}

#[test]
fn other_logs_are_not_taken_for_these() {
    for text in [
        "Nov 24 07:00:00 gw kernel: eth0: link up\n",
        "2026-11-24T07:00:00Z INFO starting\n",
        r#"{"rrname":"a","rrtype":"A"}"#,
        "name,query,reply\n",
    ] {
        assert_eq!(recognise(text.as_bytes()), None, "{text}");
    }
    let quiet = "[1795505114] unbound[23038:0] info: start of service.\n";
    assert_eq!(recognise(quiet.as_bytes()), Some(Format::QueryLog), "a quiet day");
}

/// Reads `lines` as `format` whatever they are.
fn read_as(format: Format, text: &[u8]) -> Batch {
    let mut batch = Batch::default();
    let mut decoder = Decoder::new(READ);
    decoder.names(format, &mut &*text, &mut batch).unwrap();
    decoder.flows(format, &mut &*text, &mut batch).unwrap();
    decoder.finish(&mut batch);
    batch
}

fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "Nov",
        "24",
        "07:25:14",
        "[1795505114]",
        "2026-11-24T07:26:09.906",
        "client",
        "@0x7f",
        "192.0.2.1#53",
        "(a.example):",
        "query:",
        "a.example",
        "a.example.",
        "IN",
        "A",
        "+E(0)K",
        "(192.0.2.53)",
        "[ECS",
        "198.51.100.0/24/0]",
        "unbound[1:0]",
        "info:",
        "192.0.2.1",
        "NOERROR",
        "0.1",
        "0",
        "45",
        "dnsmasq[1]:",
        "query[A]",
        "from",
        "[INFO]",
        "192.0.2.1:53",
        "-",
        "\"A",
        "udp",
        "\n",
        "é",
        "<30>",
    ]);
    proptest::collection::vec(word, 0..60).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn any_words_close_their_books(text in words()) {
        let batch = read_as(Format::QueryLog, text.as_bytes());
        let told = batch.flows.len() + batch.losses.len();
        prop_assert!(told <= text.lines().filter(|l| !l.trim().is_empty()).count());
    }

    #[test]
    fn any_bytes_close_their_books(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        cof: bool,
    ) {
        let format = if cof { Format::PassiveDns } else { Format::QueryLog };
        let batch = read_as(format, &bytes);
        let told = batch.flows.len() + batch.resolutions.len() + batch.losses.len();
        prop_assert!(told <= bytes.split(|b| *b == b'\n').count());
    }

    #[test]
    fn a_damaged_log_closes_its_books(at: prop::sample::Index, value: u8, file in 0..3_usize) {
        let mut bytes = wrote(["bind-full.log", "unbound.log", "dnsmasq-extra.log"][file]);
        let whole = read_as(Format::QueryLog, &bytes);
        let at = at.index(bytes.len());
        bytes[at] = value;
        let batch = read_as(Format::QueryLog, &bytes);
        // One byte touches one line, or makes two of one, or one of two; and a question
        // and its answer may part.
        prop_assert!(batch.flows.len().abs_diff(whole.flows.len()) <= 2);
        prop_assert!(batch.losses.len() <= 2);
    }
}

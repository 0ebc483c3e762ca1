//! How many names and flows a second: `cargo bench -p tidegauge-enrich`.
//!
//! **Invariant:** the input is made here, the same every run; figures are printed with what
//! was found, so that a wrong answer cannot look like a fast one.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Instant;

use tidegauge_enrich::catalog::{Catalog, Probe};
use tidegauge_enrich::contact::{Observer, Settings};
use tidegauge_model::endpoint::Port;
use tidegauge_model::{Address, Day, Flow, NameOrigin, Protocol, ServerName, Vantage};

/// Rounds over the input; the fastest is printed.
const ROUNDS: usize = 5;
/// Flows, and names, of one round.
const FLOWS: u32 = 1_000_000;

fn main() {
    let catalog = Catalog::built_in();
    let hosts: Vec<String> = (0..FLOWS).map(host).collect();
    measure("names", || {
        let found = |host: &String| catalog.find(&probe(Some(host))).is_some();
        hosts.iter().filter(|host| black_box(found(host))).count()
    });
    measure("addresses", || {
        let found = |n: &u32| {
            let probe = Probe { address: Some(address(*n)), ..probe(None) };
            catalog.find(&probe).is_some()
        };
        (0..FLOWS).filter(|n| black_box(found(n))).count()
    });
    let vantage = Vantage::undescribed("bench".into());
    let named: Vec<Flow> = (0..FLOWS).map(|n| flow(n, true)).collect();
    let unnamed: Vec<Flow> = (0..FLOWS).map(|n| flow(n, false)).collect();
    let matching: Vec<Flow> = (0..FLOWS).map(matching).collect();
    for (what, flows) in [
        ("flows with names", &named),
        ("flows without", &unnamed),
        ("flows that match", &matching),
    ] {
        measure(what, || {
            let mut observer = Observer::new(&vantage, &catalog, Settings::default());
            for flow in flows {
                observer.flow(flow);
            }
            observer.finish().sightings.len()
        });
    }
}

/// A flow to port 443 of which nothing else is known but its name.
fn probe(host: Option<&str>) -> Probe<'_> {
    let port = Some(Port { number: 443, protocol: Protocol::TCP });
    Probe { host, request: None, address: None, port, day: Day(19_823) }
}

/// Prints millions a second of the fastest round, and what was found.
fn measure(what: &str, mut round: impl FnMut() -> usize) {
    let mut best = f64::MAX;
    let mut found = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        found = round();
        best = best.min(start.elapsed().as_secs_f64());
    }
    let rate = f64::from(FLOWS) / best / 1e6;
    println!("{what}: {rate:.2} M/s ({found} found)");
}

/// One name in a hundred is in the catalog; the rest look like what networks ask for.
fn host(n: u32) -> String {
    match n % 100 {
        0 => format!("s{:02}.upd.kaspersky.com", n / 100 % 20),
        1..=40 => format!("host-{n}.cdn.example{}.com", n % 1_000),
        41..=70 => format!("www.shop{n}.co.uk"),
        _ => format!("r{}---sn-{n}.googlevideo.com", n % 10),
    }
}

fn address(n: u32) -> Address {
    // Knuth's multiplicative hash: spread over the address space, the same every run.
    std::net::Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_769)).into()
}

/// A flow of one of many clients to one of the product's servers.
fn matching(n: u32) -> Flow {
    let host = format!("s{:02}.upd.kaspersky.com", n % 20);
    let originator = address(n % 300_000);
    let name = ServerName::new(&host, NameOrigin::TlsSni);
    Flow { originator, name, ..flow(n, false) }
}

fn flow(n: u32, named: bool) -> Flow {
    let start = Day(19_823).start().plus_seconds(i64::from(n % 86_400));
    let name = named.then(|| ServerName::new(&host(n), NameOrigin::TlsSni)).flatten();
    Flow {
        originator: std::net::Ipv4Addr::from_bits(0x0a00_0000 | (n % 65_536)).into(),
        responder: address(n),
        originator_port: 50_000,
        responder_port: 443,
        protocol: Protocol::TCP,
        start,
        end: start,
        sent: None,
        received: None,
        tcp_flags: None,
        sampling: NonZeroU32::MIN,
        name,
        exporter: None,
    }
}

//! Records made for tests.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use tempfile::TempDir;
use tidegauge_model::endpoint::Port;
use tidegauge_model::observation::Field;
use tidegauge_model::{
    Asn, Client, Confidence, Coverage, Day, DayRange, Endpoint, Footprint, Grade,
    Instant, Observation, Pattern, Protocol, Reason, ResolvedDay, Role, Sighting,
    Signal, Weight,
};
use tidegauge_store::{Batch, Fingerprint, Lake, RunRecord, Table};

pub(crate) fn day(text: &str) -> Day {
    text.parse().unwrap()
}

pub(crate) fn days(first: &str, last: &str) -> DayRange {
    DayRange::new(day(first), day(last)).unwrap()
}

pub(crate) fn year() -> DayRange {
    days("2024-01-01", "2024-12-31")
}

pub(crate) fn sighting(address: &str, endpoint: &str, on: &str) -> Sighting {
    let start = day(on).start();
    Sighting {
        vantage: "probe".into(),
        client: Client { address: address.parse().unwrap(), site: None },
        endpoint: endpoint.into(),
        grade: Grade::Name,
        signal: Signal::Served,
        day: day(on),
        contacts: 3,
        bytes_sent: Some(1_000),
        packets_sent: Some(10),
        bytes_received: None,
        packets_received: None,
        tcp_flags: 0x1b,
        sampling: 1,
        first: start,
        last: start.plus_seconds(7_200),
        hours: 0b111,
    }
}

pub(crate) fn coverage(on: &str, originators: &[&str]) -> Coverage {
    let mut footprint = Footprint::default();
    for address in originators {
        footprint.insert(address.parse().unwrap());
    }
    Coverage {
        flows: 100,
        contacts: 6,
        losses: BTreeMap::from([(Reason::Truncated, 2)]),
        sampling_min: 1,
        hours: 1,
        footprint,
        ..Coverage::empty("probe".into(), day(on))
    }
}

pub(crate) fn resolved(client: Option<&str>, on: &str) -> ResolvedDay {
    let first = day(on).start();
    ResolvedDay {
        vantage: "probe".into(),
        endpoint: "kaspersky/update".into(),
        client: client.map(|prefix| prefix.parse().unwrap()),
        day: day(on),
        count: 7,
        first,
        last: first.plus_seconds(60),
    }
}

pub(crate) fn run(id: &str) -> RunRecord {
    RunRecord {
        id: id.to_owned(),
        started: Instant(1),
        finished: Instant(2),
        verb: "ingest".to_owned(),
        arguments: serde_json::json!(["capture.pcap"]),
        versions: serde_json::json!({ "tidegauge": "0.1.0" }),
        inputs: serde_json::json!(["capture.pcap"]),
        outcome: "done".to_owned(),
    }
}

pub(crate) fn observation() -> Observation {
    Observation {
        source: "table".into(),
        snapshot: day("2024-04-01"),
        range: Some(("192.0.2.0".parse().unwrap(), "192.0.2.255".parse().unwrap())),
        asn: Some(Asn(64_496)),
        field: Field::Holder,
        value: "org:example".to_owned(),
        detail: BTreeMap::from([("name".to_owned(), "Größe \"x\"".to_owned())]),
    }
}

pub(crate) fn endpoint() -> Endpoint {
    Endpoint {
        id: "kaspersky/update".into(),
        product: "kaspersky".into(),
        role: Role::Update,
        pattern: Pattern::Suffix("upd.kaspersky.com".to_owned()),
        ports: vec![Port { number: 443, protocol: Protocol::TCP }],
        valid: year(),
        exclusive: false,
        weight: Weight::Strong,
        source: "a page".to_owned(),
        confidence: Confidence::High,
        note: String::new(),
    }
}

/// A batch over two months, made from the inputs of these contents.
pub(crate) fn batch(inputs: &[&str]) -> Batch {
    Batch {
        vantage: "probe".into(),
        inputs: inputs.iter().map(|text| Fingerprint::of(text.as_bytes())).collect(),
        sightings: vec![
            sighting("192.0.2.7", "kaspersky/update", "2024-04-30"),
            sighting("2001:db8::7", "kaspersky/update", "2024-05-01"),
            sighting("192.0.2.1", "kaspersky/update", "2024-04-30"),
            sighting("192.0.2.1", "control/update", "2024-04-29"),
        ],
        coverage: vec![
            coverage("2024-04-30", &["192.0.2.7", "198.51.100.1"]),
            coverage("2024-05-01", &["2001:db8::7"]),
        ],
        resolutions: vec![
            resolved(Some("198.51.100.0/24"), "2024-05-01"),
            resolved(None, "2024-04-30"),
            resolved(Some("2001:db8::/56"), "2024-04-30"),
        ],
        run: run(inputs.first().unwrap_or(&"none")),
    }
}

/// A lake in a folder that goes away with the second value.
pub(crate) async fn lake() -> (Lake, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (open(&folder).await, folder)
}

/// A lake that knows nothing of what others did in the same process.
pub(crate) async fn open(folder: &TempDir) -> Lake {
    Lake::open(folder.path().to_str().unwrap()).await.unwrap()
}

/// Every sighting, sorted so that files do not matter.
pub(crate) async fn sightings(lake: &Lake) -> Vec<Sighting> {
    let stream = lake.sightings(year()).await.unwrap();
    let mut all: Vec<_> = stream.try_collect().await.unwrap();
    all.sort_by_key(|s: &Sighting| {
        (s.day, s.endpoint.clone(), s.client.clone(), s.vantage.clone(), s.contacts)
    });
    all
}

pub(crate) async fn version(lake: &Lake, table: Table) -> i64 {
    lake.snapshot(table).await.unwrap().version
}

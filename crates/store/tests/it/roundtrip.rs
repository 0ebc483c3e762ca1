//! What is read is what was written.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use proptest::prelude::*;
use tidegauge_model::count::{
    Cell, Census, Concentration, Counts, Disclosure, Query, Release,
};
use tidegauge_model::endpoint::Port;
use tidegauge_model::finding::{Finding, FindingState};
use tidegauge_model::observation::Field;
use tidegauge_model::{
    Address, Asn, Client, Coverage, Day, DayRange, Endpoint, Exported, Footprint,
    Grade, Instant, Observation, Pattern, Protocol, Reason, Sighting, Signal, SiteId,
    SourceId, Vantage,
};
use tidegauge_store::{Appended, Fingerprint, Published, Table};

use crate::made;

/// Days of years 1 to 9999, the range of calendar months.
const DAYS: std::ops::Range<i32> = -719_162..2_932_896;

fn any_address() -> impl Strategy<Value = Address> {
    prop_oneof![
        any::<u128>().prop_map(Address::from_bits),
        any::<u32>().prop_map(|v4| Address::from(std::net::Ipv4Addr::from_bits(v4))),
        Just(Address::from_bits(u128::MAX)),
        Just(Address::from_bits(1 << 127)),
        Just(Address::from_bits(1 << 63)),
        Just(Address::from_bits(0)),
    ]
}

/// Counts up to the greatest that the format holds.
fn any_count() -> impl Strategy<Value = u64> {
    prop_oneof![0..=u64::try_from(i64::MAX).unwrap(), Just(0), Just(i64::MAX as u64)]
}

prop_compose! {
    fn any_sighting()(
        address in any_address(),
        site in proptest::option::of("[a-z]{1,8}"),
        endpoint in "[a-z]{1,6}/[a-z]{1,6}",
        grade in proptest::sample::select(Grade::ALL),
        signal in proptest::sample::select(Signal::ALL),
        day in DAYS,
        contacts in any_count(),
        volumes in [(); 4].map(|()| proptest::option::of(any_count())),
        tcp_flags: u8,
        sampling: u32,
        times: (i64, i64),
        hours: u32,
    ) -> Sighting {
        let [bytes_sent, packets_sent, bytes_received, packets_received] = volumes;
        Sighting {
            vantage: "probe".into(),
            client: Client { address, site: site.map(SiteId::new) },
            endpoint: endpoint.as_str().into(),
            grade, signal,
            day: Day(day),
            contacts, bytes_sent, packets_sent, bytes_received, packets_received,
            tcp_flags, sampling,
            first: Instant(times.0), last: Instant(times.1),
            hours,
        }
    }
}

prop_compose! {
    fn any_exported()(
        flows: u64,
        losses in proptest::collection::btree_map(
            proptest::sample::select(vec!["gap".to_owned(), "template".to_owned()]),
            any::<u64>(), 0..2),
        announced: Option<(u32, u32)>,
        applied: Option<(u32, u32)>,
    ) -> Exported {
        Exported { flows, losses, announced, applied }
    }
}

prop_compose! {
    fn any_coverage()(
        counts in (any_count(), any_count()),
        losses in proptest::collection::btree_map(
            proptest::sample::select(Reason::ALL.to_vec()), any::<u64>(), 0..4),
        sampling: (u32, u32, u32),
        hours: u32,
        v4 in proptest::collection::vec(0u32..1 << 24, 0..20),
        v6 in proptest::collection::vec(0u64..1 << 48, 0..20),
        exporters in proptest::collection::btree_map(
            any::<u128>().prop_map(Address::from_bits), any_exported(), 0..4),
    ) -> Coverage {
        Coverage {
            vantage: "probe".into(), day: made::day("2024-04-01"),
            flows: counts.0, contacts: counts.1, losses,
            sampling_min: sampling.0, sampling_max: sampling.1, control_sampling: sampling.2,
            hours,
            footprint: Footprint { v4: v4.into_iter().collect(), v6: v6.into_iter().collect() },
            exporters,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn sightings_and_coverage(
        rows in proptest::collection::vec(any_sighting(), 0..8),
        coverage in any_coverage(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let (lake, _folder) = made::lake().await;
            let mut batch = made::batch(&["a"]);
            batch.sightings.clone_from(&rows);
            batch.coverage = vec![coverage.clone()];
            lake.append(batch).await.unwrap();
            let always = DayRange::new(Day(DAYS.start), Day(DAYS.end)).unwrap();
            let stream = lake.sightings(always).await.unwrap();
            let mut read: Vec<Sighting> = stream.try_collect().await.unwrap();
            let mut rows = rows;
            let text = |s: &Sighting| format!("{s:?}");
            read.sort_by_cached_key(text);
            rows.sort_by_cached_key(text);
            assert_eq!(read, rows);
            let read = lake.coverage(made::year()).await.unwrap();
            assert_eq!(read, [coverage]);
        });
    }
}

#[tokio::test]
async fn counts_over_the_format_s_limit_are_the_limit() {
    let (lake, _folder) = made::lake().await;
    let mut batch = made::batch(&["a"]);
    batch.sightings.truncate(1);
    batch.sightings[0].bytes_sent = Some(u64::MAX);
    lake.append(batch).await.unwrap();
    let read = made::sightings(&lake).await;
    assert_eq!(read[0].bytes_sent, Some(i64::MAX.unsigned_abs()));
}

#[tokio::test]
async fn observations() {
    let (lake, _folder) = made::lake().await;
    let source = SourceId::new("table");
    let snapshot = made::day("2024-04-01");
    let observation =
        |range: Option<(&str, &str)>, asn, field, value: &str| Observation {
            source: source.clone(),
            snapshot,
            range: range.map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap())),
            asn,
            field,
            value: value.to_owned(),
            detail: BTreeMap::from([("name".to_owned(), "Größe \"x\"".to_owned())]),
        };
    let made = vec![
        observation(
            Some(("0.0.0.0", "255.255.255.255")),
            None,
            Field::AddressCountry,
            "DE",
        ),
        observation(Some(("fc00::", "fdff::")), Some(Asn(u32::MAX)), Field::Origin, ""),
        observation(None, Some(Asn(64_496)), Field::AsName, "Example"),
    ];
    let input = Fingerprint::of(b"table");
    let append = || lake.append_observations(&source, snapshot, &input, made.clone());
    assert_eq!(append().await.unwrap(), Appended::Stored { version: 1, rows: 3 });
    assert_eq!(append().await.unwrap(), Appended::AlreadyThere);
    let stream = lake.observations().await.unwrap();
    let mut read: Vec<Observation> = stream.try_collect().await.unwrap();
    read.sort();
    let mut made = made.clone();
    made.sort();
    assert_eq!(read, made);
}

fn endpoint(id: &str, pattern: Pattern) -> Endpoint {
    let dns = Port { number: 53, protocol: Protocol::UDP };
    let mut endpoint = Endpoint { id: id.into(), pattern, ..made::endpoint() };
    endpoint.ports.push(dns);
    endpoint
}

#[tokio::test]
async fn the_catalog_is_replaced_as_a_whole() {
    let (lake, _folder) = made::lake().await;
    let first = vec![
        endpoint("k/exact", Pattern::Exact("a.example".to_owned())),
        endpoint("k/prefix", Pattern::Prefix("2001:db8::/32".parse().unwrap())),
        endpoint("k/regex", Pattern::Regex("^a.*$".to_owned())),
        endpoint("k/suffix", Pattern::Suffix("b.example".to_owned())),
        endpoint("k/url", Pattern::Url("^GET /u".to_owned())),
    ];
    let stored = lake.write_catalog(&first, "1").await.unwrap();
    assert_eq!(stored, Appended::Stored { version: 1, rows: 5 });
    assert_eq!(lake.write_catalog(&first, "1").await.unwrap(), Appended::AlreadyThere);
    assert_eq!(lake.endpoints().await.unwrap(), first);
    let second = vec![first[1].clone()];
    lake.write_catalog(&second, "2").await.unwrap();
    assert_eq!(lake.endpoints().await.unwrap(), second);
    lake.write_catalog(&first, "1").await.unwrap();
    assert_eq!(lake.endpoints().await.unwrap(), first, "one can go back");
}

#[tokio::test]
async fn vantages() {
    let (lake, _folder) = made::lake().await;
    let text = r#"
        site = "berlin"
        private = ["198.51.100.0/24"]
        position = "outside"
        time_zone = "Europe/Berlin"
        sampling = 100
        exporters = [{ address = "192.0.2.1", name = "edge", sampling = 512 }]
        [holder]
        name = "Example AG"
        country = "DE"
        sector = "manufacturing"
    "#;
    let described = Vantage::read("b".into(), text).unwrap();
    let plain = Vantage::undescribed("a".into());
    lake.write_vantage(&Vantage::undescribed("b".into())).await.unwrap();
    lake.write_vantage(&plain).await.unwrap();
    lake.write_vantage(&described).await.unwrap();
    assert_eq!(lake.write_vantage(&described).await.unwrap(), Appended::AlreadyThere);
    assert_eq!(lake.vantages().await.unwrap(), [plain, described]);
}

struct All;

impl Disclosure for All {
    fn statement(&self) -> String {
        "everything".to_owned()
    }

    fn permits(&self, census: &Census) -> Vec<bool> {
        vec![true; census.cells.len()]
    }
}

#[tokio::test]
async fn releases_and_findings_are_kept_once() {
    let (lake, _folder) = made::lake().await;
    let census = Census {
        query: Query::new(made::year()),
        cells: vec![Cell {
            key: vec![None],
            counts: Counts::default(),
            concentration: Concentration::default(),
        }],
        unattributed_share: 0.5,
        standings: BTreeMap::new(),
    };
    let release = Release::by(&All, census);
    let record = || lake.record_release("r1", Instant(5), &release);
    assert!(matches!(record().await.unwrap(), Appended::Stored { rows: 1, .. }));
    assert_eq!(record().await.unwrap(), Appended::AlreadyThere);
    let kept = Published { id: "r1".to_owned(), made: Instant(5), release };
    assert_eq!(lake.releases().await.unwrap(), [kept]);
    let finding = Finding {
        id: "f".to_owned(),
        subject: "Example AG".to_owned(),
        product: "kaspersky".into(),
        state: FindingState::Open,
        first_seen: Some(made::day("2024-04-01")),
        last_seen: None,
        days: 3,
        addresses: 2,
        evidence: vec!["served".to_owned()],
        confidence: 0.5,
    };
    let findings = [finding];
    let append = |at| lake.append_findings("run", Instant(at), &findings);
    assert!(matches!(append(1).await.unwrap(), Appended::Stored { rows: 1, .. }));
    assert_eq!(append(1).await.unwrap(), Appended::AlreadyThere);
    append(2).await.unwrap();
    let snapshot = lake.snapshot(Table::Findings).await.unwrap();
    assert_eq!(snapshot.rows(), 2, "history is kept");
}

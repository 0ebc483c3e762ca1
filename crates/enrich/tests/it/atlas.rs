//! The atlas against a naive scan, against tables written here, and against real ones.

#![cfg(test)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidegauge_enrich::atlas::{Atlas, Rules, SourceKind, load};
use tidegauge_model::observation::Field;
use tidegauge_model::{
    Address, Asn, Attribution, Client, Day, DayRange, Gap, Holders, NetworkKind,
    Observation, OrgId, Shared, Standing, Vantage,
};

pub(crate) fn day(text: &str) -> Day {
    text.parse().unwrap()
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn client(text: &str) -> Client {
    Client { address: address(text), site: None }
}

/// What a table says, none of it lost.
pub(crate) fn table(
    kind: &str,
    source: &str,
    on: &str,
    text: &str,
) -> Vec<Observation> {
    let kind: SourceKind = kind.parse().unwrap();
    let mut observations = Vec::new();
    let loaded = load(
        &kind,
        &source.into(),
        day(on),
        text.as_bytes(),
        |o| observations.push(o),
        |l| panic!("{l:?}"),
    );
    assert_eq!(
        usize::try_from(loaded.unwrap().observations).unwrap(),
        observations.len()
    );
    observations
}

fn rules(gap: Gap) -> Rules {
    Rules { gap, ..Rules::built_in() }
}

fn build(tables: impl IntoIterator<Item = Vec<Observation>>, gap: Gap) -> Atlas {
    Atlas::build(tables.into_iter().flatten(), &rules(gap))
}

fn org(attribution: &Attribution) -> Option<&str> {
    attribution.organisation.as_ref().map(OrgId::as_str)
}

/// Two snapshots that differ in one range of two.
fn two_snapshots() -> [Vec<Observation>; 2] {
    [
        table(
            "ip2asn",
            "bgp",
            "2025-01-01",
            "192.0.2.0,192.0.2.255,64496,One\n198.51.100.0,198.51.100.255,64497,Two",
        ),
        table(
            "ip2asn",
            "bgp",
            "2026-01-01",
            "192.0.2.0,192.0.2.255,64498,Three\n198.51.100.0,198.51.100.255,64497,Deux",
        ),
    ]
}

#[test]
fn the_shipped_rules_can_be_read() {
    let rules = Rules::built_in();
    assert_eq!(rules.sectors.iter().count(), 19);
    assert!(rules.tags.sectors().count() > 4);
}

#[test]
fn a_snapshot_holds_until_the_next_and_the_first_is_carried_back() {
    let atlas = build(two_snapshots(), Gap::Carry);
    let on = |text| {
        let explained = atlas.lookup(address("192.0.2.7"), day(text));
        (explained.attribution.asn.unwrap().0, explained.standing)
    };
    assert_eq!(on("2024-06-01"), (64496, Standing::BeforeFirst));
    assert_eq!(on("2025-01-01"), (64496, Standing::Snapshot));
    assert_eq!(on("2025-12-31"), (64496, Standing::Disputed));
    assert_eq!(on("2026-01-01"), (64498, Standing::Snapshot));
    assert_eq!(on("2027-01-01"), (64498, Standing::AfterLast));
    let agreed = atlas.lookup(address("198.51.100.7"), day("2025-06-01"));
    assert_eq!(agreed.standing, Standing::Agreed, "a new name is no disagreement");
    let nobody = atlas.lookup(address("203.0.113.1"), day("2025-06-01"));
    assert_eq!(nobody.standing, Standing::Nobody);
    assert_eq!(nobody.attribution, Attribution::UNATTRIBUTED);
}

#[test]
fn tenures_cover_the_days_and_follow_the_gap_rule() {
    let days = DayRange::new(day("2024-01-01"), day("2026-12-31")).unwrap();
    let of = |gap| {
        let atlas = build(two_snapshots(), gap);
        let tenures = atlas.map().tenures(&client("192.0.2.7"), days);
        assert_eq!(tenures.first().unwrap().days.first(), days.first());
        assert_eq!(tenures.last().unwrap().days.last(), days.last());
        for pair in tenures.windows(2) {
            assert_eq!(pair[0].days.last().plus(1), pair[1].days.first());
            assert_ne!(pair[0].attribution, pair[1].attribution);
        }
        tenures
            .iter()
            .map(|t| {
                let asn = t.attribution.asn.map_or(0, |a| a.0);
                format!("{} {asn} {:.3}", t.days.first(), t.attribution.confidence)
            })
            .collect::<Vec<_>>()
    };
    // The further from the snapshots, the less sure; between them as the rule says.
    let before =
        ["2024-01-01 64496 0.460", "2024-07-02 64496 0.485", "2024-12-01 64496 0.500"];
    let after =
        ["2026-01-01 64498 0.500", "2026-02-02 64498 0.485", "2026-07-04 64498 0.460"];
    let with = |between: &[&'static str]| [&before[..], between, &after[..]].concat();
    assert_eq!(of(Gap::Carry), with(&[]));
    assert_eq!(of(Gap::Disputed), with(&["2025-01-02 64496 0.250"]));
    assert_eq!(of(Gap::Unattributed), with(&["2025-01-02 0 0.000"]));
}

#[test]
fn what_was_learnt_later_can_be_forgotten() {
    let rules = Rules { known: Some(day("2025-06-01")), ..rules(Gap::Carry) };
    let atlas = Atlas::build(two_snapshots().into_iter().flatten(), &rules);
    let asn = atlas.lookup(address("192.0.2.7"), day("2026-03-01")).attribution.asn;
    assert_eq!((asn, atlas.notes().forgotten), (Some(Asn(64496)), 2));
}

#[test]
fn a_family_without_a_table_in_a_snapshot_is_not_a_disappearance() {
    let v6 = table(
        "ip2asn",
        "bgp",
        "2025-01-01",
        "2001:db8::,2001:db8:ffff:ffff:ffff:ffff:ffff:ffff,64500,Six",
    );
    let [a, b] = two_snapshots();
    let atlas = build([a, b, v6], Gap::Unattributed);
    let later = atlas.lookup(address("2001:db8::1"), day("2026-06-01"));
    assert_eq!(org(&later.attribution), Some("as:64500"));
    assert_eq!(later.standing, Standing::AfterLast);
}

#[test]
fn a_holder_row_wins_over_the_routing_table_and_tells_the_organisation() {
    let holders = table(
        "holders",
        "mine",
        "2024-01-01",
        "range,organisation,name,country,parent,sector,kind,shared,confidence\n\
         192.0.2.0/25,acme,Acme Ltd,GB,acme-group,manufacturing;technology,own,no,0.9\n\
         192.0.2.128/25,acme-wifi,,,acme,no-such-sector,,proxy,\n",
    );
    let countries =
        table("ip2country", "geo", "2025-01-01", "192.0.2.0,192.0.2.255,IE");
    let [bgp, _] = two_snapshots();
    let atlas = build([holders, countries, bgp], Gap::Carry);
    let acme = atlas.lookup(address("192.0.2.7"), day("2025-01-01"));
    assert_eq!(
        acme.attribution,
        Attribution {
            organisation: Some("acme".into()),
            asn: Some(Asn(64496)),
            kind: NetworkKind::Own,
            shared: Shared::No,
            org_country: "GB".parse().ok(),
            addr_country: "IE".parse().ok(),
            confidence: 0.9,
        }
    );
    let organisation = acme.organisation.unwrap();
    assert_eq!(organisation.name, "Acme Ltd");
    assert_eq!(organisation.sector, Some("manufacturing".into()));
    assert_eq!(organisation.other_sectors, ["technology".into()]);
    assert_eq!(organisation.parent, Some("acme-group".into()));
    let fields: Vec<_> = acme.observations.iter().map(|o| o.field).collect();
    assert_eq!(fields, [Field::Holder, Field::Origin, Field::AddressCountry]);

    let wifi = atlas.lookup(address("192.0.2.200"), day("2025-01-01"));
    assert_eq!(wifi.attribution.shared, Shared::Proxy);
    assert_eq!(wifi.organisation.unwrap().sector, None);
    assert_eq!(atlas.notes().unreadable, BTreeMap::from([("sector of the list", 1)]));
}

#[test]
fn a_table_with_dates_is_a_history_and_its_newest_edition_corrects_the_older() {
    let header = "prefix,organisation,from,to\n";
    let old = format!("{header}192.0.2.0/24,a,2024-01-01,\n");
    let new = format!(
        "{header}192.0.2.0/24,a,2024-01-01,2024-06-30\n192.0.2.0/24,b,2024-07-01,\n\
         192.0.2.64/26,c,2024-03-01,2024-03-31\n"
    );
    let tables = || {
        [
            table("holders", "mine", "2024-12-01", &old),
            table("holders", "mine", "2025-12-01", &new),
        ]
    };
    let tenures = |known: Option<Day>| {
        let rules = Rules { known, ..rules(Gap::Unattributed) };
        let atlas = Atlas::build(tables().into_iter().flatten(), &rules);
        let days = DayRange::new(day("2023-12-01"), day("2026-12-31")).unwrap();
        atlas
            .map()
            .tenures(&client("192.0.2.70"), days)
            .iter()
            .map(|t| {
                let organisation = org(&t.attribution).unwrap_or("-").to_owned();
                format!("{} {organisation}", t.days.first())
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        tenures(None),
        [
            "2023-12-01 -",
            "2024-01-01 a",
            "2024-03-01 c",
            "2024-04-01 a",
            "2024-07-01 b"
        ]
    );
    assert_eq!(tenures(Some(day("2025-01-01"))), ["2023-12-01 -", "2024-01-01 a"]);
    let atlas = build(tables(), Gap::Carry);
    assert_eq!(
        atlas.map().standing(&client("192.0.2.1"), day("2024-02-01")),
        Standing::Dated
    );
}

#[test]
fn where_holder_tables_disagree_over_a_gap_the_routing_table_is_not_asked() {
    let row = |who: &str| format!("prefix,organisation\n192.0.2.0/24,{who}\n");
    let tables = || {
        [
            table("holders", "mine", "2025-01-01", &row("a")),
            table("holders", "mine", "2026-01-01", &row("b")),
            two_snapshots()[0].clone(),
        ]
    };
    let on = |gap| build(tables(), gap).lookup(address("192.0.2.1"), day("2025-06-01"));
    assert_eq!(org(&on(Gap::Carry).attribution), Some("a"));
    let disputed = on(Gap::Disputed);
    assert_eq!(org(&disputed.attribution), Some("a"));
    assert!((disputed.attribution.confidence - 0.5).abs() < 1e-6);
    let withheld = on(Gap::Unattributed);
    assert_eq!(org(&withheld.attribution), None);
    assert_eq!(withheld.standing, Standing::Disputed);
}

#[test]
fn a_holder_that_appears_in_the_later_snapshot_leaves_the_routing_table_before_it() {
    let tables = [
        table("holders", "mine", "2025-01-01", "prefix,organisation\n10.9.0.0/16,x\n"),
        table("holders", "mine", "2026-01-01", "prefix,organisation\n192.0.2.0/24,b\n"),
        two_snapshots()[0].clone(),
    ];
    let atlas = build(tables, Gap::Carry);
    let before = atlas.lookup(address("192.0.2.1"), day("2025-06-01"));
    assert_eq!(org(&before.attribution), Some("as:64496"));
    assert_eq!(before.standing, Standing::Disputed);
}

#[test]
fn tags_class_and_names_make_the_network_and_a_list_is_closed() {
    let names = "asn,name,class,cc\nAS64496,Uni One,Eyeball,DE\nAS64497,Two,Unknown,\n";
    let other = "\"asn\",\"name\",\"source\"\n64497,\"Deux\",\"DB-IP\"\n";
    let [bgp, _] = two_snapshots();
    let tables = || {
        [
            bgp.clone(),
            table("as-names", "b-names", "2025-01-01", names),
            table("as-names", "a-names", "2025-01-01", other),
            table("as-tag:uni", "tags", "2025-01-01", "AS64496,Uni\n"),
            table("as-tag:vpn", "tags", "2025-01-01", "AS64496,Uni\n"),
            table("as-tag:uni", "tags", "2025-07-01", "AS1,Else\n"),
        ]
    };
    let atlas = build(tables(), Gap::Carry);
    let tagged = atlas.lookup(address("192.0.2.1"), day("2025-02-01"));
    assert_eq!(tagged.attribution.kind, NetworkKind::Own);
    assert_eq!(tagged.attribution.shared, Shared::No);
    assert_eq!(tagged.attribution.org_country, "DE".parse().ok());
    assert_eq!(tagged.observations.len(), 4, "origin, name, two tags");
    let days = DayRange::new(day("2025-01-01"), day("2025-12-31")).unwrap();
    let tenures = atlas.map().tenures(&client("192.0.2.1"), days);
    let later = tenures.iter().find(|t| t.days.contains(day("2025-07-01"))).unwrap();
    assert_eq!(later.days.first(), day("2025-07-01"));
    assert_eq!(later.attribution.kind, NetworkKind::Hosting, "only vpn is left");

    let unknown = atlas.lookup(address("198.51.100.1"), day("2025-02-01"));
    assert_eq!(unknown.attribution.kind, NetworkKind::Unknown);
    assert_eq!(unknown.organisation.unwrap().name, "Deux", "the first source by name");
}

#[test]
fn the_order_of_observations_changes_nothing() {
    let header = "range,organisation,name,country,sector\n";
    let old = format!("{header}192.0.2.0/24,acme,Old name,GB,finance\n");
    let new = format!(
        "{header}192.0.2.0/25,acme,Second,,\n192.0.2.0/26,acme,First,,retail\n\
         192.0.2.0/25,zeta,Same range,FR,\n"
    );
    let names = "asn,name\n64496,B\n64496,A\n";
    let mut observations: Vec<_> = [
        table("holders", "mine", "2024-01-01", &old),
        table("holders", "mine", "2025-01-01", &new),
        table("as-names", "names", "2025-01-01", names),
    ]
    .into_iter()
    .chain(two_snapshots())
    .flatten()
    .collect();
    let answers = |observations: Vec<Observation>| {
        let atlas = Atlas::build(observations, &rules(Gap::Carry));
        let of = |a: &str| atlas.lookup(address(a), day("2025-02-01"));
        let organisations = ["acme", "zeta", "as:64496"]
            .map(|id| atlas.organisation(&id.into()).expect("told by a table"));
        (of("192.0.2.1"), of("192.0.2.100"), of("198.51.100.1"), organisations)
    };
    let forward = answers(observations.clone());
    observations.reverse();
    assert_eq!(answers(observations), forward);
    let (.., [acme, _, named]) = forward;
    assert_eq!((acme.name.as_str(), named.name.as_str()), ("First", "A"));
    assert_eq!(acme.sector, Some("retail".into()));
    assert_eq!(acme.country, "GB".parse().ok(), "told by the older snapshot only");
}

#[test]
fn a_private_client_belongs_to_the_holder_of_its_vantage() {
    let text = "site = \"berlin\"\n[holder]\nname = \"Example AG\"\ncountry = \"DE\"";
    let vantage = Vantage::read("probe".into(), text).unwrap();
    let inside = vantage.client(address("192.168.1.5"));
    let elsewhere = Client { site: Some("paris".into()), ..inside.clone() };
    let [bgp, _] = two_snapshots();
    let atlas = build([bgp], Gap::Carry).with_vantages(&[vantage]);
    let days = DayRange::new(day("2024-01-01"), day("2024-12-31")).unwrap();
    let tenures = atlas.map().tenures(&inside, days);
    let [tenure] = tenures.as_slice() else { panic!("{tenures:?}") };
    assert_eq!(tenure.attribution.kind, NetworkKind::Own);
    let holder = tenure.attribution.organisation.clone().unwrap();
    assert_eq!(atlas.organisation(&holder).unwrap().name, "Example AG");
    assert_eq!(
        atlas.map().attribute(&elsewhere, day("2024-01-01")),
        Attribution::UNATTRIBUTED
    );
}

#[test]
fn a_diff_names_who_lost_and_who_won_addresses() {
    let atlas = build(two_snapshots(), Gap::Carry);
    let clients = ["192.0.2.1", "192.0.2.2", "198.51.100.1"].map(client);
    let diff = atlas.map().diff(day("2025-01-01"), day("2026-01-01"), clients);
    assert_eq!((diff.clients, diff.asn, diff.organisation), (3, 2, 2));
    let moved = (Some("as:64496".into()), Some("as:64498".into()));
    assert_eq!(diff.moves, BTreeMap::from([(moved, 2)]));
}

/// A table as a person would read it: the narrowest row of the newest snapshot on or
/// before the day, or of the first.
fn scan(rows: &[(Day, u8, u8, u32)], last_octet: u8, on: Day) -> Option<u32> {
    let snapshots = || rows.iter().map(|(snapshot, ..)| *snapshot);
    let holds = snapshots().filter(|s| *s <= on).max().or(snapshots().min())?;
    rows.iter()
        .filter(|(snapshot, first, last, _)| {
            *snapshot == holds && *first <= last_octet && last_octet <= *last
        })
        .min_by_key(|(_, first, last, asn)| (last - first, *first, *asn))
        .map(|(.., asn)| *asn)
}

proptest! {
    #[test]
    fn the_atlas_answers_as_a_scan_in_any_order(
        rows in prop::collection::vec((0i32..4, 0u8..60, 0u8..20, 1u32..9), 1..30)
            .prop_map(|rows| rows.into_iter()
                .map(|(snapshot, first, more, asn)| {
                    (Day(20_000 + 100 * snapshot), first, first + more, asn)
                })
                .collect::<Vec<_>>())
            .prop_shuffle(),
        v6: bool,
        on in 19_900i32..20_400,
    ) {
        let base: Address =
            if v6 { address("2001:db8::7fff:ffff:ffff:ff00") } else { address("192.0.2.0") };
        let at = |octet: u8| Address::from_bits(base.bits() + u128::from(octet));
        let observations = rows.iter().map(|&(snapshot, first, last, asn)| Observation {
            source: "bgp".into(),
            snapshot,
            range: Some((at(first), at(last))),
            asn: Some(Asn(asn)),
            field: Field::Origin,
            value: String::new(),
            detail: BTreeMap::new(),
        });
        let atlas = Atlas::build(observations, &rules(Gap::Carry));
        let days = DayRange::new(Day(19_900), Day(20_500)).unwrap();
        for octet in 0..90 {
            let client = Client { address: at(octet), site: None };
            let expected = scan(&rows, octet, Day(on)).map(Asn);
            prop_assert_eq!(atlas.map().attribute(&client, Day(on)).asn, expected);
            let tenures = atlas.map().tenures(&client, days);
            let tenure = tenures.iter().find(|t| t.days.contains(Day(on))).unwrap();
            prop_assert_eq!(tenure.attribution.asn, expected);
        }
    }
}

#[test]
fn as_of_one_handle_are_one_organisation_with_its_name() {
    let bgp = table(
        "pfx2as",
        "bgp",
        "2025-01-01",
        "192.0.2.0\t24\t64496\n198.51.100.0\t24\t64497\n203.0.113.0\t24\t64498_64499\n\
         203.0.114.0\t24\t64497_64496\n",
    );
    let registered = table(
        "as2org",
        "as2org",
        "2025-01-01",
        "# format:aut|changed|aut_name|org_id|opaque_id|source\n64496||A|EX-1||ARIN\n\
         64497||B|EX-1||ARIN\n# format:org_id|changed|org_name|country|source\n\
         EX-1||Example, Inc.|US|ARIN\n",
    );
    let atlas = build([bgp, registered], Gap::Carry);
    let on = day("2025-01-01");
    let of = |a: &str| atlas.map().attribute(&client(a), on);
    let (a, b) = (of("192.0.2.1"), of("198.51.100.1"));
    assert_eq!((org(&a), org(&b)), (Some("org:EX-1"), Some("org:EX-1")));
    let organisation = atlas.organisation(&"org:EX-1".into()).unwrap();
    assert_eq!(organisation.name, "Example, Inc.");
    assert_eq!(organisation.country, "US".parse().ok());
    // Two AS announce it: with half the confidence, unless both are of one organisation.
    let several = of("203.0.113.1");
    assert_eq!(org(&several), Some("as:64498"));
    assert!((several.confidence - b.confidence / 2.0).abs() < 1e-6);
    assert!((of("203.0.114.1").confidence - b.confidence).abs() < 1e-6);
}

#[test]
fn a_holder_row_wins_over_a_provider_and_that_over_the_routing_table() {
    let on = "2025-01-01";
    let bgp = table("ip2asn", "a", on, "192.0.2.0,192.0.2.255,64496,Cloud AS\n");
    let cloud = table("provider:ocean", "b", on, "192.0.2.0/25,NL\n");
    let own = table(
        "holders",
        "z",
        on,
        "organisation,prefix,from,until\nacme,192.0.2.0/26,2025-02-01,2025-03-01\n",
    );
    let tags = table("range-tag:vpn", "vpn", on, "192.0.2.0/24\n");
    let atlas = build([bgp, cloud, own, tags], Gap::Carry);
    let on_day = |a: &str, on: &str| atlas.map().attribute(&client(a), day(on));
    let of = |a: &str, on: &str| org(&on_day(a, on)).map(str::to_owned);
    let provider = Some("provider:ocean".to_owned());
    assert_eq!(of("192.0.2.1", "2025-01-31"), provider);
    assert_eq!(of("192.0.2.1", "2025-02-01").as_deref(), Some("acme"));
    assert_eq!(of("192.0.2.1", "2025-02-28").as_deref(), Some("acme"));
    assert_eq!(of("192.0.2.1", "2025-03-01"), provider);
    assert_eq!(of("192.0.2.127", "2025-02-01"), provider);
    assert_eq!(of("192.0.2.128", "2025-02-01").as_deref(), Some("as:64496"));
    // A tag of the range stands over provider and AS, not over the user's own row.
    let rented = on_day("192.0.2.127", "2025-02-01");
    assert_eq!((rented.kind, rented.shared), (NetworkKind::Hosting, Shared::Proxy));
    assert_eq!(on_day("192.0.2.1", "2025-02-01").shared, Shared::No);
    let explained = atlas.lookup(address("192.0.2.127"), day("2025-02-01"));
    let sources: Vec<_> =
        explained.observations.iter().map(|o| o.source.to_string()).collect();
    assert_eq!(sources, ["b", "vpn", "a"]);
}

proptest! {
    #[test]
    fn no_bytes_panic_in_any_loader_and_the_books_close(
        kind in prop::sample::select(
            SourceKind::WORDS.replace(" (such as as-tag:gov)", "")
                .split(", ").map(str::to_owned).collect::<Vec<_>>()
        ),
        pieces in prop::collection::vec(prop_oneof![
            prop::sample::select(vec![
                "192.0.2.0", "/24", "2001:db8::", "255.255.255.255", ",", "\t", "|", "\n",
                "-", "_", "AS64496", "64496", "4294967295", "0", "ripencc|", "ipv4|", "ipv6|",
                "asn|", "summary", "allocated", "available", "# format:aut|org_id", "{", "}",
                "[", "]", ":", "\"prefixes\"", "\"ip_prefix\"", "\"values\"", "\"addresses\"",
                "\"192.0.2.0/24\"", "{\"prefixes\":[", "{\"addresses\":[", "range,", "asn,name",
                "organisation", "2024-01-01", "DE", "\"",
            ]).prop_map(|text| text.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..4),
        ], 0..40),
    ) {
        let bytes = pieces.concat();
        let (mut said, mut lost) = (0, 0);
        let loaded = load(
            &kind.parse().unwrap(),
            &"any".into(),
            day("2025-01-01"),
            bytes.as_slice(),
            |o| {
                said += 1;
                assert!(o.range.is_none_or(|(first, last)| first <= last));
            },
            |l| lost += l.count,
        );
        if let Ok(loaded) = loaded {
            prop_assert_eq!((loaded.observations, loaded.lost), (said, lost));
        }
    }
}

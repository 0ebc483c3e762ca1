//! How sure an attribution is, why it was chosen, what a draw makes of it, and what
//! changes from one map to another.

#![cfg(test)]

use std::sync::Arc;

use tidegauge_enrich::atlas::{
    Atlas, Cause, Draws, HolderMap, Place, Relation, Rules, Why,
};
use tidegauge_model::{
    Client, Day, DayRange, Gap, Holders, NetworkKind, Observation, Standing,
};

use crate::atlas::{address, day, table};

fn client(text: &str) -> Client {
    Client { address: address(text), site: None }
}

fn build(tables: impl IntoIterator<Item = Vec<Observation>>, gap: Gap) -> Atlas {
    let rules = Rules { gap, ..Rules::built_in() };
    Atlas::build(tables.into_iter().flatten(), &rules)
}

fn bgp(source: &str, on: &str, asn: u32) -> Vec<Observation> {
    table("ip2asn", source, on, &format!("192.0.2.0,192.0.2.255,{asn},Name"))
}

fn confidence(atlas: &Atlas, on: &str) -> f32 {
    atlas.map().attribute(&client("192.0.2.1"), day(on)).confidence
}

#[track_caller]
fn close(a: f32, b: f32) {
    assert!((a - b).abs() < 1e-5, "{a} is not {b}");
}

#[test]
fn sources_that_agree_raise_the_confidence_and_others_lower_it() {
    let on = "2025-01-01";
    let alone = build([bgp("a", on, 64496)], Gap::Carry);
    close(confidence(&alone, on), 0.5);
    let two = build([bgp("a", on, 64496), bgp("b", on, 64496)], Gap::Carry);
    close(confidence(&two, on), 0.625);
    let apart = build([bgp("a", on, 64496), bgp("b", on, 64497)], Gap::Carry);
    close(confidence(&apart, on), 0.25);
    let three = [bgp("a", on, 64496), bgp("b", on, 64497), bgp("c", on, 64496)];
    close(confidence(&build(three, Gap::Carry), on), 0.625 / 2.0);
    // A source that leaves the address out has no say.
    let silent = table("ip2asn", "b", on, "198.51.100.0,198.51.100.255,64497,Else");
    let heard = build([bgp("a", on, 64496), silent], Gap::Carry);
    close(confidence(&heard, on), 0.5);
}

#[test]
fn a_routing_table_ages_and_a_holder_row_does_not() {
    let atlas = build([bgp("a", "2025-01-01", 64496)], Gap::Carry);
    close(confidence(&atlas, "2025-02-01"), 0.5);
    close(confidence(&atlas, "2025-02-02"), 0.5 * 0.97);
    close(confidence(&atlas, "2024-11-30"), 0.5 * 0.97);
    close(confidence(&atlas, "2026-01-02"), 0.5 * 0.92);
    close(confidence(&atlas, "2030-01-01"), 0.5 * 0.72);
    let row = "prefix,organisation\n192.0.2.0/24,mine\n";
    let held = table("holders", "mine", "2025-01-01", row);
    let atlas = build([bgp("a", "2025-01-01", 64496), held], Gap::Carry);
    close(confidence(&atlas, "2030-01-01"), 1.0);
}

#[test]
fn the_days_before_the_first_snapshot_follow_their_own_rule() {
    let with = |before_first| {
        let rules = Rules { before_first, ..Rules::built_in() };
        Atlas::build(bgp("a", "2025-01-01", 64496), &rules)
    };
    let on = |atlas: &Atlas| {
        let client = client("192.0.2.1");
        let before = day("2024-12-20");
        let attribution = atlas.map().attribute(&client, before);
        (attribution.asn.map(|a| a.0), atlas.map().standing(&client, before))
    };
    let carried = with(Gap::Carry);
    assert_eq!(on(&carried), (Some(64496), Standing::BeforeFirst));
    let disputed = with(Gap::Disputed);
    assert_eq!(on(&disputed), (Some(64496), Standing::BeforeFirst));
    close(confidence(&disputed, "2024-12-20"), 0.25);
    let nobody = with(Gap::Unattributed);
    assert_eq!(on(&nobody), (None, Standing::BeforeFirst));
    assert_eq!(confidence(&nobody, "2025-01-01").to_bits(), 0.5f32.to_bits());
}

#[test]
fn an_explanation_has_every_opinion_the_rule_and_who_came_before_and_after() {
    let on = "2025-06-01";
    let cloud = table("provider:ocean", "cloud", "2025-05-01", "192.0.2.0/25,NL\n");
    let tables = [
        bgp("a", "2025-01-01", 64496),
        bgp("a", "2026-01-01", 64497),
        bgp("b", "2025-01-01", 64499),
        cloud,
        table("range-tag:vpn", "vpn", "2025-01-01", "198.51.100.0/24\n"),
    ];
    let atlas = build(tables, Gap::Carry);
    let explained = atlas.lookup(address("192.0.2.200"), day(on));
    assert_eq!(explained.why, Why::Origin);
    let opinions: Vec<_> = explained
        .opinions
        .iter()
        .map(|o| {
            let said = o.said.as_ref().map_or(0, |said| said.asn.map_or(0, |a| a.0));
            (o.source.as_str(), o.relation, said, o.decides)
        })
        .collect();
    assert_eq!(
        opinions,
        [
            ("a", Relation::Holds, 64496, true),
            ("a", Relation::After, 64497, false),
            ("b", Relation::Holds, 64499, false),
        ],
        "tables that leave the address out have no opinion"
    );
    assert_eq!(
        (explained.confidence.agreeing, explained.confidence.disagreeing),
        (0, 1)
    );
    close(explained.confidence.value(), explained.attribution.confidence);
    assert_eq!(explained.before, None);
    let after = explained.after.unwrap();
    assert_eq!(after.days.first(), day("2026-01-01"));
    assert_eq!(after.attribution.organisation, Some("as:64497".into()));
    let later = atlas.lookup(address("192.0.2.200"), day("2026-02-01"));
    assert_eq!(later.before.unwrap().attribution.organisation, Some("as:64496".into()));
    let rented = atlas.lookup(address("192.0.2.1"), day(on));
    assert_eq!(rented.why, Why::Provider);
    assert_eq!(atlas.lookup(address("203.0.113.1"), day(on)).why, Why::Nobody);
}

/// Tables of 256 ranges, each of one AS of its own.
fn many(on: &str, shift: u32) -> Vec<Observation> {
    let rows: Vec<_> = (0..256u32)
        .map(|n| format!("198.18.{n}.0,198.18.{n}.255,{},N", 64_512 + n + shift))
        .collect();
    table("ip2asn", "a", on, &rows.join("\n"))
}

fn drawn(map: &Arc<HolderMap>, seed: u64, number: u32) -> impl Holders + use<> {
    Draws { seed, sure: 1.0 }.draw(Arc::clone(map), number)
}

#[test]
fn draws_keep_an_organisation_as_often_as_its_confidence_says() {
    let map = Arc::new(build([many("2025-01-01", 0)], Gap::Carry).into_map());
    let on = DayRange::new(day("2025-01-01"), day("2025-01-01")).unwrap();
    let mut kept = 0u32;
    for number in 0..20 {
        let draw = drawn(&map, 1, number);
        for n in 0..256 {
            let client = client(&format!("198.18.{n}.7"));
            let tenures = draw.tenures(&client, on);
            let [tenure] = tenures.as_slice() else { panic!("{tenures:?}") };
            kept += u32::from(tenure.attribution.organisation.is_some());
            assert_eq!(tenures, drawn(&map, 1, number).tenures(&client, on));
        }
    }
    // 5,120 draws with confidence 0.5: four standard errors are 0.028.
    let share = f64::from(kept) / 5_120.0;
    assert!((share - 0.5).abs() < 0.028, "{share}");
    let certain = Draws { seed: 1, sure: 0.5 }.draw(Arc::clone(&map), 0);
    let tenures = certain.tenures(&client("198.18.3.7"), on);
    assert!(tenures[0].attribution.organisation.is_some(), "sure enough to be kept");
}

#[test]
fn a_draw_changes_hands_once_and_on_any_day_of_the_gap() {
    let tables = [many("2025-01-01", 0), many("2025-12-31", 1_000)];
    let map = Arc::new(build(tables, Gap::Unattributed).into_map());
    let undoubted = Draws { seed: 5, sure: 0.0 };
    let days = DayRange::new(day("2024-12-01"), day("2026-01-31")).unwrap();
    // With the rule `unattributed` nobody is named in the gap; a draw names neither.
    let nobody =
        undoubted.draw(Arc::clone(&map), 0).tenures(&client("198.18.9.9"), days);
    assert!(nobody.iter().any(|t| t.attribution.organisation.is_none()));

    let carried = [many("2025-01-01", 0), many("2025-12-31", 1_000)];
    let map = Arc::new(build(carried, Gap::Carry).into_map());
    let draw = undoubted.draw(Arc::clone(&map), 0);
    let mut changes = Vec::new();
    for n in 0..256 {
        let tenures = draw.tenures(&client(&format!("198.18.{n}.9")), days);
        assert_eq!(tenures.first().unwrap().days.first(), days.first());
        assert_eq!(tenures.last().unwrap().days.last(), days.last());
        let organisations: Vec<_> =
            tenures.iter().map(|t| t.attribution.organisation.clone()).collect();
        let later = tenures
            .iter()
            .find(|t| t.attribution.organisation == *organisations.last().unwrap());
        changes.push(later.unwrap().days.first());
        let mut once = organisations.clone();
        once.dedup();
        assert_eq!(once.len(), 2, "{tenures:?}");
    }
    changes.sort_unstable();
    let [first, last] = [changes[0], changes[255]];
    assert!(day("2025-01-02") <= first && last <= day("2025-12-31"), "{first} {last}");
    // Evenly: the median of 256 lies within two months of the middle.
    let middle = changes[128].0 - day("2025-07-02").0;
    assert!(middle.abs() < 60, "{middle}");
}

#[test]
fn an_organisation_that_a_draw_drops_with_age_does_not_return() {
    let map = Arc::new(build([many("2025-01-01", 0)], Gap::Carry).into_map());
    let days =
        DayRange::new(day("2025-01-01"), Day(day("2025-01-01").0 + 2_000)).unwrap();
    let mut dropped = 0;
    for n in 0..256 {
        let draw = drawn(&map, 3, 0);
        let named: Vec<_> = draw
            .tenures(&client(&format!("198.18.{n}.9")), days)
            .iter()
            .map(|t| t.attribution.organisation.is_some())
            .collect();
        assert!(named.is_sorted_by(|a, b| a >= b), "{named:?}");
        dropped += u32::from(named.first() != named.last());
    }
    assert!(dropped > 5, "some are dropped on the way: {dropped}");
}

#[test]
fn the_turnover_counts_the_whole_space_and_names_who_moved() {
    let old = "192.0.2.0,192.0.2.255,64496,A\n2001:db8::,2001:db8:0:3:ffff:ffff:ffff:ffff,64496,A";
    let new = "192.0.2.0,192.0.2.127,64496,A\n192.0.2.128,192.0.2.255,64497,B\n\
               203.0.113.0,203.0.113.15,64498,C\n\
               2001:db8::,2001:db8:0:0:ffff:ffff:ffff:ffff,64497,B\n\
               2001:db8:0:1::,2001:db8:0:3:ffff:ffff:ffff:ffff,64496,A";
    let atlas = build(
        [
            table("ip2asn", "a", "2025-01-01", old),
            table("ip2asn", "a", "2026-01-01", new),
        ],
        Gap::Carry,
    );
    let turnover = atlas.map().turnover(day("2025-01-01"), day("2026-01-01"));
    assert_eq!((turnover.v4.held, turnover.v4.moved), (272, 144));
    assert_eq!((turnover.v6.held, turnover.v6.moved), (4, 1));
    let id = |asn: u32| Some(format!("as:{asn}").as_str().into());
    assert_eq!(turnover.moves[&(id(64496), id(64497))], (128, 1));
    assert_eq!(turnover.moves[&(None, id(64498))], (16, 0));
    assert_eq!(turnover.moves.len(), 2);
}

/// Holders on two dates, among whom each kind of change occurs.
fn holders_of_two_dates() -> Atlas {
    let row = |prefix: &str, who: &str, country: &str, sector: &str, kind: &str| {
        format!("{prefix},{who},{country},{sector},{kind}\n")
    };
    let header = "prefix,organisation,country,sector,kind\n";
    let old = [
        row("192.0.2.0/26", "a", "DE", "finance", "own"),
        row("192.0.2.64/26", "b", "FR", "health", "own"),
        row("192.0.2.128/26", "c", "US", "retail", "own"),
    ];
    let new = [
        row("192.0.2.0/26", "b", "FR", "health", "own"),
        row("192.0.2.64/26", "b", "FR", "health", "hosting"),
        row("198.51.100.0/26", "d", "GB", "retail", "own"),
        row("203.0.113.0/26", "a", "DE", "finance", "own"),
    ];
    build(
        [
            table("holders", "m", "2025-01-01", &format!("{header}{}", old.concat())),
            table("holders", "m", "2026-01-01", &format!("{header}{}", new.concat())),
        ],
        Gap::Carry,
    )
}

#[test]
fn a_change_of_maps_is_explained_cell_by_cell_and_the_books_close() {
    let atlas = holders_of_two_dates();
    let clients = [
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.70",
        "192.0.2.130",
        "198.51.100.1",
        "100.0.0.1",
    ];
    let (a, b) = (day("2025-01-01"), day("2026-01-01"));
    let told = atlas.map().reattribution(a, b, clients.map(client));
    let causes: Vec<_> = told
        .changes
        .iter()
        .map(|((from, to, cause), change)| {
            let country =
                |p: &Place| p.country.map_or_else(|| "-".to_owned(), |c| c.to_string());
            (country(from), country(to), *cause, change.clients)
        })
        .collect();
    let row =
        |from: &str, to: &str, cause, n| (from.to_owned(), to.to_owned(), cause, n);
    let mut expected = vec![
        row("DE", "FR", Cause::Moved, 2),
        row("FR", "FR", Cause::Kind, 1),
        row("US", "-", Cause::Unattributed, 1),
        row("-", "GB", Cause::Attributed, 1),
    ];
    expected.sort();
    let mut causes = causes;
    causes.sort();
    assert_eq!(causes, expected);
    assert_eq!((told.clients, told.unchanged()), (6, 1));
    let totals = told.cells.values().fold((0, 0), |(a, b), (x, y)| (a + x, b + y));
    assert_eq!(totals, (6, 6), "every client stands in one cell of each map");
    // What a cell gained and lost is what the changes into and out of it say.
    for (place, (before, after)) in &told.cells {
        let sum = |side: &dyn Fn(&(Place, Place, Cause)) -> bool| -> u64 {
            let of = told.changes.iter().filter(|(key, _)| side(key));
            of.map(|(_, change)| change.clients).sum()
        };
        let lost = sum(&|(from, to, _)| from == place && to != place);
        let gained = sum(&|(from, to, _)| to == place && from != place);
        assert_eq!(before - lost + gained, *after, "{place:?}");
    }
    let kinds: Vec<_> = told.cells.keys().map(|p| p.kind).collect();
    assert!(kinds.contains(&NetworkKind::Hosting));
}

//! What kind of network an address is in, whose it is, and why: rules against tables
//! written here, and explanations against the answers over real ones.

#![cfg(test)]

use tidegauge_enrich::atlas::{Atlas, Ground, Identity, Rules, grounds};
use tidegauge_model::{NetworkKind, Observation, OrgId, Shared};

use crate::atlas::{address, day, table};

const ON: &str = "2026-01-01";

/// AS 64496 of a registered provider, AS 64497 of a university, AS 64498 of nobody known.
fn tables() -> Vec<Observation> {
    let bgp = "192.0.2.0,192.0.2.255,64496,PROVIDER\n\
        198.51.100.0,198.51.100.255,64497,UNI\n203.0.113.0,203.0.113.255,64498,X\n";
    let registry = "organisation: ORG-PR1-RIPE\norg-name: Provider AG\ncountry: DE\n\n\
        organisation: ORG-CU1-RIPE\norg-name: Kunde GmbH\ncountry: DE\nsource: RIPE\n\n\
        aut-num: AS64496\nas-name: PROVIDER\norg: ORG-PR1-RIPE\nsource: RIPE\n\n\
        inetnum: 192.0.2.0 - 192.0.2.255\norg: ORG-PR1-RIPE\n\
        status: ALLOCATED PA\nsource: RIPE\n\n\
        inetnum: 192.0.2.0 - 192.0.2.31\norg: ORG-CU1-RIPE\n\
        status: ASSIGNED PA\nsource: RIPE\n\n\
        inetnum: 192.0.2.32 - 192.0.2.63\norg: ORG-PR1-RIPE\n\
        status: ASSIGNED PA\nsource: RIPE\n\n\
        inetnum: 192.0.2.64 - 192.0.2.95\ndescr: Somebody\n\
        status: ASSIGNED PA\nsource: RIPE\n\n\
        inetnum: 203.0.113.0 - 203.0.113.255\norg: ORG-ZZ9-RIPE\ndescr: Only Here Ltd\n\
        country: IE\nstatus: ASSIGNED PI\nsource: RIPE\n";
    let peeringdb = r#"{"org": {"data": [{"id": 1, "name": "Uni", "country": "AT"},
        {"id": 2, "name": "City", "website": "http://city.gov.example"}]},
        "net": {"data": [
        {"asn": 64496, "org_id": 9, "name": "Provider", "info_type": "Cable/DSL/ISP"},
        {"asn": 64497, "org_id": 1, "name": "Uni net",
         "website": "https://www.net.uni.example/about"},
        {"asn": 64498, "org_id": 2, "name": "City", "website": ""}]}}"#;
    [
        table("ip2asn", "bgp", ON, bgp),
        table("rpsl", "ripe", ON, registry),
        table("peeringdb", "peeringdb", ON, peeringdb),
        table("domain-tag:uni", "universities", ON, "uni.example\n"),
        table("domain-tag:gov", "governments", ON, "gov.example\n"),
        table("range-tag:scanner", "scanners", ON, "192.0.2.1\n"),
    ]
    .concat()
}

fn rules() -> Rules {
    Rules::built_in()
}

/// Organisation, its name, kind and what decided, as `of: rule`.
fn said(
    atlas: &Atlas,
    rules: &Rules,
    at: &str,
) -> (String, String, NetworkKind, Vec<String>) {
    let explained = atlas.lookup(address(at), day(ON));
    let rule = |ground: Ground| format!("{}: {}", ground.of, ground.rule);
    let organisation = explained.organisation.clone().unwrap();
    (
        organisation.id.to_string(),
        organisation.name,
        explained.attribution.kind,
        grounds(&explained, rules).into_iter().map(rule).collect(),
    )
}

#[test]
fn a_registry_names_the_customer_and_the_provider_keeps_the_rest() {
    let rules = rules();
    let atlas = Atlas::build(tables(), &rules);
    let (id, name, kind, why) = said(&atlas, &rules, "192.0.2.7");
    assert_eq!((id.as_str(), name.as_str()), ("org:ORG-CU1-RIPE", "Kunde GmbH"));
    assert_eq!(kind, NetworkKind::IspBusiness);
    assert_eq!(why, ["organisation: status ASSIGNED PA", "kind: status ASSIGNED PA"]);
    let attribution = atlas.lookup(address("192.0.2.200"), day(ON)).attribution;
    assert_eq!(attribution.org_country, "DE".parse().ok(), "of its object");
    // Its own use, an object that names nobody, and what was only given to be lent on.
    for at in ["192.0.2.40", "192.0.2.70", "192.0.2.200"] {
        let (id, name, kind, why) = said(&atlas, &rules, at);
        assert_eq!((id.as_str(), name.as_str()), ("org:ORG-PR1-RIPE", "Provider AG"));
        assert_eq!(kind, NetworkKind::Eyeball, "{at}");
        assert_eq!(
            why,
            [
                "organisation: registration of the AS",
                "kind: tag peeringdb:Cable/DSL/ISP",
                "sector: tag peeringdb:Cable/DSL/ISP"
            ]
        );
    }
    let (id, name, kind, _) = said(&atlas, &rules, "203.0.113.9");
    assert_eq!((id.as_str(), name.as_str()), ("org:ORG-ZZ9-RIPE", "Only Here Ltd"));
    assert_eq!(kind, NetworkKind::Own);
    let explained = atlas.lookup(address("203.0.113.9"), day(ON));
    assert_eq!(explained.attribution.org_country, "IE".parse().ok());
}

#[test]
fn a_tag_of_the_range_stands_over_the_registered_user() {
    let rules = rules();
    let atlas = Atlas::build(tables(), &rules);
    let (id, _, kind, why) = said(&atlas, &rules, "192.0.2.1");
    assert_eq!((id.as_str(), kind), ("org:ORG-CU1-RIPE", NetworkKind::Hosting));
    assert_eq!(why, ["organisation: status ASSIGNED PA", "kind: tag scanner"]);
}

#[test]
fn a_website_below_a_listed_domain_tells_the_sector() {
    let rules = rules();
    let atlas = Atlas::build(tables(), &rules);
    let (id, name, kind, why) = said(&atlas, &rules, "198.51.100.1");
    // No registry tells whose the AS is: what it says of itself stands.
    assert_eq!((id.as_str(), name.as_str()), ("org:PEERINGDB-1", "Uni"));
    assert_eq!(kind, NetworkKind::Own);
    assert_eq!(
        why,
        [
            "organisation: registration of the AS",
            "kind: tag of its domain uni",
            "shared: tag of its domain uni",
            "sector: tag of its domain uni"
        ]
    );
    let registered = |o: &Observation| o.source.as_str() != "ripe";
    let without = Atlas::build(tables().into_iter().filter(registered), &rules);
    let (id, _, kind, why) = said(&without, &rules, "203.0.113.1");
    assert_eq!((id.as_str(), kind), ("org:PEERINGDB-2", NetworkKind::Own));
    assert_eq!(why.last().unwrap(), "sector: tag of its domain gov", "of its owner");
    let explained = atlas.lookup(address("198.51.100.1"), day(ON));
    assert_eq!(explained.organisation.unwrap().sector, Some("education".into()));
    assert!(explained.observations.iter().any(|o| o.value == "uni.example"));
}

#[test]
fn a_file_of_organisations_puts_ids_together_and_describes_them() {
    let file = r#"
        [[organisation]]
        id = "group"
        name = "Group SE"
        country = "LU"
        sectors = ["finance"]
        members = ["org:ORG-PR1-RIPE"]
        aliases = ["KUNDE"]
        reason = "their annual report"

        [[organisation]]
        id = "only"
        parent = "org:ORG-PR1-RIPE"
        members = ["org:ORG-ZZ9-RIPE"]
        reason = "their website"
    "#;
    let mut rules = rules();
    rules.identity = Identity::read(file, &rules.sectors).unwrap();
    let atlas = Atlas::build(tables(), &rules);
    // By its handle, by its name; both are now whose the AS is.
    for at in ["192.0.2.200", "192.0.2.7"] {
        let (id, name, kind, _) = said(&atlas, &rules, at);
        assert_eq!((id.as_str(), name.as_str()), ("group", "Group SE"));
        assert_eq!(kind, NetworkKind::Eyeball);
    }
    let attribution = atlas.lookup(address("192.0.2.7"), day(ON)).attribution;
    assert_eq!(attribution.org_country, "LU".parse().ok(), "the file's word first");
    let group = atlas.organisation(&OrgId::new("group")).unwrap();
    assert_eq!(group.sector, Some("finance".into()));
    assert_eq!(group.country, "LU".parse().ok());
    let only = atlas.organisation(&OrgId::new("only")).unwrap();
    assert_eq!(
        (only.name.as_str(), only.parent),
        ("Only Here Ltd", Some("group".into()))
    );
    let holders = table(
        "holders",
        "mine",
        ON,
        "range,organisation,name\n198.51.100.0/24,k,Kunde GmbH\n",
    );
    let atlas = Atlas::build(holders.into_iter().chain(tables()), &rules);
    assert_eq!(said(&atlas, &rules, "198.51.100.1").0, "group");
}

#[test]
fn classes_of_what_an_organisation_does_are_sectors() {
    let asdb = "ASN,Category 1 - Layer 1,Category 1 - Layer 2\n\
        AS64498,Manufacturing,Automotive\n\
        AS64496,Computer and Information Technology,Internet Service Provider (ISP)\n";
    let tables = [table("asdb", "asdb", ON, asdb), tables()].concat();
    let not_rpsl =
        |o: &Observation| !["ripe", "peeringdb"].contains(&o.source.as_str());
    let rules = rules();
    let atlas = Atlas::build(tables.into_iter().filter(not_rpsl), &rules);
    let (id, _, kind, why) = said(&atlas, &rules, "203.0.113.1");
    assert_eq!((id.as_str(), kind), ("as:64498", NetworkKind::Own));
    assert_eq!(
        why,
        [
            "organisation: origin AS",
            "kind: tag asdb:Manufacturing",
            "sector: tag asdb:Manufacturing"
        ]
    );
    let shared = atlas.lookup(address("203.0.113.1"), day(ON)).attribution.shared;
    assert_eq!(shared, Shared::No);
}

//! The built-in catalog finds what it should, and nothing else.

use tidegauge_enrich::built_in;
use tidegauge_enrich::catalog::{Catalog, Doubt, Fault, Outcome, Probe, Subject};
use tidegauge_model::endpoint::Port;
use tidegauge_model::{Day, Grade, Protocol, Role};

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn tcp(number: u16) -> Port {
    Port { number, protocol: Protocol::TCP }
}

fn named(host: &str, port: impl Into<Option<Port>>) -> Probe<'_> {
    let (day, port) = (day("2024-04-10"), port.into());
    Probe { host: Some(host), request: None, address: None, port, day }
}

fn addressed(address: &str, on: &str) -> Probe<'static> {
    let address = address.parse().ok();
    Probe { host: None, request: None, address, port: Some(tcp(443)), day: day(on) }
}

fn id(catalog: &Catalog, probe: &Probe<'_>) -> Option<String> {
    catalog.find(probe).map(|(endpoint, _)| endpoint.id.to_string())
}

#[test]
fn the_built_in_catalog_reads_and_raises_no_doubt() {
    let catalog = Catalog::read(built_in::CATALOG.iter().copied()).unwrap();
    let warnings: Vec<_> = catalog.check().iter().map(ToString::to_string).collect();
    assert_eq!(warnings, Vec::<String>::new());
    let controls = catalog.products().iter().filter(|p| p.control).count();
    assert_eq!((catalog.products().len(), controls), (37, 14));
    assert_eq!(catalog.product("kaspersky").unwrap().name, "Kaspersky");
    assert!(!catalog.product("clamav").unwrap().control);
    assert!(catalog.endpoint("kaspersky/upd-suffix").is_some());
    assert_eq!(catalog.exclusions().len(), 7);
}

#[test]
fn the_most_specific_entry_wins() {
    let catalog = Catalog::built_in();
    let of = |host| id(&catalog, &named(host, tcp(443)));
    let expected = [
        ("s04.upd.kaspersky.com", Some("kaspersky/upd-s")),
        ("downloads.upd.kaspersky.com", Some("kaspersky/upd-downloads")),
        ("x.upd.kaspersky.com", Some("kaspersky/upd-suffix")),
        ("upd.kaspersky.com", Some("kaspersky/upd-suffix")),
        ("activation-v2.geo.kaspersky.com", Some("kaspersky/activation-v2-geo")),
        ("edge.geo.kaspersky.com", Some("kaspersky/edge-geo")),
        ("dnl-07.geo.kaspersky.com", Some("kaspersky/upd-dnl")),
        ("dnl-77.geo.kaspersky.com", Some("kaspersky/upd-geo-suffix")),
        ("www.kaspersky.com", Some("kaspersky/website")),
        ("notkaspersky.com", None),
        ("notupd.kaspersky.com", None),
        ("upd.kaspersky.com.example.org", None),
        ("iavs9x.avg.u.avcdn.net", Some("avg/upd-avcdn")),
        ("iavs9x.u.avcdn.net", Some("avast/upd-suffix")),
        ("update.eset.com", Some("eset/upd-update")),
        ("fe2.update.microsoft.com", Some("windows_update/update")),
        ("example.com", None),
        ("com", None),
        ("", None),
    ];
    for (host, endpoint) in expected {
        assert_eq!(of(host).as_deref(), endpoint, "{host}");
    }
}

#[test]
fn an_odd_port_does_not_make_an_activation_server_an_update_server() {
    let catalog = Catalog::built_in();
    let of = |host, port| id(&catalog, &named(host, tcp(port)));
    assert_eq!(of("activation-v2.geo.kaspersky.com", 80), None);
    // Same product, same role, no greater weight: the aggregate stands in.
    assert_eq!(of("p07.upd.kaspersky.com", 443).unwrap(), "kaspersky/upd-suffix");
    // The aggregate proves more than this host does.
    assert_eq!(of("downloads.upd.kaspersky.com", 80), None);
    let unknown = named("activation-v2.geo.kaspersky.com", None);
    assert_eq!(catalog.find(&unknown).unwrap().0.role, Role::Activation);
}

#[test]
fn a_request_is_more_specific_than_a_name() {
    let catalog = Catalog::built_in();
    let mut probe = named("dnl-07.geo.kaspersky.com", tcp(80));
    probe.request = Some("GET /index/u1313g.xml.dif");
    assert_eq!(id(&catalog, &probe).unwrap(), "kaspersky/upd-index");
    probe.request = Some("GET /something/else");
    assert_eq!(id(&catalog, &probe).unwrap(), "kaspersky/upd-dnl");
    let mut mirror = named("mirror.example.org", tcp(80));
    mirror.request = Some("GET /eset_upd/v3/update.ver");
    assert_eq!(id(&catalog, &mirror).unwrap(), "eset/upd-index");
}

#[test]
fn addresses_match_only_where_they_are_exclusive_and_in_their_days() {
    let catalog = Catalog::built_in();
    let of = |address, on| id(&catalog, &addressed(address, on));
    let net = Some("kaspersky/net-77-74-176-0-24".to_owned());
    assert_eq!(of("77.74.176.0", "2024-04-10"), net);
    assert_eq!(of("77.74.176.255", "2024-04-10"), net);
    assert_eq!(of("77.74.175.255", "2024-04-10"), None);
    // The longest prefix wins, on its days.
    let node = Some("kaspersky/node-s19-upd-2026-07-29".to_owned());
    assert_eq!(of("37.203.129.5", "2026-07-22"), node);
    assert_eq!(of("37.203.129.5", "2026-08-05"), node);
    let around = Some("kaspersky/net-37-203-129-0-24".to_owned());
    assert_eq!(of("37.203.129.5", "2026-08-06"), around);
    // Somebody else's network: known, dated, but not exclusive.
    assert_eq!(of("209.51.171.230", "2026-07-29"), None);
    // Third parties behind the vendor's DDoS protection.
    for address in ["82.202.186.1", "82.202.191.255", "9.9.9.9"] {
        assert_eq!(of(address, "2024-04-10"), None, "{address}");
    }
    assert_eq!(
        of("2a03:2480:1::9", "2024-04-10").unwrap(),
        "kaspersky/net-2a03-2480-32"
    );
}

#[test]
fn a_name_nobody_knows_leaves_only_an_exclusive_address() {
    let catalog = Catalog::built_in();
    let mut probe = addressed("77.74.176.9", "2024-04-10");
    probe.host = Some("new.example.org");
    let (endpoint, grade) = catalog.find(&probe).unwrap();
    assert_eq!((endpoint.role, grade), (Role::Other, Grade::Address));
    probe.host = Some("s01.upd.kaspersky.com");
    assert_eq!(catalog.find(&probe).unwrap().1, Grade::Name);
}

#[test]
fn an_explanation_names_the_winner_the_losers_and_the_near_misses() {
    let catalog = Catalog::built_in();
    let explain =
        |text: &str| catalog.explain(text.parse().unwrap(), day("2024-04-10"));
    let host = explain("S04.upd.kaspersky.com.");
    assert_eq!(host.winner().unwrap().id.as_str(), "kaspersky/upd-s");
    let outcome = |id: &str| {
        let found = host.verdicts.iter().find(|v| v.endpoint.id.as_str() == id);
        found.map(|v| v.outcome.clone())
    };
    let than = "kaspersky/upd-s".into();
    assert_eq!(outcome("kaspersky/upd-suffix"), Some(Outcome::LessSpecific { than }));
    assert_eq!(outcome("kaspersky/touch"), Some(Outcome::OtherName));
    assert_eq!(outcome("eset/upd-update"), None);
    let text = host.to_string();
    assert!(
        text.starts_with("s04.upd.kaspersky.com on 2024-04-10 is kaspersky/upd-s\n")
    );
    assert!(text.contains("kaspersky.toml:"), "{text}");

    let node = explain("37.203.129.5");
    let dated =
        node.verdicts.iter().any(|v| matches!(v.outcome, Outcome::OutOfDate(_)));
    assert!(dated, "{node}");
    let shared = catalog
        .explain("209.51.171.230".parse::<Subject>().unwrap(), day("2026-07-29"));
    assert_eq!(shared.verdicts[0].outcome, Outcome::Shared);
    assert!(shared.winner().is_none());
    assert_eq!(explain("82.202.186.1").excluded.len(), 1);
    assert!(explain("no such thing!").to_string().contains("no name and no address"));
}

/// A file with one good entry, to which a test adds a bad one.
fn with(extra: &str) -> String {
    format!(
        "[product]\nid = \"p\"\nname = \"P\"\nvendor = \"V\"\n\
         [[endpoint]]\nname = \"a\"\nrole = \"update\"\nmatch = \"exact\"\n\
         pattern = 'a.example.com'\nweight = \"strong\"\nsource = \"s\"\n\
         confidence = \"high\"\n{extra}"
    )
}

fn entry(name: &str, kind: &str, pattern: &str, more: &str) -> String {
    format!(
        "[[endpoint]]\nname = \"{name}\"\nrole = \"update\"\nmatch = \"{kind}\"\n\
         pattern = '{pattern}'\nweight = \"strong\"\nsource = \"s\"\n\
         confidence = \"high\"\n{more}\n"
    )
}

fn faults(text: &str) -> Vec<String> {
    let errors = Catalog::read([("p.toml", text)]).unwrap_err();
    assert!(errors.iter().all(|e| !e.hint().is_empty()));
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text = with(
        &[
            entry("b", "regex", "^(b$", ""),
            entry("a", "exact", "b.example.com", ""),
            entry("c", "suffix", "com", ""),
            entry("d", "suffix", "co.uk", ""),
            entry("e", "exact", "", ""),
            entry("f", "exact", "UPPER.example.com", ""),
            entry("g", "prefix", "192.0.2.1/24", ""),
            entry("h", "exact", "h.example.com", "ports = [\"443\"]"),
            entry("i", "exact", "i.example.com", "exclusive = true"),
            entry("j", "regex", "^j", ""),
            entry("k", "exact", "a.example.com", ""),
            entry("L", "exact", "l.example.com", ""),
            entry("m", "glob", "*.example.com", ""),
            entry(
                "n",
                "exact",
                "n.example.com",
                "valid_from = \"2024-02-01\"\nvalid_to = \"2024-01-01\"",
            ),
            entry("o", "exact", "o.example.com", "colour = \"red\""),
            entry("q", "prefix", "192.0.2.128/25", "exclusive = true"),
            entry("r", "exact", "r.example.com", "").replace("update", "upgrade"),
            "[[exclude]]\nprefix = \"192.0.2.0/24\"\nsource = \"s\"\n".to_owned(),
        ]
        .concat(),
    );
    let found = faults(&text);
    let expected = [
        "regex parse error",
        "`p/a` is also defined at p.toml:5",
        "strangers register names under `com`",
        "strangers register names under `co.uk`",
        "the pattern is empty",
        "`UPPER.example.com` is not a host name",
        "bits are set beyond the length",
        "`443` is not a port",
        "`exclusive` without a prefix",
        "open at its end",
        "exact `a.example.com` is also claimed at p.toml:5",
        "`L` cannot be part of an id",
        "`glob` is not one of",
        "valid from 2024-02-01 to 2024-01-01",
        "unknown field `colour`",
        "192.0.2.128/25 overlaps 192.0.2.0/24",
        "`upgrade` is not one of update,",
    ];
    for what in expected {
        let hits = found.iter().filter(|text| text.contains(what)).count();
        assert_eq!(hits, 1, "{what} in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    assert!(found[0].starts_with("p.toml:17: "), "{}", found[0]);
}

#[test]
fn a_file_that_is_no_catalog_is_refused() {
    assert!(faults("colour = 1")[0].contains("unknown table `colour`"));
    assert!(
        faults("[product]\nid = \"q\"\nname = \"Q\"\nvendor = \"V\"")[0].contains('q')
    );
    assert!(faults("[endpoint]\n")[0].contains("[[endpoint]]"));
    let broken = Catalog::read([("p.toml", "[product\nid = ")]).unwrap_err();
    assert!(broken.iter().any(|e| matches!(e.fault, Fault::Toml(_))));
}

#[test]
fn regular_expressions_that_are_too_large_together_are_refused() {
    let large = |n: usize| {
        let name = format!("large-{n}");
        entry(&name, "regex", &format!(r"^{n}([a-z]{{500}}){{120}}\.example\.com$"), "")
    };
    let text = with(&(0..4).map(large).collect::<String>());
    let errors = Catalog::read([("p.toml", text.as_str())]).unwrap_err();
    assert!(matches!(errors[0].fault, Fault::RegexTogether(_)), "{}", errors[0]);
}

#[test]
fn doubts_are_raised_about_entries_that_never_match_or_have_no_source() {
    let text = with(
        &[
            entry("suffix", "suffix", "cdn.example.com", ""),
            entry("regex", "regex", r"(^|\.)cdn\.example\.com$", ""),
            entry("shared", "prefix", "192.0.2.0/24", ""),
            entry("outer", "prefix", "198.51.100.0/24", "exclusive = true"),
            entry("inner", "prefix", "198.51.100.0/25", "exclusive = true"),
            entry("silent", "exact", "b.example.com", "")
                .replace("source = \"s\"\n", ""),
        ]
        .concat(),
    );
    let catalog = Catalog::read([("p.toml", text.as_str())]).unwrap();
    let doubts: Vec<_> = catalog
        .check()
        .into_iter()
        .map(|w| (w.endpoint.to_string(), w.doubt))
        .collect();
    let by = "p/regex".into();
    assert_eq!(
        doubts,
        [
            ("p/shared".to_owned(), Doubt::NeverMatches),
            ("p/silent".to_owned(), Doubt::NoSource),
            ("p/suffix".to_owned(), Doubt::Shadowed { by }),
        ]
    );
}

#[test]
fn the_version_follows_what_is_said_not_how() {
    let version = |text: &str| Catalog::read([("p.toml", text)]).unwrap().version();
    let plain = with("");
    assert_eq!(version(&plain).len(), 64);
    assert_eq!(version(&plain), version(&format!("# a comment\n\n{plain}")));
    assert_ne!(version(&plain), version(&plain.replace("strong", "weak")));
}

#[test]
fn what_matches_does_not_depend_on_the_order_of_files() {
    let forward = Catalog::read(built_in::CATALOG.iter().copied()).unwrap();
    let backward = Catalog::read(built_in::CATALOG.iter().rev().copied()).unwrap();
    assert_eq!(forward.version(), backward.version());
    assert_eq!(forward.endpoints(), backward.endpoints());
}

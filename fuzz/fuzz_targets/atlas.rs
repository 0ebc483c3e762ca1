//! Any bytes as a table of the atlas, of the kind that the first byte says: the books of
//! the loader close, what it gives is sound, and an atlas of it answers.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use tidegauge_enrich::atlas::{Atlas, Rules, SourceKind, grounds, load};
use tidegauge_model::observation::Field;
use tidegauge_model::{Day, NetworkKind, Observation, SourceId};
use tidegauge_wire::Inflate;

/// Every kind of table, in an order that only grows: seeds begin with its number.
const KINDS: [&str; 27] = [
    "ip2asn",
    "iptoasn",
    "ip2country",
    "as-names",
    "as-tag:gov",
    "range-tag:vpn",
    "holders",
    "delegated",
    "pfx2as",
    "as2org",
    "cloud:aws",
    "cloud:google",
    "cloud:azure",
    "cloud:oracle",
    "cloud:fastly",
    "cloud:cloudflare",
    "provider:p",
    "mmdb",
    "mmdb:asn=a.b,name=n,country=c,vpn=v",
    "rpsl",
    "mrt",
    "peeringdb",
    "asdb",
    "gov-domains",
    "universities",
    "scanners",
    "domain-tag:uni",
];
/// Days asked for: before, at and after the snapshot.
const DAYS: [Day; 3] = [Day(19_000), Day(20_000), Day(21_000)];
/// Observations of which an atlas is built at most: a small table can say much.
const OBSERVATIONS_MAX: usize = 2_000;

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, table)) = bytes.split_first() else { return };
    let kind = KINDS[usize::from(first) % KINDS.len()];
    let kind: SourceKind = kind.parse().expect("a kind of the list");
    let (mut said, mut kept, mut lost) = (0, Vec::new(), 0_u64);
    let loaded = load(
        &kind,
        &SourceId::new("fuzz"),
        DAYS[1],
        std::io::BufReader::new(Inflate::new(table)),
        |observation| {
            sound(&observation);
            said += 1;
            if kept.len() < OBSERVATIONS_MAX {
                kept.push(observation);
            }
        },
        |loss| lost = lost.saturating_add(loss.count),
    );
    let Ok(loaded) = loaded else { return };
    assert_eq!((loaded.observations, loaded.lost), (said, lost), "the books of {kind}");
    answer(kept);
});

/// What the atlas is promised of an observation.
fn sound(observation: &Observation) {
    if let Some((first, last)) = observation.range {
        assert!(first <= last && first.is_v4() == last.is_v4(), "{observation:?}");
    }
    let alone = matches!(observation.field, Field::Organisation | Field::Domain);
    let about = observation.range.is_some() || observation.asn.is_some();
    assert!(about != alone, "about one thing: {observation:?}");
    assert!(!alone || !observation.value.is_empty(), "{observation:?}");
}

/// Asks for the ends of some ranges; what decided the kind is told, and told truly.
fn answer(observations: Vec<Observation>) {
    static RULES: OnceLock<Rules> = OnceLock::new();
    let rules = RULES.get_or_init(Rules::built_in);
    let ranges = observations.iter().filter_map(|o| o.range).take(8);
    let ends: Vec<_> = ranges.flat_map(|(first, last)| [first, last]).collect();
    let atlas = Atlas::build(observations, rules);
    for (address, day) in ends.iter().flat_map(|end| DAYS.map(|day| (*end, day))) {
        let explained = atlas.lookup(address, day);
        let kind = explained.attribution.kind;
        let grounds = grounds(&explained, rules);
        let ground = grounds.iter().find(|ground| ground.of == "kind");
        match ground {
            Some(ground) => assert_eq!(ground.answer, kind.as_str(), "{explained:?}"),
            None => assert_eq!(kind, NetworkKind::Unknown, "{explained:?}"),
        }
    }
}

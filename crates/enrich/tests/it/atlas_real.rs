//! The atlas on published tables that nobody here wrote. They are not part of the
//! project; where they are absent, each test says so and returns.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use flate2::bufread::GzDecoder;
use tidegauge_enrich::atlas::{Atlas, Loaded, Rules, SourceKind, load};
use tidegauge_model::observation::Field;
use tidegauge_model::{
    Address, Client, Day, NetworkKind, Observation, Reason, Standing,
};

use crate::atlas::{address, day};

/// The folder of real tables, or `None` after saying that `test` is skipped.
pub(crate) fn data(test: &str) -> Option<PathBuf> {
    let folder =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    if folder.is_dir() {
        return Some(folder.to_owned());
    }
    println!("SKIPPED {test}: shared data folder absent");
    None
}

/// Reads a table; gives what it says and why rows were lost.
pub(crate) fn read(
    path: &Path,
    kind: &str,
    source: &str,
    on: &str,
    observations: &mut Vec<Observation>,
) -> (Loaded, BTreeMap<Reason, u64>) {
    let kind: SourceKind = kind.parse().unwrap();
    let file = BufReader::new(File::open(path).unwrap());
    let mut losses = BTreeMap::new();
    let each = |o| observations.push(o);
    let loss = |l: tidegauge_model::Loss| *losses.entry(l.reason).or_default() += 1;
    let source = source.into();
    let loaded = if path.extension().is_some_and(|e| e == "gz") {
        let input = BufReader::new(GzDecoder::new(file));
        load(&kind, &source, day(on), input, each, loss)
    } else {
        load(&kind, &source, day(on), file, each, loss)
    };
    (loaded.unwrap(), losses)
}

const DATES: [&str; 2] = ["2025-04-11", "2026-06-17"];

/// The real tables: the rows of the two routing snapshots, and all indexed.
pub(crate) struct Real {
    /// By snapshot and file.
    pub(crate) origins: BTreeMap<(&'static str, &'static str), Vec<Observation>>,
    pub(crate) atlas: Atlas,
}

/// Routing tables, names, classes and tags, read once for all tests.
pub(crate) fn real(folder: &Path) -> &'static Real {
    static REAL: OnceLock<Real> = OnceLock::new();
    REAL.get_or_init(|| {
        let mut origins = BTreeMap::new();
        for on in DATES {
            for family in ["ipv4", "ipv6"] {
                let path = folder.join(format!("ip2asn/{on}/asn-{family}.csv.gz"));
                let mut rows = Vec::new();
                let (_, losses) = read(&path, "ip2asn", "ip2asn", on, &mut rows);
                assert_eq!(losses, BTreeMap::new(), "{}", path.display());
                origins.insert((on, family), rows);
            }
        }
        let on = DATES[1];
        let mut of_ases = Vec::new();
        let names = folder.join("asn/bgptools-asns.csv.gz");
        read(&names, "as-names", "bgptools", on, &mut of_ases);
        for tag in ["gov", "uni", "corp", "dsl", "mobile", "biznet", "cdn", "vpsh"] {
            let path = folder.join(format!("sector/bgptools-tags/tags-{tag}.csv"));
            let kind = format!("as-tag:{tag}");
            read(&path, &kind, "bgptools-tags", on, &mut of_ases);
        }
        let all = origins.values().flatten().cloned().chain(of_ases);
        let atlas = Atlas::build(all, &Rules::built_in());
        Real { origins, atlas }
    })
}

#[test]
fn known_networks_of_the_two_dates_are_found() {
    let Some(folder) = data("known_networks_of_the_two_dates_are_found") else {
        return;
    };
    let atlas = &real(&folder).atlas;
    let asn = |a: &str, on: &str| {
        atlas.lookup(address(a), day(on)).attribution.asn.map(|asn| asn.0)
    };
    assert_eq!(asn("185.201.0.7", DATES[0]), Some(205_514));
    assert_eq!(asn("185.201.3.255", DATES[1]), Some(200_107));
    for a in ["46.8.206.1", "109.248.196.1"] {
        let name = |on| {
            let found = atlas.lookup(address(a), day(on)).attribution.organisation;
            found.and_then(|id| atlas.organisation(&id)).map(|o| o.name)
        };
        assert!(name(DATES[0]).unwrap().contains("Kaspersky"), "{a}");
        assert!(!name(DATES[1]).unwrap_or_default().contains("Kaspersky"), "{a}");
        let standing = atlas.lookup(address(a), day("2025-12-01")).standing;
        assert_eq!(standing, Standing::Disputed);
    }
    let mit = atlas.lookup(address("18.9.22.69"), day(DATES[1]));
    assert_eq!(mit.attribution.asn.map(|a| a.0), Some(3));
    assert_eq!(mit.attribution.kind, NetworkKind::Own);
    assert_eq!(mit.organisation.unwrap().sector, Some("education".into()));
    let v6 = atlas.lookup(address("2001:4:112::1"), day("2024-06-01"));
    assert_eq!(v6.attribution.asn.map(|a| a.0), Some(112));
    assert_eq!(v6.standing, Standing::BeforeFirst);
}

#[test]
fn overlapping_ranges_of_real_tables_are_counted_and_the_narrower_wins() {
    let name = "overlapping_ranges_of_real_tables_are_counted_and_the_narrower_wins";
    let Some(folder) = data(name) else { return };
    let atlas = &real(&folder).atlas;
    // Counted by a script of its own: rows, sorted, that begin at or before the highest
    // last address so far.
    let overlaps = |atlas: &Atlas, field, on: &str| {
        let mut tables = atlas.notes().tables.iter();
        let found = tables.find(|t| t.field == field && t.v4 && t.snapshot == day(on));
        found.unwrap().overlapping
    };
    assert_eq!(overlaps(atlas, Field::Origin, DATES[0]), 5);
    assert_eq!(overlaps(atlas, Field::Origin, DATES[1]), 1);
    let asn =
        |a: &str| atlas.lookup(address(a), day(DATES[0])).attribution.asn.unwrap().0;
    assert_eq!(
        (asn("7.193.229.255"), asn("7.193.230.0"), asn("7.193.231.0")),
        (749, 2685, 749)
    );
    assert_eq!(
        (asn("214.255.0.1"), asn("215.0.0.0"), asn("215.1.3.255")),
        (749, 721, 721)
    );

    let mut observations = Vec::new();
    let path = folder.join("ip2country/geo-whois-asn-country-ipv4.csv.gz");
    let (loaded, losses) =
        read(&path, "ip2country", "geo-whois", DATES[1], &mut observations);
    assert_eq!((loaded.observations, losses.len()), (334_373, 0));
    let atlas = Atlas::build(observations, &Rules::built_in());
    assert_eq!(overlaps(&atlas, Field::AddressCountry, DATES[1]), 6_825);
    let country =
        |a: &str| atlas.lookup(address(a), day(DATES[1])).attribution.addr_country;
    assert_eq!(country("2.58.197.14"), "DE".parse().ok());
    assert_eq!(country("2.58.197.15"), "BE".parse().ok());
    assert_eq!(country("2.58.197.16"), "DE".parse().ok());
}

/// Numbers that are spread evenly enough and the same in every run (the multiplier of
/// Knuth's MMIX generator).
fn spread(seed: &mut u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

#[test]
fn one_address_in_eight_changed_its_as_between_the_dates() {
    let name = "one_address_in_eight_changed_its_as_between_the_dates";
    let Some(folder) = data(name) else { return };
    let Real { origins, atlas } = real(&folder);
    // Ranges of the older table drawn evenly, an address drawn inside each.
    let rows = &origins[&(DATES[0], "ipv4")];
    let mut seed = 2024;
    let clients: Vec<_> = (0..20_000)
        .map(|_| {
            let at = usize::try_from(spread(&mut seed)).unwrap() % rows.len();
            let (first, last) = rows[at].range.unwrap();
            let inside =
                u128::from(spread(&mut seed)) % (last.bits() - first.bits() + 1);
            let address = Address::from_bits(first.bits() + inside);
            Client { address, site: None }
        })
        .collect();
    let diff = atlas.map().diff(day(DATES[0]), day(DATES[1]), clients);
    println!("{} of {} addresses changed their AS", diff.asn, diff.clients);
    assert!((2_000..=3_000).contains(&diff.asn), "{}", diff.asn);
}

#[test]
fn the_index_of_real_tables_answers_as_a_scan_over_their_rows() {
    let name = "the_index_of_real_tables_answers_as_a_scan_over_their_rows";
    let Some(folder) = data(name) else { return };
    let Real { origins, atlas } = real(&folder);
    let mut seed = 7;
    for (&(on, _), rows) in origins {
        for _ in 0..40 {
            let at = usize::try_from(spread(&mut seed)).unwrap() % rows.len();
            let (first, last) = rows[at].range.unwrap();
            // Within, at the ends, and just outside.
            for bits in [
                first.bits() - 1,
                first.bits(),
                first.bits() + (last.bits() - first.bits()) / 2,
                last.bits(),
                last.bits() + 1,
            ] {
                let address = Address::from_bits(bits);
                let inside = |o: &&Observation| {
                    o.range.is_some_and(|(a, b)| a <= address && address <= b)
                };
                let narrowest = rows
                    .iter()
                    .filter(inside)
                    .min_by_key(|o| o.range.map(|(a, b)| b.bits() - a.bits()));
                let found = atlas.lookup(address, day(on)).attribution.asn;
                assert_eq!(found, narrowest.and_then(|o| o.asn), "{address} {on}");
            }
        }
    }
}

#[test]
fn tag_lists_with_broken_quoting_are_read_whole() {
    let Some(folder) = data("tag_lists_with_broken_quoting_are_read_whole") else {
        return;
    };
    let mut observations = Vec::new();
    let path = folder.join("sector/bgptools-tags/tags-gov.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().filter(|l| l.contains("\"\"\"")).count(), 61);
    let (loaded, losses) =
        read(&path, "as-tag:gov", "tags", DATES[1], &mut observations);
    assert_eq!((loaded.observations, losses), (933, BTreeMap::new()));
}

#[test]
fn lists_of_as_names_are_read_whole() {
    let Some(folder) = data("lists_of_as_names_are_read_whole") else { return };
    for (file, rows) in
        [("bgptools-asns.csv.gz", 120_793), ("asns-vincentbernat.csv", 103_861)]
    {
        let mut observations = Vec::new();
        let path = folder.join("asn").join(file);
        let (loaded, losses) =
            read(&path, "as-names", "names", DATES[1], &mut observations);
        assert_eq!((loaded.observations, losses), (rows, BTreeMap::new()), "{file}");
    }
}

#[test]
fn a_table_cut_short_is_refused_not_half_used() {
    let Some(folder) = data("a_table_cut_short_is_refused_not_half_used") else {
        return;
    };
    let path = folder.join(format!("ip2asn/{}/asn-ipv6.csv.gz", DATES[0]));
    let bytes = std::fs::read(path).unwrap();
    let half = &bytes[..bytes.len() / 2];
    let error = load(
        &SourceKind::Ip2Asn,
        &"ip2asn".into(),
        Day(0),
        BufReader::new(GzDecoder::new(half)),
        |_| (),
        |_| (),
    )
    .unwrap_err();
    assert!(error.to_string().contains("nothing of it is used"), "{error}");
}

/// Rows that say something, as a shell counts them in each file: lines that are neither
/// blank nor begin with `#` (`awk 'NF && !/^#/' FILE | wc -l`).
fn rows_of(path: &Path) -> u64 {
    let text = std::fs::read(path).unwrap();
    let said = |line: &&[u8]| {
        let line = line.trim_ascii();
        !line.is_empty() && !line.starts_with(b"#")
    };
    text.split(|b| *b == b'\n').filter(said).count().try_into().unwrap()
}

#[test]
fn every_real_list_of_tags_closes_its_books() {
    let Some(folder) = data("every_real_list_of_tags_closes_its_books") else { return };
    for (file, kind, rows) in [
        // awk 'NF && !/^#/' FILE | wc -l
        ("openasn-overrides/cdn.txt", "as-tag:cdn", 67),
        ("openasn-overrides/mobile_carrier.txt", "as-tag:mobile", 43),
        ("openasn-overrides/vpn_provider.txt", "as-tag:vpn", 22),
        ("ru/all-ru-asn.txt", "as-tag:ru", 5_750),
        ("ru/all-ru-ipv4.txt", "range-tag:ru", 11_405),
        ("ru/blacklist_with_comments.txt", "range-tag:gov", 1_504),
    ] {
        let path = folder.join("sector").join(file);
        let mut observations = Vec::new();
        let (loaded, losses) = read(&path, kind, "tags", DATES[1], &mut observations);
        assert_eq!((loaded.observations, losses), (rows, BTreeMap::new()), "{file}");
    }
    let lists = std::fs::read_dir(folder.join("sector/bgptools-tags")).unwrap();
    for list in lists {
        let path = list.unwrap().path();
        let mut observations = Vec::new();
        let (loaded, losses) =
            read(&path, "as-tag:any", "tags", DATES[1], &mut observations);
        assert_eq!((loaded.observations, losses), (rows_of(&path), BTreeMap::new()));
    }
}

/// The MMDB files under `folder`, by name.
fn mmdb_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "mmdb") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn an_mmdb_file_says_of_each_network_what_its_source_says() {
    let name = "an_mmdb_file_says_of_each_network_what_its_source_says";
    let Some(folder) = data(name) else { return };
    let folder = folder.join("mmdb/maxmind");
    let mut observations = Vec::new();
    let path = folder.join("test-data/GeoLite2-ASN-Test.mmdb");
    let (_, losses) = read(&path, "mmdb", "maxmind", DATES[1], &mut observations);
    assert_eq!(losses, BTreeMap::new());
    let atlas = Atlas::build(observations, &Rules::built_in());
    // MaxMind's own list of what it put in: `[{"1.0.0.0/24": {…}}, …]`.
    let text =
        std::fs::read_to_string(folder.join("source-data/GeoLite2-ASN-Test.json"));
    let source: Vec<BTreeMap<String, serde_json::Value>> =
        serde_json::from_str(&text.unwrap()).unwrap();
    let mut compared = 0;
    for (network, record) in source.into_iter().flatten() {
        // IPv4 stands as `::1.2.3.0/120`.
        let (base, length) = network.split_once('/').unwrap();
        let v4 = base.strip_prefix("::").filter(|v4| v4.contains('.'));
        let first = address(v4.unwrap_or(base));
        let length: u8 = length.parse().unwrap();
        let short = first.is_v4() && v4.is_none();
        let length = if short { length + 96 } else { length };
        let last = tidegauge_model::Prefix::containing(first, length).last();
        let asn = record["autonomous_system_number"].as_u64();
        for at in [first, last] {
            let found = atlas.lookup(at, day(DATES[1])).attribution.asn;
            assert_eq!(found.map(|a| u64::from(a.0)), asn, "{network} {at}");
            compared += 1;
        }
    }
    assert!(compared > 500, "{compared}");
}

#[test]
fn every_mmdb_file_is_read_or_refused_whole() {
    let Some(folder) = data("every_mmdb_file_is_read_or_refused_whole") else { return };
    let mut refused = Vec::new();
    let mut files = 0;
    for path in mmdb_files(&folder.join("mmdb")) {
        let input = BufReader::new(File::open(&path).unwrap());
        let (mut said, mut lost) = (0, 0);
        let kind = "mmdb".parse().unwrap();
        let each = |_: Observation| said += 1;
        let loss = |l: tidegauge_model::Loss| lost += l.count;
        files += 1;
        match load(&kind, &"m".into(), Day(0), input, each, loss) {
            Ok(loaded) => assert_eq!((loaded.observations, loaded.lost), (said, lost)),
            Err(error) => {
                assert!(error.to_string().contains("nothing of it is used"), "{error}");
                refused.push(path.file_stem().unwrap().to_string_lossy().into_owned());
            }
        }
    }
    println!("{files} files, refused: {refused:?}");
    assert!(files > 30, "{files}");
    // Those whose tree or metadata is damaged; a damaged record is a loss of its own.
    for name in [
        "libmaxminddb-separator-record-min-left",
        "libmaxminddb-corrupt-search-tree",
        "metadata-is-an-uint128",
    ] {
        assert!(refused.iter().any(|r| r == name), "{name}: {refused:?}");
    }
    assert!(!refused.iter().any(|r| r.starts_with("GeoI")), "{refused:?}");
}

#[test]
fn an_mmdb_file_and_the_table_it_was_made_of_agree() {
    let name = "an_mmdb_file_and_the_table_it_was_made_of_agree";
    let Some(folder) = data(name) else { return };
    let folder = folder.join("ip2country");
    let mut of_tree = Vec::new();
    let tree = folder.join("geo-whois-asn-country.mmdb");
    let (loaded, losses) = read(&tree, "mmdb", "geo", DATES[1], &mut of_tree);
    assert_eq!(losses, BTreeMap::new());
    println!("{} ranges", loaded.observations);
    let atlas = Atlas::build(of_tree, &Rules::built_in());
    let mut rows = Vec::new();
    for file in
        ["geo-whois-asn-country-ipv4.csv.gz", "geo-whois-asn-country-ipv6.csv.gz"]
    {
        read(&folder.join(file), "ip2country", "geo", DATES[1], &mut rows);
    }
    let (mut same, mut other) = (0_u32, 0_u32);
    for row in rows.iter().step_by(11) {
        let (first, _) = row.range.unwrap();
        let found = atlas.lookup(first, day(DATES[1])).attribution.addr_country;
        let equal = found.is_some_and(|c| c.as_str() == row.value);
        *(if equal { &mut same } else { &mut other }) += 1;
    }
    println!("{same} same, {other} other");
    // The table has overlapping rows, of which a tree can hold only one.
    assert!(same > 49_000 && other * 100 < same, "{same} {other}");
}

//! Registers of every kind into the lake, and answers with their grounds out of it.

use crate::run::House;

const RPSL: &str = "inetnum: 0.0.0.0 - 255.255.255.255\nnetname: IANA-BLK\nsource: RIPE\n\n\
    organisation: ORG-CU1-RIPE\norg-name: Kunde GmbH\ncountry: DE\nsource: RIPE\n\n\
    inetnum: 198.18.0.0 - 198.18.0.255\norg: ORG-CU1-RIPE\nstatus: ASSIGNED PI\n\
    source: RIPE\n";

/// A table dump of one record: 198.18.0.0/16 by AS 64496, seen by one peer.
const MRT: [u8; 12 + 26] = [
    0, 0, 0, 0, 0, 13, 0, 2, 0, 0, 0, 26, // header
    0, 0, 0, 1, 16, 198, 18, 0, 1, // sequence, prefix, entries
    0, 0, 0, 0, 0, 0, 0, 9, // peer, since, attributes
    0x40, 2, 6, 2, 1, 0, 0, 0xfb, 0xf0, // path
];

fn import(house: &House, source: &str, file: &str) -> String {
    let import =
        ["atlas", "import", "--source", source, "--snapshot", "2024-01-01", file];
    let ended = house.run(&import);
    assert_eq!(ended.code, 0, "{source}: {}", ended.words);
    assert!(ended.words.contains(" 0 rows lost"), "{source}: {}", ended.words);
    ended.words
}

fn values(rows: &[serde_json::Value], what: &str) -> Vec<String> {
    let of = rows.iter().filter(|row| row["what"] == what);
    of.map(|row| row["value"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn registers_of_every_new_kind_are_imported() {
    let house = House::new();
    for (source, text) in [
        ("asdb", "ASN,Category 1 - Layer 1\nAS64496,Manufacturing\n"),
        ("gov-domains", "Domain name,Domain type\nexample.gov,City\n"),
        (
            "universities",
            r#"[{"name": "U", "alpha_two_code": "AT", "domains": ["u.at"]}]"#,
        ),
        ("domain-tag:uni", "uni.example\n"),
        ("scanners", "prefix,operator\n198.18.9.0/24,someone\n"),
        (
            "peeringdb",
            r#"{"net": {"data": [{"asn": 64496, "org_id": 1, "name": "N"}]}}"#,
        ),
    ] {
        house.file("table", text);
        import(&house, source, "table");
    }
}

#[test]
fn an_answer_tells_its_grounds_and_follows_the_file_of_organisations() {
    let house = House::new();
    house.file("ripe.db", RPSL);
    let words = import(&house, "rpsl", "ripe.db");
    assert!(words.contains("1 objects stand for"), "{words}");
    house.file("rib.mrt", MRT);
    import(&house, "mrt", "rib.mrt");
    let lookup = ["atlas", "lookup", "198.18.0.1", "--on", "2024-04-01"];
    let rows = house.rows(&lookup);
    assert_eq!(values(&rows, "organisation"), ["org:ORG-CU1-RIPE"]);
    assert_eq!(values(&rows, "name"), ["Kunde GmbH"]);
    assert_eq!(values(&rows, "kind"), ["own"]);
    assert_eq!(values(&rows, "asn"), ["AS64496"]);
    let because = values(&rows, "because");
    assert!(
        because.iter().any(|b| b.starts_with("kind own: status ASSIGNED PI of rpsl")),
        "{because:?}"
    );
    house.file(
        "them.toml",
        "[[organisation]]\nid = \"kunde\"\nname = \"Kunde SE\"\naliases = [\"KUNDE\"]\n\
         reason = \"their letterhead\"\n",
    );
    let rows =
        house.rows(&[&["--organisations-file", "them.toml"], &lookup[..]].concat());
    assert_eq!(values(&rows, "organisation"), ["kunde"]);
    assert_eq!(values(&rows, "name"), ["Kunde SE"]);
    house.file("them.toml", "[[organisation]]\nid = \"kunde\"\n");
    let ended =
        house.run(&[&["--organisations-file", "them.toml"], &lookup[..]].concat());
    assert!(ended.code != 0 && ended.words.contains("reason"), "{}", ended.words);
}

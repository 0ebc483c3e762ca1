//! What changes when the same sightings are counted on another map of holders, and how
//! sure a map is.

use std::fmt::Write as _;

use crate::run::House;
use crate::whole_way::filled;

/// The lake of forty-two organisations, and a later table by which the first moved to the
/// second's name, the second is nobody's, and the third is registered elsewhere.
fn moved() -> House {
    let house = filled();
    let mut csv = "prefix,organisation,name,country,sector,kind\n".to_owned();
    for network in (0..42).filter(|network| *network != 1) {
        let who = if network == 0 { 1 } else { network };
        let country = match network {
            2 => "FR",
            network if network < 30 => "US",
            _ => "DE",
        };
        writeln!(
            csv,
            "198.18.{network}.0/24,org-{who},Organisation {who},{country},technology,own"
        )
        .unwrap();
    }
    house.file("later.csv", csv);
    house.done(&[
        "atlas",
        "import",
        "--source",
        "holders",
        "--snapshot",
        "2025-01-01",
        "later.csv",
    ]);
    house
}

fn text<'a>(row: &'a serde_json::Value, column: &str) -> &'a str {
    row[column].as_str().unwrap_or("-")
}

#[test]
fn a_census_diff_names_the_cause_of_every_change_and_only_for_the_operator() {
    let house = moved();
    let diff = ["census", "diff", "2024-10-01", "2025-01-01"];
    let refused = house.run(&diff);
    assert_eq!(refused.code, 1, "{}", refused.words);
    assert!(refused.words.contains("--internal"), "{}", refused.words);
    let asked = ["census", "diff", "2024-10-01", "2025-01-01", "--internal"];
    let rows = house.rows(&asked);
    let mut changes: Vec<_> = rows
        .iter()
        .map(|row| {
            let (from, to) = (text(row, "country_before"), text(row, "country_after"));
            format!("{from} {to} {} {}", text(row, "cause"), row["clients"])
        })
        .collect();
    changes.sort();
    assert_eq!(
        changes,
        [
            "US - became unattributed 1",
            "US FR changed country 1",
            "US US moved between organisations 1",
        ]
    );
    let words = house.run(&[&asked[..], &["--format", "csv"]].concat()).words;
    assert!(words.contains("of 42 clients"), "{words}");
    assert!(words.contains("39 are counted alike; 3 cells"), "{words}");
}

#[test]
fn a_diff_of_the_whole_space_counts_addresses_nobody_was_seen_at() {
    let house = moved();
    let rows = house.rows(&["atlas", "diff", "2024-10-01", "2025-01-01", "--space"]);
    let mut moves: Vec<_> = rows
        .iter()
        .map(|r| {
            format!("{} {} {}", text(r, "before"), text(r, "after"), r["addresses_v4"])
        })
        .collect();
    moves.sort();
    assert_eq!(moves, ["org-0 org-1 256", "org-1 - 256"]);
    let seen = house.rows(&["atlas", "diff", "2024-10-01", "2025-01-01"]);
    assert!(seen.iter().all(|row| row["clients"] == 1), "{seen:?}");
}

#[test]
fn a_look_up_tells_every_opinion_and_who_came_after() {
    let house = moved();
    let rows = house.rows(&["atlas", "lookup", "198.18.0.9", "--on", "2024-12-01"]);
    let of = |what: &str| -> Vec<String> {
        let found = rows.iter().filter(|row| text(row, "what").starts_with(what));
        found.map(|row| text(row, "value").to_owned()).collect()
    };
    assert_eq!(of("organisation"), ["org-0"]);
    assert_eq!(of("standing"), ["disputed"]);
    assert_eq!(of("why"), ["a holder row stands over every other source"]);
    assert_eq!(of("before"), ["the same throughout"]);
    assert_eq!(of("after"), ["org-1, 2025-01-01 to ever"]);
    let opinions = of("opinion");
    let [before, holds, after] = opinions.as_slice() else { panic!("{opinions:?}") };
    assert!(before.starts_with("before: holders of 2024-01-01"), "{before}");
    assert!(holds.starts_with("holds: holders of 2024-10-01"), "{holds}");
    assert!(after.ends_with("= org-1"), "{after}");
    let rule = ["--gap", "unattributed"];
    let lookup = ["atlas", "lookup", "198.18.0.9", "--on", "2024-12-01"];
    let rows = house.rows(&[&lookup[..], &rule].concat());
    let nobody = rows.iter().find(|row| text(row, "what") == "organisation").unwrap();
    assert_eq!(text(nobody, "value"), "-");
}

#[test]
fn a_trend_stands_on_both_maps_and_says_how_its_holders_are_proven() {
    let house = moved();
    let trend = ["census", "--product", "kaspersky", "--by", "month"];
    let rows = house.rows(&trend);
    let maps: Vec<_> =
        rows.iter().map(|row| (text(row, "on"), text(row, "month"))).collect();
    assert_eq!(
        maps,
        [
            ("2024-04-02", "2024-04"),
            ("2024-04-02", "2024-11"),
            ("each-day", "2024-04"),
            ("each-day", "2024-11"),
        ]
    );
    let words = house.run(&[&trend[..], &["--format", "csv"]].concat()).words;
    // 42 clients on two days of April, 13 on two of November, 3 of those disputed.
    assert!(words.contains("holders of address-days are told"), "{words}");
    assert!(words.contains("by the rule carry"), "{words}");
    let chosen = ["--on", "2024-04-02"];
    let rows = house.rows(&[&trend[..], &chosen].concat());
    assert!(rows.iter().all(|row| row["on"].is_null()), "one map, no column");
}

#[test]
fn known_leaves_later_tables_out_of_every_count() {
    let house = moved();
    let on = ["census", "--internal", "--by", "country", "--on", "2025-06-01"];
    let france = |known: &[&str]| {
        let rows = house.rows(&[&on[..], known].concat());
        rows.iter().filter(|row| row["country"] == "FR").count()
    };
    assert_eq!(france(&[]), 1);
    assert_eq!(france(&["--known", "2024-12-31"]), 0);
}

#[test]
fn draws_give_the_error_of_attribution_an_interval() {
    let intervals = |house: &House| {
        let rows = house.rows(&[
            "assess",
            "--policy",
            "US-BIS-2024-updates",
            "--replicates",
            "199",
            "--draws",
            "4",
        ]);
        let of_all = rows.into_iter().filter(|row| {
            row["stratum"] == "all"
                && row["quantity"] == "cohort removal"
                && text(row, "interval").starts_with("attribution alone (4 draws)")
        });
        of_all
            .map(|row| {
                let value = |column: &str| row[column].as_f64().unwrap();
                (value("low"), value("high"))
            })
            .collect::<Vec<_>>()
    };
    let house = filled();
    let [(low, high)] = intervals(&house)[..] else { panic!("one interval") };
    assert!((high - low).abs() < 1e-12, "your own rows are not doubted");

    let doubtful = house.file(
        "doubt.csv",
        (0..42).fold(
            "prefix,organisation,country,sector,kind,confidence\n".to_owned(),
            |csv, network| {
                format!(
                    "{csv}198.18.{network}.0/24,doubt-{network},US,technology,own,0.6\n"
                )
            },
        ),
    );
    for snapshot in ["2024-01-01", "2024-12-01"] {
        // The first source by name wins.
        house.done(&[
            "atlas",
            "import",
            "--source",
            "holders",
            "--name",
            "a",
            "--snapshot",
            snapshot,
            &doubtful,
        ]);
    }
    let [(low, high)] = intervals(&house)[..] else { panic!("one interval") };
    assert!(high - low > 0.01, "{low} {high}");
    let one = house.run(&["assess", "--policy", "US-BIS-2024-updates", "--draws", "1"]);
    assert_eq!(one.code, 1, "{}", one.words);
}

#[test]
fn a_map_is_found_again_until_it_is_damaged_or_a_table_comes() {
    let house = moved();
    let mut csv = "prefix,organisation,name,country,sector,kind\n".to_owned();
    for network in 0..12_000u32 {
        // Names that no compression makes small.
        let name = network.wrapping_mul(2_654_435_769);
        let (a, b) = (network / 256, network % 256);
        writeln!(csv, "100.{}.{b}.0/24,big-{name},{name:x},US,finance,own", 64 + a)
            .unwrap();
    }
    house.file("big.csv", csv);
    let import = ["atlas", "import", "--source", "holders", "--name", "big"];
    house.done(&[&import[..], &["--snapshot", "2024-01-01", "big.csv"]].concat());
    let export = ["atlas", "export", "--from", "2024-04-01", "--to", "2025-02-01"];
    let export = [&export[..], &["--format", "csv"]].concat();
    let made = house.done(&export);
    assert!(made.lines().count() > 12_000);

    let lake = house.path("lake");
    let files = |folder: &str| -> Vec<_> {
        let entries = std::fs::read_dir(lake.join(folder)).unwrap();
        entries.map(|e| e.unwrap().path()).filter(|p| p.is_file()).collect()
    };
    let tables = files("atlas");
    let aside: Vec<_> = tables.iter().map(|t| t.with_extension("aside")).collect();
    let rename = |from: &[std::path::PathBuf], to: &[std::path::PathBuf]| {
        for (from, to) in from.iter().zip(to) {
            std::fs::rename(from, to).unwrap();
        }
    };
    rename(&tables, &aside);
    assert_eq!(house.done(&export), made, "found again: nothing is left to make it of");
    let other = [&export[..], &["--gap", "unattributed"]].concat();
    assert_eq!(house.run(&other).code, 1, "another map");

    let [kept] = files("kept").try_into().unwrap();
    let mut bytes = std::fs::read(&kept).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&kept, bytes).unwrap();
    assert_eq!(house.run(&export).code, 1, "what is damaged is not believed");
    rename(&aside, &tables);
    assert_eq!(house.done(&export), made, "and is made again");

    house.file("more.csv", "prefix,organisation\n203.0.113.0/24,somebody\n");
    house.done(&[&import[..], &["--snapshot", "2024-01-02", "more.csv"]].concat());
    assert!(house.done(&export).contains("somebody"));
}

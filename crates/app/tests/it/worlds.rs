//! Worlds by hand: made, ingested, assessed, and laid beside their truth.

use std::collections::BTreeMap;

use tidegauge_simulate::{Params, Replicates};

use crate::run::House;

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn what_is_printed_of_a_world_makes_it() {
    let house = House::new();
    let printed = house.done(&["simulate", "--print-params", "c"]);
    assert!(printed.starts_with("# World C") && printed.contains("world = \"C\""));
    let params = house.file("c.toml", &printed);
    let small = ["--organisations", "0.002", "--seed", "5"];
    let by_file =
        [&["simulate", "--params", &params, "--out", "file"], &small[..]].concat();
    let by_name = [&["simulate", "--world", "C", "--out", "name"], &small[..]].concat();
    let told = house.run(&by_file);
    assert_eq!(told.code, 0, "{}", told.words);
    assert!(told.words.contains("world C"), "{}", told.words);
    house.done(&by_name);
    for name in
        ["truth/params.toml", "truth/cohorts.csv", "flows/exchange/2024-11.parquet"]
    {
        let read = |world: &str| {
            std::fs::read(house.path(&format!("{world}/{name}"))).unwrap()
        };
        assert!(read("file") == read("name"), "{name}");
    }
}

#[test]
fn parameters_that_make_no_world_are_refused_in_one_message() {
    let house = House::new();
    for (params, expected) in [
        ("seed = 1\nsed = 2\n", "unknown field `sed`"),
        ("[registry]\nwrong = 0.6\n", "parameter `registry (all together)` is 0.6"),
        ("world = \"G\"\n", "unknown variant `G`"),
        (
            "[endpoints]\nupdate = [\"a b:1\"]\n",
            "parameter `endpoints.update` is a b:1",
        ),
    ] {
        house.file("p.toml", params);
        let ended = house.run(&["simulate", "--params", "p.toml", "--out", "w"]);
        assert_eq!(ended.code, 1, "{}", ended.words);
        assert!(ended.words.contains(expected), "{expected}: {}", ended.words);
        assert_eq!(ended.words.matches("p.toml").count(), 1, "{}", ended.words);
        assert!(!house.path("w").exists());
    }
    // Usage: without a place to write to, or with two worlds.
    for wrong in
        [&["--world", "B"][..], &["--params", "p.toml", "--world", "A", "--out", "w"]]
    {
        assert_eq!(house.run(&[&["simulate"], wrong].concat()).code, 2);
    }
}

/// Makes a world and reads the flows of its two wide vantages, on the first snapshot of its
/// registry or on all.
fn read_in(house: &House, world: &[&str], snapshots: &[&str]) {
    house.done(&[&["simulate", "--out", "w"], world].concat());
    for snapshot in snapshots {
        let file = format!("w/registry/holders-{snapshot}.csv");
        let import = ["atlas", "import", "--source", "holders", "--snapshot", snapshot];
        house.done(&[&import[..], &[&file]].concat());
    }
    for vantage in ["exchange", "carrier"] {
        let flows = format!("w/flows/{vantage}");
        let wide = ["--vantages", "w/vantages", "--mapping", "w/mapping.toml"];
        house.done(&[&["ingest", &flows, "--vantage", vantage], &wide[..]].concat());
    }
}

/// Days seen and with a control, by organisation, vantage and week.
type Weeks = BTreeMap<(String, String, u64), [u32; 2]>;

/// What is drawn without files is, week by week, what the commands of a user make of the files,
/// contacts and controls alike: so what replicates say of estimates holds for telemetry.
#[test]
fn a_replicate_is_the_panel_of_its_telemetry() {
    for (world, seed) in [("A", 31), ("C", 32), ("F", 33)] {
        let house = House::new();
        let seed_word = seed.to_string();
        let small = ["--world", world, "--organisations", "0.01", "--seed", &seed_word];
        let eyeball = ["--eyeball", "0.001"];
        read_in(&house, &[&small[..], &eyeball].concat(), &["2024-01-01"]);
        let mut read = Weeks::new();
        let asked = ["panel", "--internal", "--product", "kaspersky"];
        let mut place = ((String::new(), String::new()), 0);
        for row in house.rows(&asked) {
            let key = (
                text(&row["organisation"]).to_owned(),
                text(&row["vantage"]).to_owned(),
            );
            place = (key.clone(), if key == place.0 { place.1 + 1 } else { 0 });
            let count =
                |name: &str| u32::try_from(row[name].as_u64().unwrap()).unwrap();
            let counts = [count("days_seen"), count("days_control")];
            read.insert((key.0, key.1, place.1), counts);
        }
        let params =
            format!("world = \"{world}\"\norganisations = 0.01\neyeball = 0.001\n");
        let replicates = Replicates::new(&Params::read(&params).unwrap()).unwrap();
        let mut drawn = Weeks::new();
        for history in &replicates.draw(seed).unwrap().panel.histories {
            for (week, cell) in (0..).zip(&history.weeks) {
                let key =
                    (history.organisation.to_string(), history.vantage.to_string());
                let counts = [cell.seen, cell.control].map(u8::count_ones);
                drawn.insert((key.0, key.1, week), counts);
            }
        }
        // Which days one of them was in a footprint is not compared: a footprint is of networks,
        // and others live in them; estimates take the days on which a vantage looked at all.
        let differ: Vec<_> =
            drawn.iter().filter(|(k, v)| read.get(*k) != Some(*v)).collect();
        let first = differ.first().map(|(k, v)| (k, v, read.get(*k)));
        assert!(
            differ.is_empty(),
            "{world}: {} of {}: {first:?}",
            differ.len(),
            drawn.len()
        );
        let others = read.keys().filter(|k| !drawn.contains_key(*k)).count();
        assert_eq!(others, 0, "{world}");
    }
}

#[test]
fn a_world_gone_dark_is_judged_by_its_truth() {
    let house = House::new();
    let small = ["--organisations", "0.03", "--eyeball", "0.001"];
    read_in(
        &house,
        &[&["--world", "C"], &small[..]].concat(),
        &["2024-01-01", "2024-10-01"],
    );
    let said =
        house.done(&["--format", "json", "assess", "--policy", "US-BIS-2024-updates"]);
    house.file("said.json", &said);
    let judge = ["simulate", "score", "--truth", "w/truth", "--assess", "said.json"];
    let judged = house.done(&[&["--format", "json"], &judge[..]].concat());
    let judged: serde_json::Value = serde_json::from_str(&judged).unwrap();
    assert_eq!(text(&judged["world"]), "C");
    assert!(judged["hidden"].as_f64().unwrap() > 0.4, "{}", judged["hidden"]);
    let rows = judged["rows"].as_array().unwrap();
    let whole = |estimand: &str| {
        let is_it = |r: &&serde_json::Value| {
            text(&r["country"]) == "all"
                && text(&r["sector"]) == "all"
                && text(&r["estimand"]) == estimand
        };
        rows.iter().find(is_it).unwrap()
    };
    let naive = whole("cohort_removal");
    // What the assessment counts is what a perfect counter of the same files finds.
    let number = |key: &str| naive[key].as_f64().unwrap();
    assert!((number("estimate") - number("as_seen")).abs() < 0.02, "{naive}");
    assert!(number("truth") < 0.25 && number("estimate") > 0.55, "{naive}");
    assert_eq!(text(&naive["verdict"]), "not covered");
    let corrected = whole("removal_corrected");
    assert_ne!(text(&corrected["verdict"]), "refused, needlessly", "{corrected}");
    silence_in_the_dark_proves_nothing(&house);
    let table = house.run(&judge);
    assert_eq!(table.code, 0);
    assert!(table.out.contains("cohort_removal") && table.words.contains("world C"));
    let other =
        house.run(&["simulate", "score", "--truth", "w", "--assess", "said.json"]);
    assert_eq!(other.code, 1, "{}", other.words);
}

/// Of networks that went dark no finding becomes `verified_removed`, whatever the chance to see
/// a user where there is light.
fn silence_in_the_dark_proves_nothing(house: &House) {
    let mut truth =
        csv::Reader::from_path(house.path("w/truth/organisations.csv")).unwrap();
    let rows: Vec<BTreeMap<String, String>> =
        truth.deserialize().map(Result::unwrap).collect();
    let listed = rows.iter().filter(|r| !r["prefixes"].is_empty()).map(|r| {
        format!("{0},{0},{1}\n", r["organisation"], r["prefixes"].replace(' ', ";"))
    });
    let listed: String = listed.collect();
    let ours = house.file("ours.csv", format!("id,name,prefixes\n{listed}"));
    let asked =
        ["exposure", "--portfolio", &ours, "--product", "kaspersky", "--dry-run"];
    let rows = house.rows(&[&asked[..], &["--assessment", "said.json"]].concat());
    let of = |state: &str| rows.iter().filter(|r| text(&r["state"]) == state).count();
    assert!(of("quiet") > 50 && of("verified_removed") == 0, "{} quiet", of("quiet"));
    let why =
        |r: &&serde_json::Value| text(&r["why"]).contains("silence may be darkness");
    assert!(rows.iter().filter(why).count() > 50);
}

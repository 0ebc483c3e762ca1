//! Worlds by hand: made, ingested, assessed, and laid beside their truth.

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

#[test]
fn a_world_gone_dark_is_judged_by_its_truth() {
    let house = House::new();
    let small = ["--organisations", "0.03", "--eyeball", "0.001"];
    house.done(&[&["simulate", "--world", "C", "--out", "w"], &small[..]].concat());
    for (snapshot, file) in [
        ("2024-01-01", "w/registry/holders-2024-01-01.csv"),
        ("2024-10-01", "w/registry/holders-2024-10-01.csv"),
    ] {
        house.done(&[
            "atlas",
            "import",
            "--source",
            "holders",
            "--snapshot",
            snapshot,
            file,
        ]);
    }
    for vantage in ["exchange", "carrier"] {
        let flows = format!("w/flows/{vantage}");
        let wide = ["--vantages", "w/vantages", "--mapping", "w/mapping.toml"];
        house.done(&[&["ingest", &flows, "--vantage", vantage], &wide[..]].concat());
    }
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
    let table = house.run(&judge);
    assert_eq!(table.code, 0);
    assert!(table.out.contains("cohort_removal") && table.words.contains("world C"));
    let other =
        house.run(&["simulate", "score", "--truth", "w", "--assess", "said.json"]);
    assert_eq!(other.code, 1, "{}", other.words);
}

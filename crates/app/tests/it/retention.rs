//! Addresses that are kept for some months, and what is counted when they are gone.

use crate::run::House;
use crate::whole_way::filled;

/// Questions whose answers must stay: counts, and what an act did to organisations.
fn answers(house: &House) -> Vec<Vec<serde_json::Value>> {
    let census = ["census", "--product", "kaspersky", "--internal", "--on", "each-day"];
    let by = |by: &'static [&'static str]| house.rows(&[&census[..], by].concat());
    vec![
        by(&["--by", "month,country,sector,kind"]),
        by(&["--by", "month,vantage"]),
        by(&["--by", "week"]),
        house.rows(&[
            "panel",
            "--product",
            "kaspersky",
            "--internal",
            "--on",
            "each-day",
        ]),
    ]
}

fn retain(house: &House, before: &str) -> serde_json::Value {
    let run = ["lake", "retention", "--before", before, "--key", "keys"];
    house.rows(&run).remove(0)
}

/// Distinct clients, and how many of them are pseudonyms.
fn clients(house: &House, days: &str) -> (u64, u64) {
    let query = format!(
        "SELECT count(DISTINCT address) AS n, count(DISTINCT CASE WHEN address LIKE \
         'pseudonym:%' THEN address END) AS p FROM holders h JOIN sightings s ON \
         h.ip_hi = s.ip_hi AND h.ip_lo = s.ip_lo WHERE s.day {days}"
    );
    let row = house.rows(&["sql", &query]).remove(0);
    let number = |key: &str| row[key].as_u64().unwrap();
    (number("n"), number("p"))
}

#[test]
fn of_two_files_of_keys_a_lake_takes_one() {
    let house = filled();
    house.done(&["lake", "key", "a"]);
    house.done(&["lake", "key", "b"]);
    let program = env!("CARGO_BIN_EXE_tidegauge");
    let begun = ["a", "b"].map(|key| {
        let mut run = std::process::Command::new(program);
        run.current_dir(house.path("")).args(["lake", "retention", "--key", key]);
        run.args(["--before", "2024-07-01"]).env_remove("TIDEGAUGE_LAKE");
        run.stderr(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        run.spawn().unwrap()
    });
    let ended = begun.map(|mut run| run.wait().unwrap().success());
    // The one that was refused is refused, the other taken.
    let again = ["a", "b"].map(|key| {
        house.run(&["lake", "retention", "--before", "2024-07-01", "--key", key]).code
            == 0
    });
    assert_eq!(again.iter().filter(|taken| **taken).count(), 1, "{ended:?} {again:?}");
    assert!(ended.iter().zip(&again).all(|(ended, again)| !ended || *again));
    let (all, pseudonyms) = clients(&house, "< '2024-07-01'");
    assert_eq!(all, pseudonyms);
}

#[test]
fn what_is_counted_stays_when_pseudonyms_stand_for_addresses() {
    let house = filled();
    let before = answers(&house);
    let (raw, none) = clients(&house, "< '2024-07-01'");
    assert!(raw >= 42 && none == 0, "{raw} {none}");
    house.done(&["lake", "key", "keys"]);
    let done = retain(&house, "2024-07-01");
    assert!(done["rows"].as_u64() >= Some(42), "{done}");
    assert_eq!((&done["files_unnamed"], &done["of_nobody"]), (&0.into(), &0.into()));
    assert_eq!(answers(&house), before);
    assert_eq!(clients(&house, "< '2024-07-01'"), (raw, raw));
    let (later, none) = clients(&house, ">= '2024-07-01'");
    assert!(later > 0 && none == 0, "{later} {none}");

    // Once more there is nothing to do; a key more makes others of them.
    assert_eq!(retain(&house, "2024-07-01")["rows"], 0);
    house.done(&["lake", "key", "keys"]);
    assert_eq!(retain(&house, "2024-07-01")["rows"], done["rows"]);
    assert_eq!(answers(&house), before);
    house.done(&["lake", "check"]);
    house.done(&["lake", "compact"]);
    assert_eq!(answers(&house), before);

    // A writer that died leaves a file.
    let months = std::fs::read_dir(house.path("lake/sightings")).unwrap();
    let month = months.map(|entry| entry.unwrap().path()).find(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("month="))
    });
    std::fs::write(month.unwrap().join("part-dead.parquet"), "").unwrap();
    assert_eq!(retain(&house, "2024-07-01")["files_unnamed"], 1);

    // What comes late gets the pseudonyms that are there.
    house.done(&["ingest", "logs", "--vantage", "late"]);
    assert_eq!(retain(&house, "2024-07-01")["rows"], done["rows"]);
    assert_eq!(clients(&house, "< '2024-07-01'"), (raw, raw));
}

#[test]
fn a_question_across_the_day_says_that_addresses_count_twice() {
    let house = filled();
    house.done(&["lake", "key", "keys"]);
    retain(&house, "2024-07-01");
    let census = ["census", "--product", "kaspersky", "--internal", "--on", "each-day"];
    let words = |by: &[&str]| {
        let csv = ["--format", "csv"];
        house.run(&[&csv[..], &census, by].concat()).words
    };
    let told = "pseudonyms stand for the addresses of days before 2024-07-01";
    let by_country = words(&["--by", "country"]);
    assert!(by_country.contains(told), "{by_country}");
    assert!(by_country.contains("as known when pseudonyms were made"), "{by_country}");
    assert!(!words(&["--by", "month"]).contains(told));
}

#[test]
fn other_keys_no_holders_and_days_to_come_are_refused() {
    let house = filled();
    let run = |before: &str, key: &str| {
        let ended = house.run(&["lake", "retention", "--before", before, "--key", key]);
        assert_eq!(ended.code, 1, "{}", ended.words);
        ended.words
    };
    assert!(run("2024-07-01", "keys").contains("`tidegauge lake key FILE` makes one"));
    house.done(&["lake", "key", "keys"]);
    house.done(&["lake", "key", "other"]);
    assert!(run("2999-01-01", "keys").contains(", not from 2999-01-01"));
    let far = ["lake", "retention", "--months", "65535", "--key", "keys"];
    assert_eq!(house.run(&far).code, 1, "no day that could not be read back");
    retain(&house, "2024-05-01");
    let words = run("2024-07-01", "other");
    assert!(words.contains("with this file an address would have two"), "{words}");
    let keys = std::fs::read_to_string(house.path("keys")).unwrap();
    let key = keys.lines().nth(1).unwrap();
    assert!(!words.contains(key));
    assert!(!house.done(&["sql", "SELECT * FROM runs"]).contains(key));
    house.file("broken", keys.replace(key, "abc"));
    let words = run("2024-07-01", "broken");
    assert!(words.contains("line 2 is not a key"), "{words}");
    assert!(words.contains("others than its owner may read"), "{words}");
    let inside = house.run(&["lake", "key", "lake/keys"]);
    assert!(inside.code == 1 && inside.words.contains("is inside the lake"));
    assert_eq!(house.done(&["lake", "check"]).lines().count(), 1);

    let bare = House::new();
    let path = house.path("logs").to_str().unwrap().to_owned();
    bare.done(&["ingest", &path, "--vantage", "probe"]);
    bare.done(&["lake", "key", "keys"]);
    let run = ["lake", "retention", "--months", "0", "--key", "keys"];
    let ended = bare.run(&run);
    assert!(
        ended.code == 1 && ended.words.contains("nobody's for ever"),
        "{}",
        ended.words
    );
    bare.done(&[&run[..], &["--without-holders"]].concat());
}

//! From Zeek logs and a registry of two dates to counts, estimates and a report.
//!
//! The logs are made here, so that every figure can be worked out by hand.

use std::fmt::Write as _;

use crate::run::House;
use crate::served::Served;

/// Update servers of a watched product and of a control.
const SUBJECT: &str = "s07.upd.kaspersky.com";
const CONTROL: &str = "download.windowsupdate.com";
/// 2024-04-02 12:00 UTC and 2024-11-05 12:00 UTC.
const APRIL: i64 = 1_712_059_200;
const NOVEMBER: i64 = 1_730_808_000;
const DAY: i64 = 86_400;

/// Thirty organisations in the US and twelve in Germany, a /24 each: 198.18.N.0. All
/// contact the servers on two days of April; in November the first ten and the first
/// three do.
pub(crate) fn logs() -> (String, String) {
    let mut conn = "#separator \\x09\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\t\
                    id.resp_h\tid.resp_p\tproto\tduration\torig_bytes\tresp_bytes\thistory\t\
                    orig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\n"
        .to_owned();
    let mut ssl =
        "#separator \\x09\n#path\tssl\n#fields\tts\tuid\tid.orig_h\tid.orig_p\t\
                   id.resp_h\tid.resp_p\tserver_name\n"
            .to_owned();
    let mut uid = 0;
    let mut contact = |at: i64, network: u32, host: &str| {
        uid += 1;
        writeln!(
            conn,
            "{at}.5\tC{uid}\t198.18.{network}.9\t40000\t203.0.113.5\t443\ttcp\t1.0\t900\t\
             90000\tShADadFf\t12\t1500\t70\t93000"
        )
        .unwrap();
        writeln!(
            ssl,
            "{at}.6\tC{uid}\t198.18.{network}.9\t40000\t203.0.113.5\t443\t{host}"
        )
        .unwrap();
    };
    for network in 0..42 {
        let stays = network < 10 || (30..33).contains(&network);
        for start in [APRIL, NOVEMBER] {
            for day in 0..2 {
                contact(start + day * DAY, network, CONTROL);
                if start == APRIL || stays {
                    contact(start + day * DAY, network, SUBJECT);
                }
            }
        }
    }
    (conn, ssl)
}

fn registry() -> String {
    let mut csv = "prefix,organisation,name,country,sector,kind\n".to_owned();
    for network in 0..42 {
        let country = if network < 30 { "US" } else { "DE" };
        writeln!(
            csv,
            "198.18.{network}.0/24,org-{network},Organisation {network},{country},\
             technology,own"
        )
        .unwrap();
    }
    csv
}

pub(crate) fn filled() -> House {
    let house = House::new();
    let (conn, ssl) = logs();
    house.file("logs/conn.log", conn);
    house.file("logs/ssl.log", ssl);
    let registry = house.file("registry.csv", registry());
    for snapshot in ["2024-01-01", "2024-10-01"] {
        let import = [
            "atlas",
            "import",
            "--source",
            "holders",
            "--snapshot",
            snapshot,
            &registry,
        ];
        house.done(&import);
    }
    house.done(&["ingest", "logs", "--vantage", "probe"]);
    house
}

pub(crate) fn count(
    rows: &[serde_json::Value],
    key: (&str, &str),
    column: &str,
) -> serde_json::Value {
    let row = rows.iter().find(|r| r[key.0] == key.1);
    row.unwrap_or_else(|| panic!("no {key:?} in {rows:?}"))[column].clone()
}

#[test]
fn counts_are_those_worked_out_by_hand() {
    let house = filled();
    let census = ["census", "--product", "kaspersky", "--by", "month,country"];
    let rows = house.rows(&census);
    let at = |month: &str, country: &str| {
        let row = rows.iter().find(|r| r["month"] == month && r["country"] == country);
        row.map(|r| r["organisations_active"].clone())
    };
    assert_eq!(at("2024-04", "US"), Some(30.into()));
    assert_eq!(at("2024-04", "DE"), Some(12.into()));
    assert_eq!(at("2024-11", "US"), Some(10.into()));
    assert_eq!(
        at("2024-11", "DE"),
        Some("suppressed".into()),
        "three are too few to show"
    );

    let mut internal = census.to_vec();
    internal.push("--internal");
    let rows = house.rows(&internal);
    let germany = rows.iter().find(|r| r["month"] == "2024-11" && r["country"] == "DE");
    assert_eq!(germany.unwrap()["organisations"], 3);
}

#[test]
fn windows_tell_who_stayed_and_who_left() {
    let house = filled();
    let census = ["census", "--product", "kaspersky", "--internal", "--on", "each-day"];
    let windows = ["--by", "country", "--window", "2024-04", "--window", "2024-11"];
    let rows = house.rows(&[&census[..], &windows[..]].concat());
    let told: Vec<_> = rows
        .iter()
        .map(|r| [&r["country"], &r["windows"], &r["organisations_active"]].map(text))
        .collect();
    assert_eq!(
        told,
        [
            ["DE", "1", "9"].map(str::to_owned),
            ["DE", "1+2", "3"].map(str::to_owned),
            ["US", "1", "20"].map(str::to_owned),
            ["US", "1+2", "10"].map(str::to_owned),
        ]
    );
    let unequal =
        [&census[..], &["--window", "2024-04", "--window", "2024-05"]].concat();
    let refused = house.run(&unequal);
    assert_eq!(refused.code, 1);
    assert!(refused.words.contains("no vantage covered"), "{}", refused.words);
    let unequal =
        [&census[..], &["--window", "2024-04", "--window", "2024-11-01..2024-11-10"]];
    let refused = house.run(&unequal.concat());
    assert!(refused.words.contains("differ in length"), "{}", refused.words);
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The total of a table is published beside it, by month: a table with one cell hidden would
/// give it away by subtraction.
#[test]
fn a_report_hides_no_cell_alone() {
    let house = filled();
    house.done(&["report", "--out", "out", "--policy", "US-BIS-2024-updates"]);
    let mut hidden = 0;
    for release in house.rows(&["releases", "list"]) {
        let rows = house.rows(&["releases", "show", &text(&release["id"])]);
        let of = rows.iter().filter(|row| row["organisations"] == "suppressed").count();
        assert!(of != 1 || rows.len() == 1, "{release}: {rows:?}");
        hidden += of;
    }
    assert!(hidden > 1, "of three in Germany nothing may be told");
}

/// The lines of a log that are of Germany, those who left among them, as of November.
fn of_november(log: &str) -> String {
    let line = |line: &str| -> Option<String> {
        let Some((at, rest)) = line.split_once('.').filter(|_| !line.starts_with('#'))
        else {
            return Some(line.to_owned());
        };
        let network: u32 =
            line.split("198.18.").nth(1)?.split('.').next()?.parse().ok()?;
        let at: i64 = at.parse().ok()?;
        let of = network >= 33 && at < NOVEMBER;
        of.then(|| format!("{}.{rest}", at + NOVEMBER - APRIL))
    };
    log.lines().filter_map(line).map(|line| line + "\n").collect()
}

/// A report hid Germany in November and the United States with it. Nine more of Germany come to
/// light: of those who read no report everything is shown, of its readers nothing, or they could
/// subtract.
#[test]
fn what_a_report_hid_stays_hidden() {
    let late = |house: &House| {
        let (conn, ssl) = logs();
        house.file("late/conn.log", of_november(&conn));
        house.file("late/ssl.log", of_november(&ssl));
        house.done(&["ingest", "late", "--vantage", "probe"]);
    };
    let shown = |house: &House, on: &str| {
        let rows = house.rows(&[
            "census",
            "--product",
            "kaspersky",
            "--by",
            "country",
            "--on",
            on,
            "--from",
            "2024-11-01",
            "--to",
            "2024-11-30",
        ]);
        ["US", "DE"].map(|of| count(&rows, ("country", of), "organisations"))
    };
    let (all, none) = ([10, 12].map(serde_json::Value::from), ["suppressed"; 2]);
    let none = none.map(serde_json::Value::from);
    let unread = filled();
    late(&unread);
    assert_eq!(shown(&unread, "2024-04-01"), all);

    let house = filled();
    house.done(&["report", "--out", "out", "--policy", "US-BIS-2024-updates"]);
    late(&house);
    for map in ["2024-04-01", "2024-04-02", "each-day"] {
        assert_eq!(shown(&house, map), none, "the map of {map}");
    }
    let released = house.rows(&["releases", "list"]);
    let ids: Vec<String> = released.iter().map(|row| text(&row["id"])).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    house.done(&[&["releases", "withdraw"], ids.as_slice()].concat());
    let listed = house.rows(&["releases", "list"]);
    assert!(listed.iter().all(|row| row["withdrawn"] == "yes"), "{listed:?}");
    assert_eq!(shown(&house, "2024-04-01"), all);
}

#[test]
fn noise_protects_where_nothing_exact_was_released() {
    let house = filled();
    let key = |name: &str, digit: &str| {
        house.file(name, format!("tidegauge-keys 1\n{}\n", digit.repeat(64)))
    };
    let (one, other) = (key("one.key", "1"), key("other.key", "2"));
    let by = |key: &str, by: &str| {
        let census = ["census", "--product", "kaspersky", "--by", by, "--epsilon", "4"];
        let days = ["--from", "2024-04-01", "--to", "2024-11-30", "--key", key];
        house.run(&[&["--format", "json"], &census[..], &days].concat())
    };
    let told = by(&one, "month,country").out;
    let document: serde_json::Value = serde_json::from_str(&told).unwrap();
    let rows = document["rows"].as_array().unwrap();
    let row = rows.iter().find(|r| r["month"] == "2024-04" && r["country"] == "US");
    let us = row.unwrap_or_else(|| panic!("{rows:?}"));
    let end = |name: &str| us[name].as_u64().unwrap();
    assert!(end("organisations").abs_diff(30) < 12, "eight months, epsilon 4: {us}");
    assert_eq!(end("high") - end("organisations"), end("organisations") - end("low"));
    assert!(
        rows.iter().all(|r| r["month"] == "2024-04"),
        "others are within the noise"
    );
    assert_eq!(by(&one, "month,country").out, told, "asked again");
    assert_ne!(by(&other, "month,country").out, told, "another key");

    let refused = by(&one, "vantage");
    assert_eq!(refused.code, 1);
    assert!(refused.words.contains("not by vantage"), "{}", refused.words);

    house.done(&["report", "--out", "out", "--policy", "US-BIS-2024-updates"]);
    let refused = by(&one, "month,country");
    assert_eq!(refused.code, 1);
    assert!(refused.words.contains("protects nobody"), "{}", refused.words);
}

/// A release whose April has twice the addresses today, on its pages: for the operator with the
/// cause, for everybody without.
fn on_a_page(house: &House, id: &str) {
    let path = format!("/api/v1/releases/{id}");
    let page = format!("/releases/{id}");
    let operator = Served::start(house, &["--internal"]);
    let (_, told) = operator.get(&path, None);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let april = &told["rows"][0];
    assert_eq!(april["key"]["month"], "2024-04", "{told}");
    assert_eq!(april["published"]["addresses_v4"], 42);
    assert_eq!(april["today"]["addresses_v4"], 84);
    assert_eq!(told["release"]["versions"]["program"], env!("CARGO_PKG_VERSION"));
    let (_, why) = operator.get(&format!("{path}/causes"), None);
    assert!(why.contains("by telemetry that came later"), "{why}");
    assert!(operator.get(&page, None).1.contains("<h2>Why</h2>"));
    drop(operator);
    let everybody = Served::start(house, &[]);
    assert_eq!(everybody.get(&format!("{path}/causes"), None).0, 403);
    let (status, body) = everybody.get(&page, None);
    assert_eq!(status, 200);
    assert!(body.contains("As published on") && !body.contains("<h2>Why</h2>"));
    let listed = everybody.get("/releases", None).1;
    assert!(listed.contains(&id.replace(':', "%3A")), "{listed}");
}

#[test]
fn what_was_published_is_kept_and_what_moved_it_is_told() {
    let house = filled();
    house.done(&["report", "--out", "out", "--policy", "US-BIS-2024-updates"]);
    let listed = house.rows(&["releases", "list"]);
    let months =
        listed.iter().find(|r| r["by"] == "month" && r["holders"] == "each-day");
    let id = text(&months.unwrap()["id"]);
    let compared = || house.rows(&["releases", "compare", &id]);
    assert_eq!(compared(), Vec::<serde_json::Value>::new(), "nothing has changed");

    // Eleven more of the United States, seen late, and a register that splits nobody.
    let (conn, ssl) = logs();
    let late = |log: &str| log.replace("198.18.", "198.19.");
    house.file("late/conn.log", late(&conn));
    house.file("late/ssl.log", late(&ssl));
    house.done(&["ingest", "late", "--vantage", "probe"]);
    let rows = compared();
    let addresses =
        rows.iter().find(|r| r["month"] == "2024-04" && r["unit"] == "addresses_v4");
    let addresses = addresses.unwrap();
    for column in ["published", "recounted", "with_catalog", "with_holders"] {
        assert_eq!(addresses[column], 42, "{column}");
    }
    assert_eq!(addresses["today"], 84);
    let shown = house.rows(&["releases", "show", &id]);
    let april = shown.iter().find(|r| r["month"] == "2024-04").unwrap();
    assert_eq!(april["addresses_v4"], 42, "what was published stays");
    on_a_page(&house, &id);

    house.done(&["lake", "forget", "--before", "2024-05-01"]);
    let rows = compared();
    let of =
        |r: &&serde_json::Value| r["month"] == "2024-04" && r["unit"] == "contacts";
    let contacts = rows.iter().find(of).unwrap();
    assert!(contacts["recounted"].is_null(), "the files of then are gone: {contacts}");
    assert_eq!((&contacts["published"], &contacts["today"]), (&84.into(), &0.into()));
}

#[test]
fn the_past_is_read_and_never_written() {
    let house = filled();
    let census = ["--as-of", "2020-01-01", "census"];
    let empty = house.run(&census);
    assert!(empty.words.contains("is empty"), "{}", empty.words);
    let refused =
        house.run(&["--as-of", "2020-01-01", "ingest", "logs", "--vantage", "x"]);
    assert_eq!(refused.code, 1);
    assert!(refused.words.contains("leave --as-of away"), "{}", refused.words);
    let exposure = ["--as-of", "2020-01-01", "exposure", "--portfolio", "ours.csv"];
    let refused = house.run(&exposure);
    assert_eq!(refused.code, 1);
    assert!(refused.words.contains("--dry-run"), "{}", refused.words);
}

#[test]
fn the_same_input_twice_changes_nothing() {
    let house = filled();
    let before = house.done(&["census", "--by", "product", "--format", "csv"]);
    std::fs::rename(house.path("logs/conn.log"), house.path("logs/renamed.log"))
        .unwrap();
    let again = house.rows(&["ingest", "logs", "--vantage", "probe"]);
    assert_eq!(count(&again, ("what", "inputs known already"), "count"), 2);
    assert_eq!(house.done(&["census", "--by", "product", "--format", "csv"]), before);
}

#[test]
fn removal_stands_beside_net_change_with_intervals() {
    let house = filled();
    let rows = house.rows(&["assess", "--policy", "US-BIS-2024-updates", "--internal"]);
    let us: Vec<_> = rows.iter().filter(|r| r["stratum"] == "country=US").collect();
    let removal: Vec<_> =
        us.iter().filter(|r| r["quantity"] == "cohort removal").collect();
    assert_eq!(removal.len(), 2, "Wilson and bootstrap: {us:?}");
    for row in &removal {
        let value = row["value"].as_f64().unwrap();
        assert!((value - 20.0 / 30.0).abs() < 1e-12);
        assert!(
            row["low"].as_f64().unwrap() < value
                && value < row["high"].as_f64().unwrap()
        );
        assert_eq!(row["identified"], "visibility not separated from usage");
    }
    assert_eq!(us.iter().filter(|r| r["quantity"] == "net change").count(), 1);
}

#[test]
fn the_document_of_an_assessment_says_what_is_not_identified() {
    let house = filled();
    let assess = |flags: &[&str]| -> serde_json::Value {
        let all = [&["--format", "json", "assess"][..], flags].concat();
        serde_json::from_str(&house.done(&all)).unwrap()
    };
    let public = assess(&[]);
    let group = |document: &serde_json::Value, country: &str| {
        let groups = document["groups"].as_array().unwrap().clone();
        let of =
            |g: &&serde_json::Value| g["country"] == country && g["sector"].is_null();
        groups.iter().find(of).unwrap().clone()
    };
    let internal = assess(&["--internal"]);
    // Forty-two organisations are too few for a model of who is seen.
    let us = group(&internal, "US");
    assert_eq!(us["n_baseline"], 30);
    assert!(
        (us["cohort_removal"]["value"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-12
    );
    assert!(us["removal_corrected"].is_null());
    assert_eq!(us["identified"], false);
    assert!(us["reason"].as_str().unwrap().starts_with("no-model: 42 organisations"));
    // Three stayed in Germany: nothing of it is told, and nothing of the only other country,
    // since the whole is told.
    for hidden in ["DE", "US"].map(|country| group(&public, country)) {
        for key in ["n_baseline", "cohort_removal", "net_change", "removal_corrected"] {
            assert!(hidden[key].is_null(), "{key}: {hidden}");
        }
        let reason = hidden["reason"].as_str().unwrap();
        assert!(reason.starts_with("suppressed"), "{hidden}");
    }
    assert_eq!(public["groups"][0]["n_baseline"], 42);
    assert_eq!(public["refusals"][0]["rule"], "no-model");
    let both = |document: &serde_json::Value| {
        let groups = document["groups"].as_array().unwrap().clone();
        groups.iter().any(|g| !g["country"].is_null() && !g["sector"].is_null())
    };
    assert!(!both(&public), "cells beside both margins would give hidden ones away");
    assert!(both(&internal));
    assert_eq!(group(&internal, "DE")["n_baseline"], 12);
}

#[test]
fn an_assessment_holds_every_estimator_or_its_rule() {
    let house = filled();
    let said = house.done(&["--format", "json", "assess"]);
    let document: serde_json::Value = serde_json::from_str(&said).unwrap();
    for key in [
        "survival",
        "hazard",
        "series",
        "comparison",
        "specifications",
        "forecast",
        "substitution",
        "unseen",
        "noise",
    ] {
        let readings = document[key].as_array().unwrap();
        assert!(!readings.is_empty(), "{key}");
        for reading in readings {
            let told = ["value", "low", "high"].iter().any(|k| reading[*k].is_number());
            assert!(told || reading["refused"]["rule"].is_string(), "{reading}");
            assert!(reading["of"] != "DE", "what the disclosure rule hides: {reading}");
        }
    }
    let checks = document["checks"].as_array().unwrap();
    assert!(checks.iter().any(|c| c["passed"].is_null()), "{checks:?}");
    assert_eq!(document["questions"].as_array().unwrap().len(), 5);
    let people = house.done(&["assess"]);
    let place = |heading: &str| people.find(heading).unwrap_or(usize::MAX);
    assert!(people.starts_with("verdict\n"), "{people}");
    assert!(place("\nquestions\n") < place("\nsurvival\n"), "{people}");
    assert!(place("\nnoise\n") < place("\nstrata\n"), "{people}");
    for heading in ["\nsurvival\n", "\nchecks\n", "\nquestions\n", "cannot be told: "] {
        assert!(people.contains(heading), "{heading}: {people}");
    }
}

#[test]
fn a_window_that_nobody_covered_is_not_identified() {
    let house = filled();
    let months = ["--before", "2024-04", "--after", "2025-11"];
    for verb in [&["assess"][..], &["report", "--out", "r"]] {
        let ended = house.run(&[verb, &months].concat());
        assert_eq!(ended.code, 1, "{}", ended.words);
        assert!(ended.words.contains("not identified"), "{}", ended.words);
    }
}

#[test]
fn estimates_give_no_hidden_cell_away() {
    let house = filled();
    let rows = house.rows(&["assess"]);
    let germany: Vec<_> =
        rows.iter().filter(|r| r["stratum"] == "country=DE").collect();
    assert!(!germany.is_empty());
    for row in germany {
        assert_eq!(row["still_or_after"], "suppressed", "three stayed: {row:?}");
        assert_eq!(row["value"], "suppressed");
    }
}

#[test]
fn unequal_windows_are_refused() {
    let house = filled();
    let months = ["--before", "2024-04", "--after", "2024-03"];
    let ended = house.run(&[&["assess"][..], &months].concat());
    assert_eq!(ended.code, 1);
    assert!(ended.words.contains("does not come after"), "{}", ended.words);
}

#[test]
fn a_panel_has_a_row_for_each_week_and_is_for_the_operator() {
    let house = filled();
    let ended = house.run(&["panel", "--product", "kaspersky"]);
    assert_eq!(ended.code, 1);
    assert!(ended.words.contains("--internal"), "{}", ended.words);
    let rows = house.rows(&["panel", "--product", "kaspersky", "--internal"]);
    let one: Vec<_> = rows.iter().filter(|r| r["organisation"] == "org-0").collect();
    assert_eq!(one.len(), 32, "2024-04-02 to 2024-11-06 has days of 32 ISO weeks");
    assert_eq!(one[0]["days_seen"], 2);
    assert_eq!(one[0]["days_visible"], 2);
    assert_eq!(one[0]["days_control"], 2);
    assert_eq!(one[31]["days_seen"], 2);
    let gone: Vec<_> = rows.iter().filter(|r| r["organisation"] == "org-41").collect();
    assert_eq!(gone[31]["days_seen"], 0);
    assert_eq!(gone[31]["days_visible"], 2, "it left; it was still looked at");
}

#[test]
fn suppliers_are_told_apart() {
    let house = filled();
    house.file(
        "suppliers.csv",
        "name,domain,prefixes,asn\n\
         Stayer,stays.example,198.18.0.0/24,\n\
         Leaver,left.example,198.18.41.0/24,\n\
         Elsewhere,else.example,192.0.2.0/24,\n\
         Domain only,only.example,,\n",
    );
    let rows = house.rows(&[
        "exposure",
        "--portfolio",
        "suppliers.csv",
        "--product",
        "kaspersky",
    ]);
    let state = |subject: &str| count(&rows, ("subject", subject), "state");
    assert_eq!(state("Stayer"), "open");
    assert_eq!(state("Leaver"), "open", "two days are no week of silence");
    let why = count(&rows, ("subject", "Leaver"), "why");
    assert!(why.as_str().unwrap().contains("no whole week since"), "{why}");
    assert_eq!(state("Elsewhere"), "not_visible");
    assert_eq!(state("Domain only"), "not_checkable");
    let ledger = std::fs::read(house.path("lake.findings.jsonl")).unwrap();
    house.rows(&[
        "exposure",
        "--portfolio",
        "suppliers.csv",
        "--product",
        "kaspersky",
        "--out",
        "findings",
    ]);
    let again = std::fs::read(house.path("lake.findings.jsonl")).unwrap();
    assert_eq!(ledger, again, "the same import twice adds nothing");
    for form in ["findings.csv", "stix.json", "misp.json", "defectdojo.json"] {
        assert!(house.path("findings").join(form).is_file(), "{form}");
    }
    let finding = count(&rows, ("subject", "Leaver"), "finding");
    let finding = finding.as_str().unwrap();
    house.done(&[
        "exposure", "say", finding, "not_ours", "--who", "me", "--why", "sold",
    ]);
    let rows = house.rows(&[
        "exposure",
        "--portfolio",
        "suppliers.csv",
        "--product",
        "kaspersky",
        "--dry-run",
    ]);
    assert_eq!(count(&rows, ("subject", "Leaver"), "state"), "not_ours");
}

#[test]
fn what_changed_of_findings_is_told_once() {
    let house = filled();
    house.file(
        "suppliers.csv",
        "name,prefixes\nStayer,198.18.0.0/24\nLeaver,198.18.41.0/24\n",
    );
    house.file(
        "rules.toml",
        "schema_version = 1\n\
         [[channel]]\nname = \"log\"\nkind = \"syslog\"\n\
         address = \"127.0.0.1:9\"\n\
         [[rule]]\nname = \"all\"\non = [\"new\", \"quiet\"]\nchannels = [\"log\"]\n",
    );
    house.done(&["exposure", "--portfolio", "suppliers.csv", "--product", "kaspersky"]);
    house.done(&["watch", "--rules", "rules.toml", "--check"]);
    let would = house.rows(&["watch", "--rules", "rules.toml", "--dry-run"]);
    assert_eq!(would.len(), 2);
    let sent = |rows: &[_]| count(rows, ("what", "sent"), "count");
    assert_eq!(sent(&house.rows(&["watch", "--rules", "rules.toml"])), 2);
    assert_eq!(sent(&house.rows(&["watch", "--rules", "rules.toml"])), 0);
    house.file("rules.toml", "schema_version = 1\nrules = 3\n");
    let ended = house.run(&["watch", "--rules", "rules.toml", "--check"]);
    assert_eq!(ended.code, 2, "{}", ended.words);
}

#[test]
fn a_report_is_written_and_keeps_small_cells() {
    let house = filled();
    house.done(&["report", "--out", "report"]);
    let page = std::fs::read_to_string(house.path("report/index.html")).unwrap();
    assert!(page.to_lowercase().contains("visibility not separated from usage"));
    let figures = std::fs::read_dir(house.path("report/figures")).unwrap().count();
    assert!(figures >= 4, "{figures} figures");
    let lake = house.rows(&["lake", "stat"]);
    assert!(count(&lake, ("table", "releases"), "rows").as_u64().unwrap() > 0);
    assert_eq!(house.run(&["lake", "check"]).code, 0);
}

#[test]
fn every_form_of_output_holds_the_same_rows() {
    let house = filled();
    let census =
        |format| house.done(&["census", "--by", "product", "--format", format]);
    assert_eq!(census("csv"), census("csv"), "the same bytes every run");
    assert!(census("table").contains("kaspersky"));
    let csv = census("csv");
    let products: Vec<_> =
        csv.lines().skip(1).filter_map(|l| l.split(',').next()).collect();
    assert!(products.is_sorted() && products.contains(&"windows_update"), "{csv}");
}

//! Bad input: one clear message with file, place and hint; nothing else is lost.

use std::io::Write;

use crate::run::House;

const GOOD: &str = "#separator \\x09\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\t\
                    id.resp_h\tid.resp_p\tproto\n\
                    1712059200.5\tC1\t198.18.0.9\t40000\t203.0.113.5\t443\ttcp\n";

fn found(rows: &[serde_json::Value], what: &str) -> u64 {
    let row = rows.iter().find(|r| r["what"] == what);
    row.map_or(0, |r| r["count"].as_u64().unwrap())
}

#[test]
fn each_bad_file_is_named_and_the_good_one_gets_in() {
    let house = House::new();
    house.file("in/good.log", GOOD);
    house.file("in/empty.log", "");
    house.file("in/binary.log", [0u8, 159, 146, 150, 7, 7, 7]);
    house.file("in/short.log", format!("{GOOD}1712059300.5\tC2\t198.18.0.9\n"));
    house.file("in/old.log", GOOD.replace("1712059200.5\tC1", "12.5\tC3"));
    house.file("in/future.log", GOOD.replace("1712059200.5\tC1", "4102444800.0\tC4"));
    let mut gzip = Vec::new();
    gzip.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]).unwrap();
    house.file("in/cut.log.gz", gzip);
    let ended = house.run(&["ingest", "in", "--vantage", "v", "--format", "json"]);
    assert_eq!(ended.code, 3, "more than 5 % was lost: {}", ended.words);
    for (file, why) in [
        ("binary.log", "lost (format)"),
        ("short.log: line 5", "lost (column_count)"),
        ("old.log: line 4", "lost (time)"),
        ("future.log: line 4", "lost (time)"),
        ("empty.log", "is empty"),
        ("cut.log.gz: byte 0", "lost (compression)"),
    ] {
        let told = ended.words.lines().any(|l| l.contains(file) && l.contains(why));
        assert!(told, "{file} {why}\n{}", ended.words);
    }
    let document: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let rows = document["rows"].as_array().unwrap();
    assert!(found(rows, "flows") >= 1, "{rows:?}");
    assert_eq!(found(rows, "lost time"), 2);
}

#[test]
fn a_missing_file_is_told_and_the_rest_goes_on() {
    let house = House::new();
    let good = house.file("good.log", GOOD);
    let arguments =
        ["ingest", &good, "absent.log", "--vantage", "v", "--loss-max", "1"];
    let ended = house.run(&arguments);
    assert_eq!(ended.code, 0, "{}", ended.words);
    assert!(ended.words.contains("absent.log: cannot be read"), "{}", ended.words);
}

#[test]
fn standard_input_is_read() {
    let house = House::new();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tidegauge"));
    let lake = house.path("lake");
    command.args(["--lake", lake.to_str().unwrap(), "ingest", "-", "--vantage", "v"]);
    let piped = std::process::Stdio::piped;
    let mut child =
        command.stdin(piped()).stdout(piped()).stderr(piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(GOOD.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.lines().any(|l| l.starts_with("flows") && l.ends_with('1')),
        "{table}"
    );
}

#[test]
fn an_empty_lake_says_what_to_do() {
    let ended = House::new().run(&["census"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.words.contains("is empty") && ended.words.contains("tidegauge ingest")
    );
}

#[test]
fn a_half_written_commit_is_named() {
    let house = House::new();
    house.file("good.log", GOOD);
    house.done(&["ingest", "good.log", "--vantage", "v"]);
    let log = house.path("lake/sightings/_delta_log");
    let mut commits: Vec<_> =
        std::fs::read_dir(&log).unwrap().map(|e| e.unwrap().path()).collect();
    commits.retain(|path| path.extension().is_some_and(|e| e == "json"));
    commits.sort();
    let last = commits.last().unwrap();
    let text = std::fs::read(last).unwrap();
    std::fs::write(last, &text[..text.len() / 2]).unwrap();
    let ended = house.run(&["census"]);
    assert_eq!(ended.code, 1);
    let name = last.file_name().unwrap().to_str().unwrap();
    assert!(ended.words.contains(name), "{}", ended.words);
}

#[test]
fn a_vantage_file_with_a_typing_error_is_named() {
    let house = House::new();
    house.file("good.log", GOOD);
    house.file("vantages/v.toml", "sight = 'berlin'\n");
    let ended = house.run(&["ingest", "good.log", "--vantage", "v"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.words.contains("v.toml") && ended.words.contains("sight"),
        "{}",
        ended.words
    );
}

#[test]
fn a_bad_registry_row_costs_only_itself() {
    let house = House::new();
    house.file(
        "r.csv",
        "prefix,organisation,name,country,kind\n198.18.0.0/24,a,A,US,own\nnonsense,b,B,US,own\n",
    );
    let import =
        ["atlas", "import", "--source", "holders", "--snapshot", "2024-01-01", "r.csv"];
    let ended = house.run(&import);
    assert_eq!(ended.code, 0, "{}", ended.words);
    assert!(ended.words.contains("r.csv: line 3: lost (value)"), "{}", ended.words);
    let rows = house.rows(&["atlas", "lookup", "198.18.0.1", "--on", "2024-04-01"]);
    assert!(rows.iter().any(|r| r["what"] == "organisation" && r["value"] == "a"));
}

#[test]
fn an_import_with_a_wrong_mapping_can_be_mended() {
    let house = House::new();
    house.file(
        "flows.csv",
        "t,a,b,sni\n1712059200,198.18.0.9,203.0.113.5,s07.upd.kaspersky.com\n",
    );
    let mapping = |unit: &str| {
        format!(
            "originator = \"a\"\nresponder = \"b\"\nprotocol = 6\n\
             start = {{ column = \"t\", unit = \"{unit}\" }}\n\
             server_name = {{ column = \"sni\", origin = \"tls\" }}\n"
        )
    };
    house.file("wrong.toml", mapping("ms"));
    house.file("right.toml", mapping("s"));
    let ingest = |mapping| {
        house.run(&["ingest", "flows.csv", "--vantage", "v", "--mapping", mapping])
    };
    assert_eq!(ingest("wrong.toml").code, 3, "1970 is lost");
    let ended = ingest("right.toml");
    assert_eq!(ended.code, 0, "{}", ended.words);
    let contacts = ended.out.lines().find(|l| l.starts_with("contacts"));
    assert!(contacts.is_some_and(|l| l.ends_with('1')), "{}", ended.out);
}

#[test]
fn typing_errors_in_names_and_folders_are_told() {
    let house = House::new();
    house.file("good.log", GOOD);
    for name in ["", "../x", ".hidden"] {
        assert_eq!(
            house.run(&["ingest", "good.log", "--vantage", name]).code,
            2,
            "{name}"
        );
    }
    for share in ["7", "nan", "-1"] {
        let flag = format!("--loss-max={share}");
        let ended = house.run(&["ingest", "good.log", "--vantage", "v", &flag]);
        assert_eq!(ended.code, 2, "{share}");
    }
    let absent = house.run(&["--data", "absent", "catalog", "check"]);
    assert!(absent.code == 1 && absent.words.contains("absent is not a folder"));
    let lake = house.run(&["--lake", "nowhere", "lake", "check"]);
    assert!(
        lake.code == 1 && lake.words.contains("there is no lake"),
        "{}",
        lake.words
    );
}

#[test]
fn a_table_of_another_form_is_not_stored() {
    let house = House::new();
    house.file("names.csv", "\"asn\",\"name\"\n1,\"A\"\n2,\"B\"\n3,\"C\"\n4,\"D\"\n");
    let import = ["atlas", "import", "--source", "ip2asn", "--snapshot", "2024-01-01"];
    let ended = house.run(&[&import[..], &["names.csv"]].concat());
    assert_eq!(ended.code, 1);
    assert!(ended.words.contains("nothing was stored"), "{}", ended.words);
    assert!(ended.words.contains("more rows were lost"), "{}", ended.words);
}

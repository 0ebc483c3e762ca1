//! Captures and logs that others made, where they are at hand.

use crate::run::{House, shared};

fn found(rows: &[serde_json::Value], what: &str) -> u64 {
    let row = rows.iter().find(|r| r["what"] == what);
    row.map_or(0, |r| r["count"].as_u64().unwrap())
}

/// Ingests a folder of the shared data, whatever it loses.
fn ingest(
    house: &House,
    folder: &std::path::Path,
    vantage: &str,
) -> Vec<serde_json::Value> {
    let folder = folder.to_str().unwrap();
    house.rows(&["ingest", folder, "--vantage", vantage, "--loss-max", "1"])
}

#[test]
fn zeek_logs_of_others_are_read_and_controls_found() {
    let Some(data) = shared("zeek_logs_of_others_are_read_and_controls_found") else {
        return;
    };
    let house = House::new();
    for name in ["rita", "slips", "zat"] {
        let rows = ingest(&house, &data.join("zeek").join(name), name);
        assert!(found(&rows, "flows") > 0, "{name}: {rows:?}");
    }
    let census = house.rows(&["census", "--by", "vantage,product", "--internal"]);
    let windows = census
        .iter()
        .find(|r| r["vantage"] == "rita" && r["product"] == "windows_update")
        .expect("RITA's logs hold Windows Update");
    assert!(windows["contacts"].as_u64().unwrap() >= 98, "{windows:?}");
    assert!(windows["addresses_v4"].as_u64().unwrap() >= 1);
}

#[test]
fn captures_of_others_are_read() {
    let Some(data) = shared("captures_of_others_are_read") else { return };
    let house = House::new();
    let mut flows = 0;
    for entry in std::fs::read_dir(data.join("pcap")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // Answer keys of other programs, not telemetry.
        if !path.is_dir() || name.ends_with("results") || name.ends_with("outputs") {
            continue;
        }
        let rows = ingest(&house, &path, &name);
        println!("{name}: {} flows", found(&rows, "flows"));
        flows += found(&rows, "flows");
    }
    assert!(flows > 9_000, "{flows} flows in all captures");
    assert!(house.run(&["lake", "check"]).code == 0);
}

/// The blocks of a guide that a shell runs, in order.
fn scripts(guide: &str) -> Vec<String> {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/how-to");
    let guide = std::fs::read_to_string(path.join(guide)).unwrap();
    guide.split("```").skip(1).step_by(2).map(str::to_owned).collect()
}

/// Runs a script where the house is, as somebody would who has the program.
fn shell(house: &House, script: &str) -> (bool, String) {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_tidegauge"));
    let mut folders = vec![program.parent().unwrap().to_owned()];
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let ended = std::process::Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(house.path("."))
        .env("PATH", std::env::join_paths(folders).unwrap())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&ended.stderr);
    let told = String::from_utf8_lossy(&ended.stdout);
    (ended.status.success(), format!("{told}{words}"))
}

#[test]
fn the_guide_to_what_is_ours_runs_on_the_logs_of_others() {
    let name = "the_guide_to_what_is_ours_runs_on_the_logs_of_others";
    let Some(data) = shared(name) else { return };
    let house = House::new();
    // Their network has no product of the guide, but a control of the catalog.
    let logs = data.join("zeek/rita");
    let theirs = |script: &str| {
        script
            .replace("/var/log/unbound/queries.log", logs.to_str().unwrap())
            .replace("--product kaspersky", "--product windows_update")
    };
    let scripts = scripts("find-what-of-ours-still-uses-it.md");
    let [watch, list, ask, hand_on, ..] = scripts.as_slice() else { panic!() };
    // Logs with lines that nobody can read end with the code of a loss.
    let (_, read) = shell(&house, &theirs(watch));
    assert!(read.contains("vantage-days"), "{read}");
    for script in [list, ask] {
        let (done, told) = shell(&house, &theirs(script));
        assert!(done, "{script}: {told}");
    }
    let (_, told) = shell(&house, &theirs(ask));
    let found = told.lines().find(|line| line.contains("windows_update")).unwrap();
    assert!(found.contains("Head office") && found.contains("10.55."), "{told}");
    let (done, told) = shell(&house, &theirs(hand_on));
    assert!(done, "{told}");
    for file in ["findings.csv", "findings.json", "stix.json", "misp.json"] {
        let text = std::fs::read_to_string(house.path("findings").join(file)).unwrap();
        assert!(!text.is_empty(), "{file}");
    }
    let csv = std::fs::read_to_string(house.path("findings/findings.csv")).unwrap();
    assert!(csv.contains("10.55.100."), "our own hosts by their address: {csv:.400}");
}

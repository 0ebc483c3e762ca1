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

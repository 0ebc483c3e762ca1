//! Logs that others made, from the folder of shared data: nothing panics, and the books
//! close against the row counts of its manifest.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tidegauge_model::{NameOrigin, Reason};
use tidegauge_wire::zeek::Log;
use tidegauge_wire::{Format, Inflate, recognise};

use crate::batch::Batch;

const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

/// The folder of shared data, or nothing with a loud word.
fn shared(test: &str) -> Option<PathBuf> {
    let folder = Path::new(SHARED);
    if folder.is_dir() {
        return Some(folder.to_owned());
    }
    println!("SKIPPED {test}: shared data folder absent");
    None
}

/// Path and rows of each Zeek log in the manifest.
fn manifest(shared: &Path) -> BTreeMap<String, u64> {
    let text = fs::read_to_string(shared.join("MANIFEST.csv")).unwrap();
    let logs = text.lines().filter(|line| line.starts_with("zeek/"));
    logs.map(|line| {
        // file, what (may be quoted), size, rows, …: the sizes come after the last quote.
        let (file, rest) = line.split_once(',').unwrap();
        let rest = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once("\",").unwrap().1,
            None => rest.split_once(',').unwrap().1,
        };
        (file.to_owned(), rest.split(',').nth(1).unwrap().parse().unwrap())
    })
    .collect()
}

#[test]
fn the_books_of_every_log_close() {
    let Some(shared) = shared("the_books_of_every_log_close") else { return };
    let (mut conns, mut files) = (0, 0);
    for (file, rows) in manifest(&shared) {
        // The manifest counts a header line that begins with a tab as a row.
        let tabbed = file.ends_with("test10-mixed-zeek-dir/conn.log");
        let rows = rows - u64::from(tabbed);
        let Ok(bytes) = fs::read(shared.join(&file)) else { continue };
        let batch = Batch::decode(&[bytes]);
        files += 1;
        let format = batch.formats[0];
        let losses = u64::try_from(batch.losses.len()).unwrap();
        let flows = u64::try_from(batch.flows.len()).unwrap();
        match format {
            Some(Format::Zeek(Log::Conn)) => {
                conns += 1;
                assert_eq!(flows + losses + batch.repeated, rows, "{file}");
            }
            Some(Format::Zeek(Log::Other)) => {
                assert_eq!((flows, losses), (0, 0), "{file}");
            }
            Some(Format::Zeek(Log::Headless)) => assert_eq!(losses, rows, "{file}"),
            Some(Format::Zeek(_)) => assert!(flows + losses <= rows, "{file}"),
            _ => panic!("{file} was not recognised: {format:?}"),
        }
    }
    println!("{files} logs, {conns} of them of connections");
    assert!(files > 1_000 && conns > 70, "{files} logs, {conns} of connections");
}

#[test]
fn what_others_write_is_not_taken_for_zeek() {
    let Some(shared) = shared("what_others_write_is_not_taken_for_zeek") else {
        return;
    };
    let mut files = 0;
    for folder in ["asn", "eve", "ip2country", "sector"] {
        let mut folders = vec![shared.join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let mut input = Inflate::new(fs::File::open(&path).unwrap());
                let format = recognise(input.head().unwrap());
                let zeek = matches!(format, Some(Format::Zeek(_)));
                assert!(!zeek, "{}: {format:?}", path.display());
                files += 1;
            }
        }
    }
    assert!(files > 10, "{files}");
}

#[test]
fn a_day_of_requests_names_windows_update() {
    let Some(shared) = shared("a_day_of_requests_names_windows_update") else { return };
    let bytes = fs::read(shared.join("zeek/rita/valid_tsv/http.log.gz")).unwrap();
    let batch = Batch::decode(&[bytes]);
    assert_eq!(batch.losses, []);
    let update = |host: &str| host.ends_with("windowsupdate.com");
    let updates = batch.flows.iter().filter(|flow| {
        flow.name.as_ref().is_some_and(|name| {
            assert_ne!(name.origin, NameOrigin::TlsSni);
            update(&name.host)
        })
    });
    // Counted apart from this code: connections of the file, and those of them (with
    // their distinct hosts) that ask for these hosts.
    assert_eq!((batch.flows.len(), updates.count()), (20_808, 98));
}

#[test]
fn times_since_1970_are_lost_line_by_line() {
    let Some(shared) = shared("times_since_1970_are_lost_line_by_line") else { return };
    let folder = shared.join("zeek/slips/test9-mixed-zeek-dir");
    let batch = Batch::decode(&[fs::read(folder.join("dns.log")).unwrap()]);
    assert!(batch.losses.iter().all(|loss| loss.reason == Reason::Time));
    assert_eq!((batch.losses.len(), batch.flows.len()), (239, 0));
}

#[test]
fn a_proxy_is_asked_for_other_hosts() {
    let Some(shared) = shared("a_proxy_is_asked_for_other_hosts") else { return };
    let folder = shared.join("zeek/rita/proxy");
    let logs = ["conn.log", "http.log", "ssl.log", "dns.log"];
    let bytes = logs.map(|log| fs::read(folder.join(log)).unwrap());
    let batch = Batch::decode(&bytes);
    let backwards: Vec<_> = bytes.iter().rev().collect();
    assert_eq!(batch.sorted(), Batch::decode(&backwards).sorted());
    let targets: Vec<_> = batch
        .flows
        .iter()
        .filter(|flow| {
            flow.name.as_ref().is_some_and(|n| n.origin == NameOrigin::ConnectTarget)
        })
        .collect();
    assert!(targets.iter().all(|flow| flow.responder_port == 3128));
    assert!(targets.iter().any(|flow| flow.received.is_some()));
    assert_eq!(targets.len(), 407, "rows of http.log, each a CONNECT of its own");
}

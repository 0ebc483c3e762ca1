//! Reading the reference values and the tables they were computed from.
//!
//! **Invariant:** a missing folder is told on standard output and skips the test; a
//! missing key or an unreadable table in a folder that is there fails it.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/anchors");

/// The folder of reference values, or `None` with a line that names the test skipped.
pub(crate) fn folder(test: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(FOLDER);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED {test}: the folder of reference values is absent");
    None
}

/// The reference values under `key`.
pub(crate) fn anchor(test: &str, key: &str) -> Option<Value> {
    let text = fs::read_to_string(folder(test)?.join("anchors.json")).unwrap();
    let mut anchors: Value = serde_json::from_str(&text).unwrap();
    let value = anchors[key].take();
    assert!(!value.is_null(), "anchors.json has no {key}");
    Some(value)
}

/// A table of the folder: its columns named `columns`, row by row.
pub(crate) fn table<const N: usize>(
    test: &str,
    file: &str,
    columns: [&str; N],
) -> Option<Vec<[String; N]>> {
    let path = folder(test)?.join(file);
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header = reader.headers().unwrap().clone();
    let places = columns.map(|name| {
        header.iter().position(|c| c == name).unwrap_or_else(|| panic!("no {name}"))
    });
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        places.map(|place| row[place].to_owned())
    });
    Some(rows.collect())
}

/// The number under `value`.
pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The numbers of the list `value`.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

/// Fails unless `found` is within `relative` of `expected`.
pub(crate) fn assert_close(what: &str, found: f64, expected: f64, relative: f64) {
    let distance = (found - expected).abs();
    assert!(
        distance <= relative * expected.abs().max(f64::MIN_POSITIVE),
        "{what}: found {found}, expected {expected}, {:.2e} apart",
        distance / expected.abs()
    );
}

/// Fails unless each of `found` is within `relative` of its place in `expected`.
pub(crate) fn assert_all_close(
    what: &str,
    found: &[f64],
    expected: &[f64],
    relative: f64,
) {
    assert_eq!(found.len(), expected.len(), "{what}: {found:?}");
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_close(&format!("{what}[{place}]"), *found, *expected, relative);
    }
}

//! A lake to which something happened.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tidegauge_store::{Appended, Error, FORMAT_VERSION, Lake, Table};

use crate::made;

/// A lake with one batch, closed again.
async fn stored() -> TempDir {
    let (lake, folder) = made::lake().await;
    lake.append(made::batch(&["a"])).await.unwrap();
    folder
}

fn entry(folder: &TempDir, table: &str, version: u64) -> PathBuf {
    folder.path().join(table).join("_delta_log").join(format!("{version:020}.json"))
}

/// The error of opening the lake, which must name `file`.
async fn refusal(folder: &TempDir) -> Error {
    Lake::open(folder.path().to_str().unwrap()).await.unwrap_err()
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[tokio::test]
async fn a_half_written_log_entry_is_named() {
    let folder = stored().await;
    let last = entry(&folder, "sightings", 1);
    let text = fs::read(&last).unwrap();
    for length in [text.len() / 2, 10, 0] {
        fs::write(&last, &text[..length]).unwrap();
        let error = refusal(&folder).await;
        let Error::Damaged { table: "sightings", path, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(Path::new(path), last);
        assert!(error.to_string().contains("hint: restore the file"), "{error}");
    }
    fs::write(&last, &text).unwrap();
    assert_eq!(made::sightings(&made::open(&folder).await).await.len(), 4);
}

#[tokio::test]
async fn a_missing_log_entry_is_named() {
    let folder = stored().await;
    made::open(&folder).await.append(made::batch(&["b"])).await.unwrap();
    let missing = entry(&folder, "sightings", 1);
    fs::remove_file(&missing).unwrap();
    let error = refusal(&folder).await;
    let Error::Damaged { path, reason, .. } = &error else { panic!("{error}") };
    assert_eq!(
        (Path::new(path), reason.as_str()),
        (&*missing, "this log entry is missing")
    );
}

#[tokio::test]
async fn files_that_no_commit_names_are_not_there() {
    let folder = stored().await;
    let month = folder.path().join("sightings/month=2024-04");
    let real = fs::read_dir(&month).unwrap().next().unwrap().unwrap().path();
    fs::copy(&real, month.join("part-stray.parquet")).unwrap();
    fs::write(month.join("part-half.parquet"), b"PAR1").unwrap();
    fs::write(entry(&folder, "sightings", 2).with_extension("json#1"), b"{").unwrap();
    let lake = made::open(&folder).await;
    assert_eq!(made::sightings(&lake).await.len(), 4);
    let appended = lake.append(made::batch(&["b"])).await.unwrap();
    assert_eq!(appended, Appended::Stored { version: 2, rows: 4 });
}

#[tokio::test]
async fn a_damaged_data_file_is_named() {
    let folder = stored().await;
    let month = folder.path().join("sightings/month=2024-05");
    let file = fs::read_dir(&month).unwrap().next().unwrap().unwrap().path();
    let text = fs::read(&file).unwrap();
    fs::write(&file, &text[..text.len() / 2]).unwrap();
    let lake = made::open(&folder).await;
    let rows = lake.sightings(made::year()).await.unwrap();
    let all: Result<Vec<_>, _> = futures::TryStreamExt::try_collect(rows).await;
    let error = all.unwrap_err();
    let Error::Damaged { path, .. } = &error else { panic!("{error}") };
    assert_eq!(Path::new(path), file);
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let folder = stored().await;
    let newer = (FORMAT_VERSION + 1).to_string();
    let ours = format!(r#""tidegauge.formatVersion":"{FORMAT_VERSION}""#);
    let theirs = format!(r#""tidegauge.formatVersion":"{newer}""#);
    edit(&entry(&folder, "sightings", 0), &ours, &theirs);
    let error = refusal(&folder).await;
    let Error::FormatVersion { found, .. } = &error else { panic!("{error}") };
    assert_eq!(*found, newer);
    assert!(error.to_string().contains("hint: use the newer tidegauge"), "{error}");
}

#[tokio::test]
async fn tables_of_others_are_refused() {
    let folder = stored().await;
    edit(
        &entry(&folder, "sightings", 0),
        "tidegauge.formatVersion",
        "other.formatVersion",
    );
    let error = refusal(&folder).await;
    assert!(matches!(error, Error::NotReadable { .. }), "{error}");
    assert!(error.to_string().contains("did not make"), "{error}");
}

#[tokio::test]
async fn features_that_plain_scans_would_miss_are_refused() {
    let cases = [
        (
            r#""protocol":{"minReaderVersion":1,"minWriterVersion":2}"#,
            r#""protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]}"#,
            "deletionVectors",
        ),
        (r#""name":"endpoint""#, r#""name":"end_point""#, "column `endpoint`"),
    ];
    for (from, to, named) in cases {
        let folder = stored().await;
        edit_any(&entry(&folder, "sightings", 0), from, to);
        let error = refusal(&folder).await;
        assert!(matches!(error, Error::NotReadable { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
}

/// As [`edit`], also inside text that JSON has escaped.
fn edit_any(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    let escaped = |text: &str| text.replace('"', "\\\"");
    if text.contains(from) {
        edit(path, from, to);
    } else {
        edit(path, &escaped(from), &escaped(to));
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sightings"), b"a file where a folder should be")
        .unwrap();
    let path = folder.path().to_str().unwrap();
    let failed = match Lake::open(path).await {
        Ok(lake) => lake.append(made::batch(&["a"])).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(failed.to_string().contains("sightings"), "{failed}");
}

#[tokio::test]
async fn one_damaged_table_does_not_hide_the_others() {
    let folder = stored().await;
    fs::write(entry(&folder, "runs", 1), b"{").unwrap();
    let lake = made::open(&folder).await;
    assert!(matches!(lake.runs().await, Err(Error::Damaged { table: "runs", .. })));
    assert_eq!(made::version(&lake, Table::Sightings).await, 1);
}

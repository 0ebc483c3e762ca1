//! What an append does, and does not do twice.

use std::io::Read;

use futures::TryStreamExt;
use tidegauge_model::{Day, Reason};
use tidegauge_store::fingerprint::Hashing;
use tidegauge_store::{Appended, Error, Fingerprint, Lake, Table};

use crate::made;

#[tokio::test]
async fn an_empty_lake_answers_and_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("not/yet");
    let lake = Lake::open(path.to_str().unwrap()).await.unwrap();
    for table in Table::ALL {
        let snapshot = lake.snapshot(table).await.unwrap();
        assert_eq!(
            (snapshot.version, snapshot.files.len()),
            (-1, 0),
            "{}",
            table.name()
        );
        assert_eq!(snapshot.schema, table.schema());
    }
    assert!(lake.coverage(made::year()).await.unwrap().is_empty());
    assert_eq!(lake.covered().await.unwrap(), None);
    assert!(lake.resolutions(Some(made::year())).await.unwrap().is_empty());
    assert!(made::sightings(&lake).await.is_empty());
    assert!(lake.runs().await.unwrap().is_empty());
    assert!(lake.endpoints().await.unwrap().is_empty());
    let input = Fingerprint::of(b"a");
    assert_eq!(lake.already(&"probe".into(), &[input]).await.unwrap(), [false]);
    assert!(!path.exists(), "reading makes nothing");
}

#[tokio::test]
async fn what_is_appended_can_be_read() {
    let (lake, folder) = made::lake().await;
    let batch = made::batch(&["a", "b"]);
    let appended = lake.append(batch.clone()).await.unwrap();
    assert_eq!(appended, Appended::Stored { version: 1, rows: 4 });

    for lake in [lake, made::open(&folder).await] {
        let mut expected = batch.sightings.clone();
        expected.sort_by_key(|s| (s.day, s.endpoint.clone(), s.client.clone()));
        assert_eq!(made::sightings(&lake).await, expected);
        assert_eq!(lake.coverage(made::year()).await.unwrap(), batch.coverage);
        let april = made::days("2024-04-01", "2024-04-30");
        assert_eq!(lake.coverage(april).await.unwrap(), batch.coverage[..1]);
        assert_eq!(lake.runs().await.unwrap(), [made::run("a")]);
        let other = Fingerprint::of(b"c");
        let asked = [batch.inputs[0], other, batch.inputs[1]];
        let already = lake.already(&"probe".into(), &asked).await.unwrap();
        assert_eq!(already, [true, false, true]);
        let elsewhere = lake.already(&"elsewhere".into(), &asked).await.unwrap();
        assert_eq!(elsewhere, [false; 3], "unrelated captures are different vantages");
    }
}

#[tokio::test]
async fn files_are_split_by_month_and_sorted() {
    let (lake, _folder) = made::lake().await;
    lake.append(made::batch(&["a"])).await.unwrap();
    let snapshot = lake.snapshot(Table::Sightings).await.unwrap();
    let months: Vec<_> =
        snapshot.files.iter().map(|f| (f.partition_month.as_deref(), f.rows)).collect();
    assert_eq!(months, [(Some("2024-04"), 3), (Some("2024-05"), 1)]);
    assert_eq!(snapshot.rows(), 4);
    let april = made::days("2024-04-01", "2024-04-30");
    let rows: Vec<_> =
        lake.sightings(april).await.unwrap().try_collect().await.unwrap();
    let order: Vec<_> =
        rows.iter().map(|s| format!("{} {}", s.endpoint, s.client.address)).collect();
    assert_eq!(
        order,
        [
            "control/update 192.0.2.1",
            "kaspersky/update 192.0.2.1",
            "kaspersky/update 192.0.2.7"
        ]
    );
    for file in &snapshot.files {
        let on_disk = snapshot.store_url.join(file.path.as_ref()).unwrap();
        let length = std::fs::metadata(on_disk.to_file_path().unwrap()).unwrap().len();
        assert_eq!(length, file.size, "the path can be found by its URL");
    }
}

#[tokio::test]
async fn the_same_inputs_again_change_nothing() {
    let (lake, folder) = made::lake().await;
    lake.append(made::batch(&["a", "b"])).await.unwrap();
    let before = snapshot_of(&folder);

    // In another order, under another run, with the rows shuffled, by another process.
    let mut again = made::batch(&["b", "a"]);
    again.sightings.reverse();
    again.coverage.reverse();
    again.run = made::run("another");
    for lake in [lake, made::open(&folder).await] {
        assert_eq!(lake.append(again.clone()).await.unwrap(), Appended::AlreadyThere);
    }
    // Made by a later program that finds other rows in the same input.
    again.coverage[0].flows += 1;
    again.sightings.pop();
    let lake = made::open(&folder).await;
    assert_eq!(lake.append(again).await.unwrap(), Appended::AlreadyThere);
    assert_eq!(snapshot_of(&folder), before);
}

#[tokio::test]
async fn inputs_of_which_some_are_in_are_refused() {
    let (lake, _folder) = made::lake().await;
    lake.append(made::batch(&["a"])).await.unwrap();
    let error = lake.append(made::batch(&["a", "b"])).await.unwrap_err();
    let Error::PartlyThere { there, all: 2 } = &error else { panic!("{error}") };
    assert_eq!(*there, [Fingerprint::of(b"a")]);
    assert!(error.to_string().contains("hint: leave out what is there"), "{error}");
    assert_eq!(made::sightings(&lake).await.len(), 4);
}

#[tokio::test]
async fn a_batch_without_sightings_is_remembered() {
    let (lake, _folder) = made::lake().await;
    let mut batch = made::batch(&["quiet"]);
    batch.sightings.clear();
    let appended = lake.append(batch.clone()).await.unwrap();
    assert_eq!(appended, Appended::Stored { version: 1, rows: 0 });
    assert_eq!(lake.append(batch.clone()).await.unwrap(), Appended::AlreadyThere);
    let coverage = lake.coverage(made::year()).await.unwrap();
    assert_eq!(
        coverage, batch.coverage,
        "a day without contacts was looked at all the same"
    );
}

#[tokio::test]
async fn coverage_of_one_day_from_two_appends_is_united() {
    let (lake, _folder) = made::lake().await;
    lake.append(made::batch(&["a"])).await.unwrap();
    let mut second = made::batch(&["b"]);
    second.coverage = vec![made::coverage("2024-04-30", &["203.0.113.9", "192.0.2.9"])];
    second.coverage[0].hours = 2;
    second.coverage[0].sampling_max = 100;
    second.coverage[0].losses.insert(Reason::Value, 1);
    lake.append(second).await.unwrap();

    let april = made::days("2024-04-30", "2024-04-30");
    let [united] = lake.coverage(april).await.unwrap().try_into().unwrap();
    assert_eq!((united.flows, united.contacts, united.hours), (200, 12, 3));
    assert_eq!((united.sampling_min, united.sampling_max), (1, 100));
    assert_eq!(united.losses[&Reason::Truncated], 4);
    assert_eq!(united.losses[&Reason::Value], 1);
    let prefixes: Vec<_> = united.footprint.prefixes().map(|p| p.to_string()).collect();
    assert_eq!(prefixes, ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"]);
}

#[tokio::test]
async fn resolutions_are_kept_beside_sightings_and_never_among_them() {
    let (lake, folder) = made::lake().await;
    let batch = made::batch(&["a"]);
    lake.append(batch.clone()).await.unwrap();
    let mut stored = batch.resolutions.clone();
    stored.sort_by_key(|r| (r.client, r.day));
    for lake in [lake, made::open(&folder).await] {
        assert_eq!(lake.resolutions(Some(made::year())).await.unwrap(), stored);
        let may = made::days("2024-05-01", "2024-05-31");
        assert_eq!(lake.resolutions(Some(may)).await.unwrap(), stored[1..2]);
        assert_eq!(made::sightings(&lake).await.len(), batch.sightings.len());
        let snapshot = lake.snapshot(Table::Resolutions).await.unwrap();
        let months: Vec<_> =
            snapshot.files.iter().map(|f| f.partition_month.as_deref()).collect();
        assert_eq!(months, [Some("2024-04"), Some("2024-05")]);
        // The same input again changes nothing; another adds up.
        assert_eq!(lake.append(batch.clone()).await.unwrap(), Appended::AlreadyThere);
    }
    let lake = made::open(&folder).await;
    let mut second = made::batch(&["b"]);
    second.resolutions.truncate(1);
    second.resolutions[0].first = made::day("2023-05-01").start();
    lake.append(second).await.unwrap();
    let united = lake.resolutions(None).await.unwrap();
    assert_eq!(united.len(), 3);
    assert_eq!(
        (united[1].count, united[1].first),
        (14, made::day("2023-05-01").start())
    );
    assert!(lake.check().await.is_empty());
}

#[tokio::test]
async fn many_appends_outlive_their_checkpoints() {
    let (lake, folder) = made::lake().await;
    let names: Vec<String> = (0..45).map(|n| format!("input {n}")).collect();
    for name in &names {
        let mut batch = made::batch(&[name]);
        batch.sightings.truncate(1);
        batch.coverage.clear();
        lake.append(batch).await.unwrap();
    }
    let log = folder.path().join("sightings/_delta_log");
    let is_checkpoint = |name: &str| name.ends_with(".checkpoint.parquet");
    assert!(
        file_names(&log).iter().any(|n| is_checkpoint(n)),
        "{:?}",
        file_names(&log)
    );

    // A checkpoint stands for the entries before it, so they can be cleaned away.
    std::fs::remove_file(log.join(format!("{:020}.json", 3))).unwrap();
    let lake = made::open(&folder).await;
    let inputs: Vec<_> = names.iter().map(|n| Fingerprint::of(n.as_bytes())).collect();
    let already = lake.already(&"probe".into(), &inputs).await.unwrap();
    assert_eq!(already, vec![true; 45]);
    assert_eq!(made::sightings(&lake).await.len(), 45);
    let again = lake.append(made::batch(&["input 1"])).await.unwrap();
    assert_eq!(again, Appended::AlreadyThere);
}

#[tokio::test]
async fn a_folder_may_have_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mein See #1 100% ü");
    let lake = Lake::open(path.to_str().unwrap()).await.unwrap();
    lake.append(made::batch(&["a"])).await.unwrap();
    assert_eq!(made::sightings(&lake).await.len(), 4);
    assert!(path.join("sightings/_delta_log").is_dir());
    // The table format's library would read this as a space.
    let escape = Lake::open("lake%20a").await.unwrap_err();
    assert!(matches!(escape, Error::Location { .. }), "{escape}");
    let by_url = Lake::open(lake.url().as_str()).await.unwrap();
    assert_eq!(
        by_url.append(made::batch(&["a"])).await.unwrap(),
        Appended::AlreadyThere
    );
    assert_eq!(made::sightings(&by_url).await.len(), 4);
}

#[tokio::test]
async fn a_fingerprint_does_not_depend_on_how_the_input_is_read() {
    let text = vec![7; 100_000];
    let mut hashing = Hashing::new(text.as_slice());
    let mut piece = [0; 1_000];
    while hashing.read(&mut piece).unwrap() > 0 {}
    assert_eq!(hashing.fingerprint(), Fingerprint::of(&text));
    let (lake, _folder) = made::lake().await;
    let other_schemes = Lake::open("s3://bucket/lake").await.unwrap_err().to_string();
    assert!(other_schemes.contains("object stores of kind `s3`"), "{other_schemes}");
    assert!(lake.url().as_str().ends_with('/'));
    assert_eq!(Day(0), made::day("1970-01-01"));
}

/// Every file below a folder with its length.
fn snapshot_of(folder: &tempfile::TempDir) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let length = entry.metadata().unwrap().len();
                found.push((entry.path().display().to_string(), length));
            }
        }
    }
    found.sort();
    found
}

fn file_names(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_days_covered_are_those_with_flows_and_need_no_sighting() {
    let (lake, _folder) = made::lake().await;
    let on = |day: &str, flows| {
        let mut coverage = made::coverage(day, &["192.0.2.9"]);
        coverage.flows = flows;
        coverage
    };
    let append = async |name: &str, coverage| {
        let mut batch = made::batch(&[name]);
        (batch.coverage, batch.sightings) = (coverage, Vec::new());
        lake.append(batch).await.unwrap();
    };
    append("a", vec![on("2024-03-05", 0)]).await;
    assert_eq!(lake.covered().await.unwrap(), None, "nobody looked");
    append("b", vec![on("2024-04-02", 9), on("2024-06-30", 0)]).await;
    let days = made::days("2024-04-02", "2024-04-02");
    assert_eq!(lake.covered().await.unwrap(), Some(days));
    append("c", vec![on("2024-05-31", 9)]).await;
    let days = made::days("2024-04-02", "2024-05-31");
    assert_eq!(lake.covered().await.unwrap(), Some(days));
}

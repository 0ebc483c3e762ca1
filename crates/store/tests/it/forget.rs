//! Forgetting and backing up.

use std::collections::BTreeSet;
use std::path::Path;

use tidegauge_model::{Prefix, Sighting};
use tidegauge_store::{
    Appended, BackedUp, Error, Fingerprint, Forgetting, Lake, Table,
};

use crate::{made, past};

async fn filled() -> (Lake, tempfile::TempDir) {
    let (lake, folder) = made::lake().await;
    lake.append(made::batch(&["a"])).await.unwrap();
    fill(&lake).await;
    (lake, folder)
}

async fn fill(lake: &Lake) {
    for name in ["b", "c"] {
        lake.append(made::batch(&[name])).await.unwrap();
    }
    lake.compact(Table::Sightings).await.unwrap();
    lake.append(made::batch(&["d"])).await.unwrap();
}

/// The data files on the disk, by name.
fn on_disk(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && name != "_delta_log" {
            found.extend(on_disk(&path));
        } else if name.ends_with(".parquet") {
            found.insert(name);
        }
    }
    found
}

#[tokio::test]
async fn what_is_forgotten_is_in_no_file() {
    let (lake, folder) = made::lake().await;
    lake.append(made::batch(&["a"])).await.unwrap();
    // Knows the table as it is now, and no more.
    let behind = made::open(&folder).await;
    made::sightings(&behind).await;
    fill(&lake).await;
    let block: Prefix = "192.0.2.7/32".parse().unwrap();
    let before = made::sightings(&lake).await;
    let stays = |s: &&Sighting| !block.contains(s.client.address);
    let expected: Vec<_> = before.iter().filter(stays).cloned().collect();
    assert!(expected.len() < before.len());
    let coverage = lake.coverage(made::year()).await.unwrap();
    let what = Forgetting { prefixes: vec![block], before: None };
    let stood = past::between();
    let done = lake.forget(&what).await.unwrap();
    let rows: Vec<_> = done.iter().map(|f| (f.table, f.rows)).collect();
    let gone = u64::try_from(before.len() - expected.len()).unwrap();
    assert_eq!(rows, [(Table::Sightings, gone), (Table::Resolutions, 0)]);

    for lake in [lake.clone(), made::open(&folder).await] {
        assert_eq!(made::sightings(&lake).await, expected);
        assert_eq!(lake.coverage(made::year()).await.unwrap(), coverage);
        assert!(lake.check().await.is_empty());
        let again = lake.append(made::batch(&["b"])).await.unwrap();
        assert_eq!(again, Appended::AlreadyThere, "what was read is remembered");
    }
    let snapshot = lake.snapshot(Table::Sightings).await.unwrap();
    let named = snapshot.files.iter().map(|f| f.path.filename().unwrap().to_owned());
    let table = folder.path().join("sightings");
    assert_eq!(on_disk(&table), named.collect(), "older files are deleted");
    let (mut entries, mut checkpoints) = (0, 0);
    for file in std::fs::read_dir(table.join("_delta_log")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        checkpoints += u32::from(name.ends_with(".checkpoint.parquet"));
        if path.extension().is_some_and(|e| e == "json") {
            entries += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("minValues"), "no address is in {name}: {text}");
        }
    }
    assert_eq!((entries, checkpoints), (7, 1), "entries stay, but for their values");

    // A writer that stood on an old entry finds the next ones.
    let later = behind.append(made::batch(&["late"])).await.unwrap();
    assert!(matches!(later, Appended::Stored { version: 7, rows: 4 }), "{later:?}");
    let all = made::sightings(&made::open(&folder).await).await;
    assert_eq!(all.len(), expected.len() + 4);
    let path = folder.path().to_str().unwrap();
    let past = Lake::open_as_of(path, stood).await.unwrap();
    let gone = past.check().await;
    assert!(!gone.is_empty(), "files of the past are gone, and that is told");
    lake.forget(&what).await.unwrap();
    let again = lake.forget(&what).await.unwrap();
    assert!(again.iter().all(|f| f.rows == 0));
    let more = lake.append(made::batch(&["e"])).await.unwrap();
    assert!(matches!(more, Appended::Stored { rows: 4, .. }));
}

#[tokio::test]
async fn days_that_are_over_are_forgotten_everywhere() {
    let (lake, _folder) = filled().await;
    let first = made::day("2024-05-01");
    let what = Forgetting { prefixes: Vec::new(), before: Some(first) };
    let done = lake.forget(&what).await.unwrap();
    assert_eq!(done.iter().map(|f| f.rows).collect::<Vec<_>>(), [12, 8]);
    let sightings = made::sightings(&lake).await;
    assert_eq!(sightings.len(), 4);
    assert!(sightings.iter().all(|s| s.day >= first));
    let resolutions = lake.resolutions(None).await.unwrap();
    assert!(!resolutions.is_empty() && resolutions.iter().all(|r| r.day >= first));
    let nothing = lake.forget(&Forgetting::default()).await.unwrap();
    assert!(nothing.is_empty(), "nothing named is nothing forgotten");
    assert_eq!(made::sightings(&lake).await.len(), 4);
}

#[tokio::test]
async fn a_backup_is_a_lake() {
    let (lake, _folder) = filled().await;
    lake.write_catalog(&[made::endpoint()], "1").await.unwrap();
    let (copy, folder) = made::lake().await;
    let done = lake.backup(&copy).await.unwrap();
    let BackedUp { tables, files, bytes } = done;
    assert_eq!(tables, 5, "sightings, coverage, resolutions, runs, catalog");
    assert!(files > 10 && bytes > 0);
    for copy in [copy, made::open(&folder).await] {
        assert_eq!(made::sightings(&copy).await, made::sightings(&lake).await);
        let year = made::year();
        assert_eq!(
            copy.coverage(year).await.unwrap(),
            lake.coverage(year).await.unwrap()
        );
        assert_eq!(copy.runs().await.unwrap(), lake.runs().await.unwrap());
        assert_eq!(copy.endpoints().await.unwrap(), lake.endpoints().await.unwrap());
        assert!(copy.check().await.is_empty());
        let inputs = ["a", "d", "x"].map(|name| Fingerprint::of(name.as_bytes()));
        let already = copy.already(&"probe".into(), &inputs).await.unwrap();
        assert_eq!(already, [true, true, false]);
        let refused = lake.backup(&copy).await;
        assert!(matches!(refused, Err(Error::Occupied { .. })), "{refused:?}");
    }
    let copy = made::open(&folder).await;
    let appended = copy.append(made::batch(&["later"])).await.unwrap();
    assert!(matches!(appended, Appended::Stored { rows: 4, .. }));
}

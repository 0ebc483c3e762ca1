//! Datasets of past format versions still open.
//!
//! `tests/data/v1` was written by the program as it was when format version 1 was made. It
//! is never written again: a change that needs that is a new format version.

use std::fs;
use std::path::Path;

use futures::TryStreamExt;
use tidegauge_model::{Observation, Vantage};
use tidegauge_store::{Appended, Error, Fingerprint, Table, Upgraded};

use crate::made;

/// A copy of the dataset, so that a test can append to it.
fn copied(from: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut todo = vec![(from.to_owned(), folder.path().to_owned())];
    while let Some((from, to)) = todo.pop() {
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(&from).unwrap() {
            let entry = entry.unwrap();
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            if entry.file_type().unwrap().is_dir() {
                todo.push((from, to));
            } else {
                fs::copy(from, to).unwrap();
            }
        }
    }
    folder
}

const V1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/v1");

#[tokio::test]
async fn version_1_opens_and_can_be_appended_to() {
    let folder = copied(Path::new(V1));
    let lake = made::open(&folder).await;

    let batch = made::batch(&["a"]);
    let mut expected = batch.sightings.clone();
    expected.sort_by_key(|s| (s.day, s.endpoint.clone(), s.client.clone()));
    assert_eq!(made::sightings(&lake).await, expected);
    assert_eq!(lake.coverage(made::year()).await.unwrap(), batch.coverage);
    assert_eq!(lake.runs().await.unwrap(), [made::run("a")]);
    let stream = lake.observations().await.unwrap();
    let observations: Vec<Observation> = stream.try_collect().await.unwrap();
    assert_eq!(observations, [made::observation()]);
    assert_eq!(lake.endpoints().await.unwrap(), [made::endpoint()]);
    let vantages = lake.vantages().await.unwrap();
    assert_eq!(vantages, [Vantage::undescribed("probe".into())]);

    let already =
        lake.already(&"probe".into(), &[Fingerprint::of(b"a")]).await.unwrap();
    assert_eq!(already, [true]);
    assert_eq!(
        lake.resolutions(Some(made::year())).await.unwrap(),
        [],
        "it has none yet"
    );
    let appended = lake.append(made::batch(&["b"])).await.unwrap();
    assert_eq!(appended, Appended::Stored { version: 2, rows: 4 });
    assert_eq!(lake.resolutions(Some(made::year())).await.unwrap().len(), 3);
}

#[tokio::test]
async fn an_upgrade_changes_no_row_and_leaves_nothing_to_do() {
    let folder = copied(Path::new(V1));
    let lake = made::open(&folder).await;
    let before = made::sightings(&lake).await;
    let coverage = lake.coverage(made::year()).await.unwrap();

    let done = lake.upgrade(Table::Sightings).await.unwrap();
    assert_eq!(done, Upgraded { columns: 0, rewritten: 2, folded: 0 });
    let done = lake.upgrade(Table::Coverage).await.unwrap();
    assert_eq!(done, Upgraded { columns: 1, rewritten: 2, folded: 0 });
    for lake in [lake.clone(), made::open(&folder).await] {
        assert_eq!(made::sightings(&lake).await, before);
        assert_eq!(lake.coverage(made::year()).await.unwrap(), coverage);
        assert!(lake.check().await.is_empty());
        for table in Table::ALL {
            let first = lake.upgrade(table).await.unwrap();
            let again = lake.upgrade(table).await.unwrap();
            assert_eq!(again, Upgraded::default(), "{table:?}, after {first:?}");
        }
    }
    let version = lake.snapshot(Table::Sightings).await.unwrap().version;
    let appended = lake.append(made::batch(&["b"])).await.unwrap();
    assert_eq!(appended, Appended::Stored { version: version + 1, rows: 4 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrades_that_race_with_appends_lose_and_double_nothing() {
    let folder = copied(Path::new(V1));
    let mut tasks = Vec::new();
    for task in 0..6 {
        let lake = made::open(&folder).await;
        tasks.push(tokio::spawn(async move {
            if task % 2 == 0 {
                // Losing every attempt to the others is no failure here.
                let of = [Table::Sightings, Table::Coverage][task / 2 % 2];
                matches!(lake.upgrade(of).await, Ok(_) | Err(Error::Conflict { .. }))
            } else {
                lake.append(made::batch(&[&format!("more {task}")])).await.is_ok()
            }
        }));
    }
    for task in tasks {
        assert!(task.await.unwrap());
    }
    let lake = made::open(&folder).await;
    assert_eq!(made::sightings(&lake).await.len(), 4 + 3 * 4);
    for table in [Table::Sightings, Table::Coverage] {
        lake.upgrade(table).await.unwrap();
        assert_eq!(lake.upgrade(table).await.unwrap(), Upgraded::default());
    }
    assert_eq!(made::sightings(&lake).await.len(), 16);
    assert!(lake.check().await.is_empty());
}

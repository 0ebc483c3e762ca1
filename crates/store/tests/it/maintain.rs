//! Compaction, vacuum and check.

use std::fs;

use tidegauge_model::Instant;
use tidegauge_store::{Appended, Compacted, Error, Table, Vacuumed};

use crate::made;

#[tokio::test]
async fn compaction_changes_no_row() {
    let (lake, folder) = made::lake().await;
    for name in ["a", "b", "c"] {
        let mut batch = made::batch(&[name]);
        batch.sightings[0].contacts = u64::from(name.as_bytes()[0]);
        lake.append(batch).await.unwrap();
    }
    let before = made::sightings(&lake).await;
    let coverage = lake.coverage(made::year()).await.unwrap();
    let done = lake.compact(Table::Sightings).await.unwrap();
    assert_eq!(done, Compacted { merged: 6, made: 2, folded: 0 });
    assert_eq!(lake.compact(Table::Coverage).await.unwrap().made, 2);
    for lake in [lake.clone(), made::open(&folder).await] {
        assert_eq!(made::sightings(&lake).await, before);
        assert_eq!(lake.coverage(made::year()).await.unwrap(), coverage);
        assert_eq!(lake.snapshot(Table::Sightings).await.unwrap().files.len(), 2);
        assert!(lake.check().await.is_empty());
        let again = lake.append(made::batch(&["b"])).await.unwrap();
        assert_eq!(again, Appended::AlreadyThere);
    }
    let again = lake.compact(Table::Sightings).await.unwrap();
    assert_eq!(again, Compacted::default(), "there is nothing left to do");
    assert_eq!(lake.compact(Table::Atlas).await.unwrap(), Compacted::default());

    let early = lake.vacuum(Table::Sightings, Instant(0)).await.unwrap();
    assert_eq!(early, Vacuumed::default(), "what is newer than asked for stays");
    let freed = lake.vacuum(Table::Sightings, Instant(i64::MAX)).await.unwrap();
    assert_eq!(freed.files, 12, "six of sightings, six of state");
    assert!(freed.bytes > 0);
    assert_eq!(made::sightings(&made::open(&folder).await).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compactions_that_race_with_each_other_and_with_appends_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let lake = made::open(&folder).await;
    for name in ["a", "b", "c"] {
        lake.append(made::batch(&[name])).await.unwrap();
    }
    let mut tasks = Vec::new();
    for task in 0..6 {
        let lake = made::open(&folder).await;
        tasks.push(tokio::spawn(async move {
            if task % 2 == 0 {
                // Losing every attempt to the others is no failure here.
                matches!(
                    lake.compact(Table::Sightings).await,
                    Ok(_) | Err(Error::Conflict { .. })
                )
            } else {
                lake.append(made::batch(&[&format!("more {task}")])).await.is_ok()
            }
        }));
    }
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(made::sightings(&made::open(&folder).await).await.len(), 24);
}

#[tokio::test]
async fn a_check_finds_every_damaged_file() {
    let (lake, folder) = made::lake().await;
    lake.append(made::batch(&["a"])).await.unwrap();
    assert!(lake.check().await.is_empty());
    let data = |table: &str, month: &str| {
        let mut files = fs::read_dir(folder.path().join(table).join(month)).unwrap();
        files.next().unwrap().unwrap().path()
    };
    fs::remove_file(data("sightings", "month=2024-04")).unwrap();
    let coverage = data("coverage", "month=2024-05");
    fs::copy(data("coverage", "month=2024-04"), &coverage).unwrap();
    fs::write(&coverage, b"not Parquet").unwrap();
    let wrong: Vec<_> = lake.check().await.iter().map(ToString::to_string).collect();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("`sightings` is damaged"), "{wrong:?}");
    assert!(wrong[1].contains("`coverage` is damaged"), "{wrong:?}");
}

//! Several writers at once.

use std::collections::BTreeSet;

use tidegauge_store::{Appended, Table};

use crate::made;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_writers_with_the_same_batch_exactly_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let mut writers = Vec::new();
    for writer in 0..8 {
        // Each has a lake of its own, as another process would.
        let lake = made::open(&folder).await;
        let mut batch = made::batch(&["a", "b"]);
        batch.run = made::run(&format!("writer {writer}"));
        writers.push(tokio::spawn(async move { lake.append(batch).await.unwrap() }));
    }
    let mut stored = 0;
    for writer in writers {
        stored += usize::from(matches!(writer.await.unwrap(), Appended::Stored { .. }));
    }
    assert_eq!(stored, 1);
    let lake = made::open(&folder).await;
    assert_eq!(made::sightings(&lake).await.len(), 4);
    assert_eq!(lake.coverage(made::year()).await.unwrap(), made::batch(&[]).coverage);
    assert_eq!(lake.runs().await.unwrap().len(), 1);

    let snapshot = lake.snapshot(Table::Sightings).await.unwrap();
    let named: BTreeSet<_> = snapshot
        .files
        .iter()
        .filter_map(|f| f.path.filename())
        .map(str::to_owned)
        .collect();
    let mut on_disk = BTreeSet::new();
    for month in ["month=2024-04", "month=2024-05"] {
        let files =
            std::fs::read_dir(folder.path().join("sightings").join(month)).unwrap();
        on_disk.extend(files.map(|f| f.unwrap().file_name().into_string().unwrap()));
    }
    assert_eq!(on_disk, named, "the losers take their files away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_with_different_batches_all_win() {
    let folder = tempfile::tempdir().unwrap();
    let mut writers = Vec::new();
    for writer in 0..8 {
        let lake = made::open(&folder).await;
        let batch = made::batch(&[&format!("input {writer}")]);
        writers.push(tokio::spawn(async move { lake.append(batch).await.unwrap() }));
    }
    for writer in writers {
        assert!(matches!(writer.await.unwrap(), Appended::Stored { rows: 4, .. }));
    }
    let lake = made::open(&folder).await;
    assert_eq!(made::sightings(&lake).await.len(), 32);
    let coverage = lake.coverage(made::year()).await.unwrap();
    let flows: Vec<_> = coverage.iter().map(|c| c.flows).collect();
    assert_eq!(flows, [800, 800]);
    assert_eq!(lake.runs().await.unwrap().len(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_batches_never_count_an_input_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut writers = Vec::new();
    for inputs in [["a", "b"], ["b", "c"], ["c", "a"]] {
        let lake = made::open(&folder).await;
        let batch = made::batch(&inputs);
        writers.push(tokio::spawn(async move { lake.append(batch).await.is_ok() }));
    }
    let mut won = 0;
    for writer in writers {
        won += usize::from(writer.await.unwrap());
    }
    assert_eq!(won, 1, "each pair shares an input with each other pair");
    assert_eq!(made::sightings(&made::open(&folder).await).await.len(), 4);
}

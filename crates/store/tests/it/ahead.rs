//! Sightings that are written before their append.

use tidegauge_store::{Ahead, Appended, Error, Table};

use crate::made;

#[tokio::test]
async fn pieces_are_there_with_the_rest_of_their_batch_and_not_before() {
    let (at_once, _folder) = made::lake().await;
    at_once.append(made::batch(&["a"])).await.unwrap();
    let (lake, folder) = made::lake().await;
    let mut batch = made::batch(&["a"]);
    let rest = batch.sightings.split_off(3);
    let mut ahead = Ahead::default();
    for piece in batch.sightings.chunks(2) {
        lake.write_ahead(&mut ahead, piece.to_vec()).await.unwrap();
    }
    assert_eq!(ahead.rows(), 3);
    assert_eq!(made::sightings(&made::open(&folder).await).await, []);
    batch.sightings = rest;
    let appended = lake.append_after(ahead, batch).await.unwrap();
    assert!(matches!(appended, Appended::Stored { rows: 4, .. }), "{appended:?}");
    let sorted = |mut all: Vec<_>| {
        all.sort_by_key(|s: &tidegauge_model::Sighting| (s.client.clone(), s.day));
        all
    };
    let there = made::sightings(&made::open(&folder).await).await;
    assert_eq!(sorted(there), sorted(made::sightings(&at_once).await));
    assert!(lake.check().await.is_empty());
}

#[tokio::test]
async fn what_does_not_get_in_leaves_no_file() {
    let (lake, folder) = made::lake().await;
    lake.append(made::batch(&["a"])).await.unwrap();
    let files = || walkdir(&folder.path().join("sightings"));
    let before = files();
    for (inputs, known) in [(&["a"][..], true), (&["a", "b"], false)] {
        let batch = made::batch(inputs);
        let mut ahead = Ahead::default();
        lake.write_ahead(&mut ahead, batch.sightings.clone()).await.unwrap();
        assert!(files().len() > before.len());
        let appended = lake.append_after(ahead, batch).await;
        match appended {
            Ok(Appended::AlreadyThere) => assert!(known),
            Err(Error::PartlyThere { .. }) => assert!(!known),
            other => panic!("{other:?}"),
        }
        assert_eq!(files(), before);
    }
    let mut ahead = Ahead::default();
    lake.write_ahead(&mut ahead, made::batch(&["c"]).sightings).await.unwrap();
    lake.abandon(&ahead).await;
    assert_eq!(files(), before);
    let left = lake.vacuum(Table::Sightings, tidegauge_model::Instant(i64::MAX)).await;
    assert_eq!(left.unwrap().files, 0);
}

/// Every file of data below a folder, in order.
fn walkdir(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("_delta_log") {
            files.extend(walkdir(&path));
        } else if path.extension().is_some_and(|e| e == "parquet") {
            files.push(path);
        }
    }
    files.sort();
    files
}

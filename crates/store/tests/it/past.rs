//! The lake as it stood: what was there then, and that it cannot be changed.

use std::time::SystemTime;

use tidegauge_model::Instant;
use tidegauge_store::{Error, Lake, Table};

use crate::made;

/// A time later than all commits before it and earlier than all after: commits are told
/// apart by the millisecond, so the next one is waited for.
#[expect(clippy::disallowed_methods, reason = "commits carry the clock's time")]
pub(crate) fn between() -> Instant {
    let millis = || {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        i64::try_from(since.unwrap().as_millis()).unwrap()
    };
    let now = millis();
    while millis() == now {
        std::hint::spin_loop();
    }
    Instant::from_unix_millis(now)
}

#[tokio::test]
async fn it_holds_what_was_committed_until_then() {
    let (lake, folder) = made::lake().await;
    let before = between();
    let mut times = Vec::new();
    for n in 0..25 {
        let mut batch = made::batch(&[&format!("input {n}")]);
        batch.sightings.truncate(1);
        lake.append(batch).await.unwrap();
        times.push(between());
    }
    let path = folder.path().to_str().unwrap();
    // Before, between, and on either side of a checkpoint.
    for n in [0, 7, 18, 19, 24] {
        let then = Lake::open_as_of(path, times[n]).await.unwrap();
        assert_eq!(made::sightings(&then).await.len(), n + 1);
        assert_eq!(then.runs().await.unwrap().len(), n + 1);
        let united = &then.coverage(made::year()).await.unwrap()[0];
        let once = &made::batch(&["one"]).coverage[0];
        assert_eq!(united.flows, once.flows * u64::try_from(n + 1).unwrap());
    }
    let empty = Lake::open_as_of(path, before).await.unwrap();
    assert_eq!(made::version(&empty, Table::Sightings).await, -1);
    lake.append(made::batch(&["later"])).await.unwrap();
    let then = Lake::open_as_of(path, times[24]).await.unwrap();
    assert_eq!(
        made::sightings(&then).await.len(),
        25,
        "a later append changes no past"
    );
}

#[tokio::test]
async fn the_past_is_only_read() {
    let (lake, folder) = made::lake().await;
    lake.append(made::batch(&["a"])).await.unwrap();
    let path = folder.path().to_str().unwrap();
    let then = Lake::open_as_of(path, between()).await.unwrap();
    let version = made::version(&lake, Table::Sightings).await;
    let refused = [
        then.append(made::batch(&["b"])).await.map(|_| ()),
        then.record_run(&made::run("b")).await.map(|_| ()),
        then.write_catalog(&[made::endpoint()], "1").await.map(|_| ()),
        then.compact(Table::Sightings).await.map(|_| ()),
        then.vacuum(Table::Sightings, between()).await.map(|_| ()),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(Error::Past { .. })), "{refused:?}");
    }
    assert_eq!(made::version(&lake, Table::Sightings).await, version);
}

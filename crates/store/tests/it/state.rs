//! State of files of sightings: it says what they say, and goes when they go.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt;
use proptest::prelude::*;
use tidegauge_model::{Address, Day, Instant, Prefix, Sighting};
use tidegauge_store::{
    Batch, Beside, Error, Fingerprint, Forgetting, Lake, Table, by_address, state,
};

use crate::{made, past};

/// Cases of what writes a lake each.
const CASES: u32 = 16;

/// Of address, site, endpoint, vantage, signal and day: the contacts.
type Contacts = BTreeMap<(Address, String, String, String, String, Day), u64>;

/// What counting reads of every file of the lake.
async fn read(lake: &Lake) -> Contacts {
    let mut found = Contacts::new();
    let snapshot = lake.snapshot(Table::Sightings).await.unwrap();
    for file in &snapshot.files {
        let month = state::month_of(file).unwrap();
        let mut batches = by_address::read(&snapshot, file, 3, by_address::Wanted::ALL);
        while let Some(batch) = batches.try_next().await.unwrap() {
            assert_eq!(batch.schema(), state::schema());
            let number = |at: usize| batch.column(at).as_primitive::<Int64Type>();
            let text = |at: usize, row: usize| {
                let names = batch.column(at).as_dictionary::<Int32Type>();
                let name = names
                    .key(row)
                    .map(|key| names.values().as_string::<i32>().value(key).to_owned());
                name.unwrap_or_default()
            };
            for row in 0..batch.num_rows() {
                let days = batch.column(6).as_primitive::<Int32Type>().value(row);
                let days = days.cast_unsigned();
                let each = batch.column(8).as_binary::<i32>();
                let each = each.is_valid(row).then(|| each.value(row));
                let (mut contacts, all) = (Vec::new(), number(7).value(row));
                assert!(state::contacts_of_each_day(days, all, each, &mut contacts));
                assert_eq!(contacts.iter().sum::<u64>(), all.cast_unsigned());
                let on = (0..31).filter(|bit| days >> bit & 1 == 1);
                for (bit, contacts) in on.zip(contacts) {
                    let day = month.first().plus(bit);
                    let halves = (number(0).value(row), number(1).value(row));
                    let address = Address::from_halves(halves.0, halves.1);
                    let [a, b, c, d] = [2, 3, 4, 5].map(|at| text(at, row));
                    *found.entry((address, a, b, c, d, day)).or_default() += contacts;
                }
            }
        }
    }
    found
}

/// What sightings say.
fn expected(sightings: &[Sighting]) -> Contacts {
    let mut contacts = Contacts::new();
    for s in sightings {
        let site = s.client.site.as_ref().map(ToString::to_string);
        let key = (
            s.client.address,
            site.unwrap_or_default(),
            s.endpoint.to_string(),
            s.vantage.to_string(),
            s.signal.to_string(),
            s.day,
        );
        *contacts.entry(key).or_default() += s.contacts;
    }
    contacts
}

/// Files of a folder of the lake, below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let all = entries.map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = all
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|e| e == "parquet"))
        .collect();
    found.sort();
    found
}

fn states(lake: &Path) -> Vec<PathBuf> {
    files(&lake.join("state"))
}

fn any_sighting() -> impl Strategy<Value = Sighting> {
    let address = prop::sample::select(vec!["192.0.2.1", "10.0.0.7", "2001:db8::7"]);
    let endpoint = prop::sample::select(vec!["p/a", "p/b"]);
    let signal = prop::sample::select(tidegauge_model::Signal::ALL.to_vec());
    (address, endpoint, signal, 1u32..=30, 4u32..=5, 0u64..1_000, any::<bool>())
        .prop_map(|(address, endpoint, signal, day, month, contacts, elsewhere)| {
            let on = format!("2024-{month:02}-{day:02}");
            let mut made = made::sighting(address, endpoint, &on);
            made.client.site = (address == "10.0.0.7").then(|| "site:a".into());
            made.vantage = if elsewhere { "probe" } else { "other" }.into();
            Sighting { contacts, signal, ..made }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    /// With state, without, and with some of it, before and after compaction.
    #[test]
    fn state_says_what_sightings_say(
        parts in prop::collection::vec(prop::collection::vec(any_sighting(), 1..40), 1..4),
        lost in any::<prop::sample::Index>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let (lake, folder) = made::lake().await;
            for (at, sightings) in parts.iter().enumerate() {
                let batch = made::batch(&[&format!("part {at}")]);
                lake.append(Batch { sightings: sightings.clone(), ..batch }).await.unwrap();
            }
            let all = expected(&made::sightings(&lake).await);
            let (kept, stored) = (states(folder.path()), files(&folder.path().join("sightings")));
            prop_assert_eq!(kept.len(), stored.len(), "every file has its state");
            prop_assert_eq!(&read(&lake).await, &all);
            fs::remove_file(lost.get(&kept)).unwrap();
            prop_assert_eq!(&read(&lake).await, &all);
            lake.compact(Table::Sightings).await.unwrap();
            prop_assert_eq!(&read(&lake).await, &all);
            prop_assert!(lake.check().await.is_empty());
            for file in states(folder.path()) {
                fs::remove_file(file).unwrap();
            }
            prop_assert_eq!(&read(&lake).await, &all);
            let files = lake.snapshot(Table::Sightings).await.unwrap().files.len();
            let made = lake.compact(Table::Sightings).await.unwrap();
            prop_assert_eq!(made.folded, u64::try_from(files).unwrap());
            prop_assert_eq!(&read(&lake).await, &all);
            prop_assert!(lake.check().await.is_empty());
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_check_finds_state_that_is_damaged_or_of_something_else() {
    let (lake, folder) = made::lake().await;
    lake.append(made::batch(&["a"])).await.unwrap();
    let all = states(folder.path());
    let [april, may] = &all[..] else { panic!("{all:?}") };
    let whole = fs::read(april).unwrap();
    let wrong = async || {
        let wrong = lake.check().await;
        wrong.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    fs::copy(may, april).unwrap();
    let said = wrong().await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("it is not what its sightings say"), "{said:?}");
    assert!(said[0].contains("delete the file and run `tidegauge lake compact`"));
    fs::write(april, &whole[..whole.len() / 2]).unwrap();
    let said = wrong().await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("state/1/month=2024-04"), "{said:?}");
    fs::remove_file(april).unwrap();
    assert!(wrong().await.is_empty(), "sightings are whole");
    assert_eq!(lake.compact(Table::Sightings).await.unwrap().folded, 1);
    assert_eq!(fs::read(april).unwrap(), whole, "the same sightings, the same bytes");
}

#[tokio::test]
async fn what_is_kept_is_found_until_something_is_forgotten() {
    let (lake, folder) = made::lake().await;
    let [one, two] = ["one", "two"].map(|name| Fingerprint::of(name.as_bytes()));
    assert_eq!(lake.kept(&one).await.unwrap(), None);
    lake.keep(&one, b"older".to_vec()).await.unwrap();
    lake.keep(&one, b"newer".to_vec()).await.unwrap();
    lake.keep(&two, b"other".to_vec()).await.unwrap();
    assert_eq!(lake.kept(&one).await.unwrap(), Some(b"newer".to_vec()));
    assert_eq!(lake.beside().await.unwrap()[1], Beside { files: 2, bytes: 10 });
    lake.append(made::batch(&["a"])).await.unwrap();
    let past = Lake::open_as_of(folder.path().to_str().unwrap(), past::between()).await;
    let past = past.unwrap();
    assert_eq!(past.kept(&two).await.unwrap(), Some(b"other".to_vec()));
    let refused = past.keep(&two, Vec::new()).await;
    assert!(matches!(refused, Err(Error::Past { .. })), "{refused:?}");

    lake.vacuum(Table::Sightings, Instant(0)).await.unwrap();
    assert_eq!(lake.beside().await.unwrap()[1].files, 2);
    lake.vacuum(Table::Sightings, Instant(i64::MAX)).await.unwrap();
    assert_eq!(lake.kept(&one).await.unwrap(), None);
    lake.keep(&one, b"again".to_vec()).await.unwrap();
    let block: Prefix = "203.0.113.99/32".parse().unwrap();
    lake.forget(&Forgetting { prefixes: vec![block], before: None }).await.unwrap();
    assert_eq!(lake.kept(&one).await.unwrap(), None, "it may rest on what is gone");
}

#[tokio::test]
async fn state_goes_with_its_sightings() {
    let (lake, folder) = made::lake().await;
    for name in ["a", "b"] {
        lake.append(made::batch(&[name])).await.unwrap();
    }
    lake.compact(Table::Sightings).await.unwrap();
    assert_eq!(states(folder.path()).len(), 6, "of two months, before and after");
    let other = tempfile::tempdir().unwrap();
    let copy = made::open(&other).await;
    lake.backup(&copy).await.unwrap();
    assert_eq!(states(other.path()).len(), 2, "a backup has that of its version");
    assert!(copy.check().await.is_empty());
    assert_eq!(read(&copy).await, read(&lake).await);

    lake.vacuum(Table::Sightings, Instant(0)).await.unwrap();
    assert_eq!(states(folder.path()).len(), 6, "what is newer than asked for stays");
    lake.vacuum(Table::Sightings, Instant(i64::MAX)).await.unwrap();
    assert_eq!(states(folder.path()).len(), 2);

    let block: Prefix = "192.0.2.7/32".parse().unwrap();
    let before = states(folder.path());
    let what = Forgetting { prefixes: vec![block], before: None };
    lake.forget(&what).await.unwrap();
    let after = states(folder.path());
    assert!(after.iter().any(|file| !before.contains(file)), "{after:?}");
    let left = read(&lake).await;
    assert!(!left.is_empty() && left.keys().all(|key| !block.contains(key.0)));
    let named = lake.snapshot(Table::Sightings).await.unwrap().files.len();
    assert_eq!(after.len(), named, "what was forgotten is in no state either");
}

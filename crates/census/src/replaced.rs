//! Counts of a lake in which pseudonyms stand for addresses, beside those of before.
//!
//! **Invariant:** nothing here uses the keys or the atlas; pseudonyms are made by a table.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use tidegauge_model::count::{Cell, Counts, Dating, Dimension, Query};
use tidegauge_model::pseudonym::{NETWORK_BITS, Pseudonym};
use tidegauge_model::{
    Address, Attribution, Client, Day, DayRange, Month, Observation, Tenure,
};
use tidegauge_store::Pseudonyms;

use crate::world::{Table, any_query, any_world, block_on, control, days, endpoints};
use crate::{Counter, Settings};

/// Pseudonyms for the clients of days before one.
struct Replaced {
    table: Table,
    before: Day,
    classes: Vec<Attribution>,
}

impl Replaced {
    fn of(client: &Client, class: u64) -> Address {
        let low = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap();
        // Private addresses of two sites are two clients by their site.
        let bits = client.address.bits();
        let v6 = !client.address.is_v4();
        let body = if v6 {
            Pseudonym::body_v6(low(bits >> 64) % (1 << NETWORK_BITS), low(bits))
        } else {
            low(bits)
        };
        Pseudonym { v6, class, generation: 1, body }.address()
    }
}

impl Pseudonyms for Replaced {
    fn may_change(&self, month: Option<Month>) -> bool {
        month.is_none_or(|month| month.first() < self.before)
    }

    fn pseudonym(&mut self, client: &Client, day: Day) -> Option<Address> {
        if day >= self.before || client.address.is_pseudonym() {
            return None;
        }
        let held = self.table.on(client, day);
        let known = self.classes.iter().position(|of| *of == held);
        let class = known.unwrap_or_else(|| {
            self.classes.push(held.clone());
            self.classes.len() - 1
        });
        let address = Self::of(client, u64::try_from(class).unwrap());
        let ever = DayRange::new(days().first().plus(-99), days().last().plus(99));
        let tenure = Tenure { days: ever.unwrap(), attribution: held };
        let site = client.site.clone();
        self.table.tenures.insert(Client { address, site }, vec![tenure]);
        Some(address)
    }

    fn held(&mut self) -> Vec<Observation> {
        Vec::new()
    }
}

/// Counts by the key of their cell.
type ByKey = BTreeMap<Vec<Option<String>>, [u64; 2]>;

/// What does not depend on which address an organisation was seen at: organisations, by the
/// windows in which they were seen; and address-days and contacts of all windows together, as
/// an address that changed hands between two windows is one in each now.
fn of_organisations(query: &Query, cells: &[Cell]) -> [ByKey; 2] {
    let windows = query.by.iter().position(|by| *by == Dimension::Windows);
    let mut all = [ByKey::new(), ByKey::new()];
    let [organisations, days] = &mut all;
    for Cell { key, counts, .. } in cells {
        let seen = [counts.organisations, counts.organisations_active];
        if seen != [0, 0] {
            organisations.insert(key.clone(), seen);
        }
        let mut key = key.clone();
        if let Some(windows) = windows {
            key[windows] = None;
        }
        let sum = days.entry(key).or_default();
        sum[0] += counts.address_days;
        sum[1] += counts.contacts;
    }
    all
}

fn addresses(counts: &Counts) -> [u64; 3] {
    [counts.addresses_v4, counts.addresses_v4_consumer, counts.networks_v6]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn counts_stay_where_pseudonyms_stand_for_addresses(
        world in any_world(),
        queries in prop::collection::vec(any_query(), 3),
        some in 0..14i32,
    ) {
        block_on(async {
            let stored = world.store(2).await;
            let lake = &stored.counter.lake;
            let all = days().last().plus(1);
            let (mut table, mut classes) = (world.table.clone(), Vec::new());
            let mut at_first = Vec::new();
            for query in &queries {
                let query = Query { on: Dating::EachDay, ..query.clone() };
                at_first.push((stored.counter.census(&query).await.unwrap(), query));
            }
            // A part first, then the rest, then once more: nothing is left to do.
            for (before, rows) in [(days().first().plus(some), None), (all, None), (all, Some(0))] {
                let mut replaced = Replaced { table, before, classes };
                let done = lake.pseudonymise(&mut replaced).await.unwrap();
                prop_assert!(rows.is_none_or(|rows| rows == done.rows), "{done:?}");
                (table, classes) = (replaced.table, replaced.classes);
            }
            prop_assert!(lake.check().await.is_empty());
            let settings = Settings { partitions: 2, ..Settings::default() };
            let holders = Arc::new(table);
            let counter =
                Counter::open(lake, &endpoints(), &[control()], holders, settings).unwrap();
            // Of a client that changed hands there are two pseudonyms.
            let still = world.table.tenures.keys().all(|client| {
                let mut held = days().days().map(|day| world.table.on(client, day));
                let first = held.next();
                held.all(|other| Some(&other) == first.as_ref())
            });
            for (before, query) in at_first {
                let after = counter.census(&query).await.unwrap();
                let parts = |cells: &[Cell]| of_organisations(&query, cells);
                prop_assert_eq!(parts(&after.cells), parts(&before.cells), "{:?}", query);
                prop_assert_eq!(&after.standings, &before.standings);
                if !still && query.by.contains(&Dimension::Windows) {
                    continue;
                }
                prop_assert_eq!(after.cells.len(), before.cells.len());
                for (after, before) in after.cells.iter().zip(&before.cells) {
                    let (after, before) = (addresses(&after.counts), addresses(&before.counts));
                    prop_assert!(after.iter().zip(before).all(|(a, b)| *a >= b));
                    prop_assert!(!still || after == before, "{after:?} {before:?}");
                }
            }
            Ok(())
        })?;
    }
}

//! The weeks in which each organisation was in contact with each product.
//!
//! **Invariant:** a contact counts here where it counts in a census: by the same evidence,
//! on the same map, in the same networks.

use std::collections::BTreeMap;

use datafusion::common::HashMap;
use tidegauge_model::count::Query;
use tidegauge_model::{Day, OrgId, ProductId};

use crate::Result;
use crate::clients::{Clients, Group};
use crate::evidence::Evidence;
use crate::holding::Holding;
use crate::partial::at;

/// Of an organisation and a product one byte for each ISO week with a day of the question,
/// in order; bit `d` is set if there was a contact on day `d` from Monday.
pub type Contacts = BTreeMap<OrgId, BTreeMap<ProductId, Vec<u8>>>;

/// Reads the contacts of all organisations.
pub(crate) async fn contacts(
    clients: &mut Clients,
    evidence: &Evidence<'_>,
    holding: &mut Holding<'_>,
    query: &Query,
) -> Result<Contacts> {
    let (first, last) = (query.days.first(), query.days.last());
    let monday = first.week().monday();
    let weeks = place(last.week().monday(), monday).0 + 1;
    let mut seen: HashMap<(u32, u32), Vec<u8>> = HashMap::new();
    let take = |group: Group<'_>, _: &mut Holding<'_>| {
        for sighting in group.seen {
            let facts = sighting.facts;
            let organisation = facts.organisation.filter(|_| facts.passes);
            let row = evidence.row(sighting.entry).filter(|row| row.seen);
            let Some((organisation, row)) = organisation.zip(row) else { continue };
            let of = seen.entry((organisation, row.product));
            let days = of.or_insert_with(|| vec![0; weeks]);
            for day in sighting.days.each() {
                let (week, bit) = place(first.plus(day.first()), monday);
                if let Some(days) = days.get_mut(week) {
                    *days |= bit;
                }
            }
        }
        Ok(())
    };
    clients.each(holding, take).await?;
    let mut contacts = Contacts::new();
    let organisations = holding.organisations();
    for ((organisation, product), days) in seen {
        let organisation = organisations.get(at(organisation));
        if let Some((id, product)) = organisation.zip(evidence.product(product)) {
            contacts.entry(id.clone()).or_default().insert(product.clone(), days);
        }
    }
    Ok(contacts)
}

/// The number of the week of a day from that of `monday`, and the bit of the day.
fn place(day: Day, monday: Day) -> (usize, u8) {
    let days = usize::try_from(day.0 - monday.0).unwrap_or(0);
    (days / 7, 1 << (days % 7))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tidegauge_model::count::Dimension;

    use super::*;
    use crate::world::{any_world, block_on, everything};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        /// By product and day there are as many organisations as a census has.
        #[test]
        fn contacts_are_those_of_the_census(world in any_world(), parts in 1usize..3) {
            let query = everything(&[Dimension::Product, Dimension::Day]);
            let (contacts, census) = block_on(async {
                let stored = world.store(parts).await;
                let contacts = stored.counter.contacts(&query).await.unwrap();
                (contacts, stored.counter.census(&query).await.unwrap())
            });
            let monday = query.days.first().week().monday();
            let mut sets: BTreeMap<(String, String), BTreeSet<&OrgId>> = BTreeMap::new();
            for (id, products) in &contacts {
                for (product, weeks) in products {
                    for day in query.days.days() {
                        let (week, bit) = place(day, monday);
                        if weeks[week] & bit != 0 {
                            let key = (product.to_string(), day.to_string());
                            sets.entry(key).or_default().insert(id);
                        }
                    }
                }
            }
            for cell in &census.cells {
                let key = |at: usize| cell.key[at].clone().unwrap();
                let found = sets.remove(&(key(0), key(1))).unwrap_or_default();
                prop_assert_eq!(found.len() as u64, cell.counts.organisations);
            }
            prop_assert!(sets.is_empty());
        }
    }
}

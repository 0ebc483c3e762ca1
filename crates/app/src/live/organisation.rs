//! Organisations by name, for the operator's own pages.
//!
//! **Invariant:** what is told of an organisation is what the map says of it and what a
//! census would count of it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use tidegauge_enrich::atlas::HolderMap;
use tidegauge_model::{
    Address, Client, Day, DayRange, Holders, OrgId, Organisation, ProductId,
};
use tidegauge_publish::organisation::{Contact, Dossier, Found, Holding};
use tidegauge_publish::serve::CountsError;

use super::Live;

/// Organisations in one list.
const FOUND_MAX: usize = 100;

/// What the map says of every organisation; read from it when first asked for.
#[derive(Default)]
pub(super) struct Directory(OnceLock<Listed>);

#[derive(Default)]
struct Listed {
    /// The ranges of addresses that each ever held.
    ranges: BTreeMap<OrgId, Vec<(Address, Address)>>,
    /// Those that each owns.
    owned: BTreeMap<OrgId, BTreeSet<OrgId>>,
}

impl Directory {
    fn of(&self, map: &HolderMap, days: DayRange) -> &Listed {
        let list = || self.0.get_or_init(|| Listed::read(map, days));
        tokio::task::block_in_place(list)
    }
}

impl Listed {
    fn read(map: &HolderMap, days: DayRange) -> Self {
        let mut listed = Self::default();
        for (first, last, tenures) in map.ranges(days) {
            let holders =
                tenures.into_iter().filter_map(|t| t.attribution.organisation);
            for holder in holders.collect::<BTreeSet<OrgId>>() {
                listed.ranges.entry(holder).or_default().push((first, last));
            }
        }
        for one in listed.ranges.keys().filter_map(|id| map.organisation(id)) {
            if let Some(parent) = one.parent.clone() {
                listed.owned.entry(parent).or_default().insert(one.id.clone());
            }
        }
        listed
    }

    /// Those it owns, and those that have the same owner.
    fn family(&self, one: &Organisation) -> Vec<OrgId> {
        let owners = one.parent.iter().chain([&one.id]);
        let family: BTreeSet<&OrgId> =
            owners.filter_map(|id| self.owned.get(id)).flatten().collect();
        family.into_iter().filter(|id| **id != one.id).cloned().collect()
    }
}

impl Live {
    /// Organisations whose name or id has `words` in it, the first by name.
    pub(super) async fn find(&self, words: &str) -> Result<Found, CountsError> {
        self.operator_only()?;
        let wanted = words.to_lowercase();
        let map = &self.opened.map;
        let listed = self.directory.of(map, self.told_days().await?);
        let has = |one: &Cow<'_, Organisation>| {
            one.name.to_lowercase().contains(&wanted)
                || one.id.as_str().to_lowercase().contains(&wanted)
        };
        let all = listed.ranges.keys().filter_map(|id| map.organisation(id));
        let mut found: Vec<Cow<'_, Organisation>> = all.filter(has).collect();
        let total = found.len();
        found.sort_by_cached_key(|one| (one.name.to_lowercase(), one.id.clone()));
        let first = found.into_iter().take(FOUND_MAX);
        Ok(Found { organisations: first.map(Cow::into_owned).collect(), total })
    }

    /// All that is known of one organisation.
    pub(super) async fn dossier(
        &self,
        id: &OrgId,
    ) -> Result<Option<Dossier>, CountsError> {
        self.operator_only()?;
        let map = &self.opened.map;
        let Some(organisation) = map.organisation(id) else { return Ok(None) };
        let days = self.told_days().await?;
        let listed = self.directory.of(map, days);
        let ranges = listed.ranges.get(id).map_or(&[][..], Vec::as_slice);
        let holdings = holdings(map, id, ranges, days);
        let family = listed.family(&organisation);
        let contacts = self.contacts_of(id).await?;
        let organisation = organisation.into_owned();
        Ok(Some(Dossier { organisation, family, days, holdings, contacts }))
    }

    /// Products in their order, each with the weeks of contact.
    async fn contacts_of(&self, id: &OrgId) -> Result<Vec<Contact>, CountsError> {
        let Some(covered) = self.covered().await? else { return Ok(Vec::new()) };
        let all = self.contacts(covered).await?;
        let Some(of_it) = all.get(id) else { return Ok(Vec::new()) };
        let products = self.scoped().await?.products.into_iter();
        let contact = |(product, name): (ProductId, String)| {
            let weeks = weeks(covered, of_it.get(&product)?);
            Some(Contact { product, name, weeks })
        };
        Ok(products.filter_map(contact).collect())
    }

    pub(super) fn operator_only(&self) -> Result<(), CountsError> {
        if self.evidence.internal { Ok(()) } else { Err(CountsError::Internal) }
    }

    /// From the first snapshot or day of coverage to the last.
    async fn told_days(&self) -> Result<DayRange, CountsError> {
        let tables = self.opened.map.tables();
        let covered = self.covered().await?.into_iter();
        let covered = covered.flat_map(|days| [days.first(), days.last()]);
        let told: BTreeSet<Day> =
            tables.iter().map(|table| table.snapshot).chain(covered).collect();
        let ends = told.first().zip(told.last());
        let days = ends.and_then(|(first, last)| DayRange::new(*first, *last));
        Ok(days.unwrap_or_else(|| DayRange::month(Day(0).month())))
    }
}

fn holdings(
    map: &HolderMap,
    id: &OrgId,
    ranges: &[(Address, Address)],
    days: DayRange,
) -> Vec<Holding> {
    let of_range = |(first, last): &(Address, Address)| {
        let client = Client { address: *first, site: None };
        let (first, last) = (*first, *last);
        let held = map.tenures(&client, days).into_iter();
        held.filter(|t| t.attribution.organisation.as_ref() == Some(id)).map(move |t| {
            Holding {
                first,
                last,
                days: t.days,
                kind: t.attribution.kind,
                shared: t.attribution.shared,
                country: t.attribution.addr_country,
                confidence: t.attribution.confidence,
            }
        })
    };
    ranges.iter().flat_map(of_range).collect()
}

/// Weeks with a contact: their days inside `covered`, and on how many there was one.
fn weeks(covered: DayRange, seen: &[u8]) -> Vec<(DayRange, u32)> {
    let monday = covered.first().week().monday();
    let week = |(days, offset): (&u8, i32)| {
        let first = monday.plus(offset).max(covered.first());
        let last = monday.plus(offset + 6).min(covered.last());
        DayRange::new(first, last)
            .filter(|_| *days != 0)
            .map(|inside| (inside, days.count_ones()))
    };
    seen.iter().zip((0..).step_by(7)).filter_map(week).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_without_contact_are_left_out_and_others_cut_to_the_data() {
        let may = DayRange::month("2024-05".parse().expect("a month"));
        // 2024-05-01 is a Wednesday: the week begins before the data.
        let found = weeks(may, &[0b0000_1100, 0, 0b100_0001]);
        let told: Vec<_> = found.iter().map(|(w, n)| (w.to_string(), *n)).collect();
        let first = ("2024-05-01 to 2024-05-05".to_owned(), 2);
        assert_eq!(told, [first, ("2024-05-13 to 2024-05-19".to_owned(), 2)]);
    }
}

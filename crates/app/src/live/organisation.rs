//! Organisations by name, for the operator's own pages.
//!
//! **Invariant:** what is told of an organisation is what the atlas and the panels of the
//! pages say; nothing is counted anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use tidegauge_enrich::atlas::Atlas;
use tidegauge_model::panel::{History, Panel, WeekCell};
use tidegauge_model::{
    Address, Client, Day, DayRange, Holders, OrgId, Organisation, ProductId,
};
use tidegauge_publish::organisation::{Contact, Dossier, Found, Holding};
use tidegauge_publish::serve::CountsError;

use super::Live;

/// Organisations in one list.
const FOUND_MAX: usize = 100;

/// Which ranges of addresses each organisation ever held; made when first asked for.
#[derive(Default)]
pub(super) struct Ranges(OnceLock<BTreeMap<OrgId, Vec<(Address, Address)>>>);

impl Ranges {
    fn of(
        &self,
        atlas: &Atlas,
        days: DayRange,
    ) -> &BTreeMap<OrgId, Vec<(Address, Address)>> {
        self.0.get_or_init(|| {
            let mut all: BTreeMap<OrgId, Vec<(Address, Address)>> = BTreeMap::new();
            for (first, last, tenures) in atlas.ranges(days) {
                let holders: BTreeSet<OrgId> = tenures
                    .into_iter()
                    .filter_map(|t| t.attribution.organisation)
                    .collect();
                for holder in holders {
                    all.entry(holder).or_default().push((first, last));
                }
            }
            all
        })
    }
}

impl Live {
    /// Organisations whose name or id has `words` in it, the first by name.
    pub(super) fn find(&self, words: &str) -> Result<Found, CountsError> {
        self.operator_only()?;
        let wanted = words.to_lowercase();
        let atlas = &self.opened.atlas;
        let ranges =
            tokio::task::block_in_place(|| self.ranges.of(atlas, self.told_days()));
        let has = |one: &Organisation| {
            one.name.to_lowercase().contains(&wanted)
                || one.id.as_str().to_lowercase().contains(&wanted)
        };
        let mut found: Vec<Organisation> =
            ranges.keys().filter_map(|id| atlas.organisation(id)).filter(has).collect();
        let total = found.len();
        found.sort_by_cached_key(|one| (one.name.to_lowercase(), one.id.clone()));
        found.truncate(FOUND_MAX);
        Ok(Found { organisations: found, total })
    }

    /// All that is known of one organisation.
    pub(super) async fn dossier(
        &self,
        id: &OrgId,
    ) -> Result<Option<Dossier>, CountsError> {
        self.operator_only()?;
        let atlas = &self.opened.atlas;
        let Some(organisation) = atlas.organisation(id) else { return Ok(None) };
        let days = self.told_days();
        let ranges = tokio::task::block_in_place(|| self.ranges.of(atlas, days));
        let of_it = ranges.get(id).map_or(&[][..], Vec::as_slice);
        let mut family = BTreeSet::new();
        let mut contacts = Vec::new();
        for (product, name) in self.scoped().await?.products {
            let Some(covered) = self.opened.covered else { break };
            let panel = self.panel(&product, covered).await?;
            family.extend(relatives(&panel, id));
            contacts.push(contact(&panel, id, product, name));
        }
        Ok(Some(Dossier {
            organisation,
            family: family.into_iter().collect(),
            days,
            holdings: holdings(atlas, id, of_it, days),
            contacts,
        }))
    }

    fn operator_only(&self) -> Result<(), CountsError> {
        if self.evidence.internal { Ok(()) } else { Err(CountsError::Internal) }
    }

    /// From the first snapshot or day of coverage to the last.
    fn told_days(&self) -> DayRange {
        let tables = &self.opened.atlas.notes().tables;
        let covered = self.opened.covered.into_iter();
        let covered = covered.flat_map(|days| [days.first(), days.last()]);
        let told: BTreeSet<Day> =
            tables.iter().map(|table| table.snapshot).chain(covered).collect();
        let ends = told.first().zip(told.last());
        ends.and_then(|(first, last)| DayRange::new(*first, *last))
            .unwrap_or_else(|| DayRange::month(Day(0).month()))
    }
}

fn holdings(
    atlas: &Atlas,
    id: &OrgId,
    ranges: &[(Address, Address)],
    days: DayRange,
) -> Vec<Holding> {
    let of_range = |(first, last): &(Address, Address)| {
        let client = Client { address: *first, site: None };
        let (first, last) = (*first, *last);
        let held = atlas.tenures(&client, days).into_iter();
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

/// Others of its family that a panel has.
fn relatives(panel: &Panel, id: &OrgId) -> BTreeSet<OrgId> {
    let own = panel.histories.iter().find(|h| h.organisation == *id);
    let Some(family) = own.map(|h| &h.family) else { return BTreeSet::new() };
    let of_it = panel.histories.iter().filter(|h| h.family == *family);
    of_it.map(|h| h.organisation.clone()).filter(|other| other != id).collect()
}

fn contact(panel: &Panel, id: &OrgId, product: ProductId, name: String) -> Contact {
    let own: Vec<&History> =
        panel.histories.iter().filter(|h| h.organisation == *id).collect();
    let monday = panel.days.first().week().monday();
    let mut contact = Contact { product, name, weeks: Vec::new(), looked_weeks: 0 };
    let most = own.iter().map(|h| h.weeks.len()).max().unwrap_or(0);
    for (week, offset) in (0..most).zip((0..).step_by(7)) {
        let cells = || own.iter().filter_map(|h| h.weeks.get(week));
        let days =
            |of: fn(&WeekCell) -> u8| cells().fold(0u8, |all, cell| all | of(cell));
        if days(|cell| cell.visible) != 0 {
            contact.looked_weeks += 1;
        }
        let seen = days(|cell| cell.seen).count_ones();
        let (first, last) = (monday.plus(offset), monday.plus(offset + 6));
        let inside =
            DayRange::new(first.max(panel.days.first()), last.min(panel.days.last()));
        if let Some(inside) = inside.filter(|_| seen > 0) {
            contact.weeks.push((inside, seen));
        }
    }
    contact
}

#[cfg(test)]
mod tests {
    use tidegauge_model::VantageId;

    use super::*;

    #[test]
    fn weeks_of_all_vantages_are_put_together_and_cut_to_the_panel() {
        let days = DayRange::month("2024-05".parse().expect("a month"));
        let history = |vantage: &str, seen: u8| History {
            organisation: OrgId::new("org:a"),
            family: OrgId::new("org:a"),
            country: None,
            sector: None,
            vantage: VantageId::new(vantage),
            weeks: vec![
                WeekCell { seen, visible: 0b0111_1111, control: 0 },
                WeekCell::default(),
            ],
        };
        let product = ProductId::new("kaspersky");
        let panel = Panel {
            product: product.clone(),
            days,
            histories: vec![history("a", 0b100), history("b", 0b1100)],
        };
        let found = contact(&panel, &OrgId::new("org:a"), product, "K".to_owned());
        assert_eq!(found.looked_weeks, 1);
        let [(week, seen)] = found.weeks.as_slice() else { panic!("{found:?}") };
        // 2024-05-01 is a Wednesday: the week begins before the panel.
        assert_eq!(week.to_string(), "2024-05-01 to 2024-05-05");
        assert_eq!(*seen, 2);
    }
}

//! Weekly detection histories.
//!
//! **Invariant:** `seen` and `control` come from sightings, `visible` from footprints
//! alone; a day without coverage is never visible, whatever was seen on it.
//!
//! An organisation's *known networks* are the /24s and /48s in which any of its clients
//! was sighted in the panel's days, controls included. It is visible from a vantage on a
//! day if one of them is in the footprint. Footprints hold no private addresses: an
//! organisation sighted by private addresses at a vantage is visible there on every day
//! on which that vantage read any flow. So is one sighted by pseudonyms, of which no network is
//! known any more, but on no day after the last on which anybody was sighted by one: from then on
//! networks are known.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::HashMap;
use tidegauge_model::count::Query;
use tidegauge_model::panel::{History, WeekCell};
use tidegauge_model::{
    Address, Coverage, Day, Holders, OrgId, Prefix, VantageId, Week,
};

use crate::Result;
use crate::clients::{Clients, Group};
use crate::evidence::Evidence;
use crate::holding::Holding;
use crate::partial::at;

/// An organisation's number among those held.
type OrgCode = u32;

/// Days of one organisation at one vantage.
#[derive(Debug, Default)]
struct Days {
    seen: BTreeSet<Day>,
    control: BTreeSet<Day>,
}

/// The known networks of one organisation.
#[derive(Debug, Default)]
struct Networks {
    global: BTreeSet<Prefix>,
    /// Vantages at which it was sighted by private addresses, by number.
    private_at: BTreeSet<u32>,
    /// The same of pseudonyms.
    pseudonyms_at: BTreeSet<u32>,
}

/// What the sightings say.
#[derive(Debug, Default)]
struct Sighted {
    days: HashMap<(OrgCode, u32), Days>,
    networks: HashMap<OrgCode, Networks>,
    /// The last day on which anybody was sighted by a pseudonym.
    pseudonyms_until: Option<Day>,
}

/// Makes the histories of a panel.
pub(crate) async fn histories(
    clients: &mut Clients,
    evidence: &Evidence<'_>,
    holding: &mut Holding<'_>,
    query: &Query,
    coverage: &[Coverage],
) -> Result<Vec<History>> {
    let first = query.days.first();
    let mut sighted = Sighted::default();
    let take = |group: Group<'_>, _: &mut Holding<'_>| {
        sighted.add(&group, evidence, first);
        Ok(())
    };
    clients.each(holding, take).await?;
    let Sighted { days, networks, pseudonyms_until } = sighted;
    let named = days.into_iter().filter(|(_, d)| !d.seen.is_empty());
    let named = named.filter_map(|((code, vantage), days)| {
        let id = clients.vantage(vantage)?;
        Some(((code, id), (vantage, days)))
    });
    let days: BTreeMap<(OrgCode, VantageId), (u32, Days)> = named.collect();
    let visible = visible_days(&days, &networks, pseudonyms_until, coverage);
    let (none, organisations) = (BTreeSet::new(), holding.organisations());
    let mut histories: Vec<_> = days
        .iter()
        .filter_map(|((code, vantage), (_, days))| {
            let organisation = organisations.get(at(*code))?.clone();
            let visible = visible.get(&(*code, vantage)).unwrap_or(&none);
            let known = holding.organisation(&organisation);
            Some(History {
                family: family(&organisation, holding.holders()),
                country: known.as_ref().and_then(|o| o.country),
                sector: known.and_then(|o| o.sector),
                organisation,
                vantage: vantage.clone(),
                weeks: weeks(query, days, visible),
            })
        })
        .collect();
    histories.sort_by(|a, b| {
        (&a.organisation, &a.vantage).cmp(&(&b.organisation, &b.vantage))
    });
    Ok(histories)
}

impl Sighted {
    /// Adds a client.
    fn add(&mut self, group: &Group<'_>, evidence: &Evidence<'_>, first: Day) {
        let block = block(group);
        let pseudonym = group.client.address.is_pseudonym();
        let mut last = None;
        for seen in group.seen {
            if pseudonym {
                let on = seen.days.each().map(|day| first.plus(day.first())).last();
                self.pseudonyms_until = self.pseudonyms_until.max(on);
            }
            let facts = seen.facts;
            let Some(code) = facts.organisation.filter(|_| facts.passes) else {
                continue;
            };
            let Some(row) = evidence.row(seen.entry) else { continue };
            let days = self.days.entry((code, seen.vantage)).or_default();
            let on = seen.days.each().map(|day| first.plus(day.first()));
            if row.seen {
                days.seen.extend(on.clone());
            }
            if row.control {
                days.control.extend(on);
            }
            if last.replace((code, seen.vantage)) == Some((code, seen.vantage)) {
                continue;
            }
            let networks = self.networks.entry(code).or_default();
            match block {
                Some(block) => _ = networks.global.insert(block),
                None if pseudonym => _ = networks.pseudonyms_at.insert(seen.vantage),
                None => _ = networks.private_at.insert(seen.vantage),
            }
        }
    }
}

/// The /24 or /48 by which a footprint knows a client; `None` for a private address and for a
/// pseudonym.
fn block(group: &Group<'_>) -> Option<Prefix> {
    let address: Address = group.client.address;
    if group.site != 0 || !address.is_global() || address.is_pseudonym() {
        return None;
    }
    let length = if address.is_v4() { 96 + 24 } else { 48 };
    Some(Prefix::containing(address, length))
}

/// The days on which each history's organisation could have been seen.
fn visible_days<'a>(
    days: &'a BTreeMap<(OrgCode, VantageId), (u32, Days)>,
    networks: &HashMap<OrgCode, Networks>,
    pseudonyms_until: Option<Day>,
    coverage: &[Coverage],
) -> BTreeMap<(OrgCode, &'a VantageId), BTreeSet<Day>> {
    let mut by_vantage: BTreeMap<&VantageId, Vec<&Coverage>> = BTreeMap::new();
    for day in coverage {
        by_vantage.entry(&day.vantage).or_default().push(day);
    }
    let none = Networks::default();
    days.iter()
        .map(|((code, vantage), (number, _))| {
            let networks = networks.get(code).unwrap_or(&none);
            let private = networks.private_at.contains(number);
            let pseudonyms = networks.pseudonyms_at.contains(number);
            let looked = by_vantage.get(vantage).map_or(&[][..], Vec::as_slice);
            let visible = looked
                .iter()
                .filter(|coverage| {
                    let footprint = &coverage.footprint;
                    let replaced = pseudonyms && Some(coverage.day) <= pseudonyms_until;
                    ((private || replaced) && coverage.flows > 0)
                        || networks.global.iter().any(|p| footprint.contains(p.first()))
                })
                .map(|coverage| coverage.day)
                .collect();
            ((*code, vantage), visible)
        })
        .collect()
}

/// One cell for each week, with the days of the panel only.
fn weeks(query: &Query, days: &Days, visible: &BTreeSet<Day>) -> Vec<WeekCell> {
    let bits = |week: Week, of: &BTreeSet<Day>| {
        of.range(week.monday()..=week.monday().plus(6))
            .filter(|day| query.days.contains(**day))
            .fold(0u8, |bits, day| bits | 1 << day.weekday_from_monday())
    };
    query
        .days
        .weeks()
        .map(|week| WeekCell {
            seen: bits(week, &days.seen),
            visible: bits(week, visible),
            control: bits(week, &days.control),
        })
        .collect()
}

/// The head of an organisation's family. A circle of parents ends where it began to
/// repeat.
fn family(organisation: &OrgId, holders: &dyn Holders) -> OrgId {
    let mut path = vec![organisation.clone()];
    while let Some(parent) = path
        .last()
        .and_then(|id| holders.organisation(id))
        .and_then(|o| o.parent.clone())
    {
        if let Some(at) = path.iter().position(|id| *id == parent) {
            // Every member of the circle must name the same head.
            return path.drain(at..).min().unwrap_or(parent);
        }
        path.push(parent);
    }
    path.pop().unwrap_or_else(|| organisation.clone())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegauge_model::ProductId;

    use super::*;
    use crate::Error;
    use crate::world::{
        World, any_query, any_world, block_on, client, days, everything, sighting,
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn histories_are_those_made_by_hand(
            world in any_world(),
            queries in prop::collection::vec(any_query(), 3),
        ) {
            block_on(async {
                let stored = world.store(2).await;
                let product = ProductId::from("red");
                for query in queries {
                    let query =
                        Query { products: Vec::new(), windows: Vec::new(), ..query };
                    let panel = match stored.counter.panel(&product, &query).await {
                        Ok(panel) => panel,
                        Err(Error::NoEvidence { .. }) => {
                            prop_assert_eq!(world.histories(&product, &query), []);
                            continue;
                        }
                        Err(other) => panic!("{other}"),
                    };
                    let by_hand = world.histories(&product, &query);
                    prop_assert_eq!(panel.histories, by_hand, "{:?}", query);
                }
                Ok(())
            })?;
        }
    }

    #[tokio::test]
    async fn a_controls_network_makes_its_organisation_visible() {
        let day = days().first();
        let (own, other) = (client("198.51.100.1", None), client("203.0.113.7", None));
        let mut world = World::of(vec![
            sighting(&own, "red/update", day, "east"),
            sighting(&other, "clock/time", day.plus(1), "east"),
        ])
        .held(&own, days(), "a")
        .held(&other, days(), "a");
        let mut looked = Coverage::empty("east".into(), day.plus(2));
        looked.flows = 1;
        looked.footprint.insert("203.0.113.200".parse().unwrap());
        world.coverage.push(looked);
        let stored = world.store(1).await;
        let panel =
            stored.counter.panel(&"red".into(), &everything(&[])).await.unwrap();
        let [history] = panel.histories.as_slice() else { panic!("{panel:?}") };
        let bit = |d: i32| 1u8 << day.plus(d).weekday_from_monday();
        let week = history.weeks.first().copied().unwrap();
        assert_eq!((week.seen, week.control, week.visible), (bit(0), bit(1), bit(2)));
    }

    #[tokio::test]
    async fn a_product_without_evidence_is_an_error_not_an_empty_panel() {
        let stored = World::of(Vec::new()).store(0).await;
        let failed = stored.counter.panel(&"green".into(), &everything(&[])).await;
        assert!(matches!(failed, Err(Error::NoEvidence { .. })));
    }
}

//! Weekly detection histories.
//!
//! **Invariant:** `seen` and `control` come from sightings, `visible` from footprints
//! alone; a day without coverage is never visible, whatever was seen on it.
//!
//! An organisation's *known networks* are the /24s and /48s in which any of its clients
//! was sighted in the panel's days, controls included. It is visible from a vantage on a
//! day if one of them is in the footprint. Footprints hold no private addresses: an
//! organisation sighted by private addresses at a vantage is visible there on every day
//! on which that vantage read any flow.

use std::collections::{BTreeMap, BTreeSet};

use tidegauge_model::count::Query;
use tidegauge_model::panel::{History, Panel, WeekCell};
use tidegauge_model::{
    Coverage, Day, Holders, OrgId, Prefix, ProductId, VantageId, Week,
};
use tidegauge_store::schema::column::{DAY, VANTAGE};

use crate::Result;
use crate::evidence::evidence_sql;
use crate::read::Columns;
use crate::tenure::{Block, stands_and_passes};
use crate::unique::Question;

/// An organisation's code in the table of holders.
type OrgCode = i64;

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
    /// Vantages at which it was sighted by private addresses.
    private_at: BTreeSet<VantageId>,
}

/// Makes the panel of `product`.
pub(crate) async fn panel(
    question: &Question<'_>,
    product: &ProductId,
    query: &Query,
    coverage: &[Coverage],
    holders: &dyn Holders,
) -> Result<Panel> {
    let mut days = sighting_days(question, query).await?;
    days.retain(|_, d| !d.seen.is_empty());
    let networks = known_networks(question, query).await?;
    let visible = visible_days(&days, &networks, coverage);
    let none = BTreeSet::new();
    let mut histories: Vec<_> = days
        .iter()
        .filter_map(|((code, vantage), days)| {
            let organisation = question.held.organisations.value(*code)?.clone();
            let visible = visible.get(&(*code, vantage)).unwrap_or(&none);
            let known = question.held.organisation(&organisation);
            Some(History {
                family: family(&organisation, holders),
                country: known.and_then(|o| o.country),
                sector: known.and_then(|o| o.sector.clone()),
                organisation,
                vantage: vantage.clone(),
                weeks: weeks(query, days, visible),
            })
        })
        .collect();
    histories.sort_by(|a, b| {
        (&a.organisation, &a.vantage).cmp(&(&b.organisation, &b.vantage))
    });
    Ok(Panel { product: product.clone(), days: query.days, histories })
}

/// The days on which each organisation was seen from each vantage.
async fn sighting_days(
    question: &Question<'_>,
    query: &Query,
) -> Result<BTreeMap<(OrgCode, VantageId), Days>> {
    let columns = format!(
        "h.organisation AS organisation, s.{VANTAGE} AS vantage, s.{DAY} AS d, \
         c.seen AS seen, c.control AS control"
    );
    let rows = evidence_sql(query.days, &columns, &stands_and_passes());
    let sql = format!(
        "SELECT organisation, vantage, d, MAX(seen) AS seen, MAX(control) AS control \
         FROM ({rows}) GROUP BY organisation, vantage, d"
    );
    let mut out: BTreeMap<(OrgCode, VantageId), Days> = BTreeMap::new();
    question
        .read("reading sighting-days", &sql, |batch| {
            let columns = Columns(batch);
            let (codes, days) =
                (columns.numbers("organisation")?, columns.numbers("d")?);
            let (seen, control) =
                (columns.numbers("seen")?, columns.numbers("control")?);
            let vantages = columns.texts("vantage")?;
            for row in 0..batch.num_rows() {
                let day = days.get(row).and_then(|d| i32::try_from(d).ok()).map(Day);
                let (Some(code), Some(vantage), Some(day)) =
                    (codes.get(row), vantages.get(row), day)
                else {
                    continue;
                };
                let entry = out.entry((code, VantageId::new(vantage))).or_default();
                if seen.count(row) > 0 {
                    entry.seen.insert(day);
                }
                if control.count(row) > 0 {
                    entry.control.insert(day);
                }
            }
            Ok(())
        })
        .await?;
    Ok(out)
}

/// The networks in which clients of each organisation were sighted.
async fn known_networks(
    question: &Question<'_>,
    query: &Query,
) -> Result<BTreeMap<OrgCode, Networks>> {
    let columns = format!(
        "h.organisation AS organisation, h.block AS block, s.{VANTAGE} AS vantage"
    );
    let rows = evidence_sql(query.days, &columns, &stands_and_passes());
    let sql = format!(
        "SELECT organisation, block, vantage FROM ({rows}) \
         GROUP BY organisation, block, vantage"
    );
    let mut out: BTreeMap<OrgCode, Networks> = BTreeMap::new();
    question
        .read("reading known networks", &sql, |batch| {
            let columns = Columns(batch);
            let codes = columns.numbers("organisation")?;
            let blocks = columns.numbers("block")?;
            let vantages = columns.texts("vantage")?;
            for row in 0..batch.num_rows() {
                let block =
                    blocks.get(row).and_then(|code| question.held.blocks.value(code));
                let (Some(code), Some(vantage), Some(block)) =
                    (codes.get(row), vantages.get(row), block)
                else {
                    continue;
                };
                let networks = out.entry(code).or_default();
                match block {
                    Block::Global(prefix) => _ = networks.global.insert(*prefix),
                    Block::Private => {
                        networks.private_at.insert(VantageId::new(vantage));
                    }
                }
            }
            Ok(())
        })
        .await?;
    Ok(out)
}

/// The days on which each history's organisation could have been seen.
fn visible_days<'a>(
    days: &'a BTreeMap<(OrgCode, VantageId), Days>,
    networks: &BTreeMap<OrgCode, Networks>,
    coverage: &[Coverage],
) -> BTreeMap<(OrgCode, &'a VantageId), BTreeSet<Day>> {
    let mut by_vantage: BTreeMap<&VantageId, Vec<&Coverage>> = BTreeMap::new();
    for day in coverage {
        by_vantage.entry(&day.vantage).or_default().push(day);
    }
    let none = Networks::default();
    days.keys()
        .map(|(code, vantage)| {
            let networks = networks.get(code).unwrap_or(&none);
            let private = networks.private_at.contains(vantage);
            let looked = by_vantage.get(vantage).map_or(&[][..], Vec::as_slice);
            let visible = looked
                .iter()
                .filter(|coverage| {
                    let footprint = &coverage.footprint;
                    (private && coverage.flows > 0)
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
    while let Some(parent) =
        path.last().and_then(|id| holders.organisation(id)).and_then(|o| o.parent)
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

    use super::*;
    use crate::Error;
    use crate::world::{
        World, any_query, any_world, client, days, everything, sighting,
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn histories_are_those_made_by_hand(
            world in any_world(),
            queries in prop::collection::vec(any_query(), 3),
        ) {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let stored = world.store(2).await;
                let product = ProductId::from("red");
                for query in queries {
                    let query = Query { products: Vec::new(), ..query };
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

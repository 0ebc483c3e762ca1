//! Distinct counts.
//!
//! **Invariant:** a distinct count is GROUP BY upon GROUP BY, never `COUNT(DISTINCT)`:
//! that form spills to disk, and beside a second aggregate it is fifty times as fast.
//!
//! ```text
//! addresses:     sightings ─► cell × client × day ─► cell × address ─► cell
//! organisations: sightings ─► cell × organisation × day ─► cell × organisation ─► cell
//! ```

use std::cmp::Ordering;
use std::collections::BTreeMap;

use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use tidegauge_model::count::{Cell, Census, Counts, Dimension, Query};
use tidegauge_model::{Day, NetworkKind};
use tidegauge_store::schema::column::{CONTACTS, DAY, SIGNAL, VANTAGE};

use crate::Result;
use crate::evidence::{Calendar, Evidence, evidence_sql};
use crate::read::Columns;
use crate::session::Engine;
use crate::tenure::{Held, stands_and_passes, traits};

/// A session filled with everything that a census joins.
pub(crate) struct Question<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) session: &'a SessionContext,
    pub(crate) evidence: &'a Evidence<'a>,
    pub(crate) calendar: &'a Calendar,
    pub(crate) held: &'a Held,
}

/// A cell's key as the engine returns it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Unknown,
    Code(i64),
    Text(String),
}

/// Counts the cells of `query`.
pub(crate) async fn count(question: &Question<'_>, query: &Query) -> Result<Census> {
    let mut cells: BTreeMap<Vec<Value>, Counts> = BTreeMap::new();
    let mut shares = Shares::default();
    let by = &query.by;

    let doing = "counting addresses";
    question
        .read(doing, &addresses_sql(query), |batch| {
            addresses(batch, by, &mut cells, &mut shares)
        })
        .await?;
    let doing = "counting organisations";
    question
        .read(doing, &organisations_sql(query), |batch| {
            organisations(batch, by, &mut cells)
        })
        .await?;

    let mut cells: Vec<_> = cells
        .into_iter()
        .map(|(values, counts)| Cell { key: question.words(by, &values), counts })
        .collect();
    cells.sort_by(|a, b| by_key(&a.key, &b.key));
    Ok(Census {
        query: query.clone(),
        cells,
        unattributed_share: shares.unattributed(),
    })
}

/// The order of cells: by text, what is not known last.
fn by_key(a: &[Option<String>], b: &[Option<String>]) -> Ordering {
    let place = |k: &[Option<String>]| -> Vec<(bool, Option<String>)> {
        k.iter().map(|v| (v.is_none(), v.clone())).collect()
    };
    place(a).cmp(&place(b))
}

/// Address-days before the filters on organisations.
#[derive(Debug, Default)]
struct Shares {
    address_days: u64,
    unattributed: u64,
}

impl Shares {
    fn unattributed(&self) -> f64 {
        if self.address_days == 0 {
            return 0.0;
        }
        ratio(self.unattributed, self.address_days)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share of counts under 2^53 is exact enough; above, the loss is below 1e-15"
)]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

fn addresses_sql(query: &Query) -> String {
    let Groups { axes, names } = Groups::of(query);
    let columns = format!(
        "{axes}, h.client AS client, s.{DAY} AS d, h.network AS network, \
         h.traits AS traits, s.{CONTACTS} AS contacts"
    );
    let rows = evidence_sql(query.days, &columns, "TRUE");
    let is = |bit: i32| format!("CASE WHEN (traits & {bit}) <> 0 THEN 1 ELSE 0 END");
    let (v4, consumer) = (is(traits::V4), is(traits::CONSUMER));
    let (passes, unattributed) = (is(traits::PASSES), is(traits::UNATTRIBUTED));
    format!(
        "SELECT {names}, SUM(v4) AS addresses_v4, SUM(v6) AS networks_v6, \
           SUM(v4_consumer) AS addresses_v4_consumer, SUM(address_days) AS address_days, \
           SUM(contacts) AS contacts, SUM(all_days) AS all_days, \
           SUM(unattributed) AS unattributed \
         FROM (SELECT {names}, network, MAX(v4 * passes) AS v4, \
             MAX((1 - v4) * passes) AS v6, MAX(v4 * consumer * passes) AS v4_consumer, \
             SUM(passes) AS address_days, SUM(contacts * passes) AS contacts, \
             COUNT(*) AS all_days, SUM(unattributed) AS unattributed \
           FROM (SELECT {names}, network, contacts, {v4} AS v4, {consumer} AS consumer, \
               {passes} AS passes, {unattributed} AS unattributed \
             FROM (SELECT {names}, client, d, MAX(network) AS network, \
                 MAX(traits) AS traits, SUM(contacts) AS contacts \
               FROM ({rows}) GROUP BY {names}, client, d)) \
           GROUP BY {names}, network) \
         GROUP BY {names}"
    )
}

fn organisations_sql(query: &Query) -> String {
    let Groups { axes, names } = Groups::of(query);
    let columns = format!("{axes}, h.organisation AS organisation, s.{DAY} AS d");
    let rows = evidence_sql(query.days, &columns, &stands_and_passes());
    let active_days_min = query.active_days_min;
    format!(
        "SELECT {names}, COUNT(*) AS organisations, \
           SUM(CASE WHEN days >= {active_days_min} THEN 1 ELSE 0 END) AS active \
         FROM (SELECT {names}, organisation, COUNT(*) AS days \
           FROM (SELECT {names}, organisation, d FROM ({rows}) \
             GROUP BY {names}, organisation, d) \
           GROUP BY {names}, organisation) \
         GROUP BY {names}"
    )
}

/// The columns that cells are made of: `g0`, `g1`, … in the order of the query.
struct Groups {
    /// `c.product AS g0, …`
    axes: String,
    /// `g0, …`
    names: String,
}

impl Groups {
    fn of(query: &Query) -> Self {
        let mut axes: Vec<_> = query.by.iter().map(|d| axis(*d)).collect();
        if axes.is_empty() {
            // One cell for everything. A constant keeps the queries of one form, and no
            // rows then mean no cell.
            axes.push("CAST(0 AS INT)".to_owned());
        }
        let names: Vec<_> = (0..axes.len()).map(|at| format!("g{at}")).collect();
        let axes: Vec<_> = axes
            .iter()
            .zip(&names)
            .map(|(axis, name)| format!("{axis} AS {name}"))
            .collect();
        Self { axes: axes.join(", "), names: names.join(", ") }
    }
}

fn axis(dimension: Dimension) -> String {
    match dimension {
        Dimension::Product => "c.product".to_owned(),
        Dimension::Month => "k.month_code".to_owned(),
        Dimension::Week => "k.week_code".to_owned(),
        Dimension::Day => "k.day_code".to_owned(),
        Dimension::Country => "h.country".to_owned(),
        Dimension::Sector => "h.sector".to_owned(),
        Dimension::Kind => "h.kind".to_owned(),
        Dimension::Signal => format!("s.{SIGNAL}"),
        Dimension::Vantage => format!("s.{VANTAGE}"),
    }
}

fn addresses(
    batch: &RecordBatch,
    by: &[Dimension],
    cells: &mut BTreeMap<Vec<Value>, Counts>,
    shares: &mut Shares,
) -> std::result::Result<(), DataFusionError> {
    let columns = Columns(batch);
    let keys = keys(&columns, by)?;
    let v4 = columns.numbers("addresses_v4")?;
    let v6 = columns.numbers("networks_v6")?;
    let consumer = columns.numbers("addresses_v4_consumer")?;
    let address_days = columns.numbers("address_days")?;
    let contacts = columns.numbers("contacts")?;
    let all_days = columns.numbers("all_days")?;
    let unattributed = columns.numbers("unattributed")?;
    for (row, key) in keys.into_iter().enumerate() {
        shares.address_days += all_days.count(row);
        shares.unattributed += unattributed.count(row);
        if address_days.count(row) == 0 {
            // Nobody in it passed the filters.
            continue;
        }
        let counts = cells.entry(key).or_default();
        counts.addresses_v4 = v4.count(row);
        counts.networks_v6 = v6.count(row);
        counts.addresses_v4_consumer = consumer.count(row);
        counts.address_days = address_days.count(row);
        counts.contacts = contacts.count(row);
    }
    Ok(())
}

fn organisations(
    batch: &RecordBatch,
    by: &[Dimension],
    cells: &mut BTreeMap<Vec<Value>, Counts>,
) -> std::result::Result<(), DataFusionError> {
    let columns = Columns(batch);
    let organisations = columns.numbers("organisations")?;
    let active = columns.numbers("active")?;
    for (row, key) in keys(&columns, by)?.into_iter().enumerate() {
        let counts = cells.entry(key).or_default();
        counts.organisations = organisations.count(row);
        counts.organisations_active = active.count(row);
    }
    Ok(())
}

/// The key of each row.
fn keys(
    columns: &Columns<'_>,
    by: &[Dimension],
) -> std::result::Result<Vec<Vec<Value>>, DataFusionError> {
    let mut keys = vec![Vec::with_capacity(by.len()); columns.0.num_rows()];
    for (at, dimension) in by.iter().enumerate() {
        let name = format!("g{at}");
        if matches!(dimension, Dimension::Signal | Dimension::Vantage) {
            let texts = columns.texts(&name)?;
            for (row, key) in keys.iter_mut().enumerate() {
                let text = texts.get(row).map(str::to_owned);
                key.push(text.map_or(Value::Unknown, Value::Text));
            }
        } else {
            let codes = columns.numbers(&name)?;
            for (row, key) in keys.iter_mut().enumerate() {
                key.push(codes.get(row).map_or(Value::Unknown, Value::Code));
            }
        }
    }
    Ok(keys)
}

impl Question<'_> {
    /// Runs a query and hands over its batches.
    pub(crate) async fn read(
        &self,
        doing: &'static str,
        sql: &str,
        mut take: impl FnMut(&RecordBatch) -> std::result::Result<(), DataFusionError>,
    ) -> Result<()> {
        let mut stream = self.engine.run(self.session, doing, sql).await?;
        while let Some(batch) =
            stream.try_next().await.map_err(self.engine.error(doing))?
        {
            take(&batch).map_err(self.engine.error(doing))?;
        }
        Ok(())
    }

    fn words(&self, by: &[Dimension], values: &[Value]) -> Vec<Option<String>> {
        by.iter()
            .zip(values)
            .map(|(dimension, value)| self.word(*dimension, value))
            .collect()
    }

    /// A key's value for people.
    fn word(&self, dimension: Dimension, value: &Value) -> Option<String> {
        let code = match value {
            Value::Unknown => return None,
            Value::Text(text) => return Some(text.clone()),
            Value::Code(code) => *code,
        };
        match dimension {
            Dimension::Product => self.evidence.product(code).map(ToString::to_string),
            Dimension::Month => self.calendar.month(code).map(|m| m.to_string()),
            Dimension::Week => self.calendar.week(code).map(|w| w.to_string()),
            Dimension::Day => i32::try_from(code).ok().map(|d| Day(d).to_string()),
            Dimension::Country => {
                self.held.countries.value(code).map(ToString::to_string)
            }
            Dimension::Sector => self.held.sectors.value(code).map(ToString::to_string),
            Dimension::Kind => usize::try_from(code)
                .ok()
                .and_then(|at| NetworkKind::ALL.get(at))
                .map(ToString::to_string),
            Dimension::Signal | Dimension::Vantage => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegauge_model::count::Dating;

    use super::*;
    use crate::world::{
        World, any_query, any_world, client, days, everything, sighting,
    };

    /// Cases of the differential tests: each writes a lake and plans several queries with
    /// an engine built without optimisation, about a second.
    const CASES: u32 = 8;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(future)
    }

    async fn cells(world: &World, query: &Query) -> Vec<Cell> {
        world.store(1).await.counter.census(query).await.unwrap().cells
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(CASES))]

        #[test]
        fn counts_are_those_of_sets(
            world in any_world(),
            queries in prop::collection::vec(any_query(), 4),
            parts in 1usize..4,
        ) {
            block_on(async {
                let stored = world.store(parts).await;
                for query in queries {
                    let census = stored.counter.census(&query).await.unwrap();
                    let (cells, share) = world.census(&query);
                    prop_assert_eq!(&census.cells, &cells, "{:?}", &query);
                    prop_assert!((census.unattributed_share - share).abs() < 1e-12);
                    prop_assert_eq!(census.query, query);
                }
                Ok(())
            })?;
        }

        #[test]
        fn shuffling_splitting_and_repeating_change_no_distinct_count(
            world in any_world(),
            query in any_query(),
            turn in 0usize..60,
            parts in 2usize..5,
        ) {
            block_on(async {
                let once = cells(&world, &query).await;
                let mut other = world.clone();
                let at = turn.min(other.sightings.len());
                other.sightings.rotate_left(at);
                other.sightings.reverse();
                let twice = other.sightings.clone();
                other.sightings.extend(twice);
                let stored = other.store(parts).await;
                let again = stored.counter.census(&query).await.unwrap().cells;
                let doubled: Vec<_> = once
                    .into_iter()
                    .map(|mut cell| {
                        cell.counts.contacts *= 2;
                        cell
                    })
                    .collect();
                prop_assert_eq!(again, doubled);
                Ok(())
            })?;
        }

        #[test]
        fn a_month_is_at_most_the_sum_of_its_days(world in any_world()) {
            block_on(async {
                let stored = world.store(1).await;
                let by = |d| everything(&[Dimension::Product, Dimension::Month, d]);
                let months = everything(&[Dimension::Product, Dimension::Month]);
                let months = stored.counter.census(&months).await.unwrap().cells;
                let days = stored.counter.census(&by(Dimension::Day)).await.unwrap().cells;
                for month in months {
                    let of_month = days.iter().filter(|d| d.key[..2] == month.key[..]);
                    let sum = |of: fn(&Counts) -> u64| {
                        of_month.clone().map(|d| of(&d.counts)).sum::<u64>()
                    };
                    let c = month.counts;
                    prop_assert!(c.addresses_v4 <= sum(|c| c.addresses_v4));
                    prop_assert!(c.networks_v6 <= sum(|c| c.networks_v6));
                    prop_assert!(c.organisations <= sum(|c| c.organisations));
                    prop_assert_eq!(c.address_days, sum(|c| c.address_days));
                    prop_assert_eq!(c.contacts, sum(|c| c.contacts));
                }
                Ok(())
            })?;
        }
    }

    #[tokio::test]
    async fn an_empty_lake_has_no_cells() {
        let stored = World::of(Vec::new()).store(0).await;
        for by in [&[][..], &[Dimension::Country]] {
            let census = stored.counter.census(&everything(by)).await.unwrap();
            assert_eq!((census.cells, census.unattributed_share), (Vec::new(), 0.0));
        }
        assert_eq!(stored.counter.days().await.unwrap(), None);
    }

    #[tokio::test]
    async fn ipv6_counts_networks_and_private_addresses_count_with_their_site() {
        let day = days().first();
        let clients = [
            client("2001:db8:0:1::1", None),
            client("2001:db8:0:1::2", None),
            client("10.0.0.1", Some("north")),
            client("10.0.0.1", Some("south")),
        ];
        let sightings =
            clients.iter().map(|c| sighting(c, "red/update", day, "east")).collect();
        let cells = cells(&World::of(sightings), &everything(&[])).await;
        let [cell] = cells.as_slice() else { panic!("one cell: {cells:?}") };
        assert_eq!((cell.counts.networks_v6, cell.counts.addresses_v4), (1, 2));
        assert_eq!(cell.counts.address_days, 4);
    }

    #[tokio::test]
    async fn a_sighting_in_two_batches_is_one_with_summed_contacts() {
        let day = days().first();
        let one = sighting(&client("198.51.100.1", None), "red/update", day, "east");
        let world = World::of(vec![one.clone(), one]);
        let stored = world.store(2).await;
        let cells = stored.counter.census(&everything(&[])).await.unwrap().cells;
        let [cell] = cells.as_slice() else { panic!("one cell: {cells:?}") };
        let counts = cell.counts;
        assert_eq!(
            (counts.addresses_v4, counts.address_days, counts.contacts),
            (1, 1, 2)
        );
    }

    #[tokio::test]
    async fn frozen_and_each_day_differ_when_an_address_changes_hands() {
        let (first, last) = (days().first(), days().last());
        let who = client("198.51.100.1", None);
        let until = tidegauge_model::DayRange::new(first, first.plus(4)).unwrap();
        let since = tidegauge_model::DayRange::new(first.plus(5), last).unwrap();
        let world = World::of(
            days().days().map(|d| sighting(&who, "red/update", d, "east")).collect(),
        )
        .held(&who, until, "first")
        .held(&who, since, "second");
        let stored = world.store(1).await;
        let organisations = async |on| {
            let query = Query { on, ..everything(&[]) };
            let cells = stored.counter.census(&query).await.unwrap().cells;
            cells.iter().map(|c| c.counts.organisations).collect::<Vec<_>>()
        };
        assert_eq!(organisations(Dating::EachDay).await, [2]);
        assert_eq!(organisations(Dating::Frozen(first)).await, [1]);
        assert_eq!(organisations(Dating::Frozen(last)).await, [1]);
    }

    #[tokio::test]
    async fn a_pool_that_is_too_small_says_so() {
        let stored = World::of(Vec::new()).store(0).await;
        let settings = crate::Settings { memory_bytes: 1, partitions: 1 };
        let counter = stored.counter.with_settings(settings).unwrap();
        let failed = counter.census(&everything(&[])).await.unwrap_err();
        assert!(
            matches!(failed, crate::Error::Memory { limit_bytes: 1, .. }),
            "{failed}"
        );
    }
}

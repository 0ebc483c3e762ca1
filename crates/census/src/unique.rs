//! Distinct counts.
//!
//! **Invariant:** a client comes once ([`Clients`]), so that nothing has to remember which
//! addresses were counted. What is remembered is the days of each organisation in each
//! cell, and the networks of one /64.
//!
//! ```text
//! addresses:     clients ─► cells of a client ─► counts
//! organisations: clients ─► cell × organisation × day ─► cell × organisation ─► counts
//! ```

use std::cmp::Ordering;
use std::collections::BTreeMap;

use datafusion::common::HashMap;
use datafusion::execution::memory_pool::MemoryReservation;
use serde::{Deserialize, Serialize};
use tidegauge_model::Standing;
use tidegauge_model::count::{Cell, Census, Counts, Dimension, Query};
use tidegauge_store::by_address::{Span, Wanted};

use crate::Result;
use crate::clients::{Clients, Days, Group, Seen};
use crate::evidence::{Calendar, Evidence};
use crate::holding::{Holding, Stood};
use crate::partial::{Held, Partial, Use, at, window_numbers};
use crate::session::Engine;

/// Memory that every count needs.
const MEMORY_BYTES: usize = 1 << 20;
/// Clients that are counted before memory is asked for again: they take less than what every
/// count has.
const CLIENTS_BETWEEN: u64 = 64;

/// What a cell is made of, as numbers; 0 where it is not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Key {
    product: u32,
    period: u32,
    place: u32,
    signal: u32,
    vantage: u32,
    /// The windows in which it was seen, as bits.
    windows: u32,
}

/// Days of one month on which a client is in a cell.
#[derive(Clone, Copy, Debug)]
struct Touched {
    cell: u32,
    site: u32,
    /// All of them.
    seen: Days,
    /// Those on which its holder passes the filters; what follows is of these.
    passed: Days,
    consumer: bool,
    windows: u32,
    contacts: u64,
}

/// The cells of a part of a question, and what is said of it as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) cells: Vec<Cell>,
    /// Address-days before the filters on organisations, one in two cells counted in both.
    pub(crate) all_days: u64,
    /// Those of nobody known.
    pub(crate) unattributed: u64,
    /// The same by how directly the holder is proven.
    pub(crate) standings: BTreeMap<Standing, u64>,
}

/// What a count reads of the clients with these addresses.
pub(crate) fn wanted(query: &Query, addresses: Span) -> Wanted {
    Wanted {
        addresses,
        vantages: query.by.contains(&Dimension::Vantage),
        signals: query.by.contains(&Dimension::Signal),
    }
}

/// Counts the cells of `query` as far as these clients go.
pub(crate) async fn count(
    engine: &Engine,
    clients: &mut Clients,
    evidence: &Evidence<'_>,
    holding: &mut Holding<'_>,
    query: &Query,
) -> Result<Partial> {
    let mut tally = Tally::new(evidence, query, engine, clients)?;
    clients.each(holding, |group, holding| tally.add(&group, holding)).await?;
    tally.end_of_network();
    tally.note_held();
    let word = |key: Key| {
        let words = query.by.iter().map(|d| tally.word(*d, key, clients, holding));
        words.collect()
    };
    let cells = tally.cells.iter().map(|(key, counts)| (word(*key), *counts));
    let cells = cells.collect();
    let Tally { days, all_days, unattributed, standings, .. } = tally;
    let told = Standing::ALL.iter().copied().zip(standings).filter(|told| told.1 > 0);
    Ok(Partial {
        cells,
        organisations: holding.organisations(),
        held: days.into_iter().collect(),
        all_days,
        unattributed,
        standings: told.collect(),
    })
}

/// Puts together parts that have no cell in common.
pub(crate) fn whole<'a>(
    query: &Query,
    parts: impl IntoIterator<Item = &'a Part>,
) -> Census {
    let mut all = Part::default();
    for part in parts {
        all.cells.extend(part.cells.iter().cloned());
        all.all_days += part.all_days;
        all.unattributed += part.unattributed;
        for (standing, days) in &part.standings {
            *all.standings.entry(*standing).or_default() += days;
        }
    }
    all.cells.sort_by(|a, b| by_key(&a.key, &b.key));
    Census {
        query: query.clone(),
        unattributed_share: all.unattributed_share(),
        cells: all.cells,
        standings: all.standings,
    }
}

impl Part {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of counts under 2^53 is exact enough; above, the loss is below \
                  1e-15"
    )]
    fn unattributed_share(&self) -> f64 {
        if self.all_days == 0 {
            return 0.0;
        }
        self.unattributed as f64 / self.all_days as f64
    }
}

/// The order of cells: by text, what is not known last.
fn by_key(a: &[Option<String>], b: &[Option<String>]) -> Ordering {
    let place = |k: &[Option<String>]| -> Vec<(bool, Option<String>)> {
        k.iter().map(|v| (v.is_none(), v.clone())).collect()
    };
    place(a).cmp(&place(b))
}

/// The counts as they grow.
struct Tally<'a> {
    evidence: &'a Evidence<'a>,
    calendar: Calendar,
    axes: Axes,
    numbers: HashMap<Key, u32>,
    cells: Vec<(Key, Counts)>,
    /// The cell found last: most sightings are of the cell of the one before.
    last: Option<(Key, u32)>,
    /// Of cell, organisation and 64 days from the first: what was seen.
    days: HashMap<Held, Use>,
    /// What is not in `days` yet: a client's sightings are mostly of one key.
    held: Option<(Held, Use)>,
    /// What the network at hand is in, client by client.
    network: Option<u128>,
    touched: Vec<Touched>,
    /// Where in `touched` the client at hand begins.
    client_from: usize,
    /// Address-days before the filters on organisations, and those without one.
    all_days: u64,
    unattributed: u64,
    /// The same, in the order of [`Standing::ALL`].
    standings: Vec<u64>,
    /// How many were added.
    clients: u64,
    engine: &'a Engine,
    memory: MemoryReservation,
    accounted: usize,
}

/// The dimensions of which a key is made.
#[derive(Clone, Copy, Debug)]
struct Axes {
    product: bool,
    signal: bool,
    vantage: bool,
}

impl<'a> Tally<'a> {
    fn new(
        evidence: &'a Evidence<'a>,
        query: &'a Query,
        engine: &'a Engine,
        clients: &Clients,
    ) -> Result<Self> {
        let memory = engine.memory("counting", MEMORY_BYTES + clients.bytes())?;
        let by = |dimension| query.by.contains(&dimension);
        Ok(Self {
            evidence,
            calendar: Calendar::new(query),
            axes: Axes {
                product: by(Dimension::Product),
                signal: by(Dimension::Signal),
                vantage: by(Dimension::Vantage),
            },
            numbers: HashMap::default(),
            cells: Vec::new(),
            last: None,
            days: HashMap::default(),
            held: None,
            network: None,
            touched: Vec::new(),
            client_from: 0,
            all_days: 0,
            unattributed: 0,
            standings: vec![0; Standing::ALL.len()],
            clients: 0,
            engine,
            memory,
            accounted: 0,
        })
    }

    /// Adds a client.
    fn add(&mut self, group: &Group<'_>, holding: &Holding<'_>) -> Result<()> {
        let network = group.client.address.network_v6();
        if network.is_none() || network != self.network {
            self.end_of_network();
            self.network = network;
        }
        self.client_from = self.touched.len();
        for seen in group.seen {
            if self.calendar.keeps_months_whole() {
                self.sighting(group, seen, seen.days, seen.contacts, holding);
                continue;
            }
            for (day, contacts) in group.each_day(seen) {
                self.sighting(group, seen, day, contacts, holding);
            }
        }
        if network.is_none() {
            self.end_of_network();
        }
        self.clients += 1;
        if self.clients.is_multiple_of(CLIENTS_BETWEEN) {
            return self.account();
        }
        Ok(())
    }

    /// Adds days of a sighting that lie in one period and one window.
    fn sighting(
        &mut self,
        group: &Group<'_>,
        seen: &Seen,
        days: Days,
        contacts: u64,
        holding: &Holding<'_>,
    ) {
        let Some(windows) = self.calendar.window(days.first()) else { return };
        let cell = self.cell(seen, days.first());
        let Some(at) = self.touched(cell, group.site, days) else { return };
        let Some(touched) = self.touched.get_mut(at) else { return };
        let new = Days { bits: days.bits & !touched.seen.bits, ..days };
        touched.seen.bits |= days.bits;
        let facts = seen.facts;
        if facts.passes {
            touched.passed.bits |= days.bits;
            touched.windows |= windows;
            touched.consumer |= facts.consumer;
            touched.contacts = touched.contacts.saturating_add(contacts);
        }
        self.all_days += u64::from(new.count());
        self.unattributed += u64::from(new.count()) * u64::from(facts.unattributed);
        if new.bits != 0 {
            self.stand(new, holding.standings(group.client, new));
        }
        if let Some(organisation) = facts.organisation.filter(|_| facts.passes) {
            self.hold(cell, organisation, days, new);
        }
    }

    /// Adds days to what is told of standings.
    fn stand(&mut self, mut days: Days, standings: impl Iterator<Item = Stood>) {
        for stood in standings {
            let of = days.until(stood.last);
            if let Some(told) = self.standings.get_mut(stood.standing) {
                *told += u64::from(of.count());
            }
            days.bits &= !of.bits;
            if days.bits == 0 {
                return;
            }
        }
    }

    /// Where in `touched` the days of a client in a cell are, in the month of `days`.
    fn touched(&mut self, cell: u32, site: u32, days: Days) -> Option<usize> {
        let of_client = self.touched.get(self.client_from..)?;
        let known = of_client
            .iter()
            .position(|touched| touched.cell == cell && touched.seen.from == days.from);
        if let Some(at) = known {
            return Some(self.client_from + at);
        }
        let none = Days { bits: 0, ..days };
        self.touched.push(Touched {
            cell,
            site,
            seen: none,
            passed: none,
            consumer: false,
            windows: 0,
            contacts: 0,
        });
        Some(self.touched.len() - 1)
    }

    /// Notes days of an organisation, of which `new` are the client's first in the cell.
    fn hold(&mut self, cell: u32, organisation: u32, days: Days, new: Days) {
        let (block, shift) = (days.from.div_euclid(64), days.from.rem_euclid(64));
        let (bits, new) =
            (u128::from(days.bits) << shift, u128::from(new.bits) << shift);
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
        let halves = [(block, bits, new), (block + 1, bits >> 64, new >> 64)];
        for (block, bits, new) in
            halves.map(|(at, all, new)| (at, half(all), half(new)))
        {
            if bits != 0 {
                let address_days = u64::from(new.count_ones());
                self.hold_block(
                    (cell, organisation, block),
                    Use { bits, address_days },
                );
            }
        }
    }

    fn hold_block(&mut self, key: Held, of: Use) {
        match &mut self.held {
            Some((held, there)) if *held == key => there.add(of),
            _ => {
                self.note_held();
                self.held = Some((key, of));
            }
        }
    }

    fn note_held(&mut self) {
        if let Some((key, of)) = self.held.take() {
            self.days.entry(key).or_default().add(of);
        }
    }

    /// The cell that a sighting is in.
    fn cell(&mut self, seen: &Seen, day: i32) -> u32 {
        let product = || self.evidence.row(seen.entry).map_or(0, |row| row.product);
        let key = Key {
            product: if self.axes.product { product() } else { 0 },
            period: self.calendar.period(day),
            place: seen.facts.place,
            signal: if self.axes.signal { seen.signal } else { 0 },
            vantage: if self.axes.vantage { seen.vantage } else { 0 },
            windows: 0,
        };
        if let Some((last, cell)) = self.last
            && last == key
        {
            return cell;
        }
        let cell = self.number(key);
        self.last = Some((key, cell));
        cell
    }

    /// The part of a cell that was seen in these windows and no others.
    fn within(&mut self, cell: u32, windows: u32) -> u32 {
        match self.cells.get(at(cell)) {
            Some((key, _)) if windows > 0 => self.number(Key { windows, ..*key }),
            _ => cell,
        }
    }

    /// The number of a cell.
    fn number(&mut self, key: Key) -> u32 {
        let next = u32::try_from(self.cells.len()).unwrap_or(u32::MAX);
        let cell = *self.numbers.entry(key).or_insert(next);
        if cell == next {
            self.cells.push((key, Counts::default()));
        }
        cell
    }

    /// Counts the addresses of the network at hand: one for each cell and site.
    fn end_of_network(&mut self) {
        let mut all = std::mem::take(&mut self.touched);
        all.retain(|touched| touched.passed.bits != 0);
        if all.len() > 1 {
            all.sort_unstable_by_key(|t| (t.cell, t.site));
        }
        for days in all.chunk_by(|a, b| (a.cell, a.site) == (b.cell, b.site)) {
            let windows = days.iter().fold(0, |all, day| all | day.windows);
            let cell = self.within(days.first().map_or(0, |day| day.cell), windows);
            let Some((_, counts)) = self.cells.get_mut(at(cell)) else { continue };
            for touched in days {
                counts.address_days += u64::from(touched.passed.count());
                counts.contacts = counts.contacts.saturating_add(touched.contacts);
            }
            if self.network.is_some() {
                counts.networks_v6 += 1;
            } else {
                let consumer = days.iter().any(|day| day.consumer);
                counts.addresses_v4 += 1;
                counts.addresses_v4_consumer += u64::from(consumer);
            }
        }
        all.clear();
        self.touched = all;
    }

    /// Takes memory for what has grown.
    fn account(&mut self) -> Result<()> {
        let entry = size_of::<(Held, Use)>() + 1;
        let cell = size_of::<(Key, Counts)>() + size_of::<(Key, u32)>() + 1;
        let bytes = self.days.capacity() * entry + self.cells.capacity() * cell;
        if bytes > self.accounted {
            let more = bytes - self.accounted;
            self.memory.try_grow(more).map_err(self.engine.error("counting"))?;
            self.accounted = bytes;
        }
        Ok(())
    }

    /// A key's value for people.
    fn word(
        &self,
        dimension: Dimension,
        key: Key,
        clients: &Clients,
        holding: &Holding<'_>,
    ) -> Option<String> {
        let period = self.calendar.value(key.period)?;
        let place = || holding.place(key.place);
        match dimension {
            Dimension::Product => self.evidence.product(key.product).map(text),
            Dimension::Month => period.month.map(text),
            Dimension::Week => period.week.map(text),
            Dimension::Day => period.day.map(text),
            Dimension::Country => place()?.country.map(text),
            Dimension::Sector => place()?.sector.map(text),
            Dimension::Kind => place()?.kind.map(text),
            Dimension::Signal => clients.signal(key.signal),
            Dimension::Vantage => clients.vantage(key.vantage).map(text),
            Dimension::Windows => Some(window_numbers(key.windows)),
        }
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "callers have borrowed and owned values alike"
)]
fn text(value: impl ToString) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegauge_model::count::Dating;

    use super::*;
    use crate::world::{
        World, any_query, any_world, block_on, client, days, everything, sighting,
    };

    /// Cases of the differential tests: each writes a lake and plans several queries with
    /// an engine built without optimisation, about a second.
    const CASES: u32 = 8;

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
                    let (cells, told) = world.census(&query);
                    prop_assert_eq!(&census.cells, &cells, "{:?}", &query);
                    let share = census.unattributed_share - told.unattributed_share;
                    prop_assert!(share.abs() < 1e-12);
                    prop_assert_eq!(census.standings, told.standings);
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
        let settings = crate::Settings { memory_bytes: 1, ..Default::default() };
        let counter = stored.counter.with_settings(settings).unwrap();
        let failed = counter.census(&everything(&[])).await.unwrap_err();
        assert!(
            matches!(failed, crate::Error::Memory { limit_bytes: 1, .. }),
            "{failed}"
        );
    }
}

//! The sightings of a question, client by client: all files of the lake, merged by address.
//!
//! ```text
//! file ─► rows of the evidence ─┐
//! file ─► rows of the evidence ─┼─► merge ─► the sightings of one client, in order of days
//! file ─► rows of the evidence ─┘                 with what its holder is on each day
//! ```
//!
//! **Invariant:** a client comes once, with all its sightings. Files are decoded beside the
//! merge, a bounded number of rows ahead, so that memory does not grow with the lake but
//! with the number of its files.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Date32Type, Int32Type, Int64Type};
use futures::TryStreamExt;
use tidegauge_model::count::Query;
use tidegauge_model::{Address, Client, Day, DayRange, SiteId, Standing, VantageId};
use tidegauge_store::by_address::{self, Span};
use tidegauge_store::{DataFile, Snapshot};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;

use crate::Result;
use crate::evidence::{Evidence, Finder};
use crate::holding::{Codes, Facts, Holding};

/// Rows that are decoded ahead of the merge, of all files together.
const ROWS_AHEAD: usize = 1 << 19;
/// Rows of a file that are decoded at once, at least and at most.
const ROWS_AT_ONCE: std::ops::RangeInclusive<usize> = 512..=8_192;

/// A sighting that is evidence, its names as numbers.
#[derive(Clone, Copy, Debug)]
struct Row {
    address: (i64, i64),
    contacts: u64,
    /// Days from the first of the question.
    day: i32,
    /// The row of the evidence.
    entry: u32,
    /// 0 for none, else a number of [`Names::sites`] and one.
    site: u32,
    vantage: u32,
    signal: u32,
}

/// A sighting of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Days from the first of the question.
    pub(crate) day: i32,
    /// The row of the evidence.
    pub(crate) entry: u32,
    pub(crate) vantage: u32,
    pub(crate) signal: u32,
    pub(crate) contacts: u64,
    /// Of the holder on that day.
    pub(crate) facts: Facts,
    pub(crate) standing: Standing,
}

/// A client, and its sightings in order of days.
pub(crate) struct Group<'a> {
    pub(crate) client: &'a Client,
    /// 0 for none, else the number of its site and one.
    pub(crate) site: u32,
    pub(crate) seen: &'a [Seen],
}

/// Texts by number, of one question.
#[derive(Debug, Default)]
struct Names {
    vantages: Codes<VantageId>,
    signals: Codes<String>,
    sites: Codes<SiteId>,
}

/// The clients of a question.
pub(crate) struct Clients {
    runs: Vec<Run>,
    /// The next address of each run that has one.
    next: BinaryHeap<Reverse<((i64, i64), usize)>>,
    names: Arc<Mutex<Names>>,
    rows: Vec<Row>,
    seen: Vec<Seen>,
    /// Rows of a file that are decoded at once.
    at_once: usize,
    /// Ends the decoding with the question.
    _decoding: JoinSet<()>,
}

/// The rows of one file.
struct Run {
    rows: Vec<Row>,
    at: usize,
    more: Receiver<Result<Vec<Row>>>,
}

/// What turns batches of one file into rows.
struct Decoder {
    finder: Finder,
    days: DayRange,
    addresses: Span,
    names: Arc<Mutex<Names>>,
}

impl Clients {
    /// Begins to read the files of `snapshot` that may have sightings that `query` counts.
    pub(crate) fn open(
        snapshot: &Snapshot,
        evidence: &Evidence<'_>,
        query: &Query,
    ) -> Self {
        Self::open_within(snapshot, evidence, query, Span::ALL)
    }

    /// The same of the clients with these addresses only.
    pub(crate) fn open_within(
        snapshot: &Snapshot,
        evidence: &Evidence<'_>,
        query: &Query,
        addresses: Span,
    ) -> Self {
        let days = query.days;
        let months = query.counted().iter().flat_map(|days| days.months());
        let months: Vec<_> = months.map(|m| m.to_string()).collect();
        let wanted = |file: &&DataFile| {
            file.partition_month.as_ref().is_none_or(|month| months.contains(month))
        };
        let files: Vec<_> = snapshot.files.iter().filter(wanted).collect();
        let at_once = ROWS_AHEAD / files.len().max(1);
        let at_once = at_once.clamp(*ROWS_AT_ONCE.start(), *ROWS_AT_ONCE.end());
        let names = Arc::<Mutex<Names>>::default();
        let finder = evidence.finder();
        let mut decoding = JoinSet::new();
        let mut runs = Vec::new();
        for file in files {
            let (give, more) = channel(1);
            let (finder, names) = (finder.clone(), Arc::clone(&names));
            let decoder = Decoder { finder, days, addresses, names };
            let batches = by_address::read_within(snapshot, file, at_once, addresses);
            decoding.spawn(decoder.run(batches, give));
            runs.push(Run { rows: Vec::new(), at: 0, more });
        }
        Self {
            runs,
            next: BinaryHeap::new(),
            names,
            rows: Vec::new(),
            seen: Vec::new(),
            at_once,
            _decoding: decoding,
        }
    }

    /// Hands over every client, in the order of addresses, and what its holder is.
    pub(crate) async fn each(
        &mut self,
        holding: &mut Holding<'_>,
        mut take: impl FnMut(Group<'_>) -> Result<()>,
    ) -> Result<()> {
        for at in 0..self.runs.len() {
            self.queue(at).await?;
        }
        while let Some(address) = self.gather().await? {
            let Self { rows, seen, names, .. } = self;
            let address = Address::from_halves(address.0, address.1);
            for of_site in rows.chunk_by(|a, b| a.site == b.site) {
                let site = of_site.first().map_or(0, |row| row.site);
                let of = site.checked_sub(1);
                let of = of.and_then(|code| lock(names).sites.value(code).cloned());
                let client = Client { address, site: of };
                holding.turn_to(&client);
                seen.clear();
                let mut span = 0;
                for row in of_site {
                    // Spans cover all days.
                    let Some(facts) = holding.on(row.day, &mut span) else { continue };
                    seen.push(Seen {
                        day: row.day,
                        entry: row.entry,
                        vantage: row.vantage,
                        signal: row.signal,
                        contacts: row.contacts,
                        facts,
                        standing: holding.standing(&client, row.day),
                    });
                }
                take(Group { client: &client, site, seen })?;
            }
        }
        Ok(())
    }

    /// The vantage of a number.
    pub(crate) fn vantage(&self, code: u32) -> Option<VantageId> {
        lock(&self.names).vantages.value(code).cloned()
    }

    /// The word of a signal's number.
    pub(crate) fn signal(&self, code: u32) -> Option<String> {
        lock(&self.names).signals.value(code).cloned()
    }

    /// What reading takes of memory at most, beside the decoder's own.
    pub(crate) fn bytes(&self) -> usize {
        // Of each file: rows at hand, in the channel, and being made.
        3 * self.runs.len() * self.at_once * size_of::<Row>()
    }

    /// Gathers all rows of the next address, by site and day.
    async fn gather(&mut self) -> Result<Option<(i64, i64)>> {
        self.rows.clear();
        let Some(Reverse((address, _))) = self.next.peek().copied() else {
            return Ok(None);
        };
        let mut files = 0;
        while let Some(Reverse((of, at))) = self.next.peek().copied()
            && of == address
        {
            self.next.pop();
            files += 1;
            self.take(at, address).await?;
            self.queue(at).await?;
        }
        let order = |row: &Row| (row.site, row.day);
        if files > 1 || !self.rows.is_sorted_by_key(order) {
            self.rows.sort_by_key(order);
        }
        Ok(Some(address))
    }

    /// Moves the rows of `address` out of a run.
    async fn take(&mut self, at: usize, address: (i64, i64)) -> Result<()> {
        let Some(run) = self.runs.get_mut(at) else { return Ok(()) };
        loop {
            let rest = run.rows.get(run.at..).unwrap_or(&[]);
            let of = rest.iter().take_while(|row| row.address == address).count();
            self.rows.extend(rest.iter().take(of));
            run.at += of;
            if run.at < run.rows.len() || !run.refill().await? {
                return Ok(());
            }
        }
    }

    /// Queues a run by its next address, if it has one.
    async fn queue(&mut self, at: usize) -> Result<()> {
        let Some(run) = self.runs.get_mut(at) else { return Ok(()) };
        while run.at >= run.rows.len() {
            if !run.refill().await? {
                return Ok(());
            }
        }
        if let Some(row) = run.rows.get(run.at) {
            self.next.push(Reverse((row.address, at)));
        }
        Ok(())
    }
}

impl Run {
    /// Whether there were more rows.
    async fn refill(&mut self) -> Result<bool> {
        let Some(rows) = self.more.recv().await else { return Ok(false) };
        self.rows = rows?;
        self.at = 0;
        Ok(true)
    }
}

impl Decoder {
    /// Decodes until the file ends, or nobody listens any more.
    async fn run(
        self,
        mut batches: impl futures::Stream<Item = tidegauge_store::Result<RecordBatch>>
        + Unpin,
        give: Sender<Result<Vec<Row>>>,
    ) {
        loop {
            let rows = match batches.try_next().await {
                Ok(Some(batch)) => Ok(self.rows(&batch)),
                Ok(None) => return,
                Err(error) => Err(error.into()),
            };
            let failed = rows.is_err();
            if matches!(&rows, Ok(rows) if rows.is_empty()) {
                continue;
            }
            if give.send(rows).await.is_err() || failed {
                return;
            }
        }
    }

    /// The rows that are evidence.
    fn rows(&self, batch: &RecordBatch) -> Vec<Row> {
        // The columns are those of `by_address::schema`.
        let [hi, lo, sites, endpoints, vantages, signals, days, contacts] =
            batch.columns()
        else {
            return Vec::new();
        };
        let hi = hi.as_primitive::<Int64Type>().values();
        let lo = lo.as_primitive::<Int64Type>().values();
        let days = days.as_primitive::<Date32Type>().values();
        let contacts = contacts.as_primitive::<Int64Type>().values();
        let names = &mut *lock(&self.names);
        let endpoints = Numbers::new(endpoints, |id| self.finder.endpoint(id));
        let vantages =
            Numbers::new(vantages, |id| Some(names.vantages.code(&VantageId::new(id))));
        let signals =
            Numbers::new(signals, |word| Some(names.signals.code(&word.to_owned())));
        let sites = Numbers::new(sites, |id| {
            (!id.is_empty()).then(|| names.sites.code(&SiteId::new(id)) + 1)
        });
        let first = self.days.first();
        let row = |at: usize| {
            let day = Day(*days.get(at)?);
            if !self.days.contains(day) {
                return None;
            }
            let entry = self.finder.entry(endpoints.get(at)?, day)?;
            let address = (*hi.get(at)?, *lo.get(at)?);
            if !self.addresses.contains(address) {
                return None;
            }
            Some(Row {
                address,
                contacts: u64::try_from(*contacts.get(at)?).unwrap_or(0),
                day: day.0 - first.0,
                entry,
                site: sites.get(at).unwrap_or(0),
                vantage: vantages.get(at)?,
                signal: signals.get(at)?,
            })
        };
        (0..batch.num_rows()).filter_map(row).collect()
    }
}

/// A column of names, each looked at once.
struct Numbers<'a> {
    keys: &'a datafusion::arrow::array::Int32Array,
    numbers: Vec<Option<u32>>,
}

impl<'a> Numbers<'a> {
    fn new(column: &'a dyn Array, number: impl FnMut(&str) -> Option<u32>) -> Self {
        let names = column.as_dictionary::<Int32Type>();
        let numbers = names.values().as_string::<i32>().iter().map(|n| n.unwrap_or(""));
        Self { keys: names.keys(), numbers: numbers.map(number).collect() }
    }

    fn get(&self, row: usize) -> Option<u32> {
        if self.keys.is_null(row) {
            return None;
        }
        *self.numbers.get(usize::try_from(self.keys.value(row)).ok()?)?
    }
}

/// A panic while the lock was held left no half-made number behind.
fn lock(names: &Mutex<Names>) -> std::sync::MutexGuard<'_, Names> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::world::{any_world, endpoints, everything};

    /// Each case writes a lake.
    const CASES: u32 = 24;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(CASES))]

        #[test]
        fn a_client_comes_once_with_the_days_of_its_evidence(
            world in any_world(),
            parts in 1usize..4,
        ) {
            let mut expected: BTreeMap<Client, BTreeSet<Day>> = BTreeMap::new();
            for sighting in &world.sightings {
                let counts = endpoints().into_iter().any(|e| {
                    e.id == sighting.endpoint
                        && e.weight > tidegauge_model::Weight::Nothing
                        && e.valid.contains(sighting.day)
                });
                if counts && crate::world::days().contains(sighting.day) {
                    let days = expected.entry(sighting.client.clone()).or_default();
                    days.insert(sighting.day);
                }
            }
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let found = runtime.block_on(async {
                let stored = world.store(parts).await;
                let mut found: Vec<(Client, BTreeSet<Day>)> = Vec::new();
                let take = |client: &Client, days: &[Day]| {
                    assert!(days.is_sorted());
                    found.push((client.clone(), days.iter().copied().collect()));
                };
                stored.counter.each_client(&everything(&[]), take).await.unwrap();
                found
            });
            prop_assert!(found.is_sorted_by(|a, b| a.0.address <= b.0.address));
            prop_assert_eq!(found.len(), expected.len());
            prop_assert_eq!(found.into_iter().collect::<BTreeMap<_, _>>(), expected);
        }
    }
}

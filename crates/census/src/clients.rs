//! The sightings of a question, client by client: all files of the lake, merged by address.
//!
//! ```text
//! file ─► rows of the evidence ─┐
//! file ─► rows of the evidence ─┼─► merge ─► the sightings of one client, month by month,
//! file ─► rows of the evidence ─┘                 with what its holder is on their days
//! ```
//!
//! The merge goes by stretches of addresses: what every file has below an address that none
//! of them has passed is put together and sorted, which is a merge where it was sorted before.
//!
//! **Invariant:** a client comes once, with all its sightings. Files are decoded beside the
//! merge, a bounded number of rows ahead, so that memory does not grow with the lake but
//! with the number of its files. Days of one endpoint stay together, as bits, for as long as
//! the holder is the same.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt;
use tidegauge_model::count::Query;
use tidegauge_model::{Address, Client, Day, DayRange, Month, SiteId, VantageId};
use tidegauge_store::by_address::{self, Span};
use tidegauge_store::{DataFile, Snapshot, state};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;

use crate::evidence::{Evidence, Finder};
use crate::holding::{Codes, Facts, Holding};
use crate::{Error, Result};

/// Rows that are decoded ahead of the merge, of all files together.
const ROWS_AHEAD: usize = 1 << 17;
/// Days of a month, and so those of a row, at most.
const MONTH_DAYS_MAX: usize = 31;
/// Rows of a file that are decoded at once, at least and at most.
const ROWS_AT_ONCE: std::ops::RangeInclusive<usize> = 512..=8_192;

/// Days of a month, from a day that is given as days from the first of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Days {
    /// The first of the month: negative if the question begins after it.
    pub(crate) from: i32,
    /// Bit `d` for the day `d` after it.
    pub(crate) bits: u32,
}

/// Sightings that are evidence, their names as numbers.
#[derive(Clone, Copy, Debug)]
struct Row {
    address: (i64, i64),
    days: Days,
    /// Where the contacts of its days begin.
    contacts: usize,
    /// The row of the evidence.
    entry: u32,
    /// 0 for none, else a number of [`Names::sites`] and one.
    site: u32,
    vantage: u32,
    signal: u32,
}

/// Sightings of a client in one month, by one vantage, of one endpoint, while one held it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) days: Days,
    /// Where in [`Group::contacts`] those of its days begin.
    contacts: usize,
    /// The row of the evidence.
    pub(crate) entry: u32,
    pub(crate) vantage: u32,
    pub(crate) signal: u32,
    /// Of the holder on these days.
    pub(crate) facts: Facts,
}

/// A client, and its sightings in order of months.
pub(crate) struct Group<'a> {
    pub(crate) client: &'a Client,
    /// 0 for none, else the number of its site and one.
    pub(crate) site: u32,
    pub(crate) seen: &'a [Seen],
    contacts: &'a [u64],
}

impl Days {
    /// Each of the days alone.
    pub(crate) fn each(self) -> impl Iterator<Item = Self> + Clone {
        let mut rest = self.bits;
        std::iter::from_fn(move || {
            let bits = rest & rest.wrapping_neg();
            rest ^= bits;
            (bits != 0).then_some(Self { bits, ..self })
        })
    }

    /// The earliest, as days from the first of the question.
    pub(crate) fn first(self) -> i32 {
        self.from.saturating_add_unsigned(self.bits.trailing_zeros())
    }

    pub(crate) fn count(self) -> u32 {
        self.bits.count_ones()
    }

    /// The contacts of these days, which begin in `all` at `from`.
    fn contacts(self, all: &[u64], from: usize) -> &[u64] {
        let days = usize::try_from(self.count()).unwrap_or(0);
        all.get(from..from + days).unwrap_or(&[])
    }

    /// Those up to a day, given as days from the first of the question.
    fn until(self, last: i32) -> Self {
        let mask = match u32::try_from(last.saturating_sub(self.from)) {
            Ok(bit) => u32::MAX.checked_shr(31u32.saturating_sub(bit)).unwrap_or(0),
            Err(_) => 0,
        };
        Self { bits: self.bits & mask, ..self }
    }
}

impl Group<'_> {
    /// The contacts of a sighting's days, in order.
    pub(crate) fn contacts(&self, of: &Seen) -> &[u64] {
        of.days.contacts(self.contacts, of.contacts)
    }
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
    names: Arc<Mutex<Names>>,
    /// Of the stretch of addresses at hand, by address, site and month.
    stretch: Decoded,
    seen: Vec<Seen>,
    /// Rows of a file that are decoded at once.
    at_once: usize,
    /// Ends the decoding with the question.
    _decoding: JoinSet<()>,
}

/// The rows of one file, from the first that was not taken.
struct Run {
    decoded: Decoded,
    at: usize,
    /// Without rows at the end of the file.
    more: Receiver<Result<Decoded>>,
    ended: bool,
    /// What it means if nothing more comes before the end.
    stopped: Option<Error>,
}

/// Rows, and the contacts of the days of all of them.
#[derive(Default)]
struct Decoded {
    rows: Vec<Row>,
    contacts: Vec<u64>,
}

/// What turns batches of one file into rows.
struct Decoder<D> {
    finder: Finder,
    days: DayRange,
    /// The first of the file's month.
    month: Day,
    /// Says that a row is not what it should be.
    damaged: D,
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
            let damaged = by_address::damaged(snapshot, file);
            let stopped = damaged(&"decoding it stopped before its end").into();
            let decoder = Decoder {
                finder: finder.clone(),
                days,
                // Without one, reading says so.
                month: state::month_of(file).map_or(days.first(), Month::first),
                damaged,
                addresses,
                names: Arc::clone(&names),
            };
            let batches = by_address::read_within(snapshot, file, at_once, addresses);
            decoding.spawn(decoder.run(batches, give));
            runs.push(Run::new(more, stopped));
        }
        Self {
            runs,
            names,
            stretch: Decoded::default(),
            seen: Vec::new(),
            at_once,
            _decoding: decoding,
        }
    }

    /// Hands over every client, in the order of addresses, and what its holder is.
    pub(crate) async fn each<'h>(
        &mut self,
        holding: &mut Holding<'h>,
        mut take: impl FnMut(Group<'_>, &mut Holding<'h>) -> Result<()>,
    ) -> Result<()> {
        while self.gather().await? {
            let Self { stretch: Decoded { rows, contacts }, seen, names, .. } = self;
            for of_client in rows.chunk_by(|a, b| a.client() == b.client()) {
                let Some(Row { address, site, .. }) = of_client.first().copied() else {
                    continue;
                };
                let of = site.checked_sub(1);
                let of = of.and_then(|code| lock(names).sites.value(code).cloned());
                let address = Address::from_halves(address.0, address.1);
                let client = Client { address, site: of };
                holding.turn_to(&client);
                seen.clear();
                for row in of_client {
                    row.held(holding, seen);
                }
                take(Group { client: &client, site, seen, contacts }, holding)?;
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
        // Of each file: rows of the stretch, at hand, in the channel, and being made.
        let row = size_of::<Row>() + MONTH_DAYS_MAX * size_of::<u64>();
        4 * self.runs.len() * self.at_once * row
    }

    /// Gathers all rows of the next stretch of addresses; false if none are left.
    async fn gather(&mut self) -> Result<bool> {
        let Self { runs, stretch, .. } = self;
        stretch.rows.clear();
        stretch.contacts.clear();
        for run in runs.iter_mut() {
            run.look_ahead().await?;
        }
        // More may come of the last address of a file that has not ended.
        let open = runs.iter().filter(|run| !run.ended);
        let end = open.filter_map(|run| run.rest().last()).map(|row| row.address).min();
        for run in runs {
            run.take_below(end, stretch);
        }
        let order = |row: &Row| (row.address, row.site, row.days.from);
        if !stretch.rows.is_sorted_by_key(order) {
            stretch.rows.sort_by_key(order);
        }
        Ok(!stretch.rows.is_empty())
    }
}

impl Row {
    fn client(&self) -> ((i64, i64), u32) {
        (self.address, self.site)
    }

    /// Adds it for each holder of its days.
    fn held(&self, holding: &Holding<'_>, seen: &mut Vec<Seen>) {
        let (mut rest, mut contacts, mut span) = (self.days, self.contacts, 0);
        // Spans cover all days of the question.
        while rest.bits != 0
            && let Some(held) = holding.on(rest.first(), &mut span)
        {
            let days = rest.until(held.last);
            seen.push(Seen {
                days,
                contacts,
                entry: self.entry,
                vantage: self.vantage,
                signal: self.signal,
                facts: held.facts,
            });
            rest.bits &= !days.bits;
            contacts += usize::try_from(days.count()).unwrap_or(0);
        }
    }
}

impl Run {
    fn new(more: Receiver<Result<Decoded>>, stopped: Error) -> Self {
        let (decoded, at, ended) = (Decoded::default(), 0, false);
        Self { decoded, at, more, ended, stopped: Some(stopped) }
    }

    /// The rows that were not taken.
    fn rest(&self) -> &[Row] {
        self.decoded.rows.get(self.at..).unwrap_or(&[])
    }

    /// Reads on until two addresses are at hand, or the file has ended.
    async fn look_ahead(&mut self) -> Result<()> {
        let address = |row: Option<&Row>| row.map(|row| row.address);
        while !self.ended && address(self.rest().first()) == address(self.rest().last())
        {
            let decoded = match self.more.recv().await {
                Some(decoded) => decoded?,
                // Whoever decoded it is gone: its rows would be missing.
                None => self.stopped.take().map_or(Ok(Decoded::default()), Err)?,
            };
            self.ended = decoded.rows.is_empty();
            self.append(decoded);
        }
        Ok(())
    }

    /// Puts rows after the rest, which are few.
    fn append(&mut self, mut decoded: Decoded) {
        let mut rest = Decoded::default();
        self.take_below(None, &mut rest);
        let from = decoded.contacts.len();
        decoded.contacts.append(&mut rest.contacts);
        let rest = rest.rows.into_iter();
        let rest = rest.map(|row| Row { contacts: from + row.contacts, ..row });
        decoded.rows.splice(0..0, rest);
        (self.decoded, self.at) = (decoded, 0);
    }

    /// Moves the rows of all addresses below `end` out; all, if there is none.
    fn take_below(&mut self, end: Option<(i64, i64)>, into: &mut Decoded) {
        let rest = self.rest();
        let below = |end| rest.partition_point(|row| row.address < end);
        let count = end.map_or(rest.len(), below);
        for row in rest.iter().take(count) {
            into.rows.push(Row { contacts: into.contacts.len(), ..*row });
            let of_row = row.days.contacts(&self.decoded.contacts, row.contacts);
            into.contacts.extend_from_slice(of_row);
        }
        self.at += count;
    }
}

impl<D: Fn(&dyn std::fmt::Display) -> tidegauge_store::Error> Decoder<D> {
    /// Decodes until the file ends, or nobody listens any more.
    async fn run(
        self,
        mut batches: impl futures::Stream<Item = tidegauge_store::Result<RecordBatch>>
        + Unpin,
        give: Sender<Result<Decoded>>,
    ) {
        loop {
            let (decoded, last) = match batches.try_next().await {
                Ok(Some(batch)) => match self.decode(&batch) {
                    Ok(decoded) if decoded.rows.is_empty() => continue,
                    decoded => (decoded, false),
                },
                Ok(None) => (Ok(Decoded::default()), true),
                Err(error) => (Err(error.into()), true),
            };
            let last = last || decoded.is_err();
            if give.send(decoded).await.is_err() || last {
                return;
            }
        }
    }

    /// The rows that are evidence.
    fn decode(&self, batch: &RecordBatch) -> Result<Decoded> {
        // The columns are those of `state::schema`.
        let [hi, lo, sites, endpoints, vantages, signals, days, contacts, each] =
            batch.columns()
        else {
            return Err((self.damaged)(&"its columns are not those of state").into());
        };
        let hi = hi.as_primitive::<Int64Type>().values();
        let lo = lo.as_primitive::<Int64Type>().values();
        let days = days.as_primitive::<Int32Type>().values();
        let contacts = contacts.as_primitive::<Int64Type>().values();
        let each = each.as_binary::<i32>();
        let names = &mut *lock(&self.names);
        let evidence = |id: &str| self.finder.month(id, self.month, self.days);
        let endpoints = Looked::new(endpoints, evidence);
        let vantages =
            Looked::new(vantages, |id| Some(names.vantages.code(&VantageId::new(id))));
        let signals =
            Looked::new(signals, |word| Some(names.signals.code(&word.to_owned())));
        let sites = Looked::new(sites, |id| {
            (!id.is_empty()).then(|| names.sites.code(&SiteId::new(id)) + 1)
        });
        let mut decoded = Decoded::default();
        let mut of_each_day = Vec::new();
        for at in 0..batch.num_rows() {
            let names = (endpoints.get(at), vantages.get(at), signals.get(at));
            let (Some(evidence), Some(&vantage), Some(&signal)) = names else {
                continue;
            };
            let address = (value(hi, at), value(lo, at));
            if !self.addresses.contains(address) {
                continue;
            }
            let from = self.month.0 - self.days.first().0;
            let days = Days { from, bits: value(days, at).cast_unsigned() };
            of_each_day.clear();
            let each = each.is_valid(at).then(|| each.value(at));
            let all = value(contacts, at);
            if !state::contacts_of_each_day(days.bits, all, each, &mut of_each_day) {
                let reason = format!("row {at} of a batch has not a number a day");
                return Err((self.damaged)(&reason).into());
            }
            let site = sites.get(at).copied().unwrap_or(0);
            for (held, entry) in evidence.iter().copied() {
                let (contacts, some) =
                    (decoded.contacts.len(), Days { bits: days.bits & held, ..days });
                if some.bits == 0 {
                    continue;
                }
                decoded.rows.push(Row {
                    address,
                    days: some,
                    contacts,
                    entry,
                    site,
                    vantage,
                    signal,
                });
                let each = days.each().zip(&of_each_day);
                let each = each.filter(|(day, _)| day.bits & held != 0);
                decoded.contacts.extend(each.map(|(_, contacts)| *contacts));
            }
        }
        Ok(decoded)
    }
}

/// A value of a column, which has as many as the batch has rows.
fn value<T: Copy + Default>(column: &[T], at: usize) -> T {
    column.get(at).copied().unwrap_or_default()
}

/// A column of names, each looked at once.
struct Looked<'a, T> {
    keys: &'a datafusion::arrow::array::Int32Array,
    values: Vec<Option<T>>,
}

impl<'a, T> Looked<'a, T> {
    fn new(column: &'a dyn Array, look: impl FnMut(&str) -> Option<T>) -> Self {
        let names = column.as_dictionary::<Int32Type>();
        let values = names.values().as_string::<i32>().iter().map(|n| n.unwrap_or(""));
        Self { keys: names.keys(), values: values.map(look).collect() }
    }

    fn get(&self, row: usize) -> Option<&T> {
        if self.keys.is_null(row) {
            return None;
        }
        self.values.get(usize::try_from(self.keys.value(row)).ok()?)?.as_ref()
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

    /// A file of rows, of which each batch is sent as it is asked for; the end of it, if it
    /// is `whole`.
    fn run(
        rows: Vec<Row>,
        lengths: &[usize],
        whole: bool,
        decoding: &mut JoinSet<()>,
    ) -> Run {
        let (give, more) = channel(1);
        let lengths: Vec<usize> = lengths.to_vec();
        decoding.spawn(async move {
            let mut rest = rows.as_slice();
            let mut lengths = lengths.iter().copied().cycle();
            while !rest.is_empty() {
                let (some, after) =
                    rest.split_at(lengths.next().unwrap().min(rest.len()));
                let mut decoded = Decoded::default();
                for row in some {
                    let contacts = decoded.contacts.len();
                    decoded.rows.push(Row { contacts, ..*row });
                    decoded.contacts.push(row.contacts as u64);
                }
                give.send(Ok(decoded)).await.unwrap();
                rest = after;
            }
            if whole {
                give.send(Ok(Decoded::default())).await.unwrap();
            }
        });
        Run::new(more, Error::Plan { reason: "stopped".to_owned() })
    }

    /// Its number stands for its contacts.
    fn row(number: usize, (lo, site, from): (i64, u32, i32)) -> Row {
        Row {
            address: (0, lo),
            days: Days { from, bits: 1 },
            contacts: number,
            entry: 0,
            site,
            vantage: 0,
            signal: 0,
        }
    }

    fn of_runs(runs: Vec<Run>, decoding: JoinSet<()>) -> Clients {
        Clients {
            runs,
            names: Arc::default(),
            stretch: Decoded::default(),
            seen: Vec::new(),
            at_once: 1,
            _decoding: decoding,
        }
    }

    #[tokio::test]
    async fn a_file_whose_decoding_stops_is_an_error_and_not_its_end() {
        for (whole, ended) in [(true, true), (false, false)] {
            let mut decoding = JoinSet::new();
            let rows = (1..4).map(|n| row(1, (n, 0, 0))).collect();
            let runs = vec![run(rows, &[2], whole, &mut decoding)];
            let mut clients = of_runs(runs, decoding);
            let mut counted = 0;
            let said = loop {
                match clients.gather().await {
                    Ok(true) => counted += clients.stretch.rows.len(),
                    said => break said.is_ok(),
                }
            };
            assert_eq!((said, counted == 3), (ended, whole));
        }
    }

    proptest! {
        #[test]
        fn stretches_are_all_rows_in_order_and_cut_no_address(
            files in prop::collection::vec(
                (prop::collection::vec((0i64..12, 0u32..2, 0i32..2), 0..40),
                 prop::collection::vec(1usize..9, 1..4)),
                0..5,
            ),
        ) {
            let told = |row: &Row, contacts: u64| (row.address, row.site, row.days.from, contacts);
            crate::world::block_on(async {
                let (mut runs, mut decoding) = (Vec::new(), JoinSet::new());
                let (mut number, mut expected) = (0, Vec::new());
                for (mut rows, lengths) in files {
                    rows.sort_by_key(|row| row.0);
                    let rows: Vec<Row> = rows.into_iter().map(|of| {
                        number += 1;
                        row(number, of)
                    }).collect();
                    expected.extend(rows.iter().map(|r| told(r, r.contacts as u64)));
                    runs.push(run(rows, &lengths, true, &mut decoding));
                }
                let mut clients = of_runs(runs, decoding);
                expected.sort_unstable();
                let mut found: Vec<((i64, i64), u32, i32, u64)> = Vec::new();
                while clients.gather().await.unwrap() {
                    let Decoded { rows, contacts } = &clients.stretch;
                    let begins = rows[0].address;
                    prop_assert!(found.last().is_none_or(|last| last.0 < begins));
                    found.extend(rows.iter().map(|r| told(r, contacts[r.contacts])));
                }
                prop_assert!(found.is_sorted_by_key(|row| (row.0, row.1, row.2)));
                found.sort_unstable();
                prop_assert_eq!(found, expected);
                Ok(())
            })?;
        }
    }

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

//! The sightings of a question, client by client: all files of the lake, merged by address.
//!
//! ```text
//! file ─► rows of the evidence ─┐
//! file ─► rows of the evidence ─┼─► merge ─► the sightings of one client, month by month,
//! file ─► rows of the evidence ─┘                 with what its holder is on their days
//! ```
//!
//! A file hands over whole addresses only, so that what is at hand of every file up to the
//! least of their last addresses is all there is of it.
//!
//! **Invariant:** a client comes once, with all its sightings. Files are decoded beside the
//! merge, a bounded number of rows ahead, so that memory does not grow with the lake but
//! with the number of its files. Days of one endpoint stay together, as bits, for as long as
//! the holder is the same.

mod decode;
mod rows;
mod run;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::{Arc, Mutex};

use tidegauge_model::count::Query;
use tidegauge_model::{Address, Client, Month, VantageId};
use tidegauge_store::by_address::{self, Wanted};
use tidegauge_store::{DataFile, Snapshot, state};
use tokio::sync::mpsc::channel;
use tokio::task::JoinSet;

use crate::Result;
use crate::evidence::Evidence;
use crate::holding::{Facts, Holding};
use decode::{Decoder, Names, lock};
pub(crate) use rows::Days;
use rows::{Decoded, Halves, Row, contacts_of, index, number, sum};
use run::Run;

/// Rows that are decoded ahead of the merge, of all files together.
const ROWS_AHEAD: usize = 1 << 17;
/// Days of a month, and so those of a row, at most.
const MONTH_DAYS_MAX: usize = 31;
/// Rows of a file that are decoded at once, at least and at most: few enough to be near the
/// processor still when they are merged.
const ROWS_AT_ONCE: std::ops::RangeInclusive<usize> = 512..=2_048;

/// Sightings of a client in one month, by one vantage, of one endpoint, while one held it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) days: Days,
    /// Of these days.
    pub(crate) contacts: u64,
    /// Where in [`Group::each`] those of each day begin, if there are several days.
    each: u32,
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
    each: &'a [u64],
}

impl Group<'_> {
    /// Each day of a sighting, with its contacts.
    pub(crate) fn each_day<'s>(
        &'s self,
        of: &'s Seen,
    ) -> impl Iterator<Item = (Days, u64)> + 's {
        let one = std::slice::from_ref(&of.contacts);
        let contacts = if of.days.bits.is_power_of_two() {
            one.iter()
        } else {
            contacts_of(self.each, of.each, of.days.bits).iter()
        };
        of.days.each().zip(contacts.copied())
    }
}

/// The clients of a question.
pub(crate) struct Clients {
    /// In order of their months.
    runs: Vec<Run>,
    names: Arc<Mutex<Names>>,
    at_hand: AtHand,
    /// Rows of a file that are decoded at once.
    at_once: usize,
    /// Ends the decoding with the question.
    _decoding: JoinSet<()>,
}

/// All there is of one address, in order of months.
#[derive(Default)]
struct AtHand {
    /// Each with the first day of its month, as days from the first of the question.
    rows: Vec<(i32, Row)>,
    /// The contacts of each day, where a row has several.
    contacts: Vec<u64>,
    /// Of one client; and the contacts of each day, where it has several.
    seen: Vec<Seen>,
    each: Vec<u64>,
}

impl Clients {
    /// Begins to read the files of `snapshot` that may have sightings that `query` counts.
    pub(crate) fn open(
        snapshot: &Snapshot,
        evidence: &Evidence<'_>,
        query: &Query,
        wanted: Wanted,
    ) -> Self {
        let days = query.days;
        let months = query.counted().iter().flat_map(|days| days.months());
        let months: Vec<_> = months.map(|m| m.to_string()).collect();
        let wanted_file = |file: &&DataFile| {
            file.partition_month.as_ref().is_none_or(|month| months.contains(month))
        };
        let mut files: Vec<_> = snapshot.files.iter().filter(wanted_file).collect();
        files.sort_by_key(|file| state::month_of(file));
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
            // Without one, reading says so.
            let month = state::month_of(file).map_or(days.first(), Month::first);
            let decoder = Decoder {
                finder: finder.clone(),
                days,
                month,
                damaged,
                wanted,
                names: Arc::clone(&names),
                held_back: Decoded::default(),
            };
            let batches = by_address::read(snapshot, file, at_once, wanted);
            decoding.spawn(decoder.run(batches, give));
            runs.push(Run::new(month.0 - days.first().0, more, stopped));
        }
        let at_hand = AtHand::default();
        Self { runs, names, at_hand, at_once, _decoding: decoding }
    }

    /// Hands over every client, in the order of addresses, and what its holder is.
    pub(crate) async fn each<'h>(
        &mut self,
        holding: &mut Holding<'h>,
        mut take: impl FnMut(Group<'_>, &mut Holding<'h>) -> Result<()>,
    ) -> Result<()> {
        while self.look_ahead().await? {
            self.merge(&mut |at_hand, names| {
                at_hand.clients(names, holding, &mut take)
            })?;
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
        let row = size_of::<Row>() + MONTH_DAYS_MAX * size_of::<u64>();
        3 * self.runs.len() * self.at_once * row
    }

    /// Reads on until of every file a row is at hand, or it has ended; false if none is left.
    async fn look_ahead(&mut self) -> Result<bool> {
        for run in &mut self.runs {
            run.look_ahead().await?;
        }
        Ok(self.runs.iter().any(|run| run.first().is_some()))
    }

    /// Takes the addresses of which all is at hand, one after another.
    fn merge(
        &mut self,
        take: &mut impl FnMut(&mut AtHand, &Mutex<Names>) -> Result<()>,
    ) -> Result<()> {
        let Self { runs, at_hand, names, .. } = self;
        let open = runs.iter().filter(|run| !run.ended);
        let end = open.filter_map(Run::last).min();
        let within = |address: &Halves| end.is_none_or(|end| *address <= end);
        let heads = runs.iter().map(Run::first).zip(0..);
        let heads = heads.filter_map(|(first, run)| Some(Reverse((first?, run))));
        let mut heads: BinaryHeap<Reverse<(Halves, usize)>> =
            heads.filter(|Reverse((first, _))| within(first)).collect();
        while let Some(Reverse((mut address, first))) = heads.pop() {
            let other = heads.peek().map(|Reverse((other, _))| *other);
            let next = loop {
                at_hand.clear();
                let Some(run) = runs.get_mut(first) else { break None };
                run.take(address, at_hand);
                let next = run.first().filter(within);
                if other == Some(address) {
                    gather(address, runs, &mut heads, &within, at_hand);
                }
                take(at_hand, names)?;
                match next {
                    // No other file has one as low: there is nothing to compare.
                    Some(next) if other.is_none_or(|other| next < other) => {
                        address = next;
                    }
                    next => break next,
                }
            };
            if let Some(next) = next {
                heads.push(Reverse((next, first)));
            }
        }
        Ok(())
    }
}

/// Takes an address from all the other files that have it.
fn gather(
    address: Halves,
    runs: &mut [Run],
    heads: &mut BinaryHeap<Reverse<(Halves, usize)>>,
    within: &impl Fn(&Halves) -> bool,
    into: &mut AtHand,
) {
    while let Some(mut head) = heads.peek_mut()
        && head.0.0 == address
    {
        let Some(run) = runs.get_mut(head.0.1) else { return };
        run.take(address, into);
        match run.first().filter(within) {
            Some(next) => head.0.0 = next,
            None => _ = PeekMut::pop(head),
        }
    }
}

impl AtHand {
    fn clear(&mut self) {
        self.rows.clear();
        self.contacts.clear();
    }

    /// Hands over the clients of the address.
    fn clients<'h>(
        &mut self,
        names: &Mutex<Names>,
        holding: &mut Holding<'h>,
        take: &mut impl FnMut(Group<'_>, &mut Holding<'h>) -> Result<()>,
    ) -> Result<()> {
        let Self { rows, contacts, seen, each } = self;
        if rows.iter().any(|(_, row)| row.site != 0) {
            // Months stay in order.
            rows.sort_by_key(|(_, row)| row.site);
        }
        for of_client in rows.chunk_by(|(_, a), (_, b)| a.site == b.site) {
            let Some((_, Row { address, site, .. })) = of_client.first().copied()
            else {
                continue;
            };
            let of = site.checked_sub(1);
            let of = of.and_then(|code| lock(names).sites.value(code).cloned());
            let address = Address::from_halves(address.0, address.1);
            let client = Client { address, site: of };
            holding.turn_to(&client);
            seen.clear();
            each.clear();
            for (from, row) in of_client {
                let of_row = contacts_of(contacts, row.each, row.several_days());
                row.held(*from, of_row, holding, (seen, each));
            }
            take(Group { client: &client, site, seen, each }, holding)?;
        }
        Ok(())
    }
}

impl Row {
    /// Adds it for each holder of its days. `contacts` are of each day, if it has several.
    fn held(
        &self,
        from: i32,
        mut contacts: &[u64],
        holding: &Holding<'_>,
        (seen, each): (&mut Vec<Seen>, &mut Vec<u64>),
    ) {
        let mut rest = Days { from, bits: self.days };
        // Spans cover all days of the question.
        for span in holding.spans(rest) {
            let days = rest.until(span.last);
            if days.bits == 0 {
                continue;
            }
            let place = number(each.len());
            let (of_days, after) = contacts
                .split_at_checked(index(days.count()))
                .unwrap_or((contacts, &[]));
            if !days.bits.is_power_of_two() {
                each.extend_from_slice(of_days);
            }
            seen.push(Seen {
                days,
                contacts: if days.bits == self.days {
                    self.contacts
                } else {
                    sum(of_days)
                },
                each: place,
                entry: self.entry,
                vantage: self.vantage,
                signal: self.signal,
                facts: span.facts,
            });
            contacts = after;
            rest.bits &= !days.bits;
            if rest.bits == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use tidegauge_model::Day;

    use super::*;
    use crate::Error;
    use crate::world::{any_world, endpoints, everything};

    /// Each case writes a lake.
    const CASES: u32 = 24;

    /// A row of a file: the lower half of its address, its site, its days, and the contacts
    /// of each of them.
    type Made = (i64, u32, u32, Vec<u64>);

    /// A file of rows of a month, of which each batch is sent as it is asked for; the end of
    /// it, if it is `whole`.
    fn run(
        from: i32,
        rows: Vec<Made>,
        lengths: Vec<usize>,
        whole: bool,
        decoding: &mut JoinSet<()>,
    ) -> Run {
        let (give, more) = channel(1);
        decoding.spawn(async move {
            let (mut rest, mut held_back) = (rows.as_slice(), Decoded::default());
            let mut lengths = lengths.iter().copied().cycle();
            while !rest.is_empty() {
                let (some, after) =
                    rest.split_at(lengths.next().unwrap().min(rest.len()));
                let mut decoded = held_back;
                for row in some {
                    push(&mut decoded, row);
                }
                held_back = decoded.split_last();
                if !decoded.rows.is_empty() {
                    give.send(Ok(decoded)).await.unwrap();
                }
                rest = after;
            }
            if !held_back.rows.is_empty() {
                give.send(Ok(held_back)).await.unwrap();
            }
            if whole {
                give.send(Ok(Decoded::default())).await.unwrap();
            }
        });
        Run::new(from, more, Error::Plan { reason: "stopped".to_owned() })
    }

    fn push(decoded: &mut Decoded, (lo, site, days, each): &Made) {
        let (address, site, days) = ((0, *lo), *site, *days);
        let (entry, vantage, signal, contacts) = (0, 0, 0, 0);
        let row =
            Row { address, days, entry, site, vantage, signal, each: 0, contacts };
        decoded.push(row, days, each);
    }

    fn of_runs(runs: Vec<Run>, decoding: JoinSet<()>) -> Clients {
        let at_hand = AtHand::default();
        Clients {
            runs,
            names: Arc::default(),
            at_hand,
            at_once: 1,
            _decoding: decoding,
        }
    }

    #[tokio::test]
    async fn a_file_whose_decoding_stops_is_an_error_and_not_its_end() {
        for (whole, ended) in [(true, true), (false, false)] {
            let mut decoding = JoinSet::new();
            let rows = (1..4).map(|n| (n, 0, 1, vec![1])).collect();
            let runs = vec![run(0, rows, vec![2], whole, &mut decoding)];
            let mut clients = of_runs(runs, decoding);
            let mut counted = 0;
            let said = loop {
                let taken = &mut |at_hand: &mut AtHand, _: &Mutex<Names>| {
                    counted += at_hand.rows.len();
                    Ok(())
                };
                match clients.look_ahead().await {
                    Ok(true) => clients.merge(taken).unwrap(),
                    said => break said.is_ok(),
                }
            };
            assert_eq!((said, counted), (ended, 3), "what was sent is whole addresses");
        }
    }

    prop_compose! {
        fn made()(
            lo in 0i64..12,
            site in 0u32..2,
            each in prop::collection::vec(1u64..1_000_000, 1..4),
        ) -> Made {
            (lo, site, (1 << each.len()) - 1, each)
        }
    }

    proptest! {
        #[test]
        fn an_address_comes_once_with_all_its_rows_in_order_of_months(
            mut files in prop::collection::vec(
                (0i32..2, prop::collection::vec(made(), 0..40),
                 prop::collection::vec(1usize..9, 1..4)),
                0..5,
            ),
        ) {
            files.sort_by_key(|(from, ..)| *from);
            crate::world::block_on(async {
                let (mut runs, mut decoding) = (Vec::new(), JoinSet::new());
                let mut expected = Vec::new();
                for (from, mut rows, lengths) in files {
                    rows.sort_by_key(|row| row.0);
                    expected.extend(rows.iter().cloned().map(|row| (from, row)));
                    runs.push(run(from, rows, lengths, true, &mut decoding));
                }
                expected.sort_unstable();
                let mut clients = of_runs(runs, decoding);
                let mut found: Vec<(i32, Made)> = Vec::new();
                let mut addresses = Vec::new();
                while clients.look_ahead().await.unwrap() {
                    clients.merge(&mut |at_hand, _| {
                        assert!(at_hand.rows.is_sorted_by_key(|(from, _)| *from));
                        let AtHand { rows, contacts, .. } = at_hand;
                        addresses.push(rows[0].1.address);
                        for (from, row) in rows {
                            assert_eq!(row.address, *addresses.last().unwrap());
                            let several = contacts_of(contacts, row.each, row.several_days());
                            let one = std::slice::from_ref(&row.contacts);
                            let each = if several.is_empty() { one } else { several };
                            assert_eq!(row.contacts, sum(each));
                            found.push((*from, (row.address.1, row.site, row.days, each.to_vec())));
                        }
                        Ok(())
                    }).unwrap();
                }
                prop_assert!(addresses.is_sorted_by(|a, b| a < b));
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

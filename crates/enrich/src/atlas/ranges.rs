//! Ranges of addresses, made disjoint: the index of one table.
//!
//! **Invariant:** segments are sorted and disjoint, so that a look-up is one binary
//! search; where rows overlapped, the narrower row decides.

use std::collections::{BTreeSet, HashMap};

use tidegauge_model::Day;

/// A row before it is indexed. `statement` is an index into the atlas' statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RangeRow {
    pub(super) first: u128,
    pub(super) last: u128,
    pub(super) valid: Valid,
    pub(super) statement: usize,
}

/// The days on which a row holds by its own word, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Valid {
    pub(super) from: Day,
    pub(super) to: Day,
}

impl Valid {
    /// A row without dates.
    pub(super) const ALWAYS: Self = Self { from: Day(i32::MIN), to: Day(i32::MAX) };

    fn contains(self, day: Day) -> bool {
        self.from <= day && day <= self.to
    }
}

/// What a segment says: the first candidate that holds on the day decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Candidate {
    valid: Valid,
    statement: usize,
}

/// The index of one table of one address family.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    firsts: Vec<u128>,
    lasts: Vec<u128>,
    /// Index into `choices`.
    choice: Vec<usize>,
    choices: Vec<Box<[Candidate]>>,
    /// Whether any row has dates of its own.
    dated: bool,
    /// Rows that begin inside an earlier one.
    overlapping: u64,
}

/// A hit: the disjoint piece of address space, and the statement for the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// For [`Ranges::bounds`].
    pub(super) segment: usize,
    pub(super) statement: usize,
}

impl Ranges {
    /// Indexes `rows`. `order` breaks ties between rows of the same range and `from`:
    /// it must not depend on the order in which rows came.
    pub(super) fn build(
        mut rows: Vec<RangeRow>,
        order: impl Fn(usize, usize) -> std::cmp::Ordering,
    ) -> Self {
        rows.sort_unstable_by(|a, b| {
            (a.first, b.last, b.valid.from, a.valid.to)
                .cmp(&(b.first, a.last, a.valid.from, b.valid.to))
                .then_with(|| order(a.statement, b.statement))
        });
        rows.dedup();
        let mut ranges = Self {
            dated: rows.iter().any(|r| r.valid != Valid::ALWAYS),
            ..Self::default()
        };
        let mut known = HashMap::new();
        let mut rest = rows.as_slice();
        while let Some((cluster, after)) = split_cluster(rest) {
            rest = after;
            let more = u64::try_from(cluster.len() - 1).expect("fits in 64 bits");
            ranges.overlapping += more;
            ranges.push_cluster(cluster, &mut known);
        }
        ranges
    }

    /// The segment that `address` lies in.
    pub(super) fn segment(&self, address: u128) -> Option<usize> {
        let after = self.firsts.partition_point(|&first| first <= address);
        let at = after.checked_sub(1)?;
        (address <= *self.lasts.get(at)?).then_some(at)
    }

    /// What a segment says on `day`.
    pub(super) fn said(&self, segment: usize, day: Day) -> Option<Hit> {
        let candidates = self.choices.get(self.choice(segment)?)?;
        let chosen = candidates.iter().find(|c| c.valid.contains(day))?;
        Some(Hit { segment, statement: chosen.statement })
    }

    /// First and last address of a segment, both included.
    pub(super) fn bounds(&self, segment: usize) -> Option<(u128, u128)> {
        Some((*self.firsts.get(segment)?, *self.lasts.get(segment)?))
    }

    /// A number that two segments share if and only if they say the same on every day.
    pub(super) fn choice(&self, segment: usize) -> Option<usize> {
        self.choice.get(segment).copied()
    }

    /// The days on which what is said in a segment may change, by its rows' own dates:
    /// each is the first day of something.
    pub(super) fn changes(&self, segment: usize) -> impl Iterator<Item = Day> {
        self.choice(segment)
            .and_then(|choice| self.choices.get(choice))
            .into_iter()
            .flat_map(|candidates| candidates.iter())
            .filter(|c| c.valid != Valid::ALWAYS)
            .flat_map(|c| [c.valid.from, c.valid.to.plus(1)])
    }

    pub(super) fn dated(&self) -> bool {
        self.dated
    }

    pub(super) fn overlapping(&self) -> u64 {
        self.overlapping
    }

    pub(super) fn len(&self) -> usize {
        self.firsts.len()
    }

    /// Bytes held, candidates included.
    pub(super) fn bytes(&self) -> usize {
        let per_segment = 2 * size_of::<u128>() + size_of::<usize>();
        let candidates: usize = self.choices.iter().map(|c| c.len()).sum();
        self.firsts.len() * per_segment
            + self.choices.len() * size_of::<Box<[Candidate]>>()
            + candidates * size_of::<Candidate>()
    }

    fn push_cluster(
        &mut self,
        cluster: &[RangeRow],
        known: &mut HashMap<Box<[Candidate]>, usize>,
    ) {
        if let [row] = cluster {
            let only = Candidate { valid: row.valid, statement: row.statement };
            self.push(row.first, row.last, Box::new([only]), known);
            return;
        }
        for (first, last, rows) in disjoint(cluster) {
            let candidates = rows
                .into_iter()
                .filter_map(|at| cluster.get(at))
                .map(|r| Candidate { valid: r.valid, statement: r.statement })
                .collect();
            self.push(first, last, candidates, known);
        }
    }

    fn push(
        &mut self,
        first: u128,
        last: u128,
        candidates: Box<[Candidate]>,
        known: &mut HashMap<Box<[Candidate]>, usize>,
    ) {
        debug_assert!(self.lasts.last().is_none_or(|&l| l < first) && first <= last);
        let next = self.choices.len();
        let choice = if let Some(&choice) = known.get(&candidates) {
            choice
        } else {
            self.choices.push(candidates.clone());
            known.insert(candidates, next);
            next
        };
        self.firsts.push(first);
        self.lasts.push(last);
        self.choice.push(choice);
    }
}

/// Splits off the rows, sorted by first address, that hang together by overlaps.
fn split_cluster(rows: &[RangeRow]) -> Option<(&[RangeRow], &[RangeRow])> {
    let mut reach = rows.first()?.last;
    let overlaps = rows.iter().skip(1).take_while(|row| {
        let inside = row.first <= reach;
        reach = reach.max(row.last);
        inside
    });
    let length = 1 + overlaps.count();
    rows.split_at_checked(length)
}

/// Cuts overlapping rows into disjoint pieces, each with its rows in order of
/// precedence: the narrower first, then the later `from`, then the order of the rows.
/// Rows behind one that holds always can never decide, and are left out.
fn disjoint(rows: &[RangeRow]) -> Vec<(u128, u128, Vec<usize>)> {
    let mut cuts = BTreeSet::new();
    let mut ends = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        cuts.insert(row.first);
        // A row up to the last address there is never ends.
        if let Some(end) = row.last.checked_add(1) {
            cuts.insert(end);
            ends.push((end, at));
        }
    }
    ends.sort_unstable();
    let (mut ends, mut starts) = (ends.into_iter().peekable(), 0);
    let mut active = BTreeSet::new();
    let mut pieces: Vec<(u128, u128, Vec<usize>)> = Vec::new();
    let mut cuts = cuts.into_iter().peekable();
    while let Some(cut) = cuts.next() {
        while let Some((_, at)) = ends.next_if(|(end, _)| *end <= cut) {
            active.remove(&precedence(rows, at));
        }
        while rows.get(starts).is_some_and(|row| row.first == cut) {
            active.insert(precedence(rows, starts));
            starts += 1;
        }
        if active.is_empty() {
            continue;
        }
        let deciding = deciding(rows, &active);
        let last = cuts.peek().map_or(u128::MAX, |next| next - 1);
        match pieces.last_mut() {
            Some((_, before, same)) if *same == deciding && *before + 1 == cut => {
                *before = last;
            }
            _ => pieces.push((cut, last, deciding)),
        }
    }
    pieces
}

/// Sorts rows by what decides first: size, then the later `from`, then their order.
type Precedence = (u128, std::cmp::Reverse<Day>, usize);

fn precedence(rows: &[RangeRow], at: usize) -> Precedence {
    let row = rows.get(at);
    let size = row.map_or(0, |r| r.last - r.first);
    let from = row.map_or(Day(0), |r| r.valid.from);
    (size, std::cmp::Reverse(from), at)
}

fn deciding(rows: &[RangeRow], active: &BTreeSet<Precedence>) -> Vec<usize> {
    let mut deciding = Vec::new();
    for &(_, _, at) in active {
        deciding.push(at);
        if rows.get(at).is_some_and(|r| r.valid == Valid::ALWAYS) {
            break;
        }
    }
    deciding
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same rule by a scan over all rows.
    fn scan(rows: &[RangeRow], address: u128, day: Day) -> Option<usize> {
        rows.iter()
            .filter(|r| {
                r.first <= address && address <= r.last && r.valid.contains(day)
            })
            .min_by_key(|r| {
                let from = std::cmp::Reverse(r.valid.from);
                (r.last - r.first, from, r.first, r.valid.to, r.statement)
            })
            .map(|r| r.statement)
    }

    fn find(ranges: &Ranges, address: u128, day: Day) -> Option<Hit> {
        ranges.said(ranges.segment(address)?, day)
    }

    prop_compose! {
        fn row()(first in 0u128..60, size in 0u128..20, high: bool,
                 from in 0i32..10, days in 0i32..10, dated: bool, statement in 0usize..50)
                 -> RangeRow {
            let base = if high { u128::MAX - 80 } else { 0 };
            let valid = Valid { from: Day(from), to: Day(from + days) };
            RangeRow {
                first: base + first,
                last: base + first + size,
                valid: if dated { valid } else { Valid::ALWAYS },
                statement,
            }
        }
    }

    proptest! {
        #[test]
        fn the_index_answers_as_a_scan_over_all_rows(
            rows in prop::collection::vec(row(), 0..40), day in 0i32..20,
        ) {
            let ranges = Ranges::build(rows.clone(), |a, b| a.cmp(&b));
            for address in (0..85).chain(u128::MAX - 84..=u128::MAX) {
                let found = find(&ranges, address, Day(day));
                prop_assert_eq!(
                    found.map(|h| h.statement), scan(&rows, address, Day(day)), "{}", address
                );
                if let Some(hit) = found {
                    let (first, last) = ranges.bounds(hit.segment).unwrap();
                    prop_assert!(first <= address && address <= last);
                }
            }
        }

        #[test]
        fn the_order_of_rows_does_not_matter(
            rows in prop::collection::vec(row(), 0..30).prop_flat_map(|rows| {
                (Just(rows.clone()), Just(rows).prop_shuffle())
            }),
        ) {
            let a = Ranges::build(rows.0, |a, b| a.cmp(&b));
            let b = Ranges::build(rows.1, |a, b| a.cmp(&b));
            prop_assert_eq!(a.firsts, b.firsts);
            prop_assert_eq!(a.choices, b.choices);
            prop_assert_eq!(a.choice, b.choice);
        }
    }

    #[test]
    fn a_row_up_to_the_last_address_has_an_end() {
        let row = |first, last, statement| RangeRow {
            first,
            last,
            valid: Valid::ALWAYS,
            statement,
        };
        let rows = vec![row(0, u128::MAX, 1), row(5, 9, 2)];
        let ranges = Ranges::build(rows, |a, b| a.cmp(&b));
        let said = |a| find(&ranges, a, Day(0)).map(|h| h.statement);
        assert_eq!([said(4), said(5), said(10)], [Some(1), Some(2), Some(1)]);
        assert_eq!(said(u128::MAX), Some(1));
        assert_eq!((ranges.len(), ranges.overlapping()), (3, 1));
    }
}

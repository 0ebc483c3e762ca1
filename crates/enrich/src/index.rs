//! Which of many disjoint ranges an address is in: the index that attribution and
//! matching by prefix look up in.
//!
//! ```text
//! segments (sorted, disjoint) ─┬─► Trie, one a family ─► find, find_each   any order
//!                              └─► starts, both families ─► join           sorted
//! ```
//!
//! **Invariant:** `find`, `find_each` and `join` say the same of every address: the value
//! of the one segment that it lies in. What is kept of an index are its stretches; the rest is
//! made of them again.

mod join;
mod trie;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidegauge_model::Address;

pub use join::Join;
use trie::Trie;

/// What the value of a segment may be at most: three bits of an entry are the index's own.
pub const VALUE_MAX: u32 = (1 << 29) - 1;

/// Nobody's entry.
const NOBODY: u32 = 0;

/// An index of disjoint ranges, each with a small number.
#[derive(Debug, Default)]
pub struct RangeIndex {
    v4: Trie,
    v6: Trie,
    /// First addresses of stretches, sorted, of both families, gaps included.
    starts: Vec<u128>,
    /// What each stretch says: [`NOBODY`], else its value and one.
    entries: Vec<u32>,
}

/// Why segments cannot be indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSegment {
    /// It ends before it begins, or is of two families.
    #[error("segment {0} is no range")]
    NoRange(usize),
    /// It begins at or before the end of the one before.
    #[error("segment {0} begins before the one before it ends")]
    Order(usize),
    /// Its value is above [`VALUE_MAX`].
    #[error("segment {0} has a value above {VALUE_MAX}")]
    Value(usize),
}

impl RangeIndex {
    /// Indexes `(first, last, value)`, sorted and disjoint, both ends included.
    pub fn build(
        segments: impl IntoIterator<Item = (Address, Address, u32)>,
    ) -> Result<Self, BadSegment> {
        let mut stretches = Stretches::default();
        for (at, (first, last, value)) in segments.into_iter().enumerate() {
            if first > last || first.is_v4() != last.is_v4() {
                return Err(BadSegment::NoRange(at));
            }
            if value > VALUE_MAX {
                return Err(BadSegment::Value(at));
            }
            if !stretches.push(first.bits(), last.bits(), value + 1) {
                return Err(BadSegment::Order(at));
            }
        }
        Ok(stretches.finish())
    }

    /// The value of the segment that `address` lies in.
    #[inline]
    pub fn find(&self, address: Address) -> Option<u32> {
        self.entry(address).checked_sub(1)
    }

    /// The same for each of `addresses`, one answer each, appended to `found`. The steps of
    /// many look-ups are taken in turns, so that their waits for memory overlap.
    pub fn find_each(&self, addresses: &[Address], found: &mut Vec<Option<u32>>) {
        found.reserve(addresses.len());
        for some in addresses.chunks(trie::AT_ONCE) {
            if some.iter().all(|a| a.is_v4()) {
                let keys = some.iter().map(|a| v4_key(*a).to_be_bytes());
                self.v4.find_each(keys, |entry| found.push(entry.checked_sub(1)));
            } else if some.iter().any(|a| a.is_v4()) {
                found.extend(some.iter().map(|a| self.find(*a)));
            } else {
                let keys = some.iter().map(|a| a.bits().to_be_bytes());
                self.v6.find_each(keys, |entry| found.push(entry.checked_sub(1)));
            }
        }
    }

    /// Joins addresses with segments. `addresses` should be sorted: then each segment is
    /// passed once. In any other order the answers are the same, and slower.
    pub fn join<'a>(&'a self, addresses: &'a [Address]) -> Join<'a> {
        Join::new(self, addresses)
    }

    /// The first address of the stretch, or gap, that `address` lies in.
    pub fn start(&self, address: Address) -> u128 {
        let after = self.starts.partition_point(|start| *start <= address.bits());
        let at = after.checked_sub(1).and_then(|at| self.starts.get(at));
        at.copied().unwrap_or(0)
    }

    /// The stretch, or gap, that `address` lies in: its place, its value and its last
    /// address. Found at once if it is at `before` or soon after.
    pub fn run(&self, address: Address, before: usize) -> (usize, Option<u32>, u128) {
        let begins =
            |at: usize| self.starts.get(at).map(|start| *start <= address.bits());
        // Doubling steps from there, as of addresses that come in order.
        let mut from = if begins(before) == Some(true) { before } else { 0 };
        let mut step = 1;
        while begins(from + step) == Some(true) {
            from += step;
            step *= 2;
        }
        let rest = self.starts.get(from..).unwrap_or(&[]);
        let rest = rest.get(..step).unwrap_or(rest);
        let after = from + rest.partition_point(|start| *start <= address.bits());
        let last = self.starts.get(after).map_or(u128::MAX, |next| next - 1);
        let place = after.saturating_sub(1);
        let entry = self.entries.get(place).filter(|_| after > 0);
        (place, entry.and_then(|entry| entry.checked_sub(1)), last)
    }

    /// Every stretch that has a value, in order: first and last address, and the value.
    /// Neighbours with one value are one.
    pub fn ranges(&self) -> impl Iterator<Item = (u128, u128, u32)> {
        let ends = self.starts.iter().skip(1).map(|next| next - 1).chain([u128::MAX]);
        let stretches = self.starts.iter().copied().zip(ends).zip(&self.entries);
        stretches.filter_map(|((first, last), entry)| {
            Some((first, last, entry.checked_sub(1)?))
        })
    }

    /// Stretches held, gaps included.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether no address has a value.
    pub fn is_empty(&self) -> bool {
        self.entries.iter().all(|entry| *entry == NOBODY)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.v4.bytes()
            + self.v6.bytes()
            + self.starts.len() * (size_of::<u128>() + size_of::<u32>())
    }

    #[inline]
    fn entry(&self, address: Address) -> u32 {
        if address.is_v4() {
            self.v4.find(v4_key(address).to_be_bytes())
        } else {
            self.v6.find(address.bits().to_be_bytes())
        }
    }
}

impl Serialize for RangeIndex {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (&self.starts, &self.entries).serialize(to)
    }
}

impl<'de> Deserialize<'de> for RangeIndex {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (starts, entries) = Deserialize::deserialize(from)?;
        let stretches = Stretches { starts, entries, ..Stretches::default() };
        if !stretches.are_whole() {
            return Err(D::Error::custom("no stretches in order"));
        }
        Ok(stretches.indexed())
    }
}

/// The 32 bits of an IPv4 address.
#[inline]
fn v4_key(address: Address) -> u32 {
    u32::try_from(address.bits() & u128::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// Segments and gaps as they come.
#[derive(Default)]
struct Stretches {
    starts: Vec<u128>,
    entries: Vec<u32>,
    /// The first address that is free; `None` when the last address is taken.
    free: Option<u128>,
    begun: bool,
}

impl Stretches {
    /// Adds a segment; `false` if it is out of order.
    fn push(&mut self, first: u128, last: u128, entry: u32) -> bool {
        let gap = match (self.begun, self.free) {
            (false, _) => first > 0,
            (true, Some(free)) if free <= first => free < first,
            _ => return false,
        };
        if gap {
            self.begin(self.free.unwrap_or(0), NOBODY);
        }
        self.begin(first, entry);
        (self.begun, self.free) = (true, last.checked_add(1));
        true
    }

    /// Begins a stretch, unless it goes on with what the last one says.
    fn begin(&mut self, start: u128, entry: u32) {
        if self.entries.last() != Some(&entry) {
            self.starts.push(start);
            self.entries.push(entry);
        }
    }

    fn finish(mut self) -> RangeIndex {
        if !self.begun {
            self.begin(0, NOBODY);
        } else if let Some(free) = self.free {
            self.begin(free, NOBODY);
        }
        self.indexed()
    }

    /// Whether they cover all addresses, in order, with entries that an index can hold.
    fn are_whole(&self) -> bool {
        self.starts.len() == self.entries.len()
            && self.starts.first() == Some(&0)
            && self.starts.is_sorted_by(|a, b| a < b)
            && self.entries.iter().all(|entry| *entry <= VALUE_MAX + 1)
    }

    fn indexed(self) -> RangeIndex {
        let (below, v4, above) = self.families();
        let v6: Vec<_> = below.into_iter().chain(above).collect();
        RangeIndex {
            v4: Trie::build(&v4),
            v6: Trie::build(&v6),
            starts: self.starts,
            entries: self.entries,
        }
    }

    /// Stretches below the mapped IPv4 block, in it (as left-aligned keys), and above.
    fn families(&self) -> (Vec<Bound>, Vec<Bound>, Vec<Bound>) {
        let first = Address::from(std::net::Ipv4Addr::UNSPECIFIED).bits();
        let after = Address::from(std::net::Ipv4Addr::BROADCAST).bits() + 1;
        let all = || self.starts.iter().copied().zip(self.entries.iter().copied());
        // What holds at the start of a block may have begun before it.
        let before = |limit: u128| {
            let at = self.starts.partition_point(|start| *start < limit);
            at.checked_sub(1).and_then(|at| self.entries.get(at)).copied()
        };
        let at = |limit: u128| (limit, before(limit).unwrap_or(NOBODY));
        let below = all().filter(|(start, _)| *start < first).collect();
        let inside = all().filter(|(start, _)| (first..after).contains(start));
        let v4 = std::iter::once(at(first))
            .chain(inside)
            .map(|(start, entry)| ((start - first) << 96, entry))
            .collect();
        let above = std::iter::once(at(after))
            .chain(all().filter(|(start, _)| *start >= after))
            .collect();
        (below, v4, above)
    }
}

/// From this key on, this entry holds, until the next bound. Of two at one key the later
/// stands.
type Bound = (u128, u32);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The slow way: every segment is looked at.
    fn scan(segments: &[(Address, Address, u32)], address: Address) -> Option<u32> {
        let inside = |s: &&(Address, Address, u32)| s.0 <= address && address <= s.1;
        segments.iter().find(inside).map(|s| s.2)
    }

    fn v4(text: &str) -> Address {
        text.parse().unwrap()
    }

    /// Cuts of the address space, most of them near each other and near the edges of the
    /// mapped block, of bytes, and of the whole space.
    fn cut() -> impl Strategy<Value = u128> {
        let mapped = 0xffff_0000_0000u128;
        prop_oneof![
            (0u32..600).prop_map(move |low| mapped + u128::from(low)),
            any::<u32>().prop_map(move |low| mapped + u128::from(low)),
            (0u128..40).prop_map(move |d| mapped - 20 + d),
            (0u128..40).prop_map(move |d| mapped + (1 << 32) - 20 + d),
            (0u128..70_000).prop_map(|d| d << 104),
            (0u128..3, 0u32..17, 0u128..3).prop_map(|(a, byte, b)| {
                (a << 120) | (0x2001 << 112) | (b << (8 * byte.min(15)))
            }),
            any::<u128>(),
            (0u128..20).prop_map(|d| u128::MAX - d),
            0u128..20,
        ]
    }

    fn segments() -> impl Strategy<Value = Vec<(Address, Address, u32)>> {
        prop::collection::vec((cut(), 0u32..6), 0..60).prop_map(|mut cuts| {
            let mapped = 0xffff_0000_0000u128;
            cuts.extend([(mapped, 7), (mapped + (1 << 32), 8)]);
            cuts.sort_unstable();
            cuts.dedup_by_key(|(start, _)| *start);
            let ends = cuts.iter().skip(1).map(|(start, _)| start - 1);
            let ends: Vec<_> = ends.chain([u128::MAX]).collect();
            cuts.iter()
                .zip(ends)
                // Every third value is a gap.
                .filter(|((_, value), _)| *value % 3 != 0)
                .map(|((start, value), end)| {
                    (Address::from_bits(*start), Address::from_bits(end), *value)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn every_way_of_asking_answers_as_a_scan(
            segments in segments(), more in prop::collection::vec(cut(), 0..100), sorted: bool,
            hint in 0usize..100,
        ) {
            let index = RangeIndex::build(segments.clone()).unwrap();
            let kept = postcard::to_stdvec(&index).unwrap();
            let index: RangeIndex = postcard::from_bytes(&kept).unwrap();
            let edges = segments.iter().flat_map(|(first, last, _)| {
                [first.bits().wrapping_sub(1), first.bits(), last.bits(),
                 last.bits().wrapping_add(1)]
            });
            let mut asked: Vec<_> =
                edges.chain(more).map(Address::from_bits).collect();
            if sorted {
                asked.sort_unstable();
            }
            let expected: Vec<_> = asked.iter().map(|a| scan(&segments, *a)).collect();
            let found: Vec<_> = asked.iter().map(|a| index.find(*a)).collect();
            prop_assert_eq!(&found, &expected);
            let mut each = Vec::new();
            index.find_each(&asked, &mut each);
            prop_assert_eq!(&each, &expected);
            let mut before = hint;
            for (address, value) in asked.iter().zip(&expected) {
                let (place, of_run, last) = index.run(*address, before);
                before = place;
                prop_assert_eq!(&of_run, value);
                let ends = [index.start(*address), last];
                prop_assert!(ends[0] <= address.bits() && address.bits() <= ends[1]);
                for end in ends {
                    prop_assert_eq!(&scan(&segments, Address::from_bits(end)), value);
                }
            }
            let mut joined = Vec::new();
            for (run, value) in index.join(&asked) {
                prop_assert_eq!(run.start, joined.len());
                prop_assert!(!run.is_empty());
                joined.extend(run.map(|_| value));
            }
            prop_assert_eq!(&joined, &expected);
        }
    }

    #[test]
    fn what_is_kept_of_no_index_is_refused() {
        let read = |starts: &[u128], entries: &[u32]| {
            let kept = postcard::to_stdvec(&(starts, entries)).unwrap();
            postcard::from_bytes::<RangeIndex>(&kept).map(|index| index.len()).ok()
        };
        assert_eq!(read(&[0, 5, 9], &[0, 3, 0]), Some(3));
        assert_eq!(read(&[0, 9, 5], &[0, 3, 0]), None, "out of order");
        assert_eq!(read(&[0, 5], &[0, 3, 0]), None, "of another length");
        assert_eq!(read(&[1, 5], &[0, 3]), None, "an address in no stretch");
        assert_eq!(read(&[0], &[VALUE_MAX + 2]), None, "no value");
    }

    #[test]
    fn what_is_no_sorted_list_of_disjoint_ranges_is_refused() {
        let build = |segments: &[(&str, &str, u32)]| {
            let segments = segments.iter().map(|(a, b, value)| (v4(a), v4(b), *value));
            RangeIndex::build(segments).map(|index| index.len())
        };
        assert_eq!(build(&[]), Ok(1));
        assert_eq!(build(&[("1.0.0.9", "1.0.0.0", 1)]), Err(BadSegment::NoRange(0)));
        assert_eq!(build(&[("::", "1.0.0.0", 1)]), Err(BadSegment::NoRange(0)));
        let twice = [("1.0.0.0", "1.0.0.9", 1), ("1.0.0.9", "1.0.0.9", 1)];
        assert_eq!(build(&twice), Err(BadSegment::Order(1)));
        let high = [("::1", "::1", VALUE_MAX + 1)];
        assert_eq!(build(&high), Err(BadSegment::Value(0)));
        let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        assert_eq!(
            build(&[("::", last, 1), ("::", "::", 1)]),
            Err(BadSegment::Order(1))
        );
        let touching = [("1.0.0.0", "1.0.0.9", 1), ("1.0.0.10", "1.0.0.20", 1)];
        assert_eq!(build(&touching), Ok(3), "one stretch between two gaps");
    }

    #[test]
    fn a_gap_between_the_families_is_nobodys() {
        let six = (v4("::1"), v4("::fffe:ffff:ffff"), 6);
        let index = RangeIndex::build([six]).unwrap();
        assert_eq!(index.find(v4("::fffe:ffff:ffff")), Some(6));
        assert_eq!(index.find(v4("0.0.0.0")), None);
        assert_eq!(index.find(v4("255.255.255.255")), None);
        assert_eq!(index.find(v4("::1:0:0:0")), None);
    }
}

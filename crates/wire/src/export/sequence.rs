//! Sequence numbers of an exporter: what it counted and we never received.
//!
//! **Invariant:** a number is missed at most once, and only after [`LATE_DATAGRAMS`] more
//! datagrams did not bring it; the first datagram ever misses nothing.
//!
//! NetFlow v5 and v7 count flows, IPFIX counts records (RFC 7011, 3.1), NetFlow v9 counts
//! datagrams (RFC 3954, 5.1); here they are units. What is left out: telling a loss of more
//! than [`JUMP_MAX`] units from a restart.

use std::collections::VecDeque;

/// How many datagrams later a missing one may still come: networks reorder by a few.
const LATE_DATAGRAMS: u64 = 64;
/// Holes remembered at a time; the oldest is counted as missed when there are more.
const HOLES_MAX: usize = 16;
/// A jump ahead of more units than this is a restart, as is one back that fills no hole.
/// Picked by hand: an hour of a router that exports 4,600 flows a second.
const JUMP_MAX: u32 = 1 << 24;

/// The sequence of one exporter.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    next: Option<u32>,
    holes: VecDeque<Hole>,
    datagrams: u64,
    /// Restarts that were recognised.
    pub(super) restarts: u64,
}

#[derive(Debug)]
struct Hole {
    from: u32,
    length: u32,
    seen: u64,
}

impl Sequence {
    /// The number that the next datagram should bear, for a state that is kept.
    pub(super) fn next(&self) -> Option<u32> {
        self.next
    }

    /// A sequence that goes on where an earlier run ended.
    pub(super) fn resumed(next: Option<u32>) -> Self {
        Self { next, ..Self::default() }
    }

    /// A datagram that begins at `number` with so many `units`, or an unknown number of
    /// them. Returns how many units are now known to be missed.
    pub(super) fn add(&mut self, number: u32, units: Option<u32>) -> u64 {
        self.datagrams += 1;
        let after = units.map(|units| number.wrapping_add(units));
        let Some(next) = self.next else {
            self.next = after;
            return self.late();
        };
        let ahead = number.wrapping_sub(next);
        if ahead == 0 {
            self.next = after;
        } else if ahead <= JUMP_MAX {
            self.holes.push_back(Hole {
                from: next,
                length: ahead,
                seen: self.datagrams,
            });
            self.next = after;
        } else if !self.fill(number, units.unwrap_or(1)) {
            let missed = self.flush();
            self.restarts += 1;
            self.next = after;
            return missed;
        }
        self.late()
    }

    /// All holes, as missed: at the end of an input, or when the exporter restarted.
    pub(super) fn flush(&mut self) -> u64 {
        self.holes.drain(..).map(|hole| u64::from(hole.length)).sum()
    }

    /// Forgets where the sequence is: the next input begins elsewhere.
    pub(super) fn forget(&mut self) {
        self.next = None;
    }

    /// Whether a late datagram belongs into a hole; takes it out of it.
    fn fill(&mut self, number: u32, units: u32) -> bool {
        let inside = |hole: &Hole| {
            let offset = number.wrapping_sub(hole.from);
            offset < hole.length && units <= hole.length - offset
        };
        let Some(at) = self.holes.iter().position(inside) else { return false };
        let Some(hole) = self.holes.remove(at) else { return false };
        let before = number.wrapping_sub(hole.from);
        let rest = hole.length - before - units;
        if rest > 0 {
            let from = number.wrapping_add(units);
            self.holes.insert(at, Hole { from, length: rest, seen: hole.seen });
        }
        if before > 0 {
            let first = Hole { from: hole.from, length: before, seen: hole.seen };
            self.holes.insert(at, first);
        }
        true
    }

    /// The holes that nothing will fill any more.
    fn late(&mut self) -> u64 {
        let mut missed = 0;
        while let Some(hole) = self.holes.front() {
            let old = self.datagrams - hole.seen >= LATE_DATAGRAMS;
            if !old && self.holes.len() <= HOLES_MAX {
                break;
            }
            missed += u64::from(hole.length);
            self.holes.pop_front();
        }
        missed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn missed(datagrams: &[(u32, u32)]) -> (u64, u64) {
        let mut sequence = Sequence::default();
        let mut missed = 0;
        for (number, units) in datagrams {
            missed += sequence.add(*number, Some(*units));
        }
        (missed + sequence.flush(), sequence.restarts)
    }

    #[test]
    fn a_gap_is_counted_and_the_first_number_is_none() {
        assert_eq!(missed(&[(4_000_000_000, 10), (4_000_000_010, 5)]), (0, 0));
        assert_eq!(missed(&[(7, 10), (20, 5), (25, 1)]), (3, 0));
        assert_eq!(missed(&[(u32::MAX - 4, 10), (5, 10), (16, 1)]), (1, 0));
    }

    #[test]
    fn a_restart_is_no_gap() {
        assert_eq!(missed(&[(1_000_000, 30), (0, 30), (30, 30)]), (0, 1));
        assert_eq!(missed(&[(5, 30), (3_000_000_000, 30)]), (0, 1));
    }

    #[test]
    fn an_unknown_number_of_units_makes_no_gap() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.add(100, None), 0);
        assert_eq!(sequence.add(900, Some(5)), 0);
        assert_eq!(sequence.add(905, Some(5)) + sequence.flush(), 0);
    }

    proptest! {
        /// Each datagram is moved by at most three places; a few are left out.
        #[test]
        fn reordering_within_the_window_misses_only_what_is_missing(
            start: u32,
            units in prop::collection::vec((1u32..40, 0usize..4, prop::bool::weighted(0.1)), 2..200),
        ) {
            let mut number = start;
            let mut all = Vec::new();
            for (at, (units, late, lost)) in units.iter().enumerate() {
                let late = if at == 0 { 0 } else { *late };
                all.push((at + late, number, *units, *lost && at > 0));
                number = number.wrapping_add(*units);
            }
            // The last must come, else nobody knows of it.
            if let Some(last) = all.last_mut() {
                last.3 = false;
                last.0 += 8;
            }
            let expected: u64 =
                all.iter().filter(|d| d.3).map(|d| u64::from(d.2)).sum();
            all.sort_by_key(|d| d.0);
            let came: Vec<_> =
                all.iter().filter(|d| !d.3).map(|d| (d.1, d.2)).collect();
            let (missed, restarts) = missed(&came);
            prop_assert_eq!(restarts, 0);
            prop_assert_eq!(missed, expected);
        }
    }
}

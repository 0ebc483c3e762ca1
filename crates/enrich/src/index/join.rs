//! A merge of two sorted sequences: addresses, and the stretches they lie in.
//!
//! **Invariant:** the runs cover all addresses, in order, none empty.

use std::ops::Range;

use tidegauge_model::Address;

use super::RangeIndex;

/// Steps taken one by one before the distance is doubled. Picked by hand, revisit.
const STEPS: usize = 8;

/// Runs of addresses that lie in one stretch: their places, and its value.
#[derive(Clone, Debug)]
pub struct Join<'a> {
    index: &'a RangeIndex,
    addresses: &'a [Address],
    /// The first address that is not told yet.
    at: usize,
    /// The stretch of the last one told.
    stretch: usize,
}

impl<'a> Join<'a> {
    pub(super) fn new(index: &'a RangeIndex, addresses: &'a [Address]) -> Self {
        Self { index, addresses, at: 0, stretch: 0 }
    }
}

impl Iterator for Join<'_> {
    type Item = (Range<usize>, Option<u32>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.addresses.get(self.at..)?;
        let first = rest.first()?.bits();
        let starts = self.index.starts.as_slice();
        if starts.get(self.stretch).is_some_and(|start| *start > first) {
            // Out of order: the merge begins anew.
            self.stretch = 0;
        }
        let ahead = starts.get(self.stretch + 1..).unwrap_or(&[]);
        self.stretch += passed(ahead, first);
        let begin = starts.get(self.stretch).copied().unwrap_or(0);
        let length = match starts.get(self.stretch + 1) {
            None => leading(rest, |a| begin <= a),
            Some(end) => leading(rest, |a| begin <= a && a < *end),
        };
        let run = self.at..self.at + length;
        self.at = run.end;
        let entry = self.index.entries.get(self.stretch)?;
        Some((run, entry.checked_sub(1)))
    }
}

/// How many of `starts`, which are sorted, are at or before `key`: near ones are passed one
/// by one, far ones by doubling the distance.
#[inline]
fn passed(starts: &[u128], key: u128) -> usize {
    let near = starts.iter().take(STEPS).take_while(|start| **start <= key).count();
    if near < STEPS {
        return near;
    }
    let mut reach = STEPS;
    while starts.get(reach).is_some_and(|start| *start <= key) {
        reach *= 2;
    }
    let between = starts.get(reach / 2..reach.min(starts.len())).unwrap_or(&[]);
    reach / 2 + between.partition_point(|start| *start <= key)
}

/// How many addresses lead for which `holds`.
#[inline]
fn leading(addresses: &[Address], holds: impl Fn(u128) -> bool) -> usize {
    addresses.iter().take_while(|address| holds(address.bits())).count()
}

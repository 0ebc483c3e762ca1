//! A question and its answer, told in two records: one look-up.
//!
//! **Invariant:** whichever of the two comes first is the look-up; the other is not another
//! one. Memory is bounded by [`PAIRS_MAX`]: a record whose other half was forgotten counts
//! for itself, so the bound can only count too much, and only beyond it.

use std::collections::HashMap;
use std::hash::Hash;

use tidegauge_model::Instant;

/// How far apart a question and its answer may be: the longest that BIND lets a question take
/// (`resolver-query-timeout`, at most 30 s).
pub(crate) const APART_MICROS_MAX: u64 = 30_000_000;
/// Halves that wait for the other, some 150 bytes each. A resolver with 10,000 questions a
/// second that all take 6 s has that many; picked by hand, revisit.
pub const PAIRS_MAX: usize = 65_536;

/// Halves whose other half has not come.
#[derive(Debug)]
pub(crate) struct Pairs<K> {
    /// The most recent; when it is full it becomes `old`, and what `old` held is forgotten.
    young: HashMap<K, Waiting>,
    old: HashMap<K, Waiting>,
}

/// Halves of one key, all of the same kind.
#[derive(Debug)]
struct Waiting {
    answers: bool,
    count: u32,
    /// The latest of them.
    at: Instant,
}

impl<K: Eq + Hash> Pairs<K> {
    pub(crate) fn new() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }

    /// Whether this half is the first of its look-up.
    pub(crate) fn is_first(&mut self, key: K, answer: bool, at: Instant) -> bool {
        let waiting = self.young.remove(&key).or_else(|| self.old.remove(&key));
        let waiting = waiting.filter(|w| w.at.0.abs_diff(at.0) <= APART_MICROS_MAX);
        let (first, count) = match &waiting {
            Some(w) if w.answers != answer => (false, w.count - 1),
            Some(w) => (true, w.count.saturating_add(1)),
            None => (true, 1),
        };
        if count > 0 {
            let answers = if first { answer } else { !answer };
            let at = waiting.map_or(at, |w| w.at.max(at));
            if self.young.len() >= PAIRS_MAX / 2 {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(key, Waiting { answers, count, at });
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant(seconds * 1_000_000)
    }

    #[test]
    fn a_pair_is_one_whichever_comes_first() {
        let mut pairs = Pairs::new();
        assert!(pairs.is_first("a", false, at(0)));
        assert!(!pairs.is_first("a", true, at(1)));
        assert!(pairs.is_first("a", true, at(2)));
        assert!(!pairs.is_first("a", false, at(1)));
        // Asked twice, answered twice, and then answered once more.
        assert!(pairs.is_first("b", false, at(0)) && pairs.is_first("b", false, at(1)));
        assert!(!pairs.is_first("b", true, at(2)) && !pairs.is_first("b", true, at(2)));
        assert!(pairs.is_first("b", true, at(2)));
        assert!(pairs.young.len() + pairs.old.len() == 1);
    }

    #[test]
    fn what_is_too_far_apart_is_no_pair() {
        let mut pairs = Pairs::new();
        assert!(pairs.is_first("a", false, at(0)));
        assert!(pairs.is_first("a", true, at(31)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut pairs = Pairs::new();
        for key in 0..3 * PAIRS_MAX {
            assert!(pairs.is_first(key, false, at(0)));
            assert!(pairs.young.len() + pairs.old.len() <= PAIRS_MAX);
        }
        assert!(!pairs.is_first(3 * PAIRS_MAX - 1, true, at(0)), "the last is held");
        assert!(pairs.is_first(0, true, at(0)), "the first is forgotten");
    }
}

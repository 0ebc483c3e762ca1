//! Flows that both ends of a network tell.
//!
//! **Invariant:** of the reports of one flow in one batch those of the first rank count, and
//! no others, whatever the order of inputs: the ranks are learnt in the pass of names, over
//! all inputs, and asked in the pass of flows.
//!
//! Clouds log at network interfaces. What one machine sends to another of the same cloud is
//! logged at both, if both log, in files of their own. Reports are of one flow if they have
//! the same ends and begin at most [`TOGETHER_SECONDS`] to twice that apart.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;

use tidegauge_model::{Instant, Loss, Reason};

use crate::Sink;
use crate::join::{CONNS_MAX, Ends, Hashed, key};

/// The longest time over which clouds gather packets into one record: 15 minutes (Google,
/// `aggregationInterval`); of Azure it is 5, of AWS 10.
const TOGETHER_SECONDS: i64 = 15 * 60;

/// What the reports of a batch tell.
#[derive(Default)]
pub(crate) struct BothEnds {
    /// The least rank of each flow.
    ranks: HashMap<u64, u8, BuildHasherDefault<Hashed>>,
    repeated: u64,
    over: bool,
}

impl BothEnds {
    /// Learns of a report.
    pub(super) fn hear(&mut self, ends: &Ends, at: Instant, rank: u8) {
        let full = self.ranks.len() >= CONNS_MAX;
        match self.ranks.entry(key((*ends, span(at)))) {
            Entry::Occupied(mut least) => {
                if rank < *least.get() {
                    least.insert(rank);
                }
            }
            Entry::Vacant(_) if full => self.over = true,
            Entry::Vacant(free) => _ = free.insert(rank),
        }
    }

    /// Whether a report of a lower rank tells of the same flow.
    pub(super) fn repeats(&mut self, ends: &Ends, at: Instant, rank: u8) -> bool {
        let span = span(at);
        let mut near = [span, span - 1, span + 1].into_iter();
        let told = near.any(|span| {
            self.ranks.get(&key((*ends, span))).is_some_and(|least| *least < rank)
        });
        self.repeated += u64::from(told);
        told
    }

    /// How many flows were told from another end too, and left out.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Forgets all; one loss says so if more flows were told than can be remembered, and a
    /// few may count twice.
    pub(crate) fn finish(&mut self, sink: &mut dyn Sink) {
        self.ranks.clear();
        if std::mem::take(&mut self.over) {
            sink.loss(Loss::at(0, Reason::Limit));
        }
    }
}

fn span(at: Instant) -> i64 {
    at.0.div_euclid(TOGETHER_SECONDS * 1_000_000)
}

#[cfg(test)]
mod tests {
    use tidegauge_model::Protocol;

    use super::*;

    #[test]
    fn the_first_rank_counts_at_about_the_same_time() {
        let end = |text: &str, port| (text.parse().unwrap(), port);
        let ends = |port| {
            Ends::new(end("10.0.0.1", port), end("10.0.0.2", 443), Protocol::TCP)
                .unwrap()
        };
        let at =
            |minutes: i64| Instant(1_600_000_200_000_000).plus_seconds(60 * minutes);
        let mut both = BothEnds::default();
        both.hear(&ends(1), at(0), 1);
        assert!(!both.repeats(&ends(1), at(0), 1));
        both.hear(&ends(1), at(5), 0);
        for (minutes, told) in
            [(-31, false), (-5, true), (0, true), (14, true), (40, false)]
        {
            assert_eq!(both.repeats(&ends(1), at(minutes), 1), told, "{minutes}");
        }
        assert!(!both.repeats(&ends(1), at(0), 0));
        assert!(!both.repeats(&ends(2), at(0), 1));
        assert_eq!(both.repeated(), 3);
    }
}

//! Datagrams that came, and found no room before they could be decoded.
//!
//! **Invariant:** what a dropped datagram held is told once: by the gap that its number leaves
//! in the sequence of its exporter, in the unit of that exporter; or, where no gap comes, as a
//! datagram in a `limit` loss.
//!
//! So a drop waits until a gap explains it. It is told without one when [`WAIT_DATAGRAMS`] more
//! of its exporter came (it does not count, or started again), and at the end. What the
//! kernel dropped is of nobody: any gap can explain it that is larger than what is known of
//! its exporter.

use std::collections::HashMap;

use tidegauge_model::{Address, Day, Loss, Reason};

use super::domain::{Domain, Export};
use crate::Sink;

/// Datagrams of one exporter after which no gap will come: one is sure after 64 of a domain
/// (`sequence`), and few exporters have more than 16 domains. Of all, for drops of nobody,
/// 64 times as many.
const WAIT_DATAGRAMS: u64 = 16 * 64;
/// Exporters whose drops wait at a time; those of further ones are told at once.
const WAITING_MAX: usize = 4_096;

/// What waits, by who sent it.
#[derive(Default)]
pub(super) struct Dropped {
    by: HashMap<Option<Address>, Waiting>,
}

struct Waiting {
    datagrams: u64,
    /// How many more may come before it is told.
    patience: u64,
    day: Option<Day>,
}

impl Dropped {
    /// So many datagrams were dropped, of an exporter or of nobody knows whom.
    pub(super) fn add(
        &mut self,
        exporter: Option<Address>,
        datagrams: u64,
        day: Option<Day>,
        sink: &mut dyn Sink,
    ) {
        let patience = WAIT_DATAGRAMS * if exporter.is_some() { 1 } else { 64 };
        let mut new = Waiting { datagrams, patience, day };
        if let Some(waiting) = self.by.get_mut(&exporter) {
            new.datagrams += waiting.datagrams;
            *waiting = new;
        } else if self.by.len() < WAITING_MAX {
            self.by.insert(exporter, new);
        } else {
            new.tell(exporter, sink);
        }
    }

    /// A datagram of this exporter came.
    pub(super) fn heard(&mut self, exporter: Option<Address>, sink: &mut dyn Sink) {
        if self.by.is_empty() {
            return;
        }
        for of in [exporter, None] {
            let Some(waiting) = self.by.get_mut(&of) else { continue };
            waiting.patience = waiting.patience.saturating_sub(1);
            if waiting.patience == 0
                && let Some(waiting) = self.by.remove(&of)
            {
                waiting.tell(of, sink);
            }
        }
    }

    /// A gap was told: of so many units of what a domain exports.
    pub(super) fn explained(&mut self, domain: &Domain, export: Export, missed: u64) {
        if self.by.is_empty() {
            return;
        }
        let per_datagram = match export {
            Export::NetflowV9 | Export::Sflow => 1,
            Export::NetflowV5 | Export::NetflowV7 | Export::Ipfix => {
                let tally = &domain.tally;
                tally.records.checked_div(tally.datagrams).unwrap_or(1).max(1)
            }
        };
        let mut datagrams = missed.div_ceil(per_datagram);
        for of in [domain.sender, None] {
            let Some(waiting) = self.by.get_mut(&of) else { continue };
            let explained = waiting.datagrams.min(datagrams);
            waiting.datagrams -= explained;
            datagrams -= explained;
            if waiting.datagrams == 0 {
                self.by.remove(&of);
            }
        }
    }

    /// Tells all that no gap explained.
    pub(super) fn finish(&mut self, sink: &mut dyn Sink) {
        let mut all: Vec<_> = self.by.drain().collect();
        all.sort_unstable_by_key(|(exporter, _)| *exporter);
        for (exporter, waiting) in all {
            waiting.tell(exporter, sink);
        }
    }
}

impl Waiting {
    fn tell(self, exporter: Option<Address>, sink: &mut dyn Sink) {
        let (count, day) = (self.datagrams, self.day);
        sink.loss(Loss { count, exporter, day, ..Loss::at(0, Reason::Limit) });
    }
}

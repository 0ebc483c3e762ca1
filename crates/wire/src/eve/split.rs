//! `flow` and `netflow` events of the same flows in different inputs of one batch.
//!
//! **Invariant:** a flow told by both counts once, as its `flow` event tells it, whatever the
//! order of inputs. Within one input that is the work of `halves`.
//!
//! Whether there is anything to do, the first pass tells: an input with `netflow` events and
//! none of `flow`, beside one that has those. Only then the second pass holds back what
//! `netflow` events tell, until all `flow` events are read. Both write the same time for the
//! beginning of a flow.

use std::cell::Cell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

use tidegauge_model::{Flow, Loss, Reason};

use super::Kind;
use crate::Sink;
use crate::join::{CONNS_MAX, Hashed, Join, KEYS_MAX, key};

/// Which events of both types an input has.
#[derive(Default)]
pub(super) struct Kinds {
    flow: Cell<bool>,
    netflow: Cell<bool>,
}

impl Kinds {
    pub(super) fn see(&self, kind: Kind) {
        match kind {
            Kind::Flow => self.flow.set(true),
            Kind::Netflow => self.netflow.set(true),
            _ => {}
        }
    }
}

/// What a batch tells by events of both types.
#[derive(Default)]
pub(crate) struct Split {
    /// Whether an input has `flow` events, and one has nothing but `netflow` of both.
    flow: bool,
    netflow_alone: bool,
    /// Flows told by `flow` events.
    told: HashSet<u64, BuildHasherDefault<Hashed>>,
    /// What `netflow` events told, with the key of its connection.
    held: HashMap<u64, (u64, Flow)>,
    over: bool,
}

impl Split {
    /// The first pass has read an input.
    pub(super) fn input(&mut self, kinds: &Kinds) {
        self.flow |= kinds.flow.get();
        self.netflow_alone |= kinds.netflow.get() && !kinds.flow.get();
    }

    fn is_split(&self) -> bool {
        self.flow && self.netflow_alone
    }

    /// The second pass has read a `flow` event.
    pub(super) fn tell(&mut self, of: u64, flow: &Flow) {
        if !self.is_split() {
            return;
        }
        if self.told.len() < CONNS_MAX {
            self.told.insert(key((of, flow.start)));
        } else {
            self.over = true;
        }
    }

    /// The second pass has read what `netflow` events tell of a flow: it is given back if
    /// there is nothing to wait for.
    pub(super) fn hold(&mut self, of: u64, flow: Flow) -> Option<(u64, Flow)> {
        let full = self.held.len() >= KEYS_MAX;
        self.over |= full && self.is_split();
        if full || !self.is_split() {
            return Some((of, flow));
        }
        match self.held.entry(key((of, flow.start))) {
            Entry::Vacant(free) => _ = free.insert((of, flow)),
            // A half that waited too long for its other half, or what was told before.
            Entry::Occupied(mut held) => {
                let (_, before) = held.get_mut();
                if before.originator != flow.originator {
                    return Some((of, flow));
                }
                before.sent = before.sent.or(flow.sent);
                before.received = before.received.or(flow.received);
                before.end = before.end.max(flow.end);
            }
        }
        None
    }

    /// After the last input: tells what no `flow` event told; how many one did. A loss says
    /// so if more flows were told than can be remembered, and some may count twice.
    pub(crate) fn finish(&mut self, join: &mut Join, sink: &mut dyn Sink) -> u64 {
        let (told, held) =
            (std::mem::take(&mut self.told), std::mem::take(&mut self.held));
        let mut repeated = 0;
        let mut rest = Vec::with_capacity(held.len());
        for (print, flow) in held {
            if told.contains(&print) {
                repeated += 1;
            } else {
                rest.push((print, flow));
            }
        }
        rest.sort_unstable_by_key(|(print, _)| *print);
        for (_, (of, flow)) in rest {
            self.over |= join.closed(of, flow, sink).is_err();
        }
        if self.over {
            sink.loss(Loss::at(0, Reason::Limit));
        }
        *self = Self::default();
        repeated
    }
}

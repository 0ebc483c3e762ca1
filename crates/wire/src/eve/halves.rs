//! The two `netflow` events of one flow, put together; and left out where a `flow` event
//! tells the same.
//!
//! **Invariant:** no packet that Suricata counted is told twice, as long as it writes the
//! events of one flow within [`APART_MAX`] others. It writes them when the flow ends, one
//! after the other, that of the way to the server first; only other threads write between.
//! Events of both types in different inputs are the work of `split`.

use std::collections::VecDeque;

use tidegauge_model::Flow;

use crate::way;

/// How many flows may end between the events of one. Suricata has a thread or two for each
/// processor; picked by hand above that, revisit.
const APART_MAX: usize = 256;

/// Events whose other half may still come.
#[derive(Default)]
pub(super) struct Halves {
    /// Keys of the last flows told by `flow` events.
    told: VecDeque<u64>,
    /// Keys of the last flows told by two halves.
    paired: VecDeque<u64>,
    /// The first halves, oldest first.
    waiting: VecDeque<(u64, Flow)>,
}

impl Halves {
    /// A `flow` event of that key was read: whether it tells what its halves did not.
    pub(super) fn flow(&mut self, key: u64) -> bool {
        if !self.waiting.is_empty() {
            self.waiting.retain(|(of, _)| *of != key);
        }
        remember(&mut self.told, key);
        !self.paired.contains(&key)
    }

    /// A `netflow` event was read; what there is to tell now, of this flow or another.
    pub(super) fn half(&mut self, key: u64, flow: Flow) -> Option<(u64, Flow)> {
        if self.told.contains(&key) {
            return None;
        }
        let other = self.waiting.iter().position(|(of, first)| {
            // Of the way back, and told once.
            *of == key
                && first.originator == flow.responder
                && first.originator_port == flow.responder_port
        });
        if let Some((key, first)) = other.and_then(|at| self.waiting.remove(at)) {
            remember(&mut self.paired, key);
            return Some((key, both_ways(first, &flow)));
        }
        self.waiting.push_back((key, flow));
        let full = self.waiting.len() > APART_MAX;
        full.then(|| self.waiting.pop_front()).flatten().map(alone)
    }

    /// What is left at the end of an input.
    pub(super) fn rest(self) -> impl Iterator<Item = (u64, Flow)> {
        self.waiting.into_iter().map(alone)
    }
}

fn remember(keys: &mut VecDeque<u64>, key: u64) {
    if keys.len() >= APART_MAX {
        keys.pop_front();
    }
    keys.push_back(key);
}

/// The flow of the half that went to the server and the one that came back.
fn both_ways(mut there: Flow, back: &Flow) -> Flow {
    there.received = back.sent;
    there.start = there.start.min(back.start);
    there.end = there.end.max(back.end);
    let flags = there.tcp_flags.into_iter().chain(back.tcp_flags);
    there.tcp_flags = flags.reduce(|one, other| one | other);
    there
}

/// A half whose other half was not seen, of the way that ports and flags tell.
fn alone((key, mut flow): (u64, Flow)) -> (u64, Flow) {
    let ports = (flow.originator_port, flow.responder_port);
    if way::is_reply(flow.protocol, ports.0, ports.1, flow.tcp_flags) {
        std::mem::swap(&mut flow.originator, &mut flow.responder);
        std::mem::swap(&mut flow.originator_port, &mut flow.responder_port);
        std::mem::swap(&mut flow.sent, &mut flow.received);
    }
    (key, flow)
}

#[cfg(test)]
mod tests {
    use tidegauge_model::{Instant, Protocol, Volume};

    use super::*;
    use crate::join::Ends;

    fn half(from: u16, to: u16, packets: u64, flags: u8) -> Flow {
        let end = |port: u16| match port {
            443 => ("192.0.2.1".parse().unwrap(), port),
            _ => ("10.0.0.1".parse().unwrap(), port),
        };
        let ends = Ends::new(end(from), end(to), Protocol::TCP).unwrap();
        let mut flow = ends.flow(Instant(1));
        flow.sent = Some(Volume { bytes: 100 * packets, packets });
        flow.tcp_flags = Some(flags);
        flow
    }

    fn told(flow: &Flow) -> (u16, Option<u64>, Option<u64>, Option<u8>) {
        let packets = |volume: Option<Volume>| volume.map(|v| v.packets);
        (
            flow.originator_port,
            packets(flow.sent),
            packets(flow.received),
            flow.tcp_flags,
        )
    }

    #[test]
    fn the_half_that_is_told_first_opened() {
        let mut halves = Halves::default();
        // Ports alone would tell another way.
        assert_eq!(halves.half(1, half(443, 50_000, 3, 0x1a)), None);
        assert_eq!(halves.half(2, half(50_001, 443, 9, 0)), None);
        let (key, flow) = halves.half(1, half(50_000, 443, 2, 0x11)).unwrap();
        assert_eq!((key, told(&flow)), (1, (443, Some(3), Some(2), Some(0x1b))));
        let rest: Vec<_> = halves.rest().map(|(_, flow)| told(&flow)).collect();
        assert_eq!(rest, [(50_001, Some(9), None, Some(0))]);
    }

    #[test]
    fn a_half_alone_is_turned_by_its_ports() {
        let mut halves = Halves::default();
        assert_eq!(halves.half(1, half(443, 50_000, 3, 0x1a)), None);
        let rest: Vec<_> = halves.rest().map(|(_, flow)| told(&flow)).collect();
        assert_eq!(rest, [(50_000, None, Some(3), Some(0x1a))]);
    }

    #[test]
    fn a_flow_event_before_or_after_says_it_all() {
        let mut halves = Halves::default();
        assert!(halves.flow(1));
        assert_eq!(halves.half(1, half(50_000, 443, 3, 0)), None);
        assert_eq!(halves.half(2, half(50_002, 443, 3, 0)), None);
        assert!(halves.flow(2));
        assert_eq!(halves.half(2, half(443, 50_002, 3, 0)), None);
        assert_eq!(halves.half(3, half(50_003, 443, 3, 0)), None);
        assert!(halves.half(3, half(443, 50_003, 3, 0)).is_some());
        assert!(!halves.flow(3));
        assert_eq!(halves.rest().count(), 0);
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_lost() {
        let mut halves = Halves::default();
        let mut flows = 0;
        for key in 0..1_000 {
            flows += usize::from(halves.half(key, half(50_000, 443, 1, 0)).is_some());
            assert!(halves.flow(key + 1_000_000));
            assert!(halves.waiting.len() + halves.told.len() <= 2 * APART_MAX);
        }
        assert_eq!(flows + halves.rest().count(), 1_000);
    }
}

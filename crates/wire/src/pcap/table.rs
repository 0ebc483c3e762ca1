//! The flow table: packets into bidirectional flows.
//!
//! **Invariant:** a packet added is counted in exactly one flow that is handed out, by
//! [`Table::finish`] at the latest.
//!
//! A flow is all packets between two ends (address and port) of one protocol, both ways.
//! VLANs do not part flows.
//!
//! * **Its originator** is the sender of the SYN, or the receiver of the SYN with ACK. Where
//!   no opening was seen: who asked for a name (TLS hello, HTTP request, DNS question);
//!   else, for TCP, the end whose port is 1024 or above if the other's is below; else the
//!   sender of the first packet.
//! * **It ends** when nothing came for the idle time-out; when, after FINs both ways or a
//!   RST, the linger is over; or when a new SYN follows such a close or a finished handshake.
//!   Packets of the same ends after that are another flow; if it is TCP, was open both ways
//!   and goes on within [`DORMANT_SECONDS`], it keeps the originator and the name.
//! * **It is handed out in parts** when it lasts longer than the active time-out. All parts
//!   have the originator and the name of the first.
//! * **It is handed out early** when more than [`FLOWS_MAX`] are open: the one that was
//!   silent for longest.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;

use tidegauge_model::flow::tcp_flag::{ACK, FIN, RST, SYN};
use tidegauge_model::{Address, Answer, Flow, Instant, Protocol, ServerName, Volume};

use super::dialogue::{Dialogue, Heard};
use super::packet::Packet;
use super::quic;
use crate::Sink;
use crate::dns::DNS_PORT;
use crate::dns::message::{self as dns, Saying};
use crate::way::SYSTEM_PORTS;

/// Silence that ends a TCP flow: Zeek's `tcp_inactivity_timeout`.
const IDLE_TCP_SECONDS: i64 = 300;
/// Silence that ends any other flow: Zeek's `udp_inactivity_timeout` and
/// `icmp_inactivity_timeout`.
const IDLE_OTHER_SECONDS: i64 = 60;
/// How long the originator and the name of a silent TCP connection are remembered: the
/// keep-alive interval of RFC 9293, 3.8.4.
const DORMANT_SECONDS: i64 = 7200;
/// How long after its close a TCP flow takes late packets: Zeek's `tcp_close_delay`.
const LINGER_SECONDS: i64 = 5;
/// How long a part of a flow lasts at most: the active time-out that Cisco's exporters come
/// with.
const ACTIVE_SECONDS: i64 = 1800;
/// Open flows at a time. Picked by hand: about 400 bytes each without buffers, and more than
/// a gigabit link has within the idle time-out.
const FLOWS_MAX: usize = 1 << 18;
/// Bytes of unfinished messages held for all flows together. Beyond it the buffers of the
/// flow at hand are dropped, which costs at most its name.
const HELD_BYTES_MAX: usize = 256 << 20;
/// Names of one flow that are remembered as told. A resolver that asks from one port has
/// more; it then tells some of them again.
const NAMES_MAX: usize = 4096;

/// Queues of entries by what they wait for, and the seconds until it comes.
const QUEUES: [i64; 4] =
    [IDLE_TCP_SECONDS, IDLE_OTHER_SECONDS, LINGER_SECONDS, DORMANT_SECONDS];
const TCP: usize = 0;
const OTHER: usize = 1;
const CLOSED: usize = 2;
const DORMANT: usize = 3;

/// Open flows.
pub(super) struct Table {
    index: HashMap<Key, usize>,
    slots: Vec<Option<Entry>>,
    free: Vec<usize>,
    /// Who may be idle next, by [`QUEUES`], with the time of the last packet when it was put
    /// there. Every entry stands in its first, its second or, dormant, its fourth.
    queues: [VecDeque<Queued>; 4],
    opened: u64,
    flows_max: usize,
    held_bytes: usize,
    /// For the books: packets added, and packets in flows handed out.
    taken: u64,
    given: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct End {
    address: Address,
    port: u16,
}

/// The lower end first, so that both directions have the same key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    low: End,
    high: End,
    protocol: Protocol,
}

#[derive(Clone, Copy)]
struct Queued {
    slot: usize,
    opened: u64,
    last: Instant,
}

/// One of the two ends of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Low,
    High,
}

/// One value a way.
#[derive(Clone, Copy, Default)]
struct Both<T> {
    low: T,
    high: T,
}

/// An open flow.
struct Entry {
    key: Key,
    /// Which entry this was: the order in which flows are handed out at the end.
    opened: u64,
    originator: Way,
    /// Whether the originator is known and not guessed.
    certain: bool,
    start: Instant,
    end: Instant,
    /// Sent by each end.
    volumes: Both<Volume>,
    tcp_flags: Option<u8>,
    fin: Both<bool>,
    life: Life,
    /// Sequence number of the SYN, and whether it was answered.
    syn: Option<u32>,
    answered: bool,
    name: Option<ServerName>,
    /// Hosts told of already.
    told: BTreeSet<Arc<str>>,
    dialogue: Option<Box<Dialogue>>,
    initials: Option<Box<quic::Initials>>,
}

/// Where an entry is in its life.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Open,
    /// FINs both ways or a RST were seen.
    Closed,
    /// Handed out for its silence; nothing was counted since.
    Dormant,
}

/// What a packet is to an entry with its key.
enum Relation {
    /// It belongs to it.
    Same,
    /// It belongs to it, in a new part.
    Part,
    /// It begins another flow.
    Other,
}

impl Table {
    pub(super) fn new() -> Self {
        Self::with_room(FLOWS_MAX)
    }

    fn with_room(flows_max: usize) -> Self {
        Self {
            index: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            queues: [const { VecDeque::new() }; 4],
            opened: 0,
            flows_max,
            held_bytes: 0,
            taken: 0,
            given: 0,
        }
    }

    /// Counts a packet in its flow; hands out flows that ended before.
    pub(super) fn add(
        &mut self,
        at: Instant,
        packet: &Packet<'_>,
        sink: &mut dyn Sink,
    ) {
        self.taken += 1;
        self.expire(at, sink);
        let (key, way) = Key::of(packet);
        let slot = self.slot_for(key, way, at, packet, sink);
        let Some(entry) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            debug_assert!(false, "a slot just found is taken");
            return;
        };
        let before = entry.life;
        entry.count(way, at, packet);
        let held_before = entry.held();
        for heard in entry.hear(way, packet) {
            entry.learn(heard, way, at, sink);
        }
        self.held_bytes = (self.held_bytes + entry.held()).saturating_sub(held_before);
        if self.held_bytes > HELD_BYTES_MAX && entry.held() > 0 {
            self.held_bytes = self.held_bytes.saturating_sub(entry.held());
            (entry.dialogue, entry.initials) = (None, None);
        }
        if entry.life == Life::Closed && before != Life::Closed {
            let queued = entry.queued(slot);
            self.push(CLOSED, queued);
        }
    }

    /// Hands out all flows that are open, in the order they were opened.
    pub(super) fn finish(mut self, sink: &mut dyn Sink) {
        let mut rest: Vec<Entry> = self.slots.drain(..).flatten().collect();
        rest.sort_unstable_by_key(|entry| entry.opened);
        for entry in rest {
            self.given += entry.give(sink);
        }
        debug_assert_eq!(self.taken, self.given, "the books close");
    }

    /// The slot of the entry that the packet is to be counted in, new or not.
    fn slot_for(
        &mut self,
        key: Key,
        way: Way,
        at: Instant,
        packet: &Packet<'_>,
        sink: &mut dyn Sink,
    ) -> usize {
        if let Some(&slot) = self.index.get(&key)
            && let Some(entry) = self.slots.get_mut(slot).and_then(Option::as_mut)
        {
            match entry.relation(way, at, packet) {
                Relation::Same => return slot,
                Relation::Part => {
                    self.given += entry.part(at, sink);
                    if entry.life == Life::Dormant {
                        entry.life = Life::Open;
                        let queued = entry.queued(slot);
                        self.push(TCP, queued);
                    }
                    return slot;
                }
                Relation::Other => self.close(slot, sink),
            }
        }
        while self.index.len() >= self.flows_max && self.evict(sink) {}
        self.opened += 1;
        self.insert(Entry::new(key, self.opened, way, at))
    }

    fn insert(&mut self, entry: Entry) -> usize {
        let slot = self.free.pop().unwrap_or(self.slots.len());
        self.index.insert(entry.key, slot);
        let queue = if entry.key.protocol == Protocol::TCP { TCP } else { OTHER };
        self.push(queue, entry.queued(slot));
        match self.slots.get_mut(slot) {
            Some(empty) => *empty = Some(entry),
            None => self.slots.push(Some(entry)),
        }
        slot
    }

    /// Hands out what was silent for its time-out before `at`. Amortised over packets: one
    /// packet moves an entry at most once.
    fn expire(&mut self, at: Instant, sink: &mut dyn Sink) {
        for (queue, wait) in QUEUES.into_iter().enumerate() {
            while let Some(front) = self.front(queue)
                && front.last.plus_seconds(wait) < at
            {
                self.pop(queue);
                match self.entry(queue, front).map(|entry| entry.end) {
                    Some(end) if end.plus_seconds(wait) >= at => {
                        self.push(queue, Queued { last: end, ..front });
                    }
                    Some(_) if queue == TCP => self.lay_down(front, sink),
                    Some(_) => self.close(front.slot, sink),
                    None => {}
                }
            }
        }
    }

    /// Hands out a silent TCP flow. What may go on is remembered.
    fn lay_down(&mut self, front: Queued, sink: &mut dyn Sink) {
        let Some(entry) = self.slots.get_mut(front.slot).and_then(Option::as_mut)
        else {
            return;
        };
        if !entry.may_go_on() {
            return self.close(front.slot, sink);
        }
        self.held_bytes = self.held_bytes.saturating_sub(entry.held());
        entry.hear_rest(sink);
        self.given += entry.part(entry.end, sink);
        entry.life = Life::Dormant;
        let queued = entry.queued(front.slot);
        self.push(DORMANT, queued);
    }

    /// Hands out the flow that was silent for longest, or finds on the way to it that one
    /// was not. False if none is open.
    fn evict(&mut self, sink: &mut dyn Sink) -> bool {
        let fronts = [TCP, OTHER, DORMANT];
        let fronts =
            fronts.map(|q| self.front(q).map(|front| (Reverse(front.last), q)));
        let Some((_, queue)) = fronts.into_iter().flatten().max() else { return false };
        let Some(front) = self.pop(queue) else { return false };
        match self.entry(queue, front).map(|entry| entry.end) {
            Some(end) if end != front.last => {
                self.push(queue, Queued { last: end, ..front });
            }
            Some(_) => self.close(front.slot, sink),
            None => {}
        }
        true
    }

    fn front(&self, queue: usize) -> Option<Queued> {
        self.queues.get(queue)?.front().copied()
    }

    fn pop(&mut self, queue: usize) -> Option<Queued> {
        self.queues.get_mut(queue)?.pop_front()
    }

    fn push(&mut self, queue: usize, queued: Queued) {
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.push_back(queued);
        }
    }

    /// The entry that was queued, unless it was handed out or woke up since.
    fn entry(&self, queue: usize, queued: Queued) -> Option<&Entry> {
        let entry = self.slots.get(queued.slot)?.as_ref()?;
        let dormant = entry.life == Life::Dormant;
        let same = entry.opened == queued.opened && dormant == (queue == DORMANT);
        same.then_some(entry)
    }

    fn close(&mut self, slot: usize, sink: &mut dyn Sink) {
        if let Some(entry) = self.slots.get_mut(slot).and_then(Option::take) {
            self.index.remove(&entry.key);
            self.free.push(slot);
            self.held_bytes = self.held_bytes.saturating_sub(entry.held());
            self.given += entry.give(sink);
        }
    }
}

impl Key {
    fn of(packet: &Packet<'_>) -> (Self, Way) {
        let Packet { protocol, source_port, destination_port, .. } = *packet;
        let from = End { address: packet.source, port: source_port };
        let to = End { address: packet.destination, port: destination_port };
        if from <= to {
            (Self { low: from, high: to, protocol }, Way::Low)
        } else {
            (Self { low: to, high: from, protocol }, Way::High)
        }
    }

    fn is_dns(&self) -> bool {
        self.low.port == DNS_PORT || self.high.port == DNS_PORT
    }
}

impl Way {
    fn back(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

impl<T> Both<T> {
    fn of(&mut self, way: Way) -> &mut T {
        match way {
            Way::Low => &mut self.low,
            Way::High => &mut self.high,
        }
    }
}

/// The flags of a packet's TCP header; none if it has none.
fn flags(packet: &Packet<'_>) -> u8 {
    packet.tcp.map_or(0, |tcp| tcp.flags)
}

impl Entry {
    fn new(key: Key, opened: u64, way: Way, at: Instant) -> Self {
        Self {
            key,
            opened,
            originator: way,
            certain: false,
            start: at,
            end: at,
            volumes: Both::default(),
            tcp_flags: None,
            fin: Both::default(),
            life: Life::Open,
            syn: None,
            answered: false,
            name: None,
            told: BTreeSet::new(),
            dialogue: None,
            initials: None,
        }
    }

    fn queued(&self, slot: usize) -> Queued {
        Queued { slot, opened: self.opened, last: self.end }
    }

    fn held(&self) -> usize {
        let dialogue = self.dialogue.as_ref().map_or(0, |dialogue| dialogue.held());
        dialogue + self.initials.as_ref().map_or(0, |initials| initials.held())
    }

    fn relation(&self, way: Way, at: Instant, packet: &Packet<'_>) -> Relation {
        let opens = flags(packet) & (SYN | ACK | RST) == SYN;
        let anew = self.answered
            && way == self.originator
            && self
                .syn
                .is_some_and(|syn| packet.tcp.is_some_and(|t| t.sequence != syn));
        if opens && (self.life == Life::Closed || anew) {
            return Relation::Other;
        }
        let (idle, gone) = match self.key.protocol {
            Protocol::TCP if self.may_go_on() => (IDLE_TCP_SECONDS, DORMANT_SECONDS),
            Protocol::TCP => (IDLE_TCP_SECONDS, IDLE_TCP_SECONDS),
            _ => (IDLE_OTHER_SECONDS, IDLE_OTHER_SECONDS),
        };
        // Captures that were merged badly go back in time.
        let silent = |seconds| {
            self.end.plus_seconds(seconds) < at || at.plus_seconds(seconds) < self.start
        };
        if silent(gone) || silent(idle) && opens {
            return Relation::Other;
        }
        let lasts = self.start.plus_seconds(ACTIVE_SECONDS) < at;
        let new_part = lasts || silent(idle) || self.life == Life::Dormant;
        if new_part { Relation::Part } else { Relation::Same }
    }

    /// Whether packets after a silence are likely to be of the same connection.
    fn may_go_on(&self) -> bool {
        let both_ways = self.volumes.low.packets > 0 && self.volumes.high.packets > 0;
        match self.life {
            Life::Open => both_ways || self.answered,
            Life::Closed => false,
            Life::Dormant => true,
        }
    }

    /// Counts a packet that goes `way`, and learns from its flags.
    fn count(&mut self, way: Way, at: Instant, packet: &Packet<'_>) {
        self.start = self.start.min(at);
        self.end = self.end.max(at);
        let volume = self.volumes.of(way);
        volume.packets += 1;
        volume.bytes = volume.bytes.saturating_add(packet.bytes);
        let Some(tcp) = packet.tcp else { return };
        self.tcp_flags = Some(self.tcp_flags.unwrap_or(0) | tcp.flags);
        match tcp.flags & (SYN | ACK) {
            SYN => {
                self.opened_by(way);
                self.syn.get_or_insert(tcp.sequence);
            }
            flags if flags == SYN | ACK => {
                self.opened_by(way.back());
                self.answered = true;
            }
            _ => {}
        }
        *self.fin.of(way) |= tcp.flags & FIN != 0;
        if tcp.flags & RST != 0 || self.fin.low && self.fin.high {
            self.life = Life::Closed;
        }
    }

    /// `way` is the originator, unless another is known to be.
    fn opened_by(&mut self, way: Way) {
        if !self.certain {
            self.originator = way;
            self.certain = true;
        }
    }

    /// Hears what the payload of a packet says.
    fn hear(&mut self, way: Way, packet: &Packet<'_>) -> Vec<Heard> {
        if self.key.protocol == Protocol::UDP && self.key.is_dns() {
            return dns::read(packet.payload).map(Heard::Dns).into_iter().collect();
        }
        if self.key.protocol == Protocol::UDP {
            return self.hear_initials(way, packet.payload).into_iter().collect();
        }
        // Names are asked for by the originator; where it is a guess, either may.
        let may_ask = !self.certain || way == self.originator || self.key.is_dns();
        match packet.tcp {
            Some(tcp) if may_ask => {
                let dns = self.key.is_dns();
                let dialogue =
                    self.dialogue.get_or_insert_with(|| Box::new(Dialogue::new(dns)));
                dialogue.hear(way == Way::High, tcp, packet.payload)
            }
            _ => Vec::new(),
        }
    }

    /// Hears what a datagram says if it is one of QUIC.
    fn hear_initials(&mut self, way: Way, payload: &[u8]) -> Option<Heard> {
        let may_ask = !self.certain || way == self.originator;
        if !may_ask || !quic::begins(payload) {
            return None;
        }
        let initials = self.initials.get_or_insert_default();
        Some(match initials.hear(payload)? {
            quic::Shown::Client => Heard::Opening,
            quic::Shown::Name(name) => Heard::Name(name),
        })
    }

    /// Takes in what was heard from the sender `way`.
    fn learn(&mut self, heard: Heard, way: Way, at: Instant, sink: &mut dyn Sink) {
        match heard {
            Heard::Name(name) => self.asked(vec![name], way, at, sink),
            Heard::Opening => self.opened_by(way),
            Heard::Dns(Saying::Questions(names)) => self.asked(names, way, at, sink),
            Heard::Dns(Saying::Reply { asked, resolution }) => {
                let asker = way.back();
                self.asked(asked.into_iter().collect(), asker, at, sink);
                let Some(resolution) = resolution else { return };
                sink.answer(Answer {
                    client: self.end_at(asker).address,
                    host: resolution.host,
                    addresses: resolution.addresses,
                    ttl_seconds: resolution.ttl_seconds,
                    at,
                });
            }
        }
    }

    /// Takes in what `way` asked for.
    fn asked(
        &mut self,
        names: Vec<ServerName>,
        way: Way,
        at: Instant,
        sink: &mut dyn Sink,
    ) {
        self.opened_by(way);
        if way == self.originator {
            for name in names {
                self.tell(name, at, sink);
            }
        }
    }

    /// Takes in a name that the originator asked for: the first is the flow's, each further
    /// host a flow of its own.
    fn tell(&mut self, name: ServerName, at: Instant, sink: &mut dyn Sink) {
        if self.told.len() >= NAMES_MAX {
            self.told.clear();
        }
        if !self.told.insert(Arc::clone(&name.host)) {
            return;
        }
        if self.name.is_none() {
            self.name = Some(name);
            return;
        }
        let mut flow = self.flow();
        (flow.start, flow.end) = (at, at);
        (flow.sent, flow.received, flow.tcp_flags) = (None, None, None);
        flow.name = Some(name);
        sink.flow(flow);
    }

    fn end_at(&self, way: Way) -> End {
        match way {
            Way::Low => self.key.low,
            Way::High => self.key.high,
        }
    }

    /// The originator, or the best guess.
    fn opener(&self) -> Way {
        let is_system = |way| self.end_at(way).port < SYSTEM_PORTS;
        let (way, back) = (self.originator, self.originator.back());
        let turned = !self.certain
            && self.key.protocol == Protocol::TCP
            && is_system(way)
            && !is_system(back);
        if turned { back } else { way }
    }

    fn flow(&self) -> Flow {
        let way = self.opener();
        let (originator, responder) = (self.end_at(way), self.end_at(way.back()));
        let mut volumes = self.volumes;
        Flow {
            originator: originator.address,
            responder: responder.address,
            originator_port: originator.port,
            responder_port: responder.port,
            protocol: self.key.protocol,
            start: self.start,
            end: self.end,
            sent: Some(*volumes.of(way)),
            received: Some(*volumes.of(way.back())),
            tcp_flags: self.tcp_flags,
            sampling: NonZeroU32::MIN,
            name: self.name.clone(),
            exporter: None,
        }
    }

    fn packets(&self) -> u64 {
        self.volumes.low.packets + self.volumes.high.packets
    }

    /// Hands out what was counted until now, if anything, and goes on from `at`; returns its
    /// packets. What was a guess stays as it was guessed.
    fn part(&mut self, at: Instant, sink: &mut dyn Sink) -> u64 {
        let packets = self.packets();
        if packets > 0 {
            sink.flow(self.flow());
        }
        let opener = self.opener();
        self.opened_by(opener);
        (self.start, self.end) = (at, at);
        self.volumes = Both::default();
        self.tcp_flags = None;
        packets
    }

    /// Hears what was held back behind missing segments.
    fn hear_rest(&mut self, sink: &mut dyn Sink) {
        let heard = self.dialogue.take().map(|mut d| d.finish()).unwrap_or_default();
        for (heard, high) in heard {
            let way = if high { Way::High } else { Way::Low };
            self.learn(heard, way, self.end, sink);
        }
    }

    /// Hands out the flow, if anything was counted in it; returns its packets.
    fn give(mut self, sink: &mut dyn Sink) -> u64 {
        self.hear_rest(sink);
        let packets = self.packets();
        if packets > 0 {
            sink.flow(self.flow());
        }
        packets
    }
}

#[cfg(test)]
mod tests {
    use tidegauge_model::Loss;

    use super::*;

    /// The ports of originators, in the order in which flows were handed out.
    #[derive(Default)]
    struct Ports(Vec<u16>);

    impl Sink for Ports {
        fn flow(&mut self, flow: Flow) {
            self.0.push(flow.originator_port);
        }
        fn answer(&mut self, _: Answer) {}
        fn loss(&mut self, _: Loss) {}
    }

    fn packet(source_port: u16, protocol: Protocol) -> Packet<'static> {
        Packet {
            source: Address::from_bits(1),
            destination: Address::from_bits(2),
            source_port,
            destination_port: 80,
            protocol,
            bytes: 40,
            tcp: None,
            payload: &[],
        }
    }

    #[test]
    fn a_full_table_hands_out_the_flow_silent_for_longest() {
        let mut table = Table::with_room(3);
        let mut ports = Ports::default();
        let order = [(1, 17), (2, 6), (3, 17), (1, 17), (4, 6), (3, 17), (5, 17)];
        for (second, (port, protocol)) in (0..).zip(order) {
            let at = Instant::from_unix(second, 0);
            table.add(at, &packet(port, Protocol(protocol)), &mut ports);
        }
        assert_eq!(ports.0, [2, 1]);
        table.finish(&mut ports);
        assert_eq!(ports.0, [2, 1, 3, 4, 5]);
    }
}

//! Flow export: NetFlow, IPFIX and sFlow, datagram by datagram.
//!
//! ```text
//! datagram ─► fixed (v5, v7) ────────────────────────────┐
//!          ├► message ─► template (v9, IPFIX) ─► plan,   │
//!          │    │                               record ─┴► Flow
//!          │    └ held, until the template comes
//!          └► domain: templates, sampling, sequence ──────► Loss (gap)
//! ```
//!
//! **Invariant:** the books close. Every record of a datagram ends as one flow, as an event
//! that another record tells ([`Tally::events`]), or in a [`Loss`]. Templates and records of
//! options are neither, and are counted. A set whose template is not known is held; it is
//! decoded when the template comes, else it is one `Loss` for the whole set, for how many
//! records it has nobody can know.
//!
//! State is bounded, whatever is sent: exporters, templates, fields and held bytes each have
//! their limit here or in `domain` and `template`. What is left out: NetFlow v1 and v8, and
//! what is inside lists (RFC 6313): they are skipped whole.

mod domain;
mod dropped;
mod element;
mod file;
mod fixed;
mod message;
mod plan;
mod record;
mod sequence;
mod sets;
mod sflow;
mod state;
mod template;

use std::collections::{HashMap, HashSet};

use tidegauge_model::{Address, Day, Instant, Loss, Reason};

use self::domain::{Domain, Key};
pub use self::domain::{Export, Tally};
use self::dropped::Dropped;
use self::element::Dialect;
pub use self::file::{has_times, is_whole, read, recognise};
use self::fixed::{Datagram, Version};
use self::message::Header;
use self::record::Clock;
pub(crate) use self::record::OneWay;
use self::sets::{Losses, Reading, Room, day_of, place};
use self::sflow::Sample;
pub use self::state::State;
use crate::Sink;

/// Exporters remembered at a time. Picked by hand: more than a national network has; when
/// there are more, the eighth that was silent for longest is forgotten.
const DOMAINS_MAX: usize = 16_384;
/// The port that IANA keeps for sFlow.
pub const SFLOW_PORT: u16 = 6343;

/// The state of all exporters.
#[derive(Default)]
pub struct Exports {
    domains: HashMap<Key, Domain>,
    room: Room,
    dropped: Dropped,
    datagrams: u64,
    /// Bytes of all datagrams before, or where the message begins in its file.
    offset: u64,
}

/// What is known of one exporter.
#[derive(Clone, Copy, Debug)]
pub struct Statistics {
    /// Its address; `None` for a file of messages.
    pub exporter: Option<Address>,
    /// Its source port where that is part of the session, else 0.
    pub port: u16,
    /// What it sends.
    pub export: Export,
    /// Observation domain, source id, or engine.
    pub domain: u32,
    /// Its counters.
    pub tally: Tally,
    /// Templates known.
    pub templates: usize,
    /// Samplers announced, or 1 for a rate of the whole domain.
    pub samplers: usize,
    /// Restarts recognised by its sequence numbers.
    pub restarts: u64,
}

impl Exports {
    /// No exporters yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes one datagram. `received` is when it came: records later than a day after it
    /// are losses, and sets wait for their template from then on. Offsets of losses count
    /// the bytes of all datagrams.
    pub fn datagram(
        &mut self,
        exporter: Address,
        port: u16,
        received: Instant,
        bytes: &[u8],
        sink: &mut dyn Sink,
    ) {
        self.message(Some(exporter), port, received, bytes, sink);
    }

    /// As [`Self::datagram`], of an exporter that may not be known: a message of a file.
    pub fn message(
        &mut self,
        exporter: Option<Address>,
        port: u16,
        received: Instant,
        bytes: &[u8],
        sink: &mut dyn Sink,
    ) {
        self.datagrams += 1;
        self.dropped.heard(exporter, sink);
        match *bytes {
            [0, 5, ..] => self.fixed(Version::V5, exporter, received, bytes, sink),
            [0, 7, ..] => self.fixed(Version::V7, exporter, received, bytes, sink),
            [0, 9, ..] => {
                self.templated(Dialect::V9, (exporter, 0), received, bytes, sink);
            }
            [0, 10, ..] => {
                self.templated(Dialect::Ipfix, (exporter, port), received, bytes, sink);
            }
            [0, 0, 0, 5, ..] => self.sflow(exporter, received, bytes, sink),
            _ => sink.loss(unread(exporter, self.offset, Reason::Format)),
        }
        self.offset += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    }

    /// So many datagrams came and found no room: of an exporter, or of nobody knows whom.
    /// They are in the gap that their numbers leave, or are told as a `limit` loss, never
    /// both. To be called before the datagrams that came after them are decoded.
    pub fn dropped(
        &mut self,
        exporter: Option<Address>,
        datagrams: u64,
        received: Instant,
        sink: &mut dyn Sink,
    ) {
        self.dropped.add(exporter, datagrams, Some(received.day()), sink);
    }

    /// Gives up sets whose template did not come in time.
    pub fn expire(&mut self, now: Instant, sink: &mut dyn Sink) {
        self.room.give_up(Some(now), &mut self.domains, sink);
    }

    /// The end of an input: what its sequences miss is missed, and the next input may begin
    /// anywhere. Templates and sets that wait are kept.
    pub fn end_input(&mut self, sink: &mut dyn Sink) {
        for (key, domain) in &mut self.domains {
            let missed = domain.sequence.flush();
            domain.sequence.forget();
            gap(key, domain, missed, (self.offset, None), &mut self.dropped, sink);
        }
        self.offset = 0;
    }

    /// The end of everything: gives up all that waits.
    pub fn finish(&mut self, sink: &mut dyn Sink) {
        self.room.give_up(None, &mut self.domains, sink);
        for (key, domain) in &mut self.domains {
            let missed = domain.sequence.flush();
            gap(key, domain, missed, (self.offset, None), &mut self.dropped, sink);
        }
        self.dropped.finish(sink);
    }

    /// Datagrams received, of any kind.
    pub fn datagrams(&self) -> u64 {
        self.datagrams
    }

    /// What is known of each exporter, in a steady order.
    pub fn statistics(&self) -> Vec<Statistics> {
        let mut all: Vec<_> = self.domains.iter().collect();
        all.sort_unstable_by_key(|(key, _)| **key);
        let one = |(key, domain): (&Key, &Domain)| Statistics {
            exporter: key.exporter,
            port: key.port,
            export: key.export,
            domain: key.domain,
            tally: domain.tally,
            templates: domain.templates.len(),
            samplers: domain.sampling.samplers.len()
                + usize::from(domain.sampling.whole.is_some()),
            restarts: domain.sequence.restarts,
        };
        all.into_iter().map(one).collect()
    }

    /// NetFlow v5 and v7.
    fn fixed(
        &mut self,
        version: Version,
        exporter: Option<Address>,
        received: Instant,
        bytes: &[u8],
        sink: &mut dyn Sink,
    ) {
        let datagram = match Datagram::read(version, bytes, received) {
            Ok(datagram) => datagram,
            Err(reason) => return sink.loss(unread(exporter, self.offset, reason)),
        };
        let export = match version {
            Version::V5 => Export::NetflowV5,
            Version::V7 => Export::NetflowV7,
        };
        let key = Key { exporter, port: 0, export, domain: datagram.engine };
        self.make_room(&key, sink);
        let offset = self.offset;
        let domain = self.domains.entry(key).or_default();
        domain.heard(exporter, self.datagrams);
        let day = day_of(datagram.exported(), received);
        let mut losses = Losses::new(exporter, day);
        domain.sampling.whole = Some(datagram.sampling);
        for (at, flow) in datagram.records(exporter) {
            domain.tally.records += 1;
            match flow {
                Ok(flow) => {
                    domain.tally.flows += 1;
                    sink.flow(flow);
                }
                Err(reason) => losses.add(place(offset, at), reason, 1, sink),
            }
        }
        let missing = datagram.missing();
        domain.tally.records += missing;
        losses.add(place(offset, bytes.len()), Reason::Truncated, missing, sink);
        domain.tally.lost += losses.finish(sink);
        let missed = domain.sequence.add(datagram.sequence, Some(datagram.flows));
        gap(&key, domain, missed, (offset, day), &mut self.dropped, sink);
    }

    /// sFlow.
    fn sflow(
        &mut self,
        sender: Option<Address>,
        received: Instant,
        bytes: &[u8],
        sink: &mut dyn Sink,
    ) {
        let header = match sflow::header(bytes) {
            Ok(header) => header,
            Err(reason) => return sink.loss(unread(sender, self.offset, reason)),
        };
        // An agent that does not know its address is the sender.
        let agent = header.agent.filter(|agent| agent.is_unicast()).or(sender);
        let export = Export::Sflow;
        let key = Key { exporter: agent, port: 0, export, domain: header.sub_agent };
        self.make_room(&key, sink);
        let (offset, day) = (self.offset, Some(received.day()));
        let domain = self.domains.entry(key).or_default();
        domain.heard(sender, self.datagrams);
        let mut losses = Losses::new(agent, day);
        let tally = &mut domain.tally;
        let missing = header.samples(agent, received, &mut |sample| match sample {
            Sample::Packet(flow) => {
                tally.records += 1;
                tally.flows += 1;
                sink.flow(*flow);
            }
            Sample::Lost(reason) => {
                tally.records += 1;
                losses.add(offset, reason, 1, sink);
            }
            Sample::Other => tally.options += 1,
        });
        tally.records += missing;
        losses.add(place(offset, bytes.len()), Reason::Truncated, missing, sink);
        tally.lost += losses.finish(sink);
        let missed = domain.sequence.add(header.sequence, Some(1));
        gap(&key, domain, missed, (offset, day), &mut self.dropped, sink);
    }

    /// NetFlow v9 and IPFIX.
    fn templated(
        &mut self,
        dialect: Dialect,
        (exporter, port): (Option<Address>, u16),
        received: Instant,
        bytes: &[u8],
        sink: &mut dyn Sink,
    ) {
        let header = match Header::read(dialect, bytes, received) {
            Ok(header) => header,
            Err(reason) => return sink.loss(unread(exporter, self.offset, reason)),
        };
        let export = match dialect {
            Dialect::V9 => Export::NetflowV9,
            Dialect::Ipfix => Export::Ipfix,
        };
        let key = Key { exporter, port, export, domain: header.domain };
        self.make_room(&key, sink);
        let Self { domains, room, dropped, datagrams, offset } = self;
        let domain = domains.entry(key).or_default();
        domain.heard(exporter, *datagrams);
        let day = day_of(Instant(header.clock.exported), received);
        let mut reading = Reading {
            key,
            clock: Clock { init_millis: domain.init_millis, ..header.clock },
            day,
            offset: *offset,
            defined: HashSet::new(),
            units: Some(0),
        };
        room.sets(&mut reading, domain, &header, bytes, sink);
        if domain.tally.held > 0 && !reading.defined.is_empty() {
            room.release(&reading, domain, sink);
        }
        let units = match dialect {
            Dialect::V9 => Some(1),
            Dialect::Ipfix => reading.units,
        };
        let missed = domain.sequence.add(header.sequence, units);
        gap(&key, domain, missed, (*offset, day), dropped, sink);
    }

    /// Forgets those that were silent for longest, if a new exporter finds no room.
    fn make_room(&mut self, key: &Key, sink: &mut dyn Sink) {
        if self.domains.len() < DOMAINS_MAX || self.domains.contains_key(key) {
            return;
        }
        let mut heard: Vec<_> = self.domains.values().map(|d| d.last).collect();
        heard.sort_unstable();
        let limit = heard.get(DOMAINS_MAX / 8).copied().unwrap_or(u64::MAX);
        let (offset, room, dropped) = (self.offset, &mut self.room, &mut self.dropped);
        self.domains.retain(|key, domain| {
            let kept = domain.last >= limit;
            if !kept {
                room.fields -= domain.fields();
                let missed = domain.sequence.flush();
                gap(key, domain, missed, (offset, None), dropped, sink);
            }
            kept
        });
    }
}

/// Tells of a gap in a sequence.
fn gap(
    key: &Key,
    domain: &mut Domain,
    missed: u64,
    (offset, day): (u64, Option<Day>),
    dropped: &mut Dropped,
    sink: &mut dyn Sink,
) {
    if missed == 0 {
        return;
    }
    domain.tally.missed += missed;
    dropped.explained(domain, key.export, missed);
    sink.loss(Loss {
        offset,
        line: None,
        reason: Reason::Gap,
        day,
        count: missed,
        exporter: key.exporter,
    });
}

/// One message that is not read further.
fn unread(exporter: Option<Address>, offset: u64, reason: Reason) -> Loss {
    Loss { exporter, ..Loss::at(offset, reason) }
}

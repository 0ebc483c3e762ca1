//! The sets of a message of NetFlow v9 or IPFIX, and those that wait for their template.
//!
//! **Invariant:** what waits is bounded over all exporters, and each set that waits is
//! decoded once or given up once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tidegauge_model::{Address, Day, Instant, Loss, Reason};

use super::domain::{Domain, Key};
use super::message::{self, Header, Kind, PADDING_MAX, SET_HEADER_BYTES, Said};
use super::plan::Outside;
use super::record::{Clock, Context, Outcome, Values, assemble};
use super::template::Template;
use crate::{Sink, stamp};

/// Fields of all templates remembered: about 32 MiB with what is compiled of them, and as
/// much again if every template is a short one with a plan.
const FIELDS_MAX: isize = 1 << 20;
/// How long a set waits for its template: exporters repeat theirs every half an hour at the
/// latest, as Cisco's come.
const HELD_SECONDS: i64 = 1_800;
/// Bytes of sets that wait, of all exporters together. Picked by hand.
const HELD_BYTES_MAX: usize = 16 << 20;
/// Bytes counted for a set that waits beside its content.
const HELD_SET_BYTES: usize = 128;
/// Sets of one exporter that wait: none takes all the room.
const HELD_SETS_PER_DOMAIN_MAX: u64 = 4_096;

/// What is bounded over all exporters.
#[derive(Default)]
pub(super) struct Room {
    /// In the order in which they came.
    held: VecDeque<Held>,
    held_bytes: usize,
    /// Fields of all templates.
    pub(super) fields: isize,
}

/// A set that waits for its template.
struct Held {
    key: Key,
    template: u16,
    content: Box<[u8]>,
    clock: Clock,
    offset: u64,
}

/// A message being read.
pub(super) struct Reading {
    pub(super) key: Key,
    pub(super) clock: Clock,
    pub(super) day: Option<Day>,
    /// Where the message begins.
    pub(super) offset: u64,
    /// Templates that it defined.
    pub(super) defined: HashSet<u16>,
    /// Records that its exporter counted, if all of them are known.
    pub(super) units: Option<u32>,
}

impl Room {
    /// Whether another template may be remembered.
    pub(super) fn has_fields(&self) -> bool {
        self.fields < FIELDS_MAX
    }

    /// The sets of a message.
    pub(super) fn sets(
        &mut self,
        reading: &mut Reading,
        domain: &mut Domain,
        header: &Header,
        bytes: &[u8],
        sink: &mut dyn Sink,
    ) {
        let mut at = header.sets;
        let end = header.end.min(bytes.len());
        let mut losses = Losses::new(reading.key.exporter, reading.day);
        while let Some(rest) = bytes.get(at..end).filter(|rest| !rest.is_empty()) {
            let here = place(reading.offset, at);
            match message::set(rest) {
                Ok((id, content, length)) => {
                    self.set(reading, domain, id, content, here, sink);
                    at += length;
                }
                // Padding after the last set: some exporters send a fixed length.
                Err(_) if rest.iter().all(|b| *b == 0) => break,
                Err(reason) => {
                    reading.units = None;
                    losses.add(here, reason, 1, sink);
                    break;
                }
            }
        }
        if header.end > bytes.len() && at == bytes.len() {
            // Cut between two sets.
            reading.units = None;
            losses.add(place(reading.offset, at), Reason::Truncated, 1, sink);
        }
        if header.end < header.sets {
            losses.add(reading.offset, Reason::Length, 1, sink);
        }
        domain.tally.lost += losses.finish(sink);
    }

    fn set(
        &mut self,
        reading: &mut Reading,
        domain: &mut Domain,
        id: u16,
        content: &[u8],
        here: u64,
        sink: &mut dyn Sink,
    ) {
        let Some(dialect) = reading.key.dialect() else { return };
        let reason = match Kind::of(dialect, id) {
            Kind::Templates => self.templates(reading, domain, false, content),
            Kind::OptionsTemplates => self.templates(reading, domain, true, content),
            Kind::Reserved => Err(Reason::Value),
            Kind::Records(template) => {
                if let Some(layout) = domain.templates.get(&template).map(Arc::clone) {
                    let at = place(here, SET_HEADER_BYTES);
                    let units = records(reading, domain, &layout, content, at, sink);
                    reading.units = reading.units.and_then(|u| u.checked_add(units));
                    reading.clock.init_millis = domain.init_millis;
                    return;
                }
                reading.units = None;
                self.hold(reading, domain, template, content, here)
            }
        };
        if let Err(reason) = reason {
            domain.tally.lost += 1;
            sink.loss(Loss {
                offset: here,
                line: None,
                reason,
                day: reading.day,
                count: 1,
                exporter: reading.key.exporter,
            });
        }
    }

    /// A set of templates.
    fn templates(
        &mut self,
        reading: &mut Reading,
        domain: &mut Domain,
        options: bool,
        content: &[u8],
    ) -> Result<(), Reason> {
        let mut rest = content;
        let mut result = Ok(());
        while let Some((said, after)) = message::template(&reading.key, options, rest)?
        {
            rest = after;
            match said {
                Said::Withdrawn(id) => self.fields -= domain.withdraw(id, options),
                Said::Layout(_, None) => result = Err(Reason::Value),
                Said::Layout(_, Some(_)) if !self.has_fields() => {
                    result = Err(Reason::Limit);
                }
                Said::Layout(id, Some(template)) => match domain.define(id, template) {
                    Some(more) => {
                        self.fields += more;
                        reading.defined.insert(id);
                    }
                    None => result = Err(Reason::Limit),
                },
            }
        }
        result
    }

    /// Keeps a set until its template comes.
    fn hold(
        &mut self,
        reading: &Reading,
        domain: &mut Domain,
        template: u16,
        content: &[u8],
        offset: u64,
    ) -> Result<(), Reason> {
        let size = content.len() + HELD_SET_BYTES;
        if self.held_bytes + size > HELD_BYTES_MAX
            || domain.tally.held >= HELD_SETS_PER_DOMAIN_MAX
        {
            return Err(Reason::Template);
        }
        self.held_bytes += size;
        domain.tally.held += 1;
        self.held.push_back(Held {
            key: reading.key,
            template,
            content: content.into(),
            clock: reading.clock,
            offset,
        });
        Ok(())
    }

    /// Decodes the sets that waited for the templates just defined.
    pub(super) fn release(
        &mut self,
        reading: &Reading,
        domain: &mut Domain,
        sink: &mut dyn Sink,
    ) {
        let ready = |held: &Held| {
            held.key == reading.key && reading.defined.contains(&held.template)
        };
        let (now, later): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.held).into_iter().partition(ready);
        self.held = later;
        for held in now {
            self.held_bytes -= held.content.len() + HELD_SET_BYTES;
            domain.tally.held = domain.tally.held.saturating_sub(1);
            let Some(layout) = domain.templates.get(&held.template).map(Arc::clone)
            else {
                continue;
            };
            let reading = Reading {
                key: held.key,
                clock: held.clock,
                day: day_of(Instant(held.clock.exported), held.clock.received),
                offset: 0,
                defined: HashSet::new(),
                units: None,
            };
            let at = place(held.offset, SET_HEADER_BYTES);
            records(&reading, domain, &layout, &held.content, at, sink);
        }
    }

    /// Sets whose template did not come until `now`, or at all, are lost.
    pub(super) fn give_up(
        &mut self,
        now: Option<Instant>,
        domains: &mut HashMap<Key, Domain>,
        sink: &mut dyn Sink,
    ) {
        let late = |held: &Held| {
            now.is_none_or(|now| held.clock.received.plus_seconds(HELD_SECONDS) <= now)
        };
        while self.held.front().is_some_and(late) {
            let Some(held) = self.held.pop_front() else { return };
            self.held_bytes -= held.content.len() + HELD_SET_BYTES;
            if let Some(domain) = domains.get_mut(&held.key) {
                domain.tally.held = domain.tally.held.saturating_sub(1);
                domain.tally.lost += 1;
            }
            sink.loss(Loss {
                offset: held.offset,
                line: None,
                reason: Reason::Template,
                day: day_of(Instant(held.clock.exported), held.clock.received),
                count: 1,
                exporter: held.key.exporter,
            });
        }
    }
}

/// Decodes the records of a set. Returns how many there were.
fn records(
    reading: &Reading,
    domain: &mut Domain,
    layout: &Template,
    content: &[u8],
    offset: u64,
    sink: &mut dyn Sink,
) -> u32 {
    let Some(dialect) = reading.key.dialect() else { return 0 };
    let mut losses = Losses::new(reading.key.exporter, reading.day);
    let mut values = Values::new();
    let (mut rest, mut units) = plain(reading, domain, layout, content, sink);
    while let Some(length) = layout.read(rest, &reading.clock, &mut values) {
        units += 1;
        if layout.options {
            domain.tally.options += 1;
            domain.learn(&values);
        } else {
            domain.tally.records += 1;
            let sampling = &domain.sampling;
            let context = Context {
                dialect,
                clock: &reading.clock,
                exporter: reading.key.exporter,
                announced: &|sampler| sampling.rate(sampler),
            };
            match assemble(&values, &context) {
                Outcome::Flow(flow) => {
                    domain.tally.flows += 1;
                    sink.flow(flow);
                }
                Outcome::Event => domain.tally.events += 1,
                Outcome::Lost(reason) => {
                    let at = content.len() - rest.len();
                    losses.add(place(offset, at), reason, 1, sink);
                }
            }
        }
        rest = rest.get(length..).unwrap_or_default();
        let more = plain(reading, domain, layout, rest, sink);
        (rest, units) = (more.0, units + more.1);
    }
    if rest.len() > PADDING_MAX && rest.iter().any(|b| *b != 0) {
        let at = content.len() - rest.len();
        domain.tally.records += 1;
        losses.add(place(offset, at), Reason::Length, 1, sink);
    }
    domain.tally.lost += losses.finish(sink);
    units
}

/// Decodes records as long as they are plain flows. Returns what is left of the set, and how
/// many records there were.
fn plain<'c>(
    reading: &Reading,
    domain: &mut Domain,
    layout: &Template,
    content: &'c [u8],
    sink: &mut dyn Sink,
) -> (&'c [u8], u32) {
    let Some((plan, length)) = layout.plan() else { return (content, 0) };
    let exporter = reading.key.exporter;
    let mut outside = Outside::new(&reading.clock, exporter, &domain.sampling);
    let (mut rest, mut units) = (content, 0);
    while let Some((record, after)) = rest.split_at_checked(length) {
        let Some(flow) = plan.flow(record, &mut outside) else { break };
        sink.flow(flow);
        (rest, units) = (after, units + 1);
    }
    domain.tally.records += u64::from(units);
    domain.tally.flows += u64::from(units);
    (rest, units)
}

/// Where a byte of a message is in all of the input.
pub(super) fn place(offset: u64, at: usize) -> u64 {
    offset.saturating_add(u64::try_from(at).unwrap_or(u64::MAX))
}

/// The day of a message, if its time is believed.
pub(super) fn day_of(exported: Instant, received: Instant) -> Option<Day> {
    stamp::believable(exported, received).ok().map(|()| exported.day())
}

/// Losses of one message, those of one reason in a row as one.
pub(super) struct Losses {
    exporter: Option<Address>,
    day: Option<Day>,
    last: Option<Loss>,
    records: u64,
}

impl Losses {
    pub(super) fn new(exporter: Option<Address>, day: Option<Day>) -> Self {
        Self { exporter, day, last: None, records: 0 }
    }

    pub(super) fn add(
        &mut self,
        offset: u64,
        reason: Reason,
        count: u64,
        sink: &mut dyn Sink,
    ) {
        if count == 0 {
            return;
        }
        self.records += count;
        if let Some(last) = self.last.as_mut().filter(|last| last.reason == reason) {
            last.count += count;
            return;
        }
        let (day, exporter) = (self.day, self.exporter);
        let loss = Loss { offset, line: None, reason, day, count, exporter };
        if let Some(before) = self.last.replace(loss) {
            sink.loss(before);
        }
    }

    /// Tells the last; returns how many records were lost in all.
    pub(super) fn finish(self, sink: &mut dyn Sink) -> u64 {
        if let Some(last) = self.last {
            sink.loss(last);
        }
        self.records
    }
}

//! Flow logs of Azure: of network security groups (versions 1 and 2) and of virtual networks
//! (version 4), as the blobs `PT1H.json`, or as their records one a line or in an array.
//!
//! **Invariant:** every tuple is a flow, a part of one, or one loss; the packets and bytes of
//! a tuple are in one flow. The fields are those of "Flow logging for network security
//! groups" and "Virtual network flow logs" in the documentation of Azure Network Watcher.
//!
//! A tuple is of a flow with its way back; its source opened it. A flow is told when it
//! begins (`B`, without volumes), every five minutes (`C`) and when it ends (`E`), each with
//! what came since the last tuple. Those of one flow in one input are put together, from `B`
//! to `E`: their volumes are added. A flow that is open when the input ends is told as it is
//! by then, so over two blobs of an hour each it is two flows, and no packet is in both.
//! What was denied (`D`) had nothing received. Between two machines of one network a flow is
//! logged at both: [`BothEnds`] keeps what the source's interface told (`O`).
//!
//! What is left out: the identifiers of Azure, rules, and the state of encryption: dropped
//! for want of it is `D` as well.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, BufRead};

use tidegauge_model::{Day, Flow, Instant, Loss, Protocol, Reason, Volume};

use super::both_ends::BothEnds;
use super::tuples;
use crate::Sink;
use crate::join::Ends;
use crate::lines::behind_remarks;
use crate::stamp::believable;

/// The most flows that are held open in one input, about 10 MiB. When there are more, all
/// are told as they are by then, and what follows of them makes flows of their own. Picked
/// by hand: a machine of Azure has at most 500,000 connections at a time, few have 10,000.
const OPEN_MAX: usize = 65_536;

/// Times below are seconds since 1970, others milliseconds: as the one it is the year 5138,
/// as the other 1973.
const MILLIS_MIN: u64 = 100_000_000_000;

/// What a tuple says of its flow.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// That there was one: version 1 tells no more.
    Seen,
    Denied,
    Begins,
    Continues,
    Ends,
}

/// One tuple.
struct Tuple {
    at: Instant,
    ends: Ends,
    /// Whether the interface that logs is that of the destination.
    inbound: bool,
    state: State,
    sent: Option<Volume>,
    received: Option<Volume>,
}

impl Tuple {
    /// Reads one of either log; they differ in the fields from the ninth on.
    ///
    /// ```text
    /// NSG   time, ends (4), T or U, direction, A or D, state, volumes (4)
    /// VNet  time, ends (4), number, direction, state, encryption, volumes (4)
    /// ```
    fn read(text: &str) -> Result<Self, Reason> {
        let fields: Vec<&str> = text.split(',').map(str::trim).collect();
        let (head, tail) =
            fields.split_first_chunk::<8>().ok_or(Reason::ColumnCount)?;
        let &[at, source, destination, from, to, protocol, direction, decision] = head;
        let (state, volumes) = match (protocol, decision, tail) {
            ("T" | "U", "A", []) => (State::Seen, &[][..]),
            ("T" | "U", "D", [] | [_, _, _, _, _]) => (State::Denied, &[][..]),
            ("T" | "U", "A", [state, volumes @ ..]) => (Self::state(state)?, volumes),
            ("T" | "U", _, _) => return Err(Reason::Value),
            (_, "D", [_, _, _, _, _]) => (State::Denied, &[][..]),
            (_, state, [_, volumes @ ..]) => (Self::state(state)?, volumes),
            (_, _, []) => return Err(Reason::ColumnCount),
        };
        let [sent, received] = match *volumes {
            [] if matches!(state, State::Seen | State::Denied) => [None; 2],
            [packets, bytes, packets_back, bytes_back] => {
                [volume(packets, bytes)?, volume(packets_back, bytes_back)?]
            }
            _ => return Err(Reason::ColumnCount),
        };
        let inbound = match direction {
            "I" => true,
            "O" => false,
            _ => return Err(Reason::Value),
        };
        let protocol = match protocol {
            "T" => Protocol::TCP,
            "U" => Protocol::UDP,
            number => Protocol(number.parse().map_err(|_| Reason::Value)?),
        };
        let ends = Ends::new(end(source, from)?, end(destination, to)?, protocol)?;
        let at = instant(at)?;
        Ok(Self { at, ends, inbound, state, sent, received })
    }

    fn state(text: &str) -> Result<State, Reason> {
        match text {
            "B" => Ok(State::Begins),
            "C" => Ok(State::Continues),
            "E" => Ok(State::Ends),
            _ => Err(Reason::Value),
        }
    }
}

fn end(address: &str, port: &str) -> Result<(tidegauge_model::Address, u16), Reason> {
    let port = if port.is_empty() { Ok(0) } else { port.parse() };
    let address = address.parse().map_err(|_| Reason::Value)?;
    Ok((address, port.map_err(|_| Reason::Value)?))
}

/// Nothing where either is not told, as of flows that begin.
fn volume(packets: &str, bytes: &str) -> Result<Option<Volume>, Reason> {
    if packets.is_empty() && bytes.is_empty() {
        return Ok(None);
    }
    let number = |text: &str| text.parse().map_err(|_| Reason::Value);
    Ok(Some(Volume { bytes: number(bytes)?, packets: number(packets)? }))
}

fn instant(text: &str) -> Result<Instant, Reason> {
    let number: u64 = text.parse().map_err(|_| Reason::Value)?;
    let unit = if number < MILLIS_MIN { 1_000_000 } else { 1_000 };
    let micros = number.checked_mul(unit).ok_or(Reason::Time)?;
    i64::try_from(micros).map(Instant).map_err(|_| Reason::Time)
}

/// A flow that was told in part.
struct Open {
    /// Its place among those that are open.
    order: u64,
    start: Instant,
    end: Instant,
    sent: Option<Volume>,
    received: Option<Volume>,
}

impl Open {
    fn new(order: u64, at: Instant) -> Self {
        Self { order, start: at, end: at, sent: None, received: None }
    }

    /// Adds what came since the last tuple.
    fn add(&mut self, tuple: &Tuple) {
        self.start = self.start.min(tuple.at);
        self.end = self.end.max(tuple.at);
        self.sent = sum(self.sent, tuple.sent);
        self.received = sum(self.received, tuple.received);
    }

    fn flow(self, ends: Ends) -> Flow {
        Flow {
            end: self.end,
            sent: self.sent,
            received: self.received,
            ..ends.flow(self.start)
        }
    }
}

fn sum(one: Option<Volume>, other: Option<Volume>) -> Option<Volume> {
    let Some((one, other)) = one.zip(other) else { return one.or(other) };
    Some(Volume {
        bytes: one.bytes.saturating_add(other.bytes),
        packets: one.packets.saturating_add(other.packets),
    })
}

/// What comes of an input.
enum Told {
    /// A flow with its ends, and whether the interface of the destination told it.
    Flow(Ends, bool, Flow),
    Loss(Loss),
}

/// Puts the tuples of one input together.
struct Conversations<'t> {
    open: HashMap<(Ends, bool), Open>,
    opened: u64,
    told: &'t mut dyn FnMut(Told),
}

impl Conversations<'_> {
    fn tuple(&mut self, tuple: &Tuple) {
        let (ends, seen) = (tuple.ends, tuple.ends.flow(tuple.at));
        let flow = match tuple.state {
            State::Seen => seen,
            State::Denied => Flow { received: Some(Volume::default()), ..seen },
            State::Begins | State::Continues | State::Ends => return self.part(tuple),
        };
        (self.told)(Told::Flow(ends, tuple.inbound, flow));
    }

    fn part(&mut self, tuple: &Tuple) {
        if self.open.len() >= OPEN_MAX {
            self.tell_all();
        }
        let (ends, inbound) = (tuple.ends, tuple.inbound);
        self.opened += 1;
        let new = Open::new(self.opened, tuple.at);
        let mut open = match self.open.entry((ends, inbound)) {
            Entry::Vacant(free) => free.insert_entry(new),
            Entry::Occupied(mut held) => {
                // The same ends once more: the end of what was there is in no tuple.
                if tuple.state == State::Begins {
                    let before = held.insert(new).flow(ends);
                    (self.told)(Told::Flow(ends, inbound, before));
                }
                held
            }
        };
        open.get_mut().add(tuple);
        if tuple.state == State::Ends {
            let flow = open.remove().flow(ends);
            (self.told)(Told::Flow(ends, inbound, flow));
        }
    }

    /// In the order in which they began, so that every run tells the same.
    fn tell_all(&mut self) {
        let mut all: Vec<_> = self.open.drain().collect();
        all.sort_unstable_by_key(|(_, open)| open.order);
        for ((ends, inbound), open) in all {
            (self.told)(Told::Flow(ends, inbound, open.flow(ends)));
        }
    }
}

/// Whether the head of an input is such a log: by the category of a record, or by the name
/// of its tuples.
pub(crate) fn recognise(head: &[u8]) -> bool {
    let head = behind_remarks(head);
    let json = matches!(head.first(), Some(b'{' | b'['));
    let begins = |after: &[u8], value: &[u8]| {
        let after = after.trim_ascii_start().strip_prefix(b":");
        after.is_some_and(|after| after.trim_ascii_start().starts_with(value))
    };
    let mut rest = head;
    while let Some(at) = rest.iter().position(|b| *b == b'"').filter(|_| json) {
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix(b"category\"") {
            // A cut head may end inside the name of the category.
            if [&b"\"NetworkSecurityGroupFlowEvent\""[..], b"\"FlowLogFlowEvent\""]
                .iter()
                .any(|name| begins(after, name))
            {
                return true;
            }
        } else if let Some(after) = rest.strip_prefix(b"flowTuples\"")
            && begins(after, b"[")
        {
            return true;
        }
    }
    false
}

/// The first pass: learns which end told of which flow.
pub(crate) fn names(
    both: &mut BothEnds,
    input: &mut dyn BufRead,
    latest: Instant,
) -> io::Result<()> {
    conversations(input, latest, &mut |told| {
        if let Told::Flow(ends, false, flow) = told {
            both.hear(&ends, flow.start, 0);
        }
    })
}

/// The second pass: emits flows and losses.
pub(crate) fn flows(
    both: &mut BothEnds,
    input: &mut dyn BufRead,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    conversations(input, latest, &mut |told| match told {
        Told::Flow(ends, inbound, flow) => {
            if !(inbound && both.repeats(&ends, flow.start, 1)) {
                sink.flow(flow);
            }
        }
        Told::Loss(loss) => sink.loss(loss),
    })
}

fn conversations(
    input: &mut dyn BufRead,
    latest: Instant,
    told: &mut dyn FnMut(Told),
) -> io::Result<()> {
    let mut all = Conversations { open: HashMap::new(), opened: 0, told };
    let mut day: Option<Day> = None;
    tuples::read(input, &mut |place, text| {
        let tuple = text.and_then(Tuple::read);
        let tuple =
            tuple.and_then(|tuple| believable(tuple.at, latest).map(|()| tuple));
        match tuple {
            Ok(tuple) => {
                day = Some(tuple.at.day());
                all.tuple(&tuple);
            }
            Err(reason) => {
                let at = Loss::at(place.offset, reason);
                (all.told)(Told::Loss(Loss { line: Some(place.line), day, ..at }));
            }
        }
    })?;
    all.tell_all();
    Ok(())
}

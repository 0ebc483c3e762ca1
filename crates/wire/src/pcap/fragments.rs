//! Fragments of IP: what flow they belong to, and what they say together.
//!
//! **Invariant:** each fragment comes out exactly once: as a packet of the flow of its first
//! fragment, or as a loss. What is held is bounded by [`HELD_BYTES_MAX`], [`PACKETS_MAX`] and
//! [`HELD_SECONDS`]; what is dropped for that, and never had its first fragment, is a loss
//! each.
//!
//! * A fragment that comes before the first is held until that comes; then it is counted at
//!   its own time. The fragment with which the whole is complete bears what the whole says:
//!   its payload, or the packet inside if it is a tunnel. The fragments before it were counted
//!   with what they showed, those of a tunnel between its ends.
//! * Where two overlap, the first stays and the second is [`Reason::Fragment`], unless it says
//!   the same again, which is a packet as any other (RFC 5722 would drop all of them; who
//!   receives them does as it likes, and a name is looked at by what came first).
//! * A protocol that has no ports is told by any fragment.
//!
//! What is left out: a fragment whose whole is again a fragment.

use std::collections::{HashMap, VecDeque};

use tidegauge_model::{Address, Instant, Protocol, Reason};

use super::packet::{Datagram, Fragment, Packet, Ports, may_have_ports, transport};
use super::pieces::{Pieces, Put};
use super::tunnel;
use crate::dns::DNS_PORT;

/// How long fragments wait for each other, from the one that came first: the reassembly
/// time-out of RFC 8200, 4.5.
const HELD_SECONDS: i64 = 60;
/// Packets of which fragments are held at a time. Picked by hand: fragments follow each other
/// within milliseconds.
const PACKETS_MAX: usize = 4096;
/// Bytes held for all of them: the limit of Linux (`ipfrag_high_thresh`).
const HELD_BYTES_MAX: usize = 4 << 20;
/// The longest whole: what the length field of IPv4 can say (RFC 791, 3.1).
const WHOLE_BYTES_MAX: usize = 65_535;

/// What came out.
pub(super) enum Arrived<'a> {
    /// A packet.
    Packet { at: Instant, packet: Packet<'a> },
    /// A fragment that belongs nowhere, or contradicts others.
    Lost { at: Instant, offset: u64, reason: Reason },
}

/// Takes what comes out.
type Each<'e> = &'e mut dyn FnMut(Arrived<'_>);

/// Fragments, by the packet that they are of.
pub(super) struct Fragments {
    held: HashMap<Key, Whole>,
    /// By when the first of each came, with the number it had.
    order: VecDeque<(Key, u64)>,
    begun: u64,
    held_bytes: usize,
}

/// What the fragments of one packet share. The protocol only for IPv4 (RFC 791, 3.2): in
/// IPv6 it may differ between them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    source: Address,
    destination: Address,
    identification: u32,
    protocol: Option<u8>,
}

/// A packet of which fragments came.
struct Whole {
    number: u64,
    /// When the first of them came.
    since: Instant,
    ports: Option<Ports>,
    pieces: Pieces,
    /// How long it is, once its end came.
    length: Option<usize>,
    /// What it begins with, once its first fragment came.
    protocol: Option<u8>,
    /// Those before the first, not counted yet.
    early: Vec<Early>,
    /// It was whole.
    complete: bool,
}

/// A fragment that waits for its first.
#[derive(Clone, Copy)]
struct Early {
    at: Instant,
    offset: u64,
    bytes: usize,
}

impl Early {
    fn lost(self) -> Arrived<'static> {
        let Self { at, offset, .. } = self;
        Arrived::Lost { at, offset, reason: Reason::Fragment }
    }
}

/// A fragment that nothing else is known of: the first tells its ports, others are of a flow
/// only if their protocol has none.
pub(super) fn alone<'a>(
    datagram: &Datagram<'a>,
    short: Reason,
) -> Result<Packet<'a>, Reason> {
    match datagram.fragment {
        Some(fragment) if fragment.offset > 0 => portless(fragment)
            .map(|ports| datagram.packet(ports))
            .ok_or(Reason::Fragment),
        _ => transport(datagram, short),
    }
}

/// The ports of a protocol that has none.
fn portless(fragment: Fragment<'_>) -> Option<Ports> {
    let protocol = Protocol(fragment.protocol);
    (!may_have_ports(fragment.protocol)).then_some(Ports {
        protocol,
        source: 0,
        destination: 0,
    })
}

impl Fragments {
    /// None yet.
    pub(super) fn new() -> Self {
        let (held, order) = (HashMap::new(), VecDeque::new());
        Self { held, order, begun: 0, held_bytes: 0 }
    }

    /// Takes a fragment that came in the frame at `offset` of the input.
    pub(super) fn add(
        &mut self,
        datagram: &Datagram<'_>,
        at: Instant,
        offset: u64,
        each: Each<'_>,
    ) {
        let Some(fragment) = datagram.fragment else { return };
        self.expire(at, each);
        let key = Key::of(datagram, fragment);
        let over = |whole: &Whole| {
            // Captures that were merged badly go back in time; numbers are used again.
            at.plus_seconds(HELD_SECONDS) < whole.since
                || whole.complete && fragment.offset == 0
        };
        if self.held.get(&key).is_some_and(over) {
            self.drop(key, each);
        }
        let mut whole = match self.held.remove(&key) {
            Some(whole) => whole,
            None => self.begin(key, at),
        };
        self.held_bytes = self.held_bytes.saturating_sub(whole.held());
        whole.take(
            datagram,
            fragment,
            Early { at, offset, bytes: datagram.bytes },
            each,
        );
        self.held_bytes += whole.held();
        self.held.insert(key, whole);
        while self.held.len() > PACKETS_MAX || self.held_bytes > HELD_BYTES_MAX {
            match self.order.pop_front() {
                Some((oldest, number)) => self.drop_if(oldest, number, each),
                None => break,
            }
        }
    }

    /// The end: what waits for a first fragment is lost.
    pub(super) fn finish(mut self, each: Each<'_>) {
        while let Some((key, number)) = self.order.pop_front() {
            self.drop_if(key, number, each);
        }
        debug_assert!(self.held.is_empty() && self.held_bytes == 0, "the books close");
    }

    fn begin(&mut self, key: Key, at: Instant) -> Whole {
        self.begun += 1;
        self.order.push_back((key, self.begun));
        let whole = Whole {
            number: self.begun,
            since: at,
            ports: None,
            pieces: Pieces::default(),
            length: None,
            protocol: None,
            early: Vec::new(),
            complete: false,
        };
        self.held_bytes += whole.held();
        whole
    }

    fn expire(&mut self, at: Instant, each: Each<'_>) {
        while let Some(&(key, number)) = self.order.front() {
            let current = self.held.get(&key).filter(|whole| whole.number == number);
            if current.is_some_and(|whole| whole.since.plus_seconds(HELD_SECONDS) >= at)
            {
                break;
            }
            self.order.pop_front();
            self.drop_if(key, number, each);
        }
    }

    /// Drops the packet with this number; another with its key stays.
    fn drop_if(&mut self, key: Key, number: u64, each: Each<'_>) {
        if self.held.get(&key).is_some_and(|whole| whole.number == number) {
            self.drop(key, each);
        }
    }

    fn drop(&mut self, key: Key, each: Each<'_>) {
        let Some(whole) = self.held.remove(&key) else { return };
        self.held_bytes = self.held_bytes.saturating_sub(whole.held());
        for early in whole.early {
            each(early.lost());
        }
    }
}

impl Key {
    fn of(datagram: &Datagram<'_>, fragment: Fragment<'_>) -> Self {
        Self {
            source: datagram.source,
            destination: datagram.destination,
            identification: fragment.identification,
            protocol: datagram.source.is_v4().then_some(fragment.protocol),
        }
    }
}

impl Whole {
    /// How many bytes of memory are held.
    fn held(&self) -> usize {
        size_of::<(Key, Self)>()
            + self.pieces.held()
            + self.early.capacity() * size_of::<Early>()
    }

    /// Takes a fragment; `this` is what is known of it besides.
    fn take(
        &mut self,
        datagram: &Datagram<'_>,
        fragment: Fragment<'_>,
        this: Early,
        each: Each<'_>,
    ) {
        if !self.complete
            && let Err(reason) = self.put(fragment)
        {
            return each(Arrived::Lost { at: this.at, offset: this.offset, reason });
        }
        let at = this.at;
        let first =
            (fragment.offset == 0).then(|| transport(datagram, Reason::Snapped));
        let counted = match first {
            Some(Ok(packet)) => {
                self.protocol = Some(fragment.protocol);
                self.ports = Some(Ports {
                    protocol: packet.protocol,
                    source: packet.source_port,
                    destination: packet.destination_port,
                });
                // What TCP and DNS say is understood in any part, and the whole may never
                // come; another datagram of UDP is only understood whole.
                let ports = [packet.source_port, packet.destination_port];
                let in_part =
                    packet.protocol == Protocol::TCP || ports.contains(&DNS_PORT);
                let payload = if in_part { packet.payload } else { &[] };
                Packet { payload, ..packet }
            }
            Some(Err(reason)) => {
                return each(Arrived::Lost { at, offset: this.offset, reason });
            }
            None => {
                let portless = portless(fragment);
                let Some(ports) = self.ports.or(portless) else {
                    return self.early.push(this);
                };
                datagram.packet(ports)
            }
        };
        match self.body() {
            Some(body) => each(Arrived::Packet {
                at,
                packet: self.complete(datagram, &body).unwrap_or(counted),
            }),
            None => each(Arrived::Packet { at, packet: counted }),
        }
        let Some(ports) = self.ports else { return };
        for early in std::mem::take(&mut self.early) {
            let packet = Datagram { bytes: early.bytes, ..*datagram }.packet(ports);
            each(Arrived::Packet { at: early.at, packet });
        }
    }

    /// Puts the part in its place.
    fn put(&mut self, fragment: Fragment<'_>) -> Result<(), Reason> {
        let end = fragment.offset.saturating_add(fragment.part_length);
        if end > WHOLE_BYTES_MAX {
            // It is counted, but no whole can be made of it.
            return Ok(());
        }
        let beyond = self
            .length
            .is_some_and(|length| end > length || !fragment.more && end != length);
        if beyond {
            return Err(Reason::Fragment);
        }
        match self.pieces.put(fragment.offset, fragment.part) {
            Put::New | Put::Known => {}
            Put::Overlaps => return Err(Reason::Fragment),
            Put::Full => return Err(Reason::Limit),
        }
        if !fragment.more {
            self.length = Some(end);
        }
        Ok(())
    }

    /// What the fragments say together, if all of them came just now.
    fn body(&mut self) -> Option<Vec<u8>> {
        let body = self.pieces.whole(self.length.filter(|_| !self.complete)?)?;
        self.protocol?;
        self.complete = true;
        self.pieces = Pieces::default();
        Some(body)
    }

    /// The packet that the whole is, as long as the fragment `last` that made it so; one in a
    /// tunnel has its own length.
    fn complete<'a>(&self, last: &Datagram<'_>, body: &'a [u8]) -> Option<Packet<'a>> {
        let mut datagram = Datagram {
            source: last.source,
            destination: last.destination,
            protocol: self.protocol?,
            bytes: last.bytes,
            body,
            body_length: body.len(),
            fragment: None,
        };
        if datagram.has_extensions() {
            datagram.extensions(Reason::Length).ok()?;
        }
        let innermost = tunnel::innermost(datagram, Reason::Length);
        if innermost.fragment.is_some() {
            return None;
        }
        transport(&innermost, Reason::Length).ok()
    }
}

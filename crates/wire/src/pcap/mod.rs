//! Captures of packets, pcap and pcapng, by layer.
//!
//! ```text
//! bytes ─► file ─► link ─► packet ──► table ─────────────► Flow
//!          (frames) (Ethernet, (IPv4, IPv6, └ dialogue ─► Answer, names
//!                    VLAN, …)   TCP, UDP;     (stream, http, tls, ../dns)
//!                               tunnel,      └ quic
//!                               fragments)
//! ```
//!
//! **Invariant:** the books close. Every frame of the file ends in exactly one flow, or as
//! exactly one [`Loss`]. One more `Loss` says where the file itself could not be read on.
//!
//! What is left out: link layers other than those of `link`, tunnels other than those of
//! `tunnel` (such a tunnel is one flow between its ends).

mod dialogue;
mod file;
mod fragments;
mod http;
mod link;
mod packet;
mod pieces;
mod quic;
mod stream;
mod table;
mod tls;
mod tunnel;

use std::io::{self, BufRead};
use std::num::NonZeroU32;

use tidegauge_model::{Day, Flow, Instant, Loss, Protocol, Reason, Volume};

pub(crate) use self::file::is_pcap;
use self::file::{Frame, Frames, Piece};
use self::fragments::{Arrived, Fragments};
use self::packet::{Packet, Read};
use self::table::Table;
use crate::dns::DNS_PORT;
use crate::export::{self, Exports};
use crate::pass::{AnswersOnly, FlowsAndLosses};
use crate::way::{SYSTEM_PORTS, is_reply};
use crate::{Sink, stamp};

/// Reads a capture for what it teaches of names: hands an [`Answer`] to `sink` for each DNS
/// answer over UDP or TCP port 53 that holds an address. Flows and losses are those of
/// [`flows`], and are not told here.
///
/// `latest` is when the input was read; times over a day later are not believed. Fails only
/// if `input` does, after everything read until then was handed over.
pub fn names(
    input: &mut dyn BufRead,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let about_names = |packet: &Packet<'_>| {
        matches!(packet.protocol, Protocol::UDP | Protocol::TCP)
            && (packet.source_port == DNS_PORT || packet.destination_port == DNS_PORT)
    };
    decode(input, latest, &about_names, None, &mut AnswersOnly(sink))
}

/// Reads a capture into flows, and what could not be used into losses.
///
/// A flow is bidirectional. Bytes are those of the IP layer, as its length fields tell them,
/// so a snap length does not change them; `sent` and `received` are both known, for a capture
/// sees both ways. The rules for who is the originator and when a flow ends are in `table`.
/// A flow in which several hosts were asked for bears the first; each further one is a flow
/// of its own without volumes, at the moment of asking.
///
/// `latest` is when the input was read: a frame more than a day later, or before 1990, is a
/// loss. Fails only if `input` does, after everything read until then was handed over.
pub fn flows(
    input: &mut dyn BufRead,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let mut exports = Exports::new();
    let result = flows_and_exports(input, latest, &mut exports, sink);
    exports.finish(sink);
    result
}

/// As [`flows`], with the state of exporters of other captures: a template may be in one and
/// its records in another.
///
/// A packet of UDP, not from that of DNS, to a port above the system ports whose payload is one message of NetFlow,
/// IPFIX or sFlow by every length in it ([`export::is_whole`]) is not of the network watched, but
/// a report about it: it makes the flows that it reports, and none of its own. The port
/// alone tells nothing: collectors listen on any. But on the port of sFlow, bytes after the
/// last sample are forgiven.
pub fn flows_and_exports(
    input: &mut dyn BufRead,
    latest: Instant,
    exports: &mut Exports,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let sink = &mut FlowsAndLosses(sink);
    let result = decode(input, latest, &|_| true, Some(exports), sink);
    exports.end_input(sink);
    result
}

/// Reads all frames and gives those packets that are `wanted` to a flow table.
fn decode(
    input: &mut dyn BufRead,
    latest: Instant,
    wanted: &dyn Fn(&Packet<'_>) -> bool,
    exports: Option<&mut Exports>,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let mut frames = Frames::new(input);
    let mut fragments = Fragments::new();
    let table = Table::new();
    let mut pass = Pass { latest, wanted, exports, table, day: None, sink };
    let end = loop {
        match frames.next() {
            Ok(Some(Piece::Unreadable { offset, reason })) => {
                pass.lose(offset, pass.day, reason);
            }
            Ok(Some(Piece::Frame(frame))) => pass.frame(&frame, &mut fragments),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    fragments.finish(&mut |arrived| pass.arrived(&arrived));
    pass.table.finish(pass.sink);
    end
}

/// One reading of a capture.
struct Pass<'p> {
    latest: Instant,
    wanted: &'p dyn Fn(&Packet<'_>) -> bool,
    exports: Option<&'p mut Exports>,
    table: Table,
    /// That of the nearest good frame before.
    day: Option<Day>,
    sink: &'p mut dyn Sink,
}

impl Pass<'_> {
    fn frame(&mut self, frame: &Frame<'_>, fragments: &mut Fragments) {
        match bears(frame, self.latest) {
            Ok(Read::Packet(packet)) => self.packet(frame.at, &packet),
            Ok(Read::Fragment(datagram)) => {
                let mut each = |arrived: Arrived<'_>| self.arrived(&arrived);
                fragments.add(&datagram, frame.at, frame.offset, &mut each);
            }
            Err(reason) => self.lose(frame.offset, self.day, reason),
        }
    }

    fn arrived(&mut self, arrived: &Arrived<'_>) {
        match *arrived {
            Arrived::Packet { at, ref packet } => self.packet(at, packet),
            Arrived::Lost { at, offset, reason } => {
                self.lose(offset, Some(at.day()), reason);
            }
        }
    }

    fn packet(&mut self, at: Instant, packet: &Packet<'_>) {
        self.day = Some(at.day());
        let exports = self.exports.as_deref_mut();
        if !exported(packet, at, self.latest, exports, self.sink)
            && (self.wanted)(packet)
        {
            self.table.add(at, packet, self.sink);
        }
    }

    fn lose(&mut self, offset: u64, day: Option<Day>, reason: Reason) {
        self.sink.loss(Loss { day, ..Loss::at(offset, reason) });
    }
}

/// Whether the packet reports flows; it is decoded then.
fn exported(
    packet: &Packet<'_>,
    at: Instant,
    latest: Instant,
    exports: Option<&mut Exports>,
    sink: &mut dyn Sink,
) -> bool {
    let reports = packet.protocol == Protocol::UDP
        && packet.destination_port >= SYSTEM_PORTS
        && packet.source_port != DNS_PORT
        && (export::is_whole(packet.payload, latest)
            || (packet.destination_port == export::SFLOW_PORT
                && export::recognise(packet.payload)));
    let Some(exports) = exports.filter(|_| reports) else { return false };
    // Records of sFlow have no time but that at which they came.
    let received = if export::has_times(packet.payload) { latest } else { at };
    exports.datagram(packet.source, packet.source_port, received, packet.payload, sink);
    true
}

/// Link types of frames that come from elsewhere than a capture.
pub(crate) mod link_type {
    pub(crate) use super::link::{ETHERNET, PPP, RAW};
}

/// Reads one packet that was seen alone, of `wire_length` bytes of which `frame` begins it, as
/// a flow of its own: one way, with the name that it asks for itself, if it asks.
pub(crate) fn of_one_packet(
    link: u32,
    frame: &[u8],
    wire_length: usize,
    at: Instant,
) -> Result<Flow, Reason> {
    let cut = wire_length.saturating_sub(frame.len());
    let short = if cut > 0 { Reason::Snapped } else { Reason::Length };
    let network = link::network(link, frame, short)?;
    let length = network.len().saturating_add(cut);
    let packet = match packet::read(network, length, short)? {
        Read::Packet(packet) => packet,
        Read::Fragment(datagram) => fragments::alone(&datagram, short)?,
    };
    let name = dialogue::name_in(&packet);
    let flags = packet.tcp.map(|tcp| tcp.flags);
    let (from, to) = (packet.source_port, packet.destination_port);
    let reply = name.is_none() && is_reply(packet.protocol, from, to, flags);
    let volume = Volume { bytes: packet.bytes, packets: 1 };
    let source = (packet.source, from);
    let destination = (packet.destination, to);
    let (opener, other) =
        if reply { (destination, source) } else { (source, destination) };
    Ok(Flow {
        originator: opener.0,
        responder: other.0,
        originator_port: opener.1,
        responder_port: other.1,
        protocol: packet.protocol,
        start: at,
        end: at,
        sent: (!reply).then_some(volume),
        received: reply.then_some(volume),
        tcp_flags: flags,
        sampling: NonZeroU32::MIN,
        name,
        exporter: None,
    })
}

/// Peels a frame down to its packet.
fn bears<'a>(frame: &Frame<'a>, latest: Instant) -> Result<Read<'a>, Reason> {
    stamp::believable(frame.at, latest)?;
    let cut = frame.wire_length.saturating_sub(frame.data.len());
    let short = if cut > 0 { Reason::Snapped } else { Reason::Length };
    let network = link::network(frame.link, frame.data, short)?;
    packet::read(network, network.len().saturating_add(cut), short)
}

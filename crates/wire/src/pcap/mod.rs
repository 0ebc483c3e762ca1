//! Captures of packets, pcap and pcapng, by layer.
//!
//! ```text
//! bytes ─► file ─► link ─► packet ──► table ─────────────► Flow
//!          (frames) (Ethernet, (IPv4, IPv6, └ dialogue ─► Answer, names
//!                    VLAN, …)   TCP, UDP,     (stream, http, tls, ../dns)
//!                               fragments)
//! ```
//!
//! **Invariant:** the books close. Every frame of the file ends in exactly one flow, or as
//! exactly one [`Loss`]. One more `Loss` says where the file itself could not be read on.
//!
//! What is left out: names inside QUIC and inside tunnels (a tunnel is one flow between its
//! ends), reassembly of IP fragments (their bytes are counted, a name in a later fragment is
//! not read), and link layers other than those of `link`.

mod dialogue;
mod file;
mod http;
mod link;
mod packet;
mod stream;
mod table;
mod tls;

use std::io::{self, BufRead};

use tidegauge_model::{Day, Instant, Loss, Protocol, Reason};

use self::file::{Frame, Frames, Piece};
use self::packet::{Fragments, Packet};
use self::table::Table;
use crate::dns::DNS_PORT;
use crate::export::{self, Exports};
use crate::pass::{AnswersOnly, FlowsAndLosses};
use crate::way::SYSTEM_PORTS;
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
/// A packet of UDP to a port above the system ports whose payload is one message of NetFlow
/// or IPFIX by every length in it ([`export::is_whole`]) is not of the network watched, but
/// a report about it: it makes the flows that it reports, and none of its own. The port
/// alone tells nothing: collectors listen on any.
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
    mut exports: Option<&mut Exports>,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let mut frames = Frames::new(input);
    let mut fragments = Fragments::new();
    let mut table = Table::new();
    let mut day: Option<Day> = None;
    let end = loop {
        let (offset, reason) = match frames.next() {
            Ok(Some(Piece::Unreadable { offset, reason })) => (offset, reason),
            Ok(Some(Piece::Frame(frame))) => {
                match packet_of(&frame, latest, &mut fragments) {
                    Ok(packet) => {
                        day = Some(frame.at.day());
                        if exported(&packet, latest, exports.as_deref_mut(), sink) {
                            continue;
                        }
                        if wanted(&packet) {
                            table.add(frame.at, &packet, sink);
                        }
                        continue;
                    }
                    Err(reason) => (frame.offset, reason),
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        sink.loss(Loss { offset, line: None, reason, day, count: 1, exporter: None });
    };
    table.finish(sink);
    end
}

/// Whether the packet reports flows; it is decoded then.
fn exported(
    packet: &Packet<'_>,
    latest: Instant,
    exports: Option<&mut Exports>,
    sink: &mut dyn Sink,
) -> bool {
    let reports = packet.protocol == Protocol::UDP
        && packet.destination_port >= SYSTEM_PORTS
        && export::is_whole(packet.payload, latest);
    let Some(exports) = exports.filter(|_| reports) else { return false };
    exports.datagram(packet.source, packet.source_port, latest, packet.payload, sink);
    true
}

/// Peels a frame down to its packet.
fn packet_of<'a>(
    frame: &Frame<'a>,
    latest: Instant,
    fragments: &mut Fragments,
) -> Result<Packet<'a>, Reason> {
    stamp::believable(frame.at, latest)?;
    let cut = frame.wire_length.saturating_sub(frame.data.len());
    let short = if cut > 0 { Reason::Snapped } else { Reason::Length };
    let network = link::network(frame.link, frame.data, short)?;
    packet::read(network, network.len().saturating_add(cut), short, frame.at, fragments)
}

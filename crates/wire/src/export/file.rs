//! Files of messages, one after another as they were received: NetFlow v5, v7, v9, IPFIX
//! (RFC 5655), and sFlow.
//!
//! **Invariant:** every byte belongs to a message or to a [`Loss`]. After damage, reading
//! goes on at the next bytes that look like a message.
//!
//! A message of NetFlow v9 does not say how long it is: it ends where the next two bytes are
//! a version and not the id of a set, for ids 2 to 255 are reserved (RFC 3954, 5.2). The
//! exporter of such a file is not known; all messages of it, and of other such files of one
//! batch, are taken to be of one.

use std::io::{self, BufRead};

use tidegauge_model::{Instant, Loss, Reason};

use super::fixed::{self, Version};
use super::message::{DATA_SETS, SET_HEADER_BYTES};
use super::{Exports, sflow};
use crate::{Sink, stamp};

/// The longest message, in bytes: what a length of 16 bits says, and UDP carries.
const MESSAGE_BYTES_MAX: usize = 65_535;
/// The header of NetFlow v9 (RFC 3954, 5.1).
const V9_HEADER_BYTES: usize = 20;
/// Bytes read ahead: messages, and where the next one begins.
const BUFFER_BYTES: usize = 8 * MESSAGE_BYTES_MAX;

/// Whether a payload is one message and nothing else, by every length in it, with at least
/// one record or set: the rule by which a packet of a capture is taken for an export.
pub fn is_whole(payload: &[u8], latest: Instant) -> bool {
    if let [0, 0, 0, 5, ..] = payload {
        return sflow::length(payload) == Some(payload.len());
    }
    if !plausible(payload, latest) || length(payload) != Some(payload.len()) {
        return false;
    }
    if let [0, 9, ..] = payload {
        return payload.len() >= V9_HEADER_BYTES + SET_HEADER_BYTES;
    }
    let [0, 10, ..] = payload else { return true };
    let mut at = 16;
    while let Some(&[_, _, l0, l1, ..]) = payload.get(at..) {
        at += usize::from(u16::from_be_bytes([l0, l1])).max(1);
    }
    at == payload.len() && at > 16
}

/// Whether the records of a message bear times of their own: those of sFlow do not.
pub fn has_times(payload: &[u8]) -> bool {
    !payload.starts_with(&[0, 0, 0, 5])
}

/// Whether a file begins with an export message, by the header and the first set of it.
pub fn recognise(head: &[u8]) -> bool {
    // The clock of the machine is not known here: a time before 2100 will do.
    plausible(head, Instant::from_unix(4_102_444_800, 0))
}

/// Reads a file of messages.
///
/// `latest` is when the input was read. Fails only if `input` does.
pub fn read(
    exports: &mut Exports,
    input: &mut dyn BufRead,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    let mut buffer: Vec<u8> = Vec::new();
    let (mut start, mut position, mut ended) = (0_usize, 0_u64, false);
    let result = loop {
        if !ended && buffer.len() - start < 2 * MESSAGE_BYTES_MAX {
            buffer.drain(..start);
            start = 0;
            match fill(input, &mut buffer) {
                Ok(more) => ended = !more,
                Err(error) => break Err(error),
            }
        }
        let rest = buffer.get(start..).unwrap_or_default();
        if rest.is_empty() {
            break Ok(());
        }
        let length = match length(rest).filter(|length| *length <= MESSAGE_BYTES_MAX) {
            Some(length) if plausible(rest, latest) => {
                let message = rest.get(..length).unwrap_or(rest);
                exports.offset = position;
                exports.message(None, 0, latest, message, sink);
                message.len()
            }
            _ => {
                sink.loss(Loss::at(position, Reason::Format));
                next_message(rest, latest)
            }
        };
        start += length;
        position += u64::try_from(length).unwrap_or(u64::MAX);
    };
    exports.end_input(sink);
    result
}

/// Reads until the buffer is full; false at the end of the input.
fn fill(input: &mut dyn BufRead, buffer: &mut Vec<u8>) -> io::Result<bool> {
    while buffer.len() < BUFFER_BYTES {
        let more = match input.fill_buf() {
            Ok(more) => more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if more.is_empty() {
            return Ok(false);
        }
        let taken = more.len().min(BUFFER_BYTES - buffer.len());
        buffer.extend_from_slice(more.get(..taken).unwrap_or_default());
        input.consume(taken);
    }
    Ok(true)
}

/// How far it is to bytes that look like a message.
fn next_message(bytes: &[u8], latest: Instant) -> usize {
    let begins = |at: &usize| {
        let rest = bytes.get(*at..).unwrap_or_default();
        matches!(rest, [0, 5 | 7 | 9 | 10, ..] | [0, 0, 0, 5, ..])
            && plausible(rest, latest)
    };
    (1..bytes.len()).find(begins).unwrap_or(bytes.len())
}

/// How long the message at the start of `bytes` is; more than is there if it is cut short,
/// `None` if it is none.
fn length(bytes: &[u8]) -> Option<usize> {
    match *bytes {
        [0, 5, ..] => fixed::length(Version::V5, bytes),
        [0, 7, ..] => fixed::length(Version::V7, bytes),
        [0, 9, ..] => Some(v9_length(bytes)),
        [0, 0, 0, 5, ..] => sflow::length(bytes),
        [0, 10, high, low, ..] => {
            Some(usize::from(u16::from_be_bytes([high, low]))).filter(|l| *l >= 16)
        }
        _ => None,
    }
}

/// The header, and sets up to something that is none.
fn v9_length(bytes: &[u8]) -> usize {
    let mut at = V9_HEADER_BYTES;
    while let Some(&[i0, i1, l0, l1, ..]) = bytes.get(at..) {
        let (id, length) = (u16::from_be_bytes([i0, i1]), u16::from_be_bytes([l0, l1]));
        let length = usize::from(length);
        let is_set = matches!(id, 0 | 1 | DATA_SETS..) && length >= SET_HEADER_BYTES;
        if !is_set || at + length > MESSAGE_BYTES_MAX {
            break;
        }
        at += length;
    }
    // Zeros up to the next version are padding: some exporters send a fixed length.
    while bytes.get(at) == Some(&0) && bytes.get(at + 1).is_none_or(|next| *next == 0) {
        at += 1;
    }
    at
}

/// Whether these are the first bytes of a message: the counts fit, the time is believed, and
/// the first set, if it is there, is one.
fn plausible(bytes: &[u8], latest: Instant) -> bool {
    if let [0, 0, 0, 5, ..] = bytes {
        return sflow::length(bytes).is_some();
    }
    let &[0, version, c0, c1, a0, a1, a2, a3, b0, b1, b2, b3, n0, n1, n2, n3, ..] =
        bytes
    else {
        return false;
    };
    let count = u16::from_be_bytes([c0, c1]);
    let number = |a, b, c, d| u32::from_be_bytes([a, b, c, d]);
    let believed = |seconds: u32| {
        stamp::believable(Instant::from_unix(i64::from(seconds), 0), latest).is_ok()
    };
    let set_begins = |at: usize, templates: [u16; 2]| match bytes.get(at..) {
        Some(&[i0, i1, l0, l1, ..]) => {
            let id = u16::from_be_bytes([i0, i1]);
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            (id >= DATA_SETS || templates.contains(&id)) && length >= SET_HEADER_BYTES
        }
        _ => true,
    };
    match version {
        5 | 7 => {
            (1..=1_364).contains(&count)
                && believed(number(b0, b1, b2, b3))
                && number(n0, n1, n2, n3) < 1_000_000_000
        }
        9 => believed(number(b0, b1, b2, b3)) && set_begins(V9_HEADER_BYTES, [0, 1]),
        10 => {
            let empty = count == 16;
            count >= 16
                && believed(number(a0, a1, a2, a3))
                && (empty || set_begins(16, [2, 3]))
        }
        _ => false,
    }
}

//! Look-ups that precede the flows of a vantage, as a file of dnstap: frames (Frame
//! Streams) of protobuf messages that hold answers of DNS as they were on the wire.
//!
//! ```text
//! file:  START "protobuf:dnstap.Dnstap" | frame … | STOP
//! frame: length | Dnstap { identity, version, type, Message { … CLIENT_RESPONSE … } }
//! ```
//!
//! The encoder knows the formats from dnstap.proto, the specification of Frame Streams and
//! RFC 1035; it shares nothing with any decoder.
//!
//! **Invariant:** a look-up lies before its flow, and its client is the flow's originator.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::chance;
use crate::server::Servers;
use crate::traffic::Row;

/// What a reader of Frame Streams asks for.
const CONTENT: &[u8] = b"protobuf:dnstap.Dnstap";
/// Control frames: start, stop; field: type of content.
const START: u32 = 2;
const STOP: u32 = 3;
const CONTENT_TYPE: u32 = 1;
/// `Message.Type.CLIENT_RESPONSE`.
const CLIENT_RESPONSE: u64 = 6;
/// The resolver, in documentation space.
const RESOLVER: [u8; 4] = [192, 0, 2, 253];
/// Microseconds by which a look-up precedes its flow.
const BEFORE: i64 = 40_000;
/// Seconds that an answer holds.
const TTL: u32 = 300;

/// A file of look-ups that is being written.
pub(crate) struct Taps<'a> {
    servers: &'a Servers,
    path: PathBuf,
    out: BufWriter<File>,
}

impl<'a> Taps<'a> {
    pub(crate) fn create(servers: &'a Servers, path: &Path) -> Result<Self, Error> {
        let wrong = |source| Error::Write { path: path.to_owned(), source };
        let mut out = BufWriter::new(File::create(path).map_err(wrong)?);
        let mut start = START.to_be_bytes().to_vec();
        start.extend(CONTENT_TYPE.to_be_bytes());
        start.extend(length(CONTENT.len()));
        start.extend(CONTENT);
        control(&mut out, &start).map_err(wrong)?;
        Ok(Self { servers, path: path.to_owned(), out })
    }

    /// Appends the look-ups of flows to servers with a name.
    pub(crate) fn append(&mut self, rows: &[Row]) -> Result<(), Error> {
        for row in rows {
            let server = self.servers.at(row.server);
            let Some(name) = &server.name else { continue };
            let [.., a, b, c, d] = server.address.to_be_bytes();
            let frame = dnstap(row, name, [a, b, c, d]);
            let out = &mut self.out;
            let written = out
                .write_all(&length(frame.len()))
                .and_then(|()| out.write_all(&frame));
            let path = || self.path.clone();
            written.map_err(|source| Error::Write { path: path(), source })?;
        }
        Ok(())
    }

    /// Closes the file.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        let written =
            control(&mut self.out, &STOP.to_be_bytes()).and_then(|()| self.out.flush());
        written.map_err(|source| Error::Write { path: self.path, source })
    }
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("a frame of a few hundred bytes").to_be_bytes()
}

/// A control frame: an escape, its length, what it says.
fn control(out: &mut impl Write, says: &[u8]) -> std::io::Result<()> {
    out.write_all(&[0; 4])?;
    out.write_all(&length(says.len()))?;
    out.write_all(says)
}

fn dnstap(row: &Row, name: &str, address: [u8; 4]) -> Vec<u8> {
    let mut dnstap = Vec::new();
    bytes(&mut dnstap, 1, b"exchange");
    bytes(&mut dnstap, 2, b"synthetic");
    bytes(&mut dnstap, 14, &message(row, name, address));
    // Type: MESSAGE.
    number(&mut dnstap, 15, 1);
    dnstap
}

fn message(row: &Row, name: &str, address: [u8; 4]) -> Vec<u8> {
    let at = row.start - BEFORE;
    let seconds = at.div_euclid(1_000_000).unsigned_abs();
    let nanos =
        u32::try_from(at.rem_euclid(1_000_000) * 1_000).expect("below a second");
    let client = row.originator.to_be_bytes();
    let is_v4 = row.originator >> 32 == 0xffff;
    let mut message = Vec::new();
    number(&mut message, 1, CLIENT_RESPONSE);
    // Socket: INET or INET6, over UDP.
    number(&mut message, 2, if is_v4 { 1 } else { 2 });
    number(&mut message, 3, 1);
    bytes(&mut message, 4, if is_v4 { &client[12..] } else { &client });
    if is_v4 {
        bytes(&mut message, 5, &RESOLVER);
    }
    number(&mut message, 6, row.originator_port.into());
    number(&mut message, 7, 53);
    number(&mut message, 8, seconds);
    fixed(&mut message, 9, nanos);
    number(&mut message, 12, seconds);
    fixed(&mut message, 13, nanos);
    bytes(&mut message, 14, &answer(row, name, address));
    message
}

/// An answer with one address (RFC 1035, 4.1).
fn answer(row: &Row, name: &str, address: [u8; 4]) -> Vec<u8> {
    let mixed = chance::mix(row.start.unsigned_abs() ^ u64::from(row.originator_port));
    let [id, id2, ..] = mixed.to_be_bytes();
    // Response, recursion desired and available; one question, one answer.
    let mut packet = vec![id, id2, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(u8::try_from(label.len()).expect("a label of at most 63 bytes"));
        packet.extend(label.as_bytes());
    }
    // End of the name; A, IN.
    packet.extend([0, 0, 1, 0, 1]);
    // The name by a pointer; A, IN.
    packet.extend([0xc0, 12, 0, 1, 0, 1]);
    packet.extend(TTL.to_be_bytes());
    packet.extend([0, 4]);
    packet.extend(address);
    packet
}

/// A field of protobuf: a number.
fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

/// A field of protobuf: bytes.
fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend(value);
}

/// A field of protobuf: 32 bits, little-endian.
fn fixed(out: &mut Vec<u8>, field: u64, value: u32) {
    varint(out, field << 3 | 5);
    out.extend(value.to_le_bytes());
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("seven bits"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_of_seven_bits_the_lowest_first() {
        let mut out = Vec::new();
        number(&mut out, 1, 300);
        assert_eq!(out, [0x08, 0xac, 0x02]);
        let mut out = Vec::new();
        bytes(&mut out, 14, b"ab");
        assert_eq!(out, [0x72, 2, b'a', b'b']);
    }
}

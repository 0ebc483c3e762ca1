//! Flows as a file of IPFIX messages, as an exporter would send them (RFC 7011) and a
//! collector would keep them (RFC 5655).
//!
//! ```text
//! message: version 10 | length | export time | sequence | domain, then sets
//! sets:    templates (2), options templates (3), the sampling rate (258),
//!          flows over IPv4 (256), flows over IPv6 (257)
//! ```
//!
//! What was seen in one direction is one record, as packet samplers have it: a flow seen
//! both ways is two records. The encoder knows the format from the RFCs; it shares nothing
//! with any decoder.
//!
//! **Invariant:** a message is at most [`MESSAGE_BYTES_MAX`] long, and its sequence number
//! counts the data records before it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::server::Servers;
use crate::traffic::Row;

/// Fits into a packet of Ethernet, with room for headers.
const MESSAGE_BYTES_MAX: usize = 1_400;
/// Bytes of a message's header (RFC 7011, 3.1).
const HEADER_BYTES: usize = 16;
/// Bytes of a flow over IPv6.
const RECORD_BYTES_MAX: usize = 78;
/// Bytes of a set's header (RFC 7011, 3.3.2).
const SET_HEADER_BYTES: usize = 4;
/// The exporter's observation domain (ours).
const DOMAIN: u32 = 1;
/// The selector whose rate the options tell (ours).
const SELECTOR: u64 = 1;
/// Templates are repeated every so many messages, for who comes late.
const TEMPLATES_EVERY: u32 = 200;
const TCP: u8 = 6;
const MICROS_PER_MILLI: i64 = 1_000;
const MICROS_PER_SECOND: i64 = 1_000_000;

const TEMPLATES: u16 = 2;
const OPTIONS_TEMPLATES: u16 = 3;
const FLOWS_V4: u16 = 256;
const FLOWS_V6: u16 = 257;
const SAMPLING: u16 = 258;

/// Information elements (IANA) with their bytes, in the order of a record: start and end
/// in milliseconds, addresses, ports, protocol, flags, bytes, packets, selector.
const FIELDS_V4: [(u16, u16); 11] = [
    (152, 8),
    (153, 8),
    (8, 4),
    (12, 4),
    (7, 2),
    (11, 2),
    (4, 1),
    (6, 1),
    (1, 8),
    (2, 8),
    (302, 8),
];
const FIELDS_V6: [(u16, u16); 11] = [
    (152, 8),
    (153, 8),
    (27, 16),
    (28, 16),
    (7, 2),
    (11, 2),
    (4, 1),
    (6, 1),
    (1, 8),
    (2, 8),
    (302, 8),
];
/// Of the selector, as scope: packets taken, and left out after them (RFC 5477, 8.2).
const FIELDS_SAMPLING: [(u16, u16); 3] = [(302, 8), (305, 4), (306, 4)];

/// A file of messages that is being written.
pub(crate) struct Export<'a> {
    servers: &'a Servers,
    path: PathBuf,
    out: BufWriter<File>,
    /// The set of flows that is being filled: its template and its records.
    set: (u16, Vec<u8>),
    records: u32,
    /// Seconds since the epoch of the latest flow's end.
    exported: u32,
    sequence: u32,
    messages: u32,
    sampling: u32,
}

impl<'a> Export<'a> {
    pub(crate) fn create(servers: &'a Servers, path: &Path) -> Result<Self, Error> {
        let out = File::create(path)
            .map_err(|source| Error::Write { path: path.to_owned(), source })?;
        Ok(Self {
            servers,
            path: path.to_owned(),
            out: BufWriter::new(out),
            set: (FLOWS_V4, Vec::new()),
            records: 0,
            exported: 0,
            sequence: 0,
            messages: 0,
            sampling: 0,
        })
    }

    /// Appends flows, in the order of time.
    pub(crate) fn append(&mut self, rows: &[Row]) -> Result<(), Error> {
        let path = self.path.clone();
        let mut all = rows.iter();
        all.try_for_each(|row| self.flow(row))
            .map_err(|source| Error::Write { path, source })
    }

    /// Sends what is left and closes the file.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        let written = self.send().and_then(|()| self.out.flush());
        written.map_err(|source| Error::Write { path: self.path, source })
    }

    fn flow(&mut self, row: &Row) -> std::io::Result<()> {
        if row.sampling != self.sampling {
            self.send()?;
            self.sampling = row.sampling;
            self.announce(row)?;
        }
        let server = self.servers.at(row.server);
        let client = (row.originator, row.originator_port);
        let server = (server.address, server.port);
        if let Some(volume) = row.sent {
            self.record(row, client, server, volume)?;
        }
        if let Some(volume) = row.received {
            self.record(row, server, client, volume)?;
        }
        Ok(())
    }

    fn record(
        &mut self,
        row: &Row,
        source: (u128, u16),
        destination: (u128, u16),
        (bytes, packets): (u32, u32),
    ) -> std::io::Result<()> {
        let ends = [source.0, destination.0].map(v4);
        let template =
            if ends.iter().all(Option::is_some) { FLOWS_V4 } else { FLOWS_V6 };
        let used = HEADER_BYTES + SET_HEADER_BYTES + self.set.1.len();
        let full = used + RECORD_BYTES_MAX > MESSAGE_BYTES_MAX;
        if template != self.set.0 || full {
            self.send()?;
            self.set.0 = template;
        }
        let end = row.start + i64::from(row.duration_micros);
        let set = &mut self.set.1;
        set.extend((row.start / MICROS_PER_MILLI).to_be_bytes());
        set.extend((end / MICROS_PER_MILLI).to_be_bytes());
        for address in [source.0, destination.0] {
            match v4(address).filter(|_| template == FLOWS_V4) {
                Some(short) => set.extend(short.to_be_bytes()),
                None => set.extend(address.to_be_bytes()),
            }
        }
        set.extend(source.1.to_be_bytes());
        set.extend(destination.1.to_be_bytes());
        set.extend([TCP, row.flags]);
        set.extend(u64::from(bytes).to_be_bytes());
        set.extend(u64::from(packets).to_be_bytes());
        set.extend(SELECTOR.to_be_bytes());
        self.records += 1;
        let seconds = u32::try_from(end / MICROS_PER_SECOND + 1).unwrap_or(u32::MAX);
        self.exported = self.exported.max(seconds);
        Ok(())
    }

    /// Tells the templates and the sampling rate.
    fn announce(&mut self, first: &Row) -> std::io::Result<()> {
        let seconds =
            u32::try_from(first.start / MICROS_PER_SECOND).unwrap_or(u32::MAX);
        self.exported = self.exported.max(seconds);
        let mut rate = SELECTOR.to_be_bytes().to_vec();
        rate.extend(1u32.to_be_bytes());
        rate.extend(self.sampling.saturating_sub(1).to_be_bytes());
        let mut sets = templates();
        sets.extend(set(SAMPLING, &rate));
        self.message(&sets)?;
        self.sequence += 1;
        Ok(())
    }

    /// Sends the records that are waiting.
    fn send(&mut self) -> std::io::Result<()> {
        if self.records == 0 {
            return Ok(());
        }
        if self.messages.is_multiple_of(TEMPLATES_EVERY) {
            self.message(&templates())?;
        }
        let (template, records) = &mut self.set;
        let sets = set(*template, &std::mem::take(records));
        self.message(&sets)?;
        self.sequence = self.sequence.wrapping_add(std::mem::take(&mut self.records));
        Ok(())
    }

    fn message(&mut self, sets: &[u8]) -> std::io::Result<()> {
        self.messages += 1;
        self.out.write_all(&10u16.to_be_bytes())?;
        self.out.write_all(&length(HEADER_BYTES + sets.len()))?;
        self.out.write_all(&self.exported.to_be_bytes())?;
        self.out.write_all(&self.sequence.to_be_bytes())?;
        self.out.write_all(&DOMAIN.to_be_bytes())?;
        self.out.write_all(sets)
    }
}

/// The IPv4 form of a mapped address.
fn v4(address: u128) -> Option<u32> {
    (address >> 32 == 0xffff)
        .then(|| u32::try_from(address & 0xffff_ffff).ok())
        .flatten()
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).expect("sets of one message").to_be_bytes()
}

/// A set with its header.
fn set(id: u16, records: &[u8]) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend(length(SET_HEADER_BYTES + records.len()));
    bytes.extend(records);
    bytes
}

fn templates() -> Vec<u8> {
    let fields = |fields: &[(u16, u16)]| -> Vec<u8> {
        let of = |(id, bytes): &(u16, u16)| [id.to_be_bytes(), bytes.to_be_bytes()];
        fields.iter().flat_map(of).flatten().collect()
    };
    let template = |id: u16, list: &[(u16, u16)]| -> Vec<u8> {
        let mut bytes = id.to_be_bytes().to_vec();
        bytes.extend(length(list.len()));
        bytes.extend(fields(list));
        bytes
    };
    let flows = [template(FLOWS_V4, &FIELDS_V4), template(FLOWS_V6, &FIELDS_V6)];
    let mut options = SAMPLING.to_be_bytes().to_vec();
    options.extend(length(FIELDS_SAMPLING.len()));
    // One of the fields is the scope.
    options.extend(length(1));
    options.extend(fields(&FIELDS_SAMPLING));
    let mut sets = set(TEMPLATES, &flows.concat());
    sets.extend(set(OPTIONS_TEMPLATES, &options));
    sets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Endpoints;

    #[test]
    fn messages_end_where_they_say_and_their_numbers_count_records() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.ipfix");
        let servers = crate::server::all(&Endpoints::default()).unwrap();
        let mut export = Export::create(&servers, &path).unwrap();
        let row = |n: u32| Row {
            start: 1_712_000_000_000_000 + i64::from(n) * 1_000_000,
            duration_micros: 5_000,
            originator: if n.is_multiple_of(50) {
                0x2a0c << 112 | u128::from(n)
            } else {
                0xffff_0102_0000 | u128::from(n)
            },
            originator_port: 2000,
            server: 3,
            sent: Some((n, 1)),
            received: n.is_multiple_of(2).then_some((1400, 1)),
            flags: 0x10,
            sampling: if n < 500 { 1000 } else { 1200 },
        };
        export.append(&(0..1000).map(row).collect::<Vec<_>>()).unwrap();
        export.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let (mut rest, mut records) = (bytes.as_slice(), 0);
        while let Some(header) = rest.get(..HEADER_BYTES) {
            let number = |at: usize, n: usize| {
                header[at..at + n].iter().fold(0, |sum, b| sum << 8 | usize::from(*b))
            };
            assert_eq!((number(0, 2), number(12, 4)), (10, 1));
            assert!(number(2, 2) <= MESSAGE_BYTES_MAX);
            assert_eq!(number(8, 4), records);
            let mut sets = &rest[HEADER_BYTES..number(2, 2)];
            while let Some([id, id2, size, size2]) = sets.first_chunk() {
                let id = u16::from_be_bytes([*id, *id2]);
                let size = usize::from(u16::from_be_bytes([*size, *size2]));
                let of = |fields: &[(u16, u16)]| {
                    usize::from(fields.iter().map(|f| f.1).sum::<u16>())
                };
                let each = match id {
                    FLOWS_V4 => of(&FIELDS_V4),
                    FLOWS_V6 => of(&FIELDS_V6),
                    SAMPLING => of(&FIELDS_SAMPLING),
                    _ => usize::MAX,
                };
                if each < usize::MAX {
                    assert_eq!((size - SET_HEADER_BYTES) % each, 0);
                    records += (size - SET_HEADER_BYTES) / each;
                }
                sets = &sets[size..];
            }
            rest = &rest[number(2, 2)..];
        }
        // One record each way, and two announcements of the rate.
        assert_eq!((rest.len(), records), (0, 1502));
        let longest: u16 = FIELDS_V6.iter().map(|f| f.1).sum();
        assert_eq!(usize::from(longest), RECORD_BYTES_MAX);
    }
}

//! The file layer: pcap and pcapng into frames.
//!
//! **Invariant:** memory grows with bytes that are there, never with a length that a header
//! claims. Where lengths contradict each other, reading stops with one loss: behind such a
//! place nothing can be told apart. A frame cut by the end of the input is a loss.
//!
//! Sources: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng. Times of pcapng are worked
//! out here, because `pcap-parser` 0.17 refuses binary resolutions and reads the time offset
//! little-endian always.

use std::io::{self, BufRead};
use std::ops::Range;

use pcap_parser::{InterfaceDescriptionBlock, OptionCode};
use tidegauge_model::{Instant, Reason};

/// Longest frame believed: libpcap's `MAXIMUM_SNAPLEN`.
const FRAME_BYTES_MAX: usize = 262_144;
/// Longest pcapng block that is read: the limit of libpcap and Wireshark.
const BLOCK_BYTES_MAX: usize = 16 << 20;
/// Interfaces of one pcapng section that are remembered. Picked by hand: merged captures
/// have tens.
const INTERFACES_MAX: usize = 65_536;

/// Length of the header of a pcap file.
const PCAP_HEADER: usize = 24;
/// The same in the variant of Ixia, which adds the length of all records.
const PCAP_HEADER_IXIA: usize = 28;
/// Length of the header of a record of a pcap file.
const RECORD_HEADER: usize = 16;
/// The same in the variant of A. Kuznetzov, which adds eight bytes.
const RECORD_HEADER_MODIFIED: usize = 24;
/// Link types are the lower 26 bits, as libpcap takes them; above are check-sum flags.
const LINK_MASK: u32 = 0x03ff_ffff;

/// The kinds of pcap files, by the number that they begin with, in the byte order of the
/// machine that wrote them (libpcap's `sf-pcap.c`, Wireshark's `libpcap.c`).
const VARIANTS: [(u32, Variant); 5] = [
    (0xa1b2_c3d4, Variant::MICROSECONDS),
    (0xa1b2_3c4d, Variant { nanoseconds: true, ..Variant::MICROSECONDS }),
    // A. Kuznetzov's: interface, protocol and kind of each packet.
    (
        0xa1b2_cd34,
        Variant { record_header: RECORD_HEADER_MODIFIED, ..Variant::MICROSECONDS },
    ),
    // Ixia's, of software and of hardware.
    (0x1c00_01ab, Variant { header: PCAP_HEADER_IXIA, ..Variant::MICROSECONDS }),
    (
        0x1c00_01ac,
        Variant {
            header: PCAP_HEADER_IXIA,
            nanoseconds: true,
            ..Variant::MICROSECONDS
        },
    ),
];

#[derive(Clone, Copy)]
struct Variant {
    header: usize,
    record_header: usize,
    nanoseconds: bool,
}

impl Variant {
    /// Plain pcap.
    const MICROSECONDS: Self =
        Self { header: PCAP_HEADER, record_header: RECORD_HEADER, nanoseconds: false };
}

/// The kind of a pcap file that begins with `head`, and whether it is big-endian.
fn variant(head: &[u8]) -> Option<(Variant, bool)> {
    let magic = *head.first_chunk::<4>()?;
    [(u32::from_be_bytes(magic), true), (u32::from_le_bytes(magic), false)]
        .into_iter()
        .find_map(|(magic, big_endian)| {
            let (_, variant) = VARIANTS.iter().find(|(number, _)| *number == magic)?;
            Some((*variant, big_endian))
        })
}

/// Whether an input that begins with `head` is a pcap file.
pub(crate) fn is_pcap(head: &[u8]) -> bool {
    variant(head).is_some()
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET_OBSOLETE: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
/// Where the data of an enhanced (or obsolete) packet block begins.
const PACKET_DATA: usize = 28;
/// `if_tsresol` where an interface says nothing: microseconds.
const MICROSECONDS: u8 = 6;

/// One frame as captured.
pub(super) struct Frame<'a> {
    /// Where its record begins in the input.
    pub(super) offset: u64,
    /// Its `LINKTYPE_` number.
    pub(super) link: u32,
    /// When it was captured.
    pub(super) at: Instant,
    /// What was captured of it.
    pub(super) data: &'a [u8],
    /// How long it was on the wire; not below the length of `data`.
    pub(super) wire_length: usize,
}

/// What comes next in a file.
pub(super) enum Piece<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// Something that cannot be read.
    Unreadable { offset: u64, reason: Reason },
}

/// Reads a file piece by piece.
pub(super) struct Frames<'r> {
    input: &'r mut dyn BufRead,
    /// The record or block being read.
    block: Vec<u8>,
    /// Where `block` begins in the input.
    start: u64,
    /// How much of the input was taken.
    taken: u64,
    format: Format,
}

enum Format {
    Unknown,
    Pcap(Pcap),
    Pcapng(Section),
    Ended,
}

#[derive(Clone, Copy)]
struct Pcap {
    big_endian: bool,
    variant: Variant,
    lengths: Lengths,
    link: u32,
}

/// In which order a record tells its two lengths.
#[derive(Clone, Copy)]
enum Lengths {
    CapturedFirst,
    WireFirst,
    /// Either: what was captured is not the longer.
    Unknown,
}

impl Lengths {
    /// By the version of the file: those before 2.3 told the length on the wire first, those
    /// of 2.3 did either; so did DG/UX, whose version is 543.0 (libpcap, `pcap_check_header`).
    fn of_version(major: u16, minor: u16) -> Self {
        match (major, minor) {
            (2, ..3) | (543, 0) => Self::WireFirst,
            (2, 3) => Self::Unknown,
            _ => Self::CapturedFirst,
        }
    }
}

/// A pcapng section. An interface that cannot be read keeps its number.
struct Section {
    big_endian: bool,
    interfaces: Vec<Option<Interface>>,
}

#[derive(Clone, Copy)]
struct Interface {
    link: u32,
    resolution: u8,
    offset_seconds: i64,
}

/// What one step through the file found; a frame by its place in `block`.
enum Step {
    Frame { link: u32, at: Instant, data: Range<usize>, wire_length: u32 },
    Unreadable(Reason),
    Again,
    End,
}

impl<'r> Frames<'r> {
    /// Reads `input` from its first byte.
    pub(super) fn new(input: &'r mut dyn BufRead) -> Self {
        let (block, format) = (Vec::new(), Format::Unknown);
        Self { input, block, start: 0, taken: 0, format }
    }

    /// The next piece, or `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        let step = loop {
            self.block.clear();
            self.start = self.taken;
            match self.step()? {
                Step::Again => {}
                step => break step,
            }
        };
        let offset = self.start;
        Ok(match step {
            Step::Frame { link, at, data, wire_length } => {
                let data = self.block.get(data).unwrap_or_default();
                let wire_length = length(wire_length).max(data.len());
                Some(Piece::Frame(Frame { offset, link, at, data, wire_length }))
            }
            Step::Unreadable(reason) => Some(Piece::Unreadable { offset, reason }),
            Step::Again | Step::End => None,
        })
    }

    fn step(&mut self) -> io::Result<Step> {
        match &self.format {
            Format::Unknown => self.begin(),
            &Format::Pcap(pcap) => self.record(pcap),
            Format::Pcapng(_) => self.pcapng_block(),
            Format::Ended => Ok(Step::End),
        }
    }

    /// Nothing after this can be read.
    fn stop(&mut self, reason: Reason) -> Step {
        self.format = Format::Ended;
        Step::Unreadable(reason)
    }

    /// Lengthens `block` to `wanted` bytes; false if the input ends before.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        while let Some(missing) =
            wanted.checked_sub(self.block.len()).filter(|&m| m > 0)
        {
            let ready = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                ready => ready?,
            };
            let ready = ready.get(..missing).unwrap_or(ready);
            if ready.is_empty() {
                return Ok(false);
            }
            self.block.extend_from_slice(ready);
            let count = ready.len();
            self.input.consume(count);
            self.taken = self.taken.saturating_add(wide(count));
        }
        Ok(true)
    }

    /// Passes over `count` bytes; false if the input ends before.
    fn skip(&mut self, mut count: usize) -> io::Result<bool> {
        while count > 0 {
            let ready = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                ready => ready?.len().min(count),
            };
            if ready == 0 {
                return Ok(false);
            }
            self.input.consume(ready);
            self.taken = self.taken.saturating_add(wide(ready));
            count -= ready;
        }
        Ok(true)
    }

    /// Tells the format by its first four bytes.
    fn begin(&mut self) -> io::Result<Step> {
        if !self.fill(4)? {
            return Ok(self.stop(Reason::Truncated));
        }
        if self.block == SECTION_HEADER.to_be_bytes() {
            let section = Section { big_endian: false, interfaces: Vec::new() };
            self.format = Format::Pcapng(section);
            return self.pcapng_block();
        }
        let Some((variant, big_endian)) = variant(&self.block) else {
            return Ok(self.stop(Reason::Format));
        };
        if !self.fill(variant.header)? {
            return Ok(self.stop(Reason::Truncated));
        }
        let number = |at| number(&self.block, at, big_endian);
        // Two numbers of two bytes, which lie the other way round in a big-endian word.
        let (high, low) = (number(4) >> 16, number(4) & 0xffff);
        let (major, minor) = if big_endian { (high, low) } else { (low, high) };
        let [major, minor] =
            [major, minor].map(|version| u16::try_from(version).unwrap_or(u16::MAX));
        let lengths = Lengths::of_version(major, minor);
        let link = number(20) & LINK_MASK;
        self.format = Format::Pcap(Pcap { big_endian, variant, lengths, link });
        Ok(Step::Again)
    }

    /// Reads a record of a pcap file.
    ///
    ///  | seconds u32 | fraction u32 | captured length u32 | wire length u32 | … | data … |
    fn record(&mut self, pcap: Pcap) -> io::Result<Step> {
        let head = pcap.variant.record_header;
        if !self.fill(head)? {
            return Ok(self.ended_inside());
        }
        let number = |at| number(&self.block, at, pcap.big_endian);
        let (seconds, fraction) = (number(0), number(4));
        let (one, other) = (number(8), number(12));
        let (captured, wire_length) = match pcap.lengths {
            Lengths::CapturedFirst => (one, other),
            Lengths::WireFirst => (other, one),
            Lengths::Unknown => (one.min(other), one.max(other)),
        };
        let captured = length(captured);
        if captured > FRAME_BYTES_MAX {
            return Ok(self.stop(Reason::Length));
        }
        let data = head..head + captured;
        if !self.fill(data.end)? {
            return Ok(self.stop(Reason::Truncated));
        }
        let micros = if pcap.variant.nanoseconds { fraction / 1000 } else { fraction };
        let at = Instant::from_unix(i64::from(seconds), micros);
        Ok(Step::Frame { link: pcap.link, at, data, wire_length })
    }

    /// The end of the input: clean between two records, a loss inside one.
    fn ended_inside(&mut self) -> Step {
        if self.block.is_empty() { Step::End } else { self.stop(Reason::Truncated) }
    }

    /// Reads a block of a pcapng file.
    ///
    ///  | type u32 | length u32 | body … | length u32 |
    fn pcapng_block(&mut self) -> io::Result<Step> {
        if !self.fill(12)? {
            return Ok(self.ended_inside());
        }
        let Format::Pcapng(section) = &mut self.format else { return Ok(Step::End) };
        let header = self.block.get(..4) == Some(&SECTION_HEADER.to_be_bytes());
        if header {
            section.interfaces.clear();
            section.big_endian = match self.block.get(8..12) {
                Some([0x1a, 0x2b, 0x3c, 0x4d]) => true,
                Some([0x4d, 0x3c, 0x2b, 0x1a]) => false,
                _ => return Ok(self.stop(Reason::Value)),
            };
        }
        let big_endian = section.big_endian;
        let kind = number(&self.block, 0, big_endian);
        let block_length = length(number(&self.block, 4, big_endian));
        if !(12..=BLOCK_BYTES_MAX).contains(&block_length) {
            return Ok(self.stop(Reason::Length));
        }
        let known = [
            SECTION_HEADER,
            INTERFACE_DESCRIPTION,
            PACKET_OBSOLETE,
            SIMPLE_PACKET,
            ENHANCED_PACKET,
        ];
        if !known.contains(&kind) {
            let whole = self.skip(block_length - 12)?;
            return Ok(if whole { Step::Again } else { self.stop(Reason::Truncated) });
        }
        if !self.fill(block_length)? {
            return Ok(self.stop(Reason::Truncated));
        }
        if length(number(&self.block, block_length - 4, big_endian)) != block_length {
            return Ok(self.stop(Reason::Length));
        }
        Ok(match kind {
            INTERFACE_DESCRIPTION => self.interface(),
            // It bears no time, and a packet without a day cannot be counted.
            SIMPLE_PACKET => Step::Unreadable(Reason::Time),
            ENHANCED_PACKET | PACKET_OBSOLETE => self.packet_block(kind),
            _ => Step::Again,
        })
    }

    fn interface(&mut self) -> Step {
        let Format::Pcapng(section) = &mut self.format else { return Step::End };
        if section.interfaces.len() >= INTERFACES_MAX {
            return Step::Unreadable(Reason::Limit);
        }
        let parsed = if section.big_endian {
            pcap_parser::parse_interfacedescriptionblock_be(&self.block)
        } else {
            pcap_parser::parse_interfacedescriptionblock_le(&self.block)
        };
        let interface =
            parsed.ok().map(|(_, block)| Interface::new(&block, section.big_endian));
        section.interfaces.push(interface);
        match interface {
            Some(_) => Step::Again,
            None => Step::Unreadable(Reason::Value),
        }
    }

    /// Reads an enhanced packet block; the obsolete one differs in the width of the number
    /// of its interface.
    ///
    ///  | head 8 | interface u32 | time high u32 | time low u32 | captured u32 | wire u32 |
    fn packet_block(&self, kind: u32) -> Step {
        let Format::Pcapng(section) = &self.format else { return Step::End };
        let number = |at| number(&self.block, at, section.big_endian);
        let interface = match (kind, section.big_endian) {
            (PACKET_OBSOLETE, true) => number(8) >> 16,
            (PACKET_OBSOLETE, false) => number(8) & 0xffff,
            _ => number(8),
        };
        let Some(&Some(interface)) = section.interfaces.get(length(interface)) else {
            return Step::Unreadable(Reason::Value);
        };
        let at = interface.instant(u64::from(number(12)) << 32 | u64::from(number(16)));
        let (captured, wire_length) = (length(number(20)), number(24));
        // Behind the data there is at least the closing length.
        let room = self.block.len().saturating_sub(PACKET_DATA + 4);
        if captured > room || captured > FRAME_BYTES_MAX {
            return Step::Unreadable(Reason::Length);
        }
        let data = PACKET_DATA..PACKET_DATA + captured;
        Step::Frame { link: interface.link, at, data, wire_length }
    }
}

impl Interface {
    fn new(block: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Self {
        let option = |code| {
            block
                .options
                .iter()
                .find(|o| o.code == code)
                .and_then(|o| o.as_bytes().ok())
        };
        let resolution = match option(OptionCode::IfTsresol) {
            Some(&[resolution]) => resolution,
            _ => MICROSECONDS,
        };
        let offset = option(OptionCode::IfTsoffset).and_then(|b| b.try_into().ok());
        let read = if big_endian { i64::from_be_bytes } else { i64::from_le_bytes };
        let offset_seconds = offset.map_or(0, read);
        let link = block.linktype.0.cast_unsigned();
        Self { link, resolution, offset_seconds }
    }

    /// The time of `ticks`, whose length is 10^-n seconds, or 2^-n where the highest bit of
    /// the resolution is set (draft-ietf-opsawg-pcapng, 4.2).
    fn instant(self, ticks: u64) -> Instant {
        let micros = u128::from(ticks) * 1_000_000;
        let power = u32::from(self.resolution & 0x7f);
        let micros = if self.resolution & 0x80 != 0 {
            micros.checked_shr(power)
        } else {
            10u128.checked_pow(power).map(|unit| micros / unit)
        };
        let micros = i64::try_from(micros.unwrap_or(0)).unwrap_or(i64::MAX);
        Instant(micros).plus_seconds(self.offset_seconds)
    }
}

/// The number at `at` of `block`, which is at least that long.
fn number(block: &[u8], at: usize, big_endian: bool) -> u32 {
    let bytes = block.get(at..).and_then(|rest| rest.first_chunk::<4>());
    let bytes = bytes.copied().unwrap_or_default();
    if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

/// A length in memory. Where one has fewer than 32 bits the limits above refuse it.
fn length(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

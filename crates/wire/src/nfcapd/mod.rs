//! Files of `nfcapd` and `nfdump`: layout 1 (nfdump 1.5 and 1.6) and layout 2 (1.7), in
//! either byte order.
//!
//! ```text
//! bytes ─► block (header, compression) ─► records ─► v3 ──────┐
//!                                          │    └─► mapped ───┴► row ─► Flow
//!                                          └─► exporters (addresses, sampling), Loss (gap)
//! ```
//!
//! **Invariant:** the books close, twice ([`Tally`]): each byte of the input is of a header
//! or block that was opened, or in a [`Loss`]; each byte of the blocks is of a record that
//! was read, or in a `Loss`. How many blocks the file header counts is not looked at while
//! there are more: a collector that was killed writes none.
//!
//! The layouts are those of nfdump's own source (`nffile.h`, `nffileV2.h`, `nfxV3.h`,
//! `exporter.h`; `nffile.h` and `nfx.c` of 1.6), named at each struct. Left out: layout 3
//! (nfdump 1.8), encrypted files, files of 32-bit machines in layout 2 (their header is
//! shorter), payloads and every extension not named in `v3` and `mapped`; names of
//! interfaces, applications, VRFs and histograms are passed over and counted.

mod block;
mod exporters;
mod mapped;
mod order;
mod row;
mod v3;

use std::io::{self, BufRead};

use tidegauge_model::{Day, Instant, Loss, Reason};

use self::block::{
    BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, BlockHeader, Compression, HEADER_1_BYTES,
    HEADER_2_BYTES, Header,
};
use self::exporters::Exporters;
use self::mapped::{Form, Maps};
use self::order::{Big, Little, Order};
use self::row::{Outcome, Row};
use crate::Sink;

/// `MAGIC` (`nffile.h`), as the machine writes it.
const MAGIC: u16 = 0xa50c;
/// Magic and version.
const START_BYTES: usize = 4;
/// Records that wait for what their exporter says of itself: nfcapd writes that first, but
/// compresses blocks in several threads, which may change their order. Picked by hand: two
/// blocks of small records, 15 MiB.
const HELD_MAX: usize = 65_536;
/// The shortest record of any kind (`recordHeader_t`).
const RECORD_BYTES_MIN: usize = 4;

/// What was found in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes of the input.
    pub bytes: u64,
    /// Bytes of headers and of blocks that were opened.
    pub bytes_opened: u64,
    /// Bytes of the input that are in a loss.
    pub bytes_lost: u64,
    /// Bytes inside the blocks opened, after decompression.
    pub content: u64,
    /// Of these, bytes of records that were read or are known to tell of no flow.
    pub content_read: u64,
    /// Of these, bytes that are in a loss.
    pub content_lost: u64,
    /// Blocks opened.
    pub blocks: u64,
    /// Records that became flows.
    pub flows: u64,
    /// Records of events that another record tells with volumes.
    pub events: u64,
    /// Records of exporters, samplers, maps, statistics, names.
    pub others: u64,
    /// Records of flows that could not be used.
    pub lost: u64,
}

/// Whether a file begins with the magic in either order and a layout that is read.
pub(crate) fn recognise(head: &[u8]) -> bool {
    start(head).is_some()
}

/// Whether the file is in little-endian order, and its layout.
fn start(head: &[u8]) -> Option<(bool, u16)> {
    let layout =
        |little: bool, layout: u16| matches!(layout, 1 | 2).then_some((little, layout));
    match (Little::u16(head, 0)?, Big::u16(head, 0)?) {
        (MAGIC, _) => layout(true, Little::u16(head, 2)?),
        (_, MAGIC) => layout(false, Big::u16(head, 2)?),
        _ => None,
    }
}

/// Reads a file. `latest` is when: records later than a day after it are losses. Offsets of
/// losses are those of the record, or of its block where that is compressed.
///
/// Fails only if `input` does.
pub fn read(
    input: &mut dyn BufRead,
    latest: Instant,
    sink: &mut dyn Sink,
) -> io::Result<Tally> {
    let mut file = File::new(input, latest, sink);
    let mut head = Vec::new();
    file.take(&mut head, START_BYTES)?;
    match start(&head) {
        Some((true, layout)) => file.read::<Little>(layout, head)?,
        Some((false, layout)) => file.read::<Big>(layout, head)?,
        None => file.lose_rest(0, head.len(), Reason::Format, 1)?,
    }
    let tally = file.finish();
    debug_assert_eq!(tally.bytes, tally.bytes_opened + tally.bytes_lost);
    debug_assert_eq!(tally.content, tally.content_read + tally.content_lost);
    Ok(tally)
}

/// One reading of a file.
struct File<'f> {
    input: &'f mut dyn BufRead,
    latest: Instant,
    sink: &'f mut dyn Sink,
    exporters: Exporters,
    maps: Maps,
    held: Vec<Row>,
    /// Where the records begin that are read, and whether their places can be told apart.
    place: (u64, bool),
    /// That of the nearest good record before.
    day: Option<Day>,
    tally: Tally,
}

impl<'f> File<'f> {
    fn new(
        input: &'f mut dyn BufRead,
        latest: Instant,
        sink: &'f mut dyn Sink,
    ) -> Self {
        Self {
            input,
            latest,
            sink,
            exporters: Exporters::default(),
            maps: Maps::default(),
            held: Vec::new(),
            place: (0, true),
            day: None,
            tally: Tally::default(),
        }
    }

    /// Reads header and blocks up to the end of the input.
    fn read<O: Order>(&mut self, layout: u16, mut head: Vec<u8>) -> io::Result<()> {
        let length = if layout == 1 { HEADER_1_BYTES } else { HEADER_2_BYTES };
        self.take(&mut head, length)?;
        if head.len() < length {
            return self.lose_rest(0, head.len(), Reason::Truncated, 1);
        }
        let header = match layout {
            1 => Header::layout_1::<O>(&head),
            _ => Header::layout_2::<O>(&head),
        };
        let header = match header {
            Ok(header) => header,
            Err(reason) => return self.lose_rest(0, head.len(), reason, 1),
        };
        self.tally.bytes_opened += long(head.len());
        let (mut body, mut content) = (Vec::new(), Vec::new());
        for seen in 0_u64.. {
            let offset = self.tally.bytes;
            body.clear();
            self.take(&mut body, BLOCK_HEADER_BYTES)?;
            if body.is_empty() {
                // A file that its writer never finished counts no blocks.
                if seen < header.blocks {
                    self.lose(offset, Reason::Truncated, 1);
                }
                break;
            }
            let Some(block) = BlockHeader::read::<O>(&body, &header) else {
                return self.lose_rest(offset, body.len(), Reason::Truncated, 1);
            };
            if block.bytes > BLOCK_BYTES_MAX {
                // Where the next block begins is unknown.
                let count = bounded(&block);
                return self.lose_rest(offset, body.len(), Reason::Length, count);
            }
            if !self.block::<O>(&header, &block, offset, (&mut body, &mut content))? {
                break;
            }
        }
        Ok(())
    }

    /// Reads the block behind its header, which is in `body`; false if the input ends in it.
    fn block<O: Order>(
        &mut self,
        file: &Header,
        header: &BlockHeader,
        offset: u64,
        (body, content): (&mut Vec<u8>, &mut Vec<u8>),
    ) -> io::Result<bool> {
        let head = body.len();
        body.clear();
        self.take(body, header.bytes)?;
        let whole = body.len() == header.bytes;
        let plain = header.compression == Compression::None;
        self.place = (if plain { offset + long(head) } else { offset }, plain);
        let opened = match (plain, whole) {
            (true, _) => Some(body.as_slice()),
            (false, true) => block::decompress(header.compression, body, content),
            (false, false) => None,
        };
        let Some(records) = opened else {
            let reason = if whole { Reason::Compression } else { Reason::Truncated };
            self.lose(offset, reason, bounded(header));
            self.tally.bytes_lost += long(head + body.len());
            return Ok(whole);
        };
        self.tally.blocks += 1;
        self.tally.bytes_opened += long(head + body.len());
        self.tally.content += long(records.len());
        let (read, count) = self.records::<O>(file, header, records);
        let left = records.len().saturating_sub(read);
        let missing = u64::from(header.records.saturating_sub(count));
        if left > 0 || missing > 0 || !whole {
            let reason = if whole { Reason::Length } else { Reason::Truncated };
            let room = header.bytes.max(records.len()).saturating_sub(read);
            self.tally.content_lost += long(left);
            let most = long(room / RECORD_BYTES_MIN);
            self.lose(self.at(read), reason, missing.min(most).max(1));
        }
        Ok(whole)
    }

    /// Reads the records of a block; how many bytes and records that were.
    fn records<O: Order>(
        &mut self,
        file: &Header,
        header: &BlockHeader,
        records: &[u8],
    ) -> (usize, u32) {
        let all = (records.len(), header.records);
        // Layout 1: 1 is of nfdump 1.5, 2 of 1.6, 3 bears histograms. Layout 2: 3 bears
        // records, 4 an array of names (`DATA_BLOCK_TYPE_…`, `Large_BLOCK_Type`).
        let old = match (file.layout, header.kind) {
            (1, 1) => true,
            (1, 2) | (2, 2 | 3) => false,
            (1, 3) | (2, 4) => {
                self.tally.others += u64::from(header.records).min(long(records.len()));
                self.tally.content_read += long(records.len());
                return all;
            }
            _ => {
                self.tally.content_lost += long(records.len());
                self.lose(self.at(0), Reason::Format, bounded(header));
                return all;
            }
        };
        let (mut at, mut count) = (0, 0);
        while let Some(rest) = records.get(at..).filter(|rest| !rest.is_empty()) {
            let length = match if old { O::u16(rest, 4) } else { O::u16(rest, 2) } {
                Some(length) if count < header.records => usize::from(length),
                _ => 0,
            };
            let record = rest.get(..length).filter(|r| r.len() >= RECORD_BYTES_MIN);
            let Some(record) = record else { break };
            if old {
                let row = mapped::read::<O>(Form::V1, record, &mut self.maps);
                self.row(at, record, row);
            } else {
                self.record::<O>(at, record);
            }
            at += length;
            count += 1;
        }
        (at, count)
    }

    /// Reads one record of nfdump 1.6 or 1.7, by its type (`id.h`).
    fn record<O: Order>(&mut self, at: usize, record: &[u8]) {
        let other = match O::u16(record, 0).unwrap_or(0) {
            11 => return self.row(at, record, v3::read::<O>(record)),
            10 => {
                let row = mapped::read::<O>(Form::V10, record, &mut self.maps);
                return self.row(at, record, row);
            }
            1 => {
                let row = mapped::read::<O>(Form::V0, record, &mut self.maps);
                return self.row(at, record, row);
            }
            2 => self.maps.define::<O>(record),
            7 => self.exporters.exporter::<O>(record),
            8 => self.statistics::<O>(at, record),
            9 => self.exporters.sampler_of_1_6::<O>(record),
            15 => self.exporters.sampler::<O>(record),
            // Histograms, records of test versions, names of applications, interfaces,
            // VRFs; ident and statistics of the whole file (`TYPE_IDENT`, `TYPE_STAT`).
            3..=6 | 12..=14 | 0x8001 | 0x8002 => Some(()),
            _ => return self.row(at, record, Err(Reason::Format)),
        };
        match other {
            Some(()) => {
                self.tally.others += 1;
                self.tally.content_read += long(record.len());
            }
            None => self.row(at, record, Err(Reason::Length)),
        }
    }

    /// Reads `exporter_stats_record_t` (`exporter.h`): `stat_count` u32 at 4, then for each
    /// exporter sysid u32, `sequence_failure` u32, packets u64, flows u64. A break of the
    /// sequence is a gap of at least one datagram.
    fn statistics<O: Order>(&mut self, at: usize, record: &[u8]) -> Option<()> {
        for statistics in record.get(8..)?.chunks_exact(24) {
            let failures = u64::from(O::u32(statistics, 4)?);
            if failures > 0 {
                let id = u16::try_from(O::u32(statistics, 0)?).ok();
                let exporter = id.and_then(|id| self.exporters.address(id));
                let loss = Loss::at(self.at(at), Reason::Gap);
                let day = self.day;
                self.sink.loss(Loss { count: failures, exporter, day, ..loss });
            }
        }
        Some(())
    }

    /// Takes a record of a flow: hands its flow on, or holds it.
    fn row(&mut self, at: usize, record: &[u8], row: Result<Row, Reason>) {
        let row = match row {
            Ok(row) => row,
            Err(reason) => return self.unusable(at, record, reason),
        };
        if !row.is_settled(&self.exporters) && self.held.len() < HELD_MAX {
            // One that would be lost is lost here, where its place is known.
            if let Outcome::Lost(reason) = row.flow(&self.exporters, self.latest) {
                return self.unusable(at, record, reason);
            }
            self.tally.content_read += long(record.len());
            return self.held.push(row);
        }
        match row.flow(&self.exporters, self.latest) {
            Outcome::Lost(reason) => self.unusable(at, record, reason),
            outcome => {
                self.tally.content_read += long(record.len());
                self.hand_on(outcome);
            }
        }
    }

    fn hand_on(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Flow(flow) => {
                self.day = Some(flow.start.day());
                self.tally.flows += 1;
                self.sink.flow(flow);
            }
            Outcome::Event => self.tally.events += 1,
            Outcome::Lost(_) => self.tally.lost += 1,
        }
    }

    fn unusable(&mut self, at: usize, record: &[u8], reason: Reason) {
        self.tally.content_lost += long(record.len());
        self.lose(self.at(at), reason, 1);
    }

    /// Hands on what was held, and tells what was found.
    fn finish(mut self) -> Tally {
        for row in std::mem::take(&mut self.held) {
            let outcome = row.flow(&self.exporters, self.latest);
            self.hand_on(outcome);
        }
        self.tally
    }

    /// The place of a record.
    fn at(&self, at: usize) -> u64 {
        let (offset, told_apart) = self.place;
        offset + if told_apart { long(at) } else { 0 }
    }

    fn lose(&mut self, offset: u64, reason: Reason, count: u64) {
        self.tally.lost += count;
        self.sink.loss(Loss { day: self.day, count, ..Loss::at(offset, reason) });
    }

    /// Gives up all from `offset` on, of which `taken` bytes are read.
    fn lose_rest(
        &mut self,
        offset: u64,
        taken: usize,
        reason: Reason,
        count: u64,
    ) -> io::Result<()> {
        self.lose(offset, reason, count);
        self.tally.bytes_lost += long(taken);
        let mut rest = Vec::new();
        loop {
            rest.clear();
            self.take(&mut rest, BLOCK_BYTES_MAX)?;
            if rest.is_empty() {
                return Ok(());
            }
            self.tally.bytes_lost += long(rest.len());
        }
    }

    /// Reads until `buffer` has `length` bytes, or the input ends.
    fn take(&mut self, buffer: &mut Vec<u8>, length: usize) -> io::Result<()> {
        while buffer.len() < length {
            let more = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                more => more?,
            };
            let taken = more.len().min(length - buffer.len());
            if taken == 0 {
                break;
            }
            buffer.extend_from_slice(more.get(..taken).unwrap_or_default());
            self.input.consume(taken);
            self.tally.bytes += long(taken);
        }
        Ok(())
    }
}

/// How many records a block says that it has, within what a block can hold.
fn bounded(header: &BlockHeader) -> u64 {
    let most = match header.compression {
        Compression::None => header.bytes,
        _ => BLOCK_BYTES_MAX,
    };
    u64::from(header.records).min(long(most / RECORD_BYTES_MIN)).max(1)
}

fn long(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

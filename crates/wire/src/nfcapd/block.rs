//! Headers of files and blocks, and the compression of blocks.
//!
//! **Invariant:** no block takes more than [`BLOCK_BYTES_MAX`], whatever its header or its
//! compressed bytes say.

use std::io::Read;

use bzip2::bufread::BzDecoder;
use tidegauge_model::Reason;

use super::order::Order;

/// The largest block, before and after compression: `BUFFSIZE` (`nffile.h`), which nfdump
/// itself does not exceed.
pub(super) const BLOCK_BYTES_MAX: usize = 5 * 1024 * 1024;
/// `fileHeaderV1_t`, 140 bytes, and the `stat_recordV1_t` of 136 that follows (`nffile.h`).
pub(super) const HEADER_1_BYTES: usize = 140 + 136;
/// `fileHeaderV2_t` (`nffileV2.h`) of a machine of 64 bits.
pub(super) const HEADER_2_BYTES: usize = 40;
/// `dataBlock_t` (`nffileV2.h`), `data_block_header_t` (`nffile.h`).
pub(super) const BLOCK_HEADER_BYTES: usize = 12;

/// How the blocks of a file are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzo,
    Bzip2,
    Lz4,
    Zstd,
}

/// What the header of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) layout: u16,
    pub(super) compression: Compression,
    /// Blocks that the writer says it wrote: zero if it never closed the file.
    pub(super) blocks: u64,
}

impl Header {
    /// Reads `fileHeaderV1_t`: magic u16, version u16, flags u32, `NumBlocks` u32, ident.
    pub(super) fn layout_1<O: Order>(bytes: &[u8]) -> Result<Self, Reason> {
        let flags = O::u32(bytes, 4).ok_or(Reason::Truncated)?;
        let blocks = O::u32(bytes, 8).ok_or(Reason::Truncated)?;
        // `COMPRESSION_MASK`; the other flags say "anonymised" and nothing.
        let compression = match flags & 0x19 {
            0 => Compression::None,
            0x01 => Compression::Lzo,
            0x08 => Compression::Bzip2,
            0x10 => Compression::Lz4,
            _ => return Err(Reason::Format),
        };
        Ok(Self { layout: 1, compression, blocks: u64::from(blocks) })
    }

    /// Reads `fileHeaderV2_t`: magic u16, version u16, `nfdversion` u32, created i64,
    /// compression u8, encryption u8, `appendixBlocks` u16, creator u32, `offAppendix` i64,
    /// `BlockSize` u32, `NumBlocks` u32.
    pub(super) fn layout_2<O: Order>(bytes: &[u8]) -> Result<Self, Reason> {
        let (compression, encryption) = (O::u8(bytes, 16), O::u8(bytes, 17));
        let appendix = O::u16(bytes, 18).ok_or(Reason::Truncated)?;
        let blocks = O::u32(bytes, 36).ok_or(Reason::Truncated)?;
        let compression = match compression {
            Some(0) => Compression::None,
            Some(1) => Compression::Lzo,
            Some(2) => Compression::Bzip2,
            Some(3) => Compression::Lz4,
            Some(4) => Compression::Zstd,
            _ => return Err(Reason::Format),
        };
        if encryption != Some(0) {
            return Err(Reason::Format);
        }
        let blocks = u64::from(blocks) + u64::from(appendix);
        Ok(Self { layout: 2, compression, blocks })
    }
}

/// What the header of a block says: `NumRecords` u32, size u32, type u16, flags u16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub(super) records: u32,
    pub(super) bytes: usize,
    pub(super) kind: u16,
    pub(super) compression: Compression,
}

impl BlockHeader {
    pub(super) fn read<O: Order>(bytes: &[u8], file: &Header) -> Option<Self> {
        let kind = O::u16(bytes, 8)?;
        // `FLAG_BLOCK_UNCOMPRESSED`. Blocks of layout 1 do not honour flags.
        let plain = file.layout == 2 && O::u16(bytes, 10)? & 1 != 0;
        Some(Self {
            records: O::u32(bytes, 0)?,
            bytes: usize::try_from(O::u32(bytes, 4)?).ok()?,
            kind,
            compression: if plain { Compression::None } else { file.compression },
        })
    }
}

/// Decompresses a block into `room`, which is made as large as a block can be; `None` if it
/// is damaged or larger.
pub(super) fn decompress<'r>(
    compression: Compression,
    bytes: &[u8],
    room: &'r mut Vec<u8>,
) -> Option<&'r [u8]> {
    if room.len() < BLOCK_BYTES_MAX {
        // Zeros of the system's: a small file does not pay for those that it never touches.
        *room = vec![0; BLOCK_BYTES_MAX];
    }
    let length = match compression {
        Compression::None => return None,
        Compression::Lzo => lzokay::decompress::decompress(bytes, room).ok(),
        Compression::Lz4 => lz4_flex::block::decompress_into(bytes, room).ok(),
        Compression::Bzip2 => bzip2(bytes, room),
        Compression::Zstd => {
            zstd::bulk::decompress_to_buffer(bytes, &mut room[..]).ok()
        }
    };
    room.get(..length?)
}

fn bzip2(bytes: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut decoder = BzDecoder::new(bytes);
    let mut length = 0;
    loop {
        let free = out.get_mut(length..).filter(|free| !free.is_empty());
        let Some(free) = free else {
            // Full: whether that was all, one byte more tells.
            return matches!(decoder.read(&mut [0]), Ok(0)).then_some(length);
        };
        match decoder.read(free) {
            Ok(0) => return Some(length),
            Ok(count) => length += count,
            Err(_) => return None,
        }
    }
}

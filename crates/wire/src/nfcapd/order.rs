//! Numbers in the byte order of the machine that wrote the file.
//!
//! **Invariant:** reading beyond the bytes is `None`. nfdump writes its structs as they lie
//! in memory; the magic of the file header tells the order (`nffile.h`, `MAGIC`).

/// A byte order.
pub(super) trait Order {
    fn short(bytes: [u8; 2]) -> u16;
    fn word(bytes: [u8; 4]) -> u32;
    fn long(bytes: [u8; 8]) -> u64;

    fn u8(bytes: &[u8], at: usize) -> Option<u8> {
        bytes.get(at).copied()
    }

    fn u16(bytes: &[u8], at: usize) -> Option<u16> {
        bytes.get(at..)?.first_chunk().map(|chunk| Self::short(*chunk))
    }

    fn u32(bytes: &[u8], at: usize) -> Option<u32> {
        bytes.get(at..)?.first_chunk().map(|chunk| Self::word(*chunk))
    }

    fn u64(bytes: &[u8], at: usize) -> Option<u64> {
        bytes.get(at..)?.first_chunk().map(|chunk| Self::long(*chunk))
    }

    /// An IPv6 address: two numbers of 64 bits, the upper one first.
    fn v6(bytes: &[u8], at: usize) -> Option<u128> {
        let (high, low) = (Self::u64(bytes, at)?, Self::u64(bytes, at + 8)?);
        Some(u128::from(high) << 64 | u128::from(low))
    }
}

/// Least significant byte first.
pub(super) enum Little {}

impl Order for Little {
    fn short(bytes: [u8; 2]) -> u16 {
        u16::from_le_bytes(bytes)
    }
    fn word(bytes: [u8; 4]) -> u32 {
        u32::from_le_bytes(bytes)
    }
    fn long(bytes: [u8; 8]) -> u64 {
        u64::from_le_bytes(bytes)
    }
}

/// Most significant byte first.
pub(super) enum Big {}

impl Order for Big {
    fn short(bytes: [u8; 2]) -> u16 {
        u16::from_be_bytes(bytes)
    }
    fn word(bytes: [u8; 4]) -> u32 {
        u32::from_be_bytes(bytes)
    }
    fn long(bytes: [u8; 8]) -> u64 {
        u64::from_be_bytes(bytes)
    }
}

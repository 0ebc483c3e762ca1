//! The plan of addresses: which block belongs to whom, in synthetic unicast space.
//!
//! **Invariant:** blocks of different members never overlap, none is private or reserved,
//! and a member's block depends on its place in the full-size world alone. The blocks
//! belong to other people in the real internet: nothing said about them here is about
//! those.

/// First octets of public unicast space without any reserved part (RFC 6890 and the
/// multicast and future space above 223).
const RESERVED: [u8; 9] = [10, 100, 127, 169, 172, 192, 198, 203, 0];
/// Usable first octets: 1 to 223 but for [`RESERVED`] (0 is not in that range).
const OCTETS: u32 = 223 - 8;
/// /16 blocks in the plan.
const BLOCKS: u32 = OCTETS * 256;
/// Spreads neighbours over the space; coprime to [`BLOCKS`].
const STEP: u32 = 7_919;

/// /16 blocks of a country, in this order: members, small blocks, hosting, providers.
const COUNTRY_BLOCKS: u32 = 800;
/// Each holds 64 members' /22.
const MEMBER_BLOCKS: u32 = 200;
/// Each holds 2,048 small blocks of 32 addresses.
const SMALL_AT: u32 = 200;
/// Servers rented out: one /16.
const HOSTING_AT: u32 = 240;
/// Access providers.
const PROVIDERS_AT: u32 = 250;
/// /16 blocks of one provider at most.
pub(crate) const PROVIDER_BLOCKS: u32 = 120;
/// Members that a country's blocks hold.
pub(crate) const MEMBERS_MAX: u32 = MEMBER_BLOCKS * 64;

/// Rented servers that clients use, in the space of hosting companies, at most.
pub(crate) const SCANNERS_MAX: u32 = 200;

/// An IPv4 prefix: first address and length in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Block {
    pub(crate) first: u128,
    /// In bits of the 128-bit form.
    pub(crate) length: u8,
}

const MAPPED: u128 = 0xffff_0000_0000;

fn v4(first: u32, length: u8) -> Block {
    Block { first: MAPPED | u128::from(first), length: 96 + length }
}

/// First address of a country's /16 block.
fn block16(country: usize, block: u32) -> u32 {
    let country = u32::try_from(country).expect("fewer countries than 2^32");
    let place = (country * COUNTRY_BLOCKS + block) % BLOCKS;
    let spread = place * STEP % BLOCKS;
    let first_octet = (1..=223u8)
        .filter(|o| !RESERVED.contains(o))
        .nth(usize::try_from(spread / 256).expect("an octet"))
        .expect("as many octets as OCTETS says");
    u32::from(first_octet) << 24 | (spread % 256) << 16
}

/// A member's own /22, or the /24 at its start.
pub(crate) fn own(country: usize, member: u32, wide: bool) -> Block {
    let member = member % MEMBERS_MAX;
    let first = block16(country, member / 64) | (member % 64) << 10;
    v4(first, if wide { 22 } else { 24 })
}

/// A small block of 32 addresses in a /24 that eight members share.
pub(crate) fn small(country: usize, member: u32) -> Block {
    let member = member % MEMBERS_MAX;
    v4(block16(country, SMALL_AT + member / 2048) | (member % 2048) << 5, 27)
}

/// A member's IPv6 /48.
pub(crate) fn own_v6(country: usize, member: u32) -> Block {
    let first = 0x2a0c_u128 << 112
        | (country as u128) << 96
        | u128::from(member % 65_536) << 80;
    Block { first, length: 48 }
}

/// A hosting company's /16.
pub(crate) fn hosting(country: usize) -> Block {
    v4(block16(country, HOSTING_AT), 16)
}

/// The /16 blocks of a provider.
pub(crate) fn provider(country: usize, provider: usize, pool: u32) -> Vec<Block> {
    (0..pool.min(PROVIDER_BLOCKS))
        .map(|block| v4(block16(country, provider_at(provider) + block), 16))
        .collect()
}

fn provider_at(provider: usize) -> u32 {
    let provider = u32::try_from(provider).expect("few providers");
    PROVIDERS_AT + provider * PROVIDER_BLOCKS
}

/// A provider's IPv6 /32.
pub(crate) fn provider_v6_block(country: usize, provider: usize) -> Block {
    let first = 0x2a02_u128 << 112 | (country as u128 * 16 + provider as u128) << 96;
    Block { first, length: 32 }
}

/// A drawn address of a provider's pool.
pub(crate) fn provider_v4(
    country: usize,
    provider: usize,
    pool: u32,
    draw: u64,
) -> u128 {
    let place = draw % (u64::from(pool) << 16);
    let block = u32::try_from(place >> 16).expect("below the pool");
    let host = u32::try_from(place & 0xffff).expect("16 bits");
    let first = block16(country, provider_at(provider) + block);
    MAPPED | u128::from(first | host)
}

/// A drawn address of a provider's IPv6 space: the draw chooses the /64.
pub(crate) fn provider_v6(country: usize, provider: usize, draw: u64) -> u128 {
    let network = u128::from(draw & 0xffff_ffff) << 64;
    provider_v6_block(country, provider).first | network | u128::from(draw >> 32 | 1)
}

impl Block {
    /// The address at `place`, wrapped into the block, never its first or (in IPv4) last.
    pub(crate) fn host(self, place: u32) -> u128 {
        if self.length < 96 {
            // One client network (/64) for each place.
            return self.first | u128::from(place % 65_536) << 64 | 1;
        }
        let size = 1u32 << (128 - self.length).min(16);
        self.first + u128::from(1 + place % (size - 2))
    }

    /// As text: `192.0.2.0/24`.
    pub(crate) fn text(self) -> String {
        let address = tidegauge_model::Address::from_bits(self.first);
        tidegauge_model::Prefix::containing(address, self.length).to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tidegauge_model::Address;

    use super::*;
    use crate::country::COUNTRIES;

    #[test]
    fn the_plan_fits_and_no_two_blocks_meet() {
        let last = PROVIDERS_AT + 4 * PROVIDER_BLOCKS;
        assert!(last <= COUNTRY_BLOCKS);
        let mut blocks = BTreeSet::new();
        for country in 0..COUNTRIES.len() {
            for block in 0..COUNTRY_BLOCKS {
                assert!(blocks.insert(block16(country, block)));
            }
        }
        for block in blocks {
            let address = Address::from_bits(MAPPED | u128::from(block));
            assert!(address.is_global() && address.is_unicast(), "{address}");
        }
    }

    #[test]
    fn blocks_of_members_are_their_own() {
        assert_eq!(own(0, 1, false).first - own(0, 0, false).first, 1024);
        assert_eq!(small(3, 1).first - small(3, 0).first, 32);
        let small = small(3, 1);
        assert!((0..500).all(|p| small.host(p) > small.first));
        assert!((0..500).all(|p| small.host(p) < small.first + 31));
        assert_ne!(own_v6(1, 5), own_v6(2, 5));
        assert!(own(0, 0, true).text().ends_with("/22"));
        assert!(own_v6(0, 0).text().ends_with("/48"));
    }
}

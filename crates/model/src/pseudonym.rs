//! A pseudonym: what stands for a client whose address is no longer kept.
//!
//! It has the form of an address, so that everything which sorts, stores and counts addresses
//! does so with pseudonyms, and lies where no address is:
//!
//! | bits | what |
//! |--:|---|
//! | 8 | 4: `400::/8` lies in `400::/6`, which is given to nobody (IANA, *IPv6 Address Space*) |
//! | 1 | 0 for IPv4, 1 for IPv6 |
//! | 48 | the class: all clients that were held alike |
//! | 7 | the generation: how many keys were applied |
//! | 64 | the body: of IPv4 the address; of IPv6 40 bits of the /64 and 24 of the rest; all by keys |
//!
//! **Invariant:** the pseudonyms of a class are a block, so whoever held them holds a block; within
//! a class and a generation equal addresses have equal pseudonyms, and so have equal /64s equal
//! upper parts of the body.

use crate::Address;

/// The first byte of every pseudonym.
const MARK: u128 = 4;
/// The most keys.
pub const GENERATIONS_MAX: u8 = 127;
/// Bits of a class.
const CLASS_BITS: u32 = 48;
/// Bits of a body that tell clients of one /64 apart.
pub const HOST_BITS: u32 = 24;
/// Bits of a body that stand for a /64.
pub const NETWORK_BITS: u32 = u64::BITS - HOST_BITS;

/// The parts of a pseudonym.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pseudonym {
    /// Whether it stands for an IPv6 address.
    pub v6: bool,
    /// What it was held as, 48 bits.
    pub class: u64,
    /// How many keys were applied, from 1 to [`GENERATIONS_MAX`].
    pub generation: u8,
    /// The address, by keys.
    pub body: u64,
}

impl Pseudonym {
    /// The parts of an address that is a pseudonym.
    pub fn of(address: Address) -> Option<Self> {
        let bits = address.bits();
        let low = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
        (bits >> 120 == MARK).then(|| Self {
            v6: bits >> 119 & 1 == 1,
            class: low(bits >> 71) & Self::CLASS_MAX,
            generation: u8::try_from(bits >> 64 & 0x7f).unwrap_or(0),
            body: low(bits),
        })
    }

    /// The greatest class.
    pub const CLASS_MAX: u64 = (1 << CLASS_BITS) - 1;

    /// It in the form of an address.
    pub fn address(self) -> Address {
        let hi = MARK << 56
            | u128::from(self.v6) << 55
            | u128::from(self.class & Self::CLASS_MAX) << 7
            | u128::from(self.generation & GENERATIONS_MAX);
        Address::from_bits(hi << 64 | u128::from(self.body))
    }

    /// The first and the last address of all pseudonyms of a class and family.
    pub fn block(v6: bool, class: u64) -> (Address, Address) {
        let end = |generation, body| Self { v6, class, generation, body }.address();
        (end(0, 0), end(GENERATIONS_MAX, u64::MAX))
    }

    /// The upper part of a body: of IPv6 what stands for the /64.
    pub fn network(self) -> u64 {
        self.body >> HOST_BITS
    }

    /// A body for IPv6, of what stands for the /64 and for the rest; of either the low bits.
    pub fn body_v6(network: u64, host: u64) -> u64 {
        network << HOST_BITS | host & ((1 << HOST_BITS) - 1)
    }
}

impl Address {
    /// Whether a pseudonym stands in its place.
    pub fn is_pseudonym(self) -> bool {
        self.bits() >> 120 == MARK
    }

    /// What counts as one address beside an IPv4 address: the /64 of an IPv6 address, or what
    /// stands for it. `None` for IPv4.
    pub fn network_v6(self) -> Option<u128> {
        match Pseudonym::of(self) {
            Some(pseudonym) => {
                pseudonym.v6.then_some(self.bits() >> HOST_BITS << HOST_BITS)
            }
            None => (!self.is_v4()).then_some(self.bits() >> 64 << 64),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pseudonym_is_its_parts(v6: bool, class in 0..=Pseudonym::CLASS_MAX, generation in 0u8..=127, body: u64) {
            let pseudonym = Pseudonym { v6, class, generation, body };
            let address = pseudonym.address();
            prop_assert_eq!(Pseudonym::of(address), Some(pseudonym));
            prop_assert!(address.is_pseudonym() && !address.is_v4() && !address.is_unicast());
            let (first, last) = Pseudonym::block(v6, class);
            prop_assert!(first <= address && address <= last);
            prop_assert_eq!(Pseudonym::of(first).map(|t| t.class), Some(class));
            prop_assert_eq!(Pseudonym::of(last).map(|t| (t.v6, t.class)), Some((v6, class)));
            let text = address.to_string();
            prop_assert!(text.starts_with("pseudonym:"));
            prop_assert_eq!(text.parse::<Address>().ok(), Some(address));
        }

        #[test]
        fn what_is_no_pseudonym_is_none(bits: u128) {
            let address = Address::from_bits(bits);
            prop_assert_eq!(address.is_pseudonym(), Pseudonym::of(address).is_some());
            prop_assert_eq!(address.is_pseudonym(), bits >> 120 == 4);
        }
    }

    #[test]
    fn clients_of_one_network_are_told_together() {
        let pseudonym =
            |v6, body| Pseudonym { v6, class: 9, generation: 1, body }.address();
        let body = |host| Pseudonym::body_v6(77, host);
        assert_eq!(
            pseudonym(true, body(1)).network_v6(),
            pseudonym(true, body(2)).network_v6()
        );
        assert_ne!(
            pseudonym(true, body(1)).network_v6(),
            pseudonym(true, Pseudonym::body_v6(78, 1)).network_v6()
        );
        assert_eq!(pseudonym(false, body(1)).network_v6(), None);
        let address = |text: &str| text.parse::<Address>().unwrap();
        assert_eq!(
            address("2001:db8::1").network_v6(),
            address("2001:db8::2").network_v6()
        );
        assert_eq!(address("192.0.2.1").network_v6(), None);
    }
}

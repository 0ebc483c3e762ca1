//! Addresses of others are shown as networks.
//!
//! **Invariant:** nothing longer than a /24 or /48 comes out; of a pseudonym, no more than the
//! block of all that were held alike.

use tidegauge_model::{Address, Prefix};

/// Bits of an IPv4 network that is shown, in the 128-bit form.
const V4_BITS: u8 = 96 + 24;
/// Bits of an IPv6 network that is shown.
const V6_BITS: u8 = 48;

/// Bits of a pseudonym that are no client's own: mark, family and class.
const PSEUDONYM_BITS: u8 = 57;

/// The /24 or /48 around an address.
pub fn network(address: Address) -> Prefix {
    Prefix::containing(address, longest(address))
}

/// `prefix`, or the /24 or /48 around it.
pub fn masked(prefix: Prefix) -> Prefix {
    let longest = longest(prefix.first());
    if prefix.length() <= longest { prefix } else { network(prefix.first()) }
}

fn longest(address: Address) -> u8 {
    match address {
        _ if address.is_pseudonym() => PSEUDONYM_BITS,
        _ if address.is_v4() => V4_BITS,
        _ => V6_BITS,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegauge_model::pseudonym::Pseudonym;

    use super::*;

    proptest! {
        #[test]
        fn what_is_masked_contains_what_was_and_no_host(bits: u128, length in 0u8..=128) {
            let prefix = Prefix::containing(Address::from_bits(bits), length);
            let masked = masked(prefix);
            prop_assert!(masked.contains(prefix.first()) && masked.contains(prefix.last()));
            prop_assert!(masked.length() <= longest(prefix.first()));
            prop_assert_eq!(super::masked(masked), masked);
        }
    }

    #[test]
    fn networks_are_those_of_the_footprint() {
        let told = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(told("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(told("2001:db8:1:2::3"), "2001:db8:1::/48");
        let pseudonym = |body| {
            let (v6, class, generation) = (false, 5, 2);
            Pseudonym { v6, class, generation, body }.address()
        };
        assert_eq!(network(pseudonym(1)), network(pseudonym(u64::MAX)));
        let (first, last) = Pseudonym::block(false, 5);
        let block = network(pseudonym(1));
        assert_eq!((block.first(), block.last()), (first, last));
    }
}

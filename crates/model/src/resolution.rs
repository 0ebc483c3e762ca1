//! A look-up of a name by nobody in particular.
//!
//! **Invariant:** a resolution has no address of a client, only the network that a resolver
//! says the client is in, and that never narrower than [`V4_BITS_MAX`] and [`V6_BITS_MAX`].
//! It proves that a name was in use somewhere; it is never counted as an address or as an
//! organisation.
//!
//! Resolvers ask for others (RFC 1034, 5.3.1), and passive DNS keeps what they heard: the
//! address that asked is the resolver's. Who was behind it, a resolver may tell as a network
//! (RFC 7871, EDNS client subnet).

use std::sync::Arc;

use crate::{Address, Day, EndpointId, Instant, Prefix, VantageId};

/// The longest network of an IPv4 client that is kept, in bits: what RFC 7871, 11.1
/// recommends that resolvers send. Some send the whole address.
pub const V4_BITS_MAX: u8 = 24;
/// The longest network of an IPv6 client that is kept, in bits (RFC 7871, 11.1).
pub const V6_BITS_MAX: u8 = 56;
/// Bits before those of an IPv4 address in its mapped form.
const V4_MAPPED_BITS: u8 = 96;

/// Look-ups of a name whose client is not known as an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The name asked for, in the form of [`crate::flow::canonical_host`].
    pub host: Arc<str>,
    /// The network of the client, if a resolver told it: see [`client_network`].
    pub client: Option<Prefix>,
    /// The addresses answered, as far as this record tells.
    pub addresses: Vec<Address>,
    /// The first look-up.
    pub first: Instant,
    /// The last look-up; never before `first`.
    pub last: Instant,
    /// How many look-ups; 1 where the telemetry does not count.
    pub count: u64,
}

/// Look-ups of one endpoint's names, added up to the grain that is stored: endpoint × client
/// network × vantage × day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedDay {
    /// Where it was seen.
    pub vantage: VantageId,
    /// What was looked up.
    pub endpoint: EndpointId,
    /// The network of the client, if known.
    pub client: Option<Prefix>,
    /// The UTC day of the last look-up. Records that sum up a longer time say so by `first`:
    /// then `count` is of the whole time.
    pub day: Day,
    /// How many look-ups.
    pub count: u64,
    /// The first look-up.
    pub first: Instant,
    /// The last look-up.
    pub last: Instant,
}

/// The network of a client of which a resolver told `bits` bits of the address, counted as
/// in the address's own family. `None` for no bits, which is how a client asks not to be
/// told of (RFC 7871, 7.1.2), and for more than the family has.
pub fn client_network(address: Address, bits: u8) -> Option<Prefix> {
    let (longest, kept, shift) = if address.is_v4() {
        (32, V4_BITS_MAX, V4_MAPPED_BITS)
    } else {
        (128, V6_BITS_MAX, 0)
    };
    let told = bits > 0 && bits <= longest;
    told.then(|| Prefix::containing(address, bits.min(kept) + shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str, bits: u8) -> Option<String> {
        client_network(address.parse().unwrap(), bits).map(|p| p.to_string())
    }

    #[test]
    fn a_network_is_never_an_address() {
        let told = [
            ("198.51.100.7", 32, Some("198.51.100.0/24")),
            ("198.51.100.0", 24, Some("198.51.100.0/24")),
            ("198.51.0.0", 16, Some("198.51.0.0/16")),
            ("2001:db8:1:2:3::4", 128, Some("2001:db8:1::/56")),
            ("2001:db8::", 32, Some("2001:db8::/32")),
            ("0.0.0.0", 0, None),
            ("192.0.2.1", 33, None),
        ];
        for (address, bits, expected) in told {
            assert_eq!(network(address, bits).as_deref(), expected, "{address}/{bits}");
        }
    }
}

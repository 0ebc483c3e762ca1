//! Addresses, prefixes, AS numbers, and the client that an address stands for.
//!
//! **Invariant:** an address is 128 bits, IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2). Its
//! stored form is two signed 64-bit halves with the sign bit flipped, so that comparing
//! the halves compares the addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::SiteId;

/// The upper 96 bits of an IPv4-mapped address, `::ffff:0:0/96`.
const V4_MAPPED: u128 = 0xffff_0000_0000;
/// What a pseudonym begins with when it is written.
const PSEUDONYM: &str = "pseudonym:";
/// Flipping it turns the order of `u64` into the order of `i64`.
const SIGN: u64 = 1 << 63;

/// An IPv4 or IPv6 address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(u128);

impl Address {
    /// From the 128 bits of an IPv6 or IPv4-mapped address.
    pub fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits, IPv4 mapped.
    pub fn bits(self) -> u128 {
        self.0
    }

    /// From the two stored halves (see the module's invariant).
    pub fn from_halves(high: i64, low: i64) -> Self {
        let unflip = |half: i64| u128::from(half.cast_unsigned() ^ SIGN);
        Self(unflip(high) << 64 | unflip(low))
    }

    /// The two stored halves, upper first.
    pub fn halves(self) -> (i64, i64) {
        let flip = |half: u128| {
            let half = u64::try_from(half & u128::from(u64::MAX)).expect("64 bits");
            (half ^ SIGN).cast_signed()
        };
        (flip(self.0 >> 64), flip(self.0))
    }

    /// Whether this is an IPv4 address.
    pub fn is_v4(self) -> bool {
        self.0 >> 32 == V4_MAPPED >> 32
    }

    /// The IPv4 address, if it is one.
    pub fn v4(self) -> Option<Ipv4Addr> {
        let low = u32::try_from(self.0 & u128::from(u32::MAX)).expect("32 bits");
        self.is_v4().then(|| Ipv4Addr::from_bits(low))
    }

    /// The standard library's form.
    pub fn ip(self) -> IpAddr {
        self.v4().map_or_else(|| IpAddr::V6(Ipv6Addr::from_bits(self.0)), IpAddr::V4)
    }

    /// Whether the address can be routed on the internet, so that it means the same
    /// client from every vantage. Private (RFC 1918), shared (RFC 6598), unique local
    /// (RFC 4193), link-local and loopback addresses cannot.
    pub fn is_global(self) -> bool {
        match self.ip() {
            IpAddr::V4(v4) => {
                let [a, b, ..] = v4.octets();
                let shared = a == 100 && (64..128).contains(&b);
                !(v4.is_private()
                    || v4.is_link_local()
                    || v4.is_loopback()
                    || v4.is_unspecified()
                    || v4.is_broadcast()
                    || v4.is_multicast()
                    || shared)
            }
            IpAddr::V6(v6) => {
                !(v6.is_unique_local()
                    || v6.is_unicast_link_local()
                    || v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast())
            }
        }
    }

    /// Whether the address can be a client at all: not multicast, broadcast, loopback or
    /// unspecified, nor where pseudonyms lie.
    pub fn is_unicast(self) -> bool {
        let ip = self.ip();
        !(self.is_pseudonym()
            || ip.is_multicast()
            || ip.is_loopback()
            || ip.is_unspecified())
            && ip != IpAddr::V4(Ipv4Addr::BROADCAST)
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self::from(v4),
            IpAddr::V6(v6) => Self::from(v6),
        }
    }
}

impl From<Ipv4Addr> for Address {
    fn from(v4: Ipv4Addr) -> Self {
        Self(V4_MAPPED | u128::from(v4.to_bits()))
    }
}

impl From<Ipv6Addr> for Address {
    fn from(v6: Ipv6Addr) -> Self {
        Self(v6.to_bits())
    }
}

impl FromStr for Address {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pseudonym = text.strip_prefix(PSEUDONYM).and_then(|digits| {
            let bits = u128::from_str_radix(digits, 16).ok()?;
            Some(Self(bits)).filter(|address| address.is_pseudonym())
        });
        pseudonym.map_or_else(|| text.parse::<IpAddr>().map(Self::from), Ok)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_pseudonym() {
            return f.pad(&format!("{PSEUDONYM}{:x}", self.0));
        }
        f.pad(&self.ip().to_string())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A block of addresses. **Invariant:** no bit is set beyond the length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    base: Address,
    /// In bits of the 128-bit form: an IPv4 /24 is 120 here.
    length: u8,
}

impl Prefix {
    /// The block of `length` bits that contains `address`, in the 128-bit form.
    /// Lengths over 128 count as 128.
    pub fn containing(address: Address, length: u8) -> Self {
        let length = length.min(128);
        let mask = if length == 0 { 0 } else { u128::MAX << (128 - u32::from(length)) };
        Self { base: Address(address.bits() & mask), length }
    }

    /// The lowest address.
    pub fn first(self) -> Address {
        self.base
    }

    /// The highest address.
    pub fn last(self) -> Address {
        let host = u128::MAX.checked_shr(u32::from(self.length)).unwrap_or(0);
        Address(self.base.bits() | host)
    }

    /// Length in bits of the 128-bit form.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Whether `address` lies in the block.
    pub fn contains(self, address: Address) -> bool {
        Self::containing(address, self.length) == self
    }
}

/// A prefix that could not be read; carries the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address or prefix{hint}")]
pub struct BadPrefix {
    text: String,
    hint: &'static str,
}

impl FromStr for Prefix {
    type Err = BadPrefix;

    /// Reads `192.0.2.0/24`, `2001:db8::/32` or a lone address. Bits set beyond the
    /// length are refused: they are more often a typing error than an intention.
    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        let bad = |hint| BadPrefix { text: text.to_owned(), hint };
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: Address = address.trim().parse().map_err(|_| bad(""))?;
        let (longest, shift) =
            if address.is_v4() && !text.contains(':') { (32, 96) } else { (128, 0) };
        let length = match length {
            None => longest,
            Some(length) => length.trim().parse::<u8>().map_err(|_| bad(""))?,
        };
        if length > longest {
            return Err(bad(": the length is longer than the address"));
        }
        let prefix = Self::containing(address, length + shift);
        if prefix.base != address {
            return Err(bad(": bits are set beyond the length"));
        }
        Ok(prefix)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = if self.base.is_v4() && self.length >= 96 {
            self.length - 96
        } else {
            self.length
        };
        f.pad(&format!("{}/{length}", self.base))
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Prefix {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Prefix {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An autonomous system number (RFC 6793: 32 bits).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Asn(pub u32);

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("AS{}", self.0))
    }
}

impl FromStr for Asn {
    type Err = std::num::ParseIntError;

    /// Reads `AS64496`, `as64496` or `64496`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as"));
        digits.unwrap_or(text).parse().map(Self)
    }
}

/// Who contacted an endpoint: a global address, or a private one together with the site
/// in which it is private.
///
/// **Invariant:** `site` is set exactly when the address is private at its vantage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client {
    /// The originator's address.
    pub address: Address,
    /// The site that a private address belongs to.
    pub site: Option<SiteId>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn halves_keep_the_order_of_addresses(a: u128, b: u128) {
            let (a, b) = (Address::from_bits(a), Address::from_bits(b));
            prop_assert_eq!(a.cmp(&b), a.halves().cmp(&b.halves()));
            let (high, low) = a.halves();
            prop_assert_eq!(Address::from_halves(high, low), a);
        }

        #[test]
        fn a_prefix_contains_exactly_its_range(bits: u128, length in 0u8..=128) {
            let prefix = Prefix::containing(Address::from_bits(bits), length);
            prop_assert!(prefix.contains(prefix.first()) && prefix.contains(prefix.last()));
            if let Some(after) = prefix.last().bits().checked_add(1) {
                prop_assert!(!prefix.contains(Address::from_bits(after)));
            }
        }
    }

    #[test]
    fn order_holds_where_the_sign_flips() {
        // Around a /64 boundary, and at fc00::/7 where the top bit of the address is set.
        let addresses = [
            "::",
            "192.0.2.1",
            "2001:db8:0:0:7fff:ffff:ffff:ffff",
            "2001:db8:0:0:8000::",
            "2001:db8:0:1::",
            "7fff::",
            "8000::",
            "fbff:ffff::",
            "fc00::",
            "fdff::",
            "fe00::",
        ];
        let halves: Vec<_> =
            addresses.iter().map(|a| a.parse::<Address>().unwrap().halves()).collect();
        assert!(halves.is_sorted());
    }

    #[test]
    fn prefixes_read_and_write_themselves() {
        for text in
            ["192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0", "::/0", "198.51.100.7/32"]
        {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), text);
        }
        assert_eq!("192.0.2.1".parse::<Prefix>().unwrap().to_string(), "192.0.2.1/32");
    }

    #[test]
    fn bits_beyond_the_length_are_refused() {
        let message = "192.0.2.1/24".parse::<Prefix>().unwrap_err().to_string();
        assert!(message.contains("beyond the length"), "{message}");
        assert!("192.0.2.0/33".parse::<Prefix>().is_err());
    }

    #[test]
    fn shared_address_space_is_not_global() {
        for text in ["10.0.0.1", "100.64.0.1", "169.254.1.1", "fd00::1", "fe80::1"] {
            assert!(!text.parse::<Address>().unwrap().is_global(), "{text}");
        }
        assert!("100.128.0.1".parse::<Address>().unwrap().is_global());
    }
}

//! Ids that depend on what they name alone: UUIDs of version 5 (RFC 9562, 5.5).
//!
//! **Invariant:** the same name in the same space gives the same id on every machine, in
//! every run and in every form of output.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use uuid::Uuid;

/// An id.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Id(Uuid);

impl Id {
    /// The space of everything of ours: drawn once, at random, and fixed since.
    pub const OURS: Self =
        Self(Uuid::from_u128(0x3f6c_8a52_1d0b_4e77_9b1e_5a0c_c2d4_7e91));

    /// The space of STIX cyber-observables (STIX 2.1, 2.9).
    pub const STIX: Self =
        Self(Uuid::from_u128(0x00ab_edb4_aa42_466c_9c01_fed2_3315_a9b7));

    /// The id of `name` in the space `self`.
    #[must_use]
    pub fn of(self, name: &str) -> Self {
        let mut hash = Sha1::new();
        hash.update(self.0.as_bytes());
        hash.update(name.as_bytes());
        let mut bytes = [0; 16];
        for (byte, hashed) in bytes.iter_mut().zip(hash.finalize()) {
            *byte = hashed;
        }
        Self(uuid::Builder::from_sha1_bytes(bytes).into_uuid())
    }

    /// The id of the exposure of a portfolio row to a product.
    pub fn of_finding(subject: &str, product: &str) -> Self {
        // The length keeps apart what joining would mix.
        Self::OURS.of(&format!("finding:{}:{subject}:{product}", subject.len()))
    }

    /// The first eight bytes, as a number that looks random.
    pub fn spread(self) -> u64 {
        let (high, _) = self.0.as_u64_pair();
        high
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Not an id; carries the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id")]
pub struct BadId(String);

impl FromStr for Id {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        Uuid::try_parse(text).map(Self).map_err(|_| BadId(text.to_owned()))
    }
}

impl TryFrom<String> for Id {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_comes_out() {
        // RFC 9562, A.4: www.example.com in the space of DNS names.
        let dns: Id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8".parse().unwrap();
        assert_eq!(
            dns.of("www.example.com").to_string(),
            "2ed6657d-e927-568b-95e1-2665a8aea6a2"
        );
    }

    #[test]
    fn a_finding_keeps_apart_what_joining_would_mix() {
        assert_ne!(Id::of_finding("a:b", "c"), Id::of_finding("a", "b:c"));
        assert_eq!(Id::of_finding("a", "b"), Id::of_finding("a", "b"));
    }
}

//! What a vantage could see on a day: without it nobody can tell "gone" from "not looked".
//!
//! **Invariant:** the footprint is made from *every* flow, contact or not.

use std::collections::BTreeMap;

use roaring::{RoaringBitmap, RoaringTreemap};
use serde::Serialize;

use crate::{Address, Day, Month, Prefix, Reason, VantageId};

/// What one vantage read on one UTC day.
#[derive(Clone, Debug, PartialEq)]
pub struct Coverage {
    /// The vantage.
    pub vantage: VantageId,
    /// The day.
    pub day: Day,
    /// Flows read, contact or not.
    pub flows: u64,
    /// Flows that matched an endpoint.
    pub contacts: u64,
    /// Input that could not be used, by reason.
    pub losses: BTreeMap<Reason, u64>,
    /// The finest sampling seen: one packet in so many.
    pub sampling_min: u32,
    /// The coarsest sampling seen.
    pub sampling_max: u32,
    /// Sightings of control products are kept for one client in so many, chosen by a hash
    /// of the client; 1 keeps all.
    pub control_sampling: u32,
    /// Which hours of the day had any flow: bit `h` for UTC hour `h`. A gap is a 0 bit.
    pub hours: u32,
    /// The originator networks seen.
    pub footprint: Footprint,
}

impl Coverage {
    /// Coverage of a day of which nothing has been read yet.
    pub fn empty(vantage: VantageId, day: Day) -> Self {
        Self {
            vantage,
            day,
            flows: 0,
            contacts: 0,
            losses: BTreeMap::new(),
            sampling_min: u32::MAX,
            sampling_max: 1,
            control_sampling: 1,
            hours: 0,
            footprint: Footprint::default(),
        }
    }
}

/// What one vantage read in one calendar month, for people: tables and reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CoverageSummary {
    /// The vantage.
    pub vantage: VantageId,
    /// The month.
    pub month: Month,
    /// Days of the month that were asked for, with data or without.
    pub days: u32,
    /// Those of them on which any flow was read.
    pub days_with_data: u32,
    /// Flows read, contact or not.
    pub flows: u64,
    /// Flows that matched an endpoint.
    pub contacts: u64,
    /// Input that could not be used, by the word of its [`Reason`], sorted.
    pub losses: BTreeMap<String, u64>,
    /// The finest sampling on a day with data: one packet in so many; `None` without data.
    pub sampling_min: Option<u32>,
    /// The coarsest sampling on a day with data; `None` without data.
    pub sampling_max: Option<u32>,
    /// IPv4 /24s seen on any day.
    pub footprint_v4: u64,
    /// IPv6 /48s seen on any day.
    pub footprint_v6: u64,
    /// Days asked for on which nothing was read, in order.
    pub gaps: Vec<Day>,
    /// Hours without any flow on days that have data.
    pub hours_without_flows: u32,
}

/// The originator networks seen at all: IPv4 /24s and IPv6 /48s of global addresses.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Footprint {
    /// Upper 24 bits of IPv4 addresses.
    pub v4: RoaringBitmap,
    /// Upper 48 bits of IPv6 addresses.
    pub v6: RoaringTreemap,
}

impl Footprint {
    /// Notes that `originator` was seen. Private addresses leave no mark: they are the
    /// holder's, wherever they are seen.
    pub fn insert(&mut self, originator: Address) {
        if !originator.is_global() {
            return;
        }
        match originator.v4() {
            Some(v4) => _ = self.v4.insert(v4.to_bits() >> 8),
            None => _ = self.v6.insert(v6_block(originator)),
        }
    }

    /// Whether any address of the /24 or /48 around `address` was seen.
    pub fn contains(&self, address: Address) -> bool {
        match address.v4() {
            Some(v4) => self.v4.contains(v4.to_bits() >> 8),
            None => self.v6.contains(v6_block(address)),
        }
    }

    /// Adds what `other` saw.
    pub fn merge(&mut self, other: &Self) {
        self.v4 |= &other.v4;
        self.v6 |= &other.v6;
    }

    /// Each network seen, in order of address within a family.
    pub fn prefixes(&self) -> impl Iterator<Item = Prefix> + '_ {
        let v4 = self.v4.iter().map(|block| {
            let address = std::net::Ipv4Addr::from_bits(block << 8);
            Prefix::containing(Address::from(address), 96 + 24)
        });
        let v6 = self.v6.iter().map(|block| {
            Prefix::containing(Address::from_bits(u128::from(block) << 80), 48)
        });
        v4.chain(v6)
    }
}

fn v6_block(address: Address) -> u64 {
    u64::try_from(address.bits() >> 80).expect("48 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footprint_holds_networks_not_addresses() {
        let mut footprint = Footprint::default();
        for text in ["192.0.2.7", "2001:db8:1:2::3", "10.0.0.1"] {
            footprint.insert(text.parse().unwrap());
        }
        assert!(footprint.contains("192.0.2.99".parse().unwrap()));
        assert!(footprint.contains("2001:db8:1:ffff::".parse().unwrap()));
        assert!(!footprint.contains("192.0.3.1".parse().unwrap()));
        let prefixes: Vec<_> = footprint.prefixes().map(|p| p.to_string()).collect();
        assert_eq!(prefixes, ["192.0.2.0/24", "2001:db8:1::/48"]);
    }
}

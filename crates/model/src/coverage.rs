//! What a vantage could see on a day: without it nobody can tell "gone" from "not looked".
//!
//! **Invariant:** the footprint is made from *every* flow, contact or not.

use std::collections::BTreeMap;

use roaring::{RoaringBitmap, RoaringTreemap};
use serde::{Deserialize, Serialize};

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
    /// What each exporter sent, for telemetry that is exported: at most
    /// [`EXPORTERS_MAX`]; what more of them sent is in the totals alone.
    pub exporters: BTreeMap<Address, Exported>,
}

/// Exporters told apart on one day. Anybody can send datagrams with false source addresses;
/// picked by hand, above what the largest networks have.
pub const EXPORTERS_MAX: usize = 4_096;

/// What one exporter sent on one UTC day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Flows read.
    pub flows: u64,
    /// Records lost, by the word of the [`Reason`].
    pub losses: BTreeMap<String, u64>,
    /// The finest and the coarsest sampling it announced: one packet in so many. `None`
    /// without flows.
    pub announced: Option<(u32, u32)>,
    /// The finest and the coarsest sampling believed, with the vantage's overrides.
    pub applied: Option<(u32, u32)>,
}

impl Exported {
    /// Nothing yet.
    pub fn empty() -> Self {
        Self { flows: 0, losses: BTreeMap::new(), announced: None, applied: None }
    }

    /// Counts a flow.
    pub fn flow(&mut self, announced: u32, applied: u32) {
        self.flows += 1;
        self.announced = united(self.announced, Some((announced, announced)));
        self.applied = united(self.applied, Some((applied, applied)));
    }

    /// Counts lost records.
    pub fn loss(&mut self, reason: Reason, count: u64) {
        *self.losses.entry(reason.to_string()).or_default() += count;
    }

    /// Adds what another batch knows of the same exporter and day.
    pub fn merge(&mut self, other: &Self) {
        self.flows = self.flows.saturating_add(other.flows);
        for (reason, count) in &other.losses {
            let total = self.losses.entry(reason.clone()).or_default();
            *total = total.saturating_add(*count);
        }
        self.announced = united(self.announced, other.announced);
        self.applied = united(self.applied, other.applied);
    }
}

/// The least and the greatest of two ranges.
fn united(a: Option<(u32, u32)>, b: Option<(u32, u32)>) -> Option<(u32, u32)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (one, None) | (None, one) => one,
    }
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
            exporters: BTreeMap::new(),
        }
    }

    /// What `exporter` sent, to be counted; `None` beyond [`EXPORTERS_MAX`].
    pub fn exporter(&mut self, exporter: Address) -> Option<&mut Exported> {
        if self.exporters.len() >= EXPORTERS_MAX
            && !self.exporters.contains_key(&exporter)
        {
            return None;
        }
        Some(self.exporters.entry(exporter).or_insert_with(Exported::empty))
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
    /// What each exporter sent, by its address, for telemetry that is exported.
    pub exporters: BTreeMap<String, Exported>,
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

    /// Notes that each of `originators` was seen: what [`Self::insert`] does, for many at once, since
    /// a bitmap is made some fifty times faster of sorted values than of others.
    pub fn insert_each(&mut self, originators: impl IntoIterator<Item = Address>) {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for originator in originators {
            if !originator.is_global() {
                continue;
            }
            match originator.v4() {
                Some(address) => v4.push(address.to_bits() >> 8),
                None => v6.push(v6_block(originator)),
            }
        }
        v4.sort_unstable();
        v4.dedup();
        v6.sort_unstable();
        v6.dedup();
        self.v4 |= RoaringBitmap::from_sorted_iter(v4).expect("sorted, each once");
        self.v6 |= RoaringTreemap::from_sorted_iter(v6).expect("sorted, each once");
    }

    /// Whether any address of the /24 or /48 around `address` was seen.
    pub fn contains(&self, address: Address) -> bool {
        match address.v4() {
            Some(v4) => self.v4.contains(v4.to_bits() >> 8),
            None => self.v6.contains(v6_block(address)),
        }
    }

    /// Whether any network of `prefix`, or one around it, was seen.
    pub fn touches(&self, prefix: Prefix) -> bool {
        let (first, last) = (prefix.first(), prefix.last());
        match (first.v4(), last.v4()) {
            (Some(first), Some(last)) => {
                let blocks = first.to_bits() >> 8..=last.to_bits() >> 8;
                self.v4.range_cardinality(blocks) > 0
            }
            _ => self.v6.range_cardinality(v6_block(first)..=v6_block(last)) > 0,
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
        let touches = |prefix: &str| footprint.touches(prefix.parse().unwrap());
        for seen in
            ["192.0.0.0/16", "192.0.2.128/25", "2001:db8::/32", "2001:db8:1:9::/64"]
        {
            assert!(touches(seen), "{seen}");
        }
        for unseen in ["192.0.3.0/24", "192.0.1.0/24", "2001:db8:2::/48", "10.0.0.0/8"]
        {
            assert!(!touches(unseen), "{unseen}");
        }
        let mut again = Footprint::default();
        let each = ["2001:db8:1:2::3", "10.0.0.1", "192.0.2.7", "192.0.2.8"];
        again.insert_each(each.map(|text| text.parse().unwrap()));
        assert_eq!(again, footprint);
        let prefixes: Vec<_> = footprint.prefixes().map(|p| p.to_string()).collect();
        assert_eq!(prefixes, ["192.0.2.0/24", "2001:db8:1::/48"]);
    }
}

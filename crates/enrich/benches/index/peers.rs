//! The same table in other people's crates.

use std::net::{Ipv4Addr, Ipv6Addr};

use ip_network_table_deps_treebitmap::IpLookupTable;
use poptrie::Poptrie;
use prefix_trie::PrefixMap;

use super::input::{Addresses, Table};
use super::{Outcome, mmdb};

/// A table to look up in.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Calls the function with the value of each address.
    ask: Box<Ask>,
}

type Ask = dyn Fn(&Addresses, &mut dyn FnMut(Option<u32>));

impl Peer {
    /// `each` makes a loop over all addresses; the sum of it is what is measured.
    fn new(
        name: &'static str,
        ask: impl Fn(&Addresses, &mut dyn FnMut(Option<u32>)) + 'static,
    ) -> Self {
        Self { name, ask: Box::new(ask) }
    }

    pub(crate) fn values(&self, addresses: &Addresses) -> Vec<Option<u32>> {
        let mut values = Vec::with_capacity(addresses.list.len());
        (self.ask)(addresses, &mut |value| values.push(value));
        values
    }

    pub(crate) fn sum(&self, addresses: &Addresses) -> u64 {
        let mut sum = 0;
        (self.ask)(addresses, &mut |value| sum += value.map_or(0, u64::from));
        sum
    }
}

pub(crate) fn all(table: &Table, v6: bool) -> Outcome<Vec<Peer>> {
    let prefixes = table.prefixes();
    let mut peers = if v6 { of_v6(&prefixes) } else { of_v4(&prefixes)? };
    let reader = maxminddb::Reader::from_source(mmdb::written(&prefixes))?;
    peers.push(Peer::new("maxminddb", move |addresses, each| {
        for address in &addresses.list {
            let found = reader.lookup(address.ip()).ok();
            each(found.and_then(|found| found.decode::<u32>().ok().flatten()));
        }
    }));
    let firsts: Vec<u128> = table.ranges.iter().map(|r| r.0.bits()).collect();
    let rest: Vec<(u128, u32)> =
        table.ranges.iter().map(|r| (r.1.bits(), r.2)).collect();
    peers.push(Peer::new("sorted ranges, binary search", move |addresses, each| {
        for address in &addresses.v6 {
            let at = firsts.partition_point(|first| first <= address);
            let range = at.checked_sub(1).and_then(|at| rest.get(at));
            each(range.filter(|(last, _)| address <= last).map(|(_, asn)| *asn));
        }
    }));
    Ok(peers)
}

fn of_v4(prefixes: &[(u128, u32, u32)]) -> Outcome<Vec<Peer>> {
    let mut bitmap = IpLookupTable::new();
    let mut map: PrefixMap<(u32, u8), u32> = PrefixMap::new();
    let mut pop: Poptrie<(u32, u8), u32> = Poptrie::new();
    for (bits, length, asn) in prefixes {
        let bits = u32::try_from(bits & u128::from(u32::MAX))?;
        let length = length - 96;
        bitmap.insert(Ipv4Addr::from_bits(bits), length, *asn);
        map.insert((bits, u8::try_from(length)?), *asn);
        pop.insert((bits, u8::try_from(length)?), *asn);
    }
    Ok(vec![
        Peer::new("ip_network_table-deps-treebitmap", move |addresses, each| {
            for address in &addresses.v4 {
                let found = bitmap.longest_match(Ipv4Addr::from_bits(*address));
                each(found.map(|(_, _, asn)| *asn));
            }
        }),
        Peer::new("prefix-trie", move |addresses, each| {
            for address in &addresses.v4 {
                each(map.get_lpm(&(*address, 32)).map(|(_, asn)| *asn));
            }
        }),
        Peer::new("poptrie", move |addresses, each| {
            for address in &addresses.v4 {
                each(pop.lookup(*address).copied());
            }
        }),
    ])
}

fn of_v6(prefixes: &[(u128, u32, u32)]) -> Vec<Peer> {
    let mut bitmap = IpLookupTable::new();
    let mut map: PrefixMap<(u128, u8), u32> = PrefixMap::new();
    let mut pop: Poptrie<(u128, u8), u32> = Poptrie::new();
    for (bits, length, asn) in prefixes {
        let short = u8::try_from(*length).unwrap_or(128);
        bitmap.insert(Ipv6Addr::from_bits(*bits), *length, *asn);
        map.insert((*bits, short), *asn);
        pop.insert((*bits, short), *asn);
    }
    vec![
        Peer::new("ip_network_table-deps-treebitmap", move |addresses, each| {
            for address in &addresses.v6 {
                let found = bitmap.longest_match(Ipv6Addr::from_bits(*address));
                each(found.map(|(_, _, asn)| *asn));
            }
        }),
        Peer::new("prefix-trie", move |addresses, each| {
            for address in &addresses.v6 {
                each(map.get_lpm(&(*address, 128)).map(|(_, asn)| *asn));
            }
        }),
        Peer::new("poptrie", move |addresses, each| {
            for address in &addresses.v6 {
                each(pop.lookup(*address).copied());
            }
        }),
    ]
}

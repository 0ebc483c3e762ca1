//! Contacts, added up to the grain that is stored.
//!
//! **Invariant:** adding is commutative: sums, unions, earliest and latest.

use std::collections::HashMap;

use tidegauge_model::{
    Address, Client, Contact, Day, EndpointId, Grade, Instant, Sighting, Signal,
    SiteId, Vantage, VantageId, Volume,
};

use crate::catalog::Catalog;

/// The sightings of one vantage in the making.
#[derive(Debug, Default)]
pub(super) struct Tally {
    sums: HashMap<Key, Sum>,
}

/// In the order in which sightings are stored: endpoints lie in the catalog by their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    address: Address,
    day: Day,
    /// Position in the catalog.
    endpoint: usize,
    grade: Grade,
    signal: Signal,
    /// A client of the vantage's own site.
    private: bool,
}

#[derive(Debug)]
struct Sum {
    contacts: u64,
    sent: Option<Volume>,
    received: Option<Volume>,
    tcp_flags: u8,
    sampling: u32,
    first: Instant,
    last: Instant,
    hours: u32,
}

impl Tally {
    /// How many sightings there are so far.
    pub(super) fn len(&self) -> usize {
        self.sums.len()
    }

    /// Adds a contact with the endpoint at this position of the catalog.
    pub(super) fn add(&mut self, endpoint: usize, contact: &Contact) {
        let Contact { grade, signal, start, .. } = *contact;
        let Client { address, site } = &contact.client;
        let (address, private, day) = (*address, site.is_some(), start.day());
        let key = Key { address, day, endpoint, grade, signal, private };
        let sum = self.sums.entry(key).or_insert(Sum {
            contacts: 0,
            sent: None,
            received: None,
            tcp_flags: 0,
            sampling: 1,
            first: start,
            last: contact.end,
            hours: 0,
        });
        sum.contacts += 1;
        sum.sent = added(sum.sent, contact.sent);
        sum.received = added(sum.received, contact.received);
        sum.tcp_flags |= contact.tcp_flags.unwrap_or(0);
        sum.sampling = sum.sampling.max(contact.sampling.get());
        sum.first = sum.first.min(start);
        sum.last = sum.last.max(contact.end);
        sum.hours |= 1 << start.hour();
    }

    /// Every sighting, in the order in which they are stored.
    pub(super) fn sightings(
        self,
        vantage: &Vantage,
        catalog: &Catalog,
    ) -> Vec<Sighting> {
        let mut sums: Vec<_> = self.sums.into_iter().collect();
        sums.sort_unstable_by_key(|(key, _)| *key);
        // Names of their own: whoever writes a piece on another thread would else wait for
        // counters that this one counts on.
        let site = SiteId::new(vantage.site.as_str());
        let vantage = VantageId::new(vantage.id.as_str());
        let endpoints = catalog.endpoints().iter();
        let endpoints: Vec<_> =
            endpoints.map(|endpoint| EndpointId::new(endpoint.id.as_str())).collect();
        let sighting = |(key, sum): (Key, Sum)| {
            let site = key.private.then(|| site.clone());
            Some(Sighting {
                vantage: vantage.clone(),
                client: Client { address: key.address, site },
                endpoint: endpoints.get(key.endpoint)?.clone(),
                grade: key.grade,
                signal: key.signal,
                day: key.day,
                contacts: sum.contacts,
                bytes_sent: sum.sent.map(|v| v.bytes),
                packets_sent: sum.sent.map(|v| v.packets),
                bytes_received: sum.received.map(|v| v.bytes),
                packets_received: sum.received.map(|v| v.packets),
                tcp_flags: sum.tcp_flags,
                sampling: sum.sampling,
                first: sum.first,
                last: sum.last,
                hours: sum.hours,
            })
        };
        sums.into_iter().filter_map(sighting).collect()
    }
}

/// The sum of what was told; nothing if nothing was.
fn added(sum: Option<Volume>, more: Option<Volume>) -> Option<Volume> {
    match (sum, more) {
        (Some(a), Some(b)) => Some(Volume {
            bytes: a.bytes.saturating_add(b.bytes),
            packets: a.packets.saturating_add(b.packets),
        }),
        (one, None) | (None, one) => one,
    }
}

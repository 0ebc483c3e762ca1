//! Contacts, added up to the grain that is stored.
//!
//! **Invariant:** adding is commutative: sums, unions, earliest and latest.

use std::collections::HashMap;

use tidegauge_model::{
    Client, Contact, Day, Grade, Instant, Sighting, Signal, VantageId, Volume,
};

use crate::catalog::Catalog;

/// The sightings of one vantage in the making.
#[derive(Debug, Default)]
pub(super) struct Tally {
    sums: HashMap<Key, Sum>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// Position in the catalog.
    endpoint: usize,
    client: Client,
    day: Day,
    grade: Grade,
    signal: Signal,
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
    pub(super) fn add(&mut self, endpoint: usize, contact: Contact) {
        let Contact { client, grade, signal, start, .. } = contact;
        let key = Key { endpoint, client, day: start.day(), grade, signal };
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

    /// Every sighting, sorted by product, address, day, and then the rest of the grain.
    pub(super) fn sightings(
        self,
        vantage: &VantageId,
        catalog: &Catalog,
    ) -> Vec<Sighting> {
        let mut sums: Vec<_> = self
            .sums
            .into_iter()
            .filter_map(|(key, sum)| {
                Some((catalog.endpoints().get(key.endpoint)?, key, sum))
            })
            .collect();
        sums.sort_unstable_by(|(a_endpoint, a, _), (b_endpoint, b, _)| {
            let product = a_endpoint.product.cmp(&b_endpoint.product);
            let client = product.then_with(|| a.client.cmp(&b.client));
            client.then_with(|| {
                (a.day, a.endpoint, a.grade, a.signal)
                    .cmp(&(b.day, b.endpoint, b.grade, b.signal))
            })
        });
        let sighting =
            |(endpoint, key, sum): (&tidegauge_model::Endpoint, Key, Sum)| Sighting {
                vantage: vantage.clone(),
                client: key.client,
                endpoint: endpoint.id.clone(),
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
            };
        sums.into_iter().map(sighting).collect()
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

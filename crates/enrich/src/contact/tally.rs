//! Contacts, added up to the grain that is stored.
//!
//! A contact is written behind the others; when they have become twice as many, they are sorted and
//! summed up. Few clients come back within a day, so that a table of them would be asked in vain
//! most times, and miss the cache each time.
//!
//! **Invariant:** adding is commutative: sums, unions, earliest and latest.

use tidegauge_model::{
    Address, Client, Contact, Day, EndpointId, Grade, Instant, Sighting, Signal,
    SiteId, Vantage, VantageId, Volume,
};

use crate::catalog::Catalog;

/// The sightings of one vantage in the making.
#[derive(Debug, Default)]
pub(super) struct Tally {
    sums: Vec<(Key, Sum)>,
    /// So many of them, the first ones, are in order and each of a sighting of its own.
    summed: usize,
}

/// Contacts that are not summed up before there are as many.
const LOOSE_MIN: usize = 1 << 15;

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

#[derive(Clone, Copy, Debug)]
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

impl Sum {
    fn of(contact: &Contact) -> Self {
        Self {
            contacts: 1,
            sent: contact.sent,
            received: contact.received,
            tcp_flags: contact.tcp_flags.unwrap_or(0),
            sampling: contact.sampling.get(),
            first: contact.start,
            last: contact.end,
            hours: 1 << contact.start.hour(),
        }
    }

    fn add(&mut self, more: &Self) {
        self.contacts += more.contacts;
        self.sent = added(self.sent, more.sent);
        self.received = added(self.received, more.received);
        self.tcp_flags |= more.tcp_flags;
        self.sampling = self.sampling.max(more.sampling);
        self.first = self.first.min(more.first);
        self.last = self.last.max(more.last);
        self.hours |= more.hours;
    }
}

impl Tally {
    /// How many sightings there are so far, at most: contacts that are not summed up count each.
    pub(super) fn len(&self) -> usize {
        self.sums.len()
    }

    /// Whether there are as many sightings as `least`, or nearly.
    pub(super) fn has(&mut self, least: usize) -> bool {
        if self.sums.len() < least {
            return false;
        }
        self.sum_up();
        self.sums.len() >= least - least / 4
    }

    /// Adds a contact with the endpoint at this position of the catalog.
    pub(super) fn add(&mut self, endpoint: usize, contact: &Contact) {
        let Contact { grade, signal, start, .. } = *contact;
        let Client { address, site } = &contact.client;
        let (address, private, day) = (*address, site.is_some(), start.day());
        let key = Key { address, day, endpoint, grade, signal, private };
        self.sums.push((key, Sum::of(contact)));
        let loose = self.sums.len() - self.summed;
        if loose >= LOOSE_MIN.max(self.summed) {
            self.sum_up();
        }
    }

    /// Brings the sightings in order, each once.
    fn sum_up(&mut self) {
        if self.sums.len() == self.summed {
            return;
        }
        let places = self.sums.iter().enumerate().map(|(at, (key, _))| (*key, at));
        let mut places: Vec<(Key, usize)> = places.collect();
        places.sort_unstable();
        let mut summed: Vec<(Key, Sum)> = Vec::with_capacity(places.len());
        for (key, at) in places {
            let Some((_, sum)) = self.sums.get(at) else { continue };
            match summed.last_mut() {
                Some((last, all)) if *last == key => all.add(sum),
                _ => summed.push((key, *sum)),
            }
        }
        self.summed = summed.len();
        self.sums = summed;
    }

    /// Every sighting, in the order in which they are stored.
    pub(super) fn sightings(
        mut self,
        vantage: &Vantage,
        catalog: &Catalog,
    ) -> Vec<Sighting> {
        self.sum_up();
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
        self.sums.into_iter().filter_map(sighting).collect()
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

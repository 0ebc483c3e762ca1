//! Flows become contacts, contacts become sightings; every flow leaves its mark on coverage.
//!
//! **Invariant:** the order in which flows, answers and losses arrive changes nothing (but
//! see [`Settings::pending_max`]); each flow is counted once, in `flows` or as a loss. A
//! look-up by nobody known, or by a resolver, is a [`Resolution`] and counted apart.
//!
//! How an endpoint is recognised, best first:
//!
//! 1. by the name in the flow itself ([`Grade::Name`]);
//! 2. if the flow has no name: by the name that this client learnt for this address from
//!    DNS, within its time to live ([`Grade::Learnt`]);
//! 3. by an exclusive address ([`Grade::Address`]).
//!
//! A flow with a name that the catalog does not have is never matched by a learnt name: it
//! says itself what it is for, and one address serves many names. It is matched by an
//! exclusive address, since nobody else is served there. The responder of a DNS question is
//! a resolver and that of a CONNECT is a proxy, so their addresses and ports say nothing.

mod learnt;
mod named;
mod resolved;
mod signal;
mod tally;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use tidegauge_model::endpoint::Port;
use tidegauge_model::vantage::Clients;
use tidegauge_model::{
    Address, Answer, Client, Contact, Coverage, Day, Endpoint, Flow, Grade, Instant,
    Loss, NameOrigin, Protocol, Reason, Resolution, ResolvedDay, Sighting, Vantage,
};

use self::learnt::Learnt;
use self::named::Named;
use self::resolved::Resolved;
use self::tally::Tally;
use crate::catalog::{Catalog, Probe};

pub use self::signal::{RECEIVED_BYTES_SERVED, signal};

/// How an [`Observer`] works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Sightings of control products, which dwarf the rest, are kept for one client in so
    /// many, chosen by a stable hash of the client. 1 keeps all.
    pub control_share: NonZeroU32,
    /// Flows without a name wait for names learnt later, up to this many at once; beyond
    /// it they are settled by what is known so far, and [`Observed::settled_early`] counts
    /// them.
    pub pending_max: usize,
}

/// One million flows of some 160 bytes. Picked by hand, revisit.
const PENDING_MAX: usize = 1_000_000;

impl Default for Settings {
    fn default() -> Self {
        Self { control_share: NonZeroU32::MIN, pending_max: PENDING_MAX }
    }
}

/// Watches the flows of one vantage.
#[derive(Debug)]
pub struct Observer<'a> {
    vantage: &'a Vantage,
    catalog: &'a Catalog,
    /// Whether each endpoint of the catalog is of a control product.
    controls: Vec<bool>,
    settings: Settings,
    learnt: Learnt,
    named: Named,
    /// Flows without a name, until every answer is known.
    pending: Vec<Flow>,
    settled_early: u64,
    tally: Tally,
    resolved: Resolved,
    days: BTreeMap<Day, Watched>,
    undated: BTreeMap<Reason, u64>,
}

/// A day in the making.
#[derive(Debug)]
struct Watched {
    coverage: Coverage,
    /// Originators that its footprint lacks yet.
    unmarked: Vec<Address>,
}

/// Originators that wait to be marked in the footprint of their day, so that they are marked in
/// order: 128 KiB of them.
const UNMARKED_MAX: usize = 1 << 13;

impl Watched {
    fn mark(&mut self, originator: Address) {
        if self.unmarked.last() == Some(&originator) {
            return;
        }
        self.unmarked.push(originator);
        if self.unmarked.len() >= UNMARKED_MAX {
            self.coverage.footprint.insert_each(self.unmarked.drain(..));
        }
    }

    fn finish(mut self) -> Coverage {
        self.coverage.footprint.insert_each(self.unmarked);
        self.coverage
    }
}

/// What an [`Observer`] has seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Sorted by address, day, and then the rest of the grain, as they are stored.
    pub sightings: Vec<Sighting>,
    /// Look-ups that have no client, sorted by endpoint, network and day.
    pub resolutions: Vec<ResolvedDay>,
    /// One for each day, in order.
    pub coverage: Vec<Coverage>,
    /// Losses that no day could be given, because no flow was seen at all.
    pub undated_losses: BTreeMap<Reason, u64>,
    /// Flows without a name for which [`Settings::pending_max`] left no room to wait.
    pub settled_early: u64,
}

impl<'a> Observer<'a> {
    /// An observer that has seen nothing yet.
    pub fn new(vantage: &'a Vantage, catalog: &'a Catalog, settings: Settings) -> Self {
        let control = |endpoint: &Endpoint| {
            catalog.product(endpoint.product.as_str()).is_some_and(|p| p.control)
        };
        Self {
            vantage,
            catalog,
            controls: catalog.endpoints().iter().map(control).collect(),
            settings,
            learnt: Learnt::default(),
            named: Named::default(),
            pending: Vec::new(),
            settled_early: 0,
            tally: Tally::default(),
            resolved: Resolved::default(),
            days: BTreeMap::new(),
            undated: BTreeMap::new(),
        }
    }

    /// Learns a name, if the catalog has it.
    pub fn answer(&mut self, answer: &Answer) {
        // What a resolver was told, it did not ask for itself.
        if self.vantage.clients == Clients::Hosts && self.catalog.knows(&answer.host) {
            self.learnt.insert(answer);
        }
    }

    /// Notes a look-up that has no client. It leaves no mark on coverage: it says nothing
    /// of which clients could be seen.
    pub fn resolution(&mut self, resolution: &Resolution) {
        self.resolved.add(self.catalog, resolution);
    }

    /// Watches a flow.
    pub fn flow(&mut self, flow: &Flow) {
        if let Some(resolution) = self.asked_by_resolver(flow) {
            self.resolution(&resolution);
            return;
        }
        let counted =
            self.cover(flow.originator, flow.start, flow.sampling, flow.exporter);
        if !counted {
            return;
        }
        if flow.name.is_none() && self.may_be_learnt(flow) {
            self.wait(flow);
        } else {
            self.recognise(flow);
        }
    }

    /// Watches a flow that is known not to be a contact: one without a name, for whose
    /// responder [`Self::may_match`] says no, or one whose name the catalog does not know.
    pub fn other(&mut self, originator: Address, start: Instant, sampling: NonZeroU32) {
        self.cover(originator, start, sampling, None);
    }

    /// Whether a flow to `responder` can be a contact by its address: of its own, or by
    /// a name that some client learnt for it so far.
    pub fn may_match(&self, responder: Address) -> bool {
        self.learnt.has_server(responder) || self.catalog.knows_address(responder)
    }

    /// Counts a flow for coverage; says whether its originator can be a client.
    fn cover(
        &mut self,
        originator: Address,
        start: Instant,
        announced: NonZeroU32,
        exporter: Option<Address>,
    ) -> bool {
        let sampling = self.vantage.sampling(exporter, announced);
        let private = self.vantage.is_private(originator);
        let day = self.day(start.day());
        let coverage = &mut day.coverage;
        if !originator.is_unicast() {
            *coverage.losses.entry(Reason::Address).or_default() += 1;
            return false;
        }
        coverage.flows += 1;
        coverage.hours |= 1 << start.hour();
        coverage.sampling_min = coverage.sampling_min.min(sampling.get());
        coverage.sampling_max = coverage.sampling_max.max(sampling.get());
        if let Some(sent) = exporter.and_then(|e| coverage.exporter(e)) {
            sent.flow(announced.get(), sampling.get());
        }
        if !private {
            day.mark(originator);
        }
        true
    }

    /// Notes a loss.
    pub fn loss(&mut self, loss: &Loss) {
        let Some(day) = loss.day else {
            *self.undated.entry(loss.reason).or_default() += loss.count;
            return;
        };
        let coverage = &mut self.day(day).coverage;
        *coverage.losses.entry(loss.reason).or_default() += loss.count;
        if let Some(sent) = loss.exporter.and_then(|e| coverage.exporter(e)) {
            sent.loss(loss.reason, loss.count);
        }
    }

    /// Everything seen. Losses without a day are given to the first day that has flows.
    pub fn finish(mut self) -> Observed {
        self.take()
    }

    /// Everything seen since the last time, for telemetry that never ends. Names learnt
    /// stay as long as they can hold at `now`, so that the next flows find them.
    pub fn drain(&mut self, now: Instant) -> Observed {
        let observed = self.take();
        self.learnt.forget(now);
        observed
    }

    /// How many sightings it holds, at most, and flows that wait: what its memory grows with.
    pub fn held(&self) -> usize {
        self.tally.len() + self.pending.len()
    }

    /// The sightings so far, if there are nearly as many as `most`: a piece of what
    /// [`Self::finish`] would give, so that they need not all be held. What comes later makes
    /// sightings anew.
    pub fn piece(&mut self, most: usize) -> Option<Vec<Sighting>> {
        self.tally.has(most).then(|| {
            std::mem::take(&mut self.tally).sightings(self.vantage, self.catalog)
        })
    }

    fn take(&mut self) -> Observed {
        self.settle();
        // Without any answer, waiting could not have changed a thing.
        let no_names = self.learnt.is_empty();
        let settled_early = std::mem::take(&mut self.settled_early);
        let first = self.days.values_mut().find(|day| day.coverage.flows > 0);
        if let Some(first) = first {
            for (reason, count) in std::mem::take(&mut self.undated) {
                *first.coverage.losses.entry(reason).or_default() += count;
            }
        }
        Observed {
            sightings: std::mem::take(&mut self.tally)
                .sightings(self.vantage, self.catalog),
            resolutions: std::mem::take(&mut self.resolved)
                .days(&self.vantage.id, self.catalog),
            coverage: std::mem::take(&mut self.days)
                .into_values()
                .map(Watched::finish)
                .collect(),
            undated_losses: std::mem::take(&mut self.undated),
            settled_early: if no_names { 0 } else { settled_early },
        }
    }

    /// A DNS question at a vantage where only resolvers ask: its originator is no client.
    fn asked_by_resolver(&self, flow: &Flow) -> Option<Resolution> {
        let name = flow.name.as_ref()?;
        let resolver = self.vantage.clients == Clients::Resolvers
            && name.origin == NameOrigin::DnsQuestion;
        resolver.then(|| Resolution {
            host: std::sync::Arc::clone(&name.host),
            client: None,
            addresses: Vec::new(),
            first: flow.start,
            last: flow.end,
            count: 1,
        })
    }

    fn day(&mut self, day: Day) -> &mut Watched {
        self.days.entry(day).or_insert_with(|| {
            let mut coverage = Coverage::empty(self.vantage.id.clone(), day);
            coverage.control_sampling = self.settings.control_share.get();
            Watched { coverage, unmarked: Vec::new() }
        })
    }

    /// Whether a name learnt from DNS could still tell what the flow is for. Products do
    /// not use other protocols; and a private responder is no vendor's server, whatever
    /// DNS said: filtering resolvers answer with such addresses.
    fn may_be_learnt(&self, flow: &Flow) -> bool {
        matches!(flow.protocol, Protocol::TCP | Protocol::UDP)
            && !self.vantage.is_private(flow.responder)
    }

    fn wait(&mut self, flow: &Flow) {
        if self.pending.len() >= self.settings.pending_max {
            let count =
                u64::try_from(self.pending.len()).expect("memory is below 2^64");
            self.settled_early += count;
            self.settle();
        }
        self.pending.push(flow.clone());
    }

    /// Matches the flows that waited by what their clients have learnt.
    fn settle(&mut self) {
        for flow in std::mem::take(&mut self.pending) {
            let learnt = self.learnt.host(flow.originator, flow.responder, flow.start);
            let probe = Probe { host: learnt.map(|h| &**h), ..direct(&flow) };
            let found = self.catalog.find_at(&probe);
            if let Some((endpoint, grade)) = found {
                let learnt = if grade == Grade::Name { Grade::Learnt } else { grade };
                self.matched(&flow, endpoint, learnt);
            }
        }
    }

    /// Matches a flow that has all the name it will ever have.
    fn recognise(&mut self, flow: &Flow) {
        let probe = match &flow.name {
            None => direct(flow),
            Some(name) => {
                let probe = Probe {
                    host: Some(&name.host),
                    request: name.request.as_deref(),
                    ..direct(flow)
                };
                match name.origin {
                    NameOrigin::TlsSni | NameOrigin::HttpHost => probe,
                    NameOrigin::ConnectTarget | NameOrigin::DnsQuestion => {
                        Probe { address: None, port: None, ..probe }
                    }
                }
            }
        };
        let found = match &flow.name {
            Some(name) if name.request.is_none() => {
                let candidates = self.named.candidates(self.catalog, &name.host);
                self.catalog.find_among(&probe, candidates.as_deref().unwrap_or(&[]))
            }
            _ => self.catalog.find_at(&probe),
        };
        if let Some((endpoint, grade)) = found {
            self.matched(flow, endpoint, grade);
        }
    }

    /// Counts a contact with the endpoint at this position of the catalog.
    fn matched(&mut self, flow: &Flow, at: usize, grade: Grade) {
        let catalog = self.catalog;
        let Some(endpoint) = catalog.endpoints().get(at) else { return };
        let client = self.vantage.client(flow.originator);
        self.day(flow.start.day()).coverage.contacts += 1;
        let control = self.controls.get(at) == Some(&true);
        if control && !is_kept(&client, self.settings.control_share) {
            return;
        }
        let sampling = self.vantage.sampling(flow.exporter, flow.sampling);
        let contact = Contact {
            client,
            endpoint: endpoint.id.clone(),
            grade,
            signal: signal(flow, endpoint.role, sampling),
            start: flow.start,
            end: flow.end,
            sent: flow.sent,
            received: flow.received,
            tcp_flags: flow.tcp_flags,
            sampling,
        };
        self.tally.add(at, &contact);
    }
}

/// What is known about a flow whose responder is the server itself.
fn direct(flow: &Flow) -> Probe<'_> {
    Probe {
        host: None,
        request: None,
        address: Some(flow.responder),
        port: Some(Port { number: flow.responder_port, protocol: flow.protocol }),
        day: flow.start.day(),
    }
}

/// Whether the client is one of those whose control sightings are kept. The hash is
/// written out here because the same clients must be kept by every build, forever.
pub fn is_kept(client: &Client, one_in: NonZeroU32) -> bool {
    let site = client.site.as_ref().map_or(&[][..], |site| site.as_str().as_bytes());
    let address = client.address.bits().to_be_bytes();
    // FNV-1a, then the finisher of SplitMix64: FNV alone leaves the low bits of
    // neighbouring addresses alike.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in address.iter().chain(site) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (hash ^ (hash >> 31)).is_multiple_of(u64::from(one_in.get()))
}

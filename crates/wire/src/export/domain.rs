//! What is remembered of one exporter: templates, sampling, sequence.
//!
//! **Invariant:** bounded by [`TEMPLATES_MAX`] and [`SAMPLERS_MAX`], whatever it sends.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;

use tidegauge_model::Address;

use super::element::{Dialect, Slot};
use super::record::{Values, own_rate};
use super::sequence::Sequence;
use super::template::Template;

/// Templates of one domain. Picked by hand: routers have tens, nProbe a few hundred.
const TEMPLATES_MAX: usize = 1_024;
/// Samplers of one domain. Picked by hand: a sampler an interface of a large router.
const SAMPLERS_MAX: usize = 4_096;

/// Which protocol a stream of datagrams is.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Export {
    /// NetFlow v5.
    NetflowV5,
    /// NetFlow v7.
    NetflowV7,
    /// NetFlow v9 (RFC 3954).
    NetflowV9,
    /// IPFIX (RFC 7011).
    Ipfix,
    /// sFlow v5.
    Sflow,
}

impl Export {
    /// The word used in messages and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NetflowV5 => "netflow_v5",
            Self::NetflowV7 => "netflow_v7",
            Self::NetflowV9 => "netflow_v9",
            Self::Ipfix => "ipfix",
            Self::Sflow => "sflow",
        }
    }
}

/// Whose state it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    /// `None` in a file of messages.
    pub(super) exporter: Option<Address>,
    /// Source port where it is part of the session (RFC 7011, 2: Transport Session), else 0:
    /// RFC 3954, 5.1 tells NetFlow v9 exporters apart by address and source id.
    pub(super) port: u16,
    pub(super) export: Export,
    /// Observation domain, source id, or engine.
    pub(super) domain: u32,
}

/// Counters of one exporter, since it was first seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Datagrams received.
    pub datagrams: u64,
    /// Records of flows: each is a flow, an event, or lost.
    pub records: u64,
    /// Records that became flows.
    pub flows: u64,
    /// Records of events that another record tells with volumes.
    pub events: u64,
    /// Records of options.
    pub options: u64,
    /// Records of flows that could not be used.
    pub lost: u64,
    /// Templates announced, repetitions included.
    pub announced: u64,
    /// Templates withdrawn.
    pub withdrawn: u64,
    /// Units missing in its sequence: flows (v5, v7), records (IPFIX), datagrams (v9).
    pub missed: u64,
    /// Sets now waiting for their template.
    pub held: u64,
}

/// The state of one exporter.
#[derive(Debug, Default)]
pub(super) struct Domain {
    pub(super) templates: HashMap<u16, Arc<Template>>,
    pub(super) sampling: Sampling,
    /// When the exporter started, in milliseconds since 1970 (`systemInitTime`, 160).
    pub(super) init_millis: Option<u64>,
    pub(super) sequence: Sequence,
    pub(super) tally: Tally,
    /// Who sent its last datagram: for sFlow not always the exporter.
    pub(super) sender: Option<Address>,
    /// The number of the last datagram of all, for who was silent for longest.
    pub(super) last: u64,
}

impl Domain {
    /// A datagram came, the `number`th of all.
    pub(super) fn heard(&mut self, sender: Option<Address>, number: u64) {
        self.sender = sender;
        self.last = number;
        self.tally.datagrams += 1;
    }

    /// Takes a template. Returns how many fields more are remembered now, or `None` if there
    /// is no room for it.
    pub(super) fn define(&mut self, id: u16, template: Template) -> Option<isize> {
        self.tally.announced += 1;
        let size =
            |t: &Arc<Template>| isize::try_from(t.fields.len()).unwrap_or(isize::MAX);
        if let Some(known) = self.templates.get(&id) {
            if known.fields == template.fields && known.options == template.options {
                return Some(0);
            }
        } else if self.templates.len() >= TEMPLATES_MAX {
            return None;
        }
        let template = Arc::new(template);
        let more = size(&template);
        let before = self.templates.insert(id, template);
        Some(more - before.as_ref().map_or(0, size))
    }

    /// Forgets a template, or all of flows or of options (RFC 7011, 8.1). Returns how many
    /// fields that were.
    pub(super) fn withdraw(&mut self, id: u16, options: bool) -> isize {
        let before = self.fields();
        let count = self.templates.len();
        if id < super::message::DATA_SETS {
            self.templates.retain(|_, template| template.options != options);
        } else {
            self.templates.remove(&id);
        }
        let gone = count - self.templates.len();
        self.tally.withdrawn += u64::try_from(gone).unwrap_or(u64::MAX);
        before - self.fields()
    }

    /// Fields of all templates.
    pub(super) fn fields(&self) -> isize {
        let fields: usize = self.templates.values().map(|t| t.fields.len()).sum();
        isize::try_from(fields).unwrap_or(isize::MAX)
    }

    /// Learns from a record of options: sampling rates, and when the exporter started.
    pub(super) fn learn(&mut self, values: &Values<'_>) {
        if let Some(rate) = own_rate(values) {
            self.sampling.announce(values.get(Slot::SAMPLER), rate);
        }
        if let Some(millis) = values.get(Slot::INIT_MILLIS).filter(|m| *m != 0) {
            self.init_millis = Some(millis);
        }
    }
}

/// Sampling rates that an exporter announced.
#[derive(Debug, Default, Clone)]
pub(super) struct Sampling {
    /// For the whole domain.
    pub(super) whole: Option<NonZeroU32>,
    /// By sampler (`samplerId`, 48) or selector (302).
    pub(super) samplers: BTreeMap<u64, NonZeroU32>,
}

impl Sampling {
    pub(super) fn announce(&mut self, sampler: Option<u64>, rate: NonZeroU32) {
        match sampler {
            None => self.whole = Some(rate),
            Some(id)
                if self.samplers.len() < SAMPLERS_MAX
                    || self.samplers.contains_key(&id) =>
            {
                self.samplers.insert(id, rate);
            }
            Some(_) => {}
        }
    }

    /// The rate of a record: of its sampler, else of the domain, else, if the record names
    /// none, of the only sampler that there is.
    pub(super) fn rate(&self, sampler: Option<u64>) -> Option<NonZeroU32> {
        if let Some(rate) = sampler.and_then(|id| self.samplers.get(&id)) {
            return Some(*rate);
        }
        let only = || {
            let mut rates = self.samplers.values();
            let first = rates.next().copied();
            first.filter(|_| rates.next().is_none() && sampler.unwrap_or(0) == 0)
        };
        self.whole.or_else(only)
    }
}

impl Key {
    /// Which templates its messages bear.
    pub(super) fn dialect(&self) -> Option<Dialect> {
        match self.export {
            Export::NetflowV9 => Some(Dialect::V9),
            Export::Ipfix => Some(Dialect::Ipfix),
            Export::NetflowV5 | Export::NetflowV7 | Export::Sflow => None,
        }
    }
}

//! One append: what was made from a set of inputs, and how it is named.
//!
//! **Invariant:** sightings are sorted by address and day within each month: counting merges
//! files in this order; and the same batch gives the same rows in the same order, however
//! it was made.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use tidegauge_model::count::Release;
use tidegauge_model::{
    Coverage, Day, EndpointId, Instant, Month, ResolvedDay, Sighting, VantageId,
};

use crate::Fingerprint;
use crate::rows::{exporters_text, footprint_v4, footprint_v6, losses_text};

/// What is appended at once: all of it gets in, or none.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Where it was seen.
    pub vantage: VantageId,
    /// The inputs it was made from. Each gets into the lake once for a vantage.
    pub inputs: Vec<Fingerprint>,
    /// What was found; may be empty.
    pub sightings: Vec<Sighting>,
    /// What could be seen, one for each day.
    pub coverage: Vec<Coverage>,
    /// Look-ups that have no client; may be empty.
    pub resolutions: Vec<ResolvedDay>,
    /// The run that made it.
    pub run: RunRecord,
}

/// A release as it was published.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Names it: the run that made it and its place among what that run released.
    pub id: String,
    /// When it was made.
    pub made: Instant,
    /// What was shown.
    pub release: Release,
}

/// What was run, on what, with which versions.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct RunRecord {
    /// Names the run; the same id is recorded once.
    pub id: String,
    /// When it began.
    pub started: Instant,
    /// When it ended.
    pub finished: Instant,
    /// The verb.
    pub verb: String,
    /// Its arguments.
    pub arguments: serde_json::Value,
    /// Versions of program, catalog and atlas.
    pub versions: serde_json::Value,
    /// Its inputs, by name.
    pub inputs: serde_json::Value,
    /// How it ended, in words.
    pub outcome: String,
}

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The rows are in the lake now.
    Stored {
        /// The version of the table that first has them.
        version: i64,
        /// How many.
        rows: u64,
    },
    /// They were in before; nothing was changed.
    AlreadyThere,
}

/// A batch in its one order, with its name.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) id: String,
    /// Sorted, each once.
    pub(crate) inputs: Vec<Fingerprint>,
    pub(crate) months: BTreeMap<Month, Vec<Sighting>>,
    /// Sorted by day.
    pub(crate) coverage: Vec<Coverage>,
    /// Sorted by month, then as they are stored.
    pub(crate) resolutions: Vec<ResolvedDay>,
    pub(crate) vantage: VantageId,
    pub(crate) run: RunRecord,
}

impl From<Batch> for Prepared {
    fn from(batch: Batch) -> Self {
        let Batch {
            vantage,
            mut inputs,
            sightings,
            mut coverage,
            mut resolutions,
            run,
        } = batch;
        inputs.sort_unstable();
        inputs.dedup();
        coverage.sort_by(|a, b| (&a.vantage, a.day).cmp(&(&b.vantage, b.day)));
        resolutions.sort_by(|a, b| {
            let month = a.day.month().cmp(&b.day.month());
            month.then_with(|| {
                (&a.endpoint, a.client, a.day, &a.vantage).cmp(&(
                    &b.endpoint,
                    b.client,
                    b.day,
                    &b.vantage,
                ))
            })
        });
        let months = sorted(sightings);
        let id = name(&vantage, &inputs, &coverage, &resolutions);
        Self { id, inputs, months, coverage, resolutions, vantage, run }
    }
}

impl Prepared {
    /// The transaction that says the batch is in.
    pub(crate) fn transaction(&self) -> String {
        batch_transaction(&self.id)
    }

    /// The transactions of its inputs, in their order.
    pub(crate) fn input_transactions(&self) -> impl Iterator<Item = String> {
        self.inputs.iter().map(|input| input_transaction(&self.vantage, input))
    }
}

/// The transaction of an input at a vantage.
pub(crate) fn input_transaction(vantage: &VantageId, input: &Fingerprint) -> String {
    format!("input:{vantage}:{input}")
}

/// The transaction of the append that wrote coverage with this id.
pub(crate) fn batch_transaction(id: &str) -> String {
    format!("batch:{id}")
}

/// The name of a batch: a hash over its vantage, its inputs, its coverage and resolutions.
/// The last two are in the name because they are written before the commit that decides:
/// rows that a crashed attempt left behind must not pass for those of a later attempt that
/// read the same inputs in another way.
fn name(
    vantage: &VantageId,
    inputs: &[Fingerprint],
    coverage: &[Coverage],
    resolutions: &[ResolvedDay],
) -> String {
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
        digest.update(bytes);
    };
    part(vantage.as_str().as_bytes());
    for input in inputs {
        part(input.as_bytes());
    }
    for c in coverage {
        part(c.vantage.as_str().as_bytes());
        part(&c.day.0.to_le_bytes());
        part(&c.flows.to_le_bytes());
        part(&c.contacts.to_le_bytes());
        part(losses_text(&c.losses).as_bytes());
        for number in [c.sampling_min, c.sampling_max, c.control_sampling, c.hours] {
            part(&number.to_le_bytes());
        }
        part(&footprint_v4(&c.footprint));
        part(&footprint_v6(&c.footprint));
        part(exporters_text(c).unwrap_or_default().as_bytes());
    }
    for r in resolutions {
        part(r.vantage.as_str().as_bytes());
        part(r.endpoint.as_str().as_bytes());
        let network = r.client.map(|p| (p.first().bits(), p.length()));
        let (bits, length) = network.map_or((0, u8::MAX), |network| network);
        part(&bits.to_le_bytes());
        part(&[length]);
        part(&r.day.0.to_le_bytes());
        part(&r.count.to_le_bytes());
        part(&r.first.0.to_le_bytes());
        part(&r.last.0.to_le_bytes());
    }
    Fingerprint::from_sha256(digest.finalize().into()).to_string()
}

/// The sightings of each month, in the order in which they are stored.
pub(crate) fn sorted(sightings: Vec<Sighting>) -> BTreeMap<Month, Vec<Sighting>> {
    let mut months = by_month(sightings);
    for sightings in months.values_mut() {
        sightings.sort_unstable_by(stored_order);
    }
    months
}

fn by_month(sightings: Vec<Sighting>) -> BTreeMap<Month, Vec<Sighting>> {
    let mut months: BTreeMap<Month, Vec<Sighting>> = BTreeMap::new();
    // Calendar arithmetic is done once for each day that differs from the one before it.
    let mut last: Option<(Day, Month)> = None;
    for sighting in sightings {
        let month = match last {
            Some((day, month)) if day == sighting.day => month,
            _ => sighting.day.month(),
        };
        last = Some((sighting.day, month));
        months.entry(month).or_default().push(sighting);
    }
    months
}

/// Address, day; the rest only so that the order does not depend on how the rows came.
fn stored_order(a: &Sighting, b: &Sighting) -> Ordering {
    let first = |s: &Sighting| (s.client.address, s.day);
    let rest = |s: &Sighting| (s.grade, s.signal);
    first(a)
        .cmp(&first(b))
        .then_with(|| endpoint_order(&a.endpoint, &b.endpoint))
        .then_with(|| rest(a).cmp(&rest(b)))
        .then_with(|| a.client.site.cmp(&b.client.site))
        .then_with(|| a.vantage.cmp(&b.vantage))
}

/// As by text; ids that share their text are equal without a look at it.
fn endpoint_order(a: &EndpointId, b: &EndpointId) -> Ordering {
    let (a, b) = (a.as_str(), b.as_str());
    if std::ptr::eq(a, b) { Ordering::Equal } else { a.cmp(b) }
}

//! The map of holders: what the atlas answers, apart from the tables that it answers from.
//!
//! ```text
//! tables ─► Atlas ─► HolderMap ─► tenures, counts, comparisons, draws
//!             │          └─► bytes ─► HolderMap, in another process
//!             └─► look-ups with their grounds
//! ```
//!
//! **Invariant:** a map that was read from its bytes answers as the one that wrote them.
//! Whoever keeps the bytes says beside them what they were made of, and by which program:
//! their form is no promise to any other.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use tidegauge_model::{
    Address, Attribution, Client, Day, DayRange, Gap, Holders, OrgId, Organisation,
    Run, SiteId, Standing, Tenure,
};

use super::build::{Atlas, Table};
use super::held::{Held, HeldIndex};

/// Who held which address when, and what is known of whoever did.
#[derive(Debug, Serialize, Deserialize)]
pub struct HolderMap {
    held: HeldIndex,
    /// Whose private clients are.
    sites: HashMap<SiteId, Attribution>,
    /// Everybody that the map names, and who owns them.
    organisations: HashMap<OrgId, Organisation>,
    /// How gaps between snapshots were filled.
    pub(super) gap: Gap,
    tables: Vec<Table>,
}

/// A stretch of days with one answer.
pub(super) struct Span {
    pub(super) days: DayRange,
    pub(super) attribution: Attribution,
    /// The whole gap it lies in, if two snapshots around it differ.
    pub(super) disputed: Option<DayRange>,
}

/// Bytes that are no map of this program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no map of holders of this program")]
pub struct BadMap;

impl HolderMap {
    pub(super) fn of(atlas: &Atlas) -> Self {
        let held = HeldIndex::build(atlas);
        let sites = atlas.sites.keys().map(|site| (site.clone(), atlas.at_site(site)));
        let sites: HashMap<_, _> = sites.collect();
        let named = held.attributions.iter().chain(sites.values());
        let mut open: Vec<OrgId> =
            named.filter_map(|a| a.organisation.clone()).collect();
        let mut organisations = HashMap::new();
        while let Some(id) = open.pop() {
            if organisations.contains_key(&id) {
                continue;
            }
            let Some(organisation) = atlas.organisation(&id) else { continue };
            open.extend(organisation.parent.clone());
            organisations.insert(id, organisation);
        }
        let tables = atlas.notes().tables.clone();
        Self { held, sites, organisations, gap: atlas.gap, tables }
    }

    /// The map as bytes, for [`Self::from_bytes`] of the same program.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a map is plain data")
    }

    /// The map that was written as `bytes`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadMap> {
        postcard::from_bytes(bytes).map_err(|_| BadMap)
    }

    /// The tables of ranges that it was made of.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Who held a global `address` on `day`.
    #[inline]
    pub fn held(&self, address: Address, day: Day) -> Held<'_> {
        self.held.on(self.held.index.find(address), day)
    }

    /// The same for many addresses, one answer each, appended to `found`. Faster than one
    /// by one where the addresses are far from each other.
    pub fn held_each<'a>(
        &'a self,
        addresses: &[Address],
        day: Day,
        found: &mut Vec<Held<'a>>,
    ) {
        let mut values = Vec::new();
        self.held.index.find_each(addresses, &mut values);
        found.extend(values.into_iter().map(|value| self.held.on(value, day)));
    }

    /// The same for sorted addresses, by merging them with the ranges of the map: runs
    /// of places in `addresses`, in order, that cover them all.
    pub fn join<'a>(
        &'a self,
        addresses: &'a [Address],
        day: Day,
    ) -> impl Iterator<Item = (Range<usize>, Held<'a>)> {
        let runs = self.held.index.join(addresses);
        runs.map(move |(run, value)| (run, self.held.on(value, day)))
    }

    /// Who a client was on a day: the same as its tenure there, without a list.
    pub fn attribute(&self, client: &Client, day: Day) -> Attribution {
        match &client.site {
            Some(site) => self.at_site(site),
            None => self.held(client.address, day).attribution(),
        }
    }

    /// Bytes of the index that look-ups use, and how many ranges it has.
    pub fn index_size(&self) -> (usize, usize) {
        (self.held.bytes(), self.held.index.len())
    }

    /// Every range of addresses that a table names, in order, but blocks of pseudonyms: its
    /// first and last address, and its tenures that cover `days`.
    pub fn ranges(
        &self,
        days: DayRange,
    ) -> impl Iterator<Item = (Address, Address, Vec<Tenure>)> {
        let ranges = self.held.index.ranges();
        let ranges = ranges.map(|(first, last, _)| (Address::from_bits(first), last));
        ranges.filter(|(first, _)| !first.is_pseudonym()).map(move |(first, last)| {
            (first, Address::from_bits(last), self.tenures_of(first, days))
        })
    }

    /// Every range of the index, in order, with what is held there on two days.
    pub(super) fn ranges_on(
        &self,
        a: Day,
        b: Day,
    ) -> impl Iterator<Item = (u128, u128, Held<'_>, Held<'_>)> {
        let ranges = self.held.index.ranges();
        let of_addresses = |(first, _, _): &(u128, u128, u32)| {
            !Address::from_bits(*first).is_pseudonym()
        };
        let on = |value, day| self.held.on(Some(value), day);
        ranges
            .filter(of_addresses)
            .map(move |(first, last, value)| (first, last, on(value, a), on(value, b)))
    }

    /// The tenures of a global address that cover `days`.
    pub(super) fn tenures_of(&self, address: Address, days: DayRange) -> Vec<Tenure> {
        let mut tenures: Vec<Tenure> = Vec::new();
        for Span { days, attribution, .. } in self.stretches(address, days) {
            match tenures.last_mut() {
                Some(last) if last.attribution == attribution => {
                    last.days = DayRange::new(last.days.first(), days.last())
                        .expect("stretches are in order");
                }
                _ => tenures.push(Tenure { days, attribution }),
            }
        }
        tenures
    }

    /// Stretches that cover `days`, in order, within which nothing changes.
    pub(super) fn stretches(&self, address: Address, days: DayRange) -> Vec<Span> {
        let held = &self.held;
        let value = held.index.find(address);
        let span = |days: DayRange| {
            let on = held.on(value, days.first());
            let disputed = on.is_disputed();
            Span {
                days,
                attribution: on.attribution(),
                disputed: disputed.then(|| held.dispute(value, days.first())).flatten(),
            }
        };
        held.alike(value, days).into_iter().map(span).collect()
    }

    /// The first address of the range of the index that `address` lies in.
    pub(super) fn range_start(&self, address: Address) -> u128 {
        self.held.index.start(address)
    }

    pub(super) fn standing_of(&self, address: Address, day: Day) -> Standing {
        standing(address, &self.held(address, day))
    }

    /// The standings of a global address that cover `days`.
    fn standings_of(
        &self,
        address: Address,
        days: DayRange,
    ) -> Vec<(DayRange, Standing)> {
        let held = &self.held;
        let value = held.index.find(address);
        let told =
            |days: DayRange| (days, standing(address, &held.on(value, days.first())));
        held.alike_proven(value, days).into_iter().map(told).collect()
    }

    fn at_site(&self, site: &SiteId) -> Attribution {
        self.sites.get(site).cloned().unwrap_or(Attribution::UNATTRIBUTED)
    }
}

impl Holders for HolderMap {
    fn tenures(&self, client: &Client, days: DayRange) -> Vec<Tenure> {
        match &client.site {
            Some(site) => vec![Tenure { days, attribution: self.at_site(site) }],
            None => self.tenures_of(client.address, days),
        }
    }

    fn run(&self, address: Address, before: usize) -> Run {
        let (place, value, last) = self.held.index.run(address, before);
        let (last, frozen) = (Address::from_bits(last), address.is_pseudonym());
        if frozen != last.is_pseudonym() {
            return Run { last: address, answer: None, place };
        }
        // The same stretches of days have other standings where addresses are pseudonyms.
        let answer = value.map_or(0, |value| value + 1) << 1 | u32::from(frozen);
        Run { last, answer: Some(answer), place }
    }

    /// A vantage's holder is as good as dated: its file says whom private addresses belong
    /// to.
    fn standing(&self, client: &Client, day: Day) -> Standing {
        match &client.site {
            Some(site) if self.sites.contains_key(site) => Standing::Dated,
            Some(_) => Standing::Nobody,
            None => self.standing_of(client.address, day),
        }
    }

    fn standings(&self, client: &Client, days: DayRange) -> Vec<(DayRange, Standing)> {
        match &client.site {
            Some(_) => vec![(days, self.standing(client, days.first()))],
            None => self.standings_of(client.address, days),
        }
    }

    fn organisation(&self, id: &OrgId) -> Option<Cow<'_, Organisation>> {
        self.organisations.get(id).map(Cow::Borrowed)
    }
}

/// How directly it is proven who held a global address.
fn standing(address: Address, held: &Held<'_>) -> Standing {
    match held.standing() {
        Standing::Nobody => Standing::Nobody,
        _ if address.is_pseudonym() => Standing::Frozen,
        standing => standing,
    }
}

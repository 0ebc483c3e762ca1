//! What was counted of a part of the clients, and how such parts become one.
//!
//! **Invariant:** parts of disjoint clients (no address and no IPv6 /64 in two of them) are
//! put together without loss: an address is counted in one part only, so that addresses,
//! address-days and contacts are added; an organisation may be in several, so that its days
//! are united before it is counted. One part alone is the same case, and goes the same way.
//!
//! ```text
//! Partial ─► rows ─► (another machine) ─► rows ─► Partial ─┬─► Part
//! Partial ─────────────────────────────────────────────────┘
//! ```

use std::collections::BTreeMap;

use datafusion::common::HashMap;
use tidegauge_model::count::{
    Cell, Concentration, Counts, Dimension, Query, WINDOWS_MAX,
};
use tidegauge_model::{OrgId, Standing};

use crate::evidence::Calendar;
use crate::unique::Part;

/// A cell, an organisation, and which 64 days from the first.
pub(crate) type Held = (u32, u32, i32);

/// What an organisation did in a cell on 64 days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Use {
    /// The days on which it was seen, as bits.
    pub(crate) bits: u64,
    /// Those of its addresses: no address is in two parts, so they are added.
    pub(crate) address_days: u64,
}

impl Use {
    pub(crate) fn add(&mut self, other: Self) {
        self.bits |= other.bits;
        self.address_days += other.address_days;
    }
}

/// The counts of some clients.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Partial {
    /// Without organisations; a cell in which nobody passed the filters has no days.
    pub(crate) cells: Vec<(Vec<Option<String>>, Counts)>,
    /// The organisations of `held`, by number.
    pub(crate) organisations: Vec<OrgId>,
    /// What each organisation did in each cell.
    pub(crate) held: Vec<(Held, Use)>,
    /// Address-days before the filters on organisations, one in two cells counted in both.
    pub(crate) all_days: u64,
    /// Those of nobody known.
    pub(crate) unattributed: u64,
    /// The same by how directly the holder is proven.
    pub(crate) standings: BTreeMap<Standing, u64>,
}

impl Part {
    /// The counts of all clients, from those of disjoint ones.
    pub(crate) fn of(query: &Query, partials: Vec<Partial>) -> Self {
        let mut partials = partials.into_iter();
        let mut all = partials.next().unwrap_or_default();
        let mut numbers = Numbers::of(&all, partials.len() > 0);
        for partial in partials {
            numbers.add(&mut all, partial);
        }
        let Partial { cells, mut held, all_days, unattributed, standings, .. } = all;
        let concentration = Concentration::default();
        let cells =
            cells.into_iter().map(|(key, counts)| Cell { key, counts, concentration });
        let mut cells: Vec<Cell> = cells.collect();
        held.sort_unstable();
        let mut split = Split::new(query, &cells);
        for of_both in held.chunk_by(|(a, _), (b, _)| (a.0, a.1) == (b.0, b.1)) {
            let Some(((cell, ..), _)) = of_both.first().copied() else { continue };
            let (seen, active) = split.windows(of_both);
            let seen = seen.map(|windows| split.cell(&mut cells, cell, windows));
            if let Some(cell) = seen.and_then(|c| cells.get_mut(at(c))) {
                cell.counts.organisations += 1;
                let address_days = of_both.iter().map(|(_, of)| of.address_days).sum();
                cell.concentration.add(address_days);
            }
            let active = active.map(|windows| split.cell(&mut cells, cell, windows));
            if let Some(Cell { counts, .. }) = active.and_then(|c| cells.get_mut(at(c)))
            {
                counts.organisations_active += 1;
            }
        }
        // Nobody in the others passed the filters, or they are split by windows.
        cells.retain(|cell| cell.counts != Counts::default());
        Self { cells, all_days, unattributed, standings }
    }
}

/// The days of one organisation in one cell, 64 at a time, as bits.
fn days(held: &[(Held, Use)]) -> impl Iterator<Item = (i32, u64)> {
    let same = |(a, _): &(Held, Use), (b, _): &(Held, Use)| a.2 == b.2;
    held.chunk_by(same).map(|days| {
        let block = days.first().map_or(0, |((.., block), _)| *block);
        (block, days.iter().fold(0, |all, (_, of)| all | of.bits))
    })
}

/// Finds the windows of organisations, and the cells of those windows.
struct Split<'a> {
    query: &'a Query,
    calendar: Calendar,
    /// Where in a key the windows stand, and the cells by key; not filled if none are asked
    /// for.
    place: Option<usize>,
    cells: HashMap<Vec<Option<String>>, u32>,
}

impl<'a> Split<'a> {
    fn new(query: &'a Query, cells: &[Cell]) -> Self {
        let place = query.by.iter().position(|by| *by == Dimension::Windows);
        let known = cells.iter().map(|cell| cell.key.clone()).zip(0..);
        Self {
            query,
            calendar: Calendar::new(query),
            place,
            cells: known.filter(|_| place.is_some()).collect(),
        }
    }

    /// The windows in which an organisation was seen, and those in which it was active, as
    /// bits: none if none are asked for. `None` if there is no such window.
    fn windows(&self, held: &[(Held, Use)]) -> (Option<u32>, Option<u32>) {
        let least = self.query.active_days_min;
        if self.place.is_none() {
            let all: u32 = days(held).map(|(_, bits)| bits.count_ones()).sum();
            return (Some(0), (all >= least).then_some(0));
        }
        let mut counts = [0u32; WINDOWS_MAX];
        for (block, bits) in days(held) {
            for bit in (0..64).filter(|bit| bits >> bit & 1 == 1) {
                let window = self.calendar.window(block * 64 + bit).unwrap_or(0);
                if let Some(count) = counts.get_mut(at(window.trailing_zeros())) {
                    *count += 1;
                }
            }
        }
        let among = |least: u32| {
            let windows = (0u32..).zip(counts).filter(|(_, days)| *days >= least);
            let bits = windows.fold(0, |all, (at, _)| all | 1 << at);
            Some(bits).filter(|bits| *bits > 0)
        };
        (among(1), among(least.max(1)))
    }

    /// The part of a cell in these windows and no others; the cell itself without any.
    fn cell(&mut self, cells: &mut Vec<Cell>, cell: u32, windows: u32) -> u32 {
        let key = cells.get(at(cell)).map(|cell| cell.key.clone());
        let Some((place, mut key)) = self.place.zip(key) else { return cell };
        if let Some(word) = key.get_mut(place) {
            *word = Some(window_numbers(windows));
        }
        let next = number(cells.len());
        let of = *self.cells.entry(key.clone()).or_insert(next);
        if of == next {
            let (counts, concentration) = Default::default();
            cells.push(Cell { key, counts, concentration });
        }
        of
    }
}

/// The numbers of windows, from 1: `1+3`.
pub(crate) fn window_numbers(windows: u32) -> String {
    let set = (0..u32::BITS).filter(|bit| windows >> bit & 1 == 1);
    set.map(|bit| (bit + 1).to_string()).collect::<Vec<_>>().join("+")
}

/// The numbers of the cells and organisations of the whole.
struct Numbers {
    cells: HashMap<Vec<Option<String>>, u32>,
    organisations: HashMap<OrgId, u32>,
}

impl Numbers {
    /// Those of the first part, if there are more of them.
    fn of(first: &Partial, more: bool) -> Self {
        let cells = first.cells.iter().map(|(key, _)| key.clone()).zip(0..);
        let organisations = first.organisations.iter().cloned().zip(0..);
        Self {
            cells: cells.filter(|_| more).collect(),
            organisations: organisations.filter(|_| more).collect(),
        }
    }

    /// Adds a part to the whole.
    fn add(&mut self, all: &mut Partial, partial: Partial) {
        let cells: Vec<u32> =
            partial.cells.into_iter().map(|cell| self.cell(all, cell)).collect();
        let organisations = partial.organisations.into_iter().map(|id| {
            let next = number(all.organisations.len());
            *self.organisations.entry(id).or_insert_with_key(|id| {
                all.organisations.push(id.clone());
                next
            })
        });
        let organisations: Vec<u32> = organisations.collect();
        for ((cell, organisation, block), of) in partial.held {
            let known = cells.get(at(cell)).zip(organisations.get(at(organisation)));
            let Some((cell, organisation)) = known else { continue };
            all.held.push(((*cell, *organisation, block), of));
        }
        all.all_days += partial.all_days;
        all.unattributed += partial.unattributed;
        for (standing, days) in partial.standings {
            *all.standings.entry(standing).or_default() += days;
        }
    }

    /// Adds a cell, and says which of the whole it is.
    fn cell(
        &mut self,
        all: &mut Partial,
        (key, more): (Vec<Option<String>>, Counts),
    ) -> u32 {
        let next = number(all.cells.len());
        let of = *self.cells.entry(key.clone()).or_insert(next);
        if of == next {
            all.cells.push((key, more));
        } else if let Some((_, counts)) = all.cells.get_mut(at(of)) {
            counts.addresses_v4 += more.addresses_v4;
            counts.networks_v6 += more.networks_v6;
            counts.address_days += more.address_days;
            counts.contacts = counts.contacts.saturating_add(more.contacts);
            counts.addresses_v4_consumer += more.addresses_v4_consumer;
        }
        of
    }
}

pub(crate) fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

//! The evidence a question rests on: which sightings, of which product, on which days.
//!
//! **Invariant:** product, role and weight come from the dated catalog at the time of the
//! question; a sighting counts only while its endpoint is valid. Two rows of the same
//! sighting in two batches need no merging here: contacts are summed and everything else
//! is counted distinct.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::HashMap;
use tidegauge_model::count::{Dimension, Query, WINDOWS_MAX};
use tidegauge_model::{
    Day, DayRange, Endpoint, EndpointId, Month, ProductId, Week, Weight,
};

use crate::holding::Codes;
use crate::{Error, Result};

/// The endpoints that count in a question, and what a sighting of each is.
#[derive(Debug, Default)]
pub(crate) struct Evidence<'a> {
    rows: Vec<Row<'a>>,
    products: Vec<&'a ProductId>,
}

/// An endpoint that counts as use, without what counting does not look at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) id: EndpointId,
    pub(crate) product: ProductId,
    pub(crate) valid: DayRange,
}

/// An endpoint that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    id: &'a EndpointId,
    valid: DayRange,
    /// The number of its product.
    pub(crate) product: u32,
    /// It counts as use.
    pub(crate) seen: bool,
    /// It counts as a control.
    pub(crate) control: bool,
}

/// Finds the row of the evidence that a sighting is of.
#[derive(Clone, Debug)]
pub(crate) struct Finder(Arc<Found>);

#[derive(Debug, Default)]
struct Found {
    ids: HashMap<String, u32>,
    /// Of each id, its days and rows.
    entries: Vec<Vec<(DayRange, u32)>>,
}

impl Finder {
    /// The rows that hold for an endpoint in a month, each with its days as bits, from the
    /// first of the month; of `days` alone. `None` if it does not count.
    pub(crate) fn month(
        &self,
        id: &str,
        first: Day,
        days: DayRange,
    ) -> Option<Vec<(u32, u32)>> {
        let at = usize::try_from(*self.0.ids.get(id)?).ok()?;
        let bits = |valid: &DayRange| {
            let holds = |bit: &u8| {
                let on = first.plus(i32::from(*bit));
                valid.contains(on) && days.contains(on)
            };
            (0..32u8).filter(holds).fold(0u32, |all, bit| all | 1 << bit)
        };
        let entries = self.0.entries.get(at)?.iter();
        Some(entries.map(|(valid, entry)| (bits(valid), *entry)).collect())
    }
}

impl<'a> Evidence<'a> {
    /// The endpoints that count as use in `query`.
    pub(crate) fn of_use(endpoints: &'a [Endpoint], query: &Query) -> Self {
        let wanted = |e: &Endpoint| {
            query.products.is_empty() || query.products.contains(&e.product)
        };
        Self::new(endpoints, |e| (wanted(e) && is_use(e, query), false))
    }

    /// The endpoints of a panel: those that count as use of `product`, and all of the
    /// `controls` that prove anything.
    pub(crate) fn of_panel(
        endpoints: &'a [Endpoint],
        product: &ProductId,
        controls: &[ProductId],
        query: &Query,
    ) -> Self {
        Self::new(endpoints, |e| {
            let control = controls.contains(&e.product) && e.weight > Weight::Nothing;
            (e.product == *product && is_use(e, query), control)
        })
    }

    fn new(endpoints: &'a [Endpoint], is: impl Fn(&Endpoint) -> (bool, bool)) -> Self {
        let rows = endpoints.iter().map(|e| (&e.id, &e.product, e.valid, is(e)));
        Self::of_rows(rows)
    }

    /// These endpoints, all of use.
    pub(crate) fn of_entries(entries: &'a [Entry]) -> Self {
        let use_only = (true, false);
        Self::of_rows(entries.iter().map(|e| (&e.id, &e.product, e.valid, use_only)))
    }

    /// What [`Self::of_entries`] makes the same evidence of, where all of it is use.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let entry = |row: &Row<'_>| {
            let product = self.product(row.product)?.clone();
            Some(Entry { id: row.id.clone(), product, valid: row.valid })
        };
        self.rows.iter().filter_map(entry).collect()
    }

    fn of_rows(
        rows: impl Iterator<Item = (&'a EndpointId, &'a ProductId, DayRange, (bool, bool))>,
    ) -> Self {
        let mut evidence = Self::default();
        let mut codes = BTreeMap::new();
        for (id, product, valid, (seen, control)) in rows {
            if !seen && !control {
                continue;
            }
            let product = *codes.entry(product).or_insert_with(|| {
                evidence.products.push(product);
                u32::try_from(evidence.products.len() - 1)
                    .expect("fewer products than 2^32")
            });
            evidence.rows.push(Row { id, valid, product, seen, control });
        }
        evidence
    }

    /// Whether any endpoint counts as use.
    pub(crate) fn has_use(&self) -> bool {
        self.rows.iter().any(|r| r.seen)
    }

    /// A row by its number.
    pub(crate) fn row(&self, entry: u32) -> Option<&Row<'a>> {
        self.rows.get(usize::try_from(entry).ok()?)
    }

    /// The product of a number.
    pub(crate) fn product(&self, code: u32) -> Option<&ProductId> {
        self.products.get(usize::try_from(code).ok()?).copied()
    }

    /// What finds the rows of sightings.
    pub(crate) fn finder(&self) -> Finder {
        let mut found = Found::default();
        for (entry, row) in (0u32..).zip(&self.rows) {
            let next = u32::try_from(found.entries.len()).unwrap_or(u32::MAX);
            let id = row.id.as_str();
            let at = *found.ids.entry_ref(id).or_insert(next);
            if at == next {
                found.entries.push(Vec::new());
            }
            let entries =
                usize::try_from(at).ok().and_then(|at| found.entries.get_mut(at));
            if let Some(entries) = entries {
                entries.push((row.valid, entry));
            }
        }
        Finder(Arc::new(found))
    }
}

/// Refuses two entries of one id that hold on the same day: they would count twice.
pub(crate) fn check(endpoints: &[Endpoint]) -> Result<()> {
    let mut by_id: BTreeMap<&EndpointId, Vec<DayRange>> = BTreeMap::new();
    for endpoint in endpoints {
        by_id.entry(&endpoint.id).or_default().push(endpoint.valid);
    }
    for (id, mut ranges) in by_id {
        ranges.sort();
        let overlap = ranges.windows(2).any(
            |pair| matches!(pair, [earlier, later] if later.first() <= earlier.last()),
        );
        if overlap {
            return Err(Error::Catalog { endpoint: id.clone() });
        }
    }
    Ok(())
}

/// Refuses windows that cannot be told apart or compared.
pub(crate) fn check_windows(query: &Query) -> Result<()> {
    let refuse = |what: String| Err(Error::Windows { what });
    let split = query.by.contains(&Dimension::Windows);
    let windows = &query.windows;
    if !split && windows.is_empty() {
        return Ok(());
    }
    if !split {
        return refuse("windows are given, and cells are not split by them".to_owned());
    }
    if !(2..=WINDOWS_MAX).contains(&windows.len()) {
        let given = windows.len();
        return refuse(format!(
            "cells are split by windows, and {given} are given: 2 to {WINDOWS_MAX} can be"
        ));
    }
    let time = [Dimension::Month, Dimension::Week, Dimension::Day];
    if let Some(other) = query.by.iter().find(|by| time.contains(by)) {
        return refuse(format!(
            "cells are split by windows and by {other}: a {other} lies in one window only"
        ));
    }
    let mut sorted = windows.clone();
    sorted.sort();
    for pair in sorted.windows(2) {
        if let [a, b] = pair
            && b.first() <= a.last()
        {
            return refuse(format!("the windows {a} and {b} have days in common"));
        }
    }
    if let (Some(a), Some(b)) = (
        windows.iter().min_by_key(|w| w.length_days()),
        windows.iter().max_by_key(|w| w.length_days()),
    ) && a.length_days() != b.length_days()
    {
        return refuse(format!(
            "the windows {a} ({} days) and {b} ({} days) differ in length: more is seen in \
             the longer one",
            a.length_days(),
            b.length_days()
        ));
    }
    let inside =
        |w: &&DayRange| query.days.contains(w.first()) && query.days.contains(w.last());
    match windows.iter().find(|w| !inside(w)) {
        Some(out) => refuse(format!("the window {out} is not within {}", query.days)),
        None => Ok(()),
    }
}

fn is_use(endpoint: &Endpoint, query: &Query) -> bool {
    query.roles.contains(&endpoint.role)
        && endpoint.weight >= query.weight_min
        && endpoint.weight > Weight::Nothing
}

/// The periods that cells are made of: what of month, week and day a question asks for.
#[derive(Debug)]
pub(crate) struct Calendar {
    /// Of each day of the question, the number of its period.
    of_day: Vec<u32>,
    /// Days of one month are of one period and one window.
    months_whole: bool,
    periods: Codes<Period>,
    /// Of each day, the bit of its window, 0 outside of all; empty if none are asked for.
    window_of_day: Vec<u32>,
}

/// A period of a cell; `None` where it is not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Period {
    pub(crate) month: Option<Month>,
    pub(crate) week: Option<Week>,
    pub(crate) day: Option<Day>,
}

impl Calendar {
    /// The periods of a question.
    pub(crate) fn new(query: &Query) -> Self {
        let by = |dimension| query.by.contains(&dimension);
        let mut periods = Codes::default();
        let mut period = |day: Day| {
            periods.code(&Period {
                month: by(Dimension::Month).then(|| day.month()),
                week: by(Dimension::Week).then(|| day.week()),
                day: by(Dimension::Day).then_some(day),
            })
        };
        let of_day = query.days.days().map(&mut period).collect();
        let window = |day| {
            let windows = (0u32..).zip(&query.windows);
            let holds = windows.into_iter().find(|(_, days)| days.contains(day));
            holds.map_or(0, |(at, _)| 1 << at)
        };
        let window_of_day = if query.windows.is_empty() {
            Vec::new()
        } else {
            query.days.days().map(window).collect()
        };
        let months_whole =
            !by(Dimension::Week) && !by(Dimension::Day) && query.windows.is_empty();
        Self { of_day, months_whole, periods, window_of_day }
    }

    /// Whether all days of a month are of one period and of no window.
    pub(crate) fn keeps_months_whole(&self) -> bool {
        self.months_whole
    }

    /// The bit of the window of a day, given as days from the first: `None` outside of all,
    /// 0 if none are asked for.
    pub(crate) fn window(&self, day: i32) -> Option<u32> {
        if self.window_of_day.is_empty() {
            return Some(0);
        }
        let at = usize::try_from(day).ok()?;
        self.window_of_day.get(at).copied().filter(|bit| *bit > 0)
    }

    /// The number of the period of a day, given as days from the first.
    pub(crate) fn period(&self, day: i32) -> u32 {
        let at = usize::try_from(day).unwrap_or(usize::MAX);
        self.of_day.get(at).copied().unwrap_or(0)
    }

    /// The period of a number.
    pub(crate) fn value(&self, code: u32) -> Option<&Period> {
        self.periods.value(code)
    }
}

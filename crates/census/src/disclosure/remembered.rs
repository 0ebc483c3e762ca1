//! Which cells of which questions strangers have seen, and which were hidden from them.
//!
//! **Invariant:** a cell has one place, however it is asked for: April of a table by months is
//! the table of April; a table of one country is that row of a table by country; the map of
//! holders, what was known when, and the order of a list make no other place. Nor do some days
//! more or less than a month.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidegauge_model::count::{Dating, Dimension, Query, Release};
use tidegauge_model::{Day, DayRange};

/// Lengths of stretches of days that are, for what they give away, the month of their middle.
const ABOUT_A_MONTH: std::ops::RangeInclusive<u32> = 24..=38;

/// What was hidden, and what was shown, in earlier releases and in this process.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// The questions of all places, each once.
    questions: BTreeSet<Arc<str>>,
    /// Hidden when the days were over.
    closed: BTreeSet<Place>,
    /// Hidden on any days, without them.
    ever: BTreeSet<Place>,
    /// Shown, whatever was counted then.
    shown: BTreeSet<Place>,
}

/// A cell of a question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The question without days, dimensions and filters on one value.
    of: Arc<str>,
    days: Option<[Day; 2]>,
    values: Vec<(Dimension, Option<String>)>,
}

impl Remembered {
    /// Takes in what a release showed and hid that was made on this day; of one that was
    /// withdrawn only what it showed, since that may have been read.
    pub fn add(&mut self, release: &Release, made: Day, withdrawn: bool) {
        let rows =
            release.rows().iter().filter(|row| !withdrawn || row.counts.is_some());
        for row in rows {
            let place = Place::of(release.query(), &row.key);
            self.note(place, row.counts.is_some(), made);
        }
    }

    /// Takes in a cell that was shown, or hidden, on the day `made`.
    pub(super) fn note(&mut self, place: Place, shown: bool, made: Day) {
        let place = self.interned(place);
        if shown {
            self.shown.insert(place);
            return;
        }
        self.ever.insert(place.of_any_days());
        if place.days.is_some_and(|[_, last]| last < made) {
            self.closed.insert(place);
        }
    }

    /// Whether a cell must stay hidden.
    pub(super) fn stays(&self, place: &Place) -> bool {
        self.closed.contains(place)
    }

    /// Whether a cell was hidden before, on other days perhaps.
    pub(super) fn was_hidden(&self, place: &Place) -> bool {
        self.ever.contains(&place.of_any_days())
    }

    /// Whether a cell was shown before: it can be subtracted, and hides nothing.
    pub(super) fn was_shown(&self, place: &Place) -> bool {
        self.shown.contains(place)
    }

    fn interned(&mut self, place: Place) -> Place {
        if let Some(known) = self.questions.get(&place.of) {
            return Place { of: Arc::clone(known), ..place };
        }
        self.questions.insert(Arc::clone(&place.of));
        place
    }
}

impl Place {
    pub(super) fn of(query: &Query, key: &[Option<String>]) -> Self {
        let days = days_of(query, key);
        let mut rest = population(query);
        (rest.on, rest.days) = (Dating::EachDay, DayRange::one(Day(0)));
        // Of one column alone: the others are the same.
        rest.active_days_min = 0;
        let key = query.by.iter().copied().zip(key.iter().cloned());
        let mut values: Vec<_> = key.filter(|(of, _)| !is_time(*of)).collect();
        // A cell of one product is the same among others.
        if query.by.contains(&Dimension::Product) {
            rest.products.clear();
        } else if let [product] = rest.products.as_slice() {
            values.push((Dimension::Product, Some(product.to_string())));
            rest.products.clear();
        }
        if let [country] = rest.countries.as_slice() {
            values.push((Dimension::Country, Some(country.to_string())));
            rest.countries.clear();
        }
        if let [sector] = rest.sectors.as_slice() {
            values.push((Dimension::Sector, Some(sector.to_string())));
            rest.sectors.clear();
        }
        values.sort();
        values.dedup();
        let of = format!("{rest:?}").into();
        Self { of, days: Some([days.first(), days.last()]), values }
    }

    fn of_any_days(&self) -> Self {
        Self { days: None, ..self.clone() }
    }
}

/// Whether two questions are about the same days, evidence, filters and holders.
pub fn same_population(one: &Query, other: &Query) -> bool {
    one.days == other.days && one.on == other.on && population(one) == population(other)
}

/// A question without its cells, spelt in one way. What was known when only chose the map that
/// was counted on: to readers it is the same population.
fn population(query: &Query) -> Query {
    fn one_way<T: Ord>(list: &mut Vec<T>) {
        list.sort();
        list.dedup();
    }
    let mut query = Query { by: Vec::new(), known: None, ..query.clone() };
    one_way(&mut query.products);
    one_way(&mut query.roles);
    one_way(&mut query.organisation_kinds);
    one_way(&mut query.countries);
    one_way(&mut query.sectors);
    query
}

/// Whether the days of a cell say all that its value does.
fn is_time(dimension: Dimension) -> bool {
    matches!(dimension, Dimension::Month | Dimension::Day)
}

/// The days of a cell: those of its month or day, as far as they are asked for.
fn days_of(query: &Query, key: &[Option<String>]) -> DayRange {
    let own = query.by.iter().zip(key).filter_map(|(dimension, value)| {
        let value = value.as_ref()?;
        match dimension {
            Dimension::Month => value.parse().ok().map(DayRange::month),
            Dimension::Day => value.parse().ok().map(DayRange::one),
            _ => None,
        }
    });
    let days = own.fold(query.days, |days, own| {
        let (first, last) =
            (days.first().max(own.first()), days.last().min(own.last()));
        DayRange::new(first, last).unwrap_or(days)
    });
    let middle = days.first().plus((days.last().0 - days.first().0) / 2);
    if ABOUT_A_MONTH.contains(&days.length_days()) {
        DayRange::month(middle.month())
    } else {
        days
    }
}

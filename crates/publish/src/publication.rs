//! Releases as they were published, for readers who want to know what was said then.
//!
//! **Invariant:** what was published is shown as it was, cell by cell; what the same question
//! says today stands beside it and never in its place.

use tidegauge_model::Instant;
use tidegauge_model::count::{Counts, Dimension, Query, Release};

use crate::tables::Table;

/// A release as it was published.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    /// Names it.
    pub id: String,
    /// When it was made.
    pub made: Instant,
    /// When its publisher withdrew it, if that was done. It stays as it was.
    pub withdrawn: Option<Instant>,
    /// What was shown.
    pub release: Release,
    /// What made it, and of which version: pairs of a name and a value.
    pub versions: Vec<(String, String)>,
}

/// Why figures of a release are other ones today. Differences between two releases can tell of
/// single organisations, so they are for the operator alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Causes {
    /// Which cause moved how many figures, and what else a reader must know.
    pub told: Vec<String>,
    /// The figures that moved, step by step.
    pub moved: Table,
}

/// One cell, then and today.
pub(crate) struct Beside<'a> {
    pub(crate) key: &'a [Option<String>],
    pub(crate) then: Shown,
    pub(crate) today: Shown,
}

/// What is said of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Nothing was seen.
    Nothing,
    /// Too few to show.
    Suppressed,
    Counts(Counts),
}

impl Shown {
    fn of(counts: Option<&Option<Counts>>) -> Self {
        match counts {
            None => Self::Nothing,
            Some(None) => Self::Suppressed,
            Some(Some(counts)) => Self::Counts(*counts),
        }
    }

    pub(crate) fn counts(self) -> Option<Counts> {
        match self {
            Self::Counts(counts) => Some(counts),
            Self::Nothing | Self::Suppressed => None,
        }
    }
}

/// What everybody may see of a release: of cells that today's rule hides nothing, since with
/// what is shown of others today, what was shown of them then would tell of the hidden ones.
/// Without a release of today nothing tells which those are, and no cell is shown.
pub(crate) fn masked<'a>(
    cells: Vec<Beside<'a>>,
    compared: bool,
    internal: bool,
) -> Vec<Beside<'a>> {
    let mask = |cell: Beside<'a>| {
        let hidden = !compared || cell.today == Shown::Suppressed;
        match (internal, cell.then) {
            (false, Shown::Counts(_)) if hidden => {
                Beside { then: Shown::Suppressed, ..cell }
            }
            _ => cell,
        }
    };
    cells.into_iter().map(mask).collect()
}

/// A figure of a cell.
pub struct Unit {
    /// Its column.
    pub column: &'static str,
    /// Its name for readers.
    pub name: &'static str,
    /// The figure.
    pub of: fn(&Counts) -> u64,
}

/// What is compared of a cell, then and today.
pub const UNITS: [Unit; 6] = [
    Unit {
        column: "organisations_active",
        name: "active organisations",
        of: |c| c.organisations_active,
    },
    Unit { column: "organisations", name: "organisations", of: |c| c.organisations },
    Unit { column: "addresses_v4", name: "IPv4 addresses", of: |c| c.addresses_v4 },
    Unit { column: "networks_v6", name: "IPv6 networks", of: |c| c.networks_v6 },
    Unit { column: "address_days", name: "address-days", of: |c| c.address_days },
    Unit { column: "contacts", name: "contacts", of: |c| c.contacts },
];

/// The cells of both, each once: those of then in their order, then those that are new; if they
/// are no points in time, those with most active organisations then come first.
pub(crate) fn beside<'a>(then: &'a Release, today: &'a Release) -> Vec<Beside<'a>> {
    let find = |release: &'a Release, key: &[Option<String>]| {
        let row = release.rows().iter().find(|row| row.key == key);
        Shown::of(row.map(|row| &row.counts))
    };
    let new = today.rows().iter().map(|row| row.key.as_slice());
    let new = new.filter(|key| find(then, key) == Shown::Nothing);
    let keys = then.rows().iter().map(|row| row.key.as_slice()).chain(new);
    let cell = |key| Beside { key, then: find(then, key), today: find(today, key) };
    let mut cells: Vec<Beside<'a>> = keys.map(cell).collect();
    let in_time = [Dimension::Month, Dimension::Week, Dimension::Day];
    if !then.query().by.iter().any(|by| in_time.contains(by)) {
        let size =
            |cell: &Beside<'_>| cell.then.counts().map(|c| c.organisations_active);
        cells.sort_by_key(|cell| std::cmp::Reverse(size(cell)));
    }
    cells
}

/// What was asked, for a list: `kaspersky by country`.
pub(crate) fn subject(query: &Query) -> String {
    let products: Vec<String> =
        query.products.iter().map(ToString::to_string).collect();
    let by: Vec<&str> = query.by.iter().map(|d| d.as_str()).collect();
    let products = if products.is_empty() {
        "all products".to_owned()
    } else {
        products.join(", ")
    };
    let countries: Vec<String> =
        query.countries.iter().map(ToString::to_string).collect();
    let sectors: Vec<String> = query.sectors.iter().map(ToString::to_string).collect();
    let mut words = products;
    for filter in [countries, sectors].iter().filter(|f| !f.is_empty()) {
        words = format!("{words}, {}", filter.join(", "));
    }
    if by.is_empty() { words } else { format!("{words} by {}", by.join(" and ")) }
}

#[cfg(test)]
mod tests {
    use tidegauge_model::DayRange;
    use tidegauge_model::count::{Cell, Census, Concentration, Disclosure};

    use super::*;

    /// Shows cells of at least ten organisations.
    struct Ten;

    impl Disclosure for Ten {
        fn statement(&self) -> String {
            "ten".to_owned()
        }

        fn permits(&self, census: &Census) -> Vec<bool> {
            census.cells.iter().map(|c| c.counts.organisations >= 10).collect()
        }
    }

    fn release(cells: &[(&str, u64)]) -> Release {
        let month = DayRange::month("2024-04".parse().unwrap());
        let query = Query { by: vec![Dimension::Country], ..Query::new(month) };
        let cell = |(key, organisations): &(&str, u64)| Cell {
            key: vec![Some((*key).to_owned())],
            counts: Counts {
                organisations: *organisations,
                organisations_active: *organisations,
                ..Counts::default()
            },
            concentration: Concentration::default(),
        };
        let cells = cells.iter().map(cell).collect();
        let census = Census {
            query,
            unattributed_share: 0.0,
            cells,
            standings: std::collections::BTreeMap::new(),
        };
        Release::by(&Ten, census)
    }

    #[test]
    fn each_cell_of_either_stands_once_and_what_was_hidden_stays_hidden() {
        let then = release(&[("DE", 40), ("FR", 4), ("IT", 20)]);
        let today = release(&[("BR", 11), ("DE", 41), ("FR", 12)]);
        let cells = beside(&then, &today);
        let told: Vec<_> = cells
            .iter()
            .map(|c| {
                let count = |shown: Shown| match shown {
                    Shown::Nothing => "none".to_owned(),
                    Shown::Suppressed => "hidden".to_owned(),
                    Shown::Counts(c) => c.organisations.to_string(),
                };
                let key = c.key[0].clone().unwrap();
                format!("{key} {} {}", count(c.then), count(c.today))
            })
            .collect();
        assert_eq!(told, ["DE 40 41", "IT 20 none", "FR hidden 12", "BR none 11"]);
    }

    #[test]
    fn what_was_asked_is_told_in_a_few_words() {
        let month = DayRange::month("2024-04".parse().unwrap());
        let query = Query {
            products: vec!["kaspersky".into()],
            countries: vec!["US".parse().unwrap()],
            by: vec![Dimension::Month, Dimension::Sector],
            ..Query::new(month)
        };
        assert_eq!(subject(&query), "kaspersky, US by month and sector");
        assert_eq!(subject(&Query { by: vec![], ..Query::new(month) }), "all products");
    }
}

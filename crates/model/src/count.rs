//! Counts: what to count, the cells, and the only form in which they leave the house.
//!
//! **Invariant:** a [`Release`] can only be made by a [`Disclosure`] rule, or read back from
//! where one was kept. Address-days
//! partition over cells; addresses and organisations need not, and no code adds them.

use serde::Serialize;

use crate::endpoint::word;
use crate::{
    Country, Day, DayRange, NetworkKind, ProductId, Role, SectorId, Standing, Weight,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// How many windows a question may tell apart.
pub const WINDOWS_MAX: usize = 8;

/// What to count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// Only these products; empty means all.
    pub products: Vec<ProductId>,
    /// The cells: one for each combination of values.
    pub by: Vec<Dimension>,
    /// Days counted.
    pub days: DayRange,
    /// Windows within `days` that [`Dimension::Windows`] tells apart: apart from each other,
    /// of one length, at most [`WINDOWS_MAX`]. Days in none of them are not counted. Empty
    /// unless cells are split by windows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<DayRange>,
    /// Which map of holders is used.
    pub on: Dating,
    /// Leaves out what was only learnt after this day.
    pub known: Option<Day>,
    /// Roles that count as use.
    pub roles: Vec<Role>,
    /// The least weight that counts as use.
    pub weight_min: Weight,
    /// Networks in which an address stands for an organisation. Addresses are counted in
    /// all networks.
    pub organisation_kinds: Vec<NetworkKind>,
    /// Sighting-days within the cell's period from which an organisation is active.
    pub active_days_min: u32,
    /// Only these countries of organisations; empty means all.
    pub countries: Vec<Country>,
    /// Only these sectors; empty means all.
    pub sectors: Vec<SectorId>,
}

impl Query {
    /// Update contacts of at least medium weight on `days`, in own networks, frozen on
    /// the first day; an organisation is active from its second sighting-day.
    pub fn new(days: DayRange) -> Self {
        Self {
            products: Vec::new(),
            by: vec![Dimension::Product],
            days,
            windows: Vec::new(),
            on: Dating::Frozen(days.first()),
            known: None,
            roles: vec![Role::Update],
            weight_min: Weight::Medium,
            organisation_kinds: vec![NetworkKind::Own],
            active_days_min: 2,
            countries: Vec::new(),
            sectors: Vec::new(),
        }
    }

    /// The days that are counted: those of the windows, if there are any.
    pub fn counted(&self) -> &[DayRange] {
        match self.windows.as_slice() {
            [] => std::slice::from_ref(&self.days),
            windows => windows,
        }
    }
}

/// Which map of holders a count uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dating {
    /// The map as it stood on one day.
    Frozen(Day),
    /// The map of each sighting's own day.
    EachDay,
}

impl FromStr for Dating {
    type Err = crate::time::BadDate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "each-day" {
            Ok(Self::EachDay)
        } else {
            text.parse().map(Self::Frozen)
        }
    }
}

impl fmt::Display for Dating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frozen(day) => day.fmt(f),
            Self::EachDay => f.pad("each-day"),
        }
    }
}

word! {
    /// What cells are split by.
    Dimension {
        /// Product.
        Product = "product",
        /// Calendar month.
        Month = "month",
        /// ISO week.
        Week = "week",
        /// UTC day.
        Day = "day",
        /// Country: of the organisation where one is known, else of the address.
        Country = "country",
        /// Primary sector of the organisation.
        Sector = "sector",
        /// Kind of network.
        Kind = "kind",
        /// Signal.
        Signal = "signal",
        /// Vantage.
        Vantage = "vantage",
        /// In which of the question's windows, and in no other, it was seen: `1+3` is in the
        /// first and third. Each address, network and organisation is in one such cell.
        Windows = "windows",
    }
}

/// The counts of one combination of values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// One value per dimension of the query; `None` where it is not known
    /// (unattributed).
    pub key: Vec<Option<String>>,
    /// The counts.
    pub counts: Counts,
    /// How much of it is one organisation's; never shown.
    pub concentration: Concentration,
}

/// How much of a cell is of one organisation, in address-days of networks that stand for
/// organisations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Concentration {
    /// Those of all organisations.
    pub address_days: u64,
    /// Those of the organisation that has most.
    pub largest: u64,
}

impl Concentration {
    /// Takes in all that one organisation has.
    pub fn add(&mut self, address_days: u64) {
        self.address_days += address_days;
        self.largest = self.largest.max(address_days);
    }
}

/// What is counted in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Distinct IPv4 addresses, all kinds of network.
    pub addresses_v4: u64,
    /// Distinct IPv6 /64 networks, all kinds.
    pub networks_v6: u64,
    /// Distinct organisations with a sighting in a network that stands for them.
    pub organisations: u64,
    /// Those of them that are active: see [`Query::active_days_min`].
    pub organisations_active: u64,
    /// Distinct pairs of client and day: these partition over cells.
    pub address_days: u64,
    /// Contacts.
    pub contacts: u64,
    /// IPv4 addresses in eyeball and mobile networks, a part of `addresses_v4`.
    pub addresses_v4_consumer: u64,
}

/// All cells of a query, raw. Does not leave the house.
#[derive(Clone, Debug, PartialEq)]
pub struct Census {
    /// What was counted.
    pub query: Query,
    /// Sorted by key.
    pub cells: Vec<Cell>,
    /// Share of address-days whose holder is not known, 0 to 1.
    pub unattributed_share: f64,
    /// Of how many address-days the holder is how directly proven.
    pub standings: BTreeMap<Standing, u64>,
}

/// A disclosure rule: decides which cells may be shown.
pub trait Disclosure {
    /// What the rule says of itself, for readers.
    fn statement(&self) -> String;

    /// For each cell of the census, in order, whether it may be shown.
    fn permits(&self, census: &Census) -> Vec<bool>;
}

/// Counts that passed a disclosure rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Release {
    query: Query,
    rows: Vec<ReleasedCell>,
    rule: String,
    unattributed_share: f64,
}

/// A cell as it may be shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReleasedCell {
    /// One value per dimension; `None` is "not known".
    pub key: Vec<Option<String>>,
    /// The counts; `None` if the rule suppressed them.
    pub counts: Option<Counts>,
}

impl Release {
    /// Applies `rule` to `census`.
    pub fn by(rule: &impl Disclosure, census: Census) -> Self {
        let permits = rule.permits(&census);
        assert_eq!(permits.len(), census.cells.len(), "a rule decides on every cell");
        let rows = census
            .cells
            .into_iter()
            .zip(permits)
            .map(|(cell, shown)| ReleasedCell {
                key: cell.key,
                counts: shown.then_some(cell.counts),
            })
            .collect();
        Self {
            query: census.query,
            rows,
            rule: rule.statement(),
            unattributed_share: census.unattributed_share,
        }
    }

    /// What was counted.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The cells, sorted by key.
    pub fn rows(&self) -> &[ReleasedCell] {
        &self.rows
    }

    /// The rule, in words.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Share of address-days whose holder is not known, 0 to 1.
    pub fn unattributed_share(&self) -> f64 {
        self.unattributed_share
    }

    /// How many cells the rule suppressed.
    pub fn suppressed(&self) -> usize {
        self.rows.iter().filter(|r| r.counts.is_none()).count()
    }
}

//! What counting rests on besides telemetry: tables of holders, and a catalog of servers.
//!
//! **Invariant:** nothing here names a holder or an address: only how much is known, and how
//! old it is.

use serde::Serialize;
use tidegauge_model::{Day, DayRange};

/// A part of what is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Known {
    /// What it is.
    pub kind: KnownKind,
    /// The source of a table of holders, or the product of entries of the catalog.
    pub id: String,
    /// What it states, or the name of the product.
    pub name: String,
    /// The day of the newest snapshot, or that on which the newest entry began to hold.
    pub newest: Option<Day>,
    /// Ranges of the newest snapshot, or entries that hold on the newest day covered.
    pub entries: u64,
    /// Older snapshots, or entries that hold no more.
    pub older: u64,
}

/// What a part of knowledge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownKind {
    /// Who held which addresses.
    Holders,
    /// Which servers a product contacts.
    Catalog,
}

impl KnownKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holders => "holders",
            Self::Catalog => "catalog",
        }
    }
}

impl Known {
    /// How many days it is older than the newest day covered.
    pub(crate) fn age(&self, covered: Option<DayRange>) -> Option<i32> {
        Some((covered?.last().0 - self.newest?.0).max(0))
    }
}

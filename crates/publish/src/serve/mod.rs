//! The dashboard and the API over [`Counts`].
//!
//! **Invariant:** a handler sees only what passed a disclosure rule.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tidegauge_model::count::{Dimension, Query, Release};
use tidegauge_model::estimate::ReleasedEstimate;
use tidegauge_model::policy::Timeline;
use tidegauge_model::{Country, Coverage, DayRange, ProductId, SectorId};

/// An answer that is being worked out.
pub type Answer<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, CountsError>> + Send + 'a>>;

/// Who answers. Every number it gives has passed a disclosure rule.
pub trait Counts: Send + Sync {
    /// The counts that `query` asks for.
    fn release<'a>(&'a self, query: &'a Query) -> Answer<'a, Release>;

    /// Cohort removal and net change between two windows.
    fn estimates<'a>(
        &'a self,
        asked: &'a Comparison,
    ) -> Answer<'a, Vec<ReleasedEstimate>>;

    /// Coverage of every vantage on `days`.
    fn coverage(&self, days: DayRange) -> Answer<'_, Vec<Coverage>>;

    /// Dated acts and events.
    fn timeline(&self) -> Answer<'_, Timeline>;

    /// What can be asked for.
    fn scope(&self) -> Answer<'_, Scope>;
}

/// Two windows to compare. **Invariant:** made by [`Comparison::new`], so they are
/// equally long and do not overlap.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Only these products; empty means all.
    pub products: Vec<ProductId>,
    /// One estimate for each value (country or sector) besides the one for all.
    pub by: Option<Dimension>,
    /// Only organisations of these countries; empty means all.
    pub countries: Vec<Country>,
    /// Only organisations of these sectors; empty means all.
    pub sectors: Vec<SectorId>,
    before: DayRange,
    after: DayRange,
}

impl Comparison {
    /// A comparison of all products, for all organisations; `None` unless the windows
    /// are equally long and `before` ends before `after` begins.
    pub fn new(before: DayRange, after: DayRange) -> Option<Self> {
        let fits = before.length_days() == after.length_days()
            && before.last() < after.first();
        fits.then_some(Self {
            products: Vec::new(),
            by: None,
            countries: Vec::new(),
            sectors: Vec::new(),
            before,
            after,
        })
    }

    /// The window before.
    pub fn before(&self) -> DayRange {
        self.before
    }

    /// The window after.
    pub fn after(&self) -> DayRange {
        self.after
    }
}

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Products with at least one sighting, and their names for readers.
    pub products: Vec<(ProductId, String)>,
    /// Countries with at least one organisation.
    pub countries: Vec<Country>,
    /// Sectors with at least one organisation, and their names for readers.
    pub sectors: Vec<(SectorId, String)>,
    /// The days that have coverage; `None` if the lake is empty.
    pub days: Option<DayRange>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CountsError {
    /// The reader asked for something that is not counted, and can ask otherwise.
    #[error("{asked} cannot be counted")]
    Refused {
        /// What was asked.
        asked: String,
        /// What to ask instead.
        hint: String,
    },
    /// The operator must look: the lake or the engine failed.
    #[error("the count failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What the pages say of the house that runs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name and version of the program.
    pub program: String,
    /// Set if the data is simulated: every page says so.
    pub synthetic: Option<crate::report::Synthetic>,
}

/// The routes: `/`, `/api/v1/…`, `/assets/…`, `/healthz`.
pub fn router(counts: Arc<dyn Counts>, settings: Settings) -> axum::Router {
    let _ = (counts, settings);
    axum::Router::new()
}

//! The document of an assessment, as far as it is judged.
//!
//! **Invariant:** keys that are not judged are not looked at, so that the document may
//! grow.

use serde::Deserialize;
use tidegauge_model::{Day, DayRange};

use crate::Error;

#[derive(Deserialize)]
pub(super) struct Assessment {
    before: Window,
    after: Window,
    pub(super) groups: Vec<Group>,
    #[serde(default)]
    pub(super) alarms: Vec<String>,
}

#[derive(Deserialize)]
struct Window {
    first: Day,
    last: Day,
}

/// A group of organisations.
#[derive(Deserialize)]
pub(super) struct Group {
    pub(super) country: Option<String>,
    pub(super) sector: Option<String>,
    pub(super) n_baseline: Option<u64>,
    pub(super) cohort_removal: Option<Figure>,
    pub(super) net_change: Option<Figure>,
    pub(super) removal_corrected: Option<Figure>,
    /// Why a figure is absent.
    pub(super) reason: Option<String>,
}

/// A value, perhaps with an interval.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Figure {
    pub(super) value: f64,
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
}

impl Figure {
    pub(super) fn of(value: f64) -> Self {
        Self { value, low: None, high: None }
    }
}

impl Group {
    /// Whether what is absent is held back by the disclosure rule.
    pub(super) fn is_suppressed(&self) -> bool {
        self.reason.as_deref().is_some_and(|r| r.starts_with("suppressed"))
    }

    /// Country and sector.
    pub(super) fn of(&self) -> (Option<&str>, Option<&str>) {
        (self.country.as_deref(), self.sector.as_deref())
    }
}

impl Assessment {
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(|source| Error::Assessment { source })
    }

    pub(super) fn before(&self) -> Result<DayRange, Error> {
        self.before.range()
    }

    pub(super) fn after(&self) -> Result<DayRange, Error> {
        self.after.range()
    }
}

impl Window {
    fn range(&self) -> Result<DayRange, Error> {
        let outside = || Error::Window { first: self.first, last: self.last };
        let in_year = |day| crate::calendar::year_day(day).is_some();
        let range = DayRange::new(self.first, self.last).ok_or_else(outside)?;
        if in_year(self.first) && in_year(self.last) {
            Ok(range)
        } else {
            Err(outside())
        }
    }
}

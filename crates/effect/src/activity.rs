//! Which organisations were active in which window.
//!
//! **Invariant:** an organisation is one unit however many vantages saw it: the days of
//! its histories are united, never added.

use std::collections::BTreeMap;

use tidegauge_model::panel::{History, Panel, WeekCell};
use tidegauge_model::{DayRange, OrgId};

/// When an organisation counts as active in a window (methods: m sighting-days).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Active {
    /// Least number of distinct days with a sighting.
    pub days_min: u32,
}

/// By what estimates are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stratify {
    /// One estimate for all.
    All,
    /// One for each country.
    Country,
    /// One for each primary sector.
    Sector,
    /// One for each country and sector.
    CountrySector,
}

/// The organisations of a panel, histories of all vantages united.
pub(crate) fn organisations(panel: &Panel) -> Vec<History> {
    let mut united: BTreeMap<&OrgId, History> = BTreeMap::new();
    for history in &panel.histories {
        united
            .entry(&history.organisation)
            .and_modify(|known| unite(&mut known.weeks, &history.weeks))
            .or_insert_with(|| history.clone());
    }
    united.into_values().collect()
}

pub(crate) fn unite(into: &mut [WeekCell], from: &[WeekCell]) {
    debug_assert_eq!(
        into.len(),
        from.len(),
        "histories of a panel cover the same weeks"
    );
    for (into, from) in into.iter_mut().zip(from) {
        into.seen |= from.seen;
        into.visible |= from.visible;
        into.control |= from.control;
    }
}

impl Active {
    /// Whether `history`, of a panel over `days`, is active in `window`.
    pub(crate) fn holds(
        self,
        history: &History,
        days: DayRange,
        window: DayRange,
    ) -> bool {
        history.seen_days(days, window) >= self.days_min
    }

    /// The rule in words.
    pub fn statement(self) -> String {
        format!("active = seen on at least {} days of the window", self.days_min)
    }
}

impl Stratify {
    /// The stratum of an organisation: pairs of dimension and value, `unknown` where
    /// nothing is known.
    pub(crate) fn of(self, history: &History) -> Vec<(String, String)> {
        let country = || {
            let value = history.country.map_or("unknown".to_owned(), |c| c.to_string());
            ("country".to_owned(), value)
        };
        let sector = || {
            let value = history
                .sector
                .as_ref()
                .map_or("unknown".to_owned(), ToString::to_string);
            ("sector".to_owned(), value)
        };
        match self {
            Self::All => vec![],
            Self::Country => vec![country()],
            Self::Sector => vec![sector()],
            Self::CountrySector => vec![country(), sector()],
        }
    }
}

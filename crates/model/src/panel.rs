//! Detection histories: what estimators read.
//!
//! **Invariant:** every history has one [`WeekCell`] for each week of the panel, and no
//! bit is set for a day outside the panel's days. A day can only be `seen` or `control`
//! in a week of the panel; `visible` says whether the vantage looked at all.

use serde::Serialize;

use crate::{Country, Day, DayRange, OrgId, ProductId, SectorId, VantageId};

/// Unit × week, one product.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Panel {
    /// The product whose use is followed.
    pub product: ProductId,
    /// The days that were looked at.
    pub days: DayRange,
    /// One for each organisation × vantage with any sighting of the product in `days`,
    /// sorted by organisation, then vantage.
    pub histories: Vec<History>,
}

/// One organisation as seen from one vantage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct History {
    /// The organisation.
    pub organisation: OrgId,
    /// Head of its family, or itself: what a bootstrap resamples.
    pub family: OrgId,
    /// Where it is registered.
    pub country: Option<Country>,
    /// Primary sector.
    pub sector: Option<SectorId>,
    /// Where it was seen from.
    pub vantage: VantageId,
    /// One for each ISO week with a day in the panel, in order.
    pub weeks: Vec<WeekCell>,
}

/// One week; bit `d` of each field is day `d` from Monday (bit 7 is never set).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
pub struct WeekCell {
    /// Days with a sighting of the product that counts as use.
    pub seen: u8,
    /// Days on which one of the organisation's known networks was in the footprint.
    pub visible: u8,
    /// Days with a sighting of a control product.
    pub control: u8,
}

impl Panel {
    /// Index of the week of `day` in every history, or `None` outside the panel.
    pub fn week_index(&self, day: Day) -> Option<usize> {
        if !self.days.contains(day) {
            return None;
        }
        let first = self.days.first().week().monday();
        usize::try_from((day.week().monday().0 - first.0) / 7).ok()
    }
}

impl History {
    /// Days of `window` with a sighting, in a panel of `days`.
    pub fn seen_days(&self, panel: DayRange, window: DayRange) -> u32 {
        self.count(panel, window, |cell| cell.seen)
    }

    /// Days of `window` on which the organisation's networks were in the footprint.
    pub fn visible_days(&self, panel: DayRange, window: DayRange) -> u32 {
        self.count(panel, window, |cell| cell.visible)
    }

    fn count(
        &self,
        panel: DayRange,
        window: DayRange,
        of: impl Fn(WeekCell) -> u8,
    ) -> u32 {
        let first_monday = panel.first().week().monday();
        let mut total = 0;
        for (index, cell) in self.weeks.iter().enumerate() {
            let monday =
                first_monday.plus(7 * i32::try_from(index).unwrap_or(i32::MAX));
            if monday > window.last() {
                break;
            }
            let bits = of(*cell);
            if bits != 0 && monday.plus(6) >= window.first() {
                total += (bits & days_of_week_in(monday, window)).count_ones();
            }
        }
        total
    }
}

/// Bits of the days of the week beginning on `monday` that lie in `window`.
fn days_of_week_in(monday: Day, window: DayRange) -> u8 {
    (0..7u8)
        .filter(|d| window.contains(monday.plus(i32::from(*d))))
        .fold(0, |mask, d| mask | 1 << d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_cuts_weeks_at_its_own_days() {
        let range = |a: &str, b: &str| {
            DayRange::new(a.parse().unwrap(), b.parse().unwrap()).unwrap()
        };
        let days = range("2024-04-01", "2024-04-14");
        let all = WeekCell { seen: 0x7f, visible: 0x01, control: 0 };
        let history = History {
            organisation: "a".into(),
            family: "a".into(),
            country: None,
            sector: None,
            vantage: "v".into(),
            weeks: vec![all, all],
        };
        assert_eq!(history.seen_days(days, range("2024-04-03", "2024-04-09")), 7);
        assert_eq!(history.visible_days(days, days), 2);
        let panel = Panel { product: "p".into(), days, histories: vec![] };
        assert_eq!(panel.week_index("2024-04-08".parse().unwrap()), Some(1));
        assert_eq!(panel.week_index("2024-04-15".parse().unwrap()), None);
    }
}

//! When members leave: cumulative hazards over the year, and the fate of one member.
//!
//! **Invariant:** a curve rises by exactly 1 from 1 April to 1 November, so that a
//! hazard's scale means the same for every course.

use crate::calendar::{
    ANNOUNCED, APRIL, DAYS, MIGRATION, MONTH_STARTS, NOVEMBER, SALES_END, UPDATES_END,
    YearDay,
};
use crate::country::Course;

/// Before April the even part of a hazard runs at this share of its later rate (ours:
/// the published window begins in April).
const EARLY: f64 = 0.2;
/// The shortest return after a removal, in days: longer than a month, so that a member is
/// never away and back within one.
pub(crate) const RELAPSE_MIN_DAYS: u32 = 35;
/// The spread of returns after that, in days.
pub(crate) const RELAPSE_SPREAD_DAYS: u32 = 71;

/// A burst of removals after a dated step.
struct Burst {
    at: YearDay,
    weight: f64,
    /// Days in which all but 1/e of it has happened.
    days: f64,
}

const fn burst(at: YearDay, weight: f64, days: f64) -> Burst {
    Burst { at, weight, days }
}

/// Cumulative hazard at the start of each day, and at the end of the year.
pub(crate) struct Curve(Vec<f64>);

impl Curve {
    /// The curve of organisations.
    pub(crate) fn of(course: Course) -> Self {
        match course {
            Course::Gradual => Self::build(1.0, &[]),
            Course::Spillover => Self::build(
                0.6,
                &[burst(ANNOUNCED, 0.2, 40.0), burst(UPDATES_END, 0.2, 30.0)],
            ),
            Course::Steps => Self::build(
                0.15,
                &[
                    burst(ANNOUNCED, 0.22, 25.0),
                    burst(SALES_END, 0.18, 20.0),
                    burst(MIGRATION, 0.08, 10.0),
                    burst(UPDATES_END, 0.37, 12.0),
                ],
            ),
        }
    }

    /// The curve of consumers in the United States: three quarters in the migration.
    pub(crate) fn migrated() -> Self {
        Self::build(
            0.10,
            &[
                burst(SALES_END, 0.12, 30.0),
                burst(MIGRATION, 0.75, 0.8),
                burst(UPDATES_END, 0.03, 20.0),
            ],
        )
    }

    fn build(even: f64, bursts: &[Burst]) -> Self {
        let april = MONTH_STARTS[APRIL];
        let span = f64::from(MONTH_STARTS[NOVEMBER] - april);
        let at = |day: YearDay| {
            let early = f64::from(day.min(april)) * EARLY;
            let late = f64::from(day.saturating_sub(april));
            let steps: f64 = bursts
                .iter()
                .filter(|b| day > b.at)
                .map(|b| b.weight * (1.0 - (-f64::from(day - b.at) / b.days).exp()))
                .sum();
            even * (early + late) / span + steps
        };
        let rise = at(MONTH_STARTS[NOVEMBER]) - at(april);
        Self((0..=DAYS).map(|day| at(day) / rise).collect())
    }

    /// The first day on which a member of quantile `u` is gone, or [`DAYS`] if it stays.
    pub(crate) fn leaves(&self, scale: f64, u: f64) -> YearDay {
        let limit = -(1.0 - u).ln() / scale;
        let first = self.0.partition_point(|h| *h <= limit);
        YearDay::try_from(first).expect("a year of days").min(DAYS)
    }
}

/// When a member has the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Presence {
    /// First day with it.
    pub(crate) from: YearDay,
    /// First day without it; [`DAYS`] if none.
    pub(crate) until: YearDay,
    /// First day with it again; [`DAYS`] if none.
    pub(crate) back: YearDay,
}

impl Presence {
    /// Never.
    pub(crate) const NEVER: Self = Self { from: DAYS, until: DAYS, back: DAYS };

    /// From the first day until `until`.
    pub(crate) fn until(until: YearDay) -> Self {
        Self { from: 0, until, back: DAYS }
    }

    /// The same, back some days after leaving, if that is still in the year.
    pub(crate) fn with_return(self, after: u32) -> Self {
        let back = YearDay::try_from(u32::from(self.until) + after).unwrap_or(DAYS);
        Self { back: back.min(DAYS), ..self }
    }

    /// Whether it has the product on a day.
    pub(crate) fn on(self, day: YearDay) -> bool {
        (self.from..self.until).contains(&day) || day >= self.back
    }

    /// On how many days of a month.
    pub(crate) fn days_in(self, start: YearDay, length: YearDay) -> u32 {
        (start..start + length).map(|d| u32::from(self.on(d))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_course_rises_by_one_from_april_to_november() {
        for curve in [
            Curve::of(Course::Gradual),
            Curve::of(Course::Spillover),
            Curve::of(Course::Steps),
            Curve::migrated(),
        ] {
            let h = |m: usize| curve.0[usize::from(MONTH_STARTS[m])];
            assert!((h(NOVEMBER) - h(APRIL) - 1.0).abs() < 1e-9);
            assert!(curve.0.is_sorted());
        }
    }

    #[test]
    fn consumers_of_the_united_states_leave_in_three_days() {
        let curve = Curve::migrated();
        let n = 10_000;
        let left = |from: YearDay, to: YearDay| {
            (0..n)
                .map(|i| curve.leaves(3.2, (f64::from(i) + 0.5) / f64::from(n)))
                .filter(|d| (from..to).contains(d))
                .count()
        };
        let before = left(MIGRATION, DAYS + 1);
        let step = left(MIGRATION, MIGRATION + 4);
        assert!(step * 10 > before * 8, "{step} of {before}");
    }

    #[test]
    fn a_return_is_never_in_the_month_of_removal() {
        let presence = Presence::until(100).with_return(RELAPSE_MIN_DAYS);
        assert!(presence.on(99) && !presence.on(100) && !presence.on(134));
        assert!(presence.on(135));
        assert_eq!(Presence::NEVER.days_in(0, DAYS), 0);
    }
}

//! When members leave: cumulative hazards over the year, and the fate of one member.
//!
//! **Invariant:** a curve rises by exactly 1 from 1 April to 1 November, so that a
//! hazard's scale means the same for every course.

use crate::calendar::{APRIL, DAYS, MONTH_STARTS, NOVEMBER, YearDay, year_day};
use crate::params::{CourseName, CourseShape, Courses};

/// The shortest return after a removal, in days: longer than a month, so that a member is
/// never away and back within one.
pub(crate) const RELAPSE_MIN_DAYS: u32 = 35;
/// The spread of returns after that, in days.
pub(crate) const RELAPSE_SPREAD_DAYS: u32 = 71;

/// Cumulative hazard at the start of each day, and at the end of the year.
#[derive(Clone)]
pub(crate) struct Curve(Vec<f64>);

impl Curve {
    /// The curve of organisations.
    pub(crate) fn of(courses: &Courses, course: CourseName) -> Self {
        let shape = match course {
            CourseName::Steps => &courses.steps,
            CourseName::Gradual => &courses.gradual,
            CourseName::Spillover => &courses.spillover,
        };
        Self::build(shape, courses.early)
    }

    /// The curve of consumers in the United States.
    pub(crate) fn migrated(courses: &Courses) -> Self {
        Self::build(&courses.migrated, courses.early)
    }

    /// The curve of two causes of leaving at once: the scales are in it.
    fn sum(first: (&Self, f64), second: (&Self, f64)) -> Self {
        let values = first.0.0.iter().zip(&second.0.0);
        Self(values.map(|(a, b)| first.1 * a + second.1 * b).collect())
    }

    /// The cumulative hazard at the start of a day.
    pub(crate) fn at(&self, day: YearDay) -> f64 {
        self.0[usize::from(day)]
    }

    fn build(shape: &CourseShape, early_rate: f64) -> Self {
        let april = MONTH_STARTS[APRIL];
        let span = f64::from(MONTH_STARTS[NOVEMBER] - april);
        let bursts: Vec<_> = shape
            .bursts
            .iter()
            .filter_map(|b| Some((year_day(b.at)?, b.weight, b.days)))
            .collect();
        let at = |day: YearDay| {
            let early = f64::from(day.min(april)) * early_rate;
            let late = f64::from(day.saturating_sub(april));
            let steps: f64 = bursts
                .iter()
                .filter(|(at, ..)| day > *at)
                .map(|(at, weight, days)| {
                    weight * (1.0 - (-f64::from(day - at) / days).exp())
                })
                .sum();
            shape.even * (early + late) / span + steps
        };
        let rise = at(MONTH_STARTS[NOVEMBER]) - at(april);
        Self((0..=DAYS).map(|day| at(day) / rise).collect())
    }

    /// The first day on which a member of quantile `u` is gone, or [`DAYS`] if it stays.
    pub(crate) fn leaves(&self, scale: f64, u: f64) -> YearDay {
        if scale <= 0.0 {
            return DAYS;
        }
        let limit = -(1.0 - u).ln() / scale;
        let first = self.0.partition_point(|h| *h <= limit);
        YearDay::try_from(first).expect("a year of days").min(DAYS)
    }
}

/// How members of a group leave: on their course, and evenly beside it.
#[derive(Clone)]
pub(crate) struct Leaving {
    curve: Curve,
    scale: f64,
}

impl Leaving {
    /// On a curve with a scale; `churn` is the hazard of leaving evenly whatever happens.
    pub(crate) fn new(curve: &Curve, scale: f64, churn: (&Curve, f64)) -> Self {
        if churn.1 > 0.0 {
            Self { curve: Curve::sum((curve, scale), churn), scale: 1.0 }
        } else {
            Self { curve: curve.clone(), scale }
        }
    }

    /// The first day on which a member of quantile `u` is gone, or [`DAYS`] if it stays.
    pub(crate) fn day(&self, u: f64) -> YearDay {
        self.curve.leaves(self.scale, u)
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

    /// Always.
    pub(crate) const WHOLE: Self = Self { from: 0, until: DAYS, back: DAYS };

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
        let courses = Courses::default();
        for curve in [
            Curve::of(&courses, CourseName::Gradual),
            Curve::of(&courses, CourseName::Spillover),
            Curve::of(&courses, CourseName::Steps),
            Curve::migrated(&courses),
        ] {
            let h = |m: usize| curve.at(MONTH_STARTS[m]);
            assert!((h(NOVEMBER) - h(APRIL) - 1.0).abs() < 1e-9);
            assert!(curve.0.is_sorted());
        }
    }

    #[test]
    fn consumers_of_the_united_states_leave_in_three_days() {
        let curve = Curve::migrated(&Courses::default());
        let migration = 260;
        let n = 10_000;
        let left = |from: YearDay, to: YearDay| {
            (0..n)
                .map(|i| curve.leaves(3.2, (f64::from(i) + 0.5) / f64::from(n)))
                .filter(|d| (from..to).contains(d))
                .count()
        };
        let before = left(migration, DAYS + 1);
        let step = left(migration, migration + 4);
        assert!(step * 10 > before * 8, "{step} of {before}");
    }

    #[test]
    fn churn_is_what_its_share_says_and_nobody_leaves_without_a_hazard() {
        let courses = Courses::default();
        let steps = Curve::of(&courses, CourseName::Steps);
        let even = Curve::of(&courses, CourseName::Gradual);
        let churn = Leaving::new(&steps, 0.0, (&even, -(1.0f64 - 0.16).ln()));
        let n = 10_000u32;
        let gone = |leaving: &Leaving, day: YearDay| {
            (0..n)
                .filter(|i| leaving.day((f64::from(*i) + 0.5) / f64::from(n)) <= day)
                .count()
        };
        let (april, november) = (MONTH_STARTS[APRIL], MONTH_STARTS[NOVEMBER]);
        let (before, after) = (gone(&churn, april), gone(&churn, november));
        let left = n as usize - before;
        let share = (after - before) * 1000 / left;
        assert!((155..165).contains(&share), "{share}");
        let nobody = Leaving::new(&steps, 0.0, (&even, 0.0));
        assert_eq!(gone(&nobody, DAYS - 1), 0);
    }

    #[test]
    fn a_return_is_never_in_the_month_of_removal() {
        let presence = Presence::until(100).with_return(RELAPSE_MIN_DAYS);
        assert!(presence.on(99) && !presence.on(100) && !presence.on(134));
        assert!(presence.on(135));
        assert_eq!(Presence::NEVER.days_in(0, DAYS), 0);
    }
}

//! The simulated year and its dated steps, in days counted from its first.
//!
//! **Invariant:** a [`YearDay`] in use is below [`DAYS`].

use tidegauge_model::Day;

/// Days since 2024-01-01.
pub(crate) type YearDay = u16;

/// Days of 2024.
pub(crate) const DAYS: YearDay = 366;
/// First day of each month, and of the next year.
pub(crate) const MONTH_STARTS: [YearDay; 13] =
    [0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, DAYS];
/// Index of April: the baseline window.
pub(crate) const APRIL: usize = 3;
/// Index of November: the final window.
pub(crate) const NOVEMBER: usize = 10;

/// Days since 1970-01-01 of the first day of the year.
const FIRST: i32 = 19_723;

/// Announced: the Final Determination, 2024-06-20.
pub(crate) const ANNOUNCED: YearDay = 171;
/// New sales end, 2024-07-20.
pub(crate) const SALES_END: YearDay = 201;
/// Forced migration of consumers in the United States begins, 2024-09-17.
pub(crate) const MIGRATION: YearDay = 260;
/// Updates and reputation service end in the United States, 2024-09-29.
pub(crate) const UPDATES_END: YearDay = 272;

/// The steps that the world follows: date, what, where (ISO code or ZZ for the world).
pub(crate) const EVENTS: [(YearDay, &str, &str); 4] = [
    (
        ANNOUNCED,
        "announced: hazards rise, also of subsidiaries and where a course is spillover",
        "US",
    ),
    (SALES_END, "new sales end: hazards rise", "US"),
    (MIGRATION, "forced migration of consumers over three days", "US"),
    (UPDATES_END, "updates end: hazards rise, clients are no longer served", "US"),
];

/// The calendar day.
pub(crate) fn day(day: YearDay) -> Day {
    Day(FIRST + i32::from(day))
}

/// Whether it is a Saturday or Sunday.
pub(crate) fn is_weekend(day: YearDay) -> bool {
    // 2024-01-01 was a Monday.
    day % 7 >= 5
}

/// First day and length of a month, 0 to 11.
pub(crate) fn month(index: usize) -> (YearDay, YearDay) {
    let start = MONTH_STARTS[index];
    (start, MONTH_STARTS[index + 1] - start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_fall_on_their_dates() {
        let text = |d| day(d).to_string();
        assert_eq!(text(0), "2024-01-01");
        assert_eq!(text(ANNOUNCED), "2024-06-20");
        assert_eq!(text(SALES_END), "2024-07-20");
        assert_eq!(text(MIGRATION), "2024-09-17");
        assert_eq!(text(UPDATES_END), "2024-09-29");
        assert_eq!(text(DAYS - 1), "2024-12-31");
        assert_eq!(day(0).weekday_from_monday(), 0);
        for (index, start) in MONTH_STARTS.iter().take(12).enumerate() {
            assert_eq!(
                usize::try_from(day(*start).month().number()).unwrap(),
                index + 1
            );
        }
    }
}

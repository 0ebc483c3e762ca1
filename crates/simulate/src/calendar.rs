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

/// Days that are also written as logs and exports: 9 to 11 April, 12 to 14 November.
pub(crate) const STRETCHES: [std::ops::Range<YearDay>; 2] = [99..102, 316..319];

/// Days since 1970-01-01 of the first day of the year.
const FIRST: i32 = 19_723;

/// The calendar day.
pub(crate) fn day(day: YearDay) -> Day {
    Day(FIRST + i32::from(day))
}

/// The place of a day in the year; none outside of it.
pub(crate) fn year_day(day: Day) -> Option<YearDay> {
    let place = YearDay::try_from(day.0.checked_sub(FIRST)?).ok()?;
    (place < DAYS).then_some(place)
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
    fn months_and_days_have_their_places() {
        assert_eq!(day(0).to_string(), "2024-01-01");
        assert_eq!(day(DAYS - 1).to_string(), "2024-12-31");
        assert_eq!(day(0).weekday_from_monday(), 0);
        assert_eq!(year_day(day(171)), Some(171));
        assert_eq!((year_day(day(DAYS)), year_day(Day(FIRST - 1))), (None, None));
        for (index, start) in MONTH_STARTS.iter().take(12).enumerate() {
            assert_eq!(
                usize::try_from(day(*start).month().number()).unwrap(),
                index + 1
            );
        }
    }
}

//! Days, weeks and months in UTC, and instants in microseconds.
//!
//! **Invariant:** everything is UTC; a week is an ISO week and begins on Monday.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};

/// Microseconds in one UTC day (POSIX time: no leap seconds).
const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Microseconds in one hour.
const MICROS_PER_HOUR: i64 = 3_600_000_000;
/// Days from 0000-03-01 to 1970-01-01 in the proleptic Gregorian calendar, the shift of
/// Howard Hinnant's `days_from_civil`.
const EPOCH_SHIFT_DAYS: i64 = 719_468;

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Instant(pub i64);

impl Instant {
    /// From whole seconds and microseconds since the epoch, saturating.
    pub fn from_unix(seconds: i64, micros: u32) -> Self {
        Self(seconds.saturating_mul(1_000_000).saturating_add(i64::from(micros)))
    }

    /// From milliseconds since the epoch, saturating.
    pub fn from_unix_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// The UTC day that contains this instant.
    pub fn day(self) -> Day {
        let days = self.0.div_euclid(MICROS_PER_DAY);
        Day(i32::try_from(days).expect("i64 microseconds span under 2^28 days"))
    }

    /// The UTC hour of the day, 0 to 23.
    pub fn hour(self) -> u8 {
        let hour = self.0.rem_euclid(MICROS_PER_DAY) / MICROS_PER_HOUR;
        u8::try_from(hour).expect("a day has 24 hours")
    }

    /// This instant moved by `seconds`, saturating.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }
}

/// `2024-04-01T12:00:00Z`, with any offset; a date alone is the end of its day.
impl FromStr for Instant {
    type Err = BadDate;

    fn from_str(text: &str) -> Result<Self, BadDate> {
        if let Ok(day) = text.parse::<Day>() {
            return Ok(Self(day.plus(1).start().0 - 1));
        }
        let wanted = "time (YYYY-MM-DD, or YYYY-MM-DDTHH:MM:SSZ)";
        let at = text.parse::<jiff::Timestamp>();
        let at = at.map_err(|_| BadDate { text: text.to_owned(), wanted })?;
        Ok(Self(at.as_microsecond()))
    }
}

/// `2024-04-01T12:00:00.25Z`, or microseconds since 1970 where no calendar reaches.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(at) => write!(f, "{at}"),
            Err(_) => write!(f, "{} us", self.0),
        }
    }
}

/// A UTC day, as days since 1970-01-01.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Day(pub i32);

impl Day {
    /// The day of a calendar date, or `None` where there is no such date.
    pub fn from_date(year: i16, month: i8, day: i8) -> Option<Self> {
        Date::new(year, month, day).ok().map(Self::from)
    }

    /// The calendar date. Days outside years -9999 to 9999 saturate.
    pub fn date(self) -> Date {
        let (year, month, day) = civil_from_days(i64::from(self.0));
        i16::try_from(year)
            .ok()
            .and_then(|year| Date::new(year, month, day).ok())
            .unwrap_or(if self.0 < 0 { Date::MIN } else { Date::MAX })
    }

    /// The first instant of the day.
    pub fn start(self) -> Instant {
        Instant(i64::from(self.0) * MICROS_PER_DAY)
    }

    /// The calendar month that contains the day.
    pub fn month(self) -> Month {
        let date = self.date();
        Month { year: date.year(), month: date.month() }
    }

    /// The ISO week that contains the day.
    pub fn week(self) -> Week {
        Week(self.0 - i32::from(self.weekday_from_monday()))
    }

    /// Days since Monday: 0 to 6.
    pub fn weekday_from_monday(self) -> u8 {
        // 1970-01-01 was a Thursday, three days after Monday.
        u8::try_from((i64::from(self.0) + 3).rem_euclid(7)).expect("below 7")
    }

    /// The day `count` days later (earlier if negative).
    #[must_use]
    pub fn plus(self, count: i32) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl From<Date> for Day {
    fn from(date: Date) -> Self {
        Self(days_from_civil(
            i64::from(date.year()),
            i64::from(date.month()),
            i64::from(date.day()),
        ))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.date().to_string())
    }
}

/// A date or month that could not be read; carries the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {wanted}")]
pub struct BadDate {
    text: String,
    wanted: &'static str,
}

impl FromStr for Day {
    type Err = BadDate;

    fn from_str(text: &str) -> Result<Self, BadDate> {
        let wanted = "date (YYYY-MM-DD)";
        let bad = || BadDate { text: text.to_owned(), wanted };
        // jiff also reads longer forms; a day has exactly this one.
        if text.len() != 10 {
            return Err(bad());
        }
        text.parse::<Date>().map(Self::from).map_err(|_| bad())
    }
}

impl TryFrom<String> for Day {
    type Error = BadDate;

    fn try_from(text: String) -> Result<Self, BadDate> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

/// Both ends included. **Invariant:** `first <= last`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "Ends")]
pub struct DayRange {
    first: Day,
    last: Day,
}

/// A range as it is read, the wrong way round or not.
#[derive(Deserialize)]
struct Ends {
    first: Day,
    last: Day,
}

impl TryFrom<Ends> for DayRange {
    type Error = BadDate;

    fn try_from(Ends { first, last }: Ends) -> Result<Self, BadDate> {
        let text = format!("{first}..{last}");
        Self::new(first, last).ok_or(BadDate { text, wanted: "range of days" })
    }
}

impl DayRange {
    /// The days from `first` to `last`, or `None` if they are the wrong way round.
    pub fn new(first: Day, last: Day) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// One day.
    pub fn one(day: Day) -> Self {
        Self { first: day, last: day }
    }

    /// All days of a calendar month.
    pub fn month(month: Month) -> Self {
        Self { first: month.first(), last: month.last() }
    }

    /// The first day.
    pub fn first(self) -> Day {
        self.first
    }

    /// The last day, included.
    pub fn last(self) -> Day {
        self.last
    }

    /// How many days: at least 1.
    pub fn length_days(self) -> u32 {
        (self.last.0 - self.first.0).unsigned_abs() + 1
    }

    /// Whether `day` is one of them.
    pub fn contains(self, day: Day) -> bool {
        self.first <= day && day <= self.last
    }

    /// Each day in order.
    pub fn days(self) -> impl Iterator<Item = Day> {
        (self.first.0..=self.last.0).map(Day)
    }

    /// Each ISO week that has a day in the range, in order.
    pub fn weeks(self) -> impl Iterator<Item = Week> {
        (self.first.week().0..=self.last.0).step_by(7).map(Week)
    }

    /// Each calendar month that has a day in the range, in order.
    pub fn months(self) -> impl Iterator<Item = Month> {
        let last = self.last.month();
        std::iter::successors(Some(self.first.month()), |m| Some(m.next()))
            .take_while(move |m| *m <= last)
    }
}

impl fmt::Display for DayRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.first, self.last)
    }
}

/// `2024-04`, or `2024-04-01..2024-04-30` with both ends.
impl FromStr for DayRange {
    type Err = BadDate;

    fn from_str(text: &str) -> Result<Self, BadDate> {
        let bad = || BadDate {
            text: text.to_owned(),
            wanted: "range of days (FIRST..LAST, or a month YYYY-MM)",
        };
        let Some((first, last)) = text.split_once("..") else {
            return text.parse().map(Self::month).map_err(|_| bad());
        };
        let day = |text: &str| text.parse().map_err(|_| bad());
        Self::new(day(first)?, day(last)?).ok_or_else(bad)
    }
}

/// An ISO week, named by its Monday (days since 1970-01-01).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Week(i32);

impl Week {
    /// The Monday of the week.
    pub fn monday(self) -> Day {
        Day(self.0)
    }

    /// The week `count` weeks later.
    #[must_use]
    pub fn plus(self, count: i32) -> Self {
        Self(self.0.saturating_add(count.saturating_mul(7)))
    }
}

impl fmt::Display for Week {
    /// As ISO 8601 writes it: `2024-W14`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let iso = self.monday().date().iso_week_date();
        debug_assert_eq!(
            iso.weekday(),
            Weekday::Monday,
            "a week is named by its Monday"
        );
        f.pad(&format!("{}-W{:02}", iso.year(), iso.week()))
    }
}

/// A calendar month.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    year: i16,
    month: i8,
}

impl Month {
    /// A month of a year, or `None` unless `month` is 1 to 12.
    pub fn new(year: i16, month: i8) -> Option<Self> {
        Date::new(year, month, 1).ok().map(|_| Self { year, month })
    }

    /// The first day.
    pub fn first(self) -> Day {
        Day(days_from_civil(i64::from(self.year), i64::from(self.month), 1))
    }

    /// The last day.
    pub fn last(self) -> Day {
        self.next().first().plus(-1)
    }

    /// The month after this one.
    #[must_use]
    pub fn next(self) -> Self {
        if self.month == 12 {
            Self { year: self.year.saturating_add(1), month: 1 }
        } else {
            Self { year: self.year, month: self.month + 1 }
        }
    }

    /// The month so many earlier; `None` if there is no such year.
    pub fn back(self, months: u16) -> Option<Self> {
        let earlier =
            i32::from(self.year) * 12 + i32::from(self.month) - 1 - i32::from(months);
        let year = i16::try_from(earlier.div_euclid(12)).ok()?;
        Self::new(year, i8::try_from(earlier.rem_euclid(12)).ok()? + 1)
    }

    /// Calendar year.
    pub fn year(self) -> i16 {
        self.year
    }

    /// Month of the year, 1 to 12.
    pub fn number(self) -> i8 {
        self.month
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:04}-{:02}", self.year, self.month))
    }
}

impl FromStr for Month {
    type Err = BadDate;

    fn from_str(text: &str) -> Result<Self, BadDate> {
        let bad = || BadDate { text: text.to_owned(), wanted: "month (YYYY-MM)" };
        let (year, month) = text.split_once('-').ok_or_else(bad)?;
        if year.len() != 4 || month.len() != 2 {
            return Err(bad());
        }
        let year = year.parse().map_err(|_| bad())?;
        let month = month.parse().map_err(|_| bad())?;
        Self::new(year, month).ok_or_else(bad)
    }
}

impl TryFrom<String> for Month {
    type Error = BadDate;

    fn try_from(text: String) -> Result<Self, BadDate> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date. Integer arithmetic because it
/// runs once a flow; the property test holds it against `jiff`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    i32::try_from(era * 146_097 + day_of_era - EPOCH_SHIFT_DAYS)
        .expect("years of `i16` span under 2^25 days")
}

/// The inverse of [`days_from_civil`]: year, month 1 to 12, day 1 to 31.
fn civil_from_days(days: i64) -> (i64, i8, i8) {
    let shifted = days + EPOCH_SHIFT_DAYS;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524
        - day_of_era / 146_096)
        / 365;
    let day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |n: i64| i8::try_from(n).expect("a month or a day of the month");
    (year, small(month), small(day))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn months_are_counted_back_across_years() {
        let month = |text: &str| text.parse::<Month>().unwrap();
        assert_eq!(month("2024-06").back(2), Some(month("2024-04")));
        assert_eq!(month("2024-01").back(2), Some(month("2023-11")));
        assert_eq!(month("2026-11").back(13), Some(month("2025-10")));
        assert_eq!(month("2026-11").back(0), Some(month("2026-11")));
        assert_eq!(month("2026-11").back(u16::MAX), Month::new(-3435, 8));
    }

    #[test]
    fn a_week_is_named_by_its_monday() {
        let day: Day = "2024-09-29".parse().unwrap();
        assert_eq!(day.week().monday().to_string(), "2024-09-23");
        assert_eq!(day.week().to_string(), "2024-W39");
        assert_eq!(day.weekday_from_monday(), 6);
    }

    #[test]
    fn april_and_november_are_windows_of_equal_length() {
        let length = |m: &str| DayRange::month(m.parse().unwrap()).length_days();
        assert_eq!((length("2024-04"), length("2024-11")), (30, 30));
    }

    #[test]
    fn dates_of_another_form_are_refused() {
        for text in ["2024-9-1", "20240901", "2024-13-01", "2024-02-30", ""] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    #[test]
    fn weeks_of_a_range_cover_it() {
        let range = DayRange::month("2024-04".parse().unwrap());
        let weeks: Vec<_> = range.weeks().map(|w| w.monday().to_string()).collect();
        assert_eq!(
            weeks,
            ["2024-04-01", "2024-04-08", "2024-04-15", "2024-04-22", "2024-04-29"]
        );
    }

    proptest! {
        #[test]
        fn day_arithmetic_agrees_with_jiff(days in -700_000i32..2_900_000) {
            let date = Day(days).date();
            let epoch = Date::new(1970, 1, 1).unwrap();
            let hours = date.duration_since(epoch).as_hours();
            prop_assert_eq!(i64::from(days), hours / 24);
            prop_assert_eq!(Day::from(date), Day(days));
        }
    }
}

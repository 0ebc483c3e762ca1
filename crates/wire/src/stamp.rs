//! Times as telemetry writes them, and which of them are believed.
//!
//! **Invariant:** a text that is not wholly a time is none.

use std::time::Duration;

use tidegauge_model::{Day, Instant, Reason};

/// Times before this are not believed: 1990-01-01T00:00:00Z, before there was a web, and
/// before any format read here.
const EARLIEST: Instant = Instant(631_152_000_000_000);

/// How far after the time of reading a record may be: a clock in another time zone.
const AHEAD_SECONDS_MAX: i64 = 86_400;

/// Whether a record read at `latest` can be of the time `at`.
pub(crate) fn believable(at: Instant, latest: Instant) -> Result<(), Reason> {
    let believed = EARLIEST <= at && at <= latest.plus_seconds(AHEAD_SECONDS_MAX);
    if believed { Ok(()) } else { Err(Reason::Time) }
}

/// Microseconds of seconds, rounded; negative, too many, or not a number is a wrong value.
pub(crate) fn micros_of(seconds: f64) -> Result<u64, Reason> {
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| Reason::Value)?;
    let micros = (duration.as_nanos() + 500) / 1_000;
    u64::try_from(micros).map_err(|_| Reason::Value)
}

/// Microseconds of a plain decimal number of seconds, `1517336042.090842`: the form in
/// which most logs write times and intervals. Digits after the sixth are cut. `None` for
/// any other form.
pub(crate) fn decimal_micros(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let mut micros = whole.parse::<u64>().ok()?.checked_mul(1_000_000)?;
    let mut unit = 100_000;
    for digit in fraction.bytes().take(6) {
        micros = micros.checked_add(u64::from(digit - b'0') * unit)?;
        unit /= 10;
    }
    Some(micros)
}

/// Reads `2018-01-30T18:14:02.279652Z`, also with an offset such as `+01:00` or `+0100`.
pub(crate) fn iso_8601(text: &str) -> Option<Instant> {
    let (date, time) = text.split_once('T')?;
    let day: Day = date.parse().ok()?;
    let zone_at = time.find(['Z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(zone_at)?;
    let mut parts = clock.splitn(3, ':');
    let mut part = |max: u64| {
        let text = parts.next().filter(|text| text.len() == 2)?;
        text.parse::<u64>().ok().filter(|value| *value <= max)
    };
    let (hours, minutes) = (part(23)?, part(59)?);
    let seconds =
        decimal_micros(parts.next()?).filter(|micros| *micros < 61_000_000)?;
    let micros = (hours * 3_600 + minutes * 60) * 1_000_000 + seconds;
    let start = day.start().0.checked_add(i64::try_from(micros).ok()?)?;
    start.checked_sub(offset_micros(zone)?).map(Instant)
}

/// Reads `2018-01-30T18:14:02.279652` with or without an offset; without one it is UTC.
pub(crate) fn iso_8601_or_utc(text: &str) -> Option<Instant> {
    iso_8601(text).or_else(|| iso_8601(&format!("{text}Z")))
}

/// The English short names of the months, as most logs write them (RFC 3164, 4.1.2).
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The number of a month by its English short name.
pub(crate) fn month(name: &str) -> Option<i8> {
    let at = MONTHS.iter().position(|month| *month == name)?;
    i8::try_from(at + 1).ok()
}

/// A day of the month and a time of the day, `24` and `07:26:09.906`, both in UTC.
pub(crate) fn in_month(
    year: i16,
    month: i8,
    day: &str,
    clock: &str,
) -> Option<Instant> {
    let day = Day::from_date(year, month, day.parse().ok()?)?;
    iso_8601(&format!("{day}T{clock}Z"))
}

/// A date without a year: that which puts the time nearest before `latest`, or up to a day
/// after it. Logs are read soon after they are written, and never before.
pub(crate) fn without_year(
    month: i8,
    day: &str,
    clock: &str,
    latest: Instant,
) -> Option<Instant> {
    let bound = latest.plus_seconds(AHEAD_SECONDS_MAX);
    let year = bound.day().date().year();
    // A 29 February may be eight years back (1896 to 1904, 2096 to 2104).
    let years = (0..=8).filter_map(|back| year.checked_sub(back));
    let mut times = years.filter_map(|year| in_month(year, month, day, clock));
    times.find(|at| *at <= bound)
}

/// How far local time is ahead of UTC: `Z`, `+01:00`, `+0100`, `-05`.
fn offset_micros(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, digits) = zone.split_at_checked(1)?;
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    let value: i64 = digits.parse().ok()?;
    let minutes = match digits.len() {
        2 => value * 60,
        4 => value / 100 * 60 + value % 100,
        _ => return None,
    };
    let micros = minutes * 60_000_000;
    Some(if sign == "-" { -micros } else { micros })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yearless(month: i8, day: &str, latest: &str) -> String {
        let latest = iso_8601(latest).unwrap();
        let at = without_year(month, day, "23:59:59", latest).unwrap();
        at.day().to_string()
    }

    #[test]
    fn a_date_without_a_year_is_the_nearest_before_the_reading() {
        let read = "2026-11-24T07:00:00Z";
        assert_eq!(yearless(11, "24", read), "2026-11-24", "a clock may be ahead");
        assert_eq!(yearless(11, "26", read), "2025-11-26");
        assert_eq!(yearless(12, "31", "2026-01-01T00:00:01Z"), "2025-12-31");
        assert_eq!(yearless(1, "1", "2025-12-31T23:59:59Z"), "2026-01-01");
        assert_eq!(yearless(2, "29", read), "2024-02-29");
        assert_eq!(without_year(2, "30", "00:00:00", Instant(0)), None);
        assert_eq!(without_year(2, "3", "24:00:00", Instant(0)), None);
    }

    #[test]
    fn a_time_without_an_offset_is_utc() {
        let utc = iso_8601("2026-11-24T07:26:09.906Z");
        assert_eq!(iso_8601_or_utc("2026-11-24T07:26:09.906"), utc);
        assert_eq!(iso_8601_or_utc("2026-11-24T08:26:09.906+01:00"), utc);
        assert_eq!(iso_8601_or_utc("2026-11-24"), None);
    }
}

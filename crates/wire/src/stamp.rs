//! Times as telemetry writes them, and which of them are believed.
//!
//! **Invariant:** a text that is not wholly a time is none.

use std::time::Duration;

use tidegauge_model::{Day, Instant, Reason};

use crate::number::millionths;

/// Times before this are not believed: 1990-01-01T00:00:00Z, before there was a web, and
/// before any format read here.
pub(crate) const EARLIEST: Instant = Instant(631_152_000_000_000);

/// How far after the time of reading a record may be: a clock in another time zone.
const AHEAD_SECONDS_MAX: i64 = 86_400;

/// Whether a record read at `latest` can be of the time `at`.
pub(crate) fn believable(at: Instant, latest: Instant) -> Result<(), Reason> {
    let believed = EARLIEST <= at && at <= latest_believed(latest);
    if believed { Ok(()) } else { Err(Reason::Time) }
}

/// The last time that a record read at `latest` can be of.
pub(crate) fn latest_believed(latest: Instant) -> Instant {
    latest.plus_seconds(AHEAD_SECONDS_MAX)
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
    millionths(text.as_bytes()).or_else(|| long_decimal(text))
}

/// The same of any number of digits.
fn long_decimal(text: &str) -> Option<u64> {
    let mut whole: u64 = 0;
    let mut bytes = text.bytes();
    let mut digits = 0;
    for byte in bytes.by_ref() {
        match byte {
            b'0'..=b'9' => {
                whole = whole.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
                digits += 1;
            }
            b'.' if digits > 0 => break,
            _ => return None,
        }
    }
    if digits == 0 {
        return None;
    }
    let (mut micros, mut unit) = (0, 100_000);
    for byte in bytes {
        if !byte.is_ascii_digit() {
            return None;
        }
        micros += u64::from(byte - b'0') * unit;
        unit /= 10;
    }
    whole.checked_mul(1_000_000)?.checked_add(micros)
}

/// Reads `2018-01-30T18:14:02.279652Z`, also with an offset such as `+01:00` or `+0100`.
pub(crate) fn iso_8601(text: &str) -> Option<Instant> {
    let (at, zone) = calendar(text, b'-', b'T')?;
    at.0.checked_sub(offset_micros(zone)?).map(Instant)
}

/// Reads `2018-01-30T18:14:02.279652` with or without an offset; without one it is UTC.
pub(crate) fn iso_8601_or_utc(text: &str) -> Option<Instant> {
    let (at, zone) = calendar(text, b'-', b'T')?;
    if zone.is_empty() {
        return Some(at);
    }
    at.0.checked_sub(offset_micros(zone)?).map(Instant)
}

/// Reads `2018/01/30 18:14:02.279652` in UTC.
pub(crate) fn with_slashes(text: &str) -> Option<Instant> {
    let (at, rest) = calendar(text, b'/', b' ')?;
    rest.is_empty().then_some(at)
}

/// A date and the time of the day, without looking at any zone, and what is behind them.
/// Digits of the fraction after the sixth are cut.
fn calendar(text: &str, dash: u8, between: u8) -> Option<(Instant, &str)> {
    let (head, tail) = text.as_bytes().split_first_chunk::<19>()?;
    let &[y0, y1, y2, y3, s0, m0, m1, s1, d0, d1, s2, h0, h1, c0, i0, i1, c1, t0, t1] =
        head;
    if [s0, s1, s2, c0, c1] != [dash, dash, between, b':', b':'] {
        return None;
    }
    let year = i16::try_from(two(y0, y1)? * 100 + two(y2, y3)?).ok()?;
    let (month, day) = (two(m0, m1)?, two(d0, d1)?);
    let day = Day::from_date(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?)?;
    let (hours, minutes, seconds) = (two(h0, h1)?, two(i0, i1)?, two(t0, t1)?);
    // Second 60 is a leap second.
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let mut micros = (hours * 3_600 + minutes * 60 + seconds) * 1_000_000;
    let mut at = 19;
    if tail.first() == Some(&b'.') {
        let digits = tail.iter().skip(1).take_while(|b| b.is_ascii_digit());
        let mut unit = 100_000;
        for digit in digits {
            micros += i64::from(digit - b'0') * unit;
            unit /= 10;
            at += 1;
        }
        at += 1;
    }
    let rest = text.get(at..)?;
    day.start().0.checked_add(micros).map(|at| (Instant(at), rest))
}

/// A number of two digits.
fn two(tens: u8, ones: u8) -> Option<i64> {
    let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
    digits.then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
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
    let (sign, hours, minutes) = match *zone.as_bytes() {
        [b'Z'] => return Some(0),
        [sign, h0, h1] => (sign, two(h0, h1)?, 0),
        [sign, h0, h1, m0, m1] | [sign, h0, h1, b':', m0, m1] => {
            (sign, two(h0, h1)?, two(m0, m1)?)
        }
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let micros = (hours * 60 + minutes) * 60_000_000;
    match sign {
        b'+' => Some(micros),
        b'-' => Some(-micros),
        _ => None,
    }
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
        assert_eq!(iso_8601("2026-11-24T07:26:09.906"), None);
        assert_eq!(with_slashes("2026/11/24 07:26:09.906"), utc);
        assert_eq!(with_slashes("2026/11/24 07:26:09.906Z"), None);
    }

    #[test]
    fn only_a_whole_time_is_one() {
        for wrong in [
            "2026-11-24T07:26:09.906+01:0",
            "2026-11-24T07:26:09.906+2500",
            "2026-11-24T07:26:09.906 0100",
            "2026-11-24T07:26:09.9x6Z",
            "2026-11-24T07:26:61Z",
            "2026-11-24T24:26:09Z",
            "2026-11-31T07:26:09Z",
            "2026-13-01T07:26:09Z",
            "2026-1-01T07:26:09Z",
            "+026-01-01T07:26:09Z",
            "2026-01-01T07:26:0\u{e9}",
        ] {
            assert_eq!(iso_8601_or_utc(wrong), None, "{wrong}");
        }
        let leap = iso_8601("2016-12-31T23:59:60Z").unwrap();
        assert_eq!(leap, iso_8601("2017-01-01T00:00:00.0000009Z").unwrap());
    }
}

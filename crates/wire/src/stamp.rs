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

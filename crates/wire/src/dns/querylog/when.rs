//! The time with which a line of a log begins.
//!
//! **Invariant:** the rest of the line begins behind the time, or is all of the line where no
//! time is known. A time without a zone is UTC; one without a year is the nearest before the
//! log was read.

use tidegauge_model::Instant;

use crate::stamp;

/// Takes the time off the front of a line that was read at `latest`.
pub(super) fn split(line: &str, latest: Instant) -> (Option<Instant>, &str) {
    let text = behind_priority(line);
    let found = bracketed(text)
        .or_else(|| iso(text))
        .or_else(|| bind(text))
        .or_else(|| syslog(text, latest));
    match found {
        Some((at, rest)) => (Some(at), rest.trim_ascii_start()),
        None => (None, line),
    }
}

/// Behind `<30>` (RFC 3164, 4.1.1) or `<30>1 ` (RFC 5424, 6.2), if that is there.
fn behind_priority(line: &str) -> &str {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let behind = line.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    match behind {
        Some((number, rest)) if !number.is_empty() && digits(number) => {
            rest.strip_prefix("1 ").unwrap_or(rest)
        }
        _ => line,
    }
}

/// `[1795505117] …`: Unbound's own file.
fn bracketed(text: &str) -> Option<(Instant, &str)> {
    let (seconds, rest) = text.strip_prefix('[')?.split_once(']')?;
    let micros = stamp::decimal_micros(seconds)?;
    Some((Instant(i64::try_from(micros).ok()?), rest))
}

/// `2026-11-24T07:26:09.906Z …`, with or without the offset: BIND's `print-time iso8601`,
/// Unbound's `log-time-iso`, and what writes syslog and containers' logs today.
fn iso(text: &str) -> Option<(Instant, &str)> {
    let (time, rest) = text.split_once(' ')?;
    Some((stamp::iso_8601_or_utc(time)?, rest))
}

/// `24-Nov-2026 07:26:09.906 …`: BIND's `print-time local`.
fn bind(text: &str) -> Option<(Instant, &str)> {
    let (date, rest) = text.split_once(' ')?;
    let (clock, rest) = rest.split_once(' ')?;
    let mut parts = date.splitn(3, '-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let at = stamp::in_month(year.parse().ok()?, stamp::month(month)?, day, clock)?;
    Some((at, rest))
}

/// `Nov 24 07:25:14 …`, `Nov  4 07:25:14 …` (RFC 3164, 4.1.2).
fn syslog(text: &str, latest: Instant) -> Option<(Instant, &str)> {
    let (month, rest) = text.split_once(' ')?;
    let (day, rest) = rest.trim_ascii_start().split_once(' ')?;
    let (clock, rest) = rest.split_once(' ')?;
    let at = stamp::without_year(stamp::month(month)?, day, clock, latest)?;
    Some((at, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_one_time() {
        let at = stamp::iso_8601("2026-11-24T07:25:14Z").unwrap();
        for line in [
            "[1795505114] rest",
            "2026-11-24T07:25:14Z rest",
            "2026-11-24T07:25:14.000 rest",
            "2026-11-24T08:25:14+01:00 rest",
            "24-Nov-2026 07:25:14.000 rest",
            "Nov 24 07:25:14 rest",
            "<30>Nov 24 07:25:14 rest",
            "<30>1 2026-11-24T07:25:14Z rest",
        ] {
            assert_eq!(split(line, at), (Some(at), "rest"), "{line}");
        }
        let (fourth, _) = split("Nov  4 07:25:14 rest", at);
        assert_eq!(fourth, Some(at.plus_seconds(-20 * 86_400)));
        let far = Instant(i64::MAX);
        assert!(split("Nov 24 07:25:14 rest", far).0.is_some(), "any year will do");
        for line in ["rest of it all", "<x>[1] rest", "[x] rest", "", "Nov", "[1"] {
            assert_eq!(split(line, at), (None, line));
        }
    }
}

//! Instants as RFC 3339 with milliseconds, the form that every format here takes.
//!
//! **Invariant:** UTC, 24 characters.

use serde::Serializer;
use tidegauge_model::Instant;

/// Microseconds in a day.
const DAY: i64 = 86_400_000_000;

/// `2024-04-01T12:00:00.250Z`.
pub fn text(at: Instant) -> String {
    let in_day = at.0.rem_euclid(DAY);
    let (seconds, millis) = (in_day / 1_000_000, in_day / 1_000 % 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z", at.day())
}

/// As text, for `serialize_with`.
pub fn serialize<S: Serializer>(at: &Instant, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&text(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_utc_with_milliseconds() {
        let at = Instant(1_711_972_800_250_999);
        assert_eq!(text(at), "2024-04-01T12:00:00.250Z");
        assert_eq!(text(Instant(-1)), "1969-12-31T23:59:59.999Z");
    }
}

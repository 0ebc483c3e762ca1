//! The clock and the environment: the only place where they are read.

use tidegauge_model::{Day, Instant};

/// Now, in microseconds since the epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock"
)]
pub(crate) fn now() -> Instant {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let micros =
        since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    Instant(micros)
}

/// A clock that never goes back, for what is counted by the minute.
pub(crate) fn monotonic() -> std::time::Instant {
    std::time::Instant::now()
}

/// The UTC day it is.
pub(crate) fn today() -> Day {
    now().day()
}

/// Everything in the environment that is text: credentials and endpoints of object stores.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        name.into_string().ok().zip(value.into_string().ok())
    })
}

/// Whether the user asked for no colour (no-color.org).
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
pub(crate) fn no_colour() -> bool {
    std::env::var("NO_COLOR").is_ok_and(|value| !value.is_empty())
}

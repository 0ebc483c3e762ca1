//! `tidegauge config`: the effective settings as a commented file.

use std::io::Write;

use crate::Outcome;
use crate::settings::Settings;

/// Prints the file.
pub(crate) fn run(settings: &Settings) -> anyhow::Result<Outcome> {
    std::io::stdout().lock().write_all(settings.as_file().as_bytes())?;
    Ok(Outcome::Done)
}

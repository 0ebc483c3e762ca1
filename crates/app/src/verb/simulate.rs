//! `tidegauge simulate`: a synthetic world, written as real telemetry.

use std::path::Path;

use anyhow::Context;
use tidegauge_simulate::{Params, Written};

use crate::{Outcome, args, progress};

/// Writes the world.
pub(crate) fn run(verb: &args::Simulate) -> anyhow::Result<Outcome> {
    let params = match &verb.params {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("reading {}", path.display()))?;
            Params::read(&text)
                .with_context(|| format!("reading {}", path.display()))?
        }
        None => params(&verb.scale),
    };
    let args::WorldName::A = verb.world;
    let written = write(&params, &verb.out)?;
    tracing::info!("{} in {}", told(&written), verb.out.display());
    Ok(Outcome::Done)
}

/// The calibrated parameters at the scale that was asked for.
pub(crate) fn params(scale: &args::World) -> Params {
    Params {
        organisations: scale.organisations,
        eyeball: scale.eyeball,
        seed: scale.seed,
        ..Params::default()
    }
}

/// Writes a world below `out`, with a bar.
pub(crate) fn write(params: &Params, out: &Path) -> anyhow::Result<Written> {
    let bar = progress::steps("simulating", 12);
    let written = tidegauge_simulate::write(params, out, &mut |progress| {
        bar.set_position(progress.months_done.into());
    });
    bar.finish_and_clear();
    written.with_context(|| format!("simulating into {}", out.display()))
}

/// What was written, in words.
pub(crate) fn told(written: &Written) -> String {
    format!(
        "{} flows in {} tables, {} logs",
        written.flows,
        written.tables.len(),
        written.zeek_logs.len()
    )
}

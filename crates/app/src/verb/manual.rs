//! `tidegauge completions` and `tidegauge man`, made from the arguments themselves, and
//! `tidegauge schema`.

use clap::CommandFactory;

use crate::Outcome;
use crate::args::Arguments;
use crate::output::SCHEMA;

/// Prints a completion script.
pub(crate) fn completions(shell: clap_complete::Shell) -> anyhow::Result<Outcome> {
    let mut command = Arguments::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "tidegauge", &mut script);
    std::io::Write::write_all(&mut std::io::stdout().lock(), &script)?;
    Ok(Outcome::Done)
}

/// Prints the schema of documents.
pub(crate) fn schema() -> anyhow::Result<Outcome> {
    std::io::Write::write_all(&mut std::io::stdout().lock(), SCHEMA.as_bytes())?;
    Ok(Outcome::Done)
}

/// Prints the manual page.
pub(crate) fn man() -> anyhow::Result<Outcome> {
    let page = clap_mangen::Man::new(Arguments::command());
    page.render(&mut std::io::stdout().lock())?;
    Ok(Outcome::Done)
}

//! The tables of `docs/explanation/validation.md` that are drawn from worlds with known truth.
//!
//! Not in CI: it takes four hours of processor. Replicates are kept in the target folder as they
//! are drawn, so that it can be stopped and go on.
//!
//! **Invariant:** nothing is chosen here but how many; what is written is what came out.

use crate::run::{Outcome, root, run, target};
use crate::worlds;

/// Replicates of each world, and their share of the full size.
const REPLICATES: [&str; 2] = ["334", "0.02"];
/// Worlds in which nothing happens, and their share of the full size.
const SIZES: [&str; 2] = ["150", "1"];

/// Draws everything again and writes it.
pub(crate) fn validation() -> Outcome {
    let rows = format!("--rows={}", target().join("replicates.jsonl").display());
    example("replicates", &[&REPLICATES[..], &[&rows, "--write"]].concat())?;
    example("sizes", &[&SIZES[..], &["--write"]].concat())?;
    let docs = root().join("docs/explanation/validation.md");
    let told = |e: std::io::Error| format!("{}: {e}", docs.display());
    let text = std::fs::read_to_string(&docs).map_err(told)?;
    std::fs::write(&docs, worlds::written(&text)?).map_err(told)
}

fn example(name: &str, words: &[&str]) -> Outcome {
    let cargo =
        ["run", "--locked", "--package", "tidegauge-simulate", "--example", name, "--"];
    run("cargo", &[&cargo, words].concat())
}

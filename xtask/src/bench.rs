//! What the stages cost, as rows for `docs/benchmarks.md`.
//!
//! Not in CI: figures of a shared machine decide nothing by themselves; ratios measured in
//! one run do.

use crate::run::{Outcome, run};

/// Runs every bench, then the demo, whose words tell flows per second and its time. All
/// in one command: a package alone would unite other features and build the engine again.
pub(crate) fn bench() -> Outcome {
    let names = ["decode", "export", "logs", "observe", "atlas", "count"];
    let benches = names.iter().flat_map(|name| ["--bench", name]);
    let arguments: Vec<&str> =
        ["bench", "--locked", "--workspace"].into_iter().chain(benches).collect();
    run("cargo", &arguments)?;
    let demo = crate::run::target().join("bench-demo");
    let demo = demo.to_str().ok_or("the target folder's path is not UTF-8")?;
    run("cargo", &["run", "--release", "--locked", "--", "demo", "--out", demo])
}

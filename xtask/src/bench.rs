//! What the stages cost, as rows for `docs/benchmarks.md`.
//!
//! Not in CI: figures of a shared machine decide nothing by themselves; ratios measured in
//! one run do.

use crate::run::{Outcome, run};

/// Runs every bench, then the demo, whose words tell flows per second and its time. All
/// in one command: a package alone would unite other features and build the engine again.
pub(crate) fn bench() -> Outcome {
    let benches = [
        "--bench", "decode", "--bench", "observe", "--bench", "atlas", "--bench",
        "count",
    ];
    run("cargo", &[&["bench", "--locked", "--workspace"][..], &benches].concat())?;
    let demo = crate::run::target().join("bench-demo");
    let demo = demo.to_str().ok_or("the target folder's path is not UTF-8")?;
    run("cargo", &["run", "--release", "--locked", "--", "demo", "--out", demo])
}

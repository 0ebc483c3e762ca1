//! What the stages cost, as rows for `docs/benchmarks.md`.
//!
//! Not in CI: figures of a shared machine decide nothing by themselves; ratios measured in
//! one run do.

use crate::run::{Outcome, run};

/// The benches, in the order of the pipe.
const BENCHES: &[(&str, &str)] = &[
    ("tidegauge-wire", "decode"),
    ("tidegauge-enrich", "observe"),
    ("tidegauge-enrich", "atlas"),
    ("tidegauge-census", "count"),
];

/// Runs every bench, then the demo, whose words tell flows per second and its time.
pub(crate) fn bench() -> Outcome {
    for (package, name) in BENCHES {
        run("cargo", &["bench", "--locked", "--package", package, "--bench", name])?;
    }
    let demo = crate::run::target().join("bench-demo");
    let demo = demo.to_str().ok_or("the target folder's path is not UTF-8")?;
    run("cargo", &["run", "--release", "--locked", "--", "demo", "--out", demo])
}

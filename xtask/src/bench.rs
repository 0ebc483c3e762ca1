//! What the stages cost, as rows for `docs/benchmarks.md`.
//!
//! Not in CI: figures of a shared machine decide nothing by themselves; ratios measured in
//! one run do.

use crate::run::{Outcome, run};

/// Runs the measuring verb of a release build.
pub(crate) fn bench() -> Outcome {
    run(
        "cargo",
        &["run", "--release", "--locked", "--package", "tidegauge-app", "--", "bench"],
    )
}

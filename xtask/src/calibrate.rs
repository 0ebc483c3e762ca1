//! The synthetic world at full size, against the published figures it is calibrated to.
//!
//! Not in CI: it takes the release build and some minutes.

use crate::run::{Outcome, run};

/// Runs `tidegauge demo` at full size; the program itself compares its census with the
/// targets and fails where one is missed by more than 3 %.
pub(crate) fn calibrate() -> Outcome {
    let demo = crate::run::target().join("calibrate");
    let demo = demo.to_str().ok_or("the target folder's path is not UTF-8")?;
    run(
        "cargo",
        &[
            "run",
            "--release",
            "--locked",
            "--package",
            "tidegauge-app",
            "--",
            "demo",
            "--out",
            demo,
            "--check-targets",
        ],
    )
}

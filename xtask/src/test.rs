//! Everything CI runs, cheapest first, so that a mistake is told early.

use crate::run::{Outcome, root, run, say, target};
use crate::{browser, docs, fuzz, tidy, tools};

/// Size of the demo in tests: a twentieth of the world, so that an unoptimised build
/// ingests it within a minute or two while the largest cells stay publishable.
const DEMO_ORGANISATIONS: &str = "0.05";

/// What is in no build unless asked for, and tested with the rest.
pub(crate) const OPTIONAL: &str = "tidegauge-app/cluster,tidegauge-app/postgres";

/// Runs it all.
pub(crate) fn test() -> Outcome {
    tidy::tidy()?;
    run("cargo", &["fmt", "--all", "--", "--check"])?;
    let tests = ["test", "--workspace", "--locked", "--features", OPTIONAL];
    // What is fetched meanwhile takes little of the processor.
    std::thread::scope(|scope| {
        scope.spawn(tools::install);
        run("cargo", &[&tests[..], &["--quiet", "--no-run"]].concat())
    })?;
    run("cargo", &tests)?;
    docs::docs(docs::Mode::Check)?;
    fuzz::fuzz(&["--smoke"])?;
    let demo = target().join("demo");
    let demo = demo.to_str().ok_or("the target folder's path is not UTF-8")?;
    if std::fs::exists(demo).unwrap_or(false) {
        std::fs::remove_dir_all(demo)
            .map_err(|e| format!("cannot remove {demo}: {e}"))?;
    }
    let binary = target().join("debug/tidegauge");
    let binary = binary.to_str().ok_or("the target folder's path is not UTF-8")?;
    let mut arguments =
        vec!["demo", "--organisations", DEMO_ORGANISATIONS, "--out", demo];
    let ranks = root().join("../shared/facts/umbrella_rank_panel.csv");
    match ranks.to_str() {
        Some(ranks) if std::fs::exists(ranks).unwrap_or(false) => {
            arguments.extend(["--rank-panel", ranks]);
        }
        _ => say("SKIPPED the figure of ranks: shared data folder absent"),
    }
    run(binary, &arguments)?;
    browser::look(binary, demo)?;
    run(
        "cargo",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--features",
            OPTIONAL,
            "--",
            "-D",
            "warnings",
        ],
    )?;
    say("\nall checks passed");
    Ok(())
}

//! The generated pages of `docs/reference/`.
//!
//! **Invariant:** a generated page is what the program says of itself today; `--check`
//! fails where the committed page differs.

use std::fs;

use crate::run::{Outcome, output, root, run, say, target};
use crate::test::OPTIONAL;

/// Write the pages, or compare them with those in the tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Write.
    Write,
    /// Compare.
    Check,
}

/// Each generated page, and the arguments that make the program print it.
const PAGES: &[(&str, &[&str])] = &[
    ("docs/reference/commands.md", &["reference", "commands"]),
    ("docs/reference/lake.md", &["reference", "lake"]),
    ("docs/reference/catalog.md", &["reference", "catalog"]),
    ("docs/reference/policies.md", &["reference", "policies"]),
    ("docs/reference/metrics.md", &["reference", "metrics"]),
    ("docs/reference/api.md", &["reference", "api"]),
    ("docs/reference/openapi.json", &["reference", "openapi"]),
    ("docs/reference/output.schema.json", &["reference", "schema"]),
    ("docs/reference/views.md", &["reference", "views"]),
];

/// Writes or checks every page.
pub(crate) fn docs(mode: Mode) -> Outcome {
    // Built as the tests build it: built alone it would unite other features, and the engine
    // would be built again.
    if mode == Mode::Write {
        run(
            "cargo",
            &["test", "--workspace", "--locked", "--features", OPTIONAL, "--no-run"],
        )?;
    }
    let binary = target().join("debug/tidegauge");
    let binary = binary.to_str().ok_or("the target folder's path is not UTF-8")?;
    for (path, arguments) in PAGES {
        let page = output(binary, arguments)?;
        let at = root().join(path);
        if mode == Mode::Check {
            let kept = fs::read_to_string(&at).unwrap_or_default();
            if kept != page {
                return Err(format!("{path} is out of date: run `cargo xtask docs`"));
            }
        } else {
            let folder = at.parent().ok_or("a page lies in a folder")?;
            fs::create_dir_all(folder)
                .map_err(|e| format!("{}: {e}", folder.display()))?;
            fs::write(&at, page).map_err(|e| format!("{path}: {e}"))?;
        }
    }
    say(&format!("docs: {} pages", PAGES.len()));
    Ok(())
}

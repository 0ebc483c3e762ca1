//! The rules of the house that no compiler checks.
//!
//! * walls: each crate depends only on what its row in `ARCHITECTURE.md` allows;
//! * every Rust file opens with module docs and is reached from its crate's root;
//! * no machine paths, unfinished marks, ignored tests or names that say nothing;
//! * functions of more than 70 lines do not become more.
//!
//! **Invariant:** each message says where and how to mend it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Outcome, output, root, say};

/// What each crate may depend on among our own crates.
const OURS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("wire", &["model"]),
    ("enrich", &["model"]),
    ("store", &["model"]),
    ("census", &["model", "store"]),
    ("cluster", &["model", "census"]),
    ("effect", &["model"]),
    ("exposure", &["model"]),
    ("publish", &["model"]),
    ("simulate", &["model"]),
    (
        "app",
        &[
            "model", "wire", "enrich", "store", "census", "cluster", "effect",
            "exposure", "publish", "simulate",
        ],
    ),
];

/// Which crates may depend on these others: the engine, HTTP, the lake's log, async.
const FENCED: &[(&str, &[&str])] = &[
    ("datafusion", &["census", "cluster"]),
    ("datafusion-postgres", &["census"]),
    ("ballista-core", &["cluster"]),
    ("ballista-executor", &["cluster"]),
    ("ballista-scheduler", &["cluster"]),
    ("axum", &["publish", "app"]),
    ("deltalake-core", &["store"]),
    ("arrow", &["store", "census", "publish", "simulate", "app"]),
    ("parquet", &["store", "publish", "simulate", "app"]),
    ("tokio", &["store", "census", "cluster", "publish", "app"]),
    ("anyhow", &["app"]),
    ("clap", &["app"]),
];

/// Marks that must not stay in the tree. Spelt in two halves, lest this file has them.
const MARKS: &[(&str, &str, &str)] = &[
    ("TO", "DO", "finish it, or say in the tracker what is left"),
    ("FIX", "ME", "finish it, or say in the tracker what is left"),
    ("todo", "!(", "finish it"),
    ("unimple", "mented!(", "finish it"),
    ("#[ign", "ore", "assert what the code does today, with a note"),
    ("/wo", "rk/", "name no machine path"),
    ("/ro", "ot/", "name no machine path"),
    ("/ho", "me/", "name no machine path"),
    ("/tm", "p/", "use a temporary folder from the library"),
];

/// File and folder names that say nothing.
const EMPTY_NAMES: &[&str] = &[
    "util",
    "utils",
    "common",
    "helper",
    "helpers",
    "manager",
    "data_types",
    "misc",
    "ng",
];

/// Largest file of the tree; the largest there is, is `Cargo.lock` with 160 kB.
const FILE_BYTES_MAX: u64 = 512 << 10;

/// Longest function that needs no scrolling, in lines.
const FUNCTION_LINES_MAX: usize = 70;
/// How many functions are longer today. It may only fall.
const LONG_FUNCTIONS: usize = 0;

/// Checks every rule and tells all breaches at once.
pub(crate) fn tidy() -> Outcome {
    let files = tracked_files()?;
    let mut breaches = Vec::new();
    check_walls(&mut breaches)?;
    let mut long_functions = Vec::new();
    for file in &files {
        check_size(file, &mut breaches);
        let Ok(text) = fs::read_to_string(root().join(file)) else { continue };
        check_marks(file, &text, &mut breaches);
        check_name(file, &mut breaches);
        if file.extension().is_some_and(|e| e == "rs") {
            if !text.starts_with("//!") {
                breaches
                    .push(format!("{}: open the file with `//!` docs", file.display()));
            }
            long_functions.extend(functions_over_limit(file, &text));
        }
    }
    check_reached(&files, &mut breaches);
    if long_functions.len() > LONG_FUNCTIONS {
        breaches.push(format!(
            "{} functions are over {FUNCTION_LINES_MAX} lines, {LONG_FUNCTIONS} are allowed: \
             split what you lengthened:\n  {}",
            long_functions.len(),
            long_functions.join("\n  ")
        ));
    }
    if breaches.is_empty() {
        say(&format!("tidy: {} files", files.len()));
        return Ok(());
    }
    Err(format!("tidy found {} breaches:\n{}", breaches.len(), breaches.join("\n")))
}

fn tracked_files() -> Result<Vec<PathBuf>, String> {
    let listed =
        output("git", &["ls-files", "--cached", "--others", "--exclude-standard"])?;
    Ok(listed.lines().map(PathBuf::from).filter(|p| root().join(p).is_file()).collect())
}

fn check_walls(breaches: &mut Vec<String>) -> Outcome {
    for (name, allowed) in OURS {
        let manifest = format!("crates/{name}/Cargo.toml");
        let text = fs::read_to_string(root().join(&manifest))
            .map_err(|e| format!("cannot read {manifest}: {e}"))?;
        for dependency in dependencies(&text) {
            if let Some(ours) = dependency.strip_prefix("tidegauge-")
                && !allowed.contains(&ours)
            {
                breaches.push(format!(
                    "{manifest}: `{name}` must not know `{ours}`; see ARCHITECTURE.md, walls"
                ));
            }
            let fence = FENCED.iter().find(|(fenced, _)| *fenced == dependency);
            if let Some((fenced, inside)) = fence
                && !inside.contains(name)
            {
                breaches.push(format!(
                    "{manifest}: only {} may depend on `{fenced}`",
                    inside.join(", ")
                ));
            }
        }
    }
    let known: BTreeSet<&str> = OURS.iter().map(|(name, _)| *name).collect();
    let folders = fs::read_dir(root().join("crates")).map_err(|e| e.to_string())?;
    for folder in folders.flatten() {
        let name = folder.file_name();
        if !name.to_str().is_some_and(|n| known.contains(n)) {
            breaches.push(format!(
                "crates/{}: give it a row in xtask/src/tidy.rs and ARCHITECTURE.md",
                name.display()
            ));
        }
    }
    Ok(())
}

/// Names under `[dependencies]`; what tests need may cross walls.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim() == "[dependencies]";
        } else if inside && let Some(name) = line.split(['.', ' ', '=']).next() {
            names.push(name.trim());
        }
    }
    names.retain(|name| !name.is_empty() && !name.starts_with('#'));
    names
}

fn check_marks(file: &Path, text: &str, breaches: &mut Vec<String>) {
    if file.extension().is_some_and(|e| e == "lock") {
        return;
    }
    for (index, line) in text.lines().enumerate() {
        for (start, end, hint) in MARKS {
            let mut rest = line;
            while let Some(at) = rest.find(start) {
                rest = rest.get(at + start.len()..).unwrap_or_default();
                if rest.starts_with(end) {
                    breaches.push(format!(
                        "{}:{}: `{start}{end}`: {hint}",
                        file.display(),
                        index + 1
                    ));
                }
            }
        }
    }
}

fn check_name(file: &Path, breaches: &mut Vec<String>) {
    let parts = file.iter().filter_map(|part| Path::new(part).file_stem());
    for part in parts.filter_map(|p| p.to_str()) {
        if EMPTY_NAMES.contains(&part) {
            breaches.push(format!(
                "{}: `{part}` says nothing: name it after what it holds",
                file.display()
            ));
        }
    }
}

/// Captures, tables and packages of others do not belong into the tree.
fn check_size(file: &Path, breaches: &mut Vec<String>) {
    let bytes = fs::metadata(root().join(file)).map_or(0, |m| m.len());
    if bytes > FILE_BYTES_MAX {
        breaches.push(format!(
            "{}: {bytes} bytes, {FILE_BYTES_MAX} at most: fetch it where it is needed",
            file.display()
        ));
    }
}

/// A Rust file below `src/` must be named by a `mod` line of its parent.
fn check_reached(files: &[PathBuf], breaches: &mut Vec<String>) {
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "rs")) {
        let text = file.to_string_lossy();
        let in_sources = text.contains("/src/") || text.contains("/tests/it/");
        let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        if !in_sources || ["lib", "main"].contains(&stem) {
            continue;
        }
        let folder = file.parent().unwrap_or(Path::new(""));
        let (name, above) = if stem == "mod" {
            let name = folder.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            (name, folder.parent().unwrap_or(Path::new("")))
        } else {
            (stem, folder)
        };
        let parents = ["mod.rs", "lib.rs", "main.rs"].map(|f| above.join(f));
        let beside = above.with_extension("rs");
        let named = parents.iter().chain([&beside]).any(|parent| {
            let parent = fs::read_to_string(root().join(parent)).unwrap_or_default();
            parent.lines().any(|l| l.trim().ends_with(&format!("mod {name};")))
        });
        if !named {
            breaches.push(format!(
                "{text}: no `mod {name};` reaches it: remove or name it"
            ));
        }
    }
}

/// Functions longer than the limit, tests apart: `path:line name (lines)`.
fn functions_over_limit(file: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(usize, &str, usize)> = None;
    for (index, line) in text.lines().enumerate() {
        if line.contains("#[cfg(test)]") {
            break;
        }
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if open.is_none() && is_function(trimmed) && !line.ends_with(';') {
            open = Some((index, trimmed, indent));
        }
        if let Some((start, head, depth)) = open
            && trimmed == "}"
            && indent == depth
        {
            let lines = index - start + 1;
            if lines > FUNCTION_LINES_MAX {
                let head = head.split('(').next().unwrap_or(head);
                found.push(format!(
                    "{}:{} {head} ({lines})",
                    file.display(),
                    start + 1
                ));
            }
            open = None;
        }
    }
    found
}

fn is_function(line: &str) -> bool {
    let words = ["pub ", "pub(crate) ", "pub(super) ", "async ", "const "];
    let mut rest = line;
    while let Some(shorter) = words.iter().find_map(|w| rest.strip_prefix(w)) {
        rest = shorter;
    }
    rest.starts_with("fn ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_wherever_they_stand() {
        let mut breaches = Vec::new();
        let mark = ["TO", "DO"].concat();
        check_marks(
            Path::new("a.rs"),
            &format!("// ok\nlet x = 1; // {mark}: y"),
            &mut breaches,
        );
        assert_eq!(breaches.len(), 1);
        assert!(breaches[0].starts_with("a.rs:2:"), "{breaches:?}");
    }

    #[test]
    fn dependencies_of_tests_are_not_walls() {
        let manifest = "[dependencies]\na.workspace = true\nb = \"1\"\n\
                        [dev-dependencies]\nc.workspace = true\n";
        assert_eq!(dependencies(manifest), ["a", "b"]);
    }

    #[test]
    fn long_functions_are_measured_by_their_braces() {
        let body = "    x();\n".repeat(FUNCTION_LINES_MAX);
        let text = format!("fn short() {{\n}}\n\nfn long() {{\n{body}}}\n");
        let found = functions_over_limit(Path::new("a.rs"), &text);
        assert_eq!(found, ["a.rs:4 fn long (72)"]);
    }
}

//! Lists the text files of `catalog/`, `policies/` and `sectors/` for `built_in`.
//!
//! **Invariant:** files are listed by name, in order, so that the same tree builds the
//! same binary.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Folder at the root of the workspace, name of the generated constant, what it holds.
const FOLDERS: [(&str, &str, &str); 3] = [
    ("catalog", "CATALOG", "The files of `catalog/`: name and text."),
    ("policies", "POLICIES", "The files of `policies/`: name and text."),
    ("sectors", "SECTORS", "The files of `sectors/`: name and text."),
];
/// What counts as a data file; anything else in a folder is words about it.
const DATA: [&str; 3] = ["toml", "csv", "txt"];

fn main() -> io::Result<()> {
    // Where this is built now, which may not be where this script was.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let manifest =
        manifest.ok_or_else(|| io::Error::other("cargo sets CARGO_MANIFEST_DIR"))?;
    let root = manifest.join("../..");
    let mut text = String::new();
    for (folder, name, doc) in FOLDERS {
        let path = root.join(folder);
        println!("cargo::rerun-if-changed={}", path.display());
        writeln!(text, "/// {doc}\npub const {name}: &[(&str, &str)] = &[")
            .map_err(io::Error::other)?;
        for file in data_files(&path)? {
            let path = file.canonicalize()?;
            let path = path.to_string_lossy();
            let stem = file.file_name().unwrap_or_default().to_string_lossy();
            writeln!(text, "    ({stem:?}, include_str!({path:?})),")
                .map_err(io::Error::other)?;
        }
        text.push_str("];\n");
    }
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from);
    let out = out.ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    fs::write(out.join("built_in.rs"), text)
}

/// The data files directly in `folder`, by name.
fn data_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let failed = |e| io::Error::other(format!("{}: {e}", folder.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|e| e.to_str());
        if extension.is_some_and(|e| DATA.contains(&e)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

//! Append-only files: the ledger of findings, and what was sent of them.
//!
//! **Invariant:** a file is only ever appended to, by one program at a time; what was
//! appended is on the disk before anything that follows from it is done. Lines that cannot
//! be read are told, and stay.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tidegauge_exposure::Ledger;
use tidegauge_exposure::ledger::BadLine;

use crate::settings::Settings;

/// Bad lines of one file that are told one by one; the others are only counted.
const TOLD_MAX: usize = 3;

/// An append-only file that is ours while it is open.
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens a file, makes it if need be, and locks it against other programs.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let named = || format!("opening {}", path.display());
        let options = OpenOptions::new().read(true).append(true).create(true).clone();
        let file = options.open(path).with_context(named)?;
        if file.try_lock().is_err() {
            bail!("{} is in use by another tidegauge", path.display());
        }
        Ok(Self { file, path: path.to_owned() })
    }

    /// Everything in it.
    pub(crate) fn read(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.file.seek(SeekFrom::Start(0));
        read.and_then(|_| self.file.read_to_end(&mut bytes))
            .with_context(|| format!("reading {}", self.path.display()))?;
        Ok(bytes)
    }

    /// Appends whole lines, and waits until they are on the disk.
    pub(crate) fn append(&mut self, lines: &str) -> anyhow::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(lines.as_bytes());
        written
            .and_then(|()| self.file.sync_data())
            .with_context(|| format!("writing {}", self.path.display()))
    }
}

/// Where the ledger is: where it was said to be, or beside the lake.
pub(crate) fn ledger_path(
    given: Option<&Path>,
    settings: &Settings,
) -> anyhow::Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    let lake = settings.lake.strip_prefix("file://").unwrap_or(&settings.lake);
    if lake.contains("://") {
        bail!(
            "the lake is no folder, so say where findings are kept (hint: --ledger FILE)"
        );
    }
    Ok(PathBuf::from(format!("{}.findings.jsonl", lake.trim_end_matches('/'))))
}

/// The ledger in a file; none yet is an empty one.
pub(crate) fn read_ledger(path: &Path) -> anyhow::Result<Ledger> {
    let ledger = Ledger::read(&read(path)?);
    tell(path, &ledger.bad_lines);
    Ok(ledger)
}

/// A file; none yet is an empty one.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.with_context(|| format!("reading {}", path.display())),
    }
}

/// Tells what could not be read.
pub(crate) fn tell(path: &Path, bad: &[BadLine]) {
    for line in bad.iter().take(TOLD_MAX) {
        tracing::warn!("{}: {line}; it stays and is not used", path.display());
    }
    if bad.len() > TOLD_MAX {
        let more = bad.len() - TOLD_MAX;
        tracing::warn!("{}: {more} more lines cannot be used", path.display());
    }
}

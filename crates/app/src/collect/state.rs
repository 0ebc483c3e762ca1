//! What survives a restart: templates, sampling and sequence numbers, and whether the last
//! run ended as it should.
//!
//! **Invariant:** the file is whole or as it was before: it is written beside and renamed.
//! One collector at a time has it.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tidegauge_model::{Instant, VantageId};
use tidegauge_wire::export::State;

/// The file of one vantage.
pub(super) struct Journal {
    path: PathBuf,
    kept: Kept,
    /// Held as long as the collector runs.
    _lock: File,
}

#[derive(Default, Serialize, Deserialize)]
struct Kept {
    /// Whether everything seen was committed.
    complete: bool,
    /// End of the last interval that was committed, microseconds since 1970.
    committed_until: Option<i64>,
    exports: State,
}

impl Journal {
    /// Opens the file of `vantage` in `folder`, making both, and says what a run that was
    /// killed has lost.
    pub(super) fn open(folder: &Path, vantage: &VantageId) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("making the folder {}", folder.display()))?;
        let path = folder.join(format!("{vantage}.json"));
        let lock = lock(&folder.join(format!("{vantage}.lock")))?;
        let kept = match std::fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice::<Kept>(&bytes) {
                Ok(kept) => Some(kept),
                Err(error) => {
                    tracing::warn!(
                        "{}: {error}; templates and sampling are learnt anew",
                        path.display()
                    );
                    None
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("reading {}", path.display()));
            }
        };
        if let Some(kept) = &kept
            && !kept.complete
        {
            let since = kept.committed_until.map(Instant);
            let since = since.map_or("it began".to_owned(), |at| at.to_string());
            tracing::warn!(
                "the last run was killed: what came after {since} until it ended was not \
                 committed and is lost"
            );
        }
        let mut journal = Self { path, kept: kept.unwrap_or_default(), _lock: lock };
        journal.kept.complete = false;
        journal.write()?;
        Ok(journal)
    }

    /// What the exporters had told.
    pub(super) fn exports(&self) -> State {
        self.kept.exports.clone()
    }

    /// Notes a commit.
    pub(super) fn committed(
        &mut self,
        exports: State,
        until: Instant,
        complete: bool,
    ) -> anyhow::Result<()> {
        self.kept = Kept { complete, committed_until: Some(until.0), exports };
        self.write()
    }

    fn write(&self) -> anyhow::Result<()> {
        let writing = || format!("writing {}", self.path.display());
        let folder = self.path.parent().context("a file has a folder")?;
        let mut file = tempfile::NamedTempFile::new_in(folder).with_context(writing)?;
        serde_json::to_writer(&mut file, &self.kept).with_context(writing)?;
        file.flush().with_context(writing)?;
        file.as_file().sync_all().with_context(writing)?;
        file.persist(&self.path).with_context(writing)?;
        Ok(())
    }
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => anyhow::bail!(
            "another collector of this vantage runs with {} (hint: --state DIR)",
            path.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("locking {}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_collector_at_a_time_and_a_kill_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let vantage: VantageId = "v".into();
        let mut first = Journal::open(folder.path(), &vantage).unwrap();
        let second = Journal::open(folder.path(), &vantage).err().unwrap();
        assert!(second.to_string().contains("another collector"), "{second}");
        first.committed(State::default(), Instant(1_000_000), false).unwrap();
        drop(first);
        let killed = Journal::open(folder.path(), &vantage).unwrap();
        assert_eq!(killed.kept.committed_until, Some(1_000_000));
        assert!(!killed.kept.complete);
    }
}

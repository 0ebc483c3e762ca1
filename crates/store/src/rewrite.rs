//! Writing files of a table anew, so that nothing of the old ones is left.
//!
//! **Invariant:** when it is done, no file that any version ever named has a row that was to be
//! changed: not those of the newest version, nor those of older ones, nor their state, nor the
//! log, whose statistics name the least and greatest address of each file. So a rewriting takes
//! the table's past with it. Files that no version names are told: a writer at work has some, and
//! so does one that died, until a vacuum. A rewriting and a compaction exclude each other: either
//! would bring the other's rows back.

use std::collections::{HashMap, HashSet};

use arrow::array::RecordBatch;
use tidegauge_model::{Day, Month};

use crate::error::{Error, Result};
use crate::log::{Committed, Log};
use crate::maintain::{ATTEMPTS_MAX, TRANSACTION, merged, sorted, unnamed};
use crate::{DataFile, Lake, Table, files};

/// What is wrong with a file, in words.
pub(crate) type Wrong = Box<dyn std::error::Error + Send + Sync>;

/// What is to be changed.
pub(crate) trait Rewriting: Send {
    /// Whether a file may have rows that are.
    fn may_be_in(&self, file: &DataFile) -> bool;

    /// The rows of a file as they are to be, and how many were changed or left out.
    fn rewrite(
        &mut self,
        rows: RecordBatch,
    ) -> std::result::Result<(RecordBatch, u64), Wrong>;

    /// What must be in the lake before the new files are.
    fn before_commit(
        &mut self,
        _lake: &Lake,
    ) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}

/// What was done to a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rewritten {
    /// Rows that were changed or are gone.
    pub(crate) rows: u64,
    /// Files that had some of them.
    pub(crate) files: u64,
    /// Files that no version names.
    pub(crate) unnamed: u64,
}

/// Whether a file can have rows of days before this one.
pub(crate) fn may_be_before(file: &DataFile, before: Day) -> bool {
    let month = file.partition_month.as_ref().and_then(|m| m.parse::<Month>().ok());
    month.is_none_or(|month| month.first() < before)
}

impl Lake {
    /// Writes files anew that have rows which `what` changes.
    pub(crate) async fn rewrite(
        &self,
        table: Table,
        what: &mut impl Rewriting,
    ) -> Result<Rewritten> {
        let log = self.log(table);
        log.writable()?;
        for _ in 0..ATTEMPTS_MAX {
            let mut done = Rewritten::default();
            let Some(state) = log.load().await? else { return Ok(done) };
            let snapshot = log.snapshot_of(&state)?;
            let (mut without, mut added) = (HashSet::new(), Vec::new());
            for file in &snapshot.files {
                if !what.may_be_in(file) {
                    continue;
                }
                let rows = merged(&snapshot, std::slice::from_ref(file)).await?;
                let damaged = files::damaged(&snapshot, file);
                let (rows, changed) =
                    what.rewrite(rows).map_err(|wrong| damaged(&wrong))?;
                if changed == 0 {
                    continue;
                }
                done.rows += changed;
                done.files += 1;
                without.insert(file.path.clone());
                added.extend(files::write(log, &sorted(table, &rows)?).await?);
            }
            // Older files may have such rows still, if this was stopped half-way before.
            if without.is_empty() {
                done.unnamed = end_past(log).await?;
                return Ok(done);
            }
            what.before_commit(self).await?;
            let mut actions =
                state.remove(true, |path| without.contains(&log.absolute(path)));
            actions.extend(added.clone());
            let id = [TRANSACTION.to_owned()];
            let commit = log.commit(&state, actions, &id, HashMap::new());
            if let Committed::Version(_) = commit.await? {
                done.unnamed = end_past(log).await?;
                return Ok(done);
            }
            log.discard(&added).await;
        }
        Err(Error::Conflict { table: table.name(), attempts: ATTEMPTS_MAX })
    }
}

/// Deletes what only older versions name, and takes addresses out of the log. Files that no
/// version names stay: a writer at work has some. Gives back how many those are.
async fn end_past(log: &Log) -> Result<u64> {
    let named = log.ever_named().await?;
    log.scrub().await?;
    let newest = log.load().await?;
    let newest: HashSet<_> = newest.iter().flat_map(|state| state.paths()).collect();
    for path in named.difference(&newest) {
        log.delete(path).await?;
    }
    let newest = newest.iter().map(|path| log.absolute(path)).collect();
    let unnamed = unnamed(log, &newest).await?.len();
    Ok(u64::try_from(unnamed).unwrap_or(u64::MAX))
}

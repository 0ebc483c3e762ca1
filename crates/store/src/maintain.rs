//! Keeping a lake for years: small files into large ones, files that nobody names away,
//! and a look at whether all is there.
//!
//! **Invariant:** compaction changes no row. Two compactions never both win: the library
//! does not see that they take away the same files, so each carries the same transaction
//! id, and of two that race for one id only one gets in.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::RecordBatch;
use arrow::compute::{
    SortColumn, concat_batches, lexsort_to_indices, take_record_batch,
};
use deltalake_core::kernel::Action;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use tidegauge_model::Instant;

use crate::error::{Error, Result, access};
use crate::log::Committed;
use crate::{DataFile, Lake, Snapshot, Table, files};

/// Files with fewer rows are worth merging; this is a full row group.
const SMALL_ROWS: u64 = 1 << 20;
/// Rows merged at once: bounds the memory, about half a gigabyte.
const MERGED_ROWS_MAX: u64 = 2 << 20;
/// How often a compaction is tried while others compact too.
pub(crate) const ATTEMPTS_MAX: u32 = 3;
/// The transaction that every compaction carries, and whatever else rewrites files.
pub(crate) const TRANSACTION: &str = "compaction";

/// What a compaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Compacted {
    /// Files that were merged.
    pub merged: u64,
    /// Files they became.
    pub made: u64,
}

/// What a vacuum did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Vacuumed {
    /// Files deleted.
    pub files: u64,
    /// Bytes freed.
    pub bytes: u64,
}

impl Lake {
    /// Merges the small files of `table`, sorted again, month by month. Readers and
    /// writers need not wait. The old files stay until [`Lake::vacuum`].
    pub async fn compact(&self, table: Table) -> Result<Compacted> {
        let log = self.log(table);
        log.writable()?;
        for _ in 0..ATTEMPTS_MAX {
            let Some(state) = log.load().await? else {
                return Ok(Compacted::default());
            };
            let snapshot = log.snapshot_of(&state)?;
            let groups = groups(&snapshot);
            let mut actions = Vec::new();
            let mut done = Compacted::default();
            for group in &groups {
                let rows = merged(&snapshot, group).await?;
                let added = files::write(log, &rows).await?;
                done.merged += count(group.len());
                done.made += count(added.len());
                actions.extend(added.into_iter().map(without_change));
            }
            if actions.is_empty() {
                return Ok(done);
            }
            let merged: HashSet<_> = groups.iter().flatten().map(|f| &f.path).collect();
            let added = actions.clone();
            actions.extend(
                state.remove(false, |path| merged.contains(&log.absolute(path))),
            );
            let id = [TRANSACTION.to_owned()];
            let commit = log.commit(&state, actions, &id, HashMap::new());
            if let Committed::Version(_) = commit.await? {
                return Ok(done);
            }
            log.discard(&added).await;
        }
        Err(Error::Conflict { table: table.name(), attempts: ATTEMPTS_MAX })
    }

    /// Deletes data files of `table` that its newest version does not name and that were
    /// written before `before`. Older versions of the table can then no longer be read.
    /// `before` must lie well before now: a writer at work has files that no version names
    /// yet.
    pub async fn vacuum(&self, table: Table, before: Instant) -> Result<Vacuumed> {
        let log = self.log(table);
        log.writable()?;
        let snapshot = self.snapshot(table).await?;
        let named: HashSet<_> = snapshot.files.iter().map(|f| f.path.clone()).collect();
        let store = log.files();
        let failed = |source| access(log.url(), source);
        let mut done = Vacuumed::default();
        let mut list = store.list(None);
        while let Some(file) = list.try_next().await.map_err(failed)? {
            let data = file.location.extension() == Some("parquet")
                && file.location.parts().all(|part| part.as_ref() != "_delta_log");
            let old = file.last_modified.timestamp_micros() < before.0;
            if data && old && !named.contains(&log.absolute(&file.location)) {
                store.delete(&file.location).await.map_err(failed)?;
                done.files += 1;
                done.bytes += file.size;
            }
        }
        Ok(done)
    }

    /// Reads every row of every table; returns what is wrong, sorted by table and path.
    pub async fn check(&self) -> Vec<Error> {
        let mut wrong = Vec::new();
        for table in Table::ALL {
            match self.snapshot(table).await {
                Ok(snapshot) => {
                    for file in &snapshot.files {
                        wrong.extend(check_file(&snapshot, file).await.err());
                    }
                }
                Err(error) => wrong.push(error),
            }
        }
        wrong
    }
}

/// Reads a file whole and counts its rows.
async fn check_file(snapshot: &Snapshot, file: &DataFile) -> Result<()> {
    let mut rows = 0;
    let mut batches = files::read(snapshot, file);
    while let Some(batch) = batches.try_next().await? {
        rows += count(batch.num_rows());
    }
    if rows == file.rows {
        return Ok(());
    }
    Err(Error::Damaged {
        table: snapshot.table.name(),
        path: files::readable_file(snapshot, file),
        reason: format!("it has {rows} rows; the log says {}", file.rows),
        hint: "restore the file from a backup",
    })
}

/// Small files of one month that are worth merging, at least two in each group.
fn groups(snapshot: &Snapshot) -> Vec<Vec<DataFile>> {
    let mut months: BTreeMap<_, Vec<Vec<DataFile>>> = BTreeMap::new();
    for file in snapshot.files.iter().filter(|f| f.rows < SMALL_ROWS) {
        let groups = months.entry(file.partition_month.clone()).or_default();
        let rows = |group: &[DataFile]| group.iter().map(|f| f.rows).sum::<u64>();
        match groups.last_mut() {
            Some(group) if rows(group) + file.rows <= MERGED_ROWS_MAX => {
                group.push(file.clone());
            }
            _ => groups.push(vec![file.clone()]),
        }
    }
    months.into_values().flatten().filter(|group| group.len() > 1).collect()
}

/// The rows of several files in the stored order of their table.
async fn merged(snapshot: &Snapshot, group: &[DataFile]) -> Result<RecordBatch> {
    let table = snapshot.table;
    let columns = |source| Error::Columns { table: table.name(), source };
    let mut batches = Vec::new();
    for file in group {
        batches.extend(files::read(snapshot, file).try_collect::<Vec<_>>().await?);
    }
    let rows = concat_batches(&table.schema(), &batches).map_err(columns)?;
    drop(batches);
    let keys: Vec<_> = table
        .sort_columns()
        .iter()
        .filter_map(|name| rows.column_by_name(name))
        .map(|values| SortColumn { values: values.clone(), options: None })
        .collect();
    if keys.is_empty() {
        return Ok(rows);
    }
    let order = lexsort_to_indices(&keys, None).map_err(columns)?;
    take_record_batch(&rows, &order).map_err(columns)
}

/// Says of an added file that its rows were in the table before.
fn without_change(action: Action) -> Action {
    match action {
        Action::Add(mut add) => {
            add.data_change = false;
            Action::Add(add)
        }
        other => other,
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

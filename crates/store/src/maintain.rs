//! Keeping a lake for years: small files into large ones, files that nobody names away,
//! and a look at whether all is there.
//!
//! **Invariant:** compaction changes no row. Two compactions never both win: the library
//! does not see that they take away the same files, so each carries the same transaction
//! id, and of two that race for one id only one gets in.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{
    SortColumn, cast, concat_batches, lexsort_to_indices, take_record_batch,
};
use arrow::datatypes::DataType;
use deltalake_core::kernel::Action;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tidegauge_model::Instant;

use crate::error::{Error, Result, access};
use crate::log::{Committed, Log, State};
use crate::{DataFile, Lake, Snapshot, Table, by_address, files, kept, state};

/// Files with fewer rows are worth merging; this is a full row group.
const SMALL_ROWS: u64 = 1 << 20;
/// Rows merged at once: bounds the memory, about half a gigabyte.
const MERGED_ROWS_MAX: u64 = 2 << 20;
/// Rows of state that are compared at once.
const CHECKED_ROWS: usize = 8_192;
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
    /// Files of sightings that had no state, and have now.
    pub folded: u64,
}

/// What an upgrade did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Upgraded {
    /// Columns that the log did not have.
    pub columns: u64,
    /// Files that were written anew, state with them.
    pub rewritten: u64,
    /// Other files of sightings that had no state, and have now.
    pub folded: u64,
}

/// Files that are no part of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Beside {
    /// How many.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
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
    /// Merges the small files of `table`, sorted again, month by month, and makes state where
    /// it is missing. Readers and writers need not wait. The old files stay until
    /// [`Lake::vacuum`].
    pub async fn compact(&self, table: Table) -> Result<Compacted> {
        let merged = self.merge(table).await?;
        Ok(Compacted { folded: self.fold(table).await?, ..merged })
    }

    /// Makes what an older program wrote of `table` what this one writes: columns that the log
    /// lacks, which other readers go by; files without one of them, or sightings that are
    /// not sorted by address, which are slow to count; and missing state. No row changes, and
    /// files with columns of others stay as they are.
    /// Readers and writers need not wait. The old files stay until [`Lake::vacuum`].
    pub async fn upgrade(&self, table: Table) -> Result<Upgraded> {
        let log = self.log(table);
        log.writable()?;
        for _ in 0..ATTEMPTS_MAX {
            let Some(state) = log.load().await? else {
                return Ok(Upgraded::default());
            };
            let snapshot = log.snapshot_of(&state)?;
            let mut older = Vec::new();
            for file in &snapshot.files {
                if !by_address::is_current(&snapshot, file).await? {
                    older.push(vec![file.clone()]);
                }
            }
            let (columns, metadata) = log.with_columns(&state)?.unzip();
            let metadata = metadata.into_iter().collect();
            if rewritten(log, &state, &older, metadata).await?.is_some() {
                let folded = self.fold(table).await?;
                let columns = columns.unwrap_or(0);
                return Ok(Upgraded { columns, rewritten: count(older.len()), folded });
            }
        }
        Err(Error::Conflict { table: table.name(), attempts: ATTEMPTS_MAX })
    }

    async fn merge(&self, table: Table) -> Result<Compacted> {
        let log = self.log(table);
        log.writable()?;
        for _ in 0..ATTEMPTS_MAX {
            let Some(state) = log.load().await? else {
                return Ok(Compacted::default());
            };
            let groups = groups(&log.snapshot_of(&state)?);
            if let Some(made) = rewritten(log, &state, &groups, Vec::new()).await? {
                let merged = count(groups.iter().flatten().count());
                return Ok(Compacted { merged, made, folded: 0 });
            }
        }
        Err(Error::Conflict { table: table.name(), attempts: ATTEMPTS_MAX })
    }

    /// Makes the state that files of `table` lack: those of an older program, or of which it
    /// was deleted.
    async fn fold(&self, table: Table) -> Result<u64> {
        let snapshot = self.snapshot(table).await?;
        let mut folded = 0;
        for file in &snapshot.files {
            let Some(month) = state::month_of(file) else { continue };
            let Some(path) = state::path_of(&file.path) else { continue };
            if state::is_there(self.log(table), &path).await? {
                continue;
            }
            let rows = merged(&snapshot, std::slice::from_ref(file)).await?;
            state::write(self.log(table), &file.path, rows, month).await?;
            folded += 1;
        }
        Ok(folded)
    }

    /// Deletes data files of `table` that its newest version does not name and that were
    /// written before `before`; with sightings, also state of files that it does not name, and
    /// answers kept before then. Older versions of the table can then no longer be read.
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
        for file in unnamed(log, &named).await? {
            if is_older(&file, before) {
                store.delete(&file.location).await.map_err(failed)?;
                done.add(&file);
            }
        }
        if table == Table::Sightings {
            for (of, file) in state::all(log).await? {
                if is_older(&file, before) && !named.contains(&of) {
                    log.all_files().delete(&file.location).await.map_err(failed)?;
                    done.add(&file);
                }
            }
            for file in kept::all(log).await?.iter().filter(|f| is_older(f, before)) {
                log.all_files().delete(&file.location).await.map_err(failed)?;
                done.add(file);
            }
        }
        Ok(done)
    }

    /// What there is beside the tables: files of state, and kept answers.
    pub async fn beside(&self) -> Result<[Beside; 2]> {
        let log = self.log(Table::Sightings);
        let of = |files: &[ObjectMeta]| Beside {
            files: count(files.len()),
            bytes: files.iter().map(|file| file.size).sum(),
        };
        let state: Vec<_> =
            state::all(log).await?.into_iter().map(|(_, file)| file).collect();
        Ok([of(&state), of(&kept::all(log).await?)])
    }

    /// Reads every row of every table, and folds sightings to compare them with their state;
    /// returns what is wrong, sorted by table and path.
    pub async fn check(&self) -> Vec<Error> {
        let mut wrong = Vec::new();
        for table in Table::ALL {
            match self.snapshot(table).await {
                Ok(snapshot) => {
                    for file in &snapshot.files {
                        let whole = match check_file(&snapshot, file).await {
                            Ok(()) => check_state(&snapshot, file).await,
                            damaged => damaged,
                        };
                        wrong.extend(whole.err());
                    }
                }
                Err(error) => wrong.push(error),
            }
        }
        wrong
    }
}

/// Data files in a table's folder that are not among those named, by their place in the store.
pub(crate) async fn unnamed(
    log: &Log,
    named: &HashSet<Path>,
) -> Result<Vec<ObjectMeta>> {
    let failed = |source| access(log.url(), source);
    let all: Vec<_> = log.files().list(None).try_collect().await.map_err(failed)?;
    let is = |file: &ObjectMeta| {
        file.location.extension() == Some("parquet")
            && file.location.parts().all(|part| part.as_ref() != "_delta_log")
            && !named.contains(&log.absolute(&file.location))
    };
    Ok(all.into_iter().filter(is).collect())
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

/// Reads the state of a file, if it has any, and compares it with the file.
async fn check_state(snapshot: &Snapshot, file: &DataFile) -> Result<()> {
    let Some(of) = state::find(snapshot, file).await? else { return Ok(()) };
    let damaged = files::damaged_with(snapshot, &of, state::HINT);
    let Some(month) = state::month_of(file) else { return Ok(()) };
    let sightings = merged(snapshot, std::slice::from_ref(file)).await?;
    let whole = move || damaged(&"it is not what its sightings say");
    let expected = state::fold(&sightings, month).ok_or_else(&whole)?;
    let mut at = 0;
    let mut batches =
        by_address::read(snapshot, file, CHECKED_ROWS, by_address::Wanted::ALL);
    while let Some(batch) = batches.try_next().await? {
        let rows = batch.num_rows().min(expected.num_rows() - at);
        if !same(&batch, &expected.slice(at, rows)) {
            return Err(whole());
        }
        at += rows;
    }
    if at == expected.num_rows() { Ok(()) } else { Err(whole()) }
}

/// Whether two batches of state have the same rows, whatever numbers their names have.
fn same(a: &RecordBatch, b: &RecordBatch) -> bool {
    let plain = |column: &ArrayRef| match column.data_type() {
        DataType::Dictionary(_, names) => cast(column, names),
        _ => Ok(Arc::clone(column)),
    };
    a.columns().iter().zip(b.columns()).all(|(a, b)| {
        let both = plain(a).ok().zip(plain(b).ok());
        both.is_some_and(|(a, b)| a.to_data() == b.to_data())
    })
}

fn is_older(file: &ObjectMeta, before: Instant) -> bool {
    file.last_modified.timestamp_micros() < before.0
}

impl Vacuumed {
    fn add(&mut self, file: &ObjectMeta) {
        self.files += 1;
        self.bytes += file.size;
    }
}

/// Writes one run of sorted files in the place of each group, in one commit with
/// `others`, and says how many files those are; `None` if a racing commit was in the way.
async fn rewritten(
    log: &Log,
    state: &State,
    groups: &[Vec<DataFile>],
    others: Vec<Action>,
) -> Result<Option<u64>> {
    let snapshot = log.snapshot_of(state)?;
    let mut added = Vec::new();
    for group in groups {
        let rows = merged(&snapshot, group).await?;
        added.extend(files::write(log, &rows).await?.into_iter().map(without_change));
    }
    let made = count(added.len());
    if groups.is_empty() && others.is_empty() {
        return Ok(Some(made));
    }
    let gone: HashSet<_> = groups.iter().flatten().map(|f| &f.path).collect();
    let removed = state.remove(false, |path| gone.contains(&log.absolute(path)));
    let actions = [others, added.clone(), removed].concat();
    let id = [TRANSACTION.to_owned()];
    let commit = log.commit(state, actions, &id, HashMap::new());
    if let Committed::Version(_) = commit.await? {
        return Ok(Some(made));
    }
    log.discard(&added).await;
    Ok(None)
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
pub(crate) async fn merged(
    snapshot: &Snapshot,
    group: &[DataFile],
) -> Result<RecordBatch> {
    let table = snapshot.table;
    let columns = |source| Error::Columns { table: table.name(), source };
    let mut batches = Vec::new();
    for file in group {
        batches.extend(files::read(snapshot, file).try_collect::<Vec<_>>().await?);
    }
    let rows = concat_batches(&table.schema(), &batches).map_err(columns)?;
    drop(batches);
    sorted(table, &rows)
}

/// Rows in the stored order of their table.
pub(crate) fn sorted(table: Table, rows: &RecordBatch) -> Result<RecordBatch> {
    let columns = |source| Error::Columns { table: table.name(), source };
    let keys: Vec<_> = table
        .sort_columns()
        .iter()
        .filter_map(|name| rows.column_by_name(name))
        .map(|values| SortColumn { values: values.clone(), options: None })
        .collect();
    if keys.is_empty() {
        return Ok(rows.clone());
    }
    let order = lexsort_to_indices(&keys, None).map_err(columns)?;
    take_record_batch(rows, &order).map_err(columns)
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

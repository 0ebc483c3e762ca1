//! Forgetting: addresses that must not be kept, and days that are over.
//!
//! **Invariant:** when it is done, no file of the lake has a row that was to be forgotten: not
//! those of the newest version, nor those of older ones, nor their state, nor a kept answer, nor the log, whose statistics name
//! the least and greatest address of each file. So what is forgotten takes the table's past
//! with it. Which inputs were read is not forgotten: the same input again changes nothing.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Date32Type, Int64Type};
use deltalake_core::kernel::Action;
use futures::TryStreamExt;
use tidegauge_model::{Day, Month, Prefix};

use crate::error::{Error, Result};
use crate::log::{Committed, Log, State};
use crate::maintain::{ATTEMPTS_MAX, TRANSACTION};
use crate::schema::column as c;
use crate::{DataFile, Lake, Snapshot, Table, files, kept};

/// The tables that name clients or their networks.
const TABLES: [Table; 2] = [Table::Sightings, Table::Resolutions];

/// What is to be forgotten: rows that lie in one of the blocks, if any are given, and before
/// the day, if one is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgetting {
    /// Blocks of addresses; none is all.
    pub prefixes: Vec<Prefix>,
    /// Days before this one.
    pub before: Option<Day>,
}

/// What was forgotten of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The table.
    pub table: Table,
    /// Rows that are gone.
    pub rows: u64,
    /// Files that had some of them.
    pub files: u64,
}

impl Lake {
    /// Forgets in every table that names clients. With neither blocks nor a day nothing is
    /// done. Coverage stays: it counts networks of /24 and /48, and without it nobody could
    /// tell "gone" from "not looked".
    pub async fn forget(&self, what: &Forgetting) -> Result<Vec<Forgotten>> {
        let mut forgotten = Vec::new();
        if what.prefixes.is_empty() && what.before.is_none() {
            return Ok(forgotten);
        }
        for table in TABLES {
            forgotten.push(self.forget_in(table, what).await?);
        }
        kept::forget(self.log(Table::Sightings)).await?;
        Ok(forgotten)
    }

    async fn forget_in(&self, table: Table, what: &Forgetting) -> Result<Forgotten> {
        let log = self.log(table);
        log.writable()?;
        for _ in 0..ATTEMPTS_MAX {
            let mut done = Forgotten { table, rows: 0, files: 0 };
            let Some(state) = log.load().await? else { return Ok(done) };
            let snapshot = log.snapshot_of(&state)?;
            let mut without = HashSet::new();
            let mut added = Vec::new();
            for file in snapshot.files.iter().filter(|file| what.may_be_in(file)) {
                let (kept, gone) = split(&snapshot, file, what).await?;
                if gone == 0 {
                    continue;
                }
                done.rows += gone;
                done.files += 1;
                without.insert(file.path.clone());
                added.extend(files::write(log, &kept).await?);
            }
            // Older files may have such rows still, if this was stopped half-way before.
            if without.is_empty() {
                end_past(log).await?;
                return Ok(done);
            }
            if commit(log, &state, added, &without).await? {
                end_past(log).await?;
                return Ok(done);
            }
        }
        Err(Error::Conflict { table: table.name(), attempts: ATTEMPTS_MAX })
    }
}

/// Deletes what only older versions name, and takes addresses out of the log. Files that no
/// version names stay: a writer at work has some.
async fn end_past(log: &Log) -> Result<()> {
    let named = log.ever_named().await?;
    log.scrub().await?;
    let newest = log.load().await?;
    let newest: HashSet<_> = newest.iter().flat_map(|state| state.paths()).collect();
    for path in named.difference(&newest) {
        log.delete(path).await?;
    }
    Ok(())
}

impl Forgetting {
    /// Whether a file can have rows of the days.
    fn may_be_in(&self, file: &DataFile) -> bool {
        let month = file.partition_month.as_ref().and_then(|m| m.parse::<Month>().ok());
        match (month, self.before) {
            (Some(month), Some(before)) => month.first() < before,
            _ => true,
        }
    }

    /// Of each row, whether it stays.
    fn keeps(&self, rows: &RecordBatch) -> Option<BooleanArray> {
        let halves = |name| rows.column_by_name(name)?.as_primitive_opt::<Int64Type>();
        let (hi, lo) = (halves(c::IP_HI)?, halves(c::IP_LO)?);
        let days = rows.column_by_name(c::DAY)?.as_primitive_opt::<Date32Type>()?;
        let blocks: Vec<_> = self
            .prefixes
            .iter()
            .map(|p| (p.first().halves(), p.last().halves()))
            .collect();
        let keeps = |row: usize| {
            let over = self.before.is_none_or(|before| Day(days.value(row)) < before);
            let address = (hi.value(row), lo.value(row));
            let within = |(first, last): &((i64, i64), (i64, i64))| {
                hi.is_valid(row) && *first <= address && address <= *last
            };
            !(over && (blocks.is_empty() || blocks.iter().any(within)))
        };
        Some((0..rows.num_rows()).map(|row| Some(keeps(row))).collect())
    }
}

/// The rows of a file that stay, and how many do not.
async fn split(
    snapshot: &Snapshot,
    file: &DataFile,
    what: &Forgetting,
) -> Result<(RecordBatch, u64)> {
    let table = snapshot.table;
    let columns = |source| Error::Columns { table: table.name(), source };
    let damaged = files::damaged(snapshot, file);
    let (mut kept, mut gone) = (Vec::new(), 0);
    let mut batches = files::read(snapshot, file);
    while let Some(batch) = batches.try_next().await? {
        let keeps = what
            .keeps(&batch)
            .ok_or_else(|| damaged(&"it has no columns of addresses and days"))?;
        gone += u64::try_from(keeps.false_count()).unwrap_or(u64::MAX);
        kept.push(filter_record_batch(&batch, &keeps).map_err(columns)?);
    }
    Ok((concat_batches(&table.schema(), &kept).map_err(columns)?, gone))
}

/// Whether the commit got in. It excludes compactions, which would bring rows back.
async fn commit(
    log: &Log,
    state: &State,
    added: Vec<Action>,
    without: &HashSet<object_store::path::Path>,
) -> Result<bool> {
    let mut actions = state.remove(true, |path| without.contains(&log.absolute(path)));
    actions.extend(added.clone());
    let id = [TRANSACTION.to_owned()];
    if let Committed::Version(_) =
        log.commit(state, actions, &id, HashMap::new()).await?
    {
        return Ok(true);
    }
    log.discard(&added).await;
    Ok(false)
}

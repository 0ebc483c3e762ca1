//! Forgetting: addresses that must not be kept, and days that are over.
//!
//! **Invariant:** when it is done, no file that a version of a table ever named has a row that was
//! to be forgotten, nor has its state, nor a kept answer, nor the log ([`crate::rewrite`]); files
//! that none names are told. So what is forgotten takes the table's past with it. Which inputs
//! were read is not forgotten: the same input again changes nothing.

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Date32Type, Int64Type};
use tidegauge_model::{Day, Prefix};

use crate::error::Result as Done;
use crate::rewrite::{Rewriting, Rewritten, Wrong, may_be_before};
use crate::schema::column as c;
use crate::{DataFile, Lake, Table, kept};

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
    /// Files that no version names: of a writer at work, or of one that died.
    pub unnamed: u64,
}

impl Lake {
    /// Forgets in every table that names clients. With neither blocks nor a day nothing is
    /// done. Coverage stays: it counts networks of /24 and /48, and without it nobody could
    /// tell "gone" from "not looked".
    pub async fn forget(&self, what: &Forgetting) -> Done<Vec<Forgotten>> {
        let mut forgotten = Vec::new();
        if what.prefixes.is_empty() && what.before.is_none() {
            return Ok(forgotten);
        }
        for table in TABLES {
            let Rewritten { rows, files, unnamed } =
                self.rewrite(table, &mut &*what).await?;
            forgotten.push(Forgotten { table, rows, files, unnamed });
        }
        kept::forget(self.log(Table::Sightings)).await?;
        Ok(forgotten)
    }
}

impl Rewriting for &Forgetting {
    fn may_be_in(&self, file: &DataFile) -> bool {
        self.before.is_none_or(|before| may_be_before(file, before))
    }

    fn rewrite(&mut self, rows: RecordBatch) -> Result<(RecordBatch, u64), Wrong> {
        let keeps =
            self.keeps(&rows).ok_or("it has no columns of addresses and days")?;
        let gone = u64::try_from(keeps.false_count()).unwrap_or(u64::MAX);
        Ok((filter_record_batch(&rows, &keeps)?, gone))
    }
}

impl Forgetting {
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

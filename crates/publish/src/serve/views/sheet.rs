//! Rows of a view with typed cells, and the forms in which they leave.
//!
//! **Invariant:** every form has the same rows in the same order. What is null in Arrow and
//! JSON is a word in CSV that says why.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray,
};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use serde_json::{Map, Value};
use tidegauge_model::Day;

use super::{Column, Kind};
use crate::tables::{SUPPRESSED, Table, UNATTRIBUTED};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Text(String),
    Whole(u64),
    Number(f64),
    Day(Day),
    Truth(bool),
    /// A disclosure rule withheld it.
    Suppressed,
    /// Held by nobody known.
    Unattributed,
    /// There is none.
    None,
}

/// The columns of a view, and rows as wide as they are.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::serve) struct Sheet {
    columns: Vec<(&'static str, Kind)>,
    rows: Vec<Vec<Cell>>,
}

impl Sheet {
    pub(super) fn new(columns: &[Column]) -> Self {
        let columns = columns.iter().map(|column| (column.name, column.kind)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row whose cells are of the kinds of their columns.
    pub(super) fn push(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.columns.len(), "a row has every column");
        let mut pairs = row.iter().zip(&self.columns);
        let fits =
            pairs.all(|(cell, (_, kind))| cell.kind().is_none_or(|k| k == *kind));
        debug_assert!(fits, "{row:?} in {:?}", self.columns);
        self.rows.push(row);
    }

    /// As Arrow, in one batch of `schema`, which is that of the view.
    pub(super) fn batch(&self, schema: SchemaRef) -> Result<RecordBatch, ArrowError> {
        let kinds = self.columns.iter().map(|(_, kind)| *kind).enumerate();
        let arrays = kinds.map(|(at, kind)| self.array(at, kind)).collect();
        RecordBatch::try_new(schema, arrays)
    }

    fn array(&self, at: usize, kind: Kind) -> ArrayRef {
        let cells = self.rows.iter().map(|row| row.get(at).unwrap_or(&Cell::None));
        match kind {
            Kind::Text => Arc::new(cells.map(Cell::as_text).collect::<StringArray>()),
            Kind::Whole => Arc::new(cells.map(Cell::as_whole).collect::<Int64Array>()),
            Kind::Number => {
                Arc::new(cells.map(Cell::as_number).collect::<Float64Array>())
            }
            Kind::Day => Arc::new(cells.map(Cell::as_day).collect::<Date32Array>()),
            Kind::Truth => {
                Arc::new(cells.map(Cell::as_truth).collect::<BooleanArray>())
            }
        }
    }

    /// The rows as objects.
    pub(in crate::serve) fn json(&self) -> Vec<Value> {
        let object = |row: &Vec<Cell>| {
            let pairs = self.columns.iter().zip(row);
            let pairs =
                pairs.map(|((name, _), cell)| ((*name).to_owned(), cell.json()));
            Value::Object(pairs.collect::<Map<_, _>>())
        };
        self.rows.iter().map(object).collect()
    }

    /// The rows as words.
    pub(in crate::serve) fn table(&self) -> Table {
        let mut table = Table::new(self.columns.iter().map(|(name, _)| *name));
        for row in &self.rows {
            table.push(row.iter().map(Cell::word));
        }
        table
    }
}

/// A batch as a file of Parquet.
pub(in crate::serve) fn parquet(batch: &RecordBatch) -> Result<Vec<u8>, ParquetError> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None)?;
    writer.write(batch)?;
    writer.into_inner()
}

/// A batch as a stream of Arrow IPC.
pub(in crate::serve) fn stream(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.into_inner()
}

impl Cell {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers have borrowed and owned values alike"
    )]
    pub(super) fn text(text: impl ToString) -> Self {
        Self::Text(text.to_string())
    }

    /// The text, or that there is none.
    pub(super) fn known(text: &str) -> Self {
        if text.is_empty() { Self::None } else { Self::text(text) }
    }

    fn kind(&self) -> Option<Kind> {
        match self {
            Self::Text(_) => Some(Kind::Text),
            Self::Whole(_) => Some(Kind::Whole),
            Self::Number(_) => Some(Kind::Number),
            Self::Day(_) => Some(Kind::Day),
            Self::Truth(_) => Some(Kind::Truth),
            Self::Suppressed | Self::Unattributed | Self::None => None,
        }
    }
}

impl Cell {
    /// For Arrow, each by its kind: null if the cell has no value of it.
    fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    fn as_whole(&self) -> Option<i64> {
        if let Self::Whole(n) = self { i64::try_from(*n).ok() } else { None }
    }

    fn as_number(&self) -> Option<f64> {
        if let Self::Number(n) = self { Some(*n) } else { None }
    }

    fn as_day(&self) -> Option<i32> {
        if let Self::Day(day) = self { Some(day.0) } else { None }
    }

    fn as_truth(&self) -> Option<bool> {
        if let Self::Truth(truth) = self { Some(*truth) } else { None }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Whole(n) => (*n).into(),
            Self::Number(n) => (*n).into(),
            Self::Day(day) => day.to_string().into(),
            Self::Truth(truth) => (*truth).into(),
            Self::Suppressed | Self::Unattributed | Self::None => Value::Null,
        }
    }

    fn word(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Whole(n) => n.to_string(),
            Self::Number(n) => n.to_string(),
            Self::Day(day) => day.to_string(),
            Self::Truth(truth) => truth.to_string(),
            Self::Suppressed => SUPPRESSED.to_owned(),
            Self::Unattributed => UNATTRIBUTED.to_owned(),
            Self::None => "none".to_owned(),
        }
    }
}

impl From<u64> for Cell {
    fn from(n: u64) -> Self {
        Self::Whole(n)
    }
}

impl From<Option<Day>> for Cell {
    fn from(day: Option<Day>) -> Self {
        day.map_or(Self::None, Self::Day)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::ipc::reader::StreamReader;

    use super::super::{View, column};
    use super::*;

    const COLUMNS: &[Column] = &[
        column("name", Kind::Text, "."),
        column("n", Kind::Whole, "."),
        column("share", Kind::Number, "."),
        column("day", Kind::Day, "."),
        column("suppressed", Kind::Truth, "."),
    ];

    fn sheet() -> (SchemaRef, Sheet) {
        let mut sheet = Sheet::new(COLUMNS);
        sheet.push(vec![
            Cell::text("=a"),
            Cell::Whole(7),
            Cell::Number(0.25),
            Cell::Day(Day(19_814)),
            Cell::Truth(false),
        ]);
        sheet.push(vec![
            Cell::Unattributed,
            Cell::Suppressed,
            Cell::None,
            Cell::None,
            Cell::Truth(true),
        ]);
        let rows = |_: super::super::Reading<'_>| -> super::super::Answer<'_, Sheet> {
            unreachable!("only its schema is asked for")
        };
        (View { name: "sample", about: ".", columns: COLUMNS, rows }.schema(), sheet)
    }

    #[test]
    fn every_form_has_the_same_rows() {
        let (schema, sheet) = sheet();
        assert_eq!(
            sheet.table().csv(),
            "name,n,share,day,suppressed\n'=a,7,0.25,2024-04-01,false\n\
             unattributed,suppressed,none,none,true\n"
        );
        let json = sheet.json();
        assert_eq!(json[0]["n"], 7);
        assert_eq!(json[0]["day"], "2024-04-01");
        assert!(json[1]["n"].is_null() && json[1]["name"].is_null());
        let batch = sheet.batch(schema).unwrap();
        assert_eq!(batch.num_rows(), 2);
        assert_eq!(batch.column(1).null_count(), 1);
        assert!(parquet(&batch).unwrap().starts_with(b"PAR1"));
        let bytes = stream(&batch).unwrap();
        let read: Vec<RecordBatch> = StreamReader::try_new(&bytes[..], None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(read, [batch]);
        assert_eq!(read[0].column(0).as_string::<i32>().value(0), "=a");
        assert_eq!(read[0].schema().field(1).metadata()["comment"], ".");
    }
}

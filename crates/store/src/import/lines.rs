//! Columns of a Parquet file as the lines of a text, for formats whose text is decoded
//! elsewhere: what a row means is then said in one place.
//!
//! **Invariant:** every row is one line with one word for each column; a value that is not
//! there is `-`. Memory is bounded by one batch of rows.

use std::fs::File;
use std::io::{self, BufRead, Read};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};

use super::unusable;
use crate::error::Result;

/// Rows read at a time: some hundred kilobytes of text.
const BATCH_ROWS: usize = 4_096;

/// The names of the columns of a Parquet file, in its order. Those inside others are left
/// out.
pub fn parquet_columns(file: &File) -> Result<Vec<String>> {
    let metadata = ArrowReaderMetadata::load(file, ArrowReaderOptions::new());
    let metadata = metadata.map_err(unusable)?;
    Ok(metadata.schema().fields().iter().map(|field| field.name().clone()).collect())
}

/// The lines of a table: its rows behind a header.
pub struct ParquetLines {
    batches: ParquetRecordBatchReader,
    /// Which column stands where in a line.
    columns: Vec<String>,
    text: Vec<u8>,
    read: usize,
}

impl ParquetLines {
    /// The columns of a Parquet file, each with the name that it has in the header.
    pub fn open(file: File, columns: &[(&str, &str)]) -> Result<Self> {
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(file).map_err(unusable)?;
        let named = columns.iter().map(|(column, _)| *column);
        let mask = ProjectionMask::columns(builder.parquet_schema(), named);
        let builder = builder.with_projection(mask).with_batch_size(BATCH_ROWS);
        let batches = builder.build().map_err(unusable)?;
        let header: Vec<&str> = columns.iter().map(|(_, header)| *header).collect();
        let text = (header.join(" ") + "\n").into_bytes();
        let columns = columns.iter().map(|(column, _)| (*column).to_owned()).collect();
        Ok(Self { batches, columns, text, read: 0 })
    }

    fn add(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let absent =
            || io::Error::new(io::ErrorKind::InvalidData, "a column is absent");
        let mut columns = Vec::with_capacity(self.columns.len());
        for name in &self.columns {
            let column = batch.column_by_name(name).ok_or_else(absent)?;
            columns.push(cast(column, &DataType::Utf8).map_err(io::Error::other)?);
        }
        let columns: Vec<_> = columns.iter().map(AsArray::as_string::<i32>).collect();
        for row in 0..batch.num_rows() {
            for column in &columns {
                let value = if column.is_valid(row) { column.value(row) } else { "" };
                self.text.extend(word(value));
                self.text.push(b' ');
            }
            self.text.pop();
            self.text.push(b'\n');
        }
        Ok(())
    }
}

/// A value as one word: in the place of a blank stands what no value has.
fn word(value: &str) -> impl Iterator<Item = u8> {
    let absent = value.is_empty().then_some(b'-');
    let blank = |byte: u8| byte.is_ascii_whitespace() || byte.is_ascii_control();
    absent
        .into_iter()
        .chain(value.bytes().map(move |b| if blank(b) { b'?' } else { b }))
}

impl BufRead for ParquetLines {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.read == self.text.len() {
            self.text.clear();
            self.read = 0;
            let Some(batch) = self.batches.next() else { break };
            let batch = batch.map_err(io::Error::other)?;
            self.add(&batch)?;
        }
        Ok(self.text.get(self.read..).unwrap_or_default())
    }

    fn consume(&mut self, length: usize) {
        self.read = (self.read + length).min(self.text.len());
    }
}

impl Read for ParquetLines {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

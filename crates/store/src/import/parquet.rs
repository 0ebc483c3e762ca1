//! Parquet files of flows: only the mapped columns are read, and text columns are kept as
//! the list of distinct values that the file has.

use std::fs::File;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use tidegauge_model::Instant;

use super::table::{Place, Reader};
use super::{Mapping, Sink, unusable};
use crate::error::Result;

/// Rows read at once: enough to amortise a call, few enough to stay in cache.
const BATCH_ROWS: usize = 16_384;

pub(super) fn flows(
    file: File,
    mapping: &Mapping,
    latest: Instant,
    sink: &mut impl Sink,
) -> Result<u64> {
    let plain = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new());
    let plain = plain.map_err(unusable)?;
    let names: Vec<_> =
        plain.schema().fields().iter().map(|f| f.name().as_str()).collect();
    mapping.check(&names)?;
    let distinct = with_distinct_texts(plain.schema());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(distinct));
    // Where a file's types cannot be read as lists of distinct values, plain ones will do.
    let metadata = ArrowReaderMetadata::load(&file, options).unwrap_or(plain);
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let mask = ProjectionMask::columns(builder.parquet_schema(), mapping.columns());
    let batches = builder
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(unusable)?;
    let mut reader = Reader::new(mapping, latest);
    let mut rows = 0;
    for batch in batches {
        let batch = batch.map_err(unusable)?;
        let before = rows;
        let place = |row| Place { offset: 0, line: before + as_u64(row) + 1 };
        reader.batch(&batch, place, sink)?;
        rows += as_u64(batch.num_rows());
    }
    Ok(rows)
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).expect("a length fits 64 bits")
}

/// The schema with text columns as lists of distinct values.
fn with_distinct_texts(schema: &Schema) -> Schema {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let text = DataType::Dictionary(
                Box::new(DataType::Int32),
                Box::new(DataType::Utf8),
            );
            Arc::new(field.as_ref().clone().with_data_type(text))
        }
        _ => Arc::clone(field),
    };
    let fields: Vec<_> = schema.fields().iter().map(field).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

//! The data files: rows to Parquet and back.
//!
//! **Invariant:** a file is written whole before any commit names it; it never changes.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray,
    new_null_array,
};
use arrow::compute::{cast, max, min};
use arrow::datatypes::{DataType, Schema};
use deltalake_core::kernel::{Action, Add};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::{ArrowWriter, ParquetRecordBatchStreamBuilder};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use serde_json::{Map, Value};

use crate::error::{Error, Result, access};
use crate::log::{Log, readable, sync};
use crate::object::ObjectReader;
use crate::schema::column as c;
use crate::{DataFile, Snapshot, Table, by_address, state};

/// Rows in a row group: the unit of parallel work, of skipping, and of what a reader holds
/// of a file. As many as `DuckDB` writes, rounded to a power of two.
const ROW_GROUP_ROWS: usize = 1 << 17;
/// Rows in a file, so that encoding one needs little memory: about 150 MB of Parquet.
const FILE_ROWS_MAX: usize = 4 << 20;
/// Of zstd: level 3 is its default; higher ones cost more time than they save room.
const COMPRESSION_LEVEL: i32 = 3;
/// Columns whose values seldom repeat within a row group: a list of the distinct ones is nearly as long
/// as the column, and stands beside it. Without it files of sightings are a quarter smaller.
/// Addresses are in order, so that the next is not far from the one before: as differences
/// their column is a fifth smaller, and read in less than half the time.
const WITHOUT_LIST: [(&str, Encoding); 3] = [
    (c::IP_LO, Encoding::DELTA_BINARY_PACKED),
    (c::FIRST, Encoding::PLAIN),
    (c::LAST, Encoding::PLAIN),
];
/// Rows of a batch that is read at once.
const READ_ROWS: usize = 8_192;

/// Writes `rows`, which have all columns of the table, in the order given; one file or
/// more for each run of equal months.
pub(crate) async fn write(log: &Log, rows: &RecordBatch) -> Result<Vec<Action>> {
    let table = log.table;
    let mut added = Vec::new();
    for (month, range) in runs(table, rows)? {
        for start in range.clone().step_by(FILE_ROWS_MAX) {
            let length = (range.end - start).min(FILE_ROWS_MAX);
            let rows = stored(table, &rows.slice(start, length))?;
            added.push(Action::Add(write_file(log, month.as_deref(), rows).await?));
        }
    }
    Ok(added)
}

/// Checks the columns of `rows` against the table.
fn conform(table: Table, rows: &RecordBatch) -> Result<RecordBatch> {
    RecordBatch::try_new(table.schema(), rows.columns().to_vec())
        .map_err(|source| Error::Columns { table: table.name(), source })
}

/// The runs of rows with one month, in order.
fn runs(
    table: Table,
    rows: &RecordBatch,
) -> Result<Vec<(Option<String>, Range<usize>)>> {
    let rows = conform(table, rows)?;
    let count = rows.num_rows();
    let Some(months) =
        table.partition_columns().first().and_then(|month| rows.column_by_name(month))
    else {
        return Ok(if count == 0 { Vec::new() } else { vec![(None, 0..count)] });
    };
    let months: &StringArray = months.as_string();
    let mut found: Vec<(Option<String>, Range<usize>)> = Vec::new();
    for (row, month) in months.iter().enumerate() {
        match found.last_mut() {
            Some((last, range)) if last.as_deref() == month => range.end = row + 1,
            _ => found.push((month.map(str::to_owned), row..row + 1)),
        }
    }
    Ok(found)
}

/// The columns that are in the file.
fn stored(table: Table, rows: &RecordBatch) -> Result<RecordBatch> {
    let schema = table.file_schema();
    let columns = rows.columns().iter().take(schema.fields().len()).cloned().collect();
    RecordBatch::try_new(schema, columns)
        .map_err(|source| Error::Columns { table: table.name(), source })
}

async fn write_file(log: &Log, month: Option<&str>, rows: RecordBatch) -> Result<Add> {
    let name = format!("part-{}.parquet", uuid::Uuid::new_v4());
    let partition = log.table.partition_columns().first().zip(month);
    let relative = partition.map_or_else(
        || name.clone(),
        |(column, month)| format!("{column}={month}/{name}"),
    );
    let path = Path::from(relative.as_str());
    let stats = statistics(log.table, &rows).to_string();
    let shown = readable(log.url(), &relative);
    if let Some(month) = month.and_then(|month| month.parse().ok()) {
        state::write(log, &log.absolute(&path), rows.clone(), month).await?;
    }
    let encoded = tokio::task::spawn_blocking(move || encode(&rows)).await;
    let bytes = encoded
        .map_err(|source| access(&shown, source))?
        .map_err(|source| Error::Parquet { path: shown.clone(), source })?;
    let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let files = log.files();
    files.put(&path, bytes.into()).await.map_err(|source| access(&shown, source))?;
    sync(log.url(), &relative)?;
    let written = files.head(&path).await.map_err(|source| access(&shown, source))?;
    Ok(Add {
        path: relative.clone(),
        partition_values: partition
            .map(|(column, month)| {
                HashMap::from([((*column).to_owned(), Some(month.to_owned()))])
            })
            .unwrap_or_default(),
        size,
        modification_time: written.last_modified.timestamp_millis(),
        data_change: true,
        stats: Some(stats),
        ..Add::default()
    })
}

pub(crate) fn encode(rows: &RecordBatch) -> parquet::errors::Result<Vec<u8>> {
    let level = ZstdLevel::try_new(COMPRESSION_LEVEL)?;
    let columns = WriterProperties::builder();
    let columns = WITHOUT_LIST.into_iter().fold(columns, |all, (name, encoding)| {
        let column = ColumnPath::from(name);
        all.set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, encoding)
    });
    let properties = columns
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_sorting_columns(by_address::order_of(rows))
        .set_created_by(concat!("tidegauge ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties))?;
    writer.write(rows)?;
    writer.into_inner()
}

/// What the log says about a file, so that readers can skip it (Delta protocol, "Per-file
/// Statistics").
fn statistics(table: Table, rows: &RecordBatch) -> Value {
    let (mut least, mut greatest, mut nulls) = (Map::new(), Map::new(), Map::new());
    for name in table.bounded_columns() {
        let Some(column) = rows.column_by_name(name) else { continue };
        nulls.insert((*name).to_owned(), column.null_count().into());
        let bounds = match column.data_type() {
            DataType::Int64 => {
                let column: &Int64Array = column.as_primitive();
                min(column).zip(max(column)).map(|(a, b)| (Value::from(a), b.into()))
            }
            DataType::Date32 => {
                let column: &Date32Array = column.as_primitive();
                let day = |day| Value::from(tidegauge_model::Day(day).to_string());
                min(column).zip(max(column)).map(|(a, b)| (day(a), day(b)))
            }
            _ => None,
        };
        if let Some((a, b)) = bounds {
            least.insert((*name).to_owned(), a);
            greatest.insert((*name).to_owned(), b);
        }
    }
    serde_json::json!({
        "numRecords": rows.num_rows(),
        "minValues": least, "maxValues": greatest, "nullCount": nulls,
    })
}

/// The rows of one file with all columns of its table, as they are asked for.
pub(crate) fn read(
    snapshot: &Snapshot,
    file: &DataFile,
) -> BoxStream<'static, Result<RecordBatch>> {
    let table = snapshot.table;
    let damaged = damaged(snapshot, file);
    let reader = reader(snapshot, file);
    let month = file.partition_month.clone();
    let open = async move {
        let opened = ParquetRecordBatchStreamBuilder::new(reader)
            .await
            .and_then(|builder| builder.with_batch_size(READ_ROWS).build());
        let batches = opened.map_err(|error| damaged(&error))?;
        Ok::<_, Error>(batches.map(move |batch| {
            let batch = batch.map_err(|error| damaged(&error))?;
            adapt(table, &batch, month.as_deref()).map_err(|reason| damaged(&reason))
        }))
    };
    futures::stream::once(open).try_flatten().boxed()
}

/// What reads the bytes of a file.
pub(crate) fn reader(snapshot: &Snapshot, file: &DataFile) -> ObjectReader {
    ObjectReader {
        store: Arc::clone(&snapshot.store),
        path: file.path.clone(),
        size: file.size,
    }
}

/// Says that a file is damaged, and why.
pub(crate) fn damaged(
    snapshot: &Snapshot,
    file: &DataFile,
) -> impl Fn(&dyn std::fmt::Display) -> Error + Clone + Send + 'static + use<> {
    damaged_with(snapshot, file, "restore the file from a backup")
}

/// The same with another hint.
pub(crate) fn damaged_with(
    snapshot: &Snapshot,
    file: &DataFile,
    hint: &'static str,
) -> impl Fn(&dyn std::fmt::Display) -> Error + Clone + Send + 'static + use<> {
    let (table, path) = (snapshot.table.name(), readable_file(snapshot, file));
    move |error| Error::Damaged {
        table,
        path: path.clone(),
        reason: error.to_string(),
        hint,
    }
}

/// The path of a file, for people.
pub(crate) fn readable_file(snapshot: &Snapshot, file: &DataFile) -> String {
    readable(&snapshot.store_url, file.path.as_ref())
}

/// Gives rows the columns of the table: those that an older format version lacks become
/// null, the partition column is filled in, and types that another tool wrote its own way
/// are cast back.
fn adapt(
    table: Table,
    rows: &RecordBatch,
    month: Option<&str>,
) -> std::result::Result<RecordBatch, String> {
    let schema = table.schema();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let partition = table.partition_columns().contains(&field.name().as_str());
        let column = match rows.column_by_name(field.name()) {
            _ if partition => {
                let months = std::iter::repeat_n(month, rows.num_rows());
                Arc::new(months.collect::<StringArray>()) as ArrayRef
            }
            Some(column) => {
                cast(column, field.data_type()).map_err(|error| error.to_string())?
            }
            None => new_null_array(field.data_type(), rows.num_rows()),
        };
        columns.push(column);
    }
    let schema = Arc::new(Schema::new(schema.fields().clone()));
    RecordBatch::try_new(schema, columns).map_err(|error| error.to_string())
}

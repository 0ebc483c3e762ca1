//! What counting reads of a file of sightings, in the order of addresses.
//!
//! **Invariant:** the rows come in the order of their addresses, and in the columns of
//! [`state::schema`](crate::state::schema), whatever they are read from: the file's state,
//! if it has any, else the file itself, whose rows are each of one day. A file that says it
//! is sorted is read as it stands, and refused as damaged where it is not; any other (of an
//! older version of this program, or of another tool) is sorted in memory, whole.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::compute::{
    SortColumn, cast, concat_batches, lexsort_to_indices, take_record_batch,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData, SortingColumn};
use parquet::file::statistics::Statistics;
use parquet::schema::types::SchemaDescriptor;

use crate::error::{Error, Result};
use crate::schema::column as c;
use crate::{DataFile, Snapshot, Table, files, state};

/// Addresses from the first to the last, both in, as their stored halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: (i64, i64),
    /// The last.
    pub last: (i64, i64),
}

impl Span {
    /// Every address.
    pub const ALL: Self =
        Self { first: (i64::MIN, i64::MIN), last: (i64::MAX, i64::MAX) };

    /// Whether an address is within.
    pub fn contains(&self, address: (i64, i64)) -> bool {
        self.first <= address && address <= self.last
    }
}

/// What is read of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Row groups without an address of these are left out. Rows beyond may still come:
    /// whoever asks looks at each.
    pub addresses: Span,
    /// The names of vantages; null if they are not.
    pub vantages: bool,
    /// The words of signals; null if they are not.
    pub signals: bool,
}

impl Wanted {
    /// All there is.
    pub const ALL: Self = Self { addresses: Span::ALL, vantages: true, signals: true };

    /// The columns of `schema`, in which names that are not wanted may be null.
    fn columns(self, schema: &Schema) -> Columns {
        let left_out = |name: &str| {
            (name == c::VANTAGE && !self.vantages)
                || (name == c::SIGNAL && !self.signals)
        };
        let fields = schema.fields().iter().map(|field| {
            let nullable = field.is_nullable() || left_out(field.name());
            Arc::new(field.as_ref().clone().with_nullable(nullable))
        });
        let read = schema.fields().iter().map(|field| field.name().clone());
        Columns {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            read: read.filter(|name| !left_out(name)).collect(),
        }
    }
}

/// The columns that come, and the names of those that are read.
struct Columns {
    schema: SchemaRef,
    read: Vec<String>,
}

/// The columns that are read of sightings, in this order.
fn sightings() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(state::of_contacts([
            Field::new(c::DAY, DataType::Date32, false),
            Field::new(c::CONTACTS, DataType::Int64, false),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// The rows of one file of sightings, at most `rows` of them in a batch, with the columns of
/// [`state::schema`].
pub fn read(
    snapshot: &Snapshot,
    file: &DataFile,
    rows: usize,
    wanted: Wanted,
) -> BoxStream<'static, Result<RecordBatch>> {
    let (snapshot, file) = (snapshot.clone(), file.clone());
    let open = async move {
        let folded = wanted.columns(&state::schema());
        if let Some(made) = state::find(&snapshot, &file).await? {
            let damaged = files::damaged_with(&snapshot, &made, state::HINT);
            let addresses = wanted.addresses;
            return read_of(&snapshot, &made, rows, addresses, folded, damaged).await;
        }
        let damaged = files::damaged(&snapshot, &file);
        let month =
            state::month_of(&file).ok_or_else(|| damaged(&"it is of no month"))?;
        let failed = damaged.clone();
        let columns = wanted.columns(&sightings());
        let batches =
            read_of(&snapshot, &file, rows, wanted.addresses, columns, damaged).await?;
        let unfold = move |batch| {
            let batch = state::unfolded(&batch, month, &folded.schema);
            std::future::ready(batch.map_err(|reason| failed(&reason)))
        };
        Ok(batches.and_then(unfold).boxed())
    };
    futures::stream::once(open).try_flatten().boxed()
}

/// Says that a row of what [`read`] gives is not what it should be, and why.
pub fn damaged(
    snapshot: &Snapshot,
    file: &DataFile,
) -> impl Fn(&dyn std::fmt::Display) -> Error + Clone + Send + 'static {
    let made = state::path_of(&file.path).unwrap_or_else(|| file.path.clone());
    let made = DataFile { path: made, ..file.clone() };
    files::damaged_with(snapshot, &made, state::HINT)
}

/// The rows of a file with these columns.
async fn read_of(
    snapshot: &Snapshot,
    file: &DataFile,
    rows: usize,
    span: Span,
    columns: Columns,
    damaged: impl Fn(&dyn std::fmt::Display) -> Error + Clone + Send + 'static,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let failed = damaged.clone();
    let mut reader = files::reader(snapshot, file);
    let options = ArrowReaderOptions::new();
    let found = ArrowReaderMetadata::load_async(&mut reader, options)
        .await
        .map_err(|e| failed(&e))?;
    let sorted = says_sorted(found.metadata());
    let groups = groups_within(found.metadata(), span);
    let Columns { schema, read } = columns;
    let options = ArrowReaderOptions::new().with_schema(typed(found.schema(), &schema));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), options)
        .map_err(|e| failed(&e))?;
    let names = read.iter().map(String::as_str);
    let names = names.filter(|name| !is_all_null(found.metadata(), name));
    let mask = ProjectionMask::columns(metadata.parquet_schema(), names);
    let batches = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata)
        .with_projection(mask)
        .with_row_groups(groups)
        .with_batch_size(rows)
        .build()
        .map_err(|e| failed(&e))?;
    let batches = batches.map(move |batch| {
        let batch = batch.map_err(|error| damaged(&error))?;
        adapt(&batch, &schema).map_err(|error| damaged(&error))
    });
    if sorted {
        return Ok(checked(batches.boxed(), failed));
    }
    sort(batches.boxed(), rows, failed).await
}

/// The spans of a sorted file's row groups, in order, with their rows: all that can be said
/// of where its addresses lie without reading them. Empty for any other file.
pub async fn spans(snapshot: &Snapshot, file: &DataFile) -> Result<Vec<(Span, u64)>> {
    let found = footer(snapshot, file).await?;
    let metadata = found.metadata();
    if !says_sorted(metadata) {
        return Ok(Vec::new());
    }
    let names = metadata.file_metadata().schema_descr();
    let span = |group: &RowGroupMetaData| {
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        Some((span_of(group, names)?, rows))
    };
    Ok(metadata.row_groups().iter().filter_map(span).collect())
}

/// Whether a file may stay as it is: it has every column of its table, and is sorted by
/// address where it is of sightings; or it has a column that this program does not know,
/// which it could not write again.
pub(crate) async fn is_current(snapshot: &Snapshot, file: &DataFile) -> Result<bool> {
    let table = snapshot.table;
    let found = footer(snapshot, file).await?;
    let whole = table.schema().fields().iter().all(|field| {
        table.partition_columns().contains(&field.name().as_str())
            || found.schema().field_with_name(field.name()).is_ok()
    });
    let known = table.schema();
    let foreign = |name: &String| known.field_with_name(name).is_err();
    if found.schema().fields().iter().any(|field| foreign(field.name())) {
        return Ok(true);
    }
    Ok(whole && (table != Table::Sightings || says_sorted(found.metadata())))
}

async fn footer(snapshot: &Snapshot, file: &DataFile) -> Result<ArrowReaderMetadata> {
    let mut reader = files::reader(snapshot, file);
    ArrowReaderMetadata::load_async(&mut reader, ArrowReaderOptions::new())
        .await
        .map_err(|error| files::damaged(snapshot, file)(&error))
}

/// The row groups that may have an address of `span`.
fn groups_within(metadata: &ParquetMetaData, span: Span) -> Vec<usize> {
    let names = metadata.file_metadata().schema_descr();
    let meets = |group: &RowGroupMetaData| {
        let of = span_of(group, names);
        of.is_none_or(|of| of.first <= span.last && span.first <= of.last)
    };
    let groups = metadata.row_groups().iter().enumerate();
    groups.filter(|(_, group)| meets(group)).map(|(at, _)| at).collect()
}

/// The least and the greatest address that a row group's statistics leave possible.
fn span_of(group: &RowGroupMetaData, names: &SchemaDescriptor) -> Option<Span> {
    let bounds = |name: &str| {
        let at = names.columns().iter().position(|column| column.name() == name)?;
        match group.column(at).statistics()? {
            Statistics::Int64(of) => Some((*of.min_opt()?, *of.max_opt()?)),
            _ => None,
        }
    };
    let (first, last) = bounds(c::IP_HI)?;
    let (least, greatest) = match bounds(c::IP_LO) {
        Some(lo) if first == last => lo,
        _ => (i64::MIN, i64::MAX),
    };
    Some(Span { first: (first, least), last: (last, greatest) })
}

/// How `rows` are sorted, for the file's own record of it: by address, if they are.
pub(crate) fn order_of(rows: &RecordBatch) -> Option<Vec<SortingColumn>> {
    let at = |name: &str| rows.schema().index_of(name).ok();
    let (hi, lo) = (at(c::IP_HI)?, at(c::IP_LO)?);
    is_sorted(rows.column(hi), rows.column(lo), None).ok()?;
    let by = |column| {
        let column_idx = i32::try_from(column).ok()?;
        Some(SortingColumn { column_idx, descending: false, nulls_first: false })
    };
    Some(vec![by(hi)?, by(lo)?])
}

/// Whether every row group says that it is sorted by address.
fn says_sorted(metadata: &ParquetMetaData) -> bool {
    let names = metadata.file_metadata().schema_descr();
    metadata.row_groups().iter().all(|group| {
        let by = group.sorting_columns().map_or(&[][..], Vec::as_slice);
        let named = |by: &SortingColumn, name: &str| {
            let at = usize::try_from(by.column_idx).ok();
            let column = at.and_then(|at| names.columns().get(at));
            !by.descending && column.is_some_and(|column| column.name() == name)
        };
        match by {
            [hi, lo, ..] => named(hi, c::IP_HI) && named(lo, c::IP_LO),
            _ => false,
        }
    })
}

/// Whether statistics say of every row group that a column has no value in it: then there is
/// nothing to read.
fn is_all_null(metadata: &ParquetMetaData, name: &str) -> bool {
    let columns = metadata.file_metadata().schema_descr().columns();
    let Some(at) = columns.iter().position(|column| column.name() == name) else {
        return false;
    };
    metadata.row_groups().iter().all(|group| {
        let told = group.column(at).statistics().and_then(Statistics::null_count_opt);
        told.is_some() && told == u64::try_from(group.num_rows()).ok()
    })
}

/// The schema of a file, with dictionaries where we want them.
fn typed(there: &Schema, ours: &Schema) -> SchemaRef {
    let fields =
        there.fields().iter().map(|field| match ours.field_with_name(field.name()) {
            Ok(our) if *field.data_type() == DataType::Utf8 => {
                Arc::new(field.as_ref().clone().with_data_type(our.data_type().clone()))
            }
            _ => Arc::clone(field),
        });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Our columns of a batch: what an older version lacks is null, where it may be.
fn adapt(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> std::result::Result<RecordBatch, arrow::error::ArrowError> {
    let columns =
        schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => {
                Ok(Arc::clone(column))
            }
            Some(column) => cast(column, field.data_type()),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        });
    let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// Batches as they come, refused where an address is below the one before it.
fn checked(
    batches: BoxStream<'static, Result<RecordBatch>>,
    damaged: impl Fn(&dyn std::fmt::Display) -> Error + Send + 'static,
) -> BoxStream<'static, Result<RecordBatch>> {
    let mut last = None;
    batches
        .and_then(move |batch| {
            let said = is_sorted(batch.column(0), batch.column(1), last);
            std::future::ready(match said {
                Ok(now) => {
                    last = now;
                    Ok(batch)
                }
                Err(()) => {
                    Err(damaged(&"it says that it is sorted by address, and is not"))
                }
            })
        })
        .boxed()
}

/// Whether addresses are in order, after `last`; the last of them.
fn is_sorted(
    hi: &ArrayRef,
    lo: &ArrayRef,
    mut last: Option<(i64, i64)>,
) -> std::result::Result<Option<(i64, i64)>, ()> {
    let (Some(hi), Some(lo)) =
        (hi.as_primitive_opt::<Int64Type>(), lo.as_primitive_opt::<Int64Type>())
    else {
        return Err(());
    };
    for address in hi.values().iter().copied().zip(lo.values().iter().copied()) {
        if last.is_some_and(|last| address < last) {
            return Err(());
        }
        last = Some(address);
    }
    Ok(last)
}

/// All rows of a file, sorted.
async fn sort(
    batches: BoxStream<'static, Result<RecordBatch>>,
    rows: usize,
    damaged: impl Fn(&dyn std::fmt::Display) -> Error,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let batches: Vec<_> = batches.try_collect().await?;
    let Some(schema) = batches.first().map(RecordBatch::schema) else {
        return Ok(futures::stream::empty().boxed());
    };
    let sorted = concat_batches(&schema, &batches).and_then(|all| {
        drop(batches);
        let keys = all
            .columns()
            .iter()
            .take(2)
            .map(|values| SortColumn { values: Arc::clone(values), options: None });
        let order = lexsort_to_indices(&keys.collect::<Vec<_>>(), None)?;
        take_record_batch(&all, &order)
    });
    let sorted = sorted.map_err(|error| damaged(&error))?;
    let count = sorted.num_rows();
    let slices = (0..count)
        .step_by(rows.max(1))
        .map(move |at| Ok(sorted.slice(at, rows.max(1).min(count - at))));
    Ok(futures::stream::iter(slices).boxed())
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    fn column(values: &[i64]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    #[test]
    fn order_is_that_of_both_halves_and_goes_on_from_the_batch_before() {
        let hi = column(&[1, 1, 2]);
        assert_eq!(is_sorted(&hi, &column(&[5, 6, 0]), None), Ok(Some((2, 0))));
        assert_eq!(is_sorted(&hi, &column(&[5, 5, 0]), Some((1, 5))), Ok(Some((2, 0))));
        assert_eq!(is_sorted(&hi, &column(&[5, 4, 0]), None), Err(()));
        assert_eq!(is_sorted(&hi, &column(&[5, 6, 0]), Some((1, 6))), Err(()));
        assert_eq!(
            is_sorted(&column(&[]), &column(&[]), Some((1, 6))),
            Ok(Some((1, 6)))
        );
    }
}

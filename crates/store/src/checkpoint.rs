//! The transaction ids in a checkpoint of a log.
//!
//! **Invariant:** reads the classic single-file form only; tables with another form need a
//! feature that is refused on opening.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};

use crate::Table;
use crate::error::{Error, Result, access};
use crate::object::ObjectReader;

/// Every transaction id in the checkpoint at `path`.
pub(crate) async fn transactions(
    store: &Arc<dyn ObjectStore>,
    path: &Path,
    table: Table,
) -> Result<HashSet<String>> {
    let damaged = |reason: String| Error::Damaged {
        table: table.name(),
        path: path.to_string(),
        reason,
        hint: "restore the checkpoint from a backup, or remove it if all log entries from \
               0 on are there",
    };
    let size = store.head(path).await.map_err(|source| access(path, source))?.size;
    let reader = ObjectReader { store: Arc::clone(store), path: path.clone(), size };
    let builder = ParquetRecordBatchStreamBuilder::new(reader)
        .await
        .map_err(|error| damaged(error.to_string()))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["txn.appId"]);
    let mut batches = builder
        .with_projection(mask)
        .build()
        .map_err(|error| damaged(error.to_string()))?;
    let mut found = HashSet::new();
    while let Some(batch) =
        batches.try_next().await.map_err(|error| damaged(error.to_string()))?
    {
        let ids = batch.column_by_name("txn").and_then(|txn| {
            let ids = txn.as_struct_opt()?.column_by_name("appId")?;
            cast(ids, &DataType::Utf8).ok()
        });
        let Some(ids) = ids else { continue };
        let ids = ids.as_string::<i32>();
        found.extend(ids.iter().flatten().map(str::to_owned));
    }
    Ok(found)
}

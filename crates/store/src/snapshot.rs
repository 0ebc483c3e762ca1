//! What a reader needs to scan a table: the files of one version.
//!
//! **Invariant:** a snapshot never changes; later appends make later snapshots. Its files
//! are plain Parquet, without deletion vectors or column mapping.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use object_store::ObjectStore;
use object_store::path::Path;
use url::Url;

use crate::Table;

/// The files of one version of a table.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Which table.
    pub table: Table,
    /// Version of the table, from 0; -1 if nothing was ever written to it.
    pub version: i64,
    /// All columns, the partition column (not in the files) last.
    pub schema: SchemaRef,
    /// The files, sorted by path.
    pub files: Vec<DataFile>,
    /// URL of the store that the paths are in: `file:///` for a folder.
    pub store_url: Url,
    /// The store that the paths are in.
    pub store: Arc<dyn ObjectStore>,
}

/// One Parquet file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// Path within the snapshot's store (for a folder: the absolute path without its first
    /// slash).
    pub path: Path,
    /// Bytes.
    pub size: u64,
    /// Value of the `month` column for all rows, in tables that are split by it.
    pub partition_month: Option<String>,
    /// Rows.
    pub rows: u64,
}

impl Snapshot {
    /// Rows of all files.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|f| f.rows).sum()
    }
}

//! The lake: a folder of tables.

use crate::{Result, Snapshot, Table};

/// A folder or object store with the tables.
#[derive(Clone, Debug)]
pub struct Lake {}

impl Lake {
    /// Opens the lake at a path or `file://` URL. It need not exist yet: the first append
    /// makes it.
    pub async fn open(location: &str) -> Result<Self> {
        let _ = location;
        Ok(Self {})
    }

    /// The files of the newest version of `table`. A table that nothing was written to
    /// gives a snapshot without files.
    pub async fn snapshot(&self, table: Table) -> Result<Snapshot> {
        let _ = table;
        std::future::pending().await
    }
}

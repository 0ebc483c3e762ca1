//! Answers that are kept in the lake, to be found again by another process.
//!
//! **Invariant:** nothing rests on them: whoever keeps one says in it what it was an answer to,
//! and looks at that before it is used. They go with every forgetting; a count that was under
//! way meanwhile may keep one more, of cells and of files that are gone: nobody finds it, and
//! a vacuum removes it.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::error::{Result, access};
use crate::log::Log;
use crate::{Fingerprint, Lake, Table};

/// The folder beside those of the tables.
const FOLDER: &str = "kept";

impl Lake {
    /// What is kept under a name.
    pub async fn kept(&self, name: &Fingerprint) -> Result<Option<Vec<u8>>> {
        let log = self.log(Table::Sightings);
        let path = path_of(log, name);
        let failed = |source| access(&path, source);
        match log.all_files().get(&path).await {
            Ok(found) => Ok(Some(found.bytes().await.map_err(failed)?.into())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed(source)),
        }
    }

    /// Keeps something under a name, in place of what was kept there before. A lake as of an
    /// instant is not written to.
    pub async fn keep(&self, name: &Fingerprint, what: Vec<u8>) -> Result<()> {
        let log = self.log(Table::Sightings);
        log.writable()?;
        let path = path_of(log, name);
        let put = log.all_files().put(&path, what.into()).await;
        put.map(|_| ()).map_err(|source| access(&path, source))
    }
}

/// Everything that is kept.
pub(crate) async fn all(log: &Log) -> Result<Vec<ObjectMeta>> {
    let folder = log.lake().join(FOLDER);
    let files = log.all_files();
    files.list(Some(&folder)).try_collect().await.map_err(|e| access(&folder, e))
}

/// Deletes everything that is kept.
pub(crate) async fn forget(log: &Log) -> Result<()> {
    for file in all(log).await? {
        match log.all_files().delete(&file.location).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(access(file.location, source)),
        }
    }
    Ok(())
}

fn path_of(log: &Log, name: &Fingerprint) -> Path {
    log.lake().join(FOLDER).join(name.to_string())
}

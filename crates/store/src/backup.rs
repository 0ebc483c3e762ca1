//! A copy of the lake as it stands.
//!
//! **Invariant:** a backup is a lake. Its sightings come last, and their log last of all, so
//! that what was interrupted has none and cannot be taken for whole; whatever its sightings
//! decide on (coverage, resolutions) was copied at a version at least as new.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, WriteMultipart};

use crate::error::{Error, Result, access};
use crate::log::{Log, State};
use crate::{Lake, Table, state};

/// Parts of a file that are under way at once.
const PARTS_MAX: usize = 4;

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackedUp {
    /// Tables that have something in them.
    pub tables: u64,
    /// Files, those of the log among them.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

impl Lake {
    /// Copies the newest version of every table to the lake at `to`, which must be empty.
    /// Readers and writers need not wait. Older versions are not copied: the backup's past
    /// begins with what its files still hold.
    pub async fn backup(&self, to: &Lake) -> Result<BackedUp> {
        for table in Table::ALL {
            if to.log(table).load().await?.is_some() {
                return Err(Error::Occupied { url: to.url().to_string() });
            }
        }
        // What sightings decide on is written before them: so they are looked at first.
        let decides = self.log(Table::Sightings).load().await?;
        let mut done = BackedUp::default();
        for table in Table::ALL.into_iter().filter(|t| *t != Table::Sightings) {
            if let Some(state) = self.log(table).load().await? {
                copy(self.log(table), to.log(table), &state, &mut done).await?;
            }
        }
        if let Some(state) = decides {
            let table = Table::Sightings;
            copy(self.log(table), to.log(table), &state, &mut done).await?;
        }
        Ok(done)
    }
}

/// Copies a version of a table: its files with what was made of them, then its log.
async fn copy(
    from: &Log,
    to: &Log,
    version: &State,
    done: &mut BackedUp,
) -> Result<()> {
    done.tables += 1;
    for path in version.paths() {
        let (there, here) = (from.absolute(&path), to.absolute(&path));
        let made = state::path_of(&there).zip(state::path_of(&here));
        if let Some((there, here)) = made
            && state::is_there(from, &there).await?
        {
            done.add(copy_file(from, &there, to, &here).await?);
        }
        done.add(copy_file(from, &there, to, &here).await?);
    }
    for path in from.entries_until(version).await? {
        done.add(
            copy_file(from, &from.absolute(&path), to, &to.absolute(&path)).await?,
        );
    }
    Ok(())
}

impl BackedUp {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// Copies a file, by its paths in the stores of the two lakes.
async fn copy_file(from: &Log, there: &Path, to: &Log, here: &Path) -> Result<u64> {
    let read = |source| access(there, source);
    let written = |source| access(here, source);
    let file = from.all_files().get(there).await.map_err(read)?;
    let size = file.meta.size;
    let mut bytes = file.into_stream();
    let parts = to.all_files().put_multipart(here).await.map_err(written)?;
    let mut writer = WriteMultipart::new(parts);
    while let Some(chunk) = bytes.try_next().await.map_err(read)? {
        writer.wait_for_capacity(PARTS_MAX).await.map_err(written)?;
        writer.put(chunk);
    }
    writer.finish().await.map_err(written)?;
    to.sync_file(here)?;
    Ok(size)
}

//! Sightings that are written before the append they belong to, so that an append of many
//! does not hold them all in memory.
//!
//! **Invariant:** nobody reads them before that append commits, and then all of them at once:
//! until then no version of the table names their files. What a program that died has left
//! is as any other file that nobody names: `vacuum` takes it away.

use deltalake_core::kernel::Action;
use tidegauge_model::Sighting;

use crate::batch::sorted;
use crate::{Lake, Result, Table, files, rows};

/// What was written so far. Within each piece the grain of a sighting comes once; two pieces
/// may each have some of it, as two batches may.
#[derive(Debug, Default)]
pub struct Ahead {
    pub(crate) added: Vec<Action>,
    rows: u64,
}

impl Ahead {
    /// How many rows were written.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

impl Lake {
    /// Writes a piece of the sightings of a later [`Lake::append_after`].
    pub async fn write_ahead(
        &self,
        ahead: &mut Ahead,
        sightings: Vec<Sighting>,
    ) -> Result<()> {
        let log = self.log(Table::Sightings);
        log.load_or_create().await?;
        for (_, sightings) in sorted(sightings) {
            let rows = rows::from_sightings(&sightings);
            ahead.rows += u64::try_from(sightings.len()).unwrap_or(u64::MAX);
            drop(sightings);
            ahead.added.extend(files::write(log, &rows).await?);
        }
        Ok(())
    }

    /// Takes away what was written ahead of an append that is not to be.
    pub async fn abandon(&self, ahead: &Ahead) {
        self.log(Table::Sightings).discard(&ahead.added).await;
    }
}

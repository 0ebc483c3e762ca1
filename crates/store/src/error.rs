//! Why the lake could not do what was asked; variants by who must act.

use std::path::PathBuf;

use deltalake_core::DeltaTableError;

use crate::Fingerprint;

/// What goes wrong with a lake.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The location is not one that this build can open.
    #[error("cannot open a lake at `{location}`: {reason}\nhint: {hint}")]
    Location {
        /// As given.
        location: String,
        /// Why not.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// No room is left.
    #[error(
        "no room is left while writing {path}\nhint: free some space and run the same command \
         again; nothing of it has been stored yet, and nothing will be stored twice"
    )]
    DiskFull {
        /// What was being written.
        path: String,
        /// What the system said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file or object could not be read or written.
    #[error("cannot access {path}")]
    Io {
        /// Which.
        path: String,
        /// What the system said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something in the lake is not as it was written.
    #[error("table `{table}` is damaged: {path}: {reason}\nhint: {hint}")]
    Damaged {
        /// Table.
        table: &'static str,
        /// The file, as far as known.
        path: String,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// Whoever asked must act: what is past is not changed.
    #[error(
        "this is the lake as of {as_of}, which is only read\nhint: leave --as-of away to \
         write"
    )]
    Past {
        /// When.
        as_of: tidegauge_model::Instant,
    },
    /// Whoever asked must act.
    #[error("{url} is not empty\nhint: a backup goes to a folder of its own")]
    Occupied {
        /// Where the backup was to go.
        url: String,
    },
    /// Others wrote all the time.
    #[error(
        "table `{table}` was changed by others {attempts} times while this was being \
         written\nhint: run the same command again"
    )]
    Conflict {
        /// Table.
        table: &'static str,
        /// How often it was tried.
        attempts: u32,
    },
    /// Some inputs of a batch are in the lake already, others are not.
    #[error(
        "{} of the {all} inputs of this batch are already in the lake (first: {})\nhint: \
         leave out what is there (`Lake::already`) and append the rest",
        there.len(), there.first().map_or_else(String::new, ToString::to_string)
    )]
    PartlyThere {
        /// Those that are in.
        there: Vec<Fingerprint>,
        /// How many the batch has.
        all: usize,
    },
    /// The lake was written by a newer program.
    #[error(
        "table `{table}` has format version {found}; this program knows up to {known}\nhint: \
         use the newer tidegauge that wrote it"
    )]
    FormatVersion {
        /// Table.
        table: &'static str,
        /// What the table says.
        found: String,
        /// The newest known.
        known: u32,
    },
    /// The table was not written by us, or something was done to it that we cannot read.
    #[error("table `{table}` cannot be read: {feature}\nhint: {hint}")]
    NotReadable {
        /// Table.
        table: &'static str,
        /// What it has that it must not have, or the reverse.
        feature: String,
        /// What to do.
        hint: &'static str,
    },
    /// Rows do not have the columns of their table.
    #[error("rows for table `{table}` have other columns than the table")]
    Columns {
        /// Table.
        table: &'static str,
        /// What differs.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// A data file could not be read or written as Parquet.
    #[error("cannot read or write {path} as Parquet")]
    Parquet {
        /// Which.
        path: String,
        /// What is wrong.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// The table format's library failed.
    #[error("table `{table}`: its log could not be read or written")]
    Log {
        /// Table.
        table: &'static str,
        /// What it said.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// A mapping of foreign columns is wrong.
    #[error("the mapping of columns is wrong: {reason}\nhint: {hint}")]
    Mapping {
        /// What is wrong.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// A foreign file cannot be imported at all.
    #[error("cannot import {}: {reason}", path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure to read or write `path`: no room left, or anything else.
pub(crate) fn access<E>(path: impl std::fmt::Display, source: E) -> Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    let path = path.to_string();
    if is_full(&source) {
        Error::DiskFull { path, source: Box::new(source) }
    } else {
        Error::Io { path, source: Box::new(source) }
    }
}

/// Whether the cause of `error`, however deep, is that there is no room.
pub(crate) fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let full = error.downcast_ref::<std::io::Error>().is_some_and(|io| {
        matches!(io.kind(), StorageFull | QuotaExceeded | FileTooLarge)
            || io.get_ref().is_some_and(|inner| is_full(inner))
    });
    full || error.source().is_some_and(is_full)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_trouble() {
        let store_error = |kind: io::ErrorKind| object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(io::Error::new(kind, "as the system said it")),
        };
        let full = access("lake/x.parquet", store_error(io::ErrorKind::StorageFull));
        assert!(matches!(full, Error::DiskFull { .. }), "{full:?}");
        assert!(full.to_string().contains("hint: free some space"), "{full}");
        let other =
            access("lake/x.parquet", store_error(io::ErrorKind::PermissionDenied));
        assert!(matches!(other, Error::Io { .. }), "{other:?}");
    }
}

//! Import of foreign tables of flows: Parquet and CSV, with columns named by a mapping.
//!
//! ```text
//! file ─► batches of mapped columns ─► could it matter? ─► yes: Flow, no: originator, start
//!                                       (once per distinct value)
//! ```
//!
//! A Parquet file of a format whose text is decoded elsewhere is handed on as its lines
//! ([`ParquetLines`]).
//!
//! **Invariant:** every row ends as a flow, as a row that only counts for coverage, or as
//! a [`Loss`] with its row number.

mod column;
mod csv;
mod lines;
mod mapping;
mod parquet;
mod table;

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::num::NonZeroU32;
use std::path::Path;

use tidegauge_model::{Address, Flow, Instant, Loss};

pub use self::lines::{ParquetLines, parquet_columns};
pub use self::mapping::Mapping;
use crate::error::{Error, Result, access};

/// The first bytes of a Parquet file (Parquet format, "File Format").
const PARQUET_MAGIC: [u8; 4] = *b"PAR1";

/// Takes what is imported.
pub trait Sink {
    /// Whether a flow whose server name is `host` could be a contact. `host` is as the
    /// table has it. Asked once for each distinct value where the table tells them, so the
    /// answer must depend on nothing else.
    fn wants_host(&self, host: &str) -> bool;
    /// Whether a flow to this address could be a contact, by its address alone.
    fn wants_responder(&self, responder: Address) -> bool;
    /// A flow for which one of the two said yes.
    fn flow(&mut self, flow: Flow);
    /// Any other flow: it counts for coverage only.
    fn other(&mut self, other: Other);
    /// A row that could not be used.
    fn loss(&mut self, loss: Loss);
}

/// What is kept of a flow that cannot be a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Other {
    /// Who opened it.
    pub originator: Address,
    /// First packet.
    pub start: Instant,
    /// One packet in so many.
    pub sampling: NonZeroU32,
}

/// Imports a file of either kind; which one it is, its first bytes tell. Rows that begin
/// more than a day after `latest`, the time of reading, are lost. Returns how many rows
/// the file has.
pub fn flows(
    path: &Path,
    mapping: &Mapping,
    latest: Instant,
    sink: &mut impl Sink,
) -> Result<u64> {
    let failed = |source| access(path.display(), source);
    let mut file = File::open(path).map_err(failed)?;
    let mut magic = Vec::new();
    file.by_ref().take(4).read_to_end(&mut magic).map_err(failed)?;
    file.rewind().map_err(failed)?;
    if magic == PARQUET_MAGIC {
        return parquet_flows(file, mapping, latest, sink)
            .map_err(|error| name_file(error, path));
    }
    csv_flows(BufReader::new(file), mapping, latest, sink)
        .map_err(|error| name_file(error, path))
}

/// Imports a Parquet file.
pub fn parquet_flows(
    file: File,
    mapping: &Mapping,
    latest: Instant,
    sink: &mut impl Sink,
) -> Result<u64> {
    parquet::flows(file, mapping, latest, sink)
}

/// Imports text with separated columns and a header line, already decompressed.
pub fn csv_flows(
    text: impl Read,
    mapping: &Mapping,
    latest: Instant,
    sink: &mut impl Sink,
) -> Result<u64> {
    csv::flows(text, mapping, latest, sink)
}

/// Tells an error which file it is about.
fn name_file(error: Error, path: &Path) -> Error {
    match error {
        Error::Import { reason, .. } => Error::Import { path: path.to_owned(), reason },
        other => other,
    }
}

/// An error about a file whose name the caller knows.
fn unusable(reason: impl std::fmt::Display) -> Error {
    Error::Import {
        path: Path::new("the table").to_owned(),
        reason: reason.to_string(),
    }
}

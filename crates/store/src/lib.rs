//! The lake: Delta Lake tables of Parquet files, and the import of foreign flow tables.
//!
//! ```text
//! Batch ─► append ─► Delta log + Parquet + state ─► snapshot ─► the census engine
//! foreign Parquet, CSV ─► import ─► Flow     └ read ─► Coverage, Observation, …
//! ```
//!
//! **Invariant:** the same input twice changes nothing, whatever its name or compression; a
//! crash leaves all of an append or none of it. Nothing here knows SQL or what a count means.

mod ahead;
mod backup;
mod batch;
pub mod by_address;
mod checkpoint;
mod error;
mod files;
pub mod fingerprint;
mod forget;
pub mod import;
mod kept;
mod lake;
mod log;
mod maintain;
mod object;
mod pseudonyms;
mod read;
mod rewrite;
mod rows;
pub mod schema;
mod snapshot;
pub mod state;

pub use ahead::Ahead;
pub use backup::BackedUp;
pub use batch::{Appended, Batch, Published, RunRecord};
pub use error::{Error, Result};
pub use fingerprint::Fingerprint;
pub use forget::{Forgetting, Forgotten};
pub use lake::Lake;
pub use log::FORMAT_VERSION;
pub use maintain::{Beside, Compacted, Upgraded, Vacuumed};
pub use pseudonyms::{Pseudonymised, Pseudonyms};
pub use schema::Table;
pub use snapshot::{DataFile, Snapshot};

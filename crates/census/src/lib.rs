//! Counting: distinct addresses and organisations, panels, coverage, and all disclosure
//! control.
//!
//! ```text
//! lake ─► provider ─► evidence ─┬─► unique ─► Census ─► disclosure ─► Release
//! catalog, calendar ─►          └─► panel  ─► Panel
//! holders ─► tenure ─►
//! ```
//!
//! **Invariant:** only this crate and the binary link the engine (Apache `DataFusion`); it
//! knows neither packets nor HTTP, and it writes nothing.

mod counter;
pub mod coverage;
pub mod disclosure;
mod error;
mod evidence;
mod panel;
mod provider;
mod read;
mod session;
mod sql;
mod tenure;
mod unique;
#[cfg(test)]
mod world;

pub use counter::Counter;
pub use datafusion::arrow::array::RecordBatch;
pub use disclosure::{Internal, Ledger, Public, Withheld};
pub use error::{Error, Result};
pub use session::{MEMORY_BYTES, Settings};

//! Counting: distinct addresses and organisations, panels, coverage, and all disclosure
//! control.
//!
//! ```text
//! lake ─► clients ─┬─► unique ─► Census ─► disclosure ─► Release
//! catalog ─► evidence ─► └─► panel  ─► Panel
//! holders ─► holding ─►
//! clients, days ─► operator ─► Partial ─► (another machine) ─► unique ─► Census
//! lake ─► provider, made, attributed ─► tables ─► sql (the operator's own questions)
//! ```
//!
//! **Invariant:** only this crate and the binary link the engine (Apache `DataFusion`); it
//! knows neither packets nor HTTP, and it writes nothing.

mod attributed;
mod clients;
mod contacts;
mod counted;
mod counter;
pub mod coverage;
pub mod disclosure;
mod distinct;
mod error;
mod evidence;
mod holding;
mod made;
mod operator;
mod panel;
mod partial;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod private;
mod provider;
mod read;
#[cfg(test)]
mod replaced;
mod session;
#[cfg(test)]
mod slt;
mod sql;
mod tables;
mod unique;
#[cfg(test)]
mod world;

pub use contacts::Contacts;
pub use counter::Counter;
pub use datafusion::arrow::array::RecordBatch;
pub use disclosure::{Internal, Ledger, Public, Withheld};
pub use error::{Error, Result};
pub use operator::{CountExec, Opened, Opener, Planned, said};
pub use session::{MEMORY_BYTES, Settings};

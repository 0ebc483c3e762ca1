//! Pages, report, figures and HTTP: what a reader sees.
//!
//! ```text
//! Release, ReleasedEstimate, Timeline, Coverage ─► figure ─┬► report  (files)
//!                                                └► tables ─┴► serve   (HTTP)
//! ```
//!
//! **Invariant:** nothing here knows the engine, an address or a packet: it shows only
//! numbers that passed a disclosure rule.

mod act;
pub mod assessment;
mod country;
pub mod face;
mod figure;
pub mod finding;
pub mod knowledge;
mod number;
pub mod organisation;
pub mod publication;
pub mod report;
pub mod serve;
pub mod tables;

pub use country::country_codes;
pub use figure::DrawError;
pub use report::{Report, Written};
pub use serve::{Counts, CountsError, router};

use std::path::PathBuf;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A figure could not be drawn: a defect of this crate.
    #[error("cannot draw the figure {figure}")]
    Draw {
        /// Name of its file.
        figure: &'static str,
        /// Why.
        source: DrawError,
    },
}

//! What an act did: pure functions over [`model::panel::Panel`]s.
//!
//! In the order of an assessment:
//! * [`window`]: two windows of equal length, or a refusal;
//! * [`activity`]: which organisations were active in which window;
//! * [`removal`]: cohort removal and net change, side by side;
//! * [`retention`]: the baseline cohort month by month;
//! * [`interval`]: Wilson intervals; [`bootstrap`]: resampling whole families;
//! * [`regression`]: least squares and counts; [`series`]: an act in a series of points;
//! * [`comparison`]: the touched against the untouched;
//! * [`occupancy`]: use that is not always seen;
//! * [`imputation`]: the same estimate on several draws of who held an address.
//!
//! **Invariant:** nothing here knows addresses, SQL, files, async or Arrow, and every
//! random draw comes from a seed that the caller passes in. Every before/after figure
//! says that visibility is not separated from usage; only [`occupancy::weekly`] separates
//! them, and only where controls let it.
//!
//! [`model::panel::Panel`]: tidegauge_model::panel::Panel

pub mod activity;
pub mod bootstrap;
pub mod comparison;
pub mod imputation;
pub mod interval;
pub mod occupancy;
pub mod regression;
pub mod removal;
pub mod retention;
mod search;
pub mod series;
pub mod window;

pub use activity::{Active, Stratify};
pub use bootstrap::Bootstrap;
pub use window::{UnequalWindows, Windows};

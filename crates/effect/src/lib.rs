//! What an act did: pure functions over [`model::panel::Panel`]s.
//!
//! In the order of an assessment:
//! * [`window`]: two windows of equal length, or a refusal;
//! * [`activity`]: which organisations were active in which window;
//! * [`removal`]: cohort removal and net change, side by side;
//! * [`retention`]: the baseline cohort month by month;
//! * [`interval`], [`proportion`]: proportions, differences, rates, families of tests; [`bootstrap`]: resampling whole families;
//! * [`regression`]: least squares and counts; [`series`]: an act in a series of points;
//! * [`comparison`]: the touched against the untouched;
//! * [`survival`]: how long use lasts, and where those who left went;
//! * [`occupancy`]: use that is not always seen; [`noise`]: what is seen and is no use;
//! * [`unseen`]: what no vantage saw; [`substitution`]: what replaced the product;
//! * [`forecast`]: how long the rest will last; [`specification`]: what choices change;
//! * [`attribution`]: the error of not knowing whose an address was; [`imputation`]: the same
//!   estimate on several draws of it;
//! * [`assessment`]: all of them asked about one act, with checks and the answer in sentences.
//!
//! **Invariant:** nothing here knows addresses, SQL, files, async or Arrow, and every
//! random draw comes from a seed that the caller passes in. Every before/after figure
//! says that visibility is not separated from usage; only [`occupancy::weekly`] separates
//! them, and only where controls let it.
//!
//! [`model::panel::Panel`]: tidegauge_model::panel::Panel

pub mod activity;
pub mod assessment;
pub mod attribution;
pub mod bootstrap;
pub mod comparison;
pub mod forecast;
pub mod imputation;
pub mod interval;
pub mod noise;
pub mod occupancy;
pub mod proportion;
pub mod regression;
pub mod removal;
pub mod retention;
mod search;
pub mod series;
pub mod specification;
mod student;
pub mod substitution;
pub mod survival;
pub mod unseen;
pub mod window;

pub use activity::{Active, Stratify};
pub use bootstrap::Bootstrap;
pub use window::{UnequalWindows, Windows};

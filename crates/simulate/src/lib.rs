//! Worlds with known truth, written as real telemetry.
//!
//! ```text
//! targets ─► calibrate ─► world ──────────────► traffic ─► write ─► flows/ ipfix/ dnstap/ zeek/
//! Params  ─┘   (hazard,    (organisation,        noise    (spill)     registry/ vantages/
//!          sight, detect)   consumer, space)                └─► tally ─► truth/
//! ```
//!
//! A world is a synthetic 2024 in which the *observed* counts meet the published ones, for
//! one of six reasons ([`Story`]):
//! [`targets`] has them with their sources, [`expected`] what the world was solved for,
//! [`tally`] what a perfect counter finds, [`write`] the files, [`Replicates`] the panels that
//! an analysis would make of many of them.
//!
//! **Invariant:** equal parameters give equal bytes, and a smaller world has the first
//! members of each group of a larger one, with the same fates and addresses. The encoders
//! share no code with any decoder; nothing here knows the catalog or an estimator.

mod calendar;
mod calibrate;
mod chance;
mod consumer;
mod country;
mod detect;
mod dnstap;
mod error;
mod flows;
mod hazard;
mod ipfix;
mod noise;
mod organisation;
mod panel;
mod params;
mod registry;
mod score;
mod server;
mod sight;
mod space;
mod spill;
mod tally;
pub mod targets;
mod traffic;
mod truth;
mod vantages;
mod world;
mod write;
mod zeek;

pub use error::Error;
pub use panel::{Replicate, Replicates};
pub use params::{
    Burst, Carrier, Cause, CountryShape, CourseName, CourseShape, Courses,
    DEFAULT_SEED, Endpoints, Exchange, Families, Noise, Params, RegistryErrors,
    SectorShape, Story, Substitution, Targets,
};
pub use score::{Estimand, Line, Score, Summary, Verdict, score};
pub use tally::{Addresses, Comparison, Group, Tally, expected, tally};
pub use write::{Progress, Written, write};

//! The nouns of Tidegauge and their invariants, in the order the data flows.
//!
//! ```text
//! Flow ─► Contact ─► Sighting ─► Cell / Panel ─► Estimate ─► Finding
//!   ├ Loss, Answer     └ Coverage (with its Footprint)
//!   └ Resolution: a look-up without a client; kept, never counted as one
//! ```
//!
//! **Invariant:** nothing here does I/O, reads the clock, is async or knows Arrow.
//! Text files (`policies/`, `sectors/`, `vantages/`) are read from a string slice.

pub mod address;
pub mod attribution;
pub mod contact;
pub mod count;
pub mod coverage;
pub mod endpoint;
pub mod estimate;
pub mod finding;
pub mod flow;
pub mod loss;
pub mod name;
pub mod observation;
pub mod organisation;
pub mod panel;
pub mod policy;
pub mod pseudonym;
pub mod resolution;
pub mod sector;
pub mod sighting;
pub mod time;

pub mod vantage;
pub mod visibility;

pub use address::{Address, Asn, Client, Prefix};
pub use attribution::{Attribution, Holders, NetworkKind, Run, Shared, Tenure};
pub use contact::{Contact, Grade, Signal};
pub use coverage::{Coverage, CoverageSummary, Exported, Footprint};
pub use endpoint::{Confidence, Endpoint, Pattern, Role, Weight};
pub use flow::{Answer, Flow, NameOrigin, Protocol, ServerName, Volume};
pub use loss::{Loss, Reason};
pub use name::{
    EndpointId, OrgId, PolicyId, ProductId, SectorId, SiteId, SourceId, VantageId,
};
pub use observation::{Gap, Observation, Standing};
pub use organisation::{Country, Organisation};
pub use resolution::{Resolution, ResolvedDay};
pub use sector::{Sector, Sectors};
pub use sighting::Sighting;
pub use time::{Day, DayRange, Instant, Month, Week};
pub use vantage::Vantage;

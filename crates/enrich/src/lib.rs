//! From flows to sightings, and from addresses to holders, in the order the data flows.
//!
//! ```text
//! Flow ─► catalog (what to look for) ─► contact (Sighting, Coverage) ─► the lake
//!         atlas   (who held an address when) ─► Attribution
//!         score   (how much a sighting proves)
//!         pseudonym (what stands for a client whose address is no longer kept)
//! ```
//!
//! **Invariant:** nothing here knows a capture format, Parquet or a count; a flow is
//! matched by what it says, and what it does not say is never made up.

#![warn(clippy::indexing_slicing, clippy::as_conversions)]

pub mod atlas;
pub mod built_in;
pub mod catalog;
pub mod contact;
pub mod index;
pub mod pseudonym;
pub mod score;

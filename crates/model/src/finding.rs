//! Exposure of one organisation or asset.
//!
//! **Invariant:** a finding says what was seen and when, never that a rule was broken.

use serde::Serialize;

use crate::{Day, ProductId};

/// What is known about one row of a portfolio and one product.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Stable id: the same row and product give the same id on every run.
    pub id: String,
    /// Name of the portfolio row.
    pub subject: String,
    /// The product.
    pub product: ProductId,
    /// Where the exposure stands.
    pub state: FindingState,
    /// First day of contact.
    pub first_seen: Option<Day>,
    /// Last day of contact.
    pub last_seen: Option<Day>,
    /// Distinct days of contact.
    pub days: u32,
    /// Distinct client addresses.
    pub addresses: u64,
    /// What was seen, in words, strongest first.
    pub evidence: Vec<String>,
    /// 0 to 1.
    pub confidence: f32,
}

/// Where an exposure stands at the end of the days looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// Seen in the last 28 days.
    InContact,
    /// Seen before, not in the last 28 days.
    NoLongerSeen,
    /// Never seen although its networks were in the footprint.
    NotSeen,
    /// Its networks were never in the footprint, so nothing can be said.
    NotVisible,
    /// The row gives nothing that can be matched (a domain alone).
    NotCheckable,
}

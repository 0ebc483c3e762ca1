//! Exposure of one organisation or asset.
//!
//! **Invariant:** a finding says what was seen and when, never that a rule was broken.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::endpoint::word;
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

word! {
    /// Where an exposure stands at the end of the days looked at. The first six are states
    /// of a finding; the others say that there is none, and why.
    FindingState {
        /// Seen in the last four weeks.
        Open = "open",
        /// Seen before, then not for four weeks. That it is gone is not shown.
        Quiet = "quiet",
        /// Not seen for so many weeks in which it would have been that it is gone.
        VerifiedRemoved = "verified_removed",
        /// Seen again after it was quiet or verified removed.
        Reappeared = "reappeared",
        /// Somebody says that it is wrong, and nobody has decided yet.
        Disputed = "disputed",
        /// Decided: what was seen is not the row's.
        NotOurs = "not_ours",
        /// Never seen although its networks were in the footprint.
        NotSeen = "not_seen",
        /// Its networks were never in the footprint, so nothing can be said.
        NotVisible = "not_visible",
        /// The row gives nothing that can be matched (a domain alone).
        NotCheckable = "not_checkable",
    }
}

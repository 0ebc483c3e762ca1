//! A flow whose responder matched an endpoint.
//!
//! **Invariant:** a sampled or one-way flow never proves a mere attempt: what was not
//! seen may have happened. Such contacts are `indeterminate`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::endpoint::word;
use crate::{Client, EndpointId, Instant, Volume};

/// One flow to an endpoint of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Who.
    pub client: Client,
    /// To what.
    pub endpoint: EndpointId,
    /// How the endpoint was recognised.
    pub grade: Grade,
    /// What the flow proves.
    pub signal: Signal,
    /// First packet.
    pub start: Instant,
    /// Last packet.
    pub end: Instant,
    /// From client to endpoint, if known.
    pub sent: Option<Volume>,
    /// From endpoint to client, if known.
    pub received: Option<Volume>,
    /// Union of TCP flags, if known.
    pub tcp_flags: Option<u8>,
    /// One packet in so many.
    pub sampling: std::num::NonZeroU32,
}

word! {
    /// How an endpoint was recognised, weakest first.
    Grade {
        /// By an exclusive address.
        Address = "address",
        /// By a name the client learnt from DNS, within its time to live.
        Learnt = "learnt",
        /// By a name in the flow itself.
        Name = "name",
    }
}

word! {
    /// What a contact, or a day's contacts, prove; weakest first.
    Signal {
        /// The name was looked up.
        Resolved = "resolved",
        /// Something was sent; too little was seen to say more (sampled, one-way).
        Indeterminate = "indeterminate",
        /// A connection was tried and no update can have been served over it.
        Attempted = "attempted",
        /// Enough came back to be an update.
        Served = "served",
    }
}

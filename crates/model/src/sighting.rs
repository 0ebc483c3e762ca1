//! The grain that is stored.
//!
//! **Invariant:** within a batch, one sighting for each client × endpoint × grade ×
//! signal × vantage × UTC day. Merging two batches sums counts and unites times.

use crate::{Client, Day, EndpointId, Grade, Instant, Signal, VantageId};

/// The contacts of one client with one endpoint on one day, as seen from one vantage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Where it was seen.
    pub vantage: VantageId,
    /// Who.
    pub client: Client,
    /// To what; product and role are joined from the dated catalog when counting.
    pub endpoint: EndpointId,
    /// How it was recognised.
    pub grade: Grade,
    /// What it proves.
    pub signal: Signal,
    /// UTC day of the first packet of each contact.
    pub day: Day,
    /// How many contacts, at least 1, as seen (not scaled by sampling).
    pub contacts: u64,
    /// Sum over the contacts that told it; `None` if none did.
    pub bytes_sent: Option<u64>,
    /// Sum over the contacts that told it; `None` if none did.
    pub packets_sent: Option<u64>,
    /// Sum over the contacts that told it; `None` if none did.
    pub bytes_received: Option<u64>,
    /// Sum over the contacts that told it; `None` if none did.
    pub packets_received: Option<u64>,
    /// Union of TCP flags; 0 if none were told.
    pub tcp_flags: u8,
    /// The coarsest sampling among the contacts: one packet in so many.
    pub sampling: u32,
    /// First packet of the first contact.
    pub first: Instant,
    /// Last packet of the last contact.
    pub last: Instant,
    /// Bit `h` is set if a contact began in UTC hour `h`.
    pub hours: u32,
}

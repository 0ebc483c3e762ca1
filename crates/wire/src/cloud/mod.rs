//! Flow logs of clouds: AWS, Azure and Google.
//!
//! **Invariant:** every record ends as one flow, as part of one, as one loss, or says itself
//! that there was nothing to record; what both ends of a network tell counts once. Formats
//! that only come as columns (Parquet) are not read here.

pub mod aws;
pub(crate) mod azure;
pub(crate) mod both_ends;
pub(crate) mod google;

mod tuples;

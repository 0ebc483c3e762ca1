//! Flow logs of clouds: AWS.
//!
//! **Invariant:** every record ends as one flow, as one loss, or says itself that there was
//! nothing to record. Formats that only come as columns (Parquet) are not read here.

pub mod aws;

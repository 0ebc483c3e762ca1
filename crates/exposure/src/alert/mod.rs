//! Alerts.
//!
//! **Invariant:** none yet.

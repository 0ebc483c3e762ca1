//! Module catalog.

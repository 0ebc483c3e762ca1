//! Module built_in.

//! Module score.

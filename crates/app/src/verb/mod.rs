//! One file a verb, in the order of the pipe.

pub(crate) mod assess;
pub(crate) mod atlas;
pub(crate) mod catalog;
pub(crate) mod census;
pub(crate) mod census_diff;
pub(crate) mod collect;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod exposure;
pub(crate) mod ingest;
pub(crate) mod lake;
pub(crate) mod manual;
pub(crate) mod mcp;
pub(crate) mod panel;
pub(crate) mod private;
pub(crate) mod releases;
pub(crate) mod report;
pub(crate) mod retention;
pub(crate) mod serve;
pub(crate) mod simulate;
pub(crate) mod sql;
pub(crate) mod watch;

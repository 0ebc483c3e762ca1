//! Counting on several machines. Its code is in a build only if that has the feature
//! `cluster`, since it links another engine; the flags are the same in all.
//!
//! **Invariant:** a build without a cluster never counts here what was to be counted there.

#[cfg(not(feature = "cluster"))]
mod absent;
#[cfg(feature = "cluster")]
mod linked;
#[cfg(feature = "cluster")]
mod opening;

#[cfg(not(feature = "cluster"))]
pub(crate) use absent::{Cluster, run};
#[cfg(feature = "cluster")]
pub(crate) use linked::{Cluster, run};

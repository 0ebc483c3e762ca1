//! The door for clients of `PostgreSQL`. Its code is in a build only if that has the feature
//! `postgres`, since it turns on features of the engine that nothing else needs; the flag is
//! the same in all.
//!
//! **Invariant:** a build without the door never serves as if it had been opened.

#[cfg(not(feature = "postgres"))]
mod absent;
#[cfg(feature = "postgres")]
mod linked;

#[cfg(not(feature = "postgres"))]
pub(super) use absent::open;
#[cfg(feature = "postgres")]
pub(super) use linked::open;

use std::net::SocketAddr;
use std::sync::Arc;

use tidegauge_publish::serve::Access;

use super::tls;
use crate::live::Live;
use crate::opened::Opened;

/// What a door is made of.
#[cfg_attr(
    not(feature = "postgres"),
    expect(dead_code, reason = "only a build with the door reads it")
)]
pub(super) struct Plan<'a> {
    pub(super) listen: SocketAddr,
    pub(super) opened: &'a Opened,
    pub(super) tls: Option<tls::Files>,
    pub(super) visitors: Visitors,
}

/// Who comes, and from what they are answered.
#[cfg_attr(
    not(feature = "postgres"),
    expect(dead_code, reason = "only a build with the door reads it")
)]
pub(super) enum Visitors {
    /// Everybody on this machine; the operator, if it is internal.
    All { live: Arc<Live>, internal: bool },
    /// By token.
    Gated { public: Arc<Live>, internal: Arc<Live>, access: Access },
}

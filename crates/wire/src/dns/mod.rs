//! DNS: its messages, and the telemetry of its servers.
//!
//! ```text
//! packets ──────────► message ──► pcap
//!                        │
//! fstrm (frames) ─► dnstap ─► pairs ─► look_up ─┬─► Flow, Answer: a client asked
//!                                               └─► Resolution: somebody asked
//! ```
//!
//! **Invariant:** a resolver's own address is not a client. Who asked is the originator of a
//! flow only where the telemetry says that a client asked; elsewhere a network told by EDNS
//! client subnet (RFC 7871) is kept as a network, or the client is unknown.

pub mod dnstap;
pub mod message;

mod fstrm;
mod look_up;
mod pairs;
pub(crate) mod passive;
pub(crate) mod querylog;

/// Port of DNS over UDP and TCP (RFC 1035, 4.2).
pub(crate) const DNS_PORT: u16 = 53;

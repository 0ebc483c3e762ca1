//! Flow export: NetFlow, IPFIX and sFlow, datagram by datagram.
//!
//! **Invariant:** the books close. Every record of a datagram ends as one or two flows, or
//! in a [`Loss`](tidegauge_model::Loss).

//! Alerts: rules → messages, signatures, and when to try again.
//!
//! * [`rules`]: the file that says who is told what;
//! * [`message`]: what was told of findings → messages for channels;
//! * [`mail`], [`syslog`], [`chat`], [`webhook`]: the forms of a message;
//! * [`delivery`]: what was sent, what failed, and when it is tried again.
//!
//! **Invariant:** nothing is sent here and no clock is read. A change of state is one
//! message on one channel, under one key, however often this is asked; no message has an
//! address of a client in it.

pub mod chat;
pub mod delivery;
pub mod mail;
pub mod message;
pub mod rules;
pub mod syslog;
pub mod webhook;

pub use delivery::{Deliveries, Delivery, Due, Outcome};
pub use message::{Message, messages};
pub use rules::{Channel, Rules};
pub use webhook::Secret;

#[cfg(test)]
mod tests;

//! Every decoder: bytes to [`Flow`]s, [`Answer`]s and [`Loss`]es, in the order the data goes.
//!
//! ```text
//! bytes ─► inflate ─► format ─► zeek, eve ─► join ┐
//!          (gzip)     (what     pcap ─────────────┼─► Decoder ─► Sink: Flow, Answer,
//!                      is it)   dns ──────────────┘              Resolution, Loss
//! ```
//!
//! **Invariant:** nothing that came from outside can make this crate panic; what cannot be
//! used is a [`Loss`] beside the good records. Products, organisations, files and sockets
//! are not known here.
// A test may index: it panics where it should fail.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::as_conversions))]

pub mod cloud;
pub mod decoder;
pub mod dns;
pub mod export;
pub mod format;
pub mod inflate;
pub mod join;
pub mod nfcapd;
pub mod pcap;
pub mod zeek;

mod argus;
mod cell;
mod eve;
mod lines;
mod number;
mod object;
mod objects;
mod pass;
mod protocol;
mod scan;
mod stamp;
mod way;

pub use decoder::Decoder;
pub use format::{Format, recognise};
pub use inflate::Inflate;

use tidegauge_model::{Answer, Flow, Loss, Resolution};

/// Takes what a decoder returns, one record at a time.
pub trait Sink {
    /// A flow.
    fn flow(&mut self, flow: Flow);
    /// A DNS answer that a client received.
    fn answer(&mut self, answer: Answer);
    /// A look-up whose client is unknown. A sink that keeps no account of these, such as
    /// one of a format that has none, need not say so.
    fn resolution(&mut self, resolution: Resolution) {
        drop(resolution);
    }
    /// A piece of input that could not be used.
    fn loss(&mut self, loss: Loss);
}

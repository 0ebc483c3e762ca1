//! Which of *our* assets and suppliers are still in contact with a product's servers.
//!
//! * [`portfolio`]: the user's list of assets and suppliers;
//! * [`matching`]: which rows a client belongs to, and why;
//! * [`fact`], [`ledger`]: what is known of a finding, kept for ever;
//! * [`life`]: facts → the state a finding is in, and how it came there;
//! * [`update`]: evidence → new facts;
//! * [`dossier`]: a finding with all its evidence, for readers;
//! * [`out`]: dossiers in the forms that other programs and people take;
//! * [`alert`]: rules → messages.
//!
//! **Invariant:** nothing here knows the engine or packets, reads a clock or a file. A row
//! that gives nothing to match by is "not checkable", never guessed from its domain; a row
//! whose networks no vantage ever saw is "not visible", never "clean".

pub mod alert;
pub mod chance;
pub mod dossier;
pub mod fact;
pub mod id;
pub mod ledger;
pub mod life;
pub mod mask;
pub mod matching;
pub mod out;
pub mod portfolio;
pub mod remedy;
#[cfg(test)]
mod sample;
pub mod update;

pub use dossier::{Dossier, dossiers};
pub use ledger::Ledger;
pub use portfolio::{Portfolio, Subject};
pub use update::{Evidence, Looked, Settings, Update, update};

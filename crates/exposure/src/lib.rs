//! Which of *our* assets and suppliers are still in contact with a product's servers.
//!
//! * [`portfolio`]: the user's list of names, prefixes and AS numbers;
//! * [`matching`]: which rows an address belongs to;
//! * [`findings`]: one finding for each row and product, with its state.
//!
//! **Invariant:** nothing here knows the engine or packets. A row that gives neither
//! prefixes nor AS numbers is "not checkable", never guessed from its domain; a row whose
//! networks no vantage ever saw is "not visible", never "clean".

pub mod findings;
pub mod matching;
pub mod portfolio;

pub use findings::{Evidence, Settings, findings};
pub use portfolio::{Portfolio, Subject};

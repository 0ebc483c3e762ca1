//! Tests of the lake as others see it.

mod faults;
mod format;
mod import;
mod lake;
mod made;
mod race;
mod roundtrip;

//! Tests of the lake as others see it.

mod faults;
mod import;
mod lake;
mod made;
mod race;
mod roundtrip;

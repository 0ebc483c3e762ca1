//! Tests of the lake as others see it.

#[cfg(test)]
mod ahead;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod forget;
#[cfg(test)]
mod format;
#[cfg(test)]
mod import;
#[cfg(test)]
mod lake;
#[cfg(test)]
mod made;
#[cfg(test)]
mod maintain;
#[cfg(test)]
mod past;
#[cfg(test)]
mod race;
#[cfg(test)]
mod roundtrip;
#[cfg(test)]
mod state;

//! Tests of the crate from outside, in one binary.

#[cfg(test)]
mod report;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod serve;

//! Tests of the crate from outside, in one binary.

mod report;
mod sample;
mod serve;

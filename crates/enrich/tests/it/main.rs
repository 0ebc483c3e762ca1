//! The data files that the project ships, and the way from flows to sightings.

mod catalog;
mod observer;
mod policies;

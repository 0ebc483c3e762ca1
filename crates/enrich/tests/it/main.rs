//! The data files that the project ships, and the way from flows to sightings.

#[cfg(test)]
mod atlas;
#[cfg(test)]
mod atlas_kinds;
#[cfg(test)]
mod atlas_real;
#[cfg(test)]
mod atlas_sources;
mod attribution;
#[cfg(test)]
mod catalog;
#[cfg(test)]
mod observer;
#[cfg(test)]
mod policies;

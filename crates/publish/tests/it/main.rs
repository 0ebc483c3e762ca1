//! Tests of the crate from outside, in one binary.

#[cfg(test)]
mod drawings;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod interface;
#[cfg(test)]
mod made;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod report;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod serve;
#[cfg(test)]
mod views;

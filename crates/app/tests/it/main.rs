//! The whole binary: what is typed, what comes out, and what it ends with.
//!
//! **Invariant:** every test has a lake of its own in a temporary folder; standard output
//! holds data and nothing else.

#[cfg(test)]
mod alerts;
#[cfg(test)]
mod assistant;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
#[cfg(feature = "cluster")]
mod cluster;
#[cfg(test)]
#[cfg(not(feature = "cluster"))]
mod cluster_absent;
#[cfg(test)]
mod collect;
#[cfg(test)]
mod explained;
#[cfg(test)]
mod house;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod maps;
#[cfg(test)]
mod others;
#[cfg(test)]
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(test)]
#[cfg(not(feature = "postgres"))]
mod postgres_absent;
#[cfg(test)]
mod real_input;
#[cfg(test)]
mod registers;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod run;
#[cfg(test)]
mod served;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod whole_way;
#[cfg(test)]
mod worlds;

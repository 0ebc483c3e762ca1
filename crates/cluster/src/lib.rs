//! A cluster of machines that count: scheduler, executors, and the client of both.
//!
//! ```text
//! census plans ─► client ─► scheduler ─┬─► executor ─► rows ─┐
//!                                      └─► executor ─► rows ─┴─► census puts together
//! ```
//!
//! The runtime is Apache Ballista, as it is; nothing here schedules, retries or moves rows.
//! What is ours is that a plan with [`tidegauge_census::CountExec`] can travel ([`codec`]),
//! how the processes are started, and what their errors say.
//!
//! **Invariant:** the plan is made by the client, with the planner of a count without a
//! cluster, and submitted ready. Scheduler and executors make no plan of their own, so that
//! both ways give the same counts.
//!
//! What the scheduler knows is in its memory: a restart loses the counts under way, which
//! their clients are told, and nothing else; executors register again by themselves.

mod client;
mod codec;
mod error;
mod executor;
mod scheduler;

pub use client::{Address, PORTIONS, census};
pub use error::{Error, Result};
pub use executor::{Executor, execute};
pub use scheduler::{Scheduler, schedule};

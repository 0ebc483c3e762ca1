//! Why a cluster did not do what was asked; variants by who must act.

use ballista_core::error::BallistaError;

/// What goes wrong with a cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Whoever typed it must act.
    #[error("`{text}` is not the address of a cluster\nhint: write df://HOST:PORT")]
    Address {
        /// As typed.
        text: String,
    },
    /// Whoever runs the cluster must act.
    #[error(
        "no scheduler answers at {address}: {said}\nhint: `tidegauge cluster scheduler` \
         starts one; without --cluster the count is made here"
    )]
    Unreachable {
        /// Where it should be.
        address: String,
        /// What the system said.
        said: std::io::Error,
    },
    /// Whoever runs the cluster must act.
    #[error(
        "the scheduler at {address} has had no executor for {seconds} seconds\nhint: \
         `tidegauge cluster executor --scheduler {address}` starts one"
    )]
    Deserted {
        /// Where it is.
        address: String,
        /// How long the question waited.
        seconds: u32,
    },
    /// An executor could not count; its words say who must act.
    #[error("on the cluster at {address}: {said}")]
    Refused {
        /// Where the scheduler is.
        address: String,
        /// What the executor said.
        said: String,
    },
    /// Whoever runs the cluster must act: it took the question and did not answer it.
    #[error(
        "the cluster at {address} did not answer: {reason}\nhint: ask again; the logs of \
         scheduler and executors say more, and without --cluster the count is made here"
    )]
    Failed {
        /// Where it is.
        address: String,
        /// What it said.
        reason: String,
    },
    /// What came back could not be put together.
    #[error(transparent)]
    Census(#[from] tidegauge_census::Error),
    /// Whoever starts the process must act.
    #[error("cannot {doing} at {address}")]
    Start {
        /// What was tried.
        doing: &'static str,
        /// Where.
        address: String,
        /// What went wrong.
        #[source]
        source: Box<BallistaError>,
    },
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

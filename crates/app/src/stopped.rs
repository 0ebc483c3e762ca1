//! The end that the outside asks for.
//!
//! **Invariant:** SIGTERM and SIGINT are one: as the first process of a container a program gets
//! the one or the other, and what it does not catch is dropped.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

/// From now on, catches SIGTERM and SIGINT; what is returned waits for one.
pub(crate) fn stopped() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate =
        signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    let mut interrupt =
        signal(SignalKind::interrupt()).context("waiting for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

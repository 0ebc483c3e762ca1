//! A build without the door: says so.

use super::Plan;

/// Fails.
pub(in crate::verb::serve) async fn open(plan: Plan<'_>) -> anyhow::Result<()> {
    let listen = plan.listen;
    anyhow::bail!(
        "cannot listen on {listen}: this program was built without the door for clients of \
         PostgreSQL (hint: build it with `cargo build --release -p tidegauge-app --features \
         postgres`)"
    )
}

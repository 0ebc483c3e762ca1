//! Serves the pages over a made-up lake, to look at them and to test them from outside.
//!
//! `cargo run -p tidegauge-publish --example made_up [ADDRESS:PORT]`. With an address of
//! port 0 the one taken is told on standard output. No engine is linked.

#![allow(unused_crate_dependencies, reason = "an example needs less than the tests")]

#[path = "../tests/it/made.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use all of it")]
mod made;
#[path = "../tests/it/sample.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use all of it")]
mod sample;

use std::io::Write;
use std::sync::Arc;

use tidegauge_publish::serve::router;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address =
        std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8090".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    writeln!(std::io::stdout(), "http://{}/", listener.local_addr()?)?;
    let pages = router(Arc::new(made::GOOD), made::settings());
    axum::serve(listener, pages).await
}

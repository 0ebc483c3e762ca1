//! The door for clients of `PostgreSQL`: `psql`, Grafana, `DBeaver`, Superset and whatever
//! else speaks its protocol (version 3), read-only.
//!
//! * `session`: what there is to read (`newest`: raw tables), `described` and `functions` what
//!   is said of it; `entry`: who comes in; `speaker`: the handlers that a connection is given;
//!   `guard`: which statements run; `dialect`: what clients write that the engine does not
//!   know; `refusal`: errors.
//!
//! **Invariant:** a statement that could change anything, or read anything but the tables of
//! its session, is refused before it runs. Raw tables are in the session of those alone who
//! may see what is internal.

mod described;
mod dialect;
mod entry;
mod functions;
mod guard;
mod newest;
mod refusal;
mod session;
mod speaker;

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion_postgres::DfSessionService;
pub use datafusion_postgres::pgwire::tokio::TlsAcceptor;
use datafusion_postgres::pgwire::tokio::process_socket;
use futures::future::BoxFuture;
use tokio::net::TcpStream;

use self::entry::Entry;
pub use self::entry::{Gate, Guest};
use self::speaker::Speaker;
use crate::{Counter, Result};

/// Key of what a column says in its metadata.
pub const COMMENT: &str = "comment";

/// Why the rows of a view could not be made.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Makes the rows of a view, of these parts alone; of all without.
pub type Rows = Arc<
    dyn Fn(
            Option<Vec<String>>,
        ) -> BoxFuture<'static, std::result::Result<RecordBatch, Failed>>
        + Send
        + Sync,
>;

/// A table of `public` that is made when it is read.
#[derive(Clone)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// What a row is.
    pub about: &'static str,
    /// Its columns; what each says is in its metadata, under [`COMMENT`].
    pub schema: SchemaRef,
    /// A column of texts and all its values, if rows of each can be made by themselves.
    pub parts: Option<(&'static str, Vec<String>)>,
    /// Makes its rows.
    pub rows: Rows,
}

/// The door.
#[derive(Clone)]
pub struct Door {
    speaker: Arc<Speaker>,
}

impl Door {
    /// A door at which everybody reads `views`, and the raw tables of `counter` if `raw`.
    pub async fn open(counter: &Counter, views: Vec<View>, raw: bool) -> Result<Self> {
        let everybody = kind(counter, views, raw).await?;
        Ok(Self::with(Speaker::new(Entry::Open, everybody, None)))
    }

    /// A door at which `gate` lets in by password: readers to the views `public`, others to
    /// `internal` and to the raw tables of `counter`. If `tls_only`, nobody is asked for a
    /// password in the clear.
    pub async fn gated(
        gate: Arc<dyn Gate>,
        counter: &Counter,
        public: Vec<View>,
        internal: Vec<View>,
        tls_only: bool,
    ) -> Result<Self> {
        let readers = kind(counter, public, false).await?;
        let analysts = kind(counter, internal, true).await?;
        Ok(Self::with(Speaker::new(
            Entry::Gated { gate, tls_only },
            readers,
            Some(analysts),
        )))
    }

    fn with(speaker: Speaker) -> Self {
        Self { speaker: Arc::new(speaker) }
    }

    /// Serves one connection until it ends.
    pub async fn serve(
        &self,
        socket: TcpStream,
        tls: Option<TlsAcceptor>,
    ) -> std::io::Result<()> {
        process_socket(socket, tls, Arc::clone(&self.speaker)).await
    }
}

/// What answers a kind of clients.
async fn kind(
    counter: &Counter,
    views: Vec<View>,
    raw: bool,
) -> Result<Arc<DfSessionService>> {
    let engine = counter.engine();
    session::session(engine, views, raw.then_some(counter))
        .await
        .map_err(engine.error("opening a session for clients"))
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

//! Why a count could not be made; variants by who must act.

use tidegauge_model::{EndpointId, ProductId};

use datafusion::error::DataFusionError;

/// What goes wrong when counting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lake could not be read. Whoever keeps the lake must act; the source says how.
    #[error(transparent)]
    Lake(#[from] tidegauge_store::Error),
    /// Whoever keeps the catalog must act.
    #[error(
        "the catalog has two entries `{endpoint}` that hold on the same day, so that a \
         contact would count twice\nhint: give one of them another id or other dates"
    )]
    Catalog {
        /// The id that occurs twice.
        endpoint: EndpointId,
    },
    /// Whoever asked must act.
    #[error("{what}\nhint: --window FIRST..LAST or --window YYYY-MM, once for each")]
    Windows {
        /// What is wrong with the windows of the question.
        what: String,
    },
    /// Whoever asked for the panel must act.
    #[error(
        "no endpoint of `{product}` in the catalog counts as use under these roles and \
         this weight\nhint: `tidegauge catalog list` shows products, roles and weights"
    )]
    NoEvidence {
        /// The product asked for.
        product: ProductId,
    },
    /// Whoever runs the program must act.
    #[error(
        "this count needs more memory than its limit of {limit_bytes} bytes\nhint: raise \
         the limit, or count fewer days or products at a time"
    )]
    Memory {
        /// The size of the pool.
        limit_bytes: usize,
        /// What the engine said.
        #[source]
        source: Box<DataFusionError>,
    },
    /// Whoever wrote the SQL must act: it would change something.
    #[error(
        "only queries are allowed here, and this would change something\nhint: begin with \
         SELECT, WITH, SHOW or EXPLAIN; the lake is changed with `ingest` and `lake` only"
    )]
    ReadOnly {
        /// What the engine said.
        #[source]
        source: Box<DataFusionError>,
    },
    /// Whoever wrote the SQL must act.
    #[error("this SQL cannot be run\nhint: `SHOW TABLES` lists what can be queried")]
    Sql {
        /// What the engine said.
        #[source]
        source: Box<DataFusionError>,
    },
    /// Whoever runs the cluster must act.
    #[error(
        "this plan cannot be used here: {reason}\nhint: client, scheduler and executors must \
         be the same version of this program"
    )]
    Plan {
        /// What is wrong with it.
        reason: String,
    },
    /// Whoever runs the executor must act; the source says how.
    #[error("cannot open the lake {lake} to count in it")]
    Unopened {
        /// Its URL.
        lake: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Whoever asked must ask again.
    #[error(
        "of {portions} portions of the count, {missing} came back missing or twice\nhint: \
         ask again; if it stays so, ask without the cluster"
    )]
    Portions {
        /// How many there are.
        portions: usize,
        /// How many of them are not there exactly once.
        missing: usize,
    },
    /// The engine failed on a query of ours; a bug, or a damaged file.
    #[error("the engine failed while {doing}")]
    Engine {
        /// What we were doing.
        doing: &'static str,
        /// What it said.
        #[source]
        source: Box<DataFusionError>,
    },
}

impl Error {
    /// Sorts what the engine said: out of memory, or a failure.
    pub(crate) fn engine(
        doing: &'static str,
        limit_bytes: usize,
    ) -> impl Fn(DataFusionError) -> Self {
        move |source| match source.find_root() {
            DataFusionError::ResourcesExhausted(_) => {
                Self::Memory { limit_bytes, source: Box::new(source) }
            }
            _ => Self::Engine { doing, source: Box::new(source) },
        }
    }
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

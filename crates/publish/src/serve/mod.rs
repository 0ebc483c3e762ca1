//! The observatory: pages and API over [`Counts`].
//!
//! * `page/`: the pages, a file each, in one layout;
//! * `api/`: the resources, a file each; `routes`, `param`, `openapi`: what there is to ask;
//! * `views/`: tables for other programs;
//! * `selection`, `desk`, `figures`, `compare`: what was asked, and the figures made of it;
//! * `gate`: tokens and clearance; `guard`, `kept`: headers, limits, tags and what is kept of
//!   answers.
//!
//! **Invariant:** a handler sees only what passed a disclosure rule.

mod answer;
mod api;
mod asked;
mod compare;
mod desk;
mod figures;
mod gate;
mod guard;
mod kept;
mod openapi;
mod page;
mod param;
mod part;
mod routes;
mod selection;
pub mod tools;
pub mod views;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tidegauge_model::count::{Dimension, Query, Release};
use tidegauge_model::estimate::ReleasedEstimate;
use tidegauge_model::policy::Timeline;
use tidegauge_model::{
    Country, Coverage, DayRange, Month, OrgId, PolicyId, ProductId, SectorId,
};

use crate::assessment::Assessed;
use crate::finding::{Export, Findings};
use crate::knowledge::Known;
use crate::organisation::{Dossier, Found};
use crate::publication::{Causes, Publication};
use crate::report::{self, Expansion, Synthetic};
use answer::{Problem, body};
pub use gate::{Access, Audited, Clearance, Digest, Record, Token, gated};
pub use guard::{Clock, RateLimit};
pub use openapi::{document, reference};

/// An answer that is being worked out.
pub type Answer<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, CountsError>> + Send + 'a>>;

/// Who answers. Every number it gives has passed a disclosure rule.
pub trait Counts: Send + Sync {
    /// The counts that `query` asks for.
    fn release<'a>(&'a self, query: &'a Query) -> Answer<'a, Release>;

    /// Cohort removal and net change between two windows.
    fn estimates<'a>(
        &'a self,
        asked: &'a Comparison,
    ) -> Answer<'a, Vec<ReleasedEstimate>>;

    /// Coverage of every vantage on `days`.
    fn coverage(&self, days: DayRange) -> Answer<'_, Vec<Coverage>>;

    /// Dated acts and events.
    fn timeline(&self) -> Answer<'_, Timeline>;

    /// What can be asked for.
    fn scope(&self) -> Answer<'_, Scope>;

    /// What counting rests on besides telemetry, tables of holders first.
    fn knowledge(&self) -> Answer<'_, Vec<Known>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// What was found about an act.
    fn assessment<'a>(&'a self, policy: &'a PolicyId) -> Answer<'a, Assessed> {
        let _ = policy;
        let why = "Acts are not assessed here.".to_owned();
        Box::pin(std::future::ready(Ok(Assessed::Absent(why))))
    }

    /// Organisations whose name or id has these words in it. For the operator alone.
    fn organisations<'a>(&'a self, words: &'a str) -> Answer<'a, Found> {
        let _ = words;
        Box::pin(std::future::ready(Err(CountsError::Internal)))
    }

    /// All that is known of one organisation; `None` if it is not known. For the operator
    /// alone.
    fn organisation<'a>(&'a self, id: &'a OrgId) -> Answer<'a, Option<Dossier>> {
        let _ = id;
        Box::pin(std::future::ready(Err(CountsError::Internal)))
    }

    /// What was published, oldest first.
    fn releases(&self) -> Answer<'_, Vec<Publication>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Why the figures of a release are other ones today. For the operator alone.
    fn causes<'a>(&'a self, release: &'a str) -> Answer<'a, Causes> {
        let _ = release;
        Box::pin(std::future::ready(Err(CountsError::Internal)))
    }

    /// What is known of the assets and suppliers of the operator, who alone may see it.
    fn findings(&self) -> Answer<'_, Arc<Findings>> {
        Box::pin(std::future::ready(Err(CountsError::Internal)))
    }

    /// All findings in a form that other programs take. For the operator alone.
    fn findings_as(&self, form: Export) -> Answer<'_, String> {
        let _ = form;
        Box::pin(std::future::ready(Err(CountsError::Internal)))
    }

    /// A number that changes whenever the lake does; `None` if that cannot be told, and
    /// then no answer is kept.
    fn version(&self) -> Pin<Box<dyn Future<Output = Option<u64>> + Send + '_>> {
        Box::pin(std::future::ready(None))
    }

    /// Set if eyeball addresses were simulated at a reduced scale.
    fn expansion(&self) -> Option<Expansion> {
        None
    }
}

/// Two windows to compare. **Invariant:** made by [`Comparison::new`], so they are
/// equally long and do not overlap.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Only these products; empty means all.
    pub products: Vec<ProductId>,
    /// One estimate for each value (country or sector) besides the one for all.
    pub by: Option<Dimension>,
    /// Only organisations of these countries; empty means all.
    pub countries: Vec<Country>,
    /// Only organisations of these sectors; empty means all.
    pub sectors: Vec<SectorId>,
    before: DayRange,
    after: DayRange,
}

impl Comparison {
    /// A comparison of all products, for all organisations; `None` unless the windows
    /// are equally long and `before` ends before `after` begins.
    pub fn new(before: DayRange, after: DayRange) -> Option<Self> {
        let fits = before.length_days() == after.length_days()
            && before.last() < after.first();
        fits.then_some(Self {
            products: Vec::new(),
            by: None,
            countries: Vec::new(),
            sectors: Vec::new(),
            before,
            after,
        })
    }

    /// The window before.
    pub fn before(&self) -> DayRange {
        self.before
    }

    /// The window after.
    pub fn after(&self) -> DayRange {
        self.after
    }
}

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Products with at least one sighting, and their names for readers.
    pub products: Vec<(ProductId, String)>,
    /// Countries with at least one organisation.
    pub countries: Vec<Country>,
    /// Sectors with at least one organisation, and their names for readers.
    pub sectors: Vec<(SectorId, String)>,
    /// The days that have coverage; `None` if the lake is empty.
    pub days: Option<DayRange>,
    /// The months to compare unless the reader asks for others; `None` for the first and
    /// the last of the period.
    pub compared: Option<(Month, Month)>,
    /// Acts whose windows before and after were covered, with the months of both.
    pub acts: Vec<(PolicyId, Month, Month)>,
}

impl Scope {
    fn product_name(&self, product: &ProductId) -> String {
        let found = self.products.iter().find(|p| p.0 == *product);
        found.map_or_else(|| product.to_string(), |p| p.1.clone())
    }

    fn sector_name(&self, sector: &SectorId) -> String {
        let found = self.sectors.iter().find(|s| s.0 == *sector);
        found.map_or_else(|| sector.to_string(), |s| s.1.clone())
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CountsError {
    /// The reader asked for something that is not counted, and can ask otherwise.
    #[error("{asked} cannot be counted")]
    Refused {
        /// What was asked.
        asked: String,
        /// What to ask instead.
        hint: String,
    },
    /// It is for the operator's eyes, and these pages are for everybody.
    #[error("that is not shown here")]
    Internal,
    /// The operator must look: the lake or the engine failed. Readers are told no more
    /// than that; whoever implements [`Counts`] logs the cause.
    #[error("the count failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Who may ask for pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    /// Everybody who reaches them.
    #[default]
    All,
    /// This machine alone: a request by any other name is refused.
    Here,
    /// Those who logged in, and can log out.
    Known,
}

/// What the operator decided about the pages.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Name and version of the program.
    pub program: String,
    /// Set if the data is simulated: every page says so.
    pub synthetic: Option<Synthetic>,
    /// The pages are for the operator alone: they name organisations.
    pub internal: bool,
    /// Findings are among them, for there is a portfolio.
    pub findings: bool,
    /// Who reads them.
    pub readers: Readers,
    /// Where readers find the pages, for citations: `https://example.org`. Without a
    /// slash at its end.
    pub site: Option<String>,
    /// Other sites whose pages may ask the API; none unless named.
    pub origins: Vec<String>,
    /// How often one address may ask; `None` for no limit.
    pub limit: Option<RateLimit>,
}

/// What every handler gets.
#[derive(Clone)]
struct Shared {
    counts: Arc<dyn Counts>,
    settings: Arc<Settings>,
    kept: Arc<kept::Kept>,
}

/// Pages, `/api/v1/…`, `/assets/…`, `/healthz`. All answer to GET and HEAD only. The rate
/// limit needs the addresses of those who ask: serve it with
/// `into_make_service_with_connect_info::<SocketAddr>()`.
pub fn router(counts: Arc<dyn Counts>, settings: Settings) -> Router {
    let limiter = Arc::new(guard::Limiter::new(settings.limit.clone()));
    let shared = Shared { counts, settings: Arc::new(settings), kept: Arc::default() };
    let mut router = page::routes()
        .route("/assets/page.css", get(style))
        .route("/assets/page.js", get(script))
        .route("/assets/icon.svg", get(icon));
    for route in routes::ROUTES {
        router = router.route(route.path, (route.open)());
    }
    router
        .fallback(page::nowhere)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(shared.clone(), kept::tagged))
        .layer(from_fn_with_state(limiter, guard::limited))
        .layer(from_fn_with_state(shared.clone(), guard::from_here))
        .layer(from_fn_with_state(shared.clone(), guard::guarded))
        .with_state(shared)
}

/// Alive: says nothing about the lake, so that a slow count does not look like a death.
async fn healthz() -> &'static str {
    "ok\n"
}

async fn style() -> Response {
    body("text/css; charset=utf-8", report::style_sheet())
}

async fn script() -> Response {
    body("text/javascript; charset=utf-8", include_str!("../../assets/page.js"))
}

async fn icon() -> Response {
    body("image/svg+xml", include_str!("../../assets/icon.svg"))
}

async fn not_allowed(_: Method) -> Response {
    let problem = Problem {
        status: StatusCode::METHOD_NOT_ALLOWED,
        error: "nothing can be changed here".to_owned(),
        hint: "use GET".to_owned(),
    };
    let allowed = [(header::ALLOW, HeaderValue::from_static("GET, HEAD"))];
    (allowed, problem).into_response()
}

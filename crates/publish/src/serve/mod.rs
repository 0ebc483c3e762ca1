//! The dashboard and the API over [`Counts`].
//!
//! **Invariant:** a handler sees only what passed a disclosure rule.

mod answer;
mod api;
mod asked;
mod dashboard;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tidegauge_model::count::{Dimension, Query, Release};
use tidegauge_model::estimate::ReleasedEstimate;
use tidegauge_model::policy::Timeline;
use tidegauge_model::{Country, Coverage, DayRange, Month, ProductId, SectorId};

use crate::report::{self, Expansion, Synthetic};
use answer::Problem;

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
    /// The operator must look: the lake or the engine failed. Readers are told no more
    /// than that; whoever implements [`Counts`] logs the cause.
    #[error("the count failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What the pages say of the house that runs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name and version of the program.
    pub program: String,
    /// Set if the data is simulated: every page says so.
    pub synthetic: Option<Synthetic>,
}

/// What every handler gets.
#[derive(Clone)]
struct Shared {
    counts: Arc<dyn Counts>,
    settings: Arc<Settings>,
}

/// The routes: `/`, `/api/v1/…`, `/assets/…`, `/healthz`. All answer to GET only.
pub fn router(counts: Arc<dyn Counts>, settings: Settings) -> Router {
    let shared = Shared { counts, settings: Arc::new(settings) };
    Router::new()
        .route("/", get(dashboard::page))
        .route("/healthz", get(healthz))
        .route("/assets/page.css", get(style))
        .route("/assets/page.js", get(script))
        .route("/api/v1/census", get(api::census))
        .route("/api/v1/assess", get(api::assess))
        .route("/api/v1/timeline", get(api::timeline))
        .route("/api/v1/coverage", get(api::coverage))
        .route("/api/v1/scope", get(api::scope))
        .route("/api/v1/openapi.json", get(openapi))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .with_state(shared)
        .layer(from_fn(guarded))
}

/// Alive: says nothing about the lake, so that a slow count does not look like a death.
async fn healthz() -> &'static str {
    "ok\n"
}

async fn style() -> Response {
    let kind = HeaderValue::from_static("text/css; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], report::style_sheet()).into_response()
}

async fn script() -> Response {
    let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], include_str!("../../assets/page.js"))
        .into_response()
}

async fn openapi() -> Response {
    let kind = HeaderValue::from_static("application/json");
    let text = include_str!("../../assets/openapi.json");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn not_found() -> Problem {
    Problem {
        status: StatusCode::NOT_FOUND,
        error: "there is nothing here".to_owned(),
        hint: "the routes are listed at /api/v1/openapi.json".to_owned(),
    }
}

async fn not_allowed() -> Problem {
    Problem {
        status: StatusCode::METHOD_NOT_ALLOWED,
        error: "nothing can be changed here".to_owned(),
        hint: "use GET".to_owned(),
    }
}

/// What browsers are told about every answer: load nothing from elsewhere, show it in no
/// frame, guess no type, keep no copy of counts.
const GUARDS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; font-src data:; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-cache"),
];

async fn guarded(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in GUARDS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

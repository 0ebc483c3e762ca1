//! The routes under `/api/v1`, a file per resource.
//!
//! **Invariant:** each answer is made of a `Release`, of `ReleasedEstimate`s or of a read
//! model; a suppressed count is `null` beside `"suppressed": true`.

mod acts;
mod census;
mod coverage;
mod figures;
mod findings;
mod organisations;
mod releases;
mod series;
mod views;

pub(super) use acts::{annotations, policies, policy, timeline};
pub(super) use census::{assess, census};
pub(super) use coverage::{coverage, knowledge, scope};
pub(super) use figures::{act_figure, figure, figures};
pub(super) use findings::{export, finding, finding_state, findings, one_finding};
pub(super) use organisations::{organisation, organisations};
pub(super) use releases::{causes, published, release, releases, today};
pub(super) use series::{series, summary};
pub(super) use views::{view, views};

use axum::extract::Path;
use axum::extract::rejection::PathRejection;

use super::answer::Problem;

/// The name at the end of a path.
pub(super) type Named = Result<Path<String>, PathRejection>;

/// The name, if it is text.
pub(super) fn named(path: Named) -> Result<String, Problem> {
    path.map(|Path(name)| name).map_err(|_| {
        Problem::asked(
            "the path cannot be read",
            "write names as UTF-8, percent-encoded",
        )
    })
}

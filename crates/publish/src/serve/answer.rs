//! Answers of the API: JSON with a schema version, or a problem with a hint.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::CountsError;

/// Version of the form of every JSON answer; raised when a field changes its meaning or
/// goes away.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// Why there is no answer, as `{error, hint}`.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) error: String,
    pub(super) hint: String,
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    schema_version: u32,
    error: &'a str,
    hint: &'a str,
}

#[derive(Serialize)]
struct Versioned<T> {
    schema_version: u32,
    #[serde(flatten)]
    body: T,
}

impl Problem {
    /// The reader can ask otherwise.
    pub(super) fn asked(error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.into(), hint: hint.into() }
    }
}

impl From<CountsError> for Problem {
    fn from(error: CountsError) -> Self {
        let text = error.to_string();
        match error {
            CountsError::Refused { hint, .. } => {
                Self { status: StatusCode::UNPROCESSABLE_ENTITY, error: text, hint }
            }
            // The cause may name files of the house: it is for the log of whoever
            // implements the trait, not for readers.
            CountsError::Failed(_) => Self {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                error: text,
                hint: "try again later; the operator's log has the cause".to_owned(),
            },
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            schema_version: SCHEMA_VERSION,
            error: &self.error,
            hint: &self.hint,
        };
        json(self.status, &body)
    }
}

/// A body with its schema version.
pub(super) fn ok<T: Serialize>(body: T) -> Response {
    json(StatusCode::OK, &Versioned { schema_version: SCHEMA_VERSION, body })
}

fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    let text = serde_json::to_string(body)
        .expect("answers have text keys and finite or null numbers");
    let kind = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, kind)], text).into_response()
}

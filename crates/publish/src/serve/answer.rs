//! Answers of the API: JSON with a schema version, rows page by page, the same as CSV, or
//! a problem (RFC 9457) with a hint.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

use super::CountsError;
use super::asked::Asked;
use super::param::{ROWS, ROWS_MAX, TABLE_FORMS};
use crate::tables::Table;

/// Version of the form of every JSON answer; raised when a field changes its meaning or
/// goes away.
pub(super) const SCHEMA_VERSION: u32 = 2;

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) error: String,
    pub(super) hint: String,
}

/// The same as `application/problem+json`.
#[derive(Serialize)]
struct ProblemBody<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    hint: &'a str,
}

impl Problem {
    /// The reader can ask otherwise.
    pub(super) fn asked(error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.into(), hint: hint.into() }
    }

    /// There is nothing of this name.
    pub(super) fn absent(error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, error: error.into(), hint: hint.into() }
    }
}

impl From<CountsError> for Problem {
    fn from(error: CountsError) -> Self {
        let text = error.to_string();
        match error {
            CountsError::Refused { hint, .. } => {
                Self { status: StatusCode::UNPROCESSABLE_ENTITY, error: text, hint }
            }
            CountsError::Internal => Self {
                status: StatusCode::FORBIDDEN,
                error: text,
                hint: "it is for analysts, by their token, or for the operator: \
                       `tidegauge serve --internal`"
                    .to_owned(),
            },
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
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("problem"),
            status: self.status.as_u16(),
            detail: &self.error,
            hint: &self.hint,
        };
        let text = serde_json::to_string(&body).expect("a problem has text keys");
        (self.status, typed("application/problem+json"), text).into_response()
    }
}

fn typed(kind: &'static str) -> [(header::HeaderName, HeaderValue); 1] {
    [(header::CONTENT_TYPE, HeaderValue::from_static(kind))]
}

/// A body of a kind.
pub(super) fn body(kind: &'static str, body: impl IntoResponse) -> Response {
    (StatusCode::OK, typed(kind), body).into_response()
}

/// A value as it stands in JSON.
pub(super) fn value<T: Serialize>(body: T) -> Value {
    serde_json::to_value(body).expect("answers have text keys")
}

/// The fields of an answer.
pub(super) fn fields<T: Serialize>(body: T) -> Map<String, Value> {
    match value(body) {
        Value::Object(fields) => fields,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

/// A JSON answer with its schema version.
pub(super) fn ok(mut fields: Map<String, Value>) -> Response {
    fields.insert("schema_version".to_owned(), SCHEMA_VERSION.into());
    body("application/json", Value::Object(fields).to_string())
}

/// A whole answer as JSON or as CSV.
pub(super) fn either(
    asked: &Asked,
    fields: Map<String, Value>,
    table: &Table,
) -> Result<Response, Problem> {
    Ok(match asked.format(TABLE_FORMS)? {
        "csv" => csv(table),
        _ => ok(fields),
    })
}

/// A table as a file.
pub(super) fn csv(table: &Table) -> Response {
    body("text/csv; charset=utf-8; header=present", table.csv())
}

/// An answer with many rows, given page by page.
pub(super) struct Listing {
    /// Fields beside the rows.
    pub(super) head: Map<String, Value>,
    /// The field of the rows.
    pub(super) key: &'static str,
    /// The rows as JSON.
    pub(super) rows: Vec<Value>,
    /// The same rows in the same order.
    pub(super) table: Table,
}

impl Listing {
    /// The page that was asked for, as JSON or CSV.
    pub(super) fn answer(self, asked: &Asked, path: &str) -> Result<Response, Problem> {
        let format = asked.format(TABLE_FORMS)?;
        self.answer_as(asked, path, format)
    }

    /// The page that was asked for, in a form already read.
    pub(super) fn answer_as(
        self,
        asked: &Asked,
        path: &str,
        format: &str,
    ) -> Result<Response, Problem> {
        debug_assert_eq!(self.rows.len(), self.table.rows.len(), "one row each");
        let limit = asked.number("limit", (1, ROWS_MAX))?.unwrap_or(ROWS);
        let offset = asked.number("offset", (0, u32::MAX))?.unwrap_or(0);
        let total = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let end = offset.saturating_add(limit);
        let next =
            (end < total).then(|| format!("{path}?{}", asked.with("offset", end)));
        let (skip, take) = (place(offset), place(limit));
        let mut response = if format == "csv" {
            let rows = self.table.rows.into_iter().skip(skip).take(take).collect();
            csv(&Table { header: self.table.header, rows })
        } else {
            let mut head = self.head;
            let rows: Vec<Value> =
                self.rows.into_iter().skip(skip).take(take).collect();
            head.insert(self.key.to_owned(), Value::Array(rows));
            head.insert("total".to_owned(), total.into());
            head.insert("offset".to_owned(), offset.into());
            head.insert("limit".to_owned(), limit.into());
            head.insert("next".to_owned(), next.clone().into());
            ok(head)
        };
        let link = next.and_then(|next| {
            HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).ok()
        });
        if let Some(link) = link {
            response.headers_mut().insert(header::LINK, link);
        }
        Ok(response)
    }
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

//! The document of the interface (`OpenAPI` 3.1) and its reference page, made of the table
//! of routes.
//!
//! **Invariant:** the document says what the router does, because both come from one
//! table; `docs/reference/openapi.json` is its golden file.

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::answer::{Problem, body};
use super::asked::Asked;
use super::param::{Form, NONE, Param};
use super::routes::{ROUTES, Reply, Route};
use crate::figure::append;

/// Fields of each schema that is answered.
const SCHEMAS: &str = include_str!("../../assets/schemas.json");

/// `GET /api/v1/openapi.json`.
pub(super) async fn served(asked: Asked) -> Result<Response, Problem> {
    asked.only(NONE)?;
    Ok(body("application/json", document()))
}

/// The document, as text that is the same on every machine.
pub fn document() -> String {
    let mut paths = Map::new();
    for route in ROUTES {
        paths.insert(route.path.to_owned(), json!({ "get": operation(route) }));
    }
    let schemas: Value =
        serde_json::from_str(SCHEMAS).expect("the schemas are part of this program");
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegauge",
            "version": "1",
            "description": "Counts and estimates that passed a disclosure rule. Unknown keys \
                            are refused. Counts of addresses and organisations never add up \
                            over cells.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": schemas },
    });
    let mut text =
        serde_json::to_string_pretty(&document).expect("a document has text keys");
    text.push('\n');
    text
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    if !route.name.is_empty() {
        parameters.push(json!({
            "name": "id",
            "in": "path",
            "required": true,
            "description": route.name,
            "schema": { "type": "string", "minLength": 1 },
        }));
    }
    parameters.extend(route.keys.iter().map(parameter));
    json!({
        "summary": route.summary,
        "operationId": operation_id(route.path),
        "parameters": parameters,
        "responses": responses(route),
    })
}

/// `/api/v1/figures/{id}` as `figures_id`.
pub(super) fn operation_id(path: &str) -> String {
    let path = path.trim_start_matches("/api/v1").trim_matches('/');
    path.replace(['/', '.'], "_").replace(['{', '}'], "")
}

fn parameter(key: &Param) -> Value {
    json!({
        "name": key.name,
        "in": "query",
        "required": key.required,
        "description": key.about,
        "schema": schema(key),
    })
}

/// JSON Schema of a key's value.
pub(super) fn schema(key: &Param) -> Value {
    match key.form {
        Form::Text => json!({ "type": "string" }),
        Form::Number(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Form::DayOrMonth => json!({
            "type": "string",
            "pattern": "^\\d{4}-\\d{2}(-\\d{2})?$",
            "example": "2024-04",
        }),
        Form::Month => json!({
            "type": "string",
            "pattern": "^\\d{4}-\\d{2}$",
            "example": "2024-04",
        }),
        Form::Window => json!({
            "type": "string",
            "pattern": "^\\d{4}-\\d{2}(-\\d{2}(\\.\\.\\d{4}-\\d{2}-\\d{2})?)?$",
            "example": "2024-04",
        }),
        Form::Moment => json!({
            "type": "string",
            "pattern": "^(\\d{4}-\\d{2}(-\\d{2})?|-?\\d{1,18})$",
        }),
        Form::Country => {
            json!({ "type": "string", "pattern": "^[A-Z]{2}$", "example": "US" })
        }
        Form::OneOf(values) => json!({ "type": "string", "enum": values }),
    }
}

fn responses(route: &Route) -> Value {
    let schema = |name: &str| json!({ "schema": { "$ref": format!("#/components/schemas/{name}") } });
    let text = json!({ "schema": { "type": "string" } });
    let mut content = Map::new();
    match route.reply {
        Reply::Json(name) => {
            content.insert("application/json".to_owned(), schema(name));
        }
        Reply::Rows(name) => {
            content.insert("application/json".to_owned(), schema(name));
            content.insert("text/csv".to_owned(), text);
        }
        Reply::Figure(name) => {
            content.insert("application/json".to_owned(), schema(name));
            content.insert("text/csv".to_owned(), text.clone());
            content.insert("image/svg+xml".to_owned(), text);
            content.insert("image/png".to_owned(), json!({}));
        }
        Reply::View(name) => {
            content.insert("application/json".to_owned(), schema(name));
            content.insert("text/csv".to_owned(), text);
            for kind in ["parquet", "arrow.stream"] {
                content.insert(format!("application/vnd.apache.{kind}"), json!({}));
            }
        }
        Reply::File => {
            let kinds = [
                "application/json",
                "application/stix+json",
                "application/x-ndjson",
                "text/csv",
            ];
            for kind in kinds {
                content.insert(kind.to_owned(), json!({}));
            }
        }
        Reply::Document => {
            let any = json!({ "schema": { "type": "object" } });
            content.insert("application/json".to_owned(), any);
        }
        Reply::Text => {
            content.insert("text/plain".to_owned(), text);
        }
    }
    let problem = |words: &str| {
        let content = json!({ "application/problem+json": schema("Problem") });
        json!({ "description": words, "content": content })
    };
    let mut responses = Map::new();
    let answer = json!({
        "description": "The answer.",
        "headers": { "ETag": { "schema": { "type": "string" } } },
        "content": content,
    });
    responses.insert("200".to_owned(), answer);
    let unchanged = json!({ "description": "The answer is the one of If-None-Match." });
    responses.insert("304".to_owned(), unchanged);
    let part = json!({
        "description": "The part of it that Range asks for, in bytes.",
        "headers": { "Content-Range": { "schema": { "type": "string" } } },
    });
    responses.insert("206".to_owned(), part);
    for (status, words) in problems(route) {
        responses.insert(status.to_owned(), problem(words));
    }
    Value::Object(responses)
}

/// What can go wrong, by status.
fn problems(route: &Route) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![
        ("416", "The answer is shorter than where Range begins."),
        ("429", "Too many requests; Retry-After says how long to wait."),
    ];
    if route.reply != Reply::Text {
        all.push(("400", "The query cannot be read, or has an unknown key."));
    }
    if route.internal {
        all.push(("403", "It is for the operator, and these pages are for everybody."));
    }
    if route.reply.has_figures() || route.reply == Reply::File {
        all.push(("404", "There is nothing of this name, or nothing was read yet."));
        all.push(("422", "The question cannot be counted as it was asked."));
        all.push(("500", "The count failed."));
    }
    all
}

/// The reference page of the interface, in Markdown.
pub fn reference() -> String {
    let mut page = "<!-- Generated by `UPDATE=1 cargo test -p tidegauge-publish`; do not \
                    edit. -->\n# The interface over HTTP\n\nServed by `tidegauge serve`. \
                    Every number on every page is here. A suppressed count is `null` (JSON) \
                    or `suppressed` (CSV). Answers carry an `ETag`, and a part of one can be asked for \
                    (`Range`, one range of bytes); rows come page by page, \
                    and `next` (or the header `Link`) has the address of those that follow. \
                    What is wrong is told as `application/problem+json` (RFC 9457) with a \
                    hint. A key that a route does not know is refused. The same as OpenAPI \
                    3.1: `/api/v1/openapi.json`.\n"
        .to_owned();
    for route in ROUTES {
        append(&mut page, format_args!("\n## `{}`\n\n{}.", route.path, route.summary));
        append(&mut page, format_args!(" {}\n", forms(route.reply)));
        if !route.name.is_empty() {
            append(&mut page, format_args!("\n`{{id}}`: {}\n", route.name));
        }
        if route.keys.is_empty() {
            continue;
        }
        page.push_str("\n| key | form | what |\n|---|---|---|\n");
        for key in route.keys {
            let must = if key.required { " (required)" } else { "" };
            let form = form(key.form);
            append(
                &mut page,
                format_args!("| `{}`{must} | {form} | {} |\n", key.name, key.about),
            );
        }
    }
    page
}

fn forms(reply: Reply) -> &'static str {
    match reply {
        Reply::Json(_) | Reply::Document => "JSON.",
        Reply::Rows(_) => "JSON or CSV.",
        Reply::Figure(_) => "JSON, CSV, SVG or PNG.",
        Reply::View(_) => "JSON, CSV, Parquet or Arrow (IPC stream).",
        Reply::File => "A file in the form asked for.",
        Reply::Text => "Plain text.",
    }
}

fn form(form: Form) -> String {
    match form {
        Form::Text => "text".to_owned(),
        Form::Number(least, most) => format!("{least} to {most}"),
        Form::DayOrMonth => "YYYY-MM-DD or YYYY-MM".to_owned(),
        Form::Month => "YYYY-MM".to_owned(),
        Form::Window => "YYYY-MM, YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD".to_owned(),
        Form::Moment => "YYYY-MM-DD, YYYY-MM or milliseconds".to_owned(),
        Form::Country => "two capital letters".to_owned(),
        Form::OneOf(values) => values.join(", "),
    }
}

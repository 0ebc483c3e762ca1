//! The interface: its document and its reference page as golden files, every route as the
//! document says, tags, pages of rows, limits and other sites.
//!
//! `UPDATE=1 cargo test -p tidegauge-publish` writes the golden files anew.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use tidegauge_publish::serve::{RateLimit, Settings, document, reference, router};
use tower::ServiceExt;

use crate::made::{GOOD, settings};
use crate::serve::{call, json};

fn golden(path: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::vars_os().any(|(key, _)| key == "UPDATE") {
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "{} is out of date: run `UPDATE=1 cargo test -p tidegauge-publish`",
        path.display()
    );
}

#[test]
fn the_document_is_the_one_that_was_agreed_on() {
    golden("tests/it/data/openapi.json", &document());
}

#[test]
fn the_reference_page_says_what_the_program_does() {
    golden("../../docs/reference/api.md", &reference());
}

/// What the document has of each path.
fn operations() -> Vec<(String, Value)> {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    paths.iter().map(|(path, item)| (path.clone(), item["get"].clone())).collect()
}

/// An address of each path with what it requires.
fn address(path: &str) -> String {
    match path {
        "/api/v1/assess" => format!("{path}?before=2024-04&after=2024-11"),
        "/api/v1/figures/{id}" => "/api/v1/figures/removal".to_owned(),
        "/api/v1/policies/{id}" => "/api/v1/policies/US-BIS-updates".to_owned(),
        path => path.to_owned(),
    }
}

#[tokio::test]
async fn every_route_of_the_document_answers_in_the_form_it_promises() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    for (path, operation) in operations() {
        let (answer, body) = call(GOOD, Method::GET, &address(&path)).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}: {body}");
        let content = &operation["responses"]["200"]["content"]["application/json"];
        let Some(schema) = content.get("schema") else { continue };
        let body: Value = serde_json::from_str(&body).unwrap();
        fits(&document, schema, &body, &path);
    }
}

#[tokio::test]
async fn every_route_knows_the_keys_of_the_document_and_no_other() {
    for (path, operation) in operations() {
        let parameters = operation["parameters"].as_array().unwrap();
        let keys = parameters.iter().filter(|p| p["in"] == "query");
        let documented: BTreeSet<&str> =
            keys.filter_map(|p| p["name"].as_str()).collect();
        let plain = address(&path);
        let plain = plain.split('?').next().unwrap();
        if path == "/healthz" {
            continue;
        }
        let (status, refusal) = json(&format!("{plain}?zz=1")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        let hint = refusal["hint"].as_str().unwrap();
        let known: BTreeSet<&str> = match hint.strip_prefix("known are ") {
            Some(known) => known.split(", ").collect(),
            None => BTreeSet::new(),
        };
        assert_eq!(known, documented, "{path}");
        for name in documented {
            let (_, body) =
                call(GOOD, Method::GET, &format!("{plain}?{name}=2024-04")).await;
            assert!(!body.contains("is not a key of this route"), "{path} {name}");
        }
    }
}

/// That a value has the shape of a schema: types, required and allowed fields, values.
fn fits(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        let schema = &document["components"]["schemas"][name];
        assert!(schema.is_object(), "{at}: no schema {name}");
        return fits(document, schema, value, at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let null = |s: &&Value| s["type"] == "null";
        if value.is_null() {
            assert!(choices.iter().any(|s| null(&s)), "{at}: null");
        } else if let [only] =
            choices.iter().filter(|s| !null(s)).collect::<Vec<_>>()[..]
        {
            fits(document, only, value, at);
        }
        return;
    }
    if let Some(constant) = schema.get("const") {
        assert_eq!(value, constant, "{at}");
    }
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(value), "{at}: {value}");
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is = |t: &Value| t == kind || (t == "number" && kind == "integer");
    match &schema["type"] {
        Value::Null => {}
        Value::Array(kinds) => assert!(kinds.iter().any(is), "{at}: {kind}"),
        one => assert!(is(one), "{at}: {kind} is not {one}"),
    }
    for item in value.as_array().into_iter().flatten() {
        fits(document, &schema["items"], item, &format!("{at}[]"));
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        let name = required.as_str().unwrap();
        assert!(value.get(name).is_some(), "{at}: {name} is missing");
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(schema), _) => fits(document, schema, field, &at),
            (None, Value::Bool(false)) => panic!("{at} is not in the document"),
            (None, rest) => fits(document, rest, field, &at),
        }
    }
}

#[tokio::test]
async fn rows_come_page_by_page_and_every_row_once() {
    let mut next =
        Some("/api/v1/coverage?from=2024-04-01&to=2024-04-10&limit=7".to_owned());
    let (mut seen, mut pages) = (BTreeSet::new(), 0);
    while let Some(address) = next {
        let (answer, body) = call(GOOD, Method::GET, &address).await;
        assert_eq!(answer.status(), StatusCode::OK, "{address}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["total"], 30);
        for row in body["rows"].as_array().unwrap() {
            assert!(seen.insert((row["vantage"].to_string(), row["day"].to_string())));
        }
        next = body["next"].as_str().map(str::to_owned);
        let link = answer.headers().get(header::LINK).map(|l| l.to_str().unwrap());
        assert_eq!(
            link.map(str::to_owned),
            next.as_ref().map(|n| format!("<{n}>; rel=\"next\""))
        );
        pages += 1;
    }
    assert_eq!((seen.len(), pages), (30, 5));
    let (status, body) = json("/api/v1/coverage?limit=0").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["hint"], "from 1 to 10000");
}

#[tokio::test]
async fn rows_are_the_same_as_csv() {
    let of = "by=country&product=kaspersky&from=2024-04&to=2024-04";
    let (_, body) = json(&format!("/api/v1/census?{of}")).await;
    let (answer, text) =
        call(GOOD, Method::GET, &format!("/api/v1/census?{of}&format=csv")).await;
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/csv"));
    let rows = body["rows"].as_array().unwrap();
    assert_eq!(text.lines().count(), rows.len() + 1);
    let row = text.lines().find(|l| l.starts_with("US,")).unwrap();
    assert!(row.contains(",2540,"), "{row}");
}

#[tokio::test]
async fn a_figure_is_had_as_numbers_and_as_drawings() {
    let at = "/api/v1/figures/over-time?country=US&format=";
    for (format, kind, begins) in [
        ("json", "application/json", "{"),
        ("csv", "text/csv", "month,"),
        ("svg", "image/svg+xml", "<svg xmlns"),
    ] {
        let (answer, body) = call(GOOD, Method::GET, &format!("{at}{format}")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{format}");
        let of = answer.headers()["content-type"].to_str().unwrap();
        assert!(of.starts_with(kind), "{format}: {of}");
        assert!(body.starts_with(begins), "{format}");
    }
    let request =
        Request::builder().uri(format!("{at}png")).body(Body::empty()).unwrap();
    let answer = router(Arc::new(GOOD), settings()).oneshot(request).await.unwrap();
    let bytes = to_bytes(answer.into_body(), 8 << 20).await.unwrap();
    assert!(bytes.starts_with(b"\x89PNG"));
    let (status, problem) = json(&format!("{at}gif")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(problem["hint"], "known are json, csv, svg, png");
}

async fn send(settings: Settings, requests: Vec<Request<Body>>) -> Vec<Response> {
    let router = router(Arc::new(GOOD), settings);
    let mut answers = Vec::new();
    for request in requests {
        answers.push(router.clone().oneshot(request).await.unwrap());
    }
    answers
}

fn get(uri: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn who_has_the_newest_answer_is_not_sent_it_again() {
    for uri in ["/", "/api/v1/scope", "/api/v1/figures/coverage?format=svg"] {
        let first = send(settings(), vec![get(uri, &[])]).await;
        let tag = first[0].headers()[header::ETAG].to_str().unwrap().to_owned();
        let asked = vec![
            get(uri, &[("if-none-match", &tag)]),
            get(uri, &[("if-none-match", "\"other\"")]),
            get(uri, &[("if-none-match", &format!("\"other\", W/{tag}"))]),
        ];
        let answers = send(settings(), asked).await;
        let statuses: Vec<u16> = answers.iter().map(|a| a.status().as_u16()).collect();
        assert_eq!(statuses, [304, 200, 304], "{uri}");
        assert_eq!(answers[0].headers()[header::ETAG], tag.as_str());
    }
    let problem = send(settings(), vec![get("/api/v1/census?zz=1", &[])]).await;
    assert!(problem[0].headers().get(header::ETAG).is_none());
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let mut head = get("/", &[]);
    *head.method_mut() = Method::HEAD;
    let mut answers = send(settings(), vec![get("/", &[]), head]).await;
    let (head, get) = (answers.remove(1), answers.remove(0));
    assert_eq!(head.headers()[header::ETAG], get.headers()[header::ETAG]);
    let length = head.headers()[header::CONTENT_LENGTH].to_str().unwrap().to_owned();
    let body = to_bytes(get.into_body(), 8 << 20).await.unwrap();
    assert_eq!(length, body.len().to_string());
    assert!(to_bytes(head.into_body(), 16).await.unwrap().is_empty());
}

#[tokio::test]
async fn who_asks_too_often_is_told_how_long_to_wait() {
    let now = Instant::now();
    let limit = RateLimit { per_minute: 2, clock: Arc::new(move || now) };
    let limited = Settings { limit: Some(limit), ..settings() };
    let asked = vec![get("/healthz", &[]), get("/healthz", &[]), get("/healthz", &[])];
    let answers = send(limited, asked).await;
    let statuses: Vec<u16> = answers.iter().map(|a| a.status().as_u16()).collect();
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(answers[2].headers()[header::RETRY_AFTER], "31");
    assert_eq!(answers[2].headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn other_sites_may_not_ask_unless_the_operator_names_them() {
    let origin = [("origin", "https://notebook.example")];
    let answers = send(settings(), vec![get("/api/v1/scope", &origin)]).await;
    assert!(answers[0].headers().get("access-control-allow-origin").is_none());
    let named = || Settings {
        origins: vec!["https://notebook.example".to_owned()],
        ..settings()
    };
    let other = [("origin", "https://other.example")];
    let asked = vec![
        get("/api/v1/scope", &origin),
        get("/api/v1/scope", &other),
        get("/", &origin),
    ];
    let answers = send(named(), asked).await;
    let allowed: Vec<bool> = answers
        .iter()
        .map(|a| a.headers().get("access-control-allow-origin").is_some())
        .collect();
    assert_eq!(allowed, [true, false, false]);
    assert_eq!(answers[1].headers()[header::VARY], "origin");
}

#[tokio::test]
async fn annotations_are_what_grafana_asks_for() {
    // Grafana puts the range of a panel as milliseconds.
    let (_, all) = json("/api/v1/annotations").await;
    let uri = "/api/v1/annotations?from=1719792000000&to=1727740800000&country=US";
    let (status, body) = json(uri).await;
    assert_eq!(status, StatusCode::OK);
    let marks = body.as_array().unwrap();
    assert!(!marks.is_empty() && marks.len() < all.as_array().unwrap().len());
    let mut times: Vec<i64> =
        marks.iter().map(|m| m["time"].as_i64().unwrap()).collect();
    assert!(times.iter().all(|t| (1_719_792_000_000..=1_727_740_800_000).contains(t)));
    let told = times.clone();
    times.sort_unstable();
    assert_eq!(times, told, "in the order of time");
    let (_, days) =
        json("/api/v1/annotations?from=2024-07&to=2024-09-30&country=US").await;
    assert_eq!(days, body, "the same as days");
}

#[tokio::test]
async fn the_dashboard_asks_only_what_the_interface_answers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../dist/grafana/tidegauge-dashboard.json");
    let text = std::fs::read_to_string(path).unwrap();
    let board: Value = serde_json::from_str(&text).unwrap();
    let mut urls = Vec::new();
    collect(&board, &mut urls);
    assert!(urls.len() >= 5, "{urls:?}");
    for url in urls {
        let asked = url
            .replace("${product}", "kaspersky")
            .replace("${country}", "")
            .replace("${__from}", "1704067200000")
            .replace("${__to}", "1735689599999");
        let (answer, body) = call(GOOD, Method::GET, &asked).await;
        assert_eq!(answer.status(), StatusCode::OK, "{asked}: {body}");
    }
}

fn collect(value: &Value, urls: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let url = fields.get("url").and_then(Value::as_str);
            urls.extend(url.filter(|u| u.starts_with('/')).map(str::to_owned));
            fields.values().for_each(|v| collect(v, urls));
        }
        Value::Array(items) => items.iter().for_each(|v| collect(v, urls)),
        _ => {}
    }
}

//! The document of the interface, held against what is served.

use axum::http::{Method, StatusCode};
use serde_json::Value;
use tidegauge_publish::serve::document;

use crate::made::GOOD;
use crate::serve::call;

/// Every path of the document, names filled in.
fn paths() -> Vec<(String, Value)> {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let paths = document["paths"].as_object().unwrap().clone();
    let named = |path: &str| match path {
        "/api/v1/figures/{id}" => "/api/v1/figures/over-time".to_owned(),
        "/api/v1/policies/{id}" => "/api/v1/policies/US-BIS-updates".to_owned(),
        other => other.to_owned(),
    };
    let asked = |(path, said): (String, Value)| {
        let said = said["get"].clone();
        let mut uri = named(&path);
        for parameter in said["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "query" && parameter["required"] == true {
                let name = parameter["name"].as_str().unwrap();
                let value = match name {
                    "before" => "2024-04",
                    "after" => "2024-11",
                    other => panic!("no value for `{other}`"),
                };
                let mark = if uri.contains('?') { '&' } else { '?' };
                uri = format!("{uri}{mark}{name}={value}");
            }
        }
        (uri, said)
    };
    paths.into_iter().map(asked).collect()
}

#[tokio::test]
async fn every_route_of_the_document_answers_as_it_says() {
    let paths = paths();
    assert!(paths.len() >= 14, "{} routes", paths.len());
    for (path, said) in paths {
        let (answer, body) = call(GOOD, Method::GET, &path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}: {body}");
        let kind = answer.headers()["content-type"].to_str().unwrap();
        let kind = kind.split(';').next().unwrap();
        let told = &said["responses"]["200"]["content"];
        assert!(told.get(kind).is_some(), "{path} answers {kind}, said: {told}");
        assert!(answer.headers().contains_key("etag") || path == "/healthz", "{path}");
    }
}

#[tokio::test]
async fn every_reference_in_the_document_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(
                    map.get("$ref").and_then(|r| r.as_str()).map(str::to_owned),
                );
                for value in map.values() {
                    references(value, found);
                }
            }
            Value::Array(list) => {
                for value in list {
                    references(value, found);
                }
            }
            _ => {}
        }
    }
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let path = "/api/v1/timeline";
    let (answer, _) = call(GOOD, Method::GET, path).await;
    let etag = answer.headers()["etag"].clone();
    let (again, body) = crate::serve::call_with(
        GOOD,
        path,
        &[("if-none-match", etag.to_str().unwrap())],
    )
    .await;
    assert_eq!((again.status(), body.as_str()), (StatusCode::NOT_MODIFIED, ""));
}

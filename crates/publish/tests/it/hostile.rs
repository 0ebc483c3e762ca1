//! Queries from outside.

use axum::http::{Method, StatusCode};
use proptest::prelude::*;
use serde_json::Value;
use tidegauge_publish::serve::document;

use crate::made::GOOD;
use crate::serve::call;

/// A route and keys, known and unknown, with values good and bad.
fn any_query() -> impl Strategy<Value = String> {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut keys: Vec<String> = vec!["unknown".to_owned(), String::new()];
    for said in paths.values() {
        let parameters = said["get"]["parameters"].as_array().cloned();
        let names = parameters.unwrap_or_default();
        keys.extend(names.iter().filter_map(|p| p["name"].as_str()).map(str::to_owned));
    }
    let mut paths: Vec<String> = paths.keys().cloned().collect();
    paths.extend(
        [
            "/",
            "/compare",
            "/explore",
            "/countries/US",
            "/products/x",
            "/figures/removal",
        ]
        .map(str::to_owned),
    );
    let value = prop_oneof![
        prop::sample::select(vec![
            "kaspersky",
            "US",
            "2024-04",
            "2024-11",
            "2024-13",
            "month",
            "country,sector",
            "csv",
            "json",
            "svg",
            "png",
            "parquet",
            "-1",
            "0",
            "99999999999999999999",
            "",
            "9999-12",
            "0000-01",
            "-0001-01",
            "all",
            "education",
            "before",
            "each-day",
        ])
        .prop_map(str::to_owned),
        "[a-z0-9%&=+ -]{0,12}",
        any::<String>(),
    ];
    let pair = (prop::sample::select(keys), value);
    let id = prop::sample::select(vec![
        "over-time",
        "US-BIS-updates",
        "nothing",
        "%00",
        "..",
    ]);
    (prop::sample::select(paths), id, prop::collection::vec(pair, 0..5)).prop_map(
        |(path, id, pairs)| {
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(key, value)| format!("{}={}", escaped(key), escaped(value)))
                .collect();
            format!("{}?{}", path.replace("{id}", id), pairs.join("&"))
        },
    )
}

/// As a browser writes it.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_query_breaks_the_server(uri in any_query()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (answer, body) = runtime.block_on(call(GOOD, Method::GET, &uri));
        let status = answer.status();
        prop_assert!(!status.is_server_error(), "{} {}: {}", uri, status, body);
        if status == StatusCode::BAD_REQUEST && uri.starts_with("/api/") {
            let problem: Value = serde_json::from_str(&body).unwrap();
            prop_assert!(problem["detail"].is_string(), "{}", body);
        }
    }
}

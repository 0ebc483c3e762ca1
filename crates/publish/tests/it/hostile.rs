//! Questions that nobody asks in good faith: whatever is asked, no answer is a failure of
//! the server, every problem says what it is, and nothing of the question becomes markup.
//!
//! Besides, schemathesis asks from outside what the document allows
//! (`cargo run -p tidegauge-publish --example made_up`, then `docs/how-to`).

use axum::http::{Method, StatusCode};
use proptest::prelude::*;

use crate::made::GOOD;
use crate::serve::call;

const PATHS: &[&str] = &[
    "/",
    "/explore",
    "/compare",
    "/countries",
    "/quality",
    "/figures/over-time",
    "/figures/compare",
    "/api/v1/census",
    "/api/v1/assess",
    "/api/v1/series",
    "/api/v1/summary",
    "/api/v1/timeline",
    "/api/v1/annotations",
    "/api/v1/coverage",
    "/api/v1/figures/removal",
];
const KEYS: &[&str] = &[
    "product",
    "country",
    "sector",
    "from",
    "to",
    "before",
    "after",
    "what",
    "of",
    "by",
    "format",
    "limit",
    "offset",
    "on",
    "known",
    "active_days",
    "vantage",
    "zz",
];
const VALUES: &[&str] = &[
    "kaspersky",
    "US",
    "2024-04",
    "2024-11",
    "2024-04-01",
    "2024-04-01..2024-04-30",
    "9999-12",
    "0001-01",
    "-9999-01",
    "9223372036854775807",
    "-9223372036854775808",
    "4294967295",
    "%00",
    "%FF",
    "%E2%80%AE",
    "%3Cscript%3E",
    "a,b,,c",
    "each-day",
    "csv",
    "svg",
    "countries",
    "products",
    "country",
    "week",
];

fn query() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        4 => prop::sample::select(VALUES).prop_map(str::to_owned),
        1 => "[a-zA-Z0-9%._,-]{0,12}",
    ];
    let pair =
        (prop::sample::select(KEYS), value).prop_map(|(k, v)| format!("{k}={v}"));
    prop::collection::vec(pair, 0..5).prop_map(|pairs| pairs.join("&"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_question_makes_the_server_fail(
        path in prop::sample::select(PATHS),
        query in query(),
    ) {
        let uri = format!("{path}?{query}");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (answer, body) = runtime.block_on(call(GOOD, Method::GET, &uri));
        let status = answer.status();
        prop_assert!(status.as_u16() < 500, "{uri}: {status}");
        let is_page = answer.headers()["content-type"].to_str().unwrap().starts_with("text/html");
        prop_assert!(!is_page || !body.contains("<script>"), "{uri}");
        let is_api = path.starts_with("/api/");
        if is_api && status != StatusCode::OK {
            let kind = &answer.headers()["content-type"];
            prop_assert_eq!(kind, "application/problem+json");
        }
    }
}

#[tokio::test]
async fn a_name_that_is_no_text_is_refused_in_words() {
    for uri in
        ["/policies/%FF", "/api/v1/policies/%FF", "/countries/%00", "/figures/%2e%2e"]
    {
        let (answer, _) = call(GOOD, Method::GET, uri).await;
        assert!(answer.status().is_client_error(), "{uri}: {}", answer.status());
    }
}

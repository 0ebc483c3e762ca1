//! The routes, called without a socket.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use serde_json::Value;
use tidegauge_publish::serve::router;
use tower::ServiceExt;

use crate::made::{GOOD, Made, settings};

pub(crate) async fn call(
    made: Made,
    method: Method,
    uri: &str,
) -> (Response<()>, String) {
    let request =
        Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
    let answer = router(Arc::new(made), settings()).oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let bytes = to_bytes(body, 8 << 20).await.unwrap();
    (Response::from_parts(parts, ()), String::from_utf8(bytes.to_vec()).unwrap())
}

async fn get(uri: &str) -> (StatusCode, String) {
    let (answer, body) = call(GOOD, Method::GET, uri).await;
    (answer.status(), body)
}

pub(crate) async fn json(uri: &str) -> (StatusCode, Value) {
    let (status, body) = get(uri).await;
    (status, serde_json::from_str(&body).expect("the answer is JSON"))
}

#[tokio::test]
async fn a_census_is_json_with_its_rule_and_suppressed_cells_are_null() {
    let uri = "/api/v1/census?product=kaspersky&by=country&from=2024-11&to=2024-11";
    let (status, body) = json(uri).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["schema_version"], 2);
    assert!(body["rule"].as_str().unwrap().contains("fewer than 10"));
    assert_eq!(body["suppressed"], 1);
    let rows = body["rows"].as_array().unwrap();
    let of = |code: &str| rows.iter().find(|r| r["key"]["country"] == code).unwrap();
    assert_eq!(of("US")["counts"]["organisations_active"], 1_067);
    assert_eq!(of("LU")["suppressed"], true);
    assert_eq!(of("LU")["counts"], Value::Null);
    assert!(rows.iter().any(|r| r["key"]["country"].is_null()), "unattributed");
}

#[tokio::test]
async fn an_assessment_needs_windows_of_equal_length() {
    let (status, body) =
        json("/api/v1/assess?before=2024-04&after=2024-11&by=country").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["window_days"], 30);
    let first = &body["estimates"][0];
    assert_eq!(first["quantity"], "cohort_removal");
    assert_eq!(
        first["estimate"]["identified"]["Mixed"],
        "visibility not separated from usage"
    );
    let (status, body) = json("/api/v1/assess?before=2024-03&after=2024-11").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body["detail"].as_str().unwrap().contains("31 and 30 days"));
    assert!(body["hint"].as_str().unwrap().contains("equal length"));
}

#[tokio::test]
async fn the_timeline_can_be_narrowed() {
    let (_, body) = json("/api/v1/timeline?country=US&from=2024-07&to=2024-12").await;
    let ids: Vec<&str> = body["policies"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|p| p["id"].as_str())
        .collect();
    assert_eq!(ids, ["US-BIS-sales", "US-BIS-updates"]);
    assert_eq!(body["vendor"].as_array().unwrap().len(), 1);
    let (_, all) = json("/api/v1/timeline").await;
    assert_eq!(all["policies"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn coverage_names_losses_by_reason_and_shows_sizes_of_footprints_only() {
    let uri = "/api/v1/coverage?vantage=university&from=2024-04-01&to=2024-04-02";
    let (_, body) = json(uri).await;
    let rows = body["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["losses"]["truncated"], 1);
    assert_eq!(rows[0]["hours"].as_array().unwrap().len(), 24);
    assert_eq!(rows[0]["footprint_v4_24"], 280);
    assert!(!body.to_string().contains("20.0."), "no address leaves the house");
}

#[tokio::test]
async fn a_misspelt_key_is_refused_with_the_known_ones() {
    for route in ["census", "assess", "timeline", "coverage", "scope"] {
        let (status, body) = json(&format!("/api/v1/{route}?contry=US")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{route}");
        assert!(body["detail"].as_str().unwrap().contains("`contry`"), "{route}");
        assert!(!body["hint"].as_str().unwrap().is_empty(), "{route}");
    }
    let (status, page) = get("/explore?contry=US").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(page.contains("`contry` is not a key") && page.contains("<form"));
}

#[tokio::test]
async fn bad_values_are_refused_with_a_hint() {
    for query in [
        "census?from=2024-13",
        "census?from=2024-12&to=2024-01",
        "census?by=nonsense",
        "census?country=USA",
        "census?product=a,,b",
        "census?by=month&by=country",
        "assess?before=2024-04",
        "assess?before=2024-04&after=2024-11&by=week",
        "census?weight=heavy",
    ] {
        let (status, body) = json(&format!("/api/v1/{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        assert!(!body["hint"].as_str().unwrap().is_empty(), "{query}");
    }
}

#[tokio::test]
async fn what_cannot_be_counted_says_what_can() {
    let (status, body) = json("/api/v1/census?by=day").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(body["hint"], "count by week");
}

#[tokio::test]
async fn a_failure_does_not_tell_readers_about_the_house() {
    for uri in ["/api/v1/census", "/"] {
        let broken = Made { broken: true, ..GOOD };
        let (answer, body) = call(broken, Method::GET, uri).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR, "{uri}");
        assert!(body.contains("the count failed") && !body.contains("secret"), "{uri}");
    }
}

#[tokio::test]
async fn the_page_works_without_a_script_and_loads_only_its_own_assets() {
    let (status, page) =
        get("/explore?country=US&before=2024-04&after=2024-11&sector=").await;
    assert_eq!(status, StatusCode::OK);
    for part in [
        "SYNTHETIC DATA",
        "<form class=\"ask\" method=\"get\"",
        "<option value=\"US\" selected>United States</option>",
        "<figure id=\"over-time\">",
        "<figure id=\"countries\">",
        "<a href=\"/policies\">",
        "<figure id=\"coverage\">",
        "&lt;script&gt;Health",
        "Visibility not separated from usage.",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("http://") && !page.contains("https://"));
    assert!(!page.contains("href=\"figures/"), "there are no files beside a live page");
    for asset in ["/assets/page.css", "/assets/page.js"] {
        assert!(page.contains(asset));
        assert_eq!(get(asset).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn months_of_unequal_length_are_cut_to_the_same_days() {
    let (_, page) = get("/explore?before=2024-03&after=2024-11").await;
    assert!(
        page.contains("1 March 2024 to 30 March 2024 and November 2024, 30 days each")
    );
}

#[tokio::test]
async fn an_empty_lake_is_said_in_words() {
    let empty = Made { empty: true, ..GOOD };
    let (answer, page) = call(empty, Method::GET, "/").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(page.contains("Nothing has been read yet") && !page.contains("<svg"));
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    for uri in ["/", "/healthz", "/api/v1/scope", "/nowhere"] {
        let (answer, _) = call(GOOD, Method::GET, uri).await;
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-security-policy").starts_with("default-src 'none'"));
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("x-frame-options"), "DENY");
    }
}

#[tokio::test]
async fn nothing_can_be_changed_and_nothing_else_is_there() {
    let (answer, body) = call(GOOD, Method::POST, "/api/v1/census").await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(body.contains("use GET"));
    let (status, body) = json("/api/v2/census").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body["hint"].as_str().unwrap().contains("openapi"));
}

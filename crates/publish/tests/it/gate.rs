//! Tokens and clearance, called without a socket.

use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use tidegauge_publish::serve::{
    Access, Audited, Clearance, Digest, Token, gated, router,
};
use tower::ServiceExt;

use crate::made::{GOOD, Made, settings};

const READER: &str = "tg_reader-0123456789";
const ANALYST: &str = "tg_analyst-0123456789";

/// What was recorded, a line each.
type Lines = Arc<Mutex<Vec<String>>>;

struct Asked<'a> {
    method: Method,
    uri: &'a str,
    header: Option<(&'a str, String)>,
    body: &'a str,
}

fn read(uri: &str) -> Asked<'_> {
    Asked { method: Method::GET, uri, header: None, body: "" }
}

fn post<'a>(uri: &'a str, body: &'a str) -> Asked<'a> {
    Asked { method: Method::POST, body, ..read(uri) }
}

fn with<'a>(uri: &'a str, token: &str) -> Asked<'a> {
    // The scheme's name may be written either way.
    let scheme = if uri.len().is_multiple_of(2) { "Bearer" } else { "bearer" };
    let bearer = Some(("authorization", format!("{scheme} {token}")));
    Asked { header: bearer, ..read(uri) }
}

async fn ask(asked: Asked<'_>, secure: bool) -> (StatusCode, HeaderMap, String, Lines) {
    let lines = Lines::default();
    let kept = Arc::clone(&lines);
    let record = move |audited: Audited<'_>| {
        kept.lock().unwrap().push(format!("{audited:?}"));
    };
    let token = |name: &str, role, token| Token {
        name: name.to_owned(),
        clearance: role,
        digest: Digest::of(token),
    };
    let access = Access {
        tokens: vec![
            token("grafana", Clearance::Reader, READER),
            token("alice", Clearance::Analyst, ANALYST),
        ],
        record: Arc::new(record),
        limit: None,
        secure,
    };
    let public = router(Arc::new(Made { public: true, ..GOOD }), settings());
    let internal = router(Arc::new(GOOD), settings());
    let mut request = Request::builder().method(asked.method).uri(asked.uri);
    if let Some((name, value)) = asked.header {
        request = request.header(name, value);
    }
    let request = request.body(Body::from(asked.body.to_owned())).unwrap();
    let answer = gated(public, internal, access).oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, 8 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    (parts.status, parts.headers, body, lines)
}

#[tokio::test]
async fn without_a_token_there_is_only_the_page_to_log_in() {
    for uri in ["/", "/countries", "/organisations", "/nowhere", "/assets/page.js"] {
        let (status, headers, body, _) = ask(read(uri), false).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{uri}");
        let login = match uri {
            "/" => "/login".to_owned(),
            _ => format!("/login?to={}", uri.replace('/', "%2F")),
        };
        assert_eq!(headers["location"], login.as_str());
        assert_eq!(body, "");
    }
    for uri in ["/api/v1/census", "/api/v1/organisations", "/api/v1/openapi.json"] {
        for asked in [read(uri), with(uri, "tg_wrong"), with(uri, "")] {
            let (status, headers, body, _) = ask(asked, false).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{uri}");
            assert_eq!(headers["www-authenticate"], "Bearer");
            assert!(body.contains("Authorization: Bearer"), "{body}");
        }
    }
    for uri in ["/login", "/healthz", "/assets/page.css"] {
        let (status, headers, _, _) = ask(read(uri), false).await;
        assert_eq!(status, StatusCode::OK, "{uri}");
        assert!(headers.contains_key("content-security-policy"), "{uri}");
    }
}

#[tokio::test]
async fn a_clearance_decides_what_is_seen_and_what_is_internal_is_recorded() {
    for uri in ["/organisations", "/api/v1/organisations"] {
        let (status, _, body, lines) = ask(with(uri, READER), false).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{uri}");
        assert!(!body.contains("Acme"));
        assert!(lines.lock().unwrap().is_empty());

        let (status, _, body, lines) = ask(with(uri, ANALYST), false).await;
        assert_eq!(status, StatusCode::OK, "{uri}");
        assert!(body.contains("Acme"));
        let lines = lines.lock().unwrap().clone();
        assert_eq!(lines, [format!("Saw {{ name: \"alice\", path: \"{uri}\" }}")]);
    }
    let (status, _, body, lines) = ask(with("/", READER), false).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("<h1>Between April") && lines.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_browser_logs_in_keeps_its_token_and_logs_out() {
    let body = format!("token={ANALYST}");
    for secure in [false, true] {
        let (status, headers, _, lines) = ask(post("/login", &body), secure).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        let cookie = headers["set-cookie"].to_str().unwrap();
        let named = if secure { "__Host-tidegauge=" } else { "tidegauge=" };
        assert!(cookie.starts_with(named), "{cookie}");
        assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
        assert_eq!(cookie.contains("Secure"), secure);
        assert_eq!(*lines.lock().unwrap(), ["Entered { name: \"alice\" }"]);

        let kept = format!("a=b; {}", cookie.split(';').next().unwrap());
        let asked = Asked { header: Some(("cookie", kept)), ..read("/organisations") };
        assert_eq!(ask(asked, secure).await.0, StatusCode::OK);
    }
    let (_, headers, _, _) = ask(post("/logout", ""), false).await;
    assert!(headers["set-cookie"].to_str().unwrap().contains("tidegauge=; "));
}

#[tokio::test]
async fn who_logs_in_gets_the_page_that_was_asked_for_and_none_of_others() {
    let asked = "/compare?what=products&by=a%20b";
    let (_, headers, _, _) = ask(read(asked), false).await;
    let login = headers["location"].to_str().unwrap().to_owned();
    let (_, _, page, _) = ask(read(&login), false).await;
    assert!(page.contains(&format!("action=\"{login}\"")), "{page}");
    let body = format!("token={READER}");
    let (_, headers, _, _) = ask(post(&login, &body), false).await;
    assert_eq!(headers["location"], asked);
    let (_, _, page, _) = ask(post(&login, "token=wrong"), false).await;
    assert!(page.contains(&format!("action=\"{login}\"")), "asked again: {page}");
    for other in
        ["//evil.example", "/%5Cevil.example", "https:%2F%2Fevil.example", "%0D"]
    {
        let login = format!("/login?to={other}");
        let (_, headers, _, _) = ask(post(&login, &body), false).await;
        assert_eq!(headers["location"], "/", "{other}");
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused_and_recorded_without_it() {
    let long = format!("token={}", "a".repeat(9_000));
    for body in ["", "token=", "token=%22%3e", "token=wrong", "other=1", &long] {
        let (status, headers, page, lines) = ask(post("/login", body), false).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{body:.20}");
        assert!(page.contains("role=\"alert\"") && !headers.contains_key("set-cookie"));
        assert_eq!(*lines.lock().unwrap(), ["Refused"], "{body:.20}");
    }
}

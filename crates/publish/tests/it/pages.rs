//! Every page, without a browser: what a browser is tested for stands in `xtask`.

use axum::http::{Method, StatusCode};

use crate::made::{GOOD, Made};
use crate::serve::call;

const PAGES: [&str; 17] = [
    "/",
    "/products",
    "/products/kaspersky",
    "/countries",
    "/countries/US",
    "/sectors",
    "/sectors/health",
    "/policies",
    "/policies/US-BIS-updates",
    "/policies/US-BIS-sales",
    "/compare",
    "/figures/over-time",
    "/figures/countries",
    "/explore",
    "/quality",
    "/methods",
    "/about",
];

#[tokio::test]
async fn every_page_has_one_heading_a_way_past_the_menu_and_nothing_inline() {
    for path in PAGES {
        let (answer, page) = call(GOOD, Method::GET, path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}: {page}");
        assert_eq!(page.matches("<h1").count(), 1, "{path}");
        assert!(
            page.contains("href=\"#main\"") && page.contains("id=\"main\""),
            "{path}"
        );
        assert!(page.contains("lang=\"en\""), "{path}");
        assert!(!page.contains(" style=\"") && !page.contains("<style"), "{path}");
        assert!(!page.contains(" onclick=") && !page.contains("<script>"), "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
}

#[tokio::test]
async fn every_link_of_a_page_leads_somewhere() {
    let mut links = std::collections::BTreeSet::new();
    for path in PAGES {
        let (_, page) = call(GOOD, Method::GET, path).await;
        for part in page.split("href=\"").skip(1) {
            let link = part.split('"').next().unwrap().replace("&amp;", "&");
            if link.starts_with('/') {
                links.insert(link.split('#').next().unwrap().to_owned());
            }
        }
    }
    assert!(links.len() > 40, "{} links", links.len());
    for link in links {
        let (answer, _) = call(GOOD, Method::GET, &link).await;
        assert_eq!(answer.status(), StatusCode::OK, "{link}");
    }
}

#[tokio::test]
async fn pages_of_an_empty_lake_and_of_a_broken_one_are_pages() {
    for path in PAGES {
        let empty = Made { empty: true, broken: false };
        let (answer, page) = call(empty, Method::GET, path).await;
        assert!(answer.status() != StatusCode::INTERNAL_SERVER_ERROR, "{path}: {page}");
        let broken = Made { empty: false, broken: true };
        let (_, page) = call(broken, Method::GET, path).await;
        assert!(!page.contains("/secret/lake"), "{path}");
    }
}

//! Every page: that it answers, is small, leads on, and says what it must.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use tidegauge_publish::serve::{Settings, router};
use tower::ServiceExt;

use crate::made::{GOOD, Made};
use crate::serve::call;

/// One page of each kind, and what must stand on it.
const PAGES: &[(&str, &str)] = &[
    ("/", "<h1>Between April and November 2024, 14,810 of 22,014"),
    ("/products", "<a href=\"/products/eset\">ESET</a>"),
    ("/products/kaspersky", "<h1>Kaspersky</h1>"),
    ("/countries", "Germany: 72% of 1,910 organisations gone (70\u{2013}74%)"),
    (
        "/countries?product=kaspersky",
        "<a href=\"/countries/US?product=kaspersky\">United States</a>",
    ),
    ("/countries/US", "active organisations in the United States in contact"),
    ("/sectors", "&lt;script&gt;Health"),
    ("/sectors/technology", "<h1>Technology: Kaspersky</h1>"),
    ("/policies", "<a href=\"/policies/US-BIS-updates\">US-BIS-updates</a>"),
    ("/policies/US-BIS-updates", "<dt>In force</dt><dd>29 September 2024</dd>"),
    ("/organisations", "&lt;b&gt;Acme GmbH"),
    ("/organisations/org%3AACME%2F1%20%26%20more", "<title>192.0.2.0/24, "),
    ("/exposure", "<a href=\"/exposure/f-1\">&lt;b&gt;Acme</a>"),
    ("/exposure/f-1", "Looked for in vain"),
    ("/releases", ">kaspersky by country</a>"),
    ("/releases/report:1:0", "As published on 1 January 2025, and as known now"),
    ("/compare", "Among 6 countries, the change lies between"),
    ("/compare", "; 4 others lie between"),
    ("/compare?what=products", "Among 2 products"),
    ("/explore", "<select name=\"sector\">"),
    ("/quality", "What each vantage read, and what it lost"),
    (
        "/quality",
        "<td>&lt;holder&gt;</td><td>rir</td><td>2024-10-01</td><td class=\"n\">91</td>",
    ),
    ("/methods", "Cohort removal"),
    ("/about", "89 FR 52434"),
    ("/about", "<a href=\"/api/v1/views/census_by_month?format=parquet\">parquet</a>"),
    ("/figures/over-time?country=DE", "Kaspersky, Germany, January 2024 to December"),
    ("/figures/compare?of=US,DE", "Among 2 countries"),
    (
        "/figures/slopes?of=US,DE,LU",
        "Luxembourg: suppressed: too few organisations stand",
    ),
];

async fn page(uri: &str) -> (StatusCode, String) {
    let (answer, body) = call(GOOD, Method::GET, uri).await;
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8", "{uri}");
    (answer.status(), body)
}

#[tokio::test]
async fn every_page_says_what_it_is_about_in_one_layout() {
    for (uri, words) in PAGES {
        let (status, page) = page(uri).await;
        assert_eq!(status, StatusCode::OK, "{uri}");
        for part in [
            *words,
            "SYNTHETIC DATA",
            "<a class=\"skip\" href=\"#main\">",
            "<nav class=\"site\" aria-label=\"Pages\">",
            "<main id=\"main\"",
        ] {
            assert!(page.contains(part), "{uri}: {part}");
        }
        assert_eq!(page.matches("<h1").count(), 1, "{uri} has one heading");
        let scripts = page.matches("<script").count();
        assert_eq!(scripts, 1, "{uri}: only the script of the layout");
        assert!(!page.contains(" style=") && !page.contains("<style"), "{uri}");
        assert!(!page.contains(" onclick") && !page.contains("javascript:"), "{uri}");
    }
}

#[tokio::test]
async fn every_link_of_every_page_leads_somewhere() {
    let mut links = std::collections::BTreeSet::new();
    for (uri, _) in PAGES {
        let (_, page) = page(uri).await;
        for part in page.split("href=\"").skip(1) {
            let address = part.split('"').next().unwrap().replace("&amp;", "&");
            let is_text = !["png", "parquet", "arrow"]
                .iter()
                .any(|form| address.contains(&format!("format={form}")));
            if address.starts_with('/') && is_text {
                links.insert(address);
            }
        }
    }
    assert!(links.len() > 60, "{}", links.len());
    for link in links {
        let (answer, body) = call(GOOD, Method::GET, &link).await;
        assert_eq!(answer.status(), StatusCode::OK, "{link}: {body}");
    }
}

#[tokio::test]
async fn the_front_page_is_three_sentences_three_figures_and_small() {
    let (_, page) = page("/").await;
    let told = page.split("<ul class=\"told\">").nth(1).unwrap();
    let told = told.split("</ul>").next().unwrap();
    assert_eq!(told.matches("<li>").count(), 3);
    assert!(told.contains("the number of organisations in all countries"));
    assert!(told.contains("3 dated events") || told.contains("4 dated events"));
    assert_eq!(page.matches("<figure ").count(), 3);
    assert!(page.len() < 150_000, "{} bytes", page.len());
}

#[tokio::test]
async fn every_figure_has_a_permalink_files_a_table_and_a_line_to_cite_it() {
    let (_, page) = page("/products/kaspersky").await;
    let figures: Vec<&str> = page.split("<figure ").skip(1).collect();
    assert_eq!(figures.len(), 4);
    for figure in figures {
        let figure = figure.split("</figure>").next().unwrap();
        for part in
            ["Permalink</a>", "SVG</a>", "PNG</a>", "CSV</a>", "Cite as:", "<table>"]
        {
            assert!(figure.contains(part), "{part}");
        }
        assert!(
            figure.contains("before=2024-04&amp;after=2024-11"),
            "names its choices"
        );
    }
}

#[tokio::test]
async fn a_permalink_shows_the_figure_that_it_is_the_link_of() {
    let (_, of_page) = page("/countries/DE").await;
    let title = |page: &str| {
        let figure = page.split("<figure id=\"over-time\">").nth(1).unwrap();
        let title = figure.split("<h2>").nth(1).unwrap();
        title.split("</h2>").next().unwrap().to_owned()
    };
    let link = of_page.split("href=\"/figures/over-time?").nth(1).unwrap();
    let query = link.split('"').next().unwrap().replace("&amp;", "&");
    let (_, alone) = page(&format!("/figures/over-time?{query}")).await;
    assert_eq!(title(&of_page), title(&alone));
}

#[tokio::test]
async fn what_a_rule_hides_is_told_in_the_place_of_the_figure() {
    let (status, page) = page("/countries/LU").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("Not shown:") && page.contains("count by week"));
}

#[tokio::test]
async fn an_act_is_told_with_its_evidence_and_its_refusals() {
    let (_, page) = page("/policies/US-BIS-updates").await;
    for part in [
        "<h2>Verdict</h2>",
        "62 % were not active after",
        "half of them gone after",
        "<code>no-donors</code>",
        "no country is like it &lt;before&gt;",
        "<code>effect-needs-comparison</code>",
        "not carried out",
        "Not identified: no-donors.",
        "exchange saw half as much",
        "20% of those who had Kaspersky were seen with a rival alone after; of 15% nothing",
        "not even with controls: not known: 15% (14–17%)",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[tokio::test]
async fn an_act_that_is_being_worked_out_is_not_kept_as_the_answer() {
    let (_, working) = page("/policies/US-BIS-sales").await;
    assert!(working.contains("being worked out"));
    let (_, absent) = page("/policies/DE-BSI-warning").await;
    assert!(
        absent.contains("Its months were not covered.") || absent.contains("no act")
    );
}

#[tokio::test]
async fn what_is_not_there_is_told_in_the_same_layout() {
    for uri in ["/nowhere", "/countries/XX", "/products/x", "/policies/x", "/figures/x"]
    {
        let (status, page) = page(uri).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{uri}");
        assert!(
            page.contains("role=\"alert\"") && page.contains("<nav class=\"site\"")
        );
    }
}

#[tokio::test]
async fn what_asks_for_something_to_be_done_comes_first_and_what_was_not_seen_is_told()
{
    let (_, all) = page("/exposure").await;
    let place = |words: &str| all.find(words).unwrap_or_else(|| panic!("{words}"));
    assert!(place("Head office</a>") < place("&lt;b&gt;Acme</a>"));
    assert!(place("<li>One finding is to be worked on, 1 of them seen again") > 0);
    assert!(place("no vantage ever saw its networks: nothing is known") > 0);
    let (_, quiet) = page("/exposure?state=quiet&q=SHOP").await;
    assert!(quiet.contains("1 of 2 findings") && !quiet.contains("Head office</a>"));
    let (status, _) = page("/exposure?state=gone").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = page("/exposure/f-9").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

/// A page or an answer as everybody gets it.
async fn of_everybody(uri: &str) -> String {
    let public = Made { public: true, ..GOOD };
    let plain = router(Arc::new(public), Settings::default());
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let answer = plain.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// What was shown then and is hidden today would, with what else is shown today, tell of what is
/// hidden; and where nothing of today tells what is hidden, it may be anything.
#[tokio::test]
async fn what_is_hidden_today_is_not_given_back_by_what_was_shown_then() {
    for uri in [
        "/releases/report:1:2",
        "/api/v1/releases/report:1:2",
        "/api/v1/releases/report:1:2?format=csv",
    ] {
        let body = of_everybody(uri).await;
        assert!(body.contains("2,500") || body.contains("2500"), "{uri}: {body}");
        // Luxembourg: 12 organisations then, suppressed today.
        assert!(!body.contains(">12<") && !body.contains(",12,"), "{uri}: {body}");
        assert!(!body.contains(":12,"), "{uri}: {body}");
    }
    for uri in ["/releases/report:1:1", "/api/v1/releases/report:1:1"] {
        let body = of_everybody(uri).await;
        assert!(!body.contains("22,000") && !body.contains("22000"), "{uri}: {body}");
    }
}

#[tokio::test]
async fn a_release_is_told_as_published_and_as_known_now() {
    let (_, of) = page("/releases/report:1:0").await;
    for part in [
        "<td>United States</td><td class=\"n\">2,500</td><td class=\"n\">2,540</td>",
        "<td>Germany</td><td class=\"n\">1,910</td><td class=\"n\">1,910</td><td \
         class=\"n\">same</td>",
        // Hidden then, and nothing of today beside it.
        "<td>Luxembourg</td><td class=\"n\">suppressed</td><td class=\"n\"></td>",
        "were moved: 1 by the &lt;catalog&gt;",
        "are other ones today",
    ] {
        assert!(of.contains(part), "{part}: {of}");
    }
    for (uri, told) in [
        ("/releases/report:1:2", "Withdrawn on 2 January 2025"),
        ("/releases", "1 January 2025, withdrawn 2 January 2025"),
        ("/api/v1/releases/report:1:2", "\"withdrawn\":\"2025-01-02T00:00:00Z\""),
        ("/api/v1/releases/report:1:0", "\"withdrawn\":null"),
    ] {
        let body = of_everybody(uri).await;
        assert!(body.contains(told), "{uri}: {body}");
    }
    let (_, refused) = page("/releases/report:1:1").await;
    assert!(refused.contains("What it says today is not shown: days"), "{refused}");
    assert!(
        refused.contains("As published on 1 January 2025.")
            && refused.contains("22,000")
    );
    let body = of_everybody("/releases/report:1:0").await;
    assert!(body.contains("2,500") && !body.contains("<h2>Why</h2>"), "{body}");
    let (status, _) = page("/releases/report:9").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_finding_is_told_with_its_evidence_and_what_to_do() {
    let (_, page) = page("/exposure/f-1").await;
    for part in [
        "quiet since 27 September 2024: not seen for 28 days",
        "<li>Ask the supplier what was in contact.</li>",
        "update kaspersky-updates, recognised by sni",
        "<td>198.51.100.0/24</td><td>hq</td>",
        "no chance of detection was given",
        "J. &lt;Doe&gt;",
        "tidegauge exposure say f-1 disputed",
        "&lt;i&gt;shop",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[tokio::test]
async fn an_export_is_a_file_of_its_own_type() {
    let uri = "/api/v1/exports/stix";
    let (answer, body) = call(GOOD, Method::GET, uri).await;
    assert_eq!(answer.headers()["content-type"], "application/stix+json;version=2.1");
    let name = &answer.headers()["content-disposition"];
    assert_eq!(name, "attachment; filename=\"stix.json\"");
    assert_eq!(body, "stix");
    let (answer, body) = call(GOOD, Method::GET, "/api/v1/exports/docx").await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert!(body.contains("defectdojo"), "{body}");
}

#[tokio::test]
async fn organisations_and_findings_are_for_the_operator_alone() {
    for route in [
        "/organisations",
        "/organisations/org%3AACME%2F1%20%26%20more",
        "/exposure",
        "/exposure/f-1",
        "/api/v1/organisations",
        "/api/v1/organisations/org%3AACME%2F1%20%26%20more",
        "/api/v1/findings",
        "/api/v1/findings/f-1",
        "/api/v1/exports/csv",
        "/api/v1/releases/report:1:0/causes",
    ] {
        let public = Made { public: true, ..GOOD };
        let (answer, body) = call(public, Method::GET, route).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{route}");
        assert!(!body.contains("Acme") && body.contains("--internal"), "{route}");
    }
}

#[tokio::test]
async fn months_that_were_not_covered_are_refused() {
    for query in
        ["from=1990-01", "to=9999-12", "after=2031-01", "before=2024-12&after=2024-01"]
    {
        let (status, page) = page(&format!("/figures/over-time?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        assert!(page.contains("Hint:"), "{query}");
    }
}

#[tokio::test]
async fn an_empty_lake_and_a_broken_one_are_told_on_every_page() {
    for (uri, _) in PAGES {
        let empty = Made { empty: true, ..GOOD };
        let (answer, page) = call(empty, Method::GET, uri).await;
        assert!(answer.status() != StatusCode::INTERNAL_SERVER_ERROR, "{uri}");
        assert!(!page.contains("panicked"), "{uri}");
        let broken = Made { broken: true, ..GOOD };
        let (_, page) = call(broken, Method::GET, uri).await;
        assert!(!page.contains("secret"), "{uri}");
    }
}

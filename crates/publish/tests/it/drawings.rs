//! Every kind of figure as it was looked at: the file of its own, and what a phone shows.
//!
//! **Invariant:** `UPDATE=1` rewrites the drawings in `tests/golden/figures`; without it they
//! are only read. They open in any browser: whoever changes a figure looks at what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use axum::http::{Method, StatusCode};

use crate::interface::golden;
use crate::made::GOOD;
use crate::report::FULL;
use crate::serve::call;

/// Pages with figures that are in no report.
const PAGES: &[&str] = &[
    "/figures/compare",
    "/figures/slopes",
    "/policies/US-BIS-updates",
    "/organisations/org%3AACME%2F1%20%26%20more",
    "/exposure/f-1",
];
/// Files of them.
const FILES: &[(&str, &str)] = &[
    ("compare", "/api/v1/figures/compare?format=svg"),
    ("slopes", "/api/v1/figures/slopes?format=svg"),
    ("survival", "/api/v1/policies/US-BIS-updates/figure?figure=survival&format=svg"),
    (
        "substitution",
        "/api/v1/policies/US-BIS-updates/figure?figure=substitution&format=svg",
    ),
    ("choices", "/api/v1/policies/US-BIS-updates/figure?figure=choices&format=svg"),
];

async fn body(uri: &str) -> String {
    let (answer, body) = call(GOOD, Method::GET, uri).await;
    assert_eq!(answer.status(), StatusCode::OK, "{uri}: {body}");
    body
}

/// The drawings for a phone in a page, by the name of their figure, each as a file that
/// opens: with the style of `file`.
fn narrow(page: &str, file: &str) -> Vec<(String, String)> {
    let style = file.split("<style>").nth(1).and_then(|s| s.split("</style>").next());
    let style = style.expect("a file of its own has its style");
    let drawings = page.split("<svg class=\"narrow\" ").skip(1);
    drawings
        .map(|drawing| {
            let drawing = drawing.split("</svg>").next().unwrap();
            let (head, inner) = drawing.split_once('>').unwrap();
            let name = head.split("aria-labelledby=\"").nth(1).unwrap();
            let name = name.split("-narrow-t").next().unwrap().to_owned();
            let svg = format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" {head}>\n<style>\n{style}</style>\n\
                 {inner}\n</svg>\n"
            );
            (name, svg)
        })
        .collect()
}

#[tokio::test]
async fn every_figure_is_drawn_as_it_was_looked_at() {
    let mut drawn: BTreeMap<String, String> = BTreeMap::new();
    for (name, file) in FULL.iter() {
        let figure = name.strip_prefix("figures/").and_then(|n| n.strip_suffix(".svg"));
        if let Some((figure, svg)) = figure.zip(std::str::from_utf8(file).ok()) {
            drawn.insert(format!("{figure}.svg"), svg.to_owned());
        }
    }
    for (name, uri) in FILES {
        drawn.insert(format!("{name}.svg"), body(uri).await);
    }
    let file = drawn["slopes.svg"].clone();
    let report = String::from_utf8(FULL["index.html"].clone()).unwrap();
    let mut pages = vec![report];
    for uri in PAGES {
        pages.push(body(uri).await);
    }
    for page in &pages {
        for (name, svg) in narrow(page, &file) {
            drawn.entry(format!("{name}-narrow.svg")).or_insert(svg);
        }
    }
    for (name, svg) in &drawn {
        golden(&format!("tests/golden/figures/{name}"), svg);
    }
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/figures");
    let kept: BTreeSet<String> = std::fs::read_dir(kept)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(kept, drawn.into_keys().collect(), "no drawing is left of what is gone");
}

//! The report as files: what is in them, and what must never be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use resvg::tiny_skia::Pixmap;
use serde_json::{Value, json};
use tidegauge_model::SectorId;
use tidegauge_model::count::{Dating, Dimension};
use tidegauge_model::estimate::Quantity;
use tidegauge_model::policy::Timeline;
use tidegauge_publish::report::{self, Correction, Paired, Provenance, Report};

use crate::interface::fits;
use crate::sample;

/// Files of the full report by name, written once: drawing takes seconds.
pub(crate) static FULL: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let mut report = sample::full();
    let hostile = "<script>alert(1)</script>";
    report.sector_names.insert(SectorId::new("retail"), hostile.to_owned());
    report.provenance.more.push((hostile.to_owned(), "\"><img src=x>".to_owned()));
    written(&report)
});

fn written(report: &Report) -> BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let written = report::write(report, dir.path()).unwrap();
    assert_eq!(written.html, dir.path().join("index.html"));
    let files = files_below(dir.path());
    assert_eq!(files.len(), written.files, "every file that was counted exists");
    files
        .into_iter()
        .map(|path| {
            let name =
                path.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(&path).unwrap())
        })
        .collect()
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

/// The JSON document, if it is what its schema says.
fn document(files: &BTreeMap<String, Vec<u8>>) -> Value {
    let document: Value = serde_json::from_slice(&files["report.json"]).unwrap();
    let schema: Value =
        serde_json::from_str(include_str!("../../../app/assets/output.schema.json"))
            .unwrap();
    let all = json!({ "components": { "schemas": schema["$defs"] } });
    let is = |name: &str, value: &Value| {
        fits(&all, &json!({ "$ref": format!("#/$defs/{name}") }), value, name);
    };
    is("report", &document);
    for section in document["sections"].as_array().unwrap() {
        let absent = section.get("absent").is_some();
        is(if absent { "report_absence" } else { "report_figure" }, section);
    }
    document
}

fn text<'a>(files: &'a BTreeMap<String, Vec<u8>>, name: &str) -> &'a str {
    std::str::from_utf8(&files[name]).unwrap()
}

/// A report with a few words and no numbers: fast, because it draws nothing.
fn bare() -> Report {
    Report {
        months_frozen: None,
        months_each_day: None,
        countries: None,
        sectors: None,
        government: None,
        estimates: Vec::new(),
        correction: None,
        retention: Vec::new(),
        coverage: Vec::new(),
        timeline: Timeline::default(),
        rank_panel: None,
        synthetic: None,
        expansion: None,
        provenance: Provenance::default(),
        ..sample::full()
    }
}

/// What the page loads or links: every `src`, `href` and `url(…)`.
fn references(html: &str) -> Vec<&str> {
    let quoted = ["src=\"", "href=\""].into_iter().flat_map(|attribute| {
        html.split(attribute).skip(1).filter_map(|rest| rest.split('"').next())
    });
    let styled = html.split("url(").skip(1).filter_map(|rest| rest.split(')').next());
    quoted.chain(styled).collect()
}

#[test]
fn the_page_loads_nothing_and_links_only_its_own_files() {
    let html = text(&FULL, "index.html");
    let found = references(html);
    assert!(found.len() > 20, "the page has links: {}", found.len());
    for reference in found {
        let own = FULL.contains_key(reference);
        assert!(own || reference.starts_with("data:font/woff2;base64,"), "{reference}");
    }
    for never in ["http://", "https://", "<script", "<link", "@import", "<iframe"] {
        assert!(!html.contains(never), "{never}");
    }
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn every_figure_is_there_as_svg_png_and_table() {
    let html = text(&FULL, "index.html");
    let ids = [
        "over-time",
        "countries",
        "removal",
        "corrected",
        "visibility",
        "sectors",
        "government",
        "retention",
        "ranks",
        "coverage",
    ];
    for id in ids {
        assert!(html.contains(&format!("<figure id=\"{id}\">")), "{id}");
        let svg = text(&FULL, &format!("figures/{id}.svg"));
        assert!(
            svg.contains("<title id=\"t\">") && svg.contains("<desc id=\"d\">"),
            "{id}"
        );
        assert!(!svg.contains("var(--"), "{id} has concrete colours");
        let csv = text(&FULL, &format!("tables/{id}.csv"));
        assert!(csv.lines().count() > 2, "{id}");
        let pixels = Pixmap::decode_png(&FULL[&format!("figures/{id}.png")]).unwrap();
        assert!(pixels.width() > 1_500 && pixels.height() > 300, "{id}");
        let inked = pixels.pixels().iter().filter(|p| p.red() < 128).count();
        assert!(inked > 2_000, "{id} is not blank: {inked} dark pixels");
        assert!(pixels.pixels().iter().all(|p| p.alpha() == 255), "{id} is opaque");
    }
}

#[test]
fn the_headline_and_the_key_numbers_come_from_the_data() {
    let html = text(&FULL, "index.html");
    // The sample keeps 1,067 - 106 of the cohort of 2,540.
    assert!(html.contains(
        "Between April and November 2024, 1,579 of 2,540 organisations in the United States \
         dropped out of contact with Kaspersky’s update servers; 961 were still seen"
    ));
    assert!(html.contains("22,014 to 8,003"));
    assert!(html.contains(
        "19 government organisations in the United States were in contact \
                           in November 2024, down from 102 in April"
    ));
    assert!(html.contains("SYNTHETIC DATA"));
    assert!(html.contains("× 100"));
}

#[test]
fn what_is_corrected_stands_beside_what_was_seen_and_refusals_name_their_rule() {
    let html = text(&FULL, "index.html");
    for words in [
        "With visibility taken out, 56% of organisations in the United States",
        "and 63% of all organisations",
        "At exchange contacts of product and controls alike fell to 50 % (45 to 55 %)",
        "Not identified in one group: too many were not looked at.",
        "errors of attribution and of noise are not in them",
        "Visibility not separated from usage, except where it is taken out.",
    ] {
        assert!(html.contains(words), "{words}");
    }
    let csv = text(&FULL, "tables/corrected.csv");
    let of = |code: &str| csv.lines().find(|l| l.starts_with(code)).unwrap();
    assert!(of("US,").starts_with("US,2540,0.621654,0.559843,"), "{}", of("US,"));
    assert!(
        of("DE,").ends_with(",,,,form-only: too many were not looked at"),
        "{}",
        of("DE,")
    );
    let svg = text(&FULL, "figures/corrected.svg");
    assert!(svg.contains(">not identified<"));
    let weeks = text(&FULL, "tables/visibility.csv");
    assert_eq!(weeks.lines().count(), 1 + 2 * 35);
}

#[test]
fn where_no_model_was_made_the_reason_is_told() {
    let correction = Correction {
        refused: vec![(Vec::new(), "no-model: the panel has no days".to_owned())],
        ..Correction::default()
    };
    let estimates = sample::full()
        .estimates
        .into_iter()
        .filter(|e| e.quantity() != Quantity::RemovalCorrected)
        .collect();
    let files = written(&Report { correction: Some(correction), estimates, ..bare() });
    let html = text(&files, "index.html");
    assert!(html.contains(
        "How many stopped using Kaspersky is not identified: the panel has no days."
    ));
    assert!(html.contains("No curve could be fitted: the panel has no days."));
    assert!(text(&files, "figures/corrected.svg").contains(">not identified<"));
}

#[test]
fn titles_follow_the_numbers_whichever_way_they_go() {
    let rising = sample::paired(Dimension::Country, &[("US", 40, 60), ("DE", 30, 31)]);
    let html = written(&Report { countries: Some(rising), ..bare() });
    let html = text(&html, "index.html");
    assert!(html.contains("In none of the 2 countries shown did the number of organisations \
                           fall between April and November 2024; in United States it rose \
                           by 50%"), "{html}");
}

#[test]
fn every_comparison_carries_the_caveat_of_visibility() {
    let html = text(&FULL, "index.html");
    for id in
        ["over-time", "countries", "removal", "sectors", "government", "retention"]
    {
        let from = html.find(&format!("<figure id=\"{id}\">")).unwrap();
        let figure = html.get(from..).unwrap().split("</figure>").next().unwrap();
        assert!(figure.contains("Visibility not separated from usage."), "{id}");
        let svg = text(&FULL, &format!("figures/{id}.svg"));
        assert!(svg.contains("Visibility not separated from usage."), "{id}");
    }
}

#[test]
fn windows_are_printed_with_their_lengths() {
    let html = text(&FULL, "index.html");
    assert!(html.contains("April 2024 (30 days) and November 2024 (30 days)"));
}

#[test]
fn hostile_names_stay_text() {
    let html = text(&FULL, "index.html");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!html.contains("<img"));
    let svg = text(&FULL, "figures/sectors.svg");
    assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;"));
}

#[test]
fn suppressed_cells_are_words_never_numbers() {
    // Luxembourg falls from 14 to 7 organisations: the second is suppressed.
    let csv = text(&FULL, "tables/countries.csv");
    assert!(csv.contains("LU,Luxembourg,14,suppressed,suppressed"), "{csv}");
    let raw = text(&FULL, "tables/release-countries-after.csv");
    let row = raw.lines().find(|l| l.starts_with("LU")).unwrap();
    assert_eq!(row, format!("LU{}", ",suppressed".repeat(7)));
    assert!(raw.lines().any(|l| l.starts_with("unattributed,")));
    let svg = text(&FULL, "figures/countries.svg");
    assert!(!svg.contains("Luxembourg"));
    let estimates = text(&FULL, "tables/removal.csv");
    let monaco = estimates.lines().find(|l| l.contains("country=MC")).unwrap();
    assert!(monaco.ends_with(",suppressed,suppressed") && !monaco.contains("0."));
    assert!(text(&FULL, "index.html").contains("fewer than 10 organisations"));
}

#[test]
fn without_data_there_are_words_and_no_figures() {
    let files = written(&bare());
    let names: Vec<_> = files.keys().collect();
    assert_eq!(names, ["index.html", "report.json", "report.md"]);
    let html = text(&files, "index.html");
    assert!(!html.contains("<figure") && !html.contains("<svg"));
    assert!(!html.contains("SYNTHETIC"));
    for words in [
        "Counts by month were not part of this run.",
        "Counts by country were not part of this run.",
        "Estimates of removal were not part of this run.",
        "No coverage was recorded",
        "What can and cannot be said about contacts with Kaspersky’s update servers",
    ] {
        assert!(html.contains(words), "{words}");
        assert!(text(&files, "report.md").contains(words), "{words}");
    }
    let document = document(&files);
    assert_eq!(document["synthetic"], Value::Null);
    assert_eq!(document["program"], Value::Null);
    assert_eq!(document["estimates"], Value::Array(Vec::new()));
    for section in document["sections"].as_array().unwrap() {
        assert!(section["absent"].is_string(), "{section}");
    }
}

#[test]
fn a_figure_of_which_everything_is_suppressed_is_replaced_by_words() {
    let small = sample::paired(Dimension::Country, &[("US", 5, 4), ("DE", 6, 3)]);
    let files = written(&Report { government: Some(small), ..bare() });
    let html = text(&files, "index.html");
    assert!(html.contains("Every country is suppressed: too few organisations"));
    assert!(!files.contains_key("figures/government.svg"));
}

#[test]
fn one_month_is_compared_with_nothing() {
    let april = sample::month("2024-04");
    let full = sample::full();
    let files = written(&Report { before: april, after: april, ..full });
    let html = text(&files, "index.html");
    assert!(html.contains("There is one window, and nothing to compare it with."));
    assert!(!html.contains("Between April"), "nothing lies between");
    assert!(!html.contains("class=\"keys\""));
}

#[test]
fn of_a_month_covered_in_part_there_is_no_point() {
    let last = sample::day("2024-12-05");
    let covered = tidegauge_model::DayRange::new(sample::year().first(), last).unwrap();
    let files = written(&Report { covered, ..sample::full() });
    let svg = text(&files, "figures/over-time.svg");
    assert!(svg.contains("November 2024: ") && !svg.contains("December 2024: "));
    assert!(svg.contains("Not every day of December 2024 was covered"), "{svg}");
    assert!(text(&files, "tables/over-time.csv").contains("2024-12,"));
}

#[test]
fn unequal_windows_are_not_compared() {
    let frozen = Dating::Frozen(sample::day("2024-03-01"));
    let of = |window| {
        sample::release(
            sample::month(window),
            Dimension::Country,
            &[(Some("US"), 500)],
            frozen,
        )
    };
    let countries = Some(Paired { before: of("2024-03"), after: of("2024-11") });
    let estimates = sample::full().estimates;
    let before = sample::month("2024-03");
    let files = written(&Report { before, countries, estimates, ..bare() });
    let html = text(&files, "index.html");
    assert!(html.contains("The windows are not equally long (31 days and 30 days)"));
    assert!(!html.contains("class=\"keys\""));
    assert!(!files.contains_key("figures/countries.svg"));
    assert!(!files.contains_key("figures/removal.svg"));
}

#[test]
fn counts_that_would_have_to_be_added_are_refused() {
    let twice = |window| {
        let rows = [(Some("US"), 500), (Some("US"), 400)];
        let days = sample::month(window);
        sample::release(days, Dimension::Country, &rows, Dating::EachDay)
    };
    let countries = Some(Paired { before: twice("2024-04"), after: twice("2024-11") });
    let files = written(&Report { countries, ..bare() });
    assert!(
        text(&files, "index.html").contains("counts of organisations cannot be added")
    );
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    let small = || Report { coverage: sample::coverage(), ..bare() };
    assert_eq!(written(&small()), written(&small()));
}

#[test]
fn a_share_that_is_not_a_number_is_not_drawn() {
    let estimates = vec![sample::of_nobody()];
    let files = written(&Report { estimates, ..bare() });
    let html = text(&files, "index.html");
    assert!(!html.contains("NaN"));
    assert_eq!(document(&files)["estimates"][0]["estimate"]["value"], Value::Null);
    assert!(!files.contains_key("figures/removal.svg"));
}

#[test]
fn events_are_drawn_where_they_could_first_act_and_only_if_they_have_a_label() {
    let svg = text(&FULL, "figures/over-time.svg");
    let shown: Vec<&str> = svg
        .split("<tspan class=\"b\">")
        .skip(1)
        .filter_map(|rest| rest.split("</text>").next())
        .collect();
    let expected = [
        "20 Jun</tspan> US ban announced",
        "20 Jul</tspan> US sales end",
        "17–19 Sep</tspan> US consumers moved to UltraAV",
        "29 Sep</tspan> US updates end",
    ];
    assert_eq!(shown, expected);
    let shades = svg.matches("class=\"range\"").count();
    assert_eq!(shades, 1, "one of the events may have been on any of three days");
}

/// Everything that Markdown links or shows.
fn links(markdown: &str) -> BTreeSet<&str> {
    let found = markdown.split("](").skip(1);
    found.filter_map(|rest| rest.split(')').next()).collect()
}

#[test]
fn the_markdown_says_what_the_page_says_in_its_order() {
    let (html, markdown) = (text(&FULL, "index.html"), text(&FULL, "report.md"));
    assert!(markdown.starts_with("> **SYNTHETIC DATA** World "));
    let plain = |html: &str| html.replace("&#39;", "'").replace("&quot;", "\"");
    let titles = |from: &str, open: &str, close: &str| -> Vec<String> {
        let found = from.split(open).skip(1);
        found.map(|rest| plain(rest.split(close).next().unwrap())).collect()
    };
    let of_page = titles(html, "<h2>", "</h2>");
    let of_text = titles(markdown, "\n## ", "\n");
    assert!(of_page.len() > 12, "{of_page:?}");
    assert_eq!(of_page, of_text);
    for words in [
        "\n# Between April and November 2024, 1,579 of 2,540 organisations",
        "* Net change, organisations: **",
        "22,014 to 8,003",
        "Before: April 2024 (30 days). After: November 2024 (30 days).",
        "Between the two lie ",
        "### What these numbers cannot tell",
        "* **Cohort removal**: Share of",
        "* **Seed**: ",
    ] {
        assert!(markdown.contains(words), "{words}");
    }
}

#[test]
fn every_link_of_the_markdown_and_every_file_of_the_document_exists() {
    let markdown = text(&FULL, "report.md");
    let linked = links(markdown);
    let is_drawing = |name: &&str| name.contains(".svg");
    let drawn = FULL.keys().map(String::as_str).filter(is_drawing).count();
    let pictures = linked.iter().copied().filter(is_drawing).count();
    assert_eq!((pictures, drawn > 8), (drawn, true));
    for name in linked {
        assert!(FULL.contains_key(name), "{name}");
    }
    let document = document(&FULL);
    let mut named: Vec<&str> = Vec::new();
    for section in document["sections"].as_array().unwrap() {
        let files = section["files"].as_object().into_iter().flatten();
        named.extend(files.map(|(_, name)| name.as_str().unwrap()));
    }
    for asked in document["provenance"]["queries"].as_array().unwrap() {
        named.push(asked["file"].as_str().unwrap());
    }
    let named: BTreeSet<&str> = named.into_iter().collect();
    let written = FULL.keys().map(String::as_str).filter(|name| name.contains('/'));
    assert_eq!(named, written.collect());
}

#[test]
fn hostile_names_stay_text_in_markdown() {
    let markdown = text(&FULL, "report.md");
    assert!(markdown.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    for never in ["<script", "<img", "http://", "https://"] {
        assert!(!markdown.contains(never), "{never}");
    }
    let more = [
        ("a | b\n# c", "[here](https://example.org)"),
        ("*bold* _it_ `code`", "![seen](x.png)"),
    ];
    let more = more.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let provenance = Provenance { more: more.to_vec(), ..Provenance::default() };
    let files = written(&Report { provenance, ..bare() });
    let markdown = text(&files, "report.md");
    for line in [
        "* **a \\| b \\# c**: \\[here\\](https\\://example\\.org)",
        "* **\\*bold\\* \\_it\\_ \\`code\\`**: !\\[seen\\](x.png)",
    ] {
        assert!(markdown.lines().any(|l| l == line), "{line}\n{markdown}");
    }
}

#[test]
fn a_table_of_the_markdown_has_its_columns_in_every_row_and_says_where_it_ends() {
    let markdown = text(&FULL, "report.md");
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let mut tables = 0;
    for block in markdown.split("\n\n").filter(|b| b.starts_with("| ")) {
        let of: BTreeSet<usize> = block.lines().map(columns).collect();
        assert_eq!(of.len(), 1, "{block}");
        assert!(
            block.lines().count() <= 2 + 50 || block.contains("vantage"),
            "{block}"
        );
        tables += 1;
    }
    assert!(tables > 10, "{tables}");
    let weeks = "The first 50 of 70 rows; [tables/visibility.csv](tables/visibility.csv) \
                 has all.";
    assert!(markdown.contains(weeks));
}

#[test]
fn suppressed_is_a_word_in_markdown_and_null_in_the_document() {
    let markdown = text(&FULL, "report.md");
    assert!(markdown.contains("| LU | Luxembourg | 14 | suppressed | suppressed"));
    let document = document(&FULL);
    let estimates = document["estimates"].as_array().unwrap();
    let of = |code: &str| {
        let is = |e: &&Value| {
            e["stratum"] == json!({ "country": code })
                && e["quantity"] == "cohort_removal"
        };
        estimates.iter().find(is).unwrap()
    };
    let monaco = of("MC");
    assert_eq!(
        (&monaco["estimate"], &monaco["suppressed"]),
        (&Value::Null, &json!(true))
    );
    let us = &of("US")["estimate"];
    assert_eq!((&us["n"], &us["k"]), (&json!(2540), &json!(961)));
    let interval = &us["intervals"][0];
    assert!(interval["low"].as_f64().unwrap() < us["value"].as_f64().unwrap());
    let sections = document["sections"].as_array().unwrap();
    let countries = sections.iter().find(|s| s["id"] == "countries").unwrap();
    let rows = countries["table"]["rows"].as_array().unwrap();
    let luxembourg = rows.iter().find(|row| row[0] == "LU").unwrap();
    assert_eq!((&luxembourg[2], &luxembourg[3]), (&json!("14"), &json!("suppressed")));
}

#[test]
fn the_document_tells_what_the_page_tells() {
    let (html, document) = (text(&FULL, "index.html"), document(&FULL));
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["windows"]["before"]["first"], "2024-04-01");
    assert!(document["synthetic"]["world"].is_string());
    for words in ["headline", "standfirst"] {
        assert!(html.contains(document[words].as_str().unwrap()), "{words}");
    }
    let keys = document["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 4);
    for key in keys {
        assert!(html.contains(key["figure"].as_str().unwrap()), "{key}");
    }
    let hostile = json!({
        "name": "<script>alert(1)</script>",
        "value": "\"><img src=x>",
    });
    let more = document["provenance"]["more"].as_array().unwrap();
    assert!(more.contains(&hostile), "{more:?}");
}

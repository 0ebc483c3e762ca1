//! Every form of output, against files that were looked at and, where there is one, the
//! official validator.
//!
//! **Invariant:** `UPDATE=1` rewrites the files; without it they are only read.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::dossier::Audience;
use crate::sample::{FACES, combine, days, imported, portfolio, sample};
use letter::{Masked, Names, Sender, letters};

fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    #[expect(clippy::disallowed_methods, reason = "the switch that rewrites goldens")]
    if std::env::var("UPDATE").is_ok() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let hint = "differs; `UPDATE=1 cargo test` writes it anew";
    // The order of keys depends on what else is built, so JSON is compared as values.
    let values = |text: &str| -> Option<Vec<Value>> {
        serde_json::Deserializer::from_str(text)
            .into_iter()
            .collect::<Result<_, _>>()
            .ok()
    };
    match (values(text), values(&kept)) {
        (Some(now), Some(kept)) => assert_eq!(now, kept, "{name} {hint}"),
        _ => assert_eq!(text, kept, "{name} {hint}"),
    }
}

fn masked() -> Masked {
    Masked::new(&portfolio(), &imported().0, days().last(), &combine)
}

fn pages() -> Vec<letter::Letter> {
    let sender =
        Sender { name: "Us & Them".to_owned(), reply_to: "soc@us.example".to_owned() };
    let names = Names {
        product: &|product| format!("The <{product}>"),
        server: &|server| Some(format!("{server}.example")),
    };
    letters(&masked(), &sender, names, &FACES).unwrap()
}

#[test]
fn every_form_is_as_it_was_looked_at() {
    let house = sample(Audience::House);
    golden("findings.csv", &table::csv(&house).unwrap());
    golden("findings.json", &document::json(&house).unwrap());
    golden("ecs.ndjson", &ecs::events(&house));
    golden("ocsf.ndjson", &ocsf::events(&house));
    golden("defectdojo.json", &defectdojo::findings(&house).unwrap());
    let masked = masked();
    golden("stix.json", &stix::bundle(masked.dossiers()).unwrap());
    golden("misp.json", &misp::event(masked.dossiers(), "Us").unwrap());
    golden("letter.html", &pages()[0].html);
    golden("ledger.jsonl", &imported().1);
}

#[test]
fn csv_cells_are_no_formulas_and_rows_have_every_column() {
    let csv = table::csv(&sample(Audience::House)).unwrap();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    for record in reader.records() {
        let record = record.unwrap();
        assert_eq!(record.len(), table::COLUMNS.len());
        assert!(record.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@'])));
    }
}

#[test]
fn a_letter_escapes_runs_nothing_and_names_no_address() {
    let pages = pages();
    assert_eq!(pages.len(), 1, "what is ours or verified removed gets none");
    for page in &pages {
        let html = &page.html;
        assert!(!html.contains("<script"), "{html}");
        for address in ["192.0.2.77", "198.51.100.7", "2001:db8:1:2::3"] {
            assert!(!html.contains(address), "{address}");
        }
    }
    let evil = &pages[0].html;
    let name = "=&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt; &quot;Ltd&quot;";
    assert!(evil.contains(name), "{evil}");
    assert!(evil.contains("Us &amp; Them") && evil.contains("198.51.100.0/24"));
}

#[test]
fn a_letter_as_pdf_is_the_same_each_time() {
    for (first, second) in pages().iter().zip(pages()) {
        assert!(first.pdf.starts_with(b"%PDF-"));
        assert!(first.pdf == second.pdf, "{}", first.subject);
    }
}

#[test]
fn silence_closes_nothing_elsewhere() {
    let text = defectdojo::findings(&sample(Audience::House)).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let of = |key: &str| -> Vec<bool> {
        let findings = file["findings"].as_array().unwrap();
        findings.iter().map(|f| f[key].as_bool().unwrap()).collect()
    };
    // Quiet, verified removed, open.
    assert_eq!(of("active"), [true, false, true]);
    assert_eq!(of("is_mitigated"), [false, true, false]);
    let events = ocsf::events(&sample(Audience::House));
    let activities: Vec<i64> = events
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap())
        .map(|e| e["activity_id"].as_i64().unwrap())
        .collect();
    assert_eq!(activities, [2, 3, 1]);
}

/// What the own reader of `DefectDojo` takes of this form (`GenericJSONParser`); it refuses a
/// file with any other key.
const DEFECTDOJO_TAKES: [&str; 24] = [
    "title",
    "severity",
    "description",
    "date",
    "mitigation",
    "impact",
    "severity_justification",
    "references",
    "active",
    "verified",
    "false_p",
    "out_of_scope",
    "under_review",
    "is_mitigated",
    "mitigated",
    "static_finding",
    "dynamic_finding",
    "unique_id_from_tool",
    "vuln_id_from_tool",
    "component_name",
    "component_version",
    "service",
    "nb_occurences",
    "tags",
];

#[test]
fn defectdojo_is_given_no_key_that_it_refuses() {
    let text = defectdojo::findings(&sample(Audience::House)).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    for finding in file["findings"].as_array().unwrap() {
        let keys = finding.as_object().unwrap().keys();
        for key in keys {
            assert!(DEFECTDOJO_TAKES.contains(&key.as_str()), "{key}");
        }
    }
}

#[test]
fn ids_stay_when_a_finding_learns_more() {
    use tidegauge_model::Signal;
    let ids = |bundle: &str| -> std::collections::BTreeSet<String> {
        let bundle: Value = serde_json::from_str(bundle).unwrap();
        let objects = bundle["objects"].as_array().unwrap();
        let kept = ["identity", "sighting", "note", "infrastructure"];
        let of = |o: &Value| o["id"].as_str().unwrap().to_owned();
        objects
            .iter()
            .filter(|o| kept.contains(&o["type"].as_str().unwrap()))
            .map(of)
            .collect()
    };
    let before = stix::bundle(&sample(Audience::Others)).unwrap();
    let mut ledger = imported().0;
    let products = ["kaspersky".into()];
    let settings =
        crate::sample::settings(&products, days(), tidegauge_model::Instant(1 << 51));
    let more = [crate::sample::evidence("192.0.2.80", "2024-03-30", Signal::Served)];
    crate::update::update(&portfolio(), more, &mut ledger, &settings);
    let masked = Masked::new(&portfolio(), &ledger, days().last(), &combine);
    let after = stix::bundle(masked.dossiers()).unwrap();
    assert_ne!(before, after);
    assert_eq!(ids(&before), ids(&after));
}

/// The program of a Python package, if it is installed.
fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|p| p.join(program)).find(|p| p.is_file())
}

#[test]
fn the_official_validator_takes_the_stix_bundle() {
    let Some(validator) = installed("stix2_validator") else {
        eprintln!(
            "SKIPPED: stix2_validator is not on the PATH, so the STIX bundle was NOT \
             validated (pip install stix2-validator)"
        );
        return;
    };
    let bundle = stix::bundle(masked().dossiers()).unwrap();
    let (valid, words) = validated(&validator, &bundle);
    assert!(valid, "{words}");
    // {103} asks for random ids; ours follow from what they name, which the standard lets
    // a producer do (STIX 2.1, 2.9), so that a finding is updated and not doubled.
    let warnings = words.lines().filter(|l| l.contains("[!]") && !l.contains("{103}"));
    assert_eq!(warnings.collect::<Vec<_>>(), [] as [&str; 0]);
    let broken = bundle.replace("\"where_sighted_refs\"", "\"where_sighted_ref\"");
    let broken = broken.replace("\"first_observed\"", "\"first_seen_at\"");
    let (valid, words) = validated(&validator, &broken);
    assert!(!valid, "it would say so: {words}");
}

fn validated(validator: &Path, bundle: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.json");
    std::fs::write(&file, bundle).unwrap();
    let ended = std::process::Command::new(validator)
        .args(["--version", "2.1"])
        .arg(&file)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&ended.stdout).into_owned();
    (ended.status.success() && words.contains("STIX JSON: Valid"), words)
}

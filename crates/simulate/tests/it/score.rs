//! An assessment laid beside the truth of its world.

use std::path::PathBuf;

use serde_json::json;
use tempfile::TempDir;
use tidegauge_simulate::{Estimand, Params, Score, Story, Verdict, score, write};

fn truth(story: Story) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let params = Params { organisations: 0.02, ..Params::of(story) };
    write(&params, dir.path(), &mut |_| {}).unwrap();
    let truth = dir.path().join("truth");
    (dir, truth)
}

/// An assessment of the whole and of Germany, with what it says of corrected removal.
fn assessment(corrected: &serde_json::Value) -> String {
    let figure = |value: f64| json!({ "value": value, "low": value - 0.05, "high": value + 0.05 });
    let group = |country: Option<&str>| {
        json!({
            "country": country, "sector": null, "n_baseline": 400,
            "cohort_removal": figure(0.65), "net_change": figure(0.64),
            "removal_corrected": corrected, "identified": !corrected.is_null(), "reason": null,
        })
    };
    let window = |first: &str, last: &str| json!({ "first": first, "last": last });
    json!({
        "schema_version": 1,
        "before": window("2024-04-01", "2024-04-30"),
        "after": window("2024-11-01", "2024-11-30"),
        "groups": [group(None), group(Some("DE"))],
        "alarms": ["at exchange ..."],
    })
    .to_string()
}

fn verdict(score: &Score, estimand: Estimand) -> Verdict {
    score.lines.iter().find(|l| l.estimand == estimand).unwrap().verdict
}

#[test]
fn where_networks_went_dark_a_refusal_is_right_and_the_naive_figure_wrong() {
    let (_dir, truth) = truth(Story::C);
    let score = score(&truth, &assessment(&json!(null))).unwrap();
    assert_eq!(score.world, Story::C);
    assert!(score.hidden > 0.4, "{}", score.hidden);
    assert_eq!(verdict(&score, Estimand::RemovalCorrected), Verdict::RightlyRefused);
    assert_eq!(verdict(&score, Estimand::CohortRemoval), Verdict::Missed);
    let naive = &score.lines[1];
    assert!((naive.as_seen.unwrap() - 0.65).abs() < 0.06, "{naive:?}");
    assert!((naive.truth - 0.16).abs() < 0.06, "{naive:?}");
    assert!(naive.error().unwrap() > 0.4);
    // Four estimands of two groups.
    assert_eq!(score.lines.len(), 8);
    let corrected = score.summaries()[2];
    assert_eq!((corrected.answered, corrected.refused_rightly), (0, 2));
}

#[test]
fn where_people_left_an_answer_is_covered_and_a_refusal_needless() {
    let (_dir, truth) = truth(Story::A);
    let refused = score(&truth, &assessment(&json!(null))).unwrap();
    assert!(refused.hidden.abs() < 1e-12);
    let needless = verdict(&refused, Estimand::RemovalCorrected);
    assert_eq!(needless, Verdict::NeedlesslyRefused);
    let figure = json!({ "value": 0.62, "low": 0.55, "high": 0.69 });
    let answered = score(&truth, &assessment(&figure)).unwrap();
    let found = &answered.lines[3];
    assert_eq!(found.verdict, Verdict::Covered, "{found:?}");
    assert!(found.error().unwrap().abs() < 0.06, "{found:?}");
    let summary = answered.summaries()[2];
    assert_eq!((summary.answered, summary.intervals), (2, 2));
    let none = json!({ "value": 0.62, "low": null, "high": null });
    let told = score(&truth, &assessment(&none)).unwrap();
    assert_eq!(verdict(&told, Estimand::RemovalCorrected), Verdict::Told);
}

#[test]
fn what_the_disclosure_rule_holds_back_is_no_refusal() {
    let (_dir, truth) = truth(Story::A);
    let held = assessment(&json!(null))
        .replace("\"reason\":null", "\"reason\":\"suppressed: fewer than 10\"");
    let score = score(&truth, &held).unwrap();
    assert_eq!(verdict(&score, Estimand::RemovalCorrected), Verdict::Suppressed);
    let why = score.lines[3].reason.as_deref();
    assert_eq!(why, Some("suppressed: fewer than 10"));
    assert_eq!(score.lines[1].reason, None, "that figure is there");
    assert_eq!(score.summaries()[2].refused_needlessly, 0);
}

#[test]
fn what_is_no_assessment_or_of_another_year_is_refused() {
    let (_dir, truth) = truth(Story::E);
    for text in ["", "{}", "[1]", "{\"groups\": []}"] {
        let error = score(&truth, text).unwrap_err().to_string();
        assert!(error.contains("no assessment"), "{error}");
    }
    let other = assessment(&json!(null)).replace("2024-04", "2023-04");
    let error = score(&truth, &other).unwrap_err().to_string();
    assert!(error.contains("not in the world's year"), "{error}");
    let turned = assessment(&json!(null)).replace("2024-11-01", "2024-12-01");
    assert!(score(&truth, &turned).is_err());
    let status = truth.join("status.csv");
    std::fs::write(&status, "organisation,month\nsyn:us-1,2024-04\n").unwrap();
    let error = score(&truth, &assessment(&json!(null))).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("observed_bits"), "{error}");
    std::fs::remove_file(&status).unwrap();
    assert!(score(&truth, &assessment(&json!(null))).is_err());
}

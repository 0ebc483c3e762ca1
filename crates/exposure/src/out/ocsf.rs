//! OCSF 1.3 Detection Findings (class 2004), one a line.
//!
//! **Invariant:** `finding_info.uid` is the finding's stable id; a finding is closed only
//! when its removal is verified or it is decided not to be ours.

use serde_json::{Value, json};
use tidegauge_model::Instant;
use tidegauge_model::finding::FindingState;

use crate::dossier::{Dossier, Sight};
use crate::out::severity::Severity;
use crate::out::{PROGRAM, description, lines, title};

/// Version of the schema.
const VERSION: &str = "1.3.0";
/// Detection Finding.
const CLASS: u32 = 2004;

/// The lines.
pub fn events(dossiers: &[Dossier]) -> String {
    lines(dossiers.iter().map(event))
}

fn event(dossier: &Dossier) -> Value {
    let life = &dossier.life;
    let (activity, activity_name) = activity(dossier);
    let (status, status_name) = status(life.state);
    let (severity, severity_name) = severity(Severity::of(dossier));
    let first = dossier.evidence.iter().map(|s| s.first).min();
    let last = dossier.evidence.iter().map(|s| s.last).max();
    json!({
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": CLASS,
        "class_name": "Detection Finding",
        "activity_id": activity,
        "activity_name": activity_name,
        "type_uid": CLASS * 100 + activity,
        "time": millis(dossier.recorded_last),
        "start_time": first.map(millis),
        "end_time": last.map(millis),
        "severity_id": severity,
        "severity": severity_name,
        "status_id": status,
        "status": status_name,
        "status_detail": life.why,
        "confidence_score": life.confidence.percent(),
        "is_alert": dossier.is_open(),
        "message": title(dossier),
        "metadata": {
            "version": VERSION,
            "uid": dossier.id.to_string(),
            "product": { "name": PROGRAM, "vendor_name": PROGRAM },
        },
        "finding_info": {
            "uid": dossier.id.to_string(),
            "title": title(dossier),
            "desc": description(dossier),
            "types": ["Exposure"],
            "created_time": millis(dossier.recorded_first),
            "modified_time": millis(dossier.recorded_last),
            "first_seen_time": first.map(millis),
            "last_seen_time": last.map(millis),
        },
        "resources": [{
            "uid": dossier.subject.key,
            "name": dossier.subject.name,
            "type": dossier.subject.kind.as_str(),
            "labels": dossier.subject.tags,
        }],
        "evidences": dossier.evidence.iter().map(evidence).collect::<Vec<_>>(),
        "remediation": { "desc": dossier.next_steps.join("\n") },
    })
}

fn evidence(sight: &Sight) -> Value {
    let mut evidence = json!({ "data": sight });
    if sight.network.length() == 128 {
        evidence["src_endpoint"] = json!({ "ip": sight.network.first().to_string() });
    }
    evidence
}

fn activity(dossier: &Dossier) -> (u32, &'static str) {
    match dossier.life.state {
        FindingState::VerifiedRemoved | FindingState::NotOurs => (3, "Close"),
        _ if dossier.life.moves.len() <= 1 => (1, "Create"),
        _ => (2, "Update"),
    }
}

fn status(state: FindingState) -> (u32, &'static str) {
    match state {
        FindingState::Open | FindingState::Reappeared => (1, "New"),
        FindingState::VerifiedRemoved => (4, "Resolved"),
        FindingState::NotOurs => (3, "Suppressed"),
        _ => (2, "In Progress"),
    }
}

fn severity(severity: Severity) -> (u32, &'static str) {
    match severity {
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
    }
}

fn millis(at: Instant) -> i64 {
    at.0.div_euclid(1_000)
}

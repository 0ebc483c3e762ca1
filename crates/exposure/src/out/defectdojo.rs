//! The "Generic Findings Import" (JSON) of `DefectDojo`.
//!
//! **Invariant:** a finding is `active` until its removal is verified or it is decided not
//! to be ours: silence closes nothing. `unique_id_from_tool` is the finding's stable id.

use serde_json::{Value, json};
use tidegauge_model::finding::FindingState;

use crate::dossier::Dossier;
use crate::out::severity::Severity;
use crate::out::stamp::text as stamp;
use crate::out::{description, title};

/// The file.
pub fn findings(dossiers: &[Dossier]) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&json!({
        "name": "Tidegauge exposure",
        "type": "Tidegauge exposure",
        "findings": dossiers.iter().map(finding).collect::<Vec<_>>(),
    }))
}

fn finding(dossier: &Dossier) -> Value {
    let life = &dossier.life;
    let removed = life.state == FindingState::VerifiedRemoved;
    let not_ours = life.state == FindingState::NotOurs;
    let mut tags: Vec<String> = dossier.subject.tags.clone();
    tags.push(format!("product:{}", dossier.product));
    tags.push(format!("state:{}", life.state));
    let mut finding = json!({
        "title": title(dossier),
        "description": description(dossier),
        "severity": Severity::of(dossier).as_str(),
        "severity_justification": Severity::why(dossier),
        "mitigation": dossier.next_steps.join("\n"),
        "date": life.first_seen.to_string(),
        "active": !removed && !not_ours,
        "verified": dossier.evidence.first().is_some_and(|s| s.signal.as_str() == "served"),
        "false_p": false,
        "out_of_scope": not_ours,
        "under_review": life.state == FindingState::Disputed,
        "is_mitigated": removed,
        "static_finding": false,
        "dynamic_finding": true,
        "unique_id_from_tool": dossier.id.to_string(),
        "vuln_id_from_tool": dossier.product.as_str(),
        "component_name": dossier.product.as_str(),
        "service": dossier.subject.name.as_str(),
        "nb_occurences": life.days,
        "tags": tags,
    });
    if removed {
        finding["mitigated"] = stamp(life.since.start()).into();
    }
    finding
}

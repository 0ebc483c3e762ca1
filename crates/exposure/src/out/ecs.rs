//! Elastic Common Schema 8.17, one event a line.
//!
//! **Invariant:** an event's id is that of the finding and its last line, so that the same
//! event twice is one document.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::dossier::Dossier;
use crate::out::severity::Severity;
use crate::out::stamp::text as stamp;
use crate::out::{PROGRAM, description, lines, title};

/// The lines.
pub fn events(dossiers: &[Dossier]) -> String {
    lines(dossiers.iter().map(event))
}

fn event(dossier: &Dossier) -> Value {
    let life = &dossier.life;
    let starts = dossier.evidence.iter().map(|s| s.first).min();
    let ends = dossier.evidence.iter().map(|s| s.last).max();
    // `related.ip` takes addresses, never networks.
    let addresses: BTreeSet<String> = dossier
        .evidence
        .iter()
        .filter(|s| s.network.length() == 128)
        .map(|s| s.network.first().to_string())
        .collect();
    let networks: BTreeSet<String> =
        dossier.evidence.iter().map(|s| s.network.to_string()).collect();
    let observers: BTreeSet<&str> =
        dossier.evidence.iter().map(|s| s.vantage.as_str()).collect();
    let revision = format!("{}:{}", dossier.recorded_last.0, life.state);
    json!({
        "@timestamp": stamp(dossier.recorded_last),
        "ecs": { "version": "8.17.0" },
        "message": description(dossier),
        "tags": dossier.subject.tags,
        "labels": {
            "finding": dossier.id.to_string(),
            "state": life.state.as_str(),
            "product": dossier.product.as_str(),
            "kind": dossier.subject.kind.as_str(),
            "networks": networks.into_iter().collect::<Vec<_>>().join(" "),
        },
        "event": {
            "kind": if dossier.is_open() { "alert" } else { "state" },
            "category": ["network"],
            "type": ["info"],
            "dataset": "tidegauge.finding",
            "provider": "tidegauge",
            "id": dossier.id.of(&revision).to_string(),
            "created": stamp(dossier.recorded_first),
            "start": starts.map(stamp),
            "end": ends.map(stamp),
            "severity": Severity::of(dossier) as u8,
            "risk_score": f64::from(life.confidence.percent()),
            "reason": life.why,
        },
        "rule": {
            "id": dossier.product.as_str(),
            "name": title(dossier),
            "category": "exposure",
        },
        "organization": {
            "id": dossier.subject.key,
            "name": dossier.subject.name,
        },
        "observer": {
            "vendor": PROGRAM,
            "product": PROGRAM,
            "name": observers.into_iter().collect::<Vec<_>>().join(" "),
        },
        "related": { "ip": addresses },
    })
}

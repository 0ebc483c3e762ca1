//! CSV: one row a finding.
//!
//! **Invariant:** text that begins like a formula gets an apostrophe in front, since
//! spreadsheets run it and names come from strangers (OWASP, CSV injection).

use crate::dossier::{Dossier, Sight};
use crate::out::severity::Severity;

/// The columns, in order.
pub const COLUMNS: [&str; 19] = [
    "finding",
    "subject_key",
    "subject",
    "kind",
    "tier",
    "tags",
    "through",
    "product",
    "state",
    "since",
    "first_seen",
    "last_seen",
    "days",
    "confidence",
    "severity",
    "why",
    "evidence",
    "matched",
    "next_steps",
];

/// The file, with a header.
pub fn csv(dossiers: &[Dossier]) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for dossier in dossiers {
        writer.write_record(row(dossier).map(|cell| guarded(&cell)))?;
    }
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn row(dossier: &Dossier) -> [String; 19] {
    let Dossier { subject, life, .. } = dossier;
    let seen: Vec<String> = dossier.evidence.iter().map(Sight::in_words).collect();
    let mut matched: Vec<&str> =
        dossier.evidence.iter().map(|s| s.matched.as_str()).collect();
    matched.sort_unstable();
    matched.dedup();
    [
        dossier.id.to_string(),
        subject.key.clone(),
        subject.name.clone(),
        subject.kind.as_str().to_owned(),
        subject.tier.map_or(String::new(), |tier| tier.to_string()),
        subject.tags.join(" "),
        subject.through.join(" < "),
        dossier.product.to_string(),
        life.state.to_string(),
        life.since.to_string(),
        life.first_seen.to_string(),
        life.last_seen.to_string(),
        life.days.to_string(),
        life.confidence.to_string(),
        Severity::of(dossier).as_str().to_owned(),
        life.why.clone(),
        seen.join("; "),
        matched.join("; "),
        dossier.next_steps.join(" "),
    ]
}

fn guarded(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

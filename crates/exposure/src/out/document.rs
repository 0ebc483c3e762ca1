//! JSON: everything, with a schema version.
//!
//! **Invariant:** a key is added at any time; one that changes its meaning raises
//! [`SCHEMA_VERSION`]. `docs/reference/findings.md` names them all.

use serde::Serialize;
use tidegauge_model::Day;

use crate::dossier::Dossier;
use crate::life::confidence::HALF_LIFE_DAYS;

/// Version of the document's shape.
pub const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    name: &'static str,
    as_of: Option<Day>,
    half_life_days: f64,
    findings: &'a [Dossier],
}

/// The document.
pub fn json(dossiers: &[Dossier]) -> serde_json::Result<String> {
    let document = Document {
        schema_version: SCHEMA_VERSION,
        name: "findings",
        as_of: dossiers.first().map(|d| d.as_of),
        half_life_days: HALF_LIFE_DAYS,
        findings: dossiers,
    };
    serde_json::to_string_pretty(&document)
}

//! Dossiers in the forms that other programs and people take.
//!
//! * [`table`] (CSV), [`document`] (JSON): everything we know;
//! * [`stix`], [`misp`]: for sharing; [`defectdojo`]: to be worked on; [`ecs`], [`ocsf`]:
//!   for log stores;
//! * [`letter`]: what is sent to a supplier, as a page and as PDF.
//!
//! **Invariant:** the same dossiers give the same bytes: no clock, no random id. A form that
//! can be imported again gives every finding every time, so that nothing closes because it
//! is missing.

pub mod defectdojo;
pub mod document;
pub mod ecs;
pub mod letter;
pub mod misp;
pub mod ocsf;
pub mod severity;
pub mod stamp;
pub mod stix;
pub mod table;

use crate::dossier::Dossier;

/// Name of this program in what others read.
pub(crate) const PROGRAM: &str = "Tidegauge";

/// One line that says what a finding is.
pub(crate) fn title(dossier: &Dossier) -> String {
    format!("{} in contact with servers of {}", dossier.subject.name, dossier.product)
}

/// What was seen, how sure it is, and what to do, as text.
pub(crate) fn description(dossier: &Dossier) -> String {
    let mut lines = vec![
        format!(
            "State on {}: {}; {}.",
            dossier.as_of, dossier.life.state, dossier.life.why
        ),
        format!(
            "Confidence {}, halved every {} days without evidence.",
            dossier.life.confidence,
            crate::life::confidence::HALF_LIFE_DAYS
        ),
    ];
    if !dossier.subject.through.is_empty() {
        lines.push(format!("Through: {}.", dossier.subject.through.join(", through ")));
    }
    lines.push("Seen:".to_owned());
    for sight in &dossier.evidence {
        lines.push(format!("- {}; {}", sight.in_words(), sight.matched));
    }
    lines.join("\n")
}

/// JSON values, one a line.
fn lines(values: impl Iterator<Item = serde_json::Value>) -> String {
    let mut text = String::new();
    for value in values {
        text.push_str(&value.to_string());
        text.push('\n');
    }
    text
}

#[cfg(test)]
pub(crate) mod tests;

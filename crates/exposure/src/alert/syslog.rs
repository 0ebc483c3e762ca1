//! Lines of syslog (RFC 5424).
//!
//! **Invariant:** one change is one line; no character of a name ends it, its structured
//! data, or a value of it.

use super::message::Change;
use super::rules::On;
use crate::out::stamp;

/// The enterprise number of examples (RFC 5612): we have none of our own.
const SD_ID: &str = "finding@32473";
/// Longest line that every receiver over UDP can be asked to take (RFC 5424, 6.1).
pub const LINE_BYTES_MAX: usize = 2_048;

/// A line for each change.
pub(super) fn lines(
    facility: u8,
    host: Option<&str>,
    changes: &[Change<'_>],
) -> String {
    let lines: Vec<String> =
        changes.iter().map(|change| line(facility, host, change)).collect();
    lines.join("\n")
}

fn line(facility: u8, host: Option<&str>, change: &Change<'_>) -> String {
    let severity = match change.on {
        On::New | On::Reappeared => 4,
        On::Quiet | On::Disputed => 5,
        On::VerifiedRemoved | On::NotOurs => 6,
    };
    let dossier = change.dossier;
    let values = [
        ("id", dossier.id.to_string()),
        ("state", change.told.state.to_string()),
        ("product", dossier.product.to_string()),
        ("subject", dossier.subject.key.clone()),
        ("confidence", dossier.life.confidence.to_string()),
        ("lastSeen", dossier.life.last_seen.to_string()),
    ];
    let data: Vec<String> = values
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", quoted(value)))
        .collect();
    let data = data.join(" ");
    let text = one_line(&format!("{} ({})", change.title(), change.told.why));
    let line = format!(
        "<{}>1 {} {} tidegauge - {} [{SD_ID} {data}] \u{feff}{text}",
        u32::from(facility) * 8 + severity,
        stamp::text(change.at()),
        host.unwrap_or("-"),
        change.on.as_str(),
    );
    cut(line)
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A value of structured data (RFC 5424, 6.3.3); long ones are cut.
fn quoted(value: &str) -> String {
    let mut quoted = String::new();
    for c in one_line(value).chars().take(200) {
        if matches!(c, '"' | '\\' | ']') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

/// The text at the end is cut, between characters.
fn cut(mut line: String) -> String {
    let at = (0..=LINE_BYTES_MAX).rev().find(|at| line.is_char_boundary(*at));
    line.truncate(at.unwrap_or(0));
    line
}

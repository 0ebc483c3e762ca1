//! Messages for Slack and Teams.
//!
//! **Invariant:** names come from strangers: they make no link, no mention and no layout.

use serde_json::{Value, json};

use super::message::Change;

/// An incoming webhook of Slack. Its three characters are escaped as it asks, and layout
/// by other characters is switched off.
pub(super) fn slack(changes: &[Change<'_>]) -> String {
    let text: Vec<String> = changes.iter().map(Change::text).collect();
    let escaped =
        text.join("\n").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    json!({ "text": escaped, "mrkdwn": false }).to_string()
}

/// A workflow of Teams that posts an adaptive card.
pub(super) fn teams(changes: &[Change<'_>]) -> String {
    let blocks: Vec<Value> = changes
        .iter()
        .flat_map(|change| {
            let title = block(&change.title(), "Bolder");
            let text = change.text();
            let lines = text.lines().skip(1);
            let rest: Vec<Value> = lines.map(|line| block(line, "Default")).collect();
            [title].into_iter().chain(rest)
        })
        .collect();
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
    });
    let attachment = json!({
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": null,
        "content": card,
    });
    json!({ "type": "message", "attachments": [attachment] }).to_string()
}

/// Cards read a part of Markdown; what it is made of is escaped.
fn block(text: &str, weight: &str) -> Value {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_{}[]()#+!|~<>".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    json!({ "type": "TextBlock", "text": escaped, "wrap": true, "weight": weight })
}

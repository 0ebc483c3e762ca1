//! A MISP event (MISP core format): one attribute for each kind of contact.
//!
//! **Invariant:** `to_ids` is never set: what is told are victims' networks, nothing to
//! block. Uuids follow from the finding, so that an event is updated, not doubled.

use serde_json::{Value, json};

use crate::dossier::{Dossier, Sight};
use crate::id::Id;
use crate::out::stamp::text as stamp;
use crate::out::{description, title};

/// The event; `org` is the organisation that publishes it.
pub fn event(dossiers: &[Dossier], org: &str) -> serde_json::Result<String> {
    let date = dossiers.first().map(|d| d.as_of.to_string());
    let org_id = Id::OURS.of(&format!("org:{org}")).to_string();
    let mut attributes = Vec::new();
    for dossier in dossiers {
        attributes.push(target(dossier));
        attributes.extend(dossier.evidence.iter().map(|sight| network(dossier, sight)));
        attributes.push(state(dossier));
    }
    let changed = dossiers.iter().map(|d| d.recorded_last.0 / 1_000_000).max();
    serde_json::to_string_pretty(&json!({ "Event": {
        "uuid": Id::OURS.of(&format!("misp:{org}")).to_string(),
        "info": "Contacts of assets and suppliers with servers of watched products",
        "date": date.unwrap_or_else(|| "1970-01-01".to_owned()),
        "timestamp": changed.unwrap_or(0).to_string(),
        "threat_level_id": "4",
        "analysis": "1",
        "distribution": "0",
        "published": false,
        "Orgc": { "name": org, "uuid": org_id },
        "Tag": [{ "name": "tlp:amber" }],
        "Attribute": attributes,
    }}))
}

fn attribute(dossier: &Dossier, name: &str, kind: &str, value: &str) -> Value {
    json!({
        "uuid": dossier.id.of(&format!("misp:{name}")).to_string(),
        "timestamp": (dossier.recorded_last.0 / 1_000_000).to_string(),
        "type": kind,
        "value": value,
        "to_ids": false,
        "distribution": "5",
    })
}

fn target(dossier: &Dossier) -> Value {
    let mut object = attribute(dossier, "target", "target-org", &dossier.subject.name);
    object["category"] = "Targeting data".into();
    object["comment"] = format!("{} ({})", title(dossier), dossier.id).into();
    object
}

fn network(dossier: &Dossier, sight: &Sight) -> Value {
    let words = sight.in_words();
    let name = format!("{words}:{}", sight.matched);
    let network = sight.network;
    let value = if network.length() == 128 {
        network.first().to_string()
    } else {
        network.to_string()
    };
    // A pseudonym is no address that others could look for.
    let (kind, category) = if network.first().is_pseudonym() {
        ("text", "Other")
    } else {
        ("ip-src", "Network activity")
    };
    let mut object = attribute(dossier, &name, kind, &value);
    object["category"] = category.into();
    object["first_seen"] = stamp(sight.first).into();
    object["last_seen"] = stamp(sight.last).into();
    object["comment"] = format!(
        "{} × {}: {words}; {}",
        dossier.subject.name, dossier.product, sight.matched
    )
    .into();
    object
}

fn state(dossier: &Dossier) -> Value {
    let mut object = attribute(dossier, "state", "text", &description(dossier));
    object["category"] = "Other".into();
    object["comment"] =
        format!("{}, confidence {}", dossier.life.state, dossier.life.confidence)
            .into();
    object
}

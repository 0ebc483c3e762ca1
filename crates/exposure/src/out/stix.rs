//! A bundle of STIX 2.1 (OASIS, 10 June 2021).
//!
//! Each finding is a `sighting` of a product's servers (`infrastructure`) at a row
//! (`identity`), with an `observed-data` for each kind of contact and a `note` on where it
//! stands. Everything carries TLP:AMBER.
//!
//! **Invariant:** ids are UUIDs of version 5: a finding keeps its objects' ids, and a
//! consumer updates what it has. `modified` is when the ledger last learnt something.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidegauge_model::{Instant, Prefix};

use crate::dossier::{Dossier, Sight};
use crate::id::Id;
use crate::out::stamp::text as stamp;
use crate::out::{PROGRAM, description, title};

/// TLP:AMBER (STIX 2.1, 7.2.1.4).
const AMBER: &str = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82";
/// Most that `number_observed` and `count` take.
const COUNT_MAX: u64 = 999_999_999;
/// When the producer's identity was made: it never changes.
const PRODUCER_SINCE: &str = "2024-01-01T00:00:00.000Z";

/// The bundle.
pub fn bundle(dossiers: &[Dossier]) -> serde_json::Result<String> {
    let mut objects = vec![marking(), producer()];
    objects.extend(shared(dossiers, "identity", |d| d.subject.key.clone(), identity));
    objects.extend(shared(
        dossiers,
        "infrastructure",
        |d| d.product.to_string(),
        infrastructure,
    ));
    let mut addresses: BTreeMap<String, Value> = BTreeMap::new();
    for dossier in dossiers {
        let observed: Vec<Value> = dossier
            .evidence
            .iter()
            // A pseudonym is no address that others could look for.
            .filter(|sight| !sight.network.first().is_pseudonym())
            .map(|sight| {
                let (id, address) = address(sight.network);
                addresses.insert(id.clone(), address);
                observed(dossier, sight, &id)
            })
            .collect();
        objects.push(sighting(dossier, &observed));
        objects.extend(observed);
        objects.push(note(dossier));
    }
    objects.extend(addresses.into_values());
    let names: Vec<String> =
        objects.iter().map(|o| format!("{}@{}", o["id"], o["modified"])).collect();
    let id = Id::OURS.of(&format!("bundle:{}", names.join(",")));
    serde_json::to_string_pretty(&json!({
        "type": "bundle",
        "id": format!("bundle--{id}"),
        "objects": objects,
    }))
}

fn producer_id() -> String {
    format!("identity--{}", Id::OURS.of("producer"))
}

fn id(kind: &str, name: &str) -> String {
    format!("{kind}--{}", Id::OURS.of(&format!("{kind}:{name}")))
}

/// Objects that several findings share, each once.
fn shared(
    dossiers: &[Dossier],
    kind: &str,
    name: impl Fn(&Dossier) -> String,
    fill: impl Fn(&Dossier, &mut Value),
) -> Vec<Value> {
    let mut groups: BTreeMap<String, Vec<&Dossier>> = BTreeMap::new();
    for dossier in dossiers {
        groups.entry(name(dossier)).or_default().push(dossier);
    }
    let objects = groups.into_iter().filter_map(|(name, group)| {
        let created = group.iter().map(|d| d.recorded_first).min()?;
        let modified = group.iter().map(|d| d.recorded_last).max()?;
        let mut object = object(kind, &name, created, modified);
        fill(group.first()?, &mut object);
        Some(object)
    });
    objects.collect()
}

fn object(kind: &str, name: &str, created: Instant, modified: Instant) -> Value {
    json!({
        "type": kind,
        "spec_version": "2.1",
        "id": id(kind, name),
        "created_by_ref": producer_id(),
        "created": stamp(created),
        "modified": stamp(modified),
        "object_marking_refs": [AMBER],
    })
}

fn of_finding(kind: &str, name: &str, dossier: &Dossier) -> Value {
    object(kind, name, dossier.recorded_first, dossier.recorded_last)
}

fn marking() -> Value {
    json!({
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": AMBER,
        "created": "2017-01-20T00:00:00.000Z",
        "definition_type": "tlp",
        "name": "TLP:AMBER",
        "definition": { "tlp": "amber" },
    })
}

fn producer() -> Value {
    json!({
        "type": "identity",
        "spec_version": "2.1",
        "id": producer_id(),
        "created": PRODUCER_SINCE,
        "modified": PRODUCER_SINCE,
        "name": PROGRAM,
        "identity_class": "system",
    })
}

fn identity(dossier: &Dossier, object: &mut Value) {
    object["name"] = dossier.subject.name.as_str().into();
    object["identity_class"] = "organization".into();
}

fn infrastructure(dossier: &Dossier, object: &mut Value) {
    object["name"] = format!("Servers of {}", dossier.product).into();
    object["description"] =
        "Servers by which installations of the product are recognised.".into();
}

fn sighting(dossier: &Dossier, observed: &[Value]) -> Value {
    let mut object = of_finding("sighting", &dossier.id.to_string(), dossier);
    let evidence = &dossier.evidence;
    let count: u64 = evidence.iter().map(|s| s.contacts).fold(0, u64::saturating_add);
    object["sighting_of_ref"] = id("infrastructure", dossier.product.as_str()).into();
    object["where_sighted_refs"] = json!([id("identity", &dossier.subject.key)]);
    if !observed.is_empty() {
        object["observed_data_refs"] =
            observed.iter().map(|o| o["id"].clone()).collect::<Vec<_>>().into();
    }
    let first = evidence.iter().map(|s| s.first).min();
    let last = evidence.iter().map(|s| s.last).max();
    if let (Some(first), Some(last)) = (first, last) {
        object["first_seen"] = stamp(first).into();
        object["last_seen"] = stamp(last).into();
    }
    object["count"] = count.min(COUNT_MAX).into();
    object["confidence"] = dossier.life.confidence.percent().into();
    object["description"] = title(dossier).into();
    object
}

fn observed(dossier: &Dossier, sight: &Sight, address: &str) -> Value {
    let name = format!("{}:{}:{}", dossier.id, sight.in_words(), sight.matched);
    let mut object = of_finding("observed-data", &name, dossier);
    object["first_observed"] = stamp(sight.first).into();
    object["last_observed"] = stamp(sight.last).into();
    object["number_observed"] = sight.contacts.clamp(1, COUNT_MAX).into();
    object["object_refs"] = json!([address]);
    object
}

fn note(dossier: &Dossier) -> Value {
    let mut object = of_finding("note", &dossier.id.to_string(), dossier);
    object["abstract"] = format!("{}: {}", title(dossier), dossier.life.state).into();
    let steps = dossier.next_steps.join("\n");
    object["content"] = format!("{}\n\n{steps}", description(dossier)).into();
    object["object_refs"] = json!([id("sighting", &dossier.id.to_string())]);
    object["confidence"] = dossier.life.confidence.percent().into();
    object
}

/// The observable of a network; its id is that of its value alone (STIX 2.1, 2.9).
fn address(network: Prefix) -> (String, Value) {
    let first = network.first();
    let kind = if first.is_v4() { "ipv4-addr" } else { "ipv6-addr" };
    let value =
        if network.length() == 128 { first.to_string() } else { network.to_string() };
    let id = format!("{kind}--{}", Id::STIX.of(&json!({ "value": value }).to_string()));
    let object = json!({
        "type": kind,
        "spec_version": "2.1",
        "id": id,
        "value": value,
    });
    (id, object)
}

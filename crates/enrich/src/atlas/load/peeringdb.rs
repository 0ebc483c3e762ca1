//! What networks say of themselves: a dump of `PeeringDB`, as CAIDA keeps them or as its
//! interface answers.
//!
//! **Invariant:** a network is its name, a tag for each of its types (`peeringdb:TYPE`, as
//! the source spells it), and the organisation that runs it, `PEERINGDB-NUMBER`. That
//! organisation stands only for an AS of which no registry says whose it is.
//!
//! What is left out: traffic, policies, exchanges, buildings, people; what was deleted.

use std::io::BufRead;

use serde_json::Value;
use tidegauge_model::observation::Field;
use tidegauge_model::{Asn, Country, Reason};

use super::json::{Way, items};
use super::{Out, Said, value};
use crate::atlas::AtlasError;

/// The name of the registry in observations.
pub(in crate::atlas) const REGISTRY: &str = "PEERINGDB";
/// Where networks and organisations stand; the last is an answer for one kind of object.
const WAYS: [Way; 3] = [&["org", "data"], &["net", "data"], &["data"]];

/// Reads a dump.
pub(super) fn document(
    input: impl BufRead,
    out: &mut Out<'_>,
) -> Result<(), AtlasError> {
    items(input, &WAYS, out, &mut |_, item, out| {
        let deleted = item.get("status").and_then(Value::as_str);
        if deleted.is_some_and(|status| status != "ok") {
            return Ok(());
        }
        if item.get("asn").is_some() {
            network(item, out)
        } else {
            organisation(item, out)
        }
    })
}

fn text<'a>(item: &'a Value, key: &str) -> &'a str {
    item.get(key).and_then(Value::as_str).map_or("", str::trim)
}

fn handle(item: &Value, key: &str) -> Result<String, Reason> {
    let number = item.get(key).and_then(Value::as_u64).ok_or(Reason::Value)?;
    Ok(format!("{REGISTRY}-{number}"))
}

fn network(item: &Value, out: &mut Out<'_>) -> Result<(), Reason> {
    let asn = item.get("asn").and_then(Value::as_u64).ok_or(Reason::Value)?;
    let asn = Asn(u32::try_from(asn).map_err(|_| Reason::Value)?);
    let handle = handle(item, "org_id")?;
    let name = text(item, "name");
    out.say(
        Said::of_as(Field::AsName, asn)
            .value(name)
            .with("website", text(item, "website")),
    );
    out.say(
        Said::of_as(Field::Registration, asn)
            .value(&handle)
            .with("name", name)
            .with("registry", REGISTRY),
    );
    // One type until 2023, a list beside it since.
    let many = item.get("info_types").and_then(Value::as_array);
    let many = many.into_iter().flatten().filter_map(Value::as_str);
    let mut types: Vec<_> = many.chain([text(item, "info_type")]).collect();
    types.sort_unstable();
    types.dedup();
    for kind in types.into_iter().filter(|k| !k.is_empty() && *k != "Not Disclosed") {
        out.say(Said::of_as(Field::AsTag, asn).value(&format!("peeringdb:{kind}")));
    }
    Ok(())
}

fn organisation(item: &Value, out: &mut Out<'_>) -> Result<(), Reason> {
    let said = Said::of_nothing(Field::Organisation)
        .value(&handle(item, "id")?)
        .with("name", text(item, "name"))
        .with("alias", text(item, "aka"))
        .with("website", text(item, "website"))
        .with("registry", REGISTRY);
    let country = text(item, "country");
    out.say(if country.is_empty() {
        said
    } else {
        said.with("country", value::<Country>(country)?.as_str())
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use tidegauge_model::{Day, Loss, Observation};

    use super::super::{SourceKind, load};
    use super::*;

    fn read(text: &str) -> (Vec<Observation>, Vec<Loss>) {
        let (mut observations, mut losses) = (Vec::new(), Vec::new());
        load(
            &SourceKind::PeeringDb,
            &"peeringdb".into(),
            Day(0),
            text.as_bytes(),
            |o| observations.push(o),
            |l| losses.push(l),
        )
        .unwrap();
        (observations, losses)
    }

    #[test]
    fn networks_and_their_organisations_are_read_in_any_order() {
        let text = r#"{"fac": {"data": [{"id": 1}]}, "net": {"data": [
            {"id": 1, "asn": 64496, "org_id": 7, "name": "Example", "status": "ok",
             "website": "https://www.example.edu/x", "info_type": "NSP",
             "info_types": ["NSP", "Educational/Research"]},
            {"id": 2, "asn": 64497, "org_id": 7, "name": "Gone", "status": "deleted"},
            {"id": 3, "asn": 64498, "name": "No one", "status": "ok"},
            {"id": 4, "asn": 64499, "org_id": 7, "name": "Old", "info_type": "Not Disclosed"}
        ]}, "org": {"data": [
            {"id": 7, "name": "Example Org", "country": "US", "status": "ok", "aka": "EO"},
            {"id": 8, "name": "Bad", "country": "USA", "status": "ok"}]}}"#;
        let (observations, losses) = read(text);
        let said: Vec<_> = observations
            .iter()
            .map(|o| (o.field, o.asn.map_or(0, |a| a.0), o.value.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                (Field::AsName, 64_496, "Example"),
                (Field::Registration, 64_496, "PEERINGDB-7"),
                (Field::AsTag, 64_496, "peeringdb:Educational/Research"),
                (Field::AsTag, 64_496, "peeringdb:NSP"),
                (Field::AsName, 64_499, "Old"),
                (Field::Registration, 64_499, "PEERINGDB-7"),
                (Field::Organisation, 0, "PEERINGDB-7"),
            ]
        );
        assert_eq!(losses.len(), 2);
    }

    #[test]
    fn an_answer_of_the_interface_is_read_too() {
        let (observations, losses) = read(
            r#"{"data": [{"id": 1, "asn": 64496, "org_id": 7, "name": "E"}], "meta": {}}"#,
        );
        assert_eq!((observations.len(), losses.len()), (2, 0));
    }
}

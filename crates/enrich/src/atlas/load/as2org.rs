//! Which organisation an AS is registered to: CAIDA's `as2org`, as JSON lines or in the
//! older form with `|`.
//!
//! In the older form a line `# format:org_id|changed|org_name|country|source` says what
//! the lines after it hold.
//!
//! **Invariant:** each line is one organisation or one AS; the two are put together by the
//! handle when the atlas is built, so their order is of no matter.
//!
//! What is left out: when a row was changed, and the opaque id.

use serde::Deserialize;
use tidegauge_model::observation::Field;
use tidegauge_model::{Asn, Country, Reason};

use super::{Said, value};
use crate::atlas::row::Row;

/// What stands before the names of columns.
const FORMAT: &str = "# format:";

/// The columns of the lines to come.
#[derive(Default)]
pub(super) struct As2Org {
    columns: Vec<String>,
}

/// A line of JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    organization_id: Option<String>,
    name: Option<String>,
    country: Option<String>,
    source: Option<String>,
    asn: Option<String>,
}

impl As2Org {
    /// Reads one line.
    pub(super) fn row(&mut self, row: &Row) -> Result<Option<Said>, Reason> {
        let text = row.text().trim();
        if text.starts_with('{') {
            return json(text).map(Some);
        }
        if let Some(format) = text.strip_prefix(FORMAT) {
            self.columns = format.split('|').map(|c| c.trim().to_owned()).collect();
            return Ok(None);
        }
        if text.starts_with('#') {
            return Ok(None);
        }
        let fields: Vec<_> = text.split('|').map(str::trim).collect();
        if self.columns.is_empty() {
            return Err(Reason::ColumnMissing);
        }
        if fields.len() != self.columns.len() {
            return Err(Reason::ColumnCount);
        }
        let get = |name: &str| {
            let at = self.columns.iter().position(|column| column == name)?;
            fields.get(at).copied().filter(|text| !text.is_empty())
        };
        let registry = get("source");
        if let Some(asn) = get("aut") {
            return of_as(asn, get("org_id"), get("aut_name"), registry).map(Some);
        }
        let (name, country) = (get("org_name"), get("country"));
        organisation(get("org_id"), name, country, registry).map(Some)
    }
}

fn json(text: &str) -> Result<Said, Reason> {
    let line: Line<'_> = serde_json::from_str(text).map_err(|_| Reason::Syntax)?;
    let (id, name) = (line.organization_id.as_deref(), line.name.as_deref());
    let registry = line.source.as_deref();
    match (line.kind, line.asn) {
        ("ASN", Some(asn)) => of_as(&asn, id, name, registry),
        ("Organization", _) => {
            organisation(id, name, line.country.as_deref(), registry)
        }
        _ => Err(Reason::Value),
    }
}

fn of_as(
    asn: &str,
    handle: Option<&str>,
    name: Option<&str>,
    registry: Option<&str>,
) -> Result<Said, Reason> {
    Ok(Said::of_as(Field::Registration, value::<Asn>(asn)?)
        .value(handle.filter(|handle| !handle.is_empty()).ok_or(Reason::Value)?)
        .with("name", name.unwrap_or_default())
        .with("registry", registry.unwrap_or_default()))
}

fn organisation(
    handle: Option<&str>,
    name: Option<&str>,
    country: Option<&str>,
    registry: Option<&str>,
) -> Result<Said, Reason> {
    let said = Said::of_nothing(Field::Organisation)
        .value(handle.filter(|handle| !handle.is_empty()).ok_or(Reason::Value)?)
        .with("name", name.unwrap_or_default())
        .with("registry", registry.unwrap_or_default());
    match country.filter(|country| !country.is_empty()) {
        Some(country) => Ok(said.with("country", value::<Country>(country)?.as_str())),
        None => Ok(said),
    }
}

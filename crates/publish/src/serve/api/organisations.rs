//! Organisations by name, for the operator alone.

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};
use tidegauge_model::{OrgId, Organisation};

use super::{Named, named};
use crate::organisation::{Dossier, sector};
use crate::serve::Shared;
use crate::serve::answer::{Listing, Problem, fields, ok, value};
use crate::serve::asked::Asked;
use crate::serve::param::{NONE, SEARCH};
use crate::tables::Table;

/// `GET /api/v1/organisations`.
pub(crate) async fn organisations(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(SEARCH)?;
    let words = asked.text("q").unwrap_or_default();
    let found = shared.counts.organisations(words).await?;
    let mut table = Table::new(["id", "name", "country", "sector", "parent"]);
    for one in &found.organisations {
        table.push([
            one.id.to_string(),
            one.name.clone(),
            one.country.map(|c| c.to_string()).unwrap_or_default(),
            sector(one).to_owned(),
            one.parent.as_ref().map(OrgId::to_string).unwrap_or_default(),
        ]);
    }
    let listing = Listing {
        head: fields(json!({ "found": found.total })),
        key: "rows",
        rows: found.organisations.iter().map(described).collect(),
        table,
    };
    listing.answer(&asked, "/api/v1/organisations")
}

/// `GET /api/v1/organisations/{id}`.
pub(crate) async fn organisation(
    State(shared): State<Shared>,
    name: Named,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.only(NONE)?;
    let id = OrgId::new(named(name)?);
    let dossier = shared.counts.organisation(&id).await?;
    let Dossier { organisation, family, days, holdings, contacts } =
        dossier.ok_or_else(absent)?;
    Ok(ok(fields(json!({
        "organisation": described(&organisation),
        "family": family,
        "days": days,
        "holdings": holdings,
        "contacts": contacts,
    }))))
}

fn absent() -> Problem {
    Problem::absent(
        "no organisation of this id is known",
        "look for it at /api/v1/organisations?q=WORDS",
    )
}

fn described(one: &Organisation) -> Value {
    json!({
        "id": one.id.as_str(),
        "name": one.name,
        "country": one.country.map(|c| c.to_string()),
        "sector": one.sector.as_ref().map(value),
        "other_sectors": one.other_sectors.iter().map(value).collect::<Vec<_>>(),
        "parent": one.parent.as_ref().map(value),
    })
}

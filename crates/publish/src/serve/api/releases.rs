//! Releases as they were published, with what the same question says today.
//!
//! **Invariant:** a cell that was suppressed then has no figure here, of then or of today.

use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, Value, json};
use tidegauge_model::count::{Dimension, Release};

use super::{Named, named};
use crate::publication::{Beside, Publication, Shown, UNITS, beside, masked};
use crate::serve::answer::{Listing, Problem, fields, ok, value};
use crate::serve::asked::Asked;
use crate::serve::kept::fleeting;
use crate::serve::param::{LISTED, NONE};
use crate::serve::{CountsError, Shared};
use crate::tables::{SUPPRESSED, Table, UNATTRIBUTED};

/// `GET /api/v1/releases`.
pub(crate) async fn releases(
    State(shared): State<Shared>,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(LISTED)?;
    let kept = shared.counts.releases().await?;
    let mut table = Table::new([
        "id",
        "made",
        "withdrawn",
        "products",
        "by",
        "first",
        "last",
        "holders",
        "cells",
        "suppressed",
        "rule",
    ]);
    for one in &kept {
        let query = one.release.query();
        let products = query.products.iter().map(ToString::to_string);
        let by = query.by.iter().map(ToString::to_string);
        table.push([
            one.id.clone(),
            one.made.to_string(),
            one.withdrawn.map_or_else(String::new, |at| at.to_string()),
            products.collect::<Vec<_>>().join(","),
            by.collect::<Vec<_>>().join(","),
            query.days.first().to_string(),
            query.days.last().to_string(),
            query.on.to_string(),
            one.release.rows().len().to_string(),
            one.release.suppressed().to_string(),
            one.release.rule().to_owned(),
        ]);
    }
    let listing = Listing {
        head: fields(json!({})),
        key: "rows",
        rows: kept.iter().map(head).collect(),
        table,
    };
    // The lake can get another release without another sighting.
    Ok(fleeting(listing.answer(&asked, "/api/v1/releases")?))
}

fn head(one: &Publication) -> Value {
    json!({
        "id": one.id,
        "made": one.made.to_string(),
        "withdrawn": one.withdrawn.map(|at| at.to_string()),
        "query": one.release.query(),
        "cells": one.release.rows().len(),
        "suppressed": one.release.suppressed(),
        "rule": one.release.rule(),
        "versions": one
            .versions
            .iter()
            .map(|(name, of)| (name.clone(), Value::from(of.as_str())))
            .collect::<Map<_, _>>(),
    })
}

/// `GET /api/v1/releases/{id}`.
pub(crate) async fn release(
    State(shared): State<Shared>,
    name: Named,
    asked: Asked,
) -> Result<Response, Problem> {
    let id = named(name)?;
    let asked = asked.only(LISTED)?;
    let publication = published(&shared, &id).await?;
    let (now, why_not) = match today(&shared, &publication).await {
        Ok(now) => (Some(now), None),
        Err(refused @ CountsError::Refused { .. }) => (None, Some(refused.to_string())),
        Err(failed) => return Err(failed.into()),
    };
    let then = &publication.release;
    let cells = beside(then, now.as_ref().unwrap_or(then));
    let cells = masked(cells, now.is_some(), shared.settings.internal);
    let by = &then.query().by;
    let compared = now.is_some();
    let listing = Listing {
        head: fields(json!({
            "release": head(&publication),
            "compared": compared,
            "why_not": why_not,
        })),
        key: "rows",
        rows: cells.iter().map(|cell| row(by, cell, compared)).collect(),
        table: as_table(by, &cells, compared),
    };
    listing.answer(&asked, &format!("/api/v1/releases/{id}"))
}

/// What is told of a cell, then and today; of today nothing where it was hidden then.
fn sides(cell: &Beside<'_>, compared: bool) -> [Shown; 2] {
    let today = if compared { cell.today } else { Shown::Nothing };
    match cell.then {
        Shown::Suppressed => [Shown::Suppressed; 2],
        then => [then, today],
    }
}

fn row(by: &[Dimension], cell: &Beside<'_>, compared: bool) -> Value {
    let [then, now] = sides(cell, compared);
    let names = by.iter().map(|d| d.as_str().to_owned());
    let key = names.zip(cell.key.iter().map(|v| Value::from(v.as_deref())));
    json!({
        "key": key.collect::<Map<_, _>>(),
        "suppressed": then == Shown::Suppressed,
        "published": then.counts().map(value),
        "suppressed_today": compared.then_some(now == Shown::Suppressed),
        "today": now.counts().map(value),
    })
}

fn as_table(by: &[Dimension], cells: &[Beside<'_>], compared: bool) -> Table {
    let names = by.iter().map(|d| d.as_str().to_owned());
    let columns = ["published", "today"].into_iter();
    let columns = columns.flat_map(|when| {
        UNITS.iter().map(move |unit| format!("{}_{when}", unit.column))
    });
    let mut table = Table::new(names.chain(columns));
    for cell in cells {
        let key = cell.key.iter();
        let key = key.map(|v| v.clone().unwrap_or_else(|| UNATTRIBUTED.to_owned()));
        let told = |shown: Shown| {
            UNITS.iter().map(move |unit| match shown {
                Shown::Nothing => String::new(),
                Shown::Suppressed => SUPPRESSED.to_owned(),
                Shown::Counts(counts) => (unit.of)(&counts).to_string(),
            })
        };
        table.push(key.chain(sides(cell, compared).into_iter().flat_map(told)));
    }
    table
}

/// `GET /api/v1/releases/{id}/causes`.
pub(crate) async fn causes(
    State(shared): State<Shared>,
    name: Named,
    asked: Asked,
) -> Result<Response, Problem> {
    asked.only(NONE)?;
    let id = named(name)?;
    published(&shared, &id).await?;
    let causes = shared.counts.causes(&id).await?;
    Ok(ok(fields(json!({
        "told": causes.told,
        "header": causes.moved.header,
        "rows": causes.moved.rows,
    }))))
}

/// The release of an id.
pub(crate) async fn published(
    shared: &Shared,
    id: &str,
) -> Result<Publication, Problem> {
    let kept = shared.counts.releases().await?;
    kept.into_iter().find(|one| one.id == id).ok_or_else(|| {
        Problem::absent("nothing was published under this id", "see /api/v1/releases")
    })
}

/// What the question of a release says today.
pub(crate) async fn today(
    shared: &Shared,
    publication: &Publication,
) -> Result<Release, CountsError> {
    shared.counts.release(publication.release.query()).await
}

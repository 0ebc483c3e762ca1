//! Views: what there is, and each as JSON, CSV, Parquet or Arrow.

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::{Named, named};
use crate::serve::answer::{Listing, Problem, body, fields};
use crate::serve::asked::Asked;
use crate::serve::param::{LISTED, VIEW, VIEW_FORMS};
use crate::serve::views::{Column, VIEWS, View, parquet, stream};
use crate::serve::{CountsError, Shared};
use crate::tables::Table;

/// `GET /api/v1/views`.
pub(crate) async fn views(asked: Asked) -> Result<Response, Problem> {
    let asked = asked.only(LISTED)?;
    let mut table = Table::new(["id", "about"]);
    for view in VIEWS {
        table.push([view.name, view.about]);
    }
    let rows = VIEWS.iter().map(|view| {
        json!({ "id": view.name, "about": view.about, "columns": columns(view) })
    });
    let listing =
        Listing { head: fields(json!({})), key: "rows", rows: rows.collect(), table };
    listing.answer(&asked, "/api/v1/views")
}

/// `GET /api/v1/views/{id}`.
pub(crate) async fn view(
    State(shared): State<Shared>,
    name: Named,
    asked: Asked,
) -> Result<Response, Problem> {
    let name = named(name)?;
    let view = VIEWS.iter().find(|view| view.name == name).ok_or_else(|| {
        let known: Vec<&str> = VIEWS.iter().map(|view| view.name).collect();
        Problem::absent(
            format!("there is no view `{name}`"),
            format!("known are {}", known.join(", ")),
        )
    })?;
    let asked = asked.only(VIEW)?;
    let format = asked.format(VIEW_FORMS)?;
    let products = Some(asked.products()?).filter(|products| !products.is_empty());
    let (counts, products) = (&*shared.counts, products.as_deref());
    match format {
        "parquet" => {
            let bytes = parquet(&view.read(counts, products).await?).map_err(failed)?;
            Ok(body("application/vnd.apache.parquet", bytes))
        }
        "arrow" => {
            let bytes = stream(&view.read(counts, products).await?).map_err(failed)?;
            Ok(body("application/vnd.apache.arrow.stream", bytes))
        }
        _ => {
            let head = fields(json!({
                "id": view.name,
                "about": view.about,
                "columns": columns(view),
            }));
            let sheet = view.sheet(counts, products).await?;
            let (rows, table) = (sheet.json(), sheet.table());
            let path = format!("/api/v1/views/{}", view.name);
            Listing { head, key: "rows", rows, table }.answer_as(&asked, &path, format)
        }
    }
}

/// Rows that cannot be written in a form: a failure of ours.
fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Problem {
    CountsError::Failed(Box::new(error)).into()
}

fn columns(view: &View) -> Vec<Value> {
    let column = |column: &Column| {
        json!({
            "name": column.name,
            "kind": column.kind.as_str(),
            "about": column.about,
        })
    };
    view.columns.iter().map(column).collect()
}

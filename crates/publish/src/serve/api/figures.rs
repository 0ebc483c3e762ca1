//! Figures: their numbers, their words and their drawings.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::acts::assessed;
use super::{Named, named};
use crate::act;
use crate::assessment::Assessed;
use crate::figure::{Figure, Painter};
use crate::report::Section;
use crate::serve::answer::{Listing, Problem, body, fields};
use crate::serve::asked::Asked;
use crate::serve::desk::{Desk, Place};
use crate::serve::kept::fleeting;
use crate::serve::param::{ACT_FIGURE, ACT_FIGURES, FIGURE, FIGURE_FORMS, LISTED};
use crate::serve::{Shared, figures as known};
use crate::tables::Table;

/// `GET /api/v1/figures`.
pub(crate) async fn figures(asked: Asked) -> Result<Response, Problem> {
    let asked = asked.only(LISTED)?;
    let mut table = Table::new(["id", "title"]);
    let mut rows = Vec::new();
    for kind in known::KINDS {
        table.push([kind.id, kind.title]);
        rows.push(json!({ "id": kind.id, "title": kind.title }));
    }
    let head = fields(json!({}));
    Listing { head, key: "rows", rows, table }.answer(&asked, "/api/v1/figures")
}

/// `GET /api/v1/figures/{id}`.
pub(crate) async fn figure(
    State(shared): State<Shared>,
    name: Named,
    asked: Asked,
) -> Result<Response, Problem> {
    let kind = known::kind(&named(name)?)?;
    let asked = asked.only(FIGURE)?;
    let format = asked.format(FIGURE_FORMS)?;
    let desk = Desk::open(&shared).await?;
    let selection = desk.selection(&asked)?;
    let made = known::section(&desk, kind, &selection).await?;
    let place = desk.place(kind.id, &selection, made.title());
    match made {
        Section::Drawn(figure) => {
            let path = format!("/api/v1/figures/{}", kind.id);
            sent(&desk, *figure, &place, (&asked, &path, format)).await
        }
        Section::Absent { title, why, .. } => Err(withheld(&title, why)),
    }
}

/// `GET /api/v1/policies/{id}/figure`.
pub(crate) async fn act_figure(
    State(shared): State<Shared>,
    name: Named,
    asked: Asked,
) -> Result<Response, Problem> {
    let asked = asked.only(ACT_FIGURE)?;
    let format = asked.format(FIGURE_FORMS)?;
    let wanted = asked.text("figure").unwrap_or_default();
    if !ACT_FIGURES.contains(&wanted) {
        let hint = format!("`figure` is one of {}", ACT_FIGURES.join(", "));
        return Err(Problem::asked("the act has no figure of this name", hint));
    }
    let (act, assessed) = assessed(&shared, name).await?;
    let desk = Desk::open(&shared).await?;
    let found = match &assessed {
        Assessed::Ready(found) => found,
        Assessed::Working => {
            let why = "the act is being assessed; ask again in a minute";
            return Err(withheld(wanted, why.to_owned()));
        }
        Assessed::Absent(why) => return Err(withheld(wanted, why.clone())),
    };
    let about = desk.about(&act, found).await?;
    let figure = act::figures(found, &about).into_iter().find(|f| f.id == wanted);
    let figure = figure.ok_or_else(|| {
        withheld(
            wanted,
            "the refusals of the act name the rules that forbid it".to_owned(),
        )
    })?;
    let place = desk.place_of_act(&act.id, &figure);
    let path = format!("/api/v1/policies/{}/figure", act.id);
    let answer = sent(&desk, figure, &place, (&asked, &path, format)).await?;
    Ok(if assessed.is_passing() { fleeting(answer) } else { answer })
}

fn withheld(title: &str, why: String) -> Problem {
    Problem {
        status: axum::http::StatusCode::UNPROCESSABLE_ENTITY,
        error: format!("the figure “{title}” cannot be shown"),
        hint: why,
    }
}

/// A figure in the form that was asked for.
async fn sent(
    desk: &Desk<'_>,
    figure: Figure,
    place: &Place,
    (asked, path, format): (&Asked, &str, &str),
) -> Result<Response, Problem> {
    let id = figure.id;
    let file = |response: Response| named_file(response, id, format);
    match format {
        "svg" => Ok(file(body("image/svg+xml", desk.standalone(&figure)))),
        "png" => Ok(file(png(desk.standalone(&figure)).await?)),
        _ => {
            let answer = numbers(figure, place).answer_as(asked, path, format)?;
            Ok(if format == "csv" { file(answer) } else { answer })
        }
    }
}

/// Drawing to pixels is heavy, so it must not hold up other readers.
async fn png(svg: String) -> Result<Response, Problem> {
    let painted = tokio::task::spawn_blocking(move || Painter::new().paint(&svg)).await;
    match painted {
        Ok(Ok(png)) => Ok(body("image/png", png)),
        _ => Err(Problem {
            status: axum::http::StatusCode::INTERNAL_SERVER_ERROR,
            error: "the drawing failed".to_owned(),
            hint: "ask for format=svg".to_owned(),
        }),
    }
}

fn named_file(mut response: Response, id: &str, format: &str) -> Response {
    let name = format!("inline; filename=\"{id}.{format}\"");
    if let Ok(name) = HeaderValue::try_from(name) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

fn numbers(figure: Figure, place: &Place) -> Listing {
    let rows = figure.table.rows.iter().map(|row| {
        let cells = figure.table.header.iter().zip(row);
        Value::Object(
            cells
                .map(|(name, cell)| (name.clone(), Value::from(cell.as_str())))
                .collect(),
        )
    });
    let head = fields(json!({
        "id": figure.id,
        "title": figure.title,
        "subtitle": figure.subtitle,
        "caveat": figure.caveat,
        "notes": figure.notes,
        "columns": figure.table.header,
        "permalink": place.permalink,
        "cite": place.cite,
    }));
    Listing { head, key: "rows", rows: rows.collect(), table: figure.table }
}

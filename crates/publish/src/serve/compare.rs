//! The figure that compares: one panel for each country or product, all of one scale.
//!
//! **Invariant:** each panel is a release of its own population; no count is added to
//! another, and a panel that a rule hides is named as hidden.

use tidegauge_model::count::{Counts, Dimension};
use tidegauge_model::{Country, DayRange, ProductId};

use super::answer::Problem;
use super::desk::{Desk, refused};
use super::selection::{Selection, What};
use super::{CountsError, Scope};
use crate::country;
use crate::figure::{Chart, Figure, MultiplesChart, Panel};
use crate::number::{change, counted, days, percent, real};
use crate::report::{self, Section, section_of};
use crate::tables::{SUPPRESSED, Table};

/// How many are compared unless the reader chooses.
const COMPARED: usize = 6;

/// One population by month.
struct Line {
    name: String,
    months: Vec<(DayRange, Option<Counts>)>,
}

/// The figure, or why there is none.
pub(super) async fn section(
    desk: &Desk<'_>,
    selection: &Selection,
) -> Result<Section, Problem> {
    let mut lines = Vec::new();
    let mut hidden: Vec<String> = Vec::new();
    for id in chosen(desk, selection).await? {
        let Some((name, one)) = narrowed(&desk.scope, selection, &id) else {
            let what = format!("`{id}` was not seen");
            let hint =
                format!("choose among those listed at /{}", selection.what.as_str());
            return Err(Problem::asked(what, hint));
        };
        let query = one.query(one.period(), Dimension::Month);
        match desk.shared.counts.release(&query).await {
            Ok(release) => lines.push(Line {
                name,
                months: report::months(&release).unwrap_or_default(),
            }),
            Err(CountsError::Refused { asked, hint }) => {
                hidden.push(format!("{name}: {}", refused(&asked, &hint)));
            }
            Err(failed) => return Err(failed.into()),
        }
    }
    let title = format!("Comparison of {}", selection.what.as_str());
    let figure = figure(desk, selection, &lines, hidden);
    Ok(section_of(super::figures::COMPARE, title, figure))
}

/// What the reader chose, or those with most organisations before.
pub(super) async fn chosen(
    desk: &Desk<'_>,
    selection: &Selection,
) -> Result<Vec<String>, Problem> {
    if !selection.of.is_empty() {
        return Ok(selection.of.clone());
    }
    let mut all = selection.clone();
    let dimension = match selection.what {
        What::Countries => {
            all.country = None;
            Dimension::Country
        }
        What::Products => {
            all.product = None;
            Dimension::Product
        }
    };
    let (before, _) = all.windows();
    let mut found: Vec<(u64, String)> =
        match desk.shared.counts.release(&all.query(before, dimension)).await {
            Ok(release) => release
                .rows()
                .iter()
                .filter_map(|row| {
                    let value = row.key.first()?.clone()?;
                    Some((row.counts?.organisations_active, value))
                })
                .collect(),
            Err(CountsError::Refused { .. }) => Vec::new(),
            Err(failed) => return Err(failed.into()),
        };
    found.retain(|(_, id)| narrowed(&desk.scope, selection, id).is_some());
    found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    Ok(found.into_iter().take(COMPARED).map(|(_, id)| id).collect())
}

/// The selection of one country or product, and its name; `None` if it was not seen.
fn narrowed(
    scope: &Scope,
    selection: &Selection,
    id: &str,
) -> Option<(String, Selection)> {
    let mut one = selection.clone();
    match selection.what {
        What::Countries => {
            let code: Country = id.parse().ok()?;
            one.country = Some(*scope.countries.iter().find(|c| **c == code)?);
            Some((country::name(id), one))
        }
        What::Products => {
            let (product, name): &(ProductId, String) =
                scope.products.iter().find(|p| p.0.as_str() == id)?;
            one.product = Some(product.clone());
            Some((name.clone(), one))
        }
    }
}

fn figure(
    desk: &Desk<'_>,
    selection: &Selection,
    lines: &[Line],
    hidden: Vec<String>,
) -> Result<Figure, String> {
    let before = DayRange::month(selection.before);
    let after = DayRange::month(selection.after);
    let value = |line: &Line, month: DayRange| {
        let found = line.months.iter().find(|m| m.0 == month).and_then(|m| m.1)?;
        Some(real(found.organisations_active))
    };
    let mut panels: Vec<Panel> = Vec::new();
    let mut falls: Vec<(f64, &str)> = Vec::new();
    let mut table = Table::new([
        "name",
        "month",
        "active organisations",
        "share of the month before",
    ]);
    for line in lines {
        let base = value(line, before).filter(|b| *b > 0.0);
        let share =
            |c: &Option<Counts>| Some(real(c.as_ref()?.organisations_active) / base?);
        for (month, counts) in &line.months {
            table.push([
                line.name.clone(),
                month.first().month().to_string(),
                counts.map_or_else(
                    || SUPPRESSED.to_owned(),
                    |c| c.organisations_active.to_string(),
                ),
                share(counts).map_or_else(|| "n/a".to_owned(), percent),
            ]);
        }
        let now = value(line, after);
        if let (Some(then), Some(now)) = (base, now) {
            falls.push((now / then - 1.0, &line.name));
        }
        panels.push(Panel {
            name: line.name.clone(),
            note: match (base, now) {
                (Some(then), Some(now)) => change(then, now),
                _ => "not shown".to_owned(),
            },
            points: line.months.iter().map(|(m, c)| (*m, share(c))).collect(),
        });
    }
    if falls.is_empty() {
        let why = "No population has a count in both months that may be shown.";
        return Err([vec![why.to_owned()], hidden].concat().join(" "));
    }
    let of = match selection.what {
        What::Countries => selection.product_name(&desk.scope),
        What::Products => selection.place(&desk.scope),
    };
    Ok(Figure {
        id: super::figures::COMPARE,
        title: title(selection, &falls),
        subtitle: format!(
            "Active organisations by calendar month as a share of {}, {of}. The figure beside \
             each name is the change to {}.",
            days(before),
            days(after)
        ),
        caveat: "Visibility not separated from usage.".to_owned(),
        source: None,
        notes: hidden,
        description: "A panel for each; the table has the values.".to_owned(),
        chart: Chart::Multiples(MultiplesChart {
            period: selection.period(),
            windows: (before, after),
            panels,
        }),
        table,
    })
}

fn title(selection: &Selection, falls: &[(f64, &str)]) -> String {
    let by =
        |a: &&(f64, &str), b: &&(f64, &str)| a.0.total_cmp(&b.0).then(a.1.cmp(b.1));
    let (one, many) = match selection.what {
        What::Countries => ("country", "countries"),
        What::Products => ("product", "products"),
    };
    let (Some(most), Some(least)) = (falls.iter().min_by(by), falls.iter().max_by(by))
    else {
        return String::new();
    };
    let signed = |share: f64| change(1.0, 1.0 + share);
    let number = u64::try_from(falls.len()).unwrap_or(u64::MAX);
    if falls.len() == 1 {
        return format!("{}: {}", most.1, signed(most.0));
    }
    format!(
        "Among {}, the change lies between {} ({}) and {} ({})",
        counted(number, one, many),
        signed(most.0),
        most.1,
        signed(least.0),
        least.1
    )
}

//! `tidegauge panel`: weekly detection histories, for the operator's own analysis.

use anyhow::bail;
use tidegauge_model::panel::Panel;

use crate::opened::Opened;
use crate::output::{Rows, Value};
use crate::settings::Settings;
use crate::{Outcome, args};

/// Prints one row for each organisation, vantage and week.
pub(crate) async fn run(
    verb: &args::Panel,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    if !verb.evidence.internal {
        bail!(
            "a panel names organisations, so it is for the operator alone (hint: --internal; \
             `assess` gives figures that may be published)"
        );
    }
    let opened = Opened::open(settings, verb.evidence.map).await?;
    let days = opened.days(verb.from, verb.to).await?;
    let product = opened.one_product(&verb.evidence.product)?;
    let query = opened.query(&verb.evidence, days)?;
    let panel = opened.counter.panel(&product, &query).await?;
    rows(&panel).print(settings.format)?;
    Ok(Outcome::Done)
}

fn rows(panel: &Panel) -> Rows {
    let columns = [
        "organisation",
        "family",
        "country",
        "sector",
        "vantage",
        "week",
        "days_seen",
        "days_visible",
        "days_control",
    ];
    let mut rows = Rows::new("panel", columns);
    for history in &panel.histories {
        for (week, cell) in panel.days.weeks().zip(&history.weeks) {
            rows.push(vec![
                Value::text(&history.organisation),
                Value::text(&history.family),
                Value::optional(history.country),
                Value::optional(history.sector.as_ref()),
                Value::text(&history.vantage),
                Value::text(week),
                Value::Int(cell.seen.count_ones().into()),
                Value::Int(cell.visible.count_ones().into()),
                Value::Int(cell.control.count_ones().into()),
            ]);
        }
    }
    rows
}

//! `tidegauge census --epsilon`: counts of organisations with noise in place of suppression.
//!
//! **Invariant:** what was told exactly is never told with noise beside it: the promise would be
//! broken before it is made.

use std::path::Path;

use anyhow::{bail, ensure};
use tidegauge_census::private::{Domain, Epsilon, PrivateTable, private};
use tidegauge_model::count::{Dimension, Query};
use tidegauge_model::{Country, DayRange, ProductId};
use tidegauge_publish::country_codes;
use tidegauge_store::{Lake, Table};

use crate::opened::{Opened, is_internal};
use crate::output::{Rows, Value};
use crate::settings::Settings;
use crate::verb::retention;
use crate::{Outcome, knowledge};

/// Counts, adds noise by the key, and prints.
pub(crate) async fn run(
    (epsilon, key): (f64, &Path),
    opened: &Opened,
    mut query: Query,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    ensure!(
        settings.cluster.is_none(),
        "a count with noise is not made on a cluster (hint: leave out --cluster)"
    );
    // One product is asked for, so it tells nothing apart.
    query.by.retain(|dimension| *dimension != Dimension::Product);
    let budget = Epsilon::new(epsilon)?;
    let product = opened.one_product(&query.products)?;
    refuse_released(&opened.lake, &product, query.days).await?;
    let keys = retention::read(key)?;
    let rules = knowledge::rules(settings)?;
    let sectors: Vec<_> =
        rules.sectors.iter().map(|sector| sector.id.clone()).collect();
    let countries: Result<Vec<Country>, _> = country_codes().map(str::parse).collect();
    let domain = Domain {
        by: &query.by,
        countries: &countries?,
        sectors: &sectors,
        active_days_min: query.active_days_min,
    };
    let panel = opened.counter.panel(&product, &query).await?;
    // Another lake, map or catalog draws every cell anew, so that what did not move tells nothing.
    let version = opened.lake.snapshot(Table::Sightings).await?.version;
    let question = format!(
        "{:?} {product} {} {budget:?} {version} {} {:?} ",
        query.by,
        query.days,
        opened.catalog.version(),
        (
            opened.map.tables(),
            query.on,
            query.active_days_min,
            &query.countries,
            &query.sectors
        ),
    );
    let words = |cell: &[u8]| keys.words(&[question.as_bytes(), cell].concat());
    let table = private(&panel, &domain, budget, words)?;
    let mut rows = rows(&query, &table);
    rows.notes = notes(epsilon, &query, &table);
    rows.print(settings.format)?;
    Ok(Outcome::Done)
}

/// Refuses days of which exact counts were released.
async fn refuse_released(
    lake: &Lake,
    product: &ProductId,
    days: DayRange,
) -> anyhow::Result<()> {
    let apart = |a: DayRange, b: DayRange| a.last() < b.first() || b.last() < a.first();
    for published in lake.releases().await? {
        let query = published.release.query();
        let other = !query.products.is_empty() && !query.products.contains(product);
        if !(is_internal(&published.release) || other || apart(query.days, days)) {
            bail!(
                "exact counts of {product} in {} were released as `{}`: noise beside them \
                 protects nobody (hint: other days, or `--internal` for what is not published)",
                query.days,
                published.id
            );
        }
    }
    Ok(())
}

fn rows(query: &Query, table: &PrivateTable) -> Rows {
    let columns = query.by.iter().map(ToString::to_string);
    let counts = ["organisations", "low", "high"].map(str::to_owned);
    let mut rows = Rows::new("census_private", columns.chain(counts));
    for cell in &table.cells {
        let n = cell.organisations;
        let ends = [n, n.saturating_sub(table.margin), n.saturating_add(table.margin)];
        let key = cell.key.iter().map(|value| Value::optional(value.as_ref()));
        rows.push(key.chain(ends.map(Value::Int)).collect());
    }
    rows
}

fn notes(epsilon: f64, query: &Query, table: &PrivateTable) -> Vec<String> {
    vec![
        format!(
            "organisations with {} days of use or more in {}, by the map of {}",
            query.active_days_min, query.days, query.on
        ),
        format!(
            "differential privacy, epsilon {epsilon} for the whole table: an organisation is in at \
             most {} of its cells; noise by a discrete Laplace law, standard deviation {:.1}; of all \
             cells that were drawn, low and high hold the count in 95 of a hundred",
            table.cells_of_one, table.deviation
        ),
        format!(
            "{} cells are left out whose figures the noise alone could have made; budgets of \
             tables that are published add up",
            table.left_out
        ),
    ]
}

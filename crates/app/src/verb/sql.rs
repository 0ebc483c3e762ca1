//! `tidegauge sql`: the lake in SQL, read only, for the operator.

use arrow::array::Array;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::opened::Opened;
use crate::output::{Rows, Value};
use crate::settings::Settings;
use crate::{Outcome, args};

/// Runs the query.
pub(crate) async fn run(
    verb: &args::Sql,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let opened = Opened::open(settings, args::MapRules::DEFAULT).await?;
    let batches = opened.counter.sql(&verb.query).await?;
    let names = batches.first().map(|batch| {
        batch.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>()
    });
    let mut rows = Rows::new("sql", names.unwrap_or_default());
    let options = FormatOptions::default();
    for batch in &batches {
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let value = |(formatter, column): (
                &ArrayFormatter<'_>,
                &arrow::array::ArrayRef,
            )| {
                if column.is_null(row) {
                    return Value::Unknown;
                }
                let text = formatter.value(row).to_string();
                text.parse().map(Value::Int).unwrap_or(Value::Text(text))
            };
            rows.push(columns.iter().zip(batch.columns()).map(value).collect());
        }
    }
    rows.print(settings.format)?;
    Ok(Outcome::Done)
}

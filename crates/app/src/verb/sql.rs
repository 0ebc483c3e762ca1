//! `tidegauge sql`: the lake in SQL, read only, for the operator.
//!
//! **Invariant:** what has a type in the answer has it in every form that has types: in
//! Parquet all of them, in JSON numbers and truth values; null is null, and an empty field.

use std::io::Write;

use anyhow::Context;
use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::opened::Opened;
use crate::output::{self, Rows, Value};
use crate::settings::Settings;
use crate::{Outcome, args};

/// Runs the query.
pub(crate) async fn run(
    verb: &args::Sql,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let opened = Opened::open(settings, args::MapRules::DEFAULT).await?;
    let batches = opened.counter.sql(&verb.query).await?;
    if settings.format == args::Format::Parquet {
        let file = output::parquet(&batches)?;
        std::io::stdout().lock().write_all(&file).context("writing Parquet")?;
        return Ok(Outcome::Done);
    }
    rows(&batches)?.print(settings.format)?;
    Ok(Outcome::Done)
}

fn rows(batches: &[RecordBatch]) -> anyhow::Result<Rows> {
    let schema = batches.first().map(RecordBatch::schema);
    let fields = schema.iter().flat_map(|schema| schema.fields().iter());
    let mut rows = Rows::new("sql", fields.map(|field| field.name()));
    let options = FormatOptions::default();
    for batch in batches {
        let columns = batch.columns().iter().map(|column| {
            Ok((column, ArrayFormatter::try_new(column.as_ref(), &options)?))
        });
        let columns: Vec<_> = columns.collect::<anyhow::Result<_>>()?;
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|(column, text)| value(column, text, row));
            rows.push(cells.collect());
        }
    }
    Ok(rows)
}

fn value(column: &dyn Array, text: &ArrayFormatter<'_>, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    if let Some(is) = column.as_boolean_opt() {
        return Value::Bool(is.value(row));
    }
    let text = text.value(row).to_string();
    let number = match column.data_type() {
        kind if kind.is_unsigned_integer() => text.parse::<u64>().ok().map(Into::into),
        kind if kind.is_integer() => text.parse::<i64>().ok().map(Into::into),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            // Neither infinite ones nor what is no number can be in JSON.
            text.parse().ok().and_then(serde_json::Number::from_f64)
        }
        _ => None,
    };
    number.map_or(Value::Text(text), Value::Number)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn values_keep_their_types_and_null_is_nothing() {
        let columns: [(&str, ArrayRef); 4] = [
            ("half", Arc::new(Int64Array::from(vec![Some(-5), None]))),
            ("share", Arc::new(Float64Array::from(vec![0.1, f64::NAN]))),
            ("is", Arc::new(BooleanArray::from(vec![true, false]))),
            ("name", Arc::new(StringArray::from(vec!["2024", "-x"]))),
        ];
        let rows = rows(&[RecordBatch::try_from_iter(columns).unwrap()]).unwrap();
        assert_eq!(rows.columns, ["half", "share", "is", "name"]);
        let number = |n: f64| Value::Number(serde_json::Number::from_f64(n).unwrap());
        let first = vec![
            Value::Number((-5).into()),
            number(0.1),
            Value::Bool(true),
            Value::text("2024"),
        ];
        let second = vec![
            Value::Null,
            Value::text("NaN"),
            Value::Bool(false),
            Value::text("-x"),
        ];
        assert_eq!(rows.rows, [first, second]);
    }
}

//! Rows on standard output, in the form that was asked for.
//!
//! **Invariant:** data goes to standard output and nothing else does; the same rows give
//! the same bytes. JSON is one document with a schema version.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;

use crate::args::Format;

/// Version of every JSON document's shape; raised when a key changes its meaning.
pub(crate) const SCHEMA_VERSION: u32 = 3;
/// What every document looks like, as JSON Schema.
pub(crate) const SCHEMA: &str = include_str!("../assets/output.schema.json");

/// A value of a cell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    /// Several texts; a table, which has one line for a row, shows the first and counts
    /// the others.
    Several(Vec<String>),
    Int(u64),
    /// With the decimals shown in tables and CSV.
    Float(f64, usize),
    /// Of an answer in SQL: as it is.
    Number(serde_json::Number),
    Bool(bool),
    /// There is none, in SQL: an empty field.
    Null,
    /// Not known.
    Unknown,
    /// Held by nobody known: a value of counts.
    Unattributed,
    /// Known, but not to be shown.
    Suppressed,
}

impl Value {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers have borrowed and owned values alike"
    )]
    pub(crate) fn text(text: impl ToString) -> Self {
        Self::Text(text.to_string())
    }

    pub(crate) fn optional(text: Option<impl ToString>) -> Self {
        text.map_or(Self::Unknown, Self::text)
    }

    /// As text.
    pub(crate) fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Several(texts) => texts.join("; "),
            Self::Int(count) => count.to_string(),
            Self::Float(value, decimals) => format!("{value:.decimals$}"),
            Self::Number(number) => number.to_string(),
            Self::Bool(is) => is.to_string(),
            Self::Null => String::new(),
            Self::Unknown => "unknown".to_owned(),
            Self::Unattributed => "unattributed".to_owned(),
            Self::Suppressed => "suppressed".to_owned(),
        }
    }

    /// As a cell of a table.
    fn line(&self) -> String {
        match self {
            Self::Several(texts) => match texts.as_slice() {
                [first, others @ ..] if !others.is_empty() => {
                    format!("{first}; and {} more", others.len())
                }
                _ => self.plain(),
            },
            _ => self.plain(),
        }
    }

    /// As a field of CSV. Spreadsheets run text that begins like a formula, and names come
    /// from strangers: such text gets an apostrophe in front (OWASP, CSV injection).
    fn cell(&self) -> String {
        let plain = self.plain();
        let formula = matches!(self, Self::Text(_) | Self::Several(_))
            && plain.starts_with(['=', '+', '-', '@', '\t', '\r']);
        if formula { format!("'{plain}") } else { plain }
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Several(_) => self.plain().into(),
            Self::Int(count) => (*count).into(),
            Self::Float(value, _) => (*value).into(),
            Self::Number(number) => number.clone().into(),
            Self::Bool(is) => (*is).into(),
            Self::Null | Self::Unknown | Self::Unattributed => serde_json::Value::Null,
            Self::Suppressed => "suppressed".into(),
        }
    }
}

/// Batches of the same columns as a file of Parquet.
pub(crate) fn parquet(batches: &[RecordBatch]) -> anyhow::Result<Vec<u8>> {
    let schema = batches.first().context("no columns")?.schema();
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), schema, None)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.into_inner().context("writing Parquet")
}

/// Rows with a name and named columns.
#[expect(clippy::struct_field_names, reason = "rows of cells are rows")]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rows {
    /// What they are: `census`.
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<String>,
    /// Each as long as `columns`.
    pub(crate) rows: Vec<Vec<Value>>,
    /// What a reader of the figures must know; on standard error for forms that have no
    /// place for it.
    pub(crate) notes: Vec<String>,
    /// What stands beside the rows in a JSON document, by key; other forms have rows only.
    pub(crate) beside: serde_json::Map<String, serde_json::Value>,
}

impl Rows {
    pub(crate) fn new<S: ToString>(
        name: &'static str,
        columns: impl IntoIterator<Item = S>,
    ) -> Self {
        let columns = columns.into_iter().map(|c| c.to_string()).collect();
        let beside = serde_json::Map::new();
        Self { name, columns, rows: Vec::new(), notes: Vec::new(), beside }
    }

    pub(crate) fn push(&mut self, row: Vec<Value>) {
        debug_assert_eq!(row.len(), self.columns.len(), "a row has every column");
        self.rows.push(row);
    }

    /// Writes the rows to standard output.
    pub(crate) fn print(&self, format: Format) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        match format {
            Format::Table => write!(out, "{}", self.table())?,
            Format::Json => writeln!(out, "{}", self.document()?)?,
            Format::Csv => self.csv(&mut out)?,
            Format::Parquet => out.write_all(&self.parquet()?)?,
        }
        if format != Format::Json {
            self.notes.iter().for_each(|note| tracing::warn!("{note}"));
        }
        out.flush().context("writing to standard output")
    }

    fn table(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(&self.columns);
        for row in &self.rows {
            table.add_row(row.iter().map(|value| {
                let cell = comfy_table::Cell::new(value.line());
                match value {
                    Value::Int(_) | Value::Float(..) | Value::Number(_) => {
                        cell.set_alignment(comfy_table::CellAlignment::Right)
                    }
                    _ => cell,
                }
            }));
        }
        table.column_iter_mut().for_each(|column| {
            column.set_padding((0, 2));
        });
        let mut text = String::new();
        for line in table.to_string().lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn document(&self) -> anyhow::Result<String> {
        let object = |row: &Vec<Value>| -> serde_json::Value {
            let pairs = self.columns.iter().cloned().zip(row.iter().map(Value::json));
            serde_json::Value::Object(pairs.collect())
        };
        let mut document = serde_json::json!({
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "notes": self.notes,
            "rows": self.rows.iter().map(object).collect::<Vec<_>>(),
        });
        if let Some(keys) = document.as_object_mut() {
            keys.extend(self.beside.clone());
        }
        serde_json::to_string_pretty(&document).context("writing JSON")
    }

    fn csv(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(&self.columns)?;
        for row in &self.rows {
            writer.write_record(row.iter().map(Value::cell))?;
        }
        writer.flush().context("writing CSV")
    }

    fn parquet(&self) -> anyhow::Result<Vec<u8>> {
        let arrays: Vec<ArrayRef> =
            (0..self.columns.len()).map(|c| self.column(c)).collect();
        let fields = self.columns.iter().zip(&arrays);
        let fields: Vec<Field> = fields
            .map(|(name, a)| Field::new(name, a.data_type().clone(), true))
            .collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
        parquet(&[batch])
    }

    /// The column as numbers if every known value is one, else as text.
    fn column(&self, index: usize) -> ArrayRef {
        let values = || self.rows.iter().filter_map(move |row| row.get(index));
        let known =
            || values().filter(|v| !matches!(v, Value::Unknown | Value::Suppressed));
        if known().next().is_some() && known().all(|v| matches!(v, Value::Int(_))) {
            let ints = values().map(|v| match v {
                Value::Int(count) => i64::try_from(*count).ok(),
                _ => None,
            });
            return Arc::new(ints.collect::<Int64Array>());
        }
        if known().next().is_some() && known().all(|v| matches!(v, Value::Float(..))) {
            let floats = values().map(|v| match v {
                Value::Float(value, _) => Some(*value),
                _ => None,
            });
            return Arc::new(floats.collect::<Float64Array>());
        }
        let texts = values().map(|v| match v {
            Value::Null | Value::Unknown | Value::Unattributed => None,
            other => Some(other.plain()),
        });
        Arc::new(texts.collect::<StringArray>())
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;

    fn rows() -> Rows {
        let mut rows = Rows::new("sample", ["country", "organisations", "share"]);
        rows.push(vec![Value::text("US"), Value::Int(2540), Value::Float(0.125, 2)]);
        rows.push(vec![Value::Unknown, Value::Suppressed, Value::Unknown]);
        rows
    }

    #[test]
    fn a_suppressed_value_is_a_word_in_every_form() {
        let table = rows().table();
        assert!(table.contains("suppressed") && table.contains("2540"), "{table}");
        let mut csv = Vec::new();
        rows().csv(&mut csv).unwrap();
        assert_eq!(
            String::from_utf8(csv).unwrap(),
            "country,organisations,share\nUS,2540,0.12\nunknown,suppressed,unknown\n"
        );
        let json: serde_json::Value =
            serde_json::from_str(&rows().document().unwrap()).unwrap();
        assert_eq!(json["schema_version"], 3);
        assert_eq!(json["rows"][1]["organisations"], "suppressed");
        assert_eq!(json["rows"][0]["share"], 0.125);
    }

    /// The names of all rows that some verb prints, read in its source.
    fn names(folder: &std::path::Path, into: &mut std::collections::BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                names(&path, into);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let made = code.split("Rows::new(").skip(1);
            let named = made.filter_map(|rest| rest.trim_start().strip_prefix('"'));
            into.extend(named.map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }

    #[test]
    fn the_schema_names_every_document_and_this_version() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        let of = |name: &str| schema["$defs"][name]["properties"].clone();
        let mut told = std::collections::BTreeSet::new();
        for name in ["rows", "census", "panel", "assess"] {
            assert_eq!(of(name)["schema_version"]["const"], SCHEMA_VERSION);
            let named = &of(name)["name"];
            told.extend(named["const"].as_str().map(str::to_owned));
            let many = named["enum"].as_array().into_iter().flatten();
            told.extend(many.map(|name| name.as_str().unwrap().to_owned()));
        }
        let mut made = std::collections::BTreeSet::new();
        names(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut made);
        assert_eq!(told, made);
        assert_eq!(
            of("findings")["schema_version"]["const"],
            tidegauge_exposure::out::document::SCHEMA_VERSION
        );
    }

    #[test]
    fn parquet_holds_numbers_as_numbers() {
        assert_eq!(*rows().column(1).data_type(), DataType::Int64);
        assert_eq!(*rows().column(0).data_type(), DataType::Utf8);
        assert!(rows().parquet().unwrap().starts_with(b"PAR1"));
    }
}

//! Views: the tables that other programs read, as files over HTTP and through the door of
//! `PostgreSQL`. One list serves both.
//!
//! * `counted`: distinct counts and estimates; `told`: products, acts, coverage;
//! * `sheet`: typed rows, and their forms: Arrow, Parquet, JSON, CSV.
//!
//! **Invariant:** a view is made of what [`Counts`] gives, so that the disclosure rule stands
//! before it: a suppressed count is null beside `suppressed = true`. Its columns, their types
//! and their order are those of [`VIEWS`] whatever it holds.

mod counted;
mod sheet;
mod told;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use tidegauge_model::ProductId;

use super::{Answer, Counts, CountsError, Scope};
pub(super) use sheet::{Sheet, parquet, stream};

/// A table that is made when it is read.
pub struct View {
    /// Its name, in SQL and in the address.
    pub name: &'static str,
    /// What a row is.
    pub about: &'static str,
    /// Its columns, in order.
    pub columns: &'static [Column],
    rows: for<'a> fn(Reading<'a>) -> Answer<'a, Sheet>,
}

/// A column of a view.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// What it says, with the unit.
    pub about: &'static str,
}

/// What the values of a column are. Each may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// A whole number, 64 bits.
    Whole,
    /// A number, 64 bits.
    Number,
    /// A date.
    Day,
    /// True or false.
    Truth,
}

/// Who is asked, and about which products.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    counts: &'a dyn Counts,
    scope: &'a Scope,
    products: &'a [ProductId],
}

/// All views, by name.
pub const VIEWS: &[View] = &[
    told::ACTS,
    counted::BY_COUNTRY,
    counted::BY_MONTH,
    counted::BY_SECTOR,
    told::COVERAGE,
    counted::ESTIMATES,
    told::PRODUCTS,
    told::VENDOR_EVENTS,
];

/// The column that tells whose rows they are.
pub const PRODUCT: &str = "product";

const fn column(name: &'static str, kind: Kind, about: &'static str) -> Column {
    Column { name, kind, about }
}

impl View {
    /// The columns as Arrow has them; what each says is in its metadata, under `comment`.
    pub fn schema(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|column| {
            let comment = [("comment".to_owned(), column.about.to_owned())];
            Field::new(column.name, column.kind.data_type(), true)
                .with_metadata(comment.into())
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Whether it has rows of products, which can be asked for one by one.
    pub fn by_product(&self) -> bool {
        self.columns.iter().any(|column| column.name == PRODUCT)
    }

    /// Its rows, of these products alone if it has such; of all without.
    ///
    /// Fails with [`CountsError::Failed`] where the lake cannot be read. A table that the
    /// disclosure rule withholds is one row that says so.
    pub async fn read(
        &self,
        counts: &dyn Counts,
        products: Option<&[ProductId]>,
    ) -> Result<RecordBatch, CountsError> {
        let sheet = self.sheet(counts, products).await?;
        sheet.batch(self.schema()).map_err(|error| CountsError::Failed(Box::new(error)))
    }

    pub(super) async fn sheet(
        &self,
        counts: &dyn Counts,
        products: Option<&[ProductId]>,
    ) -> Result<Sheet, CountsError> {
        let scope = counts.scope().await?;
        let known = scope.products.iter().map(|(id, _)| id.clone());
        let products: Vec<ProductId> = known
            .filter(|id| products.is_none_or(|asked| asked.contains(id)))
            .collect();
        (self.rows)(Reading { counts, scope: &scope, products: &products }).await
    }
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Whole => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Day => DataType::Date32,
            Self::Truth => DataType::Boolean,
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Whole => "integer",
            Self::Number => "number",
            Self::Day => "date",
            Self::Truth => "boolean",
        }
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("name", &self.name)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn views_are_sorted_and_every_column_is_told() {
        let names: Vec<&str> = VIEWS.iter().map(|view| view.name).collect();
        assert!(names.is_sorted() && names.len() == 8, "{names:?}");
        for view in VIEWS {
            let plain = |name: &str| {
                name.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            };
            assert!(plain(view.name) && view.about.ends_with('.'), "{}", view.name);
            let columns: BTreeSet<&str> = view.columns.iter().map(|c| c.name).collect();
            assert_eq!(columns.len(), view.columns.len(), "{}", view.name);
            for column in view.columns {
                let told = plain(column.name) && column.about.ends_with('.');
                assert!(told, "{} {}", view.name, column.name);
            }
        }
    }
}

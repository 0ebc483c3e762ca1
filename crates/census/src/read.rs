//! Reading what the engine returns.
//!
//! **Invariant:** a column that is absent or of another type is an error, not a panic.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::error::DataFusionError;

/// The columns of a batch, by name.
pub(crate) struct Columns<'a>(pub(crate) &'a RecordBatch);

/// A column of numbers.
pub(crate) struct Numbers(Int64Array);

/// A column of texts.
pub(crate) struct Texts(StringArray);

impl Columns<'_> {
    fn column(&self, name: &str) -> Result<&ArrayRef, DataFusionError> {
        self.0.column_by_name(name).ok_or_else(|| {
            DataFusionError::Internal(format!("a result lacks its column `{name}`"))
        })
    }

    /// A column of any numbers or days.
    pub(crate) fn numbers(&self, name: &str) -> Result<Numbers, DataFusionError> {
        let column = self.column(name)?;
        // Days have no direct way to 64 bits.
        let column = match column.data_type() {
            DataType::Date32 => &cast(column, &DataType::Int32)?,
            _ => column,
        };
        let column = cast(column, &DataType::Int64)?;
        Ok(Numbers(column.as_primitive::<Int64Type>().clone()))
    }

    /// A column of any texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Texts, DataFusionError> {
        let column = cast(self.column(name)?, &DataType::Utf8)?;
        Ok(Texts(column.as_string::<i32>().clone()))
    }
}

impl Numbers {
    /// The number in a row, `None` for null.
    pub(crate) fn get(&self, row: usize) -> Option<i64> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }
}

impl Texts {
    /// The text in a row, `None` for null.
    pub(crate) fn get(&self, row: usize) -> Option<&str> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }
}

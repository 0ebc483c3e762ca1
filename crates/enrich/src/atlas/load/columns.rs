//! Columns of a table that are found by the names in its header.
//!
//! **Invariant:** a table whose header lacks a needed column is refused whole.

use std::borrow::Cow;

use tidegauge_model::{Reason, SourceId};

use crate::atlas::AtlasError;
use crate::atlas::row::Row;

/// Where each named column stands.
pub(super) struct Columns {
    names: Vec<String>,
}

impl Columns {
    /// Reads the header. Of each group in `needed` one name must be there.
    pub(super) fn read(
        needed: &[&[&str]],
        table: &SourceId,
        row: &Row,
    ) -> Result<Self, AtlasError> {
        let names: Vec<_> =
            row.fields().iter().map(|n| n.trim().to_ascii_lowercase()).collect();
        for group in needed {
            if !group.iter().any(|name| names.iter().any(|n| n == name)) {
                let (table, missing) = (table.clone(), group.join("` or `"));
                return Err(AtlasError::Header { table, line: row.line, missing });
            }
        }
        Ok(Self { names })
    }

    /// The fields of a row, if they are as many as the header has.
    pub(super) fn fields<'a>(&self, row: &'a Row) -> Result<Vec<Cow<'a, str>>, Reason> {
        let fields = row.fields();
        let right = fields.len() == self.names.len();
        right.then_some(fields).ok_or(Reason::ColumnCount)
    }

    /// The value under `name`, if the column is there and not empty.
    pub(super) fn get<'a>(
        &self,
        fields: &'a [Cow<'_, str>],
        name: &str,
    ) -> Option<&'a str> {
        let at = self.names.iter().position(|n| n == name)?;
        fields.get(at).map(|f| f.trim()).filter(|f| !f.is_empty())
    }
}

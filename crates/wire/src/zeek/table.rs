//! The header of a tab-separated log, and its rows.
//!
//! ```text
//! #separator \x09
//! #set_separator , ─┐
//! #empty_field (empty)  key, separator, value
//! #unset_field -   ─┘
//! #path conn
//! #fields ts uid …      the columns by name, in the order of this file
//! ```
//!
//! **Invariant:** a row is read by the header above it; a header may come again
//! (rotation, concatenation) and then counts from there on.

use std::borrow::Cow;

use tidegauge_model::Reason;

use super::Log;
use super::row::{Column, Row};
use crate::cell::Cell;

/// What the header lines have said so far.
pub(super) struct Header {
    separator: char,
    set_separator: char,
    empty: String,
    unset: String,
    path: Option<String>,
    /// The columns in order, `None` for those that are not read here; `None` as a whole
    /// until `#fields` was seen.
    columns: Option<Vec<Option<Column>>>,
    /// Told by the names of the columns, where there is no `#path`.
    guess: Option<Log>,
}

impl Header {
    /// No header yet: no row can be read.
    pub(super) fn absent() -> Self {
        Self {
            separator: '\t',
            set_separator: ',',
            empty: "(empty)".to_owned(),
            unset: "-".to_owned(),
            path: None,
            columns: None,
            guess: None,
        }
    }

    /// Which log the header says it is.
    pub(super) fn log(&self) -> Option<Log> {
        self.path.as_deref().map(Log::named).or(self.guess)
    }

    /// Reads a line that begins with `#`. Comments and `#open`, `#close` and `#types`
    /// change nothing.
    pub(super) fn read(&mut self, line: &str) {
        if let Some(separator) = line.strip_prefix("#separator ") {
            *self = Self::absent();
            if let Some(separator) = unescaped(separator) {
                self.separator = separator;
            }
            return;
        }
        let Some((key, value)) = line.split_once(self.separator) else {
            return;
        };
        match key {
            "#set_separator" => self.set_separator = unescaped(value).unwrap_or(','),
            "#empty_field" => value.clone_into(&mut self.empty),
            "#unset_field" => value.clone_into(&mut self.unset),
            "#path" => self.path = Some(value.to_owned()),
            "#fields" => {
                let names: Vec<&str> = value.split(self.separator).collect();
                self.guess = Log::by_columns(|name| names.contains(&name));
                self.columns =
                    Some(names.into_iter().map(Column::named).collect::<Vec<_>>());
            }
            _ => {}
        }
    }

    /// Reads a row.
    pub(super) fn row<'a>(&self, line: &'a str) -> Result<Row<'a>, Reason> {
        let columns = self.columns.as_ref().ok_or(Reason::ColumnMissing)?;
        let mut row = Row::default();
        let mut values = line.split(self.separator);
        for column in columns {
            let value = values.next().ok_or(Reason::ColumnCount)?;
            if let Some(column) = column {
                row.set(*column, self.cell(*column, value));
            }
        }
        match values.next() {
            None => Ok(row),
            Some(_) => Err(Reason::ColumnCount),
        }
    }

    fn cell<'a>(&self, column: Column, value: &'a str) -> Cell<'a> {
        if value == self.unset || value == self.empty {
            return Cell::Unset;
        }
        let text = |value| Cell::Text(Cow::Borrowed(value));
        match column {
            Column::answers | Column::ttls => {
                Cell::List(value.split(self.set_separator).map(text).collect())
            }
            _ => text(value),
        }
    }
}

/// One character, as it is or as `\x09`.
fn unescaped(text: &str) -> Option<char> {
    if let Some(hex) = text.strip_prefix("\\x") {
        return u8::from_str_radix(hex, 16).ok().map(char::from);
    }
    let mut characters = text.chars();
    characters.next().filter(|_| characters.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(lines: &[&str]) -> Header {
        let mut header = Header::absent();
        for line in lines {
            header.read(line);
        }
        header
    }

    #[test]
    fn columns_are_found_by_name_in_any_order() {
        let header =
            header(&["#separator \\x09", "#path\tconn", "#fields\tuid\tnovel\tts"]);
        let row = header.row("C1\tx\t-").unwrap();
        assert_eq!(row.uid.needed_text(), Ok("C1"));
        assert_eq!((row.ts, row.proto), (Cell::Unset, Cell::Absent));
        assert_eq!(header.log(), Some(Log::Conn));
    }

    #[test]
    fn separators_and_marks_are_those_of_the_header() {
        let header = header(&[
            "#separator |",
            "#set_separator|;",
            "#empty_field|EMPTY",
            "#unset_field|NULL",
            "#fields|query|answers|TTLs|rtt|trans_id",
        ]);
        let row = header.row("-|a;b|EMPTY|NULL|7").unwrap();
        assert_eq!(row.query.needed_text(), Ok("-"));
        assert_eq!(row.answers.list().unwrap().len(), 2);
        assert_eq!((row.ttls, row.rtt), (Cell::Unset, Cell::Unset));
        assert_eq!(header.log(), Some(Log::Dns));
    }

    #[test]
    fn rows_of_another_width_are_refused() {
        let header = header(&["#fields\tts\tuid"]);
        for line in ["", "1", "1\t2\t3"] {
            assert_eq!(header.row(line).unwrap_err(), Reason::ColumnCount, "{line}");
        }
        assert_eq!(
            Header::absent().row("1\t2").unwrap_err(),
            Reason::ColumnMissing,
            "there is no header"
        );
    }
}

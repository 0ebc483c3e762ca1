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

use tidegauge_model::Reason;

use super::Log;
use super::row::{Column, Texts, Values};
use crate::cell::{Elements, View};

/// What the header lines have said so far.
#[derive(Debug)]
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
    pub(super) fn row<'a>(&'a self, line: &'a str) -> Result<TableRow<'a>, Reason> {
        let columns = self.columns.as_ref().ok_or(Reason::ColumnMissing)?;
        let mut texts = Texts::default();
        let mut rest = Some(line);
        for column in columns {
            let text = rest.ok_or(Reason::ColumnCount)?;
            let (value, after) = self.cut(text);
            rest = after;
            if let Some(column) = column {
                texts.set(*column, value);
            }
        }
        match rest {
            None => Ok(TableRow { header: self, texts }),
            Some(_) => Err(Reason::ColumnCount),
        }
    }

    /// The first value of a text, and what is behind its separator.
    fn cut<'a>(&self, text: &'a str) -> (&'a str, Option<&'a str>) {
        let mut separator = [0; 4];
        let separator = self.separator.encode_utf8(&mut separator).as_bytes();
        let found = match separator {
            // Values are short: a loop is done before a search has begun.
            [byte] => text.bytes().position(|b| b == *byte).map(|at| (at, at + 1)),
            _ => text.find(self.separator).map(|at| (at, at + separator.len())),
        };
        let cut = found.and_then(|(end, next)| text.get(..end).zip(text.get(next..)));
        cut.map_or((text, None), |(value, rest)| (value, Some(rest)))
    }
}

/// A row of a table, and what its header says of it.
#[derive(Debug)]
pub(super) struct TableRow<'a> {
    header: &'a Header,
    texts: Texts<'a>,
}

impl Values for TableRow<'_> {
    fn value(&self, column: Column) -> View<'_> {
        let Some(text) = self.texts.get(column) else { return View::Absent };
        if text == self.header.unset || text == self.header.empty {
            return View::Unset;
        }
        match column {
            Column::answers | Column::ttls => {
                View::List(Elements::Texts(text, self.header.set_separator))
            }
            _ => View::Text(text),
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
        assert_eq!(row.value(Column::uid).needed_text(), Ok("C1"));
        assert_eq!(
            (row.value(Column::ts), row.value(Column::proto)),
            (View::Unset, View::Absent)
        );
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
        assert_eq!(row.value(Column::query).needed_text(), Ok("-"));
        assert_eq!(row.value(Column::answers).list().unwrap().count(), 2);
        assert_eq!(
            (row.value(Column::ttls), row.value(Column::rtt)),
            (View::Unset, View::Unset)
        );
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

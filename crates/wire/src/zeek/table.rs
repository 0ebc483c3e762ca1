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
use super::row::{Column, Values};
use crate::cell::{Elements, View};

/// What the header lines have said so far.
#[derive(Debug)]
pub(super) struct Header {
    separator: char,
    set_separator: char,
    empty: String,
    unset: String,
    path: Option<Log>,
    /// `None` until `#fields` was seen.
    columns: Option<Columns>,
    /// Told by the names of the columns, where there is no `#path`.
    guess: Option<Log>,
    /// Where the values of the last row end, but the last one. Kept so that no row asks
    /// for memory.
    ends: Vec<usize>,
}

/// The columns of a table.
#[derive(Debug)]
struct Columns {
    width: usize,
    /// Which of them is the column that is read here.
    places: [Option<usize>; Column::COUNT],
}

impl Columns {
    fn new(names: &[&str]) -> Self {
        let mut places = [None; Column::COUNT];
        for (at, name) in names.iter().enumerate() {
            let place = Column::named(name).and_then(|c| places.get_mut(c.index()));
            if let Some(place) = place {
                *place = Some(at);
            }
        }
        Self { width: names.len(), places }
    }
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
            ends: Vec::new(),
        }
    }

    /// Which log the header says it is.
    pub(super) fn log(&self) -> Option<Log> {
        self.path.or(self.guess)
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
            "#path" => self.path = Some(Log::named(value)),
            "#fields" => {
                let names: Vec<&str> = value.split(self.separator).collect();
                self.guess = Log::by_columns(|name| names.contains(&name));
                self.columns = Some(Columns::new(&names));
            }
            _ => {}
        }
    }

    /// Reads a row.
    pub(super) fn row<'a>(&'a mut self, text: &'a str) -> Result<TableRow<'a>, Reason> {
        self.cut(text);
        let columns = self.columns.as_ref().ok_or(Reason::ColumnMissing)?;
        if self.ends.len() + 1 != columns.width {
            return Err(Reason::ColumnCount);
        }
        Ok(TableRow { header: self, columns, text })
    }

    /// Finds where the values end.
    fn cut(&mut self, text: &str) {
        self.ends.clear();
        match u8::try_from(self.separator).ok().filter(u8::is_ascii) {
            Some(byte) => places_of(byte, text.as_bytes(), &mut self.ends),
            None => {
                self.ends.extend(text.match_indices(self.separator).map(|(at, _)| at));
            }
        }
    }
}

/// Bytes that are looked at together: as many as a word has bits.
const BLOCK_BYTES: usize = 64;

/// Adds where `byte` is in `text`. Values are short: a search for each of them would cost
/// more than one over the row.
fn places_of(byte: u8, text: &[u8], places: &mut Vec<usize>) {
    let pattern = u64::from_ne_bytes([byte; 8]);
    let (blocks, rest) = text.as_chunks::<BLOCK_BYTES>();
    let mut base = 0;
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        let mut mask = 0;
        for word in words.iter().rev() {
            mask = mask << 8 | equal_bytes(u64::from_le_bytes(*word) ^ pattern);
        }
        while mask != 0 {
            let at = usize::try_from(mask.trailing_zeros()).unwrap_or(0);
            places.push(base + at);
            mask &= mask - 1;
        }
        base += BLOCK_BYTES;
    }
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        let mut mask = equal_bytes(u64::from_le_bytes(*word) ^ pattern);
        while mask != 0 {
            let at = usize::try_from(mask.trailing_zeros()).unwrap_or(0);
            places.push(base + at);
            mask &= mask - 1;
        }
        base += 8;
    }
    let found = rest.iter().enumerate().filter(|(_, b)| **b == byte);
    places.extend(found.map(|(at, _)| base + at));
}

/// A bit for each byte of the word that is zero, the first of them lowest.
#[inline]
fn equal_bytes(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // The upper bit of each byte, if the others of it are not all zero; no carry leaves a
    // byte.
    let some = ((word & LOW) + LOW) | word;
    let zero = (!some >> 7) & 0x0101_0101_0101_0101;
    // Gathers the lowest bit of each byte in the highest byte.
    zero.wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// A row of a table, and what its header says of it.
#[derive(Debug)]
pub(super) struct TableRow<'a> {
    header: &'a Header,
    columns: &'a Columns,
    text: &'a str,
}

impl TableRow<'_> {
    /// The text of a column, if the table has it.
    #[inline]
    fn get(&self, column: Column) -> Option<&str> {
        let place = self.columns.places.get(column.index()).copied().flatten()?;
        let ends = &self.header.ends;
        let begin = match place.checked_sub(1) {
            None => 0,
            Some(before) => ends.get(before)? + self.header.separator.len_utf8(),
        };
        self.text.get(begin..ends.get(place).copied().unwrap_or(self.text.len()))
    }
}

impl Values for TableRow<'_> {
    #[inline]
    fn value(&self, column: Column) -> View<'_> {
        let Some(text) = self.get(column) else { return View::Absent };
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
    use proptest::prelude::*;

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
        let mut header =
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
        let mut header = header(&[
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
    fn a_separator_may_be_of_several_bytes() {
        let mut header = header(&["#separator é", "#fieldsétséuid"]);
        let row = header.row("1.5éC1").unwrap();
        assert_eq!(row.value(Column::uid).needed_text(), Ok("C1"));
        assert_eq!(row.value(Column::ts).needed_text(), Ok("1.5"));
    }

    proptest! {
        #[test]
        fn separators_are_found_wherever_they_are(text in "[\\t\\x08\\x0aa\\x89é]{0,200}") {
            let mut places = Vec::new();
            places_of(b'\t', text.as_bytes(), &mut places);
            let found: Vec<usize> = text.match_indices('\t').map(|(at, _)| at).collect();
            prop_assert_eq!(places, found);
        }
    }

    #[test]
    fn rows_of_another_width_are_refused() {
        let mut header = header(&["#fields\tts\tuid"]);
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

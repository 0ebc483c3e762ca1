//! Rows of registry tables: lines of fields, however they are quoted.
//!
//! **Invariant:** a row is one line. A quote that never closes spoils its own row, not
//! the rest of the file, as it would under RFC 4180.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use tidegauge_model::Reason;

/// Longest line read: names in the tables known are below 300 bytes; picked by hand so
/// that a binary file cannot fill the memory.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// One line of the input.
pub(super) struct Row {
    /// From 1.
    pub(super) line: u64,
    /// Byte offset of its start.
    pub(super) offset: u64,
    text: String,
}

impl Row {
    /// The line as it stands.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Its fields, without their quotes.
    pub(super) fn fields(&self) -> Vec<Cow<'_, str>> {
        let mut fields = Vec::new();
        let mut rest = Some(self.text.as_str());
        while let Some(text) = rest {
            let (field, after) = field(text);
            fields.push(field);
            rest = after;
        }
        fields
    }

    /// What comes before the first comma, as it stands.
    pub(super) fn first_field(&self) -> &str {
        self.text.split(',').next().unwrap_or_default()
    }
}

/// Splits off the first field. `None` after it means that the line ends there.
fn field(text: &str) -> (Cow<'_, str>, Option<&str>) {
    let Some(quoted) = text.strip_prefix('"') else {
        return match text.split_once(',') {
            Some((field, rest)) => (Cow::Borrowed(field), Some(rest)),
            None => (Cow::Borrowed(text), None),
        };
    };
    let mut field = String::new();
    let mut rest = quoted;
    loop {
        let Some((before, after)) = rest.split_once('"') else {
            field.push_str(rest);
            return (Cow::Owned(field), None);
        };
        field.push_str(before);
        if let Some(after_pair) = after.strip_prefix('"') {
            field.push('"');
            rest = after_pair;
        } else if let Some(next) = after.strip_prefix(',') {
            return (Cow::Owned(field), Some(next));
        } else if after.is_empty() {
            return (Cow::Owned(field), None);
        } else {
            // A lone quote inside a quoted field: keep it, as a person would read it.
            field.push('"');
            rest = after;
        }
    }
}

/// Reads rows one by one.
pub(super) struct Rows<R> {
    input: R,
    line: u64,
    offset: u64,
    /// Whether a line that is not UTF-8 is read as Windows-1252.
    western: bool,
}

/// What stands on the next line.
pub(super) enum Next {
    Row(Row),
    Lost(Row, Reason),
    Blank,
    End,
}

impl<R: BufRead> Rows<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: 0, offset: 0, western: false }
    }

    /// Rows of a table to which everybody wrote in the encoding of their own machine: a
    /// line that is not UTF-8 is taken for Windows-1252, of which ISO 8859-1 is a part.
    pub(super) fn western(input: R) -> Self {
        Self { western: true, ..Self::new(input) }
    }

    /// Lines read so far.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Reads one line.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        let mut bytes = Vec::with_capacity(80);
        let read =
            self.input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(Next::End);
        }
        self.line += 1;
        let offset = self.offset;
        self.offset += count(read);
        let row = |text| Row { line: self.line, offset, text };
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        } else if count(read) == LINE_BYTES_MAX {
            let row = row(String::new());
            self.offset += count(self.input.skip_until(b'\n')?);
            return Ok(Next::Lost(row, Reason::Limit));
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let mut text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) if self.western => of_windows_1252(error.as_bytes()),
            Err(_) => return Ok(Next::Lost(row(String::new()), Reason::Syntax)),
        };
        if self.line == 1 && text.starts_with('\u{feff}') {
            text.remove(0);
        }
        if text.trim().is_empty() {
            return Ok(Next::Blank);
        }
        Ok(Next::Row(row(text)))
    }
}

/// What Windows-1252 has in place of the second set of control characters, 0x80 to 0x9f.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}',
    'Ž', '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›',
    'œ', '\u{9d}', 'ž', 'Ÿ',
];

fn of_windows_1252(bytes: &[u8]) -> String {
    let read = |byte: &u8| match byte {
        0x80..=0x9f => {
            let at = usize::from(byte - 0x80);
            WINDOWS_1252.get(at).copied().unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        _ => char::from(*byte),
    };
    bytes.iter().map(read).collect()
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("usize is at most 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<String> {
        let row = Row { line: 1, offset: 0, text: text.to_owned() };
        row.fields().into_iter().map(Cow::into_owned).collect()
    }

    #[test]
    fn quotes_are_undone_and_broken_ones_spoil_only_their_field() {
        assert_eq!(fields("1,\"Enecom,Inc.\",x"), ["1", "Enecom,Inc.", "x"]);
        assert_eq!(fields("1,\"a \"\"b\"\" c\""), ["1", "a \"b\" c"]);
        assert_eq!(fields("AS42,\"\"\"WoodyNet\", Inc.\"").first().unwrap(), "AS42");
        assert_eq!(fields("1,\"a \"b\" c\",2"), ["1", "a \"b\" c", "2"]);
        assert_eq!(fields("1,\"open"), ["1", "open"]);
        assert_eq!(fields(",,"), ["", "", ""]);
    }

    #[test]
    fn lines_keep_their_number_and_offset() {
        let mut rows = Rows::new("\u{feff}a,b\r\n\n\u{e9}".as_bytes());
        let Ok(Next::Row(row)) = rows.next() else { panic!("a row") };
        assert_eq!((row.line, row.offset, row.fields().len()), (1, 0, 2));
        assert_eq!(row.first_field(), "a");
        assert!(matches!(rows.next(), Ok(Next::Blank)));
        let Ok(Next::Row(row)) = rows.next() else { panic!("a row") };
        assert_eq!((row.line, row.offset), (3, 9));
        assert!(matches!(rows.next(), Ok(Next::End)));
    }

    #[test]
    fn overlong_and_binary_lines_are_lost_and_the_next_is_read() {
        let mut text = vec![b'x'; 200_000];
        text.extend_from_slice(b"\n\xff\xfe\nok");
        let mut rows = Rows::new(text.as_slice());
        assert!(matches!(rows.next(), Ok(Next::Lost(_, Reason::Limit))));
        assert!(matches!(rows.next(), Ok(Next::Lost(_, Reason::Syntax))));
        let Ok(Next::Row(row)) = rows.next() else { panic!("a row") };
        assert_eq!((row.line, row.offset), (3, 200_004));
    }

    #[test]
    fn western_bytes_are_read_where_they_are_expected() {
        let mut rows = Rows::western(b"M\xfcller \x96 \x80\nM\xc3\xbcller".as_slice());
        let mut texts = Vec::new();
        while let Ok(Next::Row(row)) = rows.next() {
            texts.push(row.text().to_owned());
        }
        assert_eq!(texts, ["Müller – €", "Müller"]);
    }
}

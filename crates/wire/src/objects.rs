//! The objects of a JSON text: one a line, or the elements of an array, as programs that
//! print what they were asked for write them.
//!
//! **Invariant:** every byte that is no blank, comma or bracket of the array is part of
//! exactly one piece, or stands behind a damaged one. Memory is bounded by
//! [`LINE_BYTES_MAX`].
//!
//! An element may go over many lines. A string holds no line end (RFC 8259, 7): an element
//! with one is damaged, and the next begins at the next line that opens an object as far
//! indented as the damaged one.

use std::io::{self, BufRead};

use tidegauge_model::{Instant, Reason};

use crate::Sink;
use crate::lines::{self, BOM, LINE_BYTES_MAX, Line, Lines};

/// Reads objects one after the other.
pub(crate) enum Objects<'i> {
    /// One a line.
    Lines(Lines<'i>),
    /// The elements of an array.
    Array(Elements<'i>),
}

impl<'i> Objects<'i> {
    /// Which of both a text is, its first byte tells.
    pub(crate) fn new(input: &'i mut dyn BufRead) -> io::Result<Self> {
        let (mut offset, mut number) = (0, 1);
        loop {
            let bytes = input.fill_buf()?;
            let blank =
                |b: &u8| b.is_ascii_whitespace() || offset < 3 && BOM.contains(b);
            let length = bytes.iter().take_while(|b| blank(b)).count();
            let first = bytes.get(length).copied();
            let skipped = bytes.iter().take(length);
            number += count(skipped.filter(|b| **b == b'\n').count());
            offset += count(length);
            input.consume(length);
            match first {
                // A remark of who handed the text on.
                Some(b'#') => offset += count(skip_line(input)?),
                Some(b'[') => {
                    return Ok(Self::Array(Elements::new(input, offset, number)));
                }
                Some(_) => return Ok(Self::Lines(Lines::at(input, offset, number))),
                None if length == 0 => {
                    return Ok(Self::Lines(Lines::at(input, offset, number)));
                }
                None => {}
            }
        }
    }

    /// The next object, or what stands where one should, or `None` at the end of the input.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        match self {
            Self::Lines(lines) => lines.next(),
            Self::Array(elements) => elements.next(),
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).expect("a length fits 64 bits")
}

/// Goes to the end of the line; how many bytes it was.
fn skip_line(input: &mut dyn BufRead) -> io::Result<usize> {
    let mut skipped = 0;
    loop {
        let bytes = input.fill_buf()?;
        let end = bytes.iter().position(|b| *b == b'\n');
        let length = end.unwrap_or(bytes.len());
        input.consume(length);
        skipped += length;
        if end.is_some() || length == 0 {
            return Ok(skipped);
        }
    }
}

/// The elements of an array, or of several one after the other.
pub(crate) struct Elements<'i> {
    input: &'i mut dyn BufRead,
    offset: u64,
    number: u64,
    /// Bytes of the present line that were read.
    column: u64,
    text: Vec<u8>,
    /// The array, while it is open; then nothing is behind the last element but its end.
    open: bool,
    /// After damage: how far the object was indented.
    lost_at: Option<u64>,
}

/// What has been read of an element.
#[derive(Default)]
struct Element {
    depth: usize,
    string: bool,
    escape: bool,
    length: u64,
}

/// Whether a byte ends the element.
enum Step {
    Inside,
    /// With this byte.
    Ends,
    /// Before this byte.
    Ended,
    Damaged,
}

impl Element {
    fn step(&mut self, byte: u8) -> Step {
        self.length += 1;
        if self.string {
            let plain = std::mem::take(&mut self.escape);
            match byte {
                b'\n' => return Step::Damaged,
                b'\\' => self.escape = !plain,
                b'"' => self.string = plain,
                _ => {}
            }
            return Step::Inside;
        }
        match byte {
            b'"' => self.string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth == 1 => return Step::Ends,
            b'}' | b']' if self.depth > 1 => self.depth -= 1,
            // What is no object or array ends with the element, or with its line.
            b',' | b']' | b'\n' if self.depth == 0 => return Step::Ended,
            _ => {}
        }
        Step::Inside
    }
}

impl<'i> Elements<'i> {
    fn new(input: &'i mut dyn BufRead, offset: u64, number: u64) -> Self {
        let (text, lost_at) = (Vec::new(), None);
        Self { input, offset, number, column: 0, text, open: false, lost_at }
    }

    fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.text.clear();
        let Some(column) = self.begin()? else {
            let open = std::mem::take(&mut self.open);
            // An array that is not closed: no text of JSON, and cut.
            let (offset, number) = (self.offset, self.number);
            let line = Line { offset, number, bytes: Some(b"["), ended: false };
            return Ok(open.then_some(line));
        };
        let (offset, number) = (self.offset, self.number);
        let mut element = Element::default();
        let ended = loop {
            let Some(byte) = self.peek()? else { break false };
            let step = element.step(byte);
            if matches!(step, Step::Ended) {
                break true;
            }
            self.consume(byte);
            if element.length <= LINE_BYTES_MAX {
                self.text.push(byte);
            }
            match step {
                Step::Ends => break true,
                Step::Damaged => {
                    self.lost_at = Some(column);
                    break true;
                }
                Step::Inside | Step::Ended => {}
            }
        };
        // What was cut is told with the element.
        self.open &= ended;
        let bytes = (element.length <= LINE_BYTES_MAX).then_some(self.text.as_slice());
        Ok(Some(Line { offset, number, bytes, ended }))
    }

    /// Goes to the next element; how far it is indented, or `None` at the end.
    fn begin(&mut self) -> io::Result<Option<u64>> {
        loop {
            let Some(byte) = self.peek()? else { return Ok(None) };
            let column = self.column;
            match byte {
                b'{' if self.lost_at.is_none_or(|lost_at| lost_at == column) => {
                    self.lost_at = None;
                    return Ok(Some(column));
                }
                b'[' if self.lost_at.is_none() => self.open = true,
                b']' if self.lost_at.is_none() => self.open = false,
                b',' | b' ' | b'\t' | b'\r' | b'\n' => {}
                _ if self.lost_at.is_some() => {
                    let skipped = count(skip_line(self.input)?);
                    self.offset += skipped;
                    self.column += skipped;
                    continue;
                }
                _ => return Ok(Some(column)),
            }
            self.consume(byte);
        }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    fn consume(&mut self, byte: u8) {
        self.input.consume(1);
        self.offset += 1;
        self.column += 1;
        if byte == b'\n' {
            (self.number, self.column) = (self.number + 1, 0);
        }
    }
}

/// Reads a text of one record an object: as [`lines::records_of`].
pub(crate) fn records_of<K>(
    input: &mut dyn BufRead,
    sink: &mut dyn Sink,
    kind: impl Fn(&[u8]) -> Option<K>,
    read: impl FnMut(K, &str, &mut dyn Sink) -> Result<Option<Instant>, Reason>,
) -> io::Result<()> {
    let mut objects = Objects::new(input)?;
    let mut records = lines::Records::new(kind, read);
    while let Some(piece) = objects.next()? {
        records.read(&piece, sink);
    }
    Ok(())
}

/// Whether the first object of the head of an input is what is looked for.
pub(crate) fn begins(mut head: &[u8], is: impl Fn(&[u8]) -> bool) -> bool {
    let first = Objects::new(&mut head).and_then(|mut objects| {
        let piece = objects.next()?;
        Ok(piece.and_then(|piece| piece.bytes).is_some_and(|b| is(b.trim_ascii())))
    });
    first.unwrap_or(false)
}

/// Whether the head of an input is of an array with an element that is looked for.
pub(crate) fn has_element(mut head: &[u8], is: impl Fn(&[u8]) -> bool) -> bool {
    let Ok(Objects::Array(mut elements)) = Objects::new(&mut head) else {
        return false;
    };
    while let Ok(Some(piece)) = elements.next() {
        if piece.bytes.is_some_and(&is) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    type Piece = (u64, Option<String>, bool);

    fn pieces(text: &str, capacity: usize) -> Vec<Piece> {
        let mut input = io::BufReader::with_capacity(capacity, text.as_bytes());
        let mut objects = Objects::new(&mut input).unwrap();
        let mut pieces = Vec::new();
        while let Some(piece) = objects.next().unwrap() {
            let place = usize::try_from(piece.offset).unwrap();
            assert_eq!(
                count(text.get(..place).unwrap().matches('\n').count()) + 1,
                piece.number
            );
            let bytes =
                piece.bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
            pieces.push((piece.number, bytes, piece.ended));
        }
        pieces
    }

    fn told(text: &str) -> Vec<(u64, String, bool)> {
        let whole = pieces(text, 4096);
        assert_eq!(pieces(text, 1), whole);
        whole
            .into_iter()
            .map(|(line, text, ended)| (line, text.unwrap(), ended))
            .collect()
    }

    fn piece(line: u64, text: &str) -> (u64, String, bool) {
        (line, text.to_owned(), true)
    }

    #[test]
    fn arrays_and_lines_hold_the_same() {
        let two = [piece(1, "{\"a\":[1,{}]}"), piece(1, "{\"b\":\"]}\\\"\"}")];
        assert_eq!(told("[{\"a\":[1,{}]},{\"b\":\"]}\\\"\"}]"), two);
        assert_eq!(told("[{\"a\":[1,{}]}][{\"b\":\"]}\\\"\"}]\n"), two);
        let lines = "\u{feff}\n{\"a\":[1,{}]}\n{\"b\":\"]}\\\"\"}\n";
        assert_eq!(told(lines), [piece(2, &two[0].1), piece(3, &two[1].1)]);
        assert_eq!(told("\n[\n]\n"), []);
        assert_eq!(told(""), []);
    }

    #[test]
    fn what_is_no_object_is_a_piece_of_its_own() {
        assert_eq!(told("[{}}}}} x\n}, {}]").len(), 4, "damage is one piece a line");
        let seen = told("[7, {}, \"x,\", null]");
        assert_eq!(
            seen,
            [piece(1, "7"), piece(1, "{}"), piece(1, "\"x,\""), piece(1, "null")]
        );
    }

    #[test]
    fn a_cut_array_says_so_once() {
        let cut = |text: &str| {
            let seen = told(text);
            (seen.len(), seen.iter().filter(|(_, _, ended)| !ended).count())
        };
        assert_eq!(cut("[{},{\"a\":1"), (2, 1));
        assert_eq!(cut("[{},"), (2, 1));
        assert_eq!(cut("[{}"), (2, 1));
        assert_eq!(cut("["), (1, 1));
        assert_eq!(cut("[{}]"), (1, 0));
    }

    #[test]
    fn damage_costs_what_is_damaged() {
        let text = "[\n  {\n    \"a\": \"x\n  },\n  {\n    \"b\": {\n    }\n  }\n]\n";
        let seen = told(text);
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert_eq!(seen[0], piece(2, "{\n    \"a\": \"x\n"));
        assert_eq!(seen[1], piece(5, "{\n    \"b\": {\n    }\n  }"));
    }

    #[test]
    fn an_endless_element_is_passed_over() {
        let max = usize::try_from(LINE_BYTES_MAX).unwrap();
        let text = format!("[{{\"a\":\"{}\"}},{{}}]", "x".repeat(max));
        let seen = pieces(&text, 4096);
        assert_eq!(seen, [(1, None, true), (1, Some("{}".to_owned()), true)]);
    }

    proptest! {
        #[test]
        fn the_elements_are_those_of_a_parser(
            texts in prop::collection::vec("[a\"\\\\{}\\[\\],\n]{0,9}", 0..5),
            pretty: bool,
        ) {
            let objects: Vec<Value> = texts
                .iter()
                .map(|text| serde_json::json!({ text.as_str(): [text, {"x": text}] }))
                .collect();
            let all = Value::from(objects.clone());
            let text = if pretty { format!("{all:#}") } else { all.to_string() };
            let seen: Vec<Value> =
                told(&text).iter().map(|(_, t, _)| serde_json::from_str(t).unwrap()).collect();
            prop_assert_eq!(seen, objects);
        }

        #[test]
        fn no_text_panics_and_every_byte_is_somewhere(wild: String) {
            let text = format!("[{wild}");
            let kept: usize = pieces(&text, 3).iter().filter_map(|p| p.1.as_ref()).map(String::len).sum();
            prop_assert!(kept <= text.len() + 1);
        }
    }
}

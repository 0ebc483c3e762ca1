//! The lines of a text, of bounded length, with their place.
//!
//! **Invariant:** every byte read belongs to exactly one line.

use std::io::{self, BufRead, Read};

use tidegauge_model::{Day, Instant, Loss, Reason};

use crate::Sink;

/// The longest line that is read, in bytes without its end. The longest in the logs this
/// was made with is 40 KiB (a JSON `http` line); picked by hand above it, revisit.
pub(crate) const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// The longest line that is lent from the input's buffer, which may be larger than what a
/// line may be: of a line without an end in sight no more is looked at than this.
const LINE_LENT_BYTES_MAX: usize = 256 * 1024;

/// The mark that some programs put before a text in UTF-8.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// A text behind its mark, and behind blank lines and lines that begin with `#`: remarks of
/// who handed it on.
pub(crate) fn behind_remarks(text: &[u8]) -> &[u8] {
    let mut rest = text.strip_prefix(BOM).unwrap_or(text).trim_ascii_start();
    while rest.starts_with(b"#") {
        let end = rest.iter().position(|b| *b == b'\n');
        rest = end.and_then(|end| rest.get(end..)).unwrap_or_default();
        rest = rest.trim_ascii_start();
    }
    rest
}

/// One line of an input.
pub(crate) struct Line<'a> {
    /// Byte offset of its beginning.
    pub(crate) offset: u64,
    /// Number, from 1.
    pub(crate) number: u64,
    /// Its bytes without the line end, or `None` if there are more than
    /// [`LINE_BYTES_MAX`].
    pub(crate) bytes: Option<&'a [u8]>,
    /// Whether a line end follows; the last line may have none.
    pub(crate) ended: bool,
}

/// Where the first line of these bytes ends, if it does within [`LINE_LENT_BYTES_MAX`].
fn line_end(bytes: &[u8]) -> Option<usize> {
    let bytes = bytes.get(..LINE_LENT_BYTES_MAX).unwrap_or(bytes);
    memchr::memchr(b'\n', bytes)
}

/// The bytes of a line that begins at `offset`, without a mark before the text.
fn unmarked(offset: u64, bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BOM).filter(|_| offset == 0).unwrap_or(bytes)
}

/// Reads lines one after the other.
pub(crate) struct Lines<'i> {
    input: &'i mut dyn BufRead,
    /// A line that does not stand in the input's own buffer as a whole.
    buffer: Vec<u8>,
    /// How much of the input's buffer the line before this one was.
    lent: usize,
    offset: u64,
    number: u64,
}

impl<'i> Lines<'i> {
    pub(crate) fn new(input: &'i mut dyn BufRead) -> Self {
        Self::at(input, 0, 1)
    }

    /// Of an input of which the lines before the one of this number were read.
    pub(crate) fn at(input: &'i mut dyn BufRead, offset: u64, number: u64) -> Self {
        let number = number.saturating_sub(1);
        Self { input, buffer: Vec::new(), lent: 0, offset, number }
    }

    /// The next line, or `None` at the end of the input.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.input.consume(std::mem::take(&mut self.lent));
        let Some(end) = line_end(self.input.fill_buf()?) else {
            return self.next_copied();
        };
        self.lent = end + 1;
        let offset = self.offset;
        self.offset += u64::try_from(self.lent).expect("a length fits 64 bits");
        self.number += 1;
        let bytes = self.input.fill_buf()?.get(..end).map(|b| unmarked(offset, b));
        Ok(Some(Line { offset, number: self.number, bytes, ended: true }))
    }

    fn next_copied(&mut self) -> io::Result<Option<Line<'_>>> {
        self.buffer.clear();
        let mut limited = (&mut *self.input).take(LINE_BYTES_MAX + 1);
        let taken = limited.read_until(b'\n', &mut self.buffer)?;
        if taken == 0 {
            return Ok(None);
        }
        let offset = self.offset;
        self.offset += u64::try_from(taken).expect("a length fits 64 bits");
        self.number += 1;
        let mut ended = self.buffer.pop_if(|last| *last == b'\n').is_some();
        let over = self.offset - offset > LINE_BYTES_MAX && !ended;
        if over {
            ended = self.skip_to_line_end()?;
        }
        let bytes = (!over).then_some(unmarked(offset, &self.buffer));
        Ok(Some(Line { offset, number: self.number, bytes, ended }))
    }

    /// Passes over the rest of a line; whether there was a line end.
    fn skip_to_line_end(&mut self) -> io::Result<bool> {
        loop {
            let bytes = self.input.fill_buf()?;
            if bytes.is_empty() {
                return Ok(false);
            }
            let end = memchr::memchr(b'\n', bytes);
            let length = end.map_or(bytes.len(), |at| at + 1);
            self.input.consume(length);
            self.offset += u64::try_from(length).expect("a length fits 64 bits");
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

/// Reads the record of a line: see [`records`].
pub(crate) type ReadLine<'r> =
    dyn FnMut(&str, &mut dyn Sink) -> Result<Option<Instant>, Reason> + 'r;

/// Reads a text of one record a line. `read` hands a line's record to the sink and returns
/// its time, or nothing for a line that is known to hold none. Each line that it cannot read
/// is one loss; blank lines are none.
pub(crate) fn records(
    input: &mut dyn BufRead,
    sink: &mut dyn Sink,
    read: &mut ReadLine<'_>,
) -> io::Result<()> {
    records_of(input, sink, |_| Some(()), |(), text, sink| read(text, sink))
}

/// The same, of those lines only of which `kind` gives one: of an input that is read twice,
/// each line is read once. A line that is too long is none of bytes.
pub(crate) fn records_of<K>(
    input: &mut dyn BufRead,
    sink: &mut dyn Sink,
    kind: impl Fn(&[u8]) -> Option<K>,
    read: impl FnMut(K, &str, &mut dyn Sink) -> Result<Option<Instant>, Reason>,
) -> io::Result<()> {
    let mut lines = Lines::new(input);
    let mut records = Records::new(kind, read);
    while let Some(line) = lines.next()? {
        records.read(&line, sink);
    }
    Ok(())
}

/// Reads the records of lines, and tells those that it cannot read as losses.
pub(crate) struct Records<F, R> {
    kind: F,
    read: R,
    day: Option<Day>,
}

impl<F, R> Records<F, R> {
    pub(crate) fn new(kind: F, read: R) -> Self {
        Self { kind, read, day: None }
    }

    pub(crate) fn read<K>(&mut self, line: &Line<'_>, sink: &mut dyn Sink)
    where
        F: Fn(&[u8]) -> Option<K>,
        R: FnMut(K, &str, &mut dyn Sink) -> Result<Option<Instant>, Reason>,
    {
        let bytes = line.bytes.map(<[u8]>::trim_ascii);
        if bytes == Some(b"") {
            return;
        }
        let Some(kind) = (self.kind)(bytes.unwrap_or_default()) else { return };
        let text = bytes
            .ok_or(Reason::Limit)
            .and_then(|bytes| std::str::from_utf8(bytes).map_err(|_| Reason::Syntax));
        match text.and_then(|text| (self.read)(kind, text, sink)) {
            Ok(at) => self.day = at.map(Instant::day).or(self.day),
            Err(reason) => {
                let cut = !line.ended
                    && matches!(
                        reason,
                        Reason::Syntax
                            | Reason::Value
                            | Reason::Time
                            | Reason::ColumnCount
                    );
                let reason = if cut { Reason::Truncated } else { reason };
                let at = Loss::at(line.offset, reason);
                sink.loss(Loss { line: Some(line.number), day: self.day, ..at });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(mut text: &[u8]) -> Vec<(u64, u64, Option<usize>, bool)> {
        let mut lines = Lines::new(&mut text);
        let mut places = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            places.push((
                line.offset,
                line.number,
                line.bytes.map(<[u8]>::len),
                line.ended,
            ));
        }
        places
    }

    #[test]
    fn lines_have_their_place() {
        assert_eq!(
            places(b"ab\n\ncde"),
            [(0, 1, Some(2), true), (3, 2, Some(0), true), (4, 3, Some(3), false)]
        );
        assert_eq!(places(b""), []);
    }

    #[test]
    fn how_the_input_is_buffered_changes_nothing() {
        let lines = ["", "a", "bc\r", &"d".repeat(63), &"e".repeat(64), "", "f"];
        for text in [lines.join("\n"), lines.join("\n") + "\n\n"] {
            for capacity in 1..=text.len() + 1 {
                let mut input = io::BufReader::with_capacity(capacity, text.as_bytes());
                let mut lines = Lines::new(&mut input);
                let mut whole = Vec::new();
                while let Some(line) = lines.next().unwrap() {
                    assert_eq!(line.offset, u64::try_from(whole.len()).unwrap());
                    whole.extend_from_slice(line.bytes.unwrap());
                    whole.extend(line.ended.then_some(b'\n'));
                }
                assert_eq!(whole, text.as_bytes(), "{capacity}");
            }
        }
    }

    #[test]
    fn a_line_over_the_limit_is_passed_over() {
        let max = usize::try_from(LINE_BYTES_MAX).unwrap();
        for (length, bytes) in [(max, Some(max)), (max + 1, None), (3 * max, None)] {
            let text = [&vec![b'x'; length][..], b"\nab\n"].concat();
            let next = u64::try_from(length + 1).unwrap();
            assert_eq!(
                places(&text),
                [(0, 1, bytes, true), (next, 2, Some(2), true)],
                "{length}"
            );
            assert_eq!(places(&text[..length]), [(0, 1, bytes, false)], "{length}");
        }
    }
}

//! The lines of a text, of bounded length, with their place.
//!
//! **Invariant:** every byte read belongs to exactly one line.

use std::io::{self, BufRead, Read};

use tidegauge_model::{Instant, Loss, Reason};

use crate::Sink;

/// The longest line that is read, in bytes without its end. The longest in the logs this
/// was made with is 40 KiB (a JSON `http` line); picked by hand above it, revisit.
pub(crate) const LINE_BYTES_MAX: u64 = 1024 * 1024;

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

/// Reads lines one after the other.
pub(crate) struct Lines<'i> {
    input: &'i mut dyn BufRead,
    buffer: Vec<u8>,
    offset: u64,
    number: u64,
}

impl<'i> Lines<'i> {
    pub(crate) fn new(input: &'i mut dyn BufRead) -> Self {
        Self { input, buffer: Vec::new(), offset: 0, number: 0 }
    }

    /// The next line, or `None` at the end of the input.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
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
        let bytes = (!over).then_some(self.buffer.as_slice());
        Ok(Some(Line { offset, number: self.number, bytes, ended }))
    }

    /// Passes over the rest of a line; whether there was a line end.
    fn skip_to_line_end(&mut self) -> io::Result<bool> {
        loop {
            let bytes = self.input.fill_buf()?;
            if bytes.is_empty() {
                return Ok(false);
            }
            let end = bytes.iter().position(|b| *b == b'\n');
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

/// Whether a line is read; `None` stands for one that is no text, or too long.
pub(crate) type IsMine<'r> = dyn Fn(Option<&str>) -> bool + 'r;

/// Reads a text of one record a line. `read` hands a line's record to the sink and returns
/// its time, or nothing for a line that is known to hold none. Each line that it cannot read
/// is one loss; blank lines are none.
pub(crate) fn records(
    input: &mut dyn BufRead,
    sink: &mut dyn Sink,
    read: &mut ReadLine<'_>,
) -> io::Result<()> {
    records_of(input, sink, &|_| true, read)
}

/// The same, of those lines only that are `mine`: of an input that is read twice, each line
/// is read once.
pub(crate) fn records_of(
    input: &mut dyn BufRead,
    sink: &mut dyn Sink,
    mine: &IsMine<'_>,
    read: &mut ReadLine<'_>,
) -> io::Result<()> {
    let mut lines = Lines::new(input);
    let mut day = None;
    while let Some(line) = lines.next()? {
        let text = line
            .bytes
            .ok_or(Reason::Limit)
            .and_then(|bytes| std::str::from_utf8(bytes).map_err(|_| Reason::Syntax));
        let record = match text.map(str::trim_ascii) {
            Ok("") => continue,
            text if !mine(text.ok()) => continue,
            Ok(text) => read(text, sink),
            Err(reason) => Err(reason),
        };
        match record {
            Ok(at) => day = at.map(Instant::day).or(day),
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
                let number = Some(line.number);
                sink.loss(Loss { line: number, day, ..Loss::at(line.offset, reason) });
            }
        }
    }
    Ok(())
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

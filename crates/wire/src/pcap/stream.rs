//! One direction of a TCP connection, put in order.
//!
//! **Invariant:** every byte is delivered at most once and in order; where some are missing
//! for good, a gap is told first. What is held back is bounded.

use std::mem;

/// Bytes held back, waiting for a missing segment. Picked by hand: twice the largest message
/// that is read, so that one lost segment in front of it is told as a gap and not waited for.
const EARLY_BYTES_MAX: usize = 32 * 1024;
/// Segments held back.
const EARLY_SEGMENTS_MAX: usize = 32;
/// A jump of the sequence number beyond this is a new beginning, not a lost segment: the
/// largest receive window without scaling (RFC 9293, 3.1), sixteen times.
const JUMP_MAX: u32 = 1 << 20;

/// What comes out.
#[derive(Clone, Copy)]
pub(super) enum Run<'a> {
    /// The next bytes.
    Bytes(&'a [u8]),
    /// Bytes are missing here.
    Gap,
}

/// The state of one direction.
#[derive(Default)]
pub(super) struct Stream {
    /// The sequence number expected next, once one is known.
    next: Option<u32>,
    /// The sequence number of the SYN.
    syn: Option<u32>,
    early: Vec<Early>,
    early_bytes: usize,
}

struct Early {
    sequence: u32,
    /// Length on the wire.
    length: u32,
    bytes: Vec<u8>,
}

impl Stream {
    /// A SYN was seen: data begins behind `sequence`. A repeated SYN changes nothing, one
    /// with another number begins anew.
    pub(super) fn begin(&mut self, sequence: u32) {
        if self.syn != Some(sequence) {
            let (next, syn) = (Some(sequence.wrapping_add(1)), Some(sequence));
            *self = Self { next, syn, ..Self::default() };
        }
    }

    /// How many bytes are held back.
    pub(super) fn held(&self) -> usize {
        self.early_bytes
    }

    /// Takes a segment of `length` bytes on the wire, of which `bytes` were captured.
    pub(super) fn push(
        &mut self,
        sequence: u32,
        length: u32,
        bytes: &[u8],
        run: &mut dyn FnMut(Run<'_>),
    ) {
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next);
        if ahead == 0 {
            self.deliver(sequence, length, bytes, run);
        } else if ahead > u32::MAX / 2 {
            self.deliver_rest(
                next.wrapping_sub(sequence),
                sequence,
                length,
                bytes,
                run,
            );
        } else if ahead > JUMP_MAX {
            self.finish(run);
            run(Run::Gap);
            self.next = Some(sequence);
            self.deliver(sequence, length, bytes, run);
        } else {
            self.early_bytes += bytes.len();
            self.early.push(Early { sequence, length, bytes: bytes.to_vec() });
            if self.early_bytes > EARLY_BYTES_MAX
                || self.early.len() > EARLY_SEGMENTS_MAX
            {
                self.finish(run);
            }
        }
        self.deliver_early(run);
    }

    /// Delivers what is held back, whatever is missing.
    pub(super) fn finish(&mut self, run: &mut dyn FnMut(Run<'_>)) {
        while let Some(next) = self.next
            && let Some(nearest) =
                self.early.iter().map(|e| e.sequence.wrapping_sub(next)).min()
        {
            run(Run::Gap);
            self.next = Some(next.wrapping_add(nearest));
            self.deliver_early(run);
        }
    }

    fn deliver(
        &mut self,
        sequence: u32,
        length: u32,
        bytes: &[u8],
        run: &mut dyn FnMut(Run<'_>),
    ) {
        if !bytes.is_empty() {
            run(Run::Bytes(bytes));
        }
        if u32::try_from(bytes.len()).unwrap_or(u32::MAX) < length {
            run(Run::Gap);
        }
        self.next = Some(sequence.wrapping_add(length));
    }

    /// Delivers what a segment holds behind its first `known` bytes, if anything.
    fn deliver_rest(
        &mut self,
        known: u32,
        sequence: u32,
        length: u32,
        bytes: &[u8],
        run: &mut dyn FnMut(Run<'_>),
    ) {
        if let Some(rest) = length.checked_sub(known).filter(|&rest| rest > 0) {
            let skip = usize::try_from(known).unwrap_or(usize::MAX);
            let bytes = bytes.get(skip..).unwrap_or_default();
            self.deliver(sequence.wrapping_add(known), rest, bytes, run);
        }
    }

    /// Delivers what was held back and now follows. At most [`EARLY_SEGMENTS_MAX`] rounds.
    fn deliver_early(&mut self, run: &mut dyn FnMut(Run<'_>)) {
        while let Some(next) = self.next
            && let Some(place) =
                self.early.iter().position(|e| reached(next, e.sequence))
        {
            let early = self.early.swap_remove(place);
            self.early_bytes -= early.bytes.len();
            let known = next.wrapping_sub(early.sequence);
            self.deliver_rest(known, early.sequence, early.length, &early.bytes, run);
        }
        if self.early.is_empty() {
            mem::take(&mut self.early);
        }
    }
}

/// Whether `sequence` is at or before `next`, on the circle of 2^32.
fn reached(next: u32, sequence: u32) -> bool {
    next.wrapping_sub(sequence) <= u32::MAX / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pushes segments given as (start, end) of `text` and returns what came out, `|` for
    /// a gap.
    fn play(text: &str, first: u32, segments: &[(usize, usize)]) -> String {
        let mut stream = Stream::default();
        stream.begin(first.wrapping_sub(1));
        let mut out = String::new();
        let mut run = |run: Run<'_>| match run {
            Run::Bytes(bytes) => out.push_str(std::str::from_utf8(bytes).unwrap()),
            Run::Gap => out.push('|'),
        };
        for &(start, end) in segments {
            let bytes = text.get(start..end).unwrap().as_bytes();
            let sequence = first.wrapping_add(u32::try_from(start).unwrap());
            let length = u32::try_from(bytes.len()).unwrap();
            stream.push(sequence, length, bytes, &mut run);
        }
        stream.finish(&mut run);
        assert_eq!(stream.held(), 0);
        out
    }

    #[test]
    fn segments_come_out_in_order_and_once() {
        let text = "abcdefghij";
        assert_eq!(play(text, 7, &[(0, 4), (4, 8), (8, 10)]), text);
        assert_eq!(play(text, 7, &[(4, 8), (8, 10), (0, 4)]), text);
        assert_eq!(play(text, 7, &[(0, 4), (0, 4), (2, 10), (4, 8)]), text);
        assert_eq!(play(text, u32::MAX - 3, &[(4, 8), (0, 4), (8, 10)]), text);
    }

    #[test]
    fn what_is_missing_is_a_gap() {
        assert_eq!(play("abcdefghij", 7, &[(4, 6), (8, 10)]), "|ef|ij");
    }

    #[test]
    fn a_cut_segment_is_followed_by_a_gap() {
        let mut stream = Stream::default();
        let mut out = Vec::new();
        let mut run = |run: Run<'_>| match run {
            Run::Bytes(bytes) => out.extend_from_slice(bytes),
            Run::Gap => out.push(b'|'),
        };
        stream.push(100, 10, b"ab", &mut run);
        stream.push(110, 2, b"kl", &mut run);
        assert_eq!(out, b"ab|kl");
    }

    proptest! {
        #[test]
        fn any_order_of_segments_gives_the_same_bytes(
            first: u32,
            order in Just((0..20usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let text: String = ('a'..='t').collect();
            let segments: Vec<_> = order.into_iter().map(|i| (i, i + 1)).collect();
            prop_assert_eq!(play(&text, first, &segments), text);
        }
    }
}

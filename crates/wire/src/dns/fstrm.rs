//! Frame Streams: frames with their length, between control frames, over a file or a
//! connection (the specification is the documentation of `libfstrm`, `control.h`).
//!
//! ```text
//! file, or a connection one way:  START data … STOP
//! connection both ways:           READY ─► ◄─ ACCEPT   START data … STOP ─► ◄─ FINISH
//! ```
//!
//! **Invariant:** how the bytes are cut into pieces changes nothing. No more than one frame
//! is held, and no frame is longer than [`FRAME_BYTES_MAX`]. After the first breach of the
//! protocol nothing more is read: where the next frame would begin is unknown.

use tidegauge_model::Reason;

/// The longest data frame: `max_frame_size` of libfstrm's reader by default. A dnstap frame
/// has at most two DNS messages of 64 KiB.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// The longest control frame, `FSTRM_CONTROL_FRAME_LENGTH_MAX`.
const CONTROL_BYTES_MAX: usize = 512;
/// What is said before the length of a control frame: no data frame has no bytes.
const ESCAPE: [u8; 4] = [0; 4];
/// The field of a control frame that names a content type, `FSTRM_CONTROL_FIELD_CONTENT_TYPE`.
const CONTENT_TYPE: u32 = 1;

// Types of control frames, `fstrm_control_type`.
const ACCEPT: u32 = 1;
const START: u32 = 2;
const STOP: u32 = 3;
const READY: u32 = 4;
const FINISH: u32 = 5;

/// Where the reading of a stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was read.
    New,
    /// The writer was accepted and shall start.
    Accepted,
    /// Data frames come.
    Data,
    /// The writer has stopped; it may start again.
    Stopped,
    /// The protocol was breached.
    Broken(Reason),
}

/// Reads frames out of pieces of a stream.
#[derive(Debug)]
pub(crate) struct Frames {
    content_type: &'static [u8],
    /// The beginning of a frame whose end has not come.
    held: Vec<u8>,
    /// Where `held` begins in the stream.
    offset: u64,
    state: State,
    /// Whether the writer waits for words of ours.
    both_ways: bool,
}

/// Where the protocol was breached, and how.
pub(crate) type Breach = (u64, Reason);

/// A frame cut off a stream.
enum Cut<'a> {
    Data(&'a [u8]),
    Control(&'a [u8]),
}

impl Frames {
    /// Reads frames of this content type.
    pub(crate) fn new(content_type: &'static [u8]) -> Self {
        let held = Vec::new();
        Self { content_type, held, offset: 0, state: State::New, both_ways: false }
    }

    /// Reads on: hands each data frame with its place to `take`; returns what is to be
    /// written back. A breach of the protocol is an error, now and from then on, with its
    /// place.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        take: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<Vec<u8>, Breach> {
        if let State::Broken(reason) = self.state {
            return Err((self.offset, reason));
        }
        let mut held = std::mem::take(&mut self.held);
        if held.is_empty() {
            let (left, reply) = self.frames(bytes, take)?;
            held.extend_from_slice(left);
            self.held = held;
            return Ok(reply);
        }
        held.extend_from_slice(bytes);
        let (left, reply) = self.frames(&held, take)?;
        let read = held.len() - left.len();
        held.drain(..read);
        self.held = held;
        Ok(reply)
    }

    /// The place of a frame whose end has not come.
    pub(crate) fn unfinished(&self) -> Option<u64> {
        (!self.held.is_empty()).then_some(self.offset)
    }

    /// Whether the writer said that it stops, and nothing came after that.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state == State::Stopped && self.held.is_empty()
    }

    /// Reads whole frames from the front; returns what is left, and the reply.
    fn frames<'a>(
        &mut self,
        mut rest: &'a [u8],
        take: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<(&'a [u8], Vec<u8>), Breach> {
        let mut reply = Vec::new();
        loop {
            let outcome = match cut(rest) {
                Ok(None) => return Ok((rest, reply)),
                Ok(Some((frame, behind))) => self
                    .frame(&frame, &mut reply, take)
                    .map(|()| (behind, rest.len() - behind.len())),
                Err(reason) => Err(reason),
            };
            match outcome {
                Ok((behind, read)) => {
                    rest = behind;
                    self.offset += u64::try_from(read).expect("a length fits 64 bits");
                }
                Err(reason) => {
                    self.state = State::Broken(reason);
                    return Err((self.offset, reason));
                }
            }
        }
    }

    fn frame(
        &mut self,
        frame: &Cut<'_>,
        reply: &mut Vec<u8>,
        take: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<(), Reason> {
        match frame {
            Cut::Data(bytes) if self.state == State::Data => {
                take(self.offset, bytes);
                Ok(())
            }
            Cut::Data(_) => Err(Reason::Syntax),
            Cut::Control(bytes) => self.control(bytes, reply),
        }
    }

    /// Follows a control frame: type u32, then fields (type u32, length u32, bytes).
    fn control(&mut self, bytes: &[u8], reply: &mut Vec<u8>) -> Result<(), Reason> {
        let (kind, fields) = number(bytes).ok_or(Reason::Length)?;
        let named = self.names_our_content(fields)?;
        self.state = match (kind, self.state) {
            (READY, State::New) => {
                self.both_ways = true;
                // A writer that names its content is told which of it is taken.
                let content = named.then_some(self.content_type);
                write_control(reply, ACCEPT, content);
                State::Accepted
            }
            // Files that were put together, or that a writer went on with after a crash,
            // start again in the middle.
            (START, _) => State::Data,
            (STOP, State::Data) => {
                if self.both_ways {
                    write_control(reply, FINISH, None);
                }
                State::Stopped
            }
            _ => return Err(Reason::Syntax),
        };
        Ok(())
    }

    /// Whether the fields name the content type that is read here. One that names only
    /// others is an error: its frames are something else.
    fn names_our_content(&self, mut fields: &[u8]) -> Result<bool, Reason> {
        let (mut any, mut ours) = (false, false);
        while !fields.is_empty() {
            let (kind, behind) = number(fields).ok_or(Reason::Length)?;
            let (length, behind) = number(behind).ok_or(Reason::Length)?;
            let length = usize::try_from(length).map_err(|_| Reason::Length)?;
            let (value, behind) =
                behind.split_at_checked(length).ok_or(Reason::Length)?;
            any |= kind == CONTENT_TYPE;
            ours |= kind == CONTENT_TYPE && value == self.content_type;
            fields = behind;
        }
        if any && !ours { Err(Reason::Format) } else { Ok(ours) }
    }
}

/// Whether a stream begins with these bytes: with a START or READY that names the content.
pub(crate) fn begins(head: &[u8], content_type: &'static [u8]) -> bool {
    let Ok(Some((Cut::Control(bytes), _))) = cut(head) else { return false };
    let Some((START | READY, fields)) = number(bytes) else { return false };
    Frames::new(content_type).names_our_content(fields) == Ok(true)
}

/// The frame at the front and what comes behind it; nothing if its end has not come.
fn cut(bytes: &[u8]) -> Result<Option<(Cut<'_>, &[u8])>, Reason> {
    let (control, bytes, length_max) = match bytes.strip_prefix(&ESCAPE) {
        Some(behind) => (true, behind, CONTROL_BYTES_MAX),
        None => (false, bytes, FRAME_BYTES_MAX),
    };
    let Some((length, behind)) = number(bytes) else { return Ok(None) };
    let length = usize::try_from(length).map_err(|_| Reason::Limit)?;
    if length > length_max {
        return Err(Reason::Limit);
    }
    let Some((frame, behind)) = behind.split_at_checked(length) else {
        return Ok(None);
    };
    let frame = if control { Cut::Control(frame) } else { Cut::Data(frame) };
    Ok(Some((frame, behind)))
}

/// A u32 in network order, as all numbers here are, and what comes behind it.
fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, behind) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), behind))
}

/// Writes a control frame with at most one field.
fn write_control(to: &mut Vec<u8>, kind: u32, content_type: Option<&[u8]>) {
    let long = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let length = 4 + content_type.map_or(0, |content| 8 + content.len());
    to.extend(ESCAPE);
    to.extend(long(length));
    to.extend(kind.to_be_bytes());
    if let Some(content) = content_type {
        to.extend(CONTENT_TYPE.to_be_bytes());
        to.extend(long(content.len()));
        to.extend(content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &[u8] = b"protobuf:test";

    fn control(kind: u32, content: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_control(&mut bytes, kind, content);
        bytes
    }

    fn data(bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap();
        [&length.to_be_bytes(), bytes].concat()
    }

    type Heard = (Vec<(u64, Vec<u8>)>, Vec<u8>, Option<(u64, Reason)>);

    fn hear(pieces: &[&[u8]]) -> Heard {
        let mut frames = Frames::new(CONTENT);
        let (mut taken, mut said) = (Vec::new(), Vec::new());
        for piece in pieces {
            let mut take = |offset, bytes: &[u8]| taken.push((offset, bytes.to_vec()));
            match frames.push(piece, &mut take) {
                Ok(reply) => said.extend(reply),
                Err(breach) => return (taken, said, Some(breach)),
            }
        }
        (taken, said, frames.unfinished().map(|at| (at, Reason::Truncated)))
    }

    #[test]
    fn a_connection_is_accepted_and_finished() {
        let stream = [
            control(READY, Some(CONTENT)),
            control(START, Some(CONTENT)),
            data(b"one"),
            data(b"two"),
            control(STOP, None),
        ]
        .concat();
        let said = [control(ACCEPT, Some(CONTENT)), control(FINISH, None)].concat();
        let taken = vec![(66, b"one".to_vec()), (73, b"two".to_vec())];
        let whole = (taken, said, None);
        assert_eq!(hear(&[&stream]), whole);
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(hear(&bytes), whole);
    }

    #[test]
    fn a_file_is_not_replied_to() {
        let stream =
            [control(START, Some(CONTENT)), data(b"one"), control(STOP, None)].concat();
        assert_eq!(hear(&[&stream]), (vec![(33, b"one".to_vec())], vec![], None));
        assert!(begins(&stream, CONTENT) && !begins(&stream, b"other"));
        let cut = hear(&[&stream[..38]]);
        assert_eq!(cut, (vec![], vec![], Some((33, Reason::Truncated))));
        let again = [&stream[..], &stream].concat();
        assert_eq!(hear(&[&again]).0.len(), 2);
    }

    #[test]
    fn a_breach_of_the_protocol_ends_the_reading() {
        let start = control(START, None);
        let breaches = [
            (data(b"first"), 0, Reason::Syntax),
            (control(START, Some(b"other")), 0, Reason::Format),
            (control(READY, Some(b"other")), 0, Reason::Format),
            (control(STOP, None), 0, Reason::Syntax),
            ([&start[..], &control(ACCEPT, None)].concat(), 12, Reason::Syntax),
            ([&start[..], &[0, 0x10, 0, 1]].concat(), 12, Reason::Limit),
            ([&start[..], &[0, 0, 0, 0, 0, 0, 2, 1]].concat(), 12, Reason::Limit),
            (vec![0, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3], 0, Reason::Length),
        ];
        for (bytes, at, reason) in breaches {
            assert_eq!(hear(&[&bytes]).2, Some((at, reason)), "{bytes:?}");
            assert_eq!(hear(&[&bytes, &start]).2, Some((at, reason)), "{bytes:?}");
        }
    }
}

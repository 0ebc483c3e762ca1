//! The strings of every array named `flowTuples` in a text of JSON, however large it is.
//!
//! **Invariant:** memory is bounded by [`TUPLE_BYTES_MAX`]; each string of such an array is
//! handed on once, or is one loss. What is no JSON is one loss until the next good string.
//!
//! Azure writes an hour of a network interface as one object, often of many megabytes, that
//! is never closed while it is written. So it is read token by token: objects one after the
//! other, one a line, or in arrays are all the same here. A string holds no line end (RFC
//! 8259, 7): at one, a string that a cut has left open is given up, and what follows counts
//! as a new beginning.

use std::borrow::Cow;
use std::io::{self, BufRead};

use tidegauge_model::Reason;

use crate::lines::BOM;

/// The longest string that is handed on, in bytes. The longest tuple that the formats allow
/// has two IPv6 addresses, six numbers and a word: under 300.
const TUPLE_BYTES_MAX: usize = 1024;

/// The name of the arrays.
const NAME: &[u8] = b"flowTuples";

/// Where a string begins.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Place {
    /// Byte offset.
    pub(super) offset: u64,
    /// Line, from 1.
    pub(super) line: u64,
}

/// Takes a string, or why it could not be used.
pub(super) type Found<'f> = dyn FnMut(Place, Result<&str, Reason>) + 'f;

/// Hands each string to `found`.
pub(super) fn read(input: &mut dyn BufRead, found: &mut Found<'_>) -> io::Result<()> {
    let mut scan = Scan::new(found);
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            scan.end();
            return Ok(());
        }
        let length = bytes.len();
        scan.push(bytes);
        input.consume(length);
    }
}

/// What stands before the present token, as far as it matters.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    Other,
    /// A string, and whether it is [`NAME`].
    Text(bool),
    /// A key and its colon.
    Key(bool),
}

/// What the next byte belongs to.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Outside,
    /// The rest of a line that is passed over.
    Remark,
    Text,
    /// A string, behind a backslash.
    Escape,
}

struct Scan<'s, 'f> {
    found: &'s mut Found<'f>,
    at: Place,
    /// Whether the present line had nothing but blanks so far.
    line_begins: bool,
    state: State,
    /// Brackets open, if it can be known.
    depth: Option<u64>,
    before: Before,
    /// Whether the innermost bracket is that of an array that is looked for.
    inside: bool,
    /// The string so far, and where it begins.
    text: Vec<u8>,
    begin: Place,
    /// Whether damage was told, and nothing good came since.
    damaged: bool,
}

impl<'s, 'f> Scan<'s, 'f> {
    fn new(found: &'s mut Found<'f>) -> Self {
        Self {
            found,
            at: Place { offset: 0, line: 1 },
            line_begins: true,
            state: State::Outside,
            depth: Some(0),
            before: Before::Other,
            inside: false,
            text: Vec::new(),
            begin: Place::default(),
            damaged: false,
        }
    }

    fn push(&mut self, mut bytes: &[u8]) {
        loop {
            if self.state == State::Text {
                let end = bytes.iter().position(|b| matches!(b, b'"' | b'\\' | b'\n'));
                let (text, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                self.keep(text);
                self.at.offset += u64::try_from(text.len()).unwrap_or(0);
                bytes = rest;
            }
            let Some((&byte, rest)) = bytes.split_first() else { return };
            match self.state {
                State::Outside => self.outside(byte),
                State::Remark if byte == b'\n' => self.state = State::Outside,
                State::Remark => {}
                State::Text | State::Escape => self.within(byte),
            }
            self.advance(byte);
            bytes = rest;
        }
    }

    fn advance(&mut self, byte: u8) {
        self.at.offset += 1;
        if byte == b'\n' {
            self.at.line += 1;
            self.line_begins = true;
        } else if !byte.is_ascii_whitespace() {
            self.line_begins = false;
        }
    }

    /// Keeps what can be needed: one byte more than the limit shows that it is over it.
    fn keep(&mut self, text: &[u8]) {
        let left = (TUPLE_BYTES_MAX + 1).saturating_sub(self.text.len());
        self.text.extend(text.iter().take(left));
    }

    /// A byte of a string that may be special.
    fn within(&mut self, byte: u8) {
        let escaped = self.state == State::Escape;
        self.state = State::Text;
        match byte {
            b'\n' => {
                self.state = State::Outside;
                self.damage();
            }
            b'"' if !escaped => {
                self.state = State::Outside;
                self.text_ended();
            }
            b'\\' if !escaped => {
                self.state = State::Escape;
                self.keep(b"\\");
            }
            _ => self.keep(&[byte]),
        }
    }

    fn text_ended(&mut self) {
        if !self.inside {
            self.before = Before::Text(self.text == NAME);
            return;
        }
        let text = std::mem::take(&mut self.text);
        let told = tuple(&text);
        self.damaged &= told.is_err();
        (self.found)(self.begin, told.as_deref().map_err(|reason| *reason));
        self.text = text;
    }

    /// A byte that belongs to no string.
    fn outside(&mut self, byte: u8) {
        let before = std::mem::replace(&mut self.before, Before::Other);
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => self.before = before,
            b'"' => {
                self.text.clear();
                (self.state, self.begin) = (State::Text, self.at);
            }
            b'{' | b'[' => {
                if self.inside {
                    self.damage();
                }
                if byte == b'{' && self.line_begins {
                    // Of texts with an object a line, each is a beginning.
                    self.depth = self.depth.or(Some(0));
                }
                self.depth = self.depth.and_then(|depth| depth.checked_add(1));
                self.inside = byte == b'[' && before == Before::Key(true);
            }
            b'}' | b']' => {
                if self.inside && byte == b'}' || self.depth == Some(0) {
                    self.damage();
                }
                self.depth = self.depth.and_then(|depth| depth.checked_sub(1));
                self.inside = false;
            }
            b':' if !self.inside => {
                if let Before::Text(name) = before {
                    self.before = Before::Key(name);
                }
            }
            b',' => {}
            // A remark of who handed the text on.
            b'#' if self.line_begins && self.depth == Some(0) => {
                self.state = State::Remark;
            }
            // Numbers, `true`, `false` and `null`.
            b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z'
                if !self.inside => {}
            _ if self.at.offset < 3 && BOM.contains(&byte) => {}
            _ => self.damage(),
        }
    }

    /// From here on it cannot be told how deep it is.
    fn damage(&mut self) {
        if !std::mem::replace(&mut self.damaged, true) {
            let place = if self.inside { self.begin } else { self.at };
            (self.found)(place, Err(Reason::Syntax));
        }
        (self.inside, self.depth, self.before) = (false, None, Before::Other);
    }

    fn end(&mut self) {
        let closed = self.depth.is_none_or(|depth| depth == 0);
        let open = matches!(self.state, State::Text | State::Escape);
        if open || self.inside || !closed {
            (self.found)(self.at, Err(Reason::Truncated));
        }
    }
}

/// What stands between two quotes.
fn tuple(text: &[u8]) -> Result<Cow<'_, str>, Reason> {
    if text.len() > TUPLE_BYTES_MAX {
        return Err(Reason::Limit);
    }
    let text = std::str::from_utf8(text).map_err(|_| Reason::Syntax)?;
    if !text.contains('\\') {
        return Ok(Cow::Borrowed(text));
    }
    let plain = serde_json::from_str(&format!("\"{text}\""));
    plain.map(Cow::Owned).map_err(|_| Reason::Syntax)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    type Told = (u64, Result<String, Reason>);

    fn told(text: &[u8], capacity: usize) -> Vec<Told> {
        let mut told = Vec::new();
        let mut input = io::BufReader::with_capacity(capacity, text);
        read(&mut input, &mut |place, text| {
            told.push((place.line, text.map(str::to_owned)));
        })
        .unwrap();
        told
    }

    fn texts(text: &str) -> Vec<Told> {
        let whole = told(text.as_bytes(), 4096);
        for capacity in 1..8 {
            assert_eq!(told(text.as_bytes(), capacity), whole, "{capacity}: {text}");
        }
        whole
    }

    fn good(line: u64, text: &str) -> Told {
        (line, Ok(text.to_owned()))
    }

    #[test]
    fn only_arrays_of_that_name_count() {
        let text = "\u{feff}{\"flowTuples\" :\n [\"a\", \"b\\u0021\"], \"x\":[\"c\"],
            \"y\":\"flowTuples\", \"z\":[\"d\"], \"\\\"flowTuples\":[\"e\"]}
            [\"flowTuples\",[\"f\"]] {\"flowTuples\":\"g\"} {\"flowTuples\":[]}";
        assert_eq!(texts(text), [good(2, "a"), good(2, "b!")]);
        assert_eq!(texts("  \n"), []);
    }

    #[test]
    fn a_cut_line_costs_only_itself() {
        let whole = r#"{"flowTuples":["a","b"]}"#;
        let lost = |line, reason| (line, Err(reason));
        for cut in [18, 20, 21] {
            let text = format!("{}\n{whole}\n", whole.get(..cut).unwrap());
            let seen = texts(&text);
            let (last, before) = (&seen[seen.len() - 3..], &seen[..seen.len() - 3]);
            assert!(matches!(last[0], (_, Err(Reason::Syntax))), "{seen:?}");
            assert_eq!(last[1..], [good(2, "a"), good(2, "b")], "{text}");
            assert!(before.len() <= 1, "{seen:?}");
        }
        assert_eq!(texts(whole.get(..17).unwrap()), [lost(1, Reason::Truncated)]);
        assert_eq!(
            texts(&format!("{whole}}}\u{1}\n{whole}")),
            [
                good(1, "a"),
                good(1, "b"),
                lost(1, Reason::Syntax),
                good(2, "a"),
                good(2, "b")
            ]
        );
    }

    #[test]
    fn a_string_over_the_limit_is_one_loss() {
        let text =
            |length| format!("{{\"flowTuples\":[\"{}\",\"b\"]}}", "x".repeat(length));
        let max = TUPLE_BYTES_MAX;
        assert_eq!(texts(&text(max)), [good(1, &"x".repeat(max)), good(1, "b")]);
        assert_eq!(texts(&text(max + 1)), [(1, Err(Reason::Limit)), good(1, "b")]);
        assert_eq!(texts(&text(1 << 20)), [(1, Err(Reason::Limit)), good(1, "b")]);
    }

    /// What a parser finds.
    fn parsed(value: &Value, named: bool, into: &mut Vec<String>) {
        match value {
            Value::Array(all) => all.iter().for_each(|one| match one {
                Value::String(text) if named => into.push(text.clone()),
                other => parsed(other, false, into),
            }),
            Value::Object(all) => {
                all.iter()
                    .for_each(|(key, one)| parsed(one, key == "flowTuples", into));
            }
            _ => {}
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<f64>().prop_map(|n| json!(n)),
            any::<bool>().prop_map(|b| json!(b)),
            Just(Value::Null),
            "[a\"\\\\\n{}:,é]{0,5}|flowTuples".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            let texts = prop::collection::vec("[a,\"\\\\\n]{0,9}", 0..4);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                (prop::collection::hash_map("[ab]|\"flowTuples", inner, 0..4), texts)
                    .prop_map(|(all, texts)| {
                        let mut object: serde_json::Map<_, _> =
                            all.into_iter().collect();
                        object.insert("flowTuples".to_owned(), texts.into());
                        object.into()
                    }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_a_parser_finds(value in values(), pretty: bool) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let mut expected = Vec::new();
            parsed(&value, false, &mut expected);
            let found: Vec<_> = told(text.as_bytes(), 7).into_iter().map(|(_, t)| t).collect();
            prop_assert_eq!(found, expected.into_iter().map(Ok).collect::<Vec<_>>());
        }

        #[test]
        fn no_bytes_panic(wild: Vec<u8>) {
            told(&wild, 3);
            told(&[b"{\"flowTuples\":[", wild.as_slice()].concat(), 3);
        }
    }
}

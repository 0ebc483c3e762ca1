//! JSON objects in one go over their bytes, for those that are written plainly.
//!
//! **Invariant:** what is accepted here, `serde_json` accepts and reads as the same; what is
//! not may be JSON all the same, and is to be parsed. So nothing here needs to know every
//! way in which a value can be written: a key or a value that is kept has no escapes, a
//! number that is kept is whole, and nothing is nested deeper than [`DEPTH_MAX`].
//!
//! Most of such a text is strings and what nobody asked for. Strings are looked at eight
//! bytes at a time, and what is not kept is passed over without being taken apart.

use std::borrow::Cow;

use crate::cell::Cell;
use crate::number;

/// As many levels as a word has bits. Objects of logs have three or four.
const DEPTH_MAX: u32 = 64;

/// The place of the first `"`, `\` or control character from `at` on.
#[inline]
pub(crate) fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The lowest bit that is set is of the first byte that is below `limit`: a borrow goes
    // only into bytes after it.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*word);
        let quote = below(word ^ (ONES * 0x22), 1);
        let escape = below(word ^ (ONES * 0x5c), 1);
        let found = (quote | escape | below(word, 0x20)) & HIGH;
        if found != 0 {
            return Some(at + usize::try_from(found.trailing_zeros() / 8).unwrap_or(0));
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    rest.iter().position(ends).map(|end| at + end)
}

/// A text being read.
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

/// Whether a text is one JSON value, written plainly.
pub(crate) fn is_json(text: &str) -> bool {
    let mut scan = Scan::new(text);
    scan.skip().and_then(|()| scan.end()).is_some()
}

impl<'a> Scan<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut scan = Self { text, at: 0 };
        scan.space();
        scan
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes over `byte`, if it is here, and the space behind it.
    #[inline]
    fn take(&mut self, byte: u8) -> Option<()> {
        if self.peek()? != byte {
            return None;
        }
        self.at += 1;
        self.space();
        Some(())
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Nothing but space is left.
    pub(crate) fn end(&mut self) -> Option<()> {
        self.space();
        (self.at == self.text.len()).then_some(())
    }

    /// An object: `member` reads the value of a key, or says that it does not know it.
    #[inline]
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a str) -> Option<Known>,
    ) -> Option<()> {
        self.take(b'{')?;
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.take(b':')?;
            if member(self, key)? == Known::No {
                self.skip()?;
            }
            self.space();
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
        }
    }

    /// An array: `element` reads each.
    pub(crate) fn array(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.take(b'[')?;
        if self.take(b']').is_some() {
            return Some(());
        }
        loop {
            element(self)?;
            self.space();
            if self.take(b',').is_none() {
                return self.take(b']');
            }
        }
    }

    /// A string without escapes, and the space behind it.
    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let end = string_end(self.text.as_bytes(), start)?;
        self.at = end;
        self.take(b'"')?;
        self.text.get(start..end)
    }

    /// A value that is kept, of a key that is there once.
    #[inline]
    pub(crate) fn keep(&mut self, cell: &mut Cell<'a>) -> Option<Known> {
        if !matches!(cell, Cell::Absent) {
            return None;
        }
        *cell = match self.peek()? {
            b'"' => Cell::Text(Cow::Borrowed(self.string()?)),
            b'0'..=b'9' => Cell::Whole(self.whole()?),
            b'n' => self.literal("null").map(|()| Cell::Unset)?,
            b't' => self.literal("true").map(|()| Cell::Other)?,
            b'f' => self.literal("false").map(|()| Cell::Other)?,
            _ => return None,
        };
        Some(Known::Yes)
    }

    /// A number without sign, fraction or exponent, of which not too many digits are read.
    fn whole(&mut self) -> Option<u64> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let count = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let digits = rest.get(..count)?;
        let number = match number::whole(digits) {
            Some(number) => number,
            None => std::str::from_utf8(digits).ok()?.parse().ok()?,
        };
        let plain = !matches!(digits, [b'0', _, ..])
            && !matches!(rest.get(count), Some(b'.' | b'e' | b'E'));
        self.at += count;
        plain.then_some(number)
    }

    fn literal(&mut self, name: &str) -> Option<()> {
        self.text.get(self.at..)?.starts_with(name).then_some(())?;
        self.at += name.len();
        Some(())
    }

    /// Passes over a value.
    pub(crate) fn skip(&mut self) -> Option<()> {
        // A bit for each level, the innermost lowest: whether it is an object.
        let (mut objects, mut depth) = (0_u64, 0);
        loop {
            let opened = match self.peek()? {
                b'{' => Some(1),
                b'[' => Some(0),
                _ => None,
            };
            match opened {
                Some(object) => {
                    self.at += 1;
                    self.space();
                    if self.peek()? == b"]}".get(usize::from(object == 1)).copied()? {
                        self.at += 1;
                    } else {
                        depth += 1;
                        if depth > DEPTH_MAX {
                            return None;
                        }
                        objects = objects << 1 | object;
                        if object == 1 {
                            self.key()?;
                        }
                        continue;
                    }
                }
                None => self.scalar()?,
            }
            // Behind a value.
            loop {
                if depth == 0 {
                    return Some(());
                }
                self.space();
                let object = objects & 1 == 1;
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        self.space();
                        if object {
                            self.key()?;
                        }
                        break;
                    }
                    b'}' if object => {}
                    b']' if !object => {}
                    _ => return None,
                }
                self.at += 1;
                depth -= 1;
                objects >>= 1;
            }
        }
    }

    /// Passes over a key and what stands between it and its value.
    #[inline]
    fn key(&mut self) -> Option<()> {
        self.skip_string()?;
        self.space();
        self.take(b':')
    }

    #[inline]
    fn scalar(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.skip_string(),
            b'n' => self.literal("null"),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            _ => self.skip_number(),
        }
    }

    #[inline]
    fn skip_string(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        if self.peek()? != b'"' {
            return None;
        }
        let mut at = self.at + 1;
        loop {
            at = string_end(bytes, at)?;
            match *bytes.get(at..)? {
                [b'"', ..] => break,
                [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => {
                    at += 2;
                }
                [b'\\', b'u', a, b, c, d, ..]
                    if [a, b, c, d].iter().all(u8::is_ascii_hexdigit) =>
                {
                    at += 6;
                }
                _ => return None,
            }
        }
        self.at = at + 1;
        Some(())
    }

    /// Passes over a number (RFC 8259, 6).
    fn skip_number(&mut self) -> Option<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let before = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        (self.at > before).then_some(())
    }
}

/// Whether the value of a key was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    /// JSON, and what is nearly JSON.
    fn texts() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            Just("fals".to_owned()),
            "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
            "[0-9.eE+-]{0,4}",
            "\"[a-zé ]{0,20}\"",
            "\"([a-z]|\\\\[\"\\\\/bfnrtx]|\\\\u[0-9a-g]{4}){0,9}\"",
            "\"[\\x00-\\x22a]{0,9}\"",
        ];
        let value = scalar.prop_recursive(5, 40, 5, |inner| {
            let key = "\"[a-z]{0,9}\"";
            let member =
                (key, inner.clone()).prop_map(|(key, v)| format!("{key} : {v}"));
            prop_oneof![
                prop::collection::vec(inner, 0..5)
                    .prop_map(|all| format!("[ {}]", all.join(" , "))),
                prop::collection::vec(member, 0..5)
                    .prop_map(|all| format!("{{ {} }}", all.join(",\n"))),
            ]
        });
        // One byte may be damaged.
        (value, any::<prop::sample::Index>(), 0u8..30).prop_map(|(text, at, damage)| {
            let with = ["", ",", "}", "]", "\"", "x", ":"].get(usize::from(damage));
            let Some(with) = with else { return text };
            let mut characters: Vec<String> = text.chars().map(String::from).collect();
            if !characters.is_empty() {
                let at = at.index(characters.len());
                (*with).clone_into(&mut characters[at]);
            }
            characters.concat()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn what_is_accepted_is_json(text in texts()) {
            let json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
            // Nothing here is written in a way that is not known.
            prop_assert_eq!(is_json(&text), json, "{}", text);
        }

        #[test]
        fn a_value_that_is_kept_is_that_of_a_parser(text in texts()) {
            let mut scan = Scan::new(&text);
            let mut cell = Cell::Absent;
            if scan.keep(&mut cell).and_then(|_| scan.end()).is_some() {
                prop_assert_eq!(Ok(cell), serde_json::from_str(&text).map_err(|_| ()));
            }
        }

        #[test]
        fn strings_end_where_a_loop_says(bytes in "[\\x00-\\x7fé\"\\\\]{0,40}", at in 0usize..50) {
            let bytes = bytes.as_bytes();
            let ends = |b: &u8| *b == b'"' || *b == b'\\' || *b < 0x20;
            let rest = bytes.get(at..).unwrap_or_default();
            let end = rest.iter().position(ends).map(|end| at + end);
            prop_assert_eq!(string_end(bytes, at), end);
        }

        #[test]
        fn no_text_panics(wild: String) {
            is_json(&wild);
            is_json(&format!("{{\"a\":{wild}}}"));
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(is_json(&nested(64)));
        assert!(!is_json(&nested(66)));
        assert!(!is_json(&"[".repeat(1_000_000)));
    }
}

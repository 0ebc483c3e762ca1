//! Parts of an answer (RFC 9110, section 14): who reads Parquet asks for its end first.
//!
//! **Invariant:** a part is cut of a whole answer, whose tag it has. What is asked for in a way that
//! is not understood, or of another answer than there is, gets the whole.

use std::ops::Range;

use axum::http::{HeaderMap, HeaderValue, header};

/// What of an answer is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// These bytes: at least one.
    Bytes(Range<usize>),
    /// Bytes that it does not have.
    Beyond,
}

/// What `asked` wants of an answer of this length and tag.
pub(super) fn part(
    asked: &HeaderMap,
    tag: Option<&HeaderValue>,
    length: usize,
) -> Part {
    // A date cannot be compared with: answers have tags alone.
    let other = asked.get(header::IF_RANGE).is_some_and(|of| Some(of) != tag);
    let range = asked.get(header::RANGE).and_then(|range| range.to_str().ok());
    match range.filter(|_| !other).and_then(ends) {
        Some(ends) => bytes(ends, length),
        None => Part::Whole,
    }
}

/// The first and the last byte of the one range that is asked for; without the first, how many at
/// the end.
fn ends(range: &str) -> Option<(Option<usize>, Option<usize>)> {
    let (unit, range) = range.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let number = |text: &str| match text {
        "" => Some(None),
        // Above what a number holds is beyond any answer.
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(Some(digits.parse().unwrap_or(usize::MAX)))
        }
        _ => None,
    };
    let (first, last) = (number(first)?, number(last)?);
    let backwards = first.zip(last).is_some_and(|(first, last)| first > last);
    (!backwards && (first.is_some() || last.is_some())).then_some((first, last))
}

fn bytes(ends: (Option<usize>, Option<usize>), length: usize) -> Part {
    let range = match ends {
        (Some(first), Some(last)) => first..last.saturating_add(1).min(length),
        (Some(first), None) => first..length,
        (None, last) => length.saturating_sub(last.unwrap_or(0))..length,
    };
    if range.is_empty() { Part::Beyond } else { Part::Bytes(range) }
}

/// Which bytes of how many an answer has.
pub(super) fn content_range(
    range: Option<&Range<usize>>,
    length: usize,
) -> HeaderValue {
    let told = match range {
        Some(range) => {
            format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1))
        }
        None => format!("bytes */{length}"),
    };
    HeaderValue::try_from(told)
        .unwrap_or_else(|_| HeaderValue::from_static("bytes */*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: &str) -> Part {
        let mut asked = HeaderMap::new();
        asked.insert(header::RANGE, HeaderValue::try_from(range).unwrap());
        part(&asked, None, 10)
    }

    #[test]
    fn a_range_is_first_and_last_or_a_number_at_the_end() {
        assert_eq!(of("bytes=0-3"), Part::Bytes(0..4));
        assert_eq!(of("Bytes=9-9"), Part::Bytes(9..10));
        assert_eq!(of("bytes=7-99999999999999999999999"), Part::Bytes(7..10));
        assert_eq!(of("bytes=7-"), Part::Bytes(7..10));
        assert_eq!(of("bytes=-4"), Part::Bytes(6..10));
        assert_eq!(of("bytes=-99"), Part::Bytes(0..10));
        for beyond in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(of(beyond), Part::Beyond, "{beyond}");
        }
        for whole in
            ["bytes=0-1,3-4", "bytes=3-1", "bytes=-", "bytes", "rows=0-1", "bytes=a-b"]
        {
            assert_eq!(of(whole), Part::Whole, "{whole}");
        }
    }

    #[test]
    fn a_part_of_another_answer_is_the_whole_of_this_one() {
        let (ours, other) =
            (HeaderValue::from_static("\"a\""), HeaderValue::from_static("\"b\""));
        let mut asked = HeaderMap::new();
        asked.insert(header::RANGE, HeaderValue::from_static("bytes=0-0"));
        asked.insert(header::IF_RANGE, ours.clone());
        assert_eq!(part(&asked, Some(&ours), 10), Part::Bytes(0..1));
        assert_eq!(part(&asked, Some(&other), 10), Part::Whole);
        assert_eq!(part(&asked, None, 10), Part::Whole);
    }
}

//! A mail as text (RFC 5322), for `sendmail -t` or any other that sends it.
//!
//! **Invariant:** nothing that comes from outside reaches a header as it is: addresses were
//! checked with the rules, and the subject is an encoded word.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidegauge_model::Instant;

use super::message::Change;
use crate::id::Id;

/// Bytes of text in one encoded word: base64 makes 60 characters of them, and a word may
/// have 75 (RFC 2047, 2).
const WORD_BYTES: usize = 45;
/// Bytes of the body in one line of 76 characters (RFC 2045, 6.8).
const LINE_BYTES: usize = 57;

/// The mail.
pub(super) fn mail(
    key: Id,
    from: &str,
    to: &[String],
    title: &str,
    changes: &[Change<'_>],
) -> String {
    let at = changes.iter().map(Change::at).max().unwrap_or(Instant(0));
    let text: Vec<String> = changes.iter().map(Change::text).collect();
    let (_, domain) = from.rsplit_once('@').unwrap_or(("", "localhost"));
    let mut mail = format!(
        "From: {from}\r\nTo: {}\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <{key}@{domain}>\r\n\
         Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n",
        to.join(",\r\n "),
        encoded(title),
        date(at),
    );
    let body = text.join("\n").replace('\n', "\r\n");
    for line in body.as_bytes().chunks(LINE_BYTES) {
        _ = write!(mail, "{}\r\n", STANDARD.encode(line));
    }
    mail
}

/// Encoded words, each whole characters.
fn encoded(text: &str) -> String {
    let mut words = vec![String::new()];
    for c in text.chars().filter(|c| !c.is_control()).take(200) {
        if words.last().is_some_and(|word| word.len() + c.len_utf8() > WORD_BYTES) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    let words = words.iter().map(|w| format!("=?utf-8?B?{}?=", STANDARD.encode(w)));
    words.collect::<Vec<_>>().join("\r\n ")
}

/// `Mon, 01 Apr 2024 19:33:20 +0000` (RFC 5322, 3.3).
fn date(at: Instant) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
        "Dec",
    ];
    let day = at.day();
    let name = DAYS.get(usize::from(day.weekday_from_monday())).unwrap_or(&"Mon");
    let date = day.date();
    let month = usize::try_from(date.month() - 1).ok().and_then(|m| MONTHS.get(m));
    let seconds = at.0.div_euclid(1_000_000).rem_euclid(86_400);
    format!(
        "{name}, {:02} {} {} {:02}:{:02}:{:02} +0000",
        date.day(),
        month.unwrap_or(&"Jan"),
        date.year(),
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_that_of_the_standard() {
        assert_eq!(
            date(Instant(1_712_000_000_000_000)),
            "Mon, 01 Apr 2024 19:33:20 +0000"
        );
    }

    #[test]
    fn a_subject_breaks_no_header() {
        let subject =
            encoded("a\r\nBcc: evil@evil.example ü ü ü ü ü ü ü ü ü ü ü ü ü ü ü ü");
        for line in subject.split("\r\n ") {
            assert!(line.len() <= 75 && line.starts_with("=?utf-8?B?"), "{line}");
            let coded = line.trim_start_matches("=?utf-8?B?").trim_end_matches("?=");
            let bytes = STANDARD.decode(coded).unwrap();
            assert!(!String::from_utf8(bytes).unwrap().contains(['\r', '\n']));
        }
    }
}

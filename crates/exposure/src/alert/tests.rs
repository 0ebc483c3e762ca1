//! Rules, messages and deliveries together.
//!
//! **Invariant:** each channel's form is read back here the way its receiver reads it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::Value;
use tidegauge_model::Instant;

use super::rules::{MailServer, MailTls};
use super::*;
use crate::dossier::Audience;
use crate::id::Id;
use crate::sample::sample;

const RULES: &str = r#"
schema_version = 1

[[channel]]
name = "soc"
kind = "webhook"
url = "https://soc.example/hook"
secret_env = "SOC_SECRET"

[[channel]]
name = "chat"
kind = "slack"
url_env = "SLACK_URL"

[[channel]]
name = "cards"
kind = "teams"
url_env = "TEAMS_URL"

[[channel]]
name = "log"
kind = "syslog"
address = "127.0.0.1:514"
host = "gauge"

[[channel]]
name = "post"
kind = "mail"
from = "gauge@us.example"
to = ["soc@us.example", "ciso@us.example"]

[[rule]]
name = "ours"
on = ["new", "reappeared"]
kinds = ["asset"]
tier_max = 1
confidence_min = 0.5
signal_min = "attempted"
channels = ["soc"]

[[rule]]
name = "everything"
on = ["new", "reappeared", "quiet", "verified_removed"]
channels = ["chat", "cards", "log"]

[[rule]]
name = "weekly"
on = ["new", "quiet", "verified_removed"]
channels = ["post", "soc"]
digest = true
"#;

fn rules() -> Rules {
    Rules::read(RULES).unwrap()
}

fn sent(channel: &str) -> Vec<Message> {
    let all = messages(&rules(), &sample(Audience::House), None, &BTreeSet::new());
    all.into_iter().filter(|m| m.channel == channel).collect()
}

#[test]
fn every_mistake_of_a_rule_file_is_told_at_once() {
    let text = RULES
        .replace("schema_version = 1", "schema_version = 9")
        .replace("https://soc", "http://soc")
        .replace("127.0.0.1:514", "nowhere")
        .replace("ciso@us.example", "a@b\\r\\nBcc: c@d")
        .replace("confidence_min = 0.5", "confidence_min = 5.0")
        .replace("\"chat\", \"cards\"", "\"chatt\"");
    let Err(rules::RulesError::Mistakes(mistakes)) = Rules::read(&text) else {
        panic!("it was read")
    };
    assert_eq!(mistakes.len(), 6, "{mistakes:#?}");
    for wrong in [
        RULES.replace("digest = true", "digets = true"),
        RULES.replace("\"quiet\"", "\"loud\""),
        RULES.replace("kind = \"slack\"", "kind = \"fax\""),
        RULES.replace("[[rule]]", "[[rules]]"),
        RULES.replace("host = \"gauge\"", "hots = \"gauge\""),
        RULES.replace("name = \"soc\"", "name = 5"),
    ] {
        assert!(Rules::read(&wrong).is_err(), "{wrong}");
    }
    let rules = rules();
    let names: Vec<&str> = rules.variables().into_iter().collect();
    assert_eq!(names, ["SLACK_URL", "SOC_SECRET", "TEAMS_URL"]);
}

#[test]
fn a_plain_address_is_taken_on_this_machine_alone() {
    for good in ["https://a.example/x", "http://127.0.0.1:8080/", "http://localhost/"] {
        assert_eq!(rules::url_mistake(good), None, "{good}");
    }
    for bad in [
        "http://a.example",
        "http://localhost.evil.example",
        "https://",
        "ftp://a",
        "https://a b",
    ] {
        assert!(rules::url_mistake(bad).is_some(), "{bad}");
    }
}

#[test]
fn a_change_is_one_message_and_a_digest_is_one_for_all() {
    let soc = sent("soc");
    // The open asset at once, the two others in the digest.
    assert_eq!(soc.iter().map(|m| m.covers.len()).collect::<Vec<_>>(), [1, 2]);
    let one: Value = serde_json::from_str(&soc[0].body).unwrap();
    assert_eq!(one["type"], "finding.new");
    assert_eq!(one["id"], soc[0].key.to_string());
    assert_eq!(one["data"][0]["subject"]["key"], "hq");
    let two: Value = serde_json::from_str(&soc[1].body).unwrap();
    assert_eq!(two["type"], "finding.digest");
    assert_eq!(sent("post").len(), 1);
    assert_eq!(sent("post")[0].covers.len(), 3);
    assert_eq!(sent("chat").len(), 3);
}

#[test]
fn what_was_delivered_is_not_given_again_and_keys_stay() {
    let all = messages(&rules(), &sample(Audience::House), None, &BTreeSet::new());
    let again = messages(&rules(), &sample(Audience::House), None, &BTreeSet::new());
    assert_eq!(all, again);
    let keys: BTreeSet<Id> = all.iter().map(|m| m.key).collect();
    assert_eq!(keys.len(), all.len());
    let mut deliveries = Deliveries::default();
    let mut file = String::new();
    for message in &all {
        file += &deliveries.add(&attempt(message, 1, Outcome::Sent));
    }
    assert_eq!(Deliveries::read(file.as_bytes()), deliveries);
    let left = messages(&rules(), &sample(Audience::House), None, deliveries.covered());
    assert_eq!(left, []);
    let later = "2024-04-01".parse().ok();
    assert_eq!(
        messages(&rules(), &sample(Audience::House), later, &BTreeSet::new()),
        []
    );
}

fn attempt(message: &Message, seconds: i64, outcome: Outcome) -> Delivery {
    Delivery {
        schema_version: 1,
        key: message.key,
        covers: message.covers.clone(),
        channel: message.channel.clone(),
        at: Instant(seconds * 1_000_000),
        outcome,
    }
}

#[test]
fn no_message_has_an_address_of_a_client() {
    for message in messages(&rules(), &sample(Audience::House), None, &BTreeSet::new())
    {
        for network in ["192.0.2.", "198.51.100.", "2001:db8"] {
            assert!(!message.body.contains(network), "{}", message.body);
        }
    }
}

#[test]
fn names_of_strangers_make_no_layout() {
    let slack: Value = serde_json::from_str(&sent("chat")[0].body).unwrap();
    let text = slack["text"].as_str().unwrap();
    assert!(!text.contains('<') && slack["mrkdwn"] == false);
    for message in sent("cards") {
        let card: Value = serde_json::from_str(&message.body).unwrap();
        let blocks = &card["attachments"][0]["content"]["body"];
        for block in blocks.as_array().unwrap() {
            let text = block["text"].as_str().unwrap().replace("\\<", "");
            assert!(!text.contains('<'), "{text}");
        }
    }
    for message in sent("log") {
        let line = &message.body;
        assert!(line.starts_with("<1") && line.contains(">1 2024-"), "{line}");
        assert!(!line.contains('\n') && line.len() <= syslog::LINE_BYTES_MAX);
        assert!(
            line.contains(" gauge tidegauge - ") && line.contains("[finding@32473 id=")
        );
    }
}

#[test]
fn a_mail_reads_back() {
    let mail = &sent("post")[0].body;
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("To: soc@us.example,\r\n ciso@us.example\r\n"), "{head}");
    assert!(head.contains("Date: Mon, 01 Apr 2024 19:33:20 +0000"), "{head}");
    let coded: String = body.split_whitespace().collect();
    // Each line is coded by itself; all but the last are whole.
    let text = String::from_utf8(STANDARD.decode(coded).unwrap()).unwrap();
    assert!(
        text.contains("Head office: new contact with servers of kaspersky"),
        "{text}"
    );
    assert!(body.lines().all(|line| line.len() <= 76));
}

#[test]
fn waits_grow_and_end() {
    let key = Id::OURS.of("a message");
    let waits: Vec<i64> =
        (1..).map_while(|attempts| delivery::wait_seconds(key, attempts)).collect();
    assert_eq!(waits.len() + 1, delivery::ATTEMPTS_MAX);
    assert!(waits.is_sorted() && (5..=6).contains(&waits[0]), "{waits:?}");
    let message = &sent("soc")[0];
    let mut deliveries = Deliveries::default();
    let now = |seconds: i64| Instant(seconds * 1_000_000);
    assert_eq!(deliveries.due(message.key, now(0)), Due::Now);
    deliveries.add(&attempt(message, 0, Outcome::Failed));
    assert!(matches!(deliveries.due(message.key, now(1)), Due::At(_)));
    assert_eq!(deliveries.due(message.key, now(7)), Due::Now);
    for _ in 1..delivery::ATTEMPTS_MAX {
        deliveries.add(&attempt(message, 7, Outcome::Failed));
    }
    assert_eq!(deliveries.due(message.key, now(1 << 40)), Due::Never(Outcome::Failed));
    let mut deliveries = Deliveries::default();
    deliveries.add(&attempt(message, 0, Outcome::Sent));
    deliveries.add(&attempt(message, 1, Outcome::Failed));
    assert_eq!(deliveries.due(message.key, now(9)), Due::Never(Outcome::Sent));
    assert_eq!(Outcome::of_status(204), Outcome::Sent);
    assert_eq!(Outcome::of_status(410), Outcome::Refused);
    assert_eq!(Outcome::of_status(429), Outcome::Failed);
    assert_eq!(Outcome::of_status(503), Outcome::Failed);
}

proptest! {
    #[test]
    fn any_bytes_are_deliveries_or_told(bytes: Vec<u8>) {
        let full = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()).count();
        prop_assert!(Deliveries::read(&bytes).bad_lines.len() == full);
    }

    #[test]
    fn any_text_is_rules_or_an_error(text: String) {
        _ = Rules::read(&text);
        _ = Rules::read(&format!("{RULES}\n{text}"));
    }
}

#[test]
fn a_mail_server_is_spoken_with_by_tls_unless_it_is_this_machine() {
    let read = |url: &str| {
        let of = MailServer::read(url)?;
        Ok::<_, String>((of.host, of.port, of.tls))
    };
    let is = |host: &str, port, tls| Ok((host.to_owned(), port, tls));
    assert_eq!(read("smtps://mail.example"), is("mail.example", 465, MailTls::Always));
    assert_eq!(read("smtp://mail.example"), is("mail.example", 587, MailTls::Started));
    assert_eq!(
        read("smtp://mail.example:25"),
        is("mail.example", 25, MailTls::Started)
    );
    assert_eq!(read("smtp://127.0.0.1:2525"), is("127.0.0.1", 2525, MailTls::Never));
    assert_eq!(read("smtps://[2001:db8::1]"), is("2001:db8::1", 465, MailTls::Always));
    assert_eq!(read("smtp://[::1]:25"), is("::1", 25, MailTls::Never));
    for wrong in [
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://a b",
        "smtp://a:x",
        "smtp://2001:db8::1",
        "smtp://::1",
        "smtp://a:0",
    ] {
        assert!(
            read(wrong).unwrap_err().contains("is not smtps://HOST:PORT"),
            "{wrong}"
        );
    }
    let rules = |more: &str| {
        Rules::read(&format!(
            "schema_version = 1\n[[channel]]\nname = \"post\"\nkind = \"mail\"\n\
             from = \"a@example.org\"\nto = [\"b@example.org\"]\n{more}"
        ))
    };
    let told = |more: &str| rules(more).unwrap_err().to_string();
    assert!(told("login_env = \"X\"\n").contains("there is none"));
    assert!(told("server = \"mail\"\n").contains("channel `post`: `mail` is not"));
    let rules = rules("server = \"smtps://m\"\nlogin_env = \"X\"\n").unwrap();
    assert!(rules.variables().contains("X"));
}

//! What was told of findings → messages for channels.
//!
//! **Invariant:** the key of a message follows from the change it tells and the channel,
//! so that asking again gives the same keys; what was delivered is not given again.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidegauge_model::{Day, Instant};

use super::rules::{Channel, On, Rules, To};
use super::{chat, mail, syslog, webhook};
use crate::dossier::{Dossier, days};
use crate::fact::{Fact, Told};
use crate::id::Id;
use crate::out::stamp;

/// Most changes that one digest tells; the others come with the next.
pub const DIGEST_MAX: usize = 100;

/// A message that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its key, the same at every attempt.
    pub key: Id,
    /// The changes it tells, each with its channel; delivered when it is.
    pub covers: Vec<Id>,
    /// Name of the channel.
    pub channel: String,
    /// What it says, in one line.
    pub title: String,
    /// What is sent.
    pub body: String,
}

/// A change of state that somebody is to be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    pub(super) dossier: &'a Dossier,
    pub(super) told: &'a Told,
    pub(super) on: On,
}

impl Change<'_> {
    /// The change on a channel.
    fn key(&self, channel: &str) -> Id {
        Fact::Told(self.told.clone())
            .id(self.dossier.id)
            .of(&format!("channel:{channel}"))
    }

    /// One line.
    pub(super) fn title(&self) -> String {
        let what = match self.on {
            On::New => "new contact with",
            On::Reappeared => "back in contact with",
            On::Quiet => "no longer seen in contact with",
            On::VerifiedRemoved => "verified: gone from contact with",
            On::Disputed => "disputed: contact with",
            On::NotOurs => "not ours: contact with",
        };
        let dossier = self.dossier;
        format!("{}: {what} servers of {}", dossier.subject.name, dossier.product)
    }

    /// A few lines, without any address.
    pub(super) fn text(&self) -> String {
        let Dossier { life, subject, .. } = self.dossier;
        let strongest = self.dossier.evidence.first();
        let strongest = strongest.map_or(String::new(), |s| {
            format!(
                "Strongest signal: {} ({}), recognised by {}.\n",
                s.signal, s.role, s.grade
            )
        });
        let tier = subject.tier.map_or(String::new(), |tier| format!(", tier {tier}"));
        let steps = self.dossier.next_steps.join("\n- ");
        format!(
            "{}\nOn {}: {}; {}.\nSeen from {} to {}, on {}; confidence {}.\n\
             {strongest}{}{tier}. Finding {}.\nNext:\n- {steps}\n",
            self.title(),
            self.told.as_of,
            self.told.state,
            self.told.why,
            life.first_seen,
            life.last_seen,
            days(life.days),
            life.confidence,
            subject.kind.as_str(),
            self.dossier.id,
        )
    }

    pub(super) fn json(&self) -> Value {
        let Dossier { life, subject, .. } = self.dossier;
        json!({
            "finding": self.dossier.id,
            "change": self.on.as_str(),
            "state": self.told.state,
            "as_of": self.told.as_of,
            "why": self.told.why,
            "title": self.title(),
            "subject": {
                "key": subject.key,
                "name": subject.name,
                "kind": subject.kind,
                "tier": subject.tier,
                "tags": subject.tags,
                "through": subject.through,
            },
            "product": self.dossier.product,
            "first_seen": life.first_seen,
            "last_seen": life.last_seen,
            "days": life.days,
            "confidence": life.confidence,
            "signal": self.dossier.evidence.first().map(|s| s.signal),
            "next_steps": self.dossier.next_steps,
            "recorded": stamp::text(self.dossier.recorded_last),
        })
    }

    pub(super) fn at(&self) -> Instant {
        self.dossier.recorded_last
    }
}

/// The messages that are to be sent: for what was told on `since` or later and is not among
/// the `delivered`.
pub fn messages(
    rules: &Rules,
    dossiers: &[Dossier],
    since: Option<Day>,
    delivered: &BTreeSet<Id>,
) -> Vec<Message> {
    let mut messages = Vec::new();
    for channel in &rules.channels {
        let mut single: Vec<(Id, Change<'_>)> = Vec::new();
        let mut digest: Vec<(Id, Change<'_>)> = Vec::new();
        for change in changes(dossiers, since) {
            let key = change.key(&channel.name);
            let mut takers = rules.rules.iter().filter(|rule| {
                rule.channels.contains(&channel.name)
                    && rule.takes(change.dossier, change.on)
            });
            // One rule that wants it at once is enough.
            let Some(first) = takers.next() else { continue };
            if delivered.contains(&key) {
                continue;
            }
            if first.digest && takers.all(|rule| rule.digest) {
                digest.push((key, change));
            } else {
                single.push((key, change));
            }
        }
        messages
            .extend(single.iter().map(|(k, c)| message(channel, &[(*k, *c)], false)));
        let mut digest: Vec<(Id, Change<'_>)> = digest.into_iter().collect();
        digest.sort_by_key(|(key, change)| (change.told.as_of, *key));
        digest.truncate(DIGEST_MAX);
        if !digest.is_empty() {
            messages.push(message(channel, &digest, true));
        }
    }
    messages
}

fn changes(
    dossiers: &[Dossier],
    since: Option<Day>,
) -> impl Iterator<Item = Change<'_>> {
    dossiers.iter().flat_map(move |dossier| {
        let recent = move |told: &&Told| since.is_none_or(|since| told.as_of >= since);
        let change = |told| Some(Change { dossier, told, on: On::of(told.state)? });
        dossier.told.iter().filter(recent).filter_map(change)
    })
}

fn message(channel: &Channel, changes: &[(Id, Change<'_>)], digest: bool) -> Message {
    let covers: Vec<Id> = changes.iter().map(|(key, _)| *key).collect();
    let key = match covers.as_slice() {
        [one] if !digest => *one,
        all => {
            let names: Vec<String> = all.iter().map(Id::to_string).collect();
            Id::OURS.of(&format!("digest:{}:{}", channel.name, names.join(",")))
        }
    };
    let changes: Vec<Change<'_>> = changes.iter().map(|(_, change)| *change).collect();
    let title = match changes.as_slice() {
        [one] => one.title(),
        all => format!("{} changes of findings", all.len()),
    };
    let body = match &channel.to {
        To::Webhook { .. } => webhook::body(key, &changes, digest),
        To::Slack { .. } => chat::slack(&changes),
        To::Teams { .. } => chat::teams(&changes),
        To::Syslog { facility, host, .. } => {
            syslog::lines(*facility, host.as_deref(), &changes)
        }
        To::Mail { from, to, .. } => mail::mail(key, from, to, &title, &changes),
    };
    Message { key, covers, channel: channel.name.clone(), title, body }
}

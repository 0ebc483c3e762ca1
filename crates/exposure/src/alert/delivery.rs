//! What was sent, what failed, and when it is tried again: an append-only file, one JSON
//! object a line.
//!
//! **Invariant:** reading takes any bytes, and a bad line is told. A message is tried at
//! most [`ATTEMPTS_MAX`] times; waits grow, and two messages do not wait in step.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tidegauge_model::Instant;

use crate::id::Id;
use crate::ledger::{BadLine, LINE_BYTES_MAX, LineProblem};

/// Version of a line's shape.
pub const SCHEMA_VERSION: u32 = 1;

/// Seconds between two attempts, as Standard Webhooks advises: from seconds, for a blip, to
/// hours, for a night without anybody.
const WAITS_SECONDS: [i64; 8] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000];
/// Attempts before a message is given up.
pub const ATTEMPTS_MAX: usize = WAITS_SECONDS.len() + 1;

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Version of the shape.
    pub schema_version: u32,
    /// Key of the message.
    pub key: Id,
    /// The changes it told.
    pub covers: Vec<Id>,
    /// The channel.
    pub channel: String,
    /// When.
    pub at: Instant,
    /// How it went.
    pub outcome: Outcome,
}

/// How an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was taken.
    Sent,
    /// It was not, and may be later.
    Failed,
    /// It was refused for good.
    Refused,
}

impl Outcome {
    /// Of the answer of an HTTP server. What a client did wrong does not mend itself,
    /// except that it was too early or too much.
    pub fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Sent,
            408 | 425 | 429 => Self::Failed,
            400..=499 => Self::Refused,
            _ => Self::Failed,
        }
    }
}

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Send it.
    Now,
    /// Not before this.
    At(Instant),
    /// Never again: it was sent, refused, or tried too often.
    Never(Outcome),
}

/// Every attempt so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// Attempts and the last of them, by key.
    tried: BTreeMap<Id, (usize, Instant, Outcome)>,
    covered: BTreeSet<Id>,
    /// The lines that could not be used.
    pub bad_lines: Vec<BadLine>,
    cut: bool,
}

impl Deliveries {
    /// Reads a file.
    pub fn read(bytes: &[u8]) -> Self {
        let mut deliveries = Self::default();
        for (line, number) in bytes.split(|b| *b == b'\n').zip(1..) {
            if line.is_empty() {
                continue;
            }
            match delivery(line) {
                Ok(delivery) => deliveries.note(&delivery),
                Err(problem) => {
                    deliveries.bad_lines.push(BadLine { line: number, problem });
                }
            }
        }
        deliveries.cut = bytes.last().is_some_and(|last| *last != b'\n');
        deliveries
    }

    /// The changes that somebody was told, each with its channel.
    pub fn covered(&self) -> &BTreeSet<Id> {
        &self.covered
    }

    /// What is to be done with a message at `now`.
    pub fn due(&self, key: Id, now: Instant) -> Due {
        match self.tried.get(&key) {
            None => Due::Now,
            Some((_, _, Outcome::Sent)) => Due::Never(Outcome::Sent),
            Some((_, _, Outcome::Refused)) => Due::Never(Outcome::Refused),
            Some((attempts, last, Outcome::Failed)) => {
                match wait_seconds(key, *attempts) {
                    None => Due::Never(Outcome::Failed),
                    Some(wait) => {
                        let at = last.plus_seconds(wait);
                        if at <= now { Due::Now } else { Due::At(at) }
                    }
                }
            }
        }
    }

    /// Notes an attempt; the line to be appended to the file.
    pub fn add(&mut self, delivery: &Delivery) -> String {
        self.note(delivery);
        let line = serde_json::to_string(delivery);
        let line = line.expect("words, numbers and text are always written");
        let start = if std::mem::take(&mut self.cut) { "\n" } else { "" };
        format!("{start}{line}\n")
    }

    fn note(&mut self, delivery: &Delivery) {
        if delivery.outcome == Outcome::Sent {
            self.covered.extend(&delivery.covers);
        }
        let there = self.tried.entry(delivery.key).or_insert((
            0,
            delivery.at,
            delivery.outcome,
        ));
        there.0 += 1;
        // What is final stays so, whatever order the lines are in.
        if there.2 == Outcome::Failed {
            there.2 = delivery.outcome;
        }
        there.1 = there.1.max(delivery.at);
    }
}

/// Seconds after the last of `attempts` until the next; `None` if there is none. Up to a
/// fifth longer than the table says, by the key, so that a thousand messages do not come
/// back in the same second.
pub fn wait_seconds(key: Id, attempts: usize) -> Option<i64> {
    let wait = *WAITS_SECONDS.get(attempts.checked_sub(1)?)?;
    let spread = i64::try_from(key.spread() % 201).unwrap_or(0);
    Some(wait + wait * spread / 1_000)
}

fn delivery(line: &[u8]) -> Result<Delivery, LineProblem> {
    if line.len() > LINE_BYTES_MAX {
        return Err(LineProblem::TooLong);
    }
    let delivery: Delivery =
        serde_json::from_slice(line).map_err(|e| LineProblem::Shape(e.to_string()))?;
    if delivery.schema_version != SCHEMA_VERSION {
        return Err(LineProblem::Version(delivery.schema_version));
    }
    Ok(delivery)
}

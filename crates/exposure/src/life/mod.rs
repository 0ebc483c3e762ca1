//! The life of a finding: facts → the state it is in, and how it came there.
//!
//! * [`table`]: the only moves there are;
//! * [`silence`]: when a week without contacts shows something;
//! * [`confidence`]: how sure it is today.
//!
//! **Invariant:** a life is a function of the *set* of facts and the day it is asked for:
//! neither their order nor how often they came matters. No move is made that is not in
//! [`table::MOVES`].

pub mod confidence;
pub mod silence;
pub mod table;

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tidegauge_model::finding::FindingState;
use tidegauge_model::{Day, Instant};

use crate::chance::Chance;
use crate::fact::{Fact, Quiet, Said, Seen, Verdict};

use silence::Silence;
use table::{Standing, Trigger};

/// An exposure not seen for this many days is quiet: four weeks, so that a monthly rhythm
/// does not flap. Picked by hand, revisit.
pub const CONTACT_DAYS: i32 = 28;

/// Combines the probabilities of independent networks into one.
pub type Combine<'a> = &'a dyn Fn(&mut dyn Iterator<Item = f64>) -> f64;

/// How a finding stands on a day, as known now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Life {
    /// The state.
    pub state: FindingState,
    /// Since when.
    pub since: Day,
    /// Why it is this state and no other, in words.
    pub why: String,
    /// First day of contact.
    pub first_seen: Day,
    /// Last day of contact.
    pub last_seen: Day,
    /// Distinct days of contact.
    pub days: u32,
    /// How sure it is that the exposure is there today.
    pub confidence: Chance,
    /// Every move, in order.
    pub moves: Vec<Move>,
}

/// A move from one state to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Move {
    /// When.
    pub on: Day,
    /// From what; `None` for the first.
    pub from: Option<FindingState>,
    /// By what.
    pub by: Trigger,
    /// To what.
    pub to: FindingState,
    /// Who said so, and why, where somebody did.
    pub said: Option<String>,
}

/// The facts of one finding, sorted out.
#[derive(Debug, Default)]
pub struct Facts<'a> {
    /// Days of contact.
    pub days: BTreeSet<Day>,
    /// Contacts.
    pub seen: Vec<&'a Seen>,
    /// Weeks without, one fact each.
    pub quiet: BTreeMap<Day, &'a Quiet>,
    /// What was said, in order.
    pub said: Vec<&'a Said>,
}

impl<'a> Facts<'a> {
    /// Those that were there on `as_of`.
    pub fn until(facts: impl IntoIterator<Item = &'a Fact>, as_of: Day) -> Self {
        let mut sorted = Self::default();
        for fact in facts {
            match fact {
                Fact::Seen(seen) if seen.day <= as_of => {
                    sorted.days.insert(seen.day);
                    sorted.seen.push(seen);
                }
                Fact::Quiet(quiet) if quiet.week.plus(6) <= as_of => {
                    let there = sorted.quiet.entry(quiet.week).or_insert(quiet);
                    *there = silence::better(there, quiet);
                }
                Fact::Said(said) if said.at.day() <= as_of => sorted.said.push(said),
                _ => {}
            }
        }
        sorted.said.sort_by_key(|said| order(said));
        sorted
    }
}

fn order(said: &Said) -> (Instant, Verdict, &str, &str) {
    (said.at, said.verdict, said.who.as_str(), said.why.as_str())
}

/// How a finding with these facts stands on `as_of`; `None` before anything was seen.
pub fn life<'a>(
    facts: impl IntoIterator<Item = &'a Fact>,
    as_of: Day,
    combine: Combine<'_>,
) -> Option<Life> {
    let facts = Facts::until(facts, as_of);
    let (first_seen, last_seen) = (*facts.days.first()?, *facts.days.last()?);
    let mut walk = Walk::default();
    for step in steps(&facts, as_of) {
        walk.take(&step);
    }
    let state = walk.state()?;
    let silence = Silence::since(&facts, last_seen);
    let confidence = confidence::today(&facts, last_seen, as_of, &silence, combine);
    Some(Life {
        state,
        since: walk.moves.last().map_or(first_seen, |m| m.on),
        why: why(state, &facts, as_of, &silence, &walk.moves),
        first_seen,
        last_seen,
        days: u32::try_from(facts.days.len()).unwrap_or(u32::MAX),
        confidence,
        moves: walk.moves,
    })
}

/// One thing that may move a finding.
struct Step<'a> {
    on: Day,
    by: Trigger,
    said: Option<&'a Said>,
}

/// Everything that may move it, in order of day; on one day evidence comes before what is
/// said.
fn steps<'a>(facts: &Facts<'a>, as_of: Day) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    let nexts = facts.days.iter().skip(1).map(|day| Some(*day)).chain([None]);
    for (day, next) in facts.days.iter().zip(nexts) {
        steps.push(Step { on: *day, by: Trigger::Seen, said: None });
        let end = next.unwrap_or_else(|| as_of.plus(1));
        // Days on which nobody looked are no silence: what is seen after them has not come
        // back, it was never known to be away.
        let looked = facts.quiet.range(day.plus(1)..end).next();
        let Some(quiet_on) = looked
            .map(|(week, _)| week.plus(6).max(day.plus(CONTACT_DAYS)))
            .filter(|on| *on < end)
        else {
            continue;
        };
        steps.push(Step { on: quiet_on, by: Trigger::Silence, said: None });
        let shown_on = Silence::shown_on(facts, *day).map(|on| on.max(quiet_on));
        if let Some(on) = shown_on.filter(|on| *on < end) {
            steps.push(Step { on, by: Trigger::Verified, said: None });
        }
    }
    for said in &facts.said {
        if let Some(by) = Trigger::of(said.verdict) {
            steps.push(Step { on: said.at.day(), by, said: Some(said) });
        }
    }
    steps.sort_by_key(|step| (step.on, step.said.map(order)));
    steps
}

/// A walk through the table.
#[derive(Default)]
struct Walk {
    evidence: Option<FindingState>,
    standing: Standing,
    moves: Vec<Move>,
}

impl Walk {
    fn state(&self) -> Option<FindingState> {
        table::shown(self.evidence, self.standing)
    }

    fn take(&mut self, step: &Step<'_>) {
        let from = self.state();
        (self.evidence, self.standing) =
            table::next(self.evidence, self.standing, step.by);
        let Some(to) = self.state() else { return };
        if from == Some(to) {
            return;
        }
        self.moves.push(Move {
            on: step.on,
            from,
            by: step.by,
            to,
            said: step.said.map(|said| format!("{}: {}", said.who, said.why)),
        });
    }
}

fn why(
    state: FindingState,
    facts: &Facts<'_>,
    as_of: Day,
    silence: &Silence,
    moves: &[Move],
) -> String {
    let last = facts.days.last().copied().unwrap_or(as_of);
    let ago = as_of.0 - last.0;
    let seen_since = |on: Day| facts.days.range(on..).count();
    let before = match ago {
        0 => format!("seen on {as_of}"),
        1 => format!("seen 1 day before {as_of}"),
        ago => format!("seen {ago} days before {as_of}"),
    };
    match state {
        FindingState::Open if ago >= CONTACT_DAYS => {
            format!("{before}; {}", silence.why_not_shown())
        }
        FindingState::Open => before,
        FindingState::Reappeared => {
            let was = moves.last().and_then(|m| m.from);
            let was = was.map_or("quiet".to_owned(), |s| s.to_string());
            format!("{before}, after it was {was}")
        }
        FindingState::Quiet => {
            format!("not seen for {ago} days; {}", silence.why_not_shown())
        }
        FindingState::VerifiedRemoved => {
            format!("not seen for {ago} days; {}", silence.why_shown())
        }
        FindingState::Disputed | FindingState::NotOurs => {
            let Some(last) = moves.last() else { return String::new() };
            let said = last.said.clone().unwrap_or_default();
            let since = seen_since(last.on.plus(1));
            if since == 0 {
                said
            } else {
                format!("{said} (contacts on {since} days since)")
            }
        }
        // No states of a finding.
        FindingState::NotSeen
        | FindingState::NotVisible
        | FindingState::NotCheckable => String::new(),
    }
}

#[cfg(test)]
mod tests;

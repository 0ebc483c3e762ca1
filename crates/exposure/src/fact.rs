//! What is known of a finding: facts, each under an id made from its own content.
//!
//! **Invariant:** a fact never changes and is never taken back. The same fact has the same
//! id whoever writes it and whenever; what was written when is not part of it.

use serde::{Deserialize, Serialize};
use tidegauge_model::finding::FindingState;
use tidegauge_model::{
    Asn, Day, EndpointId, Grade, Instant, OrgId, Prefix, Role, Signal, VantageId,
};

use crate::chance::Chance;
use crate::id::Id;
use crate::matching::By;

/// One thing that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Contacts were seen.
    Seen(Seen),
    /// Nothing was seen although it was looked for.
    Quiet(Quiet),
    /// Somebody said something.
    Said(Said),
    /// A reader was told this state.
    Told(Told),
}

/// Contacts of one network of a row, on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The UTC day.
    pub day: Day,
    /// From where it was seen.
    pub vantage: VantageId,
    /// The entry of the catalog that was contacted.
    pub endpoint: EndpointId,
    /// What the server does.
    pub role: Role,
    /// How the server was recognised.
    pub grade: Grade,
    /// What the contacts prove.
    pub signal: Signal,
    /// The network of the clients: the address itself for assets of our own, a /24 or /48
    /// for everybody else.
    pub network: Prefix,
    /// Why it is this row's.
    pub by: By,
    /// Who holds the address that day, as the atlas has it.
    pub organisation: Option<OrgId>,
    /// Its origin AS.
    pub asn: Option<Asn>,
    /// Distinct client addresses in the network, at least.
    pub addresses: u64,
    /// Contacts, at least.
    pub contacts: u64,
    /// The first of them.
    pub first: Instant,
    /// The last of them.
    pub last: Instant,
    /// Chance that they mean use of the product by this row.
    pub probability: Chance,
}

/// A week in which nothing was seen: negative evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// The Monday of the week.
    pub week: Day,
    /// Days of it on which a network of the row was in a footprint, 1 to 7.
    pub looked_days: u8,
    /// Who looked.
    pub vantages: Vec<VantageId>,
    /// Chance that a user would have been seen in it.
    pub detection: Option<Chance>,
    /// Why that chance is not known.
    pub unknown: Option<String>,
}

/// What somebody said about a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// From when it holds; when it was written down is with the line.
    pub at: Instant,
    /// Who.
    pub who: String,
    /// What.
    pub verdict: Verdict,
    /// In their words.
    pub why: String,
}

/// What can be said about a finding.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is wrong, to be decided.
    Disputed,
    /// The dispute is decided: the finding stands.
    Upheld,
    /// Decided: what was seen is not the row's.
    NotOurs,
    /// It is the row's after all.
    Ours,
    /// Nothing that moves it.
    Note,
}

impl Verdict {
    /// Every value.
    pub const ALL: [Self; 5] =
        [Self::Disputed, Self::Upheld, Self::NotOurs, Self::Ours, Self::Note];

    /// The word in files and flags.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disputed => "disputed",
            Self::Upheld => "upheld",
            Self::NotOurs => "not_ours",
            Self::Ours => "ours",
            Self::Note => "note",
        }
    }
}

/// A word that is no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of disputed, upheld, not_ours, ours, note")]
pub struct BadVerdict(String);

impl std::str::FromStr for Verdict {
    type Err = BadVerdict;

    fn from_str(text: &str) -> Result<Self, BadVerdict> {
        let found = Self::ALL.into_iter().find(|v| v.as_str() == text);
        found.ok_or_else(|| BadVerdict(text.to_owned()))
    }
}

/// The state as a reader was told it. What was told is never rewritten: where evidence
/// comes late, the state as known now differs from it, and both are shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The last day that was looked at.
    pub as_of: Day,
    /// The state.
    pub state: FindingState,
    /// Why.
    pub why: String,
}

impl Fact {
    /// Its id as a fact about `finding`.
    pub fn id(&self, finding: Id) -> Id {
        let text = serde_json::to_string(self)
            .expect("words, numbers and text are always written");
        finding.of(&text)
    }

    /// What is wrong with it, if it was not made here.
    pub(crate) fn flaw(&self) -> Option<&'static str> {
        match self {
            Self::Seen(seen) if seen.last < seen.first => {
                Some("the last contact is before the first")
            }
            Self::Seen(seen) if seen.contacts == 0 || seen.addresses == 0 => {
                Some("contacts of nobody, or none")
            }
            Self::Seen(seen) => day_flaw(seen.day),
            Self::Quiet(quiet) if !(1..=7).contains(&quiet.looked_days) => {
                Some("a week has one to seven days that were looked at")
            }
            Self::Quiet(quiet) if quiet.week.weekday_from_monday() != 0 => {
                Some("a week begins on Monday")
            }
            Self::Quiet(quiet) => day_flaw(quiet.week),
            Self::Said(said) => day_flaw(said.at.day()),
            Self::Told(told) => day_flaw(told.as_of),
        }
    }
}

/// Days are computed with, so they must leave room: years 1970 to 2999.
fn day_flaw(day: Day) -> Option<&'static str> {
    const DAY_MAX: i32 = 376_200;
    (!(0..=DAY_MAX).contains(&day.0)).then_some("the date is before 1970 or after 2999")
}

//! The only moves there are.
//!
//! What is seen moves a finding through four states; what is said lays a standing over
//! them. A dispute does not stop evidence from coming in: when it is settled, the finding
//! is where the evidence has brought it meanwhile.
//!
//! **Invariant:** [`next`] never gives a pair that [`MOVES`] does not have.

use serde::Serialize;
use tidegauge_model::finding::FindingState;

use crate::fact::Verdict;

/// What moves a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A day with contacts.
    Seen,
    /// Four weeks without.
    Silence,
    /// Silence that shows removal.
    Verified,
    /// Somebody disputes it.
    Disputed,
    /// The dispute is decided: it stands.
    Upheld,
    /// Decided: it is not the row's.
    NotOurs,
    /// It is the row's after all.
    Ours,
}

impl Trigger {
    /// The word in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Silence => "silence",
            Self::Verified => "verified",
            Self::Disputed => "disputed",
            Self::Upheld => "upheld",
            Self::NotOurs => "not_ours",
            Self::Ours => "ours",
        }
    }

    /// The trigger of what was said; `None` for a note.
    pub(crate) fn of(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Disputed => Some(Self::Disputed),
            Verdict::Upheld => Some(Self::Upheld),
            Verdict::NotOurs => Some(Self::NotOurs),
            Verdict::Ours => Some(Self::Ours),
            Verdict::Note => None,
        }
    }
}

/// How a finding stands beyond its evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Standing {
    /// Nobody objects.
    #[default]
    Stands,
    /// Disputed.
    Disputed,
    /// Not the row's.
    NotOurs,
}

use FindingState as S;
use Trigger as T;

/// Every move between different states: from, by, to.
pub const MOVES: &[(Option<FindingState>, Trigger, FindingState)] = &[
    (None, T::Seen, S::Open),
    (Some(S::Open), T::Silence, S::Quiet),
    (Some(S::Reappeared), T::Silence, S::Quiet),
    (Some(S::Quiet), T::Seen, S::Reappeared),
    (Some(S::Quiet), T::Verified, S::VerifiedRemoved),
    (Some(S::VerifiedRemoved), T::Seen, S::Reappeared),
    (Some(S::Open), T::Disputed, S::Disputed),
    (Some(S::Quiet), T::Disputed, S::Disputed),
    (Some(S::VerifiedRemoved), T::Disputed, S::Disputed),
    (Some(S::Reappeared), T::Disputed, S::Disputed),
    (Some(S::NotOurs), T::Disputed, S::Disputed),
    (Some(S::Open), T::NotOurs, S::NotOurs),
    (Some(S::Quiet), T::NotOurs, S::NotOurs),
    (Some(S::VerifiedRemoved), T::NotOurs, S::NotOurs),
    (Some(S::Reappeared), T::NotOurs, S::NotOurs),
    (Some(S::Disputed), T::NotOurs, S::NotOurs),
    (Some(S::Disputed), T::Upheld, S::Open),
    (Some(S::Disputed), T::Upheld, S::Quiet),
    (Some(S::Disputed), T::Upheld, S::VerifiedRemoved),
    (Some(S::Disputed), T::Upheld, S::Reappeared),
    (Some(S::NotOurs), T::Ours, S::Open),
    (Some(S::NotOurs), T::Ours, S::Quiet),
    (Some(S::NotOurs), T::Ours, S::VerifiedRemoved),
    (Some(S::NotOurs), T::Ours, S::Reappeared),
    // Said before anything was seen: the first contact finds it said.
    (None, T::Seen, S::Disputed),
    (None, T::Seen, S::NotOurs),
];

/// What a reader sees.
pub(crate) fn shown(
    evidence: Option<FindingState>,
    standing: Standing,
) -> Option<FindingState> {
    let evidence = evidence?;
    Some(match standing {
        Standing::Stands => evidence,
        Standing::Disputed => S::Disputed,
        Standing::NotOurs => S::NotOurs,
    })
}

/// Where `by` moves it. What does not fit moves nothing: it is in the history as a fact.
pub(crate) fn next(
    evidence: Option<FindingState>,
    standing: Standing,
    by: Trigger,
) -> (Option<FindingState>, Standing) {
    let moved = match (evidence, by) {
        (None, T::Seen) => Some(S::Open),
        (Some(S::Quiet | S::VerifiedRemoved), T::Seen) => Some(S::Reappeared),
        (Some(S::Open | S::Reappeared), T::Silence) => Some(S::Quiet),
        (Some(S::Quiet), T::Verified) => Some(S::VerifiedRemoved),
        (same, _) => same,
    };
    let standing = match (standing, by) {
        (_, T::NotOurs) => Standing::NotOurs,
        (_, T::Disputed) => Standing::Disputed,
        (Standing::Disputed, T::Upheld) | (Standing::NotOurs, T::Ours) => {
            Standing::Stands
        }
        (same, _) => same,
    };
    (moved, standing)
}

/// Whether a finding can come from `from` to `to` in one move.
pub fn is_move(from: Option<FindingState>, by: Trigger, to: FindingState) -> bool {
    MOVES.contains(&(from, by, to))
}

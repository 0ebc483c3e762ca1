//! How much a finding matters to whoever keeps the portfolio.
//!
//! **Invariant:** it follows from the tier that the user gave and from the signal; no
//! finding says that a rule was broken.

use serde::Serialize;
use tidegauge_model::Signal;
use tidegauge_model::finding::FindingState;

use crate::dossier::Dossier;

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Severity {
    /// To know.
    Info,
    /// Tier 3 and below, or without a tier.
    Low,
    /// Tier 2.
    Medium,
    /// Tier 1.
    High,
}

impl Severity {
    /// Of a finding. Only what is open is worth more than to know.
    pub fn of(dossier: &Dossier) -> Self {
        let open = matches!(
            dossier.life.state,
            FindingState::Open | FindingState::Reappeared | FindingState::Disputed
        );
        let strongest = dossier.evidence.first().map(|sight| sight.signal);
        if !open || strongest <= Some(Signal::Resolved) {
            return Self::Info;
        }
        match dossier.subject.tier {
            Some(1) => Self::High,
            Some(2) => Self::Medium,
            _ => Self::Low,
        }
    }

    /// Why, in words.
    pub fn why(dossier: &Dossier) -> String {
        let tier =
            dossier.subject.tier.map_or("no tier".to_owned(), |t| format!("tier {t}"));
        format!(
            "{tier} in the portfolio, state {}, strongest signal {}",
            dossier.life.state,
            dossier.evidence.first().map_or("none", |sight| sight.signal.as_str())
        )
    }

    /// The word of `DefectDojo`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Info => "Info",
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
        }
    }
}

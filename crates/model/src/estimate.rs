//! Estimates with their uncertainty, and the form in which they may be shown.
//!
//! **Invariant:** an estimate says how many units it rests on, by what method, and
//! whether the quantity is identified at all; if it is not, it says why.

use serde::Serialize;

use crate::DayRange;

/// An estimated quantity.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// What is estimated: `cohort removal`, `net change`.
    pub quantity: Quantity,
    /// For whom: one value per dimension, `country=US`; empty for all.
    pub stratum: Vec<(String, String)>,
    /// The window before.
    pub before: DayRange,
    /// The window after; as long as the one before.
    pub after: DayRange,
    /// The estimate as a share: 0.58 is 58 %.
    pub value: f64,
    /// Units in the denominator.
    pub n: u64,
    /// Units in the numerator (still active, or active after).
    pub k: u64,
    /// Intervals, each by its own method.
    pub intervals: Vec<Interval>,
    /// The estimator and its settings in words.
    pub method: String,
    /// Whether the quantity is identified.
    pub identified: Identification,
}

/// What an estimate is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Share of the baseline cohort no longer active.
    CohortRemoval,
    /// One minus the ratio of active organisations after to before.
    NetChange,
    /// Share of the baseline cohort still active.
    Retention,
    /// Share of the baseline cohort that no longer uses the product, visibility taken out.
    RemovalCorrected,
}

/// A confidence interval of a share.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// How it was made: `Wilson`, `cluster bootstrap (999)`.
    pub method: String,
    /// Nominal coverage, 0.95.
    pub level: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Whether the data can tell the quantity at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Identification {
    /// Yes, under the method's stated assumptions.
    Identified,
    /// The figure mixes use with something else; says what.
    Mixed(String),
    /// No; says why.
    NotIdentified(String),
}

impl Identification {
    /// The caveat that every before/after figure carries until visibility is modelled.
    pub fn visibility_not_separated() -> Self {
        Self::Mixed("visibility not separated from usage".to_owned())
    }
}

/// An estimate that may be shown: it rests on enough units.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReleasedEstimate(Suppressible);

#[derive(Clone, Debug, PartialEq, Serialize)]
enum Suppressible {
    Shown(Estimate),
    Suppressed { quantity: Quantity, stratum: Vec<(String, String)>, rule: String },
}

/// Decides which estimates may be shown.
pub trait EstimateDisclosure {
    /// What the rule says of itself.
    fn statement(&self) -> String;
    /// Whether `estimate` may be shown.
    fn permits(&self, estimate: &Estimate) -> bool;
}

impl ReleasedEstimate {
    /// Applies `rule`.
    pub fn by(rule: &impl EstimateDisclosure, estimate: Estimate) -> Self {
        Self(if rule.permits(&estimate) {
            Suppressible::Shown(estimate)
        } else {
            Suppressible::Suppressed {
                quantity: estimate.quantity,
                stratum: estimate.stratum,
                rule: rule.statement(),
            }
        })
    }

    /// The estimate, unless it was suppressed.
    pub fn shown(&self) -> Option<&Estimate> {
        match &self.0 {
            Suppressible::Shown(estimate) => Some(estimate),
            Suppressible::Suppressed { .. } => None,
        }
    }

    /// The rule by which it was suppressed, if it was.
    pub fn rule(&self) -> Option<&str> {
        match &self.0 {
            Suppressible::Shown(_) => None,
            Suppressible::Suppressed { rule, .. } => Some(rule),
        }
    }

    /// What it is an estimate of.
    pub fn quantity(&self) -> Quantity {
        match &self.0 {
            Suppressible::Shown(e) => e.quantity,
            Suppressible::Suppressed { quantity, .. } => *quantity,
        }
    }

    /// For whom.
    pub fn stratum(&self) -> &[(String, String)] {
        match &self.0 {
            Suppressible::Shown(e) => &e.stratum,
            Suppressible::Suppressed { stratum, .. } => stratum,
        }
    }
}

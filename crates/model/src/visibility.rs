//! What a vantage could have seen: the part of a fall that is not of use.
//!
//! **Invariant:** visibility is of those who use a product and are looked at; who left does
//! not lower it. It is of a whole cohort, never of one organisation.

use std::fmt;

use crate::{Day, VantageId};

/// A share, or a ratio of shares, with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The chance of being seen at a vantage in a week.
#[derive(Clone, Debug, PartialEq)]
pub struct VisibilityWeek {
    /// Which vantage.
    pub vantage: VantageId,
    /// The week's first day: of the weekday on which the window after begins.
    pub first: Day,
    /// Chance that a member of the cohort which uses the product, is in sight and is
    /// looked at on all seven days is seen on one of them or more.
    pub product: Share,
    /// The same of controls; `None` at a vantage without enough of them.
    pub control: Option<Share>,
    /// Share of the cohort of this vantage whose networks are still in sight of it;
    /// `None` where controls cannot tell.
    pub in_sight: Option<f64>,
    /// Share of its organisation-days that were looked at.
    pub looked: f64,
}

/// How many of a cohort go on, week by week: with visibility taken out, and as seen.
#[derive(Clone, Debug, PartialEq)]
pub struct SurvivalCurve {
    /// Pairs of dimension and value; empty for all.
    pub stratum: Vec<(String, String)>,
    /// Organisations active in the window before.
    pub n_baseline: u64,
    /// From the first week after the window before to the first of the window after.
    pub weeks: Vec<SurvivalWeek>,
}

/// One week of a survival curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SurvivalWeek {
    /// The week's first day: of the weekday on which the window after begins.
    pub first: Day,
    /// Share of the cohort that uses the product in this week or a later one, up to the end
    /// of the window after. In the first week of that window it is one less removal.
    pub in_use: Share,
    /// Organisations of the cohort that were seen then or later, up to the same day.
    pub seen: u64,
}

/// A finding about visibility between the window before and the window after.
#[derive(Clone, Debug, PartialEq)]
pub enum Alarm {
    /// Fewer contacts of product and controls alike are seen at a vantage.
    Thinned {
        /// Where.
        vantage: VantageId,
        /// Contacts seen, relative to before.
        ratio: Share,
    },
    /// Networks of the cohort are no longer in sight of a vantage.
    Dark {
        /// Where.
        vantage: VantageId,
        /// Their share in the window after.
        share: f64,
    },
    /// A vantage looked at fewer organisation-days than before.
    LookedLess {
        /// Where.
        vantage: VantageId,
        /// Relative to before.
        ratio: f64,
    },
    /// The product is seen less, or more, among those who still show it, and controls are
    /// not: its servers moved, the catalog rotted, or its users have fewer devices.
    Parted {
        /// Where.
        vantage: VantageId,
        /// Contacts of the product relative to controls, relative to before.
        ratio: Share,
    },
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thinned { vantage, ratio } => write!(
                f,
                "at {vantage} contacts of product and controls alike fell to {} of what \
                 they were",
                Percent(*ratio)
            ),
            Self::Dark { vantage, share } => write!(
                f,
                "{:.0} % of the cohort are no longer in sight of {vantage}",
                100.0 * share
            ),
            Self::LookedLess { vantage, ratio } => write!(
                f,
                "{vantage} looked at {:.0} % of the organisation-days it had looked at \
                 before",
                100.0 * ratio
            ),
            Self::Parted { vantage, ratio } => write!(
                f,
                "at {vantage} contacts of the product went to {} of those of controls, \
                 relative to before",
                Percent(*ratio)
            ),
        }
    }
}

/// A share as `62 % (60 to 64 %)`.
struct Percent(Share);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [value, low, high] =
            [self.0.value, self.0.low, self.0.high].map(|share| 100.0 * share);
        write!(f, "{value:.0} % ({low:.0} to {high:.0} %)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_says_where_and_how_much() {
        let ratio = Share { value: 0.254, low: 0.2, high: 0.31 };
        let alarm = Alarm::Thinned { vantage: VantageId::new("exchange"), ratio };
        assert_eq!(
            alarm.to_string(),
            "at exchange contacts of product and controls alike fell to 25 % (20 to 31 %) \
             of what they were"
        );
    }
}

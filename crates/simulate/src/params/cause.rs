//! What the fall is, and what it is made of.
//!
//! **Invariant:** shares are of the fall on the scale of hazards (its logarithm): half of
//! a fall to a quarter is a fall to a half.

use serde::{Deserialize, Serialize};

use crate::targets;

/// What the fall between the windows is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cause {
    /// Share of each group's fall that is people leaving on the group's course, 0 to 1.
    pub removal: f64,
    /// Share of each group that leaves evenly from April to November whatever happens.
    pub churn: f64,
    /// Of what removal does not make: weight of devices that are seen less often.
    pub thinned: f64,
    /// Weight of networks whose sensor partner goes dark.
    pub dark: f64,
    /// Weight of contacts that go to hosts which the vendor moved.
    pub moved: f64,
    /// Sensor partners of a group: each goes dark at once.
    pub partners: u32,
}

impl Default for Cause {
    fn default() -> Self {
        Self {
            removal: 1.0,
            churn: 0.0,
            thinned: 0.0,
            dark: 0.0,
            moved: 0.0,
            partners: 100,
        }
    }
}

impl Cause {
    /// The hazard of churn over the seven months.
    pub(crate) fn churn_hazard(&self) -> f64 {
        -(1.0 - self.churn).ln()
    }

    /// The weights of what is no removal, so that they sum to one; none if nothing else
    /// makes a fall.
    pub(crate) fn blindness(&self) -> Option<[f64; 3]> {
        let sum = self.thinned + self.dark + self.moved;
        let rest = self.removal < 1.0 && sum > 0.0;
        rest.then(|| [self.thinned, self.dark, self.moved].map(|w| w / sum))
    }
}

/// What is seen in April and in November, full size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Targets {
    /// Organisations of the world in April.
    pub organisations_april: f64,
    /// In November.
    pub organisations_november: f64,
    /// Distinct addresses of April.
    pub addresses_april: f64,
    /// Of November.
    pub addresses_november: f64,
    /// Organisations of the United States in April.
    pub us_april: f64,
    /// In November.
    pub us_november: f64,
    /// Removal that is seen there.
    pub us_removal: f64,
    /// Government organisations there in April.
    pub us_government_april: f64,
    /// In November.
    pub us_government_november: f64,
    /// Share of consumers' addresses there that is left in November.
    pub us_consumers_left: f64,
}

impl Default for Targets {
    fn default() -> Self {
        Self {
            organisations_april: targets::ORGANISATIONS_APRIL,
            organisations_november: targets::ORGANISATIONS_NOVEMBER,
            addresses_april: targets::ADDRESSES_APRIL,
            addresses_november: targets::ADDRESSES_NOVEMBER,
            us_april: targets::US_APRIL,
            us_november: targets::US_NOVEMBER,
            us_removal: targets::US_REMOVAL,
            us_government_april: targets::US_GOVERNMENT_APRIL,
            us_government_november: targets::US_GOVERNMENT_NOVEMBER,
            us_consumers_left: targets::US_CONSUMERS_LEFT,
        }
    }
}

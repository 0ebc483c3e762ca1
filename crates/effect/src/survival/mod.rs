//! How long use lasts: times to removal, and what they depend on.
//!
//! * [`spells`]: from a panel to times known to lie between two weeks;
//! * [`kaplan_meier`]: the curve, its half-life, and time in use up to a horizon;
//! * [`turnbull`]: the same if times are known to lie between two looks only;
//! * [`log_rank`]: whether groups differ; [`cox`]: by how much, all else proportional;
//! * [`hazard`]: the chance of removal month by month, with acts that begin in between;
//! * [`competing`]: where those who left went to.
//!
//! **Invariant:** nobody counts as at risk before entry or after exit; the end of looking
//! is no event. An estimator without anybody at risk, without an event, or with one group
//! where two are compared is refused.

pub mod competing;
pub mod cox;
pub mod hazard;
pub mod kaplan_meier;
pub mod log_rank;
pub mod spells;
pub mod turnbull;

use crate::regression::RegressionError;

/// One subject under observation after `entry` up to `exit`, in any unit of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Followed {
    /// Not at risk up to and including this time.
    pub entry: f64,
    /// The last time at risk.
    pub exit: f64,
    /// Whether the event came at `exit`; otherwise looking ended there.
    pub event: bool,
}

impl Followed {
    /// A subject at risk from time 0.
    pub fn from_start(exit: f64, event: bool) -> Self {
        Self { entry: f64::NEG_INFINITY, exit, event }
    }

    pub(crate) fn at_risk(self, time: f64) -> bool {
        self.entry < time && time <= self.exit
    }
}

/// Times that say nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SurvivalRefused {
    /// Rule `subjects-needed`.
    #[error("rule subjects-needed: there is nobody to follow")]
    Nobody,
    /// A time that is none.
    #[error("subject {0} has no finite time, or leaves before it enters")]
    Time(usize),
    /// Lists of different length.
    #[error("{given} {what} for {subjects} subjects")]
    Lengths {
        /// What was listed.
        what: &'static str,
        /// How many.
        given: usize,
        /// For how many.
        subjects: usize,
    },
    /// Rule `events-needed`.
    #[error("rule events-needed: nobody had the event while being followed")]
    NoEvent,
    /// Rule `groups-needed`.
    #[error("rule groups-needed: {0} group at risk when events came; two are compared")]
    OneGroup(usize),
    /// Rule `at-risk-needed`.
    #[error("rule at-risk-needed: nobody is at risk {0}")]
    NobodyAtRisk(&'static str),
    /// Rule `weeks-missing`.
    #[error(
        "rule weeks-missing: {0} weeks in a row were not looked at, and whoever left in them \
         left at a time that nobody knows"
    )]
    WeeksMissing(usize),
    /// Rule `separation`.
    #[error(
        "rule separation: {0} tells events from others perfectly, so its effect has no \
         finite estimate"
    )]
    Separated(String),
    /// The covariates.
    #[error(transparent)]
    Regression(#[from] RegressionError),
}

/// Checks each subject's times.
pub(crate) fn admit(subjects: &[Followed]) -> Result<(), SurvivalRefused> {
    if subjects.is_empty() {
        return Err(SurvivalRefused::Nobody);
    }
    let bad =
        |s: &Followed| !s.exit.is_finite() || s.entry.is_nan() || s.entry >= s.exit;
    subjects.iter().position(bad).map_or(Ok(()), |i| Err(SurvivalRefused::Time(i)))
}

/// The distinct times at which events came, in order.
pub(crate) fn event_times(subjects: &[Followed]) -> Vec<f64> {
    let mut times: Vec<f64> =
        subjects.iter().filter(|s| s.event).map(|s| s.exit).collect();
    times.sort_by(f64::total_cmp);
    times.dedup_by(|a, b| a.total_cmp(b).is_eq());
    times
}

pub(crate) fn same_length(
    what: &'static str,
    given: usize,
    subjects: usize,
) -> Result<(), SurvivalRefused> {
    if given == subjects {
        Ok(())
    } else {
        Err(SurvivalRefused::Lengths { what, given, subjects })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::kaplan_meier::curve;
    use super::*;

    pub(crate) fn any_subjects() -> impl Strategy<Value = Vec<Followed>> {
        let one = (0u8..20, 1u8..20, any::<bool>()).prop_map(|(entry, more, event)| {
            let entry = f64::from(entry);
            Followed { entry, exit: entry + f64::from(more), event }
        });
        prop::collection::vec(one, 1..60)
    }

    #[test]
    fn odd_subjects_are_refused() {
        assert_eq!(admit(&[]), Err(SurvivalRefused::Nobody));
        let good = Followed::from_start(3.0, true);
        for bad in [
            Followed { exit: f64::NAN, ..good },
            Followed { exit: f64::INFINITY, ..good },
            Followed { entry: f64::NAN, ..good },
            Followed { entry: 3.0, ..good },
        ] {
            assert_eq!(admit(&[good, bad]), Err(SurvivalRefused::Time(1)));
        }
        let none = curve(&[Followed::from_start(1.0, false)]);
        assert_eq!(none, Err(SurvivalRefused::NoEvent));
    }

    proptest! {
        #[test]
        fn a_curve_falls_from_one_and_stays_in_its_interval(subjects in any_subjects()) {
            let Ok(curve) = curve(&subjects) else { return Ok(()) };
            let mut last = 1.0;
            for step in &curve.steps {
                prop_assert!(0.0 <= step.low && step.low <= step.survival + 1e-12);
                prop_assert!(step.survival <= step.high + 1e-12 && step.high <= 1.0);
                prop_assert!(step.survival <= last && step.at_risk >= step.events);
                last = step.survival;
            }
        }
    }
}

//! Removal corrected for visibility: use as a hidden state behind weekly detections,
//! jointly with control products (methods, 3.4 and 3.5).
//!
//! An organisation of the baseline cohort uses the product or not, and each vantage has
//! its networks in sight or not; both may change from week to week. While it uses the
//! product and is in sight, each day looked at shows it with a chance that depends on the
//! organisation's class, the vantage and the week. Control products, which no act
//! addresses, are shown by the same vantages in the same weeks to the same organisations:
//! if they fall silent, sight was lost; if they go on and the product does not, use ended.
//!
//! **Invariant:** a figure is given only where something seen separates use from sight.
//! Where controls are absent, where the product's visibility parts from theirs, where
//! priors or the form of the hazard decide, the answer is that it is not identified, and
//! which rule says so.

mod chain;
mod correct;
mod entry;
mod evidence;
mod fit;
mod lack;
mod lanes;
mod layout;
mod likelihood;
mod rates;
mod survival;
mod visibility;

use tidegauge_model::estimate::Identification;
use tidegauge_model::{Day, DayRange, OrgId};

use crate::{Active, Stratify};

pub(crate) use correct::on_logits_by;
pub use correct::removal_corrected;
pub use tidegauge_model::visibility::{
    Alarm, Share, SurvivalCurve, SurvivalWeek, VisibilityWeek,
};

/// The dates of an act; the hazard of removal may differ before, between and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ActDates {
    /// When it was made public.
    pub announced: Option<Day>,
    /// When it began to hold.
    pub effective: Option<Day>,
}

/// How the model is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Who is in the baseline cohort.
    pub active: Active,
    /// Classes of organisations by how often the product is seen if used: 1 to 7.
    /// Too few, and those hardly seen are taken for gone.
    pub classes: usize,
    /// Strata with a hazard of removal of their own, where they are large enough.
    pub hazards: Stratify,
    /// Chance per week that an organisation which does not use the product is seen all the
    /// same, on one day: scanners, visitors, mistakes. [`crate::noise::lone_rate`] measures
    /// it on organisations outside the cohort; 0 takes every sighting for use.
    pub noise: f64,
    /// Replicates of the lack-of-fit test; 0 leaves it out. 99 give p-values to .01.
    pub replicates: u32,
    /// Seed of the lack-of-fit test's random numbers.
    pub seed: u64,
    /// Whether survival curves are drawn: each week is asked as the window after is.
    pub survival: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            active: Active { days_min: 2 },
            classes: 5,
            hazards: Stratify::Country,
            noise: 0.0,
            replicates: 99,
            seed: 2024,
            survival: false,
        }
    }
}

/// A vantage on which half of the organisations are seen by mistake each week tells nothing.
pub(crate) const NOISE_MAX: f64 = 0.5;

/// Why no model was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The panel has no days.
    #[error("the panel has no days")]
    NoPanel,
    /// A window lies outside the panel.
    #[error("the windows span {windows}, the panel has {panel}")]
    Outside {
        /// From the first day before to the last day after.
        windows: DayRange,
        /// The panel's days.
        panel: DayRange,
    },
    /// Too few weeks for a curve.
    #[error("{weeks} weeks from window to window; at least {least} are needed")]
    FewWeeks {
        /// Weeks there are.
        weeks: usize,
        /// Weeks needed.
        least: usize,
    },
    /// Too few organisations in the baseline cohort.
    #[error(
        "{organisations} organisations were active in the window before; at least {least} \
         are needed to model detection"
    )]
    FewOrganisations {
        /// Organisations in the cohort.
        organisations: usize,
        /// Organisations needed.
        least: usize,
    },
    /// A chance of noise that is none.
    #[error(
        "the chance of noise in a week must be at least 0 and less than {NOISE_MAX}"
    )]
    Noise,
    /// Classes outside 1 to 7.
    #[error("{classes} classes of detection; 1 to {most} can be fitted")]
    Classes {
        /// Classes asked for.
        classes: usize,
        /// Most there may be.
        most: usize,
    },
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Corrected {
    /// Removal, by stratum: in the order of the ways to stratify asked for, then of names.
    pub strata: Vec<StratumRemoval>,
    /// Survival curves of the whole and of the strata that have a hazard of their own, where
    /// removal is identified; empty unless they were asked for.
    pub survival: Vec<SurvivalCurve>,
    /// The chance to be seen, by vantage and week.
    pub visibility: Vec<VisibilityWeek>,
    /// The chance that each organisation of the cohort still uses the product.
    pub still_using: Vec<StillUsing>,
    /// What is remarkable about visibility.
    pub alarms: Vec<Alarm>,
    /// Whether the model describes the histories; `None` if it was not asked or the model
    /// was not fitted.
    pub lack_of_fit: Option<LackOfFit>,
    /// The model in words.
    pub method: String,
}

/// Removal in one stratum: the share of the baseline cohort that used the product in no
/// week of the window after.
#[derive(Clone, Debug, PartialEq)]
pub struct StratumRemoval {
    /// Pairs of dimension and value; empty for all.
    pub stratum: Vec<(String, String)>,
    /// Organisations active in the window before.
    pub n_baseline: u64,
    /// The share and its interval; `None` where it is not identified.
    pub removal: Option<Share>,
    /// The share with an interval for organisations like these: as if families had been
    /// drawn within the cohort's population. `removal` is about this very cohort.
    pub sampled: Option<Share>,
    /// The parts that the intervals are made of; `None` where there is none.
    pub errors: Option<Errors>,
    /// The share if the odds of use were a third of, or three times, what the fitted
    /// hazards say: how much rests on them. `None` if the model was not fitted.
    pub range_by_hazard: Option<(f64, f64)>,
    /// Whether the data can tell; if not, which rule says so.
    pub identified: Identification,
}

/// Standard errors of a removal by where they come from, as shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Errors {
    /// Not knowing detection, visibility and hazards.
    pub model: f64,
    /// Not having seen what each organisation did, model known.
    pub unseen: f64,
    /// Which families there are, and the model with it (score bootstrap, to first order).
    pub families: f64,
    /// Not knowing on which day of a week use ended: weeks are all that the model knows of.
    pub within_week: f64,
    /// The factor that lack of fit put on the first three, at least 1; 1 where the test
    /// was left out. It grows with the stratum: the same misfit matters more where
    /// sampling error is small.
    pub inflation: f64,
}

/// How likely an organisation still uses the product.
#[derive(Clone, Debug, PartialEq)]
pub struct StillUsing {
    /// Which organisation.
    pub organisation: OrgId,
    /// Chance that it used the product in a week of the window after, given all that was
    /// seen: 1 if it was seen then. Without identification this is not to be shown.
    pub probability: f64,
}

impl StillUsing {
    /// The chance in a word (methods, 1): unlikely below .1, likely above .9.
    pub fn word(&self) -> &'static str {
        if self.probability < 0.1 {
            "unlikely"
        } else if self.probability > 0.9 {
            "likely"
        } else {
            "unclear"
        }
    }
}

/// Whether histories drawn from the fitted model look like those that were seen: the
/// parametric bootstrap of Pearson's statistic over pooled histories (`MacKenzie` and
/// Bailey 2004).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LackOfFit {
    /// Pearson's statistic relative to its mean over replicates: 1 if the model fits.
    pub overdispersion: f64,
    /// Share of replicates with a statistic as large.
    pub p: f64,
    /// Replicates drawn.
    pub replicates: u32,
    /// Organisations that were compared.
    pub organisations: usize,
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod trials;

//! Figures of one act, of what was found about it: for its page, for files and for the report.
//!
//! * [`survival`]: how many go on, week by week;
//! * `flows`: what those were seen with after who had the product before;
//! * `choices`: cohort removal under every set of choices.
//!
//! **Invariant:** a figure that may not be told is not there; nothing stands in its place but
//! the rule that the page names.

mod choices;
mod flows;
pub(crate) mod survival;

use tidegauge_model::policy::Timeline;
use tidegauge_model::{Country, DayRange};

use crate::assessment::Assessment;
use crate::figure::Figure;

/// What the figures say of the act beside what was found.
pub(crate) struct About {
    /// The product's name.
    pub(crate) product: String,
    /// The country that the act is of.
    pub(crate) country: Country,
    /// The window before.
    pub(crate) before: DayRange,
    /// The window after.
    pub(crate) after: DayRange,
    /// Acts and events about the product, whose dates are drawn.
    pub(crate) timeline: Timeline,
}

/// All that may be told, in the order of the page.
pub(crate) fn figures(found: &Assessment, about: &About) -> Vec<Figure> {
    let figures = [
        survival::figure(&found.survival, about),
        flows::figure(found, &about.product),
        choices::figure(&found.choices, about),
    ];
    figures.into_iter().flatten().collect()
}

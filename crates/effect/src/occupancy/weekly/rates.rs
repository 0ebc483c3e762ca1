//! What parameters mean: chances by week, vantage and class, and how they move.
//!
//! A day on which use is visible shows it with `1 − exp(−λ)`, where the logarithm of λ
//! (contacts seen a day) is the sum of the class's intensity, the vantage's visibility
//! in that week, and a weekend term: thinning moves λ by a factor, whatever its size
//! (methods, 3.1). Controls have intensities of their own and the same visibility; the
//! product's may part from it by blocks of weeks.
//!
//! **Invariant:** no chance is 0 or 1 by rounding; all are finite for every list of
//! parameters.

use super::evidence::{Evidence, PATTERNS, Pattern, Unit, View, pattern_days};
use super::layout::Layout;
use crate::occupancy::optimum::logistic;

/// Logarithms of intensities are kept between these: one contact in 10^10 days, 33 a day.
const LOG_INTENSITY: (f64, f64) = (-23.0, 3.5);
/// Logits are kept within this of 0.
const LOGIT_MAX: f64 = 30.0;

/// Chances of the two ways of a state with yes and no: to lose it, to get it back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Turn {
    pub(crate) down: f64,
    pub(crate) up: f64,
}

/// Contacts seen a day on weekdays and on weekend days.
pub(crate) type Intensity = [f64; 2];

/// What is seen of the product, or of controls.
pub(crate) struct Detection {
    /// By vantage, week, class.
    pub(crate) intensity: Vec<Intensity>,
    /// Chance of a pattern, by vantage, week, pattern, class: classes are asked together.
    chance: Vec<f64>,
    /// Its logarithm.
    log: Vec<f64>,
    classes: usize,
    weeks: usize,
}

impl Detection {
    fn row(&self, vantage: usize, week: usize, pattern: Pattern) -> usize {
        ((vantage * self.weeks + week) * PATTERNS + usize::from(pattern)) * self.classes
    }

    /// The chance of a pattern for each class.
    pub(crate) fn chances(
        &self,
        vantage: usize,
        week: usize,
        pattern: Pattern,
    ) -> &[f64] {
        let row = self.row(vantage, week, pattern);
        &self.chance[row..row + self.classes]
    }

    /// Its logarithm for each class.
    pub(crate) fn logs(&self, vantage: usize, week: usize, pattern: Pattern) -> &[f64] {
        let row = self.row(vantage, week, pattern);
        &self.log[row..row + self.classes]
    }
}

/// The chances for one list of parameters.
pub(crate) struct Rates {
    /// By class of the product, class of controls.
    pub(crate) weights: Vec<f64>,
    pub(crate) product: Detection,
    pub(crate) control: Detection,
    /// By group, period.
    pub(crate) using: Vec<Turn>,
    /// By vantage, period.
    pub(crate) sight: Vec<Turn>,
    /// Chance of going dark at all vantages at once, by period.
    pub(crate) blackout: Vec<f64>,
}

impl Rates {
    /// The chances that `at` stands for.
    pub(crate) fn new(layout: &Layout, evidence: &Evidence, at: &[f64]) -> Self {
        let chance = |x: f64| logistic(x.clamp(-LOGIT_MAX, LOGIT_MAX));
        let of = |place: Option<usize>| place.map_or(0.0, |p| at[p]);
        let using = (0..layout.groups).flat_map(|g| {
            (0..layout.periods).map(move |r| Turn {
                down: chance(at[layout.removal(r)] + of(layout.departure(g, r))),
                up: chance(at[layout.back()]),
            })
        });
        let sight = (0..layout.vantages).flat_map(|v| {
            (0..layout.periods).map(move |r| {
                if layout.controlled[v] {
                    let down = chance(at[layout.dark(v, r)]);
                    Turn { down, up: chance(at[layout.relight(v)]) }
                } else {
                    Turn::default()
                }
            })
        });
        let blackout = (0..layout.periods)
            .map(|r| layout.blackout(r).map_or(0.0, |place| chance(at[place])));
        let [product, control] = intensities(layout, evidence, at);
        Self {
            weights: weights(layout, at),
            product: detection(product, layout.products, layout.weeks),
            control: detection(control, layout.controls, layout.weeks),
            using: using.collect(),
            sight: sight.collect(),
            blackout: blackout.collect(),
        }
    }

    /// The chance that all views of a unit go dark at once; `None` where there is one alone,
    /// or one without a sight state.
    pub(crate) fn blackout_of(
        &self,
        layout: &Layout,
        unit: &Unit,
        period: usize,
    ) -> Option<f64> {
        let lit = |view: &View| layout.controlled[view.vantage];
        (unit.views.len() > 1 && unit.views.iter().all(lit))
            .then(|| self.blackout[period])
    }
}

fn intensities(
    layout: &Layout,
    evidence: &Evidence,
    at: &[f64],
) -> [Vec<Intensity>; 2] {
    let of = |place: Option<usize>| place.map_or(0.0, |p| at[p]);
    let of_log = |log: f64| log.clamp(LOG_INTENSITY.0, LOG_INTENSITY.1).exp();
    let [product_weekend, control_weekend] = layout.weekend().map(|p| at[p]);
    let (mut product, mut control) = (Vec::new(), Vec::new());
    for v in 0..layout.vantages {
        for week in 0..layout.weeks {
            let curve = of(layout.curve(v, week));
            let parting = of(layout.parting(v, evidence.block[week]));
            for class in 0..layout.products {
                let log = curve + parting + at[layout.product(v, class)];
                product.push([of_log(log), of_log(log + product_weekend)]);
            }
            for class in 0..layout.controls {
                let log = curve + at[layout.control(v, class)];
                control.push([of_log(log), of_log(log + control_weekend)]);
            }
        }
    }
    [product, control]
}

impl Layout {
    /// The index of a vantage, week and class of the product.
    pub(crate) fn product_cell(
        &self,
        vantage: usize,
        week: usize,
        class: usize,
    ) -> usize {
        (vantage * self.weeks + week) * self.products + class
    }

    /// The index of a vantage, week and class of controls.
    pub(crate) fn control_cell(
        &self,
        vantage: usize,
        week: usize,
        class: usize,
    ) -> usize {
        (vantage * self.weeks + week) * self.controls + class
    }
}

fn weights(layout: &Layout, at: &[f64]) -> Vec<f64> {
    let of = |place: Option<usize>| place.map_or(0.0, |p| at[p]);
    let logits: Vec<f64> = (0..layout.products)
        .flat_map(|p| {
            (0..layout.controls).map(move |c| {
                of(layout.product_class(p))
                    + of(layout.control_class(c))
                    + at[layout.together()] * layout.pair(p, c)
            })
        })
        .collect();
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|x| (x - top).exp()).sum();
    logits.iter().map(|x| (x - top).exp() / sum).collect()
}

fn detection(intensity: Vec<Intensity>, classes: usize, weeks: usize) -> Detection {
    let days = pattern_days();
    let mut chance = vec![0.0; intensity.len() * PATTERNS];
    let mut log = chance.clone();
    for (place, pair) in intensity.iter().enumerate() {
        let powers = pair.map(|lambda| {
            let (seen, missed) = (-(-lambda).exp_m1(), (-lambda).exp());
            let mut powers = [[1.0; 2]; 6];
            for n in 1..6 {
                powers[n] = [powers[n - 1][0] * seen, powers[n - 1][1] * missed];
            }
            powers
        });
        let logs = pair.map(|lambda| [(-(-lambda).exp_m1()).ln(), -lambda]);
        let (week, class) = (place / classes, place % classes);
        for (pattern, days) in days.iter().enumerate() {
            let at = (week * PATTERNS + pattern) * classes + class;
            let [seen, missed, others, missed_others] = days.map(usize::from);
            chance[at] = powers[0][seen][0]
                * powers[0][missed][1]
                * powers[1][others][0]
                * powers[1][missed_others][1];
            let days = days.map(f64::from);
            log[at] = days[0] * logs[0][0]
                + days[1] * logs[0][1]
                + days[2] * logs[1][0]
                + days[3] * logs[1][1];
        }
    }
    Detection { intensity, chance, log, classes, weeks }
}

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

use super::evidence::{Evidence, PATTERNS, pattern_days};
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

/// Contacts a day of the product on weekdays and weekends, and of controls.
pub(crate) type Intensity = [f64; 4];

/// The chances for one list of parameters.
pub(crate) struct Rates {
    pub(crate) weights: Vec<f64>,
    /// By vantage, week, class.
    pub(crate) intensity: Vec<Intensity>,
    /// Chance of each pattern of the product, by vantage, week, class.
    pub(crate) product: Vec<[f64; PATTERNS]>,
    /// Chance of each pattern of controls.
    pub(crate) control: Vec<[f64; PATTERNS]>,
    /// By group, period.
    pub(crate) using: Vec<Turn>,
    /// By vantage, period.
    pub(crate) sight: Vec<Turn>,
}

impl Rates {
    /// The chances that `at` stands for.
    pub(crate) fn new(layout: &Layout, evidence: &Evidence, at: &[f64]) -> Self {
        let chance = |x: f64| logistic(x.clamp(-LOGIT_MAX, LOGIT_MAX));
        let mut intensity = Vec::with_capacity(layout.cells());
        for v in 0..layout.vantages {
            for week in 0..layout.weeks {
                let of = |place: Option<usize>| place.map_or(0.0, |p| at[p]);
                let curve = of(layout.curve(v, week));
                let parting = of(layout.parting(v, evidence.block[week]));
                let [product_weekend, control_weekend] =
                    layout.weekend().map(|p| at[p]);
                for class in 0..layout.classes {
                    let product = curve + parting + at[layout.product(v, class)];
                    let control = curve + at[layout.control(v, class)];
                    let logs = [
                        product,
                        product + product_weekend,
                        control,
                        control + control_weekend,
                    ];
                    intensity.push(
                        logs.map(|x| x.clamp(LOG_INTENSITY.0, LOG_INTENSITY.1).exp()),
                    );
                }
            }
        }
        let using = (0..layout.groups).flat_map(|g| {
            (0..layout.periods).map(move |r| {
                let departure = layout.departure(g, r).map_or(0.0, |p| at[p]);
                Turn {
                    down: chance(at[layout.removal(r)] + departure),
                    up: chance(at[layout.back()]),
                }
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
        Self {
            weights: weights(layout, at),
            product: tables(intensity.iter().map(|i| [i[0], i[1]])),
            control: tables(intensity.iter().map(|i| [i[2], i[3]])),
            using: using.collect(),
            sight: sight.collect(),
            intensity,
        }
    }
}

impl Layout {
    /// How many triples of vantage, week and class there are.
    pub(crate) fn cells(&self) -> usize {
        self.vantages * self.weeks * self.classes
    }

    /// The index of a triple.
    pub(crate) fn cell(&self, vantage: usize, week: usize, class: usize) -> usize {
        (vantage * self.weeks + week) * self.classes + class
    }
}

fn weights(layout: &Layout, at: &[f64]) -> Vec<f64> {
    let logits: Vec<f64> = (0..layout.classes)
        .map(|k| layout.class(k).map_or(0.0, |p| at[p]).clamp(-LOGIT_MAX, LOGIT_MAX))
        .collect();
    let sum: f64 = logits.iter().map(|x| x.exp()).sum();
    logits.iter().map(|x| x.exp() / sum).collect()
}

/// Chance of each pattern, for pairs of weekday and weekend intensity.
fn tables(pairs: impl Iterator<Item = [f64; 2]>) -> Vec<[f64; PATTERNS]> {
    let days = pattern_days();
    pairs
        .map(|pair| {
            let powers = pair.map(|lambda| {
                let (seen, missed) = (-(-lambda).exp_m1(), (-lambda).exp());
                let mut powers = [[1.0; 2]; 6];
                for n in 1..6 {
                    powers[n] = [powers[n - 1][0] * seen, powers[n - 1][1] * missed];
                }
                powers
            });
            let mut table = [0.0; PATTERNS];
            for (chance, days) in table.iter_mut().zip(&days) {
                let [seen, missed, others, missed_others] = days.map(usize::from);
                *chance = powers[0][seen][0]
                    * powers[0][missed][1]
                    * powers[1][others][0]
                    * powers[1][missed_others][1];
            }
            table
        })
        .collect()
}

/// Derivative of the logarithm of a chance by that of λ, for a day seen. For a day missed
/// it is minus λ.
pub(crate) fn slope_seen(lambda: f64) -> f64 {
    lambda / lambda.exp_m1()
}

//! The parameters of the weekly model, their places in one list, and their weak priors.
//!
//! **Invariant:** every prior is normal, so that its curvature is constant and can be
//! taken out again: a figure that moves when the priors are weakened rests on them, and
//! is refused ([`super::correct`]).

use nalgebra::DMatrix;

use super::evidence::Evidence;

/// Standard deviation of the visibility curve's step from week to week, in logarithms of
/// contacts per day: a change of the sampling rate by four is 1.4.
const CURVE_STEP: f64 = 0.7;
/// The same of the product's parting from the controls between blocks.
const PARTING_STEP: f64 = 0.5;
/// Mean and deviation of classes' logarithms of contacts seen per day.
const INTENSITY: (f64, f64) = (-1.5, 2.5);
/// The same of weekend days relative to weekdays.
const WEEKEND: (f64, f64) = (-0.5, 1.0);
/// The same of logits of class weights relative to the first.
const CLASS: (f64, f64) = (0.0, 1.5);
/// The same of how the two kinds of class go together.
const TOGETHER: (f64, f64) = (0.0, 1.0);
/// Classes by how often controls are seen. Controls only tell sight from darkness and
/// carry the curve; three are enough for that.
const CONTROL_CLASSES: usize = 3;
/// The same of logits of removal in a week.
const REMOVAL: (f64, f64) = (-4.0, 2.0);
/// The same of a group's departure from all.
const GROUP: (f64, f64) = (0.0, 0.75);
/// The same of logits of return in a week.
const RETURN: (f64, f64) = (-6.0, 1.5);
/// The same of going dark in a week.
const DARK: (f64, f64) = (-5.5, 2.0);
/// The same of becoming visible again in a week.
const RELIGHT: (f64, f64) = (-3.5, 1.5);

/// Where each parameter stands.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// Classes by how often the product is seen.
    pub(crate) products: usize,
    /// Classes by how often controls are seen.
    pub(crate) controls: usize,
    pub(crate) weeks: usize,
    pub(crate) vantages: usize,
    pub(crate) groups: usize,
    pub(crate) periods: usize,
    pub(crate) blocks: usize,
    pub(crate) controlled: Vec<bool>,
    /// Where each vantage's visibility begins, and its parting; none where it has none.
    curves: Vec<Option<usize>>,
    partings: Vec<Option<usize>>,
    product: usize,
    control: usize,
    weekend: usize,
    product_class: usize,
    control_class: usize,
    together: usize,
    removal: usize,
    departure: usize,
    back: usize,
    dark: usize,
    /// Where going dark at all vantages at once begins; none where one alone has a sight
    /// state.
    blackout: Option<usize>,
    relight: usize,
    /// How many parameters there are.
    pub(crate) count: usize,
}

impl Layout {
    /// The places for `evidence` with so many classes of the product's detection.
    pub(crate) fn new(evidence: &Evidence, products: usize) -> Self {
        let (v, t, g, r) = (
            evidence.vantages.len(),
            evidence.weeks,
            evidence.groups,
            evidence.periods,
        );
        let controls =
            if evidence.controlled.contains(&true) { CONTROL_CLASSES } else { 1 };
        let mut next = 0;
        let mut take = |count: usize| {
            let place = next;
            next += count;
            place
        };
        let curves: Vec<Option<usize>> =
            evidence.curved.iter().map(|curved| curved.then(|| take(t - 1))).collect();
        let product = take(v * products);
        let control = take(v * controls);
        let parts = |v: usize| evidence.curved[v] && evidence.controlled[v];
        let partings: Vec<Option<usize>> =
            (0..v).map(|v| parts(v).then(|| take(evidence.blocks - 1))).collect();
        let weekend = take(2);
        let product_class = take(products - 1);
        let control_class = take(controls - 1);
        let together = take(1);
        let removal = take(r);
        let departure = take(if g > 1 { g * r } else { 0 });
        let back = take(1);
        let dark = take(v * r);
        let lit = evidence.controlled.iter().filter(|controlled| **controlled).count();
        let blackout = (lit > 1).then(|| take(r));
        let relight = take(v);
        Self {
            products,
            controls,
            weeks: t,
            vantages: v,
            groups: g,
            periods: r,
            blocks: evidence.blocks,
            controlled: evidence.controlled.clone(),
            curves,
            partings,
            product,
            control,
            weekend,
            product_class,
            control_class,
            together,
            removal,
            departure,
            back,
            dark,
            blackout,
            relight,
            count: next,
        }
    }

    /// Visibility of a week relative to the first, which has no parameter; nor has a vantage
    /// that sees few.
    pub(crate) fn curve(&self, vantage: usize, week: usize) -> Option<usize> {
        Some(self.curves[vantage]? + week.checked_sub(1)?)
    }

    /// The product's intensity for a class at a vantage.
    pub(crate) fn product(&self, vantage: usize, class: usize) -> usize {
        self.product + vantage * self.products + class
    }

    /// The controls' intensity for a class at a vantage.
    pub(crate) fn control(&self, vantage: usize, class: usize) -> usize {
        self.control + vantage * self.controls + class
    }

    /// How the product's visibility parts from the controls' in a block. The first block
    /// has no parameter; nor has a vantage without controls, whose curve is the product's.
    pub(crate) fn parting(&self, vantage: usize, block: usize) -> Option<usize> {
        Some(self.partings[vantage]? + block.checked_sub(1)?)
    }

    /// Weekend days relative to weekdays: the product's, the controls'.
    pub(crate) fn weekend(&self) -> [usize; 2] {
        [self.weekend, self.weekend + 1]
    }

    /// Logit of the weight of a class of the product relative to the first.
    pub(crate) fn product_class(&self, class: usize) -> Option<usize> {
        Some(self.product_class + class.checked_sub(1)?)
    }

    /// Logit of the weight of a class of controls relative to the first.
    pub(crate) fn control_class(&self, class: usize) -> Option<usize> {
        Some(self.control_class + class.checked_sub(1)?)
    }

    /// How high classes of the one go with high classes of the other.
    pub(crate) fn together(&self) -> usize {
        self.together
    }

    /// What [`Self::together`] is multiplied by for a pair of classes.
    pub(crate) fn pair(&self, product: usize, control: usize) -> f64 {
        let centred = |class: usize, of: usize| {
            let number = |n: usize| f64::from(u8::try_from(n).unwrap_or(u8::MAX));
            number(class) - number(of - 1) / 2.0
        };
        centred(product, self.products) * centred(control, self.controls)
    }

    /// Logit of removal in a period.
    pub(crate) fn removal(&self, period: usize) -> usize {
        self.removal + period
    }

    /// A group's departure from it, if there are groups.
    pub(crate) fn departure(&self, group: usize, period: usize) -> Option<usize> {
        (self.groups > 1).then_some(self.departure + self.use_cell(group, period))
    }

    /// The group whose departure a parameter is.
    pub(crate) fn group_of(&self, place: usize) -> Option<usize> {
        let last = self.departure + self.groups * self.periods;
        (self.groups > 1 && (self.departure..last).contains(&place))
            .then(|| (place - self.departure) / self.periods)
    }

    /// The index of a group's use in a period.
    pub(crate) fn use_cell(&self, group: usize, period: usize) -> usize {
        group * self.periods + period
    }

    /// The index of a vantage's sight in a period.
    pub(crate) fn sight_cell(&self, vantage: usize, period: usize) -> usize {
        vantage * self.periods + period
    }

    /// Logit of return in a week.
    pub(crate) fn back(&self) -> usize {
        self.back
    }

    /// Logit of going dark at a vantage in a period.
    pub(crate) fn dark(&self, vantage: usize, period: usize) -> usize {
        self.dark + vantage * self.periods + period
    }

    /// Logit of going dark at all vantages at once: one partner may be behind several.
    pub(crate) fn blackout(&self, period: usize) -> Option<usize> {
        Some(self.blackout? + period)
    }

    /// Logit of becoming visible again at a vantage.
    pub(crate) fn relight(&self, vantage: usize) -> usize {
        self.relight + vantage
    }

    /// Whether a parameter is of visibility over time: the curve or the parting.
    pub(crate) fn is_curve(&self, place: usize) -> bool {
        // Curves come first, partings between intensities and weekends.
        let partings = self.control + self.vantages * self.controls..self.weekend;
        place < self.product || partings.contains(&place)
    }

    /// Adds minus the logarithm of the prior and its gradient.
    pub(crate) fn add_prior(&self, at: &[f64], value: &mut f64, gradient: &mut [f64]) {
        let mut add =
            |up: Option<usize>, down: Option<usize>, (mean, sd): (f64, f64)| {
                let of = |place: Option<usize>| place.map_or(0.0, |p| at[p]);
                let distance = (of(up) - of(down) - mean) / sd;
                *value += 0.5 * distance * distance;
                if let Some(place) = up {
                    gradient[place] += distance / sd;
                }
                if let Some(place) = down {
                    gradient[place] -= distance / sd;
                }
            };
        for v in 0..self.vantages {
            for week in 1..self.weeks {
                let step = (0.0, CURVE_STEP);
                add(self.curve(v, week), self.curve(v, week - 1), step);
            }
            for class in 0..self.products {
                add(Some(self.product(v, class)), None, INTENSITY);
            }
            for class in 0..self.controls {
                add(Some(self.control(v, class)), None, INTENSITY);
            }
            for block in 1..self.blocks {
                let step = (0.0, PARTING_STEP);
                add(self.parting(v, block), self.parting(v, block - 1), step);
            }
            for period in 0..self.periods {
                add(Some(self.dark(v, period)), None, DARK);
            }
            add(Some(self.relight(v)), None, RELIGHT);
        }
        for place in self.weekend() {
            add(Some(place), None, WEEKEND);
        }
        for class in 1..self.products {
            add(self.product_class(class), None, CLASS);
        }
        for class in 1..self.controls {
            add(self.control_class(class), None, CLASS);
        }
        add(Some(self.together), None, TOGETHER);
        for period in 0..self.periods {
            if let Some(place) = self.blackout(period) {
                add(Some(place), None, DARK);
            }
            add(Some(self.removal(period)), None, REMOVAL);
            for group in 0..self.groups {
                if let Some(place) = self.departure(group, period) {
                    add(Some(place), None, GROUP);
                }
            }
        }
        add(Some(self.back), None, RETURN);
    }

    /// Second derivatives of minus the logarithm of the prior.
    pub(crate) fn prior_curvature(&self) -> DMatrix<f64> {
        let slope = |at: &[f64]| {
            let (mut value, mut gradient) = (0.0, vec![0.0; self.count]);
            self.add_prior(at, &mut value, &mut gradient);
            gradient
        };
        let mut at = vec![0.0; self.count];
        let base = slope(&at);
        let mut matrix = DMatrix::zeros(self.count, self.count);
        for j in 0..self.count {
            at[j] = 1.0;
            for (i, (moved, base)) in slope(&at).iter().zip(&base).enumerate() {
                matrix[(i, j)] = moved - base;
            }
            at[j] = 0.0;
        }
        matrix
    }

    /// A place to start from: intensities by class as given, everything else usual.
    pub(crate) fn start(&self, product: &[Vec<f64>], control: &[Vec<f64>]) -> Vec<f64> {
        let mut at = vec![0.0; self.count];
        for v in 0..self.vantages {
            for class in 0..self.products {
                at[self.product(v, class)] = product[v][class];
            }
            for class in 0..self.controls {
                at[self.control(v, class)] = control[v][class];
            }
            for period in 0..self.periods {
                at[self.dark(v, period)] = DARK.0;
            }
            at[self.relight(v)] = RELIGHT.0;
        }
        for place in self.weekend() {
            at[place] = WEEKEND.0;
        }
        for period in 0..self.periods {
            at[self.removal(period)] = REMOVAL.0;
            if let Some(place) = self.blackout(period) {
                at[place] = DARK.0;
            }
        }
        at[self.back] = RETURN.0;
        at
    }
}

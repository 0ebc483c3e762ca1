//! Fitting the weekly model: where to start, the search, and what is uncertain.
//!
//! **Invariant:** the covariance is the larger, figure by figure, of the inverse observed
//! information and the sandwich over families: the first trusts the model, the second
//! that there are many families.

use nalgebra::{DMatrix, DVector};

use super::evidence::{Evidence, pattern_days};
use super::layout::Layout;
use super::likelihood::Likelihood;
use crate::occupancy::optimum::{Minimum, Objective, approach, minimise, settle};

/// A fitted model.
pub(crate) struct Fit {
    pub(crate) layout: Layout,
    pub(crate) minimum: Minimum,
    /// Inverse information, sandwich over families: `None` if the information cannot be
    /// inverted.
    covariances: Option<[DMatrix<f64>; 2]>,
    /// Scores by family, a row each.
    scores: DMatrix<f64>,
    /// The inverse information with priors half as strong in deviation.
    weaker: Option<DMatrix<f64>>,
    /// The inverse information with the visibility curve known; zero in its places.
    known_curve: Option<DMatrix<f64>>,
}

/// Above so many organisations, samples of them are searched first: most steps are then
/// cheap. The top is that of all in either case; its curvature is then a sample's.
const WHOLE_MAX: usize = 6_000;
/// Organisations of the sample that is searched from the beginning, and of the one that is
/// searched from where that ended. The curvature at the top of the second stands for that
/// of all: it is known to a few per cent, a standard error to half as many.
const SAMPLES: [usize; 2] = [3_000, WHOLE_MAX];

/// Distance to the top, in standard errors, that is accepted as none where the curvature is
/// a sample's, so that the last steps are not as exact as others.
const NEAR: f64 = 0.02;

/// The top of the likelihood of `evidence`, and the scale of its coordinates.
fn search(
    layout: &Layout,
    evidence: &Evidence,
    prior: &DMatrix<f64>,
) -> (Minimum, Vec<f64>) {
    let likelihood = Likelihood { layout, evidence };
    let [product, control] = starts(evidence, [layout.products, layout.controls]);
    let start = layout.start(&product, &control);
    let scores = likelihood.family_scores(&start);
    let spread = scores.column_iter().map(|of| of.norm_squared());
    let scale: Vec<f64> = spread
        .zip(prior.diagonal().iter())
        .map(|(s, prior)| (s + prior) / likelihood.weight())
        .collect();
    (minimise(&likelihood, &start, &scale), scale)
}

/// The same where organisations are many.
fn by_samples(likelihood: &Likelihood<'_>, prior: &DMatrix<f64>) -> Minimum {
    let Likelihood { layout, evidence } = *likelihood;
    let [first, second] = SAMPLES.map(|size| evidence.sample(size));
    let (near, scale) = search(layout, &first, prior);
    let second = Likelihood { layout, evidence: &second };
    let at = approach(&second, &near.at, &near.curvature);
    let curvature = second.curvature(&at);
    let nearer = settle(&second, at, curvature, &scale);
    let at = approach(likelihood, &nearer.at, &nearer.curvature);
    let found = settle(likelihood, at, nearer.curvature, &scale);
    let converged = found.converged || found.left.is_some_and(|left| left < NEAR);
    Minimum { converged, ..found }
}

impl Fit {
    /// Fits `evidence` with so many classes of detection.
    pub(crate) fn new(evidence: &Evidence, classes: usize) -> Self {
        let layout = Layout::new(evidence, classes);
        let likelihood = Likelihood { layout: &layout, evidence };
        let prior = layout.prior_curvature();
        let minimum = if evidence.units.len() > WHOLE_MAX {
            by_samples(&likelihood, &prior)
        } else {
            search(&layout, evidence, &prior).0
        };
        let scores = likelihood.family_scores(&minimum.at);
        let covariances = minimum.covariance.as_ref().map(|inverse| {
            let moved = &scores * inverse;
            [inverse.clone(), moved.tr_mul(&moved)]
        });
        let weaker = (&minimum.curvature - &prior * 0.75)
            .cholesky()
            .map(|factor| factor.inverse());
        let known_curve = without_curve(&layout, &minimum.curvature);
        Self { layout, minimum, covariances, scores, weaker, known_curve }
    }

    /// The variance of a figure with this gradient.
    pub(crate) fn variance(&self, gradient: &[f64]) -> Option<f64> {
        let [model, sandwich] = self.covariances.as_ref()?;
        Some(quadratic(model, gradient).max(quadratic(sandwich, gradient)))
    }

    /// What each family moves a figure with this gradient by, to first order: a step of
    /// Newton's from the fit, were its members counted once more.
    pub(crate) fn moves(&self, gradient: &[f64]) -> Option<Vec<f64>> {
        let [model, _] = self.covariances.as_ref()?;
        let along = model * DVector::from_column_slice(gradient);
        Some((&self.scores * along).as_slice().to_vec())
    }

    /// How much larger the standard error is with weaker priors: 1 if they do not matter.
    pub(crate) fn prior_ratio(&self, gradient: &[f64]) -> Option<f64> {
        let [model, _] = self.covariances.as_ref()?;
        let weaker = quadratic(self.weaker.as_ref()?, gradient);
        Some((weaker / quadratic(model, gradient).max(f64::MIN_POSITIVE)).sqrt())
    }

    /// How much larger the standard error is for not knowing the visibility curve.
    pub(crate) fn curve_ratio(&self, gradient: &[f64]) -> Option<f64> {
        let [model, _] = self.covariances.as_ref()?;
        let known = quadratic(self.known_curve.as_ref()?, gradient);
        Some((quadratic(model, gradient) / known.max(f64::MIN_POSITIVE)).sqrt())
    }
}

fn quadratic(matrix: &DMatrix<f64>, gradient: &[f64]) -> f64 {
    let gradient = DVector::from_column_slice(gradient);
    (matrix * &gradient).dot(&gradient).max(0.0)
}

fn without_curve(layout: &Layout, curvature: &DMatrix<f64>) -> Option<DMatrix<f64>> {
    let mut known = curvature.clone();
    for place in (0..layout.count).filter(|p| layout.is_curve(*p)) {
        known.row_mut(place).fill(0.0);
        known.column_mut(place).fill(0.0);
        known[(place, place)] = 1.0;
    }
    let mut inverse = known.cholesky()?.inverse();
    for place in (0..layout.count).filter(|p| layout.is_curve(*p)) {
        inverse[(place, place)] = 0.0;
    }
    Some(inverse)
}

/// Logarithms of intensities to start from, by vantage and class: organisations sorted by
/// how often the product was seen in the window before, cut into equal parts.
fn starts(evidence: &Evidence, classes: [usize; 2]) -> [Vec<Vec<f64>>; 2] {
    let days = pattern_days();
    let mut product = Vec::new();
    let mut control = Vec::new();
    for vantage in 0..evidence.vantages.len() {
        let mut rates: Vec<[f64; 4]> = evidence
            .units
            .iter()
            .flat_map(|unit| &unit.views)
            .filter(|view| view.vantage == vantage)
            .map(|view| {
                let mut sums = [0.0; 4];
                for cell in &view.cells[..evidence.before] {
                    let [seen, missed, others, missed_others] =
                        days[usize::from(cell.product)].map(f64::from);
                    let controls = days[usize::from(cell.control)].map(f64::from);
                    sums[0] += seen + others;
                    sums[1] += seen + missed + others + missed_others;
                    if view.control {
                        sums[2] += controls[0] + controls[2];
                        sums[3] += controls.iter().sum::<f64>();
                    }
                }
                sums
            })
            .collect();
        for (kind, into) in [&mut product, &mut control].into_iter().enumerate() {
            let seen = |of: &[f64; 4]| of[2 * kind] / of[2 * kind + 1].max(1.0);
            rates.retain(|of| kind == 0 || of[3] > 0.0);
            rates.sort_by(|a, b| seen(a).total_cmp(&seen(b)));
            let mut logs = vec![-1.5; classes[kind]];
            let part = rates.len().div_ceil(classes[kind]).max(1);
            for (log, members) in logs.iter_mut().zip(rates.chunks(part)) {
                let sum =
                    |i: usize| members.iter().map(|m| m[2 * kind + i]).sum::<f64>();
                let share = (sum(0) + 0.5) / (sum(1) + 1.0);
                *log = (-(1.0 - share).max(1e-6).ln()).ln().clamp(-6.0, 2.0);
            }
            into.push(logs);
        }
    }
    [product, control]
}

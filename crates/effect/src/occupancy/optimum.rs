//! The least value of a smooth function of many numbers: L-BFGS, then Newton steps.
//!
//! **Invariant:** coordinates are scaled by their own curvature before the search, so
//! that one step is of one size in all of them; the curvature at the end is that of the
//! analytic gradient, by differences, symmetric, and in the caller's coordinates. What
//! does not end at a place with a small gradient says so.

use std::cell::{Cell, RefCell};

use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use nalgebra::{DMatrix, DVector};

/// Pairs of steps that L-BFGS remembers. 5 to 20 are usual (Nocedal and Wright 2006, 7.2),
/// but here an evaluation is dear and a pair is not: with 15, the weekly model of 22,000
/// organisations took 430 steps to where it came with 150 in 130.
const MEMORY: usize = 150;
/// Searches that need more than this stand on a ridge. Picked by hand, revisit.
const STEPS_MAX: u64 = 500;
/// Questions in a row of which none is answered by a lower value. A line search asks a few times
/// a step, but where rounding alone is left of a step it may ask for ever (argmin 0.11 sets it no
/// bound).
const IN_VAIN_MAX: u64 = 100;
/// Distance to the end, in standard errors, at which L-BFGS hands over to Newton.
const ROUGH: f64 = 0.005;
/// Change of the value in a step that is none.
const COST_SAME: f64 = 1e-7;
/// Norm of the scaled gradient, per unit of weight, that is accepted as none: where double
/// precision runs out depends on weight.
const GRADIENT_ACCEPTED: f64 = 1e-5;
/// Newton steps with the curvature kept; each gains two digits or more.
const NEWTON_STEPS: usize = 6;
/// Square of the distance to the end, in standard errors, at which steps stop.
const NEAR: f64 = 1e-18;

/// A function to be made least, with its gradient.
pub(crate) trait Objective {
    /// The value and its gradient at a place. Both are finite everywhere.
    fn evaluate(&self, at: &[f64]) -> (f64, Vec<f64>);

    /// How many observations the value sums over: its natural size.
    fn weight(&self) -> f64;

    /// Whether the curvature is too dear to be computed twice.
    fn once(&self) -> bool {
        false
    }

    /// The matrix of second derivatives: central differences of the gradient.
    fn curvature(&self, at: &[f64]) -> DMatrix<f64> {
        let mut matrix = DMatrix::zeros(at.len(), at.len());
        for j in 0..at.len() {
            let gradient = |by: f64| {
                let mut moved = at.to_vec();
                moved[j] += by;
                self.evaluate(&moved).1
            };
            let (above, below) = (gradient(DIFFERENCE), gradient(-DIFFERENCE));
            for (i, (above, below)) in above.iter().zip(&below).enumerate() {
                matrix[(i, j)] = (above - below) / (2.0 * DIFFERENCE);
            }
        }
        symmetric(&matrix)
    }
}

/// Step of central differences: their error is its square, and rounding over it.
const DIFFERENCE: f64 = 1e-5;

/// The mean of a matrix and its mirror image.
pub(crate) fn symmetric(matrix: &DMatrix<f64>) -> DMatrix<f64> {
    (matrix + matrix.transpose()) * 0.5
}

/// Where a function is least.
#[derive(Clone, Debug)]
pub(crate) struct Minimum {
    /// The place.
    pub(crate) at: Vec<f64>,
    /// The value there.
    pub(crate) value: f64,
    /// Second derivatives there.
    pub(crate) curvature: DMatrix<f64>,
    /// Their inverse: the covariance, if the function is minus a log-likelihood. `None`
    /// if the curvature is not positive definite.
    pub(crate) covariance: Option<DMatrix<f64>>,
    /// Whether the gradient is as small as it must be.
    pub(crate) converged: bool,
    /// How far the end is, in standard errors, by the gradient and the curvature.
    pub(crate) left: Option<f64>,
}

impl Minimum {
    /// Standard error of coordinate `i`, if there is a covariance.
    pub(crate) fn se(&self, i: usize) -> Option<f64> {
        self.covariance.as_ref().map(|v| v[(i, i)].max(0.0).sqrt())
    }
}

/// Searches from `start`. `scale` is about the curvature per unit of weight along each
/// coordinate; ones if nothing is known.
pub(crate) fn minimise(
    objective: &impl Objective,
    start: &[f64],
    scale: &[f64],
) -> Minimum {
    let roots = scale.iter().map(|s| s.max(SCALE_MIN).sqrt());
    let factor = DMatrix::from_diagonal(&DVector::from_iterator(scale.len(), roots));
    finish(objective, search(objective, start, &factor), scale)
}

/// Where a search begun elsewhere leads, from `start`, with about the curvature there:
/// steps are then of one size in every direction, not only along coordinates.
pub(crate) fn approach(
    objective: &impl Objective,
    start: &[f64],
    curvature: &DMatrix<f64>,
) -> Vec<f64> {
    match (curvature / objective.weight()).cholesky() {
        Some(factor) => search(objective, start, &factor.l()),
        None => start.to_vec(),
    }
}

/// Flatter coordinates than this, per unit of weight, are scaled as if they were not.
const SCALE_MIN: f64 = 1e-8;

fn finish(objective: &impl Objective, start: Vec<f64>, scale: &[f64]) -> Minimum {
    let curvature = objective.curvature(&start);
    let mut minimum = settle(objective, start, curvature, scale);
    for _ in 0..RESUMED_MAX {
        if minimum.converged && minimum.covariance.is_some() {
            break;
        }
        let curvature = convex(&minimum.curvature);
        let at = slide(objective, &minimum.at, &curvature);
        let at = approach(objective, &at, &curvature);
        let curvature = objective.curvature(&at);
        minimum = settle(objective, at, curvature, scale);
    }
    if !objective.once() {
        minimum.curvature = objective.curvature(&minimum.at);
        minimum.covariance = inverse(&minimum.curvature);
    }
    minimum
}

/// How often a search that stopped where the function is flat or bends down is begun again
/// there, with the curvature of the place.
const RESUMED_MAX: usize = 4;
/// How often a step down from a ridge is doubled.
const DOUBLED_MAX: usize = 20;
/// The least curvature that is taken as it is, as a share of the greatest.
const FLAT: f64 = 1e-10;

/// A curvature with its downward bends turned up: a search scaled by it leaves a ridge along
/// the direction in which it falls, as far as that bend says (Nocedal and Wright 2006, 3.4).
fn convex(curvature: &DMatrix<f64>) -> DMatrix<f64> {
    let mut of = curvature.clone().symmetric_eigen();
    let least = of.eigenvalues.amax() * FLAT;
    of.eigenvalues.apply(|value| *value = value.abs().max(least));
    symmetric(&of.recompose())
}

/// The last steps of a search, from `start`, with the curvature there, which is that of
/// the answer.
pub(crate) fn settle(
    objective: &impl Objective,
    start: Vec<f64>,
    curvature: DMatrix<f64>,
    scale: &[f64],
) -> Minimum {
    let mut walk = Walk::new(objective, start);
    let distance = walk.steps(&curvature);
    let Walk { at, value, gradient, .. } = walk;
    let scaled = gradient.iter().zip(scale).map(|(g, s)| g * g / s.max(SCALE_MIN));
    let norm = scaled.sum::<f64>().sqrt();
    let converged = norm / objective.weight() < GRADIENT_ACCEPTED;
    let left = distance.map(f64::sqrt);
    let covariance = inverse(&curvature);
    Minimum { at, value, curvature, covariance, converged, left }
}

fn inverse(curvature: &DMatrix<f64>) -> Option<DMatrix<f64>> {
    curvature.clone().cholesky().map(|factor| factor.inverse())
}

/// Down from a place, along Newton's direction, for as long as a step of twice the length
/// is better: off a ridge on which the gradient is too small to begin a search.
fn slide(
    objective: &impl Objective,
    start: &[f64],
    curvature: &DMatrix<f64>,
) -> Vec<f64> {
    let (value, gradient) = objective.evaluate(start);
    let Some(factor) = curvature.clone().cholesky() else { return start.to_vec() };
    let step = factor.solve(&DVector::from_vec(gradient));
    let place = |by: f64| -> Vec<f64> {
        start.iter().zip(step.iter()).map(|(x, s)| x - by * s).collect()
    };
    let (mut best, mut by) = ((value, start.to_vec()), 1.0);
    for _ in 0..DOUBLED_MAX {
        let at = place(by);
        let there = objective.evaluate(&at).0;
        if there.is_nan() || there >= best.0 {
            break;
        }
        best = (there, at);
        by *= 2.0;
    }
    best.1
}

/// Newton's steps with one curvature, as long as they help.
struct Walk<'a, O> {
    objective: &'a O,
    at: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

impl<'a, O: Objective> Walk<'a, O> {
    fn new(objective: &'a O, at: Vec<f64>) -> Self {
        let (value, gradient) = objective.evaluate(&at);
        Self { objective, at, value, gradient }
    }

    /// The square of the distance to the end, in standard errors, that is left; `None` if
    /// the curvature is not positive definite.
    fn steps(&mut self, curvature: &DMatrix<f64>) -> Option<f64> {
        let factor = curvature.clone().cholesky()?;
        let far = |gradient: &[f64]| {
            let gradient = DVector::from_column_slice(gradient);
            factor.solve(&gradient).dot(&gradient)
        };
        let mut distance = far(&self.gradient);
        for _ in 0..NEWTON_STEPS {
            let step = factor.solve(&DVector::from_column_slice(&self.gradient));
            let next: Vec<f64> =
                self.at.iter().zip(step.iter()).map(|(x, s)| x - s).collect();
            let (value, gradient) = self.objective.evaluate(&next);
            let there = far(&gradient);
            if there >= distance
                || value > self.value + 1e-9 * self.value.abs().max(1.0)
            {
                break;
            }
            (self.at, self.value, self.gradient) = (next, value, gradient);
            distance = there;
            if distance < NEAR {
                break;
            }
        }
        Some(distance)
    }
}

/// The objective per unit of weight, in coordinates in which its curvature is about one
/// in every direction: the place is `origin + L⁻ᵀ x`, with `L Lᵀ` about the curvature.
struct Scaled<'a, O> {
    objective: &'a O,
    origin: &'a [f64],
    factor: &'a DMatrix<f64>,
    /// The last place, value and gradient: a line search asks for both in turn.
    last: RefCell<Option<Asked>>,
    /// The lowest value so far, and how many questions ago that was.
    lowest: Cell<(f64, u64)>,
}

/// A place, the value there and its gradient.
type Asked = (Vec<f64>, f64, Vec<f64>);

impl<O: Objective> Scaled<'_, O> {
    fn at(&self, place: &[f64]) -> Vec<f64> {
        let place = DVector::from_column_slice(place);
        let moved = self.factor.tr_solve_lower_triangular(&place).unwrap_or(place);
        self.origin.iter().zip(moved.iter()).map(|(o, m)| o + m).collect()
    }

    fn ask(&self, place: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        let (lowest, in_vain) = self.lowest.get();
        if in_vain > IN_VAIN_MAX {
            return Err(Error::msg("the search gets nowhere"));
        }
        self.lowest.set((lowest, in_vain + 1));
        if let Some((at, value, gradient)) = self.last.borrow().as_ref()
            && at.as_slice() == place
        {
            return Ok((*value, gradient.clone()));
        }
        let (value, gradient) = self.objective.evaluate(&self.at(place));
        let weight = self.objective.weight();
        let value = value / weight;
        let gradient = DVector::from_vec(gradient) / weight;
        let gradient =
            self.factor.solve_lower_triangular(&gradient).unwrap_or(gradient);
        let gradient = gradient.as_slice().to_vec();
        if value < lowest {
            self.lowest.set((value, 0));
        }
        *self.last.borrow_mut() = Some((place.to_vec(), value, gradient.clone()));
        Ok((value, gradient))
    }
}

/// Borrowed, because the executor takes its problem by value.
struct Borrowed<'a, 'b, O>(&'a Scaled<'b, O>);

impl<O: Objective> CostFunction for Borrowed<'_, '_, O> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, place: &Vec<f64>) -> Result<f64, Error> {
        Ok(self.0.ask(place)?.0)
    }
}

impl<O: Objective> Gradient for Borrowed<'_, '_, O> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, place: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(self.0.ask(place)?.1)
    }
}

/// Where L-BFGS ends, or `start` if it finds nothing better.
fn search<O: Objective>(
    objective: &O,
    start: &[f64],
    factor: &DMatrix<f64>,
) -> Vec<f64> {
    let (last, lowest) = (RefCell::new(None), Cell::new((f64::INFINITY, 0)));
    let problem = Scaled { objective, origin: start, factor, last, lowest };
    let found = || {
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
            .with_tolerance_grad(ROUGH / objective.weight().sqrt())
            .ok()?
            .with_tolerance_cost(COST_SAME / objective.weight())
            .ok()?;
        let run = Executor::new(Borrowed(&problem), solver)
            .configure(|state| state.param(vec![0.0; start.len()]).max_iters(STEPS_MAX))
            .timer(false)
            .run()
            .ok()?;
        run.state.get_best_param().map(|place| problem.at(place))
    };
    found().unwrap_or_else(|| start.to_vec())
}

/// The logistic function.
pub(crate) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Its inverse, kept finite.
pub(crate) fn logit(p: f64) -> f64 {
    let p = p.clamp(1e-9, 1.0 - 1e-9);
    (p / (1.0 - p)).ln()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Fails unless the analytic gradient agrees with differences of the value.
    pub(crate) fn assert_gradient(objective: &impl Objective, at: &[f64]) {
        let (_, gradient) = objective.evaluate(at);
        for j in 0..at.len() {
            let value = |by: f64| {
                let mut moved = at.to_vec();
                moved[j] += by;
                objective.evaluate(&moved).0
            };
            let step = 1e-5;
            let numeric = (value(step) - value(-step)) / (2.0 * step);
            let size = gradient[j].abs().max(1.0);
            assert!(
                (numeric - gradient[j]).abs() < 2e-5 * size,
                "coordinate {j}: analytic {}, numeric {numeric}",
                gradient[j]
            );
        }
    }

    struct Banana;

    impl Objective for Banana {
        fn evaluate(&self, at: &[f64]) -> (f64, Vec<f64>) {
            let (x, y) = (at[0], at[1]);
            let value = (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2);
            let dx = -2.0 * (1.0 - x) - 400.0 * x * (y - x * x);
            (value, vec![dx, 200.0 * (y - x * x)])
        }

        fn weight(&self) -> f64 {
            1.0
        }
    }

    /// Two hollows and the saddle between them.
    struct Saddle;

    impl Objective for Saddle {
        fn evaluate(&self, at: &[f64]) -> (f64, Vec<f64>) {
            let (x, y) = (at[0], at[1]);
            let value = (x * x - 1.0).powi(2) + y * y;
            (value, vec![4.0 * x * (x * x - 1.0), 2.0 * y])
        }

        fn weight(&self) -> f64 {
            1.0
        }
    }

    /// Falls for ever, by steps that rounding swallows.
    struct Swallowed;

    impl Objective for Swallowed {
        fn evaluate(&self, at: &[f64]) -> (f64, Vec<f64>) {
            (1e17 - at[0], vec![-1.0 - at[0].rem_euclid(3.0)])
        }

        fn weight(&self) -> f64 {
            1.0
        }
    }

    #[test]
    fn a_search_that_gets_nowhere_ends() {
        let minimum = minimise(&Swallowed, &[0.0], &[1.0]);
        assert!(!minimum.converged, "{minimum:?}");
    }

    #[test]
    fn a_search_that_stops_on_a_ridge_goes_on_down_its_side() {
        assert_gradient(&Saddle, &[0.4, 1.3]);
        let minimum = minimise(&Saddle, &[1e-4, 1.0], &[1.0, 1.0]);
        assert!(minimum.converged && minimum.covariance.is_some(), "{minimum:?}");
        assert!((minimum.at[0] - 1.0).abs() < 1e-9, "{minimum:?}");
    }

    #[test]
    fn the_bottom_of_a_bent_valley_is_found() {
        assert_gradient(&Banana, &[-0.7, 1.3]);
        let minimum = minimise(&Banana, &[-1.2, 1.0], &[1.0, 1.0]);
        assert!(minimum.converged);
        for x in &minimum.at {
            assert!((x - 1.0).abs() < 1e-9, "{minimum:?}");
        }
        assert!((minimum.curvature[(1, 1)] - 200.0).abs() < 1e-5);
    }
}

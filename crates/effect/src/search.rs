//! The least value of a function of one number, by Brent's method (Brent 1973, chapter 5).
//!
//! **Invariant:** a value that is not finite counts as infinitely high, so that a search
//! walks around what cannot be computed; a search that finds nothing finite gives `None`.

use argmin::core::{CostFunction, Error, Executor};
use argmin::solver::brent::BrentOpt;

/// Relative and absolute width at which a search ends: near the square root of double
/// precision, below which a smooth function does not change.
const WIDTH: f64 = 1e-9;

/// Steps of one search; Brent's method needs about sixty.
const STEPS_MAX: u64 = 300;

/// The place between `low` and `high` where `cost` is least.
pub(crate) fn least(
    low: f64,
    high: f64,
    cost: impl Fn(f64) -> Option<f64>,
) -> Option<f64> {
    let solver = BrentOpt::new(low, high).set_tolerance(WIDTH, WIDTH);
    let run = Executor::new(Cost(cost), solver)
        .configure(|state| state.max_iters(STEPS_MAX))
        .run()
        .ok()?;
    run.state.best_cost.is_finite().then_some(run.state.best_param)?
}

struct Cost<F>(F);

impl<F: Fn(f64) -> Option<f64>> CostFunction for Cost<F> {
    type Param = f64;
    type Output = f64;

    fn cost(&self, place: &f64) -> Result<f64, Error> {
        Ok((self.0)(*place).filter(|cost| cost.is_finite()).unwrap_or(f64::INFINITY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bowl_has_its_bottom_found() {
        let bottom = least(-10.0, 10.0, |x| Some((x - 1.5).powi(2))).unwrap();
        assert!((bottom - 1.5).abs() < 1e-7);
    }

    #[test]
    fn nothing_finite_has_no_least() {
        assert_eq!(least(0.0, 1.0, |_| None), None);
    }
}

//! Whether scores are the probabilities they claim to be.
//!
//! **Invariant:** a recalibrated score never turns the order of two scores around: the
//! isotonic one by construction, the logistic one if higher scores are truer at all.

use nalgebra::{Matrix2, Vector2};

use super::NoiseRefused;
use crate::occupancy::logistic;
use crate::regression::count;

/// A scored case and whether it turned out true.
pub type Case = (f64, bool);

/// Ten equal bins are usual for a reliability diagram.
pub const BINS: usize = 10;

/// How scores compare with what turned out.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Mean squared distance of score and outcome (Brier 1950).
    pub brier: f64,
    /// Mean distance of mean score and share true over [`BINS`] bins, by size.
    pub expected_error: f64,
    /// For each bin with a case: mean score, share true, cases.
    pub reliability: Vec<(f64, f64, usize)>,
}

/// Compares scores with what turned out.
pub fn calibration(cases: &[Case]) -> Result<Calibration, NoiseRefused> {
    admit(cases)?;
    let n = count(cases.len());
    let truth = |is: bool| f64::from(u8::from(is));
    let brier = cases.iter().map(|(p, is)| (p - truth(*is)).powi(2)).sum::<f64>() / n;
    let mut sums = [(0.0, 0.0, 0usize); BINS];
    for (p, is) in cases {
        let bin = (0..BINS - 1).find(|b| *p < count(b + 1) / count(BINS));
        let sum = &mut sums[bin.unwrap_or(BINS - 1)];
        *sum = (sum.0 + p, sum.1 + truth(*is), sum.2 + 1);
    }
    let reliability: Vec<(f64, f64, usize)> = sums
        .into_iter()
        .filter(|sum| sum.2 > 0)
        .map(|(p, is, of)| (p / count(of), is / count(of), of))
        .collect();
    let distance = reliability.iter().map(|(p, is, of)| (p - is).abs() * count(*of));
    Ok(Calibration { brier, expected_error: distance.sum::<f64>() / n, reliability })
}

/// The isotonic recalibration: distinct scores in ascending order, each with the
/// probability it stands for (pool adjacent violators).
pub fn isotonic(cases: &[Case]) -> Result<Vec<(f64, f64)>, NoiseRefused> {
    admit(cases)?;
    let mut sorted = cases.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Blocks: scores in it, sum of truths, cases.
    let mut blocks: Vec<(Vec<f64>, f64, f64)> = Vec::new();
    for equal in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let truths = equal.iter().filter(|(_, is)| *is).count();
        blocks.push((vec![equal[0].0], count(truths), count(equal.len())));
        while let [.., before, last] = blocks.as_slice()
            && before.1 * last.2 > last.1 * before.2
        {
            let Some(last) = blocks.pop() else { break };
            let Some(into) = blocks.last_mut() else { break };
            into.0.extend(last.0);
            into.1 += last.1;
            into.2 += last.2;
        }
    }
    let of = |(scores, truths, n): (Vec<f64>, f64, f64)| {
        scores.into_iter().map(move |score| (score, truths / n))
    };
    Ok(blocks.into_iter().flat_map(of).collect())
}

/// Intercept and slope of a logistic recalibration on the scores' logits (Platt 1999,
/// with his targets, which keep separated cases finite).
pub fn platt(cases: &[Case]) -> Result<(f64, f64), NoiseRefused> {
    admit(cases)?;
    let positive = cases.iter().filter(|(_, is)| *is).count();
    if positive == 0 || positive == cases.len() {
        return Err(NoiseRefused::OneClass { positive, n: cases.len() });
    }
    if cases.iter().all(|(p, _)| p.total_cmp(&cases[0].0).is_eq()) {
        return Err(NoiseRefused::Invalid("the scores do not vary: there is no slope"));
    }
    let (plus, minus) = (count(positive), count(cases.len() - positive));
    let targets = [1.0 / (minus + 2.0), (plus + 1.0) / (plus + 2.0)];
    let mut at = Vector2::new((plus / minus).ln(), 0.0);
    for _ in 0..STEPS_MAX {
        let (mut slope, mut curve) = (Vector2::zeros(), Matrix2::identity() * 1e-12);
        for (p, is) in cases {
            let x = Vector2::new(1.0, crate::occupancy::logit(*p));
            let chance = logistic(at.dot(&x));
            slope += x * (targets[usize::from(*is)] - chance);
            curve += x * x.transpose() * (chance * (1.0 - chance));
        }
        let Some(step) = curve.lu().solve(&slope) else { break };
        at += step * (STEP_MAX / step.norm()).min(1.0);
        if step.norm() < 1e-12 {
            return Ok((at[0], at[1]));
        }
    }
    Err(NoiseRefused::Invalid("the logistic recalibration did not settle"))
}

/// Newton's method on a concave function of two numbers settles in about ten.
const STEPS_MAX: usize = 200;
/// Longest step: far from the top its curvature misleads.
const STEP_MAX: f64 = 2.0;

fn admit(cases: &[Case]) -> Result<(), NoiseRefused> {
    if cases.is_empty() {
        return Err(NoiseRefused::OneClass { positive: 0, n: 0 });
    }
    let bad = cases.iter().position(|(p, _)| !(0.0..=1.0).contains(p));
    bad.map_or(Ok(()), |place| Err(NoiseRefused::Score(place)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn perfect_and_constant_scores_have_known_values() {
        let perfect = calibration(&[(1.0, true), (0.0, false)]).unwrap();
        assert!(perfect.brier.abs() < 1e-15 && perfect.expected_error.abs() < 1e-15);
        let half = calibration(&[(0.5, true), (0.5, false)]).unwrap();
        assert!((half.brier - 0.25).abs() < 1e-15 && half.expected_error < 1e-15);
        assert_eq!(half.reliability.len(), 1);
    }

    #[test]
    fn violators_are_pooled() {
        let cases = [(0.1, false), (0.2, true), (0.3, false), (0.4, true)];
        let found = isotonic(&cases).unwrap();
        assert_eq!(found, [(0.1, 0.0), (0.2, 0.5), (0.3, 0.5), (0.4, 1.0)]);
    }

    #[test]
    fn what_has_no_scores_is_refused() {
        assert!(calibration(&[]).is_err() && isotonic(&[]).is_err());
        assert_eq!(calibration(&[(f64::NAN, true)]), Err(NoiseRefused::Score(0)));
        let one = platt(&[(0.4, true), (0.6, true)]);
        assert_eq!(one, Err(NoiseRefused::OneClass { positive: 2, n: 2 }));
        assert!(matches!(
            platt(&[(0.4, true), (0.4, false)]),
            Err(NoiseRefused::Invalid(_))
        ));
    }

    proptest! {
        #[test]
        fn isotonic_ascends_and_keeps_the_mean(
            cases in prop::collection::vec((0.0f64..1.0, any::<bool>()), 1..60)
        ) {
            let found = isotonic(&cases).unwrap();
            prop_assert!(found.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1 + 1e-12));
            let of = |p: f64| found.iter().find(|(s, _)| *s >= p).unwrap().1;
            let mean: f64 = cases.iter().map(|(p, _)| of(*p)).sum();
            let truths = count(cases.iter().filter(|(_, is)| *is).count());
            prop_assert!((mean - truths).abs() < 1e-9);
        }

        #[test]
        fn separated_scores_have_a_finite_slope(n in 1usize..20) {
            let cases: Vec<Case> =
                (0..2 * n).map(|i| (if i < n { 0.2 } else { 0.8 }, i >= n)).collect();
            let (a, b) = platt(&cases).unwrap();
            prop_assert!(a.is_finite() && b.is_finite() && b > 0.0);
        }
    }
}

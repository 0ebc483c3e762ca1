//! The chance of removal in each period, with covariates that may change on the way: a
//! grouped proportional-hazards model (complementary log-log; Prentice and Gloeckler
//! 1978, Biometrics 34:57).
//!
//! **Invariant:** an act's term that always begins with a period of the baseline, or two
//! acts that always begin together, cannot be told apart: the later column is named and
//! refused. So is a period in which nobody, or everybody, had the event.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nalgebra::{DMatrix, DVector};

use super::{SurvivalRefused, same_length};
use crate::regression::linear::{LeastSquares, sandwich};
use crate::regression::{Coefficient, Design, RegressionError, coefficients, count};

/// Periods in which a subject was at risk, first and last, and whether it had the event
/// in the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spell {
    /// First period at risk.
    pub first: u32,
    /// Last.
    pub last: u32,
    /// Whether the event came in the last.
    pub event: bool,
    /// Its family.
    pub cluster: u64,
}

/// A covariate: a name, and its value for a subject in a period.
pub struct Term<'a> {
    /// The column's name.
    pub name: String,
    /// The value for the subject of that place in the list, in that period.
    pub value: &'a dyn Fn(usize, u32) -> f64,
}

/// A fit.
#[derive(Clone, Debug)]
pub struct Hazard {
    /// Baseline by block, then terms: logarithms of hazards and of hazard ratios, errors
    /// over clusters.
    pub coefficients: Vec<Coefficient>,
    /// The same, errors as if rows were independent.
    pub naive: Vec<Coefficient>,
    /// Logarithm of the likelihood.
    pub log_likelihood: f64,
    /// Deviance: minus twice that.
    pub deviance: f64,
    /// Subject-periods.
    pub rows: usize,
}

/// Steps after which reweighted least squares will not settle.
const STEPS_MAX: u32 = 100;
/// Change of the deviance, relative, that is none.
const SETTLED: f64 = 1e-14;
/// Logarithms of hazards are kept between these while searching: exp(-exp(4)) is 0 to 23
/// digits.
const LOG_HAZARD: (f64, f64) = (-30.0, 4.0);
/// A term of larger effect whose error is larger still has none that is finite.
const EFFECT_MAX: f64 = 8.0;

/// Fits `spells` with a baseline that is constant inside blocks of periods (`block` names
/// the block of a period; one block a period is the grouped Cox model), and `terms`.
pub fn hazard(
    spells: &[Spell],
    block: impl Fn(u32) -> u32,
    terms: &[Term<'_>],
) -> Result<Hazard, SurvivalRefused> {
    if spells.is_empty() {
        return Err(SurvivalRefused::Nobody);
    }
    if let Some(place) = spells.iter().position(|s| s.last < s.first) {
        return Err(SurvivalRefused::Time(place));
    }
    // Subject-periods with the same block, terms and outcome are one row with a weight: a
    // cohort of 22,000 over a year is a million subject-periods and a few hundred rows.
    let mut alike: HashMap<Vec<u64>, usize> = HashMap::new();
    let (mut kinds, mut weights) = (Vec::new(), Vec::new());
    let mut rows: Vec<(usize, u64)> = Vec::new();
    let mut key = Vec::with_capacity(terms.len() + 2);
    for (i, s) in spells.iter().enumerate() {
        for period in s.first..=s.last {
            let event = s.event && period == s.last;
            key.clear();
            key.extend([u64::from(block(period)), u64::from(event)]);
            key.extend(terms.iter().map(|t| (t.value)(i, period).to_bits()));
            let kind = alike.get(&key).copied().unwrap_or_else(|| {
                alike.insert(key.clone(), kinds.len());
                kinds.push((i, period, event));
                weights.push(0.0);
                kinds.len() - 1
            });
            weights[kind] += 1.0;
            rows.push((kind, s.cluster));
        }
    }
    let blocks: BTreeSet<u32> = kinds.iter().map(|kind| block(kind.1)).collect();
    let mut design = Design::default();
    for of in &blocks {
        let is = |kind: &(usize, u32, bool)| f64::from(u8::from(block(kind.1) == *of));
        design = design.with(format!("period {of}"), kinds.iter().map(is).collect());
        let mut inside = kinds.iter().filter(|kind| block(kind.1) == *of);
        let had = inside.clone().any(|kind| kind.2);
        if !had || inside.all(|kind| kind.2) {
            return Err(SurvivalRefused::Separated(format!("period {of}")));
        }
    }
    for term in terms {
        let values = kinds.iter().map(|(i, period, _)| (term.value)(*i, *period));
        design = design.with(term.name.clone(), values.collect());
    }
    let events: Vec<bool> = kinds.iter().map(|kind| kind.2).collect();
    fit(&design, &events, weights, &rows)
}

/// Regression of a yes or no with complementary log-log link; one cluster for each row.
pub fn cloglog(
    design: &Design,
    events: &[bool],
    clusters: &[u64],
) -> Result<Hazard, SurvivalRefused> {
    if events.is_empty() {
        return Err(SurvivalRefused::Nobody);
    }
    same_length("clusters", clusters.len(), events.len())?;
    let rows: Vec<(usize, u64)> = clusters.iter().copied().enumerate().collect();
    fit(design, events, vec![1.0; events.len()], &rows)
}

/// The fit of kinds of rows, each with its weight; `rows` names the kind and the cluster
/// of every row behind them.
fn fit(
    design: &Design,
    events: &[bool],
    weights: Vec<f64>,
    rows: &[(usize, u64)],
) -> Result<Hazard, SurvivalRefused> {
    if !events.contains(&true) {
        return Err(SurvivalRefused::NoEvent);
    }
    if !events.contains(&false) {
        return Err(SurvivalRefused::NobodyAtRisk("without having the event"));
    }
    let y: Vec<f64> = events.iter().map(|e| f64::from(u8::from(*e))).collect();
    let matrix = design.matrix(&y)?;
    let (y, weights) = (DVector::from_vec(y), DVector::from_vec(weights));
    let data = Binary { matrix, y, weights };
    let (beta, deviance) = data.fit(design.names())?;
    let (bread, scores) = data.bread_and_scores(&beta).ok_or_else(|| {
        SurvivalRefused::Separated(design.names().last().cloned().unwrap_or_default())
    })?;
    data.finite(&beta, &bread, design.names())?;
    let size = beta.len();
    let mut sums: BTreeMap<u64, DVector<f64>> = BTreeMap::new();
    // Rows of one subject stand together: one look-up for all of them.
    for of in rows.chunk_by(|a, b| a.1 == b.1) {
        let sum = sums.entry(of[0].1).or_insert_with(|| DVector::zeros(size));
        for (kind, _) in of {
            sum.iter_mut().zip(&scores[*kind]).for_each(|(sum, score)| *sum += score);
        }
    }
    let groups = count(sums.len());
    let meat =
        sums.values().fold(DMatrix::zeros(size, size), |m, s| m + s * s.transpose());
    let factor = if groups > 1.0 { groups / (groups - 1.0) } else { 1.0 };
    let robust = sandwich(&bread, &meat) * factor;
    let of = |covariance: &DMatrix<f64>, method: &str| {
        coefficients(design.names(), &beta, covariance, None, method)
    };
    Ok(Hazard {
        coefficients: of(&robust, "cloglog, over clusters, normal"),
        naive: of(&bread, "cloglog, normal"),
        log_likelihood: -deviance / 2.0,
        deviance,
        rows: rows.len(),
    })
}

struct Binary {
    matrix: DMatrix<f64>,
    y: DVector<f64>,
    /// How many rows each stands for.
    weights: DVector<f64>,
}

/// For a logarithm of a hazard: the chance, its slope, and the logarithms of the chance
/// and of its complement.
fn chance(log_hazard: f64) -> (f64, f64, f64, f64) {
    let hazard = log_hazard.clamp(LOG_HAZARD.0, LOG_HAZARD.1).exp();
    let chance = -(-hazard).exp_m1();
    (chance, hazard * (-hazard).exp(), chance.ln(), -hazard)
}

impl Binary {
    fn deviance(&self, eta: &DVector<f64>) -> f64 {
        let of = |((y, eta), weight): ((&f64, &f64), &f64)| {
            let (_, _, log, log_not) = chance(*eta);
            weight * (y * log + (1.0 - y) * log_not)
        };
        let rows = self.y.iter().zip(eta.iter()).zip(self.weights.iter());
        -2.0 * rows.map(of).sum::<f64>()
    }

    fn fit(&self, names: &[String]) -> Result<(DVector<f64>, f64), SurvivalRefused> {
        let mean = self.y.dot(&self.weights) / self.weights.sum();
        let mut eta = DVector::from_element(self.y.len(), (-(1.0 - mean).ln()).ln());
        let mut last: Option<(DVector<f64>, f64)> = None;
        for _ in 0..STEPS_MAX {
            let (mut beta, mut there) = self.step(&eta).ok_or_else(|| {
                SurvivalRefused::Separated(names.last().cloned().unwrap_or_default())
            })?;
            if let Some((old, deviance)) = &last {
                let mut share = 1.0;
                while self.deviance(&there) > deviance + 1e-9 && share > 1e-3 {
                    share /= 2.0;
                    beta = old + (&beta - old) * 0.5;
                    there = &self.matrix * &beta;
                }
            }
            let deviance = self.deviance(&there);
            if let Some((_, before)) = &last
                && (before - deviance).abs() <= SETTLED * deviance.max(1.0)
            {
                // The deviance settles at half the digits of the coefficients.
                let (beta, there) = self
                    .step(&there)
                    .and_then(|(_, t)| self.step(&t))
                    .unwrap_or((beta, there));
                return Ok((beta, self.deviance(&there)));
            }
            eta = there;
            last = Some((beta, deviance));
        }
        Err(RegressionError::NotConverged(STEPS_MAX).into())
    }

    /// One step of reweighted least squares, and the linear predictor after it.
    fn step(&self, eta: &DVector<f64>) -> Option<(DVector<f64>, DVector<f64>)> {
        let mut matrix = self.matrix.clone();
        let mut outcome = DVector::zeros(self.y.len());
        for (i, eta) in eta.iter().enumerate() {
            let eta = eta.clamp(LOG_HAZARD.0, LOG_HAZARD.1);
            let (chance, slope, _, log_not) = chance(eta);
            let root = slope * (self.weights[i] / (chance * log_not.exp())).sqrt();
            outcome[i] = root * (eta + (self.y[i] - chance) / slope);
            matrix.row_mut(i).scale_mut(root);
        }
        let beta = LeastSquares::of(matrix, &outcome)?.coefficients;
        let there = &self.matrix * &beta;
        there.iter().all(|e| e.is_finite()).then_some((beta, there))
    }

    /// Inverse expected information, and the slopes of the likelihood of one row of each
    /// kind.
    fn bread_and_scores(
        &self,
        beta: &DVector<f64>,
    ) -> Option<(DMatrix<f64>, Vec<Vec<f64>>)> {
        let eta = &self.matrix * beta;
        let (mut scores, mut weighted) = (self.matrix.clone(), self.matrix.clone());
        for (i, eta) in eta.iter().enumerate() {
            let (chance, slope, _, log_not) = chance(*eta);
            let by = slope / (chance * log_not.exp());
            scores.row_mut(i).scale_mut((self.y[i] - chance) * by);
            weighted.row_mut(i).scale_mut(self.weights[i] * slope * by);
        }
        let information = self.matrix.tr_mul(&weighted);
        let scores = scores.row_iter().map(|r| r.iter().copied().collect()).collect();
        Some((information.cholesky()?.inverse(), scores))
    }

    fn finite(
        &self,
        beta: &DVector<f64>,
        bread: &DMatrix<f64>,
        names: &[String],
    ) -> Result<(), SurvivalRefused> {
        let infinite = |j: &usize| {
            let column = self.matrix.column(*j);
            let spread = (column.max() - column.min()) * beta[*j].abs();
            spread > EFFECT_MAX && bread[(*j, *j)].sqrt() > beta[*j].abs()
        };
        (0..names.len())
            .find(infinite)
            .map_or(Ok(()), |j| Err(SurvivalRefused::Separated(names[j].clone())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spell(last: u32, event: bool, cluster: u64) -> Spell {
        Spell { first: 1, last, event, cluster }
    }

    fn some() -> Vec<Spell> {
        (0..120u32)
            .map(|i| spell(1 + i % 6, (i * 7 + i / 6) % 3 != 0, u64::from(i / 2)))
            .collect()
    }

    #[test]
    fn a_baseline_alone_is_the_share_of_each_period() {
        let spells = some();
        let found = hazard(&spells, |p| p, &[]).unwrap();
        for (period, coefficient) in (1u32..).zip(&found.coefficients) {
            let at_risk = spells.iter().filter(|s| s.last >= period).count();
            let events = spells.iter().filter(|s| s.event && s.last == period).count();
            let expected = (-(1.0 - count(events) / count(at_risk)).ln()).ln();
            assert!((coefficient.value - expected).abs() < 1e-9, "{coefficient:?}");
        }
    }

    #[test]
    fn an_act_that_begins_with_a_block_for_all_cannot_be_told_from_it() {
        let after = |_: usize, period: u32| f64::from(u8::from(period >= 4));
        let act = Term { name: "act".to_owned(), value: &after };
        let found = hazard(&some(), |p| p, &[act]);
        let Err(SurvivalRefused::Regression(RegressionError::Singular(name))) = found
        else {
            panic!("{found:?}")
        };
        assert_eq!(name, "act");
    }

    #[test]
    fn what_tells_events_perfectly_is_refused() {
        let spells = some();
        let tells = |i: usize, _: u32| f64::from(u8::from(spells[i].event));
        let term = Term { name: "tells".to_owned(), value: &tells };
        let found = hazard(&spells, |_| 0, &[term]);
        assert_eq!(found.unwrap_err(), SurvivalRefused::Separated("tells".to_owned()));
        let quiet = [spell(2, false, 0), spell(3, true, 1)];
        let found = hazard(&quiet, |p| p, &[]);
        assert_eq!(
            found.unwrap_err(),
            SurvivalRefused::Separated("period 1".to_owned())
        );
        assert_eq!(hazard(&[], |p| p, &[]).unwrap_err(), SurvivalRefused::Nobody);
        let back = Spell { first: 3, ..spell(2, true, 0) };
        assert_eq!(hazard(&[back], |p| p, &[]).unwrap_err(), SurvivalRefused::Time(0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_fit_is_finite_or_refused(
            of in prop::collection::vec((1u32..6, any::<bool>(), 0u8..3), 2..40)
        ) {
            let spells: Vec<Spell> = of
                .iter()
                .map(|(last, event, x)| spell(*last, *event, u64::from(*x)))
                .collect();
            let x = |i: usize, _: u32| f64::from(of[i].2);
            let late = |i: usize, p: u32| f64::from(u8::from(p > 2 && of[i].2 == 1));
            let terms = [
                Term { name: "x".to_owned(), value: &x },
                Term { name: "late".to_owned(), value: &late },
            ];
            if let Ok(found) = hazard(&spells, |p| p / 3, &terms) {
                let text = format!("{found:?}");
                prop_assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            }
        }
    }
}

//! Proportional hazards (Cox 1972): by how much groups differ, ties by Efron (1977),
//! strata with baselines of their own, covariances over clusters (Lin and Wei 1989), and
//! the test of proportionality (Grambsch and Therneau 1994, as a score test).
//!
//! **Invariant:** a covariate whose effect has no finite estimate is named and refused; a
//! fit that failed the test says for which covariate.

use std::collections::BTreeMap;

use nalgebra::{DMatrix, DVector};

use super::log_rank::chi_square_tail;
use super::{Followed, SurvivalRefused, admit, event_times, same_length};
use crate::regression::{Coefficient, Design, RegressionError, coefficients, count};

/// Newton's method settles in under ten steps unless an effect is infinite.
const STEPS_MAX: u32 = 60;
/// Relative change of the likelihood that is none.
const SETTLED: f64 = 1e-13;
/// An effect that spreads the log hazard by more than this, and is known to no digit, is
/// infinite: the likelihood is flat to double precision.
const SPREAD_MAX: f64 = 12.0;

/// A fit.
#[derive(Clone, Debug)]
pub struct Cox {
    /// Logarithms of hazard ratios, errors over clusters.
    pub coefficients: Vec<Coefficient>,
    /// The same, errors as if subjects were independent and the model right.
    pub naive: Vec<Coefficient>,
    /// Logarithm of the partial likelihood without covariates, and with.
    pub log_likelihood: [f64; 2],
    /// For each covariate, whether its effect changes with time.
    pub proportional: Vec<Proportional>,
    /// The same of all together.
    pub proportional_all: Proportional,
}

/// A test that an effect does not change with time.
#[derive(Clone, Debug, PartialEq)]
pub struct Proportional {
    /// The covariate, or `all`.
    pub name: String,
    /// The statistic.
    pub chi_square: f64,
    /// Chance of a larger one if the effect is constant.
    pub p: f64,
}

/// Fits `subjects`; rows may be several of one subject (time-dependent covariates), which
/// then share a cluster. `strata` and `clusters` number each row.
pub fn cox(
    design: &Design,
    subjects: &[Followed],
    strata: &[usize],
    clusters: &[u64],
) -> Result<Cox, SurvivalRefused> {
    admit(subjects)?;
    same_length("strata", strata.len(), subjects.len())?;
    same_length("clusters", clusters.len(), subjects.len())?;
    if !subjects.iter().any(|s| s.event) {
        return Err(SurvivalRefused::NoEvent);
    }
    let exits: Vec<f64> = subjects.iter().map(|s| s.exit).collect();
    let data = Data::new(design.matrix(&exits)?, subjects, strata);
    let (beta, null, fit) = data.maximum(design.names())?;
    let inverse = data.inverse(&fit, design.names())?;
    data.finite(&beta, &inverse, design.names())?;
    let moved = data.residuals(&beta) * &inverse;
    let mut sums: BTreeMap<u64, DVector<f64>> = BTreeMap::new();
    for (row, cluster) in moved.row_iter().zip(clusters) {
        let sum = sums.entry(*cluster).or_insert_with(|| DVector::zeros(beta.len()));
        *sum += row.transpose();
    }
    let size = beta.len();
    let robust = sums
        .values()
        .fold(DMatrix::zeros(size, size), |sum, move_| sum + move_ * move_.transpose());
    let (proportional, proportional_all) = data.proportional(&beta, design.names());
    let of = |covariance: &DMatrix<f64>, method: &str| {
        coefficients(design.names(), &beta, covariance, None, method)
    };
    Ok(Cox {
        coefficients: of(&robust, "Efron, Lin-Wei over clusters, normal"),
        naive: of(&inverse, "Efron, normal"),
        log_likelihood: [null, fit.log_likelihood],
        proportional,
        proportional_all,
    })
}

/// Rows cut at a time, so that an effect may differ before and after: for each piece the
/// row it came from, the piece, and whether it is the later.
pub fn split_at(subjects: &[Followed], at: f64) -> Vec<(usize, Followed, bool)> {
    let pieces = |(row, s): (usize, &Followed)| {
        let early = (s.entry < at).then(|| {
            let (exit, event) = (s.exit.min(at), s.event && s.exit <= at);
            (row, Followed { exit, event, ..*s }, false)
        });
        let late = (s.exit > at)
            .then(|| (row, Followed { entry: s.entry.max(at), ..*s }, true));
        early.into_iter().chain(late)
    };
    subjects.iter().enumerate().flat_map(pieces).collect()
}

/// Sums over a pass.
struct Pass {
    log_likelihood: f64,
    score: DVector<f64>,
    information: DMatrix<f64>,
}

/// What is known of one time with events.
struct Moment<'a> {
    time: f64,
    at_risk: &'a [usize],
    deaths: &'a [usize],
    /// Efron's terms: share of the deaths taken out, sum of risks, mean, spread.
    terms: Vec<(f64, f64, DVector<f64>, DMatrix<f64>)>,
}

struct Data<'a> {
    /// Covariates less their means, a row a subject.
    x: DMatrix<f64>,
    subjects: &'a [Followed],
    /// Rows of each stratum.
    strata: Vec<Vec<usize>>,
}

impl<'a> Data<'a> {
    fn new(mut x: DMatrix<f64>, subjects: &'a [Followed], strata: &[usize]) -> Self {
        for mut column in x.column_iter_mut() {
            let mean = column.mean();
            column.add_scalar_mut(-mean);
        }
        let mut rows: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (row, stratum) in strata.iter().enumerate() {
            rows.entry(*stratum).or_default().push(row);
        }
        Self { x, subjects, strata: rows.into_values().collect() }
    }

    /// Visits each time with events in each stratum.
    fn visit(&self, beta: &DVector<f64>, mut of: impl FnMut(&Moment<'_>)) {
        let risk = (&self.x * beta).map(f64::exp);
        let rows: Vec<DVector<f64>> =
            self.x.row_iter().map(|row| row.transpose()).collect();
        for stratum in &self.strata {
            let members: Vec<Followed> =
                stratum.iter().map(|i| self.subjects[*i]).collect();
            for time in event_times(&members) {
                let at_risk: Vec<usize> = stratum
                    .iter()
                    .copied()
                    .filter(|i| self.subjects[*i].at_risk(time))
                    .collect();
                let died = |i: &usize| {
                    let subject = self.subjects[*i];
                    subject.event && subject.exit.total_cmp(&time).is_eq()
                };
                let deaths: Vec<usize> = at_risk.iter().copied().filter(died).collect();
                let all = moments(&rows, &risk, &at_risk);
                let tied = moments(&rows, &risk, &deaths);
                let terms = (0..deaths.len())
                    .map(|l| {
                        let c = count(l) / count(deaths.len());
                        let sum = all.0 - c * tied.0;
                        let mean = (&all.1 - &tied.1 * c) / sum;
                        let square = (&all.2 - &tied.2 * c) / sum;
                        let spread = square - &mean * mean.transpose();
                        (c, sum, mean, spread)
                    })
                    .collect();
                of(&Moment { time, at_risk: &at_risk, deaths: &deaths, terms });
            }
        }
    }

    fn row(&self, i: usize) -> DVector<f64> {
        self.x.row(i).transpose()
    }

    fn pass(&self, beta: &DVector<f64>) -> Pass {
        let size = beta.len();
        let mut pass = Pass {
            log_likelihood: 0.0,
            score: DVector::zeros(size),
            information: DMatrix::zeros(size, size),
        };
        self.visit(beta, |moment| {
            for i in moment.deaths {
                pass.log_likelihood += self.row(*i).dot(beta);
                pass.score += self.row(*i);
            }
            for (_, sum, mean, spread) in &moment.terms {
                pass.log_likelihood -= sum.ln();
                pass.score -= mean;
                pass.information += spread;
            }
        });
        pass
    }

    /// Newton's method from no effect, halving steps that lose likelihood.
    fn maximum(
        &self,
        names: &[String],
    ) -> Result<(DVector<f64>, f64, Pass), SurvivalRefused> {
        let mut beta = DVector::zeros(self.x.ncols());
        let mut pass = self.pass(&beta);
        let null = pass.log_likelihood;
        for _ in 0..STEPS_MAX {
            let step = self.inverse(&pass, names)? * &pass.score;
            let mut share = 1.0;
            let (next, there) = loop {
                let next = &beta + &step * share;
                let there = self.pass(&next);
                let value = there.log_likelihood;
                if value.is_finite() && value >= pass.log_likelihood - 1e-9
                    || share < 1e-6
                {
                    break (next, there);
                }
                share /= 2.0;
            };
            let gain = (there.log_likelihood - pass.log_likelihood).abs();
            (beta, pass) = (next, there);
            if gain <= SETTLED * pass.log_likelihood.abs().max(1.0) {
                return Ok((beta, null, pass));
            }
        }
        Err(RegressionError::NotConverged(STEPS_MAX).into())
    }

    fn inverse(
        &self,
        pass: &Pass,
        names: &[String],
    ) -> Result<DMatrix<f64>, SurvivalRefused> {
        let places = 0..names.len();
        let empty = |j: &usize| pass.information[(*j, *j)] <= f64::MIN_POSITIVE;
        if let Some(j) = places.clone().find(empty) {
            // It does not vary among those at risk: at the start it is a constant, later
            // everybody at risk but the dying has lost all weight.
            let constant = self.x.column(j).amax() < 1e-12;
            return Err(if constant {
                RegressionError::Singular(names[j].clone()).into()
            } else {
                SurvivalRefused::Separated(names[j].clone())
            });
        }
        let scale: Vec<f64> =
            places.map(|j| pass.information[(j, j)].sqrt().recip()).collect();
        let scale = DMatrix::from_diagonal(&DVector::from_vec(scale));
        let correlation = &scale * &pass.information * &scale;
        let last = || names.last().cloned().unwrap_or_default();
        let factor =
            correlation.cholesky().ok_or_else(|| SurvivalRefused::Separated(last()))?;
        Ok(&scale * factor.inverse() * &scale)
    }

    /// Refuses an effect that is infinite.
    fn finite(
        &self,
        beta: &DVector<f64>,
        inverse: &DMatrix<f64>,
        names: &[String],
    ) -> Result<(), SurvivalRefused> {
        let infinite = |j: &usize| {
            let column = self.x.column(*j);
            let spread = (column.max() - column.min()) * beta[*j].abs();
            spread > SPREAD_MAX && inverse[(*j, *j)].sqrt() > beta[*j].abs()
        };
        (0..names.len())
            .find(infinite)
            .map_or(Ok(()), |j| Err(SurvivalRefused::Separated(names[j].clone())))
    }

    /// Score residuals: what each row contributes to the slope.
    fn residuals(&self, beta: &DVector<f64>) -> DMatrix<f64> {
        let risk = (&self.x * beta).map(f64::exp);
        let size = beta.len();
        let mut residuals = DMatrix::zeros(self.x.nrows(), size);
        self.visit(beta, |moment| {
            let deaths = count(moment.deaths.len());
            let zero = || (0.0, DVector::zeros(size));
            let (mut all, mut dying, mut mean) = (zero(), zero(), DVector::zeros(size));
            for (c, sum, at, _) in &moment.terms {
                all = (all.0 + 1.0 / sum, all.1 + at / *sum);
                let left = (1.0 - c) / sum;
                dying = (dying.0 + left, dying.1 + at * left);
                mean += at / deaths;
            }
            for i in moment.at_risk {
                let died = moment.deaths.contains(i);
                let (weight, at) = if died { &dying } else { &all };
                let x = self.row(*i);
                let mut by = (&x * *weight - at) * -risk[*i];
                if died {
                    by += x - &mean;
                }
                let mut row = residuals.row_mut(*i);
                row += by.transpose();
            }
        });
        residuals
    }

    /// Score tests of an interaction with one less the share left just before each time.
    fn proportional(
        &self,
        beta: &DVector<f64>,
        names: &[String],
    ) -> (Vec<Proportional>, Proportional) {
        let size = beta.len();
        let left = self.left_before();
        let mut score = DVector::zeros(size);
        let zero = || DMatrix::<f64>::zeros(size, size);
        let (mut plain, mut once, mut twice) = (zero(), zero(), zero());
        self.visit(beta, |moment| {
            let place = left.partition_point(|(time, _)| *time < moment.time);
            let g = left.get(place).map_or(0.0, |(_, left)| 1.0 - left);
            for i in moment.deaths {
                score += self.row(*i) * g;
            }
            for (_, _, mean, spread) in &moment.terms {
                score -= mean * g;
                plain += spread;
                once += spread * g;
                twice += spread * (g * g);
            }
        });
        let test = |of: &[usize], name: &str| {
            let between = once.select_columns(of);
            let own = twice.select_columns(of).select_rows(of);
            let solved = plain.clone().cholesky().map(|factor| factor.solve(&between));
            let rest = solved.map(|solved| own - between.tr_mul(&solved));
            let part = score.select_rows(of);
            let chi_square = rest
                .and_then(nalgebra::Matrix::cholesky)
                .map_or(0.0, |factor| factor.solve(&part).dot(&part));
            let p = chi_square_tail(chi_square, of.len());
            Proportional { name: name.to_owned(), chi_square, p }
        };
        let each = names.iter().enumerate().map(|(j, name)| test(&[j], name));
        let all: Vec<usize> = (0..size).collect();
        (each.collect(), test(&all, "all"))
    }

    /// For each time with events, strata together, the share left just before it.
    fn left_before(&self) -> Vec<(f64, f64)> {
        let mut left = 1.0;
        let before = |time: f64| {
            let at_risk = self.subjects.iter().filter(|s| s.at_risk(time)).count();
            let here = |s: &&Followed| s.event && s.exit.total_cmp(&time).is_eq();
            let events = self.subjects.iter().filter(here).count();
            let before = left;
            left *= 1.0 - count(events) / count(at_risk);
            (time, before)
        };
        event_times(self.subjects).into_iter().map(before).collect()
    }
}

fn moments(
    rows: &[DVector<f64>],
    risk: &DVector<f64>,
    of: &[usize],
) -> (f64, DVector<f64>, DMatrix<f64>) {
    let size = rows.first().map_or(0, DVector::len);
    let (mut sum, mut mean) = (0.0, DVector::zeros(size));
    let mut square = DMatrix::zeros(size, size);
    for i in of {
        sum += risk[*i];
        mean.axpy(risk[*i], &rows[*i], 1.0);
        square.ger(risk[*i], &rows[*i], &rows[*i], 1.0);
    }
    (sum, mean, square)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::survival::tests::any_subjects;

    fn ids(n: usize) -> Vec<u64> {
        (0..).take(n).collect()
    }

    fn of_groups(exits: [(f64, bool); 6]) -> Result<Cox, SurvivalRefused> {
        let subjects: Vec<Followed> = exits
            .iter()
            .map(|(exit, event)| Followed::from_start(*exit, *event))
            .collect();
        let group = (0..6).map(|i| f64::from(u8::from(i >= 3))).collect();
        let design = Design::default().with("group", group);
        cox(&design, &subjects, &[0; 6], &ids(6))
    }

    #[test]
    fn groups_apart_in_time_are_separated() {
        let found = of_groups([
            (1.0, true),
            (2.0, true),
            (3.0, true),
            (4.0, false),
            (5.0, false),
            (6.0, false),
        ]);
        assert_eq!(found.unwrap_err(), SurvivalRefused::Separated("group".to_owned()));
    }

    #[test]
    fn a_constant_and_nobody_and_no_event_are_refused() {
        let of = |exit| Followed::from_start(exit, true);
        let constant = Design::default().with("same", vec![2.0; 3]);
        let found = cox(&constant, &[of(1.0), of(2.0), of(3.0)], &[0; 3], &ids(3));
        let Err(SurvivalRefused::Regression(RegressionError::Singular(name))) = found
        else {
            panic!("{found:?}")
        };
        assert_eq!(name, "same");
        let none = cox(&Design::default(), &[], &[], &[]);
        assert_eq!(none.unwrap_err(), SurvivalRefused::Nobody);
        let found = of_groups([(1.0, false); 6]);
        assert_eq!(found.unwrap_err(), SurvivalRefused::NoEvent);
        let nan = Design::default().with("x", vec![1.0, f64::NAN, 0.0]);
        let found = cox(&nan, &[of(1.0), of(2.0), of(3.0)], &[0; 3], &ids(3));
        assert!(found.unwrap_err().to_string().contains("row 1 of x"));
    }

    #[test]
    fn pieces_of_a_cut_row_are_the_row() {
        let whole = Followed::from_start(9.0, true);
        let [early, late] = split_at(&[whole], 4.0)[..] else { panic!() };
        assert_eq!((early.1.exit, early.1.event, early.2), (4.0, false, false));
        assert_eq!((late.1.entry, late.1.event, late.2), (4.0, true, true));
        assert_eq!(split_at(&[whole], 9.0).len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_fit_is_finite_or_refused(
            subjects in any_subjects(), salt in any::<u64>(), cut in 0.0f64..25.0
        ) {
            let x: Vec<f64> = (0..subjects.len())
                .map(|i| f64::from(u8::from((salt >> (i % 64)) & 1 == 1)))
                .collect();
            let design = Design::default().with("x", x.clone());
            let n = subjects.len();
            let Ok(found) = cox(&design, &subjects, &vec![0; n], &ids(n)) else {
                return Ok(());
            };
            let text = format!("{found:?}");
            prop_assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            // Cutting rows in two changes nothing.
            let cut = split_at(&subjects, cut);
            let pieces: Vec<Followed> = cut.iter().map(|piece| piece.1).collect();
            let again = Design::default().with("x", cut.iter().map(|p| x[p.0]).collect());
            let clusters: Vec<u64> =
                cut.iter().map(|p| u64::try_from(p.0).unwrap()).collect();
            let again = cox(&again, &pieces, &vec![0; pieces.len()], &clusters).unwrap();
            let distance = again.coefficients[0].value - found.coefficients[0].value;
            prop_assert!(distance.abs() < 1e-6);
            let distance = again.coefficients[0].standard_error
                - found.coefficients[0].standard_error;
            prop_assert!(distance.abs() < 1e-6);
        }
    }
}

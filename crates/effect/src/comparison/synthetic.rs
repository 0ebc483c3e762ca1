//! Synthetic control (Abadie, Diamond and Hainmueller 2010, JASA 105:493), fitted on the
//! outcomes before the act.
//!
//! Weights are not negative, sum to one and make the weighted donors lie nearest to the
//! treated unit before the act: a quadratic program, solved by an interior-point method.
//!
//! **Invariant:** the p-value is the treated unit's rank among placebos, so it cannot lie
//! below `1/(donors + 1)`; that floor stands beside it. Donors that their own synthetic
//! control cannot follow are left out of the second rank, and counted.
//!
//! Weights follow the noise of the points that they are fitted on, and the more so the less
//! noise a unit has of its own: a large unit's error before the act is too small, and its rank
//! too near the top. So the third rank lays the error after the act beside that of points which
//! were not fitted either: each of [`FOLDS`] stretches before the act, with weights from the
//! others (cross-validation, as in Abadie, Diamond and Hainmueller 2015, AJPS 59:495, who fit
//! on a first and validate on a second stretch).

use clarabel::algebra::CscMatrix;
use clarabel::solver::{
    DefaultSettingsBuilder, DefaultSolver, IPSolver, NonnegativeConeT, SolverStatus,
    ZeroConeT,
};

use crate::regression::{RegressionError, all_finite, count};

/// A placebo whose error before the act is more than so many times the treated unit's
/// says nothing of the treated unit's fit (Abadie et al. 2010, figure 6).
const ERROR_RATIO_MAX: f64 = 5.0;

/// Stretches before the act, each left out once.
pub const FOLDS: usize = 4;

/// Weights below this are the solver's noise.
const WEIGHT_MIN: f64 = 1e-6;

/// Donors below which there is no placebo rank: a placebo needs a donor of its own.
pub const DONORS_MIN: usize = 2;

/// Points before the act below which weights follow noise.
pub const POINTS_BEFORE_MIN: usize = 8;

/// A unit with its outcome, period by period.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// Its outcomes.
    pub outcomes: Vec<f64>,
}

/// A comparison that says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntheticRefused {
    /// Rule `donors-min`.
    #[error("rule donors-min: {0} donors; a placebo rank needs at least {DONORS_MIN}")]
    TooFewDonors(usize),
    /// Rule `points-min`.
    #[error(
        "rule points-min: {before} points before the act and {after} from it on; weights \
         need {POINTS_BEFORE_MIN} before and one after"
    )]
    TooShort {
        /// Points before the act.
        before: usize,
        /// Points from the act on.
        after: usize,
    },
    /// Outcomes that are missing or differ in number.
    #[error(transparent)]
    Outcomes(#[from] RegressionError),
    /// The program was not solved.
    #[error("the weights of {0} could not be found")]
    Unsolved(String),
}

/// A unit beside its synthetic control.
#[derive(Clone, Debug)]
pub struct Synthetic {
    /// Donors that have weight, heaviest first.
    pub weights: Vec<(String, f64)>,
    /// Outcome less synthetic outcome, in every period.
    pub gaps: Vec<f64>,
    /// Root mean squared gap before the act.
    pub error_before: f64,
    /// Root mean squared gap from the act on.
    pub error_after: f64,
    /// Mean gap from the act on: the effect.
    pub effect: f64,
}

/// The treated unit, its placebos, and what leaving a donor out changes.
#[derive(Clone, Debug)]
pub struct Placebos {
    /// The treated unit.
    pub treated: Synthetic,
    /// The treated unit's rank by the ratio of errors after to before, 1 the largest.
    pub rank: usize,
    /// Units ranked, the treated among them.
    pub ranked: usize,
    /// `rank / ranked`.
    pub p: f64,
    /// The least that `p` can be with so many donors.
    pub p_floor: f64,
    /// The same rank without placebos that do not fit: (rank, ranked).
    pub rank_fitting: (usize, usize),
    /// The rank by the error after the act over that of points before it that were not
    /// fitted: (rank, ranked).
    pub rank_unfitted: (usize, usize),
    /// Smallest and largest effect when one donor with weight is left out.
    pub leave_one_out: (f64, f64),
    /// Effect if the act is set to the middle of the time before it: expected to be none.
    /// `None` where that leaves fewer than [`POINTS_BEFORE_MIN`] points.
    pub in_time: Option<f64>,
    /// Difference in differences with all donors alike, beside it.
    pub plain: f64,
}

/// Lays `treated` beside a weighted sum of `donors`; `onset` is the first period of the act.
pub fn synthetic(
    treated: &Unit,
    donors: &[Unit],
    onset: usize,
) -> Result<Synthetic, SyntheticRefused> {
    admit(treated, donors, onset)?;
    let weights = weights(treated, donors, &(0..onset).collect::<Vec<_>>())?;
    let weighted = |t: usize| {
        donors.iter().zip(&weights).map(|(d, w)| w * d.outcomes[t]).sum::<f64>()
    };
    let gaps: Vec<f64> =
        treated.outcomes.iter().enumerate().map(|(t, y)| y - weighted(t)).collect();
    let (before, after) = gaps.split_at(onset);
    let mut named: Vec<(String, f64)> = donors
        .iter()
        .zip(&weights)
        .filter(|(_, w)| **w > WEIGHT_MIN)
        .map(|(d, w)| (d.name.clone(), *w))
        .collect();
    named.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(Synthetic {
        weights: named,
        error_before: root_mean_square(before),
        error_after: root_mean_square(after),
        effect: mean(after),
        gaps,
    })
}

/// The effect with placebos in space and time, and each donor left out in turn.
pub fn placebos(
    treated: &Unit,
    donors: &[Unit],
    onset: usize,
) -> Result<Placebos, SyntheticRefused> {
    if donors.len() < DONORS_MIN {
        return Err(SyntheticRefused::TooFewDonors(donors.len()));
    }
    let own = synthetic(treated, donors, onset)?;
    let ahead = own.error_after / error_unfitted(treated, donors, onset)?;
    let mut others = Vec::with_capacity(donors.len());
    let mut further = 0;
    for place in 0..donors.len() {
        let rest = without(donors, place);
        let other = synthetic(&donors[place], &rest, onset)?;
        let of_other = error_unfitted(&donors[place], &rest, onset)?;
        further += usize::from(other.error_after / of_other >= ahead);
        others.push(other);
    }
    let rank = |of: &[&Synthetic]| {
        (1 + of.iter().filter(|o| o.ratio() >= own.ratio()).count(), of.len() + 1)
    };
    let (place, ranked) = rank(&others.iter().collect::<Vec<_>>());
    let fits = |o: &&Synthetic| o.error_before <= ERROR_RATIO_MAX * own.error_before;
    let rank_fitting = rank(&others.iter().filter(fits).collect::<Vec<_>>());
    Ok(Placebos {
        rank: place,
        ranked,
        p: count(place) / count(ranked),
        p_floor: 1.0 / count(ranked),
        rank_fitting,
        rank_unfitted: (1 + further, ranked),
        leave_one_out: leave_one_out(treated, donors, onset, &own)?,
        in_time: in_time(treated, donors, onset)?,
        plain: plain(treated, donors, onset),
        treated: own,
    })
}

impl Synthetic {
    /// Error after the act over error before it.
    pub fn ratio(&self) -> f64 {
        self.error_after / self.error_before.max(f64::MIN_POSITIVE)
    }
}

fn admit(
    treated: &Unit,
    donors: &[Unit],
    onset: usize,
) -> Result<(), SyntheticRefused> {
    let periods = treated.outcomes.len();
    let (before, after) = (onset.min(periods), periods.saturating_sub(onset));
    if before < POINTS_BEFORE_MIN || after == 0 {
        return Err(SyntheticRefused::TooShort { before, after });
    }
    if donors.is_empty() {
        return Err(SyntheticRefused::TooFewDonors(donors.len()));
    }
    for unit in std::iter::once(treated).chain(donors) {
        if unit.outcomes.len() != periods {
            let (rows, column) = (unit.outcomes.len(), unit.name.clone());
            return Err(
                RegressionError::Length { column, rows, outcomes: periods }.into()
            );
        }
        all_finite(&unit.name, &unit.outcomes)?;
    }
    Ok(())
}

/// Root mean squared gap of the points before the act, each with weights that were fitted
/// without the stretch it lies in.
fn error_unfitted(
    treated: &Unit,
    donors: &[Unit],
    onset: usize,
) -> Result<f64, SyntheticRefused> {
    let mut gaps = Vec::with_capacity(onset);
    for fold in 0..FOLDS {
        let out = onset * fold / FOLDS..onset * (fold + 1) / FOLDS;
        let fitted: Vec<usize> = (0..onset).filter(|t| !out.contains(t)).collect();
        let weights = weights(treated, donors, &fitted)?;
        gaps.extend(out.map(|t| {
            let weighted = donors.iter().zip(&weights).map(|(d, w)| w * d.outcomes[t]);
            treated.outcomes[t] - weighted.sum::<f64>()
        }));
    }
    Ok(root_mean_square(&gaps).max(f64::MIN_POSITIVE))
}

/// The weights that fit the donors to the treated unit at these points.
fn weights(
    treated: &Unit,
    donors: &[Unit],
    points: &[usize],
) -> Result<Vec<f64>, SyntheticRefused> {
    let before = |unit: &Unit| points.iter().map(|t| unit.outcomes[*t]).collect();
    let all: Vec<Vec<f64>> = donors.iter().map(before).collect();
    simplex_weights(&before(treated), &all)
        .ok_or_else(|| SyntheticRefused::Unsolved(treated.name.clone()))
}

/// Weights, none negative and one in sum, with which `all` lie nearest to `own`:
/// `min ½ w'Pw + q'w` with `P = Y'Y`, `q = -Y'y`, all outcomes divided by the largest, so
/// that the solver's tolerances mean the same always.
pub(crate) fn simplex_weights(own: &[f64], all: &[Vec<f64>]) -> Option<Vec<f64>> {
    let n = all.len();
    let scale =
        all.iter().flatten().chain(own).fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
    let product = |a: &[f64], b: &[f64]| {
        a.iter().zip(b).map(|(a, b)| (a / scale) * (b / scale)).sum::<f64>()
    };
    let rows: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            (0..n)
                .map(|j| if i <= j { product(&all[i], &all[j]) } else { 0.0 })
                .collect()
        })
        .collect();
    let quadratic = CscMatrix::from(&rows);
    let linear: Vec<f64> = all.iter().map(|d| -product(d, own)).collect();
    let sum_then_signs: Vec<Vec<f64>> = std::iter::once(vec![1.0; n])
        .chain(
            (0..n).map(|i| (0..n).map(|j| if i == j { -1.0 } else { 0.0 }).collect()),
        )
        .collect();
    let mut bounds = vec![0.0; n + 1];
    bounds[0] = 1.0;
    let cones = [ZeroConeT(1), NonnegativeConeT(n)];
    let settings = DefaultSettingsBuilder::default()
        .verbose(false)
        .tol_gap_abs(1e-13)
        .tol_gap_rel(1e-13)
        .tol_feas(1e-13)
        .build()
        .ok()?;
    let constraints = CscMatrix::from(&sum_then_signs);
    let mut solver = DefaultSolver::new(
        &quadratic,
        &linear,
        &constraints,
        &bounds,
        &cones,
        settings,
    )
    .ok()?;
    solver.solve();
    let solved = matches!(
        solver.solution.status,
        SolverStatus::Solved
            | SolverStatus::AlmostSolved
            | SolverStatus::InsufficientProgress
    );
    let weights: Vec<f64> = solver.solution.x.iter().map(|w| w.max(0.0)).collect();
    let total: f64 = weights.iter().sum();
    let valid = solved && (total - 1.0).abs() <= WEIGHT_MIN;
    valid.then(|| weights.into_iter().map(|w| w / total).collect())
}

/// Smallest and largest effect with one of the donors that have weight left out.
fn leave_one_out(
    treated: &Unit,
    donors: &[Unit],
    onset: usize,
    own: &Synthetic,
) -> Result<(f64, f64), SyntheticRefused> {
    let mut range = (own.effect, own.effect);
    for (name, _) in &own.weights {
        let Some(place) = donors.iter().position(|d| d.name == *name) else { continue };
        let effect = synthetic(treated, &without(donors, place), onset)?.effect;
        range = (range.0.min(effect), range.1.max(effect));
    }
    Ok(range)
}

/// The effect of an act that was not: at the middle of the time before the real one.
fn in_time(
    treated: &Unit,
    donors: &[Unit],
    onset: usize,
) -> Result<Option<f64>, SyntheticRefused> {
    let middle = onset / 2;
    if middle < POINTS_BEFORE_MIN {
        return Ok(None);
    }
    let cut = |unit: &Unit| Unit {
        name: unit.name.clone(),
        outcomes: unit.outcomes[..onset].to_vec(),
    };
    let donors: Vec<Unit> = donors.iter().map(cut).collect();
    Ok(Some(synthetic(&cut(treated), &donors, middle)?.effect))
}

/// Difference in differences of means, all donors alike.
fn plain(treated: &Unit, donors: &[Unit], onset: usize) -> f64 {
    let change =
        |unit: &Unit| mean(&unit.outcomes[onset..]) - mean(&unit.outcomes[..onset]);
    change(treated) - mean(&donors.iter().map(change).collect::<Vec<_>>())
}

fn without(donors: &[Unit], place: usize) -> Vec<Unit> {
    let kept = donors.iter().enumerate().filter(|(i, _)| *i != place);
    kept.map(|(_, donor)| donor.clone()).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values.len())
}

fn root_mean_square(values: &[f64]) -> f64 {
    mean(&values.iter().map(|v| v * v).collect::<Vec<_>>()).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, outcomes: impl Iterator<Item = f64>) -> Unit {
        Unit { name: name.to_owned(), outcomes: outcomes.collect() }
    }

    fn line(slope: f64) -> impl Iterator<Item = f64> {
        (0..20).map(move |t| 10.0 + slope * f64::from(t))
    }

    #[test]
    fn a_mean_of_two_donors_is_found() {
        let donors = [unit("steep", line(2.0)), unit("flat", line(0.0))];
        let treated = unit(
            "treated",
            line(1.0).enumerate().map(|(t, y)| if t < 12 { y } else { y - 3.0 }),
        );
        let found = synthetic(&treated, &donors, 12).unwrap();
        assert!(found.weights.iter().all(|(_, w)| (w - 0.5).abs() < 1e-6), "{found:?}");
        assert!((found.effect + 3.0).abs() < 1e-5);
    }

    /// Units of noise alone, the treated one with a fifth of the others': how often it comes
    /// first of twenty, where one of twenty is right.
    #[test]
    fn a_quiet_unit_is_no_oftener_first_than_others() {
        let (mut fitted, mut unfitted) = (0, 0);
        for world in 0..100u64 {
            let mut state = world.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut noise = || {
                let mut draw = || {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    f64::from(u32::try_from(state >> 32).unwrap()) / f64::from(u32::MAX)
                };
                (0..12).map(|_| draw()).sum::<f64>() - 6.0
            };
            let mut of = |name: String, size: f64| {
                unit(
                    &name,
                    (0..44)
                        .map(|_| 1.0 + size * noise())
                        .collect::<Vec<_>>()
                        .into_iter(),
                )
            };
            let treated = of("treated".to_owned(), 0.005);
            let donors: Vec<Unit> = (0..19).map(|d| of(d.to_string(), 0.025)).collect();
            let found = placebos(&treated, &donors, 24).unwrap();
            fitted += i32::from(found.rank == 1);
            unfitted += i32::from(found.rank_unfitted.0 == 1);
        }
        // 5 are right; 12 are three standard errors more.
        assert!(fitted > 12, "{fitted}");
        assert!(unfitted <= 12, "{unfitted}");
    }

    #[test]
    fn a_donor_pool_of_one_has_no_rank() {
        let donors = [unit("only", line(1.0))];
        let error = placebos(&unit("treated", line(2.0)), &donors, 12).unwrap_err();
        assert_eq!(error, SyntheticRefused::TooFewDonors(1));
    }

    #[test]
    fn too_short_a_past_is_refused() {
        let donors = [unit("a", line(1.0)), unit("b", line(0.0))];
        let error = synthetic(&unit("treated", line(2.0)), &donors, 4).unwrap_err();
        assert_eq!(error, SyntheticRefused::TooShort { before: 4, after: 16 });
    }
}
